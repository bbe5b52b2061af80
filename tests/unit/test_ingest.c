/*
 * tests/unit/test_ingest.c - the ingest thread on real sockets, in front of
 * a real store
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netdb.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "recorder/port/door/listen.h"
#include "tests/unit/ingest_node.h"

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
	struct second s;

	second_init(&s, n);
	assert_int_equal(pb_listen_tcp(s.conf.listen.address, &s.err), PB_ESYS);
	assert_non_null(strstr(s.err.text, n->conf.listen.address));
	assert_int_equal(pb_listen_tcp("not-known.invalid:7152", &s.err),
	    PB_ENOENT);
	strcpy(s.conf.listen.address, "127.0.0.1");
	assert_int_equal(pb_ingest_start(&s.ingest, &s.opts, &s.err),
	    PB_EINVAL);
	assert_non_null(strstr(s.err.text, "host:port"));
}

static void
an_address_that_is_not_free_yet_is_waited_for(void **state)
{
	struct second s;
	int other, port = free_port();

	second_init(&s, *state);
	snprintf(s.conf.listen.address, sizeof(s.conf.listen.address),
	    "127.0.0.1:%d", port);
	other = pb_listen_tcp(s.conf.listen.address, &s.err);
	assert_true(other >= 0);
	assert_int_equal(pb_ingest_start(&s.ingest, &s.opts, &s.err), 0);
	close(other);
	close(dial_soon(port, 2000));
	pb_ingest_stop(s.ingest);
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
	fd = dial_soon(n->port, 2000);
	assert_int_equal(ask(fd, "GET", "/v1/health", "", 0, &r), 200);
	close(fd);
}

static void
one_that_never_is_there_keeps_nobody_from_ending(void **state)
{
	static const char *const address[] = { "192.0.2.9:7152",
	    "not-known.invalid:7152" };
	struct second s;

	second_init(&s, *state);
	for (size_t i = 0; i < 2; i++) {
		strcpy(s.conf.listen.address, address[i]);
		second_comes_and_goes(&s);
	}
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
	};

	return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
