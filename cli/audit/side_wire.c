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
#include "shipper/wire/fetch.h"

#define TRIES		3u
#define AGAIN_MS	1000u	/* and so much more each time */
#define BUSY_MS		60000u
#define LOOK_MS		200u	/* whether to stop */
#define NAME_BYTES	(PB_NAME_BYTES_MAX + 16)

/* What came of a question. */
enum outcome { HAS, SILENT, BUSY, OLDER, REFUSED };

struct wire {
	struct pb_side	 side;
	struct pb_side_node node;
	char		 name[NAME_BYTES];	/* `upstream core` */
	struct pb_http	*http;
	struct pb_wire	 wire;
	char		 proxy_auth[PB_PROXY_AUTH_MAX];
	const struct pb_stop *stop;
	/* The question under way: for digests of a stream, or the list. */
	struct pb_wire_call call;
	struct pb_fetch_call fetch;
	const struct pb_stream_key *key;
	struct pb_digests_ask what;
	struct pb_listing *listing;	/* NULL: no list is asked for */
	struct pb_err	 failed;	/* code 0: the list could be kept */
	bool		 done;
	enum outcome	 outcome;
	char		 said[PB_SHIP_TEXT_MAX + 64];
};

static int	ask(struct pb_side *, const struct pb_stream_key *,
		    struct pb_wire_digests *, struct pb_err *);
static int	list(struct pb_side *, struct pb_listing *, struct pb_err *);
static int	question(struct wire *, struct pb_err *);
static int	question_once(struct wire *, struct pb_err *);
static int	start_list(struct wire *, struct pb_err *);
static int	wait_ms(struct wire *, const bool *, uint64_t,
		    struct pb_err *);
static void	on_answer(void *, struct pb_answer *);
static void	on_row(void *, const struct pb_pull_row *, bool);
static void	on_gets(void *, const char *, uint32_t);
static void	on_list(void *, struct pb_pull_answer *);
static void	destroy(struct pb_side *);

int
pb_side_wire(struct pb_side **out, const struct pb_side_node *node,
    const struct pb_stop *stop, struct pb_err *err)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	int rc;

	if (wire == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = node->edge != NULL ? pb_wire_peer_edge(&wire->wire.peer,
	    node->edge, wire->proxy_auth, err) : pb_wire_peer(
	    &wire->wire.peer, node->upstream, wire->proxy_auth, err);
	if (rc == 0)
		rc = pb_http_create(&wire->http, 1, err);
	if (rc < 0) {
		free(wire);
		return rc;
	}
	snprintf(wire->name, sizeof(wire->name), "%s %s", node->edge != NULL ?
	    "edge" : "upstream", node->edge != NULL ? node->edge->name :
	    node->upstream->name);
	wire->side = (struct pb_side){ .ask = ask, .list = list,
	    .destroy = destroy, .name = wire->name };
	wire->node = *node;
	wire->wire.http = wire->http;
	if (node->edge != NULL)
		wire->wire.node = node->self;
	wire->stop = stop;
	wire->call.done = on_answer;
	wire->fetch.done = on_list;
	wire->fetch.row = on_row;
	wire->fetch.gets = on_gets;
	wire->call.arg = wire->fetch.arg = wire;
	if (node->edge == NULL)
		wire->fetch.of = node->self;
	*out = &wire->side;
	return 0;
}

static int
ask(struct pb_side *side, const struct pb_stream_key *key,
    struct pb_wire_digests *out, struct pb_err *err)
{
	struct wire *wire = (struct wire *)side;
	int rc;

	wire->key = key;
	wire->what = out->ask;
	wire->call.digests = out;
	rc = question(wire, err);
	if (rc == 0)
		return pb_err_set(err, PB_ESYS, "%s cannot be asked for "
		    "digests: it is of an older version (%s)", wire->name,
		    wire->said);
	return rc < 0 ? rc : 0;
}

static int
list(struct pb_side *side, struct pb_listing *out, struct pb_err *err)
{
	struct wire *wire = (struct wire *)side;
	int rc;

	wire->listing = out;
	rc = question(wire, err);
	wire->listing = NULL;
	if (rc == 1 && wire->failed.code != 0) {
		*err = wire->failed;
		rc = pb_err_prefix(err, wire->failed.code, "%s", wire->name);
	}
	pb_listing_order(out);
	return rc;
}

/* --- a question --------------------------------------------------------- */

/* It is answered: 1; 0: it knows no such question; or an error. */
static int
question(struct wire *wire, struct pb_err *err)
{
	const bool never = false;
	uint64_t begin = pb_clock_mono_ms();
	unsigned silent = 0;
	int rc;

	for (;;) {
		rc = question_once(wire, err);
		if (rc < 0 || wire->outcome == HAS || wire->outcome == OLDER)
			return rc < 0 ? rc : wire->outcome == HAS;
		silent += wire->outcome == SILENT;
		if (wire->outcome == REFUSED || silent == TRIES ||
		    pb_clock_mono_ms() - begin > BUSY_MS)
			return pb_err_set(err, PB_ESYS, "%s: %s", wire->name,
			    wire->said);
		rc = wait_ms(wire, &never, (silent + 1) * AGAIN_MS, err);
		if (rc < 0)
			return rc;
	}
}

static int
question_once(struct wire *wire, struct pb_err *err)
{
	int rc;

	wire->done = false;
	rc = wire->listing != NULL ? start_list(wire, err) :
	    pb_wire_digests(&wire->wire, &wire->call, wire->key, &wire->what,
	    err);
	if (rc < 0)
		return rc;
	wire->side.requests += wire->listing == NULL;
	rc = wait_ms(wire, &wire->done, UINT64_MAX, err);
	if (rc < 0) {
		pb_wire_cancel(&wire->wire, &wire->call);
		pb_fetch_cancel(&wire->wire, &wire->fetch);
	}
	return rc;
}

static int
start_list(struct wire *wire, struct pb_err *err)
{
	const struct pb_pull_action action = { .kind = PB_PULL_LIST,
	    .cursor = "" };

	pb_listing_clear(wire->listing);
	wire->failed = (struct pb_err){ .code = 0 };
	return pb_fetch_start(&wire->wire, &wire->fetch, &action, 0, false,
	    err);
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

/* --- answers ------------------------------------------------------------ */

static void
on_answer(void *arg, struct pb_answer *answer)
{
	struct wire *wire = arg;

	wire->done = true;
	if (answer->outcome == PB_OUTCOME_HAS)
		wire->outcome = HAS;
	else if (answer->status == 0)
		wire->outcome = SILENT;
	else if (answer->status == 404)
		wire->outcome = OLDER;
	else
		wire->outcome = answer->status == 503 ? BUSY : REFUSED;
	if (answer->status == 0 || (answer->status == 200 && answer->ours))
		snprintf(wire->said, sizeof(wire->said), "%s", answer->text);
	else
		snprintf(wire->said, sizeof(wire->said), "%s %d: %.200s",
		    answer->ours ? "status" :
		    "something in front of it answered", answer->status,
		    answer->text);
}

static void
on_row(void *arg, const struct pb_pull_row *row, bool fresh)
{
	struct wire *wire = arg;

	(void)fresh;
	if (row->durable > 0 && wire->failed.code == 0)
		pb_listing_add(wire->listing, &row->key, &wire->failed);
}

static void
on_gets(void *arg, const char *filter, uint32_t snaplen)
{
	struct wire *wire = arg;

	snprintf(wire->listing->filter, sizeof(wire->listing->filter), "%s",
	    filter);
	wire->listing->snaplen = snaplen;
}

static void
on_list(void *arg, struct pb_pull_answer *answer)
{
	struct wire *wire = arg;

	wire->done = true;
	switch (answer->outcome) {
	case PB_PULL_DONE:
		wire->outcome = HAS;
		break;
	case PB_PULL_GONE:
		wire->outcome = OLDER;
		break;
	case PB_PULL_REFUSED:
	case PB_PULL_BROKEN:
		wire->outcome = REFUSED;
		break;
	default:
		wire->outcome = answer->retry_after_ms > 0 ? BUSY : SILENT;
		break;
	}
	snprintf(wire->said, sizeof(wire->said), "%s", answer->text);
}

static void
destroy(struct pb_side *side)
{
	struct wire *wire = (struct wire *)side;

	pb_http_destroy(wire->http);
	free(wire);
}
