/*
 * tests/unit/test_tag.c - what stands between a link header and what it holds
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "recorder/filter/tag.h"

#define LINKTYPE_PPP	9
#define BYTES_MAX	64u

/* Behind two addresses of Ethernet. */
static const struct {
	uint8_t		 data[24];
	uint32_t	 len, bytes;	/* to take off; 0: nothing */
	uint16_t	 type;
} rows[] = {
	{ { 0x08, 0x00, 0x45 }, 3, 0, 0 },
	{ { 0x81, 0x00, 0, 7, 0x08, 0x00 }, 6, 4, 0x0800 },
	{ { 0x81, 0x00, 0, 7, 0x08, 0x00 }, 5, 0, 0 },
	{ { 0x88, 0xa8, 0, 7, 0x81, 0x00 }, 6, 4, 0x8100 },
	{ { 0x91, 0x00, 0, 7, 0x12, 0x34 }, 6, 4, 0x1234 },
	{ { 0x92, 0x00, 0, 7, 0x08, 0x00 }, 6, 0, 0 },
	{ { 0x88, 0x47, 0, 1, 1, 64, 0x45 }, 7, 4, 0x0800 },
	{ { 0x88, 0x47, 0, 1, 1, 64, 0x45 }, 6, 0, 0 },
	{ { 0x88, 0x48, 0, 1, 0, 64, 0, 2, 1, 64, 0x60 }, 11, 8, 0x86dd },
	{ { 0x88, 0x47, 0, 1, 0, 64, 0, 2, 0, 64, 0x60 }, 11, 0, 0 },
	{ { 0x88, 0x47, 0, 1, 1, 64, 0x00 }, 7, 0, 0 },
	{ { 0x88, 0x64, 0x11, 0, 0, 9, 0, 2, 0x00, 0x21 }, 10, 8, 0x0800 },
	{ { 0x88, 0x64, 0x11, 0, 0, 9, 0, 2, 0x00, 0x57 }, 10, 8, 0x86dd },
	{ { 0x88, 0x64, 0x11, 0, 0, 9, 0, 2, 0x02, 0x81 }, 10, 8, 0x8847 },
	{ { 0x88, 0x64, 0x11, 0, 0, 9, 0, 2, 0xc0, 0x21 }, 10, 0, 0 },
	{ { 0x88, 0x64, 0x11, 0, 0, 9, 0, 2, 0x00, 0x21 }, 9, 0, 0 },
	{ { 0x88, 0x63, 0x11, 0, 0, 9, 0, 2, 0x00, 0x21 }, 10, 0, 0 },
};

#define ROWS	(sizeof(rows) / sizeof(rows[0]))

static uint32_t
frame_of(uint8_t frame[static BYTES_MAX], size_t row)
{
	memset(frame, 2, BYTES_MAX);
	memcpy(frame + 12, rows[row].data, rows[row].len);
	return 12 + rows[row].len;
}

static void
what_can_be_taken_off_is_found(void **state)
{
	uint8_t frame[BYTES_MAX], *left;
	struct pb_tag_link link;
	struct pb_tag tag;

	(void)state;
	assert_true(pb_tag_link(&link, PB_LINKTYPE_ETHERNET));
	for (size_t i = 0; i < ROWS; i++) {
		uint32_t len = frame_of(frame, i);

		if (pb_tag_find_in(&tag, &link, frame, len) !=
		    (rows[i].bytes > 0))
			fail_msg("row %zu", i);
		if (rows[i].bytes == 0)
			continue;
		assert_int_equal(tag.bytes, rows[i].bytes);
		assert_int_equal(tag.type, rows[i].type);
		left = pb_tag_take(&tag, &link, frame);
		assert_ptr_equal(left, frame + tag.bytes);
		assert_int_equal(left[0], 2);
		assert_int_equal(left[12] << 8 | left[13], tag.type);
	}
}

/* Method: a bit after the other is not known. */
static void
of_packets_that_are_alike_it_is_sure_or_may_be(void **state)
{
	uint8_t frame[BYTES_MAX], unknown[BYTES_MAX] = { 0 };
	struct pb_alike alike = { .ones = frame, .unknown = unknown };
	struct pb_tag_link link;
	struct pb_tag tag;

	(void)state;
	assert_true(pb_tag_link(&link, PB_LINKTYPE_ETHERNET));
	for (size_t i = 0; i < ROWS; i++) {
		uint32_t len = frame_of(frame, i);

		alike.bytes = alike.caplen_min = alike.caplen_max = len;
		for (uint32_t bit = 0; bit < len * 8; bit++) {
			uint8_t one = (uint8_t)(1u << bit % 8), was;
			enum pb_tag_found found;
			bool with, without;

			was = frame[bit / 8];
			frame[bit / 8] = was | one;
			with = pb_tag_find_in(&tag, &link, frame, len);
			frame[bit / 8] = was & (uint8_t)~one;
			without = pb_tag_find_in(&tag, &link, frame, len);
			unknown[bit / 8] = one;
			found = pb_tag_find(&tag, &link, &alike);
			unknown[bit / 8] = 0;
			frame[bit / 8] = was;
			assert_true(found == PB_TAG_PERHAPS || (with ==
			    without && with == (found == PB_TAG_YES)));
		}
		alike.caplen_max++;
		alike.caplen_min = 12;
		assert_int_not_equal(pb_tag_find(&tag, &link, &alike),
		    PB_TAG_YES);
	}
}

static void
the_bytes_that_do_not_decide_need_not_be_known(void **state)
{
	uint8_t frame[BYTES_MAX], unknown[BYTES_MAX] = { 0 };
	struct pb_alike alike = { .ones = frame, .unknown = unknown,
	    .bytes = 18, .caplen_min = 18, .caplen_max = 1518 };
	struct pb_tag_link link;
	struct pb_tag tag;

	(void)state;
	assert_true(pb_tag_link(&link, PB_LINKTYPE_ETHERNET));
	(void)frame_of(frame, 1);
	unknown[0] = 0xfc;	/* whose it is; which VLAN */
	unknown[15] = 0xf8;
	assert_int_equal(pb_tag_find(&tag, &link, &alike), PB_TAG_YES);
	assert_int_equal(tag.type, 0x0800);
	/* A length, or 0x0800: no tag in any case. */
	unknown[12] = 0x06;
	frame[12] = 0x08;
	assert_int_equal(pb_tag_find(&tag, &link, &alike), PB_TAG_NO);
}

static void
link_types_have_their_places(void **state)
{
	static const uint8_t ppp[] = { 0xff, 3, 0x02, 0x81, 0, 1, 1, 64,
	    0x60 };
	uint8_t cooked[BYTES_MAX] = { 0x81, 0, [20] = 0, 7, 0x86, 0xdd };
	struct pb_tag_link link;
	struct pb_tag tag;

	(void)state;
	assert_true(pb_tag_link(&link, LINKTYPE_PPP));
	assert_true(pb_tag_find_in(&tag, &link, ppp, sizeof(ppp)));
	assert_int_equal(tag.type, 0x0057);
	assert_true(pb_tag_link(&link, PB_LINKTYPE_LINUX_SLL2));
	assert_true(pb_tag_find_in(&tag, &link, cooked, 24));
	assert_int_equal(tag.type, 0x86dd);
	assert_false(pb_tag_link(&link, PB_LINKTYPE_RAW));
	assert_false(pb_tag_link(&link, 105));
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(what_can_be_taken_off_is_found),
		cmocka_unit_test(
		    of_packets_that_are_alike_it_is_sure_or_may_be),
		cmocka_unit_test(
		    the_bytes_that_do_not_decide_need_not_be_known),
		cmocka_unit_test(link_types_have_their_places),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
