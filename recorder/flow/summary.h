/*
 * recorder/flow/summary.h - a flow table in few bytes, which stand in the index
 *
 * Of each header shape what all of its flows know, and of the places that
 * filters ask for (addresses, ports) which values occur there: a sorted list,
 * or, of too many, a filter that knows for sure what does not.  Whole index
 * blocks fall away before their table is read.  docs/index.md has the bytes.
 */
#ifndef PB_FLOW_SUMMARY_H
#define PB_FLOW_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/filter/question.h"
#include "recorder/flow/flows.h"

/* What it comes to at most: its row takes three pages of the index. */
#define PB_SUMMARY_BYTES_MAX	12160u

/* The summary of these flows; its length.  What does not fit is left out, and
 * is "look at each". */
size_t	pb_summary_make(uint8_t out[static PB_SUMMARY_BYTES_MAX],
	    const struct pb_flows *flows);

/*
 * What the filter says of all packets that the summary speaks of: NONE, ALL or
 * EACH; EACH of bytes that are no summary, or a rotten one.
 */
enum pb_verdict pb_summary_verdict(const uint8_t *summary, size_t len,
	    struct pb_question *question);

#endif
