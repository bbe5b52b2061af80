/*
 * tests/unit/test_numbers.c - numbers that come one by one, to be a set
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/filter/numbers.h"

#define MANY		40000u
#define SET_BYTES	200000u

struct maker {
	struct pb_numbers numbers;
	struct pb_numbers_work work;
	uint8_t		 set[SET_BYTES + PB_VALUES_BEHIND];
	size_t		 len;
};

static struct maker *
make(uint32_t (*number)(uint32_t), uint32_t count)
{
	struct maker *maker = malloc(sizeof(*maker));

	assert_non_null(maker);
	pb_numbers_init(&maker->numbers, 4);
	for (uint32_t i = 0; i < count; i++)
		pb_numbers_add(&maker->numbers, number(i), number(i),
		    &maker->work);
	pb_numbers_end(&maker->numbers, &maker->work);
	return maker;
}

static void
finish(struct maker *maker)
{
	pb_numbers_finish(&maker->numbers);
	free(maker);
}

static unsigned
may_be(const struct maker *maker, uint32_t number)
{
	struct pb_place place = { 0, 4, maker->set, maker->len };
	struct pb_places places = { &place, 1, NULL };
	struct pb_known all = pb_known_any();
	struct pb_places_test test = { 0, 4, UINT32_MAX, &all, BPF_JEQ,
	    number };

	return pb_places_test(&places, &test) & PB_MAY_HOLD;
}

static uint32_t
anywhere(uint32_t i)
{
	return i * 2654435761u;
}

static uint32_t
few(uint32_t i)
{
	return 0x0a000000 + i % 50 * 9;
}

/* One behind the other, in no order; 0 and the greatest are among them. */
static uint32_t
dense(uint32_t i)
{
	return (i * 7919u) % 1000u - 500u;
}

static void
numbers_that_come_again_stand_in_it_once(void **state)
{
	struct maker *maker = make(few, MANY);

	(void)state;
	assert_int_equal(maker->numbers.spans, 50);
	assert_true(maker->numbers.exact);
	maker->len = pb_numbers_put(maker->set, SET_BYTES, &maker->numbers,
	    &maker->work);
	assert_in_range(maker->len, 50, 50 * 2);
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(may_be(maker, 0x0a000000 + i) != 0,
		    i % 9 == 0 && i < 450);
	finish(maker);
}

static void
numbers_side_by_side_are_a_span(void **state)
{
	struct maker *maker = make(dense, 1000);

	(void)state;
	assert_int_equal(maker->numbers.spans, 2);
	maker->len = pb_numbers_put(maker->set, SET_BYTES, &maker->numbers,
	    &maker->work);
	assert_in_range(maker->len, 8, 20);
	assert_true(may_be(maker, 499));
	assert_true(may_be(maker, UINT32_MAX));
	assert_false(may_be(maker, 500));
	finish(maker);
}

/* Of numbers of `bytes` bytes, some of them in spans. */
static struct maker *
make_short(unsigned bytes, unsigned as, uint32_t count)
{
	uint32_t most = UINT32_MAX >> (32 - 8 * bytes);
	struct maker *maker = malloc(sizeof(*maker));

	assert_non_null(maker);
	pb_numbers_init(&maker->numbers, as);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t lo = anywhere(i) >> (32 - 8 * bytes);
		uint32_t hi = i % 9 == 5 ? lo + i % 100 : lo;

		pb_numbers_add(&maker->numbers, lo, hi < most ? hi : most,
		    &maker->work);
	}
	pb_numbers_end(&maker->numbers, &maker->work);
	return maker;
}

static void
short_numbers_make_the_same_set_as_long_ones(void **state)
{
	static const uint32_t counts[] = { 0, 1, 2, 5, 60, 900, 5000, 16000 };

	(void)state;
	for (size_t c = 0; c < 2 * sizeof(counts) / sizeof(counts[0]); c++) {
		unsigned bytes = 1 + c % 2;
		struct maker *a = make_short(bytes, bytes, counts[c / 2]);
		struct maker *b = make_short(bytes, 4, counts[c / 2]);

		assert_int_equal(a->numbers.exact, b->numbers.exact);
		for (size_t room = SET_BYTES; room > 10; room /= 3) {
			a->len = pb_numbers_put(a->set, room, &a->numbers,
			    &a->work);
			b->len = pb_numbers_put(b->set, room, &b->numbers,
			    &b->work);
			assert_int_equal(a->len, b->len);
			assert_memory_equal(a->set, b->set, a->len);
		}
		finish(a);
		finish(b);
	}
}

static void
as_small_as_it_is_made_each_number_is_in_it(void **state)
{
	static const uint32_t counts[] = { 1, 30, 200, 3000, 6144, MANY };

	(void)state;
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		struct maker *maker = make(anywhere, counts[c]);
		size_t bytes = pb_numbers_bytes(&maker->numbers);

		while (bytes > 0) {
			struct pb_numbers before = maker->numbers;

			maker->len = pb_numbers_put(maker->set,
			    bytes + bytes / 4 + 300,
			    &maker->numbers, &maker->work);
			assert_in_range(maker->len, 1, bytes + bytes / 4 + 300);
			for (uint32_t i = 0; i < counts[c]; i += 7)
				assert_true(may_be(maker, anywhere(i)));
			assert_int_equal(maker->numbers.spans, before.spans);
			pb_numbers_shrink(&maker->numbers);
			assert_true(pb_numbers_bytes(&maker->numbers) <=
			    bytes - bytes / 5);
			bytes = pb_numbers_bytes(&maker->numbers);
		}
		assert_int_equal(pb_numbers_put(maker->set, SET_BYTES,
		    &maker->numbers, &maker->work), 0);
		finish(maker);
	}
}

static void
too_small_a_room_is_kept_to(void **state)
{
	(void)state;
	for (size_t room = 0; room < 2000; room += 1 + room / 8) {
		struct maker *maker = make(anywhere, 500);

		maker->len = pb_numbers_put(maker->set, room, &maker->numbers,
		    &maker->work);
		assert_in_range(maker->len, 0, room);
		for (uint32_t i = 0; maker->len > 0 && i < 500; i++)
			assert_true(may_be(maker, anywhere(i)));
		finish(maker);
	}
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(numbers_that_come_again_stand_in_it_once),
		cmocka_unit_test(numbers_side_by_side_are_a_span),
		cmocka_unit_test(short_numbers_make_the_same_set_as_long_ones),
		cmocka_unit_test(as_small_as_it_is_made_each_number_is_in_it),
		cmocka_unit_test(too_small_a_room_is_kept_to),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
