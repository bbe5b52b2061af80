/*
 * recorder/query/query.c - the packets of a store that are asked for
 */
#include "recorder/query/query.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/sys.h"
#include "recorder/query/search.h"
#include "recorder/query/talks.h"
#include "recorder/store/home.h"
#include "recorder/store/read/segment_file.h"

#define FOLLOW_POLL_MS	50
#define HOME_MS		1000	/* between looks whether it is there */

struct pb_query {
	struct pb_query_opts opts;
	struct pb_index	*index;		/* NULL while it is waited for */
	struct pb_search *search;
	struct pb_merge	*merge;		/* of the round; NULL at its end */
	uint64_t	 left;		/* of the limit */
	uint64_t	 late;		/* of rounds that have ended */
	struct pb_repeats *repeats;	/* or NULL */
	struct pb_repeat repeat;	/* of what came last; or head NULL */
	uint64_t	 commits;	/* of the index, before the round */
	bool		 due;		/* a round is, in any case */
	struct pb_home	 home;		/* of the index */
	uint64_t	 home_ms;	/* when it is looked at again */
};

/* What is told of streams without packets. */
struct heads {
	struct pb_query	*query;
	unsigned	 count;
	uint16_t	 linktype;
	int		(*each)(void *, const struct pb_head *,
			    struct pb_err *);
	void		*arg;
};

static int	take_run(struct pb_query *, uint64_t, struct pb_run *,
		    size_t *, struct pb_err *);
static int	is_repeat(struct pb_query *, const struct pb_run *,
		    struct pb_err *);
static int	count_each(struct pb_query *, uint64_t *, struct pb_err *);
static int	enter(struct pb_query *, struct pb_err *);
static void	leave(struct pb_query *, const char *);
static bool	look_for_index(struct pb_query *);
static int	lost(struct pb_query *, struct pb_err *);
static int	one_head(void *, const struct pb_stream_info *,
		    struct pb_err *);

int
pb_query_open(struct pb_query **out, const struct pb_query_opts *opts,
    struct pb_err *err)
{
	struct pb_query *query = calloc(1, sizeof(*query));
	struct pb_search_opts search = {
		.store = opts->store,
		.select = opts->select,
		.filter = opts->filter,
		.stop = opts->stop,
		.no_index = opts->no_index,
		.backwards = opts->reverse,
		.inner = opts->inner,
		.once = opts->once,
		.payload = opts->payload,
		.window_ns = opts->window_ns,
	};
	int rc;

	*out = NULL;
	if (query == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	query->opts = *opts;
	query->left = opts->select->limit;
	query->home.fd = -1;
	rc = pb_home_init(&query->home, opts->store, PB_HOME_INDEX, err);
	if (rc == 0) {
		(void)pb_home_enter(&query->home, NULL);
		rc = enter(query, err);
	}
	if (rc == 0)
		rc = pb_search_create(&query->search, query->index, &search,
		    err);
	if (rc == 0)
		rc = pb_search_merge(query->search, &query->merge, err);
	if (rc == 0 && opts->repeats != NULL)
		rc = pb_repeats_create(&query->repeats, opts->repeats, err);
	if (rc < 0) {
		pb_query_close(query);
		return rc;
	}
	*out = query;
	return 0;
}

void
pb_query_close(struct pb_query *query)
{
	if (query == NULL)
		return;
	pb_repeats_destroy(query->repeats);
	pb_merge_destroy(query->merge);
	pb_search_destroy(query->search);
	if (query->index != NULL)
		leave(query, NULL);
	pb_home_leave(&query->home);
	free(query);
}

size_t
pb_query_streams(const struct pb_query *query)
{
	return pb_search_streams(query->search);
}

size_t
pb_query_passed_over(const struct pb_query *query)
{
	return pb_search_passed_over(query->search);
}

const struct pb_explain *
pb_query_explain(const struct pb_query *query)
{
	return pb_search_explain(query->search);
}

int
pb_query_run(struct pb_query *query, uint64_t packets_max,
    struct pb_run *out, struct pb_err *err)
{
	size_t input;
	int rc = 0;

	assert(query->merge != NULL);
	if (packets_max > query->left)
		packets_max = query->left;
	if (packets_max > 0 && !pb_stopped(query->opts.stop))
		rc = take_run(query, packets_max, out, &input, err);
	if (rc > 0) {
		query->left -= out->packets;
		pb_search_dealt(query->search, input, out->last_seq,
		    out->packets);
		return 1;
	}
	query->late += pb_merge_late(query->merge);
	pb_merge_destroy(query->merge);
	query->merge = NULL;
	/* A segment that is not there has expired; or all of it is gone. */
	if (pb_home_same(&query->home))
		return rc;
	if (!query->opts.follow)
		return rc < 0 ? rc : lost(query, err);
	/* Then it is waited for, and the next round goes on from here. */
	pb_search_cut_short(query->search);
	query->due = true;
	return 0;
}

int
pb_query_next(struct pb_query *query, struct pb_cursor_packet *out,
    struct pb_err *err)
{
	struct pb_run run;
	size_t at = 0;
	int rc = pb_query_run(query, 1, &run, err);

	return rc <= 0 ? rc : pb_run_packet(&run, &at, out, err);
}

const struct pb_repeat *
pb_query_repeat(const struct pb_query *query)
{
	return query->repeat.head != NULL ? &query->repeat : NULL;
}

const struct pb_repeats *
pb_query_repeats(const struct pb_query *query)
{
	return query->repeats;
}

int
pb_query_peek(struct pb_query *query, uint64_t *time_ns, struct pb_err *err)
{
	if (query->merge == NULL || query->left == 0 ||
	    pb_stopped(query->opts.stop))
		return 0;
	return pb_merge_peek(query->merge, time_ns, err);
}

uint64_t
pb_query_late(const struct pb_query *query)
{
	return query->late + (query->merge != NULL ?
	    pb_merge_late(query->merge) : 0);
}

int
pb_query_count(struct pb_query *query, uint64_t *count, struct pb_err *err)
{
	int rc = query->repeats != NULL ? count_each(query, count, err) :
	    pb_search_count(query->search, query->left, count, err);

	return rc < 0 || pb_home_same(&query->home) ? rc : lost(query, err);
}

int
pb_query_talks(struct pb_query *query, struct pb_conversations *out,
    struct pb_err *err)
{
	int rc = pb_talks_gather(query->search, out, err);

	return rc < 0 || pb_home_same(&query->home) ? rc : lost(query, err);
}

const struct pb_stream_info *
pb_query_stream(const struct pb_query *query, size_t stream)
{
	return pb_search_stream(query->search, stream);
}

int
pb_query_wait(struct pb_query *query, int fd, struct pb_err *err)
{
	struct pollfd reader = { .fd = fd };
	uint64_t commits;

	while (query->left > 0 && !pb_stopped(query->opts.stop)) {
		if (poll(&reader, 1, FOLLOW_POLL_MS) > 0 &&
		    (reader.revents & (POLLERR | POLLNVAL)) != 0)
			return 0;
		if (!look_for_index(query))
			continue;
		commits = pb_index_commits(query->index);
		if ((commits == query->commits && !query->due) ||
		    pb_stopped(query->opts.stop))
			continue;
		query->commits = commits;
		query->due = false;
		if (pb_search_round(query->search, query->index, err) < 0 ||
		    pb_search_merge(query->search, &query->merge, err) < 0)
			return err->code;
		return 1;
	}
	return 0;
}

int
pb_query_heads(struct pb_query *query, int (*each)(void *arg,
    const struct pb_head *head, struct pb_err *err), void *arg,
    struct pb_err *err)
{
	struct heads heads = { .query = query, .each = each, .arg = arg };
	int rc = pb_streams_each(query->index, NULL, one_head, &heads, err);

	return rc < 0 ? rc : 0;
}

/* Of the merge; duplicates that are to be left out are passed over. */
static int
take_run(struct pb_query *query, uint64_t packets_max, struct pb_run *out,
    size_t *input, struct pb_err *err)
{
	int rc;

	if (query->repeats == NULL)
		return pb_merge_run(query->merge, packets_max, out, input,
		    err);
	for (;;) {
		rc = pb_merge_run(query->merge, 1, out, input, err);
		if (rc <= 0)
			return rc;
		rc = is_repeat(query, out, err);
		if (rc < 0)
			return rc;
		if (rc == 0 || query->opts.repeats->keep)
			return 1;
		pb_search_dealt(query->search, *input, out->last_seq, 0);
		if (pb_stopped(query->opts.stop))
			return 0;
	}
}

/* Is the packet of this run one?  1, 0, or an error. */
static int
is_repeat(struct pb_query *query, const struct pb_run *run,
    struct pb_err *err)
{
	struct pb_cursor_packet cp;
	size_t at = 0;
	int rc = pb_run_packet(run, &at, &cp, err);

	if (rc > 0)
		rc = pb_repeats_packet(query->repeats, &cp, run->first_time,
		    &query->repeat, err);
	if (rc <= 0)
		query->repeat.head = NULL;
	return rc;
}

static int
count_each(struct pb_query *query, uint64_t *count, struct pb_err *err)
{
	struct pb_run run;
	int rc;

	*count = 0;
	while ((rc = pb_query_run(query, UINT64_MAX, &run, err)) > 0)
		*count += run.packets;
	return rc;
}

/* Its home is entered before: were the index replaced in between, the next
 * look would find another file. */
static int
enter(struct pb_query *query, struct pb_err *err)
{
	int rc = query->opts.open(query->opts.arg, &query->index, err);

	if (rc == 0)
		query->commits = pb_index_commits(query->index);
	return rc;
}

static void
leave(struct pb_query *query, const char *why)
{
	query->opts.close(query->opts.arg, query->index, why);
	query->index = NULL;
	pb_home_leave(&query->home);
}

/*
 * Once a second: is the index that is read still the store's?  Else another
 * one is read from now on, or waited for.  True where there is one.
 */
static bool
look_for_index(struct pb_query *query)
{
	uint64_t now_ms = pb_clock_mono_ms();
	struct pb_err why;

	if (now_ms < query->home_ms)
		return query->index != NULL;
	query->home_ms = now_ms + HOME_MS;
	if (query->index != NULL && pb_home_same(&query->home))
		return true;
	if (query->index != NULL)
		leave(query, pb_home_why(&query->home));
	if (pb_below_renew(query->opts.store, NULL) < 0 ||
	    pb_home_enter(&query->home, NULL) < 0 || enter(query, &why) < 0) {
		/* Nothing of a store that was unmounted stays open. */
		pb_home_leave(&query->home);
		pb_below_park(query->opts.store);
	}
	query->due = query->index != NULL;
	return query->due;
}

static int
lost(struct pb_query *query, struct pb_err *err)
{
	return pb_err_set(err, PB_ESYS, "query: the index of the store %.300s "
	    "%s while it was read: what was found is not all",
	    query->opts.store, pb_home_why(&query->home));
}

static int
one_head(void *arg, const struct pb_stream_info *info, struct pb_err *err)
{
	struct heads *heads = arg;
	struct pb_head *head;
	int rc;

	if (!pb_select_named(heads->query->opts.select, info))
		return 0;
	/* Of one link type, so that tcpdump reads the file as well. */
	if (heads->count > 0 && info->linktype != heads->linktype)
		return 0;
	if (heads->count++ == PB_QUERY_HEADS_MAX)
		return 1;
	heads->linktype = info->linktype;
	rc = pb_stream_head(&head, heads->query->opts.store,
	    heads->query->index, info, 0, err);
	if (rc <= 0)
		return rc;
	rc = heads->each(heads->arg, head, err);
	pb_head_unref(head);
	return rc;
}
