/*
 * recorder/store/read/weigh.c - how much of the store some numbers take
 */
#include "recorder/store/read/weigh.h"

struct run {
	uint64_t	first, last;
};

static int	add_part(struct pb_index *, const struct pb_segment_info *,
		    struct run, uint64_t *, struct pb_err *);
static struct run within(struct run, uint64_t, uint64_t);
static uint64_t	numbers(struct run);
static uint64_t	share(uint64_t, uint64_t, uint64_t);

int
pb_weigh(struct pb_index *index, uint32_t stream, uint64_t first,
    uint64_t last, uint64_t *bytes, struct pb_err *err)
{
	const struct pb_segment_info *segment;
	struct run wanted = { first, last }, run;
	struct pb_rows rows;
	unsigned looked = 0;
	int rc = 0;

	*bytes = 0;
	pb_rows_of(&rows, index, PB_TABLE_SEGMENTS, stream, first, err);
	while (rc == 0 && (segment = pb_rows_next(&rows)) != NULL &&
	    segment->first_seq <= last) {
		if (looked++ == PB_WEIGH_SEGMENTS_MAX) {
			*bytes += share(*bytes, last - segment->first_seq + 1,
			    segment->first_seq - first);
			break;
		}
		if (pb_segment_empty(segment))
			continue;
		run = within(wanted, segment->first_seq, segment->last_seq);
		if (numbers(run) == segment->last_seq - segment->first_seq + 1)
			*bytes += segment->bytes;
		else if (numbers(run) > 0)
			rc = add_part(index, segment, run, bytes, err);
	}
	return rc < 0 ? rc : rows.rc;
}

static int
add_part(struct pb_index *index, const struct pb_segment_info *segment,
    struct run wanted, uint64_t *bytes, struct pb_err *err)
{
	const struct pb_extent_info *extent;
	struct run run = wanted;
	struct pb_rows rows;

	pb_rows_of(&rows, index, PB_TABLE_EXTENTS, segment->stream,
	    wanted.first, err);
	for (unsigned i = 0; i < PB_WEIGH_EXTENTS_MAX; i++) {
		extent = pb_rows_next(&rows);
		if (extent == NULL || extent->first_seq > wanted.last)
			return rows.rc;
		run = within(wanted, extent->first_seq, extent->last_seq);
		*bytes += share(extent->bytes, numbers(run),
		    extent->last_seq - extent->first_seq + 1);
	}
	*bytes += share(segment->bytes, wanted.last - run.last,
	    segment->last_seq - segment->first_seq + 1);
	return 0;
}

/* What of `run` is first .. last. */
static struct run
within(struct run run, uint64_t first, uint64_t last)
{
	if (run.first < first)
		run.first = first;
	if (run.last > last)
		run.last = last;
	return run;
}

static uint64_t
numbers(struct run run)
{
	return run.last < run.first ? 0 : run.last - run.first + 1;
}

static uint64_t
share(uint64_t bytes, uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (uint64_t)((double)bytes * (double)part /
	    (double)whole);
}
