/*
 * shipper/state/state.c - what the shipper tells about itself, on disk
 */
#include "shipper/state/tables.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/store/facts/acks.h"
#include "recorder/store/lock.h"
#include "recorder/store/index/mdb_probe.h"
#include "shipper/state/row.h"

#define ROW_VERSION	2u
#define KEY_BYTES_MAX	(PB_ACKS_KEY_MAX + 1)	/* and the NUL of a page */

static const char *const table_names[PB_STATE_TABLES] = {
	[PB_STATE_UPSTREAMS] = "upstreams",
	[PB_STATE_CURSORS] = "cursors",
	[PB_STATE_ACKS] = PB_ACKS_TABLE,
	[PB_STATE_LETTERS] = "letters",
	[PB_STATE_AGES] = "ages",
	[PB_STATE_LINKS] = "links",
	[PB_STATE_FILES] = "files",
	[PB_STATE_COUNTS] = "counts",
	[PB_STATE_META] = "meta",
};
/* What goes with an upstream that is no longer configured. */
static const enum pb_state_table forgotten[] = {
	PB_STATE_UPSTREAMS, PB_STATE_CURSORS, PB_STATE_ACKS,
};
#define FORGOTTEN	(sizeof(forgotten) / sizeof(forgotten[0]))

#define UPSTREAM(member)	PB_ROW_NUMBER(struct pb_upstream_row, member)
static const struct pb_row_field upstream_fields[] = {
	UPSTREAM(state), UPSTREAM(since_ns), UPSTREAM(written_ns),
	UPSTREAM(progress_ns), UPSTREAM(retry_ns), UPSTREAM(attempts),
	UPSTREAM(streams), UPSTREAM(refused), UPSTREAM(flight_bytes),
	UPSTREAM(sent_bytes), UPSTREAM(acked_bytes), UPSTREAM(acked_packets),
	PB_ROW_TEXT(struct pb_upstream_row, url),
	PB_ROW_TEXT(struct pb_upstream_row, last_error),
	/* Behind what a shipper of before reads. */
	UPSTREAM(filtered), UPSTREAM(unfit),
	PB_ROW_TEXT(struct pb_upstream_row, unfit_text), UPSTREAM(opens),
	UPSTREAM(apart), UPSTREAM(apart_ns),
	UPSTREAM(failures), UPSTREAM(error_ns), UPSTREAM(pps),
	UPSTREAM(byteps), UPSTREAM(comes_pps),
};
static const struct pb_row_shape upstream_shape = PB_ROW_SHAPE(ROW_VERSION,
    struct pb_upstream_row, upstream_fields);
#define CURSOR(member)	PB_ROW_NUMBER(struct pb_cursor_row, member)
static const struct pb_row_field cursor_fields[] = {
	CURSOR(state), CURSOR(acked), CURSOR(sent), CURSOR(released),
	CURSOR(wait_seq), CURSOR(wait_ms), CURSOR(written_ns),
	PB_ROW_TEXT(struct pb_cursor_row, text),
	/* Behind what a shipper of before reads. */
	CURSOR(sure.seq), CURSOR(sure.digest),
	CURSOR(unsure[0].first), CURSOR(unsure[0].last),
	CURSOR(unsure[1].first), CURSOR(unsure[1].last),
};
static const struct pb_row_shape cursor_shape = PB_ROW_SHAPE(ROW_VERSION,
    struct pb_cursor_row, cursor_fields);

static int	open_state(struct pb_state **, const char *, bool,
		    struct pb_err *);
static bool	upstream_decode(struct pb_upstream_row *,
		    const struct pb_state_rows *);

int
pb_state_open_write(struct pb_state **out, const char *store,
    struct pb_err *err)
{
	return open_state(out, store, true, err);
}

int
pb_state_open(struct pb_state **out, const char *store, struct pb_err *err)
{
	return open_state(out, store, false, err);
}

void
pb_state_close(struct pb_state *state)
{
	if (state == NULL)
		return;
	pb_mdb_close(state->mdb);
	free(state);
}

int
pb_state_begin(struct pb_state *state, struct pb_err *err)
{
	return pb_mdb_begin(state->mdb, true, &state->txn, err);
}

void
pb_state_put_upstream(struct pb_state *state,
    const struct pb_upstream_row *in)
{
	pb_row_store(&state->txn, PB_STATE_UPSTREAMS, in->name,
	    strlen(in->name), &upstream_shape, in);
}

void
pb_state_put_cursor(struct pb_state *state, const char *upstream,
    const struct pb_cursor_row *in)
{
	uint8_t key[KEY_BYTES_MAX], ack[PB_ACKS_ROW_BYTES];
	size_t len = pb_acks_key(key, upstream, &in->key);

	pb_row_store(&state->txn, PB_STATE_CURSORS, key, len, &cursor_shape,
	    in);
	pb_acks_encode(ack, &(struct pb_ack){ .acked = in->acked,
	    .released = in->released > in->acked ? in->released :
	    in->acked });
	pb_mdb_put(&state->txn, PB_STATE_ACKS, key, len, ack, sizeof(ack));
}

int
pb_state_commit(struct pb_state *state)
{
	return pb_mdb_commit(&state->txn);
}

int
pb_state_forget(struct pb_state *state,
    bool (*keep)(void *, const char *), void *arg, struct pb_err *err)
{
	char name[PB_NAME_BYTES_MAX + 1];
	struct pb_mdb_txn txn;
	struct pb_state_rows rows;

	(void)pb_mdb_begin(state->mdb, true, &txn, err);
	for (size_t t = 0; t < FORGOTTEN; t++) {
		pb_state_from(&rows, &txn, forgotten[t], "", 0, 0);
		while (pb_state_next(&rows)) {
			/* The keys of all of them begin with a name. */
			size_t len = strnlen(rows.key.data, rows.key.len);

			/* What came late is as long a letter. */
			if (forgotten[t] == PB_STATE_ACKS && rows.value.len ==
			    PB_ACKS_LATE_BYTES && rows.key.len > len + 1)
				continue;
			if (len < sizeof(name)) {
				memcpy(name, rows.key.data, len);
				name[len] = '\0';
				if (keep(arg, name))
					continue;
			}
			pb_mdb_del(&txn, forgotten[t], rows.at, rows.len - 1);
		}
	}
	return pb_mdb_commit(&txn);
}

int
pb_state_upstreams(struct pb_state *state, const char *after,
    struct pb_upstream_row *out, size_t max, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	struct pb_state_rows rows;
	size_t count = 0;
	int rc;

	(void)pb_mdb_begin(state->mdb, false, &txn, err);
	/* The NUL behind a name makes the first key behind it. */
	pb_state_from(&rows, &txn, PB_STATE_UPSTREAMS, after != NULL ? after :
	    "", after != NULL ? strlen(after) + 1 : 0, 0);
	while (count < max && pb_state_next(&rows))
		count += upstream_decode(&out[count], &rows);
	rc = txn.rc;
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)count;
}

int
pb_state_upstream(struct pb_state *state, const char *name,
    struct pb_upstream_row *out, struct pb_err *err)
{
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;
	int rc = pb_mdb_begin(state->mdb, false, &txn, err);

	if (rc == 0)
		rc = pb_mdb_get(&txn, PB_STATE_UPSTREAMS, name, strlen(name),
		    &value);
	if (rc == 1)
		rc = pb_row_load(&upstream_shape, out, &value);
	if (rc == 1)
		strcpy(out->name, name);
	pb_mdb_abort(&txn);
	return rc;
}

int
pb_state_cursors(struct pb_state *state, const char *upstream,
    const struct pb_stream_key *after, struct pb_cursor_row *out, size_t max,
    struct pb_err *err)
{
	char found[PB_NAME_BYTES_MAX + 1];
	uint8_t key[KEY_BYTES_MAX];
	size_t name = strlen(upstream) + 1, len = name, count = 0;
	struct pb_mdb_txn txn;
	struct pb_state_rows rows;
	int rc;

	memcpy(key, upstream, name);
	if (after != NULL) {
		len = pb_acks_key(key, upstream, after);
		key[len++] = 0;
	}
	(void)pb_mdb_begin(state->mdb, false, &txn, err);
	pb_state_from(&rows, &txn, PB_STATE_CURSORS, key, len, name);
	while (count < max && pb_state_next(&rows))
		count += pb_row_load(&cursor_shape, &out[count],
		    &rows.value) && pb_acks_key_parse(found, &out[count].key,
		    rows.key.data, rows.key.len);
	rc = txn.rc;
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : (int)count;
}

int
pb_state_cursor(struct pb_state *state, const char *upstream,
    const struct pb_stream_key *key, struct pb_cursor_row *out,
    struct pb_err *err)
{
	uint8_t bytes[KEY_BYTES_MAX];
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;
	int rc;

	rc = pb_mdb_begin(state->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_get(&txn, PB_STATE_CURSORS, bytes,
		    pb_acks_key(bytes, upstream, key), &value);
	if (rc == 1 && !pb_row_load(&cursor_shape, out, &value))
		rc = pb_err_set(err, PB_EFORMAT, "how far %s/%s is to %s "
		    "cannot be read: its row in shipper/ is damaged, or of "
		    "another version; Fix: install that version, or give the "
		    "upstream another name: then all of it is sent again",
		    key->node, key->interface, upstream);
	if (rc == 1)
		out->key = *key;
	pb_mdb_abort(&txn);
	return rc;
}

int
pb_shipper_lock(int *fd, const char *store, struct pb_err *err)
{
	return pb_lock_take(fd, store, "shipper.lock", "pb-shipper", err);
}

bool
pb_shipper_running(const char *store, pid_t *pid)
{
	return pb_lock_held(store, "shipper.lock", pid);
}

/* --- tables ------------------------------------------------------------- */

static int
open_state(struct pb_state **out, const char *store, bool write,
    struct pb_err *err)
{
	enum pb_mdb_verdict verdict;
	char path[PATH_MAX];
	struct pb_state *state;
	int rc;

	*out = NULL;
	rc = pb_layout_path(path, store, "shipper", err);
	if (rc < 0)
		return rc;
	verdict = pb_mdb_probe(path, table_names, PB_STATE_TABLES, false);
	if (verdict == PB_MDB_STUCK && !write)
		return pb_err_set(err, PB_EBUSY, PB_MDB_STUCK_TEXT, path);
	if (verdict == PB_MDB_DAMAGED)
		return pb_err_set(err, PB_EFORMAT, "%s is damaged; Fix: stop "
		    "pb-shipper, move that directory away, start it again: it "
		    "asks the upstreams what they have, but knows no dead "
		    "letters, whose files stay in %s/dead-letters", path,
		    store);
	state = calloc(1, sizeof(*state));
	if (state == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	state->write = write;
	rc = pb_mdb_open(&state->mdb, path, write ? PB_STATE_MAP_BYTES : 0,
	    table_names, PB_STATE_TABLES,
	    write ? PB_MDB_WRITE : PB_MDB_READ, err);
	if (rc < 0) {
		free(state);
		return rc;
	}
	*out = state;
	return 0;
}

static bool
upstream_decode(struct pb_upstream_row *out, const struct pb_state_rows *rows)
{
	if (rows->key.len >= sizeof(out->name) ||
	    !pb_row_load(&upstream_shape, out, &rows->value))
		return false;
	memcpy(out->name, rows->key.data, rows->key.len);
	return true;
}
