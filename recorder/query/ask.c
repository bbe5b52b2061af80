/*
 * recorder/query/ask.c - a filter asked about the flows of a table
 */
#include "recorder/query/ask.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/filter/rows.h"
#include "recorder/query/ask_inner.h"

/* How a row's times lie to those that are asked for. */
enum time { OUTSIDE, ACROSS, INSIDE };

/* Where the columns of a shape come from. */
struct columns {
	struct pb_flow_table	*table;
	size_t		 shape;
	struct pb_err	*err;
	int		 rc;		/* of the first that is rotten */
};

static int	ask_shape(const struct pb_ask *, struct pb_flow_table *, size_t,
		    struct pb_answer *, struct pb_err *);
static enum pb_verdict shape_verdict(const struct pb_ask *,
		    const struct pb_flow_table_shape *);
static int	ask_rows(const struct pb_ask *, struct pb_flow_table *, size_t,
		    const struct pb_flow_table_row *, uint8_t *,
		    struct pb_err *);
static int	put_rows(const struct pb_ask *, struct pb_flow_table *, size_t,
		    const struct pb_flow_table_row *, const uint8_t *,
		    struct pb_answer *, struct pb_err *);
static int	filter_rows(const struct pb_ask *, struct pb_flow_table *,
		    size_t, const struct pb_flow_table_row *, uint8_t *,
		    struct pb_err *);
static bool	column(void *, uint32_t, struct pb_column *);
static enum time time_of(const struct pb_ask *,
		    const struct pb_flow_table_row *);

int
pb_ask_table(const struct pb_ask *ask, struct pb_flow_table *table,
    struct pb_answer *out, struct pb_err *err)
{
	size_t shapes = pb_flow_table_shapes(table);
	int rc = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < shapes && rc == 0; i++)
		rc = ask_shape(ask, table, i, out, err);
	if (rc == 0 && out->none + out->put != pb_flow_table_packets(table))
		rc = pb_err_set(err, PB_EFORMAT, "the flow table leaves "
		    "packets out");
	return rc;
}

static int
ask_shape(const struct pb_ask *ask, struct pb_flow_table *table, size_t i,
    struct pb_answer *out, struct pb_err *err)
{
	const struct pb_flow_table_shape *shape = pb_flow_table_shape(table, i);
	const struct pb_flow_table_row *row;
	uint8_t *verdict;
	int rc;

	if (shape->rows > PB_ASK_ROWS_MAX)
		return pb_err_set(err, PB_EFORMAT, "the flow table has too "
		    "many rows");
	if (!shape->rest && shape_verdict(ask, shape) == PB_VERDICT_NONE) {
		out->none += shape->packets;
		return 0;
	}
	verdict = malloc(shape->rows + 1u);
	if (verdict == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a flow table");
	rc = pb_flow_table_rows(table, i, &row, err);
	if (rc == 0)
		rc = ask_rows(ask, table, i, row, verdict, err);
	if (rc == 0 && ask->sure != NULL)
		rc = ask->sure(ask->arg, table, i, row, verdict,
		    &out->counted, err);
	if (rc == 0)
		rc = put_rows(ask, table, i, row, verdict, out, err);
	free(verdict);
	return rc;
}

static enum pb_verdict
shape_verdict(const struct pb_ask *ask, const struct pb_flow_table_shape *shape)
{
	const struct pb_inner *inner = pb_question_inner(ask->question,
	    &shape->alike);

	if (inner != NULL)
		return pb_inner_verdict(inner, &shape->alike);
	return pb_filter_verdict(pb_question_filter(ask->question,
	    &shape->key, PB_FLOW_SHAPE_BYTES, &shape->alike), &shape->alike);
}

int
pb_ask_count(void *arg, struct pb_flow_table *table, size_t shape,
    const struct pb_flow_table_row *row, uint8_t *verdict, uint64_t *counted,
    struct pb_err *err)
{
	uint32_t rows = pb_flow_table_shape(table, shape)->rows;

	(void)arg;
	(void)err;
	for (uint32_t i = 0; i < rows; i++)
		if (verdict[i] == PB_VERDICT_ALL) {
			verdict[i] = PB_VERDICT_NONE;
			*counted += row[i].packets;
		}
	return 0;
}

/* verdict[i] of row i: PB_VERDICT_ALL only where its times lie inside. */
static int
ask_rows(const struct pb_ask *ask, struct pb_flow_table *table, size_t shape,
    const struct pb_flow_table_row *row, uint8_t *verdict, struct pb_err *err)
{
	const struct pb_flow_table_shape *s = pb_flow_table_shape(table, shape);
	int rc;

	/* Nothing is known of the rest, its times included. */
	memset(verdict, PB_VERDICT_EACH, s->rows);
	if (s->rest)
		return 0;
	rc = filter_rows(ask, table, shape, row, verdict, err);
	for (uint32_t i = 0; i < s->rows && rc == 0; i++)
		switch (time_of(ask, &row[i])) {
		case OUTSIDE:
			verdict[i] = PB_VERDICT_NONE;
			break;
		case ACROSS:
			/* The filter is asked again of what it takes all of:
			 * these are few. */
			verdict[i] |= PB_VERDICT_NONE;
			break;
		case INSIDE:
			break;
		}
	return rc;
}

static int
put_rows(const struct pb_ask *ask, struct pb_flow_table *table, size_t shape,
    const struct pb_flow_table_row *row, const uint8_t *verdict,
    struct pb_answer *out, struct pb_err *err)
{
	uint32_t rows = pb_flow_table_shape(table, shape)->rows;
	int rc = 0;

	for (uint32_t i = 0; i < rows && rc >= 0; i++) {
		if (verdict[i] == PB_VERDICT_NONE) {
			out->none += row[i].packets;
			continue;
		}
		out->put += row[i].packets;
		if (verdict[i] == PB_VERDICT_EACH)
			out->each += row[i].packets;
		rc = pb_flow_table_put(table, shape, i, ask->of_packet,
		    verdict[i], err);
	}
	return rc < 0 ? rc : 0;
}

static int
filter_rows(const struct pb_ask *ask, struct pb_flow_table *table, size_t shape,
    const struct pb_flow_table_row *row, uint8_t *verdict, struct pb_err *err)
{
	const struct pb_flow_table_shape *s = pb_flow_table_shape(table, shape);
	const struct pb_inner *inner = pb_question_inner(ask->question,
	    &s->alike);
	struct columns columns = { .table = table, .shape = shape,
	    .err = err };
	struct pb_row_set rows = {
		.rows = s->rows,
		.column = column,
		.arg = &columns,
		.lengths_stride = sizeof(*row),
	};

	static_assert(offsetof(struct pb_flow_table_row, caplen_max) -
	    offsetof(struct pb_flow_table_row, caplen_min) ==
	    offsetof(struct pb_lengths, caplen_max) &&
	    offsetof(struct pb_flow_table_row, len_min) -
	    offsetof(struct pb_flow_table_row, caplen_min) ==
	    offsetof(struct pb_lengths, len_min) &&
	    offsetof(struct pb_flow_table_row, len_max) -
	    offsetof(struct pb_flow_table_row, caplen_min) ==
	    offsetof(struct pb_lengths, len_max), "a row has its lengths in "
	    "the order that rows are asked by");
	if (inner != NULL)
		return pb_ask_inner(inner, table, shape, row, verdict, err);
	rows.lengths = (const struct pb_lengths *)(const void *)
	    &row->caplen_min;
	pb_row_set_verdict(verdict, pb_question_filter(ask->question, &s->key,
	    PB_FLOW_SHAPE_BYTES, &s->alike), &rows);
	return columns.rc;
}

static bool
column(void *arg, uint32_t at, struct pb_column *out)
{
	struct columns *columns = arg;
	struct pb_flow_table_column got;
	int rc;

	if (columns->rc < 0)
		return false;
	rc = pb_flow_table_column(columns->table, columns->shape, at, &got,
	    columns->err);
	if (rc < 0)
		columns->rc = rc;
	out->ones = got.ones;
	out->unknown = got.unknown;
	out->stride = got.stride;
	return rc == 0;
}

static enum time
time_of(const struct pb_ask *ask, const struct pb_flow_table_row *row)
{
	if (row->last_time < ask->after_ns ||
	    row->first_time >= ask->before_ns)
		return OUTSIDE;
	return row->first_time >= ask->after_ns &&
	    row->last_time < ask->before_ns ? INSIDE : ACROSS;
}
