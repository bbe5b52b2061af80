/*
 * cli/query/target.h - the file that `-w` names
 *
 * A regular file appears whole or not at all: what is written goes to a
 * hidden neighbour that takes the name at the end, so that a query that
 * fails leaves neither half a file nor a spoilt old one.  A pipe, a
 * device, standard output (`-`), and any file that is to be read while it
 * grows, are written directly.
 */
#ifndef PB_CLI_TARGET_H
#define PB_CLI_TARGET_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"

struct pb_target {
	int	fd;
	char	path[PATH_MAX];		/* symbolic links resolved */
	char	hidden[PATH_MAX];	/* "" where written directly */
};

/* Ended by commit or abandon, whatever happens. */
int	pb_target_open(struct pb_target *target, const char *name,
	    bool directly, struct pb_err *err);
int	pb_target_commit(struct pb_target *target, struct pb_err *err);
void	pb_target_abandon(struct pb_target *target);

#endif
