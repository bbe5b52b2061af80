/*
 * recorder/flow/table/encode.h - the parts of writing a flow table
 */
#ifndef PB_FLOW_TABLE_ENCODE_H
#define PB_FLOW_TABLE_ENCODE_H

#include "base/buf.h"
#include "recorder/flow/lane.h"
#include "recorder/flow/table/form.h"

/* --- rows.c: flows become rows, grouped by shape ------------------------- */

struct shape_rows {
	struct pb_flow_key key;		/* PB_FLOW_SHAPE_BYTES of it */
	bool		 rest;
	uint32_t	 row, rows;	/* the first, among all; how many */
	uint32_t	 many;		/* of those: of more than one packet */
	uint32_t	 begin[RUNS + 1];	/* of its rows: each run's */
};

/* Rows of a run of a shape follow each other, in the order of their flows. */
struct rows {
	const struct pb_flows *flows;
	struct shape_rows shape[PB_FLOW_TABLE_SHAPES_MAX + 1];
	uint32_t	 shapes;
	uint32_t	 rows;
	uint32_t	 room;		/* of what follows: flows */
	uint16_t	*run_of;	/* of each flow that has packets: its
					 * shape times RUNS, and its run */
	uint32_t	*row_of;	/* likewise */
	uint32_t	*flow_of;	/* of each row; of the rest any */
	struct pb_flow_table_row *row;
};

/* Of one that is all 0, or was made before: it keeps its memory, until it is
 * finished. */
int	rows_make(struct rows *rows, const struct pb_flows *flows,
	    struct pb_err *err);
void	rows_finish(struct rows *rows);

/* --- columns.c: what rows know of the first bytes of their packets -------- */

/* Some of the bytes, in order. */
struct column_bytes {
	uint8_t		 at[PB_FLOW_BYTES];
	uint32_t	 count;
};

struct columns {
	uint8_t		 ones[PB_FLOW_BYTES];	/* what all rows know */
	uint8_t		 unknown[PB_FLOW_BYTES];
	struct column_bytes kept, bits;		/* these: of unknown bits */
	struct pairs	 pairs;		/* none where no row is turned */
};

void	columns_choose(struct columns *columns, const struct rows *rows,
	    const struct shape_rows *shape);
/* Their planes, one behind the other, kept.count * rows bytes; behind them
 * bits.count * many of their unknown bits. */
void	columns_put(uint8_t *out, const struct columns *columns,
	    const struct rows *rows, const struct shape_rows *shape);

/* --- numbers.c: numbers of rows ------------------------------------------- */

/* The least and the unit of all times. */
struct numbers_time {
	uint64_t	 least;
	uint32_t	 unit;		/* ns; one of those below */
};
#define UNIT_NS		1u
#define UNIT_US		1000u

/* Append the planes of numbers `first` .. `end` - 1 of a shape, all of them
 * of each row or all of those with more than one packet, to `planes`;
 * NUMBER_BYTES each at `out` say which.  The number of planes. */
uint32_t numbers_put(uint8_t *out, struct pb_buf *planes,
	    const struct pb_flow_table_row *row,
	    const struct shape_rows *shape, unsigned first, unsigned end,
	    const struct numbers_time *time, uint64_t *scratch);

/* --- places.c: which packets are whose ------------------------------------ */

struct places {
	uint32_t	*packet;	/* of row 0, of row 1, and so on */
	uint32_t	*start;		/* of each row, and where all end */
	uint32_t	 packets_room, rows_room;
};

/* As rows_make(). */
int	places_make(struct places *places, const struct rows *rows,
	    struct pb_err *err);
void	places_finish(struct places *places);
/* Those of a shape, behind nothing, and the heads of their groups. */
void	places_put(struct pb_buf *heads, struct pb_buf *out,
	    const struct places *places, const struct shape_rows *shape);

/* --- marks.c: where packets are in the file ------------------------------- */

/* Likewise; the packets between two marks of a group. */
uint32_t marks_put(struct pb_buf *heads, struct pb_buf *out,
	    const struct pb_flows *flows);

#endif
