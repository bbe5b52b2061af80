/*
 * recorder/intake/room.c - a body as it comes: its memory, its time
 */
#include "recorder/intake/room.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/zip.h"

#define FIRST_BYTES	16384u	/* the first step: without a claim */
#define GROWTH		4u	/* of the next ones */
/* Claimed at a time by a body of unknown length. */
#define UNKNOWN_BYTES	(1u << 20)
/* What zstd may write behind the end of what it unpacks. */
#define UNPACK_SLOP	64u

static bool	share_fits(const struct pb_room *, size_t);
static int	fits(const struct pb_room *, size_t, struct pb_err *);
static int	take(struct pb_room *, size_t, struct pb_err *);
static void	give(struct pb_room *, size_t);
static size_t	next_cap(const struct pb_room *, size_t);
static size_t	to_come(const struct pb_room *, size_t);
static int	grow(struct pb_room *, size_t, struct pb_err *);

int
pb_rooms_create(struct pb_rooms **out, const struct pb_intake *intake,
    const struct pb_conf_listen *bounds, struct pb_err *err)
{
	struct pb_rooms *rooms = calloc(1, sizeof(*rooms));
	int rc;

	if (rooms == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rooms->bounds = bounds;
	pb_claims_init(&rooms->claims, intake, (size_t)bounds->memory_max,
	    bounds->idle_timeout_ms);
	rc = pb_space_create(&rooms->space, err);
	if (rc < 0) {
		free(rooms);
		return rc;
	}
	*out = rooms;
	return 0;
}

void
pb_rooms_destroy(struct pb_rooms *rooms)
{
	if (rooms == NULL)
		return;
	pb_space_destroy(rooms->space);
	free(rooms);
}

void
pb_room_init(struct pb_room *room, struct pb_rooms *rooms,
    struct pb_share *share, void (*wake)(void *arg), void *arg,
    uint64_t now_ms)
{
	memset(room, 0, sizeof(*room));
	room->rooms = rooms;
	room->claim.share = share;
	room->claim.wake = wake;
	room->claim.arg = arg;
	room->until_ns = (now_ms + rooms->bounds->idle_timeout_ms) *
	    PB_NS_PER_MS;
}

void
pb_room_finish(struct pb_room *room)
{
	if (room->rooms == NULL)
		return;
	pb_room_close(room);
	give(room, room->cap);
	pb_space_give(room->rooms->space, room->piece);
	room->piece = NULL;
	room->data = NULL;
	room->cap = room->len = room->claim.held = 0;
}

int
pb_room_open(struct pb_room *room, size_t max, size_t announced,
    struct pb_err *err)
{
	room->max = max;
	room->announced = announced != SIZE_MAX;
	room->whole = room->announced ? announced : max;
	if (room->whole > max)
		return pb_err_set(err, PB_ELIMIT, "%zu bytes; a body here has "
		    "%zu at most", announced, max);
	if (room->announced && !share_fits(room, announced))
		return fits(room, announced, err);
	return 0;
}

bool
pb_room_wait(struct pb_room *room, size_t len, uint64_t now_ms)
{
	struct pb_claims *claims = &room->rooms->claims;
	size_t more;

	if (room->waits_ms != 0)
		room->until_ns += (now_ms - room->waits_ms) * PB_NS_PER_MS;
	room->waits_ms = 0;
	/* What is too much, or fits, does not wait. */
	if (len > room->whole - room->len || len <= room->cap - room->len)
		return false;
	more = next_cap(room, room->len + len) - room->cap;
	if (!share_fits(room, more))
		return false;
	if (room->cap + more <= FIRST_BYTES && more <= pb_claims_free(claims))
		return false;
	if (room->claim.state == PB_CLAIM_HAS && more <= room->claim.rest &&
	    more <= pb_claims_room(claims))
		return false;
	if (pb_claim_get(claims, &room->claim, to_come(room, more), now_ms))
		return false;
	room->waits_ms = now_ms;
	return true;
}

bool
pb_room_in_time(struct pb_room *room, size_t len, uint64_t now_ms)
{
	const struct pb_conf_listen *bounds = room->rooms->bounds;
	uint64_t full = (now_ms + bounds->idle_timeout_ms) * PB_NS_PER_MS;
	uint64_t until = full;

	if (now_ms * PB_NS_PER_MS >= room->until_ns)
		return false;
	room->seen += len;
	pb_claim_feed(&room->claim, len, now_ms);
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

	if (len > room->whole - room->len)
		return pb_err_set(err, PB_ELIMIT, "a body here has %zu bytes "
		    "at most", room->whole);
	if (len > room->cap - room->len)
		rc = grow(room, room->len + len, err);
	if (rc < 0)
		return rc;
	memcpy(room->data + room->len, data, len);
	room->len += len;
	return 0;
}

void
pb_room_close(struct pb_room *room)
{
	pb_claim_end(&room->rooms->claims, &room->claim);
}

int
pb_room_unpack(struct pb_room *room, struct pb_err *err)
{
	struct pb_space *space = room->rooms->space;
	struct pb_space_piece *piece = NULL;
	size_t bytes, len;
	int rc;

	rc = pb_zip_room(room->data, room->len, room->max, &bytes, err);
	if (rc == 0)
		rc = take(room, bytes, err);
	if (rc < 0)
		return rc;
	rc = pb_space_take(space, bytes, &piece, err);
	if (rc == 0)
		rc = pb_space_use(space, piece, bytes, err);
	if (rc == 0)
		rc = pb_zip_unpack(piece->data, bytes, room->data, room->len,
		    &len, err);
	if (rc < 0) {
		pb_space_give(space, piece);
		give(room, bytes);
		return rc;
	}
	pb_room_finish(room);
	if (len + UNPACK_SLOP < bytes) {
		pb_space_shrink(space, piece, len + UNPACK_SLOP);
		give(room, bytes - (len + UNPACK_SLOP));
		bytes = len + UNPACK_SLOP;
	}
	room->piece = piece;
	room->data = piece->data;
	room->cap = bytes;
	room->len = len;
	return 0;
}

/* One address may hold half, and one body in any case. */
static bool
share_fits(const struct pb_room *room, size_t bytes)
{
	size_t half = (size_t)room->rooms->bounds->memory_max / 2;
	const struct pb_share *share = room->claim.share;

	return share == NULL || bytes + share->held <=
	    (half > room->max ? half : room->max);
}

/* Could `bytes` more be had now? */
static int
fits(const struct pb_room *room, size_t bytes, struct pb_err *err)
{
	if (bytes > pb_claims_room(&room->rooms->claims))
		return pb_err_set(err, PB_EBUSY, "all memory for bodies is "
		    "taken: [listen] memory_max");
	if (!share_fits(room, bytes))
		return pb_err_set(err, PB_EBUSY, "this address holds %zu "
		    "bytes of bodies, and may hold half of the memory for "
		    "them: [listen] memory_max", room->claim.share->held);
	return 0;
}

static int
take(struct pb_room *room, size_t bytes, struct pb_err *err)
{
	int rc = fits(room, bytes, err);

	if (rc < 0)
		return rc;
	room->rooms->claims.reserved += bytes;
	if (room->claim.share != NULL)
		room->claim.share->held += bytes;
	/* What is kept for the next bodies is theirs that are there. */
	pb_space_limit(room->rooms->space,
	    pb_claims_room(&room->rooms->claims));
	return 0;
}

static void
give(struct pb_room *room, size_t bytes)
{
	room->rooms->claims.reserved -= bytes;
	if (room->claim.share != NULL)
		room->claim.share->held -= bytes;
	pb_space_limit(room->rooms->space,
	    pb_claims_room(&room->rooms->claims));
}

/* With `want` bytes in it. */
static size_t
next_cap(const struct pb_room *room, size_t want)
{
	size_t cap = room->cap * GROWTH;

	if (cap < FIRST_BYTES)
		cap = FIRST_BYTES;
	if (cap > room->whole)
		cap = room->whole;
	return cap < want ? want : cap;
}

/* All of the body, where its length is known; at least `more`. */
static size_t
to_come(const struct pb_room *room, size_t more)
{
	size_t rest = room->whole - room->cap;

	if (!room->announced && rest > UNKNOWN_BYTES)
		rest = UNKNOWN_BYTES;
	return rest < more ? more : rest;
}

static int
grow(struct pb_room *room, size_t want, struct pb_err *err)
{
	struct pb_space *space = room->rooms->space;
	size_t more = next_cap(room, want) - room->cap;
	int rc;

	rc = take(room, more, err);
	if (rc < 0)
		return rc;
	if (room->piece == NULL)
		rc = pb_space_take(space, room->whole, &room->piece, err);
	if (rc == 0)
		rc = pb_space_use(space, room->piece, room->cap + more, err);
	if (rc < 0) {
		give(room, more);
		return rc;
	}
	room->data = room->piece->data;
	room->cap += more;
	pb_claim_grow(&room->rooms->claims, &room->claim, more);
	return 0;
}
