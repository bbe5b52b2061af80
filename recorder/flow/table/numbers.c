/*
 * recorder/flow/table/numbers.c - numbers of rows
 *
 * A column of numbers is its least one and, byte by byte, what the others are
 * above it: so one that is the same everywhere costs nothing, and of those
 * that are small, the upper bytes neither.
 */
#include "base/bytes.h"
#include "recorder/flow/table/encode.h"

static uint32_t	planes_put(uint8_t *, struct pb_buf *, uint64_t *, uint32_t);
static void	collect(uint64_t *, const struct pb_flow_table_row *, uint32_t,
		    unsigned);
static void	collect_times(uint64_t *, const struct pb_flow_table_row *,
		    const struct shape_rows *, unsigned,
		    const struct numbers_time *);
static uint64_t	number(const struct pb_flow_table_row *, unsigned);
static void	first_times(uint64_t *, const struct pb_flow_table_row *,
		    const struct shape_rows *, uint64_t, uint32_t);

uint32_t
numbers_put(uint8_t *out, struct pb_buf *planes,
    const struct pb_flow_table_row *row, const struct shape_rows *shape,
    unsigned first, unsigned end, const struct numbers_time *time,
    uint64_t *scratch)
{
	uint32_t rows = first < NUMBERS_EACH ? shape->rows : shape->many;
	uint32_t sum = 0;

	for (unsigned which = first; which < end; which++) {
		if (which == NUMBER_FIRST || which == NUMBER_LAST)
			collect_times(scratch, row, shape, which, time);
		else
			collect(scratch, row, rows, which);
		sum += planes_put(out, planes, scratch, rows);
		out += NUMBER_BYTES;
	}
	return sum;
}

static uint32_t
planes_put(uint8_t *out, struct pb_buf *planes, uint64_t *value,
    uint32_t values)
{
	uint64_t least = UINT64_MAX, most = 0;
	uint32_t count = 0;
	uint8_t *to;

	for (uint32_t i = 0; i < values; i++) {
		least = value[i] < least ? value[i] : least;
		most = value[i] > most ? value[i] : most;
	}
	if (values == 0)
		least = 0;
	while (most > least && count < NUMBER_PLANES_MAX &&
	    (most - least) >> 8 * count != 0)
		count++;
	pb_put_le64(out + NUMBER_LEAST, least);
	out[NUMBER_PLANES] = (uint8_t)count;
	to = pb_buf_reserve(planes, (size_t)count * values);
	if (to == NULL)
		return 0;
	for (uint32_t i = 0; count > 0 && i < values; i++)
		value[i] -= least;
	for (uint32_t plane = 0; plane < count; plane++)
#pragma GCC unroll 8
		for (uint32_t i = 0; i < values; i++)
			*to++ = (uint8_t)(value[i] >> 8 * plane);
	planes->len += (size_t)count * values;
	return count;
}

/* Each its own loop, that asks nothing of a row but that number. */
static void
collect(uint64_t *out, const struct pb_flow_table_row *row, uint32_t rows,
    unsigned which)
{
#pragma GCC unroll 8
	for (unsigned i = 0; i < NUMBERS; i++)
		for (uint32_t k = 0; i == which && k < rows; k++)
			out[k] = number(&row[k], i);
}

static inline uint64_t
number(const struct pb_flow_table_row *row, unsigned which)
{
	switch (which) {
	case NUMBER_LEN:
		return row->len_min;
	case NUMBER_CUT:
		return row->len_min - row->caplen_min;
	case NUMBER_PACKETS:
		return row->packets;
	case NUMBER_LEN_MORE:
		return row->len_max - row->len_min;
	case NUMBER_CUT_MOST:
		return row->len_max - row->caplen_max;
	default:
		return row->bytes - row->packets * row->len_min;
	}
}

/* Divided by what the compiler knows. */
static void
collect_times(uint64_t *out, const struct pb_flow_table_row *row,
    const struct shape_rows *shape, unsigned which,
    const struct numbers_time *time)
{
	if (which == NUMBER_FIRST && time->unit == UNIT_US)
		first_times(out, row, shape, time->least, UNIT_US);
	else if (which == NUMBER_FIRST)
		first_times(out, row, shape, time->least, UNIT_NS);
	for (uint32_t i = 0; which == NUMBER_LAST && i < shape->many; i++)
		out[i] = row[i].last_time - row[i].first_time;
	for (uint32_t i = 0; which == NUMBER_LAST && time->unit == UNIT_US &&
	    i < shape->many; i++)
		out[i] /= UNIT_US;
}

static inline __attribute__((always_inline)) void
first_times(uint64_t *out, const struct pb_flow_table_row *row,
    const struct shape_rows *shape, uint64_t least, uint32_t unit)
{
	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t before = 0;

		for (uint32_t i = shape->begin[run]; i < shape->begin[run + 1];
		    i++) {
			uint64_t now = (row[i].first_time - least) / unit;

			out[i] = zigzag(now - before);
			before = now;
		}
	}
}
