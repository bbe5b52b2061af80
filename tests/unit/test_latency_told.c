/*
 * tests/unit/test_latency_told.c - what `pb latency` says, whatever it found
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/latency/bins.h"
#include "cli/latency/plot.h"
#include "cli/latency/span.h"
#include "cli/latency/told.h"

static const struct pb_latency_told told = { .from = "lon1/<&>",
    .to = "par1/\xEF\xBF\xBE\xEF\xBF\xBFx", .window_ns = 1000 };

/* A report of these latencies, in nanoseconds. */
static struct pb_latency_report *
report_of(const double *ns, size_t count)
{
	struct pb_latency_report *report = calloc(1, sizeof(*report));

	assert_non_null(report);
	for (size_t i = 0; i < count; i++) {
		pb_i128 span = (pb_i128)(ns[i] * (double)PB_LATENCY_NS);
		pb_i128 ticks = span < 0 ? -span : span;

		if (i == 0 || span < report->min)
			report->min = span;
		if (i == 0 || span > report->max)
			report->max = span;
		report->sum += span;
		pb_timing_add(span < 0 ? &report->behind : &report->ahead,
		    (uint64_t)(ticks >> PB_LATENCY_TICK));
		report->matched = ++report->count;
	}
	return report;
}

static void
a_span_has_the_unit_of_its_size(void **state)
{
	static const struct {
		double		 ns;
		const char	*text;
	} rows[] = {
		{ 0, "0 ns" }, { -0.0, "0 ns" }, { 0.0004, "0 ns" },
		{ 0.5, "0.5 ns" }, { 349.25, "349.25 ns" },
		{ 999.9994, "999.999 ns" }, { 999.9996, "1 us" },
		{ 1000, "1 us" }, { 12345, "12.345 us" }, { -1.2e6, "-1.2 ms" },
		{ 999999999, "1 s" }, { 3e9, "3 s" }, { 37e9, "37 s" },
		{ 1e18, "1000000000 s" },
	};
	char text[PB_SPAN_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(pb_span_text(rows[i].ns, text),
		    rows[i].text);
}

/* Edges ascend, all are counted, and within them. */
static void
are_all_there(const struct pb_bins *bins,
    const struct pb_latency_report *report)
{
	uint64_t count = 0;

	assert_in_range(bins->bins, 1, PB_BINS_MAX);
	for (size_t i = 0; i < bins->bins; i++) {
		assert_true(bins->edge[i] < bins->edge[i + 1]);
		assert_true(bins->count[i] <= bins->most);
		count += bins->count[i];
	}
	assert_int_equal(count, report->count);
	/* Where there are too many powers the lowest are in the first bin. */
	assert_true(bins->edge[0] <= fmax(pb_bins_ns(report->min), 0.001) ||
	    bins->bins > 200);
	assert_true(bins->edge[bins->bins] >= pb_bins_ns(report->max));
}

/* XML that no number spoils. */
static void
is_a_picture(const struct pb_latency_report *report)
{
	struct pb_buf buf;
	const char *text;

	pb_buf_init(&buf, PB_PLOT_BYTES_MAX);
	pb_latency_plot(&told, report, &buf);
	text = pb_buf_cstr(&buf);
	assert_non_null(text);
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "inf\""));
	assert_null(strstr(text, "=\"-0"));
	assert_null(strstr(text, "lon1/<"));
	assert_non_null(strstr(text, "lon1/&lt;&amp;&gt;"));
	assert_non_null(strstr(text, "par1/??x"));
	assert_string_equal(text + strlen(text) - 7, "</svg>\n");
	pb_buf_finish(&buf);
}

static void
whatever_there_is_has_bins_and_a_picture(void **state)
{
	static const struct {
		double		 ns[6];
		size_t		 count;
	} rows[] = {
		{ { 0 }, 1 }, { { 0, 0, 0 }, 3 }, { { 350 }, 1 },
		{ { 345, 350, 356 }, 3 }, { { -5, -4, -3 }, 3 },
		{ { -1e6, 0, 1e9 }, 3 }, { { 0, 1, 1e15 }, 3 },
		{ { 0.01, 0.02 }, 2 }, { { 1e-9, 1e-3 }, 2 },
		{ { 1, 1e3, 1e6, 1e9, 1e12 }, 5 },
		{ { 1e3, 1e16 }, 2 }, { { -1e16, 1e16 }, 2 },
		{ { 1000, 10000, 100000 }, 3 }, { { 0.5, 1, 1e4 }, 3 },
	};
	struct pb_bins bins;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_latency_report *report = report_of(rows[i].ns,
		    rows[i].count);

		pb_bins_even(&bins, report, 50);
		are_all_there(&bins, report);
		pb_bins_steps(&bins, report);
		are_all_there(&bins, report);
		if (report->min > 0) {
			pb_bins_powers(&bins, report, 20);
			are_all_there(&bins, report);
		}
		is_a_picture(report);
		free(report);
	}
}

static void
steps_are_of_one_two_and_five(void **state)
{
	static const double ns[] = { -3, 0, 7, 60 };
	static const double edge[] = { -5, -2, -1, 0, 1, 2, 5, 10, 20, 50,
	    100 };
	static const uint64_t count[] = { 1, 0, 0, 1, 0, 0, 1, 0, 0, 1 };
	struct pb_latency_report *report = report_of(ns, 4);
	struct pb_bins bins;

	(void)state;
	pb_bins_steps(&bins, report);
	assert_int_equal(bins.bins, 10);
	for (size_t i = 0; i <= 10; i++)
		assert_true(bins.edge[i] == edge[i]);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(bins.count[i], count[i]);
	free(report);
}

static void
nothing_matched_is_said_without_latencies(void **state)
{
	struct pb_latency_report *report = report_of(NULL, 0);
	struct pb_buf buf;

	(void)state;
	report->from = report->lost = 3;
	pb_buf_init(&buf, 1u << 16);
	pb_latency_lines(&told, report, &buf);
	assert_null(strstr(pb_buf_cstr(&buf), "p50"));
	assert_non_null(strstr(pb_buf_cstr(&buf),
	    "lost                   3  at --from"));
	pb_buf_clear(&buf);
	pb_latency_json(&told, report, &buf);
	assert_non_null(strstr(pb_buf_cstr(&buf), "\"lost\":3,"));
	assert_non_null(strstr(pb_buf_cstr(&buf),
	    "\"latency_ns\":null,\"histogram\":[]}\n"));
	pb_buf_finish(&buf);
	is_a_picture(report);
	free(report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_span_has_the_unit_of_its_size),
		cmocka_unit_test(whatever_there_is_has_bins_and_a_picture),
		cmocka_unit_test(steps_are_of_one_two_and_five),
		cmocka_unit_test(nothing_matched_is_said_without_latencies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
