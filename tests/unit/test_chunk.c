/*
 * tests/unit/test_chunk.c - chunks of several sizes, and the memory of all
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#include "recorder/store/write/segment.h"
#include "recorder/store/write/store.h"

#define KIB	((size_t)1024)
#define SPARE	(4 * PB_PAGE_BYTES)	/* for the writer's filler */
#define KEPT	(2 * PB_SLAB_BYTES)
#define CHUNKS	100

static struct pb_chunk_pool *pool;
static struct pb_chunk *chunk[CHUNKS];

static int
setup(void **state)
{
	(void)state;
	memset(chunk, 0, sizeof(chunk));
	return pb_chunk_pool_create(&pool, KEPT, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < CHUNKS; i++)
		pb_chunk_destroy(chunk[i]);
	assert_int_equal(pb_chunk_pool_used(pool), 0);
	pb_chunk_pool_destroy(pool);
	return 0;
}

static void
take(int i, size_t bytes)
{
	chunk[i] = pb_chunk_take(pool, bytes);
	assert_non_null(chunk[i]);
}

static void
give(int i)
{
	pb_chunk_destroy(chunk[i]);
	chunk[i] = NULL;
}

static void
a_chunk_has_room_for_what_was_asked_and_little_more(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes < 2 * PB_CHUNK_BYTES; bytes += 997) {
		size_t want = bytes < PB_CHUNK_BYTES ? bytes : PB_CHUNK_BYTES;

		take(0, bytes);
		assert_true(chunk[0]->cap >= want);
		assert_true(chunk[0]->cap <= PB_CHUNK_BYTES);
		assert_true(chunk[0]->cap <= 5 * want || want < 16 * KIB);
		assert_int_equal(chunk[0]->len, 0);
		give(0);
	}
}

static void
every_size_lies_on_pages_with_room_for_a_filler(void **state)
{
	static const size_t bytes[] = { 1, 20 * KIB, 100 * KIB,
	    PB_CHUNK_BYTES };

	(void)state;
	for (int i = 0; i < CHUNKS; i++) {
		take(i, bytes[i % 4]);
		assert_int_equal((uintptr_t)chunk[i]->data % PB_PAGE_BYTES,
		    0);
		memset(chunk[i]->data, i, chunk[i]->cap + SPARE);
	}
	/* Some come back, and others are taken in their place. */
	for (int i = 0; i < CHUNKS; i += 3)
		give(i);
	for (int i = 0; i < CHUNKS; i += 3) {
		take(i, bytes[(i + 1) % 4]);
		memset(chunk[i]->data, i, chunk[i]->cap + SPARE);
	}
	for (int i = 0; i < CHUNKS; i++)
		for (size_t at = 0; at < chunk[i]->cap + SPARE; at += 512)
			assert_int_equal(chunk[i]->data[at], i);
}

static void
small_chunks_share_a_slab(void **state)
{
	(void)state;
	for (int i = 0; i < 64; i++)
		take(i, 1);
	assert_int_equal(pb_chunk_pool_used(pool), PB_SLAB_BYTES);
	assert_int_equal(pb_chunk_pool_more(pool, 1), PB_SLAB_BYTES);
	take(64, 1);
	assert_int_equal(pb_chunk_pool_used(pool), 2 * PB_SLAB_BYTES);
	assert_int_equal(pb_chunk_pool_more(pool, 1), 0);
}

static void
bodies_of_64_kb_take_a_twentieth_of_a_slab(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		take(i, 80 * KIB);
	assert_int_equal(pb_chunk_pool_used(pool), PB_SLAB_BYTES);
}

static void
an_empty_slab_serves_any_size(void **state)
{
	(void)state;
	for (int i = 0; i < 64; i++)
		take(i, 1);
	for (int i = 0; i < 64; i++)
		give(i);
	assert_int_equal(pb_chunk_pool_used(pool), 0);
	take(0, PB_CHUNK_BYTES);
	take(1, PB_CHUNK_BYTES);
	assert_int_equal(pb_chunk_pool_used(pool), PB_SLAB_BYTES);
}

static void
what_is_kept_of_slabs_has_a_bound(void **state)
{
	const uint8_t *at[20];
	unsigned char in;
	unsigned mapped = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		take(i, PB_CHUNK_BYTES);
		at[i] = chunk[i]->data;
	}
	for (int i = 0; i < 20; i++)
		give(i);
	for (int i = 0; i < 20; i++)
		mapped += mincore((void *)(uintptr_t)at[i], PB_PAGE_BYTES,
		    &in) == 0;
	assert_int_equal(mapped, 2 * KEPT / PB_SLAB_BYTES);
}

/* It never is less: what is in a pool stays below what it was told. */
static void
what_more_would_be_is_told_before(void **state)
{
	static const size_t bytes[] = { 1, 70 * KIB, 80 * KIB, 81 * KIB,
	    300 * KIB, PB_CHUNK_BYTES };

	(void)state;
	for (int i = 0; i < CHUNKS; i++) {
		size_t ask = bytes[(i * 7) % 6];
		size_t used = pb_chunk_pool_used(pool);
		size_t more = pb_chunk_pool_more(pool, ask);

		take(i, ask);
		assert_true(pb_chunk_pool_used(pool) <= used + more);
	}
	/* Many that are just more than half full. */
	assert_true(pb_chunk_pool_more(pool, 64u << 20) >= 64 *
	    PB_SLAB_BYTES);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_chunk_has_room_for_what_was_asked_and_little_more),
		TEST(every_size_lies_on_pages_with_room_for_a_filler),
		TEST(small_chunks_share_a_slab),
		TEST(bodies_of_64_kb_take_a_twentieth_of_a_slab),
		TEST(an_empty_slab_serves_any_size),
		TEST(what_is_kept_of_slabs_has_a_bound),
		TEST(what_more_would_be_is_told_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
