/*
 * recorder/store/mdb.c - LMDB, the one place that knows it
 */
#include "recorder/store/mdb.h"

#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"

struct pb_mdb {
	MDB_env		*env;
	MDB_dbi		 table[PB_MDB_TABLES_MAX];
	size_t		 tables;
	char		 path[512];
};

static int	fail(struct pb_mdb_txn *, int, const char *);
static int	open_env(struct pb_mdb *, uint64_t, bool, struct pb_err *);
static int	open_tables(struct pb_mdb *, const char *const *, size_t, bool,
		    struct pb_err *);
static int	seek(struct pb_mdb_txn *, unsigned, MDB_val *, MDB_val *, bool);

/* The one mapper of LMDB's codes. */
static int
err_mdb(struct pb_err *err, int rc, const char *path, const char *what)
{
	int code = PB_ESYS;

	if (rc == MDB_MAP_FULL)
		return pb_err_set(err, PB_ENOSPC, "index %s: %s: the map is "
		    "full; raise [store] index_size", path, what);
	if (rc == ENOSPC || rc == EDQUOT)
		code = PB_ENOSPC;
	else if (rc == ENOMEM)
		code = PB_ENOMEM;
	else if (rc == ENOENT)
		code = PB_ENOENT;
	else if (rc == MDB_CORRUPTED || rc == MDB_INVALID ||
	    rc == MDB_VERSION_MISMATCH || rc == MDB_PAGE_NOTFOUND)
		code = PB_EFORMAT;
	pb_err_set(err, code, "index %s: %s: %s", path, what,
	    mdb_strerror(rc));
	if (err != NULL && rc > 0)
		err->sys = rc;
	return code;
}

int
pb_mdb_open(struct pb_mdb **out, const char *path, uint64_t map_size,
    const char *const *tables, size_t count, bool write, struct pb_err *err)
{
	struct pb_mdb *mdb;
	int rc;

	if (count > PB_MDB_TABLES_MAX || strlen(path) >= sizeof(mdb->path))
		return pb_err_set(err, PB_ELIMIT, "index %s: name too long",
		    path);
	mdb = calloc(1, sizeof(*mdb));
	if (mdb == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	strcpy(mdb->path, path);
	rc = write ? pb_mkdirs(path, err) : 0;
	if (rc == 0)
		rc = open_env(mdb, map_size, write, err);
	if (rc == 0)
		rc = open_tables(mdb, tables, count, write, err);
	if (rc < 0) {
		pb_mdb_close(mdb);
		return rc;
	}
	*out = mdb;
	return 0;
}

void
pb_mdb_close(struct pb_mdb *mdb)
{
	if (mdb == NULL)
		return;
	if (mdb->env != NULL)
		mdb_env_close(mdb->env);
	free(mdb);
}

uint64_t
pb_mdb_commits(struct pb_mdb *mdb)
{
	struct pb_mdb_txn txn;
	uint64_t last = 0;

	/*
	 * Not mdb_env_info(): it reads the meta page, which a commit writes
	 * a moment before readers are given it.  A caller who remembered
	 * that number would look at old rows and miss the new ones.
	 */
	if (pb_mdb_begin(mdb, false, &txn, NULL) == 0)
		last = mdb_txn_id(txn.txn);
	pb_mdb_abort(&txn);
	return last;
}

int
pb_mdb_begin(struct pb_mdb *mdb, bool write, struct pb_mdb_txn *txn,
    struct pb_err *err)
{
	MDB_txn *handle = NULL;
	int rc;

	memset(txn, 0, sizeof(*txn));
	txn->mdb = mdb;
	txn->err = err;
	txn->write = write;
	rc = mdb_txn_begin(mdb->env, NULL, write ? 0 : MDB_RDONLY, &handle);
	if (rc == MDB_MAP_RESIZED) {
		/* The writer runs with a larger map now: take its size. */
		mdb_env_set_mapsize(mdb->env, 0);
		rc = mdb_txn_begin(mdb->env, NULL, write ? 0 : MDB_RDONLY,
		    &handle);
	}
	if (rc == MDB_READERS_FULL) {
		int dead;

		mdb_reader_check(mdb->env, &dead);
		rc = mdb_txn_begin(mdb->env, NULL, write ? 0 : MDB_RDONLY,
		    &handle);
	}
	txn->txn = handle;
	return rc == 0 ? 0 : fail(txn, rc, "begin");
}

int
pb_mdb_commit(struct pb_mdb_txn *txn)
{
	int rc;

	if (txn->rc < 0) {
		pb_mdb_abort(txn);
		return txn->rc;
	}
	if (txn->txn == NULL)
		return 0;
	rc = mdb_txn_commit(txn->txn);
	txn->txn = NULL;
	return rc == 0 ? 0 : fail(txn, rc, "commit");
}

void
pb_mdb_abort(struct pb_mdb_txn *txn)
{
	if (txn->txn != NULL)
		mdb_txn_abort(txn->txn);
	txn->txn = NULL;
}

int
pb_mdb_get(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, struct pb_mdb_value *out)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v;
	int rc;

	if (txn->rc < 0)
		return txn->rc;
	rc = mdb_get(txn->txn, txn->mdb->table[table], &k, &v);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return fail(txn, rc, "get");
	out->data = v.mv_data;
	out->len = v.mv_size;
	return 1;
}

int
pb_mdb_put(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, const void *data, size_t len)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key };
	MDB_val v = { len, (void *)(uintptr_t)data };
	int rc;

	if (txn->rc < 0)
		return txn->rc;
	rc = mdb_put(txn->txn, txn->mdb->table[table], &k, &v, 0);
	return rc == 0 ? 0 : fail(txn, rc, "put");
}

int
pb_mdb_del(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key };
	int rc;

	if (txn->rc < 0)
		return txn->rc;
	rc = mdb_del(txn->txn, txn->mdb->table[table], &k, NULL);
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc == 0 ? 1 : fail(txn, rc, "delete");
}

int
pb_mdb_find(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, struct pb_mdb_value *found_key, struct pb_mdb_value *out)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v;
	int rc = seek(txn, table, &k, &v, false);

	if (rc <= 0)
		return rc;
	*found_key = (struct pb_mdb_value){ k.mv_data, k.mv_size };
	*out = (struct pb_mdb_value){ v.mv_data, v.mv_size };
	return 1;
}

int
pb_mdb_find_last(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, struct pb_mdb_value *found_key, struct pb_mdb_value *out)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v;
	int rc = seek(txn, table, &k, &v, true);

	if (rc <= 0)
		return rc;
	*found_key = (struct pb_mdb_value){ k.mv_data, k.mv_size };
	*out = (struct pb_mdb_value){ v.mv_data, v.mv_size };
	return 1;
}

int
pb_mdb_walk(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, int (*each)(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value), void *arg)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v;
	MDB_cursor *cursor;
	int rc, answer = 0;

	if (txn->rc < 0)
		return txn->rc;
	rc = mdb_cursor_open(txn->txn, txn->mdb->table[table], &cursor);
	if (rc != 0)
		return fail(txn, rc, "open cursor");
	rc = mdb_cursor_get(cursor, &k, &v,
	    key_len == 0 ? MDB_FIRST : MDB_SET_RANGE);
	while (rc == 0 && answer == 0) {
		struct pb_mdb_value row_key = { k.mv_data, k.mv_size };
		struct pb_mdb_value row = { v.mv_data, v.mv_size };

		answer = each(arg, &row_key, &row);
		if (answer == 0)
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return fail(txn, rc, "walk");
	return answer;
}

/* First row >= *k, or last row <= *k. */
static int
seek(struct pb_mdb_txn *txn, unsigned table, MDB_val *k, MDB_val *v, bool last)
{
	MDB_val want = *k;
	MDB_cursor *cursor;
	int rc;

	if (txn->rc < 0)
		return txn->rc;
	rc = mdb_cursor_open(txn->txn, txn->mdb->table[table], &cursor);
	if (rc != 0)
		return fail(txn, rc, "open cursor");
	rc = mdb_cursor_get(cursor, k, v,
	    want.mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE);
	if (last && rc == MDB_NOTFOUND)
		rc = mdb_cursor_get(cursor, k, v, MDB_LAST);
	else if (last && rc == 0 && mdb_cmp(txn->txn,
	    txn->mdb->table[table], k, &want) > 0)
		rc = mdb_cursor_get(cursor, k, v, MDB_PREV);
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc == 0 ? 1 : fail(txn, rc, "seek");
}

static int
open_env(struct pb_mdb *mdb, uint64_t map_size, bool write, struct pb_err *err)
{
	char file[600];
	struct stat st;
	int rc, dead;

	/* LMDB would make the files; a reader must not. */
	strcpy(file, mdb->path);
	strcat(file, "/data.mdb");
	if (!write && stat(file, &st) < 0)
		return pb_err_sys(err, "open the index %s", mdb->path);
	rc = mdb_env_create(&mdb->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(mdb->env, PB_MDB_TABLES_MAX);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(mdb->env, PB_MDB_READERS_MAX);
	if (rc == 0 && map_size > 0)
		rc = mdb_env_set_mapsize(mdb->env, map_size);
	/* NOTLS: a read transaction belongs to its caller, not to a thread. */
	if (rc == 0)
		rc = mdb_env_open(mdb->env, mdb->path,
		    MDB_NOTLS | (write ? 0 : MDB_RDONLY), 0640);
	if (rc == 0 && write)
		rc = mdb_reader_check(mdb->env, &dead);
	return rc == 0 ? 0 : err_mdb(err, rc, mdb->path, "open");
}

static int
open_tables(struct pb_mdb *mdb, const char *const *tables, size_t count,
    bool write, struct pb_err *err)
{
	MDB_txn *txn;
	int rc;

	rc = mdb_txn_begin(mdb->env, NULL, write ? 0 : MDB_RDONLY, &txn);
	if (rc != 0)
		return err_mdb(err, rc, mdb->path, "begin");
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = mdb_dbi_open(txn, tables[i], write ? MDB_CREATE : 0,
		    &mdb->table[i]);
	if (rc != 0) {
		mdb_txn_abort(txn);
		/* A writer that has only just made the files. */
		if (rc == MDB_NOTFOUND)
			return pb_err_set(err, PB_ENOENT, "index %s: not "
			    "ready", mdb->path);
		return err_mdb(err, rc, mdb->path, "open tables");
	}
	mdb->tables = count;
	rc = mdb_txn_commit(txn);
	return rc == 0 ? 0 : err_mdb(err, rc, mdb->path, "commit");
}

static int
fail(struct pb_mdb_txn *txn, int rc, const char *what)
{
	if (txn->rc == 0)
		txn->rc = err_mdb(txn->err, rc, txn->mdb->path, what);
	return txn->rc;
}
