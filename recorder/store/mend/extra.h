/*
 * recorder/store/mend/extra.h - a file that stands where a segment goes
 *
 * A segment that is new gets the name of its first number.  A file of that
 * name that the index does not know (an operator's copy, a disk repaired)
 * may hold packets: it is never written over.
 */
#ifndef PB_MEND_EXTRA_H
#define PB_MEND_EXTRA_H

#include "base/err.h"
#include "recorder/store/layout.h"

/* So much of it is looked through; a longer one is thought to hold some. */
#define PB_EXTRA_LOOK_BYTES	(4u << 20)

/*
 * Where a file of the segment that is to start at `first_seq` holds
 * packets, or is none of ours, it goes to STORE/damaged/ with a note, and
 * the log says so.  What a failed try left (a header alone) stays: it is
 * replaced.
 */
int	pb_extra_aside(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, struct pb_err *err);

#endif
