/*
 * recorder/query/prefetch_thread.c - a thread that reads parts of streams
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "recorder/query/prefetch_impl.h"

#define BATCH_BYTES	(512u << 10)
#define PART_BYTES_MAX	(4u << 20)	/* that were not taken, and one batch */
#define BYTES_MAX	(16u << 20)	/* of all: no further part is begun */
#define LEAD_MAX	4u		/* parts read, and not taken */
#define SPARES_MAX	8u		/* batches that keep their room */

static unsigned	processors(void);
static void	*work(void *);
static struct part *next_part(struct prefetch *);
static struct part *worth_it(struct prefetch *);
static int	read_part(struct prefetch *, struct pb_search *,
		    struct part *, struct pb_err *);
static struct ready *take_spare(struct prefetch *);
static void	give(struct prefetch *, struct part *, struct ready *);
static bool	stopped(void *);

void
prefetch_start(struct prefetch *prefetch)
{
	unsigned threads = processors() - 1;

	prefetch->tried = true;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	while (prefetch->threads < threads) {
		struct thread *thread = &prefetch->thread[prefetch->threads];

		thread->of = prefetch;
		thread->stop = (struct pb_stop){ stopped, thread };
		if (pb_thread_start(&thread->id, "a query", work, thread,
		    NULL) < 0)
			return;
		prefetch->threads++;
	}
}

/* That we may run on. */
static unsigned
processors(void)
{
	cpu_set_t set;

	/* It fails where there are more than a set has room for. */
	return sched_getaffinity(0, sizeof(set), &set) < 0 ? THREADS_MAX :
	    (unsigned)CPU_COUNT(&set);
}

static void *
work(void *arg)
{
	struct thread *thread = arg;
	struct prefetch *prefetch = thread->of;
	struct pb_search *twin;
	struct pb_err err;
	struct part *part;
	int rc;

	pthread_setname_np(pthread_self(), "prefetch");
	/* Without one, its parts are left to others. */
	if (search_twin(&twin, prefetch->search, &thread->stop, NULL) < 0)
		return NULL;
	pthread_mutex_lock(&prefetch->lock);
	while ((part = next_part(prefetch)) != NULL) {
		pthread_mutex_unlock(&prefetch->lock);
		thread->part = part;
		rc = read_part(prefetch, twin, part, &err);
		search_count_bytes(twin, &twin->input[0]);
		pthread_mutex_lock(&prefetch->lock);
		if (rc < 0)
			part->err = err;
		part->state = PART_DONE;
		pb_explain_add(&prefetch->explain, &twin->explain);
		memset(&twin->explain, 0, sizeof(twin->explain));
		pthread_cond_signal(&prefetch->given);
	}
	pthread_mutex_unlock(&prefetch->lock);
	pb_search_destroy(twin);
	return NULL;
}

/* It is begun; NULL at the end of all. */
static struct part *
next_part(struct prefetch *prefetch)
{
	struct part *part = NULL;

	while (!prefetch->ending && (part = worth_it(prefetch)) == NULL)
		pthread_cond_wait(&prefetch->work, &prefetch->lock);
	if (part == NULL)
		return NULL;
	prefetch_dequeue(prefetch, part);
	part->state = PART_BEGUN;
	prefetch->lead++;
	return part;
}

/* The first in the queue, or the one behind it where who takes may come to the
 * first before a thread would be done with it. */
static struct part *
worth_it(struct prefetch *prefetch)
{
	struct part *part = TAILQ_FIRST(&prefetch->queue);

	if (prefetch->bytes >= BYTES_MAX || part == NULL)
		return NULL;
	return prefetch->lead >= LEAD_MAX ? part : TAILQ_NEXT(part, waits);
}

static int
read_part(struct prefetch *prefetch, struct pb_search *twin,
    struct part *part, struct pb_err *err)
{
	struct ready *ready;
	int rc = search_twin_part(twin, part->input, part->first, part->last,
	    err);

	while (rc >= 0) {
		ready = take_spare(prefetch);
		if (ready == NULL)
			return pb_err_set(err, PB_ENOMEM, "no memory for a "
			    "query");
		rc = search_batch(twin, 0, BATCH_BYTES, &ready->batch, err);
		if (rc > 0) {
			give(prefetch, part, ready);
			continue;
		}
		pb_batch_finish(&ready->batch);
		free(ready);
		break;
	}
	return rc;
}

static struct ready *
take_spare(struct prefetch *prefetch)
{
	struct ready *ready;

	pthread_mutex_lock(&prefetch->lock);
	ready = STAILQ_FIRST(&prefetch->spare);
	if (ready != NULL) {
		STAILQ_REMOVE_HEAD(&prefetch->spare, next);
		prefetch->spares--;
	}
	pthread_mutex_unlock(&prefetch->lock);
	return ready != NULL ? ready : calloc(1, sizeof(*ready));
}

void
prefetch_put_spare(struct prefetch *prefetch, struct ready *ready)
{
	if (prefetch->spares < SPARES_MAX) {
		STAILQ_INSERT_HEAD(&prefetch->spare, ready, next);
		prefetch->spares++;
		return;
	}
	pb_batch_finish(&ready->batch);
	free(ready);
}

/* And wait for room, unless nobody takes it any more. */
static void
give(struct prefetch *prefetch, struct part *part, struct ready *ready)
{
	ready->memory = pb_batch_memory(&ready->batch);
	pthread_mutex_lock(&prefetch->lock);
	STAILQ_INSERT_TAIL(&part->ready, ready, next);
	part->bytes += ready->memory;
	prefetch->bytes += ready->memory;
	if (part->bytes >= GIVEN_BYTES)
		pthread_cond_signal(&prefetch->given);
	while (part->bytes >= PART_BYTES_MAX &&
	    !atomic_load(&part->dropped))
		pthread_cond_wait(&prefetch->room, &prefetch->lock);
	pthread_mutex_unlock(&prefetch->lock);
}

static bool
stopped(void *arg)
{
	struct thread *thread = arg;

	return atomic_load(&thread->part->dropped) ||
	    pb_stopped(thread->of->search->opts.stop);
}
