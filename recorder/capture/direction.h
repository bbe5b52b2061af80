/*
 * recorder/capture/direction.h - which way a packet went, as epb_flags say it
 *
 * The kernel knows it of each packet that it gives to a packet socket
 * (packet(7), sll_pkttype).
 */
#ifndef PB_CAPTURE_DIRECTION_H
#define PB_CAPTURE_DIRECTION_H

#include <stddef.h>
#include <stdint.h>

/* No sll_pkttype: nobody told one. */
#define PB_TYPE_NONE		UINT16_MAX

/* epb_flags, draft section 4.3.1. */
#define PB_FLAG_INBOUND		1u
#define PB_FLAG_OUTBOUND	2u
#define PB_FLAG_UNICAST		(1u << 2)
#define PB_FLAG_MULTICAST	(2u << 2)
#define PB_FLAG_BROADCAST	(3u << 2)
#define PB_FLAG_PROMISCUOUS	(4u << 2)

/* The sll_pkttype in the header of a cooked capture; PB_TYPE_NONE where
 * `linktype` is another, or the packet was cut before it. */
unsigned pb_direction_cooked(uint16_t linktype, const uint8_t *data,
	    size_t caplen);

/* epb_flags of a packet of that sll_pkttype: its direction, and how it was
 * received.  0 where it says nothing of that. */
static inline uint32_t
pb_direction_flags(unsigned type)
{
	static const uint32_t by_type[] = {
		PB_FLAG_INBOUND | PB_FLAG_UNICAST,	/* PACKET_HOST */
		PB_FLAG_INBOUND | PB_FLAG_BROADCAST,	/* PACKET_BROADCAST */
		PB_FLAG_INBOUND | PB_FLAG_MULTICAST,	/* PACKET_MULTICAST */
		PB_FLAG_INBOUND | PB_FLAG_PROMISCUOUS,	/* PACKET_OTHERHOST */
		PB_FLAG_OUTBOUND,			/* PACKET_OUTGOING */
	};

	return type < sizeof(by_type) / sizeof(by_type[0]) ?
	    by_type[type] : 0;
}

#endif
