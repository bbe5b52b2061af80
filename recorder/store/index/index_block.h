/*
 * recorder/store/index/index_block.h - an index block while it is made
 *
 * A run of a segment's packets, in order and without holes but for numbers that
 * were left out, and what they have in common.  It grows by the flows of whole
 * chunks, or packet by packet, and ends as a row of the index with the bytes of
 * its flow table.
 */
#ifndef PB_STORE_INDEX_BLOCK_H
#define PB_STORE_INDEX_BLOCK_H

#include "base/buf.h"
#include "pcapng/block.h"
#include "recorder/store/index/index.h"
#include "recorder/store/tally.h"

/* Of one block: packets of more flows are the rest's, and with more packets
 * it ends. */
#define PB_INDEX_BLOCK_FLOWS	98303u
#define PB_INDEX_BLOCK_PACKETS	700000u
/* Who would look at fewer bytes of packets reads as much of a table: such a
 * block has a summary alone. */
#define PB_INDEX_TABLE_FROM	(64u << 10)

struct pb_flow_pool;
struct pb_flows;
struct pb_flow_table_work;

struct pb_index_block {
	struct pb_flow_pool *pool;	/* of `flows`, or NULL */
	uint32_t	 stream;
	uint64_t	 segment_seq;
	uint64_t	 first_seq, last_seq;
	uint64_t	 from, end;	/* in the segment's file */
	struct pb_tally	 tally;		/* empty: it has not begun */
	bool		 known;		/* of some packet something is */
	struct pb_flows	*flows;
};

/*
 * Of a segment's packets; NULL without memory.  Its flows are of `pool`, `size`
 * large at first (flow/pool.h), or with NULL as large as they may become.
 * pb_index_block_destroy() ends it, and takes NULL.
 */
struct pb_index_block *pb_index_block_create(struct pb_flow_pool *pool,
	    unsigned size, uint32_t stream, uint64_t segment_seq);
void	pb_index_block_destroy(struct pb_index_block *block);

/* The packets of a chunk, whole blocks of the segment's file. */
struct pb_index_part {
	uint64_t	 first_seq, last_seq;
	uint64_t	 at, bytes;	/* in the file */
	struct pb_tally	 tally;
	const struct pb_flows *flows;	/* NULL: nothing is known of them */
};

/* They follow those of the block, if it has some.  False, and nothing done,
 * where they do not, or it would grow past one of its bounds. */
bool	pb_index_block_part(struct pb_index_block *block,
	    const struct pb_index_part *part);

/* The same for one packet, number `seq`, whose block of `bytes` is at `at`;
 * numbers from `first` on, if that is lower, were left out right before it.
 * PB_FLOW_BEHIND bytes behind what was captured can be read. */
bool	pb_index_block_packet(struct pb_index_block *block, uint16_t linktype,
	    const struct pb_packet *packet, uint64_t first, uint64_t seq,
	    uint64_t at, uint32_t bytes);

/*
 * It ends: its row, but for where the table lies, and the table, appended,
 * made in `work` (flow/table.h; NULL: in memory of its own); none where it is
 * small.  Pure.  1; 0 where nothing is known of any packet: then there is no
 * row; PB_ELIMIT for a table past PB_FLOW_TABLE_BYTES_MAX, or another error.
 */
int	pb_index_block_end(const struct pb_index_block *block,
	    struct pb_flows_info *row, struct pb_buf *table,
	    struct pb_flow_table_work *work, struct pb_err *err);

#endif
