/*
 * pcapng/reader.h - any capture file, as a stream of events
 *
 * Reads pcapng of both byte orders and classic pcap in its four flavours
 * (two byte orders, microseconds and nanoseconds), with bytes handed over
 * in whatever pieces they come.  It keeps no bytes: the caller holds a
 * window, gives it again longer when PB_READ_MORE says so, and drops what
 * was consumed.
 *
 *	for (;;) {
 *		rc = pb_reader_next(r, win.data, win.len, eof, &used, &ev, err);
 *		if (rc == PB_READ_EVENT) handle(&ev);      -- borrows win.data
 *		pb_buf_consume(&win, used);                -- after handling
 *		if (rc == PB_READ_MORE) read more into win, up to
 *		    pb_reader_need() bytes in all at least;
 *		else if (rc != PB_READ_EVENT) break;       -- END or an error
 *	}
 *
 * Malformed input is PB_EFORMAT, and the text names the offset in the
 * input and what is wrong there; the reader then stays at that error.
 * Nothing the input says makes it allocate more than a fixed amount per
 * interface (PB_INTERFACES_MAX of them) plus one scratch of a block's
 * options (PB_OPTIONS_BYTES_MAX).
 */
#ifndef PB_PCAPNG_READER_H
#define PB_PCAPNG_READER_H

#include "base/err.h"
#include "pcapng/block.h"

enum {
	PB_READ_MORE = 0,	/* needs more bytes */
	PB_READ_EVENT = 1,
	PB_READ_END = 2,	/* eof was true and all is consumed */
};

enum pb_event_kind {
	PB_EVENT_SECTION,	/* a Section Header Block, or a pcap header */
	PB_EVENT_INTERFACE,	/* after each IDB, or after a pcap header */
	PB_EVENT_PACKET,	/* EPB, PB, SPB, or a pcap record */
	PB_EVENT_STATISTICS,	/* ISB */
	PB_EVENT_BLOCK,		/* any other block, untouched */
};

struct pb_event {
	enum pb_event_kind kind;
	uint64_t	 offset;	/* of the block in the input */
	uint32_t	 section;	/* counted from 0 over the input */
	uint32_t	 interface;	/* id within the section */
	/*
	 * PACKET: all of it; times in ns by 128-bit arithmetic, if_tsoffset
	 * added, rounded down; origlen as it was written, even where it is
	 * below caplen.  Options of old Packet Blocks are given as
	 * their EPB twins (pack_flags, pack_hash; a drop count that is not
	 * 0xFFFF as epb_dropcount).
	 * SECTION, INTERFACE, STATISTICS: `packet.options` are theirs;
	 * STATISTICS has its time in packet.time_ns.
	 * Option lists are canonical (option.h), of either byte order: the
	 * draft's numeric options and the PEN of custom ones are swapped,
	 * octets and unknown options are as they came.  ISB start and end
	 * times stay in the interface's own resolution.
	 */
	struct pb_packet packet;
	bool		 has_time;	/* false for Simple Packet Blocks */
	/* INTERFACE */
	uint16_t	 linktype;
	uint32_t	 snaplen;	/* as written there; 0: no limit */
	/* BLOCK: the whole block as it stands in the input */
	uint32_t	 block_type;
	const uint8_t	*block;
	size_t		 block_len;
	bool		 swapped;	/* big-endian, body included */
};

struct pb_reader;	/* owned by the caller of create; one input each */

int	pb_reader_create(struct pb_reader **out, struct pb_err *err);
void	pb_reader_destroy(struct pb_reader *reader);

/*
 * Look at `len` bytes at `data`, the unconsumed part of the input;
 * `eof` says that no more will come.  `*consumed` (always set) bytes may
 * be dropped once the event has been used: the event borrows them.
 * PB_READ_EVENT, PB_READ_MORE, PB_READ_END or PB_EFORMAT, PB_ENOMEM,
 * PB_ELIMIT.  With `eof` it never answers PB_READ_MORE: a block cut short
 * is PB_EFORMAT with its offset.
 */
int	pb_reader_next(struct pb_reader *reader, const uint8_t *data,
	    size_t len, bool eof, size_t *consumed, struct pb_event *event,
	    struct pb_err *err);

/*
 * The caller has read `len` bytes of whole packets by itself (plain.h); the
 * next call is about those behind them.  Only after PB_READ_EVENT.
 */
void	pb_reader_pass(struct pb_reader *reader, size_t len);

/* After PB_READ_MORE: the window's length with which it can go on. */
size_t	pb_reader_need(const struct pb_reader *reader);

#endif
