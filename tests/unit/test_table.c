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

#include <dlfcn.h>
#include <stdio.h>

#include "pcapng/block.h"
#include "recorder/flow/table/read.h"
#include "tests/unit/mixed_traffic.h"
#include "tests/unit/table_mend.h"
#include "tests/unit/valgrind.h"

#define LINKTYPE	1u
#define MARK_BYTES	2048u	/* between two marks */

static struct mixed_packet *packets;
static uint32_t	count;
static struct pb_buf bytes;
static bool	by_parts;
static size_t	part_bytes;		/* that were read so */
static uint64_t	rots;			/* some of what is read so; 0: none */
static struct pb_flow_table_room *room;
static unsigned	fails_in;		/* calls of realloc(); 0: none does */

/* The C library's, or a sanitizer's, but for that. */
void *
realloc(void *old, size_t size)
{
	static void *(*next)(void *, size_t);

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "realloc");
	return fails_in > 0 && --fails_in == 0 ? NULL : next(old, size);
}

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

static int
read_part(void *arg, uint64_t at, void *out, size_t len, struct pb_err *err)
{
	(void)arg;
	(void)err;
	assert_true(at <= bytes.len && len <= bytes.len - at);
	memcpy(out, bytes.data + at, len);
	if (rots != 0 && len > 0 && mixed_any(&rots, 8) == 0)
		((uint8_t *)out)[mixed_any(&rots, (uint32_t)len)] ^=
		    (uint8_t)(1u << mixed_any(&rots, 8));
	part_bytes += len;
	return 0;
}

/* As a whole, or by parts. */
static struct pb_flow_table *
open_table(void)
{
	struct pb_flow_table *table;
	struct pb_err err;
	int rc;

	part_bytes = 0;
	rc = by_parts ? pb_flow_table_open_at(&table, room, read_part, NULL,
	    bytes.len, &err) : pb_flow_table_open(&table, bytes.data, bytes.len,
	    &err);
	if (rc < 0)
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

/* What the row has is found there, or before it. */
static void
check_find(struct pb_flow_table *table, size_t shape, uint32_t at,
    uint32_t row, const struct pb_flow_table_column *all)
{
	uint32_t found = row / 8 * 8;

	assert_int_equal(pb_flow_table_column_find(table, shape, at,
	    all->ones[row * all->stride], &found, NULL), 0);
	assert_in_range(found, row / 8 * 8, row);
	/* It has been read. */
	assert_int_equal(pb_flow_table_column_weight(table, shape, at), 0);
}

/* A part of the column says the same. */
static void
check_part(struct pb_flow_table *table, size_t shape, uint32_t at, uint32_t row,
    const struct pb_flow_table_column *all)
{
	uint32_t left = pb_flow_table_shape(table, shape)->rows - row / 8 * 8;
	uint32_t rows = left < 8 ? left : 8;
	struct pb_flow_table_column part;
	uint8_t to[17];
	size_t i = row % 8;

	to[2 * rows] = 77;
	assert_int_equal(pb_flow_table_column_part(table, shape, at,
	    row - row % 8, rows, to, &part, NULL), 0);
	assert_int_equal(to[2 * rows], 77);
	assert_int_equal(part.ones[i * part.stride],
	    all->ones[row * all->stride]);
	assert_true(part.known || !all->known);
	assert_int_equal(part.known ? 0 : part.unknown[i * part.stride],
	    all->unknown[row * all->stride]);
}

/* Of this row, and of one in three. */
static void
check_sum(struct pb_flow_table *table, size_t shape, uint32_t row,
    const struct pb_flow_table_row *its)
{
	uint32_t rows = pb_flow_table_shape(table, shape)->rows;
	uint8_t *of_row = calloc(rows, 1);
	uint64_t told, sum = its[row].packets;
	struct pb_err err;

	assert_non_null(of_row);
	of_row[row] = 3;
	for (uint32_t i = row % 3; i < rows; i += 3) {
		sum += of_row[i] == 3 ? 0 : its[i].packets;
		of_row[i] = 3;
	}
	if (pb_flow_table_packets_of(table, shape, of_row, 3, &told,
	    &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(told, sum);
	free(of_row);
}

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
		if (by_parts)
			check_part(table, shape, at, row, &column);
		check_find(table, shape, at, row, &column);
		told->ones[at] = column.ones[row * column.stride];
		told->unknown[at] = column.unknown[row * column.stride];
	}
	if (pb_flow_table_rows(table, shape, &rows, &err) < 0)
		fail_msg("%s", err.text);
	told->row = rows[row];
	check_sum(table, shape, row, rows);
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
	uint64_t all = count > 0 ? packets[count - 1].at : 0;

	for (uint32_t i = 0; i < count; i++) {
		struct pb_flow_table_span span;

		assert_int_equal(pb_flow_table_span(table, i, &span, NULL), 0);
		assert_in_range(i, span.first, span.next - 1);
		assert_int_equal(span.from, packets[span.first].at);
		if (span.next == count)
			assert_int_equal(span.end, UINT32_MAX);
		else
			assert_int_equal(span.end, packets[span.next].at);
		/* Few packets, or little as they are on average. */
		assert_true(span.next - span.first <= PB_FLOW_MARK ||
		    (span.next - span.first) * all <= 2 * MARK_BYTES * count);
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
		by_parts = true;
		check_table();
		by_parts = false;
	}
}

static void
of_one_row_among_many_few_bytes_are_read(void **state)
{
	struct pb_flow_table *table;
	struct pb_flow_table_span span;
	size_t shape = 0;
	uint8_t *seen;

	(void)state;
	make_packets(60000, 9000, false);
	encode(60000);
	by_parts = true;
	table = open_table();
	while (pb_flow_table_shape(table, shape)->rows < 2000)
		shape++;
	seen = calloc(count, 1);
	assert_true(pb_flow_table_put(table, shape, 1000, seen, 1, NULL) > 0);
	for (uint32_t i = 0; i < count; i++)
		if (seen[i] != 0)
			assert_int_equal(pb_flow_table_span(table, i, &span,
			    NULL), 0);
	assert_in_range(part_bytes, 1, bytes.len / 10);
	free(seen);
	pb_flow_table_close(table);
	by_parts = false;
}

/* Of a row some time, its packets; of a packet, where it is: either as the
 * table that is whole has it, or an error. */
static void
ask_rotten(struct pb_flow_table *table, uint64_t *seed, const uint32_t *row_of)
{
	size_t shape = mixed_any(seed, (uint32_t)pb_flow_table_shapes(table));
	uint32_t row = mixed_any(seed, pb_flow_table_shape(table, shape)->rows);
	uint32_t packet = mixed_any(seed, count), id = UINT32_MAX, sum = 0;
	uint8_t *seen = calloc(count, 1);
	int put = pb_flow_table_put(table, shape, row, seen, 1, NULL);
	struct pb_flow_table_span span;

	assert_true(put > 0 || put == PB_EFORMAT);
	for (uint32_t i = 0; i < count && put > 0; i++) {
		if (seen[i] != 0)
			id = row_of[i];
		sum += seen[i];
	}
	for (uint32_t i = 0; i < count && put > 0; i++)
		assert_int_equal(seen[i], row_of[i] == id);
	assert_true(put < 0 || sum == (uint32_t)put);
	free(seen);
	if (pb_flow_table_span(table, packet, &span, NULL) == 0) {
		assert_in_range(packet, span.first, span.next - 1);
		assert_int_equal(span.from, packets[span.first].at);
	}
}

static void
what_rots_is_not_believed_whichever_part_is_read(void **state)
{
	uint32_t *row_of, id = 0;
	struct pb_flow_table *table;
	uint64_t seed = 3;
	uint8_t *seen;

	(void)state;
	make_packets(8000, 4000, false);
	encode(8000);
	row_of = calloc(count, sizeof(*row_of));
	table = open_table();
	for (size_t shape = 0; shape < pb_flow_table_shapes(table); shape++)
		for (uint32_t row = 0; row < pb_flow_table_shape(table,
		    shape)->rows; row++) {
			seen = calloc(count, 1);
			assert_true(pb_flow_table_put(table, shape, row, seen,
			    1, NULL) > 0);
			id++;
			for (uint32_t i = 0; i < count; i++)
				row_of[i] += seen[i] * id;
			free(seen);
		}
	pb_flow_table_close(table);
	rots = 5;
	for (unsigned i = 0; i < 1000; i++)
		if (pb_flow_table_open_at(&table, room, read_part, NULL,
		    bytes.len, NULL) == 0) {
			for (unsigned k = 0; k < 4; k++)
				ask_rotten(table, &seed, row_of);
			pb_flow_table_close(table);
		}
	rots = 0;
	free(row_of);
}

/* The directory's entry of a piece. */
static uint8_t *
entry_of(const struct pb_flow_table *table, uint32_t piece)
{
	return bytes.data + bytes.len - (table->pieces - piece) * PIECE_BYTES;
}

static void
expect_none(void)
{
	struct pb_flow_table *table;

	table_mend(bytes.data, bytes.len);
	assert_int_equal(pb_flow_table_open(&table, bytes.data, bytes.len,
	    NULL), PB_EFORMAT);
}

static void
shapes_have_all_packets_of_a_table_and_places_of_their_own(void **state)
{
	struct pb_flow_table *table;
	struct shape shape;
	uint8_t *entry;

	(void)state;
	make_packets(8000, 4000, false);
	encode(8000);
	table = open_table();
	shape = table->shape[0];
	assert_true(shape.seen.packets + 2 * shape.seen.rows < count);
	entry = entry_of(table, shape.places + 1);
	pb_put_le32(entry + PIECE_RAW, VARINT_BYTES_MAX * count);
	expect_none();
	pb_put_le32(entry + PIECE_RAW, table->piece[shape.places + 1].raw);
	pb_put_le32(bytes.data + HEAD_PACKETS, count + 1);
	expect_none();
	pb_put_le32(bytes.data + HEAD_PACKETS, count - 1);
	expect_none();
	pb_flow_table_close(table);
}

/* The shape with the most rows of more than one packet that are turned. */
static size_t
turned_shape(const struct pb_flow_table *table)
{
	uint32_t most = 0;
	size_t found = 0;

	for (size_t i = 0; i < table->shapes; i++) {
		uint32_t rows = table->shape[i].many -
		    table->shape[i].begin[RUN_MANY_TURNED];

		if (rows > most) {
			most = rows;
			found = i;
		}
	}
	assert_true(most > 0 && table->shape[found].pairs.pairs > 0);
	return found;
}

/* The byte of each of a shape's rows, as it stands in its plane. */
static const uint8_t *
plane_of(struct pb_flow_table *table, const struct shape *shape, uint32_t at)
{
	const uint8_t *plane;

	assert_true(side_has(&shape->ones, at));
	assert_int_equal(table_plane(table, shape->ones.piece,
	    side_plane(&shape->ones, at), shape->seen.rows, &plane, NULL), 0);
	return plane;
}

/* Of the lower port: who answers has it here. */
static void
who_answers_stands_in_one_column_whoever_sends(void **state)
{
	struct pb_flow_table *table;
	struct shape *shape;
	uint32_t port, run = 0;

	(void)state;
	make_packets(20000, 9000, false);
	encode(20000);
	table = open_table();
	shape = &table->shape[turned_shape(table)];
	port = shape->seen.key.transport;
	for (; run < RUNS; run++)
		assert_true(shape->begin[run + 1] > shape->begin[run]);
	for (uint32_t row = 0; row < shape->seen.rows; row++)
		assert_true(plane_of(table, shape, port)[row] >= 32768 / 256 &&
		    plane_of(table, shape, port + 2)[row] < 2);
	pb_flow_table_close(table);
}

static void
rows_of_one_packet_stand_last_and_have_no_planes_for_it(void **state)
{
	const struct pb_flow_table_row *row;
	struct pb_flow_table *table;
	uint32_t many = 0, one = 0;

	(void)state;
	make_packets(20000, 9000, false);
	encode(20000);
	table = open_table();
	for (size_t i = 0; i < table->shapes; i++) {
		const struct shape *shape = &table->shape[i];

		assert_int_equal(pb_flow_table_rows(table, i, &row, NULL), 0);
		for (uint32_t k = 0; k < shape->seen.rows; k++)
			assert_int_equal(row[k].packets > 1, k < shape->many);
		assert_int_equal(shape->unknown.rows, shape->many);
		many += shape->many;
		one += shape->seen.rows - shape->many;
	}
	assert_true(many > 500 && one > 500);
	pb_flow_table_close(table);
}

static void
times_of_whole_microseconds_take_less(void **state)
{
	size_t with_ns;

	(void)state;
	make_packets(20000, 9000, false);
	packets[19999].time_ns = packets[19999].time_ns / 1000 * 1000 + 1;
	encode(20000);
	with_ns = bytes.len;
	for (uint32_t i = 0; i < count; i++)
		packets[i].time_ns -= packets[i].time_ns % 1000;
	encode(20000);
	assert_int_equal(pb_get_le32(bytes.data + HEAD_UNIT), 1000);
	assert_true(bytes.len < with_ns - 9000);
	make_packets(100, 40, false);
	for (uint32_t i = 0; i < count; i++)
		packets[i].time_ns -= packets[i].time_ns % 1000;
	encode(100);
	check_table();
}

static void
a_shape_of_turned_rows_has_columns_of_both_ends_or_of_none(void **state)
{
	struct pb_flow_table *table;
	uint8_t *record;
	size_t i;

	(void)state;
	make_packets(2000, 900, false);
	encode(2000);
	table = open_table();
	i = turned_shape(table);
	record = bytes.data + (table->directory - bytes.data) +
	    i * SHAPE_BYTES;
	assert_false(side_has(&table->shape[i].ones, 0) ||
	    side_has(&table->shape[i].unknown, 0));
	record[SHAPE_COLUMNS] |= 1;
	expect_none();
	record[SHAPE_COLUMNS] ^= 1;
	table_mend(bytes.data, bytes.len);
	pb_flow_table_close(table);
	pb_flow_table_close(open_table());
}

static void
runs_of_more_rows_than_there_can_be_and_no_unit_are_no_table(void **state)
{
	struct pb_flow_table *table;
	uint8_t *record;
	uint32_t rows;

	(void)state;
	make_packets(2000, 900, false);
	encode(2000);
	table = open_table();
	record = bytes.data + (table->directory - bytes.data);
	rows = pb_get_le32(record + SHAPE_ROWS);
	for (uint32_t run = 0; run < RUNS; run++) {
		uint8_t *at = record + SHAPE_ROWS + 4 * run;

		rows = pb_get_le32(at);
		pb_put_le32(at, rows + UINT32_MAX);
		expect_none();
		pb_put_le32(at, UINT32_MAX / 2);
		expect_none();
		pb_put_le32(at, rows);
	}
	pb_put_le32(bytes.data + HEAD_UNIT, 0);
	expect_none();
	pb_flow_table_close(table);
}

/* The first group of places: as many packets as none has, in more bits. */
static void
a_run_that_does_not_end_in_its_group_is_not_believed(void **state)
{
	struct pb_flow_table *table;
	uint8_t *group, *seen;
	size_t shape;

	(void)state;
	make_packets(60000, 900, false);
	encode(60000);
	seen = calloc(count, 1);
	for (unsigned i = 0; i < 3; i++) {
		table = open_table();
		shape = turned_shape(table);
		group = bytes.data +
		    table->piece[table->shape[shape].places + 1].at;
		pb_flow_table_close(table);
		memset(group, i == 0 ? 0xff : i == 1 ? 0x7f : 0x80, 5 + i);
		table_mend(bytes.data, bytes.len);
		table = open_table();
		assert_int_equal(pb_flow_table_put(table, shape, 0, seen, 1,
		    NULL), PB_EFORMAT);
		pb_flow_table_close(table);
	}
	free(seen);
}

static void
groups_that_overlap_are_read_no_more_than_twice(void **state)
{
	uint32_t groups = 0, raw = 0;
	struct pb_flow_table *table;
	uint8_t *seen, *head;
	size_t shape = 0;

	(void)state;
	make_packets(20000, 9000, false);
	encode(20000);
	table = open_table();
	for (size_t i = 0; i < table->shapes; i++)
		if (table->shape[i].seen.rows > table->shape[shape].seen.rows)
			shape = i;
	groups = (table->shape[shape].seen.rows + GROUP_ROWS - 1) / GROUP_ROWS;
	assert_true(groups > 50);
	raw = table->piece[table->shape[shape].places + 1].raw;
	head = bytes.data + table->piece[table->shape[shape].places].at;
	for (uint32_t i = 0; i < groups; i++)
		pb_put_le32(head + i * GROUP_BYTES + GROUP_AT, i % 2 == 0 ? 0 :
		    raw);
	pb_flow_table_close(table);
	table_mend(bytes.data, bytes.len);
	by_parts = true;
	table = open_table();
	by_parts = false;
	part_bytes = 0;
	seen = calloc(count, 1);
	for (uint32_t i = 0; i + 1 < groups; i += 2)
		assert_true(pb_flow_table_put(table, shape, i * GROUP_ROWS,
		    seen, 1, NULL) > 0);
	assert_in_range(part_bytes, raw, 2 * raw);
	free(seen);
	pb_flow_table_close(table);
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

/* Of a chunk without flows, which has so much. */
static void
of_the_rests_one_packet_only_bounds_are_known(void **state)
{
	const struct pb_flow_table_row *row;
	struct pb_flow_table *table;
	struct pb_flows *flows;

	(void)state;
	assert_int_equal(pb_flows_create(&flows, 1, 1, NULL), 0);
	assert_true(pb_flows_rest(flows, 1, 100, 7, 9, 0));
	pb_buf_finish(&bytes);
	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	assert_int_equal(pb_flow_table_encode(&bytes, flows, NULL), 0);
	pb_flows_destroy(flows);
	table = open_table();
	assert_int_equal(pb_flow_table_rows(table, 0, &row, NULL), 0);
	assert_int_equal(row->packets, 1);
	assert_int_equal(row->bytes, 100);
	assert_int_equal(row->first_time, 7);
	assert_int_equal(row->last_time, 9);
	assert_int_equal(row->caplen_min, 0);
	assert_int_equal(row->caplen_max, PB_CAPLEN_MAX);
	assert_int_equal(row->len_min, 0);
	assert_int_equal(row->len_max, UINT32_MAX);
	pb_flow_table_close(table);
}

/* Method: once each of what is asked of the system fails. */
static void
without_memory_there_is_no_table_and_no_half_of_one(void **state)
{
	struct pb_flows *flows;
	struct pb_buf out;
	unsigned failed = 0;
	int rc = -1;

	(void)state;
	not_under_valgrind(VALGRIND_MEMORY);
	make_packets(3000, 3000, false);
	encode(3000);
	flows = flows_of(3000);
	for (unsigned i = 1; rc < 0; i++) {
		pb_buf_init(&out, PB_FLOW_TABLE_BYTES_MAX);
		fails_in = i;
		rc = pb_flow_table_encode(&out, flows, NULL);
		fails_in = 0;
		if (rc == 0) {
			assert_int_equal(out.len, bytes.len);
			assert_memory_equal(out.data, bytes.data, bytes.len);
		}
		failed += rc < 0;
		pb_buf_finish(&out);
	}
	assert_in_range(failed, 10, 1000);
	pb_flows_destroy(flows);
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

struct size {
	double		 each;		/* all in, bytes a packet */
	double		 percent;	/* of the data */
};

static struct size
size_of(uint32_t packets_wanted, uint32_t talks, bool small)
{
	struct size size;
	double wire = 0;

	make_packets(packets_wanted, talks, small);
	encode(64u << 10);
	for (uint32_t i = 0; i < count; i++)
		wire += packets[i].len;
	size.each = (double)bytes.len / count;
	size.percent = 100 * (double)bytes.len / wire;
	print_message("%u packets of %.0f bytes: a table of %zu bytes, %.2f a "
	    "packet, %.2f %%\n", count, wire / count, bytes.len, size.each,
	    size.percent);
	return size;
}

static void
a_table_takes_four_and_a_half_bytes_a_packet_or_fewer(void **state)
{
	(void)state;
	assert_true(size_of(100000, 3500, false).each <= 4.5);
}

static void
a_table_of_packets_of_100_bytes_takes_less_than_4_percent(void **state)
{
	(void)state;
	assert_true(size_of(450000, 6000, true).percent < 3.25);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    memory_that_is_kept_from_one_to_the_next_changes_nothing),
		cmocka_unit_test(
		    each_packet_is_in_one_row_and_all_the_row_says_is_true_of_it),
		cmocka_unit_test(of_one_row_among_many_few_bytes_are_read),
		cmocka_unit_test(
		    what_rots_is_not_believed_whichever_part_is_read),
		cmocka_unit_test(
		    shapes_have_all_packets_of_a_table_and_places_of_their_own),
		cmocka_unit_test(
		    who_answers_stands_in_one_column_whoever_sends),
		cmocka_unit_test(
		    rows_of_one_packet_stand_last_and_have_no_planes_for_it),
		cmocka_unit_test(times_of_whole_microseconds_take_less),
		cmocka_unit_test(
		    a_shape_of_turned_rows_has_columns_of_both_ends_or_of_none),
		cmocka_unit_test(
		    runs_of_more_rows_than_there_can_be_and_no_unit_are_no_table),
		cmocka_unit_test(
		    a_run_that_does_not_end_in_its_group_is_not_believed),
		cmocka_unit_test(
		    groups_that_overlap_are_read_no_more_than_twice),
		cmocka_unit_test(
		    packets_of_too_many_flows_are_the_rest_of_which_nothing_is_known),
		cmocka_unit_test(of_the_rests_one_packet_only_bounds_are_known),
		cmocka_unit_test(
		    without_memory_there_is_no_table_and_no_half_of_one),
		cmocka_unit_test(what_is_no_packet_of_ours_has_a_row_as_well),
		cmocka_unit_test(more_shapes_than_a_table_has_are_the_rest),
		cmocka_unit_test(
		    a_table_takes_four_and_a_half_bytes_a_packet_or_fewer),
		cmocka_unit_test(
		    a_table_of_packets_of_100_bytes_takes_less_than_4_percent),
	};
	int failed;

	if (pb_flow_table_room_create(&room, NULL) < 0)
		return 1;
	failed = cmocka_run_group_tests_name("table", tests, NULL, NULL);
	pb_flow_table_room_destroy(room);
	pb_buf_finish(&bytes);
	free(packets);
	return failed;
}
