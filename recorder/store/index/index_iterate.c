/*
 * recorder/store/index/index_iterate.c - rows, page by page
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"

/* A page being filled by pb_mdb_walk(). */
struct page {
	struct pb_rows	*rows;
	uint8_t		*out;
	size_t		 row_bytes;
	size_t		 count, max;
	bool		 full;
};

static int	take(struct pb_rows *, void *, size_t);
static void	reach_back(struct pb_mdb_txn *, struct pb_rows *);
static int	take_row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static void	go_behind(struct pb_rows *, const void *, size_t);

/* The page is not touched before it is filled. */
void
pb_rows_all(struct pb_rows *rows, struct pb_index *index,
    enum pb_index_table table, const void *after, struct pb_err *err)
{
	uint8_t key[PB_MDB_KEY_MAX];

	/* What `meta` holds has no form. */
	assert(pb_row_bytes(table) > 0);
	rows->rc = 0;
	rows->index = index;
	rows->err = err;
	rows->table = table;
	rows->of_stream = rows->reaches = rows->ended = false;
	rows->at = rows->count = 0;
	rows->key_len = 0;
	if (after != NULL)
		go_behind(rows, key, pb_row_key(key, table, after));
}

void
pb_rows_of(struct pb_rows *rows, struct pb_index *index,
    enum pb_index_table table, uint32_t stream, uint64_t from,
    struct pb_err *err)
{
	pb_rows_all(rows, index, table, NULL, err);
	rows->of_stream = rows->reaches = true;
	rows->key_len = PB_KEY_NUMBERED_BYTES;
	pb_put_be32(rows->key, stream);
	pb_put_be64(rows->key + 4, from);
}

const void *
pb_rows_next(struct pb_rows *rows)
{
	size_t bytes = pb_row_bytes(rows->table);
	int n;

	while (rows->at == rows->count) {
		if (rows->ended)
			return NULL;
		n = take(rows, rows->page, PB_ROWS_PAGE_BYTES / bytes);
		rows->at = 0;
		rows->count = n < 0 ? 0 : n;
	}
	return (const uint8_t *)rows->page + (size_t)rows->at++ * bytes;
}

int
pb_index_rows(struct pb_index *index, enum pb_index_table table,
    const void *after, void *out, size_t max, struct pb_err *err)
{
	struct pb_rows rows;

	pb_rows_all(&rows, index, table, after, err);
	return take(&rows, out, max);
}

int
pb_index_rows_of(struct pb_index *index, enum pb_index_table table,
    uint32_t stream, uint64_t from, void *out, size_t max, struct pb_err *err)
{
	struct pb_rows rows;

	pb_rows_of(&rows, index, table, stream, from, err);
	return take(&rows, out, max);
}

/* One transaction: up to `max` rows into `out`; their count, or the error. */
static int
take(struct pb_rows *rows, void *out, size_t max)
{
	struct page page = { .rows = rows, .out = out, .max = max,
	    .row_bytes = pb_row_bytes(rows->table) };
	struct pb_mdb_txn txn;

	pb_mdb_begin(rows->index->mdb, false, &txn, rows->err);
	if (rows->reaches)
		reach_back(&txn, rows);
	pb_mdb_walk(&txn, rows->table, rows->key, rows->key_len, take_row,
	    &page);
	pb_mdb_abort(&txn);
	rows->rc = txn.rc;
	rows->ended = !page.full;
	return txn.rc < 0 ? txn.rc : (int)page.count;
}

/* So that a row which begins before the number and reaches it is seen. */
static void
reach_back(struct pb_mdb_txn *txn, struct pb_rows *rows)
{
	uint64_t from = pb_get_be64(rows->key + 4), first, last;
	void *row = rows->page;

	rows->reaches = false;
	if (pb_row_find(txn, rows->table, PB_ROW_UP_TO,
	    pb_get_be32(rows->key), from, row) == PB_ROW_SOUND &&
	    pb_row_range(rows->table, row, &first, &last) && last >= from)
		pb_put_be64(rows->key + 4, first);
}

static int
take_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct page *page = arg;
	struct pb_rows *rows = page->rows;
	void *out = page->out + page->count * page->row_bytes;

	if (rows->of_stream && (key->len < 4 ||
	    memcmp(key->data, rows->key, 4) != 0))
		return 1;
	/* LMDB has no such key: nothing behind it can be trusted either. */
	if (key->len >= sizeof(rows->key))
		return 1;
	page->full = page->count == page->max;
	if (page->full)
		return 1;
	if (pb_row_read(rows->table, out, key, value))
		page->count++;
	go_behind(rows, key->data, key->len);
	return 0;
}

/* The first key there may be behind that one. */
static void
go_behind(struct pb_rows *rows, const void *key, size_t len)
{
	memcpy(rows->key, key, len);
	rows->key[len] = 0;
	rows->key_len = len + 1;
}
