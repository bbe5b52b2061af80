/*
 * recorder/store/index/index_rows.c - rows and keys, as they are stored
 */
#include "recorder/store/index/index_rows.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

#define KEY_AGE		20	/* age u64, stream u32, number u64 */
#define KEY_FILL	8	/* number u64 */

const char *const pb_index_tables[PB_TABLES] = {
	"meta", "streams", "segments", "extents", "gaps", "drops", "open",
	"ids", "ages", "fills", "doomed",
};

/* A row's structure, and where in it the value begins. */
struct shape {
	size_t	bytes;
	size_t	value_at;
	bool	ranges;		/* the value begins with its last number */
};
#define SHAPE(type, value, ...)	{ sizeof(struct type), \
				    offsetof(struct type, value), __VA_ARGS__ }

static const struct shape shapes[PB_TABLES] = {
	[PB_TABLE_STREAMS] = SHAPE(pb_stream_info, id, false),
	[PB_TABLE_SEGMENTS] = SHAPE(pb_segment_info, last_seq, true),
	[PB_TABLE_EXTENTS] = SHAPE(pb_extent_info, last_seq, true),
	[PB_TABLE_GAPS] = SHAPE(pb_gap_info, last, true),
	[PB_TABLE_DROPS] = SHAPE(pb_drop_info, count, false),
	[PB_TABLE_AGES] = SHAPE(pb_age_info, bytes, false),
	[PB_TABLE_FILLS] = SHAPE(pb_fill_info, first, false),
};

/* What each structure begins with whose key is a stream and a number. */
struct numbered {
	uint32_t	stream;
	uint64_t	number;
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
static_assert(offsetof(struct pb_segment_info, first_seq) ==
    offsetof(struct numbered, number) &&
    offsetof(struct pb_extent_info, first_seq) ==
    offsetof(struct numbered, number) &&
    offsetof(struct pb_gap_info, first) == offsetof(struct numbered, number) &&
    offsetof(struct pb_drop_info, seq) == offsetof(struct numbered, number) &&
    offsetof(struct pb_open_info, first_seq) ==
    offsetof(struct numbered, number), "stream and number come first");

static bool	holds(unsigned, const void *);
static bool	key_read(unsigned, void *, const struct pb_mdb_value *);

bool
pb_row_read(unsigned table, void *out, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	const struct shape *shape = &shapes[table];
	struct pb_open_info *open = out;

	memset(out, 0, pb_row_bytes(table));
	if (!key_read(table, out, key))
		return false;
	if (shape->bytes == 0) {
		pb_key_stream_parse(&open->key, value->data, value->len);
		return true;
	}
	if (value->len != shape->bytes - shape->value_at)
		return false;
	memcpy((uint8_t *)out + shape->value_at, value->data, value->len);
	return holds(table, out);
}

bool
pb_row_range(unsigned table, const void *row, uint64_t *first, uint64_t *last)
{
	struct numbered head;

	if (!shapes[table].ranges)
		return false;
	memcpy(&head, row, sizeof(head));
	*first = head.number;
	memcpy(last, (const uint8_t *)row + shapes[table].value_at,
	    sizeof(*last));
	return true;
}

size_t
pb_row_bytes(unsigned table)
{
	return shapes[table].bytes != 0 ? shapes[table].bytes :
	    sizeof(struct pb_open_info);
}

size_t
pb_row_value_bytes(unsigned table)
{
	return shapes[table].bytes - shapes[table].value_at;
}

size_t
pb_row_key(uint8_t out[static PB_MDB_KEY_MAX], unsigned table, const void *row)
{
	const struct pb_stream_info *stream = row;
	const struct pb_age_info *age = row;
	const struct pb_fill_info *fill = row;
	struct numbered head;

	switch (table) {
	case PB_TABLE_STREAMS:
		return pb_key_stream(out, &stream->key);
	case PB_TABLE_AGES:
		pb_put_be64(out, age->sealed_at);
		pb_put_be32(out + 8, age->stream);
		pb_put_be64(out + 12, age->first_seq);
		return KEY_AGE;
	case PB_TABLE_FILLS:
		pb_put_be64(out, fill->number);
		return KEY_FILL;
	default:
		memcpy(&head, row, sizeof(head));
		pb_put_be32(out, head.stream);
		pb_put_be64(out + 4, head.number);
		return PB_KEY_NUMBERED_BYTES;
	}
}

void
pb_row_put(struct pb_mdb_txn *txn, unsigned table, const void *row)
{
	const struct pb_open_info *open = row;
	uint8_t key[PB_MDB_KEY_MAX], name[PB_KEY_STREAM_MAX];
	size_t len = pb_row_key(key, table, row);

	if (shapes[table].bytes == 0)
		pb_mdb_put(txn, table, key, len, name,
		    pb_key_stream(name, &open->key));
	else
		pb_mdb_put(txn, table, key, len, (const uint8_t *)row +
		    shapes[table].value_at, pb_row_value_bytes(table));
}

void
pb_row_del(struct pb_mdb_txn *txn, unsigned table, const void *row)
{
	uint8_t key[PB_MDB_KEY_MAX];

	pb_mdb_del(txn, table, key, pb_row_key(key, table, row));
}

enum pb_row_found
pb_row_find(struct pb_mdb_txn *txn, unsigned table, enum pb_row_which which,
    uint32_t stream, uint64_t number, void *out)
{
	struct pb_mdb_value found, value;
	uint8_t key[PB_KEY_NUMBERED_BYTES];
	int rc;

	pb_put_be32(key, stream);
	pb_put_be64(key + 4, number);
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

/* Readers go on behind the last number: a rotten row must not lead them back.
 * An empty segment ends before it begins. */
static bool
holds(unsigned table, const void *row)
{
	uint64_t first, last;

	return !pb_row_range(table, row, &first, &last) ||
	    (last != UINT64_MAX && last + 1 >= first);
}

static bool
key_read(unsigned table, void *out, const struct pb_mdb_value *key)
{
	const uint8_t *bytes = key->data;
	struct pb_stream_info *stream = out;
	struct pb_age_info *age = out;
	struct pb_fill_info *fill = out;
	struct numbered head;

	switch (table) {
	case PB_TABLE_STREAMS:
		return pb_key_stream_parse(&stream->key, bytes, key->len);
	case PB_TABLE_AGES:
		if (key->len != KEY_AGE)
			return false;
		age->sealed_at = pb_get_be64(bytes);
		age->stream = pb_get_be32(bytes + 8);
		age->first_seq = pb_get_be64(bytes + 12);
		return true;
	case PB_TABLE_FILLS:
		if (key->len != KEY_FILL)
			return false;
		fill->number = pb_get_be64(bytes);
		return true;
	default:
		if (key->len != PB_KEY_NUMBERED_BYTES)
			return false;
		memset(&head, 0, sizeof(head));
		head.stream = pb_get_be32(bytes);
		head.number = pb_get_be64(bytes + 4);
		memcpy(out, &head, sizeof(head));
		return true;
	}
}
