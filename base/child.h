/*
 * base/child.h - work that may end the process, done by a child
 *
 * LMDB trusts its pages: one that is rotten, or missing from a file cut short,
 * may end by a signal whoever reads it.  A child reads first.
 */
#ifndef PB_BASE_CHILD_H
#define PB_BASE_CHILD_H

#include "base/err.h"

/*
 * work(arg) in a child: its answer (0 or PB_E*), and its words, where `err`
 * is not NULL (then it takes a pipe).  Waits for the end of it, `seconds` at
 * most (0: for ever; a child that the system does not let go of counts as
 * long as it is there).  Where it gave no answer PB_ESYS, with *sig the signal
 * that ended it because of what it did, or SIGALRM: it took too long; 0 where
 * it could not be started, or somebody ended it.
 *
 * The caller's other threads go on, and pay for a page when they first write
 * to it while the child is there: none of a capture's may be the caller.
 */
int	pb_child_run(int (*work)(const void *arg, struct pb_err *err),
	    const void *arg, unsigned seconds, int *sig, struct pb_err *err);

#endif
