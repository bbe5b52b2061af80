/*
 * pcapng/filtered.c - numbers that a filter has left out, said by one block
 */
#include "pcapng/filtered.h"

#include <string.h>

#include "base/bytes.h"
#include "pcapng/option.h"
#include "pcapng/own.h"

#define VALUE_BYTES	24u	/* behind what all our options begin with */

_Static_assert(PB_FILTERED_BYTES == PB_ISB_HEAD + PB_OPTION_HEAD + OWN_HEAD +
    VALUE_BYTES + PB_OPTION_HEAD + PB_BLOCK_TRAILER, "head, option, its end");

void
pb_build_filtered(uint8_t *at, const struct pb_filtered *filtered,
    uint32_t pen)
{
	uint8_t *option = at + PB_ISB_HEAD;
	uint8_t *value = option + PB_OPTION_HEAD;

	memset(at, 0, PB_FILTERED_BYTES);
	pb_put_le32(at, PB_BLOCK_ISB);
	pb_put_le32(at + 4, PB_FILTERED_BYTES);
	pb_put_le32(at + 12, (uint32_t)(filtered->time_ns >> 32));
	pb_put_le32(at + 16, (uint32_t)filtered->time_ns);
	pb_put_le16(option, PB_OPT_CUSTOM_BINARY);
	pb_put_le16(option + 2, OWN_HEAD + VALUE_BYTES);
	own_head_put(value, pen, PB_OWN_FILTERED);
	pb_put_le64(value + OWN_HEAD, filtered->first);
	pb_put_le64(value + OWN_HEAD + 8, filtered->last);
	pb_put_le64(value + OWN_HEAD + 16, filtered->digest);
	pb_put_le32(at + PB_FILTERED_BYTES - PB_BLOCK_TRAILER,
	    PB_FILTERED_BYTES);
}

int
pb_filtered_get(const uint8_t *options, size_t len, uint64_t time_ns,
    struct pb_filtered *out)
{
	struct pb_option option;
	const uint8_t *at;

	if (!pb_own_find(options, len, PB_OWN_FILTERED, &option))
		return 0;
	if (option.len != OWN_HEAD + VALUE_BYTES)
		return PB_EFORMAT;
	at = option.value + OWN_HEAD;
	*out = (struct pb_filtered){ .first = pb_get_le64(at),
	    .last = pb_get_le64(at + 8), .digest = pb_get_le64(at + 16),
	    .time_ns = time_ns };
	return out->first == 0 || out->last < out->first ||
	    out->last > INT64_MAX ? PB_EFORMAT : 1;
}

int
pb_scan_filtered(const struct pb_block *block, struct pb_filtered *out)
{
	const uint8_t *options;
	size_t len;

	if (block->type != PB_BLOCK_ISB ||
	    pb_scan_options(block, &options, &len, NULL) < 0)
		return 0;
	return pb_filtered_get(options, len,
	    (uint64_t)pb_get_le32(block->at + 12) << 32 |
	    pb_get_le32(block->at + 16), out);
}

void
pb_clip_filtered(uint8_t *block, uint64_t first, uint64_t last)
{
	struct pb_filtered filtered;
	struct pb_option option;
	const uint8_t *options;
	struct pb_block at;
	uint8_t *value;
	size_t len;

	if (pb_scan_block(block, pb_get_le32(block + 4), &at) != 1 ||
	    pb_scan_filtered(&at, &filtered) != 1 ||
	    pb_scan_options(&at, &options, &len, NULL) < 0 ||
	    !pb_own_find(options, len, PB_OWN_FILTERED, &option))
		return;
	value = block + (option.value - block) + OWN_HEAD;
	if (filtered.first < first)
		pb_put_le64(value, first);
	if (filtered.last <= last)
		return;
	pb_put_le64(value + 8, last);
	pb_put_le64(value + 16, 0);
}

int
pb_scan_numbers(const struct pb_block *block, uint64_t *first, uint64_t *last)
{
	struct pb_filtered filtered;
	struct pb_packet packet;
	int rc;

	if (block->type != PB_BLOCK_EPB) {
		rc = pb_scan_filtered(block, &filtered);
		if (rc == 1) {
			*first = filtered.first;
			*last = filtered.last;
		}
		return rc;
	}
	if (pb_scan_epb(block, &packet) < 0 || !pb_packet_seq(&packet, first))
		return PB_EFORMAT;
	*last = *first;
	return 1;
}
