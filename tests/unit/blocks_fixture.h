/*
 * tests/unit/blocks_fixture.h - both sides of a capture thread's blocks
 *
 * Packets, counters and the store's answers are given by hand, the chunks
 * that come out are read back.  Several lanes may share pool, counts and
 * stream, as the threads of one interface do.
 */
#ifndef PB_TEST_BLOCKS_FIXTURE_H
#define PB_TEST_BLOCKS_FIXTURE_H

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "recorder/capture/blocks.h"
#include "recorder/capture/source_impl.h"
#include "recorder/capture/source.h"

#define CHUNKS_MAX	64
#define LANES_MAX	3

/* The other side: takes chunks, answers as told, gives counters. */
struct side {
	struct pb_counts counts;
	struct pb_pool	*pool;
	struct pb_flow_pool *flows;
	struct pb_blocks lane[LANES_MAX];
	struct pb_losses seen;
	struct pb_losses now;		/* what the kernel says */
	uint64_t	 next;		/* number of the stream */
	uint32_t	 flags;		/* of packets that are given */
	struct pb_chunk	*chunk[CHUNKS_MAX];
	int		 chunks;
	int		 answer;	/* of submit */
	unsigned	 digests;	/* of chunks that came with one */
};

static inline uint64_t
side_begin(void *arg, struct pb_chunk *chunk)
{
	(void)chunk;
	return ((struct side *)arg)->next;
}

static inline int
side_submit(void *arg, struct pb_chunk *chunk, struct pb_err *err)
{
	struct side *side = arg;

	if (side->answer < 0)
		return pb_err_set(err, side->answer, "as told");
	assert_true(side->chunks < CHUNKS_MAX);
	pb_blocks_number(chunk, side->next);
	side->next = chunk->last_seq + 1;
	side->chunk[side->chunks++] = chunk;
	/* Of all that it holds now, or of nothing. */
	if (chunk->digested != 0) {
		assert_int_equal(chunk->digested, chunk->len);
		assert_int_equal(pb_digest_end(&chunk->digest),
		    pb_digest(chunk->data, chunk->len));
		side->digests++;
	}
	return 0;
}

static inline void
side_sample(void *arg)
{
	struct side *side = arg;

	pb_losses_sample(&side->seen, &side->counts, &side->now);
}

static inline void
side_init(struct side *side, uint16_t linktype, uint64_t next)
{
	struct pb_blocks_ops ops = { .begin = side_begin,
	    .submit = side_submit, .sample = side_sample, .arg = side };
	struct pb_node node = { .name = "lon1", .description = "London" };
	struct pb_conf_capture capture = { .interface = "eth9" };
	struct pb_stamping stamping = { .choice = PB_STAMP_CAPTURE };
	struct pb_description what = { .node = &node, .capture = &capture,
	    .stamping = &stamping, .pen = PB_PEN_EXAMPLE, .epoch = 7,
	    .linktype = linktype, .clock = "host" };
	struct pb_head *head;
	struct pb_err err;

	pb_log_level(PB_LOG_ERROR + 1);
	memset(side, 0, sizeof(*side));
	side->next = next;
	side->counts.start_ns = UINT64_C(1700000000000000000);
	assert_int_equal(pb_flow_pool_of_chunks(&side->flows, &err), 0);
	assert_int_equal(pb_pool_create(&side->pool, PB_SOURCE_CHUNKS,
	    side->flows, &err), 0);
	assert_int_equal(pb_describe(&head, &what, &err), 0);
	for (int i = 0; i < LANES_MAX; i++) {
		pb_blocks_init(&side->lane[i], &ops, &side->counts);
		pb_blocks_stream(&side->lane[i], side->pool, NULL,
		    pb_head_ref(head));
	}
	pb_head_unref(head);
}

/* The writer is done with all it has. */
static inline void
side_release(struct side *side)
{
	for (int i = 0; i < side->chunks; i++)
		side->chunk[i]->done(side->chunk[i], 0, NULL);
	side->chunks = 0;
}

static inline void
side_finish(struct side *side)
{
	side_release(side);
	for (int i = 0; i < LANES_MAX; i++)
		pb_blocks_finish(&side->lane[i]);
	pb_pool_close(side->pool);
	pb_flow_pool_destroy(side->flows);
}

/* A packet for a lane; its first bytes follow from its time. */
static inline bool
give_to(struct side *side, int lane, uint64_t time_ns, uint32_t caplen,
    uint32_t origlen)
{
	static uint8_t data[PB_CAPLEN_MAX + 64];

	for (uint32_t i = 0; i < 16; i++)
		data[i] = (uint8_t)(time_ns + i);
	return pb_blocks_packet(&side->lane[lane], time_ns, data, caplen,
	    origlen, side->flags);
}

static inline bool
give(struct side *side, uint64_t time_ns, uint32_t caplen, uint32_t origlen)
{
	return give_to(side, 0, time_ns, caplen, origlen);
}

static inline bool
hand_over(struct side *side, int lane, enum pb_handover why)
{
	return pb_blocks_handover(&side->lane[lane], why);
}

static inline uint64_t
lost(const struct side *side)
{
	return pb_counted(&side->counts.store);
}

/* What stands in a chunk, block by block. */
struct seen {
	unsigned	 packets, statistics;
	uint64_t	 first_seq, last_seq, drops, bytes;
	uint64_t	 drop_seq;	/* of the last packet with a count */
	uint32_t	 type[8];	/* the first blocks' types */
	unsigned	 blocks;
	struct pb_packet last;
	const uint8_t	*isb;		/* the last one's options */
	size_t		 isb_len;
};

static inline void
look_at_packet(struct seen *seen, const struct pb_block *block)
{
	uint64_t seq, drops;

	assert_int_equal(block->type, PB_BLOCK_EPB);
	assert_int_equal(pb_scan_epb(block, &seen->last), 0);
	assert_true(pb_packet_seq(&seen->last, &seq));
	if (seen->packets++ == 0)
		seen->first_seq = seq;
	else
		assert_int_equal(seq, seen->last_seq + 1);
	seen->last_seq = seq;
	seen->bytes += seen->last.caplen;
	if (pb_option_find_u64(seen->last.options, seen->last.options_len,
	    PB_OPT_EPB_DROPCOUNT, &drops)) {
		seen->drops += drops;
		seen->drop_seq = seq;
	}
}

/* Of each packet they say what its flow is; of the one whose block stands
 * `at` bytes behind the first, where, if it has a mark. */
static inline void
look_at_flows(const struct pb_flows *flows, const struct seen *seen,
    size_t at)
{
	uint32_t packet = seen->packets - 1;
	const struct pb_flow *flow;

	assert_non_null(flows);
	assert_true(packet < flows->packets);
	for (uint32_t i = 0; i < flows->marks; i++)
		if (flows->mark[i].packet == packet)
			assert_int_equal(flows->mark[i].at, at);
	flow = &flows->flow[flows->of[packet]];
	assert_in_range(seen->last.caplen, flow->caplen_min,
	    flow->caplen_max);
	assert_in_range(seen->last.origlen, flow->len_min, flow->len_max);
	assert_in_range(seen->last.time_ns, flow->first_time,
	    flow->last_time);
}

/* What the chunk says of itself is what its blocks say. */
static inline struct seen
look(const struct pb_chunk *chunk)
{
	struct seen seen = { 0 };
	struct pb_block block;
	uint64_t rows = 0;
	size_t at = 0;

	assert_true(chunk->len <= chunk->cap);
	for (; at < chunk->len; at += block.len) {
		assert_int_equal(pb_scan_block(chunk->data + at,
		    chunk->len - at, &block), 1);
		if (seen.blocks < 8)
			seen.type[seen.blocks] = block.type;
		seen.blocks++;
		if (block.type != PB_BLOCK_ISB) {
			look_at_packet(&seen, &block);
			look_at_flows(chunk->flows, &seen, at);
			continue;
		}
		seen.statistics++;
		assert_int_equal(pb_scan_options(&block, &seen.isb,
		    &seen.isb_len, NULL), 0);
	}
	assert_int_equal(at, chunk->len);
	assert_int_equal(seen.packets, chunk->tally.packets);
	assert_int_equal(seen.bytes, chunk->tally.bytes);
	assert_int_equal(seen.first_seq, chunk->first_seq);
	assert_int_equal(seen.last_seq, chunk->last_seq);
	assert_int_equal(seen.packets, chunk->flows->packets);
	for (unsigned i = 0; i < chunk->drops; i++)
		rows += chunk->drop[i].count;
	assert_int_equal(rows, seen.drops);
	assert_int_equal(chunk->tally.dropped, rows);
	return seen;
}

static inline uint64_t
statistic(const struct seen *seen, uint16_t code)
{
	uint64_t value = UINT64_MAX;

	assert_true(pb_option_find_u64(seen->isb, seen->isb_len, code,
	    &value));
	return value;
}

#endif
