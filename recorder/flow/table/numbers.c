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
		    unsigned, uint64_t);
static uint64_t	number(const struct pb_flow_table_row *, unsigned, uint64_t);

uint32_t
numbers_put(uint8_t *out, struct pb_buf *planes,
    const struct pb_flow_table_row *row, uint32_t rows, uint64_t time,
    uint64_t *scratch)
{
	uint32_t sum = 0;

	/* Each its own loop, that asks nothing of a row but that number. */
#pragma GCC unroll 8
	for (unsigned which = 0; which < NUMBERS; which++) {
		collect(scratch, row, rows, which, time);
		sum += planes_put(out + which * NUMBER_BYTES, planes, scratch,
		    rows);
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

static inline __attribute__((always_inline)) void
collect(uint64_t *out, const struct pb_flow_table_row *row, uint32_t rows,
    unsigned which, uint64_t time)
{
	for (uint32_t i = 0; i < rows; i++) {
		out[i] = number(&row[i], which, time);
		time = row[i].first_time;
	}
}

static inline uint64_t
number(const struct pb_flow_table_row *row, unsigned which, uint64_t before)
{
	switch (which) {
	case NUMBER_PACKETS:
		return row->packets;
	case NUMBER_LEN:
		return row->len_min;
	case NUMBER_LEN_MORE:
		return row->len_max - row->len_min;
	case NUMBER_CUT_LEAST:
		return row->len_min - row->caplen_min;
	case NUMBER_CUT_MOST:
		return row->len_max - row->caplen_max;
	case NUMBER_WIRE:
		return row->bytes - row->packets * row->len_min;
	case NUMBER_FIRST:
		return zigzag(row->first_time - before);
	default:
		return row->last_time - row->first_time;
	}
}
