/*
 * base/log.c - one line an event, on standard error
 *
 * Once pb_log_start() was called, lines go through a ring to a thread of
 * their own: the one that may wait for who reads them.  There is no other
 * way to write that never waits: O_NONBLOCK would be the shell's terminal's
 * as well, a socket, another user's pipe or terminal cannot be opened again,
 * and a file on a disk that hangs knows no such flag.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES	(256u << 10)
#define NOTICE_BYTES_MAX 128u
#define END_S		1	/* for the last lines to be taken */

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static _Atomic int lowest = PB_LOG_INFO;
static _Atomic bool runs;	/* the thread, and the ring is its */

/* Whole lines, each with its newline.  All under `lock`. */
static struct {
	pthread_mutex_t	lock;
	pthread_cond_t	more;		/* for the thread */
	pthread_cond_t	ended;		/* it has */
	char		bytes[RING_BYTES];
	size_t		start, used;
	uint64_t	left_out;	/* lines, */
	uint64_t	untold;		/* and of those no notice has told */
	bool		fails;		/* the last line could not be written */
	bool		ending, end;
	pthread_t	thread;
} ring = { .lock = PTHREAD_MUTEX_INITIALIZER,
    .more = PTHREAD_COND_INITIALIZER };

static size_t	format_line(char [static PB_LOG_LINE_MAX], enum pb_log_level,
		    const char *, const char *, va_list)
		    __attribute__((format(printf, 4, 0)));
static void	hand_over(const char *, size_t);
static void	*log_main(void *);
static void	log_end(void);
static void	log_forked(void);
static void	put(const char *, size_t);
static size_t	take(char [static PB_LOG_LINE_MAX]);
static void	tell_left_out(size_t);
static bool	write_line(const char *, size_t);

void
pb_log_level(enum pb_log_level level)
{
	atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

void
pb_log(enum pb_log_level level, const char *component, const char *fmt, ...)
{
	char line[PB_LOG_LINE_MAX];
	int saved = errno;
	size_t len;
	va_list ap;

	if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed))
		return;
	va_start(ap, fmt);
	len = format_line(line, level, component, fmt, ap);
	va_end(ap);
	if (len > 0 && runs)
		hand_over(line, len);
	else if (len > 0)
		(void)write_line(line, len);
	errno = saved;
}

void
pb_log_start(void)
{
	pthread_condattr_t clock;
	sigset_t all, before;

	if (runs)
		return;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&ring.ended, &clock);
	pthread_condattr_destroy(&clock);
	ring.ending = ring.end = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* Without a thread lines are written as before. */
	runs = pthread_create(&ring.thread, NULL, log_main, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!runs)
		return;
	pthread_atfork(NULL, NULL, log_forked);
	atexit(log_end);
}

uint64_t
pb_log_left_out(void)
{
	uint64_t lines;

	pthread_mutex_lock(&ring.lock);
	lines = ring.left_out;
	pthread_mutex_unlock(&ring.lock);
	return lines;
}

/* Its length with the newline; 0 where there is no line. */
static size_t
format_line(char line[static PB_LOG_LINE_MAX], enum pb_log_level level,
    const char *component, const char *fmt, va_list ap)
{
	int used = snprintf(line, PB_LOG_LINE_MAX, "%s %s: ",
	    level_names[level], component);
	size_t len;

	if (used < 0 || used >= PB_LOG_LINE_MAX - 2)
		return 0;
	vsnprintf(line + used, (size_t)(PB_LOG_LINE_MAX - 1 - used), fmt, ap);
	len = strlen(line);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	return len;
}

/* --- the ring ------------------------------------------------------------ */

/* A line that has no room is left out, and told of before the next one. */
static void
hand_over(const char *line, size_t len)
{
	pthread_mutex_lock(&ring.lock);
	tell_left_out(len);
	if ((ring.untold > 0 && !ring.fails) ||
	    RING_BYTES - ring.used < len) {
		ring.left_out++;
		ring.untold++;
	} else {
		put(line, len);
	}
	pthread_cond_signal(&ring.more);
	pthread_mutex_unlock(&ring.lock);
}

static void *
log_main(void *arg)
{
	char line[PB_LOG_LINE_MAX];

	pthread_setname_np(pthread_self(), "log");
	pthread_mutex_lock(&ring.lock);
	for (;;) {
		size_t len;
		bool written;

		tell_left_out(0);
		while (ring.used == 0 && !ring.ending)
			pthread_cond_wait(&ring.more, &ring.lock);
		if (ring.used == 0)
			break;
		len = take(line);
		pthread_mutex_unlock(&ring.lock);
		written = write_line(line, len);
		pthread_mutex_lock(&ring.lock);
		ring.fails = !written;
		if (!written) {
			ring.left_out++;
			ring.untold++;
		}
	}
	ring.end = true;
	pthread_cond_signal(&ring.ended);
	pthread_mutex_unlock(&ring.lock);
	return arg;
}

/* At exit: who reads gets the last lines, who does not is not waited for. */
static void
log_end(void)
{
	struct timespec until;
	int rc = 0;

	if (!runs)
		return;		/* a child: the thread is the parent's */
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += END_S;
	pthread_mutex_lock(&ring.lock);
	ring.ending = true;
	pthread_cond_signal(&ring.more);
	while (!ring.end && rc == 0)
		rc = pthread_cond_timedwait(&ring.ended, &ring.lock, &until);
	if (ring.end)
		runs = false;
	pthread_mutex_unlock(&ring.lock);
	/* It has nothing more to do; else it waits for who reads its lines. */
	if (!runs)
		pthread_join(ring.thread, NULL);
}

/* Only the thread that forked lives on here: lines are written directly. */
static void
log_forked(void)
{
	runs = false;
}

static void
put(const char *line, size_t len)
{
	size_t at = (ring.start + ring.used) % RING_BYTES;
	size_t first = len < RING_BYTES - at ? len : RING_BYTES - at;

	memcpy(ring.bytes + at, line, first);
	memcpy(ring.bytes, line + first, len - first);
	ring.used += len;
}

static size_t
take(char line[static PB_LOG_LINE_MAX])
{
	size_t len = 0;

	do {
		line[len] = ring.bytes[ring.start];
		ring.start = (ring.start + 1) % RING_BYTES;
		ring.used--;
	} while (line[len++] != '\n');
	return len;
}

/* A notice, where it and a line of `behind` bytes have room; not where the
 * last line failed, for so would this one. */
static void
tell_left_out(size_t behind)
{
	char line[NOTICE_BYTES_MAX];
	int len;

	if (ring.untold == 0 || ring.fails ||
	    RING_BYTES - ring.used < NOTICE_BYTES_MAX + behind)
		return;
	len = snprintf(line, sizeof(line), "warn log: %llu lines were left "
	    "out here, nobody took them all=%llu\n",
	    (unsigned long long)ring.untold,
	    (unsigned long long)ring.left_out);
	ring.untold = 0;
	put(line, (size_t)len);
}

/* All of it; waits for who reads.  False where that cannot be. */
static bool
write_line(const char *line, size_t len)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };

	while (len > 0) {
		ssize_t done = write(STDERR_FILENO, line, len);

		if (done >= 0) {
			line += done;
			len -= (size_t)done;
		} else if (errno == EAGAIN) {
			poll(&fd, 1, -1);	/* somebody else's flag */
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}
