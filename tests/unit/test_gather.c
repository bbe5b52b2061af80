/*
 * tests/unit/test_gather.c - what nobody waits for is flushed together
 *
 * A chunk says when it is due.  Until then the writer may gather: into one
 * write, one sync, one commit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "recorder/store/write/segment.h"
#include "tests/unit/store_fixture.h"

#define HOUR_MS		(3600u * 1000u)
#define PACKETS		500u	/* of 1900 bytes: some 950 KB a chunk */
#define PATIENCE_MS	20000u

/* Chunk `n` (from 0) of the stream, due in `ms`. */
static void
submit_due(struct fixture *f, unsigned n, uint64_t ms, bool keep_trying)
{
	uint64_t first = 1 + n * PACKETS;
	struct pb_chunk *chunk = fixture_chunk(f, first, first + PACKETS - 1,
	    1900);

	chunk->due_ms = pb_clock_mono_ms() + ms;
	chunk->keep_trying = keep_trying;
	assert_int_equal(fixture_submit(f, chunk), 0);
}

static int
done(struct fixture *f)
{
	int ok;

	pthread_mutex_lock(&f->mutex);
	ok = f->ok;
	pthread_mutex_unlock(&f->mutex);
	return ok;
}

static void
wait_for_done(struct fixture *f, int count)
{
	uint64_t until = pb_clock_mono_ms() + PATIENCE_MS;

	while (done(f) < count && pb_clock_mono_ms() < until)
		usleep(1000);
	assert_true(done(f) >= count);
}

static void
a_chunk_is_durable_when_it_is_due_though_nothing_else_comes(void **state)
{
	struct fixture *f = *state;

	submit_due(f, 0, 30, true);
	wait_for_done(f, 1);
	assert_int_equal(pb_stream_durable(f->stream), PACKETS);
}

/* With segments that hold all of a test: none is sealed on the way. */
static void
open_again(struct fixture *f)
{
	struct pb_store_opts opts;

	pb_store_close(f->store);
	fixture_opts(f, &opts);
	opts.segment_size = 256u << 20;
	assert_int_equal(pb_store_open(&f->store, &opts, NULL), 0);
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, NULL), 0);
}

/* Until the stream's first segment, which is open, has so many bytes. */
static void
wait_for_bytes(struct fixture *f, off_t bytes)
{
	uint64_t until = pb_clock_mono_ms() + PATIENCE_MS;
	struct stat st = { .st_size = 0 };
	char path[PATH_MAX];

	assert_int_equal(pb_layout_segment(path, f->dir, &f->key, 1, true,
	    NULL), 0);
	while ((stat(path, &st) < 0 || st.st_size < bytes) &&
	    pb_clock_mono_ms() < until)
		usleep(1000);
	assert_true(st.st_size >= bytes);
}

/* Its writer has them: five are more than it gathers for one write. */
static void
chunks_that_are_not_due_share_the_commit_of_one_that_is(void **state)
{
	struct fixture *f = *state;
	struct pb_store_stats stats;
	uint64_t first, last;

	open_again(f);
	for (unsigned n = 0; n < 5; n++)
		submit_due(f, n, HOUR_MS, true);
	wait_for_bytes(f, 3 << 20);
	pb_store_stats(f->store, &stats);
	assert_int_equal(stats.commits, 0);
	assert_int_equal(done(f), 0);
	submit_due(f, 5, 0, true);
	fixture_wait(f);
	pb_store_stats(f->store, &stats);
	assert_int_equal(stats.commits, 1);
	assert_int_equal(stats.chunks, 6);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 6 * PACKETS);
}

/* Its producer may have no other chunk left, and wait for these. */
static void
much_is_flushed_though_none_of_it_is_due(void **state)
{
	struct fixture *f = *state;

	for (unsigned n = 0; n < 24; n++)
		submit_due(f, n, HOUR_MS, true);
	wait_for_done(f, 16);
}

static void
closing_makes_durable_what_was_not_due(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info row;

	submit_due(f, 0, HOUR_MS, true);
	submit_due(f, 1, HOUR_MS, true);
	pb_store_close(f->store);
	assert_int_equal(f->ok, 2);
	fixture_open(f);
	fixture_stream_row(f, &row);
	assert_int_equal(row.last_seq, 2 * PACKETS);
}

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
when_a_gathered_write_fails_no_chunk_of_it_counts(void **state)
{
	struct fixture *f = *state;
	uint64_t first, last;

	submit_due(f, 0, 0, false);
	fixture_wait(f);
	limit_files(2500u << 10);
	for (unsigned n = 1; n < 4; n++)
		submit_due(f, n, n < 3 ? HOUR_MS : 0, false);
	fixture_wait(f);
	limit_files(RLIM_INFINITY);
	assert_int_equal(f->failed, 3);
	assert_int_equal(pb_stream_durable(f->stream), PACKETS);
	for (unsigned n = 1; n < 4; n++)
		submit_due(f, n, n < 3 ? HOUR_MS : 0, false);
	fixture_wait(f);
	assert_int_equal(f->failed, 3);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 4 * PACKETS);
}

static void
gathered_chunks_of_capture_wait_in_order_until_the_disk_heals(void **state)
{
	struct fixture *f = *state;
	struct pb_store_stats stats = { .failures = 0 };
	uint64_t first, last, until = pb_clock_mono_ms() + PATIENCE_MS;

	submit_due(f, 0, 0, true);
	fixture_wait(f);
	limit_files(2500u << 10);
	for (unsigned n = 1; n < 10; n++)
		submit_due(f, n, n < 9 ? HOUR_MS : 0, true);
	while (stats.failures == 0 && pb_clock_mono_ms() < until) {
		pb_store_stats(f->store, &stats);
		usleep(1000);
	}
	assert_true(stats.failures > 0);
	assert_int_equal(pb_stream_durable(f->stream), PACKETS);
	limit_files(RLIM_INFINITY);
	fixture_wait(f);
	assert_int_equal(f->failed, 0);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 10 * PACKETS);
}

/* Segments of 4 MiB: what is gathered is written before the next begins. */
static void
gathered_chunks_that_fill_several_segments_are_all_there(void **state)
{
	struct fixture *f = *state;
	uint64_t first, last;

	for (unsigned n = 0; n < 15; n++)
		submit_due(f, n, n < 14 ? HOUR_MS : 0, true);
	fixture_wait(f);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 15 * PACKETS);
	assert_int_equal(last, 15 * PACKETS);
}

static void
small_chunks_between_gathered_ones_keep_their_place(void **state)
{
	struct fixture *f = *state;
	uint64_t seq = 1, first, last;

	for (unsigned n = 0; n < 12; n++) {
		uint64_t count = n % 3 == 0 ? PACKETS : 1;
		struct pb_chunk *chunk = fixture_chunk(f, seq,
		    seq + count - 1, 1900);

		chunk->due_ms = pb_clock_mono_ms() + (n < 11 ? HOUR_MS : 0);
		assert_int_equal(fixture_submit(f, chunk), 0);
		seq += count;
	}
	fixture_wait(f);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), seq - 1);
}

static void
chunks_have_bytes_of_their_own_on_a_page_edge(void **state)
{
	struct pb_chunk *chunk[7];

	(void)state;
	for (int i = 0; i < 7; i++) {
		chunk[i] = pb_chunk_create();
		assert_non_null(chunk[i]);
		assert_int_equal((uintptr_t)chunk[i]->data % PB_PAGE_BYTES, 0);
		memset(chunk[i]->data, i, chunk[i]->cap + 4 * PB_PAGE_BYTES);
	}
	/* Given back and taken again in another order. */
	pb_chunk_destroy(chunk[2]);
	pb_chunk_destroy(chunk[5]);
	pb_chunk_destroy(chunk[4]);
	for (int i = 4; i < 7; i += 2)
		chunk[i == 4 ? 4 : 2] = pb_chunk_create();
	chunk[5] = pb_chunk_create();
	for (int i = 0; i < 7; i++) {
		assert_non_null(chunk[i]);
		if (i == 2 || i == 4 || i == 5)
			memset(chunk[i]->data, i, chunk[i]->cap);
	}
	for (int i = 0; i < 7; i++) {
		assert_int_equal(chunk[i]->data[0], i);
		assert_int_equal(chunk[i]->data[chunk[i]->cap - 1], i);
		pb_chunk_destroy(chunk[i]);
	}
}

/* By a producer: of its own bytes, and nothing else's. */
static void
submit_digested(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_chunk *chunk = fixture_chunk(f, first, last, 1900);

	pb_digest_begin(&chunk->digest);
	pb_digest_add(&chunk->digest, chunk->data, chunk->len);
	chunk->digested = chunk->len;
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
}

static void
assert_digests(struct fixture *f)
{
	struct pb_extent_info row[16];
	struct pb_stream_info stream;
	struct pb_err err;
	uint8_t *bytes;
	int n, fd;

	fixture_stream_row(f, &stream);
	n = pb_index_rows_of(pb_store_index(f->store), PB_TABLE_EXTENTS,
	    stream.id, 1, row, 16, &err);
	assert_in_range(n, 2, 15);
	for (int i = 0; i < n; i++) {
		bytes = malloc(row[i].bytes);
		assert_non_null(bytes);
		fd = pb_segment_open_file(f->dir, &f->key, row[i].segment_seq,
		    &err);
		assert_true(fd >= 0);
		assert_int_equal(pread(fd, bytes, row[i].bytes,
		    (off_t)row[i].offset), row[i].bytes);
		assert_int_equal(pb_digest(bytes, row[i].bytes),
		    row[i].digest);
		close(fd);
		free(bytes);
	}
}

/* First in its extent or behind others, past the page cache or through it:
 * the extent's digest is that of its bytes in the file. */
static void
a_digest_that_a_producer_made_is_used_where_it_is_right(void **state)
{
	static const uint64_t packets[] = { 500, 500, 1, 1, 500, 20, 200, 500,
	    1, 500 };
	struct fixture *f = *state;
	uint64_t seq = 1;

	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		submit_digested(f, seq, seq + packets[i] - 1);
		seq += packets[i];
		assert_int_equal(f->failed, 0);
	}
	assert_digests(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(
	    a_chunk_is_durable_when_it_is_due_though_nothing_else_comes),
		IN_STORE(
		    chunks_that_are_not_due_share_the_commit_of_one_that_is),
		IN_STORE(much_is_flushed_though_none_of_it_is_due),
		IN_STORE(closing_makes_durable_what_was_not_due),
		IN_STORE(when_a_gathered_write_fails_no_chunk_of_it_counts),
		IN_STORE(
	    gathered_chunks_of_capture_wait_in_order_until_the_disk_heals),
		IN_STORE(
		    gathered_chunks_that_fill_several_segments_are_all_there),
		IN_STORE(small_chunks_between_gathered_ones_keep_their_place),
		IN_STORE(
		    a_digest_that_a_producer_made_is_used_where_it_is_right),
		cmocka_unit_test(chunks_have_bytes_of_their_own_on_a_page_edge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
