/*
 * tests/unit/test_index.c - sums, the order of age, late arrivals, what is
 * doomed, and how a segment is taken out
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/store/index/index_expire.h"
#include "tests/unit/temp.h"

struct place {
	char		 dir[64];
	struct pb_index	*index;
	struct pb_mdb_txn txn;
};

static const struct pb_stream_key eth0 = { .node = "lon1",
    .interface = "eth0", .epoch = 7 };

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct pb_err err;

	temp_make(p->dir, "index");
	*state = p;
	return pb_index_open_write(&p->index, p->dir, 64u << 20, &err);
}

static int
teardown(void **state)
{
	struct place *p = *state;

	pb_index_close(p->index);
	temp_remove(p->dir);
	free(p);
	return 0;
}

static void
begin(struct place *p)
{
	assert_int_equal(pb_index_begin(p->index, &p->txn, NULL), 0);
}

static void
commit(struct place *p)
{
	assert_int_equal(pb_mdb_commit(&p->txn), 0);
}

/* Ten packets, sealed at `sealed_at`; open where that is 0. */
static struct pb_segment_info
segment(uint32_t stream, uint64_t first, uint64_t bytes, uint64_t sealed_at)
{
	return (struct pb_segment_info){
		.stream = stream,
		.first_seq = first,
		.last_seq = first + 9,
		.packets = 10,
		.bytes = bytes,
		.packet_bytes = 500,
		.first_time = 1000 + first,
		.last_time = 1009 + first,
		.sealed_at = sealed_at,
		.sealed = sealed_at != 0,
	};
}

static void
put_segment(struct place *p, uint32_t stream, uint64_t first,
    uint64_t bytes, uint64_t sealed_at)
{
	struct pb_segment_info row = segment(stream, first, bytes, sealed_at);

	pb_index_put_segment(&p->txn, &row);
}

static void
expect_totals(struct place *p, uint64_t segments, uint64_t bytes)
{
	struct pb_index_totals totals;

	assert_int_equal(pb_index_totals(p->index, &totals, NULL), 0);
	assert_int_equal(totals.segments, segments);
	assert_int_equal(totals.bytes, bytes);
}

static void
the_sums_follow_what_is_put_replaced_and_deleted(void **state)
{
	struct place *p = *state;

	expect_totals(p, 0, 0);
	begin(p);
	put_segment(p, 1, 1, 100, 0);
	put_segment(p, 2, 1, 1000, 5);
	commit(p);
	expect_totals(p, 2, 1100);
	begin(p);
	put_segment(p, 1, 1, 150, 0);
	put_segment(p, 1, 1, 170, 9);
	commit(p);
	expect_totals(p, 2, 1170);
	begin(p);
	pb_index_del_segment(&p->txn, 2, 1);
	pb_index_del_segment(&p->txn, 2, 1);
	pb_index_del_segment(&p->txn, 3, 1);
	commit(p);
	expect_totals(p, 1, 170);
	begin(p);
	put_segment(p, 4, 1, 1, 5);
	pb_mdb_abort(&p->txn);
	expect_totals(p, 1, 170);
}

static void
ages_are_the_sealed_segments_the_oldest_first(void **state)
{
	struct place *p = *state;
	struct pb_age_info age[4];

	begin(p);
	put_segment(p, 2, 1, 20, 300);
	put_segment(p, 1, 11, 11, 300);
	put_segment(p, 9, 5, 90, 100);
	put_segment(p, 1, 21, 12, 0);
	commit(p);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_AGES, NULL, age, 4,
	    NULL), 3);
	assert_int_equal(age[0].stream, 9);
	assert_int_equal(age[0].first_seq, 5);
	assert_int_equal(age[0].sealed_at, 100);
	assert_int_equal(age[0].bytes, 90);
	assert_int_equal(age[1].stream, 1);
	assert_int_equal(age[2].stream, 2);
	/* The next page begins behind the last one's end. */
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_AGES, &age[1], age,
	    4, NULL), 1);
	assert_int_equal(age[0].stream, 2);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_AGES, &age[0], age,
	    4, NULL), 0);
}

static void
a_segment_has_one_age_whatever_is_put_again(void **state)
{
	struct place *p = *state;
	struct pb_age_info age[4];

	begin(p);
	put_segment(p, 1, 1, 10, 300);
	put_segment(p, 1, 1, 10, 200);
	commit(p);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_AGES, NULL, age, 4,
	    NULL), 1);
	assert_int_equal(age[0].sealed_at, 200);
	begin(p);
	pb_index_del_segment(&p->txn, 1, 1);
	commit(p);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_AGES, NULL, age, 4,
	    NULL), 0);
}

static void
late_arrivals_are_numbered_and_the_last_ones_kept(void **state)
{
	struct place *p = *state;
	struct pb_fill_info fill[3];

	begin(p);
	pb_index_put_fill(&p->txn, 7, 10, 20);
	pb_index_put_fill(&p->txn, 8, 1, 1);
	commit(p);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_FILLS,
	    &(struct pb_fill_info){ .number = 0 }, fill, 3, NULL), 2);
	assert_int_equal(fill[0].number, 1);
	assert_int_equal(fill[0].stream, 7);
	assert_int_equal(fill[0].first, 10);
	assert_int_equal(fill[0].last, 20);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_FILLS,
	    &(struct pb_fill_info){ .number = 1 }, fill, 3, NULL), 1);
	assert_int_equal(fill[0].number, 2);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_FILLS,
	    &(struct pb_fill_info){ .number = 2 }, fill, 3, NULL), 0);
	begin(p);
	for (unsigned i = 0; i < PB_FILLS_MAX; i++)
		pb_index_put_fill(&p->txn, 9, i, i);
	commit(p);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_FILLS,
	    &(struct pb_fill_info){ .number = 0 }, fill, 1, NULL), 1);
	assert_int_equal(fill[0].number, 3);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_FILLS,
	    &(struct pb_fill_info){ .number = PB_FILLS_MAX + 1 }, fill, 3,
	    NULL), 1);
	assert_int_equal(fill[0].number, PB_FILLS_MAX + 2);
}

static void
doomed_names_are_listed_until_they_are_gone(void **state)
{
	struct place *p = *state;
	struct pb_open_info row[3];

	begin(p);
	pb_index_put(&p->txn, PB_TABLE_DOOMED, &(struct pb_open_info){
	    .stream = 3, .first_seq = 40, .key = eth0 });
	pb_index_put(&p->txn, PB_TABLE_DOOMED, &(struct pb_open_info){
	    .stream = 3, .first_seq = 50, .key = eth0 });
	commit(p);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_DOOMED, NULL, row, 3,
	    NULL), 2);
	assert_int_equal(row[0].stream, 3);
	assert_int_equal(row[0].first_seq, 40);
	assert_string_equal(row[0].key.node, "lon1");
	assert_string_equal(row[0].key.interface, "eth0");
	assert_int_equal(row[0].key.epoch, 7);
	begin(p);
	pb_index_del(&p->txn, PB_TABLE_DOOMED, 3, 40);
	commit(p);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_DOOMED, NULL, row, 3,
	    NULL), 1);
	assert_int_equal(row[0].first_seq, 50);
}

static void
a_streams_key_is_found_by_its_id(void **state)
{
	struct place *p = *state;
	const struct pb_stream_info info = { .key = eth0, .id = 12 };
	struct pb_stream_key key;

	begin(p);
	pb_index_put_stream(&p->txn, &info);
	commit(p);
	assert_int_equal(pb_index_stream_key(p->index, 12, &key, NULL), 1);
	assert_string_equal(key.interface, "eth0");
	assert_int_equal(key.epoch, 7);
	assert_int_equal(pb_index_stream_key(p->index, 13, &key, NULL), 0);
}

/* --- taking a segment out ------------------------------------------------ */

static struct pb_gap_info
gap(uint64_t first, uint64_t last, enum pb_gap_reason reason,
    uint64_t since_ns)
{
	return (struct pb_gap_info){ .stream = 12, .first = first,
	    .last = last, .reason = reason, .since_ns = since_ns };
}

static void
gaps_side_by_side_for_one_reason_are_one_row(void **state)
{
	struct place *p = *state;
	const struct pb_gap_info in[] = {
		gap(1, 10, PB_GAP_EXPIRED, 30),
		gap(21, 30, PB_GAP_EXPIRED, 20),
		gap(31, 40, PB_GAP_DAMAGED, 25),
		gap(11, 20, PB_GAP_EXPIRED, 50),
		/* Of another reason, and not beside: rows of their own. */
		gap(41, 50, PB_GAP_EXPIRED, 60),
		gap(60, 70, PB_GAP_EXPIRED, 60),
	};
	struct pb_gap_info row[6];

	begin(p);
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		pb_index_add_gap(&p->txn, &in[i]);
	commit(p);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_GAPS, 12, 0, row,
	    6, NULL), 4);
	assert_int_equal(row[0].first, 1);
	assert_int_equal(row[0].last, 30);
	assert_int_equal(row[0].since_ns, 20);
	assert_int_equal(row[1].first, 31);
	assert_int_equal(row[1].reason, PB_GAP_DAMAGED);
	assert_int_equal(row[2].first, 41);
	assert_int_equal(row[2].last, 50);
	assert_int_equal(row[3].first, 60);
}

static void
a_closed_gap_joins_no_open_one(void **state)
{
	struct place *p = *state;
	struct pb_gap_info closed = gap(1, 10, PB_GAP_EXPIRED, 30), row[3];
	const struct pb_gap_info open = gap(11, 20, PB_GAP_EXPIRED, 50);

	closed.closed_ns = 40;
	begin(p);
	pb_index_put(&p->txn, PB_TABLE_GAPS, &closed);
	pb_index_add_gap(&p->txn, &open);
	commit(p);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_GAPS, 12, 0, row,
	    3, NULL), 2);
	assert_int_equal(row[1].first, 11);
	assert_int_equal(row[1].since_ns, 50);
}

/* Of two fills of the same numbers, the first of which failed, the second
 * counts: for all of it alike. */
static void
a_gap_that_is_open_again_is_one_with_its_neighbours(void **state)
{
	struct place *p = *state;
	const struct pb_gap_info all = gap(1, 20, PB_GAP_EXPIRED, 30);
	struct pb_gap_info row[4];

	begin(p);
	pb_index_add_gap(&p->txn, &all);
	pb_index_fill_gaps(&p->txn, 12, 5, 8, 40);
	pb_index_reopen_gaps(&p->txn, 12, 5, 12);
	pb_index_fill_gaps(&p->txn, 12, 5, 12, 50);
	commit(p);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_GAPS, 12, 0, row,
	    4, NULL), 3);
	assert_int_equal(row[1].first, 5);
	assert_int_equal(row[1].last, 12);
	assert_int_equal(row[1].closed_ns, 50);
	assert_int_equal(row[0].fill, 0);
	assert_int_equal(row[1].fill, 2);
}

/* Stream 12: 1 .. 10 and 11 .. 20, two extents and a drop count each. */
static void
put_two(struct place *p)
{
	const struct pb_stream_info info = { .key = eth0, .id = 12,
	    .first_seq = 1, .last_seq = 20, .packets = 20, .bytes = 1000,
	    .dropped = 7, .first_time = 1001, .last_time = 1020 };

	begin(p);
	pb_index_put_stream(&p->txn, &info);
	for (uint64_t first = 1; first <= 11; first += 10) {
		put_segment(p, 12, first, 100, first);
		for (uint64_t at = first; at < first + 10; at += 5)
			pb_index_put(&p->txn, PB_TABLE_EXTENTS,
			    &(struct pb_extent_info){ .stream = 12,
			    .first_seq = at, .last_seq = at + 4,
			    .segment_seq = first });
	}
	pb_index_put(&p->txn, PB_TABLE_DROPS, &(struct pb_drop_info){
	    .stream = 12, .seq = 3, .count = 5 });
	pb_index_put(&p->txn, PB_TABLE_DROPS, &(struct pb_drop_info){
	    .stream = 12, .seq = 11, .count = 2 });
	commit(p);
}

static void
expire(struct place *p, uint64_t first, uint64_t acked, uint64_t released,
    struct pb_stream_info *stream)
{
	struct pb_expiry expiry = { .key = eth0, .segment = segment(12, first,
	    100, first), .acked = acked, .released = released,
	    .now_ns = 99 };

	begin(p);
	pb_index_expire(&p->txn, &expiry, stream);
	commit(p);
}

static void
all_that_speaks_of_a_segment_goes_and_nothing_else(void **state)
{
	struct place *p = *state;
	struct pb_stream_info stream;
	struct pb_extent_info extent[5];
	struct pb_segment_info row[3];
	struct pb_drop_info drop[3];
	struct pb_open_info doomed[3];
	struct pb_gap_info gaps[3];

	put_two(p);
	expire(p, 1, 10, 10, &stream);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_SEGMENTS, 12, 0,
	    row, 3, NULL), 1);
	assert_int_equal(row[0].first_seq, 11);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_EXTENTS, 12, 0,
	    extent, 5, NULL), 2);
	assert_int_equal(extent[0].first_seq, 11);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_DROPS, 12, 0,
	    drop, 3, NULL), 1);
	assert_int_equal(drop[0].seq, 11);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_GAPS, 12, 0, gaps,
	    3, NULL), 0);
	assert_int_equal(pb_index_rows(p->index, PB_TABLE_DOOMED, NULL, doomed,
	    3, NULL), 1);
	assert_int_equal(doomed[0].first_seq, 1);
	expect_totals(p, 1, 100);
	assert_int_equal(stream.first_seq, 11);
	assert_int_equal(stream.packets, 10);
	assert_int_equal(stream.bytes, 500);
	assert_int_equal(stream.dropped, 2);
	assert_int_equal(stream.dropped_before, 5);
	assert_int_equal(stream.first_time, 1011);
	assert_int_equal(stream.last_time, 1020);
	expire(p, 11, 0, 0, &stream);
	assert_int_equal(stream.first_seq, 0);
	assert_int_equal(stream.last_seq, 20);
	assert_int_equal(stream.packets, 0);
	assert_int_equal(stream.dropped, 0);
	assert_int_equal(stream.dropped_before, 7);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_GAPS, 12, 0, gaps,
	    3, NULL), 1);
	assert_int_equal(gaps[0].first, 11);
	assert_int_equal(gaps[0].last, 20);
	assert_int_equal(gaps[0].reason, PB_GAP_EXPIRED);
	assert_int_equal(gaps[0].since_ns, 99);
}

/*
 * Goal:   a stream's first_time is never above the time of a packet it has:
 *         by it a query passes over a stream, and a merge waits with it.
 * Method: segment 1 is the earliest; then come as many as are looked at,
 *         and behind them one from before those.
 */
static void
a_stream_whose_times_ran_back_keeps_one_that_is_low_enough(void **state)
{
	const uint64_t count = PB_EXPIRE_LOOK_MAX + 2;
	struct place *p = *state;

	for (int unsteady = 0; unsteady < 2; unsteady++) {
		struct pb_stream_info info = { .key = eth0, .id = 12,
		    .first_seq = 1, .last_seq = 10 * count, .packets = 10 *
		    count, .first_time = 1001, .last_time = 9000000,
		    .unsteady = unsteady }, after;
		struct pb_segment_info row;

		begin(p);
		pb_index_put_stream(&p->txn, &info);
		for (uint64_t n = 0; n < count; n++) {
			row = segment(12, 10 * n + 1, 100, n + 1);
			if (n == count - 1)
				row.first_time = 1002;
			pb_index_put_segment(&p->txn, &row);
		}
		commit(p);
		expire(p, 1, 10, 10, &after);
		assert_int_equal(after.first_time, unsteady ? 1001 : 1011);
		assert_int_equal(after.unsteady, unsteady);
		begin(p);
		pb_index_look_first(&p->txn, &after);
		commit(p);
		assert_int_equal(after.first_time, unsteady ? 1001 : 1011);
	}
}

static void
times_that_run_back_by_ten_seconds_are_noticed(void **state)
{
	const uint64_t apart = UINT64_C(10000000000);
	struct pb_stream_info info = { .packets = 0 };

	(void)state;
	pb_stream_add_times(&info, 5 * apart, 6 * apart, true);
	assert_int_equal(info.first_time, 5 * apart);
	assert_int_equal(info.last_time, 6 * apart);
	info.first_seq = 1;
	/* What comes late may; and lanes are not that far apart. */
	pb_stream_add_times(&info, 2 * apart, 2 * apart, false);
	pb_stream_add_times(&info, 5 * apart, 8 * apart, true);
	assert_false(info.unsteady);
	assert_int_equal(info.first_time, 2 * apart);
	assert_int_equal(info.last_time, 8 * apart);
	pb_stream_add_times(&info, 7 * apart - 1, 7 * apart, true);
	assert_true(info.unsteady);
	assert_int_equal(info.last_time, 8 * apart);
}

static void
a_gap_within_keeps_its_own_reason(void **state)
{
	struct place *p = *state;
	struct pb_stream_info stream;
	const struct pb_gap_info damaged = gap(4, 6, PB_GAP_DAMAGED, 11);
	struct pb_gap_info row[5];

	put_two(p);
	begin(p);
	pb_index_put(&p->txn, PB_TABLE_GAPS, &damaged);
	commit(p);
	expire(p, 1, 2, 7, &stream);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_GAPS, 12, 0, row,
	    5, NULL), 4);
	assert_int_equal(row[0].first, 3);
	assert_int_equal(row[0].last, 3);
	assert_int_equal(row[0].reason, PB_GAP_DEAD_LETTERED);
	assert_int_equal(row[1].first, 4);
	assert_int_equal(row[1].reason, PB_GAP_DAMAGED);
	assert_int_equal(row[2].first, 7);
	assert_int_equal(row[2].last, 7);
	assert_int_equal(row[2].reason, PB_GAP_DEAD_LETTERED);
	assert_int_equal(row[3].first, 8);
	assert_int_equal(row[3].last, 10);
	assert_int_equal(row[3].reason, PB_GAP_EXPIRED);
}

static void
room_is_reserved_for_commits_on_a_full_disk(void **state)
{
	struct place *p = *state;
	char path[96];
	struct stat before, after;

	snprintf(path, sizeof(path), "%s/index/data.mdb", p->dir);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(pb_mdb_reserve(p->index->mdb,
	    PB_INDEX_RESERVE_BYTES, NULL), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_true((after.st_blocks - before.st_blocks) * 512 >=
	    (long)PB_INDEX_RESERVE_BYTES - 65536);
	assert_int_equal(pb_mdb_reserve(p->index->mdb,
	    PB_INDEX_RESERVE_BYTES, NULL), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(after.st_blocks, before.st_blocks);
}

/* Directories that are to be synced, and whether that fails. */
static int dirs_synced, dirs_fail;

int
fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		dirs_synced++;
		if (dirs_fail) {
			errno = EIO;
			return -1;
		}
	}
	return (int)syscall(SYS_fsync, fd);
}

static void
whoever_writes_an_index_has_its_name_on_disk_first(void **state)
{
	struct place *p = *state;
	struct pb_err err;

	pb_index_close(p->index);
	p->index = NULL;
	dirs_fail = 1;
	assert_int_equal(pb_index_open_write(&p->index, p->dir, 64u << 20,
	    &err), PB_ESYS);
	dirs_fail = dirs_synced = 0;
	assert_int_equal(pb_index_open_write(&p->index, p->dir, 64u << 20,
	    &err), 0);
	assert_int_equal(dirs_synced, 1);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_sums_follow_what_is_put_replaced_and_deleted),
		TEST(ages_are_the_sealed_segments_the_oldest_first),
		TEST(a_segment_has_one_age_whatever_is_put_again),
		TEST(late_arrivals_are_numbered_and_the_last_ones_kept),
		TEST(doomed_names_are_listed_until_they_are_gone),
		TEST(a_streams_key_is_found_by_its_id),
		TEST(gaps_side_by_side_for_one_reason_are_one_row),
		TEST(a_closed_gap_joins_no_open_one),
		TEST(a_gap_that_is_open_again_is_one_with_its_neighbours),
		TEST(all_that_speaks_of_a_segment_goes_and_nothing_else),
		TEST(a_stream_whose_times_ran_back_keeps_one_that_is_low_enough),
		TEST(times_that_run_back_by_ten_seconds_are_noticed),
		TEST(a_gap_within_keeps_its_own_reason),
		TEST(room_is_reserved_for_commits_on_a_full_disk),
		TEST(whoever_writes_an_index_has_its_name_on_disk_first),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
