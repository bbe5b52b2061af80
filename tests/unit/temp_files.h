/*
 * tests/unit/temp_files.h - files in a directory that each test has of its own
 */
#ifndef PB_TESTS_TEMP_FILES_H
#define PB_TESTS_TEMP_FILES_H

#include "tests/unit/temp.h"

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

static char dir[TEMP_NAME_MAX];

static int
make_dir(void **state)
{
	(void)state;
	temp_make(dir, "files");
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	temp_remove(dir);
	return 0;
}

/* Good for the next three calls. */
static const char *
in_dir(const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *out = path[next++ % 4];

	snprintf(out, sizeof(path[0]), "%s/%s", dir, name);
	return out;
}

static void
write_file(const char *path, const void *data, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	fclose(file);
}

static unsigned
files_in_dir(void)
{
	char command[128], line[32] = "";
	FILE *pipe;

	snprintf(command, sizeof(command), "ls -A '%s' | wc -l", dir);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(line, sizeof(line), pipe));
	pclose(pipe);
	return (unsigned)strtoul(line, NULL, 10);
}

#endif
