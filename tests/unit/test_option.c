/*
 * tests/unit/test_option.c - option lists
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "pcapng/block.h"
#include "pcapng/option.h"
#include "tests/unit/option_u32.h"

static void
what_is_put_is_found_again_in_order(void **state)
{
	struct pb_buf list;
	struct pb_option_walk walk;
	struct pb_option option;
	uint64_t u64 = 0;
	uint32_t u32 = 0;

	(void)state;
	pb_buf_init(&list, 4096);
	assert_int_equal(pb_option_put_text(&list, 1, "hello"), 0);
	assert_int_equal(pb_option_put_u64(&list, 5, 0x1122334455667788), 0);
	assert_int_equal(put_u32(&list, 2, 0xA1B2C3D4), 0);
	assert_int_equal(pb_option_put_u8(&list, 9, 9), 0);
	assert_int_equal(pb_option_put(&list, 77, NULL, 0), 0);
	assert_int_equal(list.len, 12 + 12 + 8 + 8 + 4);

	walk = (struct pb_option_walk){ list.data, list.len };
	assert_int_equal(pb_option_next(&walk, &option), 1);
	assert_int_equal(option.code, 1);
	assert_int_equal(option.len, 5);
	assert_memory_equal(option.value, "hello\0\0\0", 8);
	assert_int_equal(pb_option_next(&walk, &option), 1);
	assert_int_equal(option.code, 5);
	assert_int_equal(option.value[0], 0x88);
	assert_int_equal(pb_option_next(&walk, &option), 1);
	assert_int_equal(option.code, 2);
	assert_int_equal(pb_option_next(&walk, &option), 1);
	assert_memory_equal(option.value, "\x09\0\0\0", 4);
	assert_int_equal(pb_option_next(&walk, &option), 1);
	assert_int_equal(option.code, 77);
	assert_int_equal(option.len, 0);
	assert_int_equal(pb_option_next(&walk, &option), 0);
	assert_int_equal(pb_option_next(&walk, &option), 0);

	assert_true(pb_option_find_u64(list.data, list.len, 5, &u64));
	assert_int_equal(u64, 0x1122334455667788);
	assert_true(find_u32(list.data, list.len, 2, &u32));
	assert_int_equal(u32, 0xA1B2C3D4);
	assert_false(pb_option_find(list.data, list.len, 3, &option));
	pb_buf_finish(&list);
}

static void
an_empty_list_has_no_options(void **state)
{
	struct pb_option_walk walk;
	struct pb_option option;

	(void)state;
	walk = (struct pb_option_walk){ NULL, 0 };
	assert_int_equal(pb_option_next(&walk, &option), 0);
	assert_false(pb_option_find(NULL, 0, 1, &option));
}

static void
opt_endofopt_ends_a_list_whatever_follows(void **state)
{
	static const uint8_t list[] = {
		1, 0, 1, 0, 'a', 0, 0, 0,
		0, 0, 0, 0,
		9, 0, 255, 255,
	};
	struct pb_option_walk walk;
	struct pb_option option;

	(void)state;
	walk = (struct pb_option_walk){ list, sizeof(list) };
	assert_int_equal(pb_option_next(&walk, &option), 1);
	assert_int_equal(pb_option_next(&walk, &option), 0);
	assert_int_equal(pb_option_next(&walk, &option), 0);
	assert_false(pb_option_find(list, sizeof(list), 9, &option));
}

/* Each list stands in memory of its own size, so that a checker sees a
 * byte read behind it. */
static void
a_length_that_leaves_the_list_is_an_error(void **state)
{
	static const struct {
		uint8_t	bytes[12];
		size_t	len;
	} rows[] = {
		{ { 1 }, 1 },
		{ { 1, 0, 0 }, 3 },
		{ { 1, 0, 1, 0 }, 4 },
		{ { 1, 0, 5, 0, 'a', 'b', 'c', 'd' }, 8 },
		{ { 1, 0, 1, 0, 'a' }, 5 },	/* padding missing */
		{ { 1, 0, 255, 255, 1, 2, 3, 4 }, 8 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *list = malloc(rows[i].len);
		struct pb_option_walk walk;
		struct pb_option option;

		assert_non_null(list);
		memcpy(list, rows[i].bytes, rows[i].len);
		walk = (struct pb_option_walk){ list, rows[i].len };
		assert_int_equal(pb_option_next(&walk, &option), PB_EFORMAT);
		assert_false(pb_option_find(list, rows[i].len, 2, &option));
		free(list);
	}
}

static void
a_number_of_the_wrong_size_is_not_found(void **state)
{
	struct pb_buf list;
	uint64_t u64 = 7;

	(void)state;
	pb_buf_init(&list, 4096);
	put_u32(&list, 5, 1);
	assert_false(pb_option_find_u64(list.data, list.len, 5, &u64));
	assert_int_equal(u64, 7);
	pb_buf_finish(&list);
}

static void
the_first_of_two_is_found(void **state)
{
	struct pb_buf list;
	uint32_t u32 = 0;

	(void)state;
	pb_buf_init(&list, 4096);
	put_u32(&list, 2, 11);
	put_u32(&list, 2, 22);
	assert_true(find_u32(list.data, list.len, 2, &u32));
	assert_int_equal(u32, 11);
	pb_buf_finish(&list);
}

static void
a_value_ends_at_65535_bytes_and_a_list_at_its_buffer(void **state)
{
	struct pb_buf list;
	uint8_t *value = calloc(1, 65536);

	(void)state;
	assert_non_null(value);
	pb_buf_init(&list, 65540 + 8);
	assert_int_equal(pb_option_put(&list, 1, value, 65536), PB_ELIMIT);
	assert_int_equal(list.len, 0);
	assert_int_equal(pb_option_put(&list, 1, value, 65535), 0);
	assert_int_equal(list.len, 65540);
	assert_int_equal(pb_option_put_u64(&list, 1, 1), PB_ELIMIT);
	assert_true(list.failed);
	pb_buf_finish(&list);
	free(value);
}

static void
writing_into_memory_gives_the_same_bytes(void **state)
{
	struct pb_buf list;
	uint8_t into[64], *end = into;

	(void)state;
	memset(into, 0xAA, sizeof(into));
	pb_buf_init(&list, 4096);
	for (uint16_t len = 0; len < 6; len++) {
		pb_option_put(&list, 300, "abcdef", len);
		end = pb_option_at(end, 300, len > 0 ? "abcdef" : NULL, len);
	}
	assert_int_equal(end - into, list.len);
	assert_memory_equal(into, list.data, list.len);
	assert_int_equal(*end, 0xAA);

	pb_buf_clear(&list);
	pb_option_put_u64(&list, 5, 0x0102030405060708);
	end = pb_option_at_u64(into, 5, 0x0102030405060708);
	assert_int_equal(end - into, list.len);
	assert_memory_equal(into, list.data, list.len);
	pb_buf_finish(&list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_found_again_in_order),
		cmocka_unit_test(an_empty_list_has_no_options),
		cmocka_unit_test(opt_endofopt_ends_a_list_whatever_follows),
		cmocka_unit_test(a_length_that_leaves_the_list_is_an_error),
		cmocka_unit_test(a_number_of_the_wrong_size_is_not_found),
		cmocka_unit_test(the_first_of_two_is_found),
		cmocka_unit_test(
		    a_value_ends_at_65535_bytes_and_a_list_at_its_buffer),
		cmocka_unit_test(writing_into_memory_gives_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
