/*
 * tests/unit/test_metrics.c - numbers a program tells of itself
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/metrics.h"

struct facts {
	char		before[3];	/* fields may lie anywhere */
	uint64_t	eaten;
	bool		hungry;
};

static const struct pb_metric metric[] = {
	PB_COUNTER("eaten", struct facts, eaten, "Cakes."),
	PB_GAUGE("hungry", struct facts, hungry, "1 while there is room."),
};
static const struct facts facts = { .eaten = UINT64_MAX, .hungry = true };

static void
facts_are_members_and_families(void **state)
{
	struct pb_json json;
	struct pb_buf buf;

	(void)state;
	pb_buf_init(&buf, 1000);
	pb_json_init(&json, &buf);
	pb_json_object(&json, NULL);
	pb_metrics_json(&json, metric, 2, &facts);
	pb_json_end(&json);
	assert_string_equal(pb_buf_cstr(&buf),
	    "{\"eaten\":18446744073709551615,\"hungry\":true}");
	pb_buf_clear(&buf);
	pb_metrics_text(&buf, "guest", metric, 2, &facts);
	assert_string_equal(pb_buf_cstr(&buf),
	    "# HELP pb_guest_eaten_total Cakes.\n"
	    "# TYPE pb_guest_eaten_total counter\n"
	    "pb_guest_eaten_total 18446744073709551615\n"
	    "# HELP pb_guest_hungry 1 while there is room.\n"
	    "# TYPE pb_guest_hungry gauge\n"
	    "pb_guest_hungry 1\n");
	pb_buf_finish(&buf);
}

static void
a_label_cannot_end_before_its_end(void **state)
{
	static const struct pb_label labels[] = { { "name", "a\"b\\\n" },
	    { "number", "1" }, { NULL } };
	struct pb_buf buf;

	(void)state;
	pb_buf_init(&buf, 1000);
	pb_metric_head(&buf, "", &metric[1]);
	pb_metric_value(&buf, "", &metric[1], labels, &facts);
	assert_string_equal(pb_buf_cstr(&buf),
	    "# HELP pb_hungry 1 while there is room.\n"
	    "# TYPE pb_hungry gauge\n"
	    "pb_hungry{name=\"a\\\"b\\\\\\n\",number=\"1\"} 1\n");
	pb_buf_finish(&buf);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_are_members_and_families),
		cmocka_unit_test(a_label_cannot_end_before_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
