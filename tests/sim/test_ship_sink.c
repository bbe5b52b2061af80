/*
 * tests/sim/test_ship_sink.c - a sink that takes whole segments and cannot
 * be asked: how far it is, is what the shipper wrote down
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/ship_world.h"

#define WINDOW		(2ull << 20)	/* less than a segment */
#define RETRY_FOR_MS	60000ull
#define HOUR		3600000ull
#define NUMBERS		150000u
#define STREAMS		2u
#define SEEDS		16u
#define TURNS		80

/* A heap of objects, one a unit, by stream and first number. */
struct heap {
	struct pb_sink	 sink;
	enum pb_outcome	 outcome;	/* of all it is given, */
	uint64_t	 bad_first;	/* or only of the unit with this; 0 */
	unsigned	 units, gaps, cut;	/* that are part of a segment */
	unsigned	 given;
	uint64_t	 last_unit;
	unsigned char	 got[STREAMS + 1][NUMBERS];
	bool		 told[STREAMS + 1][NUMBERS];
};

static void
store(struct heap *heap, const struct pb_action *a)
{
	uint64_t first = a->piece.first, last = a->piece.last;

	assert_true(last < NUMBERS);
	heap->units++;
	heap->last_unit = first;
	if (first % SEGMENT_PACKETS != 1 || last % SEGMENT_PACKETS != 0)
		heap->cut++;
	for (uint64_t seq = first; seq <= last; seq++) {
		heap->got[a->stream][seq] = 1;
		heap->told[a->stream][seq] = false;
	}
}

static int
heap_start(struct pb_sink *sink, const struct pb_sink_request *request,
    struct pb_err *err)
{
	struct heap *heap = (struct heap *)sink;
	const struct pb_action *a = &request->action;
	struct pb_answer answer = { .outcome = PB_OUTCOME_HAS, .ours = true };

	(void)err;
	assert_int_not_equal(a->kind, PB_ACTION_ASK);
	heap->given++;
	if (heap->bad_first == 0 || heap->bad_first == a->piece.first)
		answer.outcome = heap->outcome;
	/* What is wrong with packets is not with a gap. */
	if (a->kind == PB_ACTION_GAP && answer.outcome != PB_OUTCOME_FAILED)
		answer.outcome = PB_OUTCOME_HAS;
	if (answer.outcome != PB_OUTCOME_HAS)
		strcpy(answer.text, "no");
	else if (a->kind == PB_ACTION_PACKETS)
		store(heap, a);
	else
		for (uint64_t seq = a->piece.first; seq <= a->piece.last; seq++)
			heap->told[a->stream][seq] = true;
	heap->gaps += a->kind == PB_ACTION_GAP;
	sink->done(sink->arg, a->request, &answer);
	return 0;
}

static const struct pb_sink_kind heap_kind = {
	.way = { .unit = PB_UNIT_SEGMENT, .remembered = true },
	.start = heap_start,
};

static struct heap heap;

static struct world *
heap_world(void)
{
	struct world *w = world_create_for(WINDOW, STREAMS, RETRY_FOR_MS);

	heap = (struct heap){ .sink = { .kind = &heap_kind,
	    .done = world_done, .arg = w }, .outcome = PB_OUTCOME_HAS };
	w->sink = &heap.sink;
	w->opts.way = heap_kind.way;
	pb_ship_destroy(w->ship);
	world_start(w);
	return w;
}

static uint64_t
count(uint32_t id, uint64_t first, uint64_t last)
{
	uint64_t got = 0;

	for (uint64_t seq = first; seq <= last; seq++)
		got += heap.got[id][seq];
	return got;
}

static uint64_t
acked(struct world *w, uint32_t id)
{
	struct pb_ship_cursor cursor;

	assert_true(pb_ship_cursor(w->ship, id, &cursor));
	return cursor.acked;
}

/* What is larger than the window goes alone; what is not sealed, not yet. */
static void
segments_go_whole_and_in_order(void **state)
{
	struct world *w = heap_world();

	(void)state;
	world_grow(w, 1, 10500);
	world_grow(w, 2, 2999);
	world_run(w, 1000);
	assert_int_equal(heap.units, 3);
	assert_int_equal(heap.cut, 0);
	assert_int_equal(count(1, 1, 9000), 9000);
	assert_int_equal(acked(w, 1), 9000);
	assert_int_equal(w->flights_max, 1);
	world_grow(w, 2, 3000);
	world_run(w, 1000);
	assert_int_equal(count(2, 1, 3000), 3000);
	assert_int_equal(world_status(w).state, PB_SHIP_IDLE);
	world_destroy(w);
}

/* There is room for two: those of two streams. */
static void
units_of_a_stream_follow_one_another(void **state)
{
	struct world *w = heap_world();

	(void)state;
	w->opts.window = 64u << 20;
	world_restart(w);
	world_warm(w, 2);
	for (uint32_t id = 1; id <= STREAMS; id++)
		world_grow(w, id, w->stream[id].end + 30000);
	world_run(w, 10000);
	assert_int_equal(w->flights_max, 2);
	assert_int_equal(count(1, 1, 30000), 30000);
	world_destroy(w);
}

/* The shipper is killed with three segments that it had not written down. */
static void
after_a_crash_it_goes_on_from_what_was_written_down(void **state)
{
	struct world *w = heap_world();

	(void)state;
	world_grow(w, 1, 6000);
	world_run(w, 1000);
	world_report(w);
	world_grow(w, 1, 15000);
	world_run(w, 1000);
	assert_int_equal(heap.units, 5);
	world_restart(w);
	world_run(w, 1000);
	assert_int_equal(heap.units, 8);
	assert_int_equal(heap.last_unit, 12001);
	assert_int_equal(acked(w, 1), 15000);
	world_report(w);
	world_restart(w);
	world_run(w, HOUR);
	assert_int_equal(heap.units, 8);
	world_destroy(w);
}

static void
a_gap_is_told_in_its_turn(void **state)
{
	struct world *w = heap_world();

	(void)state;
	w->stream[1].gap_first = 3001;
	w->stream[1].gap_last = 6000;
	w->stream[1].gap_recorded = true;
	world_grow(w, 1, 9000);
	world_run(w, 1000);
	assert_int_equal(heap.units, 2);
	assert_int_equal(heap.gaps, 1);
	assert_true(heap.told[1][3001] && heap.told[1][6000]);
	assert_false(heap.told[1][3000] || heap.told[1][6001]);
	assert_int_equal(acked(w, 1), 9000);
	world_destroy(w);
}

/* While it fails one unit is tried at a time, longer and longer apart. */
static void
a_unit_that_is_taken_ends_the_back_off(void **state)
{
	struct world *w = heap_world();

	(void)state;
	heap.outcome = PB_OUTCOME_FAILED;
	for (uint32_t id = 1; id <= STREAMS; id++)
		world_grow(w, id, 6000);
	world_run(w, 40000);
	assert_int_equal(world_status(w).state, PB_SHIP_BACKOFF);
	assert_true(world_status(w).attempts > 2);
	assert_in_range(heap.given, 3, 40);
	heap.outcome = PB_OUTCOME_HAS;
	world_run(w, 40000);
	assert_int_equal(world_status(w).state, PB_SHIP_IDLE);
	assert_int_equal(count(1, 1, 6000), 6000);
	assert_int_equal(count(2, 1, 6000), 6000);
	assert_int_equal(heap.cut, 0);
	world_destroy(w);
}

/* Something in front of it stops the unit that is to end a back-off. */
static void
a_back_off_goes_on_where_its_unit_is_stopped(void **state)
{
	struct world *w = heap_world();

	(void)state;
	heap.outcome = PB_OUTCOME_FAILED;
	world_grow(w, 1, 6000);
	world_run(w, 100);
	heap.outcome = PB_OUTCOME_STOPPED;
	world_run(w, 40000);
	assert_int_equal(world_status(w).state, PB_SHIP_BACKOFF);
	heap.outcome = PB_OUTCOME_HAS;
	world_run(w, 40000);
	assert_int_equal(count(1, 1, 6000), 6000);
	world_destroy(w);
}

/* What it refuses for good is a letter: the segment, whole; it is told a
 * gap, what follows goes on, and requeued it comes whole. */
static void
a_segment_that_is_refused_is_a_letter_and_comes_late(void **state)
{
	static const enum pb_outcome outcomes[] = { PB_OUTCOME_MALFORMED,
	    PB_OUTCOME_TOO_LARGE };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = heap_world();

		heap.outcome = outcomes[i];
		heap.bad_first = 3001;
		world_grow(w, 1, 9000);
		world_run(w, 5000);
		assert_int_equal(world_letters(w, 1, DEAD), 3000);
		assert_int_equal(heap.units, 2);
		assert_true(heap.told[1][3001] && heap.told[1][6000]);
		assert_int_equal(acked(w, 1), 9000);
		heap.outcome = PB_OUTCOME_HAS;
		world_requeue(w, 1, 1, 9000);
		world_run(w, 5000);
		assert_int_equal(heap.last_unit, 3001);
		assert_int_equal(count(1, 1, 9000), 9000);
		assert_int_equal(heap.cut, 0);
		assert_int_equal(world_letters(w, 1, REQUEUED), 0);
		assert_int_equal(acked(w, 1), 9000);
		world_destroy(w);
	}
}

/* --- all of it ---------------------------------------------------------- */

static void
happen(struct world *w)
{
	static const enum pb_outcome outcomes[] = { PB_OUTCOME_HAS,
	    PB_OUTCOME_HAS, PB_OUTCOME_HAS, PB_OUTCOME_FAILED,
	    PB_OUTCOME_FAILED, PB_OUTCOME_MALFORMED, PB_OUTCOME_TOO_LARGE,
	    PB_OUTCOME_BROKEN, PB_OUTCOME_REFUSED, PB_OUTCOME_STOPPED };
	uint32_t id = 1 + (uint32_t)(world_random(w) % STREAMS);

	switch (world_random(w) % 8) {
	case 0:
	case 1:
		heap.outcome = outcomes[world_random(w) % 10];
		heap.bad_first = world_random(w) % 2 == 0 ? 0 :
		    acked(w, id) + 1;
		break;
	case 2:
		world_requeue(w, id, 1, w->stream[id].end);
		break;
	case 3:
		world_report(w);
		break;
	case 4:
		world_restart(w);
		break;
	default:
		world_grow(w, id, w->stream[id].end + world_random(w) % 4000);
		break;
	}
	w->look_ms = world_random(w) % 2 == 0 ? world_random(w) % 40 : 0;
}

/* Each number is there, is told as a gap for its letter, or waits. */
static void
assert_nothing_lost(struct world *w)
{
	for (uint32_t id = 1; id <= STREAMS; id++) {
		struct world_stream *s = &w->stream[id];
		uint64_t to = acked(w, id);

		for (uint64_t seq = 1; seq <= to; seq++)
			assert_true(heap.got[id][seq] || (heap.told[id][seq] &&
			    world_letter(s, seq) != NO_LETTER));
	}
}

static void
each_number_arrives_whatever_happens(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *w = heap_world();

		w->random = seed * 0x9E3779B97F4A7C15ull;
		for (uint32_t id = 1; id <= STREAMS; id++)
			world_grow(w, id, 1);
		for (unsigned turn = 0; turn < TURNS; turn++) {
			happen(w);
			world_run(w, world_random(w) % 20000);
			assert_nothing_lost(w);
		}
		heap.outcome = PB_OUTCOME_HAS;
		for (uint32_t id = 1; id <= STREAMS; id++)
			world_grow(w, id, (w->stream[id].end / SEGMENT_PACKETS
			    + 1) * SEGMENT_PACKETS);
		world_run(w, HOUR);
		for (uint32_t id = 1; id <= STREAMS; id++)
			world_requeue(w, id, 1, w->stream[id].end);
		world_run(w, HOUR);
		for (uint32_t id = 1; id <= STREAMS; id++)
			assert_int_equal(count(id, 1, w->stream[id].end),
			    w->stream[id].end);
		world_destroy(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_go_whole_and_in_order),
		cmocka_unit_test(units_of_a_stream_follow_one_another),
		cmocka_unit_test(
		    after_a_crash_it_goes_on_from_what_was_written_down),
		cmocka_unit_test(a_gap_is_told_in_its_turn),
		cmocka_unit_test(a_unit_that_is_taken_ends_the_back_off),
		cmocka_unit_test(a_back_off_goes_on_where_its_unit_is_stopped),
		cmocka_unit_test(
		    a_segment_that_is_refused_is_a_letter_and_comes_late),
		cmocka_unit_test(each_number_arrives_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
