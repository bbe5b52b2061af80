/*
 * base/crc32.h - the checksum at the end of an Ethernet frame
 *
 * With zip.h and press.h the place that knows zlib.
 */
#ifndef PB_BASE_CRC32_H
#define PB_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32 of IEEE 802.3, 3.2.9, of `len` more bytes: `crc` is what came of
 * those before them, 0 of none.  A frame's FCS is it, the lowest octet first.
 */
uint32_t	pb_crc32(uint32_t crc, const void *data, size_t len);

#endif
