/*
 * tests/unit/test_ways.c - which packets go out of which interface
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/replay/ways.h"

static struct pb_err err;

static void
the_first_pattern_that_matches_counts(void **state)
{
	struct pb_ways ways = { .ways = 0 };

	(void)state;
	assert_int_equal(pb_ways_map(&ways, "lon1/eth0=out1", &err), 0);
	assert_int_equal(pb_ways_map(&ways, "lon1/*=out2", &err), 0);
	assert_int_equal(pb_ways_map(&ways, "par?/eth0=out1", &err), 0);
	assert_int_equal(ways.ways, 2);
	assert_int_equal(pb_ways_mapped(&ways, "lon1/eth0"), 0);
	assert_int_equal(pb_ways_mapped(&ways, "lon1/eth1"), 1);
	assert_int_equal(pb_ways_mapped(&ways, "par7/eth0"), 0);
	assert_int_equal(pb_ways_mapped(&ways, "par7/eth01"), PB_WAYS_NONE);
	assert_true(ways.map[0].matched && ways.map[1].matched);
	assert_int_equal(pb_ways_rest(&ways), PB_WAYS_NONE);
	assert_int_equal(pb_ways_interface(&ways, "out2", &err), 0);
	assert_int_equal(pb_ways_rest(&ways), 1);
}

static void
a_stream_may_have_an_equals_sign_in_its_name(void **state)
{
	struct pb_ways ways = { .ways = 0 };

	(void)state;
	assert_int_equal(pb_ways_map(&ways, "a/b=c=out", &err), 0);
	assert_int_equal(pb_ways_mapped(&ways, "a/b"), PB_WAYS_NONE);
	assert_false(ways.map[0].matched);
	assert_int_equal(pb_ways_mapped(&ways, "a/b=c"), 0);
	assert_string_equal(ways.way[0].name, "out");
}

static void
what_is_no_map_or_interface_is_refused(void **state)
{
	static const char *const wrong[] = { "", "=", "a/b", "a/b=", "=eth0",
	    "a/b=an-interface-too-long" };
	struct pb_ways ways = { .ways = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(pb_ways_map(&ways, wrong[i], &err),
		    PB_EINVAL);
	assert_int_equal(pb_ways_interface(&ways, "", &err), PB_EINVAL);
	assert_int_equal(ways.ways, 0);
	assert_int_equal(pb_ways_interface(&ways, "eth1", &err), 0);
	assert_int_equal(pb_ways_interface(&ways, "eth2", &err), PB_EINVAL);
}

static void
there_is_room_for_so_many(void **state)
{
	struct pb_ways ways = { .ways = 0 };
	char text[PB_WAYS_MAX + 1][32];

	(void)state;
	for (unsigned i = 0; i <= PB_WAYS_MAX; i++)
		snprintf(text[i], sizeof(text[i]), "a/e%u=out%u", i, i);
	for (unsigned i = 0; i < PB_WAYS_MAX; i++)
		assert_int_equal(pb_ways_map(&ways, text[i], &err), 0);
	assert_int_equal(pb_ways_map(&ways, text[PB_WAYS_MAX], &err),
	    PB_EINVAL);
	assert_int_equal(pb_ways_interface(&ways, "more", &err), PB_EINVAL);
	assert_int_equal(pb_ways_interface(&ways, "out63", &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_pattern_that_matches_counts),
		cmocka_unit_test(a_stream_may_have_an_equals_sign_in_its_name),
		cmocka_unit_test(what_is_no_map_or_interface_is_refused),
		cmocka_unit_test(there_is_room_for_so_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
