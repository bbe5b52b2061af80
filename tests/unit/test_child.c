/*
 * tests/unit/test_child.c - work that may end the process, done by a child
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"

/* With which a child is made to end, as valgrind does; 0: its own. */
static int other_status;

void
_exit(int status)
{
	for (;;)
		syscall(SYS_exit_group, other_status != 0 ? other_status :
		    status);
}

static int
fine(const void *arg, struct pb_err *err)
{
	(void)err;
	return *(const int *)arg == 7 ? 0 : PB_EINVAL;
}

static int
refuses(const void *arg, struct pb_err *err)
{
	return pb_err_set(err, PB_EFORMAT, "%s is not so", (const char *)arg);
}

static int
dies(const void *arg, struct pb_err *err)
{
	(void)err;
	raise(*(const int *)arg);
	return 0;
}

static int
hangs(const void *arg, struct pb_err *err)
{
	sigset_t all;

	(void)arg;
	(void)err;
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	sigsuspend(&all);
	return 0;
}

static void
what_the_work_answers_comes_back_with_its_words(void **state)
{
	struct pb_err err = { .code = 0 };
	const int seven = 7;
	int sig;

	(void)state;
	assert_int_equal(pb_child_run(fine, &seven, 5, &sig, &err), 0);
	assert_int_equal(sig, 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(pb_child_run(refuses, "this", 5, &sig, &err),
	    PB_EFORMAT);
	assert_int_equal(sig, 0);
	assert_int_equal(err.code, PB_EFORMAT);
	assert_string_equal(err.text, "this is not so");
	assert_int_equal(pb_child_run(refuses, "this", 0, &sig, NULL),
	    PB_EFORMAT);
}

static void
what_it_answers_is_not_its_status(void **state)
{
	struct pb_err err = { .code = 0 };
	const int seven = 7;
	int sig;

	(void)state;
	other_status = 99;
	assert_int_equal(pb_child_run(fine, &seven, 5, &sig, &err), 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(pb_child_run(refuses, "this", 5, &sig, &err),
	    PB_EFORMAT);
	assert_string_equal(err.text, "this is not so");
	other_status = 0;
}

static void
a_signal_that_tells_of_the_work_is_told_and_no_other(void **state)
{
	static const int deadly[] = { SIGBUS, SIGSEGV, SIGABRT, SIGFPE,
	    SIGILL };
	static const int others[] = { SIGKILL, SIGTERM };
	struct pb_err err;
	int sig;

	(void)state;
	/* As a sanitizer or a crash reporter has it. */
	signal(SIGSEGV, SIG_IGN);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		assert_int_equal(pb_child_run(dies, &deadly[i], 5, &sig,
		    &err), PB_ESYS);
		assert_int_equal(sig, deadly[i]);
	}
	signal(SIGSEGV, SIG_DFL);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(pb_child_run(dies, &others[i], 5, &sig,
		    &err), PB_ESYS);
		assert_int_equal(sig, 0);
		assert_true(err.text[0] != '\0');
	}
}

static void
what_takes_too_long_is_ended(void **state)
{
	uint64_t began = pb_clock_mono_ms();
	int sig;

	(void)state;
	assert_int_equal(pb_child_run(hangs, NULL, 1, &sig, NULL), PB_ESYS);
	assert_int_equal(sig, SIGALRM);
	assert_true(pb_clock_mono_ms() - began >= 900);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_the_work_answers_comes_back_with_its_words),
		cmocka_unit_test(what_it_answers_is_not_its_status),
		cmocka_unit_test(
		    a_signal_that_tells_of_the_work_is_told_and_no_other),
		cmocka_unit_test(what_takes_too_long_is_ended),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
