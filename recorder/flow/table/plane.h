/*
 * recorder/flow/table/plane.h - a plane in fewer bits
 *
 * A byte of each row of a shape takes few values where it says something that
 * many flows share.  Then these are listed, and a row is its number in the
 * list, in as few bits as that takes: written and read many times faster than
 * what a general compressor makes of it.
 *
 *	u8 8, then the plane; or
 *	u8 bits, 0 to 7; u8 values less 1; the values; of each eight rows their
 *	numbers, `bits` bytes, the first in the lowest bits
 */
#ifndef PB_FLOW_TABLE_PLANE_H
#define PB_FLOW_TABLE_PLANE_H

#include <stddef.h>
#include <stdint.h>

/* What packing a plane of so many rows can write. */
#define PLANE_ROOM(rows)	((size_t)(rows) + 160)

/* Its length; `out` has PLANE_ROOM(rows) bytes. */
size_t	plane_pack(uint8_t *out, const uint8_t *plane, uint32_t rows);

/* `rows` bytes into `out`; what is behind it, or NULL: it does not end before
 * `end`, or is none. */
const uint8_t *plane_unpack(uint8_t *out, uint32_t rows, const uint8_t *at,
	    const uint8_t *end);

/* What is behind a plane of `rows` bytes, or NULL, as above. */
const uint8_t *plane_skip(uint32_t rows, const uint8_t *at,
	    const uint8_t *end);
/* Of one that plane_skip() takes so many, from byte `first` on. */
void	plane_part(uint8_t *out, uint32_t first, uint32_t rows,
	    const uint8_t *at, const uint8_t *end);
/* The bytes of one that plane_skip() takes, as they are stored, or NULL where
 * they are packed. */
const uint8_t *plane_bare(const uint8_t *at);
/* The first of its bytes from `first` on, a multiple of 8, that is `value`, or
 * seldom another one; `rows` where none is. */
uint32_t plane_find(uint32_t rows, uint8_t value, uint32_t first,
	    const uint8_t *at, const uint8_t *end);

#endif
