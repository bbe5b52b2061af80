/*
 * tests/unit/test_blocks_lost.c - no chunk, no room, no answer: what is lost
 * is counted, and told by a packet
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/blocks_fixture.h"

static void
losses_are_told_by_the_next_packet_behind_statistics(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, 1, 60, 60);
	side.now.received = 12;
	side.now.kernel = 4;
	side.now.interface = 5;
	hand_over(&side, 0, PB_HANDOVER_FULL);
	assert_int_equal(side.chunk[0]->drops, 0);
	give(&side, 77, 60, 60);
	give(&side, 78, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_FULL);
	seen = look(side.chunk[1]);
	assert_int_equal(seen.blocks, 3);
	assert_int_equal(seen.type[0], PB_BLOCK_ISB);
	assert_int_equal(seen.type[1], PB_BLOCK_EPB);
	assert_int_equal(seen.drops, 9);
	assert_int_equal(side.chunk[1]->drops, 1);
	assert_int_equal(side.chunk[1]->drop[0].seq, 2);
	assert_int_equal(side.chunk[1]->drop[0].count, 9);
	assert_int_equal(side.chunk[1]->drop[0].time_ns, 77);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_IFRECV), 12);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_OSDROP), 4);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_IFDROP), 5);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_USRDELIV), 1);
	side_finish(&side);
}

/* Nobody knows when the next packet comes, or whether one will. */
static void
losses_found_when_a_link_goes_quiet_are_told_at_once(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, 10, 60, 60);
	give(&side, 20, 61, 61);
	side.now.kernel = 6;
	hand_over(&side, 0, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.blocks, 3);
	assert_int_equal(seen.type[1], PB_BLOCK_ISB);
	assert_int_equal(seen.type[2], PB_BLOCK_EPB);
	assert_int_equal(seen.drops, 6);
	assert_int_equal(seen.last.caplen, 61);
	assert_int_equal(side.chunk[0]->drop[0].seq, 2);
	assert_int_equal(side.chunk[0]->drop[0].count, 6);
	assert_int_equal(side.chunk[0]->drop[0].time_ns, 20);
	give(&side, 30, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	assert_int_equal(side.chunk[1]->drops, 0);
	side_finish(&side);
}

static void
a_packet_that_tells_of_a_loss_can_tell_of_another(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.flags = 2;
	pb_losses_store(&side.counts, 2);
	give(&side, 10, 60, 60);
	side.now.kernel = 5;
	hand_over(&side, 0, PB_HANDOVER_END);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.packets, 1);
	assert_int_equal(seen.drops, 7);
	assert_int_equal(side.chunk[0]->drops, 1);
	assert_int_equal(side.chunk[0]->drop[0].count, 7);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_OSDROP), 7);
	side_finish(&side);
}

static void
with_every_chunk_in_use_packets_are_counted_as_lost(void **state)
{
	struct side side;
	struct seen seen;
	uint64_t kept;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	while (lost(&side) < 10)
		give(&side, 5, 60000, 60000);
	/* One stays back to tell of it. */
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 1);
	kept = side.lane[0].chunk->last_seq;
	assert_false(pb_blocks_ready(&side.lane[0]));
	assert_false(hand_over(&side, 0, PB_HANDOVER_TIME));
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 1);
	/* Who asks meanwhile hears of what it holds, too. */
	assert_int_equal(pb_counted(&side.counts.packets), kept);
	assert_int_equal(pb_counted(&side.counts.bytes), 60000 * kept);
	side_release(&side);
	assert_true(pb_blocks_ready(&side.lane[0]));
	pb_blocks_submit(&side.lane[0]);
	give(&side, 6, 60000, 60000);
	assert_true(hand_over(&side, 0, PB_HANDOVER_TIME));
	assert_int_equal(side.chunks, 2);
	assert_int_equal(pb_counted(&side.counts.packets), kept + 1);
	assert_int_equal(side.chunk[0]->last_seq, kept);
	seen = look(side.chunk[1]);
	assert_int_equal(seen.first_seq, kept + 1);
	assert_int_equal(seen.drops, 10);
	assert_int_equal(side.chunk[1]->drop[0].count, 10);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_OSDROP), 10);
	side_finish(&side);
}

/* A short one may still find room where a long one did not. */
static void
a_loss_for_want_of_chunks_is_told_by_the_next_packet_kept(void **state)
{
	uint64_t kept, rounds = 0;
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	while (lost(&side) == 0)
		give(&side, 5, 250000, 250000);
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 1);
	for (; lost(&side) < 12; rounds++) {
		give(&side, 6, PB_CAPLEN_MAX, PB_CAPLEN_MAX);
		give(&side, 7, 60, 60);
		give(&side, 8, 61, 61);
	}
	assert_int_equal(rounds, 11);
	assert_int_equal(pb_counted(&side.counts.untold), 0);
	kept = side.next + 4;
	hand_over(&side, 0, PB_HANDOVER_END);
	seen = look(side.chunk[PB_SOURCE_CHUNKS - 1]);
	assert_int_equal(seen.drops, 12);
	assert_int_equal(side.chunk[side.chunks - 1]->drop[0].count, 2);
	assert_int_equal(side.chunk[side.chunks - 1]->drop[0].seq, kept);
	assert_int_equal(side.chunk[side.chunks - 1]->drop[1].count, 1);
	assert_int_equal(side.chunk[side.chunks - 1]->drop[1].seq, kept + 2);
	assert_int_equal(side.chunk[side.chunks - 1]->drops, 8);
	side_finish(&side);
}

static void
where_it_is_ready_no_packet_is_lost(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	while (pb_blocks_ready(&side.lane[0]))
		give(&side, 5, PB_CAPLEN_MAX, PB_CAPLEN_MAX);
	assert_int_equal(lost(&side), 0);
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 1);
	side_finish(&side);
}

static void
a_chunk_that_comes_back_is_filled_at_once(void **state)
{
	struct pb_chunk *back;
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	while (give(&side, 5, 60000, 60000))
		;
	assert_int_equal(lost(&side), 0);
	assert_false(pb_blocks_ready(&side.lane[0]));
	back = side.chunk[--side.chunks];
	back->done(back, 0, NULL);
	assert_true(pb_blocks_ready(&side.lane[0]));
	/* The rest of the old one is used first, then the new one. */
	while (give(&side, 6, 60000, 60000))
		;
	assert_int_equal(lost(&side), 0);
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 1);
	assert_ptr_equal(side.lane[0].chunk, back);
	assert_true(look(side.chunk[side.chunks - 1]).bytes > 960000);
	side_finish(&side);
}

static void
where_one_lane_finds_no_chunk_another_may_have_one(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give_to(&side, 1, 1, 60, 60);	/* one filling, one in reserve */
	while (give_to(&side, 0, 5, 60000, 60000))
		;
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 3);
	assert_true(pb_blocks_ready(&side.lane[1]));
	assert_false(pb_blocks_ready(&side.lane[0]));
	while (lost(&side) < 3)
		give_to(&side, 0, 5, 60000, 60000);
	/* What one lost another tells, when it begins a chunk. */
	assert_true(hand_over(&side, 1, PB_HANDOVER_FULL));
	give_to(&side, 1, 2, 60, 60);
	assert_int_equal(pb_counted(&side.counts.untold), 0);
	assert_false(hand_over(&side, 1, PB_HANDOVER_TIME));
	assert_true(hand_over(&side, 1, PB_HANDOVER_END));
	assert_int_equal(look(side.chunk[side.chunks - 1]).drops, 3);
	side_finish(&side);
}

static void
what_a_full_store_lost_is_told_though_no_packet_follows(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	while (lost(&side) < 10)
		give(&side, 5, 60000, 60000);
	assert_true(hand_over(&side, 0, PB_HANDOVER_END));
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS);
	seen = look(side.chunk[PB_SOURCE_CHUNKS - 1]);
	assert_int_equal(seen.drops, 10);
	assert_int_equal(pb_counted(&side.counts.untold), 0);
	side_finish(&side);
}

static void
a_busy_store_is_asked_again_and_reading_goes_on(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.answer = PB_EBUSY;
	for (int i = 0; i < 3; i++) {
		give(&side, 5, 60, 60);
		hand_over(&side, 0, PB_HANDOVER_TIME);
	}
	assert_false(pb_blocks_submit(&side.lane[0]));
	assert_int_equal(side.chunks, 0);
	side.answer = 0;
	assert_true(pb_blocks_submit(&side.lane[0]));
	assert_int_equal(side.chunks, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(side.chunk[i]->first_seq, i + 1);
	assert_int_equal(lost(&side), 0);
	/* And again after it was empty. */
	give(&side, 5, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	assert_int_equal(side.chunk[3]->first_seq, 4);
	side_finish(&side);
}

static void
a_busy_store_keeps_the_order_of_each_lane(void **state)
{
	uint64_t next = 1;
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.answer = PB_EBUSY;
	for (uint64_t i = 0; i < 6; i++) {
		give_to(&side, (int)i % 2, i, 60, 60);
		hand_over(&side, (int)i % 2, PB_HANDOVER_TIME);
	}
	side.answer = 0;
	assert_true(pb_blocks_submit(&side.lane[1]));
	assert_true(pb_blocks_submit(&side.lane[0]));
	assert_int_equal(side.chunks, 6);
	for (int i = 0; i < 6; i++) {
		struct seen seen = look(side.chunk[i]);

		assert_int_equal(seen.first_seq, next++);
		assert_int_equal(seen.last.time_ns, i < 3 ? 2 * i + 1 :
		    2 * (i - 3));
	}
	side_finish(&side);
}

static void
what_was_never_taken_is_given_back_at_the_end(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.answer = PB_EBUSY;
	give(&side, 5, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	give(&side, 5, 60, 60);
	side_finish(&side);	/* a leak checker tells */
}

static void
chunks_outlive_the_source_that_made_them(void **state)
{
	struct pb_chunk *kept[2];
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	for (int i = 0; i < 2; i++) {
		give(&side, 5, 60, 60);
		hand_over(&side, 0, PB_HANDOVER_TIME);
		kept[i] = side.chunk[i];
	}
	side.chunks = 0;
	side_finish(&side);
	assert_int_equal(look(kept[0]).packets, 1);
	for (int i = 0; i < 2; i++)
		kept[i]->done(kept[i], 0, NULL);
}

static void
what_the_store_refuses_is_lost_and_leaves_no_hole(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 500);
	side.answer = PB_EBUSY;
	give(&side, 1, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	give(&side, 2, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	give(&side, 3, 61, 61);
	side.answer = PB_EORDER;
	assert_true(pb_blocks_submit(&side.lane[0]));
	assert_int_equal(lost(&side), 2);
	assert_int_equal(pb_counted(&side.counts.packets), 0);
	assert_int_equal(pb_counted(&side.counts.bytes), 0);
	side.answer = 0;
	give(&side, 4, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	assert_int_equal(side.chunks, 1);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.packets, 2);
	assert_int_equal(seen.first_seq, 500);
	assert_int_equal(seen.drops, 2);
	side_finish(&side);
}

static void
what_a_refused_chunk_told_of_others_is_told_again(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	pb_losses_store(&side.counts, 4);
	give(&side, 1, 60, 60);
	side.now.kernel = 3;
	side.answer = PB_EORDER;
	hand_over(&side, 0, PB_HANDOVER_TIME);
	assert_int_equal(pb_counted(&side.counts.untold), 4 + 3 + 1);
	side.answer = 0;
	give(&side, 2, 60, 60);
	hand_over(&side, 0, PB_HANDOVER_TIME);
	assert_int_equal(look(side.chunk[0]).drops, 4 + 3 + 1);
	/* The chunk itself is there again. */
	side_release(&side);
	while (give(&side, 5, 60000, 60000))
		;
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 1);
	side_finish(&side);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    losses_are_told_by_the_next_packet_behind_statistics),
		cmocka_unit_test(
		    losses_found_when_a_link_goes_quiet_are_told_at_once),
		cmocka_unit_test(
		    a_packet_that_tells_of_a_loss_can_tell_of_another),
		cmocka_unit_test(
		    with_every_chunk_in_use_packets_are_counted_as_lost),
		cmocka_unit_test(
		    a_loss_for_want_of_chunks_is_told_by_the_next_packet_kept),
		cmocka_unit_test(where_it_is_ready_no_packet_is_lost),
		cmocka_unit_test(a_chunk_that_comes_back_is_filled_at_once),
		cmocka_unit_test(
		    where_one_lane_finds_no_chunk_another_may_have_one),
		cmocka_unit_test(
		    what_a_full_store_lost_is_told_though_no_packet_follows),
		cmocka_unit_test(
		    a_busy_store_is_asked_again_and_reading_goes_on),
		cmocka_unit_test(a_busy_store_keeps_the_order_of_each_lane),
		cmocka_unit_test(what_was_never_taken_is_given_back_at_the_end),
		cmocka_unit_test(chunks_outlive_the_source_that_made_them),
		cmocka_unit_test(
		    what_the_store_refuses_is_lost_and_leaves_no_hole),
		cmocka_unit_test(
		    what_a_refused_chunk_told_of_others_is_told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
