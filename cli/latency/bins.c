/*
 * cli/latency/bins.c - latencies in few bins, to be looked at
 */
#include "cli/latency/bins.h"

#include <math.h>
#include <string.h>

#define NARROW		20.0
#define BUCKETS_EACH	128.0	/* of a power of two: base/timing.h */
#define STEPS_MAX	57	/* 1 ns to 5 * 10^18 ns */

static void	fill(struct pb_bins *, const struct pb_latency_report *);
static double	step_edge(int);

bool
pb_bins_narrow(const struct pb_latency_report *report)
{
	return report->min > 0 && pb_bins_ns(report->max) <
	    NARROW * pb_bins_ns(report->min);
}

void
pb_bins_even(struct pb_bins *bins, const struct pb_latency_report *report,
    unsigned about)
{
	double min = pb_bins_ns(report->min), max = pb_bins_ns(report->max);
	double most = fmax(fabs(min), fabs(max)), step, from;

	memset(bins, 0, sizeof(*bins));
	step = fmax((max - min) / about, most / BUCKETS_EACH);
	step = pb_bins_round(fmax(step, 1.0 / 1024));
	from = floor(min / step);
	do
		bins->edge[bins->bins + 1] = (from +
		    (double)bins->bins + 1) * step;
	while (bins->edge[++bins->bins] <= max && bins->bins < PB_BINS_MAX);
	bins->edge[0] = from * step;
	fill(bins, report);
}

void
pb_bins_steps(struct pb_bins *bins, const struct pb_latency_report *report)
{
	double min = pb_bins_ns(report->min), max = pb_bins_ns(report->max);
	int k = -STEPS_MAX;

	memset(bins, 0, sizeof(*bins));
	while (k < STEPS_MAX - 1 && step_edge(k + 1) <= min)
		k++;
	bins->edge[0] = step_edge(k);
	do
		bins->edge[++bins->bins] = step_edge(++k);
	while (k < STEPS_MAX && step_edge(k) <= max);
	fill(bins, report);
}

void
pb_bins_powers(struct pb_bins *bins, const struct pb_latency_report *report,
    unsigned each)
{
	double min = pb_bins_ns(report->min), max = pb_bins_ns(report->max);
	double from, to;

	memset(bins, 0, sizeof(*bins));
	to = ceil(log10(fmax(max, 1e-3)) + 1e-9);
	from = floor(log10(fmax(min, 1e-3)));
	/* More than there is room for: the lowest go into the first. */
	if ((to - from) * each > PB_BINS_MAX)
		from = to - floor(PB_BINS_MAX / (double)each);
	bins->bins = (size_t)((to - from) * each);
	for (size_t i = 0; i <= bins->bins; i++)
		bins->edge[i] = pow(10, from + (double)i / each);
	fill(bins, report);
}

double
pb_bins_round(double value)
{
	double power = pow(10, floor(log10(value)));
	double lead = value / power;

	return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power;
}

double
pb_bins_ns(pb_i128 latency)
{
	return (double)latency / (double)PB_LATENCY_NS;
}

/* Each bucket by its middle, which is where most of it is; the outermost bins
 * have what is outside. */
static void
fill(struct pb_bins *bins, const struct pb_latency_report *report)
{
	struct pb_latency_bucket bucket;
	size_t at = 0, bin = 0;
	double middle;

	while (pb_latency_next(report, &at, &bucket)) {
		middle = (pb_bins_ns(bucket.from) + pb_bins_ns(bucket.to)) / 2;
		while (bin < bins->bins - 1 && middle >= bins->edge[bin + 1])
			bin++;
		bins->count[bin] += bucket.count;
		if (bins->count[bin] > bins->most)
			bins->most = bins->count[bin];
	}
}

/* ..., -2, -1, 0, 1, 2, 5, 10, 20, ... ns */
static double
step_edge(int k)
{
	static const double lead[] = { 1, 2, 5 };
	int n = k < 0 ? -k - 1 : k - 1;
	double size = k == 0 ? 0 : lead[n % 3] * pow(10, n / 3);

	return k < 0 ? -size : size;
}
