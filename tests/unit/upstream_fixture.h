/*
 * tests/unit/upstream_fixture.h - an upstream with a store before it, and a
 * server that plays by a script behind it
 */
#ifndef PB_TEST_UPSTREAM_FIXTURE_H
#define PB_TEST_UPSTREAM_FIXTURE_H

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/clock.h"
#include "recorder/store/facts/acks.h"
#include "shipper/state/tables.h"
#include "shipper/upstream/upstream_impl.h"
#include "tests/unit/scripted_server.h"
#include "tests/unit/store_fixture.h"

#define PACKET		100u
#define GIVE_UP_MS	30000u
#define ACKED(n) "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" \
	"{\"acked\": " n "}"	/* n: one digit */

struct bench {
	struct fixture	 f;
	struct server	*server;
	struct pb_http	*http;
	struct pb_feed	*feed;
	struct pb_worker *worker;
	struct pb_state	*state;
	struct pb_letters *letters;
	struct pb_upstream *upstream;
	struct pb_upstream_env env;
	struct pb_stream_info row;
};

static struct pb_conf_upstream conf;

static inline void
found(void *arg, const void *owner, uint32_t id)
{
	struct bench *b = arg;

	assert_ptr_equal(owner, b->upstream);
	pb_ship_looked(b->upstream->ship, id, pb_clock_mono_ms(), 1);
}

static inline const struct pb_stream_info *
stream_of(void *arg, uint32_t id)
{
	struct bench *b = arg;

	return id == b->row.id ? &b->row : NULL;
}

static inline void
grow(struct bench *b, uint64_t first, uint64_t last)
{
	fixture_write(&b->f, first, last, PACKET);
	fixture_stream_row(&b->f, &b->row);
	assert_int_equal(pb_upstream_stream(b->upstream, &b->row, NULL), 0);
}

static inline bool
there(void *arg)
{
	(void)arg;
	return true;
}

static inline void
bench_init(struct bench *b, const char *streams, const struct line *script,
    unsigned lines)
{
	/* Nobody listens on port 1. */
	const char *dead = "http://127.0.0.1:1";
	struct pb_feed_opts feed_opts;
	struct pb_sink_opts sink_opts = { .conf = &conf,
	    .sender = 0x1234 };
	struct pb_sink *sink;

	memset(b, 0, sizeof(*b));
	fixture_init(&b->f, __LINE__);
	b->server = server_start(NULL, script, lines);
	assert_int_equal(pb_http_create(&b->http, 16, NULL), 0);
	assert_int_equal(pb_worker_create(&b->worker, "bodies", NULL), 0);
	feed_opts = (struct pb_feed_opts){ .store = b->f.dir,
	    .index = pb_store_index(b->f.store), .worker = b->worker,
	    .found = found, .arg = b };
	assert_int_equal(pb_feed_create(&b->feed, &feed_opts, NULL), 0);
	assert_int_equal(pb_state_open_write(&b->state, b->f.dir, NULL), 0);
	assert_int_equal(pb_letters_open(&b->letters, b->state, b->f.dir,
	    NULL), 0);
	memset(&conf, 0, sizeof(conf));
	strcpy(conf.name, "core");
	strcpy(conf.url, lines > 0 ? b->server->url : dead);
	strcpy(conf.streams, streams);
	conf.tls.off = true;
	conf.window = 64u << 20;
	b->env = (struct pb_upstream_env){ .store = b->f.dir,
	    .feed = b->feed, .worker = b->worker,
	    .keeper = b->worker, .index = pb_store_index(b->f.store),
	    .letters = b->letters, .state = b->state,
	    .stream = stream_of, .there = there, .arg = b };
	sink_opts.http = b->http;
	sink_opts.now_ms = pb_clock_mono_ms();
	assert_int_equal(pb_sink_create(&sink, &sink_opts, NULL), 0);
	assert_int_equal(pb_upstream_create(&b->upstream, &conf, &b->env,
	    sink, NULL), 0);
}

static inline void
bench_finish(struct bench *b)
{
	pb_upstream_destroy(b->upstream);
	pb_letters_close(b->letters);
	pb_state_close(b->state);
	pb_feed_destroy(b->feed);
	pb_worker_destroy(b->worker);
	pb_http_destroy(b->http);
	server_stop(b->server);
	fixture_finish(&b->f);
}

static inline void
wait_once(struct bench *b)
{
	int fd = pb_worker_fd(b->worker);

	assert_int_equal(pb_http_wait(b->http, &fd, 1, 10, NULL), 0);
	pb_worker_collect(b->worker);
}

/* Turn the loop until `requests` have ended and nothing is under way. */
static inline void
turn(struct bench *b, unsigned requests)
{
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	unsigned seen = 0;

	do {
		pb_upstream_run(b->upstream, pb_clock_mono_ms());
		wait_once(b);
		pthread_mutex_lock(&b->server->lock);
		seen = b->server->requests;
		pthread_mutex_unlock(&b->server->lock);
	} while ((seen < requests || pb_ship_flights(b->upstream->ship) > 0) &&
	    pb_clock_mono_ms() < end);
	pb_worker_drain(b->worker);
	assert_int_equal(seen, requests);
}

/* Is there news?  It is written down. */
static inline bool
has_news(struct bench *b)
{
	struct pb_news rows = { .failed = false };
	bool news = pb_upstream_report(b->upstream, &rows,
	    pb_clock_mono_ms(), pb_clock_real_ns());

	assert_int_equal(pb_news_write(&rows, b->state, NULL), 0);
	pb_news_finish(&rows);
	return news;
}

static inline struct pb_upstream_row
report(struct bench *b, struct pb_cursor_row *cursor)
{
	struct pb_upstream_row row;

	has_news(b);
	assert_int_equal(pb_state_upstreams(b->state, NULL, &row, 1, NULL), 1);
	assert_int_equal(pb_state_cursor(b->state, "core", &b->f.key, cursor,
	    NULL), 1);
	return row;
}

static inline struct pb_letter
only_letter(struct bench *b)
{
	struct pb_letter letter;

	assert_int_equal(pb_letters_find(b->letters, "core", &b->f.key, 1,
	    &letter, NULL), 1);
	return letter;
}

/* All letters of the stream, as an operator requeues them. */
static inline void
requeue_all(struct bench *b)
{
	struct pb_demotion why = { .upstream = "core", .stream = &b->row,
	    .dead = { .first = 1, .last = b->row.last_seq,
	    .reason = PB_DEAD_STALE } };
	const struct pb_letters_which which = { .upstream = "core" };
	struct pb_letters_sum sum = { .letters = 0 };
	uint64_t done;

	assert_int_equal(pb_letters_demote(b->letters, b->env.index, &why,
	    &done, NULL), 0);
	assert_int_equal(pb_letters_requeue(b->letters, &which, &sum, NULL),
	    0);
	assert_int_equal(only_letter(b).state, PB_LETTER_REQUEUED);
}

static inline void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#endif
