/*
 * tests/unit/test_table_python.c - flow tables, as a second reader has them
 *
 * Method: tables of made up traffic and of public captures (PB_CAPTURES,
 * default ../shared/captures).  What ours reads of them is written down, and
 * held against what tests/flowread.py prints, which was written from
 * docs/index.md in another language.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "pcapng/reader.h"
#include "recorder/flow/table.h"
#include "tests/unit/mixed_traffic.h"
#include "tests/unit/temp.h"

#define FILE_BYTES_MAX	(8u << 20)
#define PACKETS_MAX	200000u

static char dir[TEMP_NAME_MAX];
static struct pb_flows *flows;

static int
make_dir(void **state)
{
	(void)state;
	temp_make(dir, "table");
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	temp_remove(dir);
	return 0;
}

static FILE *
open_in_dir(const char *name)
{
	char path[TEMP_NAME_MAX + 16];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	return file;
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

static void
make_flows(uint32_t flows_max)
{
	assert_int_equal(pb_flows_create(&flows, flows_max, PACKETS_MAX,
	    NULL), 0);
}

/* --- what ours says ------------------------------------------------------- */

static void
hex(FILE *out, const uint8_t *data)
{
	for (size_t i = 0; i < PB_FLOW_BYTES; i++)
		fprintf(out, "%02x", data[i]);
}

static void
known(FILE *out, struct pb_flow_table *table, size_t shape, uint32_t row)
{
	uint8_t ones[PB_FLOW_BYTES], unknown[PB_FLOW_BYTES];

	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++) {
		struct pb_flow_table_column column;

		assert_int_equal(pb_flow_table_column(table, shape, at, &column,
		    NULL), 0);
		ones[at] = column.ones[row * column.stride];
		unknown[at] = column.unknown[row * column.stride];
	}
	fprintf(out, "known ");
	hex(out, ones);
	fprintf(out, " ");
	hex(out, unknown);
	fprintf(out, "\n");
}

static void
write_row(FILE *out, struct pb_flow_table *table, size_t shape, uint32_t row,
    uint8_t *seen)
{
	const struct pb_flow_table_row *its;

	assert_int_equal(pb_flow_table_rows(table, shape, &its, NULL), 0);
	its += row;
	fprintf(out, "row %llu %llu %llu %llu %u %u %u %u\n",
	    (unsigned long long)its->packets, (unsigned long long)its->bytes,
	    (unsigned long long)its->first_time,
	    (unsigned long long)its->last_time, its->caplen_min,
	    its->caplen_max, its->len_min, its->len_max);
	known(out, table, shape, row);
	assert_int_equal(pb_flow_table_put(table, shape, row, seen, 1, NULL),
	    its->packets);
	fprintf(out, "packets");
	for (uint32_t i = 0; i < pb_flow_table_packets(table); i++) {
		if ((seen[i] & 1) != 0)
			fprintf(out, " %u", i);
		seen[i] = 0;
	}
	fprintf(out, "\n");
}

static void
write_shape(FILE *out, struct pb_flow_table *table, size_t shape, uint8_t *seen)
{
	const struct pb_flow_table_shape *its = pb_flow_table_shape(table,
	    shape);
	const struct pb_flow_key *key = &its->key;
	const struct pb_alike *all = &its->alike;

	fprintf(out, "shape %u %u %u %u %u %u rest %d rows %u packets %llu "
	    "bytes %llu lengths %u %u %u %u\n", key->linktype, key->ethertype,
	    key->network, key->transport, key->protocol, key->bits, its->rest,
	    its->rows, (unsigned long long)its->packets,
	    (unsigned long long)its->bytes, all->caplen_min, all->caplen_max,
	    all->len_min, all->len_max);
	fprintf(out, "all ");
	hex(out, all->ones);
	fprintf(out, " ");
	hex(out, all->unknown);
	fprintf(out, "\n");
	for (uint32_t row = 0; row < its->rows; row++)
		write_row(out, table, shape, row, seen);
}

static void
write_down(FILE *out, struct pb_flow_table *table)
{
	uint8_t *seen = calloc(pb_flow_table_packets(table) + 1, 1);
	struct pb_flow_table_span span;

	fprintf(out, "table %u packets\n", pb_flow_table_packets(table));
	for (size_t shape = 0; shape < pb_flow_table_shapes(table); shape++)
		write_shape(out, table, shape, seen);
	for (uint32_t i = 0; i < pb_flow_table_packets(table); i = span.next) {
		assert_int_equal(pb_flow_table_span(table, i, &span, NULL), 0);
		fprintf(out, "mark %u %u\n", span.first, span.from);
	}
	free(seen);
}

/* The table of the flows, read by both; the flows are done with. */
static void
both_say_the_same(void)
{
	struct pb_flow_table *table;
	struct pb_buf bytes;
	FILE *file;

	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	assert_int_equal(pb_flow_table_encode(&bytes, flows, NULL), 0);
	file = open_in_dir("table");
	assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
	fclose(file);
	assert_int_equal(pb_flow_table_open(&table, bytes.data, bytes.len,
	    NULL), 0);
	file = open_in_dir("ours");
	write_down(file, table);
	fclose(file);
	pb_flow_table_close(table);
	pb_buf_finish(&bytes);
	pb_flows_destroy(flows);
	shell("python3 -B tests/flowread.py %s/table >%s/theirs && "
	    "cmp %s/ours %s/theirs", dir, dir, dir, dir);
}

/* --- captures ------------------------------------------------------------- */

static bool
is_capture(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL && (strcmp(dot, ".pcap") == 0 ||
	    strcmp(dot, ".pcapng") == 0 || strcmp(dot, ".ntar") == 0);
}

static void
take(const uint8_t *data, size_t len)
{
	static uint16_t linktype[PB_INTERFACES_MAX];
	struct pb_reader *reader;
	struct pb_event event;
	size_t at = 0, used;

	assert_int_equal(pb_reader_create(&reader, NULL), 0);
	while (pb_reader_next(reader, data + at, len - at, true, &used,
	    &event, NULL) == PB_READ_EVENT) {
		const struct pb_packet *packet = &event.packet;

		if (event.kind == PB_EVENT_INTERFACE)
			linktype[event.interface] = event.linktype;
		if (event.kind == PB_EVENT_PACKET)
			pb_flows_packet(flows, (uint32_t)event.offset,
			    linktype[event.interface], packet->data,
			    packet->caplen, packet->origlen, packet->time_ns);
		at += used;
	}
	pb_reader_destroy(reader);
}

static int
take_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t len = (size_t)st->st_size;
	uint8_t *data;
	FILE *file;

	(void)ftw;
	if (type != FTW_F || !is_capture(path) || len > FILE_BYTES_MAX)
		return 0;
	data = calloc(len + PB_FLOW_BEHIND, 1);
	file = fopen(path, "rb");
	assert_non_null(data);
	assert_non_null(file);
	assert_int_equal(fread(data, 1, len, file), len);
	fclose(file);
	take(data, len);
	free(data);
	return 0;
}

static void
tables_of_captures_are_read_alike(void **state)
{
	const char *folder = getenv("PB_CAPTURES");

	(void)state;
	if (folder == NULL || folder[0] == '\0')
		folder = "../shared/captures";
	make_flows(10000);
	nftw(folder, take_file, 16, FTW_PHYS);
	if (flows->packets == 0) {
		pb_flows_destroy(flows);
		print_message("skipped: no captures in %s; PB_CAPTURES "
		    "names their folder\n", folder);
		skip();
	}
	both_say_the_same();
}

static void
take_mixed(uint32_t packets, uint32_t talks, bool small)
{
	struct mixed_packet packet;
	struct mixed mixed;

	mixed_init(&mixed, talks, small, 5);
	while (packets-- > 0) {
		mixed_next(&mixed, &packet);
		pb_flows_packet(flows, packet.at, PB_LINKTYPE_ETHERNET,
		    packet.data, packet.caplen, packet.len, packet.time_ns);
	}
	mixed_finish(&mixed);
}

static void
tables_of_mixed_traffic_are_read_alike(void **state)
{
	(void)state;
	make_flows(10000);
	take_mixed(20000, 1500, false);
	both_say_the_same();
}

static void
a_table_with_a_rest_is_read_alike(void **state)
{
	(void)state;
	make_flows(100);
	take_mixed(3000, 1500, true);
	both_say_the_same();
}

static void
a_table_of_no_packets_is_read_alike(void **state)
{
	(void)state;
	make_flows(1);
	both_say_the_same();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(tables_of_captures_are_read_alike),
		IN_DIR(tables_of_mixed_traffic_are_read_alike),
		IN_DIR(a_table_with_a_rest_is_read_alike),
		IN_DIR(a_table_of_no_packets_is_read_alike),
	};

	return cmocka_run_group_tests_name("table_python", tests, NULL, NULL);
}
