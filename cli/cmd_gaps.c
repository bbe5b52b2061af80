/*
 * cli/cmd_gaps.c - `pb gaps`: what is missing and why
 */
#include "cli/cli.h"
#include "cli/table.h"

#include <unistd.h>

#include "recorder/query/select.h"

static const struct pb_column columns[] = {
	{ "node", false },
	{ "interface", false },
	{ "epoch", false },
	{ "first", true },
	{ "last", true },
	{ "reason", false },
	{ "since", false },
	{ "closed", false },
};

struct listing {
	struct pb_index	*index;
	struct pb_table	 table;
};

static int	print_gaps(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	print_gap(struct pb_table *, const struct pb_stream_info *,
		    const struct pb_gap_info *, struct pb_err *);

int
pb_cmd_gaps(struct pb_cli *cli, const struct pb_command *command, int argc,
    char **argv)
{
	const char *stream = NULL;
	struct listing listing;
	struct pb_out out;
	struct pb_err err;
	bool json = false;
	int rc;

	rc = pb_cli_plain_options(command, argc, argv, &json, &stream);
	if (rc >= 0)
		return rc;
	if (pb_cli_index(cli, &listing.index, &err) < 0)
		return pb_cli_fail(&err);
	pb_cli_out(&out);
	pb_table_init(&listing.table, &out, columns,
	    sizeof(columns) / sizeof(columns[0]), json);
	rc = pb_streams_each(listing.index, stream, print_gaps, &listing,
	    &err);
	if (rc == 0)
		rc = pb_table_end(&listing.table, &err);
	pb_table_finish(&listing.table);
	pb_index_close(listing.index);
	pb_out_finish(&out);
	return rc < 0 && !pb_out_gone(&out) ? pb_cli_fail(&err) : PB_EXIT_OK;
}

static int
print_gaps(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct listing *listing = arg;
	const struct pb_gap_info *gap;
	struct pb_rows rows;
	int rc = 0;

	pb_rows_gaps(&rows, listing->index, stream->id, 1, err);
	while (rc == 0 && (gap = pb_rows_next(&rows)) != NULL)
		rc = print_gap(&listing->table, stream, gap, err);
	return rc != 0 ? rc : rows.rc;
}

static int
print_gap(struct pb_table *table, const struct pb_stream_info *stream,
    const struct pb_gap_info *gap, struct pb_err *err)
{
	const char *reason = pb_gap_reason_name(gap->reason);
	char epoch[17];

	pb_hex64(stream->key.epoch, epoch);
	pb_table_text(table, stream->key.node);
	pb_table_text(table, stream->key.interface);
	pb_table_text(table, epoch);
	pb_table_u64(table, gap->first);
	pb_table_u64(table, gap->last);
	pb_table_text(table, reason != NULL ? reason : "unknown");
	pb_table_time(table, gap->since_ns, true);
	pb_table_time(table, gap->closed_ns, gap->closed_ns != 0);
	return pb_table_row(table, err);
}
