/*
 * tests/unit/test_store_faults.c - the disk refuses, then heals
 *
 * The fault is real: a file size limit (setrlimit(2), RLIMIT_FSIZE) makes
 * the kernel refuse writes past it with EFBIG, as a full disk refuses with
 * ENOSPC.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "tests/unit/store_fixture.h"

#define WAIT_MS_MAX	20000

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	signal(SIGXFSZ, SIG_IGN);
	fixture_init(f, __LINE__);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	limit_files(RLIM_INFINITY);
	fixture_finish(*state);
	free(*state);
	return 0;
}

/* Small first: the index and the segment exist. */
static void
write_small(struct fixture *f)
{
	fixture_write(f, 1, 100, 100);
	assert_int_equal(f->ok, 1);
}

static void
a_refused_chunk_of_ingest_is_reported_and_nothing_of_it_is_kept(void **state)
{
	struct fixture *f = *state;
	struct pb_store_stats stats;
	uint64_t first, last;

	write_small(f);
	limit_files(512 << 10);
	fixture_submit(f, fixture_chunk(f, 101, 700, 1500));
	fixture_wait(f);
	assert_int_equal(f->failed, 1);
	pb_store_stats(f->store, &stats);
	assert_true(stats.failures > 0);
	assert_true(stats.last_error[0] != '\0');
	assert_int_equal(pb_stream_durable(f->stream), 100);
	assert_int_equal(pb_stream_next(f->stream), 101);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 100);

	limit_files(RLIM_INFINITY);
	fixture_write(f, 101, 700, 1500);
	assert_int_equal(f->last_rc, 0);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 700);
	pb_store_stats(f->store, &stats);
	assert_string_equal(stats.last_error, "");
}

static void
what_is_queued_behind_a_refused_chunk_is_refused_as_well(void **state)
{
	struct fixture *f = *state;
	uint64_t first, last;

	write_small(f);
	limit_files(512 << 10);
	fixture_submit(f, fixture_chunk(f, 101, 700, 1500));
	fixture_submit(f, fixture_chunk(f, 701, 710, 100));
	fixture_wait(f);
	assert_int_equal(pb_stream_durable(f->stream), 100);
	assert_int_equal(f->failed, 2);
	limit_files(RLIM_INFINITY);
	fixture_write(f, 101, 710, 1500);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 710);
}

static void
chunks_of_capture_wait_in_order_until_the_disk_heals(void **state)
{
	struct fixture *f = *state;
	struct pb_chunk *chunk;
	struct pb_store_stats stats;
	uint64_t first, last, since = pb_clock_mono_ms();

	write_small(f);
	limit_files(512 << 10);
	for (uint64_t seq = 101; seq <= 1301; seq += 600) {
		chunk = fixture_chunk(f, seq, seq + 599, 1500);
		chunk->keep_trying = true;
		assert_int_equal(fixture_submit(f, chunk), 0);
	}
	do {
		pb_store_stats(f->store, &stats);
		usleep(1000);
	} while (stats.failures == 0 &&
	    pb_clock_mono_ms() - since < WAIT_MS_MAX);
	assert_true(stats.failures > 0);
	assert_int_equal(pb_stream_durable(f->stream), 100);
	limit_files(RLIM_INFINITY);
	fixture_wait(f);
	assert_int_equal(f->failed, 0);
	assert_int_equal(f->ok, 4);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 1900);
}

static void
other_streams_go_on_while_one_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	struct pb_stream *blocked = f->stream;
	struct pb_head *head = f->head;
	struct pb_err err;

	write_small(f);
	fixture_write(f, 101, 400, 1500);
	limit_files(512 << 10);
	fixture_submit(f, fixture_chunk(f, 401, 1000, 1500));
	strcpy(f->key.interface, "eth1");
	f->head = fixture_head(&f->key, "London");
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, &err), 0);
	fixture_submit(f, fixture_chunk(f, 1, 5, 100));
	fixture_wait(f);
	assert_int_equal(pb_stream_durable(blocked), 400);
	assert_int_equal(pb_stream_durable(f->stream), 5);
	pb_head_unref(head);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_refused_chunk_of_ingest_is_reported_and_nothing_of_it_is_kept),
		T(what_is_queued_behind_a_refused_chunk_is_refused_as_well),
		T(chunks_of_capture_wait_in_order_until_the_disk_heals),
		T(other_streams_go_on_while_one_cannot_be_written),
	};

	return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
