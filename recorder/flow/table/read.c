/*
 * recorder/flow/table/read.c - columns and rows of a flow table
 */
#include "recorder/flow/table/read.h"

#include <string.h>

#include "base/bytes.h"
#include "recorder/flow/lane.h"

/* Rows whose numbers are summed at once: their bytes come to 16 bits. */
#define SUM_ROWS	(128u * PB_LANE)

/* Packets of all rows, and of some. */
struct sum {
	uint64_t	 all, some;
};

typedef uint16_t pairs __attribute__((vector_size(PB_LANE)));

static bool	column_find(const struct shape *, uint32_t,
		    struct pb_flow_table_column *, uint32_t *);
static int	column_check(const struct pb_flow_table_column *, uint32_t,
		    struct pb_err *);
static int	column_zeros(struct pb_flow_table *,
		    struct pb_flow_table_column *, struct pb_err *);
static bool	has_bit(const uint8_t *, uint32_t);
static int	sum_part(struct pb_flow_table *, const struct shape *,
		    const struct plane_part *, const uint8_t *,
		    const uint8_t *, uint8_t, struct sum *, struct pb_err *);
static struct sum sum_bytes(const uint8_t *, uint32_t, const uint8_t *,
		    uint8_t);
static uint64_t	sum_pairs(pairs);
static int	number(struct pb_flow_table *, uint64_t *, uint32_t, uint32_t *,
		    const uint8_t *, uint32_t, struct pb_err *);
static int	rows_read(struct pb_flow_table *, const struct shape *,
		    struct pb_flow_table_row *, uint64_t *, struct pb_err *);
static void	rows_set(struct pb_flow_table_row *, uint32_t, unsigned,
		    const uint64_t *, uint64_t);
static bool	rows_sound(const struct pb_flow_table_row *,
		    const struct shape *);

int
pb_flow_table_column(struct pb_flow_table *table, size_t shape, uint32_t at,
    struct pb_flow_table_column *out, struct pb_err *err)
{
	struct shape *its = &table->shape[shape];
	uint32_t plane, rows = its->seen.rows;
	int rc;

	if (!column_find(its, at, out, &plane))
		return 0;
	rc = table_plane(table, its->piece, plane, rows, &out->ones, err);
	if (rc == 0 && out->known)
		rc = column_zeros(table, out, err);
	else if (rc == 0)
		rc = table_plane(table, its->piece, plane + 1, rows,
		    &out->unknown, err);
	return rc < 0 ? rc : column_check(out, rows, err);
}

int
pb_flow_table_column_part(struct pb_flow_table *table, size_t shape,
    uint32_t at, uint32_t first, uint32_t rows, uint8_t *room,
    struct pb_flow_table_column *out, struct pb_err *err)
{
	struct shape *its = &table->shape[shape];
	struct plane_part part = { first, rows, room };
	uint32_t plane, all = its->seen.rows;
	int rc;

	if (!column_find(its, at, out, &plane))
		return 0;
	rc = table_plane_part(table, its->piece, plane, all, &part,
	    &out->ones, err);
	part.room += rows;
	if (out->known)
		out->unknown = NULL;
	else if (rc == 0)
		rc = table_plane_part(table, its->piece, plane + 1, all,
		    &part, &out->unknown, err);
	return rc < 0 ? rc : column_check(out, rows, err);
}

int
pb_flow_table_column_find(struct pb_flow_table *table, size_t shape,
    uint32_t at, uint8_t value, uint32_t *row, struct pb_err *err)
{
	struct shape *its = &table->shape[shape];
	struct pb_flow_table_column column;
	uint32_t plane, all = its->seen.rows;

	if (column_find(its, at, &column, &plane))
		return column.known ? table_plane_find(table, its->piece,
		    plane, all, value, row, err) : 0;
	if (column.known && *column.ones != value)
		*row = all;
	return 0;
}

uint32_t
pb_flow_table_column_weight(const struct pb_flow_table *table, size_t shape,
    uint32_t at)
{
	const struct shape *its = &table->shape[shape];
	struct pb_flow_table_column column;
	uint32_t plane;

	return column_find(its, at, &column, &plane) ? table_plane_weight(
	    table, its->piece, plane, its->seen.rows) : 0;
}

int
pb_flow_table_rows(struct pb_flow_table *table, size_t shape,
    const struct pb_flow_table_row **out, struct pb_err *err)
{
	struct shape *its = &table->shape[shape];
	struct pb_flow_table_row *row;
	uint64_t *scratch;
	int rc;

	*out = its->row;
	if (its->row != NULL)
		return 0;
	row = table_room(table, its->seen.rows * sizeof(*row));
	scratch = table_room(table, its->seen.rows * sizeof(*scratch));
	if (row == NULL || scratch == NULL)
		return table_no_memory(err);
	rc = rows_read(table, its, row, scratch, err);
	if (rc == 0)
		*out = its->row = row;
	return rc;
}

int
pb_flow_table_packets_of(struct pb_flow_table *table, size_t shape,
    const uint8_t *of_row, uint8_t which, uint64_t *out, struct pb_err *err)
{
	const struct shape *its = &table->shape[shape];
	const uint8_t *what = its->record + SHAPE_NUMBERS +
	    NUMBER_PACKETS * NUMBER_BYTES;
	uint8_t room[SUM_ROWS];
	struct sum sum = { 0 };
	int rc = 0;

	for (uint32_t at = 0; at < its->seen.rows && rc == 0; at += SUM_ROWS) {
		uint32_t left = its->seen.rows - at;
		struct plane_part part = { at, left < SUM_ROWS ? left :
		    SUM_ROWS, room };

		rc = sum_part(table, its, &part, what, of_row + at, which,
		    &sum, err);
	}
	*out = sum.some;
	return rc == 0 && sum.all != its->seen.packets ?
	    table_rotten(err, "the packets of rows") : rc;
}

/* False where all rows have the same, which is in `out`; else its plane, and
 * unless it is known, behind it that of its unknown bits. */
static bool
column_find(const struct shape *shape, uint32_t at,
    struct pb_flow_table_column *out, uint32_t *plane)
{
	static const uint8_t none = 0, all = 0xff;
	const uint8_t *columns = shape->record + SHAPE_COLUMNS;
	const uint8_t *bits = shape->record + SHAPE_BITS;

	*out = (struct pb_flow_table_column){ .ones = &none, .unknown = &all };
	if (at >= PB_FLOW_BYTES)
		return false;
	out->ones = shape->seen.alike.ones + at;
	out->unknown = shape->seen.alike.unknown + at;
	out->known = *out->unknown == 0;
	if (!has_bit(columns, at))
		return false;
	*plane = shape->planes[at / 8] + planes_of_eight(shape->record, at / 8,
	    (uint8_t)((1u << at % 8) - 1));
	out->stride = 1;
	out->known = !has_bit(bits, at);
	return true;
}

static int
column_check(const struct pb_flow_table_column *column, uint32_t rows,
    struct pb_err *err)
{
	uint8_t both = 0;

	for (uint32_t i = 0; !column->known && i < rows; i++)
		both |= column->ones[i] & column->unknown[i];
	return both == 0 ? 0 : table_rotten(err, "bits both set and unknown");
}

static int
column_zeros(struct pb_flow_table *table, struct pb_flow_table_column *out,
    struct pb_err *err)
{
	uint32_t most = 0;

	if (table->zeros == NULL) {
		for (uint32_t i = 0; i < table->shapes; i++)
			if (table->shape[i].seen.rows > most)
				most = table->shape[i].seen.rows;
		table->zeros = table_room(table, most);
		if (table->zeros == NULL)
			return table_no_memory(err);
		memset(table->zeros, 0, most);
	}
	out->unknown = table->zeros;
	return 0;
}

static bool
has_bit(const uint8_t *set, uint32_t at)
{
	return (set[at / 8] >> at % 8 & 1) != 0;
}

/* A number is its least one and a byte of each plane. */
static int
sum_part(struct pb_flow_table *table, const struct shape *shape,
    const struct plane_part *part, const uint8_t *what, const uint8_t *of_row,
    uint8_t which, struct sum *sum, struct pb_err *err)
{
	static const uint8_t ones[SUM_ROWS] = { [0 ... SUM_ROWS - 1] = 1 };
	uint64_t least = pb_get_le64(what + NUMBER_LEAST);
	struct sum now = sum_bytes(ones, part->rows, of_row, which);

	sum->all += now.all * least;
	sum->some += now.some * least;
	for (uint32_t k = 0; k < what[NUMBER_PLANES]; k++) {
		const uint8_t *bytes;
		int rc = table_plane_part(table, shape->numbers, k,
		    shape->seen.rows, part, &bytes, err);

		if (rc < 0)
			return rc;
		now = sum_bytes(bytes, part->rows, of_row, which);
		sum->all += now.all << 8 * k;
		sum->some += now.some << 8 * k;
	}
	return 0;
}

static struct sum
sum_bytes(const uint8_t *bytes, uint32_t rows, const uint8_t *of_row,
    uint8_t which)
{
	pairs all = { 0 }, some = { 0 };
	struct sum sum;
	uint32_t i = 0;

	for (; i + PB_LANE <= rows; i += PB_LANE) {
		pb_lane now = pb_lane_at(bytes + i);
		pairs each = (pairs)now, its = (pairs)(now &
		    (pb_lane)(pb_lane_at(of_row + i) == which));

		all += (each & 0xff) + (each >> 8);
		some += (its & 0xff) + (its >> 8);
	}
	sum = (struct sum){ sum_pairs(all), sum_pairs(some) };
	for (; i < rows; i++) {
		sum.all += bytes[i];
		sum.some += of_row[i] == which ? bytes[i] : 0;
	}
	return sum;
}

static uint64_t
sum_pairs(pairs of)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < PB_LANE / 2; i++)
		sum += of[i];
	return sum;
}

/* A column of numbers whose planes begin with `*plane`, which moves on. */
static int
number(struct pb_flow_table *table, uint64_t *out, uint32_t piece,
    uint32_t *plane, const uint8_t *what, uint32_t rows, struct pb_err *err)
{
	uint64_t least = pb_get_le64(what + NUMBER_LEAST);

	for (uint32_t i = 0; i < rows; i++)
		out[i] = least;
	for (uint32_t k = 0; k < what[NUMBER_PLANES]; k++) {
		const uint8_t *bytes;
		int rc;

		rc = table_plane(table, piece, (*plane)++, rows, &bytes, err);
		if (rc < 0)
			return rc;
		for (uint32_t i = 0; i < rows; i++)
			out[i] += (uint64_t)bytes[i] << 8 * k;
	}
	return 0;
}

static int
rows_read(struct pb_flow_table *table, const struct shape *shape,
    struct pb_flow_table_row *row, uint64_t *scratch, struct pb_err *err)
{
	const uint8_t *what = shape->record + SHAPE_NUMBERS;
	uint32_t plane = 0;

	for (unsigned which = 0; which < NUMBERS; which++) {
		int rc;

		rc = number(table, scratch, shape->numbers, &plane,
		    what + which * NUMBER_BYTES, shape->seen.rows, err);
		if (rc < 0)
			return rc;
		rows_set(row, shape->seen.rows, which, scratch, table->time);
	}
	if (!rows_sound(row, shape))
		return table_rotten(err, "the numbers of a row");
	return 0;
}

/* In the order of NUMBER_*: later ones stand against earlier ones. */
static void
rows_set(struct pb_flow_table_row *row, uint32_t rows, unsigned which,
    const uint64_t *value, uint64_t before)
{
	const struct pb_flow_table_row *end = row + rows;

	switch (which) {
	case NUMBER_PACKETS:
		for (; row < end; row++)
			row->packets = *value++;
		break;
	case NUMBER_LEN:
		for (; row < end; row++)
			row->len_min = (uint32_t)*value++;
		break;
	case NUMBER_LEN_MORE:
		for (; row < end; row++)
			row->len_max = row->len_min + (uint32_t)*value++;
		break;
	case NUMBER_CUT_LEAST:
		for (; row < end; row++)
			row->caplen_min = row->len_min - (uint32_t)*value++;
		break;
	case NUMBER_CUT_MOST:
		for (; row < end; row++)
			row->caplen_max = row->len_max - (uint32_t)*value++;
		break;
	case NUMBER_WIRE:
		for (; row < end; row++)
			row->bytes = row->packets * row->len_min + *value++;
		break;
	case NUMBER_FIRST:
		for (; row < end; row++)
			row->first_time = before += unzigzag(*value++);
		break;
	default:
		for (; row < end; row++)
			row->last_time = row->first_time + *value++;
		break;
	}
}

static bool
rows_sound(const struct pb_flow_table_row *row, const struct shape *shape)
{
	uint64_t packets = 0;
	bool sound = true;

	for (uint32_t i = 0; i < shape->seen.rows; i++) {
		sound &= row[i].caplen_min <= row[i].caplen_max &&
		    row[i].len_min <= row[i].len_max &&
		    row[i].first_time <= row[i].last_time;
		packets += row[i].packets;
	}
	return sound && packets == shape->seen.packets;
}
