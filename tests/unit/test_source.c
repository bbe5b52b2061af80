/*
 * tests/unit/test_source.c - what a capture thread does with its packets
 *
 * Packets, counters and the store's answers are given by hand, the chunks
 * that come out are read back.  At the end a real thread, on an interface
 * that is not there and, where that is permitted, on the loopback.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "recorder/capture/blocks.h"
#include "recorder/capture/describe.h"
#include "recorder/capture/link.h"
#include "recorder/capture/source.h"
#include "tests/unit/store_fixture.h"

#define CHUNKS_MAX	64
#define POLL_MS		10
#define TURNS_MAX	3000	/* of POLL_MS, then a test gives up */

/* The other side: takes chunks, answers as told, gives counters. */
struct side {
	struct pb_blocks blocks;
	struct pb_chunk	*chunk[CHUNKS_MAX];
	int		 chunks;
	int		 answer;	/* of submit */
	int		 refuse_after;	/* chunks; -1: never */
	uint32_t	 received, kernel, interface;
};

static int
take(void *arg, struct pb_chunk *chunk, struct pb_err *err)
{
	struct side *side = arg;

	if (side->answer < 0)
		return pb_err_set(err, side->answer, "as told");
	assert_true(side->chunks < CHUNKS_MAX);
	side->chunk[side->chunks++] = chunk;
	return 0;
}

static void
count(void *arg, struct pb_losses *losses)
{
	struct side *side = arg;

	pb_losses_sample(losses, side->received, side->kernel,
	    side->interface);
}

static void
side_init(struct side *side, uint16_t linktype, uint64_t next_seq)
{
	struct pb_blocks_ops ops = { take, count, side };
	struct pb_node node = { .name = "lon1", .description = "London" };
	struct pb_conf_capture capture = { .interface = "eth9" };
	struct pb_head *head;
	struct pb_err err;

	memset(side, 0, sizeof(*side));
	assert_int_equal(pb_blocks_init(&side->blocks, &ops, &err), 0);
	assert_int_equal(pb_describe(&head, &node, &capture, 7, linktype,
	    &err), 0);
	assert_int_equal(pb_blocks_stream(&side->blocks, NULL, head,
	    linktype, next_seq, &err), 0);
}

/* The writer is done with all it has. */
static void
side_release(struct side *side)
{
	for (int i = 0; i < side->chunks; i++)
		side->chunk[i]->done(side->chunk[i], 0, NULL);
	side->chunks = 0;
}

static void
side_finish(struct side *side)
{
	side_release(side);
	pb_blocks_finish(&side->blocks);
}

static void
give(struct side *side, uint64_t time_ns, uint32_t caplen, uint32_t origlen)
{
	static uint8_t data[PB_CAPLEN_MAX + 64];
	struct pb_packet packet = { .time_ns = time_ns, .caplen = caplen,
	    .origlen = origlen, .data = data };

	for (uint32_t i = 0; i < 16; i++)
		data[i] = (uint8_t)(time_ns + i);
	pb_blocks_packet(&side->blocks, &packet);
}

/* What stands in a chunk, block by block. */
struct seen {
	unsigned	 packets, statistics;
	uint64_t	 first_seq, last_seq, drops, bytes;
	uint32_t	 type[8];	/* the first blocks' types */
	unsigned	 blocks;
	struct pb_packet last;
	const uint8_t	*isb;		/* the last one's options */
	size_t		 isb_len;
};

static struct seen
look(const struct pb_chunk *chunk)
{
	struct seen seen = { 0 };
	struct pb_block block;
	uint64_t seq, drops;
	size_t at = 0;

	for (; at < chunk->len; at += block.len) {
		assert_int_equal(pb_scan_block(chunk->data + at,
		    chunk->len - at, &block), 1);
		if (seen.blocks < 8)
			seen.type[seen.blocks] = block.type;
		seen.blocks++;
		if (block.type == PB_BLOCK_ISB) {
			seen.statistics++;
			assert_int_equal(pb_scan_options(&block, &seen.isb,
			    &seen.isb_len, NULL), 0);
			continue;
		}
		assert_int_equal(block.type, PB_BLOCK_EPB);
		assert_int_equal(pb_scan_epb(&block, &seen.last), 0);
		assert_true(pb_packet_seq(&seen.last, &seq));
		if (seen.packets++ == 0)
			seen.first_seq = seq;
		else
			assert_int_equal(seq, seen.last_seq + 1);
		seen.last_seq = seq;
		seen.bytes += seen.last.caplen;
		if (pb_option_find_u64(seen.last.options,
		    seen.last.options_len, PB_OPT_EPB_DROPCOUNT, &drops))
			seen.drops += drops;
	}
	assert_int_equal(at, chunk->len);
	return seen;
}

static uint64_t
statistic(const struct seen *seen, uint16_t code)
{
	uint64_t value = UINT64_MAX;

	assert_true(pb_option_find_u64(seen->isb, seen->isb_len, code,
	    &value));
	return value;
}

static void
packets_become_blocks_numbered_without_holes(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 41);
	give(&side, 2000, 60, 60);
	give(&side, 1000, 61, 1500);
	give(&side, 3000, 0, 0);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	assert_int_equal(side.chunks, 1);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.packets, 3);
	assert_int_equal(seen.statistics, 0);
	assert_int_equal(seen.first_seq, 41);
	assert_int_equal(seen.last_seq, 43);
	assert_int_equal(side.chunk[0]->first_seq, 41);
	assert_int_equal(side.chunk[0]->last_seq, 43);
	assert_int_equal(side.chunk[0]->packets, 3);
	assert_int_equal(side.chunk[0]->packet_bytes, 121);
	assert_int_equal(side.chunk[0]->first_time, 1000);
	assert_int_equal(side.chunk[0]->last_time, 3000);
	assert_int_equal(side.chunk[0]->drops, 0);
	assert_true(side.chunk[0]->keep_trying);
	assert_non_null(side.chunk[0]->head);
	give(&side, 4000, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	assert_int_equal(side.chunk[1]->first_seq, 44);
	side_finish(&side);
}

static void
a_packet_keeps_its_bytes_lengths_and_time(void **state)
{
	const uint64_t time_ns = UINT64_C(1732233600123456789);
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, time_ns, 15, 9000);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.last.time_ns, time_ns);
	assert_int_equal(seen.last.caplen, 15);
	assert_int_equal(seen.last.origlen, 9000);
	for (int i = 0; i < 15; i++)
		assert_int_equal(seen.last.data[i],
		    (uint8_t)(time_ns + (uint64_t)i));
	side_finish(&side);
}

static void
captured_bytes_over_the_limit_are_cut(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, 1, PB_CAPLEN_MAX + 5, PB_CAPLEN_MAX + 5);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.last.caplen, PB_CAPLEN_MAX);
	assert_int_equal(seen.last.origlen, PB_CAPLEN_MAX + 5);
	side_finish(&side);
}

/* Every length, so that every rest of room in a chunk comes up. */
static void
chunks_are_filled_and_never_overrun(void **state)
{
	uint64_t packets = 0, next = 1;
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	for (uint32_t len = 1; side.chunks < 20; len = len * 5 % 65521) {
		if (packets % 7 == 0)
			side.kernel++;
		give(&side, packets++, len, len);
	}
	pb_blocks_handover(&side.blocks, PB_HANDOVER_END);
	for (int i = 0; i < side.chunks; i++) {
		struct seen seen = look(side.chunk[i]);

		assert_true(side.chunk[i]->len <= side.chunk[i]->cap);
		if (i < side.chunks - 1)
			assert_true(side.chunk[i]->len >
			    side.chunk[i]->cap - 70000);
		assert_int_equal(seen.first_seq, next);
		assert_int_equal(seen.packets, side.chunk[i]->packets);
		assert_int_equal(seen.bytes, side.chunk[i]->packet_bytes);
		next = seen.last_seq + 1;
	}
	assert_int_equal(next - 1, packets);
	side_finish(&side);
}

static void
the_longest_packet_with_all_around_it_fits_a_chunk(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_LINUX_SLL, 1);
	for (int i = 0; i < 9; i++) {
		side.kernel += 3;
		give(&side, 1, PB_CAPLEN_MAX, PB_CAPLEN_MAX);
	}
	side.kernel += 3;
	pb_blocks_handover(&side.blocks, PB_HANDOVER_END);
	for (int i = 0; i < side.chunks; i++)
		assert_true(side.chunk[i]->len <= side.chunk[i]->cap);
	side_finish(&side);
}

static void
losses_are_told_by_the_next_packet_behind_statistics(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, 1, 60, 60);
	side.received = 12;
	side.kernel = 4;
	side.interface = 5;
	pb_blocks_handover(&side.blocks, PB_HANDOVER_FULL);
	assert_int_equal(side.chunk[0]->drops, 0);
	give(&side, 77, 60, 60);
	give(&side, 78, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_FULL);
	seen = look(side.chunk[1]);
	assert_int_equal(seen.blocks, 3);
	assert_int_equal(seen.type[0], PB_BLOCK_ISB);
	assert_int_equal(seen.type[1], PB_BLOCK_EPB);
	assert_int_equal(seen.drops, 9);
	assert_int_equal(side.chunk[1]->drops, 1);
	assert_int_equal(side.chunk[1]->drop[0].seq, 2);
	assert_int_equal(side.chunk[1]->drop[0].count, 9);
	assert_int_equal(side.chunk[1]->drop[0].time_ns, 77);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_IFRECV), 12);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_OSDROP), 4);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_IFDROP), 5);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_USRDELIV), 1);
	side_finish(&side);
}

/* Nobody knows when the next packet comes, or whether one will. */
static void
losses_found_when_a_link_goes_quiet_are_told_at_once(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, 10, 60, 60);
	give(&side, 20, 61, 61);
	side.kernel = 6;
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.blocks, 3);
	assert_int_equal(seen.type[1], PB_BLOCK_ISB);
	assert_int_equal(seen.type[2], PB_BLOCK_EPB);
	assert_int_equal(seen.drops, 6);
	assert_int_equal(seen.last.caplen, 61);
	assert_int_equal(side.chunk[0]->drop[0].seq, 2);
	assert_int_equal(side.chunk[0]->drop[0].count, 6);
	assert_int_equal(side.chunk[0]->drop[0].time_ns, 20);
	give(&side, 30, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	assert_int_equal(side.chunk[1]->drops, 0);
	side_finish(&side);
}

static void
a_packet_that_tells_of_a_loss_can_tell_of_another(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_LINUX_SLL, 1);
	pb_losses_store(&side.blocks.losses, 2);
	give(&side, 10, 60, 60);
	side.kernel = 5;
	pb_blocks_handover(&side.blocks, PB_HANDOVER_END);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.packets, 1);
	assert_int_equal(seen.drops, 7);
	assert_int_equal(side.chunk[0]->drops, 1);
	assert_int_equal(side.chunk[0]->drop[0].count, 7);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_OSDROP), 7);
	side_finish(&side);
}

static void
the_last_chunk_closes_with_a_statistics_block(void **state)
{
	uint8_t *times[2];
	struct pb_option option;
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	give(&side, 10, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_END);
	seen = look(side.chunk[0]);
	assert_int_equal(seen.blocks, 2);
	assert_int_equal(seen.type[1], PB_BLOCK_ISB);
	assert_int_equal(seen.drops, 0);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_USRDELIV), 1);
	/* High word first: the times are after 2020 and in order. */
	for (int i = 0; i < 2; i++) {
		assert_true(pb_option_find(seen.isb, seen.isb_len,
		    i == 0 ? PB_OPT_ISB_STARTTIME : PB_OPT_ISB_ENDTIME,
		    &option));
		times[i] = (uint8_t *)(uintptr_t)option.value;
	}
	assert_true(((uint64_t)pb_get_le32(times[0]) << 32 |
	    pb_get_le32(times[0] + 4)) > UINT64_C(1577836800000000000));
	assert_true(((uint64_t)pb_get_le32(times[0]) << 32 |
	    pb_get_le32(times[0] + 4)) <=
	    ((uint64_t)pb_get_le32(times[1]) << 32 |
	    pb_get_le32(times[1] + 4)));
	side_finish(&side);
}

static void
no_chunk_goes_out_without_a_packet(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.kernel = 3;
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_END);
	assert_int_equal(side.chunks, 0);
	/* What was lost meanwhile waits for the next packet. */
	give(&side, 1, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_END);
	assert_int_equal(look(side.chunk[0]).drops, 3);
	side_finish(&side);
}

static void
with_every_chunk_in_use_packets_are_counted_as_lost(void **state)
{
	struct side side;
	struct seen seen;
	uint64_t kept;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	while (side.blocks.losses.store < 10)
		give(&side, 5, 60000, 60000);
	/* One stays back to tell of it. */
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 1);
	kept = side.blocks.packets;
	assert_false(pb_blocks_ready(&side.blocks));
	assert_false(pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME));
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 1);
	side_release(&side);
	assert_true(pb_blocks_ready(&side.blocks));
	pb_blocks_submit(&side.blocks);
	give(&side, 6, 60000, 60000);
	assert_true(pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME));
	assert_int_equal(side.chunks, 2);
	assert_int_equal(side.chunk[0]->last_seq, kept);
	seen = look(side.chunk[1]);
	assert_int_equal(seen.first_seq, kept + 1);
	assert_int_equal(seen.drops, 10);
	assert_int_equal(side.chunk[1]->drop[0].count, 10);
	assert_int_equal(statistic(&seen, PB_OPT_ISB_OSDROP), 10);
	side_finish(&side);
}

static void
where_it_is_ready_no_packet_is_lost(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	while (pb_blocks_ready(&side.blocks))
		give(&side, 5, PB_CAPLEN_MAX, PB_CAPLEN_MAX);
	assert_int_equal(side.blocks.losses.store, 0);
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS - 1);
	side_finish(&side);
}

static void
what_a_full_store_lost_is_told_though_no_packet_follows(void **state)
{
	struct side side;
	struct seen seen;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	while (side.blocks.losses.store < 10)
		give(&side, 5, 60000, 60000);
	assert_true(pb_blocks_handover(&side.blocks, PB_HANDOVER_END));
	assert_int_equal(side.chunks, PB_SOURCE_CHUNKS);
	seen = look(side.chunk[PB_SOURCE_CHUNKS - 1]);
	assert_int_equal(seen.drops, 10);
	assert_int_equal(side.blocks.losses.pending, 0);
	side_finish(&side);
}

static void
a_busy_store_is_asked_again_and_reading_goes_on(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.answer = PB_EBUSY;
	for (int i = 0; i < 3; i++) {
		give(&side, 5, 60, 60);
		pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	}
	assert_false(pb_blocks_submit(&side.blocks));
	assert_int_equal(side.chunks, 0);
	side.answer = 0;
	assert_true(pb_blocks_submit(&side.blocks));
	assert_int_equal(side.chunks, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(side.chunk[i]->first_seq, i + 1);
	assert_int_equal(side.blocks.losses.store, 0);
	/* And again after it was empty. */
	give(&side, 5, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	assert_int_equal(side.chunk[3]->first_seq, 4);
	side_finish(&side);
}

static void
what_was_never_taken_is_given_back_at_the_end(void **state)
{
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	side.answer = PB_EBUSY;
	give(&side, 5, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	give(&side, 5, 60, 60);
	side_finish(&side);	/* a leak checker tells */
}

static void
chunks_outlive_the_source_that_made_them(void **state)
{
	struct pb_chunk *kept[2];
	struct side side;

	(void)state;
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	for (int i = 0; i < 2; i++) {
		give(&side, 5, 60, 60);
		pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
		kept[i] = side.chunk[i];
	}
	pb_blocks_finish(&side.blocks);
	assert_int_equal(look(kept[0]).packets, 1);
	for (int i = 0; i < 2; i++)
		kept[i]->done(kept[i], 0, NULL);
}

static void
a_cooked_packet_tells_its_direction(void **state)
{
	static const struct { uint8_t type; uint32_t flags; } want[] = {
		{ 0, 1 | 1 << 2 }, { 1, 1 | 3 << 2 }, { 2, 1 | 2 << 2 },
		{ 3, 1 | 4 << 2 }, { 4, 2 },
	};
	uint8_t data[32] = { 0 };
	struct pb_packet packet = { .caplen = 20, .origlen = 20,
	    .data = data };
	struct side side;
	struct seen seen;
	uint32_t flags;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		side_init(&side, PB_LINKTYPE_LINUX_SLL, 1);
		data[1] = want[i].type;
		pb_blocks_packet(&side.blocks, &packet);
		pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
		seen = look(side.chunk[0]);
		assert_true(pb_option_find_u32(seen.last.options,
		    seen.last.options_len, PB_OPT_EPB_FLAGS, &flags));
		assert_int_equal(flags, want[i].flags);
		side_finish(&side);
	}
	side_init(&side, PB_LINKTYPE_LINUX_SLL2, 1);
	data[10] = 4;
	pb_blocks_packet(&side.blocks, &packet);
	data[10] = 9;			/* a type of tomorrow */
	pb_blocks_packet(&side.blocks, &packet);
	packet.caplen = 10;		/* cut before it */
	pb_blocks_packet(&side.blocks, &packet);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	seen = look(side.chunk[0]);
	assert_false(pb_option_find_u32(seen.last.options,
	    seen.last.options_len, PB_OPT_EPB_FLAGS, &flags));
	side_finish(&side);
}

static void
counters_run_on_past_32_bits_and_over_openings(void **state)
{
	struct pb_losses losses = { 0 };

	(void)state;
	pb_losses_sample(&losses, 10, UINT32_C(0x7fffffff), 0);
	pb_losses_sample(&losses, 20, UINT32_C(0xfffffffe), 0);
	pb_losses_sample(&losses, 30, 1, 0);
	assert_int_equal(losses.kernel, UINT64_C(0x100000001));
	assert_int_equal(losses.received, 30);
	pb_losses_opened(&losses);
	pb_losses_sample(&losses, 5, 2, 1);
	assert_int_equal(losses.received, 35);
	assert_int_equal(losses.kernel, UINT64_C(0x100000003));
	assert_int_equal(losses.interface, 1);
	assert_int_equal(losses.pending, UINT64_C(0x100000004));
}

static void
a_counter_that_goes_back_is_no_loss(void **state)
{
	struct pb_losses losses = { 0 };

	(void)state;
	pb_losses_sample(&losses, 10, 0, 500);
	pb_losses_sample(&losses, 10, 0, 0);
	assert_int_equal(losses.interface, 500);
	pb_losses_sample(&losses, 10, 0, 3);
	assert_int_equal(losses.interface, 503);
}

static void
a_stream_says_who_and_where_it_is(void **state)
{
	struct pb_node node = { .name = "lon1", .description = "London" };
	struct pb_conf_capture capture = { .interface = "lo",
	    .description = "the loop", .filter = "not port 22" };
	struct pb_option option;
	struct pb_head *head;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_describe(&head, &node, &capture, 99,
	    PB_LINKTYPE_ETHERNET, &err), 0);
	assert_string_equal(head->identity.node[0].name, "lon1");
	assert_string_equal(head->identity.node[0].description, "London");
	assert_string_equal(head->identity.interface, "lo");
	assert_int_equal(head->identity.epoch, 99);
	assert_int_equal(head->identity.nodes, 1);
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_NAME, &option));
	assert_memory_equal(option.value, "lo", 2);
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_DESCRIPTION, &option));
	assert_int_equal(option.len, strlen("lon1: the loop"));
	assert_memory_equal(option.value, "lon1: the loop", option.len);
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_FILTER, &option));
	assert_int_equal(option.len, 12);
	assert_memory_equal(option.value, "\0not port 22", 12);
	assert_true(pb_option_find(head->shb_options.data,
	    head->shb_options.len, PB_OPT_SHB_OS, &option));
	assert_memory_equal(option.value, "Linux ", 6);
	pb_head_unref(head);
}

static void
a_filter_is_checked_though_the_interface_is_absent(void **state)
{
	struct pb_conf_capture capture = { .interface = "not-there0" };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_source_check(&capture, &err), 0);
	strcpy(capture.filter, "tcp port 80 and vlan");
	assert_int_equal(pb_source_check(&capture, &err), 0);
	/* Right for another link type than Ethernet. */
	strcpy(capture.filter, "wlan type mgt");
	assert_int_equal(pb_source_check(&capture, &err), 0);
	strcpy(capture.filter, "port port");
	assert_int_equal(pb_source_check(&capture, &err), PB_EINVAL);
	assert_non_null(strstr(err.text, "[capture not-there0]"));
	assert_non_null(strstr(err.text, "port port"));
}

static void
an_unknown_time_stamp_type_is_refused(void **state)
{
	struct pb_conf_capture capture = { .interface = "not-there0",
	    .timestamp_type = "adapter" };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_source_check(&capture, &err), 0);
	strcpy(capture.timestamp_type, "sundial");
	assert_int_equal(pb_source_check(&capture, &err), PB_EINVAL);
	assert_non_null(strstr(err.text, "sundial"));
}

static void
an_interface_is_known_by_its_index(void **state)
{
	struct pb_link_state link;

	(void)state;
	pb_link_state("lo", &link);
	assert_int_not_equal(link.index, 0);
	pb_link_state("any", &link);
	assert_int_equal(link.index, 0);
	assert_true(link.up);
	pb_link_state("not-there0", &link);
	assert_int_equal(link.index, 0);
}

static int
find_lo(const struct pb_interface_info *info, void *arg)
{
	assert_non_null(info->description);
	assert_true(strlen(info->timestamp_types) > 0);
	assert_non_null(info->linktype);
	if (strcmp(info->name, "lo") == 0) {
		assert_true(info->loopback);
		*(int *)arg = 1;
		return 17;
	}
	return 0;
}

static void
interfaces_are_listed_until_the_caller_has_enough(void **state)
{
	struct pb_err err;
	int found = 0, rc;

	(void)state;
	rc = pb_interfaces(find_lo, &found, &err);
	assert_int_equal(rc, found ? 17 : 0);
}

/* What was numbered behind a refused chunk would leave a hole. */
static void
after_a_refused_chunk_numbers_follow_the_store(void **state)
{
	struct pb_head *head;
	struct fixture f;
	struct side side;
	struct pb_err err;

	(void)state;
	fixture_init(&f, __LINE__);
	side_init(&side, PB_LINKTYPE_ETHERNET, 1);
	head = pb_head_ref(side.blocks.head);
	assert_int_equal(pb_blocks_stream(&side.blocks, f.stream, head,
	    PB_LINKTYPE_ETHERNET, 500, &err), 0);
	side.answer = PB_EBUSY;
	give(&side, 1, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	give(&side, 1, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	give(&side, 1, 60, 60);
	side.answer = PB_EORDER;
	assert_true(pb_blocks_submit(&side.blocks));
	assert_int_equal(side.blocks.losses.store, 3);
	assert_int_equal(side.blocks.packets, 0);
	assert_int_equal(side.blocks.bytes, 0);
	side.answer = 0;
	give(&side, 2, 60, 60);
	pb_blocks_handover(&side.blocks, PB_HANDOVER_TIME);
	assert_int_equal(side.chunks, 1);
	assert_int_equal(side.chunk[0]->first_seq, 1);
	assert_int_equal(look(side.chunk[0]).drops, 3);
	side_finish(&side);
	fixture_finish(&f);
}

static struct pb_source *
start(struct fixture *f, const char *interface, const char *filter)
{
	struct pb_conf conf = { .node.name = "lon1",
	    .store.flush_interval_ms = 40 };
	struct pb_conf_capture capture = { .snaplen = PB_SNAPLEN,
	    .buffer = 1 << 20 };
	struct pb_source *source;
	struct pb_err err;

	strcpy(capture.interface, interface);
	strcpy(capture.filter, filter);
	assert_int_equal(pb_source_start(&source, &capture, &conf, f->store,
	    &err), 0);
	return source;
}

/* Until it captures or says why not. */
static struct pb_source_stats
settled(struct pb_source *source)
{
	struct pb_source_stats stats;

	for (int i = 0; i < TURNS_MAX; i++) {
		pb_source_stats(source, &stats);
		if (stats.up || stats.last_error[0] != '\0')
			break;
		poll(NULL, 0, POLL_MS);
	}
	return stats;
}

static void
an_absent_interface_is_waited_for_and_is_no_error(void **state)
{
	struct pb_source_stats stats;
	struct pb_source *source;
	struct fixture f;

	(void)state;
	fixture_init(&f, __LINE__);
	source = start(&f, "not-there0", "");
	stats = settled(source);
	assert_false(stats.up);
	assert_non_null(strstr(stats.last_error, "not-there0"));
	assert_string_equal(stats.interface, "not-there0");
	pb_source_stop(source);
	fixture_finish(&f);
}

static void
send_udp(uint16_t port, int count)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	for (int i = 0; i < count; i++)
		sendto(fd, &i, sizeof(i), 0, (struct sockaddr *)&to,
		    sizeof(to));
	close(fd);
}

static void
packets_of_an_interface_are_in_the_store_when_it_stops(void **state)
{
	struct pb_stream_info rows[4];
	struct pb_source_stats stats;
	struct pb_source *source;
	struct pb_index *index;
	struct pb_err err;
	struct fixture f;
	int count;

	(void)state;
	fixture_init(&f, __LINE__);
	source = start(&f, "lo", "udp dst port 49151");
	stats = settled(source);
	if (!stats.up) {
		print_message("skipped: cannot capture here: %s\n",
		    stats.last_error);
		pb_source_stop(source);
		fixture_finish(&f);
		skip();
	}
	send_udp(49150, 5);
	send_udp(49151, 100);
	for (int i = 0; i < TURNS_MAX && stats.packets < 100; i++) {
		poll(NULL, 0, POLL_MS);
		pb_source_stats(source, &stats);
	}
	send_udp(49151, 20);	/* still with the kernel when it stops */
	pb_source_stop(source);
	pb_store_close(f.store);
	f.store = NULL;
	assert_int_equal(pb_index_open(&index, f.dir, &err), 0);
	count = pb_index_streams(index, NULL, rows, 4, &err);
	assert_int_equal(count, 1);
	assert_string_equal(rows[0].key.node, "lon1");
	assert_string_equal(rows[0].key.interface, "lo");
	assert_true(rows[0].own);
	assert_int_equal(rows[0].packets, 120);
	assert_int_equal(rows[0].last_seq, 120);
	assert_int_equal(rows[0].linktype, PB_LINKTYPE_ETHERNET);
	pb_index_close(index);
	fixture_finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_become_blocks_numbered_without_holes),
		cmocka_unit_test(a_packet_keeps_its_bytes_lengths_and_time),
		cmocka_unit_test(captured_bytes_over_the_limit_are_cut),
		cmocka_unit_test(chunks_are_filled_and_never_overrun),
		cmocka_unit_test(
		    the_longest_packet_with_all_around_it_fits_a_chunk),
		cmocka_unit_test(
		    losses_are_told_by_the_next_packet_behind_statistics),
		cmocka_unit_test(
		    losses_found_when_a_link_goes_quiet_are_told_at_once),
		cmocka_unit_test(
		    a_packet_that_tells_of_a_loss_can_tell_of_another),
		cmocka_unit_test(
		    the_last_chunk_closes_with_a_statistics_block),
		cmocka_unit_test(no_chunk_goes_out_without_a_packet),
		cmocka_unit_test(
		    with_every_chunk_in_use_packets_are_counted_as_lost),
		cmocka_unit_test(where_it_is_ready_no_packet_is_lost),
		cmocka_unit_test(
		    what_a_full_store_lost_is_told_though_no_packet_follows),
		cmocka_unit_test(
		    a_busy_store_is_asked_again_and_reading_goes_on),
		cmocka_unit_test(
		    what_was_never_taken_is_given_back_at_the_end),
		cmocka_unit_test(chunks_outlive_the_source_that_made_them),
		cmocka_unit_test(a_cooked_packet_tells_its_direction),
		cmocka_unit_test(
		    counters_run_on_past_32_bits_and_over_openings),
		cmocka_unit_test(a_counter_that_goes_back_is_no_loss),
		cmocka_unit_test(a_stream_says_who_and_where_it_is),
		cmocka_unit_test(
		    a_filter_is_checked_though_the_interface_is_absent),
		cmocka_unit_test(an_unknown_time_stamp_type_is_refused),
		cmocka_unit_test(an_interface_is_known_by_its_index),
		cmocka_unit_test(
		    interfaces_are_listed_until_the_caller_has_enough),
		cmocka_unit_test(
		    after_a_refused_chunk_numbers_follow_the_store),
		cmocka_unit_test(
		    an_absent_interface_is_waited_for_and_is_no_error),
		cmocka_unit_test(
		    packets_of_an_interface_are_in_the_store_when_it_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
