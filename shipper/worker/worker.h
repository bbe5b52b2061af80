/*
 * shipper/worker/worker.h - a thread that does jobs for the loop, in order
 *
 * What waits for a disk or takes long is done here, so that the loop, which
 * sends and hears acks, is held up by neither.  What is done comes back in
 * order, one by one.
 */
#ifndef PB_SHIPPER_WORKER_H
#define PB_SHIPPER_WORKER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/err.h"

enum pb_job_state {
	PB_JOB_IDLE,		/* the caller's */
	PB_JOB_WAITS,
	PB_JOB_DONE,		/* or being done */
};

/* The caller's memory, zeroed at first; with the worker between
 * pb_worker_give() and `done`, as is what `arg` points to. */
struct pb_job {
	void		(*run)(void *arg);	/* on the worker's thread */
	void		(*done)(void *arg);	/* on the one that collects */
	void		*arg;
	/* The worker's. */
	enum pb_job_state state;
	STAILQ_ENTRY(pb_job) link;
};

struct pb_worker;

/* Starts the thread; `name` as of pthread_setname_np(3), borrowed. */
int	pb_worker_create(struct pb_worker **out, const char *name,
	    struct pb_err *err);
/* Ends it; NULL is fine.  No job is with it any more. */
void	pb_worker_destroy(struct pb_worker *worker);

/* `done` is called by a later pb_worker_collect(). */
void	pb_worker_give(struct pb_worker *worker, struct pb_job *job);

/* Take it back, done or not, without its `done`.  Waits while it is being
 * done. */
void	pb_worker_cancel(struct pb_worker *worker, struct pb_job *job);

/* Wait until all that was given is done, and collect it. */
void	pb_worker_drain(struct pb_worker *worker);

/* Readable when something is there for pb_worker_collect(). */
int	pb_worker_fd(const struct pb_worker *worker);

/* Call `done` for what is done.  It may give, and cancel, others. */
void	pb_worker_collect(struct pb_worker *worker);

#endif
