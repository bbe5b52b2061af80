/*
 * recorder/query/endpoints.c - who talks to whom, in one short line
 *
 * Sources: IEEE 802.3 and 802.1Q (tags 0x8100, 0x88a8, 0x9100), RFC 791,
 * RFC 8200 (extension headers), RFC 826, LINKTYPE_ descriptions at
 * tcpdump.org.
 */
#include "recorder/query/endpoints.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "pcapng/block.h"

#define TAGS_MAX	4	/* VLAN tags that are looked through */
#define EXTENSIONS_MAX	8	/* IPv6 extension headers, likewise */

enum {
	ETHER_IPV4 = 0x0800,
	ETHER_ARP = 0x0806,
	ETHER_VLAN = 0x8100,
	ETHER_IPV6 = 0x86dd,
	ETHER_QINQ = 0x88a8,
	ETHER_QINQ_OLD = 0x9100,
	/* protocols of IP */
	IP_HOPBYHOP = 0,
	IP_ICMP = 1,
	IP_IGMP = 2,
	IP_TCP = 6,
	IP_UDP = 17,
	IP_IPV6 = 41,
	IP_ROUTING = 43,
	IP_FRAGMENT = 44,
	IP_GRE = 47,
	IP_ESP = 50,
	IP_AH = 51,
	IP_ICMP6 = 58,
	IP_DESTINATION = 60,
	IP_OSPF = 89,
	IP_SCTP = 132,
};

/* What is left of a packet, and the line made so far. */
struct view {
	const uint8_t	*at;
	size_t		 len;
	char		*out;
	size_t		 used;
};

static void	ethernet(struct view *);
static void	cooked(struct view *, size_t, size_t);
static void	family(struct view *);
static void	raw_ip(struct view *);
static void	network(struct view *, unsigned, const char *);
static void	ipv4(struct view *);
static void	ipv6(struct view *);
static void	arp(struct view *);
static void	transport(struct view *, unsigned, const char *, const char *,
		    unsigned, bool);
static const char *protocol_name(unsigned, char[static 16]);
static void	skip(struct view *, size_t);
static void	say(struct view *, const char *, ...)
		    __attribute__((format(printf, 2, 3)));

void
pb_endpoints(uint16_t linktype, const uint8_t *data, size_t len,
    char out[static PB_ENDPOINTS_TEXT_MAX])
{
	struct view view = { .at = data, .len = len, .out = out };

	out[0] = '\0';
	switch (linktype) {
	case PB_LINKTYPE_ETHERNET:
		ethernet(&view);
		break;
	case PB_LINKTYPE_LINUX_SLL:
		cooked(&view, 14, 16);
		break;
	case PB_LINKTYPE_LINUX_SLL2:
		cooked(&view, 0, 20);
		break;
	case PB_LINKTYPE_NULL:
	case PB_LINKTYPE_LOOP:
		family(&view);
		break;
	case PB_LINKTYPE_RAW:
	case PB_LINKTYPE_IPV4:
	case PB_LINKTYPE_IPV6:
		raw_ip(&view);
		break;
	default:
		say(&view, "linktype %u", linktype);
	}
}

static void
ethernet(struct view *view)
{
	const uint8_t *a = view->at;
	unsigned type;
	char mac[64];

	if (view->len < 14)
		return;
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x > "
	    "%02x:%02x:%02x:%02x:%02x:%02x", a[6], a[7], a[8], a[9], a[10],
	    a[11], a[0], a[1], a[2], a[3], a[4], a[5]);
	type = pb_get_be16(a + 12);
	skip(view, 14);
	network(view, type, mac);
}

/* Linux cooked captures: the type at `type_at`, then the network layer. */
static void
cooked(struct view *view, size_t type_at, size_t header)
{
	unsigned type;

	if (view->len < header)
		return;
	type = pb_get_be16(view->at + type_at);
	skip(view, header);
	network(view, type, "cooked");
}

/* A protocol family in the byte order of whoever captured it. */
static void
family(struct view *view)
{
	if (view->len < 4)
		return;
	skip(view, 4);
	raw_ip(view);
}

static void
raw_ip(struct view *view)
{
	if (view->len < 1)
		return;
	if (view->at[0] >> 4 == 4)
		ipv4(view);
	else if (view->at[0] >> 4 == 6)
		ipv6(view);
}

/* The network layer by its EtherType; `link` is said where it is no IP. */
static void
network(struct view *view, unsigned type, const char *link)
{
	unsigned vlan[TAGS_MAX], tags = 0;

	while (tags < TAGS_MAX && view->len >= 4 && (type == ETHER_VLAN ||
	    type == ETHER_QINQ || type == ETHER_QINQ_OLD)) {
		vlan[tags++] = pb_get_be16(view->at) & 0x0fff;
		type = pb_get_be16(view->at + 2);
		skip(view, 4);
	}
	if (type == ETHER_IPV4)
		ipv4(view);
	else if (type == ETHER_IPV6)
		ipv6(view);
	else if (type == ETHER_ARP)
		arp(view);
	if (view->used == 0)
		say(view, type < 0x0600 ? "%s llc" : "%s 0x%04x", link, type);
	for (unsigned i = 0; i < tags; i++)
		say(view, " vlan %u", vlan[i]);
}

static void
ipv4(struct view *view)
{
	char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
	const uint8_t *a = view->at;
	size_t header;
	unsigned fragment;

	if (view->len < 20)
		return;
	header = (size_t)(a[0] & 0x0f) * 4;
	if (header < 20)
		return;
	inet_ntop(AF_INET, a + 12, from, sizeof(from));
	inet_ntop(AF_INET, a + 16, to, sizeof(to));
	fragment = pb_get_be16(a + 6) & 0x1fff;
	skip(view, header);
	transport(view, a[9], from, to, fragment, false);
}

static void
ipv6(struct view *view)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	const uint8_t *a = view->at;
	unsigned next, fragment = 0;
	size_t size;

	if (view->len < 40)
		return;
	inet_ntop(AF_INET6, a + 8, from, sizeof(from));
	inet_ntop(AF_INET6, a + 24, to, sizeof(to));
	next = a[6];
	skip(view, 40);
	for (int i = 0; i < EXTENSIONS_MAX && view->len >= 8; i++) {
		if (next == IP_HOPBYHOP || next == IP_ROUTING ||
		    next == IP_DESTINATION) {
			size = ((size_t)view->at[1] + 1) * 8;
		} else if (next == IP_AH) {
			size = ((size_t)view->at[1] + 2) * 4;
		} else if (next == IP_FRAGMENT) {
			size = 8;
			fragment = pb_get_be16(view->at + 2) >> 3;
		} else {
			break;
		}
		next = view->at[0];
		skip(view, size);
		if (fragment != 0)
			break;
	}
	transport(view, next, from, to, fragment, true);
}

static void
arp(struct view *view)
{
	char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
	const uint8_t *a = view->at;
	unsigned operation;

	/* Ethernet and IPv4 only: hardware length 6, protocol length 4. */
	if (view->len < 28 || pb_get_be16(a + 2) != ETHER_IPV4 ||
	    a[4] != 6 || a[5] != 4)
		return;
	operation = pb_get_be16(a + 6);
	inet_ntop(AF_INET, a + 14, from, sizeof(from));
	inet_ntop(AF_INET, a + 24, to, sizeof(to));
	if (operation == 1)
		say(view, "arp %s asks for %s", from, to);
	else if (operation == 2)
		say(view, "arp %s is at %02x:%02x:%02x:%02x:%02x:%02x", from,
		    a[8], a[9], a[10], a[11], a[12], a[13]);
	else
		say(view, "arp operation %u %s > %s", operation, from, to);
}

static void
transport(struct view *view, unsigned protocol, const char *from,
    const char *to, unsigned fragment, bool six)
{
	bool ports = protocol == IP_TCP || protocol == IP_UDP ||
	    protocol == IP_SCTP;
	char number[16];
	const char *name = protocol_name(protocol, number);

	if (fragment != 0)
		say(view, "%s > %s %s fragment", from, to, name);
	else if (!ports || view->len < 4)
		say(view, "%s > %s %s", from, to, name);
	else
		say(view, six ? "[%s]:%u > [%s]:%u %s" : "%s:%u > %s:%u %s",
		    from, pb_get_be16(view->at), to,
		    pb_get_be16(view->at + 2), name);
}

static const char *
protocol_name(unsigned protocol, char number[static 16])
{
	switch (protocol) {
	case IP_ICMP:
		return "icmp";
	case IP_IGMP:
		return "igmp";
	case IP_TCP:
		return "tcp";
	case IP_UDP:
		return "udp";
	case IP_IPV6:
		return "ipv6";
	case IP_GRE:
		return "gre";
	case IP_ESP:
		return "esp";
	case IP_AH:
		return "ah";
	case IP_ICMP6:
		return "icmp6";
	case IP_OSPF:
		return "ospf";
	case IP_SCTP:
		return "sctp";
	default:
		snprintf(number, 16, "ip-proto-%u", protocol);
		return number;
	}
}

static void
skip(struct view *view, size_t n)
{
	if (n > view->len)
		n = view->len;
	view->at += n;
	view->len -= n;
}

static void
say(struct view *view, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(view->out + view->used,
	    PB_ENDPOINTS_TEXT_MAX - view->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		view->used += (size_t)n;
	if (view->used > PB_ENDPOINTS_TEXT_MAX - 1)
		view->used = PB_ENDPOINTS_TEXT_MAX - 1;
}
