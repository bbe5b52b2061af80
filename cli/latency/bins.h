/*
 * cli/latency/bins.h - latencies in few bins, to be looked at
 *
 * Edges are round numbers of nanoseconds.  What the report counts is within
 * 1 %, so no bin is narrower than that.
 */
#ifndef PB_CLI_LATENCY_BINS_H
#define PB_CLI_LATENCY_BINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/query/seen/latency.h"

#define PB_BINS_MAX	256

struct pb_bins {
	size_t		 bins;
	double		 edge[PB_BINS_MAX + 1];	/* ns; one more than bins */
	uint64_t	 count[PB_BINS_MAX];
	uint64_t	 most;		/* of one of them */
};

/* Is the highest less than 20 times the lowest, and both above 0?  Then bins
 * of even width show more. */
bool	pb_bins_narrow(const struct pb_latency_report *report);

/* About so many bins of even width. */
void	pb_bins_even(struct pb_bins *bins,
	    const struct pb_latency_report *report, unsigned about);

/* A bin for each step of 1, 2, 5, 10, ... away from 0. */
void	pb_bins_steps(struct pb_bins *bins,
	    const struct pb_latency_report *report);

/* Latencies above 0 alone, so many bins for each power of ten, 40 at most;
 * whole powers. */
void	pb_bins_powers(struct pb_bins *bins,
	    const struct pb_latency_report *report, unsigned each);

/* The next of 1, 2, 5 times a power of ten that is not below `value` > 0. */
double	pb_bins_round(double value);

/* In nanoseconds. */
double	pb_bins_ns(pb_i128 latency);

#endif
