/*
 * tests/unit/test_vanish.c - a store that goes beneath its writer
 *
 * The directory is really moved, deleted and replaced, as an operator does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/below.h"
#include "recorder/store/home.h"
#include "tests/unit/stepped.h"
#include "tests/unit/temp.h"

#define LOOK_MS		250	/* between two looks at the path */
#define LOOKS_MAX	100	/* 25 s: each rule is done by then */

/* The command finds the store at $S. */
static void
at(const struct fixture *f, const char *command)
{
	shell("S='%s'; %s", f->dir, command);
}

static void
assert_away(struct fixture *f, bool away)
{
	struct pb_store_stats stats;

	pb_store_stats(f->store, &stats);
	assert_true(stats.away == away);
}

/* Until the writer has found that it is, or is not. */
static void
look(struct fixture *f, bool away)
{
	struct pb_store_stats stats = { .away = !away };

	for (int i = 0; i < LOOKS_MAX && stats.away != away; i++) {
		step(f, LOOK_MS);
		pb_store_stats(f->store, &stats);
	}
	assert_away(f, away);
}

/* Whatever it will find it has found. */
static void
look_long(struct fixture *f)
{
	for (int i = 0; i < LOOKS_MAX; i++)
		step(f, LOOK_MS);
}

/* What capture hands over: the writer keeps it until it is written. */
static void
capture(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_chunk *chunk = fixture_chunk(f, first, last, 100);

	chunk->keep_trying = true;
	assert_int_equal(fixture_submit(f, chunk), 0);
}

static void
holds(struct fixture *f, uint64_t first, uint64_t last)
{
	uint64_t have_first, have_last;

	assert_int_equal(fixture_read(f, &ALL, &have_first, &have_last),
	    last - first + 1);
	assert_int_equal(have_first, first);
	assert_int_equal(have_last, last);
}

/* The one gap of the stream. */
static void
lacks(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_gap_info gap[2];
	struct pb_stream_info row;

	fixture_stream_row(f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_GAPS, row.id, 1, gap, 2, NULL), 1);
	assert_int_equal(gap[0].first, first);
	assert_int_equal(gap[0].last, last);
	assert_int_equal(gap[0].reason, PB_GAP_DAMAGED);
	assert_int_equal(gap[0].closed_ns, 0);
}

static void
what_is_held_goes_into_the_store_that_comes_back(void **state)
{
	struct fixture *f = *state;

	capture(f, 1, 100);
	fixture_wait(f);
	at(f, "mv $S $S.away");
	capture(f, 101, 200);
	look(f, true);
	capture(f, 201, 300);
	look_long(f);
	at(f, "test ! -e $S && mv $S.away $S");
	look(f, false);
	fixture_wait(f);
	assert_int_equal(f->ok, 3);
	holds(f, 1, 300);
	assert_int_equal(pb_stream_next(f->stream), 301);
}

static void
a_stream_goes_on_behind_a_gap_in_a_new_store(void **state)
{
	struct fixture *f = *state;

	capture(f, 1, 100);
	fixture_wait(f);
	at(f, "rm -rf $S");
	look(f, true);
	capture(f, 101, 200);
	at(f, "mkdir $S");
	look(f, false);
	fixture_wait(f);
	assert_int_equal(f->ok, 2);
	holds(f, 101, 200);
	lacks(f, 1, 100);
	/* No number is given twice by whoever opens it next. */
	pb_store_close(f->store);
	fixture_open(f);
	assert_int_equal(pb_stream_next(f->stream), 201);
	lacks(f, 1, 100);
}

static void
an_older_copy_gets_a_gap_up_to_what_was_written(void **state)
{
	struct fixture *f = *state;

	capture(f, 1, 100);
	fixture_wait(f);
	pb_store_close(f->store);
	at(f, "cp -a $S $S.copy");
	fixture_open(f);
	capture(f, 101, 200);
	fixture_wait(f);
	at(f, "mv $S $S.away && mv $S.copy $S");
	look(f, true);
	capture(f, 201, 250);
	look(f, false);
	fixture_wait(f);
	assert_int_equal(f->ok, 3);
	lacks(f, 101, 200);
	at(f, "rm -rf $S.away");
}

/*
 * Its numbers are other packets than those that are held here: this store is
 * not taken, whatever the operator says, until a restart.
 */
static void
one_that_another_recorder_went_on_with_is_not_taken(void **state)
{
	struct fixture *f = *state;
	struct pb_store_stats stats;

	capture(f, 1, 100);
	fixture_wait(f);
	pb_store_close(f->store);
	at(f, "cp -a $S $S.copy");
	fixture_open(f);
	capture(f, 101, 150);
	fixture_wait(f);
	pb_store_close(f->store);
	at(f, "mv $S $S.ahead && mv $S.copy $S");
	fixture_open(f);
	at(f, "mv $S $S.away && mv $S.ahead $S");
	look(f, true);
	capture(f, 101, 120);
	pb_store_take(f->store);
	look_long(f);
	pb_store_stats(f->store, &stats);
	assert_true(stats.away);
	assert_non_null(strstr(stats.last_error, "another recorder"));
	pb_store_close(f->store);
	assert_int_equal(f->failed, 1);
	fixture_open(f);
	holds(f, 1, 150);
	at(f, "rm -rf $S.away");
}

static void
a_chunk_of_ingest_is_refused_and_its_stream_is_what_the_store_has(void **state)
{
	struct fixture *f = *state;
	struct pb_stream *other;

	strcpy(f->key.interface, "eth1");
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, false, &other, NULL), 0);
	f->stream = other;
	fixture_write(f, 1, 100, 100);
	at(f, "rm -rf $S");
	look(f, true);
	fixture_write(f, 101, 200, 100);
	assert_int_equal(f->failed, 1);
	at(f, "mkdir $S");
	look(f, false);
	assert_int_equal(pb_stream_next(other), 1);
	assert_int_equal(pb_stream_durable(other), 0);
	fixture_write(f, 1, 200, 100);
	assert_int_equal(f->ok, 2);
}

/*
 * Goal:   a restart goes on with the epoch that was captured last.
 * Method: epochs of one interface, which lie in memory by their hashes.
 */
static void
epochs_keep_their_order_in_a_new_store(void **state)
{
	struct fixture *f = *state;
	uint64_t epoch;

	for (f->key.epoch = 1; f->key.epoch <= 8; f->key.epoch++) {
		assert_int_equal(pb_store_stream(f->store, &f->key,
		    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, NULL), 0);
		capture(f, 1, 10);
		fixture_wait(f);
	}
	f->key.epoch--;
	at(f, "rm -rf $S");
	look(f, true);
	at(f, "mkdir $S");
	look(f, false);
	pb_store_close(f->store);
	fixture_open(f);
	assert_int_equal(pb_store_own_epoch(f->store, f->key.node,
	    f->key.interface, PB_LINKTYPE_ETHERNET, 0, &epoch, NULL), 0);
	assert_int_equal(epoch, 8);
}

/*
 * Submitted while the store is away, and written by the one that is begun
 * then: what follows it follows.
 */
static void
a_chunk_that_waits_for_the_beginning_is_followed(void **state)
{
	struct fixture *f = *state;
	struct pb_stream *other;

	strcpy(f->key.interface, "eth1");
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, false, &other, NULL), 0);
	f->stream = other;
	fixture_write(f, 1, 100, 100);
	at(f, "mv $S $S.away");
	look(f, true);
	at(f, "mv $S.away $S");
	/* It is seen there, and then for long enough: in the turn that takes
	 * up the chunk. */
	step(f, LOOK_MS);
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 101, 200, 100)),
	    0);
	step(f, 2 * LOOK_MS);
	fixture_wait(f);
	assert_int_equal(f->failed, 0);
	assert_int_equal(pb_stream_next(other), 201);
	fixture_write(f, 201, 300, 100);
	assert_int_equal(f->ok, 3);
}

static void
what_is_no_store_waits_for_the_operators_word(void **state)
{
	struct fixture *f = *state;

	capture(f, 1, 100);
	fixture_wait(f);
	at(f, "rm -rf $S");
	look(f, true);
	at(f, "mkdir $S && echo mine > $S/file");
	look_long(f);
	at(f, "test $(ls -A $S) = file");
	assert_away(f, true);
	pb_store_take(f->store);
	look(f, false);
	capture(f, 101, 200);
	fixture_wait(f);
	holds(f, 101, 200);
}

static void
a_home_says_what_is_at_its_path(void **state)
{
	struct fixture *f = *state;
	struct pb_home home;

	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_below_hold(f->dir, NULL), 0);
	assert_int_equal(pb_home_init(&home, f->dir, PB_HOME_INDEX, NULL), 0);
	assert_int_equal(pb_home_enter(&home, NULL), 0);
	assert_true(pb_home_same(&home));
	at(f, "mv $S $S.away");
	assert_false(pb_home_same(&home));
	assert_string_equal(pb_home_why(&home), "was moved away");
	/* A copy is not the store that is held. */
	at(f, "cp -a $S.away $S");
	assert_int_equal(pb_home_enter(&home, NULL), 0);
	assert_false(pb_home_same(&home));
	at(f, "rm -r $S");
	pb_home_leave(&home);
	assert_int_equal(pb_home_offer(&home), PB_HOME_NOTHING);
	at(f, "echo > $S");
	assert_int_equal(pb_home_offer(&home), PB_HOME_NOTHING);
	at(f, "rm $S && mkdir -p $S/shipper");
	assert_int_equal(pb_home_offer(&home), PB_HOME_EMPTY);
	at(f, "mkdir $S/segments");
	/* What was tried is the directory that is held, whatever is there. */
	pb_home_keep_trying(&home);
	assert_int_equal(pb_home_offer(&home), PB_HOME_OTHER);
	assert_int_equal(pb_below_renew(f->dir, NULL), 0);
	pb_home_keep_trying(&home);
	assert_int_equal(pb_home_offer(&home), PB_HOME_EMPTY);
	at(f, "rm -r $S && mv $S.away $S");
	assert_int_equal(pb_home_offer(&home), PB_HOME_STORE);
	assert_int_equal(pb_below_renew(f->dir, NULL), 0);
	assert_int_equal(pb_home_enter(&home, NULL), 0);
	at(f, "rm -rf $S");
	assert_string_equal(pb_home_why(&home), "was deleted");
	pb_home_leave(&home);
	assert_int_equal(pb_home_offer(&home), PB_HOME_ROOM);
	pb_below_release(f->dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STEPPED(what_is_held_goes_into_the_store_that_comes_back),
		STEPPED(a_stream_goes_on_behind_a_gap_in_a_new_store),
		STEPPED(an_older_copy_gets_a_gap_up_to_what_was_written),
		STEPPED(one_that_another_recorder_went_on_with_is_not_taken),
		STEPPED(
	    a_chunk_of_ingest_is_refused_and_its_stream_is_what_the_store_has),
		STEPPED(epochs_keep_their_order_in_a_new_store),
		STEPPED(a_chunk_that_waits_for_the_beginning_is_followed),
		STEPPED(what_is_no_store_waits_for_the_operators_word),
		STEPPED(a_home_says_what_is_at_its_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
