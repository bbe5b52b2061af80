/*
 * tests/unit/test_forks.c - where a stream has another epoch, kept and sent
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>

#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "pcapng/scan.h"
#include "recorder/store/read/peek.h"
#include "shipper/upstream/upstream_impl.h"
#include "tests/unit/scripted_server.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp.h"

#define PACKET		100u
#define GIVE_UP_MS	30000u

struct bench {
	struct fixture	 f;
	struct pb_state	*state;
	struct server	*server;
	struct pb_http	*http;
	struct pb_feed	*feed;
	struct pb_worker *worker;
	struct pb_letters *letters;
	struct pb_upstream *upstream;
	struct pb_stream_info row;
	char		 text[16][256];
	struct line	 line[16];
	unsigned	 lines;
};

static void
bench_init(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	fixture_init(&b->f, __LINE__);
	assert_int_equal(pb_state_open_write(&b->state, b->f.dir, NULL), 0);
}

static void
bench_finish(struct bench *b)
{
	pb_state_close(b->state);
	fixture_finish(&b->f);
}

static void
forks_come_back_as_they_were_kept(void **state)
{
	struct pb_forks in = { .count = PB_FORKS_MAX }, out;
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_forks_load(b.state, "core", &b.f.key, &out, NULL),
	    0);
	assert_int_equal(out.count, 0);
	for (unsigned i = 0; i < PB_FORKS_MAX; i++)
		in.at[i] = (struct pb_fork){ .first = i * 10 + 6,
		    .epoch = UINT64_MAX - i };
	assert_int_equal(pb_forks_keep(b.state, "core", &b.f.key, &in, NULL),
	    0);
	pb_state_close(b.state);
	assert_int_equal(pb_state_open_write(&b.state, b.f.dir, NULL), 0);
	assert_int_equal(pb_forks_load(b.state, "core", &b.f.key, &out, NULL),
	    0);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(pb_forks_load(b.state, "cor", &b.f.key, &out, NULL),
	    0);
	assert_int_equal(out.count, 0);
	b.f.key.epoch++;
	assert_int_equal(pb_forks_load(b.state, "core", &b.f.key, &out, NULL),
	    0);
	assert_int_equal(out.count, 0);
	bench_finish(&b);
}

/* An edge may have an upstream's name, and the same stream. */
static void
forks_of_an_edge_are_no_upstreams(void **state)
{
	struct pb_forks in = { .count = 1, .at = { { 81, 7 } } }, out;
	struct pb_fork found;
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_forks_keep_edge(b.state, "core", &b.f.key, &in,
	    NULL), 0);
	assert_int_equal(pb_forks_load(b.state, "core", &b.f.key, &out, NULL),
	    0);
	assert_int_equal(out.count, 0);
	assert_int_equal(pb_forks_find(b.state, &b.f.key, 1, INT64_MAX, &out,
	    &found, NULL), 0);
	assert_int_equal(pb_forks_load_edge(b.state, "core", &b.f.key, &out,
	    NULL), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	/* One of before that is the edge's again. */
	in.count = 0;
	assert_int_equal(pb_forks_keep_edge(b.state, "core", &b.f.key, &in,
	    NULL), 0);
	assert_int_equal(pb_forks_load_edge(b.state, "core", &b.f.key, &out,
	    NULL), 0);
	assert_int_equal(out.count, 0);
	bench_finish(&b);
}

static void
parts_have_the_numbers_between_the_forks(void **state)
{
	const struct pb_forks forks = { .count = 2, .at = {
	    { .first = 6, .epoch = 71 }, { .first = 20, .epoch = 72 } } };
	const uint64_t base[] = { 0, 5, 19 }, top[] = { 5, 19, UINT64_MAX };
	const uint64_t epoch[] = { 70, 71, 72 };

	(void)state;
	for (unsigned part = 0; part <= 2; part++) {
		uint32_t id = PB_PART_ID(9u, part);

		assert_true(pb_forks_base(&forks, part) == base[part]);
		assert_true(pb_forks_top(&forks, part) == top[part]);
		assert_true(pb_forks_epoch(&forks, part, 70) == epoch[part]);
		assert_int_equal(PB_PART_OF(id), part);
		assert_int_equal(PB_PART_STREAM(id), 9);
	}
	assert_int_equal(PB_PART_OF(PB_PART_ID(9u, PB_FORKS_MAX)),
	    PB_FORKS_MAX);
}

static void
an_epoch_is_a_function_of_what_both_have(void **state)
{
	uint8_t bytes[24];

	(void)state;
	pb_put_le64(bytes, 1);
	pb_put_le64(bytes + 8, 2);
	pb_put_le64(bytes + 16, 3);
	assert_true(pb_fork_epoch(1, 2, 3) == XXH3_64bits(bytes, 24));
	assert_true(pb_fork_epoch(1, 2, 3) != pb_fork_epoch(1, 2, 4));
	assert_true(pb_fork_epoch(1, 2, 3) != pb_fork_epoch(1, 3, 3));
	assert_true(pb_fork_epoch(1, 2, 3) != pb_fork_epoch(2, 2, 3));
}

/* --- on the wire -------------------------------------------------------- */

static void
found(void *arg, const void *owner, uint32_t id)
{
	struct bench *b = arg;

	assert_ptr_equal(owner, b->upstream);
	pb_ship_looked(b->upstream->ship, id, pb_clock_mono_ms(), 1);
}

static const struct pb_stream_info *
stream_of(void *arg, uint32_t id)
{
	struct bench *b = arg;

	return id == b->row.id ? &b->row : NULL;
}

/* One more line of the script. */
static void
say(struct bench *b, uint64_t acked, uint64_t last, uint64_t digest)
{
	char body[128], *out = b->text[b->lines];

	if (last != 0)
		snprintf(body, sizeof(body), "{\"acked\":%llu,\"last\":{"
		    "\"seq\":%llu,\"digest\":\"xxh3=%016llx\"}}",
		    (unsigned long long)acked, (unsigned long long)last,
		    (unsigned long long)digest);
	else
		snprintf(body, sizeof(body), "{\"acked\":%llu}",
		    (unsigned long long)acked);
	snprintf(out, sizeof(b->text[0]), "HTTP/1.1 200 OK\r\n"
	    "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	b->line[b->lines++] = (struct line){ ANSWER, out };
}

static uint64_t
digest_of(struct bench *b, uint64_t seq)
{
	struct pb_fingerprint print;

	assert_int_equal(pb_peek_below(pb_store_index(b->f.store), b->f.dir,
	    &b->f.key, b->row.id, seq, true, &print, NULL), 1);
	assert_int_equal(print.seq, seq);
	return print.digest;
}

static void
upstream_start(struct bench *b)
{
	static struct pb_conf_upstream conf;
	struct pb_sink_opts sink_opts = { .conf = &conf, .sender = 0xab };
	struct pb_upstream_env env;
	struct pb_feed_opts feed_opts;
	struct pb_sink *sink;

	b->server = server_start(NULL, b->line, b->lines);
	assert_int_equal(pb_http_create(&b->http, 16, NULL), 0);
	assert_int_equal(pb_worker_create(&b->worker, "bodies", NULL), 0);
	feed_opts = (struct pb_feed_opts){ .store = b->f.dir,
	    .index = pb_store_index(b->f.store), .worker = b->worker,
	    .found = found, .arg = b };
	assert_int_equal(pb_feed_create(&b->feed, &feed_opts, NULL), 0);
	assert_int_equal(pb_letters_open(&b->letters, b->state, b->f.dir,
	    NULL), 0);
	memset(&conf, 0, sizeof(conf));
	strcpy(conf.name, "core");
	strcpy(conf.url, b->server->url);
	strcpy(conf.streams, "*");
	conf.tls.off = true;
	conf.window = 64u << 20;
	env = (struct pb_upstream_env){ .store = b->f.dir,
	    .feed = b->feed, .worker = b->worker,
	    .keeper = b->worker,
	    .index = pb_store_index(b->f.store),
	    .letters = b->letters, .state = b->state,
	    .stream = stream_of, .arg = b };
	sink_opts.http = b->http;
	sink_opts.now_ms = pb_clock_mono_ms();
	assert_int_equal(pb_sink_create(&sink, &sink_opts, NULL), 0);
	assert_int_equal(pb_upstream_create(&b->upstream, &conf, &env, sink,
	    NULL), 0);
	assert_int_equal(pb_upstream_stream(b->upstream, &b->row, NULL), 0);
}

static void
upstream_stop(struct bench *b)
{
	pb_upstream_destroy(b->upstream);
	pb_letters_close(b->letters);
	pb_feed_destroy(b->feed);
	pb_worker_destroy(b->worker);
	pb_http_destroy(b->http);
	server_stop(b->server);
}

static void
turn(struct bench *b, unsigned requests)
{
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	int fd = pb_worker_fd(b->worker);
	unsigned seen = 0;

	do {
		pb_upstream_run(b->upstream, pb_clock_mono_ms());
		assert_int_equal(pb_http_wait(b->http, &fd, 1, 10, NULL), 0);
		pb_worker_collect(b->worker);
		pthread_mutex_lock(&b->server->lock);
		seen = b->server->requests;
		pthread_mutex_unlock(&b->server->lock);
	} while ((seen < requests || pb_ship_flights(b->upstream->ship) > 0) &&
	    pb_clock_mono_ms() < end);
	assert_int_equal(seen, requests);
}

/* Its first packet is looked for. */
static int
fork_behind(struct bench *b, uint32_t id, uint64_t last, struct pb_err *err)
{
	struct pollfd fd = { .fd = pb_worker_fd(b->worker),
	    .events = POLLIN };
	int rc;

	while ((rc = upstream_fork(b->upstream, id, last, err)) ==
	    PB_SHIP_SOON) {
		assert_int_equal(poll(&fd, 1, GIVE_UP_MS), 1);
		pb_worker_collect(b->worker);
	}
	return rc;
}

static void
expect_head(struct bench *b, const char *start)
{
	assert_memory_equal(b->server->head, start, strlen(start));
	assert_non_null(strstr(b->server->head,
	    "\r\nPB-Sender: 00000000000000ab\r\n"));
}

/*
 * Goal:   from the fifth packet on ours go under another epoch, in path and
 *         body, behind a gap.
 * Method: nine packets; the receiver has other ones from the fifth on.
 */
static void
other_packets_are_passed_under_another_epoch(void **state)
{
	struct pb_news rows = { .failed = false };
	struct pb_cursor_row cursor;
	char path[96], start[128];
	struct pb_forks forks;
	struct bench b;
	uint64_t epoch;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 9, PACKET);
	fixture_stream_row(&b.f, &b.row);
	say(&b, 9, 9, 1);
	say(&b, 9, 9, 1);		/* at=9 */
	say(&b, 9, 4, digest_of(&b, 4));
	say(&b, 9, 6, 1);
	say(&b, 9, 5, 1);
	say(&b, 0, 0, 0);		/* the new epoch */
	say(&b, 4, 0, 0);		/* its gap */
	say(&b, 9, 0, 0);		/* its packets */
	epoch = pb_fork_epoch(b.f.key.epoch, 4, digest_of(&b, 5));
	snprintf(path, sizeof(path), "/v1/streams/lon1/eth0/%016llx",
	    (unsigned long long)epoch);
	upstream_start(&b);
	turn(&b, 8);
	snprintf(start, sizeof(start), "POST %s/packets HTTP/1.1\r\n", path);
	expect_head(&b, start);
	assert_non_null(strstr(b.server->head, "\r\nPB-First: 5\r\n"));
	/* The first value in the body's segment option. */
	assert_true(memmem(b.server->body, 256, "PB\1\1", 4) != NULL);
	assert_true(pb_get_le64((uint8_t *)memmem(b.server->body, 256,
	    "PB\1\1", 4) + 4) == epoch);
	assert_int_equal(pb_forks_load(b.state, "core", &b.f.key, &forks,
	    NULL), 0);
	assert_int_equal(forks.count, 1);
	assert_int_equal(forks.at[0].first, 5);
	assert_true(forks.at[0].epoch == epoch);
	/* Retention hears of one stream. */
	pb_upstream_report(b.upstream, &rows, pb_clock_mono_ms(),
	    pb_clock_real_ns());
	assert_int_equal(pb_news_write(&rows, b.state, NULL), 0);
	pb_news_finish(&rows);
	assert_int_equal(pb_state_cursor(b.state, "core", &b.f.key, &cursor,
	    NULL), 1);
	assert_int_equal(cursor.acked, 9);
	assert_int_equal(cursor.released, 9);
	assert_int_equal(cursor.sure.seq, 9);
	assert_true(cursor.sure.digest == digest_of(&b, 9));
	upstream_stop(&b);
	bench_finish(&b);
}

static void
wait_for_lock(void *lock)
{
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
}

static void
no_matter(void *arg)
{
	(void)arg;
}

/* One turn of the loop. */
static void
turn_once(struct bench *b)
{
	int fd = pb_worker_fd(b->worker);

	pb_upstream_run(b->upstream, pb_clock_mono_ms());
	assert_int_equal(pb_http_wait(b->http, &fd, 1, 10, NULL), 0);
	pb_worker_collect(b->worker);
}

/*
 * Goal:   the loop waits for no disk where a stream forks, and sends
 *         nothing of the new part before its name is durable.
 * Method: the keeper is held up until it is to write; all else goes on.
 */
static void
a_fork_is_written_by_the_keeper(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct pb_job held = { .run = wait_for_lock, .done = no_matter,
	    .arg = &lock };
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	struct pb_worker *keeper;
	struct pb_forks forks;
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 9, PACKET);
	fixture_stream_row(&b.f, &b.row);
	say(&b, 9, 1, digest_of(&b, 1));
	say(&b, 0, 0, 0);		/* the new epoch */
	say(&b, 1, 0, 0);		/* its gap */
	say(&b, 9, 0, 0);		/* its packets */
	b.row.own = true;
	upstream_start(&b);
	assert_int_equal(pb_worker_create(&keeper, "keeper", NULL), 0);
	b.upstream->env.keeper = keeper;
	pthread_mutex_lock(&lock);
	pb_worker_give(keeper, &held);
	do {
		turn_once(&b);
		assert_int_equal(pb_forks_load(b.state, "core", &b.f.key,
		    &forks, NULL), 0);
		assert_int_equal(forks.count, 0);
	} while (LIST_EMPTY(&b.upstream->tasks) && pb_clock_mono_ms() < end);
	assert_false(LIST_EMPTY(&b.upstream->tasks));
	assert_int_equal(b.server->requests, 1);
	pthread_mutex_unlock(&lock);
	pb_worker_drain(keeper);
	turn(&b, 4);
	assert_non_null(strstr(b.server->head, "\r\nPB-First: 2\r\n"));
	upstream_stop(&b);
	pb_worker_destroy(keeper);
	bench_finish(&b);
}

/*
 * Goal:   a fork that cannot be taken leaves one row, however often.
 * Method: there is no room for another stream; then there is, after a
 *         restart.
 */
static void
a_fork_that_cannot_be_taken_is_named_once(void **state)
{
	struct pb_forks forks;
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 9, PACKET);
	fixture_stream_row(&b.f, &b.row);
	upstream_start(&b);
	for (uint32_t id = 1000; pb_ship_stream(b.upstream->ship, id, false, 0,
	    NULL) >= 0; id++)
		;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fork_behind(&b, b.row.id, 4, &err),
		    PB_ELIMIT);
	assert_int_equal(upstream_forks(b.upstream, b.row.id)->count, 1);
	assert_int_equal(pb_forks_load(b.state, "core", &b.f.key, &forks,
	    NULL), 0);
	assert_int_equal(forks.count, 1);
	upstream_stop(&b);
	upstream_start(&b);
	assert_int_equal(upstream_forks(b.upstream, b.row.id)->count, 1);
	assert_int_equal(fork_behind(&b, PB_PART_ID(b.row.id, 1u),
	    7, &err), 1);
	assert_int_equal(pb_forks_load(b.state, "core", &b.f.key, &forks,
	    NULL), 0);
	assert_int_equal(forks.count, 2);
	assert_int_equal(forks.at[0].first, 5);
	assert_int_equal(forks.at[1].first, 8);
	upstream_stop(&b);
	bench_finish(&b);
}

/* Until the keeper has written it, the fork of the stream is not known. */
static void
name_fork(struct bench *b, uint64_t last)
{
	while (LIST_EMPTY(&b->upstream->tasks)) {
		assert_int_equal(upstream_fork(b->upstream, b->row.id, last,
		    NULL), PB_SHIP_SOON);
		pb_worker_drain(b->worker);
		pb_worker_drain(b->upstream->env.keeper);
	}
}

static unsigned
forks_kept(struct bench *b)
{
	struct pb_forks forks;

	assert_int_equal(pb_forks_load(b->state, "core", &b->f.key, &forks,
	    NULL), 0);
	return forks.count;
}

/*
 * Goal:   where the receiver is put right before a fork is taken, nothing
 *         goes a second time after a restart: the fork is forgotten before
 *         what is past it is sent.
 * Method: a fork is named, and then the answer is that of the same stream;
 *         the keeper is held up meanwhile.
 */
static void
a_fork_that_is_not_taken_is_forgotten(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct pb_job held = { .run = wait_for_lock, .done = no_matter,
	    .arg = &lock };
	struct pb_worker *keeper;
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 9, PACKET);
	fixture_stream_row(&b.f, &b.row);
	say(&b, 4, 4, digest_of(&b, 4));
	say(&b, 9, 0, 0);		/* its packets */
	upstream_start(&b);
	assert_int_equal(pb_worker_create(&keeper, "keeper", NULL), 0);
	b.upstream->env.keeper = keeper;
	name_fork(&b, 4);
	assert_int_equal(forks_kept(&b), 1);
	pthread_mutex_lock(&lock);
	pb_worker_give(keeper, &held);
	turn(&b, 1);
	for (unsigned i = 0; i < 3; i++) {
		pb_worker_drain(b.worker);
		turn_once(&b);
	}
	assert_int_equal(forks_kept(&b), 1);
	assert_int_equal(b.server->requests, 1);
	pthread_mutex_unlock(&lock);
	pb_worker_drain(keeper);
	assert_int_equal(forks_kept(&b), 0);
	turn(&b, 2);
	assert_non_null(strstr(b.server->head, "\r\nPB-First: 5\r\n"));
	expect_head(&b, "POST /v1/streams/lon1/eth0/1122334455667788/");
	upstream_stop(&b);
	pb_worker_destroy(keeper);
	bench_finish(&b);
}

/*
 * Goal:   a fork that was named again elsewhere, and not, either.
 * Method: no packet is past 9 that could name it.
 */
static void
a_fork_that_another_one_did_not_replace_is_forgotten_too(void **state)
{
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 9, PACKET);
	fixture_stream_row(&b.f, &b.row);
	upstream_start(&b);
	name_fork(&b, 4);
	assert_int_equal(fork_behind(&b, b.row.id, 9, &err), 0);
	assert_int_equal(forks_kept(&b), 1);
	assert_int_equal(upstream_stay(b.upstream, b.row.id), PB_SHIP_SOON);
	assert_int_equal(fork_behind(&b, b.row.id, 9, &err), 0);
	assert_int_equal(forks_kept(&b), 0);
	assert_int_equal(upstream_stay(b.upstream, b.row.id), 0);
	upstream_stop(&b);
	bench_finish(&b);
}

/* Its section was renamed: what it has is under the epoch of before. */
static void
a_fork_has_the_epoch_that_another_upstream_knows(void **state)
{
	const struct pb_forks old = { .count = 2, .at = {
	    { .first = 3, .epoch = 71 }, { .first = 7, .epoch = 72 } } };
	struct pb_forks forks;
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 9, PACKET);
	fixture_stream_row(&b.f, &b.row);
	assert_int_equal(pb_forks_keep(b.state, "before", &b.f.key, &old,
	    NULL), 0);
	b.f.key.epoch++;
	assert_int_equal(pb_forks_keep(b.state, "a", &b.f.key, &(struct
	    pb_forks){ .count = 1, .at = { { .first = 3, .epoch = 99 } } },
	    NULL), 0);
	b.f.key.epoch--;
	upstream_start(&b);
	assert_int_equal(fork_behind(&b, b.row.id, 2, &err), 1);
	/* 5 is here, and between it and the next one of before. */
	assert_int_equal(fork_behind(&b, PB_PART_ID(b.row.id, 1u),
	    4, &err), 1);
	assert_int_equal(fork_behind(&b, PB_PART_ID(b.row.id, 2u),
	    6, &err), 1);
	assert_int_equal(pb_forks_load(b.state, "core", &b.f.key, &forks,
	    NULL), 0);
	assert_int_equal(forks.count, 3);
	assert_true(forks.at[0].epoch == 71);
	assert_true(forks.at[1].epoch == pb_fork_epoch(71, 4,
	    digest_of(&b, 5)));
	assert_true(forks.at[2].epoch == 72);
	upstream_stop(&b);
	bench_finish(&b);
}

/* Packets 1 to 4 were here, and have expired. */
static void
a_fork_is_known_again_when_its_first_packet_is_gone(void **state)
{
	const struct pb_forks old = { .count = 1, .at = {
	    { .first = 3, .epoch = 71 } } };
	struct pb_chunk *chunk = pb_chunk_create();
	struct pb_forks forks;
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	chunk->stream = b.f.stream;
	chunk->done = fixture_done;
	chunk->arg = &b.f;
	chunk->first_seq = 1;
	chunk->last_seq = 4;
	chunk->gap = PB_GAP_EXPIRED;
	assert_int_equal(fixture_submit(&b.f, chunk), 0);
	fixture_write(&b.f, 5, 9, PACKET);
	fixture_stream_row(&b.f, &b.row);
	assert_int_equal(pb_forks_keep(b.state, "before", &b.f.key, &old,
	    NULL), 0);
	upstream_start(&b);
	assert_int_equal(fork_behind(&b, b.row.id, 0, &err), 1);
	assert_int_equal(pb_forks_load(b.state, "core", &b.f.key, &forks,
	    NULL), 0);
	assert_int_equal(forks.count, 1);
	assert_int_equal(forks.at[0].first, 3);
	assert_true(forks.at[0].epoch == 71);
	upstream_stop(&b);
	bench_finish(&b);
}

/* Of an idle stream nothing may be left to compare. */
static void
what_was_confirmed_will_do_where_its_file_is_gone(void **state)
{
	struct pb_cursor_row row = { .acked = 9, .sent = 9, .released = 9,
	    .state = PB_CURSOR_READY, .sure = { .seq = 9, .digest = 77 } };
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 9, PACKET);
	fixture_stream_row(&b.f, &b.row);
	b.row.own = true;
	row.key = b.f.key;
	assert_int_equal(pb_state_begin(b.state, NULL), 0);
	pb_state_put_cursor(b.state, "core", &row);
	assert_int_equal(pb_state_commit(b.state), 0);
	shell("rm -rf '%s/segments/lon1'", b.f.dir);
	say(&b, 9, 9, 77);
	upstream_start(&b);
	turn(&b, 1);
	expect_head(&b, "GET /v1/streams/lon1/eth0/1122334455667788 ");
	upstream_stop(&b);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forks_come_back_as_they_were_kept),
		cmocka_unit_test(forks_of_an_edge_are_no_upstreams),
		cmocka_unit_test(parts_have_the_numbers_between_the_forks),
		cmocka_unit_test(an_epoch_is_a_function_of_what_both_have),
		cmocka_unit_test(other_packets_are_passed_under_another_epoch),
		cmocka_unit_test(a_fork_is_written_by_the_keeper),
		cmocka_unit_test(a_fork_that_cannot_be_taken_is_named_once),
		cmocka_unit_test(a_fork_that_is_not_taken_is_forgotten),
		cmocka_unit_test(
		    a_fork_that_another_one_did_not_replace_is_forgotten_too),
		cmocka_unit_test(
		    a_fork_has_the_epoch_that_another_upstream_knows),
		cmocka_unit_test(
		    a_fork_is_known_again_when_its_first_packet_is_gone),
		cmocka_unit_test(what_was_confirmed_will_do_where_its_file_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
