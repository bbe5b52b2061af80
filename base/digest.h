/*
 * base/digest.h - XXH3, the digest of extents, bodies and journal lines
 *
 * It finds flipped bits and torn writes; it is no defence against forgery.
 * Where the processor has wide vectors they are used: on x86-64 the library
 * chooses by what it finds when it runs.
 */
#ifndef PB_BASE_DIGEST_H
#define PB_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* The state by value: it is copied for rollback, and never allocated. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

/* A digest that grows; what holds one is aligned to PB_DIGEST_ALIGN. */
struct pb_digest {
	XXH3_state_t	state;
};
#define PB_DIGEST_ALIGN	64u

/* XXH3 (64 bits, seed 0) of `len` bytes. */
uint64_t pb_digest(const void *data, size_t len);

/* The same with a seed: where it is random, who makes the bytes does not know
 * which others have the same digest. */
uint64_t pb_digest_seeded(const void *data, size_t len, uint64_t seed);

/* The same piece by piece; `end` may be asked for more than once. */
void	pb_digest_begin(struct pb_digest *digest);
void	pb_digest_add(struct pb_digest *digest, const void *data, size_t len);
uint64_t pb_digest_end(const struct pb_digest *digest);

#endif
