/*
 * recorder/trailer/formats.c - the table of formats
 *
 * cPacket's trailer has Metamako's layout, and a name of its own.
 */
#include "recorder/trailer/formats.h"

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
	  .take = pb_take_ttag, .tail = 6,
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
