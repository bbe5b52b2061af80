/*
 * tests/sim/test_ship_pulled.c - an upstream that comes for its packets
 * itself: what it says moves it, and what it does not waits as ever
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include "shipper/sink/sink_pull.h"
#include "tests/sim/ship_world.h"

#define RETRY_FOR_MS	60000ull
#define PATIENCE_MS	10000ull
#define STREAMS		40u		/* more than requests */

static struct world *world;
static struct pb_sink *pull;
static struct pb_sink_kind kind;	/* its own, but that it is collected */
static int wake;

static int
start(struct pb_sink *sink, const struct pb_sink_request *request,
    struct pb_err *err)
{
	int rc = pb_sink_pull.start(sink, request, err);

	pb_sink_pull.collect(sink);
	return rc;
}

static int
setup(void **state)
{
	struct pb_conf_upstream conf = { .url = PB_CONF_PULL,
	    .answer_timeout_ms = PATIENCE_MS, .retry_for_ms = RETRY_FOR_MS };
	struct pb_sink_opts opts = { .conf = &conf };

	(void)state;
	wake = eventfd(0, EFD_NONBLOCK);
	world = world_create_for(64u << 20, STREAMS, RETRY_FOR_MS);
	opts.wake = wake;
	opts.now_ms = world->now_ms;
	assert_int_equal(pb_sink_pull.create(&pull, &opts, NULL), 0);
	kind = pb_sink_pull;
	kind.start = start;
	pull->kind = &kind;
	pull->done = world_done;
	pull->arg = world;
	world->sink = pull;
	world->opts.way = kind.way;
	pb_ship_destroy(world->ship);
	world_start(world);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_destroy(world);
	pb_sink_pull.destroy(pull);
	close(wake);
	return 0;
}

static const char *
away_for(void)
{
	return pb_sink_pull.away(pull, pb_ship_owes_ms(world->ship),
	    world->now_ms);
}

/* As an upstream runs, a turn a second. */
static void
run(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 1000) {
		const char *away = away_for();

		if (away != NULL)
			pb_ship_gone(world->ship, away, world->now_ms,
			    world_random(world));
		pb_sink_pull.collect(pull);
		world_run(world, 1000);
	}
}

static void
hurry(void)
{
	if (world_status(world).state == PB_SHIP_BACKOFF &&
	    away_for() == NULL)
		pb_ship_hurry(world->ship);
}

static void
asks(void)
{
	pb_sink_pull.asks(pull, 0, world->now_ms);
	hurry();
}

static void
acks(uint32_t id, uint64_t number)
{
	pb_sink_pull.asks(pull, 0, world->now_ms);
	pb_ship_pulled(world->ship, id, number, world->now_ms);
	hurry();
}

/* It asks every second, and says nothing of what it has. */
static void
only_asks(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 1000) {
		asks();
		run(1000);
	}
}

static struct pb_ship_cursor
cursor(uint32_t id)
{
	struct pb_ship_cursor out;

	assert_true(pb_ship_cursor(world->ship, id, &out));
	return out;
}

static void
acks_move_it_and_nothing_is_sent(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= STREAMS; id++)
		world_grow(world, id, 1000 * id);
	run(2000);
	assert_int_equal(world_status(world).state, PB_SHIP_READY);
	assert_int_equal(pb_ship_flights(world->ship), 0);
	/* The last of many goes first: none holds up another. */
	for (uint32_t id = STREAMS; id >= 1; id--) {
		assert_int_equal(cursor(id).acked, 0);
		assert_int_equal(cursor(id).sent, 1000 * id);
		acks(id, 1000 * id - 1);
		assert_int_equal(cursor(id).acked, 1000 * id - 1);
		assert_int_equal(cursor(id).released, 1000 * id - 1);
	}
	assert_int_equal(world_status(world).state, PB_SHIP_READY);
	for (uint32_t id = 1; id <= STREAMS; id++)
		acks(id, 1000 * id);
	run(1000);
	assert_int_equal(world_status(world).state, PB_SHIP_IDLE);
	assert_int_equal(world_status(world).acked_packets,
	    1000 * STREAMS * (STREAMS + 1) / 2);
	assert_int_equal(world_status(world).acked_bytes, PACKET_BYTES *
	    (1000 * STREAMS * (STREAMS + 1) / 2));
	assert_int_equal(world_status(world).sent_bytes, 0);
}

static void
an_ack_past_the_end_counts_up_to_it(void **state)
{
	(void)state;
	world_grow(world, 1, 100);
	run(1000);
	acks(1, UINT64_MAX);
	assert_int_equal(cursor(1).acked, 100);
	acks(77, 5);			/* nobody knows that stream */
}

static void
it_may_go_back(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	run(1000);
	acks(1, 5000);
	acks(1, 10);
	assert_int_equal(cursor(1).acked, 10);
	assert_int_equal(cursor(1).released, 10);
	assert_non_null(strstr(world->last_event, "up to 10 only"));
	assert_int_equal(world_status(world).state, PB_SHIP_READY);
	run(2000);
	acks(1, 5000);
	run(1000);
	assert_int_equal(world_status(world).state, PB_SHIP_IDLE);
}

static void
who_is_away_is_waited_for_and_then_letters_are_made(void **state)
{
	uint64_t failures;

	(void)state;
	world_grow(world, 1, 5000);
	run(1000);
	acks(1, 1000);
	run(PATIENCE_MS - 1000);
	assert_int_equal(world_status(world).state, PB_SHIP_READY);
	run(3000);
	assert_int_equal(world_status(world).state, PB_SHIP_BACKOFF);
	assert_non_null(strstr(world_status(world).last_error,
	    "nobody has pulled since "));
	assert_int_equal(world_letters(world, 1, DEAD), 0);
	/* It fails when it is tried, not as often as it is seen to be away. */
	failures = world_status(world).failures;
	assert_int_not_equal(failures, 0);
	for (unsigned i = 0; i < 1000; i++)
		pb_ship_gone(world->ship, "still away", world->now_ms, 1);
	assert_int_equal(world_status(world).failures, failures);
	run(RETRY_FOR_MS);
	assert_int_not_equal(world_status(world).failures, failures);
	assert_true(world_status(world).error_ms + PB_BACKOFF_MS_MAX >=
	    world->now_ms);
	assert_int_equal(world_letters(world, 1, DEAD), 4000);
	assert_int_equal(cursor(1).acked, 1000);
	assert_int_equal(cursor(1).released, 5000);
	/* It is back, and gets them in their turn. */
	acks(1, 3000);
	run(1000);
	assert_int_equal(world_status(world).state, PB_SHIP_READY);
	assert_false(pb_ship_takes(world->ship, 1, 5000));
	acks(1, 5000);
	run(1000);
	assert_true(pb_ship_takes(world->ship, 1, 5000));
	world_requeue(world, 1, 1001, 5000);
	run(2000);
	assert_int_equal(world_letters(world, 1, DEAD), 0);
	assert_int_equal(world_letters(world, 1, REQUEUED), 0);
	/* Letters counted when their numbers were passed. */
	assert_int_equal(world_status(world).acked_packets, 5000);
	assert_int_equal(world_status(world).acked_bytes,
	    5000 * PACKET_BYTES);
}

/* The store's own copy of them may go then, too. */
static void
letters_are_known_after_a_crash(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	run(1000);
	acks(1, 1000);
	run(PATIENCE_MS + RETRY_FOR_MS + 5000);
	assert_int_equal(world_letters(world, 1, DEAD), 4000);
	world_report(world);
	world_restart(world);
	asks();
	run(2000);
	assert_int_equal(world_status(world).state, PB_SHIP_READY);
	assert_int_equal(cursor(1).acked, 1000);
	assert_int_equal(cursor(1).released, 5000);
	assert_int_equal(world_letters(world, 1, DEAD), 4000);
	acks(1, 5000);
	run(1000);
	world_requeue(world, 1, 1001, 5000);
	run(2000);
	assert_int_equal(world_letters(world, 1, DEAD), 0);
	assert_int_equal(world_letters(world, 1, REQUEUED), 0);
}

/* A stream that it does not want is no trouble as long as it is there. */
static void
who_is_there_gets_no_letters(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	world_grow(world, 2, 5000);
	for (uint64_t n = 1; n <= 3 * RETRY_FOR_MS / 5000; n++) {
		run(5000);
		acks(1, n);
	}
	assert_int_equal(world_letters(world, 2, DEAD), 0);
	assert_int_equal(cursor(2).acked, 0);
}

/* Its disk is full, say. */
static void
who_asks_and_acknowledges_nothing_is_as_good_as_away(void **state)
{
	char said[PB_SHIP_TEXT_MAX];
	unsigned events;

	(void)state;
	world_grow(world, 1, 5000);
	world_grow(world, 2, 100);
	acks(1, 1000);
	acks(2, 100);
	only_asks(RETRY_FOR_MS - 3000);
	assert_int_equal(world_status(world).state, PB_SHIP_READY);
	only_asks(5000);
	assert_int_equal(world_status(world).state, PB_SHIP_BACKOFF);
	strcpy(said, world_status(world).last_error);
	assert_non_null(strstr(said, "it asks, but has acknowledged nothing "
	    "since "));
	/* What came last waits for as long. */
	world_grow(world, 1, 6000);
	only_asks(RETRY_FOR_MS / 2);
	assert_int_equal(world_letters(world, 1, DEAD), 4000);
	assert_string_equal(world_status(world).last_error, said);
	assert_int_equal(cursor(1).acked, 1000);
	/* The same again says nothing new. */
	acks(1, 1000);
	acks(2, 100);
	only_asks(2000);
	assert_int_equal(world_status(world).state, PB_SHIP_BACKOFF);
	/* It has room again. */
	acks(1, 1001);
	only_asks(2000);
	assert_int_equal(world_status(world).state, PB_SHIP_READY);
	assert_string_equal(world->last_event, "answers again");
	events = world->events;
	acks(1, 6000);
	only_asks(3 * RETRY_FOR_MS);
	assert_int_equal(world->events, events);
	assert_int_equal(world_status(world).state, PB_SHIP_IDLE);
	assert_string_equal(world_status(world).last_error, "");
	assert_int_equal(world_letters(world, 1, DEAD), 4000);
	/* Time without anything to have does not count. */
	world_grow(world, 2, 200);
	only_asks(RETRY_FOR_MS - 3000);
	assert_int_equal(world_status(world).state, PB_SHIP_READY);
	assert_int_equal(world_letters(world, 2, DEAD), 0);
}

/* Nor who never had anything of any stream. */
static void
who_never_acknowledges_gets_letters_of_all(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	world_grow(world, 2, 100);
	only_asks(2 * RETRY_FOR_MS);
	assert_int_equal(world_status(world).state, PB_SHIP_BACKOFF);
	assert_int_equal(world_letters(world, 1, DEAD), 5000);
	assert_int_equal(world_letters(world, 2, DEAD), 100);
}

/* A packet shortly before each time that would be too long; and again after it
 * lost all. */
static void
who_is_slow_and_comes_on_gets_no_letters(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	world_grow(world, 2, 5000);
	for (uint64_t n = 1; n <= 20; n++) {
		only_asks(RETRY_FOR_MS - 3000);
		acks(1, n <= 10 ? n : n - 10);
		assert_int_equal(world_status(world).state, PB_SHIP_READY);
	}
	assert_int_equal(world_letters(world, 1, DEAD), 0);
	assert_int_equal(world_letters(world, 2, DEAD), 0);
}

/* Nor does a stream that it does not want make it one, once it has others. */
static void
a_stream_that_it_never_had_is_not_owed(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	world_grow(world, 2, 5000);
	acks(1, 5000);
	only_asks(5 * RETRY_FOR_MS);
	assert_int_not_equal(world_status(world).state, PB_SHIP_BACKOFF);
	assert_int_equal(world_letters(world, 2, DEAD), 0);
}

/* It is there, and cannot be given what is next. */
static void
what_cannot_be_given_becomes_letters(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	world_grow(world, 2, 5000);
	for (uint64_t n = 1; n <= 2 * RETRY_FOR_MS / 5000; n++) {
		run(5000);
		acks(2, n);
		pb_ship_stuck(world->ship, 1, "damaged", world->now_ms,
		    world_random(world));
	}
	assert_int_equal(world_letters(world, 1, DEAD), 5000);
	assert_int_equal(world_letters(world, 2, DEAD), 0);
	acks(1, 5000);
	run(60000);
	asks();
	run(2000);
	assert_string_equal(cursor(1).text, "");
	assert_int_equal(world_status(world).refused, 0);
}

static void
what_came_late_is_under_way_until_it_says_that_it_has_it(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	run(1000);
	acks(1, 5000);
	for (uint64_t seq = 101; seq <= 200; seq++)
		world_number(&world->stream[1], seq)->letter = LATE;
	pb_ship_late(world->ship, 1, false);
	run(3000);
	assert_int_equal(pb_ship_flights(world->ship), 1);
	assert_int_equal(world_letters(world, 1, LATE), 100);
	/* It does not come: others need the place. */
	asks();
	run(PB_SINK_LATE_MS - 2000);
	assert_int_equal(pb_ship_flights(world->ship), 0);
	assert_int_not_equal(world_status(world).state, PB_SHIP_BACKOFF);
	pb_sink_pull.has_late(pull, 1, 101, 150);
	run(20000);
	asks();
	assert_int_equal(world_letters(world, 1, LATE), 100);
	pb_sink_pull.has_late(pull, 1, 151, 200);
	run(120000);
	assert_int_equal(world_letters(world, 1, LATE), 0);
	assert_int_equal(pb_ship_flights(world->ship), 0);
}

static void
after_a_crash_it_is_as_far_as_was_written_down(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	run(1000);
	acks(1, 2000);
	world_report(world);
	acks(1, 3000);
	world_restart(world);
	run(2000);
	assert_int_equal(cursor(1).acked, 2000);
	acks(1, 3000);
	assert_int_equal(cursor(1).acked, 3000);
	/* Before it was asked, too. */
	world_report(world);
	world_restart(world);
	acks(1, 4000);
	run(2000);
	assert_int_equal(cursor(1).acked, 4000);
	assert_null(strstr(world->last_event, "only"));
}

/* It has nothing to come for then. */
static void
out_of_its_hours_nobody_is_missed(void **state)
{
	(void)state;
	world_grow(world, 1, 5000);
	run(1000);
	acks(1, 1000);
	pb_ship_pause(world->ship, true);
	run(2 * RETRY_FOR_MS);
	only_asks(2 * RETRY_FOR_MS);
	run(2 * RETRY_FOR_MS);
	assert_int_equal(world_status(world).failures, 0);
	assert_int_equal(world_letters(world, 1, DEAD), 0);
	/* What was under way then it acknowledges. */
	acks(1, 1500);
	assert_int_equal(cursor(1).acked, 1500);
	pb_ship_pause(world->ship, false);
	run(PATIENCE_MS + RETRY_FOR_MS / 2);
	assert_int_equal(world_status(world).state, PB_SHIP_BACKOFF);
	assert_int_equal(world_letters(world, 1, DEAD), 0);
	run(RETRY_FOR_MS);
	assert_int_equal(world_letters(world, 1, DEAD), 3500);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(acks_move_it_and_nothing_is_sent),
		TEST(an_ack_past_the_end_counts_up_to_it),
		TEST(it_may_go_back),
		TEST(who_is_away_is_waited_for_and_then_letters_are_made),
		TEST(letters_are_known_after_a_crash),
		TEST(who_is_there_gets_no_letters),
		TEST(out_of_its_hours_nobody_is_missed),
		TEST(who_asks_and_acknowledges_nothing_is_as_good_as_away),
		TEST(who_never_acknowledges_gets_letters_of_all),
		TEST(who_is_slow_and_comes_on_gets_no_letters),
		TEST(a_stream_that_it_never_had_is_not_owed),
		TEST(what_cannot_be_given_becomes_letters),
		TEST(what_came_late_is_under_way_until_it_says_that_it_has_it),
		TEST(after_a_crash_it_is_as_far_as_was_written_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
