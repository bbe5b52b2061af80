/*
 * recorder/store/read/piece.h - what stands at a sequence number
 *
 * Whole blocks of one extent, which a request or an answer can carry, or a
 * gap.
 */
#ifndef PB_READ_PIECE_H
#define PB_READ_PIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/store/index/index.h"

enum pb_piece_kind {
	PB_PIECE_NONE,		/* nothing there, now */
	PB_PIECE_PACKETS,
	PB_PIECE_GAP,
	PB_PIECE_SOON,		/* not known yet: ask again */
};

/* What comes at a number: whole blocks of one segment, or a gap. */
struct pb_piece {
	enum pb_piece_kind kind;
	uint64_t	first, last;
	/* PACKETS */
	uint64_t	segment_seq;	/* first number of its segment */
	uint64_t	offset;		/* in the file */
	uint32_t	bytes;		/* from there, whole blocks */
	uint32_t	header_bytes;	/* of the file's SHB and IDB */
	bool		complete;	/* no more will come to this extent */
	bool		whole;		/* all of the extent: `digest` holds */
	uint64_t	digest;		/* XXH3 64 of `bytes` */
	bool		letter;		/* the file is a dead letter's */
	bool		settles;	/* acked, a letter is delivered */
	uint64_t	epoch;		/* it goes under; 0: the file's own */
	/* GAP */
	enum pb_gap_reason reason;
	bool		recorded;	/* false: missing without a record */
};

/* Where the block after the last one sent begins. */
struct pb_mark {
	uint64_t	seq;		/* the number that is next; 0: none */
	uint64_t	segment_seq;
	uint64_t	offset;
};

/*
 * The piece at number `from` of the stream, that ends at `to` or before
 * (UINT64_MAX: wherever).  PB_PIECE_NONE where `from` is past the durable end
 * or `to`.  Numbers that are neither in an extent nor in an open gap are a
 * gap without a record.  Of packets the numbers alone are known, and the
 * extent, `*at`.
 */
int	pb_piece_look(struct pb_index *index,
	    const struct pb_stream_info *stream, uint64_t from, uint64_t to,
	    struct pb_piece *out, struct pb_extent_info *at,
	    struct pb_err *err);

/* Where its blocks are: 1; 0 where only the file can say it (hunt.h), as it
 * begins or ends within the extent or does not fit in `bytes_max` with the
 * file's header; or an error. */
int	pb_piece_begin(struct pb_index *index,
	    const struct pb_extent_info *at, const struct pb_mark *mark,
	    size_t bytes_max, struct pb_piece *out, struct pb_err *err);

/* Where a piece of packets ends, and its bytes with the file's header. */
struct pb_piece_end {
	uint64_t	last;
	uint32_t	bytes;
};

/*
 * The pieces behind one of packets, each all of an extent to which nothing
 * comes any more, one behind the other in its segment, up to number `to`: how
 * many; or an error.
 */
#define PB_PIECE_ENDS_MAX 8u
int	pb_piece_ends(struct pb_index *index, uint32_t stream,
	    const struct pb_piece *piece, uint64_t to,
	    struct pb_piece_end out[static PB_PIECE_ENDS_MAX],
	    struct pb_err *err);

#endif
