/*
 * recorder/store/write/chunk.c - the unit in which packets reach the writer
 *
 * Chunks of one size share a *slab*: one huge page of the processor where
 * the kernel has one to give.  Writing past the page cache then costs a
 * third of what it costs with small pages, and the first touch is one fault
 * instead of five hundred.
 *
 * A slab whose chunks are all back is given to the size that is asked for
 * next, so what a pool has is counted in slabs, however chunks lie in them.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "recorder/store/write/chunk.h"
#include "recorder/store/write/segment.h"

#define SLAB_BYTES	PB_SLAB_BYTES
/* Behind the capacity lies room for the writer's filler block. */
#define SPARE_BYTES	(4 * PB_PAGE_BYTES)

/* With the room behind it. */
static const size_t size[] = { 32u << 10, 96u << 10, 384u << 10, 1u << 20 };

#define SIZES		(sizeof(size) / sizeof(size[0]))
#define LARGEST		(SIZES - 1)

_Static_assert(PB_CHUNK_BYTES + SPARE_BYTES == 1u << 20,
    "the largest size is that of a capture's chunk");

LIST_HEAD(slabs, pb_slab);

struct pb_slab {
	struct pb_chunk_pool *pool;
	uint8_t		*bytes;		/* SLAB_BYTES, so aligned */
	unsigned	 of;		/* which size */
	uint64_t	 used;		/* a bit for each chunk */
	LIST_ENTRY(pb_slab) link;	/* some chunk is free */
};

_Static_assert(SLAB_BYTES / (32u << 10) <= 64, "a bit for each chunk");

struct pb_chunk_pool {
	pthread_mutex_t	 mutex;
	struct slabs	 some[SIZES];	/* with chunks to give */
	struct slabs	 empty;		/* of no size */
	size_t		 slabs, empties; /* all; of those empty */
	size_t		 kept_max;	/* slabs */
};

/* Of who asks for no pool: captures, which make their chunks at start. */
static struct pb_chunk_pool common = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static unsigned	size_for(size_t);
static uint64_t	all_used(unsigned);
static struct pb_slab *slab_with_room(struct pb_chunk_pool *, unsigned);
static uint8_t	*bytes_take(struct pb_chunk_pool *, unsigned,
		    struct pb_slab **);
static void	bytes_give(struct pb_slab *, const uint8_t *);
static struct pb_slab *slab_create(struct pb_chunk_pool *);
static void	slab_destroy(struct pb_slab *);

int
pb_chunk_pool_create(struct pb_chunk_pool **out, size_t kept_max,
    struct pb_err *err)
{
	struct pb_chunk_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	pthread_mutex_init(&pool->mutex, NULL);
	pool->kept_max = kept_max / SLAB_BYTES;
	*out = pool;
	return 0;
}

void
pb_chunk_pool_destroy(struct pb_chunk_pool *pool)
{
	struct pb_slab *slab;

	if (pool == NULL)
		return;
	while ((slab = LIST_FIRST(&pool->empty)) != NULL) {
		LIST_REMOVE(slab, link);
		slab_destroy(slab);
	}
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
}

size_t
pb_chunk_pool_used(struct pb_chunk_pool *pool)
{
	size_t slabs;

	pthread_mutex_lock(&pool->mutex);
	slabs = pool->slabs - pool->empties;
	pthread_mutex_unlock(&pool->mutex);
	return slabs * SLAB_BYTES;
}

size_t
pb_chunk_pool_more(struct pb_chunk_pool *pool, size_t bytes)
{
	unsigned of = size_for(bytes);
	bool some;

	/* What did not fit into one chunk begins the next: two of them hold
	 * more than one full one, so there are at most that many pairs, an
	 * odd one, and a last one of a smaller size. */
	if (bytes > PB_CHUNK_BYTES)
		return (bytes / PB_CHUNK_BYTES + 3) * SLAB_BYTES;
	pthread_mutex_lock(&pool->mutex);
	some = !LIST_EMPTY(&pool->some[of]);
	pthread_mutex_unlock(&pool->mutex);
	return some ? 0 : SLAB_BYTES;
}

struct pb_chunk *
pb_chunk_create(void)
{
	return pb_chunk_take(&common, PB_CHUNK_BYTES);
}

struct pb_chunk *
pb_chunk_take(struct pb_chunk_pool *pool, size_t bytes)
{
	struct pb_chunk *chunk = aligned_alloc(PB_DIGEST_ALIGN,
	    pb_round_up(sizeof(*chunk), PB_DIGEST_ALIGN));
	unsigned of = size_for(bytes);

	if (chunk == NULL)
		return NULL;
	memset(chunk, 0, sizeof(*chunk));
	chunk->data = bytes_take(pool, of, &chunk->slab);
	if (chunk->data == NULL) {
		free(chunk);
		return NULL;
	}
	chunk->cap = size[of] - SPARE_BYTES;
	/* The sizes of tables that go with these, as captures are mixed. */
	chunk->flow_size = of < LARGEST ? of : LARGEST - 1;
	return chunk;
}

void
pb_chunk_destroy(struct pb_chunk *chunk)
{
	if (chunk == NULL)
		return;
	pb_head_unref(chunk->head);
	pb_flow_pool_give(chunk->flow_pool, chunk->flows);
	bytes_give(chunk->slab, chunk->data);
	free(chunk);
}

void
pb_chunk_reset(struct pb_chunk *chunk)
{
	pb_head_unref(chunk->head);
	if (chunk->flows != NULL)
		chunk->flow_size = pb_flow_pool_size(chunk->flows);
	pb_flow_pool_give(chunk->flow_pool, chunk->flows);
	chunk->flows = NULL;
	chunk->stream = NULL;
	chunk->head = NULL;
	chunk->len = 0;
	chunk->first_seq = 0;
	chunk->last_seq = 0;
	chunk->tally = (struct pb_tally){ 0 };
	chunk->drops = 0;
	chunk->due_ms = 0;
	chunk->digested = 0;
	chunk->next = NULL;
	chunk->gap = (enum pb_gap_reason)0;
}

/* The smallest that has room for `bytes`, or the largest. */
static unsigned
size_for(size_t bytes)
{
	unsigned of = 0;

	while (of < LARGEST && bytes > size[of] - SPARE_BYTES)
		of++;
	return of;
}

static uint64_t
all_used(unsigned of)
{
	size_t chunks = SLAB_BYTES / size[of];

	return chunks < 64 ? ((uint64_t)1 << chunks) - 1 : UINT64_MAX;
}

static uint8_t *
bytes_take(struct pb_chunk_pool *pool, unsigned of, struct pb_slab **out)
{
	struct pb_slab *slab;
	unsigned i = 0;

	pthread_mutex_lock(&pool->mutex);
	slab = slab_with_room(pool, of);
	if (slab != NULL) {
		while (slab->used & (uint64_t)1 << i)
			i++;
		slab->used |= (uint64_t)1 << i;
		if (slab->used == all_used(of))
			LIST_REMOVE(slab, link);
	}
	pthread_mutex_unlock(&pool->mutex);
	*out = slab;
	return slab != NULL ? slab->bytes + i * size[of] : NULL;
}

/* On the list of its size: one that has begun, an empty one, a new one. */
static struct pb_slab *
slab_with_room(struct pb_chunk_pool *pool, unsigned of)
{
	struct pb_slab *slab = LIST_FIRST(&pool->some[of]);

	if (slab != NULL)
		return slab;
	slab = LIST_FIRST(&pool->empty);
	if (slab != NULL) {
		LIST_REMOVE(slab, link);
		pool->empties--;
	} else {
		slab = slab_create(pool);
		if (slab == NULL)
			return NULL;
		pool->slabs++;
	}
	slab->of = of;
	LIST_INSERT_HEAD(&pool->some[of], slab, link);
	return slab;
}

static void
bytes_give(struct pb_slab *slab, const uint8_t *bytes)
{
	struct pb_chunk_pool *pool = slab->pool;
	size_t i = (size_t)(bytes - slab->bytes) / size[slab->of];

	pthread_mutex_lock(&pool->mutex);
	if (slab->used == all_used(slab->of))
		LIST_INSERT_HEAD(&pool->some[slab->of], slab, link);
	slab->used &= ~((uint64_t)1 << i);
	if (slab->used == 0) {
		LIST_REMOVE(slab, link);
		if (pool->empties < pool->kept_max) {
			LIST_INSERT_HEAD(&pool->empty, slab, link);
			pool->empties++;
		} else {
			slab_destroy(slab);
			pool->slabs--;
		}
	}
	pthread_mutex_unlock(&pool->mutex);
}

static struct pb_slab *
slab_create(struct pb_chunk_pool *pool)
{
	struct pb_slab *slab = calloc(1, sizeof(*slab));

	if (slab == NULL)
		return NULL;
	slab->pool = pool;
	slab->bytes = pb_pages_map(SLAB_BYTES, PROT_READ | PROT_WRITE, 0);
	if (slab->bytes == NULL) {
		free(slab);
		return NULL;
	}
	/* Where there are none, small pages do. */
	(void)madvise(slab->bytes, SLAB_BYTES, MADV_HUGEPAGE);
	return slab;
}

static void
slab_destroy(struct pb_slab *slab)
{
	munmap(slab->bytes, SLAB_BYTES);
	free(slab);
}
