/*
 * recorder/intake/space.h - the memory that bodies lie in
 *
 * A body is one piece of address space, as long as the body will be: it
 * grows without being copied.  What a body leaves is kept, its pages warm,
 * for the next one: a fresh page costs more than the packets in it.
 *
 * Promise: of a piece nothing can be touched but what pb_space_use() has
 * said; what is in memory beyond that, in all pieces, is at most
 * PB_SPACE_KEPT_MAX.
 * Limit:   a piece has at most PB_BODY_BYTES_MAX.
 * Not here: how much of it all may be used (room.h).  One thread.
 */
#ifndef PB_INGEST_SPACE_H
#define PB_INGEST_SPACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"

/* Of one request, decoded.  `body_max` of [listen] goes up to this, and
 * through the local door bodies may have as much. */
#define PB_BODY_BYTES_MAX	(64u << 20)
#define PB_SPACE_KEPT_MAX	(16u << 20)	/* bytes of pages */

struct pb_space;

struct pb_space_piece {
	uint8_t		*data;		/* page-aligned */
	size_t		 used;		/* of it, from its beginning */
	/* Private. */
	unsigned	 of;		/* which size */
	size_t		 open;		/* what may be touched */
	size_t		 warm;		/* in memory from former uses */
	TAILQ_ENTRY(pb_space_piece) same;	/* free ones of its size */
	TAILQ_ENTRY(pb_space_piece) any;	/* all free ones */
};

int	pb_space_create(struct pb_space **out, struct pb_err *err);
/* All pieces have been given back. */
void	pb_space_destroy(struct pb_space *space);

/* A piece that can grow to `bytes`; nothing of it is used yet.  PB_ELIMIT,
 * PB_ENOMEM. */
int	pb_space_take(struct pb_space *space, size_t bytes,
	    struct pb_space_piece **out, struct pb_err *err);
/* NULL is fine. */
void	pb_space_give(struct pb_space *space, struct pb_space_piece *piece);

/* From now on its first `bytes` are used; never fewer than before.
 * PB_ENOMEM. */
int	pb_space_use(struct pb_space *space, struct pb_space_piece *piece,
	    size_t bytes, struct pb_err *err);
/* Behind its first `bytes` nothing was touched after all. */
void	pb_space_shrink(struct pb_space *space, struct pb_space_piece *piece,
	    size_t bytes);

/* Bytes in memory that no body uses, at most. */
size_t	pb_space_kept(const struct pb_space *space);
/* From now on free pieces are kept up to `bytes`, or PB_SPACE_KEPT_MAX where
 * that is less. */
void	pb_space_limit(struct pb_space *space, size_t bytes);

#endif
