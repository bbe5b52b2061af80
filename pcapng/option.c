/*
 * pcapng/option.c - option lists: walking, finding, appending
 *
 * Promise: no step of a walk reads outside the list, whatever its lengths
 * claim.  Limit: lists are canonical (little-endian); the other byte order
 * is turned around by swap.c before anything else sees it.
 */
#include "pcapng/option.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "pcapng/block.h"

/* Inline, so that nobody pays for the byte order that is never his. */
static inline int
next(struct pb_option_walk *walk, bool big, struct pb_option *out)
{
	const uint8_t *at = walk->at;
	size_t whole;

	if (walk->left == 0)
		return 0;
	if (walk->left < PB_OPTION_HEAD)
		return PB_EFORMAT;
	out->code = big ? pb_get_be16(at) : pb_get_le16(at);
	out->len = big ? pb_get_be16(at + 2) : pb_get_le16(at + 2);
	if (out->code == PB_OPT_END)
		return 0;
	whole = PB_OPTION_BYTES(out->len);
	if (whole > walk->left)
		return PB_EFORMAT;
	out->value = at + PB_OPTION_HEAD;
	walk->at += whole;
	walk->left -= whole;
	return 1;
}

int
pb_option_next(struct pb_option_walk *walk, struct pb_option *out)
{
	return next(walk, false, out);
}

int
pb_option_next_of(struct pb_option_walk *walk, bool big,
    struct pb_option *out)
{
	return next(walk, big, out);
}

bool
pb_option_find(const uint8_t *list, size_t len, uint16_t code,
    struct pb_option *out)
{
	PB_OPTION_EACH(*out, list, len)
		if (out->code == code)
			return true;
	return false;
}

bool
pb_option_find_u64(const uint8_t *list, size_t len, uint16_t code,
    uint64_t *out)
{
	struct pb_option option;

	if (!pb_option_find(list, len, code, &option) || option.len != 8)
		return false;
	*out = pb_get_le64(option.value);
	return true;
}

bool
pb_option_is_custom(uint16_t code)
{
	return code == PB_OPT_CUSTOM_TEXT || code == PB_OPT_CUSTOM_BINARY ||
	    code == PB_OPT_CUSTOM_TEXT_NOCOPY ||
	    code == PB_OPT_CUSTOM_BINARY_NOCOPY;
}

int
pb_option_put(struct pb_buf *out, uint16_t code, const void *value,
    size_t len)
{
	int rc;

	if (len > UINT16_MAX)
		return PB_ELIMIT;
	rc = pb_buf_zero(out, PB_OPTION_BYTES(len));
	if (rc < 0)
		return rc;
	pb_option_at(out->data + out->len - PB_OPTION_BYTES(len), code, value,
	    (uint16_t)len);
	return 0;
}

int
pb_option_put_text(struct pb_buf *out, uint16_t code, const char *text)
{
	return pb_option_put(out, code, text, strlen(text));
}

int
pb_option_put_u64(struct pb_buf *out, uint16_t code, uint64_t value)
{
	uint8_t bytes[8];

	pb_put_le64(bytes, value);
	return pb_option_put(out, code, bytes, sizeof(bytes));
}

int
pb_option_put_u8(struct pb_buf *out, uint16_t code, uint8_t value)
{
	return pb_option_put(out, code, &value, sizeof(value));
}

int
pb_option_copy(struct pb_buf *out, const uint8_t *list, size_t len,
    bool (*keep)(const struct pb_option *option))
{
	struct pb_option_walk walk = { list, len };
	struct pb_option option;
	int rc, put = 0;

	while (put == 0 && (rc = pb_option_next(&walk, &option)) == 1)
		if (keep(&option))
			put = pb_option_put(out, option.code, option.value,
			    option.len);
	return put < 0 ? put : rc;
}

uint8_t *
pb_option_at(uint8_t *at, uint16_t code, const void *value, uint16_t len)
{
	size_t padded = pb_round_up(len, 4);

	pb_put_le16(at, code);
	pb_put_le16(at + 2, len);
	at += PB_OPTION_HEAD;
	if (len > 0)
		memcpy(at, value, len);
	if (padded > len)
		memset(at + len, 0, padded - len);
	return at + padded;
}

uint8_t *
pb_option_at_u64(uint8_t *at, uint16_t code, uint64_t value)
{
	pb_put_le16(at, code);
	pb_put_le16(at + 2, sizeof(value));
	pb_put_le64(at + PB_OPTION_HEAD, value);
	return at + PB_OPTION_HEAD + sizeof(value);
}
