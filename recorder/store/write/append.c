/*
 * recorder/store/write/append.c - one chunk, into its stream's segment
 *
 * Most chunks are appended at once.  Some need a commit first, and wait for
 * the flush at the end of this turn:
 *
 *   a segment begins    the one before it is sealed by that commit, which
 *                       also announces the new one (the `open` table), so
 *                       that recovery looks at its file
 *   numbers run out     running numbers are reserved ahead of their use: what
 *                       recovery takes in must not be given again
 *   late packets        they have a segment and a commit of their own, and
 *                       look at gaps as they were committed
 *
 * and with a chunk wait those of its stream that come behind it.
 */
#include "base/owner.h"
#include "recorder/store/index/count.h"
#include "recorder/store/index/index_expire.h"
#include "recorder/store/mend/aside.h"
#include "recorder/store/write/writer_impl.h"

static bool	must_wait(struct pb_store *, struct pb_chunk *);
static bool	segment_takes(struct pb_store *, const struct pb_stream *,
		    const struct pb_chunk *);
static int	write_packets(struct pb_store *, struct pb_chunk *,
		    struct pb_err *);
static int	write_gap(struct pb_store *, struct pb_chunk *,
		    struct pb_err *);
static int	write_late(struct pb_store *, struct pb_chunk *,
		    struct pb_err *);
static int	announce_late(struct pb_store *, const struct pb_chunk *,
		    struct pb_err *);
static int	commit_late(struct pb_store *, struct pb_chunk *,
		    const struct pb_segment *, struct pb_stream_info *,
		    struct pb_err *);
static int	make_segment(struct pb_store *, const struct pb_chunk *,
		    struct pb_segment **, struct pb_err *);
static bool	gaps_cover(struct pb_store *, const struct pb_stream *,
		    uint64_t, uint64_t);
static int	order_error(const struct pb_store *,
		    const struct pb_chunk *, struct pb_err *);

void
writer_take(struct pb_store *store, struct pb_chunk *chunk)
{
	struct pb_stream *stream = chunk->stream;
	struct pb_err err = { 0 };
	bool waits;
	int rc;

	/* Order: behind those of its stream that wait already. */
	if (stream->held.head != NULL && chunk->keep_trying) {
		chunk_push(&stream->held, chunk);
		return;
	}
	stream->keeps = chunk->keep_trying;
	waits = !store->away && must_wait(store, chunk);
	if (store->away)
		rc = pb_err_set(&err, PB_ESYS, "%s", store->gone);
	else if (waits)
		rc = batch_wait(store, chunk);
	else if (chunk->gap != 0)
		rc = write_gap(store, chunk, &err);
	else if (chunk->first_seq <= stream->end)
		rc = write_late(store, chunk, &err);
	else
		rc = write_packets(store, chunk, &err);
	if (rc < 0)
		batch_refuse(store, chunk, rc, &err);
}

void
writer_seal_later(struct pb_store *store, struct pb_stream *stream)
{
	batch_add(store, stream, 0);
	stream->sealing = true;
}

/* For the flush: it is made to bring what the chunk needs. */
static bool
must_wait(struct pb_store *store, struct pb_chunk *chunk)
{
	struct pb_stream *stream = chunk->stream;
	bool numbers = atomic_load(&store->numbers) <=
	    store->numbers_reserved;

	if (stream->waits)
		return true;
	if (chunk->gap != 0)
		return false;
	if (chunk->first_seq <= stream->end && numbers)
		return store->dirty != NULL;
	if (chunk->first_seq > stream->end + 1)
		return false;	/* write_packets() says so */
	if (chunk->first_seq == stream->end + 1 &&
	    !segment_takes(store, stream, chunk)) {
		/* Nothing is made at the path of a store that has gone. */
		if (!store_is_there(store, NULL))
			return false;
		if (stream->segment != NULL)
			writer_seal_later(store, stream);
		stream->opens = chunk->first_seq;
	} else if (numbers) {
		return false;
	}
	batch_add(store, stream, 0);
	return true;
}

/* Its open one, or the one that has been announced for it. */
static bool
segment_takes(struct pb_store *store, const struct pb_stream *stream,
    const struct pb_chunk *chunk)
{
	const struct pb_segment_info *row;

	if (stream->segment == NULL)
		return stream->opens == chunk->first_seq;
	if (stream->sealing ||
	    pb_segment_head(stream->segment)->hash != chunk->head->hash)
		return false;
	row = pb_segment_row(stream->segment);
	if (row->packets == 0)
		return true;
	/* Three pages: what fillers may add. */
	return row->bytes + chunk->len + 3 * PB_PAGE_BYTES <=
	    store->opts.segment_size &&
	    store->now.mono_ms - stream->opened_ms <
	    store->opts.segment_age_ms;
}

static int
write_packets(struct pb_store *store, struct pb_chunk *chunk,
    struct pb_err *err)
{
	struct pb_stream *stream = chunk->stream;
	int rc = 0;

	if (chunk->first_seq != stream->end + 1)
		return order_error(store, chunk, err);
	if (stream->segment == NULL) {
		rc = make_segment(store, chunk, &stream->segment, err);
		stream->opens = 0;
		if (rc == 0) {
			stream->opened_ms = store->now.mono_ms;
			stream->open_next = store->open;
			store->open = stream;
		}
	}
	batch_add(store, stream, chunk->due_ms);
	if (rc == 0)
		rc = pb_segment_append(stream->segment, chunk, err);
	if (rc < 0) {
		/* What else of the stream is in the batch falls with it. */
		batch_roll_back(store, stream, rc, err);
		return rc;
	}
	stream->end = chunk->last_seq;
	chunk_push(&store->written, chunk);
	store->written_bytes += chunk->len;
	return 0;
}

/* Numbers that will not come (or not now): the stream goes on behind. */
static int
write_gap(struct pb_store *store, struct pb_chunk *chunk, struct pb_err *err)
{
	struct pb_stream *stream = chunk->stream;

	if (chunk->first_seq != stream->end + 1)
		return order_error(store, chunk, err);
	if (stream->segment != NULL)
		writer_seal_later(store, stream);
	stream->end = chunk->last_seq;
	stream->facts = true;
	chunk->gap_ns = store->now.real_ns;
	batch_add(store, stream, chunk->due_ms);
	chunk_push(&store->written, chunk);
	return 0;
}

/* Packets that fill a gap: a segment of their own, sealed at once. */
static int
write_late(struct pb_store *store, struct pb_chunk *chunk, struct pb_err *err)
{
	struct pb_stream *stream = chunk->stream;
	struct pb_stream_info row = stream->committed;
	struct pb_segment *segment = NULL;
	int rc;

	if (!gaps_cover(store, stream, chunk->first_seq, chunk->last_seq))
		return order_error(store, chunk, err);
	rc = announce_late(store, chunk, err);
	if (rc == 0)
		rc = make_segment(store, chunk, &segment, err);
	if (rc == 0)
		rc = pb_segment_append(segment, chunk, err);
	if (rc == 0)
		rc = pb_segment_sync(segment, err);
	store_age_move(store);
	if (rc == 0)
		rc = pb_segment_rename(segment, store_age_seal(store), err);
	if (rc == 0)
		rc = commit_late(store, chunk, segment, &row, err);
	/* The sender may cut what it sends again in other places: then no
	 * file of this name would replace this one. */
	if (rc < 0 && segment != NULL)
		pb_segment_unlink(segment, NULL);
	pb_segment_destroy(segment);
	if (rc < 0) {
		batch_note_failure(store, err);
		return rc;
	}
	copy_counters(&stream->committed, &row);
	batch_note_success(store);
	chunk->done(chunk, 0, NULL);
	return 0;
}

static int
announce_late(struct pb_store *store, const struct pb_chunk *chunk,
    struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc;

	if (!store_is_there(store, err))
		return PB_ESYS;
	rc = pb_index_begin(store->index, &txn, err);
	if (rc < 0)
		return rc;
	writer_put_open(store, &txn, chunk->stream, chunk->first_seq);
	return pb_mdb_commit(&txn);
}

/* On disk as a fact before the index says that the gap is closed. */
static int
commit_late(struct pb_store *store, struct pb_chunk *chunk,
    const struct pb_segment *segment, struct pb_stream_info *row,
    struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = writer_journal_fill(store, chunk, store->now.real_ns, err);

	if (rc == 0)
		rc = pb_index_begin(store->index, &txn, err);
	if (rc < 0)
		return rc;
	pb_stream_count(row, chunk->first_seq, chunk->last_seq,
	    &chunk->tally, false);
	writer_put_segment(&txn, segment, true);
	pb_index_fill_gaps(&txn, row->id, chunk->first_seq, chunk->last_seq,
	    store->now.real_ns);
	pb_index_put_fill(&txn, row->id, chunk->first_seq, chunk->last_seq);
	writer_put_drops(&txn, chunk);
	pb_index_put_stream(&txn, row);
	store_age_put(store, &txn);
	return pb_mdb_commit(&txn);
}

/* The file of one that is announced. */
static int
make_segment(struct pb_store *store, const struct pb_chunk *chunk,
    struct pb_segment **out, struct pb_err *err)
{
	const struct pb_stream_info *info = &chunk->stream->info;
	struct pb_segment_place place = {
		.store = store->path,
		.key = &info->key,
		.stream = info->id,
		.pen = store->opts.pen,
		.age_ms = store->age.ms,
	};
	char path[PATH_MAX];
	int rc;

	if (!store_is_there(store, err))
		return PB_ESYS;
	/* What stands there is none of ours, or a try that failed. */
	rc = pb_aside_extra(store->path, &info->key, chunk->first_seq, err);
	if (rc == 0)
		rc = pb_segment_create(out, &place, chunk->head,
		    chunk->first_seq, store->now.real_ns, err);
	/* Where it is that, a peer and the log hear what to do. */
	if (rc < 0 && err != NULL && pb_layout_segment(path, store->path,
	    &info->key, chunk->first_seq, true, NULL) == 0)
		pb_owner_explain(store->path, path, err);
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

/* What came before may have failed: then that is the reason. */
static int
order_error(const struct pb_store *store, const struct pb_chunk *chunk,
    struct pb_err *err)
{
	pb_err_set(err, PB_EORDER, "packets %llu to %llu do not follow %llu",
	    (unsigned long long)chunk->first_seq,
	    (unsigned long long)chunk->last_seq,
	    (unsigned long long)chunk->stream->end);
	if (!store->failing)
		return PB_EORDER;
	/* Only this thread writes it. */
	return pb_err_set(err, PB_EORDER, "what came before packet %llu could "
	    "not be written: %.380s", (unsigned long long)chunk->first_seq,
	    store->stats.last_error);
}
