/*
 * recorder/flow/table/pairs.c - what a connection has of each of its ends
 *
 * Addresses and ports of those who ask are many, those of who answers few:
 * told in columns of their own they are packed better than by the direction
 * of a packet.
 */
#include <linux/if_ether.h>

#include "pcapng/block.h"
#include "recorder/flow/table/form.h"

/* Where an IP header has its addresses, and their bytes: RFC 791, RFC 8200. */
#define IPV4_AT		12u
#define IPV4_BYTES	4u
#define IPV6_AT		8u
#define IPV6_BYTES	16u
#define PORT_BYTES	2u	/* at the beginning of TCP and UDP */

static void	pair_add(struct pairs *, uint32_t, uint32_t, uint32_t);

void
pairs_find(struct pairs *pairs, const struct pb_flow_key *shape)
{
	bool six = shape->ethertype == ETH_P_IPV6 ||
	    (shape->bits & PB_FLOW_IPV6) != 0;
	uint32_t network = shape->network, transport = shape->transport;

	pairs->pairs = 0;
	if ((shape->bits & PB_FLOW_PORTS) == 0 ||
	    transport + 2 * PORT_BYTES > PB_FLOW_BYTES)
		return;
	if (shape->linktype == PB_LINKTYPE_ETHERNET)
		pair_add(pairs, 0, ETH_ALEN, network);
	pair_add(pairs, network + (six ? IPV6_AT : IPV4_AT), six ? IPV6_BYTES :
	    IPV4_BYTES, transport);
	pair_add(pairs, transport, PORT_BYTES, transport + 2 * PORT_BYTES);
}

/* Where it ends at `end` or before. */
static void
pair_add(struct pairs *pairs, uint32_t at, uint32_t bytes, uint32_t end)
{
	if (at + 2 * bytes > end)
		return;
	pairs->pair[pairs->pairs++] = (struct pair){ (uint8_t)at,
	    (uint8_t)bytes };
}
