/*
 * cli/audit/side_wire.c - a node that is asked over the wire, as one side
 *
 * A question that fails as they do now and then is asked again: without an
 * answer TRIES times in all, so that a long audit does not end by a
 * connection, and where the node is busy (503), as with others who audit, for
 * BUSY_MS.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/audit/side.h"
#include "shipper/wire/client.h"

#define TRIES		3u
#define AGAIN_MS	1000u	/* and so much more each time */
#define BUSY_MS		60000u
#define LOOK_MS		200u	/* whether to stop */

struct wire {
	struct pb_side	 side;
	struct pb_http	*http;
	struct pb_wire	 wire;
	char		 proxy_auth[PB_PROXY_AUTH_MAX];
	const struct pb_stop *stop;
	struct pb_wire_call call;
	bool		 done;
	struct pb_answer answer;
};

static int	ask(struct pb_side *, const struct pb_stream_key *,
		    struct pb_wire_digests *, struct pb_err *);
static int	ask_once(struct wire *, const struct pb_stream_key *,
		    struct pb_wire_digests *, struct pb_err *);
static int	wait_ms(struct wire *, const bool *, uint64_t,
		    struct pb_err *);
static int	refused(const struct wire *, struct pb_err *);
static void	done(void *, struct pb_answer *);
static void	destroy(struct pb_side *);

int
pb_side_wire(struct pb_side **out, const struct pb_conf_upstream *conf,
    const struct pb_stop *stop, struct pb_err *err)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	int rc;

	if (wire == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = pb_wire_peer(&wire->wire.peer, conf, wire->proxy_auth, err);
	if (rc == 0)
		rc = pb_http_create(&wire->http, 1, err);
	if (rc < 0) {
		free(wire);
		return rc;
	}
	wire->side = (struct pb_side){ .ask = ask, .destroy = destroy,
	    .name = conf->name };
	wire->wire.http = wire->http;
	wire->stop = stop;
	wire->call.done = done;
	wire->call.arg = wire;
	*out = &wire->side;
	return 0;
}

static int
ask(struct pb_side *side, const struct pb_stream_key *key,
    struct pb_wire_digests *out, struct pb_err *err)
{
	struct wire *wire = (struct wire *)side;
	const bool never = false;
	uint64_t begin = pb_clock_mono_ms();
	unsigned silent = 0;
	int rc;

	for (;;) {
		rc = ask_once(wire, key, out, err);
		if (rc < 0 || wire->answer.outcome == PB_OUTCOME_HAS)
			return rc;
		silent += wire->answer.status == 0;
		if ((wire->answer.status != 0 && wire->answer.status != 503) ||
		    silent == TRIES || pb_clock_mono_ms() - begin > BUSY_MS)
			return refused(wire, err);
		rc = wait_ms(wire, &never, (silent + 1) * AGAIN_MS, err);
		if (rc < 0)
			return rc;
	}
}

static int
ask_once(struct wire *wire, const struct pb_stream_key *key,
    struct pb_wire_digests *out, struct pb_err *err)
{
	struct pb_digests_ask what = out->ask;
	int rc;

	wire->done = false;
	wire->call.digests = out;
	rc = pb_wire_digests(&wire->wire, &wire->call, key, &what, err);
	if (rc < 0)
		return rc;
	wire->side.requests++;
	rc = wait_ms(wire, &wire->done, UINT64_MAX, err);
	if (rc < 0)
		pb_wire_cancel(&wire->wire, &wire->call);
	return rc;
}

/* Until `*until`, or so long. */
static int
wait_ms(struct wire *wire, const bool *until, uint64_t ms,
    struct pb_err *err)
{
	uint64_t begin = pb_clock_mono_ms(), now = begin;
	int rc = 0;

	for (; !*until && now - begin < ms && rc == 0;
	    now = pb_clock_mono_ms()) {
		if (pb_stopped(wire->stop))
			return pb_err_set(err, PB_EBUSY, "stopped");
		rc = pb_http_wait(wire->http, NULL, 0, LOOK_MS, err);
	}
	return rc;
}

static int
refused(const struct wire *wire, struct pb_err *err)
{
	const struct pb_answer *answer = &wire->answer;

	if (answer->status == 404)
		return pb_err_set(err, PB_ESYS, "upstream %s cannot be asked "
		    "for digests: it is of an older version (status 404: "
		    "%.200s)", wire->side.name, answer->text);
	if (answer->status == 0 || answer->status == 200)
		return pb_err_set(err, PB_ESYS, "upstream %s: %s",
		    wire->side.name, answer->text);
	return pb_err_set(err, PB_ESYS, "upstream %s: status %d: %s",
	    wire->side.name, answer->status, answer->text);
}

static void
done(void *arg, struct pb_answer *answer)
{
	struct wire *wire = arg;

	wire->answer = *answer;
	wire->done = true;
}

static void
destroy(struct pb_side *side)
{
	struct wire *wire = (struct wire *)side;

	pb_http_destroy(wire->http);
	free(wire);
}
