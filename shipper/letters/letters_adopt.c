/*
 * shipper/letters/letters_adopt.c - dead letters: of an older version
 *
 * It had one number of the last fill that was seen, for all upstreams, and no
 * row in `acks` of late letters: for retention they were acknowledged.  What
 * it had is made what it is now, once, in one transaction.
 */
#include "shipper/letters/letters_impl.h"

#include <string.h>

#include "base/bytes.h"

static const char fill_key[] = "fill";

static void	adopt_lates(struct pb_mdb_txn *);
static void	adopt_seen(struct pb_mdb_txn *, uint64_t);

int
pb_letters_adopt(struct pb_letters *letters, struct pb_err *err)
{
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;
	uint64_t fill = 0;
	int rc;

	(void)pb_mdb_begin(letters->state->mdb, false, &txn, err);
	rc = pb_mdb_get(&txn, PB_STATE_META, fill_key, sizeof(fill_key) - 1,
	    &value);
	if (rc == 1 && value.len == sizeof(fill))
		fill = pb_get_le64(value.data);
	pb_mdb_abort(&txn);
	if (rc != 1)
		return rc;
	(void)pb_mdb_begin(letters->state->mdb, true, &txn, err);
	adopt_lates(&txn);
	adopt_seen(&txn, fill);
	pb_mdb_del(&txn, PB_STATE_META, fill_key, sizeof(fill_key) - 1);
	return pb_mdb_commit(&txn);
}

/* Put again, they get their rows. */
static void
adopt_lates(struct pb_mdb_txn *txn)
{
	struct pb_state_rows rows;
	struct pb_letter late;

	pb_state_from(&rows, txn, PB_STATE_LETTERS, "", 0, 0);
	while (pb_state_next(&rows)) {
		if (!pb_letters_parse(&late, &rows.key, &rows.value) ||
		    late.state != PB_LETTER_LATE)
			continue;
		pb_letters_remove(txn, &late);
		pb_letters_put(txn, &late);
	}
}

static void
adopt_seen(struct pb_mdb_txn *txn, uint64_t fill)
{
	char name[PB_NAME_BYTES_MAX + 1];
	struct pb_state_rows rows;

	pb_state_from(&rows, txn, PB_STATE_UPSTREAMS, "", 0, 0);
	while (pb_state_next(&rows)) {
		if (rows.key.len > PB_NAME_BYTES_MAX)
			continue;
		memcpy(name, rows.key.data, rows.key.len);
		name[rows.key.len] = '\0';
		pb_letters_put_seen(txn, name, fill);
	}
}
