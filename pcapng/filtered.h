/*
 * pcapng/filtered.h - numbers that a filter has left out, said by one block
 *
 * Who sends a stream on may leave packets out of it, and says so where they
 * were: one Interface Statistics Block of a run of them, with a custom
 * option of ours (hop.h), kind 7:
 *
 *	first number u64, last number u64, fingerprint u64 of the last of
 *	them (recorder/store/fingerprint.h); 0: not known
 *
 * The block's time is that of the last one.  So the numbers of a body, and
 * of a segment, go on without a hole: a packet stands for one, such a block
 * for as many as it names.  docs/format.md says the same for strangers.
 */
#ifndef PB_PCAPNG_FILTERED_H
#define PB_PCAPNG_FILTERED_H

#include "pcapng/scan.h"

#define PB_FILTERED_BYTES	64u	/* of the block */

struct pb_filtered {
	uint64_t	first, last;	/* 1 or more; ascending */
	uint64_t	time_ns;
	uint64_t	digest;		/* of number `last`; 0: not known */
};

/* Write the block at `at`; `pen` as of hop.h. */
void	pb_build_filtered(uint8_t *at, const struct pb_filtered *filtered,
	    uint32_t pen);

/* Read it from a canonical block: 1; 0 where it is another one; PB_EFORMAT
 * where its numbers make no sense. */
int	pb_scan_filtered(const struct pb_block *block,
	    struct pb_filtered *out);

/* The same from the options of an ISB of any byte order. */
int	pb_filtered_get(const uint8_t *options, size_t len, uint64_t time_ns,
	    struct pb_filtered *out);

/* What such a block says of numbers outside first .. last is taken out, in
 * place; some lie within. */
void	pb_clip_filtered(uint8_t *block, uint64_t first, uint64_t last);

/* The numbers of a canonical block, packet or not: 1 and them; 0 where it
 * has none; PB_EFORMAT where it must have some, or they make no sense. */
int	pb_scan_numbers(const struct pb_block *block, uint64_t *first,
	    uint64_t *last);

#endif
