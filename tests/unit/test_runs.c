/*
 * tests/unit/test_runs.c - extents whose packets go as they are
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/store/read/runs.h"
#include "tests/unit/store_fixture.h"

static struct pb_runs *
runs_of(struct fixture *f)
{
	struct pb_stream_info info;
	struct pb_runs *runs;

	fixture_stream_row(f, &info);
	assert_int_equal(pb_runs_create(&runs, pb_store_index(f->store),
	    f->dir, &info, NULL), 0);
	return runs;
}

static void
a_run_has_all_packets_of_its_extent(void **state)
{
	struct fixture *f = *state;
	struct pb_cursor_packet cp;
	struct pb_run_ahead ahead;
	struct pb_runs *runs;
	struct pb_run run;
	uint64_t seq = 1;
	size_t at;

	for (uint64_t from = 1; from < 3000; from += 500)
		fixture_write(f, from, from + 499, 900);
	runs = runs_of(f);
	while (pb_runs_look(runs, seq, &ahead)) {
		assert_true(pb_runs_read(runs, &run));
		assert_int_equal(run.first_seq, seq);
		assert_true(run.first_time == FIXTURE_TIME(seq));
		for (at = 0; pb_run_packet(&run, &at, &cp, NULL) == 1; seq++)
			assert_int_equal(cp.seq, seq);
		assert_int_equal(run.last_seq, seq - 1);
		assert_true(run.last_time == FIXTURE_TIME(seq - 1));
		assert_true(ahead.floor == UINT64_MAX ||
		    ahead.floor == FIXTURE_TIME(seq));
		if (seq < 1500)
			pb_runs_park(runs);
	}
	assert_int_equal(seq, 3001);
	pb_runs_destroy(runs);
}

static void
a_rotten_extent_is_no_run_and_the_others_are(void **state)
{
	struct fixture *f = *state;
	struct pb_run_ahead ahead;
	struct pb_runs *runs;
	struct pb_run run;
	unsigned rotten = 0, whole = 0;
	uint64_t seq = 1;

	for (uint64_t at = 1; at < 5000; at += 1000)
		fixture_write(f, at, at + 999, 900);
	runs = runs_of(f);
	/* A bit of the second extent's data. */
	assert_true(pb_runs_look(runs, 1, &ahead));
	shell("for s in '%s'/segments/*/*/*/*1.pcapng*; do printf X | dd "
	    "of=$s bs=1 seek=1500000 conv=notrunc 2>/dev/null; done",
	    f->dir);
	while (pb_runs_look(runs, seq, &ahead)) {
		assert_int_equal(ahead.first_seq, seq);
		if (pb_runs_read(runs, &run)) {
			whole++;
			assert_int_equal(run.first_seq, seq);
			assert_int_equal(run.last_seq, ahead.last_seq);
			assert_true(run.last_time <= ahead.floor);
		} else {
			rotten++;
		}
		seq = ahead.last_seq + 1;
	}
	assert_int_equal(seq, 5001);
	assert_int_equal(rotten, 1);
	assert_true(whole >= 3);
	pb_runs_destroy(runs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(a_run_has_all_packets_of_its_extent),
		IN_STORE(a_rotten_extent_is_no_run_and_the_others_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
