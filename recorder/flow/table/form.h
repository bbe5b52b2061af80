/*
 * recorder/flow/table/form.h - where in a flow table its parts are
 *
 * docs/index.md says what they mean.  All integers are little-endian.
 *
 *	head | pieces, back to back | directory
 *
 * A *plane* is a byte of each row of a shape, one after the other; or of those
 * of its rows that have more than one packet, where the others need none.
 * Planes are put together to pieces; a piece is packed where that makes it
 * smaller: planes by plane.h, all else by zstd.
 */
#ifndef PB_FLOW_TABLE_FORM_H
#define PB_FLOW_TABLE_FORM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/flow/table.h"

#define TABLE_MAGIC		"PBFT"
#define TABLE_VERSION		3u

/* The head. */
enum {
	HEAD_MAGIC = 0,
	HEAD_VERSION = 4,	/* 32 bits, as all without another word */
	HEAD_LENGTH = 8,	/* of the table */
	HEAD_PACKETS = 12,
	HEAD_MARKS = 16,	/* groups of them */
	HEAD_SHAPES = 20,
	HEAD_PIECES = 24,
	HEAD_DIRECTORY = 28,	/* its bytes as they are stored */
	HEAD_TIME = 32,		/* 64 bits: the lowest; ns */
	HEAD_DIRECTORY_DIGEST = 40,	/* 64 bits, of those bytes */
	HEAD_STEP = 48,		/* packets between the marks of a group */
	HEAD_UNIT = 52,		/* of times: ns */
	HEAD_DIGEST = PB_FLOW_TABLE_DIGEST_AT,	/* 64 bits, of the head before
						 * it */
	HEAD_BYTES = 64,
};

/* The directory: shapes, pieces. */
enum {
	SHAPE_KEY = 0,		/* PB_FLOW_SHAPE_BYTES of struct pb_flow_key */
	SHAPE_REST = 8,		/* 1: it is the rest; 0 */
	SHAPE_ROWS = 12,	/* RUNS of them: rows of each run */
	SHAPE_PACKETS = 28,	/* 64 bits */
	SHAPE_WIRE = 36,	/* 64 bits: bytes on the wire */
	SHAPE_CAPLEN = 44,	/* least, greatest */
	SHAPE_LEN = 52,		/* least, greatest */
	SHAPE_COLUMNS = 60,	/* 128 bits: bytes that have a column */
	SHAPE_BITS = 76,	/* 128 bits: those of unknown bits as well */
	SHAPE_ONES = 92,	/* what all rows know: 128 bytes */
	SHAPE_UNKNOWN = 220,	/* likewise */
	SHAPE_NUMBERS = 348,	/* NUMBERS times NUMBER_BYTES */
	SHAPE_BYTES = 420,
};

/*
 * A shape's rows stand in runs: first those of more than one packet, and the
 * rest, then those of one, which need no plane for what follows from that.  Of
 * each first come those that are told as they are, then those that are
 * *turned*: what their packets have of one end (pairs.c) stands in the columns
 * of the other one, and the reverse.  So a column has the addresses of those
 * who ask, and another one of those who answer.
 */
enum { RUN_MANY, RUN_MANY_TURNED, RUN_ONE, RUN_ONE_TURNED, RUNS };

enum { PIECE_STORED = 0, PIECE_RAW = 4, PIECE_DIGEST = 8, PIECE_BYTES = 16 };

/* The least of a column of numbers, 64 bits, and the planes of what they are
 * above it. */
enum { NUMBER_LEAST = 0, NUMBER_PLANES = 8, NUMBER_BYTES = 9 };
#define NUMBER_PLANES_MAX	8u

/* A row's numbers; all modulo 2^64. */
enum {
	NUMBER_LEN,		/* the least */
	NUMBER_CUT,		/* that above the least captured, 2^32 */
	NUMBER_FIRST,		/* time above that of the row before in its
				 * run, in units: zigzag */
	NUMBERS_EACH,
	/* Rows of one packet have no others. */
	NUMBER_PACKETS = NUMBERS_EACH,
	NUMBER_LEN_MORE,	/* the greatest, above the least */
	NUMBER_CUT_MOST,	/* that above the greatest captured, 2^32 */
	NUMBER_WIRE,		/* bytes above packets times least length */
	NUMBER_LAST,		/* time above the first, in units */
	NUMBERS,
};
_Static_assert(SHAPE_NUMBERS + NUMBERS * NUMBER_BYTES == SHAPE_BYTES, "");

/* Places and marks stand in groups, each of which can be read alone: a piece
 * has where they begin in the next piece, and the lower half of the digest of
 * each; a mark's group its first mark as well. */
enum {
	GROUP_AT = 0,
	GROUP_DIGEST = 4,
	GROUP_BYTES = 8,
	GROUP_PACKET = 8,
	GROUP_MARK = 12,
	GROUP_MARKS_BYTES = 16,
};
/* Rows whose places are a group; marks of one, at most; a row's packets that
 * are told in as many bits each, behind the first. */
#define GROUP_ROWS		64u
#define GROUP_MARKS		64u
#define RUN_PACKETS		32u
/* Blocks begin at multiples of so many bytes. */
#define MARK_UNIT		4u

/* Planes are put into a piece until it has so many bytes. */
#define PIECE_FROM		4096u
/* Of a varint of 32 bits. */
#define VARINT_BYTES_MAX	5u
/* Of a number among others of as many. */
#define BITS_MAX		32u

/* Planes of `rows` bytes, which are some, that go into a piece. */
static inline uint32_t
planes_a_piece(uint32_t rows)
{
	return rows < PIECE_FROM ? (PIECE_FROM + rows - 1) / rows : 1;
}

static inline uint32_t
pieces_of(uint32_t planes, uint32_t rows)
{
	uint32_t each = planes == 0 ? 1 : planes_a_piece(rows);

	return (planes + each - 1) / each;
}

/* --- pairs.c: what a connection has of each of its ends ------------------- */

#define PAIRS_MAX	3u	/* MAC addresses, addresses, ports */

/* `bytes` bytes from `at` on are of one end, so many behind them of the
 * other. */
struct pairs {
	uint32_t	 pairs;
	struct pair {
		uint8_t	 at, bytes;
	}		 pair[PAIRS_MAX];
};

/* Of a shape whose rows may be turned: it has ports. */
void	pairs_find(struct pairs *pairs, const struct pb_flow_key *shape);

/* The byte that stands in this one's column where a row is turned: itself,
 * where it is of no end. */
static inline uint32_t
pairs_other(const struct pairs *pairs, uint32_t at)
{
	for (uint32_t i = 0; i < pairs->pairs; i++) {
		uint32_t first = pairs->pair[i].at;
		uint32_t bytes = pairs->pair[i].bytes;

		if (at - first < bytes)
			return at + bytes;
		if (at - first < 2 * bytes)
			return at - bytes;
	}
	return at;
}

static inline uint64_t
zigzag(uint64_t difference)
{
	return difference << 1 ^ (0 - (difference >> 63));
}

static inline uint64_t
unzigzag(uint64_t number)
{
	return number >> 1 ^ (0 - (number & 1));
}

/* Seven bits a byte, the lowest first; the top bit says that more follow.
 * Returns what is behind it. */
static inline uint8_t *
varint_put(uint8_t *at, uint32_t number)
{
	while (number >= 0x80) {
		*at++ = (uint8_t)(number | 0x80);
		number >>= 7;
	}
	*at++ = (uint8_t)number;
	return at;
}

/* NULL: it does not end before `end`, or in VARINT_BYTES_MAX. */
static inline const uint8_t *
varint_get(const uint8_t *at, const uint8_t *end, uint32_t *number)
{
	uint32_t value = 0;

	for (uint32_t shift = 0; at < end && shift < 7 * VARINT_BYTES_MAX;
	    shift += 7) {
		value |= (uint32_t)(*at & 0x7f) << shift;
		if (*at++ < 0x80) {
			*number = value;
			return at;
		}
	}
	return NULL;
}

/* Numbers of `bits` bits each, the first ones in the lowest bits of the first
 * byte, to a whole number of bytes. */
static inline size_t
bits_bytes(uint32_t numbers, uint32_t bits)
{
	return ((uint64_t)numbers * bits + 7) / 8;
}

/* The bits that the largest of some takes, by all of them or-ed. */
static inline uint32_t
bits_of_all(uint32_t any)
{
	return any == 0 ? 0 : 32 - (uint32_t)__builtin_clz(any);
}

static inline uint8_t *
bits_put(uint8_t *at, const uint32_t *number, uint32_t numbers, uint32_t bits)
{
	uint64_t word = 0;
	uint32_t have = 0;

	for (uint32_t i = 0; i < numbers; i++) {
		word |= (uint64_t)number[i] << have;
		for (have += bits; have >= 8; have -= 8, word >>= 8)
			*at++ = (uint8_t)word;
	}
	if (have > 0)
		*at++ = (uint8_t)word;
	return at;
}

/* Number `which` of those that begin at `at`, and end at `end` or before. */
static inline uint32_t
bits_get(const uint8_t *at, const uint8_t *end, uint32_t which, uint32_t bits)
{
	uint64_t first = (uint64_t)which * bits;
	uint8_t last[8] = { 0 };

	at += first / 8;
	if (end - at < (ptrdiff_t)sizeof(last)) {
		memcpy(last, at, (size_t)(end - at));
		at = last;
	}
	return (uint32_t)(pb_get_le64(at) >> first % 8 &
	    ((1ull << bits) - 1));
}

#endif
