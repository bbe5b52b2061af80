/*
 * cli/common/table.h - rows for people (aligned columns) or for machines (JSON)
 *
 * A command describes the columns of its row, a structure, once; whether rows
 * come out as a table or as one JSON object a line is decided here.  The
 * widths come from the first PB_TABLE_ROWS_HELD rows; later rows keep to
 * them, so that memory does not grow with the number of rows.
 *
 * What nodes call themselves is printed without control characters, so
 * that no name can steer a terminal.
 */
#ifndef PB_CLI_TABLE_H
#define PB_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/out.h"
#include "recorder/store/layout.h"

#define PB_TABLE_COLUMNS_MAX	16
#define PB_TABLE_ROWS_HELD	512	/* measured for their widths */
#define PB_TABLE_CELL_MAX	4200	/* bytes of a cell: a path fits */

enum pb_cell {			/* what stands in the row; uint64_t: */
	PB_CELL_TEXT,		/* char[] */
	PB_CELL_WORD,		/* const char * */
	PB_CELL_STREAM,		/* struct pb_stream_key, as node/interface */
	PB_CELL_BOOL,		/* bool; yes and no for people */
	PB_CELL_U64,
	PB_CELL_SIZE,		/* a number in JSON, `1.5 GiB` for people; null
				 * and `-` where it is UINT64_MAX */
	PB_CELL_HEX,		/* as an epoch: 16 digits */
	PB_CELL_SECONDS,	/* ns; in JSON seconds, `5 min` for people;
				 * likewise */
	PB_CELL_TIME,		/* ns; null and `-` where it is 0, */
	PB_CELL_TIME_SECOND,	/* ... to the second, for people alone */
	PB_CELL_TIME_MAX,	/* ... where it is UINT64_MAX */
};

struct pb_column {		/* one without a name ends the columns */
	const char	*name;	/* a member in JSON, a heading for people */
	enum pb_cell	 cell;
	size_t		 at;	/* in the row */
};

struct pb_table {
	struct pb_out	*out;		/* borrowed */
	const struct pb_column *column;	/* borrowed */
	size_t		 columns;
	bool		 json;
	size_t		 width[PB_TABLE_COLUMNS_MAX];
	struct pb_buf	 held;		/* cells, each ended by a NUL; or a
					 * line of JSON */
	size_t		 rows;		/* held */
	bool		 started;	/* widths are fixed */
};

void	pb_table_init(struct pb_table *table, struct pb_out *out,
	    const struct pb_column *columns, bool json);
void	pb_table_finish(struct pb_table *table);

int	pb_table_row(struct pb_table *table, const void *row,
	    struct pb_err *err);
/* Prints what is held; 0 or the error of the descriptor or of memory. */
int	pb_table_end(struct pb_table *table, struct pb_err *err);

/*
 * All of it on standard output: the rows that `fill` makes.  A reader that has
 * gone is no error.
 */
int	pb_table_print(const struct pb_column *columns, bool json,
	    int (*fill)(void *arg, struct pb_table *table,
	    struct pb_err *err), void *arg, struct pb_err *err);

/* The columns of `row` as members of an object that is open. */
void	pb_columns_json(struct pb_json *json, const struct pb_column *columns,
	    const void *row);

/* For people: made in `out`, or where it stands in the row. */
const char *pb_column_text(const struct pb_column *column, const void *row,
	    char out[static PB_STREAM_NAME_MAX]);

#endif
