/*
 * tests/sim/test_ship_relay.c - a relay that went back behind its receiver
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/ship_restored.h"

/* They come again from the edge, and are the same. */
static void
a_relay_that_went_back_waits_for_its_packets(void **state)
{
	struct world *w = restored(1000, 1000, 0);

	(void)state;
	w->stream[1].own = false;
	for (uint64_t end = 500; end < 1000; end += 50) {
		world_grow(w, 1, end);
		world_run(w, SECOND);
		assert_int_equal(w->stream[1].at.posts, 0);
		assert_int_equal(w->stream[1].at.asks, 1);
	}
	world_grow(w, 1, 1200);
	world_run(w, SECOND);
	assert_int_equal(w->stream[1].fork, 0);
	assert_int_equal(w->stream[1].at.packets, 1200);
	assert_int_equal(w->stream[1].at.repeats, 0);
	world_destroy(w);
}

static void
a_relay_that_got_other_packets_forks_as_well(void **state)
{
	struct world *w = restored(500, 1000, 500);

	(void)state;
	w->stream[1].own = false;
	go(w);
	assert_int_equal(w->stream[1].fork, 0);
	world_ours(w, 1, 501, 1200, 2);
	world_grow(w, 1, 1200);
	world_run(w, 10 * SECOND);
	assert_all_there(w, 500);
	world_destroy(w);
}

/* What it has is not proven to be there, and is not to be deleted yet. */
static void
a_relay_that_went_back_tells_retention_of_what_it_had(void **state)
{
	struct world *w = restored(1000, 1000, 500);

	(void)state;
	w->stream[1].own = false;
	go(w);
	assert_int_equal(world_status(w).refused, 0);
	world_grow(w, 1, 700);
	world_run(w, SECOND);
	world_report(w);
	assert_int_equal(w->stream[1].memory.acked, 500);
	assert_int_equal(w->stream[1].memory.released, 500);
	/* Nor by a question that nobody has answered. */
	w->stream[1].at.manner = FAILS;
	world_grow(w, 1, 1000);
	world_run(w, SECOND);
	world_report(w);
	assert_int_equal(w->stream[1].memory.acked, 500);
	assert_int_equal(w->stream[1].memory.released, 500);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 60 * SECOND);
	world_report(w);
	assert_int_equal(w->stream[1].memory.acked, 1000);
	world_destroy(w);
}

/* As a repeat it would be acknowledged, and deleted. */
static void
a_relay_that_went_back_sends_no_letter_unproven(void **state)
{
	struct world *w = restored(500, 1000, 500);
	struct world_stream *s = &w->stream[1];

	(void)state;
	s->own = false;
	world_ours(w, 1, 401, 500, 2);
	go(w);
	for (uint64_t seq = 401; seq <= 500; seq++)
		world_number(s, seq)->letter = DEAD;
	assert_false(pb_ship_takes(w->ship, 1, 500));
	world_requeue(w, 1, 401, 500);
	world_run(w, HOUR);
	assert_int_equal(s->at.posts, 0);
	assert_int_equal(world_letters(w, 1, REQUEUED), 100);
	world_ours(w, 1, 501, 1200, 2);
	world_grow(w, 1, 1200);
	world_run(w, 10 * SECOND);
	assert_all_there(w, 400);
	world_destroy(w);
}

/* The receiver dies before they have come, and they come. */
static void
what_a_relay_waited_for_does_not_wait_for_ever(void **state)
{
	struct world *w = restored(1000, 1000, 500);

	(void)state;
	w->stream[1].own = false;
	w->stream[2] = (struct world_stream){ .own = true, .first = 1,
	    .packet_bytes = PACKET_BYTES };
	w->streams = 2;
	go(w);
	w->stream[1].at.manner = w->stream[2].at.manner = FAILS;
	world_grow(w, 2, 1);
	world_run(w, 10 * SECOND);
	world_grow(w, 1, 1500);
	world_run(w, 2 * HOUR);
	assert_int_equal(world_letters(w, 1, DEAD), 500);
	assert_int_equal(w->stream[1].dead.last, 1500);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_relay_that_went_back_waits_for_its_packets),
		cmocka_unit_test(a_relay_that_got_other_packets_forks_as_well),
		cmocka_unit_test(
		    a_relay_that_went_back_tells_retention_of_what_it_had),
		cmocka_unit_test(
		    a_relay_that_went_back_sends_no_letter_unproven),
		cmocka_unit_test(
		    what_a_relay_waited_for_does_not_wait_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
