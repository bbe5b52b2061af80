/*
 * cli/main.c - `pb`: the command table
 *
 *	pb [-c FILE | --store DIR] COMMAND ...
 *
 * A command is a row below: its name, its function, its help.  `pb` only
 * reads the store, but for `pb import` and `pb dlq`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/help.h"

static const struct pb_command commands[] = {
	{ "status", pb_cmd_status, "[--json]",
	    "Show the node, its programs, streams, disk and upstreams",
	    PB_HELP_STATUS },
	{ "streams", pb_cmd_streams, "[--stream GLOB] [--json]",
	    "List the streams, a row each", PB_HELP_STREAMS },
	{ "segments", pb_cmd_segments, "[--stream GLOB] [--json]",
	    "List the segments, which are files, a row each",
	    PB_HELP_SEGMENTS },
	{ "query", pb_cmd_query, "[OPTION...] [FILTER...]",
	    "Find packets: print them, count them, or write them to a file",
	    PB_HELP_QUERY },
	{ "import", pb_cmd_import, "[OPTION...] FILE...",
	    "Bring pcap and pcapng files into the store", PB_HELP_IMPORT },
	{ "gaps", pb_cmd_gaps, "[--stream GLOB] [--json]",
	    "List what is missing and why, a row each", PB_HELP_GAPS },
	{ "dlq", pb_cmd_dlq, "list|show|requeue|purge|move [OPTION...]",
	    "Dead letters: what upstreams did not take", PB_HELP_DLQ },
	{ "verify", pb_cmd_verify, "[--repair] [--stream GLOB] [--json]",
	    "Check every bit against digests and index; put right",
	    PB_HELP_VERIFY },
	{ "reindex", pb_cmd_reindex, "[--json]",
	    "Make the index again from the files", PB_HELP_REINDEX },
	{ "interfaces", pb_cmd_interfaces, "[--json]",
	    "List what can be captured on this machine",
	    PB_HELP_INTERFACES },
};
#define COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static const struct pb_command *find_command(const char *);
static int	run(struct pb_cli *, int, char **);
static int	help(int, char **);
static void	usage(void);
static int	global_wrong(const char *, int);
static int	close_stdout(int);

int
main(int argc, char **argv)
{
	struct pb_cli cli = { 0 };
	static const struct option longs[] = {
		{ "store", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c, status;

	pb_files_standard();
	/* A reader that goes away is told by EPIPE, and is no error. */
	signal(SIGPIPE, SIG_IGN);
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:c:hV", longs, NULL)) != -1)
		switch (c) {
		case 'c':
			cli.conf_file = optarg;
			break;
		case 's':
			cli.store_dir = optarg;
			break;
		case 'h':
			usage();
			return close_stdout(PB_EXIT_OK);
		case 'V':
			puts("pb " PB_VERSION);
			return close_stdout(PB_EXIT_OK);
		default:
			return global_wrong(argv[optind - 1], c);
		}
	if (cli.conf_file != NULL && cli.store_dir != NULL)
		return pb_cli_usage("-c and --store are two ways to name "
		    "the store; give one of them");
	status = run(&cli, argc - optind, argv + optind);
	pb_conf_destroy(cli.conf);
	return close_stdout(status);
}

static int
run(struct pb_cli *cli, int argc, char **argv)
{
	const struct pb_command *command;

	if (argc == 0)
		return pb_cli_usage("no command; 'pb help' lists them");
	if (strcmp(argv[0], "help") == 0)
		return help(argc, argv);
	command = find_command(argv[0]);
	if (command == NULL)
		return PB_EXIT_USAGE;
	optind = 0;	/* glibc: begin anew, with permutation */
	return command->run(cli, command, argc, argv);
}

/* The row of the table, or NULL after saying what would be right. */
static const struct pb_command *
find_command(const char *name)
{
	const char *names[COMMANDS], *near;

	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		names[i] = commands[i].name;
	}
	near = pb_nearest(name, names, COMMANDS);
	if (near != NULL)
		pb_cli_usage("unknown command '%s'; did you mean '%s'?", name,
		    near);
	else
		pb_cli_usage("unknown command '%s'; 'pb help' lists them",
		    name);
	return NULL;
}

static int
help(int argc, char **argv)
{
	const struct pb_command *command;

	if (argc == 1) {
		usage();
		return PB_EXIT_OK;
	}
	command = find_command(argv[1]);
	if (command == NULL)
		return PB_EXIT_USAGE;
	pb_cli_help(command);
	return PB_EXIT_OK;
}

static void
usage(void)
{
	printf("usage: pb [-c FILE | --store DIR] COMMAND ...\n\n"
	    "  -c FILE       the node's configuration; default: $PB_CONFIG, "
	    "./packetbroker.conf,\n"
	    "                /etc/packetbroker/packetbroker.conf\n"
	    "  --store DIR   the store itself, without a configuration\n"
	    "  --version     print the version\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-12s  %s\n", commands[i].name,
		    commands[i].summary);
	printf("  %-12s  %s\n", "help", "This list, or the help of a command");
	printf("\n'pb COMMAND --help' says more.  Exit status: 0 done, "
	    "1 failed, 2 wrong usage\nor configuration.\n");
}

static int
global_wrong(const char *word, int c)
{
	if (c == ':')
		return pb_cli_usage("option '%s' needs a value; see "
		    "'pb --help'", word);
	return pb_cli_usage("unknown option '%s' before the command; see "
	    "'pb --help'", word);
}

/* What printf() could not write is a failure, unless nobody reads. */
static int
close_stdout(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return status == PB_EXIT_OK && errno != EPIPE ? PB_EXIT_FAILED :
	    status;
}
