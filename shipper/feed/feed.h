/*
 * shipper/feed/feed.h - what stands at a sequence number
 *
 * Looks up in the index the piece that a request would carry: whole blocks
 * of one extent, or a gap.  Only what the index says is durable is looked
 * at.  Where blocks are to be told apart in a file, a worker does so, and
 * the answer is PB_PIECE_SOON or PB_SHIP_SOON: `found` says when to ask
 * again, for the same.
 */
#ifndef PB_SHIPPER_FEED_H
#define PB_SHIPPER_FEED_H

#include "base/err.h"
#include "recorder/store/index/index.h"
#include "recorder/store/read/section.h"
#include "shipper/letters/letters.h"
#include "shipper/ship/ship.h"
#include "shipper/worker/worker.h"

struct pb_feed;

struct pb_feed_opts {		/* borrowed until destroy, but `store` */
	struct pb_index	*index;
	const char	*store;
	struct pb_worker *worker;
	/* Something that this owner wants of this stream is known; called
	 * by pb_worker_collect(). */
	void		(*found)(void *arg, const void *owner, uint32_t id);
	void		*arg;
};
int	pb_feed_create(struct pb_feed **out, const struct pb_feed_opts *opts,
	    struct pb_err *err);
void	pb_feed_destroy(struct pb_feed *feed);	/* NULL is fine */

/* Who wants something.  Of each stream he has one look in its turn under
 * way, one `late`, and one packet below and above: the last one counts. */
struct pb_feed_want {
	const void	*owner;		/* not NULL */
	uint32_t	id;		/* of the stream, as he calls it */
	bool		late;
	bool		known;		/* already: no file is read for it */
	/* Of a packet: as if so many of its bytes had been captured; 0: all. */
	uint32_t	captured;
	/* As of pb_ship_source.look.  NULL: what stands there is asked, but
	 * not its bytes, so that no file is read. */
	const struct pb_mark *mark;
	size_t		bytes_max;
};
/* Nothing of what he wants matters any more. */
void	pb_feed_cancel(struct pb_feed *feed, const void *owner);

/*
 * The piece at number `from` of the stream, that ends at `to` or before
 * (UINT64_MAX: wherever).  PB_PIECE_NONE where `from` is past the durable end
 * or `to`.  Numbers that are neither in an extent nor in an open gap are a
 * gap without a record.
 */
int	pb_feed_look(struct pb_feed *feed, const struct pb_stream_info *stream,
	    uint64_t from, uint64_t to, const struct pb_feed_want *want,
	    struct pb_piece *out, struct pb_err *err);

/*
 * The piece at number `from` (within the letter) of a letter's file, which
 * alone is looked at: the index may have forgotten the segment.  Errors as
 * of pb_section_read().
 */
int	pb_feed_letter(struct pb_feed *feed, const struct pb_stream_key *key,
	    const struct pb_letter *letter, uint64_t from,
	    const struct pb_feed_want *want, struct pb_piece *out,
	    struct pb_err *err);

/* One packet of the store, as pb_peek_below() or pb_peek_above() answers. */
int	pb_feed_packet(struct pb_feed *feed,
	    const struct pb_stream_info *stream, uint64_t at, bool below,
	    const struct pb_feed_want *want, struct pb_fingerprint *out,
	    struct pb_err *err);

#endif
