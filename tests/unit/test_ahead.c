/*
 * tests/unit/test_ahead.c - frames made ready before they are due
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "fake_outlet.h"
#include "scripted_source.h"

#define FRAMES_MAX	256
#define WAIT_MS		5000

static struct pb_outlet outlet[2];
static const struct pb_way ways[2] = {
	{ "one0", &outlet[0] }, { "two0", &outlet[1] },
};
static const struct pb_rewrite as_is;

struct run {
	struct scripted_source source;
	struct pb_ahead_opts opts;
	struct pb_ahead	*ahead;
	struct pb_err	 err;
	/* what came of it */
	char		 frames[FRAMES_MAX];	/* their first bytes */
	uint32_t	 len[FRAMES_MAX];
	struct pb_ready	 ready[FRAMES_MAX];
	unsigned	 count;
	int		 primed, ended;
};

static struct run *
run_of(const char *script)
{
	struct run *run = calloc(1, sizeof(*run));

	assert_non_null(run);
	memset(outlet, 0, sizeof(outlet));
	outlet[0].bytes_max = outlet[1].bytes_max = 1514;
	run->source.script = script;
	run->source.bytes = 60;
	run->source.gap_ns = 10;
	run->opts = (struct pb_ahead_opts){
		.source = { scripted_begin, scripted_next, &run->source },
		.way = ways,
		.ways = 2,
		.rewrite = &as_is,
		.loops = 1,
		.limit = UINT64_MAX,
	};
	return run;
}

/* All of it, to its end or error. */
static void
take_all(struct run *run)
{
	struct pb_load *load;
	int rc;

	assert_int_equal(pb_ahead_create(&run->ahead, &run->opts, &run->err),
	    0);
	run->primed = pb_ahead_prime(run->ahead, &run->err);
	while ((rc = pb_ahead_next(run->ahead, WAIT_MS, &load,
	    &run->err)) == PB_LOADS_ONE) {
		assert_true(load->count > 0);
		for (unsigned i = 0; i < load->count; i++) {
			assert_true(run->count < FRAMES_MAX - 1);
			run->frames[run->count] =
			    (char)load->frame[i].data[0];
			run->len[run->count] = load->frame[i].len;
			run->ready[run->count++] = load->ready[i];
		}
		pb_ahead_done(run->ahead, load);
	}
	run->ended = rc;
}

static void
finish(struct run *run)
{
	pb_ahead_destroy(run->ahead);
	free(run);
}

static void
frames_come_in_order_with_their_times_and_ways(void **state)
{
	struct run *run = run_of("ab0z");

	(void)state;
	take_all(run);
	assert_int_equal(run->ended, PB_LOADS_END);
	assert_string_equal(run->frames, "ab0z");
	assert_int_equal(run->ready[0].time_ns, 1000);
	assert_int_equal(run->ready[1].time_ns, 1010);
	assert_true(run->ready[1].timed);
	assert_false(run->ready[2].timed);
	assert_int_equal(run->ready[2].outlet, 0);
	assert_int_equal(run->ready[3].outlet, 1);
	assert_int_equal(run->len[3], 60);
	finish(run);
}

static void
what_is_left_out_is_counted_before_the_next_frame(void **state)
{
	struct run *run = run_of("--a-b--");

	(void)state;
	take_all(run);
	assert_string_equal(run->frames, "ab");
	assert_int_equal(run->ready[0].skipped, 2);
	assert_int_equal(run->ready[1].skipped, 1);
	assert_int_equal(pb_ahead_left(run->ahead), 2);
	finish(run);
}

static void
an_error_is_told_before_the_first_frame_is_handed_out(void **state)
{
	struct run *run = run_of("abc!");

	(void)state;
	take_all(run);
	assert_int_equal(run->primed, PB_EFORMAT);
	/* Who goes on all the same has what was before it. */
	assert_string_equal(run->frames, "abc");
	assert_int_equal(run->ended, PB_EFORMAT);
	assert_string_equal(run->err.text, "scripted");
	finish(run);
}

static void
what_is_ready_is_handed_on_while_the_source_waits(void **state)
{
	struct run *run = run_of("ab_c__d_");

	(void)state;
	take_all(run);
	assert_int_equal(run->ended, PB_LOADS_END);
	assert_string_equal(run->frames, "abcd");
	finish(run);
}

static void
too_long_is_refused_truncated_or_left_out(void **state)
{
	struct run *run = run_of("aBc");

	(void)state;
	take_all(run);
	assert_int_equal(run->primed, PB_ELIMIT);
	assert_string_equal(run->err.text, "packet 2 has 2000 bytes, and one0 "
	    "takes 1514 (its MTU of 1500, and the header): raise the MTU, or "
	    "give --truncate or --skip");
	finish(run);

	run = run_of("aBc");
	run->opts.unfit = PB_UNFIT_TRUNCATE;
	take_all(run);
	assert_string_equal(run->frames, "aBc");
	assert_int_equal(run->len[1], 1514);
	assert_true(run->ready[1].truncated);
	assert_false(run->ready[2].truncated);
	finish(run);

	run = run_of("aBc");
	run->opts.unfit = PB_UNFIT_SKIP;
	take_all(run);
	assert_string_equal(run->frames, "ac");
	assert_int_equal(run->ready[1].skipped, 1);
	finish(run);
}

static void
too_short_is_refused_or_left_out(void **state)
{
	struct run *run = run_of("a.c");

	(void)state;
	run->opts.unfit = PB_UNFIT_TRUNCATE;
	take_all(run);
	assert_int_equal(run->primed, PB_EFORMAT);
	finish(run);
	run = run_of("a.c");
	run->opts.unfit = PB_UNFIT_SKIP;
	take_all(run);
	assert_string_equal(run->frames, "ac");
	finish(run);
}

static void
a_tag_that_is_added_counts_beyond_the_mtu(void **state)
{
	static const struct pb_rewrite tag = {
		.vlan = PB_VLAN_SET, .vlan_id = 7,
	};
	struct run *run = run_of("ab");

	(void)state;
	run->source.bytes = 1514;
	run->opts.rewrite = &tag;
	take_all(run);
	assert_int_equal(run->primed, 0);
	assert_int_equal(run->len[1], 1518);
	finish(run);
}

static void
loops_begin_anew_up_to_the_limit(void **state)
{
	/* Read again, or kept. */
	for (uint64_t keep = 0; keep <= 64 << 20; keep += 64 << 20) {
		struct run *run = run_of("-ab-");

		(void)state;
		run->opts.keep_bytes = keep;
		run->opts.loops = 3;
		take_all(run);
		assert_string_equal(run->frames, "ababab");
		for (unsigned i = 0; i < 6; i++) {
			assert_int_equal(run->ready[i].again, i == 2 || i == 4);
			assert_int_equal(run->ready[i].skipped,
			    i == 0 ? 1 : i % 2 == 0 ? 2 : 0);
		}
		assert_int_equal(pb_ahead_left(run->ahead), 1);
		finish(run);

		run = run_of("abc");
		run->opts.keep_bytes = keep;
		run->opts.loops = 0;
		run->opts.limit = 7;
		take_all(run);
		assert_string_equal(run->frames, "abcabca");
		finish(run);

		run = run_of("abc!");
		run->opts.keep_bytes = keep;
		run->opts.limit = 2;
		take_all(run);
		assert_int_equal(run->primed, 0);
		assert_string_equal(run->frames, "ab");
		assert_int_equal(run->ended, PB_LOADS_END);
		finish(run);
	}
}

static void
a_loop_has_no_more_than_the_first_one(void **state)
{
	struct run *run = run_of("abc");

	(void)state;
	run->source.grown = "abcdef";
	run->opts.loops = 2;
	take_all(run);
	assert_string_equal(run->frames, "abcabc");
	finish(run);
}

static void
nothing_is_not_looped_for_ever(void **state)
{
	for (uint64_t keep = 0; keep <= 64 << 20; keep += 64 << 20) {
		struct run *run = run_of("--");

		(void)state;
		run->opts.keep_bytes = keep;
		run->opts.loops = 0;
		take_all(run);
		assert_int_equal(run->ended, PB_LOADS_END);
		assert_int_equal(run->count, 0);
		finish(run);
	}
}

static void
what_is_kept_has_a_bound(void **state)
{
	struct run *run = run_of("abc");

	(void)state;
	run->opts.keep_bytes = 1 << 20;
	take_all(run);
	assert_int_equal(run->primed, PB_ELIMIT);
	assert_int_equal(run->count, 0);
	finish(run);
}

/* There is room for one load. */
static void
what_is_kept_takes_no_more_memory_from_a_source_that_waits(void **state)
{
	struct run *run = run_of("a_b_c_");

	(void)state;
	run->opts.keep_bytes = 2 << 20;
	run->opts.loops = 2;
	take_all(run);
	assert_int_equal(run->primed, 0);
	assert_string_equal(run->frames, "abcabc");
	finish(run);
}

static int
one_more(void *arg, struct pb_source_frame *out, struct pb_err *err)
{
	struct scripted_source *source = arg;

	source->at = "a";
	return scripted_next(arg, out, err);
}

static void
a_source_without_end_is_stopped_by_destroy(void **state)
{
	struct run *run = run_of("a");
	struct pb_load *load;

	(void)state;
	run->opts.source.next = one_more;
	assert_int_equal(pb_ahead_create(&run->ahead, &run->opts, &run->err),
	    0);
	/* All loads are full by then, and it waits for one. */
	assert_int_equal(pb_ahead_prime(run->ahead, &run->err), 0);
	assert_int_equal(pb_ahead_next(run->ahead, WAIT_MS, &load, &run->err),
	    PB_LOADS_ONE);
	assert_int_equal(load->count, PB_LOAD_FRAMES);
	pb_ahead_done(run->ahead, load);
	finish(run);
}

static void
a_load_ends_where_its_memory_does(void **state)
{
	struct run *run = run_of("a");
	struct pb_load *load;
	unsigned count = 0;

	(void)state;
	outlet[0].bytes_max = 2048;
	run->source.bytes = 2048;
	run->opts.source.next = one_more;
	run->opts.limit = 1000;
	assert_int_equal(pb_ahead_create(&run->ahead, &run->opts, &run->err),
	    0);
	while (pb_ahead_next(run->ahead, WAIT_MS, &load, &run->err) ==
	    PB_LOADS_ONE) {
		assert_true(load->count < 512);
		assert_true(load->bytes <= PB_LOAD_BYTES);
		count += load->count;
		pb_ahead_done(run->ahead, load);
	}
	assert_int_equal(count, 1000);
	finish(run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    frames_come_in_order_with_their_times_and_ways),
		cmocka_unit_test(
		    what_is_left_out_is_counted_before_the_next_frame),
		cmocka_unit_test(
		    an_error_is_told_before_the_first_frame_is_handed_out),
		cmocka_unit_test(
		    what_is_ready_is_handed_on_while_the_source_waits),
		cmocka_unit_test(too_long_is_refused_truncated_or_left_out),
		cmocka_unit_test(too_short_is_refused_or_left_out),
		cmocka_unit_test(a_tag_that_is_added_counts_beyond_the_mtu),
		cmocka_unit_test(loops_begin_anew_up_to_the_limit),
		cmocka_unit_test(a_loop_has_no_more_than_the_first_one),
		cmocka_unit_test(nothing_is_not_looped_for_ever),
		cmocka_unit_test(what_is_kept_has_a_bound),
		cmocka_unit_test(
		    what_is_kept_takes_no_more_memory_from_a_source_that_waits),
		cmocka_unit_test(a_source_without_end_is_stopped_by_destroy),
		cmocka_unit_test(a_load_ends_where_its_memory_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
