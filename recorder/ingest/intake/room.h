/*
 * recorder/ingest/intake/room.h - a body as it comes: its memory, its time
 *
 * Memory grows with what has come, so that who only promises a large body
 * takes nothing from others; of `memory_max` one remote address gets half.
 *
 * A body has `idle_timeout` to come; each byte of it buys the time it takes
 * at `body_rate_min`, up to `idle_timeout` again.  What comes slower is not
 * waited for: its memory, and its connection, are others'.
 */
#ifndef PB_INGEST_ROOM_H
#define PB_INGEST_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "recorder/ingest/intake/intake.h"

struct pb_room {
	uint8_t		*data;		/* the body, `len` bytes of it yet */
	size_t		 len;
	size_t		 seen;		/* bytes that came, kept or not */
	/* Private. */
	struct pb_intake *intake;
	const struct pb_conf_listen *bounds;
	size_t		*held;
	size_t		 cap;		/* reserved at the intake */
	size_t		 max, whole;
	uint64_t	 until_ns;	/* on the clock of now_ms */
};

/*
 * A request begins.  `bounds` and `intake` are borrowed until finish, and
 * so is `held`: bytes of bodies held for the peer's address; NULL: not
 * counted.
 */
void	pb_room_init(struct pb_room *room, struct pb_intake *intake,
	    const struct pb_conf_listen *bounds, size_t *held,
	    uint64_t now_ms);
void	pb_room_finish(struct pb_room *room);

/*
 * A body of at most `max` bytes is wanted; `announced` of them will come,
 * SIZE_MAX: who knows.  PB_ELIMIT: more than `max`; PB_EBUSY: there is no
 * memory for it now.
 */
int	pb_room_open(struct pb_room *room, size_t max, size_t announced,
	    struct pb_err *err);

/* `len` bytes have come, wanted or not.  False: too late. */
bool	pb_room_in_time(struct pb_room *room, size_t len, uint64_t now_ms);
/* When it is too late for more. */
uint64_t pb_room_until_ms(const struct pb_room *room);

/* Keep them.  PB_ELIMIT, PB_EBUSY, PB_ENOMEM. */
int	pb_room_put(struct pb_room *room, const void *data, size_t len,
	    struct pb_err *err);

/* Put the body that was packed with zstd in the place of the packed one.
 * PB_ELIMIT, PB_EBUSY, PB_ENOMEM; zip.h's where it is no such thing. */
int	pb_room_unpack(struct pb_room *room, struct pb_err *err);

#endif
