/*
 * base/timing.c - times that things took, or were off by
 */
#include "base/timing.h"

#define LINEAR	(UINT64_C(1) << (PB_TIMING_BITS + 1))

static size_t	bucket_of(uint64_t);

void
pb_timing_add(struct pb_timing *timing, uint64_t value)
{
	timing->bucket[bucket_of(value)]++;
	timing->count++;
	if (value > timing->max)
		timing->max = value;
}

uint64_t
pb_timing_find(const struct pb_timing *timing, unsigned share)
{
	return pb_timing_at(timing, pb_timing_rank(timing->count, share));
}

uint64_t
pb_timing_rank(uint64_t count, unsigned share)
{
	return count / 1000 * share + (count % 1000 * share + 999) / 1000;
}

uint64_t
pb_timing_at(const struct pb_timing *timing, uint64_t rank)
{
	uint64_t seen = 0, edge;
	size_t i = 0;

	if (timing->count == 0)
		return 0;
	while (i < PB_TIMING_BUCKETS - 1 &&
	    (seen += timing->bucket[i]) < rank)
		i++;
	edge = pb_timing_edge(i);
	return edge < timing->max ? edge : timing->max;
}

uint64_t
pb_timing_edge(size_t bucket)
{
	unsigned shift;
	uint64_t lead;

	if (bucket < LINEAR)
		return bucket;
	shift = (unsigned)(bucket >> PB_TIMING_BITS) - 1;
	lead = bucket - ((size_t)shift << PB_TIMING_BITS);
	return (lead << shift) + ((UINT64_C(1) << shift) - 1);
}

/* The leading bits of a value, and how many bits follow them. */
static size_t
bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < LINEAR)
		return (size_t)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - PB_TIMING_BITS;
	return ((size_t)shift << PB_TIMING_BITS) + (size_t)(value >> shift);
}
