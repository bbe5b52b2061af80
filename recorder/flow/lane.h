/*
 * recorder/flow/lane.h - what a flow knows, sixteen bytes at a time
 *
 * Bytes of packets go through the processor's wide registers: no flow is
 * looked at byte by byte.
 */
#ifndef PB_FLOW_LANE_H
#define PB_FLOW_LANE_H

#include "recorder/flow/flows.h"

#define PB_LANE		16u
#define PB_LANES	(PB_FLOW_BYTES / PB_LANE)

typedef uint8_t pb_lane
    __attribute__((vector_size(PB_LANE), aligned(1), may_alias));

/* As many bytes with all bits set as there are of a flow, then as many with
 * none; and these alone. */
extern const uint8_t pb_lane_edge[2 * PB_FLOW_BYTES];
#define PB_LANE_NONE	(pb_lane_edge + PB_FLOW_BYTES)

/* Of a flow's bytes: which differ, which are known, and which some packet
 * has. */
struct pb_lanes {
	const uint8_t	*some, *differ, *known, *has;
};

static inline struct pb_lanes
pb_lanes(const struct pb_flow *flow)
{
	uint32_t has = flow->caplen_max < PB_FLOW_BYTES ? flow->caplen_max :
	    PB_FLOW_BYTES;

	return (struct pb_lanes){ flow->some, flow->differ,
	    PB_LANE_NONE - flow->known, PB_LANE_NONE - has };
}

/* All flows are more than a cache holds: the memory works ahead.  (Of a
 * function that does nothing else the compiler leaves out the calls.) */
static inline __attribute__((always_inline)) void
pb_flow_fetch(const struct pb_flow *flow)
{
	const uint8_t *line = (const uint8_t *)flow;

	_Static_assert(sizeof(*flow) == 5 * 64, "in so many lines");
	__builtin_prefetch(line);
	__builtin_prefetch(line + 64);
	__builtin_prefetch(line + 128);
	__builtin_prefetch(line + 192);
	__builtin_prefetch(line + 256);
}

static inline pb_lane
pb_lane_at(const uint8_t *bytes)
{
	return *(const pb_lane *)bytes;
}

/* What pb_flow_known() says, from byte `at` on. */
static inline pb_lane
pb_lane_ones(const struct pb_lanes *lanes, uint32_t at)
{
	return pb_lane_at(lanes->some + at) & pb_lane_at(lanes->known + at) &
	    ~pb_lane_at(lanes->differ + at);
}

static inline pb_lane
pb_lane_unknown(const struct pb_lanes *lanes, uint32_t at)
{
	return pb_lane_at(lanes->differ + at) |
	    ~pb_lane_at(lanes->known + at);
}

#endif
