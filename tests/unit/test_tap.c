/*
 * tests/unit/test_tap.c - points that packets pass, as people name them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "recorder/query/seen/tap.h"

/* Three switches on its way; the packet's time is the second one's. */
static const struct pb_stamped stamped = {
	.capture_ns = 1000, .from = 2, .count = 3,
	.at = {
		{ .time_ns = 100, .fraction = 1, .device = 7, .port = 1,
		    .flags = PB_STAMP_TIMED | PB_STAMP_PLACED },
		{ .time_ns = 200, .fraction = 2, .device = 7, .port = 2,
		    .flags = PB_STAMP_TIMED | PB_STAMP_PLACED },
		{ .time_ns = 300, .fraction = 3, .device = 9, .port = 0,
		    .flags = PB_STAMP_PLACED },
	},
};

static struct pb_tap
tap_of(const char *text)
{
	struct pb_tap tap;
	struct pb_err err;

	if (pb_tap_parse(&tap, text, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return tap;
}

static void
a_tap_is_a_stream_a_time_or_both(void **state)
{
	static const struct {
		const char	*text, *glob;
		enum pb_tap_point point;
		unsigned	 number;
	} rows[] = {
		{ "lon1/eth0", "lon1/eth0", PB_TAP_PACKET, 0 },
		{ "*", "*", PB_TAP_PACKET, 0 },
		{ "capture", "", PB_TAP_CAPTURE, 0 },
		{ "stamp:1", "", PB_TAP_STAMP, 1 },
		{ "stamp:8", "", PB_TAP_STAMP, 8 },
		{ "device:0", "", PB_TAP_DEVICE, 0 },
		{ "device:65535/3", "", PB_TAP_DEVICE, 65535 },
		{ "lon*/eth0@stamp:2", "lon*/eth0", PB_TAP_STAMP, 2 },
		{ "lon1/eth0@capture", "lon1/eth0", PB_TAP_CAPTURE, 0 },
		{ "lon1/eth0@if3", "lon1/eth0@if3", PB_TAP_PACKET, 0 },
		{ "lon1/eth0@if3@device:4", "lon1/eth0@if3", PB_TAP_DEVICE,
		    4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_tap tap = tap_of(rows[i].text);

		assert_string_equal(tap.glob, rows[i].glob);
		assert_int_equal(tap.point, rows[i].point);
		assert_int_equal(tap.number, rows[i].number);
	}
	assert_true(tap_of("device:3").any_port);
	assert_false(tap_of("device:3/0").any_port);
	assert_int_equal(tap_of("device:3/12").port, 12);
}

static void
what_is_none_is_refused_in_words(void **state)
{
	static const char *const wrong[] = {
		"", "stamp:", "stamp:0", "stamp:9", "stamp:x", "stamp:1x",
		"device:", "device:65536", "device:-1", "device:3/",
		"device:3/65536", "device:3/1/2", "@stamp:1",
		"device:000000000000000000003",
	};
	struct pb_tap tap;
	struct pb_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (pb_tap_parse(&tap, wrong[i], &err) != PB_EINVAL)
			fail_msg("'%s' is a tap", wrong[i]);
		assert_non_null(strstr(err.text, wrong[i]));
	}
}

/* The time at a tap of the packet above, 0 where there is none. */
static void
the_time_at_a_tap_is_that_of_its_clock(void **state)
{
	static const struct {
		const char	*tap;
		uint64_t	 ns;
		uint32_t	 fraction;
	} rows[] = {
		{ "lon1/eth0", 200, 2 }, { "capture", 1000, 0 },
		{ "stamp:1", 100, 1 }, { "stamp:2", 200, 2 },
		{ "stamp:3", 0, 0 }, { "stamp:4", 0, 0 },
		{ "device:7", 100, 1 }, { "device:7/1", 100, 1 },
		{ "device:7/2", 200, 2 }, { "device:7/3", 0, 0 },
		{ "device:9", 0, 0 }, { "device:8", 0, 0 },
	};
	struct pb_packet packet = { .time_ns = 200 };
	struct pb_instant at;
	struct pb_tap tap;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap = tap_of(rows[i].tap);
		assert_int_equal(pb_tap_instant(&tap, &packet, &stamped,
		    &at), rows[i].ns > 0);
		if (rows[i].ns == 0)
			continue;
		assert_int_equal(at.ns, rows[i].ns);
		assert_int_equal(at.fraction, rows[i].fraction);
	}
}

static void
a_tap_without_a_stream_has_that_of_the_other(void **state)
{
	struct pb_tap a = tap_of("stamp:1"), b = tap_of("lon1/eth0");
	struct pb_tap c = tap_of("lon2/eth0"), d = tap_of("stamp:2");

	(void)state;
	assert_true(pb_tap_sees(&a, "par1/eth0"));
	assert_true(pb_taps_join(&a, &b));
	assert_string_equal(a.glob, "lon1/eth0");
	assert_false(pb_tap_sees(&a, "par1/eth0"));
	assert_false(pb_taps_join(&b, &c));
	a = tap_of("stamp:1");
	assert_true(pb_taps_join(&a, &d));
	assert_string_equal(a.glob, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tap_is_a_stream_a_time_or_both),
		cmocka_unit_test(what_is_none_is_refused_in_words),
		cmocka_unit_test(the_time_at_a_tap_is_that_of_its_clock),
		cmocka_unit_test(a_tap_without_a_stream_has_that_of_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
