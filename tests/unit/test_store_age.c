/*
 * tests/unit/test_store_age.c - what goes first, by a clock that lies
 *
 * The test owns the wall clock, and whether the kernel vouches for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/mend/rebuild.h"
#include "tests/unit/retain_fixture.h"

/* First numbers in the order of age. */
static int
order(struct fixture *f, struct pb_age_info age[static ROWS])
{
	return pb_index_rows(pb_store_index(f->store), PB_TABLE_AGES, NULL,
	    age, ROWS, NULL);
}

static uint64_t
age_of(struct fixture *f)
{
	struct pb_age age;

	assert_int_equal(pb_index_age(pb_store_index(f->store), &age, NULL),
	    0);
	return age.ms;
}

/* --- by size ------------------------------------------------------------- */

/*
 * Goal:   the oldest goes first, whatever the clock said when it came.
 * Method: segments are written by a clock that is ahead, right, behind,
 *         and right; a store that holds less and less is left.
 */
static void
the_oldest_goes_first_whatever_the_clock_said(void **state)
{
	static const long long wrong_s[] = { 4 * YEAR_S, 0, -4 * YEAR_S, 0 };
	struct fixture *f = *state;
	struct pb_age_info age[ROWS];
	uint64_t bytes;

	for (int restart = 0; restart < 2; restart++)
		for (size_t i = 0; i < 4; i++) {
			atomic_store(&clocks.ahead_s, wrong_s[i]);
			if (restart)
				reopen(f, NULL, true);
			write_runs(f, 1);
		}
	reopen(f, NULL, true);
	assert_int_equal(order(f, age), 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(age[i].first_seq, 10 * i + 1);
	for (int i = 1; i < 8; i++)
		assert_true(age[i].sealed_at > age[i - 1].sealed_at);
	bytes = age[6].bytes + age[7].bytes;
	retain(f, (struct pb_retain_opts){ .size_max = bytes });
	EXPECT(f, 61, 71);
}

/* --- by age -------------------------------------------------------------- */

static void
nothing_gets_old_by_a_step_of_the_clock(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_stats stats;
	uint64_t now;

	retain(f, (struct pb_retain_opts){ .age_ms_max = HOUR_MS });
	atomic_store(&clocks.ahead_s, -4 * YEAR_S);
	write_runs(f, 2);
	atomic_store(&clocks.ahead_s, 0);
	write_runs(f, 1);
	atomic_store(&clocks.ahead_s, 4 * YEAR_S);
	write_runs(f, 1);
	EXPECT(f, 1, 11, 21, 31);
	pb_store_retain_stats(f->store, &stats);
	now = pb_clock_real_ns();
	assert_in_range(stats.oldest_ns, now - 60 * PB_NS_PER_S, now);
	/* Nor across a restart, vouched for or not. */
	atomic_store(&clocks.ahead_s, -4 * YEAR_S);
	atomic_store(&clocks.vouched, true);
	reopen(f, &(struct pb_retain_opts){ .age_ms_max = HOUR_MS },
		    true);
	atomic_store(&clocks.ahead_s, 0);
	write_runs(f, 1);
	EXPECT(f, 1, 11, 21, 31, 41);
}

static void
what_is_old_goes_though_the_clock_was_ahead_when_it_came(void **state)
{
	struct fixture *f = *state;

	atomic_store(&clocks.ahead_s, 4 * YEAR_S);
	write_runs(f, 2);
	atomic_store(&clocks.ahead_s, 0);
	reopen(f, &(struct pb_retain_opts){ .age_ms_max = HOUR_MS },
		    true);
	write_runs(f, 1);
	EXPECT(f, 1, 11, 21);
	/* An hour later, by the one clock that counts. */
	pass(HOUR_MS);
	EXPECT(f, 21);
}

static void
time_passes_between_two_runs_on_one_boot(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	write_runs(f, 1);
	reopen(f, NULL, true);
	before = age_of(f);
	pb_store_close(f->store);
	f->store = NULL;
	pass(2 * HOUR_MS);
	reopen(f, NULL, true);
	assert_in_range(age_of(f), before + 7200000, before + 7260000);
}

static void
an_interface_goes_on_with_the_stream_begun_last(void **state)
{
	struct fixture *f = *state;
	uint64_t epoch;

	for (uint64_t n = 1; n <= 2; n++) {
		atomic_store(&clocks.ahead_s, n == 1 ? 4 * YEAR_S : 0);
		f->key.epoch = n;
		pb_head_unref(f->head);
		f->head = fixture_head(&f->key, "London");
		reopen(f, NULL, true);
		assert_int_equal(pb_store_own_epoch(f->store, f->key.node,
		    f->key.interface, PB_LINKTYPE_ETHERNET, 0, &epoch, NULL),
		    0);
		assert_int_equal(epoch, n);
		write_runs(f, 1);
		assert_int_equal(pb_store_own_epoch(f->store, f->key.node,
		    f->key.interface, PB_LINKTYPE_ETHERNET, 0, &epoch, NULL),
		    0);
		assert_int_equal(epoch, n);
	}
}

/* --- without an index, and with one from before -------------------------- */

static void
lose_index(struct fixture *f)
{
	shell("rm -rf '%s/index'", f->dir);
}

static void
an_index_made_again_has_the_same_order_and_measure(void **state)
{
	struct fixture *f = *state;
	struct pb_age_info before[ROWS], after[ROWS];
	int n;

	atomic_store(&clocks.ahead_s, 4 * YEAR_S);
	write_runs(f, 2);
	atomic_store(&clocks.ahead_s, -4 * YEAR_S);
	reopen(f, NULL, true);
	pass(2 * HOUR_MS);
	write_runs(f, 2);
	atomic_store(&clocks.ahead_s, 0);
	reopen(f, NULL, true);
	n = order(f, before);
	assert_int_equal(n, 4);
	pb_store_close(f->store);
	f->store = NULL;
	lose_index(f);
	reopen(f, NULL, true);
	assert_int_equal(order(f, after), n);
	for (int i = 0; i < n; i++) {
		assert_int_equal(after[i].first_seq, before[i].first_seq);
		/* When it was begun: in this test that is not long before. */
		assert_in_range(after[i].sealed_at, before[i].sealed_at -
		    30000, before[i].sealed_at);
	}
	/* What comes now lies behind. */
	write_runs(f, 2);
	reopen(f, NULL, true);
	assert_int_equal(order(f, after), n + 2);
	assert_int_equal(after[n].first_seq, 41);
	/* And for what was found there time begins. */
	retain(f, (struct pb_retain_opts){ .age_ms_max = HOUR_MS });
	EXPECT(f, 1, 11, 21, 31, 41, 51);
	pass(HOUR_MS);
	expect_segments(f, NULL, 0);
}

/* The rows and the files of a store that knew no ages: sealed by a clock
 * that was ahead. */
static void
make_old(struct fixture *f, bool index_too)
{
	struct pb_segment_info rows[ROWS];
	struct pb_stream_info stream;
	struct pb_index *index;
	struct pb_mdb_txn txn;
	int n;

	fixture_stream_row(f, &stream);
	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_index_open_write(&index, f->dir, 64u << 20, NULL),
	    0);
	n = pb_index_rows_of(index, PB_TABLE_SEGMENTS, stream.id, 0, rows,
	    ROWS, NULL);
	assert_int_equal(pb_index_begin(index, &txn, NULL), 0);
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];
		uint8_t zeros[8] = { 0 };
		int fd;

		rows[i].sealed_at = pb_clock_real_ns() +
		    (uint64_t)(4 * YEAR_S + i) * PB_NS_PER_S;
		pb_index_put_segment(&txn, &rows[i]);
		assert_int_equal(pb_layout_segment(path, f->dir, &f->key,
		    rows[i].first_seq, false, NULL), 0);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, zeros, 8,
		    (off_t)rows[i].header_bytes + 32), 8);
		close(fd);
	}
	pb_mdb_del(&txn, PB_TABLE_META, PB_META_AGE, strlen(PB_META_AGE));
	pb_index_meta_put(&txn, "version", 2);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
	if (!index_too)
		lose_index(f);
}

/*
 * Goal:   what was sealed before there were ages goes first, and counts as
 *         old from the day on which ages began: nobody knows better.
 * Method: with its index, which is taken as it is, and without.
 */
static void
what_is_from_before_goes_first_and_gets_old_from_now_on(void **state)
{
	struct fixture *f = *state;
	struct pb_age_info age[ROWS];

	for (int index_too = 1; index_too >= 0; index_too--) {
		write_runs(f, 3);
		reopen(f, NULL, true);
		make_old(f, index_too);
		reopen(f, &(struct pb_retain_opts){ .age_ms_max = HOUR_MS },
		    true);
		write_runs(f, 2);
		settle_store(f);
		reopen(f, NULL, true);
		assert_int_equal(order(f, age), 5);
		for (int i = 0; i < 5; i++)
			assert_int_equal(age[i].first_seq,
			    age[0].first_seq + (uint64_t)i * RUN);
		assert_true(age[2].sealed_at < PB_AGE_BASE);
		assert_int_equal(pb_rebuild_needed(f->dir, NULL), 1);
		retain(f, (struct pb_retain_opts){
		    .size_max = age[3].bytes + age[4].bytes });
		EXPECT(f, age[3].first_seq, age[4].first_seq);
		retain(f, (struct pb_retain_opts){ .size_max = 1 });
		settle_store(f);
		assert_int_equal(order(f, age), 0);
		retain(f, (struct pb_retain_opts){ .size_max = 0 });
	}
}

/* --- on disk ------------------------------------------------------------- */

static void
what_was_open_at_a_crash_is_as_old_as_the_last_commit(void **state)
{
	struct fixture *f = *state;
	struct pb_age_info age[ROWS];
	struct pb_stream_info stream;
	struct pb_index *index;
	struct pb_mdb_txn txn;
	struct pb_age then;
	char open_path[PATH_MAX], path[PATH_MAX];

	write_runs(f, 2);
	reopen(f, NULL, true);
	fixture_stream_row(f, &stream);
	pb_store_close(f->store);
	f->store = NULL;
	/* As a crash leaves it, two hours ago. */
	assert_int_equal(pb_index_open_write(&index, f->dir, 64u << 20, NULL),
	    0);
	assert_int_equal(pb_index_age(index, &then, NULL), 0);
	assert_int_equal(pb_index_begin(index, &txn, NULL), 0);
	pb_index_put(&txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = stream.id, .first_seq = 11, .key = f->key });
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key, 11, false,
	    NULL), 0);
	assert_int_equal(pb_layout_segment(open_path, f->dir, &f->key, 11,
	    true, NULL), 0);
	assert_int_equal(rename(path, open_path), 0);
	pass(2 * HOUR_MS);
	reopen(f, NULL, true);
	assert_int_equal(order(f, age), 2);
	assert_int_equal(age[1].first_seq, 11);
	assert_int_equal(age[1].sealed_at, pb_age_key(then.ms));
	assert_true(age_of(f) >= then.ms + 7200000);
}

static void
a_rotten_age_is_what_the_last_segment_says(void **state)
{
	struct fixture *f = *state;
	struct pb_age_info age[ROWS];
	struct pb_age rotten, now;
	struct pb_index *index;
	struct pb_mdb_txn txn;

	write_runs(f, 2);
	reopen(f, NULL, true);
	assert_int_equal(order(f, age), 2);
	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_index_open_write(&index, f->dir, 64u << 20, NULL),
	    0);
	assert_int_equal(pb_index_begin(index, &txn, NULL), 0);
	pb_index_get_age(&txn, &rotten);
	pb_age_sign(&rotten);
	rotten.ms |= UINT64_C(1) << 40;
	pb_mdb_put(&txn, PB_TABLE_META, PB_META_AGE, strlen(PB_META_AGE),
	    &rotten, sizeof(rotten));
	pb_index_get_age(&txn, &now);
	assert_int_equal(pb_age_key(now.ms), age[1].sealed_at);
	assert_int_equal(now.known_ms, now.ms);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
	reopen(f, NULL, true);
	assert_in_range(pb_age_key(age_of(f)), age[1].sealed_at + 1,
	    age[1].sealed_at + 60000);
}

/* A quiet store: nothing else would be committed for hours. */
static void
a_quiet_store_keeps_its_age_every_ten_minutes(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	retain(f, (struct pb_retain_opts){ .age_ms_max = 100 * HOUR_MS });
	write_runs(f, 1);
	settle_store(f);
	before = age_of(f);
	step(f, 590000);
	assert_int_equal(age_of(f), before);
	step(f, 10000);
	assert_true(age_of(f) >= before + 600000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RETAINED(the_oldest_goes_first_whatever_the_clock_said),
		RETAINED(nothing_gets_old_by_a_step_of_the_clock),
		RETAINED(what_is_old_goes_though_the_clock_was_ahead_when_it_came),
		RETAINED(time_passes_between_two_runs_on_one_boot),
		RETAINED(an_interface_goes_on_with_the_stream_begun_last),
		RETAINED(an_index_made_again_has_the_same_order_and_measure),
		RETAINED(what_is_from_before_goes_first_and_gets_old_from_now_on),
		RETAINED(what_was_open_at_a_crash_is_as_old_as_the_last_commit),
		RETAINED(a_rotten_age_is_what_the_last_segment_says),
		RETAINED(a_quiet_store_keeps_its_age_every_ten_minutes),
	};

	return cmocka_run_group_tests_name("store age", tests, NULL, NULL);
}
