/*
 * cli/cmd_streams.c - `pb streams`: a row a stream
 */
#include "cli/commands.h"
#include "cli/common/listing.h"

static const char *const columns[] = {
	"node", "interface", "epoch", "first_seq", "last_seq", "packets",
	"bytes", "dropped", "first_time", "last_time", NULL,
};

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	print_stream(void *, const struct pb_stream_info *,
		    struct pb_err *);

const struct pb_command pb_cmd_streams = {
	.name = "streams",
	.summary = "List the streams, a row each",
	.options = pb_cli_options_stream_json,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.run = run,
};

static int
run(struct pb_cli *cli, void *opts, char **operand, struct pb_err *err)
{
	(void)operand;
	return pb_listing_of_streams(cli, opts, columns, print_stream, err);
}

static int
print_stream(void *arg, const struct pb_stream_info *info,
    struct pb_err *err)
{
	struct pb_listing *listing = arg;
	struct pb_table *table = listing->table;
	bool packets = info->packets > 0;

	pb_table_text(table, info->key.node);
	pb_table_text(table, info->key.interface);
	pb_table_hex(table, info->key.epoch);
	pb_table_u64(table, info->first_seq);
	pb_table_u64(table, info->last_seq);
	pb_table_u64(table, info->packets);
	pb_table_size(table, info->bytes);
	pb_table_u64(table, info->dropped);
	pb_table_time(table, info->first_time, packets);
	pb_table_time(table, info->last_time, packets);
	return pb_table_row(table, err);
}
