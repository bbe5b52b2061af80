/*
 * recorder/store/read/recorded.h - what the recorder's index says
 */
#ifndef PB_READ_RECORDED_H
#define PB_READ_RECORDED_H

#include "base/err.h"
#include "recorder/store/index/index.h"

/* The first open gap that touches [from, last]: 1, 0, or an error. */
int	pb_recorded_gap(struct pb_index *index, uint32_t stream,
	    uint64_t from, uint64_t last, struct pb_gap_info *out,
	    struct pb_err *err);

/* The segment an extent is in; PB_ENOENT where the index has none. */
int	pb_recorded_segment(struct pb_index *index,
	    const struct pb_extent_info *extent, struct pb_segment_info *out,
	    struct pb_err *err);

#endif
