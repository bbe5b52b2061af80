/*
 * shipper/state/forks.c - where a stream goes on under another epoch
 *
 * A row of `meta` for each stream that has forks: `fork`, or `edgefork`, and
 * the stream's key.  A table of its own would keep readers of a newer version
 * out of the database of an older shipper.
 */
#include "shipper/state/forks.h"

#include <string.h>

#include "shipper/state/row.h"
#include "shipper/state/tables.h"

#define ROW_VERSION	1u
#define PREFIX		"fork"
#define EDGE_PREFIX	"edgefork"
#define KEY_BYTES_MAX	(sizeof(EDGE_PREFIX) + PB_ACKS_KEY_MAX)

#define NUMBER(member)	PB_ROW_NUMBER(struct pb_forks, member)
#define FORK(i)		NUMBER(at[i].first), NUMBER(at[i].epoch)
static const struct pb_row_field fork_fields[] = {
	NUMBER(count), FORK(0), FORK(1), FORK(2), FORK(3), FORK(4), FORK(5),
	FORK(6), FORK(7), FORK(8), FORK(9), FORK(10), FORK(11), FORK(12),
	FORK(13), FORK(14), FORK(15),
};
static const struct pb_row_shape fork_shape = PB_ROW_SHAPE(ROW_VERSION,
    struct pb_forks, fork_fields);

_Static_assert(sizeof(fork_fields) / sizeof(fork_fields[0]) ==
    1 + 2 * PB_FORKS_MAX, "all of them");
_Static_assert(KEY_BYTES_MAX <= PB_MDB_KEY_MAX, "a key of LMDB");
_Static_assert(PB_FORKS_MAX < 1u << (32u - PB_PART_SHIFT), "fits an id");

static void	read_row(struct pb_forks *, const struct pb_mdb_value *);
static int	load(struct pb_state *, const char *, const char *,
		    const struct pb_stream_key *, struct pb_forks *,
		    struct pb_err *);
static int	store(struct pb_state *, const char *, const char *,
		    const struct pb_stream_key *, const struct pb_forks *,
		    struct pb_err *);
static size_t	key_of(uint8_t [static KEY_BYTES_MAX], const char *,
		    const char *, const struct pb_stream_key *);
static bool	has_epoch(const struct pb_forks *, uint64_t);

int
pb_forks_load(struct pb_state *state, const char *upstream,
    const struct pb_stream_key *key, struct pb_forks *out,
    struct pb_err *err)
{
	return load(state, PREFIX, upstream, key, out, err);
}

int
pb_forks_load_edge(struct pb_state *state, const char *edge,
    const struct pb_stream_key *key, struct pb_forks *out,
    struct pb_err *err)
{
	return load(state, EDGE_PREFIX, edge, key, out, err);
}

static int
load(struct pb_state *state, const char *prefix, const char *name,
    const struct pb_stream_key *key, struct pb_forks *out,
    struct pb_err *err)
{
	uint8_t bytes[KEY_BYTES_MAX];
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = pb_mdb_begin(state->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_get(&txn, PB_STATE_META, bytes,
		    key_of(bytes, prefix, name, key), &value);
	if (rc == 1)
		read_row(out, &value);
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : 0;
}

int
pb_forks_keep(struct pb_state *state, const char *upstream,
    const struct pb_stream_key *key, const struct pb_forks *forks,
    struct pb_err *err)
{
	return store(state, PREFIX, upstream, key, forks, err);
}

int
pb_forks_keep_edge(struct pb_state *state, const char *edge,
    const struct pb_stream_key *key, const struct pb_forks *forks,
    struct pb_err *err)
{
	return store(state, EDGE_PREFIX, edge, key, forks, err);
}

static int
store(struct pb_state *state, const char *prefix, const char *name,
    const struct pb_stream_key *key, const struct pb_forks *forks,
    struct pb_err *err)
{
	uint8_t bytes[KEY_BYTES_MAX];
	struct pb_row_shape shape = fork_shape;
	struct pb_mdb_txn txn;

	shape.fields = 1 + 2 * forks->count;
	(void)pb_mdb_begin(state->mdb, true, &txn, err);
	pb_row_store(&txn, PB_STATE_META, bytes, key_of(bytes, prefix, name,
	    key), &shape, forks);
	return pb_mdb_commit(&txn);
}

int
pb_forks_find(struct pb_state *state, const struct pb_stream_key *key,
    uint64_t low, uint64_t high, const struct pb_forks *forks,
    struct pb_fork *out, struct pb_err *err)
{
	uint8_t end[PB_ACKS_KEY_MAX];	/* of keys of this stream */
	size_t len = pb_acks_key(end, "", key);
	struct pb_mdb_txn txn;
	struct pb_state_rows rows;
	struct pb_forks have;
	int rc = 0;

	(void)pb_mdb_begin(state->mdb, false, &txn, err);
	pb_state_from(&rows, &txn, PB_STATE_META, PREFIX, sizeof(PREFIX),
	    sizeof(PREFIX));
	while (rc == 0 && pb_state_next(&rows)) {
		if (rows.key.len < sizeof(PREFIX) + len ||
		    memcmp(rows.at + rows.key.len - len, end, len) != 0)
			continue;
		read_row(&have, &rows.value);
		for (unsigned i = 0; i < have.count && rc == 0; i++) {
			*out = have.at[i];
			rc = out->first >= low && out->first <= high &&
			    !has_epoch(forks, out->epoch);
		}
	}
	if (txn.rc < 0)
		rc = txn.rc;
	pb_mdb_abort(&txn);
	return rc;
}

static bool
has_epoch(const struct pb_forks *forks, uint64_t epoch)
{
	for (unsigned i = 0; i < forks->count; i++)
		if (forks->at[i].epoch == epoch)
			return true;
	return false;
}

static void
read_row(struct pb_forks *out, const struct pb_mdb_value *value)
{
	(void)pb_row_load(&fork_shape, out, value);
	if (out->count > PB_FORKS_MAX)
		out->count = PB_FORKS_MAX;
}

static size_t
key_of(uint8_t out[static KEY_BYTES_MAX], const char *prefix,
    const char *name, const struct pb_stream_key *key)
{
	size_t len = strlen(prefix) + 1;	/* its NUL, too */

	memcpy(out, prefix, len);
	return len + pb_acks_key(out + len, name, key);
}
