/*
 * recorder/store/read/piece.c - what stands at a sequence number
 */
#include "recorder/store/read/piece.h"

#include <string.h>

#include "recorder/store/read/recorded.h"

static void	set_gap(struct pb_piece *, const struct pb_gap_info *);

int
pb_piece_look(struct pb_index *index, const struct pb_stream_info *stream,
    uint64_t from, uint64_t to, struct pb_piece *out,
    struct pb_extent_info *at, struct pb_err *err)
{
	struct pb_extent_info extent[2];
	struct pb_gap_info gap;
	int count, gaps;

	memset(out, 0, sizeof(*out));
	if (from > stream->last_seq || from > to)
		return 0;
	count = pb_index_rows_of(index, PB_TABLE_EXTENTS, stream->id, from,
	    extent, 2, err);
	if (count < 0)
		return count;
	out->first = from;
	out->last = count == 0 ? stream->last_seq :
	    extent[0].first_seq <= from ? extent[0].last_seq :
	    extent[0].first_seq - 1;
	if (out->last > to)
		out->last = to;
	out->complete = count > 1;
	gaps = pb_recorded_gap(index, stream->id, from, out->last, &gap, err);
	if (gaps < 0)
		return gaps;
	if (gaps > 0 && gap.first <= from) {
		set_gap(out, &gap);
		return 0;
	}
	if (gaps > 0)
		out->last = gap.first - 1;
	if (count == 0 || extent[0].first_seq > from) {
		set_gap(out, NULL);
		return 0;
	}
	out->kind = PB_PIECE_PACKETS;
	*at = extent[0];
	return 0;
}

int
pb_piece_begin(struct pb_index *index, const struct pb_extent_info *extent,
    const struct pb_mark *mark, size_t bytes_max, struct pb_piece *out,
    struct pb_err *err)
{
	uint64_t end = extent->offset + extent->bytes;
	struct pb_segment_info segment;
	int rc = pb_recorded_segment(index, extent, &segment, err);

	if (rc < 0)
		return rc;
	out->segment_seq = extent->segment_seq;
	out->header_bytes = segment.header_bytes;
	out->complete = out->complete || segment.sealed;
	if (out->first == extent->first_seq)
		out->offset = extent->offset;
	else if (mark->seq == out->first &&
	    mark->segment_seq == extent->segment_seq &&
	    mark->offset >= extent->offset && mark->offset < end)
		out->offset = mark->offset;
	if (out->offset == 0 || out->last != extent->last_seq ||
	    end - out->offset + out->header_bytes > bytes_max)
		return 0;
	out->bytes = (uint32_t)(end - out->offset);
	out->whole = out->offset == extent->offset;
	out->digest = extent->digest;
	return 1;
}

int
pb_piece_ends(struct pb_index *index, uint32_t stream,
    const struct pb_piece *piece, uint64_t to,
    struct pb_piece_end out[static PB_PIECE_ENDS_MAX], struct pb_err *err)
{
	struct pb_extent_info extent[PB_PIECE_ENDS_MAX + 1];
	struct pb_gap_info gap;
	uint64_t last = piece->last;
	int count, gaps, n = 0;

	count = pb_index_rows_of(index, PB_TABLE_EXTENTS, stream, last + 1,
	    extent, PB_PIECE_ENDS_MAX + 1, err);
	/* More may come to the last one. */
	for (; n < count - 1 && extent[n].first_seq == last + 1 &&
	    extent[n].segment_seq == piece->segment_seq &&
	    extent[n].last_seq <= to; n++) {
		last = extent[n].last_seq;
		out[n].last = last;
		out[n].bytes = extent[n].bytes + piece->header_bytes;
	}
	if (n <= 0)
		return count < 0 ? count : 0;
	gaps = pb_recorded_gap(index, stream, piece->last + 1, last, &gap,
	    err);
	while (gaps > 0 && n > 0 && out[n - 1].last >= gap.first)
		n--;
	return gaps < 0 ? gaps : n;
}

/* From out->first to out->last at most. */
static void
set_gap(struct pb_piece *out, const struct pb_gap_info *gap)
{
	*out = (struct pb_piece){ .kind = PB_PIECE_GAP, .first = out->first,
	    .last = out->last, .reason = PB_GAP_EXPIRED };
	if (gap == NULL)
		return;
	out->recorded = true;
	out->reason = gap->reason;
	if (out->last > gap->last)
		out->last = gap->last;
}
