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

struct open_page {
	struct pb_open_info	*rows;
	size_t			 max, count;
};

static int	open_index(struct pb_index **, const char *, const char *,
		    uint64_t, bool, struct pb_err *);
static uint64_t	bytes_of(const char *);
static int	probe(const char *, bool, struct pb_err *);
static bool	is_readable(uint64_t);
static int	check_version(struct pb_index *, struct pb_err *);
static int	open_row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static int	list_rows(struct pb_index *, unsigned, struct pb_open_info *,
		    size_t, struct pb_err *);
static void	uncount_segment(struct pb_mdb_txn *, uint32_t, uint64_t);
static void	put_age(struct pb_mdb_txn *, const struct pb_segment_info *);
static void	meta_add(struct pb_mdb_txn *, const char *, uint64_t);
static void	put_row(struct pb_mdb_txn *, unsigned, uint32_t, uint64_t,
		    const void *, size_t);
static void	del_row(struct pb_mdb_txn *, unsigned, uint32_t, uint64_t);
static bool	gap_touching(struct pb_mdb_txn *, uint32_t, uint64_t, uint64_t,
		    struct pb_gap_info *);
static void	fill_one(struct pb_mdb_txn *, const struct pb_gap_info *,
		    uint64_t, uint64_t, uint64_t);

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
	uint8_t key[PB_KEY_STREAM_MAX];
	size_t len = pb_key_stream(key, &info->key);
	struct row_stream row = {
		.id = info->id,
		.linktype = info->linktype,
		.flags = (uint16_t)((info->own ? PB_STREAM_OWN : 0) |
		    (info->unsteady ? PB_STREAM_UNSTEADY : 0)),
		.snaplen = info->snaplen,
		.created_ns = info->created_ns,
		.first_seq = info->first_seq,
		.last_seq = info->last_seq,
		.packets = info->packets,
		.bytes = info->bytes,
		.dropped = info->dropped,
		.dropped_before = info->dropped_before,
		.first_time = info->first_time,
		.last_time = info->last_time,
	};

	struct pb_mdb_value known;
	uint8_t id[4];

	pb_mdb_put(txn, PB_TABLE_STREAMS, key, len, &row, sizeof(row));
	pb_put_be32(id, info->id);
	if (pb_mdb_get(txn, PB_TABLE_IDS, id, sizeof(id), &known) != 1)
		pb_mdb_put(txn, PB_TABLE_IDS, id, sizeof(id), key, len);
}

void
pb_index_put_segment(struct pb_mdb_txn *txn,
    const struct pb_segment_info *info)
{
	struct row_segment row = {
		.last = info->last_seq,
		.packets = info->packets,
		.bytes = info->bytes,
		.packet_bytes = info->packet_bytes,
		.first_time = info->first_time,
		.last_time = info->last_time,
		.created_ns = info->created_ns,
		.sealed_at = info->sealed ? info->sealed_at : 0,
		.header_digest = info->header_digest,
		.header_bytes = info->header_bytes,
		.sealed = info->sealed,
	};

	uncount_segment(txn, info->stream, info->first_seq);
	put_row(txn, PB_TABLE_SEGMENTS, info->stream, info->first_seq, &row,
	    sizeof(row));
	meta_add(txn, PB_META_SEGMENTS, 1);
	meta_add(txn, PB_META_BYTES, row.bytes);
	if (info->sealed)
		put_age(txn, info);
}

void
pb_index_del_segment(struct pb_mdb_txn *txn, uint32_t stream,
    uint64_t first_seq)
{
	uncount_segment(txn, stream, first_seq);
	del_row(txn, PB_TABLE_SEGMENTS, stream, first_seq);
}

void
pb_index_put_extent(struct pb_mdb_txn *txn, const struct pb_extent_info *info)
{
	struct row_extent row = {
		.last = info->last_seq,
		.segment_seq = info->segment_seq,
		.offset = info->offset,
		.first_time = info->first_time,
		.last_time = info->last_time,
		.digest = info->digest,
		.bytes = info->bytes,
	};

	put_row(txn, PB_TABLE_EXTENTS, info->stream, info->first_seq, &row,
	    sizeof(row));
}

void
pb_index_del_extent(struct pb_mdb_txn *txn, uint32_t stream,
    uint64_t first_seq)
{
	del_row(txn, PB_TABLE_EXTENTS, stream, first_seq);
}

void
pb_index_put_gap(struct pb_mdb_txn *txn, const struct pb_gap_info *info)
{
	struct row_gap row = {
		.last = info->last,
		.since_ns = info->since_ns,
		.closed_ns = info->closed_ns,
		.reason = (uint32_t)info->reason,
	};

	put_row(txn, PB_TABLE_GAPS, info->stream, info->first, &row,
	    sizeof(row));
}

void
pb_index_del_gap(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first)
{
	del_row(txn, PB_TABLE_GAPS, stream, first);
}

void
pb_index_put_drop(struct pb_mdb_txn *txn, const struct pb_drop_info *info)
{
	struct row_drop row = {
		.count = info->count,
		.time_ns = info->time_ns,
	};

	put_row(txn, PB_TABLE_DROPS, info->stream, info->seq, &row,
	    sizeof(row));
}

void
pb_index_del_drop(struct pb_mdb_txn *txn, uint32_t stream, uint64_t seq)
{
	del_row(txn, PB_TABLE_DROPS, stream, seq);
}

void
pb_index_put_open(struct pb_mdb_txn *txn, uint32_t stream,
    const struct pb_stream_key *key, uint64_t first_seq)
{
	uint8_t bytes[PB_KEY_STREAM_MAX];

	put_row(txn, PB_TABLE_OPEN, stream, first_seq, bytes,
	    pb_key_stream(bytes, key));
}

void
pb_index_del_open(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first_seq)
{
	del_row(txn, PB_TABLE_OPEN, stream, first_seq);
}

int
pb_index_open_rows(struct pb_index *index, struct pb_open_info *out,
    size_t max, struct pb_err *err)
{
	return list_rows(index, PB_TABLE_OPEN, out, max, err);
}

void
pb_index_put_doomed(struct pb_mdb_txn *txn, uint32_t stream,
    const struct pb_stream_key *key, uint64_t first_seq)
{
	uint8_t bytes[PB_KEY_STREAM_MAX];

	put_row(txn, PB_TABLE_DOOMED, stream, first_seq, bytes,
	    pb_key_stream(bytes, key));
}

void
pb_index_del_doomed(struct pb_mdb_txn *txn, uint32_t stream,
    uint64_t first_seq)
{
	del_row(txn, PB_TABLE_DOOMED, stream, first_seq);
}

int
pb_index_doomed_rows(struct pb_index *index, struct pb_open_info *out,
    size_t max, struct pb_err *err)
{
	return list_rows(index, PB_TABLE_DOOMED, out, max, err);
}

int
pb_index_listed(struct pb_index *index, uint32_t stream, uint64_t first_seq,
    struct pb_err *err)
{
	uint8_t key[PB_KEY_ROW_BYTES];
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;
	int rc = pb_mdb_begin(index->mdb, false, &txn, err);

	pb_key_row(key, stream, first_seq);
	if (rc == 0)
		rc = pb_mdb_get(&txn, PB_TABLE_OPEN, key, sizeof(key),
		    &value);
	if (rc == 0)
		rc = pb_mdb_get(&txn, PB_TABLE_DOOMED, key, sizeof(key),
		    &value);
	pb_mdb_abort(&txn);
	return rc;
}

void
pb_index_put_fill(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last)
{
	struct row_fill row = { .stream = stream, .first = first,
	    .last = last };
	uint64_t number = pb_meta_get(txn, "last_fill") + 1;
	uint8_t key[8];

	pb_put_be64(key, number);
	pb_mdb_put(txn, PB_TABLE_FILLS, key, sizeof(key), &row, sizeof(row));
	pb_index_meta_put(txn, "last_fill", number);
	if (number <= PB_FILLS_MAX)
		return;
	pb_put_be64(key, number - PB_FILLS_MAX);
	pb_mdb_del(txn, PB_TABLE_FILLS, key, sizeof(key));
}

uint64_t
pb_index_meta_get(struct pb_mdb_txn *txn, const char *name)
{
	return pb_meta_get(txn, name);
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
pb_index_fill_gaps(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first,
    uint64_t last, uint64_t now_ns)
{
	struct pb_gap_info gap;
	uint64_t from = first;

	while (from <= last && gap_touching(txn, stream, from, last, &gap)) {
		if (gap.closed_ns == 0)
			fill_one(txn, &gap, first, last, now_ns);
		if (gap.last >= last)
			break;
		from = gap.last + 1;
	}
}

/* The first gap row, open or closed, that touches [from, last]. */
static bool
gap_touching(struct pb_mdb_txn *txn, uint32_t stream, uint64_t from,
    uint64_t last, struct pb_gap_info *out)
{
	uint8_t key[PB_KEY_ROW_BYTES];
	struct pb_mdb_value found, value;
	struct row_gap row;
	int rc;

	pb_key_row(key, stream, from);
	rc = pb_mdb_find_last(txn, PB_TABLE_GAPS, key, sizeof(key), &found,
	    &value);
	if (rc == 1 && found.len == sizeof(key) && value.len == sizeof(row) &&
	    memcmp(found.data, key, 4) == 0) {
		memcpy(&row, value.data, sizeof(row));
		if (row.last >= from)
			goto found;
	}
	rc = pb_mdb_find(txn, PB_TABLE_GAPS, key, sizeof(key), &found, &value);
	if (rc != 1 || found.len != sizeof(key) ||
	    value.len != sizeof(row) || memcmp(found.data, key, 4) != 0)
		return false;
	memcpy(&row, value.data, sizeof(row));
found:
	*out = (struct pb_gap_info){
		.stream = stream,
		.first = pb_get_be64((const uint8_t *)found.data + 4),
		.last = row.last,
		.reason = (enum pb_gap_reason)row.reason,
		.since_ns = row.since_ns,
		.closed_ns = row.closed_ns,
	};
	return out->first <= last;
}

/* Split an open gap into what stays open before, what closes, and what
 * stays open behind. */
static void
fill_one(struct pb_mdb_txn *txn, const struct pb_gap_info *gap,
    uint64_t first, uint64_t last, uint64_t now_ns)
{
	struct pb_gap_info part = *gap;

	pb_index_del_gap(txn, gap->stream, gap->first);
	if (gap->first < first) {
		part.last = first - 1;
		pb_index_put_gap(txn, &part);
	}
	part.first = gap->first < first ? first : gap->first;
	part.last = gap->last > last ? last : gap->last;
	part.closed_ns = now_ns;
	pb_index_put_gap(txn, &part);
	if (gap->last > last) {
		part.first = last + 1;
		part.last = gap->last;
		part.closed_ns = 0;
		pb_index_put_gap(txn, &part);
	}
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

/* The rows of a table whose values are streams' keys, from the start. */
static int
list_rows(struct pb_index *index, unsigned table, struct pb_open_info *out,
    size_t max, struct pb_err *err)
{
	struct open_page page = { .rows = out, .max = max };
	struct pb_mdb_txn txn;
	int rc = pb_mdb_begin(index->mdb, false, &txn, err);

	if (rc == 0)
		rc = pb_mdb_walk(&txn, table, NULL, 0, open_row, &page);
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)page.count;
}

static int
open_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct open_page *page = arg;
	const uint8_t *bytes = key->data;

	if (page->count == page->max)
		return 1;
	if (key->len != PB_KEY_ROW_BYTES)
		return 0;
	page->rows[page->count].stream = pb_get_be32(bytes);
	page->rows[page->count].first_seq = pb_get_be64(bytes + 4);
	pb_key_stream_parse(&page->rows[page->count].key, value->data,
	    value->len);
	page->count++;
	return 0;
}

/* Take what the segment's row adds out of the sums and the order of age. */
static void
uncount_segment(struct pb_mdb_txn *txn, uint32_t stream, uint64_t first_seq)
{
	uint8_t key[PB_KEY_ROW_BYTES], age[PB_KEY_AGE_BYTES];
	struct pb_mdb_value value;
	struct row_segment row;

	pb_key_row(key, stream, first_seq);
	if (pb_mdb_get(txn, PB_TABLE_SEGMENTS, key, sizeof(key), &value) !=
	    1 || value.len != sizeof(row))
		return;
	memcpy(&row, value.data, sizeof(row));
	meta_add(txn, PB_META_SEGMENTS, (uint64_t)-1);
	meta_add(txn, PB_META_BYTES, (uint64_t)0 - row.bytes);
	if (!row.sealed)
		return;
	pb_key_age(age, row.sealed_at, stream, first_seq);
	pb_mdb_del(txn, PB_TABLE_AGES, age, sizeof(age));
}

static void
put_age(struct pb_mdb_txn *txn, const struct pb_segment_info *info)
{
	uint8_t key[PB_KEY_AGE_BYTES];

	pb_key_age(key, info->sealed_at, info->stream, info->first_seq);
	pb_mdb_put(txn, PB_TABLE_AGES, key, sizeof(key), &info->bytes,
	    sizeof(info->bytes));
}

/* Modulo 2^64: adding a negative number takes away. */
static void
meta_add(struct pb_mdb_txn *txn, const char *name, uint64_t change)
{
	pb_index_meta_put(txn, name, pb_meta_get(txn, name) + change);
}

static void
put_row(struct pb_mdb_txn *txn, unsigned table, uint32_t stream,
    uint64_t number, const void *row, size_t len)
{
	uint8_t key[PB_KEY_ROW_BYTES];

	pb_key_row(key, stream, number);
	pb_mdb_put(txn, table, key, sizeof(key), row, len);
}

static void
del_row(struct pb_mdb_txn *txn, unsigned table, uint32_t stream,
    uint64_t number)
{
	uint8_t key[PB_KEY_ROW_BYTES];

	pb_key_row(key, stream, number);
	pb_mdb_del(txn, table, key, sizeof(key));
}
