/*
 * recorder/flow/flows.h - the flows of some packets, and what each knows
 *
 * What a chunk learns about its packets as they enter it, and what those of
 * an index block come to: small ones are merged into a larger one.  Bounded:
 * there is a number of flows, and packets of more than those share one, the
 * rest, of which nothing is known.  That costs whoever searches time, never an
 * answer.
 */
#ifndef PB_FLOW_FLOWS_H
#define PB_FLOW_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/flow/key.h"

#define PB_FLOW_BYTES	128u	/* of a packet, that a flow knows */
#define PB_FLOW_BEHIND	16u	/* bytes behind a packet that can be read */
#define PB_FLOW_REST	0u	/* the flow of those that have none */
/* A mark stands at each chunk's first packet and every so many behind it. */
#define PB_FLOW_MARK	16u

struct pb_flow {
	struct pb_flow_key key;
	uint64_t	 hash;
	uint64_t	 packets;
	uint64_t	 bytes;				/* on the wire */
	uint64_t	 first_time, last_time;		/* lowest, highest; ns */
	uint32_t	 caplen_min, caplen_max;
	uint32_t	 len_min, len_max;		/* on the wire */
	/* Of each of the first bytes, what is set in every packet that has
	 * it, and what in any. */
	uint8_t		 all[PB_FLOW_BYTES];
	uint8_t		 any[PB_FLOW_BYTES];
};

/* Where a packet's block begins. */
struct pb_flow_mark {
	uint32_t	 packet;	/* which, from 0 on */
	uint32_t	 at;		/* bytes behind where the first chunk
					 * begins */
};

struct pb_flows {
	struct pb_flow	*flow;		/* [PB_FLOW_REST] is the rest */
	uint32_t	 flows, flows_max;
	uint32_t	*of;		/* of each packet, in order, its flow */
	uint32_t	 packets, packets_max;
	struct pb_flow_mark *mark;
	uint32_t	 marks;
	uint32_t	*slot;		/* by hash; 0: none */
	uint32_t	 slot_mask;
};

/* For `flows_max` flows and the rest, and `packets_max` packets. */
int	pb_flows_create(struct pb_flows **out, uint32_t flows_max,
	    uint32_t packets_max, struct pb_err *err);
void	pb_flows_destroy(struct pb_flows *flows);
void	pb_flows_reset(struct pb_flows *flows);

/*
 * A packet more: it is the next in order, and its block begins `at` bytes
 * behind the first one's chunk.  PB_FLOW_BEHIND bytes behind what was captured
 * can be read.  False, and nothing done, where `packets_max` have come.
 */
bool	pb_flows_packet(struct pb_flows *flows, uint32_t at,
	    uint16_t linktype, const uint8_t *data, uint32_t caplen,
	    uint32_t len, uint64_t time_ns);

/*
 * All packets of `more` behind those of `flows`, their chunk `at` bytes behind
 * its first one; false, and nothing done, where they are too many.
 */
bool	pb_flows_merge(struct pb_flows *flows, const struct pb_flows *more,
	    uint32_t at);

/*
 * What is known of the flow's packets: of their first bytes those that are
 * set in all, and those of which it is not known (pb_alike of
 * filter/verdict.h).  Of the rest, and behind the shortest packet's end where
 * no packet had a byte, nothing is.
 */
void	pb_flow_known(const struct pb_flow *flow, uint8_t ones[PB_FLOW_BYTES],
	    uint8_t unknown[PB_FLOW_BYTES]);

#endif
