/*
 * tests/unit/test_letters_crash.c - dead letters: crashes, restarts, damage
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/letters_fixture.h"
#include "tests/unit/temp.h"

/* As the process would find it that comes after a crash. */
static void
open_again(struct bench *b)
{
	close_letters(b);
	open_letters(b);
}

static void
intend(struct bench *b, uint64_t segment)
{
	struct pb_letters_key key;
	struct pb_mdb_txn txn;

	pb_letters_key(&key, "core", &b->f.key, segment);
	assert_int_equal(pb_mdb_begin(b->state->mdb, true, &txn, NULL), 0);
	pb_mdb_put(&txn, PB_STATE_FILES, key.bytes, key.len, "", 0);
	assert_int_equal(pb_mdb_commit(&txn), 0);
}

static void
link_by_hand(struct bench *b, uint64_t segment)
{
	char to[PATH_MAX], from[PATH_MAX], dir[PATH_MAX];

	assert_int_equal(pb_layout_letters(dir, b->f.dir, "core", &b->f.key,
	    NULL), 0);
	shell("mkdir -p '%s'", dir);
	letter_path(b, "core", segment, to);
	segment_path(b, segment, from);
	assert_int_equal(link(from, to), 0);
}

static void
a_crash_before_the_link_leaves_nothing(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	intend(&b, 1);
	open_again(&b);
	assert_false(has_file(&b, "core", 1));
	demote(&b, "core", 1, 2 * PER);
	assert_int_equal(rows_of(&b, PB_STATE_FILES), 0);
	assert_true(has_file(&b, "core", 1));
	bench_finish(&b);
}

static void
a_link_without_its_rows_goes_at_the_next_open(void **state)
{
	char path[PATH_MAX];
	struct bench b;

	(void)state;
	bench_init(&b, 3);
	intend(&b, 1);
	intend(&b, PER + 1);
	link_by_hand(&b, 1);
	link_by_hand(&b, PER + 1);
	open_again(&b);
	assert_false(has_file(&b, "core", 1));
	assert_false(has_file(&b, "core", PER + 1));
	/* Empty directories go too; the segments stay. */
	snprintf(path, sizeof(path), "%s/dead-letters/core", b.f.dir);
	assert_int_equal(access(path, F_OK), -1);
	segment_path(&b, 1, path);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(rows_of(&b, PB_STATE_FILES), 0);
	bench_finish(&b);
}

static void
a_row_left_of_a_file_that_has_letters_does_no_harm(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	demote(&b, "core", 1, PER);
	intend(&b, 1);
	open_again(&b);
	assert_true(has_file(&b, "core", 1));
	assert_letter(&b, 1, 1, PER, PB_LETTER_DEAD);
	demote(&b, "core", PER + 1, 2 * PER);
	assert_int_equal(rows_of(&b, PB_STATE_FILES), 0);
	assert_true(has_file(&b, "core", 1));
	bench_finish(&b);
}

static void
a_file_that_was_settled_goes_with_its_last_letter(void **state)
{
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 1, PER);
	all(&b, pb_letters_requeue, &ANY);
	intend(&b, 1);
	open_again(&b);
	assert_int_equal(pb_letters_sent(b.letters, "core", &b.f.key, 1, PER,
	    &err), 0);
	assert_false(has_file(&b, "core", 1));
	bench_finish(&b);
}

/* The rows of a deletion are committed, its unlink was not reached. */
static void
a_deletion_that_was_cut_short_is_finished(void **state)
{
	struct pb_mdb_txn txn;
	struct pb_letter letter;
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 1, PER);
	letter = assert_letter(&b, 1, 1, PER, PB_LETTER_DEAD);
	assert_int_equal(pb_mdb_begin(b.state->mdb, true, &txn, NULL), 0);
	pb_letters_remove(&txn, &letter);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	assert_true(has_file(&b, "core", 1));
	open_again(&b);
	assert_false(has_file(&b, "core", 1));
	assert_int_equal(find(&b, "core", 1, &letter), 0);
	demote(&b, "core", 1, PER);
	assert_true(has_file(&b, "core", 1));
	assert_int_equal(rows_of(&b, PB_STATE_FILES), 0);
	open_again(&b);
	assert_true(has_file(&b, "core", 1));
	bench_finish(&b);
}

static void
many_leftovers_are_settled_page_by_page(void **state)
{
	const unsigned many = 2 * PB_LETTERS_SETTLE + 10;
	struct pb_mdb_txn txn;
	char malformed[16];
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	for (unsigned i = 0; i < many; i++)
		intend(&b, 1000 + i);
	/* And some that name no file. */
	assert_int_equal(pb_mdb_begin(b.state->mdb, true, &txn, NULL), 0);
	for (unsigned i = 0; i < many; i++) {
		snprintf(malformed, sizeof(malformed), "a%06u", i);
		pb_mdb_put(&txn, PB_STATE_FILES, malformed, 7, "", 0);
	}
	assert_int_equal(pb_mdb_commit(&txn), 0);
	intend(&b, 1);
	link_by_hand(&b, 1);
	open_again(&b);
	assert_false(has_file(&b, "core", 1));
	demote(&b, "core", 1, PER);
	assert_int_equal(rows_of(&b, PB_STATE_FILES), 0);
	bench_finish(&b);
}

static void
letters_survive_a_restart(void **state)
{
	struct pb_letters_total before, after;
	struct bench b;

	(void)state;
	bench_init(&b, 3);
	demote(&b, "core", 1, 3 * PER);
	all(&b, pb_letters_requeue,
	    &(struct pb_letters_which){ .first = PER + 1 });
	before = total(&b, "core");
	open_again(&b);
	after = total(&b, "core");
	assert_memory_equal(&before, &after, sizeof(before));
	assert_letter(&b, 1, 1, PER, PB_LETTER_DEAD);
	assert_letter(&b, PER + 1, PER + 1, 2 * PER, PB_LETTER_REQUEUED);
	bench_finish(&b);
}

static bool
nobody(void *arg, const char *upstream)
{
	(void)arg, (void)upstream;
	return false;
}

static void
letters_of_an_upstream_that_is_forgotten_stay(void **state)
{
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 1, PER);
	assert_int_equal(pb_state_forget(b.state, nobody, NULL, &err), 0);
	assert_letter(&b, 1, 1, PER, PB_LETTER_DEAD);
	assert_int_equal(total(&b, "core").letters, 1);
	bench_finish(&b);
}

/* A name that cannot be taken, in the middle: the links before it go. */
static void
a_demotion_that_fails_half_way_takes_its_links_back(void **state)
{
	char path[PATH_MAX];
	struct pb_err err;
	struct bench b;
	uint64_t done;

	(void)state;
	bench_init(&b, 3);
	letter_path(&b, "core", PER + 1, path);
	shell("mkdir -p '%s/in the way'", path);
	assert_true(demote_rc(&b, "core", 1, 3 * PER, PB_DEAD_STALE, NOW,
	    &done, &err) < 0);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(done, 0);
	assert_false(has_file(&b, "core", 1));
	assert_int_equal(total(&b, "core").letters, 0);
	assert_int_equal(rows_of(&b, PB_STATE_LETTERS), 0);
	shell("rm -r '%s'", path);
	demote(&b, "core", 1, 3 * PER);
	assert_int_equal(total(&b, "core").letters, 3);
	bench_finish(&b);
}

static void
malformed_rows_are_passed_over(void **state)
{
	struct pb_letter after = { .first = 0 }, page[4];
	struct pb_letters_key key;
	struct pb_mdb_txn txn;
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	demote(&b, "core", 20, PER);
	assert_int_equal(pb_mdb_begin(b.state->mdb, true, &txn, NULL), 0);
	for (uint64_t first = 5; first < 10; first++) {
		pb_letters_key(&key, "core", &b.f.key, first);
		pb_mdb_put(&txn, PB_STATE_LETTERS, key.bytes, key.len,
		    "\1\2\3", first - 5);
	}
	pb_mdb_put(&txn, PB_STATE_LETTERS, "core", 4, "", 0);
	pb_mdb_put(&txn, PB_STATE_AGES, "core\0\0\0\0\0\0\0\0\1nothing", 20,
	    "", 0);
	pb_mdb_put(&txn, PB_STATE_LETTERS, "core\0lon1\0e", 11, "", 0);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	assert_letter(&b, 1, 20, PER, PB_LETTER_DEAD);
	assert_letter(&b, 7, 20, PER, PB_LETTER_DEAD);
	assert_int_equal(pb_letters_list(b.letters, &ANY, &after, page, 4,
	    NULL), 1);
	assert_int_equal(total(&b, "core").oldest_ns, NOW);
	assert_int_equal(all(&b, pb_letters_purge, &ANY).letters, 1);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crash_before_the_link_leaves_nothing),
		cmocka_unit_test(a_link_without_its_rows_goes_at_the_next_open),
		cmocka_unit_test(
		    a_row_left_of_a_file_that_has_letters_does_no_harm),
		cmocka_unit_test(
		    a_file_that_was_settled_goes_with_its_last_letter),
		cmocka_unit_test(a_deletion_that_was_cut_short_is_finished),
		cmocka_unit_test(many_leftovers_are_settled_page_by_page),
		cmocka_unit_test(letters_survive_a_restart),
		cmocka_unit_test(letters_of_an_upstream_that_is_forgotten_stay),
		cmocka_unit_test(
		    a_demotion_that_fails_half_way_takes_its_links_back),
		cmocka_unit_test(malformed_rows_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
