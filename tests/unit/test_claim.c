/*
 * tests/unit/test_claim.c - whose body may grow
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/intake/claim.h"
#include "recorder/intake/intake.h"
#include "tests/unit/fake_store.h"

#define MIB		((size_t)1 << 20)
#define MEMORY_MAX	(64 * MIB)	/* claims: 32, of one address 16 */
#define WAIT_MS		30000u
#define CLAIM_MS	200u
#define TURN_MS		500u
#define BODIES		40

struct body {
	struct pb_claim	claim;
	int		woken;
};

static struct pb_intake *intake;
static struct pb_claims claims;
static struct body body[BODIES];
static struct pb_share share[BODIES];

static void
on_settled(void *arg, struct pb_load *load)
{
	(void)arg;
	(void)load;
}

static void
on_writer(void *arg)
{
	(void)arg;
}

static void
on_wake(void *arg)
{
	((struct body *)arg)->woken++;
}

static int
setup(void **state)
{
	struct pb_intake_opts opts = { .store = &fake, .memory_max =
	    MEMORY_MAX, .hold_ms = 1000, .settled = on_settled,
	    .wake = on_writer };

	(void)state;
	fake_reset();
	memset(body, 0, sizeof(body));
	memset(share, 0, sizeof(share));
	for (int i = 0; i < BODIES; i++) {
		body[i].claim.share = &share[i];
		body[i].claim.wake = on_wake;
		body[i].claim.arg = &body[i];
	}
	if (pb_intake_create(&intake, &opts, NULL) < 0)
		return -1;
	pb_claims_init(&claims, intake, MEMORY_MAX, WAIT_MS);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < BODIES; i++)
		pb_claim_end(&claims, &body[i].claim);
	assert_int_equal(claims.promised, 0);
	assert_int_equal(claims.claimed, 0);
	assert_int_equal(claims.waits, 0);
	for (int i = 0; i < BODIES; i++)
		assert_int_equal(share[i].claimed, 0);
	pb_intake_destroy(intake);
	return 0;
}

static bool
get(int i, size_t mib, uint64_t now)
{
	return pb_claim_get(&claims, &body[i].claim, mib * MIB, now);
}

static void
end(int i)
{
	pb_claim_end(&claims, &body[i].claim);
}

static void
claims_are_for_half_of_the_memory(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		assert_true(get(i, 4, 1));
	assert_false(get(8, 4, 1));
	assert_int_equal(pb_claims_free(&claims), MEMORY_MAX / 2);
	/* What becomes memory is counted once. */
	claims.reserved += 3 * MIB;
	pb_claim_grow(&claims, &body[0].claim, 3 * MIB);
	assert_int_equal(pb_claims_free(&claims), MEMORY_MAX / 2);
	assert_int_equal(claims.claimed, MEMORY_MAX / 2);
	claims.reserved -= 3 * MIB;
	end(0);
	assert_true(pb_claims_tick(&claims, 2) < 0);
	assert_int_equal(body[8].woken, 1);
	assert_int_equal(body[8].claim.state, PB_CLAIM_HAS);
}

static void
no_claim_is_given_for_memory_that_is_not_there(void **state)
{
	(void)state;
	claims.reserved += MEMORY_MAX - 5 * MIB;
	assert_true(get(0, 4, 1));
	assert_false(get(1, 2, 1));
	claims.reserved -= MEMORY_MAX - 5 * MIB;
	pb_claims_tick(&claims, 2);
	assert_int_equal(body[1].woken, 1);
}

static void
one_body_alone_has_one_however_large(void **state)
{
	(void)state;
	assert_true(get(0, 64, 1));
	assert_false(get(1, 1, 1));
}

static void
one_address_leaves_half_of_the_claims_to_others(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		body[i].claim.share = &share[0];
	for (int i = 0; i < 4; i++)
		assert_true(get(i, 4, 1));
	for (int i = 4; i < 20; i++)
		assert_false(get(i, 4, 1));
	/* They stand before it in the line, and do not hold it up. */
	assert_true(get(20, 4, 1));
	end(0);
	pb_claims_tick(&claims, 2);
	assert_int_equal(body[4].woken, 1);
	assert_int_equal(body[5].woken, 0);
}

static void
first_come_first_served(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		assert_true(get(i, 4, 1));
	assert_false(get(8, 8, 2));
	assert_false(get(9, 4, 3));
	end(0);
	/* Neither who stands behind nor who comes now goes first. */
	pb_claims_tick(&claims, 4);
	assert_false(get(10, 1, 5));
	assert_int_equal(body[9].woken, 0);
	end(1);
	pb_claims_tick(&claims, 6);
	assert_int_equal(body[8].woken, 1);
	assert_int_equal(body[9].woken, 0);
	end(2);
	pb_claims_tick(&claims, 7);
	assert_int_equal(body[9].woken, 1);
	assert_int_equal(body[10].woken, 0);
}

static void
who_wants_more_than_there_is_holds_up_others_for_a_turn(void **state)
{
	(void)state;
	claims.reserved += MEMORY_MAX - 10 * MIB;
	assert_false(get(0, 16, 1));
	assert_false(get(1, 1, 2));
	pb_claims_tick(&claims, TURN_MS);
	assert_int_equal(body[1].woken, 0);
	pb_claims_tick(&claims, 1 + TURN_MS);
	assert_int_equal(body[1].woken, 1);
	assert_int_equal(body[0].woken, 0);
	claims.reserved -= MEMORY_MAX - 10 * MIB;
	pb_claims_tick(&claims, 2 + TURN_MS);
	assert_int_equal(body[0].woken, 1);
}

static void
a_claim_is_for_who_sends(void **state)
{
	(void)state;
	assert_true(get(0, 32, 0));
	assert_false(get(1, 1, 1));
	/* 100 KB each 100 ms are 1 MB/s. */
	for (uint64_t now = 100; now <= 1000; now += 100) {
		pb_claim_feed(&body[0].claim, 100000, now);
		assert_true(pb_claims_tick(&claims, now) > 0);
	}
	assert_int_equal(body[1].woken, 0);
	/* Much at once buys no more than the beginning did. */
	pb_claim_feed(&body[0].claim, 10000000, 1000);
	pb_claims_tick(&claims, 1000 + CLAIM_MS - 1);
	assert_int_equal(body[1].woken, 0);
	pb_claims_tick(&claims, 1000 + CLAIM_MS);
	assert_int_equal(body[1].woken, 1);
	assert_int_equal(body[0].claim.state, PB_CLAIM_NONE);
	/* It may ask again, and is the one that waits now. */
	assert_int_equal(claims.claimed, MIB);
	assert_false(get(0, 32, 1001 + CLAIM_MS));
}

static void
drips_do_not_keep_a_claim(void **state)
{
	uint64_t now;

	(void)state;
	assert_true(get(0, 32, 0));
	assert_false(get(1, 1, 1));
	for (now = 1; body[1].woken == 0; now++) {
		pb_claim_feed(&body[0].claim, 10, now);
		pb_claims_tick(&claims, now);
		assert_true(now < 2 * CLAIM_MS);
	}
	assert_true(now >= CLAIM_MS);
}

static void
who_comes_finds_expired_claims_gone(void **state)
{
	(void)state;
	assert_true(get(0, 32, 0));
	assert_true(get(1, 32, CLAIM_MS));
}

static void
nobody_waits_longer_than_the_limit(void **state)
{
	(void)state;
	claims.reserved += MEMORY_MAX;
	assert_false(get(0, 1, 5));
	pb_claims_tick(&claims, 5 + WAIT_MS - 1);
	assert_int_equal(body[0].woken, 0);
	assert_int_equal(pb_claims_tick(&claims, 5 + WAIT_MS), -1);
	assert_int_equal(body[0].woken, 1);
	assert_int_equal(body[0].claim.state, PB_CLAIM_GAVE_UP);
	/* Nor a second time. */
	assert_true(get(0, 1, 6 + WAIT_MS));
	assert_int_equal(claims.claimed, 0);
	claims.reserved -= MEMORY_MAX;
}

static void
who_goes_leaves_the_line(void **state)
{
	(void)state;
	assert_true(get(0, 32, 0));
	assert_false(get(1, 32, 1));
	assert_false(get(2, 4, 1));
	end(1);
	end(0);
	assert_int_equal(pb_claims_tick(&claims, 2), -1);
	assert_int_equal(body[1].woken, 0);
	assert_int_equal(body[2].woken, 1);
}

static void
stopping_sends_all_on(void **state)
{
	(void)state;
	assert_true(get(0, 32, 0));
	assert_false(get(1, 32, 1));
	assert_false(get(2, 32, 1));
	pb_claims_stop(&claims);
	assert_int_equal(body[1].woken, 1);
	assert_int_equal(body[2].woken, 1);
	assert_true(get(3, 32, 2));
	assert_int_equal(body[3].claim.state, PB_CLAIM_GAVE_UP);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(claims_are_for_half_of_the_memory),
		TEST(no_claim_is_given_for_memory_that_is_not_there),
		TEST(one_body_alone_has_one_however_large),
		TEST(one_address_leaves_half_of_the_claims_to_others),
		TEST(first_come_first_served),
		TEST(who_wants_more_than_there_is_holds_up_others_for_a_turn),
		TEST(a_claim_is_for_who_sends),
		TEST(drips_do_not_keep_a_claim),
		TEST(who_comes_finds_expired_claims_gone),
		TEST(nobody_waits_longer_than_the_limit),
		TEST(who_goes_leaves_the_line),
		TEST(stopping_sends_all_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
