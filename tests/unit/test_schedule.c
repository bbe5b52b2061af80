/*
 * tests/unit/test_schedule.c - times of day, also past midnight
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "conf/schedule.h"

#define AT(hour, minute)	((hour) * 60u + (minute))

static void
without_ranges_it_is_always_open(void **state)
{
	struct pb_conf_schedule none = { .count = 0 };

	(void)state;
	for (unsigned m = 0; m < 1440; m++)
		assert_true(pb_schedule_open(&none, m));
}

static void
a_range_goes_past_midnight(void **state)
{
	struct pb_conf_schedule night = { .count = 1,
	    .range = { { AT(20, 0), AT(6, 0) } } };

	(void)state;
	for (unsigned m = 0; m < 1440; m++) {
		assert_int_equal(pb_schedule_open(&night, m),
		    m >= AT(20, 0) || m < AT(6, 0));
		if (!pb_schedule_open(&night, m))
			assert_int_equal(pb_schedule_opens(&night, m),
			    AT(20, 0));
	}
}

static void
of_several_the_next_one_is_told(void **state)
{
	struct pb_conf_schedule some = { .count = 3, .range = {
	    { AT(22, 0), AT(2, 0) }, { AT(12, 30), AT(13, 0) },
	    { AT(12, 0), AT(12, 45) } } };

	(void)state;
	assert_true(pb_schedule_open(&some, AT(12, 44)));
	assert_true(pb_schedule_open(&some, AT(12, 59)));
	assert_false(pb_schedule_open(&some, AT(13, 0)));
	assert_int_equal(pb_schedule_opens(&some, AT(13, 0)), AT(22, 0));
	assert_int_equal(pb_schedule_opens(&some, AT(2, 0)), AT(12, 0));
	assert_int_equal(pb_schedule_opens(&some, AT(21, 59)), AT(22, 0));
}

/* Local time: an hour ahead of UTC here. */
static void
the_clock_on_the_wall_says_until_when_it_waits(void **state)
{
	struct pb_conf_schedule night = { .count = 1,
	    .range = { { AT(20, 0), AT(6, 0) } } };
	struct pb_conf_schedule none = { .count = 0 };
	const uint64_t minute = 60 * 1000000000ull;

	(void)state;
	setenv("TZ", "XST-1", 1);
	tzset();
	assert_int_equal(pb_schedule_waits(&night, AT(12, 0) * minute),
	    AT(20, 0) + 1);
	assert_int_equal(pb_schedule_waits(&night, AT(18, 59) * minute),
	    AT(20, 0) + 1);
	assert_int_equal(pb_schedule_waits(&night, AT(19, 0) * minute), 0);
	assert_int_equal(pb_schedule_waits(&none, AT(12, 0) * minute), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_ranges_it_is_always_open),
		cmocka_unit_test(a_range_goes_past_midnight),
		cmocka_unit_test(of_several_the_next_one_is_told),
		cmocka_unit_test(
		    the_clock_on_the_wall_says_until_when_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
