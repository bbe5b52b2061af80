/*
 * tests/unit/stepped.h - a store whose writer the test turns, by clocks that
 * the test moves
 *
 * A fixture that was set up here has no writer's thread: fixture_wait() makes
 * turns until all chunks are answered, step() lets time pass and makes one.
 * So what does not happen within an hour is seen at once.
 */
#ifndef PB_TESTS_STEPPED_H
#define PB_TESTS_STEPPED_H

#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>

#include "base/clock.h"
#include "tests/unit/store_fixture.h"

#define TICK_MS		1000u	/* all that is done by the clock is due */
#define HOUR_MS		3600000u
#define YEAR_S		(365ll * 86400)

/* Other threads of a store look at them as well. */
static struct {
	_Atomic long long passed_ms;	/* on all clocks */
	_Atomic long long ahead_s;	/* the wall clock, beside that */
	_Atomic bool	  vouched;	/* for the wall clock, by the kernel */
} clocks;

/* The C library's, but for that. */
int
clock_gettime(clockid_t id, struct timespec *out)
{
	int rc = (int)syscall(SYS_clock_gettime, id, out);
	long long passed_ms = atomic_load(&clocks.passed_ms);

	if (rc < 0)
		return rc;
	out->tv_sec += passed_ms / 1000;
	out->tv_nsec += passed_ms % 1000 * (long)PB_NS_PER_MS;
	if (out->tv_nsec >= (long)PB_NS_PER_S) {
		out->tv_sec++;
		out->tv_nsec -= (long)PB_NS_PER_S;
	}
	if (id == CLOCK_REALTIME)
		out->tv_sec += atomic_load(&clocks.ahead_s);
	return rc;
}

int
adjtimex(struct timex *out)
{
	out->status = atomic_load(&clocks.vouched) ? 0 : STA_UNSYNC;
	return atomic_load(&clocks.vouched) ? TIME_OK : TIME_ERROR;
}

static inline void
pass(uint64_t ms)
{
	atomic_fetch_add(&clocks.passed_ms, (long long)ms);
}

static inline void
step(struct fixture *f, uint64_t ms)
{
	pass(ms);
	pb_store_turn(f->store);
}

/* Long enough for all that is done by the clock, with all that follows. */
static inline void
settle_store(struct fixture *f)
{
	for (int i = 0; i < 8; i++)
		step(f, TICK_MS);
}

static inline int
stepped_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	atomic_store(&clocks.passed_ms, 0);
	atomic_store(&clocks.ahead_s, 0);
	atomic_store(&clocks.vouched, false);
	if (f == NULL)
		return -1;
	fixture_begin(f, __LINE__, true);
	*state = f;
	return 0;
}

#define STEPPED(test)							\
	cmocka_unit_test_setup_teardown(test, stepped_setup,		\
	    fixture_teardown)

#endif
