/*
 * tests/unit/test_index_rows.c - rows as they are stored, and walks over them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "recorder/flow/table.h"
#include "recorder/store/index/index_rows.h"
#include "recorder/store/index/index_write.h"

#define MANY	1000u	/* rows: several pages of each table */

struct place {
	char		 dir[64];
	struct pb_index	*index;
	struct pb_mdb_txn txn;
};

static const struct pb_stream_key eth0 = { .node = "lon1",
    .interface = "eth0", .epoch = 7 };

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct pb_err err;

	strcpy(p->dir, "/tmp/pb-test-rows-XXXXXX");
	*state = p;
	return mkdtemp(p->dir) == NULL ? -1 : pb_index_open_write(&p->index,
	    p->dir, 64u << 20, &err);
}

static int
teardown(void **state)
{
	struct place *p = *state;
	char command[128];

	pb_index_close(p->index);
	snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
	free(p);
	return system(command);
}

static void
begin(struct place *p)
{
	assert_int_equal(pb_index_begin(p->index, &p->txn, NULL), 0);
}

static void
commit(struct place *p)
{
	assert_int_equal(pb_mdb_commit(&p->txn), 0);
}

/* --- bytes --------------------------------------------------------------- */

static void
expect_stored(struct place *p, unsigned table, const void *key, size_t key_len,
    const uint64_t *words, size_t count)
{
	struct pb_mdb_value value;
	uint8_t bytes[128];

	for (size_t i = 0; i < count; i++)
		pb_put_le64(bytes + 8 * i, words[i]);
	assert_int_equal(pb_mdb_get(&p->txn, table, key, key_len, &value), 1);
	assert_int_equal(value.len, 8 * count);
	assert_memory_equal(value.data, bytes, value.len);
}
#define EXPECT(p, table, key, len, ...) expect_stored(p, table, key, len, \
	(const uint64_t[]){ __VA_ARGS__ }, \
	sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

/*
 * Goal:   an index that a program of before has written is read, and the
 *         other way round: there is no version for another order of members.
 * Method: each value as numbers of 64 bits, on a machine of this kind.
 */
static void
rows_are_stored_in_exactly_these_bytes(void **state)
{
	static const uint8_t at[] = "\0\0\0\x0c\0\0\0\0\0\0\0\x15";
	static const uint8_t name[] = "lon1\0eth0\0\0\0\0\0\0\0\0\x07";
	static const uint8_t age[] = "\0\0\0\0\0\0\0\x09\0\0\0\x0c"
	    "\0\0\0\0\0\0\0\x15";
	struct place *p = *state;

	begin(p);
	pb_index_put_stream(&p->txn, &(struct pb_stream_info){ .key = eth0,
	    .id = 12, .linktype = 113, .own = true, .unsteady = true,
	    .snaplen = 96, .created_ns = 1, .first_seq = 2, .last_seq = 3,
	    .packets = 4, .bytes = 5, .dropped = 6, .dropped_before = 7,
	    .first_time = 8, .last_time = 9 });
	pb_index_put_segment(&p->txn, &(struct pb_segment_info){ .stream = 12,
	    .first_seq = 21, .last_seq = 30, .packets = 2, .bytes = 3,
	    .packet_bytes = 4, .first_time = 5, .last_time = 6,
	    .created_ns = 7, .sealed_at = 9, .header_digest = 10,
	    .header_bytes = 11, .sealed = true });
	pb_index_put(&p->txn, PB_TABLE_EXTENTS, &(struct pb_extent_info){
	    .stream = 12, .first_seq = 21, .last_seq = 30, .segment_seq = 2,
	    .offset = 3, .bytes = 4, .first_time = 5, .last_time = 6,
	    .digest = 7 });
	pb_index_put(&p->txn, PB_TABLE_GAPS, &(struct pb_gap_info){
	    .stream = 12, .first = 21, .last = 30, .reason = PB_GAP_DAMAGED,
	    .since_ns = 2, .closed_ns = 4 });
	pb_index_put(&p->txn, PB_TABLE_DROPS, &(struct pb_drop_info){
	    .stream = 12, .seq = 21, .count = 2, .time_ns = 3 });
	pb_index_put_fill(&p->txn, 12, 2, 3);
	pb_index_put(&p->txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = 12, .first_seq = 21, .key = eth0 });
	EXPECT(p, PB_TABLE_STREAMS, name, sizeof(name) - 1,
	    12 | 113ull << 32 | 3ull << 48, 96, 1, 2, 3, 4, 5, 6, 7, 8, 9);
	EXPECT(p, PB_TABLE_SEGMENTS, at, 12, 30, 2, 3, 4, 5, 6, 7, 9, 10,
	    11 | 1ull << 32);
	EXPECT(p, PB_TABLE_EXTENTS, at, 12, 30, 2, 3, 5, 6, 7, 4);
	EXPECT(p, PB_TABLE_GAPS, at, 12, 30, 2, 4, 3);
	EXPECT(p, PB_TABLE_DROPS, at, 12, 2, 3);
	EXPECT(p, PB_TABLE_FILLS, "\0\0\0\0\0\0\0\x01", 8, 2, 3, 12);
	EXPECT(p, PB_TABLE_AGES, age, 20, 3);
	commit(p);
}

/* What stands before its summary; that is as long as it says; and the digest
 * of the key and of what stands before. */
static void
a_row_of_flows_is_stored_as_long_as_its_summary_is(void **state)
{
	static const uint8_t at[] = "\0\0\0\x0c\0\0\0\0\0\0\0\x15";
	struct pb_flows_info row = { .stream = 12, .first_seq = 21,
	    .last_seq = 30, .segment_seq = 1, .from = 3, .end = 4,
	    .first_time = 5, .last_time = 6, .packets = 10, .table_at = 8,
	    .table_digest = 9, .table_bytes = 10, .summary_bytes = 16 };
	static const uint64_t head[] = { 30, 1, 3, 4, 5, 6, 10, 8, 9,
	    10 | 16ull << 32 };
	struct place *p = *state;
	struct pb_flows_info read;
	uint8_t whole[12 + 80];

	memset(&read, 77, sizeof(read));
	begin(p);
	for (uint32_t i = 0; i < 16; i++)
		row.summary[i] = i % 8 == 0 ? (uint8_t)(1 + i / 8) : 0;
	pb_index_put(&p->txn, PB_TABLE_FLOWS, &row);
	memcpy(whole, at, 12);
	for (size_t i = 0; i < 10; i++)
		pb_put_le64(whole + 12 + 8 * i, head[i]);
	EXPECT(p, PB_TABLE_FLOWS, at, 12, 30, 1, 3, 4, 5, 6, 10, 8, 9,
	    10 | 16ull << 32, 1, 2, pb_digest(whole, sizeof(whole)));
	commit(p);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_FLOWS, 12, 25,
	    &read, 1, NULL), 1);
	assert_memory_equal(&read, &row, sizeof(row));
	begin(p);
	row.first_seq = 41;
	row.last_seq = 50;
	row.summary_bytes = PB_SUMMARY_BYTES_MAX;
	pb_index_put(&p->txn, PB_TABLE_FLOWS, &row);
	commit(p);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_FLOWS, 12, 45,
	    &read, 1, NULL), 1);
	assert_memory_equal(&read, &row, sizeof(row));
}

static void
put_flows(struct place *p, const struct pb_flows_info *row, size_t cut)
{
	uint8_t key[PB_MDB_KEY_MAX];

	pb_mdb_put(&p->txn, PB_TABLE_FLOWS, key,
	    pb_row_key(key, PB_TABLE_FLOWS, row), &row->last_seq,
	    offsetof(struct pb_flows_info, summary) + row->summary_bytes -
	    offsetof(struct pb_flows_info, last_seq) - cut);
}

/* Method: one member after the other, among good rows. */
static void
a_row_of_flows_that_makes_no_sense_is_passed_over(void **state)
{
	const struct pb_flows_info good = { .stream = 12, .last_seq = 9,
	    .segment_seq = 1, .from = 100, .end = 200, .packets = 10,
	    .table_bytes = 7, .summary_bytes = 20 };
	struct place *p = *state;
	const struct pb_flows_info *row;
	struct pb_rows rows;
	uint64_t n = 0, given = 0;

	begin(p);
#define ROW(cut, ...) do {					\
		struct pb_flows_info r = good;				\
									\
		r.first_seq = 10 * n++ + 10;				\
		r.last_seq = r.first_seq + 9;				\
		__VA_ARGS__;						\
		put_flows(p, &r, cut);					\
	} while (0)
	ROW(0, (void)r);
	ROW(1, (void)r);
	ROW(0, r.packets = 11);
	ROW(0, r.segment_seq = r.first_seq + 1);
	ROW(0, r.end = r.from);
	ROW(0, r.end = r.from + PB_INDEX_BLOCK_BYTES + 1);
	ROW(0, r.table_bytes = PB_FLOW_TABLE_BYTES_MAX + 1);
	ROW(0, r.table_at = UINT64_MAX);
	ROW(0, r.last_seq = r.first_seq - 1, r.packets = 0);
	ROW(1, r.summary_bytes = PB_SUMMARY_BYTES_MAX + 1);
	ROW(0, (void)r);
#undef ROW
	commit(p);
	pb_rows_of(&rows, p->index, PB_TABLE_FLOWS, 12, 1, NULL);
	for (; (row = pb_rows_next(&rows)) != NULL; given++)
		assert_int_equal(row->first_seq, given == 0 ? 10 : 110);
	assert_int_equal(given, 2);
	assert_int_equal(rows.rc, 0);
}

/*
 * Goal:   what is said of packets that are not looked at is what was written,
 *         but for the summary, which has a digest of its own.
 * Method: each bit of the key and the value is another one; and a row of
 *         before there was a digest.
 */
static void
a_row_of_flows_that_rots_is_passed_over(void **state)
{
	const struct pb_flows_info good = { .stream = 12, .first_seq = 1000,
	    .last_seq = 1999, .segment_seq = 1, .from = 100, .end = 20000,
	    .first_time = 5, .last_time = 6, .packets = 1000,
	    .table_bytes = 7, .summary_bytes = 20 };
	uint8_t key[PB_MDB_KEY_MAX], bytes[128];
	struct place *p = *state;
	struct pb_flows_info read;
	struct pb_mdb_value row, name = { key, 12 };
	struct pb_mdb_value rotten = { bytes, 80 + 20 + 8 };

	begin(p);
	pb_index_put(&p->txn, PB_TABLE_FLOWS, &good);
	assert_int_equal(pb_row_key(key, PB_TABLE_FLOWS, &good), 12);
	assert_int_equal(pb_mdb_get(&p->txn, PB_TABLE_FLOWS, key, 12, &row),
	    1);
	assert_int_equal(row.len, rotten.len);
	memcpy(bytes, row.data, row.len);
	assert_true(pb_row_read(PB_TABLE_FLOWS, &read, &name, &rotten));
	for (size_t at = 0; at < 12 + 80 + 20 + 8; at++) {
		uint8_t *byte = at < 12 ? key + at : bytes + at - 12;
		bool summary = at >= 12 + 76 && at < 12 + 80 + 20;

		for (unsigned bit = 0; bit < 8; bit++) {
			*byte ^= (uint8_t)(1u << bit);
			if (pb_row_read(PB_TABLE_FLOWS, &read, &name,
			    &rotten)) {
				assert_true(summary);
				assert_memory_equal(&read, &good, 12 + 80);
			}
			*byte ^= (uint8_t)(1u << bit);
		}
	}
	pb_mdb_abort(&p->txn);
	begin(p);
	put_flows(p, &good, 0);
	commit(p);
	assert_int_equal(pb_index_rows_of(p->index, PB_TABLE_FLOWS, 12, 1000,
	    &read, 1, NULL), 1);
	assert_memory_equal(&read, &good, sizeof(read));
}

/*
 * Goal:   an index of before there were flows is read, and gets the table
 *         when it is opened for writing.
 * Method: one is made without it, by the layer below.
 */
static void
an_index_without_flows_has_none(void **state)
{
	struct place *p = *state;
	char dir[128];
	struct pb_mdb *mdb;
	struct pb_rows rows;

	pb_index_close(p->index);
	p->index = NULL;
	snprintf(dir, sizeof(dir), "%s/index/data.mdb", p->dir);
	assert_int_equal(unlink(dir), 0);
	snprintf(dir, sizeof(dir), "%s/index", p->dir);
	assert_int_equal(pb_mdb_open(&mdb, dir, 64u << 20, pb_index_tables,
	    PB_TABLE_FLOWS, PB_MDB_WRITE, NULL), 0);
	assert_int_equal(pb_mdb_begin(mdb, true, &p->txn, NULL), 0);
	pb_index_meta_put(&p->txn, "version", PB_INDEX_VERSION);
	commit(p);
	pb_mdb_close(mdb);
	assert_int_equal(pb_index_probe(p->dir, true, NULL), 0);
	assert_int_equal(pb_index_open(&p->index, p->dir, NULL), 0);
	for (int i = 0; i < 2; i++) {
		pb_rows_all(&rows, p->index, PB_TABLE_FLOWS, NULL, NULL);
		assert_null(pb_rows_next(&rows));
		pb_rows_of(&rows, p->index, PB_TABLE_FLOWS, 12, 1, NULL);
		assert_null(pb_rows_next(&rows));
		assert_int_equal(rows.rc, 0);
		pb_index_close(p->index);
		assert_int_equal(pb_index_open_write(&p->index, p->dir,
		    64u << 20, NULL), 0);
	}
}

/* --- walks --------------------------------------------------------------- */

/* Extents of `stream`, of ten packets each, without holes. */
static void
put_extents(struct place *p, uint32_t stream, uint64_t count)
{
	begin(p);
	for (uint64_t n = 0; n < count; n++)
		pb_index_put(&p->txn, PB_TABLE_EXTENTS,
		    &(struct pb_extent_info){ .stream = stream,
		    .first_seq = 10 * n + 1, .last_seq = 10 * n + 10 });
	commit(p);
}

static void
a_walk_gives_each_row_of_its_stream_once_and_in_order(void **state)
{
	struct place *p = *state;
	const struct pb_extent_info *row;
	struct pb_rows rows;
	uint64_t next = 1;

	put_extents(p, 11, 3);
	put_extents(p, 12, MANY);
	put_extents(p, 13, 3);
	pb_rows_of(&rows, p->index, PB_TABLE_EXTENTS, 12, 1, NULL);
	for (; (row = pb_rows_next(&rows)) != NULL; next += 10) {
		assert_int_equal(row->stream, 12);
		assert_int_equal(row->first_seq, next);
		assert_int_equal(row->last_seq, next + 9);
	}
	assert_int_equal(next, 10 * MANY + 1);
	assert_int_equal(rows.rc, 0);
	assert_null(pb_rows_next(&rows));
}

static void
a_walk_of_streams_gives_each_of_them(void **state)
{
	struct pb_stream_info info = { .key = eth0 };
	const struct pb_stream_info *row;
	struct place *p = *state;
	struct pb_rows rows;
	uint64_t epoch = 1;

	begin(p);
	for (uint32_t i = 1; i <= MANY; i++) {
		info.id = i;
		info.key.epoch = i;
		pb_index_put_stream(&p->txn, &info);
	}
	commit(p);
	pb_rows_all(&rows, p->index, PB_TABLE_STREAMS, NULL, NULL);
	for (; (row = pb_rows_next(&rows)) != NULL; epoch++)
		assert_int_equal(row->key.epoch, epoch);
	assert_int_equal(epoch, MANY + 1);
	info.key.epoch = MANY - 1;
	pb_rows_all(&rows, p->index, PB_TABLE_STREAMS, &info.key, NULL);
	row = pb_rows_next(&rows);
	assert_int_equal(row->id, MANY);
	assert_null(pb_rows_next(&rows));
}

static void
a_walk_begins_with_the_row_that_reaches_its_number(void **state)
{
	struct place *p = *state;
	const struct pb_extent_info *row;
	struct pb_rows rows;

	put_extents(p, 12, 3);
	pb_rows_of(&rows, p->index, PB_TABLE_EXTENTS, 12, 15, NULL);
	row = pb_rows_next(&rows);
	assert_int_equal(row->first_seq, 11);
	pb_rows_of(&rows, p->index, PB_TABLE_EXTENTS, 12, 31, NULL);
	assert_null(pb_rows_next(&rows));
	assert_int_equal(rows.rc, 0);
}

/*
 * Goal:   what happens between two pages neither repeats a row nor ends the
 *         walk.
 * Method: at each row that is given: it grows, the one before it goes, and
 *         late ones come before and behind it.
 */
static void
a_walk_goes_on_while_rows_are_changed(void **state)
{
	struct pb_extent_info grown, other = { .stream = 12 };
	struct place *p = *state;
	const struct pb_extent_info *row;
	struct pb_rows rows;
	uint64_t given = 0, last = 0;

	put_extents(p, 12, MANY);
	pb_rows_of(&rows, p->index, PB_TABLE_EXTENTS, 12, 1, NULL);
	while ((row = pb_rows_next(&rows)) != NULL) {
		assert_true(row->first_seq > last);
		given += (row->first_seq - 1) % 10 == 0;
		last = row->first_seq;
		grown = *row;
		grown.last_seq += 5;
		begin(p);
		pb_index_put(&p->txn, PB_TABLE_EXTENTS, &grown);
		if (last > 10)
			pb_index_del(&p->txn, PB_TABLE_EXTENTS, 12, last - 10);
		other.first_seq = other.last_seq = last - 1;
		pb_index_put(&p->txn, PB_TABLE_EXTENTS, &other);
		other.first_seq = other.last_seq = last + 1;
		pb_index_put(&p->txn, PB_TABLE_EXTENTS, &other);
		commit(p);
	}
	assert_int_equal(rows.rc, 0);
	assert_int_equal(given, MANY);
}

/*
 * Goal:   the disk can lie: a rotten row costs itself alone.
 * Method: values of another length, numbers that run back, a range without
 *         an end, keys of other lengths; among good ones.
 */
static void
a_walk_passes_over_rotten_rows(void **state)
{
	uint8_t key[PB_MDB_KEY_MAX] = { 0, 0, 0, 12 };
	struct place *p = *state;
	const struct pb_extent_info *row;
	struct pb_rows rows;
	unsigned given = 0;

	put_extents(p, 12, MANY);
	begin(p);
	for (uint64_t n = 0; n < MANY; n += 2) {
		struct pb_extent_info bad = { .stream = 12,
		    .first_seq = 10 * n + 1,
		    .last_seq = n % 4 == 0 ? 10 * n - 5 : UINT64_MAX };

		pb_put_be64(key + 4, bad.first_seq);
		if (n % 6 == 0)
			pb_mdb_put(&p->txn, PB_TABLE_EXTENTS, key, 12, "rot",
			    3);
		else
			pb_index_put(&p->txn, PB_TABLE_EXTENTS, &bad);
		pb_mdb_put(&p->txn, PB_TABLE_EXTENTS, key, sizeof(key), "rot",
		    3);
	}
	commit(p);
	pb_rows_of(&rows, p->index, PB_TABLE_EXTENTS, 12, 1, NULL);
	for (; (row = pb_rows_next(&rows)) != NULL; given++)
		assert_int_equal(row->first_seq, 20 * given + 11);
	assert_int_equal(rows.rc, 0);
	assert_int_equal(given, MANY / 2);
}

/* Its rows have no structure that a walk could give. */
static void
a_walk_over_meta_is_refused(void **state)
{
	struct place *p = *state;
	struct pb_rows rows;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		pb_rows_all(&rows, p->index, PB_TABLE_META, NULL, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* --- the look at all of them --------------------------------------------- */

static void
a_look_at_all_rows_finds_a_rotten_one(void **state)
{
	struct pb_extent_info extent = { .stream = 12, .first_seq = 25 };
	struct place *p = *state;

	put_extents(p, 12, MANY);
	pb_index_close(p->index);
	p->index = NULL;
	assert_int_equal(pb_index_probe(p->dir, true, NULL), 0);
	assert_int_equal(pb_index_open_write(&p->index, p->dir, 64u << 20,
	    NULL), 0);
	extent.last_seq = extent.first_seq - 2;
	begin(p);
	pb_index_put(&p->txn, PB_TABLE_EXTENTS, &extent);
	commit(p);
	pb_index_close(p->index);
	p->index = NULL;
	assert_int_equal(pb_index_probe(p->dir, true, NULL), PB_EFORMAT);
}

/* Where LMDB's list of free pages says how many pages its first transaction
 * left.  The newer of two meta pages has the root of the list at 80 and the
 * number of its transaction at 144; a leaf has the place of its first row at
 * 16, and a row 8 bytes of lengths and 8 of key before its data (structures
 * MDB_meta, MDB_page, MDB_node of lmdb's mdb.c). */
static off_t
first_count(int fd)
{
	uint8_t meta[2][PB_PAGE_BYTES], leaf[PB_PAGE_BYTES];
	off_t root;
	int newer;

	for (int i = 0; i < 2; i++)
		assert_int_equal(pread(fd, meta[i], PB_PAGE_BYTES,
		    i * (off_t)PB_PAGE_BYTES), PB_PAGE_BYTES);
	newer = pb_get_le64(meta[1] + 144) > pb_get_le64(meta[0] + 144);
	root = (off_t)(pb_get_le64(meta[newer] + 80) * PB_PAGE_BYTES);
	assert_int_equal(pread(fd, leaf, PB_PAGE_BYTES, root), PB_PAGE_BYTES);
	return root + pb_get_le16(leaf + 16) + 16;
}

static void
a_look_at_all_rows_finds_a_rotten_list_of_free_pages(void **state)
{
	const uint64_t pages = 1000000000;
	struct place *p = *state;
	char path[128];
	int fd;

	put_extents(p, 12, MANY);
	put_extents(p, 13, MANY);
	pb_index_close(p->index);
	p->index = NULL;
	assert_int_equal(pb_index_probe(p->dir, true, NULL), 0);
	snprintf(path, sizeof(path), "%s/index/data.mdb", p->dir);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &pages, sizeof(pages), first_count(fd)),
	    sizeof(pages));
	close(fd);
	assert_int_equal(pb_index_probe(p->dir, true, NULL), PB_EFORMAT);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_are_stored_in_exactly_these_bytes),
		TEST(a_row_of_flows_is_stored_as_long_as_its_summary_is),
		TEST(a_row_of_flows_that_makes_no_sense_is_passed_over),
		TEST(a_row_of_flows_that_rots_is_passed_over),
		TEST(an_index_without_flows_has_none),
		TEST(a_walk_gives_each_row_of_its_stream_once_and_in_order),
		TEST(a_walk_of_streams_gives_each_of_them),
		TEST(a_walk_begins_with_the_row_that_reaches_its_number),
		TEST(a_walk_goes_on_while_rows_are_changed),
		TEST(a_walk_passes_over_rotten_rows),
		TEST(a_walk_over_meta_is_refused),
		TEST(a_look_at_all_rows_finds_a_rotten_one),
		TEST(a_look_at_all_rows_finds_a_rotten_list_of_free_pages),
	};

	return cmocka_run_group_tests_name("index_rows", tests, NULL, NULL);
}
