/*
 * recorder/ingest/intake/room.c - a body as it comes: its memory, its time
 */
#include "recorder/ingest/intake/room.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/zip.h"

#define FIRST_BYTES	65536u	/* the first piece of memory */
#define GROWTH		4u	/* of it: few copies, few bytes unused */

static size_t	share(const struct pb_room *);
static int	fits(const struct pb_room *, size_t, struct pb_err *);
static int	take(struct pb_room *, size_t, struct pb_err *);
static void	give(struct pb_room *, size_t);
static int	grow(struct pb_room *, size_t, struct pb_err *);

void
pb_room_init(struct pb_room *room, struct pb_intake *intake,
    const struct pb_conf_listen *bounds, size_t *held, uint64_t now_ms)
{
	memset(room, 0, sizeof(*room));
	room->intake = intake;
	room->bounds = bounds;
	room->held = held;
	room->until_ns = (now_ms + bounds->idle_timeout_ms) * PB_NS_PER_MS;
}

void
pb_room_finish(struct pb_room *room)
{
	free(room->data);
	room->data = NULL;
	give(room, room->cap);
	room->cap = room->len = 0;
}

int
pb_room_open(struct pb_room *room, size_t max, size_t announced,
    struct pb_err *err)
{
	room->max = max;
	room->whole = announced != SIZE_MAX ? announced : max;
	if (room->whole > max)
		return pb_err_set(err, PB_ELIMIT, "%zu bytes; a body here has "
		    "%zu at most", announced, max);
	return fits(room, announced != SIZE_MAX ? announced : 0, err);
}

bool
pb_room_in_time(struct pb_room *room, size_t len, uint64_t now_ms)
{
	const struct pb_conf_listen *bounds = room->bounds;
	uint64_t full = (now_ms + bounds->idle_timeout_ms) * PB_NS_PER_MS;
	uint64_t until = full;

	if (now_ms * PB_NS_PER_MS >= room->until_ns)
		return false;
	room->seen += len;
	if (bounds->body_rate_min > 0)
		until = room->until_ns + len * 8 * PB_NS_PER_S /
		    bounds->body_rate_min;
	room->until_ns = until < full ? until : full;
	return true;
}

uint64_t
pb_room_until_ms(const struct pb_room *room)
{
	return (room->until_ns + PB_NS_PER_MS - 1) / PB_NS_PER_MS;
}

int
pb_room_put(struct pb_room *room, const void *data, size_t len,
    struct pb_err *err)
{
	int rc = 0;

	if (len > room->max - room->len)
		return pb_err_set(err, PB_ELIMIT, "a body here has %zu bytes "
		    "at most", room->max);
	if (len > room->cap - room->len)
		rc = grow(room, room->len + len, err);
	if (rc < 0)
		return rc;
	memcpy(room->data + room->len, data, len);
	room->len += len;
	return 0;
}

int
pb_room_unpack(struct pb_room *room, struct pb_err *err)
{
	size_t bytes, len;
	uint8_t *data;
	int rc;

	rc = pb_zip_room(room->data, room->len, room->max, &bytes, err);
	if (rc == 0)
		rc = take(room, bytes, err);
	if (rc < 0)
		return rc;
	data = malloc(bytes);
	rc = data == NULL ? pb_err_set(err, PB_ENOMEM, "no memory") :
	    pb_zip_unpack(data, bytes, room->data, room->len, &len, err);
	if (rc < 0) {
		free(data);
		give(room, bytes);
		return rc;
	}
	pb_room_finish(room);
	room->data = data;
	room->cap = bytes;
	room->len = len;
	return 0;
}

/* What one address may hold: half, and one body in any case. */
static size_t
share(const struct pb_room *room)
{
	size_t half = (size_t)room->bounds->memory_max / 2;

	return half > room->max ? half : room->max;
}

/* Could `bytes` more be had now? */
static int
fits(const struct pb_room *room, size_t bytes, struct pb_err *err)
{
	if (bytes > pb_intake_room(room->intake))
		return pb_err_set(err, PB_EBUSY, "all memory for bodies is "
		    "taken: [listen] memory_max");
	if (room->held != NULL && bytes + *room->held > share(room))
		return pb_err_set(err, PB_EBUSY, "this address holds %zu "
		    "bytes of bodies, and may hold half of the memory for "
		    "them: [listen] memory_max", *room->held);
	return 0;
}

static int
take(struct pb_room *room, size_t bytes, struct pb_err *err)
{
	int rc = fits(room, bytes, err);

	if (rc < 0)
		return rc;
	pb_intake_reserve(room->intake, bytes);
	if (room->held != NULL)
		*room->held += bytes;
	return 0;
}

static void
give(struct pb_room *room, size_t bytes)
{
	pb_intake_release(room->intake, bytes);
	if (room->held != NULL)
		*room->held -= bytes;
}

static int
grow(struct pb_room *room, size_t want, struct pb_err *err)
{
	size_t cap = room->cap * GROWTH;
	uint8_t *data;
	int rc;

	if (cap < FIRST_BYTES)
		cap = FIRST_BYTES;
	if (cap > room->whole)
		cap = room->whole;
	if (cap < want)
		cap = want;
	rc = take(room, cap - room->cap, err);
	if (rc < 0)
		return rc;
	data = realloc(room->data, cap);
	if (data == NULL) {
		give(room, cap - room->cap);
		return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	room->data = data;
	room->cap = cap;
	return 0;
}
