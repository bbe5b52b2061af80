/*
 * tests/unit/test_caps.c - capabilities that are given up, in a child
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/caps.h"

/* The set that /proc/self/status shows under `name`. */
static uint64_t
set_of(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	uint64_t set = UINT64_MAX;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			set = strtoull(line + strlen(name) + 1, NULL, 16);
	if (file != NULL)
		fclose(file);
	return set;
}

/* In a process of its own: 0, or the number of what is not as it must be. */
static int
keeping(uint64_t kept)
{
	uint64_t had = set_of("CapPrm");

	if (pb_caps_keep(kept, NULL) != 0)
		return 1;
	if (set_of("CapPrm") != (had & kept) ||
	    set_of("CapEff") != (had & kept))
		return 2;
	if (set_of("CapInh") != 0 || set_of("CapAmb") != 0)
		return 3;
	/* What has gone does not come back. */
	if (pb_caps_keep(UINT64_MAX, NULL) != 0)
		return 4;
	return set_of("CapPrm") == (had & kept) ? 0 : 5;
}

static int
in_a_child(uint64_t kept)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(keeping(kept));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
what_is_kept_is_all_there_is(void **state)
{
	(void)state;
	assert_int_equal(in_a_child(PB_CAP(CAP_NET_RAW)), 0);
	assert_int_equal(in_a_child(PB_CAP(CAP_NET_RAW) |
	    PB_CAP(CAP_BPF)), 0);
	assert_int_equal(in_a_child(0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept_is_all_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
