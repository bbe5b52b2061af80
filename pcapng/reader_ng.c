/*
 * pcapng/reader_ng.c - pcapng blocks as events
 *
 * Source: draft-ietf-opsawg-pcapng-05.  A step takes one whole block: its
 * length is checked before it is waited for, its trailing copy before
 * anything in it is believed.
 *
 * Section Length is not used: writers get it wrong, and blocks can be
 * walked without.  A section of a version other than 1.0 and 1.2 is walked
 * as well, to the next Section Header Block, and tells nothing.
 */
#include "base/list.h"
#include "pcapng/option.h"
#include "pcapng/reader_impl.h"

struct block {
	uint32_t	 type;
	size_t		 len;		/* with padding */
	const uint8_t	*at;
};

static int	block_at(struct pb_reader *, const uint8_t *, size_t,
		    struct block *);
static int	block_length(struct pb_reader *, uint32_t, uint32_t,
		    size_t *);
static int	block_order(struct pb_reader *, const uint8_t *);
static int	block_min(struct pb_reader *, const struct block *, size_t,
		    const char *);
static int	section(struct pb_reader *, const struct block *,
		    struct pb_event *);
static int	interface(struct pb_reader *, const struct block *,
		    struct pb_event *);
static int	interface_room(struct pb_reader *);
static int	packet(struct pb_reader *, const struct block *,
		    struct pb_event *);
static int	simple_packet(struct pb_reader *, const struct block *,
		    struct pb_event *);
static int	statistics(struct pb_reader *, const struct block *,
		    struct pb_event *);
static int	other(struct pb_reader *, const struct block *,
		    struct pb_event *);
static int	options(struct pb_reader *, const struct block *, size_t,
		    enum options_of, struct pb_event *);
static int	time_at(struct pb_reader *, const uint8_t *,
		    struct pb_event *);

int
pb_reader_ng_block(struct pb_reader *reader, const uint8_t *data, size_t len,
    size_t *used, struct pb_event *event)
{
	struct block block = { 0 };
	int rc = block_at(reader, data, len, &block);

	if (rc <= 0)
		return rc;
	event->offset = reader->offset;
	if (reader->skip && block.type != PB_BLOCK_SHB)
		rc = READER_SKIPPED;
	else if (block.type == PB_BLOCK_SHB)
		rc = section(reader, &block, event);
	else if (block.type == PB_BLOCK_IDB)
		rc = interface(reader, &block, event);
	else if (block.type == PB_BLOCK_EPB || block.type == PB_BLOCK_PB)
		rc = packet(reader, &block, event);
	else if (block.type == PB_BLOCK_SPB)
		rc = simple_packet(reader, &block, event);
	else if (block.type == PB_BLOCK_ISB)
		rc = statistics(reader, &block, event);
	else
		rc = other(reader, &block, event);
	if (rc < 0)
		return rc;
	event->section = reader->sections - 1;
	*used = block.len;
	return rc;
}

/* --- the frame of a block ------------------------------------------------ */

/* 1 and a whole block, PB_READ_MORE, or an error. */
static int
block_at(struct pb_reader *reader, const uint8_t *data, size_t len,
    struct block *out)
{
	uint32_t stated, again;
	int rc;

	reader->need = PB_BLOCK_BYTES_MIN;
	if (len < PB_BLOCK_BYTES_MIN)
		return PB_READ_MORE;
	/* 0x0A0D0D0A reads the same in both byte orders. */
	out->type = reader_u32(reader, data);
	if (out->type == PB_BLOCK_SHB) {
		rc = block_order(reader, data);
		if (rc < 0)
			return rc;
	}
	stated = reader_u32(reader, data + 4);
	rc = block_length(reader, out->type, stated, &out->len);
	if (rc < 0)
		return rc;
	reader->need = out->len;
	if (len < out->len)
		return PB_READ_MORE;
	again = reader_u32(reader, data + out->len - PB_BLOCK_TRAILER);
	if (again != stated)
		return reader_fail(reader, PB_EFORMAT, "the block's length is "
		    "%" PRIu32 " at its start and %" PRIu32 " at its end",
		    stated, again);
	out->at = data;
	return 1;
}

static int
block_order(struct pb_reader *reader, const uint8_t *data)
{
	reader->big = pb_get_be32(data + PB_BLOCK_HEAD) == PB_BYTE_ORDER_MAGIC;
	if (!reader->big &&
	    pb_get_le32(data + PB_BLOCK_HEAD) != PB_BYTE_ORDER_MAGIC)
		return reader_fail(reader, PB_EFORMAT, "the section's "
		    "byte-order magic is 0x%08" PRIx32 "; 0x%08x is right",
		    pb_get_be32(data + PB_BLOCK_HEAD), PB_BYTE_ORDER_MAGIC);
	return 0;
}

/*
 * Early writers stated a Packet Block's length without its padding, and
 * Wireshark reads them so; the block is obsolete, and only it may.
 */
static int
block_length(struct pb_reader *reader, uint32_t type, uint32_t stated,
    size_t *len)
{
	if (stated < PB_BLOCK_BYTES_MIN || stated > PB_BLOCK_BYTES_MAX)
		return reader_fail(reader, PB_EFORMAT, "the block's length is "
		    "%" PRIu32 "; 12 to %u is right", stated,
		    PB_BLOCK_BYTES_MAX);
	if (stated % 4 != 0 && type != PB_BLOCK_PB)
		return reader_fail(reader, PB_EFORMAT, "the block's length is "
		    "%" PRIu32 ", which is no multiple of 4", stated);
	*len = pb_round_up(stated, 4);
	return 0;
}

static int
block_min(struct pb_reader *reader, const struct block *block, size_t head,
    const char *name)
{
	if (block->len >= head + PB_BLOCK_TRAILER)
		return 0;
	return reader_fail(reader, PB_EFORMAT, "the block of %zu bytes is too "
	    "short for %s, which has at least %zu", block->len, name, head +
	    PB_BLOCK_TRAILER);
}

/* --- sections and interfaces --------------------------------------------- */

static int
section(struct pb_reader *reader, const struct block *block,
    struct pb_event *event)
{
	uint16_t major, minor;
	int rc = block_min(reader, block, PB_SHB_HEAD, "a section header");

	if (rc < 0)
		return rc;
	if (reader->sections == PB_SECTIONS_MAX)
		return reader_fail(reader, PB_ELIMIT, "more than %u sections "
		    "in one file", PB_SECTIONS_MAX);
	major = reader_u16(reader, block->at + 12);
	minor = reader_u16(reader, block->at + 14);
	reader->sections++;
	reader->interfaces = 0;
	reader->skip = major != 1 || (minor != 0 && minor != 2);
	if (reader->skip) {
		if (!reader->skipped) {
			reader->skipped = true;
			reader->skipped_major = major;
			reader->skipped_minor = minor;
			reader->skipped_offset = reader->offset;
		}
		return READER_SKIPPED;
	}
	reader->readable = true;
	event->kind = PB_EVENT_SECTION;
	return options(reader, block, PB_SHB_HEAD, OPTIONS_OF_SECTION, event);
}

static int
interface(struct pb_reader *reader, const struct block *block,
    struct pb_event *event)
{
	struct reader_interface *in;
	struct pb_err wrong;
	int rc = block_min(reader, block, PB_IDB_HEAD,
	    "an interface description");

	if (rc == 0)
		rc = interface_room(reader);
	if (rc == 0)
		rc = options(reader, block, PB_IDB_HEAD, OPTIONS_OF_INTERFACE,
		    event);
	if (rc < 0)
		return rc;
	in = &reader->interface[reader->interfaces];
	in->snaplen = reader_u32(reader, block->at + 12);
	rc = pb_ticks_read(&in->clock, event->packet.options,
	    event->packet.options_len, &wrong);
	if (rc < 0)
		return reader_fail(reader, rc, "%s", wrong.text);
	event->kind = PB_EVENT_INTERFACE;
	event->interface = reader->interfaces++;
	event->linktype = reader_u16(reader, block->at + 8);
	event->snaplen = in->snaplen;
	return PB_READ_EVENT;
}

/* Room for one interface more, up to the maximum. */
static int
interface_room(struct pb_reader *reader)
{
	if (reader->interfaces == PB_INTERFACES_MAX)
		return reader_fail(reader, PB_ELIMIT, "more than %u "
		    "interfaces in one section", PB_INTERFACES_MAX);
	if (!PB_LIST_ROOM(reader->interface, reader->interfaces_cap,
	    reader->interfaces))
		return reader_fail(reader, PB_ENOMEM, "no memory for %" PRIu32
		    " interfaces", reader->interfaces + 1);
	return 0;
}

/* --- packets ------------------------------------------------------------- */

/*
 * An Enhanced Packet Block, or its predecessor: there the interface is 16
 * bits wide and 16 bits count drops; all else is in the same place.
 */
static int
packet(struct pb_reader *reader, const struct block *block,
    struct pb_event *event)
{
	bool old = block->type == PB_BLOCK_PB;
	struct pb_packet *out = &event->packet;
	const uint8_t *at = block->at;
	size_t padded;
	int rc = block_min(reader, block, PB_EPB_HEAD, "a packet");

	if (rc < 0)
		return rc;
	event->interface = old ? reader_u16(reader, at + 8) :
	    reader_u32(reader, at + 8);
	rc = time_at(reader, at + 12, event);
	if (rc < 0)
		return rc;
	out->caplen = reader_u32(reader, at + 20);
	out->origlen = reader_u32(reader, at + 24);
	if (out->caplen > PB_CAPLEN_MAX)
		return reader_fail(reader, PB_EFORMAT, "the packet has %"
		    PRIu32 " bytes; %u is the most that can be read",
		    out->caplen, PB_CAPLEN_MAX);
	padded = pb_round_up(out->caplen, 4);
	if (padded > block->len - PB_EPB_HEAD - PB_BLOCK_TRAILER)
		return reader_fail(reader, PB_EFORMAT, "the packet of %" PRIu32
		    " bytes leaves its block of %zu", out->caplen, block->len);
	out->data = at + PB_EPB_HEAD;
	event->kind = PB_EVENT_PACKET;
	return options(reader, block, PB_EPB_HEAD + padded,
	    old ? OPTIONS_OF_OLD_PACKET : OPTIONS_OF_PACKET, event);
}

static int
simple_packet(struct pb_reader *reader, const struct block *block,
    struct pb_event *event)
{
	struct pb_packet *out = &event->packet;
	uint32_t snaplen;
	size_t room;
	int rc = block_min(reader, block, PB_SPB_HEAD, "a simple packet");

	if (rc < 0)
		return rc;
	if (reader->interfaces == 0)
		return reader_fail(reader, PB_EFORMAT, "a simple packet in a "
		    "section without interfaces");
	snaplen = reader->interface[0].snaplen;
	room = block->len - PB_SPB_HEAD - PB_BLOCK_TRAILER;
	out->origlen = reader_u32(reader, block->at + 8);
	out->caplen = out->origlen;
	if (snaplen != 0 && out->caplen > snaplen)
		out->caplen = snaplen;
	if (out->caplen > room)
		out->caplen = (uint32_t)room;
	if (out->caplen > PB_CAPLEN_MAX)
		return reader_fail(reader, PB_EFORMAT, "the packet has %"
		    PRIu32 " bytes; %u is the most that can be read",
		    out->caplen, PB_CAPLEN_MAX);
	out->data = block->at + PB_SPB_HEAD;
	event->kind = PB_EVENT_PACKET;
	return PB_READ_EVENT;
}

/* --- the rest ------------------------------------------------------------ */

static int
statistics(struct pb_reader *reader, const struct block *block,
    struct pb_event *event)
{
	int rc = block_min(reader, block, PB_ISB_HEAD, "interface statistics");

	if (rc < 0)
		return rc;
	event->interface = reader_u32(reader, block->at + 8);
	rc = time_at(reader, block->at + 12, event);
	if (rc < 0)
		return rc;
	event->kind = PB_EVENT_STATISTICS;
	return options(reader, block, PB_ISB_HEAD, OPTIONS_OF_STATISTICS,
	    event);
}

static int
other(struct pb_reader *reader, const struct block *block,
    struct pb_event *event)
{
	event->kind = PB_EVENT_BLOCK;
	event->block_type = block->type;
	event->block = block->at;
	event->block_len = block->len;
	event->swapped = reader->big;
	return PB_READ_EVENT;
}

/* The block's options from `head` on; returns PB_READ_EVENT. */
static int
options(struct pb_reader *reader, const struct block *block, size_t head,
    enum options_of of, struct pb_event *event)
{
	uint16_t drops = DROPS_UNKNOWN;
	int rc;

	pb_buf_clear(&reader->scratch);
	rc = pb_options_canonical(&reader->scratch, of, reader->big,
	    block->at + head, block->len - head - PB_BLOCK_TRAILER,
	    &event->packet.options, &event->packet.options_len);
	if (rc == 0 && of == OPTIONS_OF_OLD_PACKET)
		drops = reader_u16(reader, block->at + 10);
	if (rc == 0 && drops != DROPS_UNKNOWN) {
		rc = pb_option_put_u64(&reader->scratch,
		    PB_OPT_EPB_DROPCOUNT, drops);
		event->packet.options = reader->scratch.data;
		event->packet.options_len = reader->scratch.len;
	}
	if (rc == PB_EFORMAT)
		return reader_fail(reader, rc, "an option's length leaves the "
		    "block's list of options");
	if (rc == PB_ELIMIT)
		return reader_fail(reader, rc, "more than %u bytes of options "
		    "in one block", PB_OPTIONS_BYTES_MAX);
	if (rc < 0)
		return reader_fail(reader, rc, "no memory for the block's "
		    "options");
	return PB_READ_EVENT;
}

/* The two words of a time stamp of event->interface, in nanoseconds. */
static int
time_at(struct pb_reader *reader, const uint8_t *at, struct pb_event *event)
{
	if (event->interface >= reader->interfaces)
		return reader_fail(reader, PB_EFORMAT, "interface %" PRIu32 " "
		    "is not described; the section has %" PRIu32 " so far",
		    event->interface, reader->interfaces);
	if (!pb_ticks_ns(&reader->interface[event->interface].clock,
	    (uint64_t)reader_u32(reader, at) << 32 |
	    reader_u32(reader, at + 4), &event->packet.time_ns))
		return reader_fail(reader, PB_EFORMAT, "the time stamp is not "
		    "within 1970 to 2554, counted in nanoseconds of 64 bits");
	event->has_time = true;
	return 0;
}
