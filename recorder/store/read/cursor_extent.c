/*
 * recorder/store/read/cursor_extent.c - which extent of the index a cursor
 * reads next
 */
#include "recorder/store/read/cursor_impl.h"

static bool	in_page(const struct pb_cursor *);
static int	fill_page(struct pb_cursor *, struct pb_err *);
static int	skip_segments(struct pb_cursor *, struct pb_err *);
static bool	overlaps(const struct pb_range *, uint64_t, uint64_t);

int
cursor_next_extent(struct pb_cursor *cursor, struct pb_extent_info *out,
    struct pb_err *err)
{
	int rc;

	for (;;) {
		while (in_page(cursor)) {
			*out = cursor->page[cursor->page_at++];
			if (out->last_seq < cursor->next_seq)
				continue;
			if (out->first_seq > cursor->range.last_seq ||
			    out->first_seq > cursor->run.last_seq) {
				cursor->page_at--;
				return 0;
			}
			if (overlaps(&cursor->range, out->first_time,
			    out->last_time))
				return 1;
			cursor->next_seq = out->last_seq + 1;
		}
		rc = skip_segments(cursor, err);
		if (rc < 0)
			return rc;
		rc = fill_page(cursor, err);
		if (rc <= 0)
			return rc;
		if (cursor->page[cursor->page_len - 1].last_seq <
		    cursor->next_seq)
			return 0;
	}
}

/* Are there more in the page, and enough behind the next one? */
static bool
in_page(const struct pb_cursor *cursor)
{
	return cursor->page_at < cursor->page_len && (cursor->page_at == 0 ||
	    cursor->page_len < EXTENT_PAGE ||
	    cursor->page_at + PB_CURSOR_AHEAD < EXTENT_PAGE);
}

/* How many there are now, or an error. */
static int
fill_page(struct pb_cursor *cursor, struct pb_err *err)
{
	uint64_t floor = UINT64_MAX;
	int rc = pb_index_rows_of(cursor->index, PB_TABLE_EXTENTS,
	    cursor->stream, cursor->next_seq, cursor->page, EXTENT_PAGE, err);

	cursor->page_at = 0;
	cursor->page_len = rc > 0 ? rc : 0;
	for (int i = cursor->page_len - 1; i >= 0; i--) {
		cursor->floor[i] = floor;
		if (cursor->page[i].first_time < floor)
			floor = cursor->page[i].first_time;
	}
	return rc;
}

/* Whole segments outside the time range need no look at their extents. */
static int
skip_segments(struct pb_cursor *cursor, struct pb_err *err)
{
	const struct pb_segment_info *row;
	struct pb_rows rows;

	if (cursor->range.after_ns == 0 &&
	    cursor->range.before_ns == UINT64_MAX)
		return 0;
	pb_rows_of(&rows, cursor->index, PB_TABLE_SEGMENTS, cursor->stream,
	    cursor->next_seq, err);
	/* An open one grows: its times are not the last. */
	while ((row = pb_rows_next(&rows)) != NULL && row->sealed &&
	    !overlaps(&cursor->range, row->first_time, row->last_time))
		if (row->last_seq >= cursor->next_seq)
			cursor->next_seq = row->last_seq + 1;
	return rows.rc;
}

static bool
overlaps(const struct pb_range *range, uint64_t first, uint64_t last)
{
	return last >= range->after_ns && first < range->before_ns;
}
