/*
 * tests/unit/test_descent.c - where two nodes differ, found by few questions
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/audit/descent.h"

#define NUMBERS	1000000u
#define FEW	40u

/* Two nodes: what each has under a number; 0: nothing. */
static uint8_t here[NUMBERS + 1], there[NUMBERS + 1];
static uint8_t told[NUMBERS + 1];	/* so often */
static uint64_t told_last;
static unsigned questions;

static struct pb_digests_part
part_of(const uint8_t *has, uint64_t first, uint64_t last)
{
	struct pb_digests_part part = { .first = first, .last = last };

	for (uint64_t seq = first; seq <= last; seq++)
		if (has[seq] != 0) {
			part.packets++;
			part.digest = part.digest * 1000003 + seq * 256 +
			    has[seq];
		}
	return part;
}

static int
on_leaf(void *arg, const struct pb_digests_part *mine,
    const struct pb_digests_part *theirs)
{
	(void)arg;
	assert_int_equal(mine->first, theirs->first);
	assert_int_equal(mine->last, theirs->last);
	assert_true(mine->first > told_last);
	told_last = mine->last;
	if (mine->first < mine->last)
		assert_true(mine->packets == 0 || theirs->packets == 0);
	for (uint64_t seq = mine->first; seq <= mine->last; seq++)
		told[seq]++;
	return 0;
}

/* `most`: so many parts there are in an answer, whatever was asked for. */
static void
find(uint64_t first, uint64_t last, unsigned most)
{
	struct pb_digests_part mine[PB_DIGESTS_PARTS_MAX],
	    theirs[PB_DIGESTS_PARTS_MAX];
	struct pb_descent descent;
	struct pb_digests_ask ask;

	memset(told, 0, sizeof(told));
	told_last = 0;
	questions = 0;
	pb_descent_begin(&descent, first, last);
	while (pb_descent_next(&descent, &ask)) {
		uint64_t step = (ask.last - ask.first) / ask.parts + 1, at;
		unsigned n = 0;

		questions++;
		for (at = ask.first; at <= ask.last && n < most; n++) {
			uint64_t end = ask.last - at < step ? ask.last :
			    at + step - 1;

			mine[n] = part_of(here, at, end);
			theirs[n] = part_of(there, at, end);
			at = end + 1;
		}
		assert_int_equal(pb_descent_take(&descent, mine, theirs, n,
		    on_leaf, NULL), 0);
	}
	for (uint64_t seq = first; seq <= last; seq++) {
		assert_true(told[seq] <= 1);
		if (here[seq] != there[seq])
			assert_int_equal(told[seq], 1);
	}
}

static void
alike(void)
{
	for (size_t i = 1; i <= NUMBERS; i++)
		here[i] = there[i] = (uint8_t)(1 + i % 250);
}

static void
one_question_shows_that_nothing_differs(void **state)
{
	(void)state;
	alike();
	find(1, NUMBERS, 64);
	assert_int_equal(questions, 1);
	assert_int_equal(told_last, 0);
	find(5, 4, 64);
	assert_int_equal(questions, 0);
}

static void
one_packet_is_found_by_a_question_a_level(void **state)
{
	static const uint64_t places[] = { 1, 2, 777777, NUMBERS - 1,
	    NUMBERS };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		alike();
		there[places[i]] ^= 1;
		find(1, NUMBERS, 64);
		assert_true(questions <= 4);
		assert_int_equal(told_last, places[i]);
	}
}

static void
a_run_that_one_lacks_is_not_taken_apart(void **state)
{
	(void)state;
	alike();
	memset(there + 1, 0, NUMBERS / 2);
	find(1, NUMBERS, 64);
	assert_true(questions <= 2);
	alike();
	memset(here + 300000, 0, 123456);
	find(1, NUMBERS, 64);
	assert_true(questions <= 64);
}

/* All kinds of differences, few and many, near and far from each other, and
 * answers that end early. */
static void
whatever_differs_is_told_once_and_in_order(void **state)
{
	(void)state;
	srandom(7);
	for (unsigned round = 0; round < FEW; round++) {
		alike();
		for (unsigned i = 0; i < 1u << (round % 8); i++) {
			uint64_t at = 1 + (uint64_t)random() % NUMBERS;
			uint64_t run = round % 3 == 0 ? 1 :
			    1 + (uint64_t)random() % 5000;
			uint8_t *has = random() % 2 == 0 ? here : there;

			for (; run > 0 && at <= NUMBERS; run--, at++)
				has[at] = random() % 4 == 0 ? 251 : 0;
		}
		find(1, NUMBERS, round % 2 == 0 ? 64 : 1 + round % 64);
	}
}

static void
numbers_up_to_the_last_there_is_fit(void **state)
{
	struct pb_digests_part mine[64], theirs[64];
	struct pb_descent descent;
	struct pb_digests_ask ask;
	unsigned deepest = 0;

	(void)state;
	pb_descent_begin(&descent, 1, INT64_MAX);
	/* Everything differs: as many wait as ever can. */
	for (int i = 0; i < 5000 && pb_descent_next(&descent, &ask); i++) {
		uint64_t step = (ask.last - ask.first) / ask.parts + 1;
		uint64_t at = ask.first;
		unsigned n = 0;

		for (; at <= ask.last && n < 63; n++) {
			uint64_t end = ask.last - at < step ? ask.last :
			    at + step - 1;

			mine[n] = (struct pb_digests_part){ .first = at,
			    .last = end, .packets = 1, .digest = 1 };
			theirs[n] = mine[n];
			theirs[n].digest = 2;
			at = end + 1;
		}
		told_last = 0;
		pb_descent_take(&descent, mine, theirs, n, on_leaf, NULL);
		deepest = descent.count > deepest ? descent.count : deepest;
		if (told_last != 0)
			break;
	}
	assert_true(deepest > 600 && deepest <= PB_DESCENT_TODO_MAX);
}

static int
enough(void *arg, const struct pb_digests_part *mine,
    const struct pb_digests_part *theirs)
{
	(void)mine;
	(void)theirs;
	++*(int *)arg;
	return 5;
}

static void
who_has_enough_ends_it(void **state)
{
	struct pb_digests_part mine[2], theirs[2];
	struct pb_descent descent;
	int calls = 0;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		mine[i] = theirs[i] = (struct pb_digests_part){
		    .first = i + 1, .last = i + 1, .packets = 1, .digest = 7 };
		theirs[i].digest++;
	}
	pb_descent_begin(&descent, 1, 2);
	assert_int_equal(pb_descent_take(&descent, mine, theirs, 2, enough,
	    &calls), 5);
	assert_int_equal(calls, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_question_shows_that_nothing_differs),
		cmocka_unit_test(one_packet_is_found_by_a_question_a_level),
		cmocka_unit_test(a_run_that_one_lacks_is_not_taken_apart),
		cmocka_unit_test(whatever_differs_is_told_once_and_in_order),
		cmocka_unit_test(numbers_up_to_the_last_there_is_fit),
		cmocka_unit_test(who_has_enough_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
