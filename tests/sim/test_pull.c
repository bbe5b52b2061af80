/*
 * tests/sim/test_pull.c - the machine of an edge, against a scripted one
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/pull_world.h"

static void
all_is_fetched_in_order_and_told(void **state)
{
	struct world *w = *state;

	grows(w, 10000);
	run(w, 20000);
	assert_int_equal(w->at[0]->here, 10000);
	assert_int_equal(w->acked, 10000);
	assert_int_equal(status(w).behind, 0);
	assert_int_equal(status(w).state, PB_SHIP_IDLE);
	assert_int_equal(status(w).packets, 10000);
	/* The next one is asked for while others are being written. */
	assert_true(w->waiting_fetches > w->fetches / 2);
	grows(w, 10001);
	run(w, 1000);
	assert_int_equal(w->acked, 10001);
	/* Once for each connection that was new. */
	assert_true(w->asks <= PB_PULL_FLIGHTS_MAX);
}

static void
what_is_known_to_follow_comes_many_at_a_time(void **state)
{
	struct world *w = *state;

	w->extent = 20;
	grows(w, 10007);
	run(w, 5000);
	assert_int_equal(w->at[0]->here, 10007);
	assert_int_equal(w->fetches_most, PB_PULL_AHEAD_MAX);
	/* Each once, but for what came over new connections. */
	assert_in_range(w->fetches, 10007 / 20, 10007 / 20 + 60);
}

/* What our recorder holds of one edge is no more than of a sender. */
static void
what_is_handed_over_is_as_much_at_a_time_as_a_sender_sends(void **state)
{
	struct world *w = *state;

	w->budget.hands_max = 1000;
	w->extent = 2;
	grows(w, 10000);
	run(w, 60000);
	assert_int_equal(w->at[0]->here, 10000);
	assert_int_equal(w->hands_most, PB_PULL_HANDS_MAX);
}

/* Whatever it says there is: less is fetched again, more is taken. */
static void
what_is_said_to_follow_and_does_not_costs_no_packet(void **state)
{
	struct world *w = *state;

	w->extent = 20;
	w->lies = true;
	grows(w, 10007);
	run(w, 60000);
	assert_int_equal(w->at[0]->here, 10007);
	for (uint64_t seq = 1; seq <= 10007; seq++)
		assert_int_equal(w->at[0]->kept[seq], 1);
	assert_int_equal(status(w).failures, 0);
}

static void
a_gap_among_what_is_known_to_follow_comes_in_its_turn(void **state)
{
	struct world *w = *state;

	w->extent = 20;
	grows(w, 4000);
	run(w, 300);
	assert_in_range(w->at[0]->here, 100, 2000);
	w->gap_first = w->at[0]->here + 45;
	w->gap_last = w->gap_first + 100;
	run(w, 10000);
	assert_int_equal(w->at[0]->here, 4000);
	assert_int_equal(w->at[0]->kept[w->gap_last + 1], 1);
	assert_int_equal(status(w).failures, 0);
}

/* Else the stream would never go on. */
static void
a_gap_past_all_that_the_edge_has_is_taken_up_to_there(void **state)
{
	struct world *w = *state;

	w->gap_first = 101;
	w->gap_last = INT64_MAX;
	grows(w, 150);
	run(w, 1000);
	assert_int_equal(w->at[0]->here, 150);
	w->gap_last = 150;
	grows(w, 300);
	run(w, 1000);
	assert_int_equal(w->at[0]->here, 300);
	assert_int_equal(w->at[0]->kept[100], 1);
	assert_int_equal(w->at[0]->kept[150], 0);
	assert_int_equal(w->at[0]->kept[151], 1);
}

/* What expires is the first of what is asked for, and more than one piece. */
static void
what_was_known_to_follow_and_has_expired_is_a_gap(void **state)
{
	struct world *w = *state;

	w->extent = 20;
	grows(w, 19000);
	run(w, 600);
	w->first = w->at[0]->here + 8000;
	run(w, 10000);
	assert_int_equal(w->at[0]->here, 19000);
	assert_int_equal(w->at[0]->kept[w->first - 1], 0);
	assert_int_equal(w->at[0]->kept[w->first], 1);
	assert_int_equal(status(w).failures, 0);
}

/* --- turns of several streams --------------------------------------------- */

struct turns {
	struct pb_pull	*pull;
	struct pb_pull_action fetch[2 * PB_PULL_FLIGHTS_MAX];
	unsigned	fetches;
};

static void
tell_stream(struct turns *t, const struct world *w, const char *interface)
{
	struct pb_pull_row row = { .key = w->key, .durable = 1000000,
	    .first = 1, .linktype = 1 };

	strcpy(row.key.interface, interface);
	pb_pull_row(t->pull, &row, false);
}

/* All that can be begun, and answered at once but what is fetched. */
static void
take_turns(struct turns *t)
{
	struct pb_pull_action action;

	while (pb_pull_next(t->pull, 1000, 1, &action)) {
		struct pb_pull_answer answer = { .outcome = PB_PULL_DONE,
		    .cursor = "c" };

		if (action.kind == PB_PULL_FETCH) {
			assert_true(t->fetches < 2 * PB_PULL_FLIGHTS_MAX);
			t->fetch[t->fetches++] = action;
			continue;
		}
		if (action.kind == PB_PULL_HAND)
			answer.acked = action.piece->last;
		if (action.kind != PB_PULL_LIST || !action.wait)
			pb_pull_answer(t->pull, &action, &answer, 1000, 1);
	}
}

static void
answer_fetch_of(struct turns *t, const char *interface, bool ends)
{
	unsigned i = 0;
	struct pb_pull_action action;
	struct pb_pull_coming coming;
	struct pb_pull_answer answer = { .outcome = PB_PULL_DONE };

	while (strcmp(t->fetch[i].key->interface, interface) != 0)
		assert_true(++i < t->fetches);
	action = t->fetch[i];
	coming = (struct pb_pull_coming){ action.number + 1,
	    action.number + 10, .nexts = PB_PULL_NEXT_MAX };
	for (unsigned n = 0; n < PB_PULL_NEXT_MAX; n++)
		coming.next[n] = (struct pb_pull_next){ coming.last + 10 * (n +
		    1), PB_PULL_BYTES_MIN };
	if (!ends) {
		pb_pull_coming(t->pull, &action, &coming);
		return;
	}
	t->fetch[i] = t->fetch[--t->fetches];
	answer.piece.first = coming.first;
	answer.piece.last = coming.last;
	pb_buf_init(&answer.piece.body, PB_PULL_BYTES_MAX);
	pb_buf_zero(&answer.piece.body, action.bytes_max);
	pb_pull_answer(t->pull, &action, &answer, 1000, 1);
}

static void
who_has_much_under_way_lets_others_go_first(void **state)
{
	struct world *w = *state;
	struct turns t = { .pull = w->pull };

	take_turns(&t);
	tell_stream(&t, w, "a");
	tell_stream(&t, w, "b");
	/* Until it is fast. */
	for (unsigned i = 0; i < 10; i++) {
		take_turns(&t);
		answer_fetch_of(&t, "a", true);
	}
	take_turns(&t);
	answer_fetch_of(&t, "a", false);
	answer_fetch_of(&t, "b", false);
	take_turns(&t);
	assert_int_equal(t.fetches, PB_PULL_FLIGHTS_MAX);
	tell_stream(&t, w, "c");
	take_turns(&t);
	assert_int_equal(t.fetches, PB_PULL_FLIGHTS_MAX);
	answer_fetch_of(&t, "a", true);
	take_turns(&t);
	assert_int_equal(t.fetches, PB_PULL_FLIGHTS_MAX);
	assert_string_equal(t.fetch[t.fetches - 1].key->interface, "c");
}

/* Two that let each other go first would both have less and less. */
static void
who_lets_others_go_first_has_its_turn_as_well(void **state)
{
	static const char *const names[] = { "a", "b", "c" };
	struct world *w = *state;
	struct turns t = { .pull = w->pull };

	take_turns(&t);
	for (unsigned i = 0; i < 3; i++)
		tell_stream(&t, w, names[i]);
	for (unsigned i = 0; i < 20; i++) {
		take_turns(&t);
		answer_fetch_of(&t, "a", true);
	}
	for (unsigned i = 0; i < 300; i++) {
		take_turns(&t);
		assert_true(i < 30 || t.fetches == PB_PULL_FLIGHTS_MAX);
		answer_fetch_of(&t, names[i % 3], false);
		take_turns(&t);
		answer_fetch_of(&t, names[i % 3], true);
	}
}

static void
what_waits_keeps_to_the_window_and_to_the_budget(void **state)
{
	struct world *w = *state;

	pb_pull_window(w->pull, 3u << 20);
	w->here_down = false;
	grows(w, NUMBERS_MAX - 1);
	run(w, 20000);
	assert_int_equal(w->at[0]->here, NUMBERS_MAX - 1);
	assert_true(w->bytes_most <= (3u << 20) + PB_PULL_SLACK);
	assert_int_equal(w->budget.bytes, 0);
	assert_int_equal(w->budget.hands, 0);
}

/* 2 KB a second: 200 KB, of which 64 are asked for at once. */
static void
a_slow_link_carries_next_to_nothing_twice(void **state)
{
	struct world *w = *state;

	w->link = 10;
	grows(w, 200);
	run(w, 120000);
	assert_int_equal(w->at[0]->here, 200);
	assert_true(w->carried < 220 * PACKET_BYTES);
	/* And all it can, once it is fast. */
	w->link = 0;
	grows(w, NUMBERS_MAX - 1);
	run(w, 20000);
	assert_int_equal(w->at[0]->here, NUMBERS_MAX - 1);
	assert_true(w->bytes_most > 4 * PB_PULL_BYTES_MAX);
}

/* 3 MB at 20 KB a second, extents of 20 KB, of which it could have eight under
 * way.  Behind what came over a new connection all is fetched again. */
static void
a_slow_link_carries_little_twice_of_what_is_known_to_follow(void **state)
{
	struct world *w = *state;

	w->link = 100;
	w->extent = 20;
	grows(w, 3007);
	run(w, 180000);
	assert_int_equal(w->at[0]->here, 3007);
	assert_true(w->fetches_most >= 2);
	assert_true(w->carried < 3400 * PACKET_BYTES);
}

static void
another_edge_has_half_of_the_budget_left(void **state)
{
	struct world *w = *state;

	w->budget.bytes_max = 8u << 20;
	grows(w, 15000);
	run(w, 20000);
	assert_int_equal(w->at[0]->here, 15000);
	assert_true(w->bytes_most <= 4u << 20);
}

static void
an_answer_over_a_new_connection_waits_for_the_comparison(void **state)
{
	struct world *w = *state;
	struct pb_pull_action action;
	bool seen = false;

	grows(w, 100);
	run(w, 1000);
	w->branch = grow_branch(w, 0, 100);
	grows(w, 200);
	/* Its list is the old connection's, its packets are not. */
	while (!seen) {
		while (pb_pull_next(w->pull, w->now_ms, 1, &action)) {
			seen |= action.kind == PB_PULL_FETCH;
			start(w, &action);
		}
		w->idle = 0;
		turn(w);
	}
	run(w, 3000);
	/* The same up to where they part: there is nothing to tell them. */
	assert_int_equal(w->at[0]->here, 200);
	assert_true(w->asks >= 2);
}

static void
numbers_that_went_back_are_waited_for(void **state)
{
	struct world *w = *state;

	grows(w, 100);
	run(w, 1000);
	w->down = true;
	run(w, 1000);
	assert_int_equal(status(w).state, PB_SHIP_BACKOFF);
	w->down = false;
	grows(w, 80);
	run(w, 40000);
	assert_non_null(strstr(w->said, "went back to 80"));
	/* It fills them again, with the same packets. */
	grows(w, 120);
	run(w, 400000);
	assert_int_equal(w->at[0]->here, 120);
	assert_int_equal(status(w).refused, 0);
}

static void
a_list_that_goes_back_is_enough(void **state)
{
	struct world *w = *state;

	grows(w, 100);
	run(w, 1000);
	grows(w, 80);
	run(w, 3000);
	assert_non_null(strstr(w->said, "went back to 80"));
}

static void
what_is_here_outlives_the_edge(void **state)
{
	struct world *w = *state;

	grows(w, 60);
	run(w, 30);		/* fetched, being written */
	while (w->fetches == 0)
		turn(w);
	turn(w);
	w->down = true;
	run(w, 2000);
	assert_int_equal(w->at[0]->here, 60);
	assert_int_equal(w->acked, 0);
	w->down = false;
	run(w, 60000);
	assert_int_equal(w->acked, 60);
}

/* It was wiped: what is under way, or waits, has no one to follow. */
static void
what_waits_of_a_stream_that_has_gone_takes_no_room_for_ever(void **state)
{
	struct world *w;

	(void)state;
	for (unsigned turns = 1; turns < 200; turns++) {
		assert_int_equal(setup((void **)&w), 0);
		w->extent = 20;
		grows(w, 5000);
		run(w, 300);
		w->here_down = turns % 2 == 0;
		for (unsigned i = 0; i < turns / 2; i++)
			turn(w);
		swap_edge(w, 0);
		w->durable = 0;
		w->changes++;
		w->down = turns % 3 == 0;
		run(w, 3000);
		w->here_down = w->down = false;
		run(w, 60000);
		assert_int_equal(w->budget.bytes, 0);
		assert_int_equal(w->budget.hands, 0);
		teardown((void **)&w);
	}
}

static void
a_recorder_that_is_away_costs_no_packet_twice(void **state)
{
	struct world *w = *state;
	unsigned fetches;

	grows(w, 60);
	while (w->fetches == 0)
		turn(w);
	w->here_down = true;
	run(w, 10000);
	fetches = w->fetches;
	assert_int_equal(w->at[0]->here, 0);
	assert_int_equal(status(w).refused, 1);
	assert_non_null(strstr(status(w).last_error, "our recorder fails"));
	w->here_down = false;
	run(w, 60000);
	assert_int_equal(w->at[0]->here, 60);
	assert_int_equal(w->fetches, fetches);
	assert_string_equal(status(w).last_error, "");
}

static void
what_fails_together_is_one_failure(void **state)
{
	struct world *w = *state;
	uint64_t before, end_ms;

	grows(w, NUMBERS_MAX - 1);
	for (unsigned i = 0; i < 2; i++) {
		while (under_way(w, PB_PULL_HAND) < 3) {
			assert_true(w->at[0]->here < w->durable);
			turn(w);
		}
		w->here_down = true;
		while (under_way(w, PB_PULL_HAND) > 0)
			turn(w);
		w->here_down = false;
		before = w->at[0]->here;
		end_ms = w->now_ms + 2 * PB_BACKOFF_MS_MIN + 100;
		while (w->at[0]->here == before) {
			assert_true(w->now_ms < end_ms);
			turn(w);
		}
	}
	run(w, 20000);
	assert_int_equal(w->acked, NUMBERS_MAX - 1);
}

/* Answers of requests that were under way together. */
static void
what_is_refused_or_not_given_together_is_so_once(void **state)
{
	struct world *w = *state;

	w->extent = 20;
	for (unsigned i = 1; i <= 20; i++) {
		unsigned before;
		uint64_t end_ms;

		grows(w, i * 900);
		while (under_way(w, PB_PULL_FETCH) < 6) {
			assert_true(w->at[0]->here < w->durable);
			turn(w);
		}
		w->closed = i % 2 == 0;
		w->forbidden = i % 2 == 1;
		while (under_way(w, PB_PULL_FETCH) > 0)
			turn(w);
		w->closed = w->forbidden = false;
		before = w->fetches;
		end_ms = w->now_ms + PB_REFUSED_MS_FIRST + 200;
		while (w->fetches == before) {
			assert_true(w->now_ms < end_ms);
			turn(w);
		}
		run(w, 20000);
		assert_int_equal(w->at[0]->here, w->durable);
	}
}

static void
gaps_come_in_their_turn(void **state)
{
	struct world *w = *state;

	w->first = 11;
	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	run(w, 3000);
	assert_int_equal(w->at[0]->here, 50);
	assert_int_equal(w->at[0]->kept[10], 0);
	assert_int_equal(w->at[0]->kept[11], 1);
	assert_int_equal(w->at[0]->kept[31], 0);
	assert_int_equal(w->at[0]->kept[41], 1);
	assert_int_equal(status(w).packets, 30);
}

static void
what_came_late_fills_the_gap(void **state)
{
	struct world *w = *state;

	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	run(w, 3000);
	assert_int_equal(w->at[0]->kept[33], 0);
	w->late = (struct pb_ship_run){ 33, 35 };
	w->gap_first = w->gap_last = 0;
	grows(w, 50);
	run(w, 3000);
	assert_int_equal(w->at[0]->kept[33], 1);
	assert_int_equal(w->at[0]->kept[35], 1);
	assert_int_equal(w->at[0]->here, 50);
	assert_int_equal(w->acked, 35);
}

/* Nor will it ever grow again: its edge was wiped.  What was made anew for
 * something else has put it in doubt. */
static void
what_came_late_is_fetched_of_a_stream_that_has_ended(void **state)
{
	struct world *w = *state;

	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	while (w->at[0]->here < 50)
		turn(w);
	w->idle = 0;
	run(w, 3000);
	assert_int_equal(w->acked, 50);
	w->late = (struct pb_ship_run){ 33, 35 };
	w->gap_first = w->gap_last = 0;
	grows(w, 50);
	run(w, 3000);
	assert_int_equal(w->at[0]->kept[33], 1);
	assert_int_equal(w->at[0]->kept[35], 1);
	assert_int_equal(w->acked, 35);
}

/* Both over connections that are new: one comparison does for both. */
static void
what_came_late_beside_what_is_fresh_is_compared_with_it(void **state)
{
	struct world *w = *state;

	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	run(w, 3000);
	w->late = (struct pb_ship_run){ 33, 35 };
	w->gap_first = w->gap_last = 0;
	grows(w, 60);
	for (unsigned i = 0; under_way(w, PB_PULL_FETCH) < 2; i++) {
		assert_true(i < 1000);
		w->idle = 1;	/* that of the list */
		turn(w);
	}
	run(w, 5000);
	assert_int_equal(w->at[0]->here, 60);
	assert_int_equal(w->at[0]->kept[33], 1);
}

static void
what_came_late_and_cannot_be_read_holds_up_nothing(void **state)
{
	struct world *w = *state;

	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	run(w, 3000);
	w->gap_first = w->gap_last = 0;
	w->damaged = 33;
	w->late = (struct pb_ship_run){ 33, 35 };
	grows(w, 51);
	run(w, 1000);
	w->late = (struct pb_ship_run){ 37, 40 };
	for (uint64_t n = 52; n < 600; n++) {
		grows(w, n);
		run(w, 500);
		assert_int_equal(w->at[0]->here, n);
	}
	assert_int_equal(w->at[0]->kept[37], 1);
	assert_int_equal(w->at[0]->kept[33], 0);
	w->damaged = 0;
	run(w, PB_LATE_MS_MAX + 3000);
	assert_int_equal(w->at[0]->kept[33], 1);
}

/*
 * Goal:   late packets that our recorder refuses are no more forgotten than
 *         others: they are brought again, less and less often, are told once,
 *         and hold up neither what is behind them nor what is fresh.
 */
static void
what_came_late_and_is_refused_here_is_brought_again(void **state)
{
	struct world *w = *state;
	unsigned before;

	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	run(w, 3000);
	w->gap_first = w->gap_last = 0;
	w->refused = 33;
	w->late = (struct pb_ship_run){ 33, 35 };
	grows(w, 51);
	run(w, 1000);
	w->late = (struct pb_ship_run){ 37, 40 };
	for (uint64_t n = 52; n < 300; n++) {
		grows(w, n);
		run(w, 500);
		assert_int_equal(w->at[0]->here, n);
	}
	assert_int_equal(w->at[0]->kept[37], 1);
	assert_int_equal(w->at[0]->kept[33], 0);
	assert_int_equal(w->refusals, 0);
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(status(w).last_error, "came late, and are not "
	    "taken"));
	assert_int_equal(status(w).refused, 1);
	before = w->hands;
	run(w, 6 * PB_LATE_MS_MAX);
	assert_in_range(w->hands - before, 4, 20);
	w->refused = 0;
	run(w, PB_LATE_MS_MAX + 3000);
	assert_int_equal(w->at[0]->kept[33], 1);
	assert_int_equal(w->acked, 35);
	assert_int_equal(status(w).refused, 0);
}

static void
what_came_late_is_fetched_once_however_often_it_is_told(void **state)
{
	struct world *w = *state;
	unsigned before;

	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	run(w, 3000);
	w->late = (struct pb_ship_run){ 33, 35 };
	w->gap_first = w->gap_last = 0;
	w->here_down = true;
	for (unsigned i = 0; i < 20; i++) {
		grows(w, 50);
		run(w, 600);
	}
	w->here_down = false;
	before = w->fetches;
	run(w, 60000);
	assert_int_equal(w->at[0]->kept[33], 1);
	/* Told when the first of it had been asked for, too. */
	assert_true(w->fetches - before <= 2);
}

/* It gives packets at some hours only. */
static void
who_gives_nothing_now_is_asked_seldom_and_keeps_it(void **state)
{
	struct world *w = *state;
	unsigned before;

	w->gap_first = 31;
	w->gap_last = 40;
	grows(w, 50);
	run(w, 3000);
	assert_int_equal(w->at[0]->here, 50);
	w->closed = true;
	w->late = (struct pb_ship_run){ 33, 35 };
	w->gap_first = w->gap_last = 0;
	before = w->fetches;
	for (unsigned i = 0; i < 1000; i++) {
		grows(w, 51 + i);
		run(w, 600);
		w->late.last = 0;	/* it was told once */
	}
	assert_int_equal(w->at[0]->here, 50);
	assert_in_range(w->fetches - before, 2, 60);
	assert_int_equal(status(w).state, PB_SHIP_READY);
	assert_int_equal(status(w).behind, 1000);
	w->closed = false;
	run(w, 600000);
	assert_int_equal(w->at[0]->here, 1050);
	assert_int_equal(w->at[0]->kept[33], 1);
	assert_int_equal(w->at[0]->kept[35], 1);
}

/* Answered at once, by a node that has all. */
static void
answer_next(struct pb_pull *pull, uint64_t now_ms, const char *cursor)
{
	struct pb_pull_answer answer = { .outcome = PB_PULL_DONE,
	    .acked = 1000000, .cursor = cursor };
	struct pb_pull_action action;

	if (!pb_pull_next(pull, now_ms, 1, &action))
		return;
	if (action.kind == PB_PULL_FETCH)
		answer.outcome = action.late ? PB_PULL_GONE : PB_PULL_NOTHING;
	pb_pull_answer(pull, &action, &answer, now_ms, 1);
}

/* Runs that do not touch, more than there is room for. */
static void
tell_too_many(struct world *w)
{
	struct pb_pull_row row = { .key = w->key, .durable = 1000000,
	    .first = 1, .linktype = 1, .lates = PB_PULL_LATE_MAX };
	uint64_t number = 1;

	for (unsigned i = 0; i <= PB_PULL_LATES_MAX / PB_PULL_LATE_MAX; i++) {
		for (unsigned n = 0; n < PB_PULL_LATE_MAX; n++, number += 2)
			row.late[n] = (struct pb_ship_run){ number, number };
		pb_pull_row(w->pull, &row, false);
	}
}

static void
what_there_is_no_room_for_is_listed_again(void **state)
{
	struct world *w = *state;
	struct pb_pull_answer answer = { .outcome = PB_PULL_DONE,
	    .cursor = "c" };
	struct pb_pull_action list;
	uint64_t now_ms = 1000;

	assert_true(pb_pull_next(w->pull, now_ms, 1, &list));
	assert_int_equal(list.kind, PB_PULL_LIST);
	tell_too_many(w);
	pb_pull_answer(w->pull, &list, &answer, now_ms, 1);
	/* Again, once half of them have been asked for, and not before. */
	assert_true(pb_pull_next(w->pull, ++now_ms, 1, &list));
	assert_int_equal(list.kind, PB_PULL_LIST);
	assert_string_equal(list.cursor, "c");
	for (unsigned i = 0; i < PB_PULL_LATES_MAX; i++)
		answer_next(w->pull, ++now_ms, "c");
	pb_pull_answer(w->pull, &list, &answer, now_ms, 1);
	now_ms += 10000;
	assert_true(pb_pull_next(w->pull, now_ms, 1, &list));
	assert_int_equal(list.kind, PB_PULL_LIST);
	assert_string_equal(list.cursor, "");
}

/* Whatever fails, and however often connections are new: all is there in the
 * end, once and of one branch (keep() looks). */
static void
in_any_order_all_is_there_in_the_end(void **state)
{
	struct world *w;

	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		assert_int_equal(setup((void **)&w), 0);
		w->random = seed * 2654435761u + 1;
		w->failing = seed % 5;
		w->moves = seed % 2 == 0;
		w->gap_first = seed % 7 == 0 ? 100 : 0;
		w->gap_last = seed % 7 == 0 ? 120 : 0;
		w->extent = seed % 3 == 0 ? 0 : seed % 40 + 1;
		w->lies = seed % 4 == 0;
		for (unsigned i = 1; i <= 10; i++) {
			w->down = next_random(w) % 8 == 0;
			w->here_down = next_random(w) % 8 == 0;
			grows(w, i * 150);
			run(w, next_random(w) % 3000);
		}
		w->down = w->here_down = w->moves = false;
		w->failing = 0;
		run(w, 100000);
		assert_int_equal(w->at[0]->here, 1500);
		assert_int_equal(w->acked, 1500);
		w->late = (struct pb_ship_run){ w->gap_first, w->gap_last };
		w->gap_first = w->gap_last = 0;
		w->idle = seed % 3 == 0 ? 0 : w->idle;
		grows(w, 1500);
		run(w, 10000);
		for (uint64_t seq = 1; seq <= 1500; seq++)
			assert_int_equal(w->at[0]->kept[seq], 1);
		assert_int_equal(w->budget.bytes, 0);
		assert_int_equal(w->budget.hands, 0);
		teardown((void **)&w);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_is_fetched_in_order_and_told),
		TEST(what_is_known_to_follow_comes_many_at_a_time),
		TEST(what_is_handed_over_is_as_much_at_a_time_as_a_sender_sends),
		TEST(what_is_said_to_follow_and_does_not_costs_no_packet),
		TEST(a_gap_among_what_is_known_to_follow_comes_in_its_turn),
		TEST(a_gap_past_all_that_the_edge_has_is_taken_up_to_there),
		TEST(what_was_known_to_follow_and_has_expired_is_a_gap),
		TEST(who_has_much_under_way_lets_others_go_first),
		TEST(who_lets_others_go_first_has_its_turn_as_well),
		TEST(what_waits_keeps_to_the_window_and_to_the_budget),
		TEST(a_slow_link_carries_next_to_nothing_twice),
		TEST(a_slow_link_carries_little_twice_of_what_is_known_to_follow),
		TEST(another_edge_has_half_of_the_budget_left),
		TEST(an_answer_over_a_new_connection_waits_for_the_comparison),
		TEST(numbers_that_went_back_are_waited_for),
		TEST(a_list_that_goes_back_is_enough),
		TEST(what_is_here_outlives_the_edge),
		cmocka_unit_test(
		    what_waits_of_a_stream_that_has_gone_takes_no_room_for_ever),
		TEST(a_recorder_that_is_away_costs_no_packet_twice),
		TEST(what_fails_together_is_one_failure),
		TEST(what_is_refused_or_not_given_together_is_so_once),
		TEST(gaps_come_in_their_turn),
		TEST(what_came_late_fills_the_gap),
		TEST(what_came_late_is_fetched_of_a_stream_that_has_ended),
		TEST(what_came_late_beside_what_is_fresh_is_compared_with_it),
		TEST(what_came_late_and_cannot_be_read_holds_up_nothing),
		TEST(what_came_late_and_is_refused_here_is_brought_again),
		TEST(what_came_late_is_fetched_once_however_often_it_is_told),
		TEST(who_gives_nothing_now_is_asked_seldom_and_keeps_it),
		TEST(what_there_is_no_room_for_is_listed_again),
		cmocka_unit_test(in_any_order_all_is_there_in_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
