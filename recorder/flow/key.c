/*
 * recorder/flow/key.c - which packets belong together
 *
 * Nearly all packets are TCP or UDP in IP in Ethernet, with one tag or none
 * and no options: their keys are made of a few loads, word by word.  All
 * others, and what is cut short or odd, are dissected; both ways give the
 * same key.
 */
#include "recorder/flow/key.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include "base/bytes.h"
#include "pcapng/block.h"
#include "pcapng/dissect.h"

#define MACS_BYTES	12u
#define ETHER_BYTES	14u
#define TAG_BYTES	4u
#define TAGS		4u
#define IPV4_BYTES	20u
#define IPV6_BYTES	40u
#define TCP_FLAGS_AT	13u
#define ARP_BYTES	28u	/* RFC 826, of IPv4 in Ethernet */
#define OFFSET_MAX	255u

/* Labels: RFC 3032, section 2.1.  A session: RFC 2516, section 4; what it
 * holds: RFC 1661, section 2, and RFC 5072. */
#define LABEL_BYTES	4u
#define LABEL_LAST	0x100u
#define SESSION_BYTES	6u
#define PPP_BYTES	2u
#define PPP_IPV4	0x0021u
#define PPP_IPV6	0x0057u

/* Link types without IP at one place: tcpdump.org/linktypes.html.  Frames of
 * 802.11: IEEE 802.11-2020, section 9.2.3. */
#define LINKTYPE_PPP		9u
#define LINKTYPE_PPP_HDLC	50u
#define PPP_HEADER_BYTES	4u
#define WIRELESS_BYTES		16u	/* with two addresses */
#define WIRELESS_FLAGS		0x43u	/* to and from, protected */

/* A member's place in a key's word. */
#define AT(member)	(offsetof(struct pb_flow_key, member) % 8)
#define SIZE(member)	sizeof(((struct pb_flow_key *)NULL)->member)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SHIFT(member)	(8 * AT(member))
#else
#define SHIFT(member)	(64 - 8 * (AT(member) + SIZE(member)))
#endif
#define IN(member, value) ((uint64_t)(value) << SHIFT(member))

typedef uint64_t word __attribute__((may_alias));

enum { SHAPE, TAG, ADDRESS, PORT = 6 };		/* words of a key */

static bool	plain_key(struct pb_flow_key *, const uint8_t *, size_t);
static bool	plain_ipv4(word *, const uint8_t *, size_t, size_t, uint64_t);
static bool	plain_ipv6(word *, const uint8_t *, size_t, size_t, uint64_t);
static void	any_key(struct pb_flow_key *, uint16_t, const uint8_t *,
		    size_t);
static bool	arp(struct pb_flow_key *, const uint8_t *, size_t);
static bool	other_link(struct pb_flow_key *, struct pb_headers *,
		    const uint8_t *, size_t);
static void	wireless(struct pb_flow_key *, size_t, const uint8_t *,
		    size_t);
static bool	ip_at(struct pb_flow_key *, struct pb_headers *, size_t,
		    const uint8_t *, size_t);
static void	behind(struct pb_flow_key *, struct pb_headers *, size_t,
		    const uint8_t *, size_t);
static size_t	labels(struct pb_flow_key *, size_t, const uint8_t *,
		    size_t);
static size_t	session(struct pb_flow_key *, size_t, const uint8_t *,
		    size_t);
static void	ip(struct pb_flow_key *, const struct pb_headers *,
		    const uint8_t *, size_t);

void
pb_flow_key(struct pb_flow_key *out, uint16_t linktype, const uint8_t *data,
    size_t len)
{
	if (linktype != PB_LINKTYPE_ETHERNET || !plain_key(out, data, len))
		any_key(out, linktype, data, len);
}

/* --- most ----------------------------------------------------------------- */

static inline bool
plain_key(struct pb_flow_key *out, const uint8_t *data, size_t len)
{
	size_t at = ETHER_BYTES;
	word *key = (word *)out;
	uint16_t type;

	if (len < ETHER_BYTES + TAG_BYTES)
		return false;
	type = pb_get_be16(data + MACS_BYTES);
	key[TAG] = 0;
	if (type == ETH_P_8021Q) {
		key[TAG] = IN(tag[0], pb_get_be16(data + at) & 0x0fff);
		type = pb_get_be16(data + at + 2);
		at += TAG_BYTES;
	}
	if (type == ETH_P_IP)
		return plain_ipv4(key, data, at, len, IN(ethertype, type));
	if (type == ETH_P_IPV6)
		return plain_ipv6(key, data, at, len, IN(ethertype, type));
	return false;
}

/* The word of the transport header, and its bits; 0: none of those that are
 * plain.  Its first bytes, and in TCP the flags, are there. */
static inline uint64_t
plain_ports(word *key, uint8_t protocol, const uint8_t *a)
{
	unsigned bits = PB_FLOW_PORTS;

	if (protocol == IPPROTO_TCP)
		bits |= (a[TCP_FLAGS_AT] & 7u) << 1;
	else if (protocol != IPPROTO_UDP)
		return 0;
	key[PORT] = IN(port[0], pb_get_be16(a)) |
	    IN(port[1], pb_get_be16(a + 2));
	return IN(bits, bits) | IN(protocol, protocol);
}

static inline bool
plain_ipv4(word *key, const uint8_t *data, size_t at, size_t len,
    uint64_t shape)
{
	const uint8_t *a = data + at;
	uint64_t ports;

	if (len < at + IPV4_BYTES + TCP_FLAGS_AT + 1 || a[0] != 0x45 ||
	    (pb_get_be16(a + 6) & 0x1fff) != 0)
		return false;
	ports = plain_ports(key, a[9], a + IPV4_BYTES);
	if (ports == 0)
		return false;
	key[SHAPE] = shape | ports | IN(linktype, PB_LINKTYPE_ETHERNET) |
	    IN(network, at) | IN(transport, at + IPV4_BYTES);
	memcpy(&key[ADDRESS], a + 12, 8);
	key[ADDRESS + 1] = key[ADDRESS + 2] = key[ADDRESS + 3] = 0;
	return true;
}

static inline bool
plain_ipv6(word *key, const uint8_t *data, size_t at, size_t len,
    uint64_t shape)
{
	const uint8_t *a = data + at;
	uint64_t ports;

	if (len < at + IPV6_BYTES + TCP_FLAGS_AT + 1)
		return false;
	ports = plain_ports(key, a[6], a + IPV6_BYTES);
	if (ports == 0)
		return false;
	key[SHAPE] = shape | ports | IN(linktype, PB_LINKTYPE_ETHERNET) |
	    IN(network, at) | IN(transport, at + IPV6_BYTES);
	memcpy(&key[ADDRESS], a + 8, 32);
	return true;
}

/* --- any ------------------------------------------------------------------ */

static __attribute__((noinline)) void
any_key(struct pb_flow_key *out, uint16_t linktype, const uint8_t *data,
    size_t len)
{
	struct pb_headers headers;

	memset(out, 0, sizeof(*out));
	out->linktype = linktype;
	if (pb_dissect(&headers, linktype, data, len) > 0) {
		out->ethertype = headers.ethertype;
		out->network = (uint8_t)headers.network;
		memcpy(out->tag, headers.vlan, sizeof(out->tag));
		if (headers.ip == 0)
			behind(out, &headers, headers.vlans, data, len);
	} else if (!other_link(out, &headers, data, len)) {
		return;
	}
	if (headers.ip != 0)
		ip(out, &headers, data, len);
	else if (!arp(out, data, len) && linktype == PB_LINKTYPE_ETHERNET)
		memcpy(out->address, data, MACS_BYTES);
}

/* A header that pb_dissect() does not know: is there IP behind it? */
static bool
other_link(struct pb_flow_key *out, struct pb_headers *headers,
    const uint8_t *data, size_t len)
{
	switch (out->linktype) {
	case LINKTYPE_PPP:
	case LINKTYPE_PPP_HDLC:
		if (len < PPP_HEADER_BYTES)
			return false;
		out->ethertype = pb_get_be16(data + 2);
		return (out->ethertype == PPP_IPV4 ||
		    out->ethertype == PPP_IPV6) &&
		    ip_at(out, headers, PPP_HEADER_BYTES, data, len);
	case PB_FLOW_LINKTYPE_802_11:
		wireless(out, 0, data, len);
		return false;
	case PB_FLOW_LINKTYPE_RADIOTAP:
		if (len >= 4)
			wireless(out, pb_get_le16(data + 2), data, len);
		return false;
	default:
		return false;
	}
}

/* Its type, and the receiver and the transmitter. */
static void
wireless(struct pb_flow_key *out, size_t at, const uint8_t *data, size_t len)
{
	if (at > OFFSET_MAX || len < at + WIRELESS_BYTES)
		return;
	out->network = (uint8_t)at;
	out->protocol = data[at];
	out->ethertype = data[at + 1] & WIRELESS_FLAGS;
	memcpy(out->address, data + at + 4, MACS_BYTES);
}

/* Is it IP, at `at`? */
static bool
ip_at(struct pb_flow_key *out, struct pb_headers *headers, size_t at,
    const uint8_t *data, size_t len)
{
	if (at > OFFSET_MAX || at >= len || pb_dissect(headers,
	    PB_LINKTYPE_RAW, data + at, len - at) <= 0 || headers->ip == 0)
		return false;
	out->network = (uint8_t)at;
	out->bits = headers->ip == 6 ? PB_FLOW_IPV6 : 0;
	headers->source += at;
	headers->destination += at;
	headers->transport += at;
	return true;
}

/* Of IPv4 in Ethernet: `host` asks for its addresses, too. */
static bool
arp(struct pb_flow_key *out, const uint8_t *data, size_t len)
{
	static const uint8_t begins[] = { 0, 1, 8, 0, 6, 4 };
	const uint8_t *a = data + out->network;

	if ((out->ethertype != ETH_P_ARP && out->ethertype != ETH_P_RARP) ||
	    len - out->network < ARP_BYTES ||
	    memcmp(a, begins, sizeof(begins)) != 0)
		return false;
	memcpy(out->address, a + PB_FLOW_ARP_SOURCE, 4);
	memcpy((uint8_t *)out->address + 4, a + PB_FLOW_ARP_TARGET, 4);
	out->port[0] = pb_get_be16(a + 6);
	return true;
}

/* Is there IP behind labels, or in a session? */
static void
behind(struct pb_flow_key *out, struct pb_headers *headers, size_t tags,
    const uint8_t *data, size_t len)
{
	size_t at = headers->network;
	uint16_t type = headers->ethertype;

	if (type == ETH_P_MPLS_UC || type == ETH_P_MPLS_MC)
		at = labels(out, tags, data, len);
	else if (type == ETH_P_PPP_SES)
		at = session(out, tags, data, len);
	else
		return;
	(void)ip_at(out, headers, at, data, len);
}

/* Where what is behind the last one begins. */
static size_t
labels(struct pb_flow_key *out, size_t tags, const uint8_t *data, size_t len)
{
	size_t at = out->network;
	uint32_t label = 0;

	while (len - at >= LABEL_BYTES && at <= OFFSET_MAX &&
	    (label & LABEL_LAST) == 0) {
		label = pb_get_be32(data + at);
		if (tags < TAGS)
			out->tag[tags++] = (uint16_t)(label >> 12);
		at += LABEL_BYTES;
	}
	return (label & LABEL_LAST) != 0 ? at : len;
}

static size_t
session(struct pb_flow_key *out, size_t tags, const uint8_t *data, size_t len)
{
	size_t at = out->network;
	uint16_t protocol;

	if (len - at < SESSION_BYTES + PPP_BYTES)
		return len;
	if (tags < TAGS)
		out->tag[tags] = pb_get_be16(data + at + 2);
	protocol = pb_get_be16(data + at + SESSION_BYTES);
	return protocol == PPP_IPV4 || protocol == PPP_IPV6 ?
	    at + SESSION_BYTES + PPP_BYTES : len;
}

static void
ip(struct pb_flow_key *out, const struct pb_headers *headers,
    const uint8_t *data, size_t len)
{
	const uint8_t *a = data + headers->transport;
	size_t left = len - headers->transport;

	memcpy(out->address, data + headers->source,
	    headers->ip == 4 ? 8 : 32);
	out->protocol = headers->protocol;
	if (headers->transport > OFFSET_MAX)
		return;
	out->transport = (uint8_t)headers->transport;
	if (headers->fragment) {
		out->bits |= PB_FLOW_FRAGMENT;
	} else if (headers->ports) {
		out->bits |= PB_FLOW_PORTS;
		out->port[0] = headers->source_port;
		out->port[1] = headers->destination_port;
		/* FIN 1, SYN 2, RST 4: RFC 9293, section 3.1. */
		if (headers->protocol == IPPROTO_TCP && left > TCP_FLAGS_AT)
			out->bits |= (uint8_t)((a[TCP_FLAGS_AT] & 7u) << 1);
	} else if (left >= 2 && (headers->protocol == IPPROTO_ICMP ||
	    headers->protocol == IPPROTO_ICMPV6)) {
		out->port[0] = a[0];
		out->port[1] = a[1];
	}
}
