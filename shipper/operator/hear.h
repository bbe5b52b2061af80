/*
 * shipper/operator/hear.h - what the recorder says of who pulls
 *
 * The shipper's side of recorder/store/facts/pulls.h.  It never blocks.
 */
#ifndef PB_SHIPPER_HEAR_H
#define PB_SHIPPER_HEAR_H

#include "base/err.h"
#include "recorder/store/facts/pulls.h"

#define PB_HEAR_CLIENTS_MAX	4u	/* one recorder, and what is left of
					 * former ones */
#define PB_HEAR_FDS_MAX		(PB_HEAR_CLIENTS_MAX + 1u)

struct pb_hear;

/* Listen in `store`, whose shipper.lock the caller has: a socket that is
 * there is stale and replaced. */
int	pb_hear_create(struct pb_hear **out, const char *store,
	    struct pb_err *err);
void	pb_hear_destroy(struct pb_hear *hear);	/* NULL is fine */

/* The descriptors to wait on until they can be read: how many.  While something
 * is kept none of those who say more. */
unsigned pb_hear_fds(const struct pb_hear *hear, int *fds, unsigned max);

/* False: not now.  It is kept, and said again the next time; what comes behind
 * it waits in the sockets. */
typedef bool	pb_hear_said(void *arg, const struct pb_pull_news *news);
/* What was said since, some of it at a time. */
void	pb_hear_run(struct pb_hear *hear, pb_hear_said *said, void *arg);

#endif
