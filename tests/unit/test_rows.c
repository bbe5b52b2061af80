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

#include "tests/unit/alike_rows.h"

#ifndef ROUNDS
#define ROUNDS		400u
#endif

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
	table.all = row_set(&table, PACKET_BYTES);
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

/* Of rows that differ from what is said without, and these are looked at. */
static uint32_t
count_open(struct table *table, const struct pb_filter *filter,
    uint32_t spare)
{
	uint8_t sure[ROWS_MAX], some[ROWS_MAX];
	uint32_t open, differ = 0;

	table->all.spare = 0;
	assert_int_equal(pb_row_set_verdict(sure, filter, &table->all), 0);
	table->all.spare = spare;
	open = pb_row_set_verdict(some, filter, &table->all);
	for (size_t i = 0; i < table->rows; i++)
		if (some[i] != sure[i]) {
			assert_int_equal(some[i], PB_VERDICT_EACH);
			differ++;
		}
	assert_in_range(differ, 0, open);
	assert_in_range(open, 0, spare);
	return open;
}

static void
few_rows_are_left_open_and_not_more_than_may_be(void **state)
{
	static struct table table;
	uint32_t open = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct pb_filter *filter, *folded;
		char text[64];
		size_t row;

		seed = i;
		make_table(&table);
		row = any((uint32_t)table.rows);
		snprintf(text, sizeof(text), "ether[26:4] = 0x%02x%02x%02x%02x",
		    table.ones[26][row], table.ones[27][row],
		    table.ones[28][row], table.ones[29][row]);
		assert_int_equal(pb_filter_create(&filter, text,
		    PB_LINKTYPE_ETHERNET, NULL), 0);
		assert_int_equal(pb_filter_fold(&folded, filter,
		    &table.shape, NULL), 0);
		open += count_open(&table, folded, i % 4);
		pb_filter_destroy(folded);
		pb_filter_destroy(filter);
	}
	assert_true(open > 0);
}

/* Where no row has a byte, no column is asked for; and of an address that
 * byte first that weighs least. */
static uint32_t asked_at;

static bool
no_column(void *arg, uint32_t at, size_t first, size_t rows, uint8_t *room,
    struct pb_column *out)
{
	(void)arg;
	(void)first;
	(void)rows;
	(void)room;
	(void)out;
	fail_msg("column %u", at);
	return false;
}

static uint32_t
lightest_is_28(void *arg, uint32_t at)
{
	(void)arg;
	return at == 28 ? 1 : 2;
}

static size_t
nowhere(void *arg, uint32_t at, uint8_t value, size_t first)
{
	(void)arg;
	assert_int_equal(first, 0);
	assert_int_equal(value, 3);
	asked_at = at;
	return ROWS_MAX;
}

static void
a_byte_that_no_row_has_is_not_looked_for(void **state)
{
	uint8_t bytes[128] = { 0 }, unknown[128] = { 0 };
	struct pb_alike shape = { bytes, unknown, 128, 128, 128, 128, 128,
	    NULL };
	const struct pb_row_set rows = { .rows = ROWS_MAX,
	    .column = no_column, .weight = lightest_is_28, .find = nowhere,
	    .caplen_min = 128 };
	struct pb_filter *filter, *folded;
	uint8_t verdict[ROWS_MAX];

	(void)state;
	bytes[12] = 8;
	bytes[14] = 0x45;
	memset(unknown + 26, 0xff, 8);
	assert_int_equal(pb_filter_create(&filter, "src host 1.2.3.4",
	    PB_LINKTYPE_ETHERNET, NULL), 0);
	assert_int_equal(pb_filter_fold(&folded, filter, &shape, NULL), 0);
	pb_row_set_verdict(verdict, folded, &rows);
	assert_int_equal(asked_at, 28);
	for (size_t i = 0; i < ROWS_MAX; i++)
		assert_int_equal(verdict[i], PB_VERDICT_NONE);
	pb_filter_destroy(folded);
	pb_filter_destroy(filter);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(
		    of_any_program_each_row_is_told_as_the_machine_does),
		cmocka_unit_test(no_more_instructions_are_run_than_may_be),
		cmocka_unit_test(a_byte_that_no_row_has_is_not_looked_for),
		cmocka_unit_test(
		    few_rows_are_left_open_and_not_more_than_may_be),
		cmocka_unit_test(
		    rows_that_take_long_leave_the_others_to_be_looked_at),
		cmocka_unit_test(
		    of_filters_that_people_write_hardly_a_row_is_missed),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
