/*
 * base/clock.c - the two clocks
 */
#include "base/clock.h"

#include <time.h>

uint64_t
pb_clock_real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * PB_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
pb_clock_mono_ms(void)
{
	return pb_clock_mono_ns() / PB_NS_PER_MS;
}

uint64_t
pb_clock_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PB_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
pb_clock_real_ns_by(struct pb_clock *clock)
{
	return clock != NULL ? clock->real_ns(clock) : pb_clock_real_ns();
}

uint64_t
pb_clock_mono_ms_by(struct pb_clock *clock)
{
	return clock != NULL ? clock->mono_ms(clock) : pb_clock_mono_ms();
}
