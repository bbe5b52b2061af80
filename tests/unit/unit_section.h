/*
 * tests/unit/unit_section.h - sections as a sink is given them
 *
 * Packet `seq` of a section has 60 bytes, and its number in the first eight
 * behind the Ethernet header.
 */
#ifndef PB_TESTS_UNIT_SECTION_H
#define PB_TESTS_UNIT_SECTION_H

#include <string.h>

#include "tests/unit/ng_image.h"

#define SECTION_PACKET	60u
#define SECTION_NUMBER	14u

static inline void
section_begin(struct image *img)
{
	img->len = 0;
	img->big = false;
	img_shb(img);
	img_idb_clock(img, 9, 0);
}

/* A packet of `origlen` bytes on the wire, SECTION_PACKET of them there. */
static inline void
section_packet(struct image *img, uint64_t seq, uint64_t time_ns,
    uint32_t origlen)
{
	uint8_t data[SECTION_PACKET] = { 0 };

	memcpy(data + SECTION_NUMBER, &seq, sizeof(seq));
	img_epb_begin(img, 0, time_ns, data, SECTION_PACKET, origlen);
	img_option_number(img, PB_OPT_EPB_PACKETID, seq, 8);
	img_number(img, 0, 4);
	img_end(img);
}

/* Packets first .. last, `gap_ns` apart from `start_ns` on. */
static inline void
section_make(struct image *img, uint64_t first, uint64_t last,
    uint64_t start_ns, uint64_t gap_ns)
{
	section_begin(img);
	for (uint64_t seq = first; seq <= last; seq++)
		section_packet(img, seq, start_ns + (seq - first) * gap_ns,
		    SECTION_PACKET);
}

#endif
