/*
 * recorder/capture/pool.c - a source's chunks
 *
 * The list is last in, first out: a quiet interface touches one chunk's
 * memory and the others cost address space alone.
 */
#include "recorder/capture/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "recorder/store/write/store.h"

struct pb_pool {
	pthread_mutex_t	 lock;
	struct pb_chunk	*idle;		/* linked by `next` */
	_Atomic unsigned idle_count;	/* asked without the lock */
	unsigned	 out;		/* taken and not back */
	bool		 closed;
	/* What the store gave back unwritten, for one line at the end. */
	uint64_t	 lost, lost_first, lost_last;
	char		 interface[PB_IFNAME_BYTES_MAX + 1];
	char		 why[PB_ERR_TEXT_MAX];
};

static void	chunk_done(struct pb_chunk *, int, const struct pb_err *);
static void	pool_free(struct pb_pool *);

int
pb_pool_create(struct pb_pool **out, unsigned count,
    struct pb_flow_pool *flows, struct pb_err *err)
{
	struct pb_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return pb_err_set(err, PB_ENOMEM, "capture: no memory");
	pthread_mutex_init(&pool->lock, NULL);
	for (unsigned i = 0; i < count; i++) {
		struct pb_chunk *chunk = pb_chunk_create();

		if (chunk == NULL) {
			pool_free(pool);
			return pb_err_set(err, PB_ENOMEM, "capture: no memory "
			    "for %u chunks of %u bytes", count,
			    PB_CHUNK_BYTES);
		}
		chunk->done = chunk_done;
		chunk->arg = pool;
		chunk->flow_pool = flows;
		chunk->next = pool->idle;
		pool->idle = chunk;
		pool->idle_count++;
	}
	*out = pool;
	return 0;
}

struct pb_chunk *
pb_pool_take(struct pb_pool *pool)
{
	struct pb_chunk *chunk;

	if (atomic_load_explicit(&pool->idle_count,
	    memory_order_relaxed) == 0)
		return NULL;
	pthread_mutex_lock(&pool->lock);
	chunk = pool->idle;
	if (chunk != NULL) {
		pool->idle = chunk->next;
		pool->idle_count--;
		pool->out++;
	}
	pthread_mutex_unlock(&pool->lock);
	if (chunk != NULL)
		chunk->next = NULL;
	return chunk;
}

void
pb_pool_give(struct pb_pool *pool, struct pb_chunk *chunk)
{
	bool last;

	pb_chunk_reset(chunk);
	pthread_mutex_lock(&pool->lock);
	chunk->next = pool->idle;
	pool->idle = chunk;
	pool->idle_count++;
	pool->out--;
	last = pool->closed && pool->out == 0;
	pthread_mutex_unlock(&pool->lock);
	if (last)
		pool_free(pool);
}

void
pb_pool_close(struct pb_pool *pool)
{
	bool last;

	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->closed = true;
	last = pool->out == 0;
	pthread_mutex_unlock(&pool->lock);
	if (last)
		pool_free(pool);
}

/*
 * A captured chunk fails only where the store closes before it could be
 * written (keep_trying): its packets are lost, and the log is the one
 * place left to say so.
 */
static void
chunk_done(struct pb_chunk *chunk, int rc, const struct pb_err *err)
{
	struct pb_pool *pool = chunk->arg;

	if (rc < 0) {
		if (pool->lost == 0) {
			pool->lost_first = chunk->first_seq;
			snprintf(pool->interface, sizeof(pool->interface),
			    "%s", pb_stream_key(chunk->stream)->interface);
			snprintf(pool->why, sizeof(pool->why), "%s",
			    err != NULL ? err->text : "no reason given");
		}
		pool->lost += chunk->tally.packets;
		pool->lost_last = chunk->last_seq;
	}
	pb_pool_give(pool, chunk);
}

static void
pool_free(struct pb_pool *pool)
{
	struct pb_chunk *chunk;

	if (pool->lost > 0)
		pb_log(PB_LOG_ERROR, "capture", "%llu packets lost, the store "
		    "could not take them before it closed: %s interface=%s "
		    "first=%llu last=%llu", (unsigned long long)pool->lost,
		    pool->why, pool->interface,
		    (unsigned long long)pool->lost_first,
		    (unsigned long long)pool->lost_last);
	while ((chunk = pool->idle) != NULL) {
		pool->idle = chunk->next;
		pb_chunk_destroy(chunk);
	}
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
