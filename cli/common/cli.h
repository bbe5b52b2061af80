/*
 * cli/common/cli.h - what the commands of `pb` share
 *
 * A command (cli/common/command.h) answers with an exit status, and writes each
 * failure as one line on standard error that begins with `pb: `.
 */
#ifndef PB_CLI_CLI_H
#define PB_CLI_CLI_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/out.h"
#include "base/owner.h"
#include "conf/conf.h"
#include "recorder/store/index/index.h"

enum pb_exit {
	PB_EXIT_OK = 0,
	PB_EXIT_FAILED = 1,	/* while running */
	PB_EXIT_USAGE = 2,	/* wrong usage or configuration */
};

struct pb_cli {
	const char	*conf_file;	/* -c, or NULL */
	const char	*store_dir;	/* --store, or NULL */
	struct pb_conf	*conf;		/* owned, after pb_cli_conf() */
	char		 store[PATH_MAX]; /* absolute, after it as well */
	bool		 held;		/* the store is (base/below.h) */
	bool		 waits;		/* for an index, after one was read */
	bool		 told;		/* why that cannot be read */
};

/* Read the configuration; 0, or PB_EINVAL: a configuration that is absent
 * is wrong usage. */
int	pb_cli_conf(struct pb_cli *cli, struct pb_err *err);

/* Whose the store is, or will be: it is held from now on if it is there. */
int	pb_cli_owner(struct pb_cli *cli, struct pb_owner *owner,
	    struct pb_err *err);

/*
 * pb_cli_conf(), and from now on work on the store: root becomes its owner,
 * for good, so what only the caller may open is opened before.  PB_EACCES
 * says who may read, or `write`.  A store that is not there is no error.
 */
int	pb_cli_enter(struct pb_cli *cli, bool write, struct pb_err *err);

/* pb_cli_enter() to read, and open the store's index. */
int	pb_cli_index(struct pb_cli *cli, struct pb_index **out,
	    struct pb_err *err);

/*
 * The index of the store that was entered, to be read.  What is wrong with it
 * that ends or stops who reads it ends this process, from now on and wherever
 * it meets that, with a line and PB_EXIT_FAILED (base/rot.h).  PB_ENOENT: there
 * is none, and no segment; one that is lost is PB_EFORMAT, and what to do.
 */
int	pb_cli_read_index(const struct pb_cli *cli, struct pb_index **out,
	    struct pb_err *err);

/* Both for a struct pb_query_opts whose `arg` is the cli: pb_cli_index(), and
 * the end of it; that another one is waited for is said, and, once, that what
 * is there then cannot be read, which does not end this process. */
int	pb_cli_open_index(void *cli, struct pb_index **out,
	    struct pb_err *err);
void	pb_cli_close_index(void *cli, struct pb_index *index,
	    const char *why);

/* Where a recorder runs on the store that was entered, this process is behind
 * all others from now on: at the disk, where the I/O scheduler knows classes
 * (mq-deadline, bfq), and at the processor.  Does one? */
bool	pb_cli_yield(const struct pb_cli *cli);

#define PB_CLI_FILTER_BYTES_MAX	(64u << 10)
/* The words of a filter, joined by blanks, in `filter`, which the caller
 * finishes in any case: 0, or PB_EXIT_USAGE, and said. */
int	pb_cli_filter(struct pb_buf *filter, const char *command,
	    char **word);

/* Standard output. */
void	pb_cli_out(struct pb_out *out);

/* Print the error; the exit status it calls for. */
int	pb_cli_fail(const struct pb_err *err);
/* Print a complaint about usage; PB_EXIT_USAGE. */
int	pb_cli_usage(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* Print something worth knowing that is no error. */
void	pb_cli_note(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

/*
 * From now on SIGINT, SIGTERM and SIGHUP only set a mark, so that a
 * command can tidy up; pb_cli_stopped() is the signal's number, or 0.
 * While a filter is compiled they end the process: the first one before
 * pb_cli_begun(), that something is under way, and the second one after it.
 * pb_cli_die() ends the process by that signal.
 */
void	pb_cli_catch_signals(void);
void	pb_cli_begun(void);
int	pb_cli_stopped(void);
extern const struct pb_stop pb_cli_stop;	/* the same for a library */
_Noreturn void pb_cli_die(int sig);

#endif
