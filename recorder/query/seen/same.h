/*
 * recorder/query/seen/same.h - is it the same packet, seen at another point?
 *
 * A packet's content as one number, XXH3 of 64 bits: whether two are equal is
 * a matter of these alone.  Its seed is random, so that nobody sends packets
 * that only seem to be equal.  Compared is the frame as it was before the first
 * switch, without trailers, header stamps and FCS, where those parse
 * (recorder/trailer/trailer.h).
 *
 * As it is: all captured bytes of that, and its length.
 *
 * Routed, what a bridge or a router changes is left out as well: the link
 * layer's header and tags (MAC addresses, VLANs), padding behind an IP
 * packet; IPv4's time to live and header checksum, IPv6's hop limit.  All else
 * counts, the IPv4 identification, DSCP and ECN, ports and checksums of the
 * transport among it: address translation makes another packet.  Of one that
 * is not IP, its EtherType and what stands behind.
 *
 * Bytes that were not captured cannot be compared: both points are to have
 * the same snaplen.
 */
#ifndef PB_QUERY_SAME_H
#define PB_QUERY_SAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/query/seen/stamps.h"
#include "recorder/trailer/trailer.h"

struct pb_same {		/* zeroed memory is one */
	uint8_t		*frame;		/* a copy, to leave things out of */
	size_t		 room;
	uint64_t	 seed;		/* 0: not drawn yet */
};

void	pb_same_finish(struct pb_same *same);

/*
 * The hash of a frame of `caplen` captured bytes that had `len` on the wire,
 * of which `read` says what stands on it (NULL: nothing); to be compared with
 * others of `same` alone.  False where there is no memory.
 */
bool	pb_same_hash(struct pb_same *same, bool routed, uint16_t linktype,
	    const uint8_t *frame, uint32_t caplen, uint32_t len,
	    const struct pb_trailers *read, uint64_t *hash);

/*
 * The same of a stored packet, by the list of its stream.  1; 0 for a
 * keyframe, which a switch made by itself and no other point sees; or
 * PB_ENOMEM.
 */
int	pb_same_packet(struct pb_same *same, bool routed,
	    const struct pb_stamp_stream *stream,
	    const struct pb_packet *packet, uint64_t *hash);

#endif
