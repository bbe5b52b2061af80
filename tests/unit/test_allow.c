/*
 * tests/unit/test_allow.c - who may bring what
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/conf.h"
#include "recorder/port/allow.h"

#define DEFAULT_LIST	"*, relay:*"

static struct pb_identity
way(const char *origin, const char *relay)
{
	struct pb_identity id = { .nodes = relay == NULL ? 1 : 2 };

	strcpy(id.node[0].name, origin);
	if (relay != NULL)
		strcpy(id.node[1].name, relay);
	return id;
}

static bool
way_ok(const char *list, const char *origin, const char *relay,
    const char *cn)
{
	struct pb_identity id = way(origin, relay);

	return pb_allow_way(list, &id, cn);
}

static void
a_plain_item_allows_own_streams_only(void **state)
{
	(void)state;
	assert_true(way_ok("lon1, par1", "lon1", NULL, NULL));
	assert_true(way_ok("lon1, par1", "par1", NULL, NULL));
	assert_false(way_ok("lon1, par1", "nyc1", NULL, NULL));
	assert_false(way_ok("lon1, par1", "lon1", "par1", NULL));
	assert_true(way_ok("l*", "lon1", NULL, NULL));
	assert_false(way_ok("l*", "lon1", "lon2", NULL));
}

static void
a_relay_item_allows_any_origin_by_that_sender(void **state)
{
	(void)state;
	assert_true(way_ok("relay:par1", "lon1", "par1", NULL));
	assert_true(way_ok("relay:par1", "par1", NULL, NULL));
	assert_false(way_ok("relay:par1", "lon1", NULL, NULL));
	assert_false(way_ok("relay:par1", "lon1", "nyc1", NULL));
	assert_true(way_ok("relay:p*", "lon1", "par1", NULL));
}

static void
with_tls_the_certificate_says_who_the_sender_is(void **state)
{
	(void)state;
	assert_true(way_ok("lon1", "lon1", NULL, "lon1"));
	assert_false(way_ok("lon1", "lon1", NULL, "par1"));
	assert_false(way_ok("lon1, par1", "lon1", NULL, "par1"));
	assert_true(way_ok("relay:par1", "lon1", "par1", "par1"));
	assert_false(way_ok("relay:par1", "lon1", "par1", "lon1"));
	/* Imported at par1 under the name of lab7. */
	assert_true(way_ok("relay:par1", "lab7", NULL, "par1"));
	assert_false(way_ok("par1", "lab7", NULL, "par1"));
}

static void
an_empty_list_allows_nobody(void **state)
{
	(void)state;
	assert_false(way_ok("", "lon1", NULL, NULL));
	assert_false(way_ok(" , ,", "lon1", NULL, NULL));
	assert_false(pb_allow_node("", "lon1", NULL));
}

static void
blanks_and_commas_both_separate(void **state)
{
	(void)state;
	assert_true(way_ok("lon1 par1\tnyc1,,tok1", "tok1", NULL, NULL));
	assert_true(way_ok("lon1 par1\tnyc1,,tok1", "nyc1", NULL, NULL));
}

static void
without_a_body_the_question_is_who_could(void **state)
{
	(void)state;
	assert_true(pb_allow_node("lon1", "lon1", NULL));
	assert_false(pb_allow_node("lon1", "par1", NULL));
	/* Any relay could bring it: the body will say which. */
	assert_true(pb_allow_node("lon1, relay:par1", "nyc1", NULL));
	assert_true(pb_allow_node("lon1", "lon1", "lon1"));
	assert_false(pb_allow_node("lon1", "lon1", "par1"));
	assert_true(pb_allow_node("relay:par1", "lon1", "par1"));
	assert_false(pb_allow_node("relay:par1", "lon1", "nyc1"));
	/* Its own certificate does not make a relay's right its own. */
	assert_false(pb_allow_node("relay:par1", "nyc1", "nyc1"));
}

static void
an_item_too_long_matches_nobody_and_hides_nobody(void **state)
{
	char list[PB_CONF_LIST_MAX + 64];

	(void)state;
	memset(list, '*', sizeof(list));
	strcpy(list + PB_CONF_LIST_MAX + 8, ", lon1");
	assert_false(way_ok(list, "par1", NULL, NULL));
	assert_true(way_ok(list, "lon1", NULL, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_item_allows_own_streams_only),
		cmocka_unit_test(
		    a_relay_item_allows_any_origin_by_that_sender),
		cmocka_unit_test(
		    with_tls_the_certificate_says_who_the_sender_is),
		cmocka_unit_test(an_empty_list_allows_nobody),
		cmocka_unit_test(blanks_and_commas_both_separate),
		cmocka_unit_test(without_a_body_the_question_is_who_could),
		cmocka_unit_test(
		    an_item_too_long_matches_nobody_and_hides_nobody),
	};

	return cmocka_run_group_tests_name("allow", tests, NULL, NULL);
}
