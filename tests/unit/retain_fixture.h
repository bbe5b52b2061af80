/*
 * tests/unit/retain_fixture.h - a store of small segments, and what retention
 * leaves of it
 *
 * A real store, turned by the test: packets are written through it,
 * acknowledgements as the shipper writes them.  A segment is one chunk of ten
 * packets, and the last one is open: write_runs(f, 3) writes three, and seals
 * two.
 */
#ifndef PB_TESTS_RETAIN_FIXTURE_H
#define PB_TESTS_RETAIN_FIXTURE_H

#include <inttypes.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "recorder/store/facts/acks.h"
#include "recorder/store/index/mdb.h"
#include "tests/unit/stepped.h"
#include "tests/unit/valgrind.h"

#define RUN	10u		/* packets of a segment */
#define LEN	60000u		/* bytes of a packet */
#define SIZE	(1u << 20)	/* segment_size: two runs do not fit */
#define ROWS	64
#define TURNS_MAX	20000	/* of a ms: others may be asked meanwhile */

static const struct pb_retain_upstream core = { "core", "*" };

static inline void
reopen(struct fixture *f, const struct pb_retain_opts *retain, bool stream)
{
	struct pb_store_opts opts;
	struct pb_err err;

	pb_store_close(f->store);
	fixture_opts(f, &opts);
	opts.segment_size = SIZE;
	opts.segment_age_ms = 1000 * HOUR_MS;
	if (retain != NULL)
		opts.retain = *retain;
	assert_int_equal(pb_store_open(&f->store, &opts, &err), 0);
	if (stream)
		assert_int_equal(pb_store_stream(f->store, &f->key,
		    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, &err), 0);
}

static inline int
retain_setup(void **state)
{
	struct fixture *f;

	stepped_setup(state);
	f = *state;
	reopen(f, NULL, true);
	return 0;
}

/* `count` segments more; all but the last one of them are sealed. */
static inline void
write_runs(struct fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t first = pb_stream_next(f->stream);

		fixture_write(f, first, first + RUN - 1, LEN);
	}
}

/* From now on the stream eth0, eth1 or eth2. */
static inline void
use_stream(struct fixture *f, char number)
{
	f->key.interface[3] = number;
	pb_head_unref(f->head);
	f->head = fixture_head(&f->key, "London");
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, NULL), 0);
}

static inline void
retain(struct fixture *f, struct pb_retain_opts opts)
{
	struct pb_err err;

	assert_int_equal(pb_store_retain(f->store, &opts, &err), 0);
}

/* Rows of the stream's segments: their first numbers. */
static inline int
segments(struct fixture *f, uint64_t first[static ROWS])
{
	struct pb_segment_info rows[ROWS];
	struct pb_stream_info stream;
	int n;

	fixture_stream_row(f, &stream);
	n = pb_index_rows_of(pb_store_index(f->store), PB_TABLE_SEGMENTS,
	    stream.id, 0, rows, ROWS, NULL);
	for (int i = 0; i < n; i++)
		first[i] = rows[i].first_seq;
	return n;
}

static inline uint64_t
stored(struct fixture *f)
{
	struct pb_index_totals totals;

	assert_int_equal(pb_index_totals(pb_store_index(f->store), &totals,
	    NULL), 0);
	return totals.bytes;
}

/* Bytes of the sealed segment that starts at `first`. */
static inline uint64_t
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

static inline void
path_of(struct fixture *f, uint64_t first, char out[static PATH_MAX])
{
	assert_int_equal(pb_layout_segment(out, f->dir, &f->key, first, false,
	    NULL), 0);
}

static inline bool
is_there(struct fixture *f, uint64_t first)
{
	char path[PATH_MAX];

	path_of(f, first, path);
	return access(path, F_OK) == 0;
}

/*
 * The segments that are left begin at `want`, and stay so.  What upstreams
 * have is found out by a thread, in its own time.
 */
static inline void
expect_segments(struct fixture *f, const uint64_t *want, int count)
{
	uint64_t first[ROWS];
	int n;

	for (int i = 0; i < TURNS_MAX && segments(f, first) != count; i++) {
		pb_store_turn(f->store);
		usleep(1000);
	}
	settle_store(f);
	n = segments(f, first);
	assert_int_equal(n, count);
	for (int i = 0; i < n; i++)
		assert_int_equal(first[i], want[i]);
}
#define EXPECT(f, ...) expect_segments(f, (const uint64_t[]){ __VA_ARGS__ }, \
	(int)(sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t)))

static inline void
expect_why(struct fixture *f, const char *want)
{
	struct pb_retain_stats stats;

	settle_store(f);
	pb_store_retain_stats(f->store, &stats);
	assert_string_equal(stats.why, want);
}

/* --- the shipper --------------------------------------------------------- */

/* A row of the shipper's. */
static inline void
put_row(struct fixture *f, const void *key, size_t key_len, const void *row,
    size_t len)
{
	static const char *const tables[] = { PB_ACKS_TABLE };
	struct pb_mdb_txn txn;
	struct pb_mdb *mdb;
	char path[80];
	pid_t child;

	snprintf(path, sizeof(path), "%s/shipper", f->dir);
	/* LMDB forbids two opens in a process, and the store has one. */
	child = fork();
	if (child == 0) {
		if (pb_mdb_open(&mdb, path, 1u << 20, tables, 1,
		    PB_MDB_WRITE, NULL) < 0 ||
		    pb_mdb_begin(mdb, true, &txn, NULL) < 0)
			child_exit(1);
		pb_mdb_put(&txn, 0, key, key_len, row, len);
		child_exit(pb_mdb_commit(&txn) < 0);
	} else {
		int status;

		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

/* `after` behind the key of the stream's. */
static inline void
put_ack_row(struct fixture *f, const char *upstream, uint64_t after,
    const void *row, size_t len)
{
	uint8_t key[PB_ACKS_KEY_MAX + 8];
	size_t key_len = pb_acks_key(key, upstream, &f->key);

	pb_put_be64(key + key_len, after);
	put_row(f, key, key_len + (after != 0 ? 8 : 0), row, len);
}

/* The last fill that the shipper has seen for the upstream. */
static inline void
see_fill(struct fixture *f, const char *upstream, uint64_t number)
{
	uint8_t key[PB_ACKS_KEY_MAX], row[8];

	pb_put_le64(row, number);
	put_row(f, key, pb_acks_seen_key(key, upstream), row, sizeof(row));
}

static inline void
ack(struct fixture *f, const char *upstream, uint64_t acked,
    uint64_t released)
{
	const struct pb_ack value = { acked, released };
	uint8_t row[PB_ACKS_ROW_BYTES];

	pb_acks_encode(row, &value);
	put_ack_row(f, upstream, 0, row, sizeof(row));
}

static inline int
gaps(struct fixture *f, struct pb_gap_info *out, size_t max)
{
	struct pb_stream_info stream;

	fixture_stream_row(f, &stream);
	return pb_index_rows_of(pb_store_index(f->store), PB_TABLE_GAPS,
	    stream.id, 0, out, max, NULL);
}

static inline void
assert_gap(const struct pb_gap_info *gap, uint64_t first, uint64_t last,
    enum pb_gap_reason reason)
{
	assert_int_equal(gap->first, first);
	assert_int_equal(gap->last, last);
	assert_int_equal(gap->reason, reason);
	assert_int_equal(gap->closed_ns, 0);
}

#define RETAINED(test)							\
	cmocka_unit_test_setup_teardown(test, retain_setup,		\
	    fixture_teardown)

#endif
