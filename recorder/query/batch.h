/*
 * recorder/query/batch.h - packets of a stream that lie in memory as they were
 * read, and runs of them
 *
 * Packets are handed on by where their blocks are: nothing is copied, as long
 * as at least a quarter of what was read is wanted.  Of less a copy is kept,
 * so that a batch takes about as much memory as its packets.
 */
#ifndef PB_QUERY_BATCH_H
#define PB_QUERY_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/read/cursor.h"

struct pb_batch_packet {
	uint8_t		*block;		/* its EPB, of `len` bytes */
	uint32_t	 len;
	bool		 untimed;
	uint64_t	 time_ns;
	uint64_t	 seq;
};

struct pb_batch {
	struct pb_head	*head;		/* of all of them; a reference */
	struct pb_batch_packet *packet;
	size_t		 count, cap;
	size_t		 wanted;	/* bytes of their blocks */
	uint64_t	 floor;		/* of the times of all that come behind
					 * it; 0: not known */
	struct pb_bytes	 read;		/* the blocks lie there, or */
	struct pb_bytes	 copy;		/* here, those of the first */
	size_t		 copied, copied_bytes;	/* so many */
};

/* An empty one again, that keeps room for the next packets; zeroed memory is
 * one. */
void	pb_batch_clear(struct pb_batch *batch);
void	pb_batch_finish(struct pb_batch *batch);	/* frees all of it */

/* One more packet, which a cursor handed out: false where there is no
 * memory. */
bool	pb_batch_add(struct pb_batch *batch,
	    const struct pb_cursor_packet *cp);

/* Without the first `count` of them, of which there is no copy yet. */
void	pb_batch_drop(struct pb_batch *batch, size_t count);

/* A copy is made of those that were read last, so that more can be: false
 * where there is no memory. */
bool	pb_batch_copy(struct pb_batch *batch);

/* All are there: they stay, and `bytes`, into which the cursor read them, is
 * free for the next ones.  False where there is no memory. */
bool	pb_batch_keep(struct pb_batch *batch, struct pb_bytes *bytes);

/* What it takes. */
size_t	pb_batch_memory(const struct pb_batch *batch);

/* Packets that are next to each other in a batch as well as in their order. */
struct pb_run {
	const struct pb_head *head;
	uint8_t		*blocks;	/* EPBs; may be written to */
	size_t		 len;
	uint64_t	 packets;
	uint64_t	 first_time, last_time;
	uint64_t	 last_seq;
};

/* One packet after the other, borrowed from the run: 1, 0 at its end, or
 * PB_EFORMAT.  `*at` begins with 0. */
int	pb_run_packet(const struct pb_run *run, size_t *at,
	    struct pb_cursor_packet *out, struct pb_err *err);

#endif
