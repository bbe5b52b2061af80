/*
 * pcapng/build.h - blocks as we write them
 *
 * Little-endian, one section, one interface (id 0), nanoseconds, every
 * option list closed by opt_endofopt, padding zeroed; no Custom Blocks,
 * no local codes, no epb_verdict of our own.
 */
#ifndef PB_PCAPNG_BUILD_H
#define PB_PCAPNG_BUILD_H

#include "base/buf.h"
#include "pcapng/block.h"

/* SHB: version 1.0, section length -1.  `options` canonical, or NULL. */
int	pb_build_shb(struct pb_buf *out, const uint8_t *options, size_t len);

/* IDB; if_tsresol=9 is put first, any in `options` is left out, and so are
 * if_tsoffset and if_fcslen of length 0. */
int	pb_build_idb(struct pb_buf *out, uint16_t linktype, uint32_t snaplen,
	    const uint8_t *options, size_t len);

/* Bytes of the EPB of `packet` with its options. */
size_t	pb_epb_bytes(uint32_t caplen, size_t options_len);

/*
 * Write the EPB of `packet` at `at`, where pb_epb_bytes() are free, for
 * interface `interface`; returns its length.  No checks, no memory.
 */
size_t	pb_build_epb(uint8_t *at, uint32_t interface,
	    const struct pb_packet *packet);

/* ISB with `options` (canonical). */
int	pb_build_isb(struct pb_buf *out, uint32_t interface, uint64_t time_ns,
	    const uint8_t *options, size_t len);

/*
 * An Interface Statistics Block of exactly `bytes` bytes at `at`: readers
 * skip it; it carries our filler mark in a custom option (`pen`).  `bytes`
 * is a multiple of 4, from PB_FILLER_BYTES_MIN to PB_FILLER_BYTES_MAX.
 */
#define PB_FILLER_BYTES_MIN	40u
#define PB_FILLER_BYTES_MAX	32768u
void	pb_build_filler(uint8_t *at, size_t bytes, uint64_t time_ns,
	    uint32_t pen);

/*
 * The filler of PB_BEGUN_BYTES that stands behind a segment's head: it says
 * at which age of its store, ms, the segment was begun.
 */
#define PB_BEGUN_BYTES		48u
void	pb_build_begun(uint8_t *at, uint64_t time_ns, uint32_t pen,
	    uint64_t age_ms);

#endif
