/*
 * tests/fuzz/fuzz_offer.c - any bytes as what pullers ask a node for
 *
 * The input is requests, one after the other: head lines of a letter and its
 * text, an empty line, the body.
 *
 *	K list, packets or acks     what it asks for
 *	G, H, J, O                  after, max_bytes, wait, since
 *	V, N        B bytes         Accept-Encoding, PB-Node; the body's length
 *	S ms                        time goes by
 *
 * The node has one stream: packets, some that a filter left out, a gap, and
 * packets that came late.  What it gives is one section that begins right
 * behind what was asked for, with the digest that it says, or a gap that does;
 * nothing is left over.  So it is for `few`, for whom all packets but small
 * ones are filtered, and those cut.
 */
#include <string.h>

#include "base/digest.h"
#include "base/zip.h"
#include "conf/conf_keys.h"
#include "pcapng/filtered.h"
#include "recorder/port/request_impl.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/json_get.h"
#include "tests/unit/store_fixture.h"

#define INPUT_BYTES_MAX	(64u << 10)
#define REQUESTS_MAX	8
#define LINE_BYTES_MAX	256
#define ANSWER_BYTES_MAX (4u << 20)
#define TURNS_MAX	64	/* of readers, until an answer is there */
#define STREAM		"/v1/streams/lon1/eth0/1122334455667788"
#define LAST		340u	/* of the stream's numbers */
#define SNAPLEN		20u

struct asked {
	char		 line[128][LINE_BYTES_MAX];	/* by letter */
	bool		 has[128];
	const uint8_t	*body;
	size_t		 len;
	struct pb_request_head head;
	struct pb_request *request;
};

static struct fixture	 fixture;
static struct pb_body_scratch *scratch;
static struct pb_conf	 conf;
static struct pb_service *service;
static uint64_t		 now;

static void
on_wake(void *arg)
{
	(void)arg;
}

/* --- the node ------------------------------------------------------------- */

static void
give(struct pb_chunk *chunk)
{
	MUST(fixture_submit(&fixture, chunk) == 0);
	fixture_wait(&fixture);
	MUST(fixture.last_rc == 0);
}

static void
write_gap(uint64_t first, uint64_t last)
{
	struct pb_chunk *gap = fixture_chunk(&fixture, first, first, 10);

	gap->last_seq = last;
	gap->gap = PB_GAP_DEAD_LETTERED;
	give(gap);
}

static void
write_left_out(uint64_t first, uint64_t last)
{
	struct pb_chunk *chunk = fixture_chunk(&fixture, first, first, 10);
	struct pb_filtered run = { .first = first, .last = last,
	    .time_ns = FIXTURE_TIME(last), .digest = 77 };

	chunk->len = 0;
	chunk->tally = (struct pb_tally){ 0 };
	pb_fill_filtered(chunk, &run, PB_PEN_EXAMPLE);
	give(chunk);
}

static void
remove_store(void)
{
	pb_service_destroy(service);
	pb_body_scratch_destroy(scratch);
	fixture_finish(&fixture);
}

static void
start(void)
{
	struct pb_ingest_opts opts = { .conf = &conf, .stepped = true };

	fixture_begin(&fixture, __LINE__, true);
	fixture_write(&fixture, 1, 40, 60);
	write_left_out(41, 300);
	fixture_write(&fixture, 301, 320, 9000);
	write_gap(321, 330);
	fixture_write(&fixture, 331, LAST, 60);
	fixture_write(&fixture, 325, 327, 60);
	strcpy(conf.node.name, "lon1");
	conf.node.pen = PB_PEN_EXAMPLE;
	MUST(pb_conf_defaults(PB_CONF_LISTEN, &conf.listen, NULL) == 0);
	MUST(pb_conf_upstream_defaults(&conf.upstream[0], NULL) == 0);
	strcpy(conf.upstream[0].name, "hub");
	strcpy(conf.upstream[0].url, PB_CONF_PULL);
	strcpy(conf.upstream[0].streams, "*");
	conf.upstream[1] = conf.upstream[0];
	strcpy(conf.upstream[1].name, "few");
	strcpy(conf.upstream[1].filter, "less 100");
	conf.upstream[1].snaplen = SNAPLEN;
	conf.upstreams = 2;
	opts.store = fixture.store;
	now = 1000000;
	MUST(pb_service_create(&service, &opts, on_wake, NULL, NULL) == 0);
	MUST(pb_body_scratch_create(&scratch, NULL) == 0);
	atexit(remove_store);
}

/* --- one request ---------------------------------------------------------- */

static const char *
text(const struct asked *a, char letter)
{
	return a->has[(int)letter] ? a->line[(int)letter] : NULL;
}

static uint64_t
number(const struct asked *a, char letter)
{
	uint64_t value = 0;

	pb_parse_u64(a->line[(int)letter], 0, UINT64_MAX, &value, NULL);
	return value;
}

static bool
read_request(struct asked *a, const uint8_t **at, const uint8_t *end)
{
	memset(a, 0, sizeof(*a));
	if (*at >= end)
		return false;
	while (*at < end) {
		const uint8_t *stop = memchr(*at, '\n', (size_t)(end - *at));
		size_t len = (size_t)((stop != NULL ? stop : end) - *at);
		size_t skip = len > 1 && (*at)[1] == ' ' ? 2 : 1;
		unsigned letter = **at;

		if (len > 0 && letter < 128 && len - skip < LINE_BYTES_MAX) {
			memcpy(a->line[letter], *at + skip, len - skip);
			a->has[letter] = true;
		}
		*at += stop != NULL ? len + 1 : len;
		if (len == 0)
			break;
	}
	a->body = *at;
	a->len = (size_t)(end - *at);
	if (number(a, 'B') < a->len)
		a->len = (size_t)number(a, 'B');
	*at += a->len;
	return true;
}

static void
ask(struct asked *a)
{
	const char *kind = a->line['K'];

	a->head = (struct pb_request_head){
		.door = PB_DOOR_TCP, .method = "GET", .path = "/v1/streams",
		.peer = "192.0.2.1", .has_length = true,
		.node = text(a, 'N') != NULL ? text(a, 'N') : "hub",
		.length = a->len, .accept = text(a, 'V'),
		.after = text(a, 'G'), .max_bytes = text(a, 'H'),
		.wait = text(a, 'J'), .since = text(a, 'O'),
	};
	if (strcmp(kind, "packets") == 0) {
		a->head.path = STREAM "/packets";
	} else if (strcmp(kind, "acks") == 0) {
		a->head.path = STREAM "/acks";
		a->head.method = "POST";
	}
	now += number(a, 'S') % 100000;
	MUST(pb_request_create(&a->request, service, &a->head, now,
	    1800000000000000000ull, on_wake, NULL, NULL) == 0);
	if (pb_request_refused(a->request))
		return;
	if (a->len == 0 || pb_request_data(a->request, a->body, a->len, now))
		pb_request_end(a->request, now);
	for (int i = 0; i < TURNS_MAX && pb_readers_turn(service->readers);
	    i++)
		pb_readers_collect(service->readers);
}

/* --- what came of it ------------------------------------------------------ */

static const char *
field(const struct pb_answer *answer, const char *name)
{
	for (unsigned i = 0; i < answer->fields; i++)
		if (strcmp(answer->field[i].name, name) == 0)
			return answer->field[i].value;
	return "";
}

/* All of the answer's body. */
static size_t
body_of(struct pb_request *request, uint8_t *out)
{
	const struct pb_answer *answer = pb_request_answer(request);
	size_t len = 0;
	ssize_t got;

	if (!answer->is_long) {
		const uint8_t *body = pb_answer_body(answer, &len);

		MUST(len <= ANSWER_BYTES_MAX);
		memcpy(out, body, len);
		return len;
	}
	for (unsigned turns = 0; (got = pb_request_take(request, out + len,
	    ANSWER_BYTES_MAX - len)) != PB_ENOENT; turns++) {
		MUST(got >= 0 && turns < 1000);
		len += (size_t)got;
		if (got == 0 && pb_readers_turn(service->readers))
			pb_readers_collect(service->readers);
	}
	return len;
}

static void
check_few(const uint8_t *data, size_t len)
{
	struct pb_packet packet;
	struct pb_block block;

	for (; len > 0; data += block.len, len -= block.len) {
		MUST(pb_scan_block(data, len, &block) == 1);
		MUST(block.type != PB_BLOCK_EPB ||
		    (pb_scan_epb(&block, &packet) == 0 &&
		    packet.caplen <= SNAPLEN && packet.origlen < 100));
	}
}

static void
check_packets(const struct asked *a, const uint8_t *bytes, size_t len)
{
	static uint8_t plain[ANSWER_BYTES_MAX];
	const struct pb_answer *answer = pb_request_answer(a->request);
	struct pb_body body = { .data = bytes, .len = len,
	    .key = &fixture.key, .pen = PB_PEN_EXAMPLE };
	uint64_t after = number(a, 'G'), first = 0, last = 0, digest = 0;
	struct pb_body_facts facts;

	if (field(answer, "PB-Gap")[0] != '\0') {
		MUST(sscanf(field(answer, "PB-Gap"), "%lu-%lu; reason=",
		    &first, &last) == 2);
		MUST(len == 0 && first == after + 1 && last >= first &&
		    last <= LAST);
		return;
	}
	MUST(pb_parse_u64(field(answer, "PB-First"), 1, LAST, &first, NULL) ==
	    0 && pb_parse_u64(field(answer, "PB-Last"), first, LAST, &last,
	    NULL) == 0 && pb_parse_hex64(field(answer, "PB-Digest") + 5,
	    &digest, NULL) == 0);
	if (field(answer, "Content-Encoding")[0] != '\0') {
		MUST(strcasestr(text(a, 'V'), "zstd") != NULL);
		MUST(pb_zip_unpack(plain, sizeof(plain), bytes, len, &body.len,
		    NULL) == 0 && body.len > len);
		body.data = plain;
	}
	MUST(pb_digest(body.data, body.len) == digest);
	MUST(pb_body_read(scratch, &body, &facts, NULL, NULL) == 0);
	MUST(facts.first == first && facts.last == last && first == after + 1);
	if (strcmp(a->head.node, "few") == 0)
		check_few(body.data, body.len);
}

static void
check_list(const uint8_t *bytes, size_t len)
{
	const char *line = (const char *)bytes;
	char cursor[64];

	MUST(len > 0 && bytes[len - 1] == '\n');
	line += len - 1;
	while (line > (const char *)bytes && line[-1] != '\n')
		line--;
	MUST(json_get_text(line, (size_t)((const char *)bytes + len - line),
	    "cursor", cursor, sizeof(cursor), NULL) == 0 && cursor[0] != '\0');
}

static void
check(struct asked *a)
{
	static uint8_t bytes[ANSWER_BYTES_MAX];
	const struct pb_answer *answer = pb_request_answer(a->request);
	bool packets = strcmp(a->line['K'], "packets") == 0;
	uint64_t acked = 0;
	size_t len;

	/* It waits for more, or not all of its body came. */
	if (answer == NULL)
		return;
	len = body_of(a->request, bytes);
	if (answer->status == 200 && packets) {
		check_packets(a, bytes, len);
	} else if (answer->status == 200 && strcmp(a->head.method, "GET") ==
	    0) {
		check_list(bytes, len);
	} else if (answer->status == 204) {
		MUST(packets && len == 0 && number(a, 'G') >= LAST);
	} else if (answer->status == 409) {
		MUST(json_get_u64((char *)bytes, len, "acked", &acked, NULL) ==
		    0 && acked == LAST);
	} else {
		/* There is no shipper that would keep an ack. */
		MUST(answer->status == 400 || answer->status == 403 ||
		    answer->status == 413 || answer->status == 503);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct asked asked[REQUESTS_MAX];
	const uint8_t *end = data + size;
	size_t count = 0;

	if (size > INPUT_BYTES_MAX)
		return 0;
	if (service == NULL)
		start();
	while (count < REQUESTS_MAX && read_request(&asked[count], &data, end))
		ask(&asked[count++]);
	for (size_t i = 0; i < count; i++)
		check(&asked[i]);
	while (count-- > 0)
		pb_request_destroy(asked[count].request, now);
	pb_intake_collect(service->intake, now);
	MUST(service->requests == 0 && service->held.answers == 0 &&
	    service->held.bytes == 0);
	MUST(service->rooms->claims.reserved == 0);
	return 0;
}
