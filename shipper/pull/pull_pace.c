/*
 * shipper/pull/pull_pace.c - how much may be under way from an edge
 *
 * How fast the way is shows in the time that packets take.  Little is asked
 * for at first, and again after a failure; more as answers come in half of
 * SLOW_MS, half as much where one takes longer: many at a time on a slow link
 * would each come too slowly to be heard to its end.
 */
#include "shipper/pull/pull_impl.h"

#define SLOW_MS		PB_SHIP_PIECE_MS
#define AT_ONCE_MS	500u
#define LIST_PART	4u	/* of what packets took, between lists */
#define LIST_MS_MAX	2000u

static void	faster(struct pb_pull *, uint64_t, size_t);
static void	slower(struct pb_pull *, uint64_t, uint64_t);
static bool	is_full(const struct pb_pull_action *,
		    const struct pb_pull_piece *);
static size_t	reserve(const struct pb_pull_action *);

void
pull_pace_begin(struct pb_pull *pull)
{
	pull->pace = PB_PULL_BYTES_FIRST;
}

/* On a slow link lists would take most of it, for packets that have to wait. */
uint64_t
pull_pace_list(const struct pb_pull *pull)
{
	uint64_t wait_ms = pull->took_ms < AT_ONCE_MS ? 0 :
	    pull->took_ms / LIST_PART;

	return pull->now_ms + (wait_ms < LIST_MS_MAX ? wait_ms : LIST_MS_MAX);
}

/* One request may always be under way; beyond that half of what there is for
 * all edges stays for those that have none. */
bool
pull_may_bring(struct pb_pull *pull, struct pb_pull_stream *s, size_t bytes)
{
	const struct pb_pull_budget *budget = pull->opts.budget;
	size_t room = bytes + PB_PULL_SLACK;

	if ((pull->bringing == 0 || pull->bringing + bytes <= pull->pace) &&
	    (pull->bytes == 0 ? budget->bytes + room <= budget->bytes_max :
	    pull->bytes + room <= pull->opts.window &&
	    budget->bytes + room <= budget->bytes_max / 2))
		return true;
	pull_starve(pull, s);
	return false;
}

void
pull_bring(struct pb_pull *pull, struct pb_pull_action *action, size_t bytes)
{
	struct pb_pull_stream *s = action->stream;

	action->bytes_max = bytes;
	action->began_ms = pull->now_ms;
	s->flights++;
	pull->flights++;
	pull->bringing += action->bytes_max;
	pull_take_bytes(pull, reserve(action));
}

void
pull_brought(struct pb_pull *pull, const struct pb_pull_action *action,
    const struct pb_pull_answer *answer)
{
	uint64_t took_ms = pull->now_ms - action->began_ms;
	struct pb_pull_stream *s = action->stream;

	pull->bringing -= action->bytes_max;
	pull_give_bytes(pull, reserve(action));
	if (answer->outcome == PB_PULL_FAILED && answer->cut)
		pull_pace_begin(pull);
	if (answer->outcome != PB_PULL_DONE)
		return;
	pull->took_ms = took_ms;
	if (took_ms > SLOW_MS)
		slower(pull, action->began_ms, took_ms);
	else if (took_ms < SLOW_MS / 2)
		faster(pull, took_ms, answer->piece.body.len);
	if (took_ms > SLOW_MS && action->bytes_max / 2 >= PB_PULL_BYTES_MIN)
		s->bytes_max = action->bytes_max / 2;
	else if (took_ms < SLOW_MS / 2 && is_full(action, &answer->piece) &&
	    action->bytes_max == s->bytes_max &&
	    s->bytes_max < PB_PULL_BYTES_MAX)
		s->bytes_max *= 2;
}

/* Half of it at most: while one comes the next is asked for, and the way, or
 * the rate that the edge gives, is not idle between them. */
size_t
pull_bytes(const struct pb_pull *pull, const struct pb_pull_stream *s)
{
	size_t half = pull->pace / 2 > PB_PULL_BYTES_MIN ? pull->pace / 2 :
	    PB_PULL_BYTES_MIN;

	return s->bytes_max < half ? s->bytes_max : half;
}

/* Of one that was packed its end says so. */
static bool
is_full(const struct pb_pull_action *action, const struct pb_pull_piece *piece)
{
	return piece->packed ? piece->last < action->stream->there :
	    piece->body.len > action->bytes_max / 2;
}

bool
pull_larger(struct pb_pull *pull, const struct pb_pull_action *action)
{
	struct pb_pull_stream *s = action->stream;

	if (action->bytes_max >= PB_PULL_BYTES_MAX)
		return false;
	s->bytes_max = action->bytes_max * 2;
	if (pull->pace < 2 * s->bytes_max)
		pull->pace = 2 * s->bytes_max;
	return true;
}

/* Twice as much, and four times as much where it comes at once: also a small
 * one, which then shows that more can be asked for. */
static void
faster(struct pb_pull *pull, uint64_t took_ms, size_t came)
{
	if (took_ms < AT_ONCE_MS)
		came = 3 * (came > PB_PULL_BYTES_MIN ? came :
		    PB_PULL_BYTES_MIN);
	pull->pace += came;
	if (pull->pace > pull->opts.window)
		pull->pace = pull->opts.window > PB_PULL_BYTES_FIRST ?
		    pull->opts.window : PB_PULL_BYTES_FIRST;
}

/* Half for each time it took twice too long; those that were under way
 * together are slow together: once. */
static void
slower(struct pb_pull *pull, uint64_t began_ms, uint64_t took_ms)
{
	if (began_ms < pull->slowed_ms)
		return;
	pull->slowed_ms = pull->now_ms;
	for (; took_ms > SLOW_MS; took_ms /= 2)
		pull->pace /= 2;
	if (pull->pace < PB_PULL_BYTES_MIN)
		pull->pace = PB_PULL_BYTES_MIN;
}

/* What it may bring. */
static size_t
reserve(const struct pb_pull_action *action)
{
	return action->bytes_max + PB_PULL_SLACK;
}
