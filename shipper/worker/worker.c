/*
 * shipper/worker/worker.c - a thread that does jobs for the loop, in order
 *
 *	loop: give ──► wanted ──► thread: runs
 *	                            │
 *	loop: collect ◄── ended ◄───┘  eventfd
 *
 * One lock around the two queues and the state of each job; never held
 * while a job is run.  Limit: what callers give.
 */
#include "shipper/worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

STAILQ_HEAD(jobs, pb_job);

struct pb_worker {
	const char	*name;
	int		 fd;		/* eventfd: how many were done */
	pthread_t	 thread;
	pthread_mutex_t	 lock;		/* of all below */
	pthread_cond_t	 wake;		/* something is wanted, or the end */
	pthread_cond_t	 idle;		/* `busy` is NULL again */
	struct jobs	 wanted, ended;
	struct pb_job *busy;		/* the one that is being done */
	bool		 ends;
	unsigned	 jobs;		/* not collected: of who gives them */
};

static void	*worker_main(void *);
static void	tell(struct pb_worker *);

int
pb_worker_create(struct pb_worker **out, const char *name, struct pb_err *err)
{
	struct pb_worker *worker = calloc(1, sizeof(*worker));
	int rc;

	*out = NULL;
	if (worker == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	worker->name = name;
	STAILQ_INIT(&worker->wanted);
	STAILQ_INIT(&worker->ended);
	worker->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->fd < 0) {
		rc = pb_err_sys(err, "eventfd");
		free(worker);
		return rc;
	}
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->wake, NULL);
	pthread_cond_init(&worker->idle, NULL);
	errno = pthread_create(&worker->thread, NULL, worker_main, worker);
	if (errno != 0) {
		rc = pb_err_sys(err, "start a thread");
		close(worker->fd);
		free(worker);
		return rc;
	}
	*out = worker;
	return 0;
}

void
pb_worker_destroy(struct pb_worker *worker)
{
	if (worker == NULL)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->ends = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->wake);
	pthread_cond_destroy(&worker->idle);
	pthread_mutex_destroy(&worker->lock);
	close(worker->fd);
	free(worker);
}

void
pb_worker_give(struct pb_worker *worker, struct pb_job *job)
{
	worker->jobs++;
	pthread_mutex_lock(&worker->lock);
	job->state = PB_JOB_WAITS;
	STAILQ_INSERT_TAIL(&worker->wanted, job, link);
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
}

void
pb_worker_cancel(struct pb_worker *worker, struct pb_job *job)
{
	pthread_mutex_lock(&worker->lock);
	while (worker->busy == job)
		pthread_cond_wait(&worker->idle, &worker->lock);
	if (job->state == PB_JOB_WAITS)
		STAILQ_REMOVE(&worker->wanted, job, pb_job, link);
	else if (job->state == PB_JOB_DONE)
		STAILQ_REMOVE(&worker->ended, job, pb_job, link);
	worker->jobs -= job->state != PB_JOB_IDLE;
	job->state = PB_JOB_IDLE;
	pthread_mutex_unlock(&worker->lock);
}

void
pb_worker_drain(struct pb_worker *worker)
{
	struct pollfd fd = { .fd = worker->fd, .events = POLLIN };

	while (worker->jobs > 0 && (poll(&fd, 1, -1) >= 0 || errno == EINTR))
		pb_worker_collect(worker);
}

int
pb_worker_fd(const struct pb_worker *worker)
{
	return worker->fd;
}

void
pb_worker_collect(struct pb_worker *worker)
{
	struct pb_job *job;
	uint64_t count;

	/* Before the look: what is done after it makes it readable again. */
	if (read(worker->fd, &count, sizeof(count)) < 0)
		return;
	for (;;) {
		pthread_mutex_lock(&worker->lock);
		job = STAILQ_FIRST(&worker->ended);
		if (job != NULL) {
			STAILQ_REMOVE_HEAD(&worker->ended, link);
			job->state = PB_JOB_IDLE;
		}
		pthread_mutex_unlock(&worker->lock);
		if (job == NULL)
			return;
		worker->jobs--;
		job->done(job->arg);
	}
}

static void *
worker_main(void *arg)
{
	struct pb_worker *worker = arg;
	struct pb_job *job;

	pthread_setname_np(pthread_self(), worker->name);
	pthread_mutex_lock(&worker->lock);
	for (;;) {
		while (!worker->ends && STAILQ_EMPTY(&worker->wanted))
			pthread_cond_wait(&worker->wake, &worker->lock);
		if (worker->ends)
			break;
		job = STAILQ_FIRST(&worker->wanted);
		STAILQ_REMOVE_HEAD(&worker->wanted, link);
		worker->busy = job;
		pthread_mutex_unlock(&worker->lock);
		job->run(job->arg);
		pthread_mutex_lock(&worker->lock);
		worker->busy = NULL;
		job->state = PB_JOB_DONE;
		STAILQ_INSERT_TAIL(&worker->ended, job, link);
		pthread_cond_signal(&worker->idle);
		tell(worker);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

static void
tell(struct pb_worker *worker)
{
	uint64_t one = 1;

	/* Refused only where it would go past 2^64 - 2: it is readable. */
	if (write(worker->fd, &one, sizeof(one)) < 0)
		return;
}
