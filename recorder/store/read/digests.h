/*
 * recorder/store/read/digests.h - what a store has of a run of numbers, in few
 * bytes
 *
 * To find out whether two stores have the same packets, runs of numbers are
 * compared by digests, which are the same at every node: XXH3 with 64 bits
 * (seed 0) over the fingerprints (fingerprint.h) of the packets that are
 * there, 8 bytes each, little-endian, in the order of their numbers.  A
 * fingerprint has the number in it, so that packets that were swapped, given
 * twice or under another number are found.  docs/protocol.md says the same
 * for strangers.
 *
 * Each byte read is compared with the digest of its extent: what a disk has
 * changed is told apart from what came differently.
 *
 * Promise: one call reads one extent at most, and nothing stays locked
 *          between two calls; the page cache keeps nothing that it did not
 *          have.
 * Limit:   6 MiB of memory (PB_EXTENT_READ_MAX), mostly 1.
 */
#ifndef PB_STORE_DIGESTS_H
#define PB_STORE_DIGESTS_H

#include "pcapng/block.h"
#include "recorder/store/index/lender.h"

#define PB_DIGESTS_PARTS_MAX	256u	/* of an answer: some 20 KiB */

/* What a node is asked for, by docs/protocol.md. */
struct pb_digests_ask {
	uint64_t	first, last, parts;
	uint64_t	snaplen;	/* 0: packets as they are */
	uint64_t	why;		/* 1: and why numbers are missing */
};

/* A run of numbers. */
struct pb_digests_part {
	uint64_t	first, last;
	uint64_t	packets;	/* that are there */
	uint64_t	digest;		/* 0 where there are none */
	uint64_t	longer;		/* of them, than caplen_max */
	/* The same of those that pass (pb_digests_sift()). */
	uint64_t	passed, passed_digest, passed_longer;
	/* The first segment that has some of them and is not as it was
	 * written: packets may differ or be missing by that; 0: none. */
	uint64_t	damaged;
	/* Of the last packet. */
	uint64_t	time_ns;
	uint32_t	caplen, origlen;
};

struct pb_digests;

/* Packets as if each had been cut to `caplen_max` bytes; 0: as they are.
 * `lender` is copied.  The first part begins at `first`, from 1 on. */
int	pb_digests_create(struct pb_digests **out,
	    const struct pb_index_lender *lender,
	    const struct pb_stream_key *key, uint64_t first,
	    uint32_t caplen_max, struct pb_err *err);
void	pb_digests_destroy(struct pb_digests *digests);
/* Before the first part: which packets pass, as they are; without it none is
 * asked. */
void	pb_digests_sift(struct pb_digests *digests,
	    bool (*passes)(void *arg, const struct pb_packet *packet),
	    void *arg);

/*
 * The part that begins behind the one before and ends at `last`, which is not
 * changed until it is there: 1; 0 where more is to be done, and this call has
 * done a bounded bit of it; or an error.
 */
int	pb_digests_next(struct pb_digests *digests, uint64_t last,
	    struct pb_digests_part *out, struct pb_err *err);
/* What there is of that part ends it; false: nothing, it has not begun. */
bool	pb_digests_cut(struct pb_digests *digests,
	    struct pb_digests_part *out);

/* What it has read of files so far. */
uint64_t pb_digests_bytes(const struct pb_digests *digests);

#endif
