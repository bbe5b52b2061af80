/*
 * tests/unit/test_calibrate.c - which engine is fastest here?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "recorder/transmit/engine/calibrate.h"

#define CALL_FRAMES	64u
#define FRAME_BYTES	100u

static void
init(struct pb_calibration *calibration)
{
	pb_calibration_init(calibration);
	pb_calibration_add(calibration, PB_ENGINE_SENDMMSG, "sendmmsg");
	pb_calibration_add(calibration, PB_ENGINE_XDP, "xdp");
	pb_calibration_add(calibration, PB_ENGINE_RING, "ring");
}

/* One turn, a frame of which takes `each_ns`; false: it was the last. */
static bool
turn(struct pb_calibration *calibration, uint64_t each_ns)
{
	while (!pb_calibration_sent(calibration, CALL_FRAMES,
	    CALL_FRAMES * FRAME_BYTES, CALL_FRAMES * each_ns))
		;
	return pb_calibration_next(calibration, 0);
}

/* All rounds, with the same speeds in each; by engine. */
static void
all_turns(struct pb_calibration *calibration,
    const uint64_t each_ns[PB_ENGINES])
{
	while (turn(calibration,
	    each_ns[pb_calibration_engine(calibration)]))
		;
}

static void
the_fastest_is_chosen_and_the_words_have_all(void **state)
{
	static const uint64_t each_ns[PB_ENGINES] = {
		[PB_ENGINE_SENDMMSG] = 1000, [PB_ENGINE_XDP] = 500,
		[PB_ENGINE_RING] = 2500 };
	struct pb_calibration calibration;
	char words[128];

	(void)state;
	init(&calibration);
	all_turns(&calibration, each_ns);
	assert_int_equal(pb_calibration_engine(&calibration), PB_ENGINE_XDP);
	pb_calibration_words(&calibration, words, sizeof(words));
	assert_string_equal(words,
	    "xdp: 2.00 Mpps of 100 bytes; sendmmsg 1.00, ring 0.40");
}

static void
engines_take_turns_round_after_round(void **state)
{
	static const enum pb_engine order[] = { PB_ENGINE_SENDMMSG,
	    PB_ENGINE_XDP, PB_ENGINE_RING };
	struct pb_calibration calibration;

	(void)state;
	init(&calibration);
	for (unsigned i = 0; i < 3 * PB_CALIBRATION_ROUNDS; i++) {
		assert_int_equal(pb_calibration_engine(&calibration),
		    order[i % 3]);
		assert_int_equal(turn(&calibration, 1000),
		    i + 1 < 3 * PB_CALIBRATION_ROUNDS);
	}
}

static void
one_that_is_hardly_faster_is_not_preferred(void **state)
{
	static const struct {
		uint64_t	 xdp_ns;
		enum pb_engine	 best;
	} rows[] = { { 996, PB_ENGINE_SENDMMSG }, { 960, PB_ENGINE_SENDMMSG },
	    { 940, PB_ENGINE_XDP }, { 1200, PB_ENGINE_SENDMMSG } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint64_t each_ns[PB_ENGINES] = {
			[PB_ENGINE_SENDMMSG] = 1000,
			[PB_ENGINE_XDP] = rows[i].xdp_ns,
			[PB_ENGINE_RING] = 3000 };
		struct pb_calibration calibration;

		init(&calibration);
		all_turns(&calibration, each_ns);
		assert_int_equal(pb_calibration_engine(&calibration),
		    rows[i].best);
	}
}

/* What else the machine does makes an engine slow, never fast. */
static void
the_best_turn_counts(void **state)
{
	struct pb_calibration calibration;

	(void)state;
	init(&calibration);
	for (unsigned round = 0; round < PB_CALIBRATION_ROUNDS; round++) {
		turn(&calibration, 1000);
		turn(&calibration, round == 1 ? 700 : 9000);
		turn(&calibration, 1500);
	}
	assert_int_equal(pb_calibration_engine(&calibration), PB_ENGINE_XDP);
}

static void
the_time_until_its_frames_left_is_an_engines_own(void **state)
{
	struct pb_calibration calibration;

	(void)state;
	init(&calibration);
	for (unsigned i = 0; i < 3 * PB_CALIBRATION_ROUNDS; i++) {
		bool xdp = pb_calibration_engine(&calibration) ==
		    PB_ENGINE_XDP;

		while (!pb_calibration_sent(&calibration, CALL_FRAMES,
		    CALL_FRAMES * FRAME_BYTES,
		    CALL_FRAMES * (xdp ? 500 : 900)))
			;
		pb_calibration_next(&calibration,
		    xdp ? 10 * PB_CALIBRATION_TURN_NS : 0);
	}
	/* Taken at once, and gone much later, ten times a turn. */
	assert_int_equal(pb_calibration_engine(&calibration),
	    PB_ENGINE_SENDMMSG);
}

/* A full queue is time without frames. */
static void
a_turn_without_a_frame_does_not_end(void **state)
{
	struct pb_calibration calibration;

	(void)state;
	init(&calibration);
	assert_false(pb_calibration_sent(&calibration, 0, 0,
	    50 * PB_CALIBRATION_TURN_NS));
	assert_true(pb_calibration_sent(&calibration, 1, FRAME_BYTES, 1));
}

static void
one_that_does_not_work_has_no_more_turns(void **state)
{
	static const uint64_t each_ns[PB_ENGINES] = {
		[PB_ENGINE_SENDMMSG] = 1000, [PB_ENGINE_XDP] = 1,
		[PB_ENGINE_RING] = 700 };
	struct pb_calibration calibration;
	char words[128];

	(void)state;
	for (unsigned at = 0; at < 3; at++) {
		init(&calibration);
		for (unsigned i = 0; i < at; i++)
			turn(&calibration, 800);
		pb_calibration_drop(&calibration);
		all_turns(&calibration, each_ns);
		pb_calibration_words(&calibration, words, sizeof(words));
		if (at == 1)
			assert_string_equal(words, "ring: 1.43 Mpps of 100 "
			    "bytes; sendmmsg 1.25");
		assert_int_equal(calibration.count, 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fastest_is_chosen_and_the_words_have_all),
		cmocka_unit_test(engines_take_turns_round_after_round),
		cmocka_unit_test(one_that_is_hardly_faster_is_not_preferred),
		cmocka_unit_test(the_best_turn_counts),
		cmocka_unit_test(
		    the_time_until_its_frames_left_is_an_engines_own),
		cmocka_unit_test(a_turn_without_a_frame_does_not_end),
		cmocka_unit_test(one_that_does_not_work_has_no_more_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
