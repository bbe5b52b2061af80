/*
 * recorder/store/write/batch.c - what is written and not yet committed
 *
 * A stream is dirty while the batch has something of it.  What a chunk adds
 * up stays the chunk's until the flush (flush.c), so going back to the last
 * commit is to cut the stream's file and to give its chunks away.
 */
#include <string.h>

#include "base/log.h"
#include "recorder/store/write/writer_impl.h"

#define HEALED_MS	1000	/* without a failure, and it has healed */

static void	take_out(struct chunk_list *, const struct pb_stream *,
		    struct chunk_list *);

void
chunk_push(struct chunk_list *list, struct pb_chunk *chunk)
{
	chunk->next = NULL;
	if (list->tail == NULL)
		list->head = chunk;
	else
		list->tail->next = chunk;
	list->tail = chunk;
}

struct pb_chunk *
chunk_pop(struct chunk_list *list)
{
	struct pb_chunk *chunk = list->head;

	if (chunk == NULL)
		return NULL;
	list->head = chunk->next;
	if (list->head == NULL)
		list->tail = NULL;
	chunk->next = NULL;
	return chunk;
}

void
chunk_move(struct chunk_list *to, struct chunk_list *from)
{
	if (from->head == NULL)
		return;
	if (to->tail == NULL)
		to->head = from->head;
	else
		to->tail->next = from->head;
	to->tail = from->tail;
	*from = (struct chunk_list){ NULL, NULL };
}

void
batch_add(struct pb_store *store, struct pb_stream *stream, uint64_t due_ms)
{
	if (due_ms < store->flush_ms)
		store->flush_ms = due_ms;
	if (stream->dirty)
		return;
	stream->dirty = true;
	stream->dirty_next = store->dirty;
	store->dirty = stream;
}

int
batch_wait(struct pb_store *store, struct pb_chunk *chunk)
{
	chunk->stream->waits = true;
	store->flush_ms = 0;
	chunk_push(&store->later, chunk);
	return 0;
}

void
batch_roll_back(struct pb_store *store, struct pb_stream *stream, int rc,
    const struct pb_err *err)
{
	struct chunk_list failed = { NULL, NULL };
	struct pb_stream **link = &store->dirty;
	struct pb_chunk *chunk;
	struct pb_err again;

	batch_note_failure(store, err);
	while (*link != NULL && *link != stream)
		link = &(*link)->dirty_next;
	if (*link != NULL)
		*link = stream->dirty_next;
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
	if (stream->held.head == NULL) {
		stream->held_next = store->holders;
		store->holders = stream;
	}
	chunk_push(&stream->held, chunk);
}

void
batch_unlink_open(struct pb_store *store, struct pb_stream *stream)
{
	struct pb_stream **link = &store->open;

	while (*link != NULL && *link != stream)
		link = &(*link)->open_next;
	if (*link != NULL)
		*link = stream->open_next;
	stream->open_next = NULL;
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
	    store->holders != NULL || store->away ||
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
	struct chunk_list kept = { NULL, NULL };
	struct pb_chunk *chunk;

	while ((chunk = chunk_pop(from)) != NULL)
		chunk_push(chunk->stream == stream ? out : &kept, chunk);
	*from = kept;
}
