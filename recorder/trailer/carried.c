/*
 * recorder/trailer/carried.c - where what a frame carries ends, by its own word
 */
#include <linux/if_ether.h>

#include "recorder/trailer/formats.h"

#define IPV6_HEADER	40u
#define ARP_BYTES	28u		/* of IPv4 */
#define PTP_LENGTH_AT	2u
#define LLDP_TLVS_MAX	64

static uint32_t	lldp_end(const struct peel *, uint32_t);

uint32_t
pb_peel_carried(const struct peel *peel, bool *ip)
{
	uint32_t at = pb_peel_vlans(peel) + 2, left = peel->end - at, bytes;
	const uint8_t *body = peel->frame + at;
	uint16_t type = pb_get_be16(body - 2);

	*ip = type == ETH_P_IP || type == ETH_P_IPV6;
	switch (type) {
	case ETH_P_IP:
		bytes = left >= IPV4_HEADER && body[0] >> 4 == 4 ?
		    pb_get_be16(body + 2) : 0;
		return bytes < IPV4_HEADER ? 0 : at + bytes;
	case ETH_P_IPV6:
		bytes = left >= IPV6_HEADER && body[0] >> 4 == 6 ?
		    pb_get_be16(body + 4) : 0;
		return bytes == 0 ? 0 : at + IPV6_HEADER + bytes;
	case ETH_P_ARP:
		return at + ARP_BYTES;
	case ETH_P_1588:
		return left < PTP_LENGTH_AT + 2 ? 0 :
		    at + pb_get_be16(body + PTP_LENGTH_AT);
	case ETH_P_LLDP:
		return lldp_end(peel, at);
	}
	return type <= ETH_DATA_LEN ? at + type : 0;
}

/* Behind its last TLV, which has no bytes: 7 bits of type, 9 of length. */
static uint32_t
lldp_end(const struct peel *peel, uint32_t at)
{
	for (int i = 0; i < LLDP_TLVS_MAX && peel->end >= at + 2; i++) {
		uint16_t head = pb_get_be16(peel->frame + at);

		at += 2 + (head & 0x1FFu);
		if (head == 0)
			return at;
	}
	return 0;
}
