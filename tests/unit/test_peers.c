/*
 * tests/unit/test_peers.c - what each remote address holds of us
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "recorder/port/door/peers.h"

#define MAX	3u

static struct pb_peers *peers;

static int
setup(void **state)
{
	(void)state;
	return pb_peers_create(&peers, MAX, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	pb_peers_destroy(peers);
	return 0;
}

/* An address and a port that differs from call to call. */
static const struct sockaddr *
from(const char *text)
{
	static struct sockaddr_storage storage;
	static uint16_t port = 1000;
	struct sockaddr_in *in = (void *)&storage;
	struct sockaddr_in6 *in6 = (void *)&storage;

	memset(&storage, 0, sizeof(storage));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port++);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr),
		    1);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port++);
	}
	return (const struct sockaddr *)(const void *)&storage;
}

static void
an_address_has_room_for_so_many_connections_whatever_their_ports(void **state)
{
	struct pb_peer_address *a = NULL;

	(void)state;
	for (unsigned i = 0; i < MAX; i++) {
		assert_true(pb_peers_room(peers, from("192.0.2.1")));
		a = pb_peers_enter(peers, from("192.0.2.1"));
		assert_non_null(a);
		assert_int_equal(a->connections, i + 1);
	}
	assert_false(pb_peers_room(peers, from("192.0.2.1")));
	assert_true(pb_peers_room(peers, from("192.0.2.2")));
	assert_true(pb_peers_room(peers, from("2001:db8::1")));
	pb_peers_leave(peers, a);
	assert_true(pb_peers_room(peers, from("192.0.2.1")));
}

static void
an_address_is_forgotten_with_its_last_connection(void **state)
{
	struct pb_peer_address *a[2], *b;

	(void)state;
	a[0] = pb_peers_enter(peers, from("2001:db8::1"));
	a[1] = pb_peers_enter(peers, from("2001:db8::1"));
	b = pb_peers_enter(peers, from("2001:db8::2"));
	assert_ptr_equal(a[0], a[1]);
	assert_ptr_not_equal(a[0], b);
	a[0]->share.held = 5;
	pb_peers_leave(peers, a[0]);
	assert_ptr_equal(pb_peers_enter(peers, from("2001:db8::1")), a[1]);
	assert_int_equal(a[1]->share.held, 5);
	pb_peers_leave(peers, a[1]);
	pb_peers_leave(peers, a[1]);
	a[0] = pb_peers_enter(peers, from("2001:db8::1"));
	assert_int_equal(a[0]->share.held, 0);
	assert_int_equal(a[0]->connections, 1);
	pb_peers_leave(peers, b);
}

static void
thousands_of_addresses_come_and_go(void **state)
{
	static struct pb_peer_address *a[5000];
	char text[32];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 5000; i++) {
			snprintf(text, sizeof(text), "10.0.%u.%u", i / 250,
			    i % 250);
			a[i] = pb_peers_enter(peers, from(text));
			assert_non_null(a[i]);
		}
		for (unsigned i = 0; i < 5000; i++) {
			assert_int_equal(a[i]->connections, 1);
			pb_peers_leave(peers, a[i]);
		}
	}
}

static void
what_is_not_ip_is_not_counted(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const struct sockaddr *local =
	    (const struct sockaddr *)(const void *)&un;

	(void)state;
	for (unsigned i = 0; i < MAX + 1; i++) {
		assert_true(pb_peers_room(peers, local));
		assert_null(pb_peers_enter(peers, local));
	}
	assert_true(pb_peers_room(peers, NULL));
	assert_null(pb_peers_enter(peers, NULL));
	pb_peers_leave(peers, NULL);
}

static void
without_a_bound_all_may_come(void **state)
{
	struct pb_peers *open;

	(void)state;
	assert_int_equal(pb_peers_create(&open, 0, NULL), 0);
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(pb_peers_room(open, from("192.0.2.1")));
		assert_non_null(pb_peers_enter(open, from("192.0.2.1")));
	}
	pb_peers_destroy(open);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_address_has_room_for_so_many_connections_whatever_their_ports),
		TEST(an_address_is_forgotten_with_its_last_connection),
		TEST(thousands_of_addresses_come_and_go),
		TEST(what_is_not_ip_is_not_counted),
		TEST(without_a_bound_all_may_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
