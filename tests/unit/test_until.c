/*
 * tests/unit/test_until.c - keeping a time
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <time.h>

#include "base/clock.h"
#include "recorder/transmit/until.h"

static void
no_time_is_over_before_it_is(void **state)
{
	(void)state;
	for (int no_spin = 0; no_spin < 2; no_spin++) {
		struct pb_until until;
		uint64_t ns, now;

		pb_until_begin(&until, no_spin == 1);
		for (uint64_t i = 1; i < 20; i++) {
			ns = pb_clock_mono_ns() + i * i * 1000;
			now = pb_until(&until, ns);
			assert_true(now >= ns);
			assert_true(pb_clock_mono_ns() >= now);
			assert_true(until.lead_ns <= PB_UNTIL_LEAD_NS_MAX);
		}
		/* What is over is not waited for. */
		assert_true(pb_until(&until, 0) > 0);
		pb_until_end(&until);
	}
}

static void
a_lead_is_the_least_that_a_sleeper_was_late(void **state)
{
	uint64_t lead = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		lead = pb_until_lead(lead, 20000);
	assert_true(lead > 19900 && lead <= 20000);
	/* One that was very late says little. */
	assert_true(pb_until_lead(lead, 5000000) < 23000);
	assert_int_equal(pb_until_lead(lead, 3000), 3000);
	assert_int_equal(pb_until_lead(lead, 0), 0);
	for (int i = 0; i < 1000; i++)
		lead = pb_until_lead(lead, UINT64_MAX);
	assert_true(lead <= PB_UNTIL_LEAD_NS_MAX);
}

/* Goal:   who has no time to sleep does not keep others from running.
 * Method: none of its times is still to come. */
static void
who_never_sleeps_comes_before_others_no_more(void **state)
{
	struct pb_until until;
	uint64_t begun;

	(void)state;
	pb_until_begin(&until, true);
	if (!until.first) {
		pb_until_end(&until);
		print_message("skipped: may not ask for SCHED_FIFO\n");
		return;
	}
	begun = pb_clock_mono_ns();
	while (pb_until(&until, 0) <= begun + PB_UNTIL_AWAKE_NS)
		;
	assert_false(until.first);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	pb_until_end(&until);
}

static void
a_beginning_lies_behind_the_next_tick_and_no_further(void **state)
{
	struct timespec length;
	uint64_t tick, begin;

	(void)state;
	assert_int_equal(clock_getres(CLOCK_MONOTONIC_COARSE, &length), 0);
	tick = (uint64_t)length.tv_nsec;
	for (uint64_t ns = 0; ns < 3 * tick; ns += 997) {
		begin = pb_until_behind_tick(ns);
		assert_true(begin >= ns && begin < ns + tick);
		assert_int_equal(begin % tick, PB_UNTIL_TICK_NS);
		assert_int_equal(pb_until_behind_tick(begin), begin);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_time_is_over_before_it_is),
		cmocka_unit_test(who_never_sleeps_comes_before_others_no_more),
		cmocka_unit_test(a_lead_is_the_least_that_a_sleeper_was_late),
		cmocka_unit_test(
		    a_beginning_lies_behind_the_next_tick_and_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
