/*
 * pcapng/stamp.h - what a switch stamped on a packet, and what of it stands
 * beside the packet
 *
 * A stamp is in the frame itself, as a trailer or a header, and the frame
 * stays as it was captured.  Which ones to look for is said by the interface
 * (recorder/trailer/trailer.h); so mostly nothing of them is stored again.
 * Own options (hop.h has what all of them begin with):
 *
 *   5 stamps     in an EPB, where the frame does not tell all: capture time
 *                u64 (ns since 1970), `from` u8, count u8, 6 zero bytes, then
 *                `count` records of 24 bytes in the order of the way, the
 *                first switch first: time u64 (ns), fraction u32, seq u32,
 *                device u16, port u16, format u8, three zero bytes but for
 *                the first: flags u8.  A count of 0: read the frame.
 *   6 interface  in an IDB: text, words separated by one blank, key=value:
 *                `clock=adapter trailers=metamako,raw:4 fcs=yes`
 *
 * docs/format.md says the same for strangers.
 */
#ifndef PB_PCAPNG_STAMP_H
#define PB_PCAPNG_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define PB_STAMPS_MAX	8	/* trailers of one frame */

/* Where a time is from: numbers in files, never used anew. */
enum pb_stamp_format {
	PB_STAMP_NONE = 0,
	PB_STAMP_METAMAKO = 1,		/* Arista 7130 MetaWatch */
	PB_STAMP_CPACKET = 2,
	PB_STAMP_EXABLAZE = 3,		/* Cisco Nexus 3550-F HPT */
	PB_STAMP_VSS = 4,
	PB_STAMP_IXIA = 5,
	PB_STAMP_ARISTA7280 = 6,	/* AVSP header */
	PB_STAMP_ARISTA7150 = 7,	/* DANZ ticks */
	PB_STAMP_MAC48 = 8,
	PB_STAMP_TTAG = 9,
	PB_STAMP_BROADCOM = 10,
	PB_STAMP_RAW = 11,		/* opaque bytes, no stamp */
};

enum {
	PB_STAMP_TIMED = 0x01,		/* it has a time, and that is valid */
	PB_STAMP_FCS_VALID = 0x02,	/* the device says that the FCS of the
					 * frame it got was right */
	PB_STAMP_DUPLICATE = 0x04,	/* the device says so */
	PB_STAMP_DEGRADED = 0x08,	/* the device: its clock is not good */
	PB_STAMP_EXTENDED = 0x10,	/* upper bits from a keyframe or from
					 * the capture's clock */
	PB_STAMP_ADRIFT = 0x20,		/* its keyframe is missing, late or out
					 * of step: then it is not TIMED */
	PB_STAMP_SEQUENCED = 0x40,	/* `seq` counts */
	PB_STAMP_PLACED = 0x80,		/* `device` and `port` count */
};

struct pb_stamp {
	uint64_t	 time_ns;	/* since 1970 UTC */
	uint32_t	 fraction;	/* of a nanosecond, in 1/2^32 */
	uint32_t	 seq;
	uint16_t	 device, port;
	uint8_t		 format;	/* enum pb_stamp_format */
	uint8_t		 flags;
};

/* The option of an EPB. */
struct pb_stamped {
	uint64_t	 capture_ns;	/* of the capturing node's clock */
	uint8_t		 from;		/* whose the packet's time is: 0 the
					 * capture's, n the n-th stamp's */
	uint8_t		 count;		/* 0: the frame tells */
	struct pb_stamp	 at[PB_STAMPS_MAX];	/* in the order of the way */
};

/* Bytes of the whole option, its header included, with so many records. */
size_t	pb_stamped_bytes(unsigned count);

/* Write it at `at`, little-endian; returns pb_stamped_bytes(). */
size_t	pb_stamped_write(uint8_t *at, uint32_t pen,
	    const struct pb_stamped *stamped);

/* Read it from a packet's options: 1, 0 where there is none, PB_EFORMAT
 * where it is malformed. */
int	pb_stamped_get(const uint8_t *options, size_t len,
	    struct pb_stamped *out);

/* The text of kind 6 in an IDB's options; PB_EFORMAT as above.  `put` cuts
 * nothing: `text` has at most 255 bytes. */
#define PB_INTERFACE_TEXT_MAX	256
int	pb_interface_text_put(struct pb_buf *options, uint32_t pen,
	    const char *text);
int	pb_interface_text_get(const uint8_t *options, size_t len,
	    char out[static PB_INTERFACE_TEXT_MAX]);

/* The value of a word `key=` in it, "" where there is none. */
void	pb_interface_word(const char *text, const char *key,
	    char out[static PB_INTERFACE_TEXT_MAX]);

#endif
