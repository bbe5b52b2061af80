/*
 * recorder/store/index/index_expire.c - taking a segment out of the index
 */
#include "recorder/store/index/index_expire.h"

#include "recorder/store/index/index_rows.h"

static uint64_t	del_drops(struct pb_mdb_txn *, const struct pb_segment_info *);
static void	put_gaps(struct pb_mdb_txn *, const struct pb_expiry *);
static void	uncount(struct pb_mdb_txn *, const struct pb_segment_info *,
		    uint64_t, struct pb_stream_info *);
static uint64_t	lowest_time(struct pb_mdb_txn *,
		    const struct pb_stream_info *);

void
pb_index_expire(struct pb_mdb_txn *txn, const struct pb_expiry *expiry,
    struct pb_stream_info *stream)
{
	const struct pb_segment_info *segment = &expiry->segment;
	uint64_t dropped = pb_index_remove(txn, segment);

	pb_index_forget_gaps(txn, segment->stream, segment->first_seq,
	    segment->last_seq);
	put_gaps(txn, expiry);
	pb_index_put(txn, PB_TABLE_DOOMED, &(struct pb_open_info){
	    .stream = segment->stream, .first_seq = segment->first_seq,
	    .key = expiry->key });
	if (pb_index_get_stream(txn, &expiry->key, stream) != 1)
		return;
	uncount(txn, segment, dropped, stream);
	pb_index_put_stream(txn, stream);
}

bool
pb_expiry_part(const struct pb_expiry *expiry, enum pb_expiry_part part,
    uint64_t *first, uint64_t *last)
{
	const uint64_t end[PB_EXPIRY_PARTS] = { expiry->acked,
	    expiry->released, UINT64_MAX };

	*first = expiry->segment.first_seq;
	*last = expiry->segment.last_seq;
	if (part > 0 && end[part - 1] >= *last)
		return false;
	if (part > 0 && end[part - 1] >= *first)
		*first = end[part - 1] + 1;
	if (end[part] < *last)
		*last = end[part];
	return *first <= *last;
}

uint64_t
pb_index_remove(struct pb_mdb_txn *txn, const struct pb_segment_info *segment)
{
	uint64_t dropped = del_drops(txn, segment);

	pb_index_del_extents(txn, segment, segment->first_seq);
	pb_index_del_flows(txn, segment, segment->first_seq);
	pb_index_del_segment(txn, segment->stream, segment->first_seq);
	return dropped;
}

void
pb_index_del_extents(struct pb_mdb_txn *txn,
    const struct pb_segment_info *segment, uint64_t from)
{
	struct pb_extent_info row = { .first_seq = from };
	enum pb_row_found found;

	while ((found = pb_row_find(txn, PB_TABLE_EXTENTS, PB_ROW_FROM,
	    segment->stream, row.first_seq, &row)) != PB_ROW_NONE &&
	    row.first_seq <= segment->last_seq) {
		/* Late packets within have a segment of their own. */
		if (found == PB_ROW_ROTTEN ||
		    row.segment_seq == segment->first_seq)
			pb_index_del(txn, PB_TABLE_EXTENTS, segment->stream,
			    row.first_seq);
		row.first_seq++;
	}
}

void
pb_index_del_flows(struct pb_mdb_txn *txn,
    const struct pb_segment_info *segment, uint64_t from)
{
	struct pb_flows_info row = { .first_seq = segment->first_seq };
	enum pb_row_found found;

	while ((found = pb_row_find(txn, PB_TABLE_FLOWS, PB_ROW_FROM,
	    segment->stream, row.first_seq, &row)) != PB_ROW_NONE &&
	    row.first_seq <= segment->last_seq) {
		if (found == PB_ROW_ROTTEN || (row.last_seq >= from &&
		    row.segment_seq == segment->first_seq))
			pb_index_del(txn, PB_TABLE_FLOWS, segment->stream,
			    row.first_seq);
		row.first_seq++;
	}
}

void
pb_index_look_first(struct pb_mdb_txn *txn, struct pb_stream_info *stream)
{
	struct pb_segment_info first;

	stream->first_seq = 0;
	if (pb_row_find(txn, PB_TABLE_SEGMENTS, PB_ROW_FROM, stream->id, 0,
	    &first) != PB_ROW_NONE) {
		stream->first_seq = first.first_seq;
		stream->first_time = lowest_time(txn, stream);
		return;
	}
	stream->first_time = stream->last_time = 0;
}

/* What the drop counts of the segment's packets sum up to. */
static uint64_t
del_drops(struct pb_mdb_txn *txn, const struct pb_segment_info *segment)
{
	struct pb_drop_info row = { .seq = segment->first_seq };
	uint64_t sum = 0;

	while (pb_row_find(txn, PB_TABLE_DROPS, PB_ROW_FROM, segment->stream,
	    row.seq, &row) != PB_ROW_NONE && row.seq <= segment->last_seq) {
		sum += row.count;
		pb_index_del(txn, PB_TABLE_DROPS, segment->stream, row.seq++);
	}
	return sum;
}

/* What an upstream still waits for, or has as dead letters alone, is missing
 * from now on. */
static void
put_gaps(struct pb_mdb_txn *txn, const struct pb_expiry *expiry)
{
	struct pb_gap_info gap = { .stream = expiry->segment.stream,
	    .since_ns = expiry->now_ns };

	gap.reason = PB_GAP_DEAD_LETTERED;
	if (pb_expiry_part(expiry, PB_EXPIRY_RELEASED, &gap.first, &gap.last))
		pb_index_add_gap_around(txn, &gap);
	gap.reason = PB_GAP_EXPIRED;
	if (pb_expiry_part(expiry, PB_EXPIRY_LOST, &gap.first, &gap.last))
		pb_index_add_gap_around(txn, &gap);
}

/* What is left of the stream.  Its last number stays: it was given. */
static void
uncount(struct pb_mdb_txn *txn, const struct pb_segment_info *segment,
    uint64_t dropped, struct pb_stream_info *stream)
{
	struct pb_segment_info first;

	/* Counters that a rotten row led astray stop at zero. */
	if (dropped > stream->dropped)
		dropped = stream->dropped;
	stream->packets -= segment->packets < stream->packets ?
	    segment->packets : stream->packets;
	stream->bytes -= segment->packet_bytes < stream->bytes ?
	    segment->packet_bytes : stream->bytes;
	if (pb_row_find(txn, PB_TABLE_SEGMENTS, PB_ROW_FROM, stream->id, 0,
	    &first) == PB_ROW_NONE) {
		dropped = stream->dropped;
		stream->first_seq = 0;
		stream->packets = stream->bytes = 0;
		stream->first_time = stream->last_time = 0;
		stream->unsteady = false;
	} else {
		stream->first_seq = first.first_seq;
		if (segment->first_time <= stream->first_time)
			stream->first_time = lowest_time(txn, stream);
	}
	stream->dropped -= dropped;
	stream->dropped_before += dropped;
}

/*
 * Of the stream's first PB_EXPIRE_LOOK_MAX segments: those that follow are
 * later.  Where times have run back that cannot be relied on: the lowest
 * that there ever was is no higher than theirs, and stays.
 */
static uint64_t
lowest_time(struct pb_mdb_txn *txn, const struct pb_stream_info *stream)
{
	struct pb_segment_info row = { .first_seq = 0 };
	enum pb_row_found found;
	uint64_t lowest = 0;
	unsigned i;

	for (i = 0; i < PB_EXPIRE_LOOK_MAX && (found = pb_row_find(txn,
	    PB_TABLE_SEGMENTS, PB_ROW_FROM, stream->id, row.first_seq,
	    &row)) != PB_ROW_NONE; i++) {
		row.first_seq++;
		if (found == PB_ROW_SOUND &&
		    (lowest == 0 || row.first_time < lowest))
			lowest = row.first_time;
	}
	return i == PB_EXPIRE_LOOK_MAX && stream->unsteady &&
	    stream->first_time < lowest ? stream->first_time : lowest;
}
