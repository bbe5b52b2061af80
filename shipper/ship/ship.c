/*
 * shipper/ship/ship.c - what to send next to one upstream
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
 * Not here: what answers mean (ship_answer.c), dead letters (ship_dead.c)
 *          and their return (ship_late.c), HTTP, files, clocks.
 */
#include "shipper/ship/ship.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/ship/ship_impl.h"

#define RATE_SECONDS	8u	/* of the rate limit may be in flight */

static enum ship_plan plan_stream(struct pb_ship *, struct ship_stream *,
		    struct pb_action *);
static enum ship_plan plan_ready(struct pb_ship *, struct ship_stream *,
		    struct pb_action *);
static void	hand_out(struct ship_stream *);
static enum ship_plan plan_piece(struct pb_ship *, struct ship_stream *,
		    struct pb_action *);
static unsigned	in_turn(const struct ship_stream *);
static enum ship_plan plan_packets(const struct pb_ship *,
		    struct ship_stream *, struct pb_action *);
static bool	next_of(struct pb_ship *, struct ship_queue *,
		    struct pb_action *, bool *);
static bool	next_of_all(struct pb_ship *, struct pb_action *);
static bool	next_probe(struct pb_ship *, struct pb_action *);
static bool	next_question(struct pb_ship *, struct pb_action *);
static struct ship_stream *probe_stream(const struct pb_ship *);
static void	start(struct pb_ship *, struct ship_stream *,
		    struct pb_action *);
static void	start_piece(struct pb_ship *, struct ship_stream *,
		    struct ship_request *, const struct pb_piece *);
static void	revive(struct pb_ship *);
static unsigned	rank_of(const struct pb_ship *, uint32_t);
static uint64_t	window_max(uint64_t, uint64_t);
static uint64_t	lower(uint64_t, uint64_t);
static void	set_looking(struct pb_ship *, struct ship_stream *, bool);

int
pb_ship_create(struct pb_ship **out, const struct pb_ship_opts *opts,
    const struct pb_ship_source *source, struct pb_err *err)
{
	struct pb_ship *ship = calloc(1, sizeof(*ship));

	*out = ship;
	if (ship == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an upstream");
	ship->source = *source;
	ship->state = PB_SHIP_CONNECTING;
	ship->window_max = window_max(opts->window, opts->rate_limit);
	ship->way = opts->way;
	ship->window = ship->piece_max = PB_SHIP_FIRST_BYTES;
	if (ship->way.unit_bytes > 0) {
		ship->piece_max = ship->way.unit_bytes;
		ship->window = ship->window_max;
	}
	if (ship->window > ship->window_max)
		ship->window = ship->window_max;
	ship->retry_for_ms = opts->retry_for_ms;
	for (unsigned i = 0; i < PB_SHIP_RANKS; i++) {
		TAILQ_INIT(&ship->work[i]);
		TAILQ_INIT(&ship->patient[i]);
	}
	TAILQ_INIT(&ship->quiet);
	TAILQ_INIT(&ship->dying);
	return 0;
}

void
pb_ship_pause(struct pb_ship *ship, bool paused)
{
	ship->paused = paused;
}

void
pb_ship_rank(struct pb_ship *ship)
{
	for (unsigned i = 0; i < ship->streams; i++) {
		struct ship_stream *s = ship->stream[i];

		ship_dequeue(s);
		s->rank = rank_of(ship, s->id);
		ship_enqueue(ship, s);
	}
}

static unsigned
rank_of(const struct pb_ship *ship, uint32_t id)
{
	unsigned rank = ship->source.rank == NULL ? 0 :
	    ship->source.rank(ship->source.arg, id);

	return rank < PB_SHIP_RANKS ? rank : PB_SHIP_RANKS - 1;
}

void
pb_ship_rate(struct pb_ship *ship, uint64_t window, uint64_t rate_limit)
{
	ship->window_max = window_max(window, rate_limit);
	if (ship->way.unit_bytes > 0 || ship->window > ship->window_max)
		ship->window = ship->window_max;
}

/* On a link held to a rate, more in flight only means more to send again after
 * a break. */
static uint64_t
window_max(uint64_t window, uint64_t rate_limit)
{
	uint64_t rated = rate_limit / 8 * RATE_SECONDS, max = window;

	if (rate_limit > 0 && max > rated)
		max = rated;
	if (max < PB_SHIP_WINDOW_MIN)
		max = PB_SHIP_WINDOW_MIN;
	return window > 0 && max > window ? window : max;
}

void
pb_ship_destroy(struct pb_ship *ship)
{
	if (ship == NULL)
		return;
	for (unsigned i = 0; i < ship->streams; i++) {
		free(ship->stream[i]->dead_text);
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
	struct ship_stream *s = ship_find(ship, id);
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
		s->moved_ms = s->told_ms = ship->clock_ms;
		s->rank = rank_of(ship, id);
		rc = ship_insert(ship, s, err);
		if (rc < 0) {
			free(s);
			return rc;
		}
	}
	s->own = own;
	if (!new && end > s->end)
		ship->came_packets += end - s->end;
	s->end = end;
	ship_came(ship, s);
	ship_note(ship, s);
	ship_enqueue(ship, s);
	return new ? 1 : 0;
}

void
pb_ship_remember(struct pb_ship *ship, uint32_t id,
    const struct pb_ship_cursor *memory)
{
	struct ship_stream *s = ship_find(ship, id);

	if (s == NULL || s->state != PB_CURSOR_UNKNOWN || s->asking)
		return;
	s->acked = s->sent = lower(memory->acked, s->end);
	if (s->acked <= s->base)
		s->acked = s->sent = 0;	/* it is to be told of the base */
	s->released = lower(memory->released, s->end);
	if (s->released < s->acked)
		s->released = s->acked;
	if (s->released < s->base)
		s->released = s->base;
	s->sure = memory->sure;
	ship_remember_wait(ship, s, lower(memory->wait_seq, s->end),
	    memory->wait_ms);
	for (unsigned i = 0; ship->way.once && i < PB_SHIP_UNSURE; i++)
		if (memory->unsure[i].first <= s->end)
			s->unsure[i] = (struct pb_ship_run){
			    .first = memory->unsure[i].first,
			    .last = lower(memory->unsure[i].last, s->end) };
	ship_condemn_unsure(ship, s);
	ship_enqueue(ship, s);
}

uint64_t
pb_ship_handed(const struct pb_ship *ship, uint32_t id)
{
	const struct ship_stream *s = ship_find(ship, id);

	if (s == NULL)
		return UINT64_MAX;
	/* Who pulls may have been told of a gap and not have said so yet. */
	return s->known && !ship->way.pulled ? s->handed : s->end;
}

void
pb_ship_hurry(struct pb_ship *ship)
{
	ship->retry_ms = 0;
	for (unsigned i = 0; i < ship->streams; i++)
		ship_hurry(ship, ship->stream[i]);
}

void
pb_ship_looked(struct pb_ship *ship, uint32_t id, uint64_t now_ms,
    uint64_t random)
{
	struct ship_stream *s = ship_find(ship, id);

	if (s == NULL)
		return;
	ship->now_ms = now_ms;
	ship->random = random;
	set_looking(ship, s, false);
	ship_asked_again(ship, s);
	ship_enqueue(ship, s);
}

void
pb_ship_begins(struct pb_ship *ship, unsigned request)
{
	ship->request[request].begun = true;
}

/* The stream is READY again when all its requests have ended. */
bool
pb_ship_stands(const struct pb_ship *ship, unsigned request)
{
	const struct ship_request *r = &ship->request[request];

	return r->late || r->stream->state == PB_CURSOR_READY;
}

bool
pb_ship_next(struct pb_ship *ship, uint64_t now_ms, uint64_t random,
    struct pb_action *out)
{
	ship->now_ms = now_ms;
	ship->random = random;
	if (ship->paused) {
		ship->tick_ms = now_ms;
		return false;
	}
	ship_tick(ship);
	if (ship->now_ms >= ship->look_ms)
		revive(ship);
	ship_demote(ship);
	if (ship->since_ms == 0)
		ship->since_ms = ship->now_ms;
	if (ship->state == PB_SHIP_BACKOFF)
		return next_probe(ship, out);
	return next_of_all(ship, out);
}

uint64_t
pb_ship_wake_ms(const struct pb_ship *ship)
{
	uint64_t wake = ship->look_ms;

	if (ship->paused)
		return UINT64_MAX;
	if (ship->state == PB_SHIP_BACKOFF && !ship->probing &&
	    ship->retry_ms < wake && probe_stream(ship) != NULL)
		wake = ship->retry_ms;
	if (!TAILQ_EMPTY(&ship->dying) && ship->demoting == NULL &&
	    ship->dying_ms < wake)
		wake = ship->dying_ms;
	return wake;
}

/* --- deciding ----------------------------------------------------------- */

/* What is full for a rank is so for those behind it, which must not take the
 * room that it waits for; questions take none. */
static bool
next_of_all(struct pb_ship *ship, struct pb_action *out)
{
	bool full = false;

	for (unsigned rank = 0; rank < PB_SHIP_RANKS && !full; rank++) {
		if (ship->flights >= PB_REQUESTS_MAX - (rank > 0 ?
		    PB_REQUESTS_MAX / 4 : 0))
			break;
		if ((ship->looking < PB_SHIP_LOOKS_MAX &&
		    next_of(ship, &ship->patient[rank], out, &full)) ||
		    next_of(ship, &ship->work[rank], out, &full))
			return true;
	}
	return ship->flights < PB_REQUESTS_MAX &&
	    next_of(ship, &ship->quiet, out, &full);
}

/* Streams take turns: who acted goes to the end of its queue. */
static bool
next_of(struct pb_ship *ship, struct ship_queue *queue,
    struct pb_action *out, bool *full)
{
	struct ship_stream *s;

	while ((s = TAILQ_FIRST(queue)) != NULL) {
		switch (plan_stream(ship, s, out)) {
		case SHIP_ACT:
			ship_dequeue(s);
			start(ship, s, out);
			ship_enqueue(ship, s);
			return true;
		case SHIP_NOTHING:
			ship_dequeue(s);
			break;
		case SHIP_LATER:
			if (queue == &ship->patient[s->rank])
				return false;
			ship_dequeue(s);
			s->queue = &ship->patient[s->rank];
			TAILQ_INSERT_TAIL(s->queue, s, link);
			break;
		case SHIP_FULL:
			*full = true;
			return false;
		}
	}
	return false;
}

/* While backing off one stream's question decides whether it is over; or,
 * of who cannot be asked, one unit. */
static bool
next_probe(struct pb_ship *ship, struct pb_action *out)
{
	if (ship->probing || ship->now_ms < ship->retry_ms)
		return false;
	if (!(ship->way.remembered ? next_of_all(ship, out) :
	    next_question(ship, out))) {
		ship->retry_ms = ship->now_ms + SHIP_LOOK_MS;
		return false;
	}
	ship->request[out->request].probe = true;
	ship->probing = true;
	return true;
}

static bool
next_question(struct pb_ship *ship, struct pb_action *out)
{
	struct ship_stream *s = probe_stream(ship);

	if (s == NULL)
		return false;
	memset(out, 0, sizeof(*out));
	out->kind = PB_ACTION_ASK;
	ship_dequeue(s);
	start(ship, s, out);
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
	struct ship_stream *s = NULL;

	for (unsigned rank = 0; s == NULL && rank < PB_SHIP_RANKS; rank++)
		s = TAILQ_FIRST(&ship->work[rank]);
	if (s == NULL)
		s = TAILQ_FIRST(&ship->quiet);
	for (unsigned i = 0; s == NULL && i < PB_SHIP_SLOTS; i++)
		s = ship->request[i].stream;
	return s;
}

static enum ship_plan
plan_stream(struct pb_ship *ship, struct ship_stream *s, struct pb_action *out)
{
	memset(out, 0, sizeof(*out));
	if (!ship_wants(s))
		return SHIP_NOTHING;
	if (s->state == PB_CURSOR_UNKNOWN && ship->way.remembered)
		ship_recall(ship, s);
	if (s->state == PB_CURSOR_READY)
		return plan_ready(ship, s, out);
	out->kind = PB_ACTION_ASK;
	out->at = s->proof.at;
	return SHIP_ACT;
}

/* What is late and what is in its turn alternate, so that neither holds
 * up the other by more than one request. */
static enum ship_plan
plan_ready(struct pb_ship *ship, struct ship_stream *s, struct pb_action *out)
{
	enum ship_plan plan = SHIP_NOTHING, late = SHIP_NOTHING;

	if (ship->way.pulled)
		hand_out(s);
	if (s->late_turn)
		plan = ship_late_plan(ship, s, out);
	if (plan == SHIP_NOTHING && s->end > s->sent)
		plan = plan_piece(ship, s, out);
	if ((plan == SHIP_NOTHING || plan == SHIP_LATER) && !s->late_turn &&
	    s->state == PB_CURSOR_READY)
		late = ship_late_plan(ship, s, out);
	return late == SHIP_NOTHING ? plan : late;
}

/* Whoever pulls may have come for it already. */
static void
hand_out(struct ship_stream *s)
{
	s->changed |= s->sent < s->end;
	s->sent = s->end;
	if (s->handed < s->sent)
		s->handed = s->sent;
}

static enum ship_plan
plan_piece(struct pb_ship *ship, struct ship_stream *s, struct pb_action *out)
{
	struct pb_piece *piece = &out->piece;
	bool begin = ship->looking < PB_SHIP_LOOKS_MAX || s->looking;
	struct pb_err err;

	if (ship->way.remembered && in_turn(s) > 0 &&
	    in_turn(s) >= ship->way.units)
		return SHIP_NOTHING;
	if (!ship_room_to_look(ship, s))
		return SHIP_FULL;
	if (ship->source.look(ship->source.arg, s->id, s->sent + 1, &s->mark,
	    ship_bytes_max(ship, s), begin, piece, &err) < 0) {
		set_looking(ship, s, false);
		ship_trouble(ship, s, err.text);
		return SHIP_NOTHING;
	}
	if (piece->kind == PB_PIECE_SOON && !begin)
		return SHIP_LATER;
	set_looking(ship, s, piece->kind == PB_PIECE_SOON);
	s->awaits_kept = piece->settles && ship_late_full(s);
	if (s->awaits_kept)
		return SHIP_NOTHING;
	if (piece->kind == PB_PIECE_PACKETS)
		return plan_packets(ship, s, out);
	if (piece->kind == PB_PIECE_NONE || piece->kind == PB_PIECE_SOON)
		return SHIP_NOTHING;
	/* A gap follows what is acked: nothing before it is under way. */
	out->kind = PB_ACTION_GAP;
	return s->flights > 0 ? SHIP_NOTHING : SHIP_ACT;
}

/* Requests of it under way that are not late. */
static unsigned
in_turn(const struct ship_stream *s)
{
	return s->flights - (s->late_flight ? 1 : 0);
}

static void
set_looking(struct pb_ship *ship, struct ship_stream *s, bool looking)
{
	ship->looking += (looking ? 1u : 0u) - (s->looking ? 1u : 0u);
	s->looking = looking;
}

static enum ship_plan
plan_packets(const struct pb_ship *ship, struct ship_stream *s,
    struct pb_action *out)
{
	const struct pb_piece *piece = &out->piece;

	s->mark = (struct pb_mark){ .seq = piece->first,
	    .segment_seq = piece->segment_seq, .offset = piece->offset };
	if (!ship_room(ship, s, (uint64_t)piece->bytes + piece->header_bytes))
		return SHIP_FULL;
	out->kind = PB_ACTION_PACKETS;
	out->more = s->end > piece->last;
	if (in_turn(s) > 0 && !ship->way.remembered && !piece->complete &&
	    piece->bytes < PB_SHIP_SMALL_BYTES)
		return SHIP_NOTHING;
	return SHIP_ACT;
}

/* Take a free request for `out`; there is one, see the callers' bounds. */
static void
start(struct pb_ship *ship, struct ship_stream *s,
    struct pb_action *out)
{
	struct ship_request *r;
	unsigned i = 0;

	while (ship->request[i].stream != NULL)
		i++;
	assert(i < PB_SHIP_SLOTS);
	r = &ship->request[i];
	*r = (struct ship_request){ .stream = s, .kind = out->kind,
	    .late = out->late, .at = out->at, .start_ms = ship->now_ms };
	out->request = i;
	out->stream = s->id;
	s->flights++;
	ship->flights++;
	if (out->kind == PB_ACTION_ASK)
		s->asking = true;
	else
		start_piece(ship, s, r, &out->piece);
}

static void
start_piece(struct pb_ship *ship, struct ship_stream *s,
    struct ship_request *r, const struct pb_piece *piece)
{
	r->first = piece->first;
	r->last = piece->last;
	r->letter = piece->letter;
	r->settles = piece->settles;
	s->late_turn = !r->late;
	if (r->late) {
		ship_late_start(s, piece);
	} else {
		s->sent = piece->last;
		if (s->handed < s->sent)
			s->handed = s->sent;
		s->changed = true;
	}
	if (r->kind == PB_ACTION_GAP)
		return;
	r->bytes = (uint64_t)piece->bytes + piece->header_bytes;
	ship->flight_bytes += r->bytes;
	ship->sent_bytes += r->bytes;
	if (!r->late)
		s->mark = (struct pb_mark){ .seq = piece->last + 1,
		    .segment_seq = piece->segment_seq,
		    .offset = piece->offset + piece->bytes };
}

/*
 * Streams whose time has come are asked about again.  It visits all, so
 * it runs once in SHIP_LOOK_MS, or when the first that waits is due.
 */
static void
revive(struct pb_ship *ship)
{
	uint64_t next = ship->now_ms + SHIP_LOOK_MS;

	/* Failures further apart than this are not one trouble. */
	if (ship->state == PB_SHIP_READY &&
	    ship->now_ms >= ship->since_ms + PB_BACKOFF_MS_MAX)
		ship->attempts = 0;
	for (unsigned i = 0; i < ship->streams; i++) {
		struct ship_stream *s = ship->stream[i];

		set_looking(ship, s, false);
		/* This may add a stream to the table, before or behind. */
		ship_asked_again(ship, s);
		ship_watch(ship, s);
		ship_late_revive(ship, s);
		if (s->state == PB_CURSOR_WAITING ||
		    s->state == PB_CURSOR_REFUSED) {
			if (ship->now_ms < s->retry_ms) {
				if (s->retry_ms < next)
					next = s->retry_ms;
				continue;
			}
			ship_release(ship, s, PB_CURSOR_UNKNOWN);
		} else if (s->state == PB_CURSOR_READY && s->flights == 0 &&
		    s->sent >= s->end && !ship->way.remembered &&
		    ship->now_ms >= s->asked_ms + PB_RECHECK_MS) {
			ship_release(ship, s, PB_CURSOR_UNKNOWN);
		}
		if (s->queue != &ship->patient[s->rank])
			ship_enqueue(ship, s);
	}
	ship->look_ms = next;
	ship_look_owed(ship);
	ship_late_tell(ship);
}

static uint64_t
lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
