/*
 * tests/unit/test_retain.c - how much is kept, and what goes first
 *
 * Real stores: packets are written through the store, acknowledgements as
 * the shipper writes them.  A segment here is one chunk of ten packets, and
 * the last one is open: PACKETS(3) writes three, and seals two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "pcapng/scan.h"
#include "recorder/store/facts/acks.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/facts/journal.h"
#include "recorder/store/index/mdb.h"
#include "tests/unit/store_fixture.h"

#define RUN	10u		/* packets of a segment */
#define LEN	60000u		/* bytes of a packet */
#define SIZE	(1u << 20)	/* segment_size: two runs do not fit */
#define WAIT_MS	20000u

static const char *const shipper_tables[] = { PB_ACKS_TABLE };
static const struct pb_retain_upstream core = { "core", "*" };

/* --- a store of small segments ------------------------------------------- */

static void
reopen(struct fixture *f, const struct pb_retain_opts *retain, bool stream)
{
	struct pb_store_opts opts;
	struct pb_err err;

	pb_store_close(f->store);
	fixture_opts(f, &opts);
	opts.segment_size = SIZE;
	if (retain != NULL)
		opts.retain = *retain;
	assert_int_equal(pb_store_open(&f->store, &opts, &err), 0);
	if (stream)
		assert_int_equal(pb_store_stream(f->store, &f->key,
		    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, &err), 0);
}

static int
setup(void **state)
{
	struct fixture *f;

	fixture_setup(state);
	f = *state;
	reopen(f, NULL, true);
	return 0;
}

/* `count` segments more; all but the last one of them are sealed. */
static void
write_runs(struct fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t first = pb_stream_next(f->stream);

		fixture_write(f, first, first + RUN - 1, LEN);
	}
}

static void
retain(struct fixture *f, struct pb_retain_opts opts)
{
	struct pb_err err;

	assert_int_equal(pb_store_retain(f->store, &opts, &err), 0);
}

/* Rows of the stream's segments: their first numbers. */
static int
segments(struct fixture *f, uint64_t first[static 64])
{
	struct pb_segment_info rows[64];
	struct pb_stream_info stream;
	int n;

	fixture_stream_row(f, &stream);
	n = pb_index_rows_of(pb_store_index(f->store), PB_TABLE_SEGMENTS,
	    stream.id, 0, rows, 64, NULL);
	for (int i = 0; i < n; i++)
		first[i] = rows[i].first_seq;
	return n;
}

static uint64_t
stored(struct fixture *f)
{
	struct pb_index_totals totals;

	assert_int_equal(pb_index_totals(pb_store_index(f->store), &totals,
	    NULL), 0);
	return totals.bytes;
}

/* Bytes of the sealed segment that starts at `first`. */
static uint64_t
bytes_of(struct fixture *f, uint64_t first)
{
	struct pb_segment_info row;
	struct pb_stream_info stream;

	fixture_stream_row(f, &stream);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_SEGMENTS, stream.id, first, &row, 1, NULL), 1);
	assert_int_equal(row.first_seq, first);
	return row.bytes;
}

static void
path_of(struct fixture *f, uint64_t first, char out[static PATH_MAX])
{
	assert_int_equal(pb_layout_segment(out, f->dir, &f->key, first, false,
	    NULL), 0);
}

static bool
is_there(struct fixture *f, uint64_t first)
{
	char path[PATH_MAX];

	path_of(f, first, path);
	return access(path, F_OK) == 0;
}

static void
sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000,
	    .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

/* The segments that are left begin at `want`, and stay so. */
static void
expect_segments(struct fixture *f, const uint64_t *want, int count)
{
	uint64_t until = pb_clock_mono_ms() + WAIT_MS, first[64];
	struct pb_retain_stats stats;
	int n;

	do {
		n = segments(f, first);
		if (n == count)
			break;
		sleep_ms(5);
	} while (pb_clock_mono_ms() < until);
	/* And no run later: the store is looked at each second. */
	pb_store_retain_stats(f->store, &stats);
	sleep_ms(50);
	n = segments(f, first);
	assert_int_equal(n, count);
	for (int i = 0; i < n; i++)
		assert_int_equal(first[i], want[i]);
}
#define EXPECT(f, ...) expect_segments(f, (const uint64_t[]){ __VA_ARGS__ }, \
	(int)(sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t)))

static void
expect_why(struct fixture *f, const char *want)
{
	uint64_t until = pb_clock_mono_ms() + WAIT_MS;
	struct pb_retain_stats stats;

	do {
		pb_store_retain_stats(f->store, &stats);
		if (strcmp(stats.why, want) == 0)
			return;
		sleep_ms(20);
	} while (pb_clock_mono_ms() < until);
	assert_string_equal(stats.why, want);
}

/* --- the shipper --------------------------------------------------------- */

static void
ack(struct fixture *f, const char *upstream, uint64_t acked,
    uint64_t released)
{
	uint8_t key[PB_ACKS_KEY_MAX], row[PB_ACKS_ROW_BYTES];
	const struct pb_ack value = { acked, released };
	struct pb_mdb_txn txn;
	struct pb_mdb *mdb;
	char path[80];
	pid_t child;

	snprintf(path, sizeof(path), "%s/shipper", f->dir);
	/* LMDB forbids two opens in a process, and the store has one. */
	child = fork();
	if (child == 0) {
		if (pb_mdb_open(&mdb, path, 1u << 20, shipper_tables, 1, true,
		    NULL) < 0 || pb_mdb_begin(mdb, true, &txn, NULL) < 0)
			_exit(1);
		pb_acks_encode(row, &value);
		pb_mdb_put(&txn, 0, key, pb_acks_key(key, upstream, &f->key),
		    row, sizeof(row));
		_exit(pb_mdb_commit(&txn) < 0);
	} else {
		int status;

		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

static int
gaps(struct fixture *f, struct pb_gap_info *out, size_t max)
{
	struct pb_stream_info stream;

	fixture_stream_row(f, &stream);
	return pb_index_rows_of(pb_store_index(f->store), PB_TABLE_GAPS,
	    stream.id, 0, out, max, NULL);
}

static void
assert_gap(const struct pb_gap_info *gap, uint64_t first, uint64_t last,
    enum pb_gap_reason reason)
{
	assert_int_equal(gap->first, first);
	assert_int_equal(gap->last, last);
	assert_int_equal(gap->reason, reason);
	assert_int_equal(gap->closed_ns, 0);
}

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

/* --- who has it ---------------------------------------------------------- */

/* From now on the stream eth0, eth1 or eth2. */
static void
use_stream(struct fixture *f, char number)
{
	f->key.interface[3] = number;
	pb_head_unref(f->head);
	f->head = fixture_head(&f->key, "London");
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, NULL), 0);
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

/* Holds LMDB's lock on the shipper's database.  kill(2) it. */
static pid_t
shipper_stops(struct fixture *f)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char file[128], byte;
	int pipes[2], fd;
	pid_t child;

	snprintf(file, sizeof(file), "%s/shipper/lock.mdb", f->dir);
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		fd = open(file, O_RDWR);
		_exit(fcntl(fd, F_SETLK, &all) < 0 || write(pipes[1], "", 1) !=
		    1 || pause());
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	close(pipes[1]);
	return child;
}

static void
shipper_ends(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* A stopped shipper is waited for, where there is one to ask for. */
static void
a_store_without_upstreams_opens_without_a_look_at_the_shipper(void **state)
{
	struct fixture *f = *state;
	uint64_t began;
	pid_t child;

	ack(f, "core", 10, 10);
	child = shipper_stops(f);
	began = pb_clock_mono_ms();
	reopen(f, NULL, true);
	assert_true(pb_clock_mono_ms() - began < 1000);
	began = pb_clock_mono_ms();
	reopen(f, &(struct pb_retain_opts){ .upstreams = 1,
	    .upstream = &core }, true);
	assert_true(pb_clock_mono_ms() - began >= 1000);
	shipper_ends(child);
}

/*
 * Goal:   what upstreams have is not known before a child has looked at the
 *         shipper's file; meanwhile nothing is taken for unacknowledged.
 * Method: somebody holds LMDB's lock on it for a second, so that the child
 *         waits; all of it is acknowledged.
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
	child = shipper_stops(f);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &core });
	sleep_ms(1000);
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
		sleep_ms(5);
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

/* --- by age and free space ----------------------------------------------- */

/* As if the recorder had run for so long with nothing to do. */
static void
let_time_pass(struct fixture *f, uint64_t ms)
{
	struct pb_index *index;
	struct pb_mdb_txn txn;
	struct pb_age age;

	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_index_open_write(&index, f->dir, 64u << 20, NULL),
	    0);
	assert_int_equal(pb_index_begin(index, &txn, NULL), 0);
	pb_index_get_age(&txn, &age);
	age.ms += ms;
	pb_index_put_age(&txn, &age);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
}

static void
what_is_older_than_the_age_goes_whoever_waits_for_it(void **state)
{
	struct fixture *f = *state;
	struct pb_retain_stats stats;
	struct pb_gap_info gap;
	uint64_t now;

	write_runs(f, 1);
	let_time_pass(f, 7200000);
	reopen(f, &(struct pb_retain_opts){ .age_ms_max = 3 * 3600000,
	    .upstreams = 1, .upstream = &core }, true);
	write_runs(f, 2);
	sleep_ms(400);
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
	for (int i = 0; i < 200; i++) {
		pb_store_retain_stats(f->store, &stats);
		if (strstr(stats.why, "dead letters") != NULL)
			break;
		sleep_ms(50);
	}
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
	for (int i = 0; i < 400 && stored(f) > 0; i++)
		sleep_ms(20);
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

/* --- crashes and refusals ------------------------------------------------ */

static void
put_doomed(struct fixture *f, uint64_t first)
{
	struct pb_stream_info stream;
	struct pb_index *index;
	struct pb_mdb_txn txn;

	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_index_open_write(&index, f->dir, 64u << 20, NULL),
	    0);
	assert_int_equal(pb_index_stream(index, &f->key, &stream, NULL), 1);
	assert_int_equal(pb_index_begin(index, &txn, NULL), 0);
	pb_index_put(&txn, PB_TABLE_DOOMED, &(struct pb_open_info){
	    .stream = stream.id, .first_seq = first, .key = f->key });
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
}

static int
doomed_rows(struct fixture *f)
{
	struct pb_open_info row[4];

	return pb_index_rows(pb_store_index(f->store), PB_TABLE_DOOMED, NULL,
	    row, 4, NULL);
}

static void
a_start_deletes_what_a_crash_left_doomed(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX];
	int fd;

	write_runs(f, 2);
	path_of(f, 500, path);
	fd = open(path, O_WRONLY | O_CREAT, 0640);
	assert_true(fd >= 0);
	close(fd);
	put_doomed(f, 500);
	reopen(f, NULL, true);
	assert_false(is_there(f, 500));
	assert_int_equal(doomed_rows(f), 0);
	EXPECT(f, 1, 11);
}

static void
a_doomed_name_that_lives_again_is_left_alone(void **state)
{
	struct fixture *f = *state;

	write_runs(f, 2);
	put_doomed(f, 1);
	reopen(f, NULL, true);
	assert_true(is_there(f, 1));
	assert_int_equal(doomed_rows(f), 0);
}

static void
packets_that_come_again_after_they_expired_stay(void **state)
{
	struct fixture *f = *state;
	struct pb_open_info doomed[4];
	struct pb_gap_info gap[3];
	uint64_t first, last;
	int n;

	write_runs(f, 3);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 21);
	retain(f, (struct pb_retain_opts){ .size_max = 0 });
	sleep_ms(300);
	fixture_write(f, 1, 10, LEN);
	/* No crash from now on may take it for what it was. */
	n = pb_index_rows(pb_store_index(f->store), PB_TABLE_DOOMED, NULL,
	    doomed, 4, NULL);
	for (int i = 0; i < n; i++)
		assert_int_not_equal(doomed[i].first_seq, 1);
	reopen(f, NULL, true);
	assert_true(is_there(f, 1));
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 20);
	assert_int_equal(gaps(f, gap, 3), 2);
	assert_true(gap[0].closed_ns != 0);
	assert_gap(&gap[1], 11, 20, PB_GAP_EXPIRED);
}

static void
a_name_that_cannot_be_deleted_is_tried_again_and_said(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX], want[PATH_MAX + 80];

	write_runs(f, 3);
	path_of(f, 1, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0750), 0);
	retain(f, (struct pb_retain_opts){ .size_max = stored(f) -
	    bytes_of(f, 1) });
	EXPECT(f, 11, 21);
	snprintf(want, sizeof(want), "cannot delete: %s: Is a directory",
	    path);
	expect_why(f, want);
	assert_int_equal(rmdir(path), 0);
	expect_why(f, "");
	/* The row goes with a later commit. */
	retain(f, (struct pb_retain_opts){ .size_max = 1 });
	EXPECT(f, 21);
	write_runs(f, 2);
	EXPECT(f, 41);
	assert_true(doomed_rows(f) <= 2);
}

/* --- telling ------------------------------------------------------------- */

static int
note_fact(void *arg, const struct pb_fact *fact)
{
	char *text = arg;

	if (fact->kind == PB_FACT_EXPIRED || fact->kind == PB_FACT_GAP)
		sprintf(text + strlen(text), "%s %" PRIu64 "-%" PRIu64 "\n",
		    fact->kind == PB_FACT_EXPIRED ? "acked" :
		    pb_gap_reason_name(fact->reason), fact->first,
		    fact->last);
	return 0;
}

static void
the_journal_knows_what_went_and_why(void **state)
{
	struct fixture *f = *state;
	struct pb_journal_news news;
	char text[1024] = "";

	write_runs(f, 5);
	ack(f, "core", 15, 30);
	retain(f, (struct pb_retain_opts){ .size_max = 1, .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 41);
	assert_int_equal(pb_journal_read(f->dir, &f->key, note_fact, text,
	    &news, NULL), 0);
	assert_string_equal(text, "acked 1-15\ndead-lettered 16-30\n"
	    "expired 31-40\n");
}

static void
each_deletion_is_a_line_with_its_reason_and_numbers(void **state)
{
	struct fixture *f = *state;
	uint64_t all, one, two, max;
	char want[1024], got[4096];
	int saved = dup(STDERR_FILENO), fd;
	char path[80];
	ssize_t len;

	write_runs(f, 3);
	ack(f, "core", 10, 10);
	all = stored(f);
	one = bytes_of(f, 1);
	two = bytes_of(f, 11);
	max = all - one - two;
	snprintf(path, sizeof(path), "%s/log", f->dir);
	fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDERR_FILENO);
	pb_log_level(PB_LOG_INFO);
	retain(f, (struct pb_retain_opts){ .size_max = max, .upstreams = 1,
	    .upstream = &core });
	EXPECT(f, 21);
	pb_log_level(PB_LOG_ERROR + 1);
	dup2(saved, STDERR_FILENO);
	close(saved);
	len = pread(fd, got, sizeof(got) - 1, 0);
	close(fd);
	got[len > 0 ? len : 0] = '\0';
	snprintf(want, sizeof(want),
	    "info retention: deleted stream=lon1/eth0 first=1 last=10 bytes=%"
	    PRIu64 " reason=size acked=yes stored=%" PRIu64 " retain_size=%"
	    PRIu64 "\nwarn retention: deleted stream=lon1/eth0 first=11 "
	    "last=20 bytes=%" PRIu64 " reason=size acked=no stored=%" PRIu64
	    " retain_size=%" PRIu64 "\n", one, all, max, two, all - one, max);
	assert_string_equal(got, want);
}

#define TEST(name)	\
	cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_goes_while_the_bound_is_kept),
		TEST(the_oldest_go_until_the_sum_fits_and_not_one_more),
		TEST(each_segment_that_is_sealed_makes_room_for_itself),
		TEST(an_open_segment_is_never_deleted_and_that_is_said),
		TEST(what_is_acknowledged_goes_before_what_is_older_and_not),
		TEST(numbers_that_are_dead_letters_become_such_a_gap),
		TEST(numbers_that_were_acknowledged_become_no_gap),
		TEST(
		    a_store_without_upstreams_opens_without_a_look_at_the_shipper),
		TEST(nothing_goes_before_it_is_known_what_is_acknowledged),
		TEST(
		    a_run_that_knows_no_longer_what_is_acknowledged_deletes_nothing),
		TEST(the_slowest_upstream_of_the_stream_decides),
		TEST(a_stream_that_is_for_no_upstream_is_acknowledged),
		TEST(one_acknowledged_behind_thousands_is_found),
		TEST(what_is_older_than_the_age_goes_whoever_waits_for_it),
		TEST(files_with_another_name_stay_where_room_is_wanted),
		TEST(the_stream_counts_what_is_left),
		TEST(a_stream_without_segments_keeps_its_numbers),
		TEST(the_statistics_in_a_file_speak_of_the_streams_whole_life),
		TEST(late_packets_expire_as_others_do),
		TEST(a_start_deletes_what_a_crash_left_doomed),
		TEST(a_doomed_name_that_lives_again_is_left_alone),
		TEST(packets_that_come_again_after_they_expired_stay),
		TEST(a_name_that_cannot_be_deleted_is_tried_again_and_said),
		TEST(the_journal_knows_what_went_and_why),
		TEST(each_deletion_is_a_line_with_its_reason_and_numbers),
	};

	return cmocka_run_group_tests_name("retain", tests, NULL, NULL);
}
