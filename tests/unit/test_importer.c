/*
 * tests/unit/test_importer.c - capture files as streams of packets, or refused
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/import_sent.h"

static void
each_interface_with_packets_is_a_stream(void **state)
{
	(void)state;
	start(false);
	img_shb(&img);
	img_idb_begin(&img, 1, 0);
	name_option(&img, "eth0");
	img_end(&img);
	img_idb_begin(&img, 113, 0);
	name_option(&img, "any");
	img_end(&img);
	img_idb(&img, 1, 0);		/* unnamed, and nothing on it */
	img_idb(&img, 101, 0);		/* unnamed */
	img_epb(&img, 0, 5, "abc", 3);
	img_epb(&img, 1, 6, "de", 2);
	img_epb(&img, 0, 7, "f", 1);
	img_epb(&img, 3, 8, "g", 1);
	imports(&img, &sent);
	assert_int_equal(sent.result.packets, 4);
	assert_int_equal(sent.result.interfaces, 4);
	assert_int_equal(sent.result.streams, 3);
	assert_int_equal(sent.streams, 3);
	assert_int_equal(sent.sections, 3);
	assert_string_equal(sent.stream[0].key.node, "lon");
	assert_string_equal(sent.stream[0].key.interface, "eth0");
	assert_string_equal(sent.stream[1].key.interface, "any");
	assert_string_equal(sent.stream[2].key.interface, "if3");
	assert_int_equal(sent.stream[0].packets, 2);
	assert_true(sent.stream[0].key.epoch != sent.stream[1].key.epoch);
	assert_int_equal(sent.section[0].first, 1);
	assert_int_equal(sent.section[0].last, 2);
	assert_memory_equal(packet_of(&sent.section[0].body, 1).data, "f", 1);
	assert_memory_equal(packet_of(&sent.section[1].body, 0).data, "de",
	    2);
	forget(&sent);
}

static void
a_section_says_who_it_is(void **state)
{
	struct pb_option option;
	struct pb_head *head;

	(void)state;
	start(true);
	img_shb_begin(&img, 1, 0);
	img_option(&img, PB_OPT_COMMENT, "of the section", 14);
	img_option(&img, PB_OPT_SHB_HARDWARE, "a toaster", 9);
	img_end(&img);
	img_idb_begin(&img, 147, 100);
	img_option(&img, PB_OPT_IF_DESCRIPTION, "uplink", 6);
	img_end(&img);
	img_epb(&img, 0, 5, "abc", 3);
	imports(&img, &sent);
	head = head_of(&sent.section[0].body);
	assert_int_equal(head->linktype, 147);
	assert_int_equal(head->identity.nodes, 1);
	assert_string_equal(head->identity.node[0].name, "lon");
	assert_string_equal(head->identity.node[0].description, "London");
	assert_string_equal(head->identity.interface, "if0");
	assert_true(head->identity.epoch == sent.stream[0].key.epoch);
	assert_true(pb_option_find(head->shb_options.data,
	    head->shb_options.len, PB_OPT_COMMENT, &option));
	assert_memory_equal(option.value, "of the section", 14);
	assert_true(pb_option_find(head->shb_options.data,
	    head->shb_options.len, PB_OPT_SHB_HARDWARE, &option));
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_DESCRIPTION, &option));
	assert_memory_equal(option.value, "uplink", 6);
	/* It had no name: it gets the stream's. */
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_NAME, &option));
	assert_memory_equal(option.value, "if0", 3);
	pb_head_unref(head);
	forget(&sent);
}

static void
packets_keep_their_options_but_for_the_number_and_hops(void **state)
{
	static const uint8_t hops[] = { 0xd9, 0x7e, 0, 0, 'P', 'B', 1, 2, 9,
	    0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0 };
	struct pb_packet packet;
	struct pb_option_walk walk;
	struct pb_option option;
	uint64_t seq;
	static const uint16_t code[] = { PB_OPT_EPB_PACKETID, PB_OPT_COMMENT,
	    PB_OPT_EPB_FLAGS, 999, PB_OPT_COMMENT };

	(void)state;
	start(false);
	img_shb(&img);
	img_idb_clock(&img, 9, 0);
	img_epb_begin(&img, 0, 1234567890123456789u, "abcde", 5, 99);
	img_option(&img, PB_OPT_COMMENT, "one", 3);
	img_option_number(&img, PB_OPT_EPB_FLAGS, 2, 4);
	img_option_number(&img, PB_OPT_EPB_PACKETID, 4711, 8);
	img_option(&img, 999, "?", 1);
	img_option(&img, PB_OPT_CUSTOM_BINARY, hops, sizeof(hops));
	img_option(&img, PB_OPT_COMMENT, "two", 3);
	img_end(&img);
	imports(&img, &sent);
	packet = packet_of(&sent.section[0].body, 0);
	assert_true(packet.time_ns == 1234567890123456789u);
	assert_int_equal(packet.caplen, 5);
	assert_int_equal(packet.origlen, 99);
	assert_true(pb_packet_seq(&packet, &seq));
	assert_int_equal(seq, 1);
	walk = (struct pb_option_walk){ packet.options,
	    packet.options_len };
	for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
		assert_int_equal(pb_option_next(&walk, &option), 1);
		assert_int_equal(option.code, code[i]);
	}
	assert_int_equal(pb_option_next(&walk, &option), 0);
	forget(&sent);
}

static void
a_simple_packet_is_marked_untimed(void **state)
{
	struct pb_packet packet;

	(void)state;
	start(false);
	img_shb(&img);
	img_idb(&img, 1, 0);
	img_begin(&img, 3);
	img_number(&img, 3, 4);
	img_bytes(&img, "abc", 3);
	img_pad(&img, 0);
	img_end(&img);
	img_epb(&img, 0, 0, "def", 3);
	imports(&img, &sent);
	packet = packet_of(&sent.section[0].body, 0);
	assert_true(packet.time_ns == 0);
	assert_true(pb_untimed_get(packet.options, packet.options_len));
	/* A packet of the year 1970 is not. */
	packet = packet_of(&sent.section[0].body, 1);
	assert_false(pb_untimed_get(packet.options, packet.options_len));
	forget(&sent);
}

static void
a_classic_pcap_is_named_after_its_file(void **state)
{
	struct pb_packet packet;

	(void)state;
	start(true);
	img_pcap(&img, 0xA1B2C3D4, 4, 1);
	img_record(&img, 1700000000, 999999, 3, 60, "abc", 3);
	imports(&img, &sent);
	assert_string_equal(sent.stream[0].key.interface, "a.pcap");
	packet = packet_of(&sent.section[0].body, 0);
	assert_true(packet.time_ns == 1700000000999999000u);
	assert_int_equal(packet.origlen, 60);
	forget(&sent);
}

static void
a_forced_name_is_counted_over_the_streams_of_a_file(void **state)
{
	struct pb_importer_opts opts;
	struct pb_option option;
	struct pb_head *head;
	struct pb_err err;

	(void)state;
	start(false);
	for (unsigned i = 0; i < 2; i++) {
		img_shb(&img);
		img_idb(&img, 1, 0);	/* stays empty */
		img_idb_begin(&img, 1, 0);
		name_option(&img, "original");
		img_end(&img);
		img_idb(&img, 1, 0);
		img_epb(&img, 1, 5, "abc", 3);
		img_epb(&img, 2, 5, "abc", 3);
	}
	memset(&sent, 0, sizeof(sent));
	opts = options(&sent);
	opts.interface = "tap";
	assert_int_equal(import(&img, &opts, &sent, &err), 0);
	assert_int_equal(sent.streams, 4);
	assert_string_equal(sent.stream[0].key.interface, "tap");
	assert_string_equal(sent.stream[1].key.interface, "tap.1");
	assert_string_equal(sent.stream[2].key.interface, "tap.2");
	assert_string_equal(sent.stream[3].key.interface, "tap.3");
	head = head_of(&sent.section[0].body);
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_NAME, &option));
	assert_memory_equal(option.value, "original", 8);
	pb_head_unref(head);
	forget(&sent);
}

static void
hostile_names_become_names(void **state)
{
	static const char longest[200] = "";
	char name[200];

	(void)state;
	memset(name, 'x', sizeof(name));
	start(false);
	img_shb(&img);
	img_idb_begin(&img, 1, 0);
	img_option(&img, PB_OPT_IF_NAME, name, sizeof(name));
	img_end(&img);
	img_idb_begin(&img, 1, 0);
	img_option(&img, PB_OPT_IF_NAME, "a\x1b[2Jb", 6);
	img_end(&img);
	img_idb_begin(&img, 1, 0);
	img_option(&img, PB_OPT_IF_NAME, longest, sizeof(longest));
	img_end(&img);
	img_idb_begin(&img, 1, 0);
	img_option(&img, PB_OPT_IF_NAME, "", 0);
	img_end(&img);
	for (uint32_t i = 0; i < 4; i++)
		img_epb(&img, i, 5, "abc", 3);
	imports(&img, &sent);
	assert_int_equal(strlen(sent.stream[0].key.interface),
	    PB_IFNAME_BYTES_MAX);
	assert_null(strchr(sent.stream[1].key.interface, '\x1b'));
	assert_string_equal(sent.stream[2].key.interface, "if2");
	assert_string_equal(sent.stream[3].key.interface, "if3");
	forget(&sent);
}

static void
checking_takes_nothing_and_counts_the_same(void **state)
{
	struct pb_importer_opts opts;
	struct pb_err err;

	(void)state;
	start(false);
	img_shb(&img);
	img_idb(&img, 1, 0);
	img_epb(&img, 0, 5, "abc", 3);
	img_epb(&img, 0, 6, "abc", 3);
	memset(&sent, 0, sizeof(sent));
	opts = options(&sent);
	opts.take = NULL;
	assert_int_equal(import(&img, &opts, &sent, &err), 0);
	assert_int_equal(sent.lents, 0);
	assert_int_equal(sent.sections, 0);
	assert_int_equal(sent.streams, 1);
	assert_int_equal(sent.result.packets, 2);
}

static void
what_cannot_be_kept_is_refused_with_its_offset(void **state)
{
	static const char comment[65532];
	struct pb_importer_opts opts;
	struct pb_err err;
	size_t offset;

	(void)state;
	start(false);
	img_shb(&img);
	img_idb(&img, 1, 0);
	img_epb(&img, 0, 5, "abc", 3);
	offset = img.len;
	img_epb_begin(&img, 0, 6, "abc", 3, 3);
	/* As much as the reader takes: nothing is left for the number. */
	for (unsigned i = 0; i < 4; i++)
		img_option(&img, PB_OPT_COMMENT, comment, sizeof(comment));
	img_end(&img);
	memset(&sent, 0, sizeof(sent));
	opts = options(&sent);
	assert_int_equal(import(&img, &opts, &sent, &err), PB_ELIMIT);
	{
		char want[64];

		snprintf(want, sizeof(want), "offset %zu: ", offset);
		assert_memory_equal(err.text, want, strlen(want));
	}
	forget(&sent);
}

/* Options as long as the reader takes, or `less` bytes shorter. */
static void
long_options(uint16_t code, size_t less)
{
	static const char text[65532];

	for (unsigned i = 0; i < 4; i++)
		img_option(&img, code, text, sizeof(text) - (i == 3 ? less :
		    0));
}

static void
checking_refuses_what_importing_refuses(void **state)
{
	static const struct {
		size_t	 section, interface, packet;	/* shorter than most */
		int	 rc;
	} row[] = {
		{ 1000, 1000, 1000, 0 },
		{ 1000, 1000, 12, 0 },		/* the number just fits */
		{ 1000, 1000, 8, PB_ELIMIT },
		{ 0, 1000, 1000, PB_ELIMIT },	/* no room for our name */
		{ 1000, 0, 1000, PB_ELIMIT },	/* nor for if_name */
	};
	struct pb_importer_opts opts;
	struct pb_err checked, stored;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		start(false);
		img_shb_begin(&img, 1, 0);
		long_options(PB_OPT_COMMENT, row[i].section);
		img_end(&img);
		img_idb_begin(&img, 1, 0);
		long_options(PB_OPT_COMMENT, row[i].interface);
		img_end(&img);
		img_epb_begin(&img, 0, 6, "abc", 3, 3);
		long_options(PB_OPT_COMMENT, row[i].packet);
		img_end(&img);
		memset(&sent, 0, sizeof(sent));
		memset(&checked, 0, sizeof(checked));
		memset(&stored, 0, sizeof(stored));
		opts = options(&sent);
		assert_int_equal(import(&img, &opts, &sent, &stored),
		    row[i].rc);
		opts.take = NULL;
		assert_int_equal(import(&img, &opts, &sent, &checked),
		    row[i].rc);
		assert_string_equal(checked.text, stored.text);
		forget(&sent);
	}
}

static void
an_error_of_the_store_is_passed_on(void **state)
{
	struct pb_importer_opts opts;
	struct pb_err err;

	(void)state;
	start(false);
	img_shb(&img);
	img_idb(&img, 1, 0);
	img_epb(&img, 0, 5, "abc", 3);
	memset(&sent, 0, sizeof(sent));
	sent.give_rc = PB_ENOSPC;
	opts = options(&sent);
	assert_int_equal(import(&img, &opts, &sent, &err), PB_ENOSPC);
	assert_string_equal(err.text, "the store is full");
	forget(&sent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_interface_with_packets_is_a_stream),
		cmocka_unit_test(a_section_says_who_it_is),
		cmocka_unit_test(
		    packets_keep_their_options_but_for_the_number_and_hops),
		cmocka_unit_test(a_simple_packet_is_marked_untimed),
		cmocka_unit_test(a_classic_pcap_is_named_after_its_file),
		cmocka_unit_test(
		    a_forced_name_is_counted_over_the_streams_of_a_file),
		cmocka_unit_test(hostile_names_become_names),
		cmocka_unit_test(checking_takes_nothing_and_counts_the_same),
		cmocka_unit_test(
		    what_cannot_be_kept_is_refused_with_its_offset),
		cmocka_unit_test(checking_refuses_what_importing_refuses),
		cmocka_unit_test(an_error_of_the_store_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
