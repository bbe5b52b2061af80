/*
 * pcapng/dissect.h - where the headers of a packet are, and what they say
 *
 * One walk from the link layer to the ports, over the captured bytes alone
 * and never past them.  What is cut off or unknown is told as not there.
 * Link types: those named in pcapng/block.h.
 *
 * Sources: IEEE 802.3 and 802.1Q (tags 0x8100, 0x88a8, 0x9100), RFC 791,
 * RFC 8200 (extension headers), LINKTYPE_ descriptions at tcpdump.org.  The
 * numbers of protocols are named in linux/if_ether.h and netinet/in.h.
 */
#ifndef PB_PCAPNG_DISSECT_H
#define PB_PCAPNG_DISSECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PB_VLANS_MAX		4	/* tags that are looked through */
#define PB_EXTENSIONS_MAX	8	/* headers of IPv6, likewise */

/* Offsets are from the packet's first byte and at most its length. */
struct pb_headers {
	uint16_t	 vlan[PB_VLANS_MAX];	/* the outermost first */
	unsigned	 vlans;
	uint16_t	 ethertype;	/* behind the tags; 0 where a link
					 * without one holds no IP */
	size_t		 network;	/* where its header is */
	unsigned	 ip;		/* 4 or 6; 0: another protocol, or its
					 * header is cut or wrong; then
					 * nothing below is set */
	size_t		 source, destination;	/* where the addresses are */
	uint8_t		 protocol;	/* behind extension headers */
	bool		 fragment;	/* a later one: no transport header */
	size_t		 transport;
	bool		 ports;		/* of TCP, UDP or SCTP */
	uint16_t	 source_port, destination_port;
};

/*
 * 1; 0 where the link layer's header is cut short, PB_ENOENT where the link
 * type is none of ours: then all of `out` is 0.
 */
int	pb_dissect(struct pb_headers *out, uint16_t linktype,
	    const uint8_t *data, size_t len);

#endif
