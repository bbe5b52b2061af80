/*
 * recorder/port/serve_packets.c - POST /v1/streams/NODE/IFACE/EPOCH/packets
 *
 * Digest, way and numbers are looked at; then it is the intake's, which
 * settles it when all of it is durable, or will not be.
 */
#include <inttypes.h>

#include "base/digest.h"
#include "recorder/port/allow.h"
#include "recorder/port/request_impl.h"

static size_t	body_max(const struct pb_request *);
static void	end(struct pb_request *);
static void	settled(struct pb_request *);
static int	check_way(struct pb_request *, struct pb_body_facts *,
		    struct pb_err *);
static int	learn_numbers(struct pb_request *, struct pb_body_facts *,
		    struct pb_err *);

const struct pb_handler serve_packets = {
	.body_max = body_max, .zstd = true, .end = end, .settled = settled,
};

static size_t
body_max(const struct pb_request *request)
{
	return request->head->door == PB_DOOR_LOCAL ? PB_BODY_BYTES_MAX :
	    (size_t)request->service->conf->listen.body_max;
}

static void
end(struct pb_request *request)
{
	struct pb_load *load = &request->load;
	struct pb_err err = { 0 };
	struct pb_body_facts facts;
	int rc;

	rc = request->packed ? pb_room_unpack(&request->room, &err) : 0;
	if (rc < 0) {
		request_fail_body(request, rc, err.text);
		return;
	}
	load->body = (struct pb_body){
		.data = request->room.data, .len = request->room.len,
		.key = &request->route.key,
		.self = load->local ? NULL : &request->service->self,
		.pen = request->service->conf->node.pen,
	};
	rc = check_way(request, &facts, &err);
	if (rc == 0)
		rc = learn_numbers(request, &facts, &err);
	if (rc < 0) {
		request_fail(request, rc, err.text);
		return;
	}
	load->first = facts.first;
	load->last = facts.last;
	pb_intake_offer(request->service->intake, load,
	    request->service->now_ms);
}

static void
settled(struct pb_request *request)
{
	request_answer_acked(request, request->load.acked);
}

/* Is it what was sent, from whom may send it? */
static int
check_way(struct pb_request *request, struct pb_body_facts *facts,
    struct pb_err *err)
{
	struct pb_service *service = request->service;
	const char *cn = request->head->cn, *sender;
	int rc;

	if (request->has_digest && pb_digest(request->room.data,
	    request->room.len) != request->digest)
		return pb_err_set(err, PB_EDIGEST, "PB-Digest does not match "
		    "the %zu bytes that came", request->room.len);
	rc = pb_body_look(pb_intake_scratch(service->intake),
	    &request->load.body, facts, err);
	if (rc < 0 || request->head->door == PB_DOOR_LOCAL)
		return rc;
	sender = cn != NULL ? cn :
	    facts->way.node[facts->way.nodes - 1].name;
	if (!pb_allow_way(service->conf->listen.allow, &facts->way, cn))
		return pb_err_set(err, PB_EACCES, "node %s may not bring "
		    "streams of node %s: [listen] allow", sender,
		    request->route.key.node);
	return 0;
}

/*
 * The numbers its sender says it has, which are checked when it is taken;
 * without them they are read from the packets.
 */
static int
learn_numbers(struct pb_request *request, struct pb_body_facts *facts,
    struct pb_err *err)
{
	if (request->first != 0 && request->first != facts->first)
		return pb_err_set(err, PB_EINVAL, "PB-First is %" PRIu64
		    ", the first packet's number %" PRIu64, request->first,
		    facts->first);
	if (request->last == 0)
		return pb_body_read(pb_intake_scratch(
		    request->service->intake), &request->load.body, facts, NULL,
		    err);
	if (request->last < facts->first)
		return pb_err_set(err, PB_EINVAL, "PB-Last is %" PRIu64
		    ", the first packet's number %" PRIu64, request->last,
		    facts->first);
	facts->last = request->last;
	return 0;
}
