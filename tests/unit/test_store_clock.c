/*
 * tests/unit/test_store_clock.c - the writer and a wall clock that steps
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/clock.h"
#include "tests/unit/store_fixture.h"

#define HOUR_S		3600
#define PATIENCE_MS	10000u

/* How far the wall clock is ahead, as this process sees it. */
static _Atomic long ahead_s;

/* The C library's, but for that. */
int
clock_gettime(clockid_t id, struct timespec *out)
{
	int rc = (int)syscall(SYS_clock_gettime, id, out);

	if (rc == 0 && id == CLOCK_REALTIME)
		out->tv_sec += atomic_load(&ahead_s);
	return rc;
}

static bool
is_sealed(struct fixture *f)
{
	char path[PATH_MAX];

	return pb_layout_segment(path, f->dir, &f->key, 1, false, NULL) == 0 &&
	    access(path, F_OK) == 0;
}

/*
 * Goal:   a clock that is set back an hour does not stop the writer for an
 *         hour: with all of capture's memory held, nobody would wake it.
 * Method: the clock is an hour ahead while the writer goes to sleep, and
 *         right again while it sleeps, since the kernel never was wrong; a
 *         segment gets old meanwhile.
 */
static void
a_clock_that_is_set_back_does_not_stop_the_writer(void **state)
{
	struct pb_store_opts opts;
	struct fixture f;
	struct pb_err err;
	uint64_t until;

	(void)state;
	fixture_init(&f, __LINE__);
	pb_store_close(f.store);
	fixture_opts(&f, &opts);
	opts.segment_age_ms = 500;
	atomic_store(&ahead_s, HOUR_S);
	assert_int_equal(pb_store_open(&f.store, &opts, &err), 0);
	assert_int_equal(pb_store_stream(f.store, &f.key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f.stream, &err), 0);
	fixture_write(&f, 1, 10, 100);
	until = pb_clock_mono_ms() + PATIENCE_MS;
	while (!is_sealed(&f) && pb_clock_mono_ms() < until)
		usleep(10000);
	assert_true(is_sealed(&f));
	atomic_store(&ahead_s, 0);
	fixture_finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_clock_that_is_set_back_does_not_stop_the_writer),
	};

	return cmocka_run_group_tests_name("store clock", tests, NULL, NULL);
}
