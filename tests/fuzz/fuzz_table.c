/*
 * tests/fuzz/fuzz_table.c - any bytes as a flow table, or as packets of one
 *
 * Byte 0 even: the rest is a table, whose digests are made right as far as its
 * directory is not packed; whatever it says, all that can be asked of it is
 * asked, of the bytes in memory and of parts that are read one by one, and both
 * say the same.
 * Byte 0 odd: packets, each a byte of length (7 bits; the eighth repeats the
 * last packet's first bytes) and its bytes; their table has each in one row.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/table_mend.h"

#define PACKETS_MAX	4096u
#define FLOWS_MAX	64u
#define PACKET_BYTES	127u
#define ROWS_ASKED_MAX	4096u

struct source {
	const uint8_t	*data;
	size_t		 size;
};

/* --- a table of any bytes ------------------------------------------------- */

static int
read_part(void *arg, uint64_t at, void *out, size_t len, struct pb_err *err)
{
	const struct source *source = arg;

	(void)err;
	MUST(at <= source->size && len <= source->size - at);
	memcpy(out, source->data + at, len);
	return 0;
}

/* A row that has it is not passed over. */
static void
find_row(struct pb_flow_table *table, size_t shape, uint32_t at, uint32_t row,
    uint8_t value)
{
	uint32_t found = row / 8 * 8;

	MUST(pb_flow_table_column_find(table, shape, at, value, &found,
	    NULL) == 0);
	MUST(found >= row / 8 * 8 && found <= row);
}

static uint64_t
ask_columns(struct pb_flow_table *table, size_t shape, uint64_t sum)
{
	const struct pb_flow_table_shape *its = pb_flow_table_shape(table,
	    shape);

	for (uint32_t at = 0; at < PB_FLOW_BYTES + 2; at++) {
		struct pb_flow_table_column c;
		int rc = pb_flow_table_column(table, shape, at, &c, NULL);

		MUST(rc == 0 || rc == PB_EFORMAT);
		for (size_t row = 0; rc == 0 && row < its->rows; row++) {
			MUST((c.ones[row * c.stride] &
			    c.unknown[row * c.stride]) == 0);
			sum = sum * 31 + c.ones[row * c.stride];
			if (row % 64 == at % 64)
				find_row(table, shape, at, (uint32_t)row,
				    c.ones[row * c.stride]);
		}
		sum = sum * 31 + (rc == 0);
	}
	return sum;
}

static uint64_t
ask_rows(struct pb_flow_table *table, size_t shape, uint64_t sum)
{
	const struct pb_flow_table_shape *its = pb_flow_table_shape(table,
	    shape);
	const struct pb_flow_table_row *row;
	int rc = pb_flow_table_rows(table, shape, &row, NULL);

	MUST(rc == 0 || rc == PB_EFORMAT);
	for (uint32_t i = 0; rc == 0 && i < its->rows; i++) {
		MUST(row[i].caplen_min <= row[i].caplen_max);
		MUST(row[i].len_min <= row[i].len_max);
		MUST(row[i].first_time <= row[i].last_time);
		sum = sum * 31 + row[i].packets;
	}
	return sum * 31 + (rc == 0);
}

static uint64_t
ask_places(struct pb_flow_table *table, size_t shape, uint8_t *seen, uint64_t
    sum)
{
	uint32_t rows = pb_flow_table_shape(table, shape)->rows;

	for (uint32_t row = 0; row < rows && row < ROWS_ASKED_MAX; row++) {
		int rc = pb_flow_table_put(table, shape, row, seen, 1, NULL);

		MUST(rc >= 0 || rc == PB_EFORMAT);
		sum = sum * 31 + (uint64_t)rc;
	}
	return sum;
}

/* Something of all that it says. */
static uint64_t
ask_all(struct pb_flow_table *table)
{
	uint32_t packets = pb_flow_table_packets(table);
	struct pb_flow_table_span span;
	uint8_t *seen = calloc(packets + 1, 1);
	uint64_t sum = packets;

	MUST(seen != NULL);
	for (size_t i = 0; i < pb_flow_table_shapes(table); i++) {
		const struct pb_alike *all = &pb_flow_table_shape(table,
		    i)->alike;

		MUST(all->caplen_min <= all->caplen_max);
		MUST(all->len_min <= all->len_max);
		sum = ask_columns(table, i, sum);
		sum = ask_rows(table, i, sum);
		sum = ask_places(table, i, seen, sum);
	}
	MUST(seen[packets] == 0);
	for (uint32_t i = 0; i < packets; i += 1 + packets / 1000) {
		int rc = pb_flow_table_span(table, i, &span, NULL);

		MUST(rc == PB_EFORMAT || (rc == 0 && span.first <= i &&
		    span.next > i));
		sum = sum * 31 + (rc == 0 ? span.from : 1) + seen[i];
	}
	free(seen);
	return sum;
}

static void
take_table(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + (size == 0));
	struct source source = { copy, size };
	struct pb_flow_table *table, *parts;
	int rc;

	MUST(copy != NULL);
	memcpy(copy, data, size);
	table_mend(copy, size);
	rc = pb_flow_table_open(&table, copy, size, NULL);
	MUST(rc == 0 || rc == PB_EFORMAT);
	MUST(pb_flow_table_open_at(&parts, NULL, read_part, &source, size,
	    NULL) == rc);
	if (rc == 0) {
		MUST(ask_all(table) == ask_all(parts));
		pb_flow_table_close(table);
		pb_flow_table_close(parts);
	}
	free(copy);
}

/* --- a table of any packets ----------------------------------------------- */

static uint32_t
take_packets(struct pb_flows *flows, const uint8_t *data, size_t size)
{
	uint8_t packet[PACKET_BYTES + PB_FLOW_BEHIND] = { 0 };
	uint32_t packets = 0;

	while (size > 1 && packets < PACKETS_MAX) {
		uint32_t len = data[0] & 0x7f;
		uint32_t keep = (data[0] & 0x80) != 0 ? len / 2 : 0;

		if (len - keep > size - 1)
			break;
		memcpy(packet + keep, data + 1, len - keep);
		data += 1 + len - keep;
		size -= 1 + len - keep;
		MUST(pb_flows_packet(flows, 100 * packets, packet[0] % 3 == 0 ?
		    101 : 1, packet, len, len + len % 7, packets));
		packets++;
	}
	return packets;
}

static void
each_once(struct pb_flow_table *table, uint32_t packets)
{
	uint8_t *seen = calloc(packets + 1, 1);

	MUST(seen != NULL);
	for (size_t i = 0; i < pb_flow_table_shapes(table); i++) {
		const struct pb_flow_table_row *row;
		uint32_t rows = pb_flow_table_shape(table, i)->rows;

		MUST(pb_flow_table_rows(table, i, &row, NULL) == 0);
		for (uint32_t r = 0; r < rows; r++) {
			uint64_t its = 0;

			MUST(pb_flow_table_put(table, i, r, seen, 1, NULL) ==
			    (int)row[r].packets);
			for (uint32_t p = 0; p < packets; p++) {
				MUST(seen[p] != 3);
				its += seen[p] == 1;
				seen[p] = seen[p] == 0 ? 0 : 2;
			}
			MUST(its == row[r].packets);
		}
	}
	for (uint32_t p = 0; p < packets; p++)
		MUST(seen[p] == 2);
	free(seen);
}

static void
make_table(const uint8_t *data, size_t size)
{
	struct pb_flow_table *table;
	struct pb_flows *flows;
	struct pb_buf bytes;
	uint32_t packets;

	MUST(pb_flows_create(&flows, FLOWS_MAX, PACKETS_MAX, NULL) == 0);
	packets = take_packets(flows, data, size);
	pb_buf_init(&bytes, PB_FLOW_TABLE_BYTES_MAX);
	MUST(pb_flow_table_encode(&bytes, flows, NULL) == 0);
	MUST(pb_flow_table_open(&table, bytes.data, bytes.len, NULL) == 0);
	MUST(pb_flow_table_packets(table) == packets);
	ask_all(table);
	each_once(table, packets);
	pb_flow_table_close(table);
	pb_buf_finish(&bytes);
	pb_flows_destroy(flows);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2 == 0)
		take_table(data + 1, size - 1);
	else
		make_table(data + 1, size - 1);
	return 0;
}
