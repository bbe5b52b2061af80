/*
 * recorder/store/mend/salvage.h - what can be kept of a damaged segment
 *
 * Every whole block stays: runs of packets without holes become sealed
 * segments of their own.  The file as it was found goes to STORE/damaged/
 * with a note beside it; the numbers that are in no run become a gap,
 * `damaged`.
 *
 * Order:   1 the original gets a second name under damaged/
 *          2 each run is written and synced in a hidden folder (place.h)
 *          3 the journal has the gaps
 *          4 the index has the runs, listed as open, and a note that this
 *            salvage is to be brought to its end
 *          5 the runs take the original's place
 *          6 list and note go
 * Reason:  a crash before 4 leaves everything as it was, and one after it
 *          what pb_salvage_resume() puts in place.
 */
#ifndef PB_MEND_SALVAGE_H
#define PB_MEND_SALVAGE_H

#include "base/err.h"
#include "recorder/store/head.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/mend/runs.h"

#define PB_SALVAGE_RUNS_MAX	65536u	/* of one segment */

/* Who mends: the recorder's recovery, or `pb verify --repair`.  It has
 * the store's lock. */
struct pb_mend {
	const char	*store;
	struct pb_index	*index;		/* open for writing */
	uint32_t	 pen;
	uint64_t	 age_ms;	/* of the store; 0: not known */
};

struct pb_salvage {
	unsigned	runs;
	uint64_t	packets;	/* kept */
	uint64_t	lost;		/* numbers that are a gap now */
	char		aside[PATH_MAX];	/* where the original is */
};

/*
 * Keep what is whole of the segment `row` of `stream` (a copy of its row,
 * brought up to date); numbers outside row->first_seq .. row->last_seq are
 * not taken.  `why` is one line for the note.  PB_ENOENT: there is no file.
 */
int	pb_salvage(const struct pb_mend *mend, struct pb_stream_info *stream,
	    const struct pb_segment_info *row, const char *why,
	    struct pb_salvage *out, struct pb_err *err);

/*
 * The same without an index (steps 1, 2 and 5): numbers above `after` of
 * the file that starts at `first`.  `aside` is where the original is, the
 * runs are appended.
 */
int	pb_salvage_files(const struct pb_mend *mend,
	    const struct pb_stream_info *stream, uint64_t first,
	    uint64_t after, const char *why, char aside[static PATH_MAX],
	    struct pb_runs *runs, struct pb_err *err);

/* Before anything else of recovery: a salvage that a crash cut short
 * behind its commit is brought to its end. */
int	pb_salvage_resume(const struct pb_mend *mend, struct pb_err *err);

/*
 * A head for a segment whose own is unreadable and whose packets have
 * `hops` records: from another segment of the stream, or made up where the
 * packets are at their origin.  1, 0 where there is none, or an error.
 */
int	pb_salvage_head(const struct pb_mend *mend,
	    const struct pb_stream_info *stream, uint64_t first_seq, int hops,
	    struct pb_head **out, struct pb_err *err);

#endif
