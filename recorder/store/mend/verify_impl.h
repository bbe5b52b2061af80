/*
 * recorder/store/mend/verify_impl.h - what verify*.c share
 *
 * verify.c goes through the store, verify_segment.c checks one file and its
 * rows, verify_flows.c its flow tables, verify_stream.c what a stream's rows
 * and journal say together, and what else is there; finding.c tells what is
 * found.
 *
 * Beside a recorder nothing stands still, so each compares what cannot change:
 * of an open segment the bytes that its row had when it was looked at.  A
 * segment may go at any time: nothing is told of one that is gone.  Where
 * journal and index differ for a moment verify_stream.c looks again.
 */
#ifndef PB_MEND_VERIFY_IMPL_H
#define PB_MEND_VERIFY_IMPL_H

#include "base/buf.h"
#include "recorder/store/mend/runs.h"
#include "recorder/store/mend/verify.h"

struct verify {
	const struct pb_verify_opts *opts;
	struct pb_verify_sum *sum;
	struct pb_index	*index;
	struct pb_index	*scratch;	/* gaps are replayed here */
	uint64_t	 unsealed;	/* segments that are open */
	uint64_t	 done, all;	/* bytes, for the progress */
	/* Findings are counted, not told: there is another look. */
	bool		 rehearsal;
	uint64_t	 rehearsed;
};

/* One stream while its segments are gone through. */
struct verify_stream {
	struct verify	*verify;
	struct pb_stream_info info;
	/* What its segments sum up to. */
	uint64_t	 first_seq, packets, bytes, dropped;
};

/* Tell a finding: `text` is a format.  Nonzero: to be returned.  Where
 * `where` names a segment that the index had and has no more, 0. */
int	verify_tell(struct verify *verify, const struct pb_finding *where,
	    enum pb_flaw flaw, const char *text, ...)
	    __attribute__((format(printf, 4, 5)));

int	verify_segment(struct verify_stream *stream,
	    const struct pb_segment_info *row, struct pb_err *err);
/* After the segment: its index blocks and their tables. */
int	verify_flows(struct verify_stream *stream,
	    const struct pb_segment_info *row, struct pb_err *err);
/* After its segments: counters, journal, gaps, holes. */
int	verify_stream(struct verify_stream *stream, struct pb_err *err);
/* The folder of a stream against the rows; `info` NULL: no row. */
int	verify_folder(struct verify *verify, const struct pb_stream_key *key,
	    const struct pb_stream_info *info, struct pb_err *err);

#endif
