/*
 * recorder/store/read/piece.h - what stands at a sequence number
 *
 * Whole blocks of one extent, which a request or an answer can carry, or a
 * gap.
 */
#ifndef PB_READ_PIECE_H
#define PB_READ_PIECE_H

#include <stdbool.h>
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

#endif
