/*
 * recorder/store/read/cursor.c - reading the packets of one stream, in order
 *
 * A position is a sequence number and, for the extent it lies in, an
 * offset in the file.  The index says which extent comes next; an extent
 * that has grown since is read on from where the cursor stands.
 *
 * It is always in a run.  Without a guide that is one of all numbers, where
 * the extents say.
 */
#include "recorder/store/read/cursor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/sys.h"
#include "pcapng/filtered.h"
#include "recorder/store/read/segment_file.h"

static const struct pb_cursor_run whole = { .last_seq = UINT64_MAX,
    .verdict = PB_VERDICT_EACH };

#define EXTENT_PAGE	64
#define BUFFER_BYTES	(PB_EXTENT_BYTES_MAX + PB_PAGE_BYTES)

struct pb_cursor {
	struct pb_index		*index;
	char			 store[PATH_MAX];
	struct pb_stream_key	 key;
	uint32_t		 stream;
	struct pb_range		 range;
	uint64_t		 next_seq;
	struct pb_cursor_guide	 guide;		/* .next is NULL: none */
	struct pb_cursor_run	 run;
	bool			 led;		/* `run` is the guide's */
	/* Extents ahead, from the index. */
	struct pb_extent_info	 page[EXTENT_PAGE];
	uint64_t		 floor[EXTENT_PAGE];	/* of each, the lowest
							 * time behind it */
	int			 page_len, page_at;
	/* The segment in hand. */
	uint64_t		 segment_seq;	/* 0: none */
	int			 fd;
	struct pb_head		*head;
	/* The bytes in hand: [file_at, file_at + len) of the segment. */
	struct pb_bytes		 own;		/* they are there, or */
	struct pb_bytes		*into;		/* where the caller said */
	size_t			 bytes_max;	/* of them; 0: no bound */
	bool			 cut;		/* by it: there are more, */
	uint32_t		 block;		/* the next one of so many */
	size_t			 len, at;
	uint64_t		 file_at;
	uint64_t		 known_end;	/* blocks were read up to here */
	uint64_t		 last_seq;	/* of their extent or run */
	/* Of a run with a place: its next packet, counted from 0, and its
	 * number; 0: that is not known yet. */
	uint64_t		 nth, expected;
	uint64_t		 bytes;		/* read of files, not yet told */
	ssize_t			(*read)(int, void *, size_t, uint64_t,
				    struct pb_err *);
};

/* What becomes of a block. */
enum taken {
	PASSED,
	GIVEN,
	LAST,			/* passed, and nothing behind it is wanted */
	ROTTEN,
};

static uint32_t	block_bytes(const struct pb_cursor *);
static int	not_whole(const struct pb_cursor *, struct pb_err *);
static bool	passes(struct pb_cursor *);
static enum taken take_packet(struct pb_cursor *, struct pb_cursor_packet *,
		    const struct pb_block *);
static enum taken take_filtered(struct pb_cursor *,
		    const struct pb_block *);
static bool	comes_next(const struct pb_cursor *, uint64_t);
static void	go_behind(struct pb_cursor *, uint64_t);
static enum taken leave_extent(struct pb_cursor *);
/* runs */
static int	next_run(struct pb_cursor *, struct pb_err *);
static void	end_run(struct pb_cursor *);
static void	go_wrong(struct pb_cursor *);
static bool	placed(const struct pb_cursor *);
static bool	is_read(const struct pb_cursor *);
static enum pb_verdict verdict(const struct pb_cursor *, uint64_t);
static bool	wanted(enum pb_verdict);
/* bytes */
static int	load(struct pb_cursor *, struct pb_err *);
static int	load_extent(struct pb_cursor *, struct pb_err *);
static int	load_place(struct pb_cursor *, struct pb_err *);
static void	begin_place(struct pb_cursor *, uint64_t *);
static int	read_extent(struct pb_cursor *, const struct pb_extent_info *,
		    struct pb_err *);
static int	read_bytes(struct pb_cursor *, uint64_t, uint64_t,
		    struct pb_err *);
static bool	make_room(struct pb_bytes *, size_t);
static int	name_segment(const struct pb_cursor *, int, struct pb_err *);
static int	next_extent(struct pb_cursor *, struct pb_extent_info *,
		    struct pb_err *);
static bool	in_page(const struct pb_cursor *);
static int	fill_page(struct pb_cursor *, struct pb_err *);
static int	skip_segments(struct pb_cursor *, struct pb_err *);
static int	use_segment(struct pb_cursor *, uint64_t, struct pb_err *);
static int	read_head(struct pb_cursor *, struct pb_err *);
static void	drop_segment(struct pb_cursor *);
static bool	overlaps(const struct pb_range *, uint64_t, uint64_t);

int
pb_cursor_create(struct pb_cursor **out, struct pb_index *index,
    const char *store, const struct pb_stream_info *stream,
    const struct pb_range *range, struct pb_err *err)
{
	struct pb_cursor *cursor;

	if (strlen(store) >= sizeof(cursor->store))
		return pb_err_set(err, PB_ELIMIT, "the store's path is too "
		    "long");
	cursor = calloc(1, sizeof(*cursor));
	if (cursor == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	cursor->index = index;
	strcpy(cursor->store, store);
	cursor->key = stream->key;
	cursor->stream = stream->id;
	cursor->range = *range;
	cursor->next_seq = range->first_seq > 0 ? range->first_seq : 1;
	cursor->run = whole;
	cursor->read = pb_pread_all;
	cursor->into = &cursor->own;
	cursor->fd = -1;
	*out = cursor;
	return 0;
}

void
pb_cursor_once(struct pb_cursor *cursor)
{
	cursor->read = pb_pread_once;
}

void
pb_cursor_lead(struct pb_cursor *cursor, const struct pb_cursor_guide *guide)
{
	cursor->guide = *guide;
	cursor->led = false;
}

void
pb_cursor_seek(struct pb_cursor *cursor, uint64_t first_seq, uint64_t last_seq)
{
	cursor->range.first_seq = cursor->next_seq = first_seq;
	cursor->range.last_seq = last_seq;
	cursor->page_at = cursor->page_len = 0;
	cursor->known_end = cursor->file_at = 0;
	cursor->len = cursor->at = 0;
	cursor->cut = cursor->led = false;
}

uint64_t
pb_cursor_bytes(struct pb_cursor *cursor)
{
	uint64_t bytes = cursor->bytes;

	cursor->bytes = 0;
	return bytes;
}

void
pb_cursor_destroy(struct pb_cursor *cursor)
{
	if (cursor == NULL)
		return;
	drop_segment(cursor);
	free(cursor->own.data);
	free(cursor);
}

int
pb_cursor_next(struct pb_cursor *cursor, struct pb_cursor_packet *out,
    struct pb_err *err)
{
	int rc;

	while ((rc = pb_cursor_step(cursor, out, err)) == 0) {
		rc = pb_cursor_load(cursor, &cursor->own, 0, err);
		if (rc <= 0)
			break;
	}
	return rc;
}

int
pb_cursor_load(struct pb_cursor *cursor, struct pb_bytes *into,
    size_t bytes_max, struct pb_err *err)
{
	if (pb_cursor_done(cursor))
		return 0;
	cursor->into = into;
	cursor->bytes_max = bytes_max;
	return load(cursor, err);
}

int
pb_cursor_step(struct pb_cursor *cursor, struct pb_cursor_packet *out,
    struct pb_err *err)
{
	struct pb_block block;
	enum taken taken;
	int rc;

	while (cursor->at < cursor->len) {
		rc = pb_scan_block(cursor->into->data + cursor->at,
		    cursor->len - cursor->at, &block);
		if (rc == 0 && cursor->cut) {
			cursor->block = block_bytes(cursor);
			return 0;
		}
		taken = rc != 1 ? ROTTEN : block.type == PB_BLOCK_EPB ?
		    take_packet(cursor, out, &block) :
		    block.type == PB_BLOCK_ISB ?
		    take_filtered(cursor, &block) : PASSED;
		if (taken == ROTTEN && placed(cursor)) {
			go_wrong(cursor);
			return 0;
		}
		if (taken == ROTTEN)
			return not_whole(cursor, err);
		if (taken == LAST)
			return 0;
		cursor->at += block.len;
		out->head = cursor->head;
		if (taken == GIVEN)
			return 1;
	}
	if (placed(cursor) && is_read(cursor) && !cursor->run.more)
		go_behind(cursor, cursor->run.last_seq);
	return 0;
}

bool
pb_cursor_done(const struct pb_cursor *cursor)
{
	return cursor->next_seq > cursor->range.last_seq;
}

uint64_t
pb_cursor_floor(const struct pb_cursor *cursor)
{
	bool known = cursor->page_at > 0 && !placed(cursor) && !cursor->cut &&
	    cursor->last_seq <= cursor->run.last_seq;

	return known ? cursor->floor[cursor->page_at - 1] : 0;
}

void
pb_cursor_park(struct pb_cursor *cursor)
{
	/* What is in hand and not yet looked at is read again later. */
	cursor->known_end = cursor->file_at + cursor->at;
	cursor->file_at = cursor->known_end;
	cursor->len = cursor->at = 0;
	cursor->page_at = 0;
	if (cursor->fd >= 0)
		pb_file_close(cursor->fd);
	cursor->fd = -1;
	free(cursor->own.data);
	cursor->own = (struct pb_bytes){ 0 };
	cursor->cut = cursor->led = false;
}

/* Of the block at hand, which is not there as a whole; of one whose length is
 * not there, either, as many as tell it. */
static uint32_t
block_bytes(const struct pb_cursor *cursor)
{
	return cursor->len - cursor->at < 8 ? 8 :
	    pb_get_le32(cursor->into->data + cursor->at + 4);
}

static int
not_whole(const struct pb_cursor *cursor, struct pb_err *err)
{
	return pb_err_set(err, PB_EFORMAT, "stream %s/%s, segment %llu, "
	    "offset %llu: no whole block", cursor->key.node,
	    cursor->key.interface, (unsigned long long)cursor->segment_seq,
	    (unsigned long long)(cursor->file_at + cursor->at));
}

/* Where the run has a place its blocks are counted, and of those that nobody
 * wants no more is looked at. */
static bool
passes(struct pb_cursor *cursor)
{
	uint64_t number = cursor->expected;

	if (!placed(cursor) || number == 0 || number > cursor->last_seq ||
	    is_read(cursor) || wanted(verdict(cursor, number)))
		return false;
	cursor->nth++;
	cursor->expected++;
	go_behind(cursor, number);
	return true;
}

static enum taken
take_packet(struct pb_cursor *cursor, struct pb_cursor_packet *out,
    const struct pb_block *block)
{
	const struct pb_range *range = &cursor->range;

	if (passes(cursor))
		return PASSED;
	if (pb_scan_epb(block, &out->packet) < 0 ||
	    !pb_packet_seq(&out->packet, &out->seq) ||
	    out->seq > cursor->last_seq || (placed(cursor) &&
	    (is_read(cursor) || !comes_next(cursor, out->seq))))
		return ROTTEN;
	if (out->seq > cursor->run.last_seq)
		return leave_extent(cursor);
	if (out->seq > range->last_seq) {
		cursor->next_seq = out->seq;
		return LAST;
	}
	out->verdict = out->seq < cursor->next_seq ? PB_VERDICT_NONE :
	    verdict(cursor, out->seq);
	cursor->expected = out->seq + 1;
	cursor->nth++;
	go_behind(cursor, out->seq);
	return out->packet.time_ns < range->after_ns ||
	    out->packet.time_ns >= range->before_ns ||
	    !wanted(out->verdict) ? PASSED : GIVEN;
}

/* Numbers without packets: they are passed. */
static enum taken
take_filtered(struct pb_cursor *cursor, const struct pb_block *block)
{
	struct pb_filtered filtered;
	int rc = pb_scan_filtered(block, &filtered);

	if (rc <= 0)
		return rc < 0 ? ROTTEN : PASSED;
	if (filtered.last > cursor->last_seq || (placed(cursor) &&
	    (cursor->run.packets == 0 || !comes_next(cursor, filtered.first))))
		return ROTTEN;
	if (filtered.last > cursor->run.last_seq)
		return leave_extent(cursor);
	cursor->expected = filtered.last + 1;
	go_behind(cursor, filtered.last);
	return PASSED;
}

/* In a place: the number of its next block. */
static bool
comes_next(const struct pb_cursor *cursor, uint64_t seq)
{
	return cursor->expected == 0 ? seq >= cursor->run.first_seq :
	    seq == cursor->expected;
}

/* Numbers up to that have been read. */
static void
go_behind(struct pb_cursor *cursor, uint64_t seq)
{
	if (cursor->next_seq <= seq)
		cursor->next_seq = seq + 1;
}

/* The run ends within an extent: whoever goes on there finds this block. */
static enum taken
leave_extent(struct pb_cursor *cursor)
{
	cursor->known_end = cursor->file_at + cursor->at;
	cursor->len = cursor->at;
	end_run(cursor);
	return LAST;
}

/* The guide's next run: 1, or 0 where there is none. */
static int
next_run(struct pb_cursor *cursor, struct pb_err *err)
{
	int rc = cursor->guide.next(cursor->guide.arg, cursor->next_seq,
	    &cursor->run, err);

	if (rc <= 0)
		return rc;
	cursor->led = true;
	cursor->page_at = 0;	/* it may begin in an extent that was met */
	if (cursor->next_seq < cursor->run.first_seq)
		cursor->next_seq = cursor->run.first_seq;
	return cursor->next_seq <= cursor->range.last_seq;
}

/* All of the run has been read. */
static void
end_run(struct pb_cursor *cursor)
{
	if (!cursor->run.more)
		go_behind(cursor, cursor->run.last_seq);
	cursor->cut = cursor->led = false;
}

/* What is left of the run is looked for by extents, as if it had not been
 * tried. */
static void
go_wrong(struct pb_cursor *cursor)
{
	cursor->guide.wrong(cursor->guide.arg, cursor->next_seq);
	cursor->known_end = cursor->file_at = 0;
	cursor->len = cursor->at = 0;
	cursor->cut = cursor->led = false;
}

static bool
placed(const struct pb_cursor *cursor)
{
	return cursor->run.segment_seq != 0;
}

/* Of a place, all of its packets. */
static bool
is_read(const struct pb_cursor *cursor)
{
	const struct pb_cursor_run *run = &cursor->run;

	return cursor->nth == (run->packets != 0 ? run->packets :
	    run->last_seq - run->first_seq + 1);
}

static enum pb_verdict
verdict(const struct pb_cursor *cursor, uint64_t seq)
{
	const struct pb_cursor_run *run = &cursor->run;

	return run->verdict_of == NULL ? run->verdict :
	    (enum pb_verdict)run->verdict_of[placed(cursor) ? cursor->nth :
	    seq - run->first_seq];
}

static bool
wanted(enum pb_verdict verdict)
{
	return (verdict & PB_VERDICT_ALL) != 0;
}

/* Bytes that are next: 1, also where there is nothing in them; 0 at the
 * durable end. */
static int
load(struct pb_cursor *cursor, struct pb_err *err)
{
	int rc;

	/* From the block on that did not fit any more, and all of that. */
	if (cursor->cut) {
		cursor->known_end = cursor->file_at + cursor->at;
		cursor->page_at = 0;
		if (cursor->bytes_max > 0 && cursor->bytes_max < cursor->block)
			cursor->bytes_max = cursor->block;
	}
	cursor->file_at = cursor->known_end;
	cursor->len = cursor->at = 0;
	if (cursor->led && placed(cursor) && !cursor->cut) {
		if (!is_read(cursor)) {
			go_wrong(cursor);
			return 1;
		}
		if (cursor->run.packets != 0)
			cursor->guide.ended(cursor->guide.arg,
			    cursor->expected - 1);
		end_run(cursor);
		return 1;
	}
	if (cursor->guide.next != NULL && !cursor->led) {
		rc = next_run(cursor, err);
		if (rc <= 0)
			return rc;
	}
	return placed(cursor) ? load_place(cursor, err) :
	    load_extent(cursor, err);
}

static int
load_extent(struct pb_cursor *cursor, struct pb_err *err)
{
	struct pb_extent_info extent;
	int rc = next_extent(cursor, &extent, err);

	if (rc == 0 && cursor->run.last_seq < cursor->range.last_seq) {
		end_run(cursor);
		return 1;
	}
	if (rc <= 0)
		return rc;
	rc = use_segment(cursor, extent.segment_seq, err);
	if (rc == PB_ENOENT) {
		/* It expired between the index and here. */
		cursor->next_seq = extent.last_seq + 1;
		return 1;
	}
	if (rc == 0)
		rc = read_extent(cursor, &extent, err);
	return rc < 0 ? rc : 1;
}

/* At its first packet, or where numbers tell which it is at the one that has
 * not been read. */
static void
begin_place(struct pb_cursor *cursor, uint64_t *from)
{
	const struct pb_cursor_run *run = &cursor->run;

	cursor->nth = 0;
	cursor->expected = run->packets != 0 ? 0 : run->first_seq;
	if (run->packets != 0 || cursor->known_end <= run->from ||
	    cursor->known_end >= run->end)
		return;
	*from = cursor->known_end;
	cursor->expected = cursor->next_seq;
	cursor->nth = cursor->next_seq - run->first_seq;
}

/* All of a run whose place is known, or what of it has not been read. */
static int
load_place(struct pb_cursor *cursor, struct pb_err *err)
{
	const struct pb_cursor_run *run = &cursor->run;
	uint64_t from = run->from;
	int rc = use_segment(cursor, run->segment_seq, err);

	if (rc == PB_ENOENT) {
		end_run(cursor);
		return 1;
	}
	if (rc < 0)
		return rc;
	if (!cursor->cut)
		begin_place(cursor, &from);
	else
		from = cursor->known_end;
	if (run->end <= from || run->end - from > PB_EXTENT_READ_MAX) {
		go_wrong(cursor);
		return 1;
	}
	rc = read_bytes(cursor, from, run->end, err);
	if (rc == PB_EFORMAT)
		go_wrong(cursor);
	else if (rc < 0)
		return rc;
	else
		cursor->last_seq = run->last_seq;
	return 1;
}

/* What of it has not been read yet. */
static int
read_extent(struct pb_cursor *cursor, const struct pb_extent_info *extent,
    struct pb_err *err)
{
	uint64_t from = extent->offset, end = from + extent->bytes;
	int rc;

	if (cursor->known_end > from && cursor->known_end <= end)
		from = cursor->known_end;
	if (end == from)
		return name_segment(cursor, pb_err_set(err, PB_EFORMAT, "the "
		    "extent at %llu ends before packet %llu",
		    (unsigned long long)extent->offset,
		    (unsigned long long)extent->last_seq), err);
	if (end - from > PB_EXTENT_READ_MAX)
		return pb_err_set(err, PB_EFORMAT, "the index speaks of an "
		    "extent of %u bytes", extent->bytes);
	rc = read_bytes(cursor, from, end, err);
	if (rc < 0)
		return rc == PB_EFORMAT ? name_segment(cursor, rc, err) : rc;
	cursor->last_seq = extent->last_seq;
	return 0;
}

/* At most PB_EXTENT_READ_MAX of them. */
static int
read_bytes(struct pb_cursor *cursor, uint64_t from, uint64_t end,
    struct pb_err *err)
{
	ssize_t got;

	cursor->cut = cursor->bytes_max > 0 && end - from > cursor->bytes_max;
	cursor->block = 0;
	if (cursor->cut)
		end = from + cursor->bytes_max;
	if (!make_room(cursor->into, (size_t)(end - from)))
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = cursor->read(cursor->fd, cursor->into->data, (size_t)(end - from),
	    from, err);
	if (got < 0)
		return (int)got;
	cursor->bytes += (uint64_t)got;
	if ((uint64_t)got < end - from)
		return pb_err_set(err, PB_EFORMAT, "the file ends at %llu, "
		    "the index says %llu",
		    (unsigned long long)(from + (uint64_t)got),
		    (unsigned long long)end);
	cursor->file_at = from;
	cursor->len = (size_t)got;
	cursor->known_end = end;
	return 0;
}

static bool
make_room(struct pb_bytes *bytes, size_t len)
{
	if (len <= bytes->room)
		return true;
	free(bytes->data);
	bytes->room = len > BUFFER_BYTES ? PB_EXTENT_READ_MAX : BUFFER_BYTES;
	bytes->data = malloc(bytes->room);
	if (bytes->data == NULL)
		bytes->room = 0;
	return bytes->data != NULL;
}

/* Say where it happened. */
static int
name_segment(const struct pb_cursor *cursor, int rc, struct pb_err *err)
{
	return pb_err_prefix(err, rc, "stream %s/%s, segment %llu",
	    cursor->key.node, cursor->key.interface,
	    (unsigned long long)cursor->segment_seq);
}

/* The first extent at or behind the position that the range touches. */
static int
next_extent(struct pb_cursor *cursor, struct pb_extent_info *out,
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

static int
use_segment(struct pb_cursor *cursor, uint64_t first_seq, struct pb_err *err)
{
	if (cursor->segment_seq != first_seq)
		drop_segment(cursor);
	if (cursor->fd < 0) {
		cursor->fd = pb_segment_open_file(cursor->store, &cursor->key,
		    first_seq, err);
		if (cursor->fd < 0) {
			int rc = cursor->fd;

			cursor->fd = -1;
			return rc;
		}
		pb_file_advise(cursor->fd, POSIX_FADV_SEQUENTIAL);
		pb_file_no_atime(cursor->fd);
	}
	cursor->segment_seq = first_seq;
	return cursor->head != NULL ? 0 : read_head(cursor, err);
}

static int
read_head(struct pb_cursor *cursor, struct pb_err *err)
{
	struct pb_segment_info row;
	int rc = pb_index_rows_of(cursor->index, PB_TABLE_SEGMENTS,
	    cursor->stream, cursor->segment_seq, &row, 1, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || row.first_seq != cursor->segment_seq ||
	    row.header_bytes > PB_HEAD_BYTES_MAX)
		return pb_err_set(err, PB_ENOENT, "the index has no segment "
		    "%llu", (unsigned long long)cursor->segment_seq);
	rc = pb_head_read(&cursor->head, cursor->fd, row.header_bytes, err);
	return rc < 0 ? name_segment(cursor, rc, err) : 0;
}

static void
drop_segment(struct pb_cursor *cursor)
{
	if (cursor->fd >= 0)
		pb_file_close(cursor->fd);
	cursor->fd = -1;
	pb_head_unref(cursor->head);
	cursor->head = NULL;
	cursor->segment_seq = 0;
	cursor->known_end = cursor->file_at = 0;
}

static bool
overlaps(const struct pb_range *range, uint64_t first, uint64_t last)
{
	return last >= range->after_ns && first < range->before_ns;
}
