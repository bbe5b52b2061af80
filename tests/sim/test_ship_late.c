/*
 * tests/sim/test_ship_late.c - what is sent after its turn: requeued
 * letters, and packets that came late
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/ship_world.h"

#define WINDOW	(64ull << 20)
#define SECOND	1000ull
#define MINUTE	60000ull
#define HOUR	3600000ull

/* A stream of `end` numbers, first .. last of which are dead letters that
 * the receiver was told of; all else it has. */
static struct world *
with_letters(uint64_t window, uint64_t end, uint64_t first, uint64_t last)
{
	struct world *w = world_create_for(window, 2, HOUR);
	struct world_stream *s = &w->stream[1];

	world_grow(w, 1, end);
	for (uint64_t seq = first; seq <= last; seq++) {
		world_number(s, seq)->letter = DEAD;
		world_number(s, seq)->reason = PB_DEAD_STALE;
	}
	world_run(w, 30 * SECOND);
	assert_int_equal(s->at.acked, end);
	assert_int_equal(s->at.gaps, last - first + 1);
	s->at.posts = s->at.gap_posts = 0;
	w->events = 0;
	return w;
}

static void
assert_all_there(struct world *w, uint32_t id)
{
	struct world_stream *s = &w->stream[id];

	assert_int_equal(s->at.acked, s->end);
	assert_int_equal(s->at.gaps, 0);
	for (uint64_t seq = 1; seq <= s->end; seq++) {
		assert_int_equal(world_number(s, seq)->got, 1);
		assert_int_equal(world_letter(s, seq), NO_LETTER);
	}
}

static void
requeued_letters_fill_the_gap_and_are_gone(void **state)
{
	struct world *w = with_letters(WINDOW, 9000, 2001, 7500);

	(void)state;
	world_requeue(w, 1, 1, 9000);
	world_run(w, 20 * SECOND);
	assert_all_there(w, 1);
	assert_int_equal(w->stream[1].at.filled, 5500);
	assert_int_equal(w->stream[1].at.repeats, 0);
	assert_int_equal(w->stream[1].at.gap_posts, 0);
	/* One line for all of them. */
	assert_int_equal(w->events, 1);
	assert_string_equal(w->last_event, "delivered late: 5500 packets");
	world_destroy(w);
}

static void
some_of_the_letters_can_be_requeued(void **state)
{
	struct world *w = with_letters(WINDOW, 9000, 2001, 7500);

	(void)state;
	world_requeue(w, 1, 3000, 3099);
	world_requeue(w, 1, 7400, 8000);
	world_run(w, 10 * SECOND);
	assert_int_equal(w->stream[1].at.filled, 201);
	assert_int_equal(world_letters(w, 1, DEAD), 5500 - 201);
	assert_int_equal(world_letters(w, 1, REQUEUED), 0);
	world_destroy(w);
}

/* Below what is under way, and before that has ended. */
static void
letters_requeued_below_others_are_not_forgotten(void **state)
{
	struct world *w = with_letters(WINDOW, 9000, 2001, 7500);

	(void)state;
	w->latency_ms = SECOND;
	world_requeue(w, 1, 7400, 7500);
	world_run(w, 500);
	assert_int_equal(w->flights, 1);
	world_requeue(w, 1, 3000, 3050);
	world_run(w, 5 * SECOND);
	assert_int_equal(w->stream[1].at.filled, 152);
	world_destroy(w);
}

/* --- what fails again ----------------------------------------------------- */

/*
 * Goal:   a letter that its receiver cannot take costs what is fresh little,
 *         and keeps no other letter.
 * Method: posts of number 3000 fail, whatever is in them besides.
 */
static void
a_letter_that_fails_goes_last_and_is_tried_less_and_less(void **state)
{
	struct world *w = with_letters(WINDOW, 9000, 2001, 7500);
	struct world_stream *s = &w->stream[1];
	unsigned late = 0;

	(void)state;
	s->at.bad_first = s->at.bad_last = 3000;
	s->at.bad_status = 500;
	world_requeue(w, 1, 2001, 7500);
	world_run(w, MINUTE);
	assert_in_range(world_letters(w, 1, REQUEUED), 1, 1000);
	assert_int_equal(world_letter(s, 7500), NO_LETTER);
	late = s->at.late_posts;
	for (unsigned i = 0; i < 3600; i++) {
		world_grow(w, 1, s->end + 1);
		world_run(w, SECOND);
	}
	/* 5, 10, 20 ... 600 s apart; each costs some back-off, no more. */
	assert_in_range(s->at.late_posts - late, 4, 12);
	world_run(w, 5 * SECOND);
	assert_int_equal(s->at.acked, s->end);
	assert_int_equal(w->demotes, 0);
	s->at.bad_status = 0;
	world_run(w, 11 * MINUTE);
	assert_all_there(w, 1);
	world_destroy(w);
}

/* Someone asked for it, while what stands behind it is on its way. */
static void
a_letter_that_failed_goes_first_where_someone_asks(void **state)
{
	struct world *w = with_letters(WINDOW, 30000, 1, 30000);
	struct world_stream *s = &w->stream[1];

	(void)state;
	w->link_bps = 8000000;
	s->at.bad_first = s->at.bad_last = 1;
	s->at.bad_status = 500;
	s->at.bad_times = 1;
	world_requeue(w, 1, 1, 30000);
	while (s->at.filled == 0)
		world_run(w, 10);
	assert_int_equal(s->at.bad_status, 0);
	assert_int_equal(world_letter(s, 1), REQUEUED);
	pb_ship_late(w->ship, 1, true);
	while (world_letter(s, 1) == REQUEUED)
		world_run(w, 10);
	assert_in_range(s->at.filled, 1, 10000);
	world_run(w, HOUR);
	assert_all_there(w, 1);
	world_destroy(w);
}

/* The receiver lost its store, and takes nothing: what was requeued stands in
 * its turn then, and must not hold up what is fresh for ever. */
static void
requeued_letters_that_wait_in_vain_are_dead_again(void **state)
{
	struct world *w = with_letters(WINDOW, 9000, 2001, 7500);
	struct world_stream *s = &w->stream[1];

	(void)state;
	for (uint64_t seq = 1; seq <= 9000; seq++)
		world_number(s, seq)->got = world_number(s, seq)->told = 0;
	s->at = (struct receiver){ .bad_first = 1, .bad_last = UINT64_MAX,
	    .bad_status = 500 };
	world_requeue(w, 1, 2001, 7500);
	world_run(w, HOUR / 2);
	assert_int_equal(world_letters(w, 1, REQUEUED), 5500);
	world_run(w, HOUR);
	assert_int_equal(world_letters(w, 1, DEAD), 9000);
	world_destroy(w);
}

/* Requeued before the upstream returns: they go in their turn, no gap. */
static void
letters_requeued_during_the_outage_are_sent_in_order(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, 10 * MINUTE);

	(void)state;
	w->stream[1].at.manner = FAILS;
	world_grow(w, 1, 5000);
	world_run(w, 11 * MINUTE);
	assert_int_equal(world_letters(w, 1, DEAD), 5000);
	world_grow(w, 1, 6000);
	world_requeue(w, 1, 1001, 5000);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, MINUTE);
	assert_int_equal(w->stream[1].at.late_posts, 0);
	assert_int_equal(w->stream[1].at.gaps, 1000);
	assert_int_equal(w->stream[1].at.packets, 5000);
	world_requeue(w, 1, 1, 1000);
	world_run(w, MINUTE);
	assert_all_there(w, 1);
	assert_int_equal(w->stream[1].at.repeats, 0);
	world_destroy(w);
}

/*
 * Goal:   neither holds up the other by more than a request.
 * Method: one request at a time; a large requeue beside a large backlog.
 */
static void
fresh_and_late_packets_take_turns(void **state)
{
	struct world *w = with_letters(64 << 10, 20000, 1, 10000);
	struct receiver *r = &w->stream[1].at;

	(void)state;
	world_grow(w, 1, 30000);
	world_requeue(w, 1, 1, 20000);
	r->row = r->row_max = 0;
	while (r->gaps > 200 && r->acked < 29800)
		world_run(w, 1);
	assert_int_equal(r->row_max, 1);
	assert_true(r->late_posts > 50);
	world_run(w, HOUR);
	assert_all_there(w, 1);
	world_destroy(w);
}

/* Live packets beside a large requeue on a slow way. */
static void
a_large_requeue_delays_fresh_packets_by_a_request(void **state)
{
	struct world *w = with_letters(WINDOW, 20000, 1, 20000);
	struct world_stream *s = &w->stream[1];

	(void)state;
	w->link_bps = 1000000;
	world_requeue(w, 1, 1, 20000);
	world_run(w, 30 * SECOND);	/* until it has found its pace */
	for (int i = 0; i < 50; i++) {
		uint64_t begin = w->now_ms;

		world_grow(w, 1, s->end + 1);
		while (s->at.acked < s->end)
			world_run(w, 10);
		assert_true(w->now_ms - begin <= PB_SHIP_PIECE_MS * 3 / 2);
	}
	world_run(w, HOUR);
	assert_all_there(w, 1);
	world_destroy(w);
}

static void
at_most_one_late_request_of_a_stream_is_under_way(void **state)
{
	struct world *w = with_letters(WINDOW, 20000, 1, 20000);

	(void)state;
	w->latency_ms = 300;
	world_requeue(w, 1, 1, 20000);
	w->flights_max = 0;
	world_run(w, HOUR);
	assert_all_there(w, 1);
	assert_int_equal(w->flights_max, 1);
	world_destroy(w);
}

static void
what_is_refused_again_is_dead_again_and_the_rest_goes_on(void **state)
{
	static const int statuses[] = { 400, 422 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *w = with_letters(WINDOW, 9000, 1, 9000);
		struct world_stream *s = &w->stream[1];

		s->at.bad_first = s->at.bad_last = 4000;
		s->at.bad_status = statuses[i];
		world_requeue(w, 1, 1, 9000);
		world_run(w, MINUTE);
		assert_int_equal(world_letter(s, 4000), DEAD);
		assert_int_equal(world_number(s, 4000)->reason,
		    PB_DEAD_MALFORMED);
		assert_int_equal(world_letters(w, 1, REQUEUED), 0);
		assert_int_equal(world_letters(w, 1, DEAD), s->at.gaps);
		assert_in_range(s->at.gaps, 1, 1000);
		assert_int_equal(s->demotes, 0);
		world_destroy(w);
	}
}

static void
a_forbidden_requeue_waits_and_a_second_one_asks_at_once(void **state)
{
	struct world *w = with_letters(WINDOW, 3000, 1, 3000);
	struct world_stream *s = &w->stream[1];
	unsigned asks;

	(void)state;
	s->at.manner = REFUSES;
	s->at.status = 403;
	world_requeue(w, 1, 1, 3000);
	world_run(w, 100 * SECOND);
	assert_int_equal(world_letters(w, 1, REQUEUED), 3000);
	assert_int_equal(s->at.posts, 1);
	asks = s->at.asks;
	s->at.manner = ACCEPTS;
	world_run(w, 10 * SECOND);
	assert_int_equal(s->at.asks, asks);
	world_requeue(w, 1, 1, 3000);
	world_run(w, 10 * SECOND);
	assert_all_there(w, 1);
	world_destroy(w);
}

/*
 * Goal:   a stream that sends nothing any more is not in trouble for ever.
 * Method: questions fail for a while; then there is nothing fresh, and
 *         letters are sent by themselves only where all is well.
 */
static void
a_stream_with_nothing_fresh_forgets_its_troubles(void **state)
{
	struct world *w = with_letters(WINDOW, 3000, 1, 3000);

	(void)state;
	w->stream[1].at.manner = REFUSES;
	w->stream[1].at.status = 403;
	world_requeue(w, 1, 1, 10);
	world_run(w, SECOND);
	assert_false(pb_ship_takes(w->ship, 1, 3000));
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, MINUTE);
	assert_int_equal(w->stream[1].at.filled, 10);
	assert_true(pb_ship_takes(w->ship, 1, 3000));
	world_destroy(w);
}

/* Posts alone: what is asked meanwhile says nothing about them. */
static void
a_forbidden_requeue_is_tried_less_and_less(void **state)
{
	struct world *w = with_letters(WINDOW, 3000, 1, 3000);
	struct world_stream *s = &w->stream[1];

	(void)state;
	s->at.manner = REFUSES;
	s->at.status = 403;
	s->at.posts_only = true;
	world_requeue(w, 1, 1, 3000);
	world_run(w, HOUR);
	assert_in_range(s->at.posts, 10, 25);
	assert_false(pb_ship_takes(w->ship, 1, 3000));
	world_destroy(w);
}

static void
an_operator_cannot_hurry_a_relay_that_went_back(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);

	(void)state;
	w->stream[1].own = false;
	w->stream[1].at.tells = true;
	world_has(w, 1, 1, 600, 0);
	world_grow(w, 1, 500);
	world_run(w, MINUTE);
	for (int i = 0; i < 5; i++) {
		world_requeue(w, 1, 1, 500);
		world_run(w, MINUTE);
	}
	assert_int_equal(w->stream[1].at.asks, 1);
	assert_int_equal(w->stream[1].at.posts, 0);
	world_destroy(w);
}

/* --- failures ----------------------------------------------------------- */

static void
failures_on_the_way_lose_and_repeat_nothing(void **state)
{
	struct world *w = with_letters(WINDOW, 20000, 1, 15000);
	struct world_stream *s = &w->stream[1];

	(void)state;
	w->link_bps = 8000000;
	world_requeue(w, 1, 1, 15000);
	for (int i = 0; i < 40; i++) {
		s->at.manner = i % 2 ? ACCEPTS : FAILS;
		world_grow(w, 1, s->end + 100);
		world_run(w, 700);
	}
	s->at.manner = ACCEPTS;
	world_run(w, 10 * MINUTE);
	assert_all_there(w, 1);
	world_destroy(w);
}

/* What was stored though its answer got lost is sent again, and dropped. */
static void
a_lost_answer_ends_in_a_repeat_that_is_dropped(void **state)
{
	struct world *w = with_letters(WINDOW, 100, 1, 100);
	struct world_stream *s = &w->stream[1];

	(void)state;
	world_requeue(w, 1, 1, 100);
	for (uint64_t seq = 1; seq <= 100; seq++)
		world_store(s, seq);
	world_run(w, SECOND);
	assert_all_there(w, 1);
	assert_int_equal(s->at.repeats, 100);
	world_destroy(w);
}

static void
a_restart_goes_on_where_the_letters_are(void **state)
{
	struct world *w = with_letters(WINDOW, 20000, 1, 15000);
	struct world_stream *s = &w->stream[1];

	(void)state;
	w->link_bps = 8000000;
	world_requeue(w, 1, 1, 15000);
	for (int i = 0; i < 10; i++) {
		world_run(w, 900);
		if (i % 2)
			world_report(w);
		world_restart(w);
	}
	world_run(w, 10 * MINUTE);
	assert_all_there(w, 1);
	assert_int_equal(s->at.gap_posts, 0);
	world_destroy(w);
}

/* It was told as a gap, and requeued before the answer was there. */
static void
a_letter_requeued_while_its_gap_is_told_is_delivered(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);
	struct world_stream *s = &w->stream[1];

	(void)state;
	w->latency_ms = 1000;
	for (uint64_t seq = 11; seq <= 20; seq++)
		world_number(s, seq)->letter = DEAD;
	world_grow(w, 1, 30);
	while (s->at.gap_posts == 0 && w->now_ms < MINUTE) {
		for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
			if (w->flight[i].used && w->flight[i].action.kind ==
			    PB_ACTION_GAP)
				world_requeue(w, 1, 1, 30);
		world_run(w, 10);
	}
	world_run(w, MINUTE);
	assert_int_equal(s->at.filled, 10);
	assert_all_there(w, 1);
	world_destroy(w);
}

/* The receiver went back into the middle of what is to be sent again. */
static void
a_letter_across_the_receivers_number_goes_both_ways(void **state)
{
	struct world *w = with_letters(WINDOW, 1000, 101, 900);
	struct world_stream *s = &w->stream[1];

	(void)state;
	for (uint64_t seq = 501; seq <= 1000; seq++) {
		world_number(s, seq)->told = false;
		world_number(s, seq)->got = 0;
	}
	s->at.acked = 500;
	s->at.gaps = 400;
	s->at.packets = 100;
	w->stream[1].at.manner = FAILS;
	world_grow(w, 1, 1100);
	world_run(w, 100);
	world_requeue(w, 1, 1, 1000);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, MINUTE);
	assert_all_there(w, 1);
	assert_int_equal(s->at.filled, 400);
	world_destroy(w);
}

/* An implementation that knows no late packets is not asked for ever. */
static void
a_receiver_that_takes_nothing_late_is_left_alone(void **state)
{
	struct world *w = with_letters(WINDOW, 3000, 1, 1000);
	struct world_stream *s = &w->stream[1];

	(void)state;
	s->at.manner = LIES;
	s->at.number = 3000;
	s->at.posts_only = true;
	world_requeue(w, 1, 1, 3000);
	world_run(w, HOUR);
	assert_int_equal(world_letters(w, 1, DEAD), 1000);
	assert_in_range(s->at.posts, 1, 20);
	s->at.manner = ACCEPTS;
	world_grow(w, 1, 4000);
	world_run(w, SECOND);
	assert_int_equal(s->at.acked, 4000);
	world_destroy(w);
}

/* --- packets that came late --------------------------------------------- */

/* A gap of the store's own is told; then its packets come. */
static struct world *
with_a_gap(uint64_t end, uint64_t first, uint64_t last)
{
	struct world *w = world_create_for(WINDOW, 2, HOUR);
	struct world_stream *s = &w->stream[1];

	s->own = false;
	s->gap_first = first;
	s->gap_last = last;
	s->gap_recorded = true;
	world_grow(w, 1, end);
	world_run(w, 30 * SECOND);
	assert_int_equal(s->at.gaps, last - first + 1);
	return w;
}

/* As the loop does when the index tells of a fill. */
static void
fill(struct world *w, uint32_t id, uint64_t first, uint64_t last)
{
	struct world_stream *s = &w->stream[id];
	uint64_t handed = pb_ship_handed(w->ship, id);

	s->gap_first = s->gap_last = 0;
	pb_ship_filled(w->ship, id, first);
	for (uint64_t seq = first; seq <= last && seq <= handed; seq++)
		world_number(s, seq)->letter = LATE;
	pb_ship_late(w->ship, id, false);
}

static void
packets_that_came_late_are_forwarded(void **state)
{
	struct world *w = with_a_gap(5000, 1001, 2000);

	(void)state;
	fill(w, 1, 1001, 2000);
	world_run(w, 5 * SECOND);
	assert_all_there(w, 1);
	assert_int_equal(w->stream[1].at.filled, 1000);
	world_destroy(w);
}

/* It may have been told of the gap though nobody knows: told, stored, and
 * the answer lost. */
static void
a_fill_during_an_outage_is_forwarded_after_it(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);
	struct world_stream *s = &w->stream[1];

	(void)state;
	s->gap_first = 101;
	s->gap_last = 200;
	w->latency_ms = 100;
	world_grow(w, 1, 300);
	while (s->at.acked < 100)
		world_run(w, 1);
	assert_int_equal(w->flights, 1);	/* the gap */
	s->at.manner = FAILS;
	world_run(w, 150);
	assert_int_equal(s->at.gap_posts, 1);
	while (s->at.acked < 200)
		world_number(s, ++s->at.acked)->told = true;
	s->at.gaps = 100;
	fill(w, 1, 101, 200);
	world_report(w);
	world_restart(w);
	s->at.manner = ACCEPTS;
	world_run(w, MINUTE);
	assert_all_there(w, 1);
	world_destroy(w);
}

static void
a_fill_that_was_never_told_as_a_gap_goes_in_its_turn(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);
	struct world_stream *s = &w->stream[1];

	(void)state;
	s->at.manner = FAILS;
	s->gap_first = 101;
	s->gap_last = 200;
	world_grow(w, 1, 300);
	world_run(w, MINUTE);
	/* It never answered: who knows what it was told of. */
	assert_int_equal(pb_ship_handed(w->ship, 1), 300);
	fill(w, 1, 101, 200);
	s->at.manner = ACCEPTS;
	world_run(w, MINUTE);
	assert_all_there(w, 1);
	assert_int_equal(s->at.late_posts, 0);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requeued_letters_fill_the_gap_and_are_gone),
		cmocka_unit_test(some_of_the_letters_can_be_requeued),
		cmocka_unit_test(
		    letters_requeued_below_others_are_not_forgotten),
		cmocka_unit_test(
		    a_letter_that_fails_goes_last_and_is_tried_less_and_less),
		cmocka_unit_test(
		    a_letter_that_failed_goes_first_where_someone_asks),
		cmocka_unit_test(
		    requeued_letters_that_wait_in_vain_are_dead_again),
		cmocka_unit_test(
		    letters_requeued_during_the_outage_are_sent_in_order),
		cmocka_unit_test(fresh_and_late_packets_take_turns),
		cmocka_unit_test(
		    a_large_requeue_delays_fresh_packets_by_a_request),
		cmocka_unit_test(
		    at_most_one_late_request_of_a_stream_is_under_way),
		cmocka_unit_test(
		    what_is_refused_again_is_dead_again_and_the_rest_goes_on),
		cmocka_unit_test(
		    a_forbidden_requeue_waits_and_a_second_one_asks_at_once),
		cmocka_unit_test(
		    an_operator_cannot_hurry_a_relay_that_went_back),
		cmocka_unit_test(failures_on_the_way_lose_and_repeat_nothing),
		cmocka_unit_test(
		    a_lost_answer_ends_in_a_repeat_that_is_dropped),
		cmocka_unit_test(a_restart_goes_on_where_the_letters_are),
		cmocka_unit_test(
		    a_letter_requeued_while_its_gap_is_told_is_delivered),
		cmocka_unit_test(
		    a_letter_across_the_receivers_number_goes_both_ways),
		cmocka_unit_test(
		    a_receiver_that_takes_nothing_late_is_left_alone),
		cmocka_unit_test(
		    a_stream_with_nothing_fresh_forgets_its_troubles),
		cmocka_unit_test(a_forbidden_requeue_is_tried_less_and_less),
		cmocka_unit_test(packets_that_came_late_are_forwarded),
		cmocka_unit_test(a_fill_during_an_outage_is_forwarded_after_it),
		cmocka_unit_test(
		    a_fill_that_was_never_told_as_a_gap_goes_in_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
