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
 *   packets come late   into a segment of their own, which is sealed with
 *                       its batch; whether they fill a gap shows when what
 *                       their stream has in the batch is committed
 *
 * and with a chunk wait those of its stream that come behind it.
 */
#include "base/owner.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/mend/aside.h"
#include "recorder/store/write/store_impl.h"

static bool	must_wait(struct pb_store *, struct pb_chunk *);
static bool	segment_takes(struct pb_store *, const struct pb_stream *,
		    const struct pb_chunk *);
static int	write_packets(struct pb_store *, struct pb_chunk *,
		    struct pb_err *);
static int	write_gap(struct pb_store *, struct pb_chunk *,
		    struct pb_err *);
static int	segment_for(struct pb_store *, struct pb_chunk *,
		    struct pb_segment **, struct pb_err *);
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
	if (!STAILQ_EMPTY(&stream->held) && chunk->keep_trying) {
		STAILQ_INSERT_TAIL(&stream->held, chunk, turn);
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
	bool late = chunk->first_seq <= stream->end, ready;

	if (stream->waits)
		return true;
	if (chunk->gap != 0 || chunk->first_seq > stream->end + 1)
		return false;
	ready = late ? stream->opens == chunk->first_seq :
	    segment_takes(store, stream, chunk);
	if (ready && atomic_load(&store->numbers) <= store->numbers_reserved)
		return false;
	if (late && !ready) {
		if (stream->dirty)
			return true;
		if (!gaps_cover(store, stream, chunk->first_seq,
		    chunk->last_seq))
			return false;
	}
	if (!ready) {
		/* Nothing is made at the path of a store that has gone. */
		if (!store_is_there(store, NULL))
			return false;
		if (!late && stream->segment != NULL)
			writer_seal_later(store, stream);
		stream->opens = chunk->first_seq;
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
	if (pb_segment_empty(row))
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
	bool late = chunk->first_seq <= stream->end;
	struct pb_segment *segment;
	int rc;

	if (late ? stream->opens != chunk->first_seq :
	    chunk->first_seq != stream->end + 1)
		return order_error(store, chunk, err);
	rc = segment_for(store, chunk, &segment, err);
	batch_add(store, stream, late ? 0 : chunk->due_ms);
	if (rc == 0)
		rc = pb_segment_append(segment, chunk, err);
	if (rc < 0) {
		/* What else of the stream is in the batch falls with it. */
		batch_roll_back(store, stream, rc, err);
		return rc;
	}
	if (late)
		stream->facts = true;
	else
		stream->end = chunk->last_seq;
	STAILQ_INSERT_TAIL(&store->written, chunk, turn);
	store->written_bytes += chunk->len;
	return 0;
}

/* Its stream's open one, the one that follows, or one of its own. */
static int
segment_for(struct pb_store *store, struct pb_chunk *chunk,
    struct pb_segment **out, struct pb_err *err)
{
	struct pb_stream *stream = chunk->stream;
	int rc;

	if (stream->opens == 0) {
		*out = stream->segment;
		return 0;
	}
	rc = make_segment(store, chunk, out, err);
	stream->opens = 0;
	if (rc < 0)
		return rc;
	if (chunk->first_seq <= stream->end) {
		stream->late = *out;
		return 0;
	}
	stream->segment = *out;
	stream->opened_ms = store->now.mono_ms;
	LIST_INSERT_HEAD(&store->open, stream, open_link);
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
	batch_add(store, stream, chunk->due_ms);
	STAILQ_INSERT_TAIL(&store->written, chunk, turn);
	return 0;
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
