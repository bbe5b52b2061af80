/*
 * shipper/sink/sink_http.c - packets to a node, by the wire protocol
 */
#include "shipper/sink/sink_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/sift/sieves.h"
#include "shipper/wire/proxy.h"

struct call {
	struct sink_http *http;
	struct pb_wire_call wire;
	enum pb_action_kind kind;
	uint64_t	 filtered;	/* packets left out of it */
};

struct sink_http {
	struct pb_sink	 sink;
	struct pb_conf_upstream conf;
	char		 proxy_auth[PB_PROXY_AUTH_MAX];
	struct pb_rate	 rate;
	struct pb_wire	 wire;
	struct pb_sieves sieves;
	struct pb_sink_left_out left_out;
	bool		 takes_filtered, takes_cut; /* as it says when asked */
	struct call	 call[PB_SHIP_SLOTS];	/* by the request's number */
};

static int	http_create(struct pb_sink **, const struct pb_sink_opts *,
		    struct pb_err *);
static void	http_destroy(struct pb_sink *);
static int	http_start(struct pb_sink *, const struct pb_sink_request *,
		    struct pb_err *);
static int	http_sift(struct pb_sink *, uint16_t, struct pb_sift **,
		    struct pb_err *);
static void	http_change(struct pb_sink *,
		    const struct pb_conf_upstream *);
static void	http_left_out(struct pb_sink *, struct pb_sink_left_out *);
static void	done(void *, struct pb_answer *);
static enum pb_outcome outcome_of(enum pb_action_kind,
		    const struct pb_answer *);
static enum pb_outcome outcome_of_others(enum pb_action_kind, int);
static void	say(struct pb_answer *);

const struct pb_sink_kind pb_sink_http = {
	.schemes = { "http://", "https://" }, .create = http_create,
	.destroy = http_destroy, .start = http_start, .sift = http_sift,
	.change = http_change, .left_out = http_left_out,
};

static int
http_create(struct pb_sink **out, const struct pb_sink_opts *opts,
    struct pb_err *err)
{
	struct sink_http *http = calloc(1, sizeof(*http));
	int rc;

	if (http == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an upstream");
	http->sink.kind = &pb_sink_http;
	http->conf = *opts->conf;
	rc = pb_wire_peer(&http->wire.peer, &http->conf, http->proxy_auth,
	    err);
	if (rc < 0) {
		free(http);
		return rc;
	}
	pb_rate_init(&http->rate, http->conf.rate_limit,
	    http->conf.rate_burst, opts->now_ms);
	http->wire.http = opts->http;
	http->wire.sender = opts->sender;
	http->wire.peer.rate = &http->rate;
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		http->call[i].http = http;
		http->call[i].wire.done = done;
		http->call[i].wire.arg = &http->call[i];
	}
	pb_sieves_set(&http->sieves, opts->conf);
	*out = &http->sink;
	return 0;
}

static void
http_destroy(struct pb_sink *sink)
{
	struct sink_http *http = (struct sink_http *)sink;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		pb_wire_cancel(&http->wire, &http->call[i].wire);
	pb_sieves_finish(&http->sieves);
	free(http);
}

static void
http_change(struct pb_sink *sink, const struct pb_conf_upstream *conf)
{
	struct sink_http *http = (struct sink_http *)sink;

	pb_sieves_set(&http->sieves, conf);
	if (conf->rate_limit != http->conf.rate_limit ||
	    conf->rate_burst != http->conf.rate_burst)
		pb_rate_change(&http->rate, conf->rate_limit,
		    conf->rate_burst, pb_clock_mono_ms());
	http->conf.rate_limit = conf->rate_limit;
	http->conf.rate_burst = conf->rate_burst;
}

static int
http_sift(struct pb_sink *sink, uint16_t linktype, struct pb_sift **out,
    struct pb_err *err)
{
	struct sink_http *http = (struct sink_http *)sink;

	return pb_sieves_find(&http->sieves, linktype, out, err);
}

static void
http_left_out(struct pb_sink *sink, struct pb_sink_left_out *out)
{
	*out = ((struct sink_http *)sink)->left_out;
}

/* --- requests ----------------------------------------------------------- */

static int
http_start(struct pb_sink *sink, const struct pb_sink_request *request,
    struct pb_err *err)
{
	struct sink_http *http = (struct sink_http *)sink;
	const struct pb_action *action = &request->action;
	struct call *call = &http->call[action->request];
	struct pb_wire_packets packets = { .first = action->piece.first,
	    .last = action->piece.last, .body = request->payload.data,
	    .len = request->payload.len, .digest = request->payload.digest,
	    .packed = request->payload.packed };

	if (action->kind == PB_ACTION_PACKETS &&
	    request->payload.says_filtered && !http->takes_filtered)
		return pb_err_set(err, PB_EINVAL, "it is of a version that "
		    "takes no streams of which packets were filtered");
	if (action->kind == PB_ACTION_PACKETS &&
	    request->payload.left.cut > 0 && !http->takes_cut)
		return pb_err_set(err, PB_EINVAL, "it is of a version that "
		    "does not say how many bytes of a packet it has: take "
		    "snaplen out");
	call->kind = action->kind;
	call->filtered = action->kind == PB_ACTION_PACKETS ?
	    request->payload.left.filtered : 0;
	switch (action->kind) {
	case PB_ACTION_ASK:
		return pb_wire_ask(&http->wire, &call->wire, &request->key,
		    action->at, 0, err);
	case PB_ACTION_PACKETS:
		return pb_wire_packets(&http->wire, &call->wire,
		    &request->key, &packets, err);
	case PB_ACTION_GAP:
		break;
	}
	return pb_wire_gap(&http->wire, &call->wire, &request->key,
	    &action->piece, request->linktype, err);
}

/* --- answers ------------------------------------------------------------ */

static void
done(void *arg, struct pb_answer *answer)
{
	struct call *call = arg;
	struct sink_http *http = call->http;
	struct pb_sink *sink = &http->sink;

	pb_sink_http_meaning(answer, call->kind);
	if (answer->outcome == PB_OUTCOME_HAS &&
	    call->kind == PB_ACTION_ASK) {
		http->takes_filtered = answer->takes_filtered;
		http->takes_cut = answer->takes_cut;
	}
	if (answer->outcome == PB_OUTCOME_HAS)
		http->left_out.filtered += call->filtered;
	sink->done(sink->arg, (unsigned)(call - call->http->call), answer);
}

void
pb_sink_http_meaning(struct pb_answer *answer, enum pb_action_kind kind)
{
	answer->outcome = outcome_of(kind, answer);
	if (answer->outcome == PB_OUTCOME_HAS)
		answer->text[0] = '\0';
	else
		say(answer);
}

static enum pb_outcome
outcome_of(enum pb_action_kind kind, const struct pb_answer *said)
{
	bool has = said->outcome == PB_OUTCOME_HAS;

	if (!said->ours)
		return outcome_of_others(kind, said->status);
	switch (said->status) {
	case 200:
		return has ? PB_OUTCOME_HAS : PB_OUTCOME_FAILED;
	case 409:
		/* A question cannot be in conflict with anything. */
		return has && kind != PB_ACTION_ASK ?
		    PB_OUTCOME_BEHIND : PB_OUTCOME_FAILED;
	case 400:
		return kind == PB_ACTION_PACKETS ? PB_OUTCOME_MALFORMED :
		    PB_OUTCOME_REFUSED;
	case 422:
		return kind == PB_ACTION_PACKETS ? PB_OUTCOME_BROKEN :
		    PB_OUTCOME_REFUSED;
	case 413:
		return PB_OUTCOME_TOO_LARGE;
	case 408:		/* these three ask for another try */
	case 425:
	case 429:
		return PB_OUTCOME_FAILED;
	case 508:
		return PB_OUTCOME_REFUSED;
	}
	return said->status >= 400 && said->status <= 499 ?
	    PB_OUTCOME_REFUSED : PB_OUTCOME_FAILED;
}

static enum pb_outcome
outcome_of_others(enum pb_action_kind kind, int status)
{
	if (status == 413 && kind == PB_ACTION_PACKETS)
		return PB_OUTCOME_TOO_LARGE;
	/* These three ask for another try, and may say when. */
	return status >= 400 && status <= 499 && status != 408 &&
	    status != 425 && status != 429 && kind != PB_ACTION_ASK ?
	    PB_OUTCOME_STOPPED : PB_OUTCOME_FAILED;
}

/* Who said what; redirects have words of their own. */
static void
say(struct pb_answer *answer)
{
	bool others = !answer->ours &&
	    (answer->status < 300 || answer->status > 399);
	char text[PB_SHIP_TEXT_MAX];

	if (answer->status == 0)
		return;
	memcpy(text, answer->text, sizeof(text));
	snprintf(answer->text, sizeof(answer->text), "%s %d: %.180s", others ?
	    "something in front of it answered" : "status", answer->status,
	    text[0] != '\0' ? text : "an answer without a number");
}
