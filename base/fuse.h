/*
 * base/fuse.h - which numbers are surely not in a set, in few bits a number
 *
 * A binary fuse filter: "Binary Fuse Filters: Fast and Smaller Than Xor
 * Filters", Graf and Lemire, 2022, with fingerprints of 1 to 8 bits.  Of
 * numbers in the set it says yes; of others, with fingerprints of n bits, one
 * in 2^n times.  Its slots are about a third more than its numbers.
 */
#ifndef PB_BASE_FUSE_H
#define PB_BASE_FUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PB_FUSE_KEYS_MAX	12288u
#define PB_FUSE_SLOTS_MAX	(2 * PB_FUSE_KEYS_MAX)
#define PB_FUSE_BITS_MAX	8u

/* What it takes, beside its slots, to ask it. */
struct pb_fuse {
	uint32_t	 seed;
	uint16_t	 segments;
	uint8_t		 segment_log;	/* log2 of the slots of a segment */
	uint8_t		 bits;		/* of a fingerprint */
};

/* Memory to make one in; some 400 KiB. */
struct pb_fuse_work {
	uint64_t	 mixed[PB_FUSE_SLOTS_MAX];
	uint16_t	 keys[PB_FUSE_SLOTS_MAX];
	uint16_t	 ready[PB_FUSE_SLOTS_MAX];
	uint64_t	 hash[PB_FUSE_KEYS_MAX];
	uint16_t	 slot[PB_FUSE_KEYS_MAX];
};

/* How many bytes its slots take; 0 where there is no such filter. */
size_t	pb_fuse_bytes(const struct pb_fuse *fuse);

/*
 * The filter of `count` different numbers into at most `room` bytes of
 * `slots`.  False where it takes more, or does not come about: it does for
 * nearly all sets.
 */
bool	pb_fuse_make(struct pb_fuse *out, uint8_t *slots, size_t room,
	    const uint32_t *numbers, uint32_t count, unsigned bits,
	    struct pb_fuse_work *work);

/* False: `number` is not in the set.  `slots` has pb_fuse_bytes(), which are
 * not 0. */
bool	pb_fuse_may_have(const struct pb_fuse *fuse, const uint8_t *slots,
	    uint32_t number);

#endif
