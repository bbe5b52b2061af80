/*
 * recorder/transmit/rewrite.c - other addresses and VLAN tags for a frame
 */
#include "recorder/transmit/rewrite.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

#define ADDRESSES	(2 * PB_MAC_BYTES)
#define TYPE_BYTES	2u
#define TYPE_8021Q	0x8100u

static size_t	tags(const uint8_t *, size_t);
static bool	is_tag(const uint8_t *);
static int	hex(char);

size_t
pb_rewrite_frame(const struct pb_rewrite *rewrite, uint8_t *out,
    const uint8_t *frame, size_t len)
{
	size_t head = len < ADDRESSES ? len : ADDRESSES, from, to;

	memcpy(out, frame, head);
	if (rewrite->dst.set && head == ADDRESSES)
		memcpy(out, rewrite->dst.at, PB_MAC_BYTES);
	if (rewrite->src.set && head == ADDRESSES)
		memcpy(out + PB_MAC_BYTES, rewrite->src.at, PB_MAC_BYTES);
	from = to = head;
	if (rewrite->vlan == PB_VLAN_NONE)
		from += tags(frame, len);
	if (rewrite->vlan == PB_VLAN_SET && len >= ADDRESSES + TYPE_BYTES) {
		pb_put_be16(out + ADDRESSES, TYPE_8021Q);
		pb_put_be16(out + ADDRESSES + TYPE_BYTES, rewrite->vlan_id);
		if (tags(frame, len) > 0) {
			memcpy(out + ADDRESSES, frame + ADDRESSES, TYPE_BYTES);
			out[ADDRESSES + TYPE_BYTES] |= frame[ADDRESSES +
			    TYPE_BYTES] & 0xF0u;
			from += PB_VLAN_BYTES;
		}
		to += PB_VLAN_BYTES;
	}
	memcpy(out + to, frame + from, len - from);
	return to + len - from;
}

bool
pb_frame_tagged(const uint8_t *frame, size_t len)
{
	return len >= ADDRESSES + TYPE_BYTES &&
	    pb_get_be16(frame + ADDRESSES) == TYPE_8021Q;
}

int
pb_mac_parse(void *arg, const char *text, struct pb_err *err)
{
	struct pb_mac mac = { .set = true };
	const char *at = text;

	for (size_t i = 0; i < PB_MAC_BYTES; i++, at += 2) {
		if (i > 0 && (*at == ':' || *at == '-'))
			at++;
		else if (i > 0)
			goto wrong;
		if (hex(at[0]) < 0 || hex(at[1]) < 0)
			goto wrong;
		mac.at[i] = (uint8_t)(hex(at[0]) << 4 | hex(at[1]));
	}
	if (*at == '\0') {
		*(struct pb_mac *)arg = mac;
		return 0;
	}
wrong:
	return pb_err_set(err, PB_EINVAL, "'%.40s': is no Ethernet address; "
	    "write one as 02:00:00:0a:0b:0c", text);
}

int
pb_rewrite_vlan_parse(void *arg, const char *text, struct pb_err *err)
{
	struct pb_rewrite *rewrite = arg;
	uint64_t id;

	if (strcmp(text, "none") == 0) {
		rewrite->vlan = PB_VLAN_NONE;
		return 0;
	}
	if (pb_parse_u64(text, 0, PB_VLAN_ID_MAX, &id, NULL) < 0)
		return pb_err_set(err, PB_EINVAL, "--vlan '%.40s': is no VLAN; "
		    "write its number, 0 to %u, or none", text,
		    PB_VLAN_ID_MAX);
	rewrite->vlan = PB_VLAN_SET;
	rewrite->vlan_id = (uint16_t)id;
	return 0;
}

/* How many bytes of whole tags follow the addresses; a type stands behind
 * each. */
static size_t
tags(const uint8_t *frame, size_t len)
{
	size_t at = ADDRESSES;

	while (len >= at + PB_VLAN_BYTES + TYPE_BYTES && is_tag(frame + at))
		at += PB_VLAN_BYTES;
	return at - ADDRESSES;
}

static bool
is_tag(const uint8_t *at)
{
	uint16_t type = pb_get_be16(at);

	return type == TYPE_8021Q || type == 0x88A8u || type == 0x9100u;
}

/* Of a hexadecimal digit, or -1. */
static int
hex(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
	    : -1;
}
