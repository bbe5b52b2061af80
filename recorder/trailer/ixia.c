/*
 * recorder/trailer/ixia.c - Ixia network visibility (Anue)
 *
 *   fields of {type 1, length 1, value} | their bytes 1 | 0xAF12 2 |
 *   checksum 2
 *
 * The checksum is IP's (RFC 1071) of all before it, from the first field on,
 * as if a zero followed where that is an odd number of bytes.  A time is
 * seconds 4, nanoseconds 4; its type says where the clock has it from.
 */
#include "recorder/trailer/formats.h"

#define SIGNATURE	0xAF12u
#define TIME_BYTES	8u

enum {
	FIELD_LOCAL = 3,
	FIELD_NTP = 4,
	FIELD_GPS = 5,
	FIELD_PTP = 6,
	FIELD_HOLDOVER = 7,
};

/* The first time there is counts.  False where a field leaves them, or no
 * time is one. */
static bool
fields(const struct peel *peel, struct pb_stamp *stamp, const uint8_t *at,
    uint32_t left)
{
	bool timed = false;

	while (left > 0) {
		uint32_t bytes = left < 2 ? left : 2u + at[1];

		if (left < 2 || bytes > left)
			return false;
		if (!timed && at[0] >= FIELD_LOCAL &&
		    at[0] <= FIELD_HOLDOVER && at[1] == TIME_BYTES) {
			uint32_t ns = pb_get_be32(at + 6);

			if (ns >= PB_NS_PER_S)
				return false;
			stamp->flags = (uint8_t)(stamp_time(peel, stamp,
			    peel->trailer->tai,
			    pb_get_be32(at + 2) * PB_NS_PER_S + ns) |
			    (at[0] == FIELD_LOCAL || at[0] == FIELD_HOLDOVER ?
			    PB_STAMP_DEGRADED : 0));
			timed = true;
		}
		at += bytes;
		left -= bytes;
	}
	return true;
}

bool
pb_take_ixia(struct peel *peel, const uint8_t *tail, struct pb_stamp *stamp)
{
	uint32_t bytes = tail[0];

	if (pb_get_be16(tail + 1) != SIGNATURE || !peel_has(peel, bytes))
		return false;
	peel->end -= bytes;
	if (pb_ip_checksum(tail - bytes, bytes + 3) != pb_get_be16(tail + 3))
		return false;
	return fields(peel, stamp, tail - bytes, bytes);
}
