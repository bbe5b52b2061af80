/*
 * recorder/store/index/index.c - reading the index
 *
 * Each call is one read transaction that copies rows out and ends.
 */
#include "recorder/store/index/index.h"

#include <string.h>

#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"

/* Lanes of a capture are not so far apart: flush_interval is 10 s at most.  A
 * clock that is set back, or stamps of a switch, may be. */
#define UNSTEADY_NS	(UINT64_C(10) * 1000000000)

static const char *const reason_names[] = {
	[PB_GAP_DEAD_LETTERED] = "dead-lettered",
	[PB_GAP_EXPIRED] = "expired",
	[PB_GAP_DAMAGED] = "damaged",
	[PB_GAP_RESTORED] = "restored",
	[PB_GAP_FILTERED] = "filtered",
};
#define REASONS	(sizeof(reason_names) / sizeof(reason_names[0]))

uint64_t
pb_index_commits(struct pb_index *index)
{
	return pb_mdb_commits(index->mdb);
}

int
pb_index_stream(struct pb_index *index, const struct pb_stream_key *key,
    struct pb_stream_info *out, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc;

	pb_mdb_begin(index->mdb, false, &txn, err);
	rc = pb_index_get_stream(&txn, key, out);
	pb_mdb_abort(&txn);
	return rc;
}

int
pb_index_get_stream(struct pb_mdb_txn *txn, const struct pb_stream_key *key,
    struct pb_stream_info *out)
{
	out->key = *key;
	return pb_row_get(txn, PB_TABLE_STREAMS, out);
}

int
pb_index_segment(struct pb_index *index, uint32_t stream, uint64_t first_seq,
    struct pb_segment_info *out, struct pb_err *err)
{
	enum pb_row_found found;
	struct pb_mdb_txn txn;

	pb_mdb_begin(index->mdb, false, &txn, err);
	found = pb_row_find(&txn, PB_TABLE_SEGMENTS, PB_ROW_AT, stream,
	    first_seq, out);
	pb_mdb_abort(&txn);
	if (found == PB_ROW_ROTTEN)
		return pb_err_set(err, PB_EFORMAT, "the index is corrupt: the "
		    "row of segment %020llu of stream %u is not what was "
		    "written", (unsigned long long)first_seq, stream);
	return found == PB_ROW_SOUND ? 1 : txn.rc;
}

int
pb_index_extent_below(struct pb_index *index, uint32_t stream, uint64_t at,
    struct pb_extent_info *out, struct pb_err *err)
{
	enum pb_row_found found;
	struct pb_mdb_txn txn;

	pb_mdb_begin(index->mdb, false, &txn, err);
	found = pb_row_find(&txn, PB_TABLE_EXTENTS, PB_ROW_UP_TO, stream, at,
	    out);
	pb_mdb_abort(&txn);
	return found == PB_ROW_SOUND ? 1 : txn.rc;
}

int
pb_index_row_below(struct pb_index *index, enum pb_index_table table,
    uint32_t stream, uint64_t at, void *out, struct pb_err *err)
{
	enum pb_row_found found;
	struct pb_mdb_txn txn;
	uint64_t first, last;

	pb_mdb_begin(index->mdb, false, &txn, err);
	while ((found = pb_row_find(&txn, table, PB_ROW_UP_TO, stream, at,
	    out)) == PB_ROW_ROTTEN && pb_row_range(table, out, &first,
	    &last) && first > 0)
		at = first - 1;
	pb_mdb_abort(&txn);
	return found == PB_ROW_SOUND ? 1 : txn.rc;
}

int
pb_index_totals(struct pb_index *index, struct pb_index_totals *out,
    struct pb_err *err)
{
	struct pb_mdb_txn txn;

	pb_mdb_begin(index->mdb, false, &txn, err);
	out->segments = pb_index_meta_get(&txn, PB_META_SEGMENTS);
	out->bytes = pb_index_meta_get(&txn, PB_META_BYTES);
	pb_mdb_abort(&txn);
	return txn.rc;
}

int
pb_index_stream_key(struct pb_index *index, uint32_t stream,
    struct pb_stream_key *out, struct pb_err *err)
{
	struct pb_open_info row = { .stream = stream };
	struct pb_mdb_txn txn;
	int rc;

	pb_mdb_begin(index->mdb, false, &txn, err);
	rc = pb_row_get(&txn, PB_TABLE_IDS, &row);
	pb_mdb_abort(&txn);
	if (rc != 1 || row.key.node[0] == '\0')
		return rc < 0 ? rc : 0;
	*out = row.key;
	return 1;
}

int
pb_index_age(struct pb_index *index, struct pb_age *out, struct pb_err *err)
{
	struct pb_mdb_txn txn;

	pb_mdb_begin(index->mdb, false, &txn, err);
	pb_index_get_age(&txn, out);
	pb_mdb_abort(&txn);
	return txn.rc;
}

/* Where there is none, because it rotted or the index was made again, it is
 * what the last segment sealed has, and nobody knows how old that is. */
void
pb_index_get_age(struct pb_mdb_txn *txn, struct pb_age *out)
{
	struct pb_age_info youngest;
	uint8_t last[PB_MDB_KEY_MAX];
	struct pb_mdb_value row, key;

	if (pb_mdb_get(txn, PB_TABLE_META, PB_META_AGE,
	    strlen(PB_META_AGE), &row) == 1 && row.len == sizeof(*out)) {
		memcpy(out, row.data, sizeof(*out));
		if (pb_age_sound(out))
			return;
	}
	memset(out, 0, sizeof(*out));
	memset(last, 0xff, sizeof(last));
	if (pb_mdb_find_last(txn, PB_TABLE_AGES, last, sizeof(last), &key,
	    &row) == 1 &&
	    pb_row_read(PB_TABLE_AGES, &youngest, &key, &row) &&
	    youngest.sealed_at > PB_AGE_BASE &&
	    youngest.sealed_at < 2 * PB_AGE_BASE)
		out->ms = out->known_ms = youngest.sealed_at - PB_AGE_BASE;
}

uint64_t
pb_index_meta_get(struct pb_mdb_txn *txn, const char *name)
{
	struct pb_mdb_value row;
	uint64_t value = 0;

	if (pb_mdb_get(txn, PB_TABLE_META, name, strlen(name), &row) == 1 &&
	    row.len == sizeof(value))
		memcpy(&value, row.data, sizeof(value));
	return value;
}

void
pb_stream_add_times(struct pb_stream_info *stream, uint64_t first,
    uint64_t last, bool behind)
{
	if (behind && first < stream->last_time &&
	    stream->last_time - first > UNSTEADY_NS)
		stream->unsteady = true;
	if (stream->first_seq == 0 || first < stream->first_time)
		stream->first_time = first;
	if (last > stream->last_time)
		stream->last_time = last;
}

const char *
pb_gap_reason_name(enum pb_gap_reason reason)
{
	return reason > 0 && reason < REASONS ? reason_names[reason] :
	    "unknown";
}

enum pb_gap_reason
pb_gap_reason_parse(const char *name)
{
	for (size_t r = 1; r < REASONS; r++)
		if (strcmp(name, reason_names[r]) == 0)
			return (enum pb_gap_reason)r;
	return (enum pb_gap_reason)0;
}
