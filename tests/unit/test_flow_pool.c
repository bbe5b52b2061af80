/*
 * tests/unit/test_flow_pool.c - tables of flows in several sizes, for reuse
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "pcapng/block.h"
#include "recorder/flow/pool.h"

#define THREADS		4
#define ROUNDS		3000
#define KEPT		((size_t)16 << 20)
#define ALL		((size_t)64 << 20)

static struct pb_flow_pool *
create(size_t bytes_max)
{
	struct pb_flow_pool *pool;
	struct pb_err err;

	assert_int_equal(pb_flow_pool_create(&pool,
	    &(struct pb_flow_pool_opts){ .bytes_max = bytes_max,
	    .kept_max = KEPT, .flows_max = PB_FLOW_CHUNK_FLOWS_MAX,
	    .packets_max = 20000 }, &err), 0);
	return pool;
}

/* `packets` of as many flows as `flows`, in a table that grows as it must. */
static struct pb_flows *
fill(struct pb_flow_pool *pool, struct pb_flows *table, uint32_t flows,
    uint32_t packets)
{
	uint8_t p[60 + PB_FLOW_BEHIND] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08"
	    "\0\x45\0\0\x28\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2";

	for (uint32_t i = 0; i < packets; i++) {
		uint32_t flow = i % flows;

		memcpy(p + 26, &flow, 4);
		if (table->grows && pb_flows_full(table))
			pb_flow_pool_grow(pool, table);
		if (!pb_flows_packet(table, 100 * i, PB_LINKTYPE_ETHERNET, p,
		    60, 60, i))
			break;
	}
	return table;
}

static void
a_table_begins_small_and_grows_with_what_is_in_it(void **state)
{
	static const uint32_t many[] = { 1, 20, 200, 1500, 3000 };
	struct pb_flow_pool *pool = create(ALL);
	size_t bytes = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct pb_flows *table = pb_flow_pool_take(pool, 0);
		uint64_t packets = 0;

		assert_true(table->bytes < 20000 || i > 0);
		table = fill(pool, table, many[i], 20000);
		assert_int_equal(table->packets, 20000);
		assert_int_equal(table->flows, many[i] < 2047 ?
		    many[i] + 1 : 2048);
		assert_int_equal(table->flow[PB_FLOW_REST].packets > 0,
		    many[i] > 2047);
		for (uint32_t f = 0; f < table->flows; f++)
			packets += table->flow[f].packets;
		assert_int_equal(packets, 20000);
		assert_true(table->bytes >= bytes);
		bytes = table->bytes;
		pb_flow_pool_give(pool, table);
	}
	assert_int_equal(pb_flow_pool_used(pool), 0);
	pb_flow_pool_destroy(pool);
}

static void
a_table_that_grows_into_large_pages_keeps_what_it_has(void **state)
{
	const uint32_t flows = 40000;
	struct pb_flow_pool *pool;
	struct pb_flows *table;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_flow_pool_create(&pool,
	    &(struct pb_flow_pool_opts){ .bytes_max = ALL, .kept_max = KEPT,
	    .flows_max = PB_FLOWS_MAX, .packets_max = 2 * flows }, &err), 0);
	table = fill(pool, pb_flow_pool_take(pool, 0), flows, 2 * flows);
	assert_int_equal(table->packets, 2 * flows);
	assert_int_equal(table->flows, flows + 1);
	for (uint32_t i = 0; i < flows; i++) {
		assert_int_equal(table->of[i], i + 1);
		assert_int_equal(table->of[i + flows], i + 1);
		assert_int_equal(table->flow[i + 1].packets, 2);
		assert_int_equal(table->flow[i + 1].last_time, i + flows);
	}
	pb_flow_pool_give(pool, table);
	assert_int_equal(pb_flow_pool_used(pool), 0);
	pb_flow_pool_destroy(pool);
}

static void
what_comes_back_is_empty_and_serves_again(void **state)
{
	struct pb_flow_pool *pool = create(ALL);
	struct pb_flows *table = fill(pool, pb_flow_pool_take(pool, 0), 1000,
	    2000);
	unsigned of = pb_flow_pool_size(table);
	size_t bytes;

	(void)state;
	pb_flow_pool_give(pool, table);
	bytes = pb_flow_pool_bytes(pool);
	for (unsigned i = 0; i < 10; i++) {
		table = pb_flow_pool_take(pool, of);
		assert_int_equal(table->packets, 0);
		assert_int_equal(table->flows, 1);
		assert_int_equal(table->flow[PB_FLOW_REST].packets, 0);
		table = fill(pool, table, 1000, 2000);
		assert_int_equal(table->flows, 1001);
		pb_flow_pool_give(pool, table);
		assert_int_equal(pb_flow_pool_bytes(pool), bytes);
	}
	pb_flow_pool_destroy(pool);
}

static void
all_tables_of_a_pool_stay_within_its_bound(void **state)
{
	struct pb_flow_pool *pool = create((size_t)4 << 20);
	struct pb_flows *table[4096];
	unsigned count = 0, stuck = 0;

	(void)state;
	while ((table[count] = pb_flow_pool_take(pool, 0)) != NULL) {
		table[count] = fill(pool, table[count], 400, 500);
		assert_int_equal(table[count]->packets, 500);
		assert_true(pb_flow_pool_bytes(pool) <= (size_t)4 << 20);
		stuck += table[count]->flows != 401;
		assert_true(++count < 4096);
	}
	/* Those of the last ones whose table could not grow. */
	assert_true(count > 10 && stuck > 0 && stuck < count);
	while (count > 0)
		pb_flow_pool_give(pool, table[--count]);
	assert_int_equal(pb_flow_pool_used(pool), 0);
	pb_flow_pool_destroy(pool);
}

static void
what_waits_for_its_next_use_has_a_bound_and_makes_room_for_other_sizes(
    void **state)
{
	struct pb_flow_pool *pool = create((size_t)20 << 20);
	struct pb_flows *table[4096];
	unsigned count = 0;
	size_t large;

	(void)state;
	while (count < 24)
		table[count++] = fill(pool, pb_flow_pool_take(pool, 0), 1000,
		    1000);
	large = table[0]->bytes;
	while (count > 0)
		pb_flow_pool_give(pool, table[--count]);
	assert_true(pb_flow_pool_bytes(pool) <= KEPT);
	assert_true(pb_flow_pool_bytes(pool) > KEPT -
	    large);
	while ((table[count] = pb_flow_pool_take(pool, 0)) != NULL)
		assert_true(++count < 4096);
	assert_true(pb_flow_pool_used(pool) > ((size_t)20 << 20) - 20000);
	while (count > 0)
		pb_flow_pool_give(pool, table[--count]);
	pb_flow_pool_destroy(pool);
}

static void
a_pool_that_is_off_gives_none_and_keeps_none(void **state)
{
	struct pb_flow_pool *pool = create(ALL);
	struct pb_flows *table = pb_flow_pool_take(pool, 0);

	(void)state;
	pb_flow_pool_give(pool, pb_flow_pool_take(pool, 0));
	pb_flow_pool_on(pool, false);
	assert_null(pb_flow_pool_take(pool, 0));
	assert_int_equal(pb_flow_pool_bytes(pool), table->bytes);
	/* What is in use stays as large as it is. */
	table = fill(pool, table, 100, 600);
	assert_int_equal(table->packets, 600);
	assert_int_equal(table->flows, 32);
	pb_flow_pool_give(pool, table);
	pb_flow_pool_on(pool, true);
	table = pb_flow_pool_take(pool, 0);
	assert_non_null(table);
	pb_flow_pool_give(pool, table);
	pb_flow_pool_give(pool, NULL);
	pb_flow_pool_destroy(pool);
}

static void
a_pool_lasts_until_its_last_table_is_back(void **state)
{
	struct pb_flow_pool *pool = create(ALL);
	struct pb_flows *table = pb_flow_pool_take(pool, 0);

	(void)state;
	pb_flow_pool_destroy(NULL);
	pb_flow_pool_destroy(pool);
	table = fill(pool, table, 100, 600);
	assert_false(table->grows);
	pb_flow_pool_give(pool, table);	/* a leak checker tells */
}

/* Of a size that has `flows`, and back. */
static void
pass(struct pb_flow_pool *pool, uint32_t flows, unsigned tables)
{
	struct pb_flows *table[80];

	for (unsigned i = 0; i < tables; i++)
		table[i] = fill(pool, pb_flow_pool_take(pool, 0), flows,
		    flows);
	for (unsigned i = 0; i < tables; i++)
		pb_flow_pool_give(pool, table[i]);
}

static void
what_is_needed_now_is_kept_and_what_was_needed_before_goes(void **state)
{
	struct pb_flow_pool *pool = create(ALL);
	struct pb_flows *table[8];
	size_t bytes;
	unsigned of;

	(void)state;
	/* More of the middle size than are kept, and then large ones. */
	pass(pool, 500, 80);
	pass(pool, 2000, 8);
	bytes = pb_flow_pool_bytes(pool);
	assert_true(bytes <= KEPT);
	for (unsigned i = 0; i < 8; i++) {
		table[i] = pb_flow_pool_take(pool, 3);
		of = table[i]->of_size;
		assert_int_equal(of, 3);
	}
	assert_int_equal(pb_flow_pool_bytes(pool), bytes);
	for (unsigned i = 0; i < 8; i++)
		pb_flow_pool_give(pool, table[i]);
	pb_flow_pool_destroy(pool);
}

static void *
take_fill_give(void *arg)
{
	struct pb_flow_pool *pool = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct pb_flows *table = pb_flow_pool_take(pool, 0);

		if (table == NULL)
			return arg;
		pb_flow_pool_give(pool, fill(pool, table, 1 + i % 40, 50));
	}
	return NULL;
}

static void
threads_share_a_pool(void **state)
{
	struct pb_flow_pool *pool = create(ALL);
	pthread_t thread[THREADS];
	void *failed;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
		    take_fill_give, pool), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(pb_flow_pool_used(pool), 0);
	pb_flow_pool_destroy(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_table_begins_small_and_grows_with_what_is_in_it),
		cmocka_unit_test(
		    a_table_that_grows_into_large_pages_keeps_what_it_has),
		cmocka_unit_test(what_comes_back_is_empty_and_serves_again),
		cmocka_unit_test(all_tables_of_a_pool_stay_within_its_bound),
		cmocka_unit_test(
		    what_waits_for_its_next_use_has_a_bound_and_makes_room_for_other_sizes),
		cmocka_unit_test(
		    a_pool_that_is_off_gives_none_and_keeps_none),
		cmocka_unit_test(a_pool_lasts_until_its_last_table_is_back),
		cmocka_unit_test(
		    what_is_needed_now_is_kept_and_what_was_needed_before_goes),
		cmocka_unit_test(threads_share_a_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
