/*
 * cli/common/cli.c - what the commands of `pb` share
 */
#include "cli/common/cli.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/below.h"
#include "base/rot.h"
#include "base/text.h"
#include "recorder/filter/filter.h"
#include "recorder/store/index/mdb_probe.h"
#include "recorder/store/lock.h"
#include "recorder/store/mend/rebuild.h"

#define YIELD_NICE	10
#define PREFIX		"pb: "
#define WORDS_MAX	(PB_ERR_TEXT_MAX + PATH_MAX)
/* A busy machine is given a second chance. */
#define OPEN_S_MAX	(2 * PB_MDB_PROBE_S)

static atomic_int stopped;	/* the signal; threads ask as well */
static atomic_bool begun;

static bool	stop_asked(void *);
static void	name_of_host(char[static PB_NAME_BYTES_MAX + 1]);
static int	watch_index(const struct pb_cli *, struct pb_err *);
static void	on_signal(int);
static void	vcomplain(const char *, const char *, va_list);

const struct pb_stop pb_cli_stop = { .asked = stop_asked };

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
	rc = pb_cli_read_index(cli, out, err);
	if (rc == PB_ENOENT)
		return pb_err_set(err, rc, "there is no store in %s yet; "
		    "pb-recorder or 'pb import' makes one", cli->store);
	return rc;
}

int
pb_cli_read_index(const struct pb_cli *cli, struct pb_index **out,
    struct pb_err *err)
{
	int rc = watch_index(cli, err);

	if (rc < 0)
		return rc;
	pb_rot_patience(OPEN_S_MAX);
	rc = pb_index_open(out, cli->store, err);
	pb_rot_patience(0);
	/* With segments and without an index it is a store all the same. */
	if (rc == PB_ENOENT && pb_rebuild_needed(cli->store, err) < 0)
		rc = err->code;
	if (rc == PB_EFORMAT && strstr(err->text, "pb reindex") == NULL)
		return pb_err_prefix(err, rc, "the index cannot be read, and "
		    "`pb reindex` makes it again, or pb-recorder when it "
		    "starts");
	return rc;
}

int
pb_cli_open_index(void *arg, struct pb_index **out, struct pb_err *err)
{
	struct pb_cli *cli = arg;
	int rc = cli->waits ? pb_index_readable(cli->store, err) : 0;

	if (rc == 0)
		rc = pb_cli_index(cli, out, err);
	if (rc == 0) {
		cli->waits = cli->told = false;
	} else if (cli->waits && !cli->told && rc != PB_ENOENT) {
		pb_cli_note("%s: waiting until it can be read", err->text);
		cli->told = true;
	}
	return rc;
}

void
pb_cli_close_index(void *arg, struct pb_index *index, const char *why)
{
	struct pb_cli *cli = arg;

	cli->waits = why != NULL;
	if (cli->waits)
		pb_cli_note("the index of the store %s %s: waiting for it, or "
		    "for another one there", cli->store, why);
	pb_index_close(index);
}

bool
pb_cli_yield(const struct pb_cli *cli)
{
	pid_t pid;

	if (pb_lock_held(cli->store, "recorder.lock", &pid) == PB_LOCK_FREE)
		return false;
	/* Neither is worth a word if it fails.  Who was behind already stays
	 * there: root would come to the front. */
	if (getpriority(PRIO_PROCESS, 0) < YIELD_NICE)
		(void)setpriority(PRIO_PROCESS, 0, YIELD_NICE);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
	    IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	return true;
}

int
pb_cli_filter(struct pb_buf *filter, const char *command, char **word)
{
	pb_buf_init(filter, PB_CLI_FILTER_BYTES_MAX);
	for (size_t i = 0; word[i] != NULL; i++) {
		if (i > 0)
			pb_buf_str(filter, " ");
		pb_buf_str(filter, word[i]);
	}
	if (!filter->failed && pb_buf_cstr(filter) != NULL)
		return 0;
	return pb_cli_usage("%s: the filter is longer than %u bytes", command,
	    PB_CLI_FILTER_BYTES_MAX);
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
	fprintf(stderr, PREFIX "%s\n", err->text);
	return err->code == PB_EINVAL ? PB_EXIT_USAGE : PB_EXIT_FAILED;
}

int
pb_cli_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain(PREFIX, fmt, ap);
	va_end(ap);
	return PB_EXIT_USAGE;
}

void
pb_cli_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain(PREFIX "note: ", fmt, ap);
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

void
pb_cli_begun(void)
{
	begun = true;
}

int
pb_cli_stopped(void)
{
	return stopped;
}

_Noreturn void
pb_cli_die(int sig)
{
	signal(sig, SIG_DFL);
	raise(sig);
	_exit(128 + sig);
}

/* Of the one store that a command reads; the words stay. */
static int
watch_index(const struct pb_cli *cli, struct pb_err *err)
{
	static char path[PATH_MAX], rotten[WORDS_MAX], stuck[WORDS_MAX];
	int rc = pb_layout_path(path, cli->store, "index", err);

	if (rc < 0)
		return rc;
	snprintf(rotten, sizeof(rotten), PREFIX PB_INDEX_ROTTEN_TEXT "\n",
	    path);
	snprintf(stuck, sizeof(stuck), PREFIX PB_MDB_STUCK_TEXT "\n", path);
	pb_rot_watch(&(struct pb_rot_words){ .path = path, .rotten = rotten,
	    .stuck = stuck, .status = PB_EXIT_FAILED });
	return 0;
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
	bool again = stopped != 0;

	stopped = sig;
	if (!pb_filter_compiling() || (begun && !again))
		return;
	pb_rot_unlink();
	/* It comes once this returns. */
	signal(sig, SIG_DFL);
	raise(sig);
}

static bool
stop_asked(void *arg)
{
	(void)arg;
	return stopped != 0;
}

/* One line, whole: standard error may be shared. */
static void
vcomplain(const char *prefix, const char *fmt, va_list ap)
{
	char text[WORDS_MAX];

	vsnprintf(text, sizeof(text), fmt, ap);
	fflush(stdout);
	fprintf(stderr, "%s%s\n", prefix, text);
}
