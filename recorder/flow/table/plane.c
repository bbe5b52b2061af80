/*
 * recorder/flow/table/plane.c - a plane in fewer bits
 */
#include "recorder/flow/table/plane.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

#define VALUES_MAX	128u
#define ROWS_AT_ONCE	8u
#define BITS_RAW	8u

static uint32_t	values_find(uint8_t *, uint8_t *, const uint8_t *, uint32_t);
static uint8_t	*rows_pack(uint8_t *, const uint8_t *, uint32_t,
		    const uint8_t *, uint32_t);
static void	rows_unpack(uint8_t *, uint32_t, const uint8_t *, uint32_t,
		    const uint8_t *, const uint8_t *);

size_t
plane_pack(uint8_t *out, const uint8_t *plane, uint32_t rows)
{
	uint8_t number[256], *at = out + 2;
	uint32_t values = values_find(at, number, plane, rows), bits = 1;

	while (bits < BITS_RAW && 1u << bits < values)
		bits++;
	if (values > VALUES_MAX || 2 + values + (rows + ROWS_AT_ONCE) /
	    ROWS_AT_ONCE * bits > rows) {
		out[0] = BITS_RAW;
		memcpy(out + 1, plane, rows);
		return 1 + (size_t)rows;
	}
	out[0] = (uint8_t)bits;
	out[1] = (uint8_t)(values - 1);
	return (size_t)(rows_pack(at + values, plane, rows, number, bits) -
	    out);
}

const uint8_t *
plane_unpack(uint8_t *out, uint32_t rows, const uint8_t *at,
    const uint8_t *end)
{
	uint8_t value[VALUES_MAX] = { 0 };
	size_t values, bytes;
	uint32_t bits;

	if (end - at < 2)
		return NULL;
	bits = at[0];
	if (bits == BITS_RAW) {
		if ((size_t)(end - at) < 1 + (size_t)rows)
			return NULL;
		memcpy(out, at + 1, rows);
		return at + 1 + rows;
	}
	values = at[1] + 1u;
	bytes = (size_t)((rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE) * bits;
	if (bits == 0 || bits > BITS_RAW || values > VALUES_MAX ||
	    (size_t)(end - at) < 2 + values + bytes)
		return NULL;
	memcpy(value, at + 2, values);
	at += 2 + values;
	rows_unpack(out, rows, value, bits, at, end);
	return at + bytes;
}

/* The values, up to VALUES_MAX of them, and of each its number.  How many, or
 * more than VALUES_MAX. */
static uint32_t
values_find(uint8_t *value, uint8_t *number, const uint8_t *plane,
    uint32_t rows)
{
	bool seen[256] = { false };
	uint32_t values = 0;

	for (uint32_t i = 0; i < rows; i++) {
		if (seen[plane[i]])
			continue;
		if (values == VALUES_MAX)
			return VALUES_MAX + 1;
		seen[plane[i]] = true;
		number[plane[i]] = (uint8_t)values;
		value[values++] = plane[i];
	}
	return values;
}

static uint8_t *
rows_pack(uint8_t *at, const uint8_t *plane, uint32_t rows,
    const uint8_t *number, uint32_t bits)
{
	uint8_t last[ROWS_AT_ONCE];
	uint64_t word;

	for (; rows > 0; plane += ROWS_AT_ONCE) {
		if (rows < ROWS_AT_ONCE) {
			memset(last, plane[0], sizeof(last));
			memcpy(last, plane, rows);
			plane = last;
			rows = ROWS_AT_ONCE;
		}
		rows -= ROWS_AT_ONCE;
		word = 0;
#pragma GCC unroll 8
		for (uint32_t i = 0; i < ROWS_AT_ONCE; i++)
			word |= (uint64_t)number[plane[i]] << i * bits;
		pb_put_le64(at, word);
		at += bits;
	}
	return at;
}

/* That the rows end before `end` has been checked. */
static void
rows_unpack(uint8_t *out, uint32_t rows, const uint8_t *value, uint32_t bits,
    const uint8_t *at, const uint8_t *end)
{
	uint64_t mask = (1u << bits) - 1;

	while (rows > 0) {
		uint32_t now = rows < ROWS_AT_ONCE ? rows : ROWS_AT_ONCE;
		uint8_t last[8] = { 0 };
		uint64_t word;

		if (end - at >= 8) {
			word = pb_get_le64(at);
		} else {
			memcpy(last, at, (size_t)(end - at));
			word = pb_get_le64(last);
		}
		if (now == ROWS_AT_ONCE)
#pragma GCC unroll 8
			for (uint32_t i = 0; i < ROWS_AT_ONCE; i++)
				out[i] = value[word >> i * bits & mask];
		else
			for (uint32_t i = 0; i < now; i++)
				out[i] = value[word >> i * bits & mask];
		out += now;
		rows -= now;
		at += bits;
	}
}
