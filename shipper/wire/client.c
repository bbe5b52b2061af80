/*
 * shipper/wire/client.c - the wire protocol, version 1, as its client
 */
#include "shipper/wire/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define PATH_BYTES_MAX	(PATH_MAX + 64)
#define HEADER_BYTES	64
#define NODE_BYTES	(PB_NAME_BYTES_MAX + 16)
#define ERROR_BYTES	4096	/* of what a node says is wrong */

/* Of an answer. */
static const char *const headers[] = { "PB-Takes", NULL };

static void	use_tls(struct pb_http_peer *, const struct pb_conf_tls *);
static int	send_it(struct pb_wire *, struct pb_wire_call *,
		    const struct pb_stream_key *, const char *,
		    struct pb_http_request *, struct pb_err *);
static void	done(void *, const struct pb_http_answer *);
static void	read_last(struct pb_fingerprint *, struct pb_json_doc *);

int
pb_wire_peer(struct pb_http_peer *out, const struct pb_conf_upstream *conf,
    char proxy_auth[static PB_PROXY_AUTH_MAX], struct pb_err *err)
{
	int rc = pb_proxy_auth_read(proxy_auth, conf->proxy_auth, err);

	if (rc < 0)
		return pb_err_prefix(err, rc, "[upstream %s] proxy_auth",
		    conf->name);
	*out = (struct pb_http_peer){ .url = conf->url,
	    .proxy = conf->proxy, .proxy_auth = proxy_auth,
	    .connect_ms = conf->connect_timeout_ms,
	    .silence_ms = conf->answer_timeout_ms };
	use_tls(out, &conf->tls);
	return 0;
}

int
pb_wire_peer_edge(struct pb_http_peer *out, const struct pb_conf_edge *conf,
    char proxy_auth[static PB_PROXY_AUTH_MAX], struct pb_err *err)
{
	int rc = pb_proxy_auth_read(proxy_auth, conf->proxy_auth, err);

	if (rc < 0)
		return pb_err_prefix(err, rc, "[edge %s] proxy_auth",
		    conf->name);
	pb_wire_reach_edge(out, conf, proxy_auth);
	return 0;
}

void
pb_wire_reach_edge(struct pb_http_peer *out, const struct pb_conf_edge *conf,
    const char *proxy_auth)
{
	*out = (struct pb_http_peer){ .url = conf->url,
	    .proxy = conf->proxy, .proxy_auth = proxy_auth,
	    .connect_ms = conf->connect_timeout_ms,
	    .silence_ms = conf->answer_timeout_ms };
	use_tls(out, &conf->tls);
}

static void
use_tls(struct pb_http_peer *out, const struct pb_conf_tls *tls)
{
	if (tls->off)
		return;
	out->cert = tls->cert;
	out->key = tls->key;
	out->ca = tls->ca;
}

int
pb_wire_ask(struct pb_wire *wire, struct pb_wire_call *call,
    const struct pb_stream_key *key, uint64_t at, uint32_t captured,
    struct pb_err *err)
{
	struct pb_http_request request = { .body = NULL };
	char what[HEADER_BYTES] = "";

	if (at != 0 && captured != 0)
		snprintf(what, sizeof(what), "?at=%" PRIu64 "&captured=%"
		    PRIu32, at, captured);
	else if (at != 0)
		snprintf(what, sizeof(what), "?at=%" PRIu64, at);
	return send_it(wire, call, key, what, &request, err);
}

int
pb_wire_packets(struct pb_wire *wire, struct pb_wire_call *call,
    const struct pb_stream_key *key, const struct pb_wire_packets *packets,
    struct pb_err *err)
{
	char first[HEADER_BYTES], last[HEADER_BYTES], digest[HEADER_BYTES];
	struct pb_http_request request = { .body = packets->body,
	    .len = packets->len,
	    .header = { "Content-Type: application/x-pcapng", first, last,
	    digest, packets->packed ? "Content-Encoding: zstd" : NULL } };

	snprintf(first, sizeof(first), "PB-First: %" PRIu64, packets->first);
	snprintf(last, sizeof(last), "PB-Last: %" PRIu64, packets->last);
	snprintf(digest, sizeof(digest), "PB-Digest: " PB_WIRE_DIGEST "%016"
	    PRIx64, packets->digest);
	return send_it(wire, call, key, "/packets", &request, err);
}

int
pb_wire_gap(struct pb_wire *wire, struct pb_wire_call *call,
    const struct pb_stream_key *key, const struct pb_piece *gap,
    uint16_t link_type, struct pb_err *err)
{
	struct pb_http_request request = {
	    .body = (const uint8_t *)call->body,
	    .header = { "Content-Type: application/json" } };

	request.len = (size_t)snprintf(call->body, sizeof(call->body),
	    "{\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"reason\":\"%.64s\","
	    "\"link_type\":%u}", gap->first, gap->last,
	    pb_gap_reason_name(gap->reason), link_type);
	return send_it(wire, call, key, "/gaps", &request, err);
}

int
pb_wire_digests(struct pb_wire *wire, struct pb_wire_call *call,
    const struct pb_stream_key *key, const struct pb_digests_ask *ask,
    struct pb_err *err)
{
	struct pb_http_request request = { .body = NULL };
	char what[PB_WIRE_DIGESTS_WORDS_MAX];

	call->digests->ask = *ask;
	pb_wire_digests_words(what, ask);
	return send_it(wire, call, key, what, &request, err);
}

void
pb_wire_cancel(struct pb_wire *wire, struct pb_wire_call *call)
{
	pb_http_cancel(wire->http, call);
}

static int
send_it(struct pb_wire *wire, struct pb_wire_call *call,
    const struct pb_stream_key *key, const char *what,
    struct pb_http_request *request, struct pb_err *err)
{
	request->want = headers;
	request->done = done;
	request->arg = call;
	request->owner = call;
	return wire_request(wire, key, what, request, err);
}

int
wire_request(struct pb_wire *wire, const struct pb_stream_key *key,
    const char *what, struct pb_http_request *request, struct pb_err *err)
{
	char path[PATH_BYTES_MAX], stream[PATH_MAX] = "";
	char sender[HEADER_BYTES], node[NODE_BYTES], relay[NODE_BYTES];
	int rc = key == NULL ? 0 : pb_layout_url(stream, key, err);
	unsigned i = 0;

	if (rc < 0)
		return rc;
	while (request->header[i] != NULL)
		i++;
	snprintf(sender, sizeof(sender), "PB-Sender: %016" PRIx64,
	    wire->sender);
	if (wire->sender != 0)
		request->header[i++] = sender;
	snprintf(node, sizeof(node), "PB-Node: %s", wire->node);
	if (wire->node != NULL)
		request->header[i++] = node;
	snprintf(relay, sizeof(relay), "PB-Relay: %s", wire->relay);
	if (wire->relay != NULL)
		request->header[i] = relay;
	snprintf(path, sizeof(path), "/v1/streams%s%s%s", key == NULL ? "" :
	    "/", stream, what);
	request->peer = &wire->peer;
	request->path = path;
	return pb_http_send(wire->http, request, err);
}

static void
done(void *arg, const struct pb_http_answer *http)
{
	struct pb_wire_call *call = arg;
	struct pb_answer answer = { .outcome = PB_OUTCOME_FAILED,
	    .status = http->status,
	    .fresh = http->fresh, .retry_after_ms = http->retry_after_ms };
	struct pb_json_doc doc;

	pb_json_doc_open(&doc, http->body, http->len, NULL);
	if (http->status == 200 || http->status == 409)
		answer.acked = pb_json_doc_u64(&doc, "acked");
	answer.ours = (http->status == 200 || http->status == 409) &&
	    doc.rc == 0;
	if (answer.ours)
		answer.outcome = PB_OUTCOME_HAS;
	answer.ask = http->status == 409 && pb_json_doc_bool(&doc, "ask");
	answer.takes_filtered = strstr(http->wanted[0], "filtered") != NULL;
	answer.takes_cut = strstr(http->wanted[0], "cut") != NULL;
	if (http->status == 200 && call->digests == NULL)
		read_last(&answer.last, &doc);
	if (http->status != 200 || !answer.ours)
		answer.ours |= wire_explain(answer.text, sizeof(answer.text),
		    http, &doc);
	else if (call->digests != NULL &&
	    pb_wire_digests_read(call->digests, &doc, answer.text) < 0)
		answer.outcome = PB_OUTCOME_FAILED;
	pb_json_doc_close(&doc);
	call->done(call->arg, &answer);
}

/* What cannot be read is as if it had not said it. */
static void
read_last(struct pb_fingerprint *out, struct pb_json_doc *doc)
{
	struct pb_fingerprint last = { .seq = pb_json_doc_u64(doc,
	    "last.seq") };
	size_t prefix = strlen(PB_WIRE_DIGEST);
	char digest[HEADER_BYTES];

	pb_json_doc_text(doc, "last.digest", digest, sizeof(digest));
	if (pb_json_doc_has(doc, "last.captured"))
		last.captured = (uint32_t)pb_json_doc_u64(doc,
		    "last.captured");
	if (last.seq != 0 &&
	    strncmp(digest, PB_WIRE_DIGEST, prefix) == 0 &&
	    pb_parse_hex64(digest + prefix, &last.digest, NULL) == 0)
		*out = last;
}

/* Every answer of ours that is not 200 is JSON with an error. */
bool
wire_explain(char *out, size_t room, const struct pb_http_answer *http,
    struct pb_json_doc *doc)
{
	char error[ERROR_BYTES];
	const char *text = http->body;
	size_t len = http->len;

	if (http->error[0] != '\0') {
		/* A library may quote the peer in it. */
		pb_utf8_clean(out, room, http->error, strlen(http->error));
		return false;
	}
	pb_json_doc_text(doc, "error", error, sizeof(error));
	if (error[0] != '\0') {
		text = error;
		len = strlen(error);
	}
	if (len >= room)
		len = room - 1;
	pb_utf8_clean(out, room, text, len);
	return error[0] != '\0' && http->status != 200;
}
