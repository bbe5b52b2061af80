/*
 * recorder/store/index/index_write.c - writing the index
 */
#include "recorder/store/index/index_write.h"

#include <string.h>

#include "recorder/store/index/index_rows.h"

static void	uncount_segment(struct pb_mdb_txn *, uint32_t, uint64_t);
static struct pb_age_info age_of(const struct pb_segment_info *);
static void	meta_add(struct pb_mdb_txn *, const char *, uint64_t);

int
pb_index_begin(struct pb_index *index, struct pb_mdb_txn *txn,
    struct pb_err *err)
{
	return pb_mdb_begin(index->mdb, true, txn, err);
}

bool
pb_index_put_flows(struct pb_mdb_txn *txn, const struct pb_flows_info *row)
{
	if (txn->rc < 0 || pb_mdb_has_half(txn, PB_TABLE_FLOWS))
		return false;
	pb_index_put(txn, PB_TABLE_FLOWS, row);
	return true;
}

void
pb_index_put_stream(struct pb_mdb_txn *txn, const struct pb_stream_info *info)
{
	struct pb_open_info id = { .stream = info->id };

	pb_index_put(txn, PB_TABLE_STREAMS, info);
	if (pb_row_get(txn, PB_TABLE_IDS, &id) != 1) {
		id.key = info->key;
		pb_index_put(txn, PB_TABLE_IDS, &id);
	}
}

void
pb_index_put_segment(struct pb_mdb_txn *txn,
    const struct pb_segment_info *info)
{
	struct pb_segment_info row = *info;

	if (!row.sealed)
		row.sealed_at = 0;
	uncount_segment(txn, row.stream, row.first_seq);
	pb_index_put(txn, PB_TABLE_SEGMENTS, &row);
	meta_add(txn, PB_META_SEGMENTS, 1);
	meta_add(txn, PB_META_BYTES, row.bytes);
	if (row.sealed) {
		struct pb_age_info age = age_of(&row);

		pb_index_put(txn, PB_TABLE_AGES, &age);
	}
}

void
pb_index_del_segment(struct pb_mdb_txn *txn, uint32_t stream,
    uint64_t first_seq)
{
	uncount_segment(txn, stream, first_seq);
	pb_index_del(txn, PB_TABLE_SEGMENTS, stream, first_seq);
}

int
pb_index_listed(struct pb_index *index, uint32_t stream, uint64_t first_seq,
    struct pb_err *err)
{
	struct pb_open_info row;
	struct pb_mdb_txn txn;
	bool listed;

	pb_mdb_begin(index->mdb, false, &txn, err);
	listed = pb_row_find(&txn, PB_TABLE_OPEN, PB_ROW_AT, stream, first_seq,
	    &row) != PB_ROW_NONE || pb_row_find(&txn, PB_TABLE_DOOMED,
	    PB_ROW_AT, stream, first_seq, &row) != PB_ROW_NONE;
	pb_mdb_abort(&txn);
	return listed ? 1 : txn.rc;
}

uint64_t
pb_index_put_fill(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last)
{
	struct pb_fill_info row = { .stream = stream, .first = first,
	    .last = last };
	uint64_t number = pb_index_meta_get(txn, "last_fill") + 1;

	/* Its lower half alone says something of a gap. */
	number += (uint32_t)number == 0;
	row.number = number;
	pb_index_put(txn, PB_TABLE_FILLS, &row);
	pb_index_meta_put(txn, "last_fill", number);
	if (number > PB_FILLS_MAX) {
		row.number = number - PB_FILLS_MAX;
		pb_row_del(txn, PB_TABLE_FILLS, &row);
	}
	return number;
}

void
pb_index_meta_put(struct pb_mdb_txn *txn, const char *name, uint64_t value)
{
	pb_mdb_put(txn, PB_TABLE_META, name, strlen(name), &value,
	    sizeof(value));
}

void
pb_index_put_age(struct pb_mdb_txn *txn, const struct pb_age *age)
{
	struct pb_age row = *age;

	pb_age_sign(&row);
	pb_mdb_put(txn, PB_TABLE_META, PB_META_AGE, strlen(PB_META_AGE), &row,
	    sizeof(row));
}

void
pb_extent_count(struct pb_extent_info *extent, uint64_t last,
    const struct pb_tally *packets)
{
	bool empty = extent->last_seq < extent->first_seq;

	if (pb_tally_empty(packets))
		return;
	if (empty || packets->first_time < extent->first_time)
		extent->first_time = packets->first_time;
	if (empty || packets->last_time > extent->last_time)
		extent->last_time = packets->last_time;
	extent->last_seq = last;
}

void
pb_segment_count(struct pb_segment_info *segment, uint64_t last,
    const struct pb_tally *packets)
{
	struct pb_tally all = {
		.packets = segment->packets,
		.filtered = pb_segment_filtered(segment),
		.bytes = segment->packet_bytes,
		.first_time = segment->first_time,
		.last_time = segment->last_time,
	};

	pb_tally_merge(&all, packets);
	segment->packets = all.packets;
	segment->packet_bytes = all.bytes;
	segment->first_time = all.first_time;
	segment->last_time = all.last_time;
	if (!pb_tally_empty(packets))
		segment->last_seq = last;
}

void
pb_stream_count(struct pb_stream_info *stream, uint64_t first, uint64_t last,
    const struct pb_tally *packets, bool behind)
{
	if (pb_tally_empty(packets))
		return;
	pb_stream_add_times(stream, packets->first_time, packets->last_time,
	    behind);
	if (stream->first_seq == 0 || first < stream->first_seq)
		stream->first_seq = first;
	if (behind)
		stream->last_seq = last;
	stream->packets += packets->packets;
	stream->bytes += packets->bytes;
	stream->dropped += packets->dropped;
}

/* Take what the segment's row adds out of the sums and the order of age. */
static void
uncount_segment(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first_seq)
{
	struct pb_segment_info row;
	struct pb_age_info age;

	if (pb_row_find(txn, PB_TABLE_SEGMENTS, PB_ROW_AT, stream, first_seq,
	    &row) == PB_ROW_NONE)
		return;
	meta_add(txn, PB_META_SEGMENTS, (uint64_t)-1);
	meta_add(txn, PB_META_BYTES, (uint64_t)0 - row.bytes);
	if (!row.sealed)
		return;
	age = age_of(&row);
	pb_row_del(txn, PB_TABLE_AGES, &age);
}

static struct pb_age_info
age_of(const struct pb_segment_info *row)
{
	return (struct pb_age_info){ .sealed_at = row->sealed_at,
	    .stream = row->stream, .first_seq = row->first_seq,
	    .bytes = row->bytes };
}

/* Modulo 2^64: adding a negative number takes away. */
static void
meta_add(struct pb_mdb_txn *txn, const char *name, uint64_t change)
{
	pb_index_meta_put(txn, name, pb_index_meta_get(txn, name) + change);
}
