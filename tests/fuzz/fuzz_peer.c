/*
 * tests/fuzz/fuzz_peer.c - any bytes as what a peer answers
 *
 * The input is answers, one after the other: two bytes of status, two of
 * length, so many of body.  They answer the sections of a push, whose
 * HTTP client and clock are made here.  A section counts as durable only
 * where an answer said so; a refusal is told in one line of clean text.
 * Each body is read as JSON, as text, as a recorder's status, as digests, and
 * as a row of the shipper's own tables as well.
 */
#include <string.h>

#include "base/clock.h"
#include "cli/status/live.h"
#include "shipper/wire/digests.h"
#include "shipper/wire/http.h"
#include "shipper/wire/push.h"
#include "shipper/state/row.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/json_get.h"

#define SECTIONS	10
#define FLIGHTS_MAX	64
#define TURNS_MAX	2000	/* waits of one run: 30 s of clock at least */

struct pb_http {
	struct pb_http_request flight[FLIGHTS_MAX];
	unsigned	 count;
};

struct answers {
	const uint8_t	*at;
	size_t		 left;
	unsigned	 turns;
	uint64_t	 landed;	/* highest number told as durable */
};

static struct answers answers;
static uint64_t	clock_ms;

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

int
pb_http_create(struct pb_http **out, unsigned requests_max,
    struct pb_err *err)
{
	(void)requests_max;
	(void)err;
	*out = calloc(1, sizeof(**out));
	MUST(*out != NULL);
	return 0;
}

void
pb_http_destroy(struct pb_http *http)
{
	free(http);
}

int
pb_http_send(struct pb_http *http, const struct pb_http_request *request,
    struct pb_err *err)
{
	(void)err;
	MUST(http->count < FLIGHTS_MAX && request->path[0] == '/');
	http->flight[http->count++] = *request;
	return 0;
}

void
pb_http_cancel(struct pb_http *http, const void *owner)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < http->count; i++)
		if (http->flight[i].owner != owner)
			http->flight[kept++] = http->flight[i];
	http->count = kept;
}

/* The next answer in memory of its own size; none is left: no answer. */
static void
next_answer(struct pb_http_answer *out, char **body)
{
	size_t len = 0;

	*out = (struct pb_http_answer){ .error = "connection reset\nby peer",
	    .body = "" };
	for (unsigned i = 0; i < PB_HTTP_WANTED_MAX; i++)
		out->wanted[i] = "";
	*body = NULL;
	if (answers.left < 4)
		return;
	out->status = answers.at[0] << 8 | answers.at[1];
	len = (size_t)answers.at[2] << 8 | answers.at[3];
	answers.at += 4;
	answers.left -= 4;
	if (len > answers.left)
		len = answers.left;
	*body = malloc(len + 1);
	MUST(*body != NULL);
	memcpy(*body, answers.at, len);
	(*body)[len] = '\0';
	answers.at += len;
	answers.left -= len;
	out->body = *body;
	out->len = len;
}

int
pb_http_wait(struct pb_http *http, const int *fds, unsigned count,
    uint64_t timeout_ms, struct pb_err *err)
{
	struct pb_http_request flight;
	struct pb_http_answer answer;
	uint64_t acked = 0;
	char *body;

	(void)fds;
	(void)count;
	(void)err;
	MUST(answers.turns++ < TURNS_MAX);
	if (http->count == 0) {
		clock_ms += timeout_ms > 0 ? timeout_ms : 1;
		return 0;
	}
	flight = http->flight[0];
	memmove(http->flight, http->flight + 1, --http->count *
	    sizeof(flight));
	next_answer(&answer, &body);
	if ((answer.status == 200 || answer.status == 409) &&
	    json_get_u64(answer.body, answer.len, "acked", &acked,
	    NULL) == 0 && acked > answers.landed)
		answers.landed = acked;
	flight.done(flight.arg, &answer);
	free(body);
	return 0;
}

/* --- what is asked of it ------------------------------------------------ */

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

static void
on_done(void *arg)
{
	++*(uint64_t *)arg;
}

static void
push(void)
{
	struct pb_push_section section = {
		.key = { "lon1", "eth0", 5 },
		.body = (const uint8_t *)"section", .len = 7,
		.done = on_done,
	};
	uint64_t sent = 0, back = 0;
	struct pb_err err = { 0 };
	struct pb_push *push;
	int rc = 0;

	MUST(pb_push_create(&push, "/run/a.sock", NULL, &err) == 0);
	section.arg = &back;
	for (uint64_t i = 1; i <= SECTIONS && rc == 0; i++) {
		section.first = i * 10 - 9;
		section.last = i * 10;
		rc = pb_push_send(push, &section, &err);
		sent++;
	}
	if (rc == 0)
		rc = pb_push_finish(push, &err);
	if (rc == 0)
		MUST(answers.landed >= SECTIONS * 10 && back == sent);
	else
		MUST(rc == err.code && err.text[0] != '\0');
	is_clean(err.text);
	pb_push_destroy(push);
	MUST(back == sent);
}

/* What is read can be written, and is read again the same. */
static void
json(const char *text, size_t len)
{
	char value[300], again[sizeof(value)];
	struct pb_json writer;
	struct pb_buf out;
	uint64_t number = 0, back = 0;

	pb_buf_init(&out, 8192);
	pb_json_init(&writer, &out);
	pb_json_object(&writer, NULL);
	if (json_get_u64(text, len, "acked", &number, NULL) == 0)
		MUST(number <= INT64_MAX);
	pb_json_u64(&writer, "acked", number);
	memset(value, 0, sizeof(value));
	if (json_get_text(text, len, "error", value, sizeof(value),
	    NULL) == 0)
		MUST(strlen(value) < sizeof(value));
	pb_json_text(&writer, "error", value);
	pb_json_end(&writer);
	MUST(!out.failed);
	text = (const char *)out.data;
	MUST(json_get_u64(text, out.len, "acked", &back, NULL) == 0);
	MUST(back == number);
	MUST(json_get_text(text, out.len, "error", again, sizeof(again),
	    NULL) == 0);
	MUST(strcmp(value, again) == 0);
	pb_buf_finish(&out);
}

static void
clean(const void *data, size_t len)
{
	static const size_t room[] = { 1, 2, 5, 64, 4096 };

	for (size_t i = 0; i < sizeof(room) / sizeof(room[0]); i++) {
		char *text = malloc(room[i]), *again = malloc(room[i]);

		MUST(text != NULL && again != NULL);
		pb_utf8_clean(text, room[i], data, len);
		MUST(strlen(text) < room[i]);
		is_clean(text);
		pb_utf8_clean(again, room[i], text, strlen(text));
		MUST(strcmp(text, again) == 0);
		free(text);
		free(again);
	}
}

/* Whatever stands in a row, its texts end where there is room. */
static void
row(const void *data, size_t len)
{
	struct pb_mdb_value value = { data, len };

	for (size_t room = 1; room < 40; room++) {
		const struct pb_row_field fields[] = { { 0, 8, false },
		    { 8, room, true }, { 0, 8, false }, { 8, room, true } };
		const struct pb_row_shape shape = { 1, 8 + room, fields, 4 };
		char *made = malloc(8 + room);

		MUST(made != NULL);
		(void)pb_row_load(&shape, made, &value);
		MUST(memchr(made + 8, 0, room) != NULL);
		free(made);
	}
}

/* What is believed is of what was asked for. */
static void
digests(const char *body, size_t len)
{
	static const struct pb_digests_ask asks[] = {
		{ .first = 1, .last = INT64_MAX, .parts = 64 },
		{ .first = 7, .last = 7, .parts = 1, .why = 1 },
		{ .first = 100, .last = 300, .parts = 256, .why = 1 },
	};
	static struct pb_wire_digests said;

	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		char text[PB_WIRE_DIGESTS_TEXT];
		uint64_t next = asks[i].first;
		struct pb_json_doc doc;
		int rc;

		said.ask = asks[i];
		pb_json_doc_open(&doc, body, len, NULL);
		rc = pb_wire_digests_read(&said, &doc, text);
		pb_json_doc_close(&doc);
		if (rc < 0)
			continue;
		MUST(said.parts <= asks[i].parts);
		MUST(said.parts > 0 || said.acked < asks[i].first);
		for (unsigned p = 0; p < said.parts; p++) {
			MUST(said.part[p].first == next);
			MUST(said.part[p].last >= next);
			MUST(said.part[p].last <= asks[i].last);
			MUST(said.part[p].packets <=
			    said.part[p].last - next + 1);
			next = said.part[p].last + 1;
		}
		for (unsigned a = 0; a < said.absences; a++)
			is_clean(said.absent[a].reason);
	}
}

static void
on_capture(void *arg, const struct pb_live_capture *capture)
{
	(void)arg;
	MUST(memchr(capture->interface, 0, sizeof(capture->interface)));
	MUST(memchr(capture->error, 0, sizeof(capture->error)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_http_answer answer;
	struct pb_err err = { 0 };
	char *body;

	if (size > 1u << 20)
		return 0;
	answers = (struct answers){ .at = data, .left = size };
	push();
	answers = (struct answers){ .at = data, .left = size };
	while (answers.left >= 4) {
		next_answer(&answer, &body);
		json(body, answer.len);
		clean(body, answer.len);
		row(body, answer.len);
		digests(body, answer.len);
		if (pb_live_captures(body, answer.len, on_capture, NULL,
		    &err) < 0)
			is_clean(err.text);
		free(body);
	}
	return 0;
}
