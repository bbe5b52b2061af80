/*
 * tests/unit/test_shaper.c - answers to a puller in a line, under a clock of
 * the test's
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recorder/port/shaper.h"

#define ANSWERS		4
#define BLOCK		16384u		/* asked for at once */
#define RATE		8000000ull	/* bits, so 1000 bytes a millisecond */

/* An answer that is sent, and when that ended. */
struct answer {
	struct pb_shaped shaped;
	size_t		 left;
	bool		 parked;
	uint64_t	 end_ms;
};

static struct pb_conf_upstream section;
static struct pb_shaper shaper;
static struct answer answer[ANSWERS];
static uint64_t now, sent;

static int
setup(void **state)
{
	(void)state;
	memset(&section, 0, sizeof(section));
	memset(answer, 0, sizeof(answer));
	section.rate_limit = RATE;
	now = 5000;
	sent = 0;
	pb_shaper_init(&shaper, &section, now);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < ANSWERS; i++)
		pb_shaped_end(&answer[i].shaped);
	assert_true(TAILQ_EMPTY(&shaper.line));
	pb_shaper_finish(&shaper);
	return 0;
}

static void
wake(void *arg)
{
	((struct answer *)arg)->parked = false;
}

static void
begin(int i, const char *stream, size_t bytes)
{
	answer[i] = (struct answer){ .left = bytes };
	assert_true(pb_shaped_begin(&answer[i].shaped, &shaper, stream, wake,
	    &answer[i]));
}

/* It takes all it gets: a peer that reads. */
static void
send_some(struct answer *a)
{
	while (a->left > 0 && !a->parked) {
		size_t len = pb_shaped_take(&a->shaped, a->left < BLOCK ?
		    a->left : BLOCK, a->left, now);

		a->parked = len == 0;
		a->left -= len;
		sent += len;
		if (a->left == 0)
			a->end_ms = now;
	}
}

/* The loop looks every `step` milliseconds, or when it is told to. */
static void
run(uint64_t ms, uint64_t step)
{
	for (uint64_t end = now + ms; now < end; now += step) {
		while (pb_shaper_tick(&shaper, now) == 0)
			for (int i = 0; i < ANSWERS; i++)
				send_some(&answer[i]);
		for (int i = 0; i < ANSWERS; i++)
			send_some(&answer[i]);
	}
}

static void
all_of_them_share_the_rate(void **state)
{
	(void)state;
	for (uint64_t step = 1; step <= 300; step *= 6) {
		sent = 0;
		for (int i = 0; i < ANSWERS; i++)
			begin(i, "a/b", 10000000);
		run(10000, step);
		assert_in_range(sent, 9800000, 10200000);
		for (int i = 0; i < ANSWERS; i++)
			pb_shaped_end(&answer[i].shaped);
	}
}

/* 1 s each: the second does not begin before the first has ended. */
static void
one_after_the_other_they_come_to_their_ends(void **state)
{
	uint64_t began = now;

	(void)state;
	for (int i = 0; i < ANSWERS; i++)
		begin(i, "a/b", 1000000);
	run(5000, 1);
	for (unsigned i = 0; i < ANSWERS; i++)
		assert_in_range(answer[i].end_ms - began, 1000 * i + 900,
		    1000 * i + 1020);
}

static void
the_first_place_in_priority_waits_for_one_answer_at_most(void **state)
{
	(void)state;
	strcpy(section.priority, "a/first, a/second");
	pb_shaper_change(&shaper, &section, now);
	begin(0, "a/other", 1000000);
	begin(1, "a/third", 1000000);
	run(500, 1);
	begin(2, "a/second", 1000000);
	begin(3, "a/first", 1000000);
	run(5000, 1);
	assert_true(answer[0].end_ms < answer[3].end_ms);
	assert_true(answer[3].end_ms < answer[2].end_ms);
	assert_true(answer[2].end_ms < answer[1].end_ms);
	assert_true(answer[1].end_ms > 0);
}

/* Its socket is full, or it has gone. */
static void
who_takes_nothing_holds_up_nobody(void **state)
{
	(void)state;
	begin(0, "a/b", 1000000);
	begin(1, "a/b", 1000000);
	begin(2, "a/b", 1000000);
	for (int i = 0; i < 3; i++)
		send_some(&answer[i]);
	assert_true(answer[0].parked && answer[1].parked);
	/* The second is first in line, and leaves when it has been woken. */
	pb_shaped_end(&answer[0].shaped);
	answer[0].left = 0;
	now += 100;
	assert_int_equal(pb_shaper_tick(&shaper, now), 0);
	assert_false(answer[1].parked);
	/* Nobody takes what it was woken for. */
	assert_int_equal(pb_shaped_take(&answer[2].shaped, BLOCK,
	    1000000, now), 0);
	pb_shaped_end(&answer[1].shaped);
	answer[1].left = 0;
	run(1100, 1);
	assert_int_equal(answer[2].left, 0);
	assert_int_equal(pb_shaper_tick(&shaper, now), -1);
}

static void
a_reload_counts_at_once_and_who_waits_goes_on(void **state)
{
	uint64_t before;

	(void)state;
	begin(0, "a/b", 20000000);
	begin(1, "a/b", 20000000);
	run(2000, 1);
	before = sent;
	assert_in_range(before, 1960000, 2060000);
	section.rate_limit = 4 * RATE;
	pb_shaper_change(&shaper, &section, now);
	run(2000, 1);
	assert_in_range(sent - before, 7840000, 8250000);
	section.rate_limit = 0;
	pb_shaper_change(&shaper, &section, now);
	run(1, 1);
	assert_int_equal(sent, 40000000);
	/* The next one is like any other. */
	assert_false(pb_shaped_begin(&answer[2].shaped, &shaper, "a/b", wake,
	    &answer[2]));
}

static void
after_a_pause_the_burst_goes_at_once(void **state)
{
	(void)state;
	section.rate_burst = 3000000;
	pb_shaper_change(&shaper, &section, now);
	now += 60000;
	begin(0, "a/b", 10000000);
	send_some(&answer[0]);
	assert_in_range(sent, 3000000 - BLOCK, 3000000);
}

static void
no_answer_takes_longer_than_some_seconds(void **state)
{
	(void)state;
	assert_int_equal(pb_shaper_bytes(&shaper, 2 << 20, 1 << 16), 2 << 20);
	section.rate_limit = 1000000;
	pb_shaper_change(&shaper, &section, now);
	assert_int_equal(pb_shaper_bytes(&shaper, 2 << 20, 1 << 16), 625000);
	assert_int_equal(pb_shaper_bytes(&shaper, 1 << 16, 1 << 16), 1 << 16);
	section.rate_limit = 8000;
	pb_shaper_change(&shaper, &section, now);
	assert_int_equal(pb_shaper_bytes(&shaper, 2 << 20, 1 << 16), 1 << 16);
	section.rate_limit = 0;
	pb_shaper_change(&shaper, &section, now);
	assert_int_equal(pb_shaper_bytes(&shaper, 2 << 20, 1 << 16), 2 << 20);
}

static void
it_is_closed_out_of_its_hours(void **state)
{
	const uint64_t hour = 3600 * 1000000000ull;

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	assert_false(pb_shaper_closed(&shaper, 12 * hour));
	section.schedule.count = 1;
	section.schedule.range[0].from = 20 * 60;
	section.schedule.range[0].to = 6 * 60;
	pb_shaper_change(&shaper, &section, now);
	assert_true(pb_shaper_closed(&shaper, 12 * hour));
	assert_false(pb_shaper_closed(&shaper, 22 * hour));
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_of_them_share_the_rate),
		TEST(one_after_the_other_they_come_to_their_ends),
		TEST(the_first_place_in_priority_waits_for_one_answer_at_most),
		TEST(who_takes_nothing_holds_up_nobody),
		TEST(a_reload_counts_at_once_and_who_waits_goes_on),
		TEST(after_a_pause_the_burst_goes_at_once),
		TEST(no_answer_takes_longer_than_some_seconds),
		TEST(it_is_closed_out_of_its_hours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
