/*
 * shipper/feed.h - from the index and segment files to a request's body
 *
 * Looks up what stands at a sequence number, and reads it as one valid
 * pcapng section: the segment's own SHB and IDB, then whole blocks.
 * Blocks are never split.  Only what the index says is durable is read.
 */
#ifndef PB_SHIPPER_FEED_H
#define PB_SHIPPER_FEED_H

#include "base/buf.h"
#include "base/err.h"
#include "recorder/store/index.h"
#include "shipper/ship.h"

/* The most of a segment's extent that is looked at, and of a body. */
#define PB_FEED_EXTENT_MAX	(16u << 20)
#define PB_FEED_BODY_MAX	(PB_FEED_EXTENT_MAX + (1u << 20))

struct pb_feed;

/* `index` and `store` are borrowed until destroy. */
int	pb_feed_create(struct pb_feed **out, struct pb_index *index,
	    const char *store, struct pb_err *err);
void	pb_feed_destroy(struct pb_feed *feed);

/*
 * As pb_ship_source.look: the piece at number `from` of the stream.
 * PB_PIECE_NONE where `from` is past the durable end.  Numbers that are
 * neither in an extent nor in an open gap are a gap without a record.
 */
int	pb_feed_look(struct pb_feed *feed, const struct pb_stream_info *stream,
	    uint64_t from, const struct pb_mark *mark, size_t bytes_max,
	    struct pb_piece *out, struct pb_err *err);

/*
 * Append the piece's section to `body` (max: PB_FEED_BODY_MAX).
 *   PB_ENOENT   the segment has expired
 *   PB_EDIGEST  the extent is whole and not what was written
 *   PB_EFORMAT  the file is shorter than the index says
 */
int	pb_feed_body(struct pb_feed *feed, const struct pb_stream_key *key,
	    const struct pb_piece *piece, struct pb_buf *body,
	    struct pb_err *err);

#endif
