/*
 * tests/system/clock.c - clocks that a test sets, preloaded into a program
 *
 * $PB_CLOCK names a file that is mapped: how far the wall clock is ahead
 * (seconds, may be negative), how much longer the machine is up than it is,
 * whether the kernel vouches for the wall clock, and which boot this is.
 * The test changes them while the program runs.  The kernel knows nothing
 * of it: what sleeps until a time of the wall clock sleeps by the real one,
 * and a file gets its time when it is renamed.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID	"/proc/sys/kernel/random/boot_id"

static volatile const struct clocks {
	int64_t	ahead_s, up_s, vouched, boot;
} *clocks;

static void map_clocks(void) __attribute__((constructor));

static void
map_clocks(void)
{
	const char *path = getenv("PB_CLOCK");
	int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path,
	    O_RDONLY | O_CLOEXEC, 0);
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*clocks), PROT_READ,
	    MAP_SHARED, fd, 0);

	if (at == MAP_FAILED) {
		fprintf(stderr, "clock.so: PB_CLOCK cannot be mapped\n");
		_exit(3);
	}
	close(fd);
	clocks = at;
}

int
clock_gettime(clockid_t id, struct timespec *out)
{
	int rc = (int)syscall(SYS_clock_gettime, id, out);

	if (rc < 0 || clocks == NULL)
		return rc;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		out->tv_sec += clocks->ahead_s;
	if (id == CLOCK_BOOTTIME)
		out->tv_sec += clocks->up_s;
	return 0;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	out->tv_sec = now.tv_sec;
	out->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}

int
adjtimex(struct timex *out)
{
	out->status = clocks->vouched ? 0 : STA_UNSYNC;
	return clocks->vouched ? TIME_OK : TIME_ERROR;
}

/* Another boot has another id. */
static int
open_boot(void)
{
	char text[32];
	int fd = memfd_create("boot", MFD_CLOEXEC);
	int len = snprintf(text, sizeof(text), "boot-%lld\n",
	    (long long)clocks->boot);

	if (fd >= 0 && (write(fd, text, (size_t)len) != len ||
	    lseek(fd, 0, SEEK_SET) != 0))
		abort();
	return fd;
}

int
open(const char *path, int flags, ...)
{
	va_list args;
	unsigned mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, unsigned) : 0;
	va_end(args);
	if (clocks != NULL && strcmp(path, BOOT_ID) == 0)
		return open_boot();
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* The time that the file would have, if the kernel had that clock. */
static void
stamp(int dir, const char *path)
{
	struct timespec times[2];

	if (clocks == NULL || clocks->ahead_s == 0)
		return;
	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[1] = times[0];
	(void)utimensat(dir, path, times, AT_SYMLINK_NOFOLLOW);
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to,
    unsigned flags)
{
	int rc = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to,
	    flags);

	if (rc == 0)
		stamp(to_dir, to);
	return rc;
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat2(from_dir, from, to_dir, to, 0);
}

int
rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int	open64(const char *path, int flags, ...)
	    __attribute__((alias("open")));
