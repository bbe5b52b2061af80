/*
 * shipper/ship/ship_dead.c - what waits no longer: dead letters
 *
 * Promise: only what stood still for `retry_for` of trying is demoted, or
 *          what was refused as malformed, or is unsure; never what waits for
 *          its turn on a slow way.
 * Reason:  time counts on a clock of its own, that follows the real one
 *          only while this machine is driven.  A node that was off over
 *          the weekend, or a process that was stopped, did not try; what
 *          the clock said is kept over a restart, so nothing is lost either.
 * Limit:   one call of `demote` a millisecond; after an error one a second.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/ship/ship.h"
#include "shipper/ship/ship_impl.h"

/* Longer between two turns than this is a process that was stopped. */
#define TICK_MS_MAX	(2 * SHIP_LOOK_MS)
/* What waits is reported so often per `retry_for`, not more often than
 * once a look: as much may be lost by a kill -9. */
#define TELL_PARTS	32u

static uint64_t	stood_still_ms(const struct pb_ship *,
		    const struct ship_stream *);
static bool	troubled(const struct ship_stream *);
static unsigned	posts(const struct ship_stream *);
static void	passed(struct ship_stream *);
static void	pardon(struct pb_ship *, struct ship_stream *);
static struct ship_stream *next_dying(struct pb_ship *);
static void	demoted(struct pb_ship *, struct ship_stream *, uint64_t);
static void	tell(const struct pb_ship *, const struct ship_stream *);
static void	go_back(struct pb_ship *, struct ship_stream *, uint64_t);
static void	cannot(struct pb_ship *, const struct ship_stream *,
		    const char *);

void
ship_tick(struct pb_ship *ship)
{
	if (ship->tick_ms != 0 && ship->now_ms > ship->tick_ms)
		ship->clock_ms += ship->now_ms - ship->tick_ms < TICK_MS_MAX ?
		    ship->now_ms - ship->tick_ms : TICK_MS_MAX;
	ship->tick_ms = ship->now_ms;
}

/* --- waiting ------------------------------------------------------------ */

void
ship_note(struct pb_ship *ship, struct ship_stream *s)
{
	if (ship->retry_for_ms > 0 && s->end > s->released)
		pb_wait_note(&s->wait, s->end, ship->clock_ms,
		    PB_WAIT_SPACING_MS(ship->retry_for_ms));
}

void
ship_watch(struct pb_ship *ship, struct ship_stream *s)
{
	struct pb_ship_dead dead = { .reason = PB_DEAD_STALE };

	if (ship->retry_for_ms == 0 || s->end <= s->released)
		return;
	ship_note(ship, s);
	if (ship->clock_ms - s->told_ms >=
	    ship->retry_for_ms / TELL_PARTS + SHIP_LOOK_MS)
		s->changed = true;
	if (s->dead.reason != 0 ||
	    stood_still_ms(ship, s) < ship->retry_for_ms)
		return;
	dead.first = s->released + 1;
	dead.last = pb_wait_stale(&s->wait, ship->clock_ms,
	    ship->retry_for_ms);
	if (dead.last < dead.first)
		return;
	dead.text = s->text != NULL ? s->text : ship->last_error;
	ship_condemn(ship, s, &dead);
}

void
ship_moved(struct pb_ship *ship, struct ship_stream *s)
{
	s->moved_ms = ship->clock_ms;
	s->changed = true;
	passed(s);
}

void
ship_went_back(struct pb_ship *ship, struct ship_stream *s)
{
	s->released = s->acked > s->base ? s->acked : s->base;
	s->moved_ms = ship->clock_ms;
	pb_wait_clear(&s->wait);
	ship_note(ship, s);
}

void
pb_ship_filled(struct pb_ship *ship, uint32_t id, uint64_t first)
{
	struct ship_stream *s = ship_find(ship, id);

	if (s == NULL)
		return;
	/* Whether the demotion under way has seen it is not known. */
	if (s->demoting && first >= s->dead.first && first <= s->dead.last &&
	    (s->filled == 0 || first < s->filled))
		s->filled = first;
	go_back(ship, s, first);
}

/* What is not acked from `first` on waits again. */
static void
go_back(struct pb_ship *ship, struct ship_stream *s, uint64_t first)
{
	if (first <= s->acked || first > s->released)
		return;
	s->released = first - 1;
	s->changed = true;
	ship_note(ship, s);
}

/*
 * What the oldest number's waiting is worth, whether or not something is
 * wrong at this moment: no more than there was no progress.
 */
uint64_t
ship_waited_ms(const struct pb_ship *ship, const struct ship_stream *s,
    uint64_t *seq)
{
	uint64_t moved_ms = troubled(s) ? s->moved_ms : ship->moved_ms;
	uint64_t age_ms;

	*seq = pb_wait_oldest(&s->wait, ship->clock_ms, &age_ms);
	if (*seq != 0 && age_ms > ship->clock_ms - moved_ms)
		age_ms = ship->clock_ms - moved_ms;
	return age_ms;
}

/*
 * The upstream stood still for as long as the stream that waited longest.
 * Where that is too much for it, the other streams' own waiting, which was
 * bounded by the upstream's when it was kept, is the measure.
 */
void
ship_remember_wait(struct pb_ship *ship, struct ship_stream *s, uint64_t seq,
    uint64_t wait_ms)
{
	if (ship->retry_for_ms == 0)
		return;
	if (wait_ms > ship->retry_for_ms)
		wait_ms = ship->retry_for_ms;
	if (seq <= s->released)
		wait_ms = seq = 0;
	pb_wait_restore(&s->wait, seq, wait_ms, ship->clock_ms);
	s->moved_ms = ship->clock_ms - wait_ms;
	if (ship->clock_ms - ship->moved_ms < wait_ms)
		ship->moved_ms = ship->clock_ms - wait_ms;
	ship_note(ship, s);
}

/* For how long, while something is wrong; 0: nothing is. */
static uint64_t
stood_still_ms(const struct pb_ship *ship, const struct ship_stream *s)
{
	/* The receiver may have them. */
	if (s->end < s->await)
		return 0;
	if (troubled(s))
		return ship->clock_ms - s->moved_ms;
	if (ship->state == PB_SHIP_BACKOFF)
		return ship->clock_ms - ship->moved_ms;
	return 0;
}

static bool
troubled(const struct ship_stream *s)
{
	return s->troubles > 0 || s->refusals > 0;
}

static void
passed(struct ship_stream *s)
{
	if (s->released < s->acked)
		s->released = s->acked;
	pb_wait_passed(&s->wait, s->released);
}

/* --- demotion ----------------------------------------------------------- */

void
ship_condemn(struct pb_ship *ship, struct ship_stream *s,
    const struct pb_ship_dead *dead)
{
	free(s->dead_text);
	s->dead_text = strdup(dead->text);	/* without memory: none */
	s->dead = *dead;
	s->dead_from = dead->first;
	if (s->dead.attempts == 0)
		s->dead.attempts = ship->attempts > s->troubles ?
		    ship->attempts : s->troubles;
	ship_landed(ship, s);
}

void
ship_condemn_unsure(struct pb_ship *ship, struct ship_stream *s)
{
	struct pb_ship_dead dead = { .reason = PB_DEAD_UNSURE,
	    .attempts = 1, .text = "it is not known whether they were sent "
	    "before the shipper ended, and nothing is sent twice" };

	for (unsigned i = 0; s->dead.reason == 0 && i < PB_SHIP_UNSURE; i++) {
		dead.first = s->unsure[i].first;
		dead.last = s->unsure[i].last;
		if (dead.first > 0)
			ship_condemn(ship, s, &dead);
	}
}

/* It is done, or the stream has moved on. */
static void
pardon(struct pb_ship *ship, struct ship_stream *s)
{
	if (s->dying)
		TAILQ_REMOVE(&ship->dying, s, dying_link);
	s->dying = false;
	memset(&s->dead, 0, sizeof(s->dead));
	free(s->dead_text);
	s->dead_text = NULL;
}

/* What is under way may arrive yet: it is not given up before it ends. */
void
ship_landed(struct pb_ship *ship, struct ship_stream *s)
{
	if (s->dead.reason == 0 || s->dying || posts(s) > 0)
		return;
	TAILQ_INSERT_TAIL(&ship->dying, s, dying_link);
	s->dying = true;
}

void
ship_demote(struct pb_ship *ship)
{
	struct ship_stream *s;
	struct pb_ship_dead dead;
	struct pb_err err;
	uint64_t done = 0;
	int rc;

	if (ship->demoting != NULL || ship->now_ms < ship->dying_ms)
		return;
	s = next_dying(ship);
	if (s == NULL)
		return;
	/* Streams take turns. */
	TAILQ_REMOVE(&ship->dying, s, dying_link);
	TAILQ_INSERT_TAIL(&ship->dying, s, dying_link);
	dead = s->dead;
	dead.text = s->dead_text != NULL ? s->dead_text : "";
	ship->demoting = s;
	s->demoting = true;
	rc = ship->source.demote(ship->source.arg, s->id, &dead, &done, &err);
	if (rc != PB_SHIP_SOON)
		pb_ship_demoted(ship, done, rc < 0 ? err.text : NULL,
		    ship->now_ms);
}

void
pb_ship_demoted(struct pb_ship *ship, uint64_t done, const char *why,
    uint64_t now_ms)
{
	struct ship_stream *s = ship->demoting;

	ship->now_ms = now_ms;
	ship->demoting = NULL;
	s->demoting = false;
	if (why == NULL && done < s->dead.first)
		why = "nothing was demoted";
	if (why != NULL) {
		cannot(ship, s, why);
	} else {
		ship->cannot_demote = false;
		ship->dying_ms = now_ms + 1;
		demoted(ship, s, done < s->dead.last ? done : s->dead.last);
		if (s->filled != 0)
			go_back(ship, s, s->filled);
	}
	s->filled = 0;
	ship_enqueue(ship, s);
}

static unsigned
posts(const struct ship_stream *s)
{
	return s->flights - (s->asking ? 1 : 0);
}

/* The first that still is to be demoted; the others leave the queue. */
static struct ship_stream *
next_dying(struct pb_ship *ship)
{
	struct ship_stream *s;

	while ((s = TAILQ_FIRST(&ship->dying)) != NULL) {
		if (s->dead.reason == PB_DEAD_STALE &&
		    stood_still_ms(ship, s) < ship->retry_for_ms) {
			pardon(ship, s);
		} else if (posts(s) > 0) {
			TAILQ_REMOVE(&ship->dying, s, dying_link);
			s->dying = false;
		} else {
			break;
		}
	}
	return s;
}

static void
demoted(struct pb_ship *ship, struct ship_stream *s, uint64_t done)
{
	/* What is malformed may stand behind others that go on. */
	if (s->dead.first <= s->released + 1 && s->released < done)
		s->released = done;
	passed(s);
	s->changed = true;
	s->dead.first = done + 1;
	if (done < s->dead.last)
		return;
	tell(ship, s);
	for (unsigned i = 0; s->dead.reason == PB_DEAD_UNSURE &&
	    i < PB_SHIP_UNSURE; i++)
		if (s->unsure[i].first == s->dead_from)
			s->unsure[i].first = s->unsure[i].last = 0;
	pardon(ship, s);
	ship_condemn_unsure(ship, s);
}

static void
tell(const struct pb_ship *ship, const struct ship_stream *s)
{
	char why[64];

	if (s->dead.reason == PB_DEAD_STALE)
		snprintf(why, sizeof(why), "no progress for %" PRIu64 " s",
		    ship->retry_for_ms / 1000);
	else if (s->dead.reason == PB_DEAD_UNSURE)
		strcpy(why, "unsure");
	else
		snprintf(why, sizeof(why), "%s, status %d",
		    pb_dead_reason_name(s->dead.reason), s->dead.status);
	ship_event(ship, PB_LOG_WARN, s->id, "dead letters: %s: packets %"
	    PRIu64 " to %" PRIu64 ": %.160s", why, s->dead_from, s->dead.last,
	    s->dead_text != NULL ? s->dead_text : "");
}

static void
cannot(struct pb_ship *ship, const struct ship_stream *s, const char *text)
{
	ship->dying_ms = ship->now_ms + SHIP_LOOK_MS;
	if (!ship->cannot_demote)
		ship_event(ship, PB_LOG_ERROR, s->id, "cannot make dead "
		    "letters, trying again: %.160s", text);
	ship->cannot_demote = true;
}
