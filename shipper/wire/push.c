/*
 * shipper/wire/push.c - send sections to a node and wait until they are durable
 *
 * A section's bytes are borrowed until it is acknowledged, so that one the
 * node has no room for now can be sent again, and none is copied here.
 * Sections are in flight side by side; the node puts those of one stream in
 * order.
 */
#include "shipper/wire/push.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/text.h"
#include "shipper/wire/http.h"

#define RETRY_MS	100u	/* between two tries of a section */
/* Without any section acknowledged.  A writer that is behind takes one
 * within seconds; a full disk does not, and somebody waits. */
#define GIVE_UP_MS	10000u
#define WAIT_MS		1000u
#define HEADER_BYTES	64
#define REASON_BYTES	256
#define PATH_BYTES_MAX	(PATH_MAX + 64)

enum section_state { FREE, FLYING, WAITING };

struct section {
	struct pb_push	*push;
	enum section_state state;
	struct pb_push_section of;	/* not while FREE */
	uint64_t	 retry_ms;
};

struct pb_push {
	struct pb_http	*http;
	struct pb_http_peer peer;
	char		 socket_path[PATH_MAX];
	int		(*stopped)(void);
	struct section	 section[PB_PUSH_REQUESTS_MAX];
	unsigned	 busy;
	uint64_t	 progress_ms;	/* last section acknowledged */
	struct pb_err	 err;		/* code 0: all is well */
};

static int	turn(struct pb_push *, uint64_t);
static int	send_section(struct section *, struct pb_err *);
static void	done(void *, const struct pb_http_answer *);
static void	landed(struct section *);
static void	give_back(struct section *);
static void	again(struct section *, const struct pb_http_answer *);
static bool	comes(const struct section *, uint64_t);
static void	fail(struct pb_push *, const struct pb_http_answer *);
static void	explain(char [static REASON_BYTES],
		    const struct pb_http_answer *);
static int	give_err(const struct pb_push *, struct pb_err *);

int
pb_push_create(struct pb_push **out, const char *socket_path,
    int (*stopped)(void), struct pb_err *err)
{
	struct pb_http_opts opts = { .requests_max = PB_PUSH_REQUESTS_MAX };
	struct pb_push *push;
	int rc;

	*out = NULL;
	if (strlen(socket_path) >= sizeof(push->socket_path))
		return pb_err_set(err, PB_ELIMIT, "socket path '%.64s...' is "
		    "too long", socket_path);
	push = calloc(1, sizeof(*push));
	if (push == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	strcpy(push->socket_path, socket_path);
	push->peer.url = "http://localhost";
	push->peer.socket_path = push->socket_path;
	push->stopped = stopped;
	push->progress_ms = pb_clock_mono_ms();
	for (unsigned i = 0; i < PB_PUSH_REQUESTS_MAX; i++)
		push->section[i].push = push;
	rc = pb_http_create(&push->http, &opts, err);
	if (rc < 0) {
		free(push);
		return rc;
	}
	*out = push;
	return 0;
}

void
pb_push_destroy(struct pb_push *push)
{
	if (push == NULL)
		return;
	pb_http_destroy(push->http);
	for (unsigned i = 0; i < PB_PUSH_REQUESTS_MAX; i++)
		if (push->section[i].state != FREE)
			give_back(&push->section[i]);
	free(push);
}

int
pb_push_send(struct pb_push *push, const struct pb_push_section *section,
    struct pb_err *err)
{
	struct section *s = NULL;

	while (push->err.code == 0 && push->busy == PB_PUSH_REQUESTS_MAX)
		if (turn(push, WAIT_MS) < 0)
			break;
	if (push->err.code != 0) {
		section->done(section->arg);
		return give_err(push, err);
	}
	for (unsigned i = 0; i < PB_PUSH_REQUESTS_MAX && s == NULL; i++)
		if (push->section[i].state == FREE)
			s = &push->section[i];
	assert(s != NULL);
	/* With nothing under way, the wait for progress begins now. */
	if (push->busy == 0)
		push->progress_ms = pb_clock_mono_ms();
	push->busy++;
	s->of = *section;
	/* It leaves while the caller makes the next one. */
	if (send_section(s, &push->err) < 0 || turn(push, 0) < 0)
		return give_err(push, err);
	return 0;
}

int
pb_push_finish(struct pb_push *push, struct pb_err *err)
{
	while (push->err.code == 0 && push->busy > 0)
		if (turn(push, WAIT_MS) < 0)
			break;
	return push->err.code != 0 ? give_err(push, err) : 0;
}

/* Send again what is due, wait once, take answers. */
static int
turn(struct pb_push *push, uint64_t wait)
{
	uint64_t now_ms = pb_clock_mono_ms();

	if (push->stopped != NULL && push->stopped() != 0)
		return pb_err_set(&push->err, PB_ESYS, "interrupted; what "
		    "was acknowledged before is stored");

	for (unsigned i = 0; i < PB_PUSH_REQUESTS_MAX; i++) {
		struct section *s = &push->section[i];

		if (s->state != WAITING)
			continue;
		if (now_ms >= s->retry_ms) {
			if (send_section(s, &push->err) < 0)
				return push->err.code;
		} else if (s->retry_ms - now_ms < wait) {
			wait = s->retry_ms - now_ms;
		}
	}
	if (pb_http_wait(push->http, NULL, 0, wait, &push->err) < 0)
		return push->err.code;
	return push->err.code;
}

static int
send_section(struct section *s, struct pb_err *err)
{
	char first[HEADER_BYTES], last[HEADER_BYTES], digest[HEADER_BYTES];
	char path[PATH_BYTES_MAX], key[PATH_MAX];
	struct pb_http_request request = {
		.peer = &s->push->peer, .path = path,
		.body = s->of.body, .len = s->of.len,
		.header = { "Content-Type: application/x-pcapng", first, last,
		    digest },
		.done = done, .arg = s, .owner = s,
	};
	int rc;

	s->state = FLYING;
	rc = pb_layout_url(key, &s->of.key, err);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "/v1/streams/%s/packets", key);
	snprintf(first, sizeof(first), "PB-First: %" PRIu64, s->of.first);
	snprintf(last, sizeof(last), "PB-Last: %" PRIu64, s->of.last);
	snprintf(digest, sizeof(digest), "PB-Digest: xxh3=%016" PRIx64,
	    pb_digest(s->of.body, s->of.len));
	return pb_http_send(s->push->http, &request, err);
}

static void
done(void *arg, const struct pb_http_answer *answer)
{
	struct section *s = arg;
	uint64_t acked = 0;
	bool known;

	known = (answer->status == 200 || answer->status == 409) &&
	    pb_json_get_u64(answer->body, answer->len, "acked", &acked,
	    NULL) == 0;
	if (known && acked >= s->of.last)
		landed(s);
	else if (known && answer->status == 409 && comes(s, acked + 1))
		again(s, answer);
	else if (answer->status == 503 || answer->status == 429)
		again(s, answer);
	else
		fail(s->push, answer);
}

static void
landed(struct section *s)
{
	s->push->progress_ms = pb_clock_mono_ms();
	give_back(s);
}

static void
give_back(struct section *s)
{
	s->state = FREE;
	s->push->busy--;
	s->of.done(s->of.arg);
}

static void
again(struct section *s, const struct pb_http_answer *answer)
{
	uint64_t now_ms = pb_clock_mono_ms();
	char text[REASON_BYTES];

	s->state = WAITING;
	s->retry_ms = now_ms + RETRY_MS;
	/* The others of a stream wait for the first, which knows why. */
	if (now_ms < s->push->progress_ms + GIVE_UP_MS ||
	    comes(s, s->of.first - 1))
		return;
	explain(text, answer);
	pb_err_set(&s->push->err, PB_EBUSY, "%s: status %d for %u s now: %s",
	    s->push->socket_path, answer->status, GIVE_UP_MS / 1000, text);
}

/* Does any section here, of the same stream, begin at `seq` or before? */
static bool
comes(const struct section *s, uint64_t seq)
{
	const struct pb_push *push = s->push;

	for (unsigned i = 0; i < PB_PUSH_REQUESTS_MAX; i++) {
		const struct section *o = &push->section[i];

		if (o->state != FREE && o->of.first <= seq &&
		    pb_stream_key_same(&o->of.key, &s->of.key))
			return true;
	}
	return false;
}

static void
fail(struct pb_push *push, const struct pb_http_answer *answer)
{
	char text[REASON_BYTES];
	int code = PB_ESYS;

	if (push->err.code != 0)
		return;		/* the first one says it */
	if (answer->status == 0) {
		pb_err_set(&push->err, PB_ESYS, "%s: %s", push->socket_path,
		    answer->error);
		return;
	}
	explain(text, answer);
	if (answer->status == 400 || answer->status == 422)
		code = PB_EFORMAT;
	else if (answer->status == 401 || answer->status == 403)
		code = PB_EACCES;
	else if (answer->status == 409)
		code = PB_EORDER;
	else if (answer->status == 413)
		code = PB_ELIMIT;
	else if (answer->status == 508)
		code = PB_ELOOP;
	pb_err_set(&push->err, code, "%s: status %d: %s", push->socket_path,
	    answer->status, text);
}

/* What the node says, as one clean line. */
static void
explain(char text[static REASON_BYTES], const struct pb_http_answer *answer)
{
	size_t len = answer->len < REASON_BYTES ? answer->len :
	    REASON_BYTES - 1;

	if (pb_json_get_text(answer->body, answer->len, "error", text,
	    REASON_BYTES, NULL) < 0)
		pb_utf8_clean(text, REASON_BYTES, answer->body, len);
}

static int
give_err(const struct pb_push *push, struct pb_err *err)
{
	if (err != NULL)
		*err = push->err;
	return push->err.code;
}
