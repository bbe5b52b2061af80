/*
 * recorder/query/seen/repeats.c - packets that several taps have seen
 *
 * Of each hash the table has the packets that were kept, the oldest first; and
 * of each stream that has seen one how far in that row it has come.
 */
#include "recorder/query/seen/repeats.h"

#include <stdlib.h>

#include "recorder/query/seen/recent.h"
#include "recorder/query/seen/same.h"

struct item {
	const struct pb_stamp_stream *stream;
	uint64_t	 place;		/* in the order of all */
	uint64_t	 seq;		/* of a packet that was kept; else 0: */
	struct pb_recent_name last;	/* the last one the stream has seen */
};

struct pb_repeats {
	struct pb_repeats_opts opts;
	struct pb_stamper stamper;
	struct pb_same	 same;
	struct pb_recent *recent;
	uint64_t	 newest;	/* the last place there was */
	uint64_t	 count, forgotten;
};

static const struct item *find(struct pb_repeats *, uint64_t, uint64_t,
		    uint64_t);
static struct item *keep(struct pb_repeats *, uint64_t, uint64_t,
		    const struct pb_stamp_stream *, uint64_t);
static int	come_to(struct pb_repeats *, uint64_t, const struct item *);
static uint64_t	key_of(uint64_t, const struct pb_stamp_stream *);
static void	gone(void *, void *, bool);
static int	no_memory(struct pb_err *);

int
pb_repeats_create(struct pb_repeats **out, const struct pb_repeats_opts *opts,
    struct pb_err *err)
{
	struct pb_repeats *repeats = calloc(1, sizeof(*repeats));

	*out = NULL;
	if (repeats == NULL)
		return no_memory(err);
	repeats->opts = *opts;
	pb_stamper_init(&repeats->stamper, opts->trailers);
	repeats->recent = pb_recent_create(sizeof(struct item),
	    opts->most > 0 ? opts->most : PB_REPEATS_MAX, gone, repeats);
	if (repeats->recent == NULL) {
		pb_repeats_destroy(repeats);
		return no_memory(err);
	}
	*out = repeats;
	return 0;
}

void
pb_repeats_destroy(struct pb_repeats *repeats)
{
	if (repeats == NULL)
		return;
	pb_recent_destroy(repeats->recent);
	pb_same_finish(&repeats->same);
	pb_stamper_finish(&repeats->stamper);
	free(repeats);
}

int
pb_repeats_packet(struct pb_repeats *repeats,
    const struct pb_cursor_packet *cp, uint64_t place_ns,
    struct pb_repeat *of, struct pb_err *err)
{
	const struct pb_stamp_stream *stream = pb_stamper_stream(
	    &repeats->stamper, cp->head);
	const struct item *item;
	uint64_t hash;
	bool repeat;
	int rc;

	if (stream == NULL)
		return no_memory(err);
	rc = pb_same_packet(&repeats->same, repeats->opts.routed, stream,
	    &cp->packet, &hash);
	if (rc <= 0)
		return rc < 0 ? no_memory(err) : 0;
	if (place_ns > repeats->newest)
		repeats->newest = place_ns;
	if (repeats->newest > repeats->opts.window_ns)
		pb_recent_until(repeats->recent,
		    repeats->newest - repeats->opts.window_ns);
	item = find(repeats, hash, key_of(hash, stream), place_ns);
	repeat = item != NULL;
	if (repeat)
		*of = (struct pb_repeat){ item->stream->head, item->seq };
	else
		item = keep(repeats, hash, place_ns, stream, cp->seq);
	if (item == NULL || come_to(repeats, key_of(hash, stream), item) < 0)
		return no_memory(err);
	repeats->count += repeat;
	return repeat;
}

uint64_t
pb_repeats_count(const struct pb_repeats *repeats)
{
	return repeats->count;
}

uint64_t
pb_repeats_forgotten(const struct pb_repeats *repeats)
{
	return repeats->forgotten;
}

/* The oldest kept one of the hash that the stream, by its key, has not seen;
 * or NULL, also where that is not within the window: what a stream brings
 * when others are ahead has another place than what is newest. */
static const struct item *
find(struct pb_repeats *repeats, uint64_t hash, uint64_t key, uint64_t place)
{
	const struct item *seen = pb_recent_first(repeats->recent, key);
	const struct item *last = seen == NULL ? NULL :
	    pb_recent_named(repeats->recent, seen->last);
	const struct item *item = last == NULL ?
	    pb_recent_first(repeats->recent, hash) :
	    pb_recent_next(repeats->recent, last);
	uint64_t apart = item == NULL ? 0 : item->place > place ?
	    item->place - place : place - item->place;

	return apart <= repeats->opts.window_ns ? item : NULL;
}

/* NULL where there is no memory. */
static struct item *
keep(struct pb_repeats *repeats, uint64_t hash, uint64_t place,
    const struct pb_stamp_stream *stream, uint64_t seq)
{
	struct item *item = pb_recent_add(repeats->recent, hash,
	    repeats->newest);

	if (item == NULL)
		return NULL;
	item->stream = stream;
	item->place = place;
	item->seq = seq;
	return item;
}

/* The stream, by its key, has seen that one: 0, or PB_ENOMEM. */
static int
come_to(struct pb_repeats *repeats, uint64_t key, const struct item *kept)
{
	struct pb_recent_name last = pb_recent_name(repeats->recent, kept);
	struct item *seen = pb_recent_first(repeats->recent, key);

	if (seen != NULL)
		pb_recent_touch(repeats->recent, seen, repeats->newest);
	else
		seen = pb_recent_add(repeats->recent, key, repeats->newest);
	if (seen == NULL)
		return PB_ENOMEM;
	seen->last = last;
	return 0;
}

/* A number that no packet has but by chance. */
static uint64_t
key_of(uint64_t hash, const struct pb_stamp_stream *stream)
{
	return (hash ^ (uint64_t)(uintptr_t)stream) *
	    UINT64_C(0x9e3779b97f4a7c15);
}

static void
gone(void *arg, void *data, bool full)
{
	struct pb_repeats *repeats = arg;
	const struct item *item = data;

	repeats->forgotten += full && item->seq > 0;
}

static int
no_memory(struct pb_err *err)
{
	return pb_err_set(err, PB_ENOMEM, "no memory to look for duplicates");
}
