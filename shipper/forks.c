/*
 * shipper/forks.c - where a stream goes on under another epoch, by upstream
 *
 * A row of `meta` for each stream that has forks: `fork` and the stream's
 * key.  A table of its own would keep readers of a newer version out of the
 * database of an older shipper.
 */
#include "shipper/forks.h"

#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "shipper/row.h"
#include "shipper/state_private.h"

#define ROW_VERSION	1u
#define PREFIX		"fork"
#define KEY_BYTES_MAX	(sizeof(PREFIX) + PB_STATE_KEY_MAX)

_Static_assert(KEY_BYTES_MAX <= PB_MDB_KEY_MAX, "a key of LMDB");
_Static_assert(PB_FORKS_MAX < 1u << (32u - PB_PART_SHIFT), "fits an id");

static size_t	key_of(uint8_t [static KEY_BYTES_MAX], const char *,
		    const struct pb_stream_key *);

int
pb_forks_load(struct pb_state *state, const char *upstream,
    const struct pb_stream_key *key, struct pb_forks *out,
    struct pb_err *err)
{
	uint8_t bytes[KEY_BYTES_MAX];
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;
	struct pb_row row;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = pb_mdb_begin(state->mdb, false, &txn, err);
	if (rc == 0)
		rc = pb_mdb_get(&txn, PB_STATE_META, bytes,
		    key_of(bytes, upstream, key), &value);
	if (rc == 1 && pb_row_load(&row, ROW_VERSION, &value)) {
		out->count = (unsigned)pb_row_u64(&row);
		if (out->count > PB_FORKS_MAX)
			out->count = PB_FORKS_MAX;
		for (unsigned i = 0; i < out->count; i++) {
			out->at[i].first = pb_row_u64(&row);
			out->at[i].epoch = pb_row_u64(&row);
		}
	}
	pb_mdb_abort(&txn);
	return rc < 0 ? rc : 0;
}

int
pb_forks_keep(struct pb_state *state, const char *upstream,
    const struct pb_stream_key *key, const struct pb_forks *forks,
    struct pb_err *err)
{
	uint8_t bytes[KEY_BYTES_MAX];
	struct pb_mdb_txn txn;
	struct pb_row row;

	pb_row_begin(&row, ROW_VERSION);
	pb_row_put_u64(&row, forks->count);
	for (unsigned i = 0; i < forks->count; i++) {
		pb_row_put_u64(&row, forks->at[i].first);
		pb_row_put_u64(&row, forks->at[i].epoch);
	}
	(void)pb_mdb_begin(state->mdb, true, &txn, err);
	pb_mdb_put(&txn, PB_STATE_META, bytes, key_of(bytes, upstream, key),
	    row.bytes, row.len);
	return pb_mdb_commit(&txn);
}

uint64_t
pb_fork_epoch(uint64_t epoch, uint64_t last, uint64_t digest)
{
	uint8_t bytes[24];
	uint64_t out;

	pb_put_le64(bytes, epoch);
	pb_put_le64(bytes + 8, last);
	pb_put_le64(bytes + 16, digest);
	out = pb_digest(bytes, sizeof(bytes));
	return out != 0 ? out : 1;
}

uint64_t
pb_forks_base(const struct pb_forks *forks, unsigned part)
{
	return part == 0 ? 0 : forks->at[part - 1].first - 1;
}

uint64_t
pb_forks_top(const struct pb_forks *forks, unsigned part)
{
	return part < forks->count ? forks->at[part].first - 1 : UINT64_MAX;
}

uint64_t
pb_forks_epoch(const struct pb_forks *forks, unsigned part, uint64_t epoch)
{
	return part == 0 ? epoch : forks->at[part - 1].epoch;
}

static size_t
key_of(uint8_t out[static KEY_BYTES_MAX], const char *upstream,
    const struct pb_stream_key *key)
{
	uint8_t bytes[PB_STATE_KEY_MAX];
	size_t len = pb_state_key(bytes, upstream, key);

	memcpy(out, PREFIX, sizeof(PREFIX));	/* its NUL, too */
	memcpy(out + sizeof(PREFIX), bytes, len);
	return sizeof(PREFIX) + len;
}
