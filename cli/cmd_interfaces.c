/*
 * cli/cmd_interfaces.c - `pb interfaces`: what can be captured here
 */
#include "cli/cli.h"
#include "cli/table.h"

#include <unistd.h>

#include "recorder/capture/source.h"

static const struct pb_column columns[] = {
	{ "name", false },
	{ "up", false },
	{ "link_type", false },
	{ "timestamp_types", false },
	{ "description", false },
	{ "trouble", false },
};

struct listing {
	struct pb_table	table;
	struct pb_err	err;
};

static int	print_interface(const struct pb_interface_info *, void *);

int
pb_cmd_interfaces(struct pb_cli *cli, const struct pb_command *command,
    int argc, char **argv)
{
	struct listing listing;
	struct pb_out out;
	struct pb_err err;
	bool json = false;
	int rc;

	(void)cli;
	rc = pb_cli_plain_options(command, argc, argv, &json, NULL);
	if (rc >= 0)
		return rc;
	pb_cli_out(&out);
	pb_table_init(&listing.table, &out, columns,
	    sizeof(columns) / sizeof(columns[0]), json);
	listing.err.code = 0;
	rc = pb_interfaces(print_interface, &listing, &err);
	if (rc >= 0 && listing.err.code != 0) {
		err = listing.err;
		rc = err.code;
	}
	if (rc >= 0)
		rc = pb_table_end(&listing.table, &err);
	pb_table_finish(&listing.table);
	pb_out_finish(&out);
	return rc < 0 && !pb_out_gone(&out) ? pb_cli_fail(&err) : PB_EXIT_OK;
}

static int
print_interface(const struct pb_interface_info *info, void *arg)
{
	struct listing *listing = arg;
	struct pb_table *table = &listing->table;

	pb_table_text(table, info->name);
	pb_table_bool(table, info->up);
	pb_table_text(table, info->linktype);
	pb_table_text(table, info->timestamp_types);
	pb_table_text(table, info->description);
	pb_table_text(table, info->trouble);
	return pb_table_row(table, &listing->err) < 0 ? 1 : 0;
}
