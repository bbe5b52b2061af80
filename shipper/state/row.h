/*
 * shipper/state/row.h - a row of the shipper's tables: numbers and texts
 *
 * A version octet, then 64-bit numbers, little-endian, and texts behind
 * their 16-bit length, as the writer put them.  A reader gets them in the
 * same order; past the end it gets zeros and "".
 */
#ifndef PB_SHIPPER_ROW_H
#define PB_SHIPPER_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/store/index/mdb.h"

#define PB_ROW_BYTES_MAX	1024u

struct pb_row {
	uint8_t		bytes[PB_ROW_BYTES_MAX];
	size_t		len, at;
};

void	pb_row_begin(struct pb_row *row, uint8_t version);
/* What does not fit is left out: size rows so that all does. */
void	pb_row_put_u64(struct pb_row *row, uint64_t value);
void	pb_row_put_text(struct pb_row *row, const char *text);

/* False where the value is of another version, empty or too large. */
bool	pb_row_load(struct pb_row *row, uint8_t version,
	    const struct pb_mdb_value *value);
uint64_t pb_row_u64(struct pb_row *row);
/* Cut at `room`; always a string. */
void	pb_row_text(struct pb_row *row, char *out, size_t room);

#endif
