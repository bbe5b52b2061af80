/*
 * tests/unit/test_control.c - the shipper's socket for operators
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shipper/operator/control.h"
#include "tests/unit/temp.h"
#include "tests/unit/valgrind.h"

#define TURNS_MAX	1000	/* of the loop before a test gives up */

struct bench {
	char		 dir[512];
	struct pb_control *control;
	uint64_t	 now_ms;
	/* What the handler saw, and does. */
	enum pb_control_verb verb;
	char		 upstream[PB_CONTROL_GLOB_MAX];
	char		 stream[PB_CONTROL_GLOB_MAX];
	uint64_t	 first;
	unsigned	 steps, calls;
	const char	*error;
};

static int
handler(void *arg, struct pb_control_request *request, struct pb_err *err)
{
	struct bench *b = arg;

	b->verb = request->verb;
	b->calls++;
	strcpy(b->upstream, request->which.upstream);
	strcpy(b->stream, request->which.stream);
	b->first = request->which.first;
	if (b->error != NULL)
		return pb_err_set(err, PB_ENOSPC, "%s", b->error);
	request->sum.letters++;
	request->sum.packets += 100;
	return request->sum.letters < b->steps;
}

static void
bench_init(struct bench *b)
{
	struct pb_err err = { .code = 0 };

	memset(b, 0, sizeof(*b));
	b->steps = 1;
	temp_make(b->dir, "control");
	if (pb_control_create(&b->control, b->dir, handler, b, &err) < 0)
		fail_msg("%s", err.text);
}

static void
bench_finish(struct bench *b)
{
	pb_control_destroy(b->control);
	temp_remove(b->dir);
}

/* A client in a process of its own; its report comes by a pipe. */
struct report {
	int		 rc;
	struct pb_letters_sum sum;
	struct pb_err	 err;
};

static void
ask(struct bench *b, enum pb_control_verb verb,
    const struct pb_letters_which *which, struct report *out)
{
	struct pollfd poll_fd = { .events = POLLIN };
	int pipes[2], status;
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		struct report report = { .rc = 0 };

		report.rc = pb_control_ask(b->dir, verb, which, &report.sum,
		    &report.err);
		if (write(pipes[1], &report, sizeof(report)) !=
		    (ssize_t)sizeof(report))
			_exit(1);
		_exit(0);
	}
	assert_true(child > 0);
	poll_fd.fd = pipes[0];
	for (int i = 0; i < TURNS_MAX && poll(&poll_fd, 1, 10) == 0; i++)
		pb_control_run(b->control, b->now_ms);
	assert_int_equal(read(pipes[0], out, sizeof(*out)), sizeof(*out));
	assert_int_equal(waitpid(child, &status, 0), child);
	close(pipes[0]);
	close(pipes[1]);
}

static int
connect_to(struct bench *b)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%.80s/shipper.sock",
	    b->dir);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static bool
ready(struct bench *b)
{
	struct pollfd poll_fd[PB_CONTROL_FDS_MAX];
	int fds[PB_CONTROL_FDS_MAX];
	unsigned count = pb_control_fds(b->control, fds, PB_CONTROL_FDS_MAX);

	for (unsigned i = 0; i < count; i++)
		poll_fd[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	return poll(poll_fd, count, 0) > 0;
}

static bool
closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, 0) == 0;
}

/* --- tests -------------------------------------------------------------- */

static void
a_request_is_handed_on_and_its_sum_comes_back(void **state)
{
	struct pb_letters_which which = { .upstream = "co\"re*",
	    .stream = "lon1/*", .first = 42 };
	struct report report;
	struct bench b;

	(void)state;
	bench_init(&b);
	b.steps = 5;
	ask(&b, PB_CONTROL_REQUEUE, &which, &report);
	assert_int_equal(report.rc, 0);
	assert_int_equal(report.sum.letters, 5);
	assert_int_equal(report.sum.packets, 500);
	assert_int_equal(b.verb, PB_CONTROL_REQUEUE);
	assert_string_equal(b.upstream, "co\"re*");
	assert_string_equal(b.stream, "lon1/*");
	assert_int_equal(b.first, 42);
	ask(&b, PB_CONTROL_PURGE, &(struct pb_letters_which){ .first = 0 },
	    &report);
	assert_int_equal(report.rc, 0);
	assert_int_equal(b.verb, PB_CONTROL_PURGE);
	assert_string_equal(b.upstream, "*");
	assert_string_equal(b.stream, "*");
	assert_int_equal(b.first, 0);
	bench_finish(&b);
}

static void
an_error_is_told_in_words(void **state)
{
	struct report report;
	struct bench b;

	(void)state;
	bench_init(&b);
	b.error = "the disk is full";
	ask(&b, PB_CONTROL_PURGE, &(struct pb_letters_which){ .first = 0 },
	    &report);
	assert_true(report.rc < 0);
	assert_string_equal(report.err.text, "pb-shipper: the disk is full");
	bench_finish(&b);
}

/* One call a turn; who does the work wakes the loop for the next one. */
static void
long_work_leaves_the_loop_its_turns(void **state)
{
	static const char request[] = "{\"do\":\"purge\",\"upstream\":\"*\","
	    "\"stream\":\"*\",\"first\":0}";
	char answer[200] = "";
	struct bench b;
	int fd;

	(void)state;
	bench_init(&b);
	b.steps = 3;
	assert_false(ready(&b));
	fd = connect_to(&b);
	assert_true(ready(&b));
	assert_int_equal(send(fd, request, strlen(request), 0),
	    strlen(request));
	for (unsigned turn = 1; turn <= 3; turn++) {
		pb_control_run(b.control, 0);
		assert_int_equal(b.calls, turn);
		assert_false(ready(&b));
	}
	assert_true(recv(fd, answer, sizeof(answer) - 1, 0) > 0);
	assert_string_equal(answer, "{\"letters\":3,\"packets\":300}");
	assert_true(closed(fd));
	pb_control_run(b.control, 0);
	assert_false(ready(&b));
	close(fd);
	bench_finish(&b);
}

static void
a_client_that_does_not_ask_is_dropped(void **state)
{
	struct bench b;
	int fd;

	(void)state;
	bench_init(&b);
	fd = connect_to(&b);
	pb_control_run(b.control, 1000);
	pb_control_run(b.control, 1000 + PB_CONTROL_ASK_MS - 1);
	assert_false(closed(fd));
	pb_control_run(b.control, 1000 + PB_CONTROL_ASK_MS);
	assert_true(closed(fd));
	close(fd);
	bench_finish(&b);
}

static void
wrong_requests_are_answered_with_what_is_wrong(void **state)
{
	static const char *const requests[] = {
		"?", "{}", "[1]", "{\"do\":\"purge\"}",
		"{\"do\":\"dance\",\"upstream\":\"*\",\"stream\":\"*\","
		"\"first\":0}",
		"{\"do\":\"purge\",\"upstream\":\"*\",\"stream\":\"*\","
		"\"first\":-1}",
		"{\"do\":\"purge\",\"upstream\":7,\"stream\":\"*\","
		"\"first\":1}",
	};
	static char huge[PB_CONTROL_BYTES_MAX + 1];
	char answer[PB_CONTROL_BYTES_MAX];
	struct bench b;

	(void)state;
	bench_init(&b);
	memset(huge, ' ', sizeof(huge));
	for (size_t i = 0; i <= sizeof(requests) / sizeof(requests[0]); i++) {
		bool last = i == sizeof(requests) / sizeof(requests[0]);
		int fd = connect_to(&b);

		assert_true(send(fd, last ? huge : requests[i],
		    last ? sizeof(huge) : strlen(requests[i]), 0) > 0);
		pb_control_run(b.control, 0);
		assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
		assert_memory_equal(answer, "{\"error\":\"", 10);
		assert_true(closed(fd));
		close(fd);
	}
	assert_int_equal(b.calls, 0);
	bench_finish(&b);
}

/* A client that went away frees its place; more than there are places wait
 * without waking the loop for nothing. */
static void
the_places_are_few_and_come_free(void **state)
{
	int fd[PB_CONTROL_CLIENTS_MAX + 3];
	struct report report;
	struct bench b;

	(void)state;
	bench_init(&b);
	for (unsigned i = 0; i < PB_CONTROL_CLIENTS_MAX + 3; i++) {
		fd[i] = connect_to(&b);
		pb_control_run(b.control, 0);
		assert_false(ready(&b));
	}
	for (unsigned i = 0; i < PB_CONTROL_CLIENTS_MAX; i++)
		close(fd[i]);
	assert_true(ready(&b));
	pb_control_run(b.control, 0);
	assert_true(ready(&b));
	pb_control_run(b.control, 0);
	assert_false(ready(&b));
	ask(&b, PB_CONTROL_PURGE, &(struct pb_letters_which){ .first = 0 },
	    &report);
	assert_int_equal(report.rc, 0);
	for (unsigned i = 0; i < 3; i++)
		close(fd[PB_CONTROL_CLIENTS_MAX + i]);
	bench_finish(&b);
}

/*
 * Goal:   a client that cannot be let in, for want of a descriptor, does
 *         not make the loop turn all the time.
 * Method: no descriptor is left while one waits; later there are some.
 */
static void
without_descriptors_the_loop_sleeps_and_later_serves(void **state)
{
	static const char request[] = "{\"do\":\"purge\",\"upstream\":\"*\","
	    "\"stream\":\"*\",\"first\":0}";
	struct rlimit all, none;
	char answer[200];
	struct bench b;
	int fd, lowest;

	(void)state;
	not_under_valgrind(VALGRIND_DESCRIPTORS);
	bench_init(&b);
	fd = connect_to(&b);
	lowest = dup(fd);
	assert_true(lowest >= 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = all;
	none.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (uint64_t now_ms = 0; now_ms < 5000; now_ms += 1000) {
		pb_control_run(b.control, now_ms);
		assert_false(ready(&b));
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(send(fd, request, strlen(request), 0),
	    strlen(request));
	pb_control_run(b.control, 5000);
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	pb_control_run(b.control, 5000);
	assert_false(ready(&b));
	close(fd);
	bench_finish(&b);
}

/*
 * Goal:   `pb dlq` does not hang for ever where the shipper was stopped
 *         and others wait in front of it.
 * Method: nobody takes them, and the backlog is full.
 */
static void
who_asks_a_stopped_shipper_is_not_held_for_ever(void **state)
{
	int fd[4 * PB_CONTROL_CLIENTS_MAX];
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct pb_letters_sum sum;
	unsigned count = 0;
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	snprintf(at.sun_path, sizeof(at.sun_path), "%.80s/shipper.sock",
	    b.dir);
	for (; count < 4 * PB_CONTROL_CLIENTS_MAX; count++) {
		fd[count] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
		    0);
		if (connect(fd[count], (struct sockaddr *)&at,
		    sizeof(at)) < 0)
			break;
	}
	assert_true(count < 4 * PB_CONTROL_CLIENTS_MAX);
	alarm(60);
	assert_int_equal(pb_control_ask(b.dir, PB_CONTROL_PURGE,
	    &(struct pb_letters_which){ .first = 0 }, &sum, &err), PB_EBUSY);
	alarm(0);
	assert_non_null(strstr(err.text, "shipper.sock"));
	for (unsigned i = 0; i <= count; i++)
		close(fd[i]);
	bench_finish(&b);
}

static void
the_socket_is_its_users_alone_and_goes_with_the_shipper(void **state)
{
	struct pb_letters_sum sum;
	char path[600];
	struct bench b;
	struct pb_err err;
	struct stat st;

	(void)state;
	bench_init(&b);
	snprintf(path, sizeof(path), "%s/shipper.sock", b.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	pb_control_destroy(b.control);
	b.control = NULL;
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(pb_control_ask(b.dir, PB_CONTROL_PURGE,
	    &(struct pb_letters_which){ .first = 0 }, &sum, &err), PB_ENOENT);
	bench_finish(&b);
}

/* As after kill -9: a name that nobody listens at. */
static void
a_stale_socket_is_replaced(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct pb_letters_sum sum;
	struct report report;
	struct bench b;
	struct pb_err err;
	int fd;

	(void)state;
	bench_init(&b);
	pb_control_destroy(b.control);
	snprintf(at.sun_path, sizeof(at.sun_path), "%.80s/shipper.sock",
	    b.dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	assert_int_equal(pb_control_ask(b.dir, PB_CONTROL_PURGE,
	    &(struct pb_letters_which){ .first = 0 }, &sum, &err), PB_ENOENT);
	assert_int_equal(pb_control_create(&b.control, b.dir, handler, &b,
	    &err), 0);
	ask(&b, PB_CONTROL_PURGE, &(struct pb_letters_which){ .first = 0 },
	    &report);
	assert_int_equal(report.rc, 0);
	bench_finish(&b);
}

/* Longer than a socket's address has room for. */
static void
a_store_with_a_long_path_has_a_socket_too(void **state)
{
	struct report report;
	struct bench b;
	struct pb_err err;
	char top[64];
	size_t len;

	(void)state;
	bench_init(&b);
	pb_control_destroy(b.control);
	strcpy(top, b.dir);
	len = strlen(b.dir);
	b.dir[len] = '/';
	memset(b.dir + len + 1, 'x', 200);
	b.dir[len + 201] = '\0';
	assert_int_equal(mkdir(b.dir, 0700), 0);
	assert_int_equal(pb_control_create(&b.control, b.dir, handler, &b,
	    &err), 0);
	ask(&b, PB_CONTROL_PURGE, &(struct pb_letters_which){ .first = 0 },
	    &report);
	assert_int_equal(report.rc, 0);
	pb_control_destroy(b.control);
	b.control = NULL;
	strcpy(b.dir, top);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_request_is_handed_on_and_its_sum_comes_back),
		cmocka_unit_test(an_error_is_told_in_words),
		cmocka_unit_test(long_work_leaves_the_loop_its_turns),
		cmocka_unit_test(a_client_that_does_not_ask_is_dropped),
		cmocka_unit_test(
		    wrong_requests_are_answered_with_what_is_wrong),
		cmocka_unit_test(the_places_are_few_and_come_free),
		cmocka_unit_test(
		    without_descriptors_the_loop_sleeps_and_later_serves),
		cmocka_unit_test(
		    who_asks_a_stopped_shipper_is_not_held_for_ever),
		cmocka_unit_test(
		    the_socket_is_its_users_alone_and_goes_with_the_shipper),
		cmocka_unit_test(a_stale_socket_is_replaced),
		cmocka_unit_test(a_store_with_a_long_path_has_a_socket_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
