/*
 * recorder/store/write/store.c - the store, as producers of packets see it
 *
 * Owns the queue to the writer, and what all parts share.  All of it is
 * short work under one mutex; nothing here touches a packet.
 */
#include "recorder/store/write/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/below.h"
#include "recorder/store/write/flows.h"

static int	start_writer(struct pb_store *, struct pb_err *);
static void	destroy(struct pb_store *);
static int	check_order(const struct pb_chunk *, struct pb_err *);

int
pb_store_open(struct pb_store **out, const struct pb_store_opts *opts,
    struct pb_err *err)
{
	struct pb_store *store;
	pthread_condattr_t wake;
	int rc;

	if (strlen(opts->path) >= sizeof(store->path))
		return pb_err_set(err, PB_ELIMIT, "the store's path is too "
		    "long");
	store = calloc(1, sizeof(*store));
	if (store == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	store->opts = *opts;
	store->lock_fd = -1;
	store->clock = pb_below_clock(opts->path);
	store_read_clocks(store);
	store->queue_due_ms = store->sleeps_ms = store->flush_ms = NEVER_MS;
	STAILQ_INIT(&store->queue);
	STAILQ_INIT(&store->written);
	STAILQ_INIT(&store->later);
	strcpy(store->path, opts->path);
	store->opts.path = store->path;
	/* Retention has a copy of its own. */
	store->opts.retain.upstream = NULL;
	pthread_mutex_init(&store->mutex, NULL);
	pthread_rwlock_init(&store->index_lock, NULL);
	pthread_mutex_init(&store->hear_lock, NULL);
	/* A wall clock that is set back must not keep the writer asleep. */
	pthread_condattr_init(&wake);
	pthread_condattr_setclock(&wake, CLOCK_MONOTONIC);
	pthread_cond_init(&store->wake, &wake);
	pthread_condattr_destroy(&wake);
	rc = pb_home_init(&store->home, store->path, PB_HOME_INDEX, err);
	if (rc == 0)
		rc = pb_flow_pool_of_chunks(&store->flows, err);
	if (rc == 0)
		rc = pb_retain_create(&store->retain, store->path,
		    &opts->retain, err);
	if (rc == 0)
		rc = start_writer(store, err);
	if (rc < 0) {
		destroy(store);
		return rc;
	}
	*out = store;
	return 0;
}

void
pb_store_ends(struct pb_store *store)
{
	if (store != NULL)
		atomic_store(&store->ends, true);
}

void
pb_store_close(struct pb_store *store)
{
	if (store == NULL)
		return;
	pb_store_ends(store);
	pthread_mutex_lock(&store->mutex);
	store->stop = true;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->mutex);
	if (store->opts.stepped)
		pb_writer_main(store);
	else
		pthread_join(store->writer, NULL);
	destroy(store);
}

struct pb_index *
pb_store_index(struct pb_store *store)
{
	return store->index;
}

struct pb_index *
pb_store_hold(struct pb_store *store, struct pb_err *err)
{
	return index_hold(store, err);
}

void
pb_store_let_go(struct pb_store *store)
{
	index_let_go(store);
}

const char *
pb_store_path(const struct pb_store *store)
{
	return store->path;
}

void
pb_store_hear(struct pb_store *store, void (*heard)(void *), void *arg)
{
	pthread_mutex_lock(&store->hear_lock);
	store->heard = heard;
	store->heard_arg = arg;
	pthread_mutex_unlock(&store->hear_lock);
}

struct pb_flow_pool *
pb_store_flows(const struct pb_store *store)
{
	return store->opts.flows == PB_FLOWS_NO ? NULL : store->flows;
}

uint64_t
pb_store_take_numbers(struct pb_store *store, uint64_t count)
{
	return atomic_fetch_add(&store->numbers, count);
}

int
pb_store_submit(struct pb_store *store, struct pb_chunk *chunk,
    struct pb_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&store->mutex);
	if (store->queued >= PB_QUEUE_CHUNKS_MAX)
		rc = pb_err_set(err, PB_EBUSY, "the writer has %u chunks "
		    "waiting", PB_QUEUE_CHUNKS_MAX);
	else
		rc = check_order(chunk, err);
	if (rc == 0) {
		if (chunk->first_seq == atomic_load(&chunk->stream->next))
			atomic_store(&chunk->stream->next,
			    chunk->last_seq + 1);
		STAILQ_INSERT_TAIL(&store->queue, chunk, turn);
		store->queued++;
		store->queued_bytes += chunk->len;
		if (chunk->due_ms < store->queue_due_ms)
			store->queue_due_ms = chunk->due_ms;
		if (chunk->due_ms < store->sleeps_ms ||
		    store->queued_bytes >= PB_GATHER_BYTES)
			pthread_cond_signal(&store->wake);
	}
	pthread_mutex_unlock(&store->mutex);
	return rc;
}

void
pb_store_stats(struct pb_store *store, struct pb_store_stats *out)
{
	pthread_mutex_lock(&store->mutex);
	*out = store->stats;
	pthread_mutex_unlock(&store->mutex);
}

int
pb_store_retain(struct pb_store *store, const struct pb_retain_opts *opts,
    struct pb_err *err)
{
	int rc = pb_retain_set(store->retain, opts, err);

	pthread_mutex_lock(&store->mutex);
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->mutex);
	return rc;
}

int
pb_store_resize(struct pb_store *store, uint64_t index_size,
    struct pb_err *err)
{
	int rc = 0;

	pthread_rwlock_wrlock(&store->index_lock);
	if (store->index != NULL)
		rc = pb_mdb_resize(store->index->mdb, index_size, err);
	if (rc == 0)
		store->opts.index_size = index_size;
	pthread_rwlock_unlock(&store->index_lock);
	return rc;
}

void
pb_store_retain_stats(struct pb_store *store, struct pb_retain_stats *out)
{
	pb_retain_stats(store->retain, out);
}

static int
start_writer(struct pb_store *store, struct pb_err *err)
{
	int rc;

	store->slots = calloc(STREAM_SLOTS, sizeof(*store->slots));
	if (store->slots == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = flows_create(store, err);
	if (rc == 0)
		rc = store_open_parts(store, err);
	if (rc < 0)
		return rc;
	/* Here and now it costs capture no time. */
	pb_retain_wait(store->retain);
	store_is_ready(store);
	if (!store->opts.stepped && pthread_create(&store->writer, NULL,
	    pb_writer_main, store) != 0)
		return pb_err_set(err, PB_ESYS, "cannot start the writer "
		    "thread");
	return 0;
}

static void
destroy(struct pb_store *store)
{
	flows_destroy(store);
	if (store->slots != NULL)
		for (size_t i = 0; i < STREAM_SLOTS; i++) {
			if (store->slots[i] == NULL)
				continue;
			flows_drop(store->slots[i]);
			pb_segment_destroy(store->slots[i]->segment);
			free(store->slots[i]);
		}
	free(store->slots);
	store_close_parts(store);
	pb_retain_destroy(store->retain);
	pb_flow_pool_destroy(store->flows);
	if (store->held)
		pb_below_release(store->path);
	pthread_rwlock_destroy(&store->index_lock);
	pthread_mutex_destroy(&store->hear_lock);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->mutex);
	free(store);
}

static int
check_order(const struct pb_chunk *chunk, struct pb_err *err)
{
	uint64_t next = atomic_load(&chunk->stream->next);

	if (chunk->first_seq == 0 || chunk->last_seq < chunk->first_seq ||
	    chunk->last_seq == UINT64_MAX ||
	    chunk->first_seq > next ||
	    (chunk->first_seq < next && chunk->last_seq >= next))
		return pb_err_set(err, PB_EORDER, "packets %llu to %llu do "
		    "not follow %llu", (unsigned long long)chunk->first_seq,
		    (unsigned long long)chunk->last_seq,
		    (unsigned long long)(next - 1));
	return 0;
}
