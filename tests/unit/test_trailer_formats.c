/*
 * tests/unit/test_trailer_formats.c - each format alone, to the last bit
 *
 * Frames are built from the layouts in docs/trailers.md.
 */
#include "tests/unit/trailer_frames.h"

#define BYTES	100u			/* of what the host sends */

enum {
	T = PB_STAMP_TIMED,
	P = PB_STAMP_PLACED,
	F = PB_STAMP_FCS_VALID,
	E = PB_STAMP_EXTENDED,
	D = PB_STAMP_DEGRADED,
};

/* --- metamako and cpacket ------------------------------------------------ */

static void
metamako_has_time_device_port_and_flags(void **state)
{
	(void)state;
	for (int fcs = 0; fcs < 2; fcs++) {
		list_is("metamako", fcs != 0);
		host_sends(BYTES);
		metamako(NOW_S, 999999999, 0x01, 0xBEEF, 0xFE);
		if (!fcs)
			drop_fcs();
		read_frame();
		assert_int_equal(got.count, 1);
		assert_stamp(0, PB_STAMP_METAMAKO, NOW_NS + 999999999, 0,
		    T | P | F);
		assert_place(0, 0xBEEF, 0xFE);
		assert_restored(BYTES, true);
	}
	list_is("cpacket", true);
	host_sends(BYTES);
	metamako(NOW_S, 1, 0x14, 3, 2);
	read_frame();
	assert_stamp(0, PB_STAMP_CPACKET, NOW_NS + 1, 0,
	    T | P | D | PB_STAMP_DUPLICATE);
}

static void
metamako_extensions_are_walked_inwards(void **state)
{
	/* Outwards: a string of a secondary tag (2 words), a hash (2 words),
	 * an egress sequence, a fraction; the string is the final one. */
	static const uint8_t extensions[] = {
		'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h',
		0, 0, 0, 1 << 6 | 0x20 | 31,
		1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 2 << 6 | 2,
		0xFE, 0xDC, 0xBA, 3,
		0x80, 0x00, 0x01, 1,
	};

	(void)state;
	list_is("metamako", false);
	host_sends(BYTES);
	metamako_with(extensions, sizeof(extensions), NOW_S, 5, 0x03, 1, 2);
	drop_fcs();
	read_frame();
	assert_stamp(0, PB_STAMP_METAMAKO, NOW_NS + 5, 0x80000100,
	    T | P | F | PB_STAMP_SEQUENCED);
	assert_int_equal(got.at[0].seq, 0xFEDCBA);
	assert_restored(BYTES, true);
}

static void
metamako_sequence_counts_before_the_egress_one(void **state)
{
	static const uint8_t one[] = { 0xFF, 0xAB, 0xCD, 0x20,
	    0, 0, 9, 3 };
	static const uint8_t other[] = { 0, 0, 9, 3 | 0x20,
	    0xFF, 0xAB, 0xCD, 0 };

	(void)state;
	list_is("metamako", true);
	host_sends(BYTES);
	metamako_with(one, sizeof(one), NOW_S, 5, 2, 1, 2);
	read_frame();
	assert_int_equal(got.at[0].seq, 0xABCD);
	host_sends(BYTES);
	metamako_with(other, sizeof(other), NOW_S, 5, 2, 1, 2);
	read_frame();
	assert_int_equal(got.at[0].seq, 0xABCD);
	assert_restored(BYTES, true);
}

/* What values of extensions with words would be, no document says. */
static void
metamako_values_with_words_are_stepped_over(void **state)
{
	static const uint8_t extensions[] = {
		9, 9, 9, 9, 1, 2, 3, 1 << 6 | 0x20 | 0,
		9, 9, 9, 9, 1, 2, 3, 1 << 6 | 1,
	};

	(void)state;
	list_is("metamako", true);
	host_sends(BYTES);
	metamako_with(extensions, sizeof(extensions), NOW_S, 5, 2, 1, 2);
	read_frame();
	assert_stamp(0, PB_STAMP_METAMAKO, NOW_NS + 5, 0, T | P);
	assert_restored(BYTES, true);
}

/* No final one, one that leaves the frame, and nanoseconds of a second. */
static void
what_is_no_metamako_trailer_is_not_read(void **state)
{
	static const uint8_t zeros[4 * 64];
	static const uint8_t far[] = { 0, 0, 0xFF, 0xFF };

	(void)state;
	list_is("metamako", true);
	host_sends(BYTES);
	metamako_with(zeros, sizeof(zeros), NOW_S, 5, 2, 1, 2);
	read_frame();
	assert_int_equal(got.read, 0);
	assert_false(got.whole);
	host_sends(BYTES);
	metamako_with(far, sizeof(far), NOW_S, 5, 2, 1, 2);
	read_frame();
	assert_false(got.whole);
	host_sends(BYTES);
	metamako(NOW_S, 1000000000, 0, 1, 2);
	read_frame();
	assert_false(got.whole);
	assert_int_equal(got.count, 0);
}

/* --- exablaze ------------------------------------------------------------ */

static void
exablaze_keeps_all_forty_bits(void **state)
{
	static const uint64_t fractions[] = { 0, 1, 2, 1100, 0x7FFFFFFFFF,
	    0x8000000000, 0xFFFFFFFFFF, 0x123456789A };

	(void)state;
	list_is("exablaze", true);
	for (size_t i = 0; i < sizeof(fractions) / sizeof(fractions[0]);
	    i++) {
		/* Of a nanosecond in 1/2^40, and that in 1/2^32: exact. */
		__extension__ unsigned __int128 ns40 =
		    (unsigned __int128)fractions[i] * 1000000000;

		host_sends(BYTES);
		exablaze(7, 9, NOW_S, fractions[i]);
		read_frame();
		assert_int_equal((uint64_t)(ns40 & 0xFF), 0);
		assert_stamp(0, PB_STAMP_EXABLAZE,
		    NOW_NS + (uint64_t)(ns40 >> 40),
		    (uint32_t)(ns40 >> 8), T | P);
		assert_place(0, 7, 9);
		assert_restored(BYTES, true);
	}
}

/* --- vss ----------------------------------------------------------------- */

static void
vss_has_a_port_where_the_list_says_so(void **state)
{
	(void)state;
	list_is("vss", true);
	host_sends(BYTES);
	vss(NOW_S, 3u << 30 | 999999999, 0, 0);
	read_frame();
	assert_stamp(0, PB_STAMP_VSS, NOW_NS + 999999999, 0, T);
	assert_restored(BYTES, false);
	list_is("vss:1", false);
	host_sends(BYTES);
	vss(NOW_S, 1u << 30 | 7, 1, 200);
	drop_fcs();
	read_frame();
	assert_stamp(0, PB_STAMP_VSS, NOW_NS + 7, 0, T | P);
	assert_place(0, 0, 200);
	assert_restored(BYTES, false);
	list_is("vss:2", true);
	host_sends(BYTES);
	vss(NOW_S, 8, 2, 60000);
	read_frame();
	assert_stamp(0, PB_STAMP_VSS, NOW_NS + 8, 0, T | P | D);
	assert_place(0, 0, 60000);
	assert_restored(BYTES, false);
}

static void
a_second_of_nanoseconds_is_no_vss(void **state)
{
	(void)state;
	list_is("vss", true);
	host_sends(BYTES);
	vss(NOW_S, 2u << 30 | 1000000000, 0, 0);
	read_frame();
	assert_false(got.whole);
}

/* --- ixia ---------------------------------------------------------------- */

static void
ixia_takes_the_first_time_of_its_fields(void **state)
{
	static const uint8_t fields[] = { 1, 2, 0, 104, 200, 0,
	    6, 8, 0x65, 0x53, 0xF1, 0x00, 0, 0, 0, 42,
	    4, 8, 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	for (uint8_t type = 3; type <= 7; type++) {
		list_is("ixia", true);
		host_sends(BYTES);
		ixia_time(type, NOW_S, 123456789);
		read_frame();
		assert_stamp(0, PB_STAMP_IXIA, NOW_NS + 123456789, 0,
		    type == 3 || type == 7 ? T | D : T);
		assert_restored(BYTES, false);
	}
	host_sends(BYTES);
	ixia(fields, sizeof(fields));
	read_frame();
	assert_stamp(0, PB_STAMP_IXIA, NOW_NS + 42, 0, T);
	assert_restored(BYTES, false);
	host_sends(BYTES);
	ixia(fields, 4);		/* a size alone */
	read_frame();
	assert_stamp(0, PB_STAMP_IXIA, 0, 0, 0);
	assert_restored(BYTES, false);
}

static void
an_ixia_whose_fields_or_sum_are_wrong_is_none(void **state)
{
	static const uint8_t longer[] = { 6, 9, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t torn[] = { 6 };

	(void)state;
	list_is("ixia", true);
	host_sends(BYTES);
	ixia(longer, sizeof(longer));
	read_frame();
	assert_false(got.whole);
	host_sends(BYTES);
	ixia(torn, sizeof(torn));
	read_frame();
	assert_false(got.whole);
	host_sends(BYTES);
	ixia_time(6, NOW_S, 1000000000);
	read_frame();
	assert_false(got.whole);
	for (uint32_t i = 0; i < 15; i++) {
		host_sends(BYTES);
		ixia_time(6, NOW_S, 7);
		frame.data[BYTES + i] ^= 0x10;
		read_frame();
		assert_false(got.whole);
	}
}

/* --- headers ------------------------------------------------------------- */

static void
arista7280_is_taken_out_of_the_header(void **state)
{
	static const struct {
		uint16_t version;
		uint64_t ahead;		/* of UTC */
		uint8_t flags;
	} rows[] = {
		{ 0x0010, 37, T }, { 0x0110, 0, T },
		{ 0x0011, 37, T }, { 0x0111, 0, T },
		{ 0x0020, 37, T | E }, { 0x0120, 0, T | E },
		{ 0x0021, 37, T | E }, { 0x0121, 0, T | E },
	};

	(void)state;
	list_is("arista7280", true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		host_sends(BYTES);
		arista7280(rows[i].version, NOW_S + 37, 123456789);
		read_frame();
		assert_stamp(0, PB_STAMP_ARISTA7280, NOW_NS + 123456789 +
		    (37 - rows[i].ahead) * 1000000000, 0, rows[i].flags);
		assert_int_equal(got.holes, 1);
		assert_restored(BYTES, false);
	}
}

/* A later switch that tags frames does so in front of the stamp. */
static void
arista7280_stands_behind_vlan_tags(void **state)
{
	static const uint8_t tags[] = { 0x88, 0xA8, 0, 7, 0x81, 0x00, 0, 9 };

	(void)state;
	list_is("arista7280", true);
	host_sends(BYTES);
	arista7280(0x0110, NOW_S, 5);
	header(tags, sizeof(tags));
	read_frame();
	assert_true(got.whole);
	assert_stamp(0, PB_STAMP_ARISTA7280, NOW_NS + 5, 0, T);
	assert_int_equal(got.hole[0].at, 12 + sizeof(tags));
	assert_int_equal(got.hole[0].bytes, 14);
	assert_int_equal(got.len, BYTES + sizeof(tags));
}

static void
other_headers_of_arista_are_no_stamps(void **state)
{
	static const uint16_t versions[] = { 0x0000, 0x0030, 0x0210, 0xFF10 };

	(void)state;
	list_is("arista7280", true);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		host_sends(BYTES);
		arista7280(versions[i], NOW_S, 5);
		read_frame();
		assert_false(got.whole);
	}
	host_sends(BYTES);
	arista7280(0x0110, NOW_S, 5);
	frame.data[15] = 3;		/* another subtype */
	read_frame();
	assert_false(got.whole);
	host_sends(BYTES);
	arista7280(0x0110, NOW_S, 1000000000);
	read_frame();
	assert_false(got.whole);
}

static void
mac48_is_read_in_place(void **state)
{
	(void)state;
	list_is("mac48", true);
	host_sends(BYTES);
	mac48((uint16_t)(NOW_S + 1), 999999999);
	read_frame();
	assert_true(got.whole);
	assert_stamp(0, PB_STAMP_MAC48, NOW_NS + 1999999999, 0, T | E);
	assert_int_equal(got.len, BYTES);
	assert_false(got.has_fcs);
	host_sends(BYTES);
	mac48((uint16_t)NOW_S, 1000000000);
	read_frame();
	assert_false(got.whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metamako_has_time_device_port_and_flags),
		cmocka_unit_test(metamako_extensions_are_walked_inwards),
		cmocka_unit_test(
		    metamako_sequence_counts_before_the_egress_one),
		cmocka_unit_test(metamako_values_with_words_are_stepped_over),
		cmocka_unit_test(what_is_no_metamako_trailer_is_not_read),
		cmocka_unit_test(exablaze_keeps_all_forty_bits),
		cmocka_unit_test(vss_has_a_port_where_the_list_says_so),
		cmocka_unit_test(a_second_of_nanoseconds_is_no_vss),
		cmocka_unit_test(ixia_takes_the_first_time_of_its_fields),
		cmocka_unit_test(an_ixia_whose_fields_or_sum_are_wrong_is_none),
		cmocka_unit_test(arista7280_is_taken_out_of_the_header),
		cmocka_unit_test(arista7280_stands_behind_vlan_tags),
		cmocka_unit_test(other_headers_of_arista_are_no_stamps),
		cmocka_unit_test(mac48_is_read_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
