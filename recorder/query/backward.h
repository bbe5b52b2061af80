/*
 * recorder/query/backward.h - the packets of a stream, the last one first
 *
 * Files are read forward: one piece at a time, the last piece first, whose
 * packets are held and handed out from the end.  A piece is what a plan says
 * is read at once, an extent mostly.
 */
#ifndef PB_QUERY_BACKWARD_H
#define PB_QUERY_BACKWARD_H

#include "recorder/query/plan.h"
#include "recorder/store/read/cursor.h"

struct pb_backward;

/* `take` says which packets are wanted; the plan leads the cursor, and both
 * are borrowed until destroy.  Packets of `range` alone are given. */
struct pb_backward_opts {
	struct pb_plan	*plan;
	struct pb_cursor *cursor;
	struct pb_range	 range;		/* last_seq below UINT64_MAX */
	bool		(*take)(void *arg, const struct pb_cursor_packet *);
	void		*arg;
};

int	pb_backward_create(struct pb_backward **out,
	    const struct pb_backward_opts *opts, struct pb_err *err);
void	pb_backward_destroy(struct pb_backward *backward);

/* The next packet down, borrowed until the next call: 1; 0 where there is
 * none, or an error. */
int	pb_backward_next(struct pb_backward *backward,
	    struct pb_cursor_packet *out, struct pb_err *err);

/* Give up what is held until the next call; cursor and plan are parked. */
void	pb_backward_park(struct pb_backward *backward);

#endif
