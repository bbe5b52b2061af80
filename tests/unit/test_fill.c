/*
 * tests/unit/test_fill.c - the door into a chunk, and what packets come to
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "pcapng/build.h"
#include "pcapng/option.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/write/fill.h"

static struct pb_tally
tally_of(const uint64_t *time, size_t count, uint32_t caplen)
{
	struct pb_tally tally = { 0 };

	for (size_t i = 0; i < count; i++)
		pb_tally_packet(&tally, time[i], caplen);
	return tally;
}

static void
same(const struct pb_tally *a, const struct pb_tally *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static void
a_tally_has_the_lowest_and_the_highest_time(void **state)
{
	const uint64_t time[] = { 5, 9, 3, 7 };
	struct pb_tally tally = tally_of(time, 4, 60);

	(void)state;
	assert_int_equal(tally.packets, 4);
	assert_int_equal(tally.bytes, 240);
	assert_int_equal(tally.first_time, 3);
	assert_int_equal(tally.last_time, 9);
}

static void
a_time_of_zero_is_a_time(void **state)
{
	const uint64_t time[] = { 0, 4 };
	struct pb_tally tally = tally_of(time, 2, 60), all = tally_of(time + 1,
	    1, 60);

	(void)state;
	assert_int_equal(tally.first_time, 0);
	assert_int_equal(tally.last_time, 4);
	pb_tally_merge(&all, &tally);
	assert_int_equal(all.first_time, 0);
}

static void
an_empty_tally_changes_nothing_and_is_nobodys_time(void **state)
{
	const uint64_t time[] = { 5, 9 };
	struct pb_tally empty = { 0 }, tally = tally_of(time, 2, 60);
	struct pb_tally was = tally;

	(void)state;
	pb_tally_merge(&tally, &empty);
	same(&tally, &was);
	pb_tally_merge(&empty, &tally);
	same(&empty, &was);
}

static void
merged_in_parts_is_the_same_as_packet_by_packet(void **state)
{
	uint64_t time[64];
	struct pb_tally whole, parts, more;

	(void)state;
	srand(7);
	for (int i = 0; i < 64; i++)
		time[i] = (uint64_t)rand();
	whole = tally_of(time, 64, 60);
	for (size_t cut = 0; cut <= 64; cut++) {
		parts = tally_of(time, cut, 60);
		more = tally_of(time + cut, 64 - cut, 60);
		pb_tally_merge(&parts, &more);
		same(&parts, &whole);
	}
}

static void
rows_that_are_empty_take_their_times_from_the_first_packets(void **state)
{
	const uint64_t time[] = { 5, 9 };
	struct pb_tally tally = tally_of(time, 2, 60), empty = { 0 };
	struct pb_extent_info extent = { .first_seq = 11, .last_seq = 10 };
	struct pb_segment_info segment = { .first_seq = 11, .last_seq = 10 };
	struct pb_stream_info stream = { .last_seq = 10 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct pb_tally *t = i == 0 ? &empty : &tally;

		pb_extent_count(&extent, 12, t);
		pb_segment_count(&segment, 12, t);
		pb_stream_count(&stream, 11, 12, t, true);
		assert_int_equal(extent.last_seq, i == 0 ? 10 : 12);
		assert_int_equal(segment.last_seq, i == 0 ? 10 : 12);
		assert_int_equal(stream.last_seq, i == 0 ? 10 : 12);
	}
	assert_int_equal(extent.first_time, 5);
	assert_int_equal(extent.last_time, 9);
	assert_int_equal(segment.first_time, 5);
	assert_int_equal(segment.packets, 2);
	assert_int_equal(segment.packet_bytes, 120);
	assert_int_equal(stream.first_time, 5);
	assert_int_equal(stream.first_seq, 11);
	assert_int_equal(stream.bytes, 120);
}

static void
packets_that_fill_a_gap_do_not_move_a_streams_end(void **state)
{
	const uint64_t time[] = { 5, 9 };
	struct pb_tally tally = tally_of(time, 2, 60);
	struct pb_stream_info stream = { .first_seq = 8, .last_seq = 10,
	    .packets = 1, .first_time = 7, .last_time = 8 };

	(void)state;
	pb_stream_count(&stream, 3, 4, &tally, false);
	assert_int_equal(stream.last_seq, 10);
	assert_int_equal(stream.first_seq, 3);
	assert_int_equal(stream.first_time, 5);
	assert_int_equal(stream.last_time, 9);
}

/* Packet `seq` of `len` bytes, which tells of `dropped` others. */
static void
put(struct pb_chunk *chunk, uint64_t seq, uint32_t len, uint64_t dropped)
{
	static const uint8_t data[64];
	uint8_t options[2 * PB_OPTION_BYTES(8)];
	struct pb_packet packet = { .time_ns = 1000 - seq, .caplen = len,
	    .origlen = len, .data = data, .options = options };
	uint8_t *end = pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);

	if (dropped > 0)
		end = pb_option_at_u64(end, PB_OPT_EPB_DROPCOUNT, dropped);
	packet.options_len = (size_t)(end - options);
	pb_fill_packet(chunk, pb_build_epb(pb_fill_at(chunk), 0, &packet),
	    seq, packet.time_ns, len);
	if (dropped > 0)
		pb_fill_drops(chunk, seq, dropped, packet.time_ns);
}

static void
a_chunk_has_one_drop_count_a_packet_and_a_sum_of_all(void **state)
{
	struct pb_chunk *chunk = pb_chunk_create();

	(void)state;
	put(chunk, 7, 20, 3);
	pb_fill_drops(chunk, 7, 4, 0);
	assert_int_equal(chunk->drops, 1);
	assert_int_equal(chunk->drop[0].count, 7);
	for (uint64_t seq = 8; seq < 30; seq++)
		put(chunk, seq, 20, 1);
	assert_int_equal(chunk->drops, PB_CHUNK_DROPS_MAX);
	assert_int_equal(chunk->tally.dropped, 7 + 22);
	pb_chunk_destroy(chunk);
}

static void
what_is_left_of_a_chunk_that_is_cut_is_counted_as_if_new(void **state)
{
	struct pb_chunk *chunk = pb_chunk_create(), *want = pb_chunk_create();
	uint8_t filler[PB_FILLER_BYTES_MIN];
	size_t len;

	(void)state;
	pb_build_filler(filler, sizeof(filler), 1, 1);
	for (int i = 0; i < 2; i++) {
		struct pb_chunk *c = i == 0 ? chunk : want;

		put(c, 5, 10, 0);
		pb_fill_blocks(c, filler, sizeof(filler));
		put(c, 6, 30, 2);
	}
	len = chunk->len;
	put(chunk, 7, 50, 9);
	pb_fill_again(chunk, len);
	assert_int_equal(chunk->len, want->len);
	assert_memory_equal(chunk->data, want->data, want->len);
	same(&chunk->tally, &want->tally);
	assert_int_equal(chunk->first_seq, 5);
	assert_int_equal(chunk->last_seq, 6);
	assert_int_equal(chunk->drops, 1);
	assert_int_equal(chunk->drop[0].seq, 6);
	pb_chunk_destroy(chunk);
	pb_chunk_destroy(want);
}

/* --- flows ---------------------------------------------------------------- */

static struct pb_flow_pool *pool;
static struct pb_head head = { .linktype = PB_LINKTYPE_ETHERNET };

static struct pb_chunk *
chunk_with_flows(size_t bytes)
{
	struct pb_chunk *chunk = pb_chunk_create();
	struct pb_err err;

	assert_int_equal(pb_flow_pool_create(&pool,
	    &(struct pb_flow_pool_opts){ .bytes_max = bytes,
	    .flows_max = PB_FLOW_CHUNK_FLOWS_MAX, .packets_max = 3000 },
	    &err), 0);
	chunk->flow_pool = pool;
	chunk->head = &head;
	return chunk;
}

static void
end_with_flows(struct pb_chunk *chunk)
{
	chunk->head = NULL;
	pb_chunk_destroy(chunk);
	assert_int_equal(pb_flow_pool_used(pool), 0);
	pb_flow_pool_destroy(pool);
}

/* UDP from 10.0.0.`host`, of which 60 bytes are captured and `len` were. */
static void
put_udp(struct pb_chunk *chunk, uint64_t seq, uint32_t host, uint32_t len)
{
	uint8_t data[60] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08\0"
	    "\x45\0\0\x28\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2";
	const struct pb_packet packet = { .time_ns = 1000 + seq,
	    .caplen = sizeof(data), .origlen = len, .data = data };

	memcpy(data + 26, &host, 4);
	pb_fill_epb(chunk, seq, &packet);
}

static void
a_chunk_learns_the_flows_of_its_packets(void **state)
{
	struct pb_chunk *chunk = chunk_with_flows(PB_FLOW_CHUNKS_BYTES_MAX);
	uint8_t filler[PB_FILLER_BYTES_MIN];
	uint64_t bytes = 0;

	(void)state;
	pb_build_filler(filler, sizeof(filler), 1, 1);
	for (uint32_t i = 0; i < 3000; i++) {
		size_t at = i % 7 == 0 ? sizeof(filler) : 0;

		pb_fill_blocks(chunk, filler, at);
		at = chunk->len;
		put_udp(chunk, 5 + i, i % 1000, 60 + i);
		if (i % PB_FLOW_MARK == 0)
			assert_int_equal(chunk->flows->mark[i /
			    PB_FLOW_MARK].at, at);
	}
	assert_int_equal(chunk->flows->packets, 3000);
	assert_int_equal(chunk->flows->flows, 1001);
	for (uint32_t f = 1; f <= 1000; f++) {
		const struct pb_flow *flow = &chunk->flows->flow[f];
		struct pb_flow_key key;

		memcpy(&key, &flow->shape, PB_FLOW_SHAPE_BYTES);
		assert_int_equal(flow->packets, 3);
		assert_int_equal(key.linktype, PB_LINKTYPE_ETHERNET);
		assert_int_equal(flow->first_time, 1000 + 5 + f - 1);
		assert_int_equal(flow->last_time, 1000 + 5 + f - 1 + 2000);
		assert_int_equal(flow->len_min, 60 + f - 1);
		assert_int_equal(flow->caplen_max, 60);
		bytes += flow->bytes;
	}
	assert_int_equal(bytes, 3000 * 60 + 3000 * 2999 / 2);
	end_with_flows(chunk);
}

static void
what_is_left_of_a_chunk_that_is_cut_has_its_flows_alone(void **state)
{
	struct pb_chunk *chunk = chunk_with_flows(PB_FLOW_CHUNKS_BYTES_MAX);
	size_t len = 0;

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		if (i == 20)
			len = chunk->len;
		put_udp(chunk, 5 + i, i, 60);
	}
	pb_fill_again(chunk, len);
	assert_int_equal(chunk->flows->packets, 20);
	assert_int_equal(chunk->flows->flows, 21);
	assert_int_equal(chunk->flows->flow[20].packets, 1);
	end_with_flows(chunk);
}

static void
a_chunk_that_is_reset_gives_its_flows_back(void **state)
{
	struct pb_chunk *chunk = chunk_with_flows(PB_FLOW_CHUNKS_BYTES_MAX);

	(void)state;
	put_udp(chunk, 1, 1, 60);
	assert_non_null(chunk->flows);
	assert_true(pb_flow_pool_used(pool) > 0);
	chunk->head = NULL;
	pb_chunk_reset(chunk);
	assert_null(chunk->flows);
	assert_int_equal(pb_flow_pool_used(pool), 0);
	chunk->head = &head;
	put_udp(chunk, 2, 1, 60);
	assert_int_equal(chunk->flows->packets, 1);
	end_with_flows(chunk);
}

static void
a_chunk_without_a_table_for_its_first_packet_has_none(void **state)
{
	struct pb_chunk *chunk = chunk_with_flows(PB_FLOW_CHUNKS_BYTES_MAX);

	(void)state;
	pb_flow_pool_on(pool, false);
	put_udp(chunk, 1, 1, 60);
	assert_null(chunk->flows);
	pb_flow_pool_on(pool, true);
	put_udp(chunk, 2, 1, 60);
	assert_null(chunk->flows);
	assert_int_equal(chunk->tally.packets, 2);
	end_with_flows(chunk);
}

/* The second size does not fit the pool beside the first. */
static void
a_chunk_whose_table_cannot_grow_keeps_it_until_it_has_no_room(void **state)
{
	struct pb_chunk *chunk = chunk_with_flows(30000);
	uint64_t seq = 1;

	(void)state;
	for (; seq <= 3000; seq++)
		put_udp(chunk, seq, (uint32_t)seq % 100, 60);
	assert_int_equal(chunk->flows->packets, 3000);
	assert_int_equal(chunk->flows->flows, 32);
	assert_true(chunk->flows->flow[PB_FLOW_REST].packets > 0);
	put_udp(chunk, seq, 1, 60);
	assert_null(chunk->flows);
	put_udp(chunk, seq + 1, 1, 60);
	assert_null(chunk->flows);
	assert_int_equal(chunk->tally.packets, 3002);
	end_with_flows(chunk);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tally_has_the_lowest_and_the_highest_time),
		cmocka_unit_test(a_time_of_zero_is_a_time),
		cmocka_unit_test(
		    an_empty_tally_changes_nothing_and_is_nobodys_time),
		cmocka_unit_test(
		    merged_in_parts_is_the_same_as_packet_by_packet),
		cmocka_unit_test(
		    rows_that_are_empty_take_their_times_from_the_first_packets),
		cmocka_unit_test(
		    packets_that_fill_a_gap_do_not_move_a_streams_end),
		cmocka_unit_test(
		    a_chunk_has_one_drop_count_a_packet_and_a_sum_of_all),
		cmocka_unit_test(
		    what_is_left_of_a_chunk_that_is_cut_is_counted_as_if_new),
		cmocka_unit_test(a_chunk_learns_the_flows_of_its_packets),
		cmocka_unit_test(
		    what_is_left_of_a_chunk_that_is_cut_has_its_flows_alone),
		cmocka_unit_test(a_chunk_that_is_reset_gives_its_flows_back),
		cmocka_unit_test(
		    a_chunk_without_a_table_for_its_first_packet_has_none),
		cmocka_unit_test(
		    a_chunk_whose_table_cannot_grow_keeps_it_until_it_has_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
