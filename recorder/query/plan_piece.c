/*
 * recorder/query/plan_piece.c - the pieces of an index block, by numbers
 *
 * Where numbers were left out it is not known which ones a piece has before it
 * was read: it is found by where it lies, as an extent's numbers are known, or
 * by what was learnt of the one in front of it.
 */
#include "recorder/query/plan_impl.h"

static int	find_among_left_out(struct pb_plan *, uint64_t,
		    struct pb_err *);
static bool	is_last(const struct pb_plan *, size_t);

int
plan_find_piece(struct pb_plan *plan, uint64_t seq, struct pb_err *err)
{
	size_t i = plan->piece_at;

	if (plan->packets != 0)
		return find_among_left_out(plan, seq, err);
	while (i < plan->pieces &&
	    plan->first_seq + plan->piece[i].last < seq)
		i++;
	if (i == plan->pieces)
		return 0;
	plan->piece_at = i;
	return 1;
}

void
plan_give_piece(const struct pb_plan *plan, struct pb_cursor_run *out)
{
	const struct piece *piece = &plan->piece[plan->piece_at];

	*out = (struct pb_cursor_run){
		.segment_seq = plan->segment_seq,
		.from = plan->from + piece->from,
		.end = plan->from + piece->end,
		.verdict_of = plan->verdicts.of + piece->first,
	};
	if (plan->packets == 0) {
		out->first_seq = plan->first_seq + piece->first;
		out->last_seq = plan->first_seq + piece->last;
		return;
	}
	out->first_seq = plan->first_seq;
	out->last_seq = plan->last_seq;
	out->packets = piece->last - piece->first + 1u;
	out->more = !is_last(plan, plan->piece_at);
}

/* The one behind that given last, if that was read, or the first that ends in
 * the extent of `seq` or behind it. */
static int
find_among_left_out(struct pb_plan *plan, uint64_t seq, struct pb_err *err)
{
	struct pb_extent_info extent;
	size_t i = plan->piece_at;
	int rc;

	if (plan->piece_last != 0 && seq > plan->piece_last) {
		plan->piece_last = 0;
		if (is_last(plan, i))
			return 0;
		plan->piece_at = i + 1;
		return 1;
	}
	rc = pb_index_extent_below(plan->index, plan->stream, seq, &extent,
	    err);
	if (rc < 0)
		return rc;
	i = 0;
	while (rc > 0 && extent.segment_seq == plan->segment_seq &&
	    i < plan->pieces &&
	    plan->from + plan->piece[i].end <= extent.offset)
		i++;
	if (i == plan->pieces || plan->from + plan->piece[i].from >=
	    plan->until)
		return 0;
	plan->piece_last = 0;
	plan->piece_at = i;
	return 1;
}

/* Is no piece given behind it? */
static bool
is_last(const struct pb_plan *plan, size_t i)
{
	return i + 1 == plan->pieces ||
	    plan->from + plan->piece[i + 1].from >= plan->until;
}
