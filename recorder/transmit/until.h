/*
 * recorder/transmit/until.h - keeping a time to the microsecond
 *
 * A sleeper is woken some 20 microseconds late, and now and then fifty.  So it
 * sleeps to shortly before the time and looks at the clock from there on; or,
 * on a processor that others want, it only sleeps, and less by as much as it
 * was late before at the least.
 */
#ifndef PB_TRANSMIT_UNTIL_H
#define PB_TRANSMIT_UNTIL_H

#include <stdbool.h>
#include <stdint.h>

/* Who spins looks at nothing but the clock from so long before; who does not
 * sleeps that much less at most. */
#define PB_UNTIL_SPIN_NS	150000u
#define PB_UNTIL_LEAD_NS_MAX	100000u
/* Who comes before others and has no time to sleep for so long comes before
 * them no more. */
#define PB_UNTIL_AWAKE_NS	100000000u

/* The kernel's tick, 100 to 1000 times a second, takes its processor for some
 * 16 us, and seldom for longer than this. */
#define PB_UNTIL_TICK_NS	40000u

struct pb_until {
	bool		 no_spin;
	bool		 first;		/* it comes before others */
	uint64_t	 lead_ns;	/* by so much it asks to be woken
					 * before */
	uint64_t	 slept_ns;	/* when it slept last */
};

/*
 * The calling thread is about to keep times: it asks the kernel for timers
 * without slack, and where it only sleeps (`no_spin`) to come before others
 * (SCHED_FIFO), where that is allowed.  Who spins does not ask for that: the
 * kernel takes the processor from a spinning one of that kind for 50 ms of
 * each second (sched_rt_runtime_us in sched(7)).  Threads that it starts do as
 * all others do.  Called again, by who has fewer rights by then, it changes
 * nothing of that.
 */
void	pb_until_begin(struct pb_until *until, bool no_spin);
/* As before. */
void	pb_until_end(struct pb_until *until);

/* Until pb_clock_mono_ns() is `ns`, which is no more than a second away: what
 * it is then.  A signal ends it early. */
uint64_t pb_until(struct pb_until *until, uint64_t ns);

/*
 * The first moment from `ns` on that lies PB_UNTIL_TICK_NS behind a tick of the
 * kernel's: who begins then, and goes on at a rate of which a tick has a whole
 * number of steps, meets none.  Ticks are multiples of their length on
 * pb_clock_mono_ns(), Linux since 6.4 and 6.1.32, and their length is the
 * resolution of CLOCK_MONOTONIC_COARSE, clock_getres(2).
 */
uint64_t pb_until_behind_tick(uint64_t ns);

/* It was woken `late_ns` behind the time it had asked for: by so much it asks
 * before from now on.  A lead that is too long goes at once, one that is too
 * short grows slowly, so that none comes too early for one that was late. */
uint64_t pb_until_lead(uint64_t lead_ns, uint64_t late_ns);

#endif
