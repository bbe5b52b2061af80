/*
 * recorder/trailer/formats.c - the table of formats
 *
 * cPacket's trailer has Metamako's layout, and a name of its own.
 */
#include "recorder/trailer/formats.h"

#define VLAN_BYTES	4u
#define VLANS_MAX	4

/* How far a switch's clock and the capture's may be apart where one has to
 * tell the upper bits of the other. */
#define APART_NS_MAX	(3600 * PB_NS_PER_S)

const struct pb_trailer_format pb_trailer_formats[PB_TRAILER_FORMATS] = {
	{ .name = "metamako", .number = PB_STAMP_METAMAKO,
	  .take = pb_take_metamako, .tail = 12, .keeps_fcs = true },
	{ .name = "cpacket", .number = PB_STAMP_CPACKET,
	  .take = pb_take_metamako, .tail = 12, .keeps_fcs = true },
	{ .name = "exablaze", .number = PB_STAMP_EXABLAZE,
	  .take = pb_take_exablaze, .tail = 12, .keeps_fcs = true },
	{ .name = "vss", .number = PB_STAMP_VSS,
	  .take = pb_take_vss, .tail = 8,
	  .argument = { .min = 1, .max = 2, .bytes = true } },
	{ .name = "ixia", .number = PB_STAMP_IXIA,
	  .take = pb_take_ixia, .tail = 5 },
	{ .name = "arista7280", .number = PB_STAMP_ARISTA7280,
	  .take = pb_take_arista7280, .says_scale = true },
	{ .name = "arista7150", .number = PB_STAMP_ARISTA7150,
	  .take = pb_take_arista7150, .tail = 4, .says_scale = true,
	  .keyframes = true },
	{ .name = "mac48", .number = PB_STAMP_MAC48, .take = pb_take_mac48 },
	{ .name = "ttag", .number = PB_STAMP_TTAG,
	  .take = pb_take_ttag,
	  .argument = { .min = 0x600, .max = 0xFFFF, .hexadecimal = true } },
	{ .name = "broadcom", .number = PB_STAMP_BROADCOM,
	  .take = pb_take_broadcom, .tail = 10 },
	{ .name = "raw", .number = PB_STAMP_RAW,
	  .argument = { .min = 1, .max = PB_TRAILER_RAW_MAX, .needed = true,
	      .bytes = true } },
};

const char *
pb_trailer_name(size_t n)
{
	return n < PB_TRAILER_FORMATS ? pb_trailer_formats[n].name : NULL;
}

const char *
pb_stamp_format_name(uint8_t format)
{
	for (size_t i = 0; i < PB_TRAILER_FORMATS; i++)
		if (pb_trailer_formats[i].number == format)
			return pb_trailer_formats[i].name;
	return "?";
}

void
pb_trailer_add(struct pb_trailer_list *list,
    const struct pb_trailer_format *format, unsigned argument, bool tai)
{
	struct pb_trailer *trailer = &list->at[list->count++];

	*trailer = (struct pb_trailer){ .format = format,
	    .argument = (uint16_t)argument, .tai = tai,
	    .keeps_fcs = format->keeps_fcs,
	    .tail = (uint8_t)(format->tail +
		(format->argument.bytes ? argument : 0)) };
	list->needs_context |= format->keyframes;
	/* Where a switch put on two, there is room between for an FCS. */
	if (format->number == PB_STAMP_BROADCOM && list->count > 1 &&
	    trailer[-1].format == format)
		trailer[-1].keeps_fcs = true;
	if (format->take == NULL)
		return;
	memmove(list->place + 1, list->place, list->stamps++);
	list->place[0] = (uint8_t)list->count;
}

unsigned
pb_stamp_extend(const struct peel *peel, struct pb_stamp *stamp, bool tai,
    uint64_t low_ns, uint64_t range_ns)
{
	uint64_t ahead = (uint64_t)((tai ? peel->list->tai_utc : 0) *
	    (int64_t)PB_NS_PER_S);
	uint64_t near = peel->capture_ns + ahead, ns, apart;

	ns = near - near % range_ns + low_ns;
	if (ns > near && ns - near > range_ns / 2 && ns >= range_ns)
		ns -= range_ns;
	else if (ns < near && near - ns > range_ns / 2)
		ns += range_ns;
	apart = ns > near ? ns - near : near - ns;
	stamp->time_ns = ns - ahead;
	return PB_STAMP_EXTENDED | (apart <= APART_NS_MAX &&
	    peel->capture_ns > STAMP_SECONDS_MIN * PB_NS_PER_S ?
	    PB_STAMP_TIMED : PB_STAMP_ADRIFT);
}

uint32_t
pb_peel_vlans(const struct peel *peel)
{
	uint32_t at = peel->type_at;

	for (int i = 0; i < VLANS_MAX; i++) {
		uint16_t type = pb_get_be16(peel->frame + at);

		if ((type != 0x8100 && type != 0x88A8 && type != 0x9100) ||
		    peel->end < at + VLAN_BYTES + 2)
			break;
		at += VLAN_BYTES;
	}
	return at;
}

uint16_t
pb_ip_checksum(const uint8_t *at, uint32_t len)
{
	uint32_t sum = 0, i;

	for (i = 0; i + 1 < len; i += 2)
		sum += pb_get_be16(at + i);
	if (i < len)
		sum += (uint32_t)at[i] << 8;
	sum = (sum & 0xFFFF) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}
