/*
 * tests/unit/test_sockets.c - what waits in sockets tells slow from silent
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shipper/wire/sockets.h"

static struct pb_sockets sockets;
static int listener, near, far;
static uint16_t port;		/* of `near` */

static int
setup(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int small = 4096;

	(void)state;
	memset(&sockets, 0, sizeof(sockets));
	listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small,
	    sizeof(small)), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &len),
	    0);
	near = pb_sockets_open(&sockets, AF_INET, SOCK_STREAM, 0);
	assert_true(near >= 0);
	assert_int_equal(connect(near, (struct sockaddr *)&in, len), 0);
	far = accept(listener, NULL, NULL);
	assert_true(far >= 0);
	assert_int_equal(getsockname(near, (struct sockaddr *)&in, &len), 0);
	port = ntohs(in.sin_port);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(far);
	close(listener);
	pb_sockets_close(&sockets, near);
	assert_true(LIST_EMPTY(&sockets.open));
	return 0;
}

static void
what_the_peer_has_not_taken_is_counted_until_it_has(void **state)
{
	static uint8_t bytes[65536];
	uint64_t before;
	ssize_t n;

	(void)state;
	assert_int_equal(pb_sockets_queued(&sockets, port), 0);
	while (send(near, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
	before = pb_sockets_queued(&sockets, port);
	assert_true(before > 0);
	/* While the peer reads it shrinks, to nothing in the end. */
	while (pb_sockets_queued(&sockets, port) > 0) {
		n = recv(far, bytes, sizeof(bytes), 0);
		assert_true(n > 0);
	}
	assert_int_equal(pb_sockets_queued(&sockets, port), 0);
}

static void
other_ports_and_no_port_hold_nothing(void **state)
{
	static uint8_t bytes[65536];

	(void)state;
	while (send(near, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
	assert_int_equal(pb_sockets_queued(&sockets, (uint16_t)(port ^ 1)),
	    0);
	assert_int_equal(pb_sockets_queued(&sockets, 0), 0);
}

static void
sockets_end_with_the_program_that_is_started_next(void **state)
{
	(void)state;
	assert_int_equal(fcntl(near, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void
what_is_no_socket_kind_is_refused(void **state)
{
	(void)state;
	assert_int_equal(pb_sockets_open(&sockets, -1, SOCK_STREAM, 0), -1);
}

static void
a_descriptor_closed_behind_our_back_leaves_no_second_entry(void **state)
{
	struct pb_sockets own = { .open = { NULL } };
	int a = pb_sockets_open(&own, AF_INET, SOCK_STREAM, 0), b;

	(void)state;
	assert_true(a >= 0);
	close(a);
	b = pb_sockets_open(&own, AF_INET, SOCK_STREAM, 0);
	assert_int_equal(a, b);
	pb_sockets_close(&own, b);
	assert_true(LIST_EMPTY(&own.open));
	a = pb_sockets_open(&own, AF_INET, SOCK_STREAM, 0);
	close(a);
	pb_sockets_finish(&own);
	assert_true(LIST_EMPTY(&own.open));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_the_peer_has_not_taken_is_counted_until_it_has),
		TEST(other_ports_and_no_port_hold_nothing),
		TEST(sockets_end_with_the_program_that_is_started_next),
		TEST(what_is_no_socket_kind_is_refused),
		TEST(a_descriptor_closed_behind_our_back_leaves_no_second_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
