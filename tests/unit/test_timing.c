/*
 * tests/unit/test_timing.c - times that things took, or were off by
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/timing.h"

static struct pb_timing *
timing_create(void)
{
	struct pb_timing *timing = calloc(1, sizeof(*timing));

	assert_non_null(timing);
	return timing;
}

static void
nothing_in_it_is_nothing_found(void **state)
{
	struct pb_timing *timing = timing_create();

	(void)state;
	assert_int_equal(pb_timing_find(timing, 500), 0);
	assert_int_equal(pb_timing_find(timing, 1000), 0);
	free(timing);
}

static void
small_values_are_exact(void **state)
{
	struct pb_timing *timing = timing_create();

	(void)state;
	for (uint64_t i = 1; i <= 200; i++)
		pb_timing_add(timing, i);
	assert_int_equal(pb_timing_find(timing, 500), 100);
	assert_int_equal(pb_timing_find(timing, 990), 198);
	assert_int_equal(pb_timing_find(timing, 999), 200);
	assert_int_equal(pb_timing_find(timing, 1000), 200);
	assert_int_equal(pb_timing_find(timing, 0), 0);
	free(timing);
}

/* Goal:   any value is found within 1 % above, none below.
 * Method: each edge of a power of two, alone beside a greater one. */
static void
no_value_is_found_below_or_a_hundredth_above(void **state)
{
	struct pb_timing *timing;
	uint64_t value, found;

	(void)state;
	for (unsigned shift = 0; shift < 64; shift++)
		for (int off = -1; off <= 1; off++) {
			value = (UINT64_C(1) << shift) + (uint64_t)off;
			timing = timing_create();
			pb_timing_add(timing, value);
			pb_timing_add(timing, UINT64_MAX);
			found = pb_timing_find(timing, 500);
			assert_true(found >= value);
			assert_true(found - value <= value / 100);
			assert_int_equal(pb_timing_find(timing, 1000),
			    UINT64_MAX);
			free(timing);
		}
}

static void
none_is_above_the_greatest(void **state)
{
	struct pb_timing *timing = timing_create();

	(void)state;
	for (int i = 0; i < 1000; i++)
		pb_timing_add(timing, 1000000);
	assert_int_equal(pb_timing_find(timing, 500), 1000000);
	assert_int_equal(timing->max, 1000000);
	free(timing);
}

static void
one_in_a_thousand_is_the_last_thousandth(void **state)
{
	struct pb_timing *timing = timing_create();

	(void)state;
	for (int i = 0; i < 9990; i++)
		pb_timing_add(timing, 5);
	for (int i = 0; i < 10; i++)
		pb_timing_add(timing, 100);
	assert_int_equal(pb_timing_find(timing, 999), 5);
	pb_timing_add(timing, 100);
	assert_int_equal(pb_timing_find(timing, 999), 100);
	free(timing);
}

/* Goal:   who walks the buckets finds what a rank finds.
 * Method: the edges ascend, and each is in its own bucket. */
static void
a_bucket_ends_where_the_next_one_begins(void **state)
{
	struct pb_timing *timing = timing_create();

	(void)state;
	for (size_t i = 0; i < PB_TIMING_BUCKETS; i++) {
		pb_timing_add(timing, pb_timing_edge(i));
		assert_int_equal(timing->bucket[i], 1);
		assert_int_equal(pb_timing_at(timing, i + 1),
		    pb_timing_edge(i));
	}
	assert_int_equal(pb_timing_edge(PB_TIMING_BUCKETS - 1), UINT64_MAX);
	free(timing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_in_it_is_nothing_found),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(no_value_is_found_below_or_a_hundredth_above),
		cmocka_unit_test(none_is_above_the_greatest),
		cmocka_unit_test(one_in_a_thousand_is_the_last_thousandth),
		cmocka_unit_test(a_bucket_ends_where_the_next_one_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
