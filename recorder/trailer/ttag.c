/*
 * recorder/trailer/ttag.c - Cisco Nexus timestamp tags
 *
 * The lower 48 bits of a count of nanoseconds, which wraps in 3.26 days; the
 * capture's clock has the upper ones.  `ttag` is the frame's last 6 bytes;
 * `ttag:N` is a header, behind the EtherType N that was chosen at the switch:
 *
 *   N 2 | nanoseconds 6 | the frame's own EtherType ...
 *
 * VLAN tags that a later switch put on stand before it.  Source: Cisco,
 * "Configuring Timestamp Tagging"; packets of the switch itself that have the
 * whole time (`ttag-marker`) are not read: no document that we know has their
 * layout.
 */
#include "recorder/trailer/formats.h"

#define TAG_BYTES	6u
#define RANGE_NS	(1ull << 48)

static uint64_t
get_be48(const uint8_t *at)
{
	return (uint64_t)pb_get_be16(at) << 32 | pb_get_be32(at + 2);
}

static bool
take_header(struct peel *peel, struct pb_stamp *stamp)
{
	uint16_t type = peel->trailer->argument;
	uint32_t at = peel->type_at;

	if (!peel_has(peel, 0))
		return false;
	if (pb_get_be16(peel->frame + at) != type)
		at = pb_peel_vlans(peel);
	if (peel->end < at + 2 + TAG_BYTES + 2 ||
	    pb_get_be16(peel->frame + at) != type)
		return false;
	stamp->flags = (uint8_t)pb_stamp_extend(peel, stamp,
	    peel->trailer->tai, get_be48(peel->frame + at + 2), RANGE_NS);
	peel_hole(peel, at, 2 + TAG_BYTES);
	return true;
}

bool
pb_take_ttag(struct peel *peel, const uint8_t *tail, struct pb_stamp *stamp)
{
	if (peel->trailer->argument != 0)
		return take_header(peel, stamp);
	stamp->flags = (uint8_t)pb_stamp_extend(peel, stamp,
	    peel->trailer->tai, get_be48(tail), RANGE_NS);
	return true;
}
