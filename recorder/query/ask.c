/*
 * recorder/query/ask.c - a filter asked about the flows of a table
 */
#include "recorder/query/ask.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/filter/rows.h"
#include "recorder/flow/lane.h"
#include "recorder/query/ask_inner.h"

/* Of a shape with so many rows one may be left to a look at its packets, and
 * these be so many: to read what tells of all rows costs more. */
#define ROWS_A_SPARE	4096u
#define PACKETS_A_SPARE	8u

/* How a row's times lie to those that are asked for. */
enum time { OUTSIDE, ACROSS, INSIDE };

/* Where what is known of a shape's rows comes from. */
struct source {
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
		    uint8_t *, struct pb_err *);
static int	ask_times(const struct pb_ask *, struct pb_flow_table *, size_t,
		    uint8_t *, struct pb_err *);
static int	put_rows(const struct pb_ask *, struct pb_flow_table *, size_t,
		    const uint8_t *, struct pb_answer *, struct pb_err *);
static uint32_t	next_put(const uint8_t *, uint32_t, uint32_t);
static int	filter_rows(const struct pb_ask *, struct pb_flow_table *,
		    size_t, uint8_t *, struct pb_err *);
static bool	few_packets(struct source *, const uint8_t *, uint32_t);
static bool	column(void *, uint32_t, size_t, size_t, uint8_t *,
		    struct pb_column *);
static uint32_t	weight(void *, uint32_t);
static size_t	find(void *, uint32_t, uint8_t, size_t);
static const struct pb_lengths *lengths(void *);
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
	return rc;
}

static int
ask_shape(const struct pb_ask *ask, struct pb_flow_table *table, size_t i,
    struct pb_answer *out, struct pb_err *err)
{
	const struct pb_flow_table_shape *shape = pb_flow_table_shape(table, i);
	enum pb_verdict all = shape->rest ? PB_VERDICT_EACH :
	    shape_verdict(ask, shape);
	uint8_t *verdict;
	int rc = 0;

	if (all == PB_VERDICT_NONE)
		return 0;
	verdict = malloc(shape->rows + 1u);
	if (verdict == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a flow table");
	memset(verdict, all, shape->rows);
	/* Nothing is known of the rest, its times included. */
	if (!shape->rest)
		rc = ask_rows(ask, table, i, verdict, err);
	if (rc == 0 && ask->sure != NULL && memchr(verdict, PB_VERDICT_ALL,
	    shape->rows) != NULL)
		rc = ask->sure(ask->arg, table, i, verdict, &out->counted,
		    err);
	if (rc == 0)
		rc = put_rows(ask, table, i, verdict, out, err);
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
    uint8_t *verdict, uint64_t *counted, struct pb_err *err)
{
	uint32_t rows = pb_flow_table_shape(table, shape)->rows, i = 0;
	uint64_t packets;
	int rc = pb_flow_table_packets_of(table, shape, verdict,
	    PB_VERDICT_ALL, &packets, err);

	(void)arg;
	if (rc < 0)
		return rc;
	*counted += packets;
	for (; i + PB_LANE <= rows; i += PB_LANE) {
		pb_lane *now = (pb_lane *)(verdict + i);
		pb_lane its = (pb_lane)(*now == PB_VERDICT_ALL);

		*now = (*now & ~its) | (its & PB_VERDICT_NONE);
	}
	for (; i < rows; i++)
		if (verdict[i] == PB_VERDICT_ALL)
			verdict[i] = PB_VERDICT_NONE;
	return 0;
}

/* verdict[i] of row i, which is that of all rows at first: PB_VERDICT_ALL only
 * where its times lie inside. */
static int
ask_rows(const struct pb_ask *ask, struct pb_flow_table *table, size_t shape,
    uint8_t *verdict, struct pb_err *err)
{
	int rc = 0;

	if (verdict[0] != PB_VERDICT_ALL)
		rc = filter_rows(ask, table, shape, verdict, err);
	if (rc == 0 && (ask->after_ns != 0 || ask->before_ns != UINT64_MAX))
		rc = ask_times(ask, table, shape, verdict, err);
	return rc;
}

static int
ask_times(const struct pb_ask *ask, struct pb_flow_table *table, size_t shape,
    uint8_t *verdict, struct pb_err *err)
{
	uint32_t rows = pb_flow_table_shape(table, shape)->rows;
	const struct pb_flow_table_row *row;
	int rc;

	if (next_put(verdict, 0, rows) == rows)
		return 0;
	rc = pb_flow_table_rows(table, shape, &row, err);
	for (uint32_t i = 0; i < rows && rc == 0; i++)
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
    const uint8_t *verdict, struct pb_answer *out, struct pb_err *err)
{
	const struct pb_flow_table_shape *its = pb_flow_table_shape(table,
	    shape);
	uint64_t put = 0;

	for (uint32_t i = next_put(verdict, 0, its->rows); i < its->rows;
	    i = next_put(verdict, i + 1, its->rows)) {
		int packets = pb_flow_table_put(table, shape, i, ask->of_packet,
		    verdict[i], err);

		if (packets < 0)
			return packets;
		put += (uint64_t)packets;
		if (put > its->packets)
			return pb_err_set(err, PB_EFORMAT, "the flow table "
			    "has more packets in rows than in their shape");
		if (verdict[i] == PB_VERDICT_EACH)
			out->each += (uint64_t)packets;
	}
	out->put += put;
	return 0;
}

/* The first row from `i` on that is not PB_VERDICT_NONE; or `rows`. */
static uint32_t
next_put(const uint8_t *verdict, uint32_t i, uint32_t rows)
{
	uint64_t eight, none;

	memset(&none, PB_VERDICT_NONE, sizeof(none));
	for (; i < rows; i++) {
		while (i + sizeof(eight) <= rows && (memcpy(&eight,
		    verdict + i, sizeof(eight)), eight == none))
			i += sizeof(eight);
		if (i < rows && verdict[i] != PB_VERDICT_NONE)
			break;
	}
	return i < rows ? i : rows;
}

static int
filter_rows(const struct pb_ask *ask, struct pb_flow_table *table, size_t shape,
    uint8_t *verdict, struct pb_err *err)
{
	const struct pb_flow_table_shape *s = pb_flow_table_shape(table, shape);
	const struct pb_inner *inner = pb_question_inner(ask->question,
	    &s->alike);
	struct source source = { .table = table, .shape = shape, .err = err };
	struct pb_row_set rows = {
		.rows = s->rows,
		.column = column,
		.weight = weight,
		.find = find,
		.lengths = lengths,
		.arg = &source,
		.lengths_stride = sizeof(struct pb_flow_table_row),
		.caplen_min = s->alike.caplen_min,
		.spare = ask->sure != NULL ? 0 : s->rows / ROWS_A_SPARE,
	};
	const struct pb_filter *filter;

	if (inner != NULL)
		return pb_ask_inner(inner, table, shape, verdict, err);
	filter = pb_question_filter(ask->question, &s->key,
	    PB_FLOW_SHAPE_BYTES, &s->alike);
	if (pb_row_set_verdict(verdict, filter, &rows) > 0 && source.rc == 0 &&
	    !few_packets(&source, verdict, rows.spare * PACKETS_A_SPARE)) {
		rows.spare = 0;
		pb_row_set_verdict(verdict, filter, &rows);
	}
	return source.rc;
}

/* Have the rows that are looked at no more packets? */
static bool
few_packets(struct source *source, const uint8_t *verdict, uint32_t most)
{
	uint32_t rows = pb_flow_table_shape(source->table,
	    source->shape)->rows, sum = 0, packets;

	for (uint32_t i = next_put(verdict, 0, rows); i < rows && sum <= most;
	    i = next_put(verdict, i + 1, rows)) {
		if (verdict[i] != PB_VERDICT_EACH)
			continue;
		source->rc = pb_flow_table_most(source->table, source->shape,
		    i, &packets, source->err);
		if (source->rc < 0)
			return true;
		sum += packets;
	}
	return sum <= most;
}

static bool
column(void *arg, uint32_t at, size_t first, size_t rows, uint8_t *room,
    struct pb_column *out)
{
	struct source *source = arg;
	struct pb_flow_table_column got;
	int rc;

	if (source->rc < 0)
		return false;
	rc = pb_flow_table_column_part(source->table, source->shape, at,
	    (uint32_t)first, (uint32_t)rows, room, &got, source->err);
	if (rc < 0)
		source->rc = rc;
	out->ones = got.ones;
	out->unknown = got.known ? NULL : got.unknown;
	out->stride = got.stride;
	return rc == 0;
}

static uint32_t
weight(void *arg, uint32_t at)
{
	const struct source *source = arg;

	return pb_flow_table_column_weight(source->table, source->shape, at);
}

static size_t
find(void *arg, uint32_t at, uint8_t value, size_t first)
{
	struct source *source = arg;
	uint32_t row = (uint32_t)first;

	if (source->rc == 0)
		source->rc = pb_flow_table_column_find(source->table,
		    source->shape, at, value, &row, source->err);
	return row;
}

static const struct pb_lengths *
lengths(void *arg)
{
	struct source *source = arg;
	const struct pb_flow_table_row *row;
	int rc;

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
	if (source->rc < 0)
		return NULL;
	rc = pb_flow_table_rows(source->table, source->shape, &row,
	    source->err);
	if (rc == 0)
		return (const struct pb_lengths *)(const void *)
		    &row->caplen_min;
	source->rc = rc;
	return NULL;
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
