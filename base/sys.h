/*
 * base/sys.h - small dealings with the system
 */
#ifndef PB_BASE_SYS_H
#define PB_BASE_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"

#define PB_VERSION	"0.1.0"

/* mkdir -p with 0750; every directory made is synced into its parent, or is
 * not there after an error. */
int	pb_mkdirs(const char *path, struct pb_err *err);
/* The same, and those that were there below a held directory are synced as
 * well: who made them may have been ended before he did that. */
int	pb_mkdirs_sync(const char *path, struct pb_err *err);

/* fsync(2) of a directory, so that names made in it survive a power cut. */
int	pb_sync_dir(const char *path, struct pb_err *err);

/* All `len` bytes, retrying EINTR and short counts. */
int	pb_pwrite_all(int fd, const void *data, size_t len, uint64_t offset,
	    struct pb_err *err);
/* All bytes of `part[count]`, one behind the other, by as few pwritev(2) as
 * it takes; `part` is used up.  `count` at most IOV_MAX. */
int	pb_pwritev_all(int fd, struct iovec *part, int count, uint64_t offset,
	    struct pb_err *err);
/* Up to `len` bytes, fewer only at the end of the file; count or error. */
ssize_t	pb_pread_all(int fd, void *data, size_t len, uint64_t offset,
	    struct pb_err *err);
/* The same by pb_file_pread_once(). */
ssize_t	pb_pread_once(int fd, void *data, size_t len, uint64_t offset,
	    struct pb_err *err);

/*
 * Standard input, output and error are open: where who started us closed
 * one, as /dev/null, to which nothing can be written.  Else a file of ours
 * would get its number, and the log's lines.  First thing in main().
 */
void	pb_files_standard(void);

/* Freed memory stays with the process, up to PB_KEPT_BYTES of each heap: who
 * takes and gives back a body of a MiB a thousand times a second has each of
 * its pages made anew else.  mallopt(3); before there are threads. */
#define PB_KEPT_BYTES		(32 << 20)
#define PB_HEAP_PIECE_BYTES	(8 << 20)	/* larger ones are apart */
void	pb_memory_keep(void);

/* As many files may be open as the process may ask for. */
int	pb_files_raise(struct pb_err *err);

#define PB_HUGE_BYTES	((size_t)2 << 20)	/* of x86-64 and arm64 */

/*
 * `bytes` of private memory, all zero, with the `protection` of mmap(2) and
 * of its flags what is in `more`; from an edge where a huge page may begin,
 * if it is as large as one.  NULL where there is none.  It ends with
 * munmap(2).
 */
uint8_t	*pb_pages_map(size_t bytes, int protection, int more);

/* When a file was last written, ns since 1970. */
uint64_t pb_mtime_ns(const struct stat *st);

/* 64 random bits from getrandom(2), never 0. */
uint64_t pb_random64(void);

/*
 * Tell systemd (sd_notify(3) protocol): sends `state` ("READY=1",
 * "STOPPING=1", "STATUS=...") to $NOTIFY_SOCKET where it is set.
 */
void	pb_notify(const char *state);

#endif
