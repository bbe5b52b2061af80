/*
 * base/below.h - what lies below a directory that others may write in
 *
 * A store belongs to its service user, who can put a symbolic link, a FIFO
 * or a device wherever a file is expected.  So what lies below a directory
 * that is *held* is opened relative to its descriptor: no component of the
 * way there is a link, none leads out, and what is opened is a plain file,
 * or a directory where one is asked for.  The directory's own path may be
 * one; it is followed once, when it is held.
 *
 * A process holds its store as it has a working directory: the calls below
 * take paths, and those that begin with a held directory's name, as it was
 * given to pb_below_hold(), are meant.  All others are dealt with as ever.
 * Should the directory be moved away, they still mean that one.
 *
 * Promise: nothing here blocks on what lies there (a FIFO) or changes
 *          anything outside of it.
 * Limit:   PB_BELOW_MAX directories at once.
 * Not here: whose rights it is done with.  Checks made by name are races;
 *          who may not write elsewhere cannot lose one (base/owner.h).
 *
 * Those without `err` answer as the system call of that name: -1 and errno,
 * ELOOP or ENOTDIR for a link, PB_BELOW_NOT_PLAIN for what is no plain file.
 */
#ifndef PB_BASE_BELOW_H
#define PB_BASE_BELOW_H

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/err.h"

#define PB_BELOW_MAX		8
#define PB_BELOW_NOT_PLAIN	EMEDIUMTYPE	/* pb_err_sys() has words */

/*
 * Hold `dir`; each hold wants its pb_below_release().  Not while other
 * threads use it.  PB_ENOENT where it is not there, PB_ELIMIT.
 */
int	pb_below_hold(const char *dir, struct pb_err *err);
/* Is not held any more, with the last hold of it; nothing where it is not. */
void	pb_below_release(const char *dir);
/* Another directory may have its name by now: hold that one.  At any time;
 * without an error the descriptor's number stays. */
int	pb_below_renew(const char *dir, struct pb_err *err);
/* Of one that has gone nothing stays open, and all calls below it fail with
 * ENOTDIR until pb_below_renew().  At any time. */
void	pb_below_park(const char *dir);
/* The descriptor of a held directory, which stays its; -1: not held. */
int	pb_below_fd(const char *dir);
/*
 * Hold `dir`, which the system need not have, as the root of `disk`
 * (base/disk.h), which is borrowed until the last release.  As
 * pb_below_hold(); all further holds of it are this one's.
 */
int	pb_below_mount(const char *dir, struct pb_disk *disk,
	    struct pb_err *err);
/* The clock of who works at `path`; NULL is the system's. */
struct pb_clock *pb_below_clock(const char *path);
/* What it says, as pb_clock_real_ns(). */
uint64_t pb_below_now_ns(const char *path);
/* How long the held directory's name is that `path` is below, or is; 0. */
size_t	pb_below_held(const char *path);

/* open(2), always O_CLOEXEC.  A plain file, or with O_DIRECTORY one. */
int	pb_below_open(const char *path, int flags, mode_t mode);
struct pb_dir *pb_below_opendir(const char *path);
/* lstat(2) below, stat(2) elsewhere. */
int	pb_below_stat(const char *path, struct stat *st);
/* May we, access(2)'s `mode`?  0, or -1 and errno.  A link, which all may
 * write, is asked about itself. */
int	pb_below_access(const char *path, int mode);
/* Is something there?  0, or -1 and errno. */
int	pb_below_look(const char *path);
/* statvfs(3) of the file system that a held directory, or `dir`, is on. */
int	pb_below_statvfs(const char *dir, struct statvfs *fs);
/* What everybody else finds at `path`, not what is held: stat(2).  On a disk
 * that is mounted there is one answer. */
int	pb_below_seen(const char *path, struct stat *st);
int	pb_below_mkdir(const char *path, mode_t mode);
/* renameat2(2); `flags` as there. */
int	pb_below_rename(const char *from, const char *to, unsigned flags);
int	pb_below_link(const char *from, const char *to);
int	pb_below_unlink(const char *path);
int	pb_below_rmdir(const char *path);

/*
 * A name for those who take nothing else (LMDB): of the directory that `fd`
 * is open on, `/proc/self/fd/N`, whoever moves it; `path` where /proc is
 * not mounted.
 */
const char *pb_below_name(char out[static PATH_MAX], int fd,
	    const char *path);

#endif
