/*
 * cli/audit/listing.c - the streams that a node says it has
 */
#include "cli/audit/listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"

static int	by_key(const void *, const void *);

int
pb_listing_add(struct pb_listing *listing, const struct pb_stream_key *key,
    struct pb_err *err)
{
	if (listing->count == PB_LISTING_MAX)
		return pb_err_set(err, PB_ELIMIT, "it lists more than %u "
		    "streams", PB_LISTING_MAX);
	if (!PB_LIST_ROOM(listing->key, listing->room, listing->count))
		return pb_err_set(err, PB_ENOMEM, "no memory");
	listing->key[listing->count++] = *key;
	return 0;
}

void
pb_listing_order(struct pb_listing *listing)
{
	size_t count = 0;

	if (listing->count == 0)
		return;
	qsort(listing->key, listing->count, sizeof(*listing->key), by_key);
	for (size_t i = 0; i < listing->count; i++)
		if (count == 0 || !pb_stream_key_same(&listing->key[count - 1],
		    &listing->key[i]))
			listing->key[count++] = listing->key[i];
	listing->count = count;
}

void
pb_listing_clear(struct pb_listing *listing)
{
	free(listing->key);
	memset(listing, 0, sizeof(*listing));
}

static int
by_key(const void *a, const void *b)
{
	return pb_stream_key_order(a, b);
}
