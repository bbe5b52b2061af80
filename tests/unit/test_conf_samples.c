/*
 * tests/unit/test_conf_samples.c - the configurations that come with us
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static void
the_sample_files_are_good(void **state)
{
	static const struct {
		const char *path, *name;
		size_t captures, upstreams, edges;
		bool listens;
	} rows[] = {
		{ "conf/packetbroker.conf", "node1", 1, 0, 0, false },
		{ "conf/edge.conf", "lon1", 2, 1, 0, false },
		{ "conf/relay.conf", "relay1", 0, 1, 0, true },
		{ "conf/core.conf", "core", 1, 0, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct pb_conf *conf = NULL;
		struct pb_err err;

		if (pb_conf_load(&conf, rows[i].path, &err) != 0)
			fail_msg("%s", err.text);
		assert_string_equal(conf->node.name, rows[i].name);
		assert_int_equal(conf->captures, rows[i].captures);
		assert_int_equal(conf->upstreams, rows[i].upstreams);
		assert_int_equal(conf->edges, rows[i].edges);
		assert_int_equal(conf->listen.present, rows[i].listens);
		pb_conf_destroy(conf);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sample_files_are_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
