/*
 * recorder/store/write/flows.h - the flow tables of what is committed
 *
 *   chunk's flows --commit--> index block --full or sealed--> work
 *     --a thread--> table beside the segment, synced --commit--> its row
 *
 * The writer merges what chunks know (memory to memory) and commits rows that
 * are ready, with a batch that is committed anyway.  All else, encoding,
 * writing and syncing, is done by a thread of its own behind all others; in
 * a store that is `stepped`, at once.
 *
 * Promise: a batch neither waits for it, but where the store is `brief`, nor
 *          fails with it; whatever goes wrong, packets have no row, and are
 *          looked at one by one.
 * Limit:   index blocks and bytes of packets in work (flows.c); one file
 *          open.  A block that finds no room has no table, and is counted.
 */
#ifndef PB_STORE_WRITE_FLOWS_H
#define PB_STORE_WRITE_FLOWS_H

#include "recorder/store/write/store_impl.h"

/* Where the store's options want it: 0, or an error.  Destroying ends the
 * thread, and with it what is not committed. */
int	flows_create(struct pb_store *store, struct pb_err *err);
void	flows_destroy(struct pb_store *store);

/* The writer's thread. */

/* A chunk has been committed, in this segment; `alone`: no other one comes
 * behind it there. */
void	flows_take(struct pb_store *store, const struct pb_chunk *chunk,
	    const struct pb_segment *segment, bool alone);
/* The stream's segment ends: its index block has all of it. */
void	flows_end(struct pb_store *store, struct pb_stream *stream);
/* The store has gone: it has nothing any more. */
void	flows_drop(struct pb_stream *stream);

/* Rows that are ready, into the batch's transaction, behind the batch's own.
 * Then the outcome: true where there were some. */
void	flows_put(struct pb_store *store, struct pb_mdb_txn *txn);
bool	flows_settle(struct pb_store *store, bool committed);
/* The same in a transaction of their own, where there are some: between
 * batches. */
void	flows_commit(struct pb_store *store);

/* The store closes: what is in work has so long to become ready, and in one
 * that is `brief` as long as it takes; what failed there is said. */
void	flows_finish(struct pb_store *store);

/*
 * flows_older.c, on the thread that makes tables, or where the store is
 * stepped on the writer's: a part of a segment that came without; false where
 * there is no more of them, or not now.
 */
struct flows_older {
	uint64_t	 changes;	/* of the store */
	bool		 begun, ended;
	struct pb_segment_info segment;	/* the last one */
	uint64_t	 from;		/* looked at up to here; 0: all of it */
};
bool	flows_older(struct pb_store *store, struct flows_older *older);
/* A row whose table is there, of a segment that was made then; false where
 * too many wait. */
bool	flows_give(struct pb_store *store, const struct pb_stream_key *key,
	    const struct pb_flows_info *row, uint64_t created_ns,
	    uint64_t changes);
/* Do what waits; false where the thread is to end. */
bool	flows_work_on(struct pb_store *store);

#endif
