/*
 * tests/unit/test_latency.c - how long packets take from one tap to another
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pcapng/block.h"
#include "recorder/query/seen/latency.h"

#define S	PB_NS_PER_S
#define MS	PB_NS_PER_MS
#define NS(n)	((pb_i128)(n) * PB_LATENCY_NS)

static struct pb_head head[2] = {
	{ .linktype = PB_LINKTYPE_ETHERNET, .refs = 1, .identity = {
		.node = { { .name = "lon" } }, .nodes = 1, .epoch = 1,
		.interface = "a" } },
	{ .linktype = PB_LINKTYPE_ETHERNET, .refs = 1, .identity = {
		.node = { { .name = "lon" } }, .nodes = 1, .epoch = 1,
		.interface = "b" } },
};

static struct pb_latency *
latency_of(const char *from, const char *to, uint64_t window_ns,
    uint32_t waiting_max)
{
	struct pb_latency_opts opts = { .window_ns = window_ns,
	    .waiting_max = waiting_max };
	struct pb_latency *latency;

	assert_int_equal(pb_tap_parse(&opts.from, from, NULL), 0);
	assert_int_equal(pb_tap_parse(&opts.to, to, NULL), 0);
	assert_int_equal(pb_latency_create(&latency, &opts, NULL), 0);
	return latency;
}

/* Packet `number` of stream `lon/a` or `lon/b`. */
static void
seen(struct pb_latency *latency, char at, uint32_t number, uint64_t ns)
{
	uint8_t frame[20] = { [12] = 0x88, [13] = 0xb5 };
	struct pb_cursor_packet cp = {
		.packet = { .time_ns = ns, .data = frame,
		    .caplen = sizeof(frame), .origlen = sizeof(frame) },
		.seq = number, .head = &head[at - 'a'],
	};
	struct pb_err err;

	memcpy(frame + 14, &number, sizeof(number));
	frame[5] = (uint8_t)at;
	if (pb_latency_packet(latency, &cp, ns, &err) < 0)
		fail_msg("%s", err.text);
}

static void
each_packet_is_matched_with_itself(void **state)
{
	struct pb_latency *latency = latency_of("lon/a", "lon/b", S, 0);
	const struct pb_latency_report *report;

	(void)state;
	for (uint32_t i = 1; i <= 1000; i++) {
		seen(latency, 'a', i, S + i * MS);
		if (i > 1 && i % 10 != 0)
			seen(latency, 'b', i - 1, S + i * MS + i);
	}
	report = pb_latency_end(latency);
	assert_int_equal(report->from, 1000);
	assert_int_equal(report->to, 899);
	assert_int_equal(report->matched, 899);
	assert_int_equal(report->lost, 101);
	assert_int_equal(report->only_to, 0);
	assert_int_equal(report->ambiguous, 0);
	assert_int_equal(report->negative, 0);
	assert_int_equal(report->given_up, 0);
	assert_true(report->min == NS(MS + 2));
	assert_true(report->max == NS(MS + 999));
	pb_latency_destroy(latency);
}

static void
what_comes_behind_the_window_is_lost_and_seen_alone(void **state)
{
	struct pb_latency *latency = latency_of("lon/a", "lon/b", 10 * MS, 0);
	const struct pb_latency_report *report;

	(void)state;
	seen(latency, 'a', 1, S);
	seen(latency, 'a', 2, S + 1);
	seen(latency, 'b', 2, S + 1 + 10 * MS);
	seen(latency, 'b', 1, S + 2 + 10 * MS);
	report = pb_latency_end(latency);
	assert_int_equal(report->matched, 1);
	assert_int_equal(report->lost, 1);
	assert_int_equal(report->only_to, 1);
	assert_true(report->max == NS(10 * MS));
	pb_latency_destroy(latency);
}

static void
clocks_apart_are_latencies_below_nothing(void **state)
{
	struct pb_latency *latency = latency_of("lon/a", "lon/b", S, 0);
	const struct pb_latency_report *report;
	char text[PB_LATENCY_TEXT_MAX];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		seen(latency, 'b', i, S + i * MS);
		seen(latency, 'a', i, S + i * MS + (i < 60 ? 500 : 0));
	}
	report = pb_latency_end(latency);
	assert_int_equal(report->matched, 100);
	assert_int_equal(report->negative, 60);
	assert_int_equal(report->count, 100);
	assert_true(report->min == NS(-500) && report->max == 0);
	assert_true(pb_latency_find(report, 600) == NS(-500));
	assert_true(pb_latency_find(report, 610) == 0);
	assert_true(pb_latency_mean(report) == NS(-300));
	assert_string_equal(pb_latency_text(report->min, text), "-500");
	pb_latency_destroy(latency);
}

static void
equal_packets_match_in_order_and_their_times_are_not_believed(void **state)
{
	struct pb_latency *latency = latency_of("lon/a", "lon/b", S, 0);
	const struct pb_latency_report *report;

	(void)state;
	seen(latency, 'a', 7, S);
	seen(latency, 'a', 7, S + 1);
	seen(latency, 'a', 7, S + 2);
	seen(latency, 'b', 7, S + 100);
	seen(latency, 'b', 7, S + 101);
	/* The second one could be the first, though that has gone. */
	for (unsigned i = 0; i < 4; i++)
		seen(latency, "aabb"[i], 8, S + 200 + i);
	/* A while later it is alone. */
	seen(latency, 'a', 7, 3 * S);
	seen(latency, 'b', 7, 3 * S + 50);
	report = pb_latency_end(latency);
	assert_int_equal(report->matched, 5);
	assert_int_equal(report->ambiguous, 4);
	assert_int_equal(report->lost, 1);
	assert_int_equal(report->count, 1);
	assert_true(report->min == NS(50) && report->max == NS(50));
	pb_latency_destroy(latency);
}

/* Goal:   equal packets at even distances, the first of which was not seen at
 *         `from`, do not make each one earlier than it was sent.
 * Method: heartbeats, ten in a window. */
static void
a_heartbeat_that_was_missed_shifts_no_other_one(void **state)
{
	struct pb_latency *latency = latency_of("lon/a", "lon/b", S, 0);
	const struct pb_latency_report *report;

	(void)state;
	seen(latency, 'b', 7, S + 20);
	for (uint32_t i = 1; i < 50; i++) {
		seen(latency, 'a', 7, S + i * 100 * MS);
		seen(latency, 'b', 7, S + i * 100 * MS + 20);
	}
	/* Two at once, of which the first could be the second. */
	for (unsigned i = 0; i < 5; i++)
		seen(latency, "baabb"[i], 9, 20 * S + i);
	report = pb_latency_end(latency);
	assert_int_equal(report->matched, 51);
	assert_int_equal(report->only_to, 2);
	assert_int_equal(report->lost, 0);
	assert_int_equal(report->negative, 0);
	assert_int_equal(report->ambiguous, 3);
	assert_true(report->min == NS(20) && report->max == NS(20));
	pb_latency_destroy(latency);
}

/* Goal:   where the clock at `to` is behind, equal packets are neither lost
 *         nor late by the time between them.
 * Method: heartbeats, ten in a window; and one that is alone a while later. */
static void
equal_packets_by_a_clock_behind_are_not_late_ones(void **state)
{
	struct pb_latency *latency = latency_of("lon/a", "lon/b", S, 0);
	const struct pb_latency_report *report;

	(void)state;
	for (uint32_t i = 0; i < 50; i++) {
		seen(latency, 'b', 7, S + i * 100 * MS);
		seen(latency, 'a', 7, S + i * 100 * MS + 20);
	}
	seen(latency, 'b', 7, 20 * S);
	seen(latency, 'a', 7, 20 * S + 20);
	report = pb_latency_end(latency);
	assert_int_equal(report->matched, 51);
	assert_int_equal(report->only_to, 0);
	assert_int_equal(report->lost, 0);
	assert_int_equal(report->ambiguous, 50);
	assert_int_equal(report->negative, 1);
	assert_true(report->min == NS(-20) && report->max == NS(-20));
	pb_latency_destroy(latency);
}

static void
a_full_table_gives_up_the_oldest_and_counts_it(void **state)
{
	struct pb_latency *latency = latency_of("lon/a", "lon/b", S, 10);
	const struct pb_latency_report *report;

	(void)state;
	for (uint32_t i = 0; i < 15; i++)
		seen(latency, 'a', i, S + i);
	for (uint32_t i = 10; i < 15; i++)
		seen(latency, 'b', i, S + 100 + i);
	report = pb_latency_end(latency);
	assert_int_equal(report->from, 15);
	assert_int_equal(report->given_up, 5);
	assert_int_equal(report->matched, 5);
	assert_int_equal(report->lost, 5);
	assert_int_equal(report->only_to, 0);
	pb_latency_destroy(latency);
}

/* A packet with the stamps of two switches beside it. */
static size_t
stamps_option(uint8_t *at, const struct pb_stamp *stamp, uint8_t count)
{
	struct pb_stamped stamped = { .capture_ns = 900, .from = 1,
	    .count = count };

	memcpy(stamped.at, stamp, count * sizeof(*stamp));
	return pb_stamped_write(at, PB_PEN_EXAMPLE, &stamped);
}

static void
two_stamps_of_a_packet_are_apart_to_the_last_fraction(void **state)
{
	static const struct pb_stamp stamp[] = {
		{ .time_ns = 100, .fraction = 0xc0000000, .flags =
		    PB_STAMP_TIMED, .format = PB_STAMP_METAMAKO },
		{ .time_ns = 450, .fraction = 0x40000001, .flags =
		    PB_STAMP_TIMED, .format = PB_STAMP_METAMAKO },
	};
	struct pb_latency *latency = latency_of("stamp:1", "stamp:2", S, 0);
	struct pb_cursor_packet cp = { .head = &head[0] };
	const struct pb_latency_report *report;
	char text[PB_LATENCY_TEXT_MAX];
	uint8_t frame[60] = { 0 }, options[512];

	(void)state;
	cp.packet = (struct pb_packet){ .time_ns = 100, .data = frame,
	    .caplen = 60, .origlen = 60, .options = options };
	for (uint8_t count = 0; count <= 2; count++) {
		cp.packet.options_len = count > 0 ? stamps_option(options,
		    stamp, count) : 0;
		assert_int_equal(pb_latency_packet(latency, &cp, 100, NULL),
		    0);
	}
	report = pb_latency_end(latency);
	assert_int_equal(report->from, 2);
	assert_int_equal(report->to, 1);
	assert_int_equal(report->matched, 1);
	assert_int_equal(report->lost, 1);
	assert_int_equal(report->timeless, 1);
	assert_true(report->min == NS(349) + 0x80000001);
	assert_string_equal(pb_latency_text(report->min, text),
	    "349.5000000002");
	pb_latency_destroy(latency);
}

static void
a_stream_at_both_taps_is_refused(void **state)
{
	struct pb_latency *latency = latency_of("lon/*", "*/b", S, 0);
	struct pb_cursor_packet cp = { .head = &head[1] };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_latency_packet(latency, &cp, 0, &err), PB_EINVAL);
	assert_non_null(strstr(err.text, "lon/b is at both taps"));
	pb_latency_destroy(latency);
}

/* Goal:   percentiles are what sorting says, within one in a hundred.
 * Method: random latencies, a third of them negative, sorted. */
static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void
percentiles_are_those_of_all_sorted(void **state)
{
	static const unsigned shares[] = { 1, 10, 250, 333, 500, 990, 999,
	    1000 };
	struct pb_latency *latency = latency_of("lon/a", "lon/b", S, 0);
	const struct pb_latency_report *report;
	int64_t took[2000], want;
	pb_i128 have, off;

	(void)state;
	srand(7);
	for (uint32_t i = 0; i < 2000; i++) {
		took[i] = rand() % 3 == 0 ? -(rand() % 100000) :
		    rand() % 1000000;
		if (took[i] < 0)
			seen(latency, 'b', i, (i + 1) * 3 * S +
			    (uint64_t)took[i]);
		seen(latency, 'a', i, (i + 1) * 3 * S);
		if (took[i] >= 0)
			seen(latency, 'b', i, (i + 1) * 3 * S +
			    (uint64_t)took[i]);
	}
	report = pb_latency_end(latency);
	qsort(took, 2000, sizeof(took[0]), by_value);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		want = took[shares[i] * 2 - 1];
		have = pb_latency_find(report, shares[i]);
		off = have - NS(want);
		off = want < 0 ? -off : off;
		assert_true(off >= 0);
		assert_true(off <= NS(llabs(want) / 100 + 1));
	}
	assert_true(report->min == NS(took[0]));
	assert_true(report->max == NS(took[1999]));
	pb_latency_destroy(latency);
}

/* Goal:   a clock that was never set, at either tap, makes no latency of a few
 *         days of one of decades.
 * Method: most are too long for a histogram. */
static void
what_is_beyond_all_buckets_is_not_said_to_be_less(void **state)
{
	const uint64_t year = 365 * 86400 * S;
	const struct pb_latency_report *report;
	struct pb_latency_bucket bucket;
	struct pb_latency *latency;
	size_t at = 0;

	(void)state;
	latency = latency_of("lon/a", "lon/b", UINT64_MAX, 0);
	seen(latency, 'a', 1, 60 * year);
	seen(latency, 'b', 1, 60 * year + 5);
	for (uint32_t i = 2; i < 5; i++) {
		seen(latency, 'a', i, i * year);
		seen(latency, 'b', i, (50 + i) * year);
		seen(latency, 'b', i + 10, i * year);
		seen(latency, 'a', i + 10, (40 + i) * year);
	}
	report = pb_latency_end(latency);
	assert_int_equal(report->matched, 7);
	assert_true(pb_latency_find(report, 990) == NS(50 * year));
	assert_true(pb_latency_find(report, 100) == -NS(40 * year));
	assert_true(pb_latency_find(report, 560) < NS(6));
	assert_true(pb_latency_next(report, &at, &bucket));
	assert_int_equal(bucket.count, 3);
	assert_true(bucket.from < -NS(40 * year));
	assert_true(pb_latency_next(report, &at, &bucket));
	assert_int_equal(bucket.count, 1);
	assert_true(pb_latency_next(report, &at, &bucket));
	assert_int_equal(bucket.count, 3);
	assert_true(bucket.to > NS(50 * year));
	assert_false(pb_latency_next(report, &at, &bucket));
	pb_latency_destroy(latency);
}

/* Goal:   the histogram has each of them once, upwards, where it belongs.
 * Method: some of many sizes and both signs. */
static void
the_histogram_has_all_of_them_upwards(void **state)
{
	struct pb_latency *latency = latency_of("lon/a", "lon/b", S, 0);
	const struct pb_latency_report *report;
	struct pb_latency_bucket bucket;
	pb_i128 last = NS(-1000000);
	uint64_t count = 0;
	size_t at = 0;

	(void)state;
	for (uint32_t i = 1; i <= 20; i++) {
		seen(latency, 'a', i, i * 3 * S);
		seen(latency, 'b', i, i * 3 * S + (1u << i));
		seen(latency, 'b', 100 + i, i * 3 * S + MS);
		seen(latency, 'a', 100 + i, i * 3 * S + MS + (1u << i) / 2);
	}
	report = pb_latency_end(latency);
	while (pb_latency_next(report, &at, &bucket)) {
		assert_true(bucket.from < bucket.to && bucket.from >= last);
		assert_true(bucket.count > 0);
		last = bucket.to;
		count += bucket.count;
	}
	assert_int_equal(count, 40);
	assert_true(last > NS(1 << 20));
	pb_latency_destroy(latency);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_packet_is_matched_with_itself),
		cmocka_unit_test(
		    what_comes_behind_the_window_is_lost_and_seen_alone),
		cmocka_unit_test(clocks_apart_are_latencies_below_nothing),
		cmocka_unit_test(
		equal_packets_match_in_order_and_their_times_are_not_believed),
		cmocka_unit_test(
		    a_heartbeat_that_was_missed_shifts_no_other_one),
		cmocka_unit_test(
		    equal_packets_by_a_clock_behind_are_not_late_ones),
		cmocka_unit_test(
		    a_full_table_gives_up_the_oldest_and_counts_it),
		cmocka_unit_test(
		    two_stamps_of_a_packet_are_apart_to_the_last_fraction),
		cmocka_unit_test(a_stream_at_both_taps_is_refused),
		cmocka_unit_test(percentiles_are_those_of_all_sorted),
		cmocka_unit_test(
		    what_is_beyond_all_buckets_is_not_said_to_be_less),
		cmocka_unit_test(the_histogram_has_all_of_them_upwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
