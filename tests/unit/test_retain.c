/*
 * tests/unit/test_retain.c - how much is kept, and what is left
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "pcapng/scan.h"
#include "tests/unit/retain_fixture.h"

/* --- by size ------------------------------------------------------------- */

static void
nothing_goes_while_the_bound_is_kept(void **state)
{
	struct fixture *f = *state;

	write_runs(f, 4);
	retain(f, (struct pb_retain_opts){ .size_max = stored(f) });
	EXPECT(f, 1, 11, 21, 31);
	expect_why(f, "");
}

static void
the_oldest_go_until_the_sum_fits_and_not_one_more(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_stats stats;
	uint64_t all, two;

	write_runs(f, 5);
	all = stored(f);
	two = bytes_of(f, 1) + bytes_of(f, 11);
	/* One byte more than two give back: a third has to go. */
	retain(f, (struct pb_retain_opts){ .size_max = all - two });
	EXPECT(f, 21, 31, 41);
	assert_int_equal(stored(f), all - two);
	assert_false(is_there(f, 1));
	assert_false(is_there(f, 11));
	assert_true(is_there(f, 21));
	retain(f, (struct pb_retain_opts){ .size_max = all - two - 1 });
	EXPECT(f, 31, 41);
	pb_store_retain_stats(f->store, &stats);
	assert_int_equal(stats.deleted_segments, 3);
	assert_int_equal(stats.deleted_bytes, all - stored(f));
	assert_int_equal(stats.bytes, stored(f));
	assert_int_equal(stats.segments, 2);
	assert_int_equal(stats.expired_packets, 0);
}

static void
each_segment_that_is_sealed_makes_room_for_itself(void **state)
{
	struct fixture *f = *state;
	uint64_t max;

	write_runs(f, 3);
	max = stored(f);
	retain(f, (struct pb_retain_opts){ .size_max = max });
	for (unsigned i = 0; i < 8; i++) {
		write_runs(f, 1);
		EXPECT(f, 10 * i + 11, 10 * i + 21, 10 * i + 31);
		assert_true(stored(f) <= max);
	}
}

static void
an_open_segment_is_never_deleted_and_that_is_said(void **state)
{
	struct fixture *f = *state;
	char want[200];
	uint64_t open;

	write_runs(f, 3);
	open = stored(f) - bytes_of(f, 1) - bytes_of(f, 11);
	retain(f, (struct pb_retain_opts){ .size_max = 1000 });
	EXPECT(f, 21);
	snprintf(want, sizeof(want), "over retain_size by %" PRIu64 " bytes: %"
	    PRIu64 " bytes are in 1 open segment", open - 1000, open);
	expect_why(f, want);
	retain(f, (struct pb_retain_opts){ .size_max = open });
	expect_why(f, "");
}

/* --- by age and free space ----------------------------------------------- */

static void
what_is_older_than_the_age_goes_whoever_waits_for_it(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_stats stats;
	struct pb_gap_info gap;
	uint64_t now;

	write_runs(f, 1);
	reopen(f, NULL, true);
	pass(2 * HOUR_MS);
	reopen(f, &(struct pb_retain_opts){ .age_ms_max = 3 * 3600000,
	    .upstreams = 1, .upstream = &core }, true);
	write_runs(f, 2);
	EXPECT(f, 1, 11, 21);
	/* And so people are told. */
	pb_store_retain_stats(f->store, &stats);
	now = pb_clock_real_ns();
	assert_in_range(stats.oldest_ns, now - 7300 * PB_NS_PER_S,
	    now - 7200 * PB_NS_PER_S);
	retain(f, (struct pb_retain_opts){ .age_ms_max = 3600000,
	    .upstreams = 1, .upstream = &core });
	EXPECT(f, 11, 21);
	assert_int_equal(gaps(f, &gap, 1), 1);
	assert_gap(&gap, 1, 10, PB_GAP_EXPIRED);
}

static void
files_with_another_name_stay_where_room_is_wanted(void **state)
{
	struct fixture *f = *state;
	char from[PATH_MAX], to[PATH_MAX + 8], want[256];
	struct pb_retain_stats stats;
	struct statvfs fs;
	uint64_t linked;

	write_runs(f, 4);
	path_of(f, 11, from);
	snprintf(to, sizeof(to), "%s/letter", f->dir);
	assert_int_equal(link(from, to), 0);
	linked = bytes_of(f, 11);
	assert_int_equal(statvfs(f->dir, &fs), 0);
	/* More than there ever is: all that frees something goes. */
	retain(f, (struct pb_retain_opts){ .min_free_bytes =
	    (uint64_t)fs.f_blocks * fs.f_frsize });
	EXPECT(f, 11, 31);
	settle_store(f);	/* what was deleted counts as free for a while */
	pb_store_retain_stats(f->store, &stats);
	snprintf(want, sizeof(want), "; the store's sealed segments are %"
	    PRIu64 " bytes, 1 open ones %" PRIu64 "; %" PRIu64 " bytes are "
	    "dead letters as well, and free nothing: see pb dlq", linked,
	    stored(f) - linked, linked);
	assert_non_null(strstr(stats.why, want));
	assert_memory_equal(stats.why, "min_free: ", 10);
	/* By size it goes: the sum is what it lowers. */
	retain(f, (struct pb_retain_opts){ .size_max = stored(f) - 1 });
	EXPECT(f, 31);
	assert_int_equal(access(to, F_OK), 0);
}

/* --- what is left -------------------------------------------------------- */

static void
the_stream_counts_what_is_left(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info row;
	struct pb_chunk *chunk;
	uint64_t first, last;

	chunk = fixture_chunk(f, 1, 10, LEN);
	pb_fill_drops(chunk, 5, 70, 0);
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
	chunk = fixture_chunk(f, 11, 20, LEN);
	pb_fill_drops(chunk, 11, 3, 0);
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
	write_runs(f, 1);
	retain(f, (struct pb_retain_opts){ .size_max = stored(f) - 1 });
	EXPECT(f, 11, 21);
	/* What memory knows is right as well: the next commit writes it. */
	for (int i = 0; i < 2; i++) {
		fixture_stream_row(f, &row);
		assert_int_equal(row.first_seq, 11);
		assert_int_equal(row.last_seq, 30 + 10 * i);
		assert_int_equal(row.packets, 20 + 10 * i);
		assert_int_equal(row.bytes, (20 + 10 * (unsigned)i) * LEN);
		assert_int_equal(row.dropped, 3);
		assert_int_equal(row.dropped_before, 70);
		assert_int_equal(row.first_time, FIXTURE_TIME(11));
		retain(f, (struct pb_retain_opts){ .size_max = 0 });
		if (i == 0)
			write_runs(f, 1);
	}
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 30);
	assert_int_equal(first, 11);
	assert_int_equal(last, 40);
}

static void
a_stream_without_segments_keeps_its_numbers(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info row;
	struct pb_extent_info extent;

	write_runs(f, 2);
	reopen(f, &(struct pb_retain_opts){ .size_max = 1 }, false);
	/* Nobody has asked for the stream: its row alone is there. */
	settle_store(f);
	assert_int_equal(stored(f), 0);
	fixture_stream_row(f, &row);
	assert_int_equal(row.first_seq, 0);
	assert_int_equal(row.packets, 0);
	assert_int_equal(row.bytes, 0);
	assert_int_equal(row.first_time, 0);
	assert_int_equal(row.last_seq, 20);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_EXTENTS, row.id, 0, &extent, 1, NULL), 0);
	reopen(f, NULL, true);
	assert_int_equal(pb_stream_next(f->stream), 21);
	write_runs(f, 1);
	fixture_stream_row(f, &row);
	assert_int_equal(row.first_seq, 21);
	assert_int_equal(row.first_time, FIXTURE_TIME(21));
}

/* The numbers of the last statistics block that is no filler. */
static void
last_statistics(struct fixture *f, uint64_t first, uint64_t out[static 3])
{
	static uint8_t data[4u << 20];
	static const uint16_t code[3] = { PB_OPT_ISB_IFRECV,
	    PB_OPT_ISB_IFDROP, PB_OPT_ISB_USRDELIV };
	struct pb_block block;
	char path[PATH_MAX];
	ssize_t len;
	int fd;

	path_of(f, first, path);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	len = read(fd, data, sizeof(data));
	close(fd);
	for (size_t at = 0; at < (size_t)len; at += block.len) {
		assert_int_equal(pb_scan_block(data + at, (size_t)len - at,
		    &block), 1);
		if (block.type != PB_BLOCK_ISB || pb_scan_is_filler(&block))
			continue;
		for (int i = 0; i < 3; i++)
			pb_option_find_u64(block.at + 20, block.len - 24,
			    code[i], &out[i]);
	}
}

static void
the_statistics_in_a_file_speak_of_the_streams_whole_life(void **state)
{
	struct fixture *f = *state;
	struct pb_chunk *chunk = fixture_chunk(f, 1, 10, LEN);
	uint64_t seen[3] = { 0, 0, 0 };

	pb_fill_drops(chunk, 5, 70, 0);
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
	write_runs(f, 1);
	retain(f, (struct pb_retain_opts){ .size_max = stored(f) - 1 });
	EXPECT(f, 11);
	retain(f, (struct pb_retain_opts){ .size_max = 0 });
	write_runs(f, 1);
	last_statistics(f, 11, seen);
	assert_int_equal(seen[0], 90);	/* 20 packets and 70 */
	assert_int_equal(seen[1], 70);
	assert_int_equal(seen[2], 20);
}

static void
late_packets_expire_as_others_do(void **state)
{
	struct fixture *f = *state;
	struct pb_chunk *chunk = fixture_chunk(f, 1, 10, LEN);
	struct pb_gap_info gap[2];

	chunk->gap = PB_GAP_DAMAGED;
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
	write_runs(f, 2);
	fixture_write(f, 4, 6, LEN);
	assert_int_equal(gaps(f, gap, 2), 2);
	retain(f, (struct pb_retain_opts){ .size_max = stored(f) -
	    bytes_of(f, 11) - bytes_of(f, 4), .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 21);
	{
		struct pb_gap_info all[5];

		assert_int_equal(gaps(f, all, 5), 4);
		assert_gap(&all[0], 1, 3, PB_GAP_DAMAGED);
		assert_gap(&all[1], 4, 6, PB_GAP_EXPIRED);
		assert_gap(&all[2], 7, 10, PB_GAP_DAMAGED);
		assert_gap(&all[3], 11, 20, PB_GAP_EXPIRED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RETAINED(nothing_goes_while_the_bound_is_kept),
		RETAINED(the_oldest_go_until_the_sum_fits_and_not_one_more),
		RETAINED(each_segment_that_is_sealed_makes_room_for_itself),
		RETAINED(an_open_segment_is_never_deleted_and_that_is_said),
		RETAINED(what_is_older_than_the_age_goes_whoever_waits_for_it),
		RETAINED(files_with_another_name_stay_where_room_is_wanted),
		RETAINED(the_stream_counts_what_is_left),
		RETAINED(a_stream_without_segments_keeps_its_numbers),
		RETAINED(
		    the_statistics_in_a_file_speak_of_the_streams_whole_life),
		RETAINED(late_packets_expire_as_others_do),
	};

	return cmocka_run_group_tests_name("retain", tests, NULL, NULL);
}
