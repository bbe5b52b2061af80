/*
 * shipper/ship/ship_fork.c - are the receiver's packets the ones that are here?
 *
 *	asked -> the last packet there is the one here      -> go on
 *	      -> it is another one, or past the end here
 *	           -> questions further back, for the last that is the same
 *	           -> fork: the numbers behind it go another way
 *	             (another node's stream: not before ours reach that far)
 *
 * An older copy of a store that goes on gives numbers a second time; so do
 * two edges from one image.  Who asks is told which packet is the last, and
 * it must be the one that is here, or the numbers behind the last common one
 * are a stream of their own to this receiver, with another epoch.
 *
 * Promise: nothing is sent under a number that the receiver has for another
 *          packet, where that can be known.
 * Reason:  up to a point both have the same packets, behind it none: so the
 *          point is found by halves, and nothing is read but where the two
 *          differ.
 * Limit:   QUESTIONS_MAX questions; then the fork is at the highest packet
 *          that is known to be the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shipper/ship/ship.h"
#include "shipper/ship/ship_impl.h"

#define LOOKS_MAX	64u	/* at gaps behind the last packet there */
#define QUESTIONS_MAX	80u	/* 64 halves, and where a number is missing */

enum finding {
	SAME,
	DIFFERENT,
	ELSEWHERE,		/* only a lower one is here */
	NOTHING,		/* nothing up to it is here that can be read */
	UNREAD,			/* not now: tried again */
	SOON,			/* it is looked for */
};

static bool	first_answer(struct pb_ship *, struct ship_stream *,
		    const struct pb_fingerprint *);
static bool	closed_answer(struct pb_ship *, struct ship_stream *,
		    const struct pb_fingerprint *);
static bool	is_sure(const struct ship_stream *,
		    const struct pb_fingerprint *);
static bool	compare(struct pb_ship *, struct ship_stream *,
		    const struct pb_fingerprint *);
static bool	halve(struct pb_ship *, struct ship_stream *,
		    const struct pb_fingerprint *);
static enum finding find(struct pb_ship *, struct ship_stream *,
		    const struct pb_fingerprint *, uint64_t *);
static bool	differs(struct pb_ship *, struct ship_stream *, uint64_t);
static bool	next_half(struct pb_ship *, struct ship_stream *);
static bool	ask_at(struct ship_stream *, uint64_t);
static bool	is_same(struct pb_ship *, struct ship_stream *,
		    const struct pb_fingerprint *);
static enum finding look_passed(struct pb_ship *, struct ship_stream *,
		    uint64_t, uint64_t *);
static bool	cannot_tell(struct pb_ship *, struct ship_stream *, bool);
static bool	try_later(struct pb_ship *, struct ship_stream *);
static bool	fork_behind(struct pb_ship *, struct ship_stream *, uint64_t);
static void	await(struct pb_ship *, struct ship_stream *, uint64_t);
static void	wait_for(struct ship_stream *, uint64_t);
static bool	hold_answer(struct ship_stream *);

void
pb_ship_part(struct pb_ship *ship, uint32_t id, uint64_t base, bool closed)
{
	struct ship_stream *s = ship_find(ship, id);

	if (s == NULL)
		return;
	ship->closed += (closed ? 1u : 0u) - (s->closed ? 1u : 0u);
	s->base = base;
	s->closed = closed;
	if (s->released < base)
		s->released = base;
}

bool
ship_prove(struct pb_ship *ship, struct ship_stream *s,
    const struct pb_answer *answer, uint64_t *number)
{
	struct ship_proof *proof = &s->proof, before = *proof;
	const struct pb_fingerprint *last = &answer->last;
	bool go_on;

	s->await = 0;
	if (s->closed && s->known)
		return true;
	if (proof->asked == 0) {
		proof->number = *number;
		proof->same = proof->low = s->base;
	}
	/* What has come since the first answer is not proven. */
	*number = proof->number;
	proof->asked++;
	if (s->closed)
		go_on = closed_answer(ship, s, last);
	else if (proof->high != 0)
		go_on = halve(ship, s, last);
	else if (proof->asked == 1)
		go_on = first_answer(ship, s, last);
	else
		go_on = compare(ship, s, last);
	if (go_on && !s->closed &&
	    ship->source.stay(ship->source.arg, s->id) == PB_SHIP_SOON)
		go_on = hold_answer(s);
	if (s->held) {
		*proof = before;
		s->held_acked = answer->acked;
		s->held_last = *last;
	}
	if (!go_on)
		return false;
	memset(proof, 0, sizeof(*proof));
	s->unproven = s->await != 0;
	return true;
}

void
ship_prove_again(struct ship_stream *s)
{
	memset(&s->proof, 0, sizeof(s->proof));
	s->held = false;
}

bool
ship_is_ahead(const struct ship_stream *s, uint64_t number)
{
	return s->own && !s->closed && number > s->end;
}

void
ship_came(struct pb_ship *ship, struct ship_stream *s)
{
	if (s->await == 0 || s->end < s->await ||
	    (s->state != PB_CURSOR_WAITING && s->state != PB_CURSOR_READY))
		return;
	s->await = 0;
	ship_release(ship, s, PB_CURSOR_UNKNOWN);
}

/* --- questions and answers ---------------------------------------------- */

/*
 * Mostly it is the packet that was confirmed last: nothing is read.  But an
 * own stream is looked at once a start: what is remembered may be younger
 * than the store, whose end it then was.
 */
static bool
first_answer(struct pb_ship *ship, struct ship_stream *s,
    const struct pb_fingerprint *last)
{
	if (last->seq == 0)
		return cannot_tell(ship, s, ship->tells &&
		    s->proof.number > 0 && s->sure.seq != 0);
	ship->tells = true;
	if (is_sure(s, last) && last->seq <= s->end && (s->known || !s->own))
		return is_same(ship, s, last);
	if (last->seq > s->end && !s->own) {
		/* They come again from where they came, if ever: until then
		 * there is nothing to send. */
		wait_for(s, last->seq);
		return true;
	}
	if (last->seq > s->end)
		return differs(ship, s, s->end + 1);
	return compare(ship, s, last);
}

static bool
is_sure(const struct ship_stream *s, const struct pb_fingerprint *last)
{
	return last->seq == s->sure.seq && last->digest == s->sure.digest;
}

/*
 * Others have what follows; all before it was proven once, to whoever had
 * the upstream's name then.  The last packet of the part is looked at, once
 * a start.
 */
static bool
closed_answer(struct pb_ship *ship, struct ship_stream *s,
    const struct pb_fingerprint *last)
{
	char line[PB_SHIP_TEXT_MAX];
	uint64_t ours;

	if (last->seq == 0)
		return true;
	if (s->proof.at == 0)
		return ask_at(s, s->end);
	if (last->seq > s->end)
		return true;
	switch (find(ship, s, last, &ours)) {
	case DIFFERENT:
		break;
	case SOON:
		return hold_answer(s);
	default:
		return true;
	}
	snprintf(line, sizeof(line), "it has other packets than this store, "
	    "below %" PRIu64 " too, where it went under another epoch: is it "
	    "another upstream under the same name?", s->end);
	if (s->refusals++ == 0)
		ship_event(ship, PB_LOG_WARN, s->id, "%s", line);
	ship_prove_again(s);
	ship_hold(ship, s, PB_CURSOR_REFUSED, ship->now_ms + PB_REFUSED_MS_MAX,
	    line);
	return false;
}

/* The last packet that both may have is wanted. */
static bool
compare(struct pb_ship *ship, struct ship_stream *s,
    const struct pb_fingerprint *last)
{
	uint64_t ours;

	switch (find(ship, s, last, &ours)) {
	case SAME:
		return is_same(ship, s, last);
	case DIFFERENT:
		/* It says so again when it has looked at all around it: a
		 * bit may have rotted. */
		if (s->proof.at != last->seq)
			return ask_at(s, last->seq);
		return differs(ship, s, last->seq);
	case ELSEWHERE:
		if (s->proof.asked < QUESTIONS_MAX)
			return ask_at(s, ours);
		break;
	case NOTHING:
		/* It has gone from here since it was confirmed. */
		if (is_sure(s, last))
			return is_same(ship, s, last);
		break;
	case UNREAD:
		return try_later(ship, s);
	case SOON:
		return hold_answer(s);
	}
	return cannot_tell(ship, s, last->seq != 0);
}

/* One step of the search between proof->low and proof->high. */
static bool
halve(struct pb_ship *ship, struct ship_stream *s,
    const struct pb_fingerprint *last)
{
	struct ship_proof *proof = &s->proof;
	uint64_t ours = 0;

	if (last->seq <= proof->low) {
		proof->low = proof->at;
		return next_half(ship, s);
	}
	switch (find(ship, s, last, &ours)) {
	case SAME:
		proof->same = last->seq;
		proof->low = proof->at;
		break;
	case DIFFERENT:
		if (last->seq < proof->high)
			proof->high = last->seq;
		break;
	case ELSEWHERE:
		if (ours > proof->low && proof->asked < QUESTIONS_MAX)
			return ask_at(s, ours);
		proof->low = proof->at;
		break;
	case NOTHING:
		proof->low = proof->at;
		break;
	case UNREAD:
		return try_later(ship, s);
	case SOON:
		return hold_answer(s);
	}
	return next_half(ship, s);
}

/* The packet here at the number of theirs, cut as theirs is; or the next lower
 * one: `*ours`. */
static enum finding
find(struct pb_ship *ship, struct ship_stream *s,
    const struct pb_fingerprint *theirs, uint64_t *ours)
{
	struct pb_fingerprint found = { .seq = 0 };
	struct pb_err err;
	int rc = 0;

	if (theirs->seq != 0)
		rc = ship->source.below(ship->source.arg, s->id, theirs->seq,
		    theirs->captured, &found, &err);
	if (rc == PB_SHIP_SOON)
		return SOON;
	if (rc == PB_ESYS || rc == PB_ENOMEM) {
		snprintf(ship->last_error, sizeof(ship->last_error), "%.200s",
		    err.text);
		return UNREAD;
	}
	if (rc < 0)
		ship_event(ship, PB_LOG_WARN, s->id, "packet %" PRIu64
		    " cannot be compared: %.160s", theirs->seq, err.text);
	*ours = found.seq;
	if (rc != 1 || found.seq <= s->base)
		return NOTHING;
	if (found.seq < theirs->seq)
		return ELSEWHERE;
	return found.digest == theirs->digest ? SAME : DIFFERENT;
}

/* From `high` on it is not the same. */
static bool
differs(struct pb_ship *ship, struct ship_stream *s, uint64_t high)
{
	s->proof.high = high;
	/* What was the same once is a good guess. */
	if (s->sure.seq > s->proof.low && s->sure.seq < high)
		return ask_at(s, s->sure.seq);
	return next_half(ship, s);
}

static bool
next_half(struct pb_ship *ship, struct ship_stream *s)
{
	struct ship_proof *proof = &s->proof;

	if (proof->high - proof->low <= 1 || proof->asked >= QUESTIONS_MAX)
		return fork_behind(ship, s, proof->same);
	/* Just behind the guess it is, where the guess was right. */
	if (s->sure.seq != 0 && proof->low == s->sure.seq &&
	    proof->same == s->sure.seq)
		return ask_at(s, proof->low + 1);
	return ask_at(s, proof->low + (proof->high - proof->low) / 2);
}

static bool
ask_at(struct ship_stream *s, uint64_t at)
{
	s->proof.at = at;
	return false;
}

/* --- what comes of it --------------------------------------------------- */

static bool
is_same(struct pb_ship *ship, struct ship_stream *s,
    const struct pb_fingerprint *last)
{
	uint64_t passed;

	if (!is_sure(s, last))
		s->changed = true;
	s->sure = *last;
	/* What it was told is missing was never here. */
	if (ship_is_ahead(s, s->proof.number))
		return fork_behind(ship, s, last->seq);
	if (!s->own || last->seq >= s->proof.number)
		return true;
	switch (look_passed(ship, s, last->seq, &passed)) {
	case DIFFERENT:
		return fork_behind(ship, s, passed);
	case UNREAD:
		return try_later(ship, s);
	default:
		return true;
	}
}

/*
 * Behind `last` it was told of gaps.  Where a packet is here that was never
 * a letter, nor known to be passed, another store has told it: DIFFERENT,
 * and they are all past `*passed`.
 */
static enum finding
look_passed(struct pb_ship *ship, struct ship_stream *s, uint64_t last,
    uint64_t *passed)
{
	struct pb_piece piece;
	struct pb_err err;

	*passed = last > s->acked ? last : s->acked;
	if (*passed < s->base)
		*passed = s->base;
	last = *passed;
	for (unsigned i = 0; i < LOOKS_MAX && last < s->proof.number; i++) {
		if (ship->source.look(ship->source.arg, s->id, last + 1, NULL,
		    PB_SHIP_FIRST_BYTES, false, &piece, &err) < 0) {
			snprintf(ship->last_error, sizeof(ship->last_error),
			    "%.200s", err.text);
			return UNREAD;
		}
		if (piece.kind == PB_PIECE_NONE)
			break;
		if (piece.kind == PB_PIECE_PACKETS && !piece.letter &&
		    !piece.settles)
			return DIFFERENT;
		last = piece.last;
	}
	return SAME;
}

/* A receiver of before does not say which packet is its last one; nor one
 * that has none. */
static bool
cannot_tell(struct pb_ship *ship, struct ship_stream *s, bool news)
{
	uint64_t last = s->acked < s->end ? s->acked : s->end;

	if (ship_is_ahead(s, s->proof.number))
		return fork_behind(ship, s, last > s->base ? last : s->base);
	if (news && !s->told_blind)
		ship_event(ship, PB_LOG_WARN, s->id, "no packet can be "
		    "compared: going on behind number %" PRIu64 " without a "
		    "proof that it is the same stream", s->proof.number);
	s->told_blind |= news;
	return true;
}

/* It is understood when what it is to be compared with is known. */
static bool
hold_answer(struct ship_stream *s)
{
	s->held = true;
	return false;
}

static bool
try_later(struct pb_ship *ship, struct ship_stream *s)
{
	ship_prove_again(s);
	ship_trouble(ship, s, ship->last_error);
	return false;
}

static bool
fork_behind(struct pb_ship *ship, struct ship_stream *s, uint64_t last)
{
	struct pb_err err;
	int rc = ship->source.fork(ship->source.arg, s->id, last, &err);

	if (rc == 1) {
		pb_ship_part(ship, s->id, s->base, true);
		s->end = last;
		s->changed = true;
		return true;
	}
	if (rc == PB_SHIP_SOON)
		return hold_answer(s);
	if (rc == 0)
		/* No packet of ours there yet that could give it a name. */
		await(ship, s, s->end + 1);
	else if (rc == PB_ELIMIT)
		ship_hold(ship, s, PB_CURSOR_REFUSED,
		    ship->now_ms + PB_REFUSED_MS_MAX, err.text);
	else
		ship_trouble(ship, s, err.text);
	ship_prove_again(s);
	return false;
}

static void
await(struct pb_ship *ship, struct ship_stream *s, uint64_t end)
{
	char line[PB_SHIP_TEXT_MAX];

	snprintf(line, sizeof(line), "it has other packets than this store, "
	    "up to %" PRIu64 ": goes on when those from here reach %" PRIu64,
	    s->proof.number, end);
	ship_prove_again(s);
	ship_hold(ship, s, PB_CURSOR_WAITING, ship->now_ms + PB_RECHECK_MS,
	    line);
	wait_for(s, end);
}

static void
wait_for(struct ship_stream *s, uint64_t end)
{
	s->await = end;
	if (!s->unproven)
		s->await_end = s->end;
	s->unproven = true;
}
