/*
 * recorder/store/mend/salvage_head.h - a head for packets whose own is rotten
 */
#ifndef PB_MEND_SALVAGE_HEAD_H
#define PB_MEND_SALVAGE_HEAD_H

#include "base/err.h"
#include "recorder/store/head.h"
#include "recorder/store/index/index.h"

/*
 * That of another segment of the stream than the one that begins at `first`,
 * whose packets have `hops` records; or one made up, where the packets are at
 * their origin.  What the frames end with, and which clock stamped, it says
 * only where all that were asked say the same: another list of trailers would
 * read times that are none.  1, 0 where there is none, or an error.
 */
int	pb_salvage_head(struct pb_head **out, const char *store,
	    const struct pb_stream_info *stream, uint64_t first, int hops,
	    struct pb_err *err);

#endif
