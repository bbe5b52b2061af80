/*
 * tests/unit/test_ingest.c - the ingest thread on real sockets, in front of
 * a real store
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <poll.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf_keys.h"
#include "recorder/port/door.h"
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
};

struct reply {
	int	status;
	char	head[2048];
	char	body[65536];
};

static const struct pb_stream_key key = { "lon1", "eth0", BODY_EPOCH };

static _Atomic int fail_watch;	/* so often, where the TCP door is added */

/* The kernel has no memory for it, or the user no more watches. */
int
epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && event->data.u32 == 1 && fail_watch > 0) {
		fail_watch--;
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

static int
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

static void
node_start(struct node *n)
{
	struct pb_store_opts store = {
		.path = n->store_path, .pen = BODY_PEN,
		.segment_size = 4u << 20, .segment_age_ms = 60000,
		.index_size = 64u << 20,
	};
	struct pb_ingest_opts opts = { .conf = &n->conf };
	struct pb_err err = { 0 };

	if (pb_store_open(&n->store, &store, &err) < 0)
		fail_msg("%s", err.text);
	opts.store = n->store;
	if (pb_ingest_start(&n->ingest, &opts, &err) < 0)
		fail_msg("%s", err.text);
}

static void
node_stop(struct node *n)
{
	pb_ingest_stop(n->ingest);
	pb_store_close(n->store);
	n->ingest = NULL;
	n->store = NULL;
}

static int
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

static int
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

static void
local_path(const struct node *n, char path[static PATH_MAX])
{
	assert_int_equal(pb_layout_path(path, n->store_path, "recorder.sock",
	    NULL), 0);
}

static void
be_patient(int fd)
{
	struct timeval tv = { .tv_sec = PATIENCE_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int
dial(const struct node *n)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)n->port);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	be_patient(fd);
	return fd;
}

static int
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

static void
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

static void
put_head(int fd, const char *method, const char *path, size_t len,
    const char *more)
{
	static char head[64u << 10];

	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: core\r\n"
	    "Content-Length: %zu\r\n%s\r\n", method, path, len, more);
	put(fd, head, strlen(head));
}

static void
read_reply(int fd, struct reply *r)
{
	size_t len = 0, want = SIZE_MAX, got = 0;
	const char *at;

	memset(r, 0, sizeof(*r));
	while (len < sizeof(r->head) - 1 && recv(fd, r->head + len, 1, 0) == 1)
		if (++len >= 4 && memcmp(r->head + len - 4, "\r\n\r\n", 4) == 0)
			break;
	assert_int_equal(sscanf(r->head, "HTTP/1.1 %d", &r->status), 1);
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
static int
ask(int fd, const char *method, const char *path, const void *data,
    size_t len, struct reply *r)
{
	put_head(fd, method, path, len, "");
	put(fd, data, len);
	read_reply(fd, r);
	return r->status;
}

static int
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

static int
push(const struct node *n, uint64_t first, uint64_t last, struct reply *r)
{
	int fd = dial(n);

	push_to(fd, STREAM, &(struct body_opts){ .first = first,
	    .last = last }, r);
	close(fd);
	return r->status;
}

static int
gap(const struct node *n, const char *json, struct reply *r)
{
	int fd = dial(n);

	ask(fd, "POST", STREAM "/gaps", json, strlen(json), r);
	close(fd);
	return r->status;
}

static uint64_t
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
static unsigned
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

/* --- tests ---------------------------------------------------------------- */

static void
what_is_acknowledged_is_in_the_store_with_a_hop(void **state)
{
	struct node *n = *state;
	struct reply r;

	assert_int_equal(push(n, 1, 100, &r), 200);
	assert_string_equal(r.body, "{\"acked\":100}");
	node_stop(n);
	node_start(n);
	assert_int_equal(stored(n, &key, 2), 100);
	assert_int_equal(push(n, 51, 150, &r), 200);
	assert_string_equal(r.body, "{\"acked\":150}");
	node_stop(n);
	assert_int_equal(stored(n, &key, 2), 150);
}

static void
one_connection_carries_many_requests(void **state)
{
	struct node *n = *state;
	int fd = dial(n);
	struct reply r;

	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(push_to(fd, STREAM, &(struct body_opts){
		    .first = i * 10 + 1, .last = i * 10 + 10 }, &r), 200);
	assert_int_equal(ask(fd, "GET", STREAM, "", 0, &r), 200);
	assert_memory_equal(r.body, "{\"acked\":500,\"last\":{\"seq\":500,",
	    30);
	close(fd);
}

static void
a_large_body_arrives_whole(void **state)
{
	struct node *n = *state;
	const struct body_opts opts = { .first = 1, .last = 600,
	    .caplen = 1500 };
	struct reply r;
	int fd = dial(n);

	assert_int_equal(push_to(fd, STREAM, &opts, &r), 200);
	close(fd);
	node_stop(n);
	assert_int_equal(stored(n, &key, 2), 600);
}

static void
requests_that_overtake_each_other_all_succeed(void **state)
{
	struct node *n = *state;
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 10 });
	struct image *img2 = body_image(&(struct body_opts){
	    .first = 11, .last = 20 });
	int slow = dial(n), fast = dial(n), other = dial(n);
	struct reply r;

	/* All of the first but its last byte, then the second. */
	put_head(slow, "POST", STREAM "/packets", img->len, "");
	put(slow, img->data, img->len - 1);
	do		/* until it has been seen */
		assert_int_equal(ask(other, "GET", "/v1/health", "", 0, &r),
		    200);
	while (status_number(n, "body_bytes") < img->len);
	put_head(fast, "POST", STREAM "/packets", img2->len, "");
	put(fast, img2->data, img2->len);
	while (status_number(n, "holds") == 0)
		;
	put(slow, img->data + img->len - 1, 1);
	read_reply(fast, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"acked\":20}");
	read_reply(slow, &r);
	assert_int_equal(r.status, 200);
	close(slow);
	close(fast);
	close(other);
	free(img);
	free(img2);
	node_stop(n);
	assert_int_equal(stored(n, &key, 2), 20);
}

static void
a_start_too_far_ahead_is_refused(void **state)
{
	struct node *n = *state;
	struct reply r;

	assert_int_equal(push(n, 11, 20, &r), 409);
	assert_int_equal(strncmp(r.body, "{\"acked\":0,", 11), 0);
}

static void
many_peers_at_once_are_all_served(void **state)
{
	enum { PEERS = 100 };
	struct node *n = *state;
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 20 });
	int fd[PEERS];
	char path[128];
	struct reply r;

	for (int i = 0; i < PEERS; i++) {
		fd[i] = dial(n);
		snprintf(path, sizeof(path), "/v1/streams/edge%d/eth0/"
		    "0123456789abcdef/packets", i);
		put_head(fd[i], "POST", path, img->len, "");
		put(fd[i], img->data, img->len);
	}
	for (int i = 0; i < PEERS; i++) {
		read_reply(fd[i], &r);
		assert_int_equal(r.status, 200);
		close(fd[i]);
	}
	assert_int_equal(status_number(n, "packets"), PEERS * 20);
	free(img);
}

static void
the_local_door_is_private_and_adds_no_hop(void **state)
{
	struct node *n = *state;
	static const struct pb_stream_key mine = { "core", "file.pcap",
	    BODY_EPOCH };
	char path[PATH_MAX];
	struct reply r;
	struct stat st;
	int fd;

	local_path(n, path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = dial_local(path);
	assert_int_equal(push_to(fd,
	    "/v1/streams/core/file.pcap/0123456789abcdef",
	    &(struct body_opts){ .first = 1, .last = 10 }, &r), 200);
	close(fd);
	node_stop(n);
	assert_int_not_equal(stat(path, &st), 0);
	assert_int_equal(stored(n, &mine, 1), 10);
}

static void
a_socket_left_behind_is_replaced(void **state)
{
	struct node *n = *state;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char path[PATH_MAX];
	int fd;

	node_stop(n);
	local_path(n, path);
	assert_true(strlen(path) < sizeof(at.sun_path));
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	node_start(n);
	assert_int_equal(status_number(n, "packets"), 0);
}

static void
a_store_with_a_long_path_has_a_local_door(void **state)
{
	struct node *n = *state;
	char path[PATH_MAX], short_path[128];
	struct reply r;
	struct stat st;
	int fd;

	node_stop(n);
	snprintf(n->store_path, sizeof(n->store_path), "%s/%0120d", n->dir, 1);
	strcpy(n->conf.store.path, n->store_path);
	node_start(n);
	local_path(n, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(short_path, sizeof(short_path), "%s/s", n->dir);
	assert_int_equal(symlink(path, short_path), 0);
	fd = dial_local(short_path);
	assert_int_equal(ask(fd, "GET", "/v1/health", "", 0, &r), 200);
	close(fd);
}

static void
a_gap_lets_the_stream_go_on_and_is_filled_later(void **state)
{
	struct node *n = *state;
	struct reply r;

	/* In a stream that nobody has heard of. */
	assert_int_equal(gap(n, "{\"first\":1,\"last\":10,\"reason\":"
	    "\"dead-lettered\"}", &r), 200);
	assert_string_equal(r.body, "{\"acked\":10}");
	assert_int_equal(push(n, 11, 20, &r), 200);
	assert_int_equal(push(n, 4, 6, &r), 200);
	assert_string_equal(r.body, "{\"acked\":20}");
	node_stop(n);
	node_start(n);
	assert_int_equal(stored(n, &key, 2), 13);
	assert_int_equal(push(n, 1, 25, &r), 200);
	assert_string_equal(r.body, "{\"acked\":25}");
	assert_int_equal(push(n, 1, 25, &r), 200);
	node_stop(n);
	assert_int_equal(stored(n, &key, 2), 25);
}

static void
a_relay_brings_its_way_along(void **state)
{
	struct node *n = *state;
	int fd = dial(n);
	struct reply r;

	assert_int_equal(push_to(fd, STREAM, &(struct body_opts){ .first = 1,
	    .last = 5, .nodes = 2, .node = { "lon1", "par1" }, .hops = 1 },
	    &r), 200);
	assert_int_equal(push_to(fd, STREAM, &(struct body_opts){ .first = 6,
	    .last = 9, .nodes = 2, .node = { "lon1", "core" }, .hops = 1 },
	    &r), 508);
	close(fd);
	node_stop(n);
	assert_int_equal(stored(n, &key, 3), 5);
}

static void
an_interface_name_may_hold_anything(void **state)
{
	struct node *n = *state;
	static const struct pb_stream_key odd = { "lon1", "a/b c%",
	    BODY_EPOCH };
	int fd = dial(n);
	struct reply r;

	assert_int_equal(push_to(fd,
	    "/v1/streams/lon1/a%2Fb%20c%25/0123456789abcdef",
	    &(struct body_opts){ .first = 1, .last = 3,
	    .interface = "a/b c%", .nodes = 1, .node = { "lon1" } }, &r),
	    200);
	close(fd);
	node_stop(n);
	assert_int_equal(stored(n, &odd, 2), 3);
}

static void
a_body_broken_off_leaves_nothing(void **state)
{
	struct node *n = *state;
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 10 });
	int fd = dial(n);
	struct reply r;

	put_head(fd, "POST", STREAM "/packets", img->len, "");
	put(fd, img->data, img->len / 2);
	while (status_number(n, "body_bytes") == 0)
		;
	close(fd);
	while (status_number(n, "body_bytes") > 0)
		;
	free(img);
	assert_int_equal(push(n, 1, 5, &r), 200);
	assert_string_equal(r.body, "{\"acked\":5}");
}

static void
who_expects_an_answer_first_gets_it_first(void **state)
{
	struct node *n = *state;
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 10 });
	char go_on[64] = "";
	struct reply r;
	int fd = dial(n);
	ssize_t len;

	put_head(fd, "POST", STREAM "/packets", 17u << 20,
	    "Expect: 100-continue\r\n");
	read_reply(fd, &r);
	assert_int_equal(r.status, 413);
	close(fd);
	fd = dial(n);
	put_head(fd, "POST", STREAM "/packets", img->len,
	    "Expect: 100-continue\r\n");
	len = recv(fd, go_on, 25, MSG_WAITALL);
	assert_int_equal(len, 25);
	assert_string_equal(go_on, "HTTP/1.1 100 Continue\r\n\r\n");
	put(fd, img->data, img->len);
	read_reply(fd, &r);
	assert_int_equal(r.status, 200);
	close(fd);
	free(img);
}

static void
an_error_is_told_although_the_body_was_sent(void **state)
{
	struct node *n = *state;
	static uint8_t zeros[4u << 20];
	struct reply r;
	int fd = dial(n);

	put_head(fd, "POST", STREAM "/packets", sizeof(zeros),
	    "Content-Encoding: br\r\n");
	put(fd, zeros, sizeof(zeros));
	read_reply(fd, &r);
	assert_int_equal(r.status, 415);
	/* And the connection is fine for the next one. */
	assert_int_equal(ask(fd, "GET", "/v1/health", "", 0, &r), 200);
	close(fd);
}

static void
stopping_answers_those_who_wait(void **state)
{
	struct node *n = *state;
	struct image *img = body_image(&(struct body_opts){
	    .first = 11, .last = 20 });
	int fd = dial(n), under_way = dial(n);
	struct reply r;

	put_head(under_way, "POST", STREAM "/packets", 1000, "");
	put(under_way, "x", 1);
	while (status_number(n, "body_bytes") < 1000)
		;
	put_head(fd, "POST", STREAM "/packets", img->len, "");
	put(fd, img->data, img->len);
	while (status_number(n, "holds") == 0)
		;
	node_stop(n);
	read_reply(fd, &r);
	assert_int_equal(r.status, 503);
	assert_non_null(strcasestr(r.head, "\r\nRetry-After: "));
	close(fd);
	close(under_way);
	free(img);
}

/* The machine may have no IPv6: then the wildcard is IPv4's alone. */
/* Two bodies for which there is memory once: where the first is gone, the
 * second goes on where it stopped; `stop`: the node goes instead. */
static void
wait_for_memory(struct node *n, bool stop)
{
	struct image *img = body_image(&(struct body_opts){
	    .first = 1, .last = 300, .caplen = 600 });
	struct reply r;
	int first, second;

	node_stop(n);
	n->conf.listen.memory_max = 256u << 10;
	node_start(n);
	first = dial(n);
	second = dial(n);
	put_head(first, "POST", STREAM "/packets", img->len + 1, "");
	put(first, img->data, img->len);
	while (status_number(n, "body_bytes") < img->len)
		;
	put_head(second, "POST", STREAM "/packets", img->len, "");
	put(second, img->data, img->len / 2);
	while (status_number(n, "bodies_waiting") == 0)
		;
	put(second, img->data + img->len / 2, img->len - img->len / 2);
	assert_true(status_number(n, "body_bytes") <= 256u << 10);
	if (stop) {
		node_stop(n);
		assert_true(recv(first, r.body, sizeof(r.body), 0) <= 0);
		close(first);
	} else {
		close(first);
		read_reply(second, &r);
		assert_int_equal(r.status, 200);
		assert_string_equal(r.body, "{\"acked\":300}");
		assert_int_equal(status_number(n, "bodies_waiting"), 0);
	}
	close(second);
	free(img);
}

static void
a_body_waits_for_memory_unread(void **state)
{
	struct node *n = *state;

	wait_for_memory(n, false);
	node_stop(n);
	assert_int_equal(stored(n, &key, 2), 300);
}

static void
a_node_stops_though_bodies_wait_for_memory(void **state)
{
	wait_for_memory(*state, true);
}

static void
a_head_has_32_kib_and_not_128(void **state)
{
	static char line[128u << 10];
	struct node *n = *state;
	int fd = dial(n);
	struct reply r;

	memset(line, 'x', sizeof(line));
	memcpy(line, "X: ", 3);
	memcpy(line + (32u << 10) - 3, "\r\n", 3);
	put_head(fd, "GET", "/v1/health", 0, line);
	read_reply(fd, &r);
	assert_int_equal(r.status, 200);
	memset(line + (32u << 10) - 3, 'x', 3);
	put(fd, "GET / HTTP/1.1\r\n", 16);
	/* It may be closed before all of it has been sent. */
	(void)send(fd, line, sizeof(line), MSG_NOSIGNAL);
	assert_true(recv(fd, r.head, 12, MSG_WAITALL) <= 0 ||
	    memcmp(r.head, "HTTP/1.1 431", 12) == 0);
	close(fd);
}

static void
every_form_of_an_address_listens(void **state)
{
	static const char *const form[] = { "*:%d", ":%d", "localhost:%d",
	    "0.0.0.0:%d" };
	struct node *n = *state;
	struct reply r;
	int fd;

	for (size_t i = 0; i < sizeof(form) / sizeof(form[0]); i++) {
		char port[8], *at;

		if (i == 2 && gethostbyname("localhost") == NULL)
			continue;
		node_stop(n);
		snprintf(port, sizeof(port), "%d", n->port);
		strcpy(n->conf.listen.address, form[i]);
		at = strstr(n->conf.listen.address, "%d");
		strcpy(at, port);
		node_start(n);
		/* localhost may be ::1, which is not where we dial. */
		if (i == 2)
			continue;
		fd = dial(n);
		assert_int_equal(ask(fd, "GET", "/v1/health", "", 0, &r),
		    200);
		close(fd);
	}
}

static void
an_address_in_use_is_named(void **state)
{
	struct node *n = *state;
	struct pb_conf conf = n->conf;
	struct pb_ingest_opts opts = { .conf = &conf, .store = n->store };
	struct pb_ingest *second;
	struct pb_err err = { 0 };

	snprintf(conf.store.path, sizeof(conf.store.path), "%s", n->dir);
	assert_int_equal(pb_door_tcp(conf.listen.address, &err), PB_ESYS);
	assert_non_null(strstr(err.text, n->conf.listen.address));
	assert_int_equal(pb_door_tcp("not-known.invalid:7152", &err),
	    PB_ENOENT);
	strcpy(conf.listen.address, "127.0.0.1");
	assert_int_equal(pb_ingest_start(&second, &opts, &err), PB_EINVAL);
	assert_non_null(strstr(err.text, "host:port"));
}

static void
an_address_that_is_not_free_yet_is_waited_for(void **state)
{
	struct node *n = *state;
	struct pb_conf conf = n->conf;
	struct pb_ingest_opts opts = { .conf = &conf, .store = n->store };
	struct pb_ingest *second;
	struct pb_err err = { 0 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	int other, fd, rc = -1, port = free_port();

	snprintf(conf.store.path, sizeof(conf.store.path), "%s", n->dir);
	snprintf(conf.listen.address, sizeof(conf.listen.address),
	    "127.0.0.1:%d", port);
	other = pb_door_tcp(conf.listen.address, &err);
	assert_true(other >= 0);
	assert_int_equal(pb_ingest_start(&second, &opts, &err), 0);
	close(other);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)port);
	for (int i = 0; i < 2000 && rc < 0; i++) {
		poll(NULL, 0, 10);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		rc = connect(fd, (struct sockaddr *)&to, sizeof(to));
		close(fd);
	}
	assert_int_equal(rc, 0);
	pb_ingest_stop(second);
}

/* What fails then keeps neither the port nor the place of a door. */
static void
a_door_that_cannot_be_watched_is_opened_again(void **state)
{
	struct node *n = *state;
	struct reply r;
	int fd;

	node_stop(n);
	fail_watch = 2;
	node_start(n);
	for (int i = 0; i < 2000 && fail_watch > 0; i++)
		poll(NULL, 0, 10);
	assert_int_equal(fail_watch, 0);
	poll(NULL, 0, 200);		/* the one that failed is closed */
	for (int i = 0; i < 2000; i++) {
		struct sockaddr_in to = {
			.sin_family = AF_INET,
			.sin_port = htons((uint16_t)n->port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		};

		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
			break;
		close(fd);
		poll(NULL, 0, 10);
	}
	assert_int_equal(ask(fd, "GET", "/v1/health", "", 0, &r), 200);
	close(fd);
}

static void
one_that_never_is_there_keeps_nobody_from_ending(void **state)
{
	static const char *const address[] = { "192.0.2.9:7152",
	    "not-known.invalid:7152" };
	struct node *n = *state;
	struct pb_conf conf = n->conf;
	struct pb_ingest_opts opts = { .conf = &conf, .store = n->store };
	struct pb_ingest *second;
	struct pb_err err = { 0 };

	snprintf(conf.store.path, sizeof(conf.store.path), "%s", n->dir);
	for (size_t i = 0; i < 2; i++) {
		strcpy(conf.listen.address, address[i]);
		assert_int_equal(pb_ingest_start(&second, &opts, &err), 0);
		pb_ingest_stop(second);
	}
}

/* --- TLS, with the certificates of openssl(1) and the client of curl(1) --- */

static int
run(const char *fmt, ...)
{
	char command[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static int
make_certificate(const struct node *n, const char *file, const char *subject)
{
	return run("cd '%s' && openssl req -newkey ec -pkeyopt "
	    "ec_paramgen_curve:prime256v1 -nodes -keyout %s.key -out %s.csr "
	    "-subj '%s' 2>/dev/null && printf subjectAltName=IP:127.0.0.1 "
	    ">ext && openssl x509 -req -in %s.csr -CA ca.pem -CAkey ca.key "
	    "-CAcreateserial -days 2 -extfile ext -out %s.pem 2>/dev/null",
	    n->dir, file, file, subject, file, file);
}

/* The status that curl sees; `as` NULL: without a certificate. */
static int
curl_status(const struct node *n, const char *as, const char *path,
    const char *body)
{
	char cert[512] = "", data[256] = "", text[16] = "";
	char command[2048];
	FILE *out;

	if (as != NULL)
		snprintf(cert, sizeof(cert), "--cert '%s/%s.pem' --key "
		    "'%s/%s.key'", n->dir, as, n->dir, as);
	if (body != NULL)
		snprintf(data, sizeof(data), "--data-binary '@%s/%s'", n->dir,
		    body);
	snprintf(command, sizeof(command), "curl -s -m %d -o /dev/null -w "
	    "'%%{http_code}' --noproxy '*' --cacert '%s/ca.pem' %s %s "
	    "'https://127.0.0.1:%d%s'", PATIENCE_S, n->dir, cert, data,
	    n->port, path);
	out = popen(command, "r");
	assert_non_null(out);
	assert_non_null(fgets(text, sizeof(text), out));
	pclose(out);
	return atoi(text);
}

static void
with_tls_only_the_node_that_a_certificate_names_gets_in(void **state)
{
	struct node *n = *state;
	struct pb_conf_tls *tls = &n->conf.listen.tls;
	struct image *img;
	char path[PATH_MAX];
	FILE *file;

	if (run("command -v openssl >/dev/null && command -v curl "
	    ">/dev/null") != 0)
		skip();
	node_stop(n);
	assert_int_equal(run("cd '%s' && openssl req -x509 -newkey ec "
	    "-pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key "
	    "-out ca.pem -days 2 -subj /CN=ca 2>/dev/null", n->dir), 0);
	assert_int_equal(make_certificate(n, "core", "/CN=core"), 0);
	assert_int_equal(make_certificate(n, "lon1", "/CN=lon1"), 0);
	assert_int_equal(make_certificate(n, "par1", "/CN=par1"), 0);
	assert_int_equal(make_certificate(n, "two", "/CN=lon1/CN=par1"), 0);
	assert_int_equal(run("cd '%s' && openssl req -x509 -newkey ec "
	    "-pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout self.key "
	    "-out self.pem -days 2 -subj /CN=lon1 2>/dev/null", n->dir), 0);
	img = body_image(&(struct body_opts){ .first = 1, .last = 10 });
	snprintf(path, sizeof(path), "%s/body", n->dir);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(img->data, 1, img->len, file), img->len);
	fclose(file);
	free(img);
	tls->off = false;
	snprintf(tls->cert, sizeof(tls->cert), "%s/core.pem", n->dir);
	snprintf(tls->key, sizeof(tls->key), "%s/core.key", n->dir);
	snprintf(tls->ca, sizeof(tls->ca), "%s/ca.pem", n->dir);
	strcpy(n->conf.listen.allow, "lon1, par1");
	node_start(n);
	assert_int_equal(curl_status(n, NULL, "/v1/health", NULL), 401);
	assert_int_equal(curl_status(n, "self", "/v1/health", NULL), 401);
	assert_int_equal(curl_status(n, "two", "/v1/health", NULL), 401);
	assert_int_equal(curl_status(n, "par1", "/v1/health", NULL), 200);
	assert_int_equal(curl_status(n, NULL, STREAM "/packets", "body"),
	    401);
	assert_int_equal(curl_status(n, "par1", STREAM "/packets", "body"),
	    403);
	assert_int_equal(curl_status(n, "lon1", STREAM "/packets", "body"),
	    200);
	node_stop(n);
	assert_int_equal(stored(n, &key, 2), 10);
}

static void
a_key_that_is_not_the_certificates_is_named_and_waited_for(void **state)
{
	struct node *n = *state;
	struct pb_conf conf = n->conf;
	struct pb_ingest_opts opts = { .conf = &conf, .store = n->store };
	struct pb_ingest *second;
	struct pb_err err = { 0 };

	conf.listen.tls.off = false;
	snprintf(conf.store.path, sizeof(conf.store.path), "%s", n->dir);
	snprintf(conf.listen.address, sizeof(conf.listen.address),
	    "127.0.0.1:%d", free_port());
	snprintf(conf.listen.tls.cert, sizeof(conf.listen.tls.cert),
	    "%s/none.pem", n->dir);
	assert_int_equal(pb_ingest_check(&conf, &err), PB_ENOENT);
	assert_non_null(strstr(err.text, "none.pem"));
	assert_int_equal(pb_ingest_start(&second, &opts, &err), 0);
	pb_ingest_stop(second);
	assert_int_equal(run("echo rubbish >'%s/none.pem'", n->dir), 0);
	strcpy(conf.listen.tls.key, conf.listen.tls.cert);
	strcpy(conf.listen.tls.ca, conf.listen.tls.cert);
	assert_int_equal(pb_ingest_check(&conf, &err), PB_EINVAL);
	assert_non_null(strstr(err.text, "tls_cert"));
	assert_int_equal(pb_ingest_start(&second, &opts, &err), 0);
	pb_ingest_stop(second);
	conf.listen.tls.off = true;
	assert_int_equal(pb_ingest_check(&conf, &err), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_acknowledged_is_in_the_store_with_a_hop),
		TEST(one_connection_carries_many_requests),
		TEST(a_large_body_arrives_whole),
		TEST(requests_that_overtake_each_other_all_succeed),
		TEST(a_start_too_far_ahead_is_refused),
		TEST(many_peers_at_once_are_all_served),
		TEST(the_local_door_is_private_and_adds_no_hop),
		TEST(a_socket_left_behind_is_replaced),
		TEST(a_store_with_a_long_path_has_a_local_door),
		TEST(a_gap_lets_the_stream_go_on_and_is_filled_later),
		TEST(a_relay_brings_its_way_along),
		TEST(an_interface_name_may_hold_anything),
		TEST(a_body_broken_off_leaves_nothing),
		TEST(who_expects_an_answer_first_gets_it_first),
		TEST(an_error_is_told_although_the_body_was_sent),
		TEST(stopping_answers_those_who_wait),
		TEST(a_body_waits_for_memory_unread),
		TEST(a_node_stops_though_bodies_wait_for_memory),
		TEST(a_head_has_32_kib_and_not_128),
		TEST(every_form_of_an_address_listens),
		TEST(an_address_in_use_is_named),
		TEST(an_address_that_is_not_free_yet_is_waited_for),
		TEST(a_door_that_cannot_be_watched_is_opened_again),
		TEST(one_that_never_is_there_keeps_nobody_from_ending),
		TEST(with_tls_only_the_node_that_a_certificate_names_gets_in),
		TEST(
		    a_key_that_is_not_the_certificates_is_named_and_waited_for),
	};

	return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
