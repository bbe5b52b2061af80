/*
 * tests/unit/test_summary.c - a flow table in few bytes
 *
 * Method: traffic of all kinds, its flows' summary, and filters.  What the
 * summary says is held against libpcap's own interpreter for each packet.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "recorder/flow/summary.h"
#include "tests/unit/alike.h"

#define PACKETS_MAX	80000u
#ifndef ROUNDS
#define ROUNDS		60u
#endif

struct traffic {
	unsigned	 packets;
	uint32_t	 hosts, ports;		/* how many */
	uint32_t	 protocols;		/* likewise; 1: few shapes */
	struct pb_flows	*flows;
	uint8_t		 data[PACKETS_MAX][PACKET_BYTES + PB_FLOW_BEHIND];
	uint32_t	 caplen[PACKETS_MAX];
	uint8_t		 summary[PB_SUMMARY_BYTES_MAX];
	size_t		 len;
};

static struct traffic traffic;

/* Of few shapes: TCP, with and without a tag. */
static bool
usual(const uint8_t *p)
{
	return (p[12] == 0x08 && p[14] == 0x45) ||
	    (p[12] == 0x86 && p[20] == 6) ||
	    (p[12] == 0x81 && p[18] == 0x45 && p[27] == 6);
}

static void
add_packet(struct traffic *t)
{
	uint8_t *p = t->data[t->packets];
	uint32_t client = any(t->hosts), server = any(1 + t->hosts / 8);

	do
		make_headers(p);
	while (t->protocols == 1 && !usual(p));
	pb_put_be32(p + 26, 0x0a010000 + client * 7);
	pb_put_be32(p + 30, 0x0a020000 + server * 3);
	if (p[14] == 0x45) {
		pb_put_be16(p + 34, (uint16_t)(32768 + any(t->ports) % 28000));
		pb_put_be16(p + 36, any(2) == 0 ? 80 : 443);
		p[23] = any(3) == 0 ? 17 : 6;
	}
	if (t->protocols > 1)
		p[23] = (uint8_t)any(t->protocols);
	/* Of what is cut in the addresses little is known. */
	t->caplen[t->packets] = t->hosts < 1000 && any(30) == 0 ?
	    any(PACKET_BYTES) : PACKET_BYTES;
	assert_true(pb_flows_packet(t->flows, t->packets * 128,
	    PB_LINKTYPE_ETHERNET, p, t->caplen[t->packets], PACKET_BYTES,
	    t->packets));
	t->packets++;
}

static void
make_traffic(struct traffic *t, unsigned packets, uint32_t hosts,
    uint32_t ports, uint32_t protocols)
{
	if (t->flows == NULL)
		assert_int_equal(pb_flows_create(&t->flows, 65535,
		    PACKETS_MAX, NULL), 0);
	pb_flows_reset(t->flows);
	t->packets = 0;
	t->hosts = hosts;
	t->ports = ports;
	t->protocols = protocols;
	while (t->packets < packets)
		add_packet(t);
	t->len = pb_summary_make(t->summary, t->flows);
	assert_in_range(t->len, 11, PB_SUMMARY_BYTES_MAX);
}

static enum pb_verdict
ask(const struct traffic *t, const char *text)
{
	struct pb_question *question;
	struct pb_filter *filter;
	enum pb_verdict verdict;

	assert_int_equal(pb_filter_create(&filter, text,
	    PB_LINKTYPE_ETHERNET, NULL), 0);
	assert_int_equal(pb_question_create(&question, filter, NULL), 0);
	verdict = pb_summary_verdict(t->summary, t->len, question);
	assert_int_equal(pb_summary_verdict(t->summary, t->len, question),
	    verdict);
	for (unsigned i = 0; verdict != PB_VERDICT_EACH && i < t->packets;
	    i++) {
		struct pb_packet packet = { .caplen = t->caplen[i],
		    .origlen = PACKET_BYTES, .data = t->data[i] };

		assert_int_equal(pb_filter_match(filter, &packet),
		    verdict == PB_VERDICT_ALL);
	}
	pb_question_destroy(question);
	pb_filter_destroy(filter);
	return verdict;
}

static void
of_any_traffic_nothing_false_is_said(void **state)
{
	unsigned decided = 0;

	(void)state;
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		seed = round;
		make_traffic(&traffic, 1 + any(300), 1 + any(200),
		    1 + any(300), any(3) == 0 ? 256 : any(2));
		for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]);
		    f++)
			decided += ask(&traffic, filters[f]) !=
			    PB_VERDICT_EACH;
	}
	assert_true(decided > ROUNDS * 10);
}

/* Two bytes of an address are there; who asks for them asks a set of four. */
static void
a_packet_that_ends_within_a_place_is_found(void **state)
{
	struct traffic *t = &traffic;

	(void)state;
	make_traffic(t, 1, 1, 1, 1);
	for (unsigned i = 1; i < 3; i++) {
		uint8_t *p = t->data[i];

		memset(p, 0, PACKET_BYTES);
		p[5] = (uint8_t)i;	/* a MAC, so a flow, for each */
		pb_put_be16(p + 12, 0x0800);
		p[14] = 0x41;		/* no header is so short */
		pb_put_be32(p + 26, 0x0a010000 * i);
		t->caplen[i] = i == 1 ? PACKET_BYTES : 28;
		assert_true(pb_flows_packet(t->flows, i * 128,
		    PB_LINKTYPE_ETHERNET, p, t->caplen[i], PACKET_BYTES, i));
		t->packets++;
	}
	t->len = pb_summary_make(t->summary, t->flows);
	assert_int_equal(ask(t, "ip[12:2] = 0x1402"), PB_VERDICT_EACH);
	assert_int_equal(ask(t, "ip[12:2] = 0x1403"), PB_VERDICT_NONE);
}

static void
what_does_not_occur_is_ruled_out(void **state)
{
	static const char *const absent[] = {
		"host 10.1.0.6", "src net 10.3.0.0/16", "net 192.168.0.0/16",
		"tcp port 81", "udp portrange 81-442", "port 1000",
		"host 192.168.1.1 and port 443", "ip proto 132",
		"ip6 host 2001:db8::77", "ether host 02:00:00:00:00:77",
		"mpls 9", "ip[8] < 10",
	};

	(void)state;
	seed = 7;
	make_traffic(&traffic, 2000, 100, 50, 1);
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (ask(&traffic, absent[i]) != PB_VERDICT_NONE)
			fail_msg("%s is not ruled out", absent[i]);
	assert_int_equal(ask(&traffic, "host 10.1.0.7 and port 80"),
	    PB_VERDICT_EACH);
	assert_int_equal(ask(&traffic, "len = 96"), PB_VERDICT_ALL);
}

static void
of_too_many_hosts_and_ports_it_is_small_and_true(void **state)
{
	unsigned ruled_out = 0;
	char text[64];

	(void)state;
	/* All flows have room: what is told of the rest is nothing. */
	seed = 9;
	make_traffic(&traffic, PACKETS_MAX / 2, 1200, 28000, 1);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "host 10.1.%u.%u", i / 2 * 3,
		    i * 2);
		ruled_out += ask(&traffic, text) == PB_VERDICT_NONE;
	}
	assert_true(ruled_out > 30);
	assert_int_equal(ask(&traffic, "tcp port 8080"), PB_VERDICT_NONE);
	for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++)
		ask(&traffic, filters[f]);
}

static void
of_more_shapes_than_it_holds_it_is_true(void **state)
{
	(void)state;
	seed = 11;
	make_traffic(&traffic, 5000, 3000, 28000, 256);
	assert_int_equal(ask(&traffic, "udp port 53"), PB_VERDICT_EACH);
	for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++)
		ask(&traffic, filters[f]);
}

/* Whatever their offsets have in common, it is never 0. */
static void
later_fragments_have_no_ports(void **state)
{
	struct traffic *t = &traffic;

	(void)state;
	make_traffic(t, 0, 1, 1, 1);
	for (unsigned i = 0; i < 12; i++) {
		uint8_t *p = t->data[i];

		do
			make_headers(p);
		while (p[12] != 8 || p[14] != 0x45);
		p[23] = 17;
		pb_put_be16(p + 20, (uint16_t)((i % 2) << 13 | (1 + i * 185)));
		t->caplen[i] = PACKET_BYTES;
		assert_true(pb_flows_packet(t->flows, i * 128,
		    PB_LINKTYPE_ETHERNET, p, PACKET_BYTES, PACKET_BYTES, i));
		t->packets++;
	}
	t->len = pb_summary_make(t->summary, t->flows);
	assert_int_equal(ask(t, "udp port 53"), PB_VERDICT_NONE);
	assert_int_equal(ask(t, "port 53 or tcp"), PB_VERDICT_NONE);
	assert_int_equal(ask(t, "ip[6:2] & 0x1fff != 0"), PB_VERDICT_ALL);
	assert_int_equal(ask(t, "udp"), PB_VERDICT_ALL);
}

static void
bytes_that_are_rotten_or_cut_are_look_at_each(void **state)
{
	struct pb_question *question;
	struct pb_filter *filter;
	uint8_t *bytes;

	(void)state;
	seed = 13;
	make_traffic(&traffic, 100, 10, 5, 1);
	assert_int_equal(pb_filter_create(&filter, "host 192.168.0.1",
	    PB_LINKTYPE_ETHERNET, NULL), 0);
	assert_int_equal(pb_question_create(&question, filter, NULL), 0);
	assert_int_equal(pb_summary_verdict(traffic.summary, traffic.len,
	    question), PB_VERDICT_NONE);
	for (size_t i = 0; i < traffic.len; i++) {
		assert_int_equal(pb_summary_verdict(traffic.summary, i,
		    question), PB_VERDICT_EACH);
		traffic.summary[i] ^= 4;
		assert_int_equal(pb_summary_verdict(traffic.summary,
		    traffic.len, question), PB_VERDICT_EACH);
		traffic.summary[i] ^= 4;
	}
	/* Of one that says it is whole all is read within its bounds. */
	for (uint64_t round = 1; round <= 200 * ROUNDS; round++) {
		size_t len = round % 3 > 0 ? traffic.len :
		    12 + any((uint32_t)traffic.len - 12);

		seed = round;
		bytes = malloc(len);
		assert_non_null(bytes);
		memcpy(bytes, traffic.summary, len);
		for (unsigned i = 0; i < 1 + round % 4; i++)
			bytes[1 + any((uint32_t)len - 9)] = (uint8_t)any(256);
		pb_put_le64(bytes + len - 8, pb_digest(bytes, len - 8));
		assert_in_range(pb_summary_verdict(bytes, len, question),
		    PB_VERDICT_NONE, PB_VERDICT_EACH);
		free(bytes);
	}
	pb_question_destroy(question);
	pb_filter_destroy(filter);
}

static int
finish(void **state)
{
	(void)state;
	pb_flows_destroy(traffic.flows);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(of_any_traffic_nothing_false_is_said),
		cmocka_unit_test(a_packet_that_ends_within_a_place_is_found),
		cmocka_unit_test(what_does_not_occur_is_ruled_out),
		cmocka_unit_test(
		    of_too_many_hosts_and_ports_it_is_small_and_true),
		cmocka_unit_test(of_more_shapes_than_it_holds_it_is_true),
		cmocka_unit_test(later_fragments_have_no_ports),
		cmocka_unit_test(bytes_that_are_rotten_or_cut_are_look_at_each),
	};

	return cmocka_run_group_tests(list, NULL, finish);
}
