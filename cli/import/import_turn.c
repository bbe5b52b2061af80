/*
 * cli/import/import_turn.c - a big-endian block as a little-endian one
 *
 * Source: draft-ietf-opsawg-pcapng-05, sections 4.5 and 4.7.  Names,
 * addresses and secrets are octets and stay; numbers are turned, and so is
 * the Private Enterprise Number of custom options.
 */
#include "cli/import/import_turn.h"

#include <string.h>

#include "base/bytes.h"
#include "pcapng/option.h"

#define DSB_HEAD	8u	/* type and length of the secrets */
#define ITEM_HEAD	4u	/* of a record or an option */

static size_t	turn_records(uint8_t *, size_t);
static size_t	turn_secrets(uint8_t *, size_t);
static bool	turn_options(uint8_t *, size_t);

#define FAILED	SIZE_MAX

bool
pb_import_turn(const struct pb_event *event, struct pb_buf *out)
{
	size_t len = event->block_len, body, done;
	uint8_t *at;

	if ((event->block_type != PB_BLOCK_NRB &&
	    event->block_type != PB_BLOCK_DSB) ||
	    len < PB_BLOCK_HEAD + PB_BLOCK_TRAILER || len > out->max - out->len)
		return false;
	at = pb_buf_reserve(out, len);
	if (at == NULL) {
		out->failed = false;
		return false;
	}
	memcpy(at, event->block, len);
	pb_put_le32(at, event->block_type);
	pb_put_le32(at + 4, (uint32_t)len);
	pb_put_le32(at + len - PB_BLOCK_TRAILER, (uint32_t)len);
	at += PB_BLOCK_HEAD;
	body = len - PB_BLOCK_HEAD - PB_BLOCK_TRAILER;
	done = event->block_type == PB_BLOCK_NRB ? turn_records(at, body) :
	    turn_secrets(at, body);
	if (done == FAILED || !turn_options(at + done, body - done))
		return false;
	out->len += len;
	return true;
}

/* Type and length of each record, up to nrb_record_end; bytes passed. */
static size_t
turn_records(uint8_t *at, size_t len)
{
	uint16_t type, size;
	size_t done = 0;

	do {
		if (len - done < ITEM_HEAD)
			return len == done ? done : FAILED;
		type = pb_get_be16(at + done);
		size = pb_get_be16(at + done + 2);
		pb_put_le16(at + done, type);
		pb_put_le16(at + done + 2, size);
		done += ITEM_HEAD;
		if (pb_round_up(size, 4) > len - done)
			return FAILED;
		done += pb_round_up(size, 4);
	} while (type != 0);
	return done;
}

static size_t
turn_secrets(uint8_t *at, size_t len)
{
	uint32_t size;

	if (len < DSB_HEAD)
		return FAILED;
	size = pb_get_be32(at + 4);
	pb_put_le32(at, pb_get_be32(at));
	pb_put_le32(at + 4, size);
	if (size > len - DSB_HEAD || pb_round_up(size, 4) > len - DSB_HEAD)
		return FAILED;
	return DSB_HEAD + pb_round_up(size, 4);
}

static bool
turn_options(uint8_t *at, size_t len)
{
	uint16_t code, size;

	while (len >= ITEM_HEAD) {
		code = pb_get_be16(at);
		size = pb_get_be16(at + 2);
		pb_put_le16(at, code);
		pb_put_le16(at + 2, size);
		at += ITEM_HEAD;
		len -= ITEM_HEAD;
		if (pb_round_up(size, 4) > len)
			return false;
		if (pb_option_is_custom(code) && size >= 4)
			pb_put_le32(at, pb_get_be32(at));
		if (code == PB_OPT_END)
			return true;
		at += pb_round_up(size, 4);
		len -= pb_round_up(size, 4);
	}
	return len == 0;
}
