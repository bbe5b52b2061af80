/*
 * tests/unit/test_rate.c - the token bucket, under a clock of the test's
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rate.h"

/* Take all there is at each millisecond of a minute. */
static uint64_t
taken_in_a_minute(uint64_t bits, size_t want, uint64_t step_ms)
{
	struct pb_rate rate;
	uint64_t sum = 0;

	pb_rate_init(&rate, bits, 0, 5000);
	for (uint64_t now = 5000; now < 65000; now += step_ms)
		for (size_t n; (n = pb_rate_take(&rate, want, now)) > 0;)
			sum += n;
	return sum;
}

static void
a_rate_holds_over_time(void **state)
{
	static const uint64_t bits[] = { 1000, 64000, 1000000, 100000000,
	    10000000000ull };

	(void)state;
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		uint64_t minute = bits[i] / 8 * 60;
		uint64_t burst = bits[i] / 8 / 20 + 256;
		uint64_t taken = taken_in_a_minute(bits[i], 100000, 1);

		assert_in_range(taken, minute - minute / 10 - 256,
		    minute + burst);
	}
}

static void
rare_looks_lose_no_more_than_what_is_saved_up(void **state)
{
	(void)state;
	/* Up to half a second late: still all of it, within 2 %. */
	for (uint64_t ms = 10; ms <= 400; ms *= 2)
		assert_in_range(taken_in_a_minute(8000000, 1 << 20, ms),
		    59400000, 60550000);
}

static void
nobody_saves_up_more_than_the_burst(void **state)
{
	static const uint64_t burst[] = { 0, 20000, 3000000 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint64_t most = burst[i] > 0 ? burst[i] : 50000;
		struct pb_rate rate;
		size_t sum = 0, n;

		pb_rate_init(&rate, 8000000, burst[i], 0);
		assert_int_equal(pb_rate_take(&rate, 100, 10), 100);
		while ((n = pb_rate_take(&rate, 10000, 3600000)) > 0)
			sum += n;
		assert_in_range(sum, most - 16384, most);
	}
}

static void
a_rate_changes_without_a_jump(void **state)
{
	struct pb_rate rate;
	uint64_t sum = 0;
	size_t n;

	(void)state;
	pb_rate_init(&rate, 8000000, 0, 0);
	for (uint64_t now = 0; now < 10000; now++) {
		if (now == 5000)
			pb_rate_change(&rate, 16000000, 0, now);
		while ((n = pb_rate_take(&rate, 100000, now)) > 0)
			sum += n;
	}
	assert_in_range(sum, 14800000, 15100000);
	pb_rate_change(&rate, 0, 0, 10000);
	assert_int_equal(pb_rate_take(&rate, 1 << 30, 10000), 1 << 30);
	pb_rate_change(&rate, 8000000, 0, 20000);
	for (sum = 0; (n = pb_rate_take(&rate, 100000, 20000)) > 0; )
		sum += n;
	assert_true(sum <= 50000);
}

static void
no_rate_takes_everything(void **state)
{
	struct pb_rate rate;

	(void)state;
	pb_rate_init(&rate, 0, 0, 0);
	assert_int_equal(pb_rate_take(&rate, 1 << 30, 0), 1 << 30);
	assert_int_equal(pb_rate_wait_ms(&rate, 0), 0);
}

/* Who waits as long as told gets something; a millisecond less, nothing. */
static void
the_wait_is_as_long_as_it_says(void **state)
{
	static const uint64_t bits[] = { 1, 7, 1000, 64000, 999999,
	    100000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		struct pb_rate rate;
		uint64_t now = 77;

		pb_rate_init(&rate, bits[i], 0, now);
		for (int turn = 0; turn < 50; turn++) {
			uint64_t wait;

			while (pb_rate_take(&rate, 1000000, now) > 0)
				continue;
			wait = pb_rate_wait_ms(&rate, now);
			assert_true(wait > 0);
			assert_int_equal(pb_rate_take(&rate, 1000000,
			    now + wait - 1), 0);
			now += wait;
			assert_int_equal(pb_rate_wait_ms(&rate, now), 0);
			assert_true(pb_rate_take(&rate, 1000000, now) > 0);
		}
	}
}

static void
a_clock_that_stands_or_steps_back_gives_nothing(void **state)
{
	struct pb_rate rate;

	(void)state;
	pb_rate_init(&rate, 8000, 0, 10000);
	while (pb_rate_take(&rate, 1000, 10000) > 0)
		continue;
	assert_int_equal(pb_rate_take(&rate, 1000, 10000), 0);
	assert_int_equal(pb_rate_take(&rate, 1000, 5), 0);
	assert_int_equal(pb_rate_take(&rate, 1000, 10000), 0);
	pb_rate_change(&rate, 16000, 0, 5);
	assert_int_equal(pb_rate_take(&rate, 1000, 10000), 0);
	assert_int_equal(pb_rate_wait_ms(&rate, 10000), 128);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_holds_over_time),
		cmocka_unit_test(rare_looks_lose_no_more_than_what_is_saved_up),
		cmocka_unit_test(nobody_saves_up_more_than_the_burst),
		cmocka_unit_test(a_rate_changes_without_a_jump),
		cmocka_unit_test(no_rate_takes_everything),
		cmocka_unit_test(the_wait_is_as_long_as_it_says),
		cmocka_unit_test(
		    a_clock_that_stands_or_steps_back_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
