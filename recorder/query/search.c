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

struct search_lane {
	struct pb_stream_info info;
	struct pb_range	 range;
	uint64_t	 dealt;		/* all up to it */
	struct pb_cursor *cursor;
	const struct pb_filter *filter;
};

/* How far the rounds before have come. */
struct search_done {
	uint32_t	 stream;
	uint64_t	 last_seq;
};

struct pb_search {
	struct pb_index	*index;
	const char	*store;
	const struct pb_select *select;
	const char	*filter_text;
	const struct pb_stop *stop;
	struct search_lane *lane;
	size_t		 lanes, lanes_cap;
	struct search_filter *filter;	/* by link type */
	size_t		 filters;
	size_t		 passed_over;
	struct search_done *done;		/* by stream */
	size_t		 dones, dones_cap;
	struct pb_stream_key *left;	/* of `done`, between two indexes */
	struct pb_err	 filter_err;	/* of the first that failed */
};

static int	add_lane(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	find_filter(struct pb_search *, uint16_t, struct search_filter **,
		    struct pb_err *);
static int	check_unused_filter(struct pb_search *, struct pb_err *);
static int	any_filter(const struct pb_search *);
/* rounds */
static int	round_done(struct pb_search *, struct pb_err *);
static int	done_order(const void *, const void *);
static struct search_done *find_done(const struct pb_search *, uint32_t);
/* the merge's source */
static int	lane_open(void *, size_t, struct pb_err *);
static int	lane_next(void *, size_t, struct pb_cursor_packet *,
		    struct pb_err *);
static void	lane_park(void *, size_t);
static void	lane_close(void *, size_t);

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
	search->index = index;
	search->store = store;
	search->select = select;
	search->filter_text = filter;
	search->stop = stop;
	rc = pb_search_round(search, err);
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
	for (size_t i = 0; i < search->lanes; i++)
		pb_cursor_destroy(search->lane[i].cursor);
	for (size_t i = 0; i < search->filters; i++)
		pb_filter_destroy(search->filter[i].filter);
	free(search->lane);
	free(search->filter);
	free(search->done);
	free(search->left);
	free(search);
}

int
pb_search_round(struct pb_search *search, struct pb_err *err)
{
	int rc = round_done(search, err);

	if (rc < 0)
		return rc;
	search->lanes = 0;
	search->passed_over = 0;
	return pb_streams_each(search->index, NULL, add_lane, search, err);
}

void
pb_search_dealt(struct pb_search *search, size_t lane, uint64_t seq)
{
	search->lane[lane].dealt = seq;
}

void
pb_search_cut_short(struct pb_search *search)
{
	for (size_t i = 0; i < search->lanes; i++)
		search->lane[i].info.last_seq = search->lane[i].dealt;
}

/* An index that was made again may have other ids. */
int
pb_search_leave(struct pb_search *search, struct pb_err *err)
{
	int rc = round_done(search, err);

	search->lanes = 0;
	if (rc < 0)
		return rc;
	search->left = calloc(search->dones + 1, sizeof(*search->left));
	if (search->left == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	for (size_t i = 0; i < search->dones && rc >= 0; i++)
		rc = pb_index_stream_key(search->index,
		    search->done[i].stream, &search->left[i], err);
	search->index = NULL;
	return rc < 0 ? rc : 0;
}

int
pb_search_enter(struct pb_search *search, struct pb_index *index,
    struct pb_err *err)
{
	struct pb_stream_info info;
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; i < search->dones && rc >= 0; i++) {
		rc = pb_index_stream(index, &search->left[i], &info, err);
		if (rc != 1)
			continue;
		search->done[kept].stream = info.id;
		search->done[kept++].last_seq = search->done[i].last_seq;
	}
	if (rc < 0)
		return rc;
	free(search->left);
	search->left = NULL;
	search->dones = kept;
	if (kept > 0)
		qsort(search->done, kept, sizeof(*search->done), done_order);
	search->index = index;
	return 0;
}

size_t
pb_search_streams(const struct pb_search *search)
{
	return search->lanes;
}

const struct pb_stream_info *
pb_search_stream(const struct pb_search *search, size_t i)
{
	return &search->lane[i].info;
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
		.open = lane_open,
		.next = lane_next,
		.park = lane_park,
		.close = lane_close,
		.arg = search,
	};
	uint64_t *first, after = search->select->range.after_ns;
	int rc;

	*out = NULL;
	first = calloc(search->lanes + 1, sizeof(*first));
	if (first == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	for (size_t i = 0; i < search->lanes; i++) {
		first[i] = search->lane[i].info.first_time;
		if (first[i] < after)
			first[i] = after;
	}
	rc = pb_merge_create(out, &source, first, search->lanes, 0, err);
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

	for (size_t i = 0; i < search->lanes && n < limit && rc == 0; i++) {
		/* What the index counts is what a scan would find. */
		if (whole && search->lane[i].range.first_seq == 1) {
			n += search->lane[i].info.packets;
			continue;
		}
		rc = lane_open(search, i, err);
		while (rc == 0 && n < limit && !pb_stopped(search->stop)) {
			rc = lane_next(search, i, &cp, err);
			if (rc <= 0)
				break;
			n++;
			rc = 0;
		}
		lane_close(search, i);
	}
	*count = n < limit ? n : limit;
	return rc;
}

static int
add_lane(void *arg, const struct pb_stream_info *info, struct pb_err *err)
{
	struct pb_search *search = arg;
	struct search_filter *filter;
	struct search_lane *lane;
	struct search_done *seen;
	uint64_t done;
	int rc;

	if (!pb_select_match(search->select, info))
		return 0;
	seen = find_done(search, info->id);
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
	if (search->lanes == PB_SEARCH_STREAMS_MAX)
		return pb_err_set(err, PB_ELIMIT, "more than %u streams in "
		    "one query; narrow it with --stream, --after or --before",
		    PB_SEARCH_STREAMS_MAX);
	if (!PB_LIST_ROOM(search->lane, search->lanes_cap, search->lanes))
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	lane = &search->lane[search->lanes++];
	memset(lane, 0, sizeof(*lane));
	lane->info = *info;
	lane->filter = filter->filter;
	lane->dealt = done;
	lane->range = search->select->range;
	if (lane->range.first_seq <= done)
		lane->range.first_seq = done + 1;
	if (lane->range.last_seq > info->last_seq)
		lane->range.last_seq = info->last_seq;
	return 0;
}

/* The filter compiled for a link type; compiled once. */
static int
find_filter(struct pb_search *search, uint16_t linktype,
    struct search_filter **out, struct pb_err *err)
{
	struct search_filter *grown, *filter;
	struct pb_err why;

	for (size_t i = 0; i < search->filters; i++)
		if (search->filter[i].linktype == linktype) {
			*out = &search->filter[i];
			return 0;
		}
	grown = realloc(search->filter, (search->filters + 1) * sizeof(*grown));
	if (grown == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a filter");
	search->filter = grown;
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

/* Remember how far the round's streams have been read. */
static int
round_done(struct pb_search *search, struct pb_err *err)
{
	const struct pb_stream_info *info;
	struct search_done *done;
	size_t sorted = search->dones, i;

	for (i = 0; i < search->lanes; i++) {
		lane_close(search, i);
		info = &search->lane[i].info;
		done = find_done(search, info->id);
		if (done != NULL)
			done->last_seq = info->last_seq;
	}
	for (i = 0; i < search->lanes; i++) {
		info = &search->lane[i].info;
		if (find_done(search, info->id) != NULL)
			continue;
		if (!PB_LIST_ROOM(search->done, search->dones_cap, sorted))
			return pb_err_set(err, PB_ENOMEM, "no memory for a "
			    "query");
		search->done[sorted].stream = info->id;
		search->done[sorted++].last_seq = info->last_seq;
	}
	if (sorted > search->dones)
		qsort(search->done, sorted, sizeof(*done), done_order);
	search->dones = sorted;
	return 0;
}

static int
done_order(const void *a, const void *b)
{
	const struct search_done *x = a, *y = b;

	return x->stream < y->stream ? -1 : x->stream > y->stream;
}

static struct search_done *
find_done(const struct pb_search *search, uint32_t stream)
{
	struct search_done key = { .stream = stream };

	return search->dones == 0 ? NULL : bsearch(&key, search->done,
	    search->dones, sizeof(key), done_order);
}

static int
lane_open(void *arg, size_t i, struct pb_err *err)
{
	struct pb_search *search = arg;
	struct search_lane *lane = &search->lane[i];

	return pb_cursor_create(&lane->cursor, search->index, search->store,
	    &lane->info, &lane->range, err);
}

static int
lane_next(void *arg, size_t i, struct pb_cursor_packet *out,
    struct pb_err *err)
{
	struct pb_search *search = arg;
	struct search_lane *lane = &search->lane[i];
	int rc;

	do
		rc = pb_cursor_next(lane->cursor, out, err);
	while (rc > 0 && !pb_filter_match(lane->filter, &out->packet) &&
	    !pb_stopped(search->stop));
	return rc > 0 && pb_stopped(search->stop) ? 0 : rc;
}

static void
lane_park(void *arg, size_t i)
{
	struct pb_search *search = arg;

	pb_cursor_park(search->lane[i].cursor);
}

static void
lane_close(void *arg, size_t i)
{
	struct pb_search *search = arg;

	pb_cursor_destroy(search->lane[i].cursor);
	search->lane[i].cursor = NULL;
}
