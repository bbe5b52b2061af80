/*
 * recorder/transmit/until.c - keeping a time to the microsecond
 */
#include "recorder/transmit/until.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/clock.h"

#define SLACK_NS	1ul
#define SLACK_BEFORE	0ul	/* what the process had: prctl(2) */
#define GROWTH		32u	/* parts of what a lead is too short by */

static void	be_like_others(struct pb_until *);
static bool	sleep_until(uint64_t);
static void	relax(void);

void
pb_until_begin(struct pb_until *until, bool no_spin)
{
	const struct sched_param first = {
		.sched_priority = sched_get_priority_min(SCHED_FIFO),
	};

	*until = (struct pb_until){
		.no_spin = no_spin, .slept_ns = pb_clock_mono_ns(),
	};
	/* Without either, times are kept a little worse. */
	(void)prctl(PR_SET_TIMERSLACK, SLACK_NS);
	if (no_spin)
		(void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK,
		    &first);
	until->first = no_spin && (sched_getscheduler(0) &
	    ~SCHED_RESET_ON_FORK) == SCHED_FIFO;
}

void
pb_until_end(struct pb_until *until)
{
	(void)prctl(PR_SET_TIMERSLACK, SLACK_BEFORE);
	be_like_others(until);
}

uint64_t
pb_until(struct pb_until *until, uint64_t ns)
{
	const uint64_t before = until->no_spin ? until->lead_ns :
	    PB_UNTIL_SPIN_NS;
	uint64_t now = pb_clock_mono_ns();

	if (now < ns && ns - now > before) {
		if (!sleep_until(ns - before))
			return pb_clock_mono_ns();
		now = pb_clock_mono_ns();
		if (now > ns - before)
			until->lead_ns = pb_until_lead(until->lead_ns,
			    now - (ns - before));
		until->slept_ns = now;
	}
	if (now - until->slept_ns > PB_UNTIL_AWAKE_NS)
		be_like_others(until);
	while (now < ns) {
		relax();
		now = pb_clock_mono_ns();
	}
	return now;
}

uint64_t
pb_until_behind_tick(uint64_t ns)
{
	struct timespec length;
	uint64_t tick, behind;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &length) < 0 ||
	    length.tv_sec > 0 || length.tv_nsec <= (long)PB_UNTIL_TICK_NS)
		return ns;
	tick = (uint64_t)length.tv_nsec;
	behind = (ns + tick - PB_UNTIL_TICK_NS) % tick;
	return behind == 0 ? ns : ns + tick - behind;
}

uint64_t
pb_until_lead(uint64_t lead_ns, uint64_t late_ns)
{
	if (late_ns > PB_UNTIL_LEAD_NS_MAX)
		late_ns = PB_UNTIL_LEAD_NS_MAX;
	return late_ns < lead_ns ? late_ns :
	    lead_ns + (late_ns - lead_ns) / GROWTH;
}

static void
be_like_others(struct pb_until *until)
{
	const struct sched_param none = { .sched_priority = 0 };

	if (until->first)
		(void)sched_setscheduler(0, SCHED_OTHER, &none);
	until->first = false;
}

/* False where a signal came first. */
static bool
sleep_until(uint64_t ns)
{
	const struct timespec at = { (time_t)(ns / PB_NS_PER_S),
	    (long)(ns % PB_NS_PER_S) };

	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) !=
	    EINTR;
}

/* The other half of the processor's core may go on. */
static void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}
