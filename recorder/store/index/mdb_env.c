/*
 * recorder/store/index/mdb_env.c - an environment of LMDB: opened, mapped,
 * opened again
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/rot.h"
#include "base/sys.h"
#include "recorder/store/index/mdb_files.h"
#include "recorder/store/index/mdb_impl.h"

#define IDLE_WRITER	4	/* read transactions made when a writer opens */

static void	keep_idle(struct pb_mdb *, size_t);
static bool	bytes_used(struct pb_mdb *, uint64_t *, int *);
static void	close_env(struct pb_mdb *);
static int	open_env(struct pb_mdb *, struct pb_err *);
static int	open_tables(struct pb_mdb *, struct pb_err *);
static void	on_assert(MDB_env *, const char *);

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
	return rc == 0 ? 0 : mdb_error(err, rc, mdb->path, "sync");
}

int
pb_mdb_resize(struct pb_mdb *mdb, uint64_t map_size, struct pb_err *err)
{
	int rc;

	pthread_rwlock_wrlock(&mdb->lock);
	mdb->map_size = map_size;
	rc = mdb_set_size(mdb, map_size);
	pthread_rwlock_unlock(&mdb->lock);
	return rc == 0 ? 0 : mdb_error(err, rc, mdb->path, "resize the map");
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

int
mdb_error(struct pb_err *err, int rc, const char *path, const char *what)
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

MDB_txn *
mdb_take_idle(struct pb_mdb *mdb)
{
	MDB_txn *txn = NULL;

	pthread_mutex_lock(&mdb->idle_lock);
	if (mdb->idle_count > 0)
		txn = mdb->idle[--mdb->idle_count];
	pthread_mutex_unlock(&mdb->idle_lock);
	return txn;
}

void
mdb_rest(struct pb_mdb *mdb, MDB_txn *txn)
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
		mdb_rest(mdb, txn[--made]);
}

int
mdb_set_size(struct pb_mdb *mdb, uint64_t map_size)
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
	while ((txn = mdb_take_idle(mdb)) != NULL)
		mdb_txn_abort(txn);
	if (mdb->env != NULL)
		mdb_env_close(mdb->env);
	pb_rot_reads(NULL);
	mdb->env = NULL;
}

int
mdb_open_again(struct pb_mdb *mdb, struct pb_err *err)
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
		return mdb_error(err, rc, mdb->path, "open");
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
		return mdb_error(err, rc, mdb->path, "begin");
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
		return mdb_error(err, rc, mdb->path, "open tables");
	}
	rc = mdb_txn_commit(txn);
	if (rc != 0)
		return mdb_error(err, rc, mdb->path, "commit");
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
