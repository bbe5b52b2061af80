/*
 * tests/unit/test_store.c - the store: streams, segments, extents, order
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "recorder/store/index/index_write.h"
#include "tests/unit/store_fixture.h"

static void
what_done_reports_is_in_the_index_and_readable(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info row;
	uint64_t first, last;

	fixture_write(f, 1, 10, 100);
	assert_int_equal(f->ok, 1);
	fixture_stream_row(f, &row);
	assert_int_equal(row.last_seq, 10);
	assert_int_equal(row.packets, 10);
	assert_int_equal(row.bytes, 1000);
	assert_int_equal(row.first_time, FIXTURE_TIME(1));
	assert_int_equal(row.last_time, FIXTURE_TIME(10));
	assert_int_equal(pb_stream_durable(f->stream), 10);
	assert_int_equal(pb_stream_next(f->stream), 11);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 10);
	assert_int_equal(first, 1);
	assert_int_equal(last, 10);
}

static void
small_flushes_grow_one_extent_and_its_digest_stays_right(void **state)
{
	struct fixture *f = *state;
	struct pb_extent_info rows[4];
	struct pb_stream_info row;
	struct pb_err err;

	for (uint64_t seq = 1; seq <= 50; seq++)
		fixture_write(f, seq, seq, 60);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_EXTENTS, row.id, 1, rows, 4, &err), 1);
	assert_int_equal(rows[0].first_seq, 1);
	assert_int_equal(rows[0].last_seq, 50);
}

/* Large chunks go past the page cache: filler blocks must not disturb. */
static void
large_chunks_read_back_across_extents_and_segments(void **state)
{
	struct fixture *f = *state;
	struct pb_segment_info rows[16];
	struct pb_stream_info row;
	uint64_t first, last, seq = 1;
	struct pb_err err;
	int n;

	for (int i = 0; i < 12; i++, seq += 600)
		assert_int_equal(fixture_submit(f, fixture_chunk(f, seq,
		    seq + 599, 1500)), 0);
	fixture_wait(f);
	fixture_write(f, seq, seq, 1500);
	assert_int_equal(f->ok, 13);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 7201);
	fixture_stream_row(f, &row);
	n = pb_index_rows_of(pb_store_index(f->store), PB_TABLE_SEGMENTS,
	    row.id, 1, rows, 16, &err);
	assert_true(n >= 2);
	for (int i = 0; i < n; i++) {
		assert_true(rows[i].bytes <= 4u << 20);
		assert_int_equal(rows[i].sealed, i < n - 1);
		if (i > 0)
			assert_int_equal(rows[i].first_seq,
			    rows[i - 1].last_seq + 1);
	}
}

/* Every block of the file, from its first byte to its last. */
static void
check_whole_blocks(const char *path)
{
	static uint8_t bytes[4u << 20];
	struct pb_block block;
	size_t at = 0;
	ssize_t len;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	len = read(fd, bytes, sizeof(bytes));
	close(fd);
	assert_true(len > 0);
	while (at < (size_t)len) {
		assert_int_equal(pb_scan_block(bytes + at, (size_t)len - at,
		    &block), 1);
		assert_int_not_equal(block.type, PB_BLOCK_CB);
		at += block.len;
	}
}

/* Sizes around a page, a filler's least size, and a chunk. */
static void
the_open_file_ends_with_a_whole_block_after_every_flush(void **state)
{
	static const uint32_t sizes[] = { 4000, 60, 4, 3900, 64, 1, 20000, 3,
	    4096, 4050, 4020, 70000, 9, 8150, 250000, 12, 3970, 100 };
	struct fixture *f = *state;
	struct pb_segment_info row;
	struct pb_stream_info stream;
	struct stat st;
	struct pb_err err;
	char path[PATH_MAX];
	uint64_t seq = 1;

	pb_layout_segment(path, f->dir, &f->key, 1, true, NULL);
	for (int round = 0; round < 4; round++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			fixture_write(f, seq, seq, sizes[i] + (unsigned)round *
			    4);
			seq++;
			check_whole_blocks(path);
		}
	fixture_stream_row(f, &stream);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_SEGMENTS, stream.id, 1, &row, 1, &err), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, row.bytes);
}

static void
a_range_of_numbers_or_times_is_cut_exactly(void **state)
{
	struct fixture *f = *state;
	struct pb_range range = ALL;
	uint64_t first, last, seq = 1;

	for (int i = 0; i < 10; i++, seq += 600)
		fixture_write(f, seq, seq + 599, 1000);
	range.first_seq = 700;
	range.last_seq = 4100;
	assert_int_equal(fixture_read(f, &range, &first, &last), 3401);
	assert_int_equal(first, 700);
	assert_int_equal(last, 4100);
	range = ALL;
	range.after_ns = FIXTURE_TIME(1234);
	range.before_ns = FIXTURE_TIME(5678);
	assert_int_equal(fixture_read(f, &range, &first, &last), 4444);
	assert_int_equal(first, 1234);
	assert_int_equal(last, 5677);
	range.after_ns = FIXTURE_TIME(99999);
	range.before_ns = UINT64_MAX;
	assert_int_equal(fixture_read(f, &range, &first, &last), 0);
}

static void
numbers_that_do_not_follow_are_refused(void **state)
{
	struct fixture *f = *state;

	fixture_write(f, 1, 5, 100);
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 7, 8, 100)),
	    PB_EORDER);
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 5, 6, 100)),
	    PB_EORDER);
	/* A repeat that is in no gap reaches the writer and is refused. */
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 2, 3, 100)), 0);
	fixture_wait(f);
	assert_int_equal(f->last_rc, PB_EORDER);
	fixture_write(f, 6, 6, 100);
	assert_int_equal(f->last_rc, 0);
}

static void
submit_gap(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_chunk *chunk = fixture_chunk(f, first, last, 1);

	chunk->gap = PB_GAP_DEAD_LETTERED;
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
	assert_int_equal(f->last_rc, 0);
}

static void
a_gap_moves_the_durable_end_and_late_packets_close_it(void **state)
{
	struct fixture *f = *state;
	struct pb_gap_info gaps[8];
	struct pb_stream_info row;
	struct pb_err err;
	uint64_t first, last;

	fixture_write(f, 1, 10, 100);
	submit_gap(f, 11, 20);
	assert_int_equal(pb_stream_durable(f->stream), 20);
	fixture_write(f, 21, 30, 100);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 20);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_GAPS, row.id, 1, gaps, 8, &err), 1);
	assert_int_equal(gaps[0].first, 11);
	assert_int_equal(gaps[0].last, 20);
	assert_int_equal(gaps[0].closed_ns, 0);

	fixture_write(f, 13, 15, 100);	/* the middle comes late */
	assert_int_equal(f->last_rc, 0);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_GAPS, row.id, 1, gaps, 8, &err), 3);
	assert_int_equal(gaps[0].last, 12);
	assert_int_equal(gaps[1].first, 13);
	assert_true(gaps[1].closed_ns > 0);
	assert_int_equal(gaps[2].first, 16);
	assert_int_equal(gaps[2].closed_ns, 0);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 23);

	/* What is there is not stored twice. */
	fixture_submit(f, fixture_chunk(f, 13, 15, 100));
	fixture_wait(f);
	assert_int_equal(f->last_rc, PB_EORDER);
	fixture_write(f, 11, 12, 100);
	fixture_write(f, 16, 20, 100);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 30);
	fixture_stream_row(f, &row);
	assert_int_equal(row.packets, 30);
}

static void
drop_counts_of_late_packets_are_recorded(void **state)
{
	struct fixture *f = *state;
	struct pb_drop_info drops[2];
	struct pb_stream_info row;
	struct pb_chunk *chunk;
	struct pb_err err;

	submit_gap(f, 1, 10);
	chunk = fixture_chunk(f, 1, 10, 100);
	pb_fill_drops(chunk, 4, 77, 0);
	fixture_submit(f, chunk);
	fixture_wait(f);
	fixture_stream_row(f, &row);
	assert_int_equal(row.dropped, 77);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_DROPS, row.id, 1, drops, 2, &err), 1);
	assert_int_equal(drops[0].seq, 4);
	assert_int_equal(drops[0].count, 77);
}

static void
a_segment_that_is_there_but_cannot_be_opened_is_no_expired_one(void **state)
{
	struct fixture *f = *state;
	uint64_t first, last;
	char path[PATH_MAX];

	fixture_write(f, 1, 10, 100);
	pb_store_close(f->store);
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key, 1, false,
	    NULL), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(path, path), 0);	/* ELOOP */
	fixture_open(f);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), -1);
}

/* Puts rows that nothing of ours writes. */
static void
put_rows(struct fixture *f, const struct pb_extent_info *extent,
    const struct pb_gap_info *gaps, size_t count)
{
	struct pb_mdb_txn txn;
	struct pb_err err;

	assert_int_equal(pb_index_begin(pb_store_index(f->store), &txn, &err),
	    0);
	if (extent != NULL)
		pb_index_put(&txn, PB_TABLE_EXTENTS, extent);
	for (size_t i = 0; i < count; i++)
		pb_index_put(&txn, PB_TABLE_GAPS, &gaps[i]);
	assert_int_equal(pb_mdb_commit(&txn), 0);
}

static void
an_extent_row_that_promises_too_much_is_an_error_and_no_loop(void **state)
{
	struct fixture *f = *state;
	struct pb_extent_info extent;
	struct pb_stream_info row;
	uint64_t first, last;
	struct pb_err err;

	fixture_write(f, 1, 10, 100);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_EXTENTS, row.id, 1, &extent, 1, &err), 1);
	extent.last_seq = 15;
	put_rows(f, &extent, NULL, 0);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), -1);
	extent.last_seq = 5;	/* the file says more */
	put_rows(f, &extent, NULL, 0);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), -1);
}

static void
gap_rows_that_lead_back_are_passed_over(void **state)
{
	struct fixture *f = *state;
	struct pb_gap_info gaps[64], got;
	struct pb_stream_info row;
	struct pb_err err;

	fixture_write(f, 1, 10, 100);
	fixture_stream_row(f, &row);
	for (uint64_t i = 0; i < 64; i++)
		gaps[i] = (struct pb_gap_info){ .stream = row.id,
		    .first = 100 + i, .last = i % 2 == 0 ? 3 : UINT64_MAX,
		    .closed_ns = 1 };
	put_rows(f, NULL, gaps, 64);
	assert_int_equal(pb_store_gaps(f->store, f->stream, 1, UINT64_MAX,
	    &got, 1, &err), 0);
}

static void
a_stream_may_begin_with_a_gap_that_is_filled_later(void **state)
{
	struct fixture *f = *state;
	uint64_t first, last;

	submit_gap(f, 1, 10);
	fixture_write(f, 11, 20, 100);
	fixture_write(f, 4, 6, 100);
	assert_int_equal(f->last_rc, 0);
	pb_store_close(f->store);
	fixture_open(f);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 13);
	assert_int_equal(first, 4);
	fixture_write(f, 7, 10, 100);
	fixture_write(f, 1, 3, 100);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 20);
}

static void
a_stream_goes_on_where_it_was_after_a_restart(void **state)
{
	struct fixture *f = *state;
	uint64_t epoch, first, last;
	struct pb_err err;

	fixture_write(f, 1, 10, 100);
	pb_store_close(f->store);
	fixture_open(f);
	assert_int_equal(pb_stream_next(f->stream), 11);
	assert_int_equal(pb_store_own_epoch(f->store, "lon1", "eth0",
	    PB_LINKTYPE_ETHERNET, 0, &epoch, &err), 0);
	assert_true(epoch == f->key.epoch);
	assert_int_equal(pb_store_own_epoch(f->store, "lon1", "eth0",
	    PB_LINKTYPE_RAW, 0, &epoch, &err), 0);
	assert_true(epoch != f->key.epoch && epoch != 0);
	assert_int_equal(pb_store_own_epoch(f->store, "lon1", "eth",
	    PB_LINKTYPE_ETHERNET, 0, &epoch, &err), 0);
	assert_true(epoch != f->key.epoch);
	fixture_write(f, 11, 12, 100);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 12);
}

static void
an_own_stream_without_a_packet_yet_keeps_its_epoch(void **state)
{
	struct fixture *f = *state;
	uint64_t epoch;
	struct pb_err err;

	/* The fixture has made the stream; nothing of it is on disk. */
	assert_int_equal(pb_store_own_epoch(f->store, "lon1", "eth0",
	    PB_LINKTYPE_ETHERNET, 0, &epoch, &err), 0);
	assert_true(epoch == f->key.epoch);
	assert_int_equal(pb_store_own_epoch(f->store, "lon1", "eth0",
	    PB_LINKTYPE_ETHERNET, 96, &epoch, &err), 0);
	assert_true(epoch != f->key.epoch);
}

static void
a_changed_head_begins_a_new_segment(void **state)
{
	struct fixture *f = *state;
	struct pb_segment_info rows[4];
	struct pb_stream_info row;
	struct pb_err err;

	fixture_write(f, 1, 2, 100);
	pb_head_unref(f->head);
	f->head = fixture_head(&f->key, "Paris");
	fixture_write(f, 3, 4, 100);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_SEGMENTS, row.id, 1, rows, 4, &err), 2);
	assert_int_equal(rows[1].first_seq, 3);
}

static void
running_numbers_are_never_given_twice(void **state)
{
	struct fixture *f = *state;
	uint64_t before = pb_store_take_numbers(f->store, 1000);

	pb_store_close(f->store);
	fixture_open(f);
	assert_true(pb_store_take_numbers(f->store, 1) >= before + 1000);
}

static void
a_second_writer_is_told_the_pid_of_the_first(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	/* fcntl(2) locks belong to a process: ask from another one. */
	if (pid == 0) {
		struct pb_store_opts opts;
		struct pb_store *second;
		struct pb_err err = { 0 };
		char want[32];

		fixture_opts(f, &opts);
		snprintf(want, sizeof(want), "pid %ld", (long)getppid());
		/* By a signal: what the fork copied is no leak of ours. */
		if (pb_store_open(&second, &opts, &err) == PB_EBUSY &&
		    strstr(err.text, want) != NULL)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
closing_seals_every_segment(void **state)
{
	struct fixture *f = *state;
	struct pb_segment_info seg;
	struct pb_stream_info row;
	char path[PATH_MAX];
	struct pb_err err;

	fixture_write(f, 1, 3, 100);
	pb_layout_segment(path, f->dir, &f->key, 1, true, NULL);
	assert_int_equal(access(path, F_OK), 0);
	pb_store_close(f->store);
	assert_int_not_equal(access(path, F_OK), 0);
	pb_layout_segment(path, f->dir, &f->key, 1, false, NULL);
	assert_int_equal(access(path, F_OK), 0);
	fixture_open(f);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_SEGMENTS, row.id, 1, &seg, 1, &err), 1);
	assert_true(seg.sealed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(what_done_reports_is_in_the_index_and_readable),
		IN_STORE(
		    small_flushes_grow_one_extent_and_its_digest_stays_right),
		IN_STORE(large_chunks_read_back_across_extents_and_segments),
		IN_STORE(
		    the_open_file_ends_with_a_whole_block_after_every_flush),
		IN_STORE(a_range_of_numbers_or_times_is_cut_exactly),
		IN_STORE(numbers_that_do_not_follow_are_refused),
		IN_STORE(a_gap_moves_the_durable_end_and_late_packets_close_it),
		IN_STORE(drop_counts_of_late_packets_are_recorded),
		IN_STORE(
	    a_segment_that_is_there_but_cannot_be_opened_is_no_expired_one),
		IN_STORE(
	    an_extent_row_that_promises_too_much_is_an_error_and_no_loop),
		IN_STORE(gap_rows_that_lead_back_are_passed_over),
		IN_STORE(a_stream_may_begin_with_a_gap_that_is_filled_later),
		IN_STORE(a_stream_goes_on_where_it_was_after_a_restart),
		IN_STORE(an_own_stream_without_a_packet_yet_keeps_its_epoch),
		IN_STORE(a_changed_head_begins_a_new_segment),
		IN_STORE(running_numbers_are_never_given_twice),
		IN_STORE(a_second_writer_is_told_the_pid_of_the_first),
		IN_STORE(closing_seals_every_segment),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
