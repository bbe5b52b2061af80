/*
 * recorder/flow/shape.c - what a header shape says that bits cannot
 */
#include "recorder/flow/shape.h"

#include <linux/if_ether.h>

#define FRAGMENT_AT	6u	/* flags and offset, in an IPv4 header */
#define FRAGMENT_BYTES	2u
#define OFFSETS(at)	{ (at) + FRAGMENT_AT, FRAGMENT_BYTES, fragments, \
			    sizeof(fragments) - PB_VALUES_BEHIND }

/* filter/values.c: with each of the eight values of the three flags, from
 * offset 1 to 0x1fff (RFC 791, section 3.1). */
static const uint8_t fragments[3 + 4 * 7 + PB_VALUES_BEHIND] = {
	1, 8, 0,
	0x99, 1, 0xfe, 0x1f, 1, 0xfe, 0x1f, 0x99, 1, 0xfe, 0x1f, 1, 0xfe, 0x1f,
	0x99, 1, 0xfe, 0x1f, 1, 0xfe, 0x1f, 0x99, 1, 0xfe, 0x1f, 1, 0xfe, 0x1f,
};

/* Behind the link layers that are known, with up to four tags. */
static const struct pb_place place[] = {
	OFFSETS(0), OFFSETS(4), OFFSETS(14), OFFSETS(16), OFFSETS(18),
	OFFSETS(20), OFFSETS(22), OFFSETS(24), OFFSETS(26), OFFSETS(28),
	OFFSETS(30), OFFSETS(32), OFFSETS(36),
};
#define ONLY(i)		{ &place[i], 1, NULL }
static const struct pb_places places[] = {
	ONLY(0), ONLY(1), ONLY(2), ONLY(3), ONLY(4), ONLY(5), ONLY(6), ONLY(7),
	ONLY(8), ONLY(9), ONLY(10), ONLY(11), ONLY(12),
};

const struct pb_places *
pb_flow_shape_places(const struct pb_flow_key *key)
{
	if ((key->bits & PB_FLOW_FRAGMENT) == 0 || key->ethertype != ETH_P_IP)
		return NULL;
	for (size_t i = 0; i < sizeof(place) / sizeof(place[0]); i++)
		if (place[i].at == key->network + FRAGMENT_AT)
			return &places[i];
	return NULL;
}
