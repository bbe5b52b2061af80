/*
 * cli/cmd_upstreams.c - `pb upstreams`: a row an upstream
 */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/common/cli.h"
#include "cli/status/ledger.h"
#include "cli/status/upstreams.h"

#define LINE_BYTES_MAX	(1u << 20)

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	print_json(const struct pb_figures *, struct pb_err *);
static int	fill(void *, struct pb_table *, struct pb_err *);

const struct pb_command pb_cmd_upstreams = {
	.name = "upstreams",
	.summary = "List the upstreams, a row each",
	.options = pb_cli_options_json,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.after =
"Where packets go: to a node, out of a local interface, or to who comes\n"
"for them itself (pull:).  Packets, bytes and for how long the oldest waits\n"
"are what is here and not there; packets/s and bytes/s are those it has\n"
"acknowledged in the last 10 seconds.  Caught up in: as it goes now; `-'\n"
"where it never will.  Nodes that are dialled ([edge NAME]) are in\n"
"`pb status'.\n",
	.run = run,
};

static int
run(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	const struct pb_plain_opts *opts = arg;
	struct pb_figures figures = { .upstreams = 0 };
	struct pb_ledger ledger = { .index = NULL };
	int rc = pb_cli_enter(cli, false, err);

	(void)operand;
	if (rc == 0)
		rc = pb_ledger_open(&ledger, cli, err);
	if (rc == 0)
		rc = pb_ledger_figures(&ledger, cli, pb_clock_real_ns(),
		    &figures, err);
	if (rc == 0 && !opts->json && !ledger.runs && figures.upstreams > 0)
		pb_cli_note("pb-shipper does not run here: this is how things "
		    "stood when it ended, and what has come since");
	if (rc == 0)
		rc = opts->json ? print_json(&figures, err) :
		    pb_table_print(pb_upstream_table, false, fill, &figures,
		    err);
	pb_figures_finish(&figures);
	pb_ledger_close(&ledger);
	return rc;
}

/* The objects of `pb status`, a line each. */
static int
print_json(const struct pb_figures *figures, struct pb_err *err)
{
	struct pb_json json;
	struct pb_buf line;
	struct pb_out out;
	bool failed = false;
	int rc;

	pb_cli_out(&out);
	pb_buf_init(&line, LINE_BYTES_MAX);
	for (size_t i = 0; i < figures->upstreams; i++) {
		pb_buf_clear(&line);
		pb_json_init(&json, &line);
		pb_upstream_json(&json, &figures->upstream[i]);
		pb_buf_put(&line, "\n", 1);
		failed |= line.failed;
		pb_out_put(&out, line.data, line.failed ? 0 : line.len);
	}
	rc = pb_out_flush(&out, err);
	if (pb_out_gone(&out))
		rc = 0;
	if (rc == 0 && failed)
		rc = pb_err_set(err, PB_ENOMEM, "no memory for a row");
	pb_buf_finish(&line);
	pb_out_finish(&out);
	return rc;
}

static int
fill(void *arg, struct pb_table *table, struct pb_err *err)
{
	const struct pb_figures *figures = arg;
	int rc = 0;

	for (size_t i = 0; i < figures->upstreams && rc == 0; i++)
		rc = pb_table_row(table, &figures->upstream[i], err);
	return rc;
}
