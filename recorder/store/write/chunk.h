/*
 * recorder/store/write/chunk.h - the unit in which packets reach the writer
 *
 * A chunk is filled by its producer (fill.h), is the writer's from
 * pb_store_submit() until its `done`, and then the producer's again.
 */
#ifndef PB_STORE_CHUNK_H
#define PB_STORE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/sys.h"
#include "recorder/flow/pool.h"
#include "recorder/store/head.h"
#include "recorder/store/index/index.h"
#include "recorder/store/tally.h"

/* Capacity of a chunk: with the writer's room behind it, a mebibyte. */
#define PB_CHUNK_BYTES		((1u << 20) - (16u << 10))
#define PB_SLAB_BYTES		PB_HUGE_BYTES	/* chunks share one */
#define PB_CHUNK_DROPS_MAX	8u

struct pb_slab;		/* opaque */
struct pb_stream;	/* store.h */

struct pb_chunk {
	struct pb_stream *stream;
	struct pb_head	*head;		/* the chunk holds a reference */
	uint8_t		*data;		/* page-aligned; whole blocks */
	size_t		 len;
	size_t		 cap;		/* PB_CHUNK_BYTES at most; more lies
					 * behind it for the writer's filler */
	uint64_t	 first_seq;
	uint64_t	 last_seq;
	struct pb_tally	 tally;		/* of packets first_seq .. last_seq */
	/* Drop counts; more than these are added to the last one. */
	unsigned	 drops;
	struct pb_drop_info drop[PB_CHUNK_DROPS_MAX];
	/*
	 * true: the writer keeps the chunk and tries again until it
	 * succeeds or the store closes (capture); false: a failure is
	 * reported at once and nothing of it is kept (ingest).
	 */
	bool		 keep_trying;
	/*
	 * When it shall be durable, pb_clock_mono_ms(): until then the
	 * writer may gather more, so that one flush serves many.  0: at
	 * once, somebody waits for it.
	 */
	uint64_t	 due_ms;
	/* Called by the writer thread; the chunk is the caller's again. */
	void		(*done)(struct pb_chunk *chunk, int rc,
			    const struct pb_err *err);
	void		*arg;		/* the producer's */
	struct pb_chunk	*next;		/* the producer's */
	STAILQ_ENTRY(pb_chunk) turn;	/* the writer's */
	struct pb_slab	*slab;		/* whose bytes `data` is (chunk.c) */
	/* Of the first `digested` bytes, by a producer that has them in its
	 * processor's cache; 0: the writer does it. */
	struct pb_digest digest;
	size_t		 digested;
	uint64_t	 file_at;	/* where in its segment's file it
					 * begins; the writer's */
	/* Where its table of flows comes from; NULL: it has none.  The table
	 * of its packets; NULL with packets: look at each. */
	struct pb_flow_pool *flow_pool;
	unsigned	 flow_size;	/* the size that is taken first */
	struct pb_flows	*flows;
	/* A gap instead of packets: first_seq .. last_seq, data unused. */
	enum pb_gap_reason gap;
};

/* A chunk of PB_CHUNK_BYTES, empty; NULL without memory.  `destroy` takes
 * NULL and drops the head. */
struct pb_chunk *pb_chunk_create(void);
void	pb_chunk_destroy(struct pb_chunk *chunk);
/* Ready for the next use: empty, no head, no flows; `done`, `arg` and where
 * flows come from are kept. */
void	pb_chunk_reset(struct pb_chunk *chunk);

/*
 * Chunks of several sizes from memory of their own, for a producer whose
 * packets come in portions.  Of memory that no chunk uses `kept_max` bytes
 * stay for the next ones.  All chunks are back before `destroy`.
 */
struct pb_chunk_pool;
int	pb_chunk_pool_create(struct pb_chunk_pool **out, size_t kept_max,
	    struct pb_err *err);
void	pb_chunk_pool_destroy(struct pb_chunk_pool *pool);

/* One that has room for `bytes`, or of PB_CHUNK_BYTES where they are more.
 * It ends with pb_chunk_destroy(). */
struct pb_chunk *pb_chunk_take(struct pb_chunk_pool *pool, size_t bytes);

/* The memory that chunks use now, in whole slabs; and how much more it
 * would be, at most, with chunks for `bytes` of packets in sequence. */
size_t	pb_chunk_pool_used(struct pb_chunk_pool *pool);
size_t	pb_chunk_pool_more(struct pb_chunk_pool *pool, size_t bytes);

#endif
