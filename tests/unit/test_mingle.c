/*
 * tests/unit/test_mingle.c - packets of several units, as one row of frames
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "pcapng/block.h"
#include "shipper/sink/mingle.h"
#include "tests/unit/unit_section.h"

#define NOW	1000000000ull

struct bench {
	struct pb_mingle *mingle;
	struct image	 img[4];
};

static struct bench *
bench_create(const struct pb_filter *filter, bool common)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	assert_int_equal(pb_mingle_create(&b->mingle, filter, common, NULL), 0);
	return b;
}

static void
bench_destroy(struct bench *b)
{
	pb_mingle_destroy(b->mingle);
	free(b);
}

/* The section of image `at` is unit `at`, of a stream of that number + 1. */
static void
add(struct bench *b, unsigned at, uint64_t first, uint64_t last)
{
	pb_mingle_add(b->mingle, at, &(struct pb_mingle_unit){
	    .data = b->img[at].data, .len = b->img[at].len,
	    .stream = at + 1, .in_turn = true, .first = first,
	    .last = last }, NOW);
}

static uint64_t
number(const struct pb_mingle_frame *frame)
{
	uint64_t seq;

	assert_int_equal(frame->frame.len, SECTION_PACKET);
	memcpy(&seq, frame->frame.data + SECTION_NUMBER, sizeof(seq));
	assert_int_equal(seq, frame->seq);
	return seq;
}

/* The next frame is this one. */
static void
expect(struct bench *b, unsigned unit, uint64_t seq)
{
	const struct pb_mingle_frame *frame;
	uint64_t until;

	frame = pb_mingle_peek(b->mingle, NOW, &until);
	assert_non_null(frame);
	assert_int_equal(frame->unit, unit);
	assert_int_equal(number(frame), seq);
	pb_mingle_take(b->mingle, unit);
}

static void
expect_none(struct bench *b, uint64_t now_ns, uint64_t until_ns)
{
	uint64_t until;

	assert_null(pb_mingle_peek(b->mingle, now_ns, &until));
	assert_int_equal(until, until_ns);
}

static enum pb_mingle_end
ended(struct bench *b, unsigned at, struct pb_mingle_left *left)
{
	enum pb_mingle_end how;

	assert_true(pb_mingle_ended(b->mingle, at, &how, left));
	return how;
}

static void
units_come_by_time_and_each_in_its_order(void **state)
{
	struct bench *b = bench_create(NULL, false);
	struct pb_mingle_left left;

	(void)state;
	section_begin(&b->img[0]);
	section_packet(&b->img[0], 7, 100, SECTION_PACKET);
	section_packet(&b->img[0], 8, 50, SECTION_PACKET);
	section_packet(&b->img[0], 9, 300, SECTION_PACKET);
	section_make(&b->img[1], 1, 3, 60, 60);
	add(b, 0, 7, 9);
	add(b, 1, 1, 3);
	expect(b, 1, 1);
	expect(b, 0, 7);
	expect(b, 0, 8);
	expect(b, 1, 2);
	expect(b, 1, 3);
	assert_int_equal(ended(b, 1, &left), PB_MINGLE_WHOLE);
	expect(b, 0, 9);
	assert_int_equal(ended(b, 0, &left), PB_MINGLE_WHOLE);
	expect_none(b, NOW, UINT64_MAX);
	bench_destroy(b);
}

static void
what_is_not_all_there_is_left_out_and_counted(void **state)
{
	const struct pb_mingle_frame *frame;
	struct bench *b = bench_create(NULL, false);
	struct pb_mingle_left left;
	uint64_t until;

	(void)state;
	section_begin(&b->img[0]);
	section_packet(&b->img[0], 1, 1, SECTION_PACKET + 1);
	section_packet(&b->img[0], 2, 2, 9000);
	section_packet(&b->img[0], 3, 3, SECTION_PACKET);
	section_packet(&b->img[0], 4, 4, 61);
	add(b, 0, 1, 4);
	frame = pb_mingle_peek(b->mingle, NOW, &until);
	assert_non_null(frame);
	assert_int_equal(number(frame), 3);
	assert_int_equal(frame->left.unfit, 2);
	pb_mingle_take(b->mingle, 0);
	assert_int_equal(ended(b, 0, &left), PB_MINGLE_WHOLE);
	assert_int_equal(left.unfit, 1);
	assert_string_equal(pb_mingle_unfit(b->mingle),
	    "packet 4: 60 of its 61 bytes were captured");
	bench_destroy(b);
}

static void
what_the_filter_does_not_want_is_left_out_and_counted(void **state)
{
	const struct pb_mingle_frame *frame;
	struct pb_filter *filter;
	struct bench *b;
	struct pb_mingle_left left;
	uint64_t until;

	(void)state;
	assert_int_equal(pb_filter_create(&filter, "ether[14] & 1 = 0",
	    PB_LINKTYPE_ETHERNET, NULL), 0);
	b = bench_create(filter, false);
	section_make(&b->img[0], 1, 7, 1, 1);
	add(b, 0, 1, 7);
	for (uint64_t seq = 2; seq <= 6; seq += 2) {
		frame = pb_mingle_peek(b->mingle, NOW, &until);
		assert_int_equal(number(frame), seq);
		assert_int_equal(frame->left.filtered, 1);
		pb_mingle_take(b->mingle, 0);
	}
	assert_int_equal(ended(b, 0, &left), PB_MINGLE_WHOLE);
	assert_int_equal(left.filtered, 1);
	bench_destroy(b);
	pb_filter_destroy(filter);
}

/* Its stream's next one may have what is next in time. */
static void
what_follows_a_unit_is_waited_for_a_moment(void **state)
{
	struct bench *b = bench_create(NULL, false);

	(void)state;
	section_make(&b->img[0], 1, 2, 10, 10);
	section_make(&b->img[1], 1, 3, 15, 10);
	add(b, 0, 1, 2);
	add(b, 1, 1, 3);
	expect(b, 0, 1);
	expect(b, 1, 1);
	expect(b, 0, 2);
	pb_mingle_remove(b->mingle, 0, true, NOW);
	expect_none(b, NOW, NOW + PB_MINGLE_HOLD_NS);
	section_make(&b->img[0], 3, 3, 30, 10);
	add(b, 0, 3, 3);
	expect(b, 1, 2);
	expect(b, 0, 3);
	expect(b, 1, 3);
	bench_destroy(b);
}

/* From its last frame on, and not only once it is not at hand any more. */
static void
what_follows_the_last_frame_of_a_unit_is_waited_for(void **state)
{
	struct pb_mingle_unit unit = { .stream = 1, .in_turn = true,
	    .first = 1, .last = 2 };

	(void)state;
	for (int more = 0; more < 2; more++) {
		struct bench *b = bench_create(NULL, false);

		section_make(&b->img[0], 1, 2, 10, 10);
		section_make(&b->img[1], 1, 1, 25, 10);
		unit.data = b->img[0].data;
		unit.len = b->img[0].len;
		unit.more = more;
		pb_mingle_add(b->mingle, 0, &unit, NOW);
		add(b, 1, 1, 1);
		expect(b, 0, 1);
		expect(b, 0, 2);
		if (more)
			expect_none(b, NOW, NOW + PB_MINGLE_HOLD_NS);
		else
			expect(b, 1, 1);
		/* It failed: nothing follows. */
		pb_mingle_remove(b->mingle, 0, false, NOW);
		if (more)
			expect(b, 1, 1);
		bench_destroy(b);
	}
}

static void
what_is_waited_for_in_vain_holds_up_nothing_for_long(void **state)
{
	struct bench *b = bench_create(NULL, false);
	uint64_t until;

	(void)state;
	section_make(&b->img[0], 1, 1, 10, 10);
	section_make(&b->img[1], 1, 1, 15, 10);
	add(b, 0, 1, 1);
	expect(b, 0, 1);
	pb_mingle_remove(b->mingle, 0, true, NOW);
	add(b, 1, 1, 1);
	expect_none(b, NOW, NOW + PB_MINGLE_HOLD_NS);
	assert_non_null(pb_mingle_peek(b->mingle, NOW + PB_MINGLE_HOLD_NS,
	    &until));
	bench_destroy(b);
}

static void
units_on_their_way_are_waited_for_a_moment(void **state)
{
	struct bench *b = bench_create(NULL, false);
	uint64_t until;

	(void)state;
	section_make(&b->img[0], 1, 1, 10, 10);
	section_make(&b->img[1], 1, 1, 5, 10);
	pb_mingle_add(b->mingle, 0, &(struct pb_mingle_unit){
	    .data = b->img[0].data, .len = b->img[0].len, .stream = 1,
	    .in_turn = true, .coming = 1, .first = 1, .last = 1 }, NOW);
	expect_none(b, NOW, NOW + PB_MINGLE_HOLD_NS);
	assert_non_null(pb_mingle_peek(b->mingle, NOW + PB_MINGLE_HOLD_NS,
	    &until));
	add(b, 1, 1, 1);
	expect(b, 1, 1);
	expect(b, 0, 1);
	bench_destroy(b);
}

/* Unit 0 has packets 1 and 2, unit 1 those that follow, at an earlier time;
 * unit 2 is another stream's. */
static struct bench *
two_of_a_stream(bool turned)
{
	struct bench *b = bench_create(NULL, false);
	struct pb_mingle_unit unit = { .stream = 1, .in_turn = true,
	    .first = 3, .last = 4 };

	section_make(&b->img[0], 1, 2, 100, 100);
	section_make(&b->img[1], 3, 4, 50, 100);
	section_make(&b->img[2], 1, 1, 150, 1);
	unit.data = b->img[1].data;
	unit.len = b->img[1].len;
	if (!turned)
		add(b, 0, 1, 2);
	pb_mingle_add(b->mingle, 1, &unit, NOW);
	if (turned)
		add(b, 0, 1, 2);
	add(b, 2, 1, 1);
	return b;
}

/* Nothing holds up the third. */
static void
units_of_a_stream_follow_by_number(bool turned)
{
	struct bench *b = two_of_a_stream(turned);
	struct pb_mingle_left left;

	expect(b, 0, 1);
	expect(b, 2, 1);
	expect(b, 0, 2);
	assert_int_equal(ended(b, 0, &left), PB_MINGLE_WHOLE);
	pb_mingle_remove(b->mingle, 0, true, NOW);
	expect(b, 1, 3);
	expect(b, 1, 4);
	bench_destroy(b);
}

static void
units_of_a_stream_follow_one_another(void **state)
{
	(void)state;
	units_of_a_stream_follow_by_number(false);
}

static void
units_of_a_stream_follow_whichever_came_first(void **state)
{
	(void)state;
	units_of_a_stream_follow_by_number(true);
}

/* Cut at each byte, or with a number that does not follow. */
static void
what_is_no_section_ends_its_unit_and_no_other(void **state)
{
	struct bench *b = bench_create(NULL, false);
	struct pb_mingle_left left;
	struct pb_mingle_unit unit = { .stream = 1, .in_turn = true,
	    .first = 1, .last = 3 };
	uint64_t until;

	(void)state;
	section_make(&b->img[0], 1, 3, 1, 1);
	unit.data = b->img[0].data;
	for (unit.len = 0; unit.len < b->img[0].len; unit.len++) {
		pb_mingle_add(b->mingle, 0, &unit, NOW);
		while (pb_mingle_peek(b->mingle, NOW, &until) != NULL)
			pb_mingle_take(b->mingle, 0);
		assert_int_equal(ended(b, 0, &left), PB_MINGLE_BROKEN);
		pb_mingle_remove(b->mingle, 0, false, NOW);
	}
	section_make(&b->img[1], 2, 3, 1, 1);
	section_make(&b->img[2], 1, 4, 1, 1);
	add(b, 1, 1, 3);
	add(b, 2, 1, 3);
	assert_int_equal(ended(b, 1, &left), PB_MINGLE_BROKEN);
	for (uint64_t seq = 1; seq <= 4; seq++)
		expect(b, 2, seq);
	assert_int_equal(ended(b, 2, &left), PB_MINGLE_BROKEN);
	bench_destroy(b);
}

/* --- a common time ------------------------------------------------------ */

#define T0	(1700000000 * PB_NS_PER_S)
#define YEAR	(365 * 86400 * PB_NS_PER_S)
#define S	PB_NS_PER_S

/* It is next at `now_ns`, and has this place in the common time. */
static void
expect_at(struct bench *b, uint64_t now_ns, unsigned unit, uint64_t common_ns,
    bool anew)
{
	const struct pb_mingle_frame *frame;
	uint64_t until;

	frame = pb_mingle_peek(b->mingle, now_ns, &until);
	assert_non_null(frame);
	assert_int_equal(frame->unit, unit);
	assert_int_equal(frame->common_ns, common_ns);
	assert_int_equal(frame->anew, anew);
	pb_mingle_take(b->mingle, unit);
}

/* Two clocks, a year apart; the one that is behind never rests. */
static void
a_clock_that_is_ahead_waits_for_one_silence(void **state)
{
	struct bench *b = bench_create(NULL, true);
	uint64_t ahead = T0 + YEAR;

	(void)state;
	section_make(&b->img[0], 1, 40, T0, S);
	section_make(&b->img[1], 1, 40, ahead, S);
	add(b, 1, 1, 40);
	add(b, 0, 1, 1);
	expect_at(b, NOW, 0, T0, false);
	pb_mingle_remove(b->mingle, 0, false, NOW);
	expect_none(b, NOW, NOW + PB_TEMPO_SILENCE_NS);
	/* What goes meanwhile does not make it wait for longer. */
	add(b, 0, 1, 40);
	for (uint64_t i = 0; i < 10; i++)
		expect_at(b, NOW + i * S, 0, T0 + i * S, false);
	expect_at(b, NOW + 10 * S, 1, ahead, true);
	/* From here on side by side, each with its own distances. */
	expect_at(b, NOW + 10 * S, 0, ahead, false);
	for (uint64_t i = 1; i < 30; i++) {
		expect_at(b, NOW + (10 + i) * S, 0, ahead + i * S, false);
		expect_at(b, NOW + (10 + i) * S, 1, ahead + i * S, false);
	}
	assert_int_equal(pb_mingle_moved(b->mingle)->streams, 1);
	assert_int_equal(pb_mingle_moved(b->mingle)->stream, 1);
	assert_int_equal(pb_mingle_moved(b->mingle)->by_ns, YEAR - 10 * S);
	bench_destroy(b);
}

/* It waits for all that is earlier, and then for a silence. */
static void
what_was_captured_long_ago_goes_in_the_order_of_its_times(void **state)
{
	struct bench *b = bench_create(NULL, true);
	struct pb_mingle_unit unit = { .in_turn = true, .first = 1,
	    .last = 40, .real_ns = T0 + YEAR };

	(void)state;
	section_make(&b->img[0], 1, 40, T0, S);
	section_make(&b->img[1], 1, 40, T0 + 60 * S, S);
	for (unsigned i = 0; i < 2; i++) {
		unit.data = b->img[i].data;
		unit.len = b->img[i].len;
		unit.stream = i + 1;
		pb_mingle_add(b->mingle, i, &unit, NOW);
	}
	for (uint64_t i = 0; i < 40; i++)
		expect_at(b, NOW + i * S, 0, T0 + i * S, false);
	/* More of the first is on its way: no silence begins. */
	pb_mingle_remove(b->mingle, 0, true, NOW + 39 * S);
	expect_none(b, NOW + 39 * S, NOW + 39 * S + PB_MINGLE_HOLD_NS);
	expect_none(b, NOW + 40 * S, NOW + 49 * S);
	expect_at(b, NOW + 49 * S, 1, T0 + 60 * S, true);
	bench_destroy(b);
}

static void
a_packet_of_1970_holds_up_nothing(void **state)
{
	struct bench *b = bench_create(NULL, true);

	(void)state;
	section_begin(&b->img[0]);
	section_packet(&b->img[0], 1, T0, SECTION_PACKET);
	section_packet(&b->img[0], 2, 5, SECTION_PACKET);
	section_packet(&b->img[0], 3, T0 + S, SECTION_PACKET);
	section_packet(&b->img[0], 4, T0 + 13 * S, SECTION_PACKET);
	add(b, 0, 1, 4);
	expect_at(b, NOW, 0, T0, false);
	expect_at(b, NOW, 0, T0, false);
	/* The clock is right again; a silence of twelve seconds is one. */
	expect_at(b, NOW + S, 0, T0 + S, false);
	expect_none(b, NOW + S, NOW + S + PB_TEMPO_SILENCE_NS);
	expect_at(b, NOW + S + PB_TEMPO_SILENCE_NS, 0, T0 + 13 * S, true);
	bench_destroy(b);
}

/* What was silent for long and comes now has been waited for. */
static void
a_silence_is_waited_for_once(void **state)
{
	struct bench *b = bench_create(NULL, true);

	(void)state;
	section_make(&b->img[0], 1, 2, T0, 3600 * S);
	add(b, 0, 1, 2);
	expect_at(b, NOW, 0, T0, false);
	expect_at(b, NOW + 3600 * S, 0, T0 + 3600 * S, true);
	bench_destroy(b);
}

/* They have one place where it is remembered. */
static void
streams_that_share_a_place_both_go(void **state)
{
	struct bench *b = bench_create(NULL, true);
	struct pb_mingle_unit unit = { .in_turn = true, .first = 1,
	    .last = 1 };

	(void)state;
	section_make(&b->img[0], 1, 1, T0, S);
	section_make(&b->img[1], 1, 1, 7, S);
	add(b, 0, 1, 1);
	expect_at(b, NOW, 0, T0, false);
	unit.data = b->img[1].data;
	unit.len = b->img[1].len;
	for (unsigned i = 1; i < 4; i++) {
		unit.stream = i * PB_MINGLE_APART_MAX;
		pb_mingle_add(b->mingle, i, &unit, NOW);
	}
	for (unsigned i = 1; i < 4; i++) {
		const struct pb_mingle_frame *frame;
		uint64_t until;

		frame = pb_mingle_peek(b->mingle, NOW, &until);
		assert_non_null(frame);
		assert_int_equal(frame->common_ns, T0);
		pb_mingle_take(b->mingle, frame->unit);
	}
	expect_none(b, NOW, UINT64_MAX);
	bench_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_that_is_ahead_waits_for_one_silence),
		cmocka_unit_test(a_packet_of_1970_holds_up_nothing),
		cmocka_unit_test(
		what_was_captured_long_ago_goes_in_the_order_of_its_times),
		cmocka_unit_test(a_silence_is_waited_for_once),
		cmocka_unit_test(streams_that_share_a_place_both_go),
		cmocka_unit_test(units_come_by_time_and_each_in_its_order),
		cmocka_unit_test(what_is_not_all_there_is_left_out_and_counted),
		cmocka_unit_test(
		    what_the_filter_does_not_want_is_left_out_and_counted),
		cmocka_unit_test(what_follows_a_unit_is_waited_for_a_moment),
		cmocka_unit_test(
		    what_follows_the_last_frame_of_a_unit_is_waited_for),
		cmocka_unit_test(
		    what_is_waited_for_in_vain_holds_up_nothing_for_long),
		cmocka_unit_test(units_on_their_way_are_waited_for_a_moment),
		cmocka_unit_test(units_of_a_stream_follow_one_another),
		cmocka_unit_test(units_of_a_stream_follow_whichever_came_first),
		cmocka_unit_test(what_is_no_section_ends_its_unit_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
