/*
 * shipper/feed/lookup.c - what only a file can say, found off the loop
 */
#include "shipper/feed/lookup.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "pcapng/filtered.h"
#include "recorder/store/read/segment_file.h"
#include "recorder/store/read/peek.h"
#include "recorder/store/head.h"
#include "recorder/store/read/section.h"

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

static void	run(void *);
static void	done(void *);
static bool	is_of(const struct pb_lookup *, const struct pb_lookup *);
static bool	answers(const struct pb_lookup *, const struct pb_lookup *);
static int	walk(struct pb_lookup *, struct pb_err *);
static int	read_extent(struct pb_lookup *, uint64_t, size_t,
		    struct pb_err *);
static bool	whole_blocks(const uint8_t *, size_t);
static size_t	room_of(const struct pb_lookup *, uint32_t);
static void	found(struct pb_lookup *, const struct hunt *);
static int	hunt_letter(struct pb_lookup *, struct pb_err *);
static int	hunt(struct pb_buf *, struct hunt *, struct pb_err *);
static int	hunt_window(struct hunt *, const uint8_t *, size_t);
static struct pb_lookup *place_of(struct pb_lookups *,
		    const struct pb_lookup *);

const struct pb_lookup *
pb_lookup(struct pb_lookups *all, const struct pb_lookup *want)
{
	struct pb_lookup *search;

	if (all->running == PB_LOOKUPS_MAX)
		return NULL;
	search = place_of(all, want);
	if (search == NULL || search->running)
		return NULL;
	if (search->want.owner != NULL && answers(search, want)) {
		search->want.owner = NULL;
		return search;
	}
	if (want->want.known)
		return NULL;
	*search = *want;
	search->all = all;
	search->running = true;
	all->running++;
	search->job.run = run;
	search->job.done = done;
	search->job.arg = search;
	pb_worker_give(all->opts.worker, &search->job);
	return NULL;
}

/* Its own, or a free one, or that of what nobody has asked for yet, who will
 * have to ask again.  Not all of them are being looked for.  NULL: nothing
 * is known of it, and nothing is to be begun. */
static struct pb_lookup *
place_of(struct pb_lookups *all, const struct pb_lookup *want)
{
	struct pb_lookup *empty = NULL, *at;

	for (unsigned i = 0; i < all->used; i++) {
		at = &all->search[i];
		if (is_of(at, want))
			return at;
		if (at->want.owner == NULL && empty == NULL)
			empty = at;
	}
	if (want->want.known)
		return NULL;
	if (empty == NULL && all->used < PB_LOOKUPS_MAX)
		empty = &all->search[all->used++];
	for (unsigned i = 0; empty == NULL && i < PB_LOOKUPS_MAX; i++) {
		at = &all->search[all->turn++ % PB_LOOKUPS_MAX];
		if (at->running)
			continue;
		at->want.owner = NULL;
		empty = at;
	}
	return empty;
}

void
pb_lookups_cancel(struct pb_lookups *all, const void *owner)
{
	for (unsigned i = 0; i < all->used; i++) {
		struct pb_lookup *search = &all->search[i];

		if (search->want.owner == NULL ||
		    (owner != NULL && search->want.owner != owner))
			continue;
		pb_worker_cancel(all->opts.worker, &search->job);
		all->running -= search->running ? 1u : 0u;
		search->want.owner = NULL;
		search->running = false;
	}
}

/* Packets in their turn, late ones, and proofs: one at a time each. */
static bool
is_of(const struct pb_lookup *search, const struct pb_lookup *want)
{
	bool piece = want->kind <= PB_LOOKUP_LETTER;

	return search->want.owner == want->want.owner &&
	    search->want.id == want->want.id &&
	    search->want.late == want->want.late && (piece ?
	    search->kind <= PB_LOOKUP_LETTER : search->kind == want->kind);
}

/* Is what was found what is wanted now? */
static bool
answers(const struct pb_lookup *search, const struct pb_lookup *want)
{
	const struct pb_piece *piece = &search->piece;

	if (search->kind != want->kind || search->from != want->from ||
	    search->want.captured != want->want.captured ||
	    pb_clock_mono_ms() > search->done_ms + PB_LOOKUP_AGE_MS)
		return false;
	if (want->kind > PB_LOOKUP_LETTER)
		return true;
	return piece->segment_seq == want->piece.segment_seq &&
	    (search->rc < 0 || (piece->last <= want->piece.last &&
	    (piece->first == piece->last || (size_t)piece->bytes +
	    piece->header_bytes <= want->want.bytes_max)));
}

static void
done(void *arg)
{
	struct pb_lookup *search = arg;
	const struct pb_feed_opts *opts = &search->all->opts;

	search->running = false;
	search->done_ms = pb_clock_mono_ms();
	search->all->running--;
	opts->found(opts->arg, search->want.owner, search->want.id);
}

/* --- on the worker's thread --------------------------------------------- */

static void
run(void *arg)
{
	struct pb_lookup *search = arg;
	struct pb_lookups *all = search->all;
	struct pb_err *err = &search->err;

	switch (search->kind) {
	case PB_LOOKUP_EXTENT:
		search->rc = walk(search, err);
		break;
	case PB_LOOKUP_LETTER:
		search->rc = hunt_letter(search, err);
		break;
	case PB_LOOKUP_BELOW:
		search->rc = pb_peek_cut(all->opts.index, all->opts.store,
		    &search->key, search->stream, search->from,
		    search->want.captured, &search->print, err);
		break;
	case PB_LOOKUP_ABOVE:
		search->rc = pb_peek_above(all->opts.index, all->opts.store,
		    &search->key, search->stream, search->from,
		    &search->print, err);
		break;
	}
}

/*
 * Find where out->first begins (behind the last block of a lower number,
 * if out->offset does not say it) and how many whole blocks fit, one
 * packet at least.  The first piece of an extent has all of it read, so
 * that is when its digest is looked at.
 */
static int
walk(struct pb_lookup *search, struct pb_err *err)
{
	const struct pb_extent_info *extent = &search->extent;
	struct pb_buf *bytes = &search->all->bytes;
	struct pb_piece *out = &search->piece;
	struct hunt h = { .from = out->first, .last = out->last,
	    .room = room_of(search, out->header_bytes),
	    .base = out->offset != 0 ? out->offset : extent->offset };
	size_t len = (size_t)(extent->offset + extent->bytes - h.base);
	int rc = read_extent(search, h.base, len, err);

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
	found(search, &h);
	return 0;
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

static int
read_extent(struct pb_lookup *search, uint64_t offset, size_t len,
    struct pb_err *err)
{
	uint64_t segment_seq = search->extent.segment_seq;
	struct pb_buf *bytes = &search->all->bytes;
	uint8_t *room;
	int fd, rc;

	pb_buf_clear(bytes);
	room = pb_buf_reserve(bytes, len);
	if (room == NULL)
		return pb_err_set(err, PB_ELIMIT, "segment %020" PRIu64 ": %zu "
		    "bytes at %" PRIu64 " do not fit in memory", segment_seq,
		    len, offset);
	fd = pb_segment_open_file(search->all->opts.store, &search->key,
	    segment_seq, err);
	if (fd < 0)
		return fd;
	rc = pb_segment_read(fd, segment_seq, offset, room, len, err);
	close(fd);
	return rc;
}

/* Bytes of blocks that fit. */
static size_t
room_of(const struct pb_lookup *search, uint32_t header_bytes)
{
	return search->want.bytes_max > header_bytes ?
	    search->want.bytes_max - header_bytes : 0;
}

static void
found(struct pb_lookup *search, const struct hunt *h)
{
	search->piece.last = h->to;
	search->piece.offset = h->base + h->start;
	search->piece.bytes = (uint32_t)(h->end - h->start);
}

/* --- dead letters ------------------------------------------------------- */

static int
hunt_letter(struct pb_lookup *search, struct pb_err *err)
{
	const struct pb_letter *letter = &search->letter;
	struct pb_buf *bytes = &search->all->bytes;
	struct hunt h = { .from = search->from, .last = letter->last,
	    .base = search->offset,
	    .room = room_of(search, letter->header_bytes) };
	int rc;

	h.fd = pb_section_open(search->all->opts.store, &search->key,
	    letter->segment_seq, letter->upstream, true, err);
	if (h.fd < 0)
		return h.fd;
	rc = hunt(bytes, &h, err);
	if (rc == PB_EFORMAT && h.base != letter->header_bytes) {
		/* A file that was mended since has it elsewhere. */
		h.base = letter->header_bytes;
		rc = hunt(bytes, &h, err);
	}
	close(h.fd);
	if (rc < 0)
		return pb_err_prefix(err, rc, "dead letter %020" PRIu64,
		    letter->segment_seq);
	found(search, &h);
	return 0;
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
