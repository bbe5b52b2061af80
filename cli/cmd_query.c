/*
 * cli/cmd_query.c - `pb query`: find packets
 *
 *	recorder/query/query.h -> sink
 *
 * The sink is a line a packet, a JSON object a line, or a pcapng file.
 */
#include "cli/common/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/filter/payload.h"
#include "recorder/query/export.h"
#include "recorder/query/lines.h"
#include "recorder/query/query.h"
#include "recorder/query/target.h"

#define EXPLAIN_BYTES_MAX	(8u << 10)

struct opts {
	struct pb_select select;
	const char	*file;		/* -w, or NULL */
	const char	*payload;	/* an expression, or NULL */
	bool		 count, json, comments, follow, reverse;
	bool		 explain, no_index, inner;
};

struct query {
	const struct opts *opts;
	struct pb_cli	*cli;
	struct pb_query	*query;
	struct pb_payload *payload;
	struct pb_out	 out;
	struct pb_target target;
	struct pb_lines	 lines;
	struct pb_export *export;	/* of -w */
	bool		 empty;		/* no packet was put */
};

static void	init(void *);
static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	make_payload(struct query *, struct pb_err *);
static int	run_query(struct query *, const char *, struct pb_err *);
static int	run_count(struct query *, struct pb_err *);
static int	explain(const struct query *, struct pb_err *);
static int	run_rounds(struct query *, struct pb_err *);
static int	one_round(struct query *, struct pb_err *);
static int	open_target(struct query *, struct pb_err *);
static int	open_index(void *, struct pb_index **, struct pb_err *);
static void	close_index(void *, struct pb_index *, const char *);
static int	open_sink(struct query *, struct pb_err *);
static int	close_sink(struct query *, int, struct pb_err *);
static int	put_head(void *, const struct pb_head *, struct pb_err *);

#define SELECT	offsetof(struct opts, select)
static const struct pb_cli_option options[] = {
	{ .help = "What to select:" },
	{ "stream", 0, "GLOB", SELECT, pb_select_stream,
	    "streams whose node/interface matches; can be repeated" },
	{ "after", 0, "T", SELECT, pb_select_after,
	    "packets of that time or later: RFC 3339, seconds since" },
	{ "before", 0, "T", SELECT, pb_select_before,
	    "1970, or -5m for five minutes ago; packets before T" },
	{ "seq", 0, "A-B", SELECT, pb_select_seq,
	    "sequence numbers, both included; also A- and A" },
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
	{ .help = "What to do with it (default: a line a packet):" },
	{ "write", 'w', "FILE", offsetof(struct opts, file), NULL,
	    "write a pcapng file, `-` for standard output; FILE\n"
	    "appears when it is complete" },
	{ "count", 0, NULL, offsetof(struct opts, count), NULL,
	    "print their number" },
	PB_CLI_JSON(struct opts, "one JSON object a line"),
	{ "comments", 0, NULL, offsetof(struct opts, comments), NULL,
	    "with -w: each packet's way as packet comments, which\n"
	    "Wireshark shows and filters (frame.comment)" },
	{ "follow", 0, NULL, offsetof(struct opts, follow), NULL,
	    "go on with what comes, until interrupted; a pcapng\n"
	    "FILE is then written in place" },
	{ 0 },
};

const struct pb_command pb_cmd_query = {
	.name = "query",
	.summary = "Find packets: print them, count them, or write them to a "
	    "file",
	.operands = "[OPTION...] [FILTER...]",
	.before =
"FILTER is a tcpdump filter (pcap-filter(7)), quoted or not; options and\n"
"its words can be mixed, and -- ends the options.\n",
	.options = options,
	.opts_bytes = sizeof(struct opts),
	.after =
"Packets come in the order of their times across streams; where times are\n"
"equal, by stream, then by sequence number.  Within a stream, times that\n"
"run backwards by up to 10 ms and 8192 packets (fewer where large packets\n"
"or many streams fill the memory for it) are put in order; packets that\n"
"come later than that stay where they are met.  A packet without a time\n"
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
	struct query query = { .opts = opts, .cli = cli, .target.fd = -1 };
	struct pb_buf filter;
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
	rc = pb_cli_filter(&filter, "query", operand);
	if (rc == 0)
		rc = make_payload(&query, err);
	if (rc == 0)
		rc = run_query(&query, pb_buf_cstr(&filter), err);
	pb_payload_destroy(query.payload);
	pb_buf_finish(&filter);
	return rc;
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
		.open = open_index,
		.close = close_index,
		.arg = query->cli,
	};
	size_t passed_over;
	bool opened;
	int rc;

	pb_cli_catch_signals();
	rc = open_target(query, err);
	if (rc == 0)
		rc = pb_cli_enter(query->cli, false, err);
	if (rc == 0)
		pb_cli_yield(query->cli);
	if (rc == 0)
		rc = pb_query_open(&query->query, &opts, err);
	opened = query->query != NULL;
	if (rc == 0) {
		passed_over = pb_query_passed_over(query->query);
		if (passed_over > 0)
			pb_cli_note("the filter says nothing of the link type "
			    "of %zu streams; they are left out", passed_over);
		rc = query->opts->count ? run_count(query, err) :
		    run_rounds(query, err);
		if (rc == 0 && query->opts->explain)
			rc = explain(query, err);
	}
	pb_query_close(query->query);
	pb_target_abandon(&query->target);	/* one that was not begun */
	if (opened && pb_cli_stopped() != 0 && !opts.follow)
		pb_cli_die(pb_cli_stopped());
	return rc;
}

static int
run_count(struct query *query, struct pb_err *err)
{
	uint64_t count;
	int rc = pb_query_count(query->query, &count, err);

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
	if (rc == 0 && query->export != NULL && query->empty)
		rc = pb_query_heads(query->query, put_head, query->export,
		    err);
	while (rc >= 0 && query->opts->follow) {
		rc = pb_out_flush(&query->out, err);
		if (rc == 0)
			rc = pb_query_wait(query->query, query->out.fd, err);
		if (rc <= 0)
			break;
		rc = one_round(query, err);
	}
	return close_sink(query, rc, err);
}

static int
one_round(struct query *query, struct pb_err *err)
{
	struct pb_cursor_packet cp;
	int rc;

	while ((rc = pb_query_next(query->query, &cp, err)) > 0) {
		query->empty = false;
		rc = query->export != NULL ?
		    pb_export_packet(query->export, &cp, err) :
		    pb_lines_packet(&query->lines, &cp, err);
		if (rc < 0)
			break;
	}
	return rc;
}

static int
open_index(void *arg, struct pb_index **out, struct pb_err *err)
{
	return pb_cli_index(arg, out, err);
}

static void
close_index(void *arg, struct pb_index *index, const char *why)
{
	const struct pb_cli *cli = arg;

	if (why != NULL)
		pb_cli_note("the index of the store %s %s: waiting for it, or "
		    "for another one there", cli->store, why);
	pb_index_close(index);
}

/* Before the store is: the file is the caller's. */
static int
open_target(struct query *query, struct pb_err *err)
{
	struct pb_owner owner;
	int rc = pb_cli_conf(query->cli, err);

	if (rc < 0 || query->opts->file == NULL)
		return rc;
	if (strcmp(query->opts->file, "-") == 0 && isatty(STDOUT_FILENO) == 1)
		return pb_err_set(err, PB_EINVAL, "query: -w - would write "
		    "binary to the terminal; redirect it or name a file");
	rc = pb_cli_owner(query->cli, &owner, err);
	if (rc == 0)
		rc = pb_target_open(&query->target, query->opts->file,
		    query->cli->store, query->opts->follow, err);
	if (rc == 0 && pb_owner_is_other(&owner))
		rc = pb_target_keep(&query->target, err);
	return rc;
}

static int
open_sink(struct query *query, struct pb_err *err)
{
	const struct opts *opts = query->opts;
	struct pb_export_opts how = { .comments = opts->comments,
	    .single = pb_query_streams(query->query) == 1 && !opts->follow };
	int rc;

	query->empty = true;
	if (opts->file == NULL) {
		pb_cli_out(&query->out);
		pb_lines_init(&query->lines, &query->out, opts->json,
		    opts->comments);
		return 0;
	}
	rc = pb_target_begin(&query->target, err);
	if (rc < 0)
		return rc;
	pb_out_init(&query->out, query->target.fd,
	    strcmp(opts->file, "-") == 0 ? "standard output" : opts->file,
	    &pb_cli_stop);
	rc = pb_export_create(&query->export, &query->out, &how, err);
	if (rc < 0)
		pb_target_abandon(&query->target);
	return rc;
}

/* Flush and finish, or take back; a reader that has gone is no error. */
static int
close_sink(struct query *query, int rc, struct pb_err *err)
{
	if (rc >= 0 && query->export != NULL)
		rc = pb_export_end(query->export, err);
	if (rc >= 0)
		rc = pb_out_flush(&query->out, err);
	if (pb_out_gone(&query->out) ||
	    (rc < 0 && query->opts->follow && pb_cli_stopped() != 0))
		rc = 0;
	if (query->opts->file == NULL) {
		pb_lines_finish(&query->lines);
	} else if (rc == 0 && (pb_cli_stopped() == 0 || query->opts->follow)) {
		rc = pb_target_commit(&query->target, err);
		if (pb_export_mixed(query->export) &&
		    isatty(STDERR_FILENO) == 1)
			pb_cli_note("%s has more than one link type: "
			    "Wireshark reads it, tcpdump does not",
			    query->opts->file);
	} else {
		pb_target_abandon(&query->target);
	}
	pb_export_destroy(query->export);
	pb_out_finish(&query->out);
	return rc;
}

static int
put_head(void *arg, const struct pb_head *head, struct pb_err *err)
{
	return pb_export_interface(arg, head, err);
}
