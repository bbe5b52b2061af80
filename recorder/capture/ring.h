/*
 * recorder/capture/ring.h - what the kernel wrote beside each packet
 *
 * libpcap reads a packet socket by a ring that the kernel shares with this
 * process, and hands out packets where they lie in it.  In front of each lie
 * its header and an address (struct tpacket3_hdr, and behind it struct
 * sockaddr_ll: packet(7), Linux's Documentation/networking/packet_mmap.rst),
 * whose sll_pkttype says which way it went.  That libpcap hands out of cooked
 * captures alone.
 *
 * Promise: nothing but the ring is read, and a header is believed only where
 * it says of its packet what libpcap says: the time to the nanosecond, both
 * lengths, and where it lies.  So what another kernel or libpcap does
 * otherwise may leave packets without a type, and gives none a wrong one.
 */
#ifndef PB_CAPTURE_RING_H
#define PB_CAPTURE_RING_H

#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "recorder/capture/direction.h"

#define PB_RING_ALIGN	8u	/* of headers; the kernel's V3_ALIGNMENT */
/* From a header's start to the address behind it. */
#define PB_RING_HEAD	\
	((unsigned)TPACKET_ALIGN((int)sizeof(struct tpacket3_hdr)))
#define PB_RING_TAG	4u	/* a VLAN tag that libpcap put back moved what
				 * is before it down */

struct pb_ring {
	uintptr_t	 first;		/* where packets can begin, */
	size_t		 bytes;		/* from there to the end; 0: no ring */
	unsigned	 near, far;	/* from a header to its packet */
	unsigned	 last[PB_RING_ALIGN];	/* the one that was right last,
					 * by the packet's address */
};

/*
 * The ring of the open packet socket `fd`, which stays where it is until that
 * is closed.  PB_EINVAL, and `out` is zeroed, where it is none that we know.
 */
int	pb_ring_find(struct pb_ring *out, int fd, struct pb_err *err);

/* A ring of TPACKET_V3 at `start`, whose packets have `reserve` bytes in front
 * of them to spare (PACKET_RESERVE). */
void	pb_ring_init(struct pb_ring *out, const void *start, size_t bytes,
	    unsigned reserve);

/* As pb_ring_type(), for a packet that is not where the last one was. */
unsigned pb_ring_search(struct pb_ring *ring,
	    const struct pcap_pkthdr *packet, const uint8_t *data);

/* Is that its header, `distance` bytes before it?  Its time is in
 * nanoseconds.  The bytes are there. */
static inline bool
pb_ring_fits(const struct pcap_pkthdr *packet, const uint8_t *data,
    unsigned distance)
{
	const struct tpacket3_hdr *header = (const void *)(data - distance);
	unsigned tag = header->tp_mac - distance;

	return (tag == 0 || tag == PB_RING_TAG) &&
	    header->tp_nsec == (uint32_t)packet->ts.tv_usec &&
	    header->tp_sec == (uint32_t)packet->ts.tv_sec &&
	    header->tp_len + tag == packet->len &&
	    header->tp_snaplen + tag >= packet->caplen;
}

/* The address behind the header. */
static inline unsigned
pb_ring_told(const uint8_t *data, unsigned distance)
{
	const struct sockaddr_ll *from = (const void *)(data - distance +
	    PB_RING_HEAD);

	return from->sll_family == AF_PACKET ? from->sll_pkttype :
	    PB_TYPE_NONE;
}

/*
 * The sll_pkttype of a packet, in nanoseconds, as libpcap hands it out.
 * PB_TYPE_NONE where it does not lie in the ring, or its header is not found.
 * While it may be read, and by the ring's one reader.
 */
static inline unsigned
pb_ring_type(struct pb_ring *ring, const struct pcap_pkthdr *packet,
    const uint8_t *data)
{
	unsigned distance = ring->last[(uintptr_t)data % PB_RING_ALIGN];

	if ((uintptr_t)data - ring->first >= ring->bytes)
		return PB_TYPE_NONE;
	if (__builtin_expect(!pb_ring_fits(packet, data, distance), 0))
		return pb_ring_search(ring, packet, data);
	return pb_ring_told(data, distance);
}

#endif
