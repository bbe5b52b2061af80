/*
 * tests/unit/test_recorder_status.c - what a recorder tells of its captures
 * while they are changed
 *
 * Of interfaces that are not there, and without a port: the test asks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/log.h"
#include "recorder/port/ingest.h"
#include "recorder/recorder.h"
#include "tests/unit/temp.h"

static struct pb_ingest_opts port;
static char dir[TEMP_NAME_MAX];

int
pb_ingest_check(const struct pb_conf *conf, struct pb_err *err)
{
	(void)conf;
	(void)err;
	return 0;
}

int
pb_ingest_start(struct pb_ingest **out, const struct pb_ingest_opts *opts,
    struct pb_err *err)
{
	(void)err;
	*out = NULL;
	port = *opts;
	return 0;
}

void
pb_ingest_local(struct pb_ingest *ingest, uint64_t store)
{
	(void)ingest;
	(void)store;
}

void
pb_ingest_sift(struct pb_ingest *ingest, const struct pb_conf *conf)
{
	(void)ingest;
	(void)conf;
}

void
pb_ingest_stop(struct pb_ingest *ingest)
{
	(void)ingest;
}

static struct pb_conf *
captures(const char *names)
{
	char file[PATH_MAX];
	struct pb_conf *conf;

	shell("cd '%s'; printf '[node]\nname = lon1\n[store]\npath = %%s\n' "
	    "$PWD/store >conf; for i in %s; do printf '[capture %%s]\n' $i; "
	    "done >>conf", dir, names);
	snprintf(file, sizeof(file), "%s/conf", dir);
	assert_int_equal(pb_conf_load(&conf, file, NULL), 0);
	return conf;
}

static void
a_capture_that_stops_hides_no_other_in_the_status(void **state)
{
	struct pb_recorder *rec;
	struct pb_json json;
	struct pb_buf text;
	size_t part = 0;

	(void)state;
	pb_log_level(PB_LOG_ERROR + 1);
	temp_make(dir, "status");
	assert_int_equal(pb_recorder_start(&rec, captures("no0 no1 no2"),
	    NULL), 0);
	pb_buf_init(&text, 64u << 10);
	pb_json_init(&json, &text);
	pb_json_object(&json, NULL);
	assert_true(port.status(port.arg, part++, &json));
	assert_true(port.status(port.arg, part++, &json));
	assert_int_equal(pb_recorder_reload(rec, captures("no1 no2"), NULL),
	    0);
	while (port.status(port.arg, part++, &json))
		;
	pb_json_end(&json);
	assert_non_null(strstr(pb_buf_cstr(&text), "no0"));
	assert_non_null(strstr(pb_buf_cstr(&text), "no1"));
	assert_non_null(strstr(pb_buf_cstr(&text), "no2"));
	/* One that has gone before it is told of is not told of. */
	pb_buf_clear(&text);
	pb_json_init(&json, &text);
	pb_json_object(&json, NULL);
	for (part = 0; port.status(port.arg, part++, &json);)
		continue;
	pb_json_end(&json);
	assert_null(strstr(pb_buf_cstr(&text), "no0"));
	assert_non_null(strstr(pb_buf_cstr(&text), "no1"));
	assert_non_null(strstr(pb_buf_cstr(&text), "no2"));
	pb_buf_finish(&text);
	pb_recorder_stop(rec);
	temp_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_capture_that_stops_hides_no_other_in_the_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
