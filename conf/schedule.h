/*
 * conf/schedule.h - the times of day at which an upstream is sent to
 *
 * Times are minutes since midnight, as clocks on the wall say; a range
 * may go past midnight.
 */
#ifndef PB_SCHEDULE_H
#define PB_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

/* Is it sent to at `minute`?  Always, where there is no range. */
bool	pb_schedule_open(const struct pb_conf_schedule *schedule,
	    unsigned minute);

/* Where it is not: the minute at which that begins. */
unsigned pb_schedule_opens(const struct pb_conf_schedule *schedule,
	    unsigned minute);

/* At this time of the wall clock here: 0 where it is sent to; else the minute
 * at which that begins, and 1. */
unsigned pb_schedule_waits(const struct pb_conf_schedule *schedule,
	    uint64_t now_ns);

#endif
