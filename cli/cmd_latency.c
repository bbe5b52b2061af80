/*
 * cli/cmd_latency.c - `pb latency`: how long packets take between two taps
 */
#include "cli/common/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cli/common/select.h"
#include "cli/common/trailing.h"
#include "cli/latency/files.h"
#include "cli/latency/plot.h"
#include "cli/latency/told.h"
#include "recorder/query/merge.h"
#include "recorder/query/query.h"
#include "recorder/query/seen/latency.h"
#include "recorder/query/target.h"
#include "recorder/store/layout.h"

#define TOLD_BYTES_MAX	(8u << 20)	/* each bucket, as JSON */

struct opts {
	struct pb_select select;
	const char	*from, *to, *window, *plot;
	const char	*file[PB_FILES_MAX];	/* -r */
	size_t		 files;
	bool		 inner, json;
	struct pb_cli_trailing trailing;
};

struct latency {
	const struct opts *opts;
	struct pb_cli	*cli;
	struct pb_latency_opts how;
	struct pb_latency_told told;
	struct pb_trailer_list trailers;
	struct pb_select select;
	struct pb_query	*query;		/* of the store, or */
	struct pb_files	*files;
	struct pb_latency *latency;
	struct pb_target target;	/* of --plot */
	bool		 plots;		/* it is open */
};

static void	init(void *);
static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	take_file(void *, const char *, struct pb_err *);
static int	check_usage(const struct opts *, bool);
static int	parse(struct latency *, struct pb_err *);
static int	parse_tap(struct pb_tap *, const char *, const char *,
		    struct pb_err *);
static void	choose_streams(struct latency *);
static int	run_latency(struct latency *, const char *, struct pb_err *);
static int	open_store(struct latency *, const char *, struct pb_err *);
static int	open_files(struct latency *, const char *, struct pb_err *);
static int	open_plot(struct latency *, struct pb_err *);
static bool	is_read(const struct opts *, const char *);
static int	gather(struct latency *, struct pb_err *);
static int	next_packet(struct latency *, struct pb_cursor_packet *,
		    uint64_t *, struct pb_err *);
/* what came of it */
static int	tell(struct latency *, struct pb_err *);
static int	print(const struct latency *, const struct pb_latency_report *,
		    struct pb_err *);
static int	plot(struct latency *, const struct pb_latency_report *,
		    struct pb_err *);
static int	put_buf(struct pb_out *, struct pb_buf *, struct pb_err *);
static void	notes(const struct latency *,
		    const struct pb_latency_report *);
static void	note_tap(const struct latency *, const char *, const char *,
		    const struct pb_tap *);

#define SELECT	offsetof(struct opts, select)
static const struct pb_cli_option options[] = {
	{ .help = "Between which points:" },
	{ "from", 0, "TAP", offsetof(struct opts, from), NULL,
	    "streams, as --stream names them: a packet's time there;\n"
	    "stamp:N, the N-th stamp on a packet's way; device:D or\n"
	    "device:D/P, that device's (and port's); capture, the time\n"
	    "of the node that captured it; or such a time of streams,\n"
	    "like lon1/eth0@stamp:1" },
	{ "to", 0, "TAP", offsetof(struct opts, to), NULL,
	    "likewise" },
	{ "window", 0, "T", offsetof(struct opts, window), NULL,
	    "in two streams: how long a packet is waited for, like\n"
	    "20ms (default: 1s)" },
	{ .help = "What to select:" },
	{ "read", 'r', "FILE", 0, take_file,
	    "packets of a pcap or pcapng file, `-` for standard input,\n"
	    "not of a store; can be repeated.  A TAP is then a file, or\n"
	    "an interface in one by its name or number; of two files\n"
	    "from the first to the second is meant if nothing is said" },
	PB_CLI_SELECT(SELECT),
	{ "inner", 0, NULL, offsetof(struct opts, inner), NULL,
	    "ask the filter at every depth of VLAN, MPLS and PPPoE" },
	PB_CLI_TRAILERS(offsetof(struct opts, trailing)),
	{ .help = "How to show it:" },
	PB_CLI_JSON(struct opts, "one JSON object; latencies in nanoseconds"),
	{ "plot", 0, "FILE", offsetof(struct opts, plot), NULL,
	    "a picture as well, as SVG: how often each latency was,\n"
	    "and which share of packets took no longer" },
	{ 0 },
};

const struct pb_command pb_cmd_latency = {
	.name = "latency",
	.summary = "Tell how long packets take from one tap to another, and "
	    "what is lost",
	.operands = "[OPTION...] --from TAP --to TAP [FILTER...]",
	.before = PB_CLI_FILTER_HELP,
	.options = options,
	.opts_bytes = sizeof(struct opts),
	.after =
"Two times of the same streams are compared packet by packet.  Else the same\n"
"packet is looked for in two streams by its content, as it was before the\n"
"first switch, but for the link layer's header and tags, TTL or hop limit,\n"
"the IPv4 header checksum, and padding.  Both are to capture the same bytes.\n"
"Equal packets are matched in their order; where another one could be meant,\n"
"they are counted, and their times left out.  Percentiles are within 1 %,\n"
"never below; min, max and mean are exact.\n",
	.init = init,
	.run = run,
};

static void
init(void *arg)
{
	pb_select_init(&((struct opts *)arg)->select);
}

static int
run(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	struct latency latency = { .opts = arg, .cli = cli };
	struct opts *opts = arg;
	struct pb_buf filter;
	int rc;

	if (opts->files == 2 && opts->from == NULL && opts->to == NULL) {
		opts->from = opts->file[0];
		opts->to = opts->file[1];
	}
	rc = check_usage(opts, cli->conf_file != NULL ||
	    cli->store_dir != NULL);
	if (rc == 0)
		rc = parse(&latency, err);

	if (rc != 0)
		return rc;
	rc = pb_cli_filter(&filter, "latency", operand);
	if (rc == 0)
		rc = run_latency(&latency, pb_buf_cstr(&filter), err);
	pb_buf_finish(&filter);
	return rc;
}

static int
take_file(void *at, const char *text, struct pb_err *err)
{
	struct opts *opts = at;

	if (opts->files == PB_FILES_MAX)
		return pb_err_set(err, PB_EINVAL, "-r: more than %u files; "
		    "'pb import' brings as many as there are into a store",
		    PB_FILES_MAX);
	for (size_t i = 0; i < opts->files; i++)
		if (strcmp(opts->file[i], text) == 0)
			return pb_err_set(err, PB_EINVAL, "-r %.200s: is "
			    "given twice; its packets would be each other's",
			    text);
	opts->file[opts->files++] = text;
	return 0;
}

/* 0, or the status of wrong usage. */
static int
check_usage(const struct opts *opts, bool store)
{
	if (opts->files > 0 && (store || opts->select.globs > 0))
		return pb_cli_usage("latency: -r reads files; -c, --store and "
		    "--stream are about a store");
	if (opts->files > 0 && (opts->from == NULL || opts->to == NULL))
		return pb_cli_usage("latency: is between two taps; read a "
		    "second file with -r, or give --from TAP and --to TAP: "
		    "two interfaces of the file, or two stamps of a packet, "
		    "such as --from stamp:1 --to stamp:2");
	if (opts->from == NULL || opts->to == NULL)
		return pb_cli_usage("latency: is between two taps; give "
		    "--from TAP and --to TAP, such as --from lon1/eth0 --to "
		    "par1/eth0");
	if (opts->plot != NULL && strcmp(opts->plot, "-") == 0)
		return pb_cli_usage("latency: --plot - would put the picture "
		    "behind what standard output says; name a file");
	return 0;
}

/* 0, the status of wrong usage, or an error. */
static int
parse(struct latency *latency, struct pb_err *err)
{
	const struct opts *opts = latency->opts;
	struct pb_latency_opts *how = &latency->how;
	int rc;

	how->window_ns = PB_LATENCY_WINDOW_NS;
	rc = parse_tap(&how->from, "--from", opts->from, err);
	if (rc == 0)
		rc = parse_tap(&how->to, "--to", opts->to, err);
	if (rc == 0 && opts->window != NULL &&
	    pb_parse_span(opts->window, &how->window_ns, err) < 0)
		rc = pb_err_prefix(err, PB_EINVAL, "--window");
	if (pb_cli_trailers_list(&opts->trailing, &latency->trailers))
		how->trailers = &latency->trailers;
	if (rc < 0)
		return rc;
	latency->told = (struct pb_latency_told){
		.from = opts->from,
		.to = opts->to,
		.window_ns = how->window_ns,
		.same_packet = pb_taps_join(&how->from, &how->to),
	};
	if (memcmp(&how->from, &how->to, sizeof(how->from)) == 0)
		return pb_cli_usage("latency: --from %s and --to %s are one "
		    "tap; name two", opts->from, opts->to);
	choose_streams(latency);
	return 0;
}

static int
parse_tap(struct pb_tap *tap, const char *option, const char *text,
    struct pb_err *err)
{
	return pb_tap_parse(tap, text, err) < 0 ?
	    pb_err_prefix(err, PB_EINVAL, "%s", option) : 0;
}

/* Those of the taps, where nothing else is said. */
static void
choose_streams(struct latency *latency)
{
	struct pb_select *select = &latency->select;

	*select = latency->opts->select;
	if (select->globs > 0 || latency->how.from.glob[0] == '\0')
		return;
	select->glob[select->globs++] = latency->how.from.glob;
	if (!latency->told.same_packet)
		select->glob[select->globs++] = latency->how.to.glob;
}

static int
run_latency(struct latency *latency, const char *filter, struct pb_err *err)
{
	int rc;

	pb_cli_catch_signals();
	rc = open_plot(latency, err);
	if (rc == 0)
		rc = latency->opts->files > 0 ?
		    open_files(latency, filter, err) :
		    open_store(latency, filter, err);
	if (rc == 0)
		rc = pb_latency_create(&latency->latency, &latency->how, err);
	if (rc == 0)
		rc = gather(latency, err);
	if (rc == 0 && pb_cli_stopped() == 0)
		rc = tell(latency, err);
	if (rc == 0 && latency->files != NULL)
		rc = pb_files_error(latency->files, err);
	pb_query_close(latency->query);
	pb_files_close(latency->files);
	pb_latency_destroy(latency->latency);
	if (latency->plots)
		pb_target_abandon(&latency->target);
	if (pb_cli_stopped() != 0)
		pb_cli_die(pb_cli_stopped());
	return rc;
}

static int
open_store(struct latency *latency, const char *filter, struct pb_err *err)
{
	struct pb_query_opts opts = {
		.store = latency->cli->store,
		.select = &latency->select,
		.filter = filter,
		.inner = latency->opts->inner,
		.stop = &pb_cli_stop,
		.open = pb_cli_open_index,
		.close = pb_cli_close_index,
		.arg = latency->cli,
	};
	size_t passed_over;
	int rc = pb_cli_enter(latency->cli, false, err);

	if (rc < 0)
		return rc;
	opts.once = pb_cli_yield(latency->cli);
	rc = pb_query_open(&latency->query, &opts, err);
	passed_over = rc == 0 ? pb_query_passed_over(latency->query) : 0;
	if (passed_over > 0)
		pb_cli_note("the filter says nothing of the link type of %zu "
		    "streams; they are left out", passed_over);
	return rc;
}

static int
open_files(struct latency *latency, const char *filter, struct pb_err *err)
{
	const struct pb_range *range = &latency->opts->select.range;
	const struct pb_files_opts opts = {
		.name = latency->opts->file,
		.names = latency->opts->files,
		.filter = filter,
		.inner = latency->opts->inner,
		.after_ns = range->after_ns,
		.before_ns = range->before_ns,
		.stop = &pb_cli_stop,
	};
	int rc = pb_files_open(&latency->files, &opts, err);

	latency->how.seen = pb_files_seen;
	latency->how.arg = latency->files;
	return rc;
}

/* Before the store is: the file is the caller's. */
static int
open_plot(struct latency *latency, struct pb_err *err)
{
	const char *plot = latency->opts->plot;
	bool store = latency->opts->files == 0;
	struct pb_owner owner;
	int rc = store ? pb_cli_conf(latency->cli, err) : 0;

	if (rc < 0 || plot == NULL)
		return rc;
	rc = store ? pb_cli_owner(latency->cli, &owner, err) : 0;
	if (rc == 0 && is_read(latency->opts, plot))
		rc = pb_err_set(err, PB_EINVAL, "--plot %.300s: is one of the "
		    "files that -r reads; name another", plot);
	if (rc < 0)
		return rc;
	latency->plots = true;
	rc = pb_target_open(&latency->target, plot, latency->cli->store,
	    false, err);
	if (rc == 0 && store && pb_owner_is_other(&owner))
		rc = pb_target_keep(&latency->target, err);
	return rc;
}

static bool
is_read(const struct opts *opts, const char *plot)
{
	struct stat it, other;

	if (stat(plot, &it) < 0 || !S_ISREG(it.st_mode))
		return false;
	for (size_t i = 0; i < opts->files; i++)
		if (stat(opts->file[i], &other) == 0 &&
		    other.st_dev == it.st_dev && other.st_ino == it.st_ino)
			return true;
	return false;
}

static int
gather(struct latency *latency, struct pb_err *err)
{
	struct pb_cursor_packet cp;
	uint64_t place;
	int rc;

	while ((rc = next_packet(latency, &cp, &place, err)) > 0) {
		rc = pb_latency_packet(latency->latency, &cp, place, err);
		if (rc < 0)
			break;
	}
	return rc;
}

/* And its place in the order of all: one at a time, for each has its own. */
static int
next_packet(struct latency *latency, struct pb_cursor_packet *cp,
    uint64_t *place, struct pb_err *err)
{
	struct pb_run packets;
	size_t at = 0;
	int rc;

	if (latency->files != NULL)
		return pb_files_next(latency->files, cp, place, err);
	rc = pb_query_run(latency->query, 1, &packets, err);
	if (rc <= 0)
		return rc;
	*place = packets.first_time;
	return pb_run_packet(&packets, &at, cp, err);
}

/* --- what came of it ----------------------------------------------------- */

static int
tell(struct latency *latency, struct pb_err *err)
{
	const struct pb_latency_report *report = pb_latency_end(
	    latency->latency);
	int rc = print(latency, report, err);

	if (rc == 0 && latency->plots)
		rc = plot(latency, report, err);
	notes(latency, report);
	return rc;
}

static int
print(const struct latency *latency, const struct pb_latency_report *report,
    struct pb_err *err)
{
	struct pb_out out;
	struct pb_buf buf;
	int rc;

	pb_buf_init(&buf, TOLD_BYTES_MAX);
	if (latency->opts->json)
		pb_latency_json(&latency->told, report, &buf);
	else
		pb_latency_lines(&latency->told, report, &buf);
	pb_cli_out(&out);
	rc = put_buf(&out, &buf, err);
	if (pb_out_gone(&out))
		rc = 0;
	pb_out_finish(&out);
	pb_buf_finish(&buf);
	return rc;
}

static int
plot(struct latency *latency, const struct pb_latency_report *report,
    struct pb_err *err)
{
	struct pb_target *target = &latency->target;
	struct pb_out out;
	struct pb_buf buf;
	int rc;

	pb_buf_init(&buf, PB_PLOT_BYTES_MAX);
	pb_latency_plot(&latency->told, report, &buf);
	pb_out_init(&out, target->fd, latency->opts->plot, &pb_cli_stop);
	rc = pb_target_begin(target, err);
	if (rc == 0)
		rc = put_buf(&out, &buf, err);
	if (rc == 0)
		rc = pb_target_commit(target, err);
	pb_out_finish(&out);
	pb_buf_finish(&buf);
	return rc;
}

static int
put_buf(struct pb_out *out, struct pb_buf *buf, struct pb_err *err)
{
	if (buf->failed)
		return pb_err_set(err, PB_ENOMEM, "no memory to tell "
		    "latencies");
	pb_out_put(out, buf->data, buf->len);
	return pb_out_flush(out, err);
}

/* What is worth a word only where it was. */
static void
notes(const struct latency *latency, const struct pb_latency_report *report)
{
	uint64_t late = latency->files != NULL ?
	    pb_files_late(latency->files) : pb_query_late(latency->query);

	note_tap(latency, "--from", latency->opts->from, &latency->how.from);
	note_tap(latency, "--to", latency->opts->to, &latency->how.to);
	if (latency->files != NULL && pb_files_passed_over(latency->files) > 0)
		pb_cli_note("the filter says nothing of the link type of %"
		    PRIu64 " packets; they are left out",
		    pb_files_passed_over(latency->files));
	if (late > 0 && !latency->told.same_packet)
		pb_cli_note("%" PRIu64 " packets are out of order by more than "
		    "%u ms in their %s: where --window is not longer than "
		    "they are late, they count as lost", late,
		    (unsigned)(PB_MERGE_WINDOW_NS / PB_NS_PER_MS),
		    latency->files != NULL ? "file" : "stream");
	if (report->given_up > 0)
		pb_cli_note("%" PRIu64 " packets were not waited for, and are "
		    "neither matched nor lost: %u wait at most; give a "
		    "shorter --window, or a filter", report->given_up,
		    PB_LATENCY_WAITING_MAX);
	if (report->timeless > 0)
		pb_cli_note("%" PRIu64 " packets have no such stamp, or no "
		    "time; they are in no count%s", report->timeless,
		    latency->how.trailers != NULL ? "" :
		    "; 'pb trailers' says which --trailers they may have");
	if (report->ambiguous > report->matched / 10)
		pb_cli_note("many packets are equal; a shorter --window tells "
		    "more of them apart");
	if (report->matched == 0 && report->lost > 0 && report->only_to > 0)
		pb_cli_note("no packet was at both; where clocks are further "
		    "apart than --window, give a longer one");
}

/* A name that is wrong would make all of the other's packets lost, unheard. */
static void
note_tap(const struct latency *latency, const char *option, const char *text,
    const struct pb_tap *tap)
{
	const struct pb_query *query = latency->query;
	char name[PB_STREAM_NAME_MAX];

	if (latency->files != NULL) {
		if (pb_files_error(latency->files, NULL) == 0 &&
		    !pb_files_any(latency->files, tap))
			pb_cli_note("%s %.200s is no file that is read, and no "
			    "interface in one", option, text);
		return;
	}
	for (size_t i = 0; i < pb_query_streams(query); i++)
		if (pb_tap_sees(tap, pb_stream_name(name,
		    &pb_query_stream(query, i)->key)))
			return;
	if (tap->glob[0] != '\0')
		pb_cli_note("%s %.200s is no stream with such packets; "
		    "`pb streams` lists those of the store", option, text);
}
