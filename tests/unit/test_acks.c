/*
 * tests/unit/test_acks.c - what the upstreams have, as retention reads it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/store/facts/acks.h"
#include "recorder/store/index/mdb.h"
#include "tests/unit/stopped_shipper.h"
#include "tests/unit/temp.h"

/* As the shipper opens it: with tables of its own beside this one. */
static const char *const tables[] = { "upstreams", "cursors",
    PB_ACKS_TABLE };
#define TABLE	2u

struct place {
	char		 dir[64];
	char		 shipper[80];
	struct pb_mdb	*mdb;		/* the shipper's */
	struct pb_acks	*acks;
};

static const struct pb_stream_key eth0 = { .node = "lon1",
    .interface = "eth0", .epoch = 0x1122334455667788ull };

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct pb_err err;

	temp_make(p->dir, "acks");
	if (pb_acks_create(&p->acks, p->dir, &err) < 0)
		return -1;
	snprintf(p->shipper, sizeof(p->shipper), "%s/shipper", p->dir);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	pb_acks_destroy(p->acks);
	pb_mdb_close(p->mdb);
	temp_remove(p->dir);
	free(p);
	return 0;
}

static void
shipper_opens(struct place *p, size_t count)
{
	struct pb_err err;

	assert_int_equal(pb_mdb_open(&p->mdb, p->shipper, 1u << 20, tables,
	    count, PB_MDB_WRITE, &err), 0);
}

static void
shipper_puts(struct place *p, const char *upstream,
    const struct pb_stream_key *key, const void *row, size_t len)
{
	uint8_t bytes[PB_ACKS_KEY_MAX];
	struct pb_mdb_txn txn;
	struct pb_err err;

	assert_int_equal(pb_mdb_begin(p->mdb, true, &txn, &err), 0);
	pb_mdb_put(&txn, TABLE, bytes, pb_acks_key(bytes, upstream, key), row,
	    len);
	assert_int_equal(pb_mdb_commit(&txn), 0);
}

static void
shipper_acks(struct place *p, const char *upstream, uint64_t acked,
    uint64_t released)
{
	const struct pb_ack ack = { acked, released };
	uint8_t row[PB_ACKS_ROW_BYTES];

	pb_acks_encode(row, &ack);
	shipper_puts(p, upstream, &eth0, row, sizeof(row));
}

/* Reads find nothing until it is known whether they may look. */
static void
until_known(struct place *p)
{
	uint64_t until = pb_clock_mono_ms() + 60000;

	while (!pb_acks_known(p->acks)) {
		assert_true(pb_clock_mono_ms() < until);
		usleep(1000);
	}
}

static int
get(struct place *p, const char *upstream, const struct pb_stream_key *key,
    struct pb_ack *out)
{
	until_known(p);
	return pb_acks_get(p->acks, upstream, key, out);
}

static uint64_t
commits(struct place *p)
{
	until_known(p);
	return pb_acks_commits(p->acks);
}

static void
a_key_and_a_row_have_exactly_these_bytes(void **state)
{
	static const uint8_t want_key[] =
	    "core\0lon1\0eth0\0\x11\x22\x33\x44\x55\x66\x77\x88";
	static const uint8_t want_row[PB_ACKS_ROW_BYTES] = { 2, 1, 0, 0, 0,
	    0, 0, 0, 4, 3 };
	const struct pb_ack ack = { 0x0102, 0x0304 };
	uint8_t key[PB_ACKS_KEY_MAX], row[PB_ACKS_ROW_BYTES];

	(void)state;
	assert_int_equal(pb_acks_key(key, "core", &eth0),
	    sizeof(want_key) - 1);
	assert_memory_equal(key, want_key, sizeof(want_key) - 1);
	pb_acks_encode(row, &ack);
	assert_memory_equal(row, want_row, sizeof(want_row));
}

static void
the_longest_names_fit_into_a_key(void **state)
{
	struct pb_stream_key key = { .epoch = 1 };
	uint8_t bytes[PB_ACKS_KEY_MAX];
	char upstream[PB_NAME_BYTES_MAX + 1] = "";

	(void)state;
	memset(upstream, 'u', PB_NAME_BYTES_MAX);
	memset(key.node, 'n', PB_NAME_BYTES_MAX);
	memset(key.interface, 'i', PB_IFNAME_BYTES_MAX);
	assert_int_equal(pb_acks_key(bytes, upstream, &key),
	    PB_ACKS_KEY_MAX);
}

static void
without_a_shipper_nothing_is_acked(void **state)
{
	struct place *p = *state;
	struct pb_ack ack = { 7, 7 };

	assert_int_equal(get(p, "core", &eth0, &ack), 0);
	assert_int_equal(ack.acked, 0);
	assert_int_equal(ack.released, 0);
	assert_int_equal(commits(p), 0);
}

static void
a_shipper_without_the_table_says_nothing(void **state)
{
	struct place *p = *state;
	struct pb_ack ack;

	shipper_opens(p, TABLE);
	assert_int_equal(get(p, "core", &eth0, &ack), 0);
	assert_int_equal(commits(p), 0);
}

static void
a_row_is_read_as_it_was_written_and_no_other(void **state)
{
	struct place *p = *state;
	struct pb_stream_key other = eth0;
	struct pb_ack ack;

	shipper_opens(p, 3);
	shipper_acks(p, "core", 40, 90);
	assert_int_equal(get(p, "core", &eth0, &ack), 1);
	assert_int_equal(ack.acked, 40);
	assert_int_equal(ack.released, 90);
	assert_int_equal(get(p, "cor", &eth0, &ack), 0);
	other.epoch++;
	assert_int_equal(get(p, "core", &other, &ack), 0);
}

static void
a_commit_of_the_shipper_is_seen_at_once(void **state)
{
	struct place *p = *state;
	struct pb_ack ack;
	uint64_t before;

	shipper_opens(p, 3);
	shipper_acks(p, "core", 1, 1);
	before = commits(p);
	assert_true(before > 0);
	assert_int_equal(commits(p), before);
	shipper_acks(p, "core", 2, 2);
	assert_true(commits(p) > before);
	assert_int_equal(get(p, "core", &eth0, &ack), 1);
	assert_int_equal(ack.acked, 2);
}

static void
a_row_of_another_length_is_not_believed(void **state)
{
	struct place *p = *state;
	const uint8_t row[PB_ACKS_ROW_BYTES + 1] = { 9 };
	struct pb_ack ack;

	shipper_opens(p, 3);
	shipper_puts(p, "core", &eth0, row, PB_ACKS_ROW_BYTES - 1);
	assert_int_equal(get(p, "core", &eth0, &ack), 0);
	shipper_puts(p, "core", &eth0, row, PB_ACKS_ROW_BYTES + 1);
	assert_int_equal(get(p, "core", &eth0, &ack), 0);
	assert_int_equal(ack.acked, 0);
}

static void
none_at_all_can_be_left_and_destroyed(void **state)
{
	(void)state;
	pb_acks_leave(NULL);
	pb_acks_destroy(NULL);
}

static void
what_is_acked_is_released(void **state)
{
	struct place *p = *state;
	struct pb_ack ack;

	shipper_opens(p, 3);
	shipper_acks(p, "core", 40, 3);
	assert_int_equal(get(p, "core", &eth0, &ack), 1);
	assert_int_equal(ack.released, 40);
}

static void
a_shipper_that_begins_anew_is_read_anew(void **state)
{
	struct place *p = *state;
	struct pb_ack ack;

	shipper_opens(p, 3);
	shipper_acks(p, "core", 40, 40);
	assert_true(commits(p) > 0);
	pb_mdb_close(p->mdb);
	shell("mv '%s' '%s.old'", p->shipper, p->shipper);
	assert_int_equal(commits(p), 0);
	assert_int_equal(get(p, "core", &eth0, &ack), 0);
	shipper_opens(p, 3);
	shipper_acks(p, "core", 5, 5);
	assert_true(commits(p) > 0);
	assert_int_equal(get(p, "core", &eth0, &ack), 1);
	assert_int_equal(ack.acked, 5);
}

/* The numbers of a file system that went may be another file's there. */
static void
one_that_was_left_is_looked_at_again(void **state)
{
	struct place *p = *state;
	char file[96];
	struct pb_ack ack;

	shipper_opens(p, 3);
	shipper_acks(p, "core", 40, 40);
	assert_int_equal(get(p, "core", &eth0, &ack), 1);
	pb_mdb_close(p->mdb);
	p->mdb = NULL;
	pb_acks_leave(p->acks);
	snprintf(file, sizeof(file), "%s/data.mdb", p->shipper);
	assert_int_equal(truncate(file, 2 * sysconf(_SC_PAGESIZE)), 0);
	assert_int_equal(get(p, "core", &eth0, &ack), 0);
}

/*
 * Goal:   a database of the shipper's that a power cut has shortened does
 *         not end the recorder, and nothing in it is believed.
 * Method: a table of many pages, of which the last ones go.
 */
static void
a_shipper_whose_file_was_cut_short_ends_nobody(void **state)
{
	struct place *p = *state;
	char file[96], away[112], name[PB_NAME_BYTES_MAX];
	struct pb_ack ack;

	shipper_opens(p, 3);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "core%u", i);
		shipper_acks(p, name, i, i);
	}
	pb_mdb_close(p->mdb);
	p->mdb = NULL;
	snprintf(file, sizeof(file), "%s/data.mdb", p->shipper);
	assert_int_equal(truncate(file, 3 * sysconf(_SC_PAGESIZE)), 0);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "core%u", i);
		assert_int_equal(get(p, name, &eth0, &ack), 0);
		assert_int_equal(ack.acked, 0);
	}
	assert_int_equal(commits(p), 0);
	/* Moved away, it is made anew. */
	snprintf(away, sizeof(away), "%s.away", file);
	assert_int_equal(rename(file, away), 0);
	shipper_opens(p, 3);
	shipper_acks(p, "core", 5, 5);
	assert_true(commits(p) > 0);
	assert_int_equal(get(p, "core", &eth0, &ack), 1);
	assert_int_equal(ack.acked, 5);
}

/* Where this process does not have it open: LMDB allows one. */
static pid_t
stops(struct place *p)
{
	pb_mdb_close(p->mdb);
	p->mdb = NULL;
	return shipper_stops(p->shipper);
}

static void
files_at_most(rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Else retention would delete, and call lost, what an upstream has. */
static void
what_the_system_refuses_for_a_moment_is_not_unacked(void **state)
{
	struct place *p = *state;
	struct rlimit before;
	struct pb_ack ack;

	shipper_opens(p, 3);
	shipper_acks(p, "core", 5, 5);
	assert_int_equal(get(p, "core", &eth0, &ack), 1);
	pb_acks_leave(p->acks);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	files_at_most(3);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pb_acks_get(p->acks, "core", &eth0, &ack),
		    PB_EBUSY);
		usleep(10000);
	}
	files_at_most(before.rlim_cur);
	assert_int_equal(get(p, "core", &eth0, &ack), 1);
	assert_int_equal(ack.acked, 5);
}

/*
 * Goal:   a shipper that was stopped while it opened its database, so that
 *         it holds LMDB's lock on it, does not stop the recorder.
 * Method: a process holds that lock and sleeps.
 */
static void
a_shipper_that_was_stopped_stops_no_reader(void **state)
{
	struct place *p = *state;
	struct pb_ack ack;
	uint64_t began;
	pid_t child;

	shipper_opens(p, 3);
	shipper_acks(p, "core", 5, 5);
	child = stops(p);
	alarm(60);
	/* Nor does anybody wait until it is known that it is stopped. */
	began = pb_clock_mono_ms();
	assert_false(pb_acks_known(p->acks));
	assert_int_equal(pb_acks_get(p->acks, "core", &eth0, &ack), PB_EBUSY);
	assert_int_equal(ack.acked, 0);
	assert_int_equal(pb_acks_commits(p->acks), 0);
	assert_true(pb_clock_mono_ms() - began < 1000);
	assert_int_equal(get(p, "core", &eth0, &ack), 0);
	assert_true(pb_clock_mono_ms() - began >= 1000);
	assert_int_equal(get(p, "core", &eth0, &ack), 0);
	alarm(0);
	shipper_ends(child);
}

/*
 * Goal:   who leaves waits for nobody; who destroys waits for the look that
 *         is under way even then: it opens below the store's directory.
 * Method: a shipper that was stopped holds up the look for seconds.
 */
static void
a_look_that_was_left_is_waited_for_at_the_end(void **state)
{
	struct place *p = *state;
	uint64_t began;
	pid_t child;

	shipper_opens(p, 3);
	child = stops(p);
	began = pb_clock_mono_ms();
	assert_false(pb_acks_known(p->acks));
	pb_acks_leave(p->acks);
	assert_true(pb_clock_mono_ms() - began < 1000);
	pb_acks_destroy(p->acks);
	p->acks = NULL;
	assert_true(pb_clock_mono_ms() - began >= 1000);
	shipper_ends(child);
}

static _Atomic time_t ahead_s;	/* the clock is */
static pthread_t main_thread;
static _Atomic unsigned waits;	/* steps that the main thread has waited */

/* The C library's, but for that. */
int
clock_gettime(clockid_t id, struct timespec *out)
{
	int rc = (int)syscall(SYS_clock_gettime, id, out);

	out->tv_sec += ahead_s;
	return rc;
}

int
poll(struct pollfd *fds, nfds_t count, int ms)
{
	struct timespec end = { ms / 1000, ms % 1000 * 1000000L };

	if (pthread_equal(pthread_self(), main_thread))
		waits++;
	return ppoll(fds, count, ms < 0 ? NULL : &end, NULL);
}

static nlink_t threads_alone;

static nlink_t
threads(void)
{
	struct stat st;

	assert_int_equal(stat("/proc/self/task", &st), 0);
	return st.st_nlink;
}

/* Who looked has gone: nothing below the directory is opened any more. */
static void
last_look_ends(void)
{
	for (int i = 0; i < 5000; i++) {
		if (threads() == threads_alone)
			return;
		usleep(2000);
	}
	fail_msg("a thread still looks");
}

/*
 * Goal:   who destroys waits no longer than anybody reckons with an answer,
 *         from when it was asked.
 * Method: the look is under way, and a minute passes at once.
 */
static void
a_look_that_is_overdue_is_waited_for_no_more(void **state)
{
	struct place *p = *state;
	pid_t child;

	shipper_opens(p, 3);
	child = stops(p);
	main_thread = pthread_self();
	assert_false(pb_acks_known(p->acks));
	waits = 0;
	ahead_s += 60;
	pb_acks_destroy(p->acks);
	p->acks = NULL;
	assert_int_equal(waits, 0);
	shipper_ends(child);
	last_look_ends();
}

static _Atomic pthread_t forked_by;
static _Atomic unsigned forks;

static void
note_fork(void)
{
	forked_by = pthread_self();
	forks++;
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
note_forks(void **state)
{
	pthread_t thread;

	(void)state;
	/* A sanitizer starts its own with the first one. */
	if (pthread_create(&thread, NULL, nothing, NULL) != 0 ||
	    pthread_join(thread, NULL) != 0)
		return -1;
	threads_alone = threads();
	return pthread_atfork(note_fork, NULL, NULL);
}

/*
 * Goal:   a file is open once in a process, also where its look was left and
 *         the same one is asked about again.
 * Method: a shipper that was stopped holds up the first one for seconds.
 */
static void
after_a_look_that_was_left_the_next_one_waits_its_turn(void **state)
{
	struct place *p = *state;
	struct pb_ack ack;
	unsigned before;
	pid_t child;

	shipper_opens(p, 3);
	shipper_acks(p, "core", 5, 5);
	child = stops(p);
	before = forks;
	for (unsigned i = 0; i < 5; i++) {
		assert_false(pb_acks_known(p->acks));
		pb_acks_leave(p->acks);
		usleep(50000);
	}
	assert_false(pb_acks_known(p->acks));
	assert_int_equal(forks, before + 1);
	shipper_ends(child);
	assert_int_equal(get(p, "core", &eth0, &ack), 1);
	assert_int_equal(ack.acked, 5);
	assert_int_equal(forks, before + 2);
}

/*
 * Goal:   the thread that asks is the writer's of a daemon that captures: a
 *         fork copies its page tables, and it must not wait for a child.
 * Method: whoever forks is noted; the file is replaced again and again.
 */
static void
the_thread_that_asks_never_forks(void **state)
{
	struct place *p = *state;
	struct pb_acks *second;
	struct pb_ack ack;
	char command[256];
	unsigned before;

	for (uint64_t i = 1; i <= 5; i++) {
		shipper_opens(p, 3);
		shipper_acks(p, "core", i, i);
		before = forks;
		assert_int_equal(get(p, "core", &eth0, &ack), 1);
		assert_int_equal(ack.acked, i);
		assert_int_equal(forks, before + 1);
		assert_false(pthread_equal(forked_by, pthread_self()));
		pb_mdb_close(p->mdb);
		p->mdb = NULL;
		snprintf(command, sizeof(command), "mv '%s' '%s.%u'",
		    p->shipper, p->shipper, (unsigned)i);
		assert_int_equal(system(command), 0);
	}
	/* Who opens a store waits, but forks no more than others. */
	shipper_opens(p, 3);
	shipper_acks(p, "core", 7, 7);
	pb_acks_leave(p->acks);
	assert_int_equal(pb_acks_create(&second, p->dir, NULL), 0);
	pb_acks_wait(second);
	assert_true(pb_acks_known(second));
	assert_int_equal(pb_acks_get(second, "core", &eth0, &ack), 1);
	assert_int_equal(ack.acked, 7);
	assert_false(pthread_equal(forked_by, pthread_self()));
	pb_acks_destroy(second);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_and_a_row_have_exactly_these_bytes),
		cmocka_unit_test(the_longest_names_fit_into_a_key),
		TEST(without_a_shipper_nothing_is_acked),
		TEST(what_the_system_refuses_for_a_moment_is_not_unacked),
		TEST(a_shipper_without_the_table_says_nothing),
		TEST(a_row_is_read_as_it_was_written_and_no_other),
		TEST(a_commit_of_the_shipper_is_seen_at_once),
		TEST(a_row_of_another_length_is_not_believed),
		cmocka_unit_test(none_at_all_can_be_left_and_destroyed),
		TEST(what_is_acked_is_released),
		TEST(a_shipper_that_begins_anew_is_read_anew),
		TEST(one_that_was_left_is_looked_at_again),
		TEST(a_shipper_whose_file_was_cut_short_ends_nobody),
		TEST(a_shipper_that_was_stopped_stops_no_reader),
		TEST(a_look_that_was_left_is_waited_for_at_the_end),
		TEST(a_look_that_is_overdue_is_waited_for_no_more),
		TEST(after_a_look_that_was_left_the_next_one_waits_its_turn),
		TEST(the_thread_that_asks_never_forks),
	};

	return cmocka_run_group_tests_name("acks", tests, note_forks, NULL);
}
