/*
 * recorder/transmit/transmitter.h - frames out of their interfaces, each when
 * it is due
 *
 * Each frame has its own moment, counted from the first one and never from
 * the last: what is late is followed by what was due meanwhile, and the whole
 * does not drift.  What is due within PB_TRANSMIT_TOGETHER_NS goes to the
 * kernel in one call, PB_TRANSMIT_BATCH frames at most; nothing waits for a
 * batch to fill, so that what is reached does not depend on one.
 *
 * All moments move where nobody could have kept them: by as long as the
 * source had nothing and a link that is waited for was down.
 */
#ifndef PB_TRANSMIT_TRANSMITTER_H
#define PB_TRANSMIT_TRANSMITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/stop.h"
#include "base/timing.h"
#include "recorder/transmit/ahead.h"
#include "recorder/transmit/pace.h"

#define PB_TRANSMIT_TOGETHER_NS	1000u
#define PB_TRANSMIT_BATCH	64u
/* A frame that is handed over later than that is counted as late. */
#define PB_TRANSMIT_LATE_NS	100000u
/* A queue that takes nothing for so long is an error. */
#define PB_TRANSMIT_STUCK_NS	(10 * PB_NS_PER_S)
#define PB_TRANSMIT_TICK_NS	(100 * PB_NS_PER_MS)
/* A frame that is due later than that from now is told of. */
#define PB_TRANSMIT_FAR_NS	(60 * PB_NS_PER_S)

struct pb_transmit_report {
	uint64_t	 sent, bytes;
	uint32_t	 last_bytes;	/* of those, the last frame's */
	uint64_t	 failed;	/* the system refused them */
	uint64_t	 late;
	uint64_t	 skipped, truncated;	/* of packets */
	uint64_t	 cut;		/* sent, but not whole when captured */
	uint64_t	 full;		/* times that a queue was waited for */
	uint64_t	 moved_ns;	/* all moments, in all */
	uint64_t	 steal_ns;	/* of all processors, meanwhile */
	bool		 steal_known;
	uint64_t	 first_ns, last_ns;	/* when the first and the last
						 * one were handed over, */
	uint64_t	 due_ns;	/* and between the two, as asked */
	struct pb_timing error;		/* between due and handed over, ns;
					 * empty with PB_PACE_TOP */
};

struct pb_transmit_opts {		/* all of it borrowed */
	const struct pb_way *way;
	size_t		 ways;
	struct pb_pace_opts pace;
	bool		 no_spin;	/* only sleep (until.h) */
	bool		 wait_down;	/* for a link that is down; else it is
					 * an error */
	const struct pb_stop *stop;
	/* Some ten times a second; and a link that is waited for is down, or
	 * is up again where `why` is NULL. */
	void		(*tick)(void *arg,
			    const struct pb_transmit_report *report);
	void		(*link)(void *arg, const struct pb_way *way,
			    const struct pb_err *why);
	/* Nothing goes out for so long now. */
	void		(*far)(void *arg, uint64_t ns);
	void		*arg;
};

/*
 * Send all that `ahead` has: 0 at its end or once `stop` was asked for; or
 * the error of the source, of an outlet (PB_EBUSY: it is down), or
 * PB_ELIMIT of a queue that does not move.  `*report`, which is zeroed first,
 * is right in any case.
 */
int	pb_transmit(const struct pb_transmit_opts *opts,
	    struct pb_ahead *ahead, struct pb_transmit_report *report,
	    struct pb_err *err);

/* Packets a second, from the first to the last one, in `ns`; 0 where that is
 * no time. */
double	pb_transmit_rate(uint64_t packets, uint64_t ns);

#endif
