/*
 * recorder/transmit/ahead.h - frames made ready before they are due
 *
 *	source --> rewritten, looked at --> loads (loads.h)
 *
 * Reading is slow now and then and must not be felt by who keeps time.  So a
 * thread takes frames from a source, loop by loop, rewrites them, looks
 * whether their outlet takes them, and puts them into loads.
 */
#ifndef PB_TRANSMIT_AHEAD_H
#define PB_TRANSMIT_AHEAD_H

#include "recorder/transmit/loads.h"
#include "recorder/transmit/rewrite.h"

#define PB_WAYS_MAX		64u	/* outlets */

/* A frame as a source has it. */
struct pb_source_frame {
	const uint8_t	*data;		/* borrowed until the next call */
	uint32_t	 len;		/* PB_CAPLEN_MAX at most */
	uint8_t		 way;		/* where it goes out */
	bool		 timed;		/* `time_ns` says something */
	bool		 cut;		/* it was longer on the wire */
	uint64_t	 time_ns;
};

enum {
	PB_SOURCE_END = 0,
	PB_SOURCE_FRAME = 1,
	PB_SOURCE_SKIP = 2,	/* a packet that is left out */
	PB_SOURCE_IDLE = 3,	/* the next call may wait for long: what is
				 * there is handed on */
};

/* All calls come from the thread.  An error ends it. */
struct pb_source {
	/* From the start, for each loop; 0 or an error. */
	int	(*begin)(void *arg, const struct pb_stop *stop,
		    struct pb_err *err);
	/* One of the above, or an error.  It does not wait any more once
	 * `stop` of begin was asked for. */
	int	(*next)(void *arg, struct pb_source_frame *out,
		    struct pb_err *err);
	void	*arg;
};

enum pb_unfit {		/* a frame that its outlet does not take: */
	PB_UNFIT_REFUSE,	/* is an error */
	PB_UNFIT_TRUNCATE,	/* is cut where it is too long, else an error */
	PB_UNFIT_SKIP,		/* is left out */
};

struct pb_way {
	const char	*name;		/* of the interface */
	struct pb_outlet *outlet;
};

struct pb_ahead_opts {			/* all of it borrowed */
	struct pb_source source;
	const struct pb_way *way;
	size_t		 ways;		/* PB_WAYS_MAX at most */
	const struct pb_rewrite *rewrite;
	enum pb_unfit	 unfit;
	uint64_t	 loops;		/* 0: for ever */
	uint64_t	 limit;		/* frames in all; UINT64_MAX: none */
	uint64_t	 keep_bytes;	/* as pb_loads_create() */
	const struct pb_stop *stop;
};

struct pb_ahead;

/* Starts the thread. */
int	pb_ahead_create(struct pb_ahead **out,
	    const struct pb_ahead_opts *opts, struct pb_err *err);
/* Asks it to stop and waits for its end. */
void	pb_ahead_destroy(struct pb_ahead *ahead);

/* As pb_loads_prime(). */
int	pb_ahead_prime(struct pb_ahead *ahead, struct pb_err *err);

/* As pb_loads_next(), loop after loop, up to the limit. */
int	pb_ahead_next(struct pb_ahead *ahead, int ms_max,
	    struct pb_load **load, struct pb_err *err);
void	pb_ahead_done(struct pb_ahead *ahead, struct pb_load *load);

/* After its end: how many packets were left out behind the last frame. */
uint64_t pb_ahead_left(const struct pb_ahead *ahead);

#endif
