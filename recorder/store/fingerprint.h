/*
 * recorder/store/fingerprint.h - is it the same packet at two nodes?
 *
 * A block grows on its way (each hop adds a record), so blocks differ where
 * packets do not.  What stays the same at every node is digested: XXH3 with
 * 64 bits (seed 0) over, little-endian, sequence number (8 bytes), time in
 * ns (8), captured length (4), original length (4), then the captured bytes.
 * docs/protocol.md says the same for strangers.
 */
#ifndef PB_STORE_FINGERPRINT_H
#define PB_STORE_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcapng/scan.h"

struct pb_fingerprint {
	uint64_t	seq;		/* 0: of no packet */
	uint64_t	digest;
	uint32_t	captured;	/* bytes of it, where that is not all
					 * of the packet; else 0 */
};

struct pb_fingerprint pb_fingerprint(const struct pb_packet *packet,
	    uint64_t seq);

/* That of a canonical block: 1; 0 where it is no packet's, nor of the last of
 * those that a filter left out (pcapng/filtered.h); PB_EFORMAT. */
int	pb_fingerprint_block(const struct pb_block *block,
	    struct pb_fingerprint *out);

/*
 * That of the last packet in `len` bytes of whole canonical blocks, which
 * need not begin at one: they are walked from their end.  It may be one that
 * was left out.  False where there is none, or what is there is no block.
 */
bool	pb_fingerprint_last(const uint8_t *data, size_t len,
	    struct pb_fingerprint *out);
/* That of the first one, in blocks that begin at one. */
bool	pb_fingerprint_first(const uint8_t *data, size_t len,
	    struct pb_fingerprint *out);

#endif
