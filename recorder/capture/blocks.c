/*
 * recorder/capture/blocks.c - packets in, chunks of whole blocks out
 *
 * Options of a packet, in this order: epb_flags where the link type tells
 * the direction, epb_packetid always, epb_dropcount after a loss.  The
 * drop count stands last so that one can be added to a block that is
 * already written (charge_last).
 *
 * Where exactly a packet was lost nobody knows: the kernel counts, and is
 * asked once a chunk.  The sum of all drop counts is exact.
 */
#include "recorder/capture/blocks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "recorder/capture/source.h"

#define DROPCOUNT_BYTES		PB_OPTION_BYTES(8)
#define OPTIONS_BYTES_MAX	(PB_OPTION_BYTES(4) + 2 * PB_OPTION_BYTES(8))
#define OPT_END_BYTES		4u
#define TRAILER_BYTES		4u
/* Header 12, body 12 with opt_endofopt 4, six options of 12; rounded up. */
#define ISB_BYTES_MAX		128u
/* Beside a packet's own block: statistics before it, twice where it tells
 * of two losses, and at the end of the chunk; a drop count added later. */
#define RESERVE_BYTES		(3 * ISB_BYTES_MAX + DROPCOUNT_BYTES)

/* epb_flags, draft section 4.3.1. */
#define FLAG_INBOUND		1u
#define FLAG_OUTBOUND		2u
#define FLAG_UNICAST		(1u << 2)
#define FLAG_MULTICAST		(2u << 2)
#define FLAG_BROADCAST		(3u << 2)
#define FLAG_PROMISCUOUS	(4u << 2)

static bool	room_for(struct pb_blocks *, const struct pb_packet *);
static size_t	packet_options(struct pb_blocks *, const struct pb_packet *,
		    uint8_t *);
static uint32_t	direction(uint16_t, const struct pb_packet *);
static void	note_packet(struct pb_blocks *, const struct pb_packet *);
static void	note_drop(struct pb_chunk *, uint64_t, uint64_t, uint64_t);
static void	charge_last(struct pb_blocks *);
static void	build_statistics(struct pb_blocks *);
static void	put_statistics(struct pb_blocks *, size_t);
static void	put_time(struct pb_buf *, uint16_t, uint64_t);
static void	reject(struct pb_blocks *, const struct pb_err *);

int
pb_blocks_init(struct pb_blocks *blocks, const struct pb_blocks_ops *ops,
    struct pb_err *err)
{
	memset(blocks, 0, sizeof(*blocks));
	blocks->ops = *ops;
	blocks->ready_end = &blocks->ready;
	blocks->start_ns = pb_clock_real_ns();
	for (int i = 0; i < 2; i++) {
		pb_buf_init(&blocks->scratch[i], ISB_BYTES_MAX);
		if (pb_buf_reserve(&blocks->scratch[i], ISB_BYTES_MAX) == NULL)
			return pb_err_set(err, PB_ENOMEM, "capture: no memory");
	}
	return 0;
}

void
pb_blocks_finish(struct pb_blocks *blocks)
{
	struct pb_chunk *chunk;

	if (blocks->chunk != NULL)
		pb_pool_give(blocks->pool, blocks->chunk);
	while ((chunk = blocks->ready) != NULL) {
		blocks->ready = chunk->next;
		pb_pool_give(blocks->pool, chunk);
	}
	pb_head_unref(blocks->head);
	pb_pool_close(blocks->pool);
	for (int i = 0; i < 2; i++)
		pb_buf_finish(&blocks->scratch[i]);
	memset(blocks, 0, sizeof(*blocks));
}

int
pb_blocks_stream(struct pb_blocks *blocks, struct pb_stream *stream,
    struct pb_head *head, uint16_t linktype, uint64_t next_seq,
    struct pb_err *err)
{
	int rc;

	assert(blocks->chunk == NULL);
	if (blocks->pool == NULL) {
		rc = pb_pool_create(&blocks->pool, PB_SOURCE_CHUNKS, err);
		if (rc < 0)
			return rc;
	}
	pb_head_unref(blocks->head);
	blocks->head = head;
	blocks->stream = stream;
	blocks->linktype = linktype;
	blocks->next_seq = next_seq;
	return 0;
}

void
pb_blocks_packet(struct pb_blocks *blocks, const struct pb_packet *in)
{
	uint8_t options[OPTIONS_BYTES_MAX];
	struct pb_packet packet = *in;
	struct pb_chunk *chunk;

	if (packet.caplen > PB_CAPLEN_MAX)
		packet.caplen = PB_CAPLEN_MAX;
	if (!room_for(blocks, &packet)) {
		pb_losses_store(&blocks->losses, 1);
		return;
	}
	chunk = blocks->chunk;
	if (blocks->losses.pending > 0) {
		build_statistics(blocks);
		put_statistics(blocks, chunk->len);
	}
	packet.options = options;
	packet.options_len = packet_options(blocks, &packet, options);
	blocks->last_at = chunk->len;
	blocks->last_time_ns = packet.time_ns;
	chunk->len += pb_build_epb(chunk->data + chunk->len, 0, &packet);
	note_packet(blocks, &packet);
}

bool
pb_blocks_ready(const struct pb_blocks *blocks)
{
	const struct pb_chunk *chunk = blocks->chunk;

	if (pb_pool_idle(blocks->pool))
		return true;
	return chunk != NULL && chunk->cap - chunk->len >=
	    pb_epb_bytes(PB_CAPLEN_MAX, OPTIONS_BYTES_MAX) + RESERVE_BYTES;
}

bool
pb_blocks_handover(struct pb_blocks *blocks, enum pb_handover why)
{
	struct pb_chunk *chunk = blocks->chunk;

	blocks->ops.sample(blocks->ops.arg, &blocks->losses);
	if (chunk == NULL)
		return true;
	if (why == PB_HANDOVER_TIME && !pb_pool_idle(blocks->pool))
		return false;
	if (why != PB_HANDOVER_FULL && blocks->losses.pending > 0)
		charge_last(blocks);
	if (why == PB_HANDOVER_END) {
		build_statistics(blocks);
		put_statistics(blocks, chunk->len);
	}
	blocks->chunk = NULL;
	chunk->next = NULL;
	*blocks->ready_end = chunk;
	blocks->ready_end = &chunk->next;
	pb_blocks_submit(blocks);
	return true;
}

bool
pb_blocks_submit(struct pb_blocks *blocks)
{
	struct pb_chunk *chunk;
	struct pb_err err;
	int rc;

	blocks->dry = false;
	while ((chunk = blocks->ready) != NULL) {
		struct pb_chunk *next = chunk->next;

		/* Once taken, the chunk is the writer's to link. */
		chunk->next = NULL;
		rc = blocks->ops.submit(blocks->ops.arg, chunk, &err);
		if (rc < 0)
			chunk->next = next;
		if (rc == PB_EBUSY)
			return false;
		if (rc < 0) {
			reject(blocks, &err);
			return true;
		}
		blocks->ready = next;
		if (next == NULL)
			blocks->ready_end = &blocks->ready;
	}
	return true;
}

/*
 * A chunk with room for the packet and all that may stand around it.  A
 * full one goes only when there is another: as long as packets are lost for
 * want of chunks, the last one stays here to tell of them.
 */
static bool
room_for(struct pb_blocks *blocks, const struct pb_packet *packet)
{
	size_t need = pb_epb_bytes(packet->caplen, OPTIONS_BYTES_MAX) +
	    RESERVE_BYTES;
	struct pb_chunk *chunk = blocks->chunk, *fresh;

	if (chunk != NULL && need <= chunk->cap - chunk->len)
		return true;
	fresh = blocks->dry ? NULL : pb_pool_take(blocks->pool);
	if (fresh == NULL) {
		blocks->dry = true;
		return false;
	}
	if (chunk != NULL)
		pb_blocks_handover(blocks, PB_HANDOVER_FULL);
	fresh->stream = blocks->stream;
	fresh->head = pb_head_ref(blocks->head);
	fresh->keep_trying = true;
	blocks->chunk = fresh;
	return true;
}

static size_t
packet_options(struct pb_blocks *blocks, const struct pb_packet *packet,
    uint8_t *options)
{
	uint32_t flags = direction(blocks->linktype, packet);
	uint8_t *at = options;

	if (flags != 0) {
		uint8_t value[4];

		pb_put_le32(value, flags);
		at = pb_option_at(at, PB_OPT_EPB_FLAGS, value, sizeof(value));
	}
	at = pb_option_at_u64(at, PB_OPT_EPB_PACKETID, blocks->next_seq);
	blocks->last_counts = blocks->losses.pending > 0;
	if (blocks->last_counts) {
		at = pb_option_at_u64(at, PB_OPT_EPB_DROPCOUNT,
		    blocks->losses.pending);
		note_drop(blocks->chunk, blocks->next_seq,
		    blocks->losses.pending, packet->time_ns);
		blocks->losses.pending = 0;
	}
	return (size_t)(at - options);
}

/*
 * epb_flags from the packet type of a cooked capture (packet(7),
 * sll_pkttype): the one place where libpcap tells the direction.
 */
static uint32_t
direction(uint16_t linktype, const struct pb_packet *packet)
{
	static const uint32_t by_type[] = {
		FLAG_INBOUND | FLAG_UNICAST,		/* PACKET_HOST */
		FLAG_INBOUND | FLAG_BROADCAST,		/* PACKET_BROADCAST */
		FLAG_INBOUND | FLAG_MULTICAST,		/* PACKET_MULTICAST */
		FLAG_INBOUND | FLAG_PROMISCUOUS,	/* PACKET_OTHERHOST */
		FLAG_OUTBOUND,				/* PACKET_OUTGOING */
	};
	unsigned type = UINT16_MAX;

	if (linktype == PB_LINKTYPE_LINUX_SLL && packet->caplen >= 2)
		type = pb_get_be16(packet->data);
	else if (linktype == PB_LINKTYPE_LINUX_SLL2 && packet->caplen >= 11)
		type = packet->data[10];
	return type < sizeof(by_type) / sizeof(by_type[0]) ? by_type[type] : 0;
}

static void
note_packet(struct pb_blocks *blocks, const struct pb_packet *packet)
{
	struct pb_chunk *chunk = blocks->chunk;

	if (chunk->packets == 0) {
		chunk->first_seq = blocks->next_seq;
		chunk->first_time = packet->time_ns;
		chunk->last_time = packet->time_ns;
	}
	if (packet->time_ns < chunk->first_time)
		chunk->first_time = packet->time_ns;
	if (packet->time_ns > chunk->last_time)
		chunk->last_time = packet->time_ns;
	chunk->last_seq = blocks->next_seq++;
	chunk->packets++;
	chunk->packet_bytes += packet->caplen;
	blocks->packets++;
	blocks->bytes += packet->caplen;
}

static void
note_drop(struct pb_chunk *chunk, uint64_t seq, uint64_t count,
    uint64_t time_ns)
{
	unsigned at = chunk->drops;

	if (at > 0 && (chunk->drop[at - 1].seq == seq ||
	    at == PB_CHUNK_DROPS_MAX)) {
		chunk->drop[at - 1].count += count;
		return;
	}
	chunk->drop[at].seq = seq;
	chunk->drop[at].count = count;
	chunk->drop[at].time_ns = time_ns;
	chunk->drops++;
}

/*
 * Let the chunk's last packet tell what is lost: its block moves up behind
 * a statistics block, and its drop count is added or grows.
 */
static void
charge_last(struct pb_blocks *blocks)
{
	struct pb_chunk *chunk = blocks->chunk;
	uint64_t count = blocks->losses.pending, told = 0;
	uint8_t *epb, *end;
	uint32_t len;

	build_statistics(blocks);
	put_statistics(blocks, blocks->last_at);
	epb = chunk->data + blocks->last_at;
	len = pb_get_le32(epb + 4);
	end = epb + len - TRAILER_BYTES - OPT_END_BYTES;
	if (blocks->last_counts) {
		end -= DROPCOUNT_BYTES;
		told = pb_get_le64(end + 4);
	} else {
		len += DROPCOUNT_BYTES;
		chunk->len += DROPCOUNT_BYTES;
	}
	end = pb_option_at_u64(end, PB_OPT_EPB_DROPCOUNT, told + count);
	pb_put_le32(end, PB_OPT_END);
	pb_put_le32(end + OPT_END_BYTES, len);
	pb_put_le32(epb + 4, len);
	note_drop(chunk, chunk->last_seq, count, blocks->last_time_ns);
	blocks->last_counts = true;
	blocks->losses.pending = 0;
}

/*
 * The capture's counters since its start, into scratch[1].  Packets that
 * the store had no chunk for count as osdrop: to a reader of the file both
 * are packets that the interface delivered and the file does not have.
 */
static void
build_statistics(struct pb_blocks *blocks)
{
	const struct pb_losses *losses = &blocks->losses;
	struct pb_buf *options = &blocks->scratch[0];
	struct pb_buf *block = &blocks->scratch[1];
	uint64_t now_ns = pb_clock_real_ns();

	pb_buf_clear(options);
	pb_buf_clear(block);
	put_time(options, PB_OPT_ISB_STARTTIME, blocks->start_ns);
	put_time(options, PB_OPT_ISB_ENDTIME, now_ns);
	pb_option_put_u64(options, PB_OPT_ISB_IFRECV, losses->received);
	pb_option_put_u64(options, PB_OPT_ISB_IFDROP, losses->interface);
	pb_option_put_u64(options, PB_OPT_ISB_OSDROP,
	    losses->kernel + losses->store);
	pb_option_put_u64(options, PB_OPT_ISB_USRDELIV, blocks->packets);
	pb_build_isb(block, 0, now_ns, options->data, options->len);
	assert(!options->failed && !block->failed);
}

/* Insert scratch[1] at `offset` of the chunk; the last packet may move. */
static void
put_statistics(struct pb_blocks *blocks, size_t offset)
{
	const struct pb_buf *block = &blocks->scratch[1];
	struct pb_chunk *chunk = blocks->chunk;

	memmove(chunk->data + offset + block->len, chunk->data + offset,
	    chunk->len - offset);
	memcpy(chunk->data + offset, block->data, block->len);
	chunk->len += block->len;
	if (offset <= blocks->last_at)
		blocks->last_at += block->len;
}

/* Times in a statistics block: the high word first (draft, 4.6). */
static void
put_time(struct pb_buf *options, uint16_t code, uint64_t time_ns)
{
	uint8_t value[8];

	pb_put_le32(value, (uint32_t)(time_ns >> 32));
	pb_put_le32(value + 4, (uint32_t)time_ns);
	pb_option_put(options, code, value, sizeof(value));
}

/*
 * The store refuses a chunk for good.  What was numbered behind it would
 * leave a hole, so all of it is counted as lost and numbering goes on
 * where the store stands.
 */
static void
reject(struct pb_blocks *blocks, const struct pb_err *err)
{
	struct pb_chunk *chunk;
	uint64_t lost = 0;

	*blocks->ready_end = blocks->chunk;
	while ((chunk = blocks->ready) != NULL) {
		blocks->ready = chunk->next;
		lost += chunk->packets;
		blocks->bytes -= chunk->packet_bytes;
		pb_pool_give(blocks->pool, chunk);
	}
	blocks->ready_end = &blocks->ready;
	blocks->chunk = NULL;
	blocks->packets -= lost;
	pb_losses_store(&blocks->losses, lost);
	blocks->next_seq = pb_stream_next(blocks->stream);
	pb_log(PB_LOG_ERROR, "capture", "%llu packets lost, the store refused "
	    "them: %s", (unsigned long long)lost, err->text);
}
