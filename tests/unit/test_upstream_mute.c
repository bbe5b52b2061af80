/*
 * tests/unit/test_upstream_mute.c - an upstream whose sink cannot be asked what
 * it has
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/upstream_fixture.h"

/* It takes packets, and says nothing but that. */
struct mute {
	struct pb_sink	 sink;
	struct bench	*bench;
	bool		 refuses;	/* the next one */
	unsigned	 sent, request;
	uint64_t	 first, last;
	struct pb_cursor_row written;	/* when it was given packets */
	struct pb_sink_left_out left_out;
	unsigned	 gap;		/* the request that told one, and one;
					 * or 0 */
};

static int
mute_start(struct pb_sink *sink, const struct pb_sink_request *request,
    struct pb_err *err)
{
	struct mute *mute = (struct mute *)sink;

	if (mute->refuses) {
		mute->refuses = false;
		return pb_err_set(err, PB_ENOMEM, "not now");
	}
	if (request->action.kind == PB_ACTION_GAP) {
		mute->gap = request->action.request + 1;
		return 0;
	}
	assert_int_equal(request->action.kind, PB_ACTION_PACKETS);
	assert_true(request->payload.len > 0);
	mute->request = request->action.request;
	mute->first = request->action.piece.first;
	mute->last = request->action.piece.last;
	mute->sent++;
	assert_int_equal(pb_state_cursor(mute->bench->state, "core",
	    &mute->bench->f.key, &mute->written, NULL), 1);
	return 0;
}

static void
mute_left_out(struct pb_sink *sink, struct pb_sink_left_out *out)
{
	*out = ((struct mute *)sink)->left_out;
}

static void
mute_destroy(struct pb_sink *sink)
{
	(void)sink;
}

/* In the place of the upstream that is there. */
static void
start_mute(struct bench *b, struct mute *mute, bool once)
{
	static const struct pb_sink_kind kind[] = {
		{ .start = mute_start, .way.remembered = true,
		    .left_out = mute_left_out, .destroy = mute_destroy },
		{ .start = mute_start, .way = { .remembered = true,
		    .once = true }, .left_out = mute_left_out,
		    .destroy = mute_destroy },
	};

	pb_upstream_destroy(b->upstream);
	memset(mute, 0, sizeof(*mute));
	mute->bench = b;
	mute->sink.kind = &kind[once];
	assert_int_equal(pb_upstream_create(&b->upstream, &conf, &b->env,
	    &mute->sink, NULL), 0);
}

static void
give_one(struct bench *b, struct mute *mute)
{
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;

	while (mute->sent == 0 && pb_clock_mono_ms() < end) {
		pb_upstream_run(b->upstream, pb_clock_mono_ms());
		wait_once(b);
	}
	assert_int_equal(mute->sent, 1);
}

static void
take_one(struct bench *b, struct mute *mute)
{
	struct pb_answer answer = { .outcome = PB_OUTCOME_HAS, .ours = true };

	give_one(b, mute);
	mute->sink.done(mute->sink.arg, mute->request, &answer);
}

/*
 * Goal:   how far a sink is that cannot be asked, is what we remember.
 * Method: it gets nine packets; after a restart, those that follow.
 */
static void
a_sink_that_cannot_be_asked_goes_on_where_it_was(void **state)
{
	struct pb_cursor_row cursor;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, false);
	grow(&b, 1, 9);
	take_one(&b, &mute);
	assert_int_equal(mute.first, 1);
	assert_int_equal(mute.last, 9);
	assert_int_equal(report(&b, &cursor).state, PB_SHIP_IDLE);
	assert_int_equal(cursor.acked, 9);
	start_mute(&b, &mute, false);
	grow(&b, 10, 12);
	take_one(&b, &mute);
	assert_int_equal(mute.first, 10);
	assert_int_equal(mute.last, 12);
	/* Before they were sent it was durable where they begin. */
	assert_int_equal(mute.written.acked, 9);
	assert_int_equal(mute.written.unsure[0].first, 0);
	bench_finish(&b);
}

/* A row that says nothing is not one that is not there. */
static void
nothing_is_sent_where_a_damaged_row_says_how_far_it_is(void **state)
{
	struct pb_mdb_txn txn;
	struct pb_err err;
	struct mute mute;
	struct bench b;
	uint8_t key[PB_ACKS_KEY_MAX];

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, true);
	grow(&b, 1, 9);
	take_one(&b, &mute);
	report(&b, &mute.written);
	assert_int_equal(pb_mdb_begin(b.state->mdb, true, &txn, NULL), 0);
	pb_mdb_put(&txn, PB_STATE_CURSORS, key, pb_acks_key(key, "core",
	    &b.f.key), "\377", 1);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	start_mute(&b, &mute, true);
	assert_int_equal(pb_upstream_stream(b.upstream, &b.row, &err),
	    PB_EFORMAT);
	assert_non_null(strstr(err.text, "lon1/eth0"));
	for (unsigned i = 0; i < 5; i++) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		pb_worker_drain(b.worker);
	}
	assert_int_equal(mute.sent, 0);
	bench_finish(&b);
}

/*
 * Goal:   what is sent once is written down before it is sent.
 * Method: a sink gets nine packets and is gone; they are letters then.
 */
static void
what_was_about_to_be_sent_once_is_known_to_be_unsure(void **state)
{
	struct pb_ship_cursor cursor;
	struct pb_upstream_row row;
	struct pb_letter letter;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, true);
	grow(&b, 1, 9);
	/* While it is only read it is not. */
	for (;;) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		if (pb_ship_flights(b.upstream->ship) > 0)
			break;
		pb_worker_drain(b.worker);
	}
	assert_true(pb_ship_cursor(b.upstream->ship, b.row.id, &cursor));
	assert_int_equal(cursor.unsure[0].first, 0);
	give_one(&b, &mute);
	assert_int_equal(mute.written.acked, 0);
	assert_int_equal(mute.written.unsure[0].first, 1);
	assert_int_equal(mute.written.unsure[0].last, 9);
	start_mute(&b, &mute, true);
	grow(&b, 10, 12);
	pb_upstream_run(b.upstream, pb_clock_mono_ms());
	pb_worker_drain(b.worker);
	assert_int_equal(mute.sent, 0);
	letter = only_letter(&b);
	assert_int_equal(letter.reason, PB_DEAD_UNSURE);
	assert_int_equal(letter.first, 1);
	assert_int_equal(letter.last, 9);
	assert_false(pb_letters_goes_again(&letter));
	row = report(&b, &mute.written);
	assert_int_equal(row.streams, 1);
	assert_int_equal(mute.written.unsure[0].first, 0);
	assert_int_equal(mute.written.released, 9);
	bench_finish(&b);
}

/*
 * Goal:   a letter that was requeued, and may have been sent, is unsure.
 * Method: the shipper ends twice with it under way: in its turn, as it was
 *         requeued before, and late.
 */
static void
settle_unsure(struct bench *b, struct mute *mute)
{
	struct pb_answer answer = { .outcome = PB_OUTCOME_HAS, .ours = true };

	for (unsigned n = 0; n < 10; n++) {
		pb_upstream_run(b->upstream, pb_clock_mono_ms());
		pb_worker_drain(b->worker);
		if (mute->gap > 0)
			mute->sink.done(mute->sink.arg, mute->gap - 1,
			    &answer);
		mute->gap = 0;
	}
	assert_int_equal(mute->sent, 0);
	assert_int_equal(only_letter(b).state, PB_LETTER_DEAD);
	assert_int_equal(only_letter(b).reason, PB_DEAD_UNSURE);
	assert_int_equal(only_letter(b).last, 9);
}

static void
a_requeued_letter_that_may_have_been_sent_is_unsure(void **state)
{
	const struct pb_letters_which which = { .upstream = "core" };
	struct pb_letters_sum sum = { .letters = 0 };
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, true);
	grow(&b, 1, 9);
	requeue_all(&b);
	for (unsigned i = 0; i < 2; i++) {
		give_one(&b, &mute);
		assert_int_equal(mute.first, 1);
		start_mute(&b, &mute, true);
		assert_int_equal(pb_upstream_stream(b.upstream, &b.row, NULL),
		    0);
		settle_unsure(&b, &mute);
		assert_int_equal(pb_letters_requeue(b.letters, &which, &sum,
		    NULL), 0);
		pb_upstream_late(b.upstream, &b.row, true);
	}
	bench_finish(&b);
}

/*
 * Goal:   what is behind one that could not be sent is not sent before it.
 * Method: two units are made ready, and the sink takes not the first one.
 */
static void
units_of_a_stream_are_given_in_their_order(void **state)
{
	static const struct pb_sink_kind kind = { .start = mute_start,
	    .way = { .remembered = true, .units = 2, .unit_bytes = 400 },
	    .destroy = mute_destroy };
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	struct pb_worker *keeper;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	assert_int_equal(pb_worker_create(&keeper, "keeper", NULL), 0);
	b.env.keeper = keeper;
	start_mute(&b, &mute, false);
	pb_upstream_destroy(b.upstream);
	mute.sink.kind = &kind;
	assert_int_equal(pb_upstream_create(&b.upstream, &conf, &b.env,
	    &mute.sink, NULL), 0);
	grow(&b, 1, 9);
	mute.refuses = true;
	/* What is written down is not collected before there are two. */
	while (pb_ship_flights(b.upstream->ship) < 2 &&
	    pb_clock_mono_ms() < end) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		pb_worker_drain(b.worker);
	}
	assert_int_equal(pb_ship_flights(b.upstream->ship), 2);
	pb_worker_drain(keeper);
	assert_false(mute.refuses);
	assert_int_equal(mute.sent, 0);
	while (mute.sent == 0 && pb_clock_mono_ms() < end) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		wait_once(&b);
		pb_worker_drain(keeper);
	}
	assert_int_equal(mute.first, 1);
	pb_upstream_destroy(b.upstream);
	b.upstream = NULL;
	pb_worker_destroy(keeper);
	bench_finish(&b);
}

/*
 * Goal:   packets that were not sent are counted, whatever ends the shipper.
 * Method: of nine packets three are left out, and nothing is reported but
 *         that what follows is about to be sent.
 */
static void
what_was_left_out_is_durable_with_what_went(void **state)
{
	struct pb_upstream_row row;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, false);
	grow(&b, 1, 9);
	give_one(&b, &mute);
	mute.left_out = (struct pb_sink_left_out){ .filtered = 1, .unfit = 2,
	    .text = "packet 7: long" };
	take_one(&b, &mute);
	mute.sent = 0;
	grow(&b, 10, 12);
	give_one(&b, &mute);
	assert_int_equal(mute.written.acked, 9);
	assert_int_equal(pb_state_upstream(b.state, "core", &row, NULL), 1);
	assert_int_equal(row.unfit, 2);
	/* The next one goes on counting. */
	start_mute(&b, &mute, false);
	row = (struct pb_upstream_row){ .unfit = 0 };
	has_news(&b);
	assert_int_equal(pb_state_upstream(b.state, "core", &row, NULL), 1);
	assert_int_equal(row.filtered, 1);
	assert_int_equal(row.unfit, 2);
	assert_string_equal(row.unfit_text, "packet 7: long");
	mute.left_out = (struct pb_sink_left_out){ .unfit = 1,
	    .text = "packet 11: long" };
	has_news(&b);
	assert_int_equal(pb_state_upstream(b.state, "core", &row, NULL), 1);
	assert_int_equal(row.unfit, 3);
	assert_string_equal(row.unfit_text, "packet 11: long");
	bench_finish(&b);
}

/*
 * Goal:   a letter that was sent once is not sent again, as it could not be
 *         written down that it was.
 * Method: the system refuses to write to files for a while.
 */
static void
a_letter_is_sent_once_while_the_disk_is_full(void **state)
{
	struct pb_answer answer = { .outcome = PB_OUTCOME_HAS, .ours = true };
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	struct pb_letter letter;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	conf.at_most_once = true;
	start_mute(&b, &mute, true);
	grow(&b, 1, 9);
	requeue_all(&b);
	give_one(&b, &mute);
	limit_files(0);
	mute.sink.done(mute.sink.arg, mute.request, &answer);
	for (unsigned i = 0; i < 5; i++) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		pb_worker_drain(b.worker);
	}
	limit_files(RLIM_INFINITY);
	while (pb_letters_find(b.letters, "core", &b.f.key, 1, &letter,
	    NULL) == 1) {
		assert_true(pb_clock_mono_ms() < end);
		assert_int_equal(pb_upstream_again(b.upstream, NULL), 0);
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		wait_once(&b);
		assert_int_equal(mute.sent, 1);
	}
	bench_finish(&b);
}

/* Where it cannot be written down how far it is, nothing is sent. */
static void
nothing_is_sent_that_cannot_be_remembered(void **state)
{
	struct pb_cursor_row cursor;
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	struct pb_ship_cursor at;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, false);
	grow(&b, 1, 9);
	limit_files(0);
	do {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		wait_once(&b);
		assert_true(pb_ship_cursor(b.upstream->ship, b.row.id, &at));
	} while (at.text[0] == '\0' && pb_clock_mono_ms() < end);
	limit_files(RLIM_INFINITY);
	assert_int_equal(mute.sent, 0);
	assert_int_equal(at.state, PB_CURSOR_WAITING);
	assert_non_null(strstr(at.text, "File too large"));
	take_one(&b, &mute);
	report(&b, &cursor);
	assert_int_equal(cursor.acked, 9);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_sink_that_cannot_be_asked_goes_on_where_it_was),
		cmocka_unit_test(
		    nothing_is_sent_where_a_damaged_row_says_how_far_it_is),
		cmocka_unit_test(
		    what_was_about_to_be_sent_once_is_known_to_be_unsure),
		cmocka_unit_test(
		    a_requeued_letter_that_may_have_been_sent_is_unsure),
		cmocka_unit_test(units_of_a_stream_are_given_in_their_order),
		cmocka_unit_test(what_was_left_out_is_durable_with_what_went),
		cmocka_unit_test(a_letter_is_sent_once_while_the_disk_is_full),
		cmocka_unit_test(nothing_is_sent_that_cannot_be_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
