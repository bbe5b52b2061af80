/*
 * tests/unit/test_store_faults.c - the disk refuses, then heals
 *
 * The fault is real: a file size limit (setrlimit(2), RLIMIT_FSIZE) makes
 * the kernel refuse writes past it with EFBIG, as a full disk refuses with
 * ENOSPC.  An index is full when its smallest map is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"
#include "tests/unit/stepped.h"
#include "tests/unit/valgrind.h"

#define WAIT_MS_MAX	20000

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int
setup(void **state)
{
	signal(SIGXFSZ, SIG_IGN);
	return fixture_setup(state);
}

/* The writer takes what is queued when the test says so. */
static int
setup_stepped(void **state)
{
	signal(SIGXFSZ, SIG_IGN);
	return stepped_setup(state);
}

static int
teardown(void **state)
{
	limit_files(RLIM_INFINITY);
	return fixture_teardown(state);
}

/* Small first: the index and the segment exist. */
static void
write_small(struct fixture *f)
{
	fixture_write(f, 1, 100, 100);
	assert_int_equal(f->ok, 1);
}

/* Until the store has failed, or says that it has healed. */
static void
wait_for_trouble(struct fixture *f, bool trouble, struct pb_store_stats *out)
{
	uint64_t since = pb_clock_mono_ms();

	do {
		pb_store_stats(f->store, out);
		usleep(1000);
	} while ((out->last_error[0] != '\0') != trouble &&
	    pb_clock_mono_ms() - since < WAIT_MS_MAX);
	assert_true((out->last_error[0] != '\0') == trouble);
}

static void
a_refused_chunk_of_ingest_is_reported_and_nothing_of_it_is_kept(void **state)
{
	struct fixture *f = *state;
	struct pb_store_stats stats;
	uint64_t first, last;

	write_small(f);
	limit_files(512 << 10);
	fixture_submit(f, fixture_chunk(f, 101, 700, 1500));
	fixture_wait(f);
	assert_int_equal(f->failed, 1);
	pb_store_stats(f->store, &stats);
	assert_true(stats.failures > 0);
	assert_true(stats.last_error[0] != '\0');
	assert_int_equal(pb_stream_durable(f->stream), 100);
	assert_int_equal(pb_stream_next(f->stream), 101);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 100);

	limit_files(RLIM_INFINITY);
	fixture_write(f, 101, 700, 1500);
	assert_int_equal(f->last_rc, 0);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 700);
	wait_for_trouble(f, false, &stats);
}

static void
what_is_queued_behind_a_refused_chunk_is_refused_as_well(void **state)
{
	struct fixture *f = *state;
	uint64_t first, last;

	write_small(f);
	limit_files(512 << 10);
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 101, 700, 1500)),
	    0);
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 701, 710, 100)),
	    0);
	fixture_wait(f);
	assert_int_equal(pb_stream_durable(f->stream), 100);
	assert_int_equal(f->failed, 2);
	limit_files(RLIM_INFINITY);
	fixture_write(f, 101, 710, 1500);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 710);
}

static void
chunks_of_capture_wait_in_order_until_the_disk_heals(void **state)
{
	struct fixture *f = *state;
	struct pb_chunk *chunk;
	struct pb_store_stats stats;
	uint64_t first, last;

	write_small(f);
	limit_files(512 << 10);
	for (uint64_t seq = 101; seq <= 1301; seq += 600) {
		chunk = fixture_chunk(f, seq, seq + 599, 1500);
		chunk->keep_trying = true;
		assert_int_equal(fixture_submit(f, chunk), 0);
	}
	wait_for_trouble(f, true, &stats);
	assert_int_equal(pb_stream_durable(f->stream), 100);
	limit_files(RLIM_INFINITY);
	fixture_wait(f);
	assert_int_equal(f->failed, 0);
	assert_int_equal(f->ok, 4);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 1900);
}

static void
other_streams_go_on_while_one_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	struct pb_stream *blocked = f->stream;
	struct pb_head *head = f->head;
	struct pb_err err;

	write_small(f);
	fixture_write(f, 101, 400, 1500);
	limit_files(512 << 10);
	fixture_submit(f, fixture_chunk(f, 401, 1000, 1500));
	strcpy(f->key.interface, "eth1");
	f->head = fixture_head(&f->key, "London");
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, &err), 0);
	fixture_submit(f, fixture_chunk(f, 1, 5, 100));
	fixture_wait(f);
	assert_int_equal(pb_stream_durable(blocked), 400);
	assert_int_equal(pb_stream_durable(f->stream), 5);
	pb_head_unref(head);
}

/* True where the file is whole blocks to its last byte. */
static bool
ends_with_a_block(struct fixture *f, uint64_t first_seq)
{
	struct pb_block block;
	uint8_t *bytes = malloc(4u << 20);
	size_t len, at = 0;
	FILE *file;
	int fd = pb_segment_open_file(f->dir, &f->key, first_seq, NULL);

	assert_non_null(bytes);
	assert_true(fd >= 0);
	file = fdopen(fd, "rb");
	len = fread(bytes, 1, 4u << 20, file);
	fclose(file);
	while (pb_scan_block(bytes + at, len - at, &block) == 1)
		at += block.len;
	free(bytes);
	return len > 0 && at == len;
}

static void
statistics_that_cannot_be_written_leave_no_torn_end(void **state)
{
	struct fixture *f = *state;
	struct pb_head *head = f->head;
	struct pb_segment_info row;
	struct pb_stream_info stream;
	struct pb_err err;

	fixture_write(f, 1, 500, 1900);
	fixture_write(f, 501, 505, 100);
	fixture_stream_row(f, &stream);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_SEGMENTS, stream.id, 1, &row, 1, &err), 1);
	/* Room for a part of the block. */
	limit_files(row.bytes + 20);
	f->head = fixture_head(&f->key, "Paris");
	fixture_write(f, 506, 510, 100);
	limit_files(RLIM_INFINITY);
	assert_int_equal(f->last_rc, 0);
	pb_head_unref(head);
	assert_true(ends_with_a_block(f, 1));
}

static void
a_segment_left_empty_by_a_failure_takes_no_other_head(void **state)
{
	struct fixture *f = *state;
	struct pb_head *head = f->head;
	struct pb_cursor_packet packet;
	struct pb_cursor *cursor;
	struct pb_stream_info row;
	struct pb_err err;

	limit_files(512 << 10);
	fixture_write(f, 1, 600, 1500);
	assert_int_equal(f->failed, 1);
	f->head = fixture_head(&f->key, "Paris");
	fixture_write(f, 1, 5, 100);
	assert_int_equal(f->last_rc, 0);
	pb_head_unref(head);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_cursor_create(&cursor, pb_store_index(f->store),
	    f->dir, &row, &ALL, &err), 0);
	assert_int_equal(pb_cursor_next(cursor, &packet, &err), 1);
	assert_string_equal(packet.head->identity.node[0].description,
	    "Paris");
	pb_cursor_destroy(cursor);
}

static void
numbers_stay_reserved_when_a_commit_fails(void **state)
{
	struct fixture *f = *state;
	struct pb_mdb_txn txn;
	struct pb_err err;
	uint64_t taken, reserved;

	fixture_write(f, 1, 5, 100);
	taken = pb_store_take_numbers(f->store, 16u << 20) + (16u << 20);
	limit_files(8192);
	fixture_write(f, 6, 7, 100);
	assert_int_equal(f->failed, 1);
	limit_files(RLIM_INFINITY);
	fixture_write(f, 6, 7, 100);
	assert_int_equal(f->last_rc, 0);
	assert_int_equal(pb_index_begin(pb_store_index(f->store), &txn, &err),
	    0);
	reserved = pb_index_meta_get(&txn, "numbers");
	pb_mdb_abort(&txn);
	assert_true(reserved >= taken);
}

/* The descriptor through which LMDB writes the pages that say which commit
 * is the last: the one of its file that syncs each write. */
static int
meta_page_fd(void)
{
	char link[64], path[PATH_MAX];

	for (int fd = 0; fd < 256; fd++) {
		ssize_t len;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		len = readlink(link, path, sizeof(path) - 1);
		if (len < 0)
			continue;
		path[len] = '\0';
		if (strstr(path, "/index/data.mdb") != NULL &&
		    (fcntl(fd, F_GETFL) & O_DSYNC) != 0)
			return fd;
	}
	return -1;
}

static void
a_commit_that_failed_on_its_last_page_is_got_over(void **state)
{
	struct fixture *f = *state;
	uint64_t first, last;
	int meta = meta_page_fd(), full = open("/dev/full", O_WRONLY);

	write_small(f);
	assert_true(meta >= 0 && full >= 0);
	assert_int_equal(dup2(full, meta), meta);
	close(full);
	fixture_write(f, 101, 200, 100);
	assert_int_equal(f->failed, 1);
	fixture_write(f, 101, 200, 100);
	assert_int_equal(f->last_rc, 0);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 200);
	pb_store_close(f->store);
	fixture_open(f);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 200);
}

static void
a_segment_is_sealed_with_no_descriptor_left(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit;
	struct pb_chunk *gap;
	rlim_t before;
	char path[PATH_MAX];
	int fd;

	not_under_valgrind(VALGRIND_DESCRIPTORS);
	write_small(f);
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key, 1, true,
	    NULL), 0);
	fd = open(path, O_RDONLY | O_DIRECT);
	if (fd < 0)
		skip();		/* no second descriptor to give up */
	close(fd);
	gap = fixture_chunk(f, 101, 110, 10);
	gap->gap = PB_GAP_EXPIRED;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)fd;	/* the lowest that is free */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fixture_submit(f, gap);
	fixture_wait(f);
	limit.rlim_cur = before;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(f->last_rc, 0);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* The store again, with the smallest index, and no page of it free. */
static void
reopen_full(struct fixture *f)
{
	struct pb_store_opts opts;
	struct pb_mdb_txn txn;
	struct pb_err err;
	unsigned row = 0;
	char name[32];

	pb_store_close(f->store);
	fixture_opts(f, &opts);
	opts.index_size = 1u << 20;
	assert_int_equal(pb_store_open(&f->store, &opts, &err), 0);
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, &err), 0);
	for (unsigned rows = 8192; rows > 0;) {
		assert_int_equal(pb_index_begin(pb_store_index(f->store), &txn,
		    &err), 0);
		for (unsigned i = 0; i < rows; i++) {
			snprintf(name, sizeof(name), "ballast.%u", row++);
			pb_index_meta_put(&txn, name, row);
		}
		if (pb_mdb_commit(&txn) == PB_ENOSPC)
			rows /= 2;
	}
}

static void
a_full_index_names_its_key_and_heals_when_it_grows(void **state)
{
	struct fixture *f = *state;
	struct pb_store_stats stats;
	struct pb_chunk *chunk;
	uint64_t first, last;
	struct pb_err err;

	write_small(f);
	reopen_full(f);
	chunk = fixture_chunk(f, 101, 200, 100);
	chunk->keep_trying = true;
	assert_int_equal(fixture_submit(f, chunk), 0);
	wait_for_trouble(f, true, &stats);
	assert_non_null(strstr(stats.last_error, "index_size"));
	assert_int_equal(pb_stream_durable(f->stream), 100);
	assert_int_equal(pb_mdb_resize(pb_store_index(f->store)->mdb, 64u << 20,
	    &err), 0);
	fixture_wait(f);
	assert_int_equal(f->last_rc, 0);
	assert_int_equal(fixture_read(f, &ALL, &first, &last), 200);
	wait_for_trouble(f, false, &stats);
}

/* A reader that has the small map open when the writer takes a larger. */
static int
read_across_a_resize(const struct fixture *f, int told)
{
	struct pb_stream_info row;
	struct pb_index *index;
	struct pb_err err;
	char byte;

	if (pb_index_open(&index, f->dir, &err) < 0 ||
	    pb_index_stream(index, &f->key, &row, &err) != 1 ||
	    write(told, "", 1) != 1 || read(told, &byte, 1) != 1)
		return 1;
	if (pb_index_stream(index, &f->key, &row, &err) != 1) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	pb_index_close(index);
	return row.last_seq == 200 ? 0 : 3;
}

static void
a_reader_in_another_process_takes_the_larger_map(void **state)
{
	struct fixture *f = *state;
	struct pb_err err;
	int pair[2], status;
	pid_t child;
	char byte;

	write_small(f);
	reopen_full(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	child = fork();
	if (child == 0)
		child_exit(read_across_a_resize(f, pair[1]));
	close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	assert_int_equal(pb_mdb_resize(pb_store_index(f->store)->mdb, 64u << 20,
	    &err), 0);
	fixture_write(f, 101, 200, 100);
	assert_int_equal(write(pair[0], "", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(pair[0]);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_refused_chunk_of_ingest_is_reported_and_nothing_of_it_is_kept),
		cmocka_unit_test_setup_teardown(
		    what_is_queued_behind_a_refused_chunk_is_refused_as_well,
		    setup_stepped, teardown),
		T(chunks_of_capture_wait_in_order_until_the_disk_heals),
		T(other_streams_go_on_while_one_cannot_be_written),
		T(statistics_that_cannot_be_written_leave_no_torn_end),
		T(a_segment_left_empty_by_a_failure_takes_no_other_head),
		T(numbers_stay_reserved_when_a_commit_fails),
		T(a_commit_that_failed_on_its_last_page_is_got_over),
		T(a_segment_is_sealed_with_no_descriptor_left),
		T(a_full_index_names_its_key_and_heals_when_it_grows),
		T(a_reader_in_another_process_takes_the_larger_map),
	};

	return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
