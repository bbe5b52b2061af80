/*
 * shipper/ship/speed.c - how fast counters grow, now
 */
#include "shipper/ship/speed.h"

#include <string.h>

static const struct pb_speed_look *since(const struct pb_speed *, uint64_t);
static void	keep(struct pb_speed *, uint64_t, const uint64_t *);

void
pb_speed_look(struct pb_speed *speed, uint64_t now_ms,
    const uint64_t count[static PB_SPEED_WHATS])
{
	const struct pb_speed_look *from = since(speed, now_ms);

	for (unsigned i = 0; i < PB_SPEED_WHATS; i++) {
		speed->per_s[i] = 0;
		if (from != NULL && now_ms > from->ms &&
		    count[i] > from->count[i])
			speed->per_s[i] = (count[i] - from->count[i]) * 1000 /
			    (now_ms - from->ms);
	}
	keep(speed, now_ms, count);
}

/* The latest look that is old enough, or the first there is; NULL: none. */
static const struct pb_speed_look *
since(const struct pb_speed *speed, uint64_t now_ms)
{
	const struct pb_speed_look *from = NULL;

	for (unsigned i = 1; i <= PB_SPEED_LOOKS && i <= speed->looks; i++) {
		from = &speed->look[(speed->looks - i) % PB_SPEED_LOOKS];
		if (now_ms >= from->ms + PB_SPEED_MS)
			break;
	}
	return from;
}

static void
keep(struct pb_speed *speed, uint64_t now_ms, const uint64_t *count)
{
	struct pb_speed_look *look;

	if (speed->looks > 0 && now_ms < speed->look[(speed->looks - 1) %
	    PB_SPEED_LOOKS].ms + PB_SPEED_STEP_MS)
		return;
	look = &speed->look[speed->looks++ % PB_SPEED_LOOKS];
	look->ms = now_ms;
	memcpy(look->count, count, sizeof(look->count));
}

uint64_t
pb_speed_left_s(uint64_t backlog, uint64_t packets, uint64_t comes)
{
	if (backlog == 0)
		return 0;
	return packets <= comes ? UINT64_MAX :
	    (backlog - 1) / (packets - comes) + 1;
}
