/*
 * cli/cmd_query.c - `pb query`: find packets
 *
 *	recorder/query/query.h -> sink
 *
 * The sink is a line a packet, a JSON object a line, or what -w names.
 */
#include "cli/common/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/common/merging.h"
#include "cli/common/select.h"
#include "cli/common/trailing.h"
#include "recorder/filter/payload.h"
#include "recorder/query/lines.h"
#include "recorder/query/output.h"
#include "recorder/query/query.h"
#include "recorder/query/trailing.h"

#define EXPLAIN_BYTES_MAX	(8u << 10)
/* The first lines go out one by one, and none waits much longer than that for
 * others that are found. */
#define LINES_ALONE		64u
#define LINES_WAIT_MS		100u

struct opts {
	struct pb_select select;
	const char	*file;		/* -w, or NULL */
	const char	*payload;	/* an expression, or NULL */
	bool		 count, json, comments, follow, reverse;
	bool		 explain, no_index, inner;
	struct pb_split	 split;
	bool		 pcap;
	struct pb_cli_trailing trailing;
	struct pb_cli_merging merging;
};

struct query {
	const struct opts *opts;
	struct pb_cli	*cli;
	struct pb_query	*query;
	struct pb_payload *payload;
	struct pb_trailing *trailing;	/* NULL: frames are as they are */
	struct pb_output *output;	/* of -w; else NULL: */
	struct pb_out	 out;
	struct pb_lines	 lines;
	uint64_t	 alone;		/* lines that went out so */
	uint64_t	 flushed_ms;
	bool		 empty;		/* no packet was put */
};

static void	init(void *);
static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	check_usage(const struct opts *);
static int	make_payload(struct query *, struct pb_err *);
static int	run_query(struct query *, const char *, struct pb_err *);
static int	open_query(struct query *, struct pb_query_opts *,
		    struct pb_err *);
static int	answer(struct query *, struct pb_err *);
static int	run_count(struct query *, struct pb_err *);
static int	explain(const struct query *, struct pb_err *);
static int	run_rounds(struct query *, struct pb_err *);
static int	one_round(struct query *, struct pb_err *);
static int	put_packet(struct query *, struct pb_cursor_packet *,
		    struct pb_err *);
static int	put_head(void *, const struct pb_head *, struct pb_err *);
static int	put_line(struct query *, const struct pb_cursor_packet *,
		    struct pb_err *);
static int	flush(struct query *, struct pb_err *);
static int	open_output(struct query *, struct pb_err *);
static int	open_sink(struct query *, struct pb_err *);
static int	close_sink(struct query *, int, struct pb_err *);
static int	close_output(struct query *, int, struct pb_err *);

#define SELECT	offsetof(struct opts, select)
#define TRAILING offsetof(struct opts, trailing)
#define MERGING	offsetof(struct opts, merging)
static const struct pb_cli_option options[] = {
	{ .help = "What to select:" },
	PB_CLI_SELECT(SELECT),
	PB_CLI_SELECT_SEQ(SELECT),
	{ "limit", 0, "N", SELECT, pb_select_limit,
	    "the first N of what the filter finds" },
	{ "reverse", 0, NULL, offsetof(struct opts, reverse), NULL,
	    "the latest first; with --limit, the last N" },
	{ "inner", 0, NULL, offsetof(struct opts, inner), NULL,
	    "ask the filter at every depth of VLAN, MPLS and PPPoE" },
	{ "payload", 0, "REGEX", offsetof(struct opts, payload), NULL,
	    "packets that carry that, as PCRE writes it; a dot is any\n"
	    "byte" },
	{ .help = "How to find it:" },
	{ "explain", 0, NULL, offsetof(struct opts, explain), NULL,
	    "tell at the end, on standard error, what the index left\n"
	    "out and what was read; with --json as an object" },
	{ "no-index", 0, NULL, offsetof(struct opts, no_index), NULL,
	    "look at each packet; it finds the same, later" },
	{ .help = "Trailers of switches, and what is under them:" },
	PB_CLI_TRAILERS(TRAILING),
	PB_CLI_STRIP_TRAILERS(TRAILING,
	    "frames as they were before the first switch, in all that\n"
	    "is printed or written; FILTER is asked of what was\n"
	    "captured; those that do not parse stay as they are"),
	{ "with-fcs", 0, NULL, TRAILING +
	    offsetof(struct pb_cli_trailing, with_fcs), NULL,
	    "with that, their original FCS behind them" },
	{ "check-fcs", 0, NULL, TRAILING +
	    offsetof(struct pb_cli_trailing, check_fcs), NULL,
	    "is the original FCS right?  Wrong ones are marked and\n"
	    "counted, and the exit status is 1 where there are some" },
	{ .help = "How to merge streams:" },
	PB_CLI_WINDOW(MERGING),
	PB_CLI_DEDUP(MERGING),
	{ .help = "What to do with it (default: a line a packet):" },
	{ "write", 'w', "FILE", offsetof(struct opts, file), NULL,
	    "write a pcapng file, `-` for standard output; FILE\n"
	    "appears when it is complete, and is compressed where\n"
	    "its name ends in .gz or .zst" },
	{ "format", 0, "FORMAT", offsetof(struct opts, pcap),
	    pb_output_format,
	    "with -w: pcapng, or pcap, which has one link type and\n"
	    "no more than times, lengths and bytes" },
	{ "split", 0, "HOW", offsetof(struct opts, split), pb_split_parse,
	    "with -w: several files, each complete, of a SIZE at\n"
	    "most, or for each TIME (UTC), or for each `stream`" },
	{ "count", 0, NULL, offsetof(struct opts, count), NULL,
	    "print their number" },
	PB_CLI_JSON(struct opts, "one JSON object a line"),
	{ "comments", 0, NULL, offsetof(struct opts, comments), NULL,
	    "with -w: each packet's way as packet comments, which\n"
	    "Wireshark shows and filters (frame.comment)" },
	{ "follow", 0, NULL, offsetof(struct opts, follow), NULL,
	    "go on with what comes, until interrupted; one FILE is\n"
	    "then written in place" },
	{ 0 },
};

const struct pb_command pb_cmd_query = {
	.name = "query",
	.summary = "Find packets: print them, count them, or write them to a "
	    "file",
	.operands = "[OPTION...] [FILTER...]",
	.before = PB_CLI_FILTER_HELP,
	.options = options,
	.opts_bytes = sizeof(struct opts),
	.after =
"Packets come in the order of their times across streams; where times are\n"
"equal, by stream, then by sequence number.  Within a stream, times that\n"
"run backwards by up to 10 ms, or --window, are put in order (less where\n"
"large packets or many streams fill the memory for it: 128 MiB, with\n"
"--window 512 MiB); packets that come later than that stay where they are\n"
"met, and with --window are counted.  A packet without a time\n"
"stamp stays behind the one before it.  --reverse turns all of it round.\n"
"With --follow, order across streams holds within what becomes durable at\n"
"the same time.  Where a recorder runs on the store, it goes first: the disk\n"
"and the processor are used when nobody else wants them.\n",
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
	const struct opts *opts = arg;
	struct query query = { .opts = opts, .cli = cli };
	struct pb_buf filter;
	int rc = check_usage(opts);

	if (rc != 0)
		return rc;
	rc = pb_cli_filter(&filter, "query", operand);
	if (rc == 0)
		rc = make_payload(&query, err);
	if (rc == 0)
		rc = run_query(&query, pb_buf_cstr(&filter), err);
	pb_payload_destroy(query.payload);
	pb_buf_finish(&filter);
	return rc;
}

/* 0, or the status of wrong usage. */
static int
check_usage(const struct opts *opts)
{
	int rc;

	if (opts->file != NULL && (opts->count || opts->json))
		return pb_cli_usage("query: -w and %s are two things to do "
		    "with the packets; give one of them",
		    opts->count ? "--count" : "--json");
	if (opts->count && opts->follow)
		return pb_cli_usage("query: --count ends, --follow does not; "
		    "give one of them");
	if (opts->reverse && opts->follow)
		return pb_cli_usage("query: --reverse begins with the latest, "
		    "--follow waits for later ones; give one of them");
	if (opts->file == NULL && (opts->pcap ||
	    opts->split.kind != PB_SPLIT_NONE))
		return pb_cli_usage("query: %s says how -w writes; give -w "
		    "FILE", opts->pcap ? "--format pcap" : "--split");
	if (opts->pcap && opts->comments)
		return pb_cli_usage("query: pcap has no place for comments; "
		    "leave out --comments or --format");
	if (opts->split.kind != PB_SPLIT_NONE && strcmp(opts->file, "-") == 0)
		return pb_cli_usage("query: --split makes several files; give "
		    "-w a name in place of `-`");
	rc = pb_cli_merging_check(&opts->merging, "query",
	    opts->reverse && !opts->count, opts->file == NULL &&
	    !opts->count);
	return rc != 0 ? rc : pb_cli_trailing_check(&opts->trailing,
	    opts->count && !opts->merging.dedup);
}

static int
make_payload(struct query *query, struct pb_err *err)
{
	int rc = query->opts->payload == NULL ? 0 : pb_payload_create(
	    &query->payload, query->opts->payload, err);

	return rc == PB_EINVAL ? pb_cli_usage("query: --payload: %s",
	    err->text) : rc;
}

static int
run_query(struct query *query, const char *filter, struct pb_err *err)
{
	struct pb_query_opts opts = {
		.store = query->cli->store,
		.select = &query->opts->select,
		.filter = filter,
		.inner = query->opts->inner,
		.payload = query->payload,
		.follow = query->opts->follow,
		.no_index = query->opts->no_index,
		.reverse = query->opts->reverse && !query->opts->count,
		.stop = &pb_cli_stop,
		.open = pb_cli_open_index,
		.close = pb_cli_close_index,
		.arg = query->cli,
	};
	struct pb_trailer_list trailers;
	bool opened, given = pb_cli_trailers_list(&query->opts->trailing,
	    &trailers);
	struct pb_repeats_opts repeats;
	int rc;

	pb_cli_merging_ask(&query->opts->merging, given ? &trailers : NULL,
	    &repeats, &opts);
	pb_cli_catch_signals();
	rc = open_query(query, &opts, err);
	opened = query->query != NULL;
	pb_cli_begun();
	if (rc == 0)
		rc = answer(query, err);
	pb_query_close(query->query);
	pb_output_close(query->output);
	pb_trailing_destroy(query->trailing);
	if (pb_cli_stopped() != 0 && !(opened && opts.follow))
		pb_cli_die(pb_cli_stopped());
	return rc;
}

/* The output as who called, the rest with the store's rights. */
static int
open_query(struct query *query, struct pb_query_opts *opts,
    struct pb_err *err)
{
	int rc = open_output(query, err);

	if (rc == 0)
		rc = pb_cli_enter(query->cli, false, err);
	if (rc < 0)
		return rc;
	opts->once = pb_cli_yield(query->cli);
	rc = pb_cli_trailing_open(&query->trailing, &query->opts->trailing,
	    query->cli->conf->node.pen, err);
	return rc < 0 ? rc : pb_query_open(&query->query, opts, err);
}

/* What it has, and what is to be said of it. */
static int
answer(struct query *query, struct pb_err *err)
{
	size_t passed_over = pb_query_passed_over(query->query);
	int rc;

	if (passed_over > 0)
		pb_cli_note("the filter says nothing of the link type of %zu "
		    "streams; they are left out", passed_over);
	rc = query->opts->count ? run_count(query, err) :
	    run_rounds(query, err);
	if (rc == 0 && query->opts->explain)
		rc = explain(query, err);
	pb_cli_merging_told(&query->opts->merging, query->query);
	if (rc == 0 && query->trailing != NULL)
		rc = pb_cli_trailing_told(&query->opts->trailing,
		    pb_trailing_counts(query->trailing));
	return rc;
}

static int
run_count(struct query *query, struct pb_err *err)
{
	uint64_t count;
	int rc = query->trailing != NULL ?
	    pb_cli_trailing_count(query->trailing, query->query, &count,
	    err) : pb_query_count(query->query, &count, err);

	if (rc == 0 && pb_cli_stopped() == 0)
		printf("%" PRIu64 "\n", count);
	return rc;
}

/* What was done, as lines or as an object of JSON, on standard error. */
static int
explain(const struct query *query, struct pb_err *err)
{
	struct pb_buf text;
	int rc = 0;

	pb_buf_init(&text, EXPLAIN_BYTES_MAX);
	if (query->opts->json)
		pb_explain_json(pb_query_explain(query->query), &text);
	else
		pb_explain_text(pb_query_explain(query->query), &text);
	if (pb_buf_cstr(&text) == NULL)
		rc = pb_err_set(err, PB_ENOMEM, "no memory to explain");
	else
		fputs(pb_buf_cstr(&text), stderr);
	pb_buf_finish(&text);
	return rc;
}

static int
run_rounds(struct query *query, struct pb_err *err)
{
	int rc = open_sink(query, err);

	if (rc < 0)
		return rc;
	rc = one_round(query, err);
	/* A file without packets still says what was looked at. */
	if (rc == 0 && query->output != NULL && query->empty)
		rc = pb_query_heads(query->query, put_head, query, err);
	while (rc >= 0 && query->opts->follow) {
		rc = flush(query, err);
		if (rc == 0)
			rc = pb_query_wait(query->query,
			    query->output != NULL ?
			    pb_output_fd(query->output) : query->out.fd, err);
		if (rc <= 0)
			break;
		rc = one_round(query, err);
	}
	return close_sink(query, rc, err);
}

static int
one_round(struct query *query, struct pb_err *err)
{
	bool whole = query->output != NULL && query->trailing == NULL;
	struct pb_cursor_packet cp;
	struct pb_run run;
	int rc;

	for (;;) {
		rc = whole ?
		    pb_query_run(query->query, UINT64_MAX, &run, err) :
		    pb_query_next(query->query, &cp, err);
		if (rc <= 0)
			return rc;
		query->empty = false;
		rc = whole ? pb_output_run(query->output, &run, err) :
		    put_packet(query, &cp, err);
		if (rc < 0)
			return rc;
	}
}

static int
put_packet(struct query *query, struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	int rc = query->trailing == NULL ? 0 : pb_trailing_packet(
	    query->trailing, cp, &query->lines.fcs, err);

	if (rc < 0)
		return rc;
	return query->output != NULL ?
	    pb_output_packet(query->output, cp, err) :
	    put_line(query, cp, err);
}

/* Of an interface without packets. */
static int
put_head(void *arg, const struct pb_head *head, struct pb_err *err)
{
	struct query *query = arg;

	if (query->trailing != NULL)
		head = pb_trailing_head(query->trailing, head, err);
	return head == NULL ? PB_ENOMEM :
	    pb_output_interface(query->output, head, err);
}

static int
put_line(struct query *query, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	uint64_t now = pb_clock_mono_ms();
	int rc;

	query->lines.repeat = pb_query_repeat(query->query);
	rc = pb_lines_packet(&query->lines, cp, err);
	if (rc < 0 || (query->alone == LINES_ALONE &&
	    now - query->flushed_ms < LINES_WAIT_MS))
		return rc;
	if (query->alone < LINES_ALONE)
		query->alone++;
	query->flushed_ms = now;
	return pb_out_flush(&query->out, err);
}

static int
flush(struct query *query, struct pb_err *err)
{
	return query->output != NULL ? pb_output_flush(query->output, err) :
	    pb_out_flush(&query->out, err);
}

/* Before the store is: the file is the caller's. */
static int
open_output(struct query *query, struct pb_err *err)
{
	const struct opts *opts = query->opts;
	struct pb_output_opts how = {
		.file = opts->file,
		.store = query->cli->store,
		.directly = opts->follow,
		.comments = opts->comments,
		.pcap = opts->pcap,
		.split = opts->split,
		.stop = &pb_cli_stop,
	};
	struct pb_owner owner;
	int rc = pb_cli_conf(query->cli, err);

	if (rc < 0 || opts->file == NULL)
		return rc;
	if (strcmp(opts->file, "-") == 0 && isatty(STDOUT_FILENO) == 1)
		return pb_err_set(err, PB_EINVAL, "query: -w - would write "
		    "binary to the terminal; redirect it or name a file");
	rc = pb_cli_owner(query->cli, &owner, err);
	return rc < 0 ? rc : pb_output_open(&query->output, &how,
	    pb_owner_is_other(&owner), err);
}

static int
open_sink(struct query *query, struct pb_err *err)
{
	const struct opts *opts = query->opts;

	query->empty = true;
	if (query->output != NULL) {
		if (opts->pcap)
			pb_cli_note("pcap keeps times, lengths and bytes; "
			    "streams, sequence numbers, drops and comments "
			    "are in pcapng alone");
		return pb_output_begin(query->output, !opts->follow &&
		    pb_query_streams(query->query) == 1, err);
	}
	pb_cli_out(&query->out);
	pb_lines_init(&query->lines, &query->out, opts->json,
	    opts->comments);
	return 0;
}

/* Flush and finish; a reader that has gone is no error. */
static int
close_sink(struct query *query, int rc, struct pb_err *err)
{
	if (query->output != NULL)
		return close_output(query, rc, err);
	if (rc >= 0)
		rc = pb_out_flush(&query->out, err);
	if (pb_out_gone(&query->out) ||
	    (rc < 0 && query->opts->follow && pb_cli_stopped() != 0))
		rc = 0;
	pb_lines_finish(&query->lines);
	pb_out_finish(&query->out);
	return rc;
}

/* What is not complete goes with the output. */
static int
close_output(struct query *query, int rc, struct pb_err *err)
{
	struct pb_output *output = query->output;
	bool stopped = pb_cli_stopped() != 0;

	if (rc >= 0 && stopped && !query->opts->follow)
		rc = pb_output_flush(output, err);
	else if (rc >= 0)
		rc = pb_output_end(output, err);
	if (pb_output_gone(output) ||
	    (rc < 0 && query->opts->follow && stopped))
		rc = 0;
	if (rc < 0 || stopped || isatty(STDERR_FILENO) != 1)
		return rc;
	if (pb_output_mixed(output))
		pb_cli_note("%s has more than one link type: "
		    "Wireshark reads it, tcpdump does not",
		    query->opts->file);
	else if (query->empty && query->opts->split.kind != PB_SPLIT_NONE)
		pb_cli_note("no packet was found, and no file written");
	return rc;
}
