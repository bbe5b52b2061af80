/*
 * pcapng/dissect.c - where the headers of a packet are, and what they say
 */
#include "pcapng/dissect.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "pcapng/block.h"

struct packet {
	const uint8_t	*data;
	size_t		 len;
	size_t		 at;		/* at most len */
};

static int	link_header(struct pb_headers *, struct packet *, uint16_t);
static int	typed(struct pb_headers *, struct packet *, size_t, size_t);
static int	untyped(struct pb_headers *, struct packet *, size_t);
static void	tags(struct pb_headers *, struct packet *);
static void	ipv4(struct pb_headers *, struct packet *);
static void	ipv6(struct pb_headers *, struct packet *);
static size_t	extension_bytes(uint8_t, const uint8_t *);
static void	transport(struct pb_headers *, const struct packet *);
static size_t	left(const struct packet *);
static const uint8_t *here(const struct packet *);
static void	skip(struct packet *, size_t);

int
pb_dissect(struct pb_headers *out, uint16_t linktype, const uint8_t *data,
    size_t len)
{
	struct packet packet = { .data = data, .len = len };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = link_header(out, &packet, linktype);
	if (rc <= 0)
		return rc;
	out->network = packet.at;
	if (out->ethertype == ETH_P_IP)
		ipv4(out, &packet);
	else if (out->ethertype == ETH_P_IPV6)
		ipv6(out, &packet);
	if (out->ip != 0)
		transport(out, &packet);
	return 1;
}

static int
link_header(struct pb_headers *out, struct packet *packet, uint16_t linktype)
{
	switch (linktype) {
	case PB_LINKTYPE_ETHERNET:
		return typed(out, packet, 12, 14);
	case PB_LINKTYPE_LINUX_SLL:
		return typed(out, packet, 14, 16);
	case PB_LINKTYPE_LINUX_SLL2:
		return typed(out, packet, 0, 20);
	case PB_LINKTYPE_NULL:
	case PB_LINKTYPE_LOOP:
		/* A protocol family, in the byte order of whoever captured. */
		return untyped(out, packet, 4);
	case PB_LINKTYPE_RAW:
	case PB_LINKTYPE_IPV4:
	case PB_LINKTYPE_IPV6:
		return untyped(out, packet, 0);
	default:
		return PB_ENOENT;
	}
}

/* A header of `bytes` with the EtherType at `type_at`, and tags behind. */
static int
typed(struct pb_headers *out, struct packet *packet, size_t type_at,
    size_t bytes)
{
	if (packet->len < bytes)
		return 0;
	out->ethertype = pb_get_be16(packet->data + type_at);
	skip(packet, bytes);
	tags(out, packet);
	return 1;
}

/* A header that does not say what follows: IP tells it itself. */
static int
untyped(struct pb_headers *out, struct packet *packet, size_t bytes)
{
	if (packet->len <= bytes)
		return 0;
	skip(packet, bytes);
	if (*here(packet) >> 4 == 4)
		out->ethertype = ETH_P_IP;
	else if (*here(packet) >> 4 == 6)
		out->ethertype = ETH_P_IPV6;
	return 1;
}

static void
tags(struct pb_headers *out, struct packet *packet)
{
	while (out->vlans < PB_VLANS_MAX && left(packet) >= 4 &&
	    (out->ethertype == ETH_P_8021Q ||
	    out->ethertype == ETH_P_8021AD ||
	    out->ethertype == ETH_P_QINQ1)) {
		out->vlan[out->vlans++] = pb_get_be16(here(packet)) & 0x0fff;
		out->ethertype = pb_get_be16(here(packet) + 2);
		skip(packet, 4);
	}
}

static void
ipv4(struct pb_headers *out, struct packet *packet)
{
	const uint8_t *a = here(packet);
	size_t header;

	if (left(packet) < 20)
		return;
	header = (size_t)(a[0] & 0x0f) * 4;
	if (header < 20)
		return;
	out->ip = 4;
	out->source = packet->at + 12;
	out->destination = packet->at + 16;
	out->protocol = a[9];
	out->fragment = (pb_get_be16(a + 6) & 0x1fff) != 0;
	skip(packet, header);
}

static void
ipv6(struct pb_headers *out, struct packet *packet)
{
	const uint8_t *a = here(packet);
	size_t bytes;

	if (left(packet) < 40)
		return;
	out->ip = 6;
	out->source = packet->at + 8;
	out->destination = packet->at + 24;
	out->protocol = a[6];
	skip(packet, 40);
	for (int i = 0; i < PB_EXTENSIONS_MAX && left(packet) >= 8 &&
	    !out->fragment; i++) {
		a = here(packet);
		bytes = extension_bytes(out->protocol, a);
		if (bytes == 0)
			break;
		if (out->protocol == IPPROTO_FRAGMENT)
			out->fragment = pb_get_be16(a + 2) >> 3 != 0;
		out->protocol = a[0];
		skip(packet, bytes);
	}
}

/* 0 where the protocol is no extension header. */
static size_t
extension_bytes(uint8_t protocol, const uint8_t *a)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return ((size_t)a[1] + 1) * 8;
	case IPPROTO_AH:
		return ((size_t)a[1] + 2) * 4;
	case IPPROTO_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

static void
transport(struct pb_headers *out, const struct packet *packet)
{
	const uint8_t *a = here(packet);

	out->transport = packet->at;
	out->ports = !out->fragment && left(packet) >= 4 &&
	    (out->protocol == IPPROTO_TCP || out->protocol == IPPROTO_UDP ||
	    out->protocol == IPPROTO_SCTP);
	if (!out->ports)
		return;
	out->source_port = pb_get_be16(a);
	out->destination_port = pb_get_be16(a + 2);
}

static size_t
left(const struct packet *packet)
{
	return packet->len - packet->at;
}

static const uint8_t *
here(const struct packet *packet)
{
	return packet->data + packet->at;
}

static void
skip(struct packet *packet, size_t bytes)
{
	packet->at += bytes < left(packet) ? bytes : left(packet);
}
