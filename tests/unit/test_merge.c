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
#include "pcapng/build.h"
#include "pcapng/option.h"

#define MS	PB_NS_PER_MS
#define LANES_MAX 600
#define BATCH_BYTES (2u << 20)
#define S	PB_NS_PER_S

/* A lane's packets: times, and the sequence number is the place + 1. */
struct script {
	const uint64_t	*time;
	size_t		 count;
	size_t		 at;
	size_t		 together;	/* in a batch; 0: one, mostly */
	uint32_t	 caplen;	/* of each packet */
	bool		 untimed;	/* those of time 0 bear the mark */
	bool		 open, parked;
	unsigned	 opened, parks;
	size_t		 fail_at;	/* 0: never; else the n-th call */
	bool		 floored;	/* it knows the next batch's time */
};

struct scripts {
	struct script	lane[LANES_MAX];
	unsigned	reading, reading_most;
	unsigned	open, open_most;
	bool		backwards;
	const uint64_t	*window_ns;
	uint64_t	late;		/* of the last merge */
};

static uint8_t payload[PB_CAPLEN_MAX];
static struct pb_head head = { .refs = 1 };

static void
script_open(struct scripts *s, struct script *l)
{
	l->open = true;
	l->parked = true;
	l->opened++;
	if (++s->open > s->open_most)
		s->open_most = s->open;
}

/* Packet `seq` of the lane, behind those that are in the batch. */
static size_t
add_packet(const struct script *l, uint64_t seq, uint8_t *at,
    struct pb_batch *out)
{
	struct pb_cursor_packet cp = { .seq = seq, .head = &head };
	struct pb_packet packet = { .time_ns = l->time[seq - 1],
	    .data = payload, .caplen = l->caplen };
	struct pb_buf options;
	struct pb_block block;
	size_t len;

	pb_buf_init(&options, 64);
	pb_option_put(&options, PB_OPT_EPB_PACKETID, &seq, sizeof(seq));
	if (l->untimed && packet.time_ns == 0)
		pb_untimed_put(&options, PB_PEN_EXAMPLE);
	packet.options = options.data;
	packet.options_len = options.len;
	len = pb_build_epb(at, 0, &packet);
	pb_buf_finish(&options);
	assert_int_equal(pb_scan_block(at, len, &block), 1);
	assert_int_equal(pb_scan_epb(&block, &cp.packet), 0);
	assert_true(pb_batch_add(out, &cp));
	return len;
}

static int
script_batch(void *arg, size_t lane, size_t bytes_max, struct pb_batch *out,
    struct pb_err *err)
{
	struct scripts *s = arg;
	struct script *l = &s->lane[lane];
	struct pb_bytes bytes = { malloc(BATCH_BYTES), BATCH_BYTES };
	size_t count = l->together > 0 ? l->together : 1;
	size_t left = l->count - l->at, len = 0;

	if (!l->open)
		script_open(s, l);
	if (l->parked) {
		l->parked = false;
		if (++s->reading > s->reading_most)
			s->reading_most = s->reading;
	}
	if (count > left)
		count = left;
	for (size_t i = 0; i < count && (i == 0 || len < bytes_max); i++)
		len += add_packet(l, s->backwards ? left - count + i + 1 :
		    l->at + i + 1, bytes.data + len, out);
	if (l->fail_at > 0 && l->at + 1 == l->fail_at)
		pb_err_set(err, PB_EDIGEST, "lane %zu is damaged", lane);
	else
		assert_true(pb_batch_keep(out, &bytes));
	free(bytes.data);
	if (l->fail_at > 0 && l->at + 1 == l->fail_at)
		return PB_EDIGEST;
	l->at += out->count;
	if (l->floored)
		out->floor = l->at < l->count ? l->time[l->at] : UINT64_MAX;
	return out->count > 0;
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
	struct pb_merge_source source = { .batch = script_batch,
	    .park = script_park, .close = script_close, .arg = s,
	    .backwards = s->backwards, .window_ns = s->window_ns };
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
	s->late = pb_merge_late(merge);
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
		{ 0, 1 }, { 0, 4 }, { 0, 2 }, { 0, 3 }, { 0, 5 },
	};
	static struct scripts s;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 5 };
	gives(&s, 1, want, 5);
}

/* Trailers' times, of switches whose queues differ. */
static void
a_wide_window_puts_in_order_what_is_within_it(void **state)
{
	static const uint64_t a[] = { 4 * S, 6 * S, 3 * S, 7 * S, 5 * S, 5 * S,
	    9 * S, 7 * S - 1, 7 * S, 11 * S };
	static const uint64_t b[] = { 4 * S + 1, 8 * S };
	static const unsigned want[][2] = {
		{ 0, 3 }, { 0, 1 }, { 1, 1 }, { 0, 5 }, { 0, 6 }, { 0, 2 },
		{ 0, 8 }, { 0, 4 }, { 0, 9 }, { 1, 2 }, { 0, 7 }, { 0, 10 },
	};
	static const uint64_t three = 3 * S, two = 2 * S;
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	size_t lane;

	(void)state;
	for (size_t together = 1; together <= 10; together++) {
		/* What it knows is of the next one alone. */
		s.lane[0] = (struct script){ .time = a, .count = 10,
		    .together = together, .floored = true };
		s.lane[1] = (struct script){ .time = b, .count = 2,
		    .floored = true };
		s.window_ns = &three;
		gives(&s, 2, want, 12);
		assert_int_equal(s.late, 0);
	}
	/* The third is earlier by 3 s, the eighth by a ns more than 2 s: they
	 * stand where they can, and are counted. */
	s.lane[0].at = s.lane[1].at = 0;
	s.window_ns = &two;
	merge = merge_of(&s, 2, 0);
	while (pb_merge_next(merge, &cp, &lane, NULL) == 1)
		;
	assert_int_equal(pb_merge_late(merge), 2);
	pb_merge_destroy(merge);
}

static void
with_no_window_lanes_keep_the_order_of_their_numbers(void **state)
{
	static const uint64_t a[] = { 5 * S, 3 * S, 4 * S, 9 * S, 8 * S, 6 * S,
	    7 * S, 99 * S, 10 * S, 11 * S, 10 * S };
	static const uint64_t b[] = { 4 * S, 6 * S, 12 * S };
	static const uint64_t none = 0;
	static struct scripts s = { .window_ns = &none };
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	uint64_t seq[2] = { 0 };
	size_t lane, n = 0;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 11, .together = 2 };
	s.lane[1] = (struct script){ .time = b, .count = 3 };
	merge = merge_of(&s, 2, 0);
	for (; pb_merge_next(merge, &cp, &lane, NULL) == 1; n++)
		assert_int_equal(cp.seq, ++seq[lane]);
	assert_int_equal(n, 14);
	/* One with a wrong clock holds back none of the others. */
	assert_int_equal(lane, 1);
	pb_merge_destroy(merge);
}

/*
 * Goal:   a wrong clock is that packet's matter alone.
 * Method: the first of a lane, some in the middle, one with a late packet
 *         behind it, and one with a late and an early one, beside a lane that
 *         goes through all of their times; forwards what is far ahead, and
 *         backwards what is far behind.
 */
static void
a_wrong_clock_disorders_no_other_packet(void **state)
{
	static const uint64_t wrong[2][12] = {
		{ 99 * S, 1 * S, 3 * S, 98 * S, 5 * S, 97 * S, 1 * S, 7 * S,
		    9 * S, 96 * S, 9 * S - MS, 11 * S },
		{ 1 * S, 3 * S, 0, 5 * S, 1, 99 * S, 7 * S, 9 * S, 2,
		    9 * S - MS, 11 * S, 3 },
	};
	static const uint64_t right[] = { 2 * S, 4 * S, 6 * S, 8 * S, 10 * S,
	    12 * S };
	static const unsigned want[2][18][2] = {
		{ { 0, 1 }, { 0, 2 }, { 1, 1 }, { 0, 3 }, { 1, 2 }, { 0, 7 },
		    { 0, 4 }, { 0, 5 }, { 1, 3 }, { 0, 6 }, { 0, 8 },
		    { 1, 4 }, { 0, 10 }, { 0, 11 }, { 0, 9 }, { 1, 5 },
		    { 0, 12 }, { 1, 6 } },
		{ { 1, 6 }, { 0, 12 }, { 0, 11 }, { 1, 5 }, { 0, 6 }, { 0, 9 },
		    { 0, 8 }, { 0, 10 }, { 1, 4 }, { 0, 7 }, { 1, 3 },
		    { 0, 5 }, { 0, 4 }, { 1, 2 }, { 0, 3 }, { 0, 2 },
		    { 1, 1 }, { 0, 1 } },
	};
	static struct scripts s;

	(void)state;
	for (size_t together = 1; together <= 12; together++) {
		s.lane[0] = (struct script){ .time = wrong[0], .count = 12,
		    .together = together };
		s.lane[1] = (struct script){ .time = right, .count = 6,
		    .together = 7 - together / 2 };
		s.backwards = false;
		gives(&s, 2, want[0], 18);
		s.lane[0].at = s.lane[1].at = 0;
		s.lane[0].time = wrong[1];
		s.backwards = true;
		gives(&s, 2, want[1], 18);
	}
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
 * Goal:   where a batch is as much as a lane may hold, what comes behind it is
 *         still put in order with it.
 * Method: lanes that are all open, for little memory; one has large packets.
 */
static void
a_batch_that_is_large_is_not_held_alone(void **state)
{
	static const uint64_t a[] = { 1 * S, 1 * S + 9 * MS, 1 * S + 2 * MS,
	    1 * S + 30 * MS, 1 * S + 21 * MS, 1 * S + 40 * MS };
	static const uint64_t b[] = { 1 * MS, 9 * S };
	static const uint64_t want[] = { 1, 3, 2, 5, 4, 6 };
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	size_t lane, n = 0;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 6,
	    .caplen = PB_CAPLEN_MAX };
	for (size_t i = 1; i < LANES_MAX; i++)
		s.lane[i] = (struct script){ .time = b, .count = 2,
		    .together = 2 };
	merge = merge_of(&s, LANES_MAX, 0);
	while (pb_merge_next(merge, &cp, &lane, NULL) == 1) {
		if (lane != 0)
			continue;
		assert_true(n < 6);
		assert_int_equal(cp.seq, want[n++]);
		assert_in_range(s.lane[0].at, n, n + 2);
	}
	assert_int_equal(n, 6);
	pb_merge_destroy(merge);
}

/*
 * Goal:   a look ahead sees what has still to be read.
 * Method: so many lanes that two of one packet are as much as one may hold.
 */
static void
a_look_ahead_goes_past_what_a_lane_may_hold(void **state)
{
	static const uint64_t a[] = { 1 * S, 1 * S + 9 * MS, 1 * S + 2 * MS };
	static const uint64_t b[] = { 1 * MS, 9 * S };
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	uint64_t time;
	size_t lane;

	(void)state;
	s.lane[0] = (struct script){ .time = a, .count = 3,
	    .caplen = PB_CAPLEN_MAX };
	for (size_t i = 1; i < LANES_MAX; i++)
		s.lane[i] = (struct script){ .time = b, .count = 2,
		    .together = 2 };
	merge = merge_of(&s, LANES_MAX, 0);
	do
		assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 1);
	while (lane != 0);
	assert_int_equal(cp.seq, 1);
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(pb_merge_peek(merge, &time, NULL), 1);
		assert_true(time == 1 * S + 2 * MS);
		assert_memory_equal(cp.packet.data, payload, PB_CAPLEN_MAX);
	}
	assert_int_equal(pb_merge_next(merge, &cp, &lane, NULL), 1);
	assert_int_equal(lane, 0);
	assert_int_equal(cp.seq, 3);
	pb_merge_destroy(merge);
}

/*
 * Goal:   streams that do not overlap in time cost one open lane, also where
 *         they know when nothing more comes.
 * Method: 100 lanes of a second each, one after the other.
 */
static void
opens_one_after_the_other(bool floored)
{
	static uint64_t time[100][3];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	uint64_t last = 0;
	size_t lane, n = 0;

	s.open_most = 0;
	for (size_t i = 0; i < 100; i++) {
		for (size_t k = 0; k < 3; k++)
			time[i][k] = (100 - i) * S + k * 100 * MS;
		s.lane[i] = (struct script){ .time = time[i], .count = 3,
		    .floored = floored };
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

static void
a_lane_is_opened_when_its_first_time_is_reached(void **state)
{
	(void)state;
	opens_one_after_the_other(false);
	opens_one_after_the_other(true);
}

/*
 * Goal:   more streams at once than files: still all of it, in order, and a
 *         file is not opened for a few packets.
 * Method: 500 lanes that all overlap, 8 files; many in a batch, or one.
 */
static void
parks_seldom(size_t together)
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

	for (size_t i = 0; i < LANES; i++) {
		for (size_t k = 0; k < EACH; k++)
			time[i][k] = k * 20 * MS + i * 7;
		s.lane[i] = (struct script){ .time = time[i], .count = EACH,
		    .caplen = 100, .together = together };
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
lanes_beyond_the_files_are_parked_and_none_is_lost(void **state)
{
	(void)state;
	parks_seldom(1000);
	parks_seldom(1);
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
small_packets_that_are_held_are_counted_with_all_they_take(void **state)
{
	enum { COUNT = 100000 };
	static uint64_t time[COUNT];
	static struct scripts s;
	struct pb_cursor_packet cp;
	struct pb_merge *merge;
	struct pb_err err;
	size_t lane;

	(void)state;
	for (size_t k = 0; k < COUNT; k++)
		time[k] = S;
	for (size_t together = 1; together < 100000; together *= 10) {
		s.lane[0] = (struct script){ .time = time, .count = COUNT,
		    .together = together };
		merge = merge_of(&s, 1, 0);
		assert_int_equal(pb_merge_next(merge, &cp, &lane, &err), 1);
		assert_int_equal(cp.seq, 1);
		assert_in_range(s.lane[0].at, 1000, PB_MERGE_INPUT_BYTES_MAX /
		    (sizeof(struct pb_batch_packet) + pb_epb_bytes(0, 12)) +
		    10000);
		pb_merge_destroy(merge);
		assert_int_equal(s.open, 0);
	}
}

static uint32_t dice_state;

static uint32_t
dice(uint32_t sides)
{
	dice_state = dice_state * 1664525u + 1013904223u;
	return (dice_state >> 8) % sides;
}

struct place {
	uint64_t time, lane, seq;
};

static int
place_order(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->lane != y->lane)
		return x->lane < y->lane ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

static uint64_t
window_of(const struct scripts *s)
{
	return s->window_ns != NULL ? *s->window_ns : PB_MERGE_WINDOW_NS;
}

/* Of the packet that is read as the `k`-th. */
static uint64_t
key_of(const struct scripts *s, const struct script *l, size_t k)
{
	return s->backwards ? ~l->time[l->count - 1 - k] : l->time[k];
}

/* The place in time of the `k`-th one, which is later than `max`: its own, or
 * that of the `*next` one. */
static uint64_t
believed(const struct scripts *s, const struct script *l, size_t k,
    uint64_t max, size_t *next)
{
	uint64_t key = key_of(s, l, k), witness;

	*next = k + 1;
	if (key - max <= window_of(s))
		return key;
	for (; *next < l->count; ++*next) {
		witness = key_of(s, l, *next);
		if (window_of(s) == 0 && witness < max)
			return max;
		if (witness >= max || max - witness <= window_of(s))
			return witness < key - window_of(s) ? witness :
			    key;
	}
	return key;
}

/* The order of packets whose times run back by more than the window, and of
 * those with a wrong clock, too. */
static size_t
order_of(const struct scripts *s, size_t lanes, struct place *want)
{
	size_t n = 0;

	for (size_t i = 0; i < lanes; i++) {
		const struct script *l = &s->lane[i];
		uint64_t max = 0, soon = 0;
		size_t next = 0;

		for (size_t k = 0; k < l->count; k++) {
			uint64_t key = key_of(s, l, k);

			if (k == next && soon > max)
				max = soon;
			if (max > window_of(s) &&
			    key < max - window_of(s))
				key = max - window_of(s);
			else if (key > max)
				soon = key = believed(s, l, k, max, &next);
			want[n++] = (struct place){ s->backwards ? ~key : key,
			    i, s->backwards ? l->count - k : k + 1 };
		}
	}
	qsort(want, n, sizeof(*want), place_order);
	return n;
}

/* All of it in pieces as they come, in the order that is wanted. */
static unsigned
gives_in_order(struct scripts *s, size_t lanes, const struct place *want,
    size_t count)
{
	struct pb_merge *merge = merge_of(s, lanes, 0);
	struct pb_cursor_packet cp;
	struct pb_run run;
	unsigned runs = 0;
	size_t lane, n = 0;
	int rc;

	while ((rc = pb_merge_run(merge, 1 + dice(50), &run, &lane, NULL)) >
	    0) {
		size_t packets = 0, at = 0;

		runs++;
		for (; pb_run_packet(&run, &at, &cp, NULL) == 1; packets++) {
			const struct place *next = s->backwards ?
			    &want[count - 1 - n] : &want[n];

			n++;
			assert_int_equal(cp.seq, next->seq);
			assert_int_equal(lane, next->lane);
		}
		assert_int_equal(packets, run.packets);
		assert_int_equal(cp.seq, run.last_seq);
		assert_true(run.last_time == (s->backwards ?
		    want[count - n].time : want[n - 1].time));
	}
	assert_int_equal(rc, 0);
	assert_int_equal(n, count);
	pb_merge_destroy(merge);
	assert_int_equal(s->open, 0);
	return runs;
}

/*
 * Goal:   whatever batches there are, and wherever they overlap, all comes in
 *         one order.
 * Method: by dice; times run back by less than the window, or by more, and of
 *         some mixes a part is far ahead or behind.  Each mix forwards and
 *         backwards, with one of several windows.
 */
static void
batches_that_overlap_come_in_one_order(void **state)
{
	enum { LANES = 4, EACH = 500 };
	static struct place want[LANES * EACH];
	static uint64_t time[LANES][EACH];
	static const uint64_t window[] = { 0, MS, 500 * MS };
	static struct scripts s;
	size_t n;

	(void)state;
	for (dice_state = 1; dice_state < 100; dice_state++) {
		uint32_t seed = dice_state, step = 1 + dice(3000000);
		uint32_t given = dice(6);
		uint32_t back = dice(2) == 0 ? 9 * MS : 300 * MS;
		uint32_t wrong = dice(2) == 0 ? 0 : 1 + dice(300);

		for (size_t i = 0; i < LANES; i++) {
			uint64_t now = S + dice(20) * MS;

			for (size_t k = 0; k < EACH; k++) {
				now += dice(step);
				time[i][k] = now - (dice(4) == 0 ?
				    dice(back) : 0);
				if (wrong > 0 && dice(wrong) == 0)
					time[i][k] = dice(2) * 100 * S +
					    dice(9 * MS);
			}
		}
		s.window_ns = given < 3 ? &window[given] : NULL;
		for (int way = 0; way < 2; way++) {
			s.backwards = way == 1;
			for (size_t i = 0; i < LANES; i++)
				s.lane[i] = (struct script){
				    .time = time[i], .count = EACH,
				    .together = 1 + dice(200),
				    .caplen = dice(100) };
			n = order_of(&s, LANES, want);
			gives_in_order(&s, LANES, want, n);
		}
		dice_state = seed;
	}
}

/* Method: all times lie within the window, and a floor is known. */
static void
a_batch_goes_out_whole_where_all_behind_it_is_later(void **state)
{
	enum { EACH = 1000 };
	static struct place want[2 * EACH];
	static uint64_t time[2][EACH];
	static struct scripts s;
	struct pb_merge *merge;
	struct pb_run run;
	size_t lane;

	(void)state;
	for (size_t i = 0; i < 2 * EACH; i++) {
		time[i / EACH][i % EACH] = S + i;
		want[i] = (struct place){ S + i, i / EACH, i % EACH + 1 };
	}
	for (size_t i = 0; i < 2; i++)
		s.lane[i] = (struct script){ .time = time[i], .count = EACH,
		    .together = 100, .floored = true, .caplen = 300 };
	merge = merge_of(&s, 2, 0);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(pb_merge_run(merge, UINT64_MAX, &run, &lane,
		    NULL), 1);
		assert_int_equal(run.packets, 100);
		assert_int_equal(s.lane[i / 10].at, 100 * (i % 10 + 1));
	}
	pb_merge_destroy(merge);
	for (size_t i = 0; i < 2; i++)
		s.lane[i].at = 0;
	dice_state = 3;
	gives_in_order(&s, 2, want, 2 * EACH);
}

/*
 * Goal:   who begins first does not take what those that begin with it need.
 * Method: lanes of a MiB each, which are all open; what is within the window
 *         has room, what they could read has not.
 */
static void
lanes_that_begin_together_have_all_their_window(void **state)
{
	enum { LANES = 300, EACH = 36 };
	static struct place want[LANES * EACH];
	static uint64_t time[LANES][EACH];
	static struct scripts s;

	(void)state;
	dice_state = 5;
	for (size_t i = 0; i < LANES; i++) {
		for (size_t k = 0; k < EACH; k++)
			time[i][k] = S + k * 3 * MS + i - dice(9 * MS);
		s.lane[i] = (struct script){ .time = time[i], .count = EACH,
		    .together = EACH, .caplen = 30000 };
	}
	gives_in_order(&s, LANES, want, order_of(&s, LANES, want));
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
		cmocka_unit_test(a_wide_window_puts_in_order_what_is_within_it),
		cmocka_unit_test(
		    with_no_window_lanes_keep_the_order_of_their_numbers),
		cmocka_unit_test(a_wrong_clock_disorders_no_other_packet),
		cmocka_unit_test(
		    a_packet_without_a_time_stays_behind_the_one_before_it),
		cmocka_unit_test(
		    a_look_ahead_tells_the_next_time_and_leaves_the_packet),
		cmocka_unit_test(a_batch_that_is_large_is_not_held_alone),
		cmocka_unit_test(
		    a_look_ahead_goes_past_what_a_lane_may_hold),
		cmocka_unit_test(
		    a_lane_is_opened_when_its_first_time_is_reached),
		cmocka_unit_test(
		    lanes_beyond_the_files_are_parked_and_none_is_lost),
		cmocka_unit_test(
		    large_packets_are_held_within_the_bytes_of_a_lane),
		cmocka_unit_test(
		    small_packets_that_are_held_are_counted_with_all_they_take),
		cmocka_unit_test(batches_that_overlap_come_in_one_order),
		cmocka_unit_test(
		    a_batch_goes_out_whole_where_all_behind_it_is_later),
		cmocka_unit_test(
		    lanes_that_begin_together_have_all_their_window),
		cmocka_unit_test(an_error_of_a_lane_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
