/*
 * recorder/store/mend/verify_flows.c - the index blocks of one segment
 *
 * What is wrong here costs who searches time, never a packet.
 */
#include <inttypes.h>

#include "recorder/flow/table.h"
#include "recorder/store/index/index_table.h"
#include "recorder/store/mend/verify_impl.h"

static int	check_row(struct verify *, const struct pb_segment_info *,
		    const struct pb_flows_info *, struct pb_finding *,
		    struct pb_err *);
static int	check_table(struct verify *, const struct pb_flows_info *,
		    struct pb_finding *, struct pb_err *);

int
verify_flows(struct verify_stream *stream, const struct pb_segment_info *row,
    struct pb_err *err)
{
	struct verify *verify = stream->verify;
	struct pb_finding where = { .key = stream->info.key,
	    .segment_seq = row->first_seq };
	const struct pb_flows_info *flows;
	struct pb_rows rows;
	int rc = pb_layout_flows(where.path, verify->opts->store,
	    &stream->info.key, row->first_seq, err);

	if (rc < 0)
		return rc;
	pb_rows_of(&rows, verify->index, PB_TABLE_FLOWS, row->stream,
	    row->first_seq, err);
	while (rc == 0 && (flows = pb_rows_next(&rows)) != NULL &&
	    flows->first_seq <= row->last_seq)
		rc = check_row(verify, row, flows, &where, err);
	return rc != 0 ? rc : rows.rc;
}

static int
check_row(struct verify *verify, const struct pb_segment_info *row,
    const struct pb_flows_info *flows, struct pb_finding *where,
    struct pb_err *err)
{
	where->first = flows->first_seq;
	where->last = flows->last_seq;
	where->offset = flows->table_at;
	where->bytes = flows->table_bytes;
	/* It was put behind a row of the segment that is older than ours. */
	if (flows->last_seq > row->last_seq && !row->sealed &&
	    !verify->opts->alone)
		return 0;
	if (flows->segment_seq != row->first_seq ||
	    flows->last_seq > row->last_seq ||
	    flows->from < row->header_bytes || flows->end > row->bytes ||
	    flows->first_time < row->first_time ||
	    flows->last_time > row->last_time)
		return verify_tell(verify, where, PB_FLAW_FLOWS, "the index "
		    "says that packets %" PRIu64 " to %" PRIu64 " are at %"
		    PRIu64 " to %" PRIu64 " of segment %" PRIu64 ", which is "
		    "otherwise", flows->first_seq, flows->last_seq,
		    flows->from, flows->end, flows->segment_seq);
	return flows->table_bytes == 0 ? 0 :
	    check_table(verify, flows, where, err);
}

static int
check_table(struct verify *verify, const struct pb_flows_info *flows,
    struct pb_finding *where, struct pb_err *err)
{
	struct pb_flow_table *table = NULL;
	struct pb_err why = { .code = 0 };
	struct pb_buf bytes;
	int rc;

	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	rc = pb_index_table_read(&bytes, verify->opts->store, &where->key,
	    flows, &why);
	if (rc == 0)
		rc = pb_flow_table_open(&table, bytes.data, bytes.len, &why);
	if (rc == 0 && pb_flow_table_packets(table) != flows->packets)
		rc = pb_err_set(&why, PB_EFORMAT, "the table has %" PRIu32
		    " packets, the index says %" PRIu64,
		    pb_flow_table_packets(table), flows->packets);
	pb_flow_table_close(table);
	pb_buf_finish(&bytes);
	if (rc == 0)
		return 0;
	if (rc == PB_ENOMEM)
		return pb_err_set(err, rc, "%s", why.text);
	return verify_tell(verify, where, PB_FLAW_FLOWS, "the flow table of "
	    "packets %" PRIu64 " to %" PRIu64 " cannot be used: %.120s",
	    flows->first_seq, flows->last_seq, why.text);
}
