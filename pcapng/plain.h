/*
 * pcapng/plain.h - plain packets: read in one pass, written in one copy
 *
 * A plain packet is an Enhanced Packet Block as our own shippers send it:
 * little-endian, interface 0, its padding zero, its lengths within the
 * limits of what we store, its number the first option, and of our hops
 * and of epb_dropcount at most one each.  There may be any other options.
 * What is not plain may still be right: reader.h reads that, and says what
 * is wrong where it is not.
 */
#ifndef PB_PCAPNG_PLAIN_H
#define PB_PCAPNG_PLAIN_H

#include "pcapng/hop.h"

struct pb_plain {
	const uint8_t	*block;		/* borrowed: its first byte */
	size_t		 len;		/* of the block */
	size_t		 end;		/* from its start: where its options
					 * end, opt_endofopt left out */
	size_t		 grows_at;	/* where its next hop record goes */
	size_t		 hops_len;	/* value of its hops option; 0: none */
	uint32_t	 caplen;
	uint64_t	 ticks;		/* its time, in the interface's unit */
	uint64_t	 seq;		/* epb_packetid, not 0 */
	uint64_t	 dropped;	/* epb_dropcount; 0 where not told */
};

/*
 * Read the packet at `data`.  False where the `len` bytes do not begin with
 * a whole plain one; `*out` then means nothing.  Its hops option is not
 * looked into: it is right where hops_len is pb_hops_bytes() of the way.
 */
bool	pb_plain_read(const uint8_t *data, size_t len, struct pb_plain *out);

/* Bytes that pb_plain_write() writes, with or without one hop more. */
static inline size_t
pb_plain_bytes(const struct pb_plain *packet, bool hop)
{
	size_t growth = packet->hops_len > 0 ? PB_HOP_BYTES :
	    PB_HOP_GROWTH_MAX;

	return packet->end + (hop ? growth : 0) + 8; /* opt_endofopt, length */
}

/*
 * Write the block at `at` as pb_build_epb() would, with one hop record
 * more as pb_hops_append() would add it (NULL: none).  A packet that gets
 * one has at most PB_HOPS_MAX - 2.  No checks, no memory.
 */
void	pb_plain_write(uint8_t *at, const struct pb_plain *packet,
	    uint32_t pen, const struct pb_hop *hop);

#endif
