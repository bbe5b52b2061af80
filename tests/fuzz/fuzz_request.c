/*
 * tests/fuzz/fuzz_request.c - any bytes as requests to a node
 *
 * The input is requests, one after the other: head lines of a letter and
 * its text, an empty line, the body.
 *
 *	M method    P path      F, L, D, E  PB-First, PB-Last, PB-Digest,
 *	                                    Content-Encoding
 *	C name      T           TLS with this common name, with none
 *	I           K           the local door; chunked
 *	N bytes     B bytes     Content-Length; how many come (else all)
 *	A list      S ms        the allow list from now on; time goes by
 *	W           Z           the writer writes; its disk is full
 *	X           Q           waits for our word; the node stops
 *	U, R, b, V  PB-Node, PB-Relay, PB-Sender, Accept-Encoding
 *	G, H, J, O, Y           of the query: after, max_bytes, wait, since, at
 *	f, l, p, s, y           first, last, parts, snaplen, why
 *
 * `hub` may pull streams of lon*.
 * The store is the one of the unit tests, which stores no number twice.
 * Every request that was not broken off is answered once, in the words of
 * docs/protocol.md, and what 200 says is durable; nothing is left over.
 */
#include <string.h>

#include "tests/unit/json_get.h"
#include "base/log.h"
#include "conf/conf_keys.h"
#include "recorder/port/allow.h"
#include "recorder/port/request_impl.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_store.h"

#define INPUT_BYTES_MAX	(1u << 20)
#define REQUESTS_MAX	8
#define LINE_BYTES_MAX	1024
#define ROUNDS_MAX	64	/* of writer and clock, until all is settled */
#define PATH_ROOT	"/v1/streams/"

/* One request of the input. */
struct asked {
	char		 line[128][LINE_BYTES_MAX];	/* by letter */
	bool		 has[128];
	const uint8_t	*body;
	size_t		 len;
	bool		 ended;		/* all of it came */
	int		 woken;
	bool		 late;		/* its answer was: told by wake */
	struct pb_route	 route;		/* where `routed` */
	bool		 routed;
	struct pb_request *request;
	struct pb_request_head head;
};

static struct asked asked[REQUESTS_MAX];
static struct pb_conf conf;
static struct pb_service *service;
static uint64_t	now;

static void
on_wake(void *arg)
{
	((struct asked *)arg)->woken++;
}

static void
on_writer(void *arg)
{
	(void)arg;
}

/* --- reading the input -------------------------------------------------- */

/* A number in a line; what is none is 0. */
static uint64_t
number(const struct asked *a, char letter)
{
	uint64_t value = 0;

	pb_parse_u64(a->line[(int)letter], 0, UINT64_MAX, &value, NULL);
	return value;
}

static const char *
text(const struct asked *a, char letter)
{
	return a->has[(int)letter] ? a->line[(int)letter] : NULL;
}

/* Lines up to an empty one. */
static void
read_head(struct asked *a, const uint8_t **at, const uint8_t *end)
{
	while (*at < end) {
		const uint8_t *stop = memchr(*at, '\n', (size_t)(end - *at));
		size_t len = (size_t)((stop != NULL ? stop : end) - *at);
		unsigned letter = **at;

		if (len > 0 && letter < 128) {
			size_t skip = len > 1 && (*at)[1] == ' ' ? 2 : 1;
			size_t keep = len - skip;

			if (keep >= LINE_BYTES_MAX)
				keep = LINE_BYTES_MAX - 1;
			memcpy(a->line[letter], *at + skip, keep);
			a->line[letter][keep] = '\0';
			a->has[letter] = true;
		}
		*at += stop != NULL ? len + 1 : len;
		if (len == 0)
			break;
	}
}

static bool
read_request(struct asked *a, const uint8_t **at, const uint8_t *end)
{
	if (*at >= end)
		return false;
	memset(a->has, 0, sizeof(a->has));
	a->ended = a->late = a->routed = false;
	a->woken = 0;
	read_head(a, at, end);
	a->body = *at;
	a->len = (size_t)(end - *at);
	if (a->has['B'] && number(a, 'B') < a->len)
		a->len = (size_t)number(a, 'B');
	*at += a->len;
	return true;
}

/* --- the writer --------------------------------------------------------- */

/* The fake knows FAKE_SEQS numbers; past them its disk is full. */
static void
write_all(int rc)
{
	while (fake.queue != NULL)
		fake_write(1, rc == 0 && fake.queue->gap == 0 &&
		    fake.queue->last_seq >= FAKE_SEQS ? PB_ENOSPC : rc);
	pb_intake_collect(service->intake, now);
}

static void
happenings(const struct asked *a)
{
	if (a->has['A'])
		memcpy(conf.listen.allow, a->line['A'],
		    sizeof(conf.listen.allow));
	if (a->has['W'])
		write_all(0);
	if (a->has['Z'])
		write_all(PB_ENOSPC);
	if (a->has['Q']) {
		service->stopping = true;
		pb_intake_stop(service->intake, now);
	}
}

/* --- one request -------------------------------------------------------- */

/* A path that is taken names one stream, and its own path is the same. */
static void
check_route(struct asked *a, const struct pb_request_head *head)
{
	char path[PATH_MAX + sizeof(PATH_ROOT)] = PATH_ROOT;
	struct pb_route again;

	a->routed = pb_route_find(&a->route, service->routes, head->method,
	    head->path, head->door == PB_DOOR_LOCAL, NULL) == 0;
	if (!a->routed || a->route.key.epoch == 0)
		return;
	MUST(pb_name_valid(a->route.key.node));
	MUST(pb_layout_url(path + strlen(PATH_ROOT), &a->route.key,
	    NULL) == 0);
	MUST(pb_route_find(&again, service->routes, "GET", path, false,
	    NULL) == 0);
	MUST(again.handler == &serve_question);
	MUST(again.key.epoch == a->route.key.epoch);
	MUST(strcmp(again.key.node, a->route.key.node) == 0);
	MUST(strcmp(again.key.interface, a->route.key.interface) == 0);
}

/* The facts of a plain body for its path; false where it is none. */
static bool
facts_of(const struct asked *a, struct pb_body_facts *facts)
{
	struct pb_body body = { .data = a->body, .len = a->len,
	    .key = &a->route.key, .pen = PB_PEN_EXAMPLE,
	    .self = a->has['I'] ? NULL : &service->self };

	return a->routed && a->route.handler == &serve_packets &&
	    !a->has['E'] && pb_body_read(pb_intake_scratch(service->intake),
	    &body, facts, NULL, NULL) == 0;
}

/* Whose body may come in is not stopped at the door. */
static void
check_allow(const struct asked *a)
{
	const char *cn = text(a, 'C');
	struct pb_body_facts facts;

	if ((cn != NULL && !pb_name_valid(cn)) || !facts_of(a, &facts))
		return;
	if (pb_allow_way(conf.listen.allow, &facts.way, cn))
		MUST(pb_allow_node(conf.listen.allow, a->route.key.node,
		    cn));
}

static void
begin(struct asked *a)
{
	a->head = (struct pb_request_head){
		.door = a->has['I'] ? PB_DOOR_LOCAL : PB_DOOR_TCP,
		.method = a->has['M'] ? a->line['M'] : "POST",
		.path = a->has['P'] ? a->line['P'] :
		    PATH_ROOT "lon1/eth0/0123456789abcdef/packets",
		.peer = "192.0.2.1", .tls = a->has['C'] || a->has['T'],
		.cn = text(a, 'C'), .chunked = a->has['K'],
		.has_length = a->has['N'] || !a->has['K'],
		.length = a->has['N'] ? number(a, 'N') : a->len,
		.expect = a->has['X'], .first = text(a, 'F'),
		.last = text(a, 'L'), .digest = text(a, 'D'),
		.encoding = text(a, 'E'), .sender = text(a, 'b'),
		.node = text(a, 'U'), .relay = a->has['I'] ?
		text(a, 'R') : NULL, .accept = text(a, 'V'),
		.at = text(a, 'Y'), .after = text(a, 'G'),
		.max_bytes = text(a, 'H'), .wait = text(a, 'J'),
		.since = text(a, 'O'),
		.digests = { .first = text(a, 'f'), .last = text(a, 'l'),
		    .parts = text(a, 'p'), .snaplen = text(a, 's'),
		    .why = text(a, 'y') },
	};

	check_route(a, &a->head);
	check_allow(a);
	MUST(pb_request_create(&a->request, service, &a->head, now,
	    1800000000000000000ull, on_wake, a, NULL) == 0);
	/* The HTTP library sees to it that no more comes. */
	if (a->head.has_length && a->head.length < a->len)
		a->len = (size_t)a->head.length;
	a->ended = !a->head.has_length || a->head.length == a->len;
}

/* In two pieces, time going by between them. */
static void
body(struct asked *a)
{
	size_t half = a->len / 2;

	if (pb_request_refused(a->request))
		return;
	if (half > 0 && !pb_request_data(a->request, a->body, half, now))
		a->ended = false;
	now += number(a, 'S') % 100000;
	if (a->ended && a->len > half && !pb_request_data(a->request,
	    a->body + half, a->len - half, now))
		a->ended = false;
	if (a->ended)
		pb_request_end(a->request, now);
	a->late = a->ended && pb_request_answer(a->request) == NULL;
}

/* --- what came of it ---------------------------------------------------- */

static bool
known_status(unsigned status)
{
	static const unsigned known[] = { 200, 400, 401, 403, 404, 405, 408,
	    409, 411, 413, 415, 422, 503, 508 };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == status)
			return true;
	return false;
}

/* What was said to be durable is, each number once. */
static void
check_durable(const struct asked *a, uint64_t acked)
{
	struct pb_body_facts facts;
	struct pb_stream *stream;

	if (pb_store_stream_find(&fake, &a->route.key, &stream, NULL) == 0) {
		MUST(acked == 0 && a->route.handler == &serve_question);
		return;
	}
	MUST(acked <= stream->durable);
	if (!facts_of(a, &facts))
		return;
	MUST(facts.last <= acked && facts.last < FAKE_SEQS);
	for (uint64_t s = facts.first; s <= facts.last; s++)
		MUST(stream->times[s] == 1);
}

static void
check_answer(const struct asked *a)
{
	const struct pb_answer *answer = pb_request_answer(a->request);
	const char *json = (const char *)answer->body.data;
	size_t len = answer->body.len;
	char why[2 * PB_ERR_TEXT_MAX];
	uint64_t acked = 0;

	MUST(known_status(answer->status) && !answer->body.failed);
	MUST((answer->status == 405) == (answer->allow != NULL));
	MUST((answer->status == 503) == (answer->retry_after_s > 0));
	if (answer->status != 200)
		MUST(json_get_text(json, len, "error", why, sizeof(why),
		    NULL) == 0 && why[0] != '\0');
	if (answer->status == 409)
		MUST(json_get_u64(json, len, "acked", &acked, NULL) == 0);
	if (answer->status != 200 || a->route.key.epoch == 0)
		return;
	MUST(json_get_u64(json, len, "acked", &acked, NULL) == 0);
	check_durable(a, acked);
}

static void
settle(size_t count)
{
	bool waiting = true;

	for (int round = 0; waiting; round++) {
		MUST(round < ROUNDS_MAX);
		write_all(0);
		now += 1000;
		pb_intake_tick(service->intake, now);
		while (pb_readers_turn(service->readers))
			pb_readers_collect(service->readers);
		waiting = pb_intake_busy(service->intake) > 0;
		for (size_t i = 0; i < count; i++)
			waiting |= asked[i].ended && pb_request_answer(
			    asked[i].request) == NULL;
	}
	for (size_t i = 0; i < count; i++) {
		if (pb_request_answer(asked[i].request) != NULL)
			check_answer(&asked[i]);
		MUST(asked[i].woken == (asked[i].late ? 1 : 0));
	}
}

static void
start(void)
{
	struct pb_ingest_opts opts = { .conf = &conf, .store = &fake,
	    .stepped = true };

	pb_log_level(PB_LOG_ERROR + 1);
	fake_reset();
	memset(&conf, 0, sizeof(conf));
	strcpy(conf.node.name, "core");
	conf.node.pen = PB_PEN_EXAMPLE;
	MUST(pb_conf_defaults(PB_CONF_LISTEN, &conf.listen, NULL) == 0);
	MUST(pb_conf_upstream_defaults(&conf.upstream[0], NULL) == 0);
	strcpy(conf.upstream[0].name, "hub");
	strcpy(conf.upstream[0].url, PB_CONF_PULL);
	strcpy(conf.upstream[0].streams, "lon*");
	conf.upstreams = 1;
	now = 1000000;
	MUST(pb_service_create(&service, &opts, on_writer, NULL, NULL) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end;
	size_t count = 0;

	if (size == 0 || size > INPUT_BYTES_MAX)
		return 0;
	end = data + size;
	start();
	while (count < REQUESTS_MAX && read_request(&asked[count], &data,
	    end)) {
		struct asked *a = &asked[count++];

		happenings(a);
		begin(a);
		body(a);
	}
	settle(count);
	while (count-- > 0)
		pb_request_destroy(asked[count].request, now);
	pb_intake_collect(service->intake, now);
	MUST(service->requests == 0 && fake.queue == NULL);
	MUST(service->rooms->claims.reserved == 0);
	MUST(pb_intake_busy(service->intake) == 0);
	pb_service_destroy(service);
	return 0;
}
