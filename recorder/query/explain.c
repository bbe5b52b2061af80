/*
 * recorder/query/explain.c - what a search had to do, and what it was spared
 */
#include "recorder/query/explain.h"

#include <inttypes.h>

#define MIB	(1024.0 * 1024.0)

static void	text_blocks(const struct pb_explain *, struct pb_buf *);

void
pb_explain_add(struct pb_explain *explain, const struct pb_explain *more)
{
	explain->streams += more->streams;
	explain->streams_cut += more->streams_cut;
	explain->segments_cut += more->segments_cut;
	explain->blocks += more->blocks;
	explain->cut_by_time += more->cut_by_time;
	explain->cut_by_summary += more->cut_by_summary;
	explain->cut_by_table += more->cut_by_table;
	explain->whole += more->whole;
	explain->summed += more->summed;
	explain->no_table += more->no_table;
	explain->rotten += more->rotten;
	explain->wrong += more->wrong;
	explain->tables += more->tables;
	explain->index_bytes += more->index_bytes;
	explain->packet_bytes += more->packet_bytes;
	explain->asked += more->asked;
	explain->taken += more->taken;
	explain->counted += more->counted;
	explain->found += more->found;
}

void
pb_explain_text(const struct pb_explain *explain, struct pb_buf *out)
{
	pb_buf_printf(out, "streams: %" PRIu64 ", %" PRIu64 " left out by "
	    "name, number or time", explain->streams, explain->streams_cut);
	if (explain->segments_cut > 0)
		pb_buf_printf(out, "; segments left out by time: %" PRIu64,
		    explain->segments_cut);
	pb_buf_str(out, "\n");
	if (explain->no_index)
		pb_buf_str(out, "index blocks: not used\n");
	else
		text_blocks(explain, out);
	pb_buf_printf(out, "read: %.1f MiB of %" PRIu64 " rows and %" PRIu64
	    " tables of the index, %.1f MiB of packets\n",
	    (double)explain->index_bytes / MIB, explain->blocks,
	    explain->tables, (double)explain->packet_bytes / MIB);
	pb_buf_printf(out, "packets: %" PRIu64 " found; %" PRIu64 " asked, %"
	    PRIu64 " taken by the index, %" PRIu64 " counted by it unread\n",
	    explain->found, explain->asked, explain->taken, explain->counted);
}

static void
text_blocks(const struct pb_explain *explain, struct pb_buf *out)
{
	pb_buf_printf(out, "index blocks: %" PRIu64 "; left out by time %"
	    PRIu64 ", by summary %" PRIu64 ", by flow table %" PRIu64 "; "
	    "taken as a whole %" PRIu64 ", summed up by flow table %" PRIu64,
	    explain->blocks, explain->cut_by_time, explain->cut_by_summary,
	    explain->cut_by_table, explain->whole, explain->summed);
	if (explain->no_table > 0)
		pb_buf_printf(out, "; without a table %" PRIu64,
		    explain->no_table);
	if (explain->rotten + explain->wrong > 0)
		pb_buf_printf(out, "; damaged %" PRIu64,
		    explain->rotten + explain->wrong);
	pb_buf_str(out, "\n");
}

void
pb_explain_json(const struct pb_explain *explain, struct pb_buf *out)
{
	const struct { const char *name; uint64_t value; } row[] = {
		{ "streams", explain->streams },
		{ "streams_cut", explain->streams_cut },
		{ "segments_cut_by_time", explain->segments_cut },
		{ "blocks", explain->blocks },
		{ "blocks_cut_by_time", explain->cut_by_time },
		{ "blocks_cut_by_summary", explain->cut_by_summary },
		{ "blocks_cut_by_table", explain->cut_by_table },
		{ "blocks_whole", explain->whole },
		{ "blocks_summed_by_table", explain->summed },
		{ "blocks_without_table", explain->no_table },
		{ "blocks_damaged", explain->rotten + explain->wrong },
		{ "tables_read", explain->tables },
		{ "index_bytes", explain->index_bytes },
		{ "packet_bytes", explain->packet_bytes },
		{ "packets_asked", explain->asked },
		{ "packets_taken", explain->taken },
		{ "packets_counted", explain->counted },
		{ "packets_found", explain->found },
	};

	pb_buf_printf(out, "{\"index\":%s",
	    explain->no_index ? "false" : "true");
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		pb_buf_printf(out, ",\"%s\":%" PRIu64, row[i].name,
		    row[i].value);
	pb_buf_str(out, "}\n");
}
