/*
 * pcapng/hop.h - PacketBroker's own options: who, where, when
 *
 * All are custom binary options (2989) under the configured Private
 * Enterprise Number.  The value: PEN (4 octets, in the section's byte
 * order as the draft demands; the rest is little-endian always), then
 * 'P' 'B', version 1, kind, then by kind:
 *
 *   1 segment  in the SHB: epoch u64, first sequence number u64, node
 *              count u8, then per node, the origin first, the node that
 *              wrote this file last: name length u8, description length
 *              u8, name, description; then interface name length u8,
 *              interface name.
 *   2 hops     in an EPB: one record per node after the origin, in the
 *              order of the way: arrival time u64 (ns), node's own
 *              running number u64.
 *   3 filler   in an ISB: zeros; the block only fills a page.
 *   4 untimed  in an EPB: empty; the packet came without a time stamp.
 *   5 stamps, 6 interface: stamp.h.
 *   7 filtered in an ISB: numbers that a filter left out (filtered.h).
 *
 * docs/format.md says the same for strangers.
 */
#ifndef PB_PCAPNG_HOP_H
#define PB_PCAPNG_HOP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "pcapng/block.h"
#include "pcapng/option.h"

#define PB_PEN_EXAMPLE	32473u	/* RFC 5612: for documentation */
#define PB_HOPS_MAX	16	/* nodes on a way, the origin included */
#define PB_HOP_BYTES	16u	/* a hop record: time u64, number u64 */

enum pb_own_kind {
	PB_OWN_SEGMENT = 1,
	PB_OWN_HOPS = 2,
	PB_OWN_FILLER = 3,
	PB_OWN_UNTIMED = 4,
	PB_OWN_STAMPS = 5,	/* stamp.h */
	PB_OWN_INTERFACE = 6,	/* stamp.h */
	PB_OWN_FILTERED = 7,
};

struct pb_node {
	char	name[PB_NAME_BYTES_MAX + 1];
	char	description[PB_TEXT_BYTES_MAX];	/* 255 bytes and a NUL */
};

/* What a segment says about itself. */
struct pb_identity {
	uint64_t	epoch;
	uint64_t	first_seq;
	char		interface[PB_IFNAME_BYTES_MAX + 1];
	int		nodes;			/* 1 .. PB_HOPS_MAX */
	struct pb_node	node[PB_HOPS_MAX];	/* [0] is the origin */
};

struct pb_hop {
	uint64_t	time_ns;	/* arrival */
	uint64_t	seq;		/* the node's own running number */
};

/* Is it an option of ours of this kind, whatever its PEN?  And the first one
 * in a list: false where there is none. */
bool	pb_own_option(const struct pb_option *option, enum pb_own_kind kind);
bool	pb_own_find(const uint8_t *options, size_t len,
	    enum pb_own_kind kind, struct pb_option *out);

/* Append the segment option to an SHB's list. */
int	pb_identity_put(struct pb_buf *options, uint32_t pen,
	    const struct pb_identity *identity);

/*
 * Read it from an SHB's list, whatever its PEN.  1 found, 0 none,
 * PB_EFORMAT where one is there and is wrong (a count, a length, a name
 * that pb_name_valid() refuses, an epoch or first number of 0).
 */
int	pb_identity_get(const uint8_t *options, size_t len,
	    struct pb_identity *out, struct pb_err *err);

/* Put another epoch into it, in place.  False where there is none. */
bool	pb_identity_put_epoch(uint8_t *options, size_t len, uint64_t epoch);

/*
 * The hop records of a packet's options: their number (0 where there are
 * none), PB_EFORMAT where malformed or more than PB_HOPS_MAX - 1.
 */
int	pb_hops_get(const uint8_t *options, size_t len,
	    struct pb_hop out[static PB_HOPS_MAX]);

/* Bytes of the value of a hops option with so many records; 0 for none. */
size_t	pb_hops_bytes(int records);

/*
 * Write at `at` the options of `len` bytes with one hop record more: an
 * existing hops option grows by 16 bytes, else one is added at the end.
 * `at` has room for len + PB_HOP_GROWTH_MAX.  Returns the new length.
 * The list has been checked by pb_scan_epb() or the reader.
 */
#define PB_HOP_GROWTH_MAX	28u
size_t	pb_hops_append(uint8_t *at, const uint8_t *options, size_t len,
	    uint32_t pen, const struct pb_hop *hop);

/* Append the untimed mark; and ask for it. */
int	pb_untimed_put(struct pb_buf *options, uint32_t pen);
bool	pb_untimed_get(const uint8_t *options, size_t len);

/*
 * One node of a packet's way as a comment for people and machines
 * (interop.md, section 4), `n` counted from 1 at the origin:
 *   pb.hop n=2 node=relay1 seq=3 ts=1700000001.500000000 desc="relay"
 * Quotes and backslashes of the description are escaped by a backslash.
 */
int	pb_hop_comment(struct pb_buf *out, int n, const struct pb_node *node,
	    uint64_t seq, uint64_t time_ns);

#endif
