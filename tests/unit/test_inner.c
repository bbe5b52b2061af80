/*
 * tests/unit/test_inner.c - a filter asked at every depth of a packet's tags
 *
 * Method: packets are put together from the inside out, and each one on the
 * way is kept: those are what has to be found by taking off.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/filter/inner.h"
#include "recorder/filter/tag.h"

#define BYTES_MAX	256u
#define STACK_MAX	10u
#define GROUP_MAX	5u
#define LINKTYPE_PPP	9
#ifndef ROUNDS
#define ROUNDS		4000u
#endif

/* As it is without its tags, [0], and with one more each. */
struct stack {
	struct pb_tag_link link;
	uint16_t	 linktype;
	unsigned	 depths;
	uint32_t	 len[STACK_MAX];
	uint8_t		 data[STACK_MAX][BYTES_MAX];
};

static const uint8_t v4[] = { 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0,
    10, 0, 0, 1, 10, 0, 0, 2, 4, 210, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0,
    0x50, 2, 0, 0, 0, 0, 0, 0 };
static const uint8_t v6[] = { 0x60, 0, 0, 0, 0, 20, 6, 64,
    0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
    4, 210, 1, 187, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 16, 0, 0, 0, 0, 0, 0 };

static const char *const filters[] = {
	"host 10.0.0.1", "dst host 10.0.0.1", "tcp port 80", "ip6", "not ip",
	"ip6 host 2001:db8::1 and port 443", "tcp[tcpflags] & tcp-syn != 0",
	"len <= 80", "greater 70 and tcp", "less 90 and not ip", "udp",
	"tcp[20:2] = 0", "ip[8] > 63", "ether[0] = 2", "",
};

static uint64_t seed;

static uint32_t
any(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* --- packets from the inside out ----------------------------------------- */

/* A packet with `ip` (4 or 6) and nothing between it and the link header. */
static void
stack_init(struct stack *s, uint16_t linktype, unsigned ip)
{
	const uint8_t *network = ip == 4 ? v4 : v6;
	size_t bytes = ip == 4 ? sizeof(v4) : sizeof(v6);
	uint16_t type = ip == 4 ? 0x0800 : 0x86dd;

	memset(s, 0, sizeof(*s));
	s->linktype = linktype;
	assert_true(pb_tag_link(&s->link, linktype));
	if (s->link.ppp)
		type = ip == 4 ? 0x0021 : 0x0057;
	for (size_t i = 0; i < s->link.bytes; i++)
		s->data[0][i] = 2;
	pb_put_be16(s->data[0] + s->link.type_at, type);
	memcpy(s->data[0] + s->link.bytes, network, bytes);
	s->len[0] = (uint32_t)(s->link.bytes + bytes + 6);
	s->depths = 1;
}

static const uint8_t *
outermost(const struct stack *s)
{
	return s->data[s->depths - 1];
}

static uint16_t
type_of(const struct stack *s)
{
	return pb_get_be16(outermost(s) + s->link.type_at);
}

/* One depth more: `bytes` behind the link header, which says `type`. */
static uint8_t *
put(struct stack *s, uint16_t type, uint32_t bytes)
{
	const uint8_t *from = outermost(s);
	uint32_t len = s->len[s->depths - 1];
	uint8_t *to = s->data[s->depths];

	assert_true(s->depths < STACK_MAX && len + bytes <= BYTES_MAX);
	memcpy(to, from, s->link.bytes);
	memcpy(to + s->link.bytes + bytes, from + s->link.bytes,
	    len - s->link.bytes);
	pb_put_be16(to + s->link.type_at, type);
	s->len[s->depths++] = len + bytes;
	return to + s->link.bytes;
}

static void
put_vlan(struct stack *s, uint16_t kind)
{
	uint16_t type = type_of(s);
	uint8_t *tag = put(s, kind, 4);

	pb_put_be16(tag, 7);
	pb_put_be16(tag + 2, type);
}

static void
put_labels(struct stack *s, unsigned labels)
{
	uint8_t *label = put(s, s->link.ppp ? 0x0281 : 0x8847, labels * 4);

	for (unsigned i = 0; i < labels; i++)
		pb_put_be32(label + (size_t)4 * i, (16 + i) << 12 |
		    (i + 1 == labels ? 0x100 : 0) | 64);
}

static void
put_session(struct stack *s)
{
	uint16_t type = type_of(s);
	uint8_t *session = put(s, 0x8864, 8);

	pb_put_be16(session, 0x1100);
	pb_put_be16(session + 2, 9);
	pb_put_be16(session + 6, type == 0x0800 ? 0x0021 :
	    type == 0x86dd ? 0x0057 : 0x0281);
}

/* --- asking --------------------------------------------------------------- */

struct asked {
	struct pb_filter *filter;
	struct pb_inner	*inner;
};

static struct asked
ask(const char *text, uint16_t linktype)
{
	struct asked a;
	struct pb_err err = { 0 };

	if (pb_filter_create(&a.filter, text, linktype, &err) < 0 ||
	    pb_inner_create(&a.inner, a.filter, linktype, &err) < 0)
		fail_msg("%s", err.text);
	return a;
}

static void
asked_finish(struct asked *a)
{
	pb_inner_destroy(a->inner);
	pb_filter_destroy(a->filter);
}

/* The bytes at an address of their own, so that a step past them is found. */
static bool
match(const struct asked *a, bool inner, const uint8_t *data, uint32_t caplen,
    uint32_t len)
{
	uint8_t *alone = malloc(caplen + 1u);
	struct pb_packet packet = { .data = alone, .caplen = caplen,
	    .origlen = len };
	bool found;

	assert_non_null(alone);
	memcpy(alone, data, caplen);
	found = inner ? pb_inner_match(a->inner, &packet) :
	    pb_filter_match(a->filter, &packet);
	free(alone);
	return found;
}

static bool
finds(const struct stack *s, const char *text)
{
	struct asked a = ask(text, s->linktype);
	uint32_t len = s->len[s->depths - 1];
	bool found = match(&a, true, outermost(s), len, len);

	asked_finish(&a);
	return found;
}

/* --- tests ---------------------------------------------------------------- */

static void
a_host_is_found_behind_each_kind_of_tag(void **state)
{
	static const uint16_t kinds[] = { 0x8100, 0x88a8, 0x9100 };
	static const uint16_t links[] = { PB_LINKTYPE_ETHERNET,
	    PB_LINKTYPE_LINUX_SLL, PB_LINKTYPE_LINUX_SLL2 };
	struct stack s;

	(void)state;
	for (size_t l = 0; l < 3; l++) {
		for (size_t k = 0; k < 3; k++) {
			stack_init(&s, links[l], 4);
			put_vlan(&s, 0x8100);
			put_vlan(&s, kinds[k]);
			assert_true(finds(&s, "src host 10.0.0.1"));
			assert_false(finds(&s, "dst host 10.0.0.1"));
		}
		stack_init(&s, links[l], 6);
		put_labels(&s, 3);
		assert_true(finds(&s, "ip6 and dst port 443"));
		stack_init(&s, links[l], 6);
		put_session(&s);
		assert_true(finds(&s, "ip6 host 2001:db8::2"));
		stack_init(&s, links[l], 4);
		put_labels(&s, 1);
		put_session(&s);
		put_vlan(&s, 0x8100);
		assert_true(finds(&s, "tcp port 80"));
		assert_false(finds(&s, "tcp port 81"));
	}
	stack_init(&s, LINKTYPE_PPP, 4);
	put_labels(&s, 2);
	assert_true(finds(&s, "host 10.0.0.2"));
}

static void
the_outermost_depth_is_asked_as_it_is(void **state)
{
	struct stack s;

	(void)state;
	stack_init(&s, PB_LINKTYPE_ETHERNET, 4);
	put_vlan(&s, 0x8100);
	assert_true(finds(&s, "vlan 7"));
	assert_true(finds(&s, "vlan 7 and host 10.0.0.1"));
	assert_true(finds(&s, "not host 10.0.0.1"));
	put_vlan(&s, 0x8100);
	assert_true(finds(&s, "vlan 7 and vlan 7"));
	assert_false(finds(&s, "vlan 7 and vlan 7 and vlan 7"));
}

static void
lengths_are_less_by_what_was_taken_off(void **state)
{
	struct asked a = ask("len = 70", PB_LINKTYPE_ETHERNET);
	struct stack s;

	(void)state;
	stack_init(&s, PB_LINKTYPE_ETHERNET, 4);
	put_vlan(&s, 0x8100);
	put_vlan(&s, 0x8100);
	assert_true(match(&a, true, outermost(&s), 60, 70));
	assert_true(match(&a, true, outermost(&s), 60, 74));
	assert_true(match(&a, true, outermost(&s), 60, 78));
	assert_false(match(&a, true, outermost(&s), 60, 82));
	asked_finish(&a);
	a = ask("len = 0", PB_LINKTYPE_ETHERNET);
	assert_true(match(&a, true, outermost(&s), 60, 3));
	asked_finish(&a);
}

static void
what_is_no_ip_behind_labels_stays(void **state)
{
	struct stack s;

	(void)state;
	stack_init(&s, PB_LINKTYPE_ETHERNET, 4);
	put_labels(&s, 2);
	s.data[1][14 + 8] = 0x02;	/* as a control word begins */
	assert_false(finds(&s, "ip"));
	stack_init(&s, PB_LINKTYPE_ETHERNET, 4);
	put_labels(&s, PB_TAG_LABELS_MAX);
	assert_true(finds(&s, "ip"));
	stack_init(&s, PB_LINKTYPE_ETHERNET, 4);
	put_labels(&s, PB_TAG_LABELS_MAX + 1);
	assert_false(finds(&s, "ip"));
	stack_init(&s, PB_LINKTYPE_ETHERNET, 4);
	put_session(&s);
	pb_put_be16(s.data[1] + 14 + 6, 0xc021);	/* LCP */
	assert_false(finds(&s, "ip"));
}

static void
there_is_an_end_to_depths(void **state)
{
	struct stack s;

	(void)state;
	stack_init(&s, PB_LINKTYPE_ETHERNET, 4);
	while (s.depths < PB_INNER_DEPTHS_MAX)
		put_vlan(&s, 0x8100);
	assert_true(finds(&s, "ip"));
	put_vlan(&s, 0x8100);
	assert_false(finds(&s, "ip"));
}

static void
another_link_type_is_asked_as_it_is(void **state)
{
	struct asked a = ask("host 10.0.0.1", PB_LINKTYPE_RAW);

	(void)state;
	assert_true(match(&a, true, v4, sizeof(v4), sizeof(v4)));
	assert_false(match(&a, true, v6, sizeof(v6), sizeof(v6)));
	asked_finish(&a);
}

static void
make_stack(struct stack *s)
{
	unsigned more = any(4);

	stack_init(s, PB_LINKTYPE_ETHERNET, any(2) == 0 ? 4 : 6);
	if (any(3) == 0)
		put_labels(s, 1 + any(4));
	if (any(3) == 0)
		put_session(s);
	for (unsigned i = 0; i < more; i++)
		put_vlan(s, any(2) == 0 ? 0x8100 : 0x88a8);
}

/* However much was captured: a depth is there where what follows the tag is
 * told. */
static void
it_matches_where_the_filter_does_at_one_depth(void **state)
{
	struct stack s;

	(void)state;
	for (seed = 1; seed <= ROUNDS; seed++) {
		uint64_t round = seed;
		struct asked a = ask(filters[any(sizeof(filters) /
		    sizeof(filters[0]))], PB_LINKTYPE_ETHERNET);
		uint32_t most, caplen, gone;
		bool wanted = false;

		make_stack(&s);
		most = s.len[s.depths - 1];
		caplen = any(3) == 0 ? any(most) : most;
		for (unsigned d = s.depths; d-- > 0; ) {
			gone = most - s.len[d];
			/* The labels' end is told by the byte behind. */
			if (gone > 0 && caplen < gone + s.link.bytes +
			    (pb_get_be16(s.data[d + 1] + 12) == 0x8847))
				break;
			wanted = wanted || match(&a, false, s.data[d],
			    caplen - gone, s.len[d]);
		}
		assert_int_equal(match(&a, true, outermost(&s), caplen, most),
		    wanted);
		asked_finish(&a);
		seed = round;
	}
}

/* --- packets that are alike ----------------------------------------------- */

struct group {
	unsigned	 packets;
	uint8_t		 data[GROUP_MAX][BYTES_MAX];
	uint32_t	 caplen[GROUP_MAX], len[GROUP_MAX];
	uint8_t		 ones[BYTES_MAX], unknown[BYTES_MAX];
	struct pb_alike	 alike;
};

static void
limits(uint32_t *min, uint32_t *max, uint32_t value)
{
	*min = value < *min ? value : *min;
	*max = value > *max ? value : *max;
}

static void
make_group(struct group *g)
{
	unsigned changes = any(10), near = any(2) == 0 ? 60 : BYTES_MAX;
	struct pb_alike *alike = &g->alike;
	struct stack s;

	make_stack(&s);
	memset(g->ones, 0xff, sizeof(g->ones));
	memset(g->unknown, 0, sizeof(g->unknown));
	*alike = (struct pb_alike){ .ones = g->ones, .unknown = g->unknown,
	    .caplen_min = UINT32_MAX, .len_min = UINT32_MAX };
	g->packets = 1 + any(GROUP_MAX);
	for (unsigned i = 0; i < g->packets; i++) {
		memcpy(g->data[i], outermost(&s), BYTES_MAX);
		for (unsigned c = 0; i > 0 && c < changes; c++)
			g->data[i][any(near)] ^= (uint8_t)(1u << any(8));
		g->len[i] = s.len[s.depths - 1];
		g->caplen[i] = any(6) == 0 ? any(g->len[i]) : g->len[i];
		limits(&alike->caplen_min, &alike->caplen_max, g->caplen[i]);
		limits(&alike->len_min, &alike->len_max, g->len[i]);
		for (uint32_t at = 0; at < g->caplen[i]; at++) {
			g->ones[at] &= g->data[i][at];
			g->unknown[at] |= g->data[i][at];
		}
	}
	for (size_t at = 0; at < BYTES_MAX; at++)
		g->unknown[at] &= (uint8_t)~g->ones[at];
	alike->bytes = any(4) == 0 ? any(80) : alike->caplen_max;
}

static void
of_packets_that_are_alike_nothing_false_is_said(void **state)
{
	unsigned decided = 0, behind = 0;
	struct group g;

	(void)state;
	for (seed = 1; seed <= ROUNDS * 5; seed++) {
		uint64_t round = seed;
		struct asked a = ask(filters[any(sizeof(filters) /
		    sizeof(filters[0]))], PB_LINKTYPE_ETHERNET);
		enum pb_verdict verdict;
		enum pb_verdict less;
		uint64_t steps, few;

		make_group(&g);
		verdict = pb_inner_verdict(a.inner, &g.alike);
		/* With few instructions it is that, or nothing is said. */
		steps = few = any(60);
		less = pb_inner_verdict_within(a.inner, &g.alike, &steps);
		assert_true(less == verdict || (less == PB_VERDICT_EACH &&
		    steps < few + 1));
		decided += verdict != PB_VERDICT_EACH;
		behind += verdict != PB_VERDICT_EACH &&
		    !pb_inner_plain(a.inner, &g.alike);
		for (unsigned i = 0; i < g.packets; i++)
			assert_true((verdict & (match(&a, true, g.data[i],
			    g.caplen[i], g.len[i]) ? PB_VERDICT_ALL :
			    PB_VERDICT_NONE)) != 0);
		asked_finish(&a);
		seed = round;
	}
	assert_true(decided > ROUNDS * 5 / 2 && behind > ROUNDS);
}

/* One flow on a trunk, of which all headers are known. */
static void
a_tagged_flow_is_decided_by_its_headers(void **state)
{
	static const struct {
		const char	*text;
		enum pb_verdict	 verdict;
	} rows[] = {
		{ "host 10.0.0.1", PB_VERDICT_ALL },
		{ "tcp dst port 80", PB_VERDICT_ALL },
		{ "vlan", PB_VERDICT_ALL },
		{ "dst host 10.0.0.1", PB_VERDICT_NONE },
		{ "udp or ip6", PB_VERDICT_NONE },
		{ "tcp[4:4] = 5", PB_VERDICT_EACH },
		{ "ip and tcp[4:4] = 5 or not tcp", PB_VERDICT_ALL },
	};
	uint8_t unknown[BYTES_MAX] = { 0 };
	struct stack s;

	(void)state;
	stack_init(&s, PB_LINKTYPE_ETHERNET, 4);
	put_labels(&s, 2);
	put_vlan(&s, 0x8100);
	memset(unknown + 14 + 4 + 8 + 20 + 4, 0xff, 8);
	memset(unknown + 14, 0xff, 2);	/* whichever VLAN */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct asked a = ask(rows[i].text, PB_LINKTYPE_ETHERNET);
		uint8_t ones[BYTES_MAX];
		struct pb_alike alike = { .ones = ones, .unknown = unknown,
		    .bytes = 80, .caplen_min = 80, .caplen_max = 1518,
		    .len_min = 80, .len_max = 1518 };

		for (size_t at = 0; at < BYTES_MAX; at++)
			ones[at] = outermost(&s)[at] &
			    (uint8_t)~unknown[at];
		assert_false(pb_inner_plain(a.inner, &alike));
		assert_int_equal(pb_inner_verdict(a.inner, &alike),
		    rows[i].verdict);
		/* Is there a tag?  Nobody knows. */
		alike.bytes = 12;
		assert_int_equal(pb_inner_verdict(a.inner, &alike),
		    PB_VERDICT_EACH);
		asked_finish(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_host_is_found_behind_each_kind_of_tag),
		cmocka_unit_test(the_outermost_depth_is_asked_as_it_is),
		cmocka_unit_test(lengths_are_less_by_what_was_taken_off),
		cmocka_unit_test(what_is_no_ip_behind_labels_stays),
		cmocka_unit_test(there_is_an_end_to_depths),
		cmocka_unit_test(another_link_type_is_asked_as_it_is),
		cmocka_unit_test(
		    it_matches_where_the_filter_does_at_one_depth),
		cmocka_unit_test(
		    of_packets_that_are_alike_nothing_false_is_said),
		cmocka_unit_test(a_tagged_flow_is_decided_by_its_headers),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
