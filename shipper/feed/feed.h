/*
 * shipper/feed/feed.h - what stands at a sequence number
 *
 * Looks up in the index, and where blocks are to be told apart in segment
 * files, the piece that a request would carry: whole blocks of one extent,
 * or a gap.  Only what the index says is durable is looked at.
 */
#ifndef PB_SHIPPER_FEED_H
#define PB_SHIPPER_FEED_H

#include "base/buf.h"
#include "base/err.h"
#include "recorder/store/index/index.h"
#include "shipper/letters/letters.h"
#include "shipper/feed/section.h"
#include "shipper/ship/ship.h"

struct pb_feed;

/* `index` is borrowed until destroy. */
int	pb_feed_create(struct pb_feed **out, struct pb_index *index,
	    const char *store, struct pb_err *err);
void	pb_feed_destroy(struct pb_feed *feed);

/*
 * As pb_ship_source.look: the piece at number `from` of the stream, that
 * ends at `to` or before (UINT64_MAX: wherever).  PB_PIECE_NONE where
 * `from` is past the durable end or `to`.  Numbers that are neither in an
 * extent nor in an open gap are a gap without a record.
 */
int	pb_feed_look(struct pb_feed *feed, const struct pb_stream_info *stream,
	    uint64_t from, uint64_t to, const struct pb_mark *mark,
	    size_t bytes_max, struct pb_piece *out, struct pb_err *err);

/*
 * The piece at number `from` (within the letter) of a letter's file, which
 * alone is looked at: the index may have forgotten the segment.  Errors as
 * of pb_section_read().
 */
int	pb_feed_letter(struct pb_feed *feed, const struct pb_stream_key *key,
	    const struct pb_letter *letter, uint64_t from,
	    const struct pb_mark *mark, size_t bytes_max,
	    struct pb_piece *out, struct pb_err *err);

/* One packet of the store: peek.h. */
int	pb_feed_below(struct pb_feed *feed,
	    const struct pb_stream_info *stream, uint64_t at,
	    struct pb_fingerprint *out, struct pb_err *err);
int	pb_feed_above(struct pb_feed *feed,
	    const struct pb_stream_info *stream, uint64_t from,
	    struct pb_fingerprint *out, struct pb_err *err);

#endif
