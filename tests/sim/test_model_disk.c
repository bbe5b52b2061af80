/*
 * tests/sim/test_model_disk.c - what the modelled disk keeps, and what it may
 * lose
 *
 * What may or may not be is tried with many seeds, and must be seen both
 * ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/below.h"
#include "base/sys.h"
#include "tests/sim/store/model_disk.c"
#include "tests/sim/store/model_platter.c"

#define ROOT	"/modelled"
#define SEEDS	200

static struct model *model;

static void
begin(uint64_t seed, enum model_names names)
{
	struct pb_err err;

	model = model_create(seed, names, 1u << 20);
	assert_int_equal(pb_below_mount(ROOT, model_disk(model), &err), 0);
}

static void
end(void)
{
	pb_below_release(ROOT);
	model_destroy(model);
}

static int
make(const char *path)
{
	int fd = pb_below_open(path, O_RDWR | O_CREAT, 0640);

	assert_true(fd >= 0);
	return fd;
}

static void
put(int fd, const char *text, uint64_t at)
{
	assert_int_equal(pb_pwrite_all(fd, text, strlen(text), at, NULL), 0);
}

/* A file with this text, synced, its name as well. */
static int
make_synced(const char *path, const char *text)
{
	int fd = make(path);

	put(fd, text, 0);
	assert_int_equal(pb_file_datasync(fd), 0);
	assert_int_equal(pb_sync_dir(ROOT, NULL), 0);
	return fd;
}

static bool
is_there(const char *path)
{
	return pb_below_look(path) == 0;
}

static bool
holds(const char *path, const char *text)
{
	char bytes[64] = "";
	int fd = pb_below_open(path, O_RDONLY, 0);
	ssize_t got;

	if (fd < 0)
		return false;
	got = pb_pread_all(fd, bytes, sizeof(bytes), 0, NULL);
	pb_file_close(fd);
	return got == (ssize_t)strlen(text) &&
	    memcmp(bytes, text, (size_t)got) == 0;
}

static void
what_is_not_cut_is_as_it_was_written(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	begin(1, MODEL_LOOSE);
	assert_int_equal(pb_below_mkdir(ROOT "/d", 0750), 0);
	fd = make(ROOT "/d/f");
	put(fd, "hello", 0);
	put(fd, "y", 4);
	assert_int_equal(pb_file_truncate(fd, 6), 0);
	assert_int_equal(pb_file_stat(fd, &st), 0);
	assert_int_equal(st.st_size, 6);
	assert_int_equal(pb_file_truncate(fd, 5), 0);
	assert_int_equal(pb_below_rename(ROOT "/d/f", ROOT "/g", 0), 0);
	assert_int_equal(pb_below_link(ROOT "/g", ROOT "/h"), 0);
	assert_int_equal(pb_below_stat(ROOT "/h", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(pb_below_unlink(ROOT "/g"), 0);
	assert_int_equal(pb_below_rmdir(ROOT "/d"), 0);
	assert_true(holds(ROOT "/h", "helly"));
	assert_false(is_there(ROOT "/g"));
	assert_int_equal(errno, ENOENT);
	/* The process goes, not the power. */
	model_start(model);
	assert_true(holds(ROOT "/h", "helly"));
	assert_int_equal(pb_file_stat(fd, &st), -1);
	assert_int_equal(errno, EBADF);
	end();
}

static void
what_was_synced_stays(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, seed % 2 ? MODEL_LOOSE : MODEL_ORDERED);
		make_synced(ROOT "/f", "kept");
		model_cut(model);
		assert_true(holds(ROOT "/f", "kept"));
		end();
	}
}

static void
what_was_not_synced_may_be_lost(void **state)
{
	unsigned old = 0, new = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, MODEL_LOOSE);
		put(make_synced(ROOT "/f", "old"), "new", 0);
		model_cut(model);
		old += holds(ROOT "/f", "old");
		new += holds(ROOT "/f", "new");
		end();
	}
	assert_true(old > 0 && new > 0);
	assert_int_equal(old + new, SEEDS);
}

/* Two sectors are not one: each has the old or the new. */
static void
a_write_may_be_torn(void **state)
{
	unsigned mixed = 0, holes = 0;
	uint8_t was[2 * PAGE], is[2 * PAGE], got[2 * PAGE];
	struct stat st;
	int fd;

	(void)state;
	memset(was, 'o', sizeof(was));
	memset(is, 'n', sizeof(is));
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, MODEL_LOOSE);
		fd = make_synced(ROOT "/f", "");
		pb_pwrite_all(fd, was, sizeof(was), 0, NULL);
		if (seed % 2)
			assert_int_equal(pb_file_datasync(fd), 0);
		pb_pwrite_all(fd, is, sizeof(is), 0, NULL);
		model_cut(model);
		assert_int_equal(pb_below_stat(ROOT "/f", &st), 0);
		fd = pb_below_open(ROOT "/f", O_RDONLY, 0);
		assert_int_equal(pb_pread_all(fd, got, sizeof(got), 0, NULL),
		    st.st_size);
		if (st.st_size == sizeof(got))
			mixed += got[0] != got[PAGE];
		for (off_t at = 0; at < st.st_size; at++)
			holes += got[at] == 0;
		assert_true(seed % 2 == 0 || st.st_size == sizeof(got));
		end();
	}
	assert_true(mixed > 0 && holes > 0);
}

/* O_DIRECT too: it is the disk's cache that a sync empties. */
static void
past_the_page_cache_is_not_on_the_platter(void **state)
{
	static _Alignas(4096) uint8_t page[PAGE] = "page";
	unsigned lost = 0;
	int fd;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, MODEL_ORDERED);
		make_synced(ROOT "/f", "");
		fd = pb_below_open(ROOT "/f", O_WRONLY | O_DIRECT, 0);
		assert_int_equal(pb_file_pwrite(fd, page, PAGE, 1), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(pb_file_pwrite(fd, page, PAGE, 0), PAGE);
		model_cut(model);
		lost += holds(ROOT "/f", "");
		end();
	}
	assert_true(lost > 0 && lost < SEEDS);
}

static void
a_name_is_not_durable_before_its_directory_is_synced(void **state)
{
	unsigned lost = 0;
	int fd;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, MODEL_LOOSE);
		fd = make(ROOT "/f");
		put(fd, "text", 0);
		assert_int_equal(pb_file_sync(fd), 0);
		model_cut(model);
		lost += !is_there(ROOT "/f");
		assert_true(!is_there(ROOT "/f") || holds(ROOT "/f", "text"));
		end();
	}
	assert_true(lost > 0 && lost < SEEDS);
}

static void
a_rename_is_whole_and_not_durable_before_its_directory_is_synced(
    void **state)
{
	unsigned old = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, seed % 2 ? MODEL_LOOSE : MODEL_ORDERED);
		make_synced(ROOT "/old", "text");
		assert_int_equal(pb_below_rename(ROOT "/old", ROOT "/new", 0),
		    0);
		if (seed % 4 == 0)
			assert_int_equal(pb_sync_dir(ROOT, NULL), 0);
		model_cut(model);
		old += holds(ROOT "/old", "text");
		assert_true(is_there(ROOT "/old") != is_there(ROOT "/new"));
		assert_true(seed % 4 != 0 || is_there(ROOT "/new"));
		end();
	}
	assert_true(old > 0 && old < SEEDS);
}

static void
a_name_that_was_taken_away_may_come_back(void **state)
{
	unsigned back = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, MODEL_LOOSE);
		make_synced(ROOT "/f", "text");
		assert_int_equal(pb_below_unlink(ROOT "/f"), 0);
		model_cut(model);
		back += holds(ROOT "/f", "text");
		end();
	}
	assert_true(back > 0 && back < SEEDS);
}

/* Of two names in one directory never the second without the first. */
static void
names_in_a_directory_keep_their_order(void **state)
{
	unsigned first = 0, other = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, MODEL_LOOSE);
		assert_int_equal(pb_below_mkdir(ROOT "/d", 0750), 0);
		assert_int_equal(pb_sync_dir(ROOT, NULL), 0);
		make(ROOT "/a");
		make(ROOT "/b");
		make(ROOT "/d/c");
		model_cut(model);
		first += is_there(ROOT "/a") && !is_there(ROOT "/b");
		other += !is_there(ROOT "/a") && is_there(ROOT "/d/c");
		assert_false(!is_there(ROOT "/a") && is_there(ROOT "/b"));
		end();
	}
	assert_true(first > 0 && other > 0);
}

/* Where there is one journal, all names do. */
static void
with_one_journal_all_names_keep_their_order(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, MODEL_ORDERED);
		assert_int_equal(pb_below_mkdir(ROOT "/d", 0750), 0);
		make(ROOT "/a");
		make(ROOT "/d/c");
		if (seed % 2)
			assert_int_equal(pb_sync_dir(ROOT "/d", NULL), 0);
		model_cut(model);
		assert_false(is_there(ROOT "/d/c") && !is_there(ROOT "/a"));
		assert_true(seed % 2 == 0 || is_there(ROOT "/d/c"));
		end();
	}
}

static void
a_directory_synced_brings_what_a_move_needs_in_another(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, MODEL_LOOSE);
		assert_int_equal(pb_below_mkdir(ROOT "/d", 0750), 0);
		assert_int_equal(pb_sync_dir(ROOT, NULL), 0);
		put(make(ROOT "/d/f"), "x", 0);
		assert_int_equal(pb_below_rename(ROOT "/d/f", ROOT "/f", 0),
		    0);
		assert_int_equal(pb_sync_dir(ROOT, NULL), 0);
		model_cut(model);
		assert_true(is_there(ROOT "/f"));
		assert_false(is_there(ROOT "/d/f"));
		end();
	}
}

static void
two_names_can_be_exchanged(void **state)
{
	(void)state;
	begin(1, MODEL_LOOSE);
	make_synced(ROOT "/a", "a");
	make_synced(ROOT "/b", "b");
	assert_int_equal(pb_below_rename(ROOT "/a", ROOT "/b",
	    RENAME_EXCHANGE), 0);
	assert_true(holds(ROOT "/a", "b") && holds(ROOT "/b", "a"));
	assert_int_equal(pb_below_rename(ROOT "/a", ROOT "/b",
	    RENAME_NOREPLACE), -1);
	assert_int_equal(errno, EEXIST);
	end();
}

static void
a_full_disk_refuses_and_says_what_is_free(void **state)
{
	static uint8_t bytes[1u << 19];
	struct statvfs fs;
	int fd;

	(void)state;
	begin(1, MODEL_ORDERED);
	fd = make(ROOT "/f");
	assert_int_equal(pb_file_pwrite(fd, bytes, sizeof(bytes), 0),
	    sizeof(bytes));
	assert_int_equal(pb_below_statvfs(ROOT, &fs), 0);
	assert_int_equal(fs.f_bavail * fs.f_frsize, 1u << 19);
	assert_int_equal(pb_file_pwrite(fd, bytes, sizeof(bytes), 1u << 19),
	    sizeof(bytes));
	assert_int_equal(pb_file_pwrite(fd, bytes, 1, 1u << 20), -1);
	assert_int_equal(errno, ENOSPC);
	/* Until the last who has it open lets it go. */
	assert_int_equal(pb_below_unlink(ROOT "/f"), 0);
	assert_int_equal(pb_below_statvfs(ROOT, &fs), 0);
	assert_int_equal(fs.f_bavail, 0);
	pb_file_close(fd);
	assert_int_equal(pb_below_statvfs(ROOT, &fs), 0);
	assert_int_equal(fs.f_bavail * fs.f_frsize, 1u << 20);
	end();
}

/* As the seed says: at that call, done or not, and at all behind it. */
static void
after_a_stop_every_call_fails_until_the_start(void **state)
{
	unsigned done = 0;
	int fd;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, MODEL_ORDERED);
		fd = make_synced(ROOT "/f", "old");
		model_stop_at(model, 2, false);
		assert_true(is_there(ROOT "/f"));
		assert_int_equal(pb_file_truncate(fd, 0), -1);
		assert_true(model_is_off(model));
		assert_int_equal(pb_file_datasync(fd), -1);
		assert_int_equal(pb_below_mkdir(ROOT "/d", 0750), -1);
		assert_int_equal(errno, EIO);
		pb_file_close(fd);
		model_start(model);
		done += holds(ROOT "/f", "");
		assert_true(holds(ROOT "/f", "") || holds(ROOT "/f", "old"));
		end();
	}
	assert_true(done > 0 && done < SEEDS);
}

static void
calls_fail_as_often_as_asked_for(void **state)
{
	unsigned failed = 0;
	int fd;

	(void)state;
	begin(1, MODEL_ORDERED);
	fd = make(ROOT "/f");
	model_faults(model, MODEL_SYNCS, 4);
	for (int i = 0; i < 400; i++)
		failed += pb_file_datasync(fd) < 0;
	assert_in_range(failed, 60, 140);
	put(fd, "never", 0);
	model_faults(model, 0, 0);
	assert_int_equal(pb_file_datasync(fd), 0);
	end();
}

static void
a_directory_lists_its_names(void **state)
{
	struct pb_dir *dir;
	const char *name;
	unsigned names = 0;

	(void)state;
	begin(1, MODEL_ORDERED);
	make(ROOT "/a");
	make(ROOT "/b");
	make(ROOT "/c");
	pb_below_unlink(ROOT "/b");
	dir = pb_below_opendir(ROOT);
	assert_non_null(dir);
	while ((name = pb_dir_next(dir)) != NULL)
		names += strcmp(name, "a") == 0 || strcmp(name, "c") == 0 ?
		    1 : 10;
	assert_int_equal(errno, 0);
	pb_dir_close(dir);
	assert_int_equal(names, 2);
	end();
}

static void
the_same_seed_leaves_the_same(void **state)
{
	char text[2][65536];

	(void)state;
	for (int i = 0; i < 2; i++) {
		FILE *out = fmemopen(text[i], sizeof(text[i]), "w");

		begin(42, MODEL_LOOSE);
		for (unsigned f = 0; f < 30; f++) {
			char path[64];

			snprintf(path, sizeof(path), ROOT "/%u", f);
			put(make(path), "some text", 0);
			if (f % 5 == 0)
				pb_below_unlink(path);
		}
		model_cut(model);
		model_print(model, out);
		fclose(out);
		end();
	}
	assert_string_equal(text[0], text[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_cut_is_as_it_was_written),
		cmocka_unit_test(what_was_synced_stays),
		cmocka_unit_test(what_was_not_synced_may_be_lost),
		cmocka_unit_test(a_write_may_be_torn),
		cmocka_unit_test(past_the_page_cache_is_not_on_the_platter),
		cmocka_unit_test(
		    a_name_is_not_durable_before_its_directory_is_synced),
		cmocka_unit_test(
    a_rename_is_whole_and_not_durable_before_its_directory_is_synced),
		cmocka_unit_test(a_name_that_was_taken_away_may_come_back),
		cmocka_unit_test(names_in_a_directory_keep_their_order),
		cmocka_unit_test(with_one_journal_all_names_keep_their_order),
		cmocka_unit_test(
		    a_directory_synced_brings_what_a_move_needs_in_another),
		cmocka_unit_test(two_names_can_be_exchanged),
		cmocka_unit_test(a_full_disk_refuses_and_says_what_is_free),
		cmocka_unit_test(
		    after_a_stop_every_call_fails_until_the_start),
		cmocka_unit_test(calls_fail_as_often_as_asked_for),
		cmocka_unit_test(a_directory_lists_its_names),
		cmocka_unit_test(the_same_seed_leaves_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
