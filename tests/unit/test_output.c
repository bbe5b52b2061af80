/*
 * tests/unit/test_output.c - what `-w` writes: a file, or several
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "recorder/query/output.h"
#include "tests/unit/temp_files.h"

#define T0	(1795985100 * PB_NS_PER_S)	/* 2026-11-29 20:45:00 UTC */
#define S	PB_NS_PER_S

static uint8_t bytes[1000];

static struct pb_head *
head_of(const char *interface, uint16_t linktype)
{
	struct pb_identity id = { .epoch = 1, .nodes = 1 };
	struct pb_head *head;

	strcpy(id.interface, interface);
	strcpy(id.node[0].name, "lon1");
	assert_int_equal(pb_head_create(&head, &id, linktype, NULL, 0, NULL,
	    0, NULL), 0);
	return head;
}

static struct pb_output *
output_of(const char *name, const char *split, bool pcap, bool kept)
{
	struct pb_output_opts opts = { .store = "/nowhere", .pcap = pcap };
	static char path[128];
	struct pb_output *output;
	struct pb_err err;

	strcpy(path, in_dir(name));
	opts.file = path;
	if (split != NULL)
		assert_int_equal(pb_split_parse(&opts.split, split, NULL), 0);
	if (pb_output_open(&output, &opts, kept, &err) < 0 ||
	    pb_output_begin(output, false, &err) < 0)
		fail_msg("%s", err.text);
	return output;
}

static int
put(struct pb_output *output, const struct pb_head *head, uint64_t time,
    uint32_t caplen)
{
	struct pb_cursor_packet cp = { .packet = { .time_ns = time,
	    .caplen = caplen, .origlen = caplen, .data = bytes },
	    .seq = 1, .head = head };

	return pb_output_packet(output, &cp, NULL);
}

/* How many blocks of that kind a pcapng file has. */
static unsigned
blocks_of(const char *name, uint32_t type)
{
	static uint8_t data[1u << 20];
	int fd = open(in_dir(name), O_RDONLY);
	unsigned count = 0;
	ssize_t len, at;

	if (fd < 0)
		fail_msg("%s is not there", name);
	len = read(fd, data, sizeof(data));
	close(fd);
	for (at = 0; at < len; at += pb_get_le32(data + at + 4))
		count += pb_get_le32(data + at) == type;
	assert_int_equal(at, len);
	return count;
}

static size_t
size_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in_dir(name), &st), 0);
	return (size_t)st.st_size;
}

static void
by_size_no_file_is_larger_and_none_could_be_longer(void **state)
{
	struct pb_head *head = head_of("eth0", 1);
	struct pb_output *output = output_of("o.pcapng", "1000B", false,
	    false);
	/* The section is 56 bytes, the interface 32, a packet 132. */
	const size_t packet = pb_epb_bytes(100, 0);

	(void)state;
	assert_int_equal(packet, 132);
	for (uint64_t i = 0; i < 15; i++)
		assert_int_equal(put(output, head, T0 + i * S, 100), 0);
	/* The third is being written. */
	assert_int_equal(files_in_dir(), 3);
	assert_int_equal(pb_output_end(output, NULL), 0);
	pb_output_close(output);
	assert_int_equal(files_in_dir(), 3);
	for (size_t i = 0; i < 2; i++) {
		const char *name = i == 0 ? "o_00001_20261129204500.pcapng" :
		    "o_00002_20261129204506.pcapng";

		assert_true(size_of(name) <= 1000);
		assert_true(size_of(name) + packet > 1000);
		assert_int_equal(blocks_of(name, PB_BLOCK_SHB), 1);
		assert_int_equal(blocks_of(name, PB_BLOCK_IDB), 1);
		assert_int_equal(blocks_of(name, PB_BLOCK_EPB), 6);
	}
	assert_int_equal(blocks_of("o_00003_20261129204512.pcapng",
	    PB_BLOCK_EPB), 3);
	pb_head_unref(head);
}

/* Packets `first` to `last`, a second apart, each of 148 bytes. */
static struct pb_run
run_of(const struct pb_head *head, uint64_t first, uint64_t last)
{
	static uint8_t blocks[1u << 12];
	struct pb_run run = { .head = head, .blocks = blocks,
	    .packets = last - first + 1, .last_seq = last,
	    .first_time = T0 + first * S, .last_time = T0 + last * S };

	for (uint64_t seq = first; seq <= last; seq++) {
		struct pb_packet packet = { .time_ns = T0 + seq * S,
		    .caplen = 100, .origlen = 100, .data = bytes };
		struct pb_buf options;

		pb_buf_init(&options, 64);
		pb_option_put(&options, PB_OPT_EPB_PACKETID, &seq,
		    sizeof(seq));
		packet.options = options.data;
		packet.options_len = options.len;
		run.len += pb_build_epb(blocks + run.len, 0, &packet);
		pb_buf_finish(&options);
	}
	return run;
}

static void
by_size_a_run_is_no_reason_for_a_larger_file(void **state)
{
	struct pb_head *head = head_of("eth0", 1);
	struct pb_output *output = output_of("o.pcapng", "1000B", false,
	    false);
	char name[64];

	(void)state;
	for (uint64_t first = 1; first <= 16; first += 15) {
		struct pb_run run = run_of(head, first, first + 14);

		assert_true(run.len > 1000);
		assert_int_equal(pb_output_run(output, &run, NULL), 0);
	}
	assert_int_equal(pb_output_end(output, NULL), 0);
	pb_output_close(output);
	assert_int_equal(files_in_dir(), 5);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "o_%05u_202611292045%02u.pcapng",
		    i + 1, 6 * i + 1);
		assert_in_range(size_of(name), 1, 1000);
		assert_int_equal(blocks_of(name, PB_BLOCK_EPB), 6);
	}
	pb_head_unref(head);
}

static void
a_packet_larger_than_the_size_has_a_file_of_its_own(void **state)
{
	struct pb_head *head = head_of("eth0", 1);
	struct pb_output *output = output_of("o", "1B", false, false);

	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(put(output, head, T0, 100), 0);
	assert_int_equal(pb_output_end(output, NULL), 0);
	pb_output_close(output);
	assert_int_equal(files_in_dir(), 3);
	assert_int_equal(blocks_of("o_00003_20261129204500", PB_BLOCK_EPB),
	    1);
	pb_head_unref(head);
}

static void
by_time_each_has_its_minutes_and_empty_ones_are_not_there(void **state)
{
	struct pb_head *head = head_of("eth0", 1);
	struct pb_output *output = output_of("o.pcapng", "5m", false, false);

	(void)state;
	put(output, head, T0, 60);
	put(output, head, T0 + 300 * S - 1, 60);
	put(output, head, T0 + 1000 * S, 60);	/* 21:01:40 */
	put(output, head, T0 + 5 * S, 60);	/* late: where it is met */
	put(output, head, T0 + 1200 * S - 1, 60);
	put(output, head, T0 + 1200 * S, 60);	/* 21:05:00 */
	assert_int_equal(pb_output_end(output, NULL), 0);
	pb_output_close(output);
	assert_int_equal(files_in_dir(), 3);
	assert_int_equal(blocks_of("o_00001_20261129204500.pcapng",
	    PB_BLOCK_EPB), 2);
	assert_int_equal(blocks_of("o_00002_20261129210140.pcapng",
	    PB_BLOCK_EPB), 3);
	assert_int_equal(blocks_of("o_00003_20261129210500.pcapng",
	    PB_BLOCK_EPB), 1);
	pb_head_unref(head);
}

static void
by_stream_each_has_its_own(void **state)
{
	struct pb_head *a = head_of("eth0", 1), *b = head_of("a/b", 113);
	struct pb_output *output = output_of("o.pcapng", "stream", false,
	    false);

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(put(output, i % 3 == 0 ? b : a, T0 + i, 60),
		    0);
	assert_int_equal(pb_output_end(output, NULL), 0);
	pb_output_close(output);
	assert_int_equal(files_in_dir(), 2);
	assert_int_equal(blocks_of("o_lon1+eth0.pcapng", PB_BLOCK_EPB), 6);
	assert_int_equal(blocks_of("o_lon1+a%2Fb.pcapng", PB_BLOCK_EPB), 4);
	assert_int_equal(blocks_of("o_lon1+eth0.pcapng", PB_BLOCK_IDB), 1);
	pb_head_unref(a);
	pb_head_unref(b);
}

static void
what_is_not_complete_does_not_stay(void **state)
{
	struct pb_head *head = head_of("eth0", 1);
	static const char *const how[] = { "1000B", "stream", NULL };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (int kept = 0; kept < 2; kept++) {
			struct pb_output *output = output_of("o.pcapng",
			    how[i], false, kept == 1);

			for (uint64_t n = 0; n < 8; n++)
				put(output, head, T0 + n * S, 100);
			pb_output_close(output);
			/* The one that was complete does. */
			assert_int_equal(files_in_dir(), 1);
		}
	assert_int_equal(blocks_of("o_00001_20261129204500.pcapng",
	    PB_BLOCK_EPB), 6);
	pb_head_unref(head);
}

static void
a_keeper_makes_and_names_the_same_files(void **state)
{
	struct pb_head *head = head_of("eth0", 1);
	struct pb_output *output = output_of("o.pcapng", "1000B", false,
	    true);
	struct stat st;

	(void)state;
	umask(022);
	write_file(in_dir("o_00002_20261129204506.pcapng"), "old", 3);
	assert_int_equal(chmod(in_dir("o_00002_20261129204506.pcapng"),
	    0600), 0);
	for (uint64_t i = 0; i < 15; i++)
		assert_int_equal(put(output, head, T0 + i * S, 100), 0);
	assert_int_equal(pb_output_end(output, NULL), 0);
	pb_output_close(output);
	assert_int_equal(files_in_dir(), 3);
	assert_int_equal(blocks_of("o_00002_20261129204506.pcapng",
	    PB_BLOCK_EPB), 6);
	assert_int_equal(stat(in_dir("o_00002_20261129204506.pcapng"), &st),
	    0);
	assert_int_equal(st.st_mode & 0777, 0600);
	pb_head_unref(head);
}

static void
what_cannot_be_split_is_refused(void **state)
{
	struct pb_output_opts opts = { .file = dir, .store = "/nowhere",
	    .split = { PB_SPLIT_BYTES, 1000, 0 } };
	struct pb_output *output;
	struct pb_head *head = head_of("eth0", 1);
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_output_open(&output, &opts, false, &err),
	    PB_EINVAL);
	opts.file = "/dev/null";
	assert_int_equal(pb_output_open(&output, &opts, false, &err),
	    PB_EINVAL);
	assert_non_null(strstr(err.text, "no plain file"));
	opts.file = in_dir("o.pcapng");
	opts.store = dir;
	assert_int_equal(pb_output_open(&output, &opts, false, &err),
	    PB_EINVAL);
	assert_non_null(strstr(err.text, "is in the store"));
	opts.file = in_dir("none/o.pcapng");
	opts.store = "/nowhere";
	assert_int_equal(pb_output_open(&output, &opts, false, &err), 0);
	assert_int_equal(pb_output_begin(output, false, &err), 0);
	assert_true(put(output, head, T0, 60) < 0);
	pb_output_close(output);
	pb_head_unref(head);
	assert_int_equal(files_in_dir(), 0);
}

static void
more_streams_than_files_may_be_open_are_refused(void **state)
{
	struct pb_output *output = output_of("o.pcapng", "stream", false,
	    false);
	struct pb_err err = { 0 };
	unsigned made = 0;
	int rc = 0;

	(void)state;
	while (rc == 0 && made < 2000) {
		char name[16];
		struct pb_head *head;
		struct pb_cursor_packet cp = { .packet = { .time_ns = T0,
		    .data = bytes, .caplen = 60, .origlen = 60 } };

		snprintf(name, sizeof(name), "if%u", made);
		head = head_of(name, 1);
		cp.head = head;
		rc = pb_output_packet(output, &cp, &err);
		pb_head_unref(head);
		made += rc == 0;
	}
	assert_true(made <= 1024);
	assert_true(rc == PB_ELIMIT || err.sys == EMFILE);
	pb_output_close(output);
	assert_int_equal(files_in_dir(), 0);
}

static void
pcap_files_have_one_link_type_each(void **state)
{
	struct pb_head *a = head_of("eth0", 1), *b = head_of("any", 113);
	struct pb_output *output = output_of("o.pcap", "stream", true,
	    false);

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(put(output, i % 2 == 0 ? b : a, T0 + i, 60),
		    0);
	assert_int_equal(pb_output_end(output, NULL), 0);
	pb_output_close(output);
	assert_int_equal(size_of("o_lon1+eth0.pcap"), 24 + 5 * 76);
	assert_int_equal(size_of("o_lon1+any.pcap"), 24 + 5 * 76);
	output = output_of("o.pcap", NULL, true, false);
	assert_int_equal(put(output, a, T0, 60), 0);
	assert_int_equal(put(output, b, T0, 60), PB_EINVAL);
	pb_output_close(output);
	assert_int_equal(files_in_dir(), 2);
	pb_head_unref(a);
	pb_head_unref(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(by_size_no_file_is_larger_and_none_could_be_longer),
		IN_DIR(by_size_a_run_is_no_reason_for_a_larger_file),
		IN_DIR(a_packet_larger_than_the_size_has_a_file_of_its_own),
		IN_DIR(
		    by_time_each_has_its_minutes_and_empty_ones_are_not_there),
		IN_DIR(by_stream_each_has_its_own),
		IN_DIR(what_is_not_complete_does_not_stay),
		IN_DIR(a_keeper_makes_and_names_the_same_files),
		IN_DIR(what_cannot_be_split_is_refused),
		IN_DIR(more_streams_than_files_may_be_open_are_refused),
		IN_DIR(pcap_files_have_one_link_type_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
