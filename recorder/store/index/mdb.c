/*
 * recorder/store/index/mdb.c - LMDB, the one place that knows it
 */
#include "recorder/store/index/mdb_impl.h"

#include <string.h>

#include "base/rot.h"
#include "recorder/store/index/mdb_files.h"

#define RESIZES_MAX	8	/* of the writer, within one begin */

static int	fail(struct pb_mdb_txn *, int, const char *);
static int	enter(struct pb_mdb *, bool, MDB_txn **);
static int	begin(struct pb_mdb *, bool, MDB_txn **);
static int	begin_read(struct pb_mdb *, MDB_txn **);
static void	leave(struct pb_mdb_txn *);
static int	seek(struct pb_mdb_txn *, unsigned, MDB_val, bool,
		    struct pb_mdb_value *, struct pb_mdb_value *);
static int	check_free(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static int	walk(struct pb_mdb_txn *, MDB_dbi, MDB_val, int (*)(void *,
		    const struct pb_mdb_value *, const struct pb_mdb_value *),
		    void *);

int
pb_mdb_read_all(struct pb_mdb_txn *txn)
{
	const struct pb_mdb *mdb = txn->mdb;
	size_t last = 0;

	/* 0 is the list of free pages, 1 that of the tables (LMDB's mdb.c). */
	if (walk(txn, 0, (MDB_val){ 0, NULL }, check_free, &last) > 0)
		txn->rc = pb_err_set(txn->err, PB_EFORMAT, "%s: the list of "
		    "free pages is not what was written", mdb->path);
	for (MDB_dbi i = 1; txn->rc == 0 && i < mdb->tables + 2; i++)
		walk(txn, i < 2 ? i : mdb->table[i - 2], (MDB_val){ 0, NULL },
		    NULL, NULL);
	return txn->rc;
}

/* The number of a transaction, ascending; how many pages it left, and at
 * least so many numbers (mdb_freelist_save() of LMDB's mdb.c).  Whoever
 * writes believes it, and a rotten one ends him. */
static int
check_free(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	size_t *last = arg, number, pages;

	if (key->len != sizeof(number) || value->len < sizeof(pages))
		return 1;
	memcpy(&number, key->data, sizeof(number));
	memcpy(&pages, value->data, sizeof(pages));
	if (number <= *last || pages >= value->len / sizeof(pages))
		return 1;
	*last = number;
	return 0;
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
	txn->rc = mdb->unlocked ? pb_mdb_files_unwritten(mdb->path, err) : 0;
	if (txn->rc < 0)
		return txn->rc;
	pb_rot_reads(mdb->path);
	rc = enter(mdb, write, &handle);
	if (rc == MDB_PANIC) {
		txn->rc = mdb_open_again(mdb, err);
		rc = txn->rc < 0 ? 0 : enter(mdb, write, &handle);
	}
	txn->txn = handle;
	if (handle == NULL)
		pb_rot_reads(NULL);
	return rc == 0 ? txn->rc : fail(txn, rc, "begin");
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
	if (!txn->write) {
		pb_mdb_abort(txn);
		return 0;
	}
	rc = mdb_txn_commit(txn->txn);
	leave(txn);
	return rc == 0 ? 0 : fail(txn, rc, "commit");
}

void
pb_mdb_abort(struct pb_mdb_txn *txn)
{
	if (txn->txn == NULL)
		return;
	if (txn->write)
		mdb_txn_abort(txn->txn);
	else
		mdb_rest(txn->mdb, txn->txn);
	leave(txn);
}

int
pb_mdb_get(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, struct pb_mdb_value *out)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v;
	int rc;

	if (txn->rc < 0 || txn->mdb->table[table] == NO_TABLE)
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

bool
pb_mdb_has_half(struct pb_mdb_txn *txn, unsigned table)
{
	MDB_envinfo map;
	MDB_stat its;

	return mdb_env_info(txn->mdb->env, &map) == 0 && mdb_stat(txn->txn,
	    txn->mdb->table[table], &its) == 0 && map.me_mapsize / 2 <=
	    (its.ms_leaf_pages + its.ms_overflow_pages) * its.ms_psize;
}

int
pb_mdb_find(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, struct pb_mdb_value *found_key, struct pb_mdb_value *out)
{
	return seek(txn, table, (MDB_val){ key_len, (void *)(uintptr_t)key },
	    false, found_key, out);
}

int
pb_mdb_find_last(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, struct pb_mdb_value *found_key, struct pb_mdb_value *out)
{
	return seek(txn, table, (MDB_val){ key_len, (void *)(uintptr_t)key },
	    true, found_key, out);
}

int
pb_mdb_walk(struct pb_mdb_txn *txn, unsigned table, const void *key,
    size_t key_len, int (*each)(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value), void *arg)
{
	return walk(txn, txn->mdb->table[table],
	    (MDB_val){ key_len, (void *)(uintptr_t)key }, each, arg);
}

/* Begin, with the lock held until leave(): 0 or LMDB's code. */
static int
enter(struct pb_mdb *mdb, bool write, MDB_txn **out)
{
	int rc = begin(mdb, write, out);

	/* The writer, another process, runs with a larger map now. */
	for (int i = 0; rc == MDB_MAP_RESIZED && i < RESIZES_MAX; i++) {
		pthread_rwlock_wrlock(&mdb->lock);
		rc = mdb_set_size(mdb, 0);
		pthread_rwlock_unlock(&mdb->lock);
		if (rc == 0)
			rc = begin(mdb, write, out);
	}
	return rc;
}

static int
begin(struct pb_mdb *mdb, bool write, MDB_txn **out)
{
	int rc = MDB_PANIC;

	pthread_rwlock_rdlock(&mdb->lock);
	if (mdb->env != NULL)
		rc = write ? mdb_txn_begin(mdb->env, NULL, 0, out) :
		    begin_read(mdb, out);
	if (rc != 0)
		pthread_rwlock_unlock(&mdb->lock);
	return rc;
}

static int
begin_read(struct pb_mdb *mdb, MDB_txn **out)
{
	MDB_txn *txn = mdb_take_idle(mdb);
	int rc, dead;

	if (txn != NULL) {
		rc = mdb_txn_renew(txn);
		if (rc == 0)
			*out = txn;
		else
			mdb_txn_abort(txn);
		return rc;
	}
	rc = mdb_txn_begin(mdb->env, NULL, MDB_RDONLY, out);
	if (rc == MDB_READERS_FULL) {
		mdb_reader_check(mdb->env, &dead);
		rc = mdb_txn_begin(mdb->env, NULL, MDB_RDONLY, out);
	}
	return rc;
}

static void
leave(struct pb_mdb_txn *txn)
{
	pb_rot_reads(NULL);
	txn->txn = NULL;
	pthread_rwlock_unlock(&txn->mdb->lock);
}

/* First row >= `key`, or last row <= it. */
static int
seek(struct pb_mdb_txn *txn, unsigned table, MDB_val key, bool last,
    struct pb_mdb_value *found_key, struct pb_mdb_value *out)
{
	MDB_dbi dbi = txn->mdb->table[table];
	MDB_val k = key, v;
	MDB_cursor *cursor;
	int rc;

	if (txn->rc < 0 || dbi == NO_TABLE)
		return txn->rc;
	rc = mdb_cursor_open(txn->txn, dbi, &cursor);
	if (rc != 0)
		return fail(txn, rc, "open cursor");
	rc = mdb_cursor_get(cursor, &k, &v,
	    key.mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE);
	if (last && rc == MDB_NOTFOUND)
		rc = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
	else if (last && rc == 0 && mdb_cmp(txn->txn, dbi, &k, &key) > 0)
		rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV);
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return fail(txn, rc, "seek");
	*found_key = (struct pb_mdb_value){ k.mv_data, k.mv_size };
	*out = (struct pb_mdb_value){ v.mv_data, v.mv_size };
	return 1;
}

/* From `key` on, or the first row, until `each` answers nonzero; NULL: to
 * have read it is all. */
static int
walk(struct pb_mdb_txn *txn, MDB_dbi dbi, MDB_val key, int (*each)(void *,
    const struct pb_mdb_value *, const struct pb_mdb_value *), void *arg)
{
	MDB_cursor *cursor;
	MDB_val k = key, v;
	int rc, answer = 0;

	if (txn->rc < 0 || dbi == NO_TABLE)
		return txn->rc;
	rc = mdb_cursor_open(txn->txn, dbi, &cursor);
	if (rc != 0)
		return fail(txn, rc, "open cursor");
	rc = mdb_cursor_get(cursor, &k, &v,
	    key.mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE);
	while (rc == 0) {
		if (each != NULL)
			answer = each(arg, &(struct pb_mdb_value){ k.mv_data,
			    k.mv_size }, &(struct pb_mdb_value){ v.mv_data,
			    v.mv_size });
		if (answer != 0)
			break;
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return fail(txn, rc, "walk");
	return answer;
}

static int
fail(struct pb_mdb_txn *txn, int rc, const char *what)
{
	if (txn->rc == 0)
		txn->rc = mdb_error(txn->err, rc, txn->mdb->path, what);
	return txn->rc;
}
