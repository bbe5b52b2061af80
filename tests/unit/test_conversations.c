/*
 * tests/unit/test_conversations.c - who talked to whom, and how much
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "pcapng/block.h"
#include "recorder/flow/flows.h"
#include "recorder/query/conversations.h"

/* 10.0.0.a port a to 10.0.0.b port b. */
static struct pb_flow_key
tcp(uint8_t a, uint8_t b)
{
	const uint8_t address[8] = { 10, 0, 0, a, 10, 0, 0, b };
	struct pb_flow_key key = { .ethertype = ETH_P_IP, .network = 14,
	    .transport = 34, .protocol = IPPROTO_TCP,
	    .bits = PB_FLOW_PORTS, .port = { a, b } };

	memcpy(key.address, address, sizeof(address));
	return key;
}

static void
add(struct pb_conversations *c, struct pb_flow_key key, uint32_t stream,
    uint64_t packets, uint64_t first)
{
	struct pb_talk talk = { stream, packets, 100 * packets, first,
	    first + 10 };

	assert_int_equal(pb_conversations_add(c, &key, &talk, NULL), 0);
}

static void
both_directions_are_one_row_and_the_first_to_speak_comes_first(void **state)
{
	const struct pb_conversation *row;
	struct pb_conversations *c;

	(void)state;
	assert_int_equal(pb_conversations_create(&c, false, NULL), 0);
	add(c, tcp(1, 2), 0, 3, 1000);
	add(c, tcp(2, 1), 0, 4, 900);
	add(c, tcp(1, 2), 0, 5, 1100);
	assert_int_equal(pb_conversations_sort(c, PB_BY_BYTES, &row), 1);
	assert_int_equal(row->address[0][3], 2);
	assert_int_equal(row->port[0], 2);
	assert_int_equal(row->ip, 4);
	assert_int_equal(row->packets[0], 4);
	assert_int_equal(row->packets[1], 8);
	assert_int_equal(row->bytes[1], 800);
	assert_int_equal(row->first_time[0], 900);
	assert_int_equal(row->last_time[1], 1110);
	pb_conversations_destroy(c);
}

/* To and from the access point, frames of data and those that acknowledge. */
static void
stations_are_told_apart_by_nothing_but_who_they_are(void **state)
{
	struct pb_flow_key there = { .linktype = PB_FLOW_LINKTYPE_RADIOTAP,
	    .ethertype = 1, .protocol = 8 };
	struct pb_flow_key back = { .linktype = PB_FLOW_LINKTYPE_RADIOTAP,
	    .ethertype = 2, .protocol = 0x88 };
	const uint8_t address[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	const struct pb_conversation *row;
	struct pb_conversations *c;

	(void)state;
	memcpy(there.address, address, 12);
	memcpy(back.address, address + 6, 6);
	memcpy((uint8_t *)back.address + 6, address, 6);
	assert_int_equal(pb_conversations_create(&c, false, NULL), 0);
	add(c, there, 0, 3, 900);
	add(c, back, 0, 4, 1000);
	assert_int_equal(pb_conversations_sort(c, PB_BY_BYTES, &row), 1);
	assert_int_equal(row->packets[0], 3);
	assert_int_equal(row->packets[1], 4);
	assert_int_equal(row->address[0][5], 2);
	assert_int_equal(row->ethertype, 0);
	assert_int_equal(row->protocol, 0);
	pb_conversations_destroy(c);
}

static void
directed_each_direction_is_a_row(void **state)
{
	const struct pb_conversation *row;
	struct pb_conversations *c;

	(void)state;
	assert_int_equal(pb_conversations_create(&c, true, NULL), 0);
	add(c, tcp(1, 2), 0, 3, 1000);
	add(c, tcp(2, 1), 0, 4, 900);
	assert_int_equal(pb_conversations_sort(c, PB_BY_PACKETS, &row), 2);
	assert_int_equal(row[0].packets[0], 4);
	assert_int_equal(row[0].address[0][3], 2);
	assert_int_equal(row[0].packets[1], 0);
	assert_int_equal(row[1].packets[0], 3);
	assert_int_equal(row[1].address[0][3], 1);
	pb_conversations_destroy(c);
}

static void
streams_are_told_apart_and_one_can_be_forgotten(void **state)
{
	const struct pb_conversation *row;
	struct pb_conversations *c;

	(void)state;
	assert_int_equal(pb_conversations_create(&c, false, NULL), 0);
	add(c, tcp(1, 2), 0, 3, 1000);
	add(c, tcp(1, 2), 1, 4, 1000);
	add(c, tcp(1, 3), 1, 4, 1000);
	pb_conversations_forget(c, 1);
	add(c, tcp(1, 3), 1, 2, 1000);
	assert_int_equal(pb_conversations_sort(c, PB_BY_PACKETS, &row), 2);
	assert_int_equal(row[0].stream, 0);
	assert_int_equal(row[0].packets[0], 3);
	assert_int_equal(row[1].stream, 1);
	assert_int_equal(row[1].packets[0], 2);
	pb_conversations_destroy(c);
}

static void
how_a_connection_begins_and_ends_belongs_to_it(void **state)
{
	const struct pb_conversation *row;
	struct pb_flow_key syn = tcp(1, 2);
	struct pb_conversations *c;

	(void)state;
	assert_int_equal(pb_conversations_create(&c, false, NULL), 0);
	syn.bits |= PB_FLOW_SYN;
	add(c, syn, 0, 1, 1000);
	add(c, tcp(1, 2), 0, 9, 1001);
	assert_int_equal(pb_conversations_sort(c, PB_BY_TIME, &row), 1);
	assert_int_equal(row->packets[0], 10);
	assert_int_equal(row->last_time[0], 1011);
	pb_conversations_destroy(c);
}

static void
who_asks_by_arp_and_who_answers_are_ip_addresses(void **state)
{
	uint8_t frame[60 + PB_FLOW_BEHIND] = { [12] = 8, 6, 0, 1, 8, 0, 6, 4,
	    0, 1, [28] = 10, 0, 0, 1, [38] = 10, 0, 2, 15 };
	const struct pb_conversation *row;
	struct pb_conversations *c;
	struct pb_flow_key key;

	(void)state;
	assert_int_equal(pb_conversations_create(&c, false, NULL), 0);
	pb_flow_key(&key, PB_LINKTYPE_ETHERNET, frame, 60);
	add(c, key, 0, 1, 1000);
	memcpy(frame + 28, "\x0a\x00\x02\x0f", 4);
	memcpy(frame + 38, "\x0a\x00\x00\x01", 4);
	frame[21] = 2;
	pb_flow_key(&key, PB_LINKTYPE_ETHERNET, frame, 60);
	add(c, key, 0, 1, 1001);
	assert_int_equal(pb_conversations_sort(c, PB_BY_TIME, &row), 1);
	assert_int_equal(row->ip, 4);
	assert_memory_equal(row->address[0], "\x0a\x00\x00\x01", 4);
	assert_memory_equal(row->address[1], "\x0a\x00\x02\x0f", 4);
	assert_int_equal(row->packets[1], 1);
	pb_conversations_destroy(c);
}

/* Method: one more than there is room for, each met twice. */
static void
conversations_past_the_bound_are_counted_alone(void **state)
{
	const struct pb_conversation *row;
	struct pb_flow_key key = tcp(1, 2);
	struct pb_conversations *c;

	(void)state;
	assert_int_equal(pb_conversations_create(&c, false, NULL), 0);
	for (uint64_t i = 0; i <= PB_CONVERSATIONS_MAX; i++) {
		memcpy(key.address, &(uint32_t){ (uint32_t)i }, 4);
		add(c, key, 0, 1, 2 * i);
		add(c, key, 0, 1, 2 * i + 1);
	}
	assert_int_equal(pb_conversations_left_out(c), 2);
	assert_int_equal(pb_conversations_sort(c, PB_BY_TIME, &row),
	    PB_CONVERSATIONS_MAX);
	for (uint64_t i = 0; i < PB_CONVERSATIONS_MAX; i++) {
		assert_int_equal(row[i].packets[0] + row[i].packets[1], 2);
		assert_int_equal(row[i].first_time[0],
		    2 * (PB_CONVERSATIONS_MAX - 1 - i));
	}
	pb_conversations_forget(c, 0);
	assert_int_equal(pb_conversations_left_out(c), 0);
	pb_conversations_destroy(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
	    both_directions_are_one_row_and_the_first_to_speak_comes_first),
		cmocka_unit_test(
		    stations_are_told_apart_by_nothing_but_who_they_are),
		cmocka_unit_test(directed_each_direction_is_a_row),
		cmocka_unit_test(
		    streams_are_told_apart_and_one_can_be_forgotten),
		cmocka_unit_test(
		    how_a_connection_begins_and_ends_belongs_to_it),
		cmocka_unit_test(
		    who_asks_by_arp_and_who_answers_are_ip_addresses),
		cmocka_unit_test(
		    conversations_past_the_bound_are_counted_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
