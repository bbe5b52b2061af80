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
#include <string.h>

#include "base/text.h"
#include "cli/common/progress.h"
#include "cli/common/select.h"
#include "cli/common/trailing.h"
#include "cli/replay/from_file.h"
#include "cli/replay/from_store.h"
#include "cli/replay/speed.h"
#include "cli/replay/told.h"
#include "recorder/filter/filter.h"
#include "recorder/transmit/until.h"

/* Of the memory that is free, --preload takes no more than a half. */
#define PRELOAD_PART	2u
#define PRELOAD_BYTES	(UINT64_C(256) << 20)	/* where nobody says */
#define LINK_LINES_MAX	20	/* links that go down and come back */

struct opts {
	struct pb_select select;
	struct pb_ways	 ways;
	struct pb_rewrite rewrite;
	struct pb_speed	 speed;
	struct pb_cli_trailing trailing;
	const char	*file;		/* -r, or NULL */
	uint64_t	 loops;
	enum pb_engine	 engine;
	bool		 inner, preload, truncate, skip, no_spin, json;
	bool		 wait_down;
};

struct replay {
	const struct opts *opts;
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
};

static void	init(void *);
static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	check_usage(const struct opts *, bool);
static int	check_source(const struct opts *, bool);
static int	run_replay(struct replay *, struct pb_err *);
static int	open_source(struct replay *, struct pb_err *);
static int	open_file(struct replay *, struct pb_err *);
static int	read_ahead(struct replay *, struct pb_err *);
static int	transmit(struct replay *, struct pb_err *);
static int	outcome(const struct replay *, struct pb_err *);
static void	note_unmatched(const struct pb_ways *);
static void	on_tick(void *, const struct pb_transmit_report *);
static void	on_link(void *, const struct pb_way *, const struct pb_err *);
static uint64_t	preload_room(void);
/* options */
static int	take_file(void *, const char *, struct pb_err *);
static int	take_loop(void *, const char *, struct pb_err *);
static int	take_down(void *, const char *, struct pb_err *);
static int	take_engine(void *, const char *, struct pb_err *);
static int	take_dst(void *, const char *, struct pb_err *);
static int	take_src(void *, const char *, struct pb_err *);

#define SELECT	offsetof(struct opts, select)
#define WAYS	offsetof(struct opts, ways)
#define SPEED	offsetof(struct opts, speed)
#define REWRITE	offsetof(struct opts, rewrite)
#define TRAILING offsetof(struct opts, trailing)
static const struct pb_cli_option options[] = {
	{ .help = "What to send (default: what the store has):" },
	PB_CLI_SELECT(SELECT),
	PB_CLI_SELECT_SEQ(SELECT),
	{ "inner", 0, NULL, offsetof(struct opts, inner), NULL,
	    "ask the filter at every depth of VLAN, MPLS and PPPoE" },
	{ "read", 'r', "FILE", offsetof(struct opts, file), take_file,
	    "packets of a pcap or pcapng file instead, `-` for\n"
	    "standard input, which goes out as it comes" },
	{ "limit", 0, "N", SELECT, pb_select_limit,
	    "N packets in all, loops included" },
	{ "loop", 0, "N", offsetof(struct opts, loops), take_loop,
	    "N times, one after the other; 0: until interrupted" },
	{ "preload", 0, NULL, offsetof(struct opts, preload), NULL,
	    "read all of it before the first packet is sent, where\n"
	    "half of the free memory is enough" },
	{ .help = "Where to:" },
	{ "interface", 'i', "IFACE", WAYS, pb_ways_interface,
	    "the interface that all goes out of, but for --map" },
	{ "map", 0, "GLOB=IFACE", WAYS, pb_ways_map,
	    "streams whose node/interface matches go out of IFACE;\n"
	    "can be repeated, the first that matches counts" },
	{ .help = "When (default: with the distances it was captured with):" },
	{ "speed", 0, "X", SPEED, pb_speed_times,
	    "X times as fast; 0.5 is half" },
	{ "pps", 0, "N", SPEED, pb_speed_pps, "N packets a second" },
	{ "mbps", 0, "N", SPEED, pb_speed_mbps,
	    "N million bits a second, of frames without FCS, preamble\n"
	    "and gap" },
	{ "top", 0, NULL, SPEED, pb_speed_top, "as fast as it goes" },
	{ "gap-max", 0, "T", SPEED, pb_speed_gap_max,
	    "no silence is longer than T, such as 100ms or 2s" },
	{ "no-spin", 0, NULL, offsetof(struct opts, no_spin), NULL,
	    "sleep until a packet is due rather than look at the clock\n"
	    "for the last of it: less exact, and a processor less" },
	{ .help = "What does not fit:" },
	{ "truncate", 0, NULL, offsetof(struct opts, truncate), NULL,
	    "cut packets that are too long for the interface's MTU" },
	{ "skip", 0, NULL, offsetof(struct opts, skip), NULL,
	    "leave out what cannot be sent: too long, too short, or\n"
	    "not Ethernet" },
	{ "on-down", 0, "WHAT", offsetof(struct opts, wait_down), take_down,
	    "a link goes down: stop, the default, or wait for it" },
	{ .help = "As what:" },
	PB_CLI_STRIP_TRAILERS(TRAILING,
	    "as they were before the first switch that stamped them;\n"
	    "frames that do not parse go out as they are"),
	PB_CLI_TRAILERS(TRAILING),
	{ "dst-mac", 0, "MAC", REWRITE, take_dst,
	    "another destination address" },
	{ "src-mac", 0, "MAC", REWRITE, take_src,
	    "another source address" },
	{ "vlan", 0, "N", REWRITE, pb_rewrite_vlan_parse,
	    "number N in the outermost VLAN tag, or in a new one where\n"
	    "there is none; `none` takes all tags off" },
	{ .help = "How:" },
	{ "engine", 0, "ENGINE", offsetof(struct opts, engine), take_engine,
	    "auto, sendmmsg, xdp or ring" },
	PB_CLI_JSON(struct opts, "the report as a JSON object"),
	{ 0 },
};

const struct pb_command pb_cmd_replay = {
	.name = "replay",
	.summary = "Send packets out of an interface, as they came or at a "
	    "rate",
	.operands = "[OPTION...] -i IFACE [FILTER...]",
	.before = PB_CLI_FILTER_HELP,
	.options = options,
	.opts_bytes = sizeof(struct opts),
	.after =
"Sending takes the capability CAP_NET_RAW.  Packets of several streams go out\n"
"in the order of their times.  Each has its moment counted from the first\n"
"packet, so that nothing drifts; one that is earlier than the one before it,\n"
"or has no time, follows at once.  What cannot be sent is said before the\n"
"first packet where it is found in time: the first 32 MiB, and all of it with\n"
"--preload, are looked at by then.  It ends with a report: what was asked for\n"
"and reached, and how far packets were off their times.\n",
	.init = init,
	.run = run,
};

static void
init(void *arg)
{
	struct opts *opts = arg;

	pb_select_init(&opts->select);
	opts->loops = 1;
	pb_speed_init(&opts->speed);
}

static int
run(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	struct replay *replay;
	struct pb_buf filter;
	int rc = check_usage(arg, cli->conf_file != NULL ||
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

/* 0, or the status of wrong usage. */
static int
check_usage(const struct opts *opts, bool store)
{
	if (opts->ways.ways == 0)
		return pb_cli_usage("replay: no interface; give -i IFACE, or "
		    "--map STREAM=IFACE");
	if (opts->speed.given > 1)
		return pb_cli_usage("replay: --speed, --pps, --mbps and --top "
		    "are four ways to say when; give one of them");
	if (opts->speed.pace.gap_ns_max < UINT64_MAX &&
	    opts->speed.pace.kind != PB_PACE_OWN)
		return pb_cli_usage("replay: --gap-max is about the packets' "
		    "own timing; leave out --pps, --mbps or --top");
	if (opts->truncate && opts->skip)
		return pb_cli_usage("replay: --truncate and --skip are two "
		    "things to do with what is too long; give one of them");
	if ((opts->trailing.given || opts->trailing.fcs) &&
	    !opts->trailing.strip)
		return pb_cli_usage("replay: %s says what --strip-trailers "
		    "takes off; give both", opts->trailing.given ?
		    "--trailers" : "--fcs");
	if (opts->select.limit == 0)
		return pb_cli_usage("replay: --limit 0 sends nothing");
	return opts->file == NULL ? 0 : check_source(opts, store);
}

/* Of -r. */
static int
check_source(const struct opts *opts, bool store)
{
	if (store || opts->select.globs > 0 ||
	    !pb_select_whole(&opts->select))
		return pb_cli_usage("replay: -r reads a file; -c, --store, "
		    "--stream, --after, --before and --seq are about a store");
	if (opts->inner)
		return pb_cli_usage("replay: --inner asks a store; leave out "
		    "it or -r");
	if (strcmp(opts->file, "-") == 0 && opts->loops != 1 &&
	    !opts->preload)
		return pb_cli_usage("replay: standard input can be read once; "
		    "--preload keeps it for --loop");
	return 0;
}

static int
run_replay(struct replay *replay, struct pb_err *err)
{
	const struct opts *opts = replay->opts;
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
	/* What is refused before the first packet has no report. */
	if (replay->report.sent == 0 && rc < 0)
		return rc;
	if (rc == 0)
		rc = outcome(replay, err);
	told.stopped = pb_cli_stopped() != 0;
	said = pb_told_print(&told, opts->json, &why);
	note_unmatched(&replay->ways);
	if (rc == 0 && said < 0)
		*err = why;
	return rc < 0 ? rc : said;
}

/* Behind the interfaces; then the store's owner is who we are. */
static int
open_source(struct replay *replay, struct pb_err *err)
{
	const struct opts *opts = replay->opts;
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
		return pb_err_prefix(err, rc, "filter '%.200s'",
		    replay->filter);
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
	const struct opts *opts = replay->opts;
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
	const struct opts *opts = replay->opts;
	const struct pb_transmit_opts how = {
		.way = replay->ways.way,
		.ways = replay->ways.ways,
		.pace = opts->speed.pace,
		.no_spin = opts->no_spin,
		.wait_down = opts->wait_down,
		.stop = &pb_cli_stop,
		.tick = on_tick,
		.link = on_link,
		.arg = replay,
	};
	int rc;

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

/* What --preload may fill: a part of what proc_meminfo(5) calls available. */
static uint64_t
preload_room(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t room = PRELOAD_BYTES;
	unsigned long long kib;
	char line[128];

	if (file == NULL)
		return room;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			room = kib * 1024 / PRELOAD_PART;
	fclose(file);
	return room;
}

static int
take_file(void *at, const char *text, struct pb_err *err)
{
	if (*(const char **)at != NULL)
		return pb_err_set(err, PB_EINVAL, "-r: one file; 'pb import' "
		    "brings several together in a store");
	*(const char **)at = text;
	return 0;
}

static int
take_loop(void *at, const char *text, struct pb_err *err)
{
	if (pb_parse_u64(text, 0, UINT64_MAX, at, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--loop");
}

static int
take_down(void *at, const char *text, struct pb_err *err)
{
	bool wait = strcmp(text, "wait") == 0;

	if (!wait && strcmp(text, "stop") != 0)
		return pb_err_set(err, PB_EINVAL, "--on-down '%.40s': there is "
		    "wait and stop", text);
	*(bool *)at = wait;
	return 0;
}

static int
take_engine(void *at, const char *text, struct pb_err *err)
{
	if (pb_engine_parse(at, text, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--engine");
}

static int
take_dst(void *at, const char *text, struct pb_err *err)
{
	struct pb_rewrite *rewrite = at;

	if (pb_mac_parse(&rewrite->dst, text, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--dst-mac");
}

static int
take_src(void *at, const char *text, struct pb_err *err)
{
	struct pb_rewrite *rewrite = at;

	if (pb_mac_parse(&rewrite->src, text, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--src-mac");
}
