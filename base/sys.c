/*
 * base/sys.c - small dealings with the system
 */
#include "base/sys.h"
#include "base/below.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int	make_dirs(const char *, bool, struct pb_err *);
static int	make_dir(const char *, const char *, bool, struct pb_err *);
static ssize_t	read_all(int, void *, size_t, uint64_t,
		    ssize_t (*)(int, void *, size_t, uint64_t),
		    struct pb_err *);

int
pb_mkdirs(const char *path, struct pb_err *err)
{
	return make_dirs(path, false, err);
}

int
pb_mkdirs_sync(const char *path, struct pb_err *err)
{
	return make_dirs(path, pb_below_held(path) > 0, err);
}

static int
make_dirs(const char *path, bool sync, struct pb_err *err)
{
	char part[PATH_MAX], parent[PATH_MAX];
	size_t len = strlen(path);
	int rc;

	if (len == 0 || len >= sizeof(part))
		return pb_err_set(err, PB_EINVAL, "path '%.64s': empty or "
		    "longer than %d bytes", path, PATH_MAX - 1);
	strcpy(parent, path[0] == '/' ? "/" : ".");
	if (pb_below_held(path) > 0)
		snprintf(parent, sizeof(parent), "%.*s",
		    (int)pb_below_held(path), path);
	/* What leads to a held directory is not ours to make again. */
	for (size_t i = pb_below_held(path) + 1; i <= len; i++) {
		if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		rc = make_dir(part, parent, sync, err);
		if (rc < 0)
			return rc;
		memcpy(parent, part, i + 1);
	}
	return 0;
}

int
pb_sync_dir(const char *path, struct pb_err *err)
{
	int fd = pb_below_open(path, O_RDONLY | O_DIRECTORY, 0), rc = 0;

	if (fd < 0)
		return pb_err_sys(err, "open directory %s", path);
	if (pb_file_sync(fd) < 0)
		rc = pb_err_sys(err, "sync directory %s", path);
	pb_file_close(fd);
	return rc;
}

int
pb_pwrite_all(int fd, const void *data, size_t len, uint64_t offset,
    struct pb_err *err)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = pb_file_pwrite(fd, p, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return pb_err_sys(err, "write %zu bytes at %llu", len,
			    (unsigned long long)offset);
		}
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int
pb_pwritev_all(int fd, struct iovec *part, int count, uint64_t offset,
    struct pb_err *err)
{
	while (count > 0) {
		ssize_t n = pb_file_pwritev(fd, part, count, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return pb_err_sys(err, "write at %llu",
			    (unsigned long long)offset);
		}
		offset += (uint64_t)n;
		for (; count > 0 && (size_t)n >= part->iov_len; count--)
			n -= (ssize_t)part++->iov_len;
		if (count > 0) {
			part->iov_base = (uint8_t *)part->iov_base + n;
			part->iov_len -= (size_t)n;
		}
	}
	return 0;
}

ssize_t
pb_pread_all(int fd, void *data, size_t len, uint64_t offset,
    struct pb_err *err)
{
	return read_all(fd, data, len, offset, pb_file_pread, err);
}

ssize_t
pb_pread_once(int fd, void *data, size_t len, uint64_t offset,
    struct pb_err *err)
{
	return read_all(fd, data, len, offset, pb_file_pread_once, err);
}

static ssize_t
read_all(int fd, void *data, size_t len, uint64_t offset,
    ssize_t (*read_some)(int, void *, size_t, uint64_t), struct pb_err *err)
{
	uint8_t *p = data;
	size_t got = 0;

	while (got < len) {
		ssize_t n = read_some(fd, p + got, len - got, offset + got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pb_err_sys(err, "read %zu bytes at %llu", len,
			    (unsigned long long)offset);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

void
pb_files_standard(void)
{
	int fd;

	/* The lowest number that is free is given out; writing to it fails, as
	 * to a closed one. */
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

void
pb_memory_keep(void)
{
	(void)mallopt(M_TRIM_THRESHOLD, PB_KEPT_BYTES);
	(void)mallopt(M_MMAP_THRESHOLD, PB_HEAP_PIECE_BYTES);
}

int
pb_files_raise(struct pb_err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return pb_err_sys(err, "ask for the limit of open files");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return pb_err_sys(err, "raise the limit of open files");
	return 0;
}

/* More is asked for, and what lies around the aligned piece given back. */
uint8_t *
pb_pages_map(size_t bytes, int protection, int more)
{
	size_t spare = bytes >= PB_HUGE_BYTES ? PB_HUGE_BYTES : 0, before = 0;
	uint8_t *all = mmap(NULL, bytes + spare, protection,
	    MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);

	if (all == MAP_FAILED)
		return NULL;
	if (spare > 0)
		before = -(uintptr_t)all % PB_HUGE_BYTES;
	if (before > 0)
		munmap(all, before);
	if (spare > before)
		munmap(all + before + bytes, spare - before);
	return all + before;
}

uint64_t
pb_mtime_ns(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * PB_NS_PER_S +
	    (uint64_t)st->st_mtim.tv_nsec;
}

uint64_t
pb_random64(void)
{
	uint64_t value = 0;

	/* Short reads cannot happen below 256 bytes: getrandom(2). */
	while (value == 0)
		if (getrandom(&value, sizeof(value), 0) < 0 && errno != EINTR)
			abort();
	return value;
}

void
pb_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Nobody listening is systemd's business, not ours. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (const struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

static int
make_dir(const char *path, const char *parent, bool sync, struct pb_err *err)
{
	struct stat st;
	int rc;

	if (pb_below_mkdir(path, 0750) == 0) {
		rc = pb_sync_dir(parent, err);
		/* Found there, it would be taken for one that stays. */
		if (rc < 0)
			(void)pb_below_rmdir(path);
		return rc;
	}
	if (errno != EEXIST)
		return pb_err_sys(err, "make directory %s", path);
	if (pb_below_stat(path, &st) < 0)
		return pb_err_sys(err, "look at %s", path);
	if (!S_ISDIR(st.st_mode))
		return pb_err_set(err, PB_ESYS, "%s is no directory", path);
	return sync ? pb_sync_dir(parent, err) : 0;
}
