/*
 * base/below.c - what lies below a directory that others may write in
 *
 * The one primitive is to open a directory on the way, without links; all
 * else is the *at() call on the last name, which follows none.
 */
#include "base/below.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct held {
	char		 dir[PATH_MAX];	/* "": free */
	size_t		 len;
	unsigned	 count;
	int		 fd;
	struct pb_disk	*disk;		/* NULL: the system's */
};

/* Where a name is: in `dir`. */
struct place {
	const struct held *held;	/* NULL: below none */
	struct pb_disk	*disk;		/* `name` is the way on it; or NULL */
	int		 dir;
	const char	*name;
	bool		 own;		/* `dir` is to be closed */
};

static struct held	table[PB_BELOW_MAX];
/* The kernel, or who watches its calls, knows no openat2(2). */
static atomic_bool	no_openat2;

static struct held *free_place(const char *, struct pb_err *);
static struct held *find(const char *);
static struct held *above(const char *);
static const char *rest_of(const struct held *, const char *);
static int	enter(struct place *, const char *);
static int	enter_both(struct place [2], const char *, const char *);
static int	leave(const struct place *, int);
static int	open_way(int, const char *, int);
static int	walk(int, const char *, int);
static int	check_plain(int);

int
pb_below_hold(const char *dir, struct pb_err *err)
{
	struct held *held = find(dir);

	if (held != NULL) {
		held->count++;
		return 0;
	}
	held = free_place(dir, err);
	if (held == NULL)
		return PB_ELIMIT;
	held->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (held->fd < 0)
		return pb_err_sys(err, "open directory %s", dir);
	strcpy(held->dir, dir);
	held->len = strlen(dir);
	held->count = 1;
	return 0;
}

int
pb_below_mount(const char *dir, struct pb_disk *disk, struct pb_err *err)
{
	struct held *held = free_place(dir, err);

	if (held == NULL)
		return PB_ELIMIT;
	if (pb_disk_attach(disk) < 0)
		return pb_err_sys(err, "mount a disk at %s", dir);
	strcpy(held->dir, dir);
	held->len = strlen(dir);
	held->fd = -1;
	held->disk = disk;
	held->count = 1;
	return 0;
}

struct pb_clock *
pb_below_clock(const char *path)
{
	const struct held *held = above(path);

	return held != NULL && held->disk != NULL ? held->disk->clock : NULL;
}

uint64_t
pb_below_now_ns(const char *path)
{
	return pb_clock_real_ns_by(pb_below_clock(path));
}

void
pb_below_release(const char *dir)
{
	struct held *held = find(dir);

	if (held == NULL || --held->count > 0)
		return;
	if (held->disk != NULL)
		pb_disk_detach(held->disk);
	else
		close(held->fd);
	held->disk = NULL;
	held->dir[0] = '\0';
}

int
pb_below_renew(const char *dir, struct pb_err *err)
{
	struct held *held = find(dir);
	int fd, rc = 0;

	if (held == NULL)
		return pb_below_hold(dir, err);
	if (held->disk != NULL)
		return 0;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* In one step: who is on the way there has the one or the other. */
	if (fd < 0 || dup3(fd, held->fd, O_CLOEXEC) < 0)
		rc = pb_err_sys(err, "open directory %s", dir);
	if (fd >= 0)
		close(fd);
	return rc;
}

void
pb_below_park(const char *dir)
{
	struct held *held = find(dir);
	int fd = open("/dev/null", O_PATH | O_CLOEXEC);

	if (held != NULL && held->disk == NULL && fd >= 0)
		(void)dup3(fd, held->fd, O_CLOEXEC);
	if (fd >= 0)
		close(fd);
}

int
pb_below_fd(const char *dir)
{
	const struct held *held = find(dir);

	return held != NULL ? held->fd : -1;
}

size_t
pb_below_held(const char *path)
{
	const struct held *held = above(path);

	return held != NULL ? held->len : 0;
}

int
pb_below_open(const char *path, int flags, mode_t mode)
{
	const struct held *held = above(path);
	struct place place;
	int fd;

	if (held != NULL && held->disk != NULL) {
		fd = held->disk->open(held->disk, rest_of(held, path), flags);
		return fd < 0 ? -1 : held->disk->first_fd + fd;
	}
	flags |= O_CLOEXEC;
	if (held == NULL)
		return open(path, flags, mode);
	/* O_NONBLOCK means nothing to a plain file, and a FIFO or a device
	 * is looked at without waiting for it. */
	flags |= O_NOFOLLOW;
	if ((flags & O_PATH) == 0)
		flags |= O_NONBLOCK | O_NOCTTY;
	if ((flags & O_CREAT) == 0) {
		fd = open_way(held->fd, rest_of(held, path), flags);
	} else {
		if (enter(&place, path) < 0)
			return -1;
		fd = leave(&place, openat(place.dir, place.name, flags, mode));
	}
	return fd < 0 || (flags & (O_DIRECTORY | O_PATH)) != 0 ? fd :
	    check_plain(fd);
}

struct pb_dir *
pb_below_opendir(const char *path)
{
	return pb_dir_open(pb_below_open(path, O_RDONLY | O_DIRECTORY, 0));
}

int
pb_below_stat(const char *path, struct stat *st)
{
	struct place at;

	if (enter(&at, path) < 0)
		return -1;
	return leave(&at, at.disk != NULL ?
	    at.disk->stat(at.disk, at.name, st) :
	    fstatat(at.dir, at.name, st,
	    at.held != NULL ? AT_SYMLINK_NOFOLLOW : 0));
}

int
pb_below_access(const char *path, int mode)
{
	struct place at;
	struct stat st;

	if (enter(&at, path) < 0)
		return -1;
	/* All on a disk of one's own is ours. */
	return leave(&at, at.disk != NULL ?
	    at.disk->stat(at.disk, at.name, &st) :
	    faccessat(at.dir, at.name, mode, AT_EACCESS |
	    (at.held != NULL ? AT_SYMLINK_NOFOLLOW : 0)));
}

int
pb_below_look(const char *path)
{
	struct stat st;

	return pb_below_stat(path, &st);
}

int
pb_below_statvfs(const char *dir, struct statvfs *fs)
{
	const struct held *held = find(dir);

	if (held != NULL && held->disk != NULL)
		return held->disk->statvfs(held->disk, fs);
	return held != NULL ? fstatvfs(held->fd, fs) : statvfs(dir, fs);
}

int
pb_below_seen(const char *path, struct stat *st)
{
	const struct held *held = above(path);

	return held != NULL && held->disk != NULL ?
	    held->disk->stat(held->disk, rest_of(held, path), st) :
	    stat(path, st);
}

int
pb_below_mkdir(const char *path, mode_t mode)
{
	struct place at;

	if (enter(&at, path) < 0)
		return -1;
	return leave(&at, at.disk != NULL ?
	    at.disk->mkdir(at.disk, at.name) :
	    mkdirat(at.dir, at.name, mode));
}

int
pb_below_rename(const char *from, const char *to, unsigned flags)
{
	struct place at[2];

	if (enter_both(at, from, to) < 0)
		return -1;
	return leave(&at[0], leave(&at[1], at[0].disk != NULL ?
	    at[0].disk->rename(at[0].disk, at[0].name, at[1].name, flags) :
	    renameat2(at[0].dir, at[0].name, at[1].dir, at[1].name, flags)));
}

int
pb_below_link(const char *from, const char *to)
{
	struct place at[2];

	if (enter_both(at, from, to) < 0)
		return -1;
	return leave(&at[0], leave(&at[1], at[0].disk != NULL ?
	    at[0].disk->link(at[0].disk, at[0].name, at[1].name) :
	    linkat(at[0].dir, at[0].name, at[1].dir, at[1].name, 0)));
}

int
pb_below_unlink(const char *path)
{
	struct place at;

	if (enter(&at, path) < 0)
		return -1;
	return leave(&at, at.disk != NULL ?
	    at.disk->unlink(at.disk, at.name) :
	    unlinkat(at.dir, at.name, 0));
}

int
pb_below_rmdir(const char *path)
{
	struct place at;

	if (enter(&at, path) < 0)
		return -1;
	return leave(&at, at.disk != NULL ?
	    at.disk->rmdir(at.disk, at.name) :
	    unlinkat(at.dir, at.name, AT_REMOVEDIR));
}

const char *
pb_below_name(char out[static PATH_MAX], int fd, const char *path)
{
	struct stat st;

	snprintf(out, PATH_MAX, "/proc/self/fd/%d", fd);
	if (stat(out, &st) < 0)
		snprintf(out, PATH_MAX, "%s", path);
	return out;
}

static struct held *
free_place(const char *dir, struct pb_err *err)
{
	struct held *held = table;

	while (held < table + PB_BELOW_MAX && held->count > 0)
		held++;
	if (held < table + PB_BELOW_MAX && dir[0] != '\0' &&
	    strlen(dir) < sizeof(held->dir))
		return held;
	pb_err_set(err, PB_ELIMIT, "%.64s: too long, or more than %d "
	    "directories at once", dir, PB_BELOW_MAX);
	return NULL;
}

static struct held *
find(const char *dir)
{
	for (struct held *h = table; h < table + PB_BELOW_MAX; h++)
		if (h->count > 0 && strcmp(h->dir, dir) == 0)
			return h;
	return NULL;
}

/* The held directory that `path` is below, or is. */
static struct held *
above(const char *path)
{
	for (struct held *h = table; h < table + PB_BELOW_MAX; h++)
		if (h->count > 0 && strncmp(path, h->dir, h->len) == 0 &&
		    (path[h->len] == '/' || path[h->len] == '\0'))
			return h;
	return NULL;
}

static const char *
rest_of(const struct held *held, const char *path)
{
	path += held->len;
	path += strspn(path, "/");
	return *path == '\0' ? "." : path;
}

/* The directory that `path` is in, and its name there: 0, or -1. */
static int
enter(struct place *place, const char *path)
{
	const struct held *held = above(path);
	const char *slash;
	char way[PATH_MAX];

	*place = (struct place){ .held = held, .dir = AT_FDCWD,
	    .name = path };
	if (held == NULL)
		return 0;
	place->dir = held->fd;
	place->name = rest_of(held, path);
	place->disk = held->disk;
	if (place->disk != NULL)
		return 0;
	slash = strrchr(place->name, '/');
	if (slash != NULL) {
		snprintf(way, sizeof(way), "%.*s",
		    (int)(slash - place->name), place->name);
		place->dir = open_way(held->fd, way, O_PATH | O_DIRECTORY |
		    O_NOFOLLOW | O_CLOEXEC);
		place->own = place->dir >= 0;
		place->name = slash + 1;
	}
	if (place->dir >= 0 && strcmp(place->name, "..") == 0) {
		errno = EXDEV;
		return leave(place, -1);
	}
	return place->dir >= 0 ? 0 : -1;
}

/* Within one directory its descriptor serves both: they may be few. */
static int
enter_both(struct place at[2], const char *from, const char *to)
{
	const char *a = strrchr(from, '/'), *b = strrchr(to, '/');

	if (enter(&at[0], from) < 0)
		return -1;
	if (at[0].own && b != NULL && a - from == b - to &&
	    strncmp(from, to, (size_t)(a - from)) == 0 &&
	    strcmp(b, "/..") != 0) {
		at[1] = at[0];
		at[1].own = false;
		at[1].name = b + 1;
		return 0;
	}
	if (enter(&at[1], to) < 0)
		return leave(&at[0], -1);
	if (at[0].disk == at[1].disk)
		return 0;
	errno = EXDEV;
	return leave(&at[0], leave(&at[1], -1));
}

/* `rc`, and the errno that came with it. */
static int
leave(const struct place *place, int rc)
{
	int saved = errno;

	if (place->own)
		close(place->dir);
	errno = saved;
	return rc;
}

/* A directory of a store may be another mount: RESOLVE_NO_XDEV is not set. */
static int
open_way(int dir, const char *way, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd;

	if (atomic_load(&no_openat2))
		return walk(dir, way, flags);
	fd = syscall(SYS_openat2, dir, way, &how, sizeof(how));
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return (int)fd;
	/* EPERM: an old container's filter says that of what it does not
	 * know.  Where it was meant the walk hears it, too. */
	atomic_store(&no_openat2, errno == ENOSYS);
	return walk(dir, way, flags);
}

/* The same, a component at a time. */
static int
walk(int dir, const char *way, int flags)
{
	char name[NAME_MAX + 1];
	int at = dir, next, saved;
	size_t len;

	for (;; at = next) {
		way += strspn(way, "/");
		len = strcspn(way, "/");
		errno = ENAMETOOLONG;
		next = -1;
		if (len < sizeof(name)) {
			memcpy(name, way, len);
			name[len] = '\0';
			errno = EXDEV;
			if (strcmp(name, "..") != 0)
				next = openat(at, name, way[len] == '\0' ?
				    flags | O_NOFOLLOW : O_PATH | O_DIRECTORY |
				    O_NOFOLLOW | O_CLOEXEC);
		}
		saved = errno;
		if (at != dir)
			close(at);
		errno = saved;
		way += len;
		if (next < 0 || *way == '\0')
			return next;
	}
}

static int
check_plain(int fd)
{
	struct stat st;
	int why = 0;

	if (fstat(fd, &st) < 0)
		why = errno;
	else if (!S_ISREG(st.st_mode))
		why = S_ISDIR(st.st_mode) ? EISDIR : PB_BELOW_NOT_PLAIN;
	if (why == 0)
		return fd;
	close(fd);
	errno = why;
	return -1;
}
