/*
 * recorder/store/index/index_rows.h - the index's tables, keys and rows
 *
 * Private to the store.  Keys are big-endian, so that byte order is sort
 * order; a value is the tail of the row's structure (index.h), in the
 * machine's own layout (an LMDB file does not travel between kinds of
 * machine anyway; files do, and the index can be rebuilt from them).
 */
#ifndef PB_STORE_INDEX_ROWS_H
#define PB_STORE_INDEX_ROWS_H

#include "recorder/store/index/index_write.h"

/* Version 2 had no ages: its rows are read as they are, and an index of it
 * becomes one of 3 when it is opened for writing. */
#define PB_INDEX_VERSION	3u
#define PB_INDEX_VERSION_READ	2u	/* from this one on */

extern const char *const pb_index_tables[PB_TABLES];

#define PB_KEY_NUMBERED_BYTES	12	/* stream u32, number u64 */
#define PB_KEY_STREAM_MAX \
	(PB_NAME_BYTES_MAX + 1 + PB_IFNAME_BYTES_MAX + 1 + 8)

/* The store's age: a struct pb_age in `meta`. */
#define PB_META_AGE		"age"
/* Named numbers; 0 where there is none. */
#define PB_META_SEGMENTS	"segments"
#define PB_META_BYTES		"bytes"

/*
 * A row from what LMDB has; false where that is none of the table's, or its
 * numbers make no sense: the disk can lie.  `out` has what could be read then,
 * the key at least where that is one, and is zero beside it.
 */
bool	pb_row_read(unsigned table, void *out, const struct pb_mdb_value *key,
	    const struct pb_mdb_value *value);
/* The numbers of a segment, an extent or a gap; false for other tables. */
bool	pb_row_range(unsigned table, const void *row, uint64_t *first,
	    uint64_t *last);
/* Bytes of the table's structure; a row may be stored shorter, but never
 * longer. */
size_t	pb_row_bytes(unsigned table);

/* Its key; the length.  Of `row` no more is looked at, here and below. */
size_t	pb_row_key(uint8_t out[static PB_MDB_KEY_MAX], unsigned table,
	    const void *row);
void	pb_row_del(struct pb_mdb_txn *txn, unsigned table, const void *row);
/* The row that has the key of `*row`: 1, 0, or the transaction's error. */
int	pb_row_get(struct pb_mdb_txn *txn, unsigned table, void *row);

/*
 * In the tables whose keys are a stream and a number: the stream's row
 * `number`, its first from `number` on, or its last up to `number`.
 */
enum pb_row_which { PB_ROW_AT, PB_ROW_FROM, PB_ROW_UP_TO };
enum pb_row_found {
	PB_ROW_NONE = 0,	/* or the transaction has failed */
	PB_ROW_ROTTEN,		/* stream and number can be relied on */
	PB_ROW_SOUND,
};
enum pb_row_found pb_row_find(struct pb_mdb_txn *txn, unsigned table,
	    enum pb_row_which which, uint32_t stream, uint64_t number,
	    void *out);

/* The key of a stream: its length; and back: false for bytes that are no
 * such key. */
size_t	pb_key_stream(uint8_t out[static PB_KEY_STREAM_MAX],
	    const struct pb_stream_key *key);
bool	pb_key_stream_parse(struct pb_stream_key *out, const void *key,
	    size_t len);

#endif
