/*
 * tests/unit/test_room.c - a body as it comes: its memory, its time
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "recorder/ingest/intake/room.h"
#include "tests/unit/fake_store.h"

#define KIB		1024u
#define MEMORY_MAX	(1024u * KIB)
#define BODY_MAX	(600u * KIB)
#define IDLE_MS		10000u
#define RATE_BYTES	1000u		/* a second */

static const struct pb_conf_listen bounds = {
	.body_max = BODY_MAX, .memory_max = MEMORY_MAX,
	.idle_timeout_ms = IDLE_MS, .body_rate_min = RATE_BYTES * 8,
};
static struct pb_intake *intake;
static struct pb_room room;
static uint8_t bytes[BODY_MAX + 1];

static void
ignore_load(void *arg, struct pb_load *load)
{
	(void)arg;
	(void)load;
}

static void
ignore(void *arg)
{
	(void)arg;
}

static int
setup(void **state)
{
	struct pb_intake_opts opts = { .store = &fake, .memory_max =
	    MEMORY_MAX, .hold_ms = 1000, .settled = ignore_load,
	    .wake = ignore };

	(void)state;
	fake_reset();
	return pb_intake_create(&intake, &opts, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	pb_room_finish(&room);
	assert_int_equal(pb_intake_reserved(intake), 0);
	pb_intake_destroy(intake);
	return 0;
}

static void
memory_grows_with_what_has_come_not_with_what_was_promised(void **state)
{
	struct pb_err err;
	size_t most = 0;

	(void)state;
	pb_room_init(&room, intake, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, BODY_MAX, &err), 0);
	assert_int_equal(pb_intake_reserved(intake), 0);
	for (size_t at = 0; at < BODY_MAX; at += KIB) {
		size_t held;

		memset(bytes + at, (int)(at / KIB), KIB);
		assert_int_equal(pb_room_put(&room, bytes + at, KIB, &err),
		    0);
		held = pb_intake_reserved(intake);
		assert_true(held <= 64 * KIB || held <= 4 * (at + KIB));
		most = held > most ? held : most;
	}
	assert_int_equal(most, BODY_MAX);
	assert_int_equal(room.len, BODY_MAX);
	assert_memory_equal(room.data, bytes, BODY_MAX);
	assert_int_equal(pb_room_put(&room, bytes, 1, &err), PB_ELIMIT);
}

static void
a_small_body_gets_what_it_needs_and_no_more(void **state)
{
	struct pb_err err;

	(void)state;
	pb_room_init(&room, intake, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, 700, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, 1, &err), 0);
	assert_int_equal(pb_intake_reserved(intake), 700);
}

static void
what_is_announced_as_too_large_is_refused_at_once(void **state)
{
	struct pb_err err;

	(void)state;
	pb_room_init(&room, intake, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, BODY_MAX + 1, &err),
	    PB_ELIMIT);
	assert_string_equal(err.text, "614401 bytes; a body here has 614400 "
	    "at most");
	assert_true(pb_intake_reserve(intake, MEMORY_MAX - 100));
	assert_int_equal(pb_room_open(&room, BODY_MAX, 101, &err), PB_EBUSY);
	assert_int_equal(pb_room_open(&room, BODY_MAX, 100, &err), 0);
	pb_intake_release(intake, MEMORY_MAX - 100);
}

static void
one_address_gets_half_of_the_memory(void **state)
{
	struct pb_room other = { 0 };
	size_t held = 0;
	struct pb_err err;

	(void)state;
	pb_room_init(&room, intake, &bounds, &held, 0);
	assert_int_equal(pb_room_open(&room, 300 * KIB, SIZE_MAX, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, 300 * KIB, &err), 0);
	assert_int_equal(held, 300 * KIB);
	/* 512 KiB are half: 212 are left for it. */
	pb_room_init(&other, intake, &bounds, &held, 0);
	assert_int_equal(pb_room_open(&other, 300 * KIB, 213 * KIB, &err),
	    PB_EBUSY);
	assert_int_equal(pb_room_open(&other, 300 * KIB, SIZE_MAX, &err), 0);
	assert_int_equal(pb_room_put(&other, bytes, 213 * KIB, &err),
	    PB_EBUSY);
	assert_int_equal(pb_room_put(&other, bytes, 212 * KIB, &err), 0);
	assert_int_equal(held, 512 * KIB);
	pb_room_finish(&other);
	assert_int_equal(held, 300 * KIB);
	/* Another address has the other half. */
	pb_room_init(&other, intake, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&other, BODY_MAX, 600 * KIB, &err), 0);
	assert_int_equal(pb_room_put(&other, bytes, 600 * KIB, &err), 0);
	pb_room_finish(&other);
	pb_room_finish(&room);
	assert_int_equal(held, 0);
}

static void
one_body_alone_may_be_more_than_half(void **state)
{
	size_t held = 0;
	struct pb_err err;

	(void)state;
	pb_room_init(&room, intake, &bounds, &held, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, SIZE_MAX, &err), 0);
	for (size_t at = 0; at < BODY_MAX; at += 100 * KIB)
		assert_int_equal(pb_room_put(&room, bytes, 100 * KIB, &err),
		    0);
	assert_int_equal(held, BODY_MAX);
	pb_room_finish(&room);
	assert_int_equal(held, 0);
}

static void
silence_ends_after_the_idle_time(void **state)
{
	(void)state;
	pb_room_init(&room, intake, &bounds, NULL, 5);
	assert_int_equal(pb_room_until_ms(&room), 5 + IDLE_MS);
	assert_true(pb_room_in_time(&room, 1, 5 + IDLE_MS - 1));
	pb_room_init(&room, intake, &bounds, NULL, 5);
	assert_false(pb_room_in_time(&room, 1 << 20, 5 + IDLE_MS));
}

static void
bytes_buy_time_at_the_least_rate_and_none_in_advance(void **state)
{
	uint64_t now = 0;

	(void)state;
	pb_room_init(&room, intake, &bounds, NULL, 0);
	/* A drip lasts as long as silence, and little more. */
	while (pb_room_in_time(&room, 10, now))
		now += 100;
	assert_in_range(now, IDLE_MS, IDLE_MS + IDLE_MS / 5);
	/* At the rate it lasts. */
	pb_room_init(&room, intake, &bounds, NULL, 0);
	for (now = 0; now < 100 * IDLE_MS; now += 100)
		assert_true(pb_room_in_time(&room, RATE_BYTES / 10, now));
	/* Millions at once buy no more than the idle time. */
	assert_true(pb_room_in_time(&room, 1u << 30, now));
	assert_int_equal(pb_room_until_ms(&room), now + IDLE_MS);
	assert_int_equal(room.seen, 1000000 + (1u << 30));
}

static void
a_rate_without_end_counts_single_bytes(void **state)
{
	struct pb_conf_listen fast = bounds;
	uint64_t now = 0;

	(void)state;
	fast.body_rate_min = 1000000000;	/* the most there can be */
	pb_room_init(&room, intake, &fast, NULL, 0);
	while (pb_room_in_time(&room, 1000, now))
		now++;
	assert_in_range(now, IDLE_MS, IDLE_MS + 100);
}

static void
without_a_rate_only_silence_counts(void **state)
{
	struct pb_conf_listen any = bounds;

	(void)state;
	any.body_rate_min = 0;
	pb_room_init(&room, intake, &any, NULL, 0);
	for (unsigned i = 1; i < 100; i++)
		assert_true(pb_room_in_time(&room, 1, i * (IDLE_MS - 1)));
	assert_false(pb_room_in_time(&room, 1, 100 * (IDLE_MS - 1) + 1));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(memory_grows_with_what_has_come_not_with_what_was_promised),
		TEST(a_small_body_gets_what_it_needs_and_no_more),
		TEST(what_is_announced_as_too_large_is_refused_at_once),
		TEST(one_address_gets_half_of_the_memory),
		TEST(one_body_alone_may_be_more_than_half),
		TEST(silence_ends_after_the_idle_time),
		TEST(bytes_buy_time_at_the_least_rate_and_none_in_advance),
		TEST(a_rate_without_end_counts_single_bytes),
		TEST(without_a_rate_only_silence_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
