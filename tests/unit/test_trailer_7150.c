/*
 * tests/unit/test_trailer_7150.c - ticks, and the keyframes they count from
 */
#include "tests/unit/trailer_frames.h"

#define BYTES		80u
#define TICK		0x123456789Aull	/* of the first keyframe */
#define SECOND		350000000ll	/* ticks */
#define S		1000000000ll	/* nanoseconds */

enum {
	TIMED = PB_STAMP_TIMED | PB_STAMP_EXTENDED | PB_STAMP_PLACED,
	ADRIFT = PB_STAMP_ADRIFT | PB_STAMP_PLACED,
	NO_KEY = PB_STAMP_ADRIFT,
};

static uint8_t mode;			/* of keyframes' FCS: 1 append */

static int
start(void **state)
{
	(void)state;
	mode = 1;
	list_is("arista7150", false);
	return 0;
}

/* A keyframe of the clock's `ns` past NOW_NS, with skew or without. */
static void
keyframe_is(uint64_t tick, int64_t ns, bool skew)
{
	static const uint8_t head[] = { 1, 0, 0x5E, 0, 0, 1, 2, 0, 0, 0, 0, 9,
	    0x08, 0x00 };
	uint32_t length = skew ? 82 : 66;

	frame.len = 0;
	put(head, sizeof(head));
	put_be(0x4500u << 16 | length, 4);
	put_be(0, 4);
	put_be(0x40FD, 2);
	/* Of 45 00, the length, 40 fd, 10.0.0.1 and 224.0.0.1. */
	put_be(0xFFFF - (0x4500 + length + 0x40FD + 0x0A00 + 1 + 0xE000 + 1) %
	    0xFFFF, 2);
	put_be(0x0A000001E0000001, 8);
	put_be(tick, 8);
	put_be(NOW_NS + (uint64_t)ns, 8);
	put_be(0, 8);
	if (skew) {
		put_be(1, 8);
		put_be(1, 8);
	}
	put_be(tick, 8);
	put_be(3, 8);			/* drops */
	put_be(0xABCD, 2);
	put_be(0x1234, 2);
	put_be(mode, 1);
	put_be(0, 1);
}

/* One is captured `at_ns` past NOW_NS. */
static void
keyframe(uint64_t tick, int64_t ns, int64_t at_ns)
{
	keyframe_is(tick, ns, false);
	read_cut(frame.len, frame.len, NOW_NS + (uint64_t)at_ns);
	assert_true(got.keyframe && got.whole);
	assert_int_equal(got.count, 0);
}

static void
stamped_frame(uint64_t tick, int64_t at_ns)
{
	host_sends(BYTES);
	arista7150((uint32_t)tick & 0x7FFFFFFF);
	if (!list.fcs)
		drop_fcs();
	read_cut(frame.len, frame.len, NOW_NS + (uint64_t)at_ns);
	assert_int_equal(got.count, 1);
	assert_false(got.keyframe);
}

/* From the worked example of 2015 that is cited in docs/trailers.md. */
static void
the_published_example_comes_out(void **state)
{
	const uint64_t utc = 1387240828522243471;
	uint8_t word[] = { 0xFF, 0x10, 0xAB, 0x76 };

	(void)state;
	keyframe_is(2136278506, (int64_t)(utc - NOW_NS), false);
	read_cut(frame.len, frame.len, utc);
	assert_true(got.keyframe);
	host_sends(BYTES);
	drop_fcs();
	put(word, 4);
	read_cut(frame.len, frame.len, utc + 9608080);
	assert_stamp(0, PB_STAMP_ARISTA7150, utc + 9608080, 0, TIMED);
}

static void
ticks_are_exact_on_both_sides_of_the_keyframe(void **state)
{
	(void)state;
	keyframe(TICK, 500, 1000);
	for (int64_t ticks = -100; ticks <= 100; ticks++) {
		/* Sevenths, rounded down. */
		int64_t parts = ticks * 20 + 7000, ns = parts / 7 - 1000;
		uint32_t fraction = (uint32_t)(((uint64_t)(parts % 7) << 32) /
		    7);

		stamped_frame(TICK + (uint64_t)ticks, 1000);
		assert_stamp(0, PB_STAMP_ARISTA7150,
		    NOW_NS + 500 + (uint64_t)ns, fraction, TIMED);
		assert_place(0, 0xABCD, 0x1234);
	}
}

/* The count wraps in 6.1 s; the capture's clock says how often it did. */
static void
ticks_wrap_as_often_as_time_went_by(void **state)
{
	(void)state;
	for (int64_t s = -10; s <= 10; s++) {
		list_is("arista7150", false);
		keyframe(TICK, 0, 0);
		stamped_frame(TICK + (uint64_t)(s * SECOND), s * S);
		assert_stamp(0, PB_STAMP_ARISTA7150,
		    NOW_NS + (uint64_t)(s * S), 0, TIMED);
	}
}

static void
without_a_keyframe_or_with_a_late_one_there_is_no_time(void **state)
{
	(void)state;
	stamped_frame(TICK, 0);
	assert_stamp(0, PB_STAMP_ARISTA7150, 0, 0, NO_KEY);
	keyframe(TICK, 0, 0);
	stamped_frame(TICK, 0);
	assert_int_equal(got.at[0].flags, TIMED);
	stamped_frame(TICK + (uint64_t)(10 * SECOND + 1), 10 * S + 1);
	assert_stamp(0, PB_STAMP_ARISTA7150, 0, 0, ADRIFT);
	pb_trailers_read(&list, NULL, frame.data, frame.len, frame.len,
	    NOW_NS, &got);
	assert_stamp(0, PB_STAMP_ARISTA7150, 0, 0, NO_KEY);
}

/* A frame that was captured more than a second off its own time. */
static void
a_tick_that_is_not_about_now_has_no_time(void **state)
{
	(void)state;
	keyframe(TICK, 0, 0);
	stamped_frame(TICK + SECOND, 0);
	assert_int_equal(got.at[0].flags, TIMED);
	stamped_frame(TICK + SECOND + 1, 0);
	assert_int_equal(got.at[0].flags, ADRIFT);
	stamped_frame(TICK + 3 * SECOND, 0);
	assert_int_equal(got.at[0].flags, ADRIFT);
}

/* The switch's clock was set, or its count began anew. */
static void
a_keyframe_out_of_step_counts_once_the_next_agrees(void **state)
{
	static const struct {
		int64_t ticks, ns;	/* past the one before */
		uint8_t flags;
	} rows[] = {
		{ SECOND, S, TIMED },
		{ SECOND, S + 200000, TIMED },		/* 200 in a million */
		{ SECOND, S - 200000, TIMED },
		{ SECOND, S + 202000, ADRIFT },
		{ SECOND, S - 202000, ADRIFT },
		{ SECOND, 2 * S, ADRIFT },
		{ -5 * SECOND, S, ADRIFT },
		{ 1ll << 50, S, ADRIFT },
		{ INT64_MIN, S, ADRIFT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t tick = TICK + (uint64_t)rows[i].ticks;

		list_is("arista7150", false);
		keyframe(TICK, 0, 0);
		keyframe(tick, rows[i].ns, S);
		stamped_frame(tick + 7, S + 20);
		assert_int_equal(got.at[0].flags, rows[i].flags);
		keyframe(tick + SECOND, rows[i].ns + S, 2 * S);
		stamped_frame(tick + SECOND + 7, 2 * S);
		assert_stamp(0, PB_STAMP_ARISTA7150,
		    NOW_NS + (uint64_t)(rows[i].ns + S) + 20, 0, TIMED);
	}
}

static void
a_keyframe_whose_clock_is_not_set_counts_for_nothing(void **state)
{
	(void)state;
	keyframe(TICK, -(int64_t)NOW_NS + 30 * 86400 * S, 0);
	stamped_frame(TICK, 0);
	assert_int_equal(got.at[0].flags, ADRIFT);
}

/* Behind the frame, or in place of its FCS: which, keyframes say. */
static void
the_mode_of_the_fcs_must_be_that_of_the_list(void **state)
{
	static const struct {
		uint8_t mode;
		bool fcs;
		uint8_t flags;
	} rows[] = {
		{ 1, false, TIMED }, { 1, true, TIMED },
		{ 2, false, TIMED }, { 2, true, ADRIFT },
		{ 0, false, ADRIFT }, { 0, true, ADRIFT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		list_is("arista7150", rows[i].fcs);
		mode = rows[i].mode;
		keyframe_is(TICK, 0, false);
		if (rows[i].fcs)
			put_fcs();
		read_cut(frame.len, frame.len, NOW_NS);
		assert_true(got.keyframe);
		assert_int_equal(got.has_fcs, rows[i].fcs);
		stamped_frame(TICK, 0);
		assert_int_equal(got.at[0].flags, rows[i].flags);
		assert_restored(BYTES, false);
	}
}

static void
keyframes_with_skew_or_tags_or_a_tick_behind_are_known(void **state)
{
	static const uint8_t tag[] = { 0x81, 0, 0, 7 };

	(void)state;
	for (int n = 0; n < 8; n++) {
		list_is("arista7150", false);
		keyframe_is(TICK, 0, n & 1);
		if (n & 2)
			put_be(0x11223344, 4);
		if (n & 4) {
			put_fcs();
			header(tag, sizeof(tag));
			drop_fcs();
		}
		read_frame();
		assert_true(got.keyframe);
		assert_int_equal(got.len, frame.len);
		stamped_frame(TICK, 0);
		assert_int_equal(got.at[0].flags, TIMED);
		assert_place(0, 0xABCD, 0x1234);
	}
}

static void
what_is_not_quite_a_keyframe_is_a_frame(void **state)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} rows[] = {
		{ 12, 0x86 },		/* not IPv4 */
		{ 14, 0x46 },		/* options */
		{ 17, 67 },		/* another length */
		{ 23, 17 },		/* another protocol */
		{ 25, 0xFF },		/* a wrong checksum */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		keyframe_is(TICK, 0, false);
		frame.data[rows[i].at] = rows[i].value;
		put_be(0, 4);		/* a tick */
		read_frame();
		assert_false(got.keyframe);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.at[0].flags, NO_KEY);
	}
	keyframe_is(TICK, 0, false);
	put_be(0, 2);			/* padded */
	read_frame();
	assert_false(got.keyframe);
}

static void
a_keyframe_that_ends_early_is_read_no_further(void **state)
{
	(void)state;
	for (uint32_t len = 0; len < 80; len++) {
		keyframe_is(TICK, 0, false);
		read_cut(len, len, NOW_NS);
		assert_false(got.keyframe);
		assert_within(len);
	}
}

/* A tap behind the switch stamps its keyframes too, and each trailer of a
 * list has keyframes of its own. */
static void
keyframes_are_found_inside_other_trailers(void **state)
{
	(void)state;
	list_is("metamako,arista7150,vss", true);
	keyframe_is(TICK, 0, false);
	put_fcs();
	metamako(NOW_S, 99, 0x01, 7, 8);
	read_frame();
	assert_true(got.keyframe && got.whole);
	assert_int_equal(got.read, 3);
	assert_int_equal(got.count, 1);
	assert_int_equal(got.at[0].time_ns, NOW_NS + 99);
	assert_int_equal(pb_trailers_check_fcs(&got, frame.data), 1);
	host_sends(BYTES);
	vss(NOW_S, 3u << 30 | 1, 0, 0);
	arista7150((TICK + 7) & 0x7FFFFFFF);
	metamako(NOW_S, 199, 0x01, 7, 8);
	read_frame();
	assert_int_equal(got.count, 3);
	assert_int_equal(got.at[0].time_ns, NOW_NS + 1);
	assert_stamp(1, PB_STAMP_ARISTA7150, NOW_NS + 20, 0, TIMED);
	assert_restored(BYTES, false);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup(name, start)
	const struct CMUnitTest tests[] = {
		TEST(the_published_example_comes_out),
		TEST(ticks_are_exact_on_both_sides_of_the_keyframe),
		TEST(ticks_wrap_as_often_as_time_went_by),
		TEST(without_a_keyframe_or_with_a_late_one_there_is_no_time),
		TEST(a_tick_that_is_not_about_now_has_no_time),
		TEST(a_keyframe_out_of_step_counts_once_the_next_agrees),
		TEST(a_keyframe_whose_clock_is_not_set_counts_for_nothing),
		TEST(the_mode_of_the_fcs_must_be_that_of_the_list),
		TEST(keyframes_with_skew_or_tags_or_a_tick_behind_are_known),
		TEST(what_is_not_quite_a_keyframe_is_a_frame),
		TEST(a_keyframe_that_ends_early_is_read_no_further),
		TEST(keyframes_are_found_inside_other_trailers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
