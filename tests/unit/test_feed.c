/*
 * tests/unit/test_feed.c - request bodies from a real store
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include <xxhash.h>

#include "base/sys.h"
#include "pcapng/scan.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/read/recorded.h"
#include "tests/unit/feed_fixture.h"

#define PACKET	100u		/* bytes of most packets here */
#define BLOCK	(pb_epb_bytes(PACKET, PB_OPTION_BYTES(8)))
#define ANY	((size_t)PB_SHIP_PIECE_BYTES)

static const struct pb_mark no_mark;

struct bench {
	struct fixture f;
	struct feed_fixture feed;
};

static void
bench_init(struct bench *b)
{
	fixture_init(&b->f, __LINE__);
	memset(&b->feed, 0, sizeof(b->feed));
	feed_start(&b->feed, &b->f);
}

static void
bench_finish(struct bench *b)
{
	feed_stop(&b->feed);
	fixture_finish(&b->f);
}

static int
look_rc(struct bench *b, uint64_t from, const struct pb_mark *mark,
    size_t bytes_max, struct pb_piece *piece, struct pb_err *err)
{
	struct pb_stream_info row;

	fixture_stream_row(&b->f, &row);
	return feed_look(&b->feed, &row, from, UINT64_MAX, mark, bytes_max,
	    piece, err);
}

static struct pb_piece
look(struct bench *b, uint64_t from, const struct pb_mark *mark,
    size_t bytes_max)
{
	struct pb_piece piece;
	struct pb_err err = { .code = 0 };

	if (look_rc(b, from, mark, bytes_max, &piece, &err) < 0)
		fail_msg("%s", err.text);
	return piece;
}

static struct pb_mark
mark_behind(const struct pb_piece *piece)
{
	return (struct pb_mark){ .seq = piece->last + 1,
	    .segment_seq = piece->segment_seq,
	    .offset = piece->offset + piece->bytes };
}

/* The piece's body is one valid section with exactly its packets. */
static void
assert_body(struct bench *b, const struct pb_piece *piece)
{
	struct pb_section body = { 0 };
	struct pb_head *head;
	struct pb_err err = { .code = 0 };
	struct pb_block block;
	struct pb_packet packet;
	uint64_t expect = piece->first, seq;
	uint8_t want[PACKET];
	size_t at;

	if (pb_section_read(&body, b->f.dir, &b->f.key, piece,
	    piece->letter ? "core" : NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(body.len <= piece->header_bytes + piece->bytes);
	assert_int_equal(pb_head_parse(&head, body.data, body.len, &at, &err),
	    0);
	pb_head_unref(head);
	assert_int_equal(at, piece->header_bytes);
	while (at < body.len) {
		assert_int_equal(pb_scan_block(body.data + at, body.len - at,
		    &block), 1);
		at += block.len;
		assert_false(pb_scan_is_filler(&block));
		if (block.type != PB_BLOCK_EPB)
			continue;
		assert_int_equal(pb_scan_epb(&block, &packet), 0);
		assert_true(pb_packet_seq(&packet, &seq));
		assert_int_equal(seq, expect++);
		fixture_packet(want, PACKET, seq);
		assert_memory_equal(packet.data, want, PACKET);
	}
	assert_int_equal(expect, piece->last + 1);
	pb_section_finish(&body);
}

static void
an_extent_is_one_piece_with_its_digest(void **state)
{
	struct bench b;
	struct pb_piece p;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 50, PACKET);
	p = look(&b, 1, &no_mark, ANY);
	assert_int_equal(p.kind, PB_PIECE_PACKETS);
	assert_int_equal(p.first, 1);
	assert_int_equal(p.last, 50);
	assert_true(p.whole);
	assert_false(p.complete);
	assert_body(&b, &p);
	bench_finish(&b);
}

/* Flushes of several pages fill the last one up. */
static void
fillers_stay_at_home(void **state)
{
	struct bench b;
	struct pb_section body = { 0 };
	struct pb_piece p;
	struct pb_err err;

	(void)state;
	bench_init(&b);
	for (uint64_t seq = 1; seq <= 500; seq += 50)
		fixture_write(&b.f, seq, seq + 49, PACKET);
	p = look(&b, 1, &no_mark, ANY);
	assert_int_equal(p.last, 500);
	assert_true(p.bytes > 500 * BLOCK);
	assert_int_equal(pb_section_read(&body, b.f.dir, &b.f.key, &p,
	    NULL, &err), 0);
	assert_int_equal(body.len, p.header_bytes + 500 * BLOCK);
	pb_section_finish(&body);
	assert_body(&b, &p);
	bench_finish(&b);
}

static void
past_the_durable_end_there_is_nothing(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 50, PACKET);
	assert_int_equal(look(&b, 51, &no_mark, ANY).kind, PB_PIECE_NONE);
	assert_int_equal(look(&b, UINT64_MAX, &no_mark, ANY).kind,
	    PB_PIECE_NONE);
	bench_finish(&b);
}

static void
a_growing_extent_comes_piece_by_piece_without_reading(void **state)
{
	struct bench b;
	struct pb_piece p;
	struct pb_mark mark = no_mark;
	char path[PATH_MAX], away[PATH_MAX + 8];

	(void)state;
	bench_init(&b);
	for (uint64_t first = 1; first <= 100; first += 10) {
		fixture_write(&b.f, first, first + 9, PACKET);
		/* With a mark, looking needs no file. */
		assert_int_equal(pb_layout_segment(path, b.f.dir, &b.f.key, 1,
		    true, NULL), 0);
		snprintf(away, sizeof(away), "%s.away", path);
		assert_int_equal(rename(path, away), 0);
		p = look(&b, first, &mark, ANY);
		assert_int_equal(rename(away, path), 0);
		assert_int_equal(p.first, first);
		assert_int_equal(p.last, first + 9);
		assert_body(&b, &p);
		mark = mark_behind(&p);
	}
	bench_finish(&b);
}

static void
any_number_is_found_without_a_mark(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 30, PACKET);
	fixture_write(&b.f, 31, 60, PACKET);
	for (uint64_t from = 1; from <= 60; from++) {
		struct pb_mark wrong = { .seq = from + 1, .segment_seq = 1,
		    .offset = 4 };
		struct pb_piece p = look(&b, from, &wrong, ANY);

		assert_int_equal(p.first, from);
		assert_int_equal(p.last, 60);
		assert_body(&b, &p);
	}
	bench_finish(&b);
}

static void
pieces_are_cut_at_blocks_and_hold_one_at_least(void **state)
{
	struct bench b;
	struct pb_piece p;
	struct pb_mark mark = no_mark;
	unsigned pieces = 0;
	size_t room;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 1000, PACKET);
	p = look(&b, 1, &no_mark, 0);
	assert_int_equal(p.last, 1);
	assert_body(&b, &p);
	/* Filler may stand before the packets: the room is more than that. */
	room = p.header_bytes + PB_FILLER_BYTES_MAX;
	for (uint64_t from = 1; from <= 1000; from = p.last + 1) {
		p = look(&b, from, &mark, room);
		assert_int_equal(p.first, from);
		assert_true(p.bytes + p.header_bytes <= room);
		assert_true(p.last == 1000 ||
		    p.bytes + p.header_bytes + BLOCK > room);
		assert_int_equal(p.complete, p.last < 1000);
		assert_body(&b, &p);
		mark = mark_behind(&p);
		pieces++;
	}
	assert_in_range(pieces, 5, 6);
	bench_finish(&b);
}

static void
an_extent_with_a_successor_is_complete(void **state)
{
	struct bench b;
	struct pb_piece p;

	(void)state;
	bench_init(&b);
	for (uint64_t first = 1; first <= 20001; first += 5000)
		fixture_write(&b.f, first, first + 4999, PACKET);
	p = look(&b, 1, &no_mark, ANY);
	assert_true(p.complete);
	assert_true(p.bytes > 512 << 10);
	while (p.last < 25000) {
		struct pb_piece next = look(&b, p.last + 1, &no_mark, ANY);

		assert_int_equal(next.kind, PB_PIECE_PACKETS);
		assert_int_equal(next.first, p.last + 1);
		assert_body(&b, &next);
		p = next;
	}
	assert_false(p.complete);
	bench_finish(&b);
}

static void
open_gaps_are_pieces_with_their_reason(void **state)
{
	struct bench b;
	struct pb_piece p;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 10, PACKET);
	fixture_gap(&b.f, 11, 20, PB_GAP_DEAD_LETTERED);
	fixture_gap(&b.f, 21, 25, PB_GAP_DAMAGED);
	fixture_write(&b.f, 26, 40, PACKET);
	p = look(&b, 5, &no_mark, ANY);
	assert_int_equal(p.kind, PB_PIECE_PACKETS);
	assert_int_equal(p.last, 10);
	p = look(&b, 11, &no_mark, ANY);
	assert_int_equal(p.kind, PB_PIECE_GAP);
	assert_int_equal(p.first, 11);
	assert_int_equal(p.last, 20);
	assert_int_equal(p.reason, PB_GAP_DEAD_LETTERED);
	assert_true(p.recorded);
	p = look(&b, 15, &no_mark, ANY);
	assert_int_equal(p.first, 15);
	assert_int_equal(p.last, 20);
	p = look(&b, 21, &no_mark, ANY);
	assert_int_equal(p.reason, PB_GAP_DAMAGED);
	assert_int_equal(p.last, 25);
	p = look(&b, 26, &no_mark, ANY);
	assert_int_equal(p.kind, PB_PIECE_PACKETS);
	assert_int_equal(p.last, 40);
	assert_body(&b, &p);
	bench_finish(&b);
}

static void
a_gap_that_was_filled_is_packets(void **state)
{
	struct bench b;
	uint64_t next = 1;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 10, PACKET);
	fixture_gap(&b.f, 11, 20, PB_GAP_DEAD_LETTERED);
	fixture_write(&b.f, 21, 30, PACKET);
	fixture_write(&b.f, 11, 20, PACKET);
	while (next <= 30) {
		struct pb_piece p = look(&b, next, &no_mark, ANY);

		assert_int_equal(p.kind, PB_PIECE_PACKETS);
		assert_int_equal(p.first, next);
		assert_body(&b, &p);
		next = p.last + 1;
	}
	assert_int_equal(next, 31);
	bench_finish(&b);
}

/* A page of closed gaps must not hide the open one behind it. */
static void
the_open_gap_among_many_closed_ones_is_found(void **state)
{
	struct bench b;
	struct pb_piece p;
	uint64_t seq = 2;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 1, PACKET);
	for (int i = 0; i < 40; i++) {
		fixture_gap(&b.f, seq, seq, PB_GAP_EXPIRED);
		fixture_write(&b.f, seq, seq, PACKET);
		seq++;
	}
	fixture_gap(&b.f, seq, seq + 4, PB_GAP_EXPIRED);
	for (uint64_t at = 1; at < seq; at = p.last + 1) {
		p = look(&b, at, &no_mark, ANY);
		assert_int_equal(p.kind, PB_PIECE_PACKETS);
		assert_true(p.last < seq);
	}
	p = look(&b, seq, &no_mark, ANY);
	assert_int_equal(p.kind, PB_PIECE_GAP);
	assert_int_equal(p.last, seq + 4);
	bench_finish(&b);
}

static void
numbers_without_extent_or_gap_are_a_gap_without_record(void **state)
{
	struct bench b;
	struct pb_stream_info row;
	struct pb_extent_info extent[8];
	struct pb_mdb_txn txn;
	struct pb_err err;
	struct pb_piece p;
	int count;

	(void)state;
	bench_init(&b);
	for (uint64_t first = 1; first <= 20001; first += 5000)
		fixture_write(&b.f, first, first + 4999, PACKET);
	fixture_stream_row(&b.f, &row);
	count = pb_index_rows_of(pb_store_index(b.f.store), PB_TABLE_EXTENTS,
	    row.id, 1, extent, 8, &err);
	assert_in_range(count, 3, 8);
	assert_int_equal(pb_index_begin(pb_store_index(b.f.store), &txn, &err),
	    0);
	pb_index_del(&txn, PB_TABLE_EXTENTS, row.id, extent[0].first_seq);
	pb_index_del(&txn, PB_TABLE_EXTENTS, row.id,
	    extent[count - 1].first_seq);
	assert_int_equal(pb_mdb_commit(&txn), 0);
	p = look(&b, 7, &no_mark, ANY);
	assert_int_equal(p.kind, PB_PIECE_GAP);
	assert_int_equal(p.first, 7);
	assert_int_equal(p.last, extent[1].first_seq - 1);
	assert_int_equal(p.reason, PB_GAP_EXPIRED);
	assert_false(p.recorded);
	/* And at the end, where no extent follows. */
	p = look(&b, extent[count - 1].first_seq, &no_mark, ANY);
	assert_int_equal(p.kind, PB_PIECE_GAP);
	assert_int_equal(p.last, 25000);
	bench_finish(&b);
}

static void
a_damaged_file_is_noticed_before_it_is_sent(void **state)
{
	struct bench b;
	struct pb_piece p, cut;
	struct pb_section body = { 0 };
	struct pb_err err;
	char path[PATH_MAX];
	int fd;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 50, PACKET);
	p = look(&b, 1, &no_mark, ANY);
	assert_int_equal(pb_layout_segment(path, b.f.dir, &b.f.key, 1, true,
	    NULL), 0);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "?", 1, (off_t)p.offset + 40), 1);
	assert_int_equal(pb_section_read(&body, b.f.dir, &b.f.key, &p,
	    NULL, &err), PB_EDIGEST);
	/* Blocks that make no sense: no number can be found. */
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4,
	    (off_t)p.offset + 4), 4);
	assert_int_equal(look_rc(&b, 20, &no_mark, ANY, &cut, &err),
	    PB_EFORMAT);
	assert_int_equal(ftruncate(fd, (off_t)p.offset + 100), 0);
	assert_int_equal(pb_section_read(&body, b.f.dir, &b.f.key, &p,
	    NULL, &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, "shorter than its index says"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pb_section_read(&body, b.f.dir, &b.f.key, &p,
	    NULL, &err), PB_ENOENT);
	close(fd);
	pb_section_finish(&body);
	bench_finish(&b);
}

static void
a_piece_ends_where_it_is_told_to(void **state)
{
	struct pb_stream_info row;
	struct pb_piece p;
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 50, PACKET);
	fixture_gap(&b.f, 51, 80, PB_GAP_EXPIRED);
	fixture_stream_row(&b.f, &row);
	assert_int_equal(feed_look(&b.feed, &row, 11, 20, &no_mark, ANY, &p,
	    &err), 0);
	assert_int_equal(p.kind, PB_PIECE_PACKETS);
	assert_int_equal(p.first, 11);
	assert_int_equal(p.last, 20);
	assert_true(p.complete);
	assert_body(&b, &p);
	assert_int_equal(feed_look(&b.feed, &row, 51, 60, &no_mark, ANY, &p,
	    &err), 0);
	assert_int_equal(p.kind, PB_PIECE_GAP);
	assert_int_equal(p.last, 60);
	assert_int_equal(feed_look(&b.feed, &row, 21, 20, &no_mark, ANY, &p,
	    &err), 0);
	assert_int_equal(p.kind, PB_PIECE_NONE);
	bench_finish(&b);
}

/* --- dead letters ------------------------------------------------------- */

/* A letter of first .. last, linked by hand as letters.c does it. */
static struct pb_letter
letter_of(struct bench *b, uint64_t first, uint64_t last)
{
	struct pb_letter letter = { .upstream = "core", .key = b->f.key,
	    .first = first, .last = last, .state = PB_LETTER_REQUEUED };
	char from[PATH_MAX], to[PATH_MAX], *slash;
	struct pb_segment_info segment;
	struct pb_extent_info extent;
	struct pb_stream_info row;
	struct pb_err err;

	fixture_stream_row(&b->f, &row);
	assert_int_equal(pb_index_rows_of(pb_store_index(b->f.store),
	    PB_TABLE_EXTENTS, row.id, first, &extent, 1, &err), 1);
	assert_int_equal(pb_recorded_segment(pb_store_index(b->f.store), &extent,
	    &segment, &err), 0);
	letter.segment_seq = extent.segment_seq;
	letter.header_bytes = segment.header_bytes;
	letter.offset = extent.offset;
	assert_int_equal(pb_layout_letter(to, b->f.dir, "core", &b->f.key,
	    extent.segment_seq, &err), 0);
	slash = strrchr(to, '/');
	*slash = '\0';
	assert_int_equal(pb_mkdirs(to, &err), 0);
	*slash = '/';
	assert_int_equal(pb_layout_segment(from, b->f.dir, &b->f.key,
	    extent.segment_seq, !segment.sealed, &err), 0);
	assert_int_equal(link(from, to), 0);
	return letter;
}

static struct pb_piece
letter_piece(struct bench *b, const struct pb_letter *letter, uint64_t from,
    const struct pb_mark *mark, size_t bytes_max)
{
	struct pb_piece piece;
	struct pb_err err = { .code = 0 };

	if (feed_letter(&b->feed, &b->f.key, letter, from, mark, bytes_max,
	    &piece, &err) < 0)
		fail_msg("%s", err.text);
	return piece;
}

static void
unlink_segment(struct bench *b, uint64_t segment_seq)
{
	char path[PATH_MAX];

	assert_int_equal(pb_layout_segment(path, b->f.dir, &b->f.key,
	    segment_seq, true, NULL), 0);
	assert_int_equal(unlink(path), 0);
}

static void
a_letter_is_read_from_its_file_alone(void **state)
{
	struct pb_letter letter;
	struct pb_piece p;
	struct bench b;

	(void)state;
	bench_init(&b);
	for (uint64_t seq = 1; seq <= 500; seq += 50)
		fixture_write(&b.f, seq, seq + 49, PACKET);
	letter = letter_of(&b, 101, 300);
	unlink_segment(&b, 1);
	p = letter_piece(&b, &letter, 101, &no_mark, ANY);
	assert_int_equal(p.kind, PB_PIECE_PACKETS);
	assert_true(p.letter);
	assert_false(p.whole);
	assert_true(p.complete);
	assert_int_equal(p.last, 300);
	assert_body(&b, &p);
	p = letter_piece(&b, &letter, 222, &no_mark, ANY);
	assert_int_equal(p.first, 222);
	assert_body(&b, &p);
	assert_int_equal(letter_piece(&b, &letter, 301, &no_mark, ANY).kind,
	    PB_PIECE_NONE);
	assert_int_equal(letter_piece(&b, &letter, 100, &no_mark, ANY).kind,
	    PB_PIECE_NONE);
	bench_finish(&b);
}

/* Several MiB, piece by piece: with a mark, without, from anywhere. */
static void
a_large_letter_comes_in_pieces_within_the_bound(void **state)
{
	const size_t bound = 300000;
	const uint64_t last = 25000;
	struct pb_mark mark = no_mark;
	struct pb_letter letter;
	struct pb_piece p, again;
	uint64_t from = 1;
	struct bench b;

	(void)state;
	bench_init(&b);
	for (uint64_t seq = 1; seq <= last; seq += 500)
		fixture_write(&b.f, seq, seq + 499, PACKET);
	letter = letter_of(&b, 1, last);
	unlink_segment(&b, 1);
	while (from <= last) {
		p = letter_piece(&b, &letter, from, &mark, bound);
		assert_int_equal(p.first, from);
		assert_true(p.bytes + p.header_bytes <= bound);
		assert_true(p.last == last || p.bytes > bound / 2);
		assert_body(&b, &p);
		again = letter_piece(&b, &letter, from, &no_mark, bound);
		assert_int_equal(again.last, p.last);
		assert_body(&b, &again);
		mark = mark_behind(&p);
		from = p.last + 1;
	}
	/* A feed that remembers nothing searches the file. */
	feed_stop(&b.feed);
	feed_start(&b.feed, &b.f);
	p = letter_piece(&b, &letter, last - 7, &no_mark, bound);
	assert_int_equal(p.last, last);
	assert_body(&b, &p);
	p = letter_piece(&b, &letter, 12345, &no_mark, 1);
	assert_int_equal(p.last, 12345);
	assert_body(&b, &p);
	bench_finish(&b);
}

static void
segment_and_link_stand_in_for_each_other(void **state)
{
	struct pb_letter letter;
	struct pb_piece p, plain;
	char path[PATH_MAX], aside[PATH_MAX];
	struct pb_section body = { 0 };
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 50, PACKET);
	letter = letter_of(&b, 1, 50);
	plain = look(&b, 1, &no_mark, ANY);
	assert_int_equal(pb_layout_letter(path, b.f.dir, "core", &b.f.key, 1,
	    NULL), 0);
	snprintf(aside, sizeof(aside), "%s/aside", b.f.dir);
	assert_int_equal(rename(path, aside), 0);
	p = letter_piece(&b, &letter, 1, &no_mark, ANY);
	assert_body(&b, &p);
	assert_int_equal(rename(aside, path), 0);
	unlink_segment(&b, 1);
	assert_int_equal(pb_section_read(&body, b.f.dir, &b.f.key, &plain,
	    "core", &err), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pb_section_read(&body, b.f.dir, &b.f.key, &p,
	    "core", &err), PB_ENOENT);
	pb_section_finish(&body);
	bench_finish(&b);
}

/* What is whole before the damage is sent; behind it there is an error. */
static void
a_damaged_letter_is_an_error_that_names_the_number(void **state)
{
	struct pb_letter letter;
	struct pb_piece p;
	struct pb_err err;
	char path[PATH_MAX];
	struct bench b;

	(void)state;
	bench_init(&b);
	fixture_write(&b.f, 1, 50, PACKET);
	letter = letter_of(&b, 1, 50);
	p = letter_piece(&b, &letter, 41, &no_mark, ANY);
	assert_int_equal(pb_layout_letter(path, b.f.dir, "core", &b.f.key, 1,
	    NULL), 0);
	assert_int_equal(truncate(path, (off_t)p.offset + 8), 0);
	p = letter_piece(&b, &letter, 31, &no_mark, ANY);
	assert_int_equal(p.last, 40);
	assert_body(&b, &p);
	assert_int_equal(feed_letter(&b.feed, &b.f.key, &letter, 41,
	    &no_mark, ANY, &p, &err), PB_EFORMAT);
	assert_non_null(strstr(err.text, "no whole packet 41"));
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_extent_is_one_piece_with_its_digest),
		cmocka_unit_test(fillers_stay_at_home),
		cmocka_unit_test(past_the_durable_end_there_is_nothing),
		cmocka_unit_test(
		    a_growing_extent_comes_piece_by_piece_without_reading),
		cmocka_unit_test(any_number_is_found_without_a_mark),
		cmocka_unit_test(
		    pieces_are_cut_at_blocks_and_hold_one_at_least),
		cmocka_unit_test(an_extent_with_a_successor_is_complete),
		cmocka_unit_test(open_gaps_are_pieces_with_their_reason),
		cmocka_unit_test(a_gap_that_was_filled_is_packets),
		cmocka_unit_test(the_open_gap_among_many_closed_ones_is_found),
		cmocka_unit_test(
		    numbers_without_extent_or_gap_are_a_gap_without_record),
		cmocka_unit_test(a_damaged_file_is_noticed_before_it_is_sent),
		cmocka_unit_test(a_piece_ends_where_it_is_told_to),
		cmocka_unit_test(a_letter_is_read_from_its_file_alone),
		cmocka_unit_test(
		    a_large_letter_comes_in_pieces_within_the_bound),
		cmocka_unit_test(segment_and_link_stand_in_for_each_other),
		cmocka_unit_test(
		    a_damaged_letter_is_an_error_that_names_the_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
