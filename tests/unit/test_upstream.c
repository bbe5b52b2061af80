/*
 * tests/unit/test_upstream.c - from a real store to what a receiver sees
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

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

static void
grow(struct bench *b, uint64_t first, uint64_t last)
{
	fixture_write(&b->f, first, last, PACKET);
	fixture_stream_row(&b->f, &b->row);
	assert_int_equal(pb_upstream_stream(b->upstream, &b->row, NULL), 0);
}

static bool
there(void *arg)
{
	(void)arg;
	return true;
}

static void
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

static void
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

static void
wait_once(struct bench *b)
{
	int fd = pb_worker_fd(b->worker);

	assert_int_equal(pb_http_wait(b->http, &fd, 1, 10, NULL), 0);
	pb_worker_collect(b->worker);
}

/* Turn the loop until `requests` have ended and nothing is under way. */
static void
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
static bool
has_news(struct bench *b)
{
	struct pb_news rows = { .failed = false };
	bool news = pb_upstream_report(b->upstream, &rows,
	    pb_clock_mono_ms(), pb_clock_real_ns());

	assert_int_equal(pb_news_write(&rows, b->state, NULL), 0);
	pb_news_finish(&rows);
	return news;
}

static struct pb_upstream_row
report(struct bench *b, struct pb_cursor_row *cursor)
{
	struct pb_upstream_row row;

	has_news(b);
	assert_int_equal(pb_state_upstreams(b->state, NULL, &row, 1, NULL), 1);
	assert_int_equal(pb_state_cursor(b->state, "core", &b->f.key, cursor,
	    NULL), 1);
	return row;
}

static void
packets_go_out_as_the_protocol_says(void **state)
{
	struct line script[] = { { ANSWER, ACKED("0") },
	    { ANSWER, ACKED("9") } };
	struct pb_cursor_row cursor;
	struct pb_upstream_row row;
	struct bench b;
	char digest[64];

	(void)state;
	bench_init(&b, "lon*/eth?", script, 2);
	assert_false(pb_ship_flights(b.upstream->ship) > 0);
	grow(&b, 1, 9);
	turn(&b, 2);
	assert_memory_equal(b.server->head, "POST /v1/streams/lon1/eth0/"
	    "1122334455667788/packets HTTP/1.1\r\n", 62);
	assert_non_null(strstr(b.server->head, "\r\nPB-First: 1\r\n"));
	assert_non_null(strstr(b.server->head, "\r\nPB-Last: 9\r\n"));
	snprintf(digest, sizeof(digest), "\r\nPB-Digest: xxh3=%016llx\r\n",
	    (unsigned long long)XXH3_64bits(b.server->body,
	    b.server->body_len));
	assert_non_null(strstr(b.server->head, digest));
	assert_memory_equal(b.server->body, "\x0a\x0d\x0d\x0a", 4);
	row = report(&b, &cursor);
	assert_int_equal(row.state, PB_SHIP_IDLE);
	assert_int_equal(row.acked_packets, 9);
	assert_int_equal(row.sent_bytes, b.server->body_len);
	assert_int_equal(row.acked_bytes, b.server->body_len);
	assert_string_equal(row.url, b.server->url);
	assert_int_equal(cursor.acked, 9);
	assert_int_equal(cursor.state, PB_CURSOR_READY);
	/* Nothing has happened since. */
	assert_false(has_news(&b));
	pb_upstream_report_again(b.upstream);
	assert_true(has_news(&b));
	bench_finish(&b);
}

static void
the_question_comes_first(void **state)
{
	struct line script[] = { { ANSWER, ACKED("9") } };
	struct bench b;

	(void)state;
	bench_init(&b, "*", script, 1);
	grow(&b, 1, 9);
	turn(&b, 1);
	assert_memory_equal(b.server->head, "GET /v1/streams/lon1/eth0/"
	    "1122334455667788 HTTP/1.1\r\n", 53);
	/* All is there: nothing to send. */
	turn(&b, 1);
	bench_finish(&b);
}

static void
streams_that_are_not_named_stay(void **state)
{
	struct line script[] = { { ANSWER, ACKED("9") } };
	struct bench b;

	(void)state;
	bench_init(&b, "par*/*, lon1/wlan0", script, 1);
	grow(&b, 1, 9);
	turn(&b, 0);
	bench_finish(&b);
}

static void
a_refusal_keeps_the_receivers_words(void **state)
{
	struct line script[] = { { ANSWER, "HTTP/1.1 404 No\r\n"
	    "Content-Length: 24\r\n\r\n{\"error\": \"bad\\u0007 x\"}" } };
	struct pb_cursor_row cursor;
	struct pb_upstream_row row;
	struct bench b;

	(void)state;
	bench_init(&b, "*", script, 1);
	grow(&b, 1, 9);
	turn(&b, 1);
	row = report(&b, &cursor);
	assert_int_equal(row.state, PB_SHIP_REFUSED);
	assert_int_equal(cursor.state, PB_CURSOR_REFUSED);
	assert_int_equal(cursor.acked, 0);
	assert_memory_equal(cursor.text, "status 404: bad", 15);
	assert_memory_equal(row.last_error, "status 404: bad", 15);
	bench_finish(&b);
}

static struct pb_letter
only_letter(struct bench *b)
{
	struct pb_letter letter;

	assert_int_equal(pb_letters_find(b->letters, "core", &b->f.key, 1,
	    &letter, NULL), 1);
	return letter;
}

/*
 * Goal:   what is refused becomes a letter, is told as a gap, and goes out
 *         late, byte for byte, when it is requeued.
 * Method: 400 for the packets; the gap is taken; then all is taken.
 */
static void
refused_packets_are_told_as_a_gap_and_can_be_sent_again(void **state)
{
	struct line script[] = { { ANSWER, ACKED("0") },
	    { ANSWER, "HTTP/1.1 400 No\r\nContent-Length: 16\r\n\r\n"
	    "{\"error\": \"odd\"}" },
	    { ANSWER, ACKED("0") }, { ANSWER, ACKED("9") },
	    { ANSWER, ACKED("9") } };
	const struct pb_letters_which which = { .upstream = "core" };
	struct pb_letters_sum sum = { .letters = 0 };
	struct pb_cursor_row cursor;
	struct pb_letter letter;
	struct bench b;

	(void)state;
	bench_init(&b, "*", script, 5);
	grow(&b, 1, 9);
	turn(&b, 4);
	b.server->body[b.server->body_len] = '\0';
	assert_non_null(strstr((char *)b.server->body,
	    "\"reason\":\"dead-lettered\""));
	letter = only_letter(&b);
	assert_int_equal(letter.first, 1);
	assert_int_equal(letter.last, 9);
	assert_int_equal(letter.state, PB_LETTER_DEAD);
	assert_int_equal(letter.reason, PB_DEAD_MALFORMED);
	assert_int_equal(letter.status, 400);
	assert_memory_equal(letter.error, "status 400: odd", 15);
	report(&b, &cursor);
	assert_int_equal(cursor.acked, 9);
	assert_int_equal(cursor.released, 9);
	assert_int_equal(pb_letters_requeue(b.letters, &which, &sum, NULL),
	    0);
	assert_int_equal(sum.packets, 9);
	pb_upstream_late(b.upstream, &b.row, true);
	turn(&b, 5);
	assert_non_null(strstr(b.server->head, "/packets HTTP/1.1\r\n"));
	assert_non_null(strstr(b.server->head, "\r\nPB-First: 1\r\n"));
	assert_non_null(strstr(b.server->head, "\r\nPB-Last: 9\r\n"));
	assert_int_equal(pb_letters_find(b.letters, "core", &b.f.key, 1,
	    &letter, NULL), 0);
	bench_finish(&b);
}

/* All letters of the stream, as an operator requeues them. */
static void
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

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/*
 * Goal:   a requeued letter that is refused while nothing can be written is
 *         not sent again, and is dead when it can be.
 * Method: the system refuses to write to files; the letter stands in its
 *         turn, so it would go out again at once.
 */
static void
what_is_refused_while_the_disk_is_full_is_sent_once(void **state)
{
	struct line script[] = { { ANSWER, ACKED("0") },
	    { ANSWER, "HTTP/1.1 400 No\r\nContent-Length: 16\r\n\r\n"
	    "{\"error\": \"odd\"}" },
	    { ANSWER, ACKED("0") }, { ANSWER, ACKED("9") } };
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	struct bench b;

	(void)state;
	bench_init(&b, "*", script, 4);
	grow(&b, 1, 9);
	requeue_all(&b);
	limit_files(0);
	/* The question, the letter, and the question again. */
	turn(&b, 3);
	for (unsigned i = 0; i < 5; i++) {
		turn(&b, 3);
		assert_int_equal(pb_upstream_again(b.upstream, NULL), 0);
	}
	assert_int_equal(only_letter(&b).state, PB_LETTER_REQUEUED);
	limit_files(RLIM_INFINITY);
	while (only_letter(&b).state != PB_LETTER_DEAD) {
		assert_true(pb_clock_mono_ms() < end);
		assert_int_equal(pb_upstream_again(b.upstream, NULL), 0);
		wait_once(&b);
	}
	assert_int_equal(only_letter(&b).reason, PB_DEAD_MALFORMED);
	/* And what is behind it flows. */
	turn(&b, 4);
	b.server->body[b.server->body_len] = '\0';
	assert_non_null(strstr((char *)b.server->body,
	    "\"reason\":\"dead-lettered\""));
	bench_finish(&b);
}

/* Its file is damaged: it is dead again, and what follows goes on. */
static void
a_letter_that_cannot_be_read_is_told_as_a_gap(void **state)
{
	struct line script[] = { { ANSWER, ACKED("0") },
	    { ANSWER, ACKED("5") }, { ANSWER, ACKED("9") } };
	const struct pb_letters_which which = { .upstream = NULL };
	struct pb_letters_sum sum = { .letters = 0 };
	struct pb_demotion why = { .upstream = "core", .dead = { .first = 1,
	    .last = 5, .reason = PB_DEAD_STALE } };
	struct pb_letter letter;
	char path[PATH_MAX];
	struct bench b;
	uint64_t done;

	(void)state;
	bench_init(&b, "*", script, 3);
	fixture_write(&b.f, 1, 9, PACKET);
	fixture_stream_row(&b.f, &b.row);
	why.stream = &b.row;
	assert_int_equal(pb_letters_demote(b.letters,
	    pb_store_index(b.f.store), &why, &done, NULL), 0);
	assert_int_equal(done, 5);
	assert_int_equal(pb_letters_requeue(b.letters, &which, &sum, NULL),
	    0);
	letter = only_letter(&b);
	assert_int_equal(pb_layout_letter(path, b.f.dir, "core", &letter.key,
	    letter.segment_seq, NULL), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(pb_upstream_stream(b.upstream, &b.row, NULL), 0);
	turn(&b, 3);
	assert_non_null(strstr(b.server->head, "\r\nPB-First: 6\r\n"));
	letter = only_letter(&b);
	assert_int_equal(letter.last, 5);
	assert_int_equal(letter.state, PB_LETTER_DEAD);
	assert_int_equal(letter.reason, PB_DEAD_MALFORMED);
	bench_finish(&b);
}

/*
 * Goal:   that it is dead again is one task, however often it is looked at.
 * Method: the system refuses to write to files, so the task waits.
 */
static void
a_letter_that_cannot_be_read_is_written_down_once(void **state)
{
	const struct upstream_task *first;
	const struct pb_mark mark = { .seq = 0 };
	struct pb_letter letter;
	struct pb_piece piece;
	struct pb_err err;
	char path[PATH_MAX];
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	grow(&b, 1, 9);
	requeue_all(&b);
	letter = only_letter(&b);
	assert_int_equal(pb_layout_letter(path, b.f.dir, "core", &letter.key,
	    letter.segment_seq, NULL), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	limit_files(0);
	do {
		assert_int_equal(upstream_look(b.upstream, b.row.id, 1, &mark,
		    PB_SHIP_PIECE_BYTES, true, &piece, &err), 0);
		pb_worker_drain(b.worker);
	} while (piece.kind == PB_PIECE_SOON);
	first = LIST_FIRST(&b.upstream->tasks);
	assert_non_null(first);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(upstream_look(b.upstream, b.row.id, 1, &mark,
		    PB_SHIP_PIECE_BYTES, true, &piece, &err), 0);
		pb_worker_drain(b.worker);
	}
	assert_int_equal(piece.kind, PB_PIECE_GAP);
	assert_ptr_equal(LIST_FIRST(&b.upstream->tasks), first);
	limit_files(RLIM_INFINITY);
	bench_finish(&b);
}

/*
 * Goal:   packets that came late go where they were told to be a gap.
 * Method: the upstream has all nine numbers, as it says; 3 to 5 come late.
 */
static void
packets_that_came_late_are_sent_late(void **state)
{
	struct line script[] = { { ANSWER, ACKED("9") },
	    { ANSWER, ACKED("9") } };
	struct pb_lates lates = { .count = 0 };
	struct pb_letter letter;
	struct bench b;

	(void)state;
	bench_init(&b, "*", script, 2);
	grow(&b, 1, 9);
	turn(&b, 1);
	pb_upstream_fill(b.upstream, &b.row, 3, 5, &lates);
	pb_upstream_fill(b.upstream, &b.row, 10, 12, &lates);
	assert_int_equal(lates.count, 1);
	assert_string_equal(lates.at->upstream, "core");
	assert_int_equal(lates.at->first, 3);
	assert_int_equal(lates.at->last, 5);
	assert_int_equal(pb_letters_late(b.letters, lates.at, 1, 1, NULL), 0);
	free(lates.at);
	assert_int_equal(only_letter(&b).state, PB_LETTER_LATE);
	pb_upstream_late(b.upstream, &b.row, false);
	turn(&b, 2);
	assert_non_null(strstr(b.server->head, "\r\nPB-First: 3\r\n"));
	assert_non_null(strstr(b.server->head, "\r\nPB-Last: 5\r\n"));
	assert_int_equal(pb_letters_find(b.letters, "core", &b.f.key, 1,
	    &letter, NULL), 0);
	bench_finish(&b);
}

/* Packets 1 to 3, then a gap up to 8. */
static void
write_gap(struct bench *b)
{
	struct pb_chunk *chunk = pb_chunk_create();

	fixture_write(&b->f, 1, 3, PACKET);
	chunk->stream = b->f.stream;
	chunk->head = pb_head_ref(b->f.head);
	chunk->done = fixture_done;
	chunk->arg = &b->f;
	chunk->first_seq = 4;
	chunk->last_seq = 8;
	chunk->gap = PB_GAP_DAMAGED;
	assert_int_equal(fixture_submit(&b->f, chunk), 0);
	fixture_wait(&b->f);
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

/*
 * Goal:   what came late and has gone again is forgotten, in one task for
 *         the keeper, however often it is looked for meanwhile.
 * Method: the keeper is held up; the newest task is the first of them.
 */
static void
what_came_late_and_went_is_settled_once(void **state)
{
	struct line script[] = { { ANSWER, ACKED("9") } };
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct pb_job held = { .run = wait_for_lock, .done = no_matter,
	    .arg = &lock };
	struct pb_late late = { .upstream = "core", .first = 4, .last = 6 };
	const struct upstream_task *first = NULL;
	struct pb_letter letter;
	struct bench b;

	(void)state;
	bench_init(&b, "*", script, 1);
	write_gap(&b);
	grow(&b, 9, 9);
	turn(&b, 1);
	late.key = b.f.key;
	assert_int_equal(pb_letters_late(b.letters, &late, 1, 1, NULL), 0);
	pthread_mutex_lock(&lock);
	pb_worker_give(b.worker, &held);
	for (unsigned i = 0; i < 5; i++) {
		pb_upstream_late(b.upstream, &b.row, false);
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		if (i == 0)
			first = LIST_FIRST(&b.upstream->tasks);
	}
	assert_non_null(first);
	assert_ptr_equal(LIST_FIRST(&b.upstream->tasks), first);
	pthread_mutex_unlock(&lock);
	pb_worker_drain(b.worker);
	assert_true(LIST_EMPTY(&b.upstream->tasks));
	assert_int_equal(pb_letters_find(b.letters, "core", &b.f.key, 1,
	    &letter, NULL), 0);
	bench_finish(&b);
}

static void
a_gap_is_declared_as_the_protocol_says(void **state)
{
	struct line script[] = { { ANSWER, ACKED("3") },
	    { ANSWER, ACKED("8") }, { ANSWER, ACKED("9") } };
	struct pb_cursor_row cursor;
	struct bench b;

	(void)state;
	bench_init(&b, "*", script, 3);
	write_gap(&b);
	fixture_stream_row(&b.f, &b.row);
	assert_int_equal(pb_upstream_stream(b.upstream, &b.row, NULL), 0);
	turn(&b, 2);
	assert_memory_equal(b.server->head, "POST /v1/streams/lon1/eth0/"
	    "1122334455667788/gaps HTTP/1.1\r\n", 59);
	b.server->body[b.server->body_len] = '\0';
	assert_non_null(strstr((char *)b.server->body, "\"first\":4"));
	assert_non_null(strstr((char *)b.server->body, "\"last\":8"));
	assert_non_null(strstr((char *)b.server->body,
	    "\"reason\":\"damaged\""));
	grow(&b, 9, 9);
	turn(&b, 3);
	report(&b, &cursor);
	assert_int_equal(cursor.acked, 9);
	bench_finish(&b);
}

static void
an_unreachable_upstream_backs_off_and_says_why(void **state)
{
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	struct pb_cursor_row cursor;
	struct pb_upstream_row row;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	grow(&b, 1, 9);
	do {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		pb_http_wait(b.http, NULL, 0, 10, NULL);
	} while (!pb_upstream_turned(b.upstream) && pb_clock_mono_ms() < end);
	assert_true(pb_upstream_turned(b.upstream));
	row = report(&b, &cursor);
	assert_int_equal(row.state, PB_SHIP_BACKOFF);
	assert_true(row.attempts > 0);
	assert_string_not_equal(row.last_error, "");
	assert_int_equal(cursor.state, PB_CURSOR_UNKNOWN);
	assert_false(pb_upstream_turned(b.upstream));
	bench_finish(&b);
}

/* --- another sink ------------------------------------------------------- */

/* It takes packets, and says nothing but that. */
struct mute {
	struct pb_sink	 sink;
	struct bench	*bench;
	bool		 refuses;	/* the next one */
	unsigned	 sent, request;
	uint64_t	 first, last;
	struct pb_cursor_row written;	/* when it was given packets */
	struct pb_sink_left_out left_out;
	unsigned	 gap;		/* the request that told one, and one;
					 * or 0 */
};

static int
mute_start(struct pb_sink *sink, const struct pb_sink_request *request,
    struct pb_err *err)
{
	struct mute *mute = (struct mute *)sink;

	if (mute->refuses) {
		mute->refuses = false;
		return pb_err_set(err, PB_ENOMEM, "not now");
	}
	if (request->action.kind == PB_ACTION_GAP) {
		mute->gap = request->action.request + 1;
		return 0;
	}
	assert_int_equal(request->action.kind, PB_ACTION_PACKETS);
	assert_true(request->payload.len > 0);
	mute->request = request->action.request;
	mute->first = request->action.piece.first;
	mute->last = request->action.piece.last;
	mute->sent++;
	assert_int_equal(pb_state_cursor(mute->bench->state, "core",
	    &mute->bench->f.key, &mute->written, NULL), 1);
	return 0;
}

static void
mute_left_out(struct pb_sink *sink, struct pb_sink_left_out *out)
{
	*out = ((struct mute *)sink)->left_out;
}

static void
mute_destroy(struct pb_sink *sink)
{
	(void)sink;
}

/* In the place of the upstream that is there. */
static void
start_mute(struct bench *b, struct mute *mute, bool once)
{
	static const struct pb_sink_kind kind[] = {
		{ .start = mute_start, .way.remembered = true,
		    .left_out = mute_left_out, .destroy = mute_destroy },
		{ .start = mute_start, .way = { .remembered = true,
		    .once = true }, .left_out = mute_left_out,
		    .destroy = mute_destroy },
	};

	pb_upstream_destroy(b->upstream);
	memset(mute, 0, sizeof(*mute));
	mute->bench = b;
	mute->sink.kind = &kind[once];
	assert_int_equal(pb_upstream_create(&b->upstream, &conf, &b->env,
	    &mute->sink, NULL), 0);
}

static void
give_one(struct bench *b, struct mute *mute)
{
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;

	while (mute->sent == 0 && pb_clock_mono_ms() < end) {
		pb_upstream_run(b->upstream, pb_clock_mono_ms());
		wait_once(b);
	}
	assert_int_equal(mute->sent, 1);
}

static void
take_one(struct bench *b, struct mute *mute)
{
	struct pb_answer answer = { .outcome = PB_OUTCOME_HAS, .ours = true };

	give_one(b, mute);
	mute->sink.done(mute->sink.arg, mute->request, &answer);
}

/*
 * Goal:   how far a sink is that cannot be asked, is what we remember.
 * Method: it gets nine packets; after a restart, those that follow.
 */
static void
a_sink_that_cannot_be_asked_goes_on_where_it_was(void **state)
{
	struct pb_cursor_row cursor;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, false);
	grow(&b, 1, 9);
	take_one(&b, &mute);
	assert_int_equal(mute.first, 1);
	assert_int_equal(mute.last, 9);
	assert_int_equal(report(&b, &cursor).state, PB_SHIP_IDLE);
	assert_int_equal(cursor.acked, 9);
	start_mute(&b, &mute, false);
	grow(&b, 10, 12);
	take_one(&b, &mute);
	assert_int_equal(mute.first, 10);
	assert_int_equal(mute.last, 12);
	/* Before they were sent it was durable where they begin. */
	assert_int_equal(mute.written.acked, 9);
	assert_int_equal(mute.written.unsure[0].first, 0);
	bench_finish(&b);
}

/* A row that says nothing is not one that is not there. */
static void
nothing_is_sent_where_a_damaged_row_says_how_far_it_is(void **state)
{
	struct pb_mdb_txn txn;
	struct pb_err err;
	struct mute mute;
	struct bench b;
	uint8_t key[PB_ACKS_KEY_MAX];

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, true);
	grow(&b, 1, 9);
	take_one(&b, &mute);
	report(&b, &mute.written);
	assert_int_equal(pb_mdb_begin(b.state->mdb, true, &txn, NULL), 0);
	pb_mdb_put(&txn, PB_STATE_CURSORS, key, pb_acks_key(key, "core",
	    &b.f.key), "\377", 1);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	start_mute(&b, &mute, true);
	assert_int_equal(pb_upstream_stream(b.upstream, &b.row, &err),
	    PB_EFORMAT);
	assert_non_null(strstr(err.text, "lon1/eth0"));
	for (unsigned i = 0; i < 5; i++) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		pb_worker_drain(b.worker);
	}
	assert_int_equal(mute.sent, 0);
	bench_finish(&b);
}

/*
 * Goal:   what is sent once is written down before it is sent.
 * Method: a sink gets nine packets and is gone; they are letters then.
 */
static void
what_was_about_to_be_sent_once_is_known_to_be_unsure(void **state)
{
	struct pb_ship_cursor cursor;
	struct pb_upstream_row row;
	struct pb_letter letter;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, true);
	grow(&b, 1, 9);
	/* While it is only read it is not. */
	for (;;) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		if (pb_ship_flights(b.upstream->ship) > 0)
			break;
		pb_worker_drain(b.worker);
	}
	assert_true(pb_ship_cursor(b.upstream->ship, b.row.id, &cursor));
	assert_int_equal(cursor.unsure[0].first, 0);
	give_one(&b, &mute);
	assert_int_equal(mute.written.acked, 0);
	assert_int_equal(mute.written.unsure[0].first, 1);
	assert_int_equal(mute.written.unsure[0].last, 9);
	start_mute(&b, &mute, true);
	grow(&b, 10, 12);
	pb_upstream_run(b.upstream, pb_clock_mono_ms());
	pb_worker_drain(b.worker);
	assert_int_equal(mute.sent, 0);
	letter = only_letter(&b);
	assert_int_equal(letter.reason, PB_DEAD_UNSURE);
	assert_int_equal(letter.first, 1);
	assert_int_equal(letter.last, 9);
	assert_false(pb_letters_goes_again(&letter));
	row = report(&b, &mute.written);
	assert_int_equal(row.streams, 1);
	assert_int_equal(mute.written.unsure[0].first, 0);
	assert_int_equal(mute.written.released, 9);
	bench_finish(&b);
}

/*
 * Goal:   a letter that was requeued, and may have been sent, is unsure.
 * Method: the shipper ends twice with it under way: in its turn, as it was
 *         requeued before, and late.
 */
static void
settle_unsure(struct bench *b, struct mute *mute)
{
	struct pb_answer answer = { .outcome = PB_OUTCOME_HAS, .ours = true };

	for (unsigned n = 0; n < 10; n++) {
		pb_upstream_run(b->upstream, pb_clock_mono_ms());
		pb_worker_drain(b->worker);
		if (mute->gap > 0)
			mute->sink.done(mute->sink.arg, mute->gap - 1,
			    &answer);
		mute->gap = 0;
	}
	assert_int_equal(mute->sent, 0);
	assert_int_equal(only_letter(b).state, PB_LETTER_DEAD);
	assert_int_equal(only_letter(b).reason, PB_DEAD_UNSURE);
	assert_int_equal(only_letter(b).last, 9);
}

static void
a_requeued_letter_that_may_have_been_sent_is_unsure(void **state)
{
	const struct pb_letters_which which = { .upstream = "core" };
	struct pb_letters_sum sum = { .letters = 0 };
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, true);
	grow(&b, 1, 9);
	requeue_all(&b);
	for (unsigned i = 0; i < 2; i++) {
		give_one(&b, &mute);
		assert_int_equal(mute.first, 1);
		start_mute(&b, &mute, true);
		assert_int_equal(pb_upstream_stream(b.upstream, &b.row, NULL),
		    0);
		settle_unsure(&b, &mute);
		assert_int_equal(pb_letters_requeue(b.letters, &which, &sum,
		    NULL), 0);
		pb_upstream_late(b.upstream, &b.row, true);
	}
	bench_finish(&b);
}

/*
 * Goal:   what is behind one that could not be sent is not sent before it.
 * Method: two units are made ready, and the sink takes not the first one.
 */
static void
units_of_a_stream_are_given_in_their_order(void **state)
{
	static const struct pb_sink_kind kind = { .start = mute_start,
	    .way = { .remembered = true, .units = 2, .unit_bytes = 400 },
	    .destroy = mute_destroy };
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	struct pb_worker *keeper;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	assert_int_equal(pb_worker_create(&keeper, "keeper", NULL), 0);
	b.env.keeper = keeper;
	start_mute(&b, &mute, false);
	pb_upstream_destroy(b.upstream);
	mute.sink.kind = &kind;
	assert_int_equal(pb_upstream_create(&b.upstream, &conf, &b.env,
	    &mute.sink, NULL), 0);
	grow(&b, 1, 9);
	mute.refuses = true;
	/* What is written down is not collected before there are two. */
	while (pb_ship_flights(b.upstream->ship) < 2 &&
	    pb_clock_mono_ms() < end) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		pb_worker_drain(b.worker);
	}
	assert_int_equal(pb_ship_flights(b.upstream->ship), 2);
	pb_worker_drain(keeper);
	assert_false(mute.refuses);
	assert_int_equal(mute.sent, 0);
	while (mute.sent == 0 && pb_clock_mono_ms() < end) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		wait_once(&b);
		pb_worker_drain(keeper);
	}
	assert_int_equal(mute.first, 1);
	pb_upstream_destroy(b.upstream);
	b.upstream = NULL;
	pb_worker_destroy(keeper);
	bench_finish(&b);
}

/*
 * Goal:   packets that were not sent are counted, whatever ends the shipper.
 * Method: of nine packets three are left out, and nothing is reported but
 *         that what follows is about to be sent.
 */
static void
what_was_left_out_is_durable_with_what_went(void **state)
{
	struct pb_upstream_row row;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, false);
	grow(&b, 1, 9);
	give_one(&b, &mute);
	mute.left_out = (struct pb_sink_left_out){ .filtered = 1, .unfit = 2,
	    .text = "packet 7: long" };
	take_one(&b, &mute);
	mute.sent = 0;
	grow(&b, 10, 12);
	give_one(&b, &mute);
	assert_int_equal(mute.written.acked, 9);
	assert_int_equal(pb_state_upstream(b.state, "core", &row, NULL), 1);
	assert_int_equal(row.unfit, 2);
	/* The next one goes on counting. */
	start_mute(&b, &mute, false);
	row = (struct pb_upstream_row){ .unfit = 0 };
	has_news(&b);
	assert_int_equal(pb_state_upstream(b.state, "core", &row, NULL), 1);
	assert_int_equal(row.filtered, 1);
	assert_int_equal(row.unfit, 2);
	assert_string_equal(row.unfit_text, "packet 7: long");
	mute.left_out = (struct pb_sink_left_out){ .unfit = 1,
	    .text = "packet 11: long" };
	has_news(&b);
	assert_int_equal(pb_state_upstream(b.state, "core", &row, NULL), 1);
	assert_int_equal(row.unfit, 3);
	assert_string_equal(row.unfit_text, "packet 11: long");
	bench_finish(&b);
}

/*
 * Goal:   a letter that was sent once is not sent again, as it could not be
 *         written down that it was.
 * Method: the system refuses to write to files for a while.
 */
static void
a_letter_is_sent_once_while_the_disk_is_full(void **state)
{
	struct pb_answer answer = { .outcome = PB_OUTCOME_HAS, .ours = true };
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	struct pb_letter letter;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	conf.at_most_once = true;
	start_mute(&b, &mute, true);
	grow(&b, 1, 9);
	requeue_all(&b);
	give_one(&b, &mute);
	limit_files(0);
	mute.sink.done(mute.sink.arg, mute.request, &answer);
	for (unsigned i = 0; i < 5; i++) {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		pb_worker_drain(b.worker);
	}
	limit_files(RLIM_INFINITY);
	while (pb_letters_find(b.letters, "core", &b.f.key, 1, &letter,
	    NULL) == 1) {
		assert_true(pb_clock_mono_ms() < end);
		assert_int_equal(pb_upstream_again(b.upstream, NULL), 0);
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		wait_once(&b);
		assert_int_equal(mute.sent, 1);
	}
	bench_finish(&b);
}

/* Where it cannot be written down how far it is, nothing is sent. */
static void
nothing_is_sent_that_cannot_be_remembered(void **state)
{
	struct pb_cursor_row cursor;
	uint64_t end = pb_clock_mono_ms() + GIVE_UP_MS;
	struct pb_ship_cursor at;
	struct mute mute;
	struct bench b;

	(void)state;
	bench_init(&b, "*", NULL, 0);
	start_mute(&b, &mute, false);
	grow(&b, 1, 9);
	limit_files(0);
	do {
		pb_upstream_run(b.upstream, pb_clock_mono_ms());
		wait_once(&b);
		assert_true(pb_ship_cursor(b.upstream->ship, b.row.id, &at));
	} while (at.text[0] == '\0' && pb_clock_mono_ms() < end);
	limit_files(RLIM_INFINITY);
	assert_int_equal(mute.sent, 0);
	assert_int_equal(at.state, PB_CURSOR_WAITING);
	assert_non_null(strstr(at.text, "File too large"));
	take_one(&b, &mute);
	report(&b, &cursor);
	assert_int_equal(cursor.acked, 9);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_go_out_as_the_protocol_says),
		cmocka_unit_test(the_question_comes_first),
		cmocka_unit_test(streams_that_are_not_named_stay),
		cmocka_unit_test(a_refusal_keeps_the_receivers_words),
		cmocka_unit_test(
		    refused_packets_are_told_as_a_gap_and_can_be_sent_again),
		cmocka_unit_test(
		    what_is_refused_while_the_disk_is_full_is_sent_once),
		cmocka_unit_test(a_letter_that_cannot_be_read_is_told_as_a_gap),
		cmocka_unit_test(
		    a_letter_that_cannot_be_read_is_written_down_once),
		cmocka_unit_test(packets_that_came_late_are_sent_late),
		cmocka_unit_test(what_came_late_and_went_is_settled_once),
		cmocka_unit_test(a_gap_is_declared_as_the_protocol_says),
		cmocka_unit_test(
		    an_unreachable_upstream_backs_off_and_says_why),
		cmocka_unit_test(
		    a_sink_that_cannot_be_asked_goes_on_where_it_was),
		cmocka_unit_test(
		    nothing_is_sent_where_a_damaged_row_says_how_far_it_is),
		cmocka_unit_test(
		    what_was_about_to_be_sent_once_is_known_to_be_unsure),
		cmocka_unit_test(
		    a_requeued_letter_that_may_have_been_sent_is_unsure),
		cmocka_unit_test(units_of_a_stream_are_given_in_their_order),
		cmocka_unit_test(what_was_left_out_is_durable_with_what_went),
		cmocka_unit_test(a_letter_is_sent_once_while_the_disk_is_full),
		cmocka_unit_test(nothing_is_sent_that_cannot_be_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
