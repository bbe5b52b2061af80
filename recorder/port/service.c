/*
 * recorder/port/service.c - what all requests share, and its reports
 */
#include "recorder/port/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/metrics.h"
#include "base/sys.h"

static const unsigned statuses[PB_STATUSES] = {
	200, 400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 422, 503, 508,
};

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

static struct facts facts_of(const struct pb_service *);

int
pb_service_create(struct pb_service **out, const struct pb_ingest_opts *opts,
    void (*settled)(void *arg, struct pb_load *load),
    void (*taken)(void *arg, struct pb_load *load), void (*wake)(void *arg),
    void *arg, struct pb_err *err)
{
	struct pb_service *service = calloc(1, sizeof(*service));
	struct pb_intake_opts intake = {
		.store = opts->store, .settled = settled, .taken = taken,
		.wake = wake, .arg = arg, .hold_ms = opts->conf->listen.hold_ms,
		.memory_max = (size_t)opts->conf->listen.memory_max,
	};
	int rc;

	if (service == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	service->conf = opts->conf;
	service->opts = *opts;
	memcpy(service->self.name, opts->conf->node.name,
	    sizeof(service->self.name));
	memcpy(service->self.description, opts->conf->node.description,
	    sizeof(service->self.description));
	rc = pb_intake_create(&service->intake, &intake, err);
	if (rc == 0)
		rc = pb_rooms_create(&service->rooms, service->intake,
		    &opts->conf->listen, err);
	if (rc < 0) {
		pb_intake_destroy(service->intake);
		free(service);
		return rc;
	}
	*out = service;
	return 0;
}

void
pb_service_destroy(struct pb_service *service)
{
	if (service == NULL)
		return;
	pb_rooms_destroy(service->rooms);
	pb_intake_destroy(service->intake);
	free(service);
}

void
pb_service_count(struct pb_service *service, unsigned status)
{
	for (size_t i = 0; i < PB_STATUSES; i++)
		if (statuses[i] == status)
			service->answers[i]++;
}

void
pb_service_metrics(const struct pb_service *service, struct pb_buf *out)
{
	struct facts facts = facts_of(service);
	char code[8];

	pb_metric_head(out, "ingest", &answers);
	for (size_t i = 0; i < PB_STATUSES; i++) {
		snprintf(code, sizeof(code), "%u", statuses[i]);
		pb_metric_value(out, "ingest", &answers, "code", code,
		    &service->answers[i]);
	}
	pb_metrics_text(out, "ingest", metrics, METRICS, &facts);
	if (service->opts.metrics != NULL)
		service->opts.metrics(service->opts.arg, out);
}

void
pb_service_status(const struct pb_service *service, struct pb_buf *out)
{
	struct facts facts = facts_of(service);
	uint64_t requests = 0;
	struct pb_json json;

	for (size_t i = 0; i < PB_STATUSES; i++)
		requests += service->answers[i];
	pb_json_init(&json, out);
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
}

void
pb_service_health(const struct pb_service *service, struct pb_buf *out)
{
	struct pb_json json;

	pb_json_init(&json, out);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "status", service->stopping ? "stopping" : "ok");
	pb_json_text(&json, "node", service->self.name);
	pb_json_end(&json);
}

static struct facts
facts_of(const struct pb_service *service)
{
	return (struct facts){
		.counted = *pb_intake_counters(service->intake),
		.body_bytes = pb_intake_reserved(service->intake),
		.bodies_waiting = service->rooms->claims.waits,
		.connections = service->connections,
		.waits = service->waits[0] != '\0',
	};
}
