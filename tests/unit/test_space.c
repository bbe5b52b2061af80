/*
 * tests/unit/test_space.c - the memory that bodies lie in
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/port/ingest.h"
#include "recorder/intake/space.h"

#define KIB	((size_t)1024)
#define MIB	((size_t)1 << 20)
#define PIECES	64

static struct pb_space *space;

static int
setup(void **state)
{
	(void)state;
	return pb_space_create(&space, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	pb_space_destroy(space);
	return 0;
}

static struct pb_space_piece *
take(size_t bytes)
{
	struct pb_space_piece *piece;
	struct pb_err err;

	assert_int_equal(pb_space_take(space, bytes, &piece, &err), 0);
	return piece;
}

static void
fill(struct pb_space_piece *piece, size_t bytes)
{
	struct pb_err err;

	assert_int_equal(pb_space_use(space, piece, bytes, &err), 0);
	memset(piece->data, 0x5a, bytes);
}

/* Bytes of the range that are in memory. */
static size_t
resident(const struct pb_space_piece *piece, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), in = 0;
	static unsigned char map[64 * 1024];

	assert_true(bytes / page <= sizeof(map));
	assert_int_equal(mincore(piece->data, bytes, map), 0);
	for (size_t i = 0; i < bytes / page; i++)
		in += map[i] & 1;
	return in * page;
}

static void
a_promise_takes_no_memory(void **state)
{
	struct pb_space_piece *piece[PIECES];

	(void)state;
	for (int i = 0; i < PIECES; i++) {
		piece[i] = take(PB_BODY_BYTES_MAX);
		assert_int_equal(resident(piece[i], PB_BODY_BYTES_MAX), 0);
		fill(piece[i], 16 * KIB);
		assert_int_equal(resident(piece[i], PB_BODY_BYTES_MAX),
		    16 * KIB);
	}
	for (int i = 0; i < PIECES; i++)
		pb_space_give(space, piece[i]);
}

static void
a_piece_grows_without_being_moved(void **state)
{
	struct pb_space_piece *piece = take(16 * MIB);
	const uint8_t *at = piece->data;

	(void)state;
	fill(piece, 100);
	piece->data[99] = 7;
	for (size_t bytes = 64 * KIB; bytes <= 16 * MIB; bytes *= 4) {
		struct pb_err err;

		assert_int_equal(pb_space_use(space, piece, bytes, &err), 0);
		assert_ptr_equal(piece->data, at);
		assert_int_equal(piece->data[99], 7);
		piece->data[bytes - 1] = 1;
	}
	pb_space_give(space, piece);
}

static void
what_is_not_used_cannot_be_touched(void **state)
{
	struct pb_space_piece *piece = take(MIB);
	int status;
	pid_t child;

	(void)state;
	fill(piece, 64 * KIB);
	child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		piece->data[64 * KIB] = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	pb_space_give(space, piece);
}

static void
the_next_body_finds_the_pages_of_the_last(void **state)
{
	struct pb_space_piece *piece = take(MIB);
	const uint8_t *at = piece->data;

	(void)state;
	fill(piece, MIB);
	pb_space_give(space, piece);
	assert_int_equal(pb_space_kept(space), MIB);
	/* Of the same size only. */
	piece = take(64 * KIB);
	assert_ptr_not_equal(piece->data, at);
	pb_space_give(space, piece);
	piece = take(MIB - 5);
	assert_ptr_equal(piece->data, at);
	assert_int_equal(resident(piece, MIB), MIB);
	pb_space_give(space, piece);
}

static void
what_is_kept_has_a_bound(void **state)
{
	struct pb_space_piece *piece[PIECES];

	(void)state;
	for (int i = 0; i < PIECES; i++) {
		piece[i] = take(MIB);
		fill(piece[i], MIB);
	}
	assert_int_equal(pb_space_kept(space), 0);
	for (int i = 0; i < PIECES; i++) {
		pb_space_give(space, piece[i]);
		assert_true(pb_space_kept(space) <= PB_SPACE_KEPT_MAX);
	}
	assert_int_equal(pb_space_kept(space), PB_SPACE_KEPT_MAX);
}

/* Nor can a peer that sends nothing sit on warm pages. */
static void
pages_of_pieces_that_are_taken_again_count_as_kept(void **state)
{
	struct pb_space_piece *sitting[PIECES], *piece;
	size_t in = 0;

	(void)state;
	for (int i = 0; i < PIECES; i++) {
		piece = take(MIB);
		fill(piece, MIB);
		pb_space_give(space, piece);
		sitting[i] = take(MIB);
		fill(sitting[i], 4 * KIB);
		assert_true(pb_space_kept(space) <= PB_SPACE_KEPT_MAX);
	}
	for (int i = 0; i < PIECES; i++)
		in += resident(sitting[i], MIB) - 4 * KIB;
	assert_true(in <= PB_SPACE_KEPT_MAX);
	for (int i = 0; i < PIECES; i++)
		pb_space_give(space, sitting[i]);
}

static void
what_was_kept_for_other_sizes_goes_first(void **state)
{
	struct pb_space_piece *piece[PIECES * 4];

	(void)state;
	for (int i = 0; i < PIECES * 4; i++) {
		piece[i] = take(64 * KIB);
		fill(piece[i], 64 * KIB);
	}
	for (int i = 0; i < PIECES * 4; i++)
		pb_space_give(space, piece[i]);
	assert_int_equal(pb_space_kept(space), PB_SPACE_KEPT_MAX);
	piece[0] = take(MIB);
	fill(piece[0], MIB);
	pb_space_give(space, piece[0]);
	piece[1] = take(MIB);
	assert_ptr_equal(piece[1], piece[0]);
	pb_space_give(space, piece[1]);
}

static void
less_is_kept_where_there_is_less_to_keep_it_in(void **state)
{
	struct pb_space_piece *piece[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		piece[i] = take(MIB);
		fill(piece[i], MIB);
	}
	for (int i = 0; i < 4; i++)
		pb_space_give(space, piece[i]);
	pb_space_limit(space, 2 * MIB + 5);
	assert_int_equal(pb_space_kept(space), 2 * MIB);
	pb_space_limit(space, 1000 * MIB);
	for (int i = 0; i < PIECES; i++) {
		struct pb_space_piece *one = take(64 * KIB), *two = take(MIB);

		fill(one, 64 * KIB);
		fill(two, MIB);
		pb_space_give(space, one);
		pb_space_give(space, two);
		assert_true(pb_space_kept(space) <= PB_SPACE_KEPT_MAX);
	}
}

static void
a_large_one_is_not_kept(void **state)
{
	struct pb_space_piece *piece = take(PB_BODY_BYTES_MAX);

	(void)state;
	fill(piece, PB_BODY_BYTES_MAX);
	pb_space_give(space, piece);
	assert_int_equal(pb_space_kept(space), 0);
}

static void
a_piece_that_shrinks_gives_its_old_pages_back(void **state)
{
	struct pb_space_piece *piece = take(MIB);
	struct pb_err err;

	(void)state;
	fill(piece, MIB);
	pb_space_give(space, piece);
	piece = take(MIB);
	assert_int_equal(pb_space_use(space, piece, MIB, &err), 0);
	pb_space_shrink(space, piece, 5 * KIB);
	assert_int_equal(piece->used, 8 * KIB);
	assert_int_equal(pb_space_kept(space), 0);
	assert_int_equal(resident(piece, MIB), 8 * KIB);
	pb_space_give(space, piece);
	assert_int_equal(pb_space_kept(space), 8 * KIB);
}

static void
more_than_the_largest_body_is_refused(void **state)
{
	struct pb_space_piece *piece;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_space_take(space, (size_t)PB_BODY_BYTES_MAX + 1,
	    &piece, &err), PB_ELIMIT);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_promise_takes_no_memory),
		TEST(a_piece_grows_without_being_moved),
		TEST(what_is_not_used_cannot_be_touched),
		TEST(the_next_body_finds_the_pages_of_the_last),
		TEST(what_is_kept_has_a_bound),
		TEST(pages_of_pieces_that_are_taken_again_count_as_kept),
		TEST(what_was_kept_for_other_sizes_goes_first),
		TEST(less_is_kept_where_there_is_less_to_keep_it_in),
		TEST(a_large_one_is_not_kept),
		TEST(a_piece_that_shrinks_gives_its_old_pages_back),
		TEST(more_than_the_largest_body_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
