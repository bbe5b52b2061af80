/*
 * base/fuse.c - which numbers are surely not in a set, in few bits a number
 *
 * A number has a slot in each of three segments that follow one another; its
 * fingerprint is what the three come to, by exclusive or.  To make it so,
 * numbers that have a slot for themselves are taken away one by one, until
 * none is left; in the opposite order each one's own slot is set.
 */
#include "base/fuse.h"

#include <string.h>

#include "base/bytes.h"

#define SLOTS		3u	/* of a number */
#define TRIES		4u	/* seeds, before it gets a segment more */
#define TRIES_MAX	64u
#define SEGMENT_LOG_MIN	4u
#define SEGMENT_LOG_MAX	12u

static void	choose(struct pb_fuse *, uint32_t);
static uint32_t	slots_of(const struct pb_fuse *);
static uint64_t	hash_of(const struct pb_fuse *, uint32_t);
static void	places(const struct pb_fuse *, uint64_t, uint32_t[SLOTS]);
static bool	peel(const struct pb_fuse *, const uint32_t *, uint32_t,
		    struct pb_fuse_work *);
static uint32_t	put_in(const struct pb_fuse *, const uint32_t *, uint32_t,
		    struct pb_fuse_work *);
static void	fill(const struct pb_fuse *, uint8_t *, uint32_t,
		    const struct pb_fuse_work *);
static unsigned	fingerprint(const struct pb_fuse *, uint64_t);
static unsigned	get(const struct pb_fuse *, const uint8_t *, uint32_t);
static void	put(const struct pb_fuse *, uint8_t *, uint32_t, unsigned);

/* A fingerprint is read as two bytes: one stands behind the last. */
size_t
pb_fuse_bytes(const struct pb_fuse *fuse)
{
	if (fuse->bits == 0 || fuse->bits > PB_FUSE_BITS_MAX ||
	    fuse->segments < SLOTS || fuse->segment_log < SEGMENT_LOG_MIN ||
	    fuse->segment_log > SEGMENT_LOG_MAX ||
	    slots_of(fuse) > PB_FUSE_SLOTS_MAX)
		return 0;
	return (slots_of(fuse) * fuse->bits + 7u) / 8u + 1;
}

bool
pb_fuse_make(struct pb_fuse *out, uint8_t *slots, size_t room,
    const uint32_t *numbers, uint32_t count, unsigned bits,
    struct pb_fuse_work *work)
{
	if (count == 0 || count > PB_FUSE_KEYS_MAX)
		return false;
	choose(out, count);
	out->bits = (uint8_t)bits;
	for (out->seed = 1; out->seed <= TRIES_MAX; out->seed++) {
		size_t bytes = pb_fuse_bytes(out);

		if (bytes == 0 || bytes > room)
			return false;
		if (peel(out, numbers, count, work)) {
			memset(slots, 0, bytes);
			fill(out, slots, count, work);
			return true;
		}
		if (out->seed % TRIES == 0)
			out->segments++;
	}
	return false;
}

bool
pb_fuse_may_have(const struct pb_fuse *fuse, const uint8_t *slots,
    uint32_t number)
{
	uint64_t hash = hash_of(fuse, number);
	uint32_t at[SLOTS];

	places(fuse, hash, at);
	return (get(fuse, slots, at[0]) ^ get(fuse, slots, at[1]) ^
	    get(fuse, slots, at[2])) == fingerprint(fuse, hash);
}

/* As few slots as may do: a sixth more than numbers, and a segment.  Of fewer
 * hardly a filter comes about, and the tries are what takes time. */
static void
choose(struct pb_fuse *fuse, uint32_t count)
{
	uint32_t slots = count + count * 5 / 32, size;

	fuse->segment_log = SEGMENT_LOG_MIN;
	while (fuse->segment_log < SEGMENT_LOG_MAX &&
	    (1u << fuse->segment_log) * 24u < count)
		fuse->segment_log++;
	size = 1u << fuse->segment_log;
	fuse->segments = (uint16_t)((slots + size - 1) / size + 1);
	if (fuse->segments < SLOTS)
		fuse->segments = SLOTS;
}

static uint32_t
slots_of(const struct pb_fuse *fuse)
{
	return (uint32_t)fuse->segments << fuse->segment_log;
}

/* The last steps of MurmurHash3: no two numbers have the same. */
static uint64_t
hash_of(const struct pb_fuse *fuse, uint32_t number)
{
	uint64_t hash = (uint64_t)fuse->seed << 32 | number;

	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
	return hash ^ hash >> 33;
}

static void
places(const struct pb_fuse *fuse, uint64_t hash, uint32_t at[SLOTS])
{
	uint32_t size = 1u << fuse->segment_log;
	uint32_t first = (fuse->segments - 2u) * size;

	at[0] = (uint32_t)((hash >> 32) * first >> 32);
	at[1] = (at[0] + size) ^ ((uint32_t)(hash >> 18) & (size - 1));
	at[2] = (at[0] + 2 * size) ^ ((uint32_t)hash & (size - 1));
}

/* In which order, and at which slot of its own, each number is set. */
static bool
peel(const struct pb_fuse *fuse, const uint32_t *numbers, uint32_t count,
    struct pb_fuse_work *work)
{
	uint32_t ready = put_in(fuse, numbers, count, work), taken = 0;
	uint32_t at[SLOTS];

	while (ready > 0) {
		uint16_t slot = work->ready[--ready];
		uint64_t hash = work->mixed[slot];

		if (work->keys[slot] != 1)
			continue;
		work->hash[taken] = hash;
		work->slot[taken++] = slot;
		places(fuse, hash, at);
		for (unsigned i = 0; i < SLOTS; i++) {
			work->mixed[at[i]] ^= hash;
			if (--work->keys[at[i]] == 1)
				work->ready[ready++] = (uint16_t)at[i];
		}
	}
	return taken == count;
}

/* How many slots have a single number. */
static uint32_t
put_in(const struct pb_fuse *fuse, const uint32_t *numbers, uint32_t count,
    struct pb_fuse_work *work)
{
	uint32_t slots = slots_of(fuse), ready = 0, at[SLOTS];

	memset(work->keys, 0, slots * sizeof(work->keys[0]));
	memset(work->mixed, 0, slots * sizeof(work->mixed[0]));
	for (uint32_t i = 0; i < count; i++) {
		uint64_t hash = hash_of(fuse, numbers[i]);

		places(fuse, hash, at);
		for (unsigned j = 0; j < SLOTS; j++) {
			work->keys[at[j]]++;
			work->mixed[at[j]] ^= hash;
		}
	}
	for (uint32_t i = 0; i < slots; i++)
		if (work->keys[i] == 1)
			work->ready[ready++] = (uint16_t)i;
	return ready;
}

static void
fill(const struct pb_fuse *fuse, uint8_t *slots, uint32_t count,
    const struct pb_fuse_work *work)
{
	uint32_t at[SLOTS];

	while (count-- > 0) {
		uint64_t hash = work->hash[count];

		places(fuse, hash, at);
		put(fuse, slots, work->slot[count], fingerprint(fuse, hash) ^
		    get(fuse, slots, at[0]) ^ get(fuse, slots, at[1]) ^
		    get(fuse, slots, at[2]));
	}
}

/* Of bits that say little of the places. */
static unsigned
fingerprint(const struct pb_fuse *fuse, uint64_t hash)
{
	return (unsigned)(hash >> 30) & ((1u << fuse->bits) - 1);
}

static unsigned
get(const struct pb_fuse *fuse, const uint8_t *slots, uint32_t slot)
{
	uint32_t bit = slot * fuse->bits;

	return ((unsigned)pb_get_le16(slots + bit / 8) >> bit % 8) &
	    ((1u << fuse->bits) - 1);
}

/* Of a slot that is 0. */
static void
put(const struct pb_fuse *fuse, uint8_t *slots, uint32_t slot, unsigned what)
{
	uint32_t bit = slot * fuse->bits;
	unsigned have = pb_get_le16(slots + bit / 8);

	pb_put_le16(slots + bit / 8, (uint16_t)(have | what << bit % 8));
}
