/*
 * tests/unit/test_peek.c - one packet, and whether it is another one's twin
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "recorder/store/read/peek.h"
#include "tests/unit/store_fixture.h"

#define PACKET	1000u

static struct pb_packet
packet_of(const uint8_t *data, uint32_t len)
{
	return (struct pb_packet){ .time_ns = 0x1122334455667788ull,
	    .caplen = len, .origlen = len + 5, .data = data };
}

static void
the_fingerprint_is_as_the_protocol_says(void **state)
{
	const uint8_t data[] = "five bytes and more";
	struct pb_packet packet = packet_of(data, 5), other;
	uint8_t bytes[24 + 5];
	struct pb_fingerprint f;

	(void)state;
	pb_put_le64(bytes, 17);
	pb_put_le64(bytes + 8, packet.time_ns);
	pb_put_le32(bytes + 16, 5);
	pb_put_le32(bytes + 20, 10);
	memcpy(bytes + 24, data, 5);
	f = pb_fingerprint(&packet, 17);
	assert_int_equal(f.seq, 17);
	assert_true(f.digest == XXH3_64bits(bytes, sizeof(bytes)));
	assert_true(pb_fingerprint(&packet, 18).digest != f.digest);
#define DIFFERS(change) do { other = packet; change; \
	assert_true(pb_fingerprint(&other, 17).digest != f.digest); } while (0)
	DIFFERS(other.time_ns++);
	DIFFERS(other.origlen++);
	DIFFERS(other.caplen--);
	DIFFERS(other.data++);
	/* A hop on its way is no difference. */
	packet.options = data;
	packet.options_len = 8;
	assert_true(pb_fingerprint(&packet, 17).digest == f.digest);
}

static void
the_last_packet_is_found_from_the_end_of_any_part(void **state)
{
	struct pb_fingerprint whole, part;
	struct pb_chunk *chunk;
	struct fixture f;

	(void)state;
	fixture_init(&f, __LINE__);
	chunk = fixture_chunk(&f, 1, 9, 100);
	assert_true(pb_fingerprint_last(chunk->data, chunk->len, &whole));
	assert_int_equal(whole.seq, 9);
	assert_true(pb_fingerprint_first(chunk->data, chunk->len, &part));
	assert_int_equal(part.seq, 1);
	assert_false(pb_fingerprint_first(chunk->data, chunk->len / 9 - 1,
	    &part));
	for (size_t cut = 0; cut <= chunk->len; cut++) {
		bool found = pb_fingerprint_last(chunk->data + cut,
		    chunk->len - cut, &part);

		assert_int_equal(found, cut <= chunk->len - chunk->len / 9);
		if (!found)
			continue;
		assert_int_equal(part.seq, whole.seq);
		assert_int_equal(part.digest, whole.digest);
		assert_int_equal(part.captured, whole.captured);
	}
	chunk->data[chunk->len - 2] ^= 0x40;
	assert_false(pb_fingerprint_last(chunk->data, chunk->len, &part));
	pb_chunk_destroy(chunk);
	fixture_finish(&f);
}

static int
below(struct fixture *f, uint64_t at, bool checked, uint64_t *seq)
{
	struct pb_stream_info row;
	struct pb_fingerprint out = { .seq = 0 };
	struct pb_err err;
	int rc;

	fixture_stream_row(f, &row);
	rc = pb_peek_below(pb_store_index(f->store), f->dir, &f->key, row.id,
	    at, checked, &out, &err);
	*seq = out.seq;
	return rc;
}

static int
above(struct fixture *f, uint64_t from, uint64_t *seq)
{
	struct pb_stream_info row;
	struct pb_fingerprint out = { .seq = 0 };
	struct pb_err err;
	int rc;

	fixture_stream_row(f, &row);
	rc = pb_peek_above(pb_store_index(f->store), f->dir, &f->key, row.id,
	    from, &out, &err);
	*seq = out.seq;
	return rc;
}

/* 1 to 500 are a gap, 501 to 2500 are there, 2501 to 2600 are not. */
static void
packets_next_to_a_number_are_found(void **state)
{
	struct fixture f;
	uint64_t seq;

	(void)state;
	fixture_init(&f, __LINE__);
	fixture_gap(&f, 1, 500, PB_GAP_RESTORED);
	fixture_write(&f, 501, 1000, PACKET);
	fixture_write(&f, 1001, 1500, PACKET);
	fixture_write(&f, 1501, 2000, PACKET);
	fixture_write(&f, 2001, 2500, PACKET);
	fixture_gap(&f, 2501, 2600, PB_GAP_RESTORED);
	for (int checked = 0; checked < 2; checked++) {
		for (uint64_t at = 1; at <= 500; at += 83)
			assert_int_equal(below(&f, at, checked, &seq), 0);
		for (uint64_t at = 501; at <= 2500; at += 83) {
			assert_int_equal(below(&f, at, checked, &seq), 1);
			assert_int_equal(seq, at);
		}
		assert_int_equal(below(&f, 2550, checked, &seq), 1);
		assert_int_equal(seq, 2500);
		assert_int_equal(below(&f, UINT64_MAX, checked, &seq), 1);
		assert_int_equal(seq, 2500);
	}
	assert_int_equal(above(&f, 1, &seq), 1);
	assert_int_equal(seq, 501);
	assert_int_equal(above(&f, 1203, &seq), 1);
	assert_int_equal(seq, 1203);
	assert_int_equal(above(&f, 2501, &seq), 0);
	fixture_finish(&f);
}

/* A bit that rots must not look like another packet. */
static void
what_has_rotted_is_passed_over(void **state)
{
	struct pb_segment_info segment;
	struct pb_extent_info extent;
	struct pb_stream_info row;
	char path[PATH_MAX];
	struct fixture f;
	uint64_t seq;
	int fd;

	(void)state;
	fixture_init(&f, __LINE__);
	fixture_write(&f, 1, 900, PACKET);
	fixture_write(&f, 901, 1800, PACKET);
	fixture_write(&f, 1801, 2700, PACKET);
	fixture_stream_row(&f, &row);
	assert_int_equal(pb_index_extent_below(pb_store_index(f.store),
	    row.id, 2700, &extent, NULL), 1);
	assert_true(extent.first_seq > 900);
	assert_int_equal(pb_index_rows_of(pb_store_index(f.store),
	    PB_TABLE_SEGMENTS, row.id, 1, &segment, 1, NULL), 1);
	assert_int_equal(pb_layout_segment(path, f.dir, &f.key, 1,
	    !segment.sealed, NULL), 0);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "rot", 3, (off_t)extent.offset + 100), 3);
	close(fd);
	assert_int_equal(below(&f, 2700, true, &seq), 1);
	assert_int_equal(seq, extent.first_seq - 1);
	assert_int_equal(above(&f, extent.first_seq, &seq), PB_EDIGEST);
	assert_int_equal(below(&f, 2700, false, &seq), 1);
	assert_int_equal(seq, 2700);
	fixture_finish(&f);
}

/* So is what the disk does not give: it would be asked for until it does. */
static void
what_cannot_be_read_is_passed_over(void **state)
{
	char path[PATH_MAX];
	struct fixture f;
	uint64_t seq;

	(void)state;
	fixture_init(&f, __LINE__);
	fixture_write(&f, 1, 900, PACKET);
	assert_int_equal(below(&f, 900, true, &seq), 1);
	assert_int_equal(pb_layout_segment(path, f.dir, &f.key, 1, true,
	    NULL), 0);
	/* Nobody may read a directory. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int checked = 0; checked < 2; checked++)
		assert_int_equal(below(&f, 900, checked, &seq), PB_EFORMAT);
	assert_int_equal(above(&f, 1, &seq), PB_EFORMAT);
	assert_int_equal(rmdir(path), 0);
	fixture_finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fingerprint_is_as_the_protocol_says),
		cmocka_unit_test(
		    the_last_packet_is_found_from_the_end_of_any_part),
		cmocka_unit_test(packets_next_to_a_number_are_found),
		cmocka_unit_test(what_has_rotted_is_passed_over),
		cmocka_unit_test(what_cannot_be_read_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
