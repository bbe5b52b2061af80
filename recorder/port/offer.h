/*
 * recorder/port/offer.h - what is given to a puller at a sequence number
 *
 * The store's packets; where it has them no more those of a dead letter of
 * that upstream, whose file keeps them; else a gap, and why.
 */
#ifndef PB_INGEST_OFFER_H
#define PB_INGEST_OFFER_H

#include "base/buf.h"
#include "recorder/sift/payload.h"
#include "recorder/store/write/store.h"

struct pb_offer_want {
	struct pb_store	*store;
	struct pb_stream_key key;
	const char	*upstream;	/* the puller's name */
	uint64_t	from, to;	/* nothing past `to` */
	uint64_t	epoch;		/* the section says; 0: the file's */
	size_t		bytes_max;	/* with the header; a packet at least */
	size_t		next_max;	/* bytes of what follows, told of */
};

/* What is found. */
struct pb_offer {
	struct pb_piece	 piece;		/* NONE: nothing is there yet */
	struct pb_payload payload;	/* of packets; packed and sifted as it
					 * was given */
	struct pb_piece_end next[PB_PIECE_ENDS_MAX];	/* what follows */
	unsigned	 nexts;
};

/*
 * It reads files; any thread.  `bytes` is memory for that, of
 * PB_FEED_EXTENT_MAX.  PB_ENOENT: no such stream.  PB_EBUSY: another time.
 * PB_EDIGEST: what the store has is damaged, and not given up yet.
 */
int	pb_offer_make(const struct pb_offer_want *want,
	    struct pb_offer *out, struct pb_buf *bytes, struct pb_err *err);

#endif
