/*
 * recorder/store/index/index_write.c - writing the index
 */
#include "recorder/store/index/index_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/bytes.h"
#include "recorder/store/index/index_rows.h"

static int	open_index(struct pb_index **, const char *, const char *,
		    uint64_t, bool, struct pb_err *);
static uint64_t	bytes_of(const char *);
static int	probe(const char *, bool, struct pb_err *);
static bool	is_readable(uint64_t);
static int	check_version(struct pb_index *, struct pb_err *);
static void	uncount_segment(struct pb_mdb_txn *, uint32_t, uint64_t);
static struct pb_age_info age_of(const struct pb_segment_info *);
static void	meta_add(struct pb_mdb_txn *, const char *, uint64_t);

int
pb_index_open_write(struct pb_index **out, const char *store,
    uint64_t map_size, struct pb_err *err)
{
	return open_index(out, store, "index", map_size, false, err);
}

int
pb_index_open_named(struct pb_index **out, const char *store,
    const char *name, uint64_t map_size, struct pb_err *err)
{
	return open_index(out, store, name, map_size, true, err);
}

int
pb_index_sync(struct pb_index *index, struct pb_err *err)
{
	return pb_mdb_sync(index->mdb, err);
}

static int
open_index(struct pb_index **out, const char *store, const char *name,
    uint64_t map_size, bool lazy, struct pb_err *err)
{
	char path[PATH_MAX];
	struct pb_index *index;
	int rc = pb_layout_path(path, store, name, err);

	if (rc < 0)
		return rc;
	index = calloc(1, sizeof(*index));
	if (index == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = lazy ? pb_mdb_open_lazy(&index->mdb, path, map_size,
	    pb_index_tables, PB_TABLES, err) : pb_mdb_open(&index->mdb, path,
	    map_size, pb_index_tables, PB_TABLES, true, err);
	if (rc == 0)
		rc = check_version(index, err);
	if (rc < 0) {
		pb_index_close(index);
		return rc;
	}
	*out = index;
	return 0;
}

int
pb_index_probe(const char *store, struct pb_err *err)
{
	return probe(store, false, err);
}

int
pb_index_read_all(const char *store, struct pb_err *err)
{
	return probe(store, true, err);
}

static uint64_t
bytes_of(const char *store)
{
	char path[PATH_MAX];
	struct stat st;

	return pb_layout_path(path, store, "index/data.mdb", NULL) == 0 &&
	    pb_below_stat(path, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
}

static int
probe(const char *store, bool all, struct pb_err *err)
{
	struct pb_open_info open_rows[16];
	struct pb_index *index;
	struct pb_mdb_txn txn;
	uint64_t version, unfinished = 0;
	int rc = pb_index_open(&index, store, err);

	if (rc < 0)
		return rc;
	rc = pb_mdb_begin(index->mdb, false, &txn, err);
	version = rc == 0 ? pb_index_meta_get(&txn, "version") : 0;
	if (rc == 0)
		unfinished = pb_index_meta_get(&txn, PB_META_SALVAGE);
	if (rc == 0 && pb_index_meta_get(&txn, PB_META_CLEAN) == 0)
		all |= bytes_of(store) <= PB_INDEX_PROBE_BYTES_MAX;
	if (rc == 0 && (all || pb_mdb_short(index->mdb)))
		rc = pb_mdb_read_all(&txn);
	if (rc == 0 && all && is_readable(version))
		rc = pb_index_sane(&txn, err);
	pb_mdb_abort(&txn);
	if (rc == 0)
		rc = pb_index_open_rows(index, open_rows, 16, err);
	pb_index_close(index);
	if (rc < 0)
		return rc;
	if (version != 0 && !is_readable(version))
		return pb_err_set(err, PB_EFORMAT, "index %s/index has version "
		    "%llu, this program writes %u", store,
		    (unsigned long long)version, PB_INDEX_VERSION);
	if (unfinished != 0)
		return pb_err_set(err, PB_EFORMAT, "index %s/index: an older "
		    "version was cut short while it mended a segment", store);
	return version == 0 ? PB_ENOENT : 0;
}

int
pb_index_reserve(struct pb_index *index, struct pb_err *err)
{
	return pb_mdb_reserve(index->mdb, PB_INDEX_RESERVE_BYTES, err);
}

int
pb_index_begin(struct pb_index *index, struct pb_mdb_txn *txn,
    struct pb_err *err)
{
	return pb_mdb_begin(index->mdb, true, txn, err);
}

int
pb_index_resize(struct pb_index *index, uint64_t map_size, struct pb_err *err)
{
	return pb_mdb_resize(index->mdb, map_size, err);
}

void
pb_index_put_stream(struct pb_mdb_txn *txn, const struct pb_stream_info *info)
{
	uint8_t key[PB_KEY_STREAM_MAX], id[4];
	struct pb_mdb_value known;

	pb_row_put(txn, PB_TABLE_STREAMS, info);
	pb_put_be32(id, info->id);
	if (pb_mdb_get(txn, PB_TABLE_IDS, id, sizeof(id), &known) != 1)
		pb_mdb_put(txn, PB_TABLE_IDS, id, sizeof(id), key,
		    pb_key_stream(key, &info->key));
}

void
pb_index_put_segment(struct pb_mdb_txn *txn,
    const struct pb_segment_info *info)
{
	struct pb_segment_info row = *info;

	if (!row.sealed)
		row.sealed_at = 0;
	uncount_segment(txn, row.stream, row.first_seq);
	pb_row_put(txn, PB_TABLE_SEGMENTS, &row);
	meta_add(txn, PB_META_SEGMENTS, 1);
	meta_add(txn, PB_META_BYTES, row.bytes);
	if (row.sealed) {
		struct pb_age_info age = age_of(&row);

		pb_row_put(txn, PB_TABLE_AGES, &age);
	}
}

void
pb_index_del_segment(struct pb_mdb_txn *txn, uint32_t stream,
    uint64_t first_seq)
{
	uncount_segment(txn, stream, first_seq);
	pb_row_del(txn, PB_TABLE_SEGMENTS, &(struct pb_segment_info){
	    .stream = stream, .first_seq = first_seq });
}

void
pb_index_put_extent(struct pb_mdb_txn *txn, const struct pb_extent_info *info)
{
	pb_row_put(txn, PB_TABLE_EXTENTS, info);
}

void
pb_index_del_extent(struct pb_mdb_txn *txn, uint32_t stream,
    uint64_t first_seq)
{
	pb_row_del(txn, PB_TABLE_EXTENTS, &(struct pb_extent_info){
	    .stream = stream, .first_seq = first_seq });
}

void
pb_index_put_drop(struct pb_mdb_txn *txn, const struct pb_drop_info *info)
{
	pb_row_put(txn, PB_TABLE_DROPS, info);
}

void
pb_index_del_drop(struct pb_mdb_txn *txn, uint32_t stream, uint64_t seq)
{
	pb_row_del(txn, PB_TABLE_DROPS, &(struct pb_drop_info){
	    .stream = stream, .seq = seq });
}

void
pb_index_put_open(struct pb_mdb_txn *txn, uint32_t stream,
    const struct pb_stream_key *key, uint64_t first_seq)
{
	pb_row_put(txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = stream, .first_seq = first_seq, .key = *key });
}

void
pb_index_del_open(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first_seq)
{
	pb_row_del(txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = stream, .first_seq = first_seq });
}

void
pb_index_put_doomed(struct pb_mdb_txn *txn, uint32_t stream,
    const struct pb_stream_key *key, uint64_t first_seq)
{
	pb_row_put(txn, PB_TABLE_DOOMED, &(struct pb_open_info){
	    .stream = stream, .first_seq = first_seq, .key = *key });
}

void
pb_index_del_doomed(struct pb_mdb_txn *txn, uint32_t stream,
    uint64_t first_seq)
{
	pb_row_del(txn, PB_TABLE_DOOMED, &(struct pb_open_info){
	    .stream = stream, .first_seq = first_seq });
}

int
pb_index_listed(struct pb_index *index, uint32_t stream, uint64_t first_seq,
    struct pb_err *err)
{
	struct pb_open_info row;
	struct pb_mdb_txn txn;
	int rc = pb_mdb_begin(index->mdb, false, &txn, err);

	if (rc == 0)
		rc = pb_row_find(&txn, PB_TABLE_OPEN, PB_ROW_AT, stream,
		    first_seq, &row) != PB_ROW_NONE ||
		    pb_row_find(&txn, PB_TABLE_DOOMED, PB_ROW_AT, stream,
		    first_seq, &row) != PB_ROW_NONE ? 1 : txn.rc;
	pb_mdb_abort(&txn);
	return rc;
}

void
pb_index_put_fill(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last)
{
	struct pb_fill_info row = { .stream = stream, .first = first,
	    .last = last, .number = pb_index_meta_get(txn, "last_fill") + 1 };

	pb_row_put(txn, PB_TABLE_FILLS, &row);
	pb_index_meta_put(txn, "last_fill", row.number);
	if (row.number <= PB_FILLS_MAX)
		return;
	row.number -= PB_FILLS_MAX;
	pb_row_del(txn, PB_TABLE_FILLS, &row);
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

static bool
is_readable(uint64_t version)
{
	return version >= PB_INDEX_VERSION_READ &&
	    version <= PB_INDEX_VERSION;
}

static int
check_version(struct pb_index *index, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	uint64_t version;
	int rc = pb_mdb_begin(index->mdb, true, &txn, err);

	if (rc < 0)
		return rc;
	version = pb_index_meta_get(&txn, "version");
	if (version == 0 || (is_readable(version) &&
	    version != PB_INDEX_VERSION))
		pb_index_meta_put(&txn, "version", PB_INDEX_VERSION);
	rc = pb_mdb_commit(&txn);
	if (rc == 0 && version != 0 && !is_readable(version))
		return pb_err_set(err, PB_EFORMAT, "the index has version "
		    "%llu, this program writes %u", (unsigned long long)version,
		    PB_INDEX_VERSION);
	return rc;
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
