/*
 * recorder/intake/body_impl.h - private: working memory of body.c
 *
 * For body.c, and for tests that compare its two ways of reading a packet.
 */
#ifndef PB_INGEST_BODY_IMPL_H
#define PB_INGEST_BODY_IMPL_H

#include "recorder/intake/body.h"

struct pb_body_scratch {
	struct pb_buf	shb;		/* options of the section header */
	struct pb_buf	waiting;	/* blocks before the next packet */
	struct pb_buf	statistics;	/* options of one ISB */
	bool		no_plain;	/* tests: all through the reader */
	uint64_t	plain;		/* packets that did without it */
	uint8_t		options[PB_OPTIONS_BYTES_MAX + PB_HOP_GROWTH_MAX];
};

#endif
