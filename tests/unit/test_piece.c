/*
 * tests/unit/test_piece.c - what follows a piece
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/store/read/piece.h"
#include "tests/unit/store_fixture.h"

#define LARGE	16000u		/* some 65 are an extent */
#define ANY	((size_t)4 << 20)

/* The piece at `from`, and what follows it up to `to`. */
static unsigned
ends(struct fixture *f, uint64_t from, uint64_t to, struct pb_piece *piece,
    struct pb_piece_end out[static PB_PIECE_ENDS_MAX])
{
	static const struct pb_mark no_mark;
	struct pb_index *index = pb_store_index(f->store);
	struct pb_extent_info extent;
	struct pb_stream_info row;
	struct pb_err err;
	int count;

	fixture_stream_row(f, &row);
	assert_int_equal(pb_piece_look(index, &row, from, to, piece, &extent,
	    &err), 0);
	assert_int_equal(piece->kind, PB_PIECE_PACKETS);
	assert_int_equal(pb_piece_begin(index, &extent, &no_mark, ANY, piece,
	    &err), 1);
	count = pb_piece_ends(index, row.id, piece, to, out, &err);
	assert_in_range(count, 0, PB_PIECE_ENDS_MAX);
	return (unsigned)count;
}

/* Each is what is there at its place, and no longer than was said. */
static void
what_follows_is_what_is_found_there(void **state)
{
	struct pb_piece_end end[PB_PIECE_ENDS_MAX], none[PB_PIECE_ENDS_MAX];
	struct pb_piece piece, next;
	struct fixture *f = *state;
	unsigned count;

	for (uint64_t seq = 1; seq <= 180; seq += 60)
		fixture_write(f, seq, seq + 59, LARGE);
	count = ends(f, 1, UINT64_MAX, &piece, end);
	assert_int_equal(count, 1);
	assert_true(end[0].last > piece.last && end[0].last < 180);
	assert_int_equal(ends(f, piece.last + 1, UINT64_MAX, &next, none), 0);
	assert_int_equal(next.last, end[0].last);
	assert_int_equal(next.bytes + next.header_bytes, end[0].bytes);
	assert_true(next.whole);
}

/* Packets still come to it. */
static void
the_last_extent_is_not_said_to_follow(void **state)
{
	struct pb_piece_end end[PB_PIECE_ENDS_MAX];
	struct fixture *f = *state;
	struct pb_piece piece;

	fixture_write(f, 1, 60, LARGE);
	assert_int_equal(ends(f, 1, UINT64_MAX, &piece, end), 0);
	fixture_write(f, 61, 90, LARGE);
	assert_int_equal(ends(f, 1, UINT64_MAX, &piece, end), 0);
}

static void
nothing_follows_over_a_gap_a_segment_or_what_was_asked_for(void **state)
{
	struct pb_piece_end end[PB_PIECE_ENDS_MAX];
	struct fixture *f = *state;
	struct pb_piece piece;
	unsigned count, all;

	for (uint64_t seq = 1; seq <= 900; seq += 60)
		fixture_write(f, seq, seq + 59, LARGE);
	all = ends(f, 1, UINT64_MAX, &piece, end);
	/* A segment is 4 MiB. */
	assert_in_range(all, 2, 4);
	count = ends(f, 1, end[1].last, &piece, end);
	assert_int_equal(count, 2);
	assert_int_equal(ends(f, 1, end[1].last - 1, &piece, end), 1);
	fixture_gap(f, 901, 910, PB_GAP_DEAD_LETTERED);
	for (uint64_t seq = 911; seq <= 1090; seq += 60)
		fixture_write(f, seq, seq + 59, LARGE);
	for (uint64_t seq = 1; seq <= 900; seq = piece.last + 1) {
		count = ends(f, seq, UINT64_MAX, &piece, end);
		for (unsigned i = 0; i < count; i++)
			assert_true(end[i].last <= 900);
	}
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, \
			    fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_follows_is_what_is_found_there),
		TEST(the_last_extent_is_not_said_to_follow),
		TEST(nothing_follows_over_a_gap_a_segment_or_what_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
