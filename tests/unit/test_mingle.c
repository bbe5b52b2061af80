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
bench_create(const struct pb_filter *filter)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	assert_int_equal(pb_mingle_create(&b->mingle, filter, NULL), 0);
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
	struct bench *b = bench_create(NULL);
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
	struct bench *b = bench_create(NULL);
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
	b = bench_create(filter);
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
	struct bench *b = bench_create(NULL);

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

static void
what_is_waited_for_in_vain_holds_up_nothing_for_long(void **state)
{
	struct bench *b = bench_create(NULL);
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
	struct bench *b = bench_create(NULL);
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

/* The second one has an earlier time; and nothing holds up the third. */
static void
units_of_a_stream_follow_one_another(void **state)
{
	struct bench *b = bench_create(NULL);
	struct pb_mingle_unit unit = { .stream = 1, .in_turn = true };
	struct pb_mingle_left left;

	(void)state;
	section_make(&b->img[0], 1, 2, 100, 100);
	section_make(&b->img[1], 3, 4, 50, 100);
	section_make(&b->img[2], 1, 1, 150, 1);
	add(b, 0, 1, 2);
	unit.data = b->img[1].data;
	unit.len = b->img[1].len;
	unit.first = 3;
	unit.last = 4;
	pb_mingle_add(b->mingle, 1, &unit, NOW);
	add(b, 2, 1, 1);
	expect(b, 0, 1);
	expect(b, 2, 1);
	expect(b, 0, 2);
	assert_int_equal(ended(b, 0, &left), PB_MINGLE_WHOLE);
	pb_mingle_remove(b->mingle, 0, true, NOW);
	expect(b, 1, 3);
	expect(b, 1, 4);
	bench_destroy(b);
}

/* Cut at each byte, or with a number that does not follow. */
static void
what_is_no_section_ends_its_unit_and_no_other(void **state)
{
	struct bench *b = bench_create(NULL);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_come_by_time_and_each_in_its_order),
		cmocka_unit_test(what_is_not_all_there_is_left_out_and_counted),
		cmocka_unit_test(
		    what_the_filter_does_not_want_is_left_out_and_counted),
		cmocka_unit_test(what_follows_a_unit_is_waited_for_a_moment),
		cmocka_unit_test(
		    what_is_waited_for_in_vain_holds_up_nothing_for_long),
		cmocka_unit_test(units_on_their_way_are_waited_for_a_moment),
		cmocka_unit_test(units_of_a_stream_follow_one_another),
		cmocka_unit_test(what_is_no_section_ends_its_unit_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
