/*
 * tests/unit/test_log.c - log lines, and who reads them or does not
 *
 * The log is a whole process's: each case is a child that logs into what the
 * test gives it for standard error.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"

#define LINES		20000	/* far more than ring and pipe hold */
#define PATIENCE_MS	20000
#define TEXT_BYTES_MAX	(16u << 20)

struct child {
	pid_t	pid;
	int	told;		/* a byte comes when all is logged */
	int	go;		/* and it goes on when a byte comes */
};

static struct child
child_start(int standard_error, unsigned lines)
{
	int told[2], go[2];
	struct child child;

	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(go), 0);
	fflush(NULL);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		char byte;

		signal(SIGPIPE, SIG_IGN);
		dup2(standard_error, STDERR_FILENO);
		pb_log_start();
		for (unsigned i = 1; i <= lines; i++)
			pb_log(PB_LOG_INFO, "test", "line=%u %060d", i, 0);
		if (write(told[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(9);
		pb_log(PB_LOG_INFO, "test", "last left_out=%llu",
		    (unsigned long long)pb_log_left_out());
		exit(0);
	}
	close(told[1]);
	close(go[0]);
	child.told = told[0];
	child.go = go[1];
	return child;
}

/* It has logged everything, though nobody reads. */
static void
child_is_done(const struct child *child)
{
	struct pollfd fd = { .fd = child->told, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
	assert_int_equal(read(child->told, &byte, 1), 1);
}

static void
child_ends(const struct child *child)
{
	int status = 0, waited = 0;

	while (waitpid(child->pid, &status, WNOHANG) == 0) {
		assert_true(waited++ < PATIENCE_MS / 10);
		poll(NULL, 0, 10);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(child->told);
	close(child->go);
}

static void
child_goes_on(const struct child *child)
{
	assert_int_equal(write(child->go, "x", 1), 1);
}

/* Until the end, or until nothing has come for a while. */
static char *
read_all(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char *text = malloc(TEXT_BYTES_MAX);
	size_t len = 0;

	assert_non_null(text);
	while (poll(&in, 1, 500) > 0) {
		ssize_t n = read(fd, text + len, TEXT_BYTES_MAX - 1 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	return text;
}

/* Every line came whole, in order, or a notice in its place says so: the
 * lines that came and those that were left out. */
static void
all_is_told(const char *text, unsigned *came, unsigned *left_out)
{
	unsigned next = 1, line, missing;
	const char *at = text;

	*came = *left_out = 0;
	while (*at != '\0') {
		if (sscanf(at, "info test: line=%u ", &line) == 1) {
			assert_int_equal(line, next);
			next++;
			(*came)++;
		} else if (sscanf(at, "warn log: %u lines were left out",
		    &missing) == 1) {
			next += missing;
			*left_out += missing;
		} else {
			assert_int_equal(strncmp(at, "info test: last", 15),
			    0);
		}
		at = strchr(at, '\n');
		assert_non_null(at);
		at++;
	}
}

static void
what_nobody_takes(int standard_error, int reader)
{
	struct child child = child_start(standard_error, LINES);
	unsigned came, left_out;
	char *text;

	close(standard_error);
	child_is_done(&child);
	text = read_all(reader);
	all_is_told(text, &came, &left_out);
	assert_true(came > 0);
	assert_true(left_out > 0);
	assert_int_equal(came + left_out, LINES);
	free(text);
	child_goes_on(&child);
	text = read_all(reader);
	assert_non_null(strstr(text, "last left_out="));
	assert_int_equal(strtoul(strstr(text, "out=") + 4, NULL, 10),
	    left_out);
	free(text);
	child_ends(&child);
	close(reader);
}

static void
a_full_pipe_is_not_waited_for(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	what_nobody_takes(fd[1], fd[0]);
}

static void
nor_is_a_socket_whose_peer_stalls(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	what_nobody_takes(fd[1], fd[0]);
}

static void
nor_is_one_that_others_made_non_blocking(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	what_nobody_takes(fd[1], fd[0]);
}

static void
nor_is_a_terminal_that_was_stopped(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct termios raw;

	(void)state;
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		skip();
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	raw.c_oflag &= (tcflag_t)~OPOST;
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	struct child child = child_start(slave, 0);
	child_is_done(&child);
	assert_int_equal(tcflow(slave, TCOOFF), 0);	/* ^S */
	child_goes_on(&child);
	child_ends(&child);
	close(slave);
	close(master);
}

static void
the_end_does_not_wait_for_who_never_reads(void **state)
{
	struct child child;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	child = child_start(fd[1], LINES);
	child_is_done(&child);
	child_goes_on(&child);
	child_ends(&child);
	close(fd[0]);
	close(fd[1]);
}

static void
the_end_brings_the_last_lines_to_who_reads(void **state)
{
	struct child child;
	char *text;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	child = child_start(fd[1], 100);
	close(fd[1]);
	child_goes_on(&child);
	child_ends(&child);
	text = read_all(fd[0]);
	assert_non_null(strstr(text, "line=100 "));
	assert_non_null(strstr(text, "last left_out=0\n"));
	free(text);
	close(fd[0]);
}

static void
what_cannot_be_written_is_counted(void **state)
{
	int status, fd[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	close(fd[0]);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		dup2(fd[1], STDERR_FILENO);
		pb_log_start();
		for (unsigned i = 0; i < 100; i++)
			pb_log(PB_LOG_INFO, "test", "to nobody");
		for (int i = 0; i < PATIENCE_MS / 10 &&
		    pb_log_left_out() < 100; i++)
			poll(NULL, 0, 10);
		_exit(pb_log_left_out() == 100 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_pipe_is_not_waited_for),
		cmocka_unit_test(nor_is_a_socket_whose_peer_stalls),
		cmocka_unit_test(nor_is_one_that_others_made_non_blocking),
		cmocka_unit_test(nor_is_a_terminal_that_was_stopped),
		cmocka_unit_test(the_end_does_not_wait_for_who_never_reads),
		cmocka_unit_test(the_end_brings_the_last_lines_to_who_reads),
		cmocka_unit_test(what_cannot_be_written_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
