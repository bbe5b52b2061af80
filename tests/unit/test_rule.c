/*
 * tests/unit/test_rule.c - whose a rule of the kernel is, and where
 *
 * What the kernel makes of rules is in tests/system/420_forward.py.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <net/if.h>
#include <string.h>

#include "recorder/link/rule.h"

static void
a_cookie_says_whose_a_rule_is_and_where(void **state)
{
	struct pb_rule rule = { .at = 0xfffffff0, .pref = 7199,
	    .qdisc = true, .owner = pb_rule_owner("lon1", "/store") }, back;
	uint8_t cookie[PB_RULE_COOKIE_BYTES];

	(void)state;
	pb_rule_cookie(&rule, cookie);
	assert_true(pb_rule_from_cookie(&back, cookie, sizeof(cookie)));
	assert_true(back.at == rule.at && back.pref == rule.pref &&
	    back.qdisc && back.owner == rule.owner);
	assert_int_equal(back.action, 0);
	rule.qdisc = false;
	pb_rule_cookie(&rule, cookie);
	assert_true(pb_rule_from_cookie(&back, cookie, sizeof(cookie)));
	assert_false(back.qdisc);
}

static void
cookies_of_others_are_not_ours(void **state)
{
	struct pb_rule rule = { .at = 1, .owner = 2 };
	uint8_t cookie[PB_RULE_COOKIE_BYTES + 1] = { 0 };

	(void)state;
	pb_rule_cookie(&rule, cookie);
	for (size_t len = 0; len <= sizeof(cookie); len++)
		assert_int_equal(pb_rule_from_cookie(&rule, cookie, len),
		    len == PB_RULE_COOKIE_BYTES);
	for (size_t i = 0; i < 3; i++) {
		cookie[i] ^= 1;
		assert_false(pb_rule_from_cookie(&rule, cookie,
		    PB_RULE_COOKIE_BYTES));
		cookie[i] ^= 1;
	}
}

static void
a_node_and_its_store_are_one_owner(void **state)
{
	uint64_t owner = pb_rule_owner("lon1", "/store");

	(void)state;
	assert_true(owner == pb_rule_owner("lon1", "/store"));
	assert_true(owner != pb_rule_owner("lon2", "/store"));
	assert_true(owner != pb_rule_owner("lon1", "/store2"));
	assert_true(owner != pb_rule_owner("lon1/", "store"));
	assert_true(owner < UINT64_C(1) << 48);
}

static void
an_interface_is_looked_at_and_an_absent_one_is_no_error(void **state)
{
	struct pb_rule rule;
	struct pb_port port;
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_rule_init(&rule, 1, &err), 0);
	if (if_nametoindex("lo") != 0) {
		assert_int_equal(pb_rule_port(&rule, "lo", &port, &err), 0);
		assert_int_equal(port.index, if_nametoindex("lo"));
		assert_int_equal(port.type, 772);	/* ARPHRD_LOOPBACK */
		assert_true(port.mtu > 0);
	}
	assert_int_equal(pb_rule_port(&rule, "not-there0", &port, &err), 0);
	assert_int_equal(port.index, 0);
	assert_int_equal(pb_rule_port(&rule, "longer-than-any-interface",
	    &port, &err), 0);
	assert_int_equal(port.index, 0);
	pb_rule_finish(&rule);
}

/* Whether or not this process may remove any. */
static void
where_no_rule_is_left_none_is_removed(void **state)
{
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_rule_sweep(pb_rule_owner("no such node",
	    "no such store"), &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cookie_says_whose_a_rule_is_and_where),
		cmocka_unit_test(cookies_of_others_are_not_ours),
		cmocka_unit_test(a_node_and_its_store_are_one_owner),
		cmocka_unit_test(
		    an_interface_is_looked_at_and_an_absent_one_is_no_error),
		cmocka_unit_test(where_no_rule_is_left_none_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
