/*
 * recorder/port/server.c - HTTP/1.1 for one door, by libmicrohttpd
 *
 * Limit: CONNECTION_POOL_BYTES (LOCAL_POOL_BYTES) of memory a connection for
 * heads and as read buffer; bodies are the request's.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/port/door/accept.h"
#include "recorder/port/door/peers.h"
#include "recorder/port/server_impl.h"

#define CONNECTION_POOL_BYTES	(64u << 10)
#define LOCAL_POOL_BYTES	(256u << 10)	/* few, and all of them fast */
#define ACCEPTS_MAX		64	/* between two looks at requests */
/* The library reads once from each connection in a turn.  A fast one has more
 * by then: some turns more cost less than a look at all else between them. */
#define TURNS_MAX		64
#define TURNS_BYTES_MAX		(1u << 20)

/* The daemon */
static int	start_daemon(struct pb_server *, struct pb_err *);
static int	start_accept(struct pb_server *, struct pb_err *);
static void	take_connections(struct pb_server *);
static void	on_log(void *, const char *, va_list)
		    __attribute__((format(printf, 2, 0)));
static bool	is_about_tcp(const char *);
static size_t	on_unescape(void *, struct MHD_Connection *, char *);
static bool	may_come(struct pb_server *, const struct sockaddr *);

int
pb_server_create(struct pb_server **out, const struct pb_server_opts *opts,
    struct pb_err *err)
{
	struct pb_server *server = calloc(1, sizeof(*server));
	int rc;

	if (server == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	server->service = opts->service;
	server->door = opts->door;
	server->has_tls = opts->tls != NULL;
	server->connections_max = opts->connections_max;
	server->due_ms = NEVER;
	TAILQ_INIT(&server->conns);
	rc = pb_peers_create(&server->addresses, opts->connections_per_peer,
	    err);
	if (rc == 0 && server->has_tls)
		rc = pb_tls_init(&server->tls, opts->tls, err);
	if (rc == 0)
		rc = start_daemon(server, err);
	if (rc == 0)
		rc = start_accept(server, err);
	if (rc < 0) {
		pb_server_destroy(server);
		return rc;
	}
	*out = server;
	return 0;
}

void
pb_server_destroy(struct pb_server *server)
{
	if (server == NULL)
		return;
	pb_accept_destroy(server->accept);
	conn_resume_all(server);
	if (server->daemon != NULL)
		MHD_stop_daemon(server->daemon);
	pb_tls_finish(&server->tls);
	pb_peers_destroy(server->addresses);
	free(server);
}

int
pb_server_fd(const struct pb_server *server)
{
	return pb_accept_fd(server->accept);
}

int
pb_server_timeout_ms(struct pb_server *server, uint64_t now_ms)
{
	MHD_UNSIGNED_LONG_LONG ms;
	uint64_t at;

	if (server->resumed)
		return 0;
	if (now_ms >= server->due_ms)
		conn_cut_late(server, now_ms);
	at = pb_accept_wake_ms(server->accept);
	if (server->due_ms < at)
		at = server->due_ms;
	if (MHD_get_timeout(server->daemon, &ms) == MHD_YES &&
	    (at == NEVER || now_ms + ms < at))
		at = now_ms + ms;
	if (at == NEVER)
		return -1;
	if (at <= now_ms)
		return 0;
	return at - now_ms > INT_MAX ? INT_MAX : (int)(at - now_ms);
}

void
pb_server_run(struct pb_server *server)
{
	struct pb_service *service = server->service;
	MHD_UNSIGNED_LONG_LONG ms;
	bool full;

	server->resumed = false;
	take_connections(server);
	server->turn_bytes = 0;
	for (unsigned i = 0; i < TURNS_MAX; i++) {
		MHD_run(server->daemon);
		if (server->turn_bytes >= TURNS_BYTES_MAX ||
		    MHD_get_timeout(server->daemon, &ms) != MHD_YES || ms > 0)
			break;
	}
	full = pb_server_connections(server) >= server->connections_max;
	if (full)
		pb_peerlog_warn(&service->log, service->now_ms, "any",
		    "connections", "all connections are taken, more wait: "
		    "[listen] connections_max");
	pb_accept_full(server->accept, full);
}

void
pb_server_quiesce(struct pb_server *server)
{
	pb_accept_stop(server->accept);
}

int
pb_server_listen(struct pb_server *server, int listen_fd, struct pb_err *err)
{
	return pb_accept_listen(server->accept, listen_fd, err);
}

unsigned
pb_server_connections(const struct pb_server *server)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon,
	    MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info != NULL ? info->num_connections : 0;
}

/* --- the daemon ----------------------------------------------------------- */

static int
start_daemon(struct pb_server *server, struct pb_err *err)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
	    MHD_USE_ITC | MHD_USE_ERROR_LOG |
	    MHD_USE_NO_LISTEN_SOCKET;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls.cert },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls.key },
		{ MHD_OPTION_HTTPS_MEM_TRUST, 0, server->tls.ca },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
		    (void *)(uintptr_t)PB_TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};
	size_t pool = server->door == PB_DOOR_LOCAL ? LOCAL_POOL_BYTES :
	    CONNECTION_POOL_BYTES;
	/* Whole seconds: ours come first, and say why. */
	unsigned idle_s = (unsigned)(server->service->conf->listen.
	    idle_timeout_ms + 1999) / 1000;

	if (server->has_tls) {
		if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
			return pb_err_set(err, PB_EINVAL, "[listen] tls_cert: "
			    "this libmicrohttpd is built without TLS");
		flags |= MHD_USE_TLS;
	} else {
		tls[0].option = MHD_OPTION_END;
	}
	server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, conn_request,
	    server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
	    MHD_OPTION_CONNECTION_LIMIT, server->connections_max,
	    MHD_OPTION_CONNECTION_TIMEOUT, idle_s,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool,
	    MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, server,
	    MHD_OPTION_NOTIFY_CONNECTION, conn_notify, server,
	    MHD_OPTION_NOTIFY_COMPLETED, conn_completed, server,
	    MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
	    MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (server->daemon == NULL)
		return pb_err_sys(err, "cannot start the HTTP server");
	return 0;
}

/*
 * The library, given the socket, would turn all the time where descriptors
 * have run out before its first connection, and later listen no more until
 * one of its connections ends, however many descriptors there are again.
 */
static int
start_accept(struct pb_server *server, struct pb_err *err)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon,
	    MHD_DAEMON_INFO_EPOLL_FD);

	return pb_accept_create(&server->accept,
	    info != NULL ? info->epoll_fd : -1, err);
}

static void
take_connections(struct pb_server *server)
{
	struct pb_service *service = server->service;
	unsigned room = server->connections_max -
	    pb_server_connections(server);
	struct sockaddr_storage from;
	struct pb_err err;
	socklen_t len;
	int fd = 0;

	for (unsigned i = 0; i < ACCEPTS_MAX && i < room && fd >= 0; i++) {
		fd = pb_accept_next(server->accept, service->now_ms, &from,
		    &len, &err);
		if (fd >= 0 && !may_come(server, (struct sockaddr *)&from))
			close(fd);
		/* The library closes it where it does not take it. */
		else if (fd >= 0)
			(void)MHD_add_connection(server->daemon, fd,
			    (struct sockaddr *)&from, len);
		else if (fd != PB_ENOENT)
			pb_peerlog_warn(&service->log, service->now_ms, "any",
			    "http", err.text);
	}
}

static bool
may_come(struct pb_server *server, const struct sockaddr *from)
{
	struct pb_service *service = server->service;
	char peer[PEER_BYTES_MAX], text[PB_TEXT_BYTES_MAX];

	if (pb_peers_room(server->addresses, from))
		return true;
	conn_address(from, peer);
	snprintf(text, sizeof(text), "more than %u connections from one "
	    "address are closed: [listen] connections_per_peer",
	    service->conf->listen.connections_per_peer);
	pb_peerlog_warn(&service->log, service->now_ms, peer, "connections",
	    text);
	return false;
}

/* What the library says, it says because of a peer. */
static void
on_log(void *arg, const char *fmt, va_list ap)
{
	struct pb_server *server = arg;
	char text[PB_ERR_TEXT_MAX];

	if (server->door == PB_DOOR_LOCAL && is_about_tcp(fmt))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	pb_peerlog_warn(&server->service->log, server->service->now_ms, "any",
	    "http", text);
}

/*
 * A connection that it is given, rather than takes itself, it holds for TCP:
 * it sets TCP_NODELAY and TCP_CORK on the unix socket, and foretells delays
 * when that fails, each time somebody asks.  Nothing tells it otherwise.
 */
static bool
is_about_tcp(const char *fmt)
{
	return strstr(fmt, "Setting %s option to %s state failed") == fmt ||
	    strstr(fmt, "Failed to push the data from buffers to the "
	    "network") == fmt;
}

/* Paths are split before they are decoded: a name may hold a slash. */
static size_t
on_unescape(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strlen(text);
}
