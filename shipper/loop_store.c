/*
 * shipper/loop_store.c - the store that the loop ships from: it comes, goes,
 * and grows
 *
 * The lock and the state come with the store's directory, the upstreams with
 * the index.  Where the index goes, they go, and begin again with the next one
 * by asking the receivers.  Where the store goes, all of it goes; nothing is
 * made at its path before a recorder has an index there.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/sys.h"
#include "shipper/loop_impl.h"

#define MISSED_MS	1000u	/* until what was not taken is given again */

static bool	configured(void *, const char *);
static bool	dialled(void *, const char *);
static void	leave_store(struct pb_loop *);
static bool	store_is_there(void *);
static bool	store_is_ready(struct pb_loop *);
static int	take_store(struct pb_loop *, struct pb_err *);
static int	lock_store(struct pb_loop *, struct pb_err *);
static int	open_index(struct pb_loop *, struct pb_err *);
static void	found(void *, const void *, uint32_t);
static const struct pb_stream_info *stream_of(void *, uint32_t);

int
loop_store_look(struct pb_loop *loop, struct pb_err *err)
{
	int rc;

	if (loop->state != NULL && !store_is_there(loop))
		leave_store(loop);
	if (loop->feed != NULL) {
		if (pb_watch_same(loop->watch))
			return 0;
		pb_log(PB_LOG_WARN, "shipper", "the index of the store %s was "
		    "replaced: starting over", loop->store);
		for (size_t i = 0; i < loop->upstreams; i++)
			pb_upstream_stop(loop->upstream[i]);
		loop_report_last(loop);
		loop_store_close(loop);
		loop_letters_replaced(loop);
	}
	rc = take_store(loop, err);
	if (rc == 1)
		rc = open_index(loop, err);
	if (rc == PB_EBUSY && loop->lock_fd < 0 && !loop->left)
		return rc;
	if (rc < 0)
		loop_say(loop, err->text);
	return 0;
}

void
loop_store_close(struct pb_loop *loop)
{
	loop_told_stop(loop);
	while (loop->upstreams > 0)
		pb_upstream_destroy(loop->upstream[--loop->upstreams]);
	pb_edges_destroy(loop->edges);
	loop->edges = NULL;
	pb_feed_destroy(loop->feed);
	loop->feed = NULL;
	loop->index = NULL;
	if (loop->watch != NULL)
		pb_watch_close(loop->watch);
}

int
loop_upstream_start(struct pb_loop *loop,
    const struct pb_conf_upstream *conf, struct pb_err *err)
{
	struct pb_upstream_env env = { .store = loop->store,
	    .feed = loop->feed, .worker = loop->reader,
	    .keeper = loop->keeper, .index = loop->index,
	    .letters = loop->letters, .state = loop->state,
	    .stream = stream_of, .there = store_is_there, .arg = loop };
	struct pb_sink_opts opts = { .conf = conf, .http = loop->http,
	    .sender = loop->sender, .wake = loop->wake_fd,
	    .now_ms = pb_clock_mono_ms() };
	struct pb_sink *sink;
	int rc;

	rc = pb_sink_create(&sink, &opts, err);
	if (rc == 0)
		rc = pb_upstream_create(&loop->upstream[loop->upstreams],
		    conf, &env, sink, err);
	if (rc == 0)
		loop->upstreams++;
	return rc;
}

void
loop_store_scan(struct pb_loop *loop, uint64_t now_ms)
{
	struct pb_err err;

	if (pb_watch_scan(loop->watch, loop_store_grown, loop, now_ms,
	    &err) < 0)
		loop_say(loop, err.text);
	if (now_ms >= loop->missed_ms && loop->missed_ms != 0) {
		loop->missed_ms = 0;
		pb_watch_each(loop->watch, loop_store_grown, loop);
	}
	if (pb_watch_left_out(loop->watch) > 0 && !loop->left_out_said) {
		loop->left_out_said = true;
		pb_log(PB_LOG_ERROR, "shipper", "more than %u streams in the "
		    "store: %u are not shipped", PB_SHIP_STREAMS_MAX,
		    pb_watch_left_out(loop->watch));
	}
}

void
loop_store_grown(void *arg, const struct pb_stream_info *stream)
{
	struct pb_loop *loop = arg;
	struct pb_err err;
	int rc;

	for (size_t i = 0; i < loop->upstreams; i++) {
		rc = pb_upstream_stream(loop->upstream[i], stream, &err);
		if (rc < 0)
			loop_say(loop, err.text);
		/* It may never grow again. */
		if (rc < 0 && rc != PB_ELIMIT)
			loop->missed_ms = pb_clock_mono_ms() + MISSED_MS;
	}
}

int
loop_store_forget(struct pb_loop *loop, struct pb_err *err)
{
	int rc = pb_state_forget(loop->state, configured, loop, err);

	return rc < 0 ? rc : pb_state_forget_edges(loop->state, dialled, loop,
	    err);
}

/*
 * Another one may be at its path by now: nothing of what memory has is true
 * of that, and what is under way is asked for again.
 */
static void
leave_store(struct pb_loop *loop)
{
	pb_log(PB_LOG_ERROR, "shipper", "the store %s %s: nothing is shipped "
	    "until it is back, or another one is there",
	    loop->store, pb_home_why(&loop->home));
	loop_store_close(loop);
	loop_report_end(loop);
	loop_letters_close(loop);
	loop_pulls_close(loop);
	loop->fills_commits = 0;
	pb_state_close(loop->state);
	loop->state = NULL;
	pb_home_leave(&loop->home);
	close(loop->lock_fd);
	loop->lock_fd = -1;
	pb_below_park(loop->store);
	loop->left = true;
	loop->said[0] = '\0';
}

static bool
store_is_there(void *arg)
{
	const struct pb_loop *loop = arg;

	return pb_home_same(&loop->home);
}

/* One that has gone is waited for: what is at its path now may be the
 * directory that it was mounted over. */
static bool
store_is_ready(struct pb_loop *loop)
{
	char index[PATH_MAX];
	struct stat st;

	if (loop->left)
		return pb_layout_path(index, loop->store,
		    PB_HOME_INDEX, NULL) == 0 && stat(index, &st) == 0;
	return stat(loop->store, &st) == 0;
}

/* The lock and the state: 1 ours, 0 there is no store, or an error. */
static int
take_store(struct pb_loop *loop, struct pb_err *err)
{
	char text[PB_ERR_TEXT_MAX];
	struct pb_err later;
	int rc;

	if (loop->state != NULL)
		return 1;
	if (!store_is_ready(loop)) {
		snprintf(text, sizeof(text), "no store at %.400s yet: waiting "
		    "for pb-recorder", loop->store);
		loop_say(loop, text);
		return 0;
	}
	rc = lock_store(loop, err);
	if (rc < 0)
		return rc;
	rc = pb_state_open_write(&loop->state, loop->store, err);
	if (rc == 0)
		rc = pb_home_enter(&loop->home, err);
	if (rc == 0)
		rc = loop_store_forget(loop, err);
	if (rc == 0)
		rc = loop_letters_open(loop, err);
	/* Shipping needs no puller. */
	if (rc == 0 && loop_pulls_open(loop, &later) < 0)
		loop_say(loop, later.text);
	if (rc < 0) {
		pb_state_close(loop->state);
		loop->state = NULL;
		pb_home_leave(&loop->home);
		/* It may have been deleted meanwhile: what is at its path is
		 * looked at anew. */
		close(loop->lock_fd);
		loop->lock_fd = -1;
		rc = PB_ESYS;
	}
	return rc < 0 ? rc : 1;
}

/* Whatever directory is at the path now. */
static int
lock_store(struct pb_loop *loop, struct pb_err *err)
{
	const char *store = loop->store;
	int rc = loop->held ? pb_below_renew(store, err) :
	    pb_below_hold(store, err);

	if (rc < 0)
		return rc;
	loop->held = true;
	/* It may have come after we began. */
	rc = pb_owner_refuses(store, "pb-shipper",
	    pb_sink_capability(loop->conf), err);
	if (rc == 0)
		rc = pb_shipper_lock(&loop->lock_fd, store, err);
	if (rc < 0)
		loop->lock_fd = -1;
	return rc;
}

static int
open_index(struct pb_loop *loop, struct pb_err *err)
{
	struct pb_feed_opts opts = { .store = loop->store,
	    .worker = loop->reader, .found = found, .arg = loop };
	struct pb_edge_env env = { .http = loop->http,
	    .sender = loop->sender, .state = loop->state,
	    .keeper = loop->keeper };
	int rc = pb_watch_open(loop->watch, &loop->index, err);

	if (rc == 0)
		loop_say(loop, "the store has no index yet: waiting for "
		    "pb-recorder");
	if (rc <= 0)
		return rc;
	opts.index = loop->index;
	rc = pb_feed_create(&loop->feed, &opts, err);
	for (size_t i = 0; rc == 0 && i < loop->conf->upstreams; i++)
		rc = loop_upstream_start(loop, &loop->conf->upstream[i], err);
	if (rc == 0)
		rc = pb_edges_create(&loop->edges, &env, loop->store,
		    loop->conf, err);
	if (rc < 0) {
		loop_store_close(loop);
		return rc;
	}
	loop->said[0] = '\0';
	pb_log(PB_LOG_INFO, "shipper", "shipping store=%s upstreams=%zu "
	    "edges=%zu", loop->store, loop->upstreams, loop->conf->edges);
	return 0;
}

static void
found(void *arg, const void *owner, uint32_t id)
{
	struct pb_loop *loop = arg;

	for (size_t i = 0; i < loop->upstreams; i++)
		if (loop->upstream[i] == owner)
			pb_ship_looked(pb_upstream_ship(loop->upstream[i]),
			    id, pb_clock_mono_ms(), pb_random64());
}

static const struct pb_stream_info *
stream_of(void *arg, uint32_t id)
{
	const struct pb_loop *loop = arg;

	return pb_watch_stream(loop->watch, id);
}

static bool
configured(void *arg, const char *upstream)
{
	const struct pb_loop *loop = arg;

	return pb_conf_upstream(loop->conf, upstream) != NULL;
}

static bool
dialled(void *arg, const char *edge)
{
	const struct pb_loop *loop = arg;

	return pb_conf_edge(loop->conf, edge) != NULL;
}
