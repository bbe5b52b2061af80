/*
 * recorder/query/plan.c - which packets of a stream are worth a look
 *
 * Numbers ascend: the plan has one index block in hand, and goes on with the
 * row behind it.  Of a block either all packets are wanted, and the extents
 * say where they are, or some: then it has what is said of each, a byte a
 * packet, and the pieces of the file that are to be read.
 */
#include "recorder/query/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "recorder/query/plan_impl.h"

static int	next(void *, uint64_t, struct pb_cursor_run *,
		    struct pb_err *);
static void	wrong(void *, uint64_t);
static void	ended(void *, uint64_t);
/* rows */
static int	find_row(struct pb_plan *, uint64_t *, struct pb_err *);
static int	row_below(struct pb_plan *, uint64_t, struct pb_err *);
static int	skip_segments(struct pb_plan *, uint64_t *, struct pb_err *);
static void	enter_block(struct pb_plan *);
static void	decide(struct pb_plan *);
static uint64_t	row_bytes(const struct pb_flows_info *);
static int	end_of_part(const struct pb_plan *, uint64_t *,
		    struct pb_err *);
static bool	cut_by_row(struct pb_plan *, enum pb_verdict *);
static bool	inside(const struct pb_range *, const struct pb_flows_info *);
/* the block in hand */
static bool	in_hand(const struct pb_plan *, uint64_t);
static int	give_run(struct pb_plan *, uint64_t, struct pb_cursor_run *,
		    struct pb_err *);
static void	leave_block(struct pb_plan *);
/* backwards */
static int	back_in_hand(struct pb_plan *, uint64_t, uint64_t *,
		    uint64_t *, struct pb_err *);
static int	back_by_pieces(struct pb_plan *, uint64_t, uint64_t *,
		    uint64_t *, struct pb_err *);
static int	back_by_extents(struct pb_plan *, uint64_t, uint64_t,
		    uint64_t *, uint64_t *, struct pb_err *);

int
pb_planner_create(struct pb_planner **out, const char *store,
    struct pb_explain *explain, struct pb_err *err)
{
	struct pb_planner *planner = calloc(1, sizeof(*planner));

	*out = planner;
	if (planner == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	planner->store = store;
	planner->explain = explain;
	planner->fd = -1;
	return pb_flow_table_room_create(&planner->room, err);
}

void
pb_planner_destroy(struct pb_planner *planner)
{
	if (planner == NULL)
		return;
	pb_planner_close(planner);
	pb_flow_table_room_destroy(planner->room);
	free(planner->clean.of);
	free(planner);
}

int
pb_plan_create(struct pb_plan **out, struct pb_planner *planner,
    const struct pb_plan_opts *opts, struct pb_err *err)
{
	struct pb_plan *plan = calloc(1, sizeof(*plan));

	*out = plan;
	if (plan == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	plan->planner = planner;
	plan->index = opts->index;
	plan->key = opts->stream->key;
	plan->stream = opts->stream->id;
	plan->range = opts->range;
	plan->question = opts->question;
	plan->sure = opts->sure;
	plan->arg = opts->arg;
	return 0;
}

void
pb_plan_destroy(struct pb_plan *plan)
{
	if (plan == NULL)
		return;
	leave_block(plan);
	free(plan);
}

struct pb_cursor_guide
pb_plan_guide(struct pb_plan *plan)
{
	return (struct pb_cursor_guide){ .next = next, .wrong = wrong,
	    .ended = ended, .arg = plan };
}

int
pb_plan_part(struct pb_plan *plan, uint64_t *first, uint64_t *last,
    struct pb_err *err)
{
	const struct pb_flows_info *row = &plan->planner->row;
	struct pb_explain *explain = plan->planner->explain;
	enum pb_verdict whole;
	int rc;

	for (; *first <= *last; *first = row->last_seq + 1) {
		rc = find_row(plan, first, err);
		if (rc < 0)
			return rc;
		if (*first > *last || rc == 0)
			break;
		if (row->first_seq > *first) {
			*last = row->first_seq - 1 < *last ?
			    row->first_seq - 1 : *last;
			return 1;
		}
		if (!cut_by_row(plan, &whole))
			return end_of_part(plan, last, err);
		explain->blocks++;
		explain->index_bytes += row_bytes(row);
	}
	return *first <= *last;
}

/* The end of the segment that the row is of: who has its file open reads all
 * of it. */
static int
end_of_part(const struct pb_plan *plan, uint64_t *last, struct pb_err *err)
{
	const struct pb_flows_info *row = &plan->planner->row;
	struct pb_segment_info segment;
	uint64_t end = row->last_seq;
	int rc = pb_index_segment(plan->index, plan->stream, row->segment_seq,
	    &segment, err);

	if (rc < 0)
		return rc;
	if (rc > 0 && segment.last_seq > end)
		end = segment.last_seq;
	if (*last > end)
		*last = end;
	return 1;
}

void
pb_plan_seek(struct pb_plan *plan, uint64_t first, uint64_t last)
{
	plan->range.first_seq = first;
	plan->range.last_seq = last;
}

bool
pb_plan_goes_on(const struct pb_plan *plan)
{
	return plan->verdicts.of != NULL && plan->piece_at + 1 < plan->pieces;
}

void
pb_plan_park(struct pb_plan *plan)
{
	/* Where it is wanted as a whole nothing is held. */
	if (plan->verdicts.of != NULL)
		leave_block(plan);
}

bool
pb_plan_counted(const struct pb_plan *plan, uint64_t *packets)
{
	*packets = plan->counted;
	return !plan->was_wrong;
}

static int
next(void *arg, uint64_t seq, struct pb_cursor_run *out, struct pb_err *err)
{
	struct pb_plan *plan = arg;
	uint64_t first;
	int rc;

	for (; seq <= plan->range.last_seq; seq = plan->last_seq + 1) {
		if (in_hand(plan, seq)) {
			rc = give_run(plan, seq, out, err);
			if (rc != 0)
				return rc;
			continue;
		}
		leave_block(plan);
		rc = find_row(plan, &seq, err);
		if (rc < 0)
			return rc;
		first = rc > 0 ? plan->planner->row.first_seq : UINT64_MAX;
		if (first > seq) {
			*out = (struct pb_cursor_run){ .first_seq = seq,
			    .last_seq = rc > 0 ? first - 1 : UINT64_MAX,
			    .verdict = PB_VERDICT_EACH };
			return 1;
		}
		enter_block(plan);
		rc = give_run(plan, seq, out, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* The row of the index block that has number `*seq`, or the next one: 1; 0
 * where there is none.  `*seq` goes on past segments that have nothing. */
static int
find_row(struct pb_plan *plan, uint64_t *seq, struct pb_err *err)
{
	struct pb_planner *planner = plan->planner;
	int rc = skip_segments(plan, seq, err);

	if (rc < 0 || plan->question == NULL)
		return rc;
	/* Mostly one begins there. */
	rc = row_below(plan, *seq, err);
	if (rc < 0 || (rc > 0 && planner->row.last_seq >= *seq))
		return rc;
	rc = pb_index_rows_of(plan->index, PB_TABLE_FLOWS, plan->stream, *seq,
	    &planner->row, 1, err);
	/* One that begins before and does not reach it was not meant. */
	return rc > 0 && planner->row.last_seq < *seq ? 0 : rc;
}

/* The row of the last index block that begins at or before number `at`. */
static int
row_below(struct pb_plan *plan, uint64_t at, struct pb_err *err)
{
	return plan->question == NULL ? 0 : pb_index_row_below(plan->index,
	    PB_TABLE_FLOWS, plan->stream, at, &plan->planner->row, err);
}

/* Whole segments outside the times that are asked for. */
static int
skip_segments(struct pb_plan *plan, uint64_t *seq, struct pb_err *err)
{
	const struct pb_range *range = &plan->range;
	const struct pb_segment_info *row;
	struct pb_rows rows;

	if (range->after_ns == 0 && range->before_ns == UINT64_MAX)
		return 0;
	pb_rows_of(&rows, plan->index, PB_TABLE_SEGMENTS, plan->stream, *seq,
	    err);
	/* An open one grows: its times are not the last. */
	while ((row = pb_rows_next(&rows)) != NULL && row->sealed &&
	    (row->last_time < range->after_ns ||
	    row->first_time >= range->before_ns))
		if (row->last_seq >= *seq) {
			*seq = row->last_seq + 1;
			plan->planner->explain->segments_cut++;
		}
	return rows.rc;
}

/* The row that was found is what the plan has in hand. */
static void
enter_block(struct pb_plan *plan)
{
	const struct pb_flows_info *row = &plan->planner->row;

	plan->first_seq = row->first_seq;
	plan->last_seq = row->last_seq;
	plan->segment_seq = row->segment_seq;
	plan->from = row->from;
	plan->packets = row->packets == row->last_seq - row->first_seq + 1 ?
	    0 : row->packets;
	plan->until = UINT64_MAX;
	plan->whole = PB_VERDICT_EACH;
	plan->planner->explain->blocks++;
	plan->planner->explain->index_bytes += row_bytes(row);
	decide(plan);
}

/* What of the block is wanted.  Where that cannot be found out, all of it. */
static void
decide(struct pb_plan *plan)
{
	const struct pb_range *range = &plan->range;
	const struct pb_flows_info *row = &plan->planner->row;
	struct pb_explain *explain = plan->planner->explain;
	bool count = plan->sure != NULL && inside(range, row);

	if (cut_by_row(plan, &plan->whole))
		return;
	if (plan->whole == PB_VERDICT_EACH ||
	    (count && plan->sure != pb_ask_count))
		plan_look_into_table(plan, count);
	if (plan->whole != PB_VERDICT_ALL)
		return;
	explain->whole++;
	if (count && plan->sure == pb_ask_count) {
		plan->counted += row->packets;
		plan->whole = PB_VERDICT_NONE;
	}
}

/* Does its row tell that no packet of the block is wanted?  What it tells. */
static bool
cut_by_row(struct pb_plan *plan, enum pb_verdict *whole)
{
	const struct pb_range *range = &plan->range;
	const struct pb_flows_info *row = &plan->planner->row;
	struct pb_explain *explain = plan->planner->explain;

	*whole = PB_VERDICT_NONE;
	if (row->last_time < range->after_ns ||
	    row->first_time >= range->before_ns) {
		explain->cut_by_time++;
		return true;
	}
	*whole = pb_summary_verdict(row->summary, row->summary_bytes,
	    plan->question);
	explain->cut_by_summary += *whole == PB_VERDICT_NONE;
	return *whole == PB_VERDICT_NONE;
}

static uint64_t
row_bytes(const struct pb_flows_info *row)
{
	return offsetof(struct pb_flows_info, summary) + row->summary_bytes;
}

/* Are all of its packets asked for, but for the filter? */
static bool
inside(const struct pb_range *range, const struct pb_flows_info *row)
{
	return row->first_seq >= range->first_seq &&
	    row->last_seq <= range->last_seq &&
	    row->first_time >= range->after_ns &&
	    row->last_time < range->before_ns;
}

static bool
in_hand(const struct pb_plan *plan, uint64_t seq)
{
	return plan->last_seq != 0 && plan->first_seq <= seq &&
	    seq <= plan->last_seq;
}

/* What of the block in hand is wanted, from number `seq` on: 1, 0 where
 * nothing is, or an error. */
static int
give_run(struct pb_plan *plan, uint64_t seq, struct pb_cursor_run *out,
    struct pb_err *err)
{
	int rc;

	if (plan->verdicts.of == NULL) {
		*out = (struct pb_cursor_run){ .first_seq = seq,
		    .last_seq = plan->last_seq, .verdict = plan->whole };
		return plan->whole != PB_VERDICT_NONE;
	}
	rc = plan_find_piece(plan, seq, err);
	if (rc == 1)
		plan_give_piece(plan, out);
	return rc;
}

static void
wrong(void *arg, uint64_t seq)
{
	struct pb_plan *plan = arg;
	uint64_t first = plan->first_seq, last = plan->last_seq;

	plan->planner->explain->wrong++;
	plan->was_wrong = true;
	leave_block(plan);
	if (seq < first || seq > last)
		return;
	plan->first_seq = first;
	plan->last_seq = last;
	plan->whole = PB_VERDICT_EACH;
}

static void
ended(void *arg, uint64_t last_seq)
{
	struct pb_plan *plan = arg;

	plan->piece_last = last_seq;
}

static void
leave_block(struct pb_plan *plan)
{
	plan_drop_pieces(plan);
	plan->first_seq = plan->last_seq = 0;
	plan->piece_last = 0;
}

int
pb_plan_back(struct pb_plan *plan, uint64_t before, uint64_t *first,
    uint64_t *last, struct pb_err *err)
{
	const struct pb_flows_info *row = &plan->planner->row;
	uint64_t low;
	int rc;

	while (before > plan->range.first_seq) {
		if (in_hand(plan, before - 1)) {
			low = plan->first_seq;
			rc = back_in_hand(plan, before, first, last, err);
		} else {
			leave_block(plan);
			rc = row_below(plan, before - 1, err);
			if (rc > 0 && row->last_seq >= before - 1) {
				enter_block(plan);
				continue;
			}
			low = rc > 0 ? row->last_seq + 1 : 1;
			if (rc >= 0)
				rc = back_by_extents(plan, low, before, first,
				    last, err);
		}
		if (rc != 0)
			return rc;
		before = low;
	}
	return 0;
}

/* The last piece of the block in hand that begins in front of `before`. */
static int
back_in_hand(struct pb_plan *plan, uint64_t before, uint64_t *first,
    uint64_t *last, struct pb_err *err)
{
	size_t i = plan->pieces;

	if (plan->verdicts.of == NULL && plan->whole == PB_VERDICT_NONE)
		return 0;
	if (plan->verdicts.of == NULL)
		return back_by_extents(plan, plan->first_seq, before, first,
		    last, err);
	if (plan->packets != 0)
		return back_by_pieces(plan, before, first, last, err);
	while (i > 0 && plan->first_seq + plan->piece[i - 1].first >= before)
		i--;
	if (i == 0)
		return 0;
	plan->piece_at = i - 1;
	*first = plan->first_seq + plan->piece[i - 1].first;
	*last = plan->first_seq + plan->piece[i - 1].last;
	if (*last >= before)
		*last = before - 1;
	return 1;
}

/* Where numbers were left out: what the last extent in front of `before` that
 * has some of a piece has of the block's. */
static int
back_by_pieces(struct pb_plan *plan, uint64_t before, uint64_t *first,
    uint64_t *last, struct pb_err *err)
{
	struct pb_extent_info extent;
	int rc;

	for (; before > plan->first_seq; before = *first) {
		rc = back_by_extents(plan, plan->first_seq, before, first,
		    last, err);
		if (rc <= 0)
			return rc;
		rc = pb_index_extent_below(plan->index, plan->stream, *first,
		    &extent, err);
		if (rc <= 0)
			return rc;
		plan->until = extent.offset + extent.bytes;
		plan->piece_last = 0;
		rc = plan_find_piece(plan, *first, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* What the last extent in front of `before` has of numbers from `low` on. */
static int
back_by_extents(struct pb_plan *plan, uint64_t low, uint64_t before,
    uint64_t *first, uint64_t *last, struct pb_err *err)
{
	struct pb_extent_info extent;
	int rc;

	for (; before > low; before = *first) {
		rc = pb_index_row_below(plan->index, PB_TABLE_EXTENTS,
		    plan->stream, before - 1, &extent, err);
		if (rc <= 0 || extent.last_seq < low)
			return rc < 0 ? rc : 0;
		*first = extent.first_seq < low ? low : extent.first_seq;
		*last = extent.last_seq < before ? extent.last_seq :
		    before - 1;
		if (extent.last_time >= plan->range.after_ns &&
		    extent.first_time < plan->range.before_ns)
			return 1;
	}
	return 0;
}
