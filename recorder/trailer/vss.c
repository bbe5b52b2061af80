/*
 * recorder/trailer/vss.c - VSS Monitoring
 *
 *   seconds 4 | clock source 2 bits, nanoseconds 30 bits | port 0, 1 or 2
 *
 * `vss` has no port, `vss:1` and `vss:2` have one of so many bytes.  Until
 * the tap has found its clock, seconds are those since it started.  Source:
 * VSS Monitoring, "Port and Time Stamping".
 */
#include "recorder/trailer/formats.h"

#define NS_MASK		0x3FFFFFFFu
#define UNSYNCED	0u

bool
pb_take_vss(struct peel *peel, const uint8_t *tail, struct pb_stamp *stamp)
{
	unsigned port_bytes = peel->trailer->argument, flags;
	uint32_t word = pb_get_be32(tail + 4);

	if ((word & NS_MASK) >= PB_NS_PER_S)
		return false;
	flags = stamp_time(peel, stamp, peel->trailer->tai,
	    pb_get_be32(tail) * PB_NS_PER_S + (word & NS_MASK));
	if (word >> 30 == UNSYNCED)
		flags |= PB_STAMP_DEGRADED;
	if (port_bytes > 0) {
		stamp->port = port_bytes == 1 ? tail[8] :
		    pb_get_be16(tail + 8);
		flags |= PB_STAMP_PLACED;
	}
	stamp->flags = (uint8_t)flags;
	return true;
}
