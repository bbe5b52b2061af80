/*
 * tests/unit/ingest_body.h - request bodies made by hand
 */
#ifndef PB_TESTS_INGEST_BODY_H
#define PB_TESTS_INGEST_BODY_H

#include <stdlib.h>

#include "base/bytes.h"
#include "pcapng/hop.h"
#include "tests/unit/ng_image.h"

#define BODY_EPOCH	0x0123456789abcdefull
#define BODY_TIME(seq)	(1700000000000000000ull + (seq) * 1000)
#define BODY_PEN	32473u

struct body_opts {
	uint64_t	first, last;
	bool		big;		/* byte order */
	int		nodes;		/* of the way; 0: says nothing */
	const char	*node[PB_HOPS_MAX + 1];
	int		hops;		/* records per packet */
	uint32_t	caplen;		/* 0: 60 */
	const char	*interface;	/* NULL: eth0 */
};

static inline struct image *
body_begin(bool big)
{
	struct image *img = calloc(1, sizeof(*img));

	assert(img != NULL);
	img->big = big;
	return img;
}

/* The value of an option of ours: the PEN in the image's byte order. */
static inline size_t
body_own(const struct image *img, uint8_t *at, uint8_t kind)
{
	if (img->big)
		pb_put_be32(at, BODY_PEN);
	else
		pb_put_le32(at, BODY_PEN);
	memcpy(at + 4, "PB\1", 3);
	at[7] = kind;
	return 8;
}

static inline void
body_head(struct image *img, const struct body_opts *opts)
{
	const char *interface = opts->interface != NULL ? opts->interface :
	    "eth0";
	uint8_t value[4096];
	size_t len;

	img_shb_begin(img, 1, 0);
	if (opts->nodes > 0) {
		len = body_own(img, value, 1);
		pb_put_le64(value + len, BODY_EPOCH);
		pb_put_le64(value + len + 8, 1);
		len += 16;
		value[len++] = (uint8_t)opts->nodes;
		for (int i = 0; i < opts->nodes; i++) {
			size_t n = strlen(opts->node[i]);

			value[len++] = (uint8_t)n;
			value[len++] = 0;
			memcpy(value + len, opts->node[i], n);
			len += n;
		}
		value[len++] = (uint8_t)strlen(interface);
		memcpy(value + len, interface, strlen(interface));
		len += strlen(interface);
		img_option(img, 2989, value, len);
		img_number(img, 0, 4);
	}
	img_end(img);
	img_idb_clock(img, 9, 0);
}

static inline void
body_packet(struct image *img, const struct body_opts *opts, uint64_t seq)
{
	uint8_t data[8192], value[8 + 16 * (PB_HOPS_MAX + 1)];
	uint32_t caplen = opts->caplen != 0 ? opts->caplen : 60;
	size_t len;

	assert(caplen <= sizeof(data));
	memset(data, (int)(seq & 0xFF), caplen);
	img_epb_begin(img, 0, BODY_TIME(seq), data, caplen, caplen);
	img_option_number(img, 5, seq, 8);
	if (opts->hops > 0) {
		len = body_own(img, value, 2);
		for (int i = 0; i < opts->hops; i++) {
			pb_put_le64(value + len, BODY_TIME(seq) + 1);
			pb_put_le64(value + len + 8, seq + 100);
			len += 16;
		}
		img_option(img, 2989, value, len);
	}
	img_number(img, 0, 4);
	img_end(img);
}

static inline struct image *
body_image(const struct body_opts *opts)
{
	struct image *img = body_begin(opts->big);

	body_head(img, opts);
	for (uint64_t seq = opts->first; seq <= opts->last; seq++)
		body_packet(img, opts, seq);
	return img;
}

#endif
