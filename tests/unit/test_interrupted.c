/*
 * tests/unit/test_interrupted.c - a signal while `pb` compiles a filter
 *
 * Method: a child compiles one that never comes to an end, and says so; each
 * signal that only sets a mark is said as well.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rot.h"
#include "cli/common/cli.h"
#include "recorder/filter/filter.h"
#include "tests/unit/temp.h"

#define LINKTYPE_ETHERNET	1
#define PATIENCE_S		60

static char dir[TEMP_NAME_MAX], hidden[TEMP_NAME_MAX + 8];
static int said[2];

int
pcap_compile(pcap_t *handle, struct bpf_program *program, const char *text,
    int optimize, bpf_u_int32 netmask)
{
	sigset_t all, none;

	(void)handle;
	(void)program;
	(void)text;
	(void)optimize;
	(void)netmask;
	/* None comes between the word and the wait. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &none);
	for (;;) {
		if (write(said[1], "", 1) != 1)
			_exit(1);
		sigsuspend(&none);
	}
}

static pid_t
start(bool begun)
{
	struct pb_filter *filter;
	int fd = open(hidden, O_CREAT | O_WRONLY, 0600);
	pid_t pid;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(pipe(said), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		close(said[1]);
		return pid;
	}
	alarm(PATIENCE_S);
	pb_cli_catch_signals();
	pb_rot_unlinks(hidden);
	if (begun)
		pb_cli_begun();
	(void)pb_filter_create(&filter, "ip", LINKTYPE_ETHERNET, NULL);
	_exit(1);
}

static void
expect_word(void)
{
	char word;

	assert_int_equal(read(said[0], &word, 1), 1);
}

static void
expect_end(pid_t pid, int sig)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
	assert_int_equal(access(hidden, F_OK), -1);
	close(said[0]);
}

static void
a_filter_that_is_compiled_for_long_is_interrupted(void **state)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };

	(void)state;
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		pid_t pid = start(false);

		expect_word();
		assert_int_equal(kill(pid, sigs[i]), 0);
		expect_end(pid, sigs[i]);
	}
}

static void
what_is_under_way_is_ended_by_the_second_signal(void **state)
{
	pid_t pid = start(true);

	(void)state;
	expect_word();
	assert_int_equal(kill(pid, SIGINT), 0);
	expect_word();
	assert_int_equal(kill(pid, SIGTERM), 0);
	expect_end(pid, SIGTERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_filter_that_is_compiled_for_long_is_interrupted),
		cmocka_unit_test(
		    what_is_under_way_is_ended_by_the_second_signal),
	};

	int rc;

	temp_make(dir, "interrupted");
	snprintf(hidden, sizeof(hidden), "%s/hidden", dir);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	temp_remove(dir);
	return rc;
}
