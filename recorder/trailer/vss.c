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

#define TIME_BYTES	8u
#define NS_MASK		0x3FFFFFFFu
#define UNSYNCED	0u

bool
pb_take_vss(struct peel *peel, struct pb_stamp *stamp)
{
	unsigned port = peel->trailer->argument;
	const uint8_t *at;
	uint32_t word;

	if (!peel_has(peel, TIME_BYTES + port))
		return false;
	at = peel_tail(peel, TIME_BYTES + port);
	word = pb_get_be32(at + 4);
	if ((word & NS_MASK) >= PB_NS_PER_S)
		return false;
	stamp_time(peel, stamp, peel->trailer->tai,
	    pb_get_be32(at) * PB_NS_PER_S + (word & NS_MASK));
	if (word >> 30 == UNSYNCED)
		stamp->flags |= PB_STAMP_DEGRADED;
	if (port == 0)
		return true;
	stamp->port = port == 1 ? at[8] : pb_get_be16(at + 8);
	stamp->flags |= PB_STAMP_PLACED;
	return true;
}
