/*
 * tests/unit/test_table_plane.c - planes of a flow table, packed and unpacked
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "recorder/flow/table/plane.h"

#define ROWS_MAX	300u

/* Each value is found where it is from a row on.  A zero may be said to be
 * where there is none. */
static void
is_found(const uint8_t *plane, uint32_t rows, const uint8_t *packed,
    size_t len)
{
	for (uint32_t value = 0; value < 256; value++)
		for (uint32_t from = 0; from < rows; from += 8) {
			uint32_t row = from, found = plane_find(rows,
			    (uint8_t)value, from, packed, packed + len);

			while (row < rows && plane[row] != value)
				row++;
			if (value != 0)
				assert_int_equal(found, row);
			assert_in_range(found, from, row);
		}
}

/* Memory of just that size: a checker sees a byte too many. */
static void
comes_back(const uint8_t *plane, uint32_t rows, size_t len,
    const uint8_t *packed)
{
	uint8_t *exact = malloc(len), *back = malloc(rows);

	assert_non_null(exact);
	assert_non_null(back);
	memcpy(exact, packed, len);
	assert_ptr_equal(plane_unpack(back, rows, exact, exact + len),
	    exact + len);
	assert_memory_equal(back, plane, rows);
	is_found(plane, rows, exact, len);
	for (uint32_t first = 0; first < rows; first += 1 + first / 16) {
		uint32_t part = 1 + first % (rows - first);

		memset(back, 0, rows);
		plane_part(back, first, part, exact, exact + len);
		assert_memory_equal(back, plane + first, part);
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_null(plane_unpack(back, rows, exact + len - cut,
		    exact + len - cut));
	for (size_t cut = 0; cut < len; cut++)
		assert_null(plane_unpack(back, rows, exact, exact + cut));
	free(exact);
	free(back);
}

static void
planes_of_any_rows_and_values_come_back(void **state)
{
	uint8_t plane[ROWS_MAX], packed[PLANE_ROOM(ROWS_MAX)];

	(void)state;
	for (uint32_t values = 1; values <= 256; values += 1 + values / 8)
		for (uint32_t rows = 1; rows < ROWS_MAX; rows += 1 + rows / 9) {
			size_t len;

			for (uint32_t i = 0; i < rows; i++)
				plane[i] = (uint8_t)(i * 7 % values * 37);
			len = plane_pack(packed, plane, rows);
			assert_true(len <= rows + 1);
			comes_back(plane, rows, len, packed);
		}
}

static void
two_values_take_a_bit_a_row(void **state)
{
	uint8_t plane[ROWS_MAX], packed[PLANE_ROOM(ROWS_MAX)];

	(void)state;
	for (uint32_t i = 0; i < ROWS_MAX; i++)
		plane[i] = i % 3 == 0 ? 64 : 128;
	assert_int_equal(plane_pack(packed, plane, ROWS_MAX),
	    2 + 2 + (ROWS_MAX + 7) / 8);
}

static void
one_value_takes_none(void **state)
{
	uint8_t plane[ROWS_MAX], packed[PLANE_ROOM(ROWS_MAX)];

	(void)state;
	memset(plane, 77, ROWS_MAX);
	assert_int_equal(plane_pack(packed, plane, ROWS_MAX), 3);
}

static void
what_is_no_plane_is_refused(void **state)
{
	static const uint8_t none[] = { 0, 200, 1, 1, 1, 1 };
	static const uint8_t wide[] = { 9, 0, 1, 1, 1, 1 };
	uint8_t back[8], many[600] = { 7, 128 };

	(void)state;
	assert_null(plane_unpack(back, 8, none, none + sizeof(none)));
	assert_null(plane_unpack(back, 8, wide, wide + sizeof(wide)));
	assert_null(plane_unpack(back, 8, many, many + sizeof(many)));
}

/* Of eight rows: a value listed twice, and numbers behind the last value. */
static void
what_only_others_write_is_not_overlooked(void **state)
{
	static const uint8_t twice[] = { 2, 3, 5, 7, 5, 9, 0xab, 0xab };
	static const uint8_t behind[] = { 2, 0, 5, 0xfc, 0xff };

	(void)state;
	assert_int_equal(plane_find(8, 5, 0, twice, twice + sizeof(twice)),
	    0);
	assert_int_equal(plane_find(8, 7, 0, twice, twice + sizeof(twice)),
	    8);
	assert_in_range(plane_find(8, 0, 0, behind, behind + sizeof(behind)),
	    0, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(planes_of_any_rows_and_values_come_back),
		cmocka_unit_test(two_values_take_a_bit_a_row),
		cmocka_unit_test(one_value_takes_none),
		cmocka_unit_test(what_is_no_plane_is_refused),
		cmocka_unit_test(what_only_others_write_is_not_overlooked),
	};

	return cmocka_run_group_tests_name("table_plane", tests, NULL, NULL);
}
