/*
 * shipper/ship/speed.h - how fast counters grow, now
 *
 * Over the last PB_SPEED_MS, or as long as they have been looked at; so what
 * has stopped is 0 after that.  Time is an argument.
 */
#ifndef PB_SHIPPER_SPEED_H
#define PB_SHIPPER_SPEED_H

#include <stdint.h>

#define PB_SPEED_MS		10000u
#define PB_SPEED_STEP_MS	1000u	/* between the looks that are kept */
#define PB_SPEED_LOOKS		(PB_SPEED_MS / PB_SPEED_STEP_MS + 1u)

enum pb_speed_what {
	PB_SPEED_PACKETS,	/* taken */
	PB_SPEED_BYTES,		/* of those */
	PB_SPEED_COMES,		/* packets that are new, for it to take */
	PB_SPEED_WHATS,
};

/* Zeroed, it has not been looked at. */
struct pb_speed {
	struct pb_speed_look {
		uint64_t ms;
		uint64_t count[PB_SPEED_WHATS];
	}		look[PB_SPEED_LOOKS];	/* a ring */
	unsigned	looks;			/* so far */
	uint64_t	per_s[PB_SPEED_WHATS];	/* the answer */
};

/* The counters, as they are now: what is in per_s afterwards is right for
 * now.  One that is lower than before has begun anew: 0 until it has been
 * looked at for as long again. */
void	pb_speed_look(struct pb_speed *speed, uint64_t now_ms,
	    const uint64_t count[static PB_SPEED_WHATS]);

/*
 * Seconds until `backlog` packets, which go at `packets` a second while as
 * many as `comes` are added, are none; UINT64_MAX where that is never.
 */
uint64_t pb_speed_left_s(uint64_t backlog, uint64_t packets, uint64_t comes);

#endif
