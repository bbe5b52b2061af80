/*
 * recorder/flow/pool.h - tables of flows in several sizes, kept for reuse
 *
 * A table is taken as large as the last one had to be, and gets the next size
 * when it is full: a chunk of one packet costs little, and one of a
 * mebibyte has what it needs.  Tables that come back are kept warm, since
 * pages made anew cost more than the work, and take the place of sizes that
 * were not needed for longer.  One short lock for each, none a packet.
 */
#ifndef PB_FLOW_POOL_H
#define PB_FLOW_POOL_H

#include "recorder/flow/flows.h"

/* All tables of a pool together; those that wait for their next use; flows of
 * one.  Of chunks, and of index blocks that are not finished. */
#define PB_FLOW_CHUNKS_BYTES_MAX	((size_t)64 << 20)
#define PB_FLOW_CHUNKS_KEPT_MAX		((size_t)16 << 20)
#define PB_FLOW_CHUNK_FLOWS_MAX		2047u
#define PB_FLOW_BLOCKS_BYTES_MAX	((size_t)128 << 20)
#define PB_FLOW_BLOCKS_KEPT_MAX		((size_t)40 << 20)

struct pb_flow_pool;

struct pb_flow_pool_opts {
	size_t		 bytes_max, kept_max;
	uint32_t	 flows_max, packets_max;	/* of a table */
};

/* It gives tables until pb_flow_pool_on(.., false). */
int	pb_flow_pool_create(struct pb_flow_pool **out,
	    const struct pb_flow_pool_opts *opts, struct pb_err *err);
/* One for chunks. */
int	pb_flow_pool_of_chunks(struct pb_flow_pool **out, struct pb_err *err);
/* No more taking; NULL is fine.  It goes now, or with the last table. */
void	pb_flow_pool_destroy(struct pb_flow_pool *pool);
/* Whether there are tables from now on.  Any thread. */
void	pb_flow_pool_on(struct pb_flow_pool *pool, bool on);

/* An empty one of this size, from 0 on, or a smaller one; NULL where there is
 * none. */
struct pb_flows *pb_flow_pool_take(struct pb_flow_pool *pool, unsigned size);

/* The size that would have been enough for these flows. */
unsigned pb_flow_pool_size(const struct pb_flows *flows);

/* The table has the next size; or it stays and does not grow any more
 * (flows->grows). */
void	pb_flow_pool_grow(struct pb_flow_pool *pool, struct pb_flows *flows);

/* pb_flows_merge() into a table that grows with what comes. */
bool	pb_flow_pool_merge(struct pb_flow_pool *pool, struct pb_flows *flows,
	    const struct pb_flows *more, uint32_t at);

/* NULL is fine. */
void	pb_flow_pool_give(struct pb_flow_pool *pool, struct pb_flows *flows);

/* The memory of its tables, and of those that are in use. */
size_t	pb_flow_pool_bytes(struct pb_flow_pool *pool);
size_t	pb_flow_pool_used(struct pb_flow_pool *pool);

#endif
