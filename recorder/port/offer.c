/*
 * recorder/port/offer.c - what is given to a puller at a sequence number
 *
 * A letter is found by its file's name, which is the first number of its
 * segment: so nothing of the shipper's need be read, and what the store has
 * of a letter's numbers is given from there, in its turn.
 */
#include "recorder/port/offer.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/below.h"
#include "base/disk.h"
#include "base/sys.h"
#include "pcapng/scan.h"
#include "recorder/store/read/hunt.h"

#define TRIES		3	/* a segment may expire between two looks: */
#define AGAIN		2	/* then it is looked again */
#define HEAD_BYTES_MAX	(256u << 10)	/* of a file's SHB and IDB */

static int	look(const struct pb_offer_want *, struct pb_offer *,
		    struct pb_buf *, struct pb_err *);
static int	carry(const struct pb_offer_want *, struct pb_offer *,
		    struct pb_err *);
static int	find(const struct pb_offer_want *, struct pb_index *,
		    struct pb_offer *, struct pb_extent_info *,
		    struct pb_err *);
static int	find_next(const struct pb_offer_want *, struct pb_index *,
		    uint32_t, struct pb_offer *, struct pb_err *);
static int	take_gap(const struct pb_offer_want *, struct pb_offer *,
		    struct pb_buf *, struct pb_err *);
static int	take_letter(const struct pb_offer_want *, uint64_t,
		    struct pb_piece *, struct pb_buf *, struct pb_err *);
static bool	letters_near(const struct pb_offer_want *, uint64_t *,
		    uint64_t *);
static int	header_bytes(int, struct pb_buf *, uint32_t *,
		    struct pb_err *);
static bool	given_up(const struct pb_offer_want *, struct pb_piece *);

int
pb_offer_make(const struct pb_offer_want *want, struct pb_offer *out,
    struct pb_buf *bytes, struct pb_err *err)
{
	int rc = AGAIN;

	for (int i = 0; i < TRIES && rc == AGAIN; i++)
		rc = look(want, out, bytes, err);
	return rc == AGAIN ? pb_err_set(err, PB_EBUSY, "what is there "
	    "changes") : rc;
}

static int
look(const struct pb_offer_want *want, struct pb_offer *out,
    struct pb_buf *bytes, struct pb_err *err)
{
	const char *store = pb_store_path(want->store);
	struct pb_index *index = pb_store_hold(want->store, err);
	struct pb_piece *piece = &out->piece;
	struct pb_extent_info extent;
	int rc;

	if (index == NULL)
		return PB_ESYS;
	out->nexts = 0;
	rc = find(want, index, out, &extent, err);
	pb_store_let_go(want->store);
	if (rc < 0 || rc == AGAIN || piece->kind == PB_PIECE_NONE)
		return rc;
	if (piece->kind == PB_PIECE_GAP)
		return take_gap(want, out, bytes, err);
	if (rc == 0)
		rc = pb_hunt_extent(store, &want->key, &extent,
		    want->bytes_max, bytes, piece, err);
	piece->epoch = want->epoch;
	if (rc >= 0)
		rc = carry(want, out, err);
	if (rc == PB_ENOENT)
		return AGAIN;
	if (rc != PB_EFORMAT && rc != PB_EDIGEST)
		return rc < 0 ? rc : 0;
	return given_up(want, piece) ? 0 : pb_err_set(err, PB_EDIGEST,
	    "packets %" PRIu64 " to %" PRIu64 " are damaged: pb verify",
	    piece->first, piece->last);
}

static int
carry(const struct pb_offer_want *want, struct pb_offer *out,
    struct pb_err *err)
{
	struct pb_payload *payload = &out->payload;

	payload->store = pb_store_path(want->store);
	payload->key = want->key;
	payload->piece = out->piece;
	payload->upstream = want->upstream;
	pb_payload_make(payload);
	if (out->piece.last != payload->piece.last)
		out->nexts = 0;
	out->piece.last = payload->piece.last;
	if (payload->rc < 0)
		*err = payload->err;
	return payload->rc;
}

/* 1; 0 where the file is to be searched; AGAIN; or an error. */
static int
find(const struct pb_offer_want *want, struct pb_index *index,
    struct pb_offer *out, struct pb_extent_info *extent, struct pb_err *err)
{
	static const struct pb_mark no_mark;
	struct pb_piece *piece = &out->piece;
	struct pb_stream_info stream;
	int rc = pb_index_stream(index, &want->key, &stream, err);

	if (rc == 0)
		return pb_err_set(err, PB_ENOENT, "no such stream here");
	if (rc == 1)
		rc = pb_piece_look(index, &stream, want->from, want->to,
		    piece, extent, err);
	if (rc < 0 || piece->kind != PB_PIECE_PACKETS)
		return rc;
	rc = pb_piece_begin(index, extent, &no_mark, want->bytes_max, piece,
	    err);
	if (rc == 1)
		rc = find_next(want, index, stream.id, out, err);
	return rc == PB_ENOENT ? AGAIN : rc;
}

/* Who is held to a rate has no use for more than goes in a while. */
static int
find_next(const struct pb_offer_want *want, struct pb_index *index,
    uint32_t stream, struct pb_offer *out, struct pb_err *err)
{
	int count = pb_piece_ends(index, stream, &out->piece, want->to,
	    out->next, err);
	size_t bytes = 0;

	while (count > (int)out->nexts && (bytes += out->next[out->nexts].
	    bytes) <= want->next_max)
		out->nexts++;
	return count < 0 ? count : 1;
}

/* What the store has no more, a letter may have. */
static int
take_gap(const struct pb_offer_want *want, struct pb_offer *out,
    struct pb_buf *bytes, struct pb_err *err)
{
	struct pb_piece *piece = &out->piece, gap;
	uint64_t below = 0, above = 0;
	int rc;

	if (!letters_near(want, &below, &above))
		return 0;
	if (above != 0 && above <= piece->last)
		piece->last = above - 1;
	if (below == 0)
		return 0;
	gap = *piece;
	rc = take_letter(want, below, piece, bytes, err);
	if (rc == 0)
		rc = carry(want, out, err);
	if (rc < 0)
		*piece = gap;
	return rc == PB_EFORMAT || rc == PB_ENOENT ? 0 : rc;
}

static int
take_letter(const struct pb_offer_want *want, uint64_t segment_seq,
    struct pb_piece *piece, struct pb_buf *bytes, struct pb_err *err)
{
	int rc, fd = pb_section_open(pb_store_path(want->store), &want->key,
	    segment_seq, want->upstream, true, err);

	if (fd < 0)
		return fd;
	*piece = (struct pb_piece){ .kind = PB_PIECE_PACKETS,
	    .first = want->from, .last = piece->last,
	    .segment_seq = segment_seq, .letter = true,
	    .epoch = want->epoch };
	rc = header_bytes(fd, bytes, &piece->header_bytes, err);
	if (rc == 0)
		rc = pb_hunt_file(fd, piece->header_bytes, want->bytes_max,
		    bytes, piece, err);
	close(fd);
	return rc;
}

/* The numbers that the upstream's files begin with: the last one up to the
 * wanted one, and the first past it; 0: there is none. */
static bool
letters_near(const struct pb_offer_want *want, uint64_t *below,
    uint64_t *above)
{
	struct pb_segment_name name;
	char path[PATH_MAX];
	struct pb_dir *dir;
	const char *next;

	if (pb_layout_letters(path, pb_store_path(want->store),
	    want->upstream, &want->key, NULL) < 0)
		return false;
	dir = pb_below_opendir(path);
	if (dir == NULL)
		return false;
	while ((next = pb_dir_next(dir)) != NULL) {
		if (!pb_layout_parse(next, &name) || name.open)
			continue;
		if (name.first <= want->from && name.first > *below)
			*below = name.first;
		if (name.first > want->from &&
		    (*above == 0 || name.first < *above))
			*above = name.first;
	}
	pb_dir_close(dir);
	return true;
}

static int
header_bytes(int fd, struct pb_buf *bytes, uint32_t *out, struct pb_err *err)
{
	struct pb_block block;
	uint8_t *room;
	size_t at = 0;
	ssize_t len;

	pb_buf_clear(bytes);
	room = pb_buf_reserve(bytes, HEAD_BYTES_MAX);
	if (room == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	len = pb_pread_all(fd, room, HEAD_BYTES_MAX, 0, err);
	if (len < 0)
		return (int)len;
	for (int i = 0; i < 2; i++) {
		if (pb_scan_block(room + at, (size_t)len - at, &block) != 1)
			return pb_err_set(err, PB_EFORMAT, "a dead letter "
			    "without a header");
		at += block.len;
	}
	*out = (uint32_t)at;
	return 0;
}

/* Packets that cannot be read hold up the stream until the shipper, which
 * has waited for them as long as it waits, has made a letter of them. */
static bool
given_up(const struct pb_offer_want *want, struct pb_piece *piece)
{
	struct stat st;
	char path[PATH_MAX];

	if (pb_layout_letter(path, pb_store_path(want->store), want->upstream,
	    &want->key, piece->segment_seq, NULL) < 0 ||
	    pb_below_stat(path, &st) < 0)
		return false;
	*piece = (struct pb_piece){ .kind = PB_PIECE_GAP,
	    .first = piece->first, .last = piece->last, .recorded = true,
	    .reason = PB_GAP_DEAD_LETTERED };
	return true;
}
