/*
 * tests/unit/test_importer.c - capture files as sections of streams
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import/importer.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "base/bytes.h"
#include "recorder/store/head.h"
#include "recorder/store/store.h"
#include "tests/unit/ng_image.h"

#define SECTIONS_MAX	64
#define STREAMS_MAX	32

/* What was pushed: whole sections, and the streams told at their end. */
struct sent {
	struct {
		struct pb_stream_key key;
		uint64_t	 first, last;
		struct pb_buf	 body;
	} section[SECTIONS_MAX];
	size_t		 sections;
	struct {
		struct pb_stream_key key;
		uint64_t	 packets;
	} stream[STREAMS_MAX];
	size_t		 streams;
	struct pb_import_result result;
	int		 push_rc;	/* what push answers */
};

static int
on_push(void *arg, const struct pb_stream_key *key, uint64_t first,
    uint64_t last, struct pb_buf *body, struct pb_err *err)
{
	struct sent *sent = arg;

	if (sent->push_rc < 0)
		return pb_err_set(err, sent->push_rc, "the store is full");
	assert_true(sent->sections < SECTIONS_MAX);
	sent->section[sent->sections].key = *key;
	sent->section[sent->sections].first = first;
	sent->section[sent->sections].last = last;
	sent->section[sent->sections++].body = *body;
	memset(body, 0, sizeof(*body));
	return 0;
}

static int
on_stream(void *arg, const struct pb_stream_key *key, uint64_t packets,
    struct pb_err *err)
{
	struct sent *sent = arg;

	(void)err;
	assert_true(sent->streams < STREAMS_MAX);
	sent->stream[sent->streams].key = *key;
	sent->stream[sent->streams++].packets = packets;
	return 0;
}

static struct pb_importer_opts
options(struct sent *sent)
{
	struct pb_importer_opts opts = {
		.node = "lon", .description = "London", .file_name = "a.pcap",
		.pen = PB_PEN_EXAMPLE, .push = on_push, .stream = on_stream,
		.arg = sent,
	};

	return opts;
}

static int
import(const struct image *img, const struct pb_importer_opts *opts,
    struct sent *sent, struct pb_err *err)
{
	struct pb_importer *importer;
	struct pb_reader *reader;
	struct pb_event event;
	size_t at = 0, used;
	int rc;

	assert_int_equal(pb_importer_create(&importer, opts, err), 0);
	assert_int_equal(pb_reader_create(&reader, err), 0);
	while ((rc = pb_reader_next(reader, img->data + at, img->len - at,
	    true, &used, &event, err)) == PB_READ_EVENT) {
		rc = pb_importer_event(importer, &event, err);
		if (rc < 0)
			break;
		at += used;
	}
	if (rc == PB_READ_END)
		rc = pb_importer_end(importer, err);
	pb_importer_result(importer, &sent->result);
	pb_reader_destroy(reader);
	pb_importer_destroy(importer);
	return rc;
}

static void
imports(const struct image *img, struct sent *sent)
{
	struct pb_importer_opts opts;
	struct pb_err err = { 0 };

	memset(sent, 0, sizeof(*sent));
	opts = options(sent);
	if (import(img, &opts, sent, &err) < 0)
		fail_msg("%s", err.text);
}

static void
forget(struct sent *sent)
{
	for (size_t i = 0; i < sent->sections; i++)
		pb_buf_finish(&sent->section[i].body);
	memset(sent, 0, sizeof(*sent));
}

/* The head of a section, and the block `n` behind it (0: the first). */
static struct pb_head *
head_of(const struct pb_buf *body)
{
	struct pb_head *head;
	size_t bytes;

	assert_int_equal(pb_head_parse(&head, body->data, body->len, &bytes,
	    NULL), 0);
	return head;
}

static bool
block_of(const struct pb_buf *body, size_t n, struct pb_block *out)
{
	struct pb_head *head;
	size_t at;

	assert_int_equal(pb_head_parse(&head, body->data, body->len, &at,
	    NULL), 0);
	pb_head_unref(head);
	for (;; at += out->len) {
		if (at == body->len)
			return false;
		assert_int_equal(pb_scan_block(body->data + at,
		    body->len - at, out), 1);
		if (n-- == 0)
			return true;
	}
}

static struct pb_packet
packet_of(const struct pb_buf *body, size_t n)
{
	struct pb_packet packet;
	struct pb_block block;

	assert_true(block_of(body, n, &block));
	assert_int_equal(block.type, PB_BLOCK_EPB);
	assert_int_equal(pb_scan_epb(&block, &packet), 0);
	return packet;
}

static uint32_t
type_of(const struct pb_buf *body, size_t n)
{
	struct pb_block block;

	return block_of(body, n, &block) ? block.type : 0;
}

static void
name_option(struct image *img, const char *name)
{
	img_option(img, PB_OPT_IF_NAME, name, strlen(name));
}

static struct image img;	/* too large for a stack */
static struct sent sent;

static void
start(bool big)
{
	img.big = big;
	img.len = 0;
}

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
	pb_option_walk_init(&walk, packet.options, packet.options_len);
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

/*
 * Goal:   whatever the sizes, a body's blocks fit a chunk of the store and
 *         its numbers follow on those of the body before.
 * Method: a file of packets of growing size with statistics between them,
 *         given many times over as more sections of one input.
 */
static void
bodies_fit_a_chunk_and_follow_on_each_other(void **state)
{
	static uint8_t data[60000];
	struct pb_importer_opts opts;
	struct pb_importer *importer;
	struct pb_event event = { .kind = PB_EVENT_SECTION, .has_time = true };
	struct pb_err err;
	uint64_t next = 1;

	(void)state;
	memset(&sent, 0, sizeof(sent));
	opts = options(&sent);
	assert_int_equal(pb_importer_create(&importer, &opts, &err), 0);
	assert_int_equal(pb_importer_event(importer, &event, &err), 0);
	event.kind = PB_EVENT_INTERFACE;
	event.linktype = 1;
	assert_int_equal(pb_importer_event(importer, &event, &err), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		event.kind = PB_EVENT_PACKET;
		event.packet.data = data;
		event.packet.caplen = event.packet.origlen = i * 37 % 60000;
		assert_int_equal(pb_importer_event(importer, &event, &err),
		    0);
		event.kind = PB_EVENT_STATISTICS;
		assert_int_equal(pb_importer_event(importer, &event, &err),
		    0);
	}
	assert_int_equal(pb_importer_end(importer, &err), 0);
	pb_importer_destroy(importer);
	assert_in_range(sent.sections, 15, 40);
	for (size_t i = 0; i < sent.sections; i++) {
		struct pb_head *head = head_of(&sent.section[i].body);
		size_t head_bytes;

		assert_true(head->identity.first_seq == next ||
		    head->identity.first_seq == 0);
		pb_head_unref(head);
		assert_int_equal(pb_head_parse(&head,
		    sent.section[i].body.data, sent.section[i].body.len,
		    &head_bytes, NULL), 0);
		pb_head_unref(head);
		assert_true(sent.section[i].body.len - head_bytes <=
		    PB_CHUNK_BYTES);
		assert_int_equal(sent.section[i].first, next);
		next = sent.section[i].last + 1;
	}
	assert_int_equal(next, 1001);
	forget(&sent);
}

static void
checking_pushes_nothing_and_counts_the_same(void **state)
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
	opts.push = NULL;
	assert_int_equal(import(&img, &opts, &sent, &err), 0);
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

static void
an_error_of_the_push_is_passed_on(void **state)
{
	struct pb_importer_opts opts;
	struct pb_err err;

	(void)state;
	start(false);
	img_shb(&img);
	img_idb(&img, 1, 0);
	img_epb(&img, 0, 5, "abc", 3);
	memset(&sent, 0, sizeof(sent));
	sent.push_rc = PB_ENOSPC;
	opts = options(&sent);
	assert_int_equal(import(&img, &opts, &sent, &err), PB_ENOSPC);
	assert_string_equal(err.text, "the store is full");
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
		cmocka_unit_test(each_interface_with_packets_is_a_stream),
		cmocka_unit_test(a_section_says_who_it_is),
		cmocka_unit_test(
		    packets_keep_their_options_but_for_the_number_and_hops),
		cmocka_unit_test(a_simple_packet_is_marked_untimed),
		cmocka_unit_test(a_classic_pcap_is_named_after_its_file),
		cmocka_unit_test(
		    a_forced_name_is_counted_over_the_streams_of_a_file),
		cmocka_unit_test(hostile_names_become_names),
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
		cmocka_unit_test(bodies_fit_a_chunk_and_follow_on_each_other),
		cmocka_unit_test(checking_pushes_nothing_and_counts_the_same),
		cmocka_unit_test(
		    what_cannot_be_kept_is_refused_with_its_offset),
		cmocka_unit_test(an_error_of_the_push_is_passed_on),
		cmocka_unit_test(a_file_without_packets_makes_no_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
