/*
 * cli/import/inlet.c - the way into the store, for packets that `pb` brings
 *
 *	idle --take--> lent --give--> on their way --done--> idle
 *
 * By the socket of a recorder a chunk is on its way until it is acknowledged;
 * no byte of its blocks is copied for that, since the head goes into the room
 * left before them.  One short lock a chunk, none a packet.
 */
#include "cli/import/inlet.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/import/importer.h"
#include "cli/status/live.h"
#include "recorder/store/layout.h"
#include "recorder/store/lock.h"

#define POLL_MS		100
/* A recorder has the lock before it listens: so long it may take. */
#define ANSWER_MS_MAX	15000
/* More chunks than this are lent where a file has many interfaces; they
 * fill slowly, and their bytes count then, not their size. */
#define LENT_WHOLE	64u
/* Before the blocks of a chunk that becomes a body.  Few heads need more. */
#define HEAD_ROOM	(16u << 10)

_Static_assert(PB_PUSH_REQUESTS_MAX < PB_INLET_CHUNKS_MAX,
    "who waits for the push is never the one it waits for");
_Static_assert(HEAD_ROOM <= PB_IMPORT_CHUNK_SPARE,
    "the largest packet fits a chunk without that room");

static int	find_way(struct pb_inlet *, struct pb_cli *,
		    struct pb_err *);
static bool	answers(const char *);
static int	be_the_recorder(struct pb_inlet *, const struct pb_cli *,
		    struct pb_err *);
/* Chunks */
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
static void	drop_chunks(struct pb_inlet *);

int
pb_inlet_open(struct pb_inlet *inlet, struct pb_cli *cli, struct pb_err *err)
{
	char path[PATH_MAX];
	int rc;

	memset(inlet, 0, sizeof(*inlet));
	pthread_mutex_init(&inlet->lock, NULL);
	pthread_cond_init(&inlet->back, NULL);
	pb_buf_init(&inlet->head, PB_HEAD_BYTES_MAX + PB_CHUNK_BYTES);
	inlet->pen = cli->conf->node.pen;
	rc = pb_layout_path(path, cli->store, "recorder.sock", err);
	if (rc == 0)
		rc = find_way(inlet, cli, err);
	if (rc == 0 && inlet->store == NULL)
		rc = pb_push_create(&inlet->push, path, pb_cli_stopped, err);
	if (rc < 0)
		pb_inlet_close(inlet);
	return rc;
}

void
pb_inlet_close(struct pb_inlet *inlet)
{
	pb_push_destroy(inlet->push);	/* it gives back chunks */
	if (inlet->store != NULL) {
		/* What fails from here on nobody else hears of. */
		pb_log_level(PB_LOG_WARN);
		pb_store_close(inlet->store);
	}
	/* Only now has the writer given back all of them. */
	drop_chunks(inlet);
	pb_buf_finish(&inlet->head);
	pthread_cond_destroy(&inlet->back);
	pthread_mutex_destroy(&inlet->lock);
	memset(inlet, 0, sizeof(*inlet));
}

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

/*
 * The store is ours, or somebody listens who will go on doing so.  Another
 * import is waited for: it lets go of the store when its files are in.
 */
static int
find_way(struct pb_inlet *inlet, struct pb_cli *cli, struct pb_err *err)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	unsigned silent_ms = 0;
	bool told = false;
	pid_t pid;
	int rc;

	for (;;) {
		switch (pb_lock_held(cli->store, "recorder.lock", &pid)) {
		case PB_LOCK_FREE:
			rc = be_the_recorder(inlet, cli, err);
			if (rc != PB_EBUSY)
				return rc;
			silent_ms = 0;	/* that is somebody else by now */
			break;
		case PB_LOCK_BRIEF:
			if (!told)
				pb_cli_note("waiting for another import, pid "
				    "%ld, to end", (long)pid);
			told = true;
			silent_ms = 0;
			break;
		case PB_LOCK_HELD:
			if (answers(cli->store))
				return 0;
			silent_ms += POLL_MS;
			if (silent_ms > ANSWER_MS_MAX)
				return pb_err_set(err, PB_EBUSY, "process "
				    "%ld has the store %s and does not "
				    "answer on its recorder.sock",
				    (long)pid, cli->store);
		}
		nanosleep(&pause, NULL);
		if (pb_cli_stopped() != 0)
			return pb_err_set(err, PB_ESYS,
			    "interrupted; nothing was imported");
	}
}

static bool
answers(const char *store)
{
	struct pb_buf body;
	int rc;

	pb_buf_init(&body, PB_JSON_BODY_MAX);
	rc = pb_live_ask(store, &body, NULL);
	pb_buf_finish(&body);
	return rc >= 0;
}

static int
be_the_recorder(struct pb_inlet *inlet, const struct pb_cli *cli,
    struct pb_err *err)
{
	const struct pb_store_conf *conf = &cli->conf->store;
	const struct pb_store_opts opts = {
		.path = cli->store,
		.pen = cli->conf->node.pen,
		.segment_size = conf->segment_size,
		.segment_age_ms = conf->segment_age_ms,
		.index_size = conf->index_size,
		.flows = conf->flows == PB_CONF_FLOWS_NO ? PB_FLOWS_NO :
		    PB_FLOWS_YES,
		.brief = true,
	};
	int rc;

	/* What a recorder logs is no news to who runs `pb`. */
	pb_log_level(PB_LOG_WARN);
	/* Each stream has a segment open.  What is missing shows by itself. */
	(void)pb_files_raise(NULL);
	rc = pb_store_open(&inlet->store, &opts, err);
	/* A chunk that fails comes back with the reason: one line says it. */
	if (rc == 0)
		pb_log_level(PB_LOG_ERROR + 1);
	return rc;
}

/* --- chunks -------------------------------------------------------------- */

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
	if (inlet->store != NULL) {
		chunk->flow_pool = pb_store_flows(inlet->store);
	} else {
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

static void
drop_chunks(struct pb_inlet *inlet)
{
	for (size_t i = 0; i < inlet->chunks; i++) {
		if (inlet->store == NULL)
			inlet->chunk[i]->data -= HEAD_ROOM;
		pb_chunk_destroy(inlet->chunk[i]);
	}
	free(inlet->chunk);
}
