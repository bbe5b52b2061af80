/*
 * tests/sim/test_ship_pace.c - requests as large as the way is fast
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/ship_scenes.h"

#define WINDOW	(64ull << 20)
#define SECOND	1000ull
#define MINUTE	60000ull
#define HOUR	3600000ull

/* Let `ms` pass; the longest request that was under way meanwhile. */
static uint64_t
longest(struct world *w, uint64_t ms)
{
	uint64_t most = 0;

	for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
		world_run(w, 50);
		for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
			if (w->flight[i].used &&
			    w->now_ms - w->flight[i].start_ms > most)
				most = w->now_ms - w->flight[i].start_ms;
	}
	return most;
}

static void
a_new_upstream_is_tried_with_small_requests(void **state)
{
	struct world *w = world_create(WINDOW, 8);

	(void)state;
	world_grow_all(w, 50000);
	world_run(w, w->latency_ms);
	assert_in_range(w->flight_bytes, 1000, PB_SHIP_FIRST_BYTES);
	world_destroy(w);
}

static void
a_fast_way_gets_large_requests_soon(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	world_grow(w, 1, 500000);
	world_run(w, 500);
	assert_int_equal(w->largest_body, EXTENT_PACKETS * PACKET_BYTES +
	    HEADER_BYTES);
	assert_int_equal(w->flights, PB_REQUESTS_MAX);
	world_destroy(w);
}

/* Far away is not slow: a second there and back. */
static void
a_long_way_gets_large_requests_too(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->latency_ms = 1000;
	world_grow(w, 1, 500000);
	world_run(w, 12 * SECOND);
	assert_int_equal(w->flights, PB_REQUESTS_MAX);
	assert_true(w->flight_bytes > (PB_REQUESTS_MAX - 1) * 1000000ull);
	world_destroy(w);
}

/*
 * Goal:   50 kbit/s make steady progress: no request takes long, and the
 *         link is never idle.
 * Method: an hour of backlog of three streams.
 */
static void
a_slow_way_makes_steady_progress(void **state)
{
	static const uint64_t rates[] = { 20000, 50000, 200000, 2000000 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct world *w = world_create(WINDOW, 3);
		uint64_t before;

		w->link_bps = rates[i];
		world_grow_all(w, 400000);
		world_run(w, 2 * MINUTE);
		before = world_status(w).acked_bytes;
		assert_in_range(longest(w, 5 * MINUTE), 1,
		    PB_SHIP_PIECE_MS * 17 / 10);
		assert_true((world_status(w).acked_bytes - before) * 8 >
		    rates[i] * 300 * 8 / 10);
		for (uint32_t id = 1; id <= 3; id++)
			assert_int_equal(w->stream[id].at.repeats, 0);
		world_destroy(w);
	}
}

/* Of all streams but one, what is acked. */
static uint64_t
acked_beside(const struct world *w, uint32_t one)
{
	uint64_t sum = 0;

	for (uint32_t id = 1; id <= w->streams; id++)
		sum += id != one ? w->stream[id].at.acked : 0;
	return sum;
}

/*
 * Goal:   a stream of the first rank is served before all others, also where
 *         they have filled the way; and after a change another one is.
 */
static void
streams_of_a_lower_rank_are_served_first(void **state)
{
	struct world *w = world_create(WINDOW, 8);
	struct world_stream *first = &w->stream[5];
	uint64_t before;

	(void)state;
	w->link_bps = 20000000;
	for (uint32_t id = 1; id <= 8; id++)
		w->stream[id].rank = id == 5 ? 0 : 1 + id % 2;
	pb_ship_rank(w->ship);
	world_grow_all(w, 20000);
	for (int i = 0; i < 600 && first->at.acked < first->end; i++)
		world_run(w, 100);
	assert_int_equal(first->at.acked, first->end);
	/* What was under way when it became its turn, at most. */
	before = acked_beside(w, 5);
	assert_true(before < first->end / 4);
	world_run(w, 5 * SECOND);
	assert_true(acked_beside(w, 5) > before + 5000);
	/* Of the others those of the second rank. */
	assert_true(w->stream[2].at.acked > 10 * w->stream[1].at.acked);
	/* It comes again while the way is full of them. */
	world_grow(w, 5, first->end + 500);
	before = acked_beside(w, 5);
	for (int i = 0; i < 600 && first->at.acked < first->end; i++)
		world_run(w, 100);
	assert_int_equal(first->at.acked, first->end);
	assert_true(acked_beside(w, 5) - before < 16 * 5 * 1048576 /
	    PACKET_BYTES);
	for (uint32_t id = 1; id <= 8; id++)
		w->stream[id].rank = id == 1 ? 0 : 7;
	pb_ship_rank(w->ship);
	world_run(w, MINUTE);
	assert_int_equal(w->stream[1].at.acked, w->stream[1].end);
	world_run(w, 20 * MINUTE);
	for (uint32_t id = 1; id <= 8; id++) {
		assert_int_equal(w->stream[id].at.acked, w->stream[id].end);
		assert_int_equal(w->stream[id].at.repeats, 0);
	}
	world_destroy(w);
}

/* Each break loses at most what was under way; none of it is large. */
static void
a_slow_way_that_breaks_keeps_what_it_has(void **state)
{
	struct world *w = world_create(WINDOW, 1);
	uint64_t acked = 0;

	(void)state;
	w->link_bps = 50000;
	world_grow(w, 1, 100000);
	for (int i = 0; i < 60; i++) {
		world_run(w, 25 * SECOND);
		w->stream[1].at.manner = FAILS;
		world_run(w, 6 * SECOND);
		w->stream[1].at.manner = ACCEPTS;
		w->link_free_ms = 0;
		assert_true(w->stream[1].at.acked > acked);
		acked = w->stream[1].at.acked;
	}
	/* More than a third of what an hour's link could carry. */
	assert_true(acked > 60 * 31 * 6 / 3);
	world_destroy(w);
}

static void
a_way_that_becomes_slow_gets_smaller_requests(void **state)
{
	struct world *w = world_create(WINDOW, 1);
	uint64_t soon;

	(void)state;
	world_grow(w, 1, 2000000);
	world_run(w, 2 * SECOND);
	assert_true(w->flight_bytes > 4000000);
	w->link_bps = 200000;
	world_run(w, 20 * MINUTE);
	assert_in_range(longest(w, 2 * MINUTE), 1, PB_SHIP_PIECE_MS * 17 / 10);
	w->link_bps = 0;
	soon = w->now_ms + 2 * PB_SHIP_PIECE_MS;
	while (w->flight_bytes < 4000000 && w->now_ms < soon)
		world_run(w, 10);
	assert_true(w->now_ms < soon);
	world_destroy(w);
}

static void
after_a_failure_requests_are_small_again(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	world_grow(w, 1, 2000000);
	world_run(w, SECOND);
	w->stream[1].at.manner = FAILS;
	world_run(w, w->latency_ms);
	w->stream[1].at.manner = ACCEPTS;
	while (world_status(w).state == PB_SHIP_BACKOFF)
		world_run(w, 1);
	while (w->flight_bytes == 0)
		world_run(w, 1);
	assert_in_range(w->flight_bytes, 1000, PB_SHIP_FIRST_BYTES);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_of_a_lower_rank_are_served_first),
		cmocka_unit_test(a_new_upstream_is_tried_with_small_requests),
		cmocka_unit_test(a_fast_way_gets_large_requests_soon),
		cmocka_unit_test(a_long_way_gets_large_requests_too),
		cmocka_unit_test(a_slow_way_makes_steady_progress),
		cmocka_unit_test(a_slow_way_that_breaks_keeps_what_it_has),
		cmocka_unit_test(a_way_that_becomes_slow_gets_smaller_requests),
		cmocka_unit_test(after_a_failure_requests_are_small_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
