/*
 * tests/unit/test_retain_acks.c - what goes first: who has it, and who waits
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>

#include "recorder/store/index/index_write.h"
#include "recorder/store/retain/retain.h"
#include "tests/unit/retain_fixture.h"
#include "tests/unit/stopped_shipper.h"

/* Who waits for an answer polls nothing; the clocks may go on meanwhile. */
static _Atomic int naps;
static _Atomic unsigned naps_pass_ms;

int
poll(struct pollfd *fds, nfds_t count, int ms)
{
	if (count == 1 && ms >= 0) {
		atomic_fetch_add(&naps, 1);
		pass(naps_pass_ms);
	}
	return (int)syscall(SYS_poll, fds, count, ms);
}

/*
 * Goal:   acknowledged, then dead letters, then the rest; never by age
 *         across these.
 * Method: the oldest is waited for, the next is a dead letter, the youngest
 *         is acknowledged; one after the other goes.
 */
static void
what_is_acknowledged_goes_before_what_is_older_and_not(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_opts opts = { .upstreams = 1, .upstream = &core };
	struct pb_gap_info gap[2];
	uint64_t one;

	for (char n = '0'; n <= '2'; n++) {
		use_stream(f, n);
		write_runs(f, 2);
		if (n > '0')
			ack(f, "core", n == '1' ? 0 : 10, 10);
	}
	one = bytes_of(f, 1);
	for (char n = '2'; n >= '0'; n--) {
		for (char other = '0'; other <= n; other++) {
			use_stream(f, other);
			EXPECT(f, 1, 11);
		}
		use_stream(f, n);
		opts.size_max = stored(f) - one;
		retain(f, opts);
		EXPECT(f, 11);
		assert_int_equal(gaps(f, gap, 2), n < '2');
		if (n < '2')
			assert_gap(&gap[0], 1, 10, n == '1' ?
			    PB_GAP_DEAD_LETTERED : PB_GAP_EXPIRED);
	}
}

static void
numbers_that_are_dead_letters_become_such_a_gap(void **state)
{
	struct fixture *f = *state;
	const struct pb_retain_opts with = { .upstreams = 1,
	    .upstream = &core };
	struct pb_retain_opts opts = with;
	struct pb_gap_info gap[3];

	write_runs(f, 5);
	ack(f, "core", 10, 30);
	opts.size_max = stored(f) - bytes_of(f, 1);
	retain(f, opts);
	EXPECT(f, 11, 21, 31, 41);
	assert_int_equal(gaps(f, gap, 3), 0);
	opts.size_max = stored(f) - bytes_of(f, 11) - bytes_of(f, 21);
	retain(f, opts);
	EXPECT(f, 31, 41);
	assert_int_equal(gaps(f, gap, 3), 1);
	assert_gap(&gap[0], 11, 30, PB_GAP_DEAD_LETTERED);
	opts.size_max = stored(f) - bytes_of(f, 31);
	retain(f, opts);
	EXPECT(f, 41);
	assert_int_equal(gaps(f, gap, 3), 2);
	assert_gap(&gap[1], 31, 40, PB_GAP_EXPIRED);
}

static void
numbers_that_were_acknowledged_become_no_gap(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_stats stats;
	struct pb_gap_info gap[3];

	write_runs(f, 3);
	ack(f, "core", 4, 7);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 21);
	assert_int_equal(gaps(f, gap, 3), 2);
	assert_gap(&gap[0], 5, 7, PB_GAP_DEAD_LETTERED);
	assert_gap(&gap[1], 8, 20, PB_GAP_EXPIRED);
	pb_store_retain_stats(f->store, &stats);
	assert_int_equal(stats.expired_packets, 13);
}

static pid_t
stops(struct fixture *f)
{
	char dir[TEMP_NAME_MAX + 8];

	snprintf(dir, sizeof(dir), "%s/shipper", f->dir);
	return shipper_stops(dir);
}

/* A stopped shipper is waited for, where there is one to ask for. */
static void
a_store_without_upstreams_opens_without_a_look_at_the_shipper(void **state)
{
	struct fixture *f = *state;
	pid_t child;

	ack(f, "core", 10, 10);
	child = stops(f);
	atomic_store(&naps, 0);
	naps_pass_ms = 100;
	reopen(f, NULL, true);
	assert_int_equal(naps, 0);
	reopen(f, &(struct pb_retain_opts){ .upstreams = 1,
	    .upstream = &core }, true);
	assert_true(naps > 0);
	naps_pass_ms = 0;
	shipper_ends(child);
}

/*
 * Goal:   what upstreams have is not known before a child has looked at the
 *         shipper's file; meanwhile nothing is taken for unacknowledged.
 * Method: somebody holds LMDB's lock on it, so that the child waits; all of
 *         it is acknowledged.
 */
static void
nothing_goes_before_it_is_known_what_is_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct pb_gap_info gap[3];
	uint64_t first[64];
	pid_t child;

	write_runs(f, 3);
	ack(f, "core", 30, 30);
	child = stops(f);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &core });
	/* For less than it takes until nobody reckons with an answer. */
	for (int i = 0; i < 3; i++)
		step(f, TICK_MS);
	assert_int_equal(segments(f, first), 3);
	shipper_ends(child);
	EXPECT(f, 21);
	assert_int_equal(gaps(f, gap, 3), 0);
}

static void
no_row(void *arg, const struct pb_stream_info *row)
{
	(void)arg;
	(void)row;
}

/*
 * Goal:   a run in which it becomes unknown what is acknowledged takes
 *         nothing for unacknowledged; it is done again.
 * Method: the shipper's file is replaced between the question whether a run
 *         is due and the run.  The oldest is waited for, what is younger is
 *         acknowledged.
 */
static void
a_run_that_knows_no_longer_what_is_acknowledged_deletes_nothing(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_opts opts = { .upstreams = 1, .upstream = &core };
	struct pb_age age = { .ms = 1 };
	struct pb_retain_view view = { .age = &age, .changed = no_row };
	struct pb_retain *retention;
	struct pb_gap_info gap[2];
	uint64_t first[64];

	for (char n = '0'; n <= '1'; n++) {
		use_stream(f, n);
		write_runs(f, 2);
	}
	ack(f, "core", 10, 10);
	view.index = pb_store_index(f->store);
	opts.size_max = stored(f) - 1;
	assert_int_equal(pb_retain_create(&retention, f->dir, &opts, NULL), 0);
	pb_retain_wait(retention);
	view.now_ms = pb_clock_mono_ms();
	assert_true(pb_retain_due(retention, view.index, view.now_ms));
	shell("cd '%s' && mv shipper was && cp -a was shipper", f->dir);
	(void)pb_retain_run(retention, &view);
	for (char n = '0'; n <= '1'; n++) {
		use_stream(f, n);
		assert_int_equal(segments(f, first), 2);
	}
	do {
		pass(5);
		usleep(5000);
		view.now_ms = pb_clock_mono_ms();
	} while (!pb_retain_due(retention, view.index, view.now_ms));
	(void)pb_retain_run(retention, &view);
	assert_int_equal(segments(f, first), 1);
	use_stream(f, '0');
	assert_int_equal(segments(f, first), 2);
	assert_int_equal(gaps(f, gap, 2), 0);
	pb_retain_destroy(retention);
}

static void
the_slowest_upstream_of_the_stream_decides(void **state)
{
	struct fixture *f = *state;
	const struct pb_retain_upstream up[] = {
		{ "core", "*" }, { "spare", "lon1/eth0" },
		{ "other", "par1/*" },
	};
	struct pb_gap_info gap[2];

	write_runs(f, 4);
	ack(f, "core", 30, 30);
	ack(f, "spare", 15, 15);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 3,
	    .upstream = up });
	EXPECT(f, 31);
	assert_int_equal(gaps(f, gap, 2), 1);
	assert_gap(&gap[0], 16, 30, PB_GAP_EXPIRED);
}

static void
what_came_late_is_acknowledged_when_it_has_been_passed_on(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_opts opts = { .upstreams = 1, .upstream = &core };
	uint8_t last[PB_ACKS_LATE_BYTES];
	struct pb_gap_info gap[3];

	write_runs(f, 5);
	ack(f, "core", 50, 50);
	pb_put_le64(last, 15);
	put_ack_row(f, "core", 13, last, sizeof(last));
	pb_put_le64(last, 32);
	put_ack_row(f, "core", 19, last, sizeof(last));
	opts.size_max = stored(f) - bytes_of(f, 1);
	retain(f, opts);
	EXPECT(f, 11, 21, 31, 41);
	assert_int_equal(gaps(f, gap, 3), 0);
	opts.size_max = 1;
	retain(f, opts);
	EXPECT(f, 41);
	assert_int_equal(gaps(f, gap, 3), 1);
	assert_gap(&gap[0], 13, 40, PB_GAP_EXPIRED);
}

/* Packets up to 40, of which 11 to 20 were a gap, and come last. */
static void
write_late(struct fixture *f)
{
	struct pb_chunk *gap;

	write_runs(f, 1);
	gap = fixture_chunk(f, 11, 20, 10);
	gap->gap = PB_GAP_EXPIRED;
	assert_int_equal(fixture_submit(f, gap), 0);
	fixture_wait(f);
	fixture_write(f, 21, 30, LEN);
	fixture_write(f, 31, 40, LEN);
	fixture_write(f, 11, 20, LEN);
}

static uint64_t
last_fill(struct fixture *f)
{
	struct pb_fill_info row[4];
	int n = pb_index_rows(pb_store_index(f->store), PB_TABLE_FILLS,
	    &(struct pb_fill_info){ .number = 0 }, row, 4, NULL);

	assert_true(n > 0);
	return row[n - 1].number;
}

/*
 * Goal:   packets that came late are not acknowledged before the upstream's
 *         shipper has seen that they came, whatever it had said before.
 * Method: what it has seen last is nothing; a fill that this index does not
 *         know; the one before; this one.  The upstream waits for 26 to 30,
 *         which are older; and then all has to go.
 */
static void
what_came_late_waits_until_the_shipper_has_seen_it(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_opts opts = { .upstreams = 1, .upstream = &core };
	struct pb_gap_info gap[3];

	for (int i = 0; i < 4; i++) {
		bool seen = i == 3;

		retain(f, (struct pb_retain_opts){ .upstreams = 0 });
		use_stream(f, (char)('0' + i));
		write_late(f);
		ack(f, "core", 25, 25);
		if (i > 0)
			see_fill(f, "core", i == 1 ? 99 : last_fill(f) - !seen);
		opts.size_max = stored(f) - bytes_of(f, 1) - 1;
		retain(f, opts);
		if (seen)
			EXPECT(f, 21, 31);
		else
			EXPECT(f, 11, 31);
		opts.size_max = 1;
		retain(f, opts);
		EXPECT(f, 31);
		assert_int_equal(gaps(f, gap, 3), seen ? 1 : 2);
		if (!seen)
			assert_gap(&gap[0], 11, 20, PB_GAP_EXPIRED);
		assert_gap(&gap[!seen], 26, 30, PB_GAP_EXPIRED);
	}
}

/* By a recorder of an older version, which did not write down which fill it
 * was. */
static void
what_came_late_before_an_update_waits_until_all_has_been_seen(void **state)
{
	struct fixture *f = *state;
	struct pb_index *index = pb_store_index(f->store);
	struct pb_retain_opts opts = { .size_max = 1, .upstreams = 1,
	    .upstream = &core };
	struct pb_gap_info gap[3];
	struct pb_mdb_txn txn;

	for (int seen = 0; seen < 2; seen++) {
		retain(f, (struct pb_retain_opts){ .upstreams = 0 });
		use_stream(f, (char)('0' + seen));
		write_late(f);
		assert_int_equal(gaps(f, gap, 3), 1);
		gap[0].fill = 0;
		assert_int_equal(pb_index_begin(index, &txn, NULL), 0);
		pb_index_put(&txn, PB_TABLE_GAPS, &gap[0]);
		assert_int_equal(pb_mdb_commit(&txn), 0);
		ack(f, "core", 40, 40);
		see_fill(f, "core", last_fill(f));
		if (seen == 0) {	/* and one more has come */
			use_stream(f, '2');
			write_late(f);
			ack(f, "core", 40, 40);
			use_stream(f, '0');
		}
		retain(f, opts);
		EXPECT(f, 31);
		assert_int_equal(gaps(f, gap, 3), seen ? 0 : 1);
	}
}

static void
a_stream_that_is_for_no_upstream_is_acknowledged(void **state)
{
	struct fixture *f = *state;
	const struct pb_retain_upstream up = { "core", "par1/*, lon1/eth1" };
	struct pb_gap_info gap;

	write_runs(f, 3);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &up });
	EXPECT(f, 21);
	assert_int_equal(gaps(f, &gap, 1), 0);
}

/*
 * Goal:   many unacknowledged segments in front hold up nobody, and none
 *         of them goes while there is one that is acknowledged.
 * Method: 5,000 rows without files, older than the real ones; one run looks
 *         at a fifth of them.
 */
static void
one_acknowledged_behind_thousands_is_found(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_key old = { .node = "old", .interface = "eth0",
	    .epoch = 1 };
	struct pb_index_totals totals;
	struct pb_mdb_txn txn;
	struct pb_err err;
	const uint64_t all = 5000;

	write_runs(f, 3);
	ack(f, "core", 20, 20);
	pb_store_close(f->store);
	{
		struct pb_index *index;
		struct pb_stream_info info = { .key = old, .id = 900,
		    .packets = all, .last_seq = all, .first_seq = 1 };

		assert_int_equal(pb_index_open_write(&index, f->dir,
		    64u << 20, &err), 0);
		assert_int_equal(pb_index_begin(index, &txn, &err), 0);
		pb_index_put_stream(&txn, &info);
		for (uint64_t n = 1; n <= all; n++)
			pb_index_put_segment(&txn, &(struct pb_segment_info){
			    .stream = 900, .first_seq = n, .last_seq = n,
			    .packets = 1, .bytes = 1, .sealed = true,
			    .sealed_at = n, .first_time = n,
			    .last_time = n });
		assert_int_equal(pb_mdb_commit(&txn), 0);
		pb_index_close(index);
	}
	f->store = NULL;
	reopen(f, NULL, true);
	write_runs(f, 1);
	retain(f, (struct pb_retain_opts){ .size_max = stored(f) - 1,
	    .upstreams = 1, .upstream = &core });
	EXPECT(f, 11, 21, 31);
	assert_int_equal(pb_index_totals(pb_store_index(f->store), &totals,
	    NULL), 0);
	assert_int_equal(totals.segments, all + 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RETAINED(
		    what_is_acknowledged_goes_before_what_is_older_and_not),
		RETAINED(numbers_that_are_dead_letters_become_such_a_gap),
		RETAINED(numbers_that_were_acknowledged_become_no_gap),
		RETAINED(
		    a_store_without_upstreams_opens_without_a_look_at_the_shipper),
		RETAINED(nothing_goes_before_it_is_known_what_is_acknowledged),
		RETAINED(
		    a_run_that_knows_no_longer_what_is_acknowledged_deletes_nothing),
		RETAINED(the_slowest_upstream_of_the_stream_decides),
		RETAINED(what_came_late_is_acknowledged_when_it_has_been_passed_on),
		RETAINED(what_came_late_waits_until_the_shipper_has_seen_it),
		RETAINED(
		    what_came_late_before_an_update_waits_until_all_has_been_seen),
		RETAINED(a_stream_that_is_for_no_upstream_is_acknowledged),
		RETAINED(one_acknowledged_behind_thousands_is_found),
	};

	return cmocka_run_group_tests_name("retention and acks", tests, NULL, NULL);
}
