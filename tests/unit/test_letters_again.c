/*
 * tests/unit/test_letters_again.c - dead letters that go again by themselves
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/letters_fixture.h"

/* What the upstream has moved past, and in which order it was asked. */
struct moved {
	uint64_t	past;
	uint64_t	asked[64];
	unsigned	count;
};

static bool
moved_past(void *arg, const struct pb_letter *letter)
{
	struct moved *moved = arg;

	if (moved->count < 64)
		moved->asked[moved->count++] = letter->first;
	return letter->last <= moved->past;
}

/* One step, as an upstream goes. */
static int
step(struct bench *b, struct moved *moved, struct pb_letters_sum *sum)
{
	struct pb_letter found[PB_LETTERS_STEP];
	size_t count = 0, kept = 0;
	int more = pb_letters_dead(b->letters, "core", &sum->after, found,
	    &count, NULL);

	for (size_t i = 0; more >= 0 && i < count; i++)
		if (moved_past(moved, &found[i]))
			found[kept++] = found[i];
	if (more >= 0 && kept > 0)
		assert_int_equal(pb_letters_revive(b->letters, found, kept,
		    sum, NULL), 0);
	return more;
}

/* One walk over all there are. */
static struct pb_letters_sum
again(struct bench *b, struct moved *moved)
{
	struct pb_letters_sum sum = { .letters = 0 };
	int rc;

	do
		rc = step(b, moved, &sum);
	while (rc == 1);
	assert_int_equal(rc, 0);
	return sum;
}

static void
demote_at(struct bench *b, uint64_t first, uint64_t last,
    enum pb_dead_reason reason, uint64_t now_ns)
{
	struct pb_err err = { .code = 0 };
	uint64_t done;

	if (demote_rc(b, "core", first, last, reason, now_ns, &done,
	    &err) < 0)
		fail_msg("%s", err.text);
}

static void
those_go_that_the_upstream_has_moved_past_oldest_first(void **state)
{
	struct moved moved = { .past = 2 * PER };
	struct pb_letters_sum sum;
	struct bench b;

	(void)state;
	bench_init(&b, 3);
	demote_at(&b, 2 * PER + 1, 3 * PER, PB_DEAD_STALE, NOW + 1);
	demote_at(&b, PER + 1, 2 * PER, PB_DEAD_FORBIDDEN, NOW + 2);
	demote_at(&b, 1, PER, PB_DEAD_STALE, NOW + 3);
	sum = again(&b, &moved);
	assert_int_equal(sum.letters, 2);
	assert_int_equal(sum.packets, 2 * PER);
	assert_int_equal(moved.asked[0], 2 * PER + 1);
	assert_int_equal(moved.asked[1], PER + 1);
	assert_int_equal(moved.asked[2], 1);
	assert_letter(&b, 1, 1, PER, PB_LETTER_REQUEUED);
	assert_letter(&b, PER + 1, PER + 1, 2 * PER, PB_LETTER_REQUEUED);
	assert_letter(&b, 2 * PER + 1, 2 * PER + 1, 3 * PER, PB_LETTER_DEAD);
	/* Once is enough. */
	assert_int_equal(again(&b, &moved).letters, 0);
	/* Their age goes on: the oldest is dropped first. */
	assert_int_equal(keep_bounds(&b, "core", 1, 0, NOW),
	    3);
	bench_finish(&b);
}

static void
what_was_refused_for_what_it_holds_stays(void **state)
{
	struct moved moved = { .past = UINT64_MAX };
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	demote_at(&b, 1, PER, PB_DEAD_MALFORMED, NOW);
	demote_at(&b, PER + 1, 2 * PER, PB_DEAD_STALE, NOW + 1);
	assert_int_equal(again(&b, &moved).letters, 1);
	assert_int_equal(moved.count, 1);
	assert_letter(&b, 1, 1, PER, PB_LETTER_DEAD);
	bench_finish(&b);
}

/* More than one call looks at, of which few may go. */
static void
many_letters_are_walked_in_steps(void **state)
{
	const unsigned many = PB_LETTERS_STEP + 40;
	struct moved moved = { .past = UINT64_MAX };
	struct pb_letters_sum sum = { .letters = 0 };
	struct bench b;

	(void)state;
	bench_init(&b, 1 + (2 * many) / PER);
	/* Every other number: letters that cannot be one. */
	for (unsigned i = 0; i < many; i++)
		demote_at(&b, 2 * i + 1, 2 * i + 1, PB_DEAD_STALE, NOW + i);
	assert_int_equal(step(&b, &moved, &sum), 1);
	assert_int_equal(sum.letters, PB_LETTERS_STEP);
	assert_int_equal(step(&b, &moved, &sum), 0);
	assert_int_equal(sum.letters, many);
	assert_int_equal(total(&b, "core").letters, 0);
	assert_int_equal(total(&b, "core").requeued, many);
	bench_finish(&b);
}

static void
what_waited_in_vain_again_is_dead_as_it_was(void **state)
{
	struct moved moved = { .past = UINT64_MAX };
	struct pb_letter letter;
	struct bench b;

	(void)state;
	bench_init(&b, 2);
	demote_at(&b, 1, PER, PB_DEAD_STALE, NOW);
	assert_int_equal(again(&b, &moved).letters, 1);
	demote_at(&b, 1, 2 * PER, PB_DEAD_STALE, NOW + 9);
	letter = assert_letter(&b, 1, 1, PER, PB_LETTER_DEAD);
	assert_int_equal(letter.since_ns, NOW);
	assert_letter(&b, PER + 1, PER + 1, 2 * PER, PB_LETTER_DEAD);
	assert_int_equal(again(&b, &moved).letters, 2);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    those_go_that_the_upstream_has_moved_past_oldest_first),
		cmocka_unit_test(what_was_refused_for_what_it_holds_stays),
		cmocka_unit_test(many_letters_are_walked_in_steps),
		cmocka_unit_test(what_waited_in_vain_again_is_dead_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
