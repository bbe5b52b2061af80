/*
 * tests/unit/letters_fixture.h - dead letters in a real store: real links
 */
#ifndef PB_TESTS_LETTERS_FIXTURE_H
#define PB_TESTS_LETTERS_FIXTURE_H

#include <errno.h>
#include <fcntl.h>

#include "recorder/store/index/index_write.h"
#include "shipper/letters/letters_impl.h"
#include "tests/unit/store_fixture.h"

#define PACKET	100u
#define PER	50u		/* packets of a segment here */
#define NOW	1000000000000ull

struct bench {
	struct fixture	 f;
	struct pb_state	*state;
	struct pb_letters *letters;
};

static inline void
open_letters(struct bench *b)
{
	struct pb_err err = { .code = 0 };

	if (pb_state_open_write(&b->state, b->f.dir, &err) < 0 ||
	    pb_letters_open(&b->letters, b->state, b->f.dir, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void
close_letters(struct bench *b)
{
	pb_letters_close(b->letters);
	pb_state_close(b->state);
}

/* The next `count` segments of PER packets each; the last one is open. */
static inline void
write_segments(struct bench *b, uint64_t from, unsigned count)
{
	char description[32];

	for (unsigned i = 0; i < count; i++) {
		uint64_t first = from + i * PER;

		pb_head_unref(b->f.head);
		snprintf(description, sizeof(description), "from %llu",
		    (unsigned long long)first);
		b->f.head = fixture_head(&b->f.key, description);
		fixture_write(&b->f, first, first + PER - 1, PACKET);
	}
}

static inline void
bench_init(struct bench *b, unsigned segments)
{
	fixture_init(&b->f, __LINE__);
	open_letters(b);
	write_segments(b, 1, segments);
}

static inline void
bench_finish(struct bench *b)
{
	close_letters(b);
	fixture_finish(&b->f);
}

static inline int
demote_rc(struct bench *b, const char *upstream, uint64_t first,
    uint64_t last, enum pb_dead_reason reason, uint64_t now_ns,
    uint64_t *done, struct pb_err *err)
{
	struct pb_stream_info row;
	struct pb_demotion why = { .upstream = upstream, .stream = &row,
	    .dead = { .first = first, .last = last, .reason = reason,
	    .status = 400, .attempts = 7, .text = "it said no" },
	    .now_ns = now_ns, .age_ms = now_ns };

	fixture_stream_row(&b->f, &row);
	return pb_letters_demote(b->letters, pb_store_index(b->f.store), &why,
	    done, err);
}

static inline uint64_t
demote(struct bench *b, const char *upstream, uint64_t first, uint64_t last)
{
	struct pb_err err = { .code = 0 };
	uint64_t done;

	if (demote_rc(b, upstream, first, last, PB_DEAD_STALE, NOW, &done,
	    &err) < 0)
		fail_msg("%s", err.text);
	return done;
}

static inline struct pb_letters_total
total(struct bench *b, const char *upstream)
{
	struct pb_letters_total out;

	assert_int_equal(pb_letters_total(b->letters, upstream, &out, NULL),
	    0);
	return out;
}

static inline int
find(struct bench *b, const char *upstream, uint64_t from,
    struct pb_letter *out)
{
	int rc = pb_letters_find(b->letters, upstream, &b->f.key, from, out,
	    NULL);

	assert_true(rc >= 0);
	return rc;
}

/* The letter at `from` is first .. last, in this state. */
static inline struct pb_letter
assert_letter(struct bench *b, uint64_t from, uint64_t first, uint64_t last,
    enum pb_letter_state state)
{
	struct pb_letter letter;

	assert_int_equal(find(b, "core", from, &letter), 1);
	assert_int_equal(letter.first, first);
	assert_int_equal(letter.last, last);
	assert_string_equal(pb_letter_state_name(letter.state),
	    pb_letter_state_name(state));
	return letter;
}

static inline void
letter_path(struct bench *b, const char *upstream, uint64_t segment,
    char out[static PATH_MAX])
{
	assert_int_equal(pb_layout_letter(out, b->f.dir, upstream, &b->f.key,
	    segment, NULL), 0);
}

static inline bool
has_file(struct bench *b, const char *upstream, uint64_t segment)
{
	char path[PATH_MAX];

	letter_path(b, upstream, segment, path);
	return access(path, F_OK) == 0;
}

static inline void
segment_path(struct bench *b, uint64_t segment, char out[static PATH_MAX])
{
	assert_int_equal(pb_layout_segment(out, b->f.dir, &b->f.key, segment,
	    false, NULL), 0);
	if (access(out, F_OK) != 0)
		assert_int_equal(pb_layout_segment(out, b->f.dir, &b->f.key,
		    segment, true, NULL), 0);
}

static inline ino_t
inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static inline off_t
size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static inline struct pb_letters_sum
all(struct bench *b, int (*change)(struct pb_letters *,
    const struct pb_letters_which *, struct pb_letters_sum *,
    struct pb_err *), const struct pb_letters_which *which)
{
	struct pb_letters_sum sum = { .letters = 0 };
	int rc;

	do
		rc = change(b->letters, which, &sum, NULL);
	while (rc == 1);
	assert_int_equal(rc, 0);
	return sum;
}

static const struct pb_letters_which ANY = { .first = 0 };

static inline int
keep_bounds(struct bench *b, const char *upstream, uint64_t bytes_max,
    uint64_t age_ms_max, uint64_t age_ms)
{
	const struct pb_letters_bounds bounds = { .bytes_max = bytes_max,
	    .age_ms_max = age_ms_max, .age_ms = age_ms };

	return pb_letters_bound(b->letters, upstream, &bounds, NULL);
}

/* What came late of the stream, as one fill. */
static inline void
come_late(struct bench *b, const char *upstream, uint64_t first,
    uint64_t last, uint64_t fill)
{
	struct pb_late late = { .key = b->f.key, .first = first,
	    .last = last };
	struct pb_seen seen = { .fill = fill };

	strcpy(late.upstream, upstream);
	strcpy(seen.upstream, upstream);
	assert_int_equal(pb_letters_late(b->letters, &late, 1, &seen, 1,
	    NULL), 0);
}

static inline int
count_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	(void)key, (void)value;
	++*(unsigned *)arg;
	return 0;
}

static inline unsigned
rows_of(struct bench *b, enum pb_state_table table)
{
	struct pb_mdb_txn txn;
	unsigned count = 0;

	assert_int_equal(pb_mdb_begin(b->state->mdb, false, &txn, NULL), 0);
	assert_int_equal(pb_mdb_walk(&txn, table, "", 0, count_row, &count),
	    0);
	pb_mdb_abort(&txn);
	return count;
}

#endif
