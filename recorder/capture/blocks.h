/*
 * recorder/capture/blocks.h - packets in, chunks of whole blocks out
 *
 * One capture thread owns it.  Each packet becomes an Enhanced Packet
 * Block with its sequence number; losses become the drop count of a
 * packet, with an Interface Statistics Block before it so that the two
 * travel together.  Nothing here blocks, and nothing allocates after
 * pb_blocks_init().
 */
#ifndef PB_CAPTURE_BLOCKS_H
#define PB_CAPTURE_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pcapng/block.h"
#include "recorder/capture/losses.h"
#include "recorder/capture/pool.h"
#include "recorder/store/store.h"

/* Where chunks go and who counts; called on the capture thread. */
struct pb_blocks_ops {
	/* As pb_store_submit(). */
	int	(*submit)(void *arg, struct pb_chunk *chunk,
		    struct pb_err *err);
	/* Bring `losses` up to date; called before a chunk goes. */
	void	(*sample)(void *arg, struct pb_losses *losses);
	void	*arg;
};

struct pb_blocks {
	struct pb_blocks_ops ops;
	struct pb_pool	*pool;		/* owned; NULL before the first use */
	struct pb_stream *stream;
	struct pb_head	*head;		/* a reference */
	uint16_t	linktype;
	uint64_t	next_seq;
	uint64_t	start_ns;	/* isb_starttime */
	uint64_t	packets;	/* kept */
	uint64_t	bytes;		/* captured bytes of those */
	struct pb_losses losses;
	bool		 dry;		/* no chunk was free; asked again by
					 * the next pb_blocks_submit() */
	/* The chunk being filled, NULL between chunks. */
	struct pb_chunk	*chunk;
	size_t		 last_at;	/* its last packet's block */
	uint64_t	 last_time_ns;
	bool		 last_counts;	/* that block has a drop count */
	/* Full ones that the store had no room to queue, oldest first. */
	struct pb_chunk	*ready, **ready_end;
	struct pb_buf	 scratch[2];	/* a statistics block's making */
};

enum pb_handover {
	PB_HANDOVER_FULL,	/* more packets follow at once */
	PB_HANDOVER_TIME,	/* the flush interval is over */
	PB_HANDOVER_END,	/* the capture stops or the interface is gone */
};

int	pb_blocks_init(struct pb_blocks *blocks,
	    const struct pb_blocks_ops *ops, struct pb_err *err);

/* Give back what was not submitted, drop the head, close the pool. */
void	pb_blocks_finish(struct pb_blocks *blocks);

/*
 * Packets are now of `stream`, from number `next_seq` on.  The head's
 * reference becomes ours.  No chunk is being filled: the caller has handed
 * over.  Makes the pool on its first call: PB_ENOMEM, and nothing changed.
 */
int	pb_blocks_stream(struct pb_blocks *blocks, struct pb_stream *stream,
	    struct pb_head *head, uint16_t linktype, uint64_t next_seq,
	    struct pb_err *err);

/*
 * Keep a packet (options are ignored), or count it as lost where no chunk
 * is free.  Captured bytes over PB_CAPLEN_MAX are cut.
 */
void	pb_blocks_packet(struct pb_blocks *blocks,
	    const struct pb_packet *packet);

/* Is there room for any packet, whatever its length?  No lock. */
bool	pb_blocks_ready(const struct pb_blocks *blocks);

/*
 * Hand over the chunk being filled, if there is one.  Losses found now are
 * told by the next packet where more follow (FULL), else by the last one
 * of this chunk, since nobody knows when the next will come.  False where
 * TIME finds every other chunk with the writer: it is behind, and this one
 * stays to tell what will be lost.
 */
bool	pb_blocks_handover(struct pb_blocks *blocks, enum pb_handover why);

/* Submit what waits; true where nothing waits any more. */
bool	pb_blocks_submit(struct pb_blocks *blocks);

#endif
