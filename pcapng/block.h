/*
 * pcapng/block.h - numbers of the format, and what a packet is to us
 *
 * Source: draft-ietf-opsawg-pcapng-05, sections 3 and 4; option tables
 * there.  Classic pcap: draft-ietf-opsawg-pcap-06.
 */
#ifndef PB_PCAPNG_BLOCK_H
#define PB_PCAPNG_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pb_block_type {
	PB_BLOCK_SHB = 0x0A0D0D0A,	/* Section Header, 4.1 */
	PB_BLOCK_IDB = 1,		/* Interface Description, 4.2 */
	PB_BLOCK_PB = 2,		/* Packet (obsolete), appendix A */
	PB_BLOCK_SPB = 3,		/* Simple Packet, 4.4 */
	PB_BLOCK_NRB = 4,		/* Name Resolution, 4.5 */
	PB_BLOCK_ISB = 5,		/* Interface Statistics, 4.6 */
	PB_BLOCK_EPB = 6,		/* Enhanced Packet, 4.3 */
	PB_BLOCK_DSB = 10,		/* Decryption Secrets, 4.7 */
	PB_BLOCK_CB = 0x00000BAD,	/* Custom, may be copied, 4.8 */
	PB_BLOCK_CB_NOCOPY = 0x40000BAD,
};

#define PB_BYTE_ORDER_MAGIC	0x1A2B3C4Du

/* Bytes of a block: type and length, a body, the length again.  From its
 * start to its options, or to a packet's data. */
#define PB_BLOCK_HEAD		8u
#define PB_BLOCK_TRAILER	4u
#define PB_BLOCK_BYTES_MIN	(PB_BLOCK_HEAD + PB_BLOCK_TRAILER)
#define PB_SHB_HEAD		24u
#define PB_IDB_HEAD		16u
#define PB_SPB_HEAD		12u
#define PB_ISB_HEAD		20u
#define PB_EPB_HEAD		28u

enum pb_option_code {
	PB_OPT_END = 0,
	PB_OPT_COMMENT = 1,
	PB_OPT_CUSTOM_TEXT = 2988,	/* may be copied */
	PB_OPT_CUSTOM_BINARY = 2989,
	PB_OPT_CUSTOM_TEXT_NOCOPY = 19372,
	PB_OPT_CUSTOM_BINARY_NOCOPY = 19373,
	/* Section Header Block */
	PB_OPT_SHB_HARDWARE = 2,
	PB_OPT_SHB_OS = 3,
	PB_OPT_SHB_USERAPPL = 4,
	/* Interface Description Block */
	PB_OPT_IF_NAME = 2,
	PB_OPT_IF_DESCRIPTION = 3,
	PB_OPT_IF_IPV4ADDR = 4,
	PB_OPT_IF_IPV6ADDR = 5,
	PB_OPT_IF_MACADDR = 6,
	PB_OPT_IF_EUIADDR = 7,
	PB_OPT_IF_SPEED = 8,
	PB_OPT_IF_TSRESOL = 9,
	PB_OPT_IF_TZONE = 10,
	PB_OPT_IF_FILTER = 11,
	PB_OPT_IF_OS = 12,
	PB_OPT_IF_FCSLEN = 13,
	PB_OPT_IF_TSOFFSET = 14,
	PB_OPT_IF_HARDWARE = 15,
	PB_OPT_IF_TXSPEED = 16,
	PB_OPT_IF_RXSPEED = 17,
	PB_OPT_IF_IANA_TZNAME = 18,
	/* Enhanced Packet Block */
	PB_OPT_EPB_FLAGS = 2,
	PB_OPT_EPB_HASH = 3,
	PB_OPT_EPB_DROPCOUNT = 4,
	PB_OPT_EPB_PACKETID = 5,
	PB_OPT_EPB_QUEUE = 6,
	PB_OPT_EPB_VERDICT = 7,
	PB_OPT_EPB_PROCESSID_THREADID = 8,
	/* Interface Statistics Block */
	PB_OPT_ISB_STARTTIME = 2,
	PB_OPT_ISB_ENDTIME = 3,
	PB_OPT_ISB_IFRECV = 4,
	PB_OPT_ISB_IFDROP = 5,
	PB_OPT_ISB_FILTERACCEPT = 6,
	PB_OPT_ISB_OSDROP = 7,
	PB_OPT_ISB_USRDELIV = 8,
};

/*
 * Limits.  A block larger than PB_BLOCK_BYTES_MAX is malformed (libpcap
 * draws the same line).  PB_CAPLEN_MAX is Wireshark's for most link types:
 * one byte more and it refuses the file.  One snap length for every
 * interface block we write, or libpcap refuses a file of several.
 */
#define PB_BLOCK_BYTES_MAX	(16u << 20)
#define PB_CAPLEN_MAX		262144u
#define PB_SNAPLEN		262144u
#define PB_OPTIONS_BYTES_MAX	262144u	/* of one block we store */
#define PB_STORED_BLOCK_BYTES_MAX (768u << 10)	/* any block we store */
#define PB_INTERFACES_MAX	4096u	/* of one section */
#define PB_SECTIONS_MAX		65536u	/* of one file */

/* Link types: https://www.tcpdump.org/linktypes.html */
enum pb_linktype {
	PB_LINKTYPE_NULL = 0,
	PB_LINKTYPE_ETHERNET = 1,
	PB_LINKTYPE_RAW = 101,
	PB_LINKTYPE_LOOP = 108,
	PB_LINKTYPE_LINUX_SLL = 113,
	PB_LINKTYPE_IPV4 = 228,
	PB_LINKTYPE_IPV6 = 229,
	PB_LINKTYPE_LINUX_SLL2 = 276,
};

/*
 * A packet.  `data` and `options` are borrowed: from the bytes it was read
 * from, or from the caller who builds a block of it.  `options` is a list
 * in little-endian order, padded, without opt_endofopt.
 */
struct pb_packet {
	uint64_t	 time_ns;	/* since 1970 UTC */
	uint32_t	 caplen;	/* bytes in data, <= PB_CAPLEN_MAX */
	uint32_t	 origlen;	/* bytes on the wire */
	const uint8_t	*data;
	const uint8_t	*options;
	size_t		 options_len;
};

#endif
