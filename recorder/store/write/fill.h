/*
 * recorder/store/write/fill.h - the one door through which packets enter a
 * chunk
 *
 * Capture, ingest (plain packets and all others) and import write blocks at
 * a chunk's end, each in its own way.  A packet is in the chunk once
 * pb_fill_packet() has seen it: its block, header and captured bytes are in
 * the processor's cache then, and here alone all packets come by.  So what
 * looks into packets (flows) does it there, in memory of the chunk: the
 * writer merges that into the stream's when the chunk is committed, and one
 * that is thrown away or rolled back has nothing to undo.
 */
#ifndef PB_STORE_FILL_H
#define PB_STORE_FILL_H

#include <assert.h>
#include <string.h>

#include "pcapng/filtered.h"
#include "recorder/store/write/chunk.h"

/* Where the next block goes, and how many bytes there are for it. */
static inline uint8_t *
pb_fill_at(const struct pb_chunk *chunk)
{
	return chunk->data + chunk->len;
}

static inline size_t
pb_fill_room(const struct pb_chunk *chunk)
{
	return chunk->cap - chunk->len;
}

/* What is learned of the packet at pb_fill_at(), before it is counted. */
void	pb_fill_flow(struct pb_chunk *chunk, uint64_t time_ns,
	    uint32_t caplen);

/*
 * An Enhanced Packet Block of `len` bytes stands at pb_fill_at(): it is the
 * chunk's next packet, number `seq`.  Numbers ascend without a hole, but for
 * those of pb_fill_filtered(); the chunk has its head, which tells the link
 * type.
 */
static inline void
pb_fill_packet(struct pb_chunk *chunk, size_t len, uint64_t seq,
    uint64_t time_ns, uint32_t caplen)
{
	if (chunk->flow_pool != NULL)
		pb_fill_flow(chunk, time_ns, caplen);
	if (pb_tally_empty(&chunk->tally))
		chunk->first_seq = seq;
	chunk->last_seq = seq;
	chunk->len += len;
	pb_tally_packet(&chunk->tally, time_ns, caplen);
}

/* A packet that is no block yet, and fits: it becomes one, and what it tells
 * of drops is the chunk's. */
void	pb_fill_epb(struct pb_chunk *chunk, uint64_t seq,
	    const struct pb_packet *packet);

/* The next numbers are of packets that were left out; PB_FILTERED_BYTES fit. */
void	pb_fill_filtered(struct pb_chunk *chunk,
	    const struct pb_filtered *filtered, uint32_t pen);

/* Whole blocks that are no packets, and fit. */
static inline void
pb_fill_blocks(struct pb_chunk *chunk, const void *blocks, size_t len)
{
	assert(len <= pb_fill_room(chunk));
	if (len > 0)
		memcpy(pb_fill_at(chunk), blocks, len);
	chunk->len += len;
}

/* Blocks have been put before the last packet: its own begins `by` bytes
 * further on. */
static inline void
pb_fill_moved(struct pb_chunk *chunk, uint32_t by)
{
	if (chunk->flows != NULL)
		pb_flows_moved(chunk->flows, by);
}

/* Packet `seq` of the chunk, or the next one, tells of `count` dropped
 * before it. */
void	pb_fill_drops(struct pb_chunk *chunk, uint64_t seq, uint64_t count,
	    uint64_t time_ns);

/*
 * The chunk ends at `len`, the edge of a block: what packets it has left go
 * through the door again, first_seq the first number.
 */
void	pb_fill_again(struct pb_chunk *chunk, size_t len);

#endif
