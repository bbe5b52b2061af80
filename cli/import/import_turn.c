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

static size_t	turn_items(uint8_t *, size_t, bool);
static size_t	turn_secrets(uint8_t *, size_t);

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
	done = event->block_type == PB_BLOCK_NRB ?
	    turn_items(at, body, false) : turn_secrets(at, body);
	if (done == FAILED || turn_items(at + done, body - done, true) ==
	    FAILED)
		return false;
	out->len += len;
	return true;
}

/* Type and length of each record, or option, up to the one that ends them;
 * bytes passed. */
static size_t
turn_items(uint8_t *at, size_t len, bool options)
{
	uint16_t type = 1, size;
	size_t done = 0;

	while (type != 0 && done < len) {
		uint8_t *item = at + done;

		if (len - done < ITEM_HEAD)
			return FAILED;
		type = pb_get_be16(item);
		size = pb_get_be16(item + 2);
		pb_put_le16(item, type);
		pb_put_le16(item + 2, size);
		done += ITEM_HEAD;
		if (pb_round_up(size, 4) > len - done)
			return FAILED;
		if (options && pb_option_is_custom(type) && size >= 4)
			pb_put_le32(item + ITEM_HEAD,
			    pb_get_be32(item + ITEM_HEAD));
		done += pb_round_up(size, 4);
	}
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
