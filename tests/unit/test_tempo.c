/*
 * tests/unit/test_tempo.c - when a frame is to leave a local interface
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shipper/sink/tempo.h"

#define NOW	(1000 * PB_NS_PER_S)	/* less than packets' times */
#define T0	(1700000000 * PB_NS_PER_S)
#define MS	PB_NS_PER_MS

/* It is not due before, and counts as sent then. */
static void
expect(struct pb_tempo *tempo, uint64_t time_ns, uint64_t due_ns)
{
	assert_int_equal(pb_tempo_next(tempo, time_ns, 100, due_ns - 1),
	    due_ns);
	assert_int_equal(pb_tempo_next(tempo, time_ns, 100, due_ns), due_ns);
}

static void
without_a_pace_all_is_due_now(void **state)
{
	struct pb_tempo tempo;

	(void)state;
	pb_tempo_init(&tempo, false, 0);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(pb_tempo_next(&tempo, T0 - i, 9000, NOW),
		    NOW);
}

static void
packets_keep_their_distances(void **state)
{
	struct pb_tempo tempo;

	(void)state;
	pb_tempo_init(&tempo, true, 0);
	assert_int_equal(pb_tempo_next(&tempo, T0, 100, NOW), NOW);
	expect(&tempo, T0 + 5 * MS, NOW + 5 * MS);
	expect(&tempo, T0 + 5 * MS + 1, NOW + 5 * MS + 1);
	/* Another is there first: what was not due has changed nothing. */
	assert_int_equal(pb_tempo_next(&tempo, T0 + 90 * MS, 100, NOW + 6 *
	    MS), NOW + 90 * MS);
	expect(&tempo, T0 + 50 * MS, NOW + 50 * MS);
	expect(&tempo, T0 + 90 * MS, NOW + 90 * MS);
}

/* Who waited for it elsewhere says so. */
static void
a_time_that_begins_anew_is_due_with_the_one_before(void **state)
{
	struct pb_tempo tempo;

	(void)state;
	pb_tempo_init(&tempo, true, 0);
	assert_int_equal(pb_tempo_next(&tempo, T0, 100, NOW), NOW);
	pb_tempo_again(&tempo);
	assert_true(pb_tempo_next(&tempo, T0 * 2, 100, NOW + MS) <= NOW + MS);
	expect(&tempo, T0 * 2 + 9 * MS, NOW + 9 * MS);
}

static void
what_is_a_little_late_catches_up(void **state)
{
	struct pb_tempo tempo;
	uint64_t late = NOW + PB_TEMPO_LATE_NS;

	(void)state;
	pb_tempo_init(&tempo, true, 0);
	pb_tempo_next(&tempo, T0, 100, NOW);
	assert_true(pb_tempo_next(&tempo, T0 + MS, 100, late) <= late);
	expect(&tempo, T0 + PB_TEMPO_LATE_NS + MS, late + MS);
}

/* The interface was down for an hour. */
static void
what_is_much_too_late_begins_a_new_count(void **state)
{
	struct pb_tempo tempo;
	uint64_t late = NOW + 3600 * PB_NS_PER_S;

	(void)state;
	pb_tempo_init(&tempo, true, 0);
	pb_tempo_next(&tempo, T0, 100, NOW);
	assert_int_equal(pb_tempo_next(&tempo, T0 + MS, 100, late), late);
	expect(&tempo, T0 + 8 * MS, late + 7 * MS);
}

static void
a_long_silence_is_cut(void **state)
{
	struct pb_tempo tempo;

	(void)state;
	pb_tempo_init(&tempo, true, 0);
	pb_tempo_next(&tempo, T0, 100, NOW);
	expect(&tempo, T0 + 3600 * PB_NS_PER_S, NOW + PB_TEMPO_SILENCE_NS);
}

/* 100 bytes at 8 Mbit/s are 100 microseconds. */
static void
no_more_goes_than_the_rate_allows(void **state)
{
	struct pb_tempo tempo;
	uint64_t now = NOW;

	(void)state;
	pb_tempo_init(&tempo, false, 8000000);
	assert_int_equal(pb_tempo_next(&tempo, T0, 100, now), now);
	for (unsigned i = 0; i < 10000; i++) {
		now += 100000;
		expect(&tempo, T0, now);
	}
	/* Time without frames is not saved up. */
	now += PB_NS_PER_S;
	assert_int_equal(pb_tempo_next(&tempo, T0, 100, now), now);
	expect(&tempo, T0, now + 100000);
}

static void
the_later_one_of_distance_and_rate_holds(void **state)
{
	struct pb_tempo tempo;

	(void)state;
	pb_tempo_init(&tempo, true, 8000000);
	pb_tempo_next(&tempo, T0, 100, NOW);
	expect(&tempo, T0 + 1, NOW + 100000);
	expect(&tempo, T0 + MS, NOW + MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_pace_all_is_due_now),
		cmocka_unit_test(packets_keep_their_distances),
		cmocka_unit_test(
		    a_time_that_begins_anew_is_due_with_the_one_before),
		cmocka_unit_test(what_is_a_little_late_catches_up),
		cmocka_unit_test(what_is_much_too_late_begins_a_new_count),
		cmocka_unit_test(a_long_silence_is_cut),
		cmocka_unit_test(no_more_goes_than_the_rate_allows),
		cmocka_unit_test(the_later_one_of_distance_and_rate_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
