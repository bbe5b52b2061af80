/*
 * tests/unit/test_rot.c - what a program says whom a rotten page ends
 *
 * Method: a child watches a path, says that it reads one, and has something
 * happen to it; its end and its words are looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rot.h"

#define STATUS	7
#define HERE	"/a/store/index"
#define THERE	"/a/store/shipper"
#define ROTTEN	"it is rotten\n"
#define STUCK	"it is stuck\n"

static char said[64];

/* A byte of a file that was cut short. */
static void
past_the_end(void)
{
	int fd = memfd_create("rot", 0);
	volatile const char *map;

	if (ftruncate(fd, 8192) < 0)
		_exit(99);
	map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	if (ftruncate(fd, 0) < 0 || map[4096] == 0)
		_exit(99);
}

/* What valgrind has no complaint of its own about. */
static void
not_allowed(void)
{
	volatile char *at = mmap(NULL, 4096, PROT_READ,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*at = 1;
}

static void
finds_it(void)
{
	pb_rot_found();
}

static void
is_sent_a_signal(void)
{
	kill(getpid(), SIGSEGV);
}

static void
waits(void)
{
	pb_rot_patience(1);
	for (;;)
		pause();
}

static void
waits_no_longer(void)
{
	pb_rot_patience(1);
	pb_rot_patience(0);
	sleep(2);
}

/* How a child ends (waitpid(2)) that reads `path` when that happens. */
static int
end_of(void (*happens)(void), const char *path, const char *unlinks)
{
	static const int deadly[] = { SIGBUS, SIGSEGV, SIGABRT };
	const struct rlimit no_core = { 0, 0 };
	int ends[2], status;
	size_t len = 0;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		/* Not a sanitizer's, nor cmocka's. */
		for (size_t i = 0; i < 3; i++)
			signal(deadly[i], SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(ends[1], STDERR_FILENO);
		for (int again = 0; again < 2; again++)
			pb_rot_watch(&(struct pb_rot_words){ .path = HERE,
			    .rotten = ROTTEN, .stuck = STUCK,
			    .status = STATUS });
		pb_rot_unlinks(unlinks);
		pb_rot_reads(path);
		happens();
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)got;
	said[len] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
told(int status, const char *line)
{
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), STATUS);
	assert_string_equal(said, line);
}

static void
a_rotten_page_of_what_is_watched_is_told(void **state)
{
	(void)state;
	told(end_of(past_the_end, HERE, NULL), ROTTEN);
	told(end_of(not_allowed, HERE, NULL), ROTTEN);
	told(end_of(abort, HERE, NULL), ROTTEN);
	told(end_of(finds_it, HERE, NULL), ROTTEN);
}

static void
what_happens_in_other_places_ends_as_it_did(void **state)
{
	static const char *const others[] = { NULL, THERE };
	int status;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		status = end_of(past_the_end, others[i], NULL);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
		status = end_of(abort, others[i], NULL);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
		assert_int_equal(end_of(finds_it, others[i], NULL), 0);
		assert_string_equal(said, "");
	}
}

static void
a_signal_that_somebody_sends_is_no_rot(void **state)
{
	int status = end_of(is_sent_a_signal, HERE, NULL);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_string_equal(said, "");
}

static void
who_waits_too_long_is_told(void **state)
{
	(void)state;
	told(end_of(waits, HERE, NULL), STUCK);
	assert_int_equal(end_of(waits_no_longer, HERE, NULL), 0);
}

static void
a_file_that_is_not_complete_goes_with_it(void **state)
{
	char path[] = "/tmp/pb-rot-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(end_of(finds_it, THERE, path), 0);
	assert_int_equal(access(path, F_OK), 0);
	told(end_of(finds_it, HERE, path), ROTTEN);
	assert_int_equal(access(path, F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rotten_page_of_what_is_watched_is_told),
		cmocka_unit_test(what_happens_in_other_places_ends_as_it_did),
		cmocka_unit_test(a_signal_that_somebody_sends_is_no_rot),
		cmocka_unit_test(who_waits_too_long_is_told),
		cmocka_unit_test(a_file_that_is_not_complete_goes_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
