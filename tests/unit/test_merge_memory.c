/*
 * tests/unit/test_merge_memory.c - what a merge holds of its streams,
 * and has open
 */
#include "tests/unit/merge_lanes.h"

/*
 * Goal:   where a batch is as much as a lane may hold, what comes behind it is
 *         still put in order with it.
 * Method: lanes that are all open, for little memory; one has large packets.
 */
static void
a_batch_that_is_large_is_not_held_alone(void **state)
{
	static const uint64_t a[] = { 1 * S, 1 * S + 9 * MS, 1 * S + 2 * MS,
	    1 * S + 30 * MS, 1 * S + 21 * MS, 1 * S + 40 * MS };
	static const uint64_t b[] = { 1 * MS, 9 * S };
	static const uint64_t want[] = { 1, 3, 2, 5, 4, 6 };
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	size_t lane, n = 0;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 6,
	    .caplen = PB_CAPLEN_MAX };
	for (size_t i = 1; i < LANES_MAX; i++)
		s.lane[i] = (struct script){ .time = b, .count = 2,
		    .together = 2 };
	merge = merge_of(&s, LANES_MAX, 0);
	while (pb_merge_next(merge, &cp, &lane, NULL) == 1) {
		if (lane != 0)
			continue;
		assert_true(n < 6);
		assert_int_equal(cp.seq, want[n++]);
		assert_in_range(s.lane[0].at, n, n + 2);
	}
	assert_int_equal(n, 6);
	pb_merge_destroy(merge);
}

/*
 * Goal:   a look ahead sees what has still to be read.
 * Method: so many lanes that two of one packet are as much as one may hold.
 */
static void
a_look_ahead_goes_past_what_a_lane_may_hold(void **state)
{
	static const uint64_t a[] = { 1 * S, 1 * S + 9 * MS, 1 * S + 2 * MS };
	static const uint64_t b[] = { 1 * MS, 9 * S };
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	uint64_t time;
	size_t lane;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 3,
	    .caplen = PB_CAPLEN_MAX };
	for (size_t i = 1; i < LANES_MAX; i++)
		s.lane[i] = (struct script){ .time = b, .count = 2,
		    .together = 2 };
	merge = merge_of(&s, LANES_MAX, 0);
	do
		assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 1);
	while (lane != 0);
	assert_int_equal(cp.seq, 1);
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(pb_merge_peek(merge, &time, NULL), 1);
		assert_true(time == 1 * S + 2 * MS);
		assert_memory_equal(cp.packet.data, payload, PB_CAPLEN_MAX);
	}
	assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 1);
	assert_int_equal(lane, 0);
	assert_int_equal(cp.seq, 3);
	pb_merge_destroy(merge);
}

/*
 * Goal:   streams that do not overlap in time cost one open lane, also where
 *         they know when nothing more comes.
 * Method: 100 lanes of a second each, one after the other.
 */
static void
opens_one_after_the_other(bool floored)
{
	static uint64_t time[100][3];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	uint64_t last = 0;
	size_t lane, n = 0;

	s.open_most = 0;
	for (size_t i = 0; i < 100; i++) {
		for (size_t k = 0; k < 3; k++)
			time[i][k] = (100 - i) * S + k * 100 * MS;
		s.lane[i] = (struct script){ .time = time[i], .count = 3,
		    .floored = floored };
	}
	merge = merge_of(&s, 100, 0);
	while (pb_merge_next(merge, &cp, &lane, &err) == 1) {
		assert_true(cp.packet.time_ns > last);
		last = cp.packet.time_ns;
		n++;
	}
	assert_int_equal(n, 300);
	assert_in_range(s.open_most, 1, 2);
	pb_merge_destroy(merge);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(s.lane[i].opened, 1);
}

static void
a_lane_is_opened_when_its_first_time_is_reached(void **state)
{
	(void)state;
	opens_one_after_the_other(false);
	opens_one_after_the_other(true);
}

/*
 * Goal:   more streams at once than files: still all of it, in order, and a
 *         file is not opened for a few packets.
 * Method: 500 lanes that all overlap, 8 files; many in a batch, or one.
 */
static void
parks_seldom(size_t together)
{
	enum { LANES = 500, EACH = 400, FILES = 8 };
	static uint64_t time[LANES][EACH];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	uint64_t last = 0;
	size_t lane, n = 0;
	unsigned parks = 0;

	for (size_t i = 0; i < LANES; i++) {
		for (size_t k = 0; k < EACH; k++)
			time[i][k] = k * 20 * MS + i * 7;
		s.lane[i] = (struct script){ .time = time[i], .count = EACH,
		    .caplen = 100, .together = together };
	}
	merge = merge_of(&s, LANES, FILES);
	while (pb_merge_next(merge, &cp, &lane, &err) == 1) {
		assert_true(cp.packet.time_ns >= last);
		last = cp.packet.time_ns;
		n++;
	}
	pb_merge_destroy(merge);
	assert_int_equal(n, LANES * EACH);
	assert_true(s.reading_most <= FILES);
	assert_int_equal(s.open, 0);
	for (size_t i = 0; i < LANES; i++)
		parks += s.lane[i].parks;
	/* A lane takes many packets each time it takes a file. */
	assert_true(parks > 0);
	assert_true(parks < LANES * EACH / 50);
}

static void
lanes_beyond_the_files_are_parked_and_none_is_lost(void **state)
{
	(void)state;
	parks_seldom(1000);
	parks_seldom(1);
}

static void
large_packets_are_held_within_the_bytes_of_a_lane(void **state)
{
	enum { COUNT = 100 };
	static uint64_t time[COUNT];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	size_t lane, ahead;

	(void)state;
	for (size_t k = 0; k < COUNT; k++)
		time[k] = S + k;	/* all within the window */
	s.lane[0] = (struct script){ .time = time, .count = COUNT,
	    .caplen = PB_CAPLEN_MAX };
	merge = merge_of(&s, 1, 0);
	for (uint64_t i = 1; i <= COUNT; i++) {
		assert_int_equal(pb_merge_next(merge, &cp, &lane, &err), 1);
		assert_int_equal(cp.seq, i);
		ahead = s.lane[0].at - i;
		assert_true(ahead * PB_CAPLEN_MAX <= PB_MERGE_INPUT_BYTES_MAX);
	}
	pb_merge_destroy(merge);
}

static void
small_packets_that_are_held_are_counted_with_all_they_take(void **state)
{
	enum { COUNT = 100000 };
	static uint64_t time[COUNT];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	size_t lane;

	(void)state;
	for (size_t k = 0; k < COUNT; k++)
		time[k] = S;
	for (size_t together = 1; together < 100000; together *= 10) {
		s.lane[0] = (struct script){ .time = time, .count = COUNT,
		    .together = together };
		merge = merge_of(&s, 1, 0);
		assert_int_equal(pb_merge_next(merge, &cp, &lane, &err), 1);
		assert_int_equal(cp.seq, 1);
		assert_in_range(s.lane[0].at, 1000, PB_MERGE_INPUT_BYTES_MAX /
		    (sizeof(struct pb_batch_packet) + pb_epb_bytes(0, 12)) +
		    10000);
		pb_merge_destroy(merge);
		assert_int_equal(s.open, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_that_is_large_is_not_held_alone),
		cmocka_unit_test(a_look_ahead_goes_past_what_a_lane_may_hold),
		cmocka_unit_test(
		    a_lane_is_opened_when_its_first_time_is_reached),
		cmocka_unit_test(
		    lanes_beyond_the_files_are_parked_and_none_is_lost),
		cmocka_unit_test(
		    large_packets_are_held_within_the_bytes_of_a_lane),
		cmocka_unit_test(
		    small_packets_that_are_held_are_counted_with_all_they_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
