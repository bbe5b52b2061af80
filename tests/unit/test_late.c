/*
 * tests/unit/test_late.c - libraries that are loaded when they are needed
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/late.h"

#define FUNCTIONS(of)	of(cos) of(sqrt)

struct functions {
	FUNCTIONS(PB_LATE_MEMBER)
};

static void
its_functions_can_be_called_once_it_is_loaded(void **state)
{
	static const char *const names[] = { FUNCTIONS(PB_LATE_NAME) };
	struct functions math = { NULL };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_late_load("libm.so.6", names, 2, &math, &err), 0);
	assert_true(math.cos(0) == 1 && math.sqrt(4) == 2);
}

static void
a_library_that_is_missing_is_named(void **state)
{
	static const char *const names[] = { FUNCTIONS(PB_LATE_NAME) };
	struct functions math = { NULL };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_late_load("libnowhere.so.7", names, 2, &math,
	    &err), PB_ENOENT);
	assert_non_null(strstr(err.text, "libnowhere.so.7"));
	assert_null(math.cos);
}

static void
where_one_function_is_missing_the_first_is_not_there(void **state)
{
	static const char *const names[] = { "cos", "square_of_circle" };
	struct functions math = { NULL };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_late_load("libm.so.6", names, 2, &math, &err),
	    PB_ENOENT);
	assert_string_equal(err.text,
	    "the library libm.so.6 has no square_of_circle()");
	assert_null(math.cos);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_functions_can_be_called_once_it_is_loaded),
		cmocka_unit_test(a_library_that_is_missing_is_named),
		cmocka_unit_test(
		    where_one_function_is_missing_the_first_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
