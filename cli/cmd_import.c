/*
 * cli/cmd_import.c - `pb import`: capture files into the store
 *
 *	check every file, the store untouched
 *	  |             \
 *	  v              a malformed one: say where, stop
 *	open the inlet, bring in every file, wait until all is durable
 *	  |
 *	  v
 *	a line per file, or a JSON object per stream
 */
#include "cli/common/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/import/inlet.h"
#include "cli/import/importer.h"
#include "cli/import/input.h"
#include "cli/common/progress.h"
#include "cli/common/table.h"
#include "cli/common/trailing.h"

/* One import makes so many streams at most: half of what a store opens. */
#define STREAMS_MAX	(PB_STREAMS_OPEN_MAX / 2)
#define LEFT_OUT_TEXT	256

struct made {				/* a stream */
	const char	*name;		/* of the file; the input's */
	struct pb_stream_key key;
	uint64_t	 packets;
};

/* With --json. */
#define AT(member)	offsetof(struct made, member)
static const struct pb_column columns[] = {
	{ "file", PB_CELL_WORD, AT(name) },
	{ "node", PB_CELL_TEXT, AT(key.node) },
	{ "interface", PB_CELL_TEXT, AT(key.interface) },
	{ "epoch", PB_CELL_HEX, AT(key.epoch) },
	{ "packets", PB_CELL_U64, AT(packets) },
	{ 0 },
};

struct opts {
	const char	*node, *interface;
	bool		 json, secrets;
	struct pb_cli_trailing trailing;
};

struct import {
	struct pb_cli	*cli;
	const struct opts *opts;
	const char	*node;		/* as asked for, or this one */
	struct pb_trailer_list trailers;
	bool		 listed;	/* that list is given */
	/* the files */
	uint32_t	 files;
	struct pb_input	*input;
	struct pb_import_result *result;
	uint32_t	 file;		/* at work */
	/* while it runs */
	struct pb_importer *importer;
	struct pb_inlet	*inlet;		/* NULL while checking */
	struct made	*made;
	size_t		 mades, mades_cap;
	uint64_t	 checked;	/* streams found so far */
	struct pb_progress progress;
	uint64_t	 done;		/* bytes of the files before */
};

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	check(struct import *, char **);
static int	run_import(struct import *, char **, struct pb_err *);
static int	open_files(struct import *, char **, bool, struct pb_err *);
static int	store_files(struct import *, struct pb_err *);
static int	each_file(struct import *, const char *, struct pb_err *);
static int	one_file(struct import *, struct pb_err *);
static const char *base_name(const struct pb_input *);
/* calls of input and importer */
static int	on_event(void *, const struct pb_event *, struct pb_err *);
static int	on_bytes(void *, uint64_t, struct pb_err *);
static int	on_take(void *, struct pb_chunk **, struct pb_err *);
static int	on_give(void *, const struct pb_stream_key *,
		    struct pb_chunk *, struct pb_err *);
static int	on_stream(void *, const struct pb_stream_key *, uint64_t,
		    struct pb_err *);
/* what is said at the end */
static int	report(struct import *, struct pb_err *);
static void	report_file(const struct import *, struct pb_out *, uint32_t);
static int	report_streams(void *, struct pb_table *, struct pb_err *);
static void	report_left_out(const struct import *, uint32_t);

static const struct pb_cli_option options[] = {
	{ "node", 0, "NAME", offsetof(struct opts, node), NULL,
	    "the node they come from; default: this one" },
	{ "interface", 0, "NAME", offsetof(struct opts, interface), NULL,
	    "the interface's name (the next ones are NAME.1, ...);\n"
	    "default: as the file has it, the file's name for pcap" },
	{ "secrets", 0, NULL, offsetof(struct opts, secrets), NULL,
	    "keep Decryption Secrets Blocks (TLS keys)" },
	PB_CLI_TRAILERS(offsetof(struct opts, trailing)),
	PB_CLI_JSON(struct opts, "one JSON object a stream"),
	{ 0 },
};

const struct pb_command pb_cmd_import = {
	.name = "import",
	.summary = "Bring pcap and pcapng files into the store",
	.operands = "[OPTION...] FILE...",
	.before =
"Takes pcap and pcapng files of any link type, resolution and byte order,\n"
"several interfaces and sections included; `-` is standard input.  Each\n"
"interface with packets becomes a stream of its own.  All files are checked\n"
"first: if one is malformed, nothing is imported.  The packets are durable\n"
"when the command ends.  Where a recorder runs on the store they go in\n"
"through it; else pb writes the store, and makes it if it is not there.\n",
	.options = options,
	.opts_bytes = sizeof(struct opts),
	.after =
"Options of sections, interfaces and packets are kept, but for a packet's\n"
"epb_packetid, which becomes its sequence number, and hop records of an\n"
"earlier journey.  Custom Blocks, and big-endian blocks of unknown types,\n"
"are left out, and pb says so.\n",
	.run = run,
};

static int
run(struct pb_cli *cli, void *opts, char **operand, struct pb_err *err)
{
	struct import import = { .cli = cli, .opts = opts };
	int rc = check(&import, operand);

	if (rc != PB_EXIT_OK)
		return rc;
	rc = run_import(&import, operand, err);
	for (uint32_t i = 0; import.input != NULL && i < import.files; i++)
		pb_input_finish(&import.input[i]);
	free(import.input);
	free(import.result);
	free(import.made);
	return rc;
}

/* What was asked for: PB_EXIT_OK, or PB_EXIT_USAGE after saying what is
 * wrong. */
static int
check(struct import *import, char **operand)
{
	const char *node = import->opts->node;
	const char *interface = import->opts->interface;
	unsigned standard = 0;

	if (node != NULL && !pb_name_valid(node))
		return pb_cli_usage("import: --node '%s': is no node's name; "
		    "1 to %d letters, digits, '.', '_' and '-' are", node,
		    PB_NAME_BYTES_MAX);
	if (interface != NULL && (interface[0] == '\0' ||
	    strlen(interface) > PB_IFNAME_BYTES_MAX - 8))
		return pb_cli_usage("import: --interface: 1 to %d bytes are "
		    "right", PB_IFNAME_BYTES_MAX - 8);
	for (; operand[import->files] != NULL; import->files++)
		standard += strcmp(operand[import->files], "-") == 0;
	if (import->files == 0)
		return pb_cli_usage("import: no file; 'pb import FILE...', "
		    "with '-' for standard input");
	if (standard > 1)
		return pb_cli_usage("import: standard input ('-') can be "
		    "read once");
	return PB_EXIT_OK;
}

static int
run_import(struct import *import, char **names, struct pb_err *err)
{
	struct pb_owner owner;
	int rc = pb_cli_conf(import->cli, err);

	if (rc < 0)
		return rc;
	import->node = import->opts->node != NULL ? import->opts->node :
	    import->cli->conf->node.name;
	import->listed = pb_cli_trailers_list(&import->opts->trailing,
	    &import->trailers);
	pb_cli_catch_signals();
	rc = pb_cli_owner(import->cli, &owner, err);
	if (rc == 0)
		rc = open_files(import, names, pb_owner_is_other(&owner), err);
	if (rc == 0)
		rc = pb_cli_enter(import->cli, true, err);
	if (rc == 0)
		rc = each_file(import, "checking", err);
	if (rc == 0)
		rc = store_files(import, err);
	if (rc == 0)
		rc = report(import, err);
	return rc;
}

/* All stay open where the caller's rights are about to go. */
static int
open_files(struct import *import, char **names, bool keep, struct pb_err *err)
{
	int rc = keep ? pb_files_raise(err) : 0;

	import->input = calloc(import->files, sizeof(*import->input));
	import->result = calloc(import->files, sizeof(*import->result));
	if (import->input == NULL || import->result == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for %u files",
		    import->files);
	for (uint32_t i = 0; i < import->files; i++)
		import->input[i].fd = -1;
	for (uint32_t i = 0; i < import->files && rc == 0; i++)
		rc = pb_input_init(&import->input[i], names[i], keep,
		    err);
	return rc;
}

static int
store_files(struct import *import, struct pb_err *err)
{
	struct pb_inlet inlet;
	int rc;

	rc = pb_inlet_open(&inlet, import->cli, err);
	if (rc < 0)
		return rc;
	import->inlet = &inlet;
	rc = each_file(import, "importing", err);
	if (rc == 0)
		rc = pb_inlet_finish(&inlet, err);
	pb_inlet_close(&inlet);
	return rc;
}

static int
each_file(struct import *import, const char *what, struct pb_err *err)
{
	uint64_t total = 0;
	int rc = 0;

	for (uint32_t i = 0; i < import->files; i++)
		total += import->input[i].size;
	import->done = 0;
	pb_progress_begin(&import->progress, what, total);
	for (uint32_t i = 0; i < import->files && rc == 0; i++) {
		import->file = i;
		rc = one_file(import, err);
		import->done += import->input[i].size;
	}
	pb_progress_end(&import->progress);
	return rc;
}

static int
one_file(struct import *import, struct pb_err *err)
{
	struct pb_import_result *result = &import->result[import->file];
	const struct pb_import_result checked = *result;
	struct pb_input *input = &import->input[import->file];
	const struct pb_input_calls calls = {
		.event = on_event, .done = on_bytes, .arg = import,
	};
	struct pb_importer_opts opts = {
		.node = import->node,
		.description = import->cli->conf->node.description,
		.interface = import->opts->interface,
		.file_name = base_name(input),
		.pen = import->cli->conf->node.pen,
		.trailers = import->listed ? &import->trailers : NULL,
		.secrets = import->opts->secrets,
		.take = import->inlet != NULL ? on_take : NULL,
		.give = on_give,
		.stream = on_stream,
		.arg = import,
	};
	int rc = pb_importer_create(&import->importer, &opts, err);

	if (rc < 0)
		return rc;
	rc = pb_input_read(input, &calls, err);
	if (rc == 0) {
		rc = pb_importer_end(import->importer, err);
		if (rc < 0)
			pb_err_prefix(err, rc, "%s", input->name);
	}
	pb_importer_result(import->importer, result);
	pb_importer_destroy(import->importer);
	if (rc == 0 && import->inlet != NULL &&
	    (result->packets != checked.packets ||
	    result->streams != checked.streams))
		rc = pb_err_set(err, PB_EFORMAT, "%s: changed while it was "
		    "imported: it had %" PRIu64 " packets, now %" PRIu64,
		    input->name, checked.packets, result->packets);
	return rc;
}

/* The last part of the path; all of it where that would be nothing. */
static const char *
base_name(const struct pb_input *input)
{
	const char *slash = strrchr(input->name, '/');

	if (input->standard)
		return "stdin";
	return slash != NULL && slash[1] != '\0' ? slash + 1 : input->name;
}

static int
on_event(void *arg, const struct pb_event *event, struct pb_err *err)
{
	struct import *import = arg;

	return pb_importer_event(import->importer, event, err);
}

static int
on_bytes(void *arg, uint64_t bytes, struct pb_err *err)
{
	struct import *import = arg;

	pb_progress_at(&import->progress, import->done + bytes);
	if (pb_cli_stopped() == 0)
		return 0;
	return pb_err_set(err, PB_ESYS, import->inlet == NULL ?
	    "interrupted; nothing was imported" :
	    "interrupted; what went before was imported");
}

static int
on_take(void *arg, struct pb_chunk **out, struct pb_err *err)
{
	struct import *import = arg;

	return pb_inlet_take(import->inlet, out, err);
}

static int
on_give(void *arg, const struct pb_stream_key *key, struct pb_chunk *chunk,
    struct pb_err *err)
{
	struct import *import = arg;

	return pb_inlet_give(import->inlet, key, chunk, err);
}

/* While checking, streams are only counted. */
static int
on_stream(void *arg, const struct pb_stream_key *key, uint64_t packets,
    struct pb_err *err)
{
	struct import *import = arg;

	if (import->inlet == NULL) {
		if (++import->checked <= STREAMS_MAX)
			return 0;
		return pb_err_set(err, PB_ELIMIT, "more than %u interfaces "
		    "with packets in one import; import fewer files at once",
		    STREAMS_MAX);
	}
	if (!PB_LIST_ROOM(import->made, import->mades_cap, import->mades))
		return pb_err_set(err, PB_ENOMEM, "no memory for a stream");
	import->made[import->mades++] = (struct made){
		.name = import->input[import->file].name, .key = *key,
		.packets = packets,
	};
	return 0;
}

/* For people a line a file, for machines an object a stream. */
static int
report(struct import *import, struct pb_err *err)
{
	struct pb_out out;
	int rc;

	if (import->opts->json) {
		rc = pb_table_print(columns, true, report_streams, import,
		    err);
		for (uint32_t i = 0; i < import->files; i++)
			report_left_out(import, i);
		return rc;
	}
	pb_cli_out(&out);
	for (uint32_t i = 0; i < import->files; i++) {
		report_file(import, &out, i);
		report_left_out(import, i);
	}
	rc = pb_out_flush(&out, err);
	if (pb_out_gone(&out))
		rc = 0;
	pb_out_finish(&out);
	return rc;
}

static void
report_file(const struct import *import, struct pb_out *out, uint32_t i)
{
	const struct pb_import_result *result = &import->result[i];

	pb_out_printf(out, "%s: %" PRIu64 " packet%s, %" PRIu64
	    " interface%s, %" PRIu64 " stream%s\n", import->input[i].name,
	    result->packets, result->packets == 1 ? "" : "s",
	    result->interfaces, result->interfaces == 1 ? "" : "s",
	    result->streams, result->streams == 1 ? "" : "s");
}

static int
report_streams(void *arg, struct pb_table *table, struct pb_err *err)
{
	const struct import *import = arg;
	int rc = 0;

	for (size_t i = 0; i < import->mades && rc == 0; i++)
		rc = pb_table_row(table, &import->made[i], err);
	return rc;
}

/* One line that counts what was not kept, if there was any. */
static void
report_left_out(const struct import *import, uint32_t i)
{
	const struct pb_import_left_out *left = &import->result[i].left_out;
	const struct {
		uint64_t	 count;
		const char	*what;
	} part[] = {
		{ left->custom, "Custom Blocks" },
		{ left->secrets, "Decryption Secrets Blocks, which --secrets "
		    "keeps" },
		{ left->swapped, "big-endian blocks of unknown layout" },
		{ left->stray, "blocks without a packet or room beside it" },
	};
	char text[LEFT_OUT_TEXT] = "";
	size_t used = 0;

	for (size_t k = 0; k < sizeof(part) / sizeof(part[0]); k++)
		if (part[k].count > 0 && used < sizeof(text))
			used += (size_t)snprintf(text + used,
			    sizeof(text) - used, "%s%s (%" PRIu64 ")",
			    used > 0 ? ", " : "", part[k].what,
			    part[k].count);
	if (used > 0)
		pb_cli_note("%s: left out: %s", import->input[i].name, text);
}
