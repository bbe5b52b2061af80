/*
 * recorder/store/index/index_block.c - an index block while it is made
 */
#include "recorder/store/index/index_block.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "recorder/flow/pool.h"
#include "recorder/flow/summary.h"
#include "recorder/flow/table.h"

static bool	merge(struct pb_index_block *, const struct pb_flows *,
		    uint32_t);
static bool	has_room(const struct pb_index_block *, uint64_t, uint64_t);
static void	grow(struct pb_index_block *, uint64_t, uint64_t, uint64_t,
		    uint64_t, const struct pb_tally *);

struct pb_index_block *
pb_index_block_create(struct pb_flow_pool *pool, unsigned size,
    uint32_t stream, uint64_t segment_seq)
{
	struct pb_index_block *block = calloc(1, sizeof(*block));

	if (block == NULL)
		return NULL;
	block->stream = stream;
	block->segment_seq = segment_seq;
	block->pool = pool;
	if (pool != NULL)
		block->flows = pb_flow_pool_take(pool, size);
	else
		pb_flows_create(&block->flows, PB_INDEX_BLOCK_FLOWS,
		    PB_INDEX_BLOCK_PACKETS, NULL);
	if (block->flows != NULL)
		return block;
	free(block);
	return NULL;
}

void
pb_index_block_destroy(struct pb_index_block *block)
{
	if (block == NULL)
		return;
	if (block->pool != NULL)
		pb_flow_pool_give(block->pool, block->flows);
	else
		pb_flows_destroy(block->flows);
	free(block);
}

bool
pb_index_block_part(struct pb_index_block *block,
    const struct pb_index_part *part)
{
	uint64_t from = block->tally.packets > 0 ? block->from : part->at;
	uint32_t at = (uint32_t)(part->at - from);

	if (!has_room(block, part->first_seq, part->at + part->bytes) ||
	    part->tally.packets > PB_INDEX_BLOCK_PACKETS)
		return false;
	/* Flows that are not those of these packets say nothing. */
	if (part->flows != NULL && part->tally.packets > 0 &&
	    part->flows->packets == part->tally.packets) {
		if (!merge(block, part->flows, at))
			return false;
		block->known = true;
	} else if (!pb_flows_rest(block->flows,
	    (uint32_t)part->tally.packets, part->tally.bytes,
	    part->tally.first_time, part->tally.last_time, at)) {
		return false;
	}
	grow(block, part->first_seq, part->last_seq, part->at, part->bytes,
	    &part->tally);
	return true;
}

bool
pb_index_block_packet(struct pb_index_block *block, uint16_t linktype,
    const struct pb_packet *packet, uint64_t first, uint64_t seq, uint64_t at,
    uint32_t bytes)
{
	uint64_t from = block->tally.packets > 0 ? block->from : at;
	struct pb_tally one = { 0 };

	if (!has_room(block, first, at + bytes) ||
	    !pb_flows_packet(block->flows, (uint32_t)(at - from), linktype,
	    packet->data, packet->caplen, packet->origlen, packet->time_ns))
		return false;
	pb_tally_packet(&one, packet->time_ns, packet->caplen);
	grow(block, first, seq, at, bytes, &one);
	block->known = true;
	return true;
}

int
pb_index_block_end(const struct pb_index_block *block,
    struct pb_flows_info *row, struct pb_buf *table,
    struct pb_flow_table_work *work, struct pb_err *err)
{
	size_t before = table->len;
	int rc = 0;

	if (!block->known)
		return 0;
	*row = (struct pb_flows_info){
		.stream = block->stream,
		.first_seq = block->first_seq,
		.last_seq = block->last_seq,
		.segment_seq = block->segment_seq,
		.from = block->from,
		.end = block->end,
		.first_time = block->tally.first_time,
		.last_time = block->tally.last_time,
		.packets = block->tally.packets,
	};
	if (block->end - block->from >= PB_INDEX_TABLE_FROM)
		rc = work == NULL ?
		    pb_flow_table_encode(table, block->flows, err) :
		    pb_flow_table_encode_in(work, table, block->flows, err);
	if (rc == 0 && table->len - before > PB_FLOW_TABLE_BYTES_MAX)
		rc = pb_err_set(err, PB_ELIMIT, "a flow table of %zu bytes",
		    table->len - before);
	if (rc < 0)
		return rc;
	row->table_bytes = (uint32_t)(table->len - before);
	if (row->table_bytes > 0)
		row->table_digest = pb_get_le64(table->data + before +
		    PB_FLOW_TABLE_DIGEST_AT);
	row->summary_bytes = (uint32_t)pb_summary_make(row->summary,
	    block->flows);
	return 1;
}

static bool
merge(struct pb_index_block *block, const struct pb_flows *more, uint32_t at)
{
	if (block->pool == NULL)
		return pb_flows_merge(block->flows, more, at);
	return pb_flow_pool_merge(block->pool, block->flows, more, at);
}

/* For what follows, and ends at `end` of the file. */
static bool
has_room(const struct pb_index_block *block, uint64_t seq, uint64_t end)
{
	return block->tally.packets == 0 || (seq == block->last_seq + 1 &&
	    end > block->end && end - block->from <= PB_INDEX_BLOCK_BYTES);
}

static void
grow(struct pb_index_block *block, uint64_t first, uint64_t last, uint64_t at,
    uint64_t bytes, const struct pb_tally *tally)
{
	/* What was left out in front of its first chunk is not in it. */
	if (block->tally.packets == 0) {
		block->tally = (struct pb_tally){ 0 };
		block->first_seq = first;
		block->from = at;
	}
	block->last_seq = last;
	block->end = at + bytes;
	pb_tally_merge(&block->tally, tally);
}
