/*
 * shipper/ship/ship_report.c - what the state machine tells about itself
 */
#include <string.h>

#include "shipper/ship/ship.h"
#include "shipper/ship/ship_impl.h"

static bool	awaits_acks(const struct pb_ship *);
static void	tell(const struct pb_ship *, const struct ship_stream *,
		    struct pb_ship_cursor *);
static void	tell_unsure(const struct pb_ship *,
		    const struct ship_stream *, struct pb_ship_cursor *);

const char *
pb_ship_state_name(enum pb_ship_state state)
{
	static const char *const names[] = {
		[PB_SHIP_CONNECTING] = "connecting", [PB_SHIP_READY] = "ready",
		[PB_SHIP_BACKOFF] = "backoff", [PB_SHIP_REFUSED] = "refused",
		[PB_SHIP_IDLE] = "idle", [PB_SHIP_PAUSED] = "waits",
	};

	return state >= PB_SHIP_CONNECTING && state <= PB_SHIP_PAUSED ?
	    names[state] : "unknown";
}

const char *
pb_dead_reason_name(enum pb_dead_reason reason)
{
	static const char *const names[] = { [PB_DEAD_STALE] = "stale",
	    [PB_DEAD_MALFORMED] = "malformed",
	    [PB_DEAD_FORBIDDEN] = "forbidden",
	    [PB_DEAD_UNSURE] = "unsure" };

	return reason >= PB_DEAD_STALE && reason <= PB_DEAD_UNSURE ?
	    names[reason] : "unknown";
}

/* Of one that is pulled: is there anything it has not? */
static bool
awaits_acks(const struct pb_ship *ship)
{
	for (unsigned i = 0; ship->way.pulled && i < ship->streams; i++)
		if (ship->stream[i]->acked < ship->stream[i]->end)
			return true;
	return false;
}

void
pb_ship_status(const struct pb_ship *ship, struct pb_ship_status *out)
{
	memset(out, 0, sizeof(*out));
	out->state = ship->state;
	if (ship->state != PB_SHIP_BACKOFF && ship->flights == 0 &&
	    !awaits_acks(ship) && !ship_has_work(ship))
		out->state = ship->refused > 0 ? PB_SHIP_REFUSED :
		    PB_SHIP_IDLE;
	if (ship->paused)
		out->state = PB_SHIP_PAUSED;
	out->since_ms = ship->since_ms;
	out->progress_ms = ship->progress_ms;
	out->retry_ms = ship->retry_ms;
	out->attempts = ship->attempts;
	out->streams = ship->streams - ship->closed;
	out->refused = ship->refused;
	out->flight_bytes = ship->flight_bytes;
	out->sent_bytes = ship->sent_bytes;
	out->acked_bytes = ship->acked_bytes;
	out->acked_packets = ship->acked_packets;
	out->came_packets = ship->came_packets;
	out->failures = ship->failures;
	out->error_ms = ship->error_ms;
	memcpy(out->last_error, ship->last_error, sizeof(out->last_error));
}

unsigned
pb_ship_flights(const struct pb_ship *ship)
{
	return ship->flights;
}

bool
pb_ship_changed(struct pb_ship *ship, unsigned *at,
    struct pb_ship_cursor *out)
{
	struct ship_stream *s = NULL;

	while (*at < ship->streams && s == NULL) {
		s = ship->stream[(*at)++];
		if (!s->changed)
			s = NULL;
	}
	if (s == NULL)
		return false;
	tell(ship, s, out);
	s->told_ms = ship->clock_ms;
	s->changed = false;
	return true;
}

bool
pb_ship_cursor(const struct pb_ship *ship, uint32_t id,
    struct pb_ship_cursor *out)
{
	const struct ship_stream *s = ship_find(ship, id);

	if (s != NULL)
		tell(ship, s, out);
	return s != NULL;
}

static void
tell(const struct pb_ship *ship, const struct ship_stream *s,
    struct pb_ship_cursor *out)
{
	*out = (struct pb_ship_cursor){
		.stream = s->id, .state = s->state,
		.acked = s->acked, .sent = s->sent,
		.released = s->released, .sure = s->sure,
		.text = s->text != NULL ? s->text : "",
	};
	/* What has come since is not proven to be there. */
	if (s->unproven && out->acked > s->await_end)
		out->acked = s->await_end;
	if (s->unproven && out->released > s->await_end)
		out->released = s->await_end;
	out->wait_ms = ship_waited_ms(ship, s, &out->wait_seq);
	if (ship->way.once)
		tell_unsure(ship, s, out);
}

/* What is under way; or was, at the start, and is no letter yet. */
static void
tell_unsure(const struct pb_ship *ship, const struct ship_stream *s,
    struct pb_ship_cursor *out)
{
	memcpy(out->unsure, s->unsure, sizeof(out->unsure));
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		const struct ship_request *r = &ship->request[i];
		struct pb_ship_run *run = &out->unsure[r->late];

		if (r->stream != s || !r->begun)
			continue;
		if (run->first == 0 || r->first < run->first)
			run->first = r->first;
		if (r->last > run->last)
			run->last = r->last;
	}
}

void
pb_ship_touch(struct pb_ship *ship, bool waiting)
{
	for (unsigned i = 0; i < ship->streams; i++)
		ship->stream[i]->changed |= !waiting ||
		    ship->stream[i]->wait.marks > 0;
}
