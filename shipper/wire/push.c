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
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "shipper/wire/client.h"

#define RETRY_MS	100u	/* between two tries of a section */
/* Without any section acknowledged.  A writer that is behind takes one
 * within seconds; a full disk does not, and somebody waits. */
#define GIVE_UP_MS	10000u
#define WAIT_MS		1000u

enum section_state { FREE, FLYING, WAITING };

struct section {
	struct pb_push	*push;
	enum section_state state;
	struct pb_push_section of;	/* not while FREE */
	struct pb_wire_call call;
	uint64_t	 retry_ms;
};

struct pb_push {
	struct pb_wire	 wire;
	char		 socket_path[PATH_MAX];
	int		(*stopped)(void);
	struct section	 section[PB_PUSH_REQUESTS_MAX];
	unsigned	 busy;
	uint64_t	 progress_ms;	/* last section acknowledged */
	struct pb_err	 err;		/* code 0: all is well */
};

static int	turn(struct pb_push *, uint64_t);
static int	send_section(struct section *, struct pb_err *);
static void	done(void *, struct pb_answer *);
static void	landed(struct section *);
static void	give_back(struct section *);
static void	again(struct section *, const struct pb_answer *);
static bool	comes(const struct section *, uint64_t);
static void	fail(struct pb_push *, const struct pb_answer *);
static int	give_err(const struct pb_push *, struct pb_err *);

int
pb_push_create(struct pb_push **out, const char *socket_path,
    int (*stopped)(void), struct pb_err *err)
{
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
	push->wire.peer.url = "http://localhost";
	push->wire.peer.socket_path = push->socket_path;
	push->stopped = stopped;
	push->progress_ms = pb_clock_mono_ms();
	for (unsigned i = 0; i < PB_PUSH_REQUESTS_MAX; i++)
		push->section[i].push = push;
	rc = pb_http_create(&push->wire.http, PB_PUSH_REQUESTS_MAX, err);
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
	pb_http_destroy(push->wire.http);
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
	(void)pb_http_wait(push->wire.http, NULL, 0, wait, &push->err);
	return push->err.code;
}

static int
send_section(struct section *s, struct pb_err *err)
{
	struct pb_wire_packets packets = { .first = s->of.first,
	    .last = s->of.last, .body = s->of.body, .len = s->of.len,
	    .digest = pb_digest(s->of.body, s->of.len) };

	s->state = FLYING;
	s->call.done = done;
	s->call.arg = s;
	return pb_wire_packets(&s->push->wire, &s->call, &s->of.key, &packets,
	    err);
}

static void
done(void *arg, struct pb_answer *answer)
{
	struct section *s = arg;
	bool has = answer->outcome == PB_OUTCOME_HAS;

	if (has && answer->acked >= s->of.last)
		landed(s);
	else if (has && answer->status == 409 &&
	    comes(s, answer->acked + 1))
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
again(struct section *s, const struct pb_answer *answer)
{
	uint64_t now_ms = pb_clock_mono_ms();

	s->state = WAITING;
	s->retry_ms = now_ms + RETRY_MS;
	/* The others of a stream wait for the first, which knows why. */
	if (now_ms < s->push->progress_ms + GIVE_UP_MS ||
	    comes(s, s->of.first - 1))
		return;
	pb_err_set(&s->push->err, PB_EBUSY, "%s: status %d for %u s now: %s",
	    s->push->socket_path, answer->status, GIVE_UP_MS / 1000,
	    answer->text);
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
fail(struct pb_push *push, const struct pb_answer *answer)
{
	int code = PB_ESYS;

	if (push->err.code != 0)
		return;		/* the first one says it */
	if (answer->status == 0) {
		pb_err_set(&push->err, PB_ESYS, "%s: %s", push->socket_path,
		    answer->text);
		return;
	}
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
	    answer->status, answer->text);
}

static int
give_err(const struct pb_push *push, struct pb_err *err)
{
	if (err != NULL)
		*err = push->err;
	return push->err.code;
}
