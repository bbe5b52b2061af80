/*
 * recorder/store/mend/aside.h - what is not whole, or in the way, is kept
 *
 * STORE/damaged/ has such files as they were found, as
 * STREAM_FIRST[.N].pcapng, each with a note beside it (.txt).
 */
#ifndef PB_MEND_ASIDE_H
#define PB_MEND_ASIDE_H

#include "base/err.h"
#include "recorder/store/layout.h"

/* So much is looked through for packets (pb_aside_extra); a longer file is
 * thought to hold some. */
#define PB_ASIDE_LOOK_BYTES	(4u << 20)

/* Give the file `path` of the segment that starts at `first_seq` a second
 * name there, durably, unless it has one, and write `note`.  `out` is that
 * name. */
int	pb_aside_link(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, const char *path, const char *note,
	    char out[static PATH_MAX], struct pb_err *err);

/* The same, and its first name goes. */
int	pb_aside_move(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, const char *path, const char *note,
	    char out[static PATH_MAX], struct pb_err *err);

/*
 * A segment that is new gets the name of its first number.  A file of that
 * name that the index does not know (an operator's copy, a disk repaired)
 * is never written over: where it holds packets, or is none of ours, it is
 * moved, and the log says so.  What a failed try left (a header alone)
 * stays: it is replaced.
 */
int	pb_aside_extra(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, struct pb_err *err);

#endif
