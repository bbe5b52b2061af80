/*
 * cli/cmd_gaps.c - `pb gaps`: what is missing and why
 */
#include "cli/commands.h"
#include "cli/common/listing.h"

static const char *const columns[] = {
	"node", "interface", "epoch", "first", "last", "reason", "since",
	"closed", NULL,
};

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	print_gaps(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	print_gap(struct pb_table *, const struct pb_stream_info *,
		    const struct pb_gap_info *, struct pb_err *);

const struct pb_command pb_cmd_gaps = {
	.name = "gaps",
	.summary = "List what is missing and why, a row each",
	.options = pb_cli_options_stream_json,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.after =
"A gap is a run of sequence numbers that this store does not have, with\n"
"its reason: dead-lettered (given up on the way here), expired (deleted by\n"
"retention), damaged (unreadable).  It is closed when the packets come\n"
"later.\n",
	.run = run,
};

static int
run(struct pb_cli *cli, void *opts, char **operand, struct pb_err *err)
{
	(void)operand;
	return pb_listing_of_streams(cli, opts, columns, print_gaps, err);
}

static int
print_gaps(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct pb_listing *listing = arg;
	const struct pb_gap_info *gap;
	struct pb_rows rows;
	int rc = 0;

	pb_rows_of(&rows, listing->index, PB_TABLE_GAPS, stream->id, 1, err);
	while (rc == 0 && (gap = pb_rows_next(&rows)) != NULL)
		rc = print_gap(listing->table, stream, gap, err);
	return rc != 0 ? rc : rows.rc;
}

static int
print_gap(struct pb_table *table, const struct pb_stream_info *stream,
    const struct pb_gap_info *gap, struct pb_err *err)
{
	const char *reason = pb_gap_reason_name(gap->reason);

	pb_table_text(table, stream->key.node);
	pb_table_text(table, stream->key.interface);
	pb_table_hex(table, stream->key.epoch);
	pb_table_u64(table, gap->first);
	pb_table_u64(table, gap->last);
	pb_table_text(table, reason != NULL ? reason : "unknown");
	pb_table_time(table, gap->since_ns, true);
	pb_table_time(table, gap->closed_ns, gap->closed_ns != 0);
	return pb_table_row(table, err);
}
