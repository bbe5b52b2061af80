/*
 * tests/sim/test_ship.c - the shipper's state machine against scripted
 * receivers, under a clock that the test owns
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/sim/ship_scenes.h"

#define WINDOW	(64ull << 20)
#define HOUR_MS	3600000ull

/* --- the plain way ------------------------------------------------------ */

static void
everything_arrives_once_and_in_order(void **state)
{
	struct world *w = world_create(WINDOW, 3);

	(void)state;
	world_grow(w, 1, 25500);
	world_grow(w, 2, 1);
	world_grow(w, 3, 3000);
	world_run(w, 10000);
	assert_each_once(w);
	assert_int_equal(world_status(w).state, PB_SHIP_IDLE);
	assert_int_equal(world_status(w).acked_packets, 28501);
	assert_int_equal(w->warnings, 0);
	world_destroy(w);
}

static void
the_receiver_is_asked_before_anything_is_sent(void **state)
{
	struct world *w = world_create(WINDOW, 4);
	struct pb_action action;
	unsigned asked = 0;

	(void)state;
	world_grow_all(w, 5000);
	while (pb_ship_next(w->ship, w->now_ms, 1, &action)) {
		assert_int_equal(action.kind, PB_ACTION_ASK);
		asked++;
	}
	assert_int_equal(asked, 4);
	world_destroy(w);
}

static void
sending_goes_on_from_the_receivers_number(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].at.acked = w->stream[1].at.packets = 2345;
	world_grow(w, 1, 6000);
	world_run(w, 5000);
	assert_delivered(w, 1);
	assert_int_equal(w->stream[1].at.repeats, 0);
	/* Only the first place had to be searched for. */
	assert_int_equal(w->stream[1].walks, 1);
	world_destroy(w);
}

/*
 * Goal:   a quiet link does not send the same megabyte again and again.
 * Method: let an extent grow by one packet every 100 ms.
 */
static void
a_growing_extent_is_sent_once_piece_by_piece(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	for (uint64_t end = 1; end <= 800; end++) {
		world_grow(w, 1, end);
		world_run(w, 100);
		assert_int_equal(w->stream[1].at.acked, end);
	}
	assert_int_equal(w->stream[1].at.posts, 800);
	assert_int_equal(w->stream[1].at.repeats, 0);
	assert_int_equal(w->stream[1].walks, 0);
	assert_int_equal(world_status(w).sent_bytes,
	    800 * (PACKET_BYTES + HEADER_BYTES));
	world_destroy(w);
}

/* On a way of a second there and back, ten flushes become one request. */
static void
small_data_gathers_while_a_request_is_under_way(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->latency_ms = 1000;
	for (uint64_t end = 1; end <= 200; end++) {
		world_grow(w, 1, end);
		world_run(w, 100);
	}
	world_run(w, 5000);
	assert_delivered(w, 1);
	assert_in_range(w->stream[1].at.posts, 10, 30);
	world_destroy(w);
}

static void
full_extents_are_sent_side_by_side(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	world_warm(w, 2);
	w->latency_ms = 1000;
	world_grow(w, 1, 8000);
	world_run(w, 2900);
	/* One second for the question, one for all eight. */
	assert_delivered(w, 1);
	assert_int_equal(w->flights_max, 8);
	world_destroy(w);
}

static void
streams_take_turns(void **state)
{
	struct world *w = world_create(WINDOW, 3);

	(void)state;
	w->latency_ms = 100;
	world_grow_all(w, 1000000);
	world_run(w, 5000);
	for (uint32_t id = 1; id <= 3; id++)
		assert_in_range(w->stream[id].at.packets,
		    world_status(w).acked_packets / 3 - 8000,
		    world_status(w).acked_packets / 3 + 8000);
	world_destroy(w);
}

/* --- bounds ------------------------------------------------------------- */

static void
no_more_than_the_window_is_in_flight(void **state)
{
	static const uint64_t windows[] = { 64 << 10, 100000, 1 << 20,
	    3000000, 5 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		struct world *w = world_create(windows[i], 4);

		world_grow_all(w, 4321);
		world_run(w, HOUR_MS);
		assert_all_delivered(w);
		assert_true(w->flight_bytes_max <= windows[i]);
		assert_true(w->flight_bytes_max >= windows[i] / 2);
		world_destroy(w);
	}
}

static void
a_block_larger_than_the_window_goes_alone(void **state)
{
	struct world *w = world_create(64 << 10, 2);

	(void)state;
	w->stream[1].packet_bytes = w->stream[2].packet_bytes = 200000;
	world_grow(w, 1, 20);
	world_grow(w, 2, 20);
	world_run(w, 60000);
	assert_all_delivered(w);
	assert_int_equal(w->flight_bytes_max, 200000 + HEADER_BYTES);
	world_destroy(w);
}

static void
no_more_requests_are_in_flight_than_may_be(void **state)
{
	struct world *w = world_create(1ull << 40, 100);

	(void)state;
	world_grow_all(w, 3000);
	world_run(w, 60000);
	assert_int_equal(w->flights_max, PB_REQUESTS_MAX);
	assert_all_delivered(w);
	world_destroy(w);
}

static void
a_request_is_never_larger_than_an_extent(void **state)
{
	struct world *w = world_create(1ull << 40, 1);

	(void)state;
	world_grow(w, 1, 50000);
	world_run(w, 60000);
	assert_delivered(w, 1);
	assert_int_equal(w->largest_body,
	    EXTENT_PACKETS * PACKET_BYTES + HEADER_BYTES);
	world_destroy(w);
}

static void
idle_streams_cost_one_question_each(void **state)
{
	struct world *w = world_create(WINDOW, 2000);

	(void)state;
	for (uint32_t id = 1; id <= 2000; id++) {
		w->stream[id].at.acked = 10;
		world_grow(w, id, 10);
	}
	world_run(w, 60000);
	assert_int_equal(w->actions, 2000);
	/* And new packets of one of them leave at once. */
	world_grow(w, 777, 11);
	world_act(w);
	assert_int_equal(w->flights, 1);
	world_run(w, 1000);
	assert_int_equal(w->stream[777].at.acked, 11);
	assert_int_equal(w->actions, 2001);
	world_destroy(w);
}

/* After a restart fresh packets need not wait for a thousand questions. */
static void
streams_known_to_be_complete_are_asked_about_last(void **state)
{
	struct world *w = world_create(WINDOW, 2000);

	(void)state;
	for (uint32_t id = 1; id <= 2000; id++) {
		w->stream[id].at.acked = w->stream[id].at.packets = 10;
		world_grow(w, id, id == 1777 ? 12 : 10);
		pb_ship_remember(w->ship, id,
		    &(struct pb_ship_cursor){ .acked = 10 });
	}
	world_run(w, 2 * w->latency_ms);
	assert_delivered(w, 1777);
	world_run(w, 60000);
	assert_int_equal(w->actions, 2001);
	/* What it remembers is no number to send from. */
	assert_int_equal(w->stream[1777].at.asks, 1);
	world_destroy(w);
}

static void
a_memory_of_what_the_receiver_forgot_harms_nothing(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	world_grow(w, 1, 5000);
	world_grow(w, 2, 5000);
	pb_ship_remember(w->ship, 1, &(struct pb_ship_cursor){
	    .acked = 5000 });
	pb_ship_remember(w->ship, 2, &(struct pb_ship_cursor){
	    .acked = UINT64_MAX, .released = UINT64_MAX, .wait_seq = UINT64_MAX,
	    .wait_ms = UINT64_MAX });
	pb_ship_remember(w->ship, 3, &(struct pb_ship_cursor){ .acked = 1 });
	world_run(w, 10000);
	assert_all_delivered(w);
	world_destroy(w);
}

static void
streams_past_the_bound_are_an_error(void **state)
{
	struct world *w = world_create(WINDOW, 1);
	struct pb_err err;

	(void)state;
	for (uint32_t id = 1; id <= PB_SHIP_STREAMS_MAX; id++)
		assert_int_equal(pb_ship_stream(w->ship, id, true, 0, &err),
		    1);
	assert_int_equal(pb_ship_stream(w->ship, PB_SHIP_STREAMS_MAX + 1,
	    true, 0, &err), PB_ELIMIT);
	assert_int_equal(pb_ship_stream(w->ship, 5, true, 0, &err), 0);
	world_destroy(w);
}

/* --- failures ----------------------------------------------------------- */

static void
back_off_grows_to_its_bound_and_never_exceeds_it(void **state)
{
	struct world *w = world_create(WINDOW, 3);
	uint64_t last = 0, wait, longest = 0, early = 0;
	unsigned seen = 0;

	(void)state;
	w->latency_ms = 0;
	for (uint32_t id = 1; id <= 3; id++) {
		w->stream[id].at.manner = FAILS;
		world_grow(w, id, 5000);
	}
	world_act(w);
	last = w->now_ms;
	while (w->now_ms < 4 * HOUR_MS) {
		unsigned before = w->actions;

		world_run(w, 0);
		world_run(w, pb_ship_wake_ms(w->ship) - w->now_ms);
		if (w->actions == before)
			continue;
		wait = w->last_action_ms - last;
		last = w->last_action_ms;
		assert_true(wait <= PB_BACKOFF_MS_MAX + 2);
		if (seen++ < 2)
			early += wait;
		if (wait > longest)
			longest = wait;
	}
	assert_true(early <= 200 + 400 + 4);
	assert_true(longest > PB_BACKOFF_MS_MAX * 9 / 10);
	/* One probe at a time, and about one in 15 s. */
	assert_in_range(seen, 500, 1500);
	assert_int_equal(world_status(w).state, PB_SHIP_BACKOFF);
	assert_string_equal(world_status(w).last_error, "connection refused");
	world_destroy(w);
}

static void
after_a_failure_one_question_probes(void **state)
{
	struct world *w = world_create(WINDOW, 8);

	(void)state;
	world_grow_all(w, 50000);
	world_run(w, 100);
	world_manner_all(w, FAILS);
	world_run(w, 20);	/* all under way fail */
	w->latency_ms = 5000;
	w->flights_max = 0;
	world_run(w, 4000);
	assert_int_equal(w->flights, 1);
	assert_int_equal(w->flights_max, 1);
	world_manner_all(w, ACCEPTS);
	w->latency_ms = 20;
	world_run(w, 120000);
	assert_all_delivered(w);
	world_destroy(w);
}

/* Goal: a receiver that answers questions but keeps nothing is not hammered. */
static void
failing_posts_back_off_though_questions_succeed(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].at.manner = FAILS;
	w->stream[1].at.status = 503;
	w->stream[1].at.posts_only = true;
	world_grow(w, 1, 5000);
	world_run(w, HOUR_MS);
	assert_in_range(w->stream[1].at.posts, 60, 2000);
	assert_true(world_status(w).attempts > 8);
	w->stream[1].at.manner = ACCEPTS;
	while (w->stream[1].at.packets == 0)
		world_run(w, 10);
	/* One that keeps packets is trusted again at once. */
	assert_int_equal(world_status(w).attempts, 0);
	world_run(w, 1000);
	assert_delivered(w, 1);
	assert_string_equal(world_status(w).last_error, "");
	world_destroy(w);
}

static void
retry_after_is_honoured_and_bounded(void **state)
{
	static const struct { uint64_t said, least, most; } row[] = {
		{ 5000, 5000, 5001 },
		{ 60000, 60000, 60001 },
		{ 7200000, 60000, 60001 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct world *w = world_create(WINDOW, 1);
		uint64_t failed_ms;
		unsigned before;

		w->stream[1].at.manner = FAILS;
		w->stream[1].at.status = 503;
		w->stream[1].at.retry_after_ms = row[i].said;
		world_grow(w, 1, 10);
		world_run(w, w->latency_ms);
		failed_ms = w->now_ms;
		assert_int_equal(world_status(w).state, PB_SHIP_BACKOFF);
		before = w->actions;
		while (w->actions == before)
			world_run(w, 1);
		assert_in_range(w->last_action_ms - failed_ms, row[i].least,
		    row[i].most);
		world_destroy(w);
	}
}

static void
answers_that_make_no_sense_are_failures_with_a_text(void **state)
{
	static const int status[] = { 200, 204, 301, 307, 400, 401, 403, 404,
	    405, 409, 413, 422, 500, 502, 508, 511, 100, 999 };

	(void)state;
	for (size_t i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
		struct world *w = world_create(WINDOW, 1);
		char expected[64];

		w->stream[1].at.manner = ANSWERS_WITHOUT_NUMBER;
		w->stream[1].at.status = status[i];
		world_grow(w, 1, 3000);
		world_run(w, 100);
		assert_int_equal(world_status(w).state, PB_SHIP_BACKOFF);
		snprintf(expected, sizeof(expected), "%s %d: <html>",
		    status[i] / 100 == 3 ? "status" :
		    "something in front of it answered", status[i]);
		assert_memory_equal(world_status(w).last_error, expected,
		    strlen(expected));
		w->stream[1].at.manner = ACCEPTS;
		world_run(w, 60000);
		assert_delivered(w, 1);
		world_destroy(w);
	}
}

static void
a_silent_receiver_is_given_up_and_resumed(void **state)
{
	struct world *w = world_create(WINDOW, 2);

	(void)state;
	world_grow(w, 1, 9000);
	world_grow(w, 2, 9000);
	world_run(w, 30);
	w->stream[1].at.manner = w->stream[2].at.manner = IS_SILENT;
	world_run(w, 200000);
	assert_int_equal(world_status(w).state, PB_SHIP_BACKOFF);
	w->stream[1].at.manner = w->stream[2].at.manner = ACCEPTS;
	world_run(w, 200000);
	assert_all_delivered(w);
	world_destroy(w);
}

/* A connection that broke once must not slow the next day's recovery. */
static void
a_quiet_half_minute_makes_failures_forgotten(void **state)
{
	struct world *w = world_create(WINDOW, 1);

	(void)state;
	w->stream[1].at.manner = FAILS;
	world_grow(w, 1, 0);
	world_run(w, 120000);
	assert_true(world_status(w).attempts > 5);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 31000);
	assert_int_equal(world_status(w).state, PB_SHIP_IDLE);
	world_run(w, 31000);
	assert_int_equal(world_status(w).attempts, 0);
	world_destroy(w);
}

/* While all requests of the only stream hang, one more may probe. */
static void
hanging_requests_do_not_stop_the_probe(void **state)
{
	struct world *w = world_create(WINDOW, 1);
	unsigned failed = 0;

	(void)state;
	world_warm(w, 1);
	world_grow(w, 1, 300000);
	world_run(w, 25);
	assert_int_equal(w->flights, PB_REQUESTS_MAX);
	w->stream[1].at.manner = IS_SILENT;
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		if (w->flight[i].used && failed++ > 0)
			w->flight[i].due_ms += SILENCE_MS;
	w->stream[1].at.posts_only = true;	/* questions are answered */
	world_run(w, 20 + PB_BACKOFF_MS_MIN + 1 + 20);
	assert_int_equal(w->stream[1].at.asks, 2);
	assert_int_equal(world_status(w).state, PB_SHIP_READY);
	/* The stream itself waits until all of them have ended. */
	assert_int_equal(w->flights, PB_REQUESTS_MAX - 1);
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 3 * SILENCE_MS);
	assert_delivered(w, 1);
	world_destroy(w);
}

static void
the_window_halves_with_failures_and_opens_with_acks(void **state)
{
	struct world *w = world_create(16 << 20, 1);

	(void)state;
	w->latency_ms = 100;
	world_grow(w, 1, 1000000);
	for (int i = 0; i < 12; i++) {
		world_run(w, 150);
		w->stream[1].at.manner = FAILS;
		world_run(w, 100);
		w->stream[1].at.posts_only = true;
		while (world_status(w).state == PB_SHIP_BACKOFF)
			world_run(w, 10);
	}
	w->flight_bytes_max = 0;
	w->stream[1].at.manner = ACCEPTS;
	world_run(w, 190);
	assert_in_range(w->flight_bytes_max, 1000, 256 << 10);
	world_run(w, 60000);
	assert_in_range(w->flight_bytes_max, 7000000, 16 << 20);
	world_destroy(w);
}

/* --- reports ------------------------------------------------------------ */

/* How many changed; `*out` is the last of them. */
static unsigned
see(struct world *w, struct pb_ship_cursor *out)
{
	unsigned at = 0, count = 0;

	while (pb_ship_changed(w->ship, &at, out))
		count++;
	return count;
}

static void
cursors_are_reported_when_they_change(void **state)
{
	struct world *w = world_create(WINDOW, 3);
	struct pb_ship_cursor last;

	(void)state;
	world_grow_all(w, 100);
	world_run(w, 1000);
	assert_int_equal(see(w, &last), 3);
	assert_int_equal(see(w, &last), 0);
	world_grow(w, 2, 150);
	world_run(w, 1000);
	assert_int_equal(see(w, &last), 1);
	assert_int_equal(last.stream, 2);
	assert_int_equal(last.acked, 150);
	assert_int_equal(last.sent, 150);
	assert_int_equal(last.state, PB_CURSOR_READY);
	pb_ship_touch(w->ship, false);
	assert_int_equal(see(w, &last), 3);
	world_destroy(w);
}

/* That ends neither the upstream nor the back-off. */
static void
a_probe_that_cannot_be_made_is_made_later(void **state)
{
	struct world *w = world_create(WINDOW, 1);
	struct pb_action action;
	struct pb_answer answer = { .outcome = PB_OUTCOME_FAILED };
	unsigned probes = 0;

	(void)state;
	world_grow(w, 1, 1500);
	assert_true(pb_ship_next(w->ship, 1000, 1, &action));
	pb_ship_answer(w->ship, action.request, &answer, 1000, 1);
	for (w->now_ms = 1000; w->now_ms < 61000; w->now_ms += 10)
		while (pb_ship_next(w->ship, w->now_ms, 1, &action)) {
			assert_int_equal(action.kind, PB_ACTION_ASK);
			pb_ship_unsent(w->ship, action.request, "no memory",
			    w->now_ms, 1);
			probes++;
		}
	assert_in_range(probes, 10, 60);
	world_run(w, 60000);
	assert_delivered(w, 1);
	world_destroy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_arrives_once_and_in_order),
		cmocka_unit_test(the_receiver_is_asked_before_anything_is_sent),
		cmocka_unit_test(sending_goes_on_from_the_receivers_number),
		cmocka_unit_test(a_growing_extent_is_sent_once_piece_by_piece),
		cmocka_unit_test(
		    small_data_gathers_while_a_request_is_under_way),
		cmocka_unit_test(full_extents_are_sent_side_by_side),
		cmocka_unit_test(streams_take_turns),
		cmocka_unit_test(no_more_than_the_window_is_in_flight),
		cmocka_unit_test(a_block_larger_than_the_window_goes_alone),
		cmocka_unit_test(no_more_requests_are_in_flight_than_may_be),
		cmocka_unit_test(a_request_is_never_larger_than_an_extent),
		cmocka_unit_test(idle_streams_cost_one_question_each),
		cmocka_unit_test(
		    streams_known_to_be_complete_are_asked_about_last),
		cmocka_unit_test(
		    a_memory_of_what_the_receiver_forgot_harms_nothing),
		cmocka_unit_test(streams_past_the_bound_are_an_error),
		cmocka_unit_test(
		    back_off_grows_to_its_bound_and_never_exceeds_it),
		cmocka_unit_test(after_a_failure_one_question_probes),
		cmocka_unit_test(
		    failing_posts_back_off_though_questions_succeed),
		cmocka_unit_test(retry_after_is_honoured_and_bounded),
		cmocka_unit_test(
		    answers_that_make_no_sense_are_failures_with_a_text),
		cmocka_unit_test(a_silent_receiver_is_given_up_and_resumed),
		cmocka_unit_test(a_quiet_half_minute_makes_failures_forgotten),
		cmocka_unit_test(hanging_requests_do_not_stop_the_probe),
		cmocka_unit_test(
		    the_window_halves_with_failures_and_opens_with_acks),
		cmocka_unit_test(cursors_are_reported_when_they_change),
		cmocka_unit_test(a_probe_that_cannot_be_made_is_made_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
