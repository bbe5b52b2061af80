/*
 * cli/cmd_streams.c - `pb streams`: a row a stream
 */
#include "cli/cli.h"
#include "cli/table.h"

#include <unistd.h>

#include "recorder/query/select.h"

static const struct pb_column columns[] = {
	{ "node", false },
	{ "interface", false },
	{ "epoch", false },
	{ "first_seq", true },
	{ "last_seq", true },
	{ "packets", true },
	{ "bytes", true },
	{ "dropped", true },
	{ "first_time", false },
	{ "last_time", false },
};

static int	print_stream(void *, const struct pb_stream_info *,
		    struct pb_err *);

int
pb_cmd_streams(struct pb_cli *cli, const struct pb_command *command,
    int argc, char **argv)
{
	const char *stream = NULL;
	struct pb_index *index;
	struct pb_table table;
	struct pb_out out;
	struct pb_err err;
	bool json = false;
	int rc;

	rc = pb_cli_plain_options(command, argc, argv, &json, &stream);
	if (rc >= 0)
		return rc;
	if (pb_cli_index(cli, &index, &err) < 0)
		return pb_cli_fail(&err);
	pb_cli_out(&out);
	pb_table_init(&table, &out, columns,
	    sizeof(columns) / sizeof(columns[0]), json);
	rc = pb_streams_each(index, stream, print_stream, &table, &err);
	if (rc == 0)
		rc = pb_table_end(&table, &err);
	pb_table_finish(&table);
	pb_index_close(index);
	pb_out_finish(&out);
	return rc < 0 && !pb_out_gone(&out) ? pb_cli_fail(&err) : PB_EXIT_OK;
}

static int
print_stream(void *arg, const struct pb_stream_info *info,
    struct pb_err *err)
{
	struct pb_table *table = arg;
	bool packets = info->packets > 0;
	char epoch[17];

	pb_hex64(info->key.epoch, epoch);
	pb_table_text(table, info->key.node);
	pb_table_text(table, info->key.interface);
	pb_table_text(table, epoch);
	pb_table_u64(table, info->first_seq);
	pb_table_u64(table, info->last_seq);
	pb_table_u64(table, info->packets);
	pb_table_size(table, info->bytes);
	pb_table_u64(table, info->dropped);
	pb_table_time(table, info->first_time, packets);
	pb_table_time(table, info->last_time, packets);
	return pb_table_row(table, err);
}
