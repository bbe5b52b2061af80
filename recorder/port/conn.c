/*
 * recorder/port/conn.c - connections, and the request on each
 *
 * A request that waits, for the writer, for memory for its body, or for a
 * reader, is suspended: its connection is not read and does not time out;
 * pb_request's wake resumes it.  What has been read of a body that waits stays
 * in the library's buffer and is given again.
 *
 * The library knows one time-out, for connections without a byte.  Who
 * drips bytes is found by the deadlines here, and is cut off by shutting
 * its socket down, which the library sees like a peer that left.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "recorder/port/door/peers.h"
#include "recorder/port/server_impl.h"

#define CUT_MS			100u
#define PRESENT_MS		1000u	/* between looks for a peer that is
					 * not read */
#define LONG_BLOCK_BYTES	(16u << 10)

/* A connection, and the request under way on it. */
struct conn {
	TAILQ_ENTRY(conn) link;
	struct pb_server *server;
	struct MHD_Connection *mhd;
	struct pb_peer_address *address;	/* NULL: not counted */
	int		fd;
	uint64_t	deadline_ms;	/* for what it does now */
	char		text[PEER_BYTES_MAX];
	bool		looked;		/* at its certificate */
	bool		verified;
	char		cn[PB_NAME_BYTES_MAX + 1];
	struct pb_request *request;	/* NULL: none */
	struct pb_request_head head;	/* its */
	bool		ended;		/* all of it is there */
	bool		suspended;
	bool		gone;		/* the peer, while it waited */
};

/* Connections */
static struct conn *conn_create(struct pb_server *, struct MHD_Connection *);
static void	conn_destroy(struct conn *);
static void	set_deadline(struct conn *, uint64_t);
static void	look_after(struct conn *, uint64_t);
static void	say_late(struct conn *, uint64_t);
static struct conn *conn_of(struct MHD_Connection *);
static void	look_at_certificate(struct conn *);

/* Requests */
static bool	begin(struct conn *, const char *, const char *);
static enum MHD_Result take_body(struct conn *, const char *, size_t *);
static enum MHD_Result suspend(struct conn *);
static void	on_wake(void *);
static const char *header(struct MHD_Connection *, const char *);
static const char *query(struct MHD_Connection *, const char *);
static void	body_size(struct MHD_Connection *,
		    struct pb_request_head *);
static enum MHD_Result reply(struct conn *);
static ssize_t	on_piece(void *, uint64_t, char *, size_t);
static uint64_t	answer_until_ms(const struct pb_server *, size_t);

void
conn_notify(void *arg, struct MHD_Connection *connection, void **slot,
    enum MHD_ConnectionNotificationCode code)
{
	struct pb_server *server = arg;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*slot = conn_create(server, connection);
	} else {
		conn_destroy(*slot);
		*slot = NULL;
	}
}

static struct conn *
conn_create(struct pb_server *server, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *from = info != NULL ? info->client_addr : NULL;
	struct conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->server = server;
	conn->mhd = connection;
	conn_address(from, conn->text);
	conn->address = pb_peers_enter(server->addresses, from);
	info = MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_CONNECTION_FD);
	conn->fd = info != NULL ? info->connect_fd : -1;
	TAILQ_INSERT_TAIL(&server->conns, conn, link);
	set_deadline(conn, pb_clock_mono_ms() +
	    server->service->conf->listen.head_timeout_ms);
	return conn;
}

static void
conn_destroy(struct conn *conn)
{
	if (conn == NULL)
		return;
	TAILQ_REMOVE(&conn->server->conns, conn, link);
	pb_peers_leave(conn->server->addresses, conn->address);
	free(conn);
}

void
conn_address(const struct sockaddr *from, char out[static PEER_BYTES_MAX])
{
	const char *text = NULL;

	if (from != NULL && from->sa_family == AF_INET)
		text = inet_ntop(AF_INET, &((const struct sockaddr_in *)
		    (const void *)from)->sin_addr, out, PEER_BYTES_MAX);
	else if (from != NULL && from->sa_family == AF_INET6)
		text = inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)
		    (const void *)from)->sin6_addr, out, PEER_BYTES_MAX);
	if (text == NULL)
		strcpy(out, "local");
}

void
conn_resume_all(struct pb_server *server)
{
	struct conn *conn;

	TAILQ_FOREACH(conn, &server->conns, link)
		on_wake(conn);
}

static void
set_deadline(struct conn *conn, uint64_t deadline_ms)
{
	conn->deadline_ms = deadline_ms;
	if (deadline_ms < conn->server->due_ms)
		conn->server->due_ms = deadline_ms;
}

/* It walks all connections, at most once a CUT_MS. */
void
conn_cut_late(struct pb_server *server, uint64_t now_ms)
{
	struct conn *conn;

	server->due_ms = NEVER;
	TAILQ_FOREACH(conn, &server->conns, link) {
		if (now_ms >= conn->deadline_ms && conn->suspended) {
			look_after(conn, now_ms);
		} else if (now_ms >= conn->deadline_ms) {
			say_late(conn, now_ms);
			shutdown(conn->fd, SHUT_RDWR);
			conn->deadline_ms = NEVER;
		}
		if (conn->deadline_ms < server->due_ms)
			server->due_ms = conn->deadline_ms;
	}
	if (server->due_ms < now_ms + CUT_MS)
		server->due_ms = now_ms + CUT_MS;
}

/* The library does not see that a peer leaves whom it does not read. */
static void
look_after(struct conn *conn, uint64_t now_ms)
{
	struct pollfd fd = { .fd = conn->fd, .events = POLLRDHUP };

	conn->deadline_ms = now_ms + PRESENT_MS;
	conn->server->service->now_ms = now_ms;
	if (!pb_request_making(conn->request, now_ms) ||
	    poll(&fd, 1, 0) <= 0)
		return;
	conn->gone = true;
	on_wake(conn);
}

static void
say_late(struct conn *conn, uint64_t now_ms)
{
	struct pb_service *service = conn->server->service;
	char text[PB_TEXT_BYTES_MAX];

	service->now_ms = now_ms;
	if (conn->request != NULL && !conn->ended) {
		pb_request_late(conn->request, now_ms);
	} else if (conn->request != NULL) {
		pb_peerlog_warn(&service->log, now_ms, conn->text, "answer",
		    "it did not take its answer in time: [listen] "
		    "idle_timeout");
	} else {
		snprintf(text, sizeof(text), "no whole request head within "
		    "%" PRIu64 " ms: [listen] head_timeout",
		    service->conf->listen.head_timeout_ms);
		pb_peerlog_warn(&service->log, now_ms, conn->text, "head",
		    text);
	}
}

static struct conn *
conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info != NULL ? info->socket_context : NULL;
}

/* Once a connection. */
static void
look_at_certificate(struct conn *conn)
{
	const union MHD_ConnectionInfo *info;
	size_t used = strlen(conn->text);

	if (!conn->server->has_tls || conn->looked)
		return;
	conn->looked = true;
	info = MHD_get_connection_info(conn->mhd,
	    MHD_CONNECTION_INFO_GNUTLS_SESSION);
	conn->verified = info != NULL && info->tls_session != NULL &&
	    pb_tls_peer(info->tls_session, conn->cn);
	if (conn->verified)
		snprintf(conn->text + used, sizeof(conn->text) - used, "(%s)",
		    conn->cn);
}

/* --- one request ---------------------------------------------------------- */

enum MHD_Result
conn_request(void *arg, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *data, size_t *len,
    void **slot)
{
	struct conn *conn = *slot;
	uint64_t now_ms;

	(void)arg;
	(void)version;
	if (conn == NULL) {
		conn = conn_of(connection);
		if (conn == NULL || !begin(conn, method, url))
			return MHD_NO;
		*slot = conn;
		return pb_request_refused(conn->request) ? reply(conn) :
		    MHD_YES;
	}
	if (*len > 0)
		return take_body(conn, data, len);
	if (!conn->ended) {
		conn->ended = true;
		now_ms = pb_clock_mono_ms();
		set_deadline(conn, now_ms + PRESENT_MS);
		pb_request_end(conn->request, now_ms);
	}
	if (conn->gone)
		return MHD_NO;
	return pb_request_answer(conn->request) != NULL ? reply(conn) :
	    suspend(conn);
}

static bool
begin(struct conn *conn, const char *method, const char *path)
{
	const char *expect = header(conn->mhd, "Expect");
	struct pb_server *server = conn->server;
	struct pb_err err;

	look_at_certificate(conn);
	conn->head = (struct pb_request_head){
		.door = server->door, .method = method, .path = path,
		.tls = server->has_tls, .peer = conn->text,
		.cn = conn->verified ? conn->cn : NULL,
		.share = conn->address != NULL ? &conn->address->share : NULL,
		.long_answers = conn->address != NULL ?
		    &conn->address->long_answers : NULL,
		.held = conn->address != NULL ? &conn->address->held : NULL,
		.first = header(conn->mhd, "PB-First"),
		.last = header(conn->mhd, "PB-Last"),
		.digest = header(conn->mhd, "PB-Digest"),
		.sender = header(conn->mhd, "PB-Sender"),
		.relay = server->door == PB_DOOR_LOCAL ?
		    header(conn->mhd, "PB-Relay") : NULL,
		.encoding = header(conn->mhd, "Content-Encoding"),
		.at = query(conn->mhd, "at"),
		.captured = query(conn->mhd, "captured"),
		.digests = {
			.first = query(conn->mhd, "first"),
			.last = query(conn->mhd, "last"),
			.parts = query(conn->mhd, "parts"),
			.snaplen = query(conn->mhd, "snaplen"),
			.why = query(conn->mhd, "why"),
		},
		.node = header(conn->mhd, "PB-Node"),
		.accept = header(conn->mhd, "Accept-Encoding"),
		.after = query(conn->mhd, "after"),
		.to = query(conn->mhd, "to"),
		.as = query(conn->mhd, "as"),
		.max_bytes = query(conn->mhd, "max_bytes"),
		.wait = query(conn->mhd, "wait"),
		.since = query(conn->mhd, "since"),
		.expect = expect != NULL &&
		    strcasecmp(expect, "100-continue") == 0,
	};
	body_size(conn->mhd, &conn->head);
	conn->ended = conn->suspended = conn->gone = false;
	if (pb_request_create(&conn->request, server->service, &conn->head,
	    pb_clock_mono_ms(), pb_clock_real_ns(), on_wake, conn, &err) < 0)
		return false;
	set_deadline(conn, pb_request_until_ms(conn->request));
	return true;
}

/* `*len` becomes 0 where all of it is taken. */
static enum MHD_Result
take_body(struct conn *conn, const char *data, size_t *len)
{
	uint64_t now_ms = pb_clock_mono_ms();
	bool go_on;

	if (pb_request_wait(conn->request, *len, now_ms)) {
		set_deadline(conn, NEVER);
		return suspend(conn);
	}
	go_on = pb_request_data(conn->request, data, *len, now_ms);
	conn->server->turn_bytes += *len;
	*len = 0;
	set_deadline(conn, pb_request_until_ms(conn->request));
	return go_on ? MHD_YES : MHD_NO;
}

void
conn_completed(void *arg, struct MHD_Connection *connection, void **slot,
    enum MHD_RequestTerminationCode code)
{
	struct conn *conn = *slot;
	struct pb_server *server = arg;
	const struct pb_conf_listen *bounds = &server->service->conf->listen;
	uint64_t now_ms = pb_clock_mono_ms();

	(void)connection;
	if (conn == NULL)
		return;
	if (code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		say_late(conn, now_ms);
	set_deadline(conn, now_ms + bounds->idle_timeout_ms +
	    bounds->head_timeout_ms);
	pb_request_destroy(conn->request, now_ms);
	conn->request = NULL;
	*slot = NULL;
}

static enum MHD_Result
suspend(struct conn *conn)
{
	conn->suspended = true;
	MHD_suspend_connection(conn->mhd);
	return MHD_YES;
}

static void
on_wake(void *arg)
{
	struct conn *conn = arg;

	if (!conn->suspended)
		return;
	conn->suspended = false;
	conn->server->resumed = true;
	MHD_resume_connection(conn->mhd);
}

static const char *
header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static const char *
query(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND,
	    name);
}

/* The library has refused lengths that are no numbers. */
static void
body_size(struct MHD_Connection *connection, struct pb_request_head *head)
{
	const char *length = header(connection, "Content-Length");

	head->chunked = header(connection, "Transfer-Encoding") != NULL;
	if (head->chunked || length == NULL)
		return;
	head->has_length = true;
	if (pb_parse_u64(length, 0, UINT64_MAX, &head->length, NULL) < 0)
		head->length = UINT64_MAX;
}

static enum MHD_Result
reply(struct conn *conn)
{
	const struct pb_answer *answer = pb_request_answer(conn->request);
	struct MHD_Response *response;
	size_t len;
	const uint8_t *body = pb_answer_body(answer, &len);
	enum MHD_Result rc;
	char seconds[16];

	/* The request lives until all of it is sent. */
	if (answer->is_long || answer->is_shaped)
		response = MHD_create_response_from_callback(answer->is_long ?
		    MHD_SIZE_UNKNOWN : len, LONG_BLOCK_BYTES,
		    on_piece, conn, NULL);
	else
		response = MHD_create_response_from_buffer(len,
		    (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return MHD_NO;
	snprintf(seconds, sizeof(seconds), "%u", answer->retry_after_s);
	MHD_add_response_header(response, "Content-Type", answer->type);
	if (answer->allow != NULL)
		MHD_add_response_header(response, "Allow", answer->allow);
	if (answer->takes != NULL)
		MHD_add_response_header(response, "PB-Takes", answer->takes);
	if (answer->retry_after_s > 0)
		MHD_add_response_header(response, "Retry-After", seconds);
	for (unsigned i = 0; i < answer->fields; i++)
		MHD_add_response_header(response, answer->field[i].name,
		    answer->field[i].value);
	if (answer->close)
		MHD_add_response_header(response, "Connection", "close");
	set_deadline(conn, answer_until_ms(conn->server, len));
	rc = MHD_queue_response(conn->mhd, answer->status, response);
	MHD_destroy_response(response);
	return rc;
}

/* More of an answer, when what was given before is in the socket. */
static ssize_t
on_piece(void *arg, uint64_t at, char *out, size_t max)
{
	struct conn *conn = arg;
	ssize_t len = conn->gone ? PB_ESYS :
	    pb_request_take(conn->request, out, max);

	(void)at;
	if (len > 0) {
		conn->server->turn_bytes += (size_t)len;
		set_deadline(conn, answer_until_ms(conn->server,
		    (size_t)len));
	} else if (len == 0) {
		set_deadline(conn, pb_clock_mono_ms() + PRESENT_MS);
		suspend(conn);
	}
	if (len >= 0)
		return len;
	return len == PB_ENOENT ? MHD_CONTENT_READER_END_OF_STREAM :
	    MHD_CONTENT_READER_END_WITH_ERROR;
}

/* When the peer must have taken `len` bytes of it. */
static uint64_t
answer_until_ms(const struct pb_server *server, size_t len)
{
	const struct pb_conf_listen *bounds = &server->service->conf->listen;
	uint64_t until_ms = pb_clock_mono_ms() + bounds->idle_timeout_ms;

	if (bounds->body_rate_min > 0)
		until_ms += len * 8 * 1000 / bounds->body_rate_min;
	return until_ms;
}
