/*
 * shipper/state/row.h - rows of the shipper's tables: numbers and texts
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

/* --- members of a struct, each named once ------------------------------- */

struct pb_row_field {
	size_t		at, bytes;	/* of a number, 2 to 8; of a text */
	bool		text;
};
#define PB_ROW_NUMBER(type, member)					\
	{ offsetof(type, member), sizeof(((type *)NULL)->member), false }
#define PB_ROW_TEXT(type, member)					\
	{ offsetof(type, member), sizeof(((type *)NULL)->member), true }

void	pb_row_pack(struct pb_row *row, const void *from,
	    const struct pb_row_field *field, size_t fields);
void	pb_row_unpack(struct pb_row *row, void *to,
	    const struct pb_row_field *field, size_t fields);

/* --- the rows of a table ------------------------------------------------ */

/* Those whose keys begin alike, in order; any may be deleted meanwhile. */
struct pb_state_rows {
	struct pb_mdb_txn *txn;
	unsigned	table;
	size_t		prefix;		/* bytes that they have in common */
	struct pb_mdb_value key, value;	/* of this row */
	size_t		len;		/* of where the next one may be */
	uint8_t		at[PB_MDB_KEY_MAX];
};

/* From `key` on, those that have its first `prefix` bytes. */
void	pb_state_from(struct pb_state_rows *rows, struct pb_mdb_txn *txn,
	    unsigned table, const void *key, size_t len, size_t prefix);
/* Is there another one?  What went wrong is the transaction's. */
bool	pb_state_next(struct pb_state_rows *rows);

#endif
