/*
 * tests/unit/test_rebuild.c - the index, made again from the files
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "recorder/store/mend/rebuild.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp.h"

#define ROWS	32

/* Everything the index says that a reader can ask for. */
struct dump {
	struct pb_stream_info	stream;
	struct pb_segment_info	segments[ROWS];
	struct pb_gap_info	gaps[ROWS];
	struct pb_drop_info	drops[ROWS];
	struct pb_index_totals	totals;
	struct pb_age_info	ages[ROWS];
	int			n_segments, n_gaps, n_drops, n_ages;
	long			packets;
	uint64_t		first, last;
};

static int
by_number(const void *a, const void *b)
{
	const struct pb_age_info *x = a, *y = b;

	return x->first_seq < y->first_seq ? -1 : x->first_seq > y->first_seq;
}

static void
take_dump(struct fixture *f, struct dump *d)
{
	struct pb_index *index = pb_store_index(f->store);
	struct pb_err err;

	memset(d, 0, sizeof(*d));
	fixture_stream_row(f, &d->stream);
	d->n_segments = pb_index_rows_of(index, PB_TABLE_SEGMENTS,
	    d->stream.id, 1, d->segments, ROWS, &err);
	d->n_gaps = pb_index_rows_of(index, PB_TABLE_GAPS, d->stream.id, 1,
	    d->gaps, ROWS, &err);
	d->n_drops = pb_index_rows_of(index, PB_TABLE_DROPS, d->stream.id, 1,
	    d->drops, ROWS, &err);
	d->n_ages = pb_index_rows(index, PB_TABLE_AGES, NULL, d->ages, ROWS,
	    &err);
	assert_int_equal(pb_index_totals(index, &d->totals, &err), 0);
	d->packets = fixture_read(f, &ALL, &d->first, &d->last);
	/* The files know when a segment was begun by the store's age, and
	 * when it was sealed by the wall clock: not the other way round.  And
	 * their first extent begins behind the head. */
	for (int i = 0; i < d->n_segments; i++)
		d->segments[i].created_ns = d->segments[i].sealed_at =
		    d->segments[i].header_digest = 0;
	/* What filled a gap has another number. */
	for (int i = 0; i < d->n_gaps; i++) {
		assert_int_equal(d->gaps[i].fill != 0,
		    d->gaps[i].closed_ns != 0);
		d->gaps[i].fill = 0;
	}
	for (int i = 0; i < d->n_ages; i++)
		d->ages[i].sealed_at = 0;
	/* So those that were open beside each other may change places. */
	qsort(d->ages, (size_t)d->n_ages, sizeof(d->ages[0]), by_number);
}

static void
assert_same(const struct dump *a, const struct dump *b)
{
	assert_int_equal(a->n_segments, b->n_segments);
	assert_int_equal(a->n_gaps, b->n_gaps);
	assert_int_equal(a->n_drops, b->n_drops);
	assert_memory_equal(&a->stream, &b->stream, sizeof(a->stream));
	for (int i = 0; i < a->n_segments; i++)
		assert_memory_equal(&a->segments[i], &b->segments[i],
		    sizeof(a->segments[i]));
	assert_memory_equal(a, b, sizeof(*a));
}

static void
submit_gap(struct fixture *f, uint64_t first, uint64_t last,
    enum pb_gap_reason reason)
{
	struct pb_chunk *chunk = fixture_chunk(f, first, first, 10);

	chunk->last_seq = last;
	chunk->gap = reason;
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
	assert_int_equal(f->last_rc, 0);
}

static void
lose_index(struct fixture *f)
{
	shell("rm -rf '%s/index'", f->dir);
}

/* Segments, gaps open and closed and split, late fills, a leading gap. */
static void
fill(struct fixture *f)
{
	submit_gap(f, 1, 50, PB_GAP_EXPIRED);
	fixture_write(f, 51, 300, 200);
	submit_gap(f, 301, 400, PB_GAP_DEAD_LETTERED);
	submit_gap(f, 401, 410, PB_GAP_DEAD_LETTERED);
	submit_gap(f, 411, 420, PB_GAP_DAMAGED);
	fixture_write(f, 421, 600, 1000);
	fixture_write(f, 320, 330, 100);
	fixture_write(f, 331, 340, 100);
	fixture_write(f, 415, 420, 100);
	fixture_write(f, 601, 700, 100);
}

static void
what_is_rebuilt_equals_what_was_lost(void **state)
{
	struct fixture *f = *state;
	struct dump before, after;

	fill(f);
	pb_store_close(f->store);
	fixture_open(f);
	take_dump(f, &before);
	assert_true(before.n_gaps >= 5);
	pb_store_close(f->store);
	lose_index(f);
	fixture_open(f);
	take_dump(f, &after);
	assert_same(&before, &after);
	fixture_write(f, 701, 800, 100);
	assert_int_equal(f->last_rc, 0);
	/* What is open can still be filled. */
	fixture_write(f, 1, 50, 100);
	assert_int_equal(f->last_rc, 0);
}

static void
an_index_cut_short_is_made_again_and_kept_aside(void **state)
{
	struct fixture *f = *state;
	struct dump before, after;
	char path[PATH_MAX];
	struct stat st;

	fill(f);
	pb_store_close(f->store);
	fixture_open(f);
	take_dump(f, &before);
	pb_store_close(f->store);
	snprintf(path, sizeof(path), "%s/index/data.mdb", f->dir);
	assert_int_equal(stat(path, &st), 0);
	for (off_t size = 0; size < st.st_size; size += st.st_size / 7) {
		assert_int_equal(truncate(path, size), 0);
		fixture_open(f);
		take_dump(f, &after);
		assert_same(&before, &after);
		pb_store_close(f->store);
	}
	shell("ls '%s/damaged' | grep -q index-", f->dir);
	fixture_open(f);
}

static void
an_index_of_rubbish_is_made_again(void **state)
{
	struct fixture *f = *state;
	struct dump before, after;
	static char rubbish[32768];
	char path[PATH_MAX];
	int fd;

	fill(f);
	pb_store_close(f->store);
	fixture_open(f);
	take_dump(f, &before);
	pb_store_close(f->store);
	snprintf(path, sizeof(path), "%s/index/data.mdb", f->dir);
	memset(rubbish, 0x5a, sizeof(rubbish));
	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, rubbish, sizeof(rubbish)),
	    sizeof(rubbish));
	close(fd);
	fixture_open(f);
	take_dump(f, &after);
	assert_same(&before, &after);
}

static void
numbers_that_no_file_and_no_fact_explains_are_damaged(void **state)
{
	struct fixture *f = *state;
	struct pb_gap_info gap;
	struct pb_stream_info row;
	char path[PATH_MAX];
	struct pb_err err;

	fixture_write(f, 1, 100, 100);
	submit_gap(f, 101, 110, PB_GAP_EXPIRED);	/* seals */
	fixture_write(f, 111, 200, 100);
	pb_store_close(f->store);
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key, 1, false,
	    NULL), 0);
	assert_int_equal(unlink(path), 0);
	lose_index(f);
	fixture_open(f);
	fixture_stream_row(f, &row);
	assert_int_equal(row.packets, 90);
	assert_int_equal(row.first_seq, 111);
	assert_int_equal(row.last_seq, 200);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_GAPS, row.id, 1, &gap, 1, &err), 1);
	assert_int_equal(gap.first, 1);
	assert_int_equal(gap.last, 100);
	assert_int_equal(gap.reason, PB_GAP_DAMAGED);
}

static void
a_rotten_sealed_file_keeps_its_whole_blocks(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info row;
	uint64_t first, last;
	char path[PATH_MAX];
	static char rot[3000];
	int fd;

	fixture_write(f, 1, 700, 1000);
	pb_store_close(f->store);
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key, 1, false,
	    NULL), 0);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, rot, sizeof(rot), 200000), sizeof(rot));
	close(fd);
	lose_index(f);
	fixture_open(f);
	fixture_stream_row(f, &row);
	assert_int_equal(row.last_seq, 700);
	assert_in_range(row.packets, 695, 699);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), row.packets);
	assert_int_equal(first, 1);
	assert_int_equal(last, 700);
	/* And again: nothing is lost by doing it twice. */
	pb_store_close(f->store);
	lose_index(f);
	fixture_open(f);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), row.packets);
}

static void
a_stream_whose_files_are_all_gone_keeps_its_numbers(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info row;
	char path[PATH_MAX];

	submit_gap(f, 1, 50, PB_GAP_EXPIRED);
	fixture_write(f, 51, 100, 100);
	submit_gap(f, 101, 500, PB_GAP_EXPIRED);
	pb_store_close(f->store);
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key, 51, false,
	    NULL), 0);
	assert_int_equal(unlink(path), 0);
	lose_index(f);
	fixture_open(f);
	fixture_stream_row(f, &row);
	assert_int_equal(row.last_seq, 500);
	assert_int_equal(pb_stream_next(f->stream), 501);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(what_is_rebuilt_equals_what_was_lost),
		IN_STORE(an_index_cut_short_is_made_again_and_kept_aside),
		IN_STORE(an_index_of_rubbish_is_made_again),
		IN_STORE(numbers_that_no_file_and_no_fact_explains_are_damaged),
		IN_STORE(a_rotten_sealed_file_keeps_its_whole_blocks),
		IN_STORE(a_stream_whose_files_are_all_gone_keeps_its_numbers),
	};

	return cmocka_run_group_tests_name("rebuild", tests, NULL, NULL);
}
