/*
 * tests/unit/test_http.c - requests against a server that misbehaves on
 * demand
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "shipper/wire/http_impl.h"
#include "tests/unit/scripted_server.h"

#define BODY_BYTES	(1u << 20)
#define GIVE_UP_MS	30000u

struct result {
	bool		done;
	int		status;
	uint64_t	retry_after_ms;
	char		body[256];
	char		error[256];
};

static uint8_t body[BODY_BYTES];
static _Atomic bool lookup_free, lookup_over;

/* libcurl's resolver thread comes through here. */
int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **res)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
	    struct addrinfo **);

	if (node != NULL && strcmp(node, "slow.invalid") == 0) {
		while (!atomic_load(&lookup_free))
			usleep(10000);
		atomic_store(&lookup_over, true);
		return EAI_AGAIN;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, hints, res);
}

static void
on_done(void *arg, const struct pb_http_answer *answer)
{
	struct result *r = arg;

	assert_false(r->done);
	r->done = true;
	r->status = answer->status;
	r->retry_after_ms = answer->retry_after_ms;
	snprintf(r->body, sizeof(r->body), "%s", answer->body);
	snprintf(r->error, sizeof(r->error), "%s", answer->error);
}

/* Of an answer that is kept. */
struct kept {
	struct result	result;
	char		wanted[3][64];
	bool		fresh;
	struct pb_buf	memory;
};

static void
on_kept(void *arg, const struct pb_http_answer *answer)
{
	struct kept *kept = arg;

	for (int i = 0; i < 3; i++)
		snprintf(kept->wanted[i], sizeof(kept->wanted[i]), "%s",
		    answer->wanted[i]);
	kept->fresh = answer->fresh;
	on_done(&kept->result, answer);
	kept->memory = *answer->memory;
	memset(answer->memory, 0, sizeof(*answer->memory));
}

static struct pb_http *
http_with(unsigned requests_max)
{
	struct pb_http *http;

	assert_int_equal(pb_http_create(&http, requests_max, NULL), 0);
	return http;
}

static void
wait_for(struct pb_http *http, const struct result *r)
{
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;

	while (!r->done && pb_clock_mono_ms() < end)
		assert_int_equal(pb_http_wait(http, NULL, 0, 100, NULL), 0);
	assert_true(r->done);
}

/* Send a request of `len` bytes (0: GET) and wait for its end. */
static struct result
ask(struct pb_http *http, const struct pb_http_peer *peer, size_t len)
{
	struct result r = { .done = false };
	struct pb_http_request request = {
		.peer = peer, .path = "/v1/x", .body = len > 0 ? body : NULL,
		.len = len, .header = { "PB-First: 1", "PB-Last: 9" },
		.done = on_done, .arg = &r, .owner = &r,
	};

	assert_int_equal(pb_http_send(http, &request, NULL), 0);
	wait_for(http, &r);
	return r;
}

static void
a_post_carries_its_body_and_headers(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("42") } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);
	struct result r = ask(http, &peer, BODY_BYTES);

	(void)state;
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"acked\": 42}");
	assert_string_equal(r.error, "");
	assert_int_equal(s->body_len, BODY_BYTES);
	assert_memory_equal(s->body, body, BODY_BYTES);
	assert_memory_equal(s->head, "POST /v1/x HTTP/1.1\r\n", 21);
	assert_non_null(strstr(s->head, "\r\nContent-Length: 1048576\r\n"));
	assert_non_null(strstr(s->head, "\r\nPB-First: 1\r\n"));
	assert_non_null(strstr(s->head, "\r\nPB-Last: 9\r\n"));
	assert_non_null(strstr(s->head, "\r\nUser-Agent: PacketBroker/"));
	/* With it, libcurl would wait a second for a 100. */
	assert_null(strcasestr(s->head, "\r\nExpect:"));
	assert_null(strcasestr(s->head, "\r\nTransfer-Encoding:"));
	pb_http_destroy(http);
	server_stop(s);
}

static void
a_get_has_no_body(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("17") } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);
	struct result r = ask(http, &peer, 0);

	(void)state;
	assert_int_equal(r.status, 200);
	assert_memory_equal(s->head, "GET /v1/x HTTP/1.1\r\n", 20);
	assert_null(strcasestr(s->head, "\r\nContent-Length:"));
	pb_http_destroy(http);
	server_stop(s);
}

static void
a_connection_is_kept_for_the_next_request(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("42") } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(http, &peer, i % 2 ? 1000 : 0).status,
		    200);
	assert_int_equal(s->requests, 5);
	assert_int_equal(s->connections, 1);
	pb_http_destroy(http);
	server_stop(s);
}

/*
 * Goal:   a kept connection that is dead is no failure: libcurl sends the
 *         body again by itself, for which it needs the seek callback.
 * Method: the server closes at the second request's head; the third head
 *         is libcurl's second try.
 */
static void
a_kept_connection_that_was_closed_costs_nothing(void **state)
{
	struct line script[] = {
		{ ANSWER, OK_ACKED("42") },
		{ CLOSE_AT_HEAD, NULL },
		{ ANSWER, OK_ACKED("43") },
	};
	struct server *s = server_start(NULL, script, 3);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);

	(void)state;
	assert_int_equal(ask(http, &peer, 1000).status, 200);
	assert_int_equal(ask(http, &peer, 50000).status, 200);
	assert_int_equal(s->requests, 3);
	assert_int_equal(s->body_len, 50000);
	assert_memory_equal(s->body, body, 50000);
	pb_http_destroy(http);
	server_stop(s);
}

/* Whether libcurl tries again by itself here depends on what it notices
 * first; if not, it is a failure like others, and the next try works. */
static void
a_body_cut_off_in_its_middle_is_sent_again_whole(void **state)
{
	struct line script[] = {
		{ ANSWER, OK_ACKED("42") },
		{ CLOSE_IN_BODY, NULL },
		{ ANSWER, OK_ACKED("43") },
	};
	struct server *s = server_start(NULL, script, 3);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);
	struct result r;

	(void)state;
	assert_int_equal(ask(http, &peer, 1000).status, 200);
	r = ask(http, &peer, BODY_BYTES);
	if (r.status == 0)
		r = ask(http, &peer, BODY_BYTES);
	assert_int_equal(r.status, 200);
	assert_int_equal(s->requests, 3);
	assert_int_equal(s->body_len, BODY_BYTES);
	assert_memory_equal(s->body, body, BODY_BYTES);
	pb_http_destroy(http);
	server_stop(s);
}

static void
a_connection_that_ends_without_an_answer_has_failed(void **state)
{
	struct line script[] = {
		{ CLOSE_IN_BODY, NULL },
		{ CLOSE_AT_HEAD, NULL },
		{ ANSWER_AND_CLOSE, "this is not HTTP\r\n\r\n" },
		{ ANSWER_AND_CLOSE,
		    "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort" },
		{ ANSWER, OK_ACKED("42") },
	};
	/* Bytes may be left unread at the close, which is a reset then. */
	static const char *const words[][2] = {
		{ "it reset the connection",
		    "it closed the connection without an answer" },
		{ "it reset the connection",
		    "it closed the connection without an answer" },
		{ "its answer is not HTTP", "its answer is not HTTP" },
		{ "it closed the connection in the middle of its answer",
		    "" },
	};
	struct server *s = server_start(NULL, script, 5);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct result r = ask(http, &peer, BODY_BYTES);

		assert_int_equal(r.status, 0);
		if (strcmp(r.error, words[i][0]) != 0)
			assert_string_equal(r.error, words[i][1]);
	}
	/* Nothing of the failures lives on. */
	assert_int_equal(ask(http, &peer, BODY_BYTES).status, 200);
	assert_memory_equal(s->body, body, BODY_BYTES);
	pb_http_destroy(http);
	server_stop(s);
}

static void
a_refused_connection_says_so(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("42") } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer;
	struct pb_http *http = http_with(4);
	char url[64];
	struct result r;

	(void)state;
	strcpy(url, s->url);
	peer = (struct pb_http_peer){ .url = url };
	server_stop(s);
	r = ask(http, &peer, 100);
	assert_int_equal(r.status, 0);
	assert_non_null(strstr(r.error, "connect"));
	pb_http_destroy(http);
}

static void
a_silent_peer_has_failed(void **state)
{
	struct line script[] = { { HANG, NULL } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer = { .url = s->url, .silence_ms = 1000 };
	struct pb_http *http = http_with(4);
	struct result r = ask(http, &peer, 100);

	(void)state;
	assert_int_equal(r.status, 0);
	assert_string_equal(r.error, "no answer, and no byte taken for 1 s");
	pb_http_destroy(http);
	server_stop(s);
}

static void
several_silent_peers_fail_each_for_itself(void **state)
{
	struct line script[] = { { HANG, NULL } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer = { .url = s->url, .silence_ms = 300 };
	struct pb_http_peer patient = { .url = s->url };
	struct pb_http *http = http_with(4);
	struct result r[4] = { { .done = false } };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct pb_http_request request = {
			.peer = i == 2 ? &patient : &peer, .path = "/v1/x",
			.done = on_done, .arg = &r[i], .owner = &r[i],
		};

		assert_int_equal(pb_http_send(http, &request, NULL), 0);
	}
	wait_for(http, &r[0]);
	wait_for(http, &r[1]);
	wait_for(http, &r[3]);
	assert_false(r[2].done);
	pb_http_destroy(http);
	assert_false(r[2].done);
	server_stop(s);
}

static void
redirects_are_answers_and_not_followed(void **state)
{
	struct line script[] = { { ANSWER, "HTTP/1.1 307 Elsewhere\r\n"
	    "Location: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" },
	    { ANSWER, "HTTP/1.1 301 Gone\r\nContent-Length: 0\r\n\r\n" } };
	struct server *s = server_start(NULL, script, 2);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);
	struct result r = ask(http, &peer, 100);

	(void)state;
	assert_int_equal(r.status, 307);
	assert_string_equal(r.error, "redirects are not followed, correct "
	    "url; it points to http://127.0.0.1:1/");
	assert_int_equal(s->requests, 1);
	r = ask(http, &peer, 100);
	assert_int_equal(r.status, 301);
	assert_string_equal(r.error, "redirects are not followed, correct "
	    "url; it points to nowhere");
	pb_http_destroy(http);
	server_stop(s);
}

static void
no_proxy_is_taken_from_the_environment(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("42") } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	assert_int_equal(ask(http, &peer, 0).status, 200);
	unsetenv("http_proxy");
	pb_http_destroy(http);
	server_stop(s);
}

static void
an_answer_without_end_is_cut_off(void **state)
{
	static char text[200000];
	struct line script[] = { { ANSWER_AND_CLOSE, text } };
	struct pb_http *http = http_with(4);
	struct pb_http_peer peer;
	struct server *s;
	struct result r;
	size_t n;

	(void)state;
	n = (size_t)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n\r\n");
	memset(text + n, 'x', sizeof(text) - n - 1);
	s = server_start(NULL, script, 1);
	peer = (struct pb_http_peer){ .url = s->url };
	r = ask(http, &peer, 100);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.error, "its answer is too large");
	pb_http_destroy(http);
	server_stop(s);
}

/* Goal: a large answer is had where it is asked for, and its headers. */
static void
an_answer_may_be_as_large_as_is_said_and_kept(void **state)
{
	static const char *const want[] = { "PB-First", "PB-Digest", "PB-Gap",
	    NULL };
	static char text[200000];
	struct line script[] = { { ANSWER, text } };
	struct pb_http *http = http_with(4);
	struct kept kept = { .memory = { .data = NULL } };
	struct pb_http_request request = { .path = "/v1/x", .want = want,
	    .answer_max = 150000, .done = on_kept, .arg = &kept,
	    .owner = &kept };
	struct pb_http_peer peer;
	struct server *s;
	size_t n;

	(void)state;
	n = (size_t)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n"
	    "pb-first:  17 \r\nPB-Gap: %0300d\r\nContent-Length: 150000\r\n"
	    "\r\n", 1);
	memset(text + n, 'x', 150000);
	s = server_start(NULL, script, 1);
	peer = (struct pb_http_peer){ .url = s->url };
	request.peer = &peer;
	for (int i = 0; i < 2; i++) {
		kept.result.done = false;
		assert_int_equal(pb_http_send(http, &request, NULL), 0);
		wait_for(http, &kept.result);
		assert_int_equal(kept.result.status, 200);
		assert_int_equal(kept.memory.len, 150000);
		assert_int_equal(kept.memory.data[149999], 'x');
		pb_buf_finish(&kept.memory);
		assert_string_equal(kept.wanted[0], "17");
		assert_string_equal(kept.wanted[1], "");
		assert_string_equal(kept.wanted[2], "");
		/* The second one goes over the first one's connection. */
		assert_int_equal(kept.fresh, i == 0);
	}
	/* One byte too large: the rest of it is not waited for. */
	request.answer_max = 149999;
	text[n + 100] = '\0';
	peer.silence_ms = 2000;
	kept.result.done = false;
	assert_int_equal(pb_http_send(http, &request, NULL), 0);
	wait_for(http, &kept.result);
	assert_string_equal(kept.result.error, "its answer is too large");
	pb_buf_finish(&kept.memory);
	pb_http_destroy(http);
	server_stop(s);
}

struct heard {
	struct result	result;
	char		lines[256];
	char		first[16];
	unsigned	heads;
};

static void
on_line(void *arg, const char *line, bool fresh)
{
	struct heard *heard = arg;
	size_t len = strlen(heard->lines);

	assert_true(fresh);
	snprintf(heard->lines + len, sizeof(heard->lines) - len, "<%.20s>",
	    line);
}

static void
on_head(void *arg, const struct pb_http_answer *answer)
{
	struct heard *heard = arg;

	heard->heads++;
	assert_int_equal(answer->status, 200);
	snprintf(heard->first, sizeof(heard->first), "%s", answer->wanted[0]);
}

static void
on_heard(void *arg, const struct pb_http_answer *answer)
{
	on_done(&((struct heard *)arg)->result, answer);
}

static void
lines_and_heads_are_heard_as_they_come(void **state)
{
	static const char *const want[] = { "PB-First", NULL };
	static const struct {
		const char *text;
		size_t max;
		const char *lines, *rest, *error;
		unsigned heads;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nPB-First: 7\r\nContent-Length: 9\r\n\r\n"
		    "ab\n\nc\nxyz", 100, "<ab><><c>", "xyz", "", 1 },
		{ "HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\na\nb\n", 100,
		    "", "a\nb\n", "", 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab\n\nc\nxyz",
		    8, "", "", "its answer is too large", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct line script[] = { { ANSWER, rows[i].text } };
		struct server *s = server_start(NULL, script, 1);
		struct pb_http_peer peer = { .url = s->url };
		struct pb_http *http = http_with(4);
		struct heard heard = { .lines = "" };
		struct pb_http_request request = { .peer = &peer,
		    .path = "/v1/x", .want = want, .line = on_line,
		    .head = on_head, .done = on_heard, .arg = &heard,
		    .answer_max = rows[i].max, .owner = &heard };

		assert_int_equal(pb_http_send(http, &request, NULL), 0);
		wait_for(http, &heard.result);
		assert_string_equal(heard.lines, rows[i].lines);
		if (rows[i].error[0] == '\0')
			assert_string_equal(heard.result.body, rows[i].rest);
		assert_string_equal(heard.result.error, rows[i].error);
		assert_int_equal(heard.heads, rows[i].heads);
		if (i == 0)
			assert_string_equal(heard.first, "7");
		pb_http_destroy(http);
		server_stop(s);
	}
}

static void
retry_after_is_read(void **state)
{
	struct line script[] = { { ANSWER, "HTTP/1.1 503 No\r\n"
	    "Retry-After: 7\r\nContent-Length: 0\r\n\r\n" } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);
	struct result r = ask(http, &peer, 100);

	(void)state;
	assert_int_equal(r.status, 503);
	assert_int_equal(r.retry_after_ms, 7000);
	pb_http_destroy(http);
	server_stop(s);
}

static void
an_answer_before_the_end_of_the_body_is_heard(void **state)
{
	struct line script[] = { { ANSWER_EARLY, "HTTP/1.1 413 Large\r\n"
	    "Connection: close\r\nContent-Length: 0\r\n\r\n" } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(4);

	(void)state;
	assert_int_equal(ask(http, &peer, BODY_BYTES).status, 413);
	pb_http_destroy(http);
	server_stop(s);
}

/* Goal: a body that waits for its rate arrives as it was, whole. */
static void
bodies_under_a_rate_arrive_whole(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("42") } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_rate rate;
	struct pb_http_peer peer = { .url = s->url, .rate = &rate };
	struct pb_http *http = http_with(4);
	struct result r[3] = { { .done = false } };

	(void)state;
	pb_rate_init(&rate, 20000000, 0, pb_clock_mono_ms());
	for (int i = 0; i < 3; i++) {
		struct pb_http_request request = { .peer = &peer,
		    .path = "/", .body = body, .len = 300000,
		    .done = on_done, .arg = &r[i] };

		assert_int_equal(pb_http_send(http, &request, NULL), 0);
	}
	for (int i = 0; i < 3; i++) {
		wait_for(http, &r[i]);
		assert_int_equal(r[i].status, 200);
	}
	assert_int_equal(s->bodies, 3);
	assert_memory_equal(s->body, body, 300000);
	pb_http_destroy(http);
	server_stop(s);
}

/* libcurl asks again for what waits, where it begins anew on another
 * connection. */
static void
a_request_that_waits_for_its_rate_is_counted_once(void **state)
{
	struct pb_rate rate;
	const struct pb_http_peer peer = { .rate = &rate };
	struct pb_http http = { .paused = 0 };
	struct transfer t = { .http = &http, .request = { .peer = &peer,
	    .body = body, .len = BODY_BYTES } };
	char to[16];

	(void)state;
	pb_rate_init(&rate, 8, 0, pb_clock_mono_ms());
	while (http_on_read(to, 1, sizeof(to), &t) != CURL_READFUNC_PAUSE)
		continue;
	assert_int_equal(http.paused, 1);
	assert_int_equal(http_on_read(to, 1, sizeof(to), &t),
	    CURL_READFUNC_PAUSE);
	assert_int_equal(http.paused, 1);
	http_pause(&t, false);
	http_pause(&t, false);
	assert_int_equal(http.paused, 0);
}

static void
a_slow_reader_gets_everything(void **state)
{
	struct line script[] = { { READ_SLOWLY, OK_ACKED("42") } };
	struct server *s = server_start(NULL, script, 1);
	/* It takes 1.3 s at least, most of them with all in the kernel. */
	struct pb_http_peer peer = { .url = s->url, .silence_ms = 300 };
	struct pb_http *http = http_with(4);

	(void)state;
	assert_int_equal(ask(http, &peer, BODY_BYTES).status, 200);
	assert_memory_equal(s->body, body, BODY_BYTES);
	pb_http_destroy(http);
	server_stop(s);
}

static void
requests_past_the_bound_are_refused(void **state)
{
	struct line script[] = { { HANG, NULL } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(2);
	struct result r = { .done = false };
	struct pb_http_request request = { .peer = &peer, .path = "/",
	    .done = on_done, .arg = &r };
	struct pb_err err;

	(void)state;
	assert_int_equal(pb_http_send(http, &request, NULL), 0);
	assert_int_equal(pb_http_send(http, &request, NULL), 0);
	assert_int_equal(pb_http_send(http, &request, &err), PB_ELIMIT);
	pb_http_destroy(http);
	assert_false(r.done);
	server_stop(s);
}

static void
cancelled_requests_end_without_a_word(void **state)
{
	struct line script[] = { { HANG, NULL }, { HANG, NULL },
	    { ANSWER, OK_ACKED("42") } };
	struct server *s = server_start(NULL, script, 3);
	struct pb_http_peer peer = { .url = s->url };
	struct pb_http *http = http_with(2);
	struct result r = { .done = false };
	struct pb_http_request request = { .peer = &peer, .path = "/",
	    .done = on_done, .arg = &r, .owner = s };

	(void)state;
	assert_int_equal(pb_http_send(http, &request, NULL), 0);
	assert_int_equal(pb_http_send(http, &request, NULL), 0);
	while (s->requests < 2)
		assert_int_equal(pb_http_wait(http, NULL, 0, 10, NULL), 0);
	pb_http_cancel(http, &r);	/* nobody's */
	pb_http_cancel(http, s);
	assert_int_equal(ask(http, &peer, 0).status, 200);
	assert_false(r.done);
	pb_http_destroy(http);
	server_stop(s);
}

/* Else an ack could come behind a later one, when a link is there again. */
static void
what_was_given_up_does_not_come_later(void **state)
{
	int small = 4096, listener = socket(AF_INET, SOCK_STREAM, 0), far;
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	static uint8_t bytes[65536];
	char url[64];
	struct pb_http_peer peer = { .url = url };
	struct result r = { .done = false };
	struct pb_http_request request = { .peer = &peer, .path = "/",
	    .body = body, .len = BODY_BYTES, .done = on_done, .arg = &r,
	    .owner = &r };
	struct pb_http *http = http_with(2);
	ssize_t n;

	(void)state;
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small,
	    sizeof(small)), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &len),
	    0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u",
	    ntohs(in.sin_port));
	assert_int_equal(pb_http_send(http, &request, NULL), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(pb_http_wait(http, NULL, 0, 10, NULL), 0);
	far = accept(listener, NULL, NULL);
	assert_true(far >= 0);
	pb_http_cancel(http, &r);
	while ((n = recv(far, bytes, sizeof(bytes), 0)) > 0)
		continue;
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	close(far);
	close(listener);
	pb_http_destroy(http);
}

static void
a_readable_descriptor_ends_the_wait(void **state)
{
	struct pb_http *http = http_with(2);
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(pb_http_wait(http, fds, 1, GIVE_UP_MS * 10, NULL),
	    0);
	assert_int_equal(pb_http_wait(http, fds, PB_HTTP_FDS_MAX + 1, 0,
	    NULL), PB_ELIMIT);
	close(fds[0]);
	close(fds[1]);
	pb_http_destroy(http);
}

/*
 * Goal:   a name server that does not answer delays nobody else.
 * Method: a look-up that ends only when the test says so; its request
 *         fails by its connect timeout, and another one is answered,
 *         while the look-up is still going on.
 */
static void
a_look_up_that_hangs_holds_up_no_other(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("42") } };
	struct server *s = server_start(NULL, script, 1);
	struct pb_http_peer good = { .url = s->url };
	struct pb_http_peer slow = { .url = "http://slow.invalid:9",
	    .connect_ms = 200 };
	struct pb_http *http = http_with(4);
	struct result r;

	(void)state;
	r = ask(http, &slow, 100);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.error, "no connection within 0.2 s");
	assert_int_equal(ask(http, &good, 100).status, 200);
	assert_false(atomic_load(&lookup_over));
	atomic_store(&lookup_free, true);
	while (!atomic_load(&lookup_over))
		usleep(1000);
	usleep(100000);		/* its thread gives back its memory */
	pb_http_destroy(http);
	server_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_post_carries_its_body_and_headers),
		cmocka_unit_test(a_get_has_no_body),
		cmocka_unit_test(a_connection_is_kept_for_the_next_request),
		cmocka_unit_test(
		    a_kept_connection_that_was_closed_costs_nothing),
		cmocka_unit_test(
		    a_body_cut_off_in_its_middle_is_sent_again_whole),
		cmocka_unit_test(
		    a_connection_that_ends_without_an_answer_has_failed),
		cmocka_unit_test(a_refused_connection_says_so),
		cmocka_unit_test(a_silent_peer_has_failed),
		cmocka_unit_test(several_silent_peers_fail_each_for_itself),
		cmocka_unit_test(redirects_are_answers_and_not_followed),
		cmocka_unit_test(no_proxy_is_taken_from_the_environment),
		cmocka_unit_test(an_answer_without_end_is_cut_off),
		cmocka_unit_test(an_answer_may_be_as_large_as_is_said_and_kept),
		cmocka_unit_test(lines_and_heads_are_heard_as_they_come),
		cmocka_unit_test(retry_after_is_read),
		cmocka_unit_test(
		    an_answer_before_the_end_of_the_body_is_heard),
		cmocka_unit_test(bodies_under_a_rate_arrive_whole),
		cmocka_unit_test(
		    a_request_that_waits_for_its_rate_is_counted_once),
		cmocka_unit_test(a_slow_reader_gets_everything),
		cmocka_unit_test(requests_past_the_bound_are_refused),
		cmocka_unit_test(cancelled_requests_end_without_a_word),
		cmocka_unit_test(what_was_given_up_does_not_come_later),
		cmocka_unit_test(a_readable_descriptor_ends_the_wait),
		cmocka_unit_test(a_look_up_that_hangs_holds_up_no_other),
	};

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 2654435761u >> 13);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
