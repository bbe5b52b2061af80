/*
 * tests/sim/test_ship_answers.c - what the shipper's state machine makes of
 * refusals, conflicts, gaps, and of a receiver that does anything at all
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/ship_scenes.h"

#define WINDOW	(64ull << 20)
#define HOUR_MS	3600000ull

/* --- refusals ----------------------------------------------------------- */

static void
one_refused_stream_holds_up_no_other(void **state)
{
	static const int status[] = { 400, 401, 403, 404, 411, 415, 422, 508 };

	(void)state;
	for (size_t i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
		struct world *w = world_create(WINDOW, 3);

		w->stream[2].at.manner = REFUSES;
		w->stream[2].at.status = status[i];
		w->stream[2].at.posts_only = i % 2 == 0;
		world_grow_all(w, 9999);
		world_run(w, 2000);
		assert_delivered(w, 1);
		assert_delivered(w, 3);
		assert_int_equal(w->stream[2].at.acked, 0);
		assert_int_equal(world_status(w).state, PB_SHIP_REFUSED);
		assert_int_equal(world_status(w).refused, 1);
		world_destroy(w);
	}
}

/* After 2 s, then after double the time, up to five minutes. */
static void
a_refused_stream_is_tried_again_soon_and_then_less_often(void **state)
{
	struct world *w = world_create(WINDOW, 1);
	uint64_t wait_ms = PB_REFUSED_MS_FIRST;

	(void)state;
	w->stream[1].at.manner = REFUSES;
	w->stream[1].at.status = 403;
	world_grow(w, 1, 100);
	world_run(w, 100);
	for (unsigned tries = 1; tries < 12; tries++) {
		assert_int_equal(w->actions, tries);
		world_run(w, wait_ms - 200);
		assert_int_equal(w->actions, tries);
		world_run(w, 200 + w->latency_ms);
		wait_ms = wait_ms * 2 < PB_REFUSED_MS_MAX ? wait_ms * 2 :
		    PB_REFUSED_MS_MAX;
	}
	/* One line for all of them. */
	assert_int_equal(w->warnings, 1);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, PB_REFUSED_MS_MAX + 1000);
	assert_delivered(w, 1);
	assert_int_equal(world_status(w).refused, 0);
	/* After that the next refusal is a first one again. */
	w->stream[1].at.manner = REFUSES;
	world_grow(w, 1, 200);
	world_run(w, 1000);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, PB_REFUSED_MS_FIRST + 1000);
	assert_delivered(w, 1);
	world_destroy(w);
}

static void
a_refused_stream_is_tried_at_once_where_someone_asks(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	w->stream[1].at.manner = REFUSES;
	w->stream[1].at.status = 403;
	world_grow(w, 1, 100);
	world_run(w, 400000);
	w->stream[1].at.manner = ACCEPTS;
	pb_ship_hurry(w->ship);
	world_run(w, 100);
	assert_delivered(w, 1);
	/* Likewise an upstream that backs off. */
	w->stream[1].at.manner = FAILS;
	world_grow(w, 1, 200);
	world_run(w, 400000);
	w->stream[1].at.manner = ACCEPTS;
	pb_ship_hurry(w->ship);
	world_run(w, 100);
	assert_delivered(w, 1);
	world_destroy(w);
}

/* --- something in front of the receiver --------------------------------- */

/* It answers all there is for as long as it pleases. */
static void
what_a_proxy_says_makes_no_dead_letters(void **state)
{
	static const int status[] = { 302, 400, 401, 403, 404, 405, 409, 413,
	    422, 508, 511, 200 };

	(void)state;
	for (size_t i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
		struct world *w = world_create_for(WINDOW, 3, 3600000);

		for (uint32_t id = 1; id <= 3; id++) {
			w->stream[id].at.manner = ANSWERS_WITHOUT_NUMBER;
			w->stream[id].at.status = status[i];
			world_grow(w, id, 5000);
		}
		world_run(w, 3000);
		assert_int_equal(world_status(w).state, PB_SHIP_BACKOFF);
		/* One question at a time, not one of each stream. */
		assert_in_range(w->actions, 2, 40);
		world_manner_all(w, ACCEPTS);
		world_run(w, 35000);
		assert_int_equal(w->demotes, 0);
		for (uint32_t id = 1; id <= 3; id++) {
			assert_delivered(w, id);
			assert_int_equal(w->stream[id].at.repeats, 0);
		}
		world_destroy(w);
	}
}

/* A filter dislikes the packets of one stream, and lets questions through:
 * that stream waits, is dead after `retry_for`, and no other is held up. */
static void
a_stream_that_a_proxy_stops_holds_up_no_other(void **state)
{
	struct world *w = world_create_for(WINDOW, 2, 60000);
	struct world_stream *s = &w->stream[1];

	(void)state;
	s->at.manner = ANSWERS_WITHOUT_NUMBER;
	s->at.posts_only = true;
	s->at.status = 403;
	world_grow(w, 1, 5000);
	for (unsigned i = 0; i < 50; i++) {
		world_grow(w, 2, w->stream[2].end + 100);
		world_run(w, 1000);
		assert_int_equal(world_status(w).state, PB_SHIP_REFUSED);
		assert_delivered(w, 2);
	}
	assert_int_equal(w->demotes, 0);
	world_run(w, 30000);
	assert_int_equal(world_letters(w, 1, DEAD), 5000);
	assert_int_equal(s->dead.reason, PB_DEAD_STALE);
	assert_non_null(strstr(s->dead_text, "something in front of it "
	    "answered 403"));
	world_destroy(w);
}

/* The way to make it pass is the same whoever says it is too large; but
 * what is too large for a proxy is never condemned. */
static void
what_is_too_large_for_a_proxy_is_halved_and_waits(void **state)
{
	struct world *w = world_create_for(WINDOW, 1, 3600000);
	struct receiver *r = &w->stream[1].at;

	(void)state;
	r->by_proxy = true;
	r->body_max = 70000;
	world_grow(w, 1, 5000);
	world_run(w, 10000);
	assert_delivered(w, 1);
	r->body_max = 500;	/* not even one packet */
	world_grow(w, 1, 6000);
	world_run(w, 60000);
	assert_int_equal(r->acked, 5000);
	r->body_max = 0;
	world_run(w, 60000);
	assert_delivered(w, 1);
	assert_int_equal(w->demotes, 0);
	/* And bodies grow again. */
	w->largest_body = 0;
	world_grow(w, 1, 50000);
	world_run(w, 10000);
	assert_true(w->largest_body > 70000);
	world_destroy(w);
}

static void
what_was_too_large_is_tried_again_after_an_hour(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].at.body_max = 70000;
	world_grow(w, 1, 5000);
	world_run(w, 10000);
	w->stream[1].at.body_max = 0;
	w->largest_body = 0;
	world_grow(w, 1, 10000);
	world_run(w, 10000);
	assert_true(w->largest_body <= 70000);
	world_run(w, PB_HALVED_MS);
	world_grow(w, 1, 20000);
	world_run(w, 10000);
	world_grow(w, 1, 40000);
	world_run(w, 10000);
	assert_true(w->largest_body > 70000);
	assert_delivered(w, 1);
	world_destroy(w);
}

static void
requests_too_large_are_halved_until_they_fit(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	world_warm(w, 2);
	w->stream[2].at.posts = 0;
	w->stream[1].at.body_max = 70000;
	world_grow(w, 1, 5000);
	world_grow(w, 2, w->stream[2].end + 5000);
	world_run(w, 10000);
	assert_all_delivered(w);
	assert_int_equal(w->stream[1].at.repeats, 0);
	assert_int_equal(w->stream[2].at.posts, 5);
	world_destroy(w);
}

static void
a_single_packet_too_large_is_a_dead_letter(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	w->stream[1].packet_bytes = 90000;
	w->stream[1].at.body_max = 70000;
	world_grow(w, 1, 50);
	world_grow(w, 2, 5000);
	world_run(w, 10000);
	assert_delivered(w, 1);
	assert_int_equal(w->stream[1].at.gaps, 50);
	assert_int_equal(w->stream[1].dead.status, 413);
	assert_int_equal(w->stream[1].dead.reason, PB_DEAD_MALFORMED);
	assert_int_equal(world_status(w).refused, 0);
	assert_delivered(w, 2);
	world_destroy(w);
}

/* --- numbers ------------------------------------------------------------ */

static void
a_receiver_that_forgot_everything_gets_everything_again(void **state)
{
	struct world *w = world_create(WINDOW, 3);

	(void)state;
	world_grow_all(w, 7500);
	world_run(w, 10000);
	for (uint32_t id = 1; id <= 3; id++) {
		assert_delivered(w, id);
		w->stream[id].at = (struct receiver){ .manner = ACCEPTS };
	}
	/* News of one stream reveals it, and the quiet ones follow. */
	world_grow(w, 2, 7600);
	world_run(w, 10000);
	assert_all_delivered(w);
	world_destroy(w);
}

static void
a_receiver_that_forgot_a_quiet_stream_gets_it_again(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	world_grow(w, 1, 7500);
	world_run(w, 10000);
	w->stream[1].at = (struct receiver){ .manner = ACCEPTS };
	world_run(w, PB_RECHECK_MS + 10000);
	assert_delivered(w, 1);
	world_destroy(w);
}

static void
a_receiver_that_went_back_gets_the_rest_again(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	world_warm(w, 2);
	world_grow(w, 1, 20000);
	world_run(w, 30);
	/* Its disk lost the end of what it had acknowledged. */
	world_run(w, 10);
	w->stream[1].at.acked = w->stream[1].at.packets = 1500;
	world_run(w, 30000);
	assert_delivered(w, 1);
	/* All that was under way is in conflict; that counts once. */
	assert_true(w->stream[1].at.conflicts > PB_TROUBLES_MAX);
	assert_int_equal(w->warnings, 1);
	world_destroy(w);
}

static void
a_lost_request_is_sent_again_and_nothing_twice_is_kept(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	world_warm(w, 2);
	w->latency_ms = 100;
	world_grow(w, 1, 30000);
	world_run(w, 150);
	/* The first of all gets lost; the others are conflicts. */
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		if (!w->flight[i].used || w->flight[i].action.piece.first != 1)
			continue;
		w->stream[1].at.manner = FAILS;
		world_answer(w, &w->flight[i]);
		w->stream[1].at.manner = ACCEPTS;
		break;
	}
	world_run(w, 60000);
	assert_delivered(w, 1);
	assert_int_equal(w->stream[1].at.conflicts, PB_REQUESTS_MAX - 1);
	/* The question was asked alone, when all had ended. */
	assert_int_equal(w->crowded, 0);
	world_destroy(w);
}

static void
conflicts_without_progress_wait_and_harm_no_other(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	w->stream[1].at.manner = LIES;
	w->stream[1].at.posts_only = true;
	world_grow(w, 1, 500);
	world_grow(w, 2, 5000);
	world_run(w, HOUR_MS);
	assert_delivered(w, 2);
	/* Two at once, then exponentially up to 30 s. */
	assert_in_range(w->stream[1].at.posts, 100, 600);
	assert_int_equal(world_status(w).refused, 1);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 60000);
	assert_delivered(w, 1);
	world_destroy(w);
}

/* Two conflicts, then progress, again and again: it never has to wait. */
static void
progress_makes_conflicts_forgotten(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].at.posts_only = true;
	for (uint64_t end = 100; end <= 1000; end += 100) {
		w->stream[1].at.manner = LIES;
		w->stream[1].at.number = w->stream[1].at.acked;
		world_grow(w, 1, end);
		while (w->stream[1].at.posts % 3 != 2)
			world_run(w, 1);
		assert_int_equal(world_status(w).refused, 0);
		w->stream[1].at.manner = ACCEPTS;
		world_run(w, 100);
		assert_delivered(w, 1);
	}
	assert_int_equal(w->stream[1].at.posts, 30);
	world_destroy(w);
}

/* A 200 with a number below what was sent is no progress. */
static void
an_ack_that_stands_still_waits_too(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].at.manner = CLAIMS;
	w->stream[1].at.number = 3;
	w->stream[1].at.posts_only = true;
	w->stream[1].at.acked = w->stream[1].at.packets = 3;
	world_grow(w, 1, 500);
	world_run(w, HOUR_MS);
	assert_in_range(w->stream[1].at.posts, 100, 600);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 60000);
	assert_delivered(w, 1);
	world_destroy(w);
}

/* It does not say which packet is its last; what it cannot have had from
 * here is another store's. */
static void
a_store_that_went_back_goes_on_as_another_stream(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	w->stream[1].at.acked = 600;
	world_grow(w, 1, 500);
	world_grow(w, 2, 500);
	world_run(w, 1000);
	assert_delivered(w, 3);
	assert_int_equal(w->stream[1].at.posts, 0);
	world_grow(w, 1, 900);
	world_run(w, 10000);
	assert_int_equal(w->stream[1].at.posts, 0);
	assert_int_equal(w->stream[3].at.packets, 900);
	world_destroy(w);
}

static void
an_ack_past_our_end_is_asked_about(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].at.manner = CLAIMS;
	w->stream[1].at.number = 1ull << 60;
	w->stream[1].at.posts_only = true;
	world_grow(w, 1, 500);
	world_run(w, HOUR_MS);
	assert_in_range(w->stream[1].at.posts, 100, 600);
	assert_int_equal(w->warnings, 1);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 60000);
	assert_int_equal(w->stream[1].at.acked, 500);
	world_destroy(w);
}

/* A relay's receiver may have had the packets from the edge itself. */
static void
another_nodes_stream_that_is_ahead_there_goes_on_in_time(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].own = false;
	w->stream[1].at.acked = w->stream[1].at.packets = 600;
	world_grow(w, 1, 500);
	world_run(w, 1000);
	assert_int_equal(w->stream[1].at.posts, 0);
	world_grow(w, 1, 700);
	world_run(w, 1000);
	assert_delivered(w, 1);
	assert_int_equal(w->stream[1].at.repeats, 0);
	world_destroy(w);
}

/* --- gaps and the store ------------------------------------------------- */

static void
a_gap_is_declared_and_passed(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].gap_first = 1501;
	w->stream[1].gap_last = 2700;
	w->stream[1].gap_recorded = true;
	world_grow(w, 1, 5000);
	world_run(w, 10000);
	assert_delivered(w, 1);
	assert_int_equal(w->stream[1].at.gaps, 1200);
	assert_int_equal(w->stream[1].at.gap_posts, 1);
	assert_int_equal(w->stream[1].at.conflicts, 0);
	assert_int_equal(w->crowded, 0);
	world_destroy(w);
}

static void
numbers_missing_at_the_start_are_declared(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].first = 4001;
	world_grow(w, 1, 5000);
	world_run(w, 10000);
	assert_delivered(w, 1);
	assert_int_equal(w->stream[1].at.gaps, 4000);
	assert_int_equal(w->stream[1].at.packets, 1000);
	world_destroy(w);
}

static void
a_stream_that_cannot_be_read_holds_up_no_other(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	w->stream[1].broken = true;
	world_grow(w, 1, 5000);
	world_grow(w, 2, 5000);
	world_run(w, HOUR_MS);
	assert_delivered(w, 2);
	assert_in_range(w->stream[1].looks, 100, 600);
	assert_string_equal(world_status(w).last_error, "the disk is gone");
	w->stream[1].broken = false;
	world_run(w, 60000);
	assert_delivered(w, 1);
	world_destroy(w);
}

static void
a_request_that_cannot_be_made_is_made_later(void **state)
{
	struct world *w = world_create(WINDOW, 1);
	struct pb_action action;
	struct pb_answer answer = { .outcome = PB_OUTCOME_HAS,
	    .ours = true };
	struct pb_ship_cursor cursor;

	(void)state;
	world_grow(w, 1, 1500);
	assert_true(pb_ship_next(w->ship, 1000, 1, &action));
	pb_ship_answer(w->ship, action.request, &answer, 1000, 1);
	assert_true(pb_ship_next(w->ship, 1000, 1, &action));
	assert_true(action.piece.last > 1);
	pb_ship_unsent(w->ship, action.request, "no file", 1000, 50);
	assert_false(pb_ship_next(w->ship, 1000, 1, &action));
	assert_int_equal(world_status(w).flight_bytes, 0);
	assert_int_equal(world_status(w).sent_bytes, 0);
	assert_true(pb_ship_cursor(w->ship, 1, &cursor));
	assert_int_equal(cursor.sent, 0);
	assert_int_equal(cursor.state, PB_CURSOR_WAITING);
	assert_string_equal(cursor.text, "no file");
	assert_in_range(pb_ship_wake_ms(w->ship), 1001, 1200);
	w->now_ms = 1200;
	world_run(w, 1000);
	assert_delivered(w, 1);
	world_destroy(w);
}

/* --- all of it ---------------------------------------------------------- */

static void
misbehave(struct world *w, uint32_t id)
{
	static const int refusals[] = { 400, 403, 422 }, fails[] = { 0, 500,
	    503, 429 };
	struct receiver *r = &w->stream[id].at;

	r->posts_only = world_random(w) % 2 == 0;
	r->retry_after_ms = world_random(w) % 4 == 0 ? 3000 : 0;
	r->number = r->acked > 10 ? r->acked - world_random(w) % 10 : 0;
	switch (world_random(w) % 8) {
	case 0:
		r->manner = FAILS;
		r->status = fails[world_random(w) % 4];
		break;
	case 1:
		r->manner = REFUSES;
		r->status = refusals[world_random(w) % 3];
		break;
	case 2:
		r->manner = IS_SILENT;
		break;
	case 3:
		r->manner = LIES;
		break;
	case 4:
		r->manner = ANSWERS_WITHOUT_NUMBER;
		r->status = 200;
		break;
	default:
		r->manner = ACCEPTS;
		break;
	}
}

/*
 * Goal:   whatever a receiver does, all of it arrives once it behaves.
 * Method: five streams grow, their receivers change their manners at
 *         random, answers come in random order; then all accept.
 */
static void
after_any_misbehaviour_everything_arrives(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct world *w = world_create(3 << 20, 5);

		w->random = seed * 0x9E3779B97F4A7C15ull;
		for (int turn = 0; turn < 300; turn++) {
			uint32_t id = 1 +
			    (uint32_t)(world_random(w) % 5);

			world_grow(w, id, w->stream[id].end +
			    world_random(w) % 3000);
			if (turn % 7 == 0)
				misbehave(w, id);
			w->latency_ms = world_random(w) % 500;
			world_run(w, world_random(w) % 2000);
			assert_true(w->flights <= PB_SHIP_SLOTS);
		}
		assert_true(w->flight_bytes_max <= 3 << 20);
		world_manner_all(w, ACCEPTS);
		world_run(w, 2 * HOUR_MS);
		assert_all_delivered(w);
		assert_int_equal(world_status(w).flight_bytes, 0);
		assert_int_equal(world_status(w).state, PB_SHIP_IDLE);
		world_destroy(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_refused_stream_holds_up_no_other),
		cmocka_unit_test(
		    a_refused_stream_is_tried_again_soon_and_then_less_often),
		cmocka_unit_test(
		    a_refused_stream_is_tried_at_once_where_someone_asks),
		cmocka_unit_test(what_a_proxy_says_makes_no_dead_letters),
		cmocka_unit_test(a_stream_that_a_proxy_stops_holds_up_no_other),
		cmocka_unit_test(
		    what_is_too_large_for_a_proxy_is_halved_and_waits),
		cmocka_unit_test(
		    what_was_too_large_is_tried_again_after_an_hour),
		cmocka_unit_test(requests_too_large_are_halved_until_they_fit),
		cmocka_unit_test(
		    a_single_packet_too_large_is_a_dead_letter),
		cmocka_unit_test(
		    a_receiver_that_forgot_everything_gets_everything_again),
		cmocka_unit_test(
		    a_receiver_that_forgot_a_quiet_stream_gets_it_again),
		cmocka_unit_test(a_receiver_that_went_back_gets_the_rest_again),
		cmocka_unit_test(
		    a_lost_request_is_sent_again_and_nothing_twice_is_kept),
		cmocka_unit_test(
		    conflicts_without_progress_wait_and_harm_no_other),
		cmocka_unit_test(progress_makes_conflicts_forgotten),
		cmocka_unit_test(an_ack_that_stands_still_waits_too),
		cmocka_unit_test(
		    a_store_that_went_back_goes_on_as_another_stream),
		cmocka_unit_test(an_ack_past_our_end_is_asked_about),
		cmocka_unit_test(
		    another_nodes_stream_that_is_ahead_there_goes_on_in_time),
		cmocka_unit_test(a_gap_is_declared_and_passed),
		cmocka_unit_test(numbers_missing_at_the_start_are_declared),
		cmocka_unit_test(
		    a_stream_that_cannot_be_read_holds_up_no_other),
		cmocka_unit_test(a_request_that_cannot_be_made_is_made_later),
		cmocka_unit_test(after_any_misbehaviour_everything_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
