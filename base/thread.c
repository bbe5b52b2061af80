/*
 * base/thread.c - threads that leave signals to the main one
 */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>

int
pb_thread_start(pthread_t *out, const char *what, void *(*run)(void *arg),
    void *arg, struct pb_err *err)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(out, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return errno == 0 ? 0 : pb_err_sys(err, "start the thread of %s",
	    what);
}
