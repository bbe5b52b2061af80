/*
 * recorder/query/ask_inner.c - rows of a shape asked at every depth of tags
 */
#include "recorder/query/ask_inner.h"

#include "recorder/filter/rows.h"

/* What is known of a row, byte by byte of its shape's columns. */
struct known {
	uint8_t		 ones[PB_FLOW_BYTES], unknown[PB_FLOW_BYTES];
	struct pb_alike	 alike;
};

static void	known_of(struct known *, const struct pb_flow_table_column *,
		    const struct pb_flow_table_row *, uint32_t);

int
pb_ask_inner(const struct pb_inner *inner, struct pb_flow_table *table,
    size_t shape, uint8_t *verdict, struct pb_err *err)
{
	uint32_t rows = pb_flow_table_shape(table, shape)->rows;
	struct pb_flow_table_column column[PB_FLOW_BYTES];
	uint64_t steps = PB_ROWS_STEPS(rows);
	const struct pb_flow_table_row *row;
	struct known known;
	int rc = pb_flow_table_rows(table, shape, &row, err);

	for (uint32_t at = 0; at < PB_FLOW_BYTES && rc == 0; at++)
		rc = pb_flow_table_column(table, shape, at, &column[at], err);
	for (uint32_t i = 0; i < rows && rc == 0; i++) {
		known_of(&known, column, &row[i], i);
		verdict[i] = (uint8_t)pb_inner_verdict_within(inner,
		    &known.alike, &steps);
	}
	return rc;
}

static void
known_of(struct known *out, const struct pb_flow_table_column *column,
    const struct pb_flow_table_row *row, uint32_t i)
{
	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++) {
		out->ones[at] = column[at].ones[i * column[at].stride];
		out->unknown[at] = column[at].unknown[i * column[at].stride];
	}
	out->alike = (struct pb_alike){
		.ones = out->ones,
		.unknown = out->unknown,
		.bytes = PB_FLOW_BYTES,
		.caplen_min = row->caplen_min,
		.caplen_max = row->caplen_max,
		.len_min = row->len_min,
		.len_max = row->len_max,
	};
}
