/*
 * recorder/store/index/index_rows.c - rows and keys, as they are stored
 */
#include "recorder/store/index/index_rows.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "recorder/flow/table.h"

#define KEY_NUMBERS	3
/* Of an index block's row: what stands before its summary, which is stored as
 * long as it is; and the digest of that behind it. */
#define FLOWS_HEAD_BYTES	(offsetof(struct pb_flows_info, summary) - \
				    offsetof(struct pb_flows_info, last_seq))
#define DIGEST_BYTES		8u

const char *const pb_index_tables[PB_TABLES] = {
	"meta", "streams", "segments", "extents", "gaps", "drops", "open",
	"ids", "ages", "fills", "doomed", "flows",
};

/* Of a table: its rows' structure, where in it the value begins, and the
 * numbers that are the key; without any that is the stream's, which stands
 * first. */
struct shape {
	size_t	bytes;
	size_t	value_at;
	bool	ranges;		/* the value begins with its last number */
	bool	names;		/* the value is a stream's key */
	struct { size_t at, bytes; } key[KEY_NUMBERS];
};
#define ROW(type, value)	sizeof(struct type),			\
				offsetof(struct type, value)
#define KEY(type, member)	{ offsetof(struct type, member),	\
				    sizeof(((struct type *)0)->member) }
#define NUMBERED(type, number)	{ KEY(type, stream), KEY(type, number) }

static const struct shape shapes[PB_TABLES] = {
	[PB_TABLE_STREAMS] = { ROW(pb_stream_info, id) },
	[PB_TABLE_SEGMENTS] = { ROW(pb_segment_info, last_seq),
	    .ranges = true, .key = NUMBERED(pb_segment_info, first_seq) },
	[PB_TABLE_EXTENTS] = { ROW(pb_extent_info, last_seq),
	    .ranges = true, .key = NUMBERED(pb_extent_info, first_seq) },
	[PB_TABLE_GAPS] = { ROW(pb_gap_info, last),
	    .ranges = true, .key = NUMBERED(pb_gap_info, first) },
	[PB_TABLE_DROPS] = { ROW(pb_drop_info, count),
	    .key = NUMBERED(pb_drop_info, seq) },
	[PB_TABLE_OPEN] = { ROW(pb_open_info, key), .names = true,
	    .key = NUMBERED(pb_open_info, first_seq) },
	[PB_TABLE_IDS] = { ROW(pb_open_info, key), .names = true,
	    .key = { KEY(pb_open_info, stream) } },
	[PB_TABLE_AGES] = { ROW(pb_age_info, bytes),
	    .key = { KEY(pb_age_info, sealed_at), KEY(pb_age_info, stream),
	    KEY(pb_age_info, first_seq) } },
	[PB_TABLE_FILLS] = { ROW(pb_fill_info, first),
	    .key = { KEY(pb_fill_info, number) } },
	[PB_TABLE_DOOMED] = { ROW(pb_open_info, key), .names = true,
	    .key = NUMBERED(pb_open_info, first_seq) },
	[PB_TABLE_FLOWS] = { ROW(pb_flows_info, last_seq), .ranges = true,
	    .key = NUMBERED(pb_flows_info, first_seq) },
};

/* What files have been written with. */
static_assert(sizeof(struct pb_stream_info) -
    offsetof(struct pb_stream_info, id) == 88, "a stream's value");
static_assert(offsetof(struct pb_stream_info, snaplen) -
    offsetof(struct pb_stream_info, id) == 8, "a stream's flags");
static_assert(sizeof(struct pb_segment_info) == 96, "a segment's row");
static_assert(sizeof(struct pb_extent_info) == 72, "an extent's row");
static_assert(sizeof(struct pb_gap_info) == 48, "a gap's row");
static_assert(sizeof(struct pb_drop_info) == 32, "a drop's row");
static_assert(sizeof(struct pb_fill_info) == 32, "a fill's row");
static_assert(offsetof(struct pb_flows_info, summary) == 96, "what stands "
    "before an index block's summary");
static_assert(sizeof(struct pb_flows_info) <= PB_ROWS_PAGE_BYTES,
    "a page has a row of each table");

static void	key_numbered(uint8_t [static PB_KEY_NUMBERED_BYTES], uint32_t,
		    uint64_t);
static bool	key_read(const struct shape *, uint8_t *,
		    const struct pb_mdb_value *);
static size_t	value_bytes(const struct shape *);
static bool	flows_read(struct pb_flows_info *,
		    const struct pb_mdb_value *);
static void	flows_put(struct pb_mdb_txn *, const uint8_t *, size_t,
		    const struct pb_flows_info *);
static uint64_t	head_digest(const struct pb_flows_info *);
static bool	holds(unsigned, const void *);
static bool	makes_sense(const struct pb_flows_info *);

bool
pb_row_read(unsigned table, void *out, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	const struct shape *shape = &shapes[table];
	struct pb_open_info *open = out;

	/* Most of a large row is what is stored. */
	memset(out, 0, table == PB_TABLE_FLOWS ?
	    offsetof(struct pb_flows_info, summary) : shape->bytes);
	if (!key_read(shape, out, key))
		return false;
	if (shape->names) {
		pb_key_stream_parse(&open->key, value->data, value->len);
		return true;
	}
	if (table == PB_TABLE_FLOWS)
		return flows_read(out, value) && holds(table, out);
	if (value->len != value_bytes(shape))
		return false;
	memcpy((uint8_t *)out + shape->value_at, value->data, value->len);
	return holds(table, out);
}

bool
pb_row_range(unsigned table, const void *row, uint64_t *first, uint64_t *last)
{
	const struct shape *shape = &shapes[table];

	if (!shape->ranges)
		return false;
	memcpy(first, (const uint8_t *)row + shape->key[1].at, sizeof(*first));
	memcpy(last, (const uint8_t *)row + shape->value_at, sizeof(*last));
	return true;
}

size_t
pb_row_bytes(unsigned table)
{
	return shapes[table].bytes;
}

size_t
pb_row_key(uint8_t out[static PB_MDB_KEY_MAX], unsigned table, const void *row)
{
	const struct shape *shape = &shapes[table];
	size_t len = 0;

	if (shape->key[0].bytes == 0)
		return pb_key_stream(out, row);
	for (size_t i = 0; i < KEY_NUMBERS; len += shape->key[i++].bytes) {
		const uint8_t *at = (const uint8_t *)row + shape->key[i].at;
		uint32_t u32;
		uint64_t u64;

		if (shape->key[i].bytes == sizeof(u32)) {
			memcpy(&u32, at, sizeof(u32));
			pb_put_be32(out + len, u32);
		} else if (shape->key[i].bytes == sizeof(u64)) {
			memcpy(&u64, at, sizeof(u64));
			pb_put_be64(out + len, u64);
		}
	}
	return len;
}

void
pb_index_put(struct pb_mdb_txn *txn, enum pb_index_table table,
    const void *row)
{
	const struct shape *shape = &shapes[table];
	const struct pb_open_info *open = row;
	uint8_t key[PB_MDB_KEY_MAX], name[PB_KEY_STREAM_MAX];
	size_t len = pb_row_key(key, table, row);

	if (shape->names)
		pb_mdb_put(txn, table, key, len, name,
		    pb_key_stream(name, &open->key));
	else if (table == PB_TABLE_FLOWS)
		flows_put(txn, key, len, row);
	else
		pb_mdb_put(txn, table, key, len, (const uint8_t *)row +
		    shape->value_at, value_bytes(shape));
}

void
pb_index_del(struct pb_mdb_txn *txn, enum pb_index_table table,
    uint32_t stream, uint64_t number)
{
	uint8_t key[PB_KEY_NUMBERED_BYTES];

	key_numbered(key, stream, number);
	pb_mdb_del(txn, table, key, sizeof(key));
}

void
pb_row_del(struct pb_mdb_txn *txn, unsigned table, const void *row)
{
	uint8_t key[PB_MDB_KEY_MAX];

	pb_mdb_del(txn, table, key, pb_row_key(key, table, row));
}

int
pb_row_get(struct pb_mdb_txn *txn, unsigned table, void *row)
{
	uint8_t key[PB_MDB_KEY_MAX];
	size_t len = pb_row_key(key, table, row);
	struct pb_mdb_value name = { key, len }, value;
	int rc = pb_mdb_get(txn, table, key, len, &value);

	return rc == 1 && !pb_row_read(table, row, &name, &value) ? 0 : rc;
}

enum pb_row_found
pb_row_find(struct pb_mdb_txn *txn, unsigned table, enum pb_row_which which,
    uint32_t stream, uint64_t number, void *out)
{
	struct pb_mdb_value found, value;
	uint8_t key[PB_KEY_NUMBERED_BYTES];
	int rc;

	key_numbered(key, stream, number);
	rc = which == PB_ROW_UP_TO ?
	    pb_mdb_find_last(txn, table, key, sizeof(key), &found, &value) :
	    pb_mdb_find(txn, table, key, sizeof(key), &found, &value);
	if (rc != 1 || found.len != sizeof(key) ||
	    memcmp(found.data, key, which == PB_ROW_AT ? sizeof(key) : 4) != 0)
		return PB_ROW_NONE;
	return pb_row_read(table, out, &found, &value) ? PB_ROW_SOUND :
	    PB_ROW_ROTTEN;
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

static void
key_numbered(uint8_t out[static PB_KEY_NUMBERED_BYTES], uint32_t stream,
    uint64_t number)
{
	pb_put_be32(out, stream);
	pb_put_be64(out + 4, number);
}

static bool
key_read(const struct shape *shape, uint8_t *row,
    const struct pb_mdb_value *key)
{
	const uint8_t *from = key->data;
	size_t len = 0;

	if (shape->key[0].bytes == 0)
		return pb_key_stream_parse((struct pb_stream_key *)(void *)row,
		    from, key->len);
	for (size_t i = 0; i < KEY_NUMBERS; i++)
		len += shape->key[i].bytes;
	if (key->len != len)
		return false;
	for (size_t i = 0; i < KEY_NUMBERS; from += shape->key[i++].bytes)
		if (shape->key[i].bytes == 4)
			memcpy(row + shape->key[i].at,
			    &(uint32_t){ pb_get_be32(from) }, 4);
		else if (shape->key[i].bytes == 8)
			memcpy(row + shape->key[i].at,
			    &(uint64_t){ pb_get_be64(from) }, 8);
	return true;
}

/* Of a table whose rows are all of one length. */
static size_t
value_bytes(const struct shape *shape)
{
	return shape->bytes - shape->value_at;
}

/*
 * Rows of the version before have no digest, and are read as they are.  One
 * that passes for such a row because its summary's length alone is wrong says
 * nothing wrong: the summary's own digest tells.
 */
static bool
flows_read(struct pb_flows_info *row, const struct pb_mdb_value *value)
{
	const uint8_t *from = value->data;
	size_t bytes = FLOWS_HEAD_BYTES;

	memcpy(&row->last_seq, from, value->len < bytes ? value->len : bytes);
	bytes += row->summary_bytes;
	if (row->summary_bytes > PB_SUMMARY_BYTES_MAX || (value->len != bytes &&
	    value->len != bytes + DIGEST_BYTES))
		return false;
	memcpy(row->summary, from + FLOWS_HEAD_BYTES, row->summary_bytes);
	memset(row->summary + row->summary_bytes, 0,
	    PB_SUMMARY_BYTES_MAX - row->summary_bytes);
	return value->len == bytes ||
	    pb_get_le64(from + bytes) == head_digest(row);
}

static void
flows_put(struct pb_mdb_txn *txn, const uint8_t *key, size_t len,
    const struct pb_flows_info *row)
{
	uint8_t value[sizeof(*row) + DIGEST_BYTES];
	size_t bytes = FLOWS_HEAD_BYTES + row->summary_bytes;

	memcpy(value, &row->last_seq, bytes);
	pb_put_le64(value + bytes, head_digest(row));
	pb_mdb_put(txn, PB_TABLE_FLOWS, key, len, value, bytes + DIGEST_BYTES);
}

/* Of the key and what stands in front of the tail, as they are stored; the
 * tail has a digest of its own. */
static uint64_t
head_digest(const struct pb_flows_info *row)
{
	uint8_t bytes[PB_KEY_NUMBERED_BYTES + FLOWS_HEAD_BYTES];

	key_numbered(bytes, row->stream, row->first_seq);
	memcpy(bytes + PB_KEY_NUMBERED_BYTES, &row->last_seq,
	    FLOWS_HEAD_BYTES);
	return pb_digest(bytes, sizeof(bytes));
}

/* Readers go on behind the last number: a rotten row must not lead them back.
 * An empty segment ends before it begins. */
static bool
holds(unsigned table, const void *row)
{
	uint64_t first, last;

	if (pb_row_range(table, row, &first, &last) &&
	    (last == UINT64_MAX || last + 1 < first))
		return false;
	return table != PB_TABLE_FLOWS || makes_sense(row);
}

/* Who reads packets by it can rely on that. */
static bool
makes_sense(const struct pb_flows_info *row)
{
	uint64_t numbers = row->last_seq - row->first_seq + 1;

	return row->segment_seq != 0 && row->segment_seq <= row->first_seq &&
	    row->packets != 0 && row->packets <= numbers &&
	    row->from < row->end && row->end - row->from <=
	    PB_INDEX_BLOCK_BYTES && row->table_bytes <=
	    PB_FLOW_TABLE_BYTES_MAX && row->table_at <= INT64_MAX -
	    PB_FLOW_TABLE_BYTES_MAX;
}
