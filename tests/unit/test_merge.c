/*
 * tests/unit/test_merge.c - many streams in one order, from scripted lanes
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/query/merge.h"
#include "pcapng/option.h"

#define MS	PB_NS_PER_MS
#define LANES_MAX 600
#define S	PB_NS_PER_S

/* A lane's packets: times, and the sequence number is the place + 1. */
struct script {
	const uint64_t	*time;
	size_t		 count;
	size_t		 at;
	uint32_t	 caplen;	/* of each packet */
	bool		 untimed;	/* those of time 0 bear the mark */
	bool		 open, parked;
	unsigned	 opened, parks;
	size_t		 fail_at;	/* 0: never; else the n-th call */
};

struct scripts {
	struct script	lane[LANES_MAX];
	unsigned	reading, reading_most;
	unsigned	open, open_most;
	bool		backwards;
};

static uint8_t payload[PB_CAPLEN_MAX];

static void
script_open(struct scripts *s, struct script *l)
{
	l->open = true;
	l->parked = true;
	l->opened++;
	if (++s->open > s->open_most)
		s->open_most = s->open;
}

static int
script_next(void *arg, size_t lane, struct pb_cursor_packet *out,
    struct pb_err *err)
{
	static uint8_t mark[16];
	struct scripts *s = arg;
	struct script *l = &s->lane[lane];
	struct pb_buf options;

	if (!l->open)
		script_open(s, l);
	if (l->parked) {
		l->parked = false;
		if (++s->reading > s->reading_most)
			s->reading_most = s->reading;
	}
	if (l->fail_at > 0 && l->at + 1 == l->fail_at)
		return pb_err_set(err, PB_EDIGEST, "lane %zu is damaged",
		    lane);
	if (l->at == l->count)
		return 0;
	memset(out, 0, sizeof(*out));
	out->seq = s->backwards ? l->count - l->at : l->at + 1;
	out->packet.time_ns = l->time[out->seq - 1];
	out->packet.data = payload;
	out->packet.caplen = l->caplen;
	l->at++;
	if (l->untimed && out->packet.time_ns == 0) {
		pb_buf_init(&options, sizeof(mark));
		pb_untimed_put(&options, PB_PEN_EXAMPLE);
		memcpy(mark, options.data, options.len);
		out->packet.options = mark;
		out->packet.options_len = options.len;
		pb_buf_finish(&options);
	}
	return 1;
}

static void
script_park(void *arg, size_t lane)
{
	struct scripts *s = arg;

	assert_true(s->lane[lane].open);
	assert_false(s->lane[lane].parked);
	s->lane[lane].parked = true;
	s->lane[lane].parks++;
	s->reading--;
}

static void
script_close(void *arg, size_t lane)
{
	struct scripts *s = arg;

	assert_true(s->lane[lane].open);
	if (!s->lane[lane].parked)
		s->reading--;
	s->lane[lane].open = false;
	s->open--;
}

static struct pb_merge *
merge_of(struct scripts *s, size_t lanes, unsigned reading_max)
{
	struct pb_merge_source source = { .next = script_next,
	    .park = script_park, .close = script_close, .arg = s,
	    .backwards = s->backwards };
	uint64_t first[LANES_MAX] = { 0 };
	struct pb_merge *merge;

	for (size_t i = 0; i < lanes; i++) {
		first[i] = s->lane[i].count > 0 && !s->backwards ?
		    UINT64_MAX : 0;
		for (size_t k = 0; k < s->lane[i].count; k++)
			if (s->backwards == (s->lane[i].time[k] > first[i]))
				first[i] = s->lane[i].time[k];
	}
	assert_int_equal(pb_merge_create(&merge, &source, first, lanes,
	    reading_max, NULL), 0);
	return merge;
}

/* The merge gives exactly `count` packets: lane and number of each. */
static void
gives(struct scripts *s, size_t lanes, const unsigned (*want)[2],
    size_t count)
{
	struct pb_merge *merge = merge_of(s, lanes, 0);
	struct pb_cursor_packet cp;
	struct pb_err err;
	size_t lane;

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(pb_merge_next(merge, &cp, &lane, &err), 1);
		assert_int_equal(lane, want[i][0]);
		assert_int_equal(cp.seq, want[i][1]);
	}
	assert_int_equal(pb_merge_next(merge, &cp, &lane, &err), 0);
	pb_merge_destroy(merge);
	assert_int_equal(s->open, 0);
	assert_int_equal(s->reading, 0);
}

static void
no_lanes_give_nothing(void **state)
{
	static struct scripts s;

	(void)state;
	gives(&s, 0, NULL, 0);
}

static void
lanes_come_out_by_time_and_ties_by_lane(void **state)
{
	static const uint64_t a[] = { 1 * S, 3 * S, 5 * S };
	static const uint64_t b[] = { 2 * S, 3 * S, 4 * S };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 1, 1 }, { 0, 2 }, { 1, 2 }, { 1, 3 }, { 0, 3 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 3 };
	s.lane[1] = (struct script){ .time = b, .count = 3 };
	gives(&s, 2, want, 6);
}

static void
equal_times_of_a_lane_keep_their_order(void **state)
{
	static const uint64_t a[] = { 7, 7, 7, 7, 7, 7, 7 };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 0, 2 }, { 0, 3 }, { 0, 4 }, { 0, 5 }, { 0, 6 },
		{ 0, 7 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 7 };
	gives(&s, 1, want, 7);
}

static void
times_that_run_back_within_the_window_are_put_in_order(void **state)
{
	static const uint64_t a[] = { 1 * S, 1 * S + 9 * MS, 1 * S + 2 * MS,
	    1 * S + 20 * MS };
	static const uint64_t b[] = { 1 * S + 1 * MS, 1 * S + 8 * MS };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 1, 1 }, { 0, 3 }, { 1, 2 }, { 0, 2 }, { 0, 4 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 4 };
	s.lane[1] = (struct script){ .time = b, .count = 2 };
	gives(&s, 2, want, 6);
}

static void
backwards_it_is_all_the_other_way_round(void **state)
{
	static const uint64_t a[] = { 1 * S, 1 * S + 9 * MS, 1 * S + 2 * MS,
	    1 * S + 20 * MS, 3 * S, 3 * S };
	static const uint64_t b[] = { 1 * S + 1 * MS, 1 * S + 8 * MS, 3 * S,
	    4 * S };
	static const unsigned want[][2] = {
		{ 1, 4 }, { 1, 3 }, { 0, 6 }, { 0, 5 }, { 0, 4 }, { 0, 2 },
		{ 1, 2 }, { 0, 3 }, { 1, 1 }, { 0, 1 },
	};
	static struct scripts s = { .backwards = true };
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	uint64_t time;
	size_t lane;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 6 };
	s.lane[1] = (struct script){ .time = b, .count = 4 };
	gives(&s, 2, want, 10);
	s.lane[0].at = s.lane[1].at = 0;
	merge = merge_of(&s, 2, 0);
	assert_int_equal(pb_merge_peek(merge, &time, NULL), 1);
	assert_true(time == 4 * S);
	assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 1);
	assert_true(cp.packet.time_ns == 4 * S);
	pb_merge_destroy(merge);
}

static void
a_packet_later_than_the_window_goes_out_when_it_is_met(void **state)
{
	static const uint64_t a[] = { 1 * S, 2 * S, 3 * S, 1 * S + 1, 4 * S };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 0, 2 }, { 0, 4 }, { 0, 3 }, { 0, 5 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 5 };
	gives(&s, 1, want, 5);
}

static void
a_packet_without_a_time_stays_behind_the_one_before_it(void **state)
{
	static const uint64_t a[] = { 0, 1 * S, 0, 3 * S };
	static const uint64_t b[] = { 2 * S };
	static const unsigned want[][2] = {
		{ 0, 1 }, { 0, 2 }, { 0, 3 }, { 1, 1 }, { 0, 4 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 4, .untimed = true };
	s.lane[1] = (struct script){ .time = b, .count = 1 };
	gives(&s, 2, want, 5);
}

/*
 * Goal:   who sends at the packets' pace knows how long to wait.
 * Method: look ahead twice behind each packet, and at the end.
 */
static void
a_look_ahead_tells_the_next_time_and_leaves_the_packet(void **state)
{
	static const uint64_t a[] = { 1 * S, 0, 4 * S }, b[] = { 2 * S };
	static const uint64_t want[] = { 1 * S, 1 * S, 2 * S, 4 * S };
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	uint64_t time;
	size_t lane;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 3, .untimed = true,
	    .caplen = 100 };
	s.lane[1] = (struct script){ .time = b, .count = 1, .caplen = 100 };
	memset(payload, 0xa5, sizeof(payload));
	merge = merge_of(&s, 2, 0);
	for (size_t i = 0; i < 4; i++) {
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(pb_merge_peek(merge, &time, NULL), 1);
			assert_true(time == want[i]);
			if (i > 0)
				assert_memory_equal(cp.packet.data, payload,
				    100);
		}
		assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 1);
		assert_int_equal(lane, i == 2);
	}
	assert_int_equal(pb_merge_peek(merge, &time, NULL), 0);
	assert_memory_equal(cp.packet.data, payload, 100);
	assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 0);
	pb_merge_destroy(merge);
}

/*
 * Goal:   streams that do not overlap in time cost one open lane.
 * Method: 100 lanes of a second each, one after the other.
 */
static void
a_lane_is_opened_when_its_first_time_is_reached(void **state)
{
	static uint64_t time[100][3];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	uint64_t last = 0;
	size_t lane, n = 0;

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		for (size_t k = 0; k < 3; k++)
			time[i][k] = (100 - i) * S + k * 100 * MS;
		s.lane[i] = (struct script){ .time = time[i], .count = 3 };
	}
	merge = merge_of(&s, 100, 0);
	while (pb_merge_next(merge, &cp, &lane, &err) == 1) {
		assert_true(cp.packet.time_ns > last);
		last = cp.packet.time_ns;
		n++;
	}
	assert_int_equal(n, 300);
	assert_in_range(s.open_most, 1, 2);
	pb_merge_destroy(merge);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(s.lane[i].opened, 1);
}

/*
 * Goal:   more streams at once than files: still all of it, in order.
 * Method: 500 lanes that all overlap, 8 files.
 */
static void
lanes_beyond_the_files_are_parked_and_none_is_lost(void **state)
{
	enum { LANES = 500, EACH = 400, FILES = 8 };
	static uint64_t time[LANES][EACH];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	uint64_t last = 0;
	size_t lane, n = 0;
	unsigned parks = 0;

	(void)state;
	for (size_t i = 0; i < LANES; i++) {
		for (size_t k = 0; k < EACH; k++)
			time[i][k] = k * 20 * MS + i * 7;
		s.lane[i] = (struct script){ .time = time[i], .count = EACH,
		    .caplen = 100 };
	}
	merge = merge_of(&s, LANES, FILES);
	while (pb_merge_next(merge, &cp, &lane, &err) == 1) {
		assert_true(cp.packet.time_ns >= last);
		last = cp.packet.time_ns;
		n++;
	}
	pb_merge_destroy(merge);
	assert_int_equal(n, LANES * EACH);
	assert_true(s.reading_most <= FILES);
	assert_int_equal(s.open, 0);
	for (size_t i = 0; i < LANES; i++)
		parks += s.lane[i].parks;
	/* A lane takes many packets each time it takes a file. */
	assert_true(parks > 0);
	assert_true(parks < LANES * EACH / 50);
}

static void
large_packets_are_held_within_the_bytes_of_a_lane(void **state)
{
	enum { COUNT = 100 };
	static uint64_t time[COUNT];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	size_t lane, ahead;

	(void)state;
	for (size_t k = 0; k < COUNT; k++)
		time[k] = S + k;	/* all within the window */
	s.lane[0] = (struct script){ .time = time, .count = COUNT,
	    .caplen = PB_CAPLEN_MAX };
	merge = merge_of(&s, 1, 0);
	for (uint64_t i = 1; i <= COUNT; i++) {
		assert_int_equal(pb_merge_next(merge, &cp, &lane, &err), 1);
		assert_int_equal(cp.seq, i);
		ahead = s.lane[0].at - i;
		assert_true(ahead * PB_CAPLEN_MAX <= PB_MERGE_INPUT_BYTES_MAX);
	}
	pb_merge_destroy(merge);
}

static void
packets_held_are_bounded_in_number(void **state)
{
	enum { COUNT = 20000 };
	static uint64_t time[COUNT];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	size_t lane;

	(void)state;
	for (size_t k = 0; k < COUNT; k++)
		time[k] = S;
	s.lane[0] = (struct script){ .time = time, .count = COUNT };
	merge = merge_of(&s, 1, 0);
	assert_int_equal(pb_merge_next(merge, &cp, &lane, &err), 1);
	assert_int_equal(cp.seq, 1);
	assert_int_equal(s.lane[0].at, PB_MERGE_PACKETS_MAX);
	pb_merge_destroy(merge);
	assert_int_equal(s.open, 0);
}

static void
an_error_of_a_lane_is_passed_on(void **state)
{
	static const uint64_t a[] = { 1 * S, 2 * S };
	static const uint64_t b[] = { 1 * S, 2 * S, 3 * S };
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	size_t lane;
	int rc;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 2 };
	s.lane[1] = (struct script){ .time = b, .count = 3, .fail_at = 3 };
	merge = merge_of(&s, 2, 0);
	do
		rc = pb_merge_next(merge, &cp, &lane, &err);
	while (rc == 1);
	assert_int_equal(rc, PB_EDIGEST);
	assert_string_equal(err.text, "lane 1 is damaged");
	pb_merge_destroy(merge);
	assert_int_equal(s.open, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_lanes_give_nothing),
		cmocka_unit_test(lanes_come_out_by_time_and_ties_by_lane),
		cmocka_unit_test(equal_times_of_a_lane_keep_their_order),
		cmocka_unit_test(
		    times_that_run_back_within_the_window_are_put_in_order),
		cmocka_unit_test(backwards_it_is_all_the_other_way_round),
		cmocka_unit_test(
		    a_packet_later_than_the_window_goes_out_when_it_is_met),
		cmocka_unit_test(
		    a_packet_without_a_time_stays_behind_the_one_before_it),
		cmocka_unit_test(
		    a_look_ahead_tells_the_next_time_and_leaves_the_packet),
		cmocka_unit_test(
		    a_lane_is_opened_when_its_first_time_is_reached),
		cmocka_unit_test(
		    lanes_beyond_the_files_are_parked_and_none_is_lost),
		cmocka_unit_test(
		    large_packets_are_held_within_the_bytes_of_a_lane),
		cmocka_unit_test(packets_held_are_bounded_in_number),
		cmocka_unit_test(an_error_of_a_lane_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
