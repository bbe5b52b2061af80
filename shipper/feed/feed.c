/*
 * shipper/feed/feed.c - what stands at a sequence number
 */
#include "shipper/feed/feed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/sys.h"
#include "pcapng/scan.h"
#include "recorder/store/head.h"
#include "recorder/store/read/peek.h"
#include "recorder/store/read/segment_file.h"
#include "shipper/state/recorded.h"

#define PLACES		64u	/* remembered */

/* Where a piece of a letter began, for the next time it is wanted. */
struct place {
	struct pb_stream_key key;
	uint64_t	 segment_seq;
	uint64_t	 seq, offset;	/* seq 0: none */
};

struct pb_feed {
	struct pb_index	*index;
	char		 store[PATH_MAX];
	struct pb_buf	 bytes;		/* of an extent that is walked */
	struct place	 place[PLACES];	/* a ring */
	unsigned	 places;
};

/* A letter's file, being searched. */
struct hunt {
	int		 fd;
	uint64_t	 from, last;	/* wanted */
	size_t		 room;
	uint64_t	 base;		/* of the window in the file */
	size_t		 start, end;	/* of the piece in the window */
	uint64_t	 to;		/* its last number; 0: not found */
	bool		 whole;		/* it ends where it must */
};

static void	piece_gap(struct pb_piece *, uint64_t, uint64_t,
		    const struct pb_gap_info *);
static int	piece_packets(struct pb_feed *, const struct pb_stream_info *,
		    const struct pb_extent_info *, const struct pb_mark *,
		    size_t, struct pb_piece *, struct pb_err *);
static int	walk(struct pb_feed *, const struct pb_stream_key *,
		    const struct pb_extent_info *, size_t, struct pb_piece *,
		    struct pb_err *);
static int	read_file(struct pb_feed *, const struct pb_stream_key *,
		    uint64_t, uint64_t, size_t, struct pb_buf *,
		    struct pb_err *);
static int	read_from(int, uint64_t, uint64_t, size_t, struct pb_buf *,
		    struct pb_err *);
static uint64_t	place_of(const struct pb_feed *, const struct pb_stream_key *,
		    const struct pb_letter *, uint64_t);
static void	remember(struct pb_feed *, const struct pb_stream_key *,
		    const struct pb_piece *);
static int	hunt(struct pb_feed *, struct hunt *, struct pb_err *);
static int	hunt_window(struct hunt *, const uint8_t *, size_t);

int
pb_feed_create(struct pb_feed **out, struct pb_index *index,
    const char *store, struct pb_err *err)
{
	struct pb_feed *feed = calloc(1, sizeof(*feed));

	*out = feed;
	if (feed == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	feed->index = index;
	snprintf(feed->store, sizeof(feed->store), "%s", store);
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
    uint64_t from, uint64_t to, const struct pb_mark *mark, size_t bytes_max,
    struct pb_piece *out, struct pb_err *err)
{
	struct pb_extent_info extent[2];
	struct pb_gap_info gap;
	uint64_t last;
	int count, gaps;

	memset(out, 0, sizeof(*out));
	if (from > stream->last_seq || from > to)
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
	if (last > to)
		last = to;
	gaps = pb_recorded_gap(feed->index, stream->id, from, last, &gap, err);
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

pb_feed_below(struct pb_feed *feed, const struct pb_stream_info *stream,
    uint64_t at, struct pb_fingerprint *out, struct pb_err *err)
{
	return pb_peek_below(feed->index, feed->store, &stream->key,
	    stream->id, at, true, out, err);
}

int
pb_feed_above(struct pb_feed *feed, const struct pb_stream_info *stream,
    uint64_t from, struct pb_fingerprint *out, struct pb_err *err)
{
	return pb_peek_above(feed->index, feed->store, &stream->key,
	    stream->id, from, out, err);
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

	rc = pb_recorded_segment(feed->index, extent, &segment, err);
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

/*
 * Find where out->first begins (behind the last block of a lower number,
 * if out->offset does not say it) and how many whole blocks fit, one
 * packet at least.  The first piece of an extent has all of it read, so
 * that is when its digest is looked at.
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
	if (base == extent->offset &&
	    pb_digest(feed->bytes.data, len) != extent->digest)
		return pb_section_rotten(extent->segment_seq, extent->offset,
		    err);
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
	int fd = pb_segment_open_file(feed->store, key, segment_seq, err), rc;

	if (fd < 0)
		return fd;
	rc = read_from(fd, segment_seq, offset, len, to, err);
	close(fd);
	return rc;
}

static int
read_from(int fd, uint64_t segment_seq, uint64_t offset, size_t len,
    struct pb_buf *to, struct pb_err *err)
{
	uint8_t *room = pb_buf_reserve(to, len);
	ssize_t got;

	if (room == NULL)
		return pb_err_set(err, PB_ELIMIT, "segment %020" PRIu64 ": %zu "
		    "bytes at %" PRIu64 " do not fit in memory", segment_seq,
		    len, offset);
	got = pb_pread_all(fd, room, len, offset, err);
	if (got < 0)
		return pb_err_prefix(err, (int)got, "segment %020" PRIu64,
		    segment_seq);
	if ((size_t)got < len)
		return pb_err_set(err, PB_EFORMAT, "segment %020" PRIu64 " is "
		    "shorter than its index says: %zu bytes at %" PRIu64 " are "
		    "not there", segment_seq, len - (size_t)got,
		    offset + (uint64_t)got);
	to->len += len;
	return 0;
}

/* --- dead letters ------------------------------------------------------- */

int
pb_feed_letter(struct pb_feed *feed, const struct pb_stream_key *key,
    const struct pb_letter *letter, uint64_t from,
    const struct pb_mark *mark, size_t bytes_max, struct pb_piece *out,
    struct pb_err *err)
{
	struct hunt h = { .from = from, .last = letter->last };
	int rc;

	memset(out, 0, sizeof(*out));
	if (from < letter->first || from > letter->last)
		return 0;
	if (bytes_max > letter->header_bytes)
		h.room = bytes_max - letter->header_bytes;
	h.base = place_of(feed, key, letter, from);
	if (mark->seq == from && mark->segment_seq == letter->segment_seq &&
	    mark->offset >= letter->offset)
		h.base = mark->offset;
	h.fd = pb_section_open(feed->store, key, letter->segment_seq, letter->upstream,
	    true, err);
	if (h.fd < 0)
		return h.fd;
	rc = hunt(feed, &h, err);
	if (rc == PB_EFORMAT && h.base != letter->header_bytes) {
		/* A file that was mended since has it elsewhere. */
		h.base = letter->header_bytes;
		rc = hunt(feed, &h, err);
	}
	close(h.fd);
	if (rc < 0)
		return pb_err_prefix(err, rc, "dead letter %020" PRIu64,
		    letter->segment_seq);
	*out = (struct pb_piece){ .kind = PB_PIECE_PACKETS, .first = from,
	    .last = h.to, .segment_seq = letter->segment_seq,
	    .offset = h.base + h.start, .bytes = (uint32_t)(h.end - h.start),
	    .header_bytes = letter->header_bytes, .complete = true,
	    .letter = true };
	remember(feed, key, out);
	return 0;
}

/*
 * Window by window to the block of h->from, then one that begins there:
 * each goes on where the one before it has no more to say, so the file is
 * read once at most.
 */
static int
hunt(struct pb_feed *feed, struct hunt *h, struct pb_err *err)
{
	size_t len = h->room + PB_STORED_BLOCK_BYTES_MAX;
	ssize_t got;
	uint8_t *room;
	bool last;
	int rc;

	if (len > PB_FEED_EXTENT_MAX)
		len = PB_FEED_EXTENT_MAX;
	pb_buf_clear(&feed->bytes);
	room = pb_buf_reserve(&feed->bytes, len);
	if (room == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	for (;;) {
		got = pb_pread_all(h->fd, room, len, h->base, err);
		if (got < 0)
			return (int)got;
		rc = hunt_window(h, room, (size_t)got);
		last = rc < 0 || h->start == 0 || (size_t)got < len;
		if (h->to != 0 && (h->whole || last))
			return 0;
		if (last)
			return pb_err_set(err, PB_EFORMAT, "no whole packet "
			    "%" PRIu64 " behind byte %" PRIu64 ": the file "
			    "was damaged", h->from, h->base);
		h->base += h->start;
	}
}

/* h->start is behind the last block of a lower number. */
static int
hunt_window(struct hunt *h, const uint8_t *data, size_t len)
{
	struct pb_packet packet;
	struct pb_block block;
	size_t at = 0;
	uint64_t seq;
	int rc;

	h->start = h->end = 0;
	h->to = 0;
	h->whole = false;
	while ((rc = pb_scan_block(data + at, len - at, &block)) == 1) {
		at += block.len;
		if (block.type != PB_BLOCK_EPB)
			continue;
		if (pb_scan_epb(&block, &packet) < 0 ||
		    !pb_packet_seq(&packet, &seq))
			return PB_EFORMAT;
		if (seq < h->from) {
			h->start = at;
			continue;
		}
		if (h->to == 0 && seq != h->from)
			return PB_EFORMAT;
		h->whole = h->to != 0 &&
		    (seq > h->last || at - h->start > h->room);
		if (h->whole)
			return 0;
		h->to = seq;
		h->end = at;
		h->whole = seq == h->last;
		if (h->whole)
			return 0;
	}
	return rc;
}

/* The nearest place at or before `from` that is known. */
static uint64_t
place_of(const struct pb_feed *feed, const struct pb_stream_key *key,
    const struct pb_letter *letter, uint64_t from)
{
	uint64_t offset = letter->offset;

	for (unsigned i = 0; i < PLACES; i++) {
		const struct place *place = &feed->place[i];

		if (place->seq != 0 && place->seq <= from &&
		    place->offset > offset &&
		    place->segment_seq == letter->segment_seq &&
		    pb_stream_key_same(&place->key, key))
			offset = place->offset;
	}
	return offset;
}

static void
remember(struct pb_feed *feed, const struct pb_stream_key *key,
    const struct pb_piece *piece)
{
	feed->place[feed->places++ % PLACES] = (struct place){ .key = *key,
	    .segment_seq = piece->segment_seq, .seq = piece->first,
	    .offset = piece->offset };
}
