/*
 * tests/unit/test_long_answers.c - answers that are made while they are sent,
 * on real sockets, beside packets that come in
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>

#include "recorder/port/request_impl.h"
#include "tests/unit/ingest_node.h"

#define LONG_BYTES	(256u << 20)	/* more than any buffer */
#ifdef PB_SANITIZED
#define SMALL_BYTES	(160u << 20)	/* a sanitizer has shadows of it */
#else
#define SMALL_BYTES	(24u << 20)	/* memory for all of it */
#endif

enum how { HOW_LONG, HOW_HANGS, HOW_WAITS, HOW_BREAKS, HOW_FAILS };

/* What a maker of ours makes: numbers, LONG_BYTES of them. */
struct made {
	enum how	how;
	uint64_t	at;
};

static atomic_int begun, dropped, waiting;
static sem_t go_on;			/* for who hangs */
static struct pb_reading *_Atomic waits[64];

static int
make(void *arg, struct pb_reading *reading, struct pb_buf *piece,
    struct pb_err *err)
{
	struct made *made = arg;

	if (made->at == 0)
		begun++;
	if (made->how == HOW_HANGS)
		sem_wait(&go_on);
	if (made->how == HOW_FAILS || (made->how == HOW_BREAKS &&
	    made->at > 0))
		return pb_err_set(err, PB_ENOENT, "it is gone");
	if (made->how == HOW_WAITS && made->at == 0) {
		made->at = LONG_BYTES - 8;
		waits[waiting++] = reading;
		return PB_MADE_WAIT;
	}
	if (made->how == HOW_HANGS)
		made->at = LONG_BYTES - 8;
	while (piece->len < PB_PIECE_BYTES && made->at < LONG_BYTES) {
		pb_put_le64(pb_buf_reserve(piece, 8), made->at);
		piece->len += 8;
		made->at += 8;
	}
	return made->at < LONG_BYTES ? PB_MADE_MORE : PB_MADE_END;
}

static void
drop(void *arg)
{
	free(arg);
	dropped++;
}

static void
start(struct pb_request *request, enum how how)
{
	struct made *made = calloc(1, sizeof(*made));

	made->how = how;
	request_make(request, &(struct pb_maker){ .make = make, .drop = drop,
	    .arg = made }, "text/plain");
}

#define SERVE(name, how)						\
	static void name(struct pb_request *r) { start(r, how); }	\
	static const struct pb_handler serve_##name = { .end = name };

SERVE(lasting, HOW_LONG)
SERVE(hangs, HOW_HANGS)
SERVE(waits_long, HOW_WAITS)
SERVE(breaks, HOW_BREAKS)
SERVE(fails, HOW_FAILS)

static const struct pb_route_row routes[] = {
	{ "GET", "/long", &serve_lasting, false },
	{ "GET", "/hangs", &serve_hangs, false },
	{ "GET", "/waits", &serve_waits_long, false },
	{ "GET", "/breaks", &serve_breaks, false },
	{ "GET", "/fails", &serve_fails, false },
	{ "GET", "/v1/health", &serve_health, false },
	{ "GET", "/metrics", &serve_metrics, false },
	{ "GET", PB_ROUTE_STREAM, &serve_question, false },
	{ "POST", PB_ROUTE_STREAM "/packets", &serve_packets, false },
	{ NULL, NULL, NULL, false },
};

static int
setup_long(void **state)
{
	struct node *n;

	begun = dropped = waiting = 0;
	sem_init(&go_on, 0, 0);
	setup(state);
	n = *state;
	node_stop(n);
	n->routes = routes;
	node_start(n);
	return 0;
}

/* --- a client of such answers --------------------------------------------- */

/* Asks, and reads nothing but the head where `r` is given. */
static int
ask_for(const struct node *n, const char *path, struct reply *r)
{
	int fd = dial(n);

	put_head(fd, "GET", path, 0, "");
	if (r != NULL)
		read_head(fd, r);
	return fd;
}

/* The size of the next chunk; 0: the last one; -1: it was broken off. */
static long
chunk_begins(int fd)
{
	char line[32] = "";
	size_t len = 0;
	long size;

	while (len < sizeof(line) - 1 && recv(fd, line + len, 1, 0) == 1)
		if (line[len++] == '\n' && len > 2)
			break;
	if (len <= 2 || line[len - 1] != '\n')
		return -1;
	size = strtol(line, NULL, 16);
	if (size == 0)
		assert_int_equal(recv(fd, line, 2, MSG_WAITALL), 2);
	return size;
}

/* All of a chunked body; its bytes, which are numbers; -1: broken off. */
static int64_t
read_long(int fd)
{
	static uint8_t data[64u << 10];
	uint64_t at = 0;
	long left;

	while ((left = chunk_begins(fd)) > 0)
		while (left > 0) {
			size_t want = (size_t)left < sizeof(data) ?
			    (size_t)left : sizeof(data);
			ssize_t got = recv(fd, data, want, 0);

			if (got <= 0)
				return -1;
			for (ssize_t i = 0; i < got; i++, at++)
				if (data[i] != (uint8_t)((at & ~7ull) >>
				    (8 * (at & 7))))
					fail_msg("byte %lu", (long)at);
			left -= got;
		}
	return left < 0 ? -1 : (int64_t)at;
}

static void
until(atomic_int *what, int is)
{
	while (*what < is)
		poll(NULL, 0, 1);
}

static size_t
resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all, here;

	assert_int_equal(fscanf(f, "%lu %lu", &all, &here), 2);
	fclose(f);
	return here * (size_t)sysconf(_SC_PAGESIZE);
}

/* --- tests ---------------------------------------------------------------- */

static void
an_answer_larger_than_any_buffer_arrives_whole(void **state)
{
	struct node *n = *state;
	size_t before = resident();
	struct reply r;
	int fd = ask_for(n, "/long", &r);

	assert_int_equal(r.status, 200);
	assert_non_null(strcasestr(r.head, "\r\nTransfer-Encoding: chunked"));
	assert_int_equal(read_long(fd), LONG_BYTES);
	assert_true(resident() < before + SMALL_BYTES);
	/* The connection is fine for the next one. */
	assert_int_equal(ask(fd, "GET", "/v1/health", "", 0, &r), 200);
	close(fd);
	until(&dropped, 1);
}

/* By one certificate, which is node, peer and authority. */
static void
over_tls_it_arrives_as_well(void **state)
{
	struct node *n = *state;
	struct pb_conf_tls *tls = &n->conf.listen.tls;
	unsigned long long bytes = 0;
	char command[1024];
	FILE *out;

	if (system("command -v openssl >/dev/null && command -v curl "
	    ">/dev/null") != 0)
		skip();
	node_stop(n);
	shell("cd '%s' && openssl req -x509 -newkey ec -pkeyopt "
	    "ec_paramgen_curve:prime256v1 -nodes -keyout it.key -out it.pem "
	    "-days 2 -subj /CN=lon1 -addext subjectAltName=IP:127.0.0.1 "
	    "2>/dev/null", n->dir);
	tls->off = false;
	snprintf(tls->cert, sizeof(tls->cert), "%s/it.pem", n->dir);
	snprintf(tls->key, sizeof(tls->key), "%s/it.key", n->dir);
	snprintf(tls->ca, sizeof(tls->ca), "%s/it.pem", n->dir);
	node_start(n);
	snprintf(command, sizeof(command), "cd '%s' && curl -s -m %d "
	    "--noproxy '*' --cacert it.pem --cert it.pem --key it.key "
	    "'https://127.0.0.1:%d/long' | wc -c", n->dir, PATIENCE_S,
	    n->port);
	out = popen(command, "r");
	assert_non_null(out);
	assert_int_equal(fscanf(out, "%llu", &bytes), 1);
	pclose(out);
	assert_int_equal(bytes, LONG_BYTES);
}

static void
several_are_made_side_by_side(void **state)
{
	enum { PEERS = 8 };
	struct node *n = *state;
	struct reply r;
	int fd[PEERS];

	for (int i = 0; i < PEERS; i++)
		fd[i] = ask_for(n, "/long", &r);
	for (int i = 0; i < PEERS; i++)
		assert_int_equal(chunk_begins(fd[i]) > 0, 1);
	for (int i = 0; i < PEERS; i++)
		close(fd[i]);
	until(&dropped, PEERS);
}

/*
 * Goal:   who does not read takes a place, and no more: no thread, no memory
 *         that grows, nothing from who brings packets.
 * Method: as many as one address may have ask and read nothing.
 */
static void
packets_come_in_while_peers_read_nothing(void **state)
{
	struct node *n = *state;
	int fd[PB_LONG_ANSWERS_PEER_MAX], one_more;
	size_t before = resident();
	struct reply r;

	for (unsigned i = 0; i < PB_LONG_ANSWERS_PEER_MAX; i++)
		fd[i] = ask_for(n, "/long", &r);
	one_more = dial(n);
	assert_int_equal(ask(one_more, "GET", "/long", "", 0, &r), 503);
	assert_non_null(strcasestr(r.head, "\r\nRetry-After: 1\r\n"));
	assert_int_equal(ask(one_more, "GET", "/metrics", "", 0, &r), 200);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(push(n, i * 10 + 1, i * 10 + 10, &r), 200);
	assert_true(resident() < before + SMALL_BYTES);
	close(fd[0]);
	until(&dropped, 2);
	do
		assert_int_equal(close(fd[0] = ask_for(n, "/long", &r)), 0);
	while (r.status == 503);
	for (unsigned i = 1; i < PB_LONG_ANSWERS_PEER_MAX; i++)
		close(fd[i]);
	close(one_more);
	node_stop(n);
	assert_int_equal(stored(n, &key, 2), 500);
}

static void
packets_come_in_while_every_reader_hangs(void **state)
{
	struct node *n = *state;
	int fd[PB_READERS + 1];
	struct reply r;

	for (unsigned i = 0; i <= PB_READERS; i++)
		fd[i] = ask_for(n, "/hangs", NULL);
	until(&begun, PB_READERS);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(push(n, i * 10 + 1, i * 10 + 10, &r), 200);
	assert_int_equal(begun, PB_READERS);
	close(fd[0]);			/* while it is made */
	for (unsigned i = 0; i <= PB_READERS; i++)
		sem_post(&go_on);
	for (unsigned i = 1; i <= PB_READERS; i++) {
		read_reply(fd[i], &r);
		assert_int_equal(r.status, 200);
		close(fd[i]);
	}
	until(&dropped, PB_READERS + 1);
}

static void
makers_that_wait_take_no_thread(void **state)
{
	enum { PEERS = 3 * PB_READERS };
	struct node *n = *state;
	struct reply r;
	int fd[PEERS], other = dial(n);

	for (int i = 0; i < PEERS; i++)
		fd[i] = ask_for(n, "/waits", NULL);
	until(&waiting, PEERS);
	assert_int_equal(ask(other, "GET", "/metrics", "", 0, &r), 200);
	for (int i = 0; i < PEERS; i++)
		pb_reading_wake(waits[i]);
	for (int i = 0; i < PEERS; i++) {
		read_reply(fd[i], &r);
		assert_int_equal(r.status, 200);
		close(fd[i]);
	}
	until(&dropped, PEERS);
	close(other);
}

static void
who_leaves_while_a_maker_waits_is_missed(void **state)
{
	struct node *n = *state;
	int fd = ask_for(n, "/waits", NULL);

	until(&waiting, 1);
	close(fd);
	until(&dropped, 1);
}

static void
who_does_not_take_its_answer_is_cut_off(void **state)
{
	struct node *n = *state;
	struct reply r;
	int fd;

	node_stop(n);
	n->conf.listen.idle_timeout_ms = 100;
	n->conf.listen.body_rate_min = 800000000;
	node_start(n);
	fd = ask_for(n, "/long", &r);
	until(&dropped, 1);
	assert_int_equal(read_long(fd), -1);
	close(fd);
}

static void
what_breaks_off_is_seen_to(void **state)
{
	struct node *n = *state;
	struct reply r;
	int fd = ask_for(n, "/breaks", &r);

	assert_int_equal(r.status, 200);
	assert_int_equal(read_long(fd), -1);
	close(fd);
	fd = dial(n);
	assert_int_equal(ask(fd, "GET", "/fails", "", 0, &r), 404);
	assert_string_equal(r.body, "{\"error\":\"it is gone\"}");
	assert_int_equal(ask(fd, "GET", "/v1/health", "", 0, &r), 200);
	close(fd);
	until(&dropped, 2);
}

static void
a_head_alone_makes_no_more_than_the_first_piece(void **state)
{
	struct node *n = *state;
	int fd = dial(n);
	struct reply r;

	put_head(fd, "HEAD", "/long", 0, "");
	read_head(fd, &r);
	assert_int_equal(r.status, 200);
	until(&dropped, 1);
	close(fd);
}

static void
a_node_stops_whatever_is_under_way(void **state)
{
	static const char *const path[] = { "/long", "/long", "/waits" };
	struct node *n = *state;
	struct reply r;
	int fd[3];

	for (int i = 0; i < 3; i++)
		fd[i] = ask_for(n, path[i], i < 2 ? &r : NULL);
	until(&waiting, 1);
	assert_int_equal(chunk_begins(fd[0]) > 0, 1);
	node_stop(n);
	assert_int_equal(dropped, 3);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_long, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_answer_larger_than_any_buffer_arrives_whole),
		TEST(over_tls_it_arrives_as_well),
		TEST(several_are_made_side_by_side),
		TEST(packets_come_in_while_peers_read_nothing),
		TEST(packets_come_in_while_every_reader_hangs),
		TEST(makers_that_wait_take_no_thread),
		TEST(who_leaves_while_a_maker_waits_is_missed),
		TEST(who_does_not_take_its_answer_is_cut_off),
		TEST(what_breaks_off_is_seen_to),
		TEST(a_head_alone_makes_no_more_than_the_first_piece),
		TEST(a_node_stops_whatever_is_under_way),
	};

	return cmocka_run_group_tests_name("long answers", tests, NULL, NULL);
}
