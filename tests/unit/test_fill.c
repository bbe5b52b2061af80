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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
