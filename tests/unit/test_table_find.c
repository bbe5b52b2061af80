/*
 * tests/unit/test_table_find.c - rows of a flow table, found before any has
 * been read
 *
 * Method: by dice.  One reader is asked where a byte may have a value, or for
 * a part of a column, or for packets of some rows, and has read nothing else
 * before; another one says what all rows have.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/mixed_traffic.h"
#include "tests/unit/table_mend.h"

#define LINKTYPE	1u
#define PART_ROWS	256u
#define ASKED		8u	/* rows, of each byte */

static uint64_t dice = 1;
static struct pb_buf bytes;

static void
make_table(uint32_t packets, uint32_t talks)
{
	struct mixed mixed;
	struct mixed_packet p;
	struct pb_flows *flows;

	mixed_init(&mixed, talks, true, mixed_any(&dice, UINT32_MAX));
	assert_int_equal(pb_flows_create(&flows, packets, packets, NULL), 0);
	for (uint32_t i = 0; i < packets; i++) {
		memset(&p, 0, sizeof(p));
		mixed_next(&mixed, &p);
		assert_true(pb_flows_packet(flows, p.at, LINKTYPE, p.data,
		    p.caplen, p.len, p.time_ns));
	}
	mixed_finish(&mixed);
	pb_buf_finish(&bytes);
	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	assert_int_equal(pb_flow_table_encode(&bytes, flows, NULL), 0);
	pb_flows_destroy(flows);
}

static struct pb_flow_table *
open_table(void)
{
	struct pb_flow_table *table = NULL;
	int rc = pb_flow_table_open(&table, bytes.data, bytes.len, NULL);

	assert_true(rc == 0 || rc == PB_EFORMAT);
	return table;
}

static bool
may_be(const struct pb_flow_table_column *column, uint32_t row, uint8_t value)
{
	return ((column->ones[row * column->stride] ^ value) &
	    ~column->unknown[row * column->stride]) == 0;
}

/* Values of rows, and others. */
static void
is_found(struct pb_flow_table *asked, size_t shape, uint32_t at, uint32_t rows,
    const struct pb_flow_table_column *all)
{
	for (uint32_t i = 0; i < ASKED; i++) {
		uint32_t from = mixed_any(&dice, rows) / 8 * 8, row = from;
		uint32_t found = from;
		uint8_t value = i % 4 == 0 ? (uint8_t)mixed_any(&dice, 256) :
		    all->ones[mixed_any(&dice, rows) * all->stride];

		assert_int_equal(pb_flow_table_column_find(asked, shape, at,
		    value, &found, NULL), 0);
		while (row < rows && !may_be(all, row, value))
			row++;
		assert_in_range(found, from, row);
	}
}

static void
part_is_same(struct pb_flow_table *asked, size_t shape, uint32_t at,
    uint32_t all_rows, const struct pb_flow_table_column *all)
{
	uint32_t first = mixed_any(&dice, all_rows) / 8 * 8;
	uint32_t left = all_rows - first;
	uint32_t rows = 1 + mixed_any(&dice, left < PART_ROWS ? left :
	    PART_ROWS);
	struct pb_flow_table_column part;
	uint8_t room[2 * PART_ROWS];

	assert_int_equal(pb_flow_table_column_part(asked, shape, at, first,
	    rows, room, &part, NULL), 0);
	for (uint32_t i = 0; i < rows; i++) {
		assert_int_equal(part.ones[i * part.stride],
		    all->ones[(first + i) * all->stride]);
		assert_int_equal(part.known ? 0 : part.unknown[i *
		    part.stride], all->unknown[(first + i) * all->stride]);
	}
}

/* Where the numbers are sound they are summed alike, whoever is chosen. */
static void
sums_are_same(struct pb_flow_table *asked, struct pb_flow_table *read,
    size_t shape, uint32_t rows)
{
	const struct pb_flow_table_row *row;
	uint8_t *of_row = malloc(rows);
	uint64_t sum = 0, told;

	assert_non_null(of_row);
	for (uint32_t i = 0; i < rows; i++)
		of_row[i] = (uint8_t)mixed_any(&dice, 4);
	if (pb_flow_table_rows(read, shape, &row, NULL) == 0) {
		for (uint32_t i = 0; i < rows; i++)
			sum += of_row[i] == 2 ? row[i].packets : 0;
		assert_int_equal(pb_flow_table_packets_of(asked, shape, of_row,
		    2, &told, NULL), 0);
		assert_int_equal(told, sum);
	}
	free(of_row);
}

/* How many shapes have many rows. */
static uint32_t
both_say_the_same(void)
{
	struct pb_flow_table *asked = open_table(), *read = open_table();
	size_t shapes = read == NULL ? 0 : pb_flow_table_shapes(read);
	uint32_t large = 0;

	for (size_t i = 0; i < shapes; i++) {
		uint32_t rows = pb_flow_table_shape(read, i)->rows;
		struct pb_flow_table_column all;

		large += rows > PART_ROWS;
		for (uint32_t at = 0; at < PB_FLOW_BYTES; at++) {
			if (pb_flow_table_column(read, i, at, &all, NULL) < 0)
				continue;
			is_found(asked, i, at, rows, &all);
			part_is_same(asked, i, at, rows, &all);
			is_found(read, i, at, rows, &all);
		}
		sums_are_same(asked, read, i, rows);
	}
	pb_flow_table_close(asked);
	pb_flow_table_close(read);
	return large;
}

static void
what_is_found_or_read_by_parts_is_what_all_rows_have(void **state)
{
	uint32_t large = 0;

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		uint32_t packets = 1 + mixed_any(&dice, i % 4 == 0 ? 20000 :
		    1000);

		make_table(packets, 1 + mixed_any(&dice, packets));
		large += both_say_the_same();
	}
	assert_true(large > 0);
}

/* Bytes of its pieces, which mostly are small. */
static void
change_pieces(void)
{
	uint32_t pieces = (uint32_t)bytes.len - HEAD_BYTES -
	    pb_get_le32(bytes.data + HEAD_DIRECTORY);

	for (uint32_t n = mixed_any(&dice, 200); n > 0; n--)
		bytes.data[HEAD_BYTES + mixed_any(&dice, pieces)] =
		    (uint8_t)mixed_any(&dice, n % 2 == 0 ? 9 : 256);
}

/* Where turned rows begin: of those of many packets, or of one. */
static void
change_runs(void)
{
	uint8_t *shape = bytes.data + bytes.len -
	    pb_get_le32(bytes.data + HEAD_DIRECTORY);
	uint32_t shapes = pb_get_le32(bytes.data + HEAD_SHAPES), all;

	for (uint32_t i = 0; i < shapes; i++, shape += SHAPE_BYTES)
		for (uint8_t *run = shape + SHAPE_ROWS; run < shape +
		    SHAPE_ROWS + 4 * RUNS; run += 8) {
			all = pb_get_le32(run) + pb_get_le32(run + 4);
			pb_put_le32(run, mixed_any(&dice, all + 1));
			pb_put_le32(run + 4, all - pb_get_le32(run));
		}
}

/* No digest tells of what is changed. */
static void
a_table_that_lies_says_the_same_whichever_way_it_is_asked(void **state)
{
	uint32_t large = 0;
	uint8_t *sound;

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		make_table(500 + mixed_any(&dice, 3000), 600);
		sound = malloc(bytes.len);
		assert_non_null(sound);
		memcpy(sound, bytes.data, bytes.len);
		for (uint32_t k = 0; k < 30; k++) {
			memcpy(bytes.data, sound, bytes.len);
			if (k % 3 != 0)
				change_runs();
			if (k % 3 != 1)
				change_pieces();
			table_mend(bytes.data, bytes.len);
			large += both_say_the_same();
		}
		free(sound);
	}
	assert_true(large > 0);
}

/* Of one shape: of all flows but one so many packets that a byte of their
 * number is the greatest. */
static void
a_sum_of_the_greatest_bytes_loses_nothing(void **state)
{
	enum { FLOWS = 3000, EACH = 257, ALL = 1 };
	uint8_t of_row[FLOWS], data[42 + PB_FLOW_BEHIND] = { [12] = 8, [14] =
	    0x45, [17] = 28, [23] = 17, [36] = 0, 53 };
	struct pb_flow_table *table;
	struct pb_flows *flows;
	uint64_t told;

	(void)state;
	assert_int_equal(pb_flows_create(&flows, FLOWS, FLOWS * EACH, NULL), 0);
	for (uint32_t i = 0; i < FLOWS; i++) {
		pb_put_be16(data + 34, (uint16_t)(1024 + i));
		for (uint32_t k = 0; k < (i == 0 ? 2 : EACH); k++)
			assert_true(pb_flows_packet(flows, 100 * i, LINKTYPE,
			    data, 42, 42, i));
	}
	pb_buf_finish(&bytes);
	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	assert_int_equal(pb_flow_table_encode(&bytes, flows, NULL), 0);
	pb_flows_destroy(flows);
	table = open_table();
	assert_int_equal(pb_flow_table_shapes(table), 1);
	memset(of_row, ALL, sizeof(of_row));
	assert_int_equal(pb_flow_table_packets_of(table, 0, of_row, ALL,
	    &told, NULL), 0);
	assert_int_equal(told, 2 + (FLOWS - 1) * EACH);
	pb_flow_table_close(table);
}

static int
clean_up(void **state)
{
	(void)state;
	pb_buf_finish(&bytes);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_is_found_or_read_by_parts_is_what_all_rows_have),
		cmocka_unit_test(
		    a_table_that_lies_says_the_same_whichever_way_it_is_asked),
		cmocka_unit_test(a_sum_of_the_greatest_bytes_loses_nothing),
	};

	return cmocka_run_group_tests_name("table_find", tests, NULL,
	    clean_up);
}
