/*
 * recorder/port/request.c - one request, from its head to its answer
 *
 *   HEAD  path, rights, size   -> refused, or its body may come
 *   BODY  into memory that grows with it (intake/room.c)
 *   END   digest, way, numbers -> offered to the intake, which settles it
 *         when all of it is durable, or will not be
 *
 * A body for which there is no memory is not read until there is some;
 * only where that takes too long it is refused.
 *
 * A body that nobody will read is thrown away as it comes, so that the
 * peer gets to see the answer; only where it waits for our word, or is too
 * large, the answer comes first.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "recorder/port/request_impl.h"

#define RETRY_AFTER_S	1u
#define RETRY_DISK_S	5u	/* a full disk does not empty in a second */

const unsigned pb_statuses[PB_STATUSES] = {
	200, 204, 400, 401, 403, 404, 405, 408, 409, 410, 411, 413, 415, 422,
	503, 508,
};

static unsigned	status_of(int);
static ssize_t	take_shaped(struct pb_request *, void *, size_t);
static void	made(void *);
static bool	may_be_long(const struct pb_request *);
static void	count_long(struct pb_request *, int);
static bool	hold(struct pb_request *, const struct pb_held *);
static void	let_go(struct pb_request *);

int
pb_request_create(struct pb_request **out, struct pb_service *service,
    const struct pb_request_head *head, uint64_t now_ms, uint64_t now_ns,
    void (*wake)(void *arg), void *arg, struct pb_err *err)
{
	struct pb_request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	request->service = service;
	request->wake = wake;
	request->arg = arg;
	request->head = head;
	pb_room_init(&request->room, service->rooms, head->share, wake, arg,
	    now_ms);
	request->load.arrival_ns = now_ns;
	request->load.arg = request;
	request->load.local = head->door == PB_DOOR_LOCAL &&
	    head->relay == NULL;
	pb_buf_init(&request->answer.body, PB_PIECE_BYTES);
	service->requests++;
	service->now_ms = now_ms;
	request_check(request);
	*out = request;
	return 0;
}

void
pb_request_destroy(struct pb_request *request, uint64_t now_ms)
{
	if (request == NULL)
		return;
	pb_intake_cancel(request->service->intake, &request->load, now_ms);
	pb_room_finish(&request->room);
	pb_reading_leave(request->reading);
	if (request->answer.is_long)
		count_long(request, -1);
	let_go(request);
	pb_shaped_end(&request->shaped);
	pb_buf_finish(&request->answer.body);
	request->service->requests--;
	free(request);
}

bool
pb_request_wait(struct pb_request *request, size_t len, uint64_t now_ms)
{
	return request->wanted && !request->answered &&
	    pb_room_wait(&request->room, len, now_ms);
}

bool
pb_request_data(struct pb_request *request, const void *data, size_t len,
    uint64_t now_ms)
{
	struct pb_err err;
	int rc;

	request->service->now_ms = now_ms;
	if (!pb_room_in_time(&request->room, len, now_ms)) {
		pb_request_late(request, now_ms);
		return false;
	}
	if (request->answered || !request->wanted)
		return request->room.seen <= request_discard_max(request);
	rc = pb_room_put(&request->room, data, len, &err);
	if (rc < 0) {
		pb_room_finish(&request->room);
		request_fail_body(request, rc, err.text);
	}
	return true;
}

uint64_t
pb_request_until_ms(const struct pb_request *request)
{
	return pb_room_until_ms(&request->room);
}

void
pb_request_late(struct pb_request *request, uint64_t now_ms)
{
	const struct pb_conf_listen *listen = &request->service->conf->listen;

	request->service->now_ms = now_ms;
	if (request->answered)
		return;		/* and told why already */
	request_refuse(request, 408, "the body stopped for %" PRIu64 " ms or "
	    "comes slower than %" PRIu64 " bit/s: [listen] idle_timeout, "
	    "body_rate_min", listen->idle_timeout_ms, listen->body_rate_min);
}

void
pb_request_end(struct pb_request *request, uint64_t now_ms)
{
	request->service->now_ms = now_ms;
	pb_room_close(&request->room);
	if (!request->answered)
		request->route.handler->end(request);
	request->parked = !request->answered;
}

ssize_t
pb_request_take(struct pb_request *request, void *out, size_t max)
{
	const struct pb_err *err;
	struct pb_buf *piece;
	size_t len;
	int rc;

	if (request->answer.is_shaped)
		return take_shaped(request, out, max);
	if (request->parked)
		return 0;
	rc = pb_reading_piece(request->reading, &piece, &err);
	if (rc < 0) {
		pb_peerlog_warn(&request->service->log,
		    request->service->now_ms, request->head->peer, "answer",
		    err->text);
		return PB_ESYS;
	}
	len = piece->len - request->taken;
	if (len == 0)
		return PB_ENOENT;
	len = len < max ? len : max;
	memcpy(out, piece->data + request->taken, len);
	request->taken += len;
	if (request->taken == piece->len && rc != PB_MADE_END) {
		request->taken = 0;
		request->parked = true;
		pb_reading_next(request->reading);
	}
	return (ssize_t)len;
}

bool
pb_request_making(struct pb_request *request, uint64_t now_ms)
{
	if (request->answer.is_shaped)
		return request->parked;
	if (request->reading == NULL || !request->parked)
		return false;
	if (request->wake_ms != 0 && now_ms >= request->wake_ms) {
		request->wake_ms = 0;
		pb_reading_wake(request->reading);
	}
	if (!request->answered && now_ms >= request->begin_ms &&
	    pb_reading_give_up(request->reading, PB_EBUSY, "too many ask"))
		made(request);
	return request->parked;
}

const struct pb_answer *
pb_request_answer(const struct pb_request *request)
{
	return request->answered ? &request->answer : NULL;
}

bool
pb_request_refused(const struct pb_request *request)
{
	return request->answered &&
	    (request->head->expect || request->answer.close);
}

void
pb_request_settled(void *arg, struct pb_load *load)
{
	struct pb_request *request = load->arg;

	(void)arg;	/* the intake's, the same for all */
	pb_room_finish(&request->room);
	if (load->rc == 0)
		request->route.handler->settled(request);
	else
		request_fail(request, load->rc, load->text);
	if (request->answered)
		request_wake(request);
}

/* Its packets are in chunks: others may have the memory of its body. */
void
pb_request_taken(void *arg, struct pb_load *load)
{
	struct pb_request *request = load->arg;

	(void)arg;
	pb_room_finish(&request->room);
}

/* --- answers -------------------------------------------------------------- */

void
request_fail(struct pb_request *request, int rc, const char *text)
{
	if (rc == PB_EBUSY || status_of(rc) == 503)
		request->answer.retry_after_s = rc == PB_ENOSPC ?
		    RETRY_DISK_S : RETRY_AFTER_S;
	request_refuse(request, status_of(rc), "%s", text);
}

void
request_fail_body(struct pb_request *request, int rc, const char *text)
{
	if (rc == PB_ELIMIT)
		request_refuse(request, 413, "%s", text);
	else
		request_fail(request, rc, text);
}

static unsigned
status_of(int rc)
{
	switch (rc) {
	case PB_EFORMAT:
		return 400;
	case PB_EACCES:
		return 403;
	case PB_ENOENT:
		return 404;
	case PB_EORDER:
		return 409;
	case PB_EINVAL:
	case PB_EDIGEST:
		return 422;
	case PB_ELOOP:
		return 508;
	default:
		return 503;
	}
}

void
request_refuse(struct pb_request *request, unsigned status,
    const char *fmt, ...)
{
	struct pb_buf *body = &request->answer.body;
	char text[PB_ERR_TEXT_MAX], cause[8];
	struct pb_json json;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pb_buf_clear(body);
	pb_json_init(&json, body);
	pb_json_object(&json, NULL);
	if (status == 409)
		pb_json_u64(&json, "acked", request->load.acked);
	if (status == 409 && request->load.asked)
		pb_json_bool(&json, "ask", true);
	pb_json_text(&json, "error", text);
	pb_json_end(&json);
	request_answer(request, status, JSON_TYPE);
	/* Overtaking is how several connections work. */
	if (status == 409)
		return;
	snprintf(cause, sizeof(cause), "%u", status);
	pb_peerlog_warn(&request->service->log, request->service->now_ms,
	    request->head->relay != NULL ? request->head->relay :
	    request->head->peer, cause, text);
}

void
request_answer_acked(struct pb_request *request, uint64_t acked)
{
	struct pb_json json;

	pb_json_init(&json, &request->answer.body);
	pb_json_object(&json, NULL);
	pb_json_u64(&json, "acked", acked);
	pb_json_end(&json);
	request_answer(request, 200, JSON_TYPE);
}

void
request_answer(struct pb_request *request, unsigned status, const char *type)
{
	if (request->service->stopping)
		request->answer.close = true;
	request->answer.status = status;
	request->answer.type = type;
	request->answered = true;
	for (size_t i = 0; i < PB_STATUSES; i++)
		request->service->answers[i] += pb_statuses[i] == status;
}

/* --- answers that are made while they are sent --------------------------- */

void
request_make(struct pb_request *request, const struct pb_maker *maker,
    const char *type)
{
	struct pb_service *service = request->service;
	struct pb_err err;
	int rc = pb_reading_start(&request->reading, service->readers, maker,
	    made, request, &err);

	request->answer.type = type;
	request->answer.status = 200;
	request->begin_ms = service->now_ms + PB_WAIT_MS;
	if (rc < 0)
		request_fail(request, rc, err.text);
}

void
request_make_held(struct pb_request *request, const struct pb_maker *maker,
    void (*dress)(struct pb_request *), uint64_t wait_ms, size_t bytes)
{
	uint64_t now_ms = request->service->now_ms;

	if (!hold(request, &(struct pb_held){ 1, bytes })) {
		maker->drop(maker->arg);
		request_fail(request, PB_EBUSY, "too many answers wait or are "
		    "under way");
		return;
	}
	request->dress = dress;
	request->made = maker->arg;
	request->wake_ms = wait_ms > 0 ? now_ms + wait_ms : 0;
	request_make(request, maker, NULL);
}

void
request_field(struct pb_request *request, const char *name,
    const char *fmt, ...)
{
	struct pb_answer *answer = &request->answer;
	struct pb_answer_field *field = &answer->field[answer->fields++];
	va_list ap;

	field->name = name;
	va_start(ap, fmt);
	vsnprintf(field->value, sizeof(field->value), fmt, ap);
	va_end(ap);
}

static ssize_t
take_shaped(struct pb_request *request, void *out, size_t max)
{
	size_t all;
	const uint8_t *body = pb_answer_body(&request->answer, &all);
	size_t left = all - request->taken;
	size_t len = pb_shaped_take(&request->shaped, left < max ? left : max,
	    left, request->service->now_ms);

	request->parked = len == 0;
	if (len > 0)
		memcpy(out, body + request->taken, len);
	request->taken += len;
	return (ssize_t)len;
}

/* A piece is there, or will not be.  The first one shows what the answer is,
 * and is all of it, mostly. */
static void
made(void *arg)
{
	struct pb_request *request = arg;
	const struct pb_err *err;
	struct pb_buf *piece;
	int rc = pb_reading_piece(request->reading, &piece, &err);

	if (request->answered) {
		request_wake(request);
		return;
	}
	if (rc < 0) {
		request_fail(request, rc, err->text);
	} else if (rc == PB_MADE_END) {
		if (request->dress != NULL)
			request->dress(request);
		request->answer.body = *piece;
		memset(piece, 0, sizeof(*piece));
		request_answer(request, request->answer.status,
		    request->answer.type);
	} else if (!may_be_long(request)) {
		request_fail(request, PB_EBUSY, "too many long answers are "
		    "under way");
	} else {
		count_long(request, 1);
		request->answer.is_long = true;
		request_answer(request, request->answer.status,
		    request->answer.type);
	}
	if (!request->answer.is_long) {
		pb_reading_leave(request->reading);
		request->reading = NULL;
	}
	request_wake(request);
}

static bool
may_be_long(const struct pb_request *request)
{
	return request->service->long_answers < PB_LONG_ANSWERS_MAX &&
	    (request->head->long_answers == NULL ||
	    *request->head->long_answers < PB_LONG_ANSWERS_PEER_MAX);
}

static void
count_long(struct pb_request *request, int one)
{
	request->service->long_answers += (unsigned)one;
	if (request->head->long_answers != NULL)
		*request->head->long_answers += (unsigned)one;
}

/* False where it would be too much. */
static bool
hold(struct pb_request *request, const struct pb_held *more)
{
	struct pb_held *all = &request->service->held;
	struct pb_held *peer = request->head->held;
	struct pb_held none = { .answers = 0 };

	if (peer == NULL)
		peer = &none;
	if (all->answers + more->answers > PB_HELD_ANSWERS_MAX ||
	    peer->answers + more->answers > PB_HELD_ANSWERS_PEER_MAX ||
	    all->bytes + more->bytes > PB_HELD_BYTES_MAX ||
	    peer->bytes + more->bytes > PB_HELD_BYTES_MAX / 2)
		return false;
	all->answers += more->answers;
	all->bytes += more->bytes;
	peer->answers += more->answers;
	peer->bytes += more->bytes;
	request->held = *more;
	return true;
}

static void
let_go(struct pb_request *request)
{
	struct pb_held *all = &request->service->held;
	struct pb_held *peer = request->head->held;

	all->answers -= request->held.answers;
	all->bytes -= request->held.bytes;
	if (peer == NULL)
		return;
	peer->answers -= request->held.answers;
	peer->bytes -= request->held.bytes;
}

void
request_wake(void *arg)
{
	struct pb_request *request = arg;
	bool parked = request->parked;

	request->parked = false;
	if (parked)
		request->wake(request->arg);
}
