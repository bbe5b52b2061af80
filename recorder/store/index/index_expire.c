/*
 * recorder/store/index/index_expire.c - taking a segment out of the index
 */
#include "recorder/store/index/index_expire.h"

#include <string.h>

#include "base/bytes.h"
#include "recorder/store/index/index_rows.h"

/* A row of a table whose key is a stream and a number, copied. */
struct found {
	uint64_t	 number;
	struct pb_mdb_value value;	/* until the next change */
};

static void	del_extents(struct pb_mdb_txn *,
		    const struct pb_segment_info *);
static uint64_t	del_drops(struct pb_mdb_txn *, const struct pb_segment_info *);
static void	del_closed_gaps(struct pb_mdb_txn *,
		    const struct pb_segment_info *);
static void	put_gaps(struct pb_mdb_txn *, const struct pb_expiry *,
		    uint64_t, uint64_t, enum pb_gap_reason);
static void	uncount(struct pb_mdb_txn *, const struct pb_segment_info *,
		    uint64_t, struct pb_stream_info *);
static uint64_t	lowest_time(struct pb_mdb_txn *,
		    const struct pb_stream_info *);
static bool	find(struct pb_mdb_txn *, unsigned, uint32_t, uint64_t,
		    struct found *);
static bool	find_gap(struct pb_mdb_txn *, uint32_t, uint64_t,
		    struct pb_gap_info *);
static bool	gap_before(struct pb_mdb_txn *, uint32_t, uint64_t,
		    struct pb_gap_info *);
static bool	decode_gap(struct pb_gap_info *, uint32_t, uint64_t,
		    const struct pb_mdb_value *);
static bool	joins(const struct pb_gap_info *, const struct pb_gap_info *);

void
pb_index_expire(struct pb_mdb_txn *txn, const struct pb_expiry *expiry,
    struct pb_stream_info *stream)
{
	const struct pb_segment_info *segment = &expiry->segment;
	uint64_t first = segment->first_seq, dropped;

	dropped = pb_index_remove(txn, segment);
	del_closed_gaps(txn, segment);
	if (first <= expiry->acked)
		first = expiry->acked < segment->last_seq ?
		    expiry->acked + 1 : segment->last_seq + 1;
	if (first <= expiry->released) {
		uint64_t last = expiry->released < segment->last_seq ?
		    expiry->released : segment->last_seq;

		put_gaps(txn, expiry, first, last, PB_GAP_DEAD_LETTERED);
		first = last + 1;
	}
	put_gaps(txn, expiry, first, segment->last_seq, PB_GAP_EXPIRED);
	pb_index_put_doomed(txn, segment->stream, &expiry->key,
	    segment->first_seq);
	if (pb_index_get_stream(txn, &expiry->key, stream) != 1)
		return;
	uncount(txn, segment, dropped, stream);
	pb_index_put_stream(txn, stream);
}

uint64_t
pb_index_remove(struct pb_mdb_txn *txn, const struct pb_segment_info *segment)
{
	uint64_t dropped = del_drops(txn, segment);

	del_extents(txn, segment);
	pb_index_del_segment(txn, segment->stream, segment->first_seq);
	return dropped;
}

void
pb_index_add_gap(struct pb_mdb_txn *txn, const struct pb_gap_info *gap)
{
	struct pb_gap_info all = *gap, other;

	if (gap_before(txn, gap->stream, gap->first, &other) &&
	    other.last + 1 == gap->first && joins(&other, gap)) {
		pb_index_del_gap(txn, gap->stream, other.first);
		all.first = other.first;
		if (other.since_ns < all.since_ns)
			all.since_ns = other.since_ns;
	}
	if (find_gap(txn, gap->stream, gap->last + 1, &other) &&
	    other.first == gap->last + 1 && joins(&other, gap)) {
		pb_index_del_gap(txn, gap->stream, other.first);
		all.last = other.last;
		if (other.since_ns < all.since_ns)
			all.since_ns = other.since_ns;
	}
	pb_index_put_gap(txn, &all);
}

void
pb_index_cut_gaps(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last, bool closed_too)
{
	struct pb_gap_info gap, part;
	uint64_t from = first;

	/* One that begins before may reach into the range. */
	if (gap_before(txn, stream, first, &gap) && gap.last >= first)
		from = gap.first;
	while (find_gap(txn, stream, from, &gap) && gap.first <= last) {
		from = gap.first + 1;
		if (gap.last < first || (gap.closed_ns != 0 && !closed_too))
			continue;
		pb_index_del_gap(txn, stream, gap.first);
		part = gap;
		part.last = first - 1;
		if (gap.first < first)
			pb_index_put_gap(txn, &part);
		part = gap;
		part.first = last + 1;
		if (gap.last > last)
			pb_index_put_gap(txn, &part);
	}
}

void
pb_index_reopen_gaps(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last)
{
	struct pb_gap_info gap;
	uint64_t from = first;

	if (gap_before(txn, stream, first, &gap) && gap.last >= first)
		from = gap.first;
	while (find_gap(txn, stream, from, &gap) && gap.first <= last) {
		from = gap.first + 1;
		if (gap.closed_ns == 0 || gap.last < first)
			continue;
		gap.closed_ns = 0;
		pb_index_put_gap(txn, &gap);
	}
}

void
pb_index_look_first(struct pb_mdb_txn *txn, struct pb_stream_info *stream)
{
	struct found found;

	if (find(txn, PB_TABLE_SEGMENTS, stream->id, 0, &found)) {
		stream->first_seq = found.number;
		stream->first_time = lowest_time(txn, stream);
		return;
	}
	stream->first_seq = 0;
	stream->first_time = stream->last_time = 0;
}

static void
del_extents(struct pb_mdb_txn *txn, const struct pb_segment_info *segment)
{
	uint64_t from = segment->first_seq;
	struct row_extent row;
	struct found found;

	while (find(txn, PB_TABLE_EXTENTS, segment->stream, from, &found) &&
	    found.number <= segment->last_seq) {
		from = found.number + 1;
		/* Late packets within have a segment of their own. */
		if (found.value.len == sizeof(row)) {
			memcpy(&row, found.value.data, sizeof(row));
			if (row.segment_seq != segment->first_seq)
				continue;
		}
		pb_index_del_extent(txn, segment->stream, found.number);
	}
}

/* What the drop counts of the segment's packets sum up to. */
static uint64_t
del_drops(struct pb_mdb_txn *txn, const struct pb_segment_info *segment)
{
	uint64_t from = segment->first_seq, sum = 0;
	uint8_t key[PB_KEY_ROW_BYTES];
	struct row_drop row;
	struct found found;

	while (find(txn, PB_TABLE_DROPS, segment->stream, from, &found) &&
	    found.number <= segment->last_seq) {
		if (found.value.len == sizeof(row)) {
			memcpy(&row, found.value.data, sizeof(row));
			sum += row.count;
		}
		pb_key_row(key, segment->stream, found.number);
		pb_mdb_del(txn, PB_TABLE_DROPS, key, sizeof(key));
		from = found.number + 1;
	}
	return sum;
}

/* That its packets came late is no news once they are gone. */
static void
del_closed_gaps(struct pb_mdb_txn *txn, const struct pb_segment_info *segment)
{
	uint64_t from = segment->first_seq;
	struct pb_gap_info gap;

	while (find_gap(txn, segment->stream, from, &gap) &&
	    gap.first <= segment->last_seq) {
		if (gap.closed_ns != 0 && gap.last <= segment->last_seq)
			pb_index_del_gap(txn, segment->stream, gap.first);
		from = gap.first + 1;
	}
}

/* first .. last but what a gap within says already. */
static void
put_gaps(struct pb_mdb_txn *txn, const struct pb_expiry *expiry,
    uint64_t first, uint64_t last, enum pb_gap_reason reason)
{
	struct pb_gap_info gap = { .stream = expiry->segment.stream,
	    .reason = reason, .since_ns = expiry->now_ns }, other;

	while (first <= last && txn->rc == 0) {
		uint64_t end = last;

		if (find_gap(txn, gap.stream, first, &other) &&
		    other.first <= last) {
			if (other.first == first) {
				first = other.last >= first ?
				    other.last + 1 : first + 1;
				continue;
			}
			end = other.first - 1;
		}
		gap.first = first;
		gap.last = end;
		pb_index_add_gap(txn, &gap);
		first = end + 1;
	}
}

/* What is left of the stream.  Its last number stays: it was given. */
static void
uncount(struct pb_mdb_txn *txn, const struct pb_segment_info *segment,
    uint64_t dropped, struct pb_stream_info *stream)
{
	struct found found;

	/* Counters that a rotten row led astray stop at zero. */
	if (dropped > stream->dropped)
		dropped = stream->dropped;
	stream->packets -= segment->packets < stream->packets ?
	    segment->packets : stream->packets;
	stream->bytes -= segment->packet_bytes < stream->bytes ?
	    segment->packet_bytes : stream->bytes;
	if (!find(txn, PB_TABLE_SEGMENTS, stream->id, 0, &found)) {
		dropped = stream->dropped;
		stream->first_seq = 0;
		stream->packets = stream->bytes = 0;
		stream->first_time = stream->last_time = 0;
		stream->unsteady = false;
	} else {
		stream->first_seq = found.number;
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
	uint64_t lowest = 0, from = 0;
	struct row_segment row;
	struct found found;
	unsigned i;

	for (i = 0; i < PB_EXPIRE_LOOK_MAX && find(txn, PB_TABLE_SEGMENTS,
	    stream->id, from, &found); i++) {
		from = found.number + 1;
		if (found.value.len != sizeof(row))
			continue;
		memcpy(&row, found.value.data, sizeof(row));
		if (lowest == 0 || row.first_time < lowest)
			lowest = row.first_time;
	}
	return i == PB_EXPIRE_LOOK_MAX && stream->unsteady &&
	    stream->first_time < lowest ? stream->first_time : lowest;
}

/* The stream's first row with a number >= `from`. */
static bool
find(struct pb_mdb_txn *txn, unsigned table, uint32_t stream, uint64_t from,
    struct found *out)
{
	uint8_t key[PB_KEY_ROW_BYTES];
	struct pb_mdb_value found;

	pb_key_row(key, stream, from);
	if (pb_mdb_find(txn, table, key, sizeof(key), &found, &out->value) !=
	    1 || found.len != sizeof(key) || memcmp(found.data, key, 4) != 0)
		return false;
	out->number = pb_get_be64((const uint8_t *)found.data + 4);
	return true;
}

static bool
find_gap(struct pb_mdb_txn *txn, uint32_t stream, uint64_t from,
    struct pb_gap_info *out)
{
	struct found found;

	while (find(txn, PB_TABLE_GAPS, stream, from, &found)) {
		if (decode_gap(out, stream, found.number, &found.value))
			return true;
		from = found.number + 1;
	}
	return false;
}

/* The last gap that begins before `first`. */
static bool
gap_before(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    struct pb_gap_info *out)
{
	uint8_t key[PB_KEY_ROW_BYTES];
	struct pb_mdb_value found, value;

	if (first == 0)
		return false;
	pb_key_row(key, stream, first - 1);
	if (pb_mdb_find_last(txn, PB_TABLE_GAPS, key, sizeof(key), &found,
	    &value) != 1 || found.len != sizeof(key) ||
	    memcmp(found.data, key, 4) != 0)
		return false;
	return decode_gap(out, stream,
	    pb_get_be64((const uint8_t *)found.data + 4), &value);
}

static bool
decode_gap(struct pb_gap_info *out, uint32_t stream, uint64_t first,
    const struct pb_mdb_value *value)
{
	struct row_gap row;

	if (value->len != sizeof(row))
		return false;
	memcpy(&row, value->data, sizeof(row));
	*out = (struct pb_gap_info){
		.stream = stream,
		.first = first,
		.last = row.last,
		.reason = (enum pb_gap_reason)row.reason,
		.since_ns = row.since_ns,
		.closed_ns = row.closed_ns,
	};
	return true;
}

static bool
joins(const struct pb_gap_info *a, const struct pb_gap_info *b)
{
	return a->closed_ns == 0 && b->closed_ns == 0 &&
	    a->reason == b->reason;
}
