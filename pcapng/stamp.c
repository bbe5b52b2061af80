/*
 * pcapng/stamp.c - stamps of switches, as options of a packet and of an
 * interface
 *
 * Reason: as hop.c, octets in a fixed order of their own, little-endian
 * always.  Limit: PB_STAMPS_MAX records; a text of 255 bytes.
 */
#include "pcapng/stamp.h"

#include <string.h>

#include "base/bytes.h"
#include "pcapng/own.h"

#define STAMPED_FIXED	16u	/* capture time, from, count, zeros */
#define RECORD		24u

static uint8_t	*record_put(uint8_t *, const struct pb_stamp *);
static void	 record_get(struct pb_stamp *, const uint8_t *);
static bool	 text_is_plain(const uint8_t *, size_t);

/* --- of a packet --------------------------------------------------------- */

size_t
pb_stamped_bytes(unsigned count)
{
	return PB_OPTION_HEAD + OWN_HEAD + STAMPED_FIXED + count * RECORD;
}

size_t
pb_stamped_write(uint8_t *at, uint32_t pen, const struct pb_stamped *stamped)
{
	size_t len = pb_stamped_bytes(stamped->count);

	pb_put_le16(at, PB_OPT_CUSTOM_BINARY);
	pb_put_le16(at + 2, (uint16_t)(len - PB_OPTION_HEAD));
	own_head_put(at + 4, pen, PB_OWN_STAMPS);
	at += PB_OPTION_HEAD + OWN_HEAD;
	pb_put_le64(at, stamped->capture_ns);
	at[8] = stamped->from;
	at[9] = stamped->count;
	memset(at + 10, 0, STAMPED_FIXED - 10);
	at += STAMPED_FIXED;
	for (unsigned i = 0; i < stamped->count; i++)
		at = record_put(at, &stamped->at[i]);
	return len;
}

int
pb_stamped_get(const uint8_t *options, size_t len, struct pb_stamped *out)
{
	struct pb_option option;
	const uint8_t *at;

	if (!pb_own_find(options, len, PB_OWN_STAMPS, &option))
		return 0;
	at = option.value + OWN_HEAD;
	if (option.len < OWN_HEAD + STAMPED_FIXED || at[9] > PB_STAMPS_MAX ||
	    option.len != OWN_HEAD + STAMPED_FIXED + at[9] * RECORD ||
	    at[8] > (at[9] > 0 ? at[9] : PB_STAMPS_MAX))
		return PB_EFORMAT;
	out->capture_ns = pb_get_le64(at);
	out->from = at[8];
	out->count = at[9];
	at += STAMPED_FIXED;
	for (unsigned i = 0; i < out->count; i++, at += RECORD)
		record_get(&out->at[i], at);
	return 1;
}

static uint8_t *
record_put(uint8_t *at, const struct pb_stamp *stamp)
{
	pb_put_le64(at, stamp->time_ns);
	pb_put_le32(at + 8, stamp->fraction);
	pb_put_le32(at + 12, stamp->seq);
	pb_put_le16(at + 16, stamp->device);
	pb_put_le16(at + 18, stamp->port);
	at[20] = stamp->format;
	at[21] = stamp->flags;
	at[22] = at[23] = 0;
	return at + RECORD;
}

static void
record_get(struct pb_stamp *out, const uint8_t *at)
{
	out->time_ns = pb_get_le64(at);
	out->fraction = pb_get_le32(at + 8);
	out->seq = pb_get_le32(at + 12);
	out->device = pb_get_le16(at + 16);
	out->port = pb_get_le16(at + 18);
	out->format = at[20];
	out->flags = at[21];
}

/* --- of an interface ----------------------------------------------------- */

int
pb_interface_text_put(struct pb_buf *options, uint32_t pen, const char *text)
{
	uint8_t value[OWN_HEAD + PB_INTERFACE_TEXT_MAX];
	size_t len = strnlen(text, PB_INTERFACE_TEXT_MAX);

	if (len == PB_INTERFACE_TEXT_MAX ||
	    !text_is_plain((const uint8_t *)text, len))
		return PB_EINVAL;
	own_head_put(value, pen, PB_OWN_INTERFACE);
	memcpy(value + OWN_HEAD, text, len);
	return pb_option_put(options, PB_OPT_CUSTOM_BINARY, value,
	    OWN_HEAD + len);
}

int
pb_interface_text_get(const uint8_t *options, size_t len,
    char out[static PB_INTERFACE_TEXT_MAX])
{
	struct pb_option option;
	const uint8_t *text;
	size_t bytes;

	if (!pb_own_find(options, len, PB_OWN_INTERFACE, &option))
		return 0;
	text = option.value + OWN_HEAD;
	bytes = option.len - OWN_HEAD;
	if (bytes >= PB_INTERFACE_TEXT_MAX || !text_is_plain(text, bytes))
		return PB_EFORMAT;
	memcpy(out, text, bytes);
	out[bytes] = '\0';
	return 1;
}

void
pb_interface_word(const char *text, const char *key,
    char out[static PB_INTERFACE_TEXT_MAX])
{
	size_t key_len = strlen(key), len;

	out[0] = '\0';
	for (; *text != '\0'; text += len + (text[len] == ' ')) {
		len = strcspn(text, " ");
		if (len <= key_len || len - key_len > PB_INTERFACE_TEXT_MAX ||
		    strncmp(text, key, key_len) != 0 || text[key_len] != '=')
			continue;
		memcpy(out, text + key_len + 1, len - key_len - 1);
		out[len - key_len - 1] = '\0';
		return;
	}
}

/* Printable characters of ASCII and blanks alone. */
static bool
text_is_plain(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}
