/*
 * recorder/port/request_head.c - what a request's head says: may it be, and
 * is there a body to come?
 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "recorder/port/allow.h"
#include "recorder/port/request_impl.h"

#define SENDER_DIGITS	16
#define DISCARD_BODIES	4u	/* of its bound: of a body that nobody reads */

static bool	check_cn(struct pb_request *);
static bool	check_puller(struct pb_request *);
static bool	allowed(const struct pb_request *);
static void	expect_body(struct pb_request *);
static int	check_asker(struct pb_request *, struct pb_err *);
static int	parse_claims(struct pb_request *, struct pb_err *);
static int	parse_digest(const char *, uint64_t *, struct pb_err *);

void
request_check(struct pb_request *request)
{
	const struct pb_request_head *head = request->head;
	struct pb_route *route = &request->route;
	struct pb_err err = { 0 };
	int rc;

	if (!check_cn(request)) {
		request->answer.close = true;
		return;
	}
	rc = pb_route_find(route, request->service->routes, head->method,
	    head->path, head->door == PB_DOOR_LOCAL, &err);
	if (rc < 0) {
		request_fail(request, rc == PB_EINVAL ? PB_EFORMAT : rc,
		    err.text);
	} else if (route->handler == NULL) {
		request->answer.allow = route->allow;
		request_refuse(request, 405, "this path takes %s",
		    route->allow);
	} else if (!check_puller(request)) {
		return;
	} else if (route->key.node[0] != '\0' && !allowed(request)) {
		request_refuse(request, 403, "%s may not bring or ask for "
		    "streams of node %s: [listen] allow",
		    request->puller != NULL ? request->puller->name :
		    head->cn != NULL ? head->cn : "this peer", route->key.node);
	} else if (check_asker(request, &err) < 0) {
		request_fail(request, PB_EFORMAT, err.text);
	} else if (route->handler->body_max != NULL) {
		expect_body(request);
	}
}

/* With TLS the peer is who its certificate says, or nobody. */
static bool
check_cn(struct pb_request *request)
{
	const struct pb_request_head *head = request->head;

	if (!head->tls)
		return true;
	if (head->cn == NULL) {
		request_refuse(request, 401, "a certificate for clients is "
		    "needed, with one common name, signed by this node's "
		    "tls_ca");
		return false;
	}
	if (!pb_name_valid(head->cn)) {
		request_refuse(request, 401, "the common name of the client "
		    "certificate is no node's name");
		return false;
	}
	return true;
}

/* Who asks for what only pullers get says who it is. */
static bool
check_puller(struct pb_request *request)
{
	const struct pb_request_head *head = request->head;
	const struct pb_handler *handler = request->route.handler;
	const char *name = head->cn != NULL ? head->cn : head->node;

	if (!handler->pulls && !handler->pulls_too)
		return true;
	request->puller = name == NULL ? NULL :
	    pb_conf_puller(request->service->conf, name);
	if (request->puller != NULL || !handler->pulls)
		return true;
	if (name == NULL)
		request_refuse(request, 400, "who pulls is to say who it is: "
		    "PB-Node: NAME");
	else
		request_refuse(request, 403, "%.64s may not pull: [listen] "
		    "allow without pull:%.64s", name, name);
	return false;
}

static bool
allowed(const struct pb_request *request)
{
	const struct pb_stream_key *key = &request->route.key;

	if (request->puller != NULL && pb_sifts_offers(
	    request->service->sifts, request->puller->name, key))
		return true;
	return !request->route.handler->pulls &&
	    (request->head->door == PB_DOOR_LOCAL || pb_allow_node(
	    request->service->conf->listen.allow, key->node,
	    request->head->cn));
}

static void
expect_body(struct pb_request *request)
{
	const struct pb_request_head *head = request->head;
	const struct pb_handler *handler = request->route.handler;
	struct pb_service *service = request->service;
	struct pb_err err = { 0 };
	size_t length = !head->has_length ? SIZE_MAX :
	    head->length < SIZE_MAX ? (size_t)head->length : SIZE_MAX - 1;
	int rc;

	if (!request->load.local && !handler->pulls &&
	    strcmp(request->route.key.node, service->self.name) == 0) {
		request_refuse(request, 508, "a loop: node %s is the origin "
		    "of its own streams", service->self.name);
		return;
	}
	request->packed = head->encoding != NULL && handler->zstd &&
	    strcasecmp(head->encoding, "zstd") == 0;
	if (head->encoding != NULL && !request->packed &&
	    strcasecmp(head->encoding, "identity") != 0) {
		request_refuse(request, 415, "Content-Encoding %.32s is not "
		    "taken; identity is, and zstd for packets", head->encoding);
		return;
	}
	if (!head->has_length && !head->chunked) {
		request_refuse(request, 411, "Content-Length is needed");
		return;
	}
	rc = pb_room_open(&request->room, handler->body_max(request),
	    length, &err);
	if (rc == PB_ELIMIT) {
		request_fail_body(request, rc, err.text);
		request->answer.close = true;
		return;
	}
	if (rc == 0)
		rc = parse_claims(request, &err);
	if (rc == 0 && service->stopping)
		rc = pb_err_set(&err, PB_EBUSY, "the node is stopping");
	request->wanted = rc == 0;
	if (rc == 0 && !handler->pulls)
		rc = pb_intake_begin(service->intake, &request->load,
		    &request->route.key, &err);
	if (rc < 0)
		request_fail(request, rc == PB_EINVAL ? PB_EFORMAT : rc,
		    err.text);
}

/* Who sends or asks, and what for. */
static int
check_asker(struct pb_request *request, struct pb_err *err)
{
	const char *sender = request->head->sender;
	const struct pb_handler *handler = request->route.handler;

	if (handler->head != NULL && handler->head(request, err) < 0)
		return err->code;
	if (request->head->relay != NULL &&
	    !pb_name_valid(request->head->relay))
		return pb_err_set(err, PB_EINVAL, "PB-Relay is 1 to %d "
		    "letters, digits, . _ -", PB_NAME_BYTES_MAX);
	if (request->route.key.epoch == 0 || sender == NULL ||
	    (strlen(sender) == SENDER_DIGITS &&
	    pb_parse_hex64(sender, &request->load.sender, NULL) == 0 &&
	    request->load.sender != 0))
		return 0;
	return pb_err_set(err, PB_EINVAL, "PB-Sender is %d hex digits, not "
	    "all 0", SENDER_DIGITS);
}

static int
parse_claims(struct pb_request *request, struct pb_err *err)
{
	const struct pb_request_head *head = request->head;

	request->has_digest = head->digest != NULL;
	if ((head->first != NULL && pb_parse_u64(head->first, 1, PB_SEQ_MAX,
	    &request->first, err) < 0) ||
	    (head->last != NULL && pb_parse_u64(head->last, 1, PB_SEQ_MAX,
	    &request->last, err) < 0))
		return pb_err_prefix(err, PB_EINVAL,
		    "PB-First and PB-Last");
	if (request->last != 0 && request->first > request->last)
		return pb_err_set(err, PB_EINVAL, "PB-First %" PRIu64 " is "
		    "past PB-Last %" PRIu64, request->first, request->last);
	if (request->has_digest)
		return parse_digest(head->digest, &request->digest, err);
	return 0;
}

static int
parse_digest(const char *text, uint64_t *out, struct pb_err *err)
{
	size_t prefix = strlen(DIGEST_PREFIX);

	if (strncmp(text, DIGEST_PREFIX, prefix) == 0 &&
	    strlen(text) == prefix + 16 &&
	    pb_parse_hex64(text + prefix, out, NULL) == 0)
		return 0;
	return pb_err_set(err, PB_EINVAL, "PB-Digest is " DIGEST_PREFIX
	    " and 16 hex digits");
}

size_t
request_discard_max(const struct pb_request *request)
{
	const struct pb_handler *handler = request->route.handler;
	size_t max = request->head->door == PB_DOOR_LOCAL ? PB_BODY_BYTES_MAX :
	    (size_t)request->service->conf->listen.body_max;

	if (handler != NULL && handler->body_max != NULL)
		max = handler->body_max(request);
	return DISCARD_BODIES * max;
}
