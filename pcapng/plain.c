/*
 * pcapng/plain.c - plain packets: read in one pass, written in one copy
 *
 * Reason:  the thread that takes in all packets of all peers runs this once
 * a packet.  A plain packet is stored as it came but for its lengths and
 * one hop record, so its options are walked once and its bytes copied once.
 * Promise: every bound is checked before a byte behind it is read; what is
 * accepted here reader.h and hop.h read the same, and tests compare them.
 */
#include "pcapng/plain.h"

#include <string.h>

#include "base/bytes.h"
#include "pcapng/option.h"
#include "pcapng/own.h"

#define LIST_BYTES_MAX	(PB_OPTIONS_BYTES_MAX - PB_HOP_GROWTH_MAX)
#define NUMBER_OPTION	12u	/* epb_packetid, whole; the first option */
#define NUMBER_HEAD	(PB_OPT_EPB_PACKETID | 8u << 16)
#define DROPS_HEAD	(PB_OPT_EPB_DROPCOUNT | 8u << 16)

static bool	take_options(struct pb_plain *, const uint8_t *,
		    const uint8_t *);
static bool	zeroed(const uint8_t *, size_t);

bool
pb_plain_read(const uint8_t *data, size_t len, struct pb_plain *out)
{
	uint32_t bytes, caplen;
	const uint8_t *list;
	size_t head;

	if (len < PB_EPB_HEAD + PB_BLOCK_TRAILER ||
	    pb_get_le32(data) != PB_BLOCK_EPB)
		return false;
	bytes = pb_get_le32(data + 4);
	caplen = pb_get_le32(data + 20);
	head = PB_EPB_HEAD + pb_round_up(caplen, 4);
	if (caplen > PB_CAPLEN_MAX || bytes > len || bytes % 4 != 0 ||
	    bytes < head + NUMBER_OPTION + PB_BLOCK_TRAILER ||
	    bytes > head + LIST_BYTES_MAX + PB_BLOCK_TRAILER ||
	    pb_get_le32(data + bytes - PB_BLOCK_TRAILER) != bytes ||
	    pb_get_le32(data + 8) != 0 || !zeroed(data + PB_EPB_HEAD, caplen))
		return false;
	list = data + head;
	out->block = data;
	out->len = bytes;
	out->caplen = caplen;
	out->ticks = (uint64_t)pb_get_le32(data + 12) << 32 |
	    pb_get_le32(data + 16);
	out->seq = pb_get_le64(list + PB_OPTION_HEAD);
	return pb_get_le32(list) == NUMBER_HEAD && out->seq != 0 &&
	    take_options(out, list + NUMBER_OPTION,
	    data + bytes - PB_BLOCK_TRAILER);
}

void
pb_plain_write(uint8_t *at, const struct pb_plain *packet, uint32_t pen,
    const struct pb_hop *hop)
{
	size_t head = packet->grows_at, tail = packet->end - head;
	uint8_t *to = at + head;
	uint32_t bytes;

	memcpy(at, packet->block, head);
	if (hop != NULL)
		to = own_hop_put(to, packet->hops_len, pen, hop);
	if (tail > 0)
		memcpy(to, packet->block + head, tail);
	to += tail;
	bytes = (uint32_t)(to - at) + PB_OPTION_HEAD + PB_BLOCK_TRAILER;
	pb_put_le32(to, PB_OPT_END);
	pb_put_le32(to + PB_OPTION_HEAD, bytes);
	pb_put_le32(at + 4, bytes);
}

/* --- helpers ------------------------------------------------------------- */

/*
 * The options behind the number, from `at` to `end`: a multiple of 4 bytes,
 * as is every step.  False where a length leaves them, padding is not
 * zero, or one that means something here stands twice or is odd.
 */
static bool
take_options(struct pb_plain *out, const uint8_t *at, const uint8_t *end)
{
	bool drops = false;
	size_t len, whole;
	uint32_t head;

	out->dropped = 0;
	out->hops_len = 0;
	for (; at < end; at += whole) {
		head = pb_get_le32(at);
		if ((head & UINT16_MAX) == PB_OPT_END)
			break;
		len = head >> 16;
		whole = PB_OPTION_BYTES(len);
		if (whole > (size_t)(end - at) ||
		    !zeroed(at + PB_OPTION_HEAD, len))
			return false;
		switch (head & UINT16_MAX) {
		case PB_OPT_CUSTOM_BINARY:
			if (!own_is(at + PB_OPTION_HEAD, len, PB_OWN_HOPS))
				break;
			if (out->hops_len != 0)
				return false;
			out->hops_len = len;
			out->grows_at = (size_t)(at - out->block) +
			    PB_OPTION_HEAD + len;
			break;
		case PB_OPT_EPB_DROPCOUNT:
			if (drops || head != DROPS_HEAD)
				return false;
			drops = true;
			out->dropped = pb_get_le64(at + PB_OPTION_HEAD);
			break;
		}
	}
	out->end = (size_t)(at - out->block);
	if (out->hops_len == 0)
		out->grows_at = out->end;
	return true;
}

/* Is what pads `len` bytes at `at` to a multiple of 4 zero? */
static bool
zeroed(const uint8_t *at, size_t len)
{
	unsigned odd = len % 4;

	return odd == 0 || pb_get_le32(at + len - odd) >> (8 * odd) == 0;
}
