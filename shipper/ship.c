/*
 * shipper/ship.c - what to send next to one upstream
 *
 *	upstream:  CONNECTING -> READY <-> BACKOFF (one probe at a time)
 *	stream:    UNKNOWN -> asking -> READY -> requests in a window
 *	              ^                  |
 *	              +-- WAITING / REFUSED, tried again at a set time
 *
 * Promise: the receiver's number is asked before anything is sent, at the
 *          start and after each failure; nothing is sent that is not
 *          durable here; every number is offered until it is acked.
 * Reason:  the receiver holds the truth about what it has, so a crash on
 *          either side needs no repair, only a question.
 * Limit:   PB_REQUESTS_MAX requests and `window` bytes in flight (one
 *          block more where a block is larger than the window); one fixed
 *          record per stream, whatever the store holds.
 * Not here: what answers mean (ship_answer.c), HTTP, files, clocks.
 */
#include "shipper/ship.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/ship_private.h"

#define LOOK_MS		1000u	/* how often waiting streams are looked at */
#define RATE_SECONDS	8u	/* of the rate limit may be in flight */

enum plan {
	PLAN_ACT,		/* `out` is to be done */
	PLAN_NOTHING,		/* the stream has nothing to do now */
	PLAN_FULL,		/* no room in the window */
};

static enum plan	plan_stream(struct pb_ship *, struct ship_stream *,
			    uint64_t, uint64_t, struct pb_action *);
static enum plan	plan_piece(struct pb_ship *, struct ship_stream *,
			    uint64_t, uint64_t, struct pb_action *);
static enum plan	plan_packets(const struct pb_ship *,
			    struct ship_stream *, struct pb_action *);
static bool		next_of(struct pb_ship *, struct ship_queue *,
			    uint64_t, uint64_t, struct pb_action *);
static bool		next_probe(struct pb_ship *, uint64_t,
			    struct pb_action *);
static struct ship_stream *probe_stream(const struct pb_ship *);
static void		start(struct pb_ship *, struct ship_stream *,
			    struct pb_action *);
static void		revive(struct pb_ship *, uint64_t);
static bool		wants(const struct ship_stream *);
static struct ship_stream *find(const struct pb_ship *, uint32_t,
			    unsigned *);
static int		insert(struct pb_ship *, unsigned,
			    struct ship_stream *, struct pb_err *);

const char *
pb_ship_state_name(enum pb_ship_state state)
{
	switch (state) {
	case PB_SHIP_CONNECTING: return "connecting";
	case PB_SHIP_READY: return "ready";
	case PB_SHIP_BACKOFF: return "backoff";
	case PB_SHIP_REFUSED: return "refused";
	case PB_SHIP_IDLE: return "idle";
	}
	return "unknown";
}

const char *
pb_cursor_state_name(enum pb_cursor_state state)
{
	switch (state) {
	case PB_CURSOR_UNKNOWN: return "unknown";
	case PB_CURSOR_READY: return "ready";
	case PB_CURSOR_WAITING: return "waiting";
	case PB_CURSOR_REFUSED: return "refused";
	}
	return "unknown";
}

int
pb_ship_create(struct pb_ship **out, const struct pb_ship_opts *opts,
    const struct pb_ship_source *source, struct pb_err *err)
{
	struct pb_ship *ship = calloc(1, sizeof(*ship));
	uint64_t rated = opts->rate_limit / 8 * RATE_SECONDS;

	*out = ship;
	if (ship == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an upstream");
	ship->source = *source;
	ship->state = PB_SHIP_CONNECTING;
	ship->window_max = opts->window;
	/* On a link held to a rate, more in flight only means more to send
	 * again after a break. */
	if (opts->rate_limit > 0 && ship->window_max > rated)
		ship->window_max = rated;
	if (ship->window_max < PB_SHIP_WINDOW_MIN)
		ship->window_max = PB_SHIP_WINDOW_MIN;
	if (opts->window > 0 && ship->window_max > opts->window)
		ship->window_max = opts->window;
	ship->window = ship->window_max;
	TAILQ_INIT(&ship->work);
	TAILQ_INIT(&ship->quiet);
	return 0;
}

void
pb_ship_destroy(struct pb_ship *ship)
{
	if (ship == NULL)
		return;
	for (unsigned i = 0; i < ship->streams; i++) {
		free(ship->stream[i]->text);
		free(ship->stream[i]);
	}
	free(ship->stream);
	free(ship);
}

int
pb_ship_stream(struct pb_ship *ship, uint32_t id, bool own, uint64_t end,
    struct pb_err *err)
{
	unsigned at;
	struct ship_stream *s = find(ship, id, &at);
	bool new = s == NULL;
	int rc;

	assert(id != 0);
	if (new) {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			return pb_err_set(err, PB_ENOMEM,
			    "no memory for a stream");
		s->id = id;
		s->state = PB_CURSOR_UNKNOWN;
		s->bytes_max = PB_SHIP_PIECE_BYTES;
		s->changed = true;
		rc = insert(ship, at, s, err);
		if (rc < 0) {
			free(s);
			return rc;
		}
	}
	s->own = own;
	s->end = end;
	ship_enqueue(ship, s);
	return new ? 1 : 0;
}

void
pb_ship_remember(struct pb_ship *ship, uint32_t id, uint64_t acked)
{
	unsigned at;
	struct ship_stream *s = find(ship, id, &at);

	if (s == NULL || s->state != PB_CURSOR_UNKNOWN || s->asking)
		return;
	s->acked = s->sent = acked < s->end ? acked : s->end;
	ship_enqueue(ship, s);
}

bool
pb_ship_next(struct pb_ship *ship, uint64_t now_ms, uint64_t random,
    struct pb_action *out)
{
	if (now_ms >= ship->look_ms)
		revive(ship, now_ms);
	if (ship->since_ms == 0)
		ship->since_ms = now_ms;
	if (ship->state == PB_SHIP_BACKOFF)
		return next_probe(ship, now_ms, out);
	if (ship->flights >= PB_REQUESTS_MAX)
		return false;
	return next_of(ship, &ship->work, now_ms, random, out) ||
	    next_of(ship, &ship->quiet, now_ms, random, out);
}

uint64_t
pb_ship_wake_ms(const struct pb_ship *ship)
{
	if (ship->state == PB_SHIP_BACKOFF && !ship->probing &&
	    ship->retry_ms < ship->look_ms && probe_stream(ship) != NULL)
		return ship->retry_ms;
	return ship->look_ms;
}

void
pb_ship_status(const struct pb_ship *ship, struct pb_ship_status *out)
{
	memset(out, 0, sizeof(*out));
	out->state = ship->state;
	if (ship->state != PB_SHIP_BACKOFF && ship->flights == 0 &&
	    TAILQ_EMPTY(&ship->work))
		out->state = ship->refused > 0 ? PB_SHIP_REFUSED :
		    PB_SHIP_IDLE;
	out->since_ms = ship->since_ms;
	out->progress_ms = ship->progress_ms;
	out->retry_ms = ship->retry_ms;
	out->attempts = ship->attempts;
	out->streams = ship->streams;
	out->refused = ship->refused;
	out->flight_bytes = ship->flight_bytes;
	out->flight_requests = ship->flights;
	out->sent_bytes = ship->sent_bytes;
	out->acked_bytes = ship->acked_bytes;
	out->acked_packets = ship->acked_packets;
	memcpy(out->last_error, ship->last_error, sizeof(out->last_error));
}

unsigned
pb_ship_cursors(struct pb_ship *ship,
    void (*each)(void *, const struct pb_ship_cursor *), void *arg)
{
	unsigned changed = 0;

	for (unsigned i = 0; i < ship->streams; i++) {
		struct ship_stream *s = ship->stream[i];
		struct pb_ship_cursor cursor = {
			.stream = s->id, .state = s->state,
			.acked = s->acked, .sent = s->sent,
			.text = s->text != NULL ? s->text : "",
		};

		if (!s->changed)
			continue;
		changed++;
		if (each == NULL)
			continue;
		s->changed = false;
		each(arg, &cursor);
	}
	return changed;
}

void
pb_ship_touch(struct pb_ship *ship)
{
	for (unsigned i = 0; i < ship->streams; i++)
		ship->stream[i]->changed = true;
}

/* --- for ship_answer.c too ---------------------------------------------- */

void
ship_enqueue(struct pb_ship *ship, struct ship_stream *s)
{
	struct ship_queue *queue =
	    s->end > s->sent ? &ship->work : &ship->quiet;

	if (s->queue == queue || !wants(s))
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
	snprintf(ship->last_error, sizeof(ship->last_error), "%s", line);
}

void
ship_trouble(struct pb_ship *ship, struct ship_stream *s, const char *text,
    uint64_t now_ms, uint64_t random)
{
	if (s->troubles < UINT16_MAX)
		s->troubles++;
	if (s->troubles == PB_TROUBLES_MAX)
		ship->source.event(ship->source.arg, PB_LOG_WARN, s->id, text);
	ship_hold(ship, s, PB_CURSOR_WAITING,
	    now_ms + ship_backoff_ms(s->troubles, random), text);
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

uint64_t
ship_backoff_ms(unsigned attempts, uint64_t random)
{
	uint64_t bound = PB_BACKOFF_MS_MIN;

	for (unsigned i = 1; i < attempts && bound < PB_BACKOFF_MS_MAX; i++)
		bound *= 2;
	if (bound > PB_BACKOFF_MS_MAX)
		bound = PB_BACKOFF_MS_MAX;
	return 1 + random % bound;
}

/* --- deciding ----------------------------------------------------------- */

/* Streams take turns: who acted goes to the end of its queue. */
static bool
next_of(struct pb_ship *ship, struct ship_queue *queue, uint64_t now_ms,
    uint64_t random, struct pb_action *out)
{
	struct ship_stream *s;

	while ((s = TAILQ_FIRST(queue)) != NULL) {
		switch (plan_stream(ship, s, now_ms, random, out)) {
		case PLAN_ACT:
			ship_dequeue(s);
			start(ship, s, out);
			ship_enqueue(ship, s);
			return true;
		case PLAN_NOTHING:
			ship_dequeue(s);
			break;
		case PLAN_FULL:
			return false;
		}
	}
	return false;
}

/* While backing off one stream's question decides whether it is over. */
static bool
next_probe(struct pb_ship *ship, uint64_t now_ms, struct pb_action *out)
{
	struct ship_stream *s;

	if (ship->probing || now_ms < ship->retry_ms)
		return false;
	s = probe_stream(ship);
	if (s == NULL)
		return false;
	memset(out, 0, sizeof(*out));
	out->kind = PB_ACTION_ASK;
	ship_dequeue(s);
	start(ship, s, out);
	ship->request[out->request].probe = true;
	ship->probing = true;
	return true;
}

/*
 * Any stream will do, the ones with something to send first.  One whose
 * requests still hang is taken if there is no other: they may hang for as
 * long as the other side is silent.
 */
static struct ship_stream *
probe_stream(const struct pb_ship *ship)
{
	struct ship_stream *s = TAILQ_FIRST(&ship->work);

	if (s == NULL)
		s = TAILQ_FIRST(&ship->quiet);
	for (unsigned i = 0; s == NULL && i < PB_SHIP_SLOTS; i++)
		s = ship->request[i].stream;
	return s;
}

static enum plan
plan_stream(struct pb_ship *ship, struct ship_stream *s, uint64_t now_ms,
    uint64_t random, struct pb_action *out)
{
	memset(out, 0, sizeof(*out));
	if (!wants(s))
		return PLAN_NOTHING;
	if (s->state == PB_CURSOR_READY)
		return plan_piece(ship, s, now_ms, random, out);
	out->kind = PB_ACTION_ASK;
	return PLAN_ACT;
}

static enum plan
plan_piece(struct pb_ship *ship, struct ship_stream *s, uint64_t now_ms,
    uint64_t random, struct pb_action *out)
{
	struct pb_piece *piece = &out->piece;
	struct pb_err err;
	size_t bytes_max = s->bytes_max;

	if (bytes_max > ship->window)
		bytes_max = (size_t)ship->window;
	/* Little room is not worth a look: it would cut or not fit. */
	if (ship->flight_bytes > 0 &&
	    ship->flight_bytes + bytes_max / 4 > ship->window)
		return PLAN_FULL;
	if (ship->source.look(ship->source.arg, s->id, s->sent + 1, &s->mark,
	    bytes_max, piece, &err) < 0) {
		ship_trouble(ship, s, err.text, now_ms, random);
		return PLAN_NOTHING;
	}
	if (piece->kind == PB_PIECE_PACKETS)
		return plan_packets(ship, s, out);
	if (piece->kind == PB_PIECE_NONE)
		return PLAN_NOTHING;
	/* A gap follows what is acked: nothing before it is under way. */
	out->kind = PB_ACTION_GAP;
	return s->flights > 0 ? PLAN_NOTHING : PLAN_ACT;
}

static enum plan
plan_packets(const struct pb_ship *ship, struct ship_stream *s,
    struct pb_action *out)
{
	const struct pb_piece *piece = &out->piece;
	uint64_t bytes = (uint64_t)piece->bytes + piece->header_bytes;

	s->mark = (struct pb_mark){ .seq = piece->first,
	    .segment_seq = piece->segment_seq, .offset = piece->offset };
	if (ship->flight_bytes > 0 &&
	    ship->flight_bytes + bytes > ship->window)
		return PLAN_FULL;
	out->kind = PB_ACTION_PACKETS;
	if (s->flights > 0 && !piece->complete &&
	    piece->bytes < PB_SHIP_SMALL_BYTES)
		return PLAN_NOTHING;
	return PLAN_ACT;
}

/* Take a free request for `out`; there is one, see the callers' bounds. */
static void
start(struct pb_ship *ship, struct ship_stream *s, struct pb_action *out)
{
	const struct pb_piece *piece = &out->piece;
	struct ship_request *r;
	unsigned i = 0;

	while (ship->request[i].stream != NULL)
		i++;
	assert(i < PB_SHIP_SLOTS);
	r = &ship->request[i];
	*r = (struct ship_request){ .stream = s, .kind = out->kind };
	out->request = i;
	out->stream = s->id;
	s->flights++;
	ship->flights++;
	if (out->kind == PB_ACTION_ASK) {
		s->asking = true;
		return;
	}
	r->first = piece->first;
	r->last = s->sent = piece->last;
	s->changed = true;
	if (out->kind == PB_ACTION_GAP)
		return;
	r->bytes = (uint64_t)piece->bytes + piece->header_bytes;
	s->mark = (struct pb_mark){ .seq = piece->last + 1,
	    .segment_seq = piece->segment_seq,
	    .offset = piece->offset + piece->bytes };
	ship->flight_bytes += r->bytes;
	ship->sent_bytes += r->bytes;
}

/*
 * Streams whose time has come are asked about again.  It visits all, so
 * it runs once in LOOK_MS, or when the first that waits is due.
 */
static void
revive(struct pb_ship *ship, uint64_t now_ms)
{
	uint64_t next = now_ms + LOOK_MS;

	/* Failures further apart than this are not one trouble. */
	if (ship->state == PB_SHIP_READY &&
	    now_ms >= ship->since_ms + PB_BACKOFF_MS_MAX)
		ship->attempts = 0;
	for (unsigned i = 0; i < ship->streams; i++) {
		struct ship_stream *s = ship->stream[i];

		if (s->state == PB_CURSOR_WAITING ||
		    s->state == PB_CURSOR_REFUSED) {
			if (now_ms < s->retry_ms) {
				if (s->retry_ms < next)
					next = s->retry_ms;
				continue;
			}
			ship_release(ship, s, PB_CURSOR_UNKNOWN);
		} else if (s->state == PB_CURSOR_READY && s->flights == 0 &&
		    s->sent >= s->end &&
		    now_ms >= s->asked_ms + PB_RECHECK_MS) {
			ship_release(ship, s, PB_CURSOR_UNKNOWN);
		}
		ship_enqueue(ship, s);
	}
	ship->look_ms = next;
}

/* Is there anything to do for this stream, were there room? */
static bool
wants(const struct ship_stream *s)
{
	if (s->asking)
		return false;
	if (s->state == PB_CURSOR_UNKNOWN)
		return s->flights == 0;
	return s->state == PB_CURSOR_READY && s->end > s->sent;
}

/* --- the table of streams ----------------------------------------------- */

static struct ship_stream *
find(const struct pb_ship *ship, uint32_t id, unsigned *at)
{
	unsigned low = 0, high = ship->streams;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (ship->stream[mid]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	*at = low;
	if (low < ship->streams && ship->stream[low]->id == id)
		return ship->stream[low];
	return NULL;
}

static int
insert(struct pb_ship *ship, unsigned at, struct ship_stream *s,
    struct pb_err *err)
{
	struct ship_stream **grown;
	unsigned cap = ship->cap > 0 ? ship->cap * 2 : 16;

	if (ship->streams >= PB_SHIP_STREAMS_MAX)
		return pb_err_set(err, PB_ELIMIT,
		    "more than %u streams for one upstream",
		    PB_SHIP_STREAMS_MAX);
	if (ship->streams == ship->cap) {
		grown = realloc(ship->stream, cap * sizeof(*grown));
		if (grown == NULL)
			return pb_err_set(err, PB_ENOMEM,
			    "no memory for %u streams", cap);
		ship->stream = grown;
		ship->cap = cap;
	}
	memmove(ship->stream + at + 1, ship->stream + at,
	    (ship->streams - at) * sizeof(*ship->stream));
	ship->stream[at] = s;
	ship->streams++;
	return 0;
}
