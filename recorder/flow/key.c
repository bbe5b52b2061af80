/*
 * recorder/flow/key.c - which packets belong together
 */
#include "recorder/flow/key.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include "pcapng/block.h"
#include "pcapng/dissect.h"

#define MACS_BYTES	12u
#define TCP_FLAGS_AT	13u
#define OFFSET_MAX	255u

static void	tcp_bits(struct pb_flow_key *, const uint8_t *, size_t);

void
pb_flow_key(struct pb_flow_key *out, uint16_t linktype, const uint8_t *data,
    size_t len)
{
	struct pb_headers headers;
	size_t bytes;

	memset(out, 0, sizeof(*out));
	out->linktype = linktype;
	if (pb_dissect(&headers, linktype, data, len) <= 0 ||
	    headers.transport > OFFSET_MAX || headers.network > OFFSET_MAX)
		return;
	out->ethertype = headers.ethertype;
	out->network = (uint8_t)headers.network;
	memcpy(out->tag, headers.vlan, sizeof(out->tag));
	if (headers.ip == 0) {
		if (linktype == PB_LINKTYPE_ETHERNET)
			memcpy(out->address, data, MACS_BYTES);
		return;
	}
	bytes = headers.ip == 4 ? 4 : 16;
	memcpy(out->address, data + headers.source, 2 * bytes);
	out->protocol = headers.protocol;
	out->transport = (uint8_t)headers.transport;
	out->bits = headers.fragment ? PB_FLOW_FRAGMENT : 0;
	if (headers.ports) {
		out->bits |= PB_FLOW_PORTS;
		out->port[0] = headers.source_port;
		out->port[1] = headers.destination_port;
		if (headers.protocol == IPPROTO_TCP)
			tcp_bits(out, data + headers.transport,
			    len - headers.transport);
	} else if (!headers.fragment && len - headers.transport >= 2 &&
	    (headers.protocol == IPPROTO_ICMP ||
	    headers.protocol == IPPROTO_ICMPV6)) {
		out->port[0] = data[headers.transport];
		out->port[1] = data[headers.transport + 1];
	}
}

static void
tcp_bits(struct pb_flow_key *out, const uint8_t *tcp, size_t len)
{
	if (len <= TCP_FLAGS_AT)
		return;
	/* FIN 1, SYN 2, RST 4: RFC 9293, section 3.1. */
	out->bits |= (uint8_t)((tcp[TCP_FLAGS_AT] & 1) * PB_FLOW_FIN |
	    (tcp[TCP_FLAGS_AT] & 2) / 2 * PB_FLOW_SYN |
	    (tcp[TCP_FLAGS_AT] & 4) / 4 * PB_FLOW_RST);
}
