/*
 * recorder/store/read/cursor.h - reading the packets of one stream, in order
 *
 * Walks segments and extents by sequence number, skipping by the index
 * what lies outside the asked range; reads up to the durable end, and goes
 * on from there when called again later.  One descriptor, one buffer of
 * PB_CURSOR_BYTES per cursor while it is in use; a cursor that waits in a
 * merge of thousands can be told to park.
 */
#ifndef PB_STORE_CURSOR_H
#define PB_STORE_CURSOR_H

#include "pcapng/scan.h"
#include "recorder/store/head.h"
#include "recorder/store/index/index.h"

#define PB_CURSOR_BYTES	(1u << 20)

struct pb_range {
	uint64_t first_seq, last_seq;	/* both included; 1, UINT64_MAX */
	uint64_t after_ns, before_ns;	/* after <= time < before;
					 * 0, UINT64_MAX */
};

struct pb_cursor;

/* `index` is borrowed until destroy; `store` is copied. */
int	pb_cursor_create(struct pb_cursor **out, struct pb_index *index,
	    const char *store, const struct pb_stream_info *stream,
	    const struct pb_range *range, struct pb_err *err);
void	pb_cursor_destroy(struct pb_cursor *cursor);

struct pb_cursor_packet {
	struct pb_packet packet;	/* borrowed until the next call */
	uint64_t	 seq;
	const struct pb_head *head;	/* of its segment; ref it to keep it */
};

/*
 * The next packet within the range: 1; 0 at the durable end (ask again
 * when pb_index_commits() has grown); or an error.  Packets come in
 * sequence order, those outside the time range are left out.
 */
int	pb_cursor_next(struct pb_cursor *cursor, struct pb_cursor_packet *out,
	    struct pb_err *err);

/*
 * As next, but blocks that are not packets and not statistics (names,
 * secrets, unknown ones) are handed out too, with out->seq 0 and *block
 * set; block->at is NULL for packets.
 */
int	pb_cursor_next_block(struct pb_cursor *cursor,
	    struct pb_cursor_packet *out, struct pb_block *block,
	    struct pb_err *err);

/* Give up descriptor and buffer until the next call. */
void	pb_cursor_park(struct pb_cursor *cursor);

#endif
