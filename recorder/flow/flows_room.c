/*
 * recorder/flow/flows_room.c - the memory of a table of flows, and how it grows
 */
#include "recorder/flow/flows_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/sys.h"

#define LINE		64u	/* of the processor's cache */
#define PACKETS_FIRST	512u	/* that a new table has room for */

static struct pb_flow *flows_map(size_t);
static void	flows_unmap(struct pb_flow *, size_t);
static struct pb_flow *flows_move(struct pb_flows *, size_t, size_t);
static size_t	flows_bytes(uint32_t);
static size_t	slots_for(uint32_t);
static void	enter_slots(uint32_t *, uint32_t, const struct pb_flows *);
static bool	packets_room(struct pb_flows *, uint32_t);
static bool	charge(struct pb_flows *, size_t);
static void	discharge(struct pb_flows *, size_t);

int
pb_flows_create(struct pb_flows **out, uint32_t flows_max,
    uint32_t packets_max, struct pb_err *err)
{
	return pb_flows_create_within(out, flows_max, packets_max, NULL, err);
}

int
pb_flows_create_within(struct pb_flows **out, uint32_t flows_max,
    uint32_t packets_max, struct pb_flows_budget *budget, struct pb_err *err)
{
	struct pb_flows *flows = calloc(1, sizeof(*flows));

	*out = NULL;
	flows_salt();
	if (flows == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for flows");
	flows->budget = budget;
	flows->packets_max = packets_max;
	if (!pb_flows_grow(flows, flows_max < PB_FLOWS_MAX ?
	    flows_max : PB_FLOWS_MAX) ||
	    !packets_room(flows, PACKETS_FIRST)) {
		pb_flows_destroy(flows);
		return pb_err_set(err, PB_ENOMEM, "no memory for flows");
	}
	pb_flows_reset(flows);
	*out = flows;
	return 0;
}

void
pb_flows_destroy(struct pb_flows *flows)
{
	if (flows == NULL)
		return;
	discharge(flows, flows->bytes);
	flows_unmap(flows->flow, flows_bytes(flows->flows_max));
	free(flows->of);
	free(flows->mark);
	free(flows->slot);
	free(flows);
}

bool
pb_flows_grow(struct pb_flows *flows, uint32_t flows_max)
{
	size_t had = flows->flow == NULL ? 0 : flows_bytes(flows->flows_max);
	size_t bytes = flows_bytes(flows_max), slots = slots_for(flows_max);
	size_t more = bytes - had + (slots - (flows->slot == NULL ? 0 :
	    flows->slot_mask + 1)) * sizeof(*flows->slot);
	struct pb_flow *flow;
	uint32_t *slot;

	if (!charge(flows, more))
		return false;
	slot = calloc(slots, sizeof(*slot));
	flow = slot == NULL ? NULL : flows_move(flows, had, bytes);
	if (flow == NULL) {
		free(slot);
		discharge(flows, more);
		return false;
	}
	free(flows->slot);
	flows->flow = flow;
	flows->flows_max = flows_max;
	flows->slot = slot;
	flows->slot_mask = (uint32_t)slots - 1;
	enter_slots(slot, flows->slot_mask, flows);
	return true;
}

bool
flows_room_for(struct pb_flows *flows, uint32_t packets)
{
	uint32_t room = flows->packets_room;

	if (packets > flows->packets_max - flows->packets)
		return false;
	while (room - flows->packets < packets)
		room = room < flows->packets_max / 2 ? 2 * room :
		    flows->packets_max;
	return room == flows->packets_room || packets_room(flows, room);
}

/* Flows are all over a table: with small pages each is looked up. */
static struct pb_flow *
flows_map(size_t bytes)
{
	struct pb_flow *flow;

	if (bytes <= PB_HUGE_BYTES)
		return aligned_alloc(LINE, bytes);
	flow = (struct pb_flow *)pb_pages_map(bytes, PROT_READ | PROT_WRITE,
	    0);
	if (flow != NULL)
		(void)madvise(flow, bytes, MADV_HUGEPAGE);
	return flow;
}

static void
flows_unmap(struct pb_flow *flow, size_t bytes)
{
	if (bytes <= PB_HUGE_BYTES)
		free(flow);
	else if (flow != NULL)
		munmap(flow, bytes);
}

/* Those that there are, with more room, large pages as they are; NULL: they
 * stay where they were. */
static struct pb_flow *
flows_move(struct pb_flows *flows, size_t had, size_t bytes)
{
	struct pb_flow *to;

	if (had > PB_HUGE_BYTES) {
		to = mremap(flows->flow, had, bytes, MREMAP_MAYMOVE);
		return to == MAP_FAILED ? NULL : to;
	}
	to = flows_map(bytes);
	if (to == NULL)
		return NULL;
	if (flows->flows > 0)
		memcpy(to, flows->flow, flows->flows * sizeof(*to));
	flows_unmap(flows->flow, had);
	return to;
}

static size_t
flows_bytes(uint32_t flows_max)
{
	size_t bytes = ((size_t)flows_max + 1) * sizeof(struct pb_flow);

	return bytes > PB_HUGE_BYTES ? pb_round_up(bytes, PB_HUGE_BYTES) :
	    bytes;
}

static size_t
slots_for(uint32_t flows_max)
{
	size_t slots = 2;

	while (slots < 2 * (size_t)flows_max)
		slots *= 2;
	return slots;
}

/* All flows into slots of which none is taken. */
static void
enter_slots(uint32_t *slot, uint32_t mask, const struct pb_flows *flows)
{
	for (uint32_t i = 1; i < flows->flows; i++) {
		uint64_t hash = flows->flow[i].hash;
		uint32_t at = (uint32_t)hash & mask;

		while (slot[at] != 0)
			at = (at + 1) & mask;
		slot[at] = i | tag_of(hash);
	}
}

/* What fails is as it was. */
static bool
packets_room(struct pb_flows *flows, uint32_t room)
{
	uint32_t *of;
	struct pb_flow_mark *marks;
	uint32_t more;

	if (room > flows->packets_max)
		room = flows->packets_max;
	more = room - flows->packets_room;
	if (!charge(flows, more * sizeof(*of) + more / PB_FLOW_MARK *
	    sizeof(*marks)))
		return false;
	of = realloc(flows->of, room * sizeof(*of));
	if (of != NULL)
		flows->of = of;
	marks = realloc(flows->mark, (room / PB_FLOW_MARK + 1) *
	    sizeof(*marks));
	if (marks != NULL)
		flows->mark = marks;
	if (of == NULL || marks == NULL)
		return false;
	flows->packets_room = room;
	return true;
}

/* What was charged is given back when the table goes. */
static bool
charge(struct pb_flows *flows, size_t bytes)
{
	struct pb_flows_budget *budget = flows->budget;

	if (budget != NULL && atomic_fetch_add(&budget->used, bytes) + bytes >
	    budget->max) {
		atomic_fetch_sub(&budget->used, bytes);
		return false;
	}
	flows->bytes += bytes;
	return true;
}

static void
discharge(struct pb_flows *flows, size_t bytes)
{
	if (flows->budget != NULL)
		atomic_fetch_sub(&flows->budget->used, bytes);
	flows->bytes -= bytes;
}
