/*
 * base/disk.c - the disk that files lie on
 *
 * The system's descriptors are small: they are dealt with by one comparison.
 */
#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Above any number that a kernel gives: nr_open is 2^20, and each costs
 * memory of it. */
#define FIRST_FD	0x40000000
/* RWF_DONTCACHE of preadv2(2); this C library does not know it. */
#define DONTCACHE	0x80

struct pb_dir {
	DIR		*dir;		/* the system's, or NULL */
	struct pb_disk	*disk;
	int		 fd;		/* of `disk` */
	size_t		 at;
};

static struct pb_disk	*attached[PB_DISKS_MAX];

static struct pb_disk *disk_of(int *);
static ssize_t	write_parts(struct pb_disk *, int, const struct iovec *, int,
		    uint64_t);

int
pb_disk_attach(struct pb_disk *disk)
{
	for (int i = 0; i < PB_DISKS_MAX; i++)
		if (attached[i] == NULL) {
			attached[i] = disk;
			disk->first_fd = FIRST_FD + i * PB_DISK_FILES_MAX;
			return 0;
		}
	errno = EMFILE;
	return -1;
}

void
pb_disk_detach(struct pb_disk *disk)
{
	for (int i = 0; i < PB_DISKS_MAX; i++)
		if (attached[i] == disk)
			attached[i] = NULL;
}

int
pb_file_close(int fd)
{
	struct pb_disk *disk = disk_of(&fd);

	return disk != NULL ? disk->close(disk, fd) : close(fd);
}

int
pb_file_stat(int fd, struct stat *st)
{
	struct pb_disk *disk = disk_of(&fd);

	return disk != NULL ? disk->fstat(disk, fd, st) : fstat(fd, st);
}

ssize_t
pb_file_pread(int fd, void *data, size_t len, uint64_t offset)
{
	struct pb_disk *disk = disk_of(&fd);

	return disk != NULL ? disk->pread(disk, fd, data, len, offset) :
	    pread(fd, data, len, (off_t)offset);
}

ssize_t
pb_file_pread_once(int fd, void *data, size_t len, uint64_t offset)
{
	struct iovec part = { data, len };
	int own = fd;
	ssize_t got;

	if (disk_of(&own) == NULL) {
		got = preadv2(fd, &part, 1, (off_t)offset, DONTCACHE);
		if (got >= 0 || errno != EOPNOTSUPP)
			return got;
	}
	return pb_file_pread(fd, data, len, offset);
}

ssize_t
pb_file_pwrite(int fd, const void *data, size_t len, uint64_t offset)
{
	struct pb_disk *disk = disk_of(&fd);

	return disk != NULL ? disk->pwrite(disk, fd, data, len, offset) :
	    pwrite(fd, data, len, (off_t)offset);
}

ssize_t
pb_file_pwritev(int fd, const struct iovec *part, int count, uint64_t offset)
{
	struct pb_disk *disk = disk_of(&fd);

	return disk != NULL ? write_parts(disk, fd, part, count, offset) :
	    pwritev(fd, part, count, (off_t)offset);
}

int
pb_file_truncate(int fd, uint64_t len)
{
	struct pb_disk *disk = disk_of(&fd);

	return disk != NULL ? disk->truncate(disk, fd, len) :
	    ftruncate(fd, (off_t)len);
}

int
pb_file_sync(int fd)
{
	struct pb_disk *disk = disk_of(&fd);

	return disk != NULL ? disk->sync(disk, fd, 0) : fsync(fd);
}

int
pb_file_datasync(int fd)
{
	struct pb_disk *disk = disk_of(&fd);

	return disk != NULL ? disk->sync(disk, fd, 1) : fdatasync(fd);
}

void
pb_file_sync_soon(int fd)
{
	if (disk_of(&fd) == NULL)
		(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void
pb_file_advise(int fd, int advice)
{
	if (disk_of(&fd) == NULL)
		(void)posix_fadvise(fd, 0, 0, advice);
}

void
pb_file_no_atime(int fd)
{
	if (disk_of(&fd) == NULL)
		(void)fcntl(fd, F_SETFL, O_NOATIME);
}

int
pb_file_lock(int fd, int command, struct flock *lock)
{
	struct pb_disk *disk = disk_of(&fd);

	return disk != NULL ? disk->lock(disk, fd, command, lock) :
	    fcntl(fd, command, lock);
}

struct pb_dir *
pb_dir_open(int fd)
{
	struct pb_dir *dir = fd >= 0 ? calloc(1, sizeof(*dir)) : NULL;
	int whole = fd, saved;

	if (dir != NULL) {
		dir->disk = disk_of(&fd);
		dir->fd = fd;
		if (dir->disk == NULL)
			dir->dir = fdopendir(fd);
		if (dir->disk != NULL || dir->dir != NULL)
			return dir;
	}
	saved = errno;
	if (whole >= 0)
		pb_file_close(whole);
	free(dir);
	errno = saved;
	return NULL;
}

const char *
pb_dir_next(struct pb_dir *dir)
{
	const struct dirent *entry;

	errno = 0;
	if (dir->disk != NULL)
		return dir->disk->list(dir->disk, dir->fd, &dir->at);
	entry = readdir(dir->dir);
	return entry != NULL ? entry->d_name : NULL;
}

void
pb_dir_close(struct pb_dir *dir)
{
	if (dir == NULL)
		return;
	if (dir->disk != NULL)
		dir->disk->close(dir->disk, dir->fd);
	else
		closedir(dir->dir);
	free(dir);
}

/* Whose descriptor it is, and `*fd` as that disk counts; NULL: the system. */
static struct pb_disk *
disk_of(int *fd)
{
	int at = *fd - FIRST_FD;

	if (*fd < FIRST_FD || at >= PB_DISKS_MAX * PB_DISK_FILES_MAX)
		return NULL;
	*fd = at % PB_DISK_FILES_MAX;
	return attached[at / PB_DISK_FILES_MAX];
}

/* One call of the system, and one that may be cut short: between two parts
 * as well. */
static ssize_t
write_parts(struct pb_disk *disk, int fd, const struct iovec *part, int count,
    uint64_t offset)
{
	ssize_t n, sum = 0;

	for (int i = 0; i < count; i++) {
		n = disk->pwrite(disk, fd, part[i].iov_base, part[i].iov_len,
		    offset + (uint64_t)sum);
		if (n < 0)
			return sum > 0 ? sum : -1;
		sum += n;
		if ((size_t)n < part[i].iov_len)
			break;
	}
	return sum;
}
