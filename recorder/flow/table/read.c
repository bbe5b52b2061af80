/*
 * recorder/flow/table/read.c - columns, rows and marks of a flow table
 */
#include "recorder/flow/table/read.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static int	column_bits(struct pb_flow_table *, const struct shape *,
		    uint32_t, struct pb_flow_table_column *, struct pb_err *);
static int	column_zeros(struct pb_flow_table *,
		    struct pb_flow_table_column *, struct pb_err *);
static bool	has_bit(const uint8_t *, uint32_t);
static uint32_t	bits_below(const uint8_t *, uint32_t);
static int	number(struct pb_flow_table *, uint64_t *, uint32_t, uint32_t *,
		    const uint8_t *, uint32_t, struct pb_err *);
static int	rows_read(struct pb_flow_table *, const struct shape *,
		    struct pb_flow_table_row *, uint64_t *, struct pb_err *);
static void	rows_set(struct pb_flow_table_row *, uint32_t, unsigned,
		    const uint64_t *, uint64_t);
static bool	rows_sound(const struct pb_flow_table_row *, uint32_t);
static int	marks_read(struct pb_flow_table *, struct pb_flow_mark *,
		    uint64_t *, struct pb_err *);
static bool	marks_ask(struct pb_flow_table *);

int
pb_flow_table_column(struct pb_flow_table *table, size_t shape, uint32_t at,
    struct pb_flow_table_column *out, struct pb_err *err)
{
	static const uint8_t none = 0, all = 0xff;
	const struct shape *its = &table->shape[shape];
	const uint8_t *columns = its->record + SHAPE_COLUMNS;
	const uint8_t *bits = its->record + SHAPE_BITS;
	uint32_t plane;
	int rc;

	out->stride = 0;
	if (at >= PB_FLOW_BYTES) {
		out->ones = &none;
		out->unknown = &all;
		return 0;
	}
	out->ones = its->seen.alike.ones + at;
	out->unknown = its->seen.alike.unknown + at;
	if (!has_bit(columns, at))
		return 0;
	plane = bits_below(columns, at) + bits_below(bits, at);
	rc = table_plane(table, its->piece, plane, its->seen.rows, &out->ones,
	    err);
	if (rc < 0)
		return rc;
	out->stride = 1;
	return has_bit(bits, at) ? column_bits(table, its, plane + 1, out,
	    err) : column_zeros(table, out, err);
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
	row = malloc(its->seen.rows * sizeof(*row));
	scratch = malloc(its->seen.rows * sizeof(*scratch));
	if (row == NULL || scratch == NULL)
		rc = pb_err_set(err, PB_ENOMEM, "no memory for the rows of a "
		    "flow table");
	else
		rc = rows_read(table, its, row, scratch, err);
	free(scratch);
	if (rc < 0) {
		free(row);
		return rc;
	}
	*out = its->row = row;
	return 0;
}

uint32_t
pb_flow_table_mark(struct pb_flow_table *table, uint32_t packet,
    uint32_t *first)
{
	uint32_t low = 0, high = table->marks;

	*first = 0;
	if (!marks_ask(table))
		return 0;
	/* Those below `low` are at or before it, those from `high` on behind. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->mark[middle].packet <= packet)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return 0;
	*first = table->mark[low - 1].packet;
	return table->mark[low - 1].at;
}

static int
column_bits(struct pb_flow_table *table, const struct shape *shape,
    uint32_t plane, struct pb_flow_table_column *out, struct pb_err *err)
{
	uint8_t both = 0;
	int rc;

	rc = table_plane(table, shape->piece, plane, shape->seen.rows,
	    &out->unknown, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < shape->seen.rows; i++)
		both |= out->ones[i] & out->unknown[i];
	return both == 0 ? 0 : table_rotten(err, "bits both set and unknown");
}

static int
column_zeros(struct pb_flow_table *table, struct pb_flow_table_column *out,
    struct pb_err *err)
{
	uint32_t most = 0;

	for (uint32_t i = 0; table->zeros == NULL && i < table->shapes; i++)
		if (table->shape[i].seen.rows > most)
			most = table->shape[i].seen.rows;
	if (table->zeros == NULL)
		table->zeros = calloc(most, 1);
	if (table->zeros == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a column");
	out->unknown = table->zeros;
	return 0;
}

static bool
has_bit(const uint8_t *set, uint32_t at)
{
	return (set[at / 8] >> at % 8 & 1) != 0;
}

static uint32_t
bits_below(const uint8_t *set, uint32_t at)
{
	uint64_t low = pb_get_le64(set), high = pb_get_le64(set + 8);

	if (at < 64)
		return (uint32_t)__builtin_popcountll(low &
		    (((uint64_t)1 << at) - 1));
	return (uint32_t)(__builtin_popcountll(low) +
	    __builtin_popcountll(high & (((uint64_t)1 << (at - 64)) - 1)));
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
	if (!rows_sound(row, shape->seen.rows))
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
rows_sound(const struct pb_flow_table_row *row, uint32_t rows)
{
	bool sound = true;

	for (uint32_t i = 0; i < rows; i++)
		sound &= row[i].caplen_min <= row[i].caplen_max &&
		    row[i].len_min <= row[i].len_max &&
		    row[i].first_time <= row[i].last_time;
	return sound;
}

static bool
marks_ask(struct pb_flow_table *table)
{
	struct pb_flow_mark *mark;
	uint64_t *scratch;
	int rc;

	if (table->mark != NULL || table->marks == 0)
		return table->mark != NULL;
	mark = malloc(table->marks * sizeof(*mark));
	scratch = malloc(table->marks * sizeof(*scratch));
	rc = mark == NULL || scratch == NULL ? PB_ENOMEM :
	    marks_read(table, mark, scratch, NULL);
	free(scratch);
	if (rc == 0) {
		table->mark = mark;
		return true;
	}
	free(mark);
	table->marks = 0;	/* not asked for again */
	return false;
}

static int
marks_read(struct pb_flow_table *table, struct pb_flow_mark *mark,
    uint64_t *scratch, struct pb_err *err)
{
	uint32_t before = 0, plane = 0;
	int rc;

	rc = number(table, scratch, table->marks_piece, &plane,
	    table->marks_numbers + MARK_PACKET * NUMBER_BYTES, table->marks,
	    err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < table->marks; i++) {
		uint64_t packet = before + scratch[i];

		if (scratch[i] >= table->packets || packet >= table->packets)
			return table_rotten(err, "a mark");
		before = mark[i].packet = (uint32_t)packet;
	}
	rc = number(table, scratch, table->marks_piece, &plane,
	    table->marks_numbers + MARK_AT * NUMBER_BYTES, table->marks, err);
	before = 0;
	for (uint32_t i = 0; rc == 0 && i < table->marks; i++)
		before = mark[i].at = before + (uint32_t)scratch[i];
	return rc;
}
