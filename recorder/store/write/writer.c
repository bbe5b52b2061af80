/*
 * recorder/store/write/writer.c - the thread that makes packets durable
 *
 * A turn: take what is queued, append it to segments (append.c), and when
 * some of it is due or there is much of it, flush (flush.c):
 *
 *   1. fdatasync every segment that was written to
 *   2. give segments that are full their sealed name, sync the directory
 *   3. commit the index: extents, segments, streams, drops, gaps, and the
 *      segments that are about to begin
 *   4. tell the producers (`done`)
 *
 * While 1 to 3 run the queue fills again, so one flush serves all streams
 * that had something (group commit), and a quiet store sleeps.  What nobody
 * waits for gathers until it is due (pb_chunk's `due_ms`): at line rate a
 * flush for every chunk would cost more than the packets.
 *
 * A segment is announced by a commit before it has a file (the `open`
 * table): that which seals the one before it.  The chunks that begin it
 * are taken in the next turn.  So a crash between any two lines leaves
 * either an announced file that recovery looks at, or nothing.
 *
 * A failure belongs to the stream it met: its segment is cut back to the
 * last commit; a chunk of ingest is answered with the error, a chunk of
 * capture is held and tried again, in order, until the disk heals.
 */
#include <time.h>

#include "base/clock.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/write/flows.h"

#define TICK_MS		250	/* looks at ages and held chunks */
#define HOME_MS		1000	/* looks whether the store is there */
/* A flush at the latest: half of what a capture may have in its chunks. */
#define FLUSH_BYTES	(16u << 20)

static bool	wait_for_work(struct pb_store *);
static bool	rows_wait(const struct pb_store *);
static void	take_queue(struct pb_store *, struct chunk_list *);
static uint64_t	wake_ms(const struct pb_store *, uint64_t);
static void	wait_until(struct pb_store *, uint64_t);
static void	turn(struct pb_store *, struct chunk_list *);
static void	make_room(struct pb_store *);
static void	settle(void *, const struct pb_stream_info *);
static void	tick(struct pb_store *, struct chunk_list *);
static void	take_later(struct pb_store *, struct chunk_list *);
static void	take_held(struct pb_store *, struct chunk_list *, bool);
static void	seal_aged(struct pb_store *, bool);
static void	finish(struct pb_store *);

void *
pb_writer_main(void *arg)
{
	struct pb_store *store = arg;

	while (wait_for_work(store))
		pb_store_turn(store);
	finish(store);
	return NULL;
}

void
pb_store_turn(struct pb_store *store)
{
	struct chunk_list work = STAILQ_HEAD_INITIALIZER(work);

	take_later(store, &work);
	take_queue(store, &work);
	turn(store, &work);
	if (LIST_EMPTY(&store->dirty) && !store->away)
		flows_commit(store);
	/* Not while the store closes: it is not to take long. */
	if (LIST_EMPTY(&store->dirty) || store->away)
		make_room(store);
}

/* False when the store closes and there is nothing left to take. */
static bool
wait_for_work(struct pb_store *store)
{
	uint64_t now = pb_clock_mono_ms_by(store->clock), woke = now, until;
	bool more;

	pthread_mutex_lock(&store->mutex);
	/* Room is made between batches only, and rows are put: beside one
	 * nothing is gained by turning. */
	more = store->retain_more && LIST_EMPTY(&store->dirty);
	while (!store->stop && STAILQ_EMPTY(&store->later) && !more &&
	    !rows_wait(store) && store->queued_bytes < PB_GATHER_BYTES) {
		until = wake_ms(store, woke);
		if (until <= now)
			break;
		store->sleeps_ms = until;
		wait_until(store, until);
		now = pb_clock_mono_ms_by(store->clock);
	}
	store->sleeps_ms = 0;
	more = !STAILQ_EMPTY(&store->later) || !STAILQ_EMPTY(&store->queue) ||
	    !store->stop;
	pthread_mutex_unlock(&store->mutex);
	return more;
}

/* Of flow tables, and no batch takes them along. */
static bool
rows_wait(const struct pb_store *store)
{
	return store->flows_ready && LIST_EMPTY(&store->dirty) &&
	    !store->away;
}

static void
take_queue(struct pb_store *store, struct chunk_list *work)
{
	pthread_mutex_lock(&store->mutex);
	STAILQ_CONCAT(work, &store->queue);
	store->queued = 0;
	store->queued_bytes = 0;
	store->queue_due_ms = NEVER_MS;
	pthread_mutex_unlock(&store->mutex);
}

/* When something is to be done, if nothing more comes. */
static uint64_t
wake_ms(const struct pb_store *store, uint64_t woke)
{
	uint64_t at = woke + HOME_MS;

	if (!LIST_EMPTY(&store->open) || !LIST_EMPTY(&store->holders) ||
	    store->failing || store->away ||
	    pb_retain_wants_clock(store->retain))
		at = woke + TICK_MS;
	if (store->queue_due_ms < at)
		at = store->queue_due_ms;
	if (store->flush_ms < at)
		at = store->flush_ms;
	return at;
}

static void
wait_until(struct pb_store *store, uint64_t until_ms)
{
	struct timespec until = {	/* store.c: wake's clock */
		.tv_sec = (time_t)(until_ms / 1000),
		.tv_nsec = (long)(until_ms % 1000) * (long)PB_NS_PER_MS,
	};

	pthread_cond_timedwait(&store->wake, &store->mutex, &until);
}

/* What must wait for the flush is in store->later afterwards. */
static void
turn(struct pb_store *store, struct chunk_list *work)
{
	struct pb_chunk *chunk;

	store_read_clocks(store);
	store_look(store);
	if (store->now.mono_ms - store->ticked_ms >= TICK_MS && !store->away)
		tick(store, work);
	while ((chunk = chunk_pop(work)) != NULL)
		writer_take(store, chunk);
	if (store->written_bytes >= FLUSH_BYTES ||
	    store->flush_ms <= store->now.mono_ms)
		writer_flush(store);
	batch_note_healed(store);
}

/* Between two batches. */
static void
make_room(struct pb_store *store)
{
	struct pb_retain_view view = { .index = store->index,
	    .age = &store->age, .now_ns = store->now.real_ns,
	    .now_ms = store->now.mono_ms, .changed = settle, .arg = store };
	const struct pb_stream *s;

	store->retain_more = false;
	if (store->away ||
	    !pb_retain_due(store->retain, store->index, view.now_ms))
		return;
	store_age_move(store);
	LIST_FOREACH(s, &store->open, open_link) {
		view.open_bytes += pb_segment_row(s->segment)->bytes;
		view.open_segments++;
	}
	store->retain_more = pb_retain_run(store->retain, &view);
}

/* Segments of the stream were deleted: memory knows what its row says. */
static void
settle(void *arg, const struct pb_stream_info *row)
{
	struct pb_stream *stream = stream_in_memory(arg, &row->key);

	if (stream == NULL)
		return;
	copy_counters(&stream->committed, row);
	/* Between batches both are the same. */
	copy_counters(&stream->info, row);
}

static void
tick(struct pb_store *store, struct chunk_list *work)
{
	store->ticked_ms = store->now.mono_ms;
	take_held(store, work, false);
	seal_aged(store, false);
	store_age_keep(store);
}

/* Those that waited for a flush. */
static void
take_later(struct pb_store *store, struct chunk_list *work)
{
	struct pb_chunk *c;

	STAILQ_FOREACH(c, &store->later, turn)
		c->stream->waits = false;
	STAILQ_CONCAT(work, &store->later);
}

/* Held chunks, before all others of their streams; `last` is the store's
 * closing. */
static void
take_held(struct pb_store *store, struct chunk_list *work, bool last)
{
	struct chunk_list held = STAILQ_HEAD_INITIALIZER(held);
	struct pb_stream *stream;
	struct pb_chunk *c;

	if (!LIST_EMPTY(&store->holders))
		store->flush_ms = 0;
	while ((stream = LIST_FIRST(&store->holders)) != NULL) {
		LIST_REMOVE(stream, held_link);
		STAILQ_FOREACH(c, &stream->held, turn)
			c->keep_trying &= !last;
		STAILQ_CONCAT(&held, &stream->held);
	}
	STAILQ_CONCAT(&held, work);
	STAILQ_CONCAT(work, &held);
}

static void
seal_aged(struct pb_store *store, bool all)
{
	struct pb_stream *s;

	LIST_FOREACH(s, &store->open, open_link)
		if (all || s->sealing || store->now.mono_ms - s->opened_ms >=
		    store->opts.segment_age_ms)
			writer_seal_later(store, s);
}

/* Seal what is open and leave exact numbers behind. */
static void
finish(struct pb_store *store)
{
	struct chunk_list work = STAILQ_HEAD_INITIALIZER(work);
	struct pb_mdb_txn txn;
	struct pb_err err;

	do {
		take_held(store, &work, true);
		store->flush_ms = 0;
		turn(store, &work);
		take_later(store, &work);
	} while (!STAILQ_EMPTY(&work) || !LIST_EMPTY(&store->holders));
	seal_aged(store, true);
	turn(store, &work);
	flows_finish(store);
	if (!store->away && pb_index_begin(store->index, &txn, &err) == 0) {
		pb_index_meta_put(&txn, "numbers",
		    atomic_load(&store->numbers));
		pb_index_meta_put(&txn, PB_META_CLEAN, 1);
		store_age_move(store);
		pb_index_put_age(&txn, &store->age);
		pb_mdb_commit(&txn);
	}
}
