/*
 * recorder/store/write/batch.c - what is written and not yet committed
 *
 * A stream is dirty while the batch has something of it.  What a chunk adds
 * up stays the chunk's until the flush (flush.c), so going back to the last
 * commit is to cut the stream's file and to give its chunks away.
 */
#include <string.h>

#include "base/log.h"
#include "recorder/store/write/store_impl.h"

#define HEALED_MS	1000	/* without a failure, and it has healed */

static void	take_out(struct chunk_list *, const struct pb_stream *,
		    struct chunk_list *);

struct pb_chunk *
chunk_pop(struct chunk_list *list)
{
	struct pb_chunk *chunk = STAILQ_FIRST(list);

	if (chunk != NULL)
		STAILQ_REMOVE_HEAD(list, turn);
	return chunk;
}

void
batch_add(struct pb_store *store, struct pb_stream *stream, uint64_t due_ms)
{
	if (due_ms < store->flush_ms)
		store->flush_ms = due_ms;
	if (stream->dirty)
		return;
	stream->dirty = true;
	LIST_INSERT_HEAD(&store->dirty, stream, dirty_link);
}

int
batch_wait(struct pb_store *store, struct pb_chunk *chunk)
{
	chunk->stream->waits = true;
	store->flush_ms = 0;
	STAILQ_INSERT_TAIL(&store->later, chunk, turn);
	return 0;
}

void
batch_roll_back(struct pb_store *store, struct pb_stream *stream, int rc,
    const struct pb_err *err)
{
	struct chunk_list failed = STAILQ_HEAD_INITIALIZER(failed);
	struct pb_chunk *chunk;
	struct pb_err again;

	batch_note_failure(store, err);
	if (stream->dirty)
		LIST_REMOVE(stream, dirty_link);
	stream->dirty = stream->waits = false;
	stream->opens = 0;
	if (stream->segment != NULL &&
	    pb_segment_rollback(stream->segment, &again) < 0)
		batch_note_failure(store, &again);
	if (stream->late != NULL) {
		/* The sender may cut what it sends again in other places:
		 * then no file of this name would replace this one. */
		pb_segment_unlink(stream->late, NULL);
		pb_segment_destroy(stream->late);
		stream->late = NULL;
	}
	stream->end = stream->committed.last_seq;
	take_out(&store->written, stream, &failed);
	take_out(&store->later, stream, &failed);
	/* Capture keeps its numbers: its chunks are held, not refused. */
	pthread_mutex_lock(&store->mutex);
	if (!stream->keeps)
		atomic_store(&stream->next, stream->end + 1);
	pthread_mutex_unlock(&store->mutex);
	while ((chunk = chunk_pop(&failed)) != NULL)
		batch_refuse(store, chunk, rc, err);
}

void
batch_refuse(struct pb_store *store, struct pb_chunk *chunk, int rc,
    const struct pb_err *err)
{
	struct pb_stream *stream = chunk->stream;

	if (!chunk->keep_trying || rc == PB_EORDER) {
		chunk->done(chunk, rc, err);
		return;
	}
	if (STAILQ_EMPTY(&stream->held))
		LIST_INSERT_HEAD(&store->holders, stream, held_link);
	STAILQ_INSERT_TAIL(&stream->held, chunk, turn);
}

void
batch_note_failure(struct pb_store *store, const struct pb_err *err)
{
	if (!store->failing)
		pb_log(PB_LOG_ERROR, "store", "cannot write: %s", err->text);
	store->failing = true;
	store->written_since = false;
	store->failed_ms = store->now.mono_ms;
	store->look_ms = 0;	/* it may be gone */
	pthread_mutex_lock(&store->mutex);
	store->stats.failures++;
	strcpy(store->stats.last_error, err->text);
	pthread_mutex_unlock(&store->mutex);
}

void
batch_note_success(struct pb_store *store)
{
	store->written_since = true;
	pthread_mutex_lock(&store->mutex);
	store->stats.commits++;
	pthread_mutex_unlock(&store->mutex);
}

/*
 * On a disk that is nearly full a small write may succeed between large
 * ones that fail: that is one trouble, and two lines in the log.
 */
void
batch_note_healed(struct pb_store *store)
{
	if (!store->failing || !store->written_since ||
	    !LIST_EMPTY(&store->holders) || store->away ||
	    store->now.mono_ms - store->failed_ms < HEALED_MS)
		return;
	pb_log(PB_LOG_INFO, "store", "writing again");
	store->failing = false;
	pthread_mutex_lock(&store->mutex);
	store->stats.last_error[0] = '\0';
	pthread_mutex_unlock(&store->mutex);
}

/* The stream's chunks, in order. */
static void
take_out(struct chunk_list *from, const struct pb_stream *stream,
    struct chunk_list *out)
{
	struct chunk_list kept = STAILQ_HEAD_INITIALIZER(kept);
	struct pb_chunk *chunk;

	while ((chunk = chunk_pop(from)) != NULL)
		if (chunk->stream == stream)
			STAILQ_INSERT_TAIL(out, chunk, turn);
		else
			STAILQ_INSERT_TAIL(&kept, chunk, turn);
	STAILQ_CONCAT(from, &kept);
}
