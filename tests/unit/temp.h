/*
 * tests/unit/temp.h - a directory of the test's own, and a shell
 */
#ifndef PB_TESTS_TEMP_H
#define PB_TESTS_TEMP_H

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEMP_NAME_MAX	64

/* `dir` gets the name of one that is fresh: /tmp/pb-test-NAME-XXXXXX. */
static inline void
temp_make(char dir[static TEMP_NAME_MAX], const char *name)
{
	snprintf(dir, TEMP_NAME_MAX, "/tmp/pb-test-%s-XXXXXX", name);
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		abort();
	}
}

/* A command that succeeds, or the test program ends. */
__attribute__((format(printf, 1, 2)))
static inline void
shell(const char *format, ...)
{
	char command[4 * PATH_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	if (system(command) != 0) {
		fprintf(stderr, "failed: %s\n", command);
		abort();
	}
}

/* The directory, with all that is in it. */
static inline void
temp_remove(const char *dir)
{
	shell("rm -rf '%s'", dir);
}

#endif
