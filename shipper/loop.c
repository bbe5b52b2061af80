/*
 * shipper/loop.c - the shipper's one loop: any number of upstreams
 *
 * Order of things: the lock and the state come with the store's directory,
 * the upstreams with the index.  Where the index goes, they go, and begin
 * again with the next one by asking the receivers.  Where the store goes, all
 * of it goes; nothing is made at its path before a recorder has an index there.
 */
#include "shipper/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/sys.h"
#include "shipper/loop_impl.h"

/* A turn of back-off is reported at once, but not more often than this. */
#define TURN_MS	100u
#define MISSED_MS	1000u	/* until what was not taken is given again */
#define PAUSE_MS	100	/* where waiting itself fails */
#define FILTER_MS	100u	/* for names in filters, at a reload */
#define FDS_MAX	PB_HTTP_FDS_MAX

static int	step(struct pb_loop *, struct pb_err *);
static int	look_for_store(struct pb_loop *, struct pb_err *);
static void	leave_store(struct pb_loop *);
static bool	store_is_ready(struct pb_loop *);
static int	lock_store(struct pb_loop *, struct pb_err *);
static int	take_store(struct pb_loop *, struct pb_err *);
static int	open_index(struct pb_loop *, struct pb_err *);
static void	close_index(struct pb_loop *);
static int	start_upstream(struct pb_loop *,
		    const struct pb_conf_upstream *, struct pb_err *);
static void	grown(void *, const struct pb_stream_info *);
static void	scan(struct pb_loop *, uint64_t);
static void	report(struct pb_loop *);
static void	report_last(struct pb_loop *);
static bool	report_due(const struct pb_loop *, uint64_t);
static uint64_t	timeout_ms(const struct pb_loop *);
static void	read_signals(struct pb_loop *);
static void	collect_sinks(struct pb_loop *);
static void	reload(struct pb_loop *);
static bool	goes_on(const struct pb_upstream *, const struct pb_conf *);
static void	take_conf(struct pb_loop *, struct pb_conf *);
static bool	configured(void *, const char *);
static bool	dialled(void *, const char *);
static int	forget(struct pb_loop *, struct pb_err *);
static void	finish(struct pb_loop *);
static bool	store_is_there(void *);
static const struct pb_stream_info *stream_of(void *, uint32_t);
static void	found(void *, const void *, uint32_t);
static void	write_report(void *);
static void	reported(void *);
static void	end_report(struct pb_loop *);

int
pb_loop_create(struct pb_loop **out, struct pb_conf *conf, int signal_fd,
    struct pb_err *err)
{
	struct pb_loop *loop = calloc(1, sizeof(*loop));
	int rc;

	*out = NULL;
	if (loop == NULL) {
		pb_conf_destroy(conf);
		return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	loop->conf = conf;
	loop->signal_fd = signal_fd;
	loop->lock_fd = -1;
	loop->sender = pb_random64();
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	snprintf(loop->store, sizeof(loop->store), "%s", conf->store.path);
	rc = loop->wake_fd < 0 ? pb_err_sys(err, "eventfd") : 0;
	if (rc == 0)
		rc = pb_home_init(&loop->home, conf->store.path,
		    PB_HOME_SHIPPER, err);
	if (rc == 0)
		rc = pb_http_create(&loop->http, PB_UPSTREAMS_MAX *
		    PB_SHIP_SLOTS + PB_EDGES_REQUESTS_MAX, err);
	if (rc == 0)
		rc = pb_worker_create(&loop->reader, "bodies", err);
	if (rc == 0)
		rc = pb_worker_create(&loop->keeper, "keeper", err);
	if (rc == 0)
		rc = loop_told_create(loop, err);
	if (rc == 0)
		rc = pb_watch_create(&loop->watch, conf->store.path, err);
	if (rc < 0) {
		pb_loop_destroy(loop);
		return rc;
	}
	*out = loop;
	return 0;
}

void
pb_loop_destroy(struct pb_loop *loop)
{
	if (loop == NULL)
		return;
	close_index(loop);
	pb_watch_destroy(loop->watch);
	end_report(loop);
	pb_http_destroy(loop->http);
	loop_letters_close(loop);
	loop_pulls_close(loop);
	loop_told_destroy(loop);
	pb_worker_destroy(loop->reader);
	pb_worker_destroy(loop->keeper);
	pb_state_close(loop->state);
	pb_home_leave(&loop->home);
	if (loop->lock_fd >= 0)
		close(loop->lock_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	if (loop->held)
		pb_below_release(loop->store);
	pb_conf_destroy(loop->conf);
	free(loop);
}

int
pb_loop_run(struct pb_loop *loop, struct pb_err *err)
{
	int rc = 0;

	if (loop->conf->upstreams == 0 && loop->conf->edges == 0)
		pb_log(PB_LOG_WARN, "shipper", "neither an [upstream] nor an "
		    "[edge] section in %s: nothing to ship or fetch",
		    loop->conf->file);
	while (!loop->stopping && rc == 0)
		rc = step(loop, err);
	if (rc == 0)
		finish(loop);
	return rc;
}

/* One turn: news from the store, what follows from it, one wait. */
static int
step(struct pb_loop *loop, struct pb_err *err)
{
	uint64_t now_ms = pb_clock_mono_ms();
	const struct timespec pause = { .tv_nsec = PAUSE_MS *
	    (long)PB_NS_PER_MS };
	int fds[FDS_MAX] = { loop->signal_fd, pb_worker_fd(loop->reader),
	    pb_worker_fd(loop->keeper), loop->wake_fd,
	    loop_told_fd(loop) }, rc;
	unsigned count = 5;

	if (now_ms >= loop->look_ms) {
		loop->look_ms = now_ms + PB_STORE_LOOK_MS;
		rc = look_for_store(loop, err);
		if (rc < 0)
			return rc;
	}
	if (loop->feed != NULL)
		scan(loop, now_ms);
	loop_letters_run(loop, now_ms);
	loop_pulls_run(loop);
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_upstream_run(loop->upstream[i], now_ms);
	if (loop->edges != NULL)
		pb_edges_run(loop->edges, now_ms);
	if (report_due(loop, now_ms))
		report(loop);
	fds[count] = pb_watch_fd(loop->watch);
	if (fds[count] >= 0)
		count++;
	if (loop->control != NULL)
		count += pb_control_fds(loop->control, fds + count,
		    FDS_MAX - count);
	if (loop->hear != NULL && loop->feed != NULL)
		count += pb_hear_fds(loop->hear, fds + count,
		    FDS_MAX - count);
	/* What the system refuses now, it may grant later. */
	if (pb_http_wait(loop->http, fds, count, timeout_ms(loop), err) < 0) {
		loop_say(loop, err->text);
		nanosleep(&pause, NULL);
	}
	pb_worker_collect(loop->reader);
	pb_worker_collect(loop->keeper);
	loop_told_collect(loop);
	collect_sinks(loop);
	read_signals(loop);
	return 0;
}

/* --- the store ---------------------------------------------------------- */

/*
 * Once a second: take the store if it has come, leave it if it has gone,
 * and the index if that was replaced.  Only a second shipper on the store is
 * an error, and only at the start.
 */
static int
look_for_store(struct pb_loop *loop, struct pb_err *err)
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
		report_last(loop);
		close_index(loop);
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
	close_index(loop);
	end_report(loop);
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
		rc = forget(loop, err);
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
		rc = start_upstream(loop, &loop->conf->upstream[i], err);
	if (rc == 0)
		rc = pb_edges_create(&loop->edges, &env, loop->store,
		    loop->conf, err);
	if (rc < 0) {
		close_index(loop);
		return rc;
	}
	loop->said[0] = '\0';
	pb_log(PB_LOG_INFO, "shipper", "shipping store=%s upstreams=%zu "
	    "edges=%zu", loop->store, loop->upstreams, loop->conf->edges);
	return 0;
}

static void
close_index(struct pb_loop *loop)
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

static int
start_upstream(struct pb_loop *loop, const struct pb_conf_upstream *conf,
    struct pb_err *err)
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

static void
scan(struct pb_loop *loop, uint64_t now_ms)
{
	struct pb_err err;

	if (pb_watch_scan(loop->watch, grown, loop, now_ms, &err) < 0)
		loop_say(loop, err.text);
	if (now_ms >= loop->missed_ms && loop->missed_ms != 0) {
		loop->missed_ms = 0;
		pb_watch_each(loop->watch, grown, loop);
	}
	if (pb_watch_left_out(loop->watch) > 0 && !loop->left_out_said) {
		loop->left_out_said = true;
		pb_log(PB_LOG_ERROR, "shipper", "more than %u streams in the "
		    "store: %u are not shipped", PB_SHIP_STREAMS_MAX,
		    pb_watch_left_out(loop->watch));
	}
}

static void
grown(void *arg, const struct pb_stream_info *stream)
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

/* --- reports ------------------------------------------------------------ */

/* Gathered here, written by the keeper. */
static void
report(struct pb_loop *loop)
{
	uint64_t now_ms = pb_clock_mono_ms(), now_ns = pb_clock_real_ns();
	bool news = false;

	if (loop->state == NULL || loop->reporting)
		return;
	loop->report_ms = now_ms;
	for (size_t i = 0; i < loop->upstreams; i++)
		news |= pb_upstream_report(loop->upstream[i], &loop->news,
		    now_ms, now_ns);
	if (loop->edges != NULL)
		news |= pb_edges_report(loop->edges, &loop->news, now_ms,
		    now_ns);
	if (!news)
		return;
	loop->reporting = true;
	loop->report_job = (struct pb_job){ .run = write_report,
	    .done = reported, .arg = loop };
	pb_worker_give(loop->keeper, &loop->report_job);
}

static void
write_report(void *arg)
{
	struct pb_loop *loop = arg;

	loop->report_rc = pb_news_write(&loop->news, loop->state,
	    &loop->report_err);
}

static void
reported(void *arg)
{
	struct pb_loop *loop = arg;

	loop->reporting = false;
	if (loop->report_rc == 0)
		return;
	loop_say(loop, loop->report_err.text);
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_upstream_report_again(loop->upstream[i]);
	if (loop->edges != NULL)
		pb_edges_report_again(loop->edges);
}

/* Whatever is not written yet of it is not. */
static void
end_report(struct pb_loop *loop)
{
	if (loop->reporting)
		pb_worker_cancel(loop->keeper, &loop->report_job);
	loop->reporting = false;
	pb_news_finish(&loop->news);
}

/* Before upstreams end: how long what waits has waited, too; and all that
 * is being written is. */
static void
report_last(struct pb_loop *loop)
{
	pb_worker_drain(loop->keeper);
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_ship_touch(pb_upstream_ship(loop->upstream[i]), true);
	report(loop);
	pb_worker_drain(loop->keeper);
}

static bool
report_due(const struct pb_loop *loop, uint64_t now_ms)
{
	if (now_ms >= loop->report_ms + PB_REPORT_MS)
		return true;
	if (now_ms < loop->report_ms + TURN_MS)
		return false;
	for (size_t i = 0; i < loop->upstreams; i++)
		if (pb_upstream_turned(loop->upstream[i]))
			return true;
	return false;
}

/* --- waiting ------------------------------------------------------------ */

static uint64_t
timeout_ms(const struct pb_loop *loop)
{
	uint64_t now_ms = pb_clock_mono_ms(), until, wake;

	until = now_ms + (loop->feed != NULL ? PB_TICK_MS : PB_STORE_LOOK_MS);
	wake = pb_watch_wake_ms(loop->watch);
	if (wake < until)
		until = wake;
	for (size_t i = 0; i < loop->upstreams; i++) {
		wake = pb_ship_wake_ms(pb_upstream_ship(loop->upstream[i]));
		if (wake < until)
			until = wake;
	}
	wake = loop->edges != NULL ? pb_edges_wake_ms(loop->edges) : until;
	if (wake < until)
		until = wake;
	return until > now_ms ? until - now_ms : 0;
}

static void
read_signals(struct pb_loop *loop)
{
	struct signalfd_siginfo info;

	while (read(loop->signal_fd, &info, sizeof(info)) ==
	    (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(loop);
		else
			loop->stopping = true;
	}
}

static void
collect_sinks(struct pb_loop *loop)
{
	uint64_t count;

	/* Before the look: what ends after it makes it readable again. */
	if (read(loop->wake_fd, &count, sizeof(count)) < 0)
		return;
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_upstream_collect(loop->upstream[i]);
}

/* Nothing new is sent; what is under way may end within PB_STOP_MS. */
static void
finish(struct pb_loop *loop)
{
	uint64_t end_ms = pb_clock_mono_ms() + PB_STOP_MS, now_ms;
	const int fds[] = { pb_worker_fd(loop->reader),
	    pb_worker_fd(loop->keeper) };
	struct pb_err err;
	unsigned flights;

	pb_notify("STOPPING=1");
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_upstream_stop(loop->upstream[i]);
	for (;;) {
		flights = 0;
		now_ms = pb_clock_mono_ms();
		for (size_t i = 0; i < loop->upstreams; i++)
			flights += pb_ship_flights(pb_upstream_ship(
			    loop->upstream[i]));
		if (flights == 0 || now_ms >= end_ms ||
		    pb_http_wait(loop->http, fds, 2, end_ms - now_ms,
		    &err) < 0)
			break;
		pb_worker_collect(loop->reader);
		pb_worker_collect(loop->keeper);
	}
	report_last(loop);
	pb_log(PB_LOG_INFO, "shipper", "stopped requests_cut=%u", flights);
}

/* --- configuration ------------------------------------------------------ */

static void
reload(struct pb_loop *loop)
{
	struct pb_conf *conf;
	struct pb_err err;

	int rc = pb_conf_load(&conf, loop->conf->file, &err);

	if (rc == 0) {
		rc = pb_sink_check(conf, loop->conf, FILTER_MS, &err);
		if (rc == 0)
			rc = pb_edges_check(conf, &err);
		if (rc < 0)
			pb_conf_destroy(conf);
	}
	if (rc < 0) {
		pb_log(PB_LOG_ERROR, "shipper", "the configuration stays as it "
		    "was: %s", err.text);
		return;
	}
	if (strcmp(conf->store.path, loop->store) != 0)
		pb_log(PB_LOG_WARN, "shipper", "[store] path: takes effect "
		    "with a restart");
	for (size_t i = 0; i < loop->upstreams; i++)
		if (!goes_on(loop->upstream[i], conf))
			pb_upstream_stop(loop->upstream[i]);
	report_last(loop);
	take_conf(loop, conf);
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_ship_hurry(pb_upstream_ship(loop->upstream[i]));
	pb_log(PB_LOG_INFO, "shipper", "configuration read again upstreams=%zu "
	    "edges=%zu", loop->conf->upstreams, loop->conf->edges);
}

/* Is it as it was, or different in what it takes while it goes on? */
static bool
goes_on(const struct pb_upstream *u, const struct pb_conf *conf)
{
	const struct pb_conf_upstream *is = pb_upstream_conf(u);
	const struct pb_conf_upstream *want = pb_conf_upstream(conf,
	    is->name);

	return want != NULL && pb_upstream_changes(u, want);
}

/* Upstreams go on where they can; the others end or begin. */
static void
take_conf(struct pb_loop *loop, struct pb_conf *conf)
{
	size_t kept = 0, before;
	struct pb_err err;

	for (size_t i = 0; i < loop->upstreams; i++) {
		struct pb_upstream *u = loop->upstream[i];

		if (!goes_on(u, conf)) {
			pb_upstream_destroy(u);
			continue;
		}
		pb_upstream_change(u, pb_conf_upstream(conf,
		    pb_upstream_conf(u)->name));
		loop->upstream[kept++] = u;
	}
	loop->upstreams = before = kept;
	loop->fills_commits = 0;	/* a new one has seen none */
	if (loop->edges != NULL)
		pb_edges_take(loop->edges, conf);
	loop_told_stop(loop);
	pb_conf_destroy(loop->conf);
	loop->conf = conf;
	if (loop->state != NULL && forget(loop, &err) < 0)
		loop_say(loop, err.text);
	if (loop->feed == NULL)
		return;		/* they begin with the index */
	for (size_t i = 0; i < conf->upstreams; i++) {
		bool there = false;

		for (size_t j = 0; j < before; j++)
			there |= strcmp(pb_upstream_conf(loop->upstream[j])->
			    name, conf->upstream[i].name) == 0;
		if (!there && start_upstream(loop, &conf->upstream[i],
		    &err) < 0)
			loop_say(loop, err.text);
	}
	/* The kept ones know all of it already; telling them is harmless. */
	pb_watch_each(loop->watch, grown, loop);
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

/* What is told of those that have no section any more. */
static int
forget(struct pb_loop *loop, struct pb_err *err)
{
	int rc = pb_state_forget(loop->state, configured, loop, err);

	return rc < 0 ? rc : pb_state_forget_edges(loop->state, dialled, loop,
	    err);
}

/* A trouble that stays is told once. */
void
loop_say(struct pb_loop *loop, const char *text)
{
	if (strcmp(loop->said, text) == 0)
		return;
	snprintf(loop->said, sizeof(loop->said), "%s", text);
	pb_log(PB_LOG_WARN, "shipper", "%s", text);
}
