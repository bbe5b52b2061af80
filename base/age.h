/*
 * base/age.h - how long something has lived, whatever the wall clock says
 *
 * A wall clock that was years ahead, or behind, and is set right makes
 * everything old, or new, at once.  So what is deleted for its age, and in
 * which order, goes by an age of its own: milliseconds that only grow.
 *
 *	on one boot	CLOCK_BOOTTIME counts, also between two runs
 *	between boots	the wall clock's difference counts, up to a day,
 *			where the kernel called it synchronised before and
 *			calls it so now (it may begin to a minute after the
 *			boot: the time is added then, once); else nothing
 *
 * So an age may be less than the time that has passed, and then things
 * live longer.  It is more only where a clock that is called synchronised
 * was wrong, and then by a day a boot: receivers of satellites' time, too,
 * have been wrong by years.
 *
 * Pure but for pb_age_look() and pb_boot_id(): `now` is an argument.  Those
 * ask `clock` (base/clock.h), for which somebody vouches; NULL is the
 * system's.
 */
#ifndef PB_BASE_AGE_H
#define PB_BASE_AGE_H

#include <stdbool.h>
#include <stdint.h>

/* Kept as it is in the rows of its owner; all zero: not born yet. */
struct pb_age {
	uint64_t	ms;		/* from 1; never less than it was */
	/* When it was so: */
	uint64_t	boot, boottime_ms;
	/* The last moment of a clock called synchronised; 0: none yet. */
	uint64_t	synced_boot, synced_ms, synced_real_ms;
	/* What is from before, its owner knows no age of: it is as if it
	 * were from then. */
	uint64_t	known_ms;
	uint64_t	digest;		/* of the above: pb_age_sign() */
};
#define PB_AGE_AWAY_MS_MAX	86400000u

/* A row that rotted would make everything old at once: sign what is kept,
 * and take it only where it is sound. */
void	pb_age_sign(struct pb_age *age);
bool	pb_age_sound(const struct pb_age *age);

struct pb_age_now {
	uint64_t	boot;		/* which; never 0 */
	uint64_t	boottime_ms;	/* since it, asleep or awake */
	uint64_t	real_ms;	/* since 1970 */
	bool		synced;		/* the kernel vouches for real_ms */
};

/* What it says now.  Any thread. */
struct pb_clock;
void	pb_age_look(struct pb_clock *clock, struct pb_age_now *now);

/* A digest of what the kernel calls this boot; 0 where it does not say. */
uint64_t pb_boot_id(struct pb_clock *clock);

/* Bring it up to `now`. */
void	pb_age_move(struct pb_age *age, const struct pb_age_now *now);

/*
 * Ages as one number that sorts: what has an age lies behind what only has
 * a wall clock's time, from before there were ages.  0 stays 0.
 */
#define PB_AGE_BASE	(UINT64_C(1) << 62)
uint64_t pb_age_key(uint64_t age_ms);
/* The same of a time in ns, no later than `now_ns`. */
uint64_t pb_age_key_of_time(uint64_t time_ns, uint64_t now_ns);

/* How long ago that was, ms; of a wall clock's time all of `now_ms`: that
 * it is older than the age is all that is known of it. */
uint64_t pb_age_since(uint64_t key, uint64_t now_ms);

/* For people: the time, ns, that the wall clock `now_ns` would call it. */
uint64_t pb_age_time(uint64_t key, uint64_t now_ms, uint64_t now_ns);

#endif
