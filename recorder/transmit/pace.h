/*
 * recorder/transmit/pace.h - when is a packet due?
 *
 * A pace is told of one packet after the other, in the order in which they
 * are to be sent, and says when each is due: nanoseconds from the first one.
 * What does not divide is kept for the next, so that however many packets go
 * by, no rate drifts.  Pure: it knows no clock.
 */
#ifndef PB_TRANSMIT_PACE_H
#define PB_TRANSMIT_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/clock.h"

/* Rates have six decimals: they are counted in millionths. */
#define PB_PACE_ONE		1000000u
#define PB_PACE_RATE_MAX	(UINT64_C(1000000000) * PB_PACE_ONE)
/* A packet that is earlier than one before it is due with that one; one that
 * is earlier by more than this begins a new count of time, as after a clock
 * was set. */
#define PB_PACE_STEP_NS		PB_NS_PER_S

enum pb_pace_kind {
	PB_PACE_OWN,		/* as it was captured, `rate` times as fast */
	PB_PACE_PACKETS,	/* `rate` packets a second */
	PB_PACE_MBITS,		/* `rate` million bits of frames a second */
	PB_PACE_TOP,		/* all at once */
};

struct pb_pace_opts {
	enum pb_pace_kind kind;
	uint64_t	 rate;		/* millionths, 1 .. PB_PACE_RATE_MAX;
					 * not of PB_PACE_TOP */
	uint64_t	 gap_ns_max;	/* of PB_PACE_OWN: longer silences, as
					 * they would go out, are cut to it;
					 * UINT64_MAX: none is */
};

struct pb_pace {
	struct pb_pace_opts opts;
	uint64_t	 due_ns;	/* of the last packet */
	uint64_t	 rest;		/* of the last division */
	uint64_t	 high_ns;	/* the latest time so far, */
	bool		 timed;		/* where there is one */
	bool		 begun;
	uint32_t	 bytes;		/* of the last packet */
};

/* `opts` are copied. */
void	pb_pace_init(struct pb_pace *pace, const struct pb_pace_opts *opts);

/*
 * The next packet, captured at `time_ns`, or `timed` is false where nobody
 * knows when, with `bytes` of frame: when it is due.  Never less than for the
 * one before it; UINT64_MAX where that would be later.
 */
uint64_t pb_pace_next(struct pb_pace *pace, uint64_t time_ns, bool timed,
	    uint32_t bytes);

/* What comes next has nothing to do with the times so far: it is due with the
 * packet before it, or as the rate says. */
void	pb_pace_again(struct pb_pace *pace);

/* A rate: decimal digits, perhaps with a dot and up to six more, above 0 and
 * at most PB_PACE_RATE_MAX; in millionths.  PB_EINVAL. */
int	pb_pace_parse(const char *text, uint64_t *rate, struct pb_err *err);

#endif
