/*
 * tests/unit/test_rows.c - a filter asked about many rows at once
 *
 * Method: rows that differ in some bytes, kept by columns, and filters folded
 * for what all have in common.  Each row's verdict is held against that of the
 * machine.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/filter/rows.h"
#include "tests/unit/alike.h"

#define ROWS_MAX	600u
#ifndef ROUNDS
#define ROUNDS		400u
#endif

/* As a table keeps them. */
struct table {
	size_t		 rows;
	uint8_t		 ones[PACKET_BYTES][ROWS_MAX];
	uint8_t		 unknown[PACKET_BYTES][ROWS_MAX];
	size_t		 stride[PACKET_BYTES];
	uint32_t	 bytes;		/* columns there are */
	struct {
		uint64_t		 packets;
		struct pb_lengths	 lengths;
	}		 row[ROWS_MAX];
	struct pb_row_set	 all;
	/* What all of them know. */
	uint8_t		 shape_ones[PACKET_BYTES], shape_unknown[PACKET_BYTES];
	struct pb_alike	 shape;
};

static bool
column(void *arg, uint32_t at, struct pb_column *out)
{
	struct table *table = arg;

	if (at >= table->bytes)
		return false;
	*out = (struct pb_column){ table->ones[at], table->unknown[at],
	    table->stride[at] };
	return true;
}

/* One packet more that they have in common. */
static void
take_row(struct table *table, size_t at, const struct group *g)
{
	struct pb_alike *shape = &table->shape;

	for (uint32_t i = 0; i < PACKET_BYTES; i++) {
		uint8_t unknown = g->unknown[i];

		table->ones[i][at] = g->ones[i];
		table->unknown[i][at] = unknown;
		if (at == 0) {
			table->shape_ones[i] = g->ones[i];
			table->shape_unknown[i] = unknown;
		}
		table->shape_unknown[i] |= (uint8_t)(unknown |
		    (g->ones[i] ^ table->shape_ones[i]));
		table->shape_ones[i] &= (uint8_t)~table->shape_unknown[i];
		if (at > 0 && (table->ones[i][at] != table->ones[i][0] ||
		    unknown != table->unknown[i][0]))
			table->stride[i] = 1;
	}
	table->row[at].lengths = (struct pb_lengths){ g->alike.caplen_min,
	    g->alike.caplen_max, g->alike.len_min, g->alike.len_max };
	if (shape->caplen_min > g->alike.caplen_min)
		shape->caplen_min = g->alike.caplen_min;
	if (shape->caplen_max < g->alike.caplen_max)
		shape->caplen_max = g->alike.caplen_max;
}

/* The first rows differ from one another in few bytes, the last in more. */
static void
make_table(struct table *table)
{
	static const uint8_t usual[] = { 26, 29, 30, 33, 34, 35, 37, 47, 22 };
	static struct group first, g;
	unsigned changes = any(4);

	make_group(&first);
	memset(table, 0, sizeof(*table));
	table->rows = 1 + any(any(3) == 0 ? ROWS_MAX - 1 : 40);
	table->bytes = any(4) == 0 ? any(PACKET_BYTES) : PACKET_BYTES;
	table->shape = (struct pb_alike){ .ones = table->shape_ones,
	    .unknown = table->shape_unknown, .bytes = table->bytes,
	    .caplen_min = UINT32_MAX, .len_max = UINT32_MAX };
	for (size_t i = 0; i < table->rows; i++) {
		g = first;
		for (unsigned c = 0; c < changes; c++) {
			uint32_t at = any(5) == 0 ? any(PACKET_BYTES) :
			    usual[any(sizeof(usual))];
			uint8_t to = (uint8_t)any(any(2) == 0 ? 4 : 256);

			for (unsigned p = 0; p < g.packets; p++)
				g.data[p][at] = to;
		}
		know_group(&g);
		take_row(table, i, &g);
	}
	table->all = (struct pb_row_set){ table->rows, column, table,
	    &table->row[0].lengths, sizeof(table->row[0]) };
}

/* How many rows the machine decides and the columns do not. */
static unsigned
check_rows(const struct table *table, const struct pb_filter *filter)
{
	uint8_t verdict[ROWS_MAX + 1], ones[PACKET_BYTES],
	    unknown[PACKET_BYTES];
	unsigned missed = 0;

	verdict[table->rows] = 77;
	pb_row_set_verdict(verdict, filter, &table->all);
	assert_int_equal(verdict[table->rows], 77);
	for (size_t i = 0; i < table->rows; i++) {
		const struct pb_lengths *row = &table->row[i].lengths;
		struct pb_alike alike = { ones, unknown, table->bytes,
		    row->caplen_min, row->caplen_max, row->len_min,
		    row->len_max, NULL };
		enum pb_verdict machine;

		for (uint32_t at = 0; at < PACKET_BYTES; at++) {
			ones[at] = table->ones[at][i];
			unknown[at] = table->unknown[at][i];
		}
		machine = pb_filter_verdict(filter, &alike);
		if (verdict[i] != PB_VERDICT_EACH)
			assert_int_equal(verdict[i], machine);
		else
			missed += machine != PB_VERDICT_EACH;
	}
	return missed;
}

static void
of_any_program_each_row_is_told_as_the_machine_does(void **state)
{
	static struct table table;
	static struct group g;

	(void)state;
	for (seed = 1; seed <= ROUNDS; seed++) {
		uint64_t round = seed;
		struct pb_filter *filter, *folded;

		make_table(&table);
		make_group(&g);
		make_places(&g);
		filter = make_program(&g);
		assert_int_equal(pb_filter_fold(&folded, filter, &table.shape,
		    NULL), 0);
		check_rows(&table, filter);
		check_rows(&table, folded);
		pb_filter_destroy(folded);
		pb_filter_destroy(filter);
		seed = round;
	}
}

static void
of_filters_that_people_write_hardly_a_row_is_missed(void **state)
{
	static struct table table;
	unsigned missed = 0, rows = 0;

	(void)state;
	for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
		struct pb_filter *filter, *folded;

		assert_int_equal(pb_filter_create(&filter, filters[f],
		    PB_LINKTYPE_ETHERNET, NULL), 0);
		for (unsigned i = 0; i < ROUNDS / 20; i++) {
			seed = i;
			make_table(&table);
			assert_int_equal(pb_filter_fold(&folded, filter,
			    &table.shape, NULL), 0);
			missed += check_rows(&table, folded);
			rows += (unsigned)table.rows;
			pb_filter_destroy(folded);
		}
		pb_filter_destroy(filter);
	}
	assert_in_range(missed, 0, rows / 100);
}

static void
no_more_instructions_are_run_than_may_be(void **state)
{
	static struct group g;

	(void)state;
	for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
		uint64_t left = 4096, used, less;
		struct pb_filter *filter;
		enum pb_verdict verdict;

		assert_int_equal(pb_filter_create(&filter, filters[f],
		    PB_LINKTYPE_ETHERNET, NULL), 0);
		seed = f + 1;
		make_group(&g);
		know_group(&g);
		verdict = pb_filter_verdict(filter, &g.alike);
		assert_int_equal(pb_filter_verdict_within(filter, &g.alike,
		    &left), verdict);
		used = 4096 - left;
		left = used;
		assert_int_equal(pb_filter_verdict_within(filter, &g.alike,
		    &left), verdict);
		assert_int_equal(left, 0);
		less = used > 0 ? used - 1 : 0;
		if (used > 0) {
			assert_int_equal(pb_filter_verdict_within(filter,
			    &g.alike, &less), PB_VERDICT_EACH);
			assert_int_equal(less, 0);
		}
		pb_filter_destroy(filter);
	}
}

/* Method: of the last row all is known, and the others take all there is. */
static void
rows_that_take_long_leave_the_others_to_be_looked_at(void **state)
{
	static const char *const text = "(tcp[4]&1=0 or tcp[4]>tcp[5]) and "
	    "(tcp[5]&1=0 or tcp[7]>tcp[5]) and (tcp[6]&1=0 or tcp[5]>tcp[6]) "
	    "and (tcp[7]&1=0 or tcp[8]>tcp[7]) and (tcp[8]&1=0 or "
	    "tcp[11]>tcp[8]) and (tcp[9]&1=0 or tcp[4]>tcp[9]) and "
	    "(tcp[10]&1=0 or tcp[7]>tcp[10]) and (tcp[11]&1=0 or "
	    "tcp[5]>tcp[11]) and ip[8]>tcp[4]+255";
	static const uint8_t tcp[] = { [12] = 8, 0, 0x45, [23] = 6 };
	static struct table table;
	uint8_t verdict[ROWS_MAX];
	struct pb_filter *filter;

	(void)state;
	memset(&table, 0, sizeof(table));
	table.rows = ROWS_MAX;
	table.bytes = PACKET_BYTES;
	for (uint32_t i = 0; i < ROWS_MAX; i++)
		table.row[i].lengths = (struct pb_lengths){ PACKET_BYTES,
		    PACKET_BYTES, PACKET_BYTES, PACKET_BYTES };
	for (uint32_t at = 0; at < PACKET_BYTES; at++) {
		table.stride[at] = 1;
		memset(table.ones[at], at < sizeof(tcp) ? tcp[at] : 0,
		    ROWS_MAX);
		if (at >= 34)
			memset(table.unknown[at], 0xff, ROWS_MAX - 1);
	}
	table.all = (struct pb_row_set){ table.rows, column, &table,
	    &table.row[0].lengths, sizeof(table.row[0]) };
	assert_int_equal(pb_filter_create(&filter, text,
	    PB_LINKTYPE_ETHERNET, NULL), 0);
	pb_row_set_verdict(verdict, filter, &table.all);
	assert_int_equal(verdict[ROWS_MAX - 1], PB_VERDICT_EACH);
	table.all.rows = 1;
	for (uint32_t at = 34; at < PACKET_BYTES; at++)
		table.unknown[at][0] = 0;
	pb_row_set_verdict(verdict, filter, &table.all);
	assert_int_equal(verdict[0], PB_VERDICT_NONE);
	pb_filter_destroy(filter);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(
		    of_any_program_each_row_is_told_as_the_machine_does),
		cmocka_unit_test(no_more_instructions_are_run_than_may_be),
		cmocka_unit_test(
		    rows_that_take_long_leave_the_others_to_be_looked_at),
		cmocka_unit_test(
		    of_filters_that_people_write_hardly_a_row_is_missed),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
