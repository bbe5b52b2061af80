/*
 * recorder/flow/summary_impl.h - the bytes of a summary
 *
 *   u8 version, u8 sets, u8 shapes
 *   each set:   u16 length, that many bytes (filter/values.c)
 *   each shape: the first PB_FLOW_SHAPE_BYTES of its flows' keys;
 *               least captured length, how much more the greatest is, the
 *               same of lengths on the wire: varints;
 *               u8 runs, each a byte of its kind and length, and its bytes;
 *               u8 places, each u8 which set, u8 its offset, u8 its length
 *   u64 XXH3 of all before
 *
 * Integers are little-endian; a varint has seven bits a byte, the lowest
 * first, and the eighth set in all but the last.  The runs are of the
 * packets' first bytes, one behind the other; of bytes behind them, and in
 * front of the first shape, nothing is known.  PLACES_SAME places are those of
 * the shape before.
 */
#ifndef PB_FLOW_SUMMARY_IMPL_H
#define PB_FLOW_SUMMARY_IMPL_H

#define SUMMARY_VERSION		1u
#define SUMMARY_HEAD_BYTES	3u
#define SUMMARY_DIGEST_BYTES	8u
#define SUMMARY_SETS_MAX	48u
#define SUMMARY_SHAPES_MAX	64u
#define SUMMARY_PLACES_MAX	24u	/* of a shape */

/* A run: its kind in the high two bits, below them its length less one. */
enum {
	RUN_UNKNOWN = 0,	/* no bytes follow */
	RUN_KNOWN = 1,		/* as many as it is long */
	RUN_BITS = 2,		/* for each two: ones, unknown */
	RUN_SAME = 3,		/* none: as in the shape before */
};
#define PLACES_SAME		0xffu
#define RUN_SHIFT		6u
#define RUN_BYTES_MAX		64u

#endif
