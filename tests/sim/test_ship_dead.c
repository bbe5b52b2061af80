/*
 * tests/sim/test_ship_dead.c - what becomes a dead letter, and what never
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shipper/ship/wait.h"
#include "tests/sim/ship_scenes.h"

#define WINDOW	(64ull << 20)
#define SECOND	1000ull
#define MINUTE	60000ull
#define HOUR	3600000ull

static void
set_manner(struct world *w, enum manner manner, int status)
{
	for (uint32_t id = 1; id <= w->streams; id++) {
		w->stream[id].at.manner = manner;
		w->stream[id].at.status = status;
	}
}

/* Let `ms` pass while stream `id` grows by a packet a second. */
static void
pass(struct world *w, uint32_t id, uint64_t ms)
{
	for (uint64_t i = 0; i < ms / SECOND; i++) {
		world_grow(w, id, w->stream[id].end + 1);
		world_run(w, SECOND);
	}
}

static struct pb_ship_cursor
memory(struct world *w, uint32_t id)
{
	pb_ship_touch(w->ship, false);
	world_report(w);
	return w->stream[id].memory;
}

static void
assert_whole(struct world *w, uint32_t id)
{
	struct world_stream *s = &w->stream[id];

	assert_int_equal(s->at.acked, s->end);
	assert_int_equal(s->at.packets + s->at.gaps, s->end);
	assert_int_equal(s->at.gaps, world_letters(w, id, DEAD));
}

/* --- paused ------------------------------------------------------------- */

/* Before it has been asked anything, with requests under way, while backing
 * off: nothing more is sent, and nothing becomes older. */
static void
who_is_not_to_be_sent_to_makes_nothing_stale(void **state)
{
	(void)state;
	for (unsigned when = 0; when < 3; when++) {
		struct world *w = world_create_for(WINDOW, 1, HOUR);
		struct world_stream *s = &w->stream[1];
		uint64_t asks, sent;

		world_grow(w, 1, 2000);
		if (when == 2)
			set_manner(w, FAILS, 0);
		if (when > 0)
			world_run(w, 20);
		pb_ship_pause(w->ship, true);
		world_run(w, MINUTE);
		asks = s->at.asks;
		sent = s->at.packets;
		if (when == 0)
			assert_int_equal(asks, 0);
		pass(w, 1, 5 * HOUR);
		assert_int_equal(s->at.asks, asks);
		assert_int_equal(s->at.packets, sent);
		assert_int_equal(world_status(w).state, PB_SHIP_PAUSED);
		set_manner(w, ACCEPTS, 200);
		pb_ship_pause(w->ship, false);
		world_run(w, MINUTE);
		assert_whole(w, 1);
		assert_int_equal(s->at.gaps, 0);
		assert_int_equal(s->at.repeats, 0);
		world_destroy(w);
	}
}

/* --- stale -------------------------------------------------------------- */

/*
 * Goal:   what waited for `retry_for` is demoted, what is fresh is not,
 *         and is shipped when the upstream returns.
 * Method: a packet a second for three hours to an upstream that is away.
 */
static void
what_waited_too_long_is_demoted_and_what_is_fresh_arrives(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);
	uint64_t spacing = PB_WAIT_SPACING_MS(HOUR) / SECOND;
	struct world_stream *s = &w->stream[1];
	uint64_t dead;

	(void)state;
	set_manner(w, FAILS, 0);
	pass(w, 1, HOUR - SECOND);
	assert_int_equal(s->demotes, 0);
	pass(w, 1, 2 * HOUR);
	dead = world_letters(w, 1, DEAD);
	assert_in_range(dead, s->end - 3600 - spacing - 40, s->end - 3600);
	assert_int_equal(memory(w, 1).released, dead);
	assert_int_equal(memory(w, 1).acked, 0);
	assert_int_equal(s->dead.reason, PB_DEAD_STALE);
	assert_string_equal(s->dead_text, "connection refused");
	assert_true(s->dead.attempts > 100);
	set_manner(w, ACCEPTS, 0);
	world_run(w, MINUTE);
	assert_whole(w, 1);
	assert_in_range(s->at.gaps, dead, dead + spacing + 2);
	assert_int_equal(s->at.repeats, 0);
	world_destroy(w);
}

static void
without_a_bound_everything_is_kept_for_ever(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, 0);

	(void)state;
	set_manner(w, FAILS, 0);
	pass(w, 1, 24 * HOUR);
	assert_int_equal(w->demotes, 0);
	set_manner(w, ACCEPTS, 0);
	world_run(w, MINUTE);
	assert_int_equal(w->stream[1].at.packets, w->stream[1].end);
	world_destroy(w);
}

static void
an_upstream_that_is_silent_is_no_better_than_one_that_fails(void **state)
{
	struct world *w = world_create_for(WINDOW, 2, 10 * MINUTE);

	(void)state;
	set_manner(w, IS_SILENT, 0);
	world_grow(w, 1, 100);
	world_grow(w, 2, 100);
	world_run(w, 12 * MINUTE);
	assert_int_equal(world_letters(w, 1, DEAD), 100);
	assert_int_equal(world_letters(w, 2, DEAD), 100);
	world_destroy(w);
}

static void
posts_that_fail_though_questions_are_answered_are_no_progress(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, 10 * MINUTE);

	(void)state;
	set_manner(w, FAILS, 503);
	w->stream[1].at.posts_only = true;
	world_grow(w, 1, 100);
	world_run(w, 11 * MINUTE);
	assert_int_equal(world_letters(w, 1, DEAD), 100);
	world_destroy(w);
}

/* A slow way: three streams, hours of backlog, ten minutes of patience,
 * and now and then the connection breaks. */
static void
what_only_waits_for_its_turn_is_never_demoted(void **state)
{
	struct world *w = world_create_for(WINDOW, 3, 10 * MINUTE);

	(void)state;
	w->link_bps = 50000;
	world_grow_all(w, 40000);
	for (int i = 0; i < 60; i++) {
		world_run(w, 4 * MINUTE);
		set_manner(w, FAILS, 0);
		world_run(w, 20 * SECOND);
		set_manner(w, ACCEPTS, 0);
	}
	assert_int_equal(w->demotes, 0);
	assert_true(w->stream[3].at.packets > 10000);
	assert_true(w->stream[3].at.packets < 40000);
	world_destroy(w);
}

static void
a_stream_that_stands_still_is_demoted_alone(void **state)
{
	struct world *w = world_create_for(WINDOW, 4, HOUR);

	(void)state;
	w->stream[2].at.manner = LIES;
	w->stream[2].at.posts_only = true;
	w->stream[3].at.manner = REFUSES;
	w->stream[3].at.status = 404;
	world_grow_all(w, 3000);
	pass(w, 1, HOUR - 10 * SECOND);
	assert_int_equal(w->demotes, 0);
	pass(w, 1, 12 * MINUTE);
	assert_int_equal(world_letters(w, 2, DEAD), 3000);
	assert_int_equal(world_letters(w, 3, DEAD), 3000);
	assert_int_equal(w->stream[1].demotes + w->stream[4].demotes, 0);
	assert_memory_equal(w->stream[3].dead_text, "status 404", 10);
	w->stream[2].at.manner = w->stream[3].at.manner = ACCEPTS;
	world_run(w, HOUR);
	for (uint32_t id = 1; id <= 4; id++)
		assert_whole(w, id);
	world_destroy(w);
}

/* The upstream may have its numbers already. */
static void
a_relay_that_went_back_demotes_nothing(void **state)
{
	struct world *w = world_create_for(WINDOW, 2, HOUR);

	(void)state;
	w->stream[1].own = false;
	w->stream[1].at.tells = true;
	world_has(w, 1, 1, 600, 0);
	world_grow(w, 1, 500);
	world_run(w, MINUTE);
	/* The upstream is well; then it fails. */
	set_manner(w, FAILS, 0);
	pass(w, 2, 3 * HOUR);
	assert_true(w->stream[2].demotes > 0);
	assert_int_equal(w->stream[1].demotes, 0);
	world_destroy(w);
}

/* A request may hang for longer than `retry_for`, while others fail, and
 * arrive all the same. */
static void
what_is_under_way_is_not_given_up(void **state)
{
	struct world *w = world_create_for(WINDOW, 2, 5 * SECOND);

	(void)state;
	world_grow(w, 1, 10);
	world_run(w, 21);
	assert_int_equal(w->flights, 1);
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		w->flight[i].due_ms += 50 * SECOND;
	w->stream[2].at.manner = FAILS;
	pass(w, 2, 48 * SECOND);
	assert_int_equal(w->stream[1].demotes, 0);
	assert_true(w->stream[2].demotes > 0);
	world_run(w, 5 * SECOND);
	assert_int_equal(w->stream[1].at.packets, 10);
	assert_int_equal(w->stream[1].demotes, 0);
	world_destroy(w);
}

/* Each back-off is short, as it lies half a minute behind the last one. */
static void
posts_that_hang_though_questions_are_answered_are_no_progress(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, 10 * MINUTE);

	(void)state;
	set_manner(w, IS_SILENT, 0);
	w->stream[1].at.posts_only = true;
	world_grow(w, 1, 100);
	world_run(w, 12 * MINUTE);
	assert_int_equal(world_letters(w, 1, DEAD), 100);
	world_destroy(w);
}

/* --- clocks and restarts ------------------------------------------------ */

/* A process that was stopped did not try. */
static void
a_leap_of_the_clock_demotes_nothing(void **state)
{
	static const uint64_t leaps[] = { MINUTE, 10 * HOUR, 1000 * HOUR };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world *w = world_create_for(WINDOW, 1, HOUR);

		set_manner(w, FAILS, 0);
		pass(w, 1, 30 * MINUTE);
		w->now_ms += leaps[i];
		pass(w, 1, 29 * MINUTE);
		assert_int_equal(w->demotes, 0);
		pass(w, 1, 2 * MINUTE);
		assert_true(w->demotes > 0);
		assert_in_range(world_letters(w, 1, DEAD), 1, 600);
		world_destroy(w);
	}
}

static void
leaps_without_end_count_little_each(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);

	(void)state;
	set_manner(w, FAILS, 0);
	world_grow(w, 1, 100);
	for (int i = 0; i < 1700; i++) {
		world_run(w, 1);
		w->now_ms += HOUR;
	}
	assert_int_equal(w->demotes, 0);
	world_destroy(w);
}

static void
a_restart_neither_loses_nor_jumps_time(void **state)
{
	static const uint64_t off[] = { 0, MINUTE, 72 * HOUR };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world *w = world_create_for(WINDOW, 1, HOUR);

		set_manner(w, FAILS, 0);
		for (int part = 0; part < 6; part++) {
			pass(w, 1, 590 * SECOND);
			pb_ship_touch(w->ship, true);
			world_report(w);
			/* A boot begins the clock anew. */
			w->now_ms = i == 1 ? 50 : w->now_ms + off[i];
			world_restart(w);
		}
		assert_int_equal(w->demotes, 0);
		pass(w, 1, 70 * SECOND);
		assert_true(w->demotes > 0);
		assert_in_range(world_letters(w, 1, DEAD), 1, 600);
		world_destroy(w);
	}
}

/* What was last written down, after a kill, is old by two minutes. */
static void
a_kill_loses_two_minutes_of_an_hour_of_waiting(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);

	(void)state;
	set_manner(w, FAILS, 0);
	world_grow(w, 1, 100);
	for (int i = 0; i < 50 * 60; i++) {
		world_run(w, SECOND);
		world_report(w);	/* what has changed, as the loop does */
	}
	world_restart(w);
	world_run(w, 9 * MINUTE);
	assert_int_equal(w->demotes, 0);
	world_run(w, 4 * MINUTE);
	assert_int_equal(world_letters(w, 1, DEAD), 100);
	world_destroy(w);
}

/* One stream was refused for most of an hour; the others' upstream was
 * well, and fails only now. */
static void
after_a_restart_the_others_are_no_older_than_they_are(void **state)
{
	struct world *w = world_create_for(WINDOW, 2, HOUR);

	(void)state;
	w->stream[1].at.manner = REFUSES;
	w->stream[1].at.status = 404;
	world_grow(w, 1, 100);
	pass(w, 2, 55 * MINUTE);
	set_manner(w, FAILS, 0);
	pass(w, 2, MINUTE);
	pb_ship_touch(w->ship, false);
	world_report(w);
	world_restart(w);
	pass(w, 2, 10 * MINUTE);
	assert_int_equal(world_letters(w, 1, DEAD), 100);
	assert_int_equal(w->stream[2].demotes, 0);
	pass(w, 2, 47 * MINUTE);
	assert_int_equal(w->stream[2].demotes, 0);
	pass(w, 2, 3 * MINUTE);
	assert_true(w->stream[2].demotes > 0);
	world_destroy(w);
}

/* What waited for its turn for hours did not wait for a dead upstream. */
static void
after_a_restart_an_old_backlog_has_all_of_its_patience(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);

	(void)state;
	w->link_bps = 50000;
	world_grow(w, 1, 100000);
	world_run(w, 2 * HOUR);
	pb_ship_touch(w->ship, false);
	world_report(w);
	world_restart(w);
	set_manner(w, FAILS, 0);
	world_run(w, HOUR - MINUTE);
	assert_int_equal(w->demotes, 0);
	world_run(w, 3 * MINUTE);
	assert_true(w->demotes > 0);
	world_destroy(w);
}

static void
what_was_demoted_before_a_kill_is_not_demoted_again(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);

	(void)state;
	set_manner(w, FAILS, 0);
	world_grow(w, 1, 100);
	world_run(w, 59 * MINUTE);
	world_report(w);
	world_run(w, 2 * MINUTE);
	assert_int_equal(world_letters(w, 1, DEAD), 100);
	world_restart(w);	/* the letters are there, the report is old */
	pass(w, 1, 2 * HOUR);
	set_manner(w, ACCEPTS, 0);
	world_run(w, MINUTE);
	assert_whole(w, 1);
	world_destroy(w);
}

/* --- refused ------------------------------------------------------------ */

/* Whoever mends `allow` within `retry_for` loses nothing; after it what
 * waited so long is a letter, and what is fresh waits on. */
static void
a_forbidden_stream_waits_as_long_as_any_other(void **state)
{
	static const bool posts_only[] = { false, true };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct world *w = world_create_for(WINDOW, 3, HOUR);
		struct world_stream *s = &w->stream[2];

		s->at.manner = REFUSES;
		s->at.status = i < 2 ? 403 : 401;
		s->at.posts_only = posts_only[i % 2];
		world_grow_all(w, 5000);
		world_run(w, 3 * SECOND);
		assert_whole(w, 1);
		assert_whole(w, 3);
		pass(w, 2, HOUR - MINUTE);
		assert_int_equal(w->demotes, 0);
		pass(w, 2, 3 * MINUTE);
		assert_in_range(world_letters(w, 2, DEAD), 5000, 5200);
		assert_int_equal(s->dead.reason, PB_DEAD_STALE);
		s->at.manner = ACCEPTS;
		world_run(w, 6 * MINUTE);
		assert_whole(w, 2);
		assert_in_range(s->at.gaps, 5000, 5200);
		world_destroy(w);
	}
}

static void
exactly_what_is_malformed_is_demoted_and_blocks_nothing(void **state)
{
	static const int statuses[] = { 400, 422 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *w = world_create_for(WINDOW, 2, HOUR);
		struct world_stream *s = &w->stream[1];
		uint64_t first, last;

		world_warm(w, 2);
		s->at.bad_first = s->at.bad_last = 3500;
		s->at.bad_status = statuses[i];
		world_grow(w, 1, 20000);
		world_run(w, 10 * SECOND);
		assert_whole(w, 1);
		for (first = 1; world_letter(s, first) != DEAD; first++)
			;
		last = world_run_of(s, first, 20000);
		assert_int_equal(world_letters(w, 1, DEAD), last - first + 1);
		assert_in_range(last - first + 1, 1, EXTENT_PACKETS);
		assert_in_range(3500, first, last);
		assert_int_equal(s->dead.reason, PB_DEAD_MALFORMED);
		assert_int_equal(s->dead.status, statuses[i]);
		assert_int_equal(s->dead.attempts, i + 1);
		assert_int_equal(s->demotes, 1);
		assert_int_equal(s->at.gap_posts, 1);
		assert_int_equal(w->stream[2].demotes, 0);
		world_destroy(w);
	}
}

static void
a_body_that_broke_on_the_way_is_sent_once_more(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);

	(void)state;
	w->stream[1].at.bad_first = 30;
	w->stream[1].at.bad_last = 40;
	w->stream[1].at.bad_status = 422;
	w->stream[1].at.bad_times = 1;
	world_grow(w, 1, 5000);
	world_run(w, 10 * SECOND);
	assert_int_equal(w->stream[1].at.packets, 5000);
	assert_int_equal(w->demotes, 0);
	world_destroy(w);
}

/* --- the work of it ----------------------------------------------------- */

/* Thousands of segments: one call a turn, and the others are served. */
static void
a_large_backlog_is_demoted_in_parts_between_other_work(void **state)
{
	struct world *w = world_create_for(WINDOW, 2, MINUTE);
	uint64_t most = 0, begin;

	(void)state;
	w->demote_max = 64;	/* as if each number were a segment */
	w->stream[1].at.manner = REFUSES;
	w->stream[1].at.status = 403;
	world_grow(w, 1, 64 * 3000);
	world_run(w, MINUTE - SECOND);
	begin = w->now_ms;
	while (world_letters(w, 1, DEAD) < 64 * 3000) {
		unsigned before = w->demotes;

		world_grow(w, 2, w->stream[2].end + 10);
		world_run(w, 1);
		if (w->demotes - before > most)
			most = w->demotes - before;
		assert_true(w->now_ms < begin + MINUTE);
	}
	assert_int_equal(w->demotes, 3000);
	assert_true(most <= 2);
	world_run(w, SECOND);
	assert_whole(w, 2);
	/* One line for the refusal, one for the letters. */
	assert_int_equal(w->warnings, 2);
	world_destroy(w);
}

static void
many_streams_are_demoted_in_turns(void **state)
{
	struct world *w = world_create_for(WINDOW, 1000, 10 * MINUTE);

	(void)state;
	set_manner(w, FAILS, 0);
	world_grow_all(w, 10);
	world_run(w, 11 * MINUTE);
	for (uint32_t id = 1; id <= 1000; id++)
		assert_int_equal(world_letters(w, id, DEAD), 10);
	assert_int_equal(w->demotes, 1000);
	world_destroy(w);
}

static void
a_demotion_that_fails_is_told_once_and_tried_again(void **state)
{
	struct world *w = world_create_for(WINDOW, 2, 10 * MINUTE);
	struct world_stream *s = &w->stream[1];

	(void)state;
	w->cannot_demote = true;
	s->at.bad_first = s->at.bad_last = 5;
	s->at.bad_status = 400;
	world_grow(w, 1, 3000);
	world_grow(w, 2, 3000);
	world_run(w, 30 * SECOND);
	assert_in_range(w->demotes, 25, 31);
	assert_int_equal(w->warnings, 1);
	assert_int_equal(memory(w, 1).released, 0);
	assert_whole(w, 2);
	/* The refused request is not sent again and again meanwhile. */
	assert_int_equal(s->at.posts, 1);
	w->cannot_demote = false;
	world_run(w, 5 * SECOND);
	assert_whole(w, 1);
	world_destroy(w);
}

static void
an_upstream_that_returns_gets_what_is_not_demoted_yet(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, 10 * MINUTE);
	uint64_t dead;

	(void)state;
	w->demote_max = 10;
	set_manner(w, FAILS, 0);
	world_grow(w, 1, 500000);
	while (w->demotes < 20)
		world_run(w, 1);
	set_manner(w, ACCEPTS, 0);
	world_run(w, 3 * MINUTE);
	dead = world_letters(w, 1, DEAD);
	assert_in_range(dead, 200, 400000);
	assert_whole(w, 1);
	world_destroy(w);
}

/*
 * Goal:   an upstream that returns with an older store gets all there is.
 * Method: letters in the middle, the oldest segments expired since.
 */
static void
an_upstream_with_an_older_store_gets_what_is_left(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, HOUR);
	struct world_stream *s = &w->stream[1];
	uint64_t packets = 0;

	(void)state;
	s->at.bad_first = s->at.bad_last = 2500;
	s->at.bad_status = 400;
	world_grow(w, 1, 5000);
	world_run(w, 10 * SECOND);
	assert_whole(w, 1);
	s->at.bad_status = 0;
	/* It comes back with the first 100; 1 to 1000 are gone here. */
	for (uint64_t seq = 101; seq <= 5000; seq++)
		*world_number(s, seq) = (struct number){
		    .letter = world_number(s, seq)->letter };
	s->at = (struct receiver){ .acked = 100, .packets = 100 };
	s->first = 1001;
	world_run(w, PB_RECHECK_MS + MINUTE);
	assert_int_equal(s->at.acked, 5000);
	for (uint64_t seq = 101; seq <= 5000; seq++) {
		const struct number *n = world_number(s, seq);

		assert_int_equal(n->told, seq <= 1000 || n->letter == DEAD);
		assert_int_equal(n->got, !n->told);
		packets += n->got;
	}
	assert_int_equal(s->at.packets, 100 + packets);
	assert_true(memory(w, 1).released == 5000);
	/* And the letters are still good to be sent. */
	world_requeue(w, 1, 1, 5000);
	world_run(w, 10 * SECOND);
	assert_int_equal(s->at.gaps, 900);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    who_is_not_to_be_sent_to_makes_nothing_stale),
		cmocka_unit_test(
		    what_waited_too_long_is_demoted_and_what_is_fresh_arrives),
		cmocka_unit_test(without_a_bound_everything_is_kept_for_ever),
		cmocka_unit_test(
	    an_upstream_that_is_silent_is_no_better_than_one_that_fails),
		cmocka_unit_test(
	    posts_that_fail_though_questions_are_answered_are_no_progress),
		cmocka_unit_test(
	    posts_that_hang_though_questions_are_answered_are_no_progress),
		cmocka_unit_test(what_only_waits_for_its_turn_is_never_demoted),
		cmocka_unit_test(a_stream_that_stands_still_is_demoted_alone),
		cmocka_unit_test(
		    a_relay_that_went_back_demotes_nothing),
		cmocka_unit_test(what_is_under_way_is_not_given_up),
		cmocka_unit_test(a_leap_of_the_clock_demotes_nothing),
		cmocka_unit_test(leaps_without_end_count_little_each),
		cmocka_unit_test(a_restart_neither_loses_nor_jumps_time),
		cmocka_unit_test(
		    a_kill_loses_two_minutes_of_an_hour_of_waiting),
		cmocka_unit_test(
		    after_a_restart_the_others_are_no_older_than_they_are),
		cmocka_unit_test(
		    after_a_restart_an_old_backlog_has_all_of_its_patience),
		cmocka_unit_test(
		    what_was_demoted_before_a_kill_is_not_demoted_again),
		cmocka_unit_test(a_forbidden_stream_waits_as_long_as_any_other),
		cmocka_unit_test(
		    exactly_what_is_malformed_is_demoted_and_blocks_nothing),
		cmocka_unit_test(
		    a_body_that_broke_on_the_way_is_sent_once_more),
		cmocka_unit_test(
		    a_large_backlog_is_demoted_in_parts_between_other_work),
		cmocka_unit_test(many_streams_are_demoted_in_turns),
		cmocka_unit_test(
		    a_demotion_that_fails_is_told_once_and_tried_again),
		cmocka_unit_test(
		    an_upstream_that_returns_gets_what_is_not_demoted_yet),
		cmocka_unit_test(
		    an_upstream_with_an_older_store_gets_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
