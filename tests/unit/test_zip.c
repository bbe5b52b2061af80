/*
 * tests/unit/test_zip.c - bodies packed and unpacked
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/zip.h"

#define BYTES	100000u

static void
make(uint8_t *data)
{
	for (size_t i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i / 100);
}

static void
what_was_packed_comes_back(void **state)
{
	static uint8_t data[BYTES], back[BYTES];
	struct pb_buf packed;
	struct pb_err err;
	size_t room, len;

	(void)state;
	make(data);
	pb_buf_init(&packed, 2 * BYTES);
	assert_int_equal(pb_zip_pack(&packed, data, BYTES), 0);
	assert_true(packed.len < BYTES / 10);
	assert_int_equal(pb_zip_room(packed.data, packed.len, BYTES, &room,
	    &err), 0);
	assert_int_equal(room, BYTES);
	assert_int_equal(pb_zip_unpack(back, room, packed.data, packed.len,
	    &len, &err), 0);
	assert_int_equal(len, BYTES);
	assert_memory_equal(back, data, BYTES);
	pb_buf_finish(&packed);
}

static void
more_than_the_limit_is_refused_before_it_is_unpacked(void **state)
{
	static uint8_t data[BYTES], back[BYTES];
	struct pb_buf packed;
	struct pb_err err;
	size_t room, len;

	(void)state;
	make(data);
	pb_buf_init(&packed, 2 * BYTES);
	assert_int_equal(pb_zip_pack(&packed, data, BYTES), 0);
	assert_int_equal(pb_zip_room(packed.data, packed.len, BYTES - 1, &room,
	    &err), PB_ELIMIT);
	assert_int_equal(pb_zip_unpack(back, BYTES - 1, packed.data,
	    packed.len, &len, &err), PB_ELIMIT);
	/* A second frame behind the first does not slip through either. */
	assert_int_equal(pb_zip_pack(&packed, data, BYTES), 0);
	assert_int_equal(pb_zip_room(packed.data, packed.len, BYTES, &room,
	    &err), 0);
	assert_int_equal(pb_zip_unpack(back, room, packed.data, packed.len,
	    &len, &err), PB_ELIMIT);
	pb_buf_finish(&packed);
}

static void
damage_is_an_error_at_every_cut(void **state)
{
	static uint8_t data[BYTES], back[BYTES];
	struct pb_buf packed;
	struct pb_err err;
	size_t room, len;

	(void)state;
	make(data);
	pb_buf_init(&packed, 2 * BYTES);
	assert_int_equal(pb_zip_pack(&packed, data, BYTES), 0);
	for (size_t cut = 0; cut < packed.len; cut++) {
		uint8_t *piece = malloc(cut > 0 ? cut : 1);

		memcpy(piece, packed.data, cut);
		if (pb_zip_room(piece, cut, BYTES, &room, &err) == 0)
			assert_true(cut == 0 || pb_zip_unpack(back, BYTES,
			    piece, cut, &len, &err) < 0);
		free(piece);
	}
	assert_int_equal(pb_zip_room("plain", 5, BYTES, &room, &err),
	    PB_EFORMAT);
	pb_buf_finish(&packed);
}

static void
a_buffer_too_small_says_so(void **state)
{
	static uint8_t data[BYTES];
	struct pb_buf packed;

	(void)state;
	pb_buf_init(&packed, 100);
	assert_int_equal(pb_zip_pack(&packed, data, BYTES), PB_ELIMIT);
	assert_true(packed.failed);
	pb_buf_finish(&packed);
}

static void
pieces_come_back_one_after_the_other(void **state)
{
	static uint8_t data[BYTES], packed[BYTES], back[BYTES];
	struct pb_zip *zip;
	struct pb_err err;

	(void)state;
	make(data);
	assert_int_equal(pb_zip_create(&zip, &err), 0);
	for (size_t len = 0; len < BYTES; len += 9999) {
		size_t n = pb_zip_pack_piece(zip, packed, BYTES, data, len);

		assert_true(n > 0);
		assert_int_equal(pb_zip_unpack_piece(zip, back, len, packed,
		    n, &err), 0);
		assert_memory_equal(back, data, len);
		assert_int_equal(pb_zip_pack_piece(zip, packed, n - 1, data,
		    len), 0);
	}
	pb_zip_destroy(zip);
	pb_zip_destroy(NULL);
}

static void
a_piece_of_another_length_is_damaged(void **state)
{
	static uint8_t data[BYTES], packed[BYTES], back[BYTES + 1];
	struct pb_zip *zip;
	struct pb_err err;
	size_t n;

	(void)state;
	make(data);
	assert_int_equal(pb_zip_create(&zip, &err), 0);
	n = pb_zip_pack_piece(zip, packed, BYTES, data, BYTES);
	for (size_t len = BYTES - 1; len <= BYTES + 1; len += 2)
		assert_int_equal(pb_zip_unpack_piece(zip, back, len, packed,
		    n, &err), PB_EFORMAT);
	assert_int_equal(pb_zip_unpack_piece(zip, back, BYTES, packed, n - 1,
	    &err), PB_EFORMAT);
	assert_int_equal(pb_zip_unpack_piece(zip, back, 5, "plain", 5, &err),
	    PB_EFORMAT);
	pb_zip_destroy(zip);
}

static void
some_percent_are_worth_it(void **state)
{
	(void)state;
	assert_false(pb_zip_is_worth(1000000, 1000100));
	assert_false(pb_zip_is_worth(1000000, 999999));
	assert_true(pb_zip_is_worth(1000000, 960000));
	assert_true(pb_zip_is_worth(20, 19));
	assert_false(pb_zip_is_worth(20, 20));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_packed_comes_back),
		cmocka_unit_test(
		    more_than_the_limit_is_refused_before_it_is_unpacked),
		cmocka_unit_test(damage_is_an_error_at_every_cut),
		cmocka_unit_test(a_buffer_too_small_says_so),
		cmocka_unit_test(pieces_come_back_one_after_the_other),
		cmocka_unit_test(a_piece_of_another_length_is_damaged),
		cmocka_unit_test(some_percent_are_worth_it),
	};

	return cmocka_run_group_tests_name("zip", tests, NULL, NULL);
}
