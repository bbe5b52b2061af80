/*
 * recorder/transmit/timing.h - how far from their time packets went out
 *
 * A histogram of fixed memory: what is found in it is at most 1 % above what
 * was put in, and never below.  Pure.
 */
#ifndef PB_TRANSMIT_TIMING_H
#define PB_TRANSMIT_TIMING_H

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

#endif
