/*
 * recorder/query/search_input.c - one stream of a search
 */
#include "recorder/filter/filter.h"
#include "recorder/filter/inner.h"
#include "recorder/filter/payload.h"
#include "recorder/query/backward.h"
#include "recorder/query/search_impl.h"

static int	open_cursor(struct pb_search *, struct search_input *,
		    const struct pb_range *, struct pb_err *);
static int	open_plan(struct pb_search *, struct search_input *,
		    pb_ask_sure *, void *, struct pb_err *);
static int	open_backward(struct pb_search *, struct search_input *,
		    struct pb_err *);
static bool	is_run(const struct search_input *,
		    const struct pb_run_ahead *, uint64_t, uint64_t);
static void	note_extent(struct search_input *, uint64_t);
static void	close_input(struct pb_search *, struct search_input *);

/* What is earliest of it, or backwards what is latest. */
uint64_t
search_first(const struct search_input *input)
{
	const struct pb_range *range = &input->range;

	if (input->search->opts.backwards)
		return input->info.last_time < range->before_ns ?
		    input->info.last_time : range->before_ns - 1;
	return input->info.first_time > range->after_ns ?
	    input->info.first_time : range->after_ns;
}

static int
open_cursor(struct pb_search *search, struct search_input *input,
    const struct pb_range *range, struct pb_err *err)
{
	int rc = pb_cursor_create(&input->cursor, search->index,
	    search->opts.store, &input->info, range, err);

	if (rc == 0 && search->opts.once)
		pb_cursor_once(input->cursor);
	return rc;
}

static int
open_plan(struct pb_search *search, struct search_input *input,
    pb_ask_sure *sure, void *arg, struct pb_err *err)
{
	struct pb_plan_opts opts = {
		.index = search->index,
		.stream = &input->info,
		.range = input->range,
		.question = input->distrusted ? NULL :
		    input->filter->question,
		/* No row tells what its packets carry. */
		.sure = search->opts.payload != NULL ? NULL : sure,
		.arg = arg,
	};

	return pb_plan_create(&input->plan, search->planner, &opts, err);
}

int
search_forward(struct pb_search *search, struct search_input *input,
    pb_ask_sure *sure, void *arg, struct pb_err *err)
{
	struct pb_range range = input->range;
	struct pb_cursor_guide guide;
	int rc;

	range.first_seq = input->at;
	rc = open_cursor(search, input, &range, err);
	if (rc < 0 || input->distrusted || input->filter->question == NULL)
		return rc;
	rc = open_plan(search, input, sure, arg, err);
	if (rc < 0)
		return rc;
	guide = pb_plan_guide(input->plan);
	pb_cursor_lead(input->cursor, &guide);
	return 0;
}

static int
open_backward(struct pb_search *search, struct search_input *input,
    struct pb_err *err)
{
	struct pb_backward_opts opts = { .range = input->range,
	    .take = search_takes, .arg = input };
	int rc;

	rc = open_cursor(search, input, &input->range, err);
	if (rc == 0)
		rc = open_plan(search, input, NULL, NULL, err);
	if (rc < 0)
		return rc;
	opts.plan = input->plan;
	opts.cursor = input->cursor;
	return pb_backward_create(&input->backward, &opts, err);
}

bool
search_takes(void *arg, const struct pb_cursor_packet *cp)
{
	struct search_input *input = arg;
	const struct pb_payload *payload = input->search->opts.payload;
	struct pb_explain *explain = &input->search->explain;
	bool match = true;

	if (cp->verdict == PB_VERDICT_ALL) {
		explain->taken++;
	} else {
		explain->asked++;
		match = input->filter->inner != NULL ?
		    pb_inner_match(input->filter->inner, &cp->packet) :
		    pb_filter_match(input->filter->filter, &cp->packet);
	}
	return match && (payload == NULL || pb_payload_match(payload,
	    input->info.linktype, &cp->packet));
}

int
search_next(void *arg, size_t i, struct pb_cursor_packet *out,
    struct pb_err *err)
{
	struct pb_search *search = arg;
	struct search_input *input = &search->input[i];
	int rc = 0;

	if (input->cursor == NULL || (search->opts.backwards &&
	    input->backward == NULL)) {
		close_input(search, input);
		rc = search->opts.backwards ?
		    open_backward(search, input, err) :
		    search_forward(search, input, NULL, NULL, err);
	}
	if (rc < 0)
		return rc;
	if (input->backward != NULL)
		rc = pb_backward_next(input->backward, out, err);
	else
		do
			rc = pb_cursor_next(input->cursor, out, err);
		while (rc > 0 && !search_takes(input, out) &&
		    !pb_stopped(search->opts.stop));
	if (rc > 0 && pb_stopped(search->opts.stop))
		return 0;
	if (rc > 0) {
		search->explain.found++;
		note_extent(input, out->seq);
	}
	return rc;
}

/* The next extent as a whole. */
int
search_run(void *arg, size_t i, uint64_t before_ns, uint64_t packets_max,
    struct pb_run *out, struct pb_err *err)
{
	struct pb_search *search = arg;
	struct search_input *input = &search->input[i];
	struct pb_run_ahead ahead;

	if (input->runs == NULL) {
		if (pb_runs_create(&input->runs, search->index,
		    search->opts.store, &input->info, err) < 0)
			return err->code;
		if (search->opts.once)
			pb_runs_once(input->runs);
	}
	if (before_ns > input->range.before_ns)
		before_ns = input->range.before_ns;
	if (!pb_runs_look(input->runs, input->at, &ahead) ||
	    !is_run(input, &ahead, before_ns, packets_max) ||
	    !pb_runs_read(input->runs, out) || out->last_time >= before_ns ||
	    out->first_time < input->range.after_ns ||
	    out->last_time > ahead.floor)
		return 0;
	close_input(search, input);
	input->at = out->last_seq + 1;
	search->explain.packet_bytes += out->len;
	search->explain.taken += out->last_seq - out->first_seq + 1;
	search->explain.found += out->last_seq - out->first_seq + 1;
	return 1;
}

/* As far as the index tells. */
static bool
is_run(const struct search_input *input, const struct pb_run_ahead *ahead,
    uint64_t before_ns, uint64_t packets_max)
{
	return ahead->first_seq >= input->at &&
	    ahead->last_seq <= input->range.last_seq &&
	    ahead->last_seq - ahead->first_seq < packets_max &&
	    ahead->first_time >= input->range.after_ns &&
	    ahead->last_time < before_ns && ahead->last_time <= ahead->floor;
}

/* Known where an extent has been read to its end. */
uint64_t
search_floor(void *arg, size_t i)
{
	struct pb_search *search = arg;
	const struct search_input *input = &search->input[i];

	return input->at == input->extent_last + 1 ? input->floor : 0;
}

/* Packet `seq` has been read. */
static void
note_extent(struct search_input *input, uint64_t seq)
{
	struct pb_run_ahead ahead;

	input->at = seq + 1;
	if (input->runs == NULL || seq <= input->extent_last ||
	    !pb_runs_look(input->runs, seq, &ahead))
		return;
	pb_runs_park(input->runs);
	input->extent_last = ahead.last_seq;
	input->floor = ahead.floor;
}

void
search_park(void *arg, size_t i)
{
	struct pb_search *search = arg;
	struct search_input *input = &search->input[i];

	/* Without memory there is none. */
	if (input->backward != NULL) {
		pb_backward_park(input->backward);
		return;
	}
	if (input->cursor != NULL)
		pb_cursor_park(input->cursor);
	if (input->plan != NULL)
		pb_plan_park(input->plan);
	if (input->runs != NULL)
		pb_runs_park(input->runs);
}

void
search_close(void *arg, size_t i)
{
	struct pb_search *search = arg;
	struct search_input *input = &search->input[i];

	close_input(search, input);
	pb_runs_destroy(input->runs);
	input->runs = NULL;
	input->at = input->range.first_seq;
}

/* But for where it stands. */
static void
close_input(struct pb_search *search, struct search_input *input)
{
	if (input->cursor != NULL)
		search->explain.packet_bytes += pb_cursor_bytes(input->cursor);
	pb_backward_destroy(input->backward);
	pb_cursor_destroy(input->cursor);
	pb_plan_destroy(input->plan);
	input->backward = NULL;
	input->cursor = NULL;
	input->plan = NULL;
}
