/*
 * pcapng/scan.h - walking canonical blocks: what our own files hold
 *
 * The fast way through bytes that we (or another PacketBroker) wrote:
 * little-endian, one section, one interface.  Bounds are checked at every
 * step all the same: a disk can lie.  Anything else goes through reader.h.
 */
#ifndef PB_PCAPNG_SCAN_H
#define PB_PCAPNG_SCAN_H

#include "base/err.h"
#include "pcapng/block.h"

struct pb_block {
	uint32_t	 type;
	uint32_t	 len;		/* of the whole block */
	const uint8_t	*at;		/* its first byte */
};

/*
 * The block at `data`: 1; 0 where `len` bytes do not hold a whole one;
 * PB_EFORMAT where no block can start like this (length below 12, above
 * PB_BLOCK_BYTES_MAX, no multiple of 4, or its trailing copy differs).
 */
int	pb_scan_block(const uint8_t *data, size_t len, struct pb_block *out);

/*
 * The packet of an EPB, borrowed from the block.  PB_EFORMAT where lengths
 * leave the block or caplen is over PB_CAPLEN_MAX.  Options are checked
 * to be walkable.
 */
int	pb_scan_epb(const struct pb_block *block, struct pb_packet *out);

/* Its sequence number: epb_packetid.  False where it has none. */
bool	pb_packet_seq(const struct pb_packet *packet, uint64_t *seq);

/*
 * The options of an SHB, IDB or ISB, borrowed, without opt_endofopt;
 * for an IDB its link type as well (NULL where not wanted).
 */
int	pb_scan_options(const struct pb_block *block, const uint8_t **options,
	    size_t *len, uint16_t *linktype);

/*
 * May a segment hold the block behind its head?  False for a second head,
 * packets that carry no number, Custom Blocks, another interface than 0,
 * and statistics whose options leave them.  Packets: pb_scan_epb().
 */
bool	pb_scan_storable(const struct pb_block *block);

/* True for a filler ISB (build.h), whatever its PEN. */
bool	pb_scan_is_filler(const struct pb_block *block);

/* The age of its store, ms, at which a segment was begun, from the block
 * behind its head (build.h); 0 where it says none. */
uint64_t pb_scan_begun(const struct pb_block *block);

#endif
