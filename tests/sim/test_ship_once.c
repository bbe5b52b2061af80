/*
 * tests/sim/test_ship_once.c - a wire: what went out of it is gone, it cannot
 * be asked, and it may go down in the middle of a unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/ship_world.h"

#define WINDOW		(8ull << 20)
#define UNIT_BYTES	(64u << 10)
#define UNIT		((UNIT_BYTES - HEADER_BYTES) / PACKET_BYTES)
#define RETRY_FOR_MS	60000ull
#define NUMBERS		100000u
#define STREAMS		2u
#define SEEDS		24u
#define TURNS		60

struct wire {
	struct pb_sink	 sink;
	enum pb_outcome	 outcome;	/* of what it is given */
	bool		 breaks;	/* in the middle of a unit */
	unsigned char	 sent[STREAMS + 1][NUMBERS];
	bool		 told[STREAMS + 1][NUMBERS];
	uint64_t	 repeats;
	unsigned	 more;		/* actions that others follow */
};

static struct wire wire;

static void
put(uint32_t id, uint64_t first, uint64_t last)
{
	for (uint64_t seq = first; seq <= last; seq++) {
		assert_true(seq < NUMBERS);
		wire.repeats += wire.sent[id][seq]++ > 0;
	}
}

static uint64_t
part_of(struct world *w, const struct pb_action *a)
{
	uint64_t count = a->piece.last - a->piece.first + 1;

	return a->piece.first - 1 + world_random(w) % count;
}

static int
wire_start(struct pb_sink *sink, const struct pb_sink_request *request,
    struct pb_err *err)
{
	const struct pb_action *a = &request->action;
	struct pb_answer answer = { .outcome = wire.outcome, .ours = true };
	struct world *w = sink->arg;
	uint64_t first = a->piece.first, last = a->piece.last;

	(void)err;
	assert_int_not_equal(a->kind, PB_ACTION_ASK);
	wire.more += a->more;
	if (a->kind == PB_ACTION_GAP) {
		if (wire.outcome == PB_OUTCOME_HAS)
			memset(&wire.told[a->stream][first], 1,
			    last - first + 1);
	} else if (!pb_ship_stands(w->ship, a->request)) {
		answer.outcome = PB_OUTCOME_PART;
	} else if (wire.outcome == PB_OUTCOME_HAS) {
		put(a->stream, first, last);
	} else if (wire.breaks) {
		answer.acked = part_of(w, a);
		put(a->stream, first, answer.acked);
	}
	if (wire.outcome != PB_OUTCOME_HAS)
		strcpy(answer.text, "down");
	sink->done(sink->arg, a->request, &answer);
	return 0;
}

static const struct pb_sink_kind wire_kind = { .start = wire_start };

static struct world *
wire_world_of(bool once, unsigned units)
{
	struct world *w = world_create_for(WINDOW, STREAMS, RETRY_FOR_MS);

	wire = (struct wire){ .sink = { .kind = &wire_kind,
	    .done = world_done, .arg = w }, .outcome = PB_OUTCOME_HAS };
	w->sink = &wire.sink;
	w->opts.way = (struct pb_ship_way){ .remembered = true,
	    .once = once, .units = units, .unit_bytes = UNIT_BYTES };
	w->begins = true;
	pb_ship_destroy(w->ship);
	world_start(w);
	return w;
}

static struct world *
wire_world(bool once)
{
	return wire_world_of(once, 1);
}

/* The one of its stream that goes before it. */
static const struct pb_action *
before(const struct world *w, const struct pb_action *a)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		const struct pb_action *b = &w->flight[i].action;

		if (w->flight[i].used && b->kind == PB_ACTION_PACKETS &&
		    !a->late && !b->late && a->stream == b->stream &&
		    b->piece.first < a->piece.first)
			return b;
	}
	return NULL;
}

/* It is killed: of what is under way some may have gone out, in its order. */
static void
kill_it(struct world *w)
{
	bool all = world_random(w) % 2 == 0;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		const struct pb_action *a = &w->flight[i].action;
		uint64_t to;

		if (!w->flight[i].used || a->kind != PB_ACTION_PACKETS ||
		    !pb_ship_stands(w->ship, a->request))
			continue;
		/* All of the one before it, or a part of that and none of it,
		 * which that one's turn sees to. */
		to = part_of(w, a);
		if (before(w, a) == NULL)
			put(a->stream, a->piece.first, all ? a->piece.last :
			    to);
		else if (all)
			put(a->stream, a->piece.first, to);
	}
	world_restart(w);
}

static uint64_t
acked(struct world *w, uint32_t id)
{
	struct pb_ship_cursor cursor;

	assert_true(pb_ship_cursor(w->ship, id, &cursor));
	return cursor.acked;
}

static uint64_t
count(uint32_t id, uint64_t first, uint64_t last)
{
	uint64_t sent = 0;

	for (uint64_t seq = first; seq <= last; seq++)
		sent += wire.sent[id][seq] > 0;
	return sent;
}

/* However long a unit takes. */
static void
units_stay_as_large_as_they_are(void **state)
{
	struct world *w = wire_world(false);

	(void)state;
	w->latency_ms = 20000;
	world_grow(w, 1, 1000);
	world_grow(w, 2, 1000);
	world_run(w, 100000);
	assert_int_equal(w->largest_body, UNIT * PACKET_BYTES + HEADER_BYTES);
	assert_int_equal(w->flights_max, 2);
	assert_int_equal(acked(w, 1), 5 * UNIT);
	assert_int_equal(wire.more, 10);
	world_destroy(w);
}

static void
what_was_sent_of_a_unit_is_not_sent_again(void **state)
{
	static const enum pb_outcome outcomes[] = { PB_OUTCOME_FAILED,
	    PB_OUTCOME_REFUSED, PB_OUTCOME_STOPPED, PB_OUTCOME_PART };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct world *w = wire_world(i % 2);

		wire.outcome = outcomes[i];
		wire.breaks = true;
		world_grow(w, 1, 1000);
		world_run(w, 30);
		assert_int_equal(acked(w, 1), count(1, 1, 1000));
		wire.outcome = PB_OUTCOME_HAS;
		world_run(w, 20000);
		assert_int_equal(count(1, 1, 1000), 1000);
		assert_int_equal(wire.repeats, 0);
		assert_int_equal(world_status(w).state, PB_SHIP_IDLE);
		world_destroy(w);
	}
}

static void
what_is_malformed_of_a_unit_is_what_was_not_sent(void **state)
{
	struct world *w = wire_world(false);

	(void)state;
	wire.outcome = PB_OUTCOME_MALFORMED;
	wire.breaks = true;
	world_grow(w, 1, UNIT);
	world_run(w, 30);
	wire.outcome = PB_OUTCOME_HAS;
	world_run(w, 1000);
	assert_int_equal(count(1, 1, UNIT) + world_letters(w, 1, DEAD), UNIT);
	assert_int_equal(acked(w, 1), UNIT);
	world_destroy(w);
}

/* What stops it says nothing is wrong. */
static void
a_unit_that_was_cut_short_is_no_failure(void **state)
{
	struct world *w = wire_world(true);

	(void)state;
	wire.outcome = PB_OUTCOME_PART;
	world_grow(w, 1, UNIT);
	world_run(w, 30);
	assert_int_not_equal(world_status(w).state, PB_SHIP_BACKOFF);
	assert_string_equal(world_status(w).last_error, "");
	assert_int_equal(w->warnings, 0);
	world_destroy(w);
}

/* Those behind the one that fails were not sent, and say so. */
static void
two_units_of_a_stream_go_in_their_order(void **state)
{
	struct world *w = wire_world_of(false, 2);

	(void)state;
	world_grow(w, 1, 1000);
	world_run(w, 5);
	assert_int_equal(w->flights_max, 2);
	wire.outcome = PB_OUTCOME_FAILED;
	wire.breaks = true;
	world_run(w, 30);
	assert_true(acked(w, 1) < UNIT);
	assert_int_equal(acked(w, 1), count(1, 1, 1000));
	wire.outcome = PB_OUTCOME_HAS;
	world_run(w, 20000);
	assert_int_equal(count(1, 1, 1000), 1000);
	assert_int_equal(wire.repeats, 0);
	world_destroy(w);
}

/* Within so long. */
static bool
says_that_it_answers(struct world *w, unsigned ms)
{
	bool said = false;

	for (; ms > 0; ms--) {
		world_run(w, 1);
		said |= strstr(w->last_event, "answers again") != NULL;
	}
	return said;
}

/* All that waited is a letter, and nothing comes any more: what it is told of
 * the gap says that it is there, and the letters may go. */
static void
a_gap_waits_for_a_wire_and_says_that_it_is_there(void **state)
{
	struct world *w = wire_world(false);

	(void)state;
	wire.outcome = PB_OUTCOME_FAILED;
	world_grow(w, 1, UNIT);
	assert_false(says_that_it_answers(w, 3 * RETRY_FOR_MS));
	assert_int_equal(world_letters(w, 1, DEAD), UNIT);
	assert_false(wire.told[1][1]);
	assert_false(pb_ship_takes(w->ship, 1, UNIT));
	wire.outcome = PB_OUTCOME_HAS;
	assert_true(says_that_it_answers(w, RETRY_FOR_MS));
	assert_true(wire.told[1][1] && wire.told[1][UNIT]);
	assert_int_equal(world_status(w).state, PB_SHIP_IDLE);
	assert_true(pb_ship_takes(w->ship, 1, UNIT));
	world_destroy(w);
}

/* Its interface may be down, whatever is said of a unit that did not get so
 * far. */
static void
what_a_wire_took_nothing_of_ends_no_back_off(void **state)
{
	static const enum pb_outcome outcomes[] = { PB_OUTCOME_REFUSED,
	    PB_OUTCOME_STOPPED, PB_OUTCOME_PART };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct world *w = wire_world(false);

		wire.outcome = PB_OUTCOME_FAILED;
		world_grow(w, 1, UNIT);
		world_run(w, 100);
		wire.outcome = outcomes[i];
		assert_false(says_that_it_answers(w, RETRY_FOR_MS / 2));
		assert_int_equal(world_status(w).state, PB_SHIP_BACKOFF);
		wire.outcome = PB_OUTCOME_HAS;
		assert_true(says_that_it_answers(w, RETRY_FOR_MS));
		assert_int_equal(count(1, 1, UNIT), UNIT);
		world_destroy(w);
	}
}

static void
repeat(unsigned units)
{
	struct world *w = wire_world_of(false, units);

	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = wire.repeats;

		for (uint32_t id = 1; id <= STREAMS; id++)
			world_grow(w, id, w->stream[id].end + 1000);
		world_run(w, world_random(w) % 500);
		kill_it(w);
		world_run(w, 500);
		assert_true(wire.repeats - before <= STREAMS * units * UNIT);
	}
	world_run(w, 60000);
	for (uint32_t id = 1; id <= STREAMS; id++) {
		assert_int_equal(acked(w, id), w->stream[id].end);
		assert_int_equal(count(id, 1, w->stream[id].end),
		    w->stream[id].end);
	}
	world_destroy(w);
}

static void
a_crash_repeats_no_more_than_was_under_way(void **state)
{
	(void)state;
	repeat(1);
	repeat(2);
}

static void
what_may_have_been_sent_is_a_letter_where_nothing_is_sent_twice(void **state)
{
	struct world *w = wire_world(true);

	(void)state;
	world_grow(w, 1, 3 * UNIT);
	world_run(w, 30);
	assert_int_equal(acked(w, 1), UNIT);
	kill_it(w);
	assert_int_equal(world_status(w).flight_bytes, 0);
	world_run(w, 1000);
	assert_int_equal(world_letters(w, 1, DEAD), UNIT);
	assert_int_equal(w->stream[1].dead.reason, PB_DEAD_UNSURE);
	assert_non_null(strstr(w->last_event, "unsure"));
	assert_true(wire.told[1][UNIT + 1] && wire.told[1][2 * UNIT]);
	assert_int_equal(acked(w, 1), 3 * UNIT);
	assert_int_equal(wire.repeats, 0);
	/* It is one that an operator may send, who was told. */
	world_requeue(w, 1, 1, 3 * UNIT);
	world_run(w, 1000);
	assert_int_equal(count(1, 1, 3 * UNIT), 3 * UNIT);
	world_destroy(w);
}

/* It is killed again before that is written down. */
static void
what_is_unsure_is_not_forgotten(void **state)
{
	struct world *w = wire_world(true);
	struct pb_ship_cursor *memory = &w->stream[1].memory;

	(void)state;
	world_grow(w, 1, 3 * UNIT);
	world_run(w, 30);
	w->cannot_demote = true;
	kill_it(w);
	world_run(w, 5000);
	assert_int_equal(count(1, 2 * UNIT + 1, 3 * UNIT), 0);
	world_report(w);
	assert_int_equal(memory->unsure[0].first, UNIT + 1);
	assert_int_equal(memory->unsure[0].last, 2 * UNIT);
	world_restart(w);
	w->cannot_demote = false;
	world_run(w, 5000);
	assert_int_equal(world_letters(w, 1, DEAD), UNIT);
	world_report(w);
	assert_int_equal(memory->unsure[0].first, 0);
	assert_int_equal(memory->acked, 3 * UNIT);
	world_destroy(w);
}

/* Who may send twice does, whatever the one before was to do. */
static void
who_may_send_twice_asks_for_no_certainty(void **state)
{
	struct world *w = wire_world(true);

	(void)state;
	world_grow(w, 1, 3 * UNIT);
	world_run(w, 30);
	w->opts.way.once = false;
	kill_it(w);
	world_run(w, 1000);
	assert_int_equal(world_letters(w, 1, DEAD), 0);
	assert_int_equal(count(1, 1, 3 * UNIT), 3 * UNIT);
	world_destroy(w);
}

/* --- all of it ---------------------------------------------------------- */

/* Those of which it is known that they were not sent. */
static void
requeue_sure(struct world *w, uint32_t id)
{
	struct world_stream *s = &w->stream[id];

	for (uint64_t seq = 1; seq <= s->end; seq++)
		if (world_letter(s, seq) == DEAD &&
		    s->number[seq].reason != PB_DEAD_UNSURE)
			world_number(s, seq)->letter = REQUEUED;
	pb_ship_late(w->ship, id, true);
}

static void
happen(struct world *w)
{
	static const enum pb_outcome outcomes[] = { PB_OUTCOME_HAS,
	    PB_OUTCOME_HAS, PB_OUTCOME_FAILED, PB_OUTCOME_FAILED,
	    PB_OUTCOME_PART, PB_OUTCOME_REFUSED, PB_OUTCOME_MALFORMED };
	uint32_t id = 1 + (uint32_t)(world_random(w) % STREAMS);

	switch (world_random(w) % 8) {
	case 0:
	case 1:
		wire.outcome = outcomes[world_random(w) % 7];
		wire.breaks = world_random(w) % 2 == 0;
		break;
	case 2:
		requeue_sure(w, id);
		break;
	case 3:
		world_report(w);
		break;
	case 4:
		kill_it(w);
		break;
	default:
		world_grow(w, id, w->stream[id].end + world_random(w) % 1500);
		break;
	}
}

/* Each number was sent; or there is a letter of it. */
static void
assert_nothing_lost(struct world *w, bool once)
{
	for (uint32_t id = 1; id <= STREAMS; id++)
		for (uint64_t seq = 1; seq <= acked(w, id); seq++) {
			assert_true(wire.sent[id][seq] > 0 ||
			    world_letter(&w->stream[id], seq) != NO_LETTER);
			assert_true(!once || wire.sent[id][seq] <= 1);
		}
}

static void
each_number_goes_as_it_was_promised(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		bool once = seed % 2;
		struct world *w = wire_world_of(once, 1 + seed / 2 % 2);

		w->random = seed * 0x9E3779B97F4A7C15ull;
		for (uint32_t id = 1; id <= STREAMS; id++)
			world_grow(w, id, 1);
		for (unsigned turn = 0; turn < TURNS; turn++) {
			happen(w);
			world_run(w, world_random(w) % (turn % 2 == 0 ? 100 :
			    20000));
			assert_nothing_lost(w, once);
		}
		wire.outcome = PB_OUTCOME_HAS;
		world_run(w, 3600000);
		for (uint32_t id = 1; id <= STREAMS; id++)
			requeue_sure(w, id);
		world_run(w, 3600000);
		assert_nothing_lost(w, once);
		for (uint32_t id = 1; id <= STREAMS; id++)
			assert_int_equal(acked(w, id), w->stream[id].end);
		world_destroy(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_stay_as_large_as_they_are),
		cmocka_unit_test(what_was_sent_of_a_unit_is_not_sent_again),
		cmocka_unit_test(
		    what_is_malformed_of_a_unit_is_what_was_not_sent),
		cmocka_unit_test(a_unit_that_was_cut_short_is_no_failure),
		cmocka_unit_test(two_units_of_a_stream_go_in_their_order),
		cmocka_unit_test(
		    a_gap_waits_for_a_wire_and_says_that_it_is_there),
		cmocka_unit_test(what_a_wire_took_nothing_of_ends_no_back_off),
		cmocka_unit_test(a_crash_repeats_no_more_than_was_under_way),
		cmocka_unit_test(
		what_may_have_been_sent_is_a_letter_where_nothing_is_sent_twice),
		cmocka_unit_test(what_is_unsure_is_not_forgotten),
		cmocka_unit_test(who_may_send_twice_asks_for_no_certainty),
		cmocka_unit_test(each_number_goes_as_it_was_promised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
