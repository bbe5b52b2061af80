/*
 * base/aside.c - work that may wait for long, on a thread of its own
 *
 * Two hold it, the thread and who started it; the last one frees it.  To
 * wait takes no descriptor, of which there may be none left.
 */
#include "base/aside.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"

#define STEP_MS	5	/* between two looks at whether it is done */

struct pb_aside {
	void		(*work)(void *arg);
	void		(*drop)(void *arg);
	void		*arg;
	_Atomic bool	 done;
	_Atomic unsigned holders;
};

static int	start_thread(struct pb_aside *);
static void	*aside_main(void *);

int
pb_aside_start(struct pb_aside **out, void (*work)(void *arg),
    void (*drop)(void *arg), void *arg, bool must_not_wait,
    struct pb_err *err)
{
	struct pb_aside *aside = calloc(1, sizeof(*aside));
	int rc;

	if (aside == NULL) {
		drop(arg);
		return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	aside->work = work;
	aside->drop = drop;
	aside->arg = arg;
	aside->holders = 2;
	rc = start_thread(aside);
	if (rc != 0 && must_not_wait) {
		errno = rc;
		rc = pb_err_sys(err, "start a thread");
		aside->holders = 1;
		pb_aside_leave(aside);
		return rc;
	}
	if (rc != 0)
		aside_main(aside);
	*out = aside;
	return 0;
}

bool
pb_aside_wait(struct pb_aside *aside, int stop_fd, int ms)
{
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };
	uint64_t began_ms = pb_clock_mono_ms(), gone_ms;

	while (!aside->done) {
		gone_ms = pb_clock_mono_ms() - began_ms;
		if ((ms >= 0 && gone_ms >= (uint64_t)ms) ||
		    poll(&stop, 1, STEP_MS) > 0)
			break;
	}
	return aside->done;
}

void
pb_aside_leave(struct pb_aside *aside)
{
	if (aside == NULL || atomic_fetch_sub(&aside->holders, 1) > 1)
		return;
	aside->drop(aside->arg);
	free(aside);
}

/* Signals are the main thread's.  The errno of what failed. */
static int
start_thread(struct pb_aside *aside)
{
	sigset_t all, before;
	pthread_t thread;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, aside_main, aside);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return rc;
	pthread_setname_np(thread, "aside");
	pthread_detach(thread);
	return 0;
}

static void *
aside_main(void *arg)
{
	struct pb_aside *aside = arg;

	aside->work(aside->arg);
	aside->done = true;
	pb_aside_leave(aside);
	return NULL;
}
