/*
 * cli/latency/told.c - what `pb latency` says
 */
#include "cli/latency/told.h"

#include <inttypes.h>
#include <math.h>

#include "base/json.h"
#include "cli/latency/bins.h"
#include "cli/latency/span.h"

#define BAR		40	/* characters of the longest one */
#define ROWS		16	/* of a histogram of even steps, about */

static const struct {
	unsigned	 share;		/* thousandths */
	const char	*name, *key;
} parts[] = {
	{ 500, "p50", "p50" }, { 990, "p99", "p99" },
	{ 999, "p99.9", "p999" },
};
#define PARTS	(sizeof(parts) / sizeof(parts[0]))

static void	count_line(struct pb_buf *, const char *, uint64_t,
		    const char *);
static void	span_line(struct pb_buf *, const char *, pb_i128);
static void	histogram(const struct pb_latency_report *, struct pb_buf *);
static void	json_span(struct pb_json *, const char *, pb_i128);
static void	json_histogram(struct pb_json *,
		    const struct pb_latency_report *);

void
pb_latency_lines(const struct pb_latency_told *told,
    const struct pb_latency_report *report, struct pb_buf *out)
{
	count_line(out, "from", report->from, told->from);
	count_line(out, "to", report->to, told->to);
	count_line(out, "matched", report->matched, "at both");
	count_line(out, "lost", report->lost, "at --from, not at --to");
	count_line(out, "only at to", report->only_to,
	    "at --to, not at --from");
	if (!told->same_packet)
		count_line(out, "ambiguous", report->ambiguous,
		    "of those matched: another one could be meant");
	count_line(out, "negative", report->negative,
	    "of those matched: earlier at --to");
	if (report->count == 0)
		return;
	pb_buf_str(out, "\n");
	span_line(out, "min", report->min);
	for (size_t i = 0; i < PARTS; i++)
		span_line(out, parts[i].name,
		    pb_latency_find(report, parts[i].share));
	span_line(out, "max", report->max);
	span_line(out, "mean", pb_latency_mean(report));
	pb_buf_str(out, "\n");
	histogram(report, out);
}

void
pb_latency_json(const struct pb_latency_told *told,
    const struct pb_latency_report *report, struct pb_buf *out)
{
	struct pb_json json;

	pb_json_init(&json, out);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "from", told->from);
	pb_json_text(&json, "to", told->to);
	pb_json_u64(&json, "window_ns", told->window_ns);
	pb_json_u64(&json, "packets_from", report->from);
	pb_json_u64(&json, "packets_to", report->to);
	pb_json_u64(&json, "matched", report->matched);
	pb_json_u64(&json, "lost", report->lost);
	pb_json_u64(&json, "only_to", report->only_to);
	pb_json_u64(&json, "ambiguous", report->ambiguous);
	pb_json_u64(&json, "negative", report->negative);
	pb_json_u64(&json, "given_up", report->given_up);
	pb_json_u64(&json, "timeless", report->timeless);
	if (report->count == 0) {
		pb_json_null(&json, "latency_ns");
	} else {
		pb_json_object(&json, "latency_ns");
		json_span(&json, "min", report->min);
		for (size_t i = 0; i < PARTS; i++)
			json_span(&json, parts[i].key,
			    pb_latency_find(report, parts[i].share));
		json_span(&json, "max", report->max);
		json_span(&json, "mean", pb_latency_mean(report));
		pb_json_end(&json);
	}
	json_histogram(&json, report);
	pb_json_end(&json);
	pb_buf_str(out, "\n");
}

/* --- lines --------------------------------------------------------------- */

static void
count_line(struct pb_buf *out, const char *name, uint64_t count,
    const char *words)
{
	pb_buf_printf(out, "%-10s  %12" PRIu64 "  %s\n", name, count, words);
}

static void
span_line(struct pb_buf *out, const char *name, pb_i128 span)
{
	char text[PB_SPAN_TEXT_MAX];

	pb_buf_printf(out, "%-10s  %15s\n", name,
	    pb_span_text(pb_bins_ns(span), text));
}

static void
histogram(const struct pb_latency_report *report, struct pb_buf *out)
{
	static const char bar[BAR + 1] = "####################"
	    "####################";
	char from[PB_SPAN_TEXT_MAX], to[PB_SPAN_TEXT_MAX];
	struct pb_bins bins;

	if (pb_bins_narrow(report))
		pb_bins_even(&bins, report, ROWS);
	else
		pb_bins_steps(&bins, report);
	for (size_t i = 0; i < bins.bins; i++) {
		int len = (int)ceil((double)bins.count[i] /
		    (double)bins.most * BAR);

		pb_buf_printf(out, "%10s .. %-10s  %12" PRIu64 "%s%.*s\n",
		    pb_span_text(bins.edge[i], from),
		    pb_span_text(bins.edge[i + 1], to),
		    bins.count[i], len > 0 ? "  " : "", len, bar);
	}
}

/* --- JSON ---------------------------------------------------------------- */

static void
json_span(struct pb_json *json, const char *key, pb_i128 span)
{
	char text[PB_LATENCY_TEXT_MAX];

	pb_json_number(json, key, pb_latency_text(span, text));
}

/* Those that count some. */
static void
json_histogram(struct pb_json *json, const struct pb_latency_report *report)
{
	struct pb_latency_bucket bucket;
	size_t at = 0;

	pb_json_array(json, "histogram");
	while (pb_latency_next(report, &at, &bucket)) {
		pb_json_object(json, NULL);
		json_span(json, "from_ns", bucket.from);
		json_span(json, "to_ns", bucket.to);
		pb_json_u64(json, "count", bucket.count);
		pb_json_end(json);
	}
	pb_json_end(json);
}
