/*
 * tests/fuzz/fuzz_edge.c - any bytes as what a node answers that is dialled
 *
 * The input is answers, one after the other: head lines of a letter and its
 * text, an empty line, the body.
 *
 *	S status    F, L, D, G, E, N   PB-First, PB-Last, PB-Digest, PB-Gap,
 *	                            Content-Encoding, PB-Next; `D =` is right
 *	B bytes     of the body (else all)
 *	R           over a connection that was made for it
 *	C           it breaks off behind its head
 *	O number    first of all: of that request under way, not of the oldest
 *	H           our recorder does not answer from now on; once more: it does
 *
 * They answer an edge of the shipper, whose HTTP client, clock and list of
 * forks are made here; so is our recorder, which takes what ours would.  What
 * is handed to it is what was told, one behind the other; requests and what is
 * told of them are clean lines; and nothing is held in the end.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "base/zip.h"
#include "recorder/intake/body.h"
#include "shipper/edge/edge.h"
#include "shipper/edge/keeping.h"
#include "shipper/wire/client.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/json_get.h"

#define INPUT_BYTES_MAX	(1u << 20)
#define FLIGHTS_MAX	64
#define TURNS_MAX	400
#define LINE_BYTES_MAX	PB_HTTP_VALUE_MAX
#define PATH_ROOT	"/v1/streams/"
#define STREAMS_MAX	8	/* that our recorder takes */
#define BODY_BYTES_MAX	(4u << 20)

struct pb_http {
	struct pb_http_request flight[FLIGHTS_MAX];
	char		path[FLIGHTS_MAX][512];
	char		said[FLIGHTS_MAX][PB_HTTP_HEADERS_MAX][128];
	unsigned	count;
};

/* One answer of the input. */
struct told {
	char		 line[128][LINE_BYTES_MAX];	/* by letter */
	bool		 has[128];
	const uint8_t	*body;
	size_t		 len;
};

/* What our recorder has. */
struct stream {
	struct pb_stream_key key;
	uint64_t	 acked;
	struct pb_fingerprint last;
};

static const uint8_t	*at, *end;
static uint64_t		clock_ms;
static bool		here_is_down;
static struct stream	stream[STREAMS_MAX];
static unsigned		streams;
static struct pb_body_scratch *scratch;
static const struct pb_node core = { .name = "core" };
/* Forks that are kept, and those that will be. */
static struct {
	struct pb_stream_key key;
	struct pb_forks	forks;
} kept[STREAMS_MAX];
static unsigned		keeps;
static struct pb_keeping *keeping[FLIGHTS_MAX];
static unsigned		keepings;

/* --- in the place of base/clock.c and shipper/wire/http.c ---------------- */

uint64_t
pb_clock_mono_ms(void)
{
	return clock_ms;
}

uint64_t
pb_clock_real_ns(void)
{
	return clock_ms * 1000000;
}

uint64_t
pb_clock_mono_ms_by(struct pb_clock *clock)
{
	(void)clock;
	return pb_clock_mono_ms();
}

uint64_t
pb_clock_real_ns_by(struct pb_clock *clock)
{
	(void)clock;
	return pb_clock_real_ns();
}

static void
is_clean(const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		size_t n = pb_utf8_length((const uint8_t *)text, left);

		MUST(n > 0 && (unsigned char)text[0] >= 0x20 &&
		    text[0] != 0x7f);
		text += n;
		left -= n;
	}
}

int
pb_http_send(struct pb_http *http, const struct pb_http_request *request,
    struct pb_err *err)
{
	unsigned n = http->count;

	if (n == FLIGHTS_MAX)
		return pb_err_set(err, PB_ELIMIT, "too many requests");
	MUST(request->path[0] == '/' &&
	    strlen(request->path) < sizeof(http->path[n]));
	for (const char *c = request->path; *c != '\0'; c++)
		MUST(*c > 0x20 && *c < 0x7f);
	http->flight[n] = *request;
	strcpy(http->path[n], request->path);
	memset(http->said[n], 0, sizeof(http->said[n]));
	for (unsigned i = 0; i < PB_HTTP_HEADERS_MAX &&
	    request->header[i] != NULL; i++) {
		MUST(strlen(request->header[i]) < sizeof(http->said[n][i]));
		is_clean(request->header[i]);
		strcpy(http->said[n][i], request->header[i]);
	}
	http->count++;
	return 0;
}

/* It ends, with its answer or without. */
static void
land(struct pb_http *http, unsigned n)
{
	http->count--;
	memmove(&http->flight[n], &http->flight[n + 1], (http->count - n) *
	    sizeof(http->flight[0]));
	memmove(&http->path[n], &http->path[n + 1], (http->count - n) *
	    sizeof(http->path[0]));
	memmove(&http->said[n], &http->said[n + 1], (http->count - n) *
	    sizeof(http->said[0]));
}

void
pb_http_cancel(struct pb_http *http, const void *owner)
{
	for (unsigned i = http->count; i-- > 0;)
		if (http->flight[i].owner == owner)
			land(http, i);
}

/* --- the input ------------------------------------------------------------ */

static uint64_t
number(const struct told *t, char letter)
{
	uint64_t value = 0;

	pb_parse_u64(t->line[(int)letter], 0, UINT64_MAX, &value, NULL);
	return value;
}

/* False: there are no more. */
static bool
read_answer(struct told *t)
{
	memset(t, 0, sizeof(*t));
	if (at >= end)
		return false;
	while (at < end) {
		const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop != NULL ? stop : end) - at);
		size_t skip = len > 1 && at[1] == ' ' ? 2 : 1;
		unsigned letter = *at;

		/* A longer one is not heard. */
		if (len > 0 && letter < 128 && len - skip < LINE_BYTES_MAX) {
			memcpy(t->line[letter], at + skip, len - skip);
			t->has[letter] = true;
		}
		at += stop != NULL ? len + 1 : len;
		if (len == 0)
			break;
	}
	t->body = at;
	t->len = (size_t)(end - at);
	if (t->has['B'] && number(t, 'B') < t->len)
		t->len = (size_t)number(t, 'B');
	at += t->len;
	here_is_down ^= t->has['H'];
	return true;
}

/* --- the node ------------------------------------------------------------- */

static void
give_lines(const struct pb_http_request *request, struct pb_buf *body,
    bool fresh)
{
	char *stop;

	while ((stop = memchr(body->data, '\n', body->len)) != NULL) {
		*stop = '\0';
		request->line(request->arg, (const char *)body->data, fresh);
		pb_buf_consume(body, (size_t)(stop - (char *)body->data) + 1);
	}
}

/* So that other bytes are not found out by that alone. */
static void
right_digest(struct told *t)
{
	const uint8_t *data = t->body;
	static uint8_t plain[BODY_BYTES_MAX];
	size_t len = t->len;

	if (strcmp(t->line['D'], "=") != 0)
		return;
	if (strcmp(t->line['E'], "zstd") == 0 && pb_zip_unpack(plain,
	    sizeof(plain), t->body, t->len, &len, NULL) == 0)
		data = plain;
	snprintf(t->line['D'], sizeof(t->line['D']), "xxh3=%016" PRIx64,
	    pb_digest(data, len));
}

static void
want(struct pb_http_answer *out, const struct pb_http_request *request,
    const struct told *t)
{
	static const struct { char letter; const char *name; } names[] = {
		{ 'F', "PB-First" }, { 'L', "PB-Last" }, { 'D', "PB-Digest" },
		{ 'G', "PB-Gap" }, { 'E', "Content-Encoding" },
		{ 'N', "PB-Next" } };

	for (unsigned i = 0; i < PB_HTTP_WANTED_MAX; i++)
		out->wanted[i] = "";
	for (unsigned i = 0; request->want != NULL &&
	    request->want[i] != NULL; i++)
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
			if (strcmp(names[n].name, request->want[i]) == 0)
				out->wanted[i] = t->line[(int)names[n].letter];
}

static void
there_answers(const struct pb_http_request *request)
{
	size_t most = request->answer_max != 0 ? request->answer_max :
	    PB_HTTP_ANSWER_MAX;
	struct pb_http_answer out = { .error = "", .body = "" };
	struct pb_buf body;
	struct told t;

	pb_buf_init(&body, INPUT_BYTES_MAX + 1);
	if (read_answer(&t)) {
		out.status = (int)(number(&t, 'S') % 1000);
		out.fresh = t.has['R'];
		right_digest(&t);
		pb_buf_put(&body, t.body, t.len);
	} else {
		out.error = "connection reset\nby peer";
	}
	want(&out, request, &t);
	out.memory = &body;
	if (out.status == 200 && request->head != NULL)
		request->head(request->arg, &out);
	if (t.has['C']) {
		out.status = 0;
		out.error = "it broke off";
		pb_buf_clear(&body);
	}
	(void)pb_buf_cstr(&body);
	if (out.status == 200 && request->line != NULL)
		give_lines(request, &body, out.fresh);
	if (body.len > most) {
		out.status = 0;
		out.too_large = true;
		out.error = "the answer is too large";
		pb_buf_clear(&body);
	}
	out.body = pb_buf_cstr(&body);
	out.len = body.len;
	request->done(request->arg, &out);
	pb_buf_finish(&body);
}

/* --- in the place of shipper/state/forks.c and shipper/edge/keeping.c ----- */

static struct pb_forks *
kept_of(const struct pb_stream_key *key)
{
	for (unsigned i = 0; i < keeps; i++)
		if (memcmp(&kept[i].key, key, sizeof(*key)) == 0)
			return &kept[i].forks;
	return NULL;
}

int
pb_forks_load_edge(struct pb_state *state, const char *edge,
    const struct pb_stream_key *key, struct pb_forks *out,
    struct pb_err *err)
{
	const struct pb_forks *forks = kept_of(key);

	(void)state;
	(void)err;
	MUST(strcmp(edge, "lon1") == 0);
	memset(out, 0, sizeof(*out));
	if (forks == NULL)
		return 0;
	*out = *forks;
	return 1;
}

void
pb_keeping_start(struct pb_keeping *one, struct pb_worker *keeper)
{
	(void)keeper;
	MUST(keepings < FLIGHTS_MAX);
	keeping[keepings++] = one;
}

void
pb_worker_cancel(struct pb_worker *keeper, struct pb_job *job)
{
	(void)keeper;
	for (unsigned i = 0; i < keepings; i++)
		if (&keeping[i]->job == job)
			keeping[i] = keeping[--keepings];
}

/* The one that is oldest is durable, or cannot be. */
static void
keep(void)
{
	struct pb_keeping *one = keeping[0];
	struct pb_forks *forks = kept_of(&one->key);

	memmove(keeping, keeping + 1, --keepings * sizeof(keeping[0]));
	if (forks == NULL && keeps < STREAMS_MAX) {
		kept[keeps].key = one->key;
		forks = &kept[keeps++].forks;
	}
	one->rc = forks == NULL ? pb_err_set(&one->err, PB_ENOSPC, "full") :
	    0;
	if (forks != NULL)
		*forks = one->forks;
	one->done(one->arg);
}

/* --- our recorder --------------------------------------------------------- */

static const char *
header_of(char said[PB_HTTP_HEADERS_MAX][128], const char *name)
{
	for (unsigned i = 0; i < PB_HTTP_HEADERS_MAX; i++)
		if (strncmp(said[i], name, strlen(name)) == 0)
			return said[i] + strlen(name);
	return "";
}

static struct stream *
stream_of(const struct pb_stream_key *key)
{
	for (unsigned i = 0; i < streams; i++)
		if (memcmp(&stream[i].key, key, sizeof(*key)) == 0)
			return &stream[i];
	if (streams == STREAMS_MAX)
		return NULL;
	stream[streams].key = *key;
	stream[streams].acked = 0;
	memset(&stream[streams].last, 0, sizeof(stream[streams].last));
	return &stream[streams++];
}

/* NODE/IFACE/EPOCH; what follows. */
static const char *
parse_path(const char *path, struct pb_stream_key *key)
{
	const char *part[3];
	size_t len[3];

	memset(key, 0, sizeof(*key));
	MUST(strncmp(path, PATH_ROOT, strlen(PATH_ROOT)) == 0);
	path += strlen(PATH_ROOT);
	for (int i = 0; i < 3; i++) {
		part[i] = path;
		len[i] = strcspn(path, "/?");
		MUST(i == 2 || path[len[i]] == '/');
		path += len[i] + (i < 2);
	}
	MUST(pb_percent_decode(key->node, sizeof(key->node), part[0], len[0],
	    NULL) == 0 && pb_name_valid(key->node));
	MUST(pb_percent_decode(key->interface, sizeof(key->interface), part[1],
	    len[1], NULL) == 0 && key->interface[0] != '\0');
	MUST(len[2] == 16);
	for (size_t i = 0; i < len[2]; i++)
		key->epoch = key->epoch << 4 | (uint64_t)(part[2][i] <= '9' ?
		    part[2][i] - '0' : part[2][i] - 'a' + 10);
	MUST(key->epoch != 0);
	return path;
}

/* The status that our recorder would give. */
static int
take_packets(struct stream *s, const struct pb_http_request *request,
    char said[PB_HTTP_HEADERS_MAX][128])
{
	static uint8_t plain[BODY_BYTES_MAX];
	struct pb_body body = { .data = request->body, .len = request->len,
	    .key = &s->key, .self = &core, .pen = PB_PEN_EXAMPLE };
	struct pb_body_facts facts;
	uint64_t first, last, digest;

	MUST(pb_parse_u64(header_of(said, "PB-First: "), 1, INT64_MAX, &first,
	    NULL) == 0);
	MUST(pb_parse_u64(header_of(said, "PB-Last: "), first, INT64_MAX,
	    &last, NULL) == 0);
	MUST(pb_parse_hex64(header_of(said, "PB-Digest: xxh3="), &digest,
	    NULL) == 0);
	if (strcmp(header_of(said, "Content-Encoding: "), "zstd") == 0) {
		if (pb_zip_unpack(plain, sizeof(plain), request->body,
		    request->len, &body.len, NULL) < 0)
			return 422;
		body.data = plain;
	}
	if (pb_digest(body.data, body.len) != digest ||
	    pb_body_read(scratch, &body, &facts, NULL, NULL) < 0 ||
	    facts.first != first || facts.last != last)
		return 422;
	if (first > s->acked + 1)
		return 409;
	if (last > s->acked) {
		s->acked = last;
		(void)pb_fingerprint_last(body.data, body.len, &s->last);
	}
	return 200;
}

static int
take_gap(struct stream *s, const struct pb_http_request *request)
{
	const char *json = (const char *)request->body;
	uint64_t first = 0, last = 0;

	MUST(json_get_u64(json, request->len, "first", &first, NULL) == 0);
	MUST(json_get_u64(json, request->len, "last", &last, NULL) == 0);
	MUST(first >= 1 && first <= last);
	if (first > s->acked + 1)
		return 409;
	if (last > s->acked)
		s->acked = last;
	return 200;
}

static void
here_answers(const struct pb_http_request *request, const char *path,
    char said[PB_HTTP_HEADERS_MAX][128])
{
	struct pb_http_answer out = { .error = "connection refused" };
	struct pb_stream_key key;
	const char *rest = parse_path(path, &key);
	struct stream *s = stream_of(&key);
	char text[256] = "", last[128] = "";

	for (unsigned i = 0; i < PB_HTTP_WANTED_MAX; i++)
		out.wanted[i] = "";
	MUST(strcmp(header_of(said, "PB-Relay: "), "lon1") == 0);
	if (!here_is_down && s != NULL) {
		out.status = request->body == NULL ? 200 :
		    strcmp(rest, "/packets") == 0 ?
		    take_packets(s, request, said) : take_gap(s, request);
		out.error = "";
		if (s->last.seq != 0)
			snprintf(last, sizeof(last), ",\"last\":{\"seq\":%"
			    PRIu64 ",\"digest\":\"xxh3=%016" PRIx64 "\"}",
			    s->last.seq, s->last.digest);
		snprintf(text, sizeof(text), "{\"acked\":%" PRIu64 "%s%s}",
		    s->acked, out.status == 200 ? last : "",
		    out.status == 200 ? "" : ",\"error\":\"no\"");
	}
	out.body = text;
	out.len = strlen(text);
	request->done(request->arg, &out);
}

/* Of all parts that forks have made of it. */
static uint64_t
acked_of(const struct pb_stream_key *key)
{
	uint64_t acked = 0;

	for (unsigned i = 0; i < streams; i++)
		if (strcmp(stream[i].key.node, key->node) == 0 &&
		    strcmp(stream[i].key.interface, key->interface) == 0 &&
		    stream[i].acked > acked)
			acked = stream[i].acked;
	return acked;
}

/* Nothing is said to be durable here that is not. */
static void
check_ack(const struct pb_http_request *request, const char *path)
{
	const char *json = (const char *)request->body;
	struct pb_stream_key key;
	uint64_t acked = 0;

	MUST(strcmp(parse_path(path, &key), "/acks") == 0);
	MUST(json_get_u64(json, request->len, "acked", &acked, NULL) == 0);
	MUST(acked <= acked_of(&key));
}

/* --- a run ---------------------------------------------------------------- */

/* The request that is oldest is answered, or the one that is named. */
static void
answer(struct pb_http *http)
{
	unsigned which = end - at > 2 && at[0] == 'O' ? at[2] % http->count : 0;
	struct pb_http_request request = http->flight[which];
	char path[sizeof(http->path[0])], said[PB_HTTP_HEADERS_MAX][128];

	memcpy(path, http->path[which], sizeof(path));
	memcpy(said, http->said[which], sizeof(said));
	land(http, which);
	if (request.peer->socket_path != NULL) {
		here_answers(&request, path, said);
		return;
	}
	if (request.body != NULL)
		check_ack(&request, path);
	there_answers(&request);
}

static void
check_report(struct pb_edge *edge)
{
	struct pb_edge_row row;

	if (!pb_edge_report(edge, &row, clock_ms, clock_ms * 1000000))
		return;
	MUST(memchr(row.last_error, 0, sizeof(row.last_error)) != NULL);
	is_clean(row.last_error);
	MUST(row.streams <= PB_PULL_STREAMS_MAX);
}

static void
run(const struct pb_conf_edge *conf)
{
	static struct pb_http http;
	struct pb_pull_budget budget = { .bytes_max = 8u << 20,
	    .hands_max = 16 };
	struct pb_edge_env env = { .http = &http, .node = "core",
	    .socket_path = "/run/recorder.sock", .sender = 7,
	    .budget = &budget };
	struct pb_edge *edge;
	uint64_t wake;

	http.count = 0;
	MUST(pb_edge_create(&edge, conf, &env, NULL) == 0);
	for (unsigned turn = 0; turn < TURNS_MAX && (at < end ||
	    http.count > 0 || keepings > 0); turn++) {
		pb_edge_run(edge, clock_ms);
		MUST(budget.hands <= budget.hands_max);
		check_report(edge);
		wake = pb_edge_wake_ms(edge);
		if (keepings > 0)
			keep();
		else if (http.count > 0)
			answer(&http);
		else
			clock_ms = wake > clock_ms && wake != UINT64_MAX ?
			    wake : clock_ms + 1000;
	}
	check_report(edge);
	pb_edge_destroy(edge);
	MUST(http.count == 0 && keepings == 0 && budget.bytes == 0 &&
	    budget.hands == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pb_conf_edge conf;

	if (size > INPUT_BYTES_MAX)
		return 0;
	pb_log_level(PB_LOG_ERROR + 1);
	memset(&conf, 0, sizeof(conf));
	strcpy(conf.name, "lon1");
	strcpy(conf.url, "http://192.0.2.1:7777");
	strcpy(conf.streams, "*");
	conf.window = 4u << 20;
	conf.compress_zstd = true;
	conf.connect_timeout_ms = 10000;
	conf.answer_timeout_ms = 60000;
	if (scratch == NULL)
		MUST(pb_body_scratch_create(&scratch, NULL) == 0);
	at = data;
	end = data + size;
	clock_ms = 1000000;
	here_is_down = false;
	streams = keeps = 0;
	run(&conf);
	return 0;
}
