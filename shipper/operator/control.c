/*
 * shipper/operator/control.c - what an operator asks of a running shipper
 */
#include "shipper/operator/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/below.h"
#include "base/json.h"
#include "base/unix.h"
#include "recorder/store/facts/told.h"

#define VERB_BYTES	16u
#define ERROR_BYTES	1024u	/* of an answer, escaped it still fits */

struct client {
	int		 fd;		/* -1: free */
	bool		 asked;
	uint64_t	 until_ms;	/* ... it has to */
	struct pb_control_request request;
};

struct pb_control {
	char		 path[PATH_MAX];
	int		 listen_fd;
	bool		 failed;	/* a newcomer could not be let in */
	pb_control_handler *handler;
	void		*arg;
	struct client	 client[PB_CONTROL_CLIENTS_MAX];
};

static const char *const verb_names[] = {
	[PB_CONTROL_REQUEUE] = "requeue",
	[PB_CONTROL_PURGE] = "purge",
	[PB_CONTROL_MOVE] = "move",
	[PB_CONTROL_METRICS] = PB_TOLD_VERB,
};

static void	accept_clients(struct pb_control *, uint64_t);
static void	serve(struct pb_control *, struct client *, uint64_t);
static void	take_request(struct client *);
static int	parse(const char *, size_t, struct pb_control_request *,
		    struct pb_err *);
static void	take_which(struct pb_json_doc *, struct pb_control_request *);
static void	give(int, const struct pb_buf *, int);
static void	drop(struct client *);
static int	take_sum(struct pb_letters_sum *, const char *, size_t,
		    struct pb_err *);
static int	connect_to(const char *, struct pb_err *);
static int	exchange(int, const struct pb_buf *, char *, size_t *,
		    struct pb_err *);
static void	answer(struct client *, const struct pb_err *);

/* --- the shipper -------------------------------------------------------- */

int
pb_control_create(struct pb_control **out, const char *store,
    pb_control_handler *handler, void *arg, struct pb_err *err)
{
	struct pb_control *c = calloc(1, sizeof(*c));
	int rc;

	*out = NULL;
	if (c == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	c->handler = handler;
	c->arg = arg;
	c->listen_fd = -1;
	for (unsigned i = 0; i < PB_CONTROL_CLIENTS_MAX; i++)
		c->client[i].fd = -1;
	rc = pb_layout_path(c->path, store, PB_SHIPPER_SOCKET, err);
	if (rc == 0)
		rc = c->listen_fd = pb_unix_listen(c->path, SOCK_SEQPACKET,
		    (int)PB_CONTROL_CLIENTS_MAX, err);
	if (rc < 0) {
		pb_control_destroy(c);
		return rc;
	}
	*out = c;
	return 0;
}

void
pb_control_destroy(struct pb_control *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < PB_CONTROL_CLIENTS_MAX; i++)
		drop(&c->client[i]);
	if (c->listen_fd >= 0) {
		(void)pb_below_unlink(c->path);
		close(c->listen_fd);
	}
	free(c);
}

unsigned
pb_control_fds(const struct pb_control *c, int *fds, unsigned max)
{
	bool room = false;
	unsigned count = 0;

	for (unsigned i = 0; i < PB_CONTROL_CLIENTS_MAX; i++) {
		room |= c->client[i].fd < 0;
		if (c->client[i].fd >= 0 && !c->client[i].asked && count < max)
			fds[count++] = c->client[i].fd;
	}
	/* One that cannot be let in must not wake the loop again and again;
	 * it is looked at again each turn. */
	if (room && !c->failed && count < max)
		fds[count++] = c->listen_fd;
	return count;
}

void
pb_control_run(struct pb_control *c, uint64_t now_ms)
{
	accept_clients(c, now_ms);
	for (unsigned i = 0; i < PB_CONTROL_CLIENTS_MAX; i++)
		if (c->client[i].fd >= 0)
			serve(c, &c->client[i], now_ms);
}

/* Where all places are taken, or no descriptor is left, the next ones wait
 * in the backlog; those who have one ask, or are dropped. */
static void
accept_clients(struct pb_control *c, uint64_t now_ms)
{
	c->failed = false;
	for (unsigned i = 0; i < PB_CONTROL_CLIENTS_MAX; i++) {
		struct client *client = &c->client[i];

		if (client->fd >= 0)
			continue;
		client->fd = accept4(c->listen_fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client->fd < 0) {
			c->failed = errno != EAGAIN;
			return;
		}
		client->asked = false;
		client->until_ms = now_ms + PB_CONTROL_ASK_MS;
	}
}

static void
serve(struct pb_control *c, struct client *client, uint64_t now_ms)
{
	struct pb_err err = { .code = 0 };
	int rc;

	if (!client->asked)
		take_request(client);
	if (client->asked) {
		rc = c->handler(c->arg, &client->request, &err);
		if (rc <= 0)
			answer(client, rc < 0 ? &err : NULL);
	} else if (client->fd >= 0 && now_ms >= client->until_ms) {
		drop(client);
	}
}

/* If it has asked; wrong requests are answered, lost clients dropped. */
static void
take_request(struct client *client)
{
	char bytes[PB_CONTROL_BYTES_MAX];
	struct pb_err err;
	ssize_t len;

	len = recv(client->fd, bytes, sizeof(bytes), MSG_TRUNC);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0)
		drop(client);
	else if ((size_t)len > sizeof(bytes) ? pb_err_set(&err, PB_ELIMIT,
	    "a request has at most %u bytes", PB_CONTROL_BYTES_MAX) < 0 :
	    parse(bytes, (size_t)len, &client->request, &err) < 0)
		answer(client, &err);
	else
		client->asked = true;
}

static int
parse(const char *body, size_t len, struct pb_control_request *out,
    struct pb_err *err)
{
	char verb[VERB_BYTES];
	struct pb_json_doc doc;

	memset(out, 0, sizeof(*out));
	pb_json_doc_open(&doc, body, len, err);
	pb_json_doc_text(&doc, "do", verb, sizeof(verb));
	for (size_t v = PB_CONTROL_REQUEUE; v <= PB_CONTROL_METRICS; v++)
		if (strcmp(verb, verb_names[v]) == 0)
			out->verb = (enum pb_control_verb)v;
	if (out->verb != PB_CONTROL_METRICS)
		take_which(&doc, out);
	pb_json_doc_close(&doc);
	if (doc.rc < 0)
		return doc.rc;
	if (out->verb == 0)
		return pb_err_set(err, PB_EINVAL, "cannot do '%s': requeue, "
		    "purge, move and metrics are known", verb);
	return 0;
}

static void
take_which(struct pb_json_doc *doc, struct pb_control_request *out)
{
	pb_json_doc_text(doc, "upstream", out->upstream,
	    sizeof(out->upstream));
	pb_json_doc_text(doc, "stream", out->stream, sizeof(out->stream));
	out->which.first = pb_json_doc_u64(doc, "first");
	if (out->verb == PB_CONTROL_MOVE)
		pb_json_doc_text(doc, "to", out->to, sizeof(out->to));
	out->which.upstream = out->upstream;
	out->which.stream = out->stream;
	out->which.to = out->to;
}

/* With what was done; or, where `err` is not NULL, with that. */
static void
answer(struct client *client, const struct pb_err *err)
{
	struct pb_json json;
	struct pb_buf buf;
	int file = -1;

	pb_buf_init(&buf, PB_CONTROL_BYTES_MAX);
	pb_json_init(&json, &buf);
	pb_json_object(&json, NULL);
	if (err != NULL) {
		pb_json_text(&json, "error", err->text);
	} else if (client->request.verb == PB_CONTROL_METRICS) {
		pb_json_u64(&json, "bytes", client->request.file_bytes);
		file = client->request.file;
	} else {
		pb_json_u64(&json, "letters", client->request.sum.letters);
		pb_json_u64(&json, "packets", client->request.sum.packets);
	}
	pb_json_end(&json);
	/* It fits in the socket's buffer, or the client does not get it. */
	if (!buf.failed)
		give(client->fd, &buf, file);
	pb_buf_finish(&buf);
	drop(client);
}

/* And with it a file, unless that is -1; the client gets one of its own. */
static void
give(int fd, const struct pb_buf *buf, int file)
{
	union {
		struct cmsghdr	 head;
		char		 room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_base = buf->data, .iov_len = buf->len };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (file >= 0) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(file));
		memcpy(CMSG_DATA(&control.head), &file, sizeof(file));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	(void)!sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
drop(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	client->asked = false;
}

/* --- its clients -------------------------------------------------------- */

int
pb_control_ask(const char *store, enum pb_control_verb verb,
    const struct pb_letters_which *which, struct pb_letters_sum *sum,
    struct pb_err *err)
{
	char answer[PB_CONTROL_BYTES_MAX];
	size_t len = sizeof(answer);
	struct pb_json json;
	struct pb_buf buf;
	int fd, rc;

	fd = connect_to(store, err);
	if (fd < 0)
		return fd;
	pb_buf_init(&buf, PB_CONTROL_BYTES_MAX);
	pb_json_init(&json, &buf);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "do", verb_names[verb]);
	pb_json_text(&json, "upstream",
	    which->upstream != NULL ? which->upstream : "*");
	pb_json_text(&json, "stream",
	    which->stream != NULL ? which->stream : "*");
	pb_json_u64(&json, "first", which->first);
	if (verb == PB_CONTROL_MOVE)
		pb_json_text(&json, "to", which->to);
	pb_json_end(&json);
	rc = buf.failed ? pb_err_set(err, PB_ELIMIT, "a glob is too long") :
	    exchange(fd, &buf, answer, &len, err);
	pb_buf_finish(&buf);
	close(fd);
	if (rc < 0)
		return rc;
	return take_sum(sum, answer, len, err);
}

static int
take_sum(struct pb_letters_sum *sum, const char *answer, size_t len,
    struct pb_err *err)
{
	char text[ERROR_BYTES] = "";
	struct pb_json_doc doc;

	pb_json_doc_open(&doc, answer, len, err);
	if (pb_json_doc_has(&doc, "error"))
		pb_json_doc_text(&doc, "error", text, sizeof(text));
	sum->letters = pb_json_doc_u64(&doc, "letters");
	sum->packets = pb_json_doc_u64(&doc, "packets");
	pb_json_doc_close(&doc);
	return text[0] == '\0' ? doc.rc : pb_err_set(err, PB_ESYS,
	    "pb-shipper: %.400s", text);
}

static int
connect_to(const char *store, struct pb_err *err)
{
	/* Where its backlog is full connect() waits for so long. */
	const struct timeval enter = { .tv_sec = PB_CONTROL_ENTER_MS / 1000 };
	char path[PATH_MAX];
	int fd, rc = pb_layout_path(path, store, PB_SHIPPER_SOCKET, err);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &enter,
	    sizeof(enter)) < 0 ||
	    pb_unix_connect(fd, path) < 0) {
		rc = pb_err_sys(err, "ask pb-shipper at %s", path);
		if (errno == EAGAIN)
			rc = pb_err_set(err, PB_EBUSY, "pb-shipper has let "
			    "nobody in at %s for %u s: has it been stopped?",
			    path, PB_CONTROL_ENTER_MS / 1000);
		else if (errno == ECONNREFUSED)
			rc = err->code = PB_ENOENT;
		else if (errno == EACCES || errno == EPERM)
			rc = err->code = PB_EACCES;
		if (fd >= 0)
			close(fd);
		fd = rc;
	}
	return fd;
}

static int
exchange(int fd, const struct pb_buf *request, char *answer, size_t *len,
    struct pb_err *err)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	ssize_t got;
	int n;

	if (send(fd, request->data, request->len, MSG_NOSIGNAL) < 0)
		return pb_err_sys(err, "ask pb-shipper");
	do
		n = poll(&poll_fd, 1, (int)PB_CONTROL_ANSWER_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return pb_err_set(err, PB_EBUSY, "pb-shipper has not answered "
		    "for %u s", PB_CONTROL_ANSWER_MS / 1000);
	got = n < 0 ? -1 : recv(fd, answer, *len, 0);
	if (got < 0)
		return pb_err_sys(err, "hear from pb-shipper");
	if (got == 0)
		return pb_err_set(err, PB_EBUSY, "pb-shipper stopped before "
		    "it had done so; it may have done a part");
	*len = (size_t)got;
	return 0;
}
