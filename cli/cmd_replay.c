/*
 * cli/cmd_replay.c - `pb replay`: packets out of an interface again
 *
 *	from_store, from_file --> ahead --> transmitter --> told
 *
 * What takes the caller's rights comes first: the store's owner may be allowed
 * neither to send nor to come before others.
 */
#include "cli/common/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "cli/common/progress.h"
#include "cli/replay/asked.h"
#include "cli/replay/from_file.h"
#include "cli/replay/from_store.h"
#include "cli/replay/told.h"
#include "recorder/filter/filter.h"
#include "recorder/transmit/until.h"

/* Of the memory that is free, --preload takes no more than a half. */
#define PRELOAD_PART	2u
#define PRELOAD_BYTES	(UINT64_C(256) << 20)	/* where nobody says */
#define LINK_LINES_MAX	20	/* links that go down and come back */

struct replay {
	const struct pb_replay_asked *opts;
	struct pb_cli	*cli;
	const char	*filter;
	struct pb_ways	 ways;
	struct pb_select select;
	struct pb_filter *compiled;	/* for a file */
	struct pb_from_store store;
	struct pb_from_file file;
	struct pb_original original;
	struct pb_ahead	*ahead;
	struct pb_transmit_report report;
	struct pb_progress progress;
	unsigned	 link_lines;
	bool		 far_told;
};

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	run_replay(struct replay *, struct pb_err *);
static int	open_source(struct replay *, struct pb_err *);
static int	open_file(struct replay *, struct pb_err *);
static int	read_ahead(struct replay *, struct pb_err *);
static int	transmit(struct replay *, struct pb_err *);
static int	outcome(const struct replay *, struct pb_err *);
static bool	is_empty(const struct pb_transmit_report *);
static void	note_unmatched(const struct pb_ways *);
static void	on_tick(void *, const struct pb_transmit_report *);
static void	on_link(void *, const struct pb_way *, const struct pb_err *);
static void	on_far(void *, uint64_t);
static uint64_t	preload_room(void);

const struct pb_command pb_cmd_replay = {
	.name = "replay",
	.summary = "Send packets out of an interface, as they came or at a "
	    "rate",
	.operands = "[OPTION...] -i IFACE [FILTER...]",
	.before = PB_CLI_FILTER_HELP,
	.options = pb_replay_options,
	.opts_bytes = sizeof(struct pb_replay_asked),
	.after =
"Sending takes the capability CAP_NET_RAW.  Packets of several streams go out\n"
"in the order of their times.  Each has its moment counted from the first\n"
"packet, so that nothing drifts; one that is earlier than the one before it,\n"
"or has no time, follows at once.  What cannot be sent is said before the\n"
"first packet where it is found in time: the first 32 MiB, and all of it with\n"
"--preload, are looked at by then.  It ends with a report: what was asked for\n"
"and reached, and how far packets were off their times.\n",
	.init = pb_replay_asked_init,
	.run = run,
};

static int
run(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	struct replay *replay;
	struct pb_buf filter;
	int rc = pb_replay_asked_check(arg, cli->conf_file != NULL ||
	    cli->store_dir != NULL);

	if (rc != 0)
		return rc;
	replay = calloc(1, sizeof(*replay));
	if (replay == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory to replay");
	replay->opts = arg;
	replay->cli = cli;
	replay->ways = replay->opts->ways;
	rc = pb_cli_filter(&filter, "replay", operand);
	if (rc == 0) {
		replay->filter = pb_buf_cstr(&filter);
		rc = run_replay(replay, err);
	}
	pb_from_store_finish(&replay->store);
	pb_from_file_finish(&replay->file);
	pb_original_finish(&replay->original);
	pb_filter_destroy(replay->compiled);
	pb_ways_close(&replay->ways);
	pb_buf_finish(&filter);
	free(replay);
	if (rc == 0 && pb_cli_stopped() != 0)
		pb_cli_die(pb_cli_stopped());
	return rc;
}

static int
run_replay(struct replay *replay, struct pb_err *err)
{
	const struct pb_replay_asked *opts = replay->opts;
	const struct pb_outlet_opts how = {
		.engine = opts->engine,
		.bulk = opts->speed.pace.kind == PB_PACE_TOP,
	};
	struct pb_told told = {
		.report = &replay->report,
		.pace = &opts->speed.pace,
		.ways = &replay->ways,
	};
	struct pb_until until;
	struct pb_err why;
	int rc, said;

	pb_cli_catch_signals();
	rc = pb_ways_open(&replay->ways, &how, opts->wait_down, err);
	pb_until_begin(&until, opts->no_spin);
	if (rc == 0)
		rc = open_source(replay, err);
	if (rc == 0)
		rc = read_ahead(replay, err);
	if (rc == 0)
		rc = transmit(replay, err);
	pb_ahead_destroy(replay->ahead);
	pb_original_told(&replay->original);
	if (replay->report.sent == 0 && rc < 0)
		return rc;
	if (rc == 0)
		rc = outcome(replay, err);
	note_unmatched(&replay->ways);
	/* What is refused before the first packet has no report. */
	if (rc < 0 && is_empty(&replay->report))
		return rc;
	told.stopped = pb_cli_stopped() != 0;
	said = pb_told_print(&told, opts->json, &why);
	if (rc == 0 && said < 0)
		*err = why;
	return rc < 0 ? rc : said;
}

/* Behind the interfaces; then the store's owner is who we are. */
static int
open_source(struct replay *replay, struct pb_err *err)
{
	const struct pb_replay_asked *opts = replay->opts;
	struct pb_original *original = &replay->original;

	original->given = pb_cli_trailers_list(&opts->trailing,
	    &original->list);
	if (opts->file != NULL)
		return open_file(replay, err);
	/* The limit is of what is sent. */
	replay->select = opts->select;
	replay->select.limit = UINT64_MAX;
	replay->store = (struct pb_from_store){
		.cli = replay->cli,
		.ways = &replay->ways,
		.select = &replay->select,
		.filter = replay->filter,
		.inner = opts->inner,
		.skip = opts->skip,
		.original = opts->trailing.strip ? original : NULL,
	};
	return pb_cli_enter(replay->cli, false, err);
}

static int
open_file(struct replay *replay, struct pb_err *err)
{
	struct pb_from_file *file = &replay->file;
	int rc = 0;

	if (replay->filter[0] != '\0')
		rc = pb_filter_create(&replay->compiled, replay->filter,
		    PB_LINKTYPE_ETHERNET, err);
	if (rc < 0)
		return rc;
	file->ways = &replay->ways;
	file->filter = replay->compiled;
	file->skip = replay->opts->skip;
	file->original = replay->opts->trailing.strip ? &replay->original :
	    NULL;
	rc = pb_capture_file_open(&file->file, replay->opts->file, err);
	if (rc == 0 && replay->opts->loops != 1 &&
	    !replay->opts->preload && !file->file.regular)
		rc = pb_err_set(err, PB_EINVAL, "%s: can be read once; "
		    "--preload keeps it for --loop", file->file.name);
	return rc;
}

static int
read_ahead(struct replay *replay, struct pb_err *err)
{
	const struct pb_replay_asked *opts = replay->opts;
	struct pb_ahead_opts how = {
		.source = { pb_from_store_begin, pb_from_store_next,
		    &replay->store },
		.way = replay->ways.way,
		.ways = replay->ways.ways,
		.rewrite = &opts->rewrite,
		.unfit = opts->truncate ? PB_UNFIT_TRUNCATE :
		    opts->skip ? PB_UNFIT_SKIP : PB_UNFIT_REFUSE,
		.loops = opts->loops,
		.limit = opts->select.limit,
		.keep_bytes = opts->preload ? preload_room() : 0,
		.stop = &pb_cli_stop,
	};
	int rc;

	if (opts->file != NULL)
		how.source = (struct pb_source){ pb_from_file_begin,
		    pb_from_file_next, &replay->file };
	rc = pb_ahead_create(&replay->ahead, &how, err);
	return rc < 0 ? rc : pb_ahead_prime(replay->ahead, err);
}

static int
transmit(struct replay *replay, struct pb_err *err)
{
	const struct pb_replay_asked *opts = replay->opts;
	const struct pb_transmit_opts how = {
		.way = replay->ways.way,
		.ways = replay->ways.ways,
		.pace = opts->speed.pace,
		.no_spin = opts->no_spin,
		.wait_down = opts->wait_down,
		.stop = &pb_cli_stop,
		.tick = on_tick,
		.link = on_link,
		.far = on_far,
		.arg = replay,
	};
	int rc;

	pb_cli_begun();
	pb_progress_begin(&replay->progress, "sending",
	    opts->select.limit < UINT64_MAX ? opts->select.limit : 0);
	replay->progress.things = true;
	rc = pb_transmit(&how, replay->ahead, &replay->report, err);
	pb_progress_end(&replay->progress);
	return rc;
}

/* That nothing was sent, or not all that was asked for, is a failure. */
static int
outcome(const struct replay *replay, struct pb_err *err)
{
	const struct pb_transmit_report *report = &replay->report;
	int rc = 0;

	if (pb_cli_stopped() != 0)
		return 0;
	if (replay->opts->file != NULL)
		rc = pb_capture_file_error(&replay->file.file, err);
	if (rc == 0 && report->sent == 0 && report->skipped > 0)
		return pb_err_set(err, PB_ENOENT, "nothing was sent: all "
		    "%" PRIu64 " packets were left out", report->skipped);
	if (rc == 0 && report->sent == 0 && report->failed == 0)
		return pb_err_set(err, PB_ENOENT, "nothing was sent: no packet "
		    "is asked for that is there");
	if (rc == 0 && report->failed > 0)
		return pb_err_set(err, PB_ESYS, "%" PRIu64 " of %" PRIu64
		    " packets were not sent", report->failed,
		    report->failed + report->sent);
	return rc;
}

static bool
is_empty(const struct pb_transmit_report *report)
{
	return report->sent == 0 && report->failed == 0 &&
	    report->skipped == 0;
}

/* A name that is wrong would send a stream the way of -i, unheard. */
static void
note_unmatched(const struct pb_ways *ways)
{
	for (size_t i = 0; i < ways->maps; i++)
		if (!ways->map[i].matched)
			pb_cli_note("--map '%.200s' matched no stream",
			    ways->map[i].glob);
}

static void
on_tick(void *arg, const struct pb_transmit_report *report)
{
	struct replay *replay = arg;

	pb_progress_at(&replay->progress, report->sent);
}

/* Lines in bounds, whatever a link does. */
static void
on_link(void *arg, const struct pb_way *way, const struct pb_err *why)
{
	struct replay *replay = arg;

	if (replay->link_lines > LINK_LINES_MAX)
		return;
	pb_progress_end(&replay->progress);
	if (replay->link_lines++ == LINK_LINES_MAX)
		pb_cli_note("of links that go down and come back no more is "
		    "said");
	else if (why != NULL)
		pb_cli_note("%s: waiting for it", why->text);
	else
		pb_cli_note("%s is up again", way->name);
}

/* As before a packet behind one of 1970: the first time only. */
static void
on_far(void *arg, uint64_t ns)
{
	struct replay *replay = arg;
	char span[PB_SPAN_TEXT_MAX];

	if (replay->far_told)
		return;
	replay->far_told = true;
	pb_progress_end(&replay->progress);
	pb_cli_note("the next packet is due in %s%s", pb_span_format(ns, span),
	    replay->opts->speed.pace.kind == PB_PACE_OWN ?
	    "; --gap-max cuts such silences" : "");
}

/* What --preload may fill. */
static uint64_t
preload_room(void)
{
	uint64_t bytes = pb_memory_available("");

	/* Of 0 bytes nothing would be kept. */
	return bytes == UINT64_MAX ? PRELOAD_BYTES : bytes / PRELOAD_PART + 1;
}
