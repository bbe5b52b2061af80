/*
 * tests/unit/test_mend.c - what stands in the way, came twice, or was cut
 * short while it was mended
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "recorder/store/facts/journal.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/mend/repair.h"
#include "recorder/store/mend/salvage.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp.h"

static void
reopen(struct fixture *f)
{
	fixture_open(f);
	f->ok = f->failed = 0;
}

static void
shut(struct fixture *f)
{
	pb_store_close(f->store);
	f->store = NULL;
}

static void
segment_path(struct fixture *f, uint64_t first, bool open,
    char out[static PATH_MAX])
{
	assert_int_equal(pb_layout_segment(out, f->dir, &f->key, first, open,
	    NULL), 0);
}

/* All packets first .. last are there, and as many as that. */
static void
expect(struct fixture *f, uint64_t first, uint64_t last, long count)
{
	uint64_t from, to;

	assert_int_equal(fixture_read(f, &ALL, &from, &to), count);
	assert_int_equal(from, first);
	assert_int_equal(to, last);
}

static int
count_finding(void *arg, const struct pb_finding *finding)
{
	if ((*(int *)arg)++ == 0)
		print_message("%s: %s\n", finding->path, finding->text);
	return 0;
}

static void
verify_nothing(struct fixture *f)
{
	int count = 0;
	struct pb_verify_opts opts = { .store = f->dir, .alone = true,
	    .each = count_finding, .arg = &count };
	struct pb_verify_sum sum;
	struct pb_err err;

	if (pb_verify(&opts, &sum, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(count, 0);
}

static void
a_file_where_a_new_segment_goes_is_set_aside(void **state)
{
	struct fixture *f = *state;
	char from[PATH_MAX], to[PATH_MAX];

	fixture_write(f, 1, 40, 60);
	shut(f);
	for (int open = 0; open < 2; open++) {
		segment_path(f, 1, false, from);
		segment_path(f, 41, open == 1, to);
		shell("cp '%s' '%s'", from, to);
	}
	reopen(f);
	fixture_write(f, 41, 80, 60);
	expect(f, 1, 80, 80);
	shell("test $(ls '%s'/damaged/*.pcapng | wc -l) = 2", f->dir);
	shell("cmp '%s' '%s'/damaged/*041.pcapng", from, f->dir);
	shell("grep -q 'the index does not know it' '%s'/damaged/*041.1."
	    "pcapng.txt", f->dir);
}

static void
rubbish_beside_the_segments_takes_nothing_from_them(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX];

	fixture_write(f, 1, 400, 60);
	shut(f);
	/* Names within the numbers of the segment, and behind them. */
	segment_path(f, 20, false, path);
	shell("head -c 100000 /dev/urandom > '%s'", path);
	segment_path(f, 30, true, path);
	shell("truncate -s 64M '%s'", path);
	segment_path(f, 9000, false, path);
	shell(": > '%s'; rm -r '%s/index'", path, f->dir);
	reopen(f);
	expect(f, 1, 400, 400);
	fixture_write(f, 401, 500, 60);
	expect(f, 1, 500, 500);
	shut(f);
	verify_nothing(f);
	reopen(f);
}

static void
of_two_files_with_the_same_numbers_each_packet_is_kept_once(void **state)
{
	char one[PATH_MAX], two[PATH_MAX], other[PATH_MAX];
	struct fixture *f = *state;

	fixture_write(f, 1, 60, 60);
	shut(f);
	segment_path(f, 1, false, one);
	snprintf(other, sizeof(other), "%s/kept", f->dir);
	shell("cp '%s' '%s' && rm -r '%s/index' && rm '%s'", one, other,
	    f->dir, one);
	/* The same stream once more, from 41 on, with 60 packets. */
	shell("rm '%s'/segments/*/*/*/journal", f->dir);
	reopen(f);
	f->stream = NULL;
	assert_int_equal(pb_store_stream(f->store, &f->key,
	    PB_LINKTYPE_ETHERNET, 0, true, &f->stream, NULL), 0);
	{
		struct pb_chunk *gap = fixture_chunk(f, 1, 1, 10);

		gap->last_seq = 40;
		gap->gap = PB_GAP_EXPIRED;
		assert_int_equal(fixture_submit(f, gap), 0);
		fixture_wait(f);
	}
	fixture_write(f, 41, 100, 60);
	shut(f);
	segment_path(f, 41, false, two);
	shell("cp '%s' '%s' && rm -r '%s/index'", other, one, f->dir);
	reopen(f);
	expect(f, 1, 100, 100);
	shut(f);
	verify_nothing(f);
	reopen(f);
}

/* As a merge of two stores: `cp -a old/segments/. new/segments/`. */
static void
streams_that_have_one_id_are_told_apart(void **state)
{
	struct fixture *f = *state, g;
	struct pb_stream_info a, b;

	fixture_write(f, 1, 40, 60);
	shut(f);
	fixture_init(&g, __LINE__);
	shut(&g);
	g.key.node[0] = 'X';
	pb_head_unref(g.head);
	g.head = fixture_head(&g.key, "other");
	reopen(&g);
	fixture_write(&g, 1, 70, 60);
	fixture_stream_row(&g, &b);
	shut(&g);
	shell("cp -a '%s/segments/.' '%s/segments/' && rm -r '%s/index'",
	    g.dir, f->dir, f->dir);
	reopen(f);
	expect(f, 1, 40, 40);
	fixture_stream_row(f, &a);
	assert_int_equal(pb_index_stream(pb_store_index(f->store), &g.key, &b,
	    NULL), 1);
	assert_int_not_equal(a.id, b.id);
	assert_int_equal(a.packets, 40);
	assert_int_equal(b.packets, 70);
	shut(f);
	verify_nothing(f);
	reopen(f);
	reopen(&g);
	fixture_finish(&g);
}

/* Journal first, then a commit that never came: twice. */
static void
a_fill_that_only_the_journal_knows_fills_nothing(void **state)
{
	struct fixture *f = *state;
	struct pb_fact fact = { .kind = PB_FACT_FILL, .first = 41,
	    .last = 50, .time_ns = 12345 };
	struct pb_fact behind = { .kind = PB_FACT_GAP, .first = 61,
	    .last = 70, .time_ns = 12345, .reason = PB_GAP_DAMAGED };
	struct pb_gap_info gap;
	struct pb_stream_info row;
	struct pb_chunk *chunk;

	fixture_write(f, 1, 40, 60);
	chunk = fixture_chunk(f, 41, 41, 10);
	chunk->last_seq = 60;
	chunk->gap = PB_GAP_DEAD_LETTERED;
	assert_int_equal(fixture_submit(f, chunk), 0);
	fixture_wait(f);
	shut(f);
	assert_int_equal(pb_journal_append(f->dir, &f->key, &fact, 1, NULL),
	    0);
	verify_nothing(f);
	assert_int_equal(pb_journal_append(f->dir, &f->key, &behind, 1,
	    NULL), 0);
	verify_nothing(f);
	shell("rm -r '%s/index'", f->dir);
	reopen(f);
	fixture_stream_row(f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_GAPS, row.id, 1, &gap, 1, NULL), 1);
	assert_int_equal(gap.first, 41);
	assert_int_equal(gap.last, 60);
	assert_int_equal(gap.reason, PB_GAP_DEAD_LETTERED);
	assert_int_equal(gap.closed_ns, 0);
	fixture_write(f, 41, 50, 60);
	assert_int_equal(f->last_rc, 0);
	expect(f, 1, 50, 50);
	shut(f);
	verify_nothing(f);
	reopen(f);
}

static void
a_long_journal_is_written_anew_when_a_segment_is_sealed(void **state)
{
	struct fixture *f = *state;
	struct pb_fact facts[64];
	uint64_t before;

	fixture_write(f, 1, 40, 60);
	for (int i = 0; i < 64; i++)
		facts[i] = (struct pb_fact){ .kind = PB_FACT_EXPIRED,
		    .first = 1, .last = 1, .time_ns = 1 };
	while ((before = pb_journal_bytes(f->dir, &f->key)) <=
	    PB_JOURNAL_BYTES_MAX)
		assert_int_equal(pb_journal_append(f->dir, &f->key, facts, 64,
		    NULL), 0);
	shut(f);	/* seals */
	assert_true(pb_journal_bytes(f->dir, &f->key) < 1024);
	verify_nothing(f);
	reopen(f);
	fixture_write(f, 41, 50, 60);
	expect(f, 1, 50, 50);
}

static void
a_missing_journal_is_found_and_written_anew(void **state)
{
	struct fixture *f = *state;
	struct pb_rebuild_opts opts = { .store = f->dir,
	    .index_size = 64u << 20, .pen = PB_PEN_EXAMPLE };
	struct pb_repair *repair;
	struct pb_rebuild_sum sum;
	struct pb_finding found = { .flaw = PB_FLAW_JOURNAL, .key = f->key };
	struct pb_err err;
	char path[PATH_MAX];

	fixture_write(f, 1, 40, 60);
	shut(f);
	assert_int_equal(pb_journal_path(path, f->dir, &f->key, &err), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pb_repair_create(&repair, &opts, &err), 0);
	assert_int_equal(pb_repair_note(repair, &found, &err), 0);
	assert_int_equal(pb_repair_finish(repair, &sum, &err), 0);
	pb_repair_destroy(repair);
	assert_int_equal(access(path, F_OK), 0);
	verify_nothing(f);
	reopen(f);
}

static bool
stop_it(void *arg, uint64_t files, uint64_t files_all, uint64_t bytes)
{
	(void)arg;
	(void)files_all;
	(void)bytes;
	return files < 1;
}

static void
a_rebuild_that_is_told_to_end_is_done_by_the_next(void **state)
{
	struct fixture *f = *state;
	struct pb_rebuild_opts opts = { .store = f->dir,
	    .index_size = 64u << 20, .pen = PB_PEN_EXAMPLE,
	    .progress = stop_it };
	struct pb_rebuild_sum sum;
	struct pb_err err;

	fixture_write(f, 1, 40, 60);
	shut(f);
	reopen(f);
	fixture_write(f, 41, 80, 60);
	shut(f);
	shell("rm -r '%s/index'", f->dir);
	assert_int_equal(pb_rebuild(&opts, &sum, &err), PB_EBUSY);
	assert_int_equal(pb_rebuild_needed(f->dir, &err), PB_EFORMAT);
	reopen(f);
	expect(f, 1, 80, 80);
}

static void
hidden_name(struct fixture *f, uint64_t first, const char *end,
    char out[static PATH_MAX])
{
	char dir[PATH_MAX / 2];

	assert_int_equal(pb_layout_stream(out, f->dir, &f->key, NULL), 0);
	snprintf(dir, sizeof(dir), "%s", out);
	snprintf(out, PATH_MAX, "%s/" PB_SALVAGE_HIDDEN "%020llu%s", dir,
	    (unsigned long long)first, end);
}

/* Some blocks in the middle. */
static void
spoil(const char *path, long at)
{
	shell("head -c 120 /dev/zero | dd of='%s' bs=1 seek=%ld "
	    "conv=notrunc 2>/dev/null", path, at);
}

/* All of 1 .. 400 but one to three for each rotten place. */
static void
expect_holes(struct fixture *f, long places)
{
	uint64_t first, last;
	long count = fixture_read(f, &ALL, &first, &last);

	assert_in_range(count, 400 - 3 * places, 400 - places);
	assert_int_equal(first, 1);
	assert_int_equal(last, 400);
}

/* Of an older version: a rotten block in the middle, and a rebuild that was
 * cut short where the runs were written in part, or were there in whole. */
static void
a_rebuild_cut_short_in_a_salvage_is_finished_by_the_next(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX], dir[PATH_MAX];

	fixture_write(f, 1, 400, 60);
	shut(f);
	segment_path(f, 1, false, path);
	spoil(path, 9000);
	/* A hidden folder with half a run: it counts for nothing. */
	hidden_name(f, 1, ".new", dir);
	shell("rm -r '%s/index'; mkdir '%s'", f->dir, dir);
	shell("head -c 1000 '%s' > '%s/%020d.pcapng'", path, dir, 1);
	reopen(f);
	assert_int_not_equal(access(dir, F_OK), 0);
	shut(f);
	reopen(f);
	expect_holes(f, 1);
	shut(f);
	verify_nothing(f);
	/* And one that was whole, with one run in its place already. */
	hidden_name(f, 1, "", dir);
	shell("mkdir '%s'; mv '%s' '%s/'", dir, path, dir);
	shell("rm -r '%s/index'", f->dir);
	reopen(f);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_not_equal(access(dir, F_OK), 0);
	shut(f);
	verify_nothing(f);
	reopen(f);
	expect_holes(f, 1);
}

/* Likewise, where its index had been told: it is not believed. */
static void
a_salvage_that_an_older_version_has_committed_is_done_again(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX], dir[PATH_MAX];
	struct pb_index *index;
	struct pb_mdb_txn txn;
	struct pb_err err;

	fixture_write(f, 1, 400, 60);
	shut(f);
	segment_path(f, 1, false, path);
	hidden_name(f, 1, "", dir);
	shell("mkdir '%s'; cp '%s' '%s/'", dir, path, dir);
	spoil(path, 9000);
	assert_int_equal(pb_index_open_write(&index, f->dir, 64u << 20,
	    &err), 0);
	assert_int_equal(pb_index_begin(index, &txn, &err), 0);
	pb_index_meta_put(&txn, PB_META_SALVAGE, 1);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_index_close(index);
	reopen(f);
	expect(f, 1, 400, 400);
	shut(f);
	verify_nothing(f);
	reopen(f);
}

/* As a crash before its last rename leaves a salvage: the original is there,
 * and has a second name. */
static void
put_back(struct fixture *f, const char *path)
{
	shell("ln -f '%s'/damaged/*1.pcapng '%s'; rm -r '%s/index'", f->dir,
	    path, f->dir);
}

static void
expect_aside(struct fixture *f, int count)
{
	shell("test $(ls '%s/damaged' | wc -l) = %d", f->dir, count);
}

/* A crash between the runs: some have their names, the original is there. */
static void
a_salvage_cut_short_between_its_runs_is_done_again(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX], hidden[PATH_MAX];

	fixture_write(f, 1, 400, 60);
	shut(f);
	segment_path(f, 1, false, path);
	spoil(path, 9000);
	spoil(path, 20000);
	shell("rm -r '%s/index'", f->dir);
	reopen(f);
	expect_holes(f, 2);
	hidden_name(f, 1, ".new", hidden);
	for (int i = 0; i < 2; i++) {
		shut(f);
		put_back(f, path);
		shell("head -c 5000 '%s' > '%s'", path, hidden);
		reopen(f);
		expect_holes(f, 2);
		assert_int_not_equal(access(hidden, F_OK), 0);
		/* The original and its note: nothing is kept twice. */
		expect_aside(f, 2);
	}
	shut(f);
	verify_nothing(f);
	reopen(f);
}

/* Of a process that may write no longer files. */
static int
salvage_within(struct fixture *f, const struct pb_stream_info *stream,
    rlim_t bytes)
{
	const struct pb_segment_name file = { .first = 1 };
	struct pb_mend mend = { .store = f->dir, .pen = PB_PEN_EXAMPLE };
	struct pb_runs runs = { NULL, 0, 0 };
	char aside[PATH_MAX];
	struct rlimit limit;
	struct pb_err err;
	int rc;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rc = pb_salvage(&mend, stream, &file, 0, INT64_MAX, "a test", aside,
	    &runs, &err);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	free(runs.at);
	return rc;
}

/* And one that a crash leaves is no finding: the next segment's takes its
 * place. */
static void
a_salvage_that_fails_leaves_no_hidden_file(void **state)
{
	struct fixture *f = *state;
	struct pb_stream_info stream;
	char path[PATH_MAX], saved[PATH_MAX + 8], dir[PATH_MAX];

	fixture_write(f, 1, 400, 60);
	fixture_stream_row(f, &stream);
	shut(f);
	segment_path(f, 1, false, path);
	snprintf(saved, sizeof(saved), "%s/saved", f->dir);
	shell("cp '%s' '%s'", path, saved);
	spoil(path, 9000);
	assert_int_equal(salvage_within(f, &stream, 5000), PB_ESYS);
	assert_int_equal(pb_layout_stream(dir, f->dir, &f->key, NULL), 0);
	shell("test -z \"$(find '%s' -name '.*')\"", dir);
	shell("mv '%s' '%s'; head -c 9000 '%s' > '%s/.new'", saved, path,
	    path, dir);
	verify_nothing(f);
	reopen(f);
	fixture_write(f, 401, 500, 60);
	expect(f, 1, 500, 500);
	shell("test -z \"$(find '%s' -name '.*')\"", dir);
}

/* The file is damaged that comes before it, and has a run of its name. */
static void
a_whole_file_that_goes_on_where_a_run_does_is_kept(void **state)
{
	struct fixture *f = *state;
	struct pb_segment_info rows[3];
	struct pb_stream_info stream;
	struct pb_chunk *chunk;
	struct pb_buf header;
	char path[PATH_MAX], later[PATH_MAX];
	uint64_t from, to;
	FILE *file;

	fixture_write(f, 1, 400, 60);
	shut(f);
	segment_path(f, 1, false, path);
	spoil(path, 9000);
	shell("rm -r '%s/index'", f->dir);
	reopen(f);
	fixture_stream_row(f, &stream);
	assert_int_equal(pb_index_rows_of(pb_store_index(f->store),
	    PB_TABLE_SEGMENTS, stream.id, 0, rows, 3, NULL), 2);
	shut(f);
	segment_path(f, rows[1].first_seq, false, later);
	file = fopen(later, "w");
	assert_non_null(file);
	pb_buf_init(&header, PB_HEAD_BYTES_MAX);
	assert_int_equal(pb_head_build(f->head, PB_PEN_EXAMPLE,
	    rows[1].first_seq, &header), 0);
	fwrite(header.data, 1, header.len, file);
	pb_buf_finish(&header);
	chunk = fixture_chunk(f, rows[1].first_seq, 500, 60);
	fwrite(chunk->data, 1, chunk->len, file);
	pb_chunk_destroy(chunk);
	fclose(file);
	put_back(f, path);
	reopen(f);
	assert_in_range(fixture_read(f, &ALL, &from, &to), 497, 499);
	assert_int_equal(to, 500);
	expect_aside(f, 2);
	shut(f);
	verify_nothing(f);
	reopen(f);
}

static void
a_lost_first_file_leaves_the_sums_right(void **state)
{
	struct fixture *f = *state;
	struct pb_chunk *chunk;
	char path[PATH_MAX];
	pid_t pid;
	int status;

	shut(f);
	pid = fork();
	if (pid == 0) {
		reopen(f);
		chunk = fixture_chunk(f, 1, 40, 60);
		pb_fill_drops(chunk, 3, 9, 0);
		fixture_submit(f, chunk);
		fixture_wait(f);
		_exit(0);	/* a crash: nothing is sealed */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	segment_path(f, 1, true, path);
	assert_int_equal(unlink(path), 0);
	reopen(f);
	shut(f);
	verify_nothing(f);
	reopen(f);
	fixture_write(f, 41, 50, 60);
	expect(f, 41, 50, 10);
}

static int
count_any(void *arg, const struct pb_finding *finding)
{
	(void)finding;
	return ++*(int *)arg > 100000;	/* it would never end */
}

/* A page of rows, the last of which ends before it begins: all of the index
 * is told as one finding. */
static void
a_row_that_leads_back_ends_no_verification(void **state)
{
	struct fixture *f = *state;
	struct pb_segment_info row = { .sealed = true, .sealed_at = 1 };
	struct pb_verify_opts opts = { .store = f->dir, .alone = true,
	    .each = count_any };
	struct pb_stream_info stream;
	struct pb_verify_sum sum;
	struct pb_mdb_txn txn;
	struct pb_err err;
	int count = 0;

	opts.arg = &count;
	fixture_write(f, 1, 40, 60);
	fixture_stream_row(f, &stream);
	assert_int_equal(pb_index_begin(pb_store_index(f->store), &txn, &err),
	    0);
	row.stream = stream.id;
	for (uint64_t i = 1; i < 200; i++) {
		row.first_seq = 100 * i;
		row.last_seq = i % 64 == 63 ? 5 : row.first_seq + 99;
		pb_index_put_segment(&txn, &row);
	}
	assert_int_equal(pb_mdb_commit(&txn), 0);
	shut(f);
	assert_int_equal(pb_verify(&opts, &sum, &err), 0);
	assert_int_equal(count, 1);
	reopen(f);
}

static void
a_file_of_zeros_is_looked_through_and_set_aside(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX], aside[PATH_MAX];
	struct pb_mend mend = { .store = f->dir, .pen = PB_PEN_EXAMPLE };
	struct pb_segment_name name = { .first = 900 };
	struct pb_runs runs = { NULL, 0, 0 };
	struct pb_stream_info row;
	struct pb_err err;

	fixture_write(f, 1, 40, 60);
	fixture_stream_row(f, &row);
	shut(f);
	segment_path(f, 900, false, path);
	shell("truncate -s %s '%s'", getenv("PB_FULL") != NULL ? "4G" :
	    "200M", path);
	assert_int_equal(pb_salvage(&mend, &row, &name, 899, INT64_MAX,
	    "rubbish", aside, &runs, &err), 0);
	assert_int_equal(runs.count, 0);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(access(aside, F_OK), 0);
	reopen(f);
}

/* Single packets, a word of rot behind each. */
static void
a_segment_in_thousands_of_pieces_keeps_every_packet(void **state)
{
	struct fixture *f = *state;
	uint64_t count = getenv("PB_FULL") != NULL ? 5000 : 500;
	struct pb_chunk *chunk;
	char path[PATH_MAX];
	struct pb_head *head = f->head;
	struct pb_buf header;
	FILE *file;

	fixture_write(f, 1, 40, 60);
	shut(f);
	segment_path(f, 41, false, path);
	file = fopen(path, "w");
	assert_non_null(file);
	pb_buf_init(&header, PB_HEAD_BYTES_MAX);
	assert_int_equal(pb_head_build(head, PB_PEN_EXAMPLE, 41, &header), 0);
	fwrite(header.data, 1, header.len, file);
	pb_buf_finish(&header);
	for (uint64_t seq = 41; seq < 41 + count; seq++) {
		chunk = fixture_chunk(f, seq, seq, 60);
		fwrite(chunk->data, 1, chunk->len, file);
		fwrite("rot!", 1, 4, file);
		pb_chunk_destroy(chunk);
	}
	fclose(file);
	shell("rm -r '%s/index'", f->dir);
	reopen(f);
	expect(f, 1, 40 + count, (long)(40 + count));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(a_file_where_a_new_segment_goes_is_set_aside),
		IN_STORE(rubbish_beside_the_segments_takes_nothing_from_them),
		IN_STORE(
		    of_two_files_with_the_same_numbers_each_packet_is_kept_once),
		IN_STORE(streams_that_have_one_id_are_told_apart),
		IN_STORE(a_fill_that_only_the_journal_knows_fills_nothing),
		IN_STORE(
		    a_long_journal_is_written_anew_when_a_segment_is_sealed),
		IN_STORE(a_missing_journal_is_found_and_written_anew),
		IN_STORE(a_rebuild_that_is_told_to_end_is_done_by_the_next),
		IN_STORE(
		    a_rebuild_cut_short_in_a_salvage_is_finished_by_the_next),
		IN_STORE(
		    a_salvage_that_an_older_version_has_committed_is_done_again),
		IN_STORE(a_salvage_cut_short_between_its_runs_is_done_again),
		IN_STORE(a_salvage_that_fails_leaves_no_hidden_file),
		IN_STORE(a_whole_file_that_goes_on_where_a_run_does_is_kept),
		IN_STORE(a_lost_first_file_leaves_the_sums_right),
		IN_STORE(a_row_that_leads_back_ends_no_verification),
		IN_STORE(a_file_of_zeros_is_looked_through_and_set_aside),
		IN_STORE(a_segment_in_thousands_of_pieces_keeps_every_packet),
	};

	return cmocka_run_group_tests_name("mend", tests, NULL, NULL);
}
