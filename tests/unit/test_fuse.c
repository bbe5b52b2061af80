/*
 * tests/unit/test_fuse.c - which numbers are surely not in a set
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/fuse.h"

#define ROOM		(2 * PB_FUSE_KEYS_MAX)
#define ASKED		100000u

static struct pb_fuse_work work;

/* Numbers as addresses are: some near one another, some anywhere. */
static uint32_t
number(uint32_t i)
{
	return i % 2 == 0 ? 0x0a000000 + i : i * 2654435761u;
}

static void
make(struct pb_fuse *fuse, uint8_t *slots, uint32_t count, unsigned bits)
{
	static uint32_t numbers[PB_FUSE_KEYS_MAX];

	for (uint32_t i = 0; i < count; i++)
		numbers[i] = number(i);
	assert_true(pb_fuse_make(fuse, slots, ROOM, numbers, count, bits,
	    &work));
}

static void
all_numbers_of_the_set_may_be_in_it(void **state)
{
	uint8_t *slots = malloc(ROOM);
	struct pb_fuse fuse;

	(void)state;
	assert_non_null(slots);
	for (uint32_t count = 1; count <= PB_FUSE_KEYS_MAX;
	    count += 1 + count / 9)
		for (unsigned bits = 1; bits <= PB_FUSE_BITS_MAX; bits += 3) {
			make(&fuse, slots, count, bits);
			for (uint32_t i = 0; i < count; i++)
				assert_true(pb_fuse_may_have(&fuse, slots,
				    number(i)));
		}
	free(slots);
}

static void
others_are_let_through_as_rarely_as_the_bits_say(void **state)
{
	uint8_t *slots = malloc(ROOM);
	struct pb_fuse fuse;

	(void)state;
	assert_non_null(slots);
	for (unsigned bits = 2; bits <= PB_FUSE_BITS_MAX; bits += 2) {
		uint32_t passed = 0;

		make(&fuse, slots, 3000, bits);
		for (uint32_t i = 0; i < ASKED; i++)
			passed += pb_fuse_may_have(&fuse, slots,
			    0x80000000 + 2 * i) ? 1 : 0;
		assert_in_range(passed, (ASKED >> bits) / 2,
		    (ASKED >> bits) * 2);
	}
	free(slots);
}

static void
of_many_numbers_the_slots_are_less_than_half_more(void **state)
{
	uint8_t *slots = malloc(ROOM);
	struct pb_fuse fuse;

	(void)state;
	assert_non_null(slots);
	for (uint32_t count = 1000; count <= PB_FUSE_KEYS_MAX; count += 97) {
		make(&fuse, slots, count, 8);
		assert_in_range(pb_fuse_bytes(&fuse), count,
		    count + count / 2);
	}
	free(slots);
}

static void
what_takes_more_room_or_is_none_is_refused(void **state)
{
	static uint32_t numbers[2] = { 5, 5 };
	struct pb_fuse fuse = { 1, 3, 4, 8 };
	uint8_t slots[64];

	(void)state;
	assert_int_equal(pb_fuse_bytes(&fuse), 49);
	assert_false(pb_fuse_make(&fuse, slots, sizeof(slots), numbers, 0, 8,
	    &work));
	assert_false(pb_fuse_make(&fuse, slots, 48, numbers, 1, 8, &work));
	assert_true(pb_fuse_make(&fuse, slots, 49, numbers, 1, 8, &work));
	/* The same number twice never has a slot for itself. */
	assert_false(pb_fuse_make(&fuse, slots, sizeof(slots), numbers, 2, 8,
	    &work));
	fuse = (struct pb_fuse){ 1, UINT16_MAX, 12, 8 };
	assert_int_equal(pb_fuse_bytes(&fuse), 0);
	fuse = (struct pb_fuse){ 1, 3, 31, 8 };
	assert_int_equal(pb_fuse_bytes(&fuse), 0);
	fuse = (struct pb_fuse){ 1, 3, 4, 9 };
	assert_int_equal(pb_fuse_bytes(&fuse), 0);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(all_numbers_of_the_set_may_be_in_it),
		cmocka_unit_test(
		    others_are_let_through_as_rarely_as_the_bits_say),
		cmocka_unit_test(
		    of_many_numbers_the_slots_are_less_than_half_more),
		cmocka_unit_test(what_takes_more_room_or_is_none_is_refused),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
