/*
 * shipper/edge/keeping.c - an edge's forks, kept in the state
 */
#include "shipper/edge/keeping.h"

static void	run(void *);
static void	done(void *);

void
pb_keeping_start(struct pb_keeping *keeping, struct pb_worker *keeper)
{
	keeping->job = (struct pb_job){ .run = run, .done = done,
	    .arg = keeping };
	pb_worker_give(keeper, &keeping->job);
}

/* On the keeper's thread. */
static void
run(void *arg)
{
	struct pb_keeping *keeping = arg;

	keeping->rc = pb_forks_keep_edge(keeping->state, keeping->edge,
	    &keeping->key, &keeping->forks, &keeping->err);
}

static void
done(void *arg)
{
	struct pb_keeping *keeping = arg;

	keeping->done(keeping->arg);
}
