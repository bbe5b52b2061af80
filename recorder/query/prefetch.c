/*
 * recorder/query/prefetch.c - parts of a long stream, read by other threads
 *
 *	segment --> part --> a thread's search --> batches --> the merge
 *
 * What of a stream is worth a look is read in parts, a segment each.  Who takes
 * the stream's batches plans some parts ahead; threads fill them, each by a
 * search of its own, and what they have is taken part by part, in the order of
 * the stream.  A part that nobody has begun when its turn comes is read by who
 * takes it, and threads leave it the one that is next, as long as it keeps up
 * with them: so nobody waits where there is something to do, and a thread that
 * is busy with another stream, or holds as much as it may, is not waited for.
 *
 * Threads begin where PARTS_LEAST parts wait: what lies together is read
 * without any.  One lock guards what is said of parts; what is in a batch is
 * the thread's until it is given, then the taker's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/query/prefetch_impl.h"

#define PARTS_LEAST	2u
/* Threads cost a millisecond: to start and end them, and new memory.  Who has
 * read for so long mostly has as much before him. */
#define START_NS	(10 * PB_NS_PER_MS)
#define PARTS_AHEAD	16u		/* of an input */
#define PARTS_MAX	256u		/* of all */

static int	batch(void *, size_t, size_t, struct pb_batch *,
		    struct pb_err *);
static void	park(void *, size_t);
static void	close_input(void *, size_t);
static void	end(void *);
static struct prefetch *create(struct pb_search *);
static void	drop_parts(struct prefetch *, struct prefetch_input *);
static int	begin(struct prefetch *, size_t, struct pb_err *);
static int	plan_parts(struct prefetch *, size_t, struct pb_err *);
static int	add_part(struct prefetch *, struct prefetch_input *,
		    struct search_input *, uint64_t, uint64_t,
		    struct pb_err *);
static bool	is_ours(struct prefetch *, struct search_input *,
		    struct part *);
static void	enqueue(struct prefetch *, struct part *);
static void	start_late(struct prefetch *);
static int	take(struct prefetch *, struct part *, struct pb_batch *,
		    struct pb_err *);
static void	end_part(struct prefetch *, struct prefetch_input *,
		    struct part *);
static void	forget(struct prefetch *, struct part *, struct ready *);

int
pb_search_merge(struct pb_search *search, struct pb_merge **out,
    struct pb_err *err)
{
	struct pb_merge_source source = {
		.batch = batch,
		.park = park,
		.close = close_input,
		.end = end,
		.backwards = search->opts.backwards,
		.window_ns = search->opts.window_ns,
	};
	size_t inputs = search->inputs;
	struct prefetch *prefetch;
	uint64_t *first;
	int rc;

	*out = NULL;
	prefetch = create(search);
	first = calloc(inputs + 1, sizeof(*first));
	if (prefetch == NULL || first == NULL) {
		rc = pb_err_set(err, PB_ENOMEM, "no memory for a query");
	} else {
		for (size_t i = 0; i < inputs; i++)
			first[i] = search_first(&search->input[i]);
		source.arg = prefetch;
		rc = pb_merge_create(out, &source, first, inputs, 0, err);
	}
	if (rc < 0 && prefetch != NULL)
		end(prefetch);
	free(first);
	return rc;
}

static struct prefetch *
create(struct pb_search *search)
{
	struct prefetch *prefetch = calloc(1, sizeof(*prefetch));

	if (prefetch == NULL)
		return NULL;
	prefetch->search = search;
	prefetch->input = calloc(search->inputs + 1,
	    sizeof(*prefetch->input));
	pthread_mutex_init(&prefetch->lock, NULL);
	pthread_cond_init(&prefetch->work, NULL);
	pthread_cond_init(&prefetch->given, NULL);
	pthread_cond_init(&prefetch->room, NULL);
	TAILQ_INIT(&prefetch->queue);
	STAILQ_INIT(&prefetch->spare);
	if (prefetch->input != NULL)
		return prefetch;
	end(prefetch);
	return NULL;
}

/* The threads as well. */
static void
end(void *arg)
{
	struct prefetch *prefetch = arg;
	struct ready *ready;

	pthread_mutex_lock(&prefetch->lock);
	prefetch->ending = true;
	pthread_cond_broadcast(&prefetch->work);
	pthread_mutex_unlock(&prefetch->lock);
	for (unsigned i = 0; i < prefetch->threads; i++)
		pthread_join(prefetch->thread[i].id, NULL);
	while ((ready = STAILQ_FIRST(&prefetch->spare)) != NULL) {
		STAILQ_REMOVE_HEAD(&prefetch->spare, next);
		pb_batch_finish(&ready->batch);
		free(ready);
	}
	pthread_mutex_destroy(&prefetch->lock);
	pthread_cond_destroy(&prefetch->work);
	pthread_cond_destroy(&prefetch->given);
	pthread_cond_destroy(&prefetch->room);
	free(prefetch->input);
	free(prefetch);
}

static int
batch(void *arg, size_t i, size_t bytes_max, struct pb_batch *out,
    struct pb_err *err)
{
	struct prefetch *prefetch = arg;
	struct pb_search *search = prefetch->search;
	struct search_input *input = &search->input[i];
	struct part *part;
	int rc = 0;

	if (search->opts.backwards || input->failed.code != 0)
		return search_batch(search, i, bytes_max, out, err);
	if (input->cursor == NULL)
		rc = search_forward(search, input, NULL, NULL, err);
	if (rc == 0 && input->plan == NULL)
		return search_batch(search, i, bytes_max, out, err);
	if (rc == 0 && prefetch->input[i] == NULL)
		rc = begin(prefetch, i, err);
	if (rc < 0)
		return rc;
	while ((rc = plan_parts(prefetch, i, err)) > 0) {
		start_late(prefetch);
		part = TAILQ_FIRST(&prefetch->input[i]->parts);
		rc = is_ours(prefetch, input, part) ?
		    search_batch(search, i, bytes_max, out, err) :
		    take(prefetch, part, out, err);
		prefetch->input[i]->begun = true;
		if (rc != 0 || pb_stopped(search->opts.stop))
			return rc;
		end_part(prefetch, prefetch->input[i], part);
	}
	return rc;
}

static void
park(void *arg, size_t i)
{
	struct prefetch *prefetch = arg;

	search_park(prefetch->search, i);
}

static void
close_input(void *arg, size_t i)
{
	struct prefetch *prefetch = arg;

	if (prefetch->input[i] != NULL)
		drop_parts(prefetch, prefetch->input[i]);
	free(prefetch->input[i]);
	prefetch->input[i] = NULL;
	search_close(prefetch->search, i);
}

/* Nobody takes them any more; no thread reads them. */
static void
drop_parts(struct prefetch *prefetch, struct prefetch_input *in)
{
	struct part *part;

	pthread_mutex_lock(&prefetch->lock);
	TAILQ_FOREACH(part, &in->parts, next)
		if (part->state == PART_QUEUED)
			prefetch_dequeue(prefetch, part);
		else
			atomic_store(&part->dropped, true);
	pthread_cond_broadcast(&prefetch->room);
	TAILQ_FOREACH(part, &in->parts, next)
		while (part->state == PART_BEGUN)
			pthread_cond_wait(&prefetch->given, &prefetch->lock);
	pthread_mutex_unlock(&prefetch->lock);
	while ((part = TAILQ_FIRST(&in->parts)) != NULL)
		end_part(prefetch, in, part);
}

static int
begin(struct prefetch *prefetch, size_t i, struct pb_err *err)
{
	struct prefetch_input *in = calloc(1, sizeof(*in));

	if (in == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	if (prefetch->began_ns == 0)
		prefetch->began_ns = pb_clock_mono_ns();
	TAILQ_INIT(&in->parts);
	in->next_seq = prefetch->search->input[i].range.first_seq;
	prefetch->input[i] = in;
	return 0;
}

/* The input's next parts: 1 where it has one, 0 at its end, or an error: it
 * comes behind the parts before it, as if they were read one by one. */
static int
plan_parts(struct prefetch *prefetch, size_t i, struct pb_err *err)
{
	struct search_input *input = &prefetch->search->input[i];
	struct prefetch_input *in = prefetch->input[i];
	uint64_t first, last;

	/* Nobody waits for the first packets until others are planned. */
	while (!in->planned && (in->count == 0 || (in->begun &&
	    in->count < PARTS_AHEAD && prefetch->parts < PARTS_MAX))) {
		first = in->next_seq;
		last = input->range.last_seq;
		in->planned = pb_plan_part(input->plan, &first, &last,
		    &in->failed) <= 0 || add_part(prefetch, in, input, first,
		    last, &in->failed) < 0;
		in->next_seq = last + 1;
	}
	if (in->count == 0 && in->failed.code < 0)
		*err = in->failed;
	return in->count > 0 ? 1 : in->failed.code;
}

static int
add_part(struct prefetch *prefetch, struct prefetch_input *in,
    struct search_input *input, uint64_t first, uint64_t last,
    struct pb_err *err)
{
	struct part *part = calloc(1, sizeof(*part));

	if (part == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	part->input = input;
	part->first = first;
	part->last = last;
	STAILQ_INIT(&part->ready);
	TAILQ_INSERT_TAIL(&in->parts, part, next);
	prefetch->parts++;
	if (in->count++ > 0) {
		enqueue(prefetch, part);
		return 0;
	}
	part->state = PART_OURS;
	search_seek(input, first, last);
	return 0;
}

static void
enqueue(struct prefetch *prefetch, struct part *part)
{
	pthread_mutex_lock(&prefetch->lock);
	TAILQ_INSERT_TAIL(&prefetch->queue, part, waits);
	prefetch->queued++;
	pthread_cond_signal(&prefetch->work);
	pthread_mutex_unlock(&prefetch->lock);
}

/* Threads, once they are worth it. */
static void
start_late(struct prefetch *prefetch)
{
	if (!prefetch->tried && prefetch->queued >= PARTS_LEAST &&
	    pb_clock_mono_ns() - prefetch->began_ns >= START_NS)
		prefetch_start(prefetch);
}

void
prefetch_dequeue(struct prefetch *prefetch, struct part *part)
{
	TAILQ_REMOVE(&prefetch->queue, part, waits);
	prefetch->queued--;
	part->state = PART_OURS;
}

/* Its turn has come: where nobody has begun it, it is. */
static bool
is_ours(struct prefetch *prefetch, struct search_input *input,
    struct part *part)
{
	bool ours, taken;

	pthread_mutex_lock(&prefetch->lock);
	taken = part->state == PART_QUEUED;
	if (taken)
		prefetch_dequeue(prefetch, part);
	ours = part->state == PART_OURS;
	pthread_mutex_unlock(&prefetch->lock);
	if (taken)
		search_seek(input, part->first, part->last);
	return ours;
}

/* Of a thread's part, as search_batch(). */
static int
take(struct prefetch *prefetch, struct part *part, struct pb_batch *out,
    struct pb_err *err)
{
	struct pb_batch empty = *out;
	struct ready *ready;
	int rc = 1;

	pthread_mutex_lock(&prefetch->lock);
	while (part->state == PART_BEGUN && part->bytes < GIVEN_BYTES)
		pthread_cond_wait(&prefetch->given, &prefetch->lock);
	ready = STAILQ_FIRST(&part->ready);
	if (ready != NULL) {
		*out = ready->batch;
		ready->batch = empty;
		forget(prefetch, part, ready);
	} else {
		rc = part->err.code;
		if (rc < 0 && err != NULL)
			*err = part->err;
	}
	pthread_mutex_unlock(&prefetch->lock);
	return rc;
}

/* The first one there was, which is taken, or nobody takes. */
static void
forget(struct prefetch *prefetch, struct part *part, struct ready *ready)
{
	STAILQ_REMOVE_HEAD(&part->ready, next);
	part->bytes -= ready->memory;
	prefetch->bytes -= ready->memory;
	prefetch_put_spare(prefetch, ready);
	pthread_cond_broadcast(&prefetch->room);
	pthread_cond_signal(&prefetch->work);
}

/* No thread reads it. */
static void
end_part(struct prefetch *prefetch, struct prefetch_input *in,
    struct part *part)
{
	struct ready *ready;

	pthread_mutex_lock(&prefetch->lock);
	prefetch->lead -= part->state == PART_DONE;
	while ((ready = STAILQ_FIRST(&part->ready)) != NULL) {
		pb_batch_clear(&ready->batch);
		forget(prefetch, part, ready);
	}
	pb_explain_add(&prefetch->search->explain, &prefetch->explain);
	memset(&prefetch->explain, 0, sizeof(prefetch->explain));
	pthread_mutex_unlock(&prefetch->lock);
	TAILQ_REMOVE(&in->parts, part, next);
	in->count--;
	prefetch->parts--;
	free(part);
}
