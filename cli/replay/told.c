/*
 * cli/replay/told.c - what `pb replay` says of what it did
 *
 * Rates are those between the first and the last packet: what goes out in a
 * time is what was handed over before its end.
 */
#include "cli/replay/told.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/common/cli.h"

#define TEXT_BYTES_MAX	(32u << 10)

struct rates {			/* 0: not known, or none */
	double	asked_pps, reached_pps, asked_mbps, reached_mbps, seconds;
};

static void	find_rates(const struct pb_told *, struct rates *);
static double	mbps(const struct pb_transmit_report *, uint64_t);
static void	put_json(const struct pb_told *, struct pb_buf *);
static void	put_rate(struct pb_json *, const char *, double);
static void	put_text(const struct pb_told *, struct pb_buf *);
static void	put_timing(const struct pb_timing *, struct pb_buf *);
static void	put_rest(const struct pb_transmit_report *, struct pb_buf *);
static void	put_count(struct pb_buf *, uint64_t, const char *);
static void	put_duration(struct pb_buf *, uint64_t);

int
pb_told_print(const struct pb_told *told, bool json, struct pb_err *err)
{
	struct pb_buf text;
	struct pb_out out;
	int rc;

	pb_buf_init(&text, TEXT_BYTES_MAX);
	if (json)
		put_json(told, &text);
	else
		put_text(told, &text);
	pb_cli_out(&out);
	if (pb_buf_cstr(&text) == NULL)
		rc = pb_err_set(err, PB_ENOMEM, "no memory for the report");
	else
		rc = pb_out_text(&out, pb_buf_cstr(&text));
	if (rc == 0)
		rc = pb_out_flush(&out, err);
	if (pb_out_gone(&out))
		rc = 0;
	pb_out_finish(&out);
	pb_buf_finish(&text);
	return rc;
}

static void
find_rates(const struct pb_told *told, struct rates *out)
{
	const struct pb_transmit_report *report = told->report;
	uint64_t ns = report->last_ns - report->first_ns;

	*out = (struct rates){
		.reached_pps = pb_transmit_rate(report->sent, ns),
		.reached_mbps = mbps(report, ns),
		.seconds = (double)ns / (double)PB_NS_PER_S,
	};
	if (told->pace->kind == PB_PACE_TOP)
		return;
	out->asked_pps = pb_transmit_rate(report->sent, report->due_ns);
	out->asked_mbps = mbps(report, report->due_ns);
	if (told->pace->kind == PB_PACE_PACKETS)
		out->asked_pps = (double)told->pace->rate / PB_PACE_ONE;
	if (told->pace->kind == PB_PACE_MBITS)
		out->asked_mbps = (double)told->pace->rate / PB_PACE_ONE;
}

static double
mbps(const struct pb_transmit_report *report, uint64_t ns)
{
	return report->sent < 2 || ns == 0 ? 0 :
	    (double)(report->bytes - report->last_bytes) * 8000 / (double)ns;
}

static void
put_json(const struct pb_told *told, struct pb_buf *text)
{
	const struct pb_transmit_report *report = told->report;
	struct pb_json json;
	struct rates rates;

	find_rates(told, &rates);
	pb_json_init(&json, text);
	pb_json_object(&json, NULL);
	pb_json_u64(&json, "sent", report->sent);
	pb_json_u64(&json, "bytes", report->bytes);
	pb_json_u64(&json, "failed", report->failed);
	pb_json_u64(&json, "late", report->late);
	pb_json_u64(&json, "skipped", report->skipped);
	pb_json_u64(&json, "truncated", report->truncated);
	pb_json_u64(&json, "cut", report->cut);
	pb_json_double(&json, "seconds", rates.seconds);
	put_rate(&json, "asked_pps", rates.asked_pps);
	put_rate(&json, "reached_pps", rates.reached_pps);
	put_rate(&json, "asked_mbps", rates.asked_mbps);
	put_rate(&json, "reached_mbps", rates.reached_mbps);
	pb_json_object(&json, "error_ns");
	pb_json_u64(&json, "p50", pb_timing_find(&report->error, 500));
	pb_json_u64(&json, "p99", pb_timing_find(&report->error, 990));
	pb_json_u64(&json, "p999", pb_timing_find(&report->error, 999));
	pb_json_u64(&json, "max", report->error.max);
	pb_json_end(&json);
	pb_json_u64(&json, "queue_full", report->full);
	pb_json_u64(&json, "moved_ns", report->moved_ns);
	if (report->steal_known)
		pb_json_u64(&json, "steal_ns", report->steal_ns);
	else
		pb_json_null(&json, "steal_ns");
	pb_json_bool(&json, "stopped", told->stopped);
	pb_json_array(&json, "interfaces");
	for (size_t i = 0; i < told->ways->ways; i++) {
		pb_json_object(&json, NULL);
		pb_json_text(&json, "name", told->ways->way[i].name);
		pb_json_text(&json, "engine", pb_outlet_engine(
		    told->ways->way[i].outlet, NULL));
		pb_json_end(&json);
	}
	pb_json_end(&json);
	pb_json_end(&json);
	pb_buf_str(text, "\n");
}

static void
put_rate(struct pb_json *json, const char *key, double rate)
{
	if (rate > 0)
		pb_json_double(json, key, rate);
	else
		pb_json_null(json, key);
}

static void
put_text(const struct pb_told *told, struct pb_buf *text)
{
	const struct pb_transmit_report *report = told->report;
	const char *engine, *why;
	struct rates rates;
	char size[16];

	find_rates(told, &rates);
	pb_buf_printf(text, "sent %" PRIu64 " packet%s, %s, in %.3f s%s\n",
	    report->sent, report->sent == 1 ? "" : "s",
	    pb_size_format(report->bytes, size), rates.seconds,
	    told->stopped ? ", and was stopped" : "");
	if (rates.reached_pps > 0)
		pb_buf_printf(text, "rate: %.1f packets/s, %.3f Mbit/s",
		    rates.reached_pps, rates.reached_mbps);
	if (rates.reached_pps > 0 && rates.asked_pps > 0)
		pb_buf_printf(text, "; asked were %.1f and %.3f",
		    rates.asked_pps, rates.asked_mbps);
	if (rates.reached_pps > 0)
		pb_buf_str(text, "\n");
	put_timing(&report->error, text);
	put_rest(report, text);
	for (size_t i = 0; i < told->ways->ways; i++) {
		engine = pb_outlet_engine(told->ways->way[i].outlet, &why);
		pb_buf_printf(text, "%s: by %s (%s)\n",
		    told->ways->way[i].name, engine, why);
	}
}

static void
put_timing(const struct pb_timing *timing, struct pb_buf *text)
{
	static const struct {
		unsigned	 share;
		const char	*name;
	} part[] = {
		{ 500, "p50" }, { 990, "p99" }, { 999, "p99.9" },
	};

	if (timing->count == 0)
		return;
	pb_buf_str(text, "off by: ");
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		put_duration(text, pb_timing_find(timing, part[i].share));
		pb_buf_printf(text, " (%s), ", part[i].name);
	}
	put_duration(text, timing->max);
	pb_buf_str(text, " at most\n");
}

/* What is worth a word only where it was. */
static void
put_rest(const struct pb_transmit_report *report, struct pb_buf *text)
{
	put_count(text, report->late, "late by more than 100 us");
	put_count(text, report->failed, "failed: the system refused them");
	put_count(text, report->skipped, "left out");
	put_count(text, report->truncated, "truncated to what the interface "
	    "takes");
	put_count(text, report->cut, "shorter than on the wire: captured so");
	put_count(text, report->full, "times a full queue was waited for");
	if (report->moved_ns > 0) {
		pb_buf_str(text, "moved by ");
		put_duration(text, report->moved_ns);
		pb_buf_str(text, ": nothing was there to be sent, or a link "
		    "was down\n");
	}
	if (report->steal_known && report->steal_ns > 0) {
		pb_buf_str(text, "steal: other machines took ");
		put_duration(text, report->steal_ns);
		pb_buf_str(text, " of this one's processors\n");
	}
}

static void
put_count(struct pb_buf *text, uint64_t count, const char *what)
{
	if (count > 0)
		pb_buf_printf(text, "%" PRIu64 " %s\n", count, what);
}

static void
put_duration(struct pb_buf *text, uint64_t ns)
{
	if (ns < PB_NS_PER_MS)
		pb_buf_printf(text, "%.1f us", (double)ns / 1000);
	else if (ns < PB_NS_PER_S)
		pb_buf_printf(text, "%.1f ms", (double)ns / 1000000);
	else
		pb_buf_printf(text, "%.3f s", (double)ns /
		    (double)PB_NS_PER_S);
}
