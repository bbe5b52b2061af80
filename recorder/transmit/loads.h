/*
 * recorder/transmit/loads.h - frames by the thousand, from one thread to
 * another
 *
 *	idle -take-> who reads -give-> ready -next-> who sends -done-> idle
 *
 * One lock a load, none a frame.  There are PB_LOADS of them, all of whose
 * memory is there before the first is filled; or, where they are *kept*, as
 * many as who reads fills, within a bound, which are handed out once all are
 * there, and again from the first one on for each loop.
 */
#ifndef PB_TRANSMIT_LOADS_H
#define PB_TRANSMIT_LOADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/stop.h"
#include "recorder/transmit/engine/outlet.h"

#define PB_LOADS		32u
#define PB_LOAD_BYTES		(1u << 20)	/* of frames */
#define PB_LOAD_FRAMES		8192u

/* What the pace and the report want to know of a frame. */
struct pb_ready {
	uint64_t	 time_ns;
	uint32_t	 skipped;	/* packets, right before it */
	uint8_t		 outlet;
	bool		 timed : 1;	/* `time_ns` says something */
	bool		 cut : 1;	/* when it was captured */
	bool		 truncated : 1;	/* by us */
	bool		 again : 1;	/* the first one of a loop */
};

/* Room for a load, and how much of it is filled. */
struct pb_load {
	uint8_t		*data;
	struct pb_frame	*frame;
	struct pb_ready	*ready;
	unsigned	 count;
	size_t		 bytes;
	struct pb_load	*next;		/* private */
};

struct pb_loads;

/* With `keep_bytes` (0: they are not kept) of memory at most.  `stop`, which
 * is borrowed, ends all waiting. */
int	pb_loads_create(struct pb_loads **out, uint64_t keep_bytes,
	    const struct pb_stop *stop, struct pb_err *err);
/* Once who reads has ended. */
void	pb_loads_destroy(struct pb_loads *loads);

/* Who reads: an empty load.  1, 0 where it was asked to stop, PB_ELIMIT where
 * all that may be kept is full, PB_ENOMEM. */
int	pb_loads_take(struct pb_loads *loads, struct pb_load **out,
	    struct pb_err *err);
/* It is ready, and not empty; or nothing came of it. */
void	pb_loads_give(struct pb_loads *loads, struct pb_load *load);
void	pb_loads_put_back(struct pb_loads *loads, struct pb_load *load);
/* The next one may take long. */
void	pb_loads_idle(struct pb_loads *loads);
/* No more come: because of an error, with its words, where `rc` is one. */
void	pb_loads_end(struct pb_loads *loads, int rc, const struct pb_err *err);

/*
 * Who sends: wait until all that can be ready is, or who reads waits itself.
 * 0, or the error with which that ended, before anything is handed out.
 */
int	pb_loads_prime(struct pb_loads *loads, struct pb_err *err);

enum {
	PB_LOADS_END = 0,
	PB_LOADS_ONE = 1,
	PB_LOADS_NONE_YET = 2,
};

/*
 * The next load, which is the caller's until pb_loads_done(): PB_LOADS_ONE.
 * PB_LOADS_NONE_YET after `ms_max`; PB_LOADS_END; or the error, behind all
 * that was given before it.
 */
int	pb_loads_next(struct pb_loads *loads, int ms_max,
	    struct pb_load **load, struct pb_err *err);
void	pb_loads_done(struct pb_loads *loads, struct pb_load *load);

/* After PB_LOADS_END of those that are kept: all of them again. */
void	pb_loads_rewind(struct pb_loads *loads);

#endif
