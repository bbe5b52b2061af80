/*
 * tests/unit/test_known.c - what is known of a number
 *
 * Method: everything there is to know of numbers of a few bits, each pair of
 * it, against every number it stands for: all bits at WIDTH of them, bits
 * and ranges at 4.  They stand at the low end of a word and, where a carry
 * has to fall off, at its high end.  A width of 8 (-DWIDTH=8u) takes a
 * minute.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pcap/pcap.h>
#include <stdlib.h>

#include "recorder/filter/known.h"

#ifndef WIDTH
#define WIDTH		5u
#endif
#define NUMBERS		(1u << WIDTH)
#define THIRDS_MAX	6561u	/* 3^8 */
#define RANGED_MAX	4096u

/* What all results of a pair have in common. */
struct results {
	uint32_t all[THIRDS_MAX], any[THIRDS_MAX], least[THIRDS_MAX],
	    most[THIRDS_MAX];
};

static const unsigned ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR,
    BPF_AND, BPF_LSH, BPF_RSH, BPF_NEG, BPF_MOD, BPF_XOR };
static const unsigned tests[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };

#define COUNT(list)	(sizeof(list) / sizeof((list)[0]))

static bool
contains(const struct pb_known *a, uint32_t v)
{
	return (v & ~a->free) == a->ones && v >= a->lo && v <= a->hi;
}

/* What libpcap's interpreter does; division by 0 is not asked. */
static uint32_t
concrete(unsigned op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b == 0 ? 0 : a / b;
	case BPF_MOD:
		return b == 0 ? 0 : a % b;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	default:
		return 0u - a;
	}
}

static bool
holds(unsigned test, uint32_t a, uint32_t b)
{
	switch (test) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default:
		return (a & b) != 0;
	}
}

/* The digits of `n` to base 3 are bits: 0, 1, not known. */
static struct pb_known
third(unsigned n, unsigned shift)
{
	uint32_t ones = 0, unknown = 0;

	for (unsigned bit = 0; bit < WIDTH; bit++, n /= 3) {
		ones |= (n % 3 == 1 ? 1u : 0u) << bit;
		unknown |= (n % 3 == 2 ? 1u : 0u) << bit;
	}
	return pb_known_bits(ones << shift, unknown << shift);
}

static unsigned
thirds(void)
{
	unsigned n = 1;

	for (unsigned bit = 0; bit < WIDTH; bit++)
		n *= 3;
	return n;
}

/* Of `x` with what each `b` stands for: smaller ones come first. */
static void
results_of(struct results *r, unsigned op, uint32_t x, unsigned shift)
{
	unsigned count = thirds();

	for (unsigned n = 0; n < count; n++) {
		struct pb_known b = third(n, shift);
		unsigned power = 1, rest = n, zero, one;

		while (rest > 0 && rest % 3 != 2) {
			rest /= 3;
			power *= 3;
		}
		if (rest == 0) {
			uint32_t v = concrete(op, x, b.ones);
			bool asked = (op != BPF_DIV && op != BPF_MOD) ||
			    b.ones != 0;

			r->all[n] = asked ? v : UINT32_MAX;
			r->any[n] = asked ? v : 0;
			r->least[n] = asked ? v : UINT32_MAX;
			r->most[n] = asked ? v : 0;
			continue;
		}
		zero = n - 2 * power;
		one = n - power;
		r->all[n] = r->all[zero] & r->all[one];
		r->any[n] = r->any[zero] | r->any[one];
		r->least[n] = r->least[zero] < r->least[one] ?
		    r->least[zero] : r->least[one];
		r->most[n] = r->most[zero] > r->most[one] ?
		    r->most[zero] : r->most[one];
	}
}

static void
add_results(struct results *sum, const struct results *r, unsigned count)
{
	for (unsigned n = 0; n < count; n++) {
		sum->all[n] &= r->all[n];
		sum->any[n] |= r->any[n];
		sum->least[n] = sum->least[n] < r->least[n] ? sum->least[n] :
		    r->least[n];
		sum->most[n] = sum->most[n] > r->most[n] ? sum->most[n] :
		    r->most[n];
	}
}

static void
check_all_pairs(unsigned op, unsigned shift_a, unsigned shift_b)
{
	struct results *of = calloc(NUMBERS, sizeof(*of));
	struct results *sum = calloc(1, sizeof(*sum));
	unsigned count = thirds();

	assert_non_null(of);
	assert_non_null(sum);
	for (uint32_t x = 0; x < NUMBERS; x++)
		results_of(&of[x], op, x << shift_a, shift_b);
	for (unsigned n = 0; n < count; n++) {
		struct pb_known a = third(n, shift_a);

		for (unsigned m = 0; m < count; m++) {
			sum->all[m] = sum->least[m] = UINT32_MAX;
			sum->any[m] = sum->most[m] = 0;
		}
		for (uint32_t x = 0; x < NUMBERS; x++)
			if (contains(&a, x << shift_a))
				add_results(sum, &of[x], count);
		for (unsigned m = 0; m < count; m++) {
			struct pb_known b = third(m, shift_b);
			struct pb_known r = pb_known_alu(op, &a, &b);

			if (sum->least[m] > sum->most[m])
				continue;	/* all of it a division by 0 */
			if ((sum->all[m] & ~r.free) != r.ones ||
			    (sum->any[m] & ~r.free) != r.ones ||
			    sum->least[m] < r.lo || sum->most[m] > r.hi)
				fail_msg("op %02x: %08x/%08x with %08x/%08x",
				    op, a.ones, a.free, b.ones, b.free);
		}
	}
	free(of);
	free(sum);
}

static void
no_result_is_left_out_whatever_bits_are_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ops); i++)
		check_all_pairs(ops[i], 0, 0);
}

static void
carries_fall_off_the_end_of_a_word(void **state)
{
	unsigned top = 32 - WIDTH;

	(void)state;
	check_all_pairs(BPF_ADD, top, top);
	check_all_pairs(BPF_SUB, top, top);
	check_all_pairs(BPF_SUB, 0, top);
	check_all_pairs(BPF_NEG, top, 0);
	check_all_pairs(BPF_MUL, top, 0);
	check_all_pairs(BPF_LSH, top, 0);
}

/* --- with ranges ---------------------------------------------------------- */

/* All that can be known of numbers of four bits, once. */
static size_t
ranged(struct pb_known *out)
{
	size_t n = 0;

	for (uint32_t ones = 0; ones < 16; ones++)
		for (uint32_t unknown = 0; unknown < 16; unknown++)
			for (uint32_t lo = 0; lo < 16; lo++)
				for (uint32_t hi = lo; hi < 16; hi++) {
					struct pb_known a = { ones, unknown,
					    lo, hi };

					if ((ones & unknown) != 0 ||
					    !contains(&a, lo) ||
					    !contains(&a, hi))
						continue;
					assert_true(n < RANGED_MAX);
					out[n++] = a;
				}
	return n;
}

static void
check_pair(const struct pb_known *a, const struct pb_known *b)
{
	for (size_t i = 0; i < COUNT(ops); i++) {
		struct pb_known r = pb_known_alu(ops[i], a, b);

		for (uint32_t x = a->lo; x <= a->hi; x++)
			for (uint32_t y = b->lo; y <= b->hi; y++)
				if (contains(a, x) && contains(b, y) &&
				    (y != 0 || (ops[i] != BPF_DIV &&
				    ops[i] != BPF_MOD)) && !contains(&r,
				    concrete(ops[i], x, y)))
					fail_msg("op %02x: %u with %u",
					    ops[i], x, y);
	}
	for (size_t i = 0; i < COUNT(tests); i++) {
		unsigned r = pb_known_test(tests[i], a, b);

		for (uint32_t x = a->lo; x <= a->hi; x++)
			for (uint32_t y = b->lo; y <= b->hi; y++)
				if (contains(a, x) && contains(b, y) &&
				    (r & (holds(tests[i], x, y) ? PB_MAY_HOLD :
				    PB_MAY_FAIL)) == 0)
					fail_msg("test %02x: %u with %u",
					    tests[i], x, y);
	}
}

static void
ranges_and_bits_together_leave_nothing_out(void **state)
{
	static struct pb_known known[RANGED_MAX];
	size_t count = ranged(known);

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++) {
			struct pb_known both = pb_known_join(&known[i],
			    &known[j]);

			check_pair(&known[i], &known[j]);
			assert_true(contains(&both, known[i].lo) &&
			    contains(&both, known[i].hi) &&
			    contains(&both, known[j].lo) &&
			    contains(&both, known[j].hi));
		}
}

/* What a packet has is known: it goes one way. */
static void
of_two_numbers_one_comes_out(void **state)
{
	static const uint32_t number[] = { 0, 1, 2, 3, 5, 31, 32, 33, 64, 255,
	    0xffff, 0x10001, 0x7fffffff, 0x80000000, 0xfffffffe, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT(ops); i++)
		for (size_t j = 0; j < COUNT(number) * COUNT(number); j++) {
			uint32_t x = number[j / COUNT(number)];
			uint32_t y = number[j % COUNT(number)];
			struct pb_known a = pb_known_number(x);
			struct pb_known b = pb_known_number(y);

			if (y == 0 && (ops[i] == BPF_DIV || ops[i] == BPF_MOD))
				continue;
			a = pb_known_alu(ops[i], &a, &b);
			assert_true(pb_known_whole(&a));
			assert_int_equal(a.lo, concrete(ops[i], x, y));
		}
}

static void
a_test_teaches_what_must_be_true_after_it(void **state)
{
	static struct pb_known known[RANGED_MAX];
	size_t count = ranged(known);

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < 18; k++)
			for (size_t t = 0; t < COUNT(tests); t++)
				for (uint32_t x = 0; x < 16; x++) {
					bool held = holds(tests[t], x, k);
					struct pb_known r;

					if (!contains(&known[i], x))
						continue;
					r = pb_known_after(tests[t],
					    &known[i], k, held);
					assert_true(contains(&r, x));
				}
}

static void
a_range_tells_its_bits_and_bits_their_range(void **state)
{
	struct pb_known a = pb_known_range(0x1200, 0x12ff);
	struct pb_known one = pb_known_number(1), tight;

	(void)state;
	assert_int_equal(a.ones, 0x1200);
	assert_int_equal(a.free, 0xff);
	a = pb_known_bits(0x10, 0x05);	/* 16, 17, 20, 21 */
	tight = pb_known_after(BPF_JGT, &a, 17, true);
	assert_int_equal(tight.lo, 20);
	assert_int_equal(tight.hi, 21);
	tight = pb_known_after(BPF_JGE, &a, 20, false);
	assert_int_equal(tight.hi, 17);
	tight = pb_known_alu(BPF_AND, &tight, &one);
	assert_int_equal(tight.hi, 1);
	/* A mask that takes away what is known anyway keeps the range. */
	a = pb_known_range(0x2001, 0x3fff);
	one = pb_known_number(0x1fff);
	tight = pb_known_alu(BPF_AND, &a, &one);
	assert_int_equal(tight.lo, 1);
	assert_int_equal(tight.hi, 0x1fff);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(no_result_is_left_out_whatever_bits_are_known),
		cmocka_unit_test(carries_fall_off_the_end_of_a_word),
		cmocka_unit_test(ranges_and_bits_together_leave_nothing_out),
		cmocka_unit_test(of_two_numbers_one_comes_out),
		cmocka_unit_test(a_test_teaches_what_must_be_true_after_it),
		cmocka_unit_test(a_range_tells_its_bits_and_bits_their_range),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
