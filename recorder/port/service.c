/*
 * recorder/port/service.c - what all requests share, and its reports
 */
#include "recorder/port/service.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/sys.h"

static void	metric(struct pb_buf *, const char *, const char *,
		    const char *, uint64_t);
static void	ingest_json(const struct pb_service *, struct pb_json *);
static void	others_json(const struct pb_service *, struct pb_buf *);

static const unsigned statuses[PB_STATUSES] = {
	200, 400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 422, 503, 508,
};

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
	const struct pb_intake_counters *c =
	    pb_intake_counters(service->intake);

	pb_buf_str(out, "# HELP pb_ingest_requests_total Answers given, by "
	    "HTTP status code.\n# TYPE pb_ingest_requests_total counter\n");
	for (size_t i = 0; i < PB_STATUSES; i++)
		pb_buf_printf(out, "pb_ingest_requests_total{code=\"%u\"} %"
		    PRIu64 "\n", statuses[i], service->answers[i]);
	metric(out, "packets_total", "counter",
	    "Packets taken in and made durable.", c->packets);
	metric(out, "bytes_total", "counter",
	    "Captured bytes of those packets.", c->bytes);
	metric(out, "repeats_total", "counter",
	    "Packets dropped because the store has them.", c->repeats);
	metric(out, "late_total", "counter",
	    "Packets that came late into a gap.", c->late);
	metric(out, "gaps_total", "counter",
	    "Gaps that senders declared.", c->gaps);
	metric(out, "holds_total", "counter",
	    "Requests held because they came ahead of their turn.", c->held);
	metric(out, "out_of_order_total", "counter",
	    "Requests refused because they start too far ahead.", c->refused);
	metric(out, "write_failures_total", "counter",
	    "Requests that the writer could not make durable.", c->failures);
	metric(out, "blocks_dropped_total", "counter",
	    "Blocks other than packets that a segment cannot hold.",
	    c->blocks_dropped);
	metric(out, "body_bytes", "gauge",
	    "Bytes of request bodies in memory.",
	    pb_intake_reserved(service->intake));
	metric(out, "bodies_waiting", "gauge",
	    "Request bodies that are not read for want of memory.",
	    service->rooms->claims.waits);
	metric(out, "connections", "gauge", "Open connections.",
	    service->connections);
	metric(out, "waits", "gauge", "1 while [listen] address cannot be "
	    "listened at.", service->waits[0] != '\0');
	if (service->opts.metrics != NULL)
		service->opts.metrics(service->opts.arg, out);
}

void
pb_service_status(const struct pb_service *service, struct pb_buf *out)
{
	struct pb_json json;

	pb_json_init(&json, out);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "node", service->self.name);
	pb_json_u64(&json, "pid", (uint64_t)getpid());
	pb_json_text(&json, "version", PB_VERSION);
	ingest_json(service, &json);
	others_json(service, out);
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

static void
metric(struct pb_buf *out, const char *name, const char *type,
    const char *help, uint64_t value)
{
	pb_buf_printf(out, "# HELP pb_ingest_%s %s\n# TYPE pb_ingest_%s %s\n"
	    "pb_ingest_%s %" PRIu64 "\n", name, help, name, type, name, value);
}

static void
ingest_json(const struct pb_service *service, struct pb_json *json)
{
	const struct pb_intake_counters *c =
	    pb_intake_counters(service->intake);
	uint64_t requests = 0;

	for (size_t i = 0; i < PB_STATUSES; i++)
		requests += service->answers[i];
	pb_json_object(json, "ingest");
	pb_json_text(json, "waits", service->waits);
	pb_json_u64(json, "connections", service->connections);
	pb_json_u64(json, "requests", requests);
	pb_json_u64(json, "packets", c->packets);
	pb_json_u64(json, "bytes", c->bytes);
	pb_json_u64(json, "repeats", c->repeats);
	pb_json_u64(json, "late", c->late);
	pb_json_u64(json, "gaps", c->gaps);
	pb_json_u64(json, "holds", c->held);
	pb_json_u64(json, "out_of_order", c->refused);
	pb_json_u64(json, "write_failures", c->failures);
	pb_json_u64(json, "blocks_dropped", c->blocks_dropped);
	pb_json_u64(json, "body_bytes", pb_intake_reserved(service->intake));
	pb_json_u64(json, "bodies_waiting", service->rooms->claims.waits);
	pb_json_end(json);
}

/* Members that the rest of the recorder adds, with or without the comma
 * that goes before them. */
static void
others_json(const struct pb_service *service, struct pb_buf *out)
{
	size_t before = out->len;

	if (service->opts.status_json == NULL)
		return;
	pb_buf_str(out, ",");
	service->opts.status_json(service->opts.arg, out);
	if (out->failed)
		return;
	if (out->len == before + 1) {
		out->len = before;
	} else if (out->data[before + 1] == ',') {
		memmove(out->data + before, out->data + before + 1,
		    out->len - before - 1);
		out->len--;
	}
}
