/*
 * tests/unit/test_letters_move.c - letters of upstreams that have no section
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/letters_fixture.h"

/* "new" alone is configured, for all streams unless `arg` says otherwise. */
static bool
ships(void *arg, const char *upstream, const char *stream)
{
	return strcmp(upstream, "new") == 0 && (arg == NULL || stream == NULL);
}

static const struct pb_letters_which OLD = { .upstream = "old", .to = "new",
    .ships = ships };

static struct pb_letter
assert_at(struct bench *b, const char *upstream, uint64_t from,
    uint64_t first, uint64_t last, enum pb_letter_state state)
{
	struct pb_letter letter;

	assert_int_equal(find(b, upstream, from, &letter), 1);
	assert_int_equal(letter.first, first);
	assert_int_equal(letter.last, last);
	assert_int_equal(letter.state, state);
	return letter;
}

static void
assert_nothing_of(struct bench *b, const char *upstream)
{
	struct pb_letter letter;

	assert_int_equal(find(b, upstream, 1, &letter), 0);
	assert_int_equal(total(b, upstream).letters, 0);
	assert_int_equal(total(b, upstream).requeued, 0);
	assert_int_equal(total(b, upstream).file_bytes, 0);
}

static int
move_rc(struct bench *b, const struct pb_letters_which *which,
    struct pb_err *err)
{
	struct pb_letters_sum sum = { .letters = 0 };
	int rc;

	do
		rc = pb_letters_move(b->letters, which, &sum, err);
	while (rc == 1);
	return rc;
}

static void
letters_change_hands_with_their_files(void **state)
{
	struct pb_letters_sum sum;
	char path[PATH_MAX], segment[PATH_MAX];
	uint64_t bytes;
	struct bench b;

	(void)state;
	bench_init(&b, 3);
	demote(&b, "old", 1, 2 * PER + 10);
	bytes = total(&b, "old").file_bytes;
	sum = all(&b, pb_letters_move, &OLD);
	assert_int_equal(sum.letters, 3);
	assert_int_equal(sum.packets, 2 * PER + 10);
	assert_nothing_of(&b, "old");
	assert_at(&b, "new", 1, 1, PER, PB_LETTER_REQUEUED);
	assert_at(&b, "new", 2 * PER + 1, 2 * PER + 1, 2 * PER + 10,
	    PB_LETTER_REQUEUED);
	assert_int_equal(total(&b, "new").requeued, 3);
	assert_int_equal(total(&b, "new").file_bytes, bytes);
	for (uint64_t first = 1; first <= 2 * PER + 1; first += PER) {
		assert_false(has_file(&b, "old", first));
		letter_path(&b, "new", first, path);
		segment_path(&b, first, segment);
		assert_int_equal(inode(path), inode(segment));
	}
	assert_int_equal(rows_of(&b, PB_STATE_LINKS), 3);
	assert_int_equal(rows_of(&b, PB_STATE_AGES), 3);
	bench_finish(&b);
}

static void
what_the_new_one_has_a_letter_for_it_keeps(void **state)
{
	struct pb_letters_which gone = { .upstream = "new", .first = 1 };
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	demote(&b, "new", 1, 10);
	demote(&b, "new", 21, 30);
	assert_int_equal(all(&b, pb_letters_purge, &gone).letters, 1);
	come_late(&b, "new", 41, 45, 1);
	demote(&b, "old", 1, 2 * PER);
	assert_int_equal(all(&b, pb_letters_move, &OLD).letters, 2);
	/* Where it only knew that they are gone, here they are. */
	assert_at(&b, "new", 1, 1, 20, PB_LETTER_REQUEUED);
	assert_at(&b, "new", 21, 21, 30, PB_LETTER_DEAD);
	assert_at(&b, "new", 31, 31, 40, PB_LETTER_REQUEUED);
	assert_at(&b, "new", 41, 41, 45, PB_LETTER_LATE);
	assert_at(&b, "new", 46, 46, PER, PB_LETTER_REQUEUED);
	assert_at(&b, "new", PER + 1, PER + 1, 2 * PER, PB_LETTER_REQUEUED);
	assert_nothing_of(&b, "old");
	bench_finish(&b);
}

static void
what_cannot_go_stays_and_says_so(void **state)
{
	struct pb_letters_which which = OLD;
	char path[PATH_MAX], aside[PATH_MAX + 8];
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	demote(&b, "old", 1, PER);
	which.to = "other";
	assert_int_equal(move_rc(&b, &which, &err), PB_ENOENT);
	assert_non_null(strstr(err.text, "there is no [upstream other]"));
	/* A stream that is not for it. */
	which = OLD;
	which.arg = &which;
	assert_int_equal(move_rc(&b, &which, &err), PB_ENOENT);
	assert_non_null(strstr(err.text, "1 letters stay"));
	/* A file that is not there, and one of another segment. */
	letter_path(&b, "old", 1, path);
	snprintf(aside, sizeof(aside), "%s.aside", path);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(move_rc(&b, &OLD, &err), PB_ENOENT);
	assert_at(&b, "old", 1, 1, PER, PB_LETTER_DEAD);
	assert_int_equal(rename(aside, path), 0);
	demote(&b, "new", 1, 1);
	letter_path(&b, "new", 1, path);
	assert_int_equal(unlink(path), 0);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(move_rc(&b, &OLD, &err), PB_ENOENT);
	assert_at(&b, "old", 1, 1, PER, PB_LETTER_DEAD);
	assert_true(has_file(&b, "old", 1));
	bench_finish(&b);
}

static void
letters_without_an_upstream_are_not_requeued_and_purged_at_once(void **state)
{
	struct pb_letters_sum sum = { .letters = 0 };
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	demote(&b, "old", 1, PER);
	come_late(&b, "old", PER + 1, PER + 5, 1);
	assert_int_equal(pb_letters_requeue(b.letters, &OLD, &sum, &err),
	    PB_ENOENT);
	assert_non_null(strstr(err.text, "pb dlq move"));
	assert_at(&b, "old", 1, 1, PER, PB_LETTER_DEAD);
	assert_int_equal(all(&b, pb_letters_purge, &OLD).letters, 1);
	assert_nothing_of(&b, "old");
	assert_int_equal(rows_of(&b, PB_STATE_LETTERS), 0);
	assert_false(has_file(&b, "old", 1));
	bench_finish(&b);
}

/* As once a second for those that have no section. */
static void
their_age_has_a_bound_and_nobody_is_to_be_told(void **state)
{
	char name[4][PB_NAME_BYTES_MAX + 1];
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	demote(&b, "old", 1, 2 * PER);
	demote(&b, "new", 1, PER);
	assert_int_equal(pb_letters_upstreams(b.letters, "", name, 4, NULL),
	    2);
	assert_string_equal(name[0], "new");
	assert_string_equal(name[1], "old");
	assert_int_equal(pb_letters_upstreams(b.letters, "new", name, 4,
	    NULL), 1);
	assert_int_equal(pb_letters_bound(b.letters, "old",
	    &(struct pb_letters_bounds){ .age_ms_max = 1000, .nobody = true,
	    .age_ms = NOW + 1000 * 1000000ull }, NULL), 2);
	assert_nothing_of(&b, "old");
	assert_false(has_file(&b, "old", 1));
	assert_at(&b, "new", 1, 1, PER, PB_LETTER_DEAD);
	bench_finish(&b);
}

/* Its section went before it was told; another receiver may get that name. */
static void
what_nobody_was_told_is_gone_is_forgotten_within_their_bounds(void **state)
{
	const struct pb_letters_bounds none = { .nobody = true };
	struct pb_letters_which purged = { .upstream = "old", .first = 1 };
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	demote(&b, "old", 1, 2 * PER);
	come_late(&b, "old", 2 * PER + 1, 2 * PER + 5, 1);
	assert_int_equal(all(&b, pb_letters_purge, &purged).letters, 1);
	purged.upstream = "new";
	demote(&b, "new", 1, PER);
	assert_int_equal(all(&b, pb_letters_purge, &purged).letters, 1);
	assert_at(&b, "old", 1, 1, PER, PB_LETTER_GONE);
	/* Nobody hears of them again. */
	assert_int_equal(pb_letters_bound(b.letters, "old", &none, NULL), 0);
	assert_at(&b, "old", 1, PER + 1, 2 * PER, PB_LETTER_DEAD);
	assert_at(&b, "old", 2 * PER + 1, 2 * PER + 1, 2 * PER + 5,
	    PB_LETTER_LATE);
	assert_int_equal(total(&b, "old").letters, 1);
	assert_int_equal(total(&b, "old").requeued, 1);
	/* One that has a section is to be told. */
	assert_int_equal(keep_bounds(&b, "new", 0, 0, 0), 0);
	assert_at(&b, "new", 1, 1, PER, PB_LETTER_GONE);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_change_hands_with_their_files),
		cmocka_unit_test(what_the_new_one_has_a_letter_for_it_keeps),
		cmocka_unit_test(what_cannot_go_stays_and_says_so),
		cmocka_unit_test(
		    letters_without_an_upstream_are_not_requeued_and_purged_at_once),
		cmocka_unit_test(
		    their_age_has_a_bound_and_nobody_is_to_be_told),
		cmocka_unit_test(
		    what_nobody_was_told_is_gone_is_forgotten_within_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
