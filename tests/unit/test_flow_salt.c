/*
 * tests/unit/test_flow_salt.c - flows where the system gives no random numbers
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "pcapng/block.h"
#include "recorder/flow/flows.h"

#define HOSTS	200u
#define BYTES	38u		/* Ethernet, IPv4, and a GRE header */

/* As under a filter of system calls that does not know it. */
ssize_t
getrandom(void *data, size_t len, unsigned flags)
{
	(void)data;
	(void)len;
	(void)flags;
	errno = EPERM;
	return -1;
}

/* Method: packets without ports, which differ in one address alone. */
static void
flows_are_told_apart_all_the_same(void **state)
{
	uint8_t data[BYTES + PB_FLOW_BEHIND] = { [12] = 8, [14] = 0x45,
	    [17] = BYTES - 14, [23] = 47, [26] = 10, [30] = 10, [33] = 1 };
	struct pb_flows *flows;

	(void)state;
	assert_int_equal(pb_flows_create(&flows, 2 * HOSTS, 2 * HOSTS, NULL),
	    0);
	for (unsigned i = 0; i < 2 * HOSTS; i++) {
		data[29] = (uint8_t)(i % HOSTS);
		assert_true(pb_flows_packet(flows, i * 80,
		    PB_LINKTYPE_ETHERNET, data, BYTES, BYTES, i));
	}
	assert_int_equal(flows->flows, HOSTS + 1);
	for (unsigned i = 1; i <= HOSTS; i++)
		assert_int_equal(flows->flow[i].packets, 2);
	pb_flows_destroy(flows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_are_told_apart_all_the_same),
	};

	return cmocka_run_group_tests_name("flow_salt", tests, NULL, NULL);
}
