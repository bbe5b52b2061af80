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
#include "recorder/store/read/cursor_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/sys.h"
#include "pcapng/filtered.h"

static const struct pb_cursor_run whole = { .last_seq = UINT64_MAX,
    .verdict = PB_VERDICT_EACH };

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
static enum taken leave_extent(struct pb_cursor *);

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
	cursor_drop_segment(cursor);
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
	return cursor_load(cursor, err);
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
		if (taken == ROTTEN && cursor_placed(cursor)) {
			cursor_go_wrong(cursor);
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
	if (cursor_placed(cursor) && cursor_is_read(cursor) &&
	    !cursor->run.more)
		cursor_go_behind(cursor, cursor->run.last_seq);
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
	bool known = cursor->page_at > 0 && !cursor_placed(cursor) &&
	    !cursor->cut && cursor->last_seq <= cursor->run.last_seq;

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

	if (!cursor_placed(cursor) || number == 0 ||
	    number > cursor->last_seq || cursor_is_read(cursor) ||
	    cursor_wanted(cursor_verdict(cursor, number)))
		return false;
	cursor->nth++;
	cursor->expected++;
	cursor_go_behind(cursor, number);
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
	    out->seq > cursor->last_seq || (cursor_placed(cursor) &&
	    (cursor_is_read(cursor) || !comes_next(cursor, out->seq))))
		return ROTTEN;
	if (out->seq > cursor->run.last_seq)
		return leave_extent(cursor);
	if (out->seq > range->last_seq) {
		cursor->next_seq = out->seq;
		return LAST;
	}
	out->verdict = out->seq < cursor->next_seq ? PB_VERDICT_NONE :
	    cursor_verdict(cursor, out->seq);
	cursor->expected = out->seq + 1;
	cursor->nth++;
	cursor_go_behind(cursor, out->seq);
	return out->packet.time_ns < range->after_ns ||
	    out->packet.time_ns >= range->before_ns ||
	    !cursor_wanted(out->verdict) ? PASSED : GIVEN;
}

/* Numbers without packets: they are passed. */
static enum taken
take_filtered(struct pb_cursor *cursor, const struct pb_block *block)
{
	struct pb_filtered filtered;
	int rc = pb_scan_filtered(block, &filtered);

	if (rc <= 0)
		return rc < 0 ? ROTTEN : PASSED;
	if (filtered.last > cursor->last_seq || (cursor_placed(cursor) &&
	    (cursor->run.packets == 0 || !comes_next(cursor, filtered.first))))
		return ROTTEN;
	if (filtered.last > cursor->run.last_seq)
		return leave_extent(cursor);
	cursor->expected = filtered.last + 1;
	cursor_go_behind(cursor, filtered.last);
	return PASSED;
}

/* In a place: the number of its next block. */
static bool
comes_next(const struct pb_cursor *cursor, uint64_t seq)
{
	return cursor->expected == 0 ? seq >= cursor->run.first_seq :
	    seq == cursor->expected;
}

/* The run ends within an extent: whoever goes on there finds this block. */
static enum taken
leave_extent(struct pb_cursor *cursor)
{
	cursor->known_end = cursor->file_at + cursor->at;
	cursor->len = cursor->at;
	cursor_end_run(cursor);
	return LAST;
}

