/*
 * tests/unit/test_verdict.c - a filter asked about packets that are alike
 *
 * Method: packets that differ a little, what they have in common, and
 * programs: those of filters people write, and any that libpcap would run.
 * What is said of all of them is held against libpcap's own interpreter for
 * each.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/alike.h"

#ifndef ROUNDS
#define ROUNDS		20000u
#endif

/* How much was decided. */
static unsigned
check_verdict(const struct pb_filter *filter, const struct pb_filter *truth,
    const struct group *g)
{
	enum pb_verdict verdict = pb_filter_verdict(filter, &g->alike);

	assert_in_range(verdict, PB_VERDICT_NONE, PB_VERDICT_EACH);
	for (unsigned i = 0; i < g->packets; i++) {
		bool match = matches(truth, g, i);

		assert_int_not_equal(verdict, match ? PB_VERDICT_NONE :
		    PB_VERDICT_ALL);
		assert_int_equal(matches(filter, g, i), match);
	}
	return verdict != PB_VERDICT_EACH;
}

/* The filter, and what is left of it for a shape that the group has. */
static unsigned
check_filter(const struct pb_filter *filter, const struct group *g)
{
	uint8_t ones[PACKET_BYTES], unknown[PACKET_BYTES];
	struct pb_alike shape = g->alike;
	struct pb_filter *folded;
	unsigned decided;

	for (size_t i = 0; i < PACKET_BYTES; i++) {
		uint8_t forgotten = any(3) == 0 ? 0xff : 0;

		ones[i] = g->ones[i] & (uint8_t)~forgotten;
		unknown[i] = g->unknown[i] | forgotten;
	}
	shape.ones = ones;
	shape.unknown = unknown;
	shape.caplen_min -= any(shape.caplen_min);
	shape.caplen_max += any(2) * 1000;
	assert_int_equal(pb_filter_fold(&folded, filter, &shape, NULL), 0);
	assert_true(folded->program.bf_len <= filter->program.bf_len);
	assert_true(filter->all || bpf_validate(folded->program.bf_insns,
	    (int)folded->program.bf_len));
	decided = check_verdict(filter, filter, g);
	check_verdict(folded, filter, g);
	pb_filter_destroy(folded);
	return decided;
}

static void
of_any_program_nothing_false_is_said(void **state)
{
	struct group g;
	unsigned decided = 0;

	(void)state;
	for (seed = 1; seed <= ROUNDS; seed++) {
		uint64_t round = seed;
		struct pb_filter *filter;

		make_group(&g);
		make_places(&g);
		filter = make_program(&g);
		decided += check_filter(filter, &g);
		pb_filter_destroy(filter);
		seed = round;
	}
	assert_true(decided > ROUNDS / 2);
}

static void
of_filters_that_people_write_nothing_false_is_said(void **state)
{
	struct group g;
	unsigned decided = 0, asked = 0;

	(void)state;
	for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
		struct pb_filter *filter;

		assert_int_equal(pb_filter_create(&filter, filters[f],
		    PB_LINKTYPE_ETHERNET, NULL), 0);
		for (unsigned i = 0; i < ROUNDS / 50; i++) {
			seed = i;
			make_group(&g);
			make_places(&g);
			decided += check_filter(filter, &g);
			asked++;
		}
		pb_filter_destroy(filter);
	}
	assert_true(decided > asked / 2);
}

/* IPv4 or IPv6 with headers behind it, none of them AH. */
static void
make_chain(uint8_t *p, uint32_t bytes)
{
	static const uint8_t next[] = { 0, 43, 44, 60, 59, 6, 17, 50 };
	bool v6 = any(2) == 0;
	uint32_t at = 14 + (v6 ? 40 : 20);

	for (uint32_t i = 0; i < bytes; i++)
		p[i] = any(3) == 0 ? (uint8_t)any(51) : next[any(8)];
	p[12] = v6 ? 0x86 : 0x08;
	p[13] = v6 ? 0xdd : 0;
	p[14] = v6 ? 0x60 : 0x45;
	p[v6 ? 20 : 23] = next[any(8)];
	for (; at + 8 < bytes; at += 8u * (p[at + 1] + 1u)) {
		p[at] = next[any(any(3) == 0 ? 8 : 4)];
		p[at + 1] = (uint8_t)any(3);
	}
}

static void
a_filter_that_loops_matches_what_libpcap_says(void **state)
{
	static const char *const text[] = { "ip6 protochain 6",
	    "ip protochain 17", "ip6 protochain 59 or ip protochain 50",
	    "not ip6 protochain 43", "ip6 protochain 60 and len < 200",
	    "not ip6 protochain 6 and len % 7 != 3",
	    "ip protochain 17 or ether[20:4] * ether[24:4] & 8 != 0",
	    "ip6 protochain 6 or (len << ether[22]) + (len >> ether[23]) < 9"
	};
	enum { BYTES = 256 };
	unsigned found = 0, rounds = ROUNDS / 4;
	uint8_t data[BYTES];

	(void)state;
	seed = 11;
	for (size_t f = 0; f < sizeof(text) / sizeof(text[0]); f++) {
		struct pb_packet packet = { .data = data };
		struct pb_filter *filter;

		assert_int_equal(pb_filter_create(&filter, text[f],
		    PB_LINKTYPE_ETHERNET, NULL), 0);
		assert_true(filter->loops);
		for (unsigned i = 0; i < rounds; i++) {
			packet.caplen = 1 + any(BYTES);
			packet.origlen = packet.caplen + any(2) * any(99);
			make_chain(data, packet.caplen < 64 ? BYTES :
			    packet.caplen);
			assert_int_equal(pb_filter_match(filter, &packet),
			    bpf_filter(filter->program.bf_insns, data,
			    packet.origlen, packet.caplen) != 0);
			found += pb_filter_match(filter, &packet);
		}
		pb_filter_destroy(filter);
	}
	assert_in_range(found, rounds / 2, 7 * rounds);
}

/* What libpcap's interpreter has for its memory. */
static void __attribute__((noinline))
fill_stack(uint8_t with)
{
	volatile uint8_t stack[4096];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = with;
}

/*
 * Goal:   a filter has one answer, whoever called before.
 * Method: those of which libpcap makes programs that read words of memory they
 *         never wrote, asked twice, over other memory.
 */
static void
no_filter_reads_what_it_has_not_written(void **state)
{
	static const char *const text[] = { "not geneve and tcp",
	    "(arp or geneve) and host 10.9.8.7" };
	uint8_t data[128];
	unsigned found = 0;

	(void)state;
	seed = 12;
	for (size_t f = 0; f < sizeof(text) / sizeof(text[0]); f++) {
		struct pb_packet packet = { .data = data };
		struct pb_filter *filter;

		assert_int_equal(pb_filter_create(&filter, text[f],
		    PB_LINKTYPE_ETHERNET, NULL), 0);
		for (unsigned i = 0; i < ROUNDS / 4; i++) {
			bool one;

			packet.caplen = packet.origlen = 64 + any(64);
			make_chain(data, packet.caplen);
			/* Matches where the memory is 0. */
			memcpy(data, (uint8_t[]){ 8, 0 }, 2);
			data[9] = 6;
			fill_stack(0);
			one = pb_filter_match(filter, &packet);
			fill_stack((uint8_t)(1 + any(64)));
			assert_int_equal(pb_filter_match(filter, &packet),
			    one);
			found += one;
		}
		pb_filter_destroy(filter);
	}
	assert_true(found > 0);
}

/* One flow: all but checksums, numbers and payload is known. */
static void
make_flow(struct group *g)
{
	seed = 5;
	do
		make_group(g);
	while (g->data[0][12] != 8 || g->data[0][23] != 6 ||
	    g->data[0][14] != 0x45);
	memset(g->unknown, 0, sizeof(g->unknown));
	memset(g->unknown + 38, 0xff, 8);
	memcpy(g->ones, g->data[0], sizeof(g->ones));
	memset(g->ones + 38, 0, 8);
	g->ones[47] = 0x10;
	g->unknown[47] = 0x08;
	g->alike.bytes = 54;
	g->alike.caplen_min = g->alike.len_min = 54;
	g->alike.caplen_max = g->alike.len_max = PACKET_BYTES;
}

static void
a_flow_is_decided_by_its_headers(void **state)
{
	static const struct {
		const char	*text;
		enum pb_verdict	 verdict;
	} rows[] = {
		{ "tcp port 80", PB_VERDICT_ALL },
		{ "host 10.0.0.1 and dst host 10.0.0.2", PB_VERDICT_ALL },
		{ "dst host 10.0.0.1", PB_VERDICT_NONE },
		{ "udp", PB_VERDICT_NONE },
		{ "not udp and portrange 50-90", PB_VERDICT_ALL },
		{ "tcp[tcpflags] & tcp-syn != 0", PB_VERDICT_NONE },
		{ "tcp[tcpflags] & tcp-ack != 0", PB_VERDICT_ALL },
		{ "tcp[tcpflags] & tcp-push != 0", PB_VERDICT_EACH },
		{ "ip[8] >= 64", PB_VERDICT_ALL },
		{ "greater 54 and less 96", PB_VERDICT_ALL },
		{ "greater 60", PB_VERDICT_EACH },
		{ "tcp[8:4] > 70000", PB_VERDICT_EACH },
		{ "vlan", PB_VERDICT_NONE },
	};
	struct group g;

	(void)state;
	make_flow(&g);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_filter *filter, *folded;

		assert_int_equal(pb_filter_create(&filter, rows[i].text,
		    PB_LINKTYPE_ETHERNET, NULL), 0);
		assert_int_equal(pb_filter_verdict(filter, &g.alike),
		    rows[i].verdict);
		assert_int_equal(pb_filter_fold(&folded, filter, &g.alike,
		    NULL), 0);
		assert_int_equal(pb_filter_verdict(folded, &g.alike),
		    rows[i].verdict);
		/* What is decided is one instruction; the rest is short. */
		assert_true(folded->program.bf_len <=
		    (rows[i].verdict == PB_VERDICT_EACH ? 5 : 1));
		pb_filter_destroy(folded);
		pb_filter_destroy(filter);
	}
}

/* Many flows: that of each address and port is one of a few is known. */
static void
places_decide_what_none_or_all_of_their_values_do(void **state)
{
	static const struct {
		const char	*text;
		enum pb_verdict	 verdict;
	} rows[] = {
		{ "src host 10.0.0.1", PB_VERDICT_EACH },
		{ "src host 10.0.0.2", PB_VERDICT_NONE },
		{ "host 10.0.0.2", PB_VERDICT_NONE },
		{ "not host 10.0.0.2", PB_VERDICT_ALL },
		{ "host 10.0.0.2 or host 10.1.0.1", PB_VERDICT_EACH },
		{ "net 10.0.0.0/24", PB_VERDICT_EACH },
		{ "net 10.0.0.0/8", PB_VERDICT_ALL },
		{ "src net 10.2.0.0/16", PB_VERDICT_NONE },
		{ "net 10.0.4.0 mask 255.255.252.0", PB_VERDICT_NONE },
		{ "port 443", PB_VERDICT_EACH },
		{ "port 444", PB_VERDICT_NONE },
		{ "portrange 81-442", PB_VERDICT_NONE },
		{ "portrange 81-443", PB_VERDICT_EACH },
		{ "src portrange 80-443", PB_VERDICT_ALL },
		{ "src port 80 or src port 443", PB_VERDICT_EACH },
		{ "tcp[0] = 2", PB_VERDICT_NONE },
		{ "ip[12] = 10", PB_VERDICT_ALL },
		{ "ip[13] = 2", PB_VERDICT_EACH },
	};
	struct pb_span addresses[] = { { 0x0a000001, 0x0a000001 },
	    { 0x0a000007, 0x0a000009 }, { 0x0a010001, 0x0a010001 } };
	struct pb_span ports[] = { { 80, 80 }, { 443, 443 } };
	struct group g;

	(void)state;
	make_flow(&g);
	memset(g.ones + 26, 0, 12);
	memset(g.unknown + 26, 0xff, 12);
	g.places = (struct pb_places){ g.place, 4, NULL };
	g.alike.places = &g.places;
	for (uint32_t i = 0; i < 4; i++)
		g.place[i] = (struct pb_place){ i < 2 ? 26 + 4 * i :
		    30 + 2 * i, i < 2 ? 4 : 2, g.set[i],
		    i < 2 ? pb_values_put(g.set[i], addresses, 3) :
		    pb_values_put(g.set[i], ports, 2) };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_filter *filter;

		assert_int_equal(pb_filter_create(&filter, rows[i].text,
		    PB_LINKTYPE_ETHERNET, NULL), 0);
		if (pb_filter_verdict(filter, &g.alike) != rows[i].verdict)
			fail_msg("%s", rows[i].text);
		pb_filter_destroy(filter);
	}
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(of_any_program_nothing_false_is_said),
		cmocka_unit_test(
		    of_filters_that_people_write_nothing_false_is_said),
		cmocka_unit_test(
		    a_filter_that_loops_matches_what_libpcap_says),
		cmocka_unit_test(no_filter_reads_what_it_has_not_written),
		cmocka_unit_test(a_flow_is_decided_by_its_headers),
		cmocka_unit_test(
		    places_decide_what_none_or_all_of_their_values_do),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
