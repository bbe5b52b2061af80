/*
 * tests/unit/test_trailer_times.c - times of which a frame has the lower bits,
 * and clocks that are of TAI or not set
 */
#include "tests/unit/trailer_frames.h"

#define BYTES	100u			/* of what the host sends */

enum {
	T = PB_STAMP_TIMED,
	P = PB_STAMP_PLACED,
	E = PB_STAMP_EXTENDED,
	A = PB_STAMP_ADRIFT,
};

/* --- wrapped times ------------------------------------------------------- */

static void
ttag_stands_at_the_end_or_behind_its_ethertype(void **state)
{
	uint8_t tag[8] = { 0x88, 0xB5 };
	uint64_t ns = NOW_NS - 12345;

	(void)state;
	list_is("ttag", true);
	host_sends(BYTES);
	ttag(ns & 0xFFFFFFFFFFFF);
	read_frame();
	assert_stamp(0, PB_STAMP_TTAG, ns, 0, T | E);
	assert_restored(BYTES, false);
	list_is("ttag:0x88b5", true);
	host_sends(BYTES);
	pb_put_be16(tag + 2, (uint16_t)(ns >> 32));
	pb_put_be32(tag + 4, (uint32_t)ns);
	header(tag, sizeof(tag));
	read_frame();
	assert_stamp(0, PB_STAMP_TTAG, ns, 0, T | E);
	assert_restored(BYTES, false);
	list_is("ttag:0x88b6", true);
	read_frame();
	assert_false(got.whole);
}

/* Of a switch before, inside the stamp, and of a later one, in front of it. */
static void
ttag_stands_between_vlan_tags(void **state)
{
	static const uint8_t inner[] = { 0x81, 0x00, 0, 7 };
	static const uint8_t outer[] = { 0x88, 0xA8, 0, 8, 0x81, 0x00, 0, 9 };
	uint8_t tag[8] = { 0x88, 0xB5 };
	uint64_t ns = NOW_NS + 54321;

	(void)state;
	pb_put_be16(tag + 2, (uint16_t)(ns >> 32));
	pb_put_be32(tag + 4, (uint32_t)ns);
	list_is("ttag:0x88b5", true);
	host_sends(BYTES);
	header(inner, sizeof(inner));
	header(tag, sizeof(tag));
	header(outer, sizeof(outer));
	read_frame();
	assert_true(got.whole);
	assert_stamp(0, PB_STAMP_TTAG, ns, 0, T | E);
	assert_int_equal(got.hole[0].at, 12 + sizeof(outer));
	assert_int_equal(got.hole[0].bytes, sizeof(tag));
	assert_int_equal(got.len, BYTES + sizeof(outer) + sizeof(inner));
	/* A tag's own EtherType can be the stamp's. */
	list_is("ttag:0x88a8", true);
	pb_put_be16(frame.data + 12, 0x88A8);
	put_be(0, 4);
	read_frame();
	assert_true(got.whole);
	assert_int_equal(got.hole[0].at, 12);
	/* Tags up to the frame's end. */
	list_is("ttag:0x88b5", true);
	frame.len = 12;
	while (frame.len < 60)
		put(outer, sizeof(outer));
	for (uint32_t len = 14; len <= 60; len++) {
		frame.len = len;
		read_frame();
		assert_false(got.whole);
	}
}

static void
broadcom_has_its_origin_and_one_may_follow_the_other(void **state)
{
	(void)state;
	list_is("broadcom", true);
	host_sends(BYTES);
	broadcom(NOW_S, 999999999, 0xABCDEF);
	read_frame();
	assert_stamp(0, PB_STAMP_BROADCOM, NOW_NS + 999999999, 0, T | P | E);
	assert_place(0, 0xCDEF, 0xAB);
	assert_restored(BYTES, false);
	list_is("broadcom,broadcom", true);
	host_sends(BYTES);
	broadcom(NOW_S, 1, 1);
	put_be(0, 4);			/* where the FCS was, a new one */
	broadcom(NOW_S, 2, 2);
	read_frame();
	assert_int_equal(got.count, 2);
	assert_stamp(0, PB_STAMP_BROADCOM, NOW_NS + 1, 0, T | P | E);
	assert_stamp(1, PB_STAMP_BROADCOM, NOW_NS + 2, 0, T | P | E);
	assert_restored(BYTES, false);
}

/* On both sides of a wrap, and of the hour that clocks may be apart. */
static void
upper_bits_come_from_the_nearest_moment_of_the_capture(void **state)
{
	const uint64_t wrap_s = (NOW_S >> 16) << 16, s = 1000000000;
	static const struct {
		int64_t capture, stamp;		/* seconds off the wrap */
		uint8_t flags;
	} rows[] = {
		{ 5, -5, T | E }, { -5, 5, T | E }, { 0, 0, T | E },
		{ 1, 3601, T | E }, { 1, -3599, T | E },
		{ 0, 3601, A | E }, { 0, -3601, A | E },
		{ 0, 32000, A | E }, { 0, -32000, A | E },
	};

	(void)state;
	list_is("mac48", true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t stamp = wrap_s + (uint64_t)rows[i].stamp;

		host_sends(BYTES);
		mac48((uint16_t)stamp, 0);
		read_cut(frame.len, frame.len,
		    (wrap_s + (uint64_t)rows[i].capture) * s);
		assert_stamp(0, PB_STAMP_MAC48, stamp * s, 0, rows[i].flags);
	}
	host_sends(BYTES);		/* a capture without a clock */
	mac48(5, 0);
	read_cut(frame.len, frame.len, 0);
	assert_int_equal(got.at[0].flags, A | E);
}

static void
clocks_that_keep_tai_are_taken_back(void **state)
{
	(void)state;
	list_is("exablaze@tai", true);
	host_sends(BYTES);
	exablaze(1, 2, NOW_S + 37, 1ull << 39);
	read_frame();
	assert_stamp(0, PB_STAMP_EXABLAZE, NOW_NS + 500000000, 0, T | P);
	list_is("mac48@tai", true);
	host_sends(BYTES);
	mac48((uint16_t)(NOW_S + 37), 1);
	read_frame();
	assert_stamp(0, PB_STAMP_MAC48, NOW_NS + 1, 0, T | E);
}

/* --- clocks that are not set --------------------------------------------- */

static void
what_is_before_2000_is_no_time(void **state)
{
	static const uint32_t shown[] = { 0, 3601, 30 * 86400, 315964800,
	    946684799, 946684800, 946684801, NOW_S };

	(void)state;
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		uint32_t s = shown[i];
		uint8_t timed = s > 946684800 ? T : 0;

		list_is("metamako", true);
		host_sends(BYTES);
		metamako(s, 0, 0, 1, 2);
		read_frame();
		assert_true(got.whole);
		assert_int_equal(got.at[0].flags, timed | P);
		list_is("exablaze", true);
		host_sends(BYTES);
		exablaze(1, 2, s, 0);
		read_frame();
		assert_int_equal(got.at[0].flags, timed | P);
		list_is("vss", true);
		host_sends(BYTES);
		vss(s, 3u << 30, 0, 0);
		read_frame();
		assert_int_equal(got.at[0].flags, timed);
		list_is("arista7280", true);
		host_sends(BYTES);
		arista7280(0x0110, s, 0);
		read_frame();
		assert_int_equal(got.at[0].flags, timed);
	}
}

static void
the_last_second_of_32_bits_is_a_time(void **state)
{
	(void)state;
	list_is("metamako", true);
	host_sends(BYTES);
	metamako(0xFFFFFFFF, 999999999, 0, 1, 2);
	read_frame();
	assert_stamp(0, PB_STAMP_METAMAKO, 4294967295999999999, 0, T | P);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    ttag_stands_at_the_end_or_behind_its_ethertype),
		cmocka_unit_test(ttag_stands_between_vlan_tags),
		cmocka_unit_test(
		    broadcom_has_its_origin_and_one_may_follow_the_other),
		cmocka_unit_test(
		    upper_bits_come_from_the_nearest_moment_of_the_capture),
		cmocka_unit_test(clocks_that_keep_tai_are_taken_back),
		cmocka_unit_test(what_is_before_2000_is_no_time),
		cmocka_unit_test(the_last_second_of_32_bits_is_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
