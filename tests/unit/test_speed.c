/*
 * tests/unit/test_speed.c - how fast counters grow, under a clock of the
 * test's
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shipper/ship/speed.h"

/* Looks each `step_ms` for `ms`, while packets come at `per_s`. */
static void
run(struct pb_speed *speed, uint64_t *now_ms, uint64_t count[PB_SPEED_WHATS],
    uint64_t ms, uint64_t step_ms, uint64_t per_s)
{
	for (uint64_t i = 0; i < ms; i += step_ms) {
		*now_ms += step_ms;
		count[PB_SPEED_PACKETS] += per_s * step_ms / 1000;
		count[PB_SPEED_BYTES] += 100 * per_s * step_ms / 1000;
		pb_speed_look(speed, *now_ms, count);
	}
}

static void
it_is_what_came_in_the_last_ten_seconds(void **state)
{
	static const uint64_t steps[] = { 100, 250, 1000, 3000 };

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct pb_speed speed = { .looks = 0 };
		uint64_t count[PB_SPEED_WHATS] = { 7, 7, 7 }, now = 12345;

		pb_speed_look(&speed, now, count);
		assert_int_equal(speed.per_s[PB_SPEED_PACKETS], 0);
		run(&speed, &now, count, 60000, steps[i], 1000);
		assert_int_equal(speed.per_s[PB_SPEED_PACKETS], 1000);
		assert_int_equal(speed.per_s[PB_SPEED_BYTES], 100000);
		assert_int_equal(speed.per_s[PB_SPEED_COMES], 0);
		/* Half of the time at twice the speed. */
		run(&speed, &now, count, 6000, steps[i], 3000);
		assert_in_range(speed.per_s[PB_SPEED_PACKETS], 1900, 2500);
		run(&speed, &now, count, 15000, steps[i], 0);
		assert_int_equal(speed.per_s[PB_SPEED_PACKETS], 0);
	}
}

static void
the_first_seconds_count_as_they_are(void **state)
{
	struct pb_speed speed = { .looks = 0 };
	uint64_t count[PB_SPEED_WHATS] = { 0 }, now = 1;

	(void)state;
	pb_speed_look(&speed, now, count);
	run(&speed, &now, count, 500, 100, 5000);
	assert_int_equal(speed.per_s[PB_SPEED_PACKETS], 5000);
	/* The same moment again. */
	pb_speed_look(&speed, now, count);
	assert_int_equal(speed.per_s[PB_SPEED_PACKETS], 5000);
}

static void
a_counter_that_begins_anew_is_no_speed(void **state)
{
	struct pb_speed speed = { .looks = 0 };
	uint64_t count[PB_SPEED_WHATS] = { 0 }, now = 1;

	(void)state;
	run(&speed, &now, count, 20000, 1000, 1000);
	count[PB_SPEED_PACKETS] = 3;
	run(&speed, &now, count, 3000, 1000, 10);
	assert_int_equal(speed.per_s[PB_SPEED_PACKETS], 0);
	run(&speed, &now, count, 20000, 1000, 10);
	assert_int_equal(speed.per_s[PB_SPEED_PACKETS], 10);
}

static void
what_is_left_takes_as_long_as_more_goes_than_comes(void **state)
{
	(void)state;
	assert_int_equal(pb_speed_left_s(0, 0, 0), 0);
	assert_int_equal(pb_speed_left_s(0, 1, 100), 0);
	assert_int_equal(pb_speed_left_s(1000, 100, 0), 10);
	assert_int_equal(pb_speed_left_s(1001, 100, 0), 11);
	assert_int_equal(pb_speed_left_s(1, 100, 0), 1);
	assert_int_equal(pb_speed_left_s(1000, 100, 90), 100);
	assert_true(pb_speed_left_s(1000, 100, 100) == UINT64_MAX);
	assert_true(pb_speed_left_s(1, 0, 0) == UINT64_MAX);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_what_came_in_the_last_ten_seconds),
		cmocka_unit_test(the_first_seconds_count_as_they_are),
		cmocka_unit_test(a_counter_that_begins_anew_is_no_speed),
		cmocka_unit_test(
		    what_is_left_takes_as_long_as_more_goes_than_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
