/*
 * shipper/pull/pull_answer.c - what follows from answers about a stream
 *
 * Whoever answers late answers for nothing: a piece that was dropped is not
 * there, a stream that is unsure is asked about again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/pull/pull_impl.h"

#define NOTHING_MS	1000u	/* until it is asked for again, at first */

static void	here(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_answer *);
static bool	begin_here(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_answer *);
static void	there(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_answer *);
static void	fetched(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_action *, struct pb_pull_answer *);
static void	handed(struct pb_pull *, struct pb_pull_stream *,
		    struct pull_piece *, const struct pb_pull_answer *);
static void	acked(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_action *,
		    const struct pb_pull_answer *);
static void	gone(struct pb_pull *, struct pb_pull_stream *);
static void	sure(struct pb_pull *, struct pb_pull_stream *);
static bool	tell_restored(struct pb_pull_stream *);
static void	compare_piece(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_answer *);
static bool	waits_for(const struct pb_pull_stream *,
		    const struct pb_pull_action *);
static struct pull_piece *piece_of(const struct pb_pull_stream *,
		    const struct pb_pull_action *);
static void	not_fetched(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_action *, struct pb_pull_answer *);
static void	learn_next(struct pb_pull_stream *,
		    const struct pb_pull_coming *);
static void	keep(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_action *, struct pull_piece *,
		    struct pb_pull_answer *);
static void	stray(struct pb_pull *, struct pb_pull_stream *,
		    struct pull_piece *);
static void	set_apart(struct pb_pull *, struct pb_pull_stream *,
		    struct pull_piece *);

void
pull_stream_answer(struct pb_pull *pull, const struct pb_pull_action *action,
    struct pb_pull_answer *answer)
{
	struct pb_pull_stream *s = action->stream;

	if (action->kind == PB_PULL_HERE || action->kind == PB_PULL_HAND) {
		pull->hands--;
		pull->opts.budget->hands--;
	} else if (action->kind != PB_PULL_FORK) {
		pull->flights--;
	}
	if (action->kind != PB_PULL_ACK)
		s->flights--;
	switch (action->kind) {
	case PB_PULL_HERE:
		here(pull, s, answer);
		break;
	case PB_PULL_THERE:
		there(pull, s, answer);
		break;
	case PB_PULL_FETCH:
		fetched(pull, s, action, answer);
		break;
	case PB_PULL_HAND:
		if (!action->late)
			handed(pull, s, (struct pull_piece *)(void *)
			    action->piece, answer);
		else if (!pull_late_handed(pull, s, answer))
			pull_trouble(pull, s, answer);
		break;
	case PB_PULL_ACK:
		acked(pull, s, action, answer);
		break;
	case PB_PULL_FORK:
		if (answer->outcome == PB_PULL_DONE)
			pull_kept(pull, s);
		else
			pull_trouble(pull, s, answer);
		break;
	case PB_PULL_LIST:
		break;
	}
	pull_wake(pull, s);
}

/* --- whose packets they are ----------------------------------------------- */

static void
here(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_answer *answer)
{
	if (answer->outcome != PB_PULL_DONE)
		pull_trouble(pull, s, answer);
	else if (s->certainty == PULL_MINE)
		pull_mine(pull, s, answer);
	else if (s->certainty == PULL_SEEK ? pull_sought(pull, s, answer) :
	    begin_here(pull, s, answer))
		sure(pull, s);
}

static bool
begin_here(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_answer *answer)
{
	struct pull_piece *piece;

	s->here = answer->acked;
	pull_ask_behind(s, s->here);
	s->last = answer->last;
	s->told = 0;
	while ((piece = TAILQ_FIRST(&s->pieces)) != NULL &&
	    piece->of.last <= s->here)
		pull_drop_piece(pull, s, piece);
	/* What is kept follows, or is of no use. */
	if (piece != NULL && piece->of.first > s->here + 1)
		pull_drop_pieces(pull, s);
	piece = TAILQ_LAST(&s->pieces, pull_pieces);
	if (piece != NULL)
		s->asked = piece->of.last;
	return pull_compare(s);
}

static void
there(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_answer *answer)
{
	if (answer->outcome != PB_PULL_DONE)
		pull_trouble(pull, s, answer);
	else if (s->certainty == PULL_PIECE)
		compare_piece(pull, s, answer);
	else if (answer->acked == 0)
		gone(pull, s);
	else if (s->certainty == PULL_THERE ? pull_compared(pull, s, answer) :
	    pull_seen(pull, s, answer))
		sure(pull, s);
}

/* It was wiped, and begins under another epoch. */
static void
gone(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (s->there > s->here)
		pull_event(pull, PB_LOG_WARN, s, "it has nothing of this "
		    "epoch any more; packets %" PRIu64 " to %" PRIu64 " were "
		    "not fetched", s->here + 1, s->there);
	s->listed = false;
	s->there = s->here;
	pull_unsure(s);
	pull_released(s);
}

/*
 * What is here is the edge's.  What had been fetched before goes first, and
 * then it is asked again: that may be of an edge whose place another one has
 * taken, which has the same packets up to `here` only.  What came over a new
 * connection is compared, too.
 */
static void
sure(struct pb_pull *pull, struct pb_pull_stream *s)
{
	struct pull_piece *piece = TAILQ_FIRST(&s->pieces);

	if (piece != NULL && !piece->sure) {
		s->certainty = PULL_PIECE;
		return;
	}
	s->certainty = PULL_SURE;
	s->doubt |= piece != NULL;
	s->ask |= piece != NULL;
	if (s->late_piece != NULL)
		s->late_piece->sure = true;
	if (s->there <= s->here)
		pull_released(s);
	if (!tell_restored(s))
		pull_trouble(pull, s, &(struct pb_pull_answer){
		    .text = "no memory" });
	pull_wake(pull, s);
}

/* What goes before a part that begins is a gap. */
static bool
tell_restored(struct pb_pull_stream *s)
{
	struct pull_piece *piece;

	if (s->asked >= pull_base(s))
		return true;
	piece = pull_add_piece(s, s->asked + 1, pull_base(s));
	if (piece == NULL)
		return false;
	piece->of.reason = PB_GAP_RESTORED;
	piece->sure = true;
	return true;
}

static void
compare_piece(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_answer *answer)
{
	struct pull_piece *piece = TAILQ_FIRST(&s->pieces);
	bool gap = piece->of.reason != 0;

	if (gap ? answer->last.seq < piece->of.first :
	    answer->last.seq == piece->print.seq &&
	    answer->last.digest == piece->print.digest) {
		piece->sure = true;
		if (s->late_piece != NULL)
			s->late_piece->sure = true;
		s->certainty = PULL_SURE;
		return;
	}
	answer->text = "what it sent is not what it has now";
	pull_drop_from(pull, s, piece);
	pull_trouble(pull, s, answer);
}

/* --- from the edge -------------------------------------------------------- */

static void
fetched(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, struct pb_pull_answer *answer)
{
	struct pull_piece *piece;

	pull_brought(pull, action, answer);
	if (answer->outcome == PB_PULL_DONE && answer->piece.first == 0)
		answer->piece.first = action->number + 1;
	if (s->certainty == PULL_PAST) {
		pull_passed(pull, s, action, answer);
		return;
	}
	if (action->late) {
		pull_late_fetched(pull, s, action, answer);
		return;
	}
	piece = piece_of(s, action);
	if (piece == NULL && !waits_for(s, action)) {
		pb_buf_finish(&answer->piece.body);
		return;
	}
	if (piece == NULL)
		s->fetching = false;
	if (answer->outcome == PB_PULL_DONE) {
		s->nothings = 0;
		keep(pull, s, action, piece, answer);
		return;
	}
	/* What was to follow it does not. */
	if (piece != NULL)
		pull_drop_from(pull, s, piece);
	not_fetched(pull, s, action, answer);
}

/* What it was to follow may have been dropped since. */
static bool
waits_for(const struct pb_pull_stream *s, const struct pb_pull_action *action)
{
	return s->fetching && s->fetch_from == action->number &&
	    s->asked == action->number;
}

/* Its numbers are known. */
static struct pull_piece *
piece_of(const struct pb_pull_stream *s, const struct pb_pull_action *action)
{
	struct pull_piece *piece;

	TAILQ_FOREACH(piece, &s->pieces, link)
		if (piece->coming && piece->of.first == action->number + 1)
			return piece;
	return NULL;
}

static void
not_fetched(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, struct pb_pull_answer *answer)
{
	switch (answer->outcome) {
	case PB_PULL_NOTHING:
		/* It has hours in which it gives packets, perhaps.  What was
		 * under way together is no later, each. */
		if (pull->now_ms < s->retry_ms)
			return;
		s->retry_ms = pull->now_ms + pb_doubled_ms(NOTHING_MS,
		    s->nothings++, PB_BACKOFF_MS_MAX);
		return;
	case PB_PULL_GONE:
		gone(pull, s);
		return;
	case PB_PULL_TOO_LARGE:
		if (pull_larger(pull, action))
			return;
		break;
	case PB_PULL_REFUSED:
		pull_refuse(pull, s, "%s", answer->text);
		return;
	default:
		break;
	}
	pull_trouble(pull, s, answer);
}

void
pb_pull_coming(struct pb_pull *pull, const struct pb_pull_action *action,
    const struct pb_pull_coming *coming)
{
	struct pb_pull_stream *s = action->stream;
	struct pull_piece *piece = piece_of(s, action);

	if (action->late || coming->first != action->number + 1 ||
	    coming->last < coming->first)
		return;
	if (piece != NULL)
		pull_end_piece(pull, s, piece, coming->last);
	else if (waits_for(s, action) && pull_expect(s, coming->last))
		s->fetching = false;
	else
		return;
	learn_next(s, coming);
	pull_wake(pull, s);
}

/* Of what stands behind it that which is not asked for yet.  Answers come in
 * any order: one may know less than is known. */
static void
learn_next(struct pb_pull_stream *s, const struct pb_pull_coming *coming)
{
	unsigned from = 0;

	while (from < coming->nexts && s->asked >= coming->next[from].last)
		from++;
	if (s->asked != (from == 0 ? coming->last : coming->next[from - 1].
	    last) || coming->nexts - from <= s->knows)
		return;
	s->knows = coming->nexts - from;
	memcpy(s->known, coming->next + from, s->knows * sizeof(*s->known));
}

/*
 * Of another connection than those before: it waits until the edge has shown
 * that it is the same.
 */
static void
keep(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, struct pull_piece *piece,
    struct pb_pull_answer *answer)
{
	struct pb_pull_piece *of = &answer->piece;
	bool fits = of->first == action->number + 1 && of->last >= of->first &&
	    of->last <= INT64_MAX;

	/* What is past all that it has is no gap, yet. */
	if (of->reason != 0 && of->last > s->there && of->first <= s->there)
		of->last = s->there;
	if (fits && piece != NULL)
		pull_end_piece(pull, s, piece, of->last);
	else if (fits)
		piece = pull_add_piece(s, of->first, of->last);
	if (!fits) {
		pb_buf_finish(&of->body);
		if (piece != NULL)
			pull_drop_from(pull, s, piece);
		answer->text = "it answers other packets than it was asked "
		    "for";
		pull_trouble(pull, s, answer);
		return;
	}
	/* There is no memory: again, then. */
	if (piece == NULL) {
		pb_buf_finish(&of->body);
		return;
	}
	s->coming -= piece->coming;
	piece->coming = false;
	piece->of = *of;
	piece->sure = !answer->fresh && s->certainty == PULL_SURE && !s->doubt;
	pull_take_bytes(pull, of->body.len);
	if (!pull_begins(pull, s, of))
		stray(pull, s, piece);
	else if (!piece->sure)
		set_apart(pull, s, piece);
}

/* It is another edge than the one that was compared. */
static void
stray(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pull_piece *piece)
{
	pull_drop_from(pull, s, piece);
	s->ask = s->astray = true;
	pull_doubt(pull, s);
}

/* One at a time, and behind all that is sure: what follows it is fetched
 * again. */
static void
set_apart(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pull_piece *piece)
{
	struct pull_piece *before = TAILQ_PREV(piece, pull_pieces, link);
	struct pull_piece *behind = TAILQ_NEXT(piece, link);

	s->ask = true;
	pull_doubt(pull, s);
	if (behind != NULL)
		pull_drop_from(pull, s, behind);
	if ((before != NULL && !before->sure) || (piece->of.reason == 0 &&
	    !pull->opts.print(pull->opts.arg, &piece->of, false,
	    &piece->print)))
		pull_drop_from(pull, s, piece);
}

/* --- to our recorder ------------------------------------------------------ */

static void
handed(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pull_piece *piece, const struct pb_pull_answer *answer)
{
	piece->handing = false;
	switch (answer->outcome) {
	case PB_PULL_DONE:
		if (answer->acked < piece->of.last)
			break;
		if (piece->of.reason == 0)
			pull->packets += piece->of.last - piece->of.first + 1;
		pull->body_bytes += piece->of.body.len;
		pull->progress_ms = pull->now_ms;
		if (s->here < piece->of.last)
			s->here = piece->of.last;
		pull_drop_piece(pull, s, piece);
		pull_released(s);
		return;
	case PB_PULL_BROKEN:
		pull_drop_piece(pull, s, piece);
		pull_unsure(s);
		pull_refuse(pull, s, "what it sent is not taken: %s",
		    answer->text);
		return;
	case PB_PULL_REFUSED:
		/* It may be another one when it is tried again. */
		pull_drop_piece(pull, s, piece);
		pull_unsure(s);
		pull_refuse(pull, s, "%s", answer->text);
		return;
	case PB_PULL_BEHIND:
		if (s->troubles == 0) {
			s->troubles++;
			pull_unsure(s);
			return;
		}
		break;
	default:
		break;
	}
	pull_trouble(pull, s, answer);
}

static void
acked(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, const struct pb_pull_answer *answer)
{
	uint64_t wait;

	s->acking = false;
	if (answer->outcome == PB_PULL_DONE) {
		s->ack_troubles = 0;
		if (action->late)
			s->late_ack.last = 0;
		else if (action->number > s->told)
			s->told = action->number;
		return;
	}
	/* It has not that many: another one than it was. */
	if (answer->outcome == PB_PULL_BEHIND)
		pull_doubt(pull, s);
	pull_error(pull, answer->text);
	wait = pb_doubled_ms(NOTHING_MS, s->ack_troubles++,
	    PB_BACKOFF_MS_MAX);
	if (answer->retry_after_ms > wait)
		wait = answer->retry_after_ms < PB_RETRY_AFTER_MS_MAX ?
		    answer->retry_after_ms : PB_RETRY_AFTER_MS_MAX;
	s->ack_ms = pull->now_ms + wait;
}
