/*
 * tests/unit/test_importer_blocks.c - what stands between the packets
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/import_sent.h"

static void
statistics_stay_with_their_interface_in_nanoseconds(void **state)
{
	struct pb_block block;
	struct pb_option option;
	const uint8_t *list;
	size_t len;

	(void)state;
	start(true);
	img_shb(&img);
	img_idb_clock(&img, 3, 100);	/* milliseconds, and 100 s */
	img_idb(&img, 1, 0);
	img_begin(&img, 5);		/* of interface 1: no packet there */
	img_number(&img, 1, 4);
	img_ticks(&img, 0);
	img_end(&img);
	img_epb(&img, 0, 5, "abc", 3);
	img_begin(&img, 5);
	img_number(&img, 0, 4);
	img_ticks(&img, 7000);
	img_number(&img, PB_OPT_ISB_STARTTIME, 2);
	img_number(&img, 8, 2);
	img_ticks(&img, 5000000000);	/* past 32 bits */
	img_option_number(&img, PB_OPT_ISB_IFDROP, 42, 8);
	img_end(&img);
	imports(&img, &sent);
	assert_true(block_of(&sent.section[0].body, 1, &block));
	assert_int_equal(block.type, PB_BLOCK_ISB);
	assert_int_equal((uint64_t)pb_get_le32(block.at + 12) << 32 |
	    pb_get_le32(block.at + 16), 107000000000);
	assert_int_equal(pb_scan_options(&block, &list, &len, NULL), 0);
	assert_true(pb_option_find(list, len, PB_OPT_ISB_STARTTIME,
	    &option));
	assert_int_equal((uint64_t)pb_get_le32(option.value) << 32 |
	    pb_get_le32(option.value + 4), 5000100000000000);
	assert_true(pb_option_find(list, len, PB_OPT_ISB_IFDROP, &option));
	assert_int_equal(pb_get_le64(option.value), 42);
	assert_int_equal(sent.result.left_out.stray, 1);
	forget(&sent);
}

static void
put_block(uint32_t type, size_t bytes)
{
	static const uint8_t zeros[1024];

	img_begin(&img, type);
	for (; bytes > sizeof(zeros); bytes -= sizeof(zeros))
		img_bytes(&img, zeros, sizeof(zeros));
	img_bytes(&img, zeros, bytes);
	img_end(&img);
}

static void
other_blocks_stay_with_the_packet_that_follows(void **state)
{
	(void)state;
	start(false);
	img_shb(&img);
	img_idb(&img, 1, 0);
	img_idb(&img, 1, 0);
	put_block(PB_BLOCK_NRB, 4);
	img_epb(&img, 1, 5, "abc", 3);
	put_block(0x1234, 8);
	put_block(PB_BLOCK_CB, 8);
	put_block(PB_BLOCK_CB_NOCOPY, 8);
	put_block(PB_BLOCK_DSB, 8);
	img_epb(&img, 0, 5, "abc", 3);
	put_block(0x1235, 8);
	imports(&img, &sent);
	assert_string_equal(sent.section[1].key.interface, "if1");
	assert_int_equal(type_of(&sent.section[1].body, 0), PB_BLOCK_NRB);
	assert_int_equal(type_of(&sent.section[1].body, 1), PB_BLOCK_EPB);
	assert_int_equal(type_of(&sent.section[1].body, 2), 0);
	assert_int_equal(type_of(&sent.section[0].body, 0), 0x1234);
	assert_int_equal(type_of(&sent.section[0].body, 1), PB_BLOCK_EPB);
	/* No packet follows the last one: it stays behind the last. */
	assert_int_equal(type_of(&sent.section[0].body, 2), 0x1235);
	assert_int_equal(type_of(&sent.section[0].body, 3), 0);
	assert_int_equal(sent.result.left_out.custom, 2);
	assert_int_equal(sent.result.left_out.secrets, 1);
	assert_int_equal(sent.result.left_out.stray, 0);
	forget(&sent);
}

static void
secrets_are_kept_when_asked_for(void **state)
{
	struct pb_importer_opts opts;
	struct pb_err err;

	(void)state;
	start(false);
	img_shb(&img);
	img_idb(&img, 1, 0);
	put_block(PB_BLOCK_DSB, 8);
	img_epb(&img, 0, 5, "abc", 3);
	memset(&sent, 0, sizeof(sent));
	opts = options(&sent);
	opts.secrets = true;
	assert_int_equal(import(&img, &opts, &sent, &err), 0);
	assert_int_equal(type_of(&sent.section[0].body, 0), PB_BLOCK_DSB);
	assert_int_equal(sent.result.left_out.secrets, 0);
	forget(&sent);
}

static void
big_endian_blocks_nobody_knows_are_left_out_and_counted(void **state)
{
	(void)state;
	start(true);
	img_shb(&img);
	img_idb(&img, 1, 0);
	put_block(0x1234, 8);
	img_begin(&img, PB_BLOCK_NRB);	/* a record that leaves its block */
	img_number(&img, 1, 2);
	img_number(&img, 9, 2);
	img_bytes(&img, "abcdefgh", 8);
	img_end(&img);
	img_epb(&img, 0, 5, "abc", 3);
	imports(&img, &sent);
	assert_int_equal(sent.result.left_out.swapped, 2);
	assert_int_equal(type_of(&sent.section[0].body, 0), PB_BLOCK_EPB);
	assert_int_equal(type_of(&sent.section[0].body, 1), 0);
	forget(&sent);
}

/* The body of a NRB and a DSB with every kind of part. */
static void
put_names_and_secrets(void)
{
	img_begin(&img, PB_BLOCK_NRB);
	img_number(&img, 1, 2);
	img_number(&img, 9, 2);
	img_bytes(&img, "\x0a\0\0\1host", 9);
	img_pad(&img, 0);
	img_number(&img, 0, 4);
	img_option(&img, 2, "dns", 3);
	img_number(&img, PB_OPT_CUSTOM_BINARY, 2);
	img_number(&img, 6, 2);
	img_number(&img, PB_PEN_EXAMPLE, 4);
	img_bytes(&img, "xy", 2);
	img_pad(&img, 0);
	img_number(&img, 0, 4);
	img_end(&img);
	img_begin(&img, PB_BLOCK_DSB);
	img_number(&img, 0x544c534b, 4);
	img_number(&img, 5, 4);
	img_bytes(&img, "CLIEN", 5);
	img_pad(&img, 0);
	img_end(&img);
}

static void
big_endian_names_and_secrets_are_turned_round(void **state)
{
	struct pb_importer_opts opts;
	struct pb_block turned, little;
	struct pb_err err;
	struct sent other;

	(void)state;
	for (unsigned big = 0; big < 2; big++) {
		start(big);
		img_shb(&img);
		img_idb(&img, 1, 0);
		put_names_and_secrets();
		img_epb(&img, 0, 5, "abc", 3);
		other = sent;
		memset(&sent, 0, sizeof(sent));
		opts = options(&sent);
		opts.secrets = true;
		assert_int_equal(import(&img, &opts, &sent, &err), 0);
		assert_int_equal(sent.result.left_out.swapped, 0);
	}
	for (size_t n = 0; n < 2; n++) {
		assert_true(block_of(&other.section[0].body, n, &little));
		assert_true(block_of(&sent.section[0].body, n, &turned));
		assert_int_equal(turned.type, n == 0 ? PB_BLOCK_NRB :
		    PB_BLOCK_DSB);
		assert_int_equal(turned.len, little.len);
		assert_memory_equal(turned.at, little.at, little.len);
	}
	forget(&sent);
	forget(&other);
}

static void
blocks_beyond_the_room_are_left_out_and_counted(void **state)
{
	(void)state;
	start(false);
	img_shb(&img);
	put_block(0x1234, 600 << 10);
	img_idb(&img, 1, 0);
	img_epb(&img, 0, 5, "abc", 3);
	imports(&img, &sent);
	assert_int_equal(sent.result.left_out.stray, 1);
	assert_int_equal(type_of(&sent.section[0].body, 0), PB_BLOCK_EPB);
	forget(&sent);
}

static void
a_file_without_packets_makes_no_stream(void **state)
{
	(void)state;
	start(false);
	img_shb(&img);
	img_idb(&img, 1, 0);
	put_block(PB_BLOCK_NRB, 4);
	imports(&img, &sent);
	assert_int_equal(sent.sections, 0);
	assert_int_equal(sent.streams, 0);
	assert_int_equal(sent.result.interfaces, 1);
	assert_int_equal(sent.result.left_out.stray, 1);
	forget(&sent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    statistics_stay_with_their_interface_in_nanoseconds),
		cmocka_unit_test(
		    other_blocks_stay_with_the_packet_that_follows),
		cmocka_unit_test(secrets_are_kept_when_asked_for),
		cmocka_unit_test(
		    big_endian_blocks_nobody_knows_are_left_out_and_counted),
		cmocka_unit_test(
		    big_endian_names_and_secrets_are_turned_round),
		cmocka_unit_test(
		    blocks_beyond_the_room_are_left_out_and_counted),
		cmocka_unit_test(a_file_without_packets_makes_no_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
