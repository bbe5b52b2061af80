/*
 * tests/unit/test_age.c - an age that only grows, whatever clocks say
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/age.h"
#include "base/clock.h"

#define YEAR	(UINT64_C(365) * 86400 * 1000)
#define TODAY	UINT64_C(1700000000000)
#define HOUR	UINT64_C(3600000)

static void
move(struct pb_age *age, uint64_t boot, uint64_t boottime_ms,
    uint64_t real_ms, bool synced)
{
	struct pb_age_now now = { .boot = boot, .boottime_ms = boottime_ms,
	    .real_ms = real_ms, .synced = synced };
	uint64_t before = age->ms;

	pb_age_move(age, &now);
	assert_true(age->ms >= before && age->ms > 0);
}

static struct pb_age
born(uint64_t boot, uint64_t boottime_ms, uint64_t real_ms, bool synced)
{
	struct pb_age age = { .ms = 0 };

	move(&age, boot, boottime_ms, real_ms, synced);
	assert_int_equal(age.ms, 1);
	return age;
}

static void
a_wall_clock_that_steps_changes_nothing_while_the_machine_is_up(void **state)
{
	(void)state;
	for (int synced = 0; synced < 2; synced++) {
		struct pb_age age = born(7, 5000, TODAY, synced);

		move(&age, 7, 6000, TODAY + 4 * YEAR, synced);
		assert_int_equal(age.ms, 1001);
		move(&age, 7, 7000, TODAY - 4 * YEAR, synced);
		assert_int_equal(age.ms, 2001);
		move(&age, 7, 7000, 0, synced);
		assert_int_equal(age.ms, 2001);
		/* Nor between two runs: only boottime counts. */
		move(&age, 7, 7000 + HOUR, TODAY + YEAR, synced);
		assert_int_equal(age.ms, 2001 + HOUR);
	}
}

static void
the_time_between_two_boots_counts_where_both_clocks_are_vouched_for(
    void **state)
{
	static const struct {
		bool	before, now;
		int64_t	away;
		uint64_t counts;
	} rows[] = {
		{ true, true, (int64_t)HOUR, HOUR },
		{ true, true, -(int64_t)HOUR, 0 },
		{ true, true, 0, 0 },
		/* Believed up to a day. */
		{ true, true, (int64_t)(4 * YEAR), PB_AGE_AWAY_MS_MAX },
		{ true, false, (int64_t)(4 * YEAR), 0 },
		{ false, true, (int64_t)(4 * YEAR), 0 },
		{ false, false, (int64_t)(4 * YEAR), 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_age age = born(7, 5000, TODAY, rows[i].before);

		move(&age, 8, 100, TODAY + (uint64_t)rows[i].away,
		    rows[i].now);
		assert_int_equal(age.ms, 1 + rows[i].counts);
		move(&age, 8, 1100, TODAY + (uint64_t)rows[i].away + 1000,
		    rows[i].now);
		assert_int_equal(age.ms, 1 + rows[i].counts + 1000);
	}
}

/*
 * Goal:   a clock is synchronised a minute after the boot: what passed
 *         before counts then, once, and what ran meanwhile is part of it.
 */
static void
it_counts_once_when_the_clock_is_vouched_for_later(void **state)
{
	struct pb_age age = born(7, 5000, TODAY, true);

	(void)state;
	move(&age, 8, 1000, TODAY - 4 * YEAR, false);
	move(&age, 8, 61000, TODAY - 4 * YEAR + 60000, false);
	assert_int_equal(age.ms, 60001);
	move(&age, 8, 62000, TODAY + HOUR, true);
	assert_int_equal(age.ms, 1 + HOUR);
	/* Stepped again, vouched for or not: no more of that boot. */
	move(&age, 8, 63000, TODAY + 4 * YEAR, true);
	assert_int_equal(age.ms, 1001 + HOUR);
}

static void
a_boot_without_a_clock_in_between_is_part_of_it(void **state)
{
	struct pb_age age = born(7, 5000, TODAY, true);

	(void)state;
	move(&age, 8, 1000, 1000, false);
	move(&age, 8, 1000 + HOUR, 1000 + HOUR, false);
	assert_int_equal(age.ms, 1 + HOUR);
	move(&age, 9, 1000, TODAY + 3 * HOUR, true);
	assert_int_equal(age.ms, 1 + 3 * HOUR);
	/* Where it ran longer than the clocks say, it did. */
	age = born(7, 5000, TODAY, true);
	move(&age, 8, 1000, 1000, false);
	move(&age, 8, 1000 + HOUR, 1000 + HOUR, false);
	move(&age, 9, 1000, TODAY + 1000, true);
	assert_int_equal(age.ms, 1 + HOUR);
}

/* A store from another machine, or from a snapshot of this one. */
static void
another_boot_s_time_is_none_of_its_own(void **state)
{
	struct pb_age age = born(7, 5000, TODAY, false);

	(void)state;
	move(&age, 8, 5000 + YEAR, TODAY, false);
	assert_int_equal(age.ms, 1);
	move(&age, 8, 4000, TODAY, false);
	assert_int_equal(age.ms, 1);
	move(&age, 8, 4500, TODAY, false);
	assert_int_equal(age.ms, 501);
}

static void
a_flipped_bit_is_noticed(void **state)
{
	struct pb_age age = born(7, 5000, TODAY, true), rotten;

	(void)state;
	age.known_ms = 5;
	pb_age_sign(&age);
	assert_true(pb_age_sound(&age));
	for (size_t bit = 0; bit < 8 * sizeof(age); bit++) {
		rotten = age;
		((uint8_t *)&rotten)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(pb_age_sound(&rotten));
	}
	memset(&age, 0, sizeof(age));
	pb_age_sign(&age);
	assert_false(pb_age_sound(&age));
}

static void
what_has_only_a_time_comes_first_and_is_older_than_the_age(void **state)
{
	uint64_t ns = TODAY * PB_NS_PER_MS, future = ns + YEAR * PB_NS_PER_MS;

	(void)state;
	assert_int_equal(pb_age_key(0), 0);
	assert_true(pb_age_key(1) > pb_age_key_of_time(UINT64_MAX,
	    UINT64_MAX));
	assert_true(pb_age_key(2) > pb_age_key(1));
	/* Bounded by now. */
	assert_int_equal(pb_age_key_of_time(future, ns), ns);
	assert_int_equal(pb_age_key_of_time(5, ns), 5);
	assert_int_equal(pb_age_since(ns, 70000), 70000);
	assert_int_equal(pb_age_since(future, 70000), 70000);
	assert_int_equal(pb_age_since(pb_age_key(1), 70000), 69999);
	/* Never negative. */
	assert_int_equal(pb_age_since(pb_age_key(70001), 70000), 0);
	assert_int_equal(pb_age_time(pb_age_key(1), 1001, ns),
	    ns - 1000 * PB_NS_PER_MS);
	assert_int_equal(pb_age_time(pb_age_key(9), 1, ns), ns);
	assert_int_equal(pb_age_time(pb_age_key(1), TODAY + YEAR, ns), ns);
	assert_int_equal(pb_age_time(ns - 5, 1, ns), ns - 5);
	assert_int_equal(pb_age_time(future, 1, ns), ns);
}

static void
the_kernel_tells_boot_and_time(void **state)
{
	struct pb_age_now a, b;

	(void)state;
	pb_age_look(NULL, &a);
	pb_age_look(NULL, &b);
	assert_true(a.boot != 0 && a.boot == b.boot);
	assert_true(b.boottime_ms >= a.boottime_ms && a.boottime_ms > 0);
	if (pb_boot_id(NULL) != 0)
		assert_int_equal(a.boot, pb_boot_id(NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
    a_wall_clock_that_steps_changes_nothing_while_the_machine_is_up),
		cmocka_unit_test(
    the_time_between_two_boots_counts_where_both_clocks_are_vouched_for),
		cmocka_unit_test(
		    it_counts_once_when_the_clock_is_vouched_for_later),
		cmocka_unit_test(
		    a_boot_without_a_clock_in_between_is_part_of_it),
		cmocka_unit_test(another_boot_s_time_is_none_of_its_own),
		cmocka_unit_test(a_flipped_bit_is_noticed),
		cmocka_unit_test(
		    what_has_only_a_time_comes_first_and_is_older_than_the_age),
		cmocka_unit_test(the_kernel_tells_boot_and_time),
	};

	return cmocka_run_group_tests_name("age", tests, NULL, NULL);
}
