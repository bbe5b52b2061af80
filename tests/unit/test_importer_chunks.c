/*
 * tests/unit/test_importer_chunks.c - how packets fill the chunks of a store
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/import_sent.h"

/*
 * Goal:   whatever the sizes, blocks fit a chunk of the store and its
 *         numbers follow on those of the chunk before.
 * Method: a file of packets of growing size with statistics between them,
 *         given many times over as more sections of one input.
 */
static void
chunks_are_filled_and_follow_on_each_other(void **state)
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
		/* All but the last are full, for these packets. */
		assert_true(i == sent.sections - 1 ||
		    sent.section[i].body.len - head_bytes > PB_CHUNK_BYTES -
		    (192 << 10));
		assert_int_equal(sent.section[i].first, next);
		next = sent.section[i].last + 1;
	}
	assert_int_equal(next, 1001);
	forget(&sent);
}

static void
a_chunk_says_what_it_holds(void **state)
{
	(void)state;
	start(false);
	img_shb(&img);
	img_idb_clock(&img, 9, 0);
	img_epb(&img, 0, 7, "abc", 3);
	for (unsigned i = 0; i < PB_CHUNK_DROPS_MAX + 4; i++) {
		img_epb_begin(&img, 0, 5 + i, "d", 1, 1);
		img_option(&img, PB_OPT_COMMENT, "lost", 4);
		img_option_number(&img, PB_OPT_EPB_DROPCOUNT, 10, 8);
		img_end(&img);
	}
	imports(&img, &sent);
	assert_int_equal(sent.sections, 1);
	assert_int_equal(sent.section[0].last, PB_CHUNK_DROPS_MAX + 5);
	assert_int_equal(sent.section[0].bytes, PB_CHUNK_DROPS_MAX + 7);
	assert_int_equal(sent.section[0].first_time, 5);
	assert_int_equal(sent.section[0].last_time, PB_CHUNK_DROPS_MAX + 8);
	assert_int_equal(sent.section[0].drops, PB_CHUNK_DROPS_MAX);
	assert_int_equal(sent.section[0].dropped, 10 *
	    (PB_CHUNK_DROPS_MAX + 4));
	forget(&sent);
}

/* What a chunk says of itself is what its blocks say; the next number. */
static uint64_t
section_is_right(size_t i, uint64_t first)
{
	const struct pb_buf *body = &sent.section[i].body;
	uint64_t bytes = 0, dropped = 0, drop, seq, next = first;
	uint64_t first_time = UINT64_MAX, last_time = 0;
	struct pb_packet packet;
	struct pb_head *head;
	struct pb_block block;
	size_t at;

	assert_int_equal(pb_head_parse(&head, body->data, body->len, &at,
	    NULL), 0);
	pb_head_unref(head);
	for (; at < body->len; at += block.len) {
		assert_int_equal(pb_scan_block(body->data + at,
		    body->len - at, &block), 1);
		if (block.type != PB_BLOCK_EPB)
			continue;
		assert_int_equal(pb_scan_epb(&block, &packet), 0);
		assert_true(pb_packet_seq(&packet, &seq));
		assert_int_equal(seq, next++);
		bytes += packet.caplen;
		if (packet.time_ns < first_time)
			first_time = packet.time_ns;
		if (packet.time_ns > last_time)
			last_time = packet.time_ns;
		if (pb_option_find_u64(packet.options, packet.options_len,
		    PB_OPT_EPB_DROPCOUNT, &drop))
			dropped += drop;
	}
	assert_int_equal(sent.section[i].first, first);
	assert_int_equal(sent.section[i].last, next - 1);
	assert_int_equal(sent.section[i].bytes, bytes);
	assert_int_equal(sent.section[i].first_time, first_time);
	assert_int_equal(sent.section[i].last_time, last_time);
	assert_int_equal(sent.section[i].dropped, dropped);
	return next;
}

static uint32_t
last_type(const struct pb_buf *body)
{
	size_t n = 0;

	while (type_of(body, n) != 0)
		n++;
	return n > 0 ? type_of(body, n - 1) : 0;
}

/* All sections of each stream: their packets follow on each other, and a
 * block of type `last` ends them. */
static void
streams_are_right(uint64_t packets, uint32_t last)
{
	for (size_t s = 0; s < sent.streams; s++) {
		uint64_t next = 1;
		uint32_t type = 0;

		for (size_t i = 0; i < sent.sections; i++) {
			if (sent.section[i].key.epoch !=
			    sent.stream[s].key.epoch)
				continue;
			next = section_is_right(i, next);
			type = last_type(&sent.section[i].body);
		}
		assert_int_equal(next, packets + 1);
		assert_int_equal(type, last);
	}
}

/*
 * Goal:   chunks that are being filled stay within their bound together,
 *         and one that leaves early takes no block's place with it.
 * Method: 90 interfaces get 800,000 bytes each, the seventh a little more;
 *         times go up and down, each packet tells of others lost before it,
 *         and at the end each interface has statistics.
 */
static void
the_fullest_chunk_leaves_where_many_are_held(void **state)
{
	static uint8_t data[210000], eight[8] = { 3 };
	struct pb_event event = { .kind = PB_EVENT_PACKET, .has_time = true };
	struct pb_importer_opts opts;
	struct pb_importer *importer;
	struct pb_buf list;
	size_t early;

	(void)state;
	memset(&sent, 0, sizeof(sent));
	opts = options(&sent);
	importer = begin(&opts, 90);
	pb_buf_init(&list, 64);
	pb_option_put(&list, PB_OPT_EPB_DROPCOUNT, eight, sizeof(eight));
	event.packet.data = data;
	event.packet.options = list.data;
	event.packet.options_len = list.len;
	for (unsigned n = 0; n < 4; n++)
		for (event.interface = 0; event.interface < 90;
		    event.interface++) {
			event.packet.time_ns = n * 7 % 4 + 1;
			event.packet.caplen = event.interface == 7 ? 210000 :
			    200000;
			feed(importer, &event);
		}
	early = sent.sections;
	event.kind = PB_EVENT_STATISTICS;
	event.packet.options_len = 0;
	for (event.interface = 0; event.interface < 90; event.interface++)
		feed(importer, &event);
	ends(importer);
	pb_buf_finish(&list);
	assert_string_equal(sent.section[0].key.interface, "if7");
	assert_int_equal(sent.section[0].last, 3);
	/* 72 MB came, and 67.1 may be held. */
	assert_in_range(early, 6, 9);
	assert_int_equal(sent.sections, 90 + early);
	assert_int_equal(sent.result.left_out.stray, 0);
	assert_int_equal(sent.streams, 90);
	streams_are_right(4, PB_BLOCK_ISB);
	forget(&sent);
}

/* The bound holds where no chunk can leave a packet behind. */
static void
a_chunk_of_one_packet_leaves_whole(void **state)
{
	static uint8_t data[PB_CAPLEN_MAX], text[65532];
	struct pb_event event = { .kind = PB_EVENT_PACKET, .has_time = true };
	struct pb_importer_opts opts;
	struct pb_importer *importer;
	struct pb_buf list;
	size_t early;

	(void)state;
	memset(&sent, 0, sizeof(sent));
	opts = options(&sent);
	importer = begin(&opts, 140);
	pb_buf_init(&list, PB_OPTIONS_BYTES_MAX);
	for (unsigned n = 0; n < 4; n++)
		pb_option_put(&list, PB_OPT_COMMENT, text, n < 3 ?
		    sizeof(text) : sizeof(text) - 12);
	event.packet.data = data;
	event.packet.caplen = sizeof(data);
	event.packet.options = list.data;
	event.packet.options_len = list.len;
	/* 524,320 bytes each: 127 of them may be held. */
	for (; event.interface < 140; event.interface++)
		feed(importer, &event);
	early = sent.sections;
	ends(importer);
	pb_buf_finish(&list);
	assert_int_equal(early, 13);
	assert_int_equal(sent.sections, 140);
	streams_are_right(1, PB_BLOCK_EPB);
	forget(&sent);
}

static void
the_largest_packet_fits_with_all_that_waits(void **state)
{
	static uint8_t data[PB_CAPLEN_MAX], block[PB_OPTIONS_BYTES_MAX];
	struct pb_event event = { .kind = PB_EVENT_PACKET, .has_time = true };
	struct pb_importer_opts opts;
	struct pb_importer *importer;
	struct pb_buf list;

	(void)state;
	memset(&sent, 0, sizeof(sent));
	opts = options(&sent);
	importer = begin(&opts, 1);
	event.packet.data = data;
	event.packet.caplen = 700000 / 4;
	for (unsigned n = 0; n < 4; n++)
		feed(importer, &event);
	pb_buf_init(&list, PB_OPTIONS_BYTES_MAX);
	pb_option_put(&list, PB_OPT_COMMENT, block, 65000);
	event.packet.options = list.data;
	event.packet.options_len = list.len;
	event.kind = PB_EVENT_STATISTICS;
	feed(importer, &event);
	pb_put_le32(block, 0x1234);
	pb_put_le32(block + 4, sizeof(block));
	pb_put_le32(block + sizeof(block) - 4, sizeof(block));
	event.kind = PB_EVENT_BLOCK;
	event.block_type = 0x1234;
	event.block = block;
	event.block_len = sizeof(block);
	feed(importer, &event);
	pb_buf_clear(&list);
	for (unsigned n = 0; n < 4; n++)
		pb_option_put(&list, PB_OPT_COMMENT, block,
		    n < 3 ? 65532 : 65520);
	assert_int_equal(list.len, PB_OPTIONS_BYTES_MAX - 12);
	event.kind = PB_EVENT_PACKET;
	event.packet.caplen = PB_CAPLEN_MAX;
	event.packet.options = list.data;
	event.packet.options_len = list.len;
	feed(importer, &event);
	ends(importer);
	pb_buf_finish(&list);
	assert_int_equal(sent.result.left_out.stray, 0);
	assert_int_equal(sent.sections, 2);
	assert_int_equal(sent.section[1].first, 5);
	assert_int_equal(type_of(&sent.section[1].body, 0), PB_BLOCK_ISB);
	assert_int_equal(type_of(&sent.section[1].body, 1), 0x1234);
	assert_int_equal(packet_of(&sent.section[1].body, 2).caplen,
	    PB_CAPLEN_MAX);
	assert_int_equal(packet_of(&sent.section[1].body, 2).options_len,
	    PB_OPTIONS_BYTES_MAX);
	forget(&sent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_are_filled_and_follow_on_each_other),
		cmocka_unit_test(a_chunk_says_what_it_holds),
		cmocka_unit_test(the_fullest_chunk_leaves_where_many_are_held),
		cmocka_unit_test(a_chunk_of_one_packet_leaves_whole),
		cmocka_unit_test(the_largest_packet_fits_with_all_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
