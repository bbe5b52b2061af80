/*
 * shipper/pull/pull_fork.c - does the edge have the packets that are here?
 *
 *	the last packet here is the same there      -> go on behind it
 *	it is another one, or those there end before -> questions to both, by
 *	      halves, for the last one that both have (SEEK, SEEN)
 *	   -> the first one there past it            (PAST), which is not
 *	      here under that number                 (MINE)
 *	   -> the numbers past it have another epoch (KEEP), which is looked at
 *	      as if it had just been listed
 *
 * An older copy of an edge's store that goes on gives numbers a second time.
 * The epoch is that which the edge would have sent them under (forks.h): a
 * function of what both have.  So a crash at any of these steps costs the
 * questions, and does the same again; the list of forks is durable before
 * anything is taken in under it, for what it was found by may expire.
 *
 * The parts of a stream are one here: a number is looked for under the epoch
 * that it has.  An edge may be put back to before a fork, or be the one again
 * that it was before one: so it is looked for with the last fork, without it,
 * and so on, and where most is the same is where it goes on.
 *
 * Promise: nothing is taken in under a number that is here for another
 *          packet, and nothing that is here is taken in again under another
 *          epoch, where that can be known.
 * Reason:  an edge that takes the place of another one between two answers
 *          could be given a fork of that one's: what is past it is compared
 *          with what is here, and what is before it when the part is begun.
 * Limit:   QUESTIONS_MAX questions with each number of forks; then it is the
 *          highest packet that is known to be the same.  PB_FORKS_MAX forks
 *          of a stream.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/pull/pull_impl.h"

#define QUESTIONS_MAX	80u	/* 64 halves, and where a number is missing */

enum finding { SAME, DIFFERENT, NOTHING };

static void	search(struct pull_search *, uint64_t);
static bool	found(struct pb_pull *, struct pb_pull_stream *, enum finding);
static void	next_half(struct pb_pull_stream *);
static void	next_parts(struct pb_pull_stream *);
static void	keep(struct pb_pull *, struct pb_pull_stream *, unsigned,
		    const struct pb_fork *);
static bool	no_difference(struct pb_pull *, struct pb_pull_stream *);
static bool	same(const struct pb_fingerprint *,
		    const struct pb_fingerprint *);
static void	name_fork(struct pb_pull *, struct pb_pull_stream *);
static bool	named(const struct pb_forks *, unsigned,
		    const struct pb_fork *);

/* --- the last packet here ------------------------------------------------- */

/* Up to it, two edges may have the same: its name is of its first packet. */
bool
pull_begins(const struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_piece *piece)
{
	const struct pb_forks *forks = pull_forks(s);
	struct pb_fingerprint first;

	if (piece->reason != 0 || s->begun || forks->count == 0)
		return true;
	s->begun = pull->opts.print(pull->opts.arg, piece, true, &first) &&
	    pb_fork_epoch(pull_epoch(s, forks->count - 1), pull_base(s),
	    first.digest) == pull_epoch(s, forks->count);
	return s->begun;
}

bool
pull_compare(struct pb_pull_stream *s)
{
	const struct pull_piece *piece;

	s->begun = s->last.seq > pull_base(s);
	TAILQ_FOREACH(piece, &s->pieces, link)
		s->begun |= piece->of.reason == 0;
	search(&s->search, pull_base(s));
	s->search.there = s->there;
	s->certainty = PULL_SEEK;
	if (s->last.seq > pull_base(s))
		s->certainty = PULL_THERE;
	return s->last.seq == 0 && pull_base(s) == 0;
}

/* What it says may be a mistake of a disk: it is asked for once more. */
bool
pull_compared(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_answer *answer)
{
	const struct pb_fingerprint *last = &answer->last;

	search(&s->search, last->seq);
	s->search.there = answer->acked;
	s->certainty = PULL_SEEK;
	return (last->seq == 0 || same(last, &s->last)) &&
	    no_difference(pull, s);
}

/* --- by halves ------------------------------------------------------------ */

bool
pull_sought(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_answer *answer)
{
	struct pull_search *of = &s->search;
	uint64_t base = pb_forks_base(pull_forks(s), pull_part(s, of->look));

	of->ours = answer->last;
	if (answer->last.seq > base) {
		s->certainty = PULL_SEEN;
		return false;
	}
	/* That part has none; the one before it may. */
	of->look = base;
	return base <= of->low && found(pull, s, NOTHING);
}

bool
pull_seen(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_answer *answer)
{
	struct pull_search *of = &s->search;
	const struct pb_fingerprint *last = &answer->last;

	of->there = answer->acked;
	s->certainty = PULL_SEEK;
	if (last->seq == of->ours.seq)
		return found(pull, s, same(last, &of->ours) ? SAME :
		    DIFFERENT);
	if (last->seq <= of->low || last->seq >= of->ours.seq ||
	    of->questions >= QUESTIONS_MAX)
		return found(pull, s, NOTHING);
	of->look = last->seq;
	return false;
}

/* Up to of->low it is known, from of->high on it is another one. */
static bool
found(struct pb_pull *pull, struct pb_pull_stream *s, enum finding what)
{
	struct pull_search *of = &s->search;

	if (s->parts < pull_forks(s)->count && of->high == 0) {
		if (what == SAME) {
			keep(pull, s, s->parts, NULL);
			return false;
		}
	} else if (of->high == 0) {
		if (what != DIFFERENT && (!s->astray || s->begun))
			return no_difference(pull, s);
		/* What had been fetched was of who is there no more. */
		pull_drop_pieces(pull, s);
		pull_late_drop_piece(pull, s);
	}
	if (what == DIFFERENT)
		of->high = of->ours.seq;
	else
		of->low = of->at;
	if (what == SAME)
		of->same = of->ours.seq;
	next_half(s);
	return false;
}

static void
next_half(struct pb_pull_stream *s)
{
	struct pull_search *of = &s->search;

	if (of->high - of->low <= 1 || of->high <= of->low ||
	    of->questions >= QUESTIONS_MAX)
		next_parts(s);
	else
		of->at = of->look = of->low + (of->high - of->low) / 2;
}

/* Where it would go on is known; where, without the last fork? */
static void
next_parts(struct pb_pull_stream *s)
{
	struct pull_search *of = &s->search;
	struct pull_search best = { .best_same = of->best_same,
	    .best_parts = of->best_parts, .there = of->there };

	if (s->parts == pull_forks(s)->count || of->same > of->best_same) {
		best.best_same = of->same;
		best.best_parts = s->parts;
	}
	search(of, INT64_MAX);
	of->best_same = best.best_same;
	of->best_parts = best.best_parts;
	of->there = best.there;
	if (s->parts > 0) {
		s->parts--;
		return;
	}
	s->parts = of->best_parts;
	of->same = of->past = of->best_same;
	of->part = pull_part(s, of->same);
	s->certainty = PULL_PAST;
}

/* All that it has, and that can be compared, is here. */
static bool
no_difference(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (s->search.there >= s->here)
		return true;
	pull_behind(pull, s, s->search.there);
	return false;
}

static void
search(struct pull_search *of, uint64_t at)
{
	memset(of, 0, sizeof(*of));
	of->at = of->look = at;
}

static bool
same(const struct pb_fingerprint *a, const struct pb_fingerprint *b)
{
	return a->seq == b->seq && a->digest == b->digest;
}

/* --- a fork --------------------------------------------------------------- */

void
pull_passed(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, struct pb_pull_answer *answer)
{
	struct pb_pull_piece *of = &answer->piece;
	struct pull_search *to = &s->search;
	bool good = answer->outcome == PB_PULL_DONE &&
	    of->first == to->past + 1 && of->last >= of->first &&
	    of->last < INT64_MAX;

	if (answer->outcome == PB_PULL_TOO_LARGE && pull_larger(pull, action))
		return;
	if (good && of->reason != 0) {
		to->past = of->last;
		return;
	}
	good = good && pull->opts.print(pull->opts.arg, of, true, &to->first);
	pb_buf_finish(&of->body);
	if (good) {
		s->certainty = PULL_MINE;
		return;
	}
	if (answer->outcome == PB_PULL_DONE)
		answer->text = "the first of its packets that are not here "
		    "cannot be read";
	else if (answer->outcome == PB_PULL_NOTHING)
		answer->text = "it has no packet any more that is not here";
	pull_trouble(pull, s, answer);
}

void
pull_mine(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_answer *answer)
{
	struct pull_search *of = &s->search;

	if (of->known && answer->acked < of->first.seq) {
		/* It was named, and has not begun. */
		keep(pull, s, of->part, NULL);
		return;
	}
	if (!same(&answer->last, &of->first)) {
		name_fork(pull, s);
		return;
	}
	answer->text = "its packets change while they are looked at";
	pull_trouble(pull, s, answer);
}

/*
 * It begins in the part that the last common number is in.  Where that gives a
 * fork that is known, its packet is asked for there, too; if it is not the
 * same, they have gone from here: then it is a fork of that one.
 */
static void
name_fork(struct pb_pull *pull, struct pb_pull_stream *s)
{
	struct pull_search *of = &s->search;
	struct pb_fork fork = { .first = of->same + 1,
	    .epoch = pb_fork_epoch(pull_epoch(s, of->part), of->same,
	    of->first.digest) };

	if (of->part >= PB_FORKS_MAX)
		pull_refuse(pull, s, "it has other packets than are here past "
		    "%" PRIu64 ", and the stream goes under %u epochs already",
		    of->same, PB_FORKS_MAX + 1);
	else if (!named(pull_forks(s), of->part, &fork))
		keep(pull, s, of->part, &fork);
	else {
		s->parts = ++of->part;
		of->known = true;
	}
}

/* `parts` forks of those there are, and one behind them; NULL: none. */
static void
keep(struct pb_pull *pull, struct pb_pull_stream *s, unsigned parts,
    const struct pb_fork *fork)
{
	if (s->next == NULL)
		s->next = malloc(sizeof(*s->next));
	if (s->next == NULL) {
		pull_trouble(pull, s, &(struct pb_pull_answer){
		    .text = "no memory" });
		return;
	}
	*s->next = *pull_forks(s);
	s->next->count = parts;
	if (fork != NULL)
		s->next->at[s->next->count++] = *fork;
	s->certainty = PULL_KEEP;
}

static bool
named(const struct pb_forks *forks, unsigned part, const struct pb_fork *fork)
{
	return part < forks->count &&
	    forks->at[part].first == fork->first &&
	    forks->at[part].epoch == fork->epoch;
}

void
pull_kept(struct pb_pull *pull, struct pb_pull_stream *s)
{
	const struct pb_forks *forks = s->next;
	const struct pb_fork *last = &forks->at[forks->count > 0 ?
	    forks->count - 1 : 0];

	if (forks->count == 0 || named(pull_forks(s), forks->count - 1, last))
		pull_event(pull, PB_LOG_WARN, s, "it has packets again that "
		    "it had before: they go on as epoch %016" PRIx64 " here",
		    pull_epoch(s, forks->count));
	else
		pull_event(pull, PB_LOG_WARN, s, "it has other packets than "
		    "are here under the numbers past %" PRIu64 ": was an "
		    "older copy of its store put back, or is it one of two "
		    "that have the same? From %" PRIu64 " on they are epoch "
		    "%016" PRIx64 " here", last->first - 1, last->first,
		    last->epoch);
	free(s->forks);
	s->forks = s->next;
	s->next = NULL;
	s->astray = false;
	pull_unsure(s);
	pull_released(s);
}
