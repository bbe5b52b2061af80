/*
 * base/text_code.c - percent-encoding and UTF-8
 *
 * Promise: what comes out of here is safe where it is meant to go: a path
 * segment that is never `.`, `..` or hidden; text that a terminal, a log
 * line and Wireshark can show.
 * Reason:  names come from peers and files, and become file names.
 */
#include "base/text.h"

#include <string.h>

static bool	is_unreserved(unsigned char);
static int	hex_digit(char);
static int	decode_byte(const char *, size_t, size_t *);
static bool	is_control(const uint8_t *, size_t);

int
pb_percent_encode(struct pb_buf *out, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	int rc = 0;

	for (size_t i = 0; text[i] != '\0' && rc == 0; i++) {
		unsigned char c = (unsigned char)text[i];
		char escape[3] = { '%', digits[c >> 4], digits[c & 15] };

		if (is_unreserved(c) && !(i == 0 && c == '.'))
			rc = pb_buf_put(out, &c, 1);
		else
			rc = pb_buf_put(out, escape, sizeof(escape));
	}
	return rc;
}

int
pb_percent_decode(char *out, size_t room, const char *text, size_t len,
    struct pb_err *err)
{
	size_t used = 0;

	/* Once to check, once to write: `out` stays as it was on error. */
	for (size_t at = 0; at < len; used++) {
		size_t start = at;

		if (decode_byte(text, len, &at) <= 0)
			return pb_err_set(err, PB_EFORMAT, "bad escape at "
			    "byte %zu of '%.*s'; a percent sign needs two "
			    "hex digits, not 00", start,
			    len > 64 ? 64 : (int)len, text);
	}
	if (used >= room)
		return pb_err_set(err, PB_ELIMIT, "name of %zu bytes is too "
		    "long; at most %zu", used, room == 0 ? 0 : room - 1);
	used = 0;
	for (size_t at = 0; at < len; used++)
		out[used] = (char)decode_byte(text, len, &at);
	out[used] = '\0';
	return 0;
}

size_t
pb_utf8_length(const uint8_t *p, size_t len)
{
	uint8_t low = 0x80, high = 0xbf;	/* bounds of the second byte */
	size_t need;

	if (len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	need = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;	/* shorter forms exist below */
	else if (p[0] == 0xed)
		high = 0x9f;	/* surrogates above */
	else if (p[0] == 0xf0)
		low = 0x90;	/* shorter forms exist below */
	else if (p[0] == 0xf4)
		high = 0x8f;	/* beyond U+10FFFF */
	if (need > len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return need;
}

void
pb_utf8_clean(char *out, size_t room, const void *data, size_t len)
{
	static const char replacement[] = "\xef\xbf\xbd";	/* U+FFFD */
	const uint8_t *p = data;
	size_t used = 0;

	if (room == 0)
		return;
	while (len > 0) {
		size_t n = pb_utf8_length(p, len), taken = n == 0 ? 1 : n;
		const void *from = p;

		if (n == 0 || is_control(p, n)) {
			from = replacement;
			n = sizeof(replacement) - 1;
		}
		if (n >= room - used)
			break;
		memcpy(out + used, from, n);
		used += n;
		p += taken;
		len -= taken;
	}
	out[used] = '\0';
}

/* RFC 3986, section 2.3; isalnum(3) would ask the locale. */
static bool
is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte at `*at`, which moves on; 0 for NUL, -1 for a bad escape. */
static int
decode_byte(const char *text, size_t len, size_t *at)
{
	size_t i = *at;
	int high, low;

	if (text[i] != '%') {
		*at = i + 1;
		return (unsigned char)text[i];
	}
	if (len - i < 3)
		return -1;
	high = hex_digit(text[i + 1]);
	low = hex_digit(text[i + 2]);
	if (high < 0 || low < 0)
		return -1;
	*at = i + 3;
	return high * 16 + low;
}

/* C0, DEL, and C1, which some terminals take for escape sequences. */
static bool
is_control(const uint8_t *p, size_t len)
{
	if (len == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	return len == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}
