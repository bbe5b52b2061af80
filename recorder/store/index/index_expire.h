/*
 * recorder/store/index/index_expire.h - taking a segment out of the index
 *
 * One transaction moves everything that speaks of the segment: its row and
 * those of its extents, index blocks and drop counts, closed gaps within it,
 * the stream's counters; and puts what stands for it from then on.
 */
#ifndef PB_STORE_INDEX_EXPIRE_H
#define PB_STORE_INDEX_EXPIRE_H

#include "recorder/store/index/index_write.h"

/* Segments looked at for the lowest time that is left of a stream. */
#define PB_EXPIRE_LOOK_MAX	1024u

struct pb_expiry {
	struct pb_stream_key	key;
	struct pb_segment_info	segment;
	/*
	 * Numbers up to `acked` are gone without a trace, those behind up
	 * to `released` become a gap `dead-lettered`, the rest `expired`.
	 */
	uint64_t		acked, released;
	uint64_t		now_ns;
};

/* What becomes of the segment's numbers, in their order. */
enum pb_expiry_part {
	PB_EXPIRY_ACKED,
	PB_EXPIRY_RELEASED,
	PB_EXPIRY_LOST,
	PB_EXPIRY_PARTS,
};
/* The numbers of a part; false where it has none. */
bool	pb_expiry_part(const struct pb_expiry *expiry,
	    enum pb_expiry_part part, uint64_t *first, uint64_t *last);

/*
 * The segment's file becomes doomed, its rows go.  `*stream` is the
 * stream's row as it is then.  A stream that has no segment left keeps its
 * row, and with it the numbers it has given.
 */
void	pb_index_expire(struct pb_mdb_txn *txn, const struct pb_expiry *expiry,
	    struct pb_stream_info *stream);

/* The rows of a segment, its extents, index blocks and drop counts alone; the
 * sum of those counts. */
uint64_t pb_index_remove(struct pb_mdb_txn *txn,
	    const struct pb_segment_info *segment);

/* The rows of its extents that begin at `from` or behind. */
void	pb_index_del_extents(struct pb_mdb_txn *txn,
	    const struct pb_segment_info *segment, uint64_t from);

/* The rows of its index blocks that have numbers from `from` on. */
void	pb_index_del_flows(struct pb_mdb_txn *txn,
	    const struct pb_segment_info *segment, uint64_t from);

/* What was the stream's first segment may be gone: `*stream` is told the
 * number and the lowest time of what is left; nothing is written. */
void	pb_index_look_first(struct pb_mdb_txn *txn,
	    struct pb_stream_info *stream);

#endif
