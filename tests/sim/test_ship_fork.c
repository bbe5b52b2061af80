/*
 * tests/sim/test_ship_fork.c - an older copy that goes on, and what becomes
 * of its packets
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/ship_restored.h"

static void
a_copy_past_the_receivers_number_goes_on_as_another_stream(void **state)
{
	struct world *w = restored(5, 15, 25);

	(void)state;
	go(w);
	assert_all_there(w, 5);
	assert_in_range(w->stream[1].at.asks, 2, 8);
	/* It is the stream that grows from now on. */
	world_grow(w, 1, 5000);
	world_run(w, 10 * SECOND);
	assert_all_there(w, 5);
	assert_int_equal(w->streams, 2);
	assert_int_equal(w->warnings, 0);
	world_destroy(w);
}

static void
a_copy_that_has_nothing_new_waits_until_it_has(void **state)
{
	struct world *w = restored(5, 15, 5);

	(void)state;
	go(w);
	assert_int_equal(w->stream[1].fork, 0);
	assert_int_equal(world_status(w).refused, 1);
	world_ours(w, 1, 6, 8, 2);
	world_grow(w, 1, 8);
	world_run(w, SECOND);
	assert_all_there(w, 5);
	assert_int_equal(world_status(w).refused, 0);
	world_destroy(w);
}

/* All that the receiver has is ours: nothing has happened. */
static void
a_copy_whose_packets_were_sent_goes_on_as_ever(void **state)
{
	struct world *w = restored(5, 5, 25);

	(void)state;
	go(w);
	assert_int_equal(w->stream[1].fork, 0);
	assert_int_equal(w->stream[1].at.packets, 25);
	assert_int_equal(w->stream[1].at.asks, 1);
	world_destroy(w);
}

static void
the_last_common_packet_is_found_by_halves(void **state)
{
	static const uint64_t common[] = { 0, 1, 2, 99998, 99999, 65536,
	    12345, 54321 };

	(void)state;
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		struct world *w = restored(common[i], 100000, 150000);

		go(w);
		assert_all_there(w, common[i]);
		assert_in_range(w->stream[1].at.asks, 2, 22);
		world_destroy(w);
	}
}

/* What it remembers is a good guess, and mostly all there is to know. */
static void
what_was_confirmed_last_is_asked_about_first(void **state)
{
	struct world *w = restored(70000, 100000, 150000);

	(void)state;
	w->stream[1].memory = (struct pb_ship_cursor){ .acked = 70000,
	    .released = 70000, .sure = world_print(70000, 0) };
	world_restart(w);
	world_run(w, 10 * SECOND);
	assert_all_there(w, 70000);
	assert_int_equal(w->stream[1].at.asks, 4);
	world_destroy(w);
}

/* One question is asked and one packet read by a shipper that starts,
 * whether or not it has just sent; then nothing. */
static void
an_idle_stream_is_proven_with_one_look_a_start(void **state)
{
	struct world *w = restored(0, 0, 3000);

	(void)state;
	go(w);
	assert_int_equal(w->stream[1].at.packets, 3000);
	assert_int_equal(w->stream[1].belows, 0);
	world_report(w);
	assert_int_equal(w->stream[1].memory.sure.seq, 3000);
	world_restart(w);
	world_run(w, 10 * SECOND);
	world_run(w, 3 * PB_RECHECK_MS);
	assert_int_equal(w->stream[1].belows, 1);
	assert_int_equal(w->stream[1].at.packets, 3000);
	assert_int_equal(w->stream[1].at.repeats, 0);
	/* What a relay has is its edge's: that one looks. */
	w->stream[1].own = false;
	world_restart(w);
	world_run(w, 10 * SECOND);
	assert_int_equal(w->stream[1].belows, 1);
	world_destroy(w);
}

/* Also where it was cut otherwise, and nobody remembers how. */
static void
a_cut_copy_is_the_same_stream(void **state)
{
	struct world *w = restored(0, 0, 3000);
	uint64_t end = 3000;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		w->stream[1].snaplen = (unsigned char)(i % 3 * 60);
		world_grow(w, 1, end += 100);
		world_run(w, 10 * SECOND);
		world_report(w);
		if (i % 2 == 1)
			memset(&w->stream[1].memory, 0,
			    sizeof(w->stream[1].memory));
		world_restart(w);
		world_run(w, 10 * SECOND);
	}
	assert_int_equal(w->stream[1].fork, 0);
	assert_int_equal(w->stream[1].at.acked, end);
	assert_int_equal(w->stream[1].at.packets, end);
	assert_int_equal(w->stream[1].at.repeats, 0);
	assert_int_equal(w->warnings, 0);
	world_destroy(w);
}

/* And one that is not, is not, however few of its bytes are there. */
static void
another_packet_that_was_cut_is_another_stream(void **state)
{
	struct world *w = restored(5, 15, 25);

	(void)state;
	for (uint64_t seq = 1; seq <= 15; seq++)
		world_number(&w->stream[1], seq)->captured = 60;
	go(w);
	assert_all_there(w, 5);
	world_destroy(w);
}

/* All of it was sent, and then expired. */
static void
what_was_confirmed_will_do_where_it_has_gone(void **state)
{
	struct world *w = restored(100, 100, 100);

	(void)state;
	w->stream[1].first = 101;
	w->stream[1].memory = (struct pb_ship_cursor){ .acked = 100,
	    .released = 100, .sure = world_print(100, 0) };
	world_restart(w);
	world_run(w, 10 * SECOND);
	world_grow(w, 1, 120);
	world_run(w, 10 * SECOND);
	assert_int_equal(w->stream[1].at.packets, 120);
	assert_int_equal(w->stream[1].fork, 0);
	assert_int_equal(w->warnings, 0);
	world_destroy(w);
}

/* Segments were put back, and not what the shipper remembers. */
static void
a_memory_younger_than_the_store_proves_nothing(void **state)
{
	static const uint64_t here[] = { 80, 100, 120 };

	(void)state;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
		struct world *w = restored(60, 100, here[i]);

		w->stream[1].memory = (struct pb_ship_cursor){ .acked = 100,
		    .released = 100, .sure = world_print(100, 1) };
		world_restart(w);
		world_run(w, 10 * SECOND);
		assert_all_there(w, 60);
		world_destroy(w);
	}
}

static void
a_shipper_that_forgot_everything_finds_the_fork_again(void **state)
{
	struct world *w = restored(5, 15, 25);

	(void)state;
	go(w);
	assert_all_there(w, 5);
	/* Nothing of it is remembered; the numbers show it. */
	for (unsigned i = 0; i < 3; i++) {
		w->stream[1].memory = w->stream[2].memory =
		    (struct pb_ship_cursor){ .acked = 0 };
		world_restart(w);
		world_run(w, 10 * SECOND);
		assert_all_there(w, 5);
		assert_int_equal(w->stream[2].at.repeats, 0);
	}
	world_destroy(w);
}

static void
a_shipper_killed_at_any_question_forks_once(void **state)
{
	(void)state;
	for (uint64_t ms = 0; ms < 600; ms += 7) {
		struct world *w = restored(12345, 50000, 60000);

		world_grow(w, 1, 60000);
		world_run(w, ms);
		world_report(w);
		world_restart(w);
		world_run(w, 10 * SECOND);
		assert_all_there(w, 12345);
		assert_int_equal(w->streams, 2);
		world_destroy(w);
	}
}

static void
a_copy_of_a_copy_forks_again(void **state)
{
	struct world *w = restored(5, 15, 10);

	(void)state;
	go(w);
	assert_all_there(w, 5);
	/* 8 of ours were kept by the next copy; it went on to 20 before. */
	world_ours(w, 2, 9, 30, 3);
	world_ours(w, 1, 9, 30, 3);
	world_has(w, 2, 9, 20, 4);
	world_restart(w);
	world_grow(w, 1, 30);
	world_run(w, 10 * SECOND);
	assert_int_equal(w->streams, 3);
	assert_int_equal(w->stream[2].fork_last, 8);
	assert_int_equal(w->stream[3].at.packets, 22);
	assert_int_equal(w->stream[3].at.gaps, 8);
	world_destroy(w);
}

/* The receiver comes back without anything: each part is sent again. */
static void
a_receiver_that_was_wiped_gets_both_parts(void **state)
{
	struct world *w = restored(500, 800, 2500);

	(void)state;
	go(w);
	assert_all_there(w, 500);
	for (unsigned id = 1; id <= 2; id++) {
		free(w->stream[id].number);
		w->stream[id].number = NULL;
		w->stream[id].numbers = 0;
		memset(&w->stream[id].at, 0, sizeof(w->stream[id].at));
		w->stream[id].at.tells = true;
	}
	world_run(w, 2 * PB_RECHECK_MS);
	assert_int_equal(w->stream[1].at.packets, 500);
	assert_int_equal(w->stream[2].at.packets, 2000);
	assert_int_equal(w->stream[2].at.gaps, 500);
	assert_int_equal(w->stream[2].at.repeats, 0);
	world_destroy(w);
}

/* It was put back, and has what it had then. */
static void
a_receiver_that_went_back_gets_what_is_left(void **state)
{
	struct world *w = restored(0, 0, 3000);
	struct world_stream *s = &w->stream[1];

	(void)state;
	go(w);
	s->at.acked = 1000;
	for (uint64_t seq = 1001; seq <= 3000; seq++)
		world_number(s, seq)->got = 0;
	world_run(w, 2 * PB_RECHECK_MS);
	assert_int_equal(s->fork, 0);
	assert_int_equal(s->at.acked, 3000);
	assert_int_equal(s->at.packets, 5000);
	assert_int_equal(s->at.repeats, 0);
	world_destroy(w);
}

/* --- what cannot be read ------------------------------------------------ */

/* No descriptor, no memory: it is no packet that is missing. */
static void
what_cannot_be_read_now_is_tried_again(void **state)
{
	struct world *w = restored(5, 15, 25);

	(void)state;
	w->stream[1].broken = true;
	go(w);
	assert_int_equal(w->stream[1].at.posts, 0);
	assert_int_equal(w->stream[1].fork, 0);
	assert_non_null(strstr(world_status(w).last_error, "disk is gone"));
	w->stream[1].broken = false;
	world_run(w, 60 * SECOND);
	assert_all_there(w, 5);
	world_destroy(w);
}

/* One bad sector there is no reason to send it nothing. */
static void
what_the_receiver_cannot_read_holds_up_one_stream(void **state)
{
	struct world *w = restored(5, 15, 25);

	(void)state;
	w->stream[2] = (struct world_stream){ .own = true, .first = 1,
	    .packet_bytes = PACKET_BYTES };
	w->streams = 2;
	w->stream[1].at.at_status = 503;
	go(w);
	for (uint64_t end = 1; end <= 60; end++) {
		world_grow(w, 2, end);
		world_run(w, SECOND);
		assert_int_equal(w->stream[2].at.acked, end);
		assert_int_equal(world_status(w).attempts, 0);
	}
	assert_int_equal(w->stream[1].at.posts, 0);
	assert_int_equal(world_status(w).refused, 1);
	assert_in_range(w->stream[1].at.asks, 5, 60);
	w->stream[1].at.at_status = 0;
	world_run(w, 60 * SECOND);
	assert_all_there(w, 5);
	world_destroy(w);
}

/* --- what is missing ---------------------------------------------------- */

/* The packet there is the highest is not here any more; one below it is. */
static void
a_lower_packet_that_both_have_will_do(void **state)
{
	struct world *w = restored(1000, 1000, 1500);

	(void)state;
	w->stream[1].gap_first = 900;
	w->stream[1].gap_last = 1100;
	w->stream[1].gap_recorded = true;
	go(w);
	assert_int_equal(w->stream[1].fork, 0);
	assert_int_equal(w->stream[1].at.asks, 2);
	assert_int_equal(w->stream[1].at.acked, 1500);
	assert_int_equal(w->stream[1].at.packets, 1400);
	world_destroy(w);
}

static void
where_nothing_can_be_compared_it_says_so_once(void **state)
{
	struct world *w = restored(500, 500, 1500);

	(void)state;
	w->stream[1].first = 900;
	go(w);
	assert_int_equal(w->stream[1].fork, 0);
	assert_int_equal(w->stream[1].at.packets, 500 + 601);
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->last_event, "without a proof"));
	world_run(w, 3 * PB_RECHECK_MS);
	assert_int_equal(w->warnings, 1);
	world_destroy(w);
}

/* It told which is its last packet once, and does not any more. */
static void
a_receiver_that_does_not_tell_any_more_is_named_once(void **state)
{
	struct world *w = restored(500, 500, 1500);

	(void)state;
	go(w);
	assert_int_equal(w->warnings, 0);
	w->stream[1].at.tells = false;
	world_run(w, 3 * PB_RECHECK_MS);
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->last_event, "without a proof"));
	world_destroy(w);
}

/* The store that was put back had told of a gap past all that is here. */
static void
a_gap_past_the_end_is_another_stores(void **state)
{
	struct world *w = restored(5, 5, 12);

	(void)state;
	w->stream[1].at.acked = 20;
	go(w);
	assert_all_there(w, 5);
	world_destroy(w);
}

/*
 * Goal:   what is sent late of a part that is closed is proven, too.
 * Method: after a fork another receiver has the name, and other packets.
 */
static void
a_closed_part_is_proven_once_a_start(void **state)
{
	struct world *w = restored(500, 800, 2500);
	struct world_stream *s = &w->stream[1];
	unsigned asks;

	(void)state;
	go(w);
	assert_all_there(w, 500);
	asks = s->at.asks;
	world_restart(w);
	world_run(w, 2 * PB_RECHECK_MS);
	assert_int_equal(s->at.asks, asks + 3);
	world_has(w, 1, 401, 500, 1);
	for (uint64_t seq = 401; seq <= 500; seq++)
		world_number(s, seq)->letter = DEAD;
	world_restart(w);
	world_requeue(w, 1, 401, 500);
	world_run(w, HOUR);
	assert_int_equal(s->at.posts, 0);
	assert_int_equal(world_letters(w, 1, REQUEUED), 100);
	assert_int_equal(world_status(w).refused, 1);
	assert_non_null(strstr(world_status(w).last_error, "same name"));
	assert_int_equal(w->warnings, 1);
	world_has(w, 1, 401, 500, 0);
	world_run(w, 10 * SECOND + PB_REFUSED_MS_MAX);
	assert_int_equal(world_letters(w, 1, REQUEUED), 0);
	assert_int_equal(world_status(w).refused, 0);
	world_destroy(w);
}

/* 61 .. 100 are gaps there; all the packets are here. */
static struct world *
with_a_gap_there(void)
{
	struct world *w = restored(60, 60, 120);
	struct receiver *r = &w->stream[1].at;

	for (; r->acked < 100; r->gaps++)
		world_number(&w->stream[1], ++r->acked)->told = true;
	return w;
}

/* They were letters of the store that was put back. */
static void
a_gap_that_this_store_never_told_is_another_stores(void **state)
{
	struct world *w = with_a_gap_there();

	(void)state;
	go(w);
	assert_all_there(w, 60);
	world_destroy(w);
}

/* With nothing remembered; with letters behind it that go again; or with
 * letters long gone that were told. */
static void
a_gap_that_was_told_from_here_is_no_fork(void **state)
{
	static const enum letter letters[] = { DEAD, REQUEUED, GONE,
	    NO_LETTER };

	(void)state;
	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
		struct world *w = with_a_gap_there();
		struct world_stream *s = &w->stream[1];

		for (uint64_t seq = 61; seq <= 100; seq++)
			world_number(s, seq)->letter = (unsigned char)
			    (seq > 70 ? letters[i] : DEAD);
		if (letters[i] == NO_LETTER)
			s->memory = (struct pb_ship_cursor){ .acked = 100,
			    .released = 100 };
		world_restart(w);
		go(w);
		assert_int_equal(s->fork, 0);
		assert_int_equal(s->at.acked, 120);
		assert_int_equal(s->at.gaps, letters[i] == REQUEUED ? 10 : 40);
		world_destroy(w);
	}
}

static void
after_too_many_epochs_it_is_refused_and_says_so(void **state)
{
	struct world *w = restored(5, 15, 25);

	(void)state;
	w->cannot_fork = true;
	go(w);
	assert_int_equal(w->stream[1].at.posts, 0);
	assert_int_equal(world_status(w).refused, 1);
	assert_non_null(strstr(world_status(w).last_error, "too many epochs"));
	w->cannot_fork = false;
	world_run(w, HOUR);
	assert_all_there(w, 5);
	world_destroy(w);
}

static void
a_question_lost_on_the_way_begins_anew(void **state)
{
	struct world *w = restored(12345, 50000, 60000);

	(void)state;
	world_grow(w, 1, 60000);
	for (unsigned i = 0; i < 20; i++) {
		world_run(w, 90);
		w->stream[1].at.manner = i % 3 == 0 ? FAILS : ACCEPTS;
	}
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, HOUR / 60);
	assert_all_there(w, 12345);
	world_destroy(w);
}

/*
 * Goal:   whatever is missing at either side, no packet that is here is lost.
 * Method: random branches and random holes: each of our packets is there,
 *         as ours, in the one stream or in the other.
 */
static void
no_packet_is_lost_whatever_is_missing(void **state)
{
	struct world *seeds = world_create(WINDOW, 1);

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t common = world_random(seeds) % 60;
		uint64_t there = common + world_random(seeds) % 60;
		uint64_t here = common + 1 + world_random(seeds) % 60;
		struct world *w = restored(common, there, here);
		struct world_stream *s = &w->stream[1], *f;

		for (unsigned i = 0; i < 10; i++)
			world_number(s, 1 + world_random(seeds) % 120)->got = 0;
		s->gap_first = 1 + world_random(seeds) % here;
		s->gap_last = s->gap_first + world_random(seeds) % 10;
		s->gap_recorded = true;
		w->stream[1].own = round % 4 > 0;
		go(w);
		f = &w->stream[s->fork];
		for (uint64_t seq = common + 1; seq <= here; seq++) {
			bool one = seq <= s->at.acked && world_number(s,
			    seq)->got > 0 && world_number(s, seq)->theirs == 2;
			bool two = s->fork != 0 && world_number(f,
			    seq)->got > 0 && world_number(f, seq)->theirs == 2;

			if (world_missing(s, seq))
				continue;
			/* A hole that was told there is on record. */
			assert_true(one || two || s->at.acked > here ||
			    world_number(s, seq)->got == 0);
			assert_false(one && two);
		}
		world_destroy(w);
	}
	world_destroy(seeds);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_copy_past_the_receivers_number_goes_on_as_another_stream),
		cmocka_unit_test(
		    a_copy_that_has_nothing_new_waits_until_it_has),
		cmocka_unit_test(
		    a_copy_whose_packets_were_sent_goes_on_as_ever),
		cmocka_unit_test(the_last_common_packet_is_found_by_halves),
		cmocka_unit_test(what_was_confirmed_last_is_asked_about_first),
		cmocka_unit_test(
		    an_idle_stream_is_proven_with_one_look_a_start),
		cmocka_unit_test(a_cut_copy_is_the_same_stream),
		cmocka_unit_test(another_packet_that_was_cut_is_another_stream),
		cmocka_unit_test(what_was_confirmed_will_do_where_it_has_gone),
		cmocka_unit_test(
		    a_memory_younger_than_the_store_proves_nothing),
		cmocka_unit_test(
		    a_shipper_that_forgot_everything_finds_the_fork_again),
		cmocka_unit_test(a_shipper_killed_at_any_question_forks_once),
		cmocka_unit_test(a_copy_of_a_copy_forks_again),
		cmocka_unit_test(a_receiver_that_was_wiped_gets_both_parts),
		cmocka_unit_test(a_receiver_that_went_back_gets_what_is_left),
		cmocka_unit_test(what_cannot_be_read_now_is_tried_again),
		cmocka_unit_test(
		    what_the_receiver_cannot_read_holds_up_one_stream),
		cmocka_unit_test(a_lower_packet_that_both_have_will_do),
		cmocka_unit_test(
		    where_nothing_can_be_compared_it_says_so_once),
		cmocka_unit_test(
		    a_receiver_that_does_not_tell_any_more_is_named_once),
		cmocka_unit_test(a_gap_past_the_end_is_another_stores),
		cmocka_unit_test(a_closed_part_is_proven_once_a_start),
		cmocka_unit_test(
		    a_gap_that_this_store_never_told_is_another_stores),
		cmocka_unit_test(a_gap_that_was_told_from_here_is_no_fork),
		cmocka_unit_test(
		    after_too_many_epochs_it_is_refused_and_says_so),
		cmocka_unit_test(a_question_lost_on_the_way_begins_anew),
		cmocka_unit_test(no_packet_is_lost_whatever_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
