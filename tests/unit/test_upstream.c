/*
 * tests/unit/test_upstream.c - from a real store to what a receiver sees
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/upstream_fixture.h"

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
	assert_int_equal(pb_letters_late(b.letters, lates.at, 1, NULL, 0,
	    NULL), 0);
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

/* Of streams that are not for it now, those that it has had some of. */
static void
what_came_late_of_a_stream_it_had_waits_for_it(void **state)
{
	struct pb_cursor_row cursor = { .acked = 9 };
	struct pb_lates lates = { .count = 0 };
	struct bench b;

	(void)state;
	bench_init(&b, "par1/*", NULL, 0);
	grow(&b, 1, 9);
	pb_upstream_fill(b.upstream, &b.row, 3, 5, &lates);
	assert_int_equal(lates.count, 0);
	cursor.key = b.row.key;
	assert_int_equal(pb_state_begin(b.state, NULL), 0);
	pb_state_put_cursor(b.state, "core", &cursor);
	assert_int_equal(pb_state_commit(b.state), 0);
	pb_upstream_fill(b.upstream, &b.row, 3, 5, &lates);
	assert_int_equal(lates.count, 1);
	assert_int_equal(lates.at->first, 3);
	assert_int_equal(lates.at->last, 5);
	free(lates.at);
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
	assert_int_equal(pb_letters_late(b.letters, &late, 1, NULL, 0, NULL), 0);
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
		cmocka_unit_test(what_came_late_of_a_stream_it_had_waits_for_it),
		cmocka_unit_test(what_came_late_and_went_is_settled_once),
		cmocka_unit_test(a_gap_is_declared_as_the_protocol_says),
		cmocka_unit_test(
		    an_unreachable_upstream_backs_off_and_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
