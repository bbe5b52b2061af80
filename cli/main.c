/*
 * cli/main.c - `pb`: which command, and of which store
 *
 *	pb [-c FILE | --store DIR] COMMAND ...
 *
 * A command is a file of its own: cli/commands.h.  `pb` only reads the
 * store, but for `pb import` and `pb dlq`.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/text.h"
#include "cli/common/cli.h"
#include "cli/commands.h"

#define COMMANDS_MAX	32

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
	return pb_command_run(command, cli, argc, argv);
}

/* By its name, or NULL after saying what would be right. */
static const struct pb_command *
find_command(const char *name)
{
	const char *names[COMMANDS_MAX], *near;
	size_t n = 0;

	for (; pb_commands[n] != NULL; n++) {
		assert(n < COMMANDS_MAX);
		if (strcmp(pb_commands[n]->name, name) == 0)
			return pb_commands[n];
		names[n] = pb_commands[n]->name;
	}
	near = pb_nearest(name, names, n);
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
	pb_command_help(command);
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
	for (size_t i = 0; pb_commands[i] != NULL; i++)
		printf("  %-12s  %s\n", pb_commands[i]->name,
		    pb_commands[i]->summary);
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
	if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE)
		return status;
	fprintf(stderr, "pb: write standard output: %s\n", strerror(errno));
	return status == PB_EXIT_OK ? PB_EXIT_FAILED : status;
}
