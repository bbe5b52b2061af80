/*
 * cli/cli.c - what the commands of `pb` share
 */
#include "cli/cli.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/text.h"

static volatile sig_atomic_t stopped;

static bool	stop_asked(void *);
static void	name_of_host(char[static PB_NAME_BYTES_MAX + 1]);
static void	on_signal(int);
static int	complain(const struct pb_command *, int, char **,
		    const struct option *);
static void	vcomplain(const char *, const char *, va_list);

const struct pb_stop pb_cli_stop = { .asked = stop_asked };

void
pb_cli_help(const struct pb_command *command)
{
	printf("usage: pb [-c FILE | --store DIR] %s%s%s\n\n%s.\n",
	    command->name, command->arguments[0] != '\0' ? " " : "",
	    command->arguments, command->summary);
	if (command->help[0] != '\0')
		printf("\n%s", command->help);
}

int
pb_cli_option(const struct pb_command *command, int argc, char **argv,
    const char *shorts, const struct option *longs)
{
	struct option all[PB_OPTIONS_MAX + 2];
	char letters[64];
	size_t n = 0;
	int c;

	for (; longs[n].name != NULL; n++) {
		assert(n < PB_OPTIONS_MAX);
		all[n] = longs[n];
	}
	all[n++] = (struct option){ "help", no_argument, NULL,
	    PB_OPTION_HELP };
	all[n] = (struct option){ 0 };
	snprintf(letters, sizeof(letters), ":h%s", shorts);
	opterr = 0;
	c = getopt_long(argc, argv, letters, all, NULL);
	if (c == PB_OPTION_HELP)
		pb_cli_help(command);
	if (c == '?' || c == ':')
		return complain(command, c, argv, all);
	return c;
}

int
pb_cli_plain_options(const struct pb_command *command, int argc, char **argv,
    bool *json, const char **stream)
{
	const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ stream != NULL ? "stream" : NULL, required_argument, NULL,
		    's' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = pb_cli_option(command, argc, argv, "", longs)) != -1)
		switch (c) {
		case 'j':
			*json = true;
			break;
		case 's':
			*stream = optarg;
			break;
		case PB_OPTION_HELP:
			return PB_EXIT_OK;
		default:
			return PB_EXIT_USAGE;
		}
	if (optind < argc)
		return pb_cli_usage("%s takes no argument, not '%s'",
		    command->name, argv[optind]);
	return -1;
}

int
pb_cli_conf(struct pb_cli *cli, struct pb_err *err)
{
	char path[PATH_MAX], here[PATH_MAX];
	int rc, len;

	if (cli->conf != NULL)
		return 0;
	if (cli->store_dir != NULL) {
		rc = pb_conf_for_store(&cli->conf, cli->store_dir, err);
	} else {
		rc = pb_conf_find(path, cli->conf_file, err);
		if (rc == 0 && cli->conf_file == NULL &&
		    strncmp(path, "./", 2) == 0 &&
		    isatty(STDERR_FILENO) == 1)
			pb_cli_note("the configuration is %s", path);
		if (rc == 0)
			rc = pb_conf_load(&cli->conf, path, err);
	}
	if (rc < 0) {
		err->code = PB_EINVAL;
		return PB_EINVAL;
	}
	if (cli->conf->node.name[0] == '\0')
		name_of_host(cli->conf->node.name);
	if (cli->conf->store.path[0] == '/')
		len = snprintf(cli->store, sizeof(cli->store), "%s",
		    cli->conf->store.path);
	else if (getcwd(here, sizeof(here)) == NULL)
		return pb_err_sys(err, "find the current directory");
	else
		len = snprintf(cli->store, sizeof(cli->store), "%s/%s",
		    strcmp(here, "/") == 0 ? "" : here,
		    cli->conf->store.path);
	if (len < 0 || (size_t)len >= sizeof(cli->store))
		return pb_err_set(err, PB_EINVAL,
		    "the store's path is longer than %d bytes", PATH_MAX - 1);
	return 0;
}

int
pb_cli_owner(struct pb_cli *cli, struct pb_owner *owner, struct pb_err *err)
{
	int rc;

	if (!cli->held) {
		rc = pb_below_hold(cli->store, err);
		cli->held = rc == 0;
		/* One may be made; who may not open it may see whose it is. */
		if (rc < 0 && rc != PB_ENOENT && err->sys != EACCES)
			return rc;
	}
	rc = pb_owner_safe(cli->store, err);
	return rc < 0 ? rc : pb_owner_find(owner, cli->store, err);
}

int
pb_cli_enter(struct pb_cli *cli, bool write, struct pb_err *err)
{
	struct pb_owner owner;
	int rc = pb_cli_conf(cli, err);

	if (rc == 0)
		rc = pb_cli_owner(cli, &owner, err);
	if (rc < 0)
		return rc;
	/* What is in a store is its group's to read. */
	umask(027);
	rc = pb_owner_become(&owner, err);
	if (rc == 0 && !cli->held && access(cli->store, R_OK | X_OK) < 0 &&
	    errno == EACCES)
		rc = pb_owner_denies(&owner, cli->store, write, err);
	return rc < 0 ? rc : pb_owner_allows(&owner, cli->store, write, err);
}

int
pb_cli_index(struct pb_cli *cli, struct pb_index **out, struct pb_err *err)
{
	int rc = pb_cli_enter(cli, false, err);

	if (rc < 0)
		return rc;
	rc = pb_index_readable(cli->store, err);
	if (rc < 0)
		return rc;
	rc = pb_index_open(out, cli->store, err);
	if (rc == PB_ENOENT)
		return pb_err_set(err, rc, "there is no store in %s yet; "
		    "pb-recorder or 'pb import' makes one", cli->store);
	return rc;
}

void
pb_cli_out(struct pb_out *out)
{
	pb_out_init(out, STDOUT_FILENO, "standard output", &pb_cli_stop);
}

int
pb_cli_fail(const struct pb_err *err)
{
	fflush(stdout);
	fprintf(stderr, "pb: %s\n", err->text);
	return err->code == PB_EINVAL ? PB_EXIT_USAGE : PB_EXIT_FAILED;
}

int
pb_cli_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain("pb: ", fmt, ap);
	va_end(ap);
	return PB_EXIT_USAGE;
}

void
pb_cli_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain("pb: note: ", fmt, ap);
	va_end(ap);
}

void
pb_cli_catch_signals(void)
{
	struct sigaction act;

	memset(&act, 0, sizeof(act));
	act.sa_handler = on_signal;
	sigemptyset(&act.sa_mask);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
}

int
pb_cli_stopped(void)
{
	return (int)stopped;
}

_Noreturn void
pb_cli_die(int sig)
{
	signal(sig, SIG_DFL);
	raise(sig);
	_exit(128 + sig);
}

/* The host's name as a node's: what is not allowed in one becomes `-`. */
static void
name_of_host(char out[static PB_NAME_BYTES_MAX + 1])
{
	size_t len;

	if (gethostname(out, PB_NAME_BYTES_MAX + 1) < 0)
		out[0] = '\0';
	out[PB_NAME_BYTES_MAX] = '\0';
	len = strlen(out);
	for (size_t i = 0; i < len; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
		    "WXYZ0123456789._-", out[i]) == NULL)
			out[i] = '-';
	if (!pb_name_valid(out))
		strcpy(out, "localhost");
}

static void
on_signal(int sig)
{
	stopped = sig;
}

static bool
stop_asked(void *arg)
{
	(void)arg;
	return stopped != 0;
}

/* What getopt found wrong, in our words, with the nearest right ones. */
static int
complain(const struct pb_command *command, int c, char **argv,
    const struct option *longs)
{
	const char *names[PB_OPTIONS_MAX + 2], *word = argv[optind - 1];
	const char *near = NULL;
	size_t n = 0;

	if (c == ':') {
		pb_cli_usage("%s: option '%s' needs a value; see "
		    "'pb %s --help'", command->name, word, command->name);
		return PB_OPTION_WRONG;
	}
	for (; longs[n].name != NULL; n++)
		names[n] = longs[n].name;
	for (size_t i = 0; i < n; i++)
		if (optopt != 0 && longs[i].val == optopt &&
		    strncmp(word, "--", 2) == 0) {
			pb_cli_usage("%s: option '--%s' takes no value",
			    command->name, names[i]);
			return PB_OPTION_WRONG;
		}
	if (strncmp(word, "--", 2) == 0)
		near = pb_nearest(word + 2, names, n);
	if (near != NULL)
		pb_cli_usage("%s: unknown option '%s'; did you mean "
		    "'--%s'?", command->name, word, near);
	else if (optopt != 0 && strncmp(word, "--", 2) != 0)
		pb_cli_usage("%s: unknown option '-%c'; see 'pb %s --help'",
		    command->name, optopt, command->name);
	else
		pb_cli_usage("%s: unknown option '%s'; see 'pb %s --help'",
		    command->name, word, command->name);
	return PB_OPTION_WRONG;
}

/* One line, whole: standard error may be shared. */
static void
vcomplain(const char *prefix, const char *fmt, va_list ap)
{
	char text[PB_ERR_TEXT_MAX + PATH_MAX];

	vsnprintf(text, sizeof(text), fmt, ap);
	fflush(stdout);
	fprintf(stderr, "%s%s\n", prefix, text);
}
