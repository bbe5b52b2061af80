/*
 * conf/schedule.c - the times of day at which an upstream is sent to
 */
#include "conf/schedule.h"

#include <time.h>

#include "base/clock.h"

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

unsigned
pb_schedule_waits(const struct pb_conf_schedule *schedule, uint64_t now_ns)
{
	time_t now = (time_t)(now_ns / PB_NS_PER_S);
	struct tm local;
	unsigned minute;

	if (schedule->count == 0 || localtime_r(&now, &local) == NULL)
		return 0;
	minute = (unsigned)(local.tm_hour * 60 + local.tm_min);
	return pb_schedule_open(schedule, minute) ? 0 :
	    pb_schedule_opens(schedule, minute) + 1;
}
