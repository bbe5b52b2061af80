/*
 * recorder/store/index/index_sane.c - do the rows of the index make sense?
 *
 * LMDB has no checksums: where a rotten page ends nobody's life, rows are
 * missing, or out of order, or of no length that was ever written.  The
 * sums that move with the rows tell most of that.
 */
#include <string.h>

#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"

/* One table while it is walked. */
struct tally {
	size_t		 value_bytes;	/* of each row; 0: any */
	bool		 sums;		/* rows are segments */
	bool		 wrong;
	uint64_t	 rows, bytes;
	size_t		 key_len;
	uint8_t		 key[PB_MDB_KEY_MAX];	/* of the row before */
};

static int	row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);

int
pb_index_sane(struct pb_mdb_txn *txn, struct pb_err *err)
{
	uint64_t rows[PB_TABLES] = { 0 }, segment_bytes = 0;

	for (unsigned t = 0; t < PB_TABLES; t++) {
		struct tally tally = { .value_bytes = pb_row_value_bytes(t),
		    .sums = t == PB_TABLE_SEGMENTS };
		int rc = pb_mdb_walk(txn, t, NULL, 0, row, &tally);

		if (rc < 0)
			return rc;
		if (tally.wrong)
			return pb_err_set(err, PB_EFORMAT, "the index is "
			    "corrupt: rows of table %s are not what was "
			    "written", pb_index_tables[t]);
		rows[t] = tally.rows;
		segment_bytes += tally.bytes;
	}
	if (rows[PB_TABLE_SEGMENTS] !=
	    pb_index_meta_get(txn, PB_META_SEGMENTS) ||
	    segment_bytes != pb_index_meta_get(txn, PB_META_BYTES) ||
	    rows[PB_TABLE_STREAMS] != rows[PB_TABLE_IDS] ||
	    rows[PB_TABLE_AGES] > rows[PB_TABLE_SEGMENTS])
		return pb_err_set(err, PB_EFORMAT, "the index is corrupt: its "
		    "rows and its sums differ");
	return 0;
}

static int
row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct tally *tally = arg;
	size_t len = key->len < tally->key_len ? key->len : tally->key_len;
	struct pb_segment_info segment;
	int order;

	if (key->len == 0 || key->len > sizeof(tally->key) ||
	    (tally->value_bytes > 0 && value->len != tally->value_bytes)) {
		tally->wrong = true;
		return 1;
	}
	order = memcmp(tally->key, key->data, len);
	if (order > 0 || (order == 0 && tally->key_len >= key->len)) {
		tally->wrong = true;
		return 1;
	}
	memcpy(tally->key, key->data, key->len);
	tally->key_len = key->len;
	tally->rows++;
	if (tally->sums) {
		(void)pb_row_read(PB_TABLE_SEGMENTS, &segment, key, value);
		tally->bytes += segment.bytes;
	}
	return 0;
}
