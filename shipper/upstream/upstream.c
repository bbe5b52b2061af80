/*
 * shipper/upstream/upstream.c - one upstream: its machine, its requests
 */
#include "shipper/upstream/upstream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "shipper/upstream/upstream_impl.h"

#define PATH_BYTES_MAX	(PATH_MAX + 64)
#define HEADER_BYTES	64
#define GAP_LINE_MAX	256
#define ERROR_BYTES	4096	/* of what a receiver says is wrong */
#define DIGEST_PREFIX	"xxh3="

static int	perform(struct pb_upstream *, const struct pb_action *,
		    struct pb_err *);
static void	unsent(struct slot *, int, const char *);
static int	ask(struct slot *, struct pb_err *);
static void	make_packets(struct slot *, const struct pb_stream_info *);
static void	made(void *);
static int	send_packets(struct slot *, struct pb_err *);
static int	send_gap(struct slot *, const struct pb_stream_info *,
		    struct pb_err *);
static int	send_it(struct slot *, const char *,
		    struct pb_http_request *, struct pb_err *);
static void	done(void *, const struct pb_http_answer *);
static void	read_last(struct pb_fingerprint *,
		    const struct pb_http_answer *);
static void	explain(struct pb_answer *, const struct pb_http_answer *);
static void	fill_row(const struct pb_upstream *, uint64_t, uint64_t,
		    struct pb_upstream_row *);
static void	report_cursor(void *, const struct pb_ship_cursor *);
static void	trim(struct pb_upstream *);

int
pb_upstream_create(struct pb_upstream **out,
    const struct pb_conf_upstream *conf, const struct pb_upstream_env *env,
    uint64_t now_ms, struct pb_err *err)
{
	struct pb_upstream *u = calloc(1, sizeof(*u));
	struct pb_ship_opts opts = { .window = conf->window,
	    .rate_limit = conf->rate_limit,
	    .retry_for_ms = conf->retry_for_ms };
	struct pb_ship_source source = { .look = upstream_look,
	    .late = upstream_late, .demote = upstream_demote,
	    .sent = upstream_sent, .refuse = upstream_refuse,
	    .below = upstream_below, .fork = upstream_fork,
	    .event = upstream_event, .arg = u };
	int rc;

	*out = NULL;
	if (u == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an upstream");
	u->conf = *conf;
	u->env = *env;
	u->row_changed = true;
	pb_rate_init(&u->rate, conf->rate_limit, now_ms);
	u->peer = (struct pb_http_peer){ .url = u->conf.url,
	    .rate = conf->rate_limit > 0 ? &u->rate : NULL,
	    .connect_ms = conf->connect_timeout_ms,
	    .silence_ms = conf->answer_timeout_ms };
	if (!conf->tls.off) {
		u->peer.cert = u->conf.tls.cert;
		u->peer.key = u->conf.tls.key;
		u->peer.ca = u->conf.tls.ca;
	}
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		u->slot[i].upstream = u;
		pb_buf_init(&u->slot[i].gap, PB_GAP_BODY_MAX);
	}
	rc = pb_ship_create(&u->ship, &opts, &source, err);
	if (rc < 0) {
		pb_upstream_destroy(u);
		return rc;
	}
	*out = u;
	return 0;
}

void
pb_upstream_destroy(struct pb_upstream *u)
{
	if (u == NULL)
		return;
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		pb_http_cancel(u->env.http, &u->slot[i]);
		pb_maker_cancel(u->env.maker, &u->slot[i].parcel);
		pb_parcel_finish(&u->slot[i].parcel);
		pb_buf_finish(&u->slot[i].gap);
	}
	pb_ship_destroy(u->ship);
	free(u->fork);
	free(u);
}

const struct pb_conf_upstream *
pb_upstream_conf(const struct pb_upstream *u)
{
	return &u->conf;
}

void
pb_upstream_run(struct pb_upstream *u, uint64_t now_ms)
{
	struct pb_action action;
	struct pb_err err;

	while (pb_ship_next(u->ship, now_ms, pb_random64(), &action)) {
		int rc = perform(u, &action, &err);

		if (rc < 0)
			unsent(&u->slot[action.request], rc, err.text);
	}
}

void
pb_upstream_hurry(struct pb_upstream *u)
{
	pb_ship_hurry(u->ship);
}

uint64_t
pb_upstream_wake_ms(const struct pb_upstream *u)
{
	return pb_ship_wake_ms(u->ship);
}

unsigned
pb_upstream_flights(const struct pb_upstream *u)
{
	struct pb_ship_status status;

	pb_ship_status(u->ship, &status);
	return status.flight_requests;
}

/* --- reports ------------------------------------------------------------ */

bool
pb_upstream_news(struct pb_upstream *u, uint64_t now_ms, uint64_t now_ns)
{
	struct pb_upstream_row row;

	if (u->row_changed || pb_ship_cursors(u->ship, NULL, NULL) > 0)
		return true;
	fill_row(u, now_ms, now_ns, &row);
	/* That time passes is no news. */
	row.written_ns = u->row.written_ns;
	row.since_ns = u->row.since_ns;
	row.progress_ns = u->row.progress_ns;
	row.retry_ns = u->row.retry_ns;
	return memcmp(&row, &u->row, sizeof(row)) != 0;
}

void
pb_upstream_report(struct pb_upstream *u, struct pb_state *state,
    uint64_t now_ms, uint64_t now_ns)
{
	fill_row(u, now_ms, now_ns, &u->row);
	u->row_changed = false;
	u->state = state;
	u->now_ns = now_ns;
	pb_state_put_upstream(state, &u->row);
	pb_ship_cursors(u->ship, report_cursor, u);
	u->state = NULL;
	if (pb_upstream_flights(u) == 0)
		trim(u);
}

void
pb_upstream_report_again(struct pb_upstream *u)
{
	u->row_changed = true;
	pb_ship_touch(u->ship);
}

void
pb_upstream_report_waiting(struct pb_upstream *u)
{
	pb_ship_touch_waiting(u->ship);
}

bool
pb_upstream_turned(const struct pb_upstream *u)
{
	struct pb_ship_status status;

	pb_ship_status(u->ship, &status);
	return (status.state == PB_SHIP_BACKOFF) !=
	    (u->row.state == PB_SHIP_BACKOFF);
}

static void
fill_row(const struct pb_upstream *u, uint64_t now_ms, uint64_t now_ns,
    struct pb_upstream_row *row)
{
	struct pb_ship_status status;

	pb_ship_status(u->ship, &status);
	memset(row, 0, sizeof(*row));
	snprintf(row->name, sizeof(row->name), "%s", u->conf.name);
	snprintf(row->url, sizeof(row->url), "%.255s", u->conf.url);
	snprintf(row->last_error, sizeof(row->last_error), "%s",
	    status.last_error);
	row->state = status.state;
	row->since_ns = now_ns - (now_ms - status.since_ms) * PB_NS_PER_MS;
	if (status.progress_ms != 0)
		row->progress_ns = now_ns -
		    (now_ms - status.progress_ms) * PB_NS_PER_MS;
	if (status.state == PB_SHIP_BACKOFF)
		row->retry_ns = now_ns + (status.retry_ms > now_ms ?
		    status.retry_ms - now_ms : 0) * PB_NS_PER_MS;
	row->written_ns = now_ns;
	row->attempts = status.attempts;
	row->streams = status.streams;
	row->refused = status.refused;
	row->flight_bytes = status.flight_bytes;
	row->sent_bytes = status.sent_bytes;
	row->acked_bytes = status.acked_bytes;
	row->acked_packets = status.acked_packets;
}

static void
report_cursor(void *arg, const struct pb_ship_cursor *changed)
{
	struct pb_upstream *u = arg;
	const struct pb_stream_info *stream =
	    u->env.stream(u->env.arg, PB_PART_STREAM(changed->stream));
	struct pb_ship_cursor cursor = *changed;
	struct pb_cursor_row row;

	if (stream == NULL)
		return;
	if (upstream_forks(u, stream->id)->count > 0)
		upstream_cursor(u, stream->id, &cursor);
	row = (struct pb_cursor_row){ .key = stream->key,
	    .state = cursor.state, .acked = cursor.acked,
	    .sent = cursor.sent, .released = cursor.released,
	    .wait_seq = cursor.wait_seq, .wait_ms = cursor.wait_ms,
	    .written_ns = u->now_ns, .sure = cursor.sure };
	snprintf(row.text, sizeof(row.text), "%s", cursor.text);
	pb_state_put_cursor(u->state, u->conf.name, &row);
}

/* Nothing is under way: give back the memory of what was. */
static void
trim(struct pb_upstream *u)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		pb_parcel_finish(&u->slot[i].parcel);
}

/* --- for the state machine ---------------------------------------------- */

void
upstream_event(void *arg, enum pb_log_level level, uint32_t id,
    const char *text)
{
	struct pb_upstream *u = arg;
	struct upstream_part part;
	char name[PB_STREAM_NAME_MAX];

	if (id == 0 || upstream_part(u, id, &part, NULL) < 0)
		pb_log(level, "shipper", "%s upstream=%s", text, u->conf.name);
	else
		pb_log(level, "shipper", "%s upstream=%s stream=%s "
		    "epoch=%016" PRIx64, text, u->conf.name,
		    pb_stream_name(name, &part.key), part.key.epoch);
}

/* --- requests ----------------------------------------------------------- */

static int
perform(struct pb_upstream *u, const struct pb_action *action,
    struct pb_err *err)
{
	struct slot *slot = &u->slot[action->request];
	struct upstream_part part;
	int rc;

	slot->action = *action;
	rc = upstream_part(u, action->stream, &part, err);
	if (rc < 0)
		return rc;
	slot->key = part.key;
	if (action->kind == PB_ACTION_GAP)
		return send_gap(slot, part.stream, err);
	if (action->kind == PB_ACTION_ASK)
		return ask(slot, err);
	make_packets(slot, part.stream);
	return 0;
}

/* It could not be made, or not be given to the network. */
static void
unsent(struct slot *slot, int rc, const char *why)
{
	struct pb_upstream *u = slot->upstream;

	if (slot->action.piece.settles)
		upstream_spoiled(u, &slot->action, rc, why);
	pb_ship_unsent(u->ship, slot->action.request, why,
	    pb_clock_mono_ms(), pb_random64());
}

static int
ask(struct slot *slot, struct pb_err *err)
{
	struct pb_http_request request = { .body = NULL };
	char at[HEADER_BYTES] = "";

	if (slot->action.at != 0)
		snprintf(at, sizeof(at), "?at=%" PRIu64, slot->action.at);
	return send_it(slot, at, &request, err);
}

/* What the maker makes of it comes back by made(). */
static void
make_packets(struct slot *slot, const struct pb_stream_info *stream)
{
	struct pb_upstream *u = slot->upstream;

	slot->parcel.key = stream->key;
	slot->parcel.piece = slot->action.piece;
	slot->parcel.upstream = u->conf.name;
	slot->parcel.compress = u->conf.compress_zstd;
	slot->parcel.done = made;
	slot->parcel.arg = slot;
	pb_maker_make(u->env.maker, &slot->parcel);
}

static void
made(void *arg)
{
	struct slot *slot = arg;
	struct pb_err err;
	int rc;

	if (slot->parcel.rc < 0) {
		unsent(slot, slot->parcel.rc, slot->parcel.err.text);
		return;
	}
	rc = send_packets(slot, &err);
	if (rc < 0)
		unsent(slot, rc, err.text);
}

static int
send_packets(struct slot *slot, struct pb_err *err)
{
	const struct pb_piece *piece = &slot->action.piece;
	const struct pb_parcel *parcel = &slot->parcel;
	char first[HEADER_BYTES], last[HEADER_BYTES], digest[HEADER_BYTES];
	struct pb_http_request request = { .body = parcel->data,
	    .len = parcel->len };

	snprintf(first, sizeof(first), "PB-First: %" PRIu64, piece->first);
	snprintf(last, sizeof(last), "PB-Last: %" PRIu64, piece->last);
	snprintf(digest, sizeof(digest), "PB-Digest: xxh3=%016" PRIx64,
	    parcel->digest);
	request.header[0] = "Content-Type: application/x-pcapng";
	request.header[1] = first;
	request.header[2] = last;
	request.header[3] = digest;
	if (parcel->packed)
		request.header[4] = "Content-Encoding: zstd";
	return send_it(slot, "/packets", &request, err);
}

static int
send_gap(struct slot *slot, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	const struct pb_piece *piece = &slot->action.piece;
	struct pb_http_request request = { .body = NULL };
	char line[GAP_LINE_MAX];
	struct pb_json json;

	if (!piece->recorded) {
		snprintf(line, sizeof(line), "packets %" PRIu64 " to %" PRIu64
		    " are not in the store and no gap says why: declared "
		    "expired", piece->first, piece->last);
		upstream_event(slot->upstream, PB_LOG_WARN, stream->id, line);
	}
	pb_buf_clear(&slot->gap);
	pb_json_init(&json, &slot->gap);
	pb_json_object(&json, NULL);
	pb_json_u64(&json, "first", piece->first);
	pb_json_u64(&json, "last", piece->last);
	pb_json_text(&json, "reason", pb_gap_reason_name(piece->reason));
	/* For a stream that begins with a gap there. */
	pb_json_u64(&json, "link_type", stream->linktype);
	pb_json_end(&json);
	if (slot->gap.failed)
		return pb_err_set(err, PB_ENOMEM, "no memory for a gap");
	request.body = slot->gap.data;
	request.len = slot->gap.len;
	request.header[0] = "Content-Type: application/json";
	return send_it(slot, "/gaps", &request, err);
}

/* `what` of the stream at the upstream; `request` has body and headers. */
static int
send_it(struct slot *slot, const char *what, struct pb_http_request *request,
    struct pb_err *err)
{
	struct pb_upstream *u = slot->upstream;
	char path[PATH_BYTES_MAX], key[PATH_MAX], sender[HEADER_BYTES];
	int rc = pb_layout_url(key, &slot->key, err);
	unsigned i = 0;

	if (rc < 0)
		return rc;
	while (request->header[i] != NULL)
		i++;
	snprintf(sender, sizeof(sender), "PB-Sender: %016" PRIx64,
	    u->env.sender);
	if (u->env.sender != 0)
		request->header[i] = sender;
	snprintf(path, sizeof(path), "/v1/streams/%s%s", key, what);
	request->peer = &u->peer;
	request->path = path;
	request->done = done;
	request->arg = slot;
	request->owner = slot;
	return pb_http_send(u->env.http, request, err);
}

static void
done(void *arg, const struct pb_http_answer *http)
{
	struct slot *slot = arg;
	struct pb_upstream *u = slot->upstream;
	struct pb_answer answer = { .status = http->status,
	    .retry_after_ms = http->retry_after_ms };

	if (http->status == 200 || http->status == 409)
		answer.has_acked = pb_json_get_u64(http->body, http->len,
		    "acked", &answer.acked, NULL) == 0;
	answer.ours = answer.has_acked;
	if (http->status == 409)
		(void)pb_json_get_bool(http->body, http->len, "ask",
		    &answer.ask, NULL);
	if (http->status == 200 && slot->action.kind == PB_ACTION_ASK)
		read_last(&answer.last, http);
	if (slot->action.kind == PB_ACTION_PACKETS)
		answer.sent = slot->parcel.last;
	if (http->status != 200 || !answer.has_acked)
		explain(&answer, http);
	pb_ship_answer(u->ship, slot->action.request, &answer, pb_clock_mono_ms(),
	    pb_random64());
}

/* Its last packet; what cannot be read is as if it had not said it. */
static void
read_last(struct pb_fingerprint *out, const struct pb_http_answer *http)
{
	size_t prefix = strlen(DIGEST_PREFIX);
	struct pb_fingerprint last;
	char digest[HEADER_BYTES];

	if (pb_json_get_u64(http->body, http->len, "last.seq", &last.seq,
	    NULL) == 0 &&
	    pb_json_get_text(http->body, http->len, "last.digest", digest,
	    sizeof(digest), NULL) == 0 &&
	    strncmp(digest, DIGEST_PREFIX, prefix) == 0 &&
	    pb_parse_hex64(digest + prefix, &last.digest, NULL) == 0)
		*out = last;
}

/* What the peer says is wrong, as one clean line.  Every answer of ours
 * that is not 200 is JSON with an error (docs/protocol.md). */
static void
explain(struct pb_answer *answer, const struct pb_http_answer *http)
{
	char error[ERROR_BYTES];
	const char *text = http->body;
	size_t len = http->len;

	if (http->error[0] != '\0') {
		snprintf(answer->text, sizeof(answer->text), "%s",
		    http->error);
		return;
	}
	if (pb_json_get_text(http->body, http->len, "error", error,
	    sizeof(error), NULL) == 0) {
		answer->ours |= http->status != 200;
		text = error;
		len = strlen(error);
	}
	if (len >= sizeof(answer->text))
		len = sizeof(answer->text) - 1;
	pb_utf8_clean(answer->text, sizeof(answer->text), text, len);
}
