/*
 * pcapng/scan.c - walking canonical blocks: what our own files hold
 *
 * Promise: nothing outside the bytes given is read, and what is returned
 * lies inside the block it came from.
 */
#include "pcapng/scan.h"

#include "base/bytes.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"
#include "pcapng/own.h"

static int	list_at(const struct pb_block *, size_t, const uint8_t **,
		    size_t *);
static bool	find_filler(const struct pb_block *, struct pb_option *);

int
pb_scan_block(const uint8_t *data, size_t len, struct pb_block *out)
{
	uint32_t bytes;

	if (len < 8)
		return 0;
	bytes = pb_get_le32(data + 4);
	if (bytes < PB_BLOCK_BYTES_MIN || bytes > PB_BLOCK_BYTES_MAX ||
	    bytes % 4 != 0)
		return PB_EFORMAT;
	if (len < bytes)
		return 0;
	if (pb_get_le32(data + bytes - PB_BLOCK_TRAILER) != bytes)
		return PB_EFORMAT;
	out->type = pb_get_le32(data);
	out->len = bytes;
	out->at = data;
	return 1;
}

int
pb_scan_epb(const struct pb_block *block, struct pb_packet *out)
{
	const uint8_t *at = block->at;
	size_t padded;

	if (block->type != PB_BLOCK_EPB ||
	    block->len < PB_EPB_HEAD + PB_BLOCK_TRAILER)
		return PB_EFORMAT;
	out->time_ns = (uint64_t)pb_get_le32(at + 12) << 32 |
	    pb_get_le32(at + 16);
	out->caplen = pb_get_le32(at + 20);
	out->origlen = pb_get_le32(at + 24);
	if (out->caplen > PB_CAPLEN_MAX)
		return PB_EFORMAT;
	padded = pb_round_up(out->caplen, 4);
	if (padded > block->len - PB_EPB_HEAD - PB_BLOCK_TRAILER)
		return PB_EFORMAT;
	out->data = at + PB_EPB_HEAD;
	return list_at(block, PB_EPB_HEAD + padded, &out->options,
	    &out->options_len);
}

bool
pb_packet_seq(const struct pb_packet *packet, uint64_t *seq)
{
	return pb_option_find_u64(packet->options, packet->options_len,
	    PB_OPT_EPB_PACKETID, seq);
}

int
pb_scan_options(const struct pb_block *block, const uint8_t **options,
    size_t *len, uint16_t *linktype)
{
	size_t head;

	switch (block->type) {
	case PB_BLOCK_SHB:
		head = PB_SHB_HEAD;
		break;
	case PB_BLOCK_IDB:
		head = PB_IDB_HEAD;
		break;
	case PB_BLOCK_ISB:
		head = PB_ISB_HEAD;
		break;
	default:
		return PB_EFORMAT;
	}
	if (block->len < head + PB_BLOCK_TRAILER)
		return PB_EFORMAT;
	if (block->type == PB_BLOCK_SHB &&
	    pb_get_le32(block->at + 8) != PB_BYTE_ORDER_MAGIC)
		return PB_EFORMAT;
	if (block->type == PB_BLOCK_IDB && linktype != NULL)
		*linktype = pb_get_le16(block->at + 8);
	return list_at(block, head, options, len);
}

bool
pb_scan_storable(const struct pb_block *block)
{
	const uint8_t *options;
	size_t len;

	switch (block->type) {
	case PB_BLOCK_SHB:
	case PB_BLOCK_IDB:
	case PB_BLOCK_PB:
	case PB_BLOCK_SPB:
	case PB_BLOCK_CB:
	case PB_BLOCK_CB_NOCOPY:
		return false;
	case PB_BLOCK_EPB:
		return block->len >= PB_EPB_HEAD + PB_BLOCK_TRAILER &&
		    pb_get_le32(block->at + 8) == 0;
	case PB_BLOCK_ISB:
		return pb_scan_options(block, &options, &len, NULL) == 0 &&
		    pb_get_le32(block->at + 8) == 0;
	default:
		return true;
	}
}

bool
pb_scan_is_filler(const struct pb_block *block)
{
	struct pb_option option;

	return find_filler(block, &option);
}

uint64_t
pb_scan_begun(const struct pb_block *block)
{
	struct pb_option option;

	if (!find_filler(block, &option) || option.len < OWN_HEAD + 8)
		return 0;
	return pb_get_le64(option.value + OWN_HEAD);
}

static bool
find_filler(const struct pb_block *block, struct pb_option *option)
{
	const uint8_t *options;
	size_t len;

	return block->type == PB_BLOCK_ISB &&
	    pb_scan_options(block, &options, &len, NULL) == 0 &&
	    pb_own_find(options, len, PB_OWN_FILLER, option);
}

/* --- helpers ------------------------------------------------------------- */

/*
 * The list from `head` to the trailing length, up to its end mark, once it
 * has been seen to be walkable.
 */
static int
list_at(const struct pb_block *block, size_t head, const uint8_t **options,
    size_t *len)
{
	struct pb_option_walk walk = { block->at + head,
	    block->len - PB_BLOCK_TRAILER - head };
	struct pb_option option;
	int rc;

	*options = walk.at;
	while ((rc = pb_option_next(&walk, &option)) == 1)
		;
	*len = (size_t)(walk.at - *options);
	return rc;
}
