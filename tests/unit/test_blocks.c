/*
 * tests/unit/test_blocks.c - packets become chunks of whole blocks
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pcapng/build.h"
#include "pcapng/plain.h"
#include "tests/unit/blocks_fixture.h"

static void
packets_become_blocks_numbered_without_holes(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 41);
	give(&side, 2000, 60, 60);
	give(&side, 1000, 61, 1500);
	give(&side, 3000, 0, 0);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	assert_int_equal(side.chunks, 1);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.packets, 3);
	assert_int_equal(seen.statistics, 0);
	assert_int_equal(seen.first_seq, 41);
	assert_int_equal(seen.last_seq, 43);
	assert_int_equal(side.chunk[0]->first_seq, 41);
	assert_int_equal(side.chunk[0]->last_seq, 43);
	assert_int_equal(side.chunk[0]->tally.packets, 3);
	assert_int_equal(side.chunk[0]->tally.bytes, 121);
	assert_int_equal(side.chunk[0]->tally.first_time, 1000);
	assert_int_equal(side.chunk[0]->tally.last_time, 3000);
	assert_int_equal(side.chunk[0]->drops, 0);
	assert_true(side.chunk[0]->keep_trying);
	assert_non_null(side.chunk[0]->head);
	give(&side, 4000, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	assert_int_equal(side.chunk[1]->first_seq, 44);
	side_finish(&side);
}

static void
a_packet_keeps_its_bytes_lengths_and_time(void **state)
{
	const uint64_t time_ns = UINT64_C(1732233600123456789);
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, time_ns, 15, 9000);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.last.time_ns, time_ns);
	assert_int_equal(seen.last.caplen, 15);
	assert_int_equal(seen.last.origlen, 9000);
	for (int i = 0; i < 15; i++)
		assert_int_equal(seen.last.data[i],
		    (uint8_t)(time_ns + (uint64_t)i));
	side_finish(&side);
}

/* What the capture path writes by hand, against the builder that everything
 * else uses. */
static void
compare_block(uint32_t flags, uint32_t caplen, uint64_t drops)
{
	static uint8_t data[96], want[256], list[64], value[4];
	struct pb_packet packet = { .time_ns = UINT64_C(1732233600123456789),
	    .caplen = caplen, .origlen = caplen + 7, .data = data,
	    .options = list };
	struct pb_plain plain;
	struct seen seen;
	struct side side;
	uint8_t *end;
	size_t len;

	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(0xa0 + i);
	pb_put_le32(value, flags);
	side_init(&side, PB_LINKTYPE_ETHERNET, 41);
	/* What was in the chunk before must not shine through. */
	pb_losses_store(&side.counts, drops);
	assert_true(pb_blocks_packet(&side.lane[0], packet.time_ns, data,
	    caplen, caplen + 7, flags));
	hand_over(&side, 0, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	end = pb_option_at_u64(list, PB_OPT_EPB_PACKETID, 41);
	if (flags != 0)
		end = pb_option_at(end, PB_OPT_EPB_FLAGS, value, 4);
	if (drops > 0)
		end = pb_option_at_u64(end, PB_OPT_EPB_DROPCOUNT, drops);
	packet.options_len = (size_t)(end - list);
	len = pb_build_epb(want, 0, &packet);
	assert_int_equal(seen.blocks, drops > 0 ? 2 : 1);
	assert_true(side.chunk[0]->len >= len);
	assert_memory_equal(side.chunk[0]->data + side.chunk[0]->len - len,
	    want, len);
	assert_int_equal(seen.drops, drops);
	/* Who takes it in goes the short way. */
	assert_true(pb_plain_read(want, len, &plain));
	assert_int_equal(plain.seq, 41);
	assert_int_equal(plain.dropped, drops);
	side_finish(&side);
}

static void
a_block_is_what_the_builder_makes_whatever_its_length(void **state)
{
	(void)state;
	for (uint32_t caplen = 0; caplen <= 65; caplen++) {
		compare_block(0, caplen, 0);
		compare_block(0, caplen, 3);
		compare_block(2, caplen, 0);
		compare_block(1 | 4 << 2, caplen, 3);
	}
}

static void
padding_is_zero_in_a_chunk_that_was_used_before(void **state)
{
	const uint8_t *data;
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	/* The pool gives the one that came back last. */
	give(&side, 1, 4, 4);
	memset(side.lane[0].chunk->data + 100, 0xff, 1000);
	memset(side.lane[0].spare->data, 0xff, 1000);
	for (uint32_t caplen = 0; caplen < 9; caplen++) {
		hand_over(&side, 0, PB_HANDOVER_TIME);
		side_release(&side);
		give(&side, caplen, caplen, caplen);
		hand_over(&side, 0, PB_HANDOVER_TIME);
		seen = look(side.chunk[0]);
		data = seen.last.data;
		for (uint32_t i = caplen; i % 4 != 0; i++)
			assert_int_equal(data[i], 0);
		memset(side.chunk[0]->data, 0xff, 1000);
		side_release(&side);
	}
	side_finish(&side);
}

static void
captured_bytes_over_the_limit_are_cut(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, 1, PB_CAPLEN_MAX + 5, PB_CAPLEN_MAX + 5);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.last.caplen, PB_CAPLEN_MAX);
	assert_int_equal(seen.last.origlen, PB_CAPLEN_MAX + 5);
	side_finish(&side);
}

/* Every length, so that every rest of room in a chunk comes up. */
static void
chunks_are_filled_and_never_overrun(void **state)
{
	uint64_t packets = 0, next = 1;
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	for (uint32_t len = 1; side.chunks < 20; len = len * 5 % 65521) {
		if (packets % 7 == 0)
			side.now.kernel++;
		give(&side, packets++, len, len);
	}
	hand_over(&side, 0, PB_HANDOVER_END);
	for (int i = 0; i < side.chunks; i++) {
		struct seen seen = look(side.chunk[i]);

		assert_true(side.chunk[i]->len <= side.chunk[i]->cap);
		if (i < side.chunks - 1)
			assert_true(side.chunk[i]->len >
			    side.chunk[i]->cap - 70000);
		assert_int_equal(seen.first_seq, next);
		assert_int_equal(seen.packets, side.chunk[i]->tally.packets);
		assert_int_equal(seen.bytes, side.chunk[i]->tally.bytes);
		next = seen.last_seq + 1;
	}
	assert_int_equal(next - 1, packets);
	side_finish(&side);
}

static void
the_longest_packet_with_all_around_it_fits_a_chunk(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.flags = 2;
	for (int i = 0; i < 9; i++) {
		side.now.kernel += 3;
		give(&side, 1, PB_CAPLEN_MAX, PB_CAPLEN_MAX);
	}
	side.now.kernel += 3;
	hand_over(&side, 0, PB_HANDOVER_END);
	assert_int_equal(side.chunks, 3);
	for (int i = 0; i < side.chunks; i++)
		assert_int_equal(look(side.chunk[i]).packets, 3);
	side_finish(&side);
}

/* Filled as far as packets of one length go; then what its end adds. */
static void
fill(struct side *side, uint32_t len, unsigned packets)
{
	pb_losses_store(&side->counts, 1);
	for (int i = 0; i < 3; i++)
		give(side, 4, PB_CAPLEN_MAX, PB_CAPLEN_MAX);
	give(side, 4, 240000, 240000);
	for (unsigned i = 0; i < packets && side->chunks == 0; i++)
		give(side, 4, len, len);
}

/* The one that does not fit makes the chunk go. */
static unsigned
packets_that_fit(uint32_t len)
{
	struct side side;
	unsigned packets = 0;

	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.flags = 2;
	fill(&side, len, 0);
	for (; side.chunks == 0; packets++)
		give(&side, 4, len, len);
	side_finish(&side);
	return packets - 1;
}

static size_t
fill_and_end(uint32_t len)
{
	unsigned packets = packets_that_fit(len);
	struct side side;
	size_t bytes;

	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.flags = 2;
	fill(&side, len, packets);
	assert_int_equal(side.chunks, 0);
	pb_losses_store(&side.counts, 1);
	hand_over(&side, 0, PB_HANDOVER_END);
	assert_int_equal(side.chunks, 1);
	assert_int_equal(look(side.chunk[0]).drops, 2);
	bytes = side.chunk[0]->len;
	side_finish(&side);
	return bytes;
}

static void
what_comes_late_to_a_full_chunk_fits(void **state)
{
	size_t fullest = 0;

	(void)state;
	for (uint32_t len = 1; len < 140; len++) {
		size_t bytes = fill_and_end(len);

		assert_true(bytes <= PB_CHUNK_BYTES);
		if (bytes > fullest)
			fullest = bytes;
	}
	/* It was full indeed. */
	assert_true(fullest > PB_CHUNK_BYTES - 300);
}

static void
the_last_chunk_closes_with_a_statistics_block(void **state)
{
	uint8_t *times[2];
	struct pb_option option;
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, 10, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_END);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.blocks, 2);
	assert_int_equal(seen.type[1], PB_BLOCK_ISB);
	assert_int_equal(seen.drops, 0);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_USRDELIV), 1);
	/* High word first: the times are after 2020 and in order. */
	for (int i = 0; i < 2; i++) {
		assert_true(pb_option_find(seen.isb, seen.isb_len,
		    i == 0 ? PB_OPT_ISB_STARTTIME : PB_OPT_ISB_ENDTIME,
		    &option));
		times[i] = (uint8_t *)(uintptr_t)option.value;
	}
	assert_true(((uint64_t)pb_get_le32(times[0]) << 32 |
	    pb_get_le32(times[0] + 4)) > UINT64_C(1577836800000000000));
	assert_true(((uint64_t)pb_get_le32(times[0]) << 32 |
	    pb_get_le32(times[0] + 4)) <=
	    ((uint64_t)pb_get_le32(times[1]) << 32 |
	    pb_get_le32(times[1] + 4)));
	side_finish(&side);
}

static void
no_chunk_goes_out_without_a_packet(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.now.kernel = 3;
	hand_over(&side, 0, PB_HANDOVER_TIME);
	hand_over(&side, 0, PB_HANDOVER_END);
	assert_int_equal(side.chunks, 0);
	/* What was lost meanwhile waits for the next packet. */
	give(&side, 1, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_END);
	assert_int_equal(look(side.chunk[0]).drops, 3);
	side_finish(&side);
}

static void
a_chunk_guessed_wrong_is_numbered_anew(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 100);
	side.flags = 2;
	pb_losses_store(&side.counts, 2);
	for (uint32_t len = 0; len < 40; len++)
		give(&side, len, len, len);
	side.now.kernel = 5;
	side.next = UINT64_C(0x123456789a);
	hand_over(&side, 0, PB_HANDOVER_END);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.packets, 40);
	assert_int_equal(seen.first_seq, UINT64_C(0x123456789a));
	assert_int_equal(seen.last_seq, UINT64_C(0x123456789a) + 39);
	assert_int_equal(side.chunk[0]->drops, 2);
	assert_int_equal(side.chunk[0]->drop[0].seq, seen.first_seq);
	assert_int_equal(side.chunk[0]->drop[0].count, 2);
	assert_int_equal(side.chunk[0]->drop[1].seq, seen.last_seq);
	assert_int_equal(side.chunk[0]->drop[1].count, 5);
	side_finish(&side);
}

static void
numbering_goes_back_as_well_and_changes_numbers_alone(void **state)
{
	static uint8_t before[PB_CHUNK_BYTES];
	struct pb_chunk *chunk;
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 500);
	for (uint32_t len = 0; len < 40; len++)
		give(&side, len, len, len);
	hand_over(&side, 0, PB_HANDOVER_END);
	chunk = side.chunk[0];
	memcpy(before, chunk->data, chunk->len);
	pb_blocks_number(chunk, 3);
	assert_int_equal(look(chunk).first_seq, 3);
	assert_int_equal(look(chunk).last_seq, 42);
	pb_blocks_number(chunk, 500);
	assert_memory_equal(before, chunk->data, chunk->len);
	pb_blocks_number(chunk, 500);
	assert_memory_equal(before, chunk->data, chunk->len);
	side_finish(&side);
}

/* Each lane in its own pace; chunks come out in any order. */
static void
lanes_make_one_stream_without_holes_or_repeats(void **state)
{
	uint64_t given[LANES_MAX] = { 0 }, next = 7, told = 0, lost_all = 0;
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 7);
	for (uint32_t i = 0; i < 3000; i++) {
		int lane = (int)(i * i / 5 % LANES_MAX);

		give_to(&side, lane, i, i % 1400, i % 1400);
		given[lane]++;
		side.now.kernel += i % 11 == 0;
		if (i % 97 == 0)
			hand_over(&side, (int)(i / 97 % LANES_MAX),
			    PB_HANDOVER_TIME);
		lost_all = side.now.kernel;
	}
	for (int i = LANES_MAX - 1; i >= 0; i--)
		hand_over(&side, i, PB_HANDOVER_END);
	for (int i = 0; i < side.chunks; i++) {
		struct seen seen = look(side.chunk[i]);

		assert_int_equal(seen.first_seq, next);
		next = seen.last_seq + 1;
		told += seen.drops;
	}
	assert_int_equal(next - 7, 3000);
	assert_int_equal(given[0] + given[1] + given[2], 3000);
	assert_int_equal(told, lost_all);
	assert_int_equal(pb_counted(&side.counts.packets), 3000);
	side_finish(&side);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_become_blocks_numbered_without_holes),
		cmocka_unit_test(a_packet_keeps_its_bytes_lengths_and_time),
		cmocka_unit_test(
		    a_block_is_what_the_builder_makes_whatever_its_length),
		cmocka_unit_test(
		    padding_is_zero_in_a_chunk_that_was_used_before),
		cmocka_unit_test(captured_bytes_over_the_limit_are_cut),
		cmocka_unit_test(chunks_are_filled_and_never_overrun),
		cmocka_unit_test(
		    the_longest_packet_with_all_around_it_fits_a_chunk),
		cmocka_unit_test(what_comes_late_to_a_full_chunk_fits),
		cmocka_unit_test(the_last_chunk_closes_with_a_statistics_block),
		cmocka_unit_test(no_chunk_goes_out_without_a_packet),
		cmocka_unit_test(a_chunk_guessed_wrong_is_numbered_anew),
		cmocka_unit_test(
		    numbering_goes_back_as_well_and_changes_numbers_alone),
		cmocka_unit_test(
		    lanes_make_one_stream_without_holes_or_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
