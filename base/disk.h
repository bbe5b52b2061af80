/*
 * base/disk.h - the disk that files lie on: the system's, or one that is
 * modelled
 *
 * Whoever holds a directory (base/below.h) may say that it is the root of a
 * *disk* of its own: pb_below_mount().  Then the calls of base/below.h for
 * paths below it, and those here for descriptors that they gave, are this
 * disk's, and so is the clock (base/clock.h) of who works there.  All else is
 * the system's.  A store is thereby run on a disk that loses what was not
 * synced, without knowing of it, and so are two, each on a disk of its own.
 *
 * A disk's descriptors are numbers that no process has of the system:
 * pb_disk_attach() gives the disk its range of them.
 *
 * Functions answer as the system call of that name: -1 and errno.
 */
#ifndef PB_BASE_DISK_H
#define PB_BASE_DISK_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

struct pb_clock;

#define PB_DISKS_MAX	8
#define PB_DISK_FILES_MAX	(1 << 20)	/* descriptors of a disk */

/*
 * What a disk does.  Paths are relative to its root, which is ".", and have
 * no component "..", "." or "" otherwise; descriptors count from 0.
 */
struct pb_disk {
	int	(*open)(struct pb_disk *, const char *path, int flags);
	int	(*stat)(struct pb_disk *, const char *path, struct stat *);
	int	(*mkdir)(struct pb_disk *, const char *path);
	int	(*rename)(struct pb_disk *, const char *from, const char *to,
		    unsigned flags);	/* RENAME_EXCHANGE, _NOREPLACE */
	int	(*link)(struct pb_disk *, const char *from, const char *to);
	int	(*unlink)(struct pb_disk *, const char *path);
	int	(*rmdir)(struct pb_disk *, const char *path);
	int	(*statvfs)(struct pb_disk *, struct statvfs *);
	/* The name at `*at` in the directory, and `*at` moved on; NULL at the
	 * end.  It lasts until the next call. */
	const char *(*list)(struct pb_disk *, int fd, size_t *at);
	int	(*close)(struct pb_disk *, int fd);
	int	(*fstat)(struct pb_disk *, int fd, struct stat *);
	ssize_t	(*pread)(struct pb_disk *, int fd, void *, size_t, uint64_t);
	ssize_t	(*pwrite)(struct pb_disk *, int fd, const void *, size_t,
		    uint64_t);
	int	(*truncate)(struct pb_disk *, int fd, uint64_t);
	/* With `data`, fdatasync(2). */
	int	(*sync)(struct pb_disk *, int fd, int data);
	int	(*lock)(struct pb_disk *, int fd, int command,
		    struct flock *);
	struct pb_clock	*clock;		/* NULL: the system's */
	int		 first_fd;	/* pb_disk_attach()'s */
};

/* Its descriptors are known from now on: 0, or -1 where there are
 * PB_DISKS_MAX.  Not while other threads have files of a disk open. */
int	pb_disk_attach(struct pb_disk *disk);
void	pb_disk_detach(struct pb_disk *disk);

/* As the system calls, for a descriptor of whatever disk. */
int	pb_file_close(int fd);
int	pb_file_stat(int fd, struct stat *st);
ssize_t	pb_file_pread(int fd, void *data, size_t len, uint64_t offset);
/* The same, for who reads it once: what the page cache did not have it does
 * not keep (RWF_DONTCACHE, since Linux 6.14).  Where the kernel or the file
 * system does not know how, it does. */
ssize_t	pb_file_pread_once(int fd, void *data, size_t len, uint64_t offset);
ssize_t	pb_file_pwrite(int fd, const void *data, size_t len,
	    uint64_t offset);
ssize_t	pb_file_pwritev(int fd, const struct iovec *part, int count,
	    uint64_t offset);
int	pb_file_truncate(int fd, uint64_t len);
int	pb_file_sync(int fd);
int	pb_file_datasync(int fd);
/* sync_file_range(2): begin what a sync will wait for, of all of it. */
void	pb_file_sync_soon(int fd);
/* posix_fadvise(2), of all of it. */
void	pb_file_advise(int fd, int advice);
/* O_NOATIME of open(2), for whom that is allowed: with many small reads, when
 * it was read costs a twentieth. */
void	pb_file_no_atime(int fd);
int	pb_file_lock(int fd, int command, struct flock *lock);

/* A directory that is read; `open` makes the descriptor its own, -1 and NULL
 * are passed through with errno. */
struct pb_dir;
struct pb_dir *pb_dir_open(int fd);
/* The next name, "." and ".." included, until the next call; NULL at the end
 * with errno 0, or with errno. */
const char *pb_dir_next(struct pb_dir *dir);
void	pb_dir_close(struct pb_dir *dir);	/* NULL is fine */

#endif
