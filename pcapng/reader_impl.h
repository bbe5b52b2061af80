/*
 * pcapng/reader_impl.h - private: what the files of the reader share
 *
 *	reader.c	the driver: kind of file, ends, errors that stay
 *	reader_pcap.c	classic pcap
 *	reader_ng.c	pcapng blocks
 *	swap.c		option lists into canonical form
 */
#ifndef PB_PCAPNG_READER_IMPL_H
#define PB_PCAPNG_READER_IMPL_H

#include <inttypes.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "pcapng/reader.h"
#include "pcapng/ticks.h"

struct reader_interface {
	uint32_t	snaplen;	/* 0: no limit */
	struct pb_ticks	clock;
};

enum reader_state {
	READER_START,		/* no byte seen */
	READER_NG,		/* at a pcapng block */
	READER_PCAP_INTERFACE,	/* the pcap header's second event is due */
	READER_PCAP,		/* at a pcap record */
};

enum reader_lengths {		/* order of a pcap record's two lengths */
	LENGTHS_CAPTURED_FIRST,
	LENGTHS_ORIGINAL_FIRST,	/* pcap before 2.3 */
	LENGTHS_UNSURE,		/* 2.3 was written both ways */
};

struct pb_reader {
	enum reader_state state;
	uint64_t	 offset;	/* of the window's first byte */
	size_t		 need;
	bool		 big;		/* big-endian section or pcap */
	bool		 skip;		/* section of an unknown version */
	bool		 readable;	/* a section of a known one was there */
	bool		 skipped;	/* a section of an unknown one was */
	uint16_t	 skipped_major;	/* the first of them: its version */
	uint16_t	 skipped_minor;
	uint64_t	 skipped_offset;
	uint32_t	 sections;	/* met so far, skipped ones included */
	uint32_t	 interfaces;	/* of this section */
	struct reader_interface *interface;	/* owned; a list */
	size_t		 interfaces_cap;
	struct pb_buf	 scratch;	/* options in canonical form */
	/* pcap */
	uint64_t	 fraction_ns;	/* 1 or 1000 */
	enum reader_lengths lengths;
	uint32_t	 pcap_snaplen;
	uint32_t	 pcap_linktype;	/* the header's field, FCS bits too */
	struct pb_err	 err;		/* code not 0: the reader stays here */
};

/* What a step answers beside PB_READ_MORE, PB_READ_EVENT and errors. */
#define READER_SKIPPED	3	/* bytes consumed, nothing to tell */

/*
 * One step: look at the `len` bytes at reader->offset.  PB_READ_MORE with
 * reader->need set, or a whole unit: `*used` of its bytes.
 */
int	pb_reader_pcap_header(struct pb_reader *reader, const uint8_t *data,
	    size_t len, size_t *used, struct pb_event *event);
int	pb_reader_pcap_interface(struct pb_reader *reader,
	    struct pb_event *event);
int	pb_reader_pcap_record(struct pb_reader *reader, const uint8_t *data,
	    size_t len, size_t *used, struct pb_event *event);
int	pb_reader_ng_block(struct pb_reader *reader, const uint8_t *data,
	    size_t len, size_t *used, struct pb_event *event);

/* Note the error, which starts with "offset N: "; its code. */
#define reader_fail_at(reader, code, at, ...)				\
	pb_err_prefix(&(reader)->err, pb_err_set(&(reader)->err, (code), \
	    __VA_ARGS__), "offset %" PRIu64, (uint64_t)(at))
/* The same of the block or record that is looked at. */
#define reader_fail(reader, code, ...)					\
	reader_fail_at((reader), (code), (reader)->offset, __VA_ARGS__)

/* Whose list it is: the codes mean something else in each. */
enum options_of {
	OPTIONS_OF_SECTION,
	OPTIONS_OF_INTERFACE,
	OPTIONS_OF_PACKET,
	OPTIONS_OF_OLD_PACKET,		/* obsolete Packet Block */
	OPTIONS_OF_STATISTICS,
};

#define DROPS_UNKNOWN	0xFFFFu		/* a Packet Block's drops_count */

/*
 * The canonical form of a list: `*out` is the list itself where it is that
 * already, else it is in `scratch`.  PB_EFORMAT where a length leaves the
 * list, PB_ELIMIT past PB_OPTIONS_BYTES_MAX, PB_ENOMEM.
 */
int	pb_options_canonical(struct pb_buf *scratch, enum options_of of,
	    bool big, const uint8_t *list, size_t len, const uint8_t **out,
	    size_t *out_len);

static inline uint16_t
reader_u16(const struct pb_reader *reader, const uint8_t *at)
{
	return reader->big ? pb_get_be16(at) : pb_get_le16(at);
}

static inline uint32_t
reader_u32(const struct pb_reader *reader, const uint8_t *at)
{
	return reader->big ? pb_get_be32(at) : pb_get_le32(at);
}

#endif
