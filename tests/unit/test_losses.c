/*
 * tests/unit/test_losses.c - counters of received and lost packets
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "recorder/capture/losses.h"

#define THREADS		4
#define ROUNDS		20000

static void
sample(struct pb_losses *last, struct pb_counts *counts, uint32_t received,
    uint32_t kernel, uint32_t interface)
{
	struct pb_losses now = { .received = received, .kernel = kernel,
	    .interface = interface };

	pb_losses_sample(last, counts, &now);
}

static void
counters_run_on_past_32_bits_and_over_openings(void **state)
{
	struct pb_losses last = { 0 };
	struct pb_counts counts = { 0 };

	(void)state;
	sample(&last, &counts, 10, UINT32_C(0x7fffffff), 0);
	sample(&last, &counts, 20, UINT32_C(0xfffffffe), 0);
	sample(&last, &counts, 30, 1, 0);
	assert_int_equal(pb_counted(&counts.kernel), UINT64_C(0x100000001));
	assert_int_equal(pb_counted(&counts.received), 30);
	/* The next opening begins at 0. */
	last = (struct pb_losses){ 0 };
	sample(&last, &counts, 5, 2, 1);
	assert_int_equal(pb_counted(&counts.received), 35);
	assert_int_equal(pb_counted(&counts.kernel), UINT64_C(0x100000003));
	assert_int_equal(pb_counted(&counts.interface), 1);
	assert_int_equal(pb_counted(&counts.untold), UINT64_C(0x100000004));
}

static void
a_counter_that_goes_back_is_no_loss(void **state)
{
	struct pb_losses last = { 0 };
	struct pb_counts counts = { 0 };

	(void)state;
	sample(&last, &counts, 10, 0, 500);
	sample(&last, &counts, 10, 0, 0);
	assert_int_equal(pb_counted(&counts.interface), 500);
	assert_int_equal(pb_counted(&counts.untold), 500);
	sample(&last, &counts, 10, 0, 3);
	assert_int_equal(pb_counted(&counts.interface), 503);
}

static void
what_was_received_is_no_loss(void **state)
{
	struct pb_losses last = { 0 };
	struct pb_counts counts = { 0 };

	(void)state;
	sample(&last, &counts, 1000, 0, 0);
	assert_int_equal(pb_counted(&counts.received), 1000);
	assert_int_equal(pb_losses_tell(&counts), 0);
}

static void
a_loss_is_told_once(void **state)
{
	struct pb_losses last = { 0 };
	struct pb_counts counts = { 0 };

	(void)state;
	assert_int_equal(pb_losses_tell(&counts), 0);
	pb_losses_store(&counts, 3);
	sample(&last, &counts, 9, 4, 5);
	assert_int_equal(pb_losses_tell(&counts), 12);
	assert_int_equal(pb_losses_tell(&counts), 0);
	assert_int_equal(pb_counted(&counts.store), 3);
	assert_int_equal(pb_counted(&counts.kernel), 4);
	assert_int_equal(pb_counted(&counts.interface), 5);
}

/* Each thread of an interface has counters of its own and one sum. */
static void
sockets_of_one_interface_add_up(void **state)
{
	struct pb_losses last[2] = { { 0 } };
	struct pb_counts counts = { 0 };

	(void)state;
	sample(&last[0], &counts, 10, 1, 0);
	sample(&last[1], &counts, 20, 2, 0);
	sample(&last[0], &counts, 11, 1, 0);
	sample(&last[1], &counts, 22, 6, 0);
	assert_int_equal(pb_counted(&counts.received), 33);
	assert_int_equal(pb_counted(&counts.kernel), 7);
	assert_int_equal(pb_losses_tell(&counts), 7);
}

struct teller {
	struct pb_counts *counts;
	uint64_t	 told;
};

static void *
lose_and_tell(void *arg)
{
	struct teller *teller = arg;

	for (int i = 0; i < ROUNDS; i++) {
		pb_losses_store(teller->counts, 1 + (uint64_t)i % 3);
		if (i % 2 == 0)
			teller->told += pb_losses_tell(teller->counts);
	}
	return NULL;
}

static void
threads_that_lose_and_tell_at_once_tell_each_loss_once(void **state)
{
	struct teller teller[THREADS];
	struct pb_counts counts = { 0 };
	pthread_t thread[THREADS];
	uint64_t told = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		teller[i] = (struct teller){ .counts = &counts };
		assert_int_equal(pthread_create(&thread[i], NULL,
		    lose_and_tell, &teller[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		told += teller[i].told;
	}
	told += pb_losses_tell(&counts);
	assert_int_equal(told, pb_counted(&counts.store));
	assert_true(told >= (uint64_t)THREADS * ROUNDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    counters_run_on_past_32_bits_and_over_openings),
		cmocka_unit_test(a_counter_that_goes_back_is_no_loss),
		cmocka_unit_test(what_was_received_is_no_loss),
		cmocka_unit_test(a_loss_is_told_once),
		cmocka_unit_test(sockets_of_one_interface_add_up),
		cmocka_unit_test(
		    threads_that_lose_and_tell_at_once_tell_each_loss_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
