/*
 * recorder/store/index/index.c - reading the index
 *
 * Each call is one read transaction that copies rows out and ends.
 */
#include "recorder/store/index/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/index/mdb_probe.h"

const char *const pb_index_tables[PB_TABLES] = {
	"meta", "streams", "segments", "extents", "gaps", "drops", "open",
	"ids", "ages", "fills", "doomed",
};

#define UNSTEADY_NS	(UINT64_C(3600) * 1000000000)

/* A page being filled by pb_mdb_walk(). */
struct page {
	uint32_t	 stream;
	unsigned	 table;
	void		*rows;
	size_t		 row_bytes;	/* of what the caller gets */
	size_t		 max;
	size_t		 count;
	void		(*decode)(void *, const uint8_t *,
			    const struct pb_mdb_value *);
	size_t		 value_bytes;	/* of what the table holds */
	bool		 ranges;	/* the value begins with `last` */
};

static int	stream_row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static bool	stream_decode(struct pb_stream_info *,
		    const struct pb_mdb_value *, const struct pb_mdb_value *);
static int	page_fill(struct pb_index *, struct page *, uint64_t, bool,
		    struct pb_err *);
static int	page_row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static bool	range_holds(const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static uint64_t	range_start(struct pb_mdb_txn *, unsigned, uint32_t, uint64_t);
static int	age_row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static int	fill_row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static void	decode_segment(void *, const uint8_t *,
		    const struct pb_mdb_value *);
static void	decode_extent(void *, const uint8_t *,
		    const struct pb_mdb_value *);
static void	decode_gap(void *, const uint8_t *,
		    const struct pb_mdb_value *);
static void	decode_drop(void *, const uint8_t *,
		    const struct pb_mdb_value *);

int
pb_index_open(struct pb_index **out, const char *store, struct pb_err *err)
{
	char path[PATH_MAX];
	struct pb_index *index;
	int rc = pb_layout_path(path, store, "index", err);

	if (rc < 0)
		return rc;
	index = calloc(1, sizeof(*index));
	if (index == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = pb_mdb_open(&index->mdb, path, 0, pb_index_tables, PB_TABLES,
	    false, err);
	if (rc < 0) {
		free(index);
		return rc;
	}
	*out = index;
	return 0;
}

int
pb_index_readable(const char *store, struct pb_err *err)
{
	enum pb_mdb_verdict verdict;
	char path[PATH_MAX];
	int rc = pb_layout_path(path, store, "index", err);

	if (rc < 0)
		return rc;
	verdict = pb_mdb_probe(path, pb_index_tables, PB_TABLES, false);
	/* A busy machine is given a second chance. */
	if (verdict == PB_MDB_STUCK)
		verdict = pb_mdb_probe(path, pb_index_tables, PB_TABLES,
		    false);
	switch (verdict) {
	case PB_MDB_DAMAGED:
		return pb_err_set(err, PB_EFORMAT, "index %s: is corrupt: "
		    "reading it ends in a signal; Fix: stop pb-recorder, 'pb "
		    "reindex', start it again", path);
	case PB_MDB_STUCK:
		return pb_err_set(err, PB_EBUSY, PB_MDB_STUCK_TEXT, path);
	default:
		return 0;
	}
}

void
pb_index_close(struct pb_index *index)
{
	if (index == NULL)
		return;
	pb_mdb_close(index->mdb);
	free(index);
}

uint64_t
pb_index_commits(struct pb_index *index)
{
	return pb_mdb_commits(index->mdb);
}

int
pb_index_streams(struct pb_index *index, const struct pb_stream_key *after,
    struct pb_stream_info *out, size_t max, struct pb_err *err)
{
	uint8_t key[PB_KEY_STREAM_MAX + 1];
	struct page page = { .rows = out, .max = max };
	struct pb_mdb_txn txn;
	size_t len = 0;
	int rc;

	if (after != NULL) {
		len = pb_key_stream(key, after);
		key[len++] = 0;		/* the first key behind it */
	}
	rc = pb_mdb_begin(index->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_walk(&txn, PB_TABLE_STREAMS, key, len, stream_row,
		    &page);
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)page.count;
}

int
pb_index_stream(struct pb_index *index, const struct pb_stream_key *key,
    struct pb_stream_info *out, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc;

	rc = pb_mdb_begin(index->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_index_get_stream(&txn, key, out);
	pb_mdb_abort(&txn);
	return rc;
}

int
pb_index_get_stream(struct pb_mdb_txn *txn, const struct pb_stream_key *key,
    struct pb_stream_info *out)
{
	uint8_t bytes[PB_KEY_STREAM_MAX];
	size_t len = pb_key_stream(bytes, key);
	struct pb_mdb_value name = { bytes, len }, row;
	int rc = pb_mdb_get(txn, PB_TABLE_STREAMS, bytes, len, &row);

	return rc == 1 && !stream_decode(out, &name, &row) ? 0 : rc;
}

int
pb_index_segments(struct pb_index *index, uint32_t stream, uint64_t from_seq,
    struct pb_segment_info *out, size_t max, struct pb_err *err)
{
	struct page page = {
		.stream = stream, .table = PB_TABLE_SEGMENTS, .rows = out,
		.row_bytes = sizeof(*out), .max = max,
		.decode = decode_segment,
		.value_bytes = sizeof(struct row_segment),
	};

	return page_fill(index, &page, from_seq, true, err);
}

int
pb_index_extents(struct pb_index *index, uint32_t stream, uint64_t from_seq,
    struct pb_extent_info *out, size_t max, struct pb_err *err)
{
	struct page page = {
		.stream = stream, .table = PB_TABLE_EXTENTS, .rows = out,
		.row_bytes = sizeof(*out), .max = max,
		.decode = decode_extent,
		.value_bytes = sizeof(struct row_extent),
	};

	return page_fill(index, &page, from_seq, true, err);
}

int
pb_index_extent_below(struct pb_index *index, uint32_t stream, uint64_t at,
    struct pb_extent_info *out, struct pb_err *err)
{
	uint8_t key[PB_KEY_ROW_BYTES];
	struct pb_mdb_value found, row;
	struct pb_mdb_txn txn;
	int rc;

	pb_key_row(key, stream, at);
	rc = pb_mdb_begin(index->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_find_last(&txn, PB_TABLE_EXTENTS, key, sizeof(key),
		    &found, &row);
	if (rc == 1 && (found.len != sizeof(key) ||
	    memcmp(found.data, key, 4) != 0 ||
	    row.len != sizeof(struct row_extent) ||
	    !range_holds(&found, &row)))
		rc = 0;
	if (rc == 1)
		decode_extent(out, found.data, &row);
	pb_mdb_abort(&txn);
	return rc;
}

int
pb_index_gaps(struct pb_index *index, uint32_t stream, uint64_t from,
    struct pb_gap_info *out, size_t max, struct pb_err *err)
{
	struct page page = {
		.stream = stream, .table = PB_TABLE_GAPS, .rows = out,
		.row_bytes = sizeof(*out), .max = max, .decode = decode_gap,
		.value_bytes = sizeof(struct row_gap),
	};

	return page_fill(index, &page, from, true, err);
}

int
pb_index_drops(struct pb_index *index, uint32_t stream, uint64_t from,
    struct pb_drop_info *out, size_t max, struct pb_err *err)
{
	struct page page = {
		.stream = stream, .table = PB_TABLE_DROPS, .rows = out,
		.row_bytes = sizeof(*out), .max = max, .decode = decode_drop,
		.value_bytes = sizeof(struct row_drop),
	};

	return page_fill(index, &page, from, false, err);
}

int
pb_index_ages(struct pb_index *index, const struct pb_age_info *after,
    struct pb_age_info *out, size_t max, struct pb_err *err)
{
	uint8_t key[PB_KEY_AGE_BYTES + 1];
	struct page page = { .rows = out, .max = max };
	struct pb_mdb_txn txn;
	size_t len = 0;
	int rc;

	if (after != NULL) {
		pb_key_age(key, after->sealed_at, after->stream,
		    after->first_seq);
		key[PB_KEY_AGE_BYTES] = 0;
		len = sizeof(key);
	}
	rc = pb_mdb_begin(index->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_walk(&txn, PB_TABLE_AGES, key, len, age_row, &page);
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)page.count;
}

int
pb_index_fills(struct pb_index *index, uint64_t after,
    struct pb_fill_info *out, size_t max, struct pb_err *err)
{
	uint8_t key[8];
	struct page page = { .rows = out, .max = max };
	struct pb_mdb_txn txn;
	int rc;

	pb_put_be64(key, after + 1);
	rc = pb_mdb_begin(index->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_walk(&txn, PB_TABLE_FILLS, key, sizeof(key),
		    fill_row, &page);
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)page.count;
}

int
pb_index_totals(struct pb_index *index, struct pb_index_totals *out,
    struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_mdb_begin(index->mdb, false, &txn, err);

	memset(out, 0, sizeof(*out));
	if (rc == 0) {
		out->segments = pb_meta_get(&txn, PB_META_SEGMENTS);
		out->bytes = pb_meta_get(&txn, PB_META_BYTES);
		rc = txn.rc;
	}
	pb_mdb_abort(&txn);
	return rc;
}

int
pb_index_stream_key(struct pb_index *index, uint32_t stream,
    struct pb_stream_key *out, struct pb_err *err)
{
	uint8_t key[4];
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;
	int rc = pb_mdb_begin(index->mdb, false, &txn, err);

	pb_put_be32(key, stream);
	if (rc == 0)
		rc = pb_mdb_get(&txn, PB_TABLE_IDS, key, sizeof(key), &value);
	if (rc == 1 && !pb_key_stream_parse(out, value.data, value.len))
		rc = 0;
	pb_mdb_abort(&txn);
	return rc;
}

int
pb_index_age(struct pb_index *index, struct pb_age *out, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_mdb_begin(index->mdb, false, &txn, err);

	memset(out, 0, sizeof(*out));
	if (rc == 0) {
		pb_index_get_age(&txn, out);
		rc = txn.rc;
	}
	pb_mdb_abort(&txn);
	return rc;
}

/* Where there is none, because it rotted or the index was made again, it is
 * what the last segment sealed has, and nobody knows how old that is. */
void
pb_index_get_age(struct pb_mdb_txn *txn, struct pb_age *out)
{
	uint8_t last[PB_KEY_AGE_BYTES];
	struct pb_mdb_value row, key;
	uint64_t sealed;

	if (pb_mdb_get(txn, PB_TABLE_META, PB_META_AGE,
	    strlen(PB_META_AGE), &row) == 1 && row.len == sizeof(*out)) {
		memcpy(out, row.data, sizeof(*out));
		if (pb_age_sound(out))
			return;
	}
	memset(out, 0, sizeof(*out));
	memset(last, 0xff, sizeof(last));
	if (pb_mdb_find_last(txn, PB_TABLE_AGES, last, sizeof(last), &key,
	    &row) != 1 || key.len != PB_KEY_AGE_BYTES)
		return;
	sealed = pb_get_be64(key.data);
	if (sealed > PB_AGE_BASE && sealed < 2 * PB_AGE_BASE)
		out->ms = out->known_ms = sealed - PB_AGE_BASE;
}

uint64_t
pb_meta_get(struct pb_mdb_txn *txn, const char *name)
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
	if (stream->packets == 0 || first < stream->first_time)
		stream->first_time = first;
	if (last > stream->last_time)
		stream->last_time = last;
}

const char *
pb_gap_reason_name(enum pb_gap_reason reason)
{
	switch (reason) {
	case PB_GAP_DEAD_LETTERED:
		return "dead-lettered";
	case PB_GAP_EXPIRED:
		return "expired";
	case PB_GAP_DAMAGED:
		return "damaged";
	case PB_GAP_RESTORED:
		return "restored";
	}
	return "unknown";
}

enum pb_gap_reason
pb_gap_reason_parse(const char *name)
{
	for (int r = PB_GAP_DEAD_LETTERED; r <= PB_GAP_RESTORED; r++)
		if (strcmp(name, pb_gap_reason_name((enum pb_gap_reason)r)) ==
		    0)
			return (enum pb_gap_reason)r;
	return (enum pb_gap_reason)0;
}

void
pb_key_row(uint8_t out[static PB_KEY_ROW_BYTES], uint32_t stream,
    uint64_t number)
{
	pb_put_be32(out, stream);
	pb_put_be64(out + 4, number);
}

void
pb_key_age(uint8_t out[static PB_KEY_AGE_BYTES], uint64_t sealed_at,
    uint32_t stream, uint64_t first_seq)
{
	pb_put_be64(out, sealed_at);
	pb_key_row(out + 8, stream, first_seq);
}

size_t
pb_key_stream(uint8_t out[static PB_KEY_STREAM_MAX],
    const struct pb_stream_key *key)
{
	size_t node = strlen(key->node) + 1;
	size_t interface = strlen(key->interface) + 1;

	memcpy(out, key->node, node);
	memcpy(out + node, key->interface, interface);
	pb_put_be64(out + node + interface, key->epoch);
	return node + interface + 8;
}

bool
pb_key_stream_parse(struct pb_stream_key *out, const void *key, size_t len)
{
	const char *bytes = key;
	size_t node, interface;

	memset(out, 0, sizeof(*out));
	node = strnlen(bytes, len);
	if (node >= sizeof(out->node) || node + 1 >= len)
		return false;
	interface = strnlen(bytes + node + 1, len - node - 1);
	if (interface >= sizeof(out->interface) ||
	    node + 1 + interface + 1 + 8 != len)
		return false;
	memcpy(out->node, bytes, node);
	memcpy(out->interface, bytes + node + 1, interface);
	out->epoch = pb_get_be64((const uint8_t *)bytes + len - 8);
	return true;
}

static int
stream_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct page *page = arg;
	struct pb_stream_info *rows = page->rows;

	if (page->count == page->max)
		return 1;
	if (stream_decode(&rows[page->count], key, value))
		page->count++;
	return 0;
}

/* False for a row that is not one of ours: the disk can lie. */
static bool
stream_decode(struct pb_stream_info *out, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct row_stream row;

	memset(out, 0, sizeof(*out));
	if (value->len != sizeof(row) ||
	    !pb_key_stream_parse(&out->key, key->data, key->len))
		return false;
	memcpy(&row, value->data, sizeof(row));
	out->id = row.id;
	out->linktype = row.linktype;
	out->own = (row.flags & PB_STREAM_OWN) != 0;
	out->unsteady = (row.flags & PB_STREAM_UNSTEADY) != 0;
	out->snaplen = row.snaplen;
	out->created_ns = row.created_ns;
	out->first_seq = row.first_seq;
	out->last_seq = row.last_seq;
	out->packets = row.packets;
	out->bytes = row.bytes;
	out->dropped = row.dropped;
	out->dropped_before = row.dropped_before;
	out->first_time = row.first_time;
	out->last_time = row.last_time;
	return true;
}

static int
page_fill(struct pb_index *index, struct page *page, uint64_t from,
    bool ranges, struct pb_err *err)
{
	uint8_t key[PB_KEY_ROW_BYTES];
	struct pb_mdb_txn txn;
	int rc;

	page->ranges = ranges;
	rc = pb_mdb_begin(index->mdb, false, &txn, err);
	if (rc == 0) {
		if (ranges)
			from = range_start(&txn, page->table, page->stream,
			    from);
		pb_key_row(key, page->stream, from);
		rc = pb_mdb_walk(&txn, page->table, key, sizeof(key),
		    page_row, page);
	}
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)page->count;
}

/* Where to start so that a row that begins before `from` and reaches it
 * is seen. */
static uint64_t
range_start(struct pb_mdb_txn *txn, unsigned table, uint32_t stream,
    uint64_t from)
{
	uint8_t key[PB_KEY_ROW_BYTES];
	struct pb_mdb_value found, row;
	uint64_t last;

	pb_key_row(key, stream, from);
	if (pb_mdb_find_last(txn, table, key, sizeof(key), &found, &row) != 1)
		return from;
	if (found.len != sizeof(key) || memcmp(found.data, key, 4) != 0 ||
	    row.len < sizeof(last))
		return from;
	memcpy(&last, row.data, sizeof(last));
	if (last < from)
		return from;
	return pb_get_be64((const uint8_t *)found.data + 4);
}

static int
page_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct page *page = arg;
	const uint8_t *bytes = key->data;

	if (key->len != PB_KEY_ROW_BYTES ||
	    pb_get_be32(bytes) != page->stream || page->count == page->max)
		return 1;
	if (value->len != page->value_bytes ||
	    (page->ranges && !range_holds(key, value)))
		return 0;
	page->decode((uint8_t *)page->rows + page->count * page->row_bytes,
	    bytes, value);
	page->count++;
	return 0;
}

static int
age_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct page *page = arg;
	struct pb_age_info *rows = page->rows;
	const uint8_t *bytes = key->data;

	if (page->count == page->max)
		return 1;
	if (key->len != PB_KEY_AGE_BYTES || value->len != sizeof(uint64_t))
		return 0;
	rows += page->count++;
	rows->sealed_at = pb_get_be64(bytes);
	rows->stream = pb_get_be32(bytes + 8);
	rows->first_seq = pb_get_be64(bytes + 12);
	memcpy(&rows->bytes, value->data, sizeof(rows->bytes));
	return 0;
}

static int
fill_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct page *page = arg;
	struct pb_fill_info *rows = page->rows;
	struct row_fill row;

	if (page->count == page->max)
		return 1;
	if (key->len != 8 || value->len != sizeof(row))
		return 0;
	memcpy(&row, value->data, sizeof(row));
	rows += page->count++;
	rows->number = pb_get_be64(key->data);
	rows->stream = row.stream;
	rows->first = row.first;
	rows->last = row.last;
	return 0;
}

/* Readers go on at `last` + 1: a rotten row must not lead them back.  An
 * empty segment ends before it begins. */
static bool
range_holds(const struct pb_mdb_value *key, const struct pb_mdb_value *value)
{
	uint64_t first = pb_get_be64((const uint8_t *)key->data + 4), last;

	memcpy(&last, value->data, sizeof(last));
	return last != UINT64_MAX && last + 1 >= first;
}

static void
decode_segment(void *out, const uint8_t *key, const struct pb_mdb_value *value)
{
	struct pb_segment_info *info = out;
	struct row_segment row;

	memcpy(&row, value->data, sizeof(row));
	memset(info, 0, sizeof(*info));
	info->stream = pb_get_be32(key);
	info->first_seq = pb_get_be64(key + 4);
	info->last_seq = row.last;
	info->packets = row.packets;
	info->bytes = row.bytes;
	info->packet_bytes = row.packet_bytes;
	info->first_time = row.first_time;
	info->last_time = row.last_time;
	info->created_ns = row.created_ns;
	info->sealed_at = row.sealed_at;
	info->header_digest = row.header_digest;
	info->header_bytes = row.header_bytes;
	info->sealed = row.sealed != 0;
}

static void
decode_extent(void *out, const uint8_t *key, const struct pb_mdb_value *value)
{
	struct pb_extent_info *info = out;
	struct row_extent row;

	memcpy(&row, value->data, sizeof(row));
	memset(info, 0, sizeof(*info));
	info->stream = pb_get_be32(key);
	info->first_seq = pb_get_be64(key + 4);
	info->last_seq = row.last;
	info->segment_seq = row.segment_seq;
	info->offset = row.offset;
	info->bytes = row.bytes;
	info->first_time = row.first_time;
	info->last_time = row.last_time;
	info->digest = row.digest;
}

static void
decode_gap(void *out, const uint8_t *key, const struct pb_mdb_value *value)
{
	struct pb_gap_info *info = out;
	struct row_gap row;

	memcpy(&row, value->data, sizeof(row));
	memset(info, 0, sizeof(*info));
	info->stream = pb_get_be32(key);
	info->first = pb_get_be64(key + 4);
	info->last = row.last;
	info->reason = (enum pb_gap_reason)row.reason;
	info->since_ns = row.since_ns;
	info->closed_ns = row.closed_ns;
}

static void
decode_drop(void *out, const uint8_t *key, const struct pb_mdb_value *value)
{
	struct pb_drop_info *info = out;
	struct row_drop row;

	memcpy(&row, value->data, sizeof(row));
	memset(info, 0, sizeof(*info));
	info->stream = pb_get_be32(key);
	info->seq = pb_get_be64(key + 4);
	info->count = row.count;
	info->time_ns = row.time_ns;
}
