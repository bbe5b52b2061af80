/*
 * recorder/flow/table/rows.c - flows become rows, grouped by shape
 *
 * Of those of a shape the rows of each run follow each other.  Turned are those
 * whose packets go to the higher port: who answers has the lower one, mostly.
 */
#include "recorder/flow/table/encode.h"

#include <stdlib.h>

#include "base/bytes.h"

#define SLOTS	(4 * PB_FLOW_TABLE_SHAPES_MAX)	/* a power of two */
#define NO_SHAPE UINT16_MAX
#define AHEAD	16u		/* flows that are fetched */

static bool	make_room(struct rows *, uint32_t);
static void	shapes_find(struct rows *);
static void	rest_find(struct rows *);
static unsigned	run_of(const struct pb_flow *);
static uint16_t	shape_of(struct rows *, uint16_t *, uint64_t);
static uint16_t	shape_add(struct rows *, uint64_t, bool);
static void	rows_begin(struct rows *, uint32_t *);
static void	rows_fill(struct rows *);
static void	row_add(struct pb_flow_table_row *, const struct pb_flow *);

int
rows_make(struct rows *rows, const struct pb_flows *flows, struct pb_err *err)
{
	if (flows->flows > rows->room && !make_room(rows, flows->flows))
		return pb_err_set(err, PB_ENOMEM, "no memory for the rows of "
		    "a flow table");
	rows->flows = flows;
	rows->shapes = rows->rows = 0;
	shapes_find(rows);
	rows_fill(rows);
	return 0;
}

void
rows_finish(struct rows *rows)
{
	free(rows->run_of);
	free(rows->row_of);
	free(rows->flow_of);
	free(rows->row);
	rows->run_of = NULL;
	rows->row_of = rows->flow_of = NULL;
	rows->row = NULL;
	rows->room = 0;
}

/* What was there is of no use any more. */
static bool
make_room(struct rows *rows, uint32_t room)
{
	rows_finish(rows);
	rows->run_of = malloc(room * sizeof(*rows->run_of));
	rows->row_of = malloc(room * sizeof(*rows->row_of));
	rows->flow_of = malloc(room * sizeof(*rows->flow_of));
	rows->row = malloc(room * sizeof(*rows->row));
	if (rows->run_of == NULL || rows->row_of == NULL ||
	    rows->flow_of == NULL || rows->row == NULL) {
		rows_finish(rows);
		return false;
	}
	rows->room = room;
	return true;
}

/* Of each flow, and how many rows each run of it has. */
static void
shapes_find(struct rows *rows)
{
	const struct pb_flows *flows = rows->flows;
	uint16_t slot[SLOTS];

	memset(slot, 0xff, sizeof(slot));
	for (uint32_t i = 0; i < flows->flows; i++) {
		const struct pb_flow *flow = &flows->flow[i];
		uint16_t shape = NO_SHAPE;

		if (i + AHEAD < flows->flows) {
			__builtin_prefetch(&flow[AHEAD]);
			__builtin_prefetch(&flow[AHEAD].some[0]);
		}
		if (i != PB_FLOW_REST && flow->packets > 0)
			shape = shape_of(rows, slot, flow->shape);
		rows->run_of[i] = NO_SHAPE;
		if (shape != NO_SHAPE) {
			unsigned run = run_of(flow);

			rows->run_of[i] = (uint16_t)(shape * RUNS + run);
			rows->shape[shape].begin[run + 1]++;
		}
	}
	rest_find(rows);
}

/* All others are one row, which comes last.  Also where it has one packet: its
 * lengths and times may lie apart. */
static void
rest_find(struct rows *rows)
{
	const struct pb_flows *flows = rows->flows;
	uint64_t packets = 0;
	uint16_t rest;

	for (uint32_t i = 0; i < flows->flows; i++)
		if (rows->run_of[i] == NO_SHAPE)
			packets += flows->flow[i].packets;
	if (packets == 0)
		return;
	rest = shape_add(rows, 0, true);
	rows->shape[rest].begin[RUN_MANY + 1] = 1;
	for (uint32_t i = 0; i < flows->flows; i++)
		if (rows->run_of[i] == NO_SHAPE)
			rows->run_of[i] = (uint16_t)(rest * RUNS + RUN_MANY);
}

static unsigned
run_of(const struct pb_flow *flow)
{
	unsigned run = flow->packets > 1 ? RUN_MANY : RUN_ONE;
	struct pb_flow_key key;
	const uint8_t *port;

	memcpy(&key, &flow->shape, PB_FLOW_SHAPE_BYTES);
	/* All of both ends is known of a flow whose ports are. */
	if ((key.bits & PB_FLOW_PORTS) == 0 ||
	    key.transport + 4u > flow->known)
		return run;
	port = flow->some + key.transport;
	return run + (pb_get_be16(port) < pb_get_be16(port + 2));
}

/* Its number; NO_SHAPE where there are too many. */
static uint16_t
shape_of(struct rows *rows, uint16_t *slot, uint64_t name)
{
	uint32_t at;

	/* Some odd number: the top bits of a product depend on all. */
	at = (uint32_t)((name * 0x9e3779b97f4a7c15u) >> 40) & (SLOTS - 1);
	for (; slot[at] != NO_SHAPE; at = (at + 1) & (SLOTS - 1))
		if (memcmp(&rows->shape[slot[at]].key, &name,
		    sizeof(name)) == 0)
			return slot[at];
	if (rows->shapes == PB_FLOW_TABLE_SHAPES_MAX)
		return NO_SHAPE;
	slot[at] = shape_add(rows, name, false);
	return slot[at];
}

static uint16_t
shape_add(struct rows *rows, uint64_t name, bool rest)
{
	struct shape_rows *shape = &rows->shape[rows->shapes];

	memset(shape, 0, sizeof(*shape));
	_Static_assert(PB_FLOW_SHAPE_BYTES == sizeof(name), "");
	memcpy(&shape->key, &name, sizeof(name));
	shape->rest = rest;
	return (uint16_t)rows->shapes++;
}

/* `next` has of each run the next row. */
static void
rows_begin(struct rows *rows, uint32_t *next)
{
	for (uint32_t i = 0; i < rows->shapes; i++) {
		struct shape_rows *shape = &rows->shape[i];

		shape->row = rows->rows;
		for (unsigned run = 0; run < RUNS; run++) {
			*next++ = rows->rows + shape->begin[run];
			shape->begin[run + 1] += shape->begin[run];
		}
		shape->rows = shape->begin[RUNS];
		shape->many = shape->begin[RUN_ONE];
		rows->rows += shape->rows;
	}
}

static void
rows_fill(struct rows *rows)
{
	const struct pb_flows *flows = rows->flows;
	uint32_t next[RUNS * (PB_FLOW_TABLE_SHAPES_MAX + 1)], row;

	rows_begin(rows, next);
	for (uint32_t i = 0; i < flows->flows; i++) {
		const struct shape_rows *its;
		uint16_t run = rows->run_of[i];

		if (i + AHEAD < flows->flows)
			__builtin_prefetch(&flows->flow[i + AHEAD]);
		if (flows->flow[i].packets == 0)
			continue;
		its = &rows->shape[run / RUNS];
		row = its->rest ? its->row : next[run];
		if (row == next[run]) {
			rows->row[row] = (struct pb_flow_table_row){
			    .first_time = UINT64_MAX, .caplen_min = UINT32_MAX,
			    .len_min = UINT32_MAX };
			next[run]++;
		}
		rows->row_of[i] = row;
		rows->flow_of[row] = i;
		row_add(&rows->row[row], &flows->flow[i]);
	}
}

static void
row_add(struct pb_flow_table_row *row, const struct pb_flow *flow)
{
	row->packets += flow->packets;
	row->bytes += flow->bytes;
	if (flow->first_time < row->first_time)
		row->first_time = flow->first_time;
	if (flow->last_time > row->last_time)
		row->last_time = flow->last_time;
	if (flow->caplen_min < row->caplen_min)
		row->caplen_min = flow->caplen_min;
	if (flow->caplen_max > row->caplen_max)
		row->caplen_max = flow->caplen_max;
	if (flow->len_min < row->len_min)
		row->len_min = flow->len_min;
	if (flow->len_max > row->len_max)
		row->len_max = flow->len_max;
}
