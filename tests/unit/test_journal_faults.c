/*
 * tests/unit/test_journal_faults.c - a journal where system calls fail
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/store/facts/journal.h"
#include "tests/unit/temp.h"

static bool	fstat_fails;
static unsigned	directories_synced;
static uint64_t	bytes_synced_last;	/* the journal's, at that time */
static char	dir[TEMP_NAME_MAX];
static const struct pb_stream_key key = { .node = "lon1",
    .interface = "eth0", .epoch = 7 };

/* The C library's, but for what this test wants of them. */
int
fstat(int fd, struct stat *out)
{
	if (fstat_fails) {
		errno = EIO;
		return -1;
	}
	return fstatat(fd, "", out, AT_EMPTY_PATH);
}

int
fsync(int fd)
{
	struct stat st;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 &&
	    S_ISDIR(st.st_mode)) {
		directories_synced++;
		bytes_synced_last = pb_journal_bytes(dir, &key);
	}
	return (int)syscall(SYS_fsync, fd);
}

static int
append(uint64_t first, struct pb_err *err)
{
	struct pb_fact fact = { .kind = PB_FACT_GAP, .first = first,
	    .last = first + 8, .time_ns = 1, .reason = PB_GAP_EXPIRED };

	return pb_journal_append(dir, &key, &fact, 1, err);
}

static int
count(void *arg, const struct pb_fact *fact)
{
	(void)fact;
	++*(unsigned *)arg;
	return 0;
}

static unsigned
facts(void)
{
	struct pb_journal_news news;
	unsigned found = 0;

	assert_int_equal(pb_journal_read(dir, &key, count, &found, &news,
	    NULL), 0);
	assert_int_equal(news.rotten, 0);
	assert_false(news.torn);
	return found;
}

static void
a_journal_that_cannot_be_looked_at_keeps_its_facts(void **state)
{
	struct pb_err err;

	(void)state;
	assert_int_equal(append(1, &err), 0);
	assert_int_equal(append(20, &err), 0);
	fstat_fails = true;
	assert_int_equal(append(40, &err), PB_ESYS);
	fstat_fails = false;
	assert_int_equal(facts(), 2);
	assert_int_equal(append(40, &err), 0);
	assert_int_equal(facts(), 3);
}

/*
 * Goal:   the name of a journal is durable before its first fact counts.
 * Method: the first try makes the file and can write nothing into it.
 */
static void
a_journal_that_was_made_in_vain_gets_its_name_synced(void **state)
{
	struct rlimit all, none;
	struct pb_err err;
	unsigned before;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
	none = all;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_true(append(1, &err) < 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	before = directories_synced;
	assert_int_equal(append(1, &err), 0);
	assert_int_equal(directories_synced, before + 1);
	assert_int_equal(append(20, &err), 0);
	assert_int_equal(directories_synced, before + 1);
	assert_int_equal(facts(), 2);
}

/* Who ends between the two leaves no line under a name that may go. */
static void
a_journal_has_a_name_that_stays_before_it_has_a_line(void **state)
{
	struct pb_err err;

	(void)state;
	bytes_synced_last = UINT64_MAX;
	assert_int_equal(append(1, &err), 0);
	assert_int_equal(bytes_synced_last, 0);
}

static int
setup(void **state)
{
	(void)state;
	temp_make(dir, "journal-faults");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	temp_remove(dir);
	return 0;
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_journal_that_cannot_be_looked_at_keeps_its_facts),
		TEST(a_journal_that_was_made_in_vain_gets_its_name_synced),
		TEST(a_journal_has_a_name_that_stays_before_it_has_a_line),
	};

	return cmocka_run_group_tests_name("journal faults", tests, NULL,
	    NULL);
}
