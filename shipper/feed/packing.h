/*
 * shipper/feed/packing.h - is it worth while to pack what a stream sends?
 *
 * Encrypted packets do not shrink, and trying costs as much as packing.  A
 * stream of which some pieces in a row did not is left alone for a while, then
 * for double the time, up to a bound; one that does is packed again at once.
 */
#ifndef PB_SHIPPER_PACKING_H
#define PB_SHIPPER_PACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PB_PACKING_STREAMS	64u	/* remembered; of two in one place the
					 * last one is */
#define PB_PACKING_TRIES	3u	/* in a row before a pause */
#define PB_PACKING_PAUSE_MIN	16u	/* pieces */
#define PB_PACKING_PAUSE_MAX	256u

/* Zeroed, nothing is known of any. */
struct pb_packing {
	struct pb_packing_one {
		uint32_t	stream;
		unsigned	poor;	/* tries in a row in vain */
		unsigned	pause;	/* pieces, the last one */
		unsigned	left;	/* of it */
	} one[PB_PACKING_STREAMS];
};

/* Is the next piece of the stream to be packed? */
bool	pb_packing_try(struct pb_packing *packing, uint32_t stream);

/* That piece has shrunk by something that is worth it, or has not. */
void	pb_packing_tell(struct pb_packing *packing, uint32_t stream,
	    bool shrank);

#endif
