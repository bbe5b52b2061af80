/*
 * recorder/flow/flows_impl.h - a table's slots, as its own files know them
 */
#ifndef PB_FLOW_FLOWS_IMPL_H
#define PB_FLOW_FLOWS_IMPL_H

#include "recorder/flow/flows.h"

/* A slot has a flow's number and, in the bits above, some of its hash. */
#define SLOT_BITS	17u
#define SLOT_FLOW	((1u << SLOT_BITS) - 1)

_Static_assert(PB_FLOWS_MAX <= SLOT_FLOW, "a slot has its number");

static inline uint32_t
tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32) & ~SLOT_FLOW;
}

/* So that flows have hashes. */
void	flows_salt(void);

/* For so many packets more; false, and nothing done, where there is none. */
bool	flows_room_for(struct pb_flows *, uint32_t packets);

#endif
