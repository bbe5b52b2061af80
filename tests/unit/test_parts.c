/*
 * tests/unit/test_parts.c - the files of `-w --split`
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "recorder/query/parts.h"
#include "recorder/query/split.h"
#include "tests/unit/temp_files.h"
#include "tests/unit/valgrind.h"

static struct pb_parts *
parts_of(const char *name, bool kept)
{
	struct pb_parts *parts;

	assert_int_equal(pb_parts_create(&parts, in_dir(name), "/nowhere",
	    NULL), 0);
	if (kept)
		assert_int_equal(pb_parts_keep(parts, NULL), 0);
	return parts;
}

static unsigned
make(struct pb_parts *parts, const char *word)
{
	unsigned part;
	int fd = pb_parts_make(parts, word, &part, NULL);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, word, strlen(word)), strlen(word));
	close(fd);
	return part;
}

static bool
has(const char *name, const char *text)
{
	int fd = open(in_dir(name), O_RDONLY);
	char data[64] = "";

	if (fd < 0)
		return false;
	assert_true(read(fd, data, sizeof(data) - 1) >= 0);
	close(fd);
	return strcmp(data, text) == 0;
}

static void
a_part_is_hidden_until_it_gets_its_name(void **state)
{
	(void)state;
	for (int kept = 0; kept < 2; kept++) {
		struct pb_parts *parts = parts_of("a.pcapng.gz", kept);
		unsigned one = make(parts, "_1"), two = make(parts, "_2");

		make(parts, "_3");
		write_file(in_dir("a_1.pcapng.gz"), "old", 3);
		assert_int_equal(files_in_dir(), 4);
		assert_true(has("a_1.pcapng.gz", "old"));
		assert_int_equal(pb_parts_name(parts, two, NULL), 0);
		assert_int_equal(pb_parts_name(parts, one, NULL), 0);
		assert_int_equal(make(parts, "_4"), one < two ? one : two);
		assert_true(has("a_1.pcapng.gz", "_1"));
		assert_true(has("a_2.pcapng.gz", "_2"));
		assert_int_equal(files_in_dir(), 4);
		pb_parts_destroy(parts);
		assert_int_equal(files_in_dir(), 2);
		assert_int_equal(unlink(in_dir("a_1.pcapng.gz")), 0);
		assert_int_equal(unlink(in_dir("a_2.pcapng.gz")), 0);
	}
}

static void
nothing_but_a_word_in_the_name_is_taken(void **state)
{
	(void)state;
	for (int kept = 0; kept < 2; kept++) {
		struct pb_parts *parts = parts_of("a.pcapng", kept);
		struct pb_err err;
		unsigned part;

		assert_int_equal(pb_parts_make(parts, "/../../x", &part,
		    &err), PB_EINVAL);
		assert_int_equal(pb_parts_name(parts, 0, &err), PB_EINVAL);
		assert_int_equal(pb_parts_name(parts, PB_PARTS_OPEN_MAX,
		    &err), PB_EINVAL);
		/* What was named is not ours any more. */
		part = make(parts, "_1");
		assert_int_equal(pb_parts_name(parts, part, &err), 0);
		assert_int_equal(pb_parts_name(parts, part, &err), PB_EINVAL);
		pb_parts_destroy(parts);
	}
	assert_int_equal(files_in_dir(), 1);
}

static void
what_the_system_refuses_is_told_from_a_keeper_too(void **state)
{
	(void)state;
	for (int kept = 0; kept < 2; kept++) {
		struct pb_parts *parts = parts_of("none/a.pcapng", kept);
		struct pb_err err;
		unsigned part;

		assert_int_equal(pb_parts_make(parts, "_1", &part, &err),
		    PB_ENOENT);
		assert_non_null(strstr(err.text, "none/a_1.pcapng"));
		pb_parts_destroy(parts);
	}
}

static void
a_name_that_is_too_long_is_refused_before_it_is_written(void **state)
{
	char word[PB_SPLIT_WORD_MAX];
	struct pb_err err;
	unsigned part;

	(void)state;
	memset(word, 'x', sizeof(word));
	for (int kept = 0; kept < 2; kept++) {
		struct pb_parts *parts = parts_of("a", kept);

		word[NAME_MAX] = '\0';
		assert_int_equal(pb_parts_make(parts, word, &part, &err),
		    PB_EINVAL);
		assert_non_null(strstr(err.text, "longer than 255 bytes"));
		word[NAME_MAX - 1] = '\0';
		part = make(parts, word);
		assert_int_equal(pb_parts_name(parts, part, &err), 0);
		pb_parts_destroy(parts);
		word[NAME_MAX - 1] = 'x';
	}
	assert_int_equal(files_in_dir(), 1);
}

static void
so_many_may_be_open_at_once_and_no_more(void **state)
{
	struct pb_parts *parts = parts_of("a", false);
	char word[16];
	struct pb_err err;
	unsigned part;

	(void)state;
	for (unsigned i = 0; i < PB_PARTS_OPEN_MAX; i++) {
		snprintf(word, sizeof(word), "_%u", i);
		make(parts, word);
	}
	assert_int_equal(pb_parts_make(parts, "_x", &part, &err), PB_ELIMIT);
	assert_int_equal(pb_parts_name(parts, 7, &err), 0);
	make(parts, "_x");
	pb_parts_destroy(parts);
	assert_int_equal(files_in_dir(), 1);
}

/* A keeper has descriptors where its parent has no more of them. */
static void
a_descriptor_that_finds_no_room_is_an_error(void **state)
{
	struct rlimit limit, none;
	struct pb_err err = { .code = 0 };
	struct pb_parts *parts;
	unsigned part;
	int rc;

	(void)state;
	not_under_valgrind(VALGRIND_DESCRIPTORS);
	parts = parts_of("a", true);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = pb_parts_make(parts, "_1", &part, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rc, PB_ESYS);
	assert_int_equal(err.code, PB_ESYS);
	assert_non_null(strstr(err.text, "too many open files"));
	make(parts, "_2");
	pb_parts_destroy(parts);
	assert_int_equal(files_in_dir(), 0);
}

/* The mask is another one once the store has been entered. */
static void
a_part_is_as_open_as_a_file_of_the_caller(void **state)
{
	(void)state;
	for (int kept = 0; kept < 2; kept++) {
		mode_t mask = umask(077);
		struct pb_parts *parts = parts_of("a", kept);
		struct stat st;

		umask(027);
		assert_int_equal(pb_parts_name(parts, make(parts, "_1"),
		    NULL), 0);
		umask(mask);
		assert_int_equal(stat(in_dir("a_1"), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		pb_parts_destroy(parts);
		assert_int_equal(unlink(in_dir("a_1")), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(a_part_is_hidden_until_it_gets_its_name),
		IN_DIR(nothing_but_a_word_in_the_name_is_taken),
		IN_DIR(what_the_system_refuses_is_told_from_a_keeper_too),
		IN_DIR(a_name_that_is_too_long_is_refused_before_it_is_written),
		IN_DIR(so_many_may_be_open_at_once_and_no_more),
		IN_DIR(a_descriptor_that_finds_no_room_is_an_error),
		IN_DIR(a_part_is_as_open_as_a_file_of_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
