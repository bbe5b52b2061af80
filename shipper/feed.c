/*
 * shipper/feed.c - from the index and segment files to a request's body
 */
#include "shipper/feed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/sys.h"
#include "pcapng/scan.h"
#include "recorder/store/cursor.h"
#include "recorder/store/head.h"

#define GAP_ROWS	16u	/* of a page */
#define SEGMENT_ROWS	4u

struct pb_feed {
	struct pb_index	*index;
	const char	*store;
	struct pb_buf	 bytes;		/* of an extent that is walked */
};

static size_t	without_fillers(uint8_t *, size_t);
static int	open_gap(struct pb_feed *, uint32_t, uint64_t, uint64_t,
		    struct pb_gap_info *, struct pb_err *);
static void	piece_gap(struct pb_piece *, uint64_t, uint64_t,
		    const struct pb_gap_info *);
static int	piece_packets(struct pb_feed *, const struct pb_stream_info *,
		    const struct pb_extent_info *, const struct pb_mark *,
		    size_t, struct pb_piece *, struct pb_err *);
static int	segment_of(struct pb_feed *, const struct pb_extent_info *,
		    struct pb_segment_info *, struct pb_err *);
static int	walk(struct pb_feed *, const struct pb_stream_key *,
		    const struct pb_extent_info *, size_t, struct pb_piece *,
		    struct pb_err *);
static int	read_file(struct pb_feed *, const struct pb_stream_key *,
		    uint64_t, uint64_t, size_t, struct pb_buf *,
		    struct pb_err *);

int
pb_feed_create(struct pb_feed **out, struct pb_index *index,
    const char *store, struct pb_err *err)
{
	struct pb_feed *feed = calloc(1, sizeof(*feed));

	*out = feed;
	if (feed == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	feed->index = index;
	feed->store = store;
	pb_buf_init(&feed->bytes, PB_FEED_EXTENT_MAX);
	return 0;
}

void
pb_feed_destroy(struct pb_feed *feed)
{
	if (feed == NULL)
		return;
	pb_buf_finish(&feed->bytes);
	free(feed);
}

int
pb_feed_look(struct pb_feed *feed, const struct pb_stream_info *stream,
    uint64_t from, const struct pb_mark *mark, size_t bytes_max,
    struct pb_piece *out, struct pb_err *err)
{
	struct pb_extent_info extent[2];
	struct pb_gap_info gap;
	uint64_t last;
	int count, gaps;

	memset(out, 0, sizeof(*out));
	if (from > stream->last_seq)
		return 0;
	count = pb_index_extents(feed->index, stream->id, from, extent, 2, err);
	if (count < 0)
		return count;
	if (count > 0 && extent[0].first_seq <= from)
		last = extent[0].last_seq;
	else if (count > 0)
		last = extent[0].first_seq - 1;
	else
		last = stream->last_seq;
	gaps = open_gap(feed, stream->id, from, last, &gap, err);
	if (gaps < 0)
		return gaps;
	out->first = from;
	out->last = last;
	out->complete = count > 1;
	if (gaps > 0 && gap.first <= from) {
		piece_gap(out, from, last, &gap);
		return 0;
	}
	if (gaps > 0)
		out->last = gap.first - 1;
	if (count > 0 && extent[0].first_seq <= from)
		return piece_packets(feed, stream, &extent[0], mark, bytes_max,
		    out, err);
	piece_gap(out, from, out->last, NULL);
	return 0;
}

int
pb_feed_body(struct pb_feed *feed, const struct pb_stream_key *key,
    const struct pb_piece *piece, struct pb_buf *body, struct pb_err *err)
{
	uint8_t *bytes;
	int rc;

	rc = read_file(feed, key, piece->segment_seq, 0, piece->header_bytes,
	    body, err);
	if (rc == 0)
		rc = read_file(feed, key, piece->segment_seq, piece->offset,
		    piece->bytes, body, err);
	if (rc < 0)
		return rc;
	bytes = body->data + body->len - piece->bytes;
	if (piece->whole &&
	    XXH3_64bits(bytes, piece->bytes) != piece->digest)
		return pb_err_set(err, PB_EDIGEST, "segment %020" PRIu64
		    ": the extent at %" PRIu64 " does not match its digest: "
		    "the file was damaged", piece->segment_seq,
		    piece->offset);
	body->len = (size_t)(bytes - body->data) +
	    without_fillers(bytes, piece->bytes);
	return 0;
}

/*
 * Fillers serve the disk, and could be most of what a quiet link sends.
 * Returns the length of what stays; from a block that is none on, all of
 * it does: the receiver says what is wrong.
 */
static size_t
without_fillers(uint8_t *bytes, size_t len)
{
	size_t at = 0, kept = 0;
	struct pb_block block;

	while (pb_scan_block(bytes + at, len - at, &block) == 1) {
		bool filler = pb_scan_is_filler(&block);
		size_t size = block.len;

		if (!filler && kept < at)
			memmove(bytes + kept, bytes + at, size);
		if (!filler)
			kept += size;
		at += size;
	}
	if (kept < at)
		memmove(bytes + kept, bytes + at, len - at);
	return kept + len - at;
}

/* The first open gap that touches [from, last]: 1, 0, or an error. */
static int
open_gap(struct pb_feed *feed, uint32_t stream, uint64_t from, uint64_t last,
    struct pb_gap_info *out, struct pb_err *err)
{
	struct pb_gap_info row[GAP_ROWS];
	int count;

	do {
		count = pb_index_gaps(feed->index, stream, from, row, GAP_ROWS,
		    err);
		if (count < 0)
			return count;
		for (int i = 0; i < count; i++) {
			if (row[i].first > last)
				return 0;
			if (row[i].closed_ns == 0) {
				*out = row[i];
				return 1;
			}
			if (row[i].last >= from && row[i].last < UINT64_MAX)
				from = row[i].last + 1;
		}
	} while (count == (int)GAP_ROWS && from <= last);
	return 0;
}

static void
piece_gap(struct pb_piece *out, uint64_t first, uint64_t last,
    const struct pb_gap_info *gap)
{
	*out = (struct pb_piece){ .kind = PB_PIECE_GAP, .first = first,
	    .last = last, .reason = PB_GAP_EXPIRED };
	if (gap == NULL)
		return;
	out->recorded = true;
	out->reason = gap->reason;
	if (out->last > gap->last)
		out->last = gap->last;
}

/* Of `extent`, from out->first to out->last, within `bytes_max`. */
static int
piece_packets(struct pb_feed *feed, const struct pb_stream_info *stream,
    const struct pb_extent_info *extent, const struct pb_mark *mark,
    size_t bytes_max, struct pb_piece *out, struct pb_err *err)
{
	uint64_t end = extent->offset + extent->bytes;
	struct pb_segment_info segment;
	int rc;

	rc = segment_of(feed, extent, &segment, err);
	if (rc < 0)
		return rc;
	out->kind = PB_PIECE_PACKETS;
	out->segment_seq = extent->segment_seq;
	out->header_bytes = segment.header_bytes;
	out->complete = out->complete || segment.sealed;
	if (out->first == extent->first_seq)
		out->offset = extent->offset;
	else if (mark->seq == out->first &&
	    mark->segment_seq == extent->segment_seq &&
	    mark->offset >= extent->offset && mark->offset < end)
		out->offset = mark->offset;
	if (out->offset != 0 && out->last == extent->last_seq &&
	    end - out->offset + out->header_bytes <= bytes_max) {
		out->bytes = (uint32_t)(end - out->offset);
		out->whole = out->offset == extent->offset;
		out->digest = extent->digest;
		return 0;
	}
	return walk(feed, &stream->key, extent, bytes_max, out, err);
}

static int
segment_of(struct pb_feed *feed, const struct pb_extent_info *extent,
    struct pb_segment_info *out, struct pb_err *err)
{
	struct pb_segment_info row[SEGMENT_ROWS];
	int count;

	memset(out, 0, sizeof(*out));
	count = pb_index_segments(feed->index, extent->stream,
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

/*
 * Find where out->first begins (behind the last block of a lower number,
 * if out->offset does not say it) and how many whole blocks fit, one
 * packet at least.
 */
static int
walk(struct pb_feed *feed, const struct pb_stream_key *key,
    const struct pb_extent_info *extent, size_t bytes_max,
    struct pb_piece *out, struct pb_err *err)
{
	uint64_t base = out->offset != 0 ? out->offset : extent->offset;
	size_t len = (size_t)(extent->offset + extent->bytes - base);
	size_t at = 0, start = 0, end = 0, room = 0;
	uint64_t last = 0, seq;
	struct pb_packet packet;
	struct pb_block block;
	int rc;

	if (bytes_max > out->header_bytes)
		room = bytes_max - out->header_bytes;
	pb_buf_clear(&feed->bytes);
	rc = read_file(feed, key, extent->segment_seq, base, len, &feed->bytes,
	    err);
	if (rc < 0)
		return rc;
	while ((rc = pb_scan_block(feed->bytes.data + at, len - at,
	    &block)) == 1) {
		at += block.len;
		if (block.type != PB_BLOCK_EPB)
			continue;
		if (pb_scan_epb(&block, &packet) < 0 ||
		    !pb_packet_seq(&packet, &seq)) {
			rc = PB_EFORMAT;
			break;
		}
		if (seq < out->first) {
			start = at;
			continue;
		}
		if (seq > out->last || (last != 0 && at - start > room))
			break;
		if (last == 0 && seq != out->first) {
			rc = PB_EFORMAT;
			break;
		}
		last = seq;
		end = at;
	}
	if (rc < 0 || last == 0)
		return pb_err_set(err, PB_EFORMAT, "segment %020" PRIu64 ": no "
		    "whole packet %" PRIu64 " in the extent at %" PRIu64
		    ": the file was damaged", extent->segment_seq, out->first,
		    extent->offset);
	if (last < extent->last_seq)
		out->complete = true;
	else if (len - start <= room)
		end = len;
	out->last = last;
	out->offset = base + start;
	out->bytes = (uint32_t)(end - start);
	out->whole = false;
	return 0;
}

static int
read_file(struct pb_feed *feed, const struct pb_stream_key *key,
    uint64_t segment_seq, uint64_t offset, size_t len, struct pb_buf *to,
    struct pb_err *err)
{
	uint8_t *room = pb_buf_reserve(to, len);
	ssize_t got;
	int fd;

	if (room == NULL)
		return pb_err_set(err, PB_ELIMIT, "segment %020" PRIu64 ": %zu "
		    "bytes at %" PRIu64 " do not fit in memory", segment_seq,
		    len, offset);
	fd = pb_segment_open_file(feed->store, key, segment_seq, err);
	if (fd < 0)
		return fd;
	got = pb_pread_all(fd, room, len, offset, err);
	close(fd);
	if (got < 0)
		return pb_err_prefix(err, "segment %020" PRIu64, segment_seq);
	if ((size_t)got < len)
		return pb_err_set(err, PB_EFORMAT, "segment %020" PRIu64 " is "
		    "shorter than its index says: %zu bytes at %" PRIu64 " are "
		    "not there", segment_seq, len - (size_t)got,
		    offset + (uint64_t)got);
	to->len += len;
	return 0;
}
