/*
 * tests/unit/test_wait.c - for how long the numbers of a stream wait
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shipper/ship/wait.h"

#define HOUR_MS	3600000ull
#define SPACING	PB_WAIT_SPACING_MS(HOUR_MS)

static void
numbers_are_stale_when_they_have_waited_and_not_before(void **state)
{
	struct pb_wait wait = { .marks = 0 };

	(void)state;
	assert_int_equal(pb_wait_stale(&wait, HOUR_MS, HOUR_MS), 0);
	pb_wait_note(&wait, 100, 5, SPACING);
	assert_int_equal(pb_wait_stale(&wait, HOUR_MS + 4, HOUR_MS), 0);
	assert_int_equal(pb_wait_stale(&wait, HOUR_MS + 5, HOUR_MS), 100);
}

static void
what_was_acknowledged_waits_no_more(void **state)
{
	struct pb_wait wait = { .marks = 0 };
	uint64_t age;

	(void)state;
	pb_wait_note(&wait, 100, 0, SPACING);
	pb_wait_note(&wait, 200, SPACING, SPACING);
	pb_wait_passed(&wait, 99);
	assert_int_equal(pb_wait_oldest(&wait, SPACING, &age), 100);
	assert_int_equal(age, SPACING);
	pb_wait_passed(&wait, 150);
	assert_int_equal(pb_wait_oldest(&wait, SPACING, &age), 200);
	assert_int_equal(age, 0);
	pb_wait_passed(&wait, 200);
	assert_int_equal(pb_wait_oldest(&wait, SPACING, &age), 0);
	assert_int_equal(age, 0);
}

/*
 * Goal:   ages are right to a spacing, in days of waiting, with few marks.
 * Method: one number every 7 s for 30 hours; what is stale at each moment
 *         is never younger than an hour, and no older by a spacing.
 */
static void
ages_are_right_to_a_spacing_however_long_it_lasts(void **state)
{
	struct pb_wait wait = { .marks = 0 };

	(void)state;
	for (uint64_t seq = 1; seq < 30 * HOUR_MS / 7000; seq++) {
		uint64_t now = seq * 7000;
		uint64_t stale;

		pb_wait_note(&wait, seq, now, SPACING);
		assert_true(wait.marks <= PB_WAIT_MARKS);
		stale = pb_wait_stale(&wait, now, HOUR_MS);
		assert_true(stale * 7000 + HOUR_MS <= now || stale == 0);
		if (now > HOUR_MS + 2 * SPACING)
			assert_true((stale + 1) * 7000 + HOUR_MS + SPACING +
			    7000 >= now);
	}
}

/* A stream that stopped growing right behind a mark is marked later. */
static void
the_last_numbers_get_their_mark_too(void **state)
{
	struct pb_wait wait = { .marks = 0 };

	(void)state;
	pb_wait_note(&wait, 100, 0, SPACING);
	pb_wait_note(&wait, 101, 1, SPACING);
	assert_int_equal(wait.marks, 1);
	pb_wait_note(&wait, 101, SPACING, SPACING);
	assert_int_equal(wait.marks, 2);
	assert_int_equal(pb_wait_stale(&wait, SPACING + HOUR_MS, HOUR_MS),
	    101);
	pb_wait_note(&wait, 101, 9 * SPACING, SPACING);
	assert_int_equal(wait.marks, 2);
}

static void
a_restart_neither_loses_nor_jumps_time(void **state)
{
	struct pb_wait wait = { .marks = 0 }, again;
	uint64_t age, seq;

	(void)state;
	pb_wait_note(&wait, 100, 0, SPACING);
	seq = pb_wait_oldest(&wait, HOUR_MS - 1000, &age);
	/* The next process has a clock of its own. */
	pb_wait_restore(&again, seq, age, 7);
	assert_int_equal(pb_wait_stale(&again, 7 + 999, HOUR_MS), 0);
	assert_int_equal(pb_wait_stale(&again, 7 + 1000, HOUR_MS), 100);
	/* Growth since then is younger. */
	pb_wait_note(&again, 200, 7, SPACING);
	assert_int_equal(pb_wait_stale(&again, 7 + 1000, HOUR_MS), 100);
	pb_wait_restore(&again, 0, age, 7);
	assert_int_equal(again.marks, 0);
}

static void
any_number_on_disk_is_survived(void **state)
{
	static const uint64_t any[] = { 0, 1, HOUR_MS, UINT64_MAX / 2,
	    UINT64_MAX - 1, UINT64_MAX };
	struct pb_wait wait;
	uint64_t age;

	(void)state;
	for (size_t i = 0; i < 6; i++)
		for (size_t j = 0; j < 6; j++) {
			pb_wait_restore(&wait, any[i], any[j], 5);
			assert_int_equal(pb_wait_oldest(&wait, 5, &age),
			    any[i]);
			assert_int_equal(age, any[i] > 0 ? any[j] : 0);
			pb_wait_note(&wait, 10, 6, SPACING);
			pb_wait_passed(&wait, UINT64_MAX);
			assert_int_equal(wait.marks, 0);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    numbers_are_stale_when_they_have_waited_and_not_before),
		cmocka_unit_test(what_was_acknowledged_waits_no_more),
		cmocka_unit_test(
		    ages_are_right_to_a_spacing_however_long_it_lasts),
		cmocka_unit_test(the_last_numbers_get_their_mark_too),
		cmocka_unit_test(a_restart_neither_loses_nor_jumps_time),
		cmocka_unit_test(any_number_on_disk_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
