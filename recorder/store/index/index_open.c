/*
 * recorder/store/index/index_open.c - opening the index, and looking before
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/sys.h"
#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/index/mdb_probe.h"

/* One table while it is walked. */
struct tally {
	unsigned	 table;
	bool		 wrong;
	uint64_t	 rows, bytes;
	size_t		 key_len;
	uint8_t		 key[PB_MDB_KEY_MAX];	/* of the row before */
};

static int	open_index(struct pb_index **, const char *, const char *,
		    uint64_t, enum pb_mdb_how, struct pb_err *);
static int	check_version(struct pb_index *, struct pb_err *);
static bool	is_readable(uint64_t);
static uint64_t	bytes_of(const char *);
static int	sane(struct pb_mdb_txn *, struct pb_err *);
static int	check_row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static bool	in_order(struct tally *, const struct pb_mdb_value *);
static int	check_open(struct pb_index *, struct pb_err *);

int
pb_index_open(struct pb_index **out, const char *store, struct pb_err *err)
{
	return open_index(out, store, "index", 0, PB_MDB_READ, err);
}

int
pb_index_open_write(struct pb_index **out, const char *store,
    uint64_t map_size, struct pb_err *err)
{
	return open_index(out, store, "index", map_size, PB_MDB_WRITE, err);
}

int
pb_index_open_named(struct pb_index **out, const char *store,
    const char *name, uint64_t map_size, struct pb_err *err)
{
	return open_index(out, store, name, map_size, PB_MDB_BUILD, err);
}

void
pb_index_close(struct pb_index *index)
{
	if (index == NULL)
		return;
	pb_mdb_close(index->mdb);
	free(index);
}

int
pb_index_readable(const char *store, struct pb_err *err)
{
	enum pb_mdb_verdict verdict;
	char path[PATH_MAX];
	int rc = pb_layout_path(path, store, "index", err);

	if (rc < 0)
		return rc;
	verdict = pb_mdb_probe(path, pb_index_tables, PB_TABLES, false);
	/* A busy machine is given a second chance. */
	if (verdict == PB_MDB_STUCK)
		verdict = pb_mdb_probe(path, pb_index_tables, PB_TABLES,
		    false);
	switch (verdict) {
	case PB_MDB_DAMAGED:
		return pb_err_set(err, PB_EFORMAT, PB_INDEX_ROTTEN_TEXT,
		    path);
	case PB_MDB_STUCK:
		return pb_err_set(err, PB_EBUSY, PB_MDB_STUCK_TEXT, path);
	default:
		return 0;
	}
}

int
pb_index_probe(const char *store, bool all, struct pb_err *err)
{
	struct pb_index *index;
	struct pb_mdb_txn txn;
	uint64_t version, unfinished;
	int rc = pb_index_open(&index, store, err);

	if (rc < 0)
		return rc;
	rc = pb_mdb_begin(index->mdb, false, &txn, err);
	version = pb_index_meta_get(&txn, "version");
	unfinished = pb_index_meta_get(&txn, PB_META_SALVAGE);
	if (rc == 0 && pb_index_meta_get(&txn, PB_META_CLEAN) == 0)
		all |= bytes_of(store) <= PB_INDEX_PROBE_BYTES_MAX;
	if (rc == 0 && (all || pb_mdb_short(index->mdb)))
		rc = pb_mdb_read_all(&txn);
	if (rc == 0 && all && is_readable(version))
		rc = sane(&txn, err);
	pb_mdb_abort(&txn);
	if (rc == 0 && is_readable(version))
		rc = check_open(index, err);
	pb_index_close(index);
	if (rc < 0)
		return rc;
	if (version != 0 && !is_readable(version))
		return pb_err_set(err, PB_EFORMAT, "index %s/index has version "
		    "%llu, this program writes %u", store,
		    (unsigned long long)version, PB_INDEX_VERSION);
	if (unfinished != 0)
		return pb_err_set(err, PB_EFORMAT, "index %s/index: an older "
		    "version was cut short while it mended a segment", store);
	return version == 0 ? PB_ENOENT : 0;
}

static int
open_index(struct pb_index **out, const char *store, const char *name,
    uint64_t map_size, enum pb_mdb_how how, struct pb_err *err)
{
	char path[PATH_MAX];
	struct pb_index *index;
	int rc = pb_layout_path(path, store, name, err);

	if (rc < 0)
		return rc;
	index = calloc(1, sizeof(*index));
	if (index == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = pb_mdb_open(&index->mdb, path, map_size, pb_index_tables,
	    PB_TABLES, how, err);
	if (rc == 0 && how != PB_MDB_READ)
		rc = check_version(index, err);
	/* LMDB leaves the name of a file it makes to the file system; one who
	 * tried before may have failed here. */
	if (rc == 0 && how == PB_MDB_WRITE)
		rc = pb_sync_dir(path, err);
	if (rc < 0) {
		pb_index_close(index);
		return rc;
	}
	*out = index;
	return 0;
}

static int
check_version(struct pb_index *index, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	uint64_t version;
	int rc;

	pb_mdb_begin(index->mdb, true, &txn, err);
	version = pb_index_meta_get(&txn, "version");
	if (version == 0 || (is_readable(version) &&
	    version != PB_INDEX_VERSION))
		pb_index_meta_put(&txn, "version", PB_INDEX_VERSION);
	rc = pb_mdb_commit(&txn);
	if (rc == 0 && version != 0 && !is_readable(version))
		return pb_err_set(err, PB_EFORMAT, "the index has version "
		    "%llu, this program writes %u", (unsigned long long)version,
		    PB_INDEX_VERSION);
	return rc;
}

static bool
is_readable(uint64_t version)
{
	return version >= PB_INDEX_VERSION_READ &&
	    version <= PB_INDEX_VERSION;
}

static uint64_t
bytes_of(const char *store)
{
	char path[PATH_MAX];
	struct stat st;

	return pb_layout_path(path, store, "index/data.mdb", NULL) == 0 &&
	    pb_below_stat(path, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
}

/*
 * Do the rows make sense?  LMDB has no checksums: where a rotten page ends
 * nobody's life, rows are missing, or out of order, or of no length that was
 * ever written.  The sums that move with the rows tell most of that.
 */
static int
sane(struct pb_mdb_txn *txn, struct pb_err *err)
{
	uint64_t rows[PB_TABLES] = { 0 }, segment_bytes = 0;

	for (unsigned t = 0; t < PB_TABLES; t++) {
		struct tally tally = { .table = t };
		int rc = pb_mdb_walk(txn, t, NULL, 0, check_row,
		    &tally);

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
check_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct tally *tally = arg;
	union {
		struct pb_stream_info	stream;
		struct pb_segment_info	segment;
		struct pb_extent_info	extent;
		struct pb_open_info	open;
		struct pb_flows_info	flows;
	} row;

	/* What `meta` holds has no form. */
	if (!in_order(tally, key) || (tally->table != PB_TABLE_META &&
	    !pb_row_read(tally->table, &row, key, value))) {
		tally->wrong = true;
		return 1;
	}
	tally->rows++;
	if (tally->table == PB_TABLE_SEGMENTS)
		tally->bytes += row.segment.bytes;
	return 0;
}

static bool
in_order(struct tally *tally, const struct pb_mdb_value *key)
{
	size_t len = key->len < tally->key_len ? key->len : tally->key_len;
	int order;

	if (key->len == 0 || key->len > sizeof(tally->key))
		return false;
	order = memcmp(tally->key, key->data, len);
	if (order > 0 || (order == 0 && tally->key_len >= key->len))
		return false;
	memcpy(tally->key, key->data, key->len);
	tally->key_len = key->len;
	return true;
}

/* Recovery cuts and removes files by what the rows of its segments say. */
static int
check_open(struct pb_index *index, struct pb_err *err)
{
	struct pb_segment_info segment;
	const struct pb_open_info *row;
	struct pb_rows rows;
	int rc = 0;

	pb_rows_all(&rows, index, PB_TABLE_OPEN, NULL, err);
	while (rc >= 0 && (row = pb_rows_next(&rows)) != NULL)
		rc = pb_index_segment(index, row->stream, row->first_seq,
		    &segment, err);
	return rc < 0 ? rc : rows.rc;
}
