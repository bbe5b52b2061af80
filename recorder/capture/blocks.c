/*
 * recorder/capture/blocks.c - packets in, chunks of whole blocks out
 *
 * Options of a packet, in this order: epb_packetid always, so that its
 * place follows from the captured length; epb_flags where there are any;
 * stamps where the frame does not tell all of them; epb_dropcount after a
 * loss.  The drop count stands last so that one can be
 * added to a block that is already written (blocks_losses.c).
 *
 * Where exactly a packet was lost nobody knows: the kernel counts, and is
 * asked once a chunk.  The sum of all drop counts is exact.
 *
 * The way of a packet is short: one comparison says that its block fits
 * with all that may have to stand around it; then header, bytes and options
 * are written where they stay.  Everything rare (a chunk begins or is full,
 * losses, no chunk free, much to digest) is in packet_slowly().
 */
#include "recorder/capture/blocks_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "pcapng/option.h"
#include "recorder/store/write/fill.h"

#define OPTIONS_BYTES_MAX	(PB_OPTION_BYTES(4) + 2 * PB_OPTION_BYTES(8))
/* A packet's own block, without stamps, but for its bytes. */
#define AROUND_BYTES		(EPB_HEAD + 3u + OPTIONS_BYTES_MAX + \
				OPT_END_BYTES + TRAILER_BYTES)
/* Beside a packet's own block: statistics before it, twice where it tells
 * of two losses, and at the end of the chunk; a drop count added later. */
#define RESERVE_BYTES		(3 * ISB_BYTES + DROPCOUNT_BYTES)

/* So much of a chunk waits at most until it is digested: what was just
 * written is still in this processor's cache, and later in none. */
#define DIGEST_BYTES		(64u << 10)
_Static_assert(DIGEST_BYTES < PB_CAPLEN_MAX,
    "a packet that is cut is none of the easy ones");
/* How far ahead of a block its place is fetched; not for small packets. */
#define AHEAD_BYTES		3072u
#define AHEAD_CAPLEN_MIN	256u
#define CACHE_LINE		64u

#define LIKELY(x)		__builtin_expect(!!(x), 1)

/* A packet's way */
static bool	packet_slowly(struct pb_blocks *, uint64_t, const uint8_t *,
		    uint32_t, uint32_t, uint32_t, const struct pb_stamped *);
static bool	room_for(struct pb_blocks *, uint32_t);
/* Chunks */
static void	begin(struct pb_blocks *);
static void	count_kept(struct pb_blocks *);
static bool	has_spare(struct pb_blocks *);
static void	digest_to(struct pb_blocks *, const uint8_t *);
static void	set_easy(struct pb_blocks *);
static size_t	around_bytes(const struct pb_blocks *);
static size_t	chunk_end(const struct pb_chunk *);
static void	reject(struct pb_blocks *, struct pb_chunk *,
		    const struct pb_err *);

void
pb_blocks_init(struct pb_blocks *blocks, const struct pb_blocks_ops *ops,
    struct pb_counts *counts)
{
	memset(blocks, 0, sizeof(*blocks));
	blocks->ops = *ops;
	blocks->counts = counts;
	blocks->ready_end = &blocks->ready;
}

void
pb_blocks_stamps(struct pb_blocks *blocks, uint32_t pen)
{
	blocks->pen = pen;
	blocks->stamps = pb_stamped_bytes(PB_STAMPS_MAX);
}

void
pb_blocks_finish(struct pb_blocks *blocks)
{
	struct pb_chunk *chunk;

	if (blocks->chunk != NULL)
		pb_pool_give(blocks->pool, blocks->chunk);
	if (blocks->spare != NULL)
		pb_pool_give(blocks->pool, blocks->spare);
	while ((chunk = blocks->ready) != NULL) {
		blocks->ready = chunk->next;
		pb_pool_give(blocks->pool, chunk);
	}
	pb_head_unref(blocks->head);
	memset(blocks, 0, sizeof(*blocks));
}

void
pb_blocks_stream(struct pb_blocks *blocks, struct pb_pool *pool,
    struct pb_stream *stream, struct pb_head *head)
{
	assert(blocks->chunk == NULL);
	pb_head_unref(blocks->head);
	blocks->pool = pool;
	blocks->head = head;
	blocks->stream = stream;
}

void
pb_blocks_head(struct pb_blocks *blocks, struct pb_head *head)
{
	pb_blocks_handover(blocks, PB_HANDOVER_FULL);
	pb_head_unref(blocks->head);
	blocks->head = head;
}

/* --- a packet's way ------------------------------------------------------ */

/* The block of a packet, with everything about it that is not rare. */
static inline __attribute__((always_inline)) void
put_packet(struct pb_blocks *blocks, uint64_t time_ns, const uint8_t *data,
    size_t caplen, uint32_t origlen, uint32_t flags,
    const struct pb_stamped *stamped, uint64_t drops)
{
	struct pb_chunk *chunk = blocks->chunk;
	size_t padded = pb_round_up(caplen, 4);
	uint8_t *at = pb_fill_at(chunk), *end = at + EPB_HEAD + padded;
	uint64_t seq;
	size_t len;

	if (caplen >= AHEAD_CAPLEN_MIN)
		for (size_t i = AHEAD_BYTES; i < AHEAD_BYTES + padded;
		    i += CACHE_LINE)
			__builtin_prefetch(at + i, 1);
	/* The padding first, as a whole word: what follows overwrites the
	 * part of it that is data, or header where there is no data. */
	pb_put_le32(end - 4, 0);
	pb_put_le32(at, PB_BLOCK_EPB);
	pb_put_le32(at + 8, 0);
	pb_put_le32(at + 12, (uint32_t)(time_ns >> 32));
	pb_put_le32(at + 16, (uint32_t)time_ns);
	pb_put_le32(at + 20, (uint32_t)caplen);
	pb_put_le32(at + 24, origlen);
	memcpy(at + EPB_HEAD, data, caplen);
	seq = chunk->first_seq + chunk->tally.packets;
	pb_put_le32(end, PB_OPT_EPB_PACKETID | 8u << 16);
	pb_put_le64(end + OPTION_HEAD, seq);
	end += PB_OPTION_BYTES(8);
	if (flags != 0) {
		pb_put_le32(end, PB_OPT_EPB_FLAGS | 4u << 16);
		pb_put_le32(end + OPTION_HEAD, flags);
		end += PB_OPTION_BYTES(4);
	}
	if (stamped != NULL)
		end += pb_stamped_write(end, blocks->pen, stamped);
	if (drops > 0)
		end = pb_option_at_u64(end, PB_OPT_EPB_DROPCOUNT, drops);
	pb_put_le32(end, PB_OPT_END);
	end += OPT_END_BYTES + TRAILER_BYTES;
	len = (size_t)(end - at);
	pb_put_le32(at + 4, (uint32_t)len);
	pb_put_le32(end - TRAILER_BYTES, (uint32_t)len);
	blocks->last = at;
	pb_fill_packet(chunk, len, seq, time_ns, (uint32_t)caplen);
}

bool
pb_blocks_packet(struct pb_blocks *blocks, uint64_t time_ns,
    const uint8_t *data, uint32_t caplen, uint32_t origlen, uint32_t flags)
{
	if (LIKELY(blocks->chunk != NULL &&
	    blocks->chunk->len + AROUND_BYTES + caplen <= blocks->easy)) {
		put_packet(blocks, time_ns, data, caplen, origlen, flags,
		    NULL, 0);
		return true;
	}
	return packet_slowly(blocks, time_ns, data, caplen, origlen, flags,
	    NULL);
}

bool
pb_blocks_stamped(struct pb_blocks *blocks, uint64_t time_ns,
    const uint8_t *data, uint32_t caplen, uint32_t origlen, uint32_t flags,
    const struct pb_stamped *stamped)
{
	if (LIKELY(blocks->chunk != NULL && blocks->chunk->len +
	    AROUND_BYTES + blocks->stamps + caplen <= blocks->easy)) {
		put_packet(blocks, time_ns, data, caplen, origlen, flags,
		    stamped, 0);
		return true;
	}
	return packet_slowly(blocks, time_ns, data, caplen, origlen, flags,
	    stamped);
}

static __attribute__((noinline)) bool
packet_slowly(struct pb_blocks *blocks, uint64_t time_ns, const uint8_t *data,
    uint32_t caplen, uint32_t origlen, uint32_t flags,
    const struct pb_stamped *stamped)
{
	struct pb_chunk *chunk;
	uint64_t drops;

	if (caplen > PB_CAPLEN_MAX)
		caplen = PB_CAPLEN_MAX;
	if (!room_for(blocks, caplen)) {
		pb_losses_store(blocks->counts, 1);
		return false;
	}
	/* The last packet's block may change until the next one's is there. */
	if (blocks->last != NULL)
		digest_to(blocks, blocks->last);
	drops = pb_losses_tell(blocks->counts);
	if (drops > 0) {
		chunk = blocks->chunk;
		pb_blocks_statistics(blocks, pb_fill_at(chunk));
		pb_fill_drops(chunk, chunk->first_seq + chunk->tally.packets,
		    drops, time_ns);
		blocks->counted = pb_fill_at(chunk);
	}
	put_packet(blocks, time_ns, data, caplen, origlen, flags, stamped,
	    drops);
	return pb_blocks_ready(blocks);
}

/*
 * A chunk with room for the packet and all that may stand around it.  A
 * full one goes only when there is another: as long as packets are lost for
 * want of chunks, the last one stays here to tell of them.
 */
static bool
room_for(struct pb_blocks *blocks, uint32_t caplen)
{
	if (blocks->chunk != NULL && blocks->chunk->len +
	    around_bytes(blocks) + caplen <= chunk_end(blocks->chunk))
		return true;
	if (!has_spare(blocks))
		return false;
	if (blocks->chunk != NULL)
		pb_blocks_handover(blocks, PB_HANDOVER_FULL);
	begin(blocks);
	return true;
}

/* --- chunks -------------------------------------------------------------- */

bool
pb_blocks_ready(struct pb_blocks *blocks)
{
	return has_spare(blocks) || (blocks->chunk != NULL &&
	    blocks->chunk->len + around_bytes(blocks) + PB_CAPLEN_MAX <=
	    chunk_end(blocks->chunk));
}

uint64_t
pb_blocks_bytes(const struct pb_blocks *blocks)
{
	return blocks->bytes + (blocks->chunk != NULL ?
	    blocks->chunk->tally.bytes : 0);
}

bool
pb_blocks_handover(struct pb_blocks *blocks, enum pb_handover why)
{
	struct pb_chunk *chunk = blocks->chunk;
	uint64_t drops;

	blocks->ops.sample(blocks->ops.arg);
	if (chunk == NULL)
		return true;
	count_kept(blocks);
	if (why == PB_HANDOVER_TIME && !has_spare(blocks))
		return false;
	drops = why != PB_HANDOVER_FULL ? pb_losses_tell(blocks->counts) : 0;
	if (drops > 0)
		pb_blocks_charge(blocks, drops);
	if (why == PB_HANDOVER_END)
		pb_blocks_statistics(blocks, pb_fill_at(chunk));
	digest_to(blocks, pb_fill_at(chunk));
	blocks->bytes += chunk->tally.bytes;
	blocks->chunk = NULL;
	set_easy(blocks);
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

	while ((chunk = blocks->ready) != NULL) {
		struct pb_chunk *next = chunk->next;

		/* Once taken, the chunk is the writer's to link. */
		chunk->next = NULL;
		rc = blocks->ops.submit(blocks->ops.arg, chunk, &err);
		if (rc == PB_EBUSY) {
			chunk->next = next;
			return false;
		}
		if (rc < 0)
			reject(blocks, chunk, &err);
		blocks->ready = next;
		if (next == NULL)
			blocks->ready_end = &blocks->ready;
	}
	return true;
}

void
pb_blocks_number(struct pb_chunk *chunk, uint64_t first)
{
	uint64_t by = first - chunk->first_seq;
	uint8_t *at = chunk->data, *end = at + chunk->len, *id;

	if (by == 0)
		return;
	chunk->digested = 0;
	for (; at < end; at += pb_get_le32(at + 4)) {
		if (pb_get_le32(at) != PB_BLOCK_EPB)
			continue;
		id = at + EPB_HEAD + pb_round_up(pb_get_le32(at + 20), 4) +
		    OPTION_HEAD;
		pb_put_le64(id, pb_get_le64(id) + by);
	}
	for (unsigned i = 0; i < chunk->drops; i++)
		chunk->drop[i].seq += by;
	chunk->first_seq += by;
	chunk->last_seq += by;
}

/* The spare becomes the chunk to fill. */
static void
begin(struct pb_blocks *blocks)
{
	struct pb_chunk *chunk = blocks->spare;

	blocks->spare = NULL;
	blocks->chunk = chunk;
	chunk->stream = blocks->stream;
	chunk->head = pb_head_ref(blocks->head);
	chunk->keep_trying = true;
	chunk->first_seq = blocks->ops.begin(blocks->ops.arg, chunk);
	blocks->last = blocks->counted = NULL;
	blocks->told_packets = blocks->told_bytes = 0;
	pb_digest_begin(&chunk->digest);
	chunk->digested = 0;
	set_easy(blocks);
	(void)has_spare(blocks);
}

/* The interface's counts know of all that the chunk holds. */
static void
count_kept(struct pb_blocks *blocks)
{
	const struct pb_tally *tally = &blocks->chunk->tally;

	pb_count(&blocks->counts->packets,
	    tally->packets - blocks->told_packets);
	pb_count(&blocks->counts->bytes, tally->bytes - blocks->told_bytes);
	blocks->told_packets = tally->packets;
	blocks->told_bytes = tally->bytes;
}

/* One that nobody else can take any more.  No lock where there is none. */
static bool
has_spare(struct pb_blocks *blocks)
{
	if (blocks->spare != NULL)
		return true;
	blocks->spare = pb_pool_take(blocks->pool);
	if (blocks->spare != NULL)
		set_easy(blocks);
	return blocks->spare != NULL;
}

/* All bytes of the chunk up to `end`. */
static void
digest_to(struct pb_blocks *blocks, const uint8_t *end)
{
	struct pb_chunk *chunk = blocks->chunk;
	size_t len = (size_t)(end - chunk->data) - chunk->digested;

	pb_digest_add(&chunk->digest, chunk->data + chunk->digested, len);
	chunk->digested += len;
	set_easy(blocks);
}

/* Without a spare what the longest packet needs is not given away lightly:
 * then each packet asks for one. */
static void
set_easy(struct pb_blocks *blocks)
{
	const struct pb_chunk *chunk = blocks->chunk;

	if (chunk == NULL)
		return;
	blocks->easy = chunk_end(chunk) - (blocks->spare != NULL ?
	    0 : around_bytes(blocks) + PB_CAPLEN_MAX);
	if (chunk->digested + DIGEST_BYTES < blocks->easy)
		blocks->easy = chunk->digested + DIGEST_BYTES;
}

/* A packet's own block, whatever its options, but for its bytes. */
static size_t
around_bytes(const struct pb_blocks *blocks)
{
	return AROUND_BYTES + blocks->stamps;
}

static size_t
chunk_end(const struct pb_chunk *chunk)
{
	return chunk->cap - RESERVE_BYTES;
}

/*
 * The store refuses a chunk for good: its packets are lost, and so is what
 * they told of others.  What comes next takes their numbers.
 */
static void
reject(struct pb_blocks *blocks, struct pb_chunk *chunk,
    const struct pb_err *err)
{
	uint64_t lost = chunk->tally.packets;

	pb_count(&blocks->counts->packets, -lost);
	pb_count(&blocks->counts->bytes, -chunk->tally.bytes);
	pb_losses_store(blocks->counts, lost);
	pb_count(&blocks->counts->untold, chunk->tally.dropped);
	pb_pool_give(blocks->pool, chunk);
	pb_log(PB_LOG_ERROR, "capture", "%llu packets lost, the store refused "
	    "them: %s", (unsigned long long)lost, err->text);
}
