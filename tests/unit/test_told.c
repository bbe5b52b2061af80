/*
 * tests/unit/test_told.c - what the shipper tells the recorder, for metrics
 *
 * Method: the recorder's side asks in a process of its own; it is answered by
 *         the shipper's, or by a socket that answers anything.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unix.h"
#include "recorder/store/facts/told.h"
#include "shipper/operator/control.h"
#include "tests/unit/temp.h"
#include "tests/unit/valgrind.h"

#define TURNS_MAX	1000

static char dir[TEMP_NAME_MAX];
static struct pb_buf text;		/* that is given */
static unsigned not_yet;		/* the handler answers 1 so often */
static const char *error;

static int
setup(void **state)
{
	(void)state;
	temp_make(dir, "told");
	pb_buf_init(&text, PB_TOLD_BYTES_MAX + 1);
	not_yet = 0;
	error = NULL;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pb_buf_finish(&text);
	temp_remove(dir);
	return 0;
}

static int
file_of(const struct pb_buf *buf)
{
	int file = memfd_create("told", 0);

	assert_true(file >= 0);
	assert_int_equal(write(file, buf->data, buf->len), buf->len);
	return file;
}

static int
handler(void *arg, struct pb_control_request *request, struct pb_err *err)
{
	(void)err;
	assert_int_equal(request->verb, PB_CONTROL_METRICS);
	if (error != NULL)
		return pb_err_set(err, PB_ENOSPC, "%s", error);
	if (not_yet > 0) {
		not_yet--;
		return 1;
	}
	request->file = *(int *)arg;
	request->file_bytes = text.len;
	return 0;
}

/* In another process; its answer comes by `pipe`. */
struct report {
	int		 rc;
	size_t		 len;
	bool		 same;		/* as `text` */
	struct pb_err	 err;
};

static pid_t
asks(int pipe)
{
	struct report report;
	struct pb_buf out;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child > 0)
		return child;
	memset(&report, 0, sizeof(report));
	pb_buf_init(&out, PB_TOLD_BYTES_MAX);
	report.rc = pb_told_ask(dir, &out, &report.err);
	report.len = out.len;
	report.same = out.len == text.len &&
	    (out.len == 0 || memcmp(out.data, text.data, out.len) == 0);
	_exit(write(pipe, &report, sizeof(report)) !=
	    (ssize_t)sizeof(report));
}

static void
told(struct pb_control *control, struct report *out)
{
	struct pollfd poll_fd = { .events = POLLIN };
	int pipes[2], status;
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	child = asks(pipes[1]);
	poll_fd.fd = pipes[0];
	for (int i = 0; i < TURNS_MAX && poll(&poll_fd, 1, 10) == 0; i++)
		if (control != NULL)
			pb_control_run(control, 0);
	assert_int_equal(read(pipes[0], out, sizeof(*out)), sizeof(*out));
	assert_int_equal(waitpid(child, &status, 0), child);
	close(pipes[0]);
	close(pipes[1]);
}

static void
what_the_shipper_tells_is_heard(void **state)
{
	static const size_t sizes[] = { 0, 1, 5000, 3u << 20,
	    PB_TOLD_BYTES_MAX };
	struct pb_control *control;
	struct report report;
	struct pb_err err;
	int file;

	(void)state;
	assert_int_equal(pb_control_create(&control, dir, handler, &file,
	    &err), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		while (text.len < sizes[i])
			pb_buf_put(&text, "0123456789abcdef", sizes[i] -
			    text.len < 16 ? sizes[i] - text.len : 16);
		file = file_of(&text);
		not_yet = 3;
		told(control, &report);
		assert_int_equal(report.rc, 0);
		assert_true(report.same);
		close(file);
	}
	error = "the disk is full";
	told(control, &report);
	assert_int_not_equal(report.rc, 0);
	assert_int_equal(report.len, 0);
	pb_control_destroy(control);
}

static void
without_a_shipper_nobody_is_waited_for(void **state)
{
	struct pb_control *control;
	struct report report;
	struct pb_err err;
	pid_t child;

	(void)state;
	told(NULL, &report);
	assert_int_equal(report.rc, PB_ENOENT);
	/* One that was killed leaves its socket. */
	child = fork();
	if (child == 0)
		_exit(pb_control_create(&control, dir, handler, NULL, &err));
	assert_int_equal(waitpid(child, NULL, 0), child);
	shell("test -S '%s/shipper.sock'", dir);
	told(NULL, &report);
	assert_int_equal(report.rc, PB_ENOENT);
}

/* One that takes the connection and says nothing, as when it is stopped. */
static void
one_that_does_not_answer_is_left(void **state)
{
	char path[TEMP_NAME_MAX + 32];
	struct report report;
	struct pb_err err;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/shipper.sock", dir);
	fd = pb_unix_listen(path, SOCK_SEQPACKET, 4, &err);
	assert_true(fd >= 0);
	told(NULL, &report);
	assert_int_equal(report.rc, PB_EBUSY);
	close(fd);
}

/* `body`, and `file` with it, unless that is -1. */
static void
answered(int listening, const char *body, int file, struct report *out)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; }
	    control = { .room = { 0 } };
	struct iovec iov = { (void *)body, strlen(body) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd poll_fd = { .fd = listening, .events = POLLIN };
	int pipes[2], fd;
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	child = asks(pipes[1]);
	assert_int_equal(poll(&poll_fd, 1, 60000), 1);
	fd = accept(listening, NULL, NULL);
	assert_true(fd >= 0);
	if (file >= 0) {
		control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
		    .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(4) };
		memcpy(CMSG_DATA(&control.head), &file, sizeof(file));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	assert_int_equal(sendmsg(fd, &message, 0), strlen(body));
	assert_int_equal(read(pipes[0], out, sizeof(*out)), sizeof(*out));
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

static void
an_answer_that_is_none_is_nothing(void **state)
{
	char path[TEMP_NAME_MAX + 32];
	struct report report;
	struct pb_err err;
	int fd, file, pipes[2];

	(void)state;
	snprintf(path, sizeof(path), "%s/shipper.sock", dir);
	fd = pb_unix_listen(path, SOCK_SEQPACKET, 4, &err);
	pb_buf_put(&text, "0123456789", 10);
	file = file_of(&text);
	answered(fd, "{\"bytes\":10}", file, &report);
	assert_int_equal(report.rc, 0);
	assert_true(report.same);
#define NOTHING(body, with) do { answered(fd, body, with, &report);	\
	assert_true(report.rc < 0);					\
	assert_int_equal(report.len, 0); } while (0)
	NOTHING("{\"bytes\":10}", -1);
	NOTHING("{\"bytes\":11}", file);	/* more than it has */
	NOTHING("{\"bytes\":9000000}", file);
	NOTHING("{\"bytes\":-1}", file);
	NOTHING("{}", file);
	NOTHING("{", file);
	NOTHING("[1]", file);
	/* What would be waited for. */
	assert_int_equal(pipe(pipes), 0);
	NOTHING("{\"bytes\":10}", pipes[0]);
	close(pipes[0]);
	close(pipes[1]);
	close(file);
	close(fd);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_shipper_tells_is_heard),
		TEST(without_a_shipper_nobody_is_waited_for),
		TEST(one_that_does_not_answer_is_left),
		TEST(an_answer_that_is_none_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
