/*
 * recorder/ingest/http/server.c - HTTP/1.1 for one door, by libmicrohttpd
 *
 * A request that waits for the writer is suspended: its connection is not
 * read and does not time out; pb_request's wake resumes it.
 * Limit: CONNECTION_POOL_BYTES of memory a connection for heads and as
 * read buffer; bodies are the request's.
 */
#include "recorder/ingest/http/server.h"

#include <arpa/inet.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/ingest/http/tls.h"

#define CONNECTION_POOL_BYTES	(128u << 10)
#define PEER_BYTES_MAX		(INET6_ADDRSTRLEN + PB_NAME_BYTES_MAX + 4)
#define TLS_PRIORITIES	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct pb_server {
	struct pb_service *service;
	struct MHD_Daemon *daemon;
	enum pb_door	door;
	struct pb_tls	tls;
	bool		has_tls;
	bool		resumed;	/* some connection goes on */
	int		fd;
};

/* A connection's peer; made at its start, gone with it. */
struct peer {
	char		text[PEER_BYTES_MAX];
	bool		looked;		/* at its certificate */
	bool		verified;
	char		cn[PB_NAME_BYTES_MAX + 1];
};

/* A request and the connection it came by. */
struct exchange {
	struct pb_server *server;
	struct MHD_Connection *connection;
	struct pb_request *request;
	bool		ended;
	bool		suspended;
};

static int	start_daemon(struct pb_server *, int, unsigned,
		    struct pb_err *);
static void	on_log(void *, const char *, va_list)
		    __attribute__((format(printf, 2, 0)));
static size_t	on_unescape(void *, struct MHD_Connection *, char *);
static void	on_connection(void *, struct MHD_Connection *, void **,
		    enum MHD_ConnectionNotificationCode);
static enum MHD_Result on_request(void *, struct MHD_Connection *,
		    const char *, const char *, const char *, const char *,
		    size_t *, void **);
static void	on_completed(void *, struct MHD_Connection *, void **,
		    enum MHD_RequestTerminationCode);
static void	on_wake(void *);
static struct exchange *exchange_create(struct pb_server *,
		    struct MHD_Connection *, const char *, const char *);
static void	peer_address(struct MHD_Connection *, struct peer *);
static struct peer *peer_of(struct pb_server *, struct MHD_Connection *);
static const char *header(struct MHD_Connection *, const char *);
static void	body_size(struct MHD_Connection *,
		    struct pb_request_head *);
static enum MHD_Result reply(struct exchange *);

int
pb_server_create(struct pb_server **out, const struct pb_server_opts *opts,
    struct pb_err *err)
{
	struct pb_server *server = calloc(1, sizeof(*server));
	int rc = 0;

	if (server == NULL) {
		close(opts->listen_fd);
		return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	server->service = opts->service;
	server->door = opts->door;
	server->has_tls = opts->tls != NULL;
	if (server->has_tls)
		rc = pb_tls_init(&server->tls, opts->tls, err);
	if (rc == 0)
		rc = start_daemon(server, opts->listen_fd,
		    opts->connections_max, err);
	if (rc < 0) {
		close(opts->listen_fd);
		pb_tls_finish(&server->tls);
		free(server);
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
	MHD_stop_daemon(server->daemon);
	pb_tls_finish(&server->tls);
	free(server);
}

int
pb_server_fd(const struct pb_server *server)
{
	return server->fd;
}

int
pb_server_timeout_ms(struct pb_server *server)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (server->resumed)
		return 0;
	if (MHD_get_timeout(server->daemon, &ms) != MHD_YES)
		return -1;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

void
pb_server_run(struct pb_server *server)
{
	server->resumed = false;
	MHD_run(server->daemon);
}

void
pb_server_quiesce(struct pb_server *server)
{
	MHD_socket fd = MHD_quiesce_daemon(server->daemon);

	if (fd != MHD_INVALID_SOCKET)
		close(fd);
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
start_daemon(struct pb_server *server, int listen_fd,
    unsigned connections_max, struct pb_err *err)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
	    MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls.cert },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls.key },
		{ MHD_OPTION_HTTPS_MEM_TRUST, 0, server->tls.ca },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
		    (void *)(uintptr_t)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};
	const union MHD_DaemonInfo *info;

	if (server->has_tls) {
		if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
			return pb_err_set(err, PB_EINVAL, "[listen] tls_cert: "
			    "this libmicrohttpd is built without TLS");
		flags |= MHD_USE_TLS;
	} else {
		tls[0].option = MHD_OPTION_END;
	}
	server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request,
	    server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
	    MHD_OPTION_LISTEN_SOCKET, listen_fd,
	    MHD_OPTION_CONNECTION_LIMIT, connections_max,
	    MHD_OPTION_CONNECTION_TIMEOUT, PB_CONNECTION_IDLE_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_POOL_BYTES,
	    MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, server,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
	    MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
	    MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (server->daemon == NULL)
		return pb_err_sys(err, "cannot start the HTTP server");
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	server->fd = info != NULL ? info->epoll_fd : -1;
	return 0;
}

/* What the library says, it says because of a peer. */
static void
on_log(void *arg, const char *fmt, va_list ap)
{
	struct pb_server *server = arg;
	char text[PB_ERR_TEXT_MAX];
	size_t len;

	vsnprintf(text, sizeof(text), fmt, ap);
	len = strlen(text);
	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	pb_peerlog_warn(&server->service->log, server->service->now_ms, "any",
	    "http", text);
}

/* Paths are split before they are decoded: a name may hold a slash. */
static size_t
on_unescape(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strlen(text);
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **slot,
    enum MHD_ConnectionNotificationCode code)
{
	(void)arg;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		struct peer *peer = calloc(1, sizeof(*peer));

		if (peer != NULL)
			peer_address(connection, peer);
		*slot = peer;
	} else {
		free(*slot);
		*slot = NULL;
	}
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *data, size_t *len,
    void **slot)
{
	struct exchange *exchange = *slot;

	(void)version;
	if (exchange == NULL) {
		exchange = exchange_create(arg, connection, method, url);
		if (exchange == NULL)
			return MHD_NO;
		*slot = exchange;
		return pb_request_refused(exchange->request) ?
		    reply(exchange) : MHD_YES;
	}
	if (*len > 0) {
		bool go_on = pb_request_data(exchange->request, data, *len,
		    pb_clock_mono_ms());

		*len = 0;
		return go_on ? MHD_YES : MHD_NO;
	}
	if (!exchange->ended) {
		exchange->ended = true;
		pb_request_end(exchange->request, pb_clock_mono_ms());
	}
	if (pb_request_answer(exchange->request) != NULL)
		return reply(exchange);
	exchange->suspended = true;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **slot,
    enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *slot;

	(void)arg;
	(void)connection;
	(void)code;
	if (exchange == NULL)
		return;
	pb_request_destroy(exchange->request, pb_clock_mono_ms());
	free(exchange);
	*slot = NULL;
}

static void
on_wake(void *arg)
{
	struct exchange *exchange = arg;

	if (!exchange->suspended)
		return;
	exchange->suspended = false;
	exchange->server->resumed = true;
	MHD_resume_connection(exchange->connection);
}

/* --- one request ---------------------------------------------------------- */

static struct exchange *
exchange_create(struct pb_server *server, struct MHD_Connection *connection,
    const char *method, const char *path)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	struct peer *peer = peer_of(server, connection);
	struct pb_request_head head = {
		.door = server->door,
		.method = method,
		.path = path,
		.tls = server->has_tls,
		.first = header(connection, "PB-First"),
		.last = header(connection, "PB-Last"),
		.digest = header(connection, "PB-Digest"),
		.encoding = header(connection, "Content-Encoding"),
	};
	const char *expect = header(connection, "Expect");
	struct pb_err err;

	if (exchange == NULL || peer == NULL)
		goto fail;
	head.peer = peer->text;
	head.cn = peer->verified ? peer->cn : NULL;
	head.expect = expect != NULL &&
	    strcasecmp(expect, "100-continue") == 0;
	body_size(connection, &head);
	exchange->server = server;
	exchange->connection = connection;
	if (pb_request_create(&exchange->request, server->service, &head,
	    pb_clock_mono_ms(), pb_clock_real_ns(), on_wake, exchange,
	    &err) == 0)
		return exchange;
fail:
	free(exchange);
	return NULL;
}

static void
peer_address(struct MHD_Connection *connection, struct peer *peer)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *from = info != NULL ? info->client_addr : NULL;
	const char *text = NULL;

	if (from != NULL && from->sa_family == AF_INET)
		text = inet_ntop(AF_INET, &((const struct sockaddr_in *)
		    (const void *)from)->sin_addr, peer->text,
		    sizeof(peer->text));
	else if (from != NULL && from->sa_family == AF_INET6)
		text = inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)
		    (const void *)from)->sin6_addr, peer->text,
		    sizeof(peer->text));
	if (text == NULL)
		strcpy(peer->text, "local");
}

/* The peer of a connection; with TLS its certificate is looked at once. */
static struct peer *
peer_of(struct pb_server *server, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct peer *peer = info != NULL ? info->socket_context : NULL;
	size_t used;

	if (peer == NULL || !server->has_tls || peer->looked)
		return peer;
	peer->looked = true;
	info = MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_GNUTLS_SESSION);
	peer->verified = info != NULL && info->tls_session != NULL &&
	    pb_tls_peer(info->tls_session, peer->cn);
	used = strlen(peer->text);
	if (peer->verified)
		snprintf(peer->text + used, sizeof(peer->text) - used, "(%s)",
		    peer->cn);
	return peer;
}

static const char *
header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* The library has refused lengths that are no numbers. */
static void
body_size(struct MHD_Connection *connection, struct pb_request_head *head)
{
	const char *length = header(connection, "Content-Length");
	struct pb_err err;

	head->chunked = header(connection, "Transfer-Encoding") != NULL;
	if (head->chunked || length == NULL)
		return;
	head->has_length = true;
	if (pb_parse_u64(length, 0, UINT64_MAX, &head->length, &err) < 0)
		head->length = UINT64_MAX;
}

static enum MHD_Result
reply(struct exchange *exchange)
{
	const struct pb_answer *answer = pb_request_answer(exchange->request);
	struct MHD_Response *response;
	enum MHD_Result rc;
	char seconds[16];

	response = MHD_create_response_from_buffer(answer->body.len,
	    answer->body.data, MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return MHD_NO;
	snprintf(seconds, sizeof(seconds), "%u", answer->retry_after_s);
	MHD_add_response_header(response, "Content-Type", answer->type);
	if (answer->allow != NULL)
		MHD_add_response_header(response, "Allow", answer->allow);
	if (answer->retry_after_s > 0)
		MHD_add_response_header(response, "Retry-After", seconds);
	if (answer->close)
		MHD_add_response_header(response, "Connection", "close");
	rc = MHD_queue_response(exchange->connection, answer->status,
	    response);
	MHD_destroy_response(response);
	return rc;
}
