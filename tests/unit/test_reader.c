/*
 * tests/unit/test_reader.c - capture files: kinds, sections, blocks, time
 *
 * Images are made by ng_image.h, most of them in both byte orders.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/reader_run.h"

/* --- what a file is ------------------------------------------------------ */

static void
an_empty_file_is_an_error(void **state)
{
	(void)state;
	expect_error(PB_EFORMAT, 0, "empty file");
}

static void
a_file_of_another_kind_is_refused_by_its_first_bytes(void **state)
{
	(void)state;
	img_bytes(&img, "PK\3\4 and so on", 14);
	expect_error(PB_EFORMAT, 0, "neither a pcapng nor a pcap");
	start(NULL);
	img_bytes(&img, "\x1F\x8B\x08\0", 4);
	expect_error(PB_EFORMAT, 0, "gzip");
	start(NULL);
	img_bytes(&img, "\x28\xB5\x2F\xFD", 4);
	expect_error(PB_EFORMAT, 0, "zstd");
	start(NULL);
	img_bytes(&img, "\x0A\x0D\x0D", 3);
	expect_error(PB_EFORMAT, 0, "cut short");
}

static void
a_section_alone_is_a_whole_file(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		start(NULL);
		img.big = big;
		img_shb(&img);
		expect_end(1);
		assert_int_equal(got.event[0].kind, PB_EVENT_SECTION);
	}
}

/* --- sections ------------------------------------------------------------ */

static void
sections_may_change_the_byte_order_and_number_interfaces_anew(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		img.big = i % 2 == 1;
		img_shb(&img);
		img_idb_clock(&img, 9, 0);
		img_idb(&img, (uint16_t)(100 + i), 96);
		img_epb(&img, 1, 5, "abc", 3);
	}
	expect_end(12);
	for (size_t i = 0; i < 3; i++) {
		const struct pb_event *event = &got.event[4 * i];

		assert_int_equal(event[0].kind, PB_EVENT_SECTION);
		assert_int_equal(event[1].interface, 0);
		assert_int_equal(event[2].kind, PB_EVENT_INTERFACE);
		assert_int_equal(event[2].interface, 1);
		assert_int_equal(event[2].linktype, 100 + i);
		assert_int_equal(event[2].snaplen, 96);
		assert_int_equal(event[3].kind, PB_EVENT_PACKET);
		assert_int_equal(event[3].section, i);
		assert_int_equal(event[3].packet.time_ns, 5000);
		expect_payload(4 * i + 3, "abc");
	}
}

static void
version_1_2_is_read_as_1_0(void **state)
{
	(void)state;
	img_shb_begin(&img, 1, 2);
	img_end(&img);
	img_idb(&img, 1, 0);
	expect_end(2);
}

static void
a_section_of_another_version_is_skipped_to_the_next(void **state)
{
	(void)state;
	begin(false);
	img_shb_begin(&img, 2, 0);
	img_bytes(&img, "????", 4);	/* nobody knows what it is */
	img_end(&img);
	img_begin(&img, 1);
	img_end(&img);
	img_begin(&img, 6);
	img_number(&img, 77, 4);
	img_end(&img);
	img.big = true;
	img_shb(&img);
	img_idb(&img, 1, 0);
	img_epb(&img, 0, 1, "z", 1);
	expect_end(5);
	assert_int_equal(got.event[2].kind, PB_EVENT_SECTION);
	assert_int_equal(got.event[2].section, 2);
	expect_payload(4, "z");
}

static void
a_file_with_no_section_of_a_known_version_is_refused(void **state)
{
	(void)state;
	img_shb_begin(&img, 0, 1);
	img_end(&img);
	img_idb(&img, 1, 0);
	img_shb_begin(&img, 1, 1);
	img_end(&img);
	expect_error(PB_EFORMAT, 0, "version 0.1");
}

static void
a_wrong_byte_order_magic_is_an_error(void **state)
{
	(void)state;
	img_shb(&img);
	img_patch(&img, 8, 0x1A2B3C4E, 4);
	expect_error(PB_EFORMAT, 0, "byte-order magic");
}

static void
a_section_length_is_not_believed(void **state)
{
	(void)state;
	img_shb(&img);
	img_patch(&img, 16, 4, 8);
	img_idb(&img, 1, 0);
	expect_end(2);
}

static void
more_sections_than_the_limit_are_refused(void **state)
{
	static struct image one;
	struct pb_reader *reader;
	struct pb_event event;
	struct pb_err err;
	size_t used;

	(void)state;
	img_shb(&one);
	assert_int_equal(pb_reader_create(&reader, &err), 0);
	for (unsigned i = 0; i < PB_SECTIONS_MAX; i++)
		assert_int_equal(pb_reader_next(reader, one.data, one.len,
		    false, &used, &event, &err), PB_READ_EVENT);
	assert_int_equal(pb_reader_next(reader, one.data, one.len, false,
	    &used, &event, &err), PB_ELIMIT);
	pb_reader_destroy(reader);
}

/* --- the frame of a block ------------------------------------------------ */

static void
a_block_length_out_of_bounds_is_an_error(void **state)
{
	static const struct {
		uint32_t	length;
		const char	*says;
	} rows[] = {
		{ 0, "length is 0" }, { 8, "length is 8" },
		{ 11, "length is 11" }, { 13, "multiple of 4" },
		{ 34, "multiple of 4" },
		{ PB_BLOCK_BYTES_MAX + 4, "12 to 16777216" },
		{ UINT32_MAX, "12 to 16777216" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int big = 0; big < 2; big++) {
			size_t at;

			begin(big);
			at = img.len;
			img_epb(&img, 0, 1, "", 0);
			img_patch(&img, at + 4, rows[i].length, 4);
			expect_error(PB_EFORMAT, at, rows[i].says);
		}
}

static void
a_trailing_length_that_differs_is_an_error(void **state)
{
	size_t at;

	(void)state;
	begin(false);
	at = img.len;
	img_epb(&img, 0, 1, "", 0);
	img_patch(&img, img.len - 4, 36, 4);
	expect_error(PB_EFORMAT, at, "32 at its start and 36 at its end");
}

static void
a_block_too_short_for_its_kind_is_an_error(void **state)
{
	static const struct {
		uint32_t	type, body;	/* the most that is too short */
	} rows[] = {
		{ PB_BLOCK_SHB, 12 }, { PB_BLOCK_IDB, 4 },
		{ PB_BLOCK_PB, 16 }, { PB_BLOCK_SPB, 0 },
		{ PB_BLOCK_ISB, 8 }, { PB_BLOCK_EPB, 16 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t at;

		begin(false);
		at = img.len;
		img_begin(&img, rows[i].type);
		for (uint32_t n = 0; n < rows[i].body; n += 4)
			img_number(&img, n == 0 ? 0x1A2B3C4D : 0, 4);
		img_end(&img);
		expect_error(PB_EFORMAT, at, "too short");
	}
}

/*
 * Goal:   the end of the input is either between two blocks or named.
 * Method: cut an image of every kind of block at every byte.
 */
static void
a_cut_between_blocks_is_the_end_and_any_other_an_error(void **state)
{
	size_t ends[16], blocks = 0;

	(void)state;
	begin(true);
	ends[blocks++] = 28;
	ends[blocks++] = img.len;
	img_epb_begin(&img, 0, 7, "abcde", 5, 9);
	img_option(&img, PB_OPT_COMMENT, "hello", 5);
	img_option(&img, PB_OPT_END, NULL, 0);
	img_end(&img);
	ends[blocks++] = img.len;
	img_begin(&img, PB_BLOCK_NRB);
	img_number(&img, 0, 4);
	img_end(&img);
	ends[blocks++] = img.len;
	img.big = false;
	img_shb(&img);
	ends[blocks++] = img.len;
	for (size_t cut = 1; cut <= img.len; cut++) {
		size_t whole = 0;

		while (whole < blocks && ends[whole] <= cut)
			whole++;
		run(img.data, cut, WHOLE, &got);
		assert_int_equal(got.events, whole);
		if (whole > 0 && ends[whole - 1] == cut) {
			assert_int_equal(got.rc, PB_READ_END);
			continue;
		}
		assert_int_equal(got.rc, PB_EFORMAT);
		assert_non_null(strstr(got.err.text, "cut short"));
	}
}

/* --- interfaces ---------------------------------------------------------- */

static void
an_interface_may_come_after_packets(void **state)
{
	(void)state;
	begin(false);
	img_epb(&img, 0, 1, "a", 1);
	img_idb(&img, 113, 0);
	img_epb(&img, 1, 1, "b", 1);
	expect_end(5);
	assert_int_equal(got.event[4].interface, 1);
}

static void
an_interface_not_described_is_an_error(void **state)
{
	size_t at;

	(void)state;
	for (int isb = 0; isb < 2; isb++) {
		begin(true);
		at = img.len;
		if (isb) {
			img_begin(&img, PB_BLOCK_ISB);
			img_number(&img, 1, 4);
			img_ticks(&img, 1);
			img_end(&img);
		} else {
			img_epb(&img, 1, 1, "a", 1);
		}
		expect_error(PB_EFORMAT, at, "interface 1 is not described");
	}
	start(NULL);
	img_shb(&img);
	img_begin(&img, PB_BLOCK_SPB);
	img_number(&img, 0, 4);
	img_end(&img);
	expect_error(PB_EFORMAT, 28, "without interfaces");
}

static void
more_interfaces_than_the_limit_are_refused(void **state)
{
	size_t at;

	(void)state;
	img_shb(&img);
	for (unsigned i = 0; i < PB_INTERFACES_MAX; i++)
		img_idb(&img, 1, 0);
	img_epb(&img, PB_INTERFACES_MAX - 1, 1, "a", 1);
	expect_end(PB_INTERFACES_MAX + 2);
	at = img.len;
	img_idb(&img, 1, 0);
	expect_error(PB_ELIMIT, at, "more than 4096 interfaces");
}

static void
clock_options_of_the_wrong_size_are_errors(void **state)
{
	(void)state;
	img_shb(&img);
	img_idb_begin(&img, 1, 0);
	img_option(&img, PB_OPT_IF_TSRESOL, "\x09\x09", 2);
	img_end(&img);
	expect_error(PB_EFORMAT, 28, "if_tsresol");
	start(NULL);
	img_shb(&img);
	img_idb_begin(&img, 1, 0);
	img_option(&img, PB_OPT_IF_TSOFFSET, "\x09\x09\0\0", 4);
	img_end(&img);
	expect_error(PB_EFORMAT, 28, "if_tsoffset");
}

/* --- time ---------------------------------------------------------------- */

static void
every_resolution_is_turned_into_nanoseconds_rounded_down(void **state)
{
	static const struct {
		uint8_t		tsresol;
		uint64_t	ticks, ns;
	} rows[] = {
		{ 0, 1700000000, 1700000000000000000 },
		{ 3, 1700000000123, 1700000000123000000 },
		{ 6, 1700000000123456, 1700000000123456000 },
		{ 9, 1700000000123456789, 1700000000123456789 },
		{ 9, UINT64_MAX, UINT64_MAX },
		{ 10, 17000000001234567899u, 1700000000123456789 },
		{ 12, 1999999, 1999 },
		{ 15, UINT64_MAX, 18446744073709 },
		{ 19, UINT64_MAX, 1844674407 },
		{ 19, 9999999999, 0 },
		{ 19, 10000000000, 1 },
		{ 0x80, 1700000000, 1700000000000000000 },
		{ 0x80 | 1, 3, 1500000000 },
		{ 0x80 | 10, 1023, 999023437 },
		{ 0x80 | 32, UINT64_MAX, 4294967295999999999 },
		{ 0x80 | 63, UINT64_MAX, 1999999999 },
		{ 0x80 | 63, 9223372036, 0 },
		{ 0x80 | 63, 9223372037, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int big = 0; big < 2; big++) {
			start(NULL);
			img.big = big;
			img_shb(&img);
			img_idb_clock(&img, rows[i].tsresol, 0);
			img_epb(&img, 0, rows[i].ticks, "a", 1);
			expect_end(3);
			assert_true(got.event[2].has_time);
			assert_int_equal(got.event[2].packet.time_ns,
			    rows[i].ns);
		}
}

static void
without_if_tsresol_a_tick_is_a_microsecond(void **state)
{
	(void)state;
	img_shb(&img);
	img_idb(&img, 1, 0);
	img_epb(&img, 0, 1700000000123456, "a", 1);
	expect_end(3);
	assert_int_equal(got.event[2].packet.time_ns, 1700000000123456000);
}

static void
finer_resolutions_are_refused(void **state)
{
	static const uint8_t rows[] = { 20, 127, 0x80 | 64, 0xFF };

	(void)state;
	for (size_t i = 0; i < sizeof(rows); i++) {
		start(NULL);
		img_shb(&img);
		img_idb_clock(&img, rows[i], 0);
		expect_error(PB_EFORMAT, 28, "if_tsresol is");
	}
}

static void
if_tsoffset_is_added_with_its_sign(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		start(NULL);
		img.big = big;
		img_shb(&img);
		img_idb_clock(&img, 6, -3600);
		img_idb_clock(&img, 6, 1700000000);
		img_epb(&img, 0, 3600000001, "a", 1);
		img_epb(&img, 1, 5, "a", 1);
		expect_end(5);
		assert_int_equal(got.event[3].packet.time_ns, 1000);
		assert_int_equal(got.event[4].packet.time_ns,
		    1700000000000005000);
	}
}

static void
a_time_outside_64_bits_of_nanoseconds_is_an_error(void **state)
{
	static const struct {
		uint8_t		tsresol;
		int64_t		offset;
		uint64_t	ticks;
	} rows[] = {
		{ 0, 0, 18446744074 }, { 6, 0, UINT64_MAX },
		{ 0, 0, UINT64_MAX }, { 9, 1, UINT64_MAX },
		{ 9, -1, 999999999 }, { 9, INT64_MIN, UINT64_MAX },
		{ 0, INT64_MAX, UINT64_MAX }, { 0x80, 0, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t at;

		start(NULL);
		img_shb(&img);
		img_idb_clock(&img, rows[i].tsresol, rows[i].offset);
		at = img.len;
		img_epb(&img, 0, rows[i].ticks, "a", 1);
		expect_error(PB_EFORMAT, at, "time stamp");
	}
}

#define TEST(f)	cmocka_unit_test_setup(f, start)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_file_is_an_error),
		TEST(a_file_of_another_kind_is_refused_by_its_first_bytes),
		TEST(a_section_alone_is_a_whole_file),
		TEST(
		sections_may_change_the_byte_order_and_number_interfaces_anew),
		TEST(version_1_2_is_read_as_1_0),
		TEST(a_section_of_another_version_is_skipped_to_the_next),
		TEST(a_file_with_no_section_of_a_known_version_is_refused),
		TEST(a_wrong_byte_order_magic_is_an_error),
		TEST(a_section_length_is_not_believed),
		TEST(more_sections_than_the_limit_are_refused),
		TEST(a_block_length_out_of_bounds_is_an_error),
		TEST(a_trailing_length_that_differs_is_an_error),
		TEST(a_block_too_short_for_its_kind_is_an_error),
		TEST(a_cut_between_blocks_is_the_end_and_any_other_an_error),
		TEST(an_interface_may_come_after_packets),
		TEST(an_interface_not_described_is_an_error),
		TEST(more_interfaces_than_the_limit_are_refused),
		TEST(clock_options_of_the_wrong_size_are_errors),
		TEST(every_resolution_is_turned_into_nanoseconds_rounded_down),
		TEST(without_if_tsresol_a_tick_is_a_microsecond),
		TEST(finer_resolutions_are_refused),
		TEST(if_tsoffset_is_added_with_its_sign),
		TEST(a_time_outside_64_bits_of_nanoseconds_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
