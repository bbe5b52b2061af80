/*
 * recorder/query/search.c - the selected packets of a store, filtered
 */
#include "recorder/query/search.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "recorder/filter/filter.h"

#define LINKTYPE_IEEE802_11	105

struct search_filter {
	uint16_t	 linktype;
	struct pb_filter *filter;	/* NULL: does not compile */
};

struct search_input {
	struct pb_stream_info info;
	struct pb_range	 range;
	uint64_t	 dealt;		/* all up to it */
	struct pb_cursor *cursor;
	const struct pb_filter *filter;
};

/* How far the rounds before have come; the key first, by which it is found. */
struct search_done {
	struct pb_stream_key key;
	uint64_t	 last_seq;
};

struct pb_search {
	struct pb_index	*index;
	const char	*store;
	const struct pb_select *select;
	const char	*filter_text;
	const struct pb_stop *stop;
	struct search_input *input;
	size_t		 inputs, inputs_cap;
	struct search_filter *filter;	/* by link type */
	size_t		 filters, filters_cap;
	size_t		 passed_over;
	struct search_done *done;	/* sorted by key */
	size_t		 dones, dones_cap;
	bool		 cut;		/* the round was, short */
	struct pb_err	 filter_err;	/* of the first that failed */
};

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
static int	input_next(void *, size_t, struct pb_cursor_packet *,
		    struct pb_err *);
static void	input_park(void *, size_t);
static void	input_close(void *, size_t);

int
pb_search_create(struct pb_search **out, struct pb_index *index,
    const char *store, const struct pb_select *select, const char *filter,
    const struct pb_stop *stop, struct pb_err *err)
{
	struct pb_search *search = calloc(1, sizeof(*search));
	int rc;

	*out = NULL;
	if (search == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	search->store = store;
	search->select = select;
	search->filter_text = filter;
	search->stop = stop;
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
		pb_cursor_destroy(search->input[i].cursor);
	for (size_t i = 0; i < search->filters; i++)
		pb_filter_destroy(search->filter[i].filter);
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

int
pb_search_merge(struct pb_search *search, struct pb_merge **out,
    struct pb_err *err)
{
	struct pb_merge_source source = {
		.next = input_next,
		.park = input_park,
		.close = input_close,
		.arg = search,
	};
	uint64_t *first, after = search->select->range.after_ns;
	int rc;

	*out = NULL;
	first = calloc(search->inputs + 1, sizeof(*first));
	if (first == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	for (size_t i = 0; i < search->inputs; i++) {
		first[i] = search->input[i].info.first_time;
		if (first[i] < after)
			first[i] = after;
	}
	rc = pb_merge_create(out, &source, first, search->inputs, 0, err);
	free(first);
	return rc;
}

int
pb_search_count(struct pb_search *search, uint64_t limit, uint64_t *count,
    struct pb_err *err)
{
	bool whole = pb_select_whole(search->select) &&
	    search->filter_text[0] == '\0';
	struct pb_cursor_packet cp;
	uint64_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < search->inputs && n < limit && rc >= 0; i++) {
		/* What the index counts is what a scan would find. */
		if (whole && search->input[i].range.first_seq == 1) {
			n += search->input[i].info.packets;
			continue;
		}
		while (n < limit && !pb_stopped(search->stop) &&
		    (rc = input_next(search, i, &cp, err)) > 0)
			n++;
		input_close(search, i);
	}
	*count = n < limit ? n : limit;
	return rc < 0 ? rc : 0;
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

	if (!pb_select_match(search->select, info))
		return 0;
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
	input->info = *info;
	input->filter = filter->filter;
	input->dealt = done;
	input->range = search->select->range;
	if (input->range.first_seq <= done)
		input->range.first_seq = done + 1;
	if (input->range.last_seq > info->last_seq)
		input->range.last_seq = info->last_seq;
	return 0;
}

/* The filter compiled for a link type; compiled once. */
static int
find_filter(struct pb_search *search, uint16_t linktype,
    struct search_filter **out, struct pb_err *err)
{
	struct search_filter *filter;
	struct pb_err why;

	for (size_t i = 0; i < search->filters; i++)
		if (search->filter[i].linktype == linktype) {
			*out = &search->filter[i];
			return 0;
		}
	if (!PB_LIST_ROOM(search->filter, search->filters_cap,
	    search->filters))
		return pb_err_set(err, PB_ENOMEM, "no memory for a filter");
	filter = &search->filter[search->filters++];
	filter->linktype = linktype;
	filter->filter = NULL;
	if (pb_filter_create(&filter->filter, search->filter_text, linktype,
	    &why) < 0) {
		filter->filter = NULL;
		if (search->filter_err.code == 0)
			search->filter_err = why;
	}
	*out = filter;
	return 0;
}

/* No stream asked for the filter: say all the same if it is none. */
static int
check_unused_filter(struct pb_search *search, struct pb_err *err)
{
	struct pb_filter *filter = NULL;
	int rc;

	rc = pb_filter_create(&filter, search->filter_text,
	    PB_LINKTYPE_ETHERNET, err);
	if (rc < 0 && pb_filter_create(&filter, search->filter_text,
	    LINKTYPE_IEEE802_11, NULL) == 0)
		rc = 0;
	pb_filter_destroy(filter);
	return rc;
}

static int
any_filter(const struct pb_search *search)
{
	for (size_t i = 0; i < search->filters; i++)
		if (search->filter[i].filter != NULL)
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

static int
input_next(void *arg, size_t i, struct pb_cursor_packet *out,
    struct pb_err *err)
{
	struct pb_search *search = arg;
	struct search_input *input = &search->input[i];
	int rc = input->cursor != NULL ? 0 : pb_cursor_create(&input->cursor,
	    search->index, search->store, &input->info, &input->range, err);

	if (rc < 0)
		return rc;
	do
		rc = pb_cursor_next(input->cursor, out, err);
	while (rc > 0 && !pb_filter_match(input->filter, &out->packet) &&
	    !pb_stopped(search->stop));
	return rc > 0 && pb_stopped(search->stop) ? 0 : rc;
}

static void
input_park(void *arg, size_t i)
{
	struct pb_search *search = arg;

	/* Without memory there is none. */
	if (search->input[i].cursor != NULL)
		pb_cursor_park(search->input[i].cursor);
}

static void
input_close(void *arg, size_t i)
{
	struct pb_search *search = arg;

	pb_cursor_destroy(search->input[i].cursor);
	search->input[i].cursor = NULL;
}
