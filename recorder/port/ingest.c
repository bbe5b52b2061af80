/*
 * recorder/port/ingest.c - start, loop and stop of the ingest thread
 *
 * The loop waits for the doors' sockets, for chunks that the writer is
 * done with (an eventfd), and for the next deadline of a request that is
 * held.  Everything else happens in what it calls, none of which waits.
 */
#include "recorder/port/ingest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "recorder/port/door/listen.h"
#include "recorder/port/request.h"
#include "recorder/port/server.h"
#include "recorder/port/door/tls.h"

#define DOORS_MAX	2
#define LOCAL_CONNECTIONS_MAX 128u
#define STOP_MS		1000u	/* for answers to reach their peers */
#define LISTEN_MS	1000	/* the first try is waited for */

struct pb_ingest {
	struct pb_service *service;
	struct pb_server *server[DOORS_MAX];
	size_t		 servers;
	struct pb_listen *listen;	/* NULL: done, or not configured */
	char		 socket_path[PATH_MAX];
	int		 epoll_fd;
	int		 event_fd;
	pthread_t	 thread;
	bool		 thread_runs;
	_Atomic bool	 stop;
	const char	*store;		/* its path, for the local door; */
	_Atomic uint64_t local_want, local_have; /* pb_ingest_local() */
	uint64_t	 local_said;	/* of which one it could not be
					 * opened */
};

static int	add_local(struct pb_ingest *, struct pb_err *);
static int	open_local(struct pb_ingest *, struct pb_err *);
static void	move_local(struct pb_ingest *);
static int	open_tcp(struct pb_ingest *, int, struct pb_err *);
static void	tell_waits(struct pb_ingest *, const char *);
static int	add_server(struct pb_ingest *, const struct pb_server_opts *,
		    struct pb_err *);
static int	watch(struct pb_ingest *, int, uint32_t, struct pb_err *);
static void	destroy(struct pb_ingest *);
static void	wake(void *);
static void	*run(void *);
static int	next_timeout(struct pb_ingest *);
static int	sooner(int, int);
static void	wait_events(struct pb_ingest *, int, bool [static DOORS_MAX]);
static void	begin_stop(struct pb_ingest *);

int
pb_ingest_check(const struct pb_conf *conf, struct pb_err *err)
{
	struct pb_tls tls;
	int rc;

	if (!conf->listen.present || conf->listen.tls.off)
		return 0;
	rc = pb_tls_init(&tls, &conf->listen.tls, err);
	if (rc < 0)
		return pb_err_prefix(err, rc, "%s", conf->file);
	pb_tls_finish(&tls);
	return 0;
}

int
pb_ingest_start(struct pb_ingest **out, const struct pb_ingest_opts *opts,
    struct pb_err *err)
{
	struct pb_ingest *ingest = calloc(1, sizeof(*ingest));
	int rc;

	if (ingest == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	ingest->store = opts->conf->store.path;
	atomic_store(&ingest->local_want, 1);
	atomic_store(&ingest->local_have, 1);
	ingest->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ingest->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ingest->epoll_fd < 0 || ingest->event_fd < 0)
		rc = pb_err_sys(err, "start the ingest loop");
	else
		rc = watch(ingest, ingest->event_fd, DOORS_MAX, err);
	if (rc == 0)
		rc = pb_service_create(&ingest->service, opts,
		    wake, ingest, err);
	if (rc == 0)
		rc = add_local(ingest, err);
	if (rc == 0 && opts->conf->listen.present)
		rc = pb_listen_create(&ingest->listen,
		    opts->conf->listen.address, err);
	if (rc == 0 && ingest->listen != NULL)
		rc = open_tcp(ingest, LISTEN_MS, err);
	if (rc == 0)
		rc = pb_thread_start(&ingest->thread, "ingest", run,
		    ingest, err);
	if (rc < 0) {
		destroy(ingest);
		return rc;
	}
	*out = ingest;
	return 0;
}

void
pb_ingest_local(struct pb_ingest *ingest, uint64_t store)
{
	atomic_store(&ingest->local_want, store);
	if (atomic_load(&ingest->local_have) != store)
		wake(ingest);
}

void
pb_ingest_sift(struct pb_ingest *ingest, const struct pb_conf *conf)
{
	if (pb_sifts_change(ingest->service->sifts, conf))
		pb_offers_renew(ingest->service->offers);
	else
		pb_offers_again(ingest->service->offers);
}

void
pb_ingest_stop(struct pb_ingest *ingest)
{
	if (ingest == NULL)
		return;
	atomic_store(&ingest->stop, true);
	wake(ingest);
	pthread_join(ingest->thread, NULL);
	destroy(ingest);
}

static int
add_local(struct pb_ingest *ingest, struct pb_err *err)
{
	struct pb_server_opts opts = {
		.service = ingest->service,
		.door = PB_DOOR_LOCAL,
		.connections_max = LOCAL_CONNECTIONS_MAX,
	};
	int rc = add_server(ingest, &opts, err);

	return rc < 0 ? rc : open_local(ingest, err);
}

static int
open_local(struct pb_ingest *ingest, struct pb_err *err)
{
	int rc = pb_listen_local(ingest->store, ingest->socket_path, err);

	if (rc >= 0)
		rc = pb_server_listen(ingest->server[0], rc, err);
	if (rc < 0)
		ingest->socket_path[0] = '\0';
	return rc;
}

/* On the ingest thread.  The socket's name is left where it is: by now the
 * path may lead to another store. */
static void
move_local(struct pb_ingest *ingest)
{
	uint64_t want = atomic_load(&ingest->local_want);
	struct pb_err err;

	if (want == atomic_load(&ingest->local_have) || ingest->stop)
		return;
	pb_server_quiesce(ingest->server[0]);
	ingest->socket_path[0] = '\0';
	atomic_store(&ingest->local_have, 0);
	if (want == 0)
		return;
	if (open_local(ingest, &err) == 0) {
		atomic_store(&ingest->local_have, want);
		return;
	}
	if (ingest->local_said != want)
		pb_log(PB_LOG_ERROR, "ingest", "pb status and pb import cannot "
		    "reach this recorder: %s; it is tried again", err.text);
	ingest->local_said = want;
}

/* Where it cannot be now, it is tried again: that is no error. */
static int
open_tcp(struct pb_ingest *ingest, int wait_ms, struct pb_err *err)
{
	const struct pb_conf_listen *conf = &ingest->service->conf->listen;
	struct pb_server_opts opts = {
		.service = ingest->service,
		.door = PB_DOOR_TCP,
		.connections_max = conf->connections_max,
		.connections_per_peer = conf->connections_per_peer,
		.tls = conf->tls.off ? NULL : &conf->tls,
	};
	uint64_t now_ms = pb_clock_mono_ms();
	int fd = pb_listen_try(ingest->listen, now_ms, wait_ms, err), rc = fd;

	if (fd == PB_EBUSY) {
		pb_err_set(err, PB_EBUSY, "[listen] address %s: its name is "
		    "being looked up", conf->address);
		if (wait_ms > 0)
			tell_waits(ingest, err->text);
		return 0;
	}
	if (fd == PB_EINVAL)
		return PB_EINVAL;
	if (fd >= 0) {
		rc = ingest->servers > 1 ? 0 : add_server(ingest, &opts, err);
		if (rc == 0)
			rc = pb_server_listen(ingest->server[1], fd, err);
		else
			close(fd);
		if (rc < 0)
			pb_listen_again(ingest->listen, now_ms);
	}
	if (rc < 0) {
		tell_waits(ingest, err->text);
		return 0;
	}
	pb_listen_destroy(ingest->listen);
	ingest->listen = NULL;
	ingest->service->waits[0] = '\0';
	pb_log(PB_LOG_INFO, "ingest", "listening address=%s tls=%s",
	    conf->address, opts.tls != NULL ? "on" : "off");
	return 0;
}

/* In the log where it is another reason. */
static void
tell_waits(struct pb_ingest *ingest, const char *why)
{
	char *known = ingest->service->waits;

	if (strcmp(known, why) == 0)
		return;
	snprintf(known, sizeof(ingest->service->waits), "%s", why);
	pb_log(PB_LOG_WARN, "ingest", "not listening: %s; it is tried again "
	    "until it works", why);
}

static int
add_server(struct pb_ingest *ingest, const struct pb_server_opts *opts,
    struct pb_err *err)
{
	struct pb_server **server = &ingest->server[ingest->servers];
	int rc = pb_server_create(server, opts, err);

	if (rc < 0)
		return rc;
	rc = watch(ingest, pb_server_fd(*server), (uint32_t)ingest->servers,
	    err);
	if (rc == 0)
		ingest->servers++;
	else
		pb_server_destroy(*server);
	return rc;
}

static int
watch(struct pb_ingest *ingest, int fd, uint32_t name, struct pb_err *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = name };

	if (epoll_ctl(ingest->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return pb_err_sys(err, "start the ingest loop");
	return 0;
}

static void
destroy(struct pb_ingest *ingest)
{
	pb_listen_destroy(ingest->listen);
	for (size_t i = 0; i < ingest->servers; i++)
		pb_server_destroy(ingest->server[i]);
	if (ingest->socket_path[0] != '\0')
		pb_below_unlink(ingest->socket_path);
	pb_service_destroy(ingest->service);
	if (ingest->event_fd >= 0)
		close(ingest->event_fd);
	if (ingest->epoll_fd >= 0)
		close(ingest->epoll_fd);
	free(ingest);
}

/* From any thread. */
static void
wake(void *arg)
{
	struct pb_ingest *ingest = arg;
	uint64_t one = 1;

	/* It fails only when the counter is full, and then it is readable. */
	if (write(ingest->event_fd, &one, sizeof(one)) < 0)
		errno = 0;
}

static void *
run(void *arg)
{
	struct pb_ingest *ingest = arg;
	struct pb_service *service = ingest->service;
	struct pb_intake *intake = service->intake;
	bool ready[DOORS_MAX];
	uint64_t give_up = UINT64_MAX;
	unsigned connections;
	struct pb_err err;

	for (;;) {
		int timeout = next_timeout(ingest);

		wait_events(ingest, timeout, ready);
		service->now_ms = pb_clock_mono_ms();
		move_local(ingest);
		if (atomic_load(&ingest->stop) && !service->stopping)
			begin_stop(ingest);
		if (ingest->listen != NULL && !service->stopping &&
		    open_tcp(ingest, 0, &err) < 0)
			tell_waits(ingest, err.text);
		pb_intake_collect(intake, service->now_ms);
		pb_offers_turn(service->offers);
		pb_readers_collect(service->readers);
		connections = 0;
		for (size_t i = 0; i < ingest->servers; i++) {
			struct pb_server *server = ingest->server[i];

			if (ready[i] || pb_server_timeout_ms(server,
			    service->now_ms) == 0)
				pb_server_run(server);
			connections += pb_server_connections(server);
		}
		service->connections = connections;
		if (!service->stopping || pb_intake_busy(intake) > 0)
			continue;
		/* Durable or failed; the peers are told if they listen. */
		if (give_up == UINT64_MAX)
			give_up = service->now_ms + STOP_MS;
		if (service->requests == 0 || service->now_ms >= give_up)
			return NULL;
	}
}

/* Settles what has waited too long, and serves who waits for memory, on the
 * way. */
static int
next_timeout(struct pb_ingest *ingest)
{
	struct pb_service *service = ingest->service;
	int timeout;

	service->now_ms = pb_clock_mono_ms();
	timeout = sooner(pb_intake_tick(service->intake, service->now_ms),
	    pb_claims_tick(&service->rooms->claims, service->now_ms));
	timeout = sooner(timeout, pb_sifts_tick(service->sifts,
	    service->now_ms));
	for (size_t i = 0; i < ingest->servers; i++)
		timeout = sooner(timeout, pb_server_timeout_ms(
		    ingest->server[i], service->now_ms));
	if (ingest->listen != NULL && !service->stopping)
		timeout = sooner(timeout, pb_listen_timeout_ms(
		    ingest->listen, service->now_ms));
	return service->stopping ? sooner(timeout, STOP_MS / 10) : timeout;
}

/* Of two times from now on; -1: never. */
static int
sooner(int a, int b)
{
	return b < 0 || (a >= 0 && a < b) ? a : b;
}

static void
wait_events(struct pb_ingest *ingest, int timeout,
    bool ready[static DOORS_MAX])
{
	struct epoll_event event[DOORS_MAX + 1];
	uint64_t count;
	int n;

	memset(ready, 0, DOORS_MAX * sizeof(*ready));
	n = epoll_wait(ingest->epoll_fd, event, DOORS_MAX + 1, timeout);
	for (int i = 0; i < n; i++) {
		if (event[i].data.u32 < DOORS_MAX)
			ready[event[i].data.u32] = true;
		else if (read(ingest->event_fd, &count, sizeof(count)) < 0)
			errno = 0;	/* somebody was faster */
	}
}

static void
begin_stop(struct pb_ingest *ingest)
{
	struct pb_service *service = ingest->service;

	service->stopping = true;
	for (size_t i = 0; i < ingest->servers; i++)
		pb_server_quiesce(ingest->server[i]);
	pb_claims_stop(&service->rooms->claims);
	pb_offers_end(service->offers);
	pb_intake_stop(service->intake, service->now_ms);
}
