/*
 * recorder/query/search.c - the selected packets of a store, filtered
 */
#include "recorder/query/search_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "recorder/filter/payload.h"

/* Packets that were met while some are counted. */
struct count {
	uint64_t	 packets, limit;
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
/* rounds */
static int	remember(struct pb_search *, struct pb_err *);
static int	done_order(const void *, const void *);
static struct search_done *find_done(const struct pb_search *,
		    const struct pb_stream_key *);

int
pb_search_create(struct pb_search **out, struct pb_index *index,
    const struct pb_search_opts *opts, struct pb_err *err)
{
	struct pb_search *search = calloc(1, sizeof(*search));
	int rc;

	*out = NULL;
	if (search == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	rc = search_init(search, opts, err);
	if (rc == 0)
		rc = pb_search_round(search, index, err);
	if (rc == 0)
		rc = search_filters_check(search, err);
	if (rc < 0) {
		pb_search_destroy(search);
		return rc;
	}
	*out = search;
	return 0;
}

int
search_init(struct pb_search *search, const struct pb_search_opts *opts,
    struct pb_err *err)
{
	search->opts = *opts;
	search->explain.no_index = opts->no_index;
	return pb_planner_create(&search->planner, opts->store,
	    &search->explain, err);
}

void
pb_search_destroy(struct pb_search *search)
{
	if (search == NULL)
		return;
	for (size_t i = 0; i < search->inputs; i++)
		search_close(search, i);
	search_filters_free(search);
	pb_payload_destroy(search->twin_payload);
	pb_planner_destroy(search->planner);
	free(search->bytes.data);
	free(search->input);
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
	pb_planner_close(search->planner);
	search->index = index;
	search->inputs = 0;
	search->passed_over = 0;
	search->cut = false;
	return pb_streams_each(index, NULL, add_input, search, err);
}

void
pb_search_dealt(struct pb_search *search, size_t input, uint64_t seq,
    uint64_t packets)
{
	search->explain.found += packets;
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
	search->explain.found -= n - *count;
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
	uint64_t found = search->explain.found;
	struct pb_cursor_packet cp;
	bool known;
	int rc;

	do {
		search->explain.found = found;
		*sure = 0;
		known = true;
		rc = each->begin(each->arg, i, &input->info);
		if (rc == 0)
			rc = search_forward(search, input, each->sure,
			    each->arg, err);
		while (rc == 0 && !pb_stopped(search->opts.stop)) {
			rc = search_next(search, input, &cp, err);
			if (rc <= 0)
				break;
			rc = each->packet(each->arg, &cp, err);
		}
		if (input->plan != NULL)
			known = pb_plan_counted(input->plan, sure);
		search_close(search, i);
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
	rc = search_filter_find(search, info->linktype, &filter, err);
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
	return 0;
}

/* How far the round's streams have been read. */
static int
remember(struct pb_search *search, struct pb_err *err)
{
	const struct search_input *input;
	struct search_done *done;
	size_t all = search->dones;

	for (size_t i = 0; i < search->inputs; i++) {
		input = &search->input[i];
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
