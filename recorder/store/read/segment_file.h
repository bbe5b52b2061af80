/*
 * recorder/store/read/segment_file.h - the file of a segment
 *
 * It has one of two names (layout.h), and sealing changes it.
 */
#ifndef PB_READ_SEGMENT_FILE_H
#define PB_READ_SEGMENT_FILE_H

#include "recorder/store/layout.h"

/*
 * Open it for reading, whether it was sealed meanwhile or not: a
 * descriptor, or an error (PB_ENOENT: it expired).
 */
int	pb_segment_open_file(const char *store,
	    const struct pb_stream_key *key, uint64_t first_seq,
	    struct pb_err *err);

/* The same with open(2)'s access `mode`. */
int	pb_segment_open_mode(const char *store,
	    const struct pb_stream_key *key, uint64_t first_seq, int mode,
	    struct pb_err *err);

#endif
