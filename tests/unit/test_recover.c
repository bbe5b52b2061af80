/*
 * tests/unit/test_recover.c - what a crash leaves, and what is made of it
 *
 * The crash is real: a child process writes and kills itself.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/write/segment.h"
#include "tests/unit/store_fixture.h"

static void
open_path(struct fixture *f, char out[PATH_MAX])
{
	assert_int_equal(pb_layout_segment(out, f->dir, &f->key, 1, true,
	    NULL), 0);
}

/* A store where packets 1 .. last are durable and nobody closed it. */
static void
crash_after(struct fixture *f, uint64_t last, uint32_t len)
{
	int status;
	pid_t pid;

	fixture_init(f, __LINE__);
	pb_store_close(f->store);
	pid = fork();
	if (pid == 0) {
		fixture_open(f);
		for (uint64_t seq = 1; seq <= last; seq += 100)
			fixture_write(f, seq, seq + 99 < last ? seq + 99 :
			    last, len);
		if (f->failed == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
expect(struct fixture *f, uint64_t first, uint64_t last, long count)
{
	uint64_t got_first, got_last;
	struct pb_stream_info row;

	assert_int_equal(fixture_read(f, &ALL, &got_first, &got_last), count);
	assert_int_equal(got_first, first);
	assert_int_equal(got_last, last);
	fixture_stream_row(f, &row);
	assert_int_equal(row.packets, count);
}

static off_t
size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* Appends whole or torn blocks of packet `seq` behind the durable end. */
static void
append_packet(struct fixture *f, const char *path, uint64_t seq, size_t cut)
{
	struct pb_chunk *chunk = fixture_chunk(f, seq, seq, 200);
	int fd = open(path, O_WRONLY | O_APPEND);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, chunk->data, chunk->len - cut),
	    chunk->len - cut);
	close(fd);
	chunk->arg = f;
	pb_chunk_destroy(chunk);
}

static void
after_a_crash_all_that_was_durable_is_there_and_sealed(void **state)
{
	char open_name[PATH_MAX];
	struct fixture f;

	(void)state;
	crash_after(&f, 1234, 1000);
	open_path(&f, open_name);
	assert_int_equal(access(open_name, F_OK), 0);
	fixture_open(&f);
	assert_int_not_equal(access(open_name, F_OK), 0);
	expect(&f, 1, 1234, 1234);
	assert_int_equal(pb_stream_next(f.stream), 1235);
	fixture_write(&f, 1235, 1300, 100);
	expect(&f, 1, 1300, 1300);
	fixture_finish(&f);
}

static void
whole_blocks_behind_the_durable_end_are_taken_in(void **state)
{
	char open_name[PATH_MAX];
	struct fixture f;

	(void)state;
	crash_after(&f, 50, 100);
	open_path(&f, open_name);
	append_packet(&f, open_name, 51, 0);
	append_packet(&f, open_name, 52, 0);
	append_packet(&f, open_name, 53, 8);	/* torn */
	fixture_open(&f);
	expect(&f, 1, 52, 52);
	fixture_write(&f, 53, 60, 100);
	expect(&f, 1, 60, 60);
	fixture_finish(&f);
}

static void
a_block_whose_number_does_not_follow_is_cut(void **state)
{
	char open_name[PATH_MAX];
	struct fixture f;

	(void)state;
	crash_after(&f, 50, 100);
	open_path(&f, open_name);
	append_packet(&f, open_name, 52, 0);
	fixture_open(&f);
	expect(&f, 1, 50, 50);
	fixture_finish(&f);
}

static void
a_torn_end_is_cut_at_every_length(void **state)
{
	(void)state;
	for (size_t cut = 4; cut < 200; cut += 36) {
		char open_name[PATH_MAX];
		struct fixture f;

		crash_after(&f, 3, 100);
		open_path(&f, open_name);
		append_packet(&f, open_name, 4, cut);
		fixture_open(&f);
		expect(&f, 1, 3, 3);
		fixture_finish(&f);
	}
}

static void
after_a_power_cut_nothing_behind_the_durable_end_is_trusted(void **state)
{
	char open_name[PATH_MAX];
	struct pb_index *index;
	struct pb_mdb_txn txn;
	struct pb_err err;
	struct fixture f;

	(void)state;
	crash_after(&f, 50, 100);
	open_path(&f, open_name);
	append_packet(&f, open_name, 51, 0);
	assert_int_equal(pb_index_open_write(&index, f.dir, 64u << 20, &err),
	    0);
	assert_int_equal(pb_index_begin(index, &txn, &err), 0);
	pb_index_meta_put(&txn, "boot", 1);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
	fixture_open(&f);
	expect(&f, 1, 50, 50);
	fixture_finish(&f);
}

static void
a_recovery_that_failed_after_a_power_cut_trusts_no_more_when_done_again(
    void **state)
{
	char open_name[PATH_MAX], aside[PATH_MAX];
	struct pb_store_opts opts;
	struct pb_store *store;
	struct pb_index *index;
	struct pb_mdb_txn txn;
	struct pb_err err;
	struct fixture f;

	(void)state;
	crash_after(&f, 50, 100);
	open_path(&f, open_name);
	append_packet(&f, open_name, 51, 0);
	assert_int_equal(pb_index_open_write(&index, f.dir, 64u << 20, &err),
	    0);
	assert_int_equal(pb_index_begin(index, &txn, &err), 0);
	pb_index_meta_put(&txn, "boot", 1);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
	/* A directory in the file's place: it can be opened by no means. */
	snprintf(aside, sizeof(aside), "%s/aside", f.dir);
	assert_int_equal(rename(open_name, aside), 0);
	assert_int_equal(mkdir(open_name, 0700), 0);
	fixture_opts(&f, &opts);
	assert_true(pb_store_open(&store, &opts, &err) < 0);
	assert_int_equal(rmdir(open_name), 0);
	assert_int_equal(rename(aside, open_name), 0);
	fixture_open(&f);
	expect(&f, 1, 50, 50);
	fixture_finish(&f);
}

/* A late fill as a crash leaves it before its commit: announced, its file
 * whole under either name. */
static void
leave_late_fill(struct fixture *f, uint64_t first, uint64_t last, bool sealed)
{
	struct pb_segment_place place = { .store = f->dir, .key = &f->key,
	    .pen = PB_PEN_EXAMPLE };
	struct pb_chunk *chunk = fixture_chunk(f, first, last, 100);
	struct pb_segment *segment;
	struct pb_stream_info row;
	struct pb_mdb_txn txn;
	struct pb_err err;

	fixture_stream_row(f, &row);
	place.stream = row.id;
	assert_int_equal(pb_index_begin(pb_store_index(f->store), &txn, &err),
	    0);
	pb_index_put(&txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = row.id, .first_seq = first, .key = row.key });
	assert_int_equal(pb_mdb_commit(&txn), 0);
	assert_int_equal(pb_segment_create(&segment, &place, f->head, first,
	    1, &err), 0);
	assert_int_equal(pb_segment_append(segment, chunk, &err), 0);
	if (sealed)
		assert_int_equal(pb_segment_rename(segment, 1, &err), 0);
	pb_segment_destroy(segment);
	pb_chunk_destroy(chunk);
}

static void
a_late_fill_that_was_not_committed_goes_and_can_come_again(void **state)
{
	(void)state;
	for (int sealed = 0; sealed < 2; sealed++) {
		char name[PATH_MAX];
		struct pb_chunk *gap;
		struct fixture f;

		crash_after(&f, 10, 100);
		fixture_open(&f);
		gap = fixture_chunk(&f, 11, 20, 10);
		gap->gap = PB_GAP_EXPIRED;
		assert_int_equal(fixture_submit(&f, gap), 0);
		fixture_wait(&f);
		fixture_write(&f, 21, 30, 100);
		leave_late_fill(&f, 12, 14, sealed == 1);
		pb_store_close(f.store);
		fixture_open(&f);
		expect(&f, 1, 30, 20);
		for (int open = 0; open < 2; open++) {
			pb_layout_segment(name, f.dir, &f.key, 12, open == 1,
			    NULL);
			assert_int_not_equal(access(name, F_OK), 0);
		}
		fixture_write(&f, 11, 20, 100);
		assert_int_equal(f.last_rc, 0);
		expect(&f, 1, 30, 30);
		fixture_finish(&f);
	}
}

/* A block that is no packet. */
static void
append_block(const char *path, uint32_t len)
{
	uint32_t *block = calloc(1, len);
	int fd = open(path, O_WRONLY | O_APPEND);

	assert_non_null(block);
	assert_true(fd >= 0);
	block[0] = PB_BLOCK_NRB;
	block[1] = block[len / 4 - 1] = len;
	assert_int_equal(write(fd, block, len), len);
	free(block);
	close(fd);
}

static void
an_extent_taken_in_is_never_larger_than_readers_hold(void **state)
{
	struct pb_extent_info rows[8];
	char open_name[PATH_MAX];
	struct pb_stream_info row;
	struct pb_err err;
	struct fixture f;
	int n;

	(void)state;
	crash_after(&f, 10, 100);
	open_path(&f, open_name);
	for (uint64_t seq = 11; seq < 14; seq++) {
		append_block(open_name, 700u << 10);
		append_packet(&f, open_name, seq, 0);
	}
	fixture_open(&f);
	expect(&f, 1, 13, 13);
	fixture_stream_row(&f, &row);
	n = pb_index_rows_of(pb_store_index(f.store), PB_TABLE_EXTENTS, row.id,
	    1, rows, 8, &err);
	assert_true(n > 1);
	for (int i = 0; i < n; i++)
		assert_true(rows[i].bytes <= PB_EXTENT_BYTES_MAX);
	fixture_finish(&f);
}

/* More than an extent has otherwise, and than any sender puts there. */
static void
blocks_between_two_packets_are_read_up_to_a_bound(void **state)
{
	(void)state;
	for (int blocks = 3; blocks < 8; blocks += 4) {
		uint64_t last = blocks < 6 ? 12 : 11;
		char open_name[PATH_MAX];
		struct fixture f;

		crash_after(&f, 10, 100);
		open_path(&f, open_name);
		append_packet(&f, open_name, 11, 0);
		for (int i = 0; i < blocks; i++)
			append_block(open_name, 700u << 10);
		append_packet(&f, open_name, 12, 0);
		fixture_open(&f);
		expect(&f, 1, last, (long)last);
		fixture_write(&f, last + 1, 20, 100);
		expect(&f, 1, 20, 20);
		fixture_finish(&f);
	}
}

static void
a_file_shorter_than_the_index_says_leaves_a_damaged_gap(void **state)
{
	char open_name[PATH_MAX];
	struct pb_gap_info gap;
	struct pb_stream_info row;
	struct pb_err err;
	struct fixture f;

	(void)state;
	crash_after(&f, 2000, 1000);
	open_path(&f, open_name);
	/* Every packet takes the same room: half of them stay. */
	assert_int_equal(truncate(open_name, size_of(open_name) / 2), 0);
	fixture_open(&f);
	fixture_stream_row(&f, &row);
	assert_int_equal(row.last_seq, 2000);
	assert_int_equal(pb_index_rows_of(pb_store_index(f.store),
	    PB_TABLE_GAPS, row.id, 1, &gap, 1, &err), 1);
	assert_int_equal(gap.reason, PB_GAP_DAMAGED);
	assert_int_equal(gap.last, 2000);
	assert_true(gap.first > 900 && gap.first < 1100);
	expect(&f, 1, gap.first - 1, (long)gap.first - 1);
	fixture_write(&f, 2001, 2001, 100);
	fixture_finish(&f);
}

static void
a_lost_file_leaves_a_damaged_gap_for_all_of_it(void **state)
{
	char open_name[PATH_MAX];
	struct pb_gap_info gap;
	struct pb_stream_info row;
	struct pb_err err;
	struct fixture f;

	(void)state;
	crash_after(&f, 70, 1000);
	open_path(&f, open_name);
	assert_int_equal(unlink(open_name), 0);
	fixture_open(&f);
	fixture_stream_row(&f, &row);
	assert_int_equal(row.packets, 0);
	assert_int_equal(pb_index_rows_of(pb_store_index(f.store),
	    PB_TABLE_GAPS, row.id, 1, &gap, 1, &err), 1);
	assert_int_equal(gap.first, 1);
	assert_int_equal(gap.last, 70);
	fixture_write(&f, 71, 80, 100);
	fixture_finish(&f);
}

/* Where recovery has put the first segment's file as it was found. */
static void
aside_path(struct fixture *f, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/damaged/lon1_eth0_1122334455667788_%020d"
	    ".pcapng", f->dir, 1);
}

static void
spoil(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "rot", 3, at), 3);
	close(fd);
}

static void
a_file_whose_header_is_unreadable_keeps_its_packets(void **state)
{
	char open_name[PATH_MAX], aside[PATH_MAX], note[PATH_MAX + 4];
	struct fixture f;

	(void)state;
	crash_after(&f, 70, 1000);
	open_path(&f, open_name);
	spoil(open_name, 0);
	fixture_open(&f);
	expect(&f, 1, 70, 70);
	aside_path(&f, aside);
	assert_true(size_of(aside) > 70000);
	snprintf(note, sizeof(note), "%s.txt", aside);
	assert_true(size_of(note) > 20);
	assert_int_not_equal(access(open_name, F_OK), 0);
	fixture_write(&f, 71, 80, 100);
	expect(&f, 1, 80, 80);
	fixture_finish(&f);
}

static void
whole_blocks_behind_a_rotten_one_are_kept(void **state)
{
	struct pb_segment_info rows[4];
	struct pb_stream_info stream;
	char open_name[PATH_MAX], aside[PATH_MAX];
	struct pb_gap_info gap;
	struct pb_err err;
	struct fixture f;

	(void)state;
	crash_after(&f, 2000, 1000);
	open_path(&f, open_name);
	for (off_t at = 0; at < 1100; at++)	/* more than one block */
		spoil(open_name, size_of(open_name) - 60000 + at);
	fixture_open(&f);
	fixture_stream_row(&f, &stream);
	assert_int_equal(stream.last_seq, 2000);
	assert_int_equal(pb_index_rows_of(pb_store_index(f.store),
	    PB_TABLE_GAPS, stream.id, 1, &gap, 1, &err), 1);
	assert_int_equal(gap.reason, PB_GAP_DAMAGED);
	assert_in_range(gap.last - gap.first, 0, 2);
	expect(&f, 1, 2000, 2000 - (long)(gap.last - gap.first + 1));
	assert_int_equal(pb_index_rows_of(pb_store_index(f.store),
	    PB_TABLE_SEGMENTS, stream.id, 1, rows, 4, &err), 2);
	assert_int_equal(rows[0].last_seq, gap.first - 1);
	assert_int_equal(rows[1].first_seq, gap.last + 1);
	aside_path(&f, aside);
	assert_true(size_of(aside) > 2000000);
	fixture_write(&f, 2001, 2100, 100);
	fixture_finish(&f);
}

static void
a_segment_announced_but_never_made_leaves_nothing(void **state)
{
	struct pb_open_info rows[2];
	struct pb_stream_info row;
	struct pb_mdb_txn txn;
	struct pb_err err;
	struct fixture f;

	(void)state;
	crash_after(&f, 10, 100);
	fixture_open(&f);
	fixture_stream_row(&f, &row);
	assert_int_equal(pb_index_begin(pb_store_index(f.store), &txn, &err),
	    0);
	pb_index_put(&txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = row.id, .first_seq = 11, .key = row.key });
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_store_close(f.store);
	fixture_open(&f);
	assert_int_equal(pb_index_rows(pb_store_index(f.store), PB_TABLE_OPEN,
	    NULL, rows, 2, &err), 0);
	expect(&f, 1, 10, 10);
	fixture_write(&f, 11, 12, 100);
	expect(&f, 1, 12, 12);
	fixture_finish(&f);
}

/* Neither the stream's id nor its key leads anywhere. */
static void
a_rotten_announcement_is_dropped_and_hinders_nobody(void **state)
{
	static const struct pb_stream_key nobody = { "no", "where", 7 };
	struct pb_open_info rows[2];
	struct pb_stream_info row;
	struct pb_mdb_txn txn;
	struct pb_err err;
	struct fixture f;

	(void)state;
	crash_after(&f, 10, 100);
	fixture_open(&f);
	fixture_stream_row(&f, &row);
	assert_int_equal(pb_index_begin(pb_store_index(f.store), &txn, &err),
	    0);
	pb_index_put(&txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = 4711, .first_seq = 2, .key = nobody });
	pb_index_put(&txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = 4711, .first_seq = 1, .key = row.key });
	pb_mdb_put(&txn, PB_TABLE_OPEN, "twelve bytes", 12, "rot", 3);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_store_close(f.store);
	fixture_open(&f);
	assert_int_equal(pb_index_rows(pb_store_index(f.store), PB_TABLE_OPEN,
	    NULL, rows, 2, &err), 0);
	expect(&f, 1, 10, 10);
	fixture_finish(&f);
}

static void
a_seal_whose_commit_was_lost_is_finished(void **state)
{
	char open_name[PATH_MAX], sealed[PATH_MAX];
	struct fixture f;

	(void)state;
	crash_after(&f, 10, 100);
	open_path(&f, open_name);
	pb_layout_segment(sealed, f.dir, &f.key, 1, false, NULL);
	assert_int_equal(rename(open_name, sealed), 0);
	fixture_open(&f);
	expect(&f, 1, 10, 10);
	fixture_finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    after_a_crash_all_that_was_durable_is_there_and_sealed),
		cmocka_unit_test(
		    whole_blocks_behind_the_durable_end_are_taken_in),
		cmocka_unit_test(a_block_whose_number_does_not_follow_is_cut),
		cmocka_unit_test(a_torn_end_is_cut_at_every_length),
		cmocka_unit_test(
		    after_a_power_cut_nothing_behind_the_durable_end_is_trusted),
		cmocka_unit_test(
a_recovery_that_failed_after_a_power_cut_trusts_no_more_when_done_again),
		cmocka_unit_test(
		    a_late_fill_that_was_not_committed_goes_and_can_come_again),
		cmocka_unit_test(
		    an_extent_taken_in_is_never_larger_than_readers_hold),
		cmocka_unit_test(
		    blocks_between_two_packets_are_read_up_to_a_bound),
		cmocka_unit_test(
		    a_file_shorter_than_the_index_says_leaves_a_damaged_gap),
		cmocka_unit_test(
		    a_lost_file_leaves_a_damaged_gap_for_all_of_it),
		cmocka_unit_test(
		    a_file_whose_header_is_unreadable_keeps_its_packets),
		cmocka_unit_test(whole_blocks_behind_a_rotten_one_are_kept),
		cmocka_unit_test(
		    a_segment_announced_but_never_made_leaves_nothing),
		cmocka_unit_test(
		    a_rotten_announcement_is_dropped_and_hinders_nobody),
		cmocka_unit_test(a_seal_whose_commit_was_lost_is_finished),
	};

	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
