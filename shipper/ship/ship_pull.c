/*
 * shipper/ship/ship_pull.c - an upstream that comes for its packets itself
 *
 * What it says moves its streams; the questions that it is asked say only
 * whether it is there.
 */
#include <stdio.h>

#include "shipper/ship/ship.h"
#include "shipper/ship/ship_impl.h"

static void	count(struct pb_ship *, const struct ship_stream *, uint64_t);

void
pb_ship_pulled(struct pb_ship *ship, uint32_t id, uint64_t acked,
    uint64_t now_ms)
{
	struct ship_stream *s = ship_find(ship, id);
	struct ship_request got = { .kind = PB_ACTION_GAP };

	if (s == NULL)
		return;
	ship->now_ms = now_ms;
	if (acked > s->end)
		acked = s->end;
	if (acked <= s->base)
		acked = 0;	/* it is to pass the base */
	if (acked < s->acked) {
		ship->owed_ms = ship->clock_ms;
		ship_fell_back(ship, s, acked);
		s->changed = true;
	} else if (acked > s->acked) {
		ship_progress(ship, &got);
		count(ship, s, acked);
		s->troubles = s->refusals = 0;
		s->acked = acked;
		ship_moved(ship, s);
		ship_late_again(s);
	}
	ship_enqueue(ship, s);
}

/* What it has got up to `acked`. */
static void
count(struct pb_ship *ship, const struct ship_stream *s, uint64_t acked)
{
	const struct pb_ship_source *source = &ship->source;
	uint64_t before = s->acked > s->base ? s->acked : s->base;

	ship->acked_packets += acked - before;
	if (source->bytes != NULL)
		ship->acked_bytes += source->bytes(source->arg, s->id,
		    before + 1, acked);
}

void
pb_ship_stuck(struct pb_ship *ship, uint32_t id, const char *text,
    uint64_t now_ms, uint64_t random)
{
	struct ship_stream *s = ship_find(ship, id);

	if (s == NULL || s->acked >= s->end)
		return;
	ship->now_ms = now_ms;
	ship->random = random;
	ship_trouble(ship, s, text);
}

void
pb_ship_gone(struct pb_ship *ship, const char *text, uint64_t now_ms,
    uint64_t random)
{
	struct pb_answer answer = { .outcome = PB_OUTCOME_FAILED };

	/* Out of its hours nobody waits for it. */
	if (ship->paused)
		return;
	ship->now_ms = now_ms;
	ship->random = random;
	snprintf(answer.text, sizeof(answer.text), "%s", text);
	ship_failed(ship, false, &answer);
}

uint64_t
pb_ship_owes_ms(const struct pb_ship *ship)
{
	return ship->clock_ms - ship->owed_ms;
}

void
ship_look_owed(struct pb_ship *ship)
{
	bool had = false, owes = false, waits = false;

	for (unsigned i = 0; ship->way.pulled && i < ship->streams; i++) {
		const struct ship_stream *s = ship->stream[i];

		had |= s->acked > 0;
		waits |= s->acked < s->end;
		owes |= s->acked > 0 && s->acked < s->end;
	}
	if (!owes && (had || !waits))
		ship->owed_ms = ship->clock_ms;
}
