/*
 * tests/unit/test_pace.c - when a packet is due
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pcapng/ticks.h"
#include "recorder/transmit/pace.h"

#define S	PB_NS_PER_S

static struct pb_pace
pace_of(enum pb_pace_kind kind, uint64_t rate)
{
	const struct pb_pace_opts opts = { kind, rate, UINT64_MAX };
	struct pb_pace pace;

	pb_pace_init(&pace, &opts);
	return pace;
}

static uint64_t
at(struct pb_pace *pace, uint64_t time_ns)
{
	return pb_pace_next(pace, time_ns, true, 100);
}

static void
own_timing_is_the_distance_from_the_first_packet(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_OWN, PB_PACE_ONE);

	(void)state;
	assert_int_equal(at(&pace, 1700 * S), 0);
	assert_int_equal(at(&pace, 1700 * S + 1), 1);
	assert_int_equal(at(&pace, 1700 * S + 1), 1);
	assert_int_equal(at(&pace, 1701 * S), S);
}

static void
what_is_earlier_is_due_at_once_and_moves_nothing_behind_it(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_OWN, PB_PACE_ONE);

	(void)state;
	at(&pace, 10 * S);
	assert_int_equal(at(&pace, 10 * S + 100), 100);
	assert_int_equal(at(&pace, 10 * S + 50), 100);
	assert_int_equal(at(&pace, 9 * S + 100), 100);
	assert_int_equal(at(&pace, 10 * S + 120), 120);
}

static void
a_clock_that_was_set_back_begins_a_new_count(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_OWN, PB_PACE_ONE);

	(void)state;
	at(&pace, 5000 * S);
	at(&pace, 5001 * S);
	assert_int_equal(at(&pace, 1000 * S), S);
	assert_int_equal(at(&pace, 1000 * S + 7), S + 7);
}

static void
a_packet_without_a_time_is_due_with_the_one_before(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_OWN, PB_PACE_ONE);

	(void)state;
	assert_int_equal(pb_pace_next(&pace, 77, false, 60), 0);
	assert_int_equal(at(&pace, 10 * S), 0);
	assert_int_equal(at(&pace, 11 * S), S);
	assert_int_equal(pb_pace_next(&pace, 0, false, 60), S);
	assert_int_equal(at(&pace, 12 * S), 2 * S);
}

static void
speed_divides_and_keeps_what_is_left_over(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_OWN, 3 * PB_PACE_ONE);
	uint64_t due = 0;

	(void)state;
	for (uint64_t i = 0; i <= 30000; i++)
		due = at(&pace, 5 * S + i);
	assert_int_equal(due, 10000);
	pace = pace_of(PB_PACE_OWN, PB_PACE_ONE / 2);
	at(&pace, 0);
	assert_int_equal(at(&pace, 10), 20);
	/* A year, at a millionth. */
	pace = pace_of(PB_PACE_OWN, 1);
	at(&pace, 0);
	assert_int_equal(at(&pace, 3600 * S), 3600 * S * PB_PACE_ONE);
}

static void
long_silences_are_cut_as_they_would_go_out(void **state)
{
	const struct pb_pace_opts opts = { PB_PACE_OWN, 2 * PB_PACE_ONE, S };
	struct pb_pace pace;

	(void)state;
	pb_pace_init(&pace, &opts);
	at(&pace, 0);
	assert_int_equal(at(&pace, 2 * S), S);
	assert_int_equal(at(&pace, 12 * S), 2 * S);
	assert_int_equal(at(&pace, 14 * S - 2), 3 * S - 1);
}

/* Goal:   no drift, however many packets.
 * Method: what has been counted so far, with what is left over, is exactly as
 *         many times one packet's part; so it is 10^9 packets later. */
static void
a_number_of_packets_a_second_never_drifts(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_PACKETS,
	    UINT64_C(1488095) * PB_PACE_ONE + 238095);
	const uint64_t rate = pace.opts.rate, many = 1000000000;
	pb_u128 exact;

	(void)state;
	assert_int_equal(at(&pace, 0), 0);
	for (uint64_t n = 1; n <= 100000; n++) {
		at(&pace, 0);
		exact = (pb_u128)n * S * PB_PACE_ONE;
		assert_true((pb_u128)pace.due_ns * rate + pace.rest == exact);
		assert_true(pace.rest < rate);
	}
	exact = (pb_u128)many * S * PB_PACE_ONE;
	pace.due_ns = (uint64_t)(exact / rate);
	pace.rest = (uint64_t)(exact % rate);
	exact += (pb_u128)S * PB_PACE_ONE;
	assert_int_equal(at(&pace, 0), (uint64_t)(exact / rate));
	assert_int_equal(pace.rest, (uint64_t)(exact % rate));
}

static void
a_slow_rate_may_have_a_fraction(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_PACKETS, PB_PACE_ONE / 4);

	(void)state;
	at(&pace, 0);
	assert_int_equal(at(&pace, 0), 4 * S);
	pace = pace_of(PB_PACE_PACKETS, 1);
	at(&pace, 0);
	assert_int_equal(at(&pace, 0), S * PB_PACE_ONE);
}

static void
bits_a_second_count_those_that_went_before(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_MBITS, 12 * PB_PACE_ONE);
	uint64_t due = 0;

	(void)state;
	assert_int_equal(pb_pace_next(&pace, 0, false, 1500), 0);
	assert_int_equal(pb_pace_next(&pace, 0, false, 60), 1000000);
	assert_int_equal(pb_pace_next(&pace, 0, false, 60), 1040000);
	/* 7 Mbit/s and frames of 1501 bytes do not divide. */
	pace = pace_of(PB_PACE_MBITS, 7 * PB_PACE_ONE);
	for (uint32_t i = 0; i <= 70000; i++)
		due = pb_pace_next(&pace, 0, false, 1501);
	assert_int_equal(due, UINT64_C(1501) * 8 * S / 100);
}

static void
at_the_top_all_are_due_at_once(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_TOP, 0);

	(void)state;
	assert_int_equal(at(&pace, 0), 0);
	assert_int_equal(at(&pace, UINT64_MAX), 0);
}

static void
a_loop_goes_on_where_the_last_one_ended(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_OWN, PB_PACE_ONE);

	(void)state;
	for (uint64_t loop = 0; loop < 3; loop++) {
		assert_int_equal(at(&pace, 10 * S), loop * S);
		assert_int_equal(at(&pace, 11 * S), (loop + 1) * S);
		pb_pace_again(&pace);
	}
	pace = pace_of(PB_PACE_PACKETS, 3 * PB_PACE_ONE);
	at(&pace, 0);
	pb_pace_again(&pace);
	assert_int_equal(at(&pace, 0), S / 3);
	assert_int_equal(at(&pace, 0), 2 * S / 3);
	assert_int_equal(at(&pace, 0), S);
}

static void
the_end_of_time_is_not_passed(void **state)
{
	struct pb_pace pace = pace_of(PB_PACE_OWN, PB_PACE_ONE);

	(void)state;
	at(&pace, 0);
	assert_int_equal(at(&pace, UINT64_MAX), UINT64_MAX);
	assert_int_equal(at(&pace, UINT64_MAX), UINT64_MAX);
	at(&pace, 0);
	assert_int_equal(at(&pace, 10), UINT64_MAX);
	pace = pace_of(PB_PACE_OWN, 1);
	at(&pace, 0);
	assert_int_equal(at(&pace, UINT64_MAX), UINT64_MAX);
	pace = pace_of(PB_PACE_MBITS, 1);
	pb_pace_next(&pace, 0, true, UINT32_MAX);
	assert_int_equal(pb_pace_next(&pace, 0, true, UINT32_MAX),
	    UINT64_MAX);
	pace = pace_of(PB_PACE_PACKETS, PB_PACE_RATE_MAX);
	at(&pace, 0);
	assert_int_equal(at(&pace, 0), 1);
}

static void
rates_are_read_to_the_millionth(void **state)
{
	static const char *const wrong[] = { "", ".", "0", "0.0", "-1", "1e3",
	    "1.0000001", "1000000000.000001", "1000000001", "x", "1 ",
	    "99999999999999999999999999" };
	struct pb_err err;
	uint64_t rate;

	(void)state;
	assert_int_equal(pb_pace_parse("150000", &rate, &err), 0);
	assert_int_equal(rate, UINT64_C(150000000000));
	assert_int_equal(pb_pace_parse("0.5", &rate, &err), 0);
	assert_int_equal(rate, 500000);
	assert_int_equal(pb_pace_parse(".000001", &rate, &err), 0);
	assert_int_equal(rate, 1);
	assert_int_equal(pb_pace_parse("1000000000", &rate, &err), 0);
	assert_int_equal(rate, PB_PACE_RATE_MAX);
	rate = 42;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(pb_pace_parse(wrong[i], &rate, &err),
		    PB_EINVAL);
		assert_int_equal(rate, 42);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    own_timing_is_the_distance_from_the_first_packet),
		cmocka_unit_test(
		    what_is_earlier_is_due_at_once_and_moves_nothing_behind_it),
		cmocka_unit_test(a_clock_that_was_set_back_begins_a_new_count),
		cmocka_unit_test(
		    a_packet_without_a_time_is_due_with_the_one_before),
		cmocka_unit_test(speed_divides_and_keeps_what_is_left_over),
		cmocka_unit_test(long_silences_are_cut_as_they_would_go_out),
		cmocka_unit_test(a_number_of_packets_a_second_never_drifts),
		cmocka_unit_test(a_slow_rate_may_have_a_fraction),
		cmocka_unit_test(bits_a_second_count_those_that_went_before),
		cmocka_unit_test(at_the_top_all_are_due_at_once),
		cmocka_unit_test(a_loop_goes_on_where_the_last_one_ended),
		cmocka_unit_test(the_end_of_time_is_not_passed),
		cmocka_unit_test(rates_are_read_to_the_millionth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
