/*
 * shipper/state/edges.c - what is told about the nodes that are dialled
 *
 * A table of their own would keep readers of a newer version out of the
 * database of an older shipper.
 */
#include "shipper/state/edges.h"

#include <string.h>

#include "shipper/state/row.h"
#include "shipper/state/tables.h"

#define ROW_VERSION	1u
#define PREFIX		"edge"
#define KEY_BYTES_MAX	(sizeof(PREFIX) + PB_NAME_BYTES_MAX + 1)

#define NUMBER(member)	PB_ROW_NUMBER(struct pb_edge_row, member)
static const struct pb_row_field fields[] = {
	NUMBER(state), NUMBER(since_ns), NUMBER(written_ns),
	NUMBER(progress_ns), NUMBER(retry_ns), NUMBER(attempts),
	NUMBER(streams), NUMBER(refused), NUMBER(behind),
	NUMBER(flight_bytes), NUMBER(packets), NUMBER(bytes),
	NUMBER(error_ns),
	PB_ROW_TEXT(struct pb_edge_row, url),
	PB_ROW_TEXT(struct pb_edge_row, last_error),
	/* Behind what a shipper of before reads. */
	NUMBER(failures), NUMBER(pps), NUMBER(byteps), NUMBER(comes_pps),
	NUMBER(forked),
};
static const struct pb_row_shape shape = PB_ROW_SHAPE(ROW_VERSION,
    struct pb_edge_row, fields);

static size_t	key_of(uint8_t [static KEY_BYTES_MAX], const char *);
static bool	name_of(const struct pb_state_rows *,
		    char [static PB_NAME_BYTES_MAX + 1]);

void
pb_state_put_edge(struct pb_state *state, const struct pb_edge_row *row)
{
	uint8_t key[KEY_BYTES_MAX];

	pb_row_store(&state->txn, PB_STATE_META, key, key_of(key, row->name),
	    &shape, row);
}

int
pb_state_forget_edges(struct pb_state *state,
    bool (*keep)(void *, const char *), void *arg, struct pb_err *err)
{
	char name[PB_NAME_BYTES_MAX + 1];
	struct pb_mdb_txn txn;
	struct pb_state_rows rows;

	(void)pb_mdb_begin(state->mdb, true, &txn, err);
	pb_state_from(&rows, &txn, PB_STATE_META, PREFIX, sizeof(PREFIX),
	    sizeof(PREFIX));
	while (pb_state_next(&rows))
		if (!name_of(&rows, name) || !keep(arg, name))
			pb_mdb_del(&txn, PB_STATE_META, rows.at, rows.len - 1);
	return pb_mdb_commit(&txn);
}

int
pb_state_edges(struct pb_state *state, const char *after,
    struct pb_edge_row *out, size_t max, struct pb_err *err)
{
	uint8_t key[KEY_BYTES_MAX];
	size_t len = key_of(key, after != NULL ? after : ""), count = 0;
	struct pb_mdb_txn txn;
	struct pb_state_rows rows;
	int rc;

	/* The NUL behind a name makes the first key behind it. */
	if (after != NULL)
		key[len++] = 0;
	(void)pb_mdb_begin(state->mdb, false, &txn, err);
	pb_state_from(&rows, &txn, PB_STATE_META, key, len, sizeof(PREFIX));
	while (count < max && pb_state_next(&rows))
		count += pb_row_load(&shape, &out[count], &rows.value) &&
		    name_of(&rows, out[count].name);
	rc = txn.rc;
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)count;
}

static size_t
key_of(uint8_t out[static KEY_BYTES_MAX], const char *name)
{
	memcpy(out, PREFIX, sizeof(PREFIX));	/* its NUL, too */
	memcpy(out + sizeof(PREFIX), name, strlen(name));
	return sizeof(PREFIX) + strlen(name);
}

static bool
name_of(const struct pb_state_rows *rows,
    char out[static PB_NAME_BYTES_MAX + 1])
{
	size_t len = rows->key.len - sizeof(PREFIX);

	if (len == 0 || len > PB_NAME_BYTES_MAX)
		return false;
	memcpy(out, (const uint8_t *)rows->key.data + sizeof(PREFIX), len);
	out[len] = '\0';
	return true;
}
