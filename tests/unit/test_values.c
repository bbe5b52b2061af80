/*
 * tests/unit/test_values.c - which values a place in packets has
 *
 * Method: sets of all kinds, every test of them, against each of their
 * numbers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/filter/values.h"

#define SPANS_MAX	200u
#define SET_BYTES	(12 * SPANS_MAX)
#ifndef ROUNDS
#define ROUNDS		1000u
#endif
#define ASKED		40u	/* tests of a set */

static struct pb_fuse_work work;
static uint64_t seed;

static uint32_t
any(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* Up to `most`; spans of more than one number only if asked for. */
static size_t
make_spans(struct pb_span *span, uint32_t most, bool wide)
{
	size_t spans = 1 + any(any(4) == 0 ? SPANS_MAX - 1 : 8), n = 0;
	uint64_t next = any(most < 1000 ? 10 : 1u << (2 + any(29)));
	uint32_t step = 1u << any(most < 1000 ? 4 : 26);

	while (n < spans && next <= most) {
		uint64_t hi = next + (wide && any(3) == 0 ? any(step) : 0);

		span[n].lo = (uint32_t)next;
		span[n++].hi = hi > most ? most : (uint32_t)hi;
		next = hi + 2 + any(step);
	}
	if (n == 0)
		span[n++] = (struct pb_span){ most, most };
	return n;
}

static bool
contains(const struct pb_known *a, uint32_t v)
{
	return (v & ~a->free) == a->ones && v >= a->lo && v <= a->hi;
}

static bool
holds(unsigned op, uint32_t a, uint32_t k)
{
	return op == BPF_JEQ ? a == k : op == BPF_JGT ? a > k :
	    op == BPF_JGE ? a >= k : (a & k) != 0;
}

/* Of all, or of some, numbers of each span. */
static unsigned
truth(const struct pb_span *span, size_t spans, unsigned shift,
    const struct pb_places_test *test)
{
	unsigned seen = 0;

	for (size_t i = 0; i < spans; i++)
		for (uint64_t v = span[i].lo; v <= span[i].hi; ) {
			uint32_t asked = (uint32_t)v >> shift & test->mask;

			if (contains(test->known, asked))
				seen |= holds(test->op, asked, test->k) ?
				    PB_MAY_HOLD : PB_MAY_FAIL;
			v += v < span[i].hi && span[i].hi - v > 300 ?
			    any(200) + 1 : 1;
		}
	return seen;
}

static void
make_test(struct pb_places_test *test, struct pb_known *known,
    const struct pb_span *span, size_t spans, unsigned shift)
{
	static const unsigned ops[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
	const struct pb_span *some = &span[any((uint32_t)spans)];
	uint32_t all = UINT32_MAX >> (32 - 8 * test->bytes);

	test->op = ops[any(4)];
	test->mask = any(3) != 0 ? UINT32_MAX : any(2) == 0 ?
	    all << any(8 * test->bytes) : any(all);
	test->k = (some->lo + any(3) - 1) >> shift & test->mask & all;
	if (any(4) == 0)
		test->k = any(all);
	*known = pb_known_bits(0, test->mask & all);
	if (any(3) == 0) {	/* after another test, or known bits */
		uint32_t v = some->hi >> shift & test->mask;

		uint32_t unknown = any(all);

		*known = pb_known_bits(v & ~unknown, unknown);
		if (any(2) == 0)
			*known = pb_known_after(BPF_JGE, known, v, true);
		assert_true(contains(known, v));
	}
	test->known = known;
}

static void
check_set(const struct pb_span *span, size_t spans, const uint8_t *set,
    size_t len, unsigned bytes, bool exact)
{
	struct pb_place place = { 20, bytes, set, len };
	struct pb_places places = { &place, 1, NULL };

	for (unsigned i = 0; i < ASKED; i++) {
		struct pb_places_test test = { .at = 20, .bytes = bytes };
		unsigned shift = 0, said, is;
		struct pb_known known;

		if (any(5) == 0) {
			test.bytes = any(2) == 0 ? 1 : bytes;
			shift = 8 * (bytes - test.bytes);
		}
		make_test(&test, &known, span, spans, shift);
		said = pb_places_test(&places, &test);
		is = truth(span, spans, shift, &test);
		assert_int_equal(is & ~said, 0);
		if (exact)
			assert_int_equal(said, is);
	}
}

static void
of_numbers_one_by_one_the_truth_is_said(void **state)
{
	static const uint32_t most[] = { 0xff, 0xffff, 0xffffffff };
	struct pb_span span[SPANS_MAX];
	uint8_t set[SET_BYTES];

	(void)state;
	for (seed = 1; seed <= ROUNDS; seed++) {
		uint64_t round = seed;
		unsigned size = any(3);
		size_t spans = make_spans(span, most[size], false);
		size_t len = pb_values_put(set, span, spans);

		assert_int_equal(len, pb_values_bytes(span, spans));
		check_set(span, spans, set, len, 1u << size, true);
		seed = round;
	}
}

static void
of_spans_nothing_false_is_said(void **state)
{
	static const uint32_t most[] = { 0xff, 0xffff, 0xffffffff };
	struct pb_span span[SPANS_MAX];
	uint8_t set[SET_BYTES];

	(void)state;
	for (seed = 1; seed <= ROUNDS; seed++) {
		uint64_t round = seed;
		unsigned size = any(3);
		size_t spans = make_spans(span, most[size], true);
		size_t len = pb_values_put(set, span, spans);

		check_set(span, spans, set, len, 1u << size, false);
		seed = round;
	}
}

static void
a_fuse_filter_says_only_that_a_number_is_not_there(void **state)
{
	struct pb_span span[SPANS_MAX];
	uint32_t number[SPANS_MAX];
	uint8_t set[SET_BYTES];
	unsigned ruled_out = 0;

	(void)state;
	for (seed = 1; seed <= ROUNDS; seed++) {
		uint64_t round = seed;
		size_t spans = make_spans(span, UINT32_MAX, false), len;
		struct pb_known all = pb_known_any();
		struct pb_place place = { 20, 4, set, 0 };
		struct pb_places places = { &place, 1, NULL };
		struct pb_places_test test = { 20, 4, UINT32_MAX, &all,
		    BPF_JEQ, any(UINT32_MAX) };

		for (size_t i = 0; i < spans; i++)
			number[i] = span[i].lo;
		len = pb_values_put_fuse(set, sizeof(set), number, spans, 8,
		    &work);
		assert_int_not_equal(len, 0);
		check_set(span, spans, set, len, 4, false);
		place.len = len;
		ruled_out += pb_places_test(&places, &test) == PB_MAY_FAIL;
		seed = round;
	}
	assert_true(ruled_out > ROUNDS / 2);
}

static void
places_that_are_not_known_can_have_any_value(void **state)
{
	struct pb_span span = { 80, 80 };
	uint8_t set[SET_BYTES];
	struct pb_place place = { 34, 2, set, pb_values_put(set, &span, 1) };
	struct pb_places places = { &place, 1, NULL };
	struct pb_known all = pb_known_bits(0, 0xffff);
	struct pb_places_test test = { 36, 2, UINT32_MAX, &all, BPF_JEQ, 80 };

	(void)state;
	assert_int_equal(pb_places_test(&places, &test),
	    PB_MAY_HOLD | PB_MAY_FAIL);
	test.at = 34;
	assert_int_equal(pb_places_test(&places, &test), PB_MAY_HOLD);
	test.bytes = 4;
	assert_int_equal(pb_places_test(&places, &test),
	    PB_MAY_HOLD | PB_MAY_FAIL);
}

/* In memory of just their size and what stands behind. */
static void
any_bytes_are_read_within_their_bounds(void **state)
{
	(void)state;
	for (seed = 1; seed <= ROUNDS; seed++) {
		uint64_t round = seed;
		size_t len = any(64);
		uint8_t *set = malloc(len + PB_VALUES_BEHIND);
		struct pb_span some = { 7, 7 };

		assert_non_null(set);
		for (size_t i = 0; i < len + PB_VALUES_BEHIND; i++)
			set[i] = (uint8_t)any(any(2) == 0 ? 4 : 256);
		check_set(&some, 1, set, 0, 4, false);
		for (unsigned i = 0; i < ASKED; i++) {
			struct pb_place place = { 20, 4, set, len };
			struct pb_places places = { &place, 1, NULL };
			struct pb_places_test test = { .at = 20, .bytes = 4 };
			struct pb_known known;

			make_test(&test, &known, &some, 1, 0);
			assert_true(pb_places_test(&places, &test) <=
			    (PB_MAY_HOLD | PB_MAY_FAIL));
		}
		free(set);
		seed = round;
	}
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(of_numbers_one_by_one_the_truth_is_said),
		cmocka_unit_test(of_spans_nothing_false_is_said),
		cmocka_unit_test(
		    a_fuse_filter_says_only_that_a_number_is_not_there),
		cmocka_unit_test(places_that_are_not_known_can_have_any_value),
		cmocka_unit_test(any_bytes_are_read_within_their_bounds),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
