/*
 * tests/unit/test_letters_stuck.c - dead letters whose files stay
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/unit/letters_fixture.h"

#define SLOW_US		(1000u * PB_LETTERS_TIDY_MS / 4)

static bool	is_slow;

/* The C library's, on a disk that takes its time with large files. */
int
unlinkat(int dir, const char *path, int flags)
{
	if (is_slow && flags == 0 && faccessat(dir, path, F_OK, 0) == 0)
		usleep(SLOW_US);
	return (int)syscall(SYS_unlinkat, dir, path, flags);
}

/*
 * Goal:   to purge many large files does not hold up the shipper's loop.
 * Method: each takes a quarter of what one go may; three goes' worth.
 */
static void
many_files_are_deleted_little_by_little(void **state)
{
	const unsigned count = 12;
	struct bench b;
	unsigned left = 0;
	struct pb_err err;
	int rc;

	(void)state;
	bench_init(&b, count);
	demote(&b, "core", 1, count * PER);
	is_slow = true;
	all(&b, pb_letters_purge, &ANY);
	is_slow = false;
	for (unsigned i = 0; i < count; i++)
		left += has_file(&b, "core", i * PER + 1);
	assert_in_range(left, count / 2, count - 1);
	assert_int_equal(total(&b, "core").file_bytes, 0);
	while ((rc = pb_letters_tidy(b.letters, &err)) == 1)
		continue;
	assert_int_equal(rc, 0);
	for (unsigned i = 0; i < count; i++)
		assert_false(has_file(&b, "core", i * PER + 1));
	bench_finish(&b);
}

/* One that cannot be deleted is in nobody's way. */
static void
a_file_that_cannot_be_deleted_keeps_no_other(void **state)
{
	char path[PATH_MAX];
	struct bench b;

	(void)state;
	bench_init(&b, 4);
	demote(&b, "core", 1, 4 * PER);
	letter_path(&b, "core", 1, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	all(&b, pb_letters_purge, &(struct pb_letters_which){ .first = 1 });
	all(&b, pb_letters_purge, &(struct pb_letters_which){
	    .first = PER + 1 });
	assert_false(has_file(&b, "core", PER + 1));
	/* The bounds hold as well. */
	keep_bounds(&b, "core", 1, 0, NOW);
	assert_int_equal(total(&b, "core").file_bytes, 0);
	assert_false(has_file(&b, "core", 2 * PER + 1));
	/* And once it can be, it goes. */
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(keep_bounds(&b, "core", 1, 0, NOW),
	    0);
	assert_int_equal(rows_of(&b, PB_STATE_FILES), 0);
	bench_finish(&b);
}

static void
put_age(struct bench *b, uint64_t since_ns, uint64_t first)
{
	struct pb_letters_key key, age;
	struct pb_mdb_txn txn;
	size_t name = strlen("core") + 1;

	pb_letters_key(&key, "core", &b->f.key, first);
	memcpy(age.bytes, key.bytes, name);
	pb_put_be64(age.bytes + name, since_ns);
	memcpy(age.bytes + name + 8, key.bytes + name, key.len - name);
	assert_int_equal(pb_mdb_begin(b->state->mdb, true, &txn, NULL), 0);
	pb_mdb_put(&txn, PB_STATE_AGES, age.bytes, key.len + 8, "", 0);
	assert_int_equal(pb_mdb_commit(&txn), 0);
}

/*
 * Goal:   what the table of ages says wrongly does not keep the bounds busy
 *         for ever, nor from the letters behind it.
 * Method: rows older than any, of a letter that is gone, of one that has
 *         another age, and of one there never was.
 */
static void
a_wrong_age_is_passed_over(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 3);
	demote(&b, "core", 1, 3 * PER);
	all(&b, pb_letters_purge, &(struct pb_letters_which){ .first = 1 });
	put_age(&b, 1, 1);
	put_age(&b, 2, PER + 1);
	put_age(&b, 3, 77777);
	assert_int_equal(keep_bounds(&b, "core", 0, 1000,
	    NOW + 999), 0);
	assert_int_equal(keep_bounds(&b, "core", 0, 1000,
	    NOW + 1000), 2);
	assert_int_equal(keep_bounds(&b, "core", 0, 1000,
	    NOW + 1000), 0);
	assert_int_equal(total(&b, "core").file_bytes, 0);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_files_are_deleted_little_by_little),
		cmocka_unit_test(a_file_that_cannot_be_deleted_keeps_no_other),
		cmocka_unit_test(a_wrong_age_is_passed_over),
	};

	return cmocka_run_group_tests_name("letters stuck", tests, NULL,
	    NULL);
}
