/*
 * cli/common/command.h - a command of `pb`, and the options that it takes
 *
 * A command is one constant: its name, what it does, its words for people
 * and the table of its options, from which they are parsed and the usage and
 * help are printed.  tests/unit/test_command.c compares the completion
 * (pb.bash) and the page (docs/man/pb.1) with it.
 */
#ifndef PB_CLI_COMMAND_H
#define PB_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct pb_cli;

#define PB_CLI_OPTIONS_MAX	40	/* of a command */

/* A row; one without a name is a heading in the help, one without both ends
 * the table. */
struct pb_cli_option {
	const char	*name;		/* without its dashes */
	char		 letter;	/* of its short form, by which the help
					 * calls it; 0: none */
	const char	*value;		/* its word in the help; NULL: none */
	size_t		 at;		/* where it is in the command's options:
					 * a bool, or a const char *, */
	/* ... or what this puts the value into.  0, or PB_EINVAL. */
	int		(*take)(void *at, const char *value,
			    struct pb_err *err);
	const char	*help;		/* lines without margin or last '\n' */
};

struct pb_command {
	const char	*name;
	const char	*summary;	/* one line, for `pb help` */
	/* Of the usage line.  NULL: none are taken; "": it looks itself.
	 * In place of both the usage has the options. */
	const char	*operands;
	/* The options in the help: whole lines, or NULL. */
	const char	*before, *after;
	const struct pb_cli_option *options;
	size_t		 opts_bytes;	/* of its options, zeroed, then */
	void		(*init)(void *opts);	/* where it is not NULL */
	/* `operand` ends with NULL.  The exit status, or an error. */
	int		(*run)(struct pb_cli *cli, void *opts, char **operand,
			    struct pb_err *err);
};

/* Options of commands that know no others. */
struct pb_plain_opts {
	bool		 json;
	const char	*stream;	/* a glob, or NULL */
};
#define PB_CLI_JSON(opts, words) \
	{ "json", 0, NULL, offsetof(opts, json), NULL, words }
#define PB_CLI_STREAM(opts) \
	{ "stream", 0, "GLOB", offsetof(opts, stream), NULL, \
	    "only streams whose node/interface matches" }
extern const struct pb_cli_option pb_cli_options_json[];
extern const struct pb_cli_option pb_cli_options_stream_json[];

/* Parse argv[1] and so on, and run: the exit status. */
int	pb_command_run(const struct pb_command *command, struct pb_cli *cli,
	    int argc, char **argv);

/* Prints usage, summary and help of a command on standard output. */
void	pb_command_help(const struct pb_command *command);

#endif
