/*
 * shipper/loop.c - the shipper's one loop: any number of upstreams
 */
#include "shipper/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "shipper/loop_impl.h"

#define PAUSE_MS	100	/* where waiting itself fails */
#define FDS_MAX	PB_HTTP_FDS_MAX

static int	step(struct pb_loop *, struct pb_err *);
static uint64_t	timeout_ms(const struct pb_loop *);
static void	read_signals(struct pb_loop *);
static void	collect_sinks(struct pb_loop *);
static void	finish(struct pb_loop *);

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
	loop_store_close(loop);
	pb_watch_destroy(loop->watch);
	loop_report_end(loop);
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
		rc = loop_store_look(loop, err);
		if (rc < 0)
			return rc;
	}
	if (loop->feed != NULL)
		loop_store_scan(loop, now_ms);
	loop_letters_run(loop, now_ms);
	loop_pulls_run(loop);
	for (size_t i = 0; i < loop->upstreams; i++)
		pb_upstream_run(loop->upstream[i], now_ms);
	if (loop->edges != NULL)
		pb_edges_run(loop->edges, now_ms);
	if (loop_report_due(loop, now_ms))
		loop_report(loop);
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
			loop_reload(loop);
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
	loop_report_last(loop);
	pb_log(PB_LOG_INFO, "shipper", "stopped requests_cut=%u", flights);
}
