/*
 * tests/unit/test_reader_packet.c - capture files: packets and options
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/reader_run.h"

/* --- packets ------------------------------------------------------------- */

static void
a_packet_keeps_both_lengths_as_they_were_written(void **state)
{
	static const uint32_t origlens[] = { 0, 4, 5, 6, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		begin(i % 2 == 0);
		img_epb_begin(&img, 0, 1, "abcde", 5, origlens[i]);
		img_end(&img);
		expect_end(3);
		expect_payload(2, "abcde");
		assert_int_equal(got.event[2].packet.origlen, origlens[i]);
	}
}

static void
a_packet_that_leaves_its_block_is_an_error(void **state)
{
	static const uint32_t rows[] = { 9, 12, 100, PB_CAPLEN_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t at;

		begin(false);
		at = img.len;
		img_epb(&img, 0, 1, "abcdefgh", 8);
		img_patch(&img, at + 20, rows[i], 4);
		expect_error(PB_EFORMAT, at, "leaves its block");
	}
}

static void
a_packet_over_the_largest_is_an_error_in_every_kind_of_record(void **state)
{
	size_t at;

	(void)state;
	for (uint32_t over = 0; over < 2; over++) {
		static uint8_t data[PB_CAPLEN_MAX + 1];
		uint32_t bytes = PB_CAPLEN_MAX + over;

		begin(false);
		at = img.len;
		img_epb(&img, 0, 1, data, bytes);
		if (over)
			expect_error(PB_EFORMAT, at, "262145");
		else
			expect_end(3);
		begin(false);
		img_begin(&img, PB_BLOCK_SPB);
		img_number(&img, bytes, 4);
		img_bytes(&img, data, bytes);
		img_pad(&img, 0);
		img_end(&img);
		if (over)
			expect_error(PB_EFORMAT, at, "262145");
		else
			expect_end(3);
		start(NULL);
		img_pcap(&img, 0xA1B2C3D4, 4, 1);
		img_record(&img, 1, 1, bytes, bytes, data, bytes);
		if (over)
			expect_error(PB_EFORMAT, 24, "262145");
		else
			expect_end(3);
	}
}

static void
a_simple_packet_has_no_time_and_the_snap_length_of_interface_0(void **state)
{
	static const struct {
		uint32_t	snaplen, origlen, room, caplen;
	} rows[] = {
		{ 0, 5, 8, 5 }, { 4, 5, 4, 4 }, { 0, 100, 8, 8 },
		{ 6, 100, 8, 6 }, { 0, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(NULL);
		img.big = i % 2 == 1;
		img_shb(&img);
		img_idb(&img, 1, rows[i].snaplen);
		img_idb(&img, 1, 1);
		img_begin(&img, PB_BLOCK_SPB);
		img_number(&img, rows[i].origlen, 4);
		img_bytes(&img, "abcdefgh", rows[i].room);
		img_end(&img);
		expect_end(4);
		assert_int_equal(got.event[3].kind, PB_EVENT_PACKET);
		assert_false(got.event[3].has_time);
		assert_int_equal(got.event[3].interface, 0);
		assert_int_equal(got.event[3].packet.caplen, rows[i].caplen);
		assert_int_equal(got.event[3].packet.origlen,
		    rows[i].origlen);
	}
}

/* An obsolete Packet Block with `drops`, flags, a hash and a code 4. */
static void
put_old_packet(uint16_t drops)
{
	img_begin(&img, PB_BLOCK_PB);
	img_number(&img, 0, 2);
	img_number(&img, drops, 2);
	img_ticks(&img, 77);
	img_number(&img, 3, 4);
	img_number(&img, 60, 4);
	img_bytes(&img, "old", 3);
	img_pad(&img, 0);
	img_option_number(&img, 2, 0x01020304, 4);
	img_option(&img, 3, "\x02hash", 5);
	img_option(&img, 4, "12345678", 8);
	img_option(&img, PB_OPT_COMMENT, "hi", 2);
	img_option(&img, PB_OPT_END, NULL, 0);
	img_end(&img);
}

static void
an_old_packet_block_gives_the_options_of_its_successor(void **state)
{
	static const uint8_t drops[8] = { 0x34, 0x12 };
	struct pb_option option;

	(void)state;
	for (int big = 0; big < 2; big++) {
		begin(big);
		put_old_packet(0x1234);
		put_old_packet(0xFFFF);
		expect_end(4);
		expect_payload(2, "old");
		assert_int_equal(got.event[2].packet.time_ns, 77);
		assert_int_equal(got.event[2].packet.origlen, 60);
		expect_option(2, PB_OPT_EPB_FLAGS, "\4\3\2\1", 4);
		expect_option(2, PB_OPT_EPB_HASH, "\2hash", 5);
		expect_option(2, PB_OPT_COMMENT, "hi", 2);
		expect_option(2, PB_OPT_EPB_DROPCOUNT, drops, 8);
		assert_false(pb_option_find(got.options[3],
		    got.event[3].packet.options_len, PB_OPT_EPB_DROPCOUNT,
		    &option));
	}
}

/* As ntar wrote it, and as Wireshark reads it. */
static void
an_old_packet_block_may_state_its_length_without_padding(void **state)
{
	size_t at;

	(void)state;
	begin(false);
	at = img.len;
	put_old_packet(0);
	img_patch(&img, at + 4, img.len - at - 1, 4);
	img_patch(&img, img.len - 4, img.len - at - 1, 4);
	img_epb(&img, 0, 1, "next", 4);
	expect_end(4);
	expect_payload(2, "old");
	expect_payload(3, "next");
}

/* --- options ------------------------------------------------------------- */

static void
packet_options_of_either_order_are_the_same(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		begin(big);
		img_epb_begin(&img, 0, 1, "a", 1, 1);
		img_option_number(&img, PB_OPT_EPB_FLAGS, 0x01020304, 4);
		img_option_number(&img, PB_OPT_EPB_DROPCOUNT, 5, 8);
		img_option_number(&img, PB_OPT_EPB_PACKETID, 6, 8);
		img_option_number(&img, PB_OPT_EPB_QUEUE, 7, 4);
		img_option(&img, PB_OPT_EPB_HASH, "\2\1\2\3\4", 5);
		img_option(&img, PB_OPT_EPB_VERDICT, "\0abcdefgh", 9);
		img_option(&img, 99, "unknown!", 8);
		img_number(&img, PB_OPT_EPB_PROCESSID_THREADID, 2);
		img_number(&img, 8, 2);
		img_number(&img, 8, 4);
		img_number(&img, 9, 4);
		img_end(&img);
		expect_end(3);
		expect_option(2, PB_OPT_EPB_FLAGS, "\4\3\2\1", 4);
		expect_option(2, PB_OPT_EPB_DROPCOUNT, "\5\0\0\0\0\0\0", 8);
		expect_option(2, PB_OPT_EPB_PACKETID, "\6\0\0\0\0\0\0", 8);
		expect_option(2, PB_OPT_EPB_QUEUE, "\7\0\0", 4);
		expect_option(2, PB_OPT_EPB_HASH, "\2\1\2\3\4", 5);
		expect_option(2, PB_OPT_EPB_VERDICT, "\0abcdefgh", 9);
		expect_option(2, 99, "unknown!", 8);
		expect_option(2, PB_OPT_EPB_PROCESSID_THREADID,
		    "\x08\0\0\0\x09\0\0", 8);
	}
}

static void
custom_options_have_their_pen_turned_and_nothing_else(void **state)
{
	static const uint16_t codes[] = { 2988, 2989, 19372, 19373 };

	(void)state;
	for (int big = 0; big < 2; big++) {
		begin(big);
		img_epb_begin(&img, 0, 1, "a", 1, 1);
		for (size_t i = 0; i < 4; i++) {
			img_number(&img, codes[i], 2);
			img_number(&img, 9, 2);
			img_number(&img, 32473, 4);
			img_bytes(&img, "abcde\0\0\0", 8);
		}
		img_option(&img, 2989, "abc", 3);	/* too short for one */
		img_end(&img);
		expect_end(3);
		assert_int_equal(got.event[2].packet.options_len, 72);
		for (size_t i = 0; i < 4; i++)
			expect_option(2, codes[i], "\xD9\x7E\0\0abcde", 9);
		assert_memory_equal(got.options[2] + 68, "abc", 4);
	}
}

static void
verdicts_of_ebpf_are_numbers(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		begin(big);
		img_epb_begin(&img, 0, 1, "a", 1, 1);
		img_number(&img, PB_OPT_EPB_VERDICT, 2);
		img_number(&img, 9, 2);
		img_bytes(&img, "\1", 1);
		img_number(&img, 5, 8);
		img_pad(&img, 0);
		img_end(&img);
		expect_end(3);
		expect_option(2, PB_OPT_EPB_VERDICT, "\1\5\0\0\0\0\0\0", 9);
	}
}

static void
interface_options_of_either_order_are_the_same(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		start(NULL);
		img.big = big;
		img_shb(&img);
		img_idb_begin(&img, 1, 0);
		img_option(&img, PB_OPT_IF_NAME, "eth0", 4);
		img_option(&img, PB_OPT_IF_IPV4ADDR, "\1\2\3\4\5\6\7\x08", 8);
		img_option_number(&img, PB_OPT_IF_SPEED, 1000, 8);
		img_option_number(&img, PB_OPT_IF_TZONE, 2, 4);
		img_option_number(&img, PB_OPT_IF_TXSPEED, 3, 8);
		img_option_number(&img, PB_OPT_IF_RXSPEED, 4, 8);
		img_number(&img, PB_OPT_IF_FILTER, 2);
		img_number(&img, 9, 2);
		img_bytes(&img, "\1", 1);	/* BPF: ldh [12] */
		img_number(&img, 0x28, 2);
		img_bytes(&img, "\0\0", 2);
		img_number(&img, 12, 4);
		img_pad(&img, 0);
		img_end(&img);
		expect_end(2);
		expect_option(1, PB_OPT_IF_NAME, "eth0", 4);
		expect_option(1, PB_OPT_IF_IPV4ADDR, "\1\2\3\4\5\6\7\x08", 8);
		expect_option(1, PB_OPT_IF_SPEED, "\xE8\3\0\0\0\0\0", 8);
		expect_option(1, PB_OPT_IF_TZONE, "\2\0\0", 4);
		expect_option(1, PB_OPT_IF_TXSPEED, "\3\0\0\0\0\0\0", 8);
		expect_option(1, PB_OPT_IF_RXSPEED, "\4\0\0\0\0\0\0", 8);
		expect_option(1, PB_OPT_IF_FILTER,
		    "\1\x28\0\0\0\x0C\0\0", 9);
	}
}

static void
statistics_keep_their_own_times_and_counters(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		begin(big);
		img_begin(&img, PB_BLOCK_ISB);
		img_number(&img, 0, 4);
		img_ticks(&img, 1700000000000000001);
		img_number(&img, PB_OPT_ISB_STARTTIME, 2);
		img_number(&img, 8, 2);
		img_ticks(&img, 0x0000000100000002);
		img_option_number(&img, PB_OPT_ISB_IFDROP, 3, 8);
		img_end(&img);
		expect_end(3);
		assert_int_equal(got.event[2].kind, PB_EVENT_STATISTICS);
		assert_int_equal(got.event[2].packet.time_ns,
		    1700000000000000001);
		expect_option(2, PB_OPT_ISB_STARTTIME, "\1\0\0\0\2\0\0", 8);
		expect_option(2, PB_OPT_ISB_IFDROP, "\3\0\0\0\0\0\0", 8);
	}
}

static void
padding_that_is_not_zero_comes_out_zero(void **state)
{
	(void)state;
	begin(false);
	img_epb_begin(&img, 0, 1, "a", 1, 1);
	img_number(&img, PB_OPT_COMMENT, 2);
	img_number(&img, 1, 2);
	img_bytes(&img, "xYZW", 4);
	img_end(&img);
	expect_end(3);
	assert_int_equal(got.event[2].packet.options_len, 8);
	assert_memory_equal(got.options[2], "\1\0\1\0x\0\0\0", 8);
}

static void
options_end_with_opt_endofopt_or_with_their_block(void **state)
{
	(void)state;
	for (int end = 0; end < 2; end++) {
		begin(end);
		img_epb_begin(&img, 0, 1, "a", 1, 1);
		img_option(&img, PB_OPT_COMMENT, "x", 1);
		if (end) {
			img_option(&img, PB_OPT_END, NULL, 0);
			img_bytes(&img, "\xFF\xFF\xFF\xFF", 4);
		}
		img_end(&img);
		expect_end(3);
		assert_int_equal(got.event[2].packet.options_len, 8);
	}
}

static void
an_option_that_leaves_its_block_is_an_error(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		size_t at;

		begin(big);
		at = img.len;
		img_epb_begin(&img, 0, 1, "a", 1, 1);
		img_number(&img, PB_OPT_COMMENT, 2);
		img_number(&img, 5, 2);
		img_bytes(&img, "abcd", 4);
		img_end(&img);
		expect_error(PB_EFORMAT, at, "option");
	}
}

static void
options_over_the_limit_are_refused_in_either_order(void **state)
{
	static const uint8_t value[65532];

	(void)state;
	for (int big = 0; big < 2; big++) {
		size_t at;

		begin(big);
		at = img.len;
		img_epb_begin(&img, 0, 1, "a", 1, 1);
		for (int i = 0; i < 4; i++)
			img_option(&img, 99, value, sizeof(value));
		img_end(&img);	/* 4 * 65536: exactly the limit */
		expect_end(3);
		assert_int_equal(got.event[2].packet.options_len,
		    PB_OPTIONS_BYTES_MAX);
		img.len -= 4;
		img_option(&img, 99, NULL, 0);
		img_end(&img);
		expect_error(PB_ELIMIT, at, "262144");
	}
}

static void
other_blocks_pass_untouched(void **state)
{
	static const uint32_t types[] = {
		PB_BLOCK_NRB, PB_BLOCK_DSB, PB_BLOCK_CB, PB_BLOCK_CB_NOCOPY,
		0x80000001, 9,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint64_t whole;
		size_t at;

		begin(i % 2 == 1);
		at = img.len;
		img_begin(&img, types[i]);
		img_bytes(&img, "anything", 8);
		img_end(&img);
		whole = fnv(0, img.data + at, img.len - at);
		expect_end(3);
		assert_int_equal(got.event[2].kind, PB_EVENT_BLOCK);
		assert_int_equal(got.event[2].block_type, types[i]);
		assert_int_equal(got.event[2].block_len, img.len - at);
		assert_int_equal(got.event[2].offset, at);
		assert_int_equal(got.event[2].swapped, i % 2 == 1);
		assert_int_equal(whole, fnv(0, img.data + at, 20));
	}
}

#define TEST(f)	cmocka_unit_test_setup(f, start)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_keeps_both_lengths_as_they_were_written),
		TEST(a_packet_that_leaves_its_block_is_an_error),
		TEST(
		a_packet_over_the_largest_is_an_error_in_every_kind_of_record),
		TEST(
		a_simple_packet_has_no_time_and_the_snap_length_of_interface_0),
		TEST(an_old_packet_block_gives_the_options_of_its_successor),
		TEST(an_old_packet_block_may_state_its_length_without_padding),
		TEST(packet_options_of_either_order_are_the_same),
		TEST(custom_options_have_their_pen_turned_and_nothing_else),
		TEST(verdicts_of_ebpf_are_numbers),
		TEST(interface_options_of_either_order_are_the_same),
		TEST(statistics_keep_their_own_times_and_counters),
		TEST(padding_that_is_not_zero_comes_out_zero),
		TEST(options_end_with_opt_endofopt_or_with_their_block),
		TEST(an_option_that_leaves_its_block_is_an_error),
		TEST(options_over_the_limit_are_refused_in_either_order),
		TEST(other_blocks_pass_untouched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
