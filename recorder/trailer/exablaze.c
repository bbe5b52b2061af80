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

#define FIVE_TO_9	1953125u

bool
pb_take_exablaze(struct peel *peel, const uint8_t *tail,
    struct pb_stamp *stamp)
{
	uint64_t part = (pb_get_be64(tail + 3) & 0xFFFFFFFFFF) * FIVE_TO_9;

	stamp->fraction = (uint32_t)(part << 1);
	stamp->device = tail[0];
	stamp->port = tail[1];
	stamp->flags = (uint8_t)(stamp_time(peel, stamp, peel->trailer->tai,
	    pb_get_be32(tail + 2) * PB_NS_PER_S + (part >> 31)) |
	    PB_STAMP_PLACED);
	return true;
}
