/*
 * cli/cmd_status.c - `pb status`: how the node does, on one screen
 */
#include "cli/common/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/common/table.h"
#include "cli/status/edges.h"
#include "cli/status/live.h"
#include "cli/status/report.h"
#include "cli/status/upstreams.h"

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	print_json(const struct pb_report *, struct pb_out *,
		    struct pb_err *);
static void	json_object(struct pb_json *, const char *,
		    const struct pb_column *, const void *);
static void	json_program(struct pb_json *, const char *, bool, pid_t);
static int	print_people(const struct pb_report *, struct pb_out *,
		    struct pb_err *);
static void	say_program(struct pb_out *, const char *, bool, bool,
		    pid_t);
static void	say_capture(void *, const struct pb_live_capture *);
static void	say_retention(struct pb_out *, const struct pb_report *);
static void	say_orphans(struct pb_out *, const struct pb_report *);

/* Members of the JSON. */
#define AT(member)	offsetof(struct pb_report, member)
static const struct pb_column node_columns[] = {
	{ "node", PB_CELL_WORD, AT(node) },
	{ "description", PB_CELL_WORD, AT(description) },
	{ "store", PB_CELL_WORD, AT(store) },
	{ "store_there", PB_CELL_BOOL, AT(there) },
	{ 0 },
}, stream_columns[] = {
	{ "streams", PB_CELL_U64, AT(streams) },
	{ "packets", PB_CELL_U64, AT(packets) },
	{ "bytes", PB_CELL_U64, AT(bytes) },
	{ "dropped", PB_CELL_U64, AT(dropped) },
	{ 0 },
}, disk_columns[] = {
	{ "segments", PB_CELL_U64, AT(segments) },
	{ "used", PB_CELL_U64, AT(disk_used) },
	{ "free", PB_CELL_U64, AT(disk_free) },
	{ "size", PB_CELL_U64, AT(disk_size) },
	{ 0 },
}, retention_columns[] = {
	{ "bytes", PB_CELL_U64, AT(disk_used) },
	{ "segments", PB_CELL_U64, AT(segments) },
	{ "retain_size", PB_CELL_U64, AT(retain_size) },
	{ "retain_age_s", PB_CELL_U64, AT(retain_age_s) },
	{ "min_free", PB_CELL_U64, AT(min_free) },
	{ "free", PB_CELL_U64, AT(disk_free) },
	{ "oldest", PB_CELL_TIME, AT(oldest_ns) },
	{ "deleted_segments", PB_CELL_U64, AT(said.deleted_segments) },
	{ "deleted_bytes", PB_CELL_U64, AT(said.deleted_bytes) },
	{ "expired_unacked_packets", PB_CELL_U64, AT(said.expired) },
	{ "why", PB_CELL_TEXT, AT(said.why) },
	{ 0 },
};

static const struct pb_cli_option options[] = {
	PB_CLI_JSON(struct pb_plain_opts, "one JSON object"),
	{ 0 },
};

const struct pb_command pb_cmd_status = {
	.name = "status",
	.summary = "Show the node, its programs, streams, disk and upstreams",
	.options = options,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.run = run,
};

static int
run(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	const struct pb_plain_opts *opts = arg;
	struct pb_report *report = calloc(1, sizeof(*report));
	struct pb_out out;
	int rc;

	(void)operand;
	if (report == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for the status");
	pb_cli_out(&out);
	rc = pb_cli_enter(cli, false, err);
	if (rc == 0)
		rc = pb_report_gather(report, cli, pb_clock_real_ns(), err);
	if (rc == 0)
		rc = opts->json ? print_json(report, &out, err) :
		    print_people(report, &out, err);
	if (pb_out_gone(&out))
		rc = 0;
	pb_report_finish(report);
	free(report);
	pb_out_finish(&out);
	return rc;
}

/* --- JSON ---------------------------------------------------------------- */

static int
print_json(const struct pb_report *report, struct pb_out *out,
    struct pb_err *err)
{
	struct pb_json json;
	struct pb_buf line;

	pb_buf_init(&line, 4u << 20);
	pb_json_init(&json, &line);
	pb_json_object(&json, NULL);
	pb_columns_json(&json, node_columns, report);
	json_program(&json, "recorder", report->recorder,
	    report->recorder_pid);
	json_program(&json, "shipper", report->shipper, report->shipper_pid);
	pb_json_object(&json, "live");
	/* The recorder's own words, without the braces around them. */
	if (report->live.len > 2)
		pb_buf_put(&line, report->live.data + 1,
		    report->live.len - 2);
	pb_json_end(&json);
	pb_columns_json(&json, stream_columns, report);
	json_object(&json, "disk", disk_columns, report);
	json_object(&json, "retention", retention_columns, report);
	pb_json_array(&json, "upstreams");
	for (size_t i = 0; i < report->figures.upstreams; i++)
		pb_upstream_json(&json, &report->figures.upstream[i]);
	pb_json_end(&json);
	pb_edges_json(&json, &report->figures);
	pb_json_array(&json, "unconfigured");
	for (size_t i = 0; i < report->orphans; i++) {
		pb_json_object(&json, NULL);
		pb_json_text(&json, "upstream", report->orphan[i].name);
		pb_upstream_json_letters(&json, &report->orphan[i].dead);
		pb_json_end(&json);
	}
	pb_json_end(&json);
	pb_json_end(&json);
	pb_buf_put(&line, "\n", 1);
	pb_out_put(out, line.data, line.failed ? 0 : line.len);
	if (line.failed)
		pb_err_set(err, PB_ENOMEM, "no memory for the status");
	pb_buf_finish(&line);
	return line.failed ? PB_ENOMEM : pb_out_flush(out, err);
}

static void
json_object(struct pb_json *json, const char *name,
    const struct pb_column *columns, const void *row)
{
	pb_json_object(json, name);
	pb_columns_json(json, columns, row);
	pb_json_end(json);
}

static void
json_program(struct pb_json *json, const char *name, bool running, pid_t pid)
{
	pb_json_object(json, name);
	pb_json_bool(json, "running", running);
	if (running)
		pb_json_u64(json, "pid", (uint64_t)pid);
	else
		pb_json_null(json, "pid");
	pb_json_end(json);
}

/* --- people -------------------------------------------------------------- */

static int
print_people(const struct pb_report *report, struct pb_out *out,
    struct pb_err *err)
{
	char used[16], free_[16], all[16], bytes[16];
	uint64_t now_ns = pb_clock_real_ns();

	pb_out_printf(out, "node       %s%s%s\n", report->node,
	    report->description[0] != '\0' ? ": " : "", report->description);
	pb_out_printf(out, "store      %s%s\n", report->store, report->there ?
	    "" : ": no store there");
	if (!report->there && !report->recorder)
		pb_out_printf(out, "           a recorder whose store has "
		    "gone waits for it, and says so in its log\n");
	say_program(out, "recorder", report->recorder, report->there,
	    report->recorder_pid);
	if (report->live_error[0] != '\0')
		pb_out_printf(out, "           %s\n", report->live_error);
	if (report->said.trouble[0] != '\0')
		pb_out_printf(out, "           cannot write: %s\n",
		    report->said.trouble);
	if (report->said.listen_waits[0] != '\0')
		pb_out_printf(out, "           not listening: %s\n",
		    report->said.listen_waits);
	if (report->said.log_left_out > 0)
		pb_out_printf(out, "           %" PRIu64 " lines of its log "
		    "were left out: nobody took them\n",
		    report->said.log_left_out);
	if (report->live.len > 0 && pb_live_captures(
	    (const char *)report->live.data, report->live.len, say_capture,
	    out, err) < 0)
		pb_out_printf(out, "           %s\n", err->text);
	say_program(out, "shipper", report->shipper, report->there,
	    report->shipper_pid);
	pb_out_printf(out, "streams    %" PRIu64 ": %" PRIu64 " packets, %s, %"
	    PRIu64 " dropped\n", report->streams, report->packets,
	    pb_size_format(report->bytes, bytes), report->dropped);
	pb_out_printf(out, "disk       %s in %" PRIu64 " segments, %s of %s "
	    "free\n", pb_size_format(report->disk_used, used),
	    report->segments, pb_size_format(report->disk_free, free_),
	    pb_size_format(report->disk_size, all));
	say_retention(out, report);
	for (size_t i = 0; i < report->figures.upstreams; i++)
		pb_upstream_say(out, &report->figures.upstream[i], now_ns);
	pb_edges_say(out, &report->figures, now_ns);
	say_orphans(out, report);
	return pb_out_flush(out, err);
}

static void
say_program(struct pb_out *out, const char *name, bool running, bool there,
    pid_t pid)
{
	if (running)
		pb_out_printf(out, "%-9s  running, pid %d\n", name, pid);
	else
		pb_out_printf(out, "%-9s  %s\n", name, there ? "not running" :
		    "none on it");
}

static void
say_capture(void *arg, const struct pb_live_capture *capture)
{
	struct pb_out *out = arg;
	char bytes[16];

	if (!capture->up) {
		pb_out_printf(out, "  %-12s waits: %s\n", capture->interface,
		    capture->error);
	} else {
		pb_out_printf(out, "  %-12s %.0f packets/s, %.3f Mbit/s; %"
		    PRIu64 " packets, %s, %" PRIu64 " dropped%s%s\n",
		    capture->interface, capture->pps, capture->bps / 1e6,
		    capture->packets, pb_size_format(capture->bytes, bytes),
		    capture->dropped, capture->clock[0] != '\0' ?
		    "; clock " : "", capture->clock);
	}
	for (unsigned i = 0; i < capture->trailers; i++)
		pb_out_printf(out, "    %-12s %" PRIu64 " frames have it, %"
		    PRIu64 " do not\n", capture->trailer[i].trailer,
		    capture->trailer[i].parsed, capture->trailer[i].unparsed);
	if (capture->forward[0] == '\0')
		return;
	pb_out_printf(out, "    to %-9s %" PRIu64 " packets went out, %" PRIu64
	    " it did not take%s%s%s\n", capture->forward, capture->forwarded,
	    capture->refused, capture->forwarding ? "" : "; not forwarding",
	    capture->forward_error[0] != '\0' ? ": " : "",
	    capture->forward_error);
}

/* What is kept, what went, and why a bound is not kept. */
static void
say_retention(struct pb_out *out, const struct pb_report *report)
{
	const struct pb_live *done = &report->said;
	uint64_t now = pb_clock_real_ns();
	char size[16], age[PB_SPAN_TEXT_MAX];

	pb_out_text(out, "retention ");
	if (report->retain_size != 0)
		pb_out_printf(out, " at most %s,",
		    pb_size_format(report->retain_size, size));
	if (report->retain_age_ms != 0)
		pb_out_printf(out, " for %s,",
		    pb_span_format(report->retain_age_ms * PB_NS_PER_MS, age));
	if (report->min_free != 0)
		pb_out_printf(out, " leaves %s free,",
		    pb_size_format(report->min_free, size));
	if (report->retain_size == 0 && report->retain_age_ms == 0 &&
	    report->min_free == 0)
		pb_out_text(out, " keeps everything,");
	if (report->oldest_ns != 0 && report->oldest_ns < now)
		pb_out_printf(out, " oldest %s\n",
		    pb_span_format(now - report->oldest_ns, age));
	else
		pb_out_text(out, " nothing sealed\n");
	if (done->deleted_segments > 0)
		pb_out_printf(out, "           deleted %" PRIu64
		    " segments, %s; %" PRIu64 " packets not acknowledged\n",
		    done->deleted_segments,
		    pb_size_format(done->deleted_bytes, size), done->expired);
	if (done->why[0] != '\0')
		pb_out_printf(out, "           %s\n", done->why);
}

static void
say_orphans(struct pb_out *out, const struct pb_report *report)
{
	char size[16];

	for (size_t i = 0; i < report->orphans; i++) {
		const struct pb_report_orphans *orphan = &report->orphan[i];

		pb_out_printf(out, "%s%s %" PRIu64 " letters %s%s", i == 0 ?
		    "dead letters of upstreams that are not configured: " :
		    ", ", orphan->name,
		    orphan->dead.letters + orphan->dead.requeued,
		    pb_size_format(orphan->dead.file_bytes, size),
		    i + 1 == report->orphans ? " (pb dlq move, purge)\n" : "");
	}
}
