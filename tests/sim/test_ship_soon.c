/*
 * tests/sim/test_ship_soon.c - what is looked for in files is not known at
 * once: nothing waits for it but what needs it
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/ship_scenes.h"

#define WINDOW	(3ull << 20)

static void
everything_arrives_once_and_in_order(void **state)
{
	struct world *w = world_create(WINDOW, 8);

	(void)state;
	w->look_ms = 7;
	for (uint32_t id = 1; id <= 8; id++)
		world_grow(w, id, 3333 * id);
	world_run(w, 20000);
	assert_each_once(w);
	assert_int_equal(world_status(w).state, PB_SHIP_IDLE);
	assert_int_equal(w->warnings, 0);
	world_destroy(w);
}

/* Few are looked at, however many there are. */
static void
only_some_streams_are_looked_at_at_a_time(void **state)
{
	struct world *w = world_create(WINDOW, 500);
	unsigned looked_for = 0;

	(void)state;
	world_grow_all(w, 10);
	world_run(w, 5000);
	w->look_ms = 500;
	world_grow_all(w, 20);
	world_act(w);
	for (uint32_t id = 1; id <= 500; id++)
		looked_for += w->stream[id].look_due_ms != 0;
	assert_in_range(looked_for, 1, PB_SHIP_LOOKS_MAX);
	w->look_ms = 1;
	world_run(w, 60000);
	assert_all_delivered(w);
	world_destroy(w);
}

/*
 * Goal:   who needs no look waits for nobody's, and who waits for a place
 *         is not passed over for ever by those.
 * Method: looks take half a minute; every tenth stream needs none.
 */
static void
who_needs_no_look_does_not_wait(void **state)
{
	struct world *w = world_create(WINDOW, 100);

	(void)state;
	world_grow_all(w, 10);
	world_run(w, 5000);
	w->look_ms = 30000;
	for (uint32_t id = 1; id <= 100; id++) {
		w->stream[id].looks_nowhere = id % 10 == 0;
		world_grow(w, id, 1000);
	}
	world_run(w, 900);
	for (uint32_t id = 10; id <= 100; id += 10)
		assert_delivered(w, id);
	w->look_ms = 100;
	for (unsigned second = 0; second < 60; second++) {
		for (uint32_t id = 10; id <= 100; id += 10)
			world_grow(w, id, w->stream[id].end + 2000);
		world_run(w, 1000);
	}
	assert_all_delivered(w);
	world_destroy(w);
}

/* A file that takes a minute holds up its own stream alone. */
static void
acks_of_others_are_heard_meanwhile(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	world_grow(w, 1, 10);
	world_grow(w, 2, 10);
	world_run(w, 1000);
	w->look_ms = 60000;
	world_grow(w, 1, 20);
	world_act(w);
	w->look_ms = 0;
	world_grow(w, 2, 5000);
	world_run(w, 10000);
	assert_delivered(w, 2);
	world_run(w, 60000);
	assert_delivered(w, 1);
	world_destroy(w);
}

/*
 * Goal:   an answer that cannot be understood yet is not forgotten, nor
 *         asked for again.
 * Method: the receiver has other packets from 501 on.
 */
static void
the_last_common_packet_is_found_as_well(void **state)
{
	struct world *w = world_create(WINDOW, 1);
	unsigned asks;

	(void)state;
	for (unsigned slow = 0; slow < 2; slow++) {
		world_destroy(w);
		w = world_create(WINDOW, 1);
		w->look_ms = slow ? 30 : 0;
		w->stream[1].at.tells = true;
		world_ours(w, 1, 1, 1000, 1);
		world_has(w, 1, 1, 500, 1);
		world_has(w, 1, 501, 900, 2);
		world_grow(w, 1, 1000);
		world_run(w, 30000);
		assert_int_equal(w->stream[1].fork_last, 500);
		assert_delivered(w, 2);
		if (!slow)
			asks = w->stream[1].at.asks;
		else
			assert_int_equal(w->stream[1].at.asks, asks);
	}
	world_destroy(w);
}

/* It fails while an answer is held: the receiver is asked again. */
static void
a_held_answer_is_dropped_when_the_upstream_fails(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	w->stream[1].at.tells = true;
	world_ours(w, 1, 1, 1000, 1);
	world_has(w, 1, 1, 500, 1);
	world_grow(w, 1, 1000);
	w->look_ms = 2000;
	world_run(w, 100);
	w->stream[2].at.manner = FAILS;
	world_grow(w, 2, 1000);
	world_run(w, 1000);
	assert_int_equal(world_status(w).state, PB_SHIP_BACKOFF);
	w->stream[2].at.manner = ACCEPTS;
	w->look_ms = 5;
	world_run(w, 60000);
	assert_all_delivered(w);
	world_destroy(w);
}

/*
 * Goal:   what could not even be looked for is asked for again.
 * Method: all places are taken, as by others, while three answers come that
 *         cannot be understood without a look; one of them ends in a fork,
 *         which adds a stream while all are visited.
 */
static void
what_found_no_place_is_looked_for_again(void **state)
{
	struct world *w = world_create(WINDOW, 3);

	(void)state;
	for (uint32_t id = 1; id <= 3; id++) {
		w->stream[id].at.tells = true;
		world_ours(w, id, 1, 1000, 1);
		world_has(w, id, 1, 500, 1);
	}
	world_has(w, 2, 501, 900, 2);
	w->look_ms = 10;
	w->no_places = true;
	world_grow_all(w, 1000);
	world_run(w, 5000);
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(w->stream[id].at.posts, 0);
	w->no_places = false;
	world_run(w, 30000);
	for (uint32_t id = 1; id <= 4; id += id == 1 ? 2 : 1)
		assert_delivered(w, id);
	assert_int_equal(w->stream[2].fork, 4);
	assert_int_equal(w->stream[2].fork_last, 500);
	for (uint32_t id = 1; id <= 3; id += 2)
		assert_int_equal(w->stream[id].at.asks, 1);
	world_destroy(w);
}

/*
 * Goal:   what came late while its numbers were demoted is not passed over.
 * Method: 5 to 9 are a gap when the demotion reads the store, and there
 *         before it is told.
 */
static void
what_comes_during_a_demotion_waits_again(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, 2000);
	struct world_stream *s = &w->stream[1];
	struct pb_ship_cursor cursor;

	(void)state;
	s->gap_first = 5;
	s->gap_last = 9;
	s->at.manner = FAILS;
	w->look_ms = 700;
	world_grow(w, 1, 20);
	while (s->demotes == 0)
		world_run(w, 10);
	assert_true(pb_ship_cursor(w->ship, 1, &cursor));
	assert_int_equal(cursor.released, 0);
	s->gap_first = s->gap_last = 0;
	pb_ship_filled(w->ship, 1, 7);
	pb_ship_filled(w->ship, 1, 5);
	pb_ship_filled(w->ship, 1, 6);
	world_run(w, 1000);
	assert_true(pb_ship_cursor(w->ship, 1, &cursor));
	assert_int_equal(cursor.released, 4);
	assert_int_equal(world_letters(w, 1, DEAD), 15);
	world_run(w, 20000);
	assert_true(pb_ship_cursor(w->ship, 1, &cursor));
	assert_int_equal(cursor.released, 20);
	assert_int_equal(world_letters(w, 1, DEAD), 20);
	s->at.manner = ACCEPTS;
	world_run(w, 60000);
	world_requeue(w, 1, 1, 20);
	world_run(w, 60000);
	assert_int_equal(s->at.packets, 20);
	world_destroy(w);
}

static void
letters_go_again_late(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, 1000);

	(void)state;
	w->stream[1].at.manner = FAILS;
	world_grow(w, 1, 3000);
	world_run(w, 10000);
	assert_int_equal(world_letters(w, 1, DEAD), 3000);
	w->look_ms = 20;
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 60000);
	assert_int_equal(w->stream[1].at.gaps, 3000);
	world_requeue(w, 1, 1, 3000);
	world_run(w, 60000);
	assert_int_equal(w->stream[1].at.packets, 3000);
	assert_int_equal(w->stream[1].at.repeats, 0);
	assert_int_equal(world_letters(w, 1, REQUEUED), 0);
	world_destroy(w);
}

/* All of it is letters that were requeued before it had been told. */
static struct world *
requeued_in_turn(uint64_t count)
{
	struct world *w = world_create_for(WINDOW, 1, 1000);

	w->stream[1].at.manner = FAILS;
	world_grow(w, 1, count);
	world_run(w, 20000);
	assert_int_equal(world_letters(w, 1, DEAD), count);
	world_requeue(w, 1, 1, count);
	w->look_ms = 1;
	return w;
}

/* It is slow, and all upstreams wait for it. */
static void
the_keeper_is_given_little_at_a_time(void **state)
{
	struct world *w = requeued_in_turn(60000);

	(void)state;
	w->keep_ms = 3000;
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 200000);
	assert_delivered(w, 1);
	assert_int_equal(w->stream[1].at.packets, 60000);
	assert_int_equal(world_letters(w, 1, REQUEUED), 0);
	assert_in_range(w->writings_max, 1, PB_REQUESTS_MAX);
	world_destroy(w);
}

/* Until it is kept that it was refused, and then it is a gap. */
static void
what_is_refused_in_its_turn_is_not_sent_again(void **state)
{
	struct world *w = requeued_in_turn(10);

	(void)state;
	w->keep_ms = 5000;
	w->stream[1].at.manner = ACCEPTS;
	w->stream[1].at.bad_first = w->stream[1].at.bad_last = 5;
	w->stream[1].at.bad_status = 400;
	world_run(w, 60000);
	assert_int_equal(w->stream[1].at.gaps, 10);
	assert_int_equal(w->stream[1].at.posts, 1);
	assert_int_equal(world_letters(w, 1, DEAD), 10);
	world_destroy(w);
}

/* Some of the letters could not be read, or were not there any more. */
static void
letters_wait_for_what_else_is_kept_of_them(void **state)
{
	struct world *w = requeued_in_turn(10);

	(void)state;
	pb_ship_keeping(w->ship, 1);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 60000);
	assert_int_equal(w->stream[1].at.posts, 0);
	pb_ship_kept(w->ship, 1);
	world_run(w, 60000);
	assert_int_equal(w->stream[1].at.packets, 10);
	assert_int_equal(world_letters(w, 1, REQUEUED), 0);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_arrives_once_and_in_order),
		cmocka_unit_test(only_some_streams_are_looked_at_at_a_time),
		cmocka_unit_test(who_needs_no_look_does_not_wait),
		cmocka_unit_test(acks_of_others_are_heard_meanwhile),
		cmocka_unit_test(the_last_common_packet_is_found_as_well),
		cmocka_unit_test(
		    a_held_answer_is_dropped_when_the_upstream_fails),
		cmocka_unit_test(what_found_no_place_is_looked_for_again),
		cmocka_unit_test(what_comes_during_a_demotion_waits_again),
		cmocka_unit_test(letters_go_again_late),
		cmocka_unit_test(the_keeper_is_given_little_at_a_time),
		cmocka_unit_test(
		    what_is_refused_in_its_turn_is_not_sent_again),
		cmocka_unit_test(letters_wait_for_what_else_is_kept_of_them),
	};

	return cmocka_run_group_tests_name("ship soon", tests, NULL, NULL);
}
