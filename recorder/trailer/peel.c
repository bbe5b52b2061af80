/*
 * recorder/trailer/peel.c - what several formats need
 */
#include "recorder/trailer/formats.h"

#define VLAN_BYTES	4u
#define VLANS_MAX	4

/* How far a switch's clock and the capture's may be apart where one has to
 * tell the upper bits of the other. */
#define APART_NS_MAX	(3600 * PB_NS_PER_S)

unsigned
pb_stamp_extend(const struct peel *peel, struct pb_stamp *stamp, bool tai,
    uint64_t low_ns, uint64_t range_ns)
{
	uint64_t ahead = (uint64_t)((tai ? peel->list->tai_utc : 0) *
	    (int64_t)PB_NS_PER_S);
	uint64_t near = peel->capture_ns + ahead, ns, apart;

	ns = near - near % range_ns + low_ns;
	if (ns > near && ns - near > range_ns / 2 && ns >= range_ns)
		ns -= range_ns;
	else if (ns < near && near - ns > range_ns / 2)
		ns += range_ns;
	apart = ns > near ? ns - near : near - ns;
	stamp->time_ns = ns - ahead;
	return PB_STAMP_EXTENDED | (apart <= APART_NS_MAX &&
	    peel->capture_ns > STAMP_SECONDS_MIN * PB_NS_PER_S ?
	    PB_STAMP_TIMED : PB_STAMP_ADRIFT);
}

uint32_t
pb_peel_vlans(const struct peel *peel)
{
	uint32_t at = peel->type_at;

	for (int i = 0; i < VLANS_MAX; i++) {
		uint16_t type = pb_get_be16(peel->frame + at);

		if ((type != 0x8100 && type != 0x88A8 && type != 0x9100) ||
		    peel->end < at + VLAN_BYTES + 2)
			break;
		at += VLAN_BYTES;
	}
	return at;
}

uint16_t
pb_ip_checksum(const uint8_t *at, uint32_t len)
{
	uint32_t sum = 0, i;

	for (i = 0; i + 1 < len; i += 2)
		sum += pb_get_be16(at + i);
	if (i < len)
		sum += (uint32_t)at[i] << 8;
	sum = (sum & 0xFFFF) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}
