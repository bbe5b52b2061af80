/*
 * tests/unit/test_watch.c - news of an index that another process writes
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "shipper/watch.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp.h"

#define PACKET	100u

/*
 * LMDB forbids one process to open an environment twice, so the store is
 * always another process's: `write` runs in a child.
 */
static void
in_child(const char *dir, uint64_t epoch, uint64_t first, uint64_t last)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct fixture f = { .ok = 0 };

		pb_log_level(PB_LOG_ERROR + 1);
		snprintf(f.dir, sizeof(f.dir), "%s", dir);
		f.key = (struct pb_stream_key){ "lon1", "eth0", epoch };
		pthread_mutex_init(&f.mutex, NULL);
		pthread_cond_init(&f.cond, NULL);
		f.head = fixture_head(&f.key, "London");
		fixture_open(&f);
		fixture_write(&f, first, last, PACKET);
		pb_store_close(f.store);
		_exit(f.ok == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct bench {
	char		 dir[64];
	struct pb_watch	*watch;
	uint64_t	 now_ms;
	unsigned	 calls;
	struct pb_stream_info last;
};

static void
on_grown(void *arg, const struct pb_stream_info *stream)
{
	struct bench *b = arg;

	b->calls++;
	b->last = *stream;
}

/* A scan a second later, so that it looks whatever the count says. */
static unsigned
scan(struct bench *b)
{
	struct pb_err err = { .code = 0 };

	b->calls = 0;
	b->now_ms += 1000;
	if (pb_watch_scan(b->watch, on_grown, b, b->now_ms, &err) < 0)
		fail_msg("%s", err.text);
	return b->calls;
}

static void
bench_init(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	temp_make(b->dir, "watch");
	assert_int_equal(pb_watch_create(&b->watch, b->dir, NULL), 0);
}

static void
bench_finish(struct bench *b)
{
	pb_watch_destroy(b->watch);
	temp_remove(b->dir);
}

static void
an_index_that_is_not_there_is_waited_for(void **state)
{
	struct pb_index *index;
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_watch_open(b.watch, &index, NULL), 0);
	assert_int_equal(pb_watch_fd(b.watch), -1);
	in_child(b.dir, 1, 1, 10);
	assert_int_equal(pb_watch_open(b.watch, &index, NULL), 1);
	assert_non_null(index);
	assert_true(pb_watch_same(b.watch));
	bench_finish(&b);
}

static void
streams_are_told_when_they_are_new_and_when_they_grow(void **state)
{
	struct pb_index *index;
	struct bench b;

	(void)state;
	bench_init(&b);
	in_child(b.dir, 1, 1, 10);
	assert_int_equal(pb_watch_open(b.watch, &index, NULL), 1);
	assert_int_equal(scan(&b), 1);
	assert_int_equal(b.last.last_seq, 10);
	assert_int_equal(scan(&b), 0);
	in_child(b.dir, 1, 11, 30);
	assert_int_equal(scan(&b), 1);
	assert_int_equal(b.last.last_seq, 30);
	in_child(b.dir, 2, 1, 5);
	assert_int_equal(scan(&b), 1);
	assert_int_equal(b.last.key.epoch, 2);
	assert_int_equal(pb_watch_stream(b.watch, b.last.id)->last_seq, 5);
	assert_null(pb_watch_stream(b.watch, 12345));
	pb_watch_each(b.watch, on_grown, &b);
	assert_int_equal(b.calls, 3);
	bench_finish(&b);
}

static void
a_commit_wakes_the_wait(void **state)
{
	struct pb_index *index;
	struct bench b;
	struct pollfd p;

	(void)state;
	bench_init(&b);
	in_child(b.dir, 1, 1, 10);
	assert_int_equal(pb_watch_open(b.watch, &index, NULL), 1);
	assert_int_equal(scan(&b), 1);
	p = (struct pollfd){ .fd = pb_watch_fd(b.watch), .events = POLLIN };
	if (p.fd < 0) {
		bench_finish(&b);
		skip();		/* inotify is used up: the tick does it */
	}
	assert_int_equal(poll(&p, 1, 0), 0);
	in_child(b.dir, 1, 11, 20);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(scan(&b), 1);
	assert_int_equal(poll(&p, 1, 0), 0);
	bench_finish(&b);
}

/* More streams than fit on a page, in an order that is not that of ids. */
static void
all_pages_of_streams_are_read(void **state)
{
	struct pb_index *index;
	struct bench b;
	pid_t child;
	int status;

	(void)state;
	bench_init(&b);
	child = fork();
	if (child == 0) {
		struct fixture f = { .ok = 0 };
		struct pb_err err;

		pb_log_level(PB_LOG_ERROR + 1);
		snprintf(f.dir, sizeof(f.dir), "%s", b.dir);
		f.key = (struct pb_stream_key){ "lon1", "eth0", 1 };
		pthread_mutex_init(&f.mutex, NULL);
		pthread_cond_init(&f.cond, NULL);
		f.head = fixture_head(&f.key, "London");
		fixture_open(&f);
		for (uint64_t i = 0; i < 150; i++) {
			f.key.epoch = 1000 - i;
			f.head->identity.epoch = f.key.epoch;
			if (pb_store_stream(f.store, &f.key,
			    PB_LINKTYPE_ETHERNET, 0, true, &f.stream,
			    &err) < 0)
				_exit(1);
			fixture_write(&f, 1, 1, PACKET);
		}
		pb_store_close(f.store);
		_exit(f.ok == 150 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(pb_watch_open(b.watch, &index, NULL), 1);
	assert_int_equal(scan(&b), 150);
	for (uint32_t id = 1; id <= 150; id++)
		assert_non_null(pb_watch_stream(b.watch, id));
	assert_int_equal(pb_watch_left_out(b.watch), 0);
	bench_finish(&b);
}

static void
an_index_put_in_its_place_is_noticed(void **state)
{
	struct pb_index *index;
	struct bench b;
	char from[128], to[128];

	(void)state;
	bench_init(&b);
	in_child(b.dir, 1, 1, 10);
	assert_int_equal(pb_watch_open(b.watch, &index, NULL), 1);
	assert_int_equal(scan(&b), 1);
	snprintf(from, sizeof(from), "%s/index", b.dir);
	snprintf(to, sizeof(to), "%s/old", b.dir);
	assert_int_equal(rename(from, to), 0);
	assert_false(pb_watch_same(b.watch));
	pb_watch_close(b.watch);
	assert_int_equal(pb_watch_open(b.watch, &index, NULL), 0);
	in_child(b.dir, 7, 1, 3);
	assert_int_equal(pb_watch_open(b.watch, &index, NULL), 1);
	/* Nothing of the old one is left: all streams are new. */
	assert_true(scan(&b) >= 1);
	assert_non_null(pb_watch_stream(b.watch, b.last.id));
	bench_finish(&b);
}

/* As many descriptors as opening takes, and none to be woken by. */
static void
a_wait_that_nothing_could_wake_is_woken_when_that_heals(void **state)
{
	struct rlimit before, limit;
	struct pb_index *index;
	struct bench b;

	(void)state;
	bench_init(&b);
	in_child(b.dir, 1, 1, 10);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	for (limit.rlim_cur = 3; limit.rlim_cur < 64; limit.rlim_cur++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		if (pb_watch_open(b.watch, &index, NULL) == 1)
			break;
	}
	assert_int_equal(pb_watch_fd(b.watch), -1);
	assert_int_equal(scan(&b), 1);
	assert_int_equal(pb_watch_fd(b.watch), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(scan(&b), 0);
	assert_true(pb_watch_fd(b.watch) >= 0);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_that_is_not_there_is_waited_for),
		cmocka_unit_test(
		    streams_are_told_when_they_are_new_and_when_they_grow),
		cmocka_unit_test(a_commit_wakes_the_wait),
		cmocka_unit_test(all_pages_of_streams_are_read),
		cmocka_unit_test(an_index_put_in_its_place_is_noticed),
		cmocka_unit_test(
		    a_wait_that_nothing_could_wake_is_woken_when_that_heals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
