/*
 * tests/unit/test_push.c - sections over a unix socket to a scripted node
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <xxhash.h>

#include "shipper/wire/push.h"
#include "tests/unit/scripted_server.h"
#include "tests/unit/temp.h"

#define BUSY	"HTTP/1.1 503 Full\r\nRetry-After: 1\r\n" \
	"Content-Length: 0\r\n\r\n"
#define CONFLICT(n) "HTTP/1.1 409 Conflict\r\nContent-Length: 13\r\n\r\n" \
	"{\"acked\": " n "}"
#define REFUSAL(status) "HTTP/1.1 " status " No\r\nContent-Length: 22\r\n\r\n" \
	"{\"error\": \"no such\\n\"}"

struct bench {
	char		 dir[64];
	char		 path[128];
	struct server	*server;
	struct pb_push	*push;
	struct pb_stream_key key;
	uint8_t		*body;		/* one for all; nobody writes it */
	unsigned	 sent, back;	/* bodies */
};

#define BODY_BYTES	1000000u

static int	stopped_by;

static int
stopped(void)
{
	return stopped_by;
}

static void
bench_init(struct bench *b, const struct line *script, unsigned lines)
{
	temp_make(b->dir, "push");
	snprintf(b->path, sizeof(b->path), "%s/recorder.sock", b->dir);
	b->server = server_start(b->path, script, lines);
	assert_int_equal(pb_push_create(&b->push, b->path, stopped, NULL),
	    0);
	b->key = (struct pb_stream_key){ "lon1", "eth 0/1", 0xabc };
	b->body = malloc(BODY_BYTES);
	assert_non_null(b->body);
	memset(b->body, 'b', BODY_BYTES);
	b->sent = b->back = 0;
	stopped_by = 0;
}

static void
bench_finish(struct bench *b)
{
	pb_push_destroy(b->push);
	/* Each body came back, and once, whatever became of it. */
	assert_int_equal(b->back, b->sent);
	free(b->body);
	server_stop(b->server);
	unlink(b->path);
	assert_int_equal(rmdir(b->dir), 0);
}

static void
on_done(void *arg)
{
	struct bench *b = arg;

	b->back++;
}

static int
push(struct bench *b, uint64_t first, uint64_t last, size_t len,
    struct pb_err *err)
{
	struct pb_push_section section = {
		.key = b->key, .first = first, .last = last,
		.body = b->body, .len = len, .done = on_done, .arg = b,
	};

	assert_true(len <= BODY_BYTES);
	b->sent++;
	return pb_push_send(b->push, &section, err);
}

/* All of it: an error may show at once or when its answer is waited for. */
static int
push_all(struct bench *b, uint64_t first, uint64_t last, struct pb_err *err)
{
	int rc = push(b, first, last, 1000, err);

	return rc < 0 ? rc : pb_push_finish(b->push, err);
}

static void
a_section_is_durable_when_finish_says_so(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("10") } };
	struct bench b;
	char digest[64];

	(void)state;
	bench_init(&b, script, 1);
	assert_int_equal(push(&b, 1, 10, 1000000, NULL), 0);
	/* It is read where it lies, until it is acknowledged. */
	assert_int_equal(b.back, 0);
	assert_int_equal(pb_push_finish(b.push, NULL), 0);
	assert_int_equal(b.back, 1);
	assert_int_equal(b.server->bodies, 1);
	assert_int_equal(b.server->body_len, 1000000);
	assert_memory_equal(b.server->head, "POST /v1/streams/lon1/"
	    "eth%200%2F1/0000000000000abc/packets HTTP/1.1\r\n", 67);
	assert_non_null(strstr(b.server->head, "\r\nPB-First: 1\r\n"));
	assert_non_null(strstr(b.server->head, "\r\nPB-Last: 10\r\n"));
	snprintf(digest, sizeof(digest), "\r\nPB-Digest: xxh3=%016llx\r\n",
	    (unsigned long long)XXH3_64bits(b.server->body, 1000000));
	assert_non_null(strstr(b.server->head, digest));
	bench_finish(&b);
}

static void
a_finish_with_nothing_pushed_succeeds(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("10") } };
	struct bench b;

	(void)state;
	bench_init(&b, script, 1);
	assert_int_equal(pb_push_finish(b.push, NULL), 0);
	bench_finish(&b);
}

static void
many_sections_go_side_by_side(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("99") } };
	struct bench b;

	(void)state;
	bench_init(&b, script, 1);
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(push(&b, i + 1, i + 1, 50000, NULL), 0);
	assert_int_equal(pb_push_finish(b.push, NULL), 0);
	assert_int_equal(b.server->bodies, 50);
	assert_in_range(b.server->connections, 2, PB_PUSH_REQUESTS_MAX);
	bench_finish(&b);
}

static void
a_node_without_room_is_tried_again(void **state)
{
	struct line script[] = { { ANSWER, BUSY }, { ANSWER, BUSY },
	    { ANSWER, BUSY }, { ANSWER, OK_ACKED("10") } };
	struct bench b;

	(void)state;
	bench_init(&b, script, 4);
	assert_int_equal(push(&b, 1, 10, 70000, NULL), 0);
	assert_int_equal(pb_push_finish(b.push, NULL), 0);
	assert_int_equal(b.server->requests, 4);
	assert_int_equal(b.server->body_len, 70000);
	bench_finish(&b);
}

/* A section overtook the one before it: both arrive. */
static void
a_conflict_that_others_will_solve_is_tried_again(void **state)
{
	struct line script[] = { { ANSWER, BUSY }, { ANSWER, CONFLICT("10") },
	    { ANSWER, OK_ACKED("30") } };
	struct bench b;

	(void)state;
	bench_init(&b, script, 3);
	assert_int_equal(push(&b, 11, 20, 1000, NULL), 0);
	assert_int_equal(push(&b, 21, 30, 1000, NULL), 0);
	assert_int_equal(pb_push_finish(b.push, NULL), 0);
	assert_int_equal(b.server->requests, 4);
	bench_finish(&b);
}

static void
a_conflict_that_nothing_will_solve_is_an_error(void **state)
{
	struct line script[] = { { ANSWER, CONFLICT("10") } };
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b, script, 1);
	assert_int_equal(push_all(&b, 21, 30, &err), PB_EORDER);
	assert_non_null(strstr(err.text, "status 409"));
	/* It is spent now. */
	assert_int_equal(push(&b, 11, 20, 1000, &err), PB_EORDER);
	bench_finish(&b);
}

static void
what_is_there_already_counts_as_done(void **state)
{
	struct line script[] = { { ANSWER, CONFLICT("40") } };
	struct bench b;

	(void)state;
	bench_init(&b, script, 1);
	assert_int_equal(push(&b, 21, 30, 1000, NULL), 0);
	assert_int_equal(pb_push_finish(b.push, NULL), 0);
	bench_finish(&b);
}

static void
a_refusal_is_an_error_with_the_nodes_words(void **state)
{
	static const struct { const char *text; int code; } row[] = {
		{ REFUSAL("400"), PB_EFORMAT }, { REFUSAL("422"), PB_EFORMAT },
		{ REFUSAL("403"), PB_EACCES }, { REFUSAL("413"), PB_ELIMIT },
		{ REFUSAL("508"), PB_ELOOP }, { REFUSAL("500"), PB_ESYS },
		{ REFUSAL("200"), PB_ESYS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct line script[] = { { ANSWER, row[i].text } };
		struct bench b;
		struct pb_err err;

		bench_init(&b, script, 1);
		assert_int_equal(push_all(&b, 1, 10, &err), row[i].code);
		assert_non_null(strstr(err.text, "no such"));
		assert_non_null(strstr(err.text, b.path));
		bench_finish(&b);
	}
}

static void
a_socket_that_nobody_listens_on_is_an_error(void **state)
{
	struct line script[] = { { ANSWER, OK_ACKED("10") } };
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b, script, 1);
	unlink(b.path);
	assert_int_equal(push_all(&b, 1, 10, &err), PB_ESYS);
	assert_non_null(strstr(err.text, b.path));
	bench_finish(&b);
}

/* As many as there may be wait for a node that does not answer. */
static void
a_signal_ends_the_wait(void **state)
{
	struct line script[] = { { HANG, NULL } };
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b, script, 1);
	for (uint64_t i = 0; i < PB_PUSH_REQUESTS_MAX; i++)
		assert_int_equal(push(&b, i + 1, i + 1, 1000, NULL), 0);
	stopped_by = 2;
	assert_int_equal(push(&b, 100, 100, 1000, &err), PB_ESYS);
	assert_non_null(strstr(err.text, "interrupted"));
	assert_int_equal(pb_push_finish(b.push, &err), PB_ESYS);
	bench_finish(&b);
}

static void
giving_up_in_the_middle_leaks_nothing(void **state)
{
	struct line script[] = { { HANG, NULL } };
	struct bench b;

	(void)state;
	bench_init(&b, script, 1);
	for (uint64_t i = 0; i < PB_PUSH_REQUESTS_MAX; i++)
		assert_int_equal(push(&b, i + 1, i + 1, 100000, NULL), 0);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_section_is_durable_when_finish_says_so),
		cmocka_unit_test(a_finish_with_nothing_pushed_succeeds),
		cmocka_unit_test(many_sections_go_side_by_side),
		cmocka_unit_test(a_node_without_room_is_tried_again),
		cmocka_unit_test(
		    a_conflict_that_others_will_solve_is_tried_again),
		cmocka_unit_test(
		    a_conflict_that_nothing_will_solve_is_an_error),
		cmocka_unit_test(what_is_there_already_counts_as_done),
		cmocka_unit_test(a_refusal_is_an_error_with_the_nodes_words),
		cmocka_unit_test(a_socket_that_nobody_listens_on_is_an_error),
		cmocka_unit_test(a_signal_ends_the_wait),
		cmocka_unit_test(giving_up_in_the_middle_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
