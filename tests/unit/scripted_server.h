/*
 * tests/unit/scripted_server.h - an HTTP server that does as it is told
 *
 * Listens on a free port of 127.0.0.1, or on a unix socket.  Each request,
 * in the order of their heads' arrival, meets the next line of the script;
 * past its end the last line holds.  A thread per connection.
 */
#ifndef PB_TESTS_UNIT_SCRIPTED_SERVER_H
#define PB_TESTS_UNIT_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SERVER_CONNECTIONS_MAX	64
#define SERVER_LINES_MAX	64
#define SERVER_HEAD_MAX		8192
#define SERVER_BODY_MAX		(8u << 20)
#define SLOW_BYTES	(16u << 10)	/* each 20 ms */

enum deed {
	ANSWER,			/* read it all, answer `text` */
	ANSWER_AND_CLOSE,
	ANSWER_EARLY,		/* at the head; the body is left, close */
	CLOSE_AT_HEAD,		/* without an answer */
	CLOSE_IN_BODY,		/* after some of it, without an answer */
	HANG,			/* read it all, never answer */
	READ_SLOWLY,		/* then answer */
};

struct line {
	enum deed	 deed;
	const char	*text;		/* the whole answer */
};

#define OK_ACKED(n) "HTTP/1.1 200 OK\r\nContent-Length: " \
	"13\r\n\r\n{\"acked\": " n "}"	/* n: two digits */

struct server;

struct connection {
	struct server	*server;
	int		 fd;
	pthread_t	 thread;
};

struct server {
	int		 fd;
	uint16_t	 port;
	char		 url[64];
	pthread_t	 thread;
	pthread_mutex_t	 lock;
	bool		 stopping;
	struct line	 line[SERVER_LINES_MAX];
	unsigned	 lines;
	struct connection connection[SERVER_CONNECTIONS_MAX];
	_Atomic unsigned connections;	/* ever; tests look while it runs */
	_Atomic unsigned requests;	/* heads seen */
	_Atomic unsigned bodies;	/* read whole */
	char		 head[SERVER_HEAD_MAX];	/* of the last request */
	uint8_t		*body;		/* of the last whole one */
	size_t		 body_len;
};

static inline bool
server_fill(int fd, char *to, size_t *len, size_t max)
{
	ssize_t n = recv(fd, to + *len, max - *len, 0);

	if (n <= 0)
		return false;
	*len += (size_t)n;
	return true;
}

static inline void
server_send(int fd, const char *text)
{
	size_t len = strlen(text), at = 0;

	while (at < len) {
		ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += (size_t)n;
	}
}

/* Serve one request; false where the connection ends with it. */
static inline bool
server_request(struct server *s, int fd, uint8_t *body)
{
	char head[SERVER_HEAD_MAX + 1];
	size_t len = 0, body_len, want = 0;
	const char *field, *end = NULL;
	struct line line;

	while (end == NULL) {
		if (len == SERVER_HEAD_MAX ||
		    !server_fill(fd, head, &len, SERVER_HEAD_MAX))
			return false;
		head[len] = '\0';
		end = strstr(head, "\r\n\r\n");
	}
	body_len = len - (size_t)(end + 4 - head);
	memcpy(body, end + 4, body_len);
	head[end + 4 - head] = '\0';
	field = strcasestr(head, "\r\nContent-Length:");
	if (field != NULL)
		want = strtoul(field + 17, NULL, 10);
	pthread_mutex_lock(&s->lock);
	memcpy(s->head, head, strlen(head) + 1);
	line = s->line[s->requests < s->lines ? s->requests : s->lines - 1];
	s->requests++;
	pthread_mutex_unlock(&s->lock);
	if (line.deed == CLOSE_AT_HEAD)
		return false;
	if (line.deed == ANSWER_EARLY) {
		server_send(fd, line.text);
		/* Give the answer time to be read before the close, which
		 * resets: bytes were left unread. */
		shutdown(fd, SHUT_WR);
		usleep(100000);
		return false;
	}
	while (body_len < want) {
		if (line.deed == CLOSE_IN_BODY && body_len > 0)
			return false;
		if (line.deed == READ_SLOWLY)
			usleep(20000);
		if (!server_fill(fd, (char *)body, &body_len,
		    line.deed == READ_SLOWLY && body_len + SLOW_BYTES < want ?
		    body_len + SLOW_BYTES : want))
			return false;
	}
	pthread_mutex_lock(&s->lock);
	s->bodies++;
	memcpy(s->body, body, want);
	s->body_len = want;
	pthread_mutex_unlock(&s->lock);
	if (line.deed == HANG) {
		char byte;

		while (recv(fd, &byte, 1, 0) > 0)
			continue;
		return false;
	}
	server_send(fd, line.text);
	return line.deed != ANSWER_AND_CLOSE;
}

static inline void *
server_connection(void *arg)
{
	struct connection *c = arg;
	uint8_t *body = malloc(SERVER_BODY_MAX);

	while (server_request(c->server, c->fd, body))
		continue;
	free(body);
	shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

static inline void *
server_accept(void *arg)
{
	struct server *s = arg;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	for (;;) {
		struct connection *c = &s->connection[s->connections];
		bool stop;

		(void)poll(&p, 1, 20);
		pthread_mutex_lock(&s->lock);
		stop = s->stopping;
		pthread_mutex_unlock(&s->lock);
		if (stop)
			return NULL;
		if ((p.revents & POLLIN) == 0)
			continue;
		c->fd = accept(s->fd, NULL, NULL);
		if (c->fd < 0 || s->connections == SERVER_CONNECTIONS_MAX - 1)
			abort();
		c->server = s;
		pthread_mutex_lock(&s->lock);
		s->connections++;
		pthread_mutex_unlock(&s->lock);
		if (pthread_create(&c->thread, NULL, server_connection, c))
			abort();
	}
}

/* `path`: a unix socket there, else TCP. */
static inline struct server *
server_start(const char *path, const struct line *lines, unsigned count)
{
	struct server *s = calloc(1, sizeof(*s));
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(in);

	if (count > 0)
		memcpy(s->line, lines, count * sizeof(*lines));
	s->lines = count;
	s->body = malloc(SERVER_BODY_MAX);
	pthread_mutex_init(&s->lock, NULL);
	if (path != NULL) {
		strcpy(un.sun_path, path);
		s->fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (bind(s->fd, (struct sockaddr *)&un, sizeof(un)) < 0)
			abort();
	} else {
		s->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (bind(s->fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
		    getsockname(s->fd, (struct sockaddr *)&in, &len) < 0)
			abort();
		s->port = ntohs(in.sin_port);
		snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u",
		    s->port);
	}
	if (listen(s->fd, SERVER_CONNECTIONS_MAX) < 0 ||
	    pthread_create(&s->thread, NULL, server_accept, s) != 0)
		abort();
	return s;
}

static inline void
server_stop(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	close(s->fd);
	for (unsigned i = 0; i < s->connections; i++) {
		shutdown(s->connection[i].fd, SHUT_RDWR);
		pthread_join(s->connection[i].thread, NULL);
		close(s->connection[i].fd);
	}
	pthread_mutex_destroy(&s->lock);
	free(s->body);
	free(s);
}

#endif
