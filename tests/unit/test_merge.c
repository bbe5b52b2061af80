/*
 * tests/unit/test_merge.c - many streams in one order
 */
#include "tests/unit/merge_lanes.h"

static void
no_lanes_give_nothing(void **state)
{
	static struct scripts s;

	(void)state;
	gives(&s, 0, NULL, 0);
}

static void
lanes_come_out_by_time_and_ties_by_lane(void **state)
{
	static const uint64_t a[] = { 1 * S, 3 * S, 5 * S };
	static const uint64_t b[] = { 2 * S, 3 * S, 4 * S };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 1, 1 }, { 0, 2 }, { 1, 2 }, { 1, 3 }, { 0, 3 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 3 };
	s.lane[1] = (struct script){ .time = b, .count = 3 };
	gives(&s, 2, want, 6);
}

static void
equal_times_of_a_lane_keep_their_order(void **state)
{
	static const uint64_t a[] = { 7, 7, 7, 7, 7, 7, 7 };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 0, 2 }, { 0, 3 }, { 0, 4 }, { 0, 5 }, { 0, 6 },
		{ 0, 7 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 7 };
	gives(&s, 1, want, 7);
}

static void
times_that_run_back_within_the_window_are_put_in_order(void **state)
{
	static const uint64_t a[] = { 1 * S, 1 * S + 9 * MS, 1 * S + 2 * MS,
	    1 * S + 20 * MS };
	static const uint64_t b[] = { 1 * S + 1 * MS, 1 * S + 8 * MS };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 1, 1 }, { 0, 3 }, { 1, 2 }, { 0, 2 }, { 0, 4 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 4 };
	s.lane[1] = (struct script){ .time = b, .count = 2 };
	gives(&s, 2, want, 6);
}

static void
backwards_it_is_all_the_other_way_round(void **state)
{
	static const uint64_t a[] = { 1 * S, 1 * S + 9 * MS, 1 * S + 2 * MS,
	    1 * S + 20 * MS, 3 * S, 3 * S };
	static const uint64_t b[] = { 1 * S + 1 * MS, 1 * S + 8 * MS, 3 * S,
	    4 * S };
	static const unsigned want[][2] = {
		{ 1, 4 }, { 1, 3 }, { 0, 6 }, { 0, 5 }, { 0, 4 }, { 0, 2 },
		{ 1, 2 }, { 0, 3 }, { 1, 1 }, { 0, 1 },
	};
	static struct scripts s = { .backwards = true };
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	uint64_t time;
	size_t lane;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 6 };
	s.lane[1] = (struct script){ .time = b, .count = 4 };
	gives(&s, 2, want, 10);
	s.lane[0].at = s.lane[1].at = 0;
	merge = merge_of(&s, 2, 0);
	assert_int_equal(pb_merge_peek(merge, &time, NULL), 1);
	assert_true(time == 4 * S);
	assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 1);
	assert_true(cp.packet.time_ns == 4 * S);
	pb_merge_destroy(merge);
}

static void
a_packet_later_than_the_window_goes_out_when_it_is_met(void **state)
{
	static const uint64_t a[] = { 1 * S, 2 * S, 3 * S, 1 * S + 1, 4 * S };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 0, 4 }, { 0, 2 }, { 0, 3 }, { 0, 5 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 5 };
	gives(&s, 1, want, 5);
}

static void
a_packet_without_a_time_stays_behind_the_one_before_it(void **state)
{
	static const uint64_t a[] = { 0, 1 * S, 0, 3 * S };
	static const uint64_t b[] = { 2 * S };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 0, 2 }, { 0, 3 }, { 1, 1 }, { 0, 4 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 4, .untimed = true };
	s.lane[1] = (struct script){ .time = b, .count = 1 };
	gives(&s, 2, want, 5);
}

/*
 * Goal:   who sends at the packets' pace knows how long to wait.
 * Method: look ahead twice behind each packet, and at the end.
 */
static void
a_look_ahead_tells_the_next_time_and_leaves_the_packet(void **state)
{
	static const uint64_t a[] = { 1 * S, 0, 4 * S }, b[] = { 2 * S };
	static const uint64_t want[] = { 1 * S, 1 * S, 2 * S, 4 * S };
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	uint64_t time;
	size_t lane;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 3, .untimed = true,
	    .caplen = 100 };
	s.lane[1] = (struct script){ .time = b, .count = 1, .caplen = 100 };
	memset(payload, 0xa5, sizeof(payload));
	merge = merge_of(&s, 2, 0);
	for (size_t i = 0; i < 4; i++) {
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(pb_merge_peek(merge, &time, NULL), 1);
			assert_true(time == want[i]);
			if (i > 0)
				assert_memory_equal(cp.packet.data, payload,
				    100);
		}
		assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 1);
		assert_int_equal(lane, i == 2);
	}
	assert_int_equal(pb_merge_peek(merge, &time, NULL), 0);
	assert_memory_equal(cp.packet.data, payload, 100);
	assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 0);
	pb_merge_destroy(merge);
}

static void
an_error_of_a_lane_is_passed_on(void **state)
{
	static const uint64_t a[] = { 1 * S, 2 * S };
	static const uint64_t b[] = { 1 * S, 2 * S, 3 * S };
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	size_t lane;
	int rc;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 2 };
	s.lane[1] = (struct script){ .time = b, .count = 3, .fail_at = 3 };
	merge = merge_of(&s, 2, 0);
	do
		rc = pb_merge_next(merge, &cp, &lane, &err);
	while (rc == 1);
	assert_int_equal(rc, PB_EDIGEST);
	assert_string_equal(err.text, "lane 1 is damaged");
	pb_merge_destroy(merge);
	assert_int_equal(s.open, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_lanes_give_nothing),
		cmocka_unit_test(lanes_come_out_by_time_and_ties_by_lane),
		cmocka_unit_test(equal_times_of_a_lane_keep_their_order),
		cmocka_unit_test(
		    times_that_run_back_within_the_window_are_put_in_order),
		cmocka_unit_test(backwards_it_is_all_the_other_way_round),
		cmocka_unit_test(
		    a_packet_later_than_the_window_goes_out_when_it_is_met),
		cmocka_unit_test(
		    a_packet_without_a_time_stays_behind_the_one_before_it),
		cmocka_unit_test(
		    a_look_ahead_tells_the_next_time_and_leaves_the_packet),
		cmocka_unit_test(an_error_of_a_lane_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
