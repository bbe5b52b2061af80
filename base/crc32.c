/*
 * base/crc32.c - the checksum at the end of an Ethernet frame
 */
#include "base/crc32.h"

#include <zlib.h>

uint32_t
pb_crc32(uint32_t crc, const void *data, size_t len)
{
	return (uint32_t)crc32_z(crc, data, len);
}
