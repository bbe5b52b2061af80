/*
 * recorder/store/index/mdb.c - LMDB, the one place that knows it
 */
#include "recorder/store/index/mdb.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/sys.h"
#include "recorder/store/lock.h"

/* What LMDB makes its lock file for so many readers: two cache lines of its
 * own, then one for each. */
#define LOCK_BYTES	((PB_MDB_READERS_MAX + 2) * 64)
#define RESIZES_MAX	8	/* of the writer, within one begin */
#define IDLE_MAX	8	/* readers that are kept */
#define IDLE_WRITER	4	/* of them, made when a writer opens */

struct pb_mdb {
	/* Held for reading by each transaction, for writing while the
	 * environment is opened again or gets another map. */
	pthread_rwlock_t lock;
	MDB_env		*env;		/* NULL: could not be opened again */
	MDB_dbi		 table[PB_MDB_TABLES_MAX];
	const char	*const *names;
	size_t		 tables;
	/*
	 * Read transactions that rest, and keep their slots.  LMDB takes a
	 * lock that all processes share to give a slot, not to use it again:
	 * a reader stopped at the wrong moment must not stop the recorder.
	 */
	pthread_mutex_t	 idle_lock;
	MDB_txn		*idle[IDLE_MAX];
	size_t		 idle_count;
	uint64_t	 map_size;
	uint64_t	 reserved;	/* bytes of the file allocated, or 0 */
	bool		 write;
	bool		 lazy;		/* commits are not synced */
	bool		 unlocked;	/* read past lock.mdb: nobody writes */
	char		 path[512];
};

static int	fail(struct pb_mdb_txn *, int, const char *);
static int	enter(struct pb_mdb *, bool, MDB_txn **);
static int	begin(struct pb_mdb *, bool, MDB_txn **);
static int	begin_read(struct pb_mdb *, MDB_txn **);
static MDB_txn	*take_idle(struct pb_mdb *);
static void	rest(struct pb_mdb *, MDB_txn *);
static void	keep_idle(struct pb_mdb *, size_t);
static void	leave(struct pb_mdb_txn *);
static int	set_size(struct pb_mdb *, uint64_t);
static void	close_env(struct pb_mdb *);
static int	open_mdb(struct pb_mdb **, const struct pb_mdb *, const char *,
		    struct pb_err *);
static int	open_again(struct pb_mdb *, struct pb_err *);
static int	open_env(struct pb_mdb *, struct pb_err *);
static int	open_dir(struct pb_mdb *, unsigned, struct pb_err *);
static int	check_plain(int, const char *, struct pb_err *);
static int	look_at_lock(struct pb_mdb *, int, struct pb_err *);
static int	no_writer(struct pb_mdb *, struct pb_err *);
static int	drop_stump(const char *);
static bool	is_stump(const struct stat *);
static int	allocate_locks(const char *, struct pb_err *);
static int	open_tables(struct pb_mdb *, struct pb_err *);
static int	seek(struct pb_mdb_txn *, unsigned, MDB_val *, MDB_val *, bool);

/* The one mapper of LMDB's codes. */
static int
err_mdb(struct pb_err *err, int rc, const char *path, const char *what)
{
	int code = PB_ESYS;

	if (rc == MDB_MAP_FULL)
		return pb_err_set(err, PB_ENOSPC, "index %s: %s: the map is "
		    "full; Fix: raise [store] index_size, and send a running "
		    "pb-recorder SIGHUP", path, what);
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
	struct pb_mdb how = { .map_size = map_size, .names = tables,
	    .tables = count, .write = write };

	return open_mdb(out, &how, path, err);
}

int
pb_mdb_open_lazy(struct pb_mdb **out, const char *path, uint64_t map_size,
    const char *const *tables, size_t count, struct pb_err *err)
{
	struct pb_mdb how = { .map_size = map_size, .names = tables,
	    .tables = count, .write = true, .lazy = true };

	return open_mdb(out, &how, path, err);
}

static int
open_mdb(struct pb_mdb **out, const struct pb_mdb *how, const char *path,
    struct pb_err *err)
{
	struct pb_mdb *mdb;
	int rc;

	if (how->tables > PB_MDB_TABLES_MAX ||
	    strlen(path) >= sizeof(mdb->path))
		return pb_err_set(err, PB_ELIMIT, "index %s: name too long",
		    path);
	mdb = malloc(sizeof(*mdb));
	if (mdb == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	*mdb = *how;
	pthread_rwlock_init(&mdb->lock, NULL);
	pthread_mutex_init(&mdb->idle_lock, NULL);
	strcpy(mdb->path, path);
	rc = mdb->write ? pb_mkdirs(path, err) : 0;
	if (rc == 0)
		rc = open_env(mdb, err);
	if (rc == 0)
		rc = open_tables(mdb, err);
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
	close_env(mdb);
	pthread_rwlock_destroy(&mdb->lock);
	pthread_mutex_destroy(&mdb->idle_lock);
	free(mdb);
}

int
pb_mdb_sync(struct pb_mdb *mdb, struct pb_err *err)
{
	int rc;

	pthread_rwlock_rdlock(&mdb->lock);
	rc = mdb->env != NULL ? mdb_env_sync(mdb->env, 1) : MDB_PANIC;
	pthread_rwlock_unlock(&mdb->lock);
	return rc == 0 ? 0 : err_mdb(err, rc, mdb->path, "sync");
}

int
pb_mdb_resize(struct pb_mdb *mdb, uint64_t map_size, struct pb_err *err)
{
	int rc;

	pthread_rwlock_wrlock(&mdb->lock);
	mdb->map_size = map_size;
	rc = set_size(mdb, map_size);
	pthread_rwlock_unlock(&mdb->lock);
	return rc == 0 ? 0 : err_mdb(err, rc, mdb->path, "resize the map");
}

bool
pb_mdb_short(struct pb_mdb *mdb)
{
	MDB_envinfo info;
	MDB_stat stats;
	struct stat st;
	int fd;

	if (mdb_env_info(mdb->env, &info) != 0 ||
	    mdb_env_stat(mdb->env, &stats) != 0 ||
	    mdb_env_get_fd(mdb->env, &fd) != 0 || fstat(fd, &st) < 0)
		return true;
	return (uint64_t)st.st_size < ((uint64_t)info.me_last_pgno + 1) *
	    stats.ms_psize;
}

int
pb_mdb_read_all(struct pb_mdb_txn *txn)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int rc;

	/* 0 is the list of free pages, 1 that of the tables (mdb.c). */
	for (size_t i = 0; txn->rc == 0 && i < txn->mdb->tables + 2; i++) {
		rc = mdb_cursor_open(txn->txn, i < 2 ? (MDB_dbi)i :
		    txn->mdb->table[i - 2], &cursor);
		if (rc != 0)
			return fail(txn, rc, "open cursor");
		do
			rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		while (rc == 0);
		mdb_cursor_close(cursor);
		if (rc != MDB_NOTFOUND)
			return fail(txn, rc, "read");
	}
	return txn->rc;
}

int
pb_mdb_reserve(struct pb_mdb *mdb, uint64_t bytes, struct pb_err *err)
{
	uint64_t used = 0;
	MDB_envinfo info;
	MDB_stat stat;
	int fd, rc = 0;

	pthread_rwlock_rdlock(&mdb->lock);
	if (mdb->env != NULL && mdb_env_info(mdb->env, &info) == 0 &&
	    mdb_env_stat(mdb->env, &stat) == 0 &&
	    mdb_env_get_fd(mdb->env, &fd) == 0)
		used = (info.me_last_pgno + 1) * stat.ms_psize;
	if (used > 0 && mdb->reserved < used + bytes / 2) {
		/* The size stays: what lies behind it is nobody's yet. */
		if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)used,
		    (off_t)bytes) == 0 || errno == EOPNOTSUPP)
			mdb->reserved = used + bytes;
		else
			rc = pb_err_sys(err, "index %s: reserve room",
			    mdb->path);
	}
	pthread_rwlock_unlock(&mdb->lock);
	return rc;
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
	txn->rc = mdb->unlocked ? no_writer(mdb, err) : 0;
	if (txn->rc < 0)
		return txn->rc;
	rc = enter(mdb, write, &handle);
	if (rc == MDB_PANIC) {
		txn->rc = open_again(mdb, err);
		if (txn->rc < 0)
			return txn->rc;
		rc = enter(mdb, write, &handle);
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
		rest(txn->mdb, txn->txn);
	leave(txn);
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

/* Begin, with the lock held until leave(): 0 or LMDB's code. */
static int
enter(struct pb_mdb *mdb, bool write, MDB_txn **out)
{
	int rc = begin(mdb, write, out);

	/* The writer, another process, runs with a larger map now. */
	for (int i = 0; rc == MDB_MAP_RESIZED && i < RESIZES_MAX; i++) {
		pthread_rwlock_wrlock(&mdb->lock);
		rc = set_size(mdb, 0);
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
	MDB_txn *txn = take_idle(mdb);
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

static MDB_txn *
take_idle(struct pb_mdb *mdb)
{
	MDB_txn *txn = NULL;

	pthread_mutex_lock(&mdb->idle_lock);
	if (mdb->idle_count > 0)
		txn = mdb->idle[--mdb->idle_count];
	pthread_mutex_unlock(&mdb->idle_lock);
	return txn;
}

/* A read transaction has ended: it sees nothing and holds no page back. */
static void
rest(struct pb_mdb *mdb, MDB_txn *txn)
{
	mdb_txn_reset(txn);
	pthread_mutex_lock(&mdb->idle_lock);
	if (mdb->idle_count < IDLE_MAX) {
		mdb->idle[mdb->idle_count++] = txn;
		txn = NULL;
	}
	pthread_mutex_unlock(&mdb->idle_lock);
	if (txn != NULL)
		mdb_txn_abort(txn);
}

/* Slots for the first readers, before anybody else can be in the way. */
static void
keep_idle(struct pb_mdb *mdb, size_t count)
{
	MDB_txn *txn[IDLE_WRITER];
	size_t made = 0;

	while (made < count && made < IDLE_WRITER &&
	    mdb_txn_begin(mdb->env, NULL, MDB_RDONLY, &txn[made]) == 0)
		made++;
	while (made > 0)
		rest(mdb, txn[--made]);
}

static void
leave(struct pb_mdb_txn *txn)
{
	txn->txn = NULL;
	pthread_rwlock_unlock(&txn->mdb->lock);
}

/*
 * Give the map another size, 0: the writer's.  With the lock held for
 * writing: no transaction of this process may look at the map meanwhile.
 * Where it cannot be mapped again LMDB is left without one, so it goes; the
 * next begin opens it again.
 */
static int
set_size(struct pb_mdb *mdb, uint64_t map_size)
{
	int rc;

	if (mdb->env == NULL)
		return 0;
	rc = mdb_env_set_mapsize(mdb->env, map_size);
	if (rc != 0)
		close_env(mdb);
	return rc;
}

static void
close_env(struct pb_mdb *mdb)
{
	MDB_txn *txn;

	while ((txn = take_idle(mdb)) != NULL)
		mdb_txn_abort(txn);
	if (mdb->env != NULL)
		mdb_env_close(mdb->env);
	mdb->env = NULL;
}

static int
open_again(struct pb_mdb *mdb, struct pb_err *err)
{
	MDB_txn *probe = NULL;
	int rc = 0;

	pthread_rwlock_wrlock(&mdb->lock);
	/* Another thread may have been here first. */
	if (mdb->env != NULL &&
	    mdb_txn_begin(mdb->env, NULL, MDB_RDONLY, &probe) != MDB_PANIC) {
		if (probe != NULL)
			mdb_txn_abort(probe);
		goto out;
	}
	close_env(mdb);
	rc = open_env(mdb, err);
	if (rc == 0)
		rc = open_tables(mdb, err);
	if (rc < 0)
		close_env(mdb);
out:
	pthread_rwlock_unlock(&mdb->lock);
	return rc;
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
open_env(struct pb_mdb *mdb, struct pb_err *err)
{
	char file[600];
	struct stat st;
	int rc, dead;

	/* LMDB would make the files; a reader must not. */
	strcpy(file, mdb->path);
	strcat(file, "/data.mdb");
	if (!mdb->write && pb_below_stat(file, &st) < 0)
		return pb_err_sys(err, "open the index %s", mdb->path);
	if (!mdb->write && is_stump(&st))
		return pb_err_set(err, PB_ENOENT, "index %s: not ready",
		    mdb->path);
	if (mdb->write && drop_stump(file) < 0)
		return pb_err_sys(err, "remove %s", file);
	rc = mdb->write ? allocate_locks(mdb->path, err) : 0;
	if (rc < 0)
		return rc;
	rc = mdb_env_create(&mdb->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(mdb->env, PB_MDB_TABLES_MAX);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(mdb->env, PB_MDB_READERS_MAX);
	if (rc == 0 && mdb->map_size > 0)
		rc = mdb_env_set_mapsize(mdb->env, mdb->map_size);
	/* NOTLS: a read transaction belongs to its caller, not to a thread. */
	if (rc != 0)
		return err_mdb(err, rc, mdb->path, "open");
	rc = open_dir(mdb, MDB_NOTLS | (mdb->write ? 0 : MDB_RDONLY) |
	    (mdb->lazy ? MDB_NOSYNC : 0), err);
	if (rc == 0 && mdb->write && mdb_reader_check(mdb->env, &dead) != 0)
		rc = pb_err_set(err, PB_ESYS, "index %s: look for dead "
		    "readers", mdb->path);
	return rc;
}

/*
 * LMDB opens by name, and follows links.  The directory is the one that
 * stands below the store's, and what is in it is looked at before.
 */
static int
open_dir(struct pb_mdb *mdb, unsigned flags, struct pb_err *err)
{
	char name[PATH_MAX];
	int fd, rc;

	fd = pb_below_open(mdb->path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return pb_err_sys(err, "open the index %s", mdb->path);
	rc = check_plain(fd, "data.mdb", err);
	if (rc == 0)
		rc = check_plain(fd, "lock.mdb", err);
	if (rc == 0 && !mdb->write)
		rc = look_at_lock(mdb, fd, err);
	if (mdb->unlocked)
		flags |= MDB_NOLOCK;
	if (rc < 0) {
		pb_err_prefix(err, "index %s", mdb->path);
	} else {
		rc = mdb_env_open(mdb->env, pb_below_name(name, fd,
		    mdb->path), flags, 0640);
		if (rc != 0)
			rc = err_mdb(err, rc, mdb->path, "open");
	}
	close(fd);
	return rc;
}

/* A plain file, or none. */
static int
check_plain(int dir, const char *name, struct pb_err *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : pb_err_sys(err, "look at %s",
		    name);
	errno = PB_BELOW_NOT_PLAIN;
	return S_ISREG(st.st_mode) ? 0 : pb_err_sys(err, "%s", name);
}

/*
 * A reader has a slot in lock.mdb, which tells the writer what pages not to
 * use again, so it must be able to write there: the store's group can.  A
 * copy, or a read-only mount of one, nobody writes; there no slot is needed.
 */
static int
look_at_lock(struct pb_mdb *mdb, int dir, struct pb_err *err)
{
	if (faccessat(dir, "lock.mdb", R_OK | W_OK, AT_EACCESS) == 0 ||
	    (errno == ENOENT &&
	    faccessat(dir, ".", W_OK, AT_EACCESS) == 0))
		return 0;
	if (errno != EACCES && errno != EROFS && errno != ENOENT)
		return pb_err_sys(err, "look at lock.mdb");
	mdb->unlocked = true;
	return no_writer(mdb, err);
}

/* Somebody who begins to write in the middle of it is noticed at the next
 * page of rows: the map may show what comes of that. */
static int
no_writer(struct pb_mdb *mdb, struct pb_err *err)
{
	pid_t pid;

	if (!pb_lock_written(mdb->path, &pid))
		return 0;
	return pb_err_set(err, PB_EACCES, "index %s: process %ld writes in "
	    "it, and lock.mdb, in which readers are to say what they read, "
	    "cannot be written; Fix: read as the store's user or group, not "
	    "by a read-only mount", mdb->path, (long)pid);
}

/* A file shorter than LMDB's two first pages, which are written at once,
 * is one that could not be made: it holds nothing and stands in the way. */
static int
drop_stump(const char *file)
{
	struct stat st;

	if (pb_below_stat(file, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	return is_stump(&st) ? pb_below_unlink(file) : 0;
}

static bool
is_stump(const struct stat *st)
{
	return st->st_size < 2 * sysconf(_SC_PAGESIZE);
}

/*
 * LMDB writes its lock file through a map.  A page of it that has no block
 * on a full disk would end the process (SIGBUS), so all of them get theirs
 * here, before LMDB opens it.  In one that is there already the first page,
 * with 60 readers, has its block.
 */
static int
allocate_locks(const char *path, struct pb_err *err)
{
	char file[600];
	struct stat st = { .st_size = 0 };
	int fd, rc = 0;

	strcpy(file, path);
	strcat(file, "/lock.mdb");
	fd = pb_below_open(file, O_RDWR | O_CREAT, 0640);
	if (fd < 0)
		return pb_err_sys(err, "open %s", file);
	if (fallocate(fd, 0, 0, LOCK_BYTES) < 0 && errno != EOPNOTSUPP &&
	    (fstat(fd, &st) < 0 || st.st_size == 0))
		rc = pb_err_sys(err, "make %s", file);
	/* Readers write in it: those who may read, the group, are to be
	 * able to.  Another's file stays as it is. */
	if (rc == 0)
		(void)fchmod(fd, 0660);
	close(fd);
	return rc;
}

static int
open_tables(struct pb_mdb *mdb, struct pb_err *err)
{
	unsigned flags = mdb->write ? 0 : MDB_RDONLY;
	MDB_txn *txn;
	int rc;

	rc = mdb_txn_begin(mdb->env, NULL, flags, &txn);
	if (rc == MDB_MAP_RESIZED) {
		rc = mdb_env_set_mapsize(mdb->env, 0);
		if (rc == 0)
			rc = mdb_txn_begin(mdb->env, NULL, flags, &txn);
	}
	if (rc != 0)
		return err_mdb(err, rc, mdb->path, "begin");
	for (size_t i = 0; i < mdb->tables && rc == 0; i++)
		rc = mdb_dbi_open(txn, mdb->names[i],
		    mdb->write ? MDB_CREATE : 0, &mdb->table[i]);
	if (rc != 0) {
		mdb_txn_abort(txn);
		/* A writer that has only just made the files. */
		if (rc == MDB_NOTFOUND)
			return pb_err_set(err, PB_ENOENT, "index %s: not "
			    "ready", mdb->path);
		return err_mdb(err, rc, mdb->path, "open tables");
	}
	rc = mdb_txn_commit(txn);
	if (rc != 0)
		return err_mdb(err, rc, mdb->path, "commit");
	if (mdb->write)
		keep_idle(mdb, IDLE_WRITER);
	return 0;
}

static int
fail(struct pb_mdb_txn *txn, int rc, const char *what)
{
	if (txn->rc == 0)
		txn->rc = err_mdb(txn->err, rc, txn->mdb->path, what);
	return txn->rc;
}
