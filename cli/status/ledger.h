/*
 * cli/status/ledger.h - what is written of upstreams, opened to be read
 *
 * The store's index, the shipper's state, its dead letters; what is not there
 * (no recorder or shipper has run yet) is NULL and no error.
 */
#ifndef PB_CLI_LEDGER_H
#define PB_CLI_LEDGER_H

#include <sys/types.h>

#include "cli/common/cli.h"
#include "shipper/operator/figures.h"

struct pb_ledger {
	struct pb_index	*index;
	struct pb_state	*state;
	struct pb_letters *letters;	/* with the state */
	bool		 runs;		/* a shipper does, */
	pid_t		 pid;		/* this one */
};

/* Of the store that was entered.  A damaged state is told as a note, and is
 * NULL.  pb_ledger_close() in any case. */
int	pb_ledger_open(struct pb_ledger *ledger, const struct pb_cli *cli,
	    struct pb_err *err);
void	pb_ledger_close(struct pb_ledger *ledger);

/* pb_figures_gather() of it. */
int	pb_ledger_figures(const struct pb_ledger *ledger,
	    const struct pb_cli *cli, uint64_t now_ns,
	    struct pb_figures *out, struct pb_err *err);

#endif
