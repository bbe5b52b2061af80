/*
 * recorder/port/serve_node.c - GET /v1/health, /metrics and /v1/status
 *
 * How the node does: what ingest has counted, and what the rest of the
 * recorder adds.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/metrics.h"
#include "base/sys.h"
#include "recorder/port/request_impl.h"

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
	/* In the status these two stand before the others. */
	PB_GAUGE("connections", struct facts, connections,
	    "Open connections."),
	PB_GAUGE("waits", struct facts, waits,
	    "1 while [listen] address cannot be listened at."),
};
#define METRICS	(sizeof(metrics) / sizeof(metrics[0]))

static const struct pb_metric answers = {
	.key = "requests", .help = "Answers given, by HTTP status code.",
	.size = sizeof(uint64_t),
};

static void	health(struct pb_request *);
static void	tell_metrics(struct pb_request *);
static void	status(struct pb_request *);
static struct facts facts_of(const struct pb_service *);

const struct pb_handler serve_health = { .end = health };
const struct pb_handler serve_metrics = { .end = tell_metrics };
const struct pb_handler serve_status = { .end = status };

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
	const struct pb_service *service = request->service;
	struct pb_buf *out = &request->answer.body;
	struct facts facts = facts_of(service);
	char code[8];

	pb_metric_head(out, "ingest", &answers);
	for (size_t i = 0; i < PB_STATUSES; i++) {
		snprintf(code, sizeof(code), "%u", pb_statuses[i]);
		pb_metric_value(out, "ingest", &answers, "code", code,
		    &service->answers[i]);
	}
	pb_metrics_text(out, "ingest", metrics, METRICS, &facts);
	if (service->opts.metrics != NULL)
		service->opts.metrics(service->opts.arg, out);
	request_answer(request, 200, METRICS_TYPE);
}

static void
status(struct pb_request *request)
{
	const struct pb_service *service = request->service;
	struct facts facts = facts_of(service);
	uint64_t requests = 0;
	struct pb_json json;

	for (size_t i = 0; i < PB_STATUSES; i++)
		requests += service->answers[i];
	pb_json_init(&json, &request->answer.body);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "node", service->self.name);
	pb_json_u64(&json, "pid", (uint64_t)getpid());
	pb_json_text(&json, "version", PB_VERSION);
	pb_json_object(&json, "ingest");
	pb_json_text(&json, "waits", service->waits);
	pb_json_u64(&json, "connections", service->connections);
	pb_json_u64(&json, "requests", requests);
	pb_metrics_json(&json, metrics, METRICS - 2, &facts);
	pb_json_end(&json);
	if (service->opts.status != NULL)
		service->opts.status(service->opts.arg, &json);
	pb_json_end(&json);
	request_answer(request, 200, JSON_TYPE);
}

static struct facts
facts_of(const struct pb_service *service)
{
	return (struct facts){
		.counted = *pb_intake_counters(service->intake),
		.body_bytes = service->rooms->claims.reserved,
		.bodies_waiting = service->rooms->claims.waits,
		.connections = service->connections,
		.waits = service->waits[0] != '\0',
	};
}
