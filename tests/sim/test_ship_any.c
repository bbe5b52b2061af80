/*
 * tests/sim/test_ship_any.c - whatever happens, each number is at the
 * receiver, or a letter, or waits; and once, when all is well again
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/ship_world.h"

#define WINDOW		(3ull << 20)
#define STREAMS		4u
#define TURNS		250
#define SEEDS		80u
#define RETRY_FOR_MS	60000ull
#define HOUR		3600000ull

static struct pb_ship_cursor live[STREAMS + 1];
/* The seed, for who looks into a failure. */
static volatile uint64_t running;

static void
see(struct world *w)
{
	struct pb_ship_cursor c;
	unsigned at = 0;

	pb_ship_touch(w->ship, false);
	while (pb_ship_changed(w->ship, &at, &c))
		live[c.stream] = (struct pb_ship_cursor){ .acked = c.acked,
		    .released = c.released, .wait_seq = c.wait_seq,
		    .wait_ms = c.wait_ms };
}

static uint64_t
any(struct world *w, uint64_t below)
{
	return world_random(w) % below;
}

/* --- what may happen ---------------------------------------------------- */

static void
misbehave(struct world *w, struct receiver *r)
{
	static const enum manner manners[] = { ACCEPTS, ACCEPTS, ACCEPTS,
	    FAILS, FAILS, REFUSES, IS_SILENT, LIES, LOSES_ANSWERS };
	static const int refusals[] = { 400, 403, 404, 422, 403 };
	static const int fails[] = { 0, 503 };

	r->manner = manners[any(w, 9)];
	r->posts_only = any(w, 2) == 0;
	r->number = r->acked > 10 ? r->acked - any(w, 10) : 0;
	r->status = r->manner == REFUSES ? refusals[any(w, 5)] :
	    fails[any(w, 2)];
	r->bad_status = any(w, 4) == 0 ? 400 + 22 * (int)any(w, 2) : 0;
	r->bad_first = r->acked + any(w, 500);
	r->bad_last = r->bad_first + any(w, 10);
	r->bad_times = (unsigned)any(w, 3);
}

/* All streams of an upstream fail together, mostly. */
static void
misbehave_all(struct world *w)
{
	misbehave(w, &w->stream[1].at);
	for (uint32_t id = 2; id <= STREAMS; id++)
		if (any(w, 4) == 0)
			misbehave(w, &w->stream[id].at);
		else
			w->stream[id].at.manner = w->stream[1].at.manner;
	w->cannot_demote = any(w, 8) == 0;
	w->look_ms = any(w, 2) == 0 ? any(w, 40) : 0;
}

static void
grow(struct world *w, uint32_t id)
{
	struct world_stream *s = &w->stream[id];
	uint64_t gap = any(w, 6) == 0 && s->gap_first == 0 ? any(w, 50) : 0;

	if (gap > 0) {
		s->gap_first = s->end + 1;
		s->gap_last = s->end + gap;
		s->gap_recorded = true;
	}
	world_grow(w, id, s->end + gap + any(w, 300));
}

/* Packets that the store lacked come late. */
static void
fill(struct world *w, uint32_t id)
{
	struct world_stream *s = &w->stream[id];
	uint64_t first = s->gap_first, last = s->gap_last;
	uint64_t handed = pb_ship_handed(w->ship, id);

	s->gap_first = s->gap_last = 0;
	if (first == 0)
		return;
	pb_ship_filled(w->ship, id, first);
	for (uint64_t seq = first; seq <= last && seq <= handed; seq++)
		if (world_letter(s, seq) == NO_LETTER)
			world_number(s, seq)->letter = LATE;
	pb_ship_late(w->ship, id, false);
	/* Which is reported at once, as the loop does. */
	see(w);
	s->memory = live[id];
}

/* Retention deletes what was reported as released, but not what is to be
 * filled upstream from the store. */
static void
expire(struct world *w, uint32_t id)
{
	struct world_stream *s = &w->stream[id];

	while (s->first <= s->memory.released && s->first <= s->end &&
	    world_letter(s, s->first) != LATE &&
	    (s->gap_first == 0 || s->first < s->gap_first))
		s->first++;
}

/* Its disk was put back to an older copy. */
static void
go_back(struct world *w, uint32_t id)
{
	struct world_stream *s = &w->stream[id];
	uint64_t to = s->at.acked - any(w, s->at.acked / 4 + 1);

	for (uint64_t seq = to + 1; seq <= s->at.acked; seq++) {
		world_number(s, seq)->told = false;
		world_number(s, seq)->got = 0;
	}
	s->at.acked = to;
}

static void
happen(struct world *w, bool retention)
{
	uint32_t id = 1 + (uint32_t)any(w, STREAMS);
	struct world_stream *s = &w->stream[id];
	uint64_t first;

	switch (any(w, 12)) {
	case 0:
	case 1:
		misbehave_all(w);
		break;
	case 2:
		first = 1 + any(w, s->end + 1);
		world_requeue(w, id, first, first + any(w, 2000));
		break;
	case 3:
		fill(w, id);
		break;
	case 4:
		for (uint32_t i = 1; i <= STREAMS; i++)
			w->stream[i].memory = live[i];
		break;
	case 5:
		if (any(w, 4) == 0)
			world_restart(w);
		break;
	case 6:
		w->now_ms += any(w, 2) * any(w, 10 * HOUR);
		break;
	case 7:
		if (retention)
			expire(w, id);
		else
			go_back(w, id);
		break;
	default:
		break;
	}
}

/* --- what must hold ----------------------------------------------------- */

static bool
is_lost(struct world_stream *s, uint64_t seq,
    const struct pb_ship_cursor *told)
{
	const struct number *n = world_number(s, seq);
	bool there = n->got == 1 || n->told;

	return n->got > 1 || (seq <= s->at.acked && !there) ||
	    /* Released: acked, a letter, or nothing to be one. */
	    (seq <= told->released && seq > told->acked &&
	    seq > s->at.acked && n->letter == NO_LETTER &&
	    !world_missing(s, seq)) ||
	    /* Nothing is deleted that is nowhere else. */
	    (seq < s->first && !there && n->letter == NO_LETTER);
}

static void
assert_nothing_lost(struct world *w)
{
	see(w);
	for (uint32_t id = 1; id <= STREAMS; id++) {
		struct world_stream *s = &w->stream[id];

		assert_true(live[id].released >= live[id].acked);
		assert_true(live[id].released <= s->end);
		for (uint64_t seq = 1; seq <= s->end; seq++)
			if (is_lost(s, seq, &live[id]))
				fail_msg("stream %u number %llu", id,
				    (unsigned long long)seq);
	}
}

static void
assert_all_there(struct world *w)
{
	for (uint32_t id = 1; id <= STREAMS; id++) {
		struct world_stream *s = &w->stream[id];

		assert_int_equal(s->at.acked, s->end);
		for (uint64_t seq = 1; seq <= s->end; seq++) {
			assert_int_equal(world_number(s, seq)->got, 1);
			assert_false(world_number(s, seq)->told);
			assert_int_equal(world_letter(s, seq), NO_LETTER);
		}
	}
}

static void
heal(struct world *w)
{
	w->cannot_demote = false;
	for (uint32_t id = 1; id <= STREAMS; id++) {
		w->stream[id].at.manner = ACCEPTS;
		w->stream[id].at.bad_status = 0;
		fill(w, id);
	}
	/* Until what waits for its next try has become a letter or gone. */
	world_run(w, HOUR);
	for (uint32_t id = 1; id <= STREAMS; id++)
		world_requeue(w, id, 1, w->stream[id].end);
	world_run(w, HOUR);
}

static void
run_seed(uint64_t seed)
{
	struct world *w = world_create_for(WINDOW, STREAMS, RETRY_FOR_MS);

	memset(live, 0, sizeof(live));
	w->random = seed * 0x9E3779B97F4A7C15ull;
	w->demote_max = seed % 3 == 0 ? 64 : DEMOTE_MAX;
	for (uint32_t id = 1; id <= STREAMS; id++)
		w->stream[id].own = false;
	for (int turn = 0; turn < TURNS; turn++) {
		grow(w, 1 + (uint32_t)any(w, STREAMS));
		happen(w, seed % 2 == 0);
		w->latency_ms = any(w, 400);
		world_run(w, any(w, 20000));
		if (turn % 4 == 0)
			assert_nothing_lost(w);
		assert_true(w->flights <= PB_SHIP_SLOTS);
	}
	heal(w);
	assert_nothing_lost(w);
	assert_all_there(w);
	assert_true(w->flight_bytes_max <= WINDOW);
	assert_int_equal(world_status(w).flight_bytes, 0);
	world_destroy(w);
}

static void
each_number_arrives_once_whatever_happens(void **state)
{
	unsigned seeds = SEEDS;
	uint64_t first = 1;

	(void)state;
	if (getenv("PB_SEED") != NULL) {
		first = strtoull(getenv("PB_SEED"), NULL, 10);
		seeds = 1;
	}
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		running = seed;
		run_seed(seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_number_arrives_once_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
