/*
 * cli/latency/plot.c - latencies as a picture
 *
 * Source: W3C SVG 1.1, with CSS classes alone for colours, so that a reader
 * without media queries has those of paper.
 *
 * Both pictures have the latency on the same kind of axis: even, or, where it
 * is above 0 and spans much, by powers of ten.
 */
#include "cli/latency/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/latency/bins.h"
#include "cli/latency/span.h"

#define WIDTH		960
#define HEIGHT		860
#define LEFT		110.0
#define RIGHT		920.0
#define EVEN_BINS	50
#define POWER_BINS	20	/* for each power of ten */
#define TICKS		6	/* of an axis, about */
#define HEADROOM	1.2	/* above the highest bar, for words */
#define TAP_SHOWN	48	/* bytes of its name */

/* A latency axis from `low` to `high` nanoseconds. */
struct axis {
	bool		 powers;
	double		 low, high;
};

/* Where a picture is, in pixels. */
struct area {
	double		 top, bottom;
};
static const struct area times_area = { 130, 420 };
static const struct area shares_area = { 510, 790 };

static void	head(const struct pb_latency_told *,
		    const struct pb_latency_report *, struct pb_buf *);
static void	facts(const struct pb_latency_report *, struct pb_buf *);
static void	times(const struct pb_latency_report *, const struct pb_bins *,
		    const struct axis *, struct pb_buf *);
static void	shares(const struct pb_latency_report *, const struct axis *,
		    struct pb_buf *);
static void	share_ticks(const struct pb_latency_report *, struct pb_buf *);
static void	curve(const struct pb_latency_report *, const struct axis *,
		    struct pb_buf *);
static void	label(struct pb_buf *, double, double, const char *,
		    const char *);
static void	upright(struct pb_buf *, const struct area *, const char *);
static void	line(struct pb_buf *, const char *, double, double, double,
		    double);
static bool	next_tick(const struct axis *, double *);
static double	place(const struct axis *, double, double, double);
static double	share_x(double, double);
static void	put_text(struct pb_buf *, const char *);

void
pb_latency_plot(const struct pb_latency_told *told,
    const struct pb_latency_report *report, struct pb_buf *out)
{
	struct pb_bins bins;
	struct axis axis;

	head(told, report, out);
	if (report->count > 0) {
		axis.powers = report->min > 0 && !pb_bins_narrow(report);
		if (axis.powers)
			pb_bins_powers(&bins, report, POWER_BINS);
		else
			pb_bins_even(&bins, report, EVEN_BINS);
		axis.low = bins.edge[0];
		axis.high = bins.edge[bins.bins];
		facts(report, out);
		times(report, &bins, &axis, out);
		shares(report, &axis, out);
	}
	pb_buf_str(out, "</svg>\n");
}

static void
head(const struct pb_latency_told *told,
    const struct pb_latency_report *report, struct pb_buf *out)
{
	pb_buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" "
	    "width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n"
	    "<title>Latency from ", WIDTH, HEIGHT, WIDTH, HEIGHT);
	put_text(out, told->from);
	pb_buf_str(out, " to ");
	put_text(out, told->to);
	pb_buf_str(out, "</title>\n<style>\n"
	    "text { font: 13px system-ui, 'DejaVu Sans', sans-serif; "
	    "fill: #333 }\n"
	    ".paper { fill: #fff }\n"
	    ".name { font-size: 20px; font-weight: 600; fill: #111 }\n"
	    ".head { font-size: 14px; font-weight: 600; fill: #111 }\n"
	    ".end { text-anchor: end }\n"
	    ".middle { text-anchor: middle }\n"
	    ".grid { stroke: #ddd; stroke-width: 1 }\n"
	    ".axis { stroke: #777; stroke-width: 1 }\n"
	    ".bar { fill: #2a6fb0 }\n"
	    ".curve { fill: none; stroke: #2a6fb0; stroke-width: 2; "
	    "stroke-linejoin: round }\n"
	    ".mark { stroke: #c2410c; stroke-width: 1.5; "
	    "stroke-dasharray: 5 4 }\n"
	    ".said { fill: #c2410c }\n"
	    "@media (prefers-color-scheme: dark) {\n"
	    "text { fill: #c9c9c9 }\n"
	    ".paper { fill: #16181c }\n"
	    ".name, .head { fill: #f2f2f2 }\n"
	    ".grid { stroke: #33363c }\n"
	    ".axis { stroke: #8a8d93 }\n"
	    ".bar { fill: #6cb0ee }\n"
	    ".curve { stroke: #6cb0ee }\n"
	    ".mark { stroke: #ff9a5c }\n"
	    ".said { fill: #ff9a5c }\n"
	    "}\n</style>\n");
	pb_buf_printf(out, "<rect class=\"paper\" width=\"%d\" "
	    "height=\"%d\"/>\n<text class=\"name\" x=\"24\" y=\"38\">Latency "
	    "from ", WIDTH, HEIGHT);
	put_text(out, told->from);
	pb_buf_str(out, " to ");
	put_text(out, told->to);
	pb_buf_printf(out, "</text>\n<text x=\"24\" y=\"62\">%" PRIu64
	    " packets matched, %" PRIu64 " lost between, %" PRIu64
	    " only at the second tap", report->matched, report->lost,
	    report->only_to);
	if (report->ambiguous > 0)
		pb_buf_printf(out, ", %" PRIu64 " ambiguous",
		    report->ambiguous);
	if (report->negative > 0)
		pb_buf_printf(out, ", %" PRIu64 " negative",
		    report->negative);
	pb_buf_str(out, "</text>\n");
}

static void
facts(const struct pb_latency_report *report, struct pb_buf *out)
{
	char min[PB_SPAN_TEXT_MAX], mean[PB_SPAN_TEXT_MAX];
	char p50[PB_SPAN_TEXT_MAX], p99[PB_SPAN_TEXT_MAX];
	char p999[PB_SPAN_TEXT_MAX], max[PB_SPAN_TEXT_MAX];

	pb_buf_printf(out, "<text x=\"24\" y=\"84\">min %s, p50 %s, p99 %s, "
	    "p99.9 %s, max %s, mean %s</text>\n",
	    pb_span_text(pb_bins_ns(report->min), min),
	    pb_span_text(pb_bins_ns(pb_latency_find(report, 500)), p50),
	    pb_span_text(pb_bins_ns(pb_latency_find(report, 990)), p99),
	    pb_span_text(pb_bins_ns(pb_latency_find(report, 999)), p999),
	    pb_span_text(pb_bins_ns(report->max), max),
	    pb_span_text(pb_bins_ns(pb_latency_mean(report)), mean));
}

/* --- how often ----------------------------------------------------------- */

static void
times(const struct pb_latency_report *report, const struct pb_bins *bins,
    const struct axis *axis, struct pb_buf *out)
{
	static const struct {
		unsigned	 share;
		const char	*name;
	} mark[] = { { 500, "p50" }, { 990, "p99" }, { 999, "p99.9" } };
	const struct area *area = &times_area;
	struct axis counts = { .high = HEADROOM * (double)bins->most };
	char text[PB_SPAN_TEXT_MAX];
	double at, x, y;

	label(out, LEFT, area->top - 14, "head", "Packets by latency");
	for (at = NAN; next_tick(&counts, &at);) {
		y = place(&counts, at, area->bottom, area->top);
		line(out, "grid", LEFT, y, RIGHT, y);
		snprintf(text, sizeof(text), "%.0f", at);
		label(out, LEFT - 8, y + 4, "end", text);
	}
	for (size_t i = 0; i < bins->bins; i++) {
		x = place(axis, bins->edge[i], LEFT, RIGHT);
		y = place(&counts, (double)bins->count[i], area->bottom,
		    area->top);
		if (bins->count[i] > 0)
			pb_buf_printf(out, "<rect class=\"bar\" x=\"%.1f\" "
			    "y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
			    x, fmin(y, area->bottom - 1),
			    fmax(place(axis, bins->edge[i + 1], LEFT, RIGHT) -
			    x - 1, 1), fmax(area->bottom - y, 1));
	}
	line(out, "axis", LEFT, area->bottom, RIGHT, area->bottom);
	for (at = NAN; next_tick(axis, &at);) {
		x = place(axis, at, LEFT, RIGHT);
		line(out, "axis", x, area->bottom, x, area->bottom + 5);
		label(out, x, area->bottom + 21, "middle",
		    pb_span_text(at, text));
	}
	label(out, (LEFT + RIGHT) / 2, area->bottom + 43, "middle", "latency");
	upright(out, area, "packets");
	for (size_t i = 0; i < sizeof(mark) / sizeof(mark[0]); i++) {
		x = place(axis, pb_bins_ns(pb_latency_find(report,
		    mark[i].share)), LEFT, RIGHT);
		y = area->top + 14 + 17 * (double)i;
		line(out, "mark", x, area->top, x, area->bottom);
		label(out, x > RIGHT - 60 ? x - 6 : x + 6, y,
		    x > RIGHT - 60 ? "said end" : "said", mark[i].name);
	}
}

/* --- which share --------------------------------------------------------- */

static void
shares(const struct pb_latency_report *report, const struct axis *axis,
    struct pb_buf *out)
{
	const struct area *area = &shares_area;
	char text[PB_SPAN_TEXT_MAX];
	double at, y;

	label(out, LEFT, area->top - 14, "head",
	    "Latency by share of packets");
	for (at = NAN; next_tick(axis, &at);) {
		y = place(axis, at, area->bottom, area->top);
		line(out, "grid", LEFT, y, RIGHT, y);
		label(out, LEFT - 8, y + 4, "end", pb_span_text(at, text));
	}
	share_ticks(report, out);
	line(out, "axis", LEFT, area->bottom, RIGHT, area->bottom);
	label(out, (LEFT + RIGHT) / 2, area->bottom + 43, "middle",
	    "share of packets that took no longer");
	upright(out, area, "latency");
	curve(report, axis, out);
}

/* 0 %, 50 %, 90 %, 99 %, ... as far as there are packets to tell. */
static void
share_ticks(const struct pb_latency_report *report, struct pb_buf *out)
{
	static const char *const names[] = { "0 %", "50 %", "90 %", "99 %",
	    "99.9 %", "99.99 %", "99.999 %", "99.9999 %", "99.99999 %" };
	const struct area *area = &shares_area;
	double rest = 1, least = 1 / (double)report->count, x;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		rest = i == 0 ? 1 : i == 1 ? 0.5 : pow(10, 1 - (double)i);
		if (rest < least && i > 1)
			break;
		x = share_x(rest, least);
		line(out, "grid", x, area->top, x, area->bottom);
		label(out, x, area->bottom + 21, "middle", names[i]);
	}
}

/* From bucket to bucket, each at the share that it ends. */
static void
curve(const struct pb_latency_report *report, const struct axis *axis,
    struct pb_buf *out)
{
	const struct area *area = &shares_area;
	double least = 1 / (double)report->count, rest, y;
	struct pb_latency_bucket bucket;
	uint64_t seen = 0;
	size_t at = 0;

	pb_buf_printf(out, "<path class=\"curve\" d=\"M%.1f,%.1f", LEFT,
	    place(axis, pb_bins_ns(report->min), area->bottom, area->top));
	while (pb_latency_next(report, &at, &bucket)) {
		y = place(axis, fmin(fmax((pb_bins_ns(bucket.from) +
		    pb_bins_ns(bucket.to)) / 2, pb_bins_ns(report->min)),
		    pb_bins_ns(report->max)), area->bottom, area->top);
		seen += bucket.count;
		rest = 1 - (double)seen / (double)report->count;
		pb_buf_printf(out, "V%.1fH%.1f", y,
		    share_x(fmax(rest, least), least));
	}
	pb_buf_printf(out, "V%.1f\"/>\n", place(axis,
	    pb_bins_ns(report->max), area->bottom, area->top));
}

/* --- axes and shapes ----------------------------------------------------- */

/* The next tick, upwards; NAN is in front of the first. */
static bool
next_tick(const struct axis *axis, double *at)
{
	double step = axis->powers ? 0 :
	    pb_bins_round((axis->high - axis->low) / TICKS);

	if (axis->powers)
		*at = isnan(*at) ? axis->low : *at * 10;
	else if (isnan(*at))
		*at = ceil(axis->low / step - 1e-6) * step + 0.0;
	else
		*at = round(*at / step + 1) * step;
	return *at <= axis->high * (1 + 1e-9) || *at <= axis->high;
}

/* Between two places on the screen. */
static double
place(const struct axis *axis, double ns, double from, double to)
{
	double part = axis->powers ?
	    log10(fmax(ns, axis->low) / axis->low) /
	    log10(axis->high / axis->low) :
	    (ns - axis->low) / (axis->high - axis->low);

	return from + (to - from) * fmin(fmax(part, 0), 1);
}

/* Where `rest` of the packets took longer; `least` is one of them. */
static double
share_x(double rest, double least)
{
	double all = fmax(-log10(least), 1);

	return LEFT + (RIGHT - LEFT) * fmin(-log10(rest) / all, 1);
}

static void
label(struct pb_buf *out, double x, double y, const char *kind,
    const char *text)
{
	pb_buf_printf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s"
	    "</text>\n", kind, x, y, text);
}

/* At the left of a picture, from below. */
static void
upright(struct pb_buf *out, const struct area *area, const char *text)
{
	pb_buf_printf(out, "<text class=\"middle\" transform=\"translate(30 "
	    "%.1f) rotate(-90)\">%s</text>\n",
	    (area->top + area->bottom) / 2, text);
}

static void
line(struct pb_buf *out, const char *kind, double x1, double y1, double x2,
    double y2)
{
	pb_buf_printf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" "
	    "x2=\"%.1f\" y2=\"%.1f\"/>\n", kind, x1, y1, x2, y2);
}

/* What people wrote, as text of XML, which has no U+FFFE and U+FFFF. */
static void
put_text(struct pb_buf *out, const char *text)
{
	char clean[TAP_SHOWN];

	pb_utf8_clean(clean, sizeof(clean), text, strlen(text));
	for (const char *c = clean; *c != '\0'; c++) {
		if (strncmp(c, "\xEF\xBF\xBE", 3) == 0 ||
		    strncmp(c, "\xEF\xBF\xBF", 3) == 0) {
			pb_buf_str(out, "?");
			c += 2;
			continue;
		}
		switch (*c) {
		case '<':
			pb_buf_str(out, "&lt;");
			break;
		case '>':
			pb_buf_str(out, "&gt;");
			break;
		case '&':
			pb_buf_str(out, "&amp;");
			break;
		default:
			pb_buf_put(out, c, 1);
		}
	}
}
