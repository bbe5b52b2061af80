/*
 * recorder/trailer/ttag.c - Cisco Nexus timestamp tags
 *
 * The lower 48 bits of a count of nanoseconds, which wraps in 3.26 days; the
 * capture's clock has the upper ones.  `ttag` is the frame's last 6 bytes;
 * `ttag:N` is a header, behind the EtherType N that was chosen at the switch:
 *
 *   N 2 | nanoseconds 6 | the frame's own EtherType ...
 */
#include "recorder/trailer/formats.h"

#define TAG_BYTES	6u
#define RANGE_NS	(1ull << 48)

static uint64_t
get_be48(const uint8_t *at)
{
	return (uint64_t)pb_get_be16(at) << 32 | pb_get_be32(at + 2);
}

bool
pb_take_ttag(struct peel *peel, const uint8_t *tail, struct pb_stamp *stamp)
{
	unsigned type = peel->trailer->argument;
	const uint8_t *at = peel->frame + peel->type_at;

	if (!peel_has(peel, type == 0 ? TAG_BYTES : 2 + TAG_BYTES) ||
	    (type != 0 && pb_get_be16(at) != type))
		return false;
	at = type == 0 ? tail - TAG_BYTES : at + 2;
	stamp->flags = (uint8_t)pb_stamp_extend(peel, stamp,
	    peel->trailer->tai, get_be48(at), RANGE_NS);
	if (type == 0)
		peel->end -= TAG_BYTES;
	else
		peel_hole(peel, peel->type_at, 2 + TAG_BYTES);
	return true;
}
