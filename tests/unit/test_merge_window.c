/*
 * tests/unit/test_merge_window.c - streams of which times run back, by
 * less than the window and by more
 */
#include "tests/unit/merge_lanes.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wide_window_puts_in_order_what_is_within_it),
		cmocka_unit_test(
		    with_no_window_lanes_keep_the_order_of_their_numbers),
		cmocka_unit_test(a_wrong_clock_disorders_no_other_packet),
		cmocka_unit_test(batches_that_overlap_come_in_one_order),
		cmocka_unit_test(
		    a_batch_goes_out_whole_where_all_behind_it_is_later),
		cmocka_unit_test(
		    lanes_that_begin_together_have_all_their_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
