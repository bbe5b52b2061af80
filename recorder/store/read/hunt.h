/*
 * recorder/store/read/hunt.h - where the blocks of a number stand in a file
 *
 * The index knows extents, not blocks: where a piece is to begin or end
 * within one, the file says it.
 */
#ifndef PB_READ_HUNT_H
#define PB_READ_HUNT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "recorder/store/layout.h"
#include "recorder/store/read/piece.h"

/*
 * Of `piece` the numbers wanted, first .. last at most, and header_bytes are
 * known; of an extent's also the offset, where that is not 0.  Sets its last
 * number, offset and bytes: whole blocks that fit in `bytes_max` with the
 * header, one packet at least.  `bytes` is memory for what is read, of
 * PB_FEED_EXTENT_MAX.  Any thread.
 *   PB_EFORMAT  they are not there
 *   PB_EDIGEST  the extent is not what was written
 */
int	pb_hunt_extent(const char *store, const struct pb_stream_key *key,
	    const struct pb_extent_info *extent, size_t bytes_max,
	    struct pb_buf *bytes, struct pb_piece *piece, struct pb_err *err);

/* The same, from the block at `base` on, of a file that is open at `fd`. */
int	pb_hunt_file(int fd, uint64_t base, size_t bytes_max,
	    struct pb_buf *bytes, struct pb_piece *piece, struct pb_err *err);

#endif
