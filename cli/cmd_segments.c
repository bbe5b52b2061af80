/*
 * cli/cmd_segments.c - `pb segments`: a row a segment
 */
#include "base/below.h"
#include "cli/commands.h"
#include "cli/common/listing.h"
#include "recorder/store/layout.h"

static const char *const columns[] = {
	"path", "stream", "epoch", "first_seq", "last_seq", "packets",
	"bytes", "first_time", "last_time", "sealed", NULL,
};

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	print_segments(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	print_segment(struct pb_listing *,
		    const struct pb_stream_info *, const struct pb_segment_info *, struct pb_err *);

const struct pb_command pb_cmd_segments = {
	.name = "segments",
	.summary = "List the segments, which are files, a row each",
	.options = pb_cli_options_stream_json,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.after =
"Each path is a pcapng file that Wireshark and tcpdump open, the one that\n"
"is being written (not sealed) included.\n",
	.run = run,
};

static int
run(struct pb_cli *cli, void *opts, char **operand, struct pb_err *err)
{
	(void)operand;
	return pb_listing_of_streams(cli, opts, columns, print_segments, err);
}

static int
print_segments(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct pb_listing *listing = arg;
	const struct pb_segment_info *row;
	struct pb_rows rows;
	int rc = 0;

	pb_rows_of(&rows, listing->index, PB_TABLE_SEGMENTS, stream->id, 0,
	    err);
	while (rc == 0 && (row = pb_rows_next(&rows)) != NULL)
		rc = print_segment(listing, stream, row, err);
	return rc != 0 ? rc : rows.rc;
}

/*
 * The name of the file at this moment: it may have been sealed since its
 * row was read.
 */
static int
print_segment(struct pb_listing *listing, const struct pb_stream_info *stream,
    const struct pb_segment_info *segment, struct pb_err *err)
{
	bool packets = segment->packets > 0, sealed = segment->sealed;
	char path[PATH_MAX], name[PB_STREAM_NAME_MAX];
	struct pb_table *table = listing->table;
	int rc;

	rc = pb_layout_segment(path, listing->store, &stream->key,
	    segment->first_seq, !sealed, err);
	if (rc == 0 && !sealed && pb_below_look(path) < 0) {
		rc = pb_layout_segment(path, listing->store, &stream->key,
		    segment->first_seq, false, err);
		sealed = true;
	}
	if (rc < 0)
		return rc;
	/* Retention may have taken it between the two reads. */
	if (pb_below_look(path) < 0)
		return 0;
	pb_table_text(table, path);
	pb_table_text(table, pb_stream_name(name, &stream->key));
	pb_table_hex(table, stream->key.epoch);
	pb_table_u64(table, segment->first_seq);
	pb_table_u64(table, segment->last_seq);
	pb_table_u64(table, segment->packets);
	pb_table_size(table, segment->bytes);
	pb_table_time(table, segment->first_time, packets);
	pb_table_time(table, segment->last_time, packets);
	pb_table_bool(table, sealed);
	return pb_table_row(table, err);
}
