/*
 * tests/unit/test_accept.c - a listening socket that never spins
 *
 * The lack of descriptors is real: the limit of this process is set to
 * what it has open.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "recorder/port/door/accept.h"
#include "tests/unit/valgrind.h"

#define CLIENTS	3

struct bench {
	struct pb_accept *accept;
	struct rlimit	 before;
	int		 also[2];	/* a pipe watched beside it */
	int		 client[CLIENTS];
};

/* An abstract address: the kernel picks a free one. */
static int
listen_anywhere(struct sockaddr_un *at, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memset(at, 0, sizeof(*at));
	at->sun_family = AF_UNIX;
	assert_int_equal(bind(fd, (struct sockaddr *)at,
	    sizeof(at->sun_family)), 0);
	*len = sizeof(*at);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, len), 0);
	assert_int_equal(listen(fd, CLIENTS), 0);
	return fd;
}

/* CLIENTS connections wait. */
static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct sockaddr_un at;
	struct pb_err err;
	socklen_t len;
	int fd = listen_anywhere(&at, &len);

	assert_int_equal(pipe(b->also), 0);
	assert_int_equal(pb_accept_create(&b->accept, b->also[0], &err), 0);
	assert_int_equal(pb_accept_listen(b->accept, fd, &err), 0);
	for (int i = 0; i < CLIENTS; i++) {
		b->client[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(b->client[i], (struct sockaddr *)&at,
		    len), 0);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &b->before), 0);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	setrlimit(RLIMIT_NOFILE, &b->before);
	pb_accept_destroy(b->accept);
	for (int i = 0; i < CLIENTS; i++)
		close(b->client[i]);
	close(b->also[0]);
	close(b->also[1]);
	free(b);
	return 0;
}

static int
next(struct bench *b, uint64_t now_ms)
{
	struct sockaddr_storage from;
	struct pb_err err;
	socklen_t len;

	return pb_accept_next(b->accept, now_ms, &from, &len, &err);
}

static bool
readable(struct bench *b)
{
	struct pollfd fd = { .fd = pb_accept_fd(b->accept),
	    .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

/* From here on no descriptor is free. */
static void
use_up(struct bench *b)
{
	struct rlimit limit = b->before;
	int lowest;

	not_under_valgrind(VALGRIND_DESCRIPTORS);
	lowest = fcntl(b->also[0], F_DUPFD, 0);
	assert_true(lowest >= 0);
	close(lowest);
	limit.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void
connections_that_wait_are_taken_one_by_one(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < CLIENTS; i++) {
		int fd;

		assert_true(readable(b));
		fd = next(b, 1000);
		assert_true(fd >= 0);
		close(fd);
	}
	assert_false(readable(b));
	assert_int_equal(next(b, 1000), PB_ENOENT);
	assert_int_equal(pb_accept_wake_ms(b->accept), UINT64_MAX);
	assert_int_equal(write(b->also[1], "", 1), 1);
	assert_true(readable(b));
}

static void
without_descriptors_one_is_taken_and_the_others_are_not_asked_for(void **state)
{
	struct bench *b = *state;
	int fd;

	use_up(b);
	fd = next(b, 1000);
	assert_true(fd >= 0);
	assert_int_equal(next(b, 1000), PB_ESYS);
	assert_false(readable(b));
	assert_int_equal(pb_accept_wake_ms(b->accept),
	    1000 + PB_ACCEPT_RETRY_MS);
	assert_int_equal(next(b, 1000 + PB_ACCEPT_RETRY_MS - 1), PB_ENOENT);
	assert_int_equal(next(b, 1000 + PB_ACCEPT_RETRY_MS), PB_ESYS);
	assert_false(readable(b));
	/* One closes: it is the reserve again, and serves the next. */
	close(fd);
	fd = next(b, 1000 + 2 * PB_ACCEPT_RETRY_MS);
	assert_true(fd >= 0);
	assert_true(readable(b));
	assert_int_equal(next(b, 1000 + 2 * PB_ACCEPT_RETRY_MS), PB_ESYS);
	close(fd);
}

static void
all_that_wait_are_taken_when_there_are_descriptors_again(void **state)
{
	struct bench *b = *state;
	int fd[CLIENTS];

	use_up(b);
	fd[0] = next(b, 1000);
	assert_true(fd[0] >= 0);
	assert_int_equal(next(b, 1000), PB_ESYS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &b->before), 0);
	for (int i = 1; i < CLIENTS; i++) {
		fd[i] = next(b, 1000 + PB_ACCEPT_RETRY_MS);
		assert_true(fd[i] >= 0);
	}
	assert_int_equal(pb_accept_wake_ms(b->accept), UINT64_MAX);
	for (int i = 0; i < CLIENTS; i++)
		close(fd[i]);
}

static void
nothing_is_taken_while_it_is_full(void **state)
{
	struct bench *b = *state;
	int fd;

	pb_accept_full(b->accept, true);
	assert_false(readable(b));
	assert_int_equal(next(b, 1000), PB_ENOENT);
	pb_accept_full(b->accept, false);
	assert_true(readable(b));
	fd = next(b, 1000);
	assert_true(fd >= 0);
	close(fd);
}

static void
nothing_is_taken_after_the_stop(void **state)
{
	struct bench *b = *state;

	pb_accept_stop(b->accept);
	assert_false(readable(b));
	assert_int_equal(next(b, 1000), PB_ENOENT);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(connections_that_wait_are_taken_one_by_one),
		T(without_descriptors_one_is_taken_and_the_others_are_not_asked_for),
		T(all_that_wait_are_taken_when_there_are_descriptors_again),
		T(nothing_is_taken_while_it_is_full),
		T(nothing_is_taken_after_the_stop),
	};

	return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
