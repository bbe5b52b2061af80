/*
 * cli/latency/told.h - what `pb latency` says
 */
#ifndef PB_CLI_LATENCY_TOLD_H
#define PB_CLI_LATENCY_TOLD_H

#include <stdbool.h>

#include "base/buf.h"
#include "recorder/query/seen/latency.h"

/* Whose latencies they are: words of the command line, borrowed. */
struct pb_latency_told {
	const char	*from, *to;
	uint64_t	 window_ns;
	bool		 same_packet;	/* two times of one packet */
};

/* Lines for people, with a histogram. */
void	pb_latency_lines(const struct pb_latency_told *told,
	    const struct pb_latency_report *report, struct pb_buf *out);

/* One object: latencies in nanoseconds, exact as pb_latency_text(). */
void	pb_latency_json(const struct pb_latency_told *told,
	    const struct pb_latency_report *report, struct pb_buf *out);

#endif
