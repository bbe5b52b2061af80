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

/* All zero where there is no such thing; compared as bytes. */
struct pb_flow_key {
	/* The header shape: packets of one have each header, and each field
	 * that says what comes next, at one offset. */
	uint16_t	 linktype;
	uint16_t	 ethertype;	/* behind tags and labels */
	uint8_t		 network;	/* offset of its header */
	uint8_t		 transport;	/* likewise */
	uint8_t		 protocol;
	uint8_t		 bits;		/* PB_FLOW_* */
	/* And whose they are. */
	uint16_t	 tag[4];	/* VLANs, labels, a session */
	uint64_t	 address[4];	/* source, destination; or both MACs */
	uint16_t	 port[2];	/* or type and code of ICMP */
	uint32_t	 spare;
};

#define PB_FLOW_SHAPE_BYTES	offsetof(struct pb_flow_key, tag)

enum {
	PB_FLOW_FRAGMENT = 1,	/* a later one: no transport header */
	PB_FLOW_SYN = 2,
	PB_FLOW_FIN = 4,
	PB_FLOW_RST = 8,
	PB_FLOW_PORTS = 16,
};

/* Of a packet, of which `len` bytes were captured. */
void	pb_flow_key(struct pb_flow_key *out, uint16_t linktype,
	    const uint8_t *data, size_t len);

static inline bool
pb_flow_same(const struct pb_flow_key *a, const struct pb_flow_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

#endif
