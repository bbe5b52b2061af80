/*
 * recorder/port/shaper.c - when, and how fast, a puller is answered
 */
#include "recorder/port/shaper.h"

#include <limits.h>
#include <string.h>

#include "conf/schedule.h"

static void	line_up(struct pb_shaped *);
static bool	goes_before(const struct pb_shaped *,
		    const struct pb_shaped *);

void
pb_shaper_init(struct pb_shaper *shaper,
    const struct pb_conf_upstream *section, uint64_t now_ms)
{
	*shaper = (struct pb_shaper){ .schedule = section->schedule };
	pthread_mutex_init(&shaper->lock, NULL);
	TAILQ_INIT(&shaper->line);
	strcpy(shaper->priority, section->priority);
	pb_rate_init(&shaper->rate, section->rate_limit, section->rate_burst,
	    now_ms);
}

void
pb_shaper_finish(struct pb_shaper *shaper)
{
	pthread_mutex_destroy(&shaper->lock);
}

void
pb_shaper_change(struct pb_shaper *shaper,
    const struct pb_conf_upstream *section, uint64_t now_ms)
{
	pthread_mutex_lock(&shaper->lock);
	shaper->schedule = section->schedule;
	strcpy(shaper->priority, section->priority);
	pb_rate_change(&shaper->rate, section->rate_limit,
	    section->rate_burst, now_ms);
	pthread_mutex_unlock(&shaper->lock);
}

bool
pb_shaper_closed(struct pb_shaper *shaper, uint64_t now_ns)
{
	bool closed;

	pthread_mutex_lock(&shaper->lock);
	closed = pb_schedule_waits(&shaper->schedule, now_ns) != 0;
	pthread_mutex_unlock(&shaper->lock);
	return closed;
}

size_t
pb_shaper_second(struct pb_shaper *shaper)
{
	uint64_t bytes;

	pthread_mutex_lock(&shaper->lock);
	bytes = shaper->rate.bytes_per_s;
	pthread_mutex_unlock(&shaper->lock);
	return bytes > 0 ? (size_t)bytes : SIZE_MAX;
}

size_t
pb_shaper_bytes(struct pb_shaper *shaper, size_t bytes, size_t least)
{
	uint64_t most;

	pthread_mutex_lock(&shaper->lock);
	most = shaper->rate.bytes_per_s;
	pthread_mutex_unlock(&shaper->lock);
	if (most == 0 || most >= bytes / PB_SHAPER_ANSWER_S)
		return bytes;
	most *= PB_SHAPER_ANSWER_S;
	return most > least ? (size_t)most : least;
}

int
pb_shaper_tick(struct pb_shaper *shaper, uint64_t now_ms)
{
	struct pb_shaped *first = TAILQ_FIRST(&shaper->line);
	uint64_t wait_ms;

	if (first == NULL)
		return -1;
	pthread_mutex_lock(&shaper->lock);
	wait_ms = pb_rate_wait_ms(&shaper->rate, now_ms);
	pthread_mutex_unlock(&shaper->lock);
	if (wait_ms == 0)
		first->wake(first->arg);
	return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

bool
pb_shaped_begin(struct pb_shaped *shaped, struct pb_shaper *shaper,
    const char *stream, void (*wake)(void *arg), void *arg)
{
	bool limited;

	pthread_mutex_lock(&shaper->lock);
	limited = shaper->rate.bytes_per_s > 0;
	if (limited)
		*shaped = (struct pb_shaped){ .shaper = shaper,
		    .rank = pb_conf_rank(shaper->priority, stream),
		    .number = shaper->answers++, .wake = wake, .arg = arg };
	pthread_mutex_unlock(&shaper->lock);
	return limited;
}

/* Who has been woken and is still on its way keeps its place: nobody behind it
 * takes what it was woken for. */
size_t
pb_shaped_take(struct pb_shaped *shaped, size_t want, size_t left,
    uint64_t now_ms)
{
	struct pb_shaper *shaper = shaped->shaper;
	size_t len;

	if (!shaped->waits)
		line_up(shaped);
	if (TAILQ_FIRST(&shaper->line) != shaped)
		return 0;
	pthread_mutex_lock(&shaper->lock);
	len = pb_rate_take(&shaper->rate, want, now_ms);
	shaper->rate.wanted |= left > len ||
	    TAILQ_NEXT(shaped, link) != NULL;
	pthread_mutex_unlock(&shaper->lock);
	if (len == 0)
		return 0;
	TAILQ_REMOVE(&shaper->line, shaped, link);
	shaped->waits = false;
	shaped->begun = true;
	return len;
}

void
pb_shaped_end(struct pb_shaped *shaped)
{
	struct pb_shaper *shaper = shaped->shaper;

	if (shaper == NULL)
		return;
	if (shaped->waits)
		TAILQ_REMOVE(&shaper->line, shaped, link);
	shaped->waits = false;
	if (!TAILQ_EMPTY(&shaper->line))
		return;
	/* Else what nobody waits for would be made up for as if late. */
	pthread_mutex_lock(&shaper->lock);
	shaper->rate.wanted = false;
	pthread_mutex_unlock(&shaper->lock);
}

static void
line_up(struct pb_shaped *shaped)
{
	struct pb_shaper *shaper = shaped->shaper;
	struct pb_shaped *other;

	shaped->waits = true;
	TAILQ_FOREACH(other, &shaper->line, link) {
		if (!goes_before(shaped, other))
			continue;
		TAILQ_INSERT_BEFORE(other, shaped, link);
		return;
	}
	TAILQ_INSERT_TAIL(&shaper->line, shaped, link);
}

static bool
goes_before(const struct pb_shaped *a, const struct pb_shaped *b)
{
	if (a->begun != b->begun)
		return a->begun;
	if (!a->begun && a->rank != b->rank)
		return a->rank < b->rank;
	return a->number < b->number;
}
