/*
 * shipper/ship/ship_late.c - what is sent after its turn
 *
 * Letters that were requeued, and packets that came late, of numbers that
 * the receiver was told are gaps.  They are found number by number, from
 * the lowest on; when none is left, `late` is not asked until something
 * may have changed: a question was answered, a gap was told, a letter was
 * requeued, packets came late.
 *
 * Limit: one request a stream, in turns with what goes its ordinary way.
 *        One that fails is held back, longer each time, and all that stands
 *        behind it goes first: a letter that ends its receiver, or that a
 *        filter dislikes, costs what is fresh a hiccup in ten minutes.
 * Reason: to send something twice harms nothing, as the receiver drops
 *         repeats; so whatever is in doubt is looked at again.
 */
#include <inttypes.h>

#include "shipper/ship/ship.h"
#include "shipper/ship/ship_impl.h"

/* Calls of `late` for one decision, where it finds nothing. */
#define LOOKS_MAX	16u
/* Changes of a stream's letters that the keeper is given at a time: what is
 * sent in its turn need not wait for each, nor all others for those. */
#define KEEPING_MAX	4u

static bool	look(struct pb_ship *, struct ship_stream *,
		    struct pb_piece *);
static void	keep_all(struct ship_stream *);
static void	go_on(struct ship_stream *, const struct ship_request *);
static void	end(struct ship_stream *);

void
pb_ship_late(struct pb_ship *ship, uint32_t id, bool hurry)
{
	struct ship_stream *s = ship_find(ship, id);

	if (s == NULL)
		return;
	if (hurry) {
		ship_hurry(ship, s);
		s->late_held = false;
		s->late_fails = 0;
		s->late_behind = s->late_ms = 0;
	}
	ship_late_again(s);
	ship_enqueue(ship, s);
}

void
ship_late_again(struct ship_stream *s)
{
	s->late = true;
	s->late_from = s->late_behind > 0 ? s->late_behind + 1 : 0;
	s->late_mark.seq = 0;
}

bool
ship_late_full(const struct ship_stream *s)
{
	return s->keeping_all || s->keeping >= KEEPING_MAX;
}

enum ship_plan
ship_late_plan(struct pb_ship *ship, struct ship_stream *s,
    struct pb_action *out)
{
	struct pb_piece *piece = &out->piece;

	if (!ship_late_wants(s))
		return SHIP_NOTHING;
	if (!ship_room_to_look(ship, s))
		return SHIP_FULL;
	for (unsigned i = 0; i < LOOKS_MAX; i++) {
		if (!look(ship, s, piece))
			return SHIP_NOTHING;
		if (piece->kind != PB_PIECE_PACKETS) {
			if (s->keeping > 0)
				return SHIP_NOTHING;
			continue;
		}
		s->late_mark = (struct pb_mark){ .seq = piece->first,
		    .segment_seq = piece->segment_seq,
		    .offset = piece->offset };
		if (!ship_room(ship, s, (uint64_t)piece->bytes +
		    piece->header_bytes))
			return SHIP_FULL;
		out->kind = PB_ACTION_PACKETS;
		out->late = true;
		return SHIP_ACT;
	}
	/* There may be more: at its next turn. */
	ship->look_ms = ship->tick_ms + 1;
	return SHIP_NOTHING;
}

void
ship_late_start(struct ship_stream *s, const struct pb_piece *piece)
{
	s->late_flight = true;
	s->late_from = piece->first;
	s->late_mark = (struct pb_mark){ .seq = piece->last + 1,
	    .segment_seq = piece->segment_seq,
	    .offset = piece->offset + piece->bytes };
}

/* What is not kept after all is sent again, as a repeat. */
void
ship_late_acked(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r)
{
	s->keeping += ship->source.sent(ship->source.arg, s->id, r->first,
	    r->last);
	ship->delivered += r->last - r->first + 1;
	go_on(s, r);
}

void
ship_late_refused(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r, const struct pb_ship_dead *dead)
{
	ship_event(ship, PB_LOG_WARN, s->id, "packets %" PRIu64 " to %" PRIu64
	    " were sent again and refused: %.160s", r->first, r->last,
	    dead->text);
	/* Until that is kept it stands in its turn as it did. */
	if (ship->source.refuse(ship->source.arg, s->id, dead))
		keep_all(s);
	go_on(s, r);
}

void
pb_ship_keeping(struct pb_ship *ship, uint32_t id)
{
	struct ship_stream *s = ship_find(ship, id);

	if (s != NULL)
		keep_all(s);
}

static void
keep_all(struct ship_stream *s)
{
	s->keeping++;
	s->keeping_all = true;
}

void
pb_ship_kept(struct pb_ship *ship, uint32_t id)
{
	struct ship_stream *s = ship_find(ship, id);

	if (s == NULL || s->keeping == 0)
		return;
	if (--s->keeping == 0)
		s->keeping_all = false;
	if (!ship_late_full(s))
		s->awaits_kept = false;
	ship_enqueue(ship, s);
}

void
ship_late_failed(struct pb_ship *ship, struct ship_stream *s,
    const struct ship_request *r)
{
	s->late_ms = ship->now_ms + pb_doubled_ms(PB_LATE_MS_FIRST,
	    s->late_fails, PB_LATE_MS_MAX);
	if (s->late_fails < UINT16_MAX)
		s->late_fails++;
	s->late_held = true;
	s->late_behind = r->last;
	go_on(s, r);
}

void
ship_late_revive(const struct pb_ship *ship, struct ship_stream *s)
{
	if (ship->now_ms >= s->late_ms)
		s->late_held = false;
}

bool
pb_ship_takes(const struct pb_ship *ship, uint32_t id, uint64_t last)
{
	const struct ship_stream *s = ship_find(ship, id);

	return s != NULL && ship->state == PB_SHIP_READY &&
	    ship->attempts == 0 && s->known && s->state == PB_CURSOR_READY &&
	    s->troubles == 0 && s->refusals == 0 && !s->unproven &&
	    last <= s->acked;
}

/* One line when they have arrived, however many requests that took. */
void
ship_late_tell(struct pb_ship *ship)
{
	if (ship->delivered == 0)
		return;
	for (unsigned i = 0; i < ship->streams; i++)
		if (ship->stream[i]->late)
			return;
	ship_event(ship, PB_LOG_INFO, 0, "delivered late: %" PRIu64
	    " packets", ship->delivered);
	ship->delivered = 0;
}

/* Behind what has ended, unless it is to begin again from the start. */
static void
go_on(struct ship_stream *s, const struct ship_request *r)
{
	if (r->late && s->late_from == r->first)
		s->late_from = r->last + 1;
}

/* One look: false where nothing is left, or nothing can be known. */
static bool
look(struct pb_ship *ship, struct ship_stream *s, struct pb_piece *piece)
{
	struct pb_err err;

	*piece = (struct pb_piece){ .kind = PB_PIECE_NONE };
	if (s->late_from <= s->acked && ship->source.late(ship->source.arg,
	    s->id, s->acked, s->late_from > 0 ? s->late_from : 1,
	    &s->late_mark, ship_bytes_max(ship, s), piece, &err) < 0) {
		ship_event(ship, PB_LOG_WARN, s->id, "dead letters cannot be "
		    "read: %s", err.text);
		s->late = false;
		return false;
	}
	if (piece->kind == PB_PIECE_PACKETS)
		return true;
	if (piece->kind == PB_PIECE_SOON)
		return false;
	if (piece->last >= s->late_from && piece->last < s->acked) {
		s->late_from = piece->last + 1;
		return true;
	}
	end(s);
	return false;
}

/* Nothing is left, but for what failed: that is tried when its time comes,
 * which may be now. */
static void
end(struct ship_stream *s)
{
	s->late = s->late_behind > 0;
	s->late_from = 0;
	s->late_held = s->late;
	if (!s->late)
		s->late_fails = 0;
	s->late_behind = 0;
	/* Nor is anything in its turn: so nothing is wrong. */
	if (s->end <= s->acked)
		s->troubles = s->refusals = 0;
}
