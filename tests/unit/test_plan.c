/*
 * tests/unit/test_plan.c - what index blocks leave of a search
 *
 * Packets of a real store, index blocks made here: some of it has none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "recorder/query/search_impl.h"
#include "recorder/store/index/index_block.h"
#include "recorder/store/index/index_table.h"
#include "recorder/store/index/index_write.h"
#include "tests/unit/stepped.h"

#define LEN	300
#define PACKETS	6000

enum harm { WHOLE, NO_TABLE, ROTTEN, MOVED, SHORTER, OTHER, SAME_TIME,
    THE_ONE_BEFORE, LIES };

/* Its row and its table, and what is wrong with them; `made` ends. */
static void
put_block(struct fixture *f, struct pb_index_block *made, enum harm harm)
{
	struct pb_index *index = pb_store_index(f->store);
	struct pb_flows_info row;
	struct pb_mdb_txn txn;
	struct pb_buf table;

	pb_buf_init(&table, PB_FLOW_TABLE_BYTES_MAX);
	assert_int_equal(pb_index_block_end(made, &row, &table, NULL,
	    NULL), 1);
	pb_index_block_destroy(made);
	assert_true(row.table_bytes > 0);
	if (harm == ROTTEN)
		table.data[table.len - 1] ^= 1;
	assert_int_equal(pb_index_table_append(f->dir, &f->key, &row, &table,
	    NULL), 0);
	pb_buf_finish(&table);
	if (harm == NO_TABLE)
		row.table_bytes = 0;
	else if (harm == OTHER)
		row.table_digest ^= 1;
	else if (harm == THE_ONE_BEFORE)
		assert_int_equal(row.table_at -= row.table_bytes, 0);
	else if (harm == MOVED)
		row.from += 4;
	else if (harm == SHORTER)
		row.packets = --row.last_seq - row.first_seq + 1;
	assert_int_equal(pb_index_begin(index, &txn, NULL), 0);
	pb_index_put(&txn, PB_TABLE_FLOWS, &row);
	assert_int_equal(pb_mdb_commit(&txn), 0);
}

/* The block's row and table, as who makes one is told of packets. */
static void
make_block(struct fixture *f, uint64_t first, uint64_t last, enum harm harm)
{
	struct pb_index_block *made = pb_index_block_create(NULL, 0, 1, 1);
	struct pb_packet packet;
	struct pb_block block;
	struct stat st;
	uint8_t *data;
	uint64_t seq;
	size_t at;
	int fd;

	fd = pb_segment_open_file(f->dir, &f->key, 1, NULL);
	assert_int_equal(fstat(fd, &st), 0);
	data = calloc(1, (size_t)st.st_size + PB_FLOW_BEHIND);
	assert_int_equal(pread(fd, data, (size_t)st.st_size, 0), st.st_size);
	close(fd);
	for (at = 0; pb_scan_block(data + at, (size_t)st.st_size - at,
	    &block) == 1; at += block.len)
		if (block.type == PB_BLOCK_EPB &&
		    pb_scan_epb(&block, &packet) == 0 &&
		    pb_packet_seq(&packet, &seq) && seq >= first &&
		    seq <= last) {
			if (harm >= SAME_TIME)
				packet.time_ns = FIXTURE_TIME(1);
			if (harm == LIES)
				data[packet.data - data] = 7;
			assert_true(pb_index_block_packet(made,
			    PB_LINKTYPE_ETHERNET, &packet, seq, seq, at,
			    block.len));
		}
	free(data);
	put_block(f, made, harm);
}

/* The same as the writer makes one, of chunks of `chunk` packets; the third
 * has no flows. */
static void
make_block_of_chunks(struct fixture *f, uint32_t chunk)
{
	struct pb_index *index = pb_store_index(f->store);
	struct pb_index_block *made = pb_index_block_create(NULL, 0, 1, 1);
	struct pb_index_part part = { 0 };
	static uint8_t data[LEN + PB_FLOW_BEHIND];
	struct pb_extent_info extent;
	struct pb_flows *flows;
	uint32_t block;
	uint64_t at;
	int fd;

	assert_int_equal(pb_flows_create(&flows, chunk, chunk, NULL), 0);
	assert_int_equal(pb_index_rows_of(index, PB_TABLE_EXTENTS, 1, 1,
	    &extent, 1, NULL), 1);
	at = extent.offset;
	memset(data, 0, sizeof(data));
	fd = pb_segment_open_file(f->dir, &f->key, 1, NULL);
	/* What fills a page stands in front. */
	for (block = 0; pb_get_le32(data) != PB_BLOCK_EPB;
	    block = pb_get_le32(data + 4)) {
		at += block;
		assert_int_equal(pread(fd, data, 8, (off_t)at), 8);
	}
	close(fd);
	for (uint64_t seq = 1; seq + chunk - 1 <= 1000; seq += chunk) {
		part.first_seq = seq;
		part.last_seq = seq + chunk - 1;
		part.at = at + (seq - 1) * block;
		part.bytes = chunk * block;
		part.tally = (struct pb_tally){ 0 };
		part.flows = seq == 1 + 2 * chunk ? NULL : flows;
		pb_flows_reset(flows);
		for (uint64_t i = seq; i <= part.last_seq; i++) {
			fixture_packet(data, LEN, i);
			pb_tally_packet(&part.tally, FIXTURE_TIME(i), LEN);
			assert_true(pb_flows_packet(flows,
			    (uint32_t)(i - seq) * block,
			    PB_LINKTYPE_ETHERNET, data, LEN, LEN,
			    FIXTURE_TIME(i)));
		}
		assert_true(pb_index_block_part(made, &part));
	}
	pb_flows_destroy(flows);
	put_block(f, made, WHOLE);
}

static int
setup(void **state)
{
	struct fixture *f;

	if (stepped_setup(state) < 0)
		return -1;
	f = *state;
	for (uint64_t seq = 1; seq < PACKETS; seq += 1000)
		fixture_write(f, seq, seq + 999, LEN);
	return 0;
}

static bool
matches(uint64_t seq)
{
	/* The first byte of a packet, see fixture_packet(). */
	return (uint8_t)(seq * 31) == 7;
}

/* Forward, backward and counted: what numbers and times leave of what the
 * filter finds. */
static struct pb_explain
finds_all(struct fixture *f, uint64_t first, uint64_t last, bool by_time)
{
	struct pb_search_opts opts = { .store = f->dir,
	    .filter = "ether[0] = 7" };
	struct pb_explain explain = { 0 };
	struct pb_cursor_packet cp;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	uint64_t count, seq, n = 0;
	size_t input;

	pb_select_init(&select);
	if (by_time) {
		select.range.after_ns = FIXTURE_TIME(first);
		select.range.before_ns = FIXTURE_TIME(last + 1);
	} else {
		select.range.first_seq = first;
		select.range.last_seq = last;
	}
	opts.select = &select;
	for (int way = 0; way < 2; way++) {
		opts.backwards = way == 1;
		assert_int_equal(pb_search_create(&search,
		    pb_store_index(f->store), &opts, NULL), 0);
		assert_int_equal(pb_search_merge(search, &merge, NULL), 0);
		n = 0;
		for (uint64_t i = first; i <= last; i++) {
			seq = way == 0 ? i : last + first - i;
			if (!matches(seq))
				continue;
			n++;
			assert_int_equal(pb_merge_next(merge, &cp, &input,
			    NULL), 1);
			assert_int_equal(cp.seq, seq);
			pb_search_dealt(search, input, seq, 1);
		}
		assert_int_equal(pb_merge_next(merge, &cp, &input, NULL), 0);
		pb_merge_destroy(merge);
		if (way == 0)
			explain = *pb_search_explain(search);
		else
			assert_int_equal(pb_search_count(search, UINT64_MAX,
			    &count, NULL), 0);
		assert_int_equal(pb_search_explain(search)->found,
		    way == 0 ? n : 2 * n);
		pb_search_destroy(search);
	}
	assert_int_equal(count, n);
	return explain;
}

static void
finds_all_in_each_part(struct fixture *f)
{
	static const uint64_t part[][2] = { { 1, PACKETS }, { 1, 1 },
	    { 900, 1100 }, { 2500, 4400 }, { 3000, 3000 }, { 3999, 4001 } };

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		finds_all(f, part[i][0], part[i][1], false);
		finds_all(f, part[i][0], part[i][1], true);
	}
}

static void
what_a_table_leaves_out_is_not_asked_and_none_is_lost(void **state)
{
	struct pb_explain explain;
	struct fixture *f = *state;

	make_block(f, 1, PACKETS, WHOLE);
	explain = finds_all(f, 1, PACKETS, false);
	assert_int_equal(explain.blocks, 1);
	assert_int_equal(explain.tables, 1);
	assert_int_equal(explain.asked, 0);
	assert_int_equal(explain.taken, explain.found);
	assert_int_equal(explain.wrong + explain.rotten, 0);
	finds_all_in_each_part(f);
}

/* One, two, four and so on, and in the end those that are left. */
static void
packets_far_apart_are_gathered_the_first_one_alone(void **state)
{
	struct pb_search_opts opts = { .filter = "ether[0] = 7" };
	struct fixture *f = *state;
	struct pb_batch batch = { 0 };
	struct pb_search *search;
	struct pb_select select;
	uint64_t seq = 0, batches = 0;
	int rc;

	make_block(f, 1, PACKETS, WHOLE);
	pb_select_init(&select);
	opts.store = f->dir;
	opts.select = &select;
	assert_int_equal(pb_search_create(&search, pb_store_index(f->store),
	    &opts, NULL), 0);
	while ((rc = search_batch(search, 0, 1 << 20, &batch, NULL)) > 0) {
		for (size_t i = 0; i < batch.count; i++) {
			while (!matches(++seq))
				;
			assert_int_equal(batch.packet[i].seq, seq);
			assert_int_equal(batch.packet[i].block[PB_EPB_HEAD], 7);
		}
		assert_true(batch.count == 1u << batches || seq + 256 >
		    PACKETS);
		batches++;
		pb_batch_clear(&batch);
	}
	assert_int_equal(rc, 0);
	assert_true(seq + 256 > PACKETS && batches == 5);
	pb_batch_finish(&batch);
	pb_search_destroy(search);
}

/* Only what had no flows is looked at. */
static void
serves_of_chunks(struct fixture *f, uint32_t chunk)
{
	struct pb_explain explain;

	make_block_of_chunks(f, chunk);
	explain = finds_all(f, 1, 1000 / chunk * chunk, false);
	assert_int_equal(explain.blocks, 1);
	assert_int_equal(explain.asked, chunk);
	assert_int_equal(explain.wrong + explain.rotten, 0);
	finds_all_in_each_part(f);
}

static void
chunks_of_20_packets_make_a_block_that_serves(void **state)
{
	serves_of_chunks(*state, 20);
}

static void
chunks_of_31_packets_make_a_block_that_serves(void **state)
{
	serves_of_chunks(*state, 31);
}

static void
chunks_of_250_packets_make_a_block_that_serves(void **state)
{
	serves_of_chunks(*state, 250);
}

static void
what_no_index_block_has_is_looked_at(void **state)
{
	struct pb_explain explain;
	struct fixture *f = *state;

	make_block(f, 1001, 2000, WHOLE);
	make_block(f, 4001, 5000, WHOLE);
	explain = finds_all(f, 1, PACKETS, false);
	assert_int_equal(explain.asked, PACKETS - 2000);
	assert_int_equal(explain.wrong + explain.rotten, 0);
	finds_all_in_each_part(f);
}

static void
what_is_wrong_with_a_block_costs_a_look_at_it(void **state)
{
	struct pb_explain explain;
	struct fixture *f = *state;

	make_block(f, 1, 1000, NO_TABLE);
	make_block(f, 1001, 2000, ROTTEN);
	make_block(f, 2001, 3000, MOVED);
	make_block(f, 3001, 4000, SHORTER);
	make_block(f, 4001, 5000, WHOLE);
	make_block(f, 5001, PACKETS, OTHER);
	explain = finds_all(f, 1, PACKETS, false);
	assert_int_equal(explain.no_table, 1);
	assert_int_equal(explain.rotten, 3);
	assert_int_equal(explain.wrong, 1);
	finds_all_in_each_part(f);
}

/* Where a clock stands still nothing but its digest tells it. */
static void
the_table_of_another_block_of_as_many_bytes_is_not_asked(void **state)
{
	struct pb_explain explain;
	struct fixture *f = *state;

	make_block(f, 1, 1024, SAME_TIME);
	make_block(f, 1026, 2049, THE_ONE_BEFORE);
	explain = finds_all(f, 1, PACKETS, false);
	assert_int_equal(explain.rotten, 1);
}

/* Of a table, and of a summary, that say of each packet that it matches. */
static void
what_is_taken_and_does_not_match_is_not_handed_out(void **state)
{
	struct pb_search_opts opts = { .filter = "ether[0] = 7" };
	struct fixture *f = *state;
	struct pb_cursor_packet cp;
	struct pb_select select;
	struct pb_search *search;
	struct pb_merge *merge;
	uint64_t seq = 0;
	size_t input;

	opts.store = f->dir;
	opts.select = &select;
	pb_select_init(&select);
	make_block(f, 1, 1000, LIES);
	assert_int_equal(pb_search_create(&search, pb_store_index(f->store),
	    &opts, NULL), 0);
	assert_int_equal(pb_search_merge(search, &merge, NULL), 0);
	while (pb_merge_next(merge, &cp, &input, NULL) == 1) {
		while (!matches(++seq))
			continue;
		assert_int_equal(cp.seq, seq);
	}
	assert_int_equal(pb_search_explain(search)->taken, 1000);
	assert_in_range(seq, PACKETS - 256, PACKETS);
	pb_merge_destroy(merge);
	pb_search_destroy(search);
}

static void
another_round_asks_the_tables_that_are_there_now(void **state)
{
	struct pb_search_opts opts = { .filter = "ether[0] = 7" };
	struct fixture *f = *state;
	struct pb_search *search;
	struct pb_select select;
	uint64_t count;

	opts.store = f->dir;
	opts.select = &select;
	pb_select_init(&select);
	make_block(f, 1, 1000, WHOLE);
	assert_int_equal(pb_search_create(&search, pb_store_index(f->store),
	    &opts, NULL), 0);
	assert_int_equal(pb_search_count(search, UINT64_MAX, &count, NULL), 0);
	assert_int_equal(pb_index_table_remove(f->dir, &f->key, 1, NULL), 0);
	fixture_write(f, PACKETS + 1, PACKETS + 1000, LEN);
	make_block(f, PACKETS + 1, PACKETS + 1000, WHOLE);
	assert_int_equal(pb_search_round(search, pb_store_index(f->store),
	    NULL), 0);
	assert_int_equal(pb_search_count(search, UINT64_MAX, &count, NULL), 0);
	assert_int_equal(pb_search_explain(search)->tables, 2);
	assert_int_equal(pb_search_explain(search)->rotten, 0);
	pb_search_destroy(search);
}

#define TEST(test)							\
	cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_table_leaves_out_is_not_asked_and_none_is_lost),
		TEST(packets_far_apart_are_gathered_the_first_one_alone),
		TEST(chunks_of_20_packets_make_a_block_that_serves),
		TEST(chunks_of_31_packets_make_a_block_that_serves),
		TEST(chunks_of_250_packets_make_a_block_that_serves),
		TEST(what_no_index_block_has_is_looked_at),
		TEST(what_is_wrong_with_a_block_costs_a_look_at_it),
		TEST(the_table_of_another_block_of_as_many_bytes_is_not_asked),
		TEST(what_is_taken_and_does_not_match_is_not_handed_out),
		TEST(another_round_asks_the_tables_that_are_there_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
