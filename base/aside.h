/*
 * base/aside.h - work that may wait for long, on a thread of its own
 *
 * A name that is looked up, a driver that opens: nobody can break that off.
 * Who wants the outcome waits as long as he likes and then leaves; the work
 * goes on alone and is put away when it is done.
 */
#ifndef PB_BASE_ASIDE_H
#define PB_BASE_ASIDE_H

#include <stdbool.h>

#include "base/err.h"

struct pb_aside;

/*
 * work(arg) on a thread of its own.  `arg` is the caller's again when
 * pb_aside_wait() says so; `drop` frees it, on whichever thread is last.
 * Where the system gives no thread the work is done before this returns; or,
 * where the caller `must_not_wait`, it fails.  On failure `drop` has been
 * called.
 */
int	pb_aside_start(struct pb_aside **out, void (*work)(void *arg),
	    void (*drop)(void *arg), void *arg, bool must_not_wait,
	    struct pb_err *err);

/* Wait for its end: `ms` at most (-1: for ever), or until `stop_fd` (-1:
 * none) is readable.  True: it is done. */
bool	pb_aside_wait(struct pb_aside *aside, int stop_fd, int ms);

/* Done or not, the caller wants nothing more of it.  NULL is fine. */
void	pb_aside_leave(struct pb_aside *aside);

#endif
