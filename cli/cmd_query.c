/*
 * cli/cmd_query.c - `pb query`: find packets
 *
 *	index -> search (streams, cursors, filter) -> merge by time -> sink
 *
 * The sink is a line a packet, a JSON object a line, or a pcapng file.  A
 * query is one round of the search; --follow goes on with a round whenever
 * the index has grown.
 */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"
#include "recorder/query/export.h"
#include "recorder/query/lines.h"
#include "base/out.h"
#include "recorder/query/search.h"
#include "recorder/query/select.h"
#include "recorder/query/target.h"
#include "recorder/store/home.h"
#include "recorder/store/read/segment_file.h"

#define FILTER_BYTES_MAX	(64u << 10)
#define FOLLOW_POLL_MS		50
#define HOME_MS			1000	/* between looks whether it is there */
/* Interfaces of a file without packets: the first so many streams. */
#define EMPTY_INTERFACES_MAX	256u

struct query {
	struct pb_cli	*cli;
	/* what was asked for */
	struct pb_select select;
	struct pb_buf	 filter;
	const char	*file;		/* -w, or NULL */
	bool		 count, json, comments, follow;
	/* while it runs */
	struct pb_index	*index;		/* NULL while it is waited for */
	struct pb_search *search;
	struct pb_out	 out;
	struct pb_target target;
	struct pb_lines	 lines;
	struct pb_export *export;	/* of -w */
	uint64_t	 left;		/* of --limit */
	uint64_t	 packets;
	uint32_t	 interfaces;	/* of an empty file, */
	uint16_t	 linktype;	/* and their type */
	uint64_t	 commits;	/* of the index, before the round; 0:
					 * a round in any case */
	struct pb_home	 home;		/* of the index, with --follow */
	uint64_t	 home_ms;	/* when it is looked at again */
};

static int	parse(struct query *, const struct pb_command *, int,
		    char **);
static int	parse_option(struct query *, int, uint64_t, struct pb_err *);
static int	parse_filter(struct query *, int, char **);
static int	run(struct query *, struct pb_err *);
static int	run_count(struct query *, struct pb_err *);
static int	run_rounds(struct query *, struct pb_err *);
static int	one_round(struct query *, struct pb_err *);
static int	put_packet(struct query *, const struct pb_cursor_packet *,
		    struct pb_err *);
static int	open_target(struct query *, struct pb_err *);
static int	check_home(struct query *, struct pb_err *);
static int	wait_for_more(struct query *, struct pb_err *);
static int	look_for_index(struct query *, struct pb_err *);
static int	leave_index(struct query *, struct pb_err *);
static int	enter_index(struct query *, struct pb_err *);
static int	open_sink(struct query *, struct pb_err *);
static int	close_sink(struct query *, int, struct pb_err *);
static int	add_interface(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	read_head(struct query *, const struct pb_stream_info *,
		    struct pb_head **, struct pb_err *);

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
	int rc;

	pb_cli_catch_signals();
	query->left = query->select.limit;
	query->target.fd = query->home.fd = -1;
	rc = open_target(query, err);
	if (rc == 0)
		rc = pb_cli_enter(query->cli, false, err);
	if (rc == 0)
		rc = pb_home_init(&query->home, query->cli->store,
		    PB_HOME_INDEX, err);
	/* Before it is opened: were it replaced in between, the next look
	 * would find another file. */
	if (rc == 0)
		(void)pb_home_enter(&query->home, NULL);
	if (rc == 0)
		rc = pb_cli_index(query->cli, &query->index, err);
	if (rc < 0) {
		pb_target_abandon(&query->target);
		pb_home_leave(&query->home);
		return rc;
	}
	query->commits = pb_index_commits(query->index);
	rc = pb_search_create(&query->search, query->index,
	    query->cli->store, &query->select, pb_buf_cstr(&query->filter),
	    &pb_cli_stop, err);
	if (rc == 0 && pb_search_passed_over(query->search) > 0)
		pb_cli_note("the filter says nothing of the link type of %zu "
		    "streams; they are left out",
		    pb_search_passed_over(query->search));
	if (rc == 0)
		rc = query->count ? run_count(query, err) :
		    run_rounds(query, err);
	pb_search_destroy(query->search);
	pb_index_close(query->index);
	pb_target_abandon(&query->target);	/* one that was not begun */
	pb_home_leave(&query->home);
	if (pb_cli_stopped() != 0 && !query->follow)
		pb_cli_die(pb_cli_stopped());
	return rc;
}

static int
run_count(struct query *query, struct pb_err *err)
{
	uint64_t count;
	int rc = pb_search_count(query->search, query->left, &count, err);

	if (rc == 0)
		rc = check_home(query, err);
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
	if (rc == 0 && query->export != NULL && query->packets == 0)
		rc = pb_streams_each(query->index, NULL, add_interface, query,
		    err);
	while (rc >= 0 && query->follow && query->left > 0) {
		rc = pb_out_flush(&query->out, err);
		if (rc == 0)
			rc = wait_for_more(query, err);
		if (rc <= 0)
			break;
		rc = pb_search_round(query->search, err);
		if (rc == 0)
			rc = one_round(query, err);
	}
	return close_sink(query, rc, err);
}

static int
one_round(struct query *query, struct pb_err *err)
{
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	size_t lane;
	int rc = pb_search_merge(query->search, &merge, err);

	while (rc == 0 && query->left > 0 && pb_cli_stopped() == 0) {
		rc = pb_merge_next(merge, &cp, &lane, err);
		if (rc <= 0)
			break;
		rc = put_packet(query, &cp, err);
		pb_search_dealt(query->search, lane, cp.seq);
	}
	pb_merge_destroy(merge);
	/* A segment that is not there has expired; or all of it is gone. */
	if (pb_home_same(&query->home) || pb_out_gone(&query->out))
		return rc;
	if (!query->follow)
		return rc < 0 ? rc : check_home(query, err);
	/* Then it is waited for, and the next round goes on from here. */
	pb_search_cut_short(query->search);
	query->commits = 0;
	return 0;
}

static int
check_home(struct query *query, struct pb_err *err)
{
	if (pb_home_same(&query->home))
		return 0;
	return pb_err_set(err, PB_ESYS, "query: the index of the store %.300s "
	    "%s while it was read: what was found is not all",
	    query->cli->store, pb_home_why(&query->home));
}

static int
put_packet(struct query *query, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	query->left--;
	query->packets++;
	if (query->export != NULL)
		return pb_export_packet(query->export, cp, err);
	return pb_lines_packet(&query->lines, cp, err);
}

/*
 * Until the index has grown since the last round began, or another one is
 * there: 1.  0 after a signal, or when whoever reads our output has gone,
 * which poll(2) tells without a write.
 */
static int
wait_for_more(struct query *query, struct pb_err *err)
{
	struct pollfd fd = { .fd = query->out.fd };
	uint64_t commits;
	int rc;

	while (pb_cli_stopped() == 0) {
		if (poll(&fd, 1, FOLLOW_POLL_MS) > 0 &&
		    (fd.revents & (POLLERR | POLLNVAL)) != 0)
			return 0;
		rc = look_for_index(query, err);
		if (rc != 0)
			return rc;
		if (query->index == NULL)
			continue;
		commits = pb_index_commits(query->index);
		if (commits != query->commits) {
			query->commits = commits;
			return pb_cli_stopped() == 0;
		}
	}
	return 0;
}

/*
 * Once a second: is the index that is read still the store's?  1 where
 * another one is, which is read from now on; 0, also where there is none and
 * it is waited for; or an error.
 */
static int
look_for_index(struct query *query, struct pb_err *err)
{
	uint64_t now_ms = pb_clock_mono_ms();
	int rc = 0;

	if (now_ms < query->home_ms)
		return 0;
	query->home_ms = now_ms + HOME_MS;
	if (query->index != NULL && pb_home_same(&query->home))
		return 0;
	if (query->index != NULL) {
		pb_cli_note("the index of the store %s %s: waiting for it, or "
		    "for another one there", query->cli->store,
		    pb_home_why(&query->home));
		rc = leave_index(query, err);
	}
	return rc < 0 ? rc : enter_index(query, err);
}

/* Nothing of a store that was unmounted stays open. */
static int
leave_index(struct query *query, struct pb_err *err)
{
	int rc = pb_search_leave(query->search, err);

	pb_index_close(query->index);
	query->index = NULL;
	pb_home_leave(&query->home);
	pb_below_park(query->cli->store);
	return rc;
}

/* 1, 0 where none can be opened yet, or an error. */
static int
enter_index(struct query *query, struct pb_err *err)
{
	struct pb_index *index;
	struct pb_err why;
	int rc;

	/* Another one may be another user's. */
	if (pb_below_renew(query->cli->store, NULL) < 0 ||
	    pb_cli_enter(query->cli, false, &why) < 0 ||
	    pb_home_enter(&query->home, NULL) < 0 ||
	    pb_index_open(&index, query->cli->store, NULL) < 0) {
		pb_home_leave(&query->home);
		pb_below_park(query->cli->store);
		return 0;
	}
	rc = pb_search_enter(query->search, index, err);
	if (rc < 0) {
		pb_index_close(index);
		return rc;
	}
	query->index = index;
	query->commits = pb_index_commits(index);
	return 1;
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
	opts.single = pb_search_streams(query->search) == 1 &&
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

/* A file without packets still says what was looked at. */
static int
add_interface(void *arg, const struct pb_stream_info *info,
    struct pb_err *err)
{
	struct query *query = arg;
	struct pb_head *head;
	int rc;

	if (!pb_select_named(&query->select, info))
		return 0;
	/* Of one link type, so that tcpdump reads the file as well. */
	if (query->interfaces > 0 && info->linktype != query->linktype)
		return 0;
	if (query->interfaces++ == EMPTY_INTERFACES_MAX)
		return 1;
	query->linktype = info->linktype;
	rc = read_head(query, info, &head, err);
	if (rc <= 0)
		return rc;
	rc = pb_export_interface(query->export, head, err);
	pb_head_unref(head);
	return rc;
}

/* The head of the first segment that the stream still has: 1,
 * 0 where it has none any more, or an error. */
static int
read_head(struct query *query, const struct pb_stream_info *info,
    struct pb_head **out, struct pb_err *err)
{
	struct pb_segment_info segment;
	uint8_t *bytes;
	size_t used;
	ssize_t got;
	int fd, rc;

	rc = pb_index_segments(query->index, info->id, 0, &segment, 1, err);
	if (rc <= 0 || segment.header_bytes > PB_HEAD_BYTES_MAX)
		return rc < 0 ? rc : 0;
	fd = pb_segment_open_file(query->cli->store, &info->key,
	    segment.first_seq, err);
	if (fd < 0)
		return fd == PB_ENOENT ? 0 : fd;
	bytes = malloc(segment.header_bytes + 1u);
	if (bytes == NULL) {
		close(fd);
		return pb_err_set(err, PB_ENOMEM, "no memory for a head");
	}
	got = pb_pread_all(fd, bytes, segment.header_bytes, 0, err);
	rc = got < 0 ? (int)got :
	    pb_head_parse(out, bytes, (size_t)got, &used, err);
	free(bytes);
	close(fd);
	return rc < 0 ? rc : 1;
}
