/*
 * base/digest.c - XXH3, by the widest vectors there are
 */
#include "base/digest.h"

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#endif

uint64_t
pb_digest(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

uint64_t
pb_digest_seeded(const void *data, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, len, seed);
}

void
pb_digest_begin(struct pb_digest *digest)
{
	XXH3_64bits_reset(&digest->state);
}

void
pb_digest_add(struct pb_digest *digest, const void *data, size_t len)
{
	XXH3_64bits_update(&digest->state, data, len);
}

uint64_t
pb_digest_end(const struct pb_digest *digest)
{
	return XXH3_64bits_digest(&digest->state);
}
