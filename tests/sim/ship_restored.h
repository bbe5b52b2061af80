/*
 * tests/sim/ship_restored.h - an older copy of a store that goes on, beside
 * a receiver that has what came after it
 *
 * Packet 0 of a number is the common one; 1 was sent by the store that was
 * put back, 2 is the copy's.  To be included after cmocka.h.
 */
#ifndef PB_TESTS_SIM_SHIP_RESTORED_H
#define PB_TESTS_SIM_SHIP_RESTORED_H

#include "tests/sim/ship_world.h"

#define WINDOW	(64u << 20)
#define SECOND	1000u
#define HOUR	3600000u

/* The receiver has `common` packets that are ours, and others up to `there`;
 * the copy goes on to `here`. */
static inline struct world *
restored(uint64_t common, uint64_t there, uint64_t here)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);

	w->stream[1].at.tells = true;
	world_has(w, 1, 1, common, 0);
	if (there > common)
		world_has(w, 1, common + 1, there, 1);
	if (here > common)
		world_ours(w, 1, common + 1, here, 2);
	w->stream[1].end = here;
	return w;
}

static inline void
go(struct world *w)
{
	world_grow(w, 1, w->stream[1].end);
	world_run(w, 10 * SECOND);
}

/* Every packet that is here is there, once: up to the fork as one stream,
 * behind it as another. */
static inline void
assert_all_there(struct world *w, uint64_t common)
{
	struct world_stream *s = &w->stream[1], *f = &w->stream[s->fork];

	assert_int_not_equal(s->fork, 0);
	assert_int_equal(s->fork_last, common);
	assert_int_equal(s->at.posts, 0);
	assert_int_equal(f->at.acked, f->end);
	assert_int_equal(f->at.gaps, common);
	for (uint64_t seq = common + 1; seq <= f->end; seq++) {
		const struct number *n = world_number(f, seq);

		assert_int_equal(n->got, 1);
		assert_int_equal(n->theirs, n->ours);
	}
}

#endif
