/*
 * tests/sim/ship_scenes.h - what the tests of the shipper's state machine
 * do and look at again and again
 */
#ifndef PB_TESTS_SIM_SHIP_SCENES_H
#define PB_TESTS_SIM_SHIP_SCENES_H

#include "tests/sim/ship_world.h"

/* All streams are durable up to `end` now. */
static inline void
world_grow_all(struct world *w, uint64_t end)
{
	for (uint32_t id = 1, last = w->streams; id <= last; id++)
		world_grow(w, id, end);
}

/* Receivers of all streams behave so. */
static inline void
world_manner_all(struct world *w, enum manner manner)
{
	for (uint32_t id = 1; id <= w->streams; id++)
		w->stream[id].at.manner = manner;
}

/* The receiver has all of the stream, or was told why not. */
static inline void
assert_delivered(const struct world *w, uint32_t id)
{
	const struct world_stream *s = &w->stream[id];

	assert_int_equal(s->at.acked, s->end);
	assert_int_equal(s->at.packets + s->at.gaps, s->end);
}

static inline void
assert_all_delivered(const struct world *w)
{
	for (uint32_t id = 1; id <= w->streams; id++)
		assert_delivered(w, id);
}

/* Packet by packet, with nothing sent twice. */
static inline void
assert_each_once(const struct world *w)
{
	assert_all_delivered(w);
	for (uint32_t id = 1; id <= w->streams; id++) {
		assert_int_equal(w->stream[id].at.repeats, 0);
		assert_int_equal(w->stream[id].at.conflicts, 0);
	}
}

#endif
