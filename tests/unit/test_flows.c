/*
 * tests/unit/test_flows.c - the flows of some packets, and what each knows
 *
 * Method: packets at random, few flows and many, whole and cut short; what a
 * table says of a flow is held against each of its packets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "pcapng/block.h"
#include "recorder/flow/flows.h"
#include "tests/unit/packets.h"

#define PACKETS		1000u
#define FLOOD		1000000u
#define NONE		(&(struct pb_err){ 0 })

static struct packet {
	uint8_t		 data[PACKETS_BYTES];
	uint32_t	 caplen, len, at;
	uint64_t	 time;
} packet[PACKETS];

static struct pb_flows *
create(uint32_t flows_max, uint32_t packets_max)
{
	struct pb_flows *flows;

	assert_int_equal(pb_flows_create(&flows, flows_max, packets_max,
	    NONE), 0);
	return flows;
}

/* `cut`: many are cut short. */
static void
make_packets(unsigned cut)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < PACKETS; i++) {
		struct packet *p = &packet[i];

		make_packet(p->data);
		if (any(4) == 0)
			spoil_packet(p->data);
		p->caplen = any(10) < cut ? any(PACKETS_BYTES -
		    PB_FLOW_BEHIND) : PACKETS_BYTES - PB_FLOW_BEHIND;
		p->len = p->caplen + any(3) * any(1000);
		p->time = 1000 + i + any(10);
		p->at = at;
		at += 40 + p->caplen;
	}
}

static void
put(struct pb_flows *flows, const struct packet *p, uint32_t begins)
{
	assert_true(pb_flows_packet(flows, p->at - begins,
	    PB_LINKTYPE_ETHERNET, p->data, p->caplen, p->len, p->time));
}

/* --- what must be true of a table ----------------------------------------- */

static void
true_of(const struct pb_flow *flow, const struct packet *p, bool rest)
{
	uint8_t ones[PB_FLOW_BYTES], unknown[PB_FLOW_BYTES];
	struct pb_flow_key key;

	pb_flow_known(flow, ones, unknown);
	for (uint32_t i = 0; i < PB_FLOW_BYTES; i++) {
		assert_int_equal(ones[i] & unknown[i], 0);
		if (i < p->caplen)
			assert_int_equal(p->data[i] & ~unknown[i], ones[i]);
		if (rest || i >= flow->caplen_max)
			assert_int_equal(unknown[i], 0xff);
	}
	assert_in_range(p->caplen, flow->caplen_min, flow->caplen_max);
	assert_in_range(p->len, flow->len_min, flow->len_max);
	assert_in_range(p->time, flow->first_time, flow->last_time);
	pb_flow_key(&key, PB_LINKTYPE_ETHERNET, p->data, p->caplen);
	if (!rest)
		assert_memory_equal(&flow->shape, &key, PB_FLOW_SHAPE_BYTES);
}

/* Flows are told apart by their whole key. */
static void
one_key(struct pb_flow_key *its, const struct packet *p, bool first)
{
	struct pb_flow_key key;

	pb_flow_key(&key, PB_LINKTYPE_ETHERNET, p->data, p->caplen);
	if (first)
		*its = key;
	assert_true(pb_flow_same(&key, its));
}

/* Each packet is in one flow, of which all is true of it. */
static void
check(const struct pb_flows *flows, const struct packet *p, uint32_t packets)
{
	static struct pb_flow_key key[PACKETS + 1];
	uint64_t bytes[PACKETS + 1] = { 0 };
	uint32_t count[PACKETS + 1] = { 0 }, next = 0;

	assert_int_equal(flows->packets, packets);
	assert_true(flows->flows <= flows->flows_max + 1);
	for (uint32_t i = 0; i < packets; i++) {
		uint32_t of = flows->of[i];

		assert_true(of < flows->flows);
		true_of(&flows->flow[of], &p[i], of == PB_FLOW_REST);
		one_key(&key[of], &p[i], of == PB_FLOW_REST || count[of] == 0);
		count[of]++;
		bytes[of] += p[i].len;
	}
	for (uint32_t i = 0; i < flows->flows; i++) {
		assert_int_equal(flows->flow[i].packets, count[i]);
		assert_int_equal(flows->flow[i].bytes, bytes[i]);
		assert_true(count[i] > 0 || i == PB_FLOW_REST);
	}
	for (uint32_t i = 0; i < flows->marks; i++) {
		const struct pb_flow_mark *mark = &flows->mark[i];

		assert_true(i == 0 ? mark->packet == 0 :
		    mark->packet >= next && mark->packet < next +
		    PB_FLOW_MARK);
		assert_int_equal(mark->at, p[mark->packet].at - p[0].at);
		next = mark->packet + PB_FLOW_MARK;
	}
	assert_true(packets == 0 || packets < next + PB_FLOW_MARK);
}

static void
same_flow(const struct pb_flow *a, const struct pb_flow *b)
{
	uint8_t ones[2][PB_FLOW_BYTES], unknown[2][PB_FLOW_BYTES];

	assert_int_equal(a->shape, b->shape);
	assert_int_equal(a->hash, b->hash);
	assert_int_equal(a->packets, b->packets);
	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->first_time, b->first_time);
	assert_int_equal(a->last_time, b->last_time);
	assert_int_equal(a->caplen_min, b->caplen_min);
	assert_int_equal(a->caplen_max, b->caplen_max);
	assert_int_equal(a->len_min, b->len_min);
	assert_int_equal(a->len_max, b->len_max);
	pb_flow_known(a, ones[0], unknown[0]);
	pb_flow_known(b, ones[1], unknown[1]);
	assert_memory_equal(ones[0], ones[1], PB_FLOW_BYTES);
	assert_memory_equal(unknown[0], unknown[1], PB_FLOW_BYTES);
}

/* --- the tests ------------------------------------------------------------ */

static void
what_a_flow_knows_is_true_of_each_of_its_packets(void **state)
{
	static const uint32_t flows_max[] = { 1, 3, 100, 2000 };

	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		struct pb_flows *flows = create(flows_max[round % 4],
		    PACKETS);

		make_packets(round % 3 * 5);
		for (unsigned i = 0; i < PACKETS; i++)
			put(flows, &packet[i], 0);
		check(flows, packet, PACKETS);
		assert_false(pb_flows_packet(flows, 0, PB_LINKTYPE_ETHERNET,
		    packet[0].data, 60, 60, 1));
		check(flows, packet, PACKETS);
		pb_flows_reset(flows);
		check(flows, packet, 0);
		put(flows, &packet[0], 0);
		check(flows, packet, 1);
		pb_flows_destroy(flows);
	}
}

/* All bits that are the same, not some. */
static void
what_all_packets_share_is_known(void **state)
{
	struct pb_flows *flows = create(100, PACKETS);

	(void)state;
	make_packets(5);
	for (unsigned i = 0; i < PACKETS; i++)
		put(flows, &packet[i], 0);
	for (uint32_t f = 1; f < flows->flows; f++) {
		uint8_t ones[PB_FLOW_BYTES], unknown[PB_FLOW_BYTES];
		uint8_t all[PB_FLOW_BYTES], some[PB_FLOW_BYTES] = { 0 };

		memset(all, 0xff, sizeof(all));
		for (unsigned i = 0; i < PACKETS; i++)
			for (uint32_t b = 0; flows->of[i] == f &&
			    b < PB_FLOW_BYTES && b < packet[i].caplen; b++) {
				all[b] &= packet[i].data[b];
				some[b] |= packet[i].data[b];
			}
		pb_flow_known(&flows->flow[f], ones, unknown);
		for (uint32_t b = 0; b < PB_FLOW_BYTES &&
		    b < flows->flow[f].caplen_max; b++) {
			assert_int_equal(ones[b], all[b]);
			assert_int_equal(unknown[b], some[b] & ~all[b]);
		}
	}
	pb_flows_destroy(flows);
}

static void
merged_chunk_by_chunk_is_the_same_as_packet_by_packet(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct pb_flows *whole = create(PACKETS, PACKETS);
		struct pb_flows *parts = create(PACKETS, PACKETS);
		struct pb_flows *chunk = create(PACKETS, PACKETS);
		uint32_t begins = 0;

		make_packets(round % 3 * 5);
		for (unsigned i = 0; i < PACKETS; i++) {
			put(whole, &packet[i], 0);
			put(chunk, &packet[i], packet[begins].at);
			if (i + 1 < PACKETS && any(1 + 20 * round) > 0)
				continue;
			assert_true(pb_flows_merge(parts, chunk,
			    packet[begins].at));
			pb_flows_reset(chunk);
			begins = i + 1;
		}
		check(parts, packet, PACKETS);
		assert_int_equal(parts->flows, whole->flows);
		assert_memory_equal(parts->of, whole->of,
		    PACKETS * sizeof(*parts->of));
		for (uint32_t i = 0; i < whole->flows; i++)
			same_flow(&parts->flow[i], &whole->flow[i]);
		assert_false(pb_flows_merge(parts, whole, 0));
		check(parts, packet, PACKETS);
		pb_flows_destroy(whole);
		pb_flows_destroy(parts);
		pb_flows_destroy(chunk);
	}
}

static void
packets_without_flows_are_the_rests(void **state)
{
	struct pb_flows *flows = create(100, 50), *more = create(100, 40);

	(void)state;
	make_packets(5);
	for (unsigned i = 0; i < 5; i++)
		put(flows, &packet[i], 0);
	assert_false(pb_flows_rest(flows, 46, 1, 1, 2, packet[5].at));
	assert_true(pb_flows_rest(flows, 0, 0, UINT64_MAX, 0, 77));
	assert_true(pb_flows_rest(flows, 5, packet[5].len + packet[6].len +
	    packet[7].len + packet[8].len + packet[9].len, 1000, 1019,
	    packet[5].at));
	for (unsigned i = 10; i < 50; i++)
		put(more, &packet[i], packet[10].at);
	assert_true(pb_flows_merge(flows, more, packet[10].at));
	check(flows, packet, 50);
	assert_int_equal(flows->flow[PB_FLOW_REST].packets, 5);
	pb_flows_destroy(flows);
	pb_flows_destroy(more);
}

static void
a_block_that_moves_takes_its_mark_along(void **state)
{
	struct pb_flows *flows = create(10, 100);

	(void)state;
	make_packets(0);
	pb_flows_moved(flows, 5);
	for (unsigned i = 0; i < 40; i++) {
		put(flows, &packet[i], 0);
		pb_flows_moved(flows, 5);
		for (unsigned j = i; j < 40; j++)
			packet[j].at += 5;
	}
	assert_int_equal(flows->marks, 40 / PB_FLOW_MARK);
	for (uint32_t i = 0; i < flows->marks; i++)
		assert_int_equal(flows->mark[i].at,
		    packet[flows->mark[i].packet].at);
	pb_flows_destroy(flows);
}

/* Each packet a flow of its own. */
static uint8_t *
flood_packet(uint32_t i)
{
	static uint8_t p[60 + PB_FLOW_BEHIND] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08"
	    "\0\x45\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\0\0\1\x0a\0\0\2"
	    "\4\1\0\x50\0\0\0\0\0\0\0\0\x50\x02\0\0\0\0\0";

	memcpy(p + 26, &i, 4);
	return p;
}

static void
a_flood_of_a_million_flows_is_bounded_and_all_are_counted(void **state)
{
	struct pb_flows_budget budget = { .max = (size_t)64 << 20 };
	struct pb_flows *flows, *chunk = create(2047, 10000);
	uint64_t packets = 0, bytes = 0;
	uint32_t i = 0;

	(void)state;
	assert_int_equal(pb_flows_create_within(&flows, UINT32_MAX, FLOOD,
	    &budget, NONE), 0);
	while (i < FLOOD) {
		pb_flows_reset(chunk);
		for (uint32_t n = 0; n < 10000; n++, i++)
			assert_true(pb_flows_packet(chunk, 100 * n,
			    PB_LINKTYPE_ETHERNET, flood_packet(i), 60, 60, i));
		assert_int_equal(chunk->flows, 2048);
		assert_true(pb_flows_merge(flows, chunk, 0));
	}
	assert_int_equal(flows->packets, FLOOD);
	assert_int_equal(flows->flows, PB_FLOWS_MAX + 1);
	assert_true(flows->bytes <= budget.max);
	assert_int_equal(budget.used, flows->bytes);
	for (uint32_t f = 0; f < flows->flows; f++) {
		packets += flows->flow[f].packets;
		bytes += flows->flow[f].bytes;
	}
	assert_int_equal(packets, FLOOD);
	assert_int_equal(bytes, 60ull * FLOOD);
	pb_flows_destroy(chunk);
	pb_flows_destroy(flows);
	assert_int_equal(budget.used, 0);
}

static void
tables_of_one_budget_stay_within_it(void **state)
{
	struct pb_flows_budget budget = { .max = 4000000 };
	struct pb_flows *flows[100];
	unsigned count = 0, full = 0;
	uint64_t packets = 0;

	(void)state;
	make_packets(0);
	for (; count < 10; count++)
		assert_int_equal(pb_flows_create_within(&flows[count], 500,
		    PACKETS, &budget, NONE), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		struct pb_flows *to = flows[any(count)];

		full += !pb_flows_packet(to, i, PB_LINKTYPE_ETHERNET,
		    flood_packet(i), 60, 60, i);
		assert_true(budget.used <= budget.max);
	}
	for (unsigned i = 0; i < count; i++)
		for (uint32_t f = 0; f < flows[i]->flows; f++)
			packets += flows[i]->flow[f].packets;
	assert_int_equal(packets + full, 20000);
	while (pb_flows_create_within(&flows[count], 500, PACKETS, &budget,
	    NONE) == 0)
		count++;
	assert_null(flows[count]);
	assert_true(count < 100 && budget.used <= budget.max);
	while (count > 0)
		pb_flows_destroy(flows[--count]);
	assert_int_equal(budget.used, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_a_flow_knows_is_true_of_each_of_its_packets),
		cmocka_unit_test(what_all_packets_share_is_known),
		cmocka_unit_test(
		    merged_chunk_by_chunk_is_the_same_as_packet_by_packet),
		cmocka_unit_test(packets_without_flows_are_the_rests),
		cmocka_unit_test(a_block_that_moves_takes_its_mark_along),
		cmocka_unit_test(
		    a_flood_of_a_million_flows_is_bounded_and_all_are_counted),
		cmocka_unit_test(tables_of_one_budget_stay_within_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
