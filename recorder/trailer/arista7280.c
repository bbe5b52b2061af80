/*
 * recorder/trailer/arista7280.c - Arista 7280 and 7500, a header
 *
 *   0xD28B 2 | subtype 2 | version 2 | seconds 4 or 2 | nanoseconds 4
 *
 * in front of the frame's own EtherType (or VLAN tag).  Subtype 1 is a time;
 * the version's upper byte says 0 TAI, 1 UTC, the upper half of its lower
 * byte 1 for seconds of 32 bits, 2 for 16 bits, which the capture's clock
 * extends; the lower half is the hardware's generation.  VLAN tags that a
 * later switch put on stand before it.  Source: Arista, "Timestamping on
 * the 7500R and 7280R".
 */
#include "recorder/trailer/formats.h"

#define TYPE_ARISTA	0xD28Bu
#define SUBTYPE_TIME	1u
#define HEAD_BYTES	6u

bool
pb_take_arista7280(struct peel *peel, const uint8_t *tail,
    struct pb_stamp *stamp)
{
	uint32_t at = pb_peel_vlans(peel), version, seconds, ns;
	const uint8_t *head;
	bool tai;

	(void)tail;
	if (peel->end < at + HEAD_BYTES + 8 + 2)
		return false;
	head = peel->frame + at;
	version = pb_get_be16(head + 4);
	seconds = (version >> 4 & 15) == 1 ? 4 : 2;
	if (pb_get_be16(head) != TYPE_ARISTA ||
	    pb_get_be16(head + 2) != SUBTYPE_TIME || version >> 8 > 1 ||
	    (version >> 4 & 15) < 1 || (version >> 4 & 15) > 2)
		return false;
	ns = pb_get_be32(head + HEAD_BYTES + seconds);
	if (ns >= PB_NS_PER_S)
		return false;
	tai = version >> 8 == 0;
	stamp->flags = (uint8_t)(seconds == 4 ?
	    stamp_time(peel, stamp, tai,
	    pb_get_be32(head + 6) * PB_NS_PER_S + ns) :
	    pb_stamp_extend(peel, stamp, tai,
	    pb_get_be16(head + 6) * PB_NS_PER_S + ns, PB_NS_PER_S << 16));
	peel_hole(peel, at, HEAD_BYTES + seconds + 4);
	return true;
}
