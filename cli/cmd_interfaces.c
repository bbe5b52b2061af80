/*
 * cli/cmd_interfaces.c - `pb interfaces`: what can be captured here
 */
#include "cli/commands.h"
#include "cli/common/table.h"
#include "recorder/capture/source.h"

#define AT(member)	offsetof(struct pb_interface_info, member)
static const struct pb_column columns[] = {
	{ "name", PB_CELL_WORD, AT(name) },
	{ "up", PB_CELL_BOOL, AT(up) },
	{ "link_type", PB_CELL_WORD, AT(linktype) },
	{ "timestamp_types", PB_CELL_WORD, AT(timestamp_types) },
	{ "adapter_clock", PB_CELL_WORD, AT(adapter_clock) },
	{ "description", PB_CELL_WORD, AT(description) },
	{ "trouble", PB_CELL_WORD, AT(trouble) },
	{ 0 },
};

struct listing {
	struct pb_table	*table;
	struct pb_err	 err;		/* code 0: none */
};

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	fill(void *, struct pb_table *, struct pb_err *);
static int	print_interface(const struct pb_interface_info *, void *);

const struct pb_command pb_cmd_interfaces = {
	.name = "interfaces",
	.summary = "List what can be captured on this machine",
	.options = pb_cli_options_json,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.run = run,
};

static int
run(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	const struct pb_plain_opts *opts = arg;

	(void)cli;
	(void)operand;
	return pb_table_print(columns, opts->json, fill, NULL, err);
}

static int
fill(void *arg, struct pb_table *table, struct pb_err *err)
{
	struct listing listing = { .table = table };
	int rc = pb_interfaces(print_interface, &listing, err);

	(void)arg;
	if (rc >= 0 && listing.err.code != 0)
		*err = listing.err;
	return rc < 0 ? rc : listing.err.code;
}

static int
print_interface(const struct pb_interface_info *info, void *arg)
{
	struct listing *listing = arg;

	return pb_table_row(listing->table, info, &listing->err) < 0 ? 1 : 0;
}
