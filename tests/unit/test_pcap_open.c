/*
 * tests/unit/test_pcap_open.c - when the names of a filter are looked up
 *
 * On handles of libpcap without a device, which stand for netfilter's queues.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "recorder/capture/pcap_open.h"

static bool known;
static int asked, opened, installed, asked_while_open;

int
getaddrinfo(const char *name, const char *service,
    const struct addrinfo *hints, struct addrinfo **out)
{
	static struct sockaddr_in address = { .sin_family = AF_INET };
	static struct addrinfo found = { .ai_family = AF_INET,
	    .ai_addr = (struct sockaddr *)&address,
	    .ai_addrlen = sizeof(address) };

	(void)name;
	(void)service;
	(void)hints;
	address.sin_addr.s_addr = htonl(0x0a4d0009);
	asked++;
	asked_while_open += opened;
	*out = &found;
	return known ? 0 : EAI_NONAME;
}

void
freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

pcap_t *
pcap_create(const char *device, char *errbuf)
{
	(void)device;
	(void)errbuf;
	return pcap_open_dead(DLT_IPV4, 65535);
}

int
pcap_activate(pcap_t *pcap)
{
	(void)pcap;
	opened++;
	return 0;
}

int
pcap_setfilter(pcap_t *pcap, struct bpf_program *program)
{
	(void)pcap;
	installed += program->bf_len > 1;
	return 0;
}

int
pcap_setnonblock(pcap_t *pcap, int on, char *errbuf)
{
	(void)pcap;
	(void)on;
	(void)errbuf;
	return 0;
}

static int
open_it(const char *interface, const char *text)
{
	struct pb_pcap_ask ask = { .capture = { .snaplen = 65535,
	    .threads = 1 }, .hold_ms = 10, .host_clock = true };
	struct pb_pcap_filter filter;
	struct pb_pcap handle;
	struct pb_err err;
	int rc;

	asked = opened = installed = asked_while_open = 0;
	strcpy(ask.capture.interface, interface);
	strcpy(ask.capture.filter, text);
	rc = pb_pcap_filter_names(&filter, &ask.capture, &err);
	if (rc == PB_ENOENT)
		return rc;
	rc = pb_pcap_open(&handle, &ask, &filter, 1, &err);
	pb_pcap_filter_finish(&filter);
	if (rc == 0)
		pb_pcap_close(&handle);
	return rc;
}

static void
a_name_that_is_not_known_opens_nothing(void **state)
{
	(void)state;
	known = false;
	assert_int_equal(open_it("nfqueue:3", "not host a.test"), PB_ENOENT);
	assert_true(asked > 0);
	assert_int_equal(opened, 0);
}

static void
no_name_is_asked_for_while_a_queue_is_open(void **state)
{
	(void)state;
	known = true;
	assert_int_equal(open_it("nfqueue:3", "host a.test"), 0);
	assert_true(asked > 0);
	assert_int_equal(asked_while_open, 0);
	assert_int_equal(installed, 1);
}

static void
a_filter_that_suits_no_link_type_is_an_error_of_the_open_one(void **state)
{
	(void)state;
	known = true;
	assert_int_equal(open_it("nfqueue:3", "port port"), PB_EINVAL);
	assert_int_equal(opened, 1);
	assert_int_equal(installed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_is_not_known_opens_nothing),
		cmocka_unit_test(no_name_is_asked_for_while_a_queue_is_open),
		cmocka_unit_test(
	    a_filter_that_suits_no_link_type_is_an_error_of_the_open_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
