/*
 * shipper/upstream/schedule.c - the times of day at which an upstream is sent to
 */
#include "shipper/upstream/schedule.h"

#define DAY	1440u

/* Minutes from `from` on until it is `to` again, or for the first time. */
static unsigned
until(unsigned from, unsigned to)
{
	return (to + DAY - from) % DAY;
}

bool
pb_schedule_open(const struct pb_conf_schedule *schedule, unsigned minute)
{
	for (unsigned i = 0; i < schedule->count; i++)
		if (until(schedule->range[i].from, minute) <
		    until(schedule->range[i].from, schedule->range[i].to))
			return true;
	return schedule->count == 0;
}

unsigned
pb_schedule_opens(const struct pb_conf_schedule *schedule, unsigned minute)
{
	unsigned best = minute, least = DAY;

	for (unsigned i = 0; i < schedule->count; i++)
		if (until(minute, schedule->range[i].from) < least) {
			best = schedule->range[i].from;
			least = until(minute, best);
		}
	return best;
}
