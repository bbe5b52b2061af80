/*
 * recorder/store/retain/retain_journal.c - journals that had no room
 *
 * On a full disk rows go although a journal cannot be told: the files that go
 * with them make room.  The same commit then has a row of `doomed` with number
 * 0, which no segment has: this stream's journal is owed.  It is written anew
 * from the index when files have gone; until that succeeds, in this run or
 * after a crash, it is tried again.  Its row goes once it is on disk.
 */
#include "recorder/store/retain/retain_impl.h"

#include "recorder/store/mend/repair.h"

#define AGAIN_MS	1000u	/* after one that failed */

static int	write_anew(const struct pb_retain *, struct pb_index *,
		    const struct pb_open_info *, struct pb_err *);
static int	forget(struct pb_index *, const struct pb_open_info *, size_t,
		    struct pb_err *);

void
retain_owe_journal(struct pb_mdb_txn *txn, const struct pb_expiry *expiry)
{
	pb_index_put(txn, PB_TABLE_DOOMED, &(struct pb_open_info){
	    .stream = expiry->segment.stream, .key = expiry->key });
}

int
retain_write_journals(struct pb_retain *retain, struct pb_index *index,
    struct pb_err *err)
{
	struct retain_owing *owing = &retain->owing;
	struct pb_open_info done[RETAIN_JOURNALS];
	const struct pb_open_info *row = NULL;
	size_t tried = 0, count = 0;
	struct pb_rows rows;
	int one, rc = 0;

	if (!owing->some || retain->ran_ms < owing->again_ms) {
		retain->troubled |= owing->some;
		return 0;
	}
	pb_rows_all(&rows, index, PB_TABLE_DOOMED, owing->at.stream != 0 ?
	    &owing->at : NULL, err);
	while (tried < RETAIN_JOURNALS && (row = pb_rows_next(&rows)) != NULL) {
		if (row->first_seq != 0)
			continue;
		owing->at = *row;
		tried++;
		one = write_anew(retain, index, row, err);
		if (one == 0)
			done[count++] = *row;
		else
			rc = one;
	}
	if (rows.rc < 0)
		rc = rows.rc;
	one = forget(index, done, count, err);
	if (one < 0)
		rc = one;
	owing->again_ms = rc < 0 ? retain->ran_ms + AGAIN_MS : 0;
	owing->more |= rc < 0;
	if (row == NULL) {	/* the next round begins at the first */
		owing->some = owing->more;
		owing->more = false;
		owing->at.stream = 0;
	}
	return rc;
}

/* A row that is rotten, or whose stream is gone, owes nothing. */
static int
write_anew(const struct pb_retain *retain, struct pb_index *index,
    const struct pb_open_info *row, struct pb_err *err)
{
	struct pb_stream_info stream;
	int rc;

	if (row->key.node[0] == '\0')
		return 0;
	rc = pb_index_stream(index, &row->key, &stream, err);
	return rc <= 0 ? rc : pb_repair_journal(index, retain->store, &stream,
	    err);
}

static int
forget(struct pb_index *index, const struct pb_open_info *row, size_t count,
    struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = count == 0 ? 0 : pb_index_begin(index, &txn, err);

	if (rc < 0 || count == 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		pb_index_del(&txn, PB_TABLE_DOOMED, row[i].stream, 0);
	return pb_mdb_commit(&txn);
}
