/*
 * recorder/capture/pool.h - a source's chunks, all made at once
 *
 * The interface's capture threads take, the writer thread gives back (a
 * chunk's `done`).  One short lock a chunk, none a packet.  Chunks may still
 * be with the writer when their source has ended, so the pool goes away with
 * the last of them.
 */
#ifndef PB_CAPTURE_POOL_H
#define PB_CAPTURE_POOL_H

#include "base/err.h"
#include "recorder/store/write/chunk.h"

struct pb_pool;

/* `count` chunks, their `done` and `arg` set, with tables from `flows` (NULL:
 * none).  PB_ENOMEM: none were made. */
int	pb_pool_create(struct pb_pool **out, unsigned count,
	    struct pb_flow_pool *flows, struct pb_err *err);

/* An empty chunk, or NULL while all are in use, which takes no lock.  Never
 * blocks for long. */
struct pb_chunk *pb_pool_take(struct pb_pool *pool);

/* Back without having been submitted. */
void	pb_pool_give(struct pb_pool *pool, struct pb_chunk *chunk);

/* No more taking; NULL is fine.  Frees now or with the last chunk's return. */
void	pb_pool_close(struct pb_pool *pool);

#endif
