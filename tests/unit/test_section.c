/*
 * tests/unit/test_section.c - pieces of any place and size, from files
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/sys.h"
#include "pcapng/build.h"
#include "recorder/store/write/segment.h"
#include "recorder/store/read/section.h"
#include "tests/unit/temp.h"

#define FILE_BYTES	(3u << 20)
#define HEADER		300u

static const struct pb_stream_key key = { "lon1", "eth0", 7 };

/* A file of bytes that are no blocks: what is read stays as it is. */
struct bench {
	char	 dir[64], path[PATH_MAX];
	uint8_t	*bytes;
	struct pb_section section;
};

static void
bench_init(struct bench *b, const char *where)
{
	char folder[PATH_MAX];
	int fd;

	memset(b, 0, sizeof(*b));
	snprintf(b->dir, sizeof(b->dir), "%s/pb-test-XXXXXX", where);
	assert_non_null(mkdtemp(b->dir));
	b->bytes = malloc(FILE_BYTES);
	assert_non_null(b->bytes);
	for (size_t i = 0; i < FILE_BYTES; i++)
		b->bytes[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(pb_layout_stream(folder, b->dir, &key, NULL), 0);
	assert_int_equal(pb_mkdirs(folder, NULL), 0);
	assert_int_equal(pb_layout_segment(b->path, b->dir, &key, 1, false,
	    NULL), 0);
	fd = open(b->path, O_WRONLY | O_CREAT | O_EXCL, 0640);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->bytes, FILE_BYTES), FILE_BYTES);
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

static void
bench_finish(struct bench *b)
{
	pb_section_finish(&b->section);
	free(b->bytes);
	temp_remove(b->dir);
}

static struct pb_piece
piece_at(const struct bench *b, uint64_t offset, uint32_t bytes)
{
	return (struct pb_piece){ .kind = PB_PIECE_PACKETS, .segment_seq = 1,
	    .offset = offset, .bytes = bytes, .header_bytes = HEADER,
	    .whole = true, .digest = pb_digest(b->bytes + offset, bytes) };
}

static void
assert_read(struct bench *b, uint64_t offset, uint32_t bytes)
{
	struct pb_piece piece = piece_at(b, offset, bytes);
	struct pb_err err = { 0 };

	if (pb_section_read(&b->section, b->dir, &key, &piece, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(b->section.len, HEADER + bytes);
	assert_memory_equal(b->section.data, b->bytes, HEADER);
	assert_memory_equal(b->section.data + HEADER, b->bytes + offset,
	    bytes);
}

/* On a page's edge, before and behind it, in small and in large. */
static void
read_at_all_edges(struct bench *b)
{
	static const uint64_t offsets[] = { HEADER, 4095, 4096, 4097, 8000,
	    (1u << 20) - 1, 1u << 20, (1u << 20) + 1 };
	static const uint32_t sizes[] = { 1, 4096, 100000, 128u << 10,
	    (128u << 10) + 1, 1u << 20, (1u << 20) + 4095 };

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++)
			assert_read(b, offsets[i], sizes[j]);
}

static void
a_piece_is_read_wherever_it_begins_and_ends(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "/var/tmp");
	read_at_all_edges(&b);
	bench_finish(&b);
}

/* tmpfs of kernels before 6.5 refuses O_DIRECT; any file system may. */
static void
a_file_system_in_memory_will_do(void **state)
{
	struct bench b;

	(void)state;
	if (access("/dev/shm", W_OK) < 0)
		skip();
	bench_init(&b, "/dev/shm");
	read_at_all_edges(&b);
	bench_finish(&b);
}

static void
a_piece_may_end_with_its_file(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "/var/tmp");
	assert_int_equal(truncate(b.path, FILE_BYTES - 1000), 0);
	assert_read(&b, 1u << 20, (2u << 20) - 1000);
	assert_read(&b, FILE_BYTES - 2000, 1000);
	bench_finish(&b);
}

static void
what_the_file_does_not_have_is_an_error_that_says_where(void **state)
{
	struct bench b;
	struct pb_piece piece;
	struct pb_err err = { 0 };

	(void)state;
	bench_init(&b, "/var/tmp");
	piece = piece_at(&b, 1u << 20, 2u << 20);
	assert_int_equal(truncate(b.path, FILE_BYTES - 1), 0);
	assert_int_equal(pb_section_read(&b.section, b.dir, &key, &piece,
	    NULL, &err), PB_EFORMAT);
	assert_string_equal(err.text, "segment 00000000000000000001 is "
	    "shorter than its index says: 1 bytes at 3145727 are not there");
	assert_int_equal(b.section.len, 0);
	bench_finish(&b);
}

static void
one_flipped_bit_of_a_whole_extent_is_noticed(void **state)
{
	struct bench b;
	struct pb_piece piece;
	struct pb_err err = { 0 };
	uint8_t other;
	int fd;

	(void)state;
	bench_init(&b, "/var/tmp");
	piece = piece_at(&b, 5000, 1u << 20);
	other = b.bytes[700000] ^ 1;
	fd = open(b.path, O_WRONLY);
	assert_int_equal(pwrite(fd, &other, 1, 700000), 1);
	close(fd);
	assert_int_equal(pb_section_read(&b.section, b.dir, &key, &piece,
	    NULL, &err), PB_EDIGEST);
	assert_string_equal(err.text, "segment 00000000000000000001: the "
	    "extent at 5000 does not match its digest: the file was damaged");
	bench_finish(&b);
}

/* The section before it is gone, whatever became of this one. */
static void
memory_is_kept_and_bounded(void **state)
{
	struct bench b;
	struct pb_piece piece;
	struct pb_err err = { 0 };
	const uint8_t *space;

	(void)state;
	bench_init(&b, "/var/tmp");
	assert_read(&b, 4096, 1u << 20);
	space = b.section.space;
	assert_read(&b, 9000, 1000);
	assert_read(&b, 5000, 1u << 20);
	assert_ptr_equal(b.section.space, space);
	piece = piece_at(&b, 4096, 1000);
	piece.bytes = PB_SECTION_BYTES_MAX + 3 * PB_PAGE_BYTES;
	assert_int_equal(pb_section_read(&b.section, b.dir, &key, &piece,
	    NULL, &err), PB_ELIMIT);
	assert_read(&b, 5000, 1u << 20);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_piece_is_read_wherever_it_begins_and_ends),
		cmocka_unit_test(a_file_system_in_memory_will_do),
		cmocka_unit_test(a_piece_may_end_with_its_file),
		cmocka_unit_test(
		    what_the_file_does_not_have_is_an_error_that_says_where),
		cmocka_unit_test(one_flipped_bit_of_a_whole_extent_is_noticed),
		cmocka_unit_test(memory_is_kept_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
