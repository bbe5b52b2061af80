/*
 * tests/unit/alike_rows.h - packets that are alike, in the rows of a table
 */
#ifndef PB_TESTS_UNIT_ALIKE_ROWS_H
#define PB_TESTS_UNIT_ALIKE_ROWS_H

#include "recorder/filter/rows.h"
#include "tests/unit/alike.h"

#define ROWS_MAX	600u

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

/* Some as they are, others in the room that there is. */
static inline bool
column(void *arg, uint32_t at, size_t first, size_t rows, uint8_t *room,
    struct pb_column *out)
{
	static const uint8_t none[ROWS_MAX];
	struct table *table = arg;
	size_t stride = table->stride[at % PACKET_BYTES];

	assert_true(first % PB_ROWS_RUN == 0 && rows <= PB_ROWS_RUN &&
	    first + rows <= table->rows);
	if (at >= table->bytes)
		return false;
	*out = (struct pb_column){ table->ones[at] + first * stride,
	    table->unknown[at] + first * stride, stride };
	if (memcmp(table->unknown[at], none, table->rows) == 0)
		out->unknown = NULL;
	if (stride == 1 && at % 3 == 0)
		out->ones = memcpy(room, out->ones, rows);
	return true;
}

/* Some number. */
static inline uint32_t
weight(void *arg, uint32_t at)
{
	(void)arg;
	return at * 7 % 4;
}

/* Of what rows have each for itself; now and then one too early. */
static inline size_t
find(void *arg, uint32_t at, uint8_t value, size_t first)
{
	const struct table *table = arg;

	assert_true(first % PB_ROWS_RUN == 0 && first <= table->rows);
	while (at < table->bytes && at % 5 != 0 && first < table->rows &&
	    (value & ~table->unknown[at][first]) != table->ones[at][first])
		first++;
	return at % 5 == 1 ? first - first % 2 : first;
}

static inline const struct pb_lengths *
lengths(void *arg)
{
	struct table *table = arg;

	return &table->row[0].lengths;
}

static inline struct pb_row_set
row_set(struct table *table, uint32_t caplen_min)
{
	return (struct pb_row_set){ table->rows, column, weight, find,
	    lengths, table, sizeof(table->row[0]), caplen_min, 0 };
}

/* One packet more that they have in common. */
static inline void
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
static inline void
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
	table->all = row_set(table, table->shape.caplen_min);
}

/* How many rows the machine decides and the columns do not. */
static inline unsigned
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

#endif
