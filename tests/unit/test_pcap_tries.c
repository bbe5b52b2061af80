/*
 * tests/unit/test_pcap_tries.c - an interface that is tried again and again
 *
 * By the real libpcap, but for the time stamps that it offers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/capture/pcap_open.h"

#define TRIES	20

static bool offers;		/* the card's time stamps, and takes none */

int
pcap_list_tstamp_types(pcap_t *pcap, int **out)
{
	(void)pcap;
	*out = NULL;
	if (!offers)
		return 0;
	*out = malloc(sizeof(**out));
	assert_non_null(*out);
	**out = PCAP_TSTAMP_ADAPTER;
	return 1;
}

int
pcap_set_tstamp_type(pcap_t *pcap, int type)
{
	(void)pcap;
	(void)type;
	return PCAP_WARNING_TSTAMP_TYPE_NOTSUP;
}

static int
descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void
try_it(void)
{
	struct pb_pcap_ask ask = { .capture = { .snaplen = 65535,
	    .threads = 1, .interface = "not-there0" }, .hold_ms = 10 };
	int before = descriptors();
	struct pb_pcap handle;
	struct pb_err err;

	for (int i = 0; i < TRIES; i++)
		assert_true(pb_pcap_open(&handle, &ask, NULL, 1, &err) < 0);
	assert_int_equal(descriptors(), before);
}

static void
tries_of_a_missing_interface_leave_nothing_open(void **state)
{
	(void)state;
	offers = false;
	try_it();
}

static void
nor_do_those_whose_time_stamps_it_does_not_take(void **state)
{
	(void)state;
	offers = true;
	try_it();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    tries_of_a_missing_interface_leave_nothing_open),
		cmocka_unit_test(
		    nor_do_those_whose_time_stamps_it_does_not_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
