/*
 * recorder/capture/blocks.h - packets in, chunks of whole blocks out
 *
 * One capture thread owns it.  Each packet becomes an Enhanced Packet
 * Block; losses become the drop count of a packet, with an Interface
 * Statistics Block before it so that the two travel together.  Nothing
 * here blocks or allocates.
 *
 * Where several threads capture one interface each has its own, and they
 * share pool and counts.  Their chunks are runs of one stream: which run a
 * chunk is shows when it is submitted, so the numbers in it are a guess
 * until then, and pb_blocks_number() puts right what was guessed wrong.  A
 * thread by itself guesses right, unless a chunk waits for the store.
 */
#ifndef PB_CAPTURE_BLOCKS_H
#define PB_CAPTURE_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pcapng/block.h"
#include "pcapng/stamp.h"
#include "recorder/capture/losses.h"
#include "recorder/capture/pool.h"
#include "recorder/store/write/store.h"

/* Where chunks go and who counts; called on the capture thread. */
struct pb_blocks_ops {
	/* A chunk begins, now: when it is due; returns the number that its
	 * first packet probably has. */
	uint64_t (*begin)(void *arg, struct pb_chunk *chunk);
	/* Number it as what follows in its stream, then pb_store_submit(). */
	int	(*submit)(void *arg, struct pb_chunk *chunk,
		    struct pb_err *err);
	/* Bring the counts up to date; called before a chunk goes. */
	void	(*sample)(void *arg);
	void	*arg;
};

struct pb_blocks {
	struct pb_blocks_ops ops;
	struct pb_counts *counts;	/* the interface's */
	struct pb_pool	*pool;		/* likewise; NULL before first use */
	struct pb_stream *stream;
	struct pb_head	*head;		/* a reference */
	uint32_t	pen;		/* of stamps beside packets, which */
	size_t		stamps;		/* take so much at most; 0: none come */
	/* What pb_blocks_packet() touches for each packet. */
	struct pb_chunk	*chunk;		/* being filled; NULL between chunks */
	size_t		 easy;		/* where a block in it ends, if that
					 * is no question */
	uint8_t		*last;		/* the last packet's block */
	struct pb_chunk	*spare;		/* the next chunk, or NULL */
	uint8_t		*counted;	/* its block with a drop count */
	uint64_t	 told_packets, told_bytes; /* of it, in the counts */
	uint64_t	 bytes;		/* captured bytes in those before */
	/* Full ones that the store had no room to queue, oldest first. */
	struct pb_chunk	*ready, **ready_end;
};

enum pb_handover {
	PB_HANDOVER_FULL,	/* more packets follow at once */
	PB_HANDOVER_TIME,	/* the flush interval is over */
	PB_HANDOVER_END,	/* the capture stops or the interface is gone */
};

/* `counts` is borrowed. */
void	pb_blocks_init(struct pb_blocks *blocks,
	    const struct pb_blocks_ops *ops, struct pb_counts *counts);

/* Packets may have stamps beside them, under this Private Enterprise
 * Number. */
void	pb_blocks_stamps(struct pb_blocks *blocks, uint32_t pen);

/* Give back what was not submitted, drop the head. */
void	pb_blocks_finish(struct pb_blocks *blocks);

/*
 * Packets are now of `stream`, their chunks from `pool`, which is borrowed.
 * The head's reference becomes ours.  No chunk is being filled: the caller
 * has handed over.
 */
void	pb_blocks_stream(struct pb_blocks *blocks, struct pb_pool *pool,
	    struct pb_stream *stream, struct pb_head *head);

/*
 * Keep a packet, or count it as lost where no chunk is free.  Captured
 * bytes over PB_CAPLEN_MAX are cut.  `flags` are its epb_flags; 0: it has
 * none.  False where the next packet may find no room, as pb_blocks_ready().
 */
bool	pb_blocks_packet(struct pb_blocks *blocks, uint64_t time_ns,
	    const uint8_t *data, uint32_t caplen, uint32_t origlen,
	    uint32_t flags);

/* The same with `stamped` beside it; after pb_blocks_stamps(). */
bool	pb_blocks_stamped(struct pb_blocks *blocks, uint64_t time_ns,
	    const uint8_t *data, uint32_t caplen, uint32_t origlen,
	    uint32_t flags, const struct pb_stamped *stamped);

/* From here on packets of the stream have another head, whose reference
 * becomes ours: what is there is handed over. */
void	pb_blocks_head(struct pb_blocks *blocks, struct pb_head *head);

/* Is there room for any packet, whatever its length? */
bool	pb_blocks_ready(struct pb_blocks *blocks);

/* Captured bytes kept since the start, this chunk's included. */
uint64_t pb_blocks_bytes(const struct pb_blocks *blocks);

/*
 * Hand over the chunk being filled, if there is one.  Losses found now are
 * told by the next packet where more follow (FULL), else by the last one
 * of this chunk, since nobody knows when the next will come.  False where
 * TIME finds every other chunk with the writer: it is behind, and this one
 * stays to tell what will be lost.  The counts know of it either way.
 */
bool	pb_blocks_handover(struct pb_blocks *blocks, enum pb_handover why);

/* Submit what waits; true where nothing waits any more. */
bool	pb_blocks_submit(struct pb_blocks *blocks);

/* The packets of a chunk that pb_blocks made are first, first + 1, ... */
void	pb_blocks_number(struct pb_chunk *chunk, uint64_t first);

#endif
