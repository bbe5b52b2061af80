/*
 * tests/unit/test_pool.c - a source's chunks, shared by its threads
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "recorder/capture/pool.h"

#define CHUNKS		5
#define THREADS		4
#define ROUNDS		5000

static void
a_pool_gives_what_it_has_and_no_more(void **state)
{
	struct pb_chunk *chunk[CHUNKS];
	struct pb_pool *pool;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_pool_create(&pool, CHUNKS, NULL, &err), 0);
	for (int i = 0; i < CHUNKS; i++) {
		chunk[i] = pb_pool_take(pool);
		assert_non_null(chunk[i]);
		assert_int_equal(chunk[i]->cap, PB_CHUNK_BYTES);
		assert_int_equal(chunk[i]->len, 0);
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(chunk[i], chunk[j]);
	}
	assert_null(pb_pool_take(pool));
	pb_pool_give(pool, chunk[3]);
	assert_ptr_equal(pb_pool_take(pool), chunk[3]);
	assert_null(pb_pool_take(pool));
	for (int i = 0; i < CHUNKS; i++)
		pb_pool_give(pool, chunk[i]);
	pb_pool_close(pool);
}

static void
a_chunk_comes_back_empty(void **state)
{
	struct pb_chunk *chunk;
	struct pb_pool *pool;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_pool_create(&pool, 1, NULL, &err), 0);
	chunk = pb_pool_take(pool);
	chunk->len = 12;
	chunk->tally.packets = 3;
	chunk->drops = 2;
	chunk->due_ms = 7;
	chunk->done(chunk, 0, NULL);
	assert_ptr_equal(pb_pool_take(pool), chunk);
	assert_int_equal(chunk->len + chunk->tally.packets + chunk->drops +
	    chunk->due_ms, 0);
	assert_null(chunk->next);
	pb_pool_give(pool, chunk);
	pb_pool_close(pool);
}

static void
a_pool_that_is_closed_lasts_until_its_last_chunk_is_back(void **state)
{
	struct pb_chunk *chunk[2];
	struct pb_pool *pool;
	struct pb_err err;

	(void)state;
	pb_pool_close(NULL);
	assert_int_equal(pb_pool_create(&pool, CHUNKS, NULL, &err), 0);
	for (int i = 0; i < 2; i++)
		chunk[i] = pb_pool_take(pool);
	pb_pool_close(pool);
	for (int i = 0; i < 2; i++) {
		chunk[i]->data[PB_CHUNK_BYTES - 1] = 1;
		chunk[i]->done(chunk[i], 0, NULL);
	}	/* a leak checker tells */
}

/* Takes and gives; what it has nobody else has.  Counts what it got. */
static void *
take_and_give(void *arg)
{
	struct pb_pool *pool = arg;
	uintptr_t got = 0;
	uint64_t me = (uint64_t)(uintptr_t)&got;

	for (int i = 0; i < ROUNDS; i++) {
		struct pb_chunk *a = pb_pool_take(pool);
		struct pb_chunk *b = pb_pool_take(pool);

		if (a != NULL)
			a->first_seq = me;
		if (b != NULL)
			b->first_seq = me + 1;
		if ((a != NULL && (a->first_seq != me || a == b)) ||
		    (b != NULL && b->first_seq != me + 1))
			return NULL;
		got += (a != NULL ? 1u : 0u) + (b != NULL ? 1u : 0u);
		if (a != NULL)
			a->done(a, 0, NULL);
		if (b != NULL)
			pb_pool_give(pool, b);
	}
	return (void *)got;
}

static void
threads_share_a_pool_and_none_has_what_another_has(void **state)
{
	struct pb_chunk *chunk[CHUNKS];
	pthread_t thread[THREADS];
	struct pb_pool *pool;
	struct pb_err err;
	void *got;

	(void)state;
	assert_int_equal(pb_pool_create(&pool, CHUNKS, NULL, &err), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
		    take_and_give, pool), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &got);
		assert_non_null(got);
	}
	/* All are there again. */
	for (int i = 0; i < CHUNKS; i++)
		assert_non_null(chunk[i] = pb_pool_take(pool));
	assert_null(pb_pool_take(pool));
	for (int i = 0; i < CHUNKS; i++)
		pb_pool_give(pool, chunk[i]);
	pb_pool_close(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_gives_what_it_has_and_no_more),
		cmocka_unit_test(a_chunk_comes_back_empty),
		cmocka_unit_test(
		    a_pool_that_is_closed_lasts_until_its_last_chunk_is_back),
		cmocka_unit_test(
		    threads_share_a_pool_and_none_has_what_another_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
