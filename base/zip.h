/*
 * base/zip.h - zstd: bodies made smaller for slow links
 *
 * With press.h the one place that knows libzstd.  Whole buffers only: bodies
 * are bounded, and both ends hold them anyway.  And many small pieces, one
 * after the other.
 */
#ifndef PB_BASE_ZIP_H
#define PB_BASE_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Append to `out` the zstd frame (RFC 8878) of `data`.  PB_ELIMIT where it
 * does not fit into out->max, PB_ENOMEM.
 */
int	pb_zip_pack(struct pb_buf *out, const void *data, size_t len);
/* The same at a level, PB_ZIP_LEVEL_MIN (as above: the fastest) to _MAX. */
#define PB_ZIP_LEVEL_MIN	1u
#define PB_ZIP_LEVEL_MAX	19u
int	pb_zip_pack_at(struct pb_buf *out, unsigned level, const void *data,
	    size_t len);

/* Is what `len` bytes have been packed into worth it? */
static inline bool
pb_zip_is_worth(size_t len, size_t packed)
{
	return packed + len / 32 < len;
}

/*
 * How much memory unpacking needs: the size that the frame states, or
 * `max` where it states none.  PB_EFORMAT where it is no zstd frame,
 * PB_ELIMIT where it states more than `max`.
 */
int	pb_zip_room(const void *data, size_t len, size_t max, size_t *room,
	    struct pb_err *err);

/*
 * Unpack into the `room` bytes at `out`; `*unpacked` is what came of it.
 * PB_EFORMAT where the frame is damaged, PB_ELIMIT where it holds more.
 */
int	pb_zip_unpack(void *out, size_t room, const void *data, size_t len,
	    size_t *unpacked, struct pb_err *err);

/*
 * Pieces: what packing and unpacking one needs is kept for the next.  One
 * thread at a time; pb_zip_destroy() ends it.
 */
struct pb_zip;			/* opaque */

int	pb_zip_create(struct pb_zip **out, struct pb_err *err);
void	pb_zip_destroy(struct pb_zip *zip);

/* The frame of `data`, in at most `room` bytes at `out`: its length, or 0
 * where it comes to more, or there is no memory. */
size_t	pb_zip_pack_piece(struct pb_zip *zip, void *out, size_t room,
	    const void *data, size_t len);

/* Unpack a frame that holds exactly `len` bytes; PB_EFORMAT where it does
 * not.  It takes no memory for what the frame says of itself. */
int	pb_zip_unpack_piece(struct pb_zip *zip, void *out, size_t len,
	    const void *data, size_t packed, struct pb_err *err);

#endif
