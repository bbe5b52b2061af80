/*
 * tests/unit/test_flow_tables.c - what a store writes down of its packets'
 * flows
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/store/mend/rebuild.h"
#include "tests/unit/flow_tables_fixture.h"

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
an_index_block_begins_with_a_packet_or_right_before_one(void **state)
{
	struct pb_index_block *block = pb_index_block_create(NULL, 0, 7, 10);
	struct pb_index_part left = part(10, 0, 5000, 64);
	struct pb_index_part next = part(20, 1, 5064, 200);
	struct pb_flows_info row;
	struct pb_flows *flows;
	struct pb_buf table;
	uint8_t data[64 + PB_FLOW_BEHIND] = { 0 };

	(void)state;
	pb_buf_init(&table, PB_FLOW_TABLE_BYTES_MAX);
	assert_int_equal(pb_flows_create(&flows, 8, 8, NULL), 0);
	left.last_seq = 19;
	left.tally.filtered = 10;
	left.flows = next.flows = flows;
	assert_true(pb_index_block_part(block, &left));
	assert_int_equal(pb_index_block_end(block, &row, &table, NULL, NULL),
	    0);
	next.last_seq = 29;
	next.tally.filtered = 9;
	assert_true(pb_flows_packet(flows, 64, PB_LINKTYPE_ETHERNET, data, 64,
	    64, 1));
	assert_true(pb_index_block_part(block, &next));
	assert_int_equal(pb_index_block_end(block, &row, &table, NULL, NULL),
	    1);
	assert_int_equal(row.first_seq, 20);
	assert_int_equal(row.last_seq, 29);
	assert_int_equal(row.from, 5064);
	assert_int_equal(row.packets, 1);
	pb_buf_finish(&table);
	pb_flows_destroy(flows);
	pb_index_block_destroy(block);
}

static void
a_segment_of_whole_128_mib_ends_with_no_small_index_block(void **state)
{
	const uint64_t whole = 128u << 20, end = 2 * whole;
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
	assert_int_equal(begun, 2);
	assert_true(block->end - block->from > whole / 2);
	pb_index_block_destroy(block);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TABLED(a_sealed_segment_has_a_table_of_its_packets),
		TABLED(marks_lead_to_packets_in_the_segment),
		TABLED(each_segment_has_a_file_of_its_own),
		TABLED(a_small_index_block_has_a_summary_alone),
		TABLED(packets_without_flows_are_among_those_that_have_some),
		TABLED(packets_of_which_nothing_is_known_have_no_row),
		TABLED(a_store_that_is_not_asked_makes_no_table),
		TABLED(packets_that_come_late_have_a_table),
		TABLED(older_segments_get_tables_where_that_is_asked_for),
		TABLED(who_makes_the_index_again_makes_the_same_tables),
		TABLED(an_index_that_is_made_again_without_tables_leaves_none),
		cmocka_unit_test(
		    an_index_block_is_a_run_without_holes_of_bounded_length),
		cmocka_unit_test(
		    an_index_block_begins_with_a_packet_or_right_before_one),
		cmocka_unit_test(
		    a_segment_of_whole_128_mib_ends_with_no_small_index_block),
	};

	return cmocka_run_group_tests_name("flow_tables", tests, NULL, NULL);
}
