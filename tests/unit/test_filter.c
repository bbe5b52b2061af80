/*
 * tests/unit/test_filter.c - tcpdump filters over packets in memory
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/filter.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "recorder/filter/filter.h"
#include "recorder/filter/linktype.h"

/* libpcap's own numbers, as they are on Linux (pcap/dlt.h). */
enum {
	DLT_NULL = 0, DLT_EN10MB = 1, DLT_PPP = 9, DLT_FDDI = 10,
	DLT_ATM_RFC1483 = 11, DLT_RAW = 12, DLT_SLIP_BSDOS = 15,
	DLT_PPP_BSDOS = 16, DLT_ATM_CLIP = 19, DLT_PPP_SERIAL = 50,
	DLT_LOOP = 108, DLT_LINUX_SLL = 113, DLT_IEEE802_11_RADIO = 127,
	DLT_IPV4 = 228, DLT_LINUX_SLL2 = 276,
};

/* Ethernet, IPv4, TCP from 10.0.0.1:1234 to 10.0.0.2:80, no payload. */
static const uint8_t frame[54] = {
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
	0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
	1234 >> 8, 1234 & 255, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2,
};

/* 1 or 0: whether `text` matches; or the error of making the filter. */
static int
matches(const char *text, uint16_t linktype, const uint8_t *data,
    uint32_t caplen, uint32_t origlen)
{
	struct pb_packet packet = { .caplen = caplen, .origlen = origlen,
	    .data = data };
	struct pb_filter *filter;
	struct pb_err err;
	int rc;

	rc = pb_filter_create(&filter, text, linktype, &err);
	if (rc < 0)
		return rc;
	rc = pb_filter_match(filter, &packet) ? 1 : 0;
	pb_filter_destroy(filter);
	return rc;
}

static int
ethernet(const char *text)
{
	return matches(text, PB_LINKTYPE_ETHERNET, frame, sizeof(frame),
	    sizeof(frame));
}

static void
an_empty_filter_matches_all(void **state)
{
	(void)state;
	assert_int_equal(ethernet(""), 1);
	assert_int_equal(ethernet(" \t\n"), 1);
	assert_int_equal(matches("", 65000, frame, 0, 0), 1);
}

static void
a_filter_tells_packets_apart(void **state)
{
	(void)state;
	assert_int_equal(ethernet("tcp dst port 80"), 1);
	assert_int_equal(ethernet("tcp src port 80"), 0);
	assert_int_equal(ethernet("host 10.0.0.2 and not udp"), 1);
	assert_int_equal(ethernet("ether host 02:00:00:00:00:01"), 1);
	assert_int_equal(ethernet("vlan 5"), 0);
	assert_int_equal(ethernet("tcp[tcpflags] & tcp-syn != 0"), 1);
}

static void
names_in_a_filter_are_resolved(void **state)
{
	(void)state;
	if (gethostbyname("localhost") == NULL) {
		print_message("skipped: this machine knows no localhost\n");
		skip();
	}
	assert_int_equal(ethernet("host localhost"), 0);
}

/* The stored link type is LINKTYPE_RAW, libpcap's own number another. */
static void
a_filter_is_compiled_for_the_stored_link_type(void **state)
{
	(void)state;
	assert_int_equal(matches("tcp dst port 80", PB_LINKTYPE_RAW,
	    frame + 14, sizeof(frame) - 14, sizeof(frame) - 14), 1);
	assert_int_equal(matches("tcp dst port 80", PB_LINKTYPE_ETHERNET,
	    frame + 14, sizeof(frame) - 14, sizeof(frame) - 14), 0);
}

/* As tcpdump reads a file: not as a handle of this system's kernel. */
static void
a_filter_is_compiled_for_a_file(void **state)
{
	static const uint8_t of_a_mac[44] = { 30, 0, 0, 0, 0x60, [10] = 59 };

	(void)state;
	assert_int_equal(matches("ip6", DLT_NULL, of_a_mac, sizeof(of_a_mac),
	    sizeof(of_a_mac)), 1);
	assert_int_equal(ethernet("inbound"), PB_EINVAL);
	assert_int_equal(ethernet("not ifindex 2"), PB_EINVAL);
}

static void
bytes_that_were_not_captured_do_not_match(void **state)
{
	(void)state;
	assert_int_equal(matches("tcp dst port 80", PB_LINKTYPE_ETHERNET,
	    frame, 30, sizeof(frame)), 0);
	assert_int_equal(matches("ip", PB_LINKTYPE_ETHERNET, frame, 30,
	    sizeof(frame)), 1);
	/* `len` is the length on the wire. */
	assert_int_equal(matches("greater 1000", PB_LINKTYPE_ETHERNET, frame,
	    sizeof(frame), 1500), 1);
}

static void
a_filter_that_does_not_compile_says_why(void **state)
{
	struct pb_filter *filter;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_filter_create(&filter, "port port", 1, &err),
	    PB_EINVAL);
	assert_non_null(strstr(err.text, "port port"));
	assert_non_null(strstr(err.text, "syntax error"));
	/* The error's text may be unwanted. */
	assert_int_equal(pb_filter_create(&filter, "(", 1, NULL), PB_EINVAL);
	assert_int_equal(pb_filter_create(&filter, "wlan type mgt",
	    PB_LINKTYPE_ETHERNET, &err), PB_EINVAL);
	pb_filter_destroy(NULL);
}

/*
 * Goal:   of no packet a filter never comes to an end.
 * Method: an authentication header from which libpcap's protochain goes back
 *         to it, in IPv6 and in IPv4; and one from which it goes on.
 */
static void
a_filter_comes_to_an_end_for_each_packet(void **state)
{
	enum { AH = 51, IP = 14, OF_V6 = IP + 40, OF_V4 = IP + 20 };
	uint8_t v6[OF_V6 + 40] = { [12] = 0x86, 0xdd, [IP] = 0x60,
	    [IP + 6] = AH, [OF_V6] = AH, 8 };
	uint8_t v4[OF_V4 + 20] = { [12] = 0x08, 0x00, [IP] = 0x45,
	    [IP + 9] = AH, [OF_V4] = AH, 3 };

	(void)state;
	for (int round = 0; round < 2; round++) {
		assert_int_equal(matches("ip6 protochain 6",
		    PB_LINKTYPE_ETHERNET, v6, sizeof(v6), sizeof(v6)), round);
		assert_int_equal(matches("ip protochain 17",
		    PB_LINKTYPE_ETHERNET, v4, sizeof(v4), sizeof(v4)), round);
		assert_int_equal(matches("ip6 protochain 51",
		    PB_LINKTYPE_ETHERNET, v6, sizeof(v6), sizeof(v6)), 1);
		v6[OF_V6] = 6;
		v4[OF_V4] = 17;
	}
}

/* As tcpdump -r; of a capture its network's own would be missing. */
static void
an_ip_broadcast_is_what_a_file_knows_of_it(void **state)
{
	uint8_t to_all[sizeof(frame)];
	struct pb_filter *filter;
	struct pb_err err;

	(void)state;
	memcpy(to_all, frame, sizeof(frame));
	memset(to_all + 30, 0xff, 4);
	assert_int_equal(ethernet("ip broadcast"), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(matches("ip broadcast and tcp",
		    PB_LINKTYPE_ETHERNET, to_all, sizeof(to_all),
		    sizeof(to_all)), 1);
		memset(to_all + 30, 0, 4);
	}
	assert_int_equal(pb_filter_create(&filter, "ip broadcast", 1, NULL),
	    0);
	assert_int_equal(pb_filter_captures(filter, "ip broadcast", &err),
	    PB_EINVAL);
	assert_non_null(strstr(err.text, "mask"));
	pb_filter_destroy(filter);
}

static void
link_types_in_files_are_the_same_on_every_system(void **state)
{
	uint16_t linktype;

	(void)state;
	assert_int_equal(pb_linktype_of_dlt(DLT_EN10MB, &linktype, NULL), 0);
	assert_int_equal(linktype, PB_LINKTYPE_ETHERNET);
	assert_int_equal(pb_linktype_of_dlt(DLT_RAW, &linktype, NULL), 0);
	assert_int_equal(linktype, PB_LINKTYPE_RAW);
	assert_int_equal(pb_linktype_of_dlt(DLT_LINUX_SLL2, &linktype, NULL),
	    0);
	assert_int_equal(linktype, PB_LINKTYPE_LINUX_SLL2);
	assert_int_equal(pb_linktype_of_dlt(DLT_ATM_CLIP, &linktype, NULL),
	    0);
	assert_int_equal(linktype, 106);
}

static void
a_link_type_survives_the_way_there_and_back(void **state)
{
	static const int dlts[] = { DLT_NULL, DLT_EN10MB, DLT_PPP, DLT_FDDI,
	    DLT_RAW, DLT_SLIP_BSDOS, DLT_PPP_BSDOS, DLT_ATM_RFC1483,
	    DLT_PPP_SERIAL, DLT_LOOP, DLT_LINUX_SLL, DLT_IPV4,
	    DLT_LINUX_SLL2, DLT_IEEE802_11_RADIO };

	(void)state;
	for (size_t i = 0; i < sizeof(dlts) / sizeof(dlts[0]); i++) {
		uint16_t linktype;

		assert_int_equal(pb_linktype_of_dlt(dlts[i], &linktype, NULL),
		    0);
		assert_int_equal(pb_linktype_to_dlt(linktype), dlts[i]);
	}
}

static void
a_link_type_without_a_number_in_files_is_refused(void **state)
{
	struct pb_err err;
	uint16_t linktype;

	(void)state;
	assert_int_equal(pb_linktype_of_dlt(-1, &linktype, &err), PB_EINVAL);
	assert_int_equal(pb_linktype_of_dlt(77, &linktype, &err), PB_EINVAL);
	assert_int_equal(pb_linktype_of_dlt(70000, &linktype, &err),
	    PB_EINVAL);
}

/* Does the kernel let `frame` through to a socket with this program? */
static bool
kernel_takes(const struct sock_filter *code, unsigned count)
{
	struct sock_fprog program = { .len = (unsigned short)count,
	    .filter = (struct sock_filter *)code };
	uint8_t got[sizeof(frame)];
	int fd[2];
	bool taken;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	assert_int_equal(setsockopt(fd[1], SOL_SOCKET, SO_ATTACH_FILTER,
	    &program, sizeof(program)), 0);
	assert_int_equal(send(fd[0], frame, sizeof(frame), 0), sizeof(frame));
	taken = recv(fd[1], got, sizeof(got), MSG_DONTWAIT) == sizeof(frame);
	close(fd[0]);
	close(fd[1]);
	return taken;
}

static void
the_kernel_runs_a_filters_program(void **state)
{
	static struct sock_filter code[PB_FILTER_CODE_MAX];
	static const struct {
		const char *text;
		bool takes;
	} rows[] = {
		{ "", true }, { "tcp port 80", true }, { "udp", false },
		{ "host 10.0.0.1 and len <= 54", true }, { "vlan 1", false },
	};
	struct pb_filter *filter;
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(pb_filter_create(&filter, rows[i].text,
		    PB_LINKTYPE_ETHERNET, &err), 0);
		assert_int_equal(kernel_takes(code, pb_filter_code(filter,
		    code)), rows[i].takes);
		pb_filter_destroy(filter);
	}
	assert_int_equal(pb_filter_code(NULL, code), 1);
	assert_true(kernel_takes(code, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_filter_matches_all),
		cmocka_unit_test(a_filter_tells_packets_apart),
		cmocka_unit_test(names_in_a_filter_are_resolved),
		cmocka_unit_test(
		    a_filter_is_compiled_for_the_stored_link_type),
		cmocka_unit_test(a_filter_is_compiled_for_a_file),
		cmocka_unit_test(bytes_that_were_not_captured_do_not_match),
		cmocka_unit_test(a_filter_that_does_not_compile_says_why),
		cmocka_unit_test(a_filter_comes_to_an_end_for_each_packet),
		cmocka_unit_test(an_ip_broadcast_is_what_a_file_knows_of_it),
		cmocka_unit_test(the_kernel_runs_a_filters_program),
		cmocka_unit_test(
		    link_types_in_files_are_the_same_on_every_system),
		cmocka_unit_test(a_link_type_survives_the_way_there_and_back),
		cmocka_unit_test(
		    a_link_type_without_a_number_in_files_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
