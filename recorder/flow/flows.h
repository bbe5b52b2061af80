/*
 * recorder/flow/flows.h - the flows of some packets, and what each knows
 *
 * What a chunk learns about its packets as they enter it, and what those of
 * an index block come to: small ones are merged into a larger one.  It is
 * bounded: by its own maxima, and by a budget that many share.  Packets of
 * more flows share one, the rest, of which nothing is known.  That costs
 * whoever searches time, never an answer.
 */
#ifndef PB_FLOW_FLOWS_H
#define PB_FLOW_FLOWS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/flow/key.h"

#define PB_FLOWS_MAX	98303u	/* of one table, beside the rest */
#define PB_FLOW_BYTES	128u	/* of a packet, of which tables tell */
#define PB_FLOW_BEHIND	16u	/* bytes behind a packet that can be read */
#define PB_FLOW_REST	0u	/* the flow of those that have none */
/* Packet 0 has a mark.  Two of them are this many packets apart, and less
 * than twice as many but where packets came without their flows. */
#define PB_FLOW_MARK	4u

struct pb_flow {
	uint64_t	 shape;		/* PB_FLOW_SHAPE_BYTES of its key */
	uint64_t	 hash;		/* of all of it, which tells those of a
					 * shape apart */
	uint64_t	 bytes;				/* on the wire */
	uint64_t	 first_time, last_time;		/* lowest, highest;
							 * ns */
	uint32_t	 packets;
	uint32_t	 caplen_min, caplen_max;
	uint32_t	 len_min, len_max;		/* on the wire */
	/* Of one of its longest packets the first bytes; and those bits in
	 * which others differ.  pb_flow_known() tells what follows. */
	uint32_t	 known;				/* the rest: 0 */
	uint8_t		 some[PB_FLOW_BYTES];
	uint8_t		 differ[PB_FLOW_BYTES];
};

/* Where a packet's block begins. */
struct pb_flow_mark {
	uint32_t	 packet;	/* which, from 0 on */
	uint32_t	 at;		/* bytes behind where the first chunk
					 * begins */
};

/* Memory that several share: `max` bytes at most are in use. */
struct pb_flows_budget {
	_Atomic size_t	 used;
	size_t		 max;
};

struct pb_flows {
	struct pb_flow	*flow;		/* [PB_FLOW_REST] is the rest */
	uint32_t	 flows;		/* the rest is one of them */
	uint32_t	*of;		/* of each packet, in order, its flow */
	uint32_t	 packets;
	struct pb_flow_mark *mark;
	uint32_t	 marks;
	struct pb_flow_key last;	/* of the packet that came last, */
	uint32_t	 last_flow;	/* and its flow; the rest: none came */
	uint32_t	*slot;		/* by hash; 0: none */
	uint32_t	 slot_mask;
	uint32_t	 flows_max;	/* beside the rest */
	uint32_t	 packets_room, packets_max;
	struct pb_flows_budget *budget;	/* or NULL */
	size_t		 bytes;		/* of memory */
	/* The pool's (pool.h): its size, whether there may be a larger one. */
	unsigned	 of_size;
	bool		 grows;
	struct pb_flows	*next;
};

/*
 * For `flows_max` flows (PB_FLOWS_MAX at most) and the rest, and up to
 * `packets_max` packets.  `budget` may be NULL, and outlives it.  PB_ENOMEM
 * also where the budget is used up.
 */
int	pb_flows_create_within(struct pb_flows **out, uint32_t flows_max,
	    uint32_t packets_max, struct pb_flows_budget *budget,
	    struct pb_err *err);
int	pb_flows_create(struct pb_flows **out, uint32_t flows_max,
	    uint32_t packets_max, struct pb_err *err);
/* NULL is fine. */
void	pb_flows_destroy(struct pb_flows *flows);
/* Empty; its memory stays. */
void	pb_flows_reset(struct pb_flows *flows);
/* Room for `flows_max` flows, more than before and PB_FLOWS_MAX at most; false,
 * and nothing done, where there is no memory. */
bool	pb_flows_grow(struct pb_flows *flows, uint32_t flows_max);

/*
 * A packet more: it is the next in order, and its block begins `at` bytes
 * behind the first one's chunk.  PB_FLOW_BEHIND bytes behind what was captured
 * can be read.  False, and nothing done, where there is no room for it.
 */
bool	pb_flows_packet(struct pb_flows *flows, uint32_t at,
	    uint16_t linktype, const uint8_t *data, uint32_t caplen,
	    uint32_t len, uint64_t time_ns);

/*
 * All packets of `more` behind those of `flows`, their chunk `at` bytes behind
 * its first one; false, and nothing done, where there is no room for them.
 */
bool	pb_flows_merge(struct pb_flows *flows, const struct pb_flows *more,
	    uint32_t at);

/*
 * So many packets, of which nothing is known but that they lie within these
 * times and have `bytes` in all: those of a chunk without flows, which begins
 * `at` bytes behind the first one.  False, and nothing done, where there is no
 * room for them.
 */
bool	pb_flows_rest(struct pb_flows *flows, uint32_t packets,
	    uint64_t bytes, uint64_t first_time, uint64_t last_time,
	    uint32_t at);

/* The block of the packet that came last begins `by` bytes further on. */
void	pb_flows_moved(struct pb_flows *flows, uint32_t by);

/* The next packet of another flow would be the rest's. */
static inline bool
pb_flows_full(const struct pb_flows *flows)
{
	return flows->flows > flows->flows_max;
}

/*
 * What is known of the flow's packets: of their first bytes those that are
 * set in all, and those of which it is not known (pb_alike of
 * filter/verdict.h).  Of the rest, and behind the longest packet's end, nothing
 * is.
 */
void	pb_flow_known(const struct pb_flow *flow, uint8_t ones[PB_FLOW_BYTES],
	    uint8_t unknown[PB_FLOW_BYTES]);

#endif
