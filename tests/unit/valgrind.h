/*
 * tests/unit/valgrind.h - what a test cannot have under valgrind
 */
#ifndef PB_TESTS_VALGRIND_H
#define PB_TESTS_VALGRIND_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As `make check-leak` runs it: PB_WRAP, see tests/run.sh. */
static inline bool
under_valgrind(void)
{
	const char *wrap = getenv("PB_WRAP");

	return wrap != NULL && strstr(wrap, "valgrind") != NULL;
}

/* Skips the test there, and says why. */
static inline void
not_under_valgrind(const char *why)
{
	if (!under_valgrind())
		return;
	print_message("not under valgrind: %s\n", why);
	skip();
}

/*
 * A child of the test ends with `status`, and with all that it has of its
 * parent: valgrind has a status of its own for that, so that another program
 * ends in its place.
 */
_Noreturn static inline void
child_exit(int status)
{
	char text[16];

	snprintf(text, sizeof(text), "exit %d", status);
	if (under_valgrind())
		execl("/bin/sh", "sh", "-c", text, (char *)NULL);
	_exit(status);
}

#define VALGRIND_DESCRIPTORS	"it takes a lower limit and gives more"
#define VALGRIND_MEMORY		"malloc() and realloc() are its own"

#endif
