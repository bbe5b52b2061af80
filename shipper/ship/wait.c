/*
 * shipper/ship/wait.c - for how long the numbers of a stream have been waiting
 */
#include "shipper/ship/wait.h"

#include <string.h>

static void	drop_oldest(struct pb_wait *);

void
pb_wait_clear(struct pb_wait *wait)
{
	memset(wait, 0, sizeof(*wait));
}

void
pb_wait_note(struct pb_wait *wait, uint64_t end, uint64_t now_ms,
    uint64_t spacing_ms)
{
	unsigned n = wait->marks;

	if (n > 0 && (end <= wait->mark[n - 1].seq ||
	    now_ms - wait->mark[n - 1].since_ms < spacing_ms))
		return;
	if (n == PB_WAIT_MARKS)
		drop_oldest(wait);
	wait->mark[wait->marks].seq = end;
	wait->mark[wait->marks].since_ms = now_ms;
	wait->marks++;
}

void
pb_wait_passed(struct pb_wait *wait, uint64_t seq)
{
	while (wait->marks > 0 && wait->mark[0].seq <= seq)
		drop_oldest(wait);
}

uint64_t
pb_wait_stale(const struct pb_wait *wait, uint64_t now_ms, uint64_t age_ms)
{
	uint64_t seq = 0;

	for (unsigned i = 0; i < wait->marks; i++)
		if (now_ms - wait->mark[i].since_ms >= age_ms)
			seq = wait->mark[i].seq;
	return seq;
}

uint64_t
pb_wait_oldest(const struct pb_wait *wait, uint64_t now_ms, uint64_t *age_ms)
{
	*age_ms = 0;
	if (wait->marks == 0)
		return 0;
	*age_ms = now_ms - wait->mark[0].since_ms;
	return wait->mark[0].seq;
}

/* An age beyond the clock's own makes the start of the mark wrap; the
 * difference to any later time is right all the same. */
void
pb_wait_restore(struct pb_wait *wait, uint64_t seq, uint64_t age_ms,
    uint64_t now_ms)
{
	pb_wait_clear(wait);
	if (seq == 0)
		return;
	wait->mark[0].seq = seq;
	wait->mark[0].since_ms = now_ms - age_ms;
	wait->marks = 1;
}

static void
drop_oldest(struct pb_wait *wait)
{
	wait->marks--;
	memmove(&wait->mark[0], &wait->mark[1],
	    wait->marks * sizeof(wait->mark[0]));
}
