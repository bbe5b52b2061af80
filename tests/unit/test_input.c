/*
 * tests/unit/test_input.c - capture files that are read twice
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/common/cli.h"
#include "cli/import/input.h"
#include "tests/unit/ng_image.h"
#include "tests/unit/temp_files.h"

#define PATIENCE	200	/* times a tenth of a second */

static unsigned events;

static int
count_event(void *arg, const struct pb_event *event, struct pb_err *err)
{
	(void)arg;
	(void)event;
	(void)err;
	events++;
	return 0;
}

static struct image img;

static void
make_image(unsigned packets)
{
	img.big = false;
	img.len = 0;
	img_shb(&img);
	img_idb(&img, 1, 0);
	for (unsigned i = 0; i < packets; i++)
		img_epb(&img, 0, i, "abcd", 4);
}

static void
a_file_and_a_pipe_can_be_read_twice(void **state)
{
	const struct pb_input_calls calls = { .event = count_event };
	const char *path = in_dir("a.pcapng");
	char command[200];
	struct pb_input input;
	struct pb_err err;

	(void)state;
	make_image(20000);
	write_file(path, img.data, img.len);
	snprintf(command, sizeof(command), "%s", in_dir("fifo"));
	assert_int_equal(mkfifo(command, 0600), 0);
	for (unsigned pipe = 0; pipe < 2; pipe++) {
		pid_t pid = pipe ? fork() : 1;

		if (pid == 0) {
			int to = open(command, O_WRONLY);

			for (size_t at = 0; at < img.len; at += 10000)
				if (write(to, img.data + at,
				    img.len - at < 10000 ? img.len - at :
				    10000) < 0)
					_exit(1);
			_exit(0);
		}
		assert_int_equal(pb_input_init(&input, pipe ? command : path,
		    false, &err), 0);
		assert_int_equal(input.size, img.len);
		for (unsigned pass = 0; pass < 2; pass++) {
			events = 0;
			assert_int_equal(pb_input_read(&input, &calls, &err),
			    0);
			assert_int_equal(events, 20002);
		}
		pb_input_finish(&input);
	}
	assert_int_equal(files_in_dir(), 2);
}

static void
a_malformed_file_is_named_with_the_offset(void **state)
{
	const struct pb_input_calls calls = { .event = count_event };
	const char *path = in_dir("torn.pcapng");
	struct pb_input input;
	struct pb_err err;
	char want[160];
	size_t whole;

	(void)state;
	make_image(2);
	whole = img.len;
	img_epb(&img, 0, 9, "abcd", 4);
	write_file(path, img.data, img.len - 1);
	assert_int_equal(pb_input_init(&input, path, false, &err), 0);
	assert_int_equal(pb_input_read(&input, &calls, &err), PB_EFORMAT);
	snprintf(want, sizeof(want), "%s: offset %zu: ", path, whole);
	assert_memory_equal(err.text, want, strlen(want));
	pb_input_finish(&input);
}

static void
what_is_no_file_is_refused_by_name(void **state)
{
	struct pb_input input;
	struct pb_err err;

	(void)state;
	assert_true(pb_input_init(&input, in_dir("none"), false, &err) < 0);
	assert_non_null(strstr(err.text, "none"));
	assert_true(pb_input_init(&input, dir, false, &err) < 0);
	assert_non_null(strstr(err.text, "is a directory"));
}

/* --- what happens between the two times ----------------------------------- */

static int
read_it(struct pb_input *input, struct pb_err *err)
{
	const struct pb_input_calls calls = { .event = count_event };

	events = 0;
	return pb_input_read(input, &calls, err);
}

/* A file of 20,000 packets, read once. */
static const char *
read_once(struct pb_input *input)
{
	const char *path = in_dir("a.pcapng");
	struct pb_err err;

	make_image(20000);
	write_file(path, img.data, img.len);
	assert_int_equal(pb_input_init(input, path, false, &err), 0);
	assert_int_equal(read_it(input, &err), 0);
	assert_int_equal(events, 20002);
	return path;
}

static void
what_was_added_since_is_left_out(void **state)
{
	const char *path;
	struct pb_input input;
	struct pb_err err;

	(void)state;
	path = read_once(&input);
	/* Whoever writes it is in the middle of a packet. */
	img_epb(&img, 0, 20000, "abcd", 4);
	write_file(path, img.data, img.len - 1);
	assert_int_equal(read_it(&input, &err), 0);
	assert_int_equal(events, 20002);
	pb_input_finish(&input);
}

static void
a_file_that_is_shorter_now_is_refused(void **state)
{
	const char *path;
	struct pb_input input;
	struct pb_err err;
	char want[160];

	(void)state;
	path = read_once(&input);
	/* Of itself it is a whole file. */
	snprintf(want, sizeof(want), "it had %zu bytes", img.len);
	make_image(10000);
	assert_int_equal(truncate(path, (off_t)img.len), 0);
	assert_int_equal(read_it(&input, &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, want));
	snprintf(want, sizeof(want), "%s: offset %zu: ", path, img.len);
	assert_memory_equal(err.text, want, strlen(want));
	pb_input_finish(&input);
}

static void
a_file_that_is_another_now_is_refused(void **state)
{
	const char *path, *other = in_dir("b.pcapng");
	struct pb_input input;
	struct pb_err err;

	(void)state;
	path = read_once(&input);
	write_file(other, img.data, img.len);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(read_it(&input, &err), PB_EFORMAT);
	assert_int_equal(events, 0);
	assert_non_null(strstr(err.text, "another file"));
	pb_input_finish(&input);
}

/* The process that waits: 0 when it says that it was interrupted. */
static int
wait_for_pipe(const char *path)
{
	struct pb_input input;
	struct pb_err err;
	int rc;

	pb_cli_catch_signals();
	rc = pb_input_init(&input, path, false, &err);
	pb_input_finish(&input);
	return rc == PB_ESYS && strstr(err.text, "fifo: interrupted") != NULL ?
	    0 : 1;
}

static void
a_signal_ends_the_wait_for_a_pipe(void **state)
{
	const char *path = in_dir("fifo");
	int fd, status;
	pid_t pid, ended;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	pid = fork();
	if (pid == 0)
		_exit(wait_for_pipe(path));
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, img.data, 4), 4);
	for (unsigned i = 0; i < PATIENCE; i++) {
		usleep(100000);
		ended = waitpid(pid, &status, WNOHANG);
		if (ended != 0)
			break;
		kill(pid, SIGTERM);
	}
	close(fd);
	if (ended == 0)
		waitpid(pid, NULL, 0);
	assert_int_equal(ended, pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(a_file_and_a_pipe_can_be_read_twice),
		IN_DIR(a_malformed_file_is_named_with_the_offset),
		IN_DIR(what_is_no_file_is_refused_by_name),
		IN_DIR(what_was_added_since_is_left_out),
		IN_DIR(a_file_that_is_shorter_now_is_refused),
		IN_DIR(a_file_that_is_another_now_is_refused),
		IN_DIR(a_signal_ends_the_wait_for_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
