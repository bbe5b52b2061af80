/*
 * tests/unit/test_recent.c - what came a short while ago, by its hash
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "recorder/query/seen/recent.h"

/* Who went, in which order. */
struct told {
	uint64_t	 number[4096];
	size_t		 count, full;
};

static void
told_gone(void *arg, void *data, bool full)
{
	struct told *told = arg;

	told->number[told->count++] = *(const uint64_t *)data;
	told->full += full;
}

static uint64_t *
add(struct pb_recent *recent, uint64_t hash, uint64_t place, uint64_t number)
{
	uint64_t *data = pb_recent_add(recent, hash, place);

	assert_non_null(data);
	assert_int_equal(*data, 0);
	*data = number;
	return data;
}

static void
those_of_a_hash_are_found_the_oldest_first(void **state)
{
	struct told told = { .count = 0 };
	struct pb_recent *recent = pb_recent_create(sizeof(uint64_t), 4000,
	    told_gone, &told);
	uint64_t *data;

	(void)state;
	/* Hashes that share buckets, and more than the table begins with. */
	for (uint64_t i = 0; i < 3000; i++)
		add(recent, i % 30 << 32, i, i);
	for (uint64_t hash = 0; hash < 30; hash++) {
		data = pb_recent_first(recent, hash << 32);
		for (uint64_t i = hash; i < 3000; i += 30) {
			assert_non_null(data);
			assert_int_equal(*data, i);
			data = pb_recent_next(recent, data);
		}
		assert_null(data);
	}
	assert_null(pb_recent_first(recent, 30ull << 32));
	assert_int_equal(told.count, 0);
	pb_recent_destroy(recent);
}

static void
what_is_older_goes_and_is_told_in_its_order(void **state)
{
	struct told told = { .count = 0 };
	struct pb_recent *recent = pb_recent_create(sizeof(uint64_t), 100,
	    told_gone, &told);

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		add(recent, 7, 100 + i, i);
	pb_recent_until(recent, 100);
	assert_int_equal(told.count, 0);
	pb_recent_until(recent, 103);
	assert_int_equal(told.count, 3);
	assert_int_equal(*(uint64_t *)pb_recent_first(recent, 7), 3);
	pb_recent_until(recent, UINT64_MAX);
	assert_int_equal(told.count, 10);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(told.number[i], i);
	assert_int_equal(told.full, 0);
	assert_int_equal(pb_recent_count(recent), 0);
	pb_recent_destroy(recent);
}

static void
a_full_table_loses_its_oldest_and_says_so(void **state)
{
	struct told told = { .count = 0 };
	struct pb_recent *recent = pb_recent_create(sizeof(uint64_t), 5,
	    told_gone, &told);

	(void)state;
	for (uint64_t i = 0; i < 8; i++)
		add(recent, i, i, i);
	assert_int_equal(pb_recent_count(recent), 5);
	assert_int_equal(told.count, 3);
	assert_int_equal(told.full, 3);
	assert_int_equal(told.number[2], 2);
	assert_null(pb_recent_first(recent, 2));
	assert_int_equal(*(uint64_t *)pb_recent_first(recent, 3), 3);
	pb_recent_destroy(recent);
}

static void
a_name_is_of_that_item_alone(void **state)
{
	struct told told = { .count = 0 };
	struct pb_recent *recent = pb_recent_create(sizeof(uint64_t), 100,
	    told_gone, &told);
	uint64_t *data = add(recent, 1, 1, 11);
	struct pb_recent_name name = pb_recent_name(recent, data);
	struct pb_recent_name none = { 0 };

	(void)state;
	assert_null(pb_recent_named(recent, none));
	for (uint64_t i = 0; i < 90; i++)
		add(recent, 1, 2, i);
	assert_int_equal(*(uint64_t *)pb_recent_named(recent, name), 11);
	pb_recent_remove(recent, pb_recent_named(recent, name));
	assert_null(pb_recent_named(recent, name));
	/* Its slot has another one now. */
	add(recent, 1, 3, 12);
	assert_null(pb_recent_named(recent, name));
	pb_recent_destroy(recent);
}

static void
what_was_touched_is_the_newest(void **state)
{
	struct told told = { .count = 0 };
	struct pb_recent *recent = pb_recent_create(sizeof(uint64_t), 100,
	    told_gone, &told);

	(void)state;
	add(recent, 1, 1, 1);
	add(recent, 2, 2, 2);
	pb_recent_touch(recent, pb_recent_first(recent, 1), 3);
	pb_recent_until(recent, 3);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.number[0], 2);
	pb_recent_until(recent, 4);
	assert_int_equal(told.number[1], 1);
	pb_recent_destroy(recent);
}

struct listed {
	uint64_t	 hash, place, number;
};

/* Goal:   whatever happens, each is found where it should be.
 * Method: a list that is searched from end to end does the same. */
static void
it_does_what_a_plain_list_does(void **state)
{
	struct told told = { .count = 0 };
	struct pb_recent *recent = pb_recent_create(sizeof(uint64_t), 500,
	    told_gone, &told);
	static struct listed list[501];
	size_t count = 0, gone = 0, i;
	uint64_t *data, hash;

	(void)state;
	srand(1);
	for (uint64_t n = 1; n < 4000; n++) {
		hash = (uint64_t)rand() % 40 << (rand() % 2 * 20);
		for (i = 0; i < count && list[i].hash != hash; i++)
			;
		data = pb_recent_first(recent, hash);
		assert_int_equal(data != NULL, i < count);
		if (data != NULL)
			assert_int_equal(*data, list[i].number);
		if (data != NULL && rand() % 3 == 0) {
			/* Sometimes the last one in place of the first. */
			while (n % 2 == 0 && pb_recent_next(recent, data) !=
			    NULL)
				data = pb_recent_next(recent, data);
			while (list[i].number != *data)
				i++;
			pb_recent_remove(recent, data);
			memmove(&list[i], &list[i + 1],
			    (--count - i) * sizeof(list[0]));
		}
		if (count == 500) {
			memmove(list, list + 1, --count * sizeof(list[0]));
			gone++;
		}
		add(recent, hash, n, n);
		list[count++] = (struct listed){ hash, n, n };
		if (n % 1000 != 0)
			continue;
		pb_recent_until(recent, n - 200);
		for (i = 0; i < count && list[i].place < n - 200; i++)
			gone++;
		memmove(list, list + i, (count -= i) * sizeof(list[0]));
		assert_int_equal(told.count, gone);
		assert_int_equal(pb_recent_count(recent), count);
	}
	pb_recent_destroy(recent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_a_hash_are_found_the_oldest_first),
		cmocka_unit_test(what_is_older_goes_and_is_told_in_its_order),
		cmocka_unit_test(a_full_table_loses_its_oldest_and_says_so),
		cmocka_unit_test(a_name_is_of_that_item_alone),
		cmocka_unit_test(what_was_touched_is_the_newest),
		cmocka_unit_test(it_does_what_a_plain_list_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
