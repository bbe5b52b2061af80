/*
 * tests/unit/test_sifts.c - what pullers get of packets, by their sections
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "recorder/port/sifts.h"

#define TURNS_MAX	500	/* of 20 ms: a filter is compiled by then */

static struct pb_conf conf;
static struct pb_sifts *sifts;

static void
add(const char *name, const char *url, const char *filter, uint32_t snaplen)
{
	struct pb_conf_upstream *upstream = &conf.upstream[conf.upstreams++];

	assert_int_equal(pb_conf_upstream_defaults(upstream, NULL), 0);
	strcpy(upstream->name, name);
	strcpy(upstream->url, url);
	strcpy(upstream->filter, filter);
	if (snaplen != 0)
		upstream->snaplen = snaplen;
}

static int
setup(void **state)
{
	(void)state;
	memset(&conf, 0, sizeof(conf));
	add("pushed", "http://a:1", "tcp", 10);
	add("all", PB_CONF_PULL, "", 0);
	add("udp", PB_CONF_PULL, "udp", 0);
	add("short", PB_CONF_PULL, "", 64);
	add("wrong", PB_CONF_PULL, "nothing like this", 0);
	assert_int_equal(pb_sifts_create(&sifts, &conf, NULL), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pb_sifts_destroy(sifts);
	return 0;
}

static int
find(const char *puller, struct pb_sift **out)
{
	struct pb_err err;
	int rc = PB_EBUSY;

	for (int i = 0; i < TURNS_MAX && rc == PB_EBUSY; i++)
		rc = pb_sifts_find(sifts, puller, PB_LINKTYPE_ETHERNET, out,
		    &err);
	return rc;
}

static void
each_puller_gets_what_its_section_says(void **state)
{
	struct pb_sift *sift, *again;

	(void)state;
	assert_int_equal(find("all", &sift), 0);
	assert_null(sift);
	assert_int_equal(find("pushed", &sift), 0);
	assert_null(sift);
	assert_int_equal(find("short", &sift), 0);
	assert_null(sift->filter);
	assert_int_equal(sift->snaplen, 64);
	pb_sift_unref(sift);
	assert_int_equal(find("udp", &sift), 0);
	assert_non_null(sift->filter);
	assert_true(sift->first_apart);
	assert_int_equal(sift->snaplen, PB_CAPLEN_MAX);
	/* Compiled once. */
	assert_int_equal(find("udp", &again), 0);
	assert_ptr_equal(sift, again);
	pb_sift_unref(again);
	pb_sift_unref(sift);
}

static void
a_reload_changes_it_for_answers_that_begin_then(void **state)
{
	struct pb_sift *before, *now;
	struct pb_sifts_words words;

	(void)state;
	assert_int_equal(find("udp", &before), 0);
	(void)pb_sifts_change(sifts, &conf);
	assert_int_equal(find("udp", &now), 0);
	assert_ptr_equal(now, before);
	pb_sift_unref(now);
	strcpy(conf.upstream[2].filter, "tcp");
	conf.upstream[2].snaplen = 99;
	(void)pb_sifts_change(sifts, &conf);
	assert_int_equal(find("udp", &now), 0);
	assert_ptr_not_equal(now, before);
	assert_int_equal(now->snaplen, 99);
	assert_int_equal(before->snaplen, PB_CAPLEN_MAX);
	pb_sift_unref(before);
	pb_sift_unref(now);
	pb_sifts_say(sifts, "udp", &words);
	assert_string_equal(words.filter, "tcp");
	assert_int_equal(words.snaplen, 99);
	/* Who has no section any more gets what it got. */
	conf.upstreams = 1;
	(void)pb_sifts_change(sifts, &conf);
	pb_sifts_say(sifts, "udp", &words);
	assert_string_equal(words.filter, "tcp");
}

static void
so_it_changes_which_streams_are_offered(void **state)
{
	const struct pb_stream_key eth0 = { .node = "lon1",
	    .interface = "eth0" };

	(void)state;
	strcpy(conf.upstream[2].streams, "lon1/*");
	assert_true(pb_sifts_change(sifts, &conf));
	assert_true(pb_sifts_offers(sifts, "udp", &eth0));
	assert_false(pb_sifts_offers(sifts, "nobody", &eth0));
	assert_false(pb_sifts_change(sifts, &conf));
	strcpy(conf.upstream[2].streams, "par1/*");
	assert_true(pb_sifts_change(sifts, &conf));
	assert_false(pb_sifts_offers(sifts, "udp", &eth0));
}

static void
what_is_no_filter_is_told_and_heals(void **state)
{
	struct pb_sift *sift;
	struct pb_err err;

	(void)state;
	assert_int_equal(find("wrong", &sift), PB_EINVAL);
	assert_null(sift);
	assert_int_equal(pb_sifts_find(sifts, "wrong", PB_LINKTYPE_ETHERNET,
	    &sift, &err), PB_EINVAL);
	assert_non_null(strstr(err.text, "nothing like this"));
	strcpy(conf.upstream[4].filter, "arp");
	(void)pb_sifts_change(sifts, &conf);
	assert_int_equal(find("wrong", &sift), 0);
	pb_sift_unref(sift);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_puller_gets_what_its_section_says),
		TEST(a_reload_changes_it_for_answers_that_begin_then),
		TEST(so_it_changes_which_streams_are_offered),
		TEST(what_is_no_filter_is_told_and_heals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
