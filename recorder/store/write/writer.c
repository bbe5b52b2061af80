/*
 * recorder/store/write/writer.c - the thread that makes packets durable
 *
 * A round: take what is queued, append it to segments, and when some of it
 * is due or there is much of it, flush:
 *
 *   1. fdatasync every segment that was written to
 *   2. give segments that are full their sealed name, sync the directory
 *   3. commit the index: extents, segments, streams, drops, gaps
 *   4. tell the producers (`done`)
 *
 * While 1 to 3 run the queue fills again, so one flush serves all streams
 * that had something (group commit), and a quiet store sleeps.  What nobody
 * waits for gathers until it is due (pb_chunk's `due_ms`): at line rate a
 * flush for every chunk would cost more than the packets.
 *
 * A new segment costs a flush before and a commit that announces it (the
 * `open` table), then the file.  So a crash between any two lines leaves
 * either an announced file that recovery looks at, or nothing.
 *
 * A failure belongs to the stream it met: its segment is cut back to the
 * last commit; a chunk of ingest is answered with the error, a chunk of
 * capture is held and tried again, in order, until the disk heals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owner.h"
#include "recorder/store/index/count.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/mend/aside.h"
#include "recorder/store/write/store_impl.h"
#include "recorder/store/write/writer_impl.h"

#define TICK_MS		250	/* looks at ages and held chunks */
#define HOME_MS		1000	/* looks whether the store is there */
#define HEALED_MS	1000	/* without a failure, and it has healed */
/* A flush at the latest: half of what a capture may have in its chunks. */
#define FLUSH_BYTES	(16u << 20)

static bool	wait_for_work(struct pb_store *, struct chunk_list *);
static uint64_t	wake_ms(const struct pb_store *, uint64_t);
static void	wait_until(struct pb_store *, uint64_t);
static bool	flush_is_due(const struct pb_store *);
static void	take(struct pb_store *, struct pb_chunk *);
static int	write_packets(struct pb_store *, struct pb_chunk *,
		    struct pb_err *);
static int	write_gap(struct pb_store *, struct pb_chunk *,
		    struct pb_err *);
static int	write_late(struct pb_store *, struct pb_chunk *,
		    struct pb_err *);
static int	order_error(const struct pb_store *,
		    const struct pb_chunk *, struct pb_err *);
static int	reserve_numbers(struct pb_store *, struct pb_err *);
static bool	gaps_cover(struct pb_store *, const struct pb_stream *,
		    uint64_t, uint64_t);
static bool	wants_new_segment(struct pb_store *, const struct pb_stream *,
		    const struct pb_chunk *);
static int	new_segment(struct pb_store *, struct pb_stream *,
		    struct pb_head *, uint64_t, struct pb_segment **,
		    struct pb_err *);
static int	announce(struct pb_store *, struct pb_stream *, uint64_t,
		    struct pb_err *);
static void	seal_later(struct pb_store *, struct pb_stream *);
static void	seal_aged(struct pb_store *, bool);
static void	try_held(struct pb_store *, bool);
static void	retain(struct pb_store *);
static void	settle(void *, const struct pb_stream_info *);
static void	mark_dirty(struct pb_store *, struct pb_stream *, uint64_t);
static void	note_healed(struct pb_store *, uint64_t);
static void	finish(struct pb_store *);

void *
pb_writer_main(void *arg)
{
	struct pb_store *store = arg;
	struct chunk_list work = { NULL, NULL };
	struct pb_chunk *chunk;
	uint64_t ticked = 0;

	while (wait_for_work(store, &work)) {
		uint64_t now = pb_clock_mono_ms();

		store_look(store, now);
		if (now - ticked >= TICK_MS && !store->away) {
			ticked = now;
			try_held(store, false);
			seal_aged(store, false);
			note_healed(store, now);
			store_age_keep(store);
		}
		while ((chunk = chunk_pop(&work)) != NULL)
			take(store, chunk);
		if (flush_is_due(store))
			writer_flush(store);
		retain(store);
	}
	finish(store);
	return NULL;
}

/* False when the store closes and the queue is empty. */
static bool
wait_for_work(struct pb_store *store, struct chunk_list *work)
{
	uint64_t now = pb_clock_mono_ms(), woke = now, until;
	bool more;

	pthread_mutex_lock(&store->mutex);
	while (!store->stop && !store->retain_more &&
	    store->queued_bytes < PB_GATHER_BYTES) {
		until = wake_ms(store, woke);
		if (until <= now)
			break;
		store->sleeps_ms = until;
		wait_until(store, until);
		now = pb_clock_mono_ms();
	}
	store->sleeps_ms = 0;
	more = store->queue.head != NULL || !store->stop;
	*work = store->queue;
	store->queue = (struct chunk_list){ NULL, NULL };
	store->queued = 0;
	store->queued_bytes = 0;
	store->queue_due_ms = NEVER_MS;
	pthread_mutex_unlock(&store->mutex);
	return more;
}

/* When something is to be done, if nothing more comes. */
static uint64_t
wake_ms(const struct pb_store *store, uint64_t woke)
{
	uint64_t at = woke + HOME_MS;

	if (store->open != NULL || store->holders != NULL || store->failing ||
	    store->away || pb_retain_wants_clock(store->retain))
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

static bool
flush_is_due(const struct pb_store *store)
{
	return store->written_bytes >= FLUSH_BYTES ||
	    store->flush_ms <= pb_clock_mono_ms();
}

static void
retain(struct pb_store *store)
{
	struct pb_retain_view view = { .index = store->index,
	    .age = &store->age, .now_ns = pb_clock_real_ns(),
	    .now_ms = pb_clock_mono_ms(), .changed = settle, .arg = store };

	/* Room is made between batches. */
	if (store->dirty != NULL && !store->away)
		return;
	store->retain_more = false;
	if (store->away ||
	    !pb_retain_due(store->retain, store->index, view.now_ms))
		return;
	store_age_move(store);
	for (struct pb_stream *s = store->open; s != NULL; s = s->open_next) {
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

/* Append one chunk; whatever happens, it is accounted for. */
static void
take(struct pb_store *store, struct pb_chunk *chunk)
{
	struct pb_stream *stream = chunk->stream;
	struct pb_err err = { 0 };
	int rc;

	/* Order: behind those of its stream that wait already. */
	if (stream->held.head != NULL && chunk->keep_trying) {
		chunk_push(&stream->held, chunk);
		return;
	}
	stream->keeps = chunk->keep_trying;
	if (store->away)
		rc = pb_err_set(&err, PB_ESYS, "%s", store->gone);
	else if (chunk->gap != 0)
		rc = write_gap(store, chunk, &err);
	else if (chunk->first_seq <= stream->info.last_seq)
		rc = write_late(store, chunk, &err);
	else
		rc = write_packets(store, chunk, &err);
	if (rc < 0)
		writer_chunk_failed(store, chunk, rc, &err);
}

static int
write_packets(struct pb_store *store, struct pb_chunk *chunk,
    struct pb_err *err)
{
	struct pb_stream *stream = chunk->stream;
	int rc;

	if (chunk->first_seq != stream->info.last_seq + 1)
		return order_error(store, chunk, err);
	rc = reserve_numbers(store, err);
	if (rc < 0) {
		writer_roll_back(store, stream, rc, err);
		return rc;
	}
	if (wants_new_segment(store, stream, chunk)) {
		seal_later(store, stream);
		writer_flush(store);
		if (stream->segment != NULL)
			return pb_err_set(err, PB_EBUSY, "the segment before "
			    "could not be sealed");
		retain(store);
		/* The flush may have failed and gone back. */
		if (chunk->first_seq != stream->info.last_seq + 1)
			return order_error(store, chunk, err);
	}
	if (stream->segment == NULL) {
		rc = new_segment(store, stream, chunk->head, chunk->first_seq,
		    &stream->segment, err);
		if (rc < 0) {
			writer_roll_back(store, stream, rc, err);
			return rc;
		}
		stream->opened_ms = pb_clock_mono_ms();
		stream->open_next = store->open;
		store->open = stream;
	}
	mark_dirty(store, stream, chunk->due_ms);
	rc = pb_segment_append(stream->segment, chunk, err);
	if (rc < 0) {
		/* What else of the stream is in the batch falls with it. */
		writer_roll_back(store, stream, rc, err);
		return rc;
	}
	pb_stream_count(&stream->info, chunk->first_seq, chunk->last_seq,
	    &chunk->tally, true);
	chunk_push(&store->written, chunk);
	store->written_bytes += chunk->len;
	return 0;
}

/* Numbers that will not come (or not now): the stream goes on behind. */
static int
write_gap(struct pb_store *store, struct pb_chunk *chunk, struct pb_err *err)
{
	struct pb_stream *stream = chunk->stream;

	int rc;

	if (chunk->first_seq != stream->info.last_seq + 1)
		return order_error(store, chunk, err);
	/* A stream may begin with a gap: its rows need its id. */
	if (stream->info.id == 0) {
		rc = announce(store, stream, 0, err);
		if (rc < 0) {
			writer_roll_back(store, stream, rc, err);
			return rc;
		}
	}
	if (stream->segment != NULL)
		seal_later(store, stream);
	stream->info.last_seq = chunk->last_seq;
	stream->facts = true;
	chunk->gap_ns = pb_clock_real_ns();
	mark_dirty(store, stream, chunk->due_ms);
	chunk_push(&store->written, chunk);
	return 0;
}

/* Packets that fill a gap: a segment of their own, sealed at once. */
static int
write_late(struct pb_store *store, struct pb_chunk *chunk, struct pb_err *err)
{
	struct pb_stream *stream = chunk->stream;
	struct pb_segment *segment = NULL;
	uint64_t now_ns = pb_clock_real_ns();
	struct pb_mdb_txn txn;
	int rc;

	writer_flush(store);
	retain(store);
	if (!gaps_cover(store, stream, chunk->first_seq, chunk->last_seq))
		return order_error(store, chunk, err);
	rc = reserve_numbers(store, err);
	if (rc == 0)
		rc = new_segment(store, stream, chunk->head, chunk->first_seq,
		    &segment, err);
	if (rc == 0)
		rc = pb_segment_append(segment, chunk, err);
	if (rc == 0)
		rc = pb_segment_sync(segment, err);
	store_age_move(store);
	if (rc == 0)
		rc = pb_segment_rename(segment, store_age_seal(store), err);
	if (rc == 0)
		rc = writer_journal_fill(store, chunk, now_ns, err);
	if (rc == 0)
		rc = pb_index_begin(store->index, &txn, err);
	if (rc == 0) {
		pb_stream_count(&stream->info, chunk->first_seq,
		    chunk->last_seq, &chunk->tally, false);
		writer_put_segment(&txn, segment, true);
		pb_index_fill_gaps(&txn, stream->info.id, chunk->first_seq,
		    chunk->last_seq, now_ns);
		pb_index_put_fill(&txn, stream->info.id, chunk->first_seq,
		    chunk->last_seq);
		writer_put_drops(&txn, chunk);
		pb_index_put_stream(&txn, &stream->info);
		store_age_put(store, &txn);
		rc = pb_mdb_commit(&txn);
	}
	/* The sender may cut what it sends again in other places: then no
	 * file of this name would replace this one. */
	if (rc < 0 && segment != NULL)
		pb_segment_unlink(segment, NULL);
	pb_segment_destroy(segment);
	if (rc < 0) {
		copy_counters(&stream->info, &stream->committed);
		writer_note_failure(store, err);
		return rc;
	}
	copy_counters(&stream->committed, &stream->info);
	writer_note_success(store);
	chunk->done(chunk, 0, NULL);
	return 0;
}

/* What came before may have failed: then that is the reason. */
static int
order_error(const struct pb_store *store, const struct pb_chunk *chunk,
    struct pb_err *err)
{
	pb_err_set(err, PB_EORDER, "packets %llu to %llu do not follow %llu",
	    (unsigned long long)chunk->first_seq,
	    (unsigned long long)chunk->last_seq,
	    (unsigned long long)chunk->stream->info.last_seq);
	if (!store->failing)
		return PB_EORDER;
	/* Only this thread writes it. */
	return pb_err_set(err, PB_EORDER, "what came before packet %llu could "
	    "not be written: %.380s", (unsigned long long)chunk->first_seq,
	    store->stats.last_error);
}

/* Running numbers that a chunk may hold are reserved before they reach a
 * file: what recovery takes in must not be given again. */
static int
reserve_numbers(struct pb_store *store, struct pb_err *err)
{
	uint64_t numbers = atomic_load(&store->numbers);
	struct pb_mdb_txn txn;
	int rc;

	if (numbers <= store->numbers_reserved)
		return 0;
	rc = pb_index_begin(store->index, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_meta_put(&txn, "numbers", numbers + NUMBERS_AHEAD);
	rc = pb_mdb_commit(&txn);
	if (rc == 0)
		store->numbers_reserved = numbers + NUMBERS_AHEAD;
	return rc;
}

/* All of first .. last lies in open gaps: nothing is stored twice. */
static bool
gaps_cover(struct pb_store *store, const struct pb_stream *stream,
    uint64_t first, uint64_t last)
{
	struct pb_gap_info gap;

	while (pb_store_gaps(store, stream, first, last, &gap, 1, NULL) == 1 &&
	    gap.first <= first) {
		if (gap.last >= last)
			return true;
		first = gap.last + 1;
	}
	return false;
}

static bool
wants_new_segment(struct pb_store *store, const struct pb_stream *stream,
    const struct pb_chunk *chunk)
{
	const struct pb_segment_info *row;

	if (stream->segment == NULL)
		return false;
	if (stream->sealing ||
	    pb_segment_head(stream->segment)->hash != chunk->head->hash)
		return true;
	row = pb_segment_row(stream->segment);
	if (row->packets == 0)
		return false;
	/* Three pages: what fillers may add. */
	return row->bytes + chunk->len + 3 * PB_PAGE_BYTES >
	    store->opts.segment_size ||
	    pb_clock_mono_ms() - stream->opened_ms >=
	    store->opts.segment_age_ms;
}

/* Announce, then make: recovery looks at what was announced. */
static int
new_segment(struct pb_store *store, struct pb_stream *stream,
    struct pb_head *head, uint64_t first_seq, struct pb_segment **out,
    struct pb_err *err)
{
	struct pb_segment_place place = {
		.store = store->path,
		.key = &stream->info.key,
		.pen = store->opts.pen,
		.age_ms = store->age.ms,
	};
	char path[PATH_MAX];
	int rc;

	if (!store_is_there(store, err))
		return PB_ESYS;
	rc = announce(store, stream, first_seq, err);
	place.stream = stream->info.id;
	/* What stands there is none of ours, or a try that failed. */
	if (rc == 0)
		rc = pb_aside_extra(store->path, &stream->info.key, first_seq,
		    err);
	if (rc == 0)
		rc = pb_segment_create(out, &place, head, first_seq,
		    pb_clock_real_ns(), err);
	/* Where it is that, a peer and the log hear what to do. */
	if (rc < 0 && err != NULL && pb_layout_segment(path, store->path,
	    &stream->info.key, first_seq, true, NULL) == 0)
		pb_owner_explain(store->path, path, err);
	return rc;
}

/* Give the stream its id and row if it has none yet, and list the segment
 * that will start at `first_seq` (0: none) as open. */
static int
announce(struct pb_store *store, struct pb_stream *stream, uint64_t first_seq,
    struct pb_err *err)
{
	uint32_t id = stream->info.id != 0 ? stream->info.id :
	    store->last_id + 1;
	struct pb_stream_info info = stream->committed;
	struct pb_mdb_txn txn;
	struct pb_fact fact;
	int rc = 0;

	info.id = id;
	if (stream->info.id == 0) {
		fact = pb_fact_of_stream(&info);
		rc = pb_journal_append(store->path, &info.key, &fact, 1, err);
	}
	if (rc == 0)
		rc = pb_index_begin(store->index, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_put_stream(&txn, &info);
	if (stream->info.id == 0)
		pb_index_meta_put(&txn, "last_stream", id);
	if (first_seq != 0) {
		pb_index_put_open(&txn, id, &stream->info.key, first_seq);
		pb_retain_claim(store->retain, &txn, id, first_seq);
	}
	rc = pb_mdb_commit(&txn);
	if (rc < 0)
		return rc;
	if (stream->info.id == 0) {
		store->last_id = id;
		stream->info.id = stream->committed.id = id;
		atomic_store(&stream->id, id);
	}
	return 0;
}

/* At the next flush this stream's segment gets its sealed name. */
static void
seal_later(struct pb_store *store, struct pb_stream *stream)
{
	struct pb_err err = { 0 };

	mark_dirty(store, stream, 0);
	if (stream->sealing)
		return;
	stream->sealing = true;
	/* Statistics are worth having, not worth failing for. */
	if (stream->info.own && pb_segment_close_stats(stream->segment,
	    &stream->info, pb_clock_real_ns(), &err) < 0)
		writer_note_failure(store, &err);
}

static void
seal_aged(struct pb_store *store, bool all)
{
	uint64_t now = pb_clock_mono_ms();

	for (struct pb_stream *s = store->open; s != NULL; s = s->open_next)
		if (all || s->sealing ||
		    now - s->opened_ms >= store->opts.segment_age_ms)
			seal_later(store, s);
}

void
writer_chunk_failed(struct pb_store *store, struct pb_chunk *chunk, int rc,
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

/* Held chunks, in order; `last` is the store's closing. */
static void
try_held(struct pb_store *store, bool last)
{
	struct pb_stream *stream = store->holders, *next;
	struct pb_chunk *chunk;

	if (stream == NULL)
		return;		/* what else is written waits until it is due */
	store->holders = NULL;
	for (; stream != NULL; stream = next) {
		struct chunk_list held = stream->held;

		next = stream->held_next;
		stream->held = (struct chunk_list){ NULL, NULL };
		while ((chunk = chunk_pop(&held)) != NULL) {
			if (last)
				chunk->keep_trying = false;
			take(store, chunk);
		}
	}
	writer_flush(store);
}

void
copy_counters(struct pb_stream_info *to, const struct pb_stream_info *from)
{
	to->first_seq = from->first_seq;
	to->last_seq = from->last_seq;
	to->packets = from->packets;
	to->bytes = from->bytes;
	to->dropped = from->dropped;
	to->dropped_before = from->dropped_before;
	to->first_time = from->first_time;
	to->last_time = from->last_time;
	to->unsteady = from->unsteady;
}

/* In the batch, which is to be flushed by `due_ms`. */
static void
mark_dirty(struct pb_store *store, struct pb_stream *stream, uint64_t due_ms)
{
	if (due_ms < store->flush_ms)
		store->flush_ms = due_ms;
	if (stream->dirty)
		return;
	stream->dirty = true;
	stream->dirty_next = store->dirty;
	store->dirty = stream;
}

void
writer_unlink_open(struct pb_store *store, struct pb_stream *stream)
{
	struct pb_stream **link = &store->open;

	while (*link != NULL && *link != stream)
		link = &(*link)->open_next;
	if (*link != NULL)
		*link = stream->open_next;
	stream->open_next = NULL;
}

void
writer_note_failure(struct pb_store *store, const struct pb_err *err)
{
	if (!store->failing)
		pb_log(PB_LOG_ERROR, "store", "cannot write: %s", err->text);
	store->failing = true;
	store->written_since = false;
	store->failed_ms = pb_clock_mono_ms();
	store->look_ms = 0;	/* it may be gone */
	pthread_mutex_lock(&store->mutex);
	store->stats.failures++;
	strcpy(store->stats.last_error, err->text);
	pthread_mutex_unlock(&store->mutex);
}

void
writer_note_success(struct pb_store *store)
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
static void
note_healed(struct pb_store *store, uint64_t now_ms)
{
	if (!store->failing || !store->written_since ||
	    store->holders != NULL || now_ms - store->failed_ms < HEALED_MS)
		return;
	pb_log(PB_LOG_INFO, "store", "writing again");
	store->failing = false;
	pthread_mutex_lock(&store->mutex);
	store->stats.last_error[0] = '\0';
	pthread_mutex_unlock(&store->mutex);
}

/* Seal what is open and leave exact numbers behind. */
static void
finish(struct pb_store *store)
{
	struct pb_mdb_txn txn;
	struct pb_err err;

	try_held(store, true);
	seal_aged(store, true);
	writer_flush(store);
	if (!store->away && pb_index_begin(store->index, &txn, &err) == 0) {
		pb_index_meta_put(&txn, "numbers",
		    atomic_load(&store->numbers));
		pb_index_meta_put(&txn, PB_META_CLEAN, 1);
		store_age_move(store);
		pb_index_put_age(&txn, &store->age);
		pb_mdb_commit(&txn);
	}
}
