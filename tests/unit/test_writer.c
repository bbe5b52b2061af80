/*
 * tests/unit/test_writer.c - which commits a chunk's way takes, and that
 * each chunk is answered
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/stepped.h"

#define STREAMS		20

static uint64_t
commits(struct fixture *f)
{
	return pb_index_commits(pb_store_index(f->store));
}

static void
submit_due(struct fixture *f, struct pb_stream *stream, uint64_t first,
    uint64_t last, uint64_t due_ms)
{
	struct pb_chunk *chunk = fixture_chunk(f, first, last, 100);

	chunk->stream = stream;
	chunk->due_ms = due_ms;
	chunk->keep_trying = true;
	assert_int_equal(fixture_submit(f, chunk), 0);
}

static void
the_commit_that_seals_a_segment_announces_the_next(void **state)
{
	struct fixture *f = *state;
	struct pb_chunk *chunk;
	uint64_t before, first, last;

	fixture_write(f, 1, 10, 100);
	before = commits(f);
	chunk = fixture_chunk(f, 11, 20, 100);
	pb_head_unref(chunk->head);
	chunk->head = fixture_head(&f->key, "London, moved");
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
	assert_int_equal(f->failed, 0);
	/* One that seals and announces, and one with the packets. */
	assert_int_equal(commits(f) - before, 2);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 20);
}

static void
streams_that_begin_together_share_their_commits(void **state)
{
	struct fixture *f = *state;
	struct pb_stream *stream[STREAMS];
	struct pb_stream_key key = f->key;
	uint64_t before;
	struct pb_err err;

	fixture_write(f, 1, 10, 100);
	before = commits(f);
	for (int i = 0; i < STREAMS; i++) {
		key.epoch++;
		assert_int_equal(pb_store_stream(f->store, &key,
		    PB_LINKTYPE_ETHERNET, 0, true, &stream[i], &err), 0);
	}
	for (int i = 0; i < STREAMS; i++)
		submit_due(f, stream[i], 1, 10, 0);
	fixture_wait(f);
	for (int i = 0; i < STREAMS; i++)
		assert_int_equal(pb_stream_durable(stream[i]), 10);
	/* One that announces their segments, and one with the packets. */
	assert_int_equal(commits(f) - before, 2);
}

static void
chunks_behind_one_that_waits_keep_their_order(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info row;
	struct pb_chunk *chunk;
	uint64_t first, last;

	fixture_write(f, 1, 10, 100);
	for (uint64_t seq = 11; seq < 200; seq += 10) {
		chunk = fixture_chunk(f, seq, seq + 9, 100);
		/* Each other one begins a segment. */
		pb_head_unref(chunk->head);
		chunk->head = fixture_head(&f->key, seq / 10 % 2 == 0 ?
		    "London" : "Paris");
		assert_int_equal(fixture_submit(f, chunk), 0);
	}
	fixture_wait(f);
	assert_int_equal(f->failed, 0);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 200);
	fixture_stream_row(f, &row);
	assert_int_equal(row.packets, 200);
	assert_int_equal(row.bytes, 200 * 100);
	assert_int_equal(row.first_time, FIXTURE_TIME(1));
	assert_int_equal(row.last_time, FIXTURE_TIME(200));
}

/* A gap of each stream, and then what fills it. */
static void
late_packets_of_many_streams_share_their_commits(void **state)
{
	struct fixture *f = *state;
	struct pb_stream *stream[STREAMS];
	struct pb_stream_key key = f->key;
	struct pb_gap_info gap;
	uint64_t before;
	struct pb_err err;

	for (int i = 0; i < STREAMS; i++) {
		struct pb_chunk *chunk = fixture_chunk(f, 1, 10, 100);

		key.epoch++;
		assert_int_equal(pb_store_stream(f->store, &key,
		    PB_LINKTYPE_ETHERNET, 0, false, &stream[i], &err), 0);
		chunk->stream = stream[i];
		chunk->gap = PB_GAP_EXPIRED;
		assert_int_equal(fixture_submit(f, chunk), 0);
	}
	fixture_wait(f);
	before = commits(f);
	for (int i = 0; i < STREAMS; i++)
		submit_due(f, stream[i], 1, 10, 0);
	fixture_wait(f);
	assert_int_equal(f->failed, 0);
	for (int i = 0; i < STREAMS; i++)
		assert_int_equal(pb_store_gaps(f->store, stream[i], 1, 10,
		    &gap, 1, &err), 0);
	assert_int_equal(commits(f) - before, 2);
}

static void
a_gap_is_filled_once_though_packets_come_twice(void **state)
{
	struct fixture *f = *state;
	struct pb_chunk *chunk = fixture_chunk(f, 1, 10, 100);
	struct pb_stream_info row;
	uint64_t first, last;

	chunk->gap = PB_GAP_EXPIRED;
	assert_int_equal(fixture_submit(f, chunk), 0);
	/* Both are there before the first is written, and so is what comes
	 * behind them. */
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 3, 6, 100)), 0);
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 5, 8, 100)), 0);
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 11, 20, 100)), 0);
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 7, 9, 100)), 0);
	fixture_wait(f);
	assert_int_equal(f->failed, 1);
	fixture_stream_row(f, &row);
	assert_int_equal(row.packets, 4 + 10 + 3);
	assert_int_equal(row.last_seq, 20);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 17);
	assert_int_equal(first, 3);
}

static void
closing_answers_what_the_disk_refuses(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit;

	fixture_write(f, 1, 10, 100);
	/* They are gathered, and written by the flush at the end. */
	for (uint64_t seq = 11; seq < 900; seq += 300)
		submit_due(f, f->stream, seq, seq + 299,
		    pb_clock_mono_ms() + HOUR_MS);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	pb_store_close(f->store);
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(f->pending, 0);
	assert_int_equal(f->failed, 3);
	fixture_open(f);
	assert_int_equal(pb_stream_durable(f->stream), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STEPPED(the_commit_that_seals_a_segment_announces_the_next),
		STEPPED(streams_that_begin_together_share_their_commits),
		STEPPED(chunks_behind_one_that_waits_keep_their_order),
		STEPPED(late_packets_of_many_streams_share_their_commits),
		STEPPED(a_gap_is_filled_once_though_packets_come_twice),
		STEPPED(closing_answers_what_the_disk_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
