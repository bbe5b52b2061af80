/*
 * recorder/flow/key.h - which packets belong together
 *
 * A flow is the packets of one direction of a conversation that have their
 * headers in the same places: link type, tags, addresses, protocol, ports.
 * The TCP packets that begin or end a conversation are a flow of their own, so
 * that who asks for them need not look at the others.
 *
 * How packets are grouped decides how fast a search is, never what it finds.
 */
#ifndef PB_FLOW_KEY_H
#define PB_FLOW_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* All zero where there is no such thing; compared as words. */
struct pb_flow_key {
	/* The header shape: packets of one have each header, and each field
	 * that says what comes next, at one offset. */
	uint16_t	 linktype;
	uint16_t	 ethertype;	/* behind tags */
	uint8_t		 network;	/* offset of its header */
	uint8_t		 transport;	/* likewise */
	uint8_t		 protocol;
	uint8_t		 bits;		/* PB_FLOW_* */
	/* And whose they are. */
	uint16_t	 tag[4];	/* VLANs; of labels the low 16 bits; a
					 * session */
	uint64_t	 address[4];	/* source, destination, 4 or 16 bytes
					 * each; of ARP sender and target;
					 * else both MACs */
	uint16_t	 port[2];	/* or type and code of ICMP, operation
					 * of ARP */
	uint32_t	 spare;
};

#define PB_FLOW_SHAPE_BYTES	offsetof(struct pb_flow_key, tag)

/* Where its addresses stand in an ARP header of IPv4 in Ethernet (RFC 826),
 * which is at `network`. */
#define PB_FLOW_ARP_SOURCE	14u
#define PB_FLOW_ARP_TARGET	24u

/* FIN, SYN and RST stand as in a TCP header, one bit to the left. */
enum {
	PB_FLOW_FRAGMENT = 1,	/* a later one: no transport header */
	PB_FLOW_FIN = 2,
	PB_FLOW_SYN = 4,
	PB_FLOW_RST = 8,
	PB_FLOW_PORTS = 16,
	PB_FLOW_IPV6 = 32,	/* behind labels or a session */
};

/* 802.11, as it is or behind radiotap: `ethertype` and `protocol` are bits of
 * its frame control, and the addresses are the receiver's and the
 * transmitter's.  tcpdump.org/linktypes.html. */
#define PB_FLOW_LINKTYPE_802_11		105u
#define PB_FLOW_LINKTYPE_RADIOTAP	127u
static inline bool
pb_flow_is_wireless(uint16_t linktype)
{
	return linktype == PB_FLOW_LINKTYPE_802_11 ||
	    linktype == PB_FLOW_LINKTYPE_RADIOTAP;
}

/* Of a packet, of which `len` bytes were captured. */
void	pb_flow_key(struct pb_flow_key *out, uint16_t linktype,
	    const uint8_t *data, size_t len);

/* What differs most comes first. */
static inline bool
pb_flow_same(const struct pb_flow_key *a, const struct pb_flow_key *b)
{
	typedef uint64_t word __attribute__((may_alias));
	const word *x = (const word *)a, *y = (const word *)b;

	_Static_assert(sizeof(*a) == 7 * sizeof(word), "all of it");
	return ((x[2] ^ y[2]) | (x[6] ^ y[6])) == 0 &&
	    ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[3] ^ y[3]) |
	    (x[4] ^ y[4]) | (x[5] ^ y[5])) == 0;
}

#endif
