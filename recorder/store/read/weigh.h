/*
 * recorder/store/read/weigh.h - how much of the store some numbers take
 *
 * For people and for metrics, by rows of the index alone: bytes of segments,
 * headers included.  Exact to an extent, whose packets count alike.
 */
#ifndef PB_READ_WEIGH_H
#define PB_READ_WEIGH_H

#include <stdint.h>

#include "recorder/store/index/index.h"

/* Looked at, whatever is asked: what is behind is taken to be like these. */
#define PB_WEIGH_SEGMENTS_MAX	64u
#define PB_WEIGH_EXTENTS_MAX	512u	/* of a segment that counts in part */

/*
 * What numbers first .. last of the stream take: 0 and `*bytes`, or an error.
 * Numbers that are not in a segment (gaps, expired ones) take nothing.
 */
int	pb_weigh(struct pb_index *index, uint32_t stream, uint64_t first,
	    uint64_t last, uint64_t *bytes, struct pb_err *err);

#endif
