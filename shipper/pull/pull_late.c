/*
 * shipper/pull/pull_late.c - packets that came late to the edge
 *
 * Numbers that this node was told are a gap, and that are there after all:
 * the edge tells them as runs, and all of them again whenever it begins anew.
 * They are fetched a run after the other, the lowest first, beside what is
 * fresh; our recorder puts them into its gap.  What of a run is not there after
 * all is left out.  One that cannot be had, or that our recorder refuses, is
 * tried again after all others, less and less often, and holds up nothing that
 * is fresh.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "shipper/pull/pull_impl.h"

static bool	add(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_ship_run);
static size_t	place(const struct pb_pull_stream *, uint64_t);
static bool	take(struct pb_pull *, struct pb_pull_stream *);
static bool	hand(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_action *);
static bool	fetch(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_action *);
static void	failed(struct pb_pull *, struct pb_pull_stream *, uint64_t,
		    const char *);
static void	refused(struct pb_pull *, struct pb_pull_stream *, uint64_t,
		    const char *);
static bool	keep(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_action *, struct pb_pull_answer *);
static void	pass(struct pb_pull_stream *, uint64_t);
static void	skip(struct pb_pull_stream *, uint64_t);

void
pull_late_told(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_row *row)
{
	for (unsigned i = 0; i < row->lates; i++) {
		const struct pb_ship_run *run = &row->late[i];

		if (run->first != 0 && run->first <= run->last &&
		    run->last <= INT64_MAX && !add(pull, s, *run))
			pull->late_missed = true;
	}
}

/* As one with those that it touches. */
static bool
add(struct pb_pull *pull, struct pb_pull_stream *s, struct pb_ship_run run)
{
	size_t at = place(s, run.first - 1), end = at;

	for (; end < s->lates && s->late[end].first <= run.last + 1; end++) {
		if (run.first > s->late[end].first)
			run.first = s->late[end].first;
		if (run.last < s->late[end].last)
			run.last = s->late[end].last;
	}
	if (end == at && (pull->lates >= PB_PULL_LATES_MAX ||
	    !PB_LIST_ROOM(s->late, s->lates_cap, s->lates)))
		return false;
	memmove(s->late + at + 1, s->late + end, (s->lates - end) *
	    sizeof(run));
	s->late[at] = run;
	s->lates += at + 1 - end;
	pull->lates += at + 1 - end;
	return true;
}

/* Of the first run that ends there or behind it. */
static size_t
place(const struct pb_pull_stream *s, uint64_t number)
{
	return PB_LIST_PLACE(s->late, s->lates, last, number);
}

bool
pull_late_step(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	if (s->late_fetching || s->late_ack.last != 0 ||
	    s->certainty != PULL_SURE || s->doubt || s->retry_ms != 0 ||
	    !take(pull, s))
		return false;
	return s->late_piece != NULL ? hand(pull, s, out) :
	    fetch(pull, s, out);
}

/* The run to be fetched: the lowest one, or the next behind what failed.  What
 * is past what is here is no gap here: it comes in its turn. */
static bool
take(struct pb_pull *pull, struct pb_pull_stream *s)
{
	size_t at = place(s, s->late_behind + 1);

	if (s->late_run.last == 0 && s->lates > 0) {
		if (at == s->lates || s->late[at].first > s->here)
			at = s->late_behind = 0;
		if (s->late[at].first > s->here)
			return false;
		s->late_run = s->late[at];
		memmove(s->late + at, s->late + at + 1, (--s->lates - at) *
		    sizeof(*s->late));
		pull->lates--;
	}
	return s->late_run.last != 0 && s->late_run.first <= s->here;
}

static bool
hand(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	struct pull_piece *piece = s->late_piece;

	if (piece->handing || !piece->sure || !pull_may_hand(pull, s))
		return false;
	pull_begin(s, PB_PULL_HAND, piece->of.last, out);
	out->epoch = pull_epoch(s, pull_part(s, s->late_run.first));
	out->piece = &piece->of;
	out->late = piece->handing = true;
	pull_hand_begins(pull, s);
	return true;
}

static bool
fetch(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	size_t bytes = pull_bytes(pull, s);
	unsigned part;

	if (!s->listed || !pull->up || !pull_is_due(pull, &s->late_ms) ||
	    !pull_may_ask(pull, s) || !pull_may_bring(pull, s, bytes))
		return false;
	pull_begin(s, PB_PULL_FETCH, s->late_run.first - 1, out);
	part = pull_part(s, s->late_run.first);
	out->epoch = pull_epoch(s, part);
	/* What is past it has another epoch. */
	if (part < pull_forks(s)->count)
		out->to = pb_forks_top(pull_forks(s), part);
	out->late = s->late_fetching = true;
	pull_bring(pull, out, bytes);
	return true;
}

void
pull_late_fetched(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, struct pb_pull_answer *answer)
{
	bool good = false;

	s->late_fetching = false;
	if (answer->outcome == PB_PULL_DONE) {
		good = keep(pull, s, action, answer);
	} else if (answer->outcome == PB_PULL_TOO_LARGE) {
		good = pull_larger(pull, action);
	} else if (answer->outcome == PB_PULL_GONE ||
	    (answer->outcome == PB_PULL_NOTHING &&
	    s->there < s->late_run.first)) {
		pass(s, s->late_run.last);
		good = true;
	}
	if (answer->outcome == PB_PULL_NOTHING)
		answer->text = "what came late there is not given now";
	if (!good)
		failed(pull, s, s->late_run.last, answer->text);
}

/* The first run is put off up to `last`.  All of the way fails as the list of
 * streams does. */
static void
failed(struct pb_pull *pull, struct pb_pull_stream *s, uint64_t last,
    const char *text)
{
	pull_error(pull, text);
	s->late_ms = pull->now_ms + pb_doubled_ms(PB_LATE_MS_FIRST,
	    s->late_fails, PB_LATE_MS_MAX);
	if (s->late_fails < UINT16_MAX)
		s->late_fails++;
	s->late_behind = last;
	if (!add(pull, s, (struct pb_ship_run){ s->late_run.first, last }))
		pull->late_missed = true;
	skip(s, last);
}

/* A gap there is still one here. */
static bool
keep(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, struct pb_pull_answer *answer)
{
	struct pb_pull_piece *of = &answer->piece;
	struct pull_piece *piece;

	if (of->first != action->number + 1 || of->last < of->first ||
	    (action->to != 0 && of->last > action->to)) {
		pb_buf_finish(&of->body);
		answer->text = "it answers other packets than it was asked "
		    "for";
		return false;
	}
	if (of->reason != 0) {
		pass(s, of->last);
		return true;
	}
	piece = calloc(1, sizeof(*piece));
	if (piece == NULL) {
		pb_buf_finish(&of->body);
		return true;		/* it is fetched again */
	}
	piece->of = *of;
	piece->sure = !answer->fresh && s->certainty == PULL_SURE &&
	    !s->doubt;
	s->late_piece = piece;
	pull_take_bytes(pull, of->body.len);
	if (!piece->sure) {
		s->ask = true;
		pull_doubt(pull, s);
	}
	return true;
}

bool
pull_late_handed(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_answer *answer)
{
	struct pb_pull_piece *of = &s->late_piece->of;
	uint64_t last = of->last < s->late_run.last ? of->last :
	    s->late_run.last;

	s->late_piece->handing = false;
	switch (answer->outcome) {
	case PB_PULL_DONE:
		pull->packets += of->last - of->first + 1;
		pull->body_bytes += of->body.len;
		pull->progress_ms = pull->now_ms;
		s->late_ack = (struct pb_ship_run){ of->first, last };
		pass(s, last);
		break;
	case PB_PULL_BROKEN:
	case PB_PULL_REFUSED:
		/* They may be taken when they are fetched again. */
		refused(pull, s, last, answer->text);
		break;
	default:
		return false;
	}
	pull_late_drop_piece(pull, s);
	return true;
}

/* Told once, as long as it is the same one that is. */
static void
refused(struct pb_pull *pull, struct pb_pull_stream *s, uint64_t last,
    const char *why)
{
	char text[PB_SHIP_TEXT_MAX];

	snprintf(text, sizeof(text), "packets %" PRIu64 " to %" PRIu64
	    " came late, and are not taken: %.150s", s->late_run.first, last,
	    why);
	if (s->late_refused != s->late_run.first)
		pull_event(pull, PB_LOG_WARN, s, "%s", text);
	s->late_refused = s->late_run.first;
	failed(pull, s, last, text);
}

/* The first run is done up to `last`. */
static void
pass(struct pb_pull_stream *s, uint64_t last)
{
	s->late_fails = 0;
	if (s->late_refused >= s->late_run.first && s->late_refused <= last)
		s->late_refused = 0;
	skip(s, last);
}

static void
skip(struct pb_pull_stream *s, uint64_t last)
{
	s->late_run.first = last + 1;
	if (last >= s->late_run.last)
		s->late_run.last = 0;
}

void
pull_late_drop_piece(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (s->late_piece == NULL)
		return;
	pull_give_bytes(pull, s->late_piece->of.body.len);
	pb_buf_finish(&s->late_piece->of.body);
	free(s->late_piece);
	s->late_piece = NULL;
}

void
pull_late_drop(struct pb_pull *pull, struct pb_pull_stream *s)
{
	pull_late_drop_piece(pull, s);
	pull->lates -= s->lates;
	s->lates = 0;
	s->late_run.last = 0;
	free(s->late);
	s->late = NULL;
}
