/*
 * tests/unit/test_source.c - what captures an interface: its checks, its
 * words, its threads
 *
 * Real threads, on an interface that is not there and, where that is
 * permitted, on the loopback.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcapng/option.h"
#include "recorder/capture/source_impl.h"
#include "recorder/capture/source.h"
#include "recorder/link/link.h"
#include "recorder/query/seen/stamps.h"
#include "tests/unit/store_fixture.h"

#define POLL_MS		10
#define TURNS_MAX	3000	/* of POLL_MS, then a test gives up */

static const char *key;	/* at fault */

static void
a_stream_says_who_and_where_it_is(void **state)
{
	struct pb_node node = { .name = "lon1", .description = "London" };
	struct pb_conf_capture capture = { .interface = "lo",
	    .description = "the loop", .filter = "not port 22" };
	struct pb_stamping stamping = { .choice = PB_STAMP_CAPTURE };
	struct pb_description what = { .node = &node, .capture = &capture,
	    .stamping = &stamping, .epoch = 99,
	    .linktype = PB_LINKTYPE_ETHERNET, .clock = "adapter" };
	char text[PB_INTERFACE_TEXT_MAX];
	struct pb_option option;
	struct pb_head *head;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_describe(&head, &what, &err), 0);
	assert_string_equal(head->identity.node[0].name, "lon1");
	assert_string_equal(head->identity.node[0].description, "London");
	assert_string_equal(head->identity.interface, "lo");
	assert_int_equal(head->identity.epoch, 99);
	assert_int_equal(head->identity.nodes, 1);
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_NAME, &option));
	assert_memory_equal(option.value, "lo", 2);
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_DESCRIPTION, &option));
	assert_int_equal(option.len, strlen("lon1: the loop"));
	assert_memory_equal(option.value, "lon1: the loop", option.len);
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_FILTER, &option));
	assert_int_equal(option.len, 12);
	assert_memory_equal(option.value, "\0not port 22", 12);
	assert_true(pb_option_find(head->shb_options.data,
	    head->shb_options.len, PB_OPT_SHB_OS, &option));
	assert_memory_equal(option.value, "Linux ", 6);
	assert_int_equal(pb_interface_text_get(head->idb_options.data,
	    head->idb_options.len, text), 1);
	assert_string_equal(text, "clock=adapter");
	assert_false(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_FCSLEN, &option));
	pb_head_unref(head);
}

static void
a_stream_says_which_trailers_its_frames_have(void **state)
{
	struct pb_node node = { .name = "lon1" };
	struct pb_conf_capture capture = { .interface = "lo",
	    .trailers = "metamako, raw:4", .fcs = true, .tai_utc = 36,
	    .timestamp_from = "trailer:1" };
	struct pb_stamping stamping = { .choice = PB_STAMP_CAPTURE };
	struct pb_description what = { .node = &node, .capture = &capture,
	    .stamping = &stamping, .epoch = 99,
	    .linktype = PB_LINKTYPE_ETHERNET, .clock = "host_hiprec" };
	char text[PB_INTERFACE_TEXT_MAX];
	struct pb_trailer_list list;
	struct pb_option option;
	struct pb_head *head;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_stamping_init(&stamping, &capture, &key, &err), 0);
	assert_int_equal(pb_describe(&head, &what, &err), 0);
	assert_int_equal(pb_interface_text_get(head->idb_options.data,
	    head->idb_options.len, text), 1);
	assert_string_equal(text, "clock=host_hiprec fcs=yes "
	    "trailers=metamako,raw:4 tai_utc=36 timestamp_from=trailer:1");
	assert_int_equal(pb_stamps_list(text, &list), 1);
	assert_int_equal(list.count, 2);
	assert_true(list.fcs);
	assert_int_equal(list.tai_utc, 36);
	assert_true(pb_option_find(head->idb_options.data,
	    head->idb_options.len, PB_OPT_IF_FCSLEN, &option));
	assert_int_equal(option.len, 1);
	assert_int_equal(option.value[0], 4);
	pb_head_unref(head);
}

static const struct {
	struct pb_conf_capture capture;
	const char *says;		/* NULL: it is right */
} trailed[] = {
	{ { .trailers = "none" }, NULL },
	{ { .trailers = "metamako", .timestamp_from = "outermost" }, NULL },
	{ { .trailers = "metamako,cpacket", .timestamp_from = "trailer:2",
	    .threads = 4 }, NULL },
	{ { .trailers = "metamak" }, "[capture e]: trailers: 'metamak' is no "
	    "trailer; did you mean metamako?" },
	{ { .trailers = "raw" }, "[capture e]: trailers: raw: write raw:N" },
	{ { .trailers = "metamako", .timestamp_from = "trailers" },
	    "[capture e]: timestamp_from: 'trailers' is no clock" },
	{ { .trailers = "none", .timestamp_from = "trailer" },
	    "[capture e]: timestamp_from: trailer, but no trailers are "
	    "configured; write trailers, or timestamp_from = capture" },
	{ { .trailers = "metamako", .timestamp_from = "trailer:2" },
	    "[capture e]: timestamp_from: trailer:2, but the list has 1" },
	{ { .trailers = "metamako, raw:4", .timestamp_from = "trailer:2" },
	    "[capture e]: timestamp_from: trailer:2, but that is raw:4, "
	    "bytes without a time; choose another" },
	{ { .trailers = "raw:4, raw:2", .timestamp_from = "trailer" },
	    "[capture e]: timestamp_from: trailer, but the list has raw "
	    "bytes alone, without a time; write timestamp_from = capture" },
	{ { .trailers = "raw:4", .timestamp_from = "capture" }, NULL },
	{ { .trailers = "arista7150", .threads = 2 }, "[capture e]: threads: "
	    "2, but what the keyframes of these trailers say" },
	{ { .trailers = "arista7150", .threads = 1 }, NULL },
};

static void
trailers_that_cannot_be_read_are_refused_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(trailed) / sizeof(trailed[0]); i++) {
		struct pb_conf_capture capture = trailed[i].capture;
		struct pb_err err = { .text = "" };

		strcpy(capture.interface, "e");
		assert_int_equal(pb_source_check(&capture, 5000, &key, &err),
		    trailed[i].says == NULL ? 0 : PB_EINVAL);
		if (trailed[i].says != NULL &&
		    strstr(err.text, trailed[i].says) == NULL)
			fail_msg("%s", err.text);
	}
}

static void
a_filter_is_checked_though_the_interface_is_absent(void **state)
{
	struct pb_conf_capture capture = { .interface = "not-there0" };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_source_check(&capture, 5000, &key, &err), 0);
	strcpy(capture.filter, "tcp port 80 and vlan");
	assert_int_equal(pb_source_check(&capture, 5000, &key, &err), 0);
	/* Right for another link type than Ethernet. */
	strcpy(capture.filter, "wlan type mgt");
	assert_int_equal(pb_source_check(&capture, 5000, &key, &err), 0);
	strcpy(capture.filter, "port port");
	assert_int_equal(pb_source_check(&capture, 5000, &key, &err),
	    PB_EINVAL);
	assert_non_null(strstr(err.text, "[capture not-there0]"));
	assert_non_null(strstr(err.text, "port port"));
}

/* On each link type for which there is a program. */
static void
a_filter_that_a_packet_could_keep_running_is_refused(void **state)
{
	static const char *const text[] = { "ip6 protochain 6",
	    "udp or ip protochain 50" };
	static const char *const interface[] = { "not-there0", "nfqueue:3" };
	struct pb_conf_capture capture = { .threads = 1 };
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		strcpy(capture.interface, interface[i / 2]);
		strcpy(capture.filter, text[i % 2]);
		assert_int_equal(pb_source_check(&capture, 5000, &key, &err),
		    PB_EINVAL);
		assert_non_null(strstr(err.text, text[i % 2]));
		assert_non_null(strstr(err.text, "protochain is for pb query "
		    "alone, since one packet could keep it running for ever; "
		    "write proto"));
		assert_null(strchr(err.text, '\n'));
	}
}

static void
an_unknown_time_stamp_type_is_refused(void **state)
{
	struct pb_conf_capture capture = { .interface = "not-there0",
	    .timestamp_type = "adapter" };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_source_check(&capture, 5000, &key, &err), 0);
	strcpy(capture.timestamp_type, "sundial");
	assert_int_equal(pb_source_check(&capture, 5000, &key, &err),
	    PB_EINVAL);
	assert_non_null(strstr(err.text, "sundial"));
	assert_string_equal(key, "timestamp_type");
}

static void
an_interface_is_known_by_its_index(void **state)
{
	struct pb_link_state link;

	(void)state;
	pb_link_state("lo", &link);
	assert_int_not_equal(link.index, 0);
	pb_link_state("any", &link);
	assert_int_equal(link.index, 0);
	assert_true(link.up);
	pb_link_state("not-there0", &link);
	assert_int_equal(link.index, 0);
}

static int
find_lo(const struct pb_interface_info *info, void *arg)
{
	assert_non_null(info->description);
	assert_true(strlen(info->timestamp_types) > 0);
	assert_non_null(info->linktype);
	if (strcmp(info->name, "lo") == 0) {
		assert_true(info->loopback);
		*(int *)arg = 1;
		return 17;
	}
	return 0;
}

static void
interfaces_are_listed_until_the_caller_has_enough(void **state)
{
	struct pb_err err;
	int found = 0, rc;

	(void)state;
	rc = pb_interfaces(find_lo, &found, &err);
	assert_int_equal(rc, found ? 17 : 0);
}

static struct pb_source *
start(struct fixture *f, const char *interface, const char *filter,
    uint32_t threads)
{
	static struct pb_conf conf = { .node.name = "lon1",
	    .store.flush_interval_ms = 40 };	/* too large for a stack */
	struct pb_conf_capture capture = { .snaplen = PB_SNAPLEN,
	    .buffer = threads << 20, .threads = threads };
	struct pb_source *source;
	struct pb_err err;

	strcpy(capture.interface, interface);
	strcpy(capture.filter, filter);
	assert_int_equal(pb_source_start(&source, &capture, &conf, f->store,
	    &err), 0);
	return source;
}

/* Until it captures or says why not. */
static struct pb_source_stats
settled(struct pb_source *source)
{
	struct pb_source_stats stats;

	for (int i = 0; i < TURNS_MAX; i++) {
		pb_source_stats(source, &stats);
		if (stats.up || stats.last_error[0] != '\0')
			break;
		poll(NULL, 0, POLL_MS);
	}
	return stats;
}

static void
an_absent_interface_is_waited_for_and_is_no_error(void **state)
{
	struct pb_source_stats stats;
	struct pb_source *source;
	struct fixture f;

	(void)state;
	fixture_init(&f, __LINE__);
	for (uint32_t threads = 1; threads <= PB_CAPTURE_THREADS_MAX;
	    threads += PB_CAPTURE_THREADS_MAX - 1) {
		source = start(&f, "not-there0", "", threads);
		stats = settled(source);
		assert_false(stats.up);
		assert_non_null(strstr(stats.last_error, "not-there0"));
		assert_string_equal(stats.interface, "not-there0");
		pb_source_stop(source);
	}
	fixture_finish(&f);
}

static void
send_udp(uint16_t port, int count)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	for (int i = 0; i < count; i++)
		sendto(fd, &i, sizeof(i), 0, (struct sockaddr *)&to,
		    sizeof(to));
	close(fd);
}

/* What is asked for is stored, once, and is there when the source stops. */
static void
capture_loopback(uint32_t threads, int line)
{
	struct pb_stream_info rows[4];
	struct pb_source_stats stats;
	struct pb_source *source;
	struct pb_index *index;
	struct pb_err err;
	struct fixture f;
	int count;

	fixture_init(&f, line);
	source = start(&f, "lo", "udp dst port 49151", threads);
	stats = settled(source);
	if (!stats.up) {
		print_message("skipped: cannot capture here: %s\n",
		    stats.last_error);
		pb_source_stop(source);
		fixture_finish(&f);
		skip();
	}
	send_udp(49150, 5);
	for (int i = 0; i < 20; i++)
		send_udp(49151, 5);	/* of another port each: 20 flows */
	for (int i = 0; i < TURNS_MAX && stats.packets < 100; i++) {
		poll(NULL, 0, POLL_MS);
		pb_source_stats(source, &stats);
	}
	for (int i = 0; i < 20; i++)
		send_udp(49151, 1);	/* still with the kernel at the end */
	pb_source_stop(source);
	pb_store_close(f.store);
	f.store = NULL;
	assert_int_equal(pb_index_open(&index, f.dir, &err), 0);
	count = pb_index_rows(index, PB_TABLE_STREAMS, NULL, rows, 4, &err);
	assert_int_equal(count, 1);
	assert_string_equal(rows[0].key.node, "lon1");
	assert_string_equal(rows[0].key.interface, "lo");
	assert_true(rows[0].own);
	assert_int_equal(rows[0].packets, 120);
	assert_int_equal(rows[0].last_seq, 120);
	assert_int_equal(rows[0].dropped, 0);
	assert_int_equal(rows[0].linktype, PB_LINKTYPE_ETHERNET);
	pb_index_close(index);
	fixture_finish(&f);
}

static void
packets_of_an_interface_are_in_the_store_when_it_stops(void **state)
{
	(void)state;
	capture_loopback(1, __LINE__);
}

static void
so_they_are_where_threads_share_it(void **state)
{
	(void)state;
	capture_loopback(3, __LINE__);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_says_who_and_where_it_is),
		cmocka_unit_test(a_stream_says_which_trailers_its_frames_have),
		cmocka_unit_test(
		    trailers_that_cannot_be_read_are_refused_in_words),
		cmocka_unit_test(
		    a_filter_is_checked_though_the_interface_is_absent),
		cmocka_unit_test(
		    a_filter_that_a_packet_could_keep_running_is_refused),
		cmocka_unit_test(an_unknown_time_stamp_type_is_refused),
		cmocka_unit_test(an_interface_is_known_by_its_index),
		cmocka_unit_test(
		    interfaces_are_listed_until_the_caller_has_enough),
		cmocka_unit_test(
		    an_absent_interface_is_waited_for_and_is_no_error),
		cmocka_unit_test(
		    packets_of_an_interface_are_in_the_store_when_it_stops),
		cmocka_unit_test(so_they_are_where_threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
