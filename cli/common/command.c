/*
 * cli/common/command.c - a command of `pb`, and the options that it takes
 */
#include "cli/common/command.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/common/cli.h"

#define HELP		'h'	/* what getopt(3) gives for -h, --help, */
#define VALUES		256	/* and for row i without a letter: VALUES + i */
#define LABEL_MAX	64

const struct pb_cli_option pb_cli_options_json[] = {
	PB_CLI_JSON(struct pb_plain_opts, "one JSON object a line"),
	{ 0 },
};
const struct pb_cli_option pb_cli_options_stream_json[] = {
	PB_CLI_STREAM(struct pb_plain_opts),
	PB_CLI_JSON(struct pb_plain_opts, "one JSON object a line"),
	{ 0 },
};

static int	parse(const struct pb_command *, int, char **, void *);
static void	for_getopt(const struct pb_cli_option *, struct option *,
		    char *);
static void	print_option(const struct pb_cli_option *);
static int	value_of(const struct pb_cli_option *, size_t);
static bool	is_last(const struct pb_cli_option *);
static int	take(const struct pb_cli_option *, int, void *);
static void	complain(const struct pb_command *, int, const char *,
		    const struct option *);
static void	complain_unknown(const struct pb_command *, const char *,
		    const struct option *);
static const char *label(const struct pb_cli_option *,
		    char [static LABEL_MAX]);

int
pb_command_run(const struct pb_command *command, struct pb_cli *cli,
    int argc, char **argv)
{
	void *opts = calloc(1, command->opts_bytes);
	struct pb_err err;
	int status;

	if (opts == NULL) {
		pb_err_set(&err, PB_ENOMEM, "no memory for options");
		return pb_cli_fail(&err);
	}
	if (command->init != NULL)
		command->init(opts);
	status = parse(command, argc, argv, opts);
	if (status < 0)
		status = command->run(cli, opts, argv + optind, &err);
	free(opts);
	return status < 0 ? pb_cli_fail(&err) : status;
}

void
pb_command_help(const struct pb_command *command)
{
	const struct pb_cli_option *row = command->options;
	const char *operands = command->operands;
	char text[LABEL_MAX];

	printf("usage: pb [-c FILE | --store DIR] %s", command->name);
	if (operands != NULL && operands[0] != '\0')
		printf(" %s", operands);
	else
		for (; !is_last(row); row++)
			printf(" [%s]", label(row, text));
	printf("\n\n%s.\n", command->summary);
	if (command->before != NULL)
		printf("\n%s", command->before);
	row = command->options;
	if (row->name != NULL)
		printf("\n");
	for (; !is_last(row); row++)
		if (row->name == NULL)
			printf("\n%s\n", row->help);
		else
			print_option(row);
	if (command->after != NULL)
		printf("\n%s", command->after);
}

/* -1 to go on, or the exit status. */
static int
parse(const struct pb_command *command, int argc, char **argv, void *opts)
{
	struct option longs[PB_CLI_OPTIONS_MAX + 2];
	char letters[PB_CLI_OPTIONS_MAX * 2 + 3];
	int c, status;

	for_getopt(command->options, longs, letters);
	optind = 0;	/* glibc: begin anew, with permutation */
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (c == HELP) {
			pb_command_help(command);
			return PB_EXIT_OK;
		}
		if (c == '?' || c == ':') {
			complain(command, c, argv[optind - 1], longs);
			return PB_EXIT_USAGE;
		}
		status = take(command->options, c, opts);
		if (status >= 0)
			return status;
	}
	if (command->operands == NULL && optind < argc)
		return pb_cli_usage("%s takes no argument, not '%s'",
		    command->name, argv[optind]);
	return -1;
}

/* The rows as getopt_long(3) wants them, and `help` besides. */
static void
for_getopt(const struct pb_cli_option *row, struct option *longs,
    char *letters)
{
	size_t n = 0;

	letters += sprintf(letters, ":h");
	for (size_t i = 0; !is_last(&row[i]); i++) {
		if (row[i].name == NULL)
			continue;
		assert(n < PB_CLI_OPTIONS_MAX);
		longs[n++] = (struct option){ row[i].name,
		    row[i].value != NULL ? required_argument : no_argument,
		    NULL, value_of(row, i) };
		if (row[i].letter != '\0')
			letters += sprintf(letters, "%c%s", row[i].letter,
			    row[i].value != NULL ? ":" : "");
	}
	longs[n++] = (struct option){ "help", no_argument, NULL, HELP };
	longs[n] = (struct option){ 0 };
}

static int
value_of(const struct pb_cli_option *row, size_t i)
{
	return row[i].letter != '\0' ? row[i].letter : VALUES + (int)i;
}

static bool
is_last(const struct pb_cli_option *row)
{
	return row->name == NULL && row->help == NULL;
}

/* -1, or the exit status where the value is wrong. */
static int
take(const struct pb_cli_option *row, int c, void *opts)
{
	struct pb_err err;
	size_t i = 0;
	void *at;

	while (value_of(row, i) != c)
		i++;
	at = (char *)opts + row[i].at;
	if (row[i].take != NULL)
		return row[i].take(at, optarg, &err) < 0 ?
		    pb_cli_fail(&err) : -1;
	if (row[i].value != NULL)
		*(const char **)at = optarg;
	else
		*(bool *)at = true;
	return -1;
}

/* What getopt found wrong with `word`, in our words. */
static void
complain(const struct pb_command *command, int c, const char *word,
    const struct option *longs)
{
	if (c == ':') {
		pb_cli_usage("%s: option '%s' needs a value; see "
		    "'pb %s --help'", command->name, word, command->name);
		return;
	}
	for (size_t i = 0; longs[i].name != NULL; i++)
		if (optopt != 0 && longs[i].val == optopt) {
			pb_cli_usage("%s: option '--%s' takes no value",
			    command->name, longs[i].name);
			return;
		}
	/* Of a wrong letter `word` is the one before, where more follow it. */
	if (optopt == 0)
		complain_unknown(command, word, longs);
	else
		pb_cli_usage("%s: unknown option '-%c'; see 'pb %s --help'",
		    command->name, optopt, command->name);
}

/* With the nearest right one. */
static void
complain_unknown(const struct pb_command *command, const char *word,
    const struct option *longs)
{
	const char *names[PB_CLI_OPTIONS_MAX + 1], *near = NULL;
	size_t n = 0;

	for (; longs[n].name != NULL; n++)
		names[n] = longs[n].name;
	if (strncmp(word, "--", 2) == 0)
		near = pb_nearest(word + 2, names, n);
	if (near != NULL)
		pb_cli_usage("%s: unknown option '%s'; did you mean "
		    "'--%s'?", command->name, word, near);
	else
		pb_cli_usage("%s: unknown option '%s'; see 'pb %s --help'",
		    command->name, word, command->name);
}

static void
print_option(const struct pb_cli_option *row)
{
	const char *help = row->help;
	char text[LABEL_MAX];
	size_t n;

	for (label(row, text);; help += n + 1, text[0] = '\0') {
		n = strcspn(help, "\n");
		printf("  %-16s %.*s\n", text, (int)n, help);
		if (help[n] == '\0')
			break;
	}
}

/* `--stream GLOB`, `-w FILE`. */
static const char *
label(const struct pb_cli_option *row, char out[static LABEL_MAX])
{
	const char letter[2] = { row->letter, '\0' };

	snprintf(out, LABEL_MAX, "%s%s%s%s", letter[0] != '\0' ? "-" : "--",
	    letter[0] != '\0' ? letter : row->name,
	    row->value != NULL ? " " : "",
	    row->value != NULL ? row->value : "");
	return out;
}
