/*
 * recorder/port/service.c - what all requests share, and who serves them
 */
#include "recorder/port/service.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/port/request_impl.h"

static const struct pb_route_row routes[] = {
	{ "GET", "/v1/health", &serve_health, false },
	{ "GET", "/metrics", &serve_metrics, false },
	{ "GET", "/v1/status", &serve_status, true },
	{ "GET", "/v1/streams", &serve_streams, false },
	{ "GET", PB_ROUTE_NODE, &serve_streams_of, false },
	{ "GET", PB_ROUTE_STREAM, &serve_question, false },
	{ "GET", PB_ROUTE_STREAM "/digests", &serve_digests, false },
	{ "GET", PB_ROUTE_STREAM "/packets", &serve_offer, false },
	{ "POST", PB_ROUTE_STREAM "/packets", &serve_packets, false },
	{ "POST", PB_ROUTE_STREAM "/gaps", &serve_gaps, false },
	{ "POST", PB_ROUTE_STREAM "/acks", &serve_acks, false },
	{ NULL, NULL, NULL, false },
};

int
pb_service_create(struct pb_service **out, const struct pb_ingest_opts *opts,
    void (*wake)(void *arg), void *arg, struct pb_err *err)
{
	struct pb_service *service = calloc(1, sizeof(*service));
	struct pb_intake_opts intake = {
		.store = opts->store, .settled = pb_request_settled,
		.taken = pb_request_taken, .wake = wake, .arg = arg,
		.hold_ms = opts->conf->listen.hold_ms,
		.memory_max = (size_t)opts->conf->listen.memory_max,
	};
	int rc;

	if (service == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	service->conf = opts->conf;
	service->opts = *opts;
	service->routes = opts->routes != NULL ? opts->routes : routes;
	memcpy(service->self.name, opts->conf->node.name,
	    sizeof(service->self.name));
	memcpy(service->self.description, opts->conf->node.description,
	    sizeof(service->self.description));
	rc = pb_intake_create(&service->intake, &intake, err);
	if (rc == 0)
		rc = pb_rooms_create(&service->rooms, service->intake,
		    &opts->conf->listen, err);
	if (rc == 0)
		rc = pb_readers_create(&service->readers, opts->stepped ? 0 :
		    PB_READERS, wake, arg, err);
	if (rc == 0)
		rc = pb_offers_create(&service->offers, opts->store, wake,
		    arg, err);
	if (rc == 0)
		rc = pb_sifts_create(&service->sifts, opts->conf, err);
	if (rc < 0) {
		pb_service_destroy(service);
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
	pb_readers_destroy(service->readers);
	pb_sifts_destroy(service->sifts);
	pb_offers_destroy(service->offers);
	pb_rooms_destroy(service->rooms);
	pb_intake_destroy(service->intake);
	free(service);
}
