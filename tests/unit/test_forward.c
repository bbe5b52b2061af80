/*
 * tests/unit/test_forward.c - what is forwarded, and why not
 *
 * No rule is made here; tests/system/420_forward.py has those.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <net/if.h>
#include <poll.h>
#include <string.h>

#include "recorder/link/forward.h"

#define POLL_MS		10
#define TURNS_MAX	3000	/* of POLL_MS, then a test gives up */

static struct pb_forward *
start(const char *interface, const char *outlet)
{
	struct pb_forward *forward;
	struct pb_err err;

	assert_int_equal(pb_forward_start(&forward, interface, outlet, 7,
	    &err), 0);
	return forward;
}

/* Until that is the reason. */
static void
says(struct pb_forward *forward, const char *why)
{
	struct pb_forward_stats stats;

	for (int i = 0; i < TURNS_MAX; i++) {
		pb_forward_stats(forward, &stats);
		if (strstr(stats.why, why) != NULL)
			break;
		poll(NULL, 0, POLL_MS);
	}
	assert_non_null(strstr(stats.why, why));
	assert_false(stats.on);
	assert_int_equal(stats.packets + stats.refused + stats.bytes, 0);
}

static void
nothing_goes_out_before_it_is_captured(void **state)
{
	struct pb_forward *forward = start("not-there0", "not-there1");

	(void)state;
	says(forward, "not-there0 is not captured yet");
	pb_forward_stop(forward);
	pb_forward_stop(forward);
	/* An opening that was under way. */
	pb_forward_take(forward, 3, NULL);
	pb_forward_destroy(forward);
	pb_forward_stop(NULL);
	pb_forward_destroy(NULL);
}

static void
what_cannot_be_is_said_in_words(void **state)
{
	unsigned lo = if_nametoindex("lo");
	struct pb_forward *forward = start("lo", "not-there1");

	(void)state;
	pb_forward_take(forward, 0, NULL);
	says(forward, "lo is no network interface");
	if (lo == 0)
		goto out;
	pb_forward_take(forward, lo + 1000, NULL);
	says(forward, "lo is not captured yet");
	pb_forward_take(forward, lo, NULL);
	says(forward, "not-there1 is not there");
	pb_forward_destroy(forward);
	forward = start("lo", "lo");
	pb_forward_take(forward, lo, NULL);
	says(forward, "lo is the captured interface itself");
out:
	pb_forward_destroy(forward);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_goes_out_before_it_is_captured),
		cmocka_unit_test(what_cannot_be_is_said_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
