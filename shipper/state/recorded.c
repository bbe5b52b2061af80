/*
 * shipper/state/recorded.c - what the recorder's index says
 */
#include "shipper/state/recorded.h"

#include <inttypes.h>
#include <string.h>

#define SEGMENT_ROWS	4u

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
	struct pb_segment_info row[SEGMENT_ROWS];
	int count;

	memset(out, 0, sizeof(*out));
	count = pb_index_rows_of(index, PB_TABLE_SEGMENTS, extent->stream,
	    extent->segment_seq, row, SEGMENT_ROWS, err);
	for (int i = 0; i < count; i++)
		if (row[i].first_seq == extent->segment_seq) {
			*out = row[i];
			return 0;
		}
	if (count < 0)
		return count;
	return pb_err_set(err, PB_ENOENT, "segment %020" PRIu64 " is not in "
	    "the index", extent->segment_seq);
}
