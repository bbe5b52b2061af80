/*
 * recorder/trailer/metamako.c - Arista 7130 MetaWatch, and cPacket
 *
 *   original FCS 4 | extensions | seconds 4 | nanoseconds 4 | flags 1 |
 *   device 2 | port 1
 *
 * Extensions are there where a flag says so, and are read from the seconds
 * inwards: the last word of each is its head, of which the lowest byte has
 * the tag (bits 4..0), whether it is the innermost (5) and how many words
 * more stand before the head (7..6), and the upper three bytes are its value.
 * With tag 31 the head has another tag (31..16) and the words, less one
 * (15..6).  Source: Arista, "MetaWatch user guide", trailer format.
 *
 * Limit: EXTENSIONS_MAX of them; more are no trailer.
 */
#include "recorder/trailer/formats.h"

#define EXTENSIONS_MAX	16

enum {
	FLAG_FCS_VALID = 0x01,
	FLAG_EXTENSIONS = 0x02,
	FLAG_DUPLICATE = 0x04,
	FLAG_DEGRADED = 0x10,
};

enum {
	TAG_SEQUENCE = 0,		/* 16 bits */
	TAG_FRACTION = 1,		/* of a nanosecond, in 1/2^24 */
	TAG_EGRESS_SEQUENCE = 3,	/* 24 bits */
	TAG_SECONDARY = 31,
};

/* The value of an extension that is a head alone. */
static void
extension(struct pb_stamp *stamp, uint32_t head)
{
	switch (head & 0x1F) {
	case TAG_SEQUENCE:
		stamp->seq = head >> 8 & 0xFFFF;
		stamp->flags |= PB_STAMP_SEQUENCED;
		break;
	case TAG_FRACTION:
		stamp->fraction = head & 0xFFFFFF00;
		break;
	case TAG_EGRESS_SEQUENCE:
		if ((stamp->flags & PB_STAMP_SEQUENCED) == 0)
			stamp->seq = head >> 8;
		stamp->flags |= PB_STAMP_SEQUENCED;
		break;
	}
}

static bool
extensions(struct peel *peel, struct pb_stamp *stamp)
{
	uint32_t end = peel->end, head, words;

	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		/* There are as many bytes: that FCS is inside. */
		head = pb_get_be32(peel->frame + end - 4);
		words = (head & 0x1F) == TAG_SECONDARY ?
		    (head >> 6 & 0x3FF) + 1 : head >> 6 & 3;
		if (end < peel->type_at + 2 + 4 + 4 * words + FCS_BYTES)
			return false;
		end -= 4 + 4 * words;
		if (words == 0)
			extension(stamp, head);
		if ((head & 0x20) != 0) {
			peel->end = end;
			return true;
		}
	}
	return false;
}

bool
pb_take_metamako(struct peel *peel, const uint8_t *tail,
    struct pb_stamp *stamp)
{
	uint32_t ns = pb_get_be32(tail + 4);
	unsigned flags = tail[8];

	if (ns >= PB_NS_PER_S)
		return false;
	stamp->device = pb_get_be16(tail + 9);
	stamp->port = tail[11];
	stamp->flags = (uint8_t)(stamp_time(peel, stamp, peel->trailer->tai,
	    pb_get_be32(tail) * PB_NS_PER_S + ns) | PB_STAMP_PLACED |
	    (flags & FLAG_FCS_VALID) * PB_STAMP_FCS_VALID / FLAG_FCS_VALID |
	    (flags & FLAG_DUPLICATE) * PB_STAMP_DUPLICATE / FLAG_DUPLICATE |
	    (flags & FLAG_DEGRADED) * PB_STAMP_DEGRADED / FLAG_DEGRADED);
	return (flags & FLAG_EXTENSIONS) == 0 || extensions(peel, stamp);
}
