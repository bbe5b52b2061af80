/*
 * tests/sim/store/check_flows.c - is what the index says of packets true?
 *
 * Each row of flows that is there speaks of packets that are there, its table
 * is whole, its marks are where packets begin, and each packet is in one row
 * of it, which knows nothing that is not so.
 */
#include <stdlib.h>
#include <string.h>

#include "base/disk.h"
#include "base/sys.h"
#include "pcapng/scan.h"
#include "recorder/flow/table.h"
#include "recorder/store/index/index_table.h"
#include "recorder/store/read/segment_file.h"
#include "tests/sim/store/world.h"

#define BLOCK_BYTES_MAX	16384u	/* of those that are built here */

/* The packets of an index block, and in how many rows each is. */
struct inside {
	uint8_t		*bytes;
	size_t		 count;
	struct pb_packet packet[WORLD_SEQS + 1];
	uint8_t		 rows[WORLD_SEQS + 1];
};

static void	check_row(struct world *, const struct source *,
		    const struct pb_flows_info *, uint64_t);
static const char *check_segment(struct world *,
		    const struct pb_flows_info *);
static const char *check_table(const struct source *,
		    const struct pb_flows_info *, struct pb_err *);
static const char *check_packets(const struct source *,
		    const struct pb_flows_info *, struct pb_flow_table *);
static bool	read_packets(int, const struct pb_flows_info *,
		    struct inside *);
static const char *check_shape(struct pb_flow_table *, size_t, struct inside *);
static bool	holds(const struct pb_flow_table_column [PB_FLOW_BYTES],
		    uint32_t, const struct pb_packet *);
static const char *check_marks(int, const struct pb_flows_info *,
		    struct pb_flow_table *, const struct inside *);
static bool	has_numbers(const struct pb_flows_info *,
		    const struct inside *);
static bool	is_packet(int, uint64_t, uint64_t);

void
world_check_flows(struct world *world, const struct source *source)
{
	struct pb_index *index = pb_store_index(world->store);
	const struct pb_flows_info *row;
	struct pb_stream_info stream;
	struct pb_err err = { .code = 0 };
	struct pb_rows rows;
	uint64_t behind = 0;

	if (pb_index_stream(index, &source->key, &stream, &err) != 1)
		return;
	pb_rows_of(&rows, index, PB_TABLE_FLOWS, stream.id, 1, &err);
	while (world->why[0] == '\0' && (row = pb_rows_next(&rows)) != NULL) {
		check_row(world, source, row, behind);
		behind = row->last_seq;
		world->tables++;
	}
	if (rows.rc < 0)
		world_fail(world, "flows: %.300s", err.text);
}

static void
check_row(struct world *world, const struct source *source,
    const struct pb_flows_info *row, uint64_t behind)
{
	struct pb_err err = { .code = 0 };
	const char *why = row->first_seq <= behind ?
	    "is in another one as well" : check_segment(world, row);

	if (why == NULL && row->table_bytes > 0)
		why = check_table(source, row, &err);
	if (why != NULL)
		world_fail(world, "%s: index block %llu to %llu %s%s%.200s",
		    source->key.interface, (unsigned long long)row->first_seq,
		    (unsigned long long)row->last_seq, why,
		    err.code != 0 ? ": " : "", err.code != 0 ? err.text : "");
}

static const char *
check_segment(struct world *world, const struct pb_flows_info *row)
{
	struct pb_segment_info segment;

	if (pb_index_segment(pb_store_index(world->store), row->stream,
	    row->segment_seq, &segment, NULL) != 1)
		return "is of a segment that is gone";
	if (row->last_seq > segment.last_seq || row->end > segment.bytes ||
	    row->from < segment.header_bytes)
		return "is not in its segment";
	return NULL;
}

static const char *
check_table(const struct source *source, const struct pb_flows_info *row,
    struct pb_err *err)
{
	struct pb_flow_table *table = NULL;
	const char *why = NULL;
	struct pb_buf bytes;

	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	if (pb_index_table_read(&bytes, WORLD_STORE, &source->key, row,
	    err) < 0)
		why = "has a table that cannot be read";
	else if (pb_flow_table_open(&table, bytes.data, bytes.len, err) < 0)
		why = "has a table that cannot be opened";
	else if (pb_flow_table_packets(table) != row->packets)
		why = "has a table of other packets";
	else
		why = check_packets(source, row, table);
	pb_flow_table_close(table);
	pb_buf_finish(&bytes);
	return why;
}

static const char *
check_packets(const struct source *source, const struct pb_flows_info *row,
    struct pb_flow_table *table)
{
	int fd = pb_segment_open_file(WORLD_STORE, &source->key,
	    row->segment_seq, NULL);
	struct inside inside = { .count = 0 };
	const char *why = fd < 0 ? "has no segment's file" :
	    !read_packets(fd, row, &inside) || !has_numbers(row, &inside) ?
	    "is not where its packets are" :
	    check_marks(fd, row, table, &inside);

	for (size_t shape = 0; why == NULL && shape <
	    pb_flow_table_shapes(table); shape++)
		why = check_shape(table, shape, &inside);
	for (size_t n = 0; why == NULL && n < inside.count; n++)
		if (inside.rows[n] != 1)
			why = "has packets in no row, or in two";
	if (fd >= 0)
		pb_file_close(fd);
	free(inside.bytes);
	return why;
}

/* The blocks of its packets, as they are. */
static bool
read_packets(int fd, const struct pb_flows_info *row, struct inside *inside)
{
	size_t len = (size_t)(row->end - row->from);
	struct pb_block block;

	inside->bytes = malloc(len);
	if (inside->bytes == NULL || row->packets > WORLD_SEQS ||
	    pb_pread_all(fd, inside->bytes, len, row->from, NULL) !=
	    (ssize_t)len)
		return false;
	for (size_t at = 0; at < len && inside->count < row->packets;
	    at += block.len) {
		if (pb_scan_block(inside->bytes + at, len - at, &block) != 1)
			return false;
		if (block.type == PB_BLOCK_EPB && pb_scan_epb(&block,
		    &inside->packet[inside->count++]) < 0)
			return false;
	}
	return inside->count == row->packets;
}

/* One by one, or where some were left out within the row's. */
static bool
has_numbers(const struct pb_flows_info *row, const struct inside *inside)
{
	uint64_t before = row->first_seq - 1, seq;

	for (size_t n = 0; n < inside->count; before = seq, n++)
		if (!pb_packet_seq(&inside->packet[n], &seq) ||
		    seq <= before || seq > row->last_seq)
			return false;
	return true;
}

/* What its rows know is true of each of their packets. */
static const char *
check_shape(struct pb_flow_table *table, size_t shape, struct inside *inside)
{
	struct pb_flow_table_column column[PB_FLOW_BYTES];
	static uint8_t of[WORLD_SEQS];
	struct pb_err err;

	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++)
		if (pb_flow_table_column(table, shape, at, &column[at], &err) <
		    0)
			return "has a column that cannot be read";
	for (uint32_t r = 0; r < pb_flow_table_shape(table, shape)->rows; r++) {
		memset(of, 0, sizeof(of));
		if (pb_flow_table_put(table, shape, r, of, 1, &err) < 0)
			return "has a row without packets";
		for (size_t n = 0; n < inside->count; n++) {
			inside->rows[n] += of[n];
			if (of[n] != 0 && !holds(column, r,
			    &inside->packet[n]))
				return "knows what is not so";
		}
	}
	return NULL;
}

static bool
holds(const struct pb_flow_table_column column[PB_FLOW_BYTES], uint32_t row,
    const struct pb_packet *packet)
{
	for (uint32_t at = 0; at < PB_FLOW_BYTES && at < packet->caplen;
	    at++) {
		const struct pb_flow_table_column *c = &column[at];
		size_t i = row * c->stride;

		if ((packet->data[at] & ~c->unknown[i]) != c->ones[i])
			return false;
	}
	return true;
}

static const char *
check_marks(int fd, const struct pb_flows_info *row,
    struct pb_flow_table *table, const struct inside *inside)
{
	struct pb_flow_table_span span = { 0 };
	uint64_t seq;

	for (uint32_t n = 0; n < row->packets; n = span.next)
		if (pb_flow_table_span(table, n, &span, NULL) < 0 ||
		    span.first > n || span.next <= n ||
		    !pb_packet_seq(&inside->packet[span.first], &seq) ||
		    !is_packet(fd, row->from + span.from, seq))
			return "has a mark where no packet begins";
	return NULL;
}

/* Or what says that some were left out right before it. */
static bool
is_packet(int fd, uint64_t at, uint64_t seq)
{
	static uint8_t data[BLOCK_BYTES_MAX];
	struct pb_filtered left = { 0 };
	struct pb_packet packet;
	struct pb_block block;
	uint64_t number;
	ssize_t got = pb_pread_all(fd, data, sizeof(data), at, NULL);

	if (got <= 0 || pb_scan_block(data, (size_t)got, &block) != 1)
		return false;
	if (block.type == PB_BLOCK_ISB &&
	    pb_scan_filtered(&block, &left) == 1 && left.last == seq - 1 &&
	    pb_scan_block(data + block.len, (size_t)got - block.len,
	    &block) != 1)
		return false;
	return block.type == PB_BLOCK_EPB && pb_scan_epb(&block, &packet) == 0 &&
	    pb_packet_seq(&packet, &number) && number == seq;
}
