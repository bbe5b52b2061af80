/*
 * base/clock.h - the two clocks
 *
 * State machines do not call these: they take `now` as an argument, so
 * that tests own the clock.  Threads and main loops call them and pass
 * the result down.
 */
#ifndef PB_BASE_CLOCK_H
#define PB_BASE_CLOCK_H

#include <stdint.h>

/* A clock of one's own, as a disk of one's own has it (base/disk.h). */
struct pb_clock {
	uint64_t	(*real_ns)(struct pb_clock *);
	uint64_t	(*mono_ms)(struct pb_clock *);
	uint64_t	(*boot)(struct pb_clock *);	/* pb_boot_id() */
};

#define PB_NS_PER_S	1000000000ull
#define PB_NS_PER_MS	1000000ull

/* Nanoseconds since 1970 UTC (CLOCK_REALTIME); may step. */
uint64_t	pb_clock_real_ns(void);

/* Milliseconds since an arbitrary point (CLOCK_MONOTONIC); never steps. */
uint64_t	pb_clock_mono_ms(void);

/* The same clock in nanoseconds. */
uint64_t	pb_clock_mono_ns(void);

/* The same by `clock`; NULL is the system's. */
uint64_t	pb_clock_real_ns_by(struct pb_clock *clock);
uint64_t	pb_clock_mono_ms_by(struct pb_clock *clock);

#endif
