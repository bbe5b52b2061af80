/*
 * shipper/edge/edge.c - one edge: its machine, its requests
 */
#include "shipper/edge/edge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/zip.h"
#include "shipper/edge/keeping.h"
#include "shipper/ship/speed.h"
#include "shipper/sink/sink_http.h"
#include "shipper/wire/fetch.h"

#define POLL_S_MAX	30u	/* a question for news is open */
#define HERE_SILENCE_MS	30000u	/* of our recorder */

/* A request under way. */
struct call {
	struct pb_edge	*edge;
	struct pb_pull_action action;
	union {			/* of the wire, or of the keeper */
		struct pb_fetch_call fetch;
		struct pb_wire_call wire;
		struct pb_keeping keeping;
	};
	LIST_ENTRY(call) link;
};

struct pb_edge {
	const struct pb_conf_edge *conf;
	struct pb_edge_env env;
	char		 name[PB_NAME_BYTES_MAX + 1];
	char		 proxy_auth[PB_PROXY_AUTH_MAX];
	struct pb_wire	 there, here;
	struct pb_pull	*pull;
	LIST_HEAD(, call) calls;
	struct pb_speed	 speed;
	struct pb_edge_row row;		/* as reported; written_ns 0: never */
};

static uint64_t	sender_of(const struct pb_edge *);
static int	perform(struct pb_edge *, const struct pb_pull_action *,
		    struct pb_err *);
static int	start(struct call *, struct pb_err *);
static int	hand(struct call *, const struct pb_stream_key *,
		    struct pb_err *);
static void	keep(struct call *);
static void	on_kept(void *);
static unsigned	poll_s(const struct pb_edge *);
static void	on_row(void *, const struct pb_pull_row *, bool);
static void	on_coming(void *, const struct pb_pull_coming *);
static void	on_fetch(void *, struct pb_pull_answer *);
static void	on_wire(void *, struct pb_answer *);
static enum pb_pull_outcome outcome_of(const struct call *,
		    struct pb_answer *);
static void	end(struct call *, struct pb_pull_answer *);
static bool	wants(void *, const struct pb_stream_key *);
static int	forks(void *, const struct pb_stream_key *, struct pb_forks *,
		    struct pb_err *);
static bool	print(void *, const struct pb_pull_piece *, bool,
		    struct pb_fingerprint *);
static void	event(void *, enum pb_log_level, const struct pb_stream_key *,
		    const char *);
static void	fill_speed(struct pb_edge *, uint64_t,
		    const struct pb_pull_status *, struct pb_edge_row *);

int
pb_edge_create(struct pb_edge **out, const struct pb_conf_edge *conf,
    const struct pb_edge_env *env, struct pb_err *err)
{
	struct pb_edge *edge = calloc(1, sizeof(*edge));
	struct pb_pull_opts opts = { .window = conf->window,
	    .budget = env->budget, .wants = wants, .forks = forks,
	    .print = print, .event = event, .arg = edge };
	int rc;

	*out = NULL;
	if (edge == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an edge");
	edge->env = *env;
	LIST_INIT(&edge->calls);
	strcpy(edge->name, conf->name);
	edge->conf = conf;
	rc = pb_wire_peer_edge(&edge->there.peer, conf, edge->proxy_auth, err);
	if (rc < 0) {
		free(edge);
		return rc;
	}
	edge->there.http = env->http;
	edge->there.node = env->node;
	edge->here = (struct pb_wire){ .http = env->http,
	    .sender = sender_of(edge), .relay = edge->name,
	    .peer = { .url = "http://localhost",
	    .socket_path = env->socket_path,
	    .silence_ms = HERE_SILENCE_MS } };
	rc = pb_pull_create(&edge->pull, &opts, err);
	if (rc < 0) {
		free(edge);
		return rc;
	}
	*out = edge;
	return 0;
}

/* Two edges may have the same numbers for other packets: to our recorder they
 * are two senders, so that each is compared when the other one was there. */
static uint64_t
sender_of(const struct pb_edge *edge)
{
	uint64_t sender = edge->env.sender ^
	    pb_digest((const uint8_t *)edge->name, strlen(edge->name));

	return sender != 0 ? sender : edge->env.sender;
}

void
pb_edge_destroy(struct pb_edge *edge)
{
	struct call *call;

	if (edge == NULL)
		return;
	while ((call = LIST_FIRST(&edge->calls)) != NULL) {
		LIST_REMOVE(call, link);
		if (call->action.kind == PB_PULL_FORK)
			pb_worker_cancel(edge->env.keeper,
			    &call->keeping.job);
		else
			pb_http_cancel(edge->env.http, &call->wire);
		if (call->action.kind == PB_PULL_HERE ||
		    call->action.kind == PB_PULL_HAND)
			edge->env.budget->hands--;
		free(call);
	}
	pb_pull_destroy(edge->pull);
	free(edge);
}

const struct pb_conf_edge *
pb_edge_conf(const struct pb_edge *edge)
{
	return edge->conf;
}

void
pb_edge_adopt(struct pb_edge *edge, const struct pb_conf_edge *conf)
{
	edge->conf = conf;
	pb_wire_reach_edge(&edge->there.peer, conf, edge->proxy_auth);
}

void
pb_edge_run(struct pb_edge *edge, uint64_t now_ms)
{
	struct pb_pull_answer answer;
	struct pb_pull_action action;
	struct pb_err err;

	while (pb_pull_next(edge->pull, now_ms, pb_random64(), &action)) {
		if (perform(edge, &action, &err) == 0)
			continue;
		answer = (struct pb_pull_answer){ .text = err.text };
		pb_pull_answer(edge->pull, &action, &answer, now_ms,
		    pb_random64());
	}
}

uint64_t
pb_edge_wake_ms(const struct pb_edge *edge)
{
	return pb_pull_wake_ms(edge->pull);
}

bool
pb_edge_starves(const struct pb_edge *edge)
{
	return pb_pull_starves(edge->pull);
}

void
pb_edge_hurry(struct pb_edge *edge)
{
	pb_pull_hurry(edge->pull);
}

/* --- requests ------------------------------------------------------------- */

static int
perform(struct pb_edge *edge, const struct pb_pull_action *action,
    struct pb_err *err)
{
	struct call *call = calloc(1, sizeof(*call));
	int rc;

	if (call == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a request");
	call->edge = edge;
	call->action = *action;
	rc = start(call, err);
	if (rc < 0)
		free(call);
	else
		LIST_INSERT_HEAD(&edge->calls, call, link);
	return rc;
}

static int
start(struct call *call, struct pb_err *err)
{
	const struct pb_pull_action *action = &call->action;
	struct pb_edge *edge = call->edge;
	struct pb_stream_key key;

	switch (action->kind) {
	case PB_PULL_LIST:
	case PB_PULL_FETCH:
	case PB_PULL_ACK:
		call->fetch.done = on_fetch;
		call->fetch.row = on_row;
		call->fetch.coming = on_coming;
		call->fetch.arg = call;
		return pb_fetch_start(&edge->there, &call->fetch, action,
		    poll_s(edge), edge->conf->compress_zstd, err);
	case PB_PULL_FORK:
		keep(call);
		return 0;
	case PB_PULL_HERE:
	case PB_PULL_THERE:
	case PB_PULL_HAND:
		break;
	}
	call->wire.done = on_wire;
	call->wire.arg = call;
	if (action->kind == PB_PULL_THERE)
		return pb_wire_ask(&edge->there, &call->wire, action->key,
		    action->number, action->captured, err);
	key = *action->key;
	key.epoch = action->epoch;
	if (action->kind == PB_PULL_HAND)
		return hand(call, &key, err);
	return pb_wire_ask(&edge->here, &call->wire, &key, action->number, 0,
	    err);
}

static int
hand(struct call *call, const struct pb_stream_key *key, struct pb_err *err)
{
	const struct pb_pull_piece *piece = call->action.piece;
	struct pb_wire *here = &call->edge->here;
	struct pb_wire_packets packets = { .first = piece->first,
	    .last = piece->last, .body = piece->body.data,
	    .len = piece->body.len, .digest = piece->digest,
	    .packed = piece->packed };
	struct pb_piece gap = { .kind = PB_PIECE_GAP, .first = piece->first,
	    .last = piece->last, .reason = piece->reason };

	return piece->reason == 0 ?
	    pb_wire_packets(here, &call->wire, key, &packets, err) :
	    pb_wire_gap(here, &call->wire, key, &gap, call->action.linktype,
	    err);
}

static void
keep(struct call *call)
{
	call->keeping = (struct pb_keeping){ .state = call->edge->env.state,
	    .edge = call->edge->name, .key = *call->action.key,
	    .forks = *call->action.forks, .done = on_kept, .arg = call };
	pb_keeping_start(&call->keeping, call->edge->env.keeper);
}

static unsigned
poll_s(const struct pb_edge *edge)
{
	uint64_t s = edge->conf->answer_timeout_ms / 2000;

	return s < POLL_S_MAX ? (unsigned)s : POLL_S_MAX;
}

/* --- answers -------------------------------------------------------------- */

static void
on_row(void *arg, const struct pb_pull_row *row, bool fresh)
{
	const struct call *call = arg;

	pb_pull_row(call->edge->pull, row, fresh);
}

static void
on_coming(void *arg, const struct pb_pull_coming *coming)
{
	const struct call *call = arg;

	pb_pull_coming(call->edge->pull, &call->action, coming);
}

static void
on_fetch(void *arg, struct pb_pull_answer *answer)
{
	end(arg, answer);
}

static void
on_wire(void *arg, struct pb_answer *said)
{
	struct call *call = arg;
	bool here = call->action.kind != PB_PULL_THERE;
	char text[PB_SHIP_TEXT_MAX + 32];
	struct pb_pull_answer answer = { .text = text,
	    .acked = said->acked, .last = said->last,
	    .fresh = !here && said->fresh,
	    .retry_after_ms = said->retry_after_ms };

	answer.outcome = outcome_of(call, said);
	snprintf(text, sizeof(text), "%s%s", here ? "pb-recorder here: " : "",
	    said->text);
	end(call, &answer);
}

static void
on_kept(void *arg)
{
	struct call *call = arg;
	struct pb_err err = call->keeping.err;
	struct pb_pull_answer answer = { .outcome = call->keeping.rc == 0 ?
	    PB_PULL_DONE : PB_PULL_FAILED, .text = err.text };

	end(call, &answer);
}

static enum pb_pull_outcome
outcome_of(const struct call *call, struct pb_answer *said)
{
	bool hand = call->action.kind == PB_PULL_HAND;

	pb_sink_http_meaning(said, !hand ? PB_ACTION_ASK :
	    call->action.piece->reason == 0 ? PB_ACTION_PACKETS :
	    PB_ACTION_GAP);
	switch (said->outcome) {
	case PB_OUTCOME_HAS:
		return PB_PULL_DONE;
	case PB_OUTCOME_BEHIND:
		return PB_PULL_BEHIND;
	case PB_OUTCOME_BROKEN:
	case PB_OUTCOME_MALFORMED:
	case PB_OUTCOME_TOO_LARGE:
		return PB_PULL_BROKEN;
	case PB_OUTCOME_REFUSED:
		return PB_PULL_REFUSED;
	default:
		return PB_PULL_FAILED;
	}
}

static void
end(struct call *call, struct pb_pull_answer *answer)
{
	/* The answer may point into the call: a list's cursor does. */
	LIST_REMOVE(call, link);
	pb_pull_answer(call->edge->pull, &call->action, answer,
	    pb_clock_mono_ms(), pb_random64());
	free(call);
}

/* --- what the machine asks and tells -------------------------------------- */

/* Our own streams are not fetched: that would be a loop. */
static bool
wants(void *arg, const struct pb_stream_key *key)
{
	const struct pb_edge *edge = arg;
	char stream[PB_STREAM_NAME_MAX];

	pb_stream_name(stream, key);
	return strcmp(key->node, edge->env.node) != 0 &&
	    pb_glob_list_match(edge->conf->streams, stream);
}

static int
forks(void *arg, const struct pb_stream_key *key, struct pb_forks *out,
    struct pb_err *err)
{
	const struct pb_edge *edge = arg;

	return pb_forks_load_edge(edge->env.state, edge->name, key, out, err);
}

static bool
print(void *arg, const struct pb_pull_piece *piece, bool first,
    struct pb_fingerprint *out)
{
	bool (*of)(const uint8_t *, size_t, struct pb_fingerprint *) =
	    first ? pb_fingerprint_first : pb_fingerprint_last;
	size_t room, len;
	uint8_t *plain;
	bool good;

	(void)arg;
	if (!piece->packed)
		return of(piece->body.data, piece->body.len, out);
	if (pb_zip_room(piece->body.data, piece->body.len, PB_PULL_BYTES_MAX +
	    PB_PULL_SLACK, &room, NULL) < 0 || (plain = malloc(room)) == NULL)
		return false;
	good = pb_zip_unpack(plain, room, piece->body.data, piece->body.len,
	    &len, NULL) == 0 && of(plain, len, out);
	free(plain);
	return good;
}

static void
event(void *arg, enum pb_log_level level, const struct pb_stream_key *key,
    const char *text)
{
	const struct pb_edge *edge = arg;
	char stream[PB_STREAM_NAME_MAX];

	if (key == NULL) {
		pb_log(level, "shipper", "edge %s: %s", edge->name, text);
		return;
	}
	pb_stream_name(stream, key);
	pb_log(level, "shipper", "edge %s: %s stream=%s epoch=%016" PRIx64,
	    edge->name, text, stream, key->epoch);
}

/* --- reports -------------------------------------------------------------- */

bool
pb_edge_report(struct pb_edge *edge, struct pb_edge_row *out, uint64_t now_ms,
    uint64_t now_ns)
{
	const struct pb_edge_row *was = &edge->row;
	struct pb_pull_status s;
	bool news;

	pb_pull_status(edge->pull, now_ms, &s);
	*out = (struct pb_edge_row){ .state = s.state, .written_ns = now_ns,
	    .since_ns = now_ns - (now_ms - s.since_ms) * PB_NS_PER_MS,
	    .attempts = s.attempts, .streams = s.streams,
	    .refused = s.refused, .forked = s.forked, .behind = s.behind,
	    .flight_bytes = s.flight_bytes, .packets = s.packets,
	    .bytes = s.bytes, .failures = s.failures };
	strcpy(out->name, edge->name);
	snprintf(out->url, sizeof(out->url), "%.255s", edge->conf->url);
	snprintf(out->last_error, sizeof(out->last_error), "%s",
	    s.last_error);
	if (s.progress_ms != 0)
		out->progress_ns = now_ns -
		    (now_ms - s.progress_ms) * PB_NS_PER_MS;
	if (s.failures > 0)
		out->error_ns = now_ns - (now_ms - s.error_ms) * PB_NS_PER_MS;
	if (s.attempts > 0)
		out->retry_ns = now_ns + (s.retry_ms > now_ms ? s.retry_ms -
		    now_ms : 0) * PB_NS_PER_MS;
	fill_speed(edge, now_ms, &s, out);
	/* That time passes is no news. */
	news = was->written_ns == 0 || was->state != out->state ||
	    was->attempts != out->attempts || was->streams != out->streams ||
	    was->refused != out->refused || was->forked != out->forked ||
	    was->behind != out->behind ||
	    was->flight_bytes != out->flight_bytes ||
	    was->packets != out->packets || was->bytes != out->bytes ||
	    was->failures != out->failures || was->pps != out->pps ||
	    was->byteps != out->byteps || was->comes_pps != out->comes_pps ||
	    strcmp(was->last_error, out->last_error) != 0;
	if (news)
		edge->row = *out;
	return news;
}

static void
fill_speed(struct pb_edge *edge, uint64_t now_ms,
    const struct pb_pull_status *status, struct pb_edge_row *row)
{
	const uint64_t counts[PB_SPEED_WHATS] = {
		[PB_SPEED_PACKETS] = status->packets,
		[PB_SPEED_BYTES] = status->bytes,
		[PB_SPEED_COMES] = status->came,
	};

	pb_speed_look(&edge->speed, now_ms, counts);
	row->pps = edge->speed.per_s[PB_SPEED_PACKETS];
	row->byteps = edge->speed.per_s[PB_SPEED_BYTES];
	row->comes_pps = edge->speed.per_s[PB_SPEED_COMES];
}

void
pb_edge_report_again(struct pb_edge *edge)
{
	edge->row.written_ns = 0;
}
