/*
 * base/thread.h - threads that leave signals to the main one
 */
#ifndef PB_BASE_THREAD_H
#define PB_BASE_THREAD_H

#include <pthread.h>

#include "base/err.h"

/*
 * Start a thread that gets no signal sent to the process: those are for who
 * waits for them.  0, or PB_ESYS, which says that `what` was not started.
 */
int	pb_thread_start(pthread_t *out, const char *what,
	    void *(*run)(void *arg), void *arg, struct pb_err *err);

#endif
