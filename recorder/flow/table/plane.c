/*
 * recorder/flow/table/plane.c - a plane in fewer bits
 */
#include "recorder/flow/table/plane.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/flow/lane.h"

#define VALUES_MAX	128u
#define ROWS_AT_ONCE	8u
#define BITS_RAW	8u
#define FEW		8u	/* values that lanes are compared with */
/* Where in the room of a packed plane its rows' numbers are made: they are
 * read before what they are packed to gets there. */
#define NUMBERS_AT	144u

/* The values of a plane as they come. */
struct values {
	uint8_t		*value;		/* VALUES_MAX of them */
	uint32_t	 values;
	bool		 seen[256];
	uint8_t		 number[256];	/* of each that was seen */
	pb_lane		 all[FEW], its[FEW];	/* value and number, 16 times */
};

_Static_assert(NUMBERS_AT >= 2 + VALUES_MAX &&
    PLANE_ROOM(0) >= NUMBERS_AT + PB_LANE, "numbers have room");

static uint32_t	values_find(uint8_t *, uint8_t *, const uint8_t *, uint32_t);
static bool	find_few(uint8_t *, const struct values *, pb_lane);
static bool	find_any(uint8_t *, struct values *, const pb_lane *);
static bool	value_add(struct values *, uint8_t);
static uint8_t	*rows_pack(uint8_t *, const uint8_t *, uint32_t, uint32_t);
static void	rows_unpack(uint8_t *, uint32_t, const uint8_t *, uint32_t,
		    const uint8_t *, const uint8_t *);
static uint32_t	eight_unpack(uint8_t *, uint32_t, uint32_t, const uint8_t *,
		    uint32_t, const uint8_t *);
static void	unpack_eights(uint8_t *, uint32_t, const uint8_t *, uint32_t,
		    const uint8_t *);
static void	unpack_by(uint8_t *, uint32_t, const uint8_t *, uint32_t,
		    const uint8_t *);
static bool	number_of(const uint8_t *, uint8_t, uint32_t *);
static uint32_t	rows_find(uint32_t, uint32_t, uint32_t, uint32_t,
		    const uint8_t *, const uint8_t *);

size_t
plane_pack(uint8_t *out, const uint8_t *plane, uint32_t rows)
{
	uint8_t *number = out + NUMBERS_AT, *at = out + 2;
	uint32_t values = values_find(at, number, plane, rows), bits = 0;

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
	return (size_t)(rows_pack(at + values, number, rows, bits) - out);
}

const uint8_t *
plane_unpack(uint8_t *out, uint32_t rows, const uint8_t *at,
    const uint8_t *end)
{
	const uint8_t *behind = plane_skip(rows, at, end);

	if (behind != NULL)
		plane_part(out, 0, rows, at, end);
	return behind;
}

void
plane_part(uint8_t *out, uint32_t first, uint32_t rows, const uint8_t *at,
    const uint8_t *end)
{
	uint8_t value[VALUES_MAX] = { 0 };
	size_t values = at[1] + 1u;
	uint32_t bits = at[0], ahead;

	if (bits == BITS_RAW) {
		memcpy(out, at + 1 + first, rows);
		return;
	}
	memcpy(value, at + 2, values);
	at += 2 + values + (size_t)(first / ROWS_AT_ONCE) * bits;
	if (bits == 0) {
		memset(out, value[0], rows);
		return;
	}
	ahead = eight_unpack(out, first % ROWS_AT_ONCE, rows, value, bits, at);
	if (ahead < rows)
		rows_unpack(out + ahead, rows - ahead, value, bits, ahead > 0 ?
		    at + bits : at, end);
}

const uint8_t *
plane_skip(uint32_t rows, const uint8_t *at, const uint8_t *end)
{
	size_t values, bytes;

	if (end - at < 2)
		return NULL;
	if (at[0] == BITS_RAW)
		return (size_t)(end - at) < 1 + (size_t)rows ? NULL :
		    at + 1 + rows;
	values = at[1] + 1u;
	bytes = (size_t)((rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE) * at[0];
	if (at[0] > BITS_RAW || values > VALUES_MAX ||
	    (size_t)(end - at) < 2 + values + bytes)
		return NULL;
	return at + 2 + values + bytes;
}

const uint8_t *
plane_bare(const uint8_t *at)
{
	return at[0] == BITS_RAW ? at + 1 : NULL;
}

uint32_t
plane_find(uint32_t rows, uint8_t value, uint32_t first, const uint8_t *at,
    const uint8_t *end)
{
	uint32_t number;
	const uint8_t *found;

	if (at[0] == BITS_RAW) {
		found = memchr(at + 1 + first, value, rows - first);
		return found == NULL ? rows : (uint32_t)(found - at - 1);
	}
	if (at[0] == 0)
		return at[2] == value ? first : rows;
	if (!number_of(at, value, &number))
		return first;
	return number > at[1] ? rows : rows_find(rows, number, first, at[0],
	    at + 3 + at[1], end);
}

/* The values, up to VALUES_MAX of them, and of each row its number.  How many,
 * or more than VALUES_MAX. */
static uint32_t
values_find(uint8_t *value, uint8_t *number, const uint8_t *plane,
    uint32_t rows)
{
	struct values values;
	pb_lane now;

	values.value = value;
	values.values = 0;
	memset(values.seen, 0, sizeof(values.seen));
	for (uint32_t i = 0; i < rows; i += PB_LANE) {
		if (rows - i >= PB_LANE) {
			now = pb_lane_at(plane + i);
		} else {
			/* Rows that are not there are like one that is. */
			memset(&now, plane[(rows - 1) / ROWS_AT_ONCE *
			    ROWS_AT_ONCE], sizeof(now));
			memcpy(&now, plane + i, rows - i);
		}
		if (!find_few(number + i, &values, now) &&
		    !find_any(number + i, &values, &now))
			return VALUES_MAX + 1;
	}
	return values.values;
}

/* False where one has not been seen, or too many have. */
static inline bool
find_few(uint8_t *number, const struct values *values, pb_lane now)
{
	pb_lane its = { 0 }, seen = { 0 };
	uint64_t half[2];

	if (values->values > FEW)
		return false;
	for (uint32_t i = 0; i < values->values; i++) {
		pb_lane same = (pb_lane)(now == values->all[i]);

		seen |= same;
		its |= same & values->its[i];
	}
	*(pb_lane *)number = its;
	memcpy(half, &seen, sizeof(half));
	return (half[0] & half[1]) == UINT64_MAX;
}

/* False where there are too many. */
static bool
find_any(uint8_t *number, struct values *values, const pb_lane *now)
{
	const uint8_t *row = (const uint8_t *)now;

	for (uint32_t i = 0; i < PB_LANE; i++) {
		if (!values->seen[row[i]] && !value_add(values, row[i]))
			return false;
		number[i] = values->number[row[i]];
	}
	return true;
}

static bool
value_add(struct values *values, uint8_t value)
{
	uint32_t i = values->values;

	if (i == VALUES_MAX)
		return false;
	values->value[i] = value;
	values->number[value] = (uint8_t)i;
	values->seen[value] = true;
	if (i < FEW) {
		memset(&values->all[i], value, sizeof(values->all[i]));
		memset(&values->its[i], (int)i, sizeof(values->its[i]));
	}
	values->values++;
	return true;
}

/* Numbers of 8 rows, a byte each, side by side: two, four, then all. */
static uint8_t *
rows_pack(uint8_t *at, const uint8_t *number, uint32_t rows, uint32_t bits)
{
	uint64_t one = 0x0001000100010001u * ((1u << bits) - 1);
	uint64_t two = 0x0000000100000001u * ((1u << 2 * bits) - 1);
	uint64_t four = (1u << 4 * bits) - 1;

	for (uint32_t i = 0; bits > 0 && i < rows; i += ROWS_AT_ONCE) {
		uint64_t word = pb_get_le64(number + i);

		word = (word & one) | (word >> 8 & one) << bits;
		word = (word & two) | (word >> 16 & two) << 2 * bits;
		word = (word & four) | (word >> 32) << 4 * bits;
		pb_put_le64(at, word);
		at += bits;
	}
	return at;
}

/* What is left of an eight in whose middle, at `from`, they begin; how many. */
static uint32_t
eight_unpack(uint8_t *out, uint32_t from, uint32_t rows, const uint8_t *value,
    uint32_t bits, const uint8_t *at)
{
	uint32_t count = from == 0 ? 0 : ROWS_AT_ONCE - from;
	uint8_t eight[8] = { 0 };
	uint64_t word;

	if (count > rows)
		count = rows;
	if (count == 0)
		return 0;
	memcpy(eight, at, bits);
	word = pb_get_le64(eight) >> from * bits;
	for (uint32_t i = 0; i < count; i++)
		out[i] = value[word >> i * bits & ((1u << bits) - 1)];
	return count;
}

/* That the rows end before `end` has been checked. */
static void
rows_unpack(uint8_t *out, uint32_t rows, const uint8_t *value, uint32_t bits,
    const uint8_t *at, const uint8_t *end)
{
	uint32_t mask = (1u << bits) - 1, eights = rows / ROWS_AT_ONCE;
	uint8_t last[8] = { 0 };
	uint64_t word;

	/* A word is read as a whole. */
	while (eights > 0 && end - at < (ptrdiff_t)((eights - 1) * bits + 8))
		eights--;
	unpack_eights(out, eights, value, bits, at);
	out += eights * ROWS_AT_ONCE;
	at += (size_t)eights * bits;
	for (rows -= eights * ROWS_AT_ONCE; rows > 0; at += bits) {
		uint32_t now = rows < ROWS_AT_ONCE ? rows : ROWS_AT_ONCE;

		memcpy(last, at, bits);
		word = pb_get_le64(last);
		for (uint32_t i = 0; i < now; i++)
			*out++ = value[word >> i * bits & mask];
		rows -= now;
	}
}

/* Shifts by what the compiler knows take half as long. */
static void
unpack_eights(uint8_t *out, uint32_t eights, const uint8_t *value,
    uint32_t bits, const uint8_t *at)
{
	switch (bits) {
	case 1:
		unpack_by(out, eights, value, 1, at);
		break;
	case 2:
		unpack_by(out, eights, value, 2, at);
		break;
	case 3:
		unpack_by(out, eights, value, 3, at);
		break;
	case 4:
		unpack_by(out, eights, value, 4, at);
		break;
	case 5:
		unpack_by(out, eights, value, 5, at);
		break;
	case 6:
		unpack_by(out, eights, value, 6, at);
		break;
	default:
		unpack_by(out, eights, value, 7, at);
	}
}

static inline __attribute__((always_inline)) void
unpack_by(uint8_t *out, uint32_t eights, const uint8_t *value, uint32_t bits,
    const uint8_t *at)
{
	for (; eights > 0; eights--, at += bits, out += ROWS_AT_ONCE) {
		uint64_t word = pb_get_le64(at);

#pragma GCC unroll 8
		for (uint32_t i = 0; i < ROWS_AT_ONCE; i++)
			out[i] = value[word >> i * bits & ((1u << bits) - 1)];
	}
}

/* Above all of them where no row has it.  False: more than one is that. */
static bool
number_of(const uint8_t *at, uint8_t value, uint32_t *number)
{
	uint32_t values = at[1] + 1u;
	const uint8_t *list = at + 2, *found = memchr(list, value, values);
	uint32_t i = found == NULL ? values : (uint32_t)(found - list);

	*number = i;
	/* What is behind the last one is 0. */
	return (value != 0 || values == 1u << at[0]) && (i == values ||
	    memchr(found + 1, value, values - 1 - i) == NULL);
}

/* As many as a word has at once: where a number is the same, nothing is left
 * of it.  A sum tells so of the bits below the top one of each. */
static uint32_t
rows_find(uint32_t rows, uint32_t number, uint32_t first, uint32_t bits,
    const uint8_t *at, const uint8_t *end)
{
	uint32_t eights = ROWS_AT_ONCE / bits, bytes = eights * bits;
	uint8_t last[sizeof(uint64_t)] = { 0 };
	uint64_t ones = 0, top, below;

	for (uint32_t i = 0; i < eights * ROWS_AT_ONCE; i++)
		ones |= (uint64_t)1 << i * bits;
	top = ones << (bits - 1);
	below = top - ones;
	at += (size_t)(first / ROWS_AT_ONCE) * bits;
	for (; first < rows; first += eights * ROWS_AT_ONCE, at += bytes) {
		size_t left = (size_t)(end - at);
		uint64_t word, same;

		/* Then these are all that are left. */
		if (left < sizeof(last))
			at = memcpy(last, at, left);
		word = pb_get_le64(at) ^ number * ones;
		same = ~(((word & below) + below) | word) & top;
		if (same != 0) {
			first += (uint32_t)__builtin_ctzll(same) / bits;
			break;
		}
	}
	return first < rows ? first : rows;
}
