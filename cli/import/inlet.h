/*
 * cli/import/inlet.h - the way into the store, for packets that `pb` brings
 *
 * Where a recorder runs on the store, its local socket: a chunk is a body of
 * the wire protocol where it lies, its head before its blocks.  Else `pb`
 * takes the recorder's place for a moment: it opens the store, makes it where
 * there is none, and hands its chunks to the writer as they are.  Its lock
 * says that it is brief (recorder/store/lock.h), so that other imports wait.
 */
#ifndef PB_CLI_INLET_H
#define PB_CLI_INLET_H

#include <pthread.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/common/cli.h"
#include "recorder/store/write/store.h"
#include "shipper/wire/push.h"

/* Chunks that the writer may have, a mebibyte each: enough to fill some
 * while it makes others durable.  With more of them some would find no table
 * of flows left (PB_FLOW_CHUNKS_BYTES_MAX). */
#define PB_INLET_CHUNKS_MAX	64u

struct pb_inlet {			/* all of it is the inlet's own */
	uint32_t	 pen;
	/* through a recorder */
	struct pb_push	*push;
	struct pb_buf	 head;		/* of the chunk at hand */
	/* as the recorder */
	struct pb_store	*store;		/* NULL: a recorder has it */
	/* the chunks */
	struct pb_chunk	**chunk;	/* each one there is */
	size_t		 chunks, cap;
	size_t		 lent;		/* taken and not given */
	pthread_mutex_t	 lock;		/* what is below */
	pthread_cond_t	 back;
	struct pb_chunk	*idle;		/* linked by `next` */
	unsigned	 on_way;	/* the writer or the push has them */
	struct pb_err	 err;		/* the writer's first; code 0: none */
};

/* `cli` has its configuration and lives until close.  Ended by close,
 * whatever happens. */
int	pb_inlet_open(struct pb_inlet *inlet, struct pb_cli *cli,
	    struct pb_err *err);

/*
 * An empty chunk, to be given back with packets, or left: it then goes with
 * the inlet.  PB_ENOMEM.
 */
int	pb_inlet_take(struct pb_inlet *inlet, struct pb_chunk **out,
	    struct pb_err *err);

/*
 * Bring in a chunk: the next packets of the stream `key`.  Waits while
 * PB_INLET_CHUNKS_MAX are on their way.  An error may be that of an earlier
 * chunk; the inlet is then spent.
 */
int	pb_inlet_give(struct pb_inlet *inlet, const struct pb_stream_key *key,
	    struct pb_chunk *chunk, struct pb_err *err);

/* Wait until all that was given is durable. */
int	pb_inlet_finish(struct pb_inlet *inlet, struct pb_err *err);

/* Stops what was started; what was given and not finished may be lost. */
void	pb_inlet_close(struct pb_inlet *inlet);

#endif
