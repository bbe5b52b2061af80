/*
 * tests/unit/test_build.c - blocks as we write them
 *
 * Expected bytes come from ng_image.h, not from the builder.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "tests/unit/ng_image.h"

static struct image img;
static struct pb_buf out, list;

static int
start(void **state)
{
	(void)state;
	memset(&img, 0, sizeof(img));
	pb_buf_init(&out, 1 << 20);
	pb_buf_init(&list, 1 << 20);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	pb_buf_finish(&out);
	pb_buf_finish(&list);
	return 0;
}

static void
assert_image(void)
{
	assert_int_equal(out.len, img.len);
	assert_memory_equal(out.data, img.data, img.len);
}

static void
a_section_header_is_version_1_0_of_unstated_length(void **state)
{
	(void)state;
	assert_int_equal(pb_build_shb(&out, NULL, 0), 0);
	img_shb(&img);
	assert_image();
}

static void
options_of_a_section_header_are_closed(void **state)
{
	(void)state;
	pb_option_put_text(&list, PB_OPT_SHB_USERAPPL, "PacketBroker");
	assert_int_equal(pb_build_shb(&out, list.data, list.len), 0);
	img_shb_begin(&img, 1, 0);
	img_option(&img, PB_OPT_SHB_USERAPPL, "PacketBroker", 12);
	img_option(&img, PB_OPT_END, NULL, 0);
	img_end(&img);
	assert_image();
}

static void
an_interface_counts_nanoseconds_whatever_it_counted_before(void **state)
{
	uint8_t nine = 9, four = 4;

	(void)state;
	pb_option_put_text(&list, PB_OPT_IF_NAME, "eth0");
	pb_option_put_u8(&list, PB_OPT_IF_TSRESOL, 6);
	pb_option_put_u64(&list, PB_OPT_IF_TSOFFSET, 3600);
	pb_option_put_u8(&list, PB_OPT_IF_FCSLEN, 0);
	pb_option_put(&list, PB_OPT_IF_FCSLEN, NULL, 0);
	pb_option_put_u8(&list, PB_OPT_IF_FCSLEN, 4);
	pb_option_put_text(&list, PB_OPT_COMMENT, "kept");
	assert_int_equal(pb_build_idb(&out, 113, PB_SNAPLEN, list.data,
	    list.len), 0);
	img_idb_begin(&img, 113, 262144);
	img_option(&img, PB_OPT_IF_TSRESOL, &nine, 1);
	img_option(&img, PB_OPT_IF_NAME, "eth0", 4);
	img_option(&img, PB_OPT_IF_FCSLEN, &four, 1);
	img_option(&img, PB_OPT_COMMENT, "kept", 4);
	img_option(&img, PB_OPT_END, NULL, 0);
	img_end(&img);
	assert_image();
}

static void
a_list_that_cannot_be_walked_makes_no_interface(void **state)
{
	static const uint8_t torn[] = { 2, 0, 9, 0, 'e', 't', 'h', '0' };

	(void)state;
	assert_int_equal(pb_build_idb(&out, 1, PB_SNAPLEN, torn,
	    sizeof(torn)), PB_EFORMAT);
	assert_int_equal(out.len, 0);
}

/* Memory is filled with 0xAA before, so that a byte not written shows. */
static void
a_packet_of_any_length_is_padded_and_framed(void **state)
{
	uint8_t at[128];

	(void)state;
	for (uint32_t caplen = 0; caplen <= 9; caplen++) {
		for (int options = 0; options < 2; options++) {
			struct pb_packet packet = {
				.time_ns = 0x1122334455667788,
				.caplen = caplen,
				.origlen = 1500,
				.data = caplen > 0 ?
				    (const uint8_t *)"abcdefghi" : NULL,
			};
			size_t bytes;

			img.len = 0;
			img_epb_begin(&img, 7, packet.time_ns, packet.data,
			    caplen, 1500);
			pb_buf_clear(&list);
			if (options) {
				pb_option_put_u64(&list, 5, 99);
				packet.options = list.data;
				packet.options_len = list.len;
				img_option_number(&img, 5, 99, 8);
				img_option(&img, PB_OPT_END, NULL, 0);
			}
			img_end(&img);
			memset(at, 0xAA, sizeof(at));
			bytes = pb_build_epb(at, 7, &packet);
			assert_int_equal(bytes, img.len);
			assert_int_equal(bytes, pb_epb_bytes(caplen,
			    packet.options_len));
			assert_memory_equal(at, img.data, bytes);
			assert_int_equal(at[bytes], 0xAA);
		}
	}
}

static void
statistics_carry_their_options(void **state)
{
	(void)state;
	pb_option_put_u64(&list, PB_OPT_ISB_IFDROP, 12);
	assert_int_equal(pb_build_isb(&out, 3, 0x0000000500000006, list.data,
	    list.len), 0);
	img_begin(&img, PB_BLOCK_ISB);
	img_number(&img, 3, 4);
	img_number(&img, 5, 4);
	img_number(&img, 6, 4);
	img_option_number(&img, PB_OPT_ISB_IFDROP, 12, 8);
	img_option(&img, PB_OPT_END, NULL, 0);
	img_end(&img);
	assert_image();
}

static void
a_filler_is_one_block_of_exactly_the_bytes_asked_for(void **state)
{
	uint8_t *at = malloc(PB_FILLER_BYTES_MAX + 1);
	struct pb_block block;
	const uint8_t *options;
	size_t len;

	(void)state;
	assert_non_null(at);
	for (size_t bytes = PB_FILLER_BYTES_MIN; bytes <= PB_FILLER_BYTES_MAX;
	    bytes += bytes < 128 ? 4 : 2040) {
		memset(at, 0xAA, PB_FILLER_BYTES_MAX + 1);
		pb_build_filler(at, bytes, 77, 32473);
		assert_int_equal(pb_scan_block(at, bytes, &block), 1);
		assert_int_equal(block.len, bytes);
		assert_int_equal(block.type, PB_BLOCK_ISB);
		assert_true(pb_scan_is_filler(&block));
		assert_int_equal(pb_scan_options(&block, &options, &len,
		    NULL), 0);
		assert_int_equal(len, bytes - 28);	/* closed */
		assert_int_equal(at[bytes], 0xAA);
	}
	pb_build_filler(at, PB_FILLER_BYTES_MIN, 0x0000000100000002, 32473);
	img_begin(&img, PB_BLOCK_ISB);
	img_number(&img, 0, 4);
	img_number(&img, 1, 4);
	img_number(&img, 2, 4);
	img_option(&img, 2989, "\xD9\x7E\0\0PB\1\3", 8);
	img_option(&img, PB_OPT_END, NULL, 0);
	img_end(&img);
	assert_memory_equal(at, img.data, PB_FILLER_BYTES_MIN);
	free(at);
}

static void
a_filler_may_say_when_its_segment_was_begun(void **state)
{
	uint8_t at[PB_BEGUN_BYTES + 1];
	struct pb_block block;

	(void)state;
	at[PB_BEGUN_BYTES] = 0xAA;
	pb_build_begun(at, 77, 32473, 0x1122334455667788);
	assert_int_equal(at[PB_BEGUN_BYTES], 0xAA);
	assert_int_equal(pb_scan_block(at, PB_BEGUN_BYTES, &block), 1);
	assert_int_equal(block.len, PB_BEGUN_BYTES);
	assert_true(pb_scan_is_filler(&block));
	assert_true(pb_scan_begun(&block) == 0x1122334455667788);
	/* Any other does not. */
	pb_build_filler(at, PB_BEGUN_BYTES, 77, 32473);
	assert_int_equal(pb_scan_begun(&block), 0);
	pb_build_filler(at, PB_FILLER_BYTES_MIN, 77, 32473);
	assert_int_equal(pb_scan_block(at, PB_BEGUN_BYTES, &block), 1);
	assert_int_equal(pb_scan_begun(&block), 0);
	pb_build_begun(at, 77, 32473, 5);
	at[28] = 'Q';		/* the mark is 'P', 'B' */
	assert_int_equal(pb_scan_block(at, PB_BEGUN_BYTES, &block), 1);
	assert_int_equal(pb_scan_begun(&block), 0);
}

static void
a_full_buffer_is_a_limit_and_keeps_what_it_had(void **state)
{
	(void)state;
	assert_int_equal(pb_build_shb(&out, NULL, 0), 0);
	img_shb(&img);
	out.max = out.len + 4;
	assert_int_equal(pb_build_idb(&out, 1, PB_SNAPLEN, NULL, 0),
	    PB_ELIMIT);
	assert_true(out.failed);
	assert_image();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_section_header_is_version_1_0_of_unstated_length,
		    start, end),
		cmocka_unit_test_setup_teardown(
		    options_of_a_section_header_are_closed, start, end),
		cmocka_unit_test_setup_teardown(
		    an_interface_counts_nanoseconds_whatever_it_counted_before,
		    start, end),
		cmocka_unit_test_setup_teardown(
		    a_list_that_cannot_be_walked_makes_no_interface, start,
		    end),
		cmocka_unit_test_setup_teardown(
		    a_packet_of_any_length_is_padded_and_framed, start, end),
		cmocka_unit_test_setup_teardown(
		    statistics_carry_their_options, start, end),
		cmocka_unit_test_setup_teardown(
		    a_filler_is_one_block_of_exactly_the_bytes_asked_for,
		    start, end),
		cmocka_unit_test_setup_teardown(
		    a_filler_may_say_when_its_segment_was_begun, start, end),
		cmocka_unit_test_setup_teardown(
		    a_full_buffer_is_a_limit_and_keeps_what_it_had, start,
		    end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
