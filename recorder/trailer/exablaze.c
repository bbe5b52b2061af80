/*
 * recorder/trailer/exablaze.c - Cisco Nexus 3550-F HPT, once Exablaze's
 *
 *   original FCS 4 | device 1 | port 1 | seconds 4 | fraction 5 | flags 1
 *
 * The fraction is of a second, in 1/2^40: 10^9 / 2^40 ns are 5^9 / 2^31 ns,
 * so that 1/2^32 ns hold all its bits.  Source: Cisco, "Nexus 3550-F HPT user
 * guide", trailer format; what the flags are, no document says.
 */
#include "recorder/trailer/formats.h"

#define FIXED_BYTES	12u
#define FIVE_TO_9	1953125u

bool
pb_take_exablaze(struct peel *peel, struct pb_stamp *stamp)
{
	const uint8_t *at;
	uint64_t fraction, ns;

	if (!peel_has(peel, FIXED_BYTES + FCS_BYTES))
		return false;
	at = peel_tail(peel, FIXED_BYTES);
	fraction = (pb_get_be64(at + 3) & 0xFFFFFFFFFF) * FIVE_TO_9;
	ns = fraction >> 31;
	stamp_time(peel, stamp, peel->trailer->tai,
	    pb_get_be32(at + 2) * PB_NS_PER_S + ns);
	stamp->fraction = (uint32_t)(fraction << 1);
	stamp->device = at[0];
	stamp->port = at[1];
	stamp->flags |= PB_STAMP_PLACED;
	peel->fcs = true;
	return true;
}
