/*
 * cli/cmd_segments.c - `pb segments`: a row a segment
 */
#include "cli/cli.h"
#include "base/below.h"
#include "cli/table.h"

#include <unistd.h>

#include "recorder/query/select.h"
#include "recorder/store/layout.h"

static const struct pb_column columns[] = {
	{ "path", false },
	{ "stream", false },
	{ "epoch", false },
	{ "first_seq", true },
	{ "last_seq", true },
	{ "packets", true },
	{ "bytes", true },
	{ "first_time", false },
	{ "last_time", false },
	{ "sealed", false },
};

struct listing {
	struct pb_cli	*cli;
	struct pb_index	*index;
	struct pb_table	 table;
};

static int	print_segments(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	print_segment(struct listing *, const struct pb_stream_info *,
		    const struct pb_segment_info *, struct pb_err *);

int
pb_cmd_segments(struct pb_cli *cli, const struct pb_command *command,
    int argc, char **argv)
{
	struct listing listing = { .cli = cli };
	const char *stream = NULL;
	struct pb_out out;
	struct pb_err err;
	bool json = false;
	int rc;

	rc = pb_cli_plain_options(command, argc, argv, &json, &stream);
	if (rc >= 0)
		return rc;
	if (pb_cli_index(cli, &listing.index, &err) < 0)
		return pb_cli_fail(&err);
	pb_cli_out(&out);
	pb_table_init(&listing.table, &out, columns,
	    sizeof(columns) / sizeof(columns[0]), json);
	rc = pb_streams_each(listing.index, stream, print_segments, &listing,
	    &err);
	if (rc == 0)
		rc = pb_table_end(&listing.table, &err);
	pb_table_finish(&listing.table);
	pb_index_close(listing.index);
	pb_out_finish(&out);
	return rc < 0 && !pb_out_gone(&out) ? pb_cli_fail(&err) : PB_EXIT_OK;
}

static int
print_segments(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct listing *listing = arg;
	const struct pb_segment_info *row;
	struct pb_rows rows;
	int rc = 0;

	pb_rows_segments(&rows, listing->index, stream->id, 0, err);
	while (rc == 0 && (row = pb_rows_next(&rows)) != NULL)
		rc = print_segment(listing, stream, row, err);
	return rc != 0 ? rc : rows.rc;
}

/*
 * The name of the file at this moment: it may have been sealed since its
 * row was read.
 */
static int
print_segment(struct listing *listing, const struct pb_stream_info *stream,
    const struct pb_segment_info *segment, struct pb_err *err)
{
	struct pb_table *table = &listing->table;
	char path[PATH_MAX], name[PB_STREAM_NAME_MAX], epoch[17];
	bool packets = segment->packets > 0, sealed = segment->sealed;
	int rc;

	rc = pb_layout_segment(path, listing->cli->store, &stream->key,
	    segment->first_seq, !sealed, err);
	if (rc == 0 && !sealed && pb_below_look(path) < 0) {
		rc = pb_layout_segment(path, listing->cli->store,
		    &stream->key, segment->first_seq, false, err);
		sealed = true;
	}
	if (rc < 0)
		return rc;
	/* Retention may have taken it between the two reads. */
	if (pb_below_look(path) < 0)
		return 0;
	pb_hex64(stream->key.epoch, epoch);
	pb_table_text(table, path);
	pb_table_text(table, pb_stream_name(name, &stream->key));
	pb_table_text(table, epoch);
	pb_table_u64(table, segment->first_seq);
	pb_table_u64(table, segment->last_seq);
	pb_table_u64(table, segment->packets);
	pb_table_size(table, segment->bytes);
	pb_table_time(table, segment->first_time, packets);
	pb_table_time(table, segment->last_time, packets);
	pb_table_bool(table, sealed);
	return pb_table_row(table, err);
}
