/*
 * recorder/trailer/mac48.c - a time in place of the source address
 *
 * Seconds 2, nanoseconds 4, as Arista 7280 and 7500 are told to write over
 * it; the capture's clock has the upper seconds.  Limit: what the address was
 * is lost, so the frame is not restored there.
 */
#include "recorder/trailer/formats.h"

#define SOURCE_AT	6u

bool
pb_take_mac48(struct peel *peel, const uint8_t *tail, struct pb_stamp *stamp)
{
	const uint8_t *at = peel->frame + SOURCE_AT;
	uint32_t ns = pb_get_be32(at + 2);

	(void)tail;
	if (ns >= PB_NS_PER_S)
		return false;
	stamp->flags = (uint8_t)pb_stamp_extend(peel, stamp,
	    peel->trailer->tai, pb_get_be16(at) * PB_NS_PER_S + ns,
	    PB_NS_PER_S << 16);
	return true;
}
