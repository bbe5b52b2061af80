/*
 * recorder/port/serve_node.c - GET /v1/health, /metrics and /v1/status
 *
 * How the node does: what ingest has counted, what the rest of the recorder
 * adds, and, of metrics, what the shipper does.  The latter may wait, so a
 * reader tells it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/sys.h"
#include "recorder/port/request_impl.h"
#include "recorder/store/facts/told.h"

#define METRICS_TYPE	"text/plain; version=0.0.4; charset=utf-8"

/* What is told of ingest. */
struct facts {
	struct pb_intake_counters counted;
	uint64_t	body_bytes, bodies_waiting;
	uint64_t	connections;
	bool		waits;
};

#define COUNTED(key, field, help)					\
	PB_COUNTER(key, struct facts, counted.field, help)

static const struct pb_metric metrics[] = {
	COUNTED("packets", packets, "Packets taken in and made durable."),
	COUNTED("bytes", bytes, "Captured bytes of those packets."),
	COUNTED("repeats", repeats,
	    "Packets dropped because the store has them."),
	COUNTED("late", late, "Packets that came late into a gap."),
	COUNTED("gaps", gaps, "Gaps that senders declared."),
	COUNTED("holds", held,
	    "Requests held because they came ahead of their turn."),
	COUNTED("out_of_order", refused,
	    "Requests refused because they start too far ahead."),
	COUNTED("write_failures", failures,
	    "Requests that the writer could not make durable."),
	COUNTED("blocks_dropped", blocks_dropped,
	    "Blocks other than packets that a segment cannot hold."),
	PB_GAUGE("body_bytes", struct facts, body_bytes,
	    "Bytes of request bodies in memory."),
	PB_GAUGE("bodies_waiting", struct facts, bodies_waiting,
	    "Request bodies that are not read for want of memory."),
	PB_GAUGE("connections", struct facts, connections,
	    "Open connections."),
	/* The status has the reason instead. */
	PB_GAUGE("waits", struct facts, waits,
	    "1 while [listen] address cannot be listened at."),
};
#define METRICS	(sizeof(metrics) / sizeof(metrics[0]))

/* Of the other program, whose figures follow. */
static const struct pb_metric shipper_metric = {
	.key = "up", .help = "1 while pb-shipper runs here, and answers.",
	.gauge = true, .size = sizeof(bool),
};

static const struct pb_metric answers = {
	.key = "requests", .help = "Answers given, by HTTP status code.",
	.size = sizeof(uint64_t),
};

/* What is told by a reader: facts of when it was asked, then part after part
 * of what the rest of the recorder tells. */
struct report {
	bool		 status;	/* else the metrics */
	struct pb_ingest_opts opts;
	struct facts	 facts;
	uint64_t	 answers[PB_STATUSES];
	char		 waits[PB_ERR_TEXT_MAX];
	struct pb_json	 json;
	size_t		 part;
	_Atomic uint64_t *shipper_ms;	/* the service's */
	bool		 asked;		/* the shipper; what it told: */
	struct pb_buf	 told;
	size_t		 given;		/* of that */
};

static void	health(struct pb_request *);
static void	tell_metrics(struct pb_request *);
static void	tell_status(struct pb_request *);
static void	tell(struct pb_request *, bool);
static int	make(void *, struct pb_reading *, struct pb_buf *,
		    struct pb_err *);
static void	drop(void *);
static void	ask_shipper(struct report *, struct pb_buf *);
static bool	tell_shipper(struct report *, struct pb_buf *);
static void	begin_metrics(const struct report *, struct pb_buf *);
static void	begin_status(struct report *);

const struct pb_handler serve_health = { .end = health };
const struct pb_handler serve_metrics = { .end = tell_metrics };
const struct pb_handler serve_status = { .end = tell_status };

static void
health(struct pb_request *request)
{
	const struct pb_service *service = request->service;
	struct pb_json json;

	pb_json_init(&json, &request->answer.body);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "status", service->stopping ? "stopping" : "ok");
	pb_json_text(&json, "node", service->self.name);
	pb_json_end(&json);
	request_answer(request, 200, JSON_TYPE);
}

static void
tell_metrics(struct pb_request *request)
{
	tell(request, false);
}

static void
tell_status(struct pb_request *request)
{
	tell(request, true);
}

static void
tell(struct pb_request *request, bool status)
{
	const struct pb_service *service = request->service;
	struct report *report = calloc(1, sizeof(*report));

	if (report == NULL) {
		request_fail(request, PB_ENOMEM, "no memory");
		return;
	}
	report->status = status;
	report->opts = service->opts;
	report->shipper_ms = &request->service->shipper_ms;
	report->facts = (struct facts){
		.counted = *pb_intake_counters(service->intake),
		.body_bytes = service->rooms->claims.reserved,
		.bodies_waiting = service->rooms->claims.waits,
		.connections = service->connections,
		.waits = service->waits[0] != '\0',
	};
	memcpy(report->answers, service->answers, sizeof(report->answers));
	memcpy(report->waits, service->waits, sizeof(report->waits));
	pb_buf_init(&report->told, PB_TOLD_BYTES_MAX);
	request_make(request, &(struct pb_maker){ .make = make, .drop = drop,
	    .arg = report }, status ? JSON_TYPE : METRICS_TYPE);
}

static int
make(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	struct report *report = arg;
	const struct pb_ingest_opts *opts = &report->opts;
	bool more = true;

	(void)reading;
	(void)err;
	if (report->asked)
		return tell_shipper(report, piece) ? PB_MADE_MORE :
		    PB_MADE_END;
	report->json.out = piece;
	if (report->part == 0 && report->status)
		begin_status(report);
	else if (report->part == 0)
		begin_metrics(report, piece);
	for (; more && piece->len < PB_PIECE_BYTES / 2; report->part++)
		if (report->status)
			more = opts->status != NULL && opts->status(opts->arg,
			    report->part, &report->json);
		else
			more = opts->metrics != NULL && opts->metrics(
			    opts->arg, report->part, piece);
	if (!more && report->status)
		pb_json_end(&report->json);
	if (more)
		return PB_MADE_MORE;
	if (report->status)
		return PB_MADE_END;
	ask_shipper(report, piece);
	return tell_shipper(report, piece) ? PB_MADE_MORE : PB_MADE_END;
}

static void
drop(void *arg)
{
	struct report *report = arg;

	pb_buf_finish(&report->told);
	free(report);
}

/* It is waited for PB_TOLD_MS, so behind all else. */
static void
ask_shipper(struct report *report, struct pb_buf *out)
{
	uint64_t now_ms = pb_clock_mono_ms();
	int rc = PB_EBUSY;
	struct pb_err err;
	bool up;

	/* Who asks again and again must not take all readers for as long as
	 * it is stopped. */
	if (now_ms >= *report->shipper_ms)
		rc = pb_told_ask(pb_store_path(report->opts.store),
		    &report->told, &err);
	if (rc == PB_EBUSY && now_ms >= *report->shipper_ms)
		*report->shipper_ms = now_ms + PB_TOLD_AGAIN_MS;
	up = rc == 0;
	report->asked = true;
	pb_metric_head(out, "shipper", &shipper_metric);
	pb_metric_value(out, "shipper", &shipper_metric, NULL, &up);
}

/* As much as there is room for; true: there is more. */
static bool
tell_shipper(struct report *report, struct pb_buf *out)
{
	struct pb_buf *told = &report->told;
	size_t len = told->len - report->given;

	if (len > PB_PIECE_BYTES - out->len)
		len = PB_PIECE_BYTES - out->len;
	if (len > 0)
		pb_buf_put(out, told->data + report->given, len);
	report->given += len;
	return report->given < told->len;
}

static void
begin_metrics(const struct report *report, struct pb_buf *out)
{
	char code[8];
	const struct pb_label by_code[] = { { "code", code }, { NULL } };

	pb_metric_head(out, "ingest", &answers);
	for (size_t i = 0; i < PB_STATUSES; i++) {
		snprintf(code, sizeof(code), "%u", pb_statuses[i]);
		pb_metric_value(out, "ingest", &answers, by_code,
		    &report->answers[i]);
	}
	pb_metrics_text(out, "ingest", metrics, METRICS, &report->facts);
}

static void
begin_status(struct report *report)
{
	struct pb_json *json = &report->json;
	uint64_t requests = 0;

	for (size_t i = 0; i < PB_STATUSES; i++)
		requests += report->answers[i];
	pb_json_init(json, json->out);
	pb_json_object(json, NULL);
	pb_json_text(json, "node", report->opts.conf->node.name);
	pb_json_u64(json, "pid", (uint64_t)getpid());
	pb_json_text(json, "version", PB_VERSION);
	pb_json_object(json, "ingest");
	pb_json_text(json, "waits", report->waits);
	pb_json_u64(json, "requests", requests);
	pb_metrics_json(json, metrics, METRICS - 1, &report->facts);
	pb_json_end(json);
}
