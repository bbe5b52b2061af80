/*
 * cli/status/edges.c - what `pb status` tells of the nodes that are dialled
 */
#include "cli/status/edges.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/common/table.h"

#define EDGE(member)	offsetof(struct pb_report_edge, member)
static const struct pb_column columns[] = {
	{ "name", PB_CELL_TEXT, EDGE(row.name) },
	{ "url", PB_CELL_TEXT, EDGE(row.url) },
	{ "state", PB_CELL_WORD, EDGE(state) },
	{ "since", PB_CELL_TIME, EDGE(row.since_ns) },
	{ "streams", PB_CELL_U64, EDGE(streams) },
	{ "refused", PB_CELL_U64, EDGE(refused) },
	{ "backlog", PB_CELL_U64, EDGE(row.behind) },
	{ "flight_bytes", PB_CELL_U64, EDGE(row.flight_bytes) },
	{ "packets", PB_CELL_U64, EDGE(row.packets) },
	{ "bytes", PB_CELL_U64, EDGE(row.bytes) },
	{ "last_stored", PB_CELL_TIME, EDGE(row.progress_ns) },
	{ "last_error", PB_CELL_TEXT, EDGE(row.last_error) },
	{ "last_error_time", PB_CELL_TIME, EDGE(row.error_ns) },
	{ 0 },
};

static void	add_configured(struct pb_report_edges *,
		    const struct pb_conf *, bool);
static bool	knows(const struct pb_report_edges *, const char *);
static void	say(struct pb_out *, const struct pb_report_edge *, uint64_t);

int
pb_report_edges(struct pb_report_edges *out, struct pb_state *state,
    const struct pb_conf *conf, bool runs, struct pb_err *err)
{
	struct pb_edge_row *row;
	int n = 0;

	/* A reload may not have forgotten those of before yet. */
	out->at = calloc(2 * PB_EDGES_MAX, sizeof(*out->at));
	row = calloc(PB_EDGES_MAX, sizeof(*row));
	if (out->at == NULL || row == NULL)
		n = pb_err_set(err, PB_ENOMEM, "no memory for edges");
	else if (state != NULL)
		n = pb_state_edges(state, NULL, row, PB_EDGES_MAX, err);
	for (int i = 0; i < n; i++)
		out->at[out->count++] = (struct pb_report_edge){
		    .row = row[i], .streams = row[i].streams,
		    .refused = row[i].refused, .state = runs ?
		    pb_ship_state_name(row[i].state) : "not running" };
	free(row);
	if (n < 0)
		return n;
	add_configured(out, conf, runs);
	return 0;
}

void
pb_report_edges_finish(struct pb_report_edges *edges)
{
	free(edges->at);
	edges->at = NULL;
	edges->count = 0;
}

static void
add_configured(struct pb_report_edges *out, const struct pb_conf *conf,
    bool runs)
{
	for (size_t i = 0; i < conf->edges; i++) {
		const struct pb_conf_edge *is = &conf->edge[i];
		struct pb_report_edge *edge = &out->at[out->count];

		if (knows(out, is->name))
			continue;
		strcpy(edge->row.name, is->name);
		snprintf(edge->row.url, sizeof(edge->row.url), "%.255s",
		    is->url);
		edge->state = runs ? "connecting" : "not running";
		out->count++;
	}
}

static bool
knows(const struct pb_report_edges *edges, const char *name)
{
	for (size_t i = 0; i < edges->count; i++)
		if (strcmp(edges->at[i].row.name, name) == 0)
			return true;
	return false;
}

void
pb_report_edges_json(struct pb_json *json,
    const struct pb_report_edges *edges)
{
	pb_json_array(json, "edges");
	for (size_t i = 0; i < edges->count; i++) {
		pb_json_object(json, NULL);
		pb_columns_json(json, columns, &edges->at[i]);
		pb_json_end(json);
	}
	pb_json_end(json);
}

void
pb_report_edges_say(struct pb_out *out, const struct pb_report_edges *edges,
    uint64_t now_ns)
{
	for (size_t i = 0; i < edges->count; i++)
		say(out, &edges->at[i], now_ns);
}

static void
say(struct pb_out *out, const struct pb_report_edge *edge, uint64_t now_ns)
{
	const struct pb_edge_row *row = &edge->row;
	uint64_t ago = now_ns > row->error_ns ? now_ns - row->error_ns : 0;
	char bytes[16];

	pb_out_printf(out, "edge       %s (%s): %s, %" PRIu64 " streams, %"
	    PRIu64 " packets wait there; %" PRIu64 " packets, %s fetched\n",
	    row->name, row->url, edge->state, edge->streams, row->behind,
	    row->packets, pb_size_format(row->bytes, bytes));
	if (edge->refused > 0)
		pb_out_printf(out, "           %" PRIu64 " of its streams wait "
		    "to be tried again, or are refused\n", edge->refused);
	if (row->last_error[0] != '\0')
		pb_out_printf(out, "           last error, %" PRIu64 " s ago: "
		    "%s\n", ago / (uint64_t)PB_NS_PER_S, row->last_error);
}
