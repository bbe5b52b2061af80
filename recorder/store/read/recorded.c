/*
 * recorder/store/read/recorded.c - what the recorder's index says
 */
#include "recorder/store/read/recorded.h"

#include <inttypes.h>

int
pb_recorded_gap(struct pb_index *index, uint32_t stream, uint64_t from,
    uint64_t last, struct pb_gap_info *out, struct pb_err *err)
{
	const struct pb_gap_info *gap;
	struct pb_rows rows;

	pb_rows_of(&rows, index, PB_TABLE_GAPS, stream, from, err);
	while ((gap = pb_rows_next(&rows)) != NULL && gap->first <= last)
		if (gap->closed_ns == 0) {
			*out = *gap;
			return 1;
		}
	return rows.rc;
}

int
pb_recorded_segment(struct pb_index *index,
    const struct pb_extent_info *extent, struct pb_segment_info *out,
    struct pb_err *err)
{
	int rc = pb_index_rows_of(index, PB_TABLE_SEGMENTS, extent->stream,
	    extent->segment_seq, out, 1, err);

	if (rc < 0 || (rc == 1 && out->first_seq == extent->segment_seq))
		return rc < 0 ? rc : 0;
	return pb_err_set(err, PB_ENOENT, "segment %020" PRIu64 " is not in "
	    "the index", extent->segment_seq);
}
