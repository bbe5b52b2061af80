/*
 * tests/unit/test_shaper.c - answers to a puller in a line, under a clock of
 * the test's
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
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
	const char	*stream;
	size_t		 left;
	bool		 parked;
	uint64_t	 end_ms;
	size_t		 again;		/* another one follows; 0: none */
	uint64_t	 sent;		/* with those before it */
};

static struct pb_conf_upstream section;
static struct pb_shaper shaper;
static struct answer answer[ANSWERS];
static _Atomic uint64_t now;
static uint64_t sent;

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
	answer[i] = (struct answer){ .left = bytes, .stream = stream };
	assert_true(pb_shaped_begin(&answer[i].shaped, &shaper, stream, wake,
	    &answer[i]));
}

/* One after the other, without a pause. */
static void
begin_many(int i, const char *stream, size_t bytes)
{
	begin(i, stream, bytes);
	answer[i].again = bytes;
}

static void
ended(struct answer *a)
{
	a->end_ms = now;
	if (a->again == 0)
		return;
	pb_shaped_end(&a->shaped);
	assert_true(pb_shaped_begin(&a->shaped, &shaper, a->stream, wake, a));
	a->left = a->again;
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
		a->sent += len;
		sent += len;
		if (a->left == 0)
			ended(a);
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

/* The rate, of which a little may go ahead, and nothing is lost. */
static void
assert_rate(uint64_t bytes, uint64_t bits_per_s, uint64_t ms)
{
	uint64_t may = bits_per_s / 8 * ms / 1000;

	assert_in_range(bytes, may - may / 50, may + may / 50);
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

/* For an hour, looked at as rarely as by a machine that has other work. */
static void
over_a_long_time_it_is_what_was_said(void **state)
{
	static const uint64_t rates[] = { 8000, 64000, 1000000, 100000000 };
	const uint64_t hour = 3600000;

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t random = 1, end;

		section.rate_limit = rates[i];
		pb_shaper_change(&shaper, &section, now);
		for (int n = 0; n < ANSWERS; n++)
			begin_many(n, "a/b", (size_t)rates[i] / (1u << n));
		sent = 0;
		for (end = now + hour; now < end;) {
			random = random * 6364136223846793005u + 1;
			run(1, 1 + (random >> 33) % 300);
		}
		assert_rate(sent, rates[i], hour);
		for (int n = 0; n < ANSWERS; n++)
			pb_shaped_end(&answer[n].shaped);
	}
}

/* Whatever went before, a second and the burst is all that goes in one. */
static void
in_no_second_goes_more_than_one_and_the_burst(void **state)
{
	static const uint64_t bursts[] = { 0, 200000, 3000000 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t burst = bursts[i] > 0 ? bursts[i] : RATE / 8 / 20;
		uint64_t saved = burst < RATE / 8 * 2 ? burst : RATE / 8 * 2;

		section.rate_burst = bursts[i];
		pb_shaper_change(&shaper, &section, now);
		for (unsigned second = 0; second < 200; second++) {
			/* Nobody asks for anything in two of seven. */
			if (second % 7 < 5)
				begin(0, "a/b", 5000000);
			sent = 0;
			run(1000, 1);
			assert_true(sent <= RATE / 8 + burst);
			if (second % 7 == 0 && second > 0)
				assert_true(sent >= RATE / 8 + saved - BLOCK);
			pb_shaped_end(&answer[0].shaped);
			answer[0].left = 0;
		}
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

/* It asks for the next as soon as it has one. */
static void
as_long_as_the_first_place_asks_it_has_the_rate(void **state)
{
	(void)state;
	strcpy(section.priority, "a/first, a/second");
	pb_shaper_change(&shaper, &section, now);
	begin_many(0, "a/other", 100000);
	begin_many(1, "a/second", 100000);
	run(10000, 1);
	begin_many(2, "a/first", 50000);
	begin_many(3, "a/first", 200000);
	assert_true(answer[0].sent <= 100000);
	assert_rate(answer[1].sent, RATE, 10000);
	answer[1].sent = 0;
	run(100000, 1);
	assert_true(answer[1].sent <= 100000);
	assert_rate(answer[2].sent + answer[3].sent, RATE, 100000);
	/* Those of one stream take turns. */
	assert_in_range(answer[3].sent / answer[2].sent, 3, 4);
	answer[2].again = answer[3].again = 0;
	answer[1].sent = 0;
	run(10000, 1);
	assert_rate(answer[1].sent, RATE, 10000);
	assert_true(answer[0].sent <= 100000);
}

/* Who stands in the line keeps his place. */
static void
another_priority_counts_for_who_begins_after_it(void **state)
{
	(void)state;
	strcpy(section.priority, "a/first, a/second");
	pb_shaper_change(&shaper, &section, now);
	begin(0, "a/other", 1000000);
	begin(1, "a/second", 1000000);
	begin(2, "a/first", 1000000);
	run(100, 1);
	strcpy(section.priority, "a/third, a/second");
	pb_shaper_change(&shaper, &section, now);
	begin(3, "a/third", 1000000);
	run(5000, 1);
	assert_true(answer[0].end_ms < answer[2].end_ms);
	assert_true(answer[2].end_ms < answer[3].end_ms);
	assert_true(answer[3].end_ms < answer[1].end_ms);
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
each_of_many_reloads_counts_from_then_on(void **state)
{
	static const uint64_t rates[] = { RATE, RATE / 10, 3 * RATE, RATE / 2,
	    20 * RATE };

	(void)state;
	begin_many(0, "a/b", 200000);
	begin_many(1, "a/b", 300000);
	for (unsigned i = 0; i < 100; i++) {
		section.rate_limit = rates[i % 5];
		pb_shaper_change(&shaper, &section, now);
		sent = 0;
		run(10000, 1);
		assert_rate(sent, section.rate_limit, 10000);
	}
}

static void *
reload(void *arg)
{
	struct pb_conf_upstream mine = section;
	_Atomic bool *ends = arg;

	for (unsigned i = 0; !*ends; i++) {
		mine.rate_limit = i % 2 == 0 ? 2 * RATE : RATE;
		strcpy(mine.priority, i % 2 == 0 ? "a/b" : "b/c, a/b");
		pb_shaper_change(&shaper, &mine, now);
		(void)pb_shaper_closed(&shaper, now * 1000000);
	}
	return NULL;
}

/* From another thread; that it is whole is for a checker of threads to say. */
static void
it_may_be_changed_while_it_gives(void **state)
{
	_Atomic bool ends = false;
	pthread_t thread;

	(void)state;
	begin_many(0, "a/b", 200000);
	begin_many(1, "b/c", 300000);
	assert_int_equal(pthread_create(&thread, NULL, reload, &ends), 0);
	run(100000, 1);
	ends = true;
	pthread_join(thread, NULL);
	assert_in_range(sent, RATE / 8 * 98, RATE / 8 * 204);
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

/* To the nanosecond, through midnight and at noon. */
static void
its_hours_begin_and_end_on_the_minute(void **state)
{
	const uint64_t second = 1000000000ull, minute = 60 * second;
	const uint64_t day = 1700006400 * second;	/* midnight, UTC */
	static const struct {
		unsigned minute;
		bool	 opens;
	} edge[] = {
		{ 0, true }, { 6 * 60, false }, { 12 * 60, true },
		{ 12 * 60 + 1, false }, { 20 * 60 + 30, true },
	};

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	section.schedule.count = 2;
	section.schedule.range[0].from = 20 * 60 + 30;
	section.schedule.range[0].to = 6 * 60;
	section.schedule.range[1].from = 12 * 60;
	section.schedule.range[1].to = 12 * 60 + 1;
	pb_shaper_change(&shaper, &section, now);
	for (unsigned i = 0; i < sizeof(edge) / sizeof(edge[0]); i++) {
		uint64_t at = day + edge[i].minute * minute;

		assert_int_equal(pb_shaper_closed(&shaper, at),
		    !edge[i].opens);
		assert_int_equal(pb_shaper_closed(&shaper, at - 1),
		    edge[i].opens && edge[i].minute != 0);
	}
	/* Without any it is never closed, from now on. */
	section.schedule.count = 0;
	pb_shaper_change(&shaper, &section, now);
	assert_false(pb_shaper_closed(&shaper, day + 7 * 60 * minute));
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_of_them_share_the_rate),
		TEST(over_a_long_time_it_is_what_was_said),
		TEST(in_no_second_goes_more_than_one_and_the_burst),
		TEST(one_after_the_other_they_come_to_their_ends),
		TEST(the_first_place_in_priority_waits_for_one_answer_at_most),
		TEST(as_long_as_the_first_place_asks_it_has_the_rate),
		TEST(another_priority_counts_for_who_begins_after_it),
		TEST(who_takes_nothing_holds_up_nobody),
		TEST(a_reload_counts_at_once_and_who_waits_goes_on),
		TEST(each_of_many_reloads_counts_from_then_on),
		TEST(it_may_be_changed_while_it_gives),
		TEST(after_a_pause_the_burst_goes_at_once),
		TEST(no_answer_takes_longer_than_some_seconds),
		TEST(it_is_closed_out_of_its_hours),
		TEST(its_hours_begin_and_end_on_the_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
