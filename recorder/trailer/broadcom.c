/*
 * recorder/trailer/broadcom.c - switches with Broadcom's time stamps
 *
 *   seconds 18 bits, nanoseconds 30 bits | reserved 1 | origin 3
 *
 * The capture's clock has the upper seconds.  A switch writes one where a
 * frame comes in and one where it leaves, and then 4 bytes stand between
 * both, where the FCS of the first was.  Source: Cisco, "Nexus 3000 Series
 * NX-OS Programmability Guide", Packet Timestamping.
 */
#include "recorder/trailer/formats.h"

#define FIXED_BYTES	10u
#define NS_MASK		0x3FFFFFFFu

/* Is another one inside? */
static bool
is_second(const struct peel *peel)
{
	const struct pb_trailer *next = peel->trailer + 1;

	return next < peel->list->at + peel->list->count &&
	    next->format == peel->trailer->format;
}

bool
pb_take_broadcom(struct peel *peel, struct pb_stamp *stamp)
{
	const uint8_t *at;
	uint64_t time;
	uint32_t ns;

	if (!peel_has(peel, FIXED_BYTES))
		return false;
	at = peel_tail(peel, FIXED_BYTES);
	time = (uint64_t)pb_get_be32(at) << 16 | pb_get_be16(at + 4);
	ns = (uint32_t)time & NS_MASK;
	if (ns >= PB_NS_PER_S)
		return false;
	pb_stamp_extend(peel, stamp, peel->trailer->tai,
	    (time >> 30) * PB_NS_PER_S + ns, PB_NS_PER_S << 18);
	stamp->port = at[7];
	stamp->device = pb_get_be16(at + 8);
	stamp->flags |= PB_STAMP_PLACED;
	peel->fcs = is_second(peel);
	return true;
}
