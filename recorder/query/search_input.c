/*
 * recorder/query/search_input.c - one stream of a search
 */
#include "recorder/filter/filter.h"
#include "recorder/filter/inner.h"
#include "recorder/filter/payload.h"
#include "recorder/query/search_impl.h"

/* Packets that are gathered from all over an index block; and of what may be
 * read at once the part that they come to, before others are. */
#define GATHERED_MAX	64u
#define GATHERED_PART	4u

static int	open_cursor(struct pb_search *, struct search_input *,
		    struct pb_err *);
static int	open_plan(struct pb_search *, struct search_input *,
		    pb_ask_sure *, void *, struct pb_err *);
static int	open_backward(struct pb_search *, struct search_input *,
		    struct pb_err *);
static int	load_next(struct pb_search *, struct search_input *, size_t,
		    struct pb_err *);
static bool	more_at_once(struct search_input *, size_t,
		    struct pb_batch *);
static int	gather(struct search_input *, struct pb_batch *,
		    struct pb_err *);
static void	cut_below(struct search_input *, size_t, struct pb_batch *);
static bool	takes(struct search_input *,
		    const struct pb_cursor_packet *);

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
    struct pb_err *err)
{
	int rc = pb_cursor_create(&input->cursor, search->index,
	    search->opts.store, &input->info, &input->range, err);

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
	struct pb_cursor_guide guide;
	int rc;

	input->most = 1;
	rc = open_cursor(search, input, err);
	if (rc < 0 || input->distrusted || input->filter->question == NULL)
		return rc;
	rc = open_plan(search, input, sure, arg, err);
	if (rc < 0)
		return rc;
	guide = pb_plan_guide(input->plan);
	pb_cursor_lead(input->cursor, &guide);
	return 0;
}

void
search_seek(struct search_input *input, uint64_t first, uint64_t last)
{
	pb_cursor_seek(input->cursor, first, last);
	pb_plan_seek(input->plan, first, last);
}

static int
open_backward(struct pb_search *search, struct search_input *input,
    struct pb_err *err)
{
	struct pb_cursor_guide guide;
	int rc;

	rc = open_cursor(search, input, err);
	if (rc == 0)
		rc = open_plan(search, input, NULL, NULL, err);
	if (rc < 0)
		return rc;
	guide = pb_plan_guide(input->plan);
	pb_cursor_lead(input->cursor, &guide);
	/* It has nothing to read before it is told what. */
	pb_cursor_seek(input->cursor, 1, 0);
	input->before = input->range.last_seq + 1;
	return 0;
}

static bool
takes(struct search_input *input, const struct pb_cursor_packet *cp)
{
	const struct pb_payload *payload = input->search->opts.payload;
	struct pb_explain *explain = &input->search->explain;
	bool match = input->filter->inner != NULL ?
	    pb_inner_match(input->filter->inner, &cp->packet) :
	    pb_filter_match(input->filter->filter, &cp->packet);

	/* Also of what all is taken the packets have the last word: it costs
	 * little beside reading them. */
	if (cp->verdict == PB_VERDICT_ALL)
		explain->taken++;
	else
		explain->asked++;
	return match && (payload == NULL || pb_payload_match(payload,
	    input->info.linktype, &cp->packet));
}

int
search_next(struct pb_search *search, struct search_input *input,
    struct pb_cursor_packet *out, struct pb_err *err)
{
	int rc;

	do
		rc = pb_cursor_next(input->cursor, out, err);
	while (rc > 0 && !takes(input, out) &&
	    !pb_stopped(search->opts.stop));
	if (rc > 0 && pb_stopped(search->opts.stop))
		return 0;
	if (rc > 0)
		search->explain.found++;
	return rc;
}

int
search_batch(void *arg, size_t i, size_t bytes_max, struct pb_batch *out,
    struct pb_err *err)
{
	struct pb_search *search = arg;
	struct search_input *input = &search->input[i];
	int rc = 0;

	if (input->failed.code != 0) {
		*err = input->failed;
		return err->code;
	}
	if (input->cursor == NULL)
		rc = search->opts.backwards ?
		    open_backward(search, input, err) :
		    search_forward(search, input, NULL, NULL, err);
	while (rc >= 0 && (out->count == 0 ||
	    more_at_once(input, bytes_max, out))) {
		if (pb_stopped(search->opts.stop))
			return 0;
		rc = load_next(search, input, bytes_max, err);
		if (rc <= 0)
			break;
		rc = gather(input, out, err);
		if (search->opts.backwards)
			cut_below(input, bytes_max, out);
	}
	if (rc < 0 && out->count > 0)
		input->failed = *err;
	else if (rc <= 0 && out->count == 0)
		return rc;
	return pb_batch_keep(out, &search->bytes) ? 1 : pb_err_set(err,
	    PB_ENOMEM, "no memory for a query");
}

/*
 * Packets that are far apart come by themselves, and would be a batch each:
 * those of an index block are gathered, at first one, then twice as many each
 * time, so that the first one need not wait for others.
 */
static bool
more_at_once(struct search_input *input, size_t bytes_max,
    struct pb_batch *out)
{
	if (input->search->opts.backwards || input->failed.code != 0 ||
	    input->plan == NULL || !pb_plan_goes_on(input->plan) ||
	    out->wanted > bytes_max / GATHERED_PART)
		return false;
	if (out->count < input->most)
		return pb_batch_copy(out);
	if (input->most < GATHERED_MAX)
		input->most *= 2;
	return false;
}

/* Bytes that are next: 1, 0 where there are none, or an error. */
static int
load_next(struct pb_search *search, struct search_input *input,
    size_t bytes_max, struct pb_err *err)
{
	uint64_t first, last;
	int rc;

	for (;;) {
		rc = pb_cursor_load(input->cursor, &search->bytes,
		    search->opts.backwards ? 0 : bytes_max, err);
		if (rc != 0 || !search->opts.backwards)
			return rc;
		rc = pb_plan_back(input->plan, input->before, &first, &last,
		    err);
		if (rc <= 0)
			return rc;
		if (first < input->range.first_seq)
			first = input->range.first_seq;
		pb_cursor_seek(input->cursor, first, last);
		input->before = first;
	}
}

/* What is wanted of the bytes that were loaded.  Where something is wrong
 * behind packets, these come first. */
static int
gather(struct search_input *input, struct pb_batch *out, struct pb_err *err)
{
	struct pb_cursor_packet cp;
	int rc;

	while ((rc = pb_cursor_step(input->cursor, &cp, err)) > 0)
		if (takes(input, &cp) && !pb_batch_add(out, &cp))
			return pb_err_set(err, PB_ENOMEM, "no memory for a "
			    "query");
	if (out->count == 0 || input->search->opts.backwards)
		return rc;
	if (rc < 0)
		input->failed = *err;
	out->floor = pb_cursor_floor(input->cursor);
	return 0;
}

/*
 * Backwards, of what lies in a piece only its end is next, as much of it as is
 * to be held, and nothing where more of the piece comes behind; the rest is
 * read again.
 */
static void
cut_below(struct search_input *input, size_t bytes_max, struct pb_batch *out)
{
	size_t i = out->count, bytes = 0;

	if (i == 0)
		return;
	if (!pb_cursor_done(input->cursor)) {
		input->before = out->packet[i - 1].seq + 1;
		pb_batch_clear(out);
		return;
	}
	do
		bytes += out->packet[--i].len;
	while (i > 0 && bytes + out->packet[i - 1].len <= bytes_max);
	if (i == 0)
		return;
	input->before = out->packet[i].seq;
	pb_batch_drop(out, i);
}

void
search_park(void *arg, size_t i)
{
	struct pb_search *search = arg;
	struct search_input *input = &search->input[i];

	/* Where it could not be opened there is none. */
	if (input->cursor != NULL)
		pb_cursor_park(input->cursor);
	if (input->plan != NULL)
		pb_plan_park(input->plan);
}

void
search_count_bytes(struct pb_search *search, struct search_input *input)
{
	if (input->cursor != NULL)
		search->explain.packet_bytes += pb_cursor_bytes(input->cursor);
}

void
search_close(void *arg, size_t i)
{
	struct pb_search *search = arg;
	struct search_input *input = &search->input[i];

	search_count_bytes(search, input);
	pb_cursor_destroy(input->cursor);
	pb_plan_destroy(input->plan);
	input->cursor = NULL;
	input->plan = NULL;
	input->failed.code = 0;
}
