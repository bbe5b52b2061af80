/*
 * recorder/store/write/store.h - the store, as producers of packets see it
 *
 * Producers (capture threads, the ingest thread) build whole blocks in
 * chunks and submit them; one writer thread appends them to segments,
 * syncs, commits the index, and then calls each chunk's `done`.  A chunk
 * is durable when `done` says 0, and not a moment earlier.
 *
 * One producer thread per stream.  Sequence numbers are the producer's to
 * give: the next one is pb_stream_next(), and a chunk holds a run without
 * holes.
 */
#ifndef PB_STORE_STORE_H
#define PB_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/fingerprint.h"
#include "recorder/store/index/lender.h"
#include "recorder/store/layout.h"
#include "recorder/store/retain/retain.h"
#include "recorder/store/write/chunk.h"

#define PB_STREAMS_OPEN_MAX	16384		/* streams in memory */
#define PB_QUEUE_CHUNKS_MAX	1024		/* waiting for the writer */

struct pb_store;	/* opaque */
struct pb_stream;	/* opaque; lives until pb_store_close() */

/* Which packets get flow tables, so that searching need not look at them. */
enum pb_store_flows {
	PB_FLOWS_NO,			/* none */
	PB_FLOWS_YES,			/* those that come in */
	PB_FLOWS_ALL,			/* and those that came without */
};

struct pb_store_opts {
	const char	*path;
	uint32_t	 pen;
	uint64_t	 segment_size;		/* bytes */
	uint64_t	 segment_age_ms;
	uint64_t	 index_size;		/* bytes of the LMDB map */
	struct pb_retain_opts retain;		/* all 0: keep everything */
	enum pb_store_flows flows;
	bool		 stepped;	/* no thread: pb_store_turn() */
	bool		 brief;			/* pb_lock_brief(); packets can
						 * wait for flow tables */
};

/*
 * Open the store for writing, make it where there is none, recover what a
 * crash left, start the writer.  PB_EBUSY names the pid of the recorder
 * that has it.
 */
int	pb_store_open(struct pb_store **out, const struct pb_store_opts *opts,
	    struct pb_err *err);

/* It will be closed soon: nothing is begun anew, and where the index is made
 * again that ends.  Any thread; NULL is fine. */
void	pb_store_ends(struct pb_store *store);

/* Write what is queued, seal what is open, stop.  Producers have stopped. */
void	pb_store_close(struct pb_store *store);

/* One turn of the writer of a store that was opened `stepped`, as its thread
 * would make it now; pb_store_close() makes the last ones. */
void	pb_store_turn(struct pb_store *store);

/* The store's index, for reading, from any thread; it is the store's, and
 * goes with one that vanishes. */
struct pb_index *pb_store_index(struct pb_store *store);

/* The same for a short read on any thread, until pb_store_let_go(); NULL where
 * the store is away. */
struct pb_index *pb_store_hold(struct pb_store *store, struct pb_err *err);
void	pb_store_let_go(struct pb_store *store);

/* Where it is. */
const char *pb_store_path(const struct pb_store *store);

/* `heard(arg)` is called by the writer's thread each time that something has
 * become durable, and must be quick.  NULL: nobody is told; from its return
 * on nobody is. */
void	pb_store_hear(struct pb_store *store, void (*heard)(void *arg),
	    void *arg);

/*
 * The stream with this key, made in memory if need be (its row appears
 * with its first chunk).  Any thread.  PB_EINVAL where it is there with
 * another link type; PB_ELIMIT past PB_STREAMS_OPEN_MAX.
 */
int	pb_store_stream(struct pb_store *store,
	    const struct pb_stream_key *key, uint16_t linktype,
	    uint32_t snaplen, bool own, struct pb_stream **out,
	    struct pb_err *err);

/* The same where it is known already: 1, or 0 and `*out` NULL, or error. */
int	pb_store_stream_find(struct pb_store *store,
	    const struct pb_stream_key *key, struct pb_stream **out,
	    struct pb_err *err);

/*
 * The epoch of this node's own stream `node/interface`: the latest one
 * where link type and snap length are the same, else a new one.  Any
 * thread.
 */
int	pb_store_own_epoch(struct pb_store *store, const char *node,
	    const char *interface, uint16_t linktype, uint32_t snaplen,
	    uint64_t *epoch, struct pb_err *err);

/* The number after the last one submitted (from a chunk or a gap). */
uint64_t pb_stream_next(const struct pb_stream *stream);

/* The durable end: all up to it is on disk or a recorded gap. */
uint64_t pb_stream_durable(const struct pb_stream *stream);

/* Is it captured by this node? */
bool	pb_stream_own(const struct pb_stream *stream);

/* Its key, for logs. */
const struct pb_stream_key *pb_stream_key(const struct pb_stream *stream);

/*
 * Open gaps of a stream that touch [first, last], so that late packets
 * can fill them: up to `max` rows, count or error.  Any thread.
 */
int	pb_store_gaps(struct pb_store *store, const struct pb_stream *stream,
	    uint64_t first, uint64_t last, struct pb_gap_info *out,
	    size_t max, struct pb_err *err);

/*
 * The packet with the highest number <= `at` (at most the durable end) that
 * is there and can be read, `checked` and cut to `captured` bytes as
 * in peek.h: 1, 0 or an error.  Any thread.  Where
 * pb_store_changes() has counted up meanwhile, it may be of either store.
 */
int	pb_store_last(struct pb_store *store, const struct pb_stream *stream,
	    uint64_t at, bool checked, uint32_t captured,
	    struct pb_fingerprint *out, struct pb_err *err);

/*
 * Who reads its files lends its index for a call, from any thread: of it
 * nothing is kept, for the store may vanish, and another one be at its path.
 */
struct pb_index_lender pb_store_lender(struct pb_store *store);

/*
 * This node's own running numbers over all it takes in: reserves `count`
 * and returns the first.  Never given twice, across crashes too.
 */
uint64_t pb_store_take_numbers(struct pb_store *store, uint64_t count);

/*
 * Queue a chunk; never blocks.  The writer has it until `done`.
 * Its run must start at pb_stream_next(), or lie wholly within open gaps
 * below it (a late arrival).  PB_EBUSY when PB_QUEUE_CHUNKS_MAX wait:
 * nothing was taken.  PB_EORDER where the run starts elsewhere.
 */
int	pb_store_submit(struct pb_store *store, struct pb_chunk *chunk,
	    struct pb_err *err);

/* Where its producers' chunks have their tables of flows from; the store's,
 * until it is closed. */
struct pb_flow_pool *pb_store_flows(const struct pb_store *store);

/* What the writer did since the store was opened. */
struct pb_store_stats {
	uint64_t	chunks;
	uint64_t	bytes;
	uint64_t	commits;
	uint64_t	failures;	/* of writes, syncs, commits */
	uint64_t	tables;		/* index blocks with a row */
	uint64_t	table_bytes;	/* of their flow tables */
	uint64_t	tables_missing;	/* index blocks that got none */
	char		last_error[PB_ERR_TEXT_MAX]; /* "" when healed */
	bool		away;		/* the store is not at its path */
	uint64_t	returns;	/* how often it began anew since */
};
void	pb_store_stats(struct pb_store *store, struct pb_store_stats *out);

/*
 * Counts up when the store goes, and when one is there: what was known of
 * its streams before is not true any more.  Any thread.
 */
uint64_t pb_store_changes(const struct pb_store *store);

/*
 * The operator's word: a store that has vanished begins anew with what is at
 * its path, whatever that is.  Of no consequence where it has not.  Any
 * thread.
 */
void	pb_store_take(struct pb_store *store);

/* A larger map for the index, also for one that is opened later.  Any
 * thread. */
int	pb_store_resize(struct pb_store *store, uint64_t index_size,
	    struct pb_err *err);

/* Other bounds on what is kept, from now on; and what was made of them.
 * Any thread. */
int	pb_store_retain(struct pb_store *store,
	    const struct pb_retain_opts *opts, struct pb_err *err);
void	pb_store_retain_stats(struct pb_store *store,
	    struct pb_retain_stats *out);

#endif
