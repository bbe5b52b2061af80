/*
 * recorder/query/endpoints.c - who talks to whom, in one short line
 *
 * What stands where is pcapng/dissect.h's to find; here it becomes words.
 * ARP: RFC 826.
 */
#include "recorder/query/endpoints.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/err.h"
#include "pcapng/block.h"
#include "pcapng/dissect.h"

/* The line made so far. */
struct line {
	char	*out;
	size_t	 used;
};

static void	ip(struct line *, const struct pb_headers *, const uint8_t *);
static void	arp(struct line *, const uint8_t *, size_t);
static void	link_layer(struct line *, uint16_t, const struct pb_headers *,
		    const uint8_t *);
static void	say(struct line *, const char *, ...)
		    __attribute__((format(printf, 2, 3)));

void
pb_endpoints(uint16_t linktype, const uint8_t *data, size_t len,
    char out[static PB_ENDPOINTS_TEXT_MAX])
{
	struct line line = { .out = out };
	struct pb_headers headers;
	int rc = pb_dissect(&headers, linktype, data, len);

	out[0] = '\0';
	if (rc < 0)
		say(&line, "linktype %u", linktype);
	if (rc <= 0)
		return;
	if (headers.ip != 0)
		ip(&line, &headers, data);
	else if (headers.ethertype == ETH_P_ARP)
		arp(&line, data + headers.network, len - headers.network);
	if (line.used == 0)
		link_layer(&line, linktype, &headers, data);
	for (unsigned i = 0; i < headers.vlans; i++)
		say(&line, " vlan %u", headers.vlan[i]);
}

const char *
pb_protocol_name(unsigned protocol,
    char number[static PB_PROTOCOL_TEXT_MAX])
{
	static const char *const name[] = {
		[IPPROTO_ICMP] = "icmp",
		[IPPROTO_IGMP] = "igmp",
		[IPPROTO_TCP] = "tcp",
		[IPPROTO_UDP] = "udp",
		[IPPROTO_IPV6] = "ipv6",
		[IPPROTO_GRE] = "gre",
		[IPPROTO_ESP] = "esp",
		[IPPROTO_AH] = "ah",
		[IPPROTO_ICMPV6] = "icmp6",
		[89 /* OSPF */] = "ospf",
		[IPPROTO_SCTP] = "sctp",
	};

	if (protocol < sizeof(name) / sizeof(name[0]) &&
	    name[protocol] != NULL)
		return name[protocol];
	snprintf(number, PB_PROTOCOL_TEXT_MAX, "ip-proto-%u", protocol);
	return number;
}

static void
ip(struct line *line, const struct pb_headers *headers, const uint8_t *data)
{
	int family = headers->ip == 6 ? AF_INET6 : AF_INET;
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	char number[PB_PROTOCOL_TEXT_MAX];
	const char *name = pb_protocol_name(headers->protocol, number);

	inet_ntop(family, data + headers->source, from, sizeof(from));
	inet_ntop(family, data + headers->destination, to, sizeof(to));
	if (!headers->ports)
		say(line, "%s > %s %s%s", from, to, name,
		    headers->fragment ? " fragment" : "");
	else
		say(line, headers->ip == 6 ? "[%s]:%u > [%s]:%u %s" :
		    "%s:%u > %s:%u %s", from, headers->source_port, to,
		    headers->destination_port, name);
}

static void
arp(struct line *line, const uint8_t *a, size_t len)
{
	char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
	unsigned operation;

	/* Ethernet and IPv4 only: hardware length 6, protocol length 4. */
	if (len < 28 || pb_get_be16(a + 2) != ETH_P_IP || a[4] != 6 ||
	    a[5] != 4)
		return;
	operation = pb_get_be16(a + 6);
	inet_ntop(AF_INET, a + 14, from, sizeof(from));
	inet_ntop(AF_INET, a + 24, to, sizeof(to));
	if (operation == 1)
		say(line, "arp %s asks for %s", from, to);
	else if (operation == 2)
		say(line, "arp %s is at %02x:%02x:%02x:%02x:%02x:%02x", from,
		    a[8], a[9], a[10], a[11], a[12], a[13]);
	else
		say(line, "arp operation %u %s > %s", operation, from, to);
}

/* What is no IP: nothing where the link says nothing either. */
static void
link_layer(struct line *line, uint16_t linktype,
    const struct pb_headers *headers, const uint8_t *a)
{
	unsigned type = headers->ethertype;

	if (linktype == PB_LINKTYPE_ETHERNET)
		say(line, "%02x:%02x:%02x:%02x:%02x:%02x > "
		    "%02x:%02x:%02x:%02x:%02x:%02x", a[6], a[7], a[8], a[9],
		    a[10], a[11], a[0], a[1], a[2], a[3], a[4], a[5]);
	else if (linktype == PB_LINKTYPE_LINUX_SLL ||
	    linktype == PB_LINKTYPE_LINUX_SLL2)
		say(line, "cooked");
	else
		return;
	say(line, type < ETH_P_802_3_MIN ? " llc" : " 0x%04x", type);
}

static void
say(struct line *line, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line->out + line->used,
	    PB_ENDPOINTS_TEXT_MAX - line->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		line->used += (size_t)n;
	if (line->used > PB_ENDPOINTS_TEXT_MAX - 1)
		line->used = PB_ENDPOINTS_TEXT_MAX - 1;
}
