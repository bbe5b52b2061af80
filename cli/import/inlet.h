/*
 * cli/import/inlet.h - the way into the store, for packets that `pb` brings
 *
 * Where a recorder runs on the store, its local socket.  Else `pb` takes
 * the recorder's place for a moment: it opens the store, makes it where
 * there is none, and listens on the same socket itself.  Either way the
 * packets take the same path: the wire protocol.
 */
#ifndef PB_CLI_INLET_H
#define PB_CLI_INLET_H

#include "base/err.h"
#include "cli/cli.h"
#include "recorder/ingest/ingest.h"
#include "recorder/store/store.h"
#include "shipper/push.h"

struct pb_inlet {
	struct pb_push	*push;
	struct pb_store	*store;		/* NULL: a recorder has it */
	struct pb_ingest *ingest;
};

/* `cli` has its configuration and lives until close.  Ended by close,
 * whatever happens. */
int	pb_inlet_open(struct pb_inlet *inlet, struct pb_cli *cli,
	    struct pb_err *err);

/* Stops what was started; what was pushed and not acknowledged may be
 * lost, so pb_push_finish() comes first. */
void	pb_inlet_close(struct pb_inlet *inlet);

#endif
