/*
 * cli/cmd_query.c - `pb query`: find packets
 *
 *	recorder/query/query.h -> sink
 *
 * The sink is a line a packet, a JSON object a line, or a pcapng file.
 */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/query/export.h"
#include "recorder/query/lines.h"
#include "recorder/query/query.h"
#include "recorder/query/target.h"


#define FILTER_BYTES_MAX	(64u << 10)

struct query {
	struct pb_cli	*cli;
	/* what was asked for */
	struct pb_select select;
	struct pb_buf	 filter;
	const char	*file;		/* -w, or NULL */
	bool		 count, json, comments, follow;
	/* while it runs */
	struct pb_query	*query;
	struct pb_out	 out;
	struct pb_target target;
	struct pb_lines	 lines;
	struct pb_export *export;	/* of -w */
	bool		 empty;		/* no packet was put */
};

static int	parse(struct query *, const struct pb_command *, int,
		    char **);
static int	parse_option(struct query *, int, uint64_t, struct pb_err *);
static int	parse_filter(struct query *, int, char **);
static int	run(struct query *, struct pb_err *);
static int	run_count(struct query *, struct pb_err *);
static int	run_rounds(struct query *, struct pb_err *);
static int	one_round(struct query *, struct pb_err *);
static int	open_target(struct query *, struct pb_err *);
static int	open_index(void *, struct pb_index **, struct pb_err *);
static void	say_gone(void *, const char *);
static int	open_sink(struct query *, struct pb_err *);
static int	close_sink(struct query *, int, struct pb_err *);
static int	put_head(void *, const struct pb_head *, struct pb_err *);

int
pb_cmd_query(struct pb_cli *cli, const struct pb_command *command, int argc,
    char **argv)
{
	struct query *query = calloc(1, sizeof(*query));
	struct pb_err err;
	int rc, status;

	if (query == NULL) {
		pb_err_set(&err, PB_ENOMEM, "no memory for a query");
		return pb_cli_fail(&err);
	}
	query->cli = cli;
	pb_select_init(&query->select);
	pb_buf_init(&query->filter, FILTER_BYTES_MAX);
	status = parse(query, command, argc, argv);
	if (status < 0) {
		rc = run(query, &err);
		status = rc < 0 ? pb_cli_fail(&err) : PB_EXIT_OK;
	}
	pb_buf_finish(&query->filter);
	free(query);
	return status;
}

/* -1 to go on, or the exit status. */
static int
parse(struct query *query, const struct pb_command *command, int argc,
    char **argv)
{
	static const struct option longs[] = {
		{ "write", required_argument, NULL, 'w' },
		{ "count", no_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "comments", no_argument, NULL, 'C' },
		{ "follow", no_argument, NULL, 'f' },
		{ "stream", required_argument, NULL, 's' },
		{ "after", required_argument, NULL, 'A' },
		{ "before", required_argument, NULL, 'B' },
		{ "seq", required_argument, NULL, 'q' },
		{ "limit", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t now = pb_clock_real_ns();
	struct pb_err err;
	int c;

	while ((c = pb_cli_option(command, argc, argv, "w:", longs)) != -1) {
		if (c == PB_OPTION_HELP)
			return PB_EXIT_OK;
		if (c == PB_OPTION_WRONG)
			return PB_EXIT_USAGE;
		if (parse_option(query, c, now, &err) < 0)
			return pb_cli_fail(&err);
	}
	if (query->file != NULL && (query->count || query->json))
		return pb_cli_usage("query: -w and %s are two things to do "
		    "with the packets; give one of them",
		    query->count ? "--count" : "--json");
	if (query->count && query->follow)
		return pb_cli_usage("query: --count ends, --follow does not; "
		    "give one of them");
	return parse_filter(query, argc, argv);
}

static int
parse_option(struct query *query, int c, uint64_t now, struct pb_err *err)
{
	switch (c) {
	case 'w':
		query->file = optarg;
		break;
	case 'c':
		query->count = true;
		break;
	case 'j':
		query->json = true;
		break;
	case 'C':
		query->comments = true;
		break;
	case 'f':
		query->follow = true;
		break;
	case 's':
		return pb_select_stream(&query->select, optarg, err);
	case 'A':
		return pb_select_after(&query->select, optarg, now, err);
	case 'B':
		return pb_select_before(&query->select, optarg, now, err);
	case 'q':
		return pb_select_seq(&query->select, optarg, err);
	case 'l':
		return pb_select_limit(&query->select, optarg, err);
	}
	return 0;
}

/* What is left of the arguments, joined by blanks. */
static int
parse_filter(struct query *query, int argc, char **argv)
{
	for (int i = optind; i < argc; i++) {
		if (i > optind)
			pb_buf_str(&query->filter, " ");
		pb_buf_str(&query->filter, argv[i]);
	}
	if (query->filter.failed || pb_buf_cstr(&query->filter) == NULL)
		return pb_cli_usage("query: the filter is longer than %u "
		    "bytes", FILTER_BYTES_MAX);
	return -1;
}

static int
run(struct query *query, struct pb_err *err)
{
	struct pb_query_opts opts = {
		.store = query->cli->store,
		.select = &query->select,
		.filter = pb_buf_cstr(&query->filter),
		.follow = query->follow,
		.stop = &pb_cli_stop,
		.open = open_index,
		.gone = say_gone,
		.arg = query->cli,
	};
	size_t passed_over;
	int rc;

	pb_cli_catch_signals();
	query->target.fd = -1;
	rc = open_target(query, err);
	if (rc == 0)
		rc = pb_cli_enter(query->cli, false, err);
	if (rc == 0)
		rc = pb_query_open(&query->query, &opts, err);
	if (rc == 0) {
		passed_over = pb_query_passed_over(query->query);
		if (passed_over > 0)
			pb_cli_note("the filter says nothing of the link type "
			    "of %zu streams; they are left out", passed_over);
		rc = query->count ? run_count(query, err) :
		    run_rounds(query, err);
	}
	pb_query_close(query->query);
	pb_target_abandon(&query->target);	/* one that was not begun */
	if (query->query != NULL && pb_cli_stopped() != 0 && !query->follow)
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
	while (rc >= 0 && query->follow) {
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
say_gone(void *arg, const char *why)
{
	const struct pb_cli *cli = arg;

	pb_cli_note("the index of the store %s %s: waiting for it, or for "
	    "another one there", cli->store, why);
}

/* Before the store is: the file is the caller's. */
static int
open_target(struct query *query, struct pb_err *err)
{
	struct pb_owner owner;
	int rc = pb_cli_conf(query->cli, err);

	if (rc < 0 || query->file == NULL)
		return rc;
	if (strcmp(query->file, "-") == 0 && isatty(STDOUT_FILENO) == 1)
		return pb_err_set(err, PB_EINVAL, "query: -w - would write "
		    "binary to the terminal; redirect it or name a file");
	rc = pb_cli_owner(query->cli, &owner, err);
	if (rc == 0)
		rc = pb_target_open(&query->target, query->file,
		    query->cli->store, query->follow, err);
	if (rc == 0 && pb_owner_is_other(&owner))
		rc = pb_target_keep(&query->target, err);
	return rc;
}

static int
open_sink(struct query *query, struct pb_err *err)
{
	struct pb_export_opts opts = { .comments = query->comments };
	int rc;

	query->empty = true;
	if (query->file == NULL) {
		pb_cli_out(&query->out);
		pb_lines_init(&query->lines, &query->out, query->json,
		    query->comments);
		return 0;
	}
	rc = pb_target_begin(&query->target, err);
	if (rc < 0)
		return rc;
	pb_out_init(&query->out, query->target.fd,
	    strcmp(query->file, "-") == 0 ? "standard output" : query->file,
	    &pb_cli_stop);
	opts.single = pb_query_streams(query->query) == 1 &&
	    !query->follow;
	rc = pb_export_create(&query->export, &query->out, &opts, err);
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
	    (rc < 0 && query->follow && pb_cli_stopped() != 0))
		rc = 0;
	if (query->file == NULL) {
		pb_lines_finish(&query->lines);
	} else if (rc == 0 && (pb_cli_stopped() == 0 || query->follow)) {
		rc = pb_target_commit(&query->target, err);
		if (pb_export_mixed(query->export) &&
		    isatty(STDERR_FILENO) == 1)
			pb_cli_note("%s has more than one link type: "
			    "Wireshark reads it, tcpdump does not",
			    query->file);
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
