/*
 * recorder/filter/values.h - which values a place in packets has
 *
 * A set of numbers in few bytes: spans in ascending order, or, of too many
 * numbers, a fuse filter that knows for sure what is not among them.  A set
 * may hold more than is there: then less is said of it, and nothing false.
 *
 * Bytes of a set are hostile: of those that are none, all is possible.
 */
#ifndef PB_FILTER_VALUES_H
#define PB_FILTER_VALUES_H

#include <stddef.h>
#include <stdint.h>

#include "base/fuse.h"
#include "recorder/filter/known.h"

#define PB_VALUES_LARGE		24u	/* bytes of a set, from which on a
					 * memo is worth it */
#define PB_VALUES_BEHIND	8u	/* bytes behind a set that can be
					 * read */

struct pb_span {
	uint32_t	 lo, hi;	/* both are in it */
};

/* A place and its values: numbers of `bytes` bytes, the first the highest. */
struct pb_place {
	uint32_t	 at;		/* in the packet */
	uint32_t	 bytes;		/* 1, 2 or 4 */
	const uint8_t	*values;	/* borrowed */
	size_t		 len;
};

/* Of packets: what each has of a place's bytes, from the first on, are those of
 * one of its values. */
struct pb_places {
	const struct pb_place *place;
	size_t		 places;
	struct pb_places_memo *memo;	/* may be NULL */
};

/*
 * What large sets said of late: one set is asked the same in shape after
 * shape.  All 0 at first, and whenever other bytes take a set's place.
 */
#define PB_PLACES_MEMO	8u
struct pb_places_memo {
	struct {
		const uint8_t	*values;
		struct pb_known	 known;
		uint32_t	 shift, mask, op, k;
		unsigned	 outcome;
	}		 said[PB_PLACES_MEMO];
	unsigned	 next;
};

/* A test of some bits of a number of `bytes` bytes at `at`. */
struct pb_places_test {
	uint32_t	 at, bytes;
	uint32_t	 mask;
	const struct pb_known *known;	/* of those bits; it can be true */
	unsigned	 op;		/* BPF_JEQ, BPF_JGT, BPF_JGE,
					 * BPF_JSET */
	uint32_t	 k;
};

/* Whether it may hold and may fail, PB_MAY_*, for a value that the place has
 * and of which `known` is true; 0 where there is none. */
unsigned pb_places_test(const struct pb_places *places,
	    const struct pb_places_test *test);

/*
 * The set of these spans: in ascending order, and none touches the next.  At
 * most pb_values_bytes() bytes, to `out`; it says how many.
 */
size_t	pb_values_bytes(const struct pb_span *span, size_t spans);
size_t	pb_values_put(uint8_t *out, const struct pb_span *span, size_t spans);

/* The same as a fuse filter, of numbers in ascending order; 0 where it takes
 * more than `room` bytes or does not come about. */
size_t	pb_values_put_fuse(uint8_t *out, size_t room, const uint32_t *number,
	    size_t numbers, unsigned bits, struct pb_fuse_work *work);

#endif
