/*
 * recorder/capture/describe.c - a captured stream's section and interface
 * options
 *
 * if_description is "NODE: description", so that stock Wireshark filters
 * by node with frame.interface_description.
 */
#include "recorder/capture/source_impl.h"

#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "pcapng/option.h"
#include "pcapng/stamp.h"

#define OPTIONS_BYTES_MAX	(32u << 10)	/* a filter is 4 KiB */
#define FILTER_IS_TEXT		0		/* if_filter's first octet */
#define FCS_OCTETS		4u
#define BITS_PER_MBIT		1000000u

static void	section_options(struct pb_buf *, const struct utsname *,
		    const struct pb_identity *);
static void	interface_options(struct pb_buf *, const struct utsname *,
		    const struct pb_description *);
static void	put_words(struct pb_buf *, const struct pb_description *);
static void	put_filter(struct pb_buf *, const char *);
static void	put_hardware(struct pb_buf *, const char *);

int
pb_source_describe(struct pb_source *src, const char *clock, uint64_t epoch,
    struct pb_head **out, struct pb_err *err)
{
	const struct pb_description what = {
		.node = &src->node,
		.capture = &src->capture,
		.stamping = &src->stamping,
		.pen = src->pen,
		.epoch = epoch,
		.linktype = src->linktype,
		.clock = clock,
	};

	return pb_describe(out, &what, err);
}

int
pb_describe(struct pb_head **out, const struct pb_description *what,
    struct pb_err *err)
{
	struct pb_identity identity;
	struct pb_buf section, interface;
	struct utsname system;
	int rc;

	memset(&identity, 0, sizeof(identity));
	identity.epoch = what->epoch;
	identity.first_seq = 1;
	identity.nodes = 1;
	identity.node[0] = *what->node;
	snprintf(identity.interface, sizeof(identity.interface), "%s",
	    what->capture->interface);
	if (uname(&system) < 0)
		memset(&system, 0, sizeof(system));
	pb_buf_init(&section, OPTIONS_BYTES_MAX);
	pb_buf_init(&interface, OPTIONS_BYTES_MAX);
	section_options(&section, &system, &identity);
	interface_options(&interface, &system, what);
	if (section.failed || interface.failed)
		rc = pb_err_set(err, PB_ENOMEM, "interface %s: no memory",
		    what->capture->interface);
	else
		rc = pb_head_create(out, &identity, what->linktype,
		    section.data, section.len, interface.data, interface.len,
		    err);
	pb_buf_finish(&section);
	pb_buf_finish(&interface);
	return rc;
}

static void
section_options(struct pb_buf *options, const struct utsname *system,
    const struct pb_identity *identity)
{
	char text[PB_NAME_BYTES_MAX + PB_IFNAME_BYTES_MAX + 32];

	pb_option_put_text(options, PB_OPT_SHB_HARDWARE, system->machine);
	snprintf(text, sizeof(text), "%.40s %.60s", system->sysname,
	    system->release);
	pb_option_put_text(options, PB_OPT_SHB_OS, text);
	snprintf(text, sizeof(text), "node %s interface %s",
	    identity->node[0].name, identity->interface);
	pb_option_put_text(options, PB_OPT_COMMENT, text);
}

static void
interface_options(struct pb_buf *options, const struct utsname *system,
    const struct pb_description *what)
{
	const struct pb_conf_capture *capture = what->capture;
	char text[PB_NAME_BYTES_MAX + PB_TEXT_BYTES_MAX + 3];

	pb_option_put_text(options, PB_OPT_IF_NAME, capture->interface);
	snprintf(text, sizeof(text), "%s: %s", what->node->name,
	    capture->description[0] != '\0' ? capture->description :
	    capture->interface);
	pb_option_put_text(options, PB_OPT_IF_DESCRIPTION, text);
	put_filter(options, capture->filter);
	snprintf(text, sizeof(text), "%.40s %.60s", system->sysname,
	    system->release);
	pb_option_put_text(options, PB_OPT_IF_OS, text);
	/* Pseudo devices have no place in /sys, nor safe names for it. */
	if (if_nametoindex(capture->interface) != 0)
		put_hardware(options, capture->interface);
	/* In octets: the draft says bits, and 4 for Ethernet. */
	if (what->stamping->list.fcs)
		pb_option_put_u8(options, PB_OPT_IF_FCSLEN, FCS_OCTETS);
	put_words(options, what);
}

/* What readers of its packets need to know (docs/format.md). */
static void
put_words(struct pb_buf *options, const struct pb_description *what)
{
	const struct pb_trailer_list *list = &what->stamping->list;
	char text[PB_INTERFACE_TEXT_MAX], trailers[PB_TRAILER_TEXT_MAX];
	int len = snprintf(text, sizeof(text), "clock=%s%s", what->clock,
	    list->fcs ? " fcs=yes" : "");

	pb_trailer_list_text(list, trailers);
	if (list->count > 0)
		len += snprintf(text + len, sizeof(text) - (size_t)len,
		    " trailers=%s tai_utc=%d", trailers, list->tai_utc);
	if (what->stamping->choice != PB_STAMP_CAPTURE)
		snprintf(text + len, sizeof(text) - (size_t)len,
		    " timestamp_from=%s", what->capture->timestamp_from);
	if (pb_interface_text_put(options, what->pen, text) < 0)
		options->failed = true;
}

static void
put_filter(struct pb_buf *options, const char *filter)
{
	uint8_t value[PB_CONF_VALUE_MAX];
	size_t len = strnlen(filter, sizeof(value) - 1);

	if (len == 0)
		return;
	value[0] = FILTER_IS_TEXT;
	memcpy(value + 1, filter, len);
	pb_option_put(options, PB_OPT_IF_FILTER, value, len + 1);
}

/* The driver's name and the link's speed, where /sys has them. */
static void
put_hardware(struct pb_buf *options, const char *interface)
{
	char path[128], text[PATH_MAX];
	const char *driver;
	long mbits = 0;
	ssize_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%.80s/device/driver",
	    interface);
	len = readlink(path, text, sizeof(text) - 1);
	if (len > 0) {
		text[len] = '\0';
		driver = strrchr(text, '/');
		pb_option_put_text(options, PB_OPT_IF_HARDWARE,
		    driver != NULL ? driver + 1 : text);
	}
	snprintf(path, sizeof(path), "/sys/class/net/%.80s/speed", interface);
	f = fopen(path, "re");
	/* A link that is down has no speed. */
	if (f != NULL && fscanf(f, "%9ld", &mbits) == 1 && mbits > 0)
		pb_option_put_u64(options, PB_OPT_IF_SPEED,
		    (uint64_t)mbits * BITS_PER_MBIT);
	if (f != NULL)
		fclose(f);
}
