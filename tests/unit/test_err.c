/*
 * tests/unit/test_err.c - error lines
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void
an_error_holds_its_code_and_its_words(void **state)
{
	struct pb_err err = { .sys = 5 };

	(void)state;
	assert_int_equal(pb_err_set(&err, PB_EFORMAT, "block %d: %s", 7,
	    "torn"), PB_EFORMAT);
	assert_int_equal(err.code, PB_EFORMAT);
	assert_int_equal(err.sys, 0);
	assert_string_equal(err.text, "block 7: torn");
}

static void
nobody_listening_still_gets_the_code(void **state)
{
	(void)state;
	errno = EIO;
	assert_int_equal(pb_err_set(NULL, PB_ELIMIT, "full"), PB_ELIMIT);
	assert_int_equal(pb_err_sys(NULL, "open"), PB_ESYS);
	for (int code = PB_ESYS; code >= PB_ELOOP; code--)
		assert_int_equal(pb_err_prefix(NULL, code, "here"), code);
}

static void
a_system_error_says_why_and_leaves_errno(void **state)
{
	static const struct {
		int sys, code;
	} rows[] = {
		{ ENOSPC, PB_ENOSPC }, { EDQUOT, PB_ENOSPC },
		{ ENOMEM, PB_ENOMEM }, { ENOENT, PB_ENOENT },
		{ EEXIST, PB_EEXIST }, { EIO, PB_ESYS }, { EACCES, PB_ESYS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_err err = { 0 };

		errno = rows[i].sys;
		assert_int_equal(pb_err_sys(&err, "open %s", "x"),
		    rows[i].code);
		assert_int_equal(errno, rows[i].sys);
		assert_int_equal(err.sys, rows[i].sys);
		assert_int_equal(err.code, rows[i].code);
		assert_int_equal(strncmp(err.text, "open x: ", 8), 0);
		assert_string_equal(err.text + 8, strerror(rows[i].sys));
	}
}

static void
a_prefix_stands_before_the_words(void **state)
{
	struct pb_err err;

	(void)state;
	pb_err_set(&err, PB_EINVAL, "no name");
	assert_int_equal(pb_err_prefix(&err, PB_EINVAL, "%s:%d", "a.conf",
	    3), PB_EINVAL);
	assert_string_equal(err.text, "a.conf:3: no name");
}

/*
 * Goal:   whatever the lengths, the text ends within its array.
 * Method: lengths on both sides of each bound, all three writers.
 */
static void
long_words_are_cut_and_not_overrun(void **state)
{
	static const int lengths[] = {
		0, 1, 253, 254, 255, 256, 510, 511, 512, 2000,
	};
	size_t count = sizeof(lengths) / sizeof(lengths[0]);
	char words[2001];

	(void)state;
	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	for (size_t i = 0; i < count * count; i++) {
		struct pb_err err;
		int text = lengths[i / count], prefix = lengths[i % count];

		pb_err_set(&err, PB_EINVAL, "%.*s", text, words);
		assert_int_equal(strlen(err.text), text > 511 ? 511 : text);
		pb_err_prefix(&err, err.code, "%.*s", prefix, words);
		assert_true(strlen(err.text) < PB_ERR_TEXT_MAX);
		errno = EIO;
		pb_err_sys(&err, "%.*s", text, words);
		assert_true(strlen(err.text) < PB_ERR_TEXT_MAX);
	}
}

static void
a_name_from_outside_cannot_forge_a_second_line(void **state)
{
	struct pb_err err;

	(void)state;
	pb_err_set(&err, PB_EFORMAT, "node %s", "a\nerror b: c\x1b[2J\x7f");
	assert_string_equal(err.text, "node a?error b: c?[2J?");
	errno = EIO;
	pb_err_sys(&err, "open %s", "a\tb");
	assert_int_equal(strncmp(err.text, "open a?b: ", 10), 0);
	pb_err_prefix(&err, err.code, "in\r\n%s", "c");
	assert_int_equal(strncmp(err.text, "in??c: open", 11), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_holds_its_code_and_its_words),
		cmocka_unit_test(nobody_listening_still_gets_the_code),
		cmocka_unit_test(a_system_error_says_why_and_leaves_errno),
		cmocka_unit_test(a_prefix_stands_before_the_words),
		cmocka_unit_test(long_words_are_cut_and_not_overrun),
		cmocka_unit_test(
		    a_name_from_outside_cannot_forge_a_second_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
