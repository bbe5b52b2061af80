/*
 * recorder/intake/room.h - a body as it comes: its memory, its time
 *
 * Memory grows with what has come, so that who only promises a large body
 * takes nothing from others; of `memory_max` one remote address gets half.
 * Where there is none, a body may wait for it (claim.h).
 *
 * A body has `idle_timeout` to come; each byte of it buys the time it takes
 * at `body_rate_min`, up to `idle_timeout` again.  What comes slower is not
 * waited for: its memory, and its connection, are others'.  While it waits
 * for memory its time stands still.
 */
#ifndef PB_INGEST_ROOM_H
#define PB_INGEST_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "recorder/intake/claim.h"
#include "recorder/intake/intake.h"
#include "recorder/intake/space.h"

/* What all rooms share. */
struct pb_rooms {
	const struct pb_conf_listen *bounds;	/* borrowed */
	struct pb_space	*space;
	struct pb_claims claims;
};

struct pb_room {
	uint8_t		*data;		/* the body, `len` bytes of it yet */
	size_t		 len;
	size_t		 seen;		/* bytes that came, kept or not */
	/* Private. */
	struct pb_rooms	*rooms;
	struct pb_claim	 claim;		/* and its address's share */
	struct pb_space_piece	*piece;		/* where `data` is */
	size_t		 cap;		/* reserved at the intake */
	size_t		 max, whole;
	bool		 announced;	/* `whole`; else it is `max` */
	uint64_t	 waits_ms;	/* since then; 0: it does not */
	uint64_t	 until_ns;	/* on the clock of now_ms */
};

/* `intake` is borrowed as well. */
int	pb_rooms_create(struct pb_rooms **out, const struct pb_intake *intake,
	    const struct pb_conf_listen *bounds, struct pb_err *err);
/* All rooms are finished. */
void	pb_rooms_destroy(struct pb_rooms *rooms);

/*
 * A request begins.  `rooms` is borrowed until finish, and so is `share`,
 * of the peer's address; NULL: not counted.  `wake(arg)` is called when a
 * body need not wait any longer.
 */
void	pb_room_init(struct pb_room *room, struct pb_rooms *rooms,
	    struct pb_share *share, void (*wake)(void *arg), void *arg,
	    uint64_t now_ms);
void	pb_room_finish(struct pb_room *room);

/*
 * A body of at most `max` bytes is wanted; `announced` of them will come,
 * SIZE_MAX: who knows.  PB_ELIMIT: more than `max`; PB_EBUSY: more than
 * there is now for its address.
 */
int	pb_room_open(struct pb_room *room, size_t max, size_t announced,
	    struct pb_err *err);

/* `len` bytes are there.  True: leave them, and offer them again when
 * `wake` has been called; after `idle_timeout` it is, in any case. */
bool	pb_room_wait(struct pb_room *room, size_t len, uint64_t now_ms);

/* `len` bytes have come, wanted or not.  False: too late. */
bool	pb_room_in_time(struct pb_room *room, size_t len, uint64_t now_ms);
/* When it is too late for more. */
uint64_t pb_room_until_ms(const struct pb_room *room);

/* Keep them.  PB_ELIMIT, PB_EBUSY, PB_ENOMEM. */
int	pb_room_put(struct pb_room *room, const void *data, size_t len,
	    struct pb_err *err);

/* It is all there. */
void	pb_room_close(struct pb_room *room);

/* Put the body that was packed with zstd in the place of the packed one.
 * PB_ELIMIT, PB_EBUSY, PB_ENOMEM; zip.h's where it is no such thing. */
int	pb_room_unpack(struct pb_room *room, struct pb_err *err);

#endif
