/*
 * tests/unit/test_flow_key.c - which packets belong together
 *
 * Method: what is common has a way of its own in Ethernet, and none behind a
 * cooked header: the same packet gets the same key either way, but for where
 * its headers are.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pcapng/block.h"
#include "recorder/flow/key.h"
#include "tests/unit/packets.h"

#define ROUNDS		200000
#define COOKED_MORE	2u	/* bytes that its header is longer */

static struct pb_flow_key
key_of(const uint8_t *data, size_t len)
{
	struct pb_flow_key key;

	memset(&key, 0xaa, sizeof(key));
	pb_flow_key(&key, PB_LINKTYPE_ETHERNET, data, len);
	return key;
}

/* The key of the same packet behind a cooked header, as if it were not. */
static struct pb_flow_key
cooked_key(const uint8_t *data, size_t len)
{
	uint8_t cooked[PACKETS_BYTES + COOKED_MORE] = { 0 };
	struct pb_flow_key key;

	memcpy(cooked + 14, data + 12, len - 12);
	memset(&key, 0x55, sizeof(key));
	pb_flow_key(&key, PB_LINKTYPE_LINUX_SLL, cooked, len + COOKED_MORE);
	key.linktype = PB_LINKTYPE_ETHERNET;
	key.network = (uint8_t)(key.network - COOKED_MORE);
	if (key.transport != 0)
		key.transport = (uint8_t)(key.transport - COOKED_MORE);
	else
		memcpy(key.address, data, 12);
	return key;
}

static void
the_short_way_and_the_long_one_give_the_same_key(void **state)
{
	uint8_t p[PACKETS_BYTES];
	unsigned ports = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		size_t len = 14 + any(i % 2 == 0 ? 80 : PACKETS_BYTES - 13);
		struct pb_flow_key is, want;

		make_packet(p);
		if (i % 4 == 3)
			spoil_packet(p);
		is = key_of(p, len);
		want = cooked_key(p, len);
		assert_memory_equal(&is, &want, sizeof(is));
		assert_true(pb_flow_same(&is, &want));
		ports += (is.bits & PB_FLOW_PORTS) != 0;
	}
	assert_true(ports > ROUNDS / 4);
}

static void
every_word_of_a_key_tells_it_from_others(void **state)
{
	struct pb_flow_key a = { 0 }, b;

	(void)state;
	for (size_t i = 0; i < sizeof(a); i++) {
		b = a;
		((uint8_t *)&b)[i] ^= 4;
		assert_false(pb_flow_same(&a, &b));
	}
}

static void
both_directions_are_two_flows(void **state)
{
	static const uint8_t p[] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08\0"
	    "\x45\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\0\0\1\x0a\0\0\2"
	    "\4\1\0\x50\0\0\0\0\0\0\0\0\x50\x10\0\0\0\0\0\0";
	static const uint8_t q[] = "\2\0\0\0\0\1\2\0\0\0\0\2\x08\0"
	    "\x45\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\0\0\2\x0a\0\0\1"
	    "\0\x50\4\1\0\0\0\0\0\0\0\0\x50\x10\0\0\0\0\0\0";
	struct pb_flow_key one = key_of(p, 54), other = key_of(q, 54);

	(void)state;
	assert_int_equal(one.port[0], 1025);
	assert_int_equal(one.port[1], 80);
	assert_int_equal(other.port[0], 80);
	assert_memory_equal(one.address, p + 26, 8);
	assert_false(pb_flow_same(&one, &other));
	assert_memory_equal(&one, &other, PB_FLOW_SHAPE_BYTES);
}

static void
what_begins_and_what_ends_a_conversation_are_flows_of_their_own(void **state)
{
	uint8_t p[54] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08\0"
	    "\x45\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\0\0\1\x0a\0\0\2"
	    "\4\1\0\x50\0\0\0\0\0\0\0\0\x50\x10\0\0\0\0\0";
	static const struct {
		uint8_t flags, bits;
	} want[] = {
		{ 0x10, 0 }, { 0x18, 0 }, { 0x01, PB_FLOW_FIN },
		{ 0x02, PB_FLOW_SYN }, { 0x12, PB_FLOW_SYN },
		{ 0x04, PB_FLOW_RST }, { 0x14, PB_FLOW_RST },
		{ 0x03, PB_FLOW_SYN | PB_FLOW_FIN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		p[47] = want[i].flags;
		assert_int_equal(key_of(p, 54).bits,
		    PB_FLOW_PORTS | want[i].bits);
	}
}

static void
icmp_has_its_type_and_code_and_a_later_fragment_no_ports(void **state)
{
	uint8_t p[54] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08\0"
	    "\x45\0\0\x28\0\0\0\0\x40\x01\0\0\x0a\0\0\1\x0a\0\0\2"
	    "\3\1\0\x50";
	struct pb_flow_key key = key_of(p, 54);

	(void)state;
	assert_int_equal(key.port[0], 3);
	assert_int_equal(key.port[1], 1);
	assert_int_equal(key.bits, 0);
	p[23] = 17;
	p[21] = 1;
	key = key_of(p, 54);
	assert_int_equal(key.port[0] + key.port[1], 0);
	assert_int_equal(key.bits, PB_FLOW_FRAGMENT);
}

/* Behind `head`, which has the type of what follows, TCP from 10.0.0.`host`. */
static struct pb_flow_key
behind(const char *head, size_t len, uint8_t host)
{
	static const uint8_t ip[] = "\x45\0\0\x28\0\0\0\0\x40\x06\0\0"
	    "\x0a\0\0\1\x0a\0\0\2\4\1\0\x50\0\0\0\0\0\0\0\0\x50\x10\0\0\0\0\0";
	uint8_t p[128] = { 0 };

	memcpy(p + 12, head, len);
	memcpy(p + 12 + len, ip, sizeof(ip));
	p[12 + len + 15] = host;
	return key_of(p, 12 + len + sizeof(ip));
}

static void
labels_and_sessions_are_looked_through(void **state)
{
	static const char one[] = "\x88\x47\0\1\x01\x40";
	static const char two[] = "\x81\0\0\7\x88\x47\0\1\0\x40\0\2\x01\x40";
	static const char session[] = "\x88\x64\x11\0\x12\x34\0\x2a\0\x21";
	struct pb_flow_key key = behind(one, 6, 1), other = behind(one, 6, 9);

	(void)state;
	assert_int_equal(key.ethertype, 0x8847);
	assert_int_equal(key.network, 18);
	assert_int_equal(key.transport, 38);
	assert_int_equal(key.tag[0], 16);
	assert_int_equal(key.port[1], 80);
	assert_false(pb_flow_same(&key, &other));
	key = behind(two, 14, 1);
	assert_int_equal(key.network, 26);
	assert_int_equal(key.tag[0], 7);
	assert_int_equal(key.tag[1], 16);
	assert_int_equal(key.tag[2], 32);
	key = behind(session, 10, 1);
	assert_int_equal(key.ethertype, 0x8864);
	assert_int_equal(key.network, 22);
	assert_int_equal(key.tag[0], 0x1234);
	assert_int_equal(key.port[0], 1025);
	/* Without the last one, or another protocol, there is no IP. */
	key = behind("\x88\x47\0\1\0\x40", 6, 1);
	assert_int_equal(key.transport, 0);
	key = behind("\x88\x64\x11\0\x12\x34\0\x2a\xc0\x21", 10, 1);
	assert_int_equal(key.transport, 0);
}

static void
arp_has_the_addresses_that_are_asked_for(void **state)
{
	uint8_t p[60] = "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1\x08\x06"
	    "\0\1\x08\0\6\4\0\1\2\0\0\0\0\1\x0a\0\0\1\0\0\0\0\0\0"
	    "\x0a\0\0\2";
	struct pb_flow_key key = key_of(p, 60), other;

	(void)state;
	assert_memory_equal(key.address, "\x0a\0\0\1\x0a\0\0\2", 8);
	assert_memory_equal(p + 14 + PB_FLOW_ARP_SOURCE, key.address, 4);
	assert_int_equal(key.port[0], 1);
	p[14 + PB_FLOW_ARP_TARGET + 3]++;
	other = key_of(p, 60);
	assert_false(pb_flow_same(&key, &other));
	/* Of another kind, or cut: both MACs. */
	key = key_of(p, 41);
	assert_memory_equal(key.address, p, 12);
	p[18] = 7;
	key = key_of(p, 60);
	assert_memory_equal(key.address, p, 12);
}

static void
other_links_have_ip_or_their_own_addresses(void **state)
{
	static const uint8_t ppp[] = "\xff\3\0\x21\x45\0\0\x28\0\0\0\0"
	    "\x40\x06\0\0\x0a\0\0\1\x0a\0\0\2\4\1\0\x50\0\0\0\0\0\0\0\0"
	    "\x50\x02\0\0\0\0\0";
	static const uint8_t air[] = "\0\0\x08\0\0\0\0\0\x88\x42\0\0"
	    "\2\0\0\0\0\1\2\0\0\0\0\2\2\0\0\0\0\3";
	struct pb_flow_key key;

	(void)state;
	pb_flow_key(&key, 9, ppp, sizeof(ppp));
	assert_int_equal(key.network, 4);
	assert_int_equal(key.transport, 24);
	assert_int_equal(key.port[0], 1025);
	assert_int_equal(key.bits, PB_FLOW_PORTS | PB_FLOW_SYN);
	pb_flow_key(&key, 127, air, sizeof(air));
	assert_int_equal(key.network, 8);
	assert_int_equal(key.protocol, 0x88);
	assert_memory_equal(key.address, air + 12, 12);
	pb_flow_key(&key, 105, air + 8, sizeof(air) - 8);
	assert_int_equal(key.network, 0);
	assert_memory_equal(key.address, air + 12, 12);
}

static void
any_bytes_of_any_length_have_a_key(void **state)
{
	static const uint16_t linktype[] = { 0, 1, 101, 108, 113, 228, 229,
	    276, 9, 105, 127, 65535 };
	static const uint8_t odd[] = { 0x88, 0x47, 0x48, 0x64, 0x81 };
	uint8_t p[PACKETS_BYTES];

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		size_t len = any(PACKETS_BYTES);
		uint8_t *copy = test_malloc(len > 0 ? len : 1);
		struct pb_flow_key key;

		make_packet(p);
		if (any(2) == 0)
			p[12 + any(2)] = odd[any(sizeof(odd))];
		spoil_packet(p);
		memcpy(copy, p, len);
		pb_flow_key(&key, linktype[any(12)], copy, len);
		assert_int_equal(key.spare, 0);
		test_free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_short_way_and_the_long_one_give_the_same_key),
		cmocka_unit_test(every_word_of_a_key_tells_it_from_others),
		cmocka_unit_test(both_directions_are_two_flows),
		cmocka_unit_test(
		    what_begins_and_what_ends_a_conversation_are_flows_of_their_own),
		cmocka_unit_test(
		    icmp_has_its_type_and_code_and_a_later_fragment_no_ports),
		cmocka_unit_test(labels_and_sessions_are_looked_through),
		cmocka_unit_test(arp_has_the_addresses_that_are_asked_for),
		cmocka_unit_test(other_links_have_ip_or_their_own_addresses),
		cmocka_unit_test(any_bytes_of_any_length_have_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
