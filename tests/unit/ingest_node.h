/*
 * tests/unit/ingest_node.h - a node that takes packets in, on real sockets, in
 * front of a real store; and a small client
 */
#ifndef PB_TESTS_INGEST_NODE_H
#define PB_TESTS_INGEST_NODE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf_keys.h"
#include "recorder/port/ingest.h"
#include "recorder/store/read/cursor.h"
#include "tests/unit/ingest_body.h"
#include "tests/unit/temp.h"

#define STREAM	"/v1/streams/lon1/eth0/0123456789abcdef"
#define PATIENCE_S 60		/* then the test has failed */

struct node {
	char		dir[64];
	char		store_path[256];
	int		port;
	struct pb_conf	conf;
	struct pb_store	*store;
	struct pb_ingest *ingest;
	const struct pb_route_row *routes;	/* NULL: the usual ones */
};

struct reply {
	int	status;
	char	head[2048];
	char	body[65536];
};

static const struct pb_stream_key key = { "lon1", "eth0", BODY_EPOCH };

static inline int
free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

static inline void
node_start(struct node *n)
{
	struct pb_store_opts store = {
		.path = n->store_path, .pen = BODY_PEN,
		.segment_size = 4u << 20, .segment_age_ms = 60000,
		.index_size = 64u << 20,
	};
	struct pb_ingest_opts opts = { .conf = &n->conf,
	    .routes = n->routes };
	struct pb_err err = { 0 };

	if (pb_store_open(&n->store, &store, &err) < 0)
		fail_msg("%s", err.text);
	opts.store = n->store;
	if (pb_ingest_start(&n->ingest, &opts, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void
node_stop(struct node *n)
{
	pb_ingest_stop(n->ingest);
	pb_store_close(n->store);
	n->ingest = NULL;
	n->store = NULL;
}

static inline int
setup(void **state)
{
	struct node *n = calloc(1, sizeof(*n));

	pb_log_level(PB_LOG_ERROR + 1);
	temp_make(n->dir, "ingest");
	n->port = free_port();
	snprintf(n->store_path, sizeof(n->store_path), "%s/store", n->dir);
	assert_int_equal(pb_conf_defaults(PB_CONF_LISTEN, &n->conf.listen,
	    NULL), 0);
	strcpy(n->conf.node.name, "core");
	strcpy(n->conf.node.description, "the middle");
	n->conf.node.pen = BODY_PEN;
	strcpy(n->conf.store.path, n->store_path);
	n->conf.listen.present = true;
	n->conf.listen.tls.off = true;
	snprintf(n->conf.listen.address, sizeof(n->conf.listen.address),
	    "127.0.0.1:%d", n->port);
	node_start(n);
	*state = n;
	return 0;
}

static inline int
teardown(void **state)
{
	struct node *n = *state;

	if (n->ingest != NULL)
		node_stop(n);
	temp_remove(n->dir);
	free(n);
	return 0;
}

/* --- a small client ------------------------------------------------------- */

static inline void
local_path(const struct node *n, char path[static PATH_MAX])
{
	assert_int_equal(pb_layout_path(path, n->store_path, "recorder.sock",
	    NULL), 0);
}

static inline void
be_patient(int fd)
{
	struct timeval tv = { .tv_sec = PATIENCE_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

/* As soon as somebody listens there, within `tries` of 10 ms. */
static inline int
dial_soon(int port, int tries)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd, rc;

	do {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		rc = connect(fd, (struct sockaddr *)&to, sizeof(to));
		if (rc == 0)
			break;
		close(fd);
		poll(NULL, 0, 10);
	} while (--tries > 0);
	assert_int_equal(rc, 0);
	be_patient(fd);
	return fd;
}

static inline int
dial(const struct node *n)
{
	return dial_soon(n->port, 1);
}

static inline int
dial_local(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(strlen(path) < sizeof(to.sun_path));
	strcpy(to.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	be_patient(fd);
	return fd;
}

static inline void
put(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);

		assert_true(sent > 0);
		at += sent;
		len -= (size_t)sent;
	}
}

static inline void
put_head(int fd, const char *method, const char *path, size_t len,
    const char *more)
{
	static char head[256u << 10];

	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: core\r\n"
	    "Content-Length: %zu\r\n%s\r\n", method, path, len, more);
	put(fd, head, strlen(head));
}

static inline void
read_head(int fd, struct reply *r)
{
	size_t len = 0;

	memset(r, 0, sizeof(*r));
	while (len < sizeof(r->head) - 1 && recv(fd, r->head + len, 1, 0) == 1)
		if (++len >= 4 && memcmp(r->head + len - 4, "\r\n\r\n", 4) == 0)
			break;
	assert_int_equal(sscanf(r->head, "HTTP/1.1 %d", &r->status), 1);
}

static inline void
read_reply(int fd, struct reply *r)
{
	size_t want, got = 0;
	const char *at;

	read_head(fd, r);
	at = strcasestr(r->head, "\r\nContent-Length: ");
	assert_non_null(at);
	want = strtoul(at + 18, NULL, 10);
	assert_true(want < sizeof(r->body));
	while (got < want) {
		ssize_t n = recv(fd, r->body + got, want - got, 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
}

/* One request on `fd`, which stays open. */
static inline int
ask(int fd, const char *method, const char *path, const void *data,
    size_t len, struct reply *r)
{
	put_head(fd, method, path, len, "");
	put(fd, data, len);
	read_reply(fd, r);
	return r->status;
}

static inline int
push_to(int fd, const char *stream, const struct body_opts *opts,
    struct reply *r)
{
	struct image *img = body_image(opts);
	char path[512];

	snprintf(path, sizeof(path), "%s/packets", stream);
	ask(fd, "POST", path, img->data, img->len, r);
	free(img);
	return r->status;
}

static inline int
push(const struct node *n, uint64_t first, uint64_t last, struct reply *r)
{
	int fd = dial(n);

	push_to(fd, STREAM, &(struct body_opts){ .first = first,
	    .last = last }, r);
	close(fd);
	return r->status;
}

static inline int
gap(const struct node *n, const char *json, struct reply *r)
{
	int fd = dial(n);

	ask(fd, "POST", STREAM "/gaps", json, strlen(json), r);
	close(fd);
	return r->status;
}

static inline uint64_t
status_number(const struct node *n, const char *name)
{
	char path[PATH_MAX], word[64];
	struct reply r;
	const char *at;
	int fd;

	local_path(n, path);
	fd = dial_local(path);
	assert_int_equal(ask(fd, "GET", "/v1/status", "", 0, &r), 200);
	close(fd);
	snprintf(word, sizeof(word), "\"%s\":", name);
	at = strstr(r.body, word);
	assert_non_null(at);
	return strtoull(at + strlen(word), NULL, 10);
}

/* Walks the stream; the count, with each packet's hops checked. */
static inline unsigned
stored(const struct node *n, const struct pb_stream_key *which, int nodes)
{
	static const struct pb_range all = { 1, UINT64_MAX, 0, UINT64_MAX };
	struct pb_index *index;
	struct pb_stream_info row;
	struct pb_cursor *cursor;
	struct pb_cursor_packet p;
	unsigned count = 0;
	uint64_t last = 0;
	struct pb_err err;
	int rc;

	/* A process opens an index once: the store's, where it runs. */
	index = n->store != NULL ? pb_store_index(n->store) : NULL;
	if (index == NULL)
		assert_int_equal(pb_index_open(&index, n->store_path, &err),
		    0);
	assert_int_equal(pb_index_stream(index, which, &row, &err), 1);
	assert_int_equal(pb_cursor_create(&cursor, index, n->store_path, &row,
	    &all, &err), 0);
	while ((rc = pb_cursor_next(cursor, &p, &err)) == 1) {
		struct pb_hop hop[PB_HOPS_MAX];

		assert_true(p.seq > last);
		last = p.seq;
		assert_int_equal(p.packet.time_ns, BODY_TIME(p.seq));
		assert_int_equal(p.packet.data[0], p.seq & 0xFF);
		assert_int_equal(p.head->identity.nodes, nodes);
		assert_int_equal(pb_hops_get(p.packet.options,
		    p.packet.options_len, hop), nodes - 1);
		for (int i = 1; i < nodes - 1; i++)
			assert_true(hop[i].time_ns > hop[i - 1].time_ns);
		if (nodes > 1)
			assert_string_equal(
			    p.head->identity.node[nodes - 1].name, "core");
		count++;
	}
	assert_int_equal(rc, 0);
	pb_cursor_destroy(cursor);
	if (n->store == NULL)
		pb_index_close(index);
	return count;
}

/* Another one on the same store, by a configuration of its own. */
struct second {
	struct pb_conf	conf;
	struct pb_ingest_opts opts;
	struct pb_ingest *ingest;
	struct pb_err	err;
};

static inline void
second_init(struct second *s, const struct node *n)
{
	memset(s, 0, sizeof(*s));
	s->conf = n->conf;
	snprintf(s->conf.store.path, sizeof(s->conf.store.path), "%s",
	    n->dir);
	s->opts.conf = &s->conf;
	s->opts.store = n->store;
}

static inline void
second_comes_and_goes(struct second *s)
{
	assert_int_equal(pb_ingest_start(&s->ingest, &s->opts, &s->err), 0);
	pb_ingest_stop(s->ingest);
}

#endif
