/*
 * tests/unit/test_recover_rot.c - whole blocks that are not what they were
 *
 * A child process writes and kills itself; then somebody changes the file.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "recorder/store/index/index_rows.h"
#include "recorder/store/mend/rebuild.h"
#include "recorder/store/write/store_impl.h"
#include "tests/unit/store_fixture.h"

#define DURABLE		10u	/* packets */

/* Packets 1 .. DURABLE are durable, the file is open, nobody closed it. */
static void
crash(struct fixture *f, char path[PATH_MAX])
{
	int status;
	pid_t pid;

	fixture_init(f, __LINE__);
	pb_store_close(f->store);
	pid = fork();
	if (pid == 0) {
		fixture_open(f);
		fixture_write(f, 1, DURABLE, 100);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(pb_layout_segment(path, f->dir, &f->key, 1, true,
	    NULL), 0);
}

static void
expect(struct fixture *f, uint64_t last)
{
	uint64_t got_first, got_last;

	assert_int_equal(fixture_read(f, &ALL, &got_first, &got_last), last);
	assert_int_equal(got_first, last > 0 ? 1 : 0);
	assert_int_equal(got_last, last);
}

static void
append(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* The bytes of a segment, all of them; freed by the caller. */
static uint8_t *
load(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *data;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	data = malloc(*len);
	assert_non_null(data);
	assert_int_equal(read(fd, data, *len), *len);
	close(fd);
	return data;
}

static void
save(const char *path, const uint8_t *data, size_t len)
{
	assert_int_equal(truncate(path, 0), 0);
	append(path, data, len);
}

static void
a_head_that_names_another_stream_is_not_believed(void **state)
{
	struct pb_head *head;
	char path[PATH_MAX];
	struct fixture f;
	uint8_t *data, *name;
	size_t len, bytes;

	(void)state;
	crash(&f, path);
	data = load(path, &len);
	name = memmem(data, len, "lon1", 4);
	assert_non_null(name);
	name[0] = 'L';
	save(path, data, len);
	free(data);
	fixture_open(&f);
	expect(&f, DURABLE);
	assert_int_not_equal(access(path, F_OK), 0);
	pb_layout_segment(path, f.dir, &f.key, 1, false, NULL);
	data = load(path, &len);
	assert_int_equal(pb_head_parse(&head, data, len, &bytes, NULL), 0);
	assert_true(pb_head_fits(head, &f.key, PB_LINKTYPE_ETHERNET, 1));
	pb_head_unref(head);
	free(data);
	/* As it was found. */
	snprintf(path, sizeof(path), "%s/damaged", f.dir);
	assert_int_equal(access(path, F_OK), 0);
	fixture_write(&f, DURABLE + 1, DURABLE + 1, 100);
	fixture_finish(&f);
}

/* A Simple Packet Block, statistics whose options leave them, a Custom
 * Block: none of them was written by us, and the next node refuses them. */
static void
a_block_that_no_segment_holds_is_not_taken_in(void **state)
{
	static const uint32_t block[][7] = {
		{ 3, 20, 4, 0, 20 },
		{ 5, 28, 0, 0, 0, 0x00ff0003, 28 },
		{ 0xBAD, 16, 32473, 16 },
	};
	char path[PATH_MAX];
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
		struct pb_chunk *chunk;

		crash(&f, path);
		append(path, block[i], block[i][1]);
		chunk = fixture_chunk(&f, DURABLE + 1, DURABLE + 1, 100);
		append(path, chunk->data, chunk->len);
		pb_chunk_destroy(chunk);
		fixture_open(&f);
		expect(&f, DURABLE);
		fixture_finish(&f);
	}
}

/* The index must not go on with the length of the head that was. */
static void
a_head_of_another_length_is_taken_as_it_is(void **state)
{
	struct pb_segment_info segment;
	struct pb_stream_info row;
	char path[PATH_MAX];
	struct pb_head *head;
	size_t len, old;
	struct pb_buf out;
	struct fixture f;
	struct pb_err err;
	uint8_t *data;

	(void)state;
	crash(&f, path);
	data = load(path, &len);
	assert_int_equal(pb_head_parse(&head, data, len, &old, &err), 0);
	pb_head_unref(head);
	head = fixture_head(&f.key, "London, the second rack on the left");
	pb_buf_init(&out, 1u << 20);
	assert_int_equal(pb_head_build(head, PB_PEN_EXAMPLE, 1, &out), 0);
	assert_int_not_equal(out.len, old);
	assert_int_equal(pb_buf_put(&out, data + old, len - old), 0);
	save(path, out.data, out.len);
	pb_buf_finish(&out);
	pb_head_unref(head);
	free(data);
	fixture_open(&f);
	expect(&f, DURABLE);
	fixture_stream_row(&f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(f.store),
	    PB_TABLE_SEGMENTS, row.id, 1, &segment, 1, &err), 1);
	assert_int_not_equal(segment.header_bytes, old);
	pb_layout_segment(path, f.dir, &f.key, 1, false, NULL);
	data = load(path, &len);
	assert_int_equal(pb_head_parse(&head, data, len, &old, &err), 0);
	assert_int_equal(segment.header_bytes, old);
	pb_head_unref(head);
	free(data);
	fixture_finish(&f);
}

/*
 * Goal:   the digest of what stands before the first packet is that file's.
 * Method: the block behind the head tells another time, as that of a run does
 *         which a salvage has left that was cut short.
 */
static void
a_head_with_another_time_is_not_taken_under_the_old_digest(void **state)
{
	struct pb_segment_info segment;
	struct pb_extent_info extent;
	struct pb_stream_info row;
	char path[PATH_MAX];
	struct pb_head *head;
	struct fixture f;
	struct pb_err err;
	uint8_t *data;
	size_t len, bytes;

	(void)state;
	crash(&f, path);
	data = load(path, &len);
	assert_int_equal(pb_head_parse(&head, data, len, &bytes, &err), 0);
	pb_head_unref(head);
	data[bytes + 16] ^= 1;
	save(path, data, len);
	free(data);
	fixture_open(&f);
	expect(&f, DURABLE);
	fixture_stream_row(&f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(f.store),
	    PB_TABLE_SEGMENTS, row.id, 1, &segment, 1, &err), 1);
	assert_int_equal(pb_index_rows_of(pb_store_index(f.store),
	    PB_TABLE_EXTENTS, row.id, 1, &extent, 1, &err), 1);
	pb_layout_segment(path, f.dir, &f.key, 1, false, NULL);
	data = load(path, &len);
	assert_true(extent.offset <= len);
	assert_true(pb_digest(data, extent.offset) == segment.header_digest);
	free(data);
	fixture_finish(&f);
}

/* --- rows ---------------------------------------------------------------- */

/* The segment's row has a last number that no row has. */
static void
spoil_segment(struct pb_index *index)
{
	struct pb_segment_info row;
	struct pb_mdb_txn txn;

	assert_int_equal(pb_index_segment(index, 1, 1, &row, NULL), 1);
	row.last_seq = UINT64_MAX;
	assert_int_equal(pb_index_begin(index, &txn, NULL), 0);
	pb_index_put(&txn, PB_TABLE_SEGMENTS, &row);
	assert_int_equal(pb_mdb_commit(&txn), 0);
}

/*
 * Goal:   a rotten row costs no packet, however much of the index is looked
 *         at before: one that is too large is not read as a whole.
 * Method: it is not read as a whole either where it says that it was closed.
 */
static void
a_rotten_row_of_an_open_segment_costs_no_packet(void **state)
{
	char path[PATH_MAX];
	struct pb_index *index;
	struct pb_mdb_txn txn;
	struct fixture f;

	(void)state;
	for (uint64_t clean = 0; clean < 2; clean++) {
		crash(&f, path);
		assert_int_equal(pb_index_open_write(&index, f.dir,
		    64u << 20, NULL), 0);
		spoil_segment(index);
		pb_index_begin(index, &txn, NULL);
		pb_index_meta_put(&txn, PB_META_CLEAN, clean);
		assert_int_equal(pb_mdb_commit(&txn), 0);
		pb_index_close(index);
		assert_int_equal(pb_rebuild_needed(f.dir, NULL), PB_EFORMAT);
		fixture_open(&f);
		expect(&f, DURABLE);
		fixture_write(&f, DURABLE + 1, DURABLE + 1, 100);
		expect(&f, DURABLE + 1);
		fixture_finish(&f);
	}
}

/* Also where it rots after the index has been looked at. */
static void
recovery_keeps_a_file_whose_row_is_rotten(void **state)
{
	struct pb_open_info doomed = { .stream = 1, .first_seq = 1 };
	char path[PATH_MAX];
	struct pb_mdb_txn txn;
	struct fixture f;
	struct pb_err err;

	(void)state;
	fixture_begin(&f, __LINE__, true);
	fixture_write(&f, 1, DURABLE, 100);
	pb_layout_segment(path, f.dir, &f.key, 1, true, NULL);
	spoil_segment(f.store->index);
	assert_int_equal(pb_store_recover(f.store, &err), PB_EFORMAT);
	assert_int_equal(access(path, F_OK), 0);
	doomed.key = f.key;
	pb_index_begin(f.store->index, &txn, NULL);
	pb_index_put(&txn, PB_TABLE_DOOMED, &doomed);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	assert_int_equal(pb_store_recover(f.store, &err), PB_EFORMAT);
	assert_int_equal(access(path, F_OK), 0);
	fixture_finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_head_that_names_another_stream_is_not_believed),
		cmocka_unit_test(
		    a_block_that_no_segment_holds_is_not_taken_in),
		cmocka_unit_test(a_head_of_another_length_is_taken_as_it_is),
		cmocka_unit_test(
		    a_head_with_another_time_is_not_taken_under_the_old_digest),
		cmocka_unit_test(
		    a_rotten_row_of_an_open_segment_costs_no_packet),
		cmocka_unit_test(recovery_keeps_a_file_whose_row_is_rotten),
	};

	return cmocka_run_group_tests_name("recover rot", tests, NULL, NULL);
}
