/*
 * recorder/store/read/runs.c - extents whose packets go as they are
 *
 * Of a block its first 28 bytes and its trailer are looked at: the length,
 * the type, the time.  That the rest is what was written says the digest.
 */
#include "recorder/store/read/runs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/sys.h"
#include "recorder/store/read/segment_file.h"

#define PAGE	64

struct pb_runs {
	struct pb_index		*index;
	const char		*store;
	struct pb_stream_key	 key;
	uint32_t		 stream;
	/* Extents ahead, and of each the lowest time of those behind. */
	struct pb_extent_info	 page[PAGE];
	uint64_t		 floor[PAGE];
	int			 page_len, at;	/* at: was looked at */
	/* The segment in hand. */
	uint64_t		 segment_seq;	/* 0: none */
	int			 fd;
	struct pb_head		*head;
	uint8_t			*buffer;
	size_t			 room;
	ssize_t			(*read)(int, void *, size_t, uint64_t,
				    struct pb_err *);
};

/* Of the blocks that were looked at. */
struct walk {
	uint8_t		*to;		/* where the next packet belongs */
	uint64_t	 packets;
	uint64_t	 first_time, last_time;
};

static bool	find(struct pb_runs *, uint64_t);
static bool	fill(struct pb_runs *, uint64_t);
static bool	use_segment(struct pb_runs *, uint64_t);
static void	drop_segment(struct pb_runs *);
static bool	use_buffer(struct pb_runs *, size_t);
static bool	walk_blocks(struct walk *, uint8_t *, size_t);
static bool	walk_packet(struct walk *, const struct pb_block *);
static void	walk_move(struct walk *, const uint8_t *, const uint8_t *);

int
pb_runs_create(struct pb_runs **out, struct pb_index *index,
    const char *store, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct pb_runs *runs = calloc(1, sizeof(*runs));

	*out = runs;
	if (runs == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	runs->index = index;
	runs->store = store;
	runs->key = stream->key;
	runs->stream = stream->id;
	runs->read = pb_pread_all;
	runs->fd = -1;
	return 0;
}

void
pb_runs_destroy(struct pb_runs *runs)
{
	if (runs == NULL)
		return;
	pb_runs_park(runs);
	drop_segment(runs);
	free(runs);
}

void
pb_runs_once(struct pb_runs *runs)
{
	runs->read = pb_pread_once;
}

void
pb_runs_park(struct pb_runs *runs)
{
	if (runs->fd >= 0)
		pb_file_close(runs->fd);
	runs->fd = -1;
	free(runs->buffer);
	runs->buffer = NULL;
	runs->room = 0;
}

bool
pb_runs_look(struct pb_runs *runs, uint64_t seq, struct pb_run_ahead *out)
{
	const struct pb_extent_info *row;

	if (!find(runs, seq) && !(fill(runs, seq) && find(runs, seq)))
		return false;
	row = &runs->page[runs->at];
	*out = (struct pb_run_ahead){ row->first_seq, row->last_seq,
	    row->first_time, row->last_time, runs->floor[runs->at] };
	return true;
}

bool
pb_runs_read(struct pb_runs *runs, struct pb_run *out)
{
	const struct pb_extent_info *row = &runs->page[runs->at];
	struct walk walk = { .packets = 0 };

	if (row->bytes > PB_EXTENT_READ_MAX ||
	    !use_segment(runs, row->segment_seq) ||
	    !use_buffer(runs, row->bytes) ||
	    runs->read(runs->fd, runs->buffer, row->bytes, row->offset,
	    NULL) != (ssize_t)row->bytes ||
	    pb_segment_check(row->segment_seq, row->offset, runs->buffer,
	    row->bytes, row->digest, NULL) < 0 ||
	    !walk_blocks(&walk, runs->buffer, row->bytes) ||
	    walk.packets != row->last_seq - row->first_seq + 1)
		return false;
	*out = (struct pb_run){
		.head = runs->head,
		.blocks = runs->buffer,
		.len = (size_t)(walk.to - runs->buffer),
		.first_seq = row->first_seq,
		.last_seq = row->last_seq,
		.first_time = walk.first_time,
		.last_time = walk.last_time,
	};
	return true;
}

int
pb_run_packet(const struct pb_run *run, size_t *at,
    struct pb_cursor_packet *out, struct pb_err *err)
{
	struct pb_block block;

	if (*at == run->len)
		return 0;
	if (pb_scan_block(run->blocks + *at, run->len - *at, &block) != 1 ||
	    pb_scan_epb(&block, &out->packet) < 0 ||
	    !pb_packet_seq(&out->packet, &out->seq))
		return pb_err_set(err, PB_EFORMAT, "stream %s/%s: a block "
		    "behind packet %llu is none",
		    run->head->identity.node[0].name,
		    run->head->identity.interface,
		    (unsigned long long)run->first_seq);
	out->head = run->head;
	*at += block.len;
	return 1;
}

/* In the page, with enough behind it. */
static bool
find(struct pb_runs *runs, uint64_t seq)
{
	int i = runs->page_len > 0 && runs->page[runs->at].first_seq <= seq ?
	    runs->at : 0;

	while (i < runs->page_len && runs->page[i].last_seq < seq)
		i++;
	if (i == runs->page_len || (i > 0 && runs->page_len == PAGE &&
	    i + PB_RUNS_AHEAD >= PAGE))
		return false;
	runs->at = i;
	return true;
}

static bool
fill(struct pb_runs *runs, uint64_t seq)
{
	uint64_t floor = UINT64_MAX;
	int len = pb_index_rows_of(runs->index, PB_TABLE_EXTENTS,
	    runs->stream, seq, runs->page, PAGE, NULL);

	runs->page_len = len > 0 ? len : 0;
	runs->at = 0;
	for (int i = runs->page_len - 1; i >= 0; i--) {
		runs->floor[i] = floor;
		if (runs->page[i].first_time < floor)
			floor = runs->page[i].first_time;
	}
	return runs->page_len > 0;
}

static bool
use_segment(struct pb_runs *runs, uint64_t first_seq)
{
	struct pb_segment_info row;

	if (runs->segment_seq != first_seq)
		drop_segment(runs);
	if (runs->fd < 0)
		runs->fd = pb_segment_open_file(runs->store, &runs->key,
		    first_seq, NULL);
	if (runs->fd < 0) {
		runs->fd = -1;
		return false;
	}
	runs->segment_seq = first_seq;
	if (runs->head != NULL)
		return true;
	pb_file_advise(runs->fd, POSIX_FADV_SEQUENTIAL);
	if (pb_index_segment(runs->index, runs->stream, first_seq, &row,
	    NULL) == 1 && row.header_bytes <= PB_HEAD_BYTES_MAX &&
	    pb_head_read(&runs->head, runs->fd, row.header_bytes, NULL) == 0)
		return true;
	runs->head = NULL;
	return false;
}

static void
drop_segment(struct pb_runs *runs)
{
	if (runs->fd >= 0)
		pb_file_close(runs->fd);
	runs->fd = -1;
	pb_head_unref(runs->head);
	runs->head = NULL;
	runs->segment_seq = 0;
}

static bool
use_buffer(struct pb_runs *runs, size_t bytes)
{
	if (bytes <= runs->room)
		return true;
	free(runs->buffer);
	runs->room = bytes > PB_EXTENT_BYTES_MAX ? PB_EXTENT_READ_MAX :
	    PB_EXTENT_BYTES_MAX;
	runs->buffer = malloc(runs->room);
	if (runs->buffer == NULL)
		runs->room = 0;
	return runs->buffer != NULL;
}

/*
 * Packets move together where other blocks lie between them, which are
 * fillers and statistics mostly, at an extent's end.
 */
static bool
walk_blocks(struct walk *walk, uint8_t *data, size_t len)
{
	uint8_t *from = data;	/* of packets that have not moved yet */
	struct pb_block block;
	size_t at = 0;

	walk->to = data;
	while (at < len) {
		if (pb_scan_block(data + at, len - at, &block) != 1)
			return false;
		at += block.len;
		if (block.type == PB_BLOCK_EPB) {
			if (!walk_packet(walk, &block))
				return false;
			continue;
		}
		walk_move(walk, from, block.at);
		from = data + at;
	}
	walk_move(walk, from, data + len);
	return true;
}

static void
walk_move(struct walk *walk, const uint8_t *from, const uint8_t *end)
{
	size_t len = (size_t)(end - from);

	if (walk->to != from)
		memmove(walk->to, from, len);
	walk->to += len;
}

/* Its bytes lie in the block, and it is not earlier than the one before. */
static bool
walk_packet(struct walk *walk, const struct pb_block *block)
{
	uint64_t time;
	uint32_t caplen;

	if (block->len < PB_EPB_HEAD + PB_BLOCK_TRAILER)
		return false;
	time = (uint64_t)pb_get_le32(block->at + 12) << 32 |
	    pb_get_le32(block->at + 16);
	caplen = pb_get_le32(block->at + 20);
	if (pb_get_le32(block->at + 8) != 0 || caplen > PB_CAPLEN_MAX ||
	    pb_round_up(caplen, 4) > block->len - PB_EPB_HEAD -
	    PB_BLOCK_TRAILER || (walk->packets > 0 &&
	    time < walk->last_time))
		return false;
	if (walk->packets++ == 0)
		walk->first_time = time;
	walk->last_time = time;
	return true;
}
