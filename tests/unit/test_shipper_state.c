/*
 * tests/unit/test_shipper_state.c - the shipper's rows, written and read
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/store/facts/acks.h"
#include "recorder/store/index/mdb.h"
#include "shipper/state/edges.h"
#include "shipper/state/state.h"
#include "shipper/state/tables.h"
#include "tests/unit/temp.h"

struct bench {
	char		 dir[64];
	struct pb_state	*state;
};

static void
bench_init(struct bench *b)
{
	struct pb_err err;

	temp_make(b->dir, "state");
	assert_int_equal(pb_state_open(&b->state, b->dir, &err), PB_ENOENT);
	assert_int_equal(pb_state_open_write(&b->state, b->dir, &err), 0);
}

static void
bench_finish(struct bench *b)
{
	pb_state_close(b->state);
	temp_remove(b->dir);
}

static void
put_cursor(struct bench *b, const char *upstream, const char *node,
    const char *interface, uint64_t epoch, uint64_t acked)
{
	struct pb_cursor_row row = { .acked = acked, .sent = acked + 5,
	    .state = PB_CURSOR_READY, .written_ns = 99 };

	snprintf(row.key.node, sizeof(row.key.node), "%s", node);
	snprintf(row.key.interface, sizeof(row.key.interface), "%s",
	    interface);
	row.key.epoch = epoch;
	pb_state_put_cursor(b->state, upstream, &row);
}

static void
an_upstreams_row_comes_back_as_it_was(void **state)
{
	struct pb_upstream_row in, out[2];
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b);
	memset(&in, 0, sizeof(in));
	strcpy(in.name, "core");
	in.state = PB_SHIP_BACKOFF;
	in.since_ns = 1;
	in.written_ns = 2;
	in.progress_ns = 3;
	in.retry_ns = 4;
	in.attempts = 5;
	in.streams = 6;
	in.refused = 7;
	in.flight_bytes = 8;
	in.sent_bytes = UINT64_MAX;
	in.acked_bytes = 10;
	in.acked_packets = 11;
	in.filtered = 12;
	in.unfit = 13;
	in.opens = 14;
	in.failures = UINT64_MAX;
	in.error_ns = 15;
	in.pps = 16;
	in.byteps = 17;
	in.comes_pps = 18;
	memset(in.unfit_text, 'f', sizeof(in.unfit_text) - 1);
	in.apart = 14;
	in.apart_ns = 15;
	memset(in.url, 'u', sizeof(in.url) - 1);
	memset(in.last_error, 'e', sizeof(in.last_error) - 1);
	assert_int_equal(pb_state_begin(b.state, &err), 0);
	pb_state_put_upstream(b.state, &in);
	assert_int_equal(pb_state_commit(b.state), 0);
	assert_int_equal(pb_state_upstreams(b.state, NULL, out, 2, &err), 1);
	assert_memory_equal(&in, &out[0], sizeof(in));
	bench_finish(&b);
}

static void
upstreams_come_in_pages_by_name(void **state)
{
	struct pb_upstream_row row = { .state = PB_SHIP_READY }, out[3];
	static const char *const names[] = { "a", "a-b", "aa", "b", "core" };
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_state_begin(b.state, &err), 0);
	for (int i = 4; i >= 0; i--) {
		strcpy(row.name, names[i]);
		pb_state_put_upstream(b.state, &row);
	}
	assert_int_equal(pb_state_commit(b.state), 0);
	assert_int_equal(pb_state_upstreams(b.state, NULL, out, 3, &err), 3);
	assert_string_equal(out[0].name, "a");
	assert_string_equal(out[2].name, "aa");
	assert_int_equal(pb_state_upstreams(b.state, "aa", out, 3, &err), 2);
	assert_string_equal(out[0].name, "b");
	assert_string_equal(out[1].name, "core");
	assert_int_equal(pb_state_upstreams(b.state, "core", out, 3, &err),
	    0);
	bench_finish(&b);
}

static void
cursors_come_in_pages_and_of_one_upstream_only(void **state)
{
	struct pb_cursor_row out[8], *last = NULL;
	struct bench b;
	struct pb_err err;
	int count, seen = 0;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_state_begin(b.state, &err), 0);
	for (uint64_t i = 0; i < 20; i++) {
		put_cursor(&b, "core", "lon1", "eth0", i + 1, 100 + i);
		put_cursor(&b, "cor", "lon1", "eth0", i + 1, 1);
		put_cursor(&b, "core2", "lon1", "eth0", i + 1, 2);
	}
	put_cursor(&b, "core", "par1", "Ethernet 2/any thing", 7, 555);
	assert_int_equal(pb_state_commit(b.state), 0);
	do {
		struct pb_stream_key after;

		if (last != NULL)
			after = last->key;
		count = pb_state_cursors(b.state, "core",
		    last != NULL ? &after : NULL, out, 8, &err);
		for (int i = 0; i < count; i++, seen++) {
			if (seen == 20)
				break;
			assert_string_equal(out[i].key.node, "lon1");
			assert_int_equal(out[i].key.epoch, seen + 1);
			assert_int_equal(out[i].acked, 100 + seen);
			assert_int_equal(out[i].sent, 105 + seen);
		}
		last = &out[count - 1];
	} while (count == 8);
	assert_int_equal(seen, 20);
	assert_string_equal(last->key.interface, "Ethernet 2/any thing");
	assert_int_equal(last->acked, 555);
	assert_int_equal(pb_state_cursors(b.state, "none", NULL, out, 8,
	    &err), 0);
	bench_finish(&b);
}

static void
one_cursor_is_found_by_its_stream(void **state)
{
	struct pb_stream_key key = { "lon1", "eth0", 3 };
	struct pb_cursor_row out;
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_state_begin(b.state, &err), 0);
	put_cursor(&b, "core", "lon1", "eth0", 3, 42);
	assert_int_equal(pb_state_commit(b.state), 0);
	assert_int_equal(pb_state_cursor(b.state, "core", &key, &out, &err),
	    1);
	assert_int_equal(out.acked, 42);
	assert_string_equal(out.key.node, "lon1");
	key.epoch = 4;
	assert_int_equal(pb_state_cursor(b.state, "core", &key, &out, &err),
	    0);
	bench_finish(&b);
}

static bool
keep_core(void *arg, const char *upstream)
{
	(void)arg;
	return strcmp(upstream, "core") == 0;
}

static void
forgotten_upstreams_leave_nothing_behind(void **state)
{
	struct pb_upstream_row row = { .state = PB_SHIP_READY }, out[4];
	struct pb_cursor_row cursors[4];
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_state_begin(b.state, &err), 0);
	for (uint64_t i = 1; i <= 1000; i++) {
		put_cursor(&b, "old", "lon1", "eth0", i, 1);
		put_cursor(&b, "core", "lon1", "eth0", i, 1);
		put_cursor(&b, "zoo", "lon1", "eth0", i, 1);
	}
	strcpy(row.name, "old");
	pb_state_put_upstream(b.state, &row);
	strcpy(row.name, "core");
	pb_state_put_upstream(b.state, &row);
	assert_int_equal(pb_state_commit(b.state), 0);
	assert_int_equal(pb_state_forget(b.state, keep_core, NULL, &err), 0);
	assert_int_equal(pb_state_upstreams(b.state, NULL, out, 4, &err), 1);
	assert_string_equal(out[0].name, "core");
	assert_int_equal(pb_state_cursors(b.state, "old", NULL, cursors, 4,
	    &err), 0);
	assert_int_equal(pb_state_cursors(b.state, "zoo", NULL, cursors, 4,
	    &err), 0);
	assert_int_equal(pb_state_cursors(b.state, "core", NULL, cursors, 4,
	    &err), 4);
	bench_finish(&b);
}

static void
a_cursor_keeps_what_waits_and_for_how_long(void **state)
{
	struct pb_cursor_row in = { .key = { "lon1", "eth0", 3 },
	    .state = PB_CURSOR_WAITING, .acked = 10, .sent = 90,
	    .released = 70, .wait_seq = 80, .wait_ms = 3599999,
	    .written_ns = 5, .sure = { .seq = 10, .digest = 1ull << 63 },
	    .text = "why" }, out;
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_state_begin(b.state, &err), 0);
	pb_state_put_cursor(b.state, "core", &in);
	assert_int_equal(pb_state_commit(b.state), 0);
	assert_int_equal(pb_state_cursor(b.state, "core", &in.key, &out,
	    &err), 1);
	assert_int_equal(out.released, 70);
	assert_int_equal(out.wait_seq, 80);
	assert_int_equal(out.wait_ms, 3599999);
	assert_int_equal(out.sure.seq, 10);
	assert_true(out.sure.digest == 1ull << 63);
	assert_string_equal(out.text, "why");
	bench_finish(&b);
}

static size_t
row_bytes(struct bench *b, const struct pb_cursor_row *in)
{
	uint8_t key[PB_ACKS_KEY_MAX];
	struct pb_mdb_value value;
	struct pb_mdb_txn txn;

	assert_int_equal(pb_state_begin(b->state, NULL), 0);
	pb_state_put_cursor(b->state, "core", in);
	assert_int_equal(pb_state_commit(b->state), 0);
	assert_int_equal(pb_mdb_begin(b->state->mdb, false, &txn, NULL), 0);
	assert_int_equal(pb_mdb_get(&txn, PB_STATE_CURSORS, key,
	    pb_acks_key(key, "core", &in->key), &value), 1);
	pb_mdb_abort(&txn);
	return value.len;
}

static void
what_a_stream_has_not_takes_no_bytes_of_its_row(void **state)
{
	struct pb_cursor_row in = { .key = { "lon1", "eth0", 3 },
	    .acked = 10, .sure = { .seq = 10, .digest = 7 } }, out;
	struct bench b;
	size_t bytes;

	(void)state;
	bench_init(&b);
	bytes = row_bytes(&b, &in);
	in.unsure[1].last = 9;
	assert_int_equal(row_bytes(&b, &in), bytes + 32);
	in.unsure[1].last = 0;
	assert_int_equal(row_bytes(&b, &in), bytes);
	assert_int_equal(pb_state_cursor(b.state, "core", &in.key, &out,
	    NULL), 1);
	assert_int_equal(out.sure.digest, 7);
	assert_int_equal(out.unsure[1].last, 0);
	bench_finish(&b);
}

/* What retention reads: acks.h.  It goes with its upstream. */
static void
each_cursor_has_its_row_for_retention(void **state)
{
	struct pb_cursor_row row = { .key = { "lon1", "eth0", 3 },
	    .acked = 10, .released = 70 };
	struct pb_acks *acks;
	struct pb_ack ack;
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_state_begin(b.state, &err), 0);
	pb_state_put_cursor(b.state, "core", &row);
	pb_state_put_cursor(b.state, "old", &row);
	row.key.epoch = 4;
	row.released = 0;
	pb_state_put_cursor(b.state, "core", &row);
	assert_int_equal(pb_state_commit(b.state), 0);
	assert_int_equal(pb_state_forget(b.state, keep_core, NULL, &err), 0);
	/* An environment is open once in a process. */
	pb_state_close(b.state);
	b.state = NULL;
	assert_int_equal(pb_acks_create(&acks, b.dir, &err), 0);
	pb_acks_wait(acks);
	assert_int_equal(pb_acks_get(acks, "core", &row.key, &ack), 1);
	assert_int_equal(ack.acked, 10);
	assert_int_equal(ack.released, 10);
	row.key.epoch = 3;
	assert_int_equal(pb_acks_get(acks, "core", &row.key, &ack), 1);
	assert_int_equal(ack.acked, 10);
	assert_int_equal(ack.released, 70);
	assert_int_equal(pb_acks_get(acks, "old", &row.key, &ack), 0);
	pb_acks_destroy(acks);
	bench_finish(&b);
}

/* Rows of a version to come, and rows that a disk made up. */
static void
foreign_rows_are_skipped(void **state)
{
	static const char *const tables[] = { "upstreams", "cursors" };
	static const uint8_t future[] = { 3, 1, 2, 3 }, cut[] = { 2, 2 };
	static uint8_t huge[5000] = { 2 };
	struct pb_upstream_row up[8];
	struct pb_cursor_row cursors[8];
	char path[PATH_MAX];
	struct pb_mdb_txn txn;
	struct pb_mdb *mdb;
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b);
	pb_state_close(b.state);
	snprintf(path, sizeof(path), "%s/shipper", b.dir);
	assert_int_equal(pb_mdb_open(&mdb, path, PB_STATE_MAP_BYTES, tables,
	    2, PB_MDB_WRITE, &err), 0);
	assert_int_equal(pb_mdb_begin(mdb, true, &txn, &err), 0);
	for (unsigned table = 0; table < 2; table++) {
		pb_mdb_put(&txn, table, "core\0a", 6, future,
		    sizeof(future));
		pb_mdb_put(&txn, table, "core\0b", 6, huge, sizeof(huge));
		pb_mdb_put(&txn, table, "core\0c", 6, "", 0);
		pb_mdb_put(&txn, table, "core\0n\0i\0 8 bytes", 17, cut,
		    sizeof(cut));
		pb_mdb_put(&txn, table, "core\0\377", 500 > 6 ? 6 : 0, cut,
		    sizeof(cut));
	}
	assert_int_equal(pb_mdb_commit(&txn), 0);
	pb_mdb_close(mdb);
	assert_int_equal(pb_state_open(&b.state, b.dir, &err), 0);
	/* A row cut short reads as zeros, one with a wrong key not at all. */
	assert_int_equal(pb_state_cursors(b.state, "core", NULL, cursors, 8,
	    &err), 1);
	assert_int_equal(cursors[0].acked, 0);
	assert_string_equal(cursors[0].key.node, "n");
	assert_true(pb_state_upstreams(b.state, NULL, up, 8, &err) >= 0);
	bench_finish(&b);
}

/* Reading it would end the process: shipper, `pb status`, `pb dlq`. */
static void
a_file_that_was_cut_short_is_an_error_and_stays(void **state)
{
	char file[96], interface[16];
	struct bench b;
	struct pb_err err;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_state_begin(b.state, &err), 0);
	for (unsigned i = 0; i < 500; i++) {
		snprintf(interface, sizeof(interface), "eth%u", i);
		put_cursor(&b, "core", "lon1", interface, 7, i);
	}
	assert_int_equal(pb_state_commit(b.state), 0);
	pb_state_close(b.state);
	snprintf(file, sizeof(file), "%s/shipper/data.mdb", b.dir);
	assert_int_equal(truncate(file, 5 * sysconf(_SC_PAGESIZE)), 0);
	assert_int_equal(pb_state_open(&b.state, b.dir, &err), PB_EFORMAT);
	assert_int_equal(pb_state_open_write(&b.state, b.dir, &err),
	    PB_EFORMAT);
	assert_non_null(strstr(err.text, "Fix:"));
	assert_int_equal(access(file, F_OK), 0);
	bench_finish(&b);
}

static void
a_second_shipper_is_told_the_firsts_pid(void **state)
{
	char dir[TEMP_NAME_MAX], pid_text[32];
	struct pb_err err;
	int fd, status, ready[2];
	pid_t child, pid = 0;
	char byte;

	(void)state;
	temp_make(dir, "shipper-lock");
	assert_false(pb_shipper_running(dir, &pid));
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (pb_shipper_lock(&fd, dir, &err) < 0 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(pb_shipper_running(dir, &pid));
	assert_int_equal(pid, child);
	assert_int_equal(pb_shipper_lock(&fd, dir, &err), PB_EBUSY);
	snprintf(pid_text, sizeof(pid_text), "%ld", (long)child);
	assert_non_null(strstr(err.text, pid_text));
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	/* However it ended, the lock is free. */
	assert_false(pb_shipper_running(dir, &pid));
	assert_int_equal(pb_shipper_lock(&fd, dir, &err), 0);
	close(fd);
	close(ready[0]);
	close(ready[1]);
	temp_remove(dir);
}

static bool
keeps_b(void *arg, const char *edge)
{
	(void)arg;
	return strcmp(edge, "b") == 0;
}

/* Beside them in `meta` stand others' rows, which stay. */
static void
edges_come_in_pages_by_name_and_are_forgotten(void **state)
{
	static const char *const names[] = { "c", "a", "b" };
	struct pb_edge_row rows[3];
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_state_begin(b.state, NULL), 0);
	pb_mdb_put(&b.state->txn, PB_STATE_META, "age", 3, "x", 1);
	pb_mdb_put(&b.state->txn, PB_STATE_META, "fill", 4, "x", 1);
	for (size_t i = 0; i < 3; i++) {
		struct pb_edge_row row = { .state = PB_SHIP_READY,
		    .behind = i + 1, .packets = 7, .error_ns = 9,
		    .failures = 10, .pps = 11, .byteps = 12, .comes_pps = 13,
		    .forked = 14, .url = "http://x", .last_error = "why" };

		strcpy(row.name, names[i]);
		pb_state_put_edge(b.state, &row);
	}
	assert_int_equal(pb_state_commit(b.state), 0);
	assert_int_equal(pb_state_edges(b.state, NULL, rows, 2, NULL), 2);
	assert_string_equal(rows[0].name, "a");
	assert_int_equal(rows[0].behind, 2);
	assert_string_equal(rows[0].last_error, "why");
	assert_int_equal(rows[0].error_ns, 9);
	assert_int_equal(rows[0].failures, 10);
	assert_int_equal(rows[0].pps, 11);
	assert_int_equal(rows[0].byteps, 12);
	assert_int_equal(rows[0].comes_pps, 13);
	assert_int_equal(rows[0].forked, 14);
	assert_int_equal(pb_state_edges(b.state, "b", rows, 3, NULL), 1);
	assert_string_equal(rows[0].name, "c");
	assert_int_equal(pb_state_forget_edges(b.state, keeps_b, NULL, NULL),
	    0);
	assert_int_equal(pb_state_edges(b.state, NULL, rows, 3, NULL), 1);
	assert_string_equal(rows[0].name, "b");
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_upstreams_row_comes_back_as_it_was),
		cmocka_unit_test(upstreams_come_in_pages_by_name),
		cmocka_unit_test(
		    cursors_come_in_pages_and_of_one_upstream_only),
		cmocka_unit_test(one_cursor_is_found_by_its_stream),
		cmocka_unit_test(forgotten_upstreams_leave_nothing_behind),
		cmocka_unit_test(a_cursor_keeps_what_waits_and_for_how_long),
		cmocka_unit_test(
		    what_a_stream_has_not_takes_no_bytes_of_its_row),
		cmocka_unit_test(each_cursor_has_its_row_for_retention),
		cmocka_unit_test(foreign_rows_are_skipped),
		cmocka_unit_test(
		    a_file_that_was_cut_short_is_an_error_and_stays),
		cmocka_unit_test(
		    edges_come_in_pages_by_name_and_are_forgotten),
		cmocka_unit_test(a_second_shipper_is_told_the_firsts_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
