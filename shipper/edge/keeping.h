/*
 * shipper/edge/keeping.h - an edge's forks, kept in the state
 */
#ifndef PB_SHIPPER_EDGE_KEEPING_H
#define PB_SHIPPER_EDGE_KEEPING_H

#include "shipper/state/forks.h"
#include "shipper/worker/worker.h"

/* A list on its way; the caller's memory, zeroed, until `done`, or until
 * pb_worker_cancel(keeper, &job). */
struct pb_keeping {
	/* Set by the caller. */
	struct pb_state	*state;
	const char	*edge;		/* borrowed */
	struct pb_stream_key key;
	struct pb_forks	 forks;
	void		(*done)(void *arg);	/* on the loop */
	void		*arg;
	/* What came of it: 0, it is durable; or an error. */
	int		 rc;
	struct pb_err	 err;
	struct pb_job	 job;
};

void	pb_keeping_start(struct pb_keeping *keeping,
	    struct pb_worker *keeper);

#endif
