/*
 * recorder/store/index/mdb_files.c - the files below LMDB
 */
#include "recorder/store/index/mdb_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "recorder/store/index/mdb.h"
#include "recorder/store/lock.h"

#define FILE_MAX	(PB_MDB_PATH_MAX + 16)	/* and a file's name */
/* What LMDB makes its lock file for so many readers: two cache lines of its
 * own, then one for each. */
#define LOCK_BYTES	((PB_MDB_READERS_MAX + 2) * 64)

static int	check_data(const char *, struct pb_err *);
static int	drop_stump(const char *, struct pb_err *);
static bool	is_stump(const struct stat *);
static int	allocate_locks(const char *, struct pb_err *);
static int	check_plain(int, const char *, const char *, struct pb_err *);
static int	look_at_lock(int, const char *, bool *, struct pb_err *);
static const char *file_of(char [static FILE_MAX], const char *,
		    const char *);

int
pb_mdb_files_open(const char *path, bool write, bool *unlocked,
    struct pb_err *err)
{
	int rc = write ? drop_stump(path, err) : check_data(path, err), dir;

	if (rc == 0 && write)
		rc = allocate_locks(path, err);
	if (rc < 0)
		return rc;
	dir = pb_below_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return pb_err_sys(err, "open the index %s", path);
	rc = check_plain(dir, path, "data.mdb", err);
	if (rc == 0)
		rc = check_plain(dir, path, "lock.mdb", err);
	if (rc == 0 && !write)
		rc = look_at_lock(dir, path, unlocked, err);
	if (rc == 0)
		return dir;
	close(dir);
	return rc;
}

/* Somebody who begins to write in the middle of it is noticed at the next
 * page of rows: the map may show what comes of that. */
int
pb_mdb_files_unwritten(const char *path, struct pb_err *err)
{
	pid_t pid;

	if (!pb_lock_written(path, &pid))
		return 0;
	return pb_err_set(err, PB_EACCES, "index %s: process %ld writes in "
	    "it, and lock.mdb, in which readers are to say what they read, "
	    "cannot be written; Fix: read as the store's user or group, not "
	    "by a read-only mount", path, (long)pid);
}

/* LMDB would make the files; a reader must not. */
static int
check_data(const char *path, struct pb_err *err)
{
	char file[FILE_MAX];
	struct stat st;

	if (pb_below_stat(file_of(file, path, "data.mdb"), &st) < 0)
		return pb_err_sys(err, "open the index %s", path);
	return is_stump(&st) ? pb_err_set(err, PB_ENOENT, "index %s: not "
	    "ready", path) : 0;
}

/* One that could not be made holds nothing, and stands in the way. */
static int
drop_stump(const char *path, struct pb_err *err)
{
	char file[FILE_MAX];
	struct stat st;

	if (pb_below_stat(file_of(file, path, "data.mdb"), &st) < 0) {
		if (errno == ENOENT)
			return 0;
	} else if (!is_stump(&st) || pb_below_unlink(file) == 0) {
		return 0;
	}
	return pb_err_sys(err, "remove %s", file);
}

/* Shorter than LMDB's two first pages, which are written at once. */
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
	char file[FILE_MAX];
	struct stat st = { .st_size = 0 };
	int fd, rc = 0;

	fd = pb_below_open(file_of(file, path, "lock.mdb"), O_RDWR | O_CREAT,
	    0640);
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

/* A plain file, or none. */
static int
check_plain(int dir, const char *path, const char *name, struct pb_err *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : pb_err_sys(err, "index %s: look "
		    "at %s", path, name);
	errno = PB_BELOW_NOT_PLAIN;
	return S_ISREG(st.st_mode) ? 0 : pb_err_sys(err, "index %s: %s", path,
	    name);
}

/*
 * A reader has a slot in lock.mdb, which tells the writer what pages not to
 * use again, so it must be able to write there: the store's group can.  A
 * copy, or a read-only mount of one, nobody writes; there no slot is needed.
 */
static int
look_at_lock(int dir, const char *path, bool *unlocked, struct pb_err *err)
{
	if (faccessat(dir, "lock.mdb", R_OK | W_OK, AT_EACCESS) == 0 ||
	    (errno == ENOENT &&
	    faccessat(dir, ".", W_OK, AT_EACCESS) == 0))
		return 0;
	if (errno != EACCES && errno != EROFS && errno != ENOENT)
		return pb_err_sys(err, "index %s: look at lock.mdb", path);
	*unlocked = true;
	return pb_mdb_files_unwritten(path, err);
}

static const char *
file_of(char out[static FILE_MAX], const char *path, const char *name)
{
	strcpy(out, path);
	strcat(out, "/");
	return strcat(out, name);
}
