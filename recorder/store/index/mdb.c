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
#include "base/rot.h"
#include "base/sys.h"
#include "recorder/store/index/mdb_files.h"

#define RESIZES_MAX	8	/* of the writer, within one begin */
#define NO_TABLE	UINT32_MAX	/* of LMDB's numbers */
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
	enum pb_mdb_how	 how;
	bool		 unlocked;	/* read past lock.mdb: nobody writes */
	char		 path[PB_MDB_PATH_MAX];
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
static bool	bytes_used(struct pb_mdb *, uint64_t *, int *);
static void	close_env(struct pb_mdb *);
static int	open_again(struct pb_mdb *, struct pb_err *);
static int	open_env(struct pb_mdb *, struct pb_err *);
static int	open_tables(struct pb_mdb *, struct pb_err *);
static void	on_assert(MDB_env *, const char *);
static int	seek(struct pb_mdb_txn *, unsigned, MDB_val, bool,
		    struct pb_mdb_value *, struct pb_mdb_value *);
static int	check_free(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static int	walk(struct pb_mdb_txn *, MDB_dbi, MDB_val, int (*)(void *,
		    const struct pb_mdb_value *, const struct pb_mdb_value *),
		    void *);

/* The one mapper of LMDB's codes. */
static int
err_mdb(struct pb_err *err, int rc, const char *path, const char *what)
{
	int code = PB_ESYS;

	if (rc == MDB_MAP_FULL)
		return pb_err_set(err, PB_ENOSPC, "index %s: %s: the map is "
		    "full; Fix: raise [store] index_size, and send a running "
		    "pb-recorder SIGHUP", path, what);
	if (rc == MDB_READERS_FULL)
		return pb_err_set(err, PB_ESYS, "index %s: %s: too many read "
		    "it, or its lock.mdb is damaged; Fix: end some, or all and "
		    "pb-recorder, and delete lock.mdb", path, what);
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
    const char *const *tables, size_t count, enum pb_mdb_how how,
    struct pb_err *err)
{
	struct pb_mdb *mdb;
	int rc;

	if (count > PB_MDB_TABLES_MAX || strlen(path) >= sizeof(mdb->path))
		return pb_err_set(err, PB_ELIMIT, "index %s: name too long",
		    path);
	mdb = calloc(1, sizeof(*mdb));
	if (mdb == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	mdb->names = tables;
	mdb->tables = count;
	mdb->map_size = map_size;
	mdb->how = how;
	pthread_rwlock_init(&mdb->lock, NULL);
	pthread_mutex_init(&mdb->idle_lock, NULL);
	strcpy(mdb->path, path);
	rc = how != PB_MDB_READ ? pb_mkdirs_sync(path, err) : 0;
	if (rc == 0)
		rc = open_env(mdb, err);
	pb_rot_reads(NULL);
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
	uint64_t used;
	struct stat st;
	int fd;

	return !bytes_used(mdb, &used, &fd) || fstat(fd, &st) < 0 ||
	    (uint64_t)st.st_size < used;
}

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

int
pb_mdb_reserve(struct pb_mdb *mdb, uint64_t bytes, struct pb_err *err)
{
	uint64_t used;
	int fd, rc = 0;

	pthread_rwlock_rdlock(&mdb->lock);
	if (mdb->env != NULL && bytes_used(mdb, &used, &fd) &&
	    mdb->reserved < used + bytes / 2) {
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
	txn->rc = mdb->unlocked ? pb_mdb_files_unwritten(mdb->path, err) : 0;
	if (txn->rc < 0)
		return txn->rc;
	pb_rot_reads(mdb->path);
	rc = enter(mdb, write, &handle);
	if (rc == MDB_PANIC) {
		txn->rc = open_again(mdb, err);
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
		rest(txn->mdb, txn->txn);
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
	pb_rot_reads(NULL);
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

/* Bytes up to the end of the last page in use, and the file. */
static bool
bytes_used(struct pb_mdb *mdb, uint64_t *used, int *fd)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(mdb->env, &info) != 0 ||
	    mdb_env_stat(mdb->env, &stat) != 0 ||
	    mdb_env_get_fd(mdb->env, fd) != 0)
		return false;
	*used = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
	return true;
}

static void
close_env(struct pb_mdb *mdb)
{
	MDB_txn *txn;

	/* lock.mdb is read, and may lie as well. */
	pb_rot_reads(mdb->path);
	while ((txn = take_idle(mdb)) != NULL)
		mdb_txn_abort(txn);
	if (mdb->env != NULL)
		mdb_env_close(mdb->env);
	pb_rot_reads(NULL);
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
	if (rc < 0)
		close_env(mdb);
out:
	pthread_rwlock_unlock(&mdb->lock);
	return rc;
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
open_env(struct pb_mdb *mdb, struct pb_err *err)
{
	bool write = mdb->how != PB_MDB_READ;
	/* NOTLS: a read transaction belongs to its caller, not to a thread. */
	unsigned flags = MDB_NOTLS | (write ? 0 : MDB_RDONLY) |
	    (mdb->how == PB_MDB_BUILD ? MDB_NOSYNC : 0);
	char name[PATH_MAX];
	int rc, dead, dir;

	pb_rot_reads(mdb->path);
	dir = pb_mdb_files_open(mdb->path, write, &mdb->unlocked, err);
	if (dir < 0)
		return dir;
	if (mdb->unlocked)
		flags |= MDB_NOLOCK;
	rc = mdb_env_create(&mdb->env);
	if (rc == 0)
		rc = mdb_env_set_assert(mdb->env, on_assert);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(mdb->env, PB_MDB_TABLES_MAX);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(mdb->env, PB_MDB_READERS_MAX);
	if (rc == 0 && mdb->map_size > 0)
		rc = mdb_env_set_mapsize(mdb->env, mdb->map_size);
	if (rc == 0)
		rc = mdb_env_open(mdb->env, pb_below_name(name, dir,
		    mdb->path), flags, 0640);
	close(dir);
	if (rc != 0)
		return err_mdb(err, rc, mdb->path, "open");
	if (write && mdb_reader_check(mdb->env, &dead) != 0)
		return pb_err_set(err, PB_ESYS, "index %s: look for dead "
		    "readers", mdb->path);
	return open_tables(mdb, err);
}

static int
open_tables(struct pb_mdb *mdb, struct pb_err *err)
{
	bool write = mdb->how != PB_MDB_READ;
	unsigned flags = write ? 0 : MDB_RDONLY;
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
	for (size_t i = 0; i < mdb->tables && rc == 0; i++) {
		rc = mdb_dbi_open(txn, mdb->names[i],
		    write ? MDB_CREATE : 0, &mdb->table[i]);
		/* The first one is there: an older version made the others. */
		if (rc == MDB_NOTFOUND && i > 0) {
			mdb->table[i] = NO_TABLE;
			rc = 0;
		}
	}
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
	if (write)
		keep_idle(mdb, IDLE_WRITER);
	return 0;
}

/* LMDB goes on with its own words, and abort(3). */
static void
on_assert(MDB_env *env, const char *text)
{
	(void)env;
	(void)text;
	pb_rot_found();
}

static int
fail(struct pb_mdb_txn *txn, int rc, const char *what)
{
	if (txn->rc == 0)
		txn->rc = err_mdb(txn->err, rc, txn->mdb->path, what);
	return txn->rc;
}
