/*
 * tests/fuzz/fuzz_body.c - any bytes as a request's body
 *
 * Byte 0 chooses the door, which numbers to keep and whether the rest is
 * packed with zstd; the rest is the body of lon1/eth0, epoch
 * 0123456789abcdef.  A body that is taken gives chunks
 * that scan as canonical blocks, numbered as they say; a check alone says
 * the same as taking it; a body refused leaves nothing; the reader alone
 * makes the same of it.
 */
#include <string.h>

#include "base/zip.h"
#include "pcapng/filtered.h"
#include "recorder/intake/body.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/body_ways.h"

#define BODY_BYTES_MAX	(16u << 20)	/* as [listen] body_max has it */
#define CHUNKS_MAX	1000

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
	uint64_t seq, last, want = chunk->first_seq, packets = 0;
	struct pb_hop hop[PB_HOPS_MAX];
	struct pb_packet packet;
	struct pb_block block;
	size_t at = 0;

	MUST(chunk->len <= chunk->cap && !pb_tally_empty(&chunk->tally));
	MUST(chunk->drops <= PB_CHUNK_DROPS_MAX);
	while (at < chunk->len) {
		MUST(pb_scan_block(chunk->data + at, chunk->len - at,
		    &block) == 1);
		MUST(block.len <= PB_STORED_BLOCK_BYTES_MAX);
		MUST(block.type != PB_BLOCK_CB &&
		    block.type != PB_BLOCK_CB_NOCOPY &&
		    block.type != PB_BLOCK_SHB && block.type != PB_BLOCK_IDB);
		at += block.len;
		if (block.type != PB_BLOCK_EPB) {
			int rc = pb_scan_numbers(&block, &seq, &last);

			MUST(rc == 0 || (rc == 1 && seq == want));
			want = rc == 1 ? last + 1 : want;
			continue;
		}
		packets++;
		MUST(pb_scan_epb(&block, &packet) == 0);
		MUST(packet.options_len <= PB_OPTIONS_BYTES_MAX);
		MUST(pb_packet_seq(&packet, &seq) && seq == want++);
		MUST(pb_hops_get(packet.options, packet.options_len, hop) ==
		    hops);
		MUST(packet.time_ns >= chunk->tally.first_time &&
		    packet.time_ns <= chunk->tally.last_time);
	}
	MUST(want == chunk->last_seq + 1);
	MUST(chunk->tally.packets == packets);
	MUST(packets + chunk->tally.filtered ==
	    chunk->last_seq - chunk->first_seq + 1);
}

/* The bytes as packed and unpacked again are the same. */
static void
check_packing(const uint8_t *data, size_t len)
{
	size_t room, back;
	struct pb_buf packed;
	uint8_t *plain;

	pb_buf_init(&packed, 2 * BODY_BYTES_MAX);
	MUST(pb_zip_pack(&packed, data, len) == 0);
	MUST(pb_zip_room(packed.data, packed.len, len, &room, NULL) == 0);
	MUST(room == len);
	plain = malloc(room + 1);
	MUST(plain != NULL);
	MUST(pb_zip_unpack(plain, room, packed.data, packed.len, &back,
	    NULL) == 0);
	MUST(back == len && memcmp(plain, data, len) == 0);
	free(plain);
	pb_buf_finish(&packed);
}

/* As ingest unpacks it: memory that the frame asks for, within the bound. */
static uint8_t *
unpack(const uint8_t *data, size_t size, size_t *len)
{
	uint8_t *plain;
	size_t room;
	int rc;

	if (pb_zip_room(data, size, BODY_BYTES_MAX, &room, NULL) < 0)
		return NULL;
	MUST(room <= BODY_BYTES_MAX);
	plain = malloc(room + (room == 0));
	MUST(plain != NULL);
	rc = pb_zip_unpack(plain, room, data, size, len, NULL);
	MUST(rc == 0 || rc == PB_EFORMAT || rc == PB_ELIMIT);
	if (rc < 0) {
		free(plain);
		return NULL;
	}
	MUST(*len <= room);
	return plain;
}

static void
take(struct pb_body *body, uint8_t flags)
{
	static const struct pb_run all = { 1, PB_SEQ_MAX };
	static const struct pb_run some[] = { { 2, 3 }, { 5, 5 }, { 7, 900 } };
	struct pb_body_facts facts, checked, looked;
	struct pb_chunk *chunk, *next;
	struct pb_body_build build = { .run = &all, .runs = 1,
	    .arrival_ns = 7, .number = 1, .chunk = make_chunk };
	uint64_t plain;
	int rc;

	body->self = (flags & 1) != 0 ? &self : NULL;
	if ((flags & 2) != 0) {
		build.run = some;
		build.runs = 3;
	}
	MUST(body_ways_differ(scratch, body, &build, CHUNKS_MAX, &plain) ==
	    NULL);
	rc = pb_body_read(scratch, body, &facts, &build, NULL);
	MUST(pb_body_read(scratch, body, &checked, NULL, NULL) == rc ||
	    rc == PB_ENOMEM);
	MUST((build.head != NULL) == (rc == 0));
	if (rc == 0) {
		MUST(facts.first == checked.first && facts.first >= 1);
		MUST(facts.last == checked.last);
		MUST(pb_body_look(scratch, body, &looked, NULL) == 0);
		MUST(looked.first == facts.first);
		check_packing(body->data, body->len);
	}
	for (chunk = build.first_chunk; chunk != NULL; chunk = next) {
		next = chunk->next;
		if (rc == 0)
			check_chunk(chunk, build.head->identity.nodes - 1);
		pb_chunk_destroy(chunk);
	}
	pb_head_unref(build.head);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_body body = { .key = &key, .pen = PB_PEN_EXAMPLE };
	uint8_t *plain = NULL;

	if (size == 0 || size - 1 > BODY_BYTES_MAX)
		return 0;
	if (scratch == NULL)
		MUST(pb_body_scratch_create(&scratch, NULL) == 0);
	body.data = data + 1;
	body.len = size - 1;
	if ((data[0] & 4) != 0) {
		plain = unpack(data + 1, size - 1, &body.len);
		if (plain == NULL)
			return 0;
		body.data = plain;
	}
	take(&body, data[0]);
	free(plain);
	return 0;
}
