/*
 * cli/import/inlet_chunks.c - chunks on their way into the store
 *
 *	idle --take--> lent --give--> on their way --done--> idle
 *
 * By the socket of a recorder a chunk is on its way until it is acknowledged;
 * no byte of its blocks is copied for that, since the head goes into the room
 * left before them.  One short lock a chunk, none a packet.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/list.h"
#include "cli/import/importer.h"
#include "cli/import/inlet.h"

/* More chunks than this are lent where a file has many interfaces; they
 * fill slowly, and their bytes count then, not their size. */
#define LENT_WHOLE	64u
/* Before the blocks of a chunk that becomes a body.  Few heads need more. */
#define HEAD_ROOM	(16u << 10)

_Static_assert(PB_PUSH_REQUESTS_MAX < PB_INLET_CHUNKS_MAX,
    "who waits for the push is never the one it waits for");
_Static_assert(HEAD_ROOM <= PB_IMPORT_CHUNK_SPARE,
    "the largest packet fits a chunk without that room");

static int	add_chunk(struct pb_inlet *, struct pb_err *);
static int	push(struct pb_inlet *, const struct pb_stream_key *,
		    struct pb_chunk *, struct pb_err *);
static int	push_large_head(struct pb_inlet *, struct pb_push_section *,
		    struct pb_chunk *, struct pb_err *);
static void	pushed(void *);
static int	submit(struct pb_inlet *, const struct pb_stream_key *,
		    struct pb_chunk *, struct pb_err *);
static int	wait_below(struct pb_inlet *, unsigned, struct pb_err *);
static void	done(struct pb_chunk *, int, const struct pb_err *);

int
pb_inlet_take(struct pb_inlet *inlet, struct pb_chunk **out,
    struct pb_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&inlet->lock);
	if (inlet->idle == NULL)
		rc = add_chunk(inlet, err);
	*out = inlet->idle;
	if (rc == 0)
		inlet->idle = (*out)->next;
	pthread_mutex_unlock(&inlet->lock);
	if (rc < 0)
		return rc;
	(*out)->next = NULL;
	if (inlet->lent++ >= LENT_WHOLE) {
		/* Without memory but for what is going to be filled. */
		(void)madvise((*out)->data, (*out)->cap, MADV_NOHUGEPAGE);
		(void)madvise((*out)->data, (*out)->cap, MADV_DONTNEED);
	}
	return 0;
}

int
pb_inlet_give(struct pb_inlet *inlet, const struct pb_stream_key *key,
    struct pb_chunk *chunk, struct pb_err *err)
{
	int rc = wait_below(inlet, PB_INLET_CHUNKS_MAX, err);

	if (rc < 0)
		return rc;
	inlet->lent--;
	pthread_mutex_lock(&inlet->lock);
	inlet->on_way++;
	pthread_mutex_unlock(&inlet->lock);
	if (inlet->store == NULL)
		return push(inlet, key, chunk, err);
	return submit(inlet, key, chunk, err);
}

int
pb_inlet_finish(struct pb_inlet *inlet, struct pb_err *err)
{
	if (inlet->store == NULL)
		return pb_push_finish(inlet->push, err);
	return wait_below(inlet, 1, err);
}

void
pb_inlet_drop_chunks(struct pb_inlet *inlet)
{
	for (size_t i = 0; i < inlet->chunks; i++) {
		if (inlet->store == NULL)
			inlet->chunk[i]->data -= HEAD_ROOM;
		pb_chunk_destroy(inlet->chunk[i]);
	}
	free(inlet->chunk);
	inlet->chunk = NULL;
	inlet->chunks = inlet->cap = 0;
}

/* --- helpers ------------------------------------------------------------- */

static int
add_chunk(struct pb_inlet *inlet, struct pb_err *err)
{
	struct pb_chunk *chunk = pb_chunk_create();

	if (chunk == NULL || !PB_LIST_ROOM(inlet->chunk, inlet->cap,
	    inlet->chunks)) {
		pb_chunk_destroy(chunk);
		return pb_err_set(err, PB_ENOMEM, "no memory to import "
		    "packets");
	}
	chunk->done = done;
	chunk->arg = inlet;
	if (inlet->store == NULL) {
		chunk->data += HEAD_ROOM;
		chunk->cap -= HEAD_ROOM;
	}
	inlet->chunk[inlet->chunks++] = chunk;
	inlet->idle = chunk;
	return 0;
}

/* To a recorder: a section, which is the head and the blocks. */
static int
push(struct pb_inlet *inlet, const struct pb_stream_key *key,
    struct pb_chunk *chunk, struct pb_err *err)
{
	struct pb_buf *head = &inlet->head;
	struct pb_push_section section = {
		.key = *key,
		.first = chunk->first_seq, .last = chunk->last_seq,
		.done = pushed, .arg = chunk,
	};

	pb_buf_clear(head);
	if (pb_head_build(chunk->head, inlet->pen, chunk->first_seq, head) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory to import "
		    "packets");
	if (head->len > HEAD_ROOM)
		return push_large_head(inlet, &section, chunk, err);
	memcpy(chunk->data - head->len, head->data, head->len);
	section.body = chunk->data - head->len;
	section.len = head->len + chunk->len;
	return pb_push_send(inlet->push, &section, err);
}

/* It is copied, and goes alone. */
static int
push_large_head(struct pb_inlet *inlet, struct pb_push_section *section,
    struct pb_chunk *chunk, struct pb_err *err)
{
	int rc;

	if (pb_buf_put(&inlet->head, chunk->data, chunk->len) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory to import "
		    "packets");
	section->body = inlet->head.data;
	section->len = inlet->head.len;
	rc = pb_push_send(inlet->push, section, err);
	return rc < 0 ? rc : pb_push_finish(inlet->push, err);
}

static void
pushed(void *arg)
{
	done(arg, 0, NULL);
}

/* To the writer of the store, which is ours. */
static int
submit(struct pb_inlet *inlet, const struct pb_stream_key *key,
    struct pb_chunk *chunk, struct pb_err *err)
{
	int rc, earlier;

	rc = pb_store_stream(inlet->store, key, chunk->head->linktype,
	    PB_SNAPLEN, false, &chunk->stream, err);
	if (rc == 0)
		rc = pb_store_submit(inlet->store, chunk, err);
	if (rc == 0)
		return 0;
	pthread_mutex_lock(&inlet->lock);
	inlet->on_way--;
	pthread_mutex_unlock(&inlet->lock);
	/* One before it may have failed, and says why. */
	earlier = wait_below(inlet, 1, err);
	return earlier < 0 ? earlier : rc;
}

/* Until fewer than `count` are on their way; then the error of one that
 * failed, if any did. */
static int
wait_below(struct pb_inlet *inlet, unsigned count, struct pb_err *err)
{
	int rc;

	pthread_mutex_lock(&inlet->lock);
	while (inlet->on_way >= count)
		pthread_cond_wait(&inlet->back, &inlet->lock);
	rc = inlet->err.code;
	if (rc < 0)
		*err = inlet->err;
	pthread_mutex_unlock(&inlet->lock);
	return rc;
}

/* In the writer's thread. */
static void
done(struct pb_chunk *chunk, int rc, const struct pb_err *err)
{
	struct pb_inlet *inlet = chunk->arg;

	pb_chunk_reset(chunk);
	pthread_mutex_lock(&inlet->lock);
	if (rc < 0 && inlet->err.code == 0)
		pb_err_set(&inlet->err, rc, "%s", err != NULL ? err->text :
		    "the store cannot be written");
	inlet->on_way--;
	chunk->next = inlet->idle;
	inlet->idle = chunk;
	pthread_cond_signal(&inlet->back);
	pthread_mutex_unlock(&inlet->lock);
}
