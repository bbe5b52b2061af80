/*
 * tests/unit/test_list.c - a list that grows
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/list.h"

static void
a_list_keeps_its_items_while_it_grows(void **state)
{
	size_t count = 0, room = 0;
	uint64_t *list = NULL;

	(void)state;
	for (; count < 1000; count++) {
		assert_true(PB_LIST_ROOM(list, room, count));
		assert_true(room > count);
		list[count] = count * count;
	}
	for (size_t i = 0; i < count; i++)
		assert_int_equal(list[i], i * i);
	free(list);
}

static void
there_is_room_until_all_of_it_is_used(void **state)
{
	size_t room = 0;
	char *list = NULL;

	(void)state;
	assert_true(PB_LIST_ROOM(list, room, 0));
	assert_int_equal(room, PB_LIST_FIRST);
	for (size_t count = 1; count < PB_LIST_FIRST; count++)
		assert_true(PB_LIST_ROOM(list, room, count));
	assert_int_equal(room, PB_LIST_FIRST);
	assert_true(PB_LIST_ROOM(list, room, PB_LIST_FIRST));
	assert_int_equal(room, 2 * PB_LIST_FIRST);
	free(list);
}

static void
one_that_cannot_grow_stays_as_it_was(void **state)
{
	char one = 'x', *list = &one;
	size_t room = SIZE_MAX / 4;

	(void)state;
	/* More bytes than there are addresses. */
	assert_false(pb_list_grow(&list, &room, room, 4));
	assert_ptr_equal(list, &one);
	assert_int_equal(room, SIZE_MAX / 4);
}

static void
a_place_is_behind_all_that_have_less(void **state)
{
	struct {
		uint8_t	 other;
		uint64_t wide;
		uint32_t narrow;
	} item[9] = { { .other = 0xff } };

	(void)state;
	for (size_t count = 0; count <= 9; count++) {
		for (size_t i = 0; i < count; i++) {
			item[i].wide = UINT64_MAX - 2 * (count - 1 - i);
			item[i].narrow = (uint32_t)(3 * (i / 2));
		}
		for (size_t i = 0; i < count; i++) {
			uint64_t wide = item[i].wide, narrow = item[i].narrow;

			assert_int_equal(PB_LIST_PLACE(item, count, wide,
			    wide), i);
			assert_int_equal(PB_LIST_PLACE(item, count, wide,
			    wide - 1), i);
			assert_int_equal(PB_LIST_PLACE(item, count, narrow,
			    narrow), i / 2 * 2);
		}
		assert_int_equal(PB_LIST_PLACE(item, count, narrow,
		    UINT64_MAX), count);
		assert_int_equal(PB_LIST_PLACE(item, count, wide, 0), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_keeps_its_items_while_it_grows),
		cmocka_unit_test(there_is_room_until_all_of_it_is_used),
		cmocka_unit_test(one_that_cannot_grow_stays_as_it_was),
		cmocka_unit_test(a_place_is_behind_all_that_have_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
