/*
 * pcapng/build.c - blocks as we write them
 *
 * Promise: what leaves here is read without complaint by Wireshark and
 * libpcap, and byte for byte the same for the same arguments: every byte
 * of padding is written.
 * Reason: pb_build_epb() runs once per captured packet, so it stores
 * through the caller's pointer and asks nothing that the caller knows.
 */
#include "pcapng/build.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "pcapng/option.h"
#include "pcapng/own.h"

#define TSRESOL_NS	9	/* 10^-9 */

static int	block_append(struct pb_buf *, uint32_t, size_t,
		    const uint8_t *, size_t, uint8_t **);
static size_t	list_bytes(size_t);
static bool	idb_keeps(const struct pb_option *);

int
pb_build_shb(struct pb_buf *out, const uint8_t *options, size_t len)
{
	uint8_t *body;
	int rc = block_append(out, PB_BLOCK_SHB, PB_SHB_HEAD, options, len,
	    &body);

	if (rc < 0)
		return rc;
	pb_put_le32(body, PB_BYTE_ORDER_MAGIC);
	pb_put_le16(body + 4, 1);
	pb_put_le16(body + 6, 0);
	pb_put_le64(body + 8, UINT64_MAX);
	return 0;
}

int
pb_build_idb(struct pb_buf *out, uint16_t linktype, uint32_t snaplen,
    const uint8_t *options, size_t len)
{
	struct pb_buf list;
	uint8_t *body;
	int rc;

	pb_buf_init(&list, PB_BLOCK_BYTES_MAX);
	rc = pb_option_put_u8(&list, PB_OPT_IF_TSRESOL, TSRESOL_NS);
	if (rc == 0)
		rc = pb_option_copy(&list, options, len, idb_keeps);
	if (rc == 0)
		rc = block_append(out, PB_BLOCK_IDB, PB_IDB_HEAD, list.data,
		    list.len, &body);
	pb_buf_finish(&list);
	if (rc < 0)
		return rc;
	pb_put_le16(body, linktype);
	pb_put_le16(body + 2, 0);
	pb_put_le32(body + 4, snaplen);
	return 0;
}

size_t
pb_epb_bytes(uint32_t caplen, size_t options_len)
{
	return PB_EPB_HEAD + pb_round_up(caplen, 4) +
	    list_bytes(options_len) + PB_BLOCK_TRAILER;
}

size_t
pb_build_epb(uint8_t *at, uint32_t interface, const struct pb_packet *packet)
{
	size_t padded = pb_round_up(packet->caplen, 4);
	size_t bytes = pb_epb_bytes(packet->caplen, packet->options_len);
	uint8_t *end = at + PB_EPB_HEAD + padded;

	/* The padding first, as a whole word: what follows overwrites the
	 * part of it that is data, or header where there is no data. */
	pb_put_le32(end - 4, 0);
	pb_put_le32(at, PB_BLOCK_EPB);
	pb_put_le32(at + 4, (uint32_t)bytes);
	pb_put_le32(at + 8, interface);
	pb_put_le32(at + 12, (uint32_t)(packet->time_ns >> 32));
	pb_put_le32(at + 16, (uint32_t)packet->time_ns);
	pb_put_le32(at + 20, packet->caplen);
	pb_put_le32(at + 24, packet->origlen);
	if (packet->caplen > 0)
		memcpy(at + PB_EPB_HEAD, packet->data, packet->caplen);
	if (packet->options_len > 0) {
		memcpy(end, packet->options, packet->options_len);
		pb_put_le32(end + packet->options_len, PB_OPT_END);
	}
	pb_put_le32(at + bytes - 4, (uint32_t)bytes);
	return bytes;
}

int
pb_build_isb(struct pb_buf *out, uint32_t interface, uint64_t time_ns,
    const uint8_t *options, size_t len)
{
	uint8_t *body;
	int rc = block_append(out, PB_BLOCK_ISB, PB_ISB_HEAD, options, len,
	    &body);

	if (rc < 0)
		return rc;
	pb_put_le32(body, interface);
	pb_put_le32(body + 4, (uint32_t)(time_ns >> 32));
	pb_put_le32(body + 8, (uint32_t)time_ns);
	return 0;
}

void
pb_build_filler(uint8_t *at, size_t bytes, uint64_t time_ns, uint32_t pen)
{
	uint8_t *option = at + PB_ISB_HEAD;
	size_t value = bytes - PB_ISB_HEAD - PB_BLOCK_TRAILER -
	    2 * PB_OPTION_HEAD;		/* its own, and the end's */

	assert(bytes >= PB_FILLER_BYTES_MIN && bytes <= PB_FILLER_BYTES_MAX);
	assert(bytes % 4 == 0);
	memset(at, 0, bytes);
	pb_put_le32(at, PB_BLOCK_ISB);
	pb_put_le32(at + 4, (uint32_t)bytes);
	pb_put_le32(at + 12, (uint32_t)(time_ns >> 32));
	pb_put_le32(at + 16, (uint32_t)time_ns);
	pb_put_le16(option, PB_OPT_CUSTOM_BINARY);
	pb_put_le16(option + 2, (uint16_t)value);
	own_head_put(option + 4, pen, PB_OWN_FILLER);
	pb_put_le32(at + bytes - 4, (uint32_t)bytes);
}

void
pb_build_begun(uint8_t *at, uint64_t time_ns, uint32_t pen, uint64_t age_ms)
{
	pb_build_filler(at, PB_BEGUN_BYTES, time_ns, pen);
	pb_put_le64(at + PB_ISB_HEAD + PB_OPTION_HEAD + OWN_HEAD, age_ms);
}

/* --- helpers ------------------------------------------------------------- */

/* Bytes of an option list of `len` bytes with the end that closes it. */
static size_t
list_bytes(size_t len)
{
	return len + (len > 0 ? 4 : 0);
}

/*
 * A block with zeros up to `head`, a list and its end; `*body` is where the
 * zeros are, until `out` grows again.
 */
static int
block_append(struct pb_buf *out, uint32_t type, size_t head,
    const uint8_t *options, size_t len, uint8_t **body)
{
	size_t bytes = head + list_bytes(len) + PB_BLOCK_TRAILER;
	uint8_t *at;
	int rc = pb_buf_zero(out, bytes);

	if (rc < 0)
		return rc;
	at = out->data + out->len - bytes;
	pb_put_le32(at, type);
	pb_put_le32(at + 4, (uint32_t)bytes);
	if (len > 0)
		memcpy(at + head, options, len);
	pb_put_le32(at + bytes - 4, (uint32_t)bytes);
	*body = at + PB_BLOCK_HEAD;
	return 0;
}

/*
 * Times leave here as absolute nanoseconds, so the resolution and offset
 * they were read with no longer hold.  An if_fcslen that states no octets
 * states nothing, and Wireshark cuts frames by it.
 */
static bool
idb_keeps(const struct pb_option *option)
{
	switch (option->code) {
	case PB_OPT_IF_TSRESOL:
	case PB_OPT_IF_TSOFFSET:
		return false;
	case PB_OPT_IF_FCSLEN:
		return option->len == 1 && option->value[0] != 0;
	default:
		return true;
	}
}
