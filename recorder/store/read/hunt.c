/*
 * recorder/store/read/hunt.c - where the blocks of a number stand in a file
 */
#include "recorder/store/read/hunt.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/sys.h"
#include "pcapng/filtered.h"
#include "pcapng/scan.h"
#include "recorder/store/head.h"
#include "recorder/store/read/section.h"
#include "recorder/store/read/segment_file.h"

/* A file, or an extent of it, being searched. */
struct hunt {
	int		 fd;
	uint64_t	 from, last;	/* wanted */
	size_t		 room;
	uint64_t	 base;		/* of the window in the file */
	size_t		 start, end;	/* of the piece in the window */
	uint64_t	 to;		/* its last number; 0: not found */
	bool		 whole;		/* it ends where it must */
};

static int	read_extent(const char *, const struct pb_stream_key *,
		    const struct pb_extent_info *, uint64_t, struct pb_buf *,
		    struct pb_err *);
static bool	whole_blocks(const uint8_t *, size_t);
static struct hunt hunt_of(const struct pb_piece *, size_t, uint64_t);
static void	found(struct pb_piece *, const struct hunt *);
static int	hunt(struct pb_buf *, struct hunt *, struct pb_err *);
static int	hunt_window(struct hunt *, const uint8_t *, size_t);

/* The first piece of an extent has all of it read, so that is when its digest
 * is looked at. */
int
pb_hunt_extent(const char *store, const struct pb_stream_key *key,
    const struct pb_extent_info *extent, size_t bytes_max,
    struct pb_buf *bytes, struct pb_piece *out, struct pb_err *err)
{
	struct hunt h = hunt_of(out, bytes_max, out->offset != 0 ?
	    out->offset : extent->offset);
	size_t len = (size_t)(extent->offset + extent->bytes - h.base);
	int rc = read_extent(store, key, extent, h.base, bytes, err);

	if (rc < 0)
		return rc;
	if (hunt_window(&h, bytes->data, len) < 0 || h.to == 0 ||
	    (h.to == extent->last_seq &&
	    !whole_blocks(bytes->data + h.end, len - h.end)))
		return pb_err_set(err, PB_EFORMAT, "segment %020" PRIu64 ": no "
		    "whole packet %" PRIu64 " in the extent at %" PRIu64
		    ": the file was damaged", extent->segment_seq, out->first,
		    extent->offset);
	if (h.base == extent->offset)
		rc = pb_segment_check(extent->segment_seq, extent->offset,
		    bytes->data, len, extent->digest, err);
	if (rc < 0)
		return rc;
	if (h.to < extent->last_seq)
		out->complete = true;
	else if (len - h.start <= h.room)
		h.end = len;
	out->whole = false;
	found(out, &h);
	return 0;
}

int
pb_hunt_file(int fd, uint64_t base, size_t bytes_max, struct pb_buf *bytes,
    struct pb_piece *out, struct pb_err *err)
{
	struct hunt h = hunt_of(out, bytes_max, base);
	int rc;

	h.fd = fd;
	rc = hunt(bytes, &h, err);
	if (rc == 0)
		found(out, &h);
	return rc;
}

static bool
whole_blocks(const uint8_t *data, size_t len)
{
	struct pb_block block;
	int rc;

	for (; (rc = pb_scan_block(data, len, &block)) == 1;
	    data += block.len, len -= block.len)
		continue;
	return rc == 0;
}

/* From `offset` to its end. */
static int
read_extent(const char *store, const struct pb_stream_key *key,
    const struct pb_extent_info *extent, uint64_t offset,
    struct pb_buf *bytes, struct pb_err *err)
{
	size_t len = (size_t)(extent->offset + extent->bytes - offset);
	uint8_t *room;
	int fd, rc;

	pb_buf_clear(bytes);
	room = pb_buf_reserve(bytes, len);
	if (room == NULL)
		return pb_err_set(err, PB_ELIMIT, "segment %020" PRIu64 ": %zu "
		    "bytes at %" PRIu64 " do not fit in memory",
		    extent->segment_seq, len, offset);
	fd = pb_segment_open_file(store, key, extent->segment_seq, err);
	if (fd < 0)
		return fd;
	rc = pb_segment_read(fd, extent->segment_seq, offset, room, len, err);
	close(fd);
	return rc;
}

static struct hunt
hunt_of(const struct pb_piece *piece, size_t bytes_max, uint64_t base)
{
	return (struct hunt){ .from = piece->first, .last = piece->last,
	    .base = base, .room = bytes_max > piece->header_bytes ?
	    bytes_max - piece->header_bytes : 0 };
}

static void
found(struct pb_piece *out, const struct hunt *h)
{
	out->last = h->to;
	out->offset = h->base + h->start;
	out->bytes = (uint32_t)(h->end - h->start);
}

/*
 * Window by window to the block of h->from, then one that begins there:
 * each goes on where the one before it has no more to say, so the file is
 * read once at most.
 */
static int
hunt(struct pb_buf *bytes, struct hunt *h, struct pb_err *err)
{
	size_t len = h->room + PB_STORED_BLOCK_BYTES_MAX;
	ssize_t got;
	uint8_t *room;
	bool last;
	int rc;

	if (len > PB_FEED_EXTENT_MAX)
		len = PB_FEED_EXTENT_MAX;
	pb_buf_clear(bytes);
	room = pb_buf_reserve(bytes, len);
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

/* h->start is behind the last block of lower numbers. */
static int
hunt_window(struct hunt *h, const uint8_t *data, size_t len)
{
	uint64_t first, last;
	struct pb_block block;
	size_t at = 0;
	int rc;

	h->start = h->end = 0;
	h->to = 0;
	h->whole = false;
	while ((rc = pb_scan_block(data + at, len - at, &block)) == 1) {
		at += block.len;
		rc = pb_scan_numbers(&block, &first, &last);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		if (last < h->from) {
			h->start = at;
			continue;
		}
		if (h->to == 0 && first > h->from)
			return PB_EFORMAT;
		h->whole = h->to != 0 &&
		    (first > h->last || at - h->start > h->room);
		if (h->whole)
			return 0;
		h->to = last < h->last ? last : h->last;
		h->end = at;
		h->whole = h->to == h->last;
		if (h->whole)
			return 0;
	}
	return rc;
}
