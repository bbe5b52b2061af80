/*
 * tests/unit/test_buf.c - the growing buffer and integers in bytes
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

static void
appended_bytes_stand_in_order(void **state)
{
	struct pb_buf buf;
	uint8_t *room;

	(void)state;
	pb_buf_init(&buf, 1000);
	assert_int_equal(pb_buf_str(&buf, "ab"), 0);
	assert_int_equal(pb_buf_put(&buf, "c\0d", 3), 0);
	assert_int_equal(pb_buf_zero(&buf, 2), 0);
	assert_int_equal(pb_buf_printf(&buf, "%d-%s", 42, "x"), 0);
	room = pb_buf_reserve(&buf, 3);
	assert_non_null(room);
	memcpy(room, "end", 3);
	assert_int_equal(buf.len, 11);
	buf.len += 3;
	assert_memory_equal(buf.data, "abc\0d\0\0" "42-xend", 14);
	assert_false(buf.failed);
	pb_buf_finish(&buf);
}

static void
the_maximum_is_exact(void **state)
{
	struct pb_buf buf;

	(void)state;
	pb_buf_init(&buf, 100);
	assert_int_equal(pb_buf_zero(&buf, 99), 0);
	assert_int_equal(pb_buf_put(&buf, "x", 1), 0);
	assert_int_equal(pb_buf_put(&buf, "", 0), 0);
	assert_int_equal(pb_buf_put(&buf, "y", 1), PB_ELIMIT);
	assert_true(buf.failed);
	assert_int_equal(buf.len, 100);
	pb_buf_finish(&buf);
}

static void
a_length_that_would_wrap_is_over_the_limit(void **state)
{
	struct pb_buf buf;

	(void)state;
	pb_buf_init(&buf, 100);
	assert_int_equal(pb_buf_put(&buf, "abc", 3), 0);
	assert_int_equal(pb_buf_zero(&buf, SIZE_MAX), PB_ELIMIT);
	assert_int_equal(buf.len, 3);
	pb_buf_clear(&buf);
	assert_null(pb_buf_reserve(&buf, SIZE_MAX - 2));
	pb_buf_finish(&buf);
}

static void
an_error_sticks_until_the_buffer_is_cleared(void **state)
{
	struct pb_buf buf;

	(void)state;
	pb_buf_init(&buf, 4);
	assert_int_equal(pb_buf_str(&buf, "hello"), PB_ELIMIT);
	assert_true(pb_buf_str(&buf, "a") < 0);
	assert_true(pb_buf_printf(&buf, "a") < 0);
	assert_true(pb_buf_zero(&buf, 1) < 0);
	assert_null(pb_buf_reserve(&buf, 1));
	assert_int_equal(buf.len, 0);
	assert_string_equal(pb_buf_cstr(&buf), "");
	pb_buf_clear(&buf);
	assert_int_equal(pb_buf_str(&buf, "a"), 0);
	assert_string_equal(pb_buf_cstr(&buf), "a");
	pb_buf_finish(&buf);
}

static void
a_clear_keeps_the_memory(void **state)
{
	struct pb_buf buf;
	size_t cap;

	(void)state;
	pb_buf_init(&buf, 10000);
	pb_buf_zero(&buf, 5000);
	cap = buf.cap;
	pb_buf_clear(&buf);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf.cap, cap);
	pb_buf_finish(&buf);
}

static void
consumed_bytes_leave_from_the_front(void **state)
{
	struct pb_buf buf;

	(void)state;
	pb_buf_init(&buf, 100);
	pb_buf_consume(&buf, 5);
	assert_int_equal(buf.len, 0);
	pb_buf_str(&buf, "abcdef");
	pb_buf_consume(&buf, 0);
	pb_buf_consume(&buf, 2);
	assert_string_equal(pb_buf_cstr(&buf), "cdef");
	pb_buf_consume(&buf, 99);
	assert_int_equal(buf.len, 0);
	assert_string_equal(pb_buf_cstr(&buf), "");
	pb_buf_finish(&buf);
}

static void
a_full_buffer_is_still_a_c_string(void **state)
{
	struct pb_buf buf;

	(void)state;
	pb_buf_init(&buf, 64);
	for (int i = 0; i < 64; i++)
		assert_int_equal(pb_buf_put(&buf, "x", 1), 0);
	assert_int_equal(strlen(pb_buf_cstr(&buf)), 64);
	pb_buf_finish(&buf);
}

static void
finishing_takes_null_and_zeroed_and_twice(void **state)
{
	struct pb_buf buf = { 0 };

	(void)state;
	pb_buf_finish(NULL);
	pb_buf_finish(&buf);
	pb_buf_init(&buf, 10);
	pb_buf_str(&buf, "a");
	pb_buf_finish(&buf);
	pb_buf_finish(&buf);
	assert_null(buf.data);
	/* A zeroed buffer has the maximum 0. */
	assert_int_equal(pb_buf_str(&buf, "a"), PB_ELIMIT);
}

static void
integers_keep_their_byte_order_at_any_alignment(void **state)
{
	uint8_t bytes[16];

	(void)state;
	for (size_t at = 0; at < 8; at++) {
		memset(bytes, 0, sizeof(bytes));
		pb_put_le16(bytes + at, 0x0102);
		assert_memory_equal(bytes + at, "\x02\x01", 2);
		assert_int_equal(pb_get_be16(bytes + at), 0x0201);
		pb_put_be16(bytes + at, 0x0102);
		assert_int_equal(pb_get_le16(bytes + at), 0x0201);
		pb_put_le32(bytes + at, 0x01020304);
		assert_memory_equal(bytes + at, "\x04\x03\x02\x01", 4);
		assert_int_equal(pb_get_be32(bytes + at), 0x04030201);
		pb_put_be32(bytes + at, 0x01020304);
		assert_int_equal(pb_get_le32(bytes + at), 0x04030201);
		pb_put_le64(bytes + at, 0x0102030405060708);
		assert_memory_equal(bytes + at,
		    "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
		assert_true(pb_get_be64(bytes + at) == 0x0807060504030201);
		pb_put_be64(bytes + at, 0x0102030405060708);
		assert_true(pb_get_le64(bytes + at) == 0x0807060504030201);
	}
}

static void
rounding_up_reaches_the_next_multiple(void **state)
{
	(void)state;
	assert_int_equal(pb_round_up(0, 4), 0);
	assert_int_equal(pb_round_up(1, 4), 4);
	assert_int_equal(pb_round_up(4, 4), 4);
	assert_int_equal(pb_round_up(4097, 4096), 8192);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_bytes_stand_in_order),
		cmocka_unit_test(the_maximum_is_exact),
		cmocka_unit_test(a_length_that_would_wrap_is_over_the_limit),
		cmocka_unit_test(an_error_sticks_until_the_buffer_is_cleared),
		cmocka_unit_test(a_clear_keeps_the_memory),
		cmocka_unit_test(consumed_bytes_leave_from_the_front),
		cmocka_unit_test(a_full_buffer_is_still_a_c_string),
		cmocka_unit_test(finishing_takes_null_and_zeroed_and_twice),
		cmocka_unit_test(
		    integers_keep_their_byte_order_at_any_alignment),
		cmocka_unit_test(rounding_up_reaches_the_next_multiple),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
