/*
 * tests/fuzz/fuzz_body.c - any bytes as a request's body
 *
 * Byte 0 chooses the door and which numbers to keep, the rest is the body
 * of lon1/eth0, epoch 0123456789abcdef.  A body that is taken gives chunks
 * that scan as canonical blocks, numbered as they say; a check alone says
 * the same as taking it; a body refused leaves nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pcapng/scan.h"
#include "recorder/ingest/intake/body.h"

#define MUST(x)	do { if (!(x)) abort(); } while (0)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pb_stream_key key = {
	"lon1", "eth0", 0x0123456789abcdefull,
};
static const struct pb_node self = { "core", "in the middle" };
static struct pb_body_scratch *scratch;

static struct pb_chunk *
make_chunk(void *arg)
{
	(void)arg;
	return pb_chunk_create();
}

static void
check_chunk(const struct pb_chunk *chunk, int hops)
{
	uint64_t seq, want = chunk->first_seq;
	struct pb_hop hop[PB_HOPS_MAX];
	struct pb_packet packet;
	struct pb_block block;
	size_t at = 0;

	MUST(chunk->len <= chunk->cap && chunk->packets > 0);
	MUST(chunk->drops <= PB_CHUNK_DROPS_MAX);
	while (at < chunk->len) {
		MUST(pb_scan_block(chunk->data + at, chunk->len - at,
		    &block) == 1);
		MUST(block.len <= PB_STORED_BLOCK_BYTES_MAX);
		MUST(block.type != PB_BLOCK_CB &&
		    block.type != PB_BLOCK_CB_NOCOPY &&
		    block.type != PB_BLOCK_SHB && block.type != PB_BLOCK_IDB);
		at += block.len;
		if (block.type != PB_BLOCK_EPB)
			continue;
		MUST(pb_scan_epb(&block, &packet) == 0);
		MUST(packet.options_len <= PB_OPTIONS_BYTES_MAX);
		MUST(pb_packet_seq(&packet, &seq) && seq == want++);
		MUST(pb_hops_get(packet.options, packet.options_len, hop) ==
		    hops);
		MUST(packet.time_ns >= chunk->first_time &&
		    packet.time_ns <= chunk->last_time);
	}
	MUST(want == chunk->last_seq + 1);
	MUST(chunk->packets == chunk->last_seq - chunk->first_seq + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pb_run all = { 1, PB_SEQ_MAX };
	static const struct pb_run some[] = { { 2, 3 }, { 5, 5 }, { 7, 900 } };
	struct pb_body_facts facts, checked, looked;
	struct pb_chunk *chunk, *next;
	struct pb_body body = { .key = &key, .pen = PB_PEN_EXAMPLE };
	struct pb_body_build build = { .run = &all, .runs = 1,
	    .arrival_ns = 7, .number = 1, .chunk = make_chunk };
	int rc;

	if (size == 0 || size - 1 > PB_CHUNK_BYTES * 16)
		return 0;
	if (scratch == NULL)
		MUST(pb_body_scratch_create(&scratch, NULL) == 0);
	body.self = (data[0] & 1) != 0 ? &self : NULL;
	if ((data[0] & 2) != 0) {
		build.run = some;
		build.runs = 3;
	}
	body.data = data + 1;
	body.len = size - 1;
	rc = pb_body_chunks(scratch, &body, &facts, &build, NULL);
	MUST(pb_body_check(scratch, &body, &checked, NULL) == rc ||
	    rc == PB_ENOMEM);
	MUST((build.head != NULL) == (rc == 0));
	if (rc == 0) {
		MUST(facts.first == checked.first && facts.first >= 1);
		MUST(facts.last == checked.last);
		MUST(pb_body_look(scratch, &body, &looked, NULL) == 0);
		MUST(looked.first == facts.first);
	}
	for (chunk = build.first_chunk; chunk != NULL; chunk = next) {
		next = chunk->next;
		if (rc == 0)
			check_chunk(chunk, build.head->identity.nodes - 1);
		pb_chunk_destroy(chunk);
	}
	pb_head_unref(build.head);
	return 0;
}
