/*
 * tests/unit/test_export.c - packets of many streams as one pcapng file
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/query/export.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "pcapng/reader.h"

#define EVENTS_MAX	64
#define FILE_MAX	(4u << 20)

struct file {
	int		 fd;
	struct pb_out	 out;
	struct pb_export *export;
	uint8_t		*data;
	size_t		 len;
	struct pb_event	 event[EVENTS_MAX];
	size_t		 events;
	struct pb_buf	 options[EVENTS_MAX];	/* of the events */
};

static void
file_begin_as(struct file *f, const struct pb_export_opts *opts)
{
	memset(f, 0, sizeof(*f));
	f->fd = memfd_create("export", 0);
	assert_true(f->fd >= 0);
	pb_out_init(&f->out, f->fd, "test", NULL);
	assert_int_equal(pb_export_create(&f->export, &f->out, opts, NULL),
	    0);
}

static void
file_begin(struct file *f, bool comments, bool single)
{
	file_begin_as(f, &(struct pb_export_opts){ .comments = comments,
	    .single = single });
}

/* End the file and read it back. */
static void
file_end(struct file *f)
{
	struct pb_reader *reader;
	struct pb_event event;
	struct pb_err err;
	size_t used, at = 0;
	ssize_t n;
	int rc;

	assert_int_equal(pb_export_end(f->export, &err), 0);
	assert_int_equal(pb_out_flush(&f->out, &err), 0);
	f->data = malloc(FILE_MAX);
	assert_non_null(f->data);
	n = pread(f->fd, f->data, FILE_MAX, 0);
	assert_true(n > 0 && n < (ssize_t)FILE_MAX);
	f->len = (size_t)n;
	assert_int_equal(pb_reader_create(&reader, &err), 0);
	while ((rc = pb_reader_next(reader, f->data + at, f->len - at, true,
	    &used, &event, &err)) == PB_READ_EVENT) {
		assert_true(f->events < EVENTS_MAX);
		at += used;
		pb_buf_init(&f->options[f->events], FILE_MAX);
		pb_buf_put(&f->options[f->events], event.packet.options,
		    event.packet.options_len);
		event.packet.options = f->options[f->events].data;
		f->event[f->events++] = event;
	}
	assert_int_equal(rc, PB_READ_END);
	pb_reader_destroy(reader);
}

static void
file_finish(struct file *f)
{
	pb_export_destroy(f->export);
	pb_out_finish(&f->out);
	for (size_t i = 0; i < f->events; i++)
		pb_buf_finish(&f->options[i]);
	free(f->data);
	close(f->fd);
}

static struct pb_head *
head_of(const char *node, const char *interface, uint64_t epoch,
    uint16_t linktype, const char *description, const char *hardware)
{
	struct pb_identity id = { .epoch = epoch, .nodes = 2 };
	struct pb_head *head;
	struct pb_buf shb, idb;

	strcpy(id.interface, interface);
	strcpy(id.node[0].name, node);
	strcpy(id.node[0].description, "the \"edge\"");
	strcpy(id.node[1].name, "core");
	pb_buf_init(&shb, 4096);
	pb_buf_init(&idb, 4096);
	pb_option_put_text(&shb, PB_OPT_SHB_HARDWARE, hardware);
	pb_option_put_text(&idb, PB_OPT_IF_NAME, interface);
	pb_option_put_text(&idb, PB_OPT_IF_DESCRIPTION, description);
	assert_int_equal(pb_head_create(&head, &id, linktype, shb.data,
	    shb.len, idb.data, idb.len, NULL), 0);
	pb_buf_finish(&shb);
	pb_buf_finish(&idb);
	return head;
}

static uint8_t bytes[64] = "some captured bytes", pcap_file[1024];

static struct pb_cursor_packet
packet_of(const struct pb_head *head, uint64_t seq, uint64_t time,
    const struct pb_buf *options)
{
	struct pb_cursor_packet cp = {
		.packet = { .time_ns = time, .caplen = 19, .origlen = 60,
		    .data = bytes },
		.seq = seq, .head = head,
	};

	if (options != NULL) {
		cp.packet.options = options->data;
		cp.packet.options_len = options->len;
	}
	return cp;
}

static void
put(struct file *f, const struct pb_head *head, uint64_t seq, uint64_t time,
    const struct pb_buf *options)
{
	struct pb_cursor_packet cp = packet_of(head, seq, time, options);
	struct pb_err err;

	assert_int_equal(pb_export_packet(f->export, &cp, &err), 0);
}

static bool
has_text(const struct pb_event *event, uint16_t code, const char *text)
{
	struct pb_option_walk walk;
	struct pb_option option;

	walk = (struct pb_option_walk){ event->packet.options,
	    event->packet.options_len };
	while (pb_option_next(&walk, &option) == 1)
		if (option.code == code && option.len == strlen(text) &&
		    memcmp(option.value, text, option.len) == 0)
			return true;
	return false;
}

static void
each_stream_is_one_interface_of_one_section(void **state)
{
	struct pb_head *a = head_of("lon", "eth0", 1, 1, "one", "x");
	struct pb_head *b = head_of("par", "eth0", 2, 1, "two", "x");
	struct pb_head *again = head_of("lon", "eth0", 1, 1, "one", "y");
	static const enum pb_event_kind kind[] = { PB_EVENT_SECTION,
	    PB_EVENT_INTERFACE, PB_EVENT_PACKET, PB_EVENT_INTERFACE,
	    PB_EVENT_PACKET, PB_EVENT_PACKET, PB_EVENT_PACKET };
	static const uint32_t interface[] = { 0, 0, 0, 1, 1, 0, 0 };
	struct file f;

	(void)state;
	file_begin(&f, false, false);
	put(&f, a, 1, 1000000001, NULL);
	put(&f, b, 1, 1000000002, NULL);
	put(&f, a, 2, 1000000003, NULL);
	put(&f, again, 3, 1000000004, NULL);	/* a hop was renamed */
	assert_false(pb_export_mixed(f.export));
	file_end(&f);
	assert_int_equal(f.events, 7);
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(f.event[i].kind, kind[i]);
		assert_int_equal(f.event[i].interface, interface[i]);
	}
	assert_true(has_text(&f.event[0], PB_OPT_SHB_USERAPPL,
	    "PacketBroker 0.1.0"));
	assert_false(has_text(&f.event[0], PB_OPT_SHB_HARDWARE, "x"));
	assert_true(has_text(&f.event[1], PB_OPT_IF_DESCRIPTION, "one"));
	assert_true(has_text(&f.event[3], PB_OPT_IF_DESCRIPTION, "two"));
	assert_int_equal(f.event[1].snaplen, PB_SNAPLEN);
	assert_int_equal(f.event[3].snaplen, PB_SNAPLEN);
	file_finish(&f);
	pb_head_unref(a);
	pb_head_unref(b);
	pb_head_unref(again);
}

static void
an_epoch_or_a_description_of_its_own_is_an_interface_of_its_own(void **state)
{
	struct pb_head *head[3] = {
		head_of("lon", "eth0", 1, 1, "one", "x"),
		head_of("lon", "eth0", 2, 1, "one", "x"),
		head_of("lon", "eth0", 1, 1, "changed", "x"),
	};
	struct file f;

	(void)state;
	file_begin(&f, false, false);
	for (size_t i = 0; i < 6; i++)
		put(&f, head[i % 3], i + 1, 1000 + i, NULL);
	file_end(&f);
	assert_int_equal(f.events, 1 + 3 + 6);
	assert_int_equal(f.event[9].interface, 2);
	file_finish(&f);
	for (size_t i = 0; i < 3; i++)
		pb_head_unref(head[i]);
}

static void
packets_come_back_as_they_are(void **state)
{
	struct pb_head *head = head_of("lon", "eth0", 1, 1, "one", "x");
	struct pb_buf options;
	struct file f;

	(void)state;
	pb_buf_init(&options, 4096);
	pb_option_put_u64(&options, PB_OPT_EPB_PACKETID, 17);
	pb_option_put_text(&options, PB_OPT_COMMENT, "a user's");
	pb_option_put(&options, 0x8003, "\1\2\3", 3);
	file_begin(&f, false, false);
	put(&f, head, 17, 1700000000123456789u, &options);
	file_end(&f);
	assert_int_equal(f.events, 3);
	assert_true(f.event[2].packet.time_ns == 1700000000123456789u);
	assert_int_equal(f.event[2].packet.caplen, 19);
	assert_int_equal(f.event[2].packet.origlen, 60);
	assert_int_equal(f.event[2].packet.options_len, options.len);
	assert_memory_equal(f.event[2].packet.options, options.data,
	    options.len);
	file_finish(&f);
	pb_buf_finish(&options);
	pb_head_unref(head);
}

static void
comments_tell_the_way_behind_the_packets_own(void **state)
{
	struct pb_head *head = head_of("lon", "eth0", 1, 1, "one", "x");
	struct pb_hop hop = { .time_ns = 1700000001500000000u, .seq = 3 };
	uint8_t list[256];
	struct pb_buf options, with;
	struct file f;
	size_t len;

	(void)state;
	pb_buf_init(&options, 4096);
	pb_option_put_u64(&options, PB_OPT_EPB_PACKETID, 17);
	pb_option_put_text(&options, PB_OPT_COMMENT, "a user's");
	len = pb_hops_append(list, options.data, options.len, PB_PEN_EXAMPLE,
	    &hop);
	with = (struct pb_buf){ .data = list, .len = len };
	file_begin(&f, true, false);
	put(&f, head, 17, 1700000000000000001u, &with);
	file_end(&f);
	assert_memory_equal(f.event[2].packet.options, list, len);
	assert_true(has_text(&f.event[2], PB_OPT_COMMENT, "a user's"));
	assert_true(has_text(&f.event[2], PB_OPT_COMMENT, "pb.hop n=1 "
	    "node=lon seq=17 ts=1700000000.000000001 "
	    "desc=\"the \\\"edge\\\"\""));
	assert_true(has_text(&f.event[2], PB_OPT_COMMENT, "pb.hop n=2 "
	    "node=core seq=3 ts=1700000001.500000000 desc=\"\""));
	file_finish(&f);
	pb_buf_finish(&options);
	pb_head_unref(head);
}

static void
a_single_stream_keeps_its_section_options(void **state)
{
	struct pb_head *head = head_of("lon", "eth0", 1, 1, "one",
	    "a fine machine");
	struct file f;

	(void)state;
	file_begin(&f, false, true);
	put(&f, head, 1, 1, NULL);
	file_end(&f);
	assert_true(has_text(&f.event[0], PB_OPT_SHB_HARDWARE,
	    "a fine machine"));
	file_finish(&f);
	pb_head_unref(head);
}

static void
two_link_types_are_noticed(void **state)
{
	struct pb_head *a = head_of("lon", "eth0", 1, 1, "one", "x");
	struct pb_head *b = head_of("lon", "any", 2, 113, "two", "x");
	struct file f;

	(void)state;
	file_begin(&f, false, false);
	put(&f, a, 1, 1, NULL);
	assert_false(pb_export_mixed(f.export));
	put(&f, b, 1, 1, NULL);
	assert_true(pb_export_mixed(f.export));
	file_end(&f);
	assert_int_equal(f.event[1].linktype, 1);
	assert_int_equal(f.event[3].linktype, 113);
	file_finish(&f);
	pb_head_unref(a);
	pb_head_unref(b);
}

/* Bytes of a pcap file with one packet of each head. */
static ssize_t
pcap_of(struct pb_head *const *head, size_t heads, uint64_t time, int *rc,
    struct pb_err *err)
{
	struct pb_export_opts opts = { .pcap = true };
	struct pb_cursor_packet cp;
	struct pb_export *export;
	struct pb_out out;
	int fd = memfd_create("export", 0);
	ssize_t n;

	pb_out_init(&out, fd, "test", NULL);
	assert_int_equal(pb_export_create(&export, &out, &opts, NULL), 0);
	*rc = 0;
	for (size_t i = 0; i < heads && *rc == 0; i++) {
		cp = packet_of(head[i], i + 1, time, NULL);
		*rc = pb_export_packet(export, &cp, err);
	}
	assert_int_equal(pb_export_end(export, err), 0);
	assert_int_equal(pb_out_end(&out, err), 0);
	n = pread(fd, pcap_file, sizeof(pcap_file), 0);
	pb_export_destroy(export);
	pb_out_finish(&out);
	close(fd);
	return n;
}

static void
pcap_has_nanoseconds_and_one_link_type(void **state)
{
	static const uint8_t want[] = {
		0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 4, 0, 113, 0, 0, 0,
		0x00, 0xf1, 0x53, 0x65, 0x15, 0xcd, 0x5b, 0x07,
		19, 0, 0, 0, 60, 0, 0, 0,
	};
	struct pb_head *head[2] = {
		head_of("lon", "any", 1, 113, "one", "x"),
		head_of("lon", "eth0", 2, 1, "two", "x"),
	};
	struct pb_err err;
	int rc;

	(void)state;
	assert_int_equal(pcap_of(head, 1, 1700000000123456789u, &rc, &err),
	    sizeof(want) + 19);
	assert_int_equal(rc, 0);
	assert_memory_equal(pcap_file, want, sizeof(want));
	assert_memory_equal(pcap_file + sizeof(want), bytes, 19);
	pcap_of(head, 2, 1, &rc, &err);
	assert_int_equal(rc, PB_EINVAL);
	assert_non_null(strstr(err.text, "lon/any is LINUX_SLL (113)"));
	assert_non_null(strstr(err.text, "lon/eth0 is EN10MB (1)"));
	pcap_of(head, 1, 4294967296000000000u, &rc, &err);
	assert_int_equal(rc, PB_EINVAL);
	assert_non_null(strstr(err.text, "past 2106"));
	/* Nothing at all is a file that tcpdump reads, too. */
	assert_int_equal(pcap_of(head, 0, 1, &rc, &err), 24);
	assert_int_equal(pcap_file[20], PB_LINKTYPE_ETHERNET);
	pb_head_unref(head[0]);
	pb_head_unref(head[1]);
}

static void
a_file_grows_no_further_than_it_may(void **state)
{
	struct pb_head *head[2] = {
		head_of("lon", "eth0", 1, 1, "one", "x"),
		head_of("lon", "eth1", 2, 1, "two", "x"),
	};
	struct pb_cursor_packet cp;
	struct file f;
	uint64_t first;

	(void)state;
	file_begin(&f, false, false);
	pb_export_destroy(f.export);
	assert_int_equal(pb_export_create(&f.export, &f.out,
	    &(struct pb_export_opts){ .bytes_max = 1 }, NULL), 0);
	put(&f, head[0], 1, 1, NULL);		/* the first one fits */
	first = f.out.bytes;
	for (int i = 0; i < 2; i++) {
		cp = packet_of(head[i], 2, 2, NULL);
		assert_int_equal(pb_export_packet(f.export, &cp, NULL), 1);
		assert_true(f.out.bytes == first);
	}
	file_end(&f);
	assert_int_equal(f.events, 3);
	file_finish(&f);
	pb_head_unref(head[0]);
	pb_head_unref(head[1]);
}

/* Of one link type, from two streams. */
static void
run_is_as_packets(const struct pb_export_opts *opts)
{
	struct pb_head *head[2] = {
		head_of("lon", "eth0", 1, 1, "one", "x"),
		head_of("lon", "eth1", 2, 1, "two", "x"),
	};
	struct file by_run, by_packet;
	uint8_t blocks[512], options[PB_OPTION_BYTES(8)];
	struct pb_run run = { .blocks = blocks, .packets = 3,
	    .last_seq = 3 };

	file_begin_as(&by_run, opts);
	file_begin_as(&by_packet, opts);
	for (int h = 0; h < 2; h++) {
		run.head = head[h];
		run.len = 0;
		for (uint64_t i = 1; i <= 3; i++) {
			struct pb_cursor_packet cp = packet_of(head[h], i,
			    1000 + i, NULL);

			pb_option_at_u64(options, PB_OPT_EPB_PACKETID, i);
			cp.packet.options = options;
			cp.packet.options_len = sizeof(options);
			assert_int_equal(pb_export_packet(by_packet.export,
			    &cp, NULL), 0);
			run.len += pb_build_epb(blocks + run.len, 0,
			    &cp.packet);
		}
		assert_int_equal(pb_export_run(by_run.export, &run, NULL), 0);
	}
	file_end(&by_run);
	file_end(&by_packet);
	assert_int_equal(by_run.len, by_packet.len);
	assert_memory_equal(by_run.data, by_packet.data, by_run.len);
	if (!opts->pcap)
		assert_int_equal(by_run.event[7].interface, 1);
	file_finish(&by_run);
	file_finish(&by_packet);
	pb_head_unref(head[0]);
	pb_head_unref(head[1]);
}

static void
a_run_is_the_same_as_its_packets(void **state)
{
	(void)state;
	run_is_as_packets(&(struct pb_export_opts){ .pcap = false });
	run_is_as_packets(&(struct pb_export_opts){ .pcap = true });
}

static void
a_file_without_packets_has_an_interface(void **state)
{
	struct pb_head *head = head_of("lon", "any", 1, 113, "one", "x");
	struct pb_err err;
	struct file f;

	(void)state;
	file_begin(&f, false, false);
	file_end(&f);
	assert_int_equal(f.events, 2);
	assert_int_equal(f.event[1].kind, PB_EVENT_INTERFACE);
	assert_int_equal(f.event[1].linktype, PB_LINKTYPE_ETHERNET);
	file_finish(&f);
	file_begin(&f, false, false);
	assert_int_equal(pb_export_interface(f.export, head, &err), 0);
	assert_int_equal(pb_export_interface(f.export, head, &err), 0);
	file_end(&f);
	assert_int_equal(f.events, 2);
	assert_int_equal(f.event[1].linktype, 113);
	file_finish(&f);
	pb_head_unref(head);
}

static void
many_interfaces_are_told_apart(void **state)
{
	enum { HEADS = 1000 };
	static struct pb_head *head[HEADS];
	struct pb_export_opts opts = { 0 };
	struct pb_export *export;
	struct pb_cursor_packet cp;
	struct pb_reader *reader;
	struct pb_event event;
	struct pb_out out;
	struct pb_err err;
	uint8_t *data = malloc(FILE_MAX);
	size_t at = 0, used, interfaces = 0, packets = 0;
	ssize_t n;
	int fd = memfd_create("export", 0);

	(void)state;
	assert_non_null(data);
	pb_out_init(&out, fd, "test", NULL);
	assert_int_equal(pb_export_create(&export, &out, &opts, NULL), 0);
	/* The same epoch: names alone tell them apart. */
	for (size_t i = 0; i < HEADS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "if%zu", i);
		head[i] = head_of("lon", name, 7, 1, "one", "x");
	}
	for (size_t i = 0; i < 3 * HEADS; i++) {
		cp = packet_of(head[i % HEADS], i, 1000 + i, NULL);
		assert_int_equal(pb_export_packet(export, &cp, &err), 0);
	}
	assert_int_equal(pb_export_end(export, &err), 0);
	assert_int_equal(pb_out_flush(&out, &err), 0);
	n = pread(fd, data, FILE_MAX, 0);
	assert_int_equal(pb_reader_create(&reader, &err), 0);
	while (pb_reader_next(reader, data + at, (size_t)n - at, true, &used,
	    &event, &err) == PB_READ_EVENT) {
		at += used;
		interfaces += event.kind == PB_EVENT_INTERFACE;
		if (event.kind == PB_EVENT_PACKET)
			assert_int_equal(event.interface,
			    packets++ % HEADS);
	}
	assert_int_equal(interfaces, HEADS);
	assert_int_equal(packets, 3 * HEADS);
	pb_reader_destroy(reader);
	pb_export_destroy(export);
	pb_out_finish(&out);
	for (size_t i = 0; i < HEADS; i++)
		pb_head_unref(head[i]);
	free(data);
	close(fd);
}

static void
malformed_hop_records_name_the_packet(void **state)
{
	struct pb_head *head = head_of("lon", "eth0", 1, 1, "one", "x");
	/* PEN 32473, "PB", version 1, kind hops, and no whole record */
	static const uint8_t value[] = { 0xd9, 0x7e, 0, 0, 'P', 'B', 1, 2,
	    1, 2, 3 };
	struct pb_cursor_packet cp;
	struct pb_buf options;
	struct pb_err err;
	struct file f;

	(void)state;
	pb_buf_init(&options, 4096);
	pb_option_put(&options, PB_OPT_CUSTOM_BINARY, value, sizeof(value));
	file_begin(&f, true, false);
	cp = packet_of(head, 42, 1, &options);
	assert_int_equal(pb_export_packet(f.export, &cp, &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, "lon/eth0: packet 42"));
	file_finish(&f);
	pb_buf_finish(&options);
	pb_head_unref(head);
}

static void
a_full_disk_is_an_error_and_a_closed_pipe_is_known(void **state)
{
	struct pb_out out;
	struct pb_err err;
	int fd[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fd), 0);
	close(fd[0]);
	pb_out_init(&out, fd[1], "the pipe", NULL);
	assert_int_equal(pb_out_text(&out, "lost"), 0);
	assert_true(pb_out_flush(&out, &err) < 0);
	assert_true(pb_out_gone(&out));
	assert_true(pb_out_text(&out, "more") < 0);
	assert_null(pb_out_room(&out, 1));
	pb_out_finish(&out);
	close(fd[1]);
	fd[1] = open("/dev/full", O_WRONLY);
	assert_true(fd[1] >= 0);
	pb_out_init(&out, fd[1], "the disk", NULL);
	assert_int_equal(pb_out_text(&out, "lost"), 0);
	assert_int_equal(pb_out_flush(&out, &err), PB_ENOSPC);
	assert_false(pb_out_gone(&out));
	assert_non_null(strstr(err.text, "the disk"));
	pb_out_finish(&out);
	close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_stream_is_one_interface_of_one_section),
		cmocka_unit_test(
	    an_epoch_or_a_description_of_its_own_is_an_interface_of_its_own),
		cmocka_unit_test(packets_come_back_as_they_are),
		cmocka_unit_test(
		    comments_tell_the_way_behind_the_packets_own),
		cmocka_unit_test(a_single_stream_keeps_its_section_options),
		cmocka_unit_test(two_link_types_are_noticed),
		cmocka_unit_test(pcap_has_nanoseconds_and_one_link_type),
		cmocka_unit_test(a_file_grows_no_further_than_it_may),
		cmocka_unit_test(a_run_is_the_same_as_its_packets),
		cmocka_unit_test(a_file_without_packets_has_an_interface),
		cmocka_unit_test(many_interfaces_are_told_apart),
		cmocka_unit_test(malformed_hop_records_name_the_packet),
		cmocka_unit_test(
		    a_full_disk_is_an_error_and_a_closed_pipe_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
