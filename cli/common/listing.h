/*
< * cli/common/listing.h - commands that print a table on standard output
> */
#ifndef PB_CLI_LISTING_H
#define PB_CLI_LISTING_H

#include "cli/common/cli.h"
#include "cli/common/command.h"
#include "cli/common/table.h"

/*
 * A table, or JSON, of the rows that `fill` makes.  A reader that has gone is
 * no error.
 */
int	pb_listing_print(const char *const *columns, bool json,
	    int (*fill)(void *arg, struct pb_table *table,
	    struct pb_err *err), void *arg, struct pb_err *err);

/* What makes the rows of a stream has these. */
struct pb_listing {
	const char	*store;
	struct pb_index	*index;
	struct pb_table	*table;
};

/* The same for the streams of the store's index that are asked for. */
int	pb_listing_of_streams(struct pb_cli *cli,
	    const struct pb_plain_opts *opts, const char *const *columns,
	    int (*each)(void *listing, const struct pb_stream_info *stream,
	    struct pb_err *err), struct pb_err *err);

#endif
