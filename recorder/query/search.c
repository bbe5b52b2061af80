/*
 * recorder/query/search.c - the selected packets of a store, filtered
 */
#include "recorder/query/search.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "recorder/filter/filter.h"
#include "recorder/filter/inner.h"
#include "recorder/filter/payload.h"
#include "recorder/filter/question.h"
#include "recorder/query/backward.h"
#include "recorder/query/plan.h"

#define LINKTYPE_IEEE802_11	105

struct search_filter {
	uint16_t	 linktype;
	struct pb_filter *filter;	/* NULL: does not compile */
	struct pb_question *question;	/* NULL as well without the index */
	struct pb_inner	*inner;		/* NULL: not asked for */
};

struct search_input {
	struct pb_search *search;
	struct pb_stream_info info;
	struct pb_range	 range;
	uint64_t	 dealt;		/* all up to it */
	const struct search_filter *filter;
	bool		 distrusted;	/* the index was wrong: count without */
	/* While it is read. */
	struct pb_cursor *cursor;
	struct pb_plan	*plan;		/* NULL: none is needed */
	struct pb_backward *backward;	/* NULL: it is read forward */
	struct pb_runs	*runs;		/* NULL: none was asked for yet */
	uint64_t	 at;		/* the number that is read next */
	/* Of the extent that the last packet lies in, where runs are looked
	 * for: its last number, and the lowest time of all behind it. */
	uint64_t	 extent_last, floor;
};

/* How far the rounds before have come; the key first, by which it is found. */
struct search_done {
	struct pb_stream_key key;
	uint64_t	 last_seq;
};

/* Packets that were met while some are counted. */
struct count {
	uint64_t	 packets, limit;
};

struct pb_search {
	struct pb_index	*index;
	struct pb_search_opts opts;
	struct pb_explain explain;
	struct pb_planner *planner;
	struct search_input *input;
	size_t		 inputs, inputs_cap;
	struct search_filter **filter;	/* by link type */
	size_t		 filters, filters_cap;
	size_t		 passed_over;
	struct search_done *done;	/* sorted by key */
	size_t		 dones, dones_cap;
	bool		 cut;		/* the round was, short */
	struct pb_err	 filter_err;	/* of the first that failed */
};

static int	input_count(struct pb_search *, size_t, uint64_t, uint64_t *,
		    struct pb_err *);
static int	count_begin(void *, size_t, const struct pb_stream_info *);
static int	count_packet(void *, const struct pb_cursor_packet *,
		    struct pb_err *);
static int	input_each(struct pb_search *, size_t,
		    const struct pb_search_each *, uint64_t *,
		    struct pb_err *);
static int	add_input(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	find_filter(struct pb_search *, uint16_t,
		    struct search_filter **, struct pb_err *);
static int	check_unused_filter(struct pb_search *, struct pb_err *);
static int	any_filter(const struct pb_search *);
/* rounds */
static int	remember(struct pb_search *, struct pb_err *);
static int	done_order(const void *, const void *);
static struct search_done *find_done(const struct pb_search *,
		    const struct pb_stream_key *);
/* the merge's source */
static uint64_t	input_first(const struct search_input *);
static int	open_plan(struct pb_search *, struct search_input *,
		    pb_ask_sure *, void *, struct pb_err *);
static int	open_forward(struct pb_search *, struct search_input *,
		    pb_ask_sure *, void *, struct pb_err *);
static int	open_backward(struct pb_search *, struct search_input *,
		    struct pb_err *);
static bool	take(void *, const struct pb_cursor_packet *);
static int	input_next(void *, size_t, struct pb_cursor_packet *,
		    struct pb_err *);
static int	input_run(void *, size_t, uint64_t, uint64_t, struct pb_run *,
		    struct pb_err *);
static bool	is_run(const struct search_input *,
		    const struct pb_run_ahead *, uint64_t, uint64_t);
static uint64_t	input_floor(void *, size_t);
static void	note_extent(struct search_input *, uint64_t);
static void	input_park(void *, size_t);
static void	input_close(void *, size_t);
static void	close_input(struct pb_search *, struct search_input *);

int
pb_search_create(struct pb_search **out, struct pb_index *index,
    const struct pb_search_opts *opts, struct pb_err *err)
{
	struct pb_search *search = calloc(1, sizeof(*search));
	int rc;

	*out = NULL;
	if (search == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	search->opts = *opts;
	search->explain.no_index = opts->no_index;
	rc = pb_planner_create(&search->planner, opts->store,
	    &search->explain, err);
	if (rc == 0)
		rc = pb_search_round(search, index, err);
	if (rc == 0 && search->filters == 0)
		rc = check_unused_filter(search, err);
	else if (rc == 0 && !any_filter(search)) {
		*err = search->filter_err;
		rc = err->code;
	}
	if (rc < 0) {
		pb_search_destroy(search);
		return rc;
	}
	*out = search;
	return 0;
}

void
pb_search_destroy(struct pb_search *search)
{
	if (search == NULL)
		return;
	for (size_t i = 0; i < search->inputs; i++)
		input_close(search, i);
	for (size_t i = 0; i < search->filters; i++) {
		pb_question_destroy(search->filter[i]->question);
		pb_inner_destroy(search->filter[i]->inner);
		pb_filter_destroy(search->filter[i]->filter);
		free(search->filter[i]);
	}
	pb_planner_destroy(search->planner);
	free(search->input);
	free(search->filter);
	free(search->done);
	free(search);
}

int
pb_search_round(struct pb_search *search, struct pb_index *index,
    struct pb_err *err)
{
	int rc = remember(search, err);

	if (rc < 0)
		return rc;
	search->index = index;
	search->inputs = 0;
	search->passed_over = 0;
	search->cut = false;
	return pb_streams_each(index, NULL, add_input, search, err);
}

void
pb_search_dealt(struct pb_search *search, size_t input, uint64_t seq)
{
	search->input[input].dealt = seq;
}

void
pb_search_cut_short(struct pb_search *search)
{
	search->cut = true;
}

size_t
pb_search_streams(const struct pb_search *search)
{
	return search->inputs;
}

size_t
pb_search_passed_over(const struct pb_search *search)
{
	return search->passed_over;
}

const struct pb_stream_info *
pb_search_stream(const struct pb_search *search, size_t input)
{
	return &search->input[input].info;
}

const struct pb_explain *
pb_search_explain(const struct pb_search *search)
{
	return &search->explain;
}

int
pb_search_merge(struct pb_search *search, struct pb_merge **out,
    struct pb_err *err)
{
	struct pb_merge_source source = {
		.next = input_next,
		.park = input_park,
		.close = input_close,
		.arg = search,
		.backwards = search->opts.backwards,
		.run = input_run,
		.floor = input_floor,
	};
	uint64_t *first;
	int rc;

	*out = NULL;
	/* Of packets that are asked one by one there are none. */
	if (search->opts.filter[0] != '\0' || search->opts.payload != NULL ||
	    search->opts.backwards)
		source.run = NULL;
	first = calloc(search->inputs + 1, sizeof(*first));
	if (first == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	for (size_t i = 0; i < search->inputs; i++)
		first[i] = input_first(&search->input[i]);
	rc = pb_merge_create(out, &source, first, search->inputs, 0, err);
	free(first);
	return rc;
}

int
pb_search_count(struct pb_search *search, uint64_t limit, uint64_t *count,
    struct pb_err *err)
{
	bool whole = pb_select_whole(search->opts.select) &&
	    search->opts.filter[0] == '\0' && search->opts.payload == NULL;
	uint64_t n = 0, more = 0;
	int rc = 0;

	for (size_t i = 0; i < search->inputs && n < limit && rc >= 0; i++) {
		/* What the index counts is what a scan would find. */
		if (whole && search->input[i].range.first_seq == 1) {
			more = search->input[i].info.packets;
			search->explain.counted += more;
			search->explain.found += more;
		} else {
			rc = input_count(search, i, limit - n, &more, err);
		}
		if (rc >= 0)
			n += more;
	}
	*count = n < limit ? n : limit;
	return rc < 0 ? rc : 0;
}

static int
input_count(struct pb_search *search, size_t i, uint64_t limit,
    uint64_t *count, struct pb_err *err)
{
	struct count met = { .limit = limit };
	const struct pb_search_each each = { count_begin, count_packet,
	    pb_ask_count, &met };
	uint64_t sure;
	int rc = input_each(search, i, &each, &sure, err);

	search->explain.counted += sure;
	search->explain.found += sure;
	*count = sure + met.packets;
	return rc < 0 ? rc : 0;
}

static int
count_begin(void *arg, size_t input, const struct pb_stream_info *info)
{
	struct count *met = arg;

	(void)input;
	(void)info;
	met->packets = 0;
	return 0;
}

/* What the index has counted comes on top. */
static int
count_packet(void *arg, const struct pb_cursor_packet *cp, struct pb_err *err)
{
	struct count *met = arg;

	(void)cp;
	(void)err;
	return ++met->packets == met->limit;
}

int
pb_search_each(struct pb_search *search, const struct pb_search_each *each,
    struct pb_err *err)
{
	uint64_t sure;
	int rc = 0;

	for (size_t i = 0; i < search->inputs && rc == 0; i++) {
		rc = input_each(search, i, each, &sure, err);
		search->explain.counted += sure;
		search->explain.found += sure;
	}
	return rc;
}

/* `*sure` packets were counted by the index.  Where that turns out to have
 * been wrong, the stream is read again without it. */
static int
input_each(struct pb_search *search, size_t i,
    const struct pb_search_each *each, uint64_t *sure, struct pb_err *err)
{
	struct search_input *input = &search->input[i];
	struct pb_cursor_packet cp;
	bool known;
	int rc;

	do {
		*sure = 0;
		known = true;
		rc = each->begin(each->arg, i, &input->info);
		if (rc == 0)
			rc = open_forward(search, input, each->sure,
			    each->arg, err);
		while (rc == 0 && !pb_stopped(search->opts.stop)) {
			rc = input_next(search, i, &cp, err);
			if (rc <= 0)
				break;
			rc = each->packet(each->arg, &cp, err);
		}
		if (input->plan != NULL)
			known = pb_plan_counted(input->plan, sure);
		input_close(search, i);
		input->distrusted = !known;
	} while (rc == 0 && !known);
	return rc;
}

static int
add_input(void *arg, const struct pb_stream_info *info, struct pb_err *err)
{
	struct pb_search *search = arg;
	struct search_filter *filter;
	struct search_input *input;
	struct search_done *seen;
	uint64_t done;
	int rc;

	search->explain.streams++;
	if (!pb_select_match(search->opts.select, info)) {
		search->explain.streams_cut++;
		return 0;
	}
	seen = find_done(search, &info->key);
	done = seen != NULL ? seen->last_seq : 0;
	if (info->last_seq <= done)
		return 0;
	rc = find_filter(search, info->linktype, &filter, err);
	if (rc < 0)
		return rc;
	if (filter->filter == NULL) {
		search->passed_over++;
		return 0;
	}
	if (search->inputs == PB_SEARCH_STREAMS_MAX)
		return pb_err_set(err, PB_ELIMIT, "more than %u streams in "
		    "one query; narrow it with --stream, --after or --before",
		    PB_SEARCH_STREAMS_MAX);
	if (!PB_LIST_ROOM(search->input, search->inputs_cap, search->inputs))
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	input = &search->input[search->inputs++];
	memset(input, 0, sizeof(*input));
	input->search = search;
	input->info = *info;
	input->filter = filter;
	input->dealt = done;
	input->range = search->opts.select->range;
	if (input->range.first_seq <= done)
		input->range.first_seq = done + 1;
	if (input->range.last_seq > info->last_seq)
		input->range.last_seq = info->last_seq;
	input->at = input->range.first_seq;
	return 0;
}

/* The filter compiled for a link type; compiled once. */
static int
find_filter(struct pb_search *search, uint16_t linktype,
    struct search_filter **out, struct pb_err *err)
{
	struct search_filter *filter;
	struct pb_err why;
	int rc = 0;

	for (size_t i = 0; i < search->filters; i++)
		if (search->filter[i]->linktype == linktype) {
			*out = search->filter[i];
			return 0;
		}
	filter = PB_LIST_ROOM(search->filter, search->filters_cap,
	    search->filters) ? calloc(1, sizeof(*filter)) : NULL;
	if (filter == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a filter");
	search->filter[search->filters++] = filter;
	filter->linktype = linktype;
	if (pb_filter_create(&filter->filter, search->opts.filter, linktype,
	    &why) < 0) {
		filter->filter = NULL;
		if (search->filter_err.code == 0)
			search->filter_err = why;
	} else if (!search->opts.no_index) {
		rc = pb_question_create(&filter->question, filter->filter,
		    err);
	}
	if (rc == 0 && filter->filter != NULL && search->opts.inner)
		rc = pb_inner_create(&filter->inner, filter->filter, linktype,
		    err);
	if (rc == 0 && filter->question != NULL)
		pb_question_look_inside(filter->question, filter->inner);
	*out = filter;
	return rc;
}

/* No stream asked for the filter: say all the same if it is none. */
static int
check_unused_filter(struct pb_search *search, struct pb_err *err)
{
	struct pb_filter *filter = NULL;
	int rc;

	rc = pb_filter_create(&filter, search->opts.filter,
	    PB_LINKTYPE_ETHERNET, err);
	if (rc < 0 && pb_filter_create(&filter, search->opts.filter,
	    LINKTYPE_IEEE802_11, NULL) == 0)
		rc = 0;
	pb_filter_destroy(filter);
	return rc;
}

static int
any_filter(const struct pb_search *search)
{
	for (size_t i = 0; i < search->filters; i++)
		if (search->filter[i]->filter != NULL)
			return 1;
	return 0;
}

/* How far the round's streams have been read. */
static int
remember(struct pb_search *search, struct pb_err *err)
{
	const struct search_input *input = search->input;
	const struct search_input *end = input + search->inputs;
	struct search_done *done;
	size_t all = search->dones;

	for (; input < end; input++) {
		done = find_done(search, &input->info.key);
		if (done == NULL) {
			if (!PB_LIST_ROOM(search->done, search->dones_cap,
			    all))
				return pb_err_set(err, PB_ENOMEM, "no memory "
				    "for a query");
			done = &search->done[all++];
			done->key = input->info.key;
		}
		done->last_seq = search->cut ? input->dealt :
		    input->info.last_seq;
	}
	if (all > search->dones)
		qsort(search->done, all, sizeof(*done), done_order);
	search->dones = all;
	return 0;
}

static int
done_order(const void *a, const void *b)
{
	return pb_stream_key_order(a, b);
}

static struct search_done *
find_done(const struct pb_search *search, const struct pb_stream_key *key)
{
	return search->dones == 0 ? NULL : bsearch(key, search->done,
	    search->dones, sizeof(*search->done), done_order);
}

/* What is earliest of it, or backwards what is latest. */
static uint64_t
input_first(const struct search_input *input)
{
	const struct pb_range *range = &input->range;

	if (input->search->opts.backwards)
		return input->info.last_time < range->before_ns ?
		    input->info.last_time : range->before_ns - 1;
	return input->info.first_time > range->after_ns ?
	    input->info.first_time : range->after_ns;
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

static int
open_forward(struct pb_search *search, struct search_input *input,
    pb_ask_sure *sure, void *arg, struct pb_err *err)
{
	struct pb_range range = input->range;
	struct pb_cursor_guide guide;
	int rc;

	range.first_seq = input->at;
	rc = pb_cursor_create(&input->cursor, search->index,
	    search->opts.store, &input->info, &range, err);
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
	    .take = take, .arg = input };
	int rc;

	rc = pb_cursor_create(&input->cursor, search->index,
	    search->opts.store, &input->info, &input->range, err);
	if (rc == 0)
		rc = open_plan(search, input, NULL, NULL, err);
	if (rc < 0)
		return rc;
	opts.plan = input->plan;
	opts.cursor = input->cursor;
	return pb_backward_create(&input->backward, &opts, err);
}

/* Is it one that the filter takes? */
static bool
take(void *arg, const struct pb_cursor_packet *cp)
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

static int
input_next(void *arg, size_t i, struct pb_cursor_packet *out,
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
		    open_forward(search, input, NULL, NULL, err);
	}
	if (rc < 0)
		return rc;
	if (input->backward != NULL)
		rc = pb_backward_next(input->backward, out, err);
	else
		do
			rc = pb_cursor_next(input->cursor, out, err);
		while (rc > 0 && !take(input, out) &&
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
static int
input_run(void *arg, size_t i, uint64_t before_ns, uint64_t packets_max,
    struct pb_run *out, struct pb_err *err)
{
	struct pb_search *search = arg;
	struct search_input *input = &search->input[i];
	struct pb_run_ahead ahead;

	if (input->runs == NULL && pb_runs_create(&input->runs,
	    search->index, search->opts.store, &input->info, err) < 0)
		return err->code;
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
static uint64_t
input_floor(void *arg, size_t i)
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

static void
input_park(void *arg, size_t i)
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

static void
input_close(void *arg, size_t i)
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
