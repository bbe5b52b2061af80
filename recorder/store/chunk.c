/*
 * recorder/store/chunk.c - the unit in which packets reach the writer
 *
 * The bytes of two chunks share a *slab*: one huge page of the processor
 * where the kernel has one to give.  Writing past the page cache then costs
 * a third of what it costs with small pages, and the first touch is one
 * fault instead of five hundred.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "recorder/store/segment.h"
#include "recorder/store/store.h"

#define SLAB_BYTES	(2u << 20)	/* a huge page of x86-64 and arm64 */
#define SLAB_CHUNKS	2u
/* Behind the capacity lies room for the writer's filler block. */
#define SPARE_BYTES	(4 * PB_PAGE_BYTES)

_Static_assert(SLAB_CHUNKS * (PB_CHUNK_BYTES + SPARE_BYTES) <= SLAB_BYTES,
    "the chunks of a slab fit into it");

struct pb_slab {
	uint8_t		*bytes;		/* SLAB_BYTES, so aligned */
	bool		 used[SLAB_CHUNKS];
	unsigned	 chunks;	/* that are used */
	struct pb_slab	*next;		/* of those with bytes to give */
};

/* Any thread makes and drops chunks; seldom, since pools keep them. */
static pthread_mutex_t	 mutex = PTHREAD_MUTEX_INITIALIZER;
static struct pb_slab	*half_used;

static struct pb_slab	*slab_create(void);
static uint8_t		*bytes_take(struct pb_slab **);
static void		 bytes_give(struct pb_slab *, const uint8_t *);

struct pb_chunk *
pb_chunk_create(void)
{
	struct pb_chunk *chunk = calloc(1, sizeof(*chunk));

	if (chunk == NULL)
		return NULL;
	chunk->data = bytes_take(&chunk->slab);
	if (chunk->data == NULL) {
		free(chunk);
		return NULL;
	}
	chunk->cap = PB_CHUNK_BYTES;
	return chunk;
}

void
pb_chunk_destroy(struct pb_chunk *chunk)
{
	if (chunk == NULL)
		return;
	pb_head_unref(chunk->head);
	bytes_give(chunk->slab, chunk->data);
	free(chunk);
}

void
pb_chunk_reset(struct pb_chunk *chunk)
{
	pb_head_unref(chunk->head);
	chunk->stream = NULL;
	chunk->head = NULL;
	chunk->len = 0;
	chunk->first_seq = 0;
	chunk->last_seq = 0;
	chunk->packets = 0;
	chunk->packet_bytes = 0;
	chunk->first_time = 0;
	chunk->last_time = 0;
	chunk->drops = 0;
	chunk->due_ms = 0;
	chunk->next = NULL;
	chunk->gap = (enum pb_gap_reason)0;
}

/* The bytes of a chunk, of a slab that has some left or of a new one. */
static uint8_t *
bytes_take(struct pb_slab **out)
{
	struct pb_slab *slab;
	unsigned i = 0;

	pthread_mutex_lock(&mutex);
	slab = half_used;
	if (slab == NULL)
		half_used = slab = slab_create();
	if (slab != NULL) {
		while (slab->used[i])
			i++;
		slab->used[i] = true;
		if (++slab->chunks == SLAB_CHUNKS)
			half_used = slab->next;
	}
	pthread_mutex_unlock(&mutex);
	*out = slab;
	return slab != NULL ? slab->bytes + i * SLAB_BYTES / SLAB_CHUNKS :
	    NULL;
}

static void
bytes_give(struct pb_slab *slab, const uint8_t *bytes)
{
	struct pb_slab **link = &half_used;

	pthread_mutex_lock(&mutex);
	slab->used[(size_t)(bytes - slab->bytes) * SLAB_CHUNKS /
	    SLAB_BYTES] = false;
	if (slab->chunks-- == SLAB_CHUNKS) {
		slab->next = half_used;
		half_used = slab;
	}
	if (slab->chunks == 0) {
		while (*link != slab)
			link = &(*link)->next;
		*link = slab->next;
		munmap(slab->bytes, SLAB_BYTES);
		free(slab);
	}
	pthread_mutex_unlock(&mutex);
}

/* Twice as much is asked for, and what lies around an aligned piece given
 * back: only an aligned one can be one huge page. */
static struct pb_slab *
slab_create(void)
{
	struct pb_slab *slab = calloc(1, sizeof(*slab));
	uint8_t *all;
	size_t before;

	if (slab == NULL)
		return NULL;
	all = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED) {
		free(slab);
		return NULL;
	}
	before = (SLAB_BYTES - (uintptr_t)all % SLAB_BYTES) % SLAB_BYTES;
	if (before > 0)
		munmap(all, before);
	slab->bytes = all + before;
	munmap(slab->bytes + SLAB_BYTES, SLAB_BYTES - before);
	/* Where there are none, small pages do. */
	(void)madvise(slab->bytes, SLAB_BYTES, MADV_HUGEPAGE);
	return slab;
}
