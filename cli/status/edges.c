/*
 * cli/status/edges.c - what `pb status` tells of the nodes that are dialled
 */
#include "cli/status/edges.h"

#include <inttypes.h>

#include "base/text.h"
#include "cli/common/table.h"
#include "cli/status/upstreams.h"

#define EDGE(member)	offsetof(struct pb_edge_figures, member)
static const struct pb_column columns[] = {
	{ "name", PB_CELL_TEXT, EDGE(row.name) },
	{ "url", PB_CELL_TEXT, EDGE(row.url) },
	{ "state", PB_CELL_WORD, EDGE(state) },
	{ "since", PB_CELL_TIME, EDGE(row.since_ns) },
	{ "streams", PB_CELL_U64, EDGE(streams) },
	{ "refused", PB_CELL_U64, EDGE(refused) },
	{ "backlog", PB_CELL_U64, EDGE(row.behind) },
	{ "backlog_bytes", PB_CELL_SIZE, EDGE(backlog_bytes) },
	{ "lag", PB_CELL_SECONDS, EDGE(lag_ns) },
	{ "flight_bytes", PB_CELL_U64, EDGE(row.flight_bytes) },
	{ "pps", PB_CELL_U64, EDGE(row.pps) },
	{ "bps", PB_CELL_U64, EDGE(bps) },
	{ "caught_up_in", PB_CELL_SECONDS, EDGE(left_ns) },
	{ "packets", PB_CELL_U64, EDGE(row.packets) },
	{ "bytes", PB_CELL_U64, EDGE(row.bytes) },
	{ "last_stored", PB_CELL_TIME, EDGE(row.progress_ns) },
	{ "failures", PB_CELL_U64, EDGE(row.failures) },
	{ "last_error", PB_CELL_TEXT, EDGE(row.last_error) },
	{ "last_error_time", PB_CELL_TIME, EDGE(row.error_ns) },
	{ "forked", PB_CELL_U64, EDGE(row.forked) },
	{ 0 },
};

static void	say(struct pb_out *, const struct pb_edge_figures *,
		    uint64_t);

void
pb_edges_json(struct pb_json *json, const struct pb_figures *figures)
{
	pb_json_array(json, "edges");
	for (size_t i = 0; i < figures->edges; i++) {
		pb_json_object(json, NULL);
		pb_columns_json(json, columns, &figures->edge[i]);
		pb_json_end(json);
	}
	pb_json_end(json);
}

void
pb_edges_say(struct pb_out *out, const struct pb_figures *figures,
    uint64_t now_ns)
{
	for (size_t i = 0; i < figures->edges; i++)
		say(out, &figures->edge[i], now_ns);
}

static void
say(struct pb_out *out, const struct pb_edge_figures *edge, uint64_t now_ns)
{
	const struct pb_edge_row *row = &edge->row;
	char bytes[16];

	pb_out_printf(out, "edge       %s (%s): %s, %" PRIu64 " streams, %"
	    PRIu64 " packets wait there", row->name, row->url, edge->state,
	    edge->streams, row->behind);
	if (row->behind > 0 && edge->backlog_bytes != UINT64_MAX)
		pb_out_printf(out, ", %s",
		    pb_size_format(edge->backlog_bytes, bytes));
	pb_upstream_say_speed(out, row->pps, edge->bps, edge->left_ns);
	pb_out_printf(out, "; %" PRIu64 " packets, %s fetched\n",
	    row->packets, pb_size_format(row->bytes, bytes));
	if (edge->refused > 0)
		pb_out_printf(out, "           %" PRIu64 " of its streams wait "
		    "to be tried again, or are refused\n", edge->refused);
	if (row->forked > 0)
		pb_out_printf(out, "           %" PRIu64 " of its streams came "
		    "to other packets than are here: what is past those goes "
		    "under another epoch\n", row->forked);
	pb_upstream_say_error(out, row->last_error, row->error_ns, now_ns);
}
