/*
 * base/timing.h - times that things took, or were off by
 *
 * A histogram of fixed memory: what is found in it is at most 1 % above what
 * was put in, and never below.  Pure.
 */
#ifndef PB_BASE_TIMING_H
#define PB_BASE_TIMING_H

#include <stddef.h>
#include <stdint.h>

/* Values below 2^8 have a bucket each; above, each power of two has 2^7. */
#define PB_TIMING_BITS		7
#define PB_TIMING_BUCKETS	((65 - PB_TIMING_BITS) << PB_TIMING_BITS)

struct pb_timing {		/* zeroed memory is an empty one */
	uint64_t	bucket[PB_TIMING_BUCKETS];
	uint64_t	count;
	uint64_t	max;
};

void	pb_timing_add(struct pb_timing *timing, uint64_t value);

/* The value that `share` thousandths of all are not above; 0 of none. */
uint64_t pb_timing_find(const struct pb_timing *timing, unsigned share);

/* How many that are, rounded up. */
uint64_t pb_timing_rank(uint64_t count, unsigned share);

/* The value that `rank` of all are not above, likewise. */
uint64_t pb_timing_at(const struct pb_timing *timing, uint64_t rank);

/* The highest value that a bucket counts. */
uint64_t pb_timing_edge(size_t bucket);

#endif
