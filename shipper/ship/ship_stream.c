/*
 * shipper/ship/ship_stream.c - the streams of an upstream: found, in the
 * queue they belong in, in the state they are in
 *
 * What all of the machine stands on; nothing here decides, or calls those
 * who do.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "shipper/ship/ship.h"
#include "shipper/ship/ship_impl.h"

static unsigned	place(const struct pb_ship *, uint32_t);

struct ship_stream *
ship_find(const struct pb_ship *ship, uint32_t id)
{
	unsigned at = place(ship, id);

	return at < ship->streams && ship->stream[at]->id == id ?
	    ship->stream[at] : NULL;
}

int
ship_insert(struct pb_ship *ship, struct ship_stream *s, struct pb_err *err)
{
	unsigned at = place(ship, s->id);

	if (ship->streams >= PB_SHIP_STREAMS_MAX)
		return pb_err_set(err, PB_ELIMIT,
		    "more than %u streams for one upstream",
		    PB_SHIP_STREAMS_MAX);
	if (!PB_LIST_ROOM(ship->stream, ship->cap, ship->streams))
		return pb_err_set(err, PB_ENOMEM, "no memory for %u streams",
		    ship->streams + 1);
	memmove(ship->stream + at + 1, ship->stream + at,
	    (ship->streams - at) * sizeof(*ship->stream));
	ship->stream[at] = s;
	ship->streams++;
	return 0;
}

/* Where the stream is, or would be. */
static unsigned
place(const struct pb_ship *ship, uint32_t id)
{
	unsigned low = 0, high = ship->streams;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (ship->stream[mid]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* --- queues ------------------------------------------------------------- */

void
ship_enqueue(struct pb_ship *ship, struct ship_stream *s)
{
	struct ship_queue *queue = s->end > s->sent || s->late ?
	    &ship->work[s->rank] : &ship->quiet;

	if (s->queue == queue || !ship_wants(s))
		return;
	ship_dequeue(s);
	TAILQ_INSERT_TAIL(queue, s, link);
	s->queue = queue;
}

void
ship_dequeue(struct ship_stream *s)
{
	if (s->queue != NULL)
		TAILQ_REMOVE(s->queue, s, link);
	s->queue = NULL;
}

bool
ship_wants(const struct ship_stream *s)
{
	if (s->asking || s->held || s->demoting ||
	    s->dead.reason == PB_DEAD_MALFORMED ||
	    s->dead.reason == PB_DEAD_UNSURE)
		return false;
	if (s->state == PB_CURSOR_UNKNOWN)
		return s->flights == 0;
	return s->state == PB_CURSOR_READY && !s->awaits_kept &&
	    (s->end > s->sent || ship_late_wants(s));
}

bool
ship_has_work(const struct pb_ship *ship)
{
	bool any = false;

	for (unsigned rank = 0; rank < PB_SHIP_RANKS; rank++)
		any |= !TAILQ_EMPTY(&ship->work[rank]) ||
		    !TAILQ_EMPTY(&ship->patient[rank]);
	return any;
}

bool
ship_late_wants(const struct ship_stream *s)
{
	return s->late && !s->late_flight && !s->late_held && !s->unproven &&
	    s->keeping == 0;
}

/* --- states ------------------------------------------------------------- */

void
ship_hold(struct pb_ship *ship, struct ship_stream *s,
    enum pb_cursor_state state, uint64_t retry_ms, const char *text)
{
	char line[PB_SHIP_TEXT_MAX];

	ship_release(ship, s, state);
	ship_dequeue(s);
	ship->refused++;
	s->retry_ms = retry_ms;
	if (retry_ms < ship->look_ms)
		ship->look_ms = retry_ms;
	snprintf(line, sizeof(line), "%s", text);
	s->text = strdup(line);	/* without memory it has no text */
	ship_error(ship, line);
}

void
ship_error(struct pb_ship *ship, const char *text)
{
	snprintf(ship->last_error, sizeof(ship->last_error), "%s", text);
	ship->failures++;
	ship->error_ms = ship->now_ms;
}

void
ship_trouble(struct pb_ship *ship, struct ship_stream *s, const char *text)
{
	if (s->troubles < UINT16_MAX)
		s->troubles++;
	if (s->troubles == PB_TROUBLES_MAX)
		ship->source.event(ship->source.arg, PB_LOG_WARN, s->id, text);
	ship_hold(ship, s, PB_CURSOR_WAITING,
	    ship->now_ms + pb_backoff_ms(ship->random, s->troubles), text);
}

void
ship_hurry(struct pb_ship *ship, struct ship_stream *s)
{
	if (s->state == PB_CURSOR_WAITING || s->state == PB_CURSOR_REFUSED)
		s->retry_ms = ship->look_ms = 0;
}

void
ship_release(struct pb_ship *ship, struct ship_stream *s,
    enum pb_cursor_state state)
{
	if (s->state == PB_CURSOR_WAITING || s->state == PB_CURSOR_REFUSED)
		ship->refused--;
	free(s->text);
	s->text = NULL;
	s->state = state;
	s->changed = true;
}

/* --- requests ----------------------------------------------------------- */

size_t
ship_bytes_max(const struct pb_ship *ship, const struct ship_stream *s)
{
	size_t bytes_max = s->bytes_max;

	if (ship->way.unit == PB_UNIT_SEGMENT)
		return SIZE_MAX;
	if (bytes_max > ship->piece_max)
		bytes_max = (size_t)ship->piece_max;
	if (bytes_max > ship->window)
		bytes_max = (size_t)ship->window;
	return bytes_max;
}

bool
ship_room(const struct pb_ship *ship, const struct ship_stream *s,
    uint64_t bytes)
{
	uint64_t kept = s->rank > 0 ? ship->window / 4 : 0;

	return ship->flight_bytes == 0 ||
	    ship->flight_bytes + bytes <= ship->window - kept;
}

bool
ship_room_to_look(const struct pb_ship *ship, const struct ship_stream *s)
{
	return ship->way.unit == PB_UNIT_SEGMENT ||
	    ship_room(ship, s, ship_bytes_max(ship, s) / 4);
}

void
ship_event(const struct pb_ship *ship, enum pb_log_level level,
    uint32_t stream, const char *fmt, ...)
{
	char text[PB_SHIP_TEXT_MAX + 128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ship->source.event(ship->source.arg, level, stream, text);
}
