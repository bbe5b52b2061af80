/*
 * tests/unit/test_transmitter.c - frames out of their interfaces
 *
 * No time is measured: what is due, and what is done about an interface that
 * does not take it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "fake_outlet.h"
#include "recorder/transmit/transmitter.h"
#include "scripted_source.h"

static struct pb_outlet outlet[2];
static const struct pb_way ways[2] = {
	{ "one0", &outlet[0] }, { "two0", &outlet[1] },
};
static const struct pb_rewrite as_is;
static struct pb_transmit_report report;

struct run {
	struct scripted_source source;
	struct pb_ahead_opts ahead;
	struct pb_transmit_opts opts;
	struct pb_err	 err;
	unsigned	 ticks, downs, ups;
	bool		 stop;
};

static bool
asked(void *arg)
{
	return ((struct run *)arg)->stop;
}

static void
tick(void *arg, const struct pb_transmit_report *so_far)
{
	(void)so_far;
	((struct run *)arg)->ticks++;
}

static void
link_is(void *arg, const struct pb_way *way, const struct pb_err *why)
{
	struct run *run = arg;

	assert_string_equal(way->name, "one0");
	run->downs += why != NULL;
	run->ups += why == NULL;
}

static void
is_far(void *arg, uint64_t ns)
{
	(void)arg;
	(void)ns;
	abort();
}

static struct pb_stop stop;

static struct run *
run_of(const char *script, enum pb_pace_kind kind, uint64_t rate)
{
	struct run *run = calloc(1, sizeof(*run));

	assert_non_null(run);
	memset(outlet, 0, sizeof(outlet));
	outlet[0].bytes_max = outlet[1].bytes_max = 1514;
	stop = (struct pb_stop){ asked, run };
	run->source.script = script;
	run->source.bytes = 100;
	run->source.gap_ns = 1000;
	run->ahead = (struct pb_ahead_opts){
		.source = { scripted_begin, scripted_next, &run->source },
		.way = ways, .ways = 2, .rewrite = &as_is, .loops = 1,
		.limit = UINT64_MAX, .stop = &stop,
	};
	run->opts = (struct pb_transmit_opts){
		.way = ways, .ways = 2, .stop = &stop,
		.pace = { kind, rate, UINT64_MAX },
		.tick = tick, .link = link_is, .far = is_far, .arg = run,
	};
	return run;
}

static int
send_it(struct run *run)
{
	struct pb_ahead *ahead;
	int rc;

	assert_int_equal(pb_ahead_create(&ahead, &run->ahead, &run->err), 0);
	assert_int_equal(pb_ahead_prime(ahead, &run->err), 0);
	rc = pb_transmit(&run->opts, ahead, &report, &run->err);
	pb_ahead_destroy(ahead);
	return rc;
}

static void
sent_are(unsigned way, const char *frames)
{
	assert_int_equal(outlet[way].frames, strlen(frames));
	assert_memory_equal(outlet[way].first, frames, strlen(frames));
}

static void
all_go_out_in_order(void **state)
{
	struct run *run = run_of("abzcz-d", PB_PACE_TOP, 0);

	(void)state;
	assert_int_equal(send_it(run), 0);
	sent_are(0, "abcd");
	sent_are(1, "zz");
	assert_int_equal(report.sent, 6);
	assert_int_equal(report.bytes, 600);
	assert_int_equal(report.skipped, 1);
	assert_int_equal(report.failed, 0);
	assert_int_equal(report.error.count, 0);
	assert_int_equal(report.due_ns, 0);
	free(run);
}

static void
what_is_due_is_counted_whatever_was_reached(void **state)
{
	struct run *run = run_of("abcdefghijk", PB_PACE_PACKETS,
	    UINT64_C(10000) * PB_PACE_ONE);

	(void)state;
	assert_int_equal(send_it(run), 0);
	sent_are(0, "abcdefghijk");
	assert_int_equal(report.due_ns, 1000000);
	assert_int_equal(report.error.count, 11);
	assert_true(report.last_ns >= report.first_ns);
	free(run);

	run = run_of("ab0ba", PB_PACE_OWN, PB_PACE_ONE);
	run->ahead.loops = 2;
	assert_int_equal(send_it(run), 0);
	assert_int_equal(report.due_ns, 8000);
	free(run);
}

static void
a_call_has_so_many_frames_at_most_and_none_twice(void **state)
{
	struct run *run = run_of("a", PB_PACE_TOP, 0);

	(void)state;
	run->ahead.loops = 1000;
	assert_int_equal(send_it(run), 0);
	assert_int_equal(report.sent, 1000);
	assert_int_equal(outlet[0].frames, 1000);
	assert_int_equal(outlet[0].most, PB_TRANSMIT_BATCH);
	free(run);
}

static void
a_full_queue_is_waited_for_and_counted(void **state)
{
	static const int script[] = { 2, 0, 0, 1, 0, FAKE_END };
	struct run *run = run_of("abcdef", PB_PACE_TOP, 0);

	(void)state;
	outlet[0].script = script;
	assert_int_equal(send_it(run), 0);
	sent_are(0, "abcdef");
	assert_int_equal(report.sent, 6);
	assert_int_equal(report.full, 3);
	assert_int_equal(outlet[0].waits, 3);
	free(run);
}

static void
a_frame_that_is_refused_is_counted_and_passed_over(void **state)
{
	static const int script[] = { 1, PB_EFORMAT, 1, PB_EFORMAT, FAKE_END };
	struct run *run = run_of("abcd", PB_PACE_TOP, 0);

	(void)state;
	outlet[0].script = script;
	assert_int_equal(send_it(run), 0);
	sent_are(0, "ac");
	assert_int_equal(report.sent, 2);
	assert_int_equal(report.failed, 2);
	free(run);
}

static void
a_link_that_goes_down_ends_it_or_is_waited_for(void **state)
{
	static const int script[] = { 1, PB_EBUSY, FAKE_END };
	struct run *run = run_of("abcd", PB_PACE_TOP, 0);

	(void)state;
	outlet[0].script = script;
	assert_int_equal(send_it(run), PB_EBUSY);
	assert_int_equal(report.sent, 1);
	assert_int_equal(run->downs, 0);
	free(run);

	run = run_of("abcd", PB_PACE_PACKETS, UINT64_C(1000000) * PB_PACE_ONE);
	run->opts.wait_down = true;
	outlet[0].script = script;
	outlet[0].looks_down = 2;
	assert_int_equal(send_it(run), 0);
	sent_are(0, "abcd");
	assert_int_equal(run->downs, 1);
	assert_int_equal(run->ups, 1);
	/* Nothing of what was due meanwhile is late for that. */
	assert_true(report.moved_ns > 0);
	assert_int_equal(report.due_ns, 3000);
	free(run);
}

static void
an_interface_that_is_gone_ends_it(void **state)
{
	static const int script[] = { 1, PB_ENOENT, FAKE_END };
	struct run *run = run_of("abcd", PB_PACE_TOP, 0);

	(void)state;
	run->opts.wait_down = true;
	outlet[0].script = script;
	assert_int_equal(send_it(run), PB_ENOENT);
	assert_int_equal(report.sent, 1);
	free(run);
}

static void
the_source_s_error_comes_behind_what_it_had(void **state)
{
	struct run *run = run_of("ab_!", PB_PACE_TOP, 0);
	struct pb_ahead *ahead;

	(void)state;
	assert_int_equal(pb_ahead_create(&ahead, &run->ahead, &run->err), 0);
	assert_int_equal(pb_transmit(&run->opts, ahead, &report, &run->err),
	    PB_EFORMAT);
	pb_ahead_destroy(ahead);
	sent_are(0, "ab");
	assert_int_equal(report.sent, 2);
	free(run);
}

static void
what_has_not_left_was_not_sent(void **state)
{
	struct run *run = run_of("abcd", PB_PACE_TOP, 0);

	(void)state;
	outlet[0].stays = 3;
	for (int i = 0; i < 2; i++) {
		outlet[0].down_at_end = i == 1;
		assert_int_equal(send_it(run), 0);
		assert_int_equal(report.sent, 1);
		assert_int_equal(report.bytes, outlet[0].len[0]);
		assert_int_equal(report.failed, 3);
	}
	free(run);
}

static void
who_asked_to_stop_is_heard_before_what_is_due_in_an_hour(void **state)
{
	struct run *run = run_of("ab", PB_PACE_OWN, 1);

	(void)state;
	run->source.gap_ns = 3600 * PB_NS_PER_S;
	run->stop = true;
	assert_int_equal(send_it(run), 0);
	assert_int_equal(report.sent, 0);
	free(run);
}

static void
rates_are_those_between_the_first_and_the_last(void **state)
{
	(void)state;
	assert_true(pb_transmit_rate(11, PB_NS_PER_S) == 10.0);
	assert_true(pb_transmit_rate(1, PB_NS_PER_S) == 0.0);
	assert_true(pb_transmit_rate(11, 0) == 0.0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_go_out_in_order),
		cmocka_unit_test(what_is_due_is_counted_whatever_was_reached),
		cmocka_unit_test(
		    a_call_has_so_many_frames_at_most_and_none_twice),
		cmocka_unit_test(a_full_queue_is_waited_for_and_counted),
		cmocka_unit_test(
		    a_frame_that_is_refused_is_counted_and_passed_over),
		cmocka_unit_test(
		    a_link_that_goes_down_ends_it_or_is_waited_for),
		cmocka_unit_test(an_interface_that_is_gone_ends_it),
		cmocka_unit_test(the_source_s_error_comes_behind_what_it_had),
		cmocka_unit_test(what_has_not_left_was_not_sent),
		cmocka_unit_test(
		    who_asked_to_stop_is_heard_before_what_is_due_in_an_hour),
		cmocka_unit_test(rates_are_those_between_the_first_and_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
