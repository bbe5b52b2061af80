/*
 * tests/unit/test_dissect.c - where the headers of a packet are found
 *
 * tests/unit/test_endpoints.c has many more packets, whole and cut.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "base/err.h"
#include "pcapng/block.h"
#include "pcapng/dissect.h"

/* Ethernet, two tags, IPv4 with four bytes of options, TCP's ports. */
static const uint8_t tagged[] = {
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xa8,
	0x60, 100, 0x81, 0, 0, 7, 8, 0,
	0x46, 0, 0, 44, 0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9,
	1, 1, 1, 1,
	0x01, 0xbb, 0xc8, 0x22,
};

/* IPv6, hop-by-hop, a later fragment of UDP. */
static const uint8_t fragment[] = {
	0x60, 0, 0, 0, 0, 20, 0, 64,
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	44, 0, 0, 0, 0, 0, 0, 0,
	17, 0, 0, 8, 0, 0, 0, 1,
	0, 53, 0, 53,
};

static void
each_header_is_where_it_is(void **state)
{
	struct pb_headers h;

	(void)state;
	assert_int_equal(pb_dissect(&h, PB_LINKTYPE_ETHERNET, tagged,
	    sizeof(tagged)), 1);
	assert_int_equal(h.vlans, 2);
	assert_int_equal(h.vlan[0], 100);
	assert_int_equal(h.vlan[1], 7);
	assert_int_equal(h.ethertype, ETH_P_IP);
	assert_int_equal(h.network, 22);
	assert_int_equal(h.ip, 4);
	assert_int_equal(h.source, 34);
	assert_int_equal(h.destination, 38);
	assert_int_equal(h.protocol, IPPROTO_TCP);
	assert_false(h.fragment);
	assert_int_equal(h.transport, 46);
	assert_true(h.ports);
	assert_int_equal(h.source_port, 443);
	assert_int_equal(h.destination_port, 51234);
}

static void
a_later_fragment_has_no_ports(void **state)
{
	struct pb_headers h;

	(void)state;
	assert_int_equal(pb_dissect(&h, PB_LINKTYPE_RAW, fragment,
	    sizeof(fragment)), 1);
	assert_int_equal(h.ethertype, ETH_P_IPV6);
	assert_int_equal(h.ip, 6);
	assert_int_equal(h.source, 8);
	assert_int_equal(h.destination, 24);
	assert_int_equal(h.protocol, IPPROTO_UDP);
	assert_true(h.fragment);
	assert_int_equal(h.transport, 56);
	assert_false(h.ports);
}

/*
 * Goal:   what is cut off is told as not there.
 * Method: both packets at every length.
 */
static void
a_cut_packet_has_the_headers_that_are_whole(void **state)
{
	struct pb_headers h;

	(void)state;
	for (size_t len = 0; len <= sizeof(tagged); len++) {
		assert_int_equal(pb_dissect(&h, PB_LINKTYPE_ETHERNET, tagged,
		    len), len >= 14);
		assert_int_equal(h.vlans, (len >= 18) + (len >= 22));
		assert_int_equal(h.ip, len >= 42 ? 4 : 0);
		assert_int_equal(h.ports, len >= 50);
		assert_true(h.network <= len && h.transport <= len);
	}
	for (size_t len = 0; len <= sizeof(fragment); len++) {
		pb_dissect(&h, PB_LINKTYPE_RAW, fragment, len);
		assert_int_equal(h.ip, len >= 40 ? 6 : 0);
		assert_int_equal(h.fragment, len >= 56);
	}
}

static void
a_link_type_that_is_foreign_is_told(void **state)
{
	struct pb_headers h;

	(void)state;
	memset(&h, 0xff, sizeof(h));
	assert_int_equal(pb_dissect(&h, 147, tagged, sizeof(tagged)),
	    PB_ENOENT);
	assert_int_equal(h.ip, 0);
	assert_int_equal(h.ethertype, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_header_is_where_it_is),
		cmocka_unit_test(a_later_fragment_has_no_ports),
		cmocka_unit_test(a_cut_packet_has_the_headers_that_are_whole),
		cmocka_unit_test(a_link_type_that_is_foreign_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
