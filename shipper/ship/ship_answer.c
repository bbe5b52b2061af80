/*
 * shipper/ship/ship_answer.c - what an answer means for stream and upstream
 *
 *	has all up to N    go on behind it
 *	behind             go on from there; the third time in a row, wait
 *	too large          half the bytes; where that helps no more, malformed
 *	malformed, broken  of packets: those are dead letters; what is broken
 *	                   the second time, as that may be of the way
 *	refused            the stream: tried again, less and less often
 *	failed             the upstream backs off, then one probe decides
 *	stopped            the stream waits and asks: some proxies dislike
 *	                   one body and no other
 *	part               go on behind what was sent; nothing is wrong
 *
 * What something in front of the receiver calls too large is halved, as that
 * is how it heals, and believed no further.
 *
 * Promise: a failure harms no more than what failed.  After a failure, or
 *          an answer that does not fit, nothing is sent for a stream until
 *          all its requests have ended and the receiver was asked again.
 * Reason:  answers of requests on several connections overtake each other;
 *          only a question asked alone has an answer one can rely on.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/ship/ship.h"
#include "shipper/ship/ship_impl.h"

#define PIECE_BYTES_MIN	4096u	/* below this, halving helps no more */

static void	answered(struct pb_ship *, bool);
static bool	reached_it(const struct pb_ship *, const struct pb_answer *);
static void	stopped(struct pb_ship *, struct ship_stream *,
		    const struct ship_request *, const struct pb_answer *);
static void	unanswered(struct pb_ship *, struct ship_stream *,
		    const struct ship_request *, const struct pb_answer *);
static void	refused(struct pb_ship *, struct ship_stream *,
		    const struct pb_answer *);
static void	malformed(struct pb_ship *, struct ship_stream *,
		    const struct ship_request *, const struct pb_answer *);
static void	give_up(struct pb_ship *, struct ship_stream *,
		    const struct ship_request *, const struct pb_answer *);
static void	too_large(struct pb_ship *, struct ship_stream *,
		    const struct ship_request *, const struct pb_answer *);
static void	asked(struct pb_ship *, struct ship_stream *,
		    const struct ship_request *, const struct pb_answer *);
static void	begin(struct pb_ship *, struct ship_stream *, uint64_t);
static void	acked(struct pb_ship *, struct ship_stream *,
		    const struct ship_request *, const struct pb_answer *,
		    uint64_t);
static void	came_to(struct pb_ship *, struct ship_stream *,
		    struct ship_request *, uint64_t);
static void	conflict(struct pb_ship *, struct ship_stream *,
		    const struct ship_request *, uint64_t);
static void	pace(struct pb_ship *, const struct ship_request *);
static void	slow_down(struct pb_ship *, uint64_t);
static uint64_t	halved(uint64_t, uint64_t);
static void	doubt(struct pb_ship *, struct ship_stream *);
static void	doubt_all(struct pb_ship *);
static void	land(struct pb_ship *, struct ship_request *);

void
pb_ship_answer(struct pb_ship *ship, unsigned request,
    const struct pb_answer *answer, uint64_t now_ms, uint64_t random)
{
	struct ship_request r = ship->request[request];
	struct ship_stream *s = r.stream;
	bool lives = answer->outcome != PB_OUTCOME_FAILED &&
	    answer->outcome != PB_OUTCOME_STOPPED;

	ship->now_ms = now_ms;
	ship->random = random;
	assert(s != NULL);
	land(ship, &ship->request[request]);
	s->asked_ms = ship->now_ms;
	if (ship->way.remembered && answer->outcome != PB_OUTCOME_HAS &&
	    answer->acked >= r.first && answer->acked < r.last &&
	    r.kind == PB_ACTION_PACKETS)
		came_to(ship, s, &r, answer->acked);
	if (lives && (r.probe || ship->state == PB_SHIP_CONNECTING))
		answered(ship, reached_it(ship, answer));
	/* A probe that does not get there ends no back-off. */
	switch (r.probe && !lives ? PB_OUTCOME_FAILED : answer->outcome) {
	case PB_OUTCOME_HAS:
		if (r.kind == PB_ACTION_ASK)
			asked(ship, s, &r, answer);
		else
			acked(ship, s, &r, answer, ship->way.remembered ?
			    (r.late ? s->acked : r.last) : answer->acked);
		break;
	case PB_OUTCOME_BEHIND:
		if (r.late && answer->acked >= r.last && !answer->ask)
			/* It takes nothing that comes late. */
			give_up(ship, s, &r, answer);
		else
			conflict(ship, s, &r, answer->acked);
		break;
	case PB_OUTCOME_TOO_LARGE:
		too_large(ship, s, &r, answer);
		break;
	case PB_OUTCOME_BROKEN:
	case PB_OUTCOME_MALFORMED:
		malformed(ship, s, &r, answer);
		break;
	case PB_OUTCOME_REFUSED:
		refused(ship, s, answer);
		break;
	case PB_OUTCOME_STOPPED:
		stopped(ship, s, &r, answer);
		break;
	case PB_OUTCOME_PART:
		if (!r.late)
			doubt(ship, s);
		break;
	case PB_OUTCOME_FAILED:
		if (r.late)
			ship_late_failed(ship, s, &r);
		if (answer->ours && r.at != 0) {
			unanswered(ship, s, &r, answer);
			break;
		}
		ship_failed(ship, r.probe, answer);
		break;
	}
	ship_enqueue(ship, s);
	ship_landed(ship, s);
}

void
pb_ship_unsent(struct pb_ship *ship, unsigned request, const char *text,
    uint64_t now_ms, uint64_t random)
{
	struct ship_request r = ship->request[request];
	struct ship_stream *s = r.stream;

	ship->now_ms = now_ms;
	ship->random = random;
	assert(s != NULL);
	land(ship, &ship->request[request]);
	ship->sent_bytes -= r.bytes;
	if (r.probe) {
		ship->probing = false;
		ship->retry_ms = ship->now_ms + SHIP_LOOK_MS;
	}
	if (r.late) {
		/* The next one may do; this one when it is looked for again. */
		ship_event(ship, PB_LOG_WARN, s->id, "%.200s", text);
		if (s->late_from == r.first)
			s->late_from = r.last + 1;
		ship_enqueue(ship, s);
		ship_landed(ship, s);
		return;
	}
	/* Nothing was handed out after it, so stepping back is safe. */
	if (r.kind != PB_ACTION_ASK)
		s->sent = r.first - 1;
	s->mark.seq = 0;
	ship_trouble(ship, s, text);
	ship_landed(ship, s);
}

/* --- answers ------------------------------------------------------------ */

/* The upstream lives, whatever it said; or it was not `reached` for that, and
 * another probe decides. */
static void
answered(struct pb_ship *ship, bool reached)
{
	ship->probing = false;
	if (ship->state == PB_SHIP_BACKOFF && !reached)
		return;
	if (ship->state == PB_SHIP_BACKOFF && ship->attempts > 0)
		ship_event(ship, PB_LOG_INFO, 0,
		    "answers again after %u failed attempts", ship->attempts);
	else if (ship->state == PB_SHIP_BACKOFF)
		/* An ack of something else came before. */
		ship_event(ship, PB_LOG_INFO, 0, "answers again");
	ship->state = PB_SHIP_READY;
	ship->since_ms = ship->now_ms;
}

/* Of what cannot be asked only what it took says so: a unit or a part of it,
 * or a gap. */
static bool
reached_it(const struct pb_ship *ship, const struct pb_answer *answer)
{
	return !ship->way.remembered || answer->outcome == PB_OUTCOME_HAS ||
	    answer->acked != 0;
}

/*
 * Back off.  Requests that were under way together fail together: they
 * count once, until the probe that follows them fails as well.
 */
void
ship_failed(struct pb_ship *ship, bool probe, const struct pb_answer *answer)
{
	uint64_t wait, asked_for = answer->retry_after_ms;

	if (!probe && ship->state == PB_SHIP_BACKOFF) {
		snprintf(ship->last_error, sizeof(ship->last_error), "%s",
		    answer->text);
		return;
	}
	ship_error(ship, answer->text);
	if (probe)
		ship->probing = false;
	if (ship->attempts < UINT16_MAX)
		ship->attempts++;
	wait = pb_backoff_ms(ship->random, ship->attempts);
	if (asked_for > PB_RETRY_AFTER_MS_MAX)
		asked_for = PB_RETRY_AFTER_MS_MAX;
	if (wait < asked_for)
		wait = asked_for;
	ship->retry_ms = ship->now_ms + wait;
	if (ship->attempts == 1 || ship->state != PB_SHIP_BACKOFF)
		ship_event(ship, PB_LOG_WARN, 0, "backing off: %s",
		    ship->last_error);
	if (ship->state != PB_SHIP_BACKOFF)
		ship->since_ms = ship->now_ms;
	ship->state = PB_SHIP_BACKOFF;
	slow_down(ship, PB_SHIP_FIRST_BYTES);
	/* While it fails is the time to see what has waited too long. */
	ship->look_ms = ship->now_ms;
	if (!probe || ship->way.remembered)
		doubt_all(ship);
}

/* It lives, and answered this stream before: it cannot look there now. */
static void
unanswered(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r, const struct pb_answer *answer)
{
	if (s->state != PB_CURSOR_UNKNOWN || r->at != s->proof.at)
		return;
	ship_prove_again(s);
	ship_trouble(ship, s, answer->text);
}

/* The stream's next question tells whether all ways are closed. */
static void
stopped(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r, const struct pb_answer *answer)
{
	if (r->late) {
		ship_error(ship, answer->text);
		ship_late_failed(ship, s, r);
		return;
	}
	if (s->state != PB_CURSOR_READY)
		return;		/* the first of several said so already */
	doubt(ship, s);
	ship_trouble(ship, s, answer->text);
}

static void
refused(struct pb_ship *ship, struct ship_stream *s,
    const struct pb_answer *answer)
{
	uint64_t wait = pb_doubled_ms(PB_REFUSED_MS_FIRST, s->refusals,
	    PB_REFUSED_MS_MAX);

	if (s->state == PB_CURSOR_REFUSED)
		return;		/* several requests, one refusal */
	/* Told once, until it is taken again. */
	if (s->refusals == 0)
		ship_event(ship, PB_LOG_WARN, s->id, "refused, next try in "
		    "%u s: %s", (unsigned)(wait / 1000), answer->text);
	if (s->refusals < UINT16_MAX)
		s->refusals++;
	doubt(ship, s);
	ship_hold(ship, s, PB_CURSOR_REFUSED, ship->now_ms + wait,
	    answer->text);
}

/* These packets, and what stands behind them is not to wait for it. */
static void
malformed(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r, const struct pb_answer *answer)
{
	if (s->state != PB_CURSOR_READY)
		return;		/* the first of several said so already */
	doubt(ship, s);
	if (answer->outcome == PB_OUTCOME_BROKEN && s->suspect != r->first) {
		s->suspect = r->first;
		return;
	}
	s->suspect = 0;
	give_up(ship, s, r, answer);
}

/* What has a letter already is dead again; all else becomes one. */
static void
give_up(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r, const struct pb_answer *answer)
{
	struct pb_ship_dead dead = { .first = r->first, .last = r->last,
	    .reason = PB_DEAD_MALFORMED, .status = answer->status,
	    .attempts = answer->outcome == PB_OUTCOME_BROKEN &&
	    !r->letter ? 2 : 1,
	    .text = answer->text };

	ship_error(ship, answer->text);
	if (r->letter)
		ship_late_refused(ship, s, r, &dead);
	else
		ship_condemn(ship, s, &dead);
}

static void
too_large(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r, const struct pb_answer *answer)
{
	if (r->kind != PB_ACTION_PACKETS) {
		refused(ship, s, answer);
		return;
	}
	if (r->first == r->last || r->bytes / 2 < PIECE_BYTES_MIN ||
	    ship->way.unit == PB_UNIT_SEGMENT) {
		if (answer->ours) {
			malformed(ship, s, r, answer);
			return;
		}
		s->bytes_max = PB_SHIP_PIECE_BYTES;
		stopped(ship, s, r, answer);
		return;
	}
	s->halved_ms = ship->now_ms;
	if (s->bytes_max > r->bytes / 2)
		s->bytes_max = (size_t)(r->bytes / 2);
	ship_event(ship, PB_LOG_INFO, s->id, "requests of %" PRIu64
	    " bytes are too large for it: going on with %zu", r->bytes,
	    s->bytes_max);
	doubt(ship, s);
}

/* The answer to a question: the one number to rely on. */
static void
asked(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r, const struct pb_answer *answer)
{
	uint64_t number = answer->acked;

	/* A probe among requests that still hang says only that it lives,
	 * and what was refused meanwhile stays so. */
	if (s->flights > 0 || s->state != PB_CURSOR_UNKNOWN ||
	    r->at != s->proof.at)
		return;
	if (!ship_prove(ship, s, answer, &number))
		return;
	if (ship->way.pulled)
		number = s->acked;	/* it says so itself */
	ship_release(ship, s, PB_CURSOR_READY);
	if (number > s->acked) {
		ship->progress_ms = ship->now_ms;
		ship->moved_ms = ship->clock_ms;
		s->acked = number;
		ship_moved(ship, s);
	}
	if (number < s->acked) {
		ship_fell_back(ship, s, number);
		doubt_all(ship);
		ship_release(ship, s, PB_CURSOR_READY);
	}
	begin(ship, s, number);
}

void
ship_fell_back(struct pb_ship *ship, struct ship_stream *s, uint64_t number)
{
	ship_event(ship, PB_LOG_WARN, s->id, "it has packets up to %" PRIu64
	    " only and had %" PRIu64 ": sending again", number, s->acked);
	s->acked = number;
	ship_went_back(ship, s);
}

void
ship_recall(struct pb_ship *ship, struct ship_stream *s)
{
	ship_release(ship, s, PB_CURSOR_READY);
	begin(ship, s, s->acked);
}

/* It goes on behind `number`. */
static void
begin(struct pb_ship *ship, struct ship_stream *s, uint64_t number)
{
	/* What was remembered may be older than the letters: those that are
	 * there are told now, so that it passes them again.  Who pulls is told
	 * of none: they are no gap to it, and stay released. */
	if (!s->known && s->released > s->acked && !ship->way.pulled)
		ship_went_back(ship, s);
	s->sent = number;
	s->known = true;
	if (s->handed < number)
		s->handed = number;
	ship_late_again(s);
}

void
ship_asked_again(struct pb_ship *ship, struct ship_stream *s)
{
	struct pb_answer answer = { .acked = s->held_acked,
	    .last = s->held_last };
	struct ship_request r = { .at = s->proof.at };

	if (!s->held)
		return;
	s->held = false;
	asked(ship, s, &r, &answer);
}

static void
acked(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r, const struct pb_answer *answer,
    uint64_t number)
{
	if (number < r->last || ship_is_ahead(s, number)) {
		conflict(ship, s, r, number);
		return;
	}
	ship_progress(ship, r);
	if (answer->sent.seq == r->last && r->last > s->sure.seq)
		s->sure = answer->sent;
	if (r->settles)
		ship_late_acked(ship, s, r);
	/* A letter may have been requeued while it was told as a gap. */
	if (r->kind == PB_ACTION_GAP)
		ship_late_again(s);
	if (!r->late)
		s->troubles = s->refusals = 0;
	/* What was too large once need not be for ever. */
	if (ship->now_ms >= s->halved_ms + PB_HALVED_MS)
		s->bytes_max = PB_SHIP_PIECE_BYTES;
	if (number > s->acked)
		s->acked = number;
	else if (r->late)
		return;
	if (number > s->sent)
		s->sent = number;
	if (number > s->handed)
		s->handed = number;
	ship_moved(ship, s);
}

/* Of a request that did not get there this much was sent: the rest of it is
 * what the answer is about. */
static void
came_to(struct pb_ship *ship, struct ship_stream *s, struct ship_request *r,
    uint64_t number)
{
	struct ship_request sent = *r;

	sent.last = number;
	/* Says nothing of the way; of its bytes as many as of its packets. */
	sent.bytes = 0;
	ship_progress(ship, &sent);
	ship->acked_bytes += r->bytes / (r->last - r->first + 1) *
	    (number - r->first + 1);
	if (r->settles)
		ship_late_acked(ship, s, &sent);
	if (!r->late) {
		s->acked = number;
		ship_moved(ship, s);
	}
	r->first = number + 1;
}

/* The receiver wants another number than what it was sent. */
static void
conflict(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r, uint64_t number)
{
	char line[PB_SHIP_TEXT_MAX];

	if (s->state != PB_CURSOR_READY)
		return;		/* the first of several said so already */
	doubt(ship, s);
	if (s->troubles + 1 < PB_TROUBLES_MAX) {
		s->troubles++;
		return;
	}
	snprintf(line, sizeof(line), "it has packets up to %" PRIu64
	    " and does not take those from %" PRIu64 " on", number, r->first);
	ship_trouble(ship, s, line);
}

/* --- consequences ------------------------------------------------------- */

void
ship_progress(struct pb_ship *ship, const struct ship_request *r)
{
	ship->attempts = 0;
	if (ship->refused == 0)
		ship->last_error[0] = '\0';
	ship->progress_ms = ship->now_ms;
	ship->moved_ms = ship->owed_ms = ship->clock_ms;
	/* A letter of one that is pulled counted when it was passed. */
	if (!ship->way.pulled || !r->letter)
		ship->acked_bytes += r->bytes;
	if (r->kind != PB_ACTION_PACKETS)
		return;
	if (!ship->way.pulled || !r->letter)
		ship->acked_packets += r->last - r->first + 1;
	pace(ship, r);
}

/*
 * What one request and all of them together should hold, after how long
 * this one took: half as much for each time it took twice too long.  Those
 * under way together are slow together: once.
 */
static void
pace(struct pb_ship *ship, const struct ship_request *r)
{
	uint64_t took_ms = ship->now_ms - r->start_ms;
	uint64_t part = took_ms > PB_SHIP_PIECE_MS / 2 ? 8 : 1;

	if (ship->way.unit_bytes > 0)
		return;
	if (took_ms > PB_SHIP_PIECE_MS) {
		if (r->start_ms < ship->slowed_ms)
			return;
		ship->slowed_ms = ship->now_ms;
		for (; took_ms > PB_SHIP_PIECE_MS; took_ms /= 2)
			slow_down(ship, UINT64_MAX);
		return;
	}
	ship->window += r->bytes / part;
	if (ship->window > ship->window_max)
		ship->window = ship->window_max;
	/* Small ones show nothing of how larger ones fare. */
	if (r->bytes >= ship->piece_max / 2)
		ship->piece_max += ship->piece_max / part;
	if (ship->piece_max > PB_SHIP_PIECE_BYTES)
		ship->piece_max = PB_SHIP_PIECE_BYTES;
}

static void
slow_down(struct pb_ship *ship, uint64_t most)
{
	if (ship->way.unit_bytes > 0)
		return;
	ship->window = halved(ship->window, most);
	if (ship->window > ship->window_max)
		ship->window = ship->window_max;
	ship->piece_max = halved(ship->piece_max, most);
}

/* The half, at most `most`; never below the least that is of use. */
static uint64_t
halved(uint64_t bytes, uint64_t most)
{
	bytes /= 2;
	if (bytes > most)
		bytes = most;
	return bytes > PB_SHIP_WINDOW_MIN ? bytes : PB_SHIP_WINDOW_MIN;
}

/* Ask before the stream goes on, once all its requests have ended: what
 * is UNKNOWN sends nothing, and asks with nothing else under way. */
static void
doubt(struct pb_ship *ship, struct ship_stream *s)
{
	if (s->state != PB_CURSOR_WAITING && s->state != PB_CURSOR_REFUSED)
		ship_release(ship, s, PB_CURSOR_UNKNOWN);
	s->sent = s->acked;
	ship_prove_again(s);
	ship_dequeue(s);
}

static void
doubt_all(struct pb_ship *ship)
{
	for (unsigned i = 0; i < ship->streams; i++) {
		doubt(ship, ship->stream[i]);
		ship_enqueue(ship, ship->stream[i]);
	}
}

/* A request has ended: give back what it held. */
static void
land(struct pb_ship *ship, struct ship_request *r)
{
	struct ship_stream *s = r->stream;

	if (r->kind == PB_ACTION_ASK)
		s->asking = false;
	if (r->late)
		s->late_flight = false;
	s->flights--;
	ship->flights--;
	ship->flight_bytes -= r->bytes;
	memset(r, 0, sizeof(*r));
}
