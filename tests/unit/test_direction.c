/*
 * tests/unit/test_direction.c - which way a packet went
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pcapng/block.h"
#include "recorder/capture/direction.h"

static uint32_t
cooked(uint16_t linktype, uint8_t type, size_t caplen)
{
	uint8_t data[32] = { 0 };

	data[linktype == PB_LINKTYPE_LINUX_SLL ? 1 : 10] = type;
	return pb_direction_flags(pb_direction_cooked(linktype, data,
	    caplen));
}

static void
a_cooked_packet_tells_its_direction(void **state)
{
	static const struct { uint8_t type; uint32_t flags; } want[] = {
		{ 0, 1 | 1 << 2 }, { 1, 1 | 3 << 2 }, { 2, 1 | 2 << 2 },
		{ 3, 1 | 4 << 2 }, { 4, 2 }, { 5, 0 }, { 9, 0 }, { 255, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(cooked(PB_LINKTYPE_LINUX_SLL, want[i].type,
		    20), want[i].flags);
		assert_int_equal(cooked(PB_LINKTYPE_LINUX_SLL2, want[i].type,
		    20), want[i].flags);
	}
}

static void
one_that_was_cut_before_its_type_tells_none(void **state)
{
	(void)state;
	assert_int_equal(cooked(PB_LINKTYPE_LINUX_SLL, 4, 2), 2);
	assert_int_equal(cooked(PB_LINKTYPE_LINUX_SLL, 4, 1), 0);
	assert_int_equal(cooked(PB_LINKTYPE_LINUX_SLL, 4, 0), 0);
	assert_int_equal(cooked(PB_LINKTYPE_LINUX_SLL2, 4, 11), 2);
	assert_int_equal(cooked(PB_LINKTYPE_LINUX_SLL2, 4, 10), 0);
}

static void
a_type_of_another_byte_is_none(void **state)
{
	static const uint8_t data[16] = { 1, 4 };

	(void)state;
	assert_int_equal(pb_direction_flags(pb_direction_cooked(
	    PB_LINKTYPE_LINUX_SLL, data, sizeof(data))), 0);
}

static void
an_ethernet_packet_tells_none_by_itself(void **state)
{
	(void)state;
	assert_int_equal(cooked(PB_LINKTYPE_ETHERNET, 4, 20), 0);
	assert_int_equal(pb_direction_flags(PB_TYPE_NONE), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cooked_packet_tells_its_direction),
		cmocka_unit_test(one_that_was_cut_before_its_type_tells_none),
		cmocka_unit_test(a_type_of_another_byte_is_none),
		cmocka_unit_test(an_ethernet_packet_tells_none_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
