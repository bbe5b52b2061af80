/*
 * shipper/feed/lookup.h - what only a file can say, found off the loop
 *
 * The index knows extents, not blocks.  Where a piece is to begin or end
 * within one, or a packet is wanted, a worker reads the file; who asked is
 * told when it is known, and asks again.  Private to shipper/feed/.
 */
#ifndef PB_SHIPPER_SEARCH_H
#define PB_SHIPPER_SEARCH_H

#include "base/buf.h"
#include "shipper/feed/feed.h"

/* Of all who ask together; past it they ask again later. */
#define PB_LOOKUPS_MAX	512u
/* What was found longer ago than this is looked for again. */
#define PB_LOOKUP_AGE_MS	5000u

enum pb_lookup_kind {
	PB_LOOKUP_EXTENT = 1,	/* blocks of `extent` */
	PB_LOOKUP_LETTER,	/* blocks of `letter` */
	PB_LOOKUP_BELOW,	/* the packet at `from`, or below it */
	PB_LOOKUP_ABOVE,	/* or above it */
};

struct pb_lookup {
	/* Who wants it, and of what he wants one at a time; no owner: it is
	 * free. */
	struct pb_feed_want want;
	/* What is wanted. */
	enum pb_lookup_kind kind;
	struct pb_stream_key key;
	uint32_t	stream;		/* in the index */
	uint64_t	from;
	struct pb_extent_info extent;
	struct pb_letter letter;
	uint64_t	offset;		/* LETTER: where to begin */
	/* What is known of the piece, and then all of it. */
	struct pb_piece	piece;
	struct pb_fingerprint print;	/* or the packet, where rc is 1 */
	int		rc;
	struct pb_err	err;
	bool		running;	/* it is the worker's */
	uint64_t	done_ms;	/* when it was, on the monotonic
					 * clock */
	struct pb_lookups *all;
	struct pb_job	job;
};

struct pb_lookups {
	struct pb_feed_opts opts;	/* borrowed, all of it */
	struct pb_buf	bytes;		/* of what is searched; the worker's */
	unsigned	used;		/* of the places below, ever */
	unsigned	running;	/* of them */
	unsigned	turn;		/* whose place is taken next */
	struct pb_lookup search[PB_LOOKUPS_MAX];
};

/*
 * What was found for `want` just now and not asked for yet, valid until the
 * next call; NULL: it is looked for, and `found` is called.  Not where all
 * places are taken, or it is to be known: then it is for the caller to ask
 * again.
 */
const struct pb_lookup *pb_lookup(struct pb_lookups *all,
	    const struct pb_lookup *want);

/* Forget what this one wants; NULL: all. */
void	pb_lookups_cancel(struct pb_lookups *all, const void *owner);

#endif
