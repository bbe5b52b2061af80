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

#include "base/buf.h"
#include "base/zip.h"
#include "recorder/intake/room.h"
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
static struct pb_rooms *rooms;
static struct pb_room room;
static int woken;
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
	woken = 0;
	if (pb_intake_create(&intake, &opts, NULL) < 0)
		return -1;
	return pb_rooms_create(&rooms, intake, &bounds, NULL);
}

static void
on_wake(void *arg)
{
	(void)arg;
	woken++;
}

static void
begin(struct pb_room *r, const struct pb_conf_listen *listen,
    struct pb_share *share, uint64_t now)
{
	rooms->bounds = listen;
	pb_room_init(r, rooms, share, on_wake, NULL, now);
}

static int
teardown(void **state)
{
	(void)state;
	pb_room_finish(&room);
	assert_int_equal(rooms->claims.reserved, 0);
	assert_true(TAILQ_EMPTY(&rooms->claims.having));
	assert_true(TAILQ_EMPTY(&rooms->claims.waiting));
	assert_int_equal(rooms->claims.claimed, 0);
	assert_int_equal(rooms->claims.promised, 0);
	pb_rooms_destroy(rooms);
	pb_intake_destroy(intake);
	return 0;
}

static void
memory_grows_with_what_has_come_not_with_what_was_promised(void **state)
{
	struct pb_err err;
	size_t most = 0;

	(void)state;
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, BODY_MAX, &err), 0);
	assert_int_equal(rooms->claims.reserved, 0);
	for (size_t at = 0; at < BODY_MAX; at += KIB) {
		size_t held;

		memset(bytes + at, (int)(at / KIB), KIB);
		assert_int_equal(pb_room_put(&room, bytes + at, KIB, &err),
		    0);
		held = rooms->claims.reserved;
		assert_true(held <= 16 * KIB || held <= 4 * (at + KIB));
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
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, 700, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, 1, &err), 0);
	assert_int_equal(rooms->claims.reserved, 700);
}

static void
bodies_in_memory_have_a_limit(void **state)
{
	struct pb_err err;

	(void)state;
	rooms->claims.reserved += MEMORY_MAX - 16 * KIB;
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, BODY_MAX, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, 16 * KIB, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, 1, &err), PB_EBUSY);
	assert_non_null(strstr(err.text, "memory_max"));
	rooms->claims.reserved -= MEMORY_MAX - 16 * KIB;
}

static void
what_is_announced_as_too_large_is_refused_at_once(void **state)
{
	struct pb_err err;

	(void)state;
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, BODY_MAX + 1, &err),
	    PB_ELIMIT);
	assert_string_equal(err.text, "614401 bytes; a body here has 614400 "
	    "at most");
}

static void
no_body_has_more_than_it_announced(void **state)
{
	struct pb_err err;

	(void)state;
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, 100, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, 101, &err), PB_ELIMIT);
	assert_int_equal(pb_room_put(&room, bytes, 100, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, 1, &err), PB_ELIMIT);
}

static void
a_body_is_never_moved(void **state)
{
	const uint8_t *at;
	struct pb_err err;

	(void)state;
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, SIZE_MAX, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, KIB, &err), 0);
	at = room.data;
	for (size_t len = KIB; len < BODY_MAX; len += KIB)
		assert_int_equal(pb_room_put(&room, bytes, KIB, &err), 0);
	assert_ptr_equal(room.data, at);
}

static void
what_is_kept_is_no_more_than_bodies_leave(void **state)
{
	struct pb_err err;

	(void)state;
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, BODY_MAX, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, BODY_MAX, &err), 0);
	pb_room_finish(&room);
	assert_int_equal(pb_space_kept(rooms->space), BODY_MAX);
	begin(&room, &bounds, NULL, 0);
	rooms->claims.reserved += MEMORY_MAX - 10 * KIB;
	assert_int_equal(pb_room_open(&room, BODY_MAX, KIB, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, KIB, &err), 0);
	assert_int_equal(pb_space_kept(rooms->space), 0);
	rooms->claims.reserved -= MEMORY_MAX - 10 * KIB;
}

/* As requests do it: false where it waits. */
static bool
arrives(struct pb_room *r, size_t len, uint64_t now)
{
	struct pb_err err;

	if (pb_room_wait(r, len, now))
		return false;
	assert_true(pb_room_in_time(r, len, now));
	assert_int_equal(pb_room_put(r, bytes, len, &err), 0);
	return true;
}

static void
a_body_that_was_begun_can_end(void **state)
{
	struct pb_room other = { 0 };
	struct pb_err err;

	(void)state;
	begin(&room, &bounds, NULL, 0);
	begin(&other, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, 400 * KIB, &err), 0);
	assert_int_equal(pb_room_open(&other, BODY_MAX, 400 * KIB, &err), 0);
	assert_true(arrives(&room, 20 * KIB, 1));
	/* 512 KiB are half: one of them goes on, the other waits. */
	assert_false(arrives(&other, 20 * KIB, 1));
	assert_true(arrives(&room, 380 * KIB, 2));
	pb_room_close(&room);
	pb_room_finish(&room);
	assert_int_equal(pb_claims_tick(&rooms->claims, 3), -1);
	assert_int_equal(woken, 1);
	assert_true(arrives(&other, 400 * KIB, 3));
	pb_room_finish(&other);
}

static void
a_first_step_needs_no_claim_but_memory(void **state)
{
	struct pb_room small[40];
	struct pb_err err;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		begin(&small[i], &bounds, NULL, 0);
		assert_int_equal(pb_room_open(&small[i], BODY_MAX, BODY_MAX,
		    &err), 0);
		assert_true(arrives(&small[i], 1, 1));
	}
	assert_int_equal(rooms->claims.reserved, 40 * 16 * KIB);
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, 10 * KIB, &err), 0);
	rooms->claims.reserved += MEMORY_MAX - 649 * KIB;
	assert_false(arrives(&room, 10 * KIB, 1));
	rooms->claims.reserved -= MEMORY_MAX - 649 * KIB;
	for (unsigned i = 0; i < 40; i++)
		pb_room_finish(&small[i]);
	pb_claims_tick(&rooms->claims, 2);
	assert_true(arrives(&room, 10 * KIB, 3));
}

static void
waiting_for_memory_is_not_the_peers_time(void **state)
{
	struct pb_err err;

	(void)state;
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, 100 * KIB, &err), 0);
	rooms->claims.reserved += MEMORY_MAX;
	assert_true(pb_room_wait(&room, KIB, 5000));
	rooms->claims.reserved -= MEMORY_MAX;
	pb_claims_tick(&rooms->claims, 5000 + IDLE_MS - 1);
	assert_int_equal(woken, 1);
	assert_true(arrives(&room, KIB, 5000 + IDLE_MS - 1));
}

static void
what_one_address_may_not_have_does_not_wait(void **state)
{
	static struct pb_share share;	/* the room's until it ends */
	struct pb_err err;

	(void)state;
	begin(&room, &bounds, &share, 0);
	assert_int_equal(pb_room_open(&room, 300 * KIB, SIZE_MAX, &err), 0);
	share.held = MEMORY_MAX / 2;
	rooms->claims.reserved += MEMORY_MAX;
	assert_false(pb_room_wait(&room, KIB, 1));
	rooms->claims.reserved -= MEMORY_MAX;
	assert_int_equal(pb_room_put(&room, bytes, KIB, &err), PB_EBUSY);
	share.held = 0;
}

static void
what_is_unpacked_takes_what_it_holds(void **state)
{
	struct pb_buf packed;
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < 300 * KIB; i++)
		bytes[i] = (uint8_t)(i / 1000);
	pb_buf_init(&packed, BODY_MAX);
	assert_int_equal(pb_zip_pack(&packed, bytes, 300 * KIB), 0);
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, packed.len, &err), 0);
	assert_int_equal(pb_room_put(&room, packed.data, packed.len, &err),
	    0);
	assert_int_equal(pb_room_unpack(&room, &err), 0);
	assert_int_equal(room.len, 300 * KIB);
	assert_memory_equal(room.data, bytes, 300 * KIB);
	assert_int_equal(rooms->claims.reserved, 300 * KIB);
	pb_room_finish(&room);
	/* A frame that does not say how much it holds: its magic, no flags, a
	 * window, one last block of 5 times the same byte. */
	begin(&room, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, 10, &err), 0);
	assert_int_equal(pb_room_put(&room, "\x28\xb5\x2f\xfd\0\0\x2b\0\0x",
	    10, &err), 0);
	assert_int_equal(pb_room_unpack(&room, &err), 0);
	assert_int_equal(room.len, 5);
	assert_memory_equal(room.data, "xxxxx", 5);
	assert_true(rooms->claims.reserved < KIB);
	pb_buf_finish(&packed);
}

static void
one_address_gets_half_of_the_memory(void **state)
{
	struct pb_room other = { 0 };
	static struct pb_share share;	/* the room's until it ends */
	struct pb_err err;

	(void)state;
	begin(&room, &bounds, &share, 0);
	assert_int_equal(pb_room_open(&room, 300 * KIB, SIZE_MAX, &err), 0);
	assert_int_equal(pb_room_put(&room, bytes, 300 * KIB, &err), 0);
	assert_int_equal(share.held, 300 * KIB);
	/* 512 KiB are half: 212 are left for it. */
	begin(&other, &bounds, &share, 0);
	assert_int_equal(pb_room_open(&other, 300 * KIB, 213 * KIB, &err),
	    PB_EBUSY);
	assert_int_equal(pb_room_open(&other, 300 * KIB, SIZE_MAX, &err), 0);
	assert_int_equal(pb_room_put(&other, bytes, 213 * KIB, &err),
	    PB_EBUSY);
	assert_int_equal(pb_room_put(&other, bytes, 212 * KIB, &err), 0);
	assert_int_equal(share.held, 512 * KIB);
	pb_room_finish(&other);
	assert_int_equal(share.held, 300 * KIB);
	/* Another address has the other half. */
	begin(&other, &bounds, NULL, 0);
	assert_int_equal(pb_room_open(&other, BODY_MAX, 600 * KIB, &err), 0);
	assert_int_equal(pb_room_put(&other, bytes, 600 * KIB, &err), 0);
	pb_room_finish(&other);
	pb_room_finish(&room);
	assert_int_equal(share.held, 0);
}

static void
one_body_alone_may_be_more_than_half(void **state)
{
	static struct pb_share share;	/* the room's until it ends */
	struct pb_err err;

	(void)state;
	begin(&room, &bounds, &share, 0);
	assert_int_equal(pb_room_open(&room, BODY_MAX, SIZE_MAX, &err), 0);
	for (size_t at = 0; at < BODY_MAX; at += 100 * KIB)
		assert_int_equal(pb_room_put(&room, bytes, 100 * KIB, &err),
		    0);
	assert_int_equal(share.held, BODY_MAX);
	pb_room_finish(&room);
	assert_int_equal(share.held, 0);
}

static void
silence_ends_after_the_idle_time(void **state)
{
	(void)state;
	begin(&room, &bounds, NULL, 5);
	assert_int_equal(pb_room_until_ms(&room), 5 + IDLE_MS);
	assert_true(pb_room_in_time(&room, 1, 5 + IDLE_MS - 1));
	begin(&room, &bounds, NULL, 5);
	assert_false(pb_room_in_time(&room, 1 << 20, 5 + IDLE_MS));
}

static void
bytes_buy_time_at_the_least_rate_and_none_in_advance(void **state)
{
	uint64_t now = 0;

	(void)state;
	begin(&room, &bounds, NULL, 0);
	/* A drip lasts as long as silence, and little more. */
	while (pb_room_in_time(&room, 10, now))
		now += 100;
	assert_in_range(now, IDLE_MS, IDLE_MS + IDLE_MS / 5);
	/* At the rate it lasts. */
	begin(&room, &bounds, NULL, 0);
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
	begin(&room, &fast, NULL, 0);
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
	begin(&room, &any, NULL, 0);
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
		TEST(bodies_in_memory_have_a_limit),
		TEST(bodies_in_memory_have_a_limit),
		TEST(what_is_announced_as_too_large_is_refused_at_once),
		TEST(no_body_has_more_than_it_announced),
		TEST(a_body_is_never_moved),
		TEST(what_is_kept_is_no_more_than_bodies_leave),
		TEST(a_body_that_was_begun_can_end),
		TEST(a_first_step_needs_no_claim_but_memory),
		TEST(waiting_for_memory_is_not_the_peers_time),
		TEST(what_one_address_may_not_have_does_not_wait),
		TEST(what_is_unpacked_takes_what_it_holds),
		TEST(one_address_gets_half_of_the_memory),
		TEST(one_body_alone_may_be_more_than_half),
		TEST(silence_ends_after_the_idle_time),
		TEST(bytes_buy_time_at_the_least_rate_and_none_in_advance),
		TEST(a_rate_without_end_counts_single_bytes),
		TEST(without_a_rate_only_silence_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
