/*
 * recorder/flow/table/read.c - columns and rows of a flow table
 */
#include "recorder/flow/table/read.h"

#include <string.h>

#include "base/bytes.h"
#include "recorder/flow/table/plane.h"

/* A run of rows, of one byte of their packets. */
struct cut {
	const struct shape *shape;
	const struct side *side;
	uint32_t	 at;
	uint32_t	 first, rows;
};

static bool	column_find(const struct shape *, uint32_t,
		    struct pb_flow_table_column *);
static int	column_check(const struct pb_flow_table_column *, uint32_t,
		    struct pb_err *);
static int	column_zeros(struct pb_flow_table *,
		    struct pb_flow_table_column *, struct pb_err *);
static int	column_all(struct pb_flow_table *, const struct shape *,
		    const struct side *, uint32_t, const uint8_t **,
		    struct pb_err *);
static int	column_part(struct pb_flow_table *, const struct cut *,
		    uint8_t *, const uint8_t **, struct pb_err *);
static int	column_search(struct pb_flow_table *, const struct cut *,
		    uint8_t, uint32_t *, struct pb_err *);
static int	plane_search(struct pb_flow_table *, const struct side *,
		    uint32_t, uint8_t, uint32_t *, struct pb_err *);
static int	column_gather(struct pb_flow_table *, const struct cut *,
		    uint8_t *, struct pb_err *);
static int	number(struct pb_flow_table *, const struct shape *, uint64_t *,
		    unsigned, uint32_t *, struct pb_err *);
static int	rows_read(struct pb_flow_table *, const struct shape *,
		    struct pb_flow_table_row *, uint64_t *, struct pb_err *);
static void	rows_set(struct pb_flow_table_row *, uint32_t, unsigned,
		    const uint64_t *, uint64_t);
static void	rows_first(struct pb_flow_table_row *, const struct shape *,
		    const uint64_t *, uint64_t, uint64_t);
static void	rows_of_one(struct pb_flow_table_row *, const struct shape *);
static bool	rows_sound(const struct pb_flow_table_row *,
		    const struct shape *);

int
pb_flow_table_column(struct pb_flow_table *table, size_t shape, uint32_t at,
    struct pb_flow_table_column *out, struct pb_err *err)
{
	const struct shape *its = &table->shape[shape];
	int rc;

	if (!column_find(its, at, out))
		return 0;
	rc = column_all(table, its, &its->ones, at, &out->ones, err);
	if (rc == 0 && out->known)
		rc = column_zeros(table, out, err);
	else if (rc == 0)
		rc = column_all(table, its, &its->unknown, at, &out->unknown,
		    err);
	return rc < 0 ? rc : column_check(out, its->seen.rows, err);
}

int
pb_flow_table_column_part(struct pb_flow_table *table, size_t shape,
    uint32_t at, uint32_t first, uint32_t rows, uint8_t *room,
    struct pb_flow_table_column *out, struct pb_err *err)
{
	const struct shape *its = &table->shape[shape];
	struct cut cut = { its, &its->ones, at, first, rows };
	int rc;

	if (!column_find(its, at, out))
		return 0;
	rc = column_part(table, &cut, room, &out->ones, err);
	out->known |= first >= its->many;
	out->unknown = NULL;
	cut.side = &its->unknown;
	if (rc == 0 && !out->known)
		rc = column_part(table, &cut, room + rows, &out->unknown,
		    err);
	return rc < 0 ? rc : column_check(out, rows, err);
}

int
pb_flow_table_column_find(struct pb_flow_table *table, size_t shape,
    uint32_t at, uint8_t value, uint32_t *row, struct pb_err *err)
{
	struct shape *its = &table->shape[shape];
	struct pb_flow_table_column column;
	struct cut cut = { its, &its->ones, at, *row, its->seen.rows };

	if (column_find(its, at, &column))
		return column.known || *row >= its->many ? column_search(table,
		    &cut, value, row, err) : 0;
	if (column.known && *column.ones != value)
		*row = its->seen.rows;
	return 0;
}

uint32_t
pb_flow_table_column_weight(const struct pb_flow_table *table, size_t shape,
    uint32_t at)
{
	const struct shape *its = &table->shape[shape];
	uint32_t other = pairs_other(&its->pairs, at), weight;
	struct pb_flow_table_column column;

	if (!column_find(its, at, &column))
		return 0;
	weight = table_plane_weight(table, its->ones.piece, side_plane(
	    &its->ones, at), its->seen.rows);
	return other == at ? weight : weight + table_plane_weight(table,
	    its->ones.piece, side_plane(&its->ones, other), its->seen.rows);
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

/* False where all rows have the same, which is in `out`. */
static bool
column_find(const struct shape *shape, uint32_t at,
    struct pb_flow_table_column *out)
{
	static const uint8_t none = 0, all = 0xff;

	*out = (struct pb_flow_table_column){ .ones = &none, .unknown = &all };
	if (at >= PB_FLOW_BYTES)
		return false;
	out->ones = shape->seen.alike.ones + at;
	out->unknown = shape->seen.alike.unknown + at;
	out->known = *out->unknown == 0;
	if (!side_has(&shape->ones, at))
		return false;
	out->stride = 1;
	out->known = !side_has(&shape->unknown, at);
	return true;
}

/* Of all rows; it stays with the plane. */
static int
column_all(struct pb_flow_table *table, const struct shape *shape,
    const struct side *side, uint32_t at, const uint8_t **out,
    struct pb_err *err)
{
	uint32_t rows = shape->seen.rows, plane = side_plane(side, at);
	struct cut cut = { shape, side, at, 0, rows };
	const uint8_t *end;
	struct plane *its;
	uint8_t *to;
	int rc;

	if (side->rows == rows && pairs_other(&shape->pairs, at) == at)
		return table_plane(table, side->piece, plane, rows, out, err);
	rc = table_plane_find(table, side->piece, plane, side->rows, &its, &end,
	    err);
	if (rc == 0 && its->column == NULL) {
		to = table_room(table, rows);
		if (to == NULL)
			return table_no_memory(err);
		rc = column_gather(table, &cut, to, err);
		if (rc == 0)
			its->column = to;
	}
	if (rc == 0)
		*out = its->column;
	return rc;
}

/* As they lie in the plane where they do, or in `room`. */
static int
column_part(struct pb_flow_table *table, const struct cut *cut, uint8_t *room,
    const uint8_t **out, struct pb_err *err)
{
	const struct shape *shape = cut->shape;
	uint32_t at = cut->at, other = pairs_other(&shape->pairs, at), run = 0;
	uint32_t behind = cut->first + cut->rows;

	while (run + 1 < RUNS && shape->begin[run + 1] <= cut->first)
		run++;
	*out = room;
	if (behind > cut->side->rows ||
	    (at != other && behind > shape->begin[run + 1]))
		return column_gather(table, cut, room, err);
	return table_plane_part(table, cut->side->piece, side_plane(cut->side,
	    run % 2 == 0 ? at : other), cut->side->rows, cut->first,
	    cut->rows, room, out, err);
}

/* From row `*row` on, run by run. */
static int
column_search(struct pb_flow_table *table, const struct cut *cut,
    uint8_t value, uint32_t *row, struct pb_err *err)
{
	const struct shape *shape = cut->shape;
	const struct side *side = cut->side;
	uint32_t at[2] = { cut->at, pairs_other(&shape->pairs, cut->at) };
	uint32_t first = *row;
	int rc = 0;

	for (unsigned run = 0; run < RUNS; run++) {
		uint32_t behind = shape->begin[run + 1], found = first;

		if (behind <= first)
			continue;
		rc = plane_search(table, side, side_plane(side, at[run % 2]),
		    value, &found, err);
		if (rc < 0 || found < behind) {
			first = found;
			break;
		}
		first = behind;
	}
	*row = first;
	return rc;
}

/* As pb_flow_table_column_find(), of a plane, from any row on. */
static int
plane_search(struct pb_flow_table *table, const struct side *side,
    uint32_t which, uint8_t value, uint32_t *row, struct pb_err *err)
{
	const uint8_t *end, *same;
	struct plane *plane;
	uint32_t found;
	int rc = table_plane_find(table, side->piece, which, side->rows,
	    &plane, &end, err);

	if (rc < 0)
		return rc;
	if (plane->bytes != NULL) {
		same = memchr(plane->bytes + *row, value, side->rows - *row);
		*row = same == NULL ? side->rows :
		    (uint32_t)(same - plane->bytes);
		return 0;
	}
	found = plane_find(side->rows, value, *row & ~7u, plane->packed, end);
	if (found > *row)
		*row = found;
	return 0;
}

/* Run by run.  Rows that the side does not have have 0. */
static int
column_gather(struct pb_flow_table *table, const struct cut *cut,
    uint8_t *to, struct pb_err *err)
{
	const struct side *side = cut->side;
	uint32_t at[2] = { cut->at, pairs_other(&cut->shape->pairs,
	    cut->at) };
	uint32_t row = cut->first, behind = row + cut->rows;
	struct plane *plane;
	const uint8_t *end;
	int rc;

	memset(to, 0, cut->rows);
	behind = behind < side->rows ? behind : side->rows;
	for (unsigned run = 0; run < RUNS && row < behind; run++) {
		uint32_t rows = cut->shape->begin[run + 1];

		if (rows <= row)
			continue;
		rows = (rows < behind ? rows : behind) - row;
		rc = table_plane_find(table, side->piece, side_plane(side,
		    at[run % 2]), side->rows, &plane, &end, err);
		if (rc < 0)
			return rc;
		if (plane->bytes != NULL)
			memcpy(to, plane->bytes + row, rows);
		else
			plane_part(to, row, rows, plane->packed, end);
		to += rows;
		row += rows;
	}
	return 0;
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

/* Of the rows that have it.  Its planes begin with `*plane`, which moves on. */
static int
number(struct pb_flow_table *table, const struct shape *shape, uint64_t *out,
    unsigned which, uint32_t *plane, struct pb_err *err)
{
	const uint8_t *what = shape->record + SHAPE_NUMBERS +
	    which * NUMBER_BYTES;
	bool each = which < NUMBERS_EACH;
	uint32_t rows = each ? shape->seen.rows : shape->many;
	uint32_t piece = each ? shape->numbers_each : shape->numbers_many;
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
	uint32_t plane = 0;

	for (unsigned which = 0; which < NUMBERS; which++) {
		int rc;

		if (which == NUMBERS_EACH) {
			rows_of_one(row, shape);
			plane = 0;
		}
		rc = number(table, shape, scratch, which, &plane, err);
		if (rc < 0)
			return rc;
		if (which == NUMBER_FIRST)
			rows_first(row, shape, scratch, table->time,
			    table->unit);
		else
			rows_set(row, which < NUMBERS_EACH ? shape->seen.rows :
			    shape->many, which, scratch, table->unit);
	}
	if (!rows_sound(row, shape))
		return table_rotten(err, "the numbers of a row");
	return 0;
}

/* In the order of NUMBER_*: later ones stand against earlier ones. */
static void
rows_set(struct pb_flow_table_row *row, uint32_t rows, unsigned which,
    const uint64_t *value, uint64_t unit)
{
	const struct pb_flow_table_row *end = row + rows;

	switch (which) {
	case NUMBER_LEN:
		for (; row < end; row++)
			row->len_min = (uint32_t)*value++;
		break;
	case NUMBER_CUT:
		for (; row < end; row++)
			row->caplen_min = row->len_min - (uint32_t)*value++;
		break;
	case NUMBER_PACKETS:
		for (; row < end; row++)
			row->packets = *value++;
		break;
	case NUMBER_LEN_MORE:
		for (; row < end; row++)
			row->len_max = row->len_min + (uint32_t)*value++;
		break;
	case NUMBER_CUT_MOST:
		for (; row < end; row++)
			row->caplen_max = row->len_max - (uint32_t)*value++;
		break;
	case NUMBER_WIRE:
		for (; row < end; row++)
			row->bytes = row->packets * row->len_min + *value++;
		break;
	default:
		for (; row < end; row++)
			row->last_time = row->first_time + unit * *value++;
		break;
	}
}

static void
rows_first(struct pb_flow_table_row *row, const struct shape *shape,
    const uint64_t *value, uint64_t least, uint64_t unit)
{
	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t before = least;

		for (uint32_t i = shape->begin[run]; i < shape->begin[run + 1];
		    i++)
			row[i].first_time = before += unit *
			    unzigzag(value[i]);
	}
}

/* What follows where there is one packet. */
static void
rows_of_one(struct pb_flow_table_row *row, const struct shape *shape)
{
	for (uint32_t i = shape->many; i < shape->seen.rows; i++) {
		row[i].packets = 1;
		row[i].bytes = row[i].len_max = row[i].len_min;
		row[i].caplen_max = row[i].caplen_min;
		row[i].last_time = row[i].first_time;
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
