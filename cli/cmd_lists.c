/*
 * cli/cmd_lists.c - `pb streams`, `pb segments`, `pb gaps`: rows of the index
 */
#include "base/below.h"
#include "cli/commands.h"
#include "cli/common/cli.h"
#include "cli/common/table.h"
#include "pcapng/stamp.h"
#include "recorder/query/select.h"
#include "recorder/store/head.h"
#include "recorder/store/layout.h"
#include "recorder/store/read/segment_file.h"

struct listing {
	const char	*store, *glob;
	struct pb_index	*index;
	struct pb_table	*table;
	/* Makes the rows of a stream: `arg` is the listing. */
	int		(*each)(void *arg, const struct pb_stream_info *,
			    struct pb_err *);
};

struct stream {				/* a row */
	struct pb_stream_info info;
	char		 clock[PB_INTERFACE_TEXT_MAX];
	char		 trailers[PB_INTERFACE_TEXT_MAX];
	char		 timestamp_from[PB_INTERFACE_TEXT_MAX];
};

struct segment {			/* a row */
	struct pb_stream_key key;
	struct pb_segment_info info;
	char		 path[PATH_MAX];
	bool		 sealed;
};

struct gap {				/* a row */
	struct pb_stream_key key;
	struct pb_gap_info info;
	uint64_t	 packets;	/* that are missing */
	const char	*reason;
};

static int	run_streams(struct pb_cli *, void *, char **,
		    struct pb_err *);
static int	run_segments(struct pb_cli *, void *, char **,
		    struct pb_err *);
static int	run_gaps(struct pb_cli *, void *, char **, struct pb_err *);
static int	list(struct pb_cli *, const struct pb_plain_opts *,
		    const struct pb_column *, int (*)(void *,
		    const struct pb_stream_info *, struct pb_err *),
		    struct pb_err *);
static int	fill(void *, struct pb_table *, struct pb_err *);
static int	print_stream(void *, const struct pb_stream_info *,
		    struct pb_err *);
static void	ask_interface(const struct listing *, struct stream *);
static int	print_segments(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	find_segment(const struct listing *, struct segment *,
		    struct pb_err *);
static bool	next_gap(struct pb_rows *, struct gap *);
static bool	next_filtered(struct pb_rows *, struct gap *);
static int	print_gaps(void *, const struct pb_stream_info *,
		    struct pb_err *);

#define STREAM(member)	offsetof(struct stream, info.member)
static const struct pb_column stream_columns[] = {
	{ "node", PB_CELL_TEXT, STREAM(key.node) },
	{ "interface", PB_CELL_TEXT, STREAM(key.interface) },
	{ "epoch", PB_CELL_HEX, STREAM(key.epoch) },
	{ "first_seq", PB_CELL_U64, STREAM(first_seq) },
	{ "last_seq", PB_CELL_U64, STREAM(last_seq) },
	{ "packets", PB_CELL_U64, STREAM(packets) },
	{ "bytes", PB_CELL_SIZE, STREAM(bytes) },
	{ "dropped", PB_CELL_U64, STREAM(dropped) },
	{ "first_time", PB_CELL_TIME_MAX, STREAM(first_time) },
	{ "last_time", PB_CELL_TIME_MAX, STREAM(last_time) },
	{ "clock", PB_CELL_TEXT, offsetof(struct stream, clock) },
	{ "trailers", PB_CELL_TEXT, offsetof(struct stream, trailers) },
	{ "timestamp_from", PB_CELL_TEXT,
	    offsetof(struct stream, timestamp_from) },
	{ 0 },
};

#define SEGMENT(member)	offsetof(struct segment, member)
static const struct pb_column segment_columns[] = {
	{ "path", PB_CELL_TEXT, SEGMENT(path) },
	{ "stream", PB_CELL_STREAM, SEGMENT(key) },
	{ "epoch", PB_CELL_HEX, SEGMENT(key.epoch) },
	{ "first_seq", PB_CELL_U64, SEGMENT(info.first_seq) },
	{ "last_seq", PB_CELL_U64, SEGMENT(info.last_seq) },
	{ "packets", PB_CELL_U64, SEGMENT(info.packets) },
	{ "bytes", PB_CELL_SIZE, SEGMENT(info.bytes) },
	{ "first_time", PB_CELL_TIME_MAX, SEGMENT(info.first_time) },
	{ "last_time", PB_CELL_TIME_MAX, SEGMENT(info.last_time) },
	{ "sealed", PB_CELL_BOOL, SEGMENT(sealed) },
	{ 0 },
};

#define GAP(member)	offsetof(struct gap, member)
static const struct pb_column gap_columns[] = {
	{ "node", PB_CELL_TEXT, GAP(key.node) },
	{ "interface", PB_CELL_TEXT, GAP(key.interface) },
	{ "epoch", PB_CELL_HEX, GAP(key.epoch) },
	{ "first", PB_CELL_U64, GAP(info.first) },
	{ "last", PB_CELL_U64, GAP(info.last) },
	{ "reason", PB_CELL_WORD, GAP(reason) },
	{ "packets", PB_CELL_U64, GAP(packets) },
	{ "since", PB_CELL_TIME_MAX, GAP(info.since_ns) },
	{ "closed", PB_CELL_TIME, GAP(info.closed_ns) },
	{ 0 },
};

const struct pb_command pb_cmd_streams = {
	.name = "streams",
	.summary = "List the streams, a row each",
	.options = pb_cli_options_stream_json,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.after =
"The clock is the one that stamped the latest packets: host, adapter, or\n"
"another time stamp type of libpcap; trailers is the list that they were\n"
"captured with, and timestamp_from which stamp of it gives them their time,\n"
"where it is not the clock.\n",
	.run = run_streams,
};

const struct pb_command pb_cmd_segments = {
	.name = "segments",
	.summary = "List the segments, which are files, a row each",
	.options = pb_cli_options_stream_json,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.after =
"Each path is a pcapng file that Wireshark and tcpdump open, the one that\n"
"is being written (not sealed) included.\n",
	.run = run_segments,
};

const struct pb_command pb_cmd_gaps = {
	.name = "gaps",
	.summary = "List what is missing and why, a row each",
	.options = pb_cli_options_stream_json,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.after =
"A gap is a run of sequence numbers that this store does not have, with\n"
"its reason: dead-lettered (given up on the way here), expired (deleted by\n"
"retention), damaged (unreadable), restored (in the stream's epoch before\n"
"this one), filtered (left out by a filter on the way here: none is lost).\n"
"Of a range with packets between those that were filtered, `packets' says\n"
"how many were.  A gap is closed when the packets come later.\n",
	.run = run_gaps,
};

static int
run_streams(struct pb_cli *cli, void *opts, char **operand,
    struct pb_err *err)
{
	(void)operand;
	return list(cli, opts, stream_columns, print_stream, err);
}

static int
run_segments(struct pb_cli *cli, void *opts, char **operand,
    struct pb_err *err)
{
	(void)operand;
	return list(cli, opts, segment_columns, print_segments, err);
}

static int
run_gaps(struct pb_cli *cli, void *opts, char **operand, struct pb_err *err)
{
	(void)operand;
	return list(cli, opts, gap_columns, print_gaps, err);
}

/* Of the streams that are asked for. */
static int
list(struct pb_cli *cli, const struct pb_plain_opts *opts,
    const struct pb_column *columns, int (*each)(void *,
    const struct pb_stream_info *, struct pb_err *), struct pb_err *err)
{
	struct listing listing = { .store = cli->store, .glob = opts->stream,
	    .each = each };
	int rc = pb_cli_index(cli, &listing.index, err);

	if (rc == 0)
		rc = pb_table_print(columns, opts->json, fill, &listing, err);
	pb_index_close(listing.index);
	return rc;
}

static int
fill(void *arg, struct pb_table *table, struct pb_err *err)
{
	struct listing *listing = arg;

	listing->table = table;
	return pb_streams_each(listing->index, listing->glob, listing->each,
	    listing, err);
}

static int
print_stream(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct listing *listing = arg;
	struct stream row = { .info = *stream };

	if (stream->packets == 0)
		row.info.first_time = row.info.last_time = UINT64_MAX;
	ask_interface(listing, &row);
	return pb_table_row(listing->table, &row, err);
}

/* Its words, where the segment that has its latest packets is there. */
static void
ask_interface(const struct listing *listing, struct stream *row)
{
	const struct pb_stream_info *info = &row->info;
	char text[PB_INTERFACE_TEXT_MAX];
	struct pb_head *head;
	struct pb_err err;

	if (pb_stream_head(&head, listing->store, listing->index, info,
	    info->last_seq, &err) <= 0)
		return;
	if (pb_interface_text_get(head->idb_options.data,
	    head->idb_options.len, text) > 0) {
		pb_interface_word(text, "clock", row->clock);
		pb_interface_word(text, "trailers", row->trailers);
		pb_interface_word(text, "timestamp_from",
		    row->timestamp_from);
	}
	pb_head_unref(head);
}

static int
print_segments(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct listing *listing = arg;
	const struct pb_segment_info *info;
	struct segment row;
	struct pb_rows rows;
	int rc = 0;

	row.key = stream->key;
	pb_rows_of(&rows, listing->index, PB_TABLE_SEGMENTS, stream->id, 0,
	    err);
	while (rc == 0 && (info = pb_rows_next(&rows)) != NULL) {
		row.info = *info;
		if (info->packets == 0)
			row.info.first_time = row.info.last_time = UINT64_MAX;
		rc = find_segment(listing, &row, err);
		if (rc > 0)
			rc = pb_table_row(listing->table, &row, err);
	}
	return rc != 0 ? rc : rows.rc;
}

/*
 * The name of the file at this moment: it may have been sealed since its
 * row was read.  0 where retention has taken it meanwhile, else 1.
 */
static int
find_segment(const struct listing *listing, struct segment *row,
    struct pb_err *err)
{
	row->sealed = row->info.sealed;
	for (;; row->sealed = true) {
		int rc = pb_layout_segment(row->path, listing->store,
		    &row->key, row->info.first_seq, !row->sealed, err);

		if (rc < 0 || pb_below_look(row->path) >= 0)
			return rc < 0 ? rc : 1;
		if (row->sealed)
			return 0;
	}
}

/* Gaps, and what a filter left out on the way here, in the order of their
 * first numbers. */
static int
print_gaps(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct listing *listing = arg;
	struct gap gap = { .key = stream->key }, left = gap;
	struct pb_rows gaps, segments;
	bool more, between;
	int rc;

	pb_rows_of(&gaps, listing->index, PB_TABLE_GAPS, stream->id, 1, err);
	pb_rows_of(&segments, listing->index, PB_TABLE_SEGMENTS, stream->id,
	    0, err);
	more = next_gap(&gaps, &gap);
	between = next_filtered(&segments, &left);
	for (rc = 0; rc == 0 && (more || between); ) {
		if (!between ||
		    (more && gap.info.first < left.info.first)) {
			rc = pb_table_row(listing->table, &gap, err);
			more = next_gap(&gaps, &gap);
		} else {
			rc = pb_table_row(listing->table, &left, err);
			between = next_filtered(&segments, &left);
		}
	}
	if (rc == 0)
		rc = gaps.rc;
	return rc != 0 ? rc : segments.rc;
}

static bool
next_gap(struct pb_rows *rows, struct gap *out)
{
	const struct pb_gap_info *info = pb_rows_next(rows);

	if (info == NULL)
		return false;
	out->info = *info;
	out->packets = info->last - info->first + 1;
	out->reason = pb_gap_reason_name(info->reason);
	return true;
}

/* A segment some of whose numbers were left out. */
static bool
next_filtered(struct pb_rows *rows, struct gap *out)
{
	const struct pb_segment_info *info;

	while ((info = pb_rows_next(rows)) != NULL &&
	    (pb_segment_empty(info) || pb_segment_filtered(info) == 0))
		continue;
	if (info == NULL)
		return false;
	out->info = (struct pb_gap_info){ .first = info->first_seq,
	    .last = info->last_seq, .since_ns = info->created_ns };
	out->packets = pb_segment_filtered(info);
	out->reason = pb_gap_reason_name(PB_GAP_FILTERED);
	return true;
}
