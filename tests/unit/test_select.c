/*
 * tests/unit/test_select.c - what --stream, --seq, --after ... select
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/query/select.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define NOW		(1700000000 * PB_NS_PER_S)

/* lon/eth0, numbers 10 to 20, seconds 100 to 200. */
static struct pb_stream_info
stream(void)
{
	struct pb_stream_info info = {
		.key = { .node = "lon", .interface = "eth0", .epoch = 1 },
		.first_seq = 10, .last_seq = 20, .packets = 11,
		.first_time = 100 * PB_NS_PER_S,
		.last_time = 200 * PB_NS_PER_S,
	};

	return info;
}

static void
nothing_asked_for_selects_whole_streams(void **state)
{
	struct pb_stream_info info = stream();
	struct pb_select select;

	(void)state;
	pb_select_init(&select);
	assert_true(pb_select_whole(&select));
	assert_true(pb_select_match(&select, &info));
	assert_true(select.limit == UINT64_MAX);
	info.packets = 0;
	assert_false(pb_select_match(&select, &info));
}

static void
a_range_of_numbers_is_read(void **state)
{
	static const struct {
		const char	*text;
		uint64_t	 first, last;
	} row[] = {
		{ "17", 17, 17 },
		{ "1-1", 1, 1 },
		{ "5-9", 5, 9 },
		{ "5-", 5, UINT64_MAX },
		{ "1-18446744073709551615", 1, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct pb_select select;

		pb_select_init(&select);
		assert_int_equal(pb_select_seq(&select, row[i].text, NULL),
		    0);
		assert_true(select.range.first_seq == row[i].first);
		assert_true(select.range.last_seq == row[i].last);
		assert_int_equal(pb_select_whole(&select),
		    row[i].first == 1 && row[i].last == UINT64_MAX);
	}
}

static void
what_is_no_range_is_refused_and_says_what_is(void **state)
{
	static const char *const text[] = {
		"", "-", "-5", "0", "0-5", "5-0", "9-5", "a", "1-b", "1-2-3",
		" 1", "1 ", "1,2", "18446744073709551616",
		"1-18446744073709551616",
		"11111111111111111111111111111111111111111111111111111111111"
		"111111",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(text); i++) {
		struct pb_select select;
		struct pb_err err;

		pb_select_init(&select);
		assert_int_equal(pb_select_seq(&select, text[i], &err),
		    PB_EINVAL);
		assert_non_null(strstr(err.text, "--seq"));
		assert_true(pb_select_whole(&select));
	}
}

static void
times_are_read_and_the_option_is_named_on_error(void **state)
{
	struct pb_select select;
	struct pb_err err;

	(void)state;
	pb_select_init(&select);
	select.now_ns = NOW;
	assert_int_equal(pb_select_after(&select, "-5m", &err), 0);
	assert_true(select.range.after_ns == NOW - 300 * PB_NS_PER_S);
	assert_int_equal(pb_select_before(&select, "1700000001.5", &err), 0);
	assert_true(select.range.before_ns == 1700000001500000000u);
	assert_int_equal(pb_select_after(&select, "soon", &err), PB_EINVAL);
	assert_memory_equal(err.text, "--after: ", 9);
	assert_int_equal(pb_select_before(&select, "", &err), PB_EINVAL);
	assert_memory_equal(err.text, "--before: ", 10);
}

static void
a_time_before_the_one_to_begin_with_is_a_mistake(void **state)
{
	struct pb_select select;
	struct pb_err err;

	(void)state;
	pb_select_init(&select);
	assert_int_equal(pb_select_after(&select, "5", &err), 0);
	assert_int_equal(pb_select_before(&select, "5", &err), 0);
	assert_int_equal(pb_select_before(&select, "4", &err), PB_EINVAL);
	assert_non_null(strstr(err.text, "write the earlier time behind"));
	pb_select_init(&select);
	assert_int_equal(pb_select_before(&select, "4", &err), 0);
	assert_int_equal(pb_select_after(&select, "5", &err), PB_EINVAL);
}

static void
a_limit_is_a_number(void **state)
{
	struct pb_select select;
	struct pb_err err;

	(void)state;
	pb_select_init(&select);
	assert_int_equal(pb_select_limit(&select, "0", &err), 0);
	assert_true(select.limit == 0);
	assert_int_equal(pb_select_limit(&select, "12", &err), 0);
	assert_true(select.limit == 12);
	assert_int_equal(pb_select_limit(&select, "-1", &err), PB_EINVAL);
	assert_int_equal(pb_select_limit(&select, "many", &err), PB_EINVAL);
}

static void
any_of_several_globs_selects(void **state)
{
	struct pb_stream_info info = stream();
	struct pb_select select;
	struct pb_err err;

	(void)state;
	pb_select_init(&select);
	assert_int_equal(pb_select_stream(&select, "par/*", &err), 0);
	assert_false(pb_select_match(&select, &info));
	assert_int_equal(pb_select_stream(&select, "*/eth0", &err), 0);
	assert_true(pb_select_match(&select, &info));
	assert_int_equal(pb_select_stream(&select, "", &err), PB_EINVAL);
	for (size_t i = 2; i < PB_SELECT_GLOBS_MAX; i++)
		assert_int_equal(pb_select_stream(&select, "x", &err), 0);
	assert_int_equal(pb_select_stream(&select, "x", &err), PB_EINVAL);
}

static void
a_stream_outside_the_ranges_is_not_looked_at(void **state)
{
	static const struct {
		uint64_t	first, last, after_s, before_s;
		bool		match;
	} row[] = {
		{ 1, 9, 0, 1000, false },
		{ 1, 10, 0, 1000, true },
		{ 20, 30, 0, 1000, true },
		{ 21, 30, 0, 1000, false },
		{ 1, 100, 0, 100, false },	/* before is not included */
		{ 1, 100, 0, 101, true },
		{ 1, 100, 200, 1000, true },	/* after is */
		{ 1, 100, 201, 1000, false },
	};
	struct pb_stream_info info = stream();

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct pb_select select;

		pb_select_init(&select);
		select.range = (struct pb_range){ row[i].first, row[i].last,
		    row[i].after_s * PB_NS_PER_S,
		    row[i].before_s * PB_NS_PER_S };
		assert_int_equal(pb_select_match(&select, &info),
		    row[i].match);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_asked_for_selects_whole_streams),
		cmocka_unit_test(a_range_of_numbers_is_read),
		cmocka_unit_test(
		    what_is_no_range_is_refused_and_says_what_is),
		cmocka_unit_test(
		    times_are_read_and_the_option_is_named_on_error),
		cmocka_unit_test(
		    a_time_before_the_one_to_begin_with_is_a_mistake),
		cmocka_unit_test(a_limit_is_a_number),
		cmocka_unit_test(any_of_several_globs_selects),
		cmocka_unit_test(
		    a_stream_outside_the_ranges_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
