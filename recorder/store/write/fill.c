/*
 * recorder/store/write/fill.c - the one door through which packets enter a
 * chunk: what is rare
 */
#include "recorder/store/write/fill.h"

#include "base/bytes.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"

#define EPB_LEN_AT	24u	/* in its block, of bytes on the wire */

static struct pb_flows *flows_anew(struct pb_chunk *);
static void	forget_flows(struct pb_chunk *);
static void	enter(struct pb_chunk *, size_t, uint64_t,
		    const struct pb_packet *);
static void	enter_filtered(struct pb_chunk *, const struct pb_filtered *);

void
pb_fill_epb(struct pb_chunk *chunk, uint64_t seq,
    const struct pb_packet *packet)
{
	enter(chunk, pb_build_epb(pb_fill_at(chunk), 0, packet), seq, packet);
}

void
pb_fill_filtered(struct pb_chunk *chunk, const struct pb_filtered *filtered,
    uint32_t pen)
{
	assert(PB_FILTERED_BYTES <= pb_fill_room(chunk));
	pb_build_filtered(pb_fill_at(chunk), filtered, pen);
	enter_filtered(chunk, filtered);
}

void
pb_fill_flow(struct pb_chunk *chunk, uint64_t time_ns, uint32_t caplen)
{
	const uint8_t *block = pb_fill_at(chunk);
	struct pb_flows *flows = chunk->flows;

	if (flows == NULL || (flows->grows && pb_flows_full(flows)))
		flows = flows_anew(chunk);
	if (flows != NULL && !pb_flows_packet(flows, (uint32_t)chunk->len,
	    chunk->head->linktype, block + PB_EPB_HEAD, caplen,
	    pb_get_le32(block + EPB_LEN_AT), time_ns))
		forget_flows(chunk);
}

void
pb_fill_drops(struct pb_chunk *chunk, uint64_t seq, uint64_t count,
    uint64_t time_ns)
{
	unsigned at = chunk->drops;

	chunk->tally.dropped += count;
	if (at > 0 && (chunk->drop[at - 1].seq == seq ||
	    at == PB_CHUNK_DROPS_MAX)) {
		chunk->drop[at - 1].count += count;
		return;
	}
	chunk->drop[chunk->drops++] = (struct pb_drop_info){
		.seq = seq, .count = count, .time_ns = time_ns,
	};
}

void
pb_fill_again(struct pb_chunk *chunk, size_t len)
{
	uint64_t seq = chunk->first_seq;
	struct pb_filtered filtered;
	struct pb_packet packet;
	struct pb_block block;

	assert(len <= chunk->len);
	chunk->len = 0;
	chunk->tally = (struct pb_tally){ 0 };
	chunk->drops = 0;
	forget_flows(chunk);
	while (chunk->len < len && pb_scan_block(pb_fill_at(chunk),
	    len - chunk->len, &block) == 1) {
		if (block.type == PB_BLOCK_EPB &&
		    pb_scan_epb(&block, &packet) == 0) {
			enter(chunk, block.len, seq++, &packet);
		} else if (pb_scan_filtered(&block, &filtered) == 1) {
			enter_filtered(chunk, &filtered);
			seq = filtered.last + 1;
		} else {
			chunk->len += block.len;
		}
	}
	assert(chunk->len == len);	/* our own blocks are whole */
}

/* For a chunk's first packet, or larger; what began without has none. */
static __attribute__((noinline)) struct pb_flows *
flows_anew(struct pb_chunk *chunk)
{
	if (chunk->flows != NULL)
		pb_flow_pool_grow(chunk->flow_pool, chunk->flows);
	else if (chunk->tally.packets == 0)
		chunk->flows = pb_flow_pool_take(chunk->flow_pool,
		    chunk->flow_size);
	return chunk->flows;
}

static void
forget_flows(struct pb_chunk *chunk)
{
	pb_flow_pool_give(chunk->flow_pool, chunk->flows);
	chunk->flows = NULL;
}

static void
enter(struct pb_chunk *chunk, size_t len, uint64_t seq,
    const struct pb_packet *packet)
{
	uint64_t dropped;

	pb_fill_packet(chunk, len, seq, packet->time_ns, packet->caplen);
	if (pb_option_find_u64(packet->options, packet->options_len,
	    PB_OPT_EPB_DROPCOUNT, &dropped) && dropped > 0)
		pb_fill_drops(chunk, seq, dropped, packet->time_ns);
}

static void
enter_filtered(struct pb_chunk *chunk, const struct pb_filtered *filtered)
{
	if (pb_tally_empty(&chunk->tally))
		chunk->first_seq = filtered->first;
	chunk->last_seq = filtered->last;
	chunk->len += PB_FILTERED_BYTES;
	pb_tally_filtered(&chunk->tally,
	    filtered->last - filtered->first + 1, filtered->time_ns);
}
