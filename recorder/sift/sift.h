/*
 * recorder/sift/sift.h - a section without what an upstream is not to get
 *
 * Packets that a filter leaves out, and of the others the bytes behind a snap
 * length; their original lengths stay.  What is left out is said where it was
 * (pcapng/filtered.h), a run of it in one block, together with what earlier
 * nodes have left out there.
 */
#ifndef PB_SIFT_SIFT_H
#define PB_SIFT_SIFT_H

#include "base/buf.h"
#include "recorder/filter/filter.h"

/* What is asked of packets of one link type, by all requests and answers that
 * began with it; any thread. */
struct pb_sift {
	_Atomic unsigned refs;
	struct pb_filter *filter;	/* NULL: all go */
	uint32_t	snaplen;	/* of the bytes captured, at most */
	/* What a section begins with is said by itself: the fingerprint of its
	 * first packet is there, wherever a run of them ends. */
	bool		first_apart;
};

/* With one reference, and `filter` its own; NULL without memory. */
struct pb_sift *pb_sift_create(struct pb_filter *filter, uint32_t snaplen);
struct pb_sift *pb_sift_ref(struct pb_sift *sift);	/* NULL is fine */
void	pb_sift_unref(struct pb_sift *sift);		/* likewise */

struct pb_sifted {
	uint64_t	filtered;	/* packets left out */
	uint64_t	cut;		/* and shortened */
	uint64_t	last;		/* number that is there or left out;
					 * 0: none has one */
};

/*
 * The `len` bytes of a section as its file has it, behind what `out` has, and
 * what became of its packets.  It ends where more of them would have more than
 * `bytes_max`, but one is there.  From a block on that is none all of it is
 * kept: the receiver says what is wrong.  Any thread; 0, or PB_ENOMEM,
 * PB_ELIMIT.
 */
int	pb_sift_section(const struct pb_sift *sift, const uint8_t *section,
	    size_t len, size_t bytes_max, struct pb_buf *out,
	    struct pb_sifted *sifted);

#endif
