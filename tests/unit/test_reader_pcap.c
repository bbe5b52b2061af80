/*
 * tests/unit/test_reader_pcap.c - capture files: classic pcap
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/reader_run.h"

static void
all_four_flavours_of_pcap_are_read(void **state)
{
	(void)state;
	for (int flavour = 0; flavour < 4; flavour++) {
		bool nano = flavour >= 2;

		start(NULL);
		img.big = flavour % 2 == 1;
		img_pcap(&img, nano ? 0xA1B23C4D : 0xA1B2C3D4, 4, 113);
		img_record(&img, 4000000000, 999999, 3, 60, "abc", 3);
		img_record(&img, 1, 0, 0, 0, "", 0);
		expect_end(4);
		assert_int_equal(got.event[0].kind, PB_EVENT_SECTION);
		assert_int_equal(got.event[1].kind, PB_EVENT_INTERFACE);
		assert_int_equal(got.event[1].linktype, 113);
		assert_int_equal(got.event[1].snaplen, 65535);
		assert_int_equal(got.event[1].packet.options_len, 0);
		assert_int_equal(got.event[2].offset, 24);
		assert_true(got.event[2].has_time);
		assert_int_equal(got.event[2].packet.time_ns,
		    nano ? 4000000000000999999 : 4000000000999999000);
		assert_int_equal(got.event[2].packet.origlen, 60);
		expect_payload(2, "abc");
		assert_int_equal(got.event[3].offset, 24 + 16 + 3);
	}
}

static void
a_pcap_header_alone_is_a_file_without_packets(void **state)
{
	(void)state;
	img_pcap(&img, 0xA1B2C3D4, 4, 1);
	expect_end(2);
	for (size_t cut = 4; cut < 24; cut++) {
		run(img.data, cut, WHOLE, &got);
		assert_int_equal(got.rc, PB_EFORMAT);
		assert_non_null(strstr(got.err.text, "cut short"));
	}
}

static void
the_fcs_length_of_a_pcap_becomes_octets(void **state)
{
	(void)state;
	img_pcap(&img, 0xA1B2C3D4, 4, 1 | 0x04000000 | 2u << 28);
	expect_end(2);
	assert_int_equal(got.event[1].linktype, 1);
	expect_option(1, PB_OPT_IF_FCSLEN, "\4", 1);
	start(NULL);	/* a length without the bit that says so */
	img_pcap(&img, 0xA1B2C3D4, 4, 1 | 2u << 28);
	expect_end(2);
	assert_int_equal(got.event[1].packet.options_len, 0);
}

static void
reserved_bits_of_a_pcap_link_type_must_be_zero(void **state)
{
	(void)state;
	for (unsigned bit = 16; bit < 26; bit++) {
		start(NULL);
		img.big = bit % 2 == 1;
		img_pcap(&img, 0xA1B2C3D4, 4, 1u << bit);
		expect_error(PB_EFORMAT, 20, "reserved");
	}
}

static void
old_pcap_versions_are_read_with_their_order_of_lengths(void **state)
{
	static const struct {
		uint16_t	minor;
		uint32_t	first, second;
	} rows[] = {
		{ 0, 60, 3 }, { 2, 60, 3 },	/* original length first */
		{ 3, 60, 3 }, { 3, 3, 60 },	/* written both ways */
		{ 4, 3, 60 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(NULL);
		img_pcap(&img, 0xA1B2C3D4, rows[i].minor, 1);
		img_record(&img, 1, 1, rows[i].first, rows[i].second, "abc",
		    3);
		expect_end(3);
		assert_int_equal(got.event[2].packet.origlen, 60);
		expect_payload(2, "abc");
	}
}

static void
other_pcap_versions_are_refused(void **state)
{
	static const uint16_t majors[] = { 0, 1, 3, 543, 543 };
	static const uint16_t minors[] = { 4, 4, 0, 1, 0 };

	(void)state;
	img_pcap(&img, 0xA1B2C3D4, 5, 1);
	expect_error(PB_EFORMAT, 4, "version 2.5");
	for (size_t i = 0; i < 5; i++) {
		img_patch(&img, 4, majors[i], 2);
		img_patch(&img, 6, minors[i], 2);
		if (i < 4)
			expect_error(PB_EFORMAT, 4, "pcap version");
		else
			expect_end(2);
	}
}

static void
a_pcap_record_cut_short_is_an_error_at_its_start(void **state)
{
	(void)state;
	img_pcap(&img, 0xA1B23C4D, 4, 1);
	img_record(&img, 1, 1, 3, 3, "abc", 3);
	img_record(&img, 1, 1, 3, 3, "abc", 3);
	for (size_t cut = 44; cut < img.len; cut++) {
		run(img.data, cut, WHOLE, &got);
		assert_int_equal(got.rc, PB_EFORMAT);
		assert_int_equal(got.packets, 1);
		assert_int_equal(strncmp(got.err.text, "offset 43: cut", 14),
		    0);
	}
}

#define TEST(f)	cmocka_unit_test_setup(f, start)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_four_flavours_of_pcap_are_read),
		TEST(a_pcap_header_alone_is_a_file_without_packets),
		TEST(the_fcs_length_of_a_pcap_becomes_octets),
		TEST(reserved_bits_of_a_pcap_link_type_must_be_zero),
		TEST(old_pcap_versions_are_read_with_their_order_of_lengths),
		TEST(other_pcap_versions_are_refused),
		TEST(a_pcap_record_cut_short_is_an_error_at_its_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
