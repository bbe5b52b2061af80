/*
 * tests/unit/test_letters_age.c - dead letters and clocks that lie
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/age.h"
#include "base/clock.h"
#include "tests/unit/letters_fixture.h"

#define YEAR_MS	(UINT64_C(365) * 86400000)
#define BOOT	77u

static uint64_t
at(struct bench *b, uint64_t boottime_ms, uint64_t real_ms)
{
	struct pb_age_now now = { .boot = BOOT, .boottime_ms = boottime_ms,
	    .real_ms = real_ms };

	return pb_letters_age(b->letters, &now);
}

/* One segment's letter, by a wall clock that says `now_ns`. */
static void
demote_at(struct bench *b, unsigned segment, uint64_t now_ns)
{
	struct pb_err err = { .code = 0 };
	struct pb_stream_info row;
	struct pb_demotion why = { .upstream = "core", .stream = &row,
	    .dead = { .first = segment * PER + 1,
	    .last = (segment + 1) * PER, .reason = PB_DEAD_STALE },
	    .now_ns = now_ns,
	    .age_ms = pb_letters_age_ms(b->letters) };
	uint64_t done;

	fixture_stream_row(&b->f, &row);
	if (pb_letters_demote(b->letters, pb_store_index(b->f.store), &why,
	    &done, &err) < 0)
		fail_msg("%s", err.text);
}

static int
bound(struct bench *b, uint64_t bytes_max, uint64_t age_ms_max)
{
	return keep_bounds(b, "core", bytes_max, age_ms_max,
	    pb_letters_age_ms(b->letters));
}

static void
letters_get_old_by_boottime_alone(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 4);
	at(&b, 1000, 4 * YEAR_MS);
	demote_at(&b, 0, 8 * YEAR_MS * PB_NS_PER_MS);
	at(&b, 2000, 0);
	demote_at(&b, 1, 1);
	at(&b, 3000, 4 * YEAR_MS);
	demote_at(&b, 2, 4 * YEAR_MS * PB_NS_PER_MS);
	at(&b, 5999, 12 * YEAR_MS);
	assert_int_equal(bound(&b, 0, 5000), 0);
	at(&b, 6000, 0);
	assert_int_equal(bound(&b, 0, 5000), 1);
	assert_letter(&b, 1, 1, PER, PB_LETTER_GONE);
	at(&b, 8000, 0);
	assert_int_equal(bound(&b, 0, 5000), 2);
	bench_finish(&b);
}

static void
the_one_demoted_first_goes_first_whatever_the_clock_said(void **state)
{
	struct bench b;
	uint64_t bytes;

	(void)state;
	bench_init(&b, 4);
	at(&b, 1000, 0);
	demote_at(&b, 2, 4 * YEAR_MS * PB_NS_PER_MS);
	bytes = total(&b, "core").file_bytes;
	at(&b, 2000, 0);
	demote_at(&b, 0, 5);
	assert_int_equal(bound(&b, total(&b, "core").file_bytes - 1, 0), 1);
	assert_letter(&b, 2 * PER + 1, 2 * PER + 1, 3 * PER, PB_LETTER_GONE);
	assert_true(total(&b, "core").file_bytes <= bytes);
	bench_finish(&b);
}

static void
the_age_outlives_the_shipper(void **state)
{
	struct bench b;
	uint64_t before;

	(void)state;
	bench_init(&b, 2);
	before = at(&b, 1000, 0);
	/* By itself, after ten minutes; and with what is written anyway. */
	at(&b, 600999, 0);
	close_letters(&b);
	open_letters(&b);
	assert_in_range(pb_letters_age_ms(b.letters), before, before + 599999);
	at(&b, 1000, 0);
	before = at(&b, 602000, 0);
	close_letters(&b);
	open_letters(&b);
	assert_in_range(pb_letters_age_ms(b.letters), before, before + 60000);
	at(&b, 1000, 0);
	before = at(&b, 61000, 0);
	demote_at(&b, 0, NOW);
	close_letters(&b);
	open_letters(&b);
	assert_in_range(pb_letters_age_ms(b.letters), before, before + 60000);
	bench_finish(&b);
}

/*
 * Goal:   letters of a shipper that knew no ages come first, are as old as
 *         the age, and can be found and deleted.
 * Method: one without an age, as those rows are read; its time is in the
 *         future.
 */
static void
letters_from_before_come_first_and_get_old_from_now_on(void **state)
{
	struct pb_letter letter;
	struct pb_err err;
	struct bench b;
	uint64_t done;

	(void)state;
	bench_init(&b, 3);
	at(&b, 1000, 0);
	demote_at(&b, 0, NOW);
	{
		struct pb_stream_info row;
		struct pb_demotion why = { .upstream = "core",
		    .stream = &row, .dead = { .first = PER + 1,
		    .last = 2 * PER, .reason = PB_DEAD_STALE },
		    .now_ns = 60 * YEAR_MS * PB_NS_PER_MS };

		fixture_stream_row(&b.f, &row);
		assert_int_equal(pb_letters_demote(b.letters,
		    pb_store_index(b.f.store), &why, &done, &err), 0);
	}
	assert_int_equal(find(&b, "core", PER + 1, &letter), 1);
	assert_int_equal(letter.since_at, letter.since_ns);
	assert_int_equal(bound(&b, total(&b, "core").file_bytes - 1, 0), 1);
	assert_letter(&b, PER + 1, PER + 1, 2 * PER, PB_LETTER_GONE);
	assert_int_equal(bound(&b, 0, 3600000), 0);
	at(&b, 1000 + 3600000, 0);
	assert_int_equal(bound(&b, 0, 3600000), 1);
	assert_int_equal(rows_of(&b, PB_STATE_AGES), 0);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_get_old_by_boottime_alone),
		cmocka_unit_test(
		    the_one_demoted_first_goes_first_whatever_the_clock_said),
		cmocka_unit_test(the_age_outlives_the_shipper),
		cmocka_unit_test(
		    letters_from_before_come_first_and_get_old_from_now_on),
	};

	return cmocka_run_group_tests_name("letters age", tests, NULL, NULL);
}
