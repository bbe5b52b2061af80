/*
 * recorder/store/read/cursor_load.c - bytes of a segment's file, for a cursor
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/disk.h"
#include "recorder/store/read/cursor_impl.h"
#include "recorder/store/read/segment_file.h"

#define BUFFER_BYTES	(PB_EXTENT_BYTES_MAX + PB_PAGE_BYTES)

static int	load_extent(struct pb_cursor *, struct pb_err *);
static void	begin_place(struct pb_cursor *, uint64_t *);
static int	has_expired(struct pb_cursor *, uint64_t, struct pb_err *);
static int	load_place(struct pb_cursor *, struct pb_err *);
static int	read_extent(struct pb_cursor *, const struct pb_extent_info *,
		    struct pb_err *);
static int	read_bytes(struct pb_cursor *, uint64_t, uint64_t,
		    struct pb_err *);
static bool	make_room(struct pb_bytes *, size_t);
static int	name_segment(const struct pb_cursor *, int, struct pb_err *);
static int	use_segment(struct pb_cursor *, uint64_t, struct pb_err *);
static int	read_head(struct pb_cursor *, struct pb_err *);

int
cursor_load(struct pb_cursor *cursor, struct pb_err *err)
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
	if (cursor->led && cursor_placed(cursor) && !cursor->cut) {
		if (!cursor_is_read(cursor)) {
			cursor_go_wrong(cursor);
			return 1;
		}
		if (cursor->run.packets != 0)
			cursor->guide.ended(cursor->guide.arg,
			    cursor->expected - 1);
		cursor_end_run(cursor);
		return 1;
	}
	if (cursor->guide.next != NULL && !cursor->led) {
		rc = cursor_next_run(cursor, err);
		if (rc <= 0)
			return rc;
	}
	return cursor_placed(cursor) ? load_place(cursor, err) :
	    load_extent(cursor, err);
}

static int
load_extent(struct pb_cursor *cursor, struct pb_err *err)
{
	struct pb_extent_info extent;
	int rc = cursor_next_extent(cursor, &extent, err);

	if (rc == 0 && cursor->run.last_seq < cursor->range.last_seq) {
		cursor_end_run(cursor);
		return 1;
	}
	if (rc <= 0)
		return rc;
	rc = use_segment(cursor, extent.segment_seq, err);
	if (rc == PB_ENOENT) {
		cursor->next_seq = extent.last_seq + 1;
		return has_expired(cursor, extent.segment_seq, err);
	}
	if (rc == 0)
		rc = read_extent(cursor, &extent, err);
	return rc < 0 ? rc : 1;
}

/*
 * A segment without a file: 1 where it expired between the index and here,
 * since its row goes before its file does; with a row it is missing.
 */
static int
has_expired(struct pb_cursor *cursor, uint64_t first_seq, struct pb_err *err)
{
	struct pb_segment_info row;
	int rc = pb_index_rows_of(cursor->index, PB_TABLE_SEGMENTS,
	    cursor->stream, first_seq, &row, 1, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || row.first_seq != first_seq)
		return 1;
	return pb_err_set(err, PB_EFORMAT, "stream %s/%s, segment %llu: the "
	    "index has it, and its file is gone; see `pb verify`",
	    cursor->key.node, cursor->key.interface,
	    (unsigned long long)first_seq);
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
		cursor_end_run(cursor);
		return has_expired(cursor, run->segment_seq, err);
	}
	if (rc < 0)
		return rc;
	if (!cursor->cut)
		begin_place(cursor, &from);
	else
		from = cursor->known_end;
	if (run->end <= from || run->end - from > PB_EXTENT_READ_MAX) {
		cursor_go_wrong(cursor);
		return 1;
	}
	rc = read_bytes(cursor, from, run->end, err);
	if (rc == PB_EFORMAT)
		cursor_go_wrong(cursor);
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

static int
use_segment(struct pb_cursor *cursor, uint64_t first_seq, struct pb_err *err)
{
	if (cursor->segment_seq != first_seq)
		cursor_drop_segment(cursor);
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

void
cursor_drop_segment(struct pb_cursor *cursor)
{
	if (cursor->fd >= 0)
		pb_file_close(cursor->fd);
	cursor->fd = -1;
	pb_head_unref(cursor->head);
	cursor->head = NULL;
	cursor->segment_seq = 0;
	cursor->known_end = cursor->file_at = 0;
}
