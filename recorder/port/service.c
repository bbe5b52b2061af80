/*
 * recorder/port/service.c - what all requests share
 */
#include "recorder/port/service.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/port/request.h"

const unsigned pb_statuses[PB_STATUSES] = {
	200, 400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 422, 503, 508,
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
		if (pb_statuses[i] == status)
			service->answers[i]++;
}
