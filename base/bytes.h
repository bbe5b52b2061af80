/*
 * base/bytes.h - integers in byte strings, either order, any alignment
 *
 * The caller has checked the bounds; these only move bytes.
 */
#ifndef PB_BASE_BYTES_H
#define PB_BASE_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PB_BYTES_GET(name, type, conv)					\
static inline type							\
name(const uint8_t *p)							\
{									\
	type v;								\
	memcpy(&v, p, sizeof(v));					\
	return conv(v);							\
}
#define PB_BYTES_PUT(name, type, conv)					\
static inline void							\
name(uint8_t *p, type v)						\
{									\
	v = conv(v);							\
	memcpy(p, &v, sizeof(v));					\
}

PB_BYTES_GET(pb_get_le16, uint16_t, le16toh)
PB_BYTES_GET(pb_get_le32, uint32_t, le32toh)
PB_BYTES_GET(pb_get_le64, uint64_t, le64toh)
PB_BYTES_GET(pb_get_be16, uint16_t, be16toh)
PB_BYTES_GET(pb_get_be32, uint32_t, be32toh)
PB_BYTES_GET(pb_get_be64, uint64_t, be64toh)
PB_BYTES_PUT(pb_put_le16, uint16_t, htole16)
PB_BYTES_PUT(pb_put_le32, uint32_t, htole32)
PB_BYTES_PUT(pb_put_le64, uint64_t, htole64)
PB_BYTES_PUT(pb_put_be16, uint16_t, htobe16)
PB_BYTES_PUT(pb_put_be32, uint32_t, htobe32)
PB_BYTES_PUT(pb_put_be64, uint64_t, htobe64)

#undef PB_BYTES_GET
#undef PB_BYTES_PUT

/* `n` rounded up to a multiple of `unit`, a power of two. */
static inline size_t
pb_round_up(size_t n, size_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

#endif
