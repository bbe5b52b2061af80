/*
 * shipper/feed/sift.h - a section without the packets that a filter leaves out
 *
 * What is left out is said where it was (pcapng/filtered.h), a run of it in
 * one block, together with what earlier nodes have left out there.
 */
#ifndef PB_SHIPPER_SIFT_H
#define PB_SHIPPER_SIFT_H

#include "base/buf.h"
#include "recorder/filter/filter.h"

/* What is asked of packets of one link type, by all requests that began with
 * it; the loop's, but for what does not change. */
struct pb_sift {
	unsigned	refs;
	struct pb_filter *filter;	/* NULL: all go */
};

/* With one reference, and `filter` its own; NULL without memory. */
struct pb_sift *pb_sift_create(struct pb_filter *filter);
struct pb_sift *pb_sift_ref(struct pb_sift *sift);	/* NULL is fine */
void	pb_sift_unref(struct pb_sift *sift);		/* likewise */

/*
 * The `len` bytes of a section as its file has it, behind what `out` has, and
 * how many of its packets are left out, added to `*filtered`.  From a block
 * on that is none all of it is kept: the receiver says what is wrong.  Any
 * thread; 0, or PB_ENOMEM, PB_ELIMIT.
 */
int	pb_sift_section(const struct pb_sift *sift, const uint8_t *section,
	    size_t len, struct pb_buf *out, uint64_t *filtered);

#endif
