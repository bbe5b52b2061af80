/*
 * tests/crash/shim.c - kills a program at its n-th call that changes the
 * world
 *
 * Preloaded.  Counts the calls that others can see the effect of: writes,
 * syncs, names, sizes, what goes into sockets; LMDB's and the libraries'
 * included, since all go through libc.  At the n-th the process gets
 * SIGKILL: before the call, after it, or within it: then a write of several
 * pages ends at the edge of one of them, which is what a kill makes of it.
 *
 * $PB_CRASH names the control file, 8 KiB, mapped shared, so that it
 * outlives the process and the test can arm a daemon that is up:
 *
 *	0	u64  armed: count
 *	8	u64  n: die at this call; 0: never
 *	16	u64  how: 0 before, 1 after, 2 within
 *	24	u64  calls counted
 *	32	u64  the call it died at; 0: it lives
 *	40	what it died at, in words, 216 bytes
 *	256	for each call: 1 where it can be cut, else 0
 *
 * $PB_CRASH_BOOT, where set, is read for the kernel's boot id: another one
 * than before makes a crash a power cut.
 *
 * Calls go to the kernel by syscall(2), so that no other library needs to
 * be there yet.  64-bit systems only.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE		4096u
#define CONTROL_BYTES	8192u
#define WHAT_BYTES	216
#define CALLS_MAX	(CONTROL_BYTES - 256)

enum { BEFORE, AFTER, WITHIN };

struct control {
	_Atomic uint64_t armed;
	uint64_t	 n;
	uint64_t	 how;
	_Atomic uint64_t count;
	uint64_t	 dead;
	char		 what[WHAT_BYTES];
	uint8_t		 cuts[CALLS_MAX];
};
_Static_assert(sizeof(struct control) == CONTROL_BYTES, "control file");
_Static_assert(sizeof(long) == 8, "64-bit offsets");

/* One call on its way. */
struct call {
	const char	*name;
	int		 fd;		/* -1: none */
	const char	*path;		/* or NULL */
	uint64_t	 number;	/* 0: not counted */
};

static struct control	*control;
static pid_t		 program;	/* not its children */

void	crash_arm(void);

static void	die(const struct call *);
static struct call enter(const char *, int, const char *, size_t);
static void	leave(const struct call *);
static size_t	cut(const struct call *, size_t);
static long	open_at(int, const char *, int, mode_t);
static ssize_t	write_vector(const char *, int, const struct iovec *, int,
		    off_t, bool);

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("PB_CRASH");
	void *at;
	long fd;

	if (path == NULL)
		return;
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		abort();
	at = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
	    (int)fd, 0);
	if (at == MAP_FAILED)
		abort();
	close((int)fd);
	control = at;
	program = getpid();
}

/* For a program that knows itself when it matters. */
void
crash_arm(void)
{
	if (control != NULL)
		atomic_store(&control->armed, 1);
}

static void
die(const struct call *call)
{
	char link[64], file[PAGE] = "";
	ssize_t len = 0;

	if (call->path != NULL) {
		snprintf(file, sizeof(file), "%s", call->path);
	} else if (call->fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", call->fd);
		len = readlink(link, file, sizeof(file) - 1);
		file[len < 0 ? 0 : len] = '\0';
	}
	snprintf(control->what, WHAT_BYTES, "%s %.180s", call->name, file);
	control->dead = call->number;
	/* A child that dies takes its program along. */
	syscall(SYS_kill, program, SIGKILL);
	syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		pause();
}

/* A call begins; `len` is what it would write, 0 where it cannot be cut. */
static struct call
enter(const char *name, int fd, const char *path, size_t len)
{
	struct call call = { name, fd, path, 0 };

	if (control == NULL || atomic_load(&control->armed) == 0)
		return call;
	call.number = atomic_fetch_add(&control->count, 1) + 1;
	if (call.number <= CALLS_MAX)
		control->cuts[call.number - 1] = len > PAGE;
	if (call.number == control->n && control->how == BEFORE)
		die(&call);
	return call;
}

static void
leave(const struct call *call)
{
	int saved = errno;

	if (call->number != 0 && call->number == control->n &&
	    control->how != BEFORE)
		die(call);
	errno = saved;
}

/* How much of `len` bytes this call may write: all, or half of its pages. */
static size_t
cut(const struct call *call, size_t len)
{
	if (call->number == 0 || call->number != control->n ||
	    control->how != WITHIN || len <= PAGE)
		return len;
	len = len / 2 / PAGE * PAGE;
	return len < PAGE ? PAGE : len;
}

/* --- bytes ---------------------------------------------------------------- */

ssize_t
write(int fd, const void *data, size_t len)
{
	struct call call = enter("write", fd, NULL, len);
	ssize_t rc = syscall(SYS_write, fd, data, cut(&call, len));

	leave(&call);
	return rc;
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	struct call call = enter("pwrite", fd, NULL, len);
	ssize_t rc = syscall(SYS_pwrite64, fd, data, cut(&call, len), at);

	leave(&call);
	return rc;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	return pwrite64(fd, data, len, at);
}

static ssize_t
write_vector(const char *name, int fd, const struct iovec *parts, int count,
    off_t at, bool positioned)
{
	struct iovec first = { NULL, 0 };
	struct call call;
	size_t len = 0;
	ssize_t rc;

	for (int i = 0; i < count; i++)
		len += parts[i].iov_len;
	call = enter(name, fd, NULL, count > 0 ? len : 0);
	/* Cut: what lies in the first part is enough of a piece. */
	if (cut(&call, len) < len) {
		first = parts[0];
		first.iov_len = cut(&call, len) < first.iov_len ?
		    cut(&call, len) : first.iov_len;
		parts = &first;
		count = 1;
	}
	rc = positioned ? syscall(SYS_pwritev, fd, parts, count, at, 0L) :
	    syscall(SYS_writev, fd, parts, count);
	leave(&call);
	return rc;
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
	return write_vector("writev", fd, parts, count, 0, false);
}

ssize_t
pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
	return write_vector("pwritev", fd, parts, count, at, true);
}

ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	return pwritev64(fd, parts, count, at);
}

/* --- one line each -------------------------------------------------------- */

#define COUNTED(type, name, params, fd, path, expr)	\
type							\
name params						\
{							\
	struct call call = enter(#name, fd, path, 0);	\
	type rc = (type)(expr);				\
							\
	leave(&call);					\
	return rc;					\
}

COUNTED(int, fsync, (int fd), fd, NULL, syscall(SYS_fsync, fd))
COUNTED(int, fdatasync, (int fd), fd, NULL, syscall(SYS_fdatasync, fd))
COUNTED(int, msync, (void *at, size_t len, int flags), -1, NULL,
    syscall(SYS_msync, at, len, flags))
COUNTED(int, ftruncate64, (int fd, off64_t len), fd, NULL,
    syscall(SYS_ftruncate, fd, len))
COUNTED(int, truncate64, (const char *path, off64_t len), -1, path,
    syscall(SYS_truncate, path, len))
COUNTED(int, fallocate64, (int fd, int mode, off64_t at, off64_t len), fd,
    NULL, syscall(SYS_fallocate, fd, mode, at, len))
COUNTED(int, renameat2, (int a, const char *from, int b, const char *to,
    unsigned flags), -1, to, syscall(SYS_renameat2, a, from, b, to, flags))
COUNTED(int, linkat, (int a, const char *from, int b, const char *to,
    int flags), -1, to, syscall(SYS_linkat, a, from, b, to, flags))
COUNTED(int, symlink, (const char *to, const char *path), -1, path,
    syscall(SYS_symlinkat, to, AT_FDCWD, path))
COUNTED(int, unlinkat, (int dir, const char *path, int flags), -1, path,
    syscall(SYS_unlinkat, dir, path, flags))
COUNTED(int, mkdirat, (int dir, const char *path, mode_t mode), -1, path,
    syscall(SYS_mkdirat, dir, path, mode))
COUNTED(int, fchmod, (int fd, mode_t mode), fd, NULL,
    syscall(SYS_fchmod, fd, mode))
COUNTED(int, bind, (int fd, const struct sockaddr *to, socklen_t len), fd,
    NULL, syscall(SYS_bind, fd, to, len))
COUNTED(int, connect, (int fd, const struct sockaddr *to, socklen_t len), fd,
    NULL, syscall(SYS_connect, fd, to, len))
COUNTED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
    fd, NULL, syscall(SYS_sendmsg, fd, message, flags))
COUNTED(ssize_t, sendfile64, (int to, int from, off64_t *at, size_t len), to,
    NULL, syscall(SYS_sendfile, to, from, at, len))
COUNTED(ssize_t, copy_file_range, (int from, off64_t *a, int to, off64_t *b,
    size_t len, unsigned flags), to, NULL,
    syscall(SYS_copy_file_range, from, a, to, b, len, flags))

ssize_t
sendto(int fd, const void *data, size_t len, int flags,
    const struct sockaddr *to, socklen_t to_len)
{
	struct call call = enter("send", fd, NULL, len);
	ssize_t rc = syscall(SYS_sendto, fd, data, cut(&call, len), flags,
	    to, to_len);

	leave(&call);
	return rc;
}

/* --- the same under other names ------------------------------------------- */

int
ftruncate(int fd, off_t len)
{
	return ftruncate64(fd, len);
}

int
truncate(const char *path, off_t len)
{
	return truncate64(path, len);
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	return fallocate64(fd, mode, at, len);
}

int
posix_fallocate(int fd, off_t at, off_t len)
{
	return fallocate64(fd, 0, at, len) < 0 ? errno : 0;
}

int
renameat(int a, const char *from, int b, const char *to)
{
	return renameat2(a, from, b, to, 0);
}

int
rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int
remove(const char *path)
{
	int rc = unlinkat(AT_FDCWD, path, 0);

	return rc < 0 && errno == EISDIR ? rmdir(path) : rc;
}

int
mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

ssize_t
send(int fd, const void *data, size_t len, int flags)
{
	return sendto(fd, data, len, flags, NULL, 0);
}

ssize_t
sendfile(int to, int from, off_t *at, size_t len)
{
	return sendfile64(to, from, at, len);
}

/* --- files ---------------------------------------------------------------- */

/* Counted where it may make or cut a file; to look changes nothing. */
static long
open_at(int dir, const char *path, int flags, mode_t mode)
{
	const char *boot = getenv("PB_CRASH_BOOT");
	struct call call = { .number = 0 };
	long rc;

	if (boot != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") ==
	    0)
		path = boot;
	if ((flags & (O_CREAT | O_TRUNC)) != 0)
		call = enter("open", -1, path, 0);
	rc = syscall(SYS_openat, dir, path, flags, mode);
	leave(&call);
	return rc;
}

#define MODE(flags)						\
	va_list ap;						\
	mode_t mode = 0;					\
								\
	if (((flags) & O_CREAT) != 0 ||				\
	    ((flags) & O_TMPFILE) == O_TMPFILE) {		\
		va_start(ap, flags);				\
		mode = va_arg(ap, mode_t);			\
		va_end(ap);					\
	}

int
open(const char *path, int flags, ...)
{
	MODE(flags)
	return (int)open_at(AT_FDCWD, path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	MODE(flags)
	return (int)open_at(AT_FDCWD, path, flags, mode);
}

int
openat(int dir, const char *path, int flags, ...)
{
	MODE(flags)
	return (int)open_at(dir, path, flags, mode);
}

int
openat64(int dir, const char *path, int flags, ...)
{
	MODE(flags)
	return (int)open_at(dir, path, flags, mode);
}

/* What fortified callers call. */
int	__open_2(const char *, int);
int	__open64_2(const char *, int);
int	__openat_2(int, const char *, int);
int	__openat64_2(int, const char *, int);

int
__open_2(const char *path, int flags)
{
	return (int)open_at(AT_FDCWD, path, flags, 0);
}

int
__open64_2(const char *path, int flags)
{
	return (int)open_at(AT_FDCWD, path, flags, 0);
}

int
__openat_2(int dir, const char *path, int flags)
{
	return (int)open_at(dir, path, flags, 0);
}

int
__openat64_2(int dir, const char *path, int flags)
{
	return (int)open_at(dir, path, flags, 0);
}
