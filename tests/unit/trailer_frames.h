/*
 * tests/unit/trailer_frames.h - frames as switches make them, and read
 *
 * A frame on the wire always ends with an FCS.  A switch keeps it inside what
 * it puts on, or drops it, and writes a new one.
 */
#ifndef PB_UNIT_TRAILER_FRAMES_H
#define PB_UNIT_TRAILER_FRAMES_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/trailer/trailer.h"

#define NOW_S	1700000000u		/* of captures and of stamps */
#define NOW_NS	(NOW_S * 1000000000ull)

struct frame {
	uint32_t len;
	uint8_t	 data[10000];
};

static struct frame frame;
static struct pb_trailer_list list;
static struct pb_trailer_context context;
static struct pb_trailers got;

/* CRC-32 bit by bit. */
static inline uint32_t
frame_crc(const uint8_t *data, uint32_t len)
{
	uint32_t crc = 0xFFFFFFFF;

	for (uint32_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
	}
	return ~crc;
}

static inline void
put(const void *bytes, uint32_t len)
{
	memcpy(frame.data + frame.len, bytes, len);
	frame.len += len;
}

static inline void
put_be(uint64_t value, int bytes)
{
	while (bytes-- > 0)
		frame.data[frame.len++] = (uint8_t)(value >> 8 * bytes);
}

static inline void
put_fcs(void)
{
	pb_put_le32(frame.data + frame.len, frame_crc(frame.data, frame.len));
	frame.len += 4;
}

static inline void
drop_fcs(void)
{
	frame.len -= 4;
}

/* What the first host sends: `bytes` without the FCS, and that. */
static inline void
host_sends(uint32_t bytes)
{
	static const uint8_t head[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1,
	    0x08, 0x00 };

	frame.len = 0;
	put(head, sizeof(head));
	for (uint32_t i = sizeof(head); i < bytes; i++)
		put_be(i * 7 + i / 256, 1);
	put_fcs();
}

/* --- switches ------------------------------------------------------------ */

static inline void
metamako_with(const void *extensions, uint32_t bytes, uint32_t s, uint32_t ns,
    uint8_t flags, uint16_t device, uint8_t port)
{
	put(extensions, bytes);
	put_be(s, 4);
	put_be(ns, 4);
	put_be(flags, 1);
	put_be(device, 2);
	put_be(port, 1);
	put_fcs();
}

static inline void
metamako(uint32_t s, uint32_t ns, uint8_t flags, uint16_t device, uint8_t port)
{
	metamako_with("", 0, s, ns, flags, device, port);
}

static inline void
exablaze(uint8_t device, uint8_t port, uint32_t s, uint64_t fraction)
{
	put_be(device, 1);
	put_be(port, 1);
	put_be(s, 4);
	put_be(fraction, 5);
	put_be(0, 1);
	put_fcs();
}

static inline void
vss(uint32_t s, uint32_t source_ns, int port_bytes, uint16_t port)
{
	drop_fcs();
	put_be(s, 4);
	put_be(source_ns, 4);
	put_be(port, port_bytes);
	put_fcs();
}

/* `fields` of so many bytes, and their end with a checksum made here. */
static inline void
ixia(const uint8_t *fields, uint8_t bytes)
{
	uint32_t sum = 0, begin;

	drop_fcs();
	begin = frame.len;
	put(fields, bytes);
	put_be(bytes, 1);
	put_be(0xAF12, 2);
	for (uint32_t i = begin; i < frame.len; i++)
		sum += (uint32_t)frame.data[i] << ((i - begin) % 2 ? 0 : 8);
	sum = (sum & 0xFFFF) + (sum >> 16);
	put_be(~(sum + (sum >> 16)) & 0xFFFF, 2);
	put_fcs();
}

static inline void
ixia_time(uint8_t type, uint32_t s, uint32_t ns)
{
	uint8_t fields[10] = { type, 8 };

	pb_put_be32(fields + 2, s);
	pb_put_be32(fields + 6, ns);
	ixia(fields, sizeof(fields));
}

/* A header of so many bytes in front of the EtherType. */
static inline void
header(const uint8_t *bytes, uint32_t len)
{
	drop_fcs();
	memmove(frame.data + 12 + len, frame.data + 12, frame.len - 12);
	memcpy(frame.data + 12, bytes, len);
	frame.len += len;
	put_fcs();
}

static inline void
arista7280(uint16_t version, uint32_t s, uint32_t ns)
{
	uint8_t bytes[14] = { 0xD2, 0x8B, 0, 1 };
	int seconds = (version >> 4 & 15) == 1 ? 4 : 2;

	pb_put_be16(bytes + 4, version);
	if (seconds == 4)
		pb_put_be32(bytes + 6, s);
	else
		pb_put_be16(bytes + 6, (uint16_t)s);
	pb_put_be32(bytes + 6 + seconds, ns);
	header(bytes, 10 + (uint32_t)seconds);
}

static inline void
arista7150(uint32_t tick)
{
	drop_fcs();
	put_be((tick & 0x7FFFFF80) << 1 | (tick & 0x7F), 4);
	put_fcs();
}

static inline void
mac48(uint16_t s, uint32_t ns)
{
	drop_fcs();
	pb_put_be16(frame.data + 6, s);
	pb_put_be32(frame.data + 8, ns);
	put_fcs();
}

static inline void
ttag(uint64_t ns)
{
	drop_fcs();
	put_be(ns, 6);
	put_fcs();
}

static inline void
broadcom(uint32_t s, uint32_t ns, uint32_t origin)
{
	drop_fcs();
	put_be((uint64_t)(s & 0x3FFFF) << 30 | ns, 6);
	put_be(0, 1);
	put_be(origin, 3);
	put_fcs();
}

/* --- reading ------------------------------------------------------------- */

/* Read `len` bytes of which `caplen` were captured, from memory that ends
 * there. */
static inline void
read_cut(uint32_t caplen, uint32_t len, uint64_t capture_ns)
{
	uint8_t *copy = malloc(caplen > 0 ? caplen : 1);

	assert_non_null(copy);
	memcpy(copy, frame.data, caplen);
	memset(&got, 0xA5, sizeof(got));
	pb_trailers_read(&list, &context, copy, caplen, len, capture_ns, &got);
	free(copy);
}

static inline void
read_frame(void)
{
	read_cut(frame.len, frame.len, NOW_NS);
}

static inline void
list_is(const char *text, bool fcs)
{
	struct pb_err err;

	assert_int_equal(pb_trailer_list_parse(&list, text, &err), 0);
	list.fcs = fcs;
	list.tai_utc = 37;
	memset(&context, 0, sizeof(context));
}

/* What a reader may say of any bytes at all. */
static inline void
assert_within(uint32_t caplen)
{
	uint32_t at = 0, out = 0;

	assert_true(got.read <= list.count && got.count <= got.read);
	assert_true(got.holes <= got.read);
	assert_true(got.fcs_at + (got.has_fcs ? 4 : 0) <= caplen);
	for (unsigned i = 0; i < got.holes; i++) {
		assert_true(got.hole[i].at >= at);
		at = (uint32_t)got.hole[i].at + got.hole[i].bytes;
		out += got.hole[i].bytes;
	}
	assert_true(at <= got.fcs_at);
	assert_int_equal(got.len, got.fcs_at - out);
	for (unsigned i = 0; i < got.count; i++)
		assert_true((got.at[i].flags & (PB_STAMP_TIMED |
		    PB_STAMP_ADRIFT)) != (PB_STAMP_TIMED | PB_STAMP_ADRIFT));
}

/* What `host_sends(bytes)` sent is what is left, with its FCS or without. */
static inline void
assert_restored(uint32_t bytes, bool fcs)
{
	static struct frame original;
	struct frame now = frame;
	uint8_t *out;

	assert_true(got.whole);
	assert_int_equal(got.has_fcs, fcs);
	assert_int_equal(got.len, bytes);
	assert_int_equal(pb_trailers_check_fcs(&got, frame.data),
	    fcs ? 1 : -1);
	host_sends(bytes);
	original = frame;
	frame = now;
	out = malloc(frame.len);
	assert_non_null(out);
	assert_int_equal(pb_trailers_strip(&got, frame.data, false, out),
	    bytes);
	assert_memory_equal(out, original.data, bytes);
	assert_int_equal(pb_trailers_strip(&got, frame.data, true, out),
	    bytes + (fcs ? 4 : 0));
	assert_memory_equal(out, original.data, bytes + (fcs ? 4 : 0));
	free(out);
}

static inline void
assert_stamp(unsigned i, enum pb_stamp_format format, uint64_t ns,
    uint32_t fraction, uint8_t flags)
{
	assert_true(i < got.count);
	assert_int_equal(got.at[i].format, format);
	assert_int_equal(got.at[i].time_ns, ns);
	assert_int_equal(got.at[i].fraction, fraction);
	assert_int_equal(got.at[i].flags, flags);
}

static inline void
assert_place(unsigned i, uint16_t device, uint16_t port)
{
	assert_true(got.at[i].flags & PB_STAMP_PLACED);
	assert_int_equal(got.at[i].device, device);
	assert_int_equal(got.at[i].port, port);
}

#endif
