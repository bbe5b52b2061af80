/*
 * cli/latency/plot.h - latencies as a picture
 */
#ifndef PB_CLI_LATENCY_PLOT_H
#define PB_CLI_LATENCY_PLOT_H

#include "base/buf.h"
#include "cli/latency/told.h"

#define PB_PLOT_BYTES_MAX	(1u << 20)

/*
 * An SVG that needs nothing else: how often each latency was, and which share
 * of packets took no longer, where each nine more has as much room as the
 * one before.  It follows the reader's choice of light or dark.
 */
void	pb_latency_plot(const struct pb_latency_told *told,
	    const struct pb_latency_report *report, struct pb_buf *out);

#endif
