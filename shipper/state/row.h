/*
 * shipper/state/row.h - rows of the shipper's tables: members of a structure
 *
 * A version octet, then the members in the order of a list that names each
 * once: numbers as 64 bits, little-endian, texts behind their 16-bit length.
 * A reader gets 0 and "" for what is past the end, so that a list may grow; and
 * numbers there that are 0 are not written.
 */
#ifndef PB_SHIPPER_ROW_H
#define PB_SHIPPER_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/store/index/mdb.h"

#define PB_ROW_BYTES_MAX	1024u

struct pb_row_field {
	size_t		at, bytes;	/* of a number 2, 4 or 8; of a text */
	bool		text;
};
#define PB_ROW_NUMBER(type, member)					\
	{ offsetof(type, member), sizeof(((type *)NULL)->member), false }
#define PB_ROW_TEXT(type, member)					\
	{ offsetof(type, member), sizeof(((type *)NULL)->member), true }

struct pb_row_shape {
	uint8_t		version;
	size_t		bytes;		/* of the structure */
	const struct pb_row_field *field;
	size_t		fields;
};
#define PB_ROW_SHAPE(version, type, list)				\
	{ version, sizeof(type), list, sizeof(list) / sizeof((list)[0]) }

/* What does not fit in PB_ROW_BYTES_MAX is left out: size rows so that all
 * does. */
void	pb_row_store(struct pb_mdb_txn *txn, unsigned table, const void *key,
	    size_t key_len, const struct pb_row_shape *shape,
	    const void *from);
/* False where the value is of another version, empty or too large.  Texts
 * are cut to their room; what the list does not name is 0. */
bool	pb_row_load(const struct pb_row_shape *shape, void *to,
	    const struct pb_mdb_value *value);

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
