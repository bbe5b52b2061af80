/*
 * cli/status/ledger.c - what is written of upstreams, opened to be read
 */
#include "cli/status/ledger.h"

#include <string.h>

int
pb_ledger_open(struct pb_ledger *ledger, const struct pb_cli *cli,
    struct pb_err *err)
{
	int rc;

	memset(ledger, 0, sizeof(*ledger));
	ledger->runs = pb_shipper_running(cli->store, &ledger->pid);
	rc = pb_cli_read_index(cli, &ledger->index, err);
	if (rc < 0 && rc != PB_ENOENT)
		return rc;
	rc = pb_state_open(&ledger->state, cli->store, err);
	/* The rest is worth knowing then, too. */
	if (rc == PB_EFORMAT)
		pb_cli_note("%s", err->text);
	if (rc < 0)
		return rc == PB_ENOENT || rc == PB_EFORMAT ? 0 : rc;
	return pb_letters_open(&ledger->letters, ledger->state, cli->store,
	    err);
}

void
pb_ledger_close(struct pb_ledger *ledger)
{
	pb_letters_close(ledger->letters);
	pb_state_close(ledger->state);
	pb_index_close(ledger->index);
	memset(ledger, 0, sizeof(*ledger));
}

int
pb_ledger_figures(const struct pb_ledger *ledger, const struct pb_cli *cli,
    uint64_t now_ns, struct pb_figures *out, struct pb_err *err)
{
	return pb_figures_gather(out, &(struct pb_figures_from){
	    .state = ledger->state, .letters = ledger->letters,
	    .index = ledger->index, .conf = cli->conf, .runs = ledger->runs,
	    .now_ns = now_ns }, err);
}
