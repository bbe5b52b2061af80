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

#define NS_MASK		0x3FFFFFFFu

bool
pb_take_broadcom(struct peel *peel, const uint8_t *tail,
    struct pb_stamp *stamp)
{
	uint64_t time = (uint64_t)pb_get_be32(tail) << 16 |
	    pb_get_be16(tail + 4);
	uint32_t ns = (uint32_t)time & NS_MASK;

	if (ns >= PB_NS_PER_S)
		return false;
	stamp->port = tail[7];
	stamp->device = pb_get_be16(tail + 8);
	stamp->flags = (uint8_t)(PB_STAMP_PLACED | pb_stamp_extend(peel,
	    stamp, peel->trailer->tai, (time >> 30) * PB_NS_PER_S + ns,
	    PB_NS_PER_S << 18));
	return true;
}
