/*
 * recorder/store/mend/salvage.h - what can be kept of a damaged file
 *
 * Every whole block stays: runs of packets without holes become files of
 * segments of their own.  The file as it was found goes to STORE/damaged/
 * with a note beside it.
 *
 * Order:   1 the original gets a second name under damaged/
 *          2 each run is written under PB_LAYOUT_NEW and synced, and takes
 *            its own name, unless a whole file that has all of it stands there;
 *            the one that has the original's name is the last, or else that
 *            name goes
 *          3 who has salvaged takes the files that are there (take.h)
 * Reason:  nothing has to remember that a salvage is under way.  Before the
 *          end of 2 the original is there, and all is done again; after it
 *          there are whole files, which are taken like any others.
 */
#ifndef PB_MEND_SALVAGE_H
#define PB_MEND_SALVAGE_H

#include "base/err.h"
#include "recorder/store/index/index.h"
#include "recorder/store/mend/runs.h"

#define PB_SALVAGE_RUNS_MAX	65536u	/* of one file */
/* So begin the hidden names of what an older version had not finished. */
#define PB_SALVAGE_HIDDEN	".salvage-"

/* Who mends: the recorder, or `pb`.  It has the store's lock. */
struct pb_mend {
	const char	*store;
	uint32_t	 pen;
};

/*
 * Keep what is whole of `file`, numbers above `after` and up to `last`.
 * `stream` says whose it is; `why` is one line for the note.  `aside` is
 * where the original is; the runs are appended, the one with the original's
 * first number under the original's name, sealed or not.  PB_ENOENT: there is
 * no such file.
 */
int	pb_salvage(const struct pb_mend *mend,
	    const struct pb_stream_info *stream,
	    const struct pb_segment_name *file, uint64_t after, uint64_t last,
	    const char *why, char aside[static PATH_MAX],
	    struct pb_runs *runs, struct pb_err *err);

/* What a salvage of an older version left hidden in the stream's folder when
 * it was cut short goes; runs that it had gathered there take their places. */
int	pb_salvage_tidy(const struct pb_mend *mend,
	    const struct pb_stream_key *key, struct pb_err *err);

#endif
