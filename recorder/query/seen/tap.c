/*
 * recorder/query/seen/tap.c - a point that packets pass, as people name it
 */
#include "recorder/query/seen/tap.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "pcapng/hop.h"

#define NUMBER_TEXT_MAX	8	/* of five digits; more are wrong */

static bool	is_point(const char *);
static int	parse_point(struct pb_tap *, const char *, struct pb_err *);
static int	parse_device(struct pb_tap *, const char *, struct pb_err *);
static int	wrong(const char *, struct pb_err *);
static bool	is_there(const struct pb_tap *, unsigned,
		    const struct pb_stamp *);

int
pb_tap_parse(struct pb_tap *out, const char *text, struct pb_err *err)
{
	const char *at = strrchr(text, '@');
	size_t len = strlen(text);

	memset(out, 0, sizeof(*out));
	if (is_point(text))
		return parse_point(out, text, err);
	if (at != NULL && is_point(at + 1))
		len = (size_t)(at - text);
	if (len == 0 || len >= sizeof(out->glob))
		return wrong(text, err);
	memcpy(out->glob, text, len);
	return text[len] == '\0' ? 0 : parse_point(out, at + 1, err);
}

bool
pb_tap_sees(const struct pb_tap *tap, const char *name)
{
	return tap->glob[0] == '\0' || pb_glob_match(tap->glob, name);
}

bool
pb_taps_join(struct pb_tap *a, struct pb_tap *b)
{
	if (a->glob[0] == '\0')
		strcpy(a->glob, b->glob);
	else if (b->glob[0] == '\0')
		strcpy(b->glob, a->glob);
	return strcmp(a->glob, b->glob) == 0;
}

bool
pb_tap_instant(const struct pb_tap *tap, const struct pb_packet *packet,
    const struct pb_stamped *stamped, struct pb_instant *out)
{
	const struct pb_stamp *stamp;

	*out = (struct pb_instant){ .ns = packet->time_ns };
	if (tap->point == PB_TAP_CAPTURE)
		out->ns = stamped->capture_ns;
	if (tap->point == PB_TAP_PACKET && stamped->from > 0 &&
	    stamped->from <= stamped->count)
		out->fraction = stamped->at[stamped->from - 1].fraction;
	if (tap->point == PB_TAP_PACKET || tap->point == PB_TAP_CAPTURE)
		return !pb_untimed_get(packet->options, packet->options_len);
	for (unsigned i = 0; i < stamped->count; i++) {
		stamp = &stamped->at[i];
		if (!is_there(tap, i + 1, stamp))
			continue;
		out->ns = stamp->time_ns;
		out->fraction = stamp->fraction;
		return true;
	}
	return false;
}

/* Is it this one, and has it a time? */
static bool
is_there(const struct pb_tap *tap, unsigned number,
    const struct pb_stamp *stamp)
{
	if ((stamp->flags & PB_STAMP_TIMED) == 0)
		return false;
	if (tap->point == PB_TAP_STAMP)
		return number == tap->number;
	return (stamp->flags & PB_STAMP_PLACED) != 0 &&
	    stamp->device == tap->number &&
	    (tap->any_port || stamp->port == tap->port);
}

static bool
is_point(const char *text)
{
	return strcmp(text, "capture") == 0 ||
	    strncmp(text, "stamp:", 6) == 0 ||
	    strncmp(text, "device:", 7) == 0;
}

static int
parse_point(struct pb_tap *out, const char *text, struct pb_err *err)
{
	uint64_t number;

	if (text[0] == 'd')
		return parse_device(out, text, err);
	out->point = PB_TAP_CAPTURE;
	if (text[0] == 'c')
		return 0;
	out->point = PB_TAP_STAMP;
	if (pb_parse_u64(text + 6, 1, PB_STAMPS_MAX, &number, NULL) < 0)
		return pb_err_set(err, PB_EINVAL, "'%.80s': stamps on a "
		    "packet's way count from 1, the innermost, to %d", text,
		    PB_STAMPS_MAX);
	out->number = (uint16_t)number;
	return 0;
}

static int
parse_device(struct pb_tap *out, const char *text, struct pb_err *err)
{
	const char *device = text + 7, *slash = strchr(device, '/');
	size_t len = slash != NULL ? (size_t)(slash - device) :
	    strlen(device);
	char digits[NUMBER_TEXT_MAX];
	uint64_t number, port = 0;

	snprintf(digits, sizeof(digits), "%.*s", (int)len, device);
	if (len >= sizeof(digits) ||
	    pb_parse_u64(digits, 0, UINT16_MAX, &number, NULL) < 0 ||
	    (slash != NULL &&
	    pb_parse_u64(slash + 1, 0, UINT16_MAX, &port, NULL) < 0))
		return pb_err_set(err, PB_EINVAL, "'%.80s': write a stamp's "
		    "device as device:D, or with its port as device:D/P, "
		    "numbers from 0 to %d", text, UINT16_MAX);
	out->point = PB_TAP_DEVICE;
	out->number = (uint16_t)number;
	out->any_port = slash == NULL;
	out->port = (uint16_t)port;
	return 0;
}

static int
wrong(const char *text, struct pb_err *err)
{
	return pb_err_set(err, PB_EINVAL, "'%.80s' is no tap; write "
	    "node/interface, stamp:N, device:D/P, capture, or one of these "
	    "of a stream, like lon1/eth0@stamp:1", text);
}
