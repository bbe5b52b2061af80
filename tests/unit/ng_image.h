/*
 * tests/unit/ng_image.h - capture files made by hand, in either byte order
 *
 * It shares no line with pcapng/build.c, so that a mistake there is not
 * made here as well.
 */
#ifndef PB_TESTS_NG_IMAGE_H
#define PB_TESTS_NG_IMAGE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef IMAGE_MAX
#define IMAGE_MAX	(1u << 20)
#endif

struct image {
	bool	big;			/* byte order of what follows */
	size_t	len;
	size_t	block;			/* start of the open block */
	uint8_t	data[IMAGE_MAX];
};

static inline void
img_bytes(struct image *img, const void *data, size_t len)
{
	assert(img->len + len <= IMAGE_MAX);
	if (len > 0)
		memcpy(img->data + img->len, data, len);
	img->len += len;
}

static inline void
img_number(struct image *img, uint64_t value, unsigned bytes)
{
	assert(img->len + bytes <= IMAGE_MAX);
	for (unsigned i = 0; i < bytes; i++) {
		unsigned shift = 8 * (img->big ? bytes - 1 - i : i);

		img->data[img->len++] = (uint8_t)(value >> shift);
	}
}

static inline void
img_patch(struct image *img, size_t at, uint64_t value, unsigned bytes)
{
	size_t end = img->len;

	img->len = at;
	img_number(img, value, bytes);
	img->len = end;
}

static inline void
img_pad(struct image *img, uint8_t with)
{
	while (img->len % 4 != 0)
		img_bytes(img, &with, 1);
}

static inline void
img_begin(struct image *img, uint32_t type)
{
	img->block = img->len;
	img_number(img, type, 4);
	img_number(img, 0, 4);
}

static inline void
img_end(struct image *img)
{
	uint64_t bytes = img->len + 4 - img->block;

	img_number(img, bytes, 4);
	img_patch(img, img->block + 4, bytes, 4);
}

/* The value is `len` bytes as they are. */
static inline void
img_option(struct image *img, uint16_t code, const void *value, size_t len)
{
	img_number(img, code, 2);
	img_number(img, len, 2);
	img_bytes(img, value, len);
	img_pad(img, 0);
}

/* The value is one number of `bytes` bytes in the image's order. */
static inline void
img_option_number(struct image *img, uint16_t code, uint64_t value,
    unsigned bytes)
{
	img_number(img, code, 2);
	img_number(img, bytes, 2);
	img_number(img, value, bytes);
	img_pad(img, 0);
}

static inline void
img_shb_begin(struct image *img, uint16_t major, uint16_t minor)
{
	img_begin(img, 0x0A0D0D0A);
	img_number(img, 0x1A2B3C4D, 4);
	img_number(img, major, 2);
	img_number(img, minor, 2);
	img_number(img, UINT64_MAX, 8);
}

static inline void
img_shb(struct image *img)
{
	img_shb_begin(img, 1, 0);
	img_end(img);
}

static inline void
img_idb_begin(struct image *img, uint16_t linktype, uint32_t snaplen)
{
	img_begin(img, 1);
	img_number(img, linktype, 2);
	img_number(img, 0, 2);
	img_number(img, snaplen, 4);
}

static inline void
img_idb(struct image *img, uint16_t linktype, uint32_t snaplen)
{
	img_idb_begin(img, linktype, snaplen);
	img_end(img);
}

/* An interface with these clock options. */
static inline void
img_idb_clock(struct image *img, uint8_t tsresol, int64_t tsoffset)
{
	img_idb_begin(img, 1, 0);
	img_option(img, 9, &tsresol, 1);
	if (tsoffset != 0)
		img_option_number(img, 14, (uint64_t)tsoffset, 8);
	img_end(img);
}

static inline void
img_ticks(struct image *img, uint64_t ticks)
{
	img_number(img, ticks >> 32, 4);
	img_number(img, ticks & 0xFFFFFFFF, 4);
}

static inline void
img_epb_begin(struct image *img, uint32_t interface, uint64_t ticks,
    const void *data, uint32_t caplen, uint32_t origlen)
{
	img_begin(img, 6);
	img_number(img, interface, 4);
	img_ticks(img, ticks);
	img_number(img, caplen, 4);
	img_number(img, origlen, 4);
	img_bytes(img, data, caplen);
	img_pad(img, 0);
}

static inline void
img_epb(struct image *img, uint32_t interface, uint64_t ticks,
    const void *data, uint32_t caplen)
{
	img_epb_begin(img, interface, ticks, data, caplen, caplen);
	img_end(img);
}

static inline void
img_pcap(struct image *img, uint32_t magic, uint16_t minor, uint32_t linktype)
{
	img_number(img, magic, 4);
	img_number(img, 2, 2);
	img_number(img, minor, 2);
	img_number(img, 0, 8);
	img_number(img, 65535, 4);
	img_number(img, linktype, 4);
}

static inline void
img_record(struct image *img, uint32_t seconds, uint32_t fraction,
    uint32_t first, uint32_t second, const void *data, size_t len)
{
	img_number(img, seconds, 4);
	img_number(img, fraction, 4);
	img_number(img, first, 4);
	img_number(img, second, 4);
	img_bytes(img, data, len);
}

#endif
