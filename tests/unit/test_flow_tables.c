/*
 * tests/unit/test_flow_tables.c - what a store writes down of its packets'
 * flows
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "pcapng/scan.h"
#include "recorder/flow/flows.h"
#include "recorder/flow/table.h"
#include "recorder/store/index/index_block.h"
#include "recorder/store/index/index_table.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/mend/rebuild.h"
#include "recorder/store/mend/repair.h"
#include "recorder/store/mend/verify.h"
#include "tests/unit/stepped.h"

#define LEN	1000u
#define ROWS	16
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

static void
reopen_with(struct fixture *f, const struct pb_store_opts *opts)
{
	struct pb_err err;

	pb_store_close(f->store);
	assert_int_equal(pb_store_open(&f->store, opts, &err), 0);
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, &err), 0);
}

/* A store that makes tables, or not. */
static void
reopen(struct fixture *f, enum pb_store_flows flows)
{
	struct pb_store_opts opts;

	fixture_opts(f, &opts);
	opts.flows = flows;
	opts.segment_size = 1u << 20;
	reopen_with(f, &opts);
}

/* Who fills a chunk learns its flows. */
static struct pb_chunk *
chunk_of(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_chunk *chunk = fixture_chunk(f, first, last, LEN);
	struct pb_packet packet;
	struct pb_block block;

	assert_int_equal(pb_flows_create(&chunk->flows, 64, 4096, NULL), 0);
	for (size_t at = 0; at < chunk->len; at += block.len) {
		assert_int_equal(pb_scan_block(chunk->data + at,
		    chunk->len - at, &block), 1);
		assert_int_equal(pb_scan_epb(&block, &packet), 0);
		assert_true(pb_flows_packet(chunk->flows, (uint32_t)at,
		    PB_LINKTYPE_ETHERNET, packet.data, packet.caplen,
		    packet.origlen, packet.time_ns));
	}
	return chunk;
}

static void
write_known(struct fixture *f, uint64_t first, uint64_t last)
{
	struct pb_chunk *chunk = chunk_of(f, first, last);

	chunk->done = fixture_done_flows;
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
}

static int
rows_of(struct pb_index *index, const struct pb_stream_key *key,
    struct pb_flows_info rows[static ROWS])
{
	struct pb_stream_info stream;

	if (pb_index_stream(index, key, &stream, NULL) != 1)
		return 0;
	return pb_index_rows_of(index, PB_TABLE_FLOWS, stream.id, 1, rows,
	    ROWS, NULL);
}

static int
rows(struct fixture *f, struct pb_flows_info out[static ROWS])
{
	return rows_of(pb_store_index(f->store), &f->key, out);
}

/* Sealed by its age, and what follows. */
static void
seal(struct fixture *f)
{
	pass(HOUR_MS);
	settle_store(f);
}

static void
expect_table(struct fixture *f, const struct pb_flows_info *row)
{
	struct pb_flow_table *table;
	struct pb_buf bytes;
	struct pb_err err;

	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	if (pb_index_table_read(&bytes, f->dir, &f->key, row, &err) < 0 ||
	    pb_flow_table_open(&table, bytes.data, bytes.len, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pb_flow_table_packets(table), row->packets);
	pb_flow_table_close(table);
	pb_buf_finish(&bytes);
}

static bool
has_tables(struct fixture *f, uint64_t segment_seq)
{
	char path[PATH_MAX];

	assert_int_equal(pb_layout_flows(path, f->dir, &f->key, segment_seq,
	    NULL), 0);
	return access(path, F_OK) == 0;
}

static int
setup(void **state)
{
	int rc = stepped_setup(state);

	careless = false;
	reopen(*state, PB_FLOWS_YES);
	return rc;
}

/* --- what comes in -------------------------------------------------------- */

static void
a_sealed_segment_has_a_table_of_its_packets(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;
	struct pb_store_stats stats;

	write_known(f, 1, 100);
	write_known(f, 101, 200);
	assert_int_equal(rows(f, row), 0);
	seal(f);
	assert_int_equal(rows(f, row), 1);
	assert_int_equal(row[0].first_seq, 1);
	assert_int_equal(row[0].last_seq, 200);
	assert_int_equal(row[0].segment_seq, 1);
	assert_int_equal(row[0].packets, 200);
	assert_int_equal(row[0].first_time, FIXTURE_TIME(1));
	assert_int_equal(row[0].last_time, FIXTURE_TIME(200));
	assert_true(row[0].table_bytes > 0);
	expect_table(f, &row[0]);
	pb_store_stats(f->store, &stats);
	assert_int_equal(stats.tables, 1);
	assert_int_equal(stats.tables_missing, 0);
	assert_int_equal(stats.table_bytes, row[0].table_bytes);
}

/* Each mark is where in the file a packet of that number begins. */
static void
marks_lead_to_packets_in_the_segment(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;
	uint8_t data[2 * LEN];
	struct pb_flow_table *table;
	struct pb_packet packet;
	struct pb_block block;
	struct pb_buf bytes;
	struct pb_flow_table_span span;
	uint64_t seq;
	int fd;

	write_known(f, 1, 100);
	write_known(f, 101, 101);	/* within a page, and behind a filler */
	write_known(f, 102, 200);
	seal(f);
	assert_int_equal(rows(f, row), 1);
	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	assert_int_equal(pb_index_table_read(&bytes, f->dir, &f->key, &row[0],
	    NULL), 0);
	assert_int_equal(pb_flow_table_open(&table, bytes.data, bytes.len,
	    NULL), 0);
	fd = pb_segment_open_file(f->dir, &f->key, 1, NULL);
	for (uint32_t n = 0; n < 200; n++) {
		assert_int_equal(pb_flow_table_span(table, n, &span, NULL), 0);
		assert_true(span.first <= n && n < span.next);
		assert_true(pread(fd, data, sizeof(data),
		    (off_t)(row[0].from + span.from)) > 0);
		assert_int_equal(pb_scan_block(data, sizeof(data), &block),
		    1);
		assert_int_equal(pb_scan_epb(&block, &packet), 0);
		assert_true(pb_packet_seq(&packet, &seq));
		assert_int_equal(seq, 1 + span.first);
	}
	close(fd);
	pb_flow_table_close(table);
	pb_buf_finish(&bytes);
}

static void
each_segment_has_a_file_of_its_own(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;

	for (uint64_t seq = 1; seq <= 2400; seq += 100)
		write_known(f, seq, seq + 99);
	seal(f);
	assert_int_equal(rows(f, row), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(row[i].first_seq, i == 0 ? 1 :
		    row[i - 1].last_seq + 1);
		assert_int_equal(row[i].segment_seq, row[i].first_seq);
		assert_int_equal(row[i].table_at, 0);
		expect_table(f, &row[i]);
	}
	assert_int_equal(row[2].last_seq, 2400);
}

static void
a_small_index_block_has_a_summary_alone(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;

	write_known(f, 1, 3);
	seal(f);
	assert_int_equal(rows(f, row), 1);
	assert_int_equal(row[0].packets, 3);
	assert_int_equal(row[0].table_bytes, 0);
	assert_true(row[0].summary_bytes > 0);
	assert_false(has_tables(f, 1));
}

static void
packets_without_flows_are_among_those_that_have_some(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;

	write_known(f, 1, 100);
	fixture_write(f, 101, 200, LEN);
	write_known(f, 201, 300);
	seal(f);
	assert_int_equal(rows(f, row), 1);
	assert_int_equal(row[0].packets, 300);
	expect_table(f, &row[0]);
}

static void
packets_of_which_nothing_is_known_have_no_row(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;

	fixture_write(f, 1, 200, LEN);
	seal(f);
	assert_int_equal(rows(f, row), 0);
	assert_false(has_tables(f, 1));
	/* A block begins with those that have flows. */
	fixture_write(f, 201, 300, LEN);
	write_known(f, 301, 400);
	seal(f);
	assert_int_equal(rows(f, row), 1);
	assert_int_equal(row[0].first_seq, 301);
	assert_int_equal(row[0].segment_seq, 201);
	expect_table(f, &row[0]);
}

static void
a_store_that_is_not_asked_makes_no_table(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;

	reopen(f, PB_FLOWS_NO);
	write_known(f, 1, 200);
	seal(f);
	assert_int_equal(rows(f, row), 0);
	assert_false(has_tables(f, 1));
}

/* Late packets have a segment, and an index block, of their own. */
static void
packets_that_come_late_have_a_table(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;
	struct pb_chunk *gap = fixture_chunk(f, 101, 200, LEN);

	write_known(f, 1, 100);
	gap->gap = PB_GAP_EXPIRED;
	gap->len = 0;
	assert_int_equal(fixture_submit(f, gap), 0);
	fixture_wait(f);
	write_known(f, 201, 300);
	write_known(f, 101, 200);
	settle_store(f);
	assert_int_equal(rows(f, row), 2);
	assert_int_equal(row[1].first_seq, 101);
	assert_int_equal(row[1].segment_seq, 101);
	expect_table(f, &row[1]);
	seal(f);
	assert_int_equal(rows(f, row), 3);
	expect_table(f, &row[2]);
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
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	reopen(f, PB_FLOWS_YES);
	assert_int_equal(rows(f, row), 1);
	assert_int_equal(row[0].last_seq, 200);
	expect_table(f, &row[0]);
	assert_int_equal(pb_stream_durable(f->stream), 400);
}

/* --- made again ----------------------------------------------------------- */

static void
older_segments_get_tables_where_that_is_asked_for(void **state)
{
	struct pb_flows_info row[ROWS];
	struct fixture *f = *state;

	reopen(f, PB_FLOWS_NO);
	write_known(f, 1, 200);
	seal(f);
	write_known(f, 201, 400);
	reopen(f, PB_FLOWS_YES);
	write_known(f, 401, 600);
	reopen(f, PB_FLOWS_ALL);
	settle_store(f);
	assert_int_equal(rows(f, row), 3);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(row[i].first_seq, 200 * i + 1);
		assert_int_equal(row[i].last_seq, 200 * i + 200);
		expect_table(f, &row[i]);
	}
	/* And no second time. */
	reopen(f, PB_FLOWS_ALL);
	settle_store(f);
	assert_int_equal(rows(f, row), 3);
	assert_int_equal(row[0].table_at, 0);
}

static void
who_makes_the_index_again_makes_the_same_tables(void **state)
{
	struct pb_flows_info row[ROWS], again[ROWS];
	struct fixture *f = *state;
	struct pb_rebuild_opts opts = { .store = f->dir,
	    .index_size = 64u << 20, .pen = PB_PEN_EXAMPLE, .flows = true };
	struct pb_rebuild_sum sum;
	struct pb_index *index;
	struct pb_err err;

	write_known(f, 1, 100);
	write_known(f, 101, 200);
	seal(f);
	write_known(f, 201, 300);
	seal(f);
	assert_int_equal(rows(f, row), 2);
	pb_store_close(f->store);
	f->store = NULL;
	if (pb_rebuild(&opts, &sum, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pb_index_open(&index, f->dir, &err), 0);
	assert_int_equal(rows_of(index, &f->key, again), 2);
	pb_index_close(index);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(again[i].first_seq, row[i].first_seq);
		assert_int_equal(again[i].last_seq, row[i].last_seq);
		assert_int_equal(again[i].from, row[i].from);
		assert_int_equal(again[i].end, row[i].end);
		assert_int_equal(again[i].table_at, 0);
		expect_table(f, &again[i]);
	}
}

static void
an_index_that_is_made_again_without_tables_leaves_none(void **state)
{
	struct fixture *f = *state;
	struct pb_rebuild_opts opts = { .store = f->dir,
	    .index_size = 64u << 20, .pen = PB_PEN_EXAMPLE };
	struct pb_flows_info row[ROWS];
	struct pb_rebuild_sum sum;
	struct pb_index *index;

	write_known(f, 1, 200);
	seal(f);
	pb_store_close(f->store);
	f->store = NULL;
	assert_int_equal(pb_rebuild(&opts, &sum, NULL), 0);
	assert_false(has_tables(f, 1));
	assert_int_equal(pb_index_open(&index, f->dir, NULL), 0);
	assert_int_equal(rows_of(index, &f->key, row), 0);
	pb_index_close(index);
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
	/* That of the packets that have just come, of which nothing is known. */
	assert_int_equal(stats.tables_missing, 1);
}

/* --- one block ------------------------------------------------------------ */

static struct pb_index_part
part(uint64_t first, uint64_t packets, uint64_t at, uint64_t bytes)
{
	return (struct pb_index_part){ .first_seq = first,
	    .last_seq = first + packets - 1, .at = at, .bytes = bytes,
	    .tally = { .packets = packets } };
}

static void
an_index_block_is_a_run_without_holes_of_bounded_length(void **state)
{
	struct pb_index_block *block = pb_index_block_create(NULL, 0, 7,
	    10);
	const uint64_t from = 5000, mib = 1u << 20;
	struct pb_index_part next = part(10, 100, from, mib);

	(void)state;
	assert_true(pb_index_block_part(block, &next));
	next = part(111, 100, from + mib, mib);
	assert_false(pb_index_block_part(block, &next));
	next = part(110, 100, from + mib / 2, mib / 2);
	assert_false(pb_index_block_part(block, &next));
	next = part(110, 100, from + mib, PB_INDEX_BLOCK_BYTES - mib + 1);
	assert_false(pb_index_block_part(block, &next));
	next = part(110, PB_INDEX_BLOCK_PACKETS, from + mib, mib);
	assert_false(pb_index_block_part(block, &next));
	next = part(110, 100, from + mib, PB_INDEX_BLOCK_BYTES - mib);
	assert_true(pb_index_block_part(block, &next));
	assert_int_equal(block->first_seq, 10);
	assert_int_equal(block->last_seq, 209);
	assert_int_equal(block->from, from);
	assert_int_equal(block->end, from + PB_INDEX_BLOCK_BYTES);
	assert_int_equal(block->tally.packets, 200);
	pb_index_block_destroy(block);
}

static void
a_segment_of_whole_64_mib_ends_with_no_small_index_block(void **state)
{
	const uint64_t whole = 64u << 20, end = 4 * whole;
	struct pb_index_block *block = NULL;
	unsigned begun = 0;
	uint64_t seq = 1;

	(void)state;
	for (uint64_t at = 4096; at < end; at += PB_CHUNK_BYTES, seq++) {
		struct pb_index_part next = part(seq, 1, at, PB_CHUNK_BYTES);

		if (block != NULL && pb_index_block_part(block, &next))
			continue;
		pb_index_block_destroy(block);
		block = pb_index_block_create(NULL, 0, 7, 1);
		assert_true(pb_index_block_part(block, &next));
		begun++;
	}
	assert_int_equal(begun, 4);
	assert_true(block->end - block->from > whole / 2);
	pb_index_block_destroy(block);
}

#define TEST(test)							\
	cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sealed_segment_has_a_table_of_its_packets),
		TEST(marks_lead_to_packets_in_the_segment),
		TEST(each_segment_has_a_file_of_its_own),
		TEST(a_small_index_block_has_a_summary_alone),
		TEST(packets_without_flows_are_among_those_that_have_some),
		TEST(packets_of_which_nothing_is_known_have_no_row),
		TEST(a_store_that_is_not_asked_makes_no_table),
		TEST(packets_that_come_late_have_a_table),
		TEST(a_table_that_cannot_be_written_costs_its_row_alone),
		TEST(rows_of_index_blocks_leave_half_of_the_index_to_others),
		TEST(what_stands_in_the_file_already_is_left_alone),
		TEST(a_segment_that_is_deleted_takes_its_tables_along),
		TEST(what_a_crash_leaves_has_no_row),
		TEST(older_segments_get_tables_where_that_is_asked_for),
		TEST(who_makes_the_index_again_makes_the_same_tables),
		TEST(an_index_that_is_made_again_without_tables_leaves_none),
		TEST(a_rotten_table_is_found_and_made_again),
		TEST(tables_whose_segment_is_gone_are_found_and_go),
		TEST(who_closes_a_store_waits_for_its_tables),
		TEST(where_no_recorder_runs_packets_wait_for_their_tables),
		TEST(so_do_those_of_more_streams_than_can_wait_for_their_rows),
		TEST(where_one_runs_there_is_a_word_of_those_not_made),
		TEST(of_packets_whose_table_failed_there_is_a_word_at_the_end),
		TEST(older_segments_that_had_to_wait_get_their_tables),
		cmocka_unit_test(
		    an_index_block_is_a_run_without_holes_of_bounded_length),
		cmocka_unit_test(
		    a_segment_of_whole_64_mib_ends_with_no_small_index_block),
	};

	return cmocka_run_group_tests_name("flow_tables", tests, NULL, NULL);
}
