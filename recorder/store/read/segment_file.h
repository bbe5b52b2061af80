/*
 * recorder/store/read/segment_file.h - the file of a segment
 *
 * It has one of two names (layout.h), and sealing changes it.
 */
#ifndef PB_READ_SEGMENT_FILE_H
#define PB_READ_SEGMENT_FILE_H

#include "recorder/store/head.h"
#include "recorder/store/index/index.h"
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

/* The head of the segment that has packet `seq` of a stream, or of the first
 * one behind it: 1, 0 where there is none, or an error. */
int	pb_stream_head(struct pb_head **out, const char *store,
	    struct pb_index *index, const struct pb_stream_info *stream,
	    uint64_t seq, struct pb_err *err);

/* `len` bytes at `offset` of segment `first_seq`, open at `fd`: all of them,
 * or PB_EFORMAT: it is shorter than its index says; or another error. */
int	pb_segment_read(int fd, uint64_t first_seq, uint64_t offset,
	    uint8_t *to, size_t len, struct pb_err *err);

/* Are the bytes of its extent at `offset` those that were written?
 * PB_EDIGEST. */
int	pb_segment_check(uint64_t first_seq, uint64_t offset,
	    const uint8_t *data, size_t len, uint64_t digest,
	    struct pb_err *err);

#endif
