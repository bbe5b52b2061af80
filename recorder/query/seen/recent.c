/*
 * recorder/query/seen/recent.c - what came a short while ago, by its hash
 *
 * Items are slots of one array, called by their numbers, so that it can grow;
 * slot 0 is nobody's, and the ends of the list of all by age.  A bucket has
 * the first item of each of its hashes; behind each of these are its twins.
 */
#include "recorder/query/seen/recent.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN	64u	/* a power of two */

struct item {
	uint64_t	 hash, place;
	uint64_t	 serial;	/* 0: free */
	uint32_t	 older, newer;	/* of all; `newer` of those free */
	uint32_t	 chain;		/* of a first one: of the next hash */
	uint32_t	 twin;		/* the next of its hash, or 0 */
	uint32_t	 last;		/* of a first one: its last twin */
};

struct pb_recent {
	uint8_t		*slot;		/* items and their data */
	uint32_t	*bucket;	/* as many as slots */
	size_t		 stride;
	uint32_t	 slots, items_max, count;
	uint32_t	 free;		/* the first of them, or 0 */
	uint64_t	 serial;	/* of the last one added */
	pb_recent_gone	*gone;
	void		*arg;
};

static struct item *item_at(const struct pb_recent *, uint32_t);
static size_t	rounded(size_t);
static uint32_t	slot_of(const struct pb_recent *, const void *);
static void	*data_of(const struct pb_recent *, uint32_t);
static bool	grow(struct pb_recent *);
static void	chain_put(struct pb_recent *, uint32_t);
static void	chain_take(struct pb_recent *, uint32_t);
static uint32_t	*find(const struct pb_recent *, uint64_t);
static void	age_put(struct pb_recent *, uint32_t, uint64_t);
static void	age_take(struct pb_recent *, uint32_t);
static void	leave(struct pb_recent *, uint32_t, bool);

struct pb_recent *
pb_recent_create(size_t bytes, uint32_t items_max, pb_recent_gone *gone,
    void *arg)
{
	struct pb_recent *recent = calloc(1, sizeof(*recent));

	assert(items_max > 0 && items_max < UINT32_MAX);
	if (recent == NULL)
		return NULL;
	recent->stride = rounded(sizeof(struct item)) + rounded(bytes);
	recent->items_max = items_max;
	recent->gone = gone;
	recent->arg = arg;
	if (grow(recent))
		return recent;
	pb_recent_destroy(recent);
	return NULL;
}

void
pb_recent_destroy(struct pb_recent *recent)
{
	if (recent == NULL)
		return;
	free(recent->slot);
	free(recent->bucket);
	free(recent);
}

void *
pb_recent_add(struct pb_recent *recent, uint64_t hash, uint64_t place)
{
	struct item *item;
	uint32_t slot;

	if (recent->count == recent->items_max)
		leave(recent, item_at(recent, 0)->newer, true);
	if (recent->free == 0 && !grow(recent))
		return NULL;
	slot = recent->free;
	item = item_at(recent, slot);
	recent->free = item->newer;
	recent->count++;
	memset(item, 0, recent->stride);
	item->hash = hash;
	item->serial = ++recent->serial;
	chain_put(recent, slot);
	age_put(recent, slot, place);
	return data_of(recent, slot);
}

void *
pb_recent_first(struct pb_recent *recent, uint64_t hash)
{
	uint32_t slot = *find(recent, hash);

	return slot != 0 ? data_of(recent, slot) : NULL;
}

void *
pb_recent_next(struct pb_recent *recent, const void *data)
{
	uint32_t slot = item_at(recent, slot_of(recent, data))->twin;

	return slot != 0 ? data_of(recent, slot) : NULL;
}

struct pb_recent_name
pb_recent_name(const struct pb_recent *recent, const void *data)
{
	uint32_t slot = slot_of(recent, data);

	return (struct pb_recent_name){
		.serial = item_at(recent, slot)->serial,
		.slot = slot,
	};
}

void *
pb_recent_named(struct pb_recent *recent, struct pb_recent_name name)
{
	if (name.slot == 0 || name.slot >= recent->slots ||
	    item_at(recent, name.slot)->serial != name.serial)
		return NULL;
	return data_of(recent, name.slot);
}

void
pb_recent_remove(struct pb_recent *recent, void *data)
{
	uint32_t slot = slot_of(recent, data);
	struct item *item = item_at(recent, slot);

	chain_take(recent, slot);
	age_take(recent, slot);
	item->serial = 0;
	item->newer = recent->free;
	recent->free = slot;
	recent->count--;
}

void
pb_recent_touch(struct pb_recent *recent, void *data, uint64_t place)
{
	uint32_t slot = slot_of(recent, data);

	age_take(recent, slot);
	age_put(recent, slot, place);
}

void
pb_recent_until(struct pb_recent *recent, uint64_t place)
{
	uint32_t slot;

	while ((slot = item_at(recent, 0)->newer) != 0 &&
	    (item_at(recent, slot)->place < place || place == UINT64_MAX))
		leave(recent, slot, false);
}

uint32_t
pb_recent_count(const struct pb_recent *recent)
{
	return recent->count;
}

static struct item *
item_at(const struct pb_recent *recent, uint32_t slot)
{
	return (struct item *)(void *)(recent->slot + slot * recent->stride);
}

/* As any type is aligned. */
static size_t
rounded(size_t bytes)
{
	size_t align = alignof(max_align_t);

	return (bytes + align - 1) / align * align;
}

static uint32_t
slot_of(const struct pb_recent *recent, const void *data)
{
	return (uint32_t)((size_t)((const uint8_t *)data - recent->slot) /
	    recent->stride);
}

static void *
data_of(const struct pb_recent *recent, uint32_t slot)
{
	return recent->slot + slot * recent->stride +
	    rounded(sizeof(struct item));
}

/* Twice as many slots, and as many buckets; the first time some. */
static bool
grow(struct pb_recent *recent)
{
	uint32_t old = recent->slots, slots = old > 0 ? 2 * old : SLOTS_MIN;
	uint8_t *grown = realloc(recent->slot, slots * recent->stride);
	uint32_t *bucket;

	if (grown == NULL)
		return false;
	recent->slot = grown;
	bucket = calloc(slots, sizeof(*bucket));
	if (bucket == NULL)
		return false;
	free(recent->bucket);
	recent->bucket = bucket;
	recent->slots = slots;
	if (old == 0)
		memset(recent->slot, 0, recent->stride);
	for (uint32_t i = old > 0 ? old : 1; i < slots; i++) {
		item_at(recent, i)->serial = 0;
		item_at(recent, i)->newer = recent->free;
		recent->free = i;
	}
	/* By age: the oldest of a hash is its first one again. */
	for (uint32_t i = item_at(recent, 0)->newer; i != 0;
	    i = item_at(recent, i)->newer)
		chain_put(recent, i);
	return true;
}

/* Behind those of its hash. */
static void
chain_put(struct pb_recent *recent, uint32_t slot)
{
	struct item *item = item_at(recent, slot), *first;
	uint32_t *at = find(recent, item->hash);

	item->chain = item->twin = 0;
	item->last = slot;
	if (*at == 0) {
		*at = slot;
		return;
	}
	first = item_at(recent, *at);
	item_at(recent, first->last)->twin = slot;
	first->last = slot;
}

/* Mostly it is the first of its hash. */
static void
chain_take(struct pb_recent *recent, uint32_t slot)
{
	struct item *item = item_at(recent, slot), *before;
	uint32_t *at = find(recent, item->hash);
	struct item *first = item_at(recent, *at);

	if (first != item) {
		for (before = first; before->twin != slot;)
			before = item_at(recent, before->twin);
		before->twin = item->twin;
		if (first->last == slot)
			first->last = slot_of(recent, before);
	} else if (item->twin != 0) {
		*at = item->twin;
		item_at(recent, *at)->chain = item->chain;
		item_at(recent, *at)->last = item->last;
	} else {
		*at = item->chain;
	}
}

/* Where the number of the first of a hash is, or would be. */
static uint32_t *
find(const struct pb_recent *recent, uint64_t hash)
{
	uint32_t *at = &recent->bucket[hash & (recent->slots - 1)];

	while (*at != 0 && item_at(recent, *at)->hash != hash)
		at = &item_at(recent, *at)->chain;
	return at;
}

static void
age_put(struct pb_recent *recent, uint32_t slot, uint64_t place)
{
	struct item *ends = item_at(recent, 0), *item = item_at(recent, slot);

	item->place = place;
	item->older = ends->older;
	item->newer = 0;
	item_at(recent, ends->older)->newer = slot;
	ends->older = slot;
}

static void
age_take(struct pb_recent *recent, uint32_t slot)
{
	struct item *item = item_at(recent, slot);

	item_at(recent, item->older)->newer = item->newer;
	item_at(recent, item->newer)->older = item->older;
}

static void
leave(struct pb_recent *recent, uint32_t slot, bool full)
{
	void *data = data_of(recent, slot);

	recent->gone(recent->arg, data, full);
	pb_recent_remove(recent, data);
}
