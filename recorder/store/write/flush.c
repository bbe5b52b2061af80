/*
 * recorder/store/write/flush.c - the unit of truth
 *
 * What the writer has appended since the last flush is synced, sealed and
 * committed as one batch, and answered; or, stream by stream, taken back.
 * writer.c says in which order and why.
 *
 * Here alone chunks are merged into what their streams come to: before, it
 * is as committed, and there is nothing to undo.
 */
#include "base/log.h"
#include "base/owner.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/mend/repair.h"
#include "recorder/store/write/flows.h"
#include "recorder/store/write/store_impl.h"

#define FACTS_MAX	16	/* of one append to a journal */

static bool	is_late(const struct pb_chunk *);
static void	merge_chunks(struct pb_store *);
static void	close_segments(struct pb_store *);
static void	sync_begin(struct pb_store *);
static int	sync_stream(struct pb_store *, struct pb_stream *,
		    struct pb_err *);
static int	sync_segment(struct pb_store *, struct pb_stream *,
		    struct pb_err *);
static int	give_id(struct pb_store *, struct pb_stream *,
		    struct pb_err *);
static int	journal_facts(struct pb_store *, struct pb_stream *,
		    struct pb_err *);
static int	commit_batch(struct pb_store *, struct pb_err *);
static int	put_batch(struct pb_store *, bool, struct pb_err *);
static void	take_flows(struct pb_store *);
static void	count_written(struct pb_store *);
static void	put_stream_rows(struct pb_store *, struct pb_mdb_txn *,
		    struct pb_stream *);
static void	put_segment_rows(struct pb_mdb_txn *, struct pb_segment *,
		    bool);
static void	put_chunk_rows(struct pb_mdb_txn *, const struct pb_chunk *,
		    uint64_t);
static void	settle_stream(struct pb_store *, struct pb_stream *);
static void	tidy_journal(struct pb_store *, struct pb_stream *);

/* The unit of truth: after it, what is in `written` is durable. */
void
writer_flush(struct pb_store *store)
{
	struct pb_stream *stream, *next;
	struct pb_chunk *chunk;
	struct pb_err err = { 0 };
	bool news = !STAILQ_EMPTY(&store->written);
	int rc;

	if (!LIST_EMPTY(&store->dirty))
		store_age_move(store);
	merge_chunks(store);
	close_segments(store);
	sync_begin(store);
	for (stream = LIST_FIRST(&store->dirty); stream != NULL;
	    stream = next) {
		next = LIST_NEXT(stream, dirty_link);
		rc = sync_stream(store, stream, &err);
		if (rc < 0)
			batch_roll_back(store, stream, rc, &err);
		news |= stream->sealing;
	}
	store->flush_ms = NEVER_MS;
	store->written_bytes = 0;
	if (LIST_EMPTY(&store->dirty))
		return;
	rc = commit_batch(store, &err);
	while (rc < 0 && !LIST_EMPTY(&store->dirty))
		batch_roll_back(store, LIST_FIRST(&store->dirty), rc, &err);
	/* Announcements alone say nothing of the disk's health. */
	if (rc == 0 && news)
		batch_note_success(store);
	take_flows(store);
	while ((stream = LIST_FIRST(&store->dirty)) != NULL) {
		LIST_REMOVE(stream, dirty_link);
		stream->dirty = false;
		settle_stream(store, stream);
	}
	count_written(store);
	pthread_mutex_lock(&store->hear_lock);
	if (store->heard != NULL)
		store->heard(store->heard_arg);
	pthread_mutex_unlock(&store->hear_lock);
	while ((chunk = chunk_pop(&store->written)) != NULL)
		chunk->done(chunk, 0, NULL);
}

/* Does it fill a gap? */
static bool
is_late(const struct pb_chunk *chunk)
{
	return chunk->first_seq <= chunk->stream->committed.last_seq;
}

/* What the streams of the batch come to with it. */
static void
merge_chunks(struct pb_store *store)
{
	struct pb_stream *s;
	struct pb_chunk *c;

	LIST_FOREACH(s, &store->dirty, dirty_link)
		copy_counters(&s->info, &s->committed);
	STAILQ_FOREACH(c, &store->written, turn)
		if (c->gap != 0)
			c->stream->info.last_seq = c->last_seq;
		else
			pb_stream_count(&c->stream->info, c->first_seq,
			    c->last_seq, &c->tally, !is_late(c));
}

/* Statistics are worth having, not worth failing for. */
static void
close_segments(struct pb_store *store)
{
	struct pb_err err = { 0 };
	struct pb_stream *s;

	LIST_FOREACH(s, &store->dirty, dirty_link)
		if (s->sealing && s->info.own && pb_segment_close_stats(
		    s->segment, &s->info, store->now.real_ns, &err) < 0)
			batch_note_failure(store, &err);
}

static void
count_written(struct pb_store *store)
{
	const struct pb_chunk *c;

	pthread_mutex_lock(&store->mutex);
	STAILQ_FOREACH(c, &store->written, turn) {
		store->stats.chunks++;
		store->stats.bytes += c->len;
	}
	pthread_mutex_unlock(&store->mutex);
}

/*
 * Where many streams had something, the disk gets all of it before the
 * first of them is waited for.  Measured with 1,000 files of one dirty page
 * each: 48 ms instead of 160 to 360.
 */
static void
sync_begin(struct pb_store *store)
{
	struct pb_stream *s = LIST_FIRST(&store->dirty);

	if (s == NULL || LIST_NEXT(s, dirty_link) == NULL)
		return;
	LIST_FOREACH(s, &store->dirty, dirty_link) {
		if (s->segment != NULL)
			pb_segment_sync_soon(s->segment);
		if (s->late != NULL)
			pb_segment_sync_soon(s->late);
	}
}

static int
sync_stream(struct pb_store *store, struct pb_stream *stream,
    struct pb_err *err)
{
	int rc = 0;

	if (stream->segment != NULL)
		rc = sync_segment(store, stream, err);
	if (rc == 0 && stream->late != NULL)
		rc = pb_segment_sync(stream->late, err);
	if (rc == 0 && stream->late != NULL)
		rc = pb_segment_rename(stream->late, store_age_seal(store),
		    err);
	/* After the segment: sealing gives up a descriptor. */
	if (rc == 0 && stream->info.id == 0)
		rc = give_id(store, stream, err);
	if (rc == 0 && stream->facts)
		rc = journal_facts(store, stream, err);
	return rc;
}

static int
sync_segment(struct pb_store *store, struct pb_stream *stream,
    struct pb_err *err)
{
	int rc = pb_segment_sync(stream->segment, err);

	if (rc < 0 || !stream->sealing)
		return rc;
	/* One that never got a number goes, while it is still announced. */
	if (pb_segment_empty(pb_segment_row(stream->segment)))
		return pb_segment_unlink(stream->segment, err);
	return pb_segment_rename(stream->segment, store_age_seal(store), err);
}

/* It is the stream's from now on, and in the index with this batch, or with
 * a later one. */
static int
give_id(struct pb_store *store, struct pb_stream *stream, struct pb_err *err)
{
	struct pb_stream_info info = stream->committed;
	char dir[PATH_MAX];
	struct pb_fact fact;
	int rc;

	info.id = store->last_id + 1;
	fact = pb_fact_of_stream(&info);
	rc = pb_journal_append(store->path, &info.key, &fact, 1, err);
	if (rc == 0)
		stream->info.id = store->last_id = info.id;
	/* Where it is that, a peer and the log hear what to do. */
	else if (pb_layout_stream(dir, store->path, &info.key, NULL) == 0)
		pb_owner_explain(store->path, dir, err);
	return rc;
}

/* The gaps of this batch, and what fills some: on disk before the index has
 * them. */
static int
journal_facts(struct pb_store *store, struct pb_stream *stream,
    struct pb_err *err)
{
	struct pb_fact facts[FACTS_MAX];
	const struct pb_chunk *c;
	size_t count = 0;
	int rc = 0;

	STAILQ_FOREACH(c, &store->written, turn) {
		if (c->stream != stream || (c->gap == 0 && !is_late(c)))
			continue;
		if (count == FACTS_MAX) {
			rc = pb_journal_append(store->path, &stream->info.key,
			    facts, count, err);
			count = 0;
		}
		if (rc < 0)
			return rc;
		facts[count++] = (struct pb_fact){
			.kind = c->gap != 0 ? PB_FACT_GAP : PB_FACT_FILL,
			.first = c->first_seq,
			.last = c->last_seq,
			.reason = c->gap,
			.time_ns = store->now.real_ns,
		};
	}
	return count == 0 ? 0 : pb_journal_append(store->path,
	    &stream->info.key, facts, count, err);
}

/* Flow tables must not fail a batch: once more without them, then. */
static int
commit_batch(struct pb_store *store, struct pb_err *err)
{
	int rc = put_batch(store, true, err);

	return flows_settle(store, rc == 0) && rc < 0 ?
	    put_batch(store, false, err) : rc;
}

static int
put_batch(struct pb_store *store, bool flows, struct pb_err *err)
{
	uint64_t numbers = atomic_load(&store->numbers);
	uint64_t reserved = store->numbers_reserved;
	struct pb_mdb_txn txn;
	const struct pb_chunk *c;
	struct pb_stream *s;
	int rc = pb_index_begin(store->index, &txn, err);

	if (rc < 0)
		return rc;
	LIST_FOREACH(s, &store->dirty, dirty_link)
		put_stream_rows(store, &txn, s);
	STAILQ_FOREACH(c, &store->written, turn)
		put_chunk_rows(&txn, c, store->now.real_ns);
	if (numbers + NUMBERS_AHEAD / 2 > reserved) {
		reserved = numbers + NUMBERS_AHEAD;
		pb_index_meta_put(&txn, "numbers", reserved);
	}
	store_age_put(store, &txn);
	if (flows)
		flows_put(store, &txn);
	rc = pb_mdb_commit(&txn);
	if (rc == 0)
		store->numbers_reserved = reserved;
	return rc;
}

/* Of what has been committed, while it is known where it is. */
static void
take_flows(struct pb_store *store)
{
	const struct pb_chunk *c;

	STAILQ_FOREACH(c, &store->written, turn)
		flows_take(store, c, is_late(c) ? c->stream->late :
		    c->stream->segment, is_late(c));
}

/* With a segment that is sealed goes the announcement of the next one: it
 * may have the same number, where it never got a packet. */
static void
put_stream_rows(struct pb_store *store, struct pb_mdb_txn *txn,
    struct pb_stream *stream)
{
	if (stream->segment != NULL)
		put_segment_rows(txn, stream->segment, stream->sealing);
	if (stream->late != NULL)
		put_segment_rows(txn, stream->late, true);
	pb_index_put_stream(txn, &stream->info);
	if (stream->committed.id == 0)
		pb_index_meta_put(txn, "last_stream", store->last_id);
	if (stream->opens == 0)
		return;
	pb_index_put(txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = stream->info.id, .first_seq = stream->opens,
	    .key = stream->info.key });
	pb_retain_claim(store->retain, txn, stream->info.id, stream->opens);
}

static void
put_segment_rows(struct pb_mdb_txn *txn, struct pb_segment *segment,
    bool sealed)
{
	const struct pb_segment_info *row = pb_segment_row(segment);
	const struct pb_extent_info *extents;
	size_t count = pb_segment_extents(segment, &extents);

	if (sealed)
		pb_index_del(txn, PB_TABLE_OPEN, row->stream, row->first_seq);
	/* A segment that never got a number leaves no trace. */
	if (pb_segment_empty(row))
		return;
	pb_index_put_segment(txn, row);
	for (size_t i = 0; i < count; i++)
		pb_index_put(txn, PB_TABLE_EXTENTS, &extents[i]);
}

/* What the chunk tells beside its packets. */
static void
put_chunk_rows(struct pb_mdb_txn *txn, const struct pb_chunk *chunk,
    uint64_t now_ns)
{
	uint32_t id = chunk->stream->info.id;
	uint64_t first = chunk->first_seq, last = chunk->last_seq;

	if (chunk->gap != 0) {
		pb_index_add_gap(txn, &(struct pb_gap_info){ .stream = id,
		    .first = first, .last = last, .reason = chunk->gap,
		    .since_ns = now_ns });
	} else if (is_late(chunk)) {
		pb_index_fill_gaps(txn, id, first, last, now_ns);
	}
	for (unsigned i = 0; i < chunk->drops; i++) {
		struct pb_drop_info drop = chunk->drop[i];

		drop.stream = id;
		pb_index_put(txn, PB_TABLE_DROPS, &drop);
	}
}

/* The commit has covered this stream. */
static void
settle_stream(struct pb_store *store, struct pb_stream *stream)
{
	stream->facts = false;
	copy_counters(&stream->committed, &stream->info);
	stream->committed.id = stream->info.id;
	atomic_store(&stream->id, stream->info.id);
	atomic_store(&stream->durable, stream->info.last_seq);
	/* A store that was begun anew had said less than what waited then. */
	pthread_mutex_lock(&store->mutex);
	if (atomic_load(&stream->next) <= stream->info.last_seq)
		atomic_store(&stream->next, stream->info.last_seq + 1);
	pthread_mutex_unlock(&store->mutex);
	pb_segment_destroy(stream->late);
	stream->late = NULL;
	if (stream->segment == NULL)
		return;
	pb_segment_commit(stream->segment);
	if (!stream->sealing)
		return;
	flows_end(store, stream);
	pb_segment_destroy(stream->segment);
	stream->segment = NULL;
	stream->sealing = false;
	LIST_REMOVE(stream, open_link);
	tidy_journal(store, stream);
}

/*
 * A journal that has grown long is written anew from the index, which has
 * just been committed: retention's facts alone would make it grow for ever.
 * One that stays long is left alone until it has doubled.
 */
static void
tidy_journal(struct pb_store *store, struct pb_stream *stream)
{
	uint64_t due = stream->journal_due > PB_JOURNAL_BYTES_MAX ?
	    stream->journal_due : PB_JOURNAL_BYTES_MAX;
	const struct pb_stream_key *key = &stream->info.key;
	uint64_t bytes = pb_journal_bytes(store->path, key);
	struct pb_stream_info row;
	struct pb_err err;
	int rc;

	if (bytes <= due)
		return;
	rc = pb_index_stream(store->index, key, &row, &err);
	if (rc == 1)
		rc = pb_repair_journal(store->index, store->path, &row, &err);
	if (rc < 0)
		pb_log(PB_LOG_WARN, "store", "a journal stays long: %s",
		    err.text);
	stream->journal_due = 2 * (rc < 0 ? bytes :
	    pb_journal_bytes(store->path, key));
}
