/*
 * tests/unit/test_table.c - flow tables: what was written is read
 *
 * Method: packets made up, their flows, the table of those.  What the table
 * says is held against each packet; and broken tables are read.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "recorder/flow/table.h"
#include "tests/unit/mixed_traffic.h"

#define LINKTYPE	1u

static struct mixed_packet *packets;
static uint32_t	count;
static struct pb_buf bytes;

/* --- tables --------------------------------------------------------------- */

static struct pb_flows *
flows_of(uint32_t flows_max)
{
	struct pb_flows *flows;

	assert_int_equal(pb_flows_create(&flows, flows_max, count + 1, NULL),
	    0);
	for (uint32_t i = 0; i < count; i++) {
		const struct mixed_packet *p = &packets[i];

		assert_true(pb_flows_packet(flows, p->at, LINKTYPE, p->data,
		    p->caplen, p->len, p->time_ns));
	}
	return flows;
}

static void
encode(uint32_t flows_max)
{
	struct pb_flows *flows = flows_of(flows_max);
	struct pb_err err;

	pb_buf_finish(&bytes);
	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	if (pb_flow_table_encode(&bytes, flows, &err) < 0)
		fail_msg("%s", err.text);
	pb_flows_destroy(flows);
}

static void
make_packets(uint32_t packets_wanted, uint32_t talks, bool small)
{
	struct mixed mixed;

	free(packets);
	count = packets_wanted;
	packets = calloc(count + 1, sizeof(*packets));
	assert_non_null(packets);
	mixed_init(&mixed, talks, small, 7);
	for (uint32_t i = 0; i < count; i++)
		mixed_next(&mixed, &packets[i]);
	mixed_finish(&mixed);
}

static struct pb_flow_table *
open_table(void)
{
	struct pb_flow_table *table;
	struct pb_err err;

	if (pb_flow_table_open(&table, bytes.data, bytes.len, &err) < 0)
		fail_msg("%s", err.text);
	return table;
}

/* Of large and small ones, one after the other. */
static void
memory_that_is_kept_from_one_to_the_next_changes_nothing(void **state)
{
	static const uint32_t sizes[] = { 20, 3000, 0, 40000, 500, 40000, 1 };
	struct pb_flow_table_work *work;
	struct pb_buf again;

	(void)state;
	assert_int_equal(pb_flow_table_work_create(&work, NULL), 0);
	pb_buf_init(&again, PB_FLOW_TABLE_BYTES_MAX);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct pb_flows *flows;

		make_packets(sizes[i], 1 + sizes[i] / 3, i % 2 == 0);
		encode(i == 5 ? 100 : 60000);
		flows = flows_of(i == 5 ? 100 : 60000);
		pb_buf_clear(&again);
		assert_int_equal(pb_flow_table_encode_in(work, &again, flows,
		    NULL), 0);
		assert_int_equal(again.len, bytes.len);
		assert_memory_equal(again.data, bytes.data, bytes.len);
		pb_flows_destroy(flows);
	}
	pb_buf_finish(&again);
	pb_flow_table_work_destroy(work);
}

/* --- what it says, and what is -------------------------------------------- */

struct told {
	uint8_t		 ones[PB_FLOW_BYTES], unknown[PB_FLOW_BYTES];
	struct pb_flow_table_row row;
};

static void
ask_row(struct pb_flow_table *table, size_t shape, uint32_t row,
    struct told *told)
{
	const struct pb_flow_table_row *rows;
	struct pb_flow_table_column column;
	struct pb_err err;

	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++) {
		if (pb_flow_table_column(table, shape, at, &column, &err) < 0)
			fail_msg("%s", err.text);
		told->ones[at] = column.ones[row * column.stride];
		told->unknown[at] = column.unknown[row * column.stride];
	}
	if (pb_flow_table_rows(table, shape, &rows, &err) < 0)
		fail_msg("%s", err.text);
	told->row = rows[row];
}

static void
true_of(const struct told *told, const struct mixed_packet *p)
{
	const struct pb_flow_table_row *row = &told->row;

	for (uint32_t at = 0; at < PB_FLOW_BYTES && at < p->caplen; at++) {
		assert_int_equal(p->data[at] & ~told->unknown[at],
		    told->ones[at]);
		assert_int_equal(told->ones[at] & told->unknown[at], 0);
	}
	assert_in_range(p->caplen, row->caplen_min, row->caplen_max);
	assert_in_range(p->len, row->len_min, row->len_max);
	assert_true(p->time_ns >= row->first_time &&
	    p->time_ns <= row->last_time);
}

/* A row's packets: `seen` has the bit 1 of them; 2 of those of others. */
static void
check_row(struct pb_flow_table *table, size_t shape, uint32_t row,
    uint8_t *seen)
{
	uint64_t sum = 0, wire = 0;
	struct pb_err err;
	struct told told;

	ask_row(table, shape, row, &told);
	if (pb_flow_table_put(table, shape, row, seen, 1, &err) < 0)
		fail_msg("%s", err.text);
	for (uint32_t i = 0; i < count; i++) {
		if ((seen[i] & 1) == 0)
			continue;
		assert_int_equal(seen[i], 1);
		true_of(&told, &packets[i]);
		seen[i] = 2;
		sum++;
		wire += packets[i].len;
	}
	assert_int_equal(sum, told.row.packets);
	assert_int_equal(wire, told.row.bytes);
}

static void
check_marks(struct pb_flow_table *table)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t first, at = pb_flow_table_mark(table, i, &first);

		assert_in_range(first, i < 2 * PB_FLOW_MARK ? 0 :
		    i - 2 * PB_FLOW_MARK + 1, i);
		assert_int_equal(at, packets[first].at);
	}
}

static void
check_table(void)
{
	struct pb_flow_table *table = open_table();
	uint8_t *seen = calloc(count + 1, 1);

	assert_int_equal(pb_flow_table_packets(table), count);
	for (size_t shape = 0; shape < pb_flow_table_shapes(table); shape++) {
		const struct pb_flow_table_shape *its =
		    pb_flow_table_shape(table, shape);

		for (uint32_t row = 0; row < its->rows; row++)
			check_row(table, shape, row, seen);
	}
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(seen[i], 2);
	check_marks(table);
	free(seen);
	pb_flow_table_close(table);
}

static void
each_packet_is_in_one_row_and_all_the_row_says_is_true_of_it(void **state)
{
	static const uint32_t wanted[] = { 0, 1, 2, 100, 5000 };

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		make_packets(wanted[i], 700, i % 2 == 0);
		encode(wanted[i] + 1);
		check_table();
	}
}

static void
packets_of_too_many_flows_are_the_rest_of_which_nothing_is_known(void **state)
{
	struct pb_flow_table *table;
	const struct pb_flow_table_shape *last;

	(void)state;
	make_packets(3000, 700, false);
	encode(40);
	check_table();
	table = open_table();
	last = pb_flow_table_shape(table, pb_flow_table_shapes(table) - 1);
	assert_true(last->rest);
	assert_int_equal(last->rows, 1);
	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++)
		assert_int_equal(last->alike.unknown[at], 0xff);
	pb_flow_table_close(table);
}

/* Any packets: short ones, link types that nobody knows. */
static void
what_is_no_packet_of_ours_has_a_row_as_well(void **state)
{
	uint64_t seed = 11;

	(void)state;
	make_packets(2000, 300, true);
	for (uint32_t i = 0; i < count; i++) {
		if (mixed_any(&seed, 3) == 0)
			packets[i].caplen = mixed_any(&seed, 130);
		if (mixed_any(&seed, 3) == 0)
			packets[i].data[mixed_any(&seed, 40)] =
			    (uint8_t)mixed_any(&seed, 256);
		if (packets[i].len < packets[i].caplen)
			packets[i].len = packets[i].caplen;
		packets[i].time_ns ^= mixed_any(&seed, 1u << 30);
	}
	encode(count);
	check_table();
}

static void
more_shapes_than_a_table_has_are_the_rest(void **state)
{
	uint32_t shapes = PB_FLOW_TABLE_SHAPES_MAX + 300;
	struct pb_flow_table *table;

	(void)state;
	make_packets(shapes, 1, true);
	for (uint32_t i = 0; i < count; i++)	/* no IP: an EtherType each */
		pb_put_be16(packets[i].data + 12, (uint16_t)(0x1000 + i));
	encode(count);
	check_table();
	table = open_table();
	assert_int_equal(pb_flow_table_shapes(table), PB_FLOW_TABLE_SHAPES_MAX +
	    1);
	pb_flow_table_close(table);
}

/* --- size ----------------------------------------------------------------- */

/* All in, in bytes a packet; and as a share of the data. */
static double
size_of(uint32_t packets_wanted, uint32_t talks, bool small)
{
	double wire = 0, each;

	make_packets(packets_wanted, talks, small);
	encode(64u << 10);
	for (uint32_t i = 0; i < count; i++)
		wire += packets[i].len;
	each = (double)bytes.len / count;
	print_message("%u packets of %.0f bytes: a table of %zu bytes, %.2f a "
	    "packet, %.2f %%\n", count, wire / count, bytes.len, each,
	    100 * (double)bytes.len / wire);
	return each;
}

static void
a_table_takes_six_bytes_a_packet_or_fewer(void **state)
{
	(void)state;
	assert_true(size_of(100000, 3500, false) <= 6.0);
}

static void
a_table_of_small_packets_takes_three_and_a_half_or_fewer(void **state)
{
	(void)state;
	assert_true(size_of(450000, 6000, true) <= 3.5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    memory_that_is_kept_from_one_to_the_next_changes_nothing),
		cmocka_unit_test(
		    each_packet_is_in_one_row_and_all_the_row_says_is_true_of_it),
		cmocka_unit_test(
		    packets_of_too_many_flows_are_the_rest_of_which_nothing_is_known),
		cmocka_unit_test(what_is_no_packet_of_ours_has_a_row_as_well),
		cmocka_unit_test(more_shapes_than_a_table_has_are_the_rest),
		cmocka_unit_test(a_table_takes_six_bytes_a_packet_or_fewer),
		cmocka_unit_test(
		    a_table_of_small_packets_takes_three_and_a_half_or_fewer),
	};
	int failed = cmocka_run_group_tests_name("table", tests, NULL, NULL);

	pb_buf_finish(&bytes);
	free(packets);
	return failed;
}
