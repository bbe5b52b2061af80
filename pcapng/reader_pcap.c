/*
 * pcapng/reader_pcap.c - classic pcap: both byte orders, us and ns
 *
 * Source: draft-ietf-opsawg-pcap-06 and what libpcap 1.10 accepts: versions
 * 2.0 to 2.4 and 543.0.  The header's time zone and accuracy are not used
 * by anybody and are not looked at.
 */
#include "pcapng/option.h"
#include "pcapng/reader_impl.h"

#define PCAP_HEADER	24u
#define PCAP_RECORD	16u
#define MAGIC_US	0xA1B2C3D4u
#define MAGIC_NS	0xA1B23C4Du

/* The link type field: 4 bits FCS length, reserved, F, reserved, type. */
#define LINKTYPE_OF(field)	((uint16_t)((field) & 0xFFFF))
#define LINKTYPE_RESERVED	0x03FF0000u
#define LINKTYPE_HAS_FCS	0x04000000u
#define LINKTYPE_FCS_WORDS(field) ((field) >> 28)	/* of 16 bits */

static int	header_magic(struct pb_reader *, const uint8_t *);
static int	header_version(struct pb_reader *, const uint8_t *);
static void	order_lengths(const struct pb_reader *, uint32_t *,
		    uint32_t *);

int
pb_reader_pcap_header(struct pb_reader *reader, const uint8_t *data,
    size_t len, size_t *used, struct pb_event *event)
{
	int rc = header_magic(reader, data);

	if (rc < 0)
		return rc;
	if (len < PCAP_HEADER) {
		reader->need = PCAP_HEADER;
		return PB_READ_MORE;
	}
	rc = header_version(reader, data);
	if (rc < 0)
		return rc;
	reader->pcap_snaplen = reader_u32(reader, data + 16);
	reader->pcap_linktype = reader_u32(reader, data + 20);
	if ((reader->pcap_linktype & LINKTYPE_RESERVED) != 0)
		return reader_fail_at(reader, PB_EFORMAT, 20,
		    "the link type field is 0x%08" PRIx32 "; its reserved "
		    "bits must be zero", reader->pcap_linktype);
	reader->readable = true;
	reader->sections = 1;
	reader->state = READER_PCAP_INTERFACE;
	event->kind = PB_EVENT_SECTION;
	*used = PCAP_HEADER;
	return PB_READ_EVENT;
}

int
pb_reader_pcap_interface(struct pb_reader *reader, struct pb_event *event)
{
	uint32_t field = reader->pcap_linktype;

	event->kind = PB_EVENT_INTERFACE;
	event->linktype = LINKTYPE_OF(field);
	event->snaplen = reader->pcap_snaplen;
	if ((field & LINKTYPE_HAS_FCS) != 0) {
		/* if_fcslen counts octets, as Wireshark reads it. */
		if (pb_option_put_u8(&reader->scratch, PB_OPT_IF_FCSLEN,
		    (uint8_t)(2 * LINKTYPE_FCS_WORDS(field))) < 0)
			return reader_fail_at(reader, PB_ENOMEM, 0,
			    "no memory for the options of the interface");
		event->packet.options = reader->scratch.data;
		event->packet.options_len = reader->scratch.len;
	}
	reader->state = READER_PCAP;
	return PB_READ_EVENT;
}

int
pb_reader_pcap_record(struct pb_reader *reader, const uint8_t *data,
    size_t len, size_t *used, struct pb_event *event)
{
	struct pb_packet *packet = &event->packet;

	if (len < PCAP_RECORD) {
		reader->need = PCAP_RECORD;
		return PB_READ_MORE;
	}
	packet->caplen = reader_u32(reader, data + 8);
	packet->origlen = reader_u32(reader, data + 12);
	order_lengths(reader, &packet->caplen, &packet->origlen);
	if (packet->caplen > PB_CAPLEN_MAX)
		return reader_fail(reader, PB_EFORMAT, "the record holds %"
		    PRIu32 " bytes; %u is the most that can be read",
		    packet->caplen, PB_CAPLEN_MAX);
	if (len < PCAP_RECORD + packet->caplen) {
		reader->need = PCAP_RECORD + packet->caplen;
		return PB_READ_MORE;
	}
	packet->time_ns = reader_u32(reader, data) * PB_NS_PER_S +
	    reader_u32(reader, data + 4) * reader->fraction_ns;
	packet->data = data + PCAP_RECORD;
	event->kind = PB_EVENT_PACKET;
	event->offset = reader->offset;
	event->has_time = true;
	*used = PCAP_RECORD + packet->caplen;
	return PB_READ_EVENT;
}

/* --- helpers ------------------------------------------------------------- */

static int
header_magic(struct pb_reader *reader, const uint8_t *data)
{
	uint32_t big = pb_get_be32(data), little = pb_get_le32(data);

	reader->big = big == MAGIC_US || big == MAGIC_NS;
	if (big == MAGIC_US || little == MAGIC_US)
		reader->fraction_ns = 1000;
	else if (big == MAGIC_NS || little == MAGIC_NS)
		reader->fraction_ns = 1;
	else
		return reader_fail(reader, PB_EFORMAT,
		    "neither a pcapng nor a pcap file: it starts with "
		    "%02x %02x %02x %02x", data[0], data[1], data[2],
		    data[3]);
	return 0;
}

static int
header_version(struct pb_reader *reader, const uint8_t *data)
{
	uint16_t major = reader_u16(reader, data + 4);
	uint16_t minor = reader_u16(reader, data + 6);

	if (!(major == 2 && minor <= 4) && !(major == 543 && minor == 0))
		return reader_fail_at(reader, PB_EFORMAT, 4,
		    "pcap version %u.%u; only 2.0 to 2.4 can be read", major,
		    minor);
	if (major == 543 || minor < 3)
		reader->lengths = LENGTHS_ORIGINAL_FIRST;
	else
		reader->lengths = minor == 3 ? LENGTHS_UNSURE :
		    LENGTHS_CAPTURED_FIRST;
	return 0;
}

static void
order_lengths(const struct pb_reader *reader, uint32_t *captured,
    uint32_t *original)
{
	uint32_t first = *captured;

	if (reader->lengths == LENGTHS_ORIGINAL_FIRST ||
	    (reader->lengths == LENGTHS_UNSURE && first > *original)) {
		*captured = *original;
		*original = first;
	}
}
