/*
 * cli/common/listing.c - commands that print a table on standard output
 */
#include "cli/common/listing.h"

#include "recorder/query/select.h"

struct streams {
	struct pb_listing listing;		/* first: `each` gets it */
	const char	*glob;
	int		(*each)(void *, const struct pb_stream_info *,
			    struct pb_err *);
};

static int	fill_streams(void *, struct pb_table *, struct pb_err *);

int
pb_listing_print(const char *const *columns, bool json,
    int (*fill)(void *arg, struct pb_table *table, struct pb_err *err),
    void *arg, struct pb_err *err)
{
	struct pb_table table;
	struct pb_out out;
	int rc;

	pb_cli_out(&out);
	pb_table_init(&table, &out, columns, json);
	rc = fill(arg, &table, err);
	if (rc == 0)
		rc = pb_table_end(&table, err);
	if (pb_out_gone(&out))
		rc = 0;
	pb_table_finish(&table);
	pb_out_finish(&out);
	return rc;
}

int
pb_listing_of_streams(struct pb_cli *cli, const struct pb_plain_opts *opts,
    const char *const *columns, int (*each)(void *listing,
    const struct pb_stream_info *stream, struct pb_err *err),
    struct pb_err *err)
{
	struct streams streams = { .listing = { .store = cli->store },
	    .glob = opts->stream, .each = each };
	int rc = pb_cli_index(cli, &streams.listing.index, err);

	if (rc == 0)
		rc = pb_listing_print(columns, opts->json, fill_streams,
		    &streams, err);
	pb_index_close(streams.listing.index);
	return rc;
}

static int
fill_streams(void *arg, struct pb_table *table, struct pb_err *err)
{
	struct streams *streams = arg;

	streams->listing.table = table;
	return pb_streams_each(streams->listing.index, streams->glob,
	    streams->each, &streams->listing, err);
}
