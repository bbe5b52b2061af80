/*
 * recorder/query/seen/latency_report.c - latencies that were counted, found
 * again
 */
#include "recorder/query/seen/latency.h"

#include <inttypes.h>
#include <stdio.h>

/* A fraction of 1/2^32 ns in ten decimals: times 10^10, by 2^32. */
#define FIVE_10		UINT64_C(9765625)
#define FRACTION_SHIFT	22

static void	above(const struct pb_latency_report *, size_t,
		    struct pb_latency_bucket *);
static void	below(const struct pb_latency_report *, size_t,
		    struct pb_latency_bucket *);
static pb_i128	end_of(size_t);

pb_i128
pb_latency_find(const struct pb_latency_report *report, unsigned share)
{
	uint64_t rank = pb_timing_rank(report->count, share);
	uint64_t early = report->behind.count, ticks;
	pb_i128 found;

	if (report->count == 0)
		return 0;
	if (rank == 0)
		rank = 1;
	if (rank <= early) {
		ticks = pb_timing_at(&report->behind, early - rank + 1);
		found = -(((pb_i128)ticks + 1) << PB_LATENCY_TICK);
		if (ticks == UINT64_MAX)
			found = report->min;
	} else {
		ticks = pb_timing_at(&report->ahead, rank - early);
		found = ((pb_i128)ticks + 1) << PB_LATENCY_TICK;
		if (ticks == UINT64_MAX)
			found = report->max;
	}
	if (found < report->min)
		return report->min;
	return found < report->max ? found : report->max;
}

pb_i128
pb_latency_mean(const struct pb_latency_report *report)
{
	return report->count > 0 ? report->sum / (pb_i128)report->count : 0;
}

bool
pb_latency_next(const struct pb_latency_report *report, size_t *i,
    struct pb_latency_bucket *out)
{
	while (*i < 2 * PB_TIMING_BUCKETS) {
		if (*i < PB_TIMING_BUCKETS)
			below(report, PB_TIMING_BUCKETS - 1 - *i, out);
		else
			above(report, *i - PB_TIMING_BUCKETS, out);
		++*i;
		if (out->count > 0)
			return true;
	}
	return false;
}

const char *
pb_latency_text(pb_i128 latency, char out[static PB_LATENCY_TEXT_MAX])
{
	pb_u128 size = latency < 0 ? -(pb_u128)latency : (pb_u128)latency;
	uint64_t decimals = ((uint64_t)(size & UINT32_MAX) * FIVE_10) >>
	    FRACTION_SHIFT;
	size_t len;

	len = (size_t)snprintf(out, PB_LATENCY_TEXT_MAX, "%s%" PRIu64
	    ".%010" PRIu64, latency < 0 ? "-" : "", (uint64_t)(size >> 32),
	    decimals);
	while (out[len - 1] == '0')
		len--;
	if (out[len - 1] == '.')
		len--;
	out[len] = '\0';
	return out;
}

static void
above(const struct pb_latency_report *report, size_t bucket,
    struct pb_latency_bucket *out)
{
	out->from = bucket > 0 ? end_of(bucket - 1) : 0;
	out->to = end_of(bucket);
	if (bucket == PB_TIMING_BUCKETS - 1 && report->max >= out->to)
		out->to = report->max + 1;
	out->count = report->ahead.bucket[bucket];
}

static void
below(const struct pb_latency_report *report, size_t bucket,
    struct pb_latency_bucket *out)
{
	out->from = -end_of(bucket);
	if (bucket == PB_TIMING_BUCKETS - 1 && report->min <= out->from)
		out->from = report->min - 1;
	out->to = bucket > 0 ? -end_of(bucket - 1) : 0;
	out->count = report->behind.bucket[bucket];
}

/* What is just above all that a bucket counts. */
static pb_i128
end_of(size_t bucket)
{
	return ((pb_i128)pb_timing_edge(bucket) + 1) << PB_LATENCY_TICK;
}
