/*
 * recorder/query/endpoints.h - who talks to whom, in one short line
 *
 * For the line a packet that `pb query` prints to people.  What is cut off
 * or unknown makes the line shorter.
 *
 *	192.0.2.1:443 > 192.0.2.9:51234 tcp
 *	[2001:db8::1]:53 > [2001:db8::2]:4711 udp
 *	192.0.2.1 > 192.0.2.9 icmp
 *	192.0.2.1 > 192.0.2.9 udp fragment
 *	arp 192.0.2.1 asks for 192.0.2.9
 *	02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff vlan 7 0x88cc
 */
#ifndef PB_QUERY_ENDPOINTS_H
#define PB_QUERY_ENDPOINTS_H

#include <stddef.h>
#include <stdint.h>

#define PB_ENDPOINTS_TEXT_MAX	192	/* with its NUL */

/* `out` is always a string; "linktype N" where the link type is foreign. */
void	pb_endpoints(uint16_t linktype, const uint8_t *data, size_t len,
	    char out[static PB_ENDPOINTS_TEXT_MAX]);

#define PB_PROTOCOL_TEXT_MAX	16

/* Of IP: `tcp`; or, made in `number`, `ip-proto-99`. */
const char *pb_protocol_name(unsigned protocol,
	    char number[static PB_PROTOCOL_TEXT_MAX]);

#endif
