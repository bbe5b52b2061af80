/*
 * tests/unit/test_scan.c - walking canonical blocks
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pcapng/build.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "tests/unit/ng_image.h"

static struct image img;

static int
start(void **state)
{
	(void)state;
	memset(&img, 0, sizeof(img));
	return 0;
}

/* The block at the image's start. */
static struct pb_block
first_block(void)
{
	struct pb_block block;

	assert_int_equal(pb_scan_block(img.data, img.len, &block), 1);
	return block;
}

static void
put_packet(uint64_t seq)
{
	img_epb_begin(&img, 0, 1700000000000000000 + seq, "packet", 6, 60);
	img_option_number(&img, PB_OPT_EPB_PACKETID, seq, 8);
	img_option(&img, PB_OPT_END, NULL, 0);
	img_end(&img);
}

/*
 * Goal:   a crash while writing costs at most the last, torn block.
 * Method: cut a file of three packets at every byte and scan each piece, in
 *         memory of its own size.
 */
static void
a_torn_file_keeps_every_whole_block(void **state)
{
	size_t ends[5], blocks = 0;

	(void)state;
	img_shb(&img);
	ends[blocks++] = img.len;
	img_idb(&img, 1, 0);
	ends[blocks++] = img.len;
	for (uint64_t seq = 1; seq <= 3; seq++) {
		put_packet(seq);
		ends[blocks++] = img.len;
	}
	for (size_t cut = 0; cut <= img.len; cut++) {
		uint8_t *piece = malloc(cut + 1);
		size_t at = 0, found = 0, want = 0;
		struct pb_block block;
		int rc;

		assert_non_null(piece);
		memcpy(piece + 1, img.data, cut);
		while ((rc = pb_scan_block(piece + 1 + at, cut - at,
		    &block)) == 1) {
			at += block.len;
			found++;
		}
		while (want < blocks && ends[want] <= cut)
			want++;
		assert_int_equal(rc, 0);
		assert_int_equal(found, want);
		free(piece);
	}
}

static void
no_block_starts_with_a_wrong_length(void **state)
{
	static const uint32_t lengths[] = {
		0, 4, 11, 13, 14, 15, PB_BLOCK_BYTES_MAX + 4, UINT32_MAX,
	};
	struct pb_block block;

	(void)state;
	put_packet(1);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		img_patch(&img, 4, lengths[i], 4);
		assert_int_equal(pb_scan_block(img.data, img.len, &block),
		    PB_EFORMAT);
		assert_int_equal(pb_scan_block(img.data, 8, &block),
		    PB_EFORMAT);
	}
	img_patch(&img, 4, PB_BLOCK_BYTES_MAX, 4);
	assert_int_equal(pb_scan_block(img.data, img.len, &block), 0);
}

static void
a_trailing_length_that_differs_is_an_error(void **state)
{
	struct pb_block block;

	(void)state;
	put_packet(1);
	img_patch(&img, img.len - 4, img.len - 4, 4);
	assert_int_equal(pb_scan_block(img.data, img.len, &block),
	    PB_EFORMAT);
}

static void
a_packet_comes_back_with_its_number(void **state)
{
	struct pb_block block;
	struct pb_packet packet;
	uint64_t seq = 0;

	(void)state;
	put_packet(42);
	block = first_block();
	assert_int_equal(pb_scan_epb(&block, &packet), 0);
	assert_int_equal(packet.time_ns, 1700000000000000042);
	assert_int_equal(packet.caplen, 6);
	assert_int_equal(packet.origlen, 60);
	assert_memory_equal(packet.data, "packet", 6);
	assert_int_equal(packet.options_len, 12);
	assert_true(pb_packet_seq(&packet, &seq));
	assert_int_equal(seq, 42);
}

static void
a_packet_without_options_has_no_number(void **state)
{
	struct pb_block block;
	struct pb_packet packet;
	uint64_t seq;

	(void)state;
	img_epb(&img, 0, 1, "", 0);
	block = first_block();
	assert_int_equal(pb_scan_epb(&block, &packet), 0);
	assert_int_equal(packet.caplen, 0);
	assert_int_equal(packet.options_len, 0);
	assert_false(pb_packet_seq(&packet, &seq));
}

static void
a_packet_that_leaves_its_block_is_an_error(void **state)
{
	static const uint32_t caplens[] = {
		25, 28, 4096, PB_CAPLEN_MAX, PB_CAPLEN_MAX + 1, UINT32_MAX,
	};
	struct pb_block block;
	struct pb_packet packet;

	(void)state;
	put_packet(1);		/* 8 bytes of data and 16 of options */
	block = first_block();
	for (size_t i = 0; i < sizeof(caplens) / sizeof(caplens[0]); i++) {
		img_patch(&img, 20, caplens[i], 4);
		assert_int_equal(pb_scan_epb(&block, &packet), PB_EFORMAT);
	}
	img_patch(&img, 20, 24, 4);
	assert_int_equal(pb_scan_epb(&block, &packet), 0);
}

static void
a_packet_over_the_largest_is_an_error_even_where_it_fits(void **state)
{
	struct pb_block block;
	struct pb_packet packet;

	(void)state;
	img.len = 28 + PB_CAPLEN_MAX + 4;
	img_number(&img, 32 + PB_CAPLEN_MAX + 4, 4);
	img_patch(&img, 0, PB_BLOCK_EPB, 4);
	img_patch(&img, 4, img.len, 4);
	img_patch(&img, 20, PB_CAPLEN_MAX, 4);
	block = first_block();
	assert_int_equal(pb_scan_epb(&block, &packet), 0);
	img_patch(&img, 20, PB_CAPLEN_MAX + 1, 4);
	assert_int_equal(pb_scan_epb(&block, &packet), PB_EFORMAT);
}

static void
an_option_that_leaves_its_packet_is_an_error(void **state)
{
	struct pb_block block;
	struct pb_packet packet;

	(void)state;
	put_packet(1);
	img_patch(&img, 38, 13, 2);
	block = first_block();
	assert_int_equal(pb_scan_epb(&block, &packet), PB_EFORMAT);
}

static void
only_an_enhanced_packet_block_is_a_packet(void **state)
{
	struct pb_block block;
	struct pb_packet packet;

	(void)state;
	img_begin(&img, PB_BLOCK_EPB);
	img_number(&img, 0, 8);
	img_number(&img, 0, 8);
	img_end(&img);		/* 28 bytes: 4 too few */
	block = first_block();
	assert_int_equal(pb_scan_epb(&block, &packet), PB_EFORMAT);
	start(NULL);
	put_packet(1);
	img_patch(&img, 0, PB_BLOCK_PB, 4);
	block = first_block();
	assert_int_equal(pb_scan_epb(&block, &packet), PB_EFORMAT);
}

static void
options_of_section_interface_and_statistics_are_found(void **state)
{
	const uint8_t *options;
	struct pb_option option;
	struct pb_block block;
	uint16_t linktype = 0;
	size_t len;

	(void)state;
	img_shb_begin(&img, 1, 0);
	img_option(&img, PB_OPT_SHB_OS, "any", 3);
	img_end(&img);
	block = first_block();
	assert_int_equal(pb_scan_options(&block, &options, &len, &linktype),
	    0);
	assert_int_equal(len, 8);
	assert_int_equal(linktype, 0);
	assert_true(pb_option_find(options, len, PB_OPT_SHB_OS, &option));

	start(NULL);
	img_idb_begin(&img, 113, 0);
	img_option(&img, PB_OPT_IF_NAME, "eth0", 4);
	img_option(&img, PB_OPT_END, NULL, 0);
	img_end(&img);
	block = first_block();
	assert_int_equal(pb_scan_options(&block, &options, &len, &linktype),
	    0);
	assert_int_equal(linktype, 113);
	assert_int_equal(len, 8);
	assert_int_equal(pb_scan_options(&block, &options, &len, NULL), 0);

	start(NULL);
	img_begin(&img, PB_BLOCK_ISB);
	img_number(&img, 0, 4);
	img_ticks(&img, 0);
	img_option_number(&img, PB_OPT_ISB_IFDROP, 3, 8);
	img_end(&img);
	block = first_block();
	assert_int_equal(pb_scan_options(&block, &options, &len, NULL), 0);
	assert_int_equal(len, 12);
}

static void
options_of_short_or_foreign_blocks_are_errors(void **state)
{
	static const uint32_t types[] = {
		PB_BLOCK_SHB, PB_BLOCK_IDB, PB_BLOCK_ISB, PB_BLOCK_NRB,
	};
	const uint8_t *options;
	struct pb_block block;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		start(NULL);
		img_begin(&img, types[i]);
		img_number(&img, 0, 4);
		img_end(&img);
		block = first_block();
		assert_int_equal(pb_scan_options(&block, &options, &len,
		    NULL), PB_EFORMAT);
	}
	start(NULL);
	img_shb(&img);
	img_patch(&img, 8, 0x4D3C2B1A, 4);
	block = first_block();
	assert_int_equal(pb_scan_options(&block, &options, &len, NULL),
	    PB_EFORMAT);
}

static void
a_filler_is_told_from_statistics_whatever_its_pen(void **state)
{
	uint8_t filler[64];
	struct pb_block block;

	(void)state;
	for (uint32_t pen = 1; pen < 100000; pen += 32472) {
		pb_build_filler(filler, sizeof(filler), 5, pen);
		assert_int_equal(pb_scan_block(filler, sizeof(filler),
		    &block), 1);
		assert_true(pb_scan_is_filler(&block));
	}
	filler[27] = 'Q';	/* the mark is 'P', 'B' */
	assert_true(pb_scan_is_filler(&block));
	filler[28] = 'Q';
	assert_false(pb_scan_is_filler(&block));
	img_begin(&img, PB_BLOCK_ISB);
	img_number(&img, 0, 4);
	img_ticks(&img, 0);
	img_option_number(&img, PB_OPT_ISB_IFDROP, 3, 8);
	img_end(&img);
	block = first_block();
	assert_false(pb_scan_is_filler(&block));
	start(NULL);
	put_packet(1);
	block = first_block();
	assert_false(pb_scan_is_filler(&block));
}

static void
only_what_can_stand_in_a_segment_is_storable(void **state)
{
	static const struct { uint32_t type; bool storable; } kind[] = {
		{ PB_BLOCK_SHB, false }, { PB_BLOCK_IDB, false },
		{ PB_BLOCK_PB, false }, { PB_BLOCK_SPB, false },
		{ PB_BLOCK_CB, false }, { PB_BLOCK_CB_NOCOPY, false },
		{ PB_BLOCK_NRB, true }, { PB_BLOCK_DSB, true },
		{ 0x1234, true },
	};
	struct pb_block block;

	(void)state;
	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		start(NULL);
		img_begin(&img, kind[i].type);
		img_number(&img, 0, 4);
		img_end(&img);
		block = first_block();
		assert_int_equal(pb_scan_storable(&block), kind[i].storable);
	}
	for (uint32_t interface = 0; interface < 2; interface++) {
		start(NULL);
		img_epb_begin(&img, interface, 1, "packet", 6, 60);
		img_end(&img);
		block = first_block();
		assert_int_equal(pb_scan_storable(&block), interface == 0);
		start(NULL);
		img_begin(&img, PB_BLOCK_ISB);
		img_number(&img, interface, 4);
		img_number(&img, 0, 8);
		img_end(&img);
		block = first_block();
		assert_int_equal(pb_scan_storable(&block), interface == 0);
	}
	start(NULL);
	img_begin(&img, PB_BLOCK_ISB);
	img_number(&img, 0, 4);
	img_number(&img, 0, 8);
	img_number(&img, 0x00ff0003, 4);	/* 255 bytes of option 3 */
	img_end(&img);
	block = first_block();
	assert_false(pb_scan_storable(&block));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_torn_file_keeps_every_whole_block,
		    start),
		cmocka_unit_test_setup(no_block_starts_with_a_wrong_length,
		    start),
		cmocka_unit_test_setup(
		    a_trailing_length_that_differs_is_an_error, start),
		cmocka_unit_test_setup(a_packet_comes_back_with_its_number,
		    start),
		cmocka_unit_test_setup(a_packet_without_options_has_no_number,
		    start),
		cmocka_unit_test_setup(
		    a_packet_that_leaves_its_block_is_an_error, start),
		cmocka_unit_test_setup(
		    a_packet_over_the_largest_is_an_error_even_where_it_fits,
		    start),
		cmocka_unit_test_setup(
		    an_option_that_leaves_its_packet_is_an_error, start),
		cmocka_unit_test_setup(
		    only_an_enhanced_packet_block_is_a_packet, start),
		cmocka_unit_test_setup(
		    options_of_section_interface_and_statistics_are_found,
		    start),
		cmocka_unit_test_setup(
		    options_of_short_or_foreign_blocks_are_errors, start),
		cmocka_unit_test_setup(
		    a_filler_is_told_from_statistics_whatever_its_pen, start),
		cmocka_unit_test_setup(
		    only_what_can_stand_in_a_segment_is_storable, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
