/*
 * tests/unit/test_sift.c - a section without the packets a filter leaves out
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "pcapng/build.h"
#include "pcapng/filtered.h"
#include "pcapng/hop.h"
#include "recorder/store/fingerprint.h"
#include "recorder/sift/sift.h"

#define PEN	4711u
#define LAST	40u
#define TIME(seq)	(1700000000000000000ull + (seq) * 1000)

/* The first byte of packet `seq` is its number. */
static struct pb_packet
packet_of(uint64_t seq, uint32_t caplen, uint8_t *data, uint8_t *options)
{
	memset(data, 0, caplen);
	data[0] = (uint8_t)seq;
	pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);
	return (struct pb_packet){ .time_ns = TIME(seq), .caplen = caplen,
	    .origlen = caplen, .data = data, .options = options,
	    .options_len = PB_OPTION_BYTES(8) };
}

static void
add_packet(struct pb_buf *out, uint64_t seq, uint32_t caplen)
{
	uint8_t data[256], options[PB_OPTION_BYTES(8)], *at;
	struct pb_packet packet = packet_of(seq, caplen, data, options);

	at = pb_buf_reserve(out, pb_epb_bytes(caplen, sizeof(options)));
	out->len += pb_build_epb(at, 0, &packet);
}

static void
add_run(struct pb_buf *out, uint64_t first, uint64_t last)
{
	struct pb_filtered run = { .first = first, .last = last,
	    .time_ns = TIME(last), .digest = 1000 + last };
	uint8_t block[PB_FILTERED_BYTES];

	pb_build_filtered(block, &run, PEN);
	pb_buf_put(out, block, sizeof(block));
}

static void
begin(struct pb_buf *out)
{
	struct pb_identity id = { .epoch = 1, .first_seq = 1, .nodes = 1,
	    .interface = "eth0", .node = { { "lon1", "" } } };
	struct pb_buf options;

	pb_buf_init(out, 1u << 20);
	pb_buf_init(&options, 4096);
	assert_int_equal(pb_identity_put(&options, PEN, &id), 0);
	assert_int_equal(pb_build_shb(out, options.data, options.len), 0);
	assert_int_equal(pb_build_idb(out, PB_LINKTYPE_ETHERNET, 262144, NULL,
	    0), 0);
	pb_buf_finish(&options);
}

static bool first_apart;

/* "P5 F6-9" and so on; the head is as it was. */
static void
sift(const char *filter, const struct pb_buf *section, char *out,
    uint64_t *filtered, struct pb_filtered *last_run)
{
	struct pb_filter *compiled = NULL;
	struct pb_sift *sift;
	struct pb_sifted is;
	struct pb_filtered run;
	struct pb_block block;
	struct pb_err err;
	uint64_t first, last;
	struct pb_buf to;

	assert_int_equal(pb_filter_create(&compiled, filter,
	    PB_LINKTYPE_ETHERNET, &err), 0);
	sift = pb_sift_create(compiled, PB_CAPLEN_MAX);
	sift->first_apart = first_apart;
	pb_buf_init(&to, 1u << 20);
	assert_int_equal(pb_sift_section(sift, section->data, section->len,
	    SIZE_MAX, &to, &is), 0);
	*filtered = is.filtered;
	assert_int_equal(is.cut, 0);
	pb_sift_unref(sift);
	out[0] = '\0';
	for (size_t at = 0; at < to.len; at += block.len) {
		if (pb_scan_block(to.data + at, to.len - at, &block) != 1) {
			sprintf(out + strlen(out), "+%zu", to.len - at);
			break;
		}
		if (pb_scan_numbers(&block, &first, &last) != 1)
			continue;
		if (block.type == PB_BLOCK_EPB) {
			sprintf(out + strlen(out), "P%d ", (int)last);
		} else if (pb_scan_filtered(&block, &run) == 1) {
			sprintf(out + strlen(out), "F%d-%d ", (int)first,
			    (int)last);
			assert_int_equal(pb_get_le32(block.at + PB_ISB_HEAD +
			    4), PEN);
			*last_run = run;
		}
	}
	pb_buf_finish(&to);
}

static void
runs_are_said_where_they_were(void **state)
{
	uint8_t data[256], options[PB_OPTION_BYTES(8)];
	struct pb_filtered run;
	struct pb_packet packet;
	struct pb_buf section;
	uint64_t filtered;
	char text[256];

	(void)state;
	begin(&section);
	for (uint64_t seq = 1; seq <= 9; seq++)
		add_packet(&section, seq, 60);
	sift("ether[0] = 3 or ether[0] = 4 or ether[0] = 8", &section, text,
	    &filtered, &run);
	assert_string_equal(text, "F1-2 P3 P4 F5-7 P8 F9-9 ");
	assert_int_equal(filtered, 6);
	packet = packet_of(9, 60, data, options);
	assert_int_equal(run.digest, pb_fingerprint(&packet, 9).digest);
	assert_int_equal(run.time_ns, TIME(9));
	sift("", &section, text, &filtered, &run);
	assert_string_equal(text, "P1 P2 P3 P4 P5 P6 P7 P8 P9 ");
	assert_int_equal(filtered, 0);
	sift("less 1", &section, text, &filtered, &run);
	assert_string_equal(text, "F1-9 ");
	pb_buf_finish(&section);
}

/* The smallest packets are smaller than what says that they were left out. */
static void
packets_of_a_byte_make_way_for_what_says_so(void **state)
{
	struct pb_filtered run;
	struct pb_buf section;
	uint64_t filtered;
	char text[512];

	(void)state;
	begin(&section);
	for (uint64_t seq = 1; seq <= LAST; seq++)
		add_packet(&section, seq, 1);
	sift("ether[0] & 1 = 0", &section, text, &filtered, &run);
	assert_int_equal(filtered, LAST / 2);
	assert_memory_equal(text, "F1-1 P2 F3-3 P4 ", 16);
	pb_buf_finish(&section);
}

static void
what_an_earlier_node_left_out_is_of_the_same_run(void **state)
{
	struct pb_filtered run;
	struct pb_buf section;
	uint64_t filtered;
	char text[256];

	(void)state;
	begin(&section);
	add_run(&section, 1, 4);
	add_packet(&section, 5, 60);
	add_run(&section, 6, 6);
	add_packet(&section, 7, 60);
	add_packet(&section, 8, 60);
	add_run(&section, 9, 12);
	sift("ether[0] != 5 and ether[0] != 8", &section, text, &filtered,
	    &run);
	assert_string_equal(text, "F1-6 P7 F8-12 ");
	assert_int_equal(filtered, 2);
	assert_int_equal(run.digest, 1012);
	sift("", &section, text, &filtered, &run);
	assert_string_equal(text, "F1-4 P5 F6-6 P7 P8 F9-12 ");
	/* What is no block goes as it is. */
	pb_buf_put(&section, "rubbish!", 8);
	sift("ether[0] = 7", &section, text, &filtered, &run);
	assert_string_equal(text, "F1-6 P7 F8-12 +8");
	pb_buf_finish(&section);
}

/* Whatever of it an answer has. */
static void
the_first_packet_is_known_where_that_is_asked_for(void **state)
{
	uint8_t data[256], options[PB_OPTION_BYTES(8)];
	struct pb_filtered run;
	struct pb_packet packet;
	struct pb_buf section;
	uint64_t filtered;
	char text[256];

	(void)state;
	first_apart = true;
	begin(&section);
	add_packet(&section, 1, 60);
	sift("less 1", &section, text, &filtered, &run);
	packet = packet_of(1, 60, data, options);
	assert_int_equal(run.digest, pb_fingerprint(&packet, 1).digest);
	for (uint64_t seq = 2; seq <= 5; seq++)
		add_packet(&section, seq, 60);
	sift("less 1", &section, text, &filtered, &run);
	assert_string_equal(text, "F1-1 F2-5 ");
	assert_int_equal(filtered, 5);
	sift("ether[0] < 3", &section, text, &filtered, &run);
	assert_string_equal(text, "P1 P2 F3-5 ");
	pb_buf_finish(&section);
	begin(&section);
	add_run(&section, 1, 4);
	add_packet(&section, 5, 60);
	add_packet(&section, 6, 60);
	sift("less 1", &section, text, &filtered, &run);
	assert_string_equal(text, "F1-4 F5-6 ");
	pb_buf_finish(&section);
	first_apart = false;
}

/* The numbers of a section follow one another from 1: the last one. */
static uint64_t
last_of(const struct pb_buf *section, unsigned *others)
{
	uint64_t first, last, at = 0;
	struct pb_block block;

	*others = 0;
	for (size_t i = 0; i < section->len; i += block.len) {
		assert_int_equal(pb_scan_block(section->data + i,
		    section->len - i, &block), 1);
		if (pb_scan_numbers(&block, &first, &last) == 1) {
			assert_int_equal(first, at + 1);
			at = last;
		} else {
			*others += block.type == PB_BLOCK_NRB;
		}
	}
	return at;
}

/* Each packet has a block before it that is its own. */
static void
it_ends_where_it_would_have_more_than_was_asked_for(void **state)
{
	static const char *const filters[] = { "", "less 1",
	    "ether[0] & 1 = 0", "ether[0] & 1 = 1", "ether[0] < 20" };
	struct pb_filter *filter;
	struct pb_sifted is;
	struct pb_sift *sift;
	struct pb_buf section, to;
	unsigned others;

	(void)state;
	begin(&section);
	for (uint64_t seq = 1; seq <= LAST; seq++) {
		pb_buf_put(&section, "\4\0\0\0\20\0\0\0\0\0\0\0"
		    "\20\0\0\0", 16);
		add_packet(&section, seq, seq % 3 == 0 ? 200 : 1);
	}
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(pb_filter_create(&filter, filters[i / 2],
		    PB_LINKTYPE_ETHERNET, NULL), 0);
		sift = pb_sift_create(filter, i % 2 ? 20 : PB_CAPLEN_MAX);
		sift->first_apart = i % 2;
		for (size_t max = 0; max <= section.len * 2; max += 3) {
			pb_buf_init(&to, 1u << 20);
			assert_int_equal(pb_sift_section(sift, section.data,
			    section.len, max, &to, &is), 0);
			assert_int_equal(last_of(&to, &others), is.last);
			assert_int_equal(others, is.last);
			assert_true(is.last > 0);
			assert_true(to.len <= max || is.last == 1);
			pb_buf_finish(&to);
		}
		assert_int_equal(is.last, LAST);
		pb_sift_unref(sift);
	}
	pb_buf_finish(&section);
}

static void
packets_are_cut_and_keep_all_else(void **state)
{
	struct pb_sift *sift = pb_sift_create(NULL, 20);
	uint8_t data[256], options[PB_OPTION_BYTES(8)];
	struct pb_packet want, packet;
	struct pb_buf section, to;
	struct pb_sifted is;
	struct pb_block block;
	uint64_t seq = 0;

	(void)state;
	begin(&section);
	for (uint32_t caplen = 17; caplen <= 25; caplen++)
		add_packet(&section, caplen, caplen);
	add_run(&section, 26, 30);
	pb_buf_init(&to, 1u << 20);
	assert_int_equal(pb_sift_section(sift, section.data, section.len,
	    SIZE_MAX, &to, &is), 0);
	assert_int_equal(is.filtered, 0);
	assert_int_equal(is.cut, 5);
	for (size_t at = 0; at < to.len; at += block.len) {
		assert_int_equal(pb_scan_block(to.data + at, to.len - at,
		    &block), 1);
		if (pb_scan_epb(&block, &packet) < 0)
			continue;
		assert_true(pb_packet_seq(&packet, &seq));
		want = packet_of(seq, (uint32_t)seq, data, options);
		assert_int_equal(packet.caplen, seq < 20 ? seq : 20);
		assert_int_equal(packet.origlen, seq);
		assert_int_equal(packet.time_ns, want.time_ns);
		assert_memory_equal(packet.data, want.data, packet.caplen);
		assert_int_equal(packet.options_len, want.options_len);
	}
	assert_int_equal(seq, 25);
	pb_buf_finish(&section);
	pb_buf_finish(&to);
	pb_sift_unref(sift);
}

static void
a_run_is_cut_to_the_numbers_that_are_asked_for(void **state)
{
	static const uint64_t cut[][4] = { { 1, 99, 10, 20 },
	    { 12, 99, 12, 20 }, { 1, 15, 10, 15 }, { 12, 15, 12, 15 } };
	struct pb_filtered run;
	struct pb_block block;
	struct pb_buf one;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		pb_buf_init(&one, 4096);
		add_run(&one, 10, 20);
		pb_clip_filtered(one.data, cut[i][0], cut[i][1]);
		assert_int_equal(pb_scan_block(one.data, one.len, &block), 1);
		assert_int_equal(pb_scan_filtered(&block, &run), 1);
		assert_int_equal(run.first, cut[i][2]);
		assert_int_equal(run.last, cut[i][3]);
		assert_int_equal(run.digest, run.last == 20 ? 1020 : 0);
		pb_buf_finish(&one);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_said_where_they_were),
		cmocka_unit_test(packets_of_a_byte_make_way_for_what_says_so),
		cmocka_unit_test(
		    what_an_earlier_node_left_out_is_of_the_same_run),
		cmocka_unit_test(
		    the_first_packet_is_known_where_that_is_asked_for),
		cmocka_unit_test(
		    it_ends_where_it_would_have_more_than_was_asked_for),
		cmocka_unit_test(packets_are_cut_and_keep_all_else),
		cmocka_unit_test(a_run_is_cut_to_the_numbers_that_are_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
