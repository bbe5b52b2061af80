/*
 * tests/unit/test_peerlog.c - log lines about peers, at a bounded rate
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "recorder/port/peerlog.h"

static struct pb_peerlog peerlog;

static int
setup(void **state)
{
	(void)state;
	pb_log_level(PB_LOG_ERROR + 1);
	memset(&peerlog, 0, sizeof(peerlog));
	return 0;
}

static bool
warn(uint64_t now, const char *peer, const char *cause)
{
	return pb_peerlog_warn(&peerlog, now, peer, cause, "text");
}

static void
a_peer_and_cause_has_one_line_in_a_while(void **state)
{
	(void)state;
	assert_true(warn(5, "192.0.2.1", "400"));
	for (uint64_t ms = 0; ms < PB_PEERLOG_MS; ms += 100)
		assert_false(warn(5 + ms, "192.0.2.1", "400"));
	assert_true(warn(5 + PB_PEERLOG_MS, "192.0.2.1", "400"));
	assert_false(warn(6 + PB_PEERLOG_MS, "192.0.2.1", "400"));
}

static void
other_peers_and_other_causes_have_their_own(void **state)
{
	(void)state;
	assert_true(warn(5, "192.0.2.1", "400"));
	assert_true(warn(5, "192.0.2.1", "422"));
	assert_true(warn(5, "192.0.2.2", "400"));
	assert_false(warn(6, "192.0.2.1", "422"));
}

static void
any_number_of_peers_gives_a_bounded_number_of_lines(void **state)
{
	unsigned lines = 0;
	char peer[32];

	(void)state;
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 5000; i++) {
			snprintf(peer, sizeof(peer), "2001:db8::%x", i);
			lines += warn(round * 1000, peer, "400");
		}
	assert_true(lines > PB_PEERLOG_SLOTS / 2);
	assert_true(lines <= PB_PEERLOG_SLOTS);
	/* And later there is room again. */
	assert_true(warn(PB_PEERLOG_MS + 2000, "192.0.2.1", "400"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    a_peer_and_cause_has_one_line_in_a_while, setup),
		cmocka_unit_test_setup(
		    other_peers_and_other_causes_have_their_own, setup),
		cmocka_unit_test_setup(
		    any_number_of_peers_gives_a_bounded_number_of_lines,
		    setup),
	};

	return cmocka_run_group_tests_name("peerlog", tests, NULL, NULL);
}
