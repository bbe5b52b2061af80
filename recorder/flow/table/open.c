/*
 * recorder/flow/table/open.c - a flow table is opened
 *
 * The head and the directory are read and checked: where each part is, and
 * how large.  The parts follow when they are asked for (piece.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "recorder/flow/table/read.h"

#define SHAPE_PIECES_MAX \
	(2 * PB_FLOW_BYTES + NUMBERS * NUMBER_PLANES_MAX + GROUP_PIECES)
#define GROUP_PIECES		2	/* of places, and of marks */
/* Memory that stays for the next table: most take less. */
#define ROOM_KEPT_MAX		((size_t)1 << 20)

/* What of the directory has been looked at. */
struct survey {
	const uint8_t	*entry;		/* of the next piece */
	uint32_t	 piece;		/* the next one */
	uint64_t	 rows, packets;	/* of all shapes so far */
	uint32_t	 at;		/* where the next piece is */
	uint32_t	 end;		/* where the last one ends */
};

static int	open_table(struct pb_flow_table **,
		    const struct pb_flow_table *, size_t, struct pb_err *);
static int	open_head(struct pb_flow_table *, uint32_t *, uint64_t *,
		    struct pb_err *);
static bool	head_sound(const struct pb_flow_table *, const uint8_t *);
static int	open_directory(struct pb_flow_table *, uint32_t, uint64_t,
		    struct pb_err *);
static int	survey_all(struct pb_flow_table *, struct survey *,
		    struct pb_err *);
static bool	survey_shape(struct pb_flow_table *, struct survey *,
		    struct shape *);
static bool	survey_groups(struct pb_flow_table *, struct survey *, uint64_t,
		    uint64_t, uint64_t);
static bool	survey_planes(struct pb_flow_table *, struct survey *, uint32_t,
		    uint32_t);
static bool	survey_numbers(struct pb_flow_table *, struct survey *,
		    const uint8_t *, unsigned, uint32_t);
static bool	survey_piece(struct pb_flow_table *, struct survey *, uint32_t,
		    uint64_t, uint64_t);
static bool	shape_sound(const struct shape *);
static bool	pairs_sound(const struct shape *);
static uint32_t	bits_of(const uint8_t *, const struct pair *, unsigned);
static void	side_fill(struct side *, const uint8_t *, uint32_t);
static bool	shape_fill(struct shape *);
static void	seen_fill(struct pb_flow_table_shape *, const uint8_t *);

int
pb_flow_table_open(struct pb_flow_table **out, const uint8_t *bytes, size_t len,
    struct pb_err *err)
{
	struct pb_flow_table table = { .bytes = bytes };

	return open_table(out, &table, len, err);
}

int
pb_flow_table_open_at(struct pb_flow_table **out,
    struct pb_flow_table_room *room, pb_flow_table_read *read, void *arg,
    size_t len, struct pb_err *err)
{
	struct pb_flow_table table = { .room = room, .read = read, .arg = arg };

	return open_table(out, &table, len, err);
}

void
pb_flow_table_close(struct pb_flow_table *table)
{
	if (table == NULL)
		return;
	room_empty(table->room, table->room == &table->own ? 0 :
	    ROOM_KEPT_MAX);
	free(table);
}

uint32_t
pb_flow_table_packets(const struct pb_flow_table *table)
{
	return table->packets;
}

uint64_t
pb_flow_table_digest(const struct pb_flow_table *table)
{
	return table->digest;
}

size_t
pb_flow_table_shapes(const struct pb_flow_table *table)
{
	return table->shapes;
}

const struct pb_flow_table_shape *
pb_flow_table_shape(const struct pb_flow_table *table, size_t shape)
{
	return &table->shape[shape].seen;
}

static int
open_table(struct pb_flow_table **out, const struct pb_flow_table *from,
    size_t len, struct pb_err *err)
{
	struct pb_flow_table *table = malloc(sizeof(*table));
	uint32_t directory = 0;
	uint64_t digest = 0;
	int rc;

	*out = NULL;
	if (table == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a flow table");
	*table = *from;
	if (table->room == NULL)
		table->room = &table->own;
	table->len = len <= PB_FLOW_TABLE_BYTES_MAX ? (uint32_t)len : 0;
	rc = open_head(table, &directory, &digest, err);
	if (rc == 0)
		rc = open_directory(table, directory, digest, err);
	if (rc < 0) {
		pb_flow_table_close(table);
		return rc;
	}
	*out = table;
	return 0;
}

static int
open_head(struct pb_flow_table *table, uint32_t *directory, uint64_t *digest,
    struct pb_err *err)
{
	const uint8_t *head;
	int rc;

	if (table->len < HEAD_BYTES)
		return table_rotten(err, "its length");
	rc = table_bytes(table, 0, HEAD_BYTES, &head, err);
	if (rc < 0)
		return rc;
	table->packets = pb_get_le32(head + HEAD_PACKETS);
	table->mark_groups = pb_get_le32(head + HEAD_MARKS);
	table->step = pb_get_le32(head + HEAD_STEP);
	table->shapes = pb_get_le32(head + HEAD_SHAPES);
	table->pieces = pb_get_le32(head + HEAD_PIECES);
	table->time = pb_get_le64(head + HEAD_TIME);
	table->unit = pb_get_le32(head + HEAD_UNIT);
	table->digest = pb_get_le64(head + HEAD_DIGEST);
	*directory = pb_get_le32(head + HEAD_DIRECTORY);
	*digest = pb_get_le64(head + HEAD_DIRECTORY_DIGEST);
	return head_sound(table, head) &&
	    *directory <= table->len - HEAD_BYTES ? 0 :
	    table_rotten(err, "its head");
}

static bool
head_sound(const struct pb_flow_table *table, const uint8_t *head)
{
	return memcmp(head + HEAD_MAGIC, TABLE_MAGIC, 4) == 0 &&
	    pb_get_le32(head + HEAD_VERSION) == TABLE_VERSION &&
	    pb_get_le32(head + HEAD_LENGTH) == table->len &&
	    table->digest == pb_digest(head, HEAD_DIGEST) &&
	    table->packets <= PB_FLOW_TABLE_PACKETS_MAX &&
	    table->mark_groups <= table->packets &&
	    table->step > 0 && table->step <= PB_FLOW_TABLE_PACKETS_MAX &&
	    table->unit > 0 &&
	    table->shapes <= PB_FLOW_TABLE_SHAPES_MAX + 1 &&
	    table->pieces <= table->shapes * SHAPE_PIECES_MAX + GROUP_PIECES;
}

static int
open_directory(struct pb_flow_table *table, uint32_t stored, uint64_t digest,
    struct pb_err *err)
{
	uint32_t raw = table->shapes * SHAPE_BYTES +
	    table->pieces * PIECE_BYTES;
	struct survey survey = { .at = HEAD_BYTES,
	    .end = table->len - stored };
	const uint8_t *data;
	int rc;

	rc = table_bytes(table, survey.end, stored, &data, err);
	if (rc == 0 && pb_digest(data, stored) != digest)
		rc = table_rotten(err, "the digest of its directory");
	if (rc == 0)
		rc = table_unpack(table, &data, stored, raw, err);
	if (rc < 0)
		return rc;
	table->directory = data;
	survey.entry = data + table->shapes * SHAPE_BYTES;
	table->shape = table_room(table, table->shapes *
	    sizeof(*table->shape));
	table->piece = table_room(table, table->pieces *
	    sizeof(*table->piece));
	return table->shape == NULL || table->piece == NULL ?
	    table_no_memory(err) : survey_all(table, &survey, err);
}

static int
survey_all(struct pb_flow_table *table, struct survey *survey,
    struct pb_err *err)
{
	uint64_t groups = table->mark_groups;

	for (uint32_t i = 0; i < table->shapes; i++) {
		table->shape[i] = (struct shape){ .record = table->directory +
		    i * SHAPE_BYTES };
		if (!survey_shape(table, survey, &table->shape[i]))
			return table_rotten(err, "a shape");
	}
	if (survey->packets != table->packets)
		return table_rotten(err, "packets that no shape has");
	table->marks_piece = survey->piece;
	if (!survey_groups(table, survey, groups * GROUP_MARKS_BYTES,
	    2 * groups, groups * GROUP_MARKS * sizeof(uint32_t)))
		return table_rotten(err, "what it says of its marks");
	if (survey->piece != table->pieces || survey->at != survey->end)
		return table_rotten(err, "what it says of its pieces");
	return 0;
}

static bool
survey_shape(struct pb_flow_table *table, struct survey *survey,
    struct shape *shape)
{
	const uint8_t *numbers = shape->record + SHAPE_NUMBERS;
	const struct pb_flow_table_shape *seen = &shape->seen;
	uint64_t rows, groups;

	if (!shape_fill(shape) || !shape_sound(shape))
		return false;
	rows = seen->rows;
	groups = (rows + GROUP_ROWS - 1) / GROUP_ROWS;
	survey->rows += rows;
	if (survey->rows > PB_FLOW_TABLE_ROWS_MAX + 1 ||
	    seen->packets > table->packets - survey->packets)
		return false;
	survey->packets += seen->packets;
	shape->ones.piece = survey->piece;
	if (!survey_planes(table, survey, shape->ones.planes, seen->rows))
		return false;
	shape->unknown.piece = survey->piece;
	if (!survey_planes(table, survey, shape->unknown.planes, shape->many))
		return false;
	shape->numbers_each = survey->piece;
	if (!survey_numbers(table, survey, numbers, NUMBERS_EACH, seen->rows))
		return false;
	shape->numbers_many = survey->piece;
	if (!survey_numbers(table, survey, numbers + NUMBERS_EACH *
	    NUMBER_BYTES, NUMBERS - NUMBERS_EACH, shape->many))
		return false;
	shape->places = survey->piece;
	return survey_groups(table, survey, groups * GROUP_BYTES,
	    rows + shape->many, (rows + shape->many + seen->packets) *
	    VARINT_BYTES_MAX);
}

/* Two pieces: the heads of groups; and these, which have so many bytes. */
static bool
survey_groups(struct pb_flow_table *table, struct survey *survey,
    uint64_t heads, uint64_t least, uint64_t most)
{
	return survey_piece(table, survey, 0, heads, heads) &&
	    survey_piece(table, survey, 0, least, most);
}

static bool
survey_planes(struct pb_flow_table *table, struct survey *survey,
    uint32_t planes, uint32_t rows)
{
	uint32_t each;

	if (planes == 0 || rows == 0)
		return planes == 0;
	each = planes_a_piece(rows);
	for (uint32_t plane = 0; plane < planes; plane += each) {
		uint64_t len = (uint64_t)rows *
		    (planes - plane < each ? planes - plane : each);

		if (!survey_piece(table, survey, rows, len, len))
			return false;
	}
	return true;
}

/* False also where one has more than a number has bytes. */
static bool
survey_numbers(struct pb_flow_table *table, struct survey *survey,
    const uint8_t *number, unsigned numbers, uint32_t rows)
{
	uint32_t planes = 0;

	for (unsigned i = 0; i < numbers; i++, number += NUMBER_BYTES) {
		if (number[NUMBER_PLANES] > NUMBER_PLANES_MAX)
			return false;
		planes += number[NUMBER_PLANES];
	}
	return survey_planes(table, survey, planes, rows);
}

/* The next piece, which unpacked has so many bytes; planes of `rows`. */
static bool
survey_piece(struct pb_flow_table *table, struct survey *survey, uint32_t rows,
    uint64_t least, uint64_t most)
{
	struct piece *piece = &table->piece[survey->piece];

	if (survey->piece == table->pieces)
		return false;
	*piece = (struct piece){ .at = survey->at, .rows = rows };
	piece->stored = pb_get_le32(survey->entry + PIECE_STORED);
	piece->raw = pb_get_le32(survey->entry + PIECE_RAW);
	piece->digest = pb_get_le64(survey->entry + PIECE_DIGEST);
	if (piece->stored > piece->raw || piece->raw < least ||
	    piece->raw > most || piece->stored > survey->end - survey->at)
		return false;
	survey->at += piece->stored;
	survey->entry += PIECE_BYTES;
	survey->piece++;
	return true;
}

/* What others rely on: bits are set or unknown, least is not above greatest. */
static bool
shape_sound(const struct shape *shape)
{
	const struct pb_flow_table_shape *seen = &shape->seen;
	const uint8_t *record = shape->record;
	uint8_t both = 0;

	for (uint32_t i = 0; i < PB_FLOW_BYTES; i++)
		both |= record[SHAPE_ONES + i] & record[SHAPE_UNKNOWN + i];
	for (uint32_t i = 0; i < PB_FLOW_BYTES / 8; i++)
		both |= record[SHAPE_BITS + i] &
		    (uint8_t)~record[SHAPE_COLUMNS + i];
	return both == 0 && (!seen->rest || seen->rows == 1) &&
	    pairs_sound(shape) &&
	    seen->alike.caplen_min <= seen->alike.caplen_max &&
	    seen->alike.len_min <= seen->alike.len_max;
}

/* Of a pair there is a column of both or of none; and no row is turned where
 * there are no pairs. */
static bool
pairs_sound(const struct shape *shape)
{
	const struct pairs *pairs = &shape->pairs;

	for (uint32_t i = 0; i < pairs->pairs; i++) {
		const struct pair *pair = &pairs->pair[i];

		if (bits_of(shape->ones.set, pair, 0) !=
		    bits_of(shape->ones.set, pair, 1) ||
		    bits_of(shape->unknown.set, pair, 0) !=
		    bits_of(shape->unknown.set, pair, 1))
			return false;
	}
	return true;
}

/* Those of one end of it: 16 at most, in three bytes. */
static uint32_t
bits_of(const uint8_t *set, const struct pair *pair, unsigned end)
{
	uint32_t at = pair->at + end * pair->bytes, bits = 0;

	for (uint32_t i = at / 8; i <= (at + pair->bytes - 1) / 8; i++)
		bits |= (uint32_t)set[i] << 8 * (i - at / 8);
	return bits >> at % 8 & ((1u << pair->bytes) - 1);
}

static void
side_fill(struct side *side, const uint8_t *set, uint32_t rows)
{
	side->set = set;
	side->rows = rows;
	side->planes = 0;
	for (uint32_t eight = 0; eight < PB_FLOW_BYTES / 8; eight++) {
		side->before[eight] = (uint8_t)side->planes;
		side->planes += (uint32_t)__builtin_popcount(set[eight]);
	}
}

/* False: it has no rows, or more than a table. */
static bool
shape_fill(struct shape *shape)
{
	const uint8_t *record = shape->record;
	uint64_t rows = 0;

	for (unsigned run = 0; run < RUNS; run++) {
		rows += pb_get_le32(record + SHAPE_ROWS + 4 * run);
		shape->begin[run + 1] = (uint32_t)rows;
	}
	if (rows == 0 || rows > PB_FLOW_TABLE_ROWS_MAX)
		return false;
	shape->many = shape->begin[RUN_ONE];
	seen_fill(&shape->seen, record);
	shape->seen.rows = (uint32_t)rows;
	if (shape->begin[RUN_MANY_TURNED] < shape->many ||
	    shape->begin[RUN_ONE_TURNED] < rows)
		pairs_find(&shape->pairs, &shape->seen.key);
	side_fill(&shape->ones, record + SHAPE_COLUMNS, shape->seen.rows);
	side_fill(&shape->unknown, record + SHAPE_BITS, shape->many);
	return true;
}

static void
seen_fill(struct pb_flow_table_shape *out, const uint8_t *record)
{
	out->key.linktype = pb_get_le16(record + SHAPE_KEY);
	out->key.ethertype = pb_get_le16(record + SHAPE_KEY + 2);
	out->key.network = record[SHAPE_KEY + 4];
	out->key.transport = record[SHAPE_KEY + 5];
	out->key.protocol = record[SHAPE_KEY + 6];
	out->key.bits = record[SHAPE_KEY + 7];
	out->rest = pb_get_le32(record + SHAPE_REST) != 0;
	out->packets = pb_get_le64(record + SHAPE_PACKETS);
	out->bytes = pb_get_le64(record + SHAPE_WIRE);
	out->alike = (struct pb_alike){
	    .ones = record + SHAPE_ONES, .unknown = record + SHAPE_UNKNOWN,
	    .bytes = PB_FLOW_BYTES,
	    .caplen_min = pb_get_le32(record + SHAPE_CAPLEN),
	    .caplen_max = pb_get_le32(record + SHAPE_CAPLEN + 4),
	    .len_min = pb_get_le32(record + SHAPE_LEN),
	    .len_max = pb_get_le32(record + SHAPE_LEN + 4) };
}
