/*
 * tests/unit/test_lock.c - one writing program per store
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/store/lock.h"
#include "tests/unit/temp.h"

#define NAME	"recorder.lock"

static char	store[64];

/* What another process sees. */
static enum pb_lock_state
seen_elsewhere(void)
{
	int status;
	pid_t pid, me = getpid(), child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		enum pb_lock_state state = pb_lock_held(store, NAME, &pid);

		_exit(state == PB_LOCK_FREE || pid == me ? (int)state : 99);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return (enum pb_lock_state)WEXITSTATUS(status);
}

static void
who_holds_it_may_ask_and_still_holds_it(void **state)
{
	struct pb_err err;
	char index[80];
	pid_t pid;
	int fd;

	(void)state;
	snprintf(index, sizeof(index), "%s/index", store);
	assert_int_equal(pb_lock_take(&fd, store, NAME, "test", &err), 0);
	assert_int_equal(seen_elsewhere(), PB_LOCK_HELD);
	assert_false(pb_lock_held(store, NAME, &pid));
	assert_false(pb_lock_written(index, &pid));
	assert_int_equal(seen_elsewhere(), PB_LOCK_HELD);
	close(fd);
	assert_int_equal(seen_elsewhere(), PB_LOCK_FREE);
}

static void
one_that_is_brief_is_as_exclusive(void **state)
{
	struct pb_err err;
	int fd, status;
	pid_t child;

	(void)state;
	assert_int_equal(pb_lock_take(&fd, store, NAME, "test", &err), 0);
	pb_lock_brief(fd);
	assert_int_equal(seen_elsewhere(), PB_LOCK_BRIEF);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(pb_lock_take(&fd, store, NAME, "test", &err) !=
		    PB_EBUSY);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(seen_elsewhere(), PB_LOCK_BRIEF);
	close(fd);
	assert_int_equal(seen_elsewhere(), PB_LOCK_FREE);
}

static void
one_that_was_ours_can_be_anothers(void **state)
{
	int ready[2], end[2], fd;
	struct pb_err err;
	pid_t pid, child;
	char byte;

	(void)state;
	assert_int_equal(pb_lock_take(&fd, store, NAME, "test", &err), 0);
	close(fd);
	assert_int_equal(pipe(ready) | pipe(end), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(end[1]);
		if (pb_lock_take(&fd, store, NAME, "test", &err) < 0 ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		(void)!read(end[0], &byte, 1);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(pb_lock_held(store, NAME, &pid));
	assert_int_equal(pid, child);
	assert_int_equal(pb_lock_take(&fd, store, NAME, "test", &err),
	    PB_EBUSY);
	close(ready[0]);
	close(end[0]);
	close(end[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(pb_lock_held(store, NAME, &pid));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_holds_it_may_ask_and_still_holds_it),
		cmocka_unit_test(one_that_is_brief_is_as_exclusive),
		cmocka_unit_test(one_that_was_ours_can_be_anothers),
	};
	int failed;

	temp_make(store, "lock");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	temp_remove(store);
	return failed;
}
