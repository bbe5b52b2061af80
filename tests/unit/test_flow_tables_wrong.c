/*
 * tests/unit/test_flow_tables_wrong.c - what goes wrong with flow tables: no
 * room, a crash, rot, and an end before they are made
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "recorder/store/mend/rebuild.h"
#include "recorder/store/mend/repair.h"
#include "recorder/store/mend/verify.h"
#include "tests/unit/flow_tables_fixture.h"
#include "tests/unit/valgrind.h"

#define MANY	200u	/* segments: more than the smallest index has room for
			 * with their index blocks */
#define LAST	8000u	/* packet, of so many segments that some wait */
#define STREAMS	100u
#define OLDER	(12 * STREAMS)	/* segments: more than */
#define WAIT_MAX 1024u		/* can wait for their rows */
#define CROWD	(11 * STREAMS)	/* streams: more than */

/* The C library's, but where many segments are made that need not last. */
static bool careless;

int
fdatasync(int fd)
{
	return careless ? 0 : (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return careless ? 0 : (int)syscall(SYS_fsync, fd);
}

/* The thread that makes tables begins with it, and comes no further while this
 * is locked. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

int
setpriority(__priority_which_t which, id_t who, int priority)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return (int)syscall(SYS_setpriority, which, who, priority);
}

/* Of index blocks: with their flows come large pages. */
static _Atomic unsigned blocks;

int
madvise(void *at, size_t len, int advice)
{
	if (advice == MADV_HUGEPAGE)
		atomic_fetch_add(&blocks, 1);
	return (int)syscall(SYS_madvise, at, len, advice);
}

static int
setup(void **state)
{
	careless = false;
	return tables_setup(state);
}

/* --- what goes wrong ------------------------------------------------------ */

static void
a_table_that_cannot_be_written_costs_its_row_alone(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;
	struct pb_store_stats stats;
	char path[PATH_MAX];

	write_known(f, 1, 200);
	assert_int_equal(pb_layout_flows(path, f->dir, &f->key, 1, NULL), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	seal(f);
	write_known(f, 201, 400);
	seal(f);
	assert_int_equal(f->ok, 2);
	assert_int_equal(rows(f, row), 1);
	assert_int_equal(row[0].first_seq, 201);
	pb_store_stats(f->store, &stats);
	assert_int_equal(stats.tables_missing, 1);
	assert_int_equal(stats.failures, 0);
}

/* What packets need has room in the smallest index, whatever rows of index
 * blocks would take. */
static void
rows_of_index_blocks_leave_half_of_the_index_to_others(void **state)
{
	struct fixture *f = *state;
	struct pb_store_stats stats;
	struct pb_store_opts opts;

	careless = true;
	fixture_opts(f, &opts);
	opts.flows = PB_FLOWS_YES;
	opts.index_size = 1u << 20;
	opts.segment_age_ms = 0;
	reopen_with(f, &opts);
	for (uint64_t seq = 1; seq <= 50 * MANY; seq += 50)
		write_known(f, seq, seq + 49);
	settle_store(f);
	assert_int_equal(f->failed, 0);
	assert_int_equal(pb_stream_durable(f->stream), 50 * MANY);
	pb_store_stats(f->store, &stats);
	assert_int_equal(stats.failures, 0);
	assert_true(stats.tables > 0);
	assert_true(stats.tables_missing > 0);
}

static void
what_stands_in_the_file_already_is_left_alone(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;
	char path[PATH_MAX];
	int fd;

	write_known(f, 1, 200);
	assert_int_equal(pb_layout_flows(path, f->dir, &f->key, 1, NULL), 0);
	fd = open(path, O_WRONLY | O_CREAT, 0640);
	assert_int_equal(write(fd, "rubbish", 7), 7);
	close(fd);
	seal(f);
	assert_int_equal(rows(f, row), 1);
	assert_int_equal(row[0].table_at, 7);
	expect_table(f, &row[0]);
}

static void
a_segment_that_is_deleted_takes_its_tables_along(void **state)
{
	struct pb_retain_opts bound = { .size_max = 1 };
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;

	write_known(f, 1, 200);
	seal(f);
	assert_int_equal(rows(f, row), 1);
	assert_true(has_tables(f, 1));
	assert_int_equal(pb_store_retain(f->store, &bound, NULL), 0);
	settle_store(f);
	assert_int_equal(rows(f, row), 0);
	assert_false(has_tables(f, 1));
}

/*
 * Goal:   a crash leaves "look at each" of what had no table yet.
 * Method: a store is left by a child that ends without a word.
 */
static void
what_a_crash_leaves_has_no_row(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;
	int status;
	pid_t pid;

	pb_store_close(f->store);
	f->store = NULL;
	pid = fork();
	if (pid == 0) {
		reopen(f, PB_FLOWS_YES);
		write_known(f, 1, 200);
		seal(f);
		write_known(f, 201, 400);
		child_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	reopen(f, PB_FLOWS_YES);
	assert_int_equal(rows(f, row), 1);
	assert_int_equal(row[0].last_seq, 200);
	expect_table(f, &row[0]);
	assert_int_equal(pb_stream_durable(f->stream), 400);
}

/* --- verify --------------------------------------------------------------- */

struct seen {
	struct pb_finding	 found;		/* the last one */
	struct pb_repair	*repair;
	unsigned		 count;
};

static int
note(void *arg, const struct pb_finding *finding)
{
	struct seen *seen = arg;

	seen->found = *finding;
	seen->count++;
	return seen->repair == NULL ? 0 : pb_repair_note(seen->repair,
	    finding, NULL);
}

static void
verify(struct fixture *f, struct seen *seen)
{
	struct pb_verify_opts opts = { .store = f->dir, .alone = true,
	    .each = note, .arg = seen };
	struct pb_verify_sum sum;
	struct pb_err err;

	seen->count = 0;
	if (pb_verify(&opts, &sum, &err) < 0)
		fail_msg("%s", err.text);
}

/* It finds one flaw; a repair takes that away. */
static void
expect_flaw(struct fixture *f, enum pb_flaw flaw)
{
	struct pb_rebuild_opts opts = { .store = f->dir,
	    .index_size = 64u << 20, .pen = PB_PEN_EXAMPLE, .flows = true };
	struct seen seen = { .count = 0 };
	struct pb_rebuild_sum sum;

	verify(f, &seen);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.found.flaw, flaw);
	assert_int_equal(pb_repair_create(&seen.repair, &opts, NULL), 0);
	verify(f, &seen);
	assert_int_equal(pb_repair_finish(seen.repair, &sum, NULL), 0);
	pb_repair_destroy(seen.repair);
	seen.repair = NULL;
	verify(f, &seen);
	assert_int_equal(seen.count, 0);
}

static void
a_rotten_table_is_found_and_made_again(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;
	struct pb_index *index;
	char path[PATH_MAX];
	int fd;

	write_known(f, 1, 200);
	seal(f);
	pb_store_close(f->store);
	f->store = NULL;
	verify(f, &(struct seen){ .count = 0 });
	assert_int_equal(pb_layout_flows(path, f->dir, &f->key, 1, NULL), 0);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "rot", 3, 50), 3);
	close(fd);
	expect_flaw(f, PB_FLAW_FLOWS);
	assert_int_equal(truncate(path, 50), 0);
	expect_flaw(f, PB_FLAW_FLOWS);
	assert_int_equal(unlink(path), 0);
	expect_flaw(f, PB_FLAW_FLOWS);
	assert_int_equal(pb_index_open(&index, f->dir, NULL), 0);
	assert_int_equal(rows_of(index, &f->key, row), 1);
	pb_index_close(index);
	expect_table(f, &row[0]);
}

/* As tables of version 2 were: whole, and of bytes that mean other things. */
static void
a_table_of_another_version_is_found_and_made_again(void **state)
{
	uint8_t head[PB_FLOW_TABLE_DIGEST_AT + 8];
	struct fixture *f = *state;
	char path[PATH_MAX];
	int fd;

	write_known(f, 1, 200);
	seal(f);
	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_layout_flows(path, f->dir, &f->key, 1, NULL), 0);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	assert_int_equal(pb_get_le32(head + 4), 3);
	pb_put_le32(head + 4, 2);
	pb_put_le64(head + PB_FLOW_TABLE_DIGEST_AT, pb_digest(head,
	    PB_FLOW_TABLE_DIGEST_AT));
	assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
	close(fd);
	expect_flaw(f, PB_FLAW_FLOWS);
}

static void
tables_whose_segment_is_gone_are_found_and_go(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX];
	int fd;

	write_known(f, 1, 200);
	seal(f);
	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_layout_flows(path, f->dir, &f->key, 77, NULL), 0);
	fd = open(path, O_WRONLY | O_CREAT, 0640);
	close(fd);
	expect_flaw(f, PB_FLAW_LEFTOVER);
	assert_false(has_tables(f, 77));
	assert_true(has_tables(f, 1));
}

/* --- threads -------------------------------------------------------------- */

static void
who_closes_a_store_waits_for_its_tables(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;
	struct pb_index *index;

	f->stepped = false;
	reopen(f, PB_FLOWS_YES);
	for (uint64_t seq = 1; seq <= 2400; seq += 100)
		write_known(f, seq, seq + 99);
	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_index_open(&index, f->dir, NULL), 0);
	assert_int_equal(rows_of(index, &f->key, row), 3);
	assert_int_equal(row[2].last_seq, 2400);
	for (int i = 0; i < 3; i++)
		expect_table(f, &row[i]);
	pb_index_close(index);
}

/* However late that is: the writer does not run ahead, and closing waits. */
static void
where_no_recorder_runs_packets_wait_for_their_tables(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;
	struct pb_store_stats stats;
	struct pb_store_opts opts;
	struct pb_chunk *chunk;
	uint64_t durable;
	int made;

	f->stepped = false;
	fixture_opts(f, &opts);
	opts.flows = PB_FLOWS_YES;
	opts.segment_size = 1u << 20;
	opts.brief = true;
	reopen_with(f, &opts);
	pthread_mutex_lock(&gate);
	for (uint64_t seq = 1; seq <= LAST; seq += 100) {
		chunk = chunk_of(f, seq, seq + 99);
		chunk->done = fixture_done_flows;
		assert_int_equal(fixture_submit(f, chunk), 0);
	}
	usleep(300000);
	durable = pb_stream_durable(f->stream);
	pthread_mutex_unlock(&gate);
	fixture_wait(f);
	assert_true(durable < LAST);
	pb_store_stats(f->store, &stats);
	assert_int_equal(stats.tables_missing, 0);
	reopen(f, PB_FLOWS_YES);
	made = rows(f, row);
	assert_in_range(made, 6, ROWS - 1);
	assert_int_equal(row[made - 1].last_seq, LAST);
	for (int i = 0; i < made; i++)
		expect_table(f, &row[i]);
}

/* The store, with this in the log; NULL: with nothing. */
static void
closes_with(struct fixture *f, const char *line)
{
	int kept = dup(STDERR_FILENO), fd = memfd_create("log", MFD_CLOEXEC);
	char text[4096] = "";

	assert_true(kept >= 0 && fd >= 0);
	dup2(fd, STDERR_FILENO);
	pb_log_level(PB_LOG_WARN);
	pb_store_close(f->store);
	f->store = NULL;
	pb_log_level(PB_LOG_ERROR + 1);
	dup2(kept, STDERR_FILENO);
	close(kept);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) >= 0);
	close(fd);
	if (line == NULL)
		assert_string_equal(text, "");
	else
		assert_non_null(strstr(text, line));
}

/* Method: where the tables of one stream would be there is no file, and then
 * there is another stream. */
static void
of_packets_whose_table_failed_there_is_a_word_at_the_end(void **state)
{
	struct fixture *f = *state;
	struct pb_store_opts opts;
	char path[PATH_MAX];

	for (int bad = 1; bad >= 0; bad--) {
		f->stepped = false;
		fixture_opts(f, &opts);
		opts.flows = PB_FLOWS_YES;
		opts.brief = true;
		f->key.epoch += !bad;
		reopen_with(f, &opts);
		write_known(f, 1, 200);
		assert_int_equal(pb_layout_flows(path, f->dir, &f->key, 1,
		    NULL), 0);
		assert_true(!bad || mkdir(path, 0700) == 0);
		closes_with(f, bad ? "packets of 1 index blocks have no flow "
		    "table" : NULL);
	}
}

/* It is stream `i`'s. */
static void
submit_of(struct fixture *f, unsigned i, struct pb_chunk *chunk)
{
	struct pb_stream_key key = f->key;
	struct pb_err err;

	snprintf(key.interface, sizeof(key.interface), "eth%u", 1 + i);
	assert_int_equal(pb_store_stream(f->store, &key,
	    PB_LINKTYPE_ETHERNET, 0, true, &chunk->stream, &err), 0);
	pb_head_unref(chunk->head);
	chunk->head = fixture_head(&key, "London");
	assert_int_equal(fixture_submit(f, chunk), 0);
}

/* So many streams, each with a block that ends when the store closes: all of
 * them in one batch. */
static void
open_crowd(struct fixture *f, bool brief)
{
	struct pb_store_opts opts;
	struct pb_chunk *chunk;

	careless = true;
	assert_int_equal(pb_files_raise(NULL), 0);
	f->stepped = false;
	fixture_opts(f, &opts);
	opts.flows = PB_FLOWS_YES;
	opts.brief = brief;
	reopen_with(f, &opts);
	for (unsigned i = 0; i < CROWD; i++) {
		chunk = chunk_of(f, 1, 1);
		chunk->done = fixture_done_flows;
		submit_of(f, i, chunk);
		if (i % STREAMS == STREAMS - 1)
			fixture_wait(f);
	}
}

static void
so_do_those_of_more_streams_than_can_wait_for_their_rows(void **state)
{
	static struct pb_flows_info row;
	struct pb_flows_info *after = NULL;
	struct fixture *f = *state;
	struct pb_index *index;
	unsigned made = 0;

	open_crowd(f, true);
	closes_with(f, NULL);
	assert_int_equal(pb_index_open(&index, f->dir, NULL), 0);
	for (; pb_index_rows(index, PB_TABLE_FLOWS, after, &row, 1, NULL) == 1;
	    after = &row)
		made++;
	assert_int_equal(made, CROWD);
	pb_index_close(index);
}

static void
where_one_runs_there_is_a_word_of_those_not_made(void **state)
{
	struct fixture *f = *state;

	open_crowd(f, false);
	closes_with(f, "closes before the flow tables of ");
}

/* A segment of each of many streams. */
static void
write_segments(struct fixture *f, uint64_t seq)
{
	for (unsigned i = 0; i < STREAMS; i++)
		submit_of(f, i, fixture_chunk(f, seq, seq, 60));
	fixture_wait(f);
}

static void
nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

/*
 * Goal:   the thread goes on when rows have left that there was no room
 *         beside, though nothing else is to be done.
 * Method: a batch that is not due keeps them until it has met the bound.
 */
static void
older_segments_that_had_to_wait_get_their_tables(void **state)
{
	struct fixture *f = *state;
	struct pb_store_stats stats;
	struct pb_store_opts opts;
	struct pb_chunk *chunk;

	careless = true;
	fixture_opts(f, &opts);
	opts.segment_age_ms = 0;
	reopen_with(f, &opts);
	for (uint64_t seq = 1; seq <= OLDER / STREAMS; seq++)
		write_segments(f, seq);
	f->stepped = false;
	reopen(f, PB_FLOWS_ALL);
	chunk = fixture_chunk(f, 1, 1, 60);
	chunk->due_ms = pb_clock_mono_ms() + HOUR_MS;
	atomic_store(&blocks, 0);
	assert_int_equal(fixture_submit(f, chunk), 0);
	while (atomic_load(&blocks) <= WAIT_MAX)
		nap();
	assert_int_equal(fixture_submit(f, fixture_chunk(f, 2, 2, 60)), 0);
	fixture_wait(f);
	do {
		nap();
		pb_store_stats(f->store, &stats);
	} while (stats.tables < OLDER);
	/* That of the packets that have just come, of which nothing is
	 * known. */
	assert_int_equal(stats.tables_missing, 1);
}

#define TEST(test)							\
	cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_table_that_cannot_be_written_costs_its_row_alone),
		TEST(rows_of_index_blocks_leave_half_of_the_index_to_others),
		TEST(what_stands_in_the_file_already_is_left_alone),
		TEST(a_segment_that_is_deleted_takes_its_tables_along),
		TEST(what_a_crash_leaves_has_no_row),
		TEST(a_rotten_table_is_found_and_made_again),
		TEST(a_table_of_another_version_is_found_and_made_again),
		TEST(tables_whose_segment_is_gone_are_found_and_go),
		TEST(who_closes_a_store_waits_for_its_tables),
		TEST(where_no_recorder_runs_packets_wait_for_their_tables),
		TEST(of_packets_whose_table_failed_there_is_a_word_at_the_end),
		TEST(so_do_those_of_more_streams_than_can_wait_for_their_rows),
		TEST(where_one_runs_there_is_a_word_of_those_not_made),
		TEST(older_segments_that_had_to_wait_get_their_tables),
	};

	return cmocka_run_group_tests_name("flow_tables_wrong", tests, NULL, NULL);
}
